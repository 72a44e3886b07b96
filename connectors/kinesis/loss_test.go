package kinesis_test

import (
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/leatdb/leat/connectors"
	"github.com/leatdb/leat/connectors/kinesis/kinesistest"
	"github.com/leatdb/leat/sql/sqlerror"
)

// absence is a stream that was read for a while, with a clock that goes by
// itself, and what has happened since.
type absence struct {
	t     *testing.T
	s     *kinesistest.Server
	clock *clock
	known connectors.Positions
	way   []string
}

func away(t *testing.T, shards int, way ...string) *absence {
	t.Helper()
	a := &absence{t: t, s: server(t), clock: newClock(), way: way}
	a.s.SetClock(a.clock.Now)
	a.s.CreateStream("trips", shards)
	put(a.s, 0, 100)
	r := a.reader()
	if err := r.discover(true, nil); err != nil {
		t.Fatal(err)
	}
	r.flush()
	a.known = r.src.Positions()
	r.close()
	return a
}

func (a *absence) reader(more ...string) *reader {
	return newReader(a.t, connectors.SourceConfig{Options: options(a.s.URL(), append(a.way, more...)...), Lanes: 1, Now: a.clock.Now})
}

func (a *absence) split(id string) {
	a.t.Helper()
	if err := a.s.Split("trips", id); err != nil {
		a.t.Fatal(err)
	}
}

// returns resumes: first with on_data_loss = 'fail', then with 'skip', and
// compares what is read and why something was lost (in part, one for each loss).
func (a *absence) returns(values []string, reasons ...string) {
	a.t.Helper()
	r := a.reader()
	err := r.discover(false, a.known)
	for err == nil && len(reasons) > 0 {
		var c connectors.Chunk
		err = r.poll(0, &c)
	}
	if len(reasons) > 0 && (!sqlerror.HasCode(err, sqlerror.CodeDataLoss) || sqlerror.IsRetryable(err) || !strings.Contains(sqlerror.As(err).Hint, "on_data_loss = 'skip'")) {
		a.t.Errorf("err=%v, want a loss", err)
	}
	if len(reasons) == 0 && err != nil {
		a.t.Errorf("err=%v", err)
	}
	r.close()

	r = a.reader("on_data_loss", "skip")
	defer r.close()
	if err := r.discover(false, a.known); err != nil {
		a.t.Fatal(err)
	}
	r.flush()
	r.wantAll(values)
	lost := r.lost()
	if len(lost) != len(reasons) {
		a.t.Fatalf("lost %+v, want %q", lost, reasons)
	}
	for _, reason := range reasons {
		i := slices.IndexFunc(lost, func(l connectors.DataLoss) bool { return strings.Contains(l.Reason, reason) && l.Records == -1 })
		if i < 0 {
			a.t.Fatalf("lost %+v, want %q", lost, reason)
		}
		lost = slices.Delete(lost, i, i+1)
	}
	// It is told once: the position that follows knows of it.
	known := r.src.Positions()
	again := a.reader()
	defer again.close()
	if err := again.discover(false, known); err != nil {
		a.t.Errorf("after the loss: %v", err)
	}
	again.flush()
	again.want(nil)
}

func TestSource_DataLoss(t *testing.T) { eachWay(t, testDataLoss) }

func testDataLoss(t *testing.T, way ...string) {
	t.Run("NotYet", func(t *testing.T) {
		a := away(t, 1, way...)
		put(a.s, 100, 200)
		a.clock.advance(23 * time.Hour)
		put(a.s, 200, 300)
		a.returns(numbers(100, 300))
	})
	t.Run("RetentionPassed", func(t *testing.T) {
		a := away(t, 1, way...)
		put(a.s, 100, 200)
		a.clock.advance(25 * time.Hour)
		put(a.s, 200, 300)
		a.returns(numbers(200, 300), "may have been removed before they were read: the stream keeps them for 24h")
	})
	t.Run("LongerRetention", func(t *testing.T) {
		a := away(t, 1, way...)
		a.s.SetRetention("trips", 72*time.Hour)
		put(a.s, 100, 200)
		a.clock.advance(48 * time.Hour)
		put(a.s, 200, 300)
		a.returns(numbers(100, 300))
	})
	t.Run("UnreadShardExpired", func(t *testing.T) {
		a := away(t, 1, way...)
		put(a.s, 100, 200)
		a.split("shardId-000000000000")
		put(a.s, 200, 300)
		a.clock.advance(25 * time.Hour)
		put(a.s, 300, 400)
		a.returns(numbers(300, 400), "the shard has expired before it was read to its end")
	})
	// A whole generation came and went.
	t.Run("UnseenShardsExpired", func(t *testing.T) {
		a := away(t, 1, way...)
		a.split("shardId-000000000000")
		r := a.reader()
		if err := r.discover(false, a.known); err != nil {
			t.Fatal(err)
		}
		r.flush()
		a.known = r.src.Positions()
		r.close()
		a.split("shardId-000000000001")
		a.split("shardId-000000000003")
		a.clock.advance(25 * time.Hour)
		a.split("shardId-000000000002")
		put(a.s, 300, 400)
		a.returns(numbers(300, 400), "shard has expired before", "may have been removed", "came and expired without")
	})
	t.Run("Recreated", func(t *testing.T) {
		a := away(t, 2, way...)
		a.s.DeleteStream("trips")
		a.clock.advance(time.Second)
		a.s.CreateStream("trips", 1)
		put(a.s, 500, 600)
		a.returns(numbers(500, 600), "deleted and created again", "deleted and created again")
	})
	t.Run("RecreatedWhileRunning", func(t *testing.T) {
		a := away(t, 2, way...)
		r := a.reader("on_data_loss", "skip")
		defer r.close()
		if err := r.discover(false, a.known); err != nil {
			t.Fatal(err)
		}
		put(a.s, 100, 200)
		r.flush()
		a.s.DeleteStream("trips")
		r.tellings(func(err error) bool { return sqlerror.HasCode(err, sqlerror.CodeUnknownObject) })
		a.clock.advance(time.Second)
		a.s.CreateStream("trips", 1)
		put(a.s, 500, 600)
		for len(r.src.Positions()) != 1 {
			if err := r.discover(false, r.src.Positions()); err != nil && !sqlerror.IsRetryable(err) {
				t.Fatal(err)
			}
		}
		r.flush()
		r.wantAll(append(numbers(100, 200), numbers(500, 600)...))
		if lost := r.lost(); len(lost) != 2 {
			t.Errorf("lost %+v", lost)
		}
		r.tellings(func(err error) bool { return err == nil })
	})
	t.Run("UnknownSequence", func(t *testing.T) {
		a := away(t, 1, way...)
		for id, at := range a.known {
			i := strings.Index(string(at), `"after":"`) + len(`"after":"`)
			a.known[id] = at[:i] + "7777" + at[i+4:]
		}
		a.returns(numbers(0, 100), "does not know the sequence number")
	})
}

// A shard without records does not look lost after a day: its position moves on.
func TestSource_IdleShardStaysKnown(t *testing.T) {
	a := away(t, 1)
	r := a.reader()
	defer r.close()
	if err := r.discover(false, a.known); err != nil {
		t.Fatal(err)
	}
	for range 30 {
		a.clock.advance(time.Hour)
		var c connectors.Chunk
		if err := r.poll(0, &c); err != nil {
			t.Fatal(err)
		}
		if len(c.Records) != 0 || len(c.Data) != 0 {
			t.Fatalf("%d records", len(c.Records))
		}
	}
	a.known = r.src.Positions()
	put(a.s, 100, 200)
	a.returns(numbers(100, 200))
}

// Shards that were read are remembered as long as the stream lists them, and
// forgotten afterwards.
func TestSource_FinishedShards(t *testing.T) { eachWay(t, testFinishedShards) }

func testFinishedShards(t *testing.T, way ...string) {
	a := away(t, 1, way...)
	a.split("shardId-000000000000")
	put(a.s, 100, 200)
	r := a.reader()
	if err := r.discover(false, a.known); err != nil {
		t.Fatal(err)
	}
	r.flush()
	r.wantAll(numbers(100, 200))
	a.known = r.src.Positions()
	r.close()
	if len(a.known) != 3 || !strings.Contains(string(a.known["shardId-000000000000"]), "finished") {
		t.Fatalf("known %v", a.known)
	}
	a.clock.advance(23 * time.Hour)
	put(a.s, 200, 300)
	r = a.reader()
	if err := r.discover(false, a.known); err != nil {
		t.Fatal(err)
	}
	r.flush()
	r.wantAll(numbers(200, 300))
	if p := r.src.Positions(); len(p) != 3 {
		t.Errorf("known %v", p)
	}
	a.clock.advance(2 * time.Hour)
	if err := r.discover(false, r.src.Positions()); err != nil {
		t.Fatal(err)
	}
	a.known = r.src.Positions()
	r.close()
	if _, ok := a.known["shardId-000000000000"]; ok || len(a.known) != 2 {
		t.Errorf("known %v", a.known)
	}
	put(a.s, 300, 400)
	a.returns(numbers(300, 400))
}
