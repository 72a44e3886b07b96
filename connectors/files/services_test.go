//go:build services

package files_test

import (
	"encoding/json"
	"strings"
	"testing"

	"github.com/leatdb/leat/internal/services"
	"github.com/leatdb/leat/sql/sqlerror"
)

// notificationsSetup makes a bucket whose events reach three queues: from S3
// itself, by SNS, and by EventBridge.
const notificationsSetup = `
import boto3, json, sys
def client(name):
    return boto3.client(name, endpoint_url=sys.argv[1], region_name="eu-west-1", aws_access_key_id="id", aws_secret_access_key="hush")
s3, sqs, sns, events = client("s3"), client("sqs"), client("sns"), client("events")
s3.create_bucket(Bucket="objects", CreateBucketConfiguration={"LocationConstraint": "eu-west-1"})
urls = {n: sqs.create_queue(QueueName=n)["QueueUrl"] for n in ("direct", "topic", "bridge")}
arn = lambda n: "arn:aws:sqs:eu-west-1:123456789012:" + n
topic = sns.create_topic(Name="t")["TopicArn"]
sns.subscribe(TopicArn=topic, Protocol="sqs", Endpoint=arn("topic"))
events.put_rule(Name="r", EventPattern=json.dumps({"source": ["aws.s3"]}))
events.put_targets(Rule="r", Targets=[{"Id": "1", "Arn": arn("bridge")}])
s3.put_bucket_notification_configuration(Bucket="objects", NotificationConfiguration={
    "QueueConfigurations": [{"QueueArn": arn("direct"), "Events": ["s3:ObjectCreated:*", "s3:ObjectRemoved:*"]}],
    "TopicConfigurations": [{"TopicArn": topic, "Events": ["s3:ObjectCreated:*"]}],
    "EventBridgeConfiguration": {},
})
print(json.dumps(urls))
`

const notificationsPut = `
import boto3, sys
s3 = boto3.client("s3", endpoint_url=sys.argv[1], region_name="eu-west-1", aws_access_key_id="id", aws_secret_access_key="hush")
for key in sys.argv[2:]:
    s3.put_object(Bucket="objects", Key=key, Body=("%s\n" % key).encode())
s3.put_object(Bucket="objects", Key="in/gone", Body=b"no\n")
s3.delete_object(Bucket="objects", Key="in/gone")
s3.put_object(Bucket="objects", Key="elsewhere", Body=b"no\n")
`

const notificationsLeft = `
import boto3, sys
sqs = boto3.client("sqs", endpoint_url=sys.argv[1], region_name="eu-west-1", aws_access_key_id="id", aws_secret_access_key="hush")
a = sqs.get_queue_attributes(QueueUrl=sys.argv[2], AttributeNames=["All"])["Attributes"]
print(int(a["ApproximateNumberOfMessages"]) + int(a["ApproximateNumberOfMessagesNotVisible"]))
`

// TestNotifications_OfAnotherServer takes notifications that moto makes of what
// boto3 puts, in all the ways in which they reach a queue.
func TestNotifications_OfAnotherServer(t *testing.T) {
	m := services.StartMoto(t)
	var urls map[string]string
	if err := json.Unmarshal(m.RunPython(t, notificationsSetup), &urls); err != nil {
		t.Fatal(err)
	}
	keys := []string{"in/a", "in/dt=2026-01-01/b c+d%20&é.json"}
	options := func(queue string) []string {
		return []string{
			"path", "s3://objects/in/", "endpoint", m.Endpoint, "region", "eu-west-1", "access_key_id", "id", "secret_access_key", "hush",
			"mode", "tail", "notifications", queue, "tail_interval", "1ms", "visibility_timeout", "10s", "on_data_loss", "skip",
		}
	}
	var readers []*reader
	for name, queue := range urls {
		r := open(t, 1, nil, options(queue)...)
		defer r.close()
		if r.told(0); len(r.retry) > 0 {
			t.Errorf("%s: %v", name, r.retry)
		}
		readers = append(readers, r)
	}
	m.RunPython(t, notificationsPut, keys...)
	for _, r := range readers {
		r.told(len(keys))
		for _, key := range keys {
			r.want(strings.TrimPrefix(key, "in/"), key)
		}
		r.commit()
	}
	for name, queue := range urls {
		eventually(t, "the deletion of all messages of queue "+name, func() bool {
			for _, r := range readers { // the one that is gone may have been there when it was announced
				r.step()
				r.commit()
			}
			return strings.TrimSpace(string(m.RunPython(t, notificationsLeft, queue))) == "0"
		})
	}

	r := open(t, 1, nil, options(m.Endpoint+"/123456789012/none")...)
	defer r.close()
	eventually(t, "trouble with a missing queue", func() bool {
		r.mu.Lock()
		defer r.mu.Unlock()
		return len(r.retry) > 0
	})
	if e := sqlerror.As(r.retry[0]); e == nil || e.Code != sqlerror.CodeUnknownObject || !sqlerror.IsRetryable(e) {
		t.Errorf("missing queue: %v", r.retry[0])
	}
}
