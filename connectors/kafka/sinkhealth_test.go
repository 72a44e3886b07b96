package kafka_test

import (
	"context"
	"errors"
	"fmt"
	"net"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/twmb/franz-go/pkg/kadm"
	"github.com/twmb/franz-go/pkg/kfake"
	"github.com/twmb/franz-go/pkg/kgo"
	"github.com/twmb/franz-go/pkg/kmsg"

	"github.com/leatdb/leat/engine"
	"github.com/leatdb/leat/sql/sqlerror"
)

// await waits until the status of stream s is as wanted.
func await(t testing.TB, db *engine.DB, what string, f func(engine.StreamStatus) bool) engine.StreamStatus {
	t.Helper()
	return awaitStatus(t, db, "s", what, f)
}

// awaitStatus waits until the status of a stream is as wanted.
func awaitStatus(t testing.TB, db *engine.DB, name, what string, f func(engine.StreamStatus) bool) engine.StreamStatus {
	t.Helper()
	again := time.NewTicker(10 * time.Millisecond)
	defer again.Stop()
	for deadline := time.Now().Add(patience); ; <-again.C {
		st, err := db.Status(name)
		if err != nil {
			t.Fatal(err)
		}
		if f(st) {
			return st
		}
		if time.Now().After(deadline) {
			t.Fatalf("stream %s is %s because of %v, want %s", name, st.State, st.Reason, what)
		}
	}
}

func running(st engine.StreamStatus) bool { return st.State == "RUNNING" && st.Reason == nil }

// A stream without records to write does not stay RETRYING for a broker that is
// gone when another one has taken over.
func TestSink_LeaderGone(t *testing.T) {
	c := cluster(t, kfake.NumBrokers(3), kfake.SeedTopics(1, "trips", "out"))
	db := openDB(t, filepath.Join(t.TempDir(), "data"))
	defer closeDB(t, db)
	setUp(t, c, db, ", connect_timeout = '2s'")
	exec(t, db, "CREATE STREAM s INTO k.out WITH (commit_interval = '20ms') AS SELECT id FROM trips")
	send(t, c, "trips", value(0))
	exec(t, db, "FLUSH STREAM s")
	gone := c.LeaderFor("out", 0)
	for _, topic := range []string{"trips", "__leat_positions"} {
		if err := c.MoveTopicPartition(topic, 0, (gone+1)%3); err != nil {
			t.Fatal(err)
		}
	}
	if err := c.RemoveNode(gone); err != nil {
		t.Fatal(err)
	}
	for i := 1; i < 20; i++ {
		send(t, c, "trips", value(i))
	}
	exec(t, db, "FLUSH STREAM s")
	await(t, db, "RUNNING", running)
	wantIDs(t, committed(t, c.ListenAddrs(), "out", 20), 20, -1)
}

// While no broker answers a stream says so, and goes on by itself when they do.
func TestSink_BrokersAway(t *testing.T) {
	c := cluster(t, kfake.SeedTopics(2, "trips", "out"))
	db := openDB(t, filepath.Join(t.TempDir(), "data"))
	defer closeDB(t, db)
	setUp(t, c, db, ", connect_timeout = '500ms'")
	exec(t, db, "CREATE STREAM s INTO k.out WITH (commit_interval = '20ms', key = 'id') AS SELECT id FROM trips")
	n := 0
	for _, key := range []kmsg.Key{kmsg.Produce, kmsg.EndTxn, kmsg.InitProducerID} {
		var away atomic.Bool
		c.ControlKey(int16(key), func(req kmsg.Request) (kmsg.Response, error, bool) {
			c.KeepControl()
			// What the source reads is written by another.
			switch r := req.(type) {
			case *kmsg.ProduceRequest:
				if r.TransactionID == nil {
					return nil, nil, false
				}
			case *kmsg.InitProducerIDRequest:
				if r.TransactionalID == nil {
					return nil, nil, false
				}
			}
			if away.Load() {
				return nil, errors.New("cut"), true
			}
			return nil, nil, false
		})
		away.Store(true)
		if key == kmsg.InitProducerID {
			exec(t, db, "STOP STREAM s")
			exec(t, db, "START STREAM s")
		}
		for range 10 {
			send(t, c, "trips", value(n))
			n++
		}
		st := await(t, db, "RETRYING", func(st engine.StreamStatus) bool { return st.State == "RETRYING" })
		if why := fmt.Sprint(st.Reason); !strings.Contains(why, "sink k") || st.Since.IsZero() {
			t.Errorf("%s: RETRYING since %v because of %s", key.Name(), st.Since, why)
		}
		away.Store(false)
		exec(t, db, "FLUSH STREAM s")
		await(t, db, "RUNNING", running)
	}
	wantIDs(t, committed(t, c.ListenAddrs(), "out", n), n, -1)
}

// Who takes a stream's transactional id and writes no positions has not taken the
// stream: it begins again, and nothing that the other aborted is missing.
func TestSink_TransactionalIDTaken(t *testing.T) {
	c := cluster(t, kfake.SeedTopics(2, "trips", "out"))
	db := openDB(t, filepath.Join(t.TempDir(), "data"))
	defer closeDB(t, db)
	setUp(t, c, db, "")
	exec(t, db, "CREATE STREAM s INTO k.out WITH (commit_interval = '20ms') AS SELECT id FROM trips")
	for i := range 30 {
		send(t, c, "trips", value(i))
		if i%10 == 5 {
			thief := client(t, c, kgo.TransactionalID("leat-s"))
			if _, _, err := thief.ProducerID(t.Context()); err != nil {
				t.Fatal(err)
			}
			thief.Close()
		}
	}
	exec(t, db, "FLUSH STREAM s")
	await(t, db, "RUNNING", running)
	wantIDs(t, committed(t, c.ListenAddrs(), "out", 30), 30, -1)
	if st, _ := db.Status("s"); st.Committed.Generation < 2 {
		t.Errorf("generation %d: nobody has taken the id", st.Committed.Generation)
	}
}

// A transaction that the cluster has given up is begun again from the last
// commit.
func TestSink_TransactionTimeout(t *testing.T) {
	c := cluster(t, kfake.SeedTopics(2, "trips", "out"))
	db := openDB(t, filepath.Join(t.TempDir(), "data"))
	defer closeDB(t, db)
	setUp(t, c, db, ", transaction_timeout = '1s'")
	// The writer is so slow between its first record and the commit that the
	// cluster gives the transaction up.
	var slow atomic.Int64
	admin := kadm.NewClient(client(t, c))
	c.ControlKey(int16(kmsg.EndTxn), func(kmsg.Request) (kmsg.Response, error, bool) {
		c.KeepControl()
		if slow.Add(-1) >= 0 {
			c.SleepControl(func() {
				for {
					all, err := admin.DescribeTransactions(t.Context(), "leat-s")
					if err != nil || all["leat-s"].State != "Ongoing" {
						return
					}
					<-time.After(10 * time.Millisecond)
				}
			})
		}
		return nil, nil, false
	})
	exec(t, db, "CREATE STREAM s INTO k.out WITH (commit_interval = '20ms') AS SELECT id FROM trips")
	send(t, c, "trips", value(0))
	exec(t, db, "FLUSH STREAM s")
	before, _ := db.Status("s")
	slow.Store(1)
	for i := 1; i < 10; i++ {
		send(t, c, "trips", value(i))
	}
	exec(t, db, "FLUSH STREAM s")
	wantIDs(t, committed(t, c.ListenAddrs(), "out", 10), 10, -1)
	if st := await(t, db, "RUNNING", running); st.Committed.Generation <= before.Committed.Generation {
		t.Errorf("generation %d after %d: no transaction was given up", st.Committed.Generation, before.Committed.Generation)
	}
}

// What CREATE refuses, ALTER does not let in.
func TestSink_AlterCommitInterval(t *testing.T) {
	c := cluster(t, kfake.SeedTopics(1, "trips", "out"))
	db := openDB(t, filepath.Join(t.TempDir(), "data"))
	defer closeDB(t, db)
	setUp(t, c, db, ", transaction_timeout = '10s'")
	exec(t, db, "CREATE STREAM s INTO k.out AS SELECT id FROM trips")
	err := try(t, db, "ALTER STREAM s SET (commit_interval = '6s')")
	if !sqlerror.HasCode(err, sqlerror.CodeBadOption) || !strings.Contains(err.Error(), "commit_interval 6s is more than half of transaction_timeout 10s") {
		t.Errorf("err=%v", err)
	}
	exec(t, db, "ALTER STREAM s SET (commit_interval = '5s')")
	if got := rows(t, db, "SHOW CREATE STREAM s"); len(got) != 1 || !strings.Contains(got[0], "'5s'") {
		t.Errorf("%q", got)
	}
}

// The commits of a stream into a topic are in leat.commits, with what its source
// has lost, over restarts.
func TestSink_Commits(t *testing.T) {
	c := cluster(t, kfake.SeedTopics(1, "trips", "out"))
	dir := filepath.Join(t.TempDir(), "data")
	db := openDB(t, dir)
	exec(t, db, fmt.Sprintf(`CREATE SOURCE trips (id BIGINT) WITH (connector = 'kafka', brokers = '%[1]s', topic = 'trips', on_data_loss = 'skip');
		CREATE SINK k WITH (connector = 'kafka', brokers = '%[1]s');
		CREATE STREAM other INTO k.out WITH (commit_interval = '25s') AS SELECT id FROM trips WHERE id < 0;
		CREATE STREAM s INTO k.out WITH (commit_interval = '25s') AS SELECT id FROM trips`, strings.Join(c.ListenAddrs(), ",")))
	send(t, c, "trips", `{"id":1}`, `{"id":"x"}`, `{"id":2}`)
	exec(t, db, "FLUSH STREAM s")
	send(t, c, "trips", `{"id":3}`)
	exec(t, db, "FLUSH STREAM s")
	closeDB(t, db)
	send(t, c, "trips", `{"id":4}`, `{"id":5}`)
	admin := kadm.NewClient(client(t, c))
	if _, err := admin.DeleteRecords(t.Context(), kadm.Offsets{"trips": {0: {Topic: "trips", At: 5}}}); err != nil {
		t.Fatal(err)
	}
	db = openDB(t, dir)
	defer closeDB(t, db)
	exec(t, db, "FLUSH STREAM s")
	got := rows(t, db, "SELECT `database`, `table`, generation, epoch, rows_landed, rows_dead, data_loss IS NULL, committed_at IS NULL OR completed_at IS NULL FROM leat.commits WHERE stream = 's' AND rows_landed > 0 ORDER BY epoch")
	if want := []string{"k|out|1|1|2|1|true|false", "k|out|1|2|1|0|true|false", "k|out|2|3|1|0|false|false"}; !slices.Equal(got, want) {
		t.Errorf("commits %q, want %q", got, want)
	}
	if got := rows(t, db, "SELECT data_loss FROM leat.commits WHERE stream = 's' AND epoch = 3"); len(got) != 1 || !strings.Contains(got[0], `"records":1`) {
		t.Errorf("data loss %q", got)
	}
	if got := rows(t, db, "SELECT positions FROM leat.commits WHERE stream = 's' AND generation = 1 AND epoch = 2"); len(got) != 1 || !strings.Contains(got[0], `offset`) {
		t.Errorf("positions %q", got)
	}
	if got := rows(t, db, "SELECT COUNT(*) > 1 FROM leat.commits WHERE stream = 'other'"); !slices.Equal(got, []string{"true"}) {
		t.Errorf("other: %q", got)
	}
}

// quiet is a network on which a server's answers wait while it is held.
type quiet struct {
	mu    sync.Mutex
	talks chan struct{} // closed while it is not held
}

func newQuiet() *quiet {
	q := &quiet{talks: make(chan struct{})}
	close(q.talks)
	return q
}

func (q *quiet) hold() {
	q.mu.Lock()
	defer q.mu.Unlock()
	q.talks = make(chan struct{})
}

func (q *quiet) release() {
	q.mu.Lock()
	defer q.mu.Unlock()
	select {
	case <-q.talks:
	default:
		close(q.talks)
	}
}

func (q *quiet) listen(network, address string) (net.Listener, error) {
	l, err := net.Listen(network, address)
	return quietListener{l, q}, err
}

type quietListener struct {
	net.Listener
	q *quiet
}

func (l quietListener) Accept() (net.Conn, error) {
	c, err := l.Listener.Accept()
	if err != nil {
		return nil, err
	}
	return quietConn{c, l.q}, nil
}

type quietConn struct {
	net.Conn
	q *quiet
}

func (c quietConn) Write(p []byte) (int, error) {
	c.q.mu.Lock()
	talks := c.q.talks
	c.q.mu.Unlock()
	<-talks
	return c.Conn.Write(p)
}

// Brokers that take connections and requests and do not answer make a stream that
// reads from them, and one that writes to them, RETRYING; both go on by
// themselves, also one that is started meanwhile.
func TestBrokersSilent(t *testing.T) {
	network := newQuiet()
	c := cluster(t, kfake.SeedTopics(2, "trips", "out"), kfake.ListenFn(network.listen))
	t.Cleanup(network.release)
	db := openDB(t, filepath.Join(t.TempDir(), "data"))
	defer closeDB(t, db)
	brokers := strings.Join(c.ListenAddrs(), ",")
	exec(t, db, fmt.Sprintf(`CREATE SOURCE trips (id BIGINT) WITH (connector = 'kafka', brokers = '%s', topic = 'trips', connect_timeout = '5s', discovery_interval = '10m');
		CREATE SOURCE made (id BIGINT) WITH (connector = 'push');
		CREATE SINK k WITH (connector = 'kafka', brokers = '%[1]s', connect_timeout = '5s', commit_interval = '20ms');
		CREATE STREAM reader INTO lake.reader WITH (commit_interval = '20ms') AS SELECT id FROM trips;
		CREATE STREAM writer INTO k.out AS SELECT id FROM made;
		CREATE STREAM later INTO lake.later WITH (commit_interval = '20ms') AS SELECT id FROM trips`, brokers))
	src, err := db.Source("made")
	if err != nil {
		t.Fatal(err)
	}
	made := func(id int) {
		t.Helper()
		if err := src.Send(t.Context(), fmt.Appendf(nil, `{"id":%d}`, id)); err != nil {
			t.Fatal(err)
		}
	}
	streams := []string{"reader", "writer", "later"}
	send(t, c, "trips", value(0))
	made(0)
	for _, name := range streams {
		exec(t, db, "FLUSH STREAM "+name)
	}
	exec(t, db, "STOP STREAM later")
	network.hold()
	begun := time.Now()
	started := make(chan error, 1)
	go func() { started <- db.Exec(t.Context(), "START STREAM later") }()
	made(1)
	for _, name := range streams {
		st := awaitStatus(t, db, name, "RETRYING", func(st engine.StreamStatus) bool { return st.State == "RETRYING" })
		if st.Reason == nil || st.Since.Before(begun) {
			t.Errorf("%s is RETRYING since %v because %v", name, st.Since, st.Reason)
		}
	}
	network.release()
	if err := <-started; err != nil {
		t.Error(err)
	}
	send(t, c, "trips", value(1))
	for _, name := range streams {
		awaitStatus(t, db, name, "RUNNING", func(st engine.StreamStatus) bool { return running(st) && st.Committed.Counters.RowsLanded == 2 })
	}
	wantIDs(t, committed(t, c.ListenAddrs(), "out", 2), 2, -1)
}

// DROP STREAM into brokers that do not answer ends with an error that says so, and
// the stream stays.
func TestSink_DropAway(t *testing.T) {
	network := newQuiet()
	c := cluster(t, kfake.SeedTopics(1, "out"), kfake.ListenFn(network.listen))
	t.Cleanup(network.release)
	db := openDB(t, filepath.Join(t.TempDir(), "data"))
	defer closeDB(t, db)
	exec(t, db, fmt.Sprintf(`CREATE SOURCE made (id BIGINT) WITH (connector = 'push');
		CREATE SINK k WITH (connector = 'kafka', brokers = '%s', commit_interval = '20ms');
		CREATE STREAM s INTO k.out AS SELECT id FROM made`, strings.Join(c.ListenAddrs(), ",")))
	src, err := db.Source("made")
	if err == nil {
		err = src.Send(t.Context(), []byte(`{"id":1}`))
	}
	if err != nil {
		t.Fatal(err)
	}
	exec(t, db, "FLUSH STREAM s")
	network.hold()
	// Only what hangs for ever takes as long.
	ctx, cancel := context.WithTimeout(t.Context(), 2*time.Minute)
	defer cancel()
	err = db.Exec(ctx, "DROP STREAM s")
	network.release()
	if err == nil || errors.Is(err, context.Canceled) || !strings.Contains(err.Error(), "sink k does not answer within 15s") || !strings.Contains(err.Error(), "CREATE OR REPLACE the sink") {
		t.Errorf("DROP STREAM = %v", err)
	}
	await(t, db, "RUNNING", running)
	exec(t, db, "DROP STREAM s")
}
