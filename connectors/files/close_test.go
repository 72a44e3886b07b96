package files_test

import (
	"testing"

	"github.com/leatdb/leat/internal/awsconn/awsconntest"
)

// A source that is closed ends its connections to the bucket and to the queue, also
// those that its transports keep for later.
func TestClose_EndsConnections(t *testing.T) {
	b, q := newFakeBucket(t), newFakeQueue(t)
	toBucket, toQueue := awsconntest.NewServer(t, b), awsconntest.NewServer(t, q)
	b.url, q.url = toBucket.URL, toQueue.URL+"/123456789012/objects"
	b.put("in/a", "1\n")
	r := openTold(t, b, q, nil, "/in/")
	r.told(1)
	b.put("in/b", "2\n")
	q.send(put("in/b"))
	r.told(2)
	r.close()
	if toBucket.AwaitClosed() == 0 || toQueue.AwaitClosed() == 0 {
		t.Error("no connection went this way")
	}
}
