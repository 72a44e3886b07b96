package files_test

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"net/http"
	"net/url"
	"slices"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/leatdb/leat/connectors"
	"github.com/leatdb/leat/connectors/files"
	"github.com/leatdb/leat/sql/sqlerror"
)

// s3Event is an event as S3 sends it to a queue.
func s3Event(name, bucket string, keys ...string) string {
	var records []string
	for _, key := range keys {
		encoded, _ := json.Marshal(strings.ReplaceAll(url.QueryEscape(key), "%2F", "/"))
		records = append(records, fmt.Sprintf(`{"eventVersion":"2.1","eventSource":"aws:s3","awsRegion":"eu-west-1","eventName":%q,
			"s3":{"s3SchemaVersion":"1.0","bucket":{"name":%q,"arn":"arn:aws:s3:::%s"},"object":{"key":%s,"size":7,"eTag":"e","sequencer":"0055AED6DCD90281E5"}}}`,
			name, bucket, bucket, encoded))
	}
	return `{"Records":[` + strings.Join(records, ",") + `]}`
}

func put(keys ...string) string { return s3Event("ObjectCreated:Put", "b", keys...) }

// viaSNS is a message as SNS sends it to a queue.
func viaSNS(body string) string {
	text, _ := json.Marshal(map[string]string{"Type": "Notification", "TopicArn": "arn:aws:sns:eu-west-1:123456789012:t", "Subject": "Amazon S3 Notification", "Message": body})
	return string(text)
}

func viaEventBridge(detailType, bucket, key string) string {
	text, _ := json.Marshal(map[string]any{
		"version": "0", "detail-type": detailType, "source": "aws.s3",
		"detail": map[string]any{"bucket": map[string]any{"name": bucket}, "object": map[string]any{"key": key, "size": 7, "etag": "e"}},
	})
	return string(text)
}

const testEvent = `{"Service":"Amazon S3","Event":"s3:TestEvent","Time":"2026-01-02T03:04:05.678Z","Bucket":"b","RequestId":"1","HostId":"2"}`

// openTold opens a source that is told of objects.
func openTold(t *testing.T, b *fakeBucket, q *fakeQueue, known connectors.Positions, path string, more ...string) *reader {
	t.Helper()
	return openBucket(t, b, known, path, append([]string{"mode", "tail", "notifications", q.url, "tail_interval", "1ms"}, more...)...)
}

// told discovers until as many lines were read as are wanted.
func (r *reader) told(lines int) {
	r.t.Helper()
	count := func() (n int) {
		for _, l := range r.lines {
			n += len(l)
		}
		return n
	}
	eventually(r.t, fmt.Sprintf("reading %d lines", lines), func() bool { r.step(); return count() >= lines })
	if n := count(); n != lines {
		r.t.Errorf("read %d lines, want %d: %q", n, lines, r.lines)
	}
}

// step discovers, and reads what there is.
func (r *reader) step() {
	r.t.Helper()
	r.discover(false, r.src.Positions())
	ctx, cancel := context.WithTimeout(r.t.Context(), 20*time.Millisecond)
	defer cancel()
	for r.src.Poll(ctx, 0, &r.chunk) == nil {
		r.take(&r.chunk)
	}
}

// A message is deleted when its objects are committed, and none is listed.
func TestNotifications_EachObjectOnce(t *testing.T) {
	b, q := newFakeBucket(t), newFakeQueue(t)
	b.put("in/before", "0\n")
	q.send(testEvent, put("in/before"))
	r := openTold(t, b, q, nil, "/in/")
	r.told(1)
	keys := []string{"in/plain", "in/dt=2026-01-01/a b+c%20&é.json", "in/topic", "in/bridge %41+.json", "in/two", "in/both"}
	for i, key := range keys {
		b.put(key, fmt.Sprintf("%d\n", i+1))
	}
	lists := len(b.lists)
	q.send(put(keys[0]), put(keys[1]), viaSNS(put(keys[2])), viaEventBridge("Object Created", "b", keys[3]),
		s3Event("s3:ObjectCreated:CompleteMultipartUpload", "b", keys[4], keys[5]),
		put(keys[0]), viaSNS(viaEventBridge("Object Created", "b", keys[2]))) // twice
	r.told(7)
	if r.commit(); len(b.lists) != lists {
		t.Errorf("listed %d times", len(b.lists)-lists)
	}
	eventually(t, "the deletion of all messages", func() bool { r.discover(false, r.src.Positions()); return q.left() == 0 })
	r.want("dt=2026-01-01/a b+c%20&é.json", "2")
	r.want("bridge %41+.json", "4")

	// What was read comes again, after a restart too.
	q.send(put(keys[0], keys[1]), put(keys[3]))
	eventually(t, "the deletion of messages that were read", func() bool { r.discover(false, r.src.Positions()); return q.left() == 0 })
	known := r.src.Positions()
	r.close()
	again := openTold(t, b, q, known, "/in/")
	defer again.close()
	q.send(put(keys...))
	eventually(t, "the deletion of a message after a restart", func() bool {
		q.expire()
		again.discover(false, again.src.Positions())
		return q.left() == 0
	})
	if again.told(0); len(again.retry) > 0 || len(r.retry) > 0 {
		t.Errorf("troubles %v %v", r.retry, again.retry)
	}
}

func TestNotifications_UncommittedMessagesStay(t *testing.T) {
	b, q := newFakeBucket(t), newFakeQueue(t)
	r := openTold(t, b, q, nil, "", "visibility_timeout", "2s")
	b.put("a", "1\n")
	b.put("b", "2\n")
	q.send(put("a"), put("b", "none"))
	r.told(2)
	eventually(t, "an extension", func() bool {
		q.mu.Lock()
		defer q.mu.Unlock()
		return q.extended[put("a")] > 0 && q.extended[put("b", "none")] > 1
	})
	q.expire() // and they come again while they are held
	eventually(t, "another delivery", func() bool { return q.taken() >= 4 })
	if q.left() != 2 {
		t.Errorf("%d messages are left before the commit, want 2", q.left())
	}
	r.close() // without a commit: killed

	q.expire()
	r = openTold(t, b, q, nil, "", "visibility_timeout", "2s")
	defer r.close()
	r.told(2)
	r.commit()
	r.want("a", "1")
	eventually(t, "the deletion of the messages", func() bool {
		q.expire() // a call of the closed source may have taken some
		r.discover(false, r.src.Positions())
		return q.left() == 0
	})
}

func TestNotifications_OthersMessages(t *testing.T) {
	b, q := newFakeBucket(t), newFakeQueue(t)
	for _, key := range []string{"in/a.json", "in/a.csv", "in/_tmp/a.json", "other/a.json", "in/empty.json"} {
		b.put(key, "1\n")
	}
	b.put("in/empty.json", "")
	r := openTold(t, b, q, nil, "/in/**/*.json")
	defer r.close()
	r.cfg.Logger = nil
	r.told(1)
	r.commit()
	mine := []string{
		put("in/a.csv"), put("in/_tmp/a.json"), put("other/a.json"), put("in/empty.json"), put("in/vanished.json"),
		s3Event("ObjectCreated:Put", "another", "in/a.json"), s3Event("ObjectRemoved:Delete", "b", "in/a.json"),
		viaEventBridge("Object Deleted", "b", "in/a.json"), viaSNS(testEvent),
	}
	foreign := []string{"hello", `{"Records":[{"eventSource":"aws:sns"}]}`, `{}`, viaSNS("hello"), `{"Records":[{"eventSource":"aws:s3","eventName":"ObjectCreated:Put"}]}`}
	q.send(append(slices.Clone(foreign), mine...)...)
	eventually(t, "the deletion of messages that need nothing", func() bool { r.discover(false, r.src.Positions()); return q.left() <= len(foreign) })
	if q.left() != len(foreign) {
		t.Errorf("messages of others were deleted: %q", q.deleted)
	}
	r.told(1)
	r.want("a.json", "1")
}

// A notification that was lost is made up for by the next listing.
func TestNotifications_LostOnesAreListed(t *testing.T) {
	b, q := newFakeBucket(t), newFakeQueue(t)
	r := openTold(t, b, q, nil, "", "listing_interval", "1s")
	defer r.close()
	b.put("a", "1\n")
	r.told(1)
}

// An object that is written anew goes by on_changed_object, whatever comes first.
func TestNotifications_ChangedObjects(t *testing.T) {
	f := func(policy string, lines ...string) {
		t.Helper()
		b, q := newFakeBucket(t), newFakeQueue(t)
		b.put("a", "1\n")
		r := openTold(t, b, q, nil, "", "on_changed_object", policy)
		defer r.close()
		r.told(1)
		b.put("a", "2\n") // before the first is committed
		q.send(put("a"))
		eventually(t, "the delivery", func() bool { return q.taken() == 1 })
		r.discover(false, r.src.Positions())
		r.commit()
		r.told(len(lines))
		r.commit()
		r.want("a", lines...)
		eventually(t, "the deletion", func() bool { r.discover(false, r.src.Positions()); return q.left() == 0 })
		q.send(put("a"))
		eventually(t, "the deletion", func() bool { r.discover(false, r.src.Positions()); return q.left() == 0 })
		lost := r.src.(connectors.DataLossRecorder).TakeDataLoss()
		if want := policy == "skip"; len(lost) > 1 || (len(lost) == 1) != want {
			t.Errorf("%s: lost %v", policy, lost)
		}
	}
	f("reread", "1", "2")
	f("skip", "1")
}

func TestNotifications_Faults(t *testing.T) {
	b, q := newFakeBucket(t), newFakeQueue(t)
	last := func(r *reader) error {
		r.mu.Lock()
		defer r.mu.Unlock()
		if len(r.retry) == 0 {
			return nil
		}
		return r.retry[len(r.retry)-1]
	}
	q.fail(func(string) string { return "QueueDoesNotExist" })
	b.put("a", "1\n")
	r := openTold(t, b, q, nil, "")
	defer r.close()
	r.told(1) // it was listed
	says := func(code sqlerror.Code, text string) {
		t.Helper()
		eventually(t, "trouble of the kind "+text, func() bool { e := sqlerror.As(last(r)); return e != nil && e.Code == code })
		if e := sqlerror.As(last(r)); !sqlerror.IsRetryable(e) || !strings.Contains(e.Error()+e.Hint, text) || !strings.Contains(e.Error(), q.url) {
			t.Errorf("%v (%s), want %q", e, e.Hint, text)
		}
	}
	says(sqlerror.CodeUnknownObject, "create the queue")
	q.fail(func(action string) string {
		if action == "ReceiveMessage" {
			return "AccessDeniedException"
		}
		return ""
	})
	says(sqlerror.CodeAuth, "sqs:ReceiveMessage")
	q.fail(nil)
	q.send("") // ends a call that waits
	eventually(t, "the end of the trouble", func() bool { return last(r) == nil })

	// Deleting fails, as a whole and message by message.
	q.fail(func(action string) string {
		if action == "DeleteMessageBatch" {
			return "InternalError"
		}
		return ""
	})
	for i := range 25 {
		key := fmt.Sprintf("b%02d", i)
		b.put(key, "x\n")
		q.send(put(key))
	}
	r.told(26)
	r.commit()
	says(sqlerror.CodeExternal, "delete from queue")
	var refused atomic.Int64
	q.mu.Lock()
	q.failOne = func(action, body string) bool {
		return action == "DeleteMessageBatch" && body == put("b07") && refused.Add(1) < 3
	}
	q.refuse = nil
	q.mu.Unlock()
	eventually(t, "the deletion of all but the message of somebody else", func() bool { return q.left() == 1 })
	eventually(t, "the end of the trouble", func() bool { return last(r) == nil })

	// The bucket does not say what the object is: its message comes again.
	var heads atomic.Int64
	b.mu.Lock()
	b.refuse = func(r *http.Request) int {
		if r.Method == http.MethodHead && heads.Add(1) < 3 {
			return http.StatusForbidden
		}
		return 0
	}
	b.mu.Unlock()
	b.put("c", "y\n")
	q.send(put("c"))
	eventually(t, "a refusal", func() bool { q.expire(); return heads.Load() > 1 })
	eventually(t, "another delivery", func() bool { q.expire(); return heads.Load() > 2 })
	r.told(27)
	if n := len(r.lines["c"]); n != 1 {
		t.Errorf("read c %d times", n)
	}
}

// No more messages are taken than are worked at.
func TestNotifications_BackPressure(t *testing.T) {
	defer files.SetMaxMessages(40)()
	b, q := newFakeBucket(t), newFakeQueue(t)
	r := openTold(t, b, q, nil, "")
	defer r.close()
	for i := range 300 {
		key := fmt.Sprintf("%03d", i)
		b.put(key, "x\n")
		q.send(put(key))
	}
	eventually(t, "the first messages", func() bool { return q.taken() >= 40 })
	most := 0
	eventually(t, "reading all objects", func() bool {
		r.step()
		most = max(most, q.taken()-len(q.deletedNow()))
		r.commit()
		return len(r.lines) == 300
	})
	if most > 40+40 { // each receiver may have asked before there was no room
		t.Errorf("%d messages were held", most)
	}
	eventually(t, "the deletion of all messages", func() bool { r.discover(false, r.src.Positions()); return q.left() == 0 })
	if names := slices.Sorted(maps.Keys(r.lines)); len(names) != 300 {
		t.Errorf("read %d objects", len(names))
	}
}

func (q *fakeQueue) deletedNow() []string {
	q.mu.Lock()
	defer q.mu.Unlock()
	return slices.Clone(q.deleted)
}

func TestNotifications_Options(t *testing.T) {
	b, q := newFakeBucket(t), newFakeQueue(t)
	f := func(want string, options ...string) {
		t.Helper()
		src, err := files.Connector.Open(t.Context(), connectors.SourceConfig{Name: "logs", Options: files.Connector.Spec.MustOptions(options...)})
		if err == nil {
			err = errors.Join(err, src.Close())
		}
		if want == "" && err != nil || want != "" && (err == nil || !strings.Contains(err.Error(), want)) {
			t.Errorf("%v: %v, want %q", options, err, want)
		}
	}
	tail := func(more ...string) []string { return b.options("/a", append([]string{"mode", "tail"}, more...)...) }
	f("", tail("notifications", q.url)...)
	f("", tail("notifications", "arn:aws:sqs:eu-west-1:123456789012:q.fifo")...)
	f("", tail("notifications", "https://sqs.eu-west-1.amazonaws.com/123456789012/q")...)
	f(`needs mode = 'tail'`, b.options("/a", "notifications", q.url)...)
	f(`is not the URL of an SQS queue`, tail("notifications", "my-queue")...)
	f(`is not the URL of an SQS queue`, tail("notifications", "https://sqs.eu-west-1.amazonaws.com")...)
	f(`is not the ARN of an SQS queue`, tail("notifications", "arn:aws:sns:eu-west-1:123456789012:t")...)
	f(`does not go with listing = 'growing'`, tail("notifications", q.url, "listing", "growing")...)
	f(`"listing_interval" needs the option notifications`, tail("listing_interval", "1m")...)
	f(`whole seconds`, tail("notifications", q.url, "visibility_timeout", "2500ms")...)
	f(`whole seconds`, tail("notifications", q.url, "visibility_timeout", "13h")...)
	f(`needs a path that begins with s3://`, "path", t.TempDir(), "mode", "tail", "notifications", q.url)

	explain := openTold(t, b, q, nil, "", "listing_interval", "1h")
	if got := strings.Join(explain.src.(connectors.Explainer).Explain(), "; "); !strings.Contains(got, q.url) || !strings.Contains(got, "every 1h") {
		t.Errorf("explained as %q", got)
	}
	explain.close()
	if got := openBucket(t, b, nil, ""); got.src.(connectors.Explainer).Explain() != nil {
		t.Errorf("explained without notifications")
	} else {
		got.close()
	}

	check := func() error {
		return files.Connector.Check(t.Context(), connectors.SourceConfig{Name: "logs", Options: files.Connector.Spec.MustOptions(tail("notifications", q.url)...)})
	}
	if err := check(); err != nil {
		t.Error(err)
	}
	q.fail(func(string) string { return "QueueDoesNotExist" })
	if err := check(); err == nil || sqlerror.IsRetryable(err) || !strings.Contains(err.Error(), q.url) {
		t.Errorf("missing queue: %v", err)
	}
}

// Who only looks at a source takes no messages from the queue.
func TestNotifications_PeekTakesNothing(t *testing.T) {
	b, q := newFakeBucket(t), newFakeQueue(t)
	b.put("a", "1\n")
	q.send(put("a"))
	cfg := connectors.SourceConfig{Name: "logs", Options: files.Connector.Spec.MustOptions(b.options("", "mode", "tail", "notifications", q.url)...), Lanes: 1}
	src, err := files.Connector.Open(t.Context(), cfg)
	if err != nil {
		t.Fatal(err)
	}
	defer src.Close()
	splits, err := src.Splits(t.Context(), true, nil)
	if err != nil || len(splits) != 2 {
		t.Fatalf("%v %v", splits, err)
	}
	if err := src.Assign(t.Context(), connectors.Positions{"a": ""}); err != nil {
		t.Fatal(err)
	}
	var c connectors.Chunk
	if err := src.Poll(t.Context(), 0, &c); err != nil || string(c.Data) != "1\n" || q.taken() > 0 {
		t.Errorf("%q %v, %d messages taken", c.Data, err, q.taken())
	}
}
