package protocol_test

import (
	"encoding/json"
	"fmt"
	"maps"
	"math/rand/v2"
	"reflect"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/leatdb/leat/connectors"
	"github.com/leatdb/leat/connectors/lake/protocol"
	"github.com/leatdb/leat/sql/sqlerror"
)

func record(generation int64, instance string, epoch int64) *protocol.Record {
	return &protocol.Record{V: 1, ID: "life", Generation: generation, Instance: instance, Epoch: epoch}
}

// A record of before commits had a time is read as one without, and stays without
// until the next epoch: a start keeps the time of the last one.
func TestRecord_CommittedAt(t *testing.T) {
	const old = `{"v":1,"id":"life","generation":1,"instance":"a","epoch":2,"counters":{"records_in":0,"records_empty":0,"rows_in":0,"rows_exploded":0,"rows_landed":0,"rows_filtered":0,"rows_dead":0}}`
	at := time.Date(2026, 7, 1, 10, 0, 0, 5e6, time.UTC)
	for name, found := range map[string]time.Time{"unknown": {}, "known": at} {
		r, err := protocol.Decode(old)
		if err != nil {
			t.Fatal(err)
		}
		r.CommittedAt = found
		if text, err := r.Encode(); err != nil || found.IsZero() && text != old || !found.IsZero() && !strings.Contains(text, `"committed_at":"2026-07-01T10:00:00.005Z"`) {
			t.Errorf("%s: encoded as %s, %v", name, text, err)
		}
		started := protocol.Rules{}.Start(r, "life", "b", nil)
		if text, err := started.Encode(); err != nil {
			t.Error(err)
		} else if back, err := protocol.Decode(text); err != nil || !back.State().CommittedAt.Equal(found) {
			t.Errorf("%s: after a start it is %+v, %v", name, back, err)
		}
	}
}

func TestRecord_RoundTrip(t *testing.T) {
	r := protocol.Record{
		V: 1, ID: "x", Generation: 3, Instance: "i", Epoch: 17,
		Positions: map[string]connectors.Positions{"trips": {"trips/0": `{"offset":5}`, "trips/1": ""}},
		Counters:  connectors.Counters{RowsIn: 10, RowsLanded: 8, RowsFiltered: 1, RowsDead: 1},
		Pending:   &protocol.Pending{Epoch: 17, DeadLetters: []protocol.File{{Path: "s3://b/x", Rows: 1, Bytes: 99}}},
		Operators: json.RawMessage(`{"file":"y"}`), Columns: []int{1, 4},
	}
	text, err := r.Encode()
	if err != nil {
		t.Fatal(err)
	}
	for _, name := range []string{`"v":1`, `"generation":3`, `"epoch":17`, `"positions":`, `"counters":`, `"pending":`, `"operator_state":`} {
		if !strings.Contains(text, name) {
			t.Errorf("%s is not in %s", name, text)
		}
	}
	back, err := protocol.Decode(text)
	if err != nil || !reflect.DeepEqual(*back, r) {
		t.Errorf("Decode = %+v, %v, want %+v", back, err, r)
	}
	state := r.State()
	if state.Generation != 3 || state.Epoch != 17 || state.Counters != r.Counters || string(state.Operators) != `{"file":"y"}` || state.Positions["trips"]["trips/0"] == "" {
		t.Errorf("State = %+v", state)
	}
}

func TestDecode_Refuses(t *testing.T) {
	f := func(text string, want sqlerror.Code) {
		t.Helper()
		r, err := protocol.Decode(text)
		if e := sqlerror.As(err); r != nil || e == nil || e.Code != want || e.Hint == "" || e.Retryable {
			t.Errorf("Decode(%q) = %v, %v", text, r, err)
		}
	}
	f(`{"v":3,"generation":"something else"}`, sqlerror.CodeUnsupported)
	f(`{"v":1}`, sqlerror.CodeConflict)
	f(`{"v":0,"id":"x","instance":"i","generation":1}`, sqlerror.CodeConflict)
	f(`{"v":1,"id":"x","instance":"i","generation":1,"epoch":-1}`, sqlerror.CodeConflict)
	f(`{"v":1,"id":"x","instance":"i","generation":1,"epoch":2,"pending":{"epoch":3}}`, sqlerror.CodeConflict)
	f(`not json`, sqlerror.CodeConflict)
	f(`{"v":1,"epoch":{}}`, sqlerror.CodeConflict)
	if r, err := protocol.Decode(""); r != nil || err != nil {
		t.Errorf("Decode of nothing = %v, %v", r, err)
	}
}

func TestStart(t *testing.T) {
	first := protocol.Start(nil, "life", "i1", []int{1, 2})
	if first.Generation != 1 || first.Epoch != 0 || first.ID != "life" || first.Instance != "i1" {
		t.Errorf("first start: %+v", first)
	}
	found := *record(4, "i4", 9)
	found.Pending = &protocol.Pending{Epoch: 9}
	found.Counters.RowsIn = 5
	found.Columns = []int{1, 2}
	next := protocol.Start(&found, "other", "i5", []int{2, 3})
	want := found
	want.Generation, want.Instance, want.Columns = 5, "i5", []int{1, 2, 3}
	if !reflect.DeepEqual(next, want) {
		t.Errorf("next start: %+v, want %+v", next, want)
	}
}

func TestNext(t *testing.T) {
	base := *record(2, "i", 5)
	base.PositionsFile, base.Pending = "old", &protocol.Pending{Epoch: 5}
	state := connectors.State{Generation: 2, Epoch: 6, Positions: map[string]connectors.Positions{"s": {"0": "p"}}, Counters: connectors.Counters{RowsIn: 1}}
	next, err := protocol.Next(base, state, nil)
	if err != nil || next.Epoch != 6 || next.PositionsFile != "" || next.Pending != nil || next.ID != base.ID || next.Instance != "i" || next.Counters.RowsIn != 1 {
		t.Errorf("Next = %+v, %v", next, err)
	}
	for _, bad := range []connectors.State{{Generation: 2, Epoch: 5}, {Generation: 2, Epoch: 7}, {Generation: 1, Epoch: 6}, {Generation: 3, Epoch: 6}} {
		if _, err := protocol.Next(base, bad, nil); err == nil || sqlerror.IsRetryable(err) {
			t.Errorf("Next to %+v: %v", bad, err)
		}
	}
}

// TestDecideCommit covers every relation of the found record to the commit of
// generation 5, instance "me", epoch 8 over 7.
func TestDecideCommit(t *testing.T) {
	base, next := *record(5, "me", 7), *record(5, "me", 8)
	f := func(found *protocol.Record, want protocol.Verdict) {
		t.Helper()
		if got := protocol.DecideCommit(base, next, found); got != want {
			t.Errorf("found %+v: %v, want %v", found, got, want)
		}
	}
	f(nil, protocol.Gone)
	f(record(5, "me", 7), protocol.Try)
	f(record(5, "me", 8), protocol.Done)
	f(record(5, "me", 6), protocol.Rolled)
	f(record(5, "me", 9), protocol.Fenced)
	for epoch := range int64(12) {
		f(record(6, "other", epoch), protocol.Fenced)
		f(record(5, "other", epoch), protocol.Fenced)
		f(record(4, "other", epoch), protocol.Rolled)
		f(record(4, "me", epoch), protocol.Rolled)
		again := record(5, "me", epoch)
		again.ID = "another life"
		f(again, protocol.Fenced)
	}
}

func TestDecideStart(t *testing.T) {
	next := protocol.Start(record(5, "old", 7), "", "me", nil)
	f := func(found *protocol.Record, want protocol.Verdict) {
		t.Helper()
		if got := protocol.DecideStart(next, found); got != want {
			t.Errorf("found %+v: %v, want %v", found, got, want)
		}
	}
	f(nil, protocol.Try)
	f(record(5, "old", 7), protocol.Try)
	f(record(5, "old", 8), protocol.Try)   // the predecessor went on
	f(record(6, "other", 7), protocol.Try) // another start was faster
	f(record(6, "me", 7), protocol.Done)
}

func TestDecideDrop(t *testing.T) {
	base := *record(5, "me", 7)
	f := func(found *protocol.Record, want protocol.Verdict) {
		t.Helper()
		if got := protocol.DecideDrop(base, found); got != want {
			t.Errorf("found %+v: %v, want %v", found, got, want)
		}
	}
	f(nil, protocol.Done)
	f(record(5, "me", 7), protocol.Try)
	f(record(6, "other", 7), protocol.Fenced)
	f(record(5, "me", 8), protocol.Fenced)
	f(record(5, "me", 6), protocol.Rolled)
}

func TestVerdict_Err(t *testing.T) {
	found := record(6, "other", 7)
	f := func(v protocol.Verdict, want sqlerror.Code) {
		t.Helper()
		err := v.Err("s", found)
		if want == "" {
			if err != nil {
				t.Errorf("%v: %v", v, err)
			}
			return
		}
		if e := sqlerror.As(err); e == nil || e.Code != want || e.Retryable || e.Hint == "" {
			t.Errorf("%v: %v, want %s", v, err, want)
		}
	}
	f(protocol.Try, "")
	f(protocol.Done, "")
	f(protocol.Fenced, sqlerror.CodeFenced)
	f(protocol.Gone, sqlerror.CodeFenced)
	f(protocol.Rolled, sqlerror.CodeConflict)
}

func TestDecidePublish(t *testing.T) {
	r := *record(5, "me", 7)
	f := func(pending int64, mark string, want protocol.Verdict) {
		t.Helper()
		r.Pending = nil
		if pending > 0 {
			r.Pending = &protocol.Pending{Epoch: pending}
		}
		v, next, err := protocol.DecidePublish(r, mark)
		if err != nil || v != want || v == protocol.Try && next == "" {
			t.Errorf("pending %d over %q: %v, %q, %v, want %v", pending, mark, v, next, err, want)
		}
		if v == protocol.Try {
			if again, _, err := protocol.DecidePublish(r, next); err != nil || again != protocol.Done {
				t.Errorf("published twice over %q: %v, %v", next, again, err)
			}
		}
	}
	f(0, "", protocol.Done)
	f(7, "", protocol.Try)
	f(7, `{"v":1,"generation":4,"epoch":6}`, protocol.Try)
	f(7, `{"v":1,"generation":4,"epoch":7}`, protocol.Done)
	f(7, `{"v":1,"generation":9,"epoch":50}`, protocol.Done)
	r.Pending = &protocol.Pending{Epoch: 7}
	if _, _, err := protocol.DecidePublish(r, "x"); err == nil {
		t.Error("a broken mark was accepted")
	}
	if protocol.MarkKey("s", "a") == protocol.MarkKey("s", "b") || !protocol.IsMarkKey(protocol.MarkKey("s", "a")) {
		t.Error("marks of two lives share a property")
	}
}

func TestPositions(t *testing.T) {
	r := *record(1, "i", 1)
	r.Positions = map[string]connectors.Positions{"s": {"0": "p"}}
	if text, err := protocol.SplitPositions(&r); text != nil || err != nil || r.Positions == nil {
		t.Errorf("short positions were split off: %s, %v", text, err)
	}
	long := connectors.Positions{}
	for i := range 2000 {
		long[fmt.Sprint("split", i)] = connectors.Position(fmt.Sprint(i))
	}
	r.Positions = map[string]connectors.Positions{"s": long}
	text, err := protocol.SplitPositions(&r)
	if err != nil || len(text) <= protocol.MaxInlinePositions || r.Positions != nil {
		t.Fatalf("long positions were not split off: %d bytes, %v", len(text), err)
	}
	if err := protocol.JoinPositions(&r, text); err != nil || !maps.Equal(r.Positions["s"], long) {
		t.Errorf("joined positions differ: %v", err)
	}
	if err := protocol.JoinPositions(&r, []byte("x")); err == nil {
		t.Error("a broken file was accepted")
	}
}

func TestStreams(t *testing.T) {
	got := protocol.Streams(map[string]string{"leat.stream.b": "", "leat.stream.a.c": "", "leat.type.1": "", "x": ""})
	if !slices.Equal(got, []string{"a.c", "b"}) {
		t.Errorf("Streams = %v", got)
	}
}

// table is a catalog that compares and swaps, loses answers, and delays
// nothing.
type table struct {
	found   *protocol.Record
	landed  []int64 // rows: epochs in the order they landed
	version int
}

// instance is a committer that knows only what it read.
type instance struct {
	name   string
	base   protocol.Record
	seen   int // the table's version it decided on
	next   *protocol.Record
	start  bool
	state  string // "", running, stopped
	landed []int64
}

// TestSimulation lets instances start, commit, lose answers and sleep in a
// random order over one table and checks that epochs land once, in order, that
// only one instance goes on, and that whoever thinks to have committed has.
func TestSimulation(t *testing.T) {
	for seed := range uint64(3000) {
		r := rand.New(rand.NewPCG(seed, 0))
		tbl := &table{}
		var all []*instance
		for step := range 60 {
			if len(all) == 0 || r.IntN(15) == 0 {
				all = append(all, &instance{name: fmt.Sprint("i", len(all))})
			}
			in := all[r.IntN(len(all))]
			if in.state == "stopped" {
				continue
			}
			act(t, r, seed, step, tbl, in)
		}
		running := 0
		for _, in := range all {
			if in.state == "running" && tbl.found.Instance == in.name {
				running++
			}
		}
		if running > 1 {
			t.Fatalf("seed %d: %d instances hold generation %d", seed, running, tbl.found.Generation)
		}
		for i, epoch := range tbl.landed {
			if epoch != int64(i+1) {
				t.Fatalf("seed %d: landed %v", seed, tbl.landed)
			}
		}
	}
}

// act does one attempt of an instance: read, decide, commit, and perhaps lose
// the answer or fall asleep between deciding and committing.
func act(t *testing.T, r *rand.Rand, seed uint64, step int, tbl *table, in *instance) {
	if in.next == nil || in.seen < 0 {
		// Read and decide.
		found := tbl.found
		switch {
		case in.state == "":
			if in.next != nil {
				if protocol.DecideStart(*in.next, found) == protocol.Done {
					in.base, in.next, in.state = *found, nil, "running"
					return
				}
			}
			next := protocol.Start(found, "life", in.name, nil)
			in.next, in.start = &next, true
		default:
			if in.next == nil {
				next, err := protocol.Next(in.base, connectors.State{Generation: in.base.Generation, Epoch: in.base.Epoch + 1}, nil)
				if err != nil {
					t.Fatal(err)
				}
				in.next, in.start = &next, false
			}
			switch v := protocol.DecideCommit(in.base, *in.next, found); v {
			case protocol.Done:
				in.landed = append(in.landed, in.next.Epoch)
				in.base, in.next = *in.next, nil
				return
			case protocol.Try:
			case protocol.Fenced:
				if found.Instance == in.name {
					t.Fatalf("seed %d step %d: %s was fenced by itself", seed, step, in.name)
				}
				in.state = "stopped"
				return
			default:
				t.Fatalf("seed %d step %d: %v", seed, step, v)
			}
		}
		in.seen = tbl.version
		if r.IntN(3) == 0 {
			return // asleep; the commit is sent at its next turn
		}
	}
	// Commit: the catalog compares what was seen.
	won := in.seen == tbl.version
	if won {
		copied := *in.next
		tbl.found = &copied
		tbl.version++
		if !in.start {
			tbl.landed = append(tbl.landed, in.next.Epoch)
		}
	}
	in.seen = -1 // whatever the answer: read again and decide
	if won && r.IntN(3) > 0 {
		// The answer came.
		if !in.start {
			in.landed = append(in.landed, in.next.Epoch)
		}
		in.base, in.next, in.state = *in.next, nil, "running"
	}
}

func FuzzDecode(f *testing.F) {
	f.Add(`{"v":1,"id":"x","instance":"i","generation":1,"epoch":2,"counters":{}}`)
	f.Add(`{"v":99}`)
	f.Fuzz(func(t *testing.T, text string) {
		r, err := protocol.Decode(text)
		if err != nil || r == nil {
			return
		}
		again, err := r.Encode()
		if err != nil {
			return // operator_state may hold anything
		}
		if back, err := protocol.Decode(again); err != nil || back.Epoch != r.Epoch || back.Generation != r.Generation {
			t.Errorf("%s became %s, %v", text, again, err)
		}
	})
}
