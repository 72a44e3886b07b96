package files_test

import (
	"crypto/md5"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"net/http"
	"net/http/httptest"
	"slices"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"
)

// fakeQueue serves one SQS queue in the JSON protocol. Time does not pass in it:
// a test says when visibility timeouts have run out, and what is delivered twice.
type fakeQueue struct {
	url string

	mu       sync.Mutex
	messages []*queued // not deleted, in the order in which they are delivered
	next     int
	deleted  []string                          // bodies
	extended map[string]int                    // by body
	received int                               // messages
	refuse   func(action string) (code string) // "" lets a call pass
	failOne  func(action, body string) bool    // refuses single messages of a batch
	news     chan struct{}
}

type queued struct {
	id, body string
	receipts []string
	hidden   bool
}

func newFakeQueue(t *testing.T) *fakeQueue {
	t.Helper()
	q := &fakeQueue{extended: map[string]int{}, news: make(chan struct{}, 1)}
	server := httptest.NewServer(q)
	t.Cleanup(server.Close)
	q.url = server.URL + "/123456789012/objects"
	return q
}

func (q *fakeQueue) send(bodies ...string) {
	q.mu.Lock()
	defer q.mu.Unlock()
	for _, body := range bodies {
		q.next++
		q.messages = append(q.messages, &queued{id: fmt.Sprint("m", q.next), body: body})
	}
	q.wake()
}

func (q *fakeQueue) wake() {
	select {
	case q.news <- struct{}{}:
	default:
	}
}

// expire makes all messages visible again.
func (q *fakeQueue) expire() {
	q.mu.Lock()
	defer q.mu.Unlock()
	for _, m := range q.messages {
		m.hidden = false
	}
	q.wake()
}

func (q *fakeQueue) fail(refuse func(action string) string) {
	q.mu.Lock()
	defer q.mu.Unlock()
	q.refuse = refuse
}

// left is how many messages were not deleted.
func (q *fakeQueue) left() int {
	q.mu.Lock()
	defer q.mu.Unlock()
	return len(q.messages)
}

func (q *fakeQueue) taken() int {
	q.mu.Lock()
	defer q.mu.Unlock()
	return q.received
}

// ServeHTTP implements http.Handler.
func (q *fakeQueue) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	action := strings.TrimPrefix(r.Header.Get("X-Amz-Target"), "AmazonSQS.")
	var in struct {
		MaxNumberOfMessages int
		WaitTimeSeconds     int
		Entries             []struct {
			ID            string `json:"Id"`
			ReceiptHandle string
		}
	}
	if err := json.NewDecoder(r.Body).Decode(&in); err != nil {
		w.WriteHeader(http.StatusBadRequest)
		return
	}
	w.Header().Set("Content-Type", "application/x-amz-json-1.0")
	q.mu.Lock()
	defer q.mu.Unlock()
	if q.refuse != nil {
		if code := q.refuse(action); code != "" {
			w.WriteHeader(http.StatusBadRequest)
			_ = json.NewEncoder(w).Encode(map[string]string{"__type": "com.amazonaws.sqs#" + code, "message": "refused by the test"})
			return
		}
	}
	type entry = map[string]any
	out := entry{}
	switch action {
	case "ReceiveMessage":
		visible := func() bool { return slices.ContainsFunc(q.messages, func(m *queued) bool { return !m.hidden }) }
		for in.WaitTimeSeconds > 0 && !visible() {
			q.mu.Unlock()
			select {
			case <-q.news:
			case <-r.Context().Done():
				q.mu.Lock()
				return
			}
			q.mu.Lock()
		}
		var found []entry
		for _, m := range q.messages {
			if m.hidden || len(found) == in.MaxNumberOfMessages {
				continue
			}
			m.hidden = true
			q.received++
			receipt := m.id + "-" + strconv.Itoa(len(m.receipts))
			m.receipts = append(m.receipts, receipt)
			sum := md5.Sum([]byte(m.body))
			found = append(found, entry{"MessageId": m.id, "ReceiptHandle": receipt, "Body": m.body, "MD5OfBody": hex.EncodeToString(sum[:])})
		}
		if visible() {
			q.wake() // for another call that waits
		}
		out["Messages"] = found
	case "DeleteMessageBatch", "ChangeMessageVisibilityBatch":
		var done, failed []entry
		for _, e := range in.Entries {
			i := slices.IndexFunc(q.messages, func(m *queued) bool { return slices.Contains(m.receipts, e.ReceiptHandle) })
			switch {
			case i < 0 && action != "DeleteMessageBatch":
				failed = append(failed, entry{"Id": e.ID, "Code": "MessageNotInflight", "SenderFault": true})
				continue
			case i < 0:
			case q.failOne != nil && q.failOne(action, q.messages[i].body):
				failed = append(failed, entry{"Id": e.ID, "Code": "InternalError", "SenderFault": false})
				continue
			case action == "DeleteMessageBatch":
				q.deleted = append(q.deleted, q.messages[i].body)
				q.messages = slices.Delete(q.messages, i, i+1)
			default:
				q.extended[q.messages[i].body]++
			}
			done = append(done, entry{"Id": e.ID})
		}
		out["Successful"], out["Failed"] = done, failed
	case "GetQueueAttributes":
		out["Attributes"] = map[string]string{"VisibilityTimeout": "30"}
	default:
		w.WriteHeader(http.StatusBadRequest)
		return
	}
	_ = json.NewEncoder(w).Encode(out)
}

// eventually waits until something holds that other goroutines bring about.
func eventually(t *testing.T, what string, holds func() bool) {
	t.Helper()
	for end := time.Now().Add(4 * time.Minute); !holds(); {
		if time.Now().After(end) {
			t.Fatalf("%s did not come to be", what)
		}
		select {
		case <-time.After(2 * time.Millisecond):
		case <-t.Context().Done():
			t.Fatal(t.Context().Err())
		}
	}
}
