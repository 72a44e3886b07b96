package files

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"net"
	"net/http"
	"net/url"
	"slices"
	"strconv"
	"strings"
	"sync"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/aws/arn"
	awshttp "github.com/aws/aws-sdk-go-v2/aws/transport/http"
	"github.com/aws/aws-sdk-go-v2/config"
	"github.com/aws/aws-sdk-go-v2/credentials"
	"github.com/aws/aws-sdk-go-v2/service/sqs"
	"github.com/aws/aws-sdk-go-v2/service/sqs/types"
	"github.com/aws/smithy-go"
	"github.com/aws/smithy-go/logging"

	"github.com/leatdb/leat/connectors"
	"github.com/leatdb/leat/internal/awsconn"
	"github.com/leatdb/leat/internal/objectstore"
	"github.com/leatdb/leat/sql/sqlerror"
)

const (
	receivers = 4                // calls that wait for messages at a time
	longPoll  = 20 * time.Second // SQS allows no longer wait
	batch     = 10               // SQS allows no more messages in a call
)

// maxMessages are held at a time; SQS allows 20,000 of a FIFO queue.
var maxMessages = 10_000

// queue takes S3 event notifications from SQS. A notification is a hint that a
// key be looked at: what the object is, the bucket says, so that one that comes
// twice, late or out of order does no harm. A message is deleted when all its
// objects are settled: read and committed, read before, gone, or none of this
// source's. Until then its visibility timeout is extended.
type queue struct {
	cfg        connectors.SourceConfig
	client     *sqs.Client
	url        string
	bucket     *bucket
	name       string // of the bucket
	visibility time.Duration
	hangUp     func()

	cancel context.CancelFunc // nil until start
	group  sync.WaitGroup

	mu      sync.Mutex
	held    map[*message]struct{} // received and not deleted
	room    chan struct{}         // closed when held has room again; nil while nobody waits
	ready   []notice
	settled []*message    // to be deleted
	work    chan struct{} // has an element when settled is not empty
	failing map[string]error
	told    bool
	foreign int // messages that are no notifications
}

// message is one that was received.
type message struct {
	id, receipt string
	open        int       // objects that are not settled
	until       time.Time // when it is visible to others again
}

// notice is an object of a message, as it was found in the bucket.
type notice struct {
	message *message
	entry   entry
}

// parseQueue reads the option notifications: the URL or the ARN of a queue. region
// and endpoint are empty where they do not say.
func parseQueue(text string) (queueURL, region, endpoint string, err error) {
	bad := func(what string) error {
		return sqlerror.Userf(sqlerror.CodeBadOption, "option %q: %q %s", "notifications", text, what).
			WithHint("write the queue's URL, such as https://sqs.eu-west-1.amazonaws.com/123456789012/name, or its ARN")
	}
	if strings.HasPrefix(text, "arn:") {
		a, err := arn.Parse(text)
		if err != nil || a.Service != "sqs" || a.Region == "" || a.AccountID == "" || a.Resource == "" {
			return "", "", "", bad("is not the ARN of an SQS queue")
		}
		suffix := "amazonaws.com"
		if a.Partition == "aws-cn" {
			suffix += ".cn"
		}
		return "https://sqs." + a.Region + "." + suffix + "/" + a.AccountID + "/" + a.Resource, a.Region, "", nil
	}
	u, parseErr := url.Parse(text)
	if parseErr != nil || u.Scheme != "http" && u.Scheme != "https" || u.Host == "" || strings.Trim(u.Path, "/") == "" || u.RawQuery != "" || u.User != nil {
		return "", "", "", bad("is not the URL of an SQS queue")
	}
	if parts := strings.Split(u.Hostname(), "."); len(parts) >= 4 && parts[0] == "sqs" && strings.Contains(u.Hostname(), "amazonaws.com") {
		region = parts[1]
	}
	return text, region, u.Scheme + "://" + u.Host, nil
}

// openQueue makes a client of the options. Nothing is received before start.
func openQueue(ctx context.Context, cfg connectors.SourceConfig, b *bucket) (*queue, error) {
	o := cfg.Options
	queueURL, region, endpoint, err := parseQueue(o.String("notifications"))
	if err != nil {
		return nil, err
	}
	conns := &awsconn.Conns{}
	transport := awshttp.NewBuildableClient().WithTransportOptions(conns.Track, func(t *http.Transport) {
		t.ResponseHeaderTimeout = longPoll + 20*time.Second
	})
	options := []func(*config.LoadOptions) error{config.WithHTTPClient(transport), config.WithLogger(logging.Nop{})}
	if region == "" {
		region = o.String("region")
	}
	if region != "" {
		options = append(options, config.WithRegion(region))
	}
	if o.Has("access_key_id") {
		options = append(options, config.WithCredentialsProvider(
			credentials.NewStaticCredentialsProvider(o.String("access_key_id"), o.String("secret_access_key"), o.String("session_token"))))
	}
	sdk, err := awsconn.LoadConfig(ctx, options...)
	if err != nil {
		return nil, sqlerror.Externalf(sqlerror.CodeExternal, "load the AWS configuration: %w", err).Final()
	}
	if sdk.Region == "" {
		sdk.Region = "us-east-1" // of a server that is not AWS
	}
	client := sqs.NewFromConfig(sdk, func(q *sqs.Options) {
		if endpoint != "" {
			q.BaseEndpoint = &endpoint
		}
		q.Retryer = aws.NopRetryer{} // the loops have a pace of their own
	})
	return &queue{
		cfg: cfg, client: client, url: queueURL, bucket: b, name: b.name,
		visibility: o.Duration("visibility_timeout"),
		hangUp:     conns.Close,
		held:       map[*message]struct{}{}, work: make(chan struct{}, 1), failing: map[string]error{},
	}, nil
}

// check finds out whether the queue is there and may be used.
func (q *queue) check(ctx context.Context) error {
	_, err := q.client.GetQueueAttributes(ctx, &sqs.GetQueueAttributesInput{
		QueueUrl: &q.url, AttributeNames: []types.QueueAttributeName{types.QueueAttributeNameVisibilityTimeout},
	})
	if err = q.explain("look at", err); err == nil {
		return nil
	}
	if e := sqlerror.As(err); e != nil && e.Code != sqlerror.CodeExternal {
		return e.Final()
	}
	return err
}

// start begins to receive. The caller is the one goroutine that lists splits.
func (q *queue) start(ctx context.Context) {
	if q.cancel != nil {
		return
	}
	ctx, q.cancel = context.WithCancel(context.WithoutCancel(ctx))
	for range receivers {
		q.group.Go(func() { q.receive(ctx) })
	}
	q.group.Go(func() { q.keep(ctx) })
}

// close ends what start has begun. What is held is visible to others again when
// its timeout has passed.
func (q *queue) close() {
	if q.cancel != nil {
		q.cancel()
	}
	q.group.Wait()
	q.hangUp()
}

// receive takes messages and looks at their objects, as long as there is room.
func (q *queue) receive(ctx context.Context) {
	var backoff objectstore.Backoff
	for q.waitForRoom(ctx) {
		err := q.receiveBatch(ctx)
		if ctx.Err() != nil {
			return
		}
		q.report("receive", err)
		if err == nil {
			backoff.Reset()
		} else if backoff.Wait(ctx) != nil {
			return
		}
	}
}

func (q *queue) waitForRoom(ctx context.Context) bool {
	for ctx.Err() == nil {
		q.mu.Lock()
		if len(q.held) < maxMessages {
			q.mu.Unlock()
			return true
		}
		if q.room == nil {
			q.room = make(chan struct{})
		}
		room := q.room
		q.mu.Unlock()
		select {
		case <-room:
		case <-ctx.Done():
		}
	}
	return false
}

func (q *queue) receiveBatch(ctx context.Context) error {
	asked := q.cfg.Now()
	out, err := q.client.ReceiveMessage(ctx, &sqs.ReceiveMessageInput{
		QueueUrl: &q.url, MaxNumberOfMessages: batch,
		WaitTimeSeconds:   int32(longPoll / time.Second),
		VisibilityTimeout: int32(q.visibility / time.Second),
	})
	if err != nil {
		return q.explain("receive from", err)
	}
	var group sync.WaitGroup
	errs := make([]error, len(out.Messages))
	for i, m := range out.Messages {
		group.Go(func() {
			errs[i] = q.look(ctx, aws.ToString(m.Body), &message{id: aws.ToString(m.MessageId), receipt: aws.ToString(m.ReceiptHandle), until: asked.Add(q.visibility)})
		})
	}
	group.Wait()
	return errors.Join(errs...)
}

// look finds the objects of a message in the bucket. On failure the message is
// left to come again.
func (q *queue) look(ctx context.Context, body string, m *message) error {
	objects, err := parseNotification(body)
	if err != nil {
		q.mu.Lock()
		q.foreign++
		first := q.foreign == 1
		q.mu.Unlock()
		if first {
			q.cfg.Logger.Warn("a message of the queue is left there, and so are others like it", "source", q.cfg.Name, "queue", q.url, "message", m.id, "error", err)
		}
		return nil
	}
	var notices []notice
	for _, o := range objects {
		id, ok := q.bucket.idOf(o.key)
		if !ok || o.bucket != q.name {
			continue
		}
		e, err := q.bucket.stat(ctx, entry{id: id, path: o.key})
		if errors.Is(err, fs.ErrNotExist) || err == nil && e.size == 0 {
			continue
		}
		if err != nil {
			return err
		}
		notices = append(notices, notice{m, e})
	}
	q.mu.Lock()
	defer q.mu.Unlock()
	q.held[m] = struct{}{}
	if m.open = len(notices); m.open == 0 {
		q.deleteLater(m)
		return nil
	}
	q.ready = append(q.ready, notices...)
	return nil
}

// take is what was announced since the last call.
func (q *queue) take() []notice {
	q.mu.Lock()
	defer q.mu.Unlock()
	notices := q.ready
	q.ready = nil
	return notices
}

// putBack lets take return a notice again.
func (q *queue) putBack(notices ...notice) {
	q.mu.Lock()
	defer q.mu.Unlock()
	q.ready = append(q.ready, notices...)
}

// settle notes that nothing is left to do for an object of a message.
func (q *queue) settle(n notice) {
	q.mu.Lock()
	defer q.mu.Unlock()
	if n.message.open--; n.message.open == 0 {
		q.deleteLater(n.message)
	}
}

// deleteLater hands a message to keep. The caller holds mu.
func (q *queue) deleteLater(m *message) {
	q.settled = append(q.settled, m)
	select {
	case q.work <- struct{}{}:
	default:
	}
}

// keep deletes settled messages and extends the timeouts of the others, when a
// third of them is left.
func (q *queue) keep(ctx context.Context) {
	tick := time.NewTicker(min(q.visibility/6, 30*time.Second))
	defer tick.Stop()
	var backoff objectstore.Backoff
	for {
		select {
		case <-ctx.Done():
			return
		case <-q.work:
		case <-tick.C:
			q.extend(ctx)
		}
		for {
			more, err := q.deleteSettled(ctx)
			if ctx.Err() != nil {
				return
			}
			if !more && err == nil {
				break
			}
			q.report("delete", err)
			if err == nil {
				backoff.Reset()
				continue
			}
			if backoff.Wait(ctx) != nil {
				return
			}
			q.extend(ctx)
		}
	}
}

// deleteSettled deletes one batch; more is false when there was none.
func (q *queue) deleteSettled(ctx context.Context) (more bool, err error) {
	q.mu.Lock()
	messages := slices.Clone(q.settled[:min(batch, len(q.settled))])
	q.mu.Unlock()
	if len(messages) == 0 {
		return false, nil
	}
	entries := make([]types.DeleteMessageBatchRequestEntry, len(messages))
	for i, m := range messages {
		entries[i] = types.DeleteMessageBatchRequestEntry{Id: aws.String(strconv.Itoa(i)), ReceiptHandle: &m.receipt}
	}
	out, err := q.client.DeleteMessageBatch(ctx, &sqs.DeleteMessageBatchInput{QueueUrl: &q.url, Entries: entries})
	if err != nil {
		return true, q.explain("delete from", err)
	}
	kept := make(map[*message]bool, len(out.Failed))
	for _, f := range out.Failed {
		// The sender's fault is a handle that has expired: the message comes again,
		// and is known then.
		if i, err := strconv.Atoi(aws.ToString(f.Id)); err == nil && i >= 0 && i < len(messages) && !f.SenderFault {
			kept[messages[i]] = true
		}
	}
	q.mu.Lock()
	defer q.mu.Unlock()
	q.settled = q.settled[len(messages):]
	for _, m := range messages {
		if kept[m] {
			q.settled = append(q.settled, m)
			continue
		}
		delete(q.held, m)
	}
	if q.room != nil && len(q.held) < maxMessages {
		close(q.room)
		q.room = nil
	}
	if len(kept) > 0 {
		return true, q.explain("delete from", fmt.Errorf("%s: %s", aws.ToString(out.Failed[0].Code), aws.ToString(out.Failed[0].Message)))
	}
	return true, nil
}

// extend keeps the messages that are held from being visible to others. One that
// cannot be extended comes again, which does no harm.
func (q *queue) extend(ctx context.Context) {
	now := q.cfg.Now()
	q.mu.Lock()
	var due []*message
	for m := range q.held {
		if m.until.Sub(now) < q.visibility*2/3 {
			due = append(due, m)
		}
	}
	q.mu.Unlock()
	for part := range slices.Chunk(due, batch) {
		entries := make([]types.ChangeMessageVisibilityBatchRequestEntry, len(part))
		for i, m := range part {
			entries[i] = types.ChangeMessageVisibilityBatchRequestEntry{
				Id: aws.String(strconv.Itoa(i)), ReceiptHandle: &m.receipt, VisibilityTimeout: int32(q.visibility / time.Second),
			}
		}
		until := q.cfg.Now().Add(q.visibility)
		_, err := q.client.ChangeMessageVisibilityBatch(ctx, &sqs.ChangeMessageVisibilityBatchInput{QueueUrl: &q.url, Entries: entries})
		if ctx.Err() != nil {
			return
		}
		q.report("extend", q.explain("extend the timeout of messages of", err))
		if err != nil {
			return
		}
		q.mu.Lock()
		for _, m := range part {
			m.until = until
		}
		q.mu.Unlock()
	}
}

// report tells the stream whether the queue can be used: it cannot while calls of
// any kind fail.
func (q *queue) report(call string, err error) {
	q.mu.Lock()
	defer q.mu.Unlock()
	if err == nil {
		delete(q.failing, call)
		if len(q.failing) == 0 && q.told {
			q.told = false
			q.cfg.Retrying(nil)
		}
		return
	}
	q.failing[call] = err
	q.told = true
	q.cfg.Retrying(err)
}

// explain makes an error of the client one that says what to do. It is retryable:
// a queue may be made, and a permission granted.
func (q *queue) explain(act string, err error) error {
	if err == nil || errors.Is(err, context.Canceled) || sqlerror.As(err) != nil {
		return err
	}
	e := sqlerror.Externalf(sqlerror.CodeExternal, "%s queue %s: %w", act, q.url, awsconn.Concise(err)).About("source " + q.cfg.Name)
	code := ""
	if api, ok := errors.AsType[smithy.APIError](err); ok {
		code = api.ErrorCode()
	}
	var dns *net.DNSError
	switch code {
	case "AWS.SimpleQueueService.NonExistentQueue", "QueueDoesNotExist", "com.amazonaws.sqs#QueueDoesNotExist":
		e.Code = sqlerror.CodeUnknownObject
		return e.WithHint("create the queue, or mend the option notifications; until then new objects are found every listing_interval only")
	case "AccessDenied", "AccessDeniedException", "AWS.SimpleQueueService.AccessDenied":
		e.Code = sqlerror.CodeAuth
		return e.WithHint("the credentials need sqs:ReceiveMessage, sqs:DeleteMessage, sqs:ChangeMessageVisibility and sqs:GetQueueAttributes on the queue; until then new objects are found every listing_interval only")
	case "InvalidClientTokenId", "UnrecognizedClientException", "SignatureDoesNotMatch", "InvalidSignatureException", "MissingAuthenticationToken", "InvalidAccessKeyId", "InvalidSecurity":
		e.Code = sqlerror.CodeAuth
		return e.WithHint("the credentials were refused; check access_key_id, secret_access_key, session_token and the region of the queue")
	case "ExpiredToken", "ExpiredTokenException", "RequestExpired":
		e.Code = sqlerror.CodeAuth
		return e.WithHint("the credentials have expired")
	case "":
		if errors.As(err, &dns) {
			return e.WithHint("the name cannot be resolved; check the option notifications")
		}
		return e.WithHint("check that this machine may reach the queue")
	}
	return e
}
