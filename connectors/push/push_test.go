package push_test

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"math"
	"slices"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/apache/arrow-go/v18/arrow"
	"github.com/apache/arrow-go/v18/arrow/array"
	"github.com/apache/arrow-go/v18/arrow/decimal128"
	"github.com/apache/arrow-go/v18/arrow/memory"

	"github.com/leatdb/leat/connectors"
	"github.com/leatdb/leat/connectors/push"
	"github.com/leatdb/leat/sql/sqlerror"
	"github.com/leatdb/leat/sql/types"
)

// stream reads a hub as a stream does.
type stream struct {
	t     testing.TB
	src   connectors.Source
	state connectors.Positions // committed
	got   []string             // split:offset=payload
}

func open(t testing.TB, hub *push.Hub, name string, options ...string) connectors.Source {
	t.Helper()
	src, err := tryOpen(t, hub, name, options...)
	if err != nil {
		t.Fatal(err)
	}
	return src
}

func tryOpen(t testing.TB, hub *push.Hub, name string, options ...string) (connectors.Source, error) {
	return push.Connector.Open(t.Context(), connectors.SourceConfig{
		Name: "clicks", Stream: name, Handle: hub, Options: push.Connector.Spec.MustOptions(options...),
	})
}

// begin starts a stream, or resumes it from state.
func begin(t testing.TB, hub *push.Hub, name string, state connectors.Positions, options ...string) *stream {
	t.Helper()
	s := &stream{t: t, src: open(t, hub, name, options...), state: state}
	if state == nil {
		s.state = connectors.Positions{}
		s.splits(true)
	}
	s.discover()
	return s
}

func (s *stream) splits(first bool) {
	s.t.Helper()
	splits, err := s.src.Splits(s.t.Context(), first, s.state)
	if err != nil {
		s.t.Fatal(err)
	}
	for _, split := range splits {
		if _, ok := s.state[split.ID]; !ok {
			s.state[split.ID] = split.Start
		}
	}
}

func (s *stream) discover() {
	s.t.Helper()
	s.splits(false)
	if err := s.src.Assign(s.t.Context(), s.state); err != nil {
		s.t.Fatal(err)
	}
}

// read takes payloads until n have come.
func (s *stream) read(n int) {
	s.t.Helper()
	var c connectors.Chunk
	for len(s.got) < n {
		ctx, cancel := context.WithTimeout(s.t.Context(), 4*time.Minute)
		err := s.src.Poll(ctx, 0, &c)
		cancel()
		if err != nil {
			s.t.Fatalf("after %q: %v", s.got, err)
		}
		if cap(c.Data) < len(c.Data)+connectors.Padding {
			s.t.Errorf("no padding behind %d bytes", len(c.Data))
		}
		for _, r := range c.Records {
			s.got = append(s.got, fmt.Sprintf("%s:%d=%s", c.Split, r.Offset, c.Data[r.Start:r.End]))
			if r.Arrived == 0 {
				s.t.Error("no time of arrival")
			}
		}
	}
}

func (s *stream) want(payloads ...string) {
	s.t.Helper()
	if len(s.got) < len(payloads) {
		s.read(len(payloads))
	}
	if !slices.Equal(s.got, payloads) {
		s.t.Errorf("got %q, want %q", s.got, payloads)
	}
	s.got = nil
}

func (s *stream) commit() {
	s.state = s.src.Positions()
	s.src.(connectors.Acknowledger).Committed(s.state)
}

func (s *stream) close() {
	s.t.Helper()
	if err := s.src.Close(); err != nil {
		s.t.Error(err)
	}
}

func send(t testing.TB, hub *push.Hub, payloads ...string) {
	t.Helper()
	for _, p := range payloads {
		if err := hub.Send(t.Context(), []byte(p)); err != nil {
			t.Fatal(err)
		}
	}
}

func sendAt(t testing.TB, hub *push.Hub, split string, offsets ...int64) {
	t.Helper()
	for _, o := range offsets {
		if err := hub.SendAt(t.Context(), split, o, fmt.Append(nil, o)); err != nil {
			t.Fatal(err)
		}
	}
}

func TestSend_ReachesEveryStream(t *testing.T) {
	hub := push.NewHub(0)
	err := hub.Send(t.Context(), []byte("x"))
	if !sqlerror.HasCode(err, sqlerror.CodeState) || !strings.Contains(err.Error(), "no stream reads the source") {
		t.Errorf("without a stream: %v", err)
	}
	a := begin(t, hub, "a", nil)
	data := []byte("1")
	if err := hub.Send(t.Context(), data); err != nil {
		t.Fatal(err)
	}
	data[0] = 'x' // ours again
	b := begin(t, hub, "b", nil)
	send(t, hub, "2")
	a.want("push:1=1", "push:2=2")
	b.want("push:1=2") // from where the hub stood
	if _, err := tryOpen(t, hub, "a"); err == nil {
		t.Error("a stream reads twice")
	}
	if p := a.src.Progress(); p.Lag != 0 || p.BytesRead != 2 || p.Splits != 1 || p.Behind.IsZero() || a.src.Bounded() {
		t.Errorf("progress %+v", p)
	}
	a.commit()
	a.close()
	b.commit()
	b.close()
	if err := hub.Send(t.Context(), []byte("x")); !sqlerror.HasCode(err, sqlerror.CodeState) {
		t.Errorf("after both have ended: %v", err)
	}
}

func TestSend_NumbersGoOnAfterARestart(t *testing.T) {
	hub := push.NewHub(0)
	a := begin(t, hub, "a", nil)
	send(t, hub, "1", "2")
	a.want("push:1=1", "push:2=2")
	a.commit()

	hub = push.NewHub(0) // another process
	src := open(t, hub, "a")
	send(t, hub, "3") // before the stream has begun
	b := &stream{t: t, src: src, state: a.state}
	b.discover()
	send(t, hub, "4")
	b.want("push:3=3", "push:4=4")
}

// A stream that fails begins again from its last commit, in the same process.
func TestUncommittedPayloadsAreHandedOutAgain(t *testing.T) {
	hub := push.NewHub(0)
	a := begin(t, hub, "a", nil)
	send(t, hub, "1", "2")
	a.want("push:1=1", "push:2=2")
	a.commit()
	send(t, hub, "3")
	sendAt(t, hub, "s", 7)
	a.discover()
	send(t, hub, "4")
	a.read(3)
	state := a.state
	a.close()
	send(t, hub, "5") // while it waits to begin again

	b := begin(t, hub, "a", state)
	b.want("push:3=3", "push:4=4", "push:5=5", "s:7=7")
	b.commit()
	b.close()
	if err := hub.Send(t.Context(), []byte("x")); !sqlerror.HasCode(err, sqlerror.CodeState) {
		t.Errorf("after it ended with everything committed: %v", err)
	}
}

func TestDetach(t *testing.T) {
	hub := push.NewHub(0)
	a := begin(t, hub, "a", nil)
	send(t, hub, "1")
	hub.Detach("a") // it reads: nothing happens
	send(t, hub, "2")
	a.close()
	send(t, hub, "3")
	hub.Detach("a")
	if err := hub.Send(t.Context(), []byte("x")); !sqlerror.HasCode(err, sqlerror.CodeState) {
		t.Errorf("after Detach: %v", err)
	}
}

func TestSendAt_ExactlyOnce(t *testing.T) {
	hub := push.NewHub(0)
	if _, ok := hub.Committed("s"); ok {
		t.Error("something is committed without a stream")
	}
	a := begin(t, hub, "a", nil)
	sendAt(t, hub, "s", 10, 11, 20)
	sendAt(t, hub, "s", 5, 11, 20) // already there
	if _, ok := hub.Committed("s"); ok {
		t.Error("something is committed before the first commit")
	}
	a.discover()
	a.want("s:10=10", "s:11=11", "s:20=20")
	a.commit()
	if offset, ok := hub.Committed("s"); offset != 20 || !ok {
		t.Errorf("committed %d, %t", offset, ok)
	}
	sendAt(t, hub, "s", 20, 21)
	a.want("s:21=21")

	// The process ends with 21 uncommitted.
	hub = push.NewHub(0)
	b := begin(t, hub, "a", a.state)
	if offset, ok := hub.Committed("s"); offset != 20 || !ok {
		t.Errorf("committed %d, %t after the restart", offset, ok)
	}
	sendAt(t, hub, "s", 19, 20, 21, 22)
	b.want("s:21=21", "s:22=22")

	for _, split := range []string{"", "push"} {
		if err := hub.SendAt(t.Context(), split, 1, nil); !sqlerror.HasCode(err, sqlerror.CodeBadOption) {
			t.Errorf("split %q: %v", split, err)
		}
	}
}

func TestCommitted_IsTheLeastOfAllStreams(t *testing.T) {
	hub := push.NewHub(0)
	a := begin(t, hub, "a", nil)
	sendAt(t, hub, "s", 1, 2)
	a.discover()
	a.want("s:1=1", "s:2=2")
	a.commit()
	b := begin(t, hub, "b", nil) // begins behind 2
	if offset, ok := hub.Committed("s"); offset != 2 || !ok {
		t.Errorf("committed %d, %t", offset, ok)
	}
	sendAt(t, hub, "s", 2, 3)
	a.want("s:3=3")
	a.commit()
	if offset, _ := hub.Committed("s"); offset != 2 {
		t.Errorf("committed %d, want what b has", offset)
	}
	b.want("s:3=3")
	b.commit()
	if offset, _ := hub.Committed("s"); offset != 3 {
		t.Errorf("committed %d, want 3", offset)
	}

	// After a restart each stream gets what it lacks.
	stateB := b.state
	sendAt(t, hub, "s", 4)
	a.want("s:4=4")
	a.commit()
	stateA := a.state
	hub = push.NewHub(0)
	src := open(t, hub, "b")
	a = begin(t, hub, "a", stateA)
	if _, ok := hub.Committed("s"); ok {
		t.Error("b has not begun, and yet something counts as committed")
	}
	b = &stream{t: t, src: src, state: stateB}
	b.discover()
	if offset, ok := hub.Committed("s"); offset != 3 || !ok {
		t.Errorf("committed %d, %t", offset, ok)
	}
	sendAt(t, hub, "s", 4, 5)
	a.want("s:5=5")
	b.want("s:4=4", "s:5=5")
}

func TestAwait(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		hub := push.NewHub(0)
		done := make(chan error, 1)
		go func() { done <- hub.Await(t.Context(), "a", "b") }()
		begin(t, hub, "a", nil)
		synctest.Wait()
		select {
		case err := <-done:
			t.Errorf("Await returned %v before b", err)
		default:
		}
		begin(t, hub, "b", nil)
		if err := <-done; err != nil {
			t.Error(err)
		}
		ctx, cancel := context.WithTimeout(t.Context(), time.Second)
		defer cancel()
		if err := hub.Await(ctx, "c"); !errors.Is(err, context.DeadlineExceeded) || !strings.Contains(err.Error(), "stream c") {
			t.Errorf("err=%v", err)
		}
	})
}

func TestSend_WaitsWhileAStreamIsFull(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		hub := push.NewHub(1000)
		a := begin(t, hub, "a", nil)
		b := begin(t, hub, "b", nil)
		payload := bytes.Repeat([]byte("x"), 350)
		send(t, hub, string(payload), string(payload))
		ctx, cancel := context.WithTimeout(t.Context(), time.Second)
		defer cancel()
		if err := hub.Send(ctx, payload); !errors.Is(err, context.DeadlineExceeded) {
			t.Errorf("err=%v", err)
		}
		sent := make(chan error, 1)
		go func() { sent <- hub.Send(t.Context(), payload) }()
		a.read(2)
		synctest.Wait()
		if !a.src.(connectors.CommitRequester).CommitWanted() {
			t.Error("a commit is not wanted though a sender waits for it")
		}
		if b.src.(connectors.CommitRequester).CommitWanted() {
			t.Error("a commit is wanted though nothing was read")
		}
		a.commit()
		synctest.Wait()
		if len(sent) > 0 {
			t.Error("sent while b is full")
		}
		b.read(2)
		b.commit()
		if err := <-sent; err != nil {
			t.Error(err)
		}
		a.read(3)
		b.read(3)
		a.commit()
		b.commit()
		// One payload always fits.
		send(t, hub, strings.Repeat("x", 5000))
		go func() { sent <- hub.Send(t.Context(), payload) }()
		synctest.Wait()
		hub.Close()
		if err := <-sent; !sqlerror.HasCode(err, sqlerror.CodeState) {
			t.Errorf("err=%v", err)
		}
		a.read(4)
		if err := hub.Await(t.Context(), "zzz"); !sqlerror.HasCode(err, sqlerror.CodeState) {
			t.Errorf("err=%v", err)
		}
	})
}

func TestFlush(t *testing.T) {
	hub := push.NewHub(0)
	a := begin(t, hub, "a", nil)
	send(t, hub, "1", "2")
	sendAt(t, hub, "s", 9)
	ends, err := a.src.Ends(t.Context())
	if err != nil || len(ends) != 2 {
		t.Fatalf("ends %v, %v", ends, err)
	}
	reached := func() bool {
		p := a.src.Positions()
		for split, end := range ends {
			if !a.src.Reached(split, p[split], end) {
				return false
			}
		}
		return true
	}
	a.read(2)
	if reached() {
		t.Error("reached before split s was read")
	}
	a.discover()
	a.read(3)
	if !reached() {
		t.Errorf("not reached: %v, ends %v", a.src.Positions(), ends)
	}
	a.commit()
	if ends, _ := a.src.Ends(t.Context()); len(ends) != 0 {
		t.Errorf("ends %v though all is committed", ends)
	}
}

func TestPeek_HoldsNobodyUp(t *testing.T) {
	hub := push.NewHub(1000)
	peek := begin(t, hub, "", nil)
	a := begin(t, hub, "a", nil)
	for i := range 50 {
		send(t, hub, strings.Repeat("x", 100)+fmt.Sprint(i))
		a.read(1)
		a.got = nil
		a.commit()
	}
	peek.read(1)
	if !strings.HasSuffix(peek.got[0], "x0") {
		t.Errorf("peeked %s", peek.got[0])
	}
	peek.close()
	a.close()
	if err := hub.Send(t.Context(), nil); !sqlerror.HasCode(err, sqlerror.CodeState) {
		t.Errorf("err=%v", err)
	}
}

func TestPoll_ContextEndsWithNothingConsumed(t *testing.T) {
	hub := push.NewHub(0)
	a := begin(t, hub, "a", nil)
	send(t, hub, "1")
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	var c connectors.Chunk
	if err := a.src.Poll(ctx, 0, &c); !errors.Is(err, context.Canceled) {
		t.Errorf("err=%v", err)
	}
	a.want("push:1=1")
}

func TestLanes(t *testing.T) {
	hub := push.NewHub(0)
	src, err := push.Connector.Open(t.Context(), connectors.SourceConfig{
		Name: "clicks", Stream: "a", Handle: hub, Lanes: 3, Hidden: []string{"_offset", "_split", "_timestamp"},
		Options: push.Connector.Spec.MustOptions("chunk_bytes", "1024"),
	})
	if err != nil {
		t.Fatal(err)
	}
	s := &stream{t: t, src: src, state: connectors.Positions{}}
	s.discover()
	const n = 5000
	ctx, cancel := context.WithCancel(t.Context())
	defer cancel()
	var mu sync.Mutex
	seen := map[int64]string{}
	var wg sync.WaitGroup
	for lane := range 3 {
		wg.Go(func() {
			var c connectors.Chunk
			for src.Poll(ctx, lane, &c) == nil {
				mu.Lock()
				for i, r := range c.Records {
					if c.Hidden[0].Ints[i] != r.Offset || string(c.Hidden[1].Bytes[i]) != "push" || c.Hidden[2].Ints[i] != r.Arrived {
						t.Errorf("hidden columns of record %d: %+v", i, c.Hidden)
					}
					seen[r.Offset] = string(c.Data[r.Start:r.End])
				}
				if len(seen) == n {
					cancel()
				}
				mu.Unlock()
			}
		})
	}
	for i := range n {
		send(t, hub, fmt.Sprint(i+1))
		if i%100 == 0 {
			s.commit()
			src.Progress()
		}
	}
	wg.Wait()
	for i := range int64(n) {
		if seen[i+1] != fmt.Sprint(i+1) {
			t.Fatalf("payload %d is %q", i+1, seen[i+1])
		}
	}
}

func TestOpen_WithoutAHub(t *testing.T) {
	_, err := push.Connector.Open(t.Context(), connectors.SourceConfig{Name: "clicks"})
	if !sqlerror.HasCode(err, sqlerror.CodeUnsupported) {
		t.Errorf("err=%v", err)
	}
	hub := push.NewHub(0)
	hub.Close()
	if _, err := tryOpen(t, hub, "a"); !sqlerror.HasCode(err, sqlerror.CodeState) {
		t.Errorf("err=%v", err)
	}
	src := open(t, push.NewHub(0), "a")
	if err := src.Assign(t.Context(), connectors.Positions{"push": "x"}); err == nil {
		t.Error("a damaged position is accepted")
	}
}

func TestSendRecord_KeepsValuesExactly(t *testing.T) {
	alloc := memory.NewCheckedAllocator(memory.DefaultAllocator)
	defer alloc.AssertSize(t, 0)
	hub := push.NewHub(0)
	a := begin(t, hub, "a", nil)
	schema := arrow.NewSchema([]arrow.Field{
		{Name: "b", Type: arrow.FixedWidthTypes.Boolean}, {Name: "i8", Type: arrow.PrimitiveTypes.Int8}, {Name: "u64", Type: arrow.PrimitiveTypes.Uint64},
		{Name: "f32", Type: arrow.PrimitiveTypes.Float32}, {Name: "f64", Type: arrow.PrimitiveTypes.Float64},
		{Name: "dec", Type: &arrow.Decimal128Type{Precision: 38, Scale: 10}},
		{Name: `s"`, Type: arrow.BinaryTypes.String, Nullable: true}, {Name: "bin", Type: arrow.BinaryTypes.Binary},
		{Name: "d", Type: arrow.FixedWidthTypes.Date32}, {Name: "t", Type: arrow.FixedWidthTypes.Time64us},
		{Name: "at", Type: &arrow.TimestampType{Unit: arrow.Microsecond, TimeZone: "UTC"}}, {Name: "wall", Type: &arrow.TimestampType{Unit: arrow.Nanosecond}},
		{Name: "o", Type: arrow.StructOf(arrow.Field{Name: "x", Type: arrow.PrimitiveTypes.Int32, Nullable: true})},
		{Name: "l", Type: arrow.ListOf(arrow.PrimitiveTypes.Int64)},
		{Name: "dict", Type: &arrow.DictionaryType{IndexType: arrow.PrimitiveTypes.Int32, ValueType: arrow.BinaryTypes.String}},
		{Name: "nil", Type: arrow.Null},
	}, nil)
	b := array.NewRecordBuilder(alloc, schema)
	defer b.Release()
	at := time.Date(2024, 2, 29, 23, 59, 59, 123456000, time.UTC)
	for i := range 3 {
		b.Field(0).(*array.BooleanBuilder).Append(i == 1)
		b.Field(1).(*array.Int8Builder).Append(int8(-128 + i))
		b.Field(2).(*array.Uint64Builder).Append(math.MaxUint64 - uint64(i))
		b.Field(3).(*array.Float32Builder).Append(0.1)
		b.Field(4).(*array.Float64Builder).Append(-1e300 / 3)
		n, err := decimal128.FromString("-1234567890123456789012345678.0123456789", 38, 10)
		if err != nil {
			t.Fatal(err)
		}
		b.Field(5).(*array.Decimal128Builder).Append(n)
		if i == 1 {
			b.Field(6).AppendNull()
		} else {
			b.Field(6).(*array.StringBuilder).Append("é\"\\\n\x00</")
		}
		b.Field(7).(*array.BinaryBuilder).Append([]byte("bytes"))
		b.Field(8).(*array.Date32Builder).Append(arrow.Date32FromTime(at))
		b.Field(9).(*array.Time64Builder).Append(arrow.Time64(3723000001))
		b.Field(10).(*array.TimestampBuilder).Append(arrow.Timestamp(at.UnixMicro()))
		b.Field(11).(*array.TimestampBuilder).Append(arrow.Timestamp(at.UnixNano() + 789))
		o := b.Field(12).(*array.StructBuilder)
		o.Append(true)
		if i == 2 {
			o.FieldBuilder(0).AppendNull()
		} else {
			o.FieldBuilder(0).(*array.Int32Builder).Append(int32(i))
		}
		l := b.Field(13).(*array.ListBuilder)
		l.Append(true)
		for j := range i {
			l.ValueBuilder().(*array.Int64Builder).Append(int64(j))
		}
		if err := b.Field(14).(*array.BinaryDictionaryBuilder).AppendString([]string{"x", "y"}[i%2]); err != nil {
			t.Fatal(err)
		}
		b.Field(15).AppendNull()
	}
	rows := b.NewRecordBatch()
	defer rows.Release()
	tail := rows.NewSlice(1, 3)
	defer tail.Release()
	if err := hub.SendRecord(t.Context(), tail); err != nil {
		t.Fatal(err)
	}
	const common = `"f32":0.1,"f64":-3.3333333333333335e+299,"dec":-1234567890123456789012345678.0123456789,`
	const times = `"bin":"bytes","d":"2024-02-29","t":"01:02:03.000001","at":"2024-02-29T23:59:59.123456Z","wall":"2024-02-29T23:59:59.123456789",`
	want := `{"b":true,"i8":-127,"u64":18446744073709551614,` + common + `"s\"":null,` + times + `"o":{"x":1},"l":[0],"dict":"y","nil":null}` + "\n" +
		`{"b":false,"i8":-126,"u64":18446744073709551613,` + common + `"s\"":"é\"\\\u000a\u0000</",` + times + `"o":{"x":null},"l":[0,1],"dict":"x","nil":null}` + "\n"
	a.want("push:1=" + want)
	for _, line := range strings.Split(strings.TrimSpace(want), "\n") {
		if !json.Valid([]byte(line)) {
			t.Errorf("invalid JSON %s", line)
		}
	}
	empty := rows.NewSlice(0, 0)
	defer empty.Release()
	if err := hub.SendRecord(t.Context(), empty); err != nil || a.src.Progress().Lag != 0 {
		t.Errorf("no rows: %v", err)
	}
}

func TestSendRecord_JSONColumn(t *testing.T) {
	hub := push.NewHub(0)
	a := begin(t, hub, "a", nil)
	b := array.NewRecordBuilder(memory.DefaultAllocator, types.Schema{{Name: "j", Type: types.TypeJSON}, {Name: "s", Type: types.TypeText}}.Arrow())
	for _, text := range []string{`{"a": 1}`, "[1,\n 2]"} {
		b.Field(0).(*array.StringBuilder).Append(text)
		b.Field(1).(*array.StringBuilder).Append(text)
	}
	b.Field(0).AppendNull()
	b.Field(1).AppendNull()
	if err := hub.SendRecord(t.Context(), b.NewRecordBatch()); err != nil {
		t.Fatal(err)
	}
	a.want("push:1=" + `{"j":{"a": 1},"s":"{\"a\": 1}"}` + "\n" + `{"j":[1,2],"s":"[1,\u000a 2]"}` + "\n" + `{"j":null,"s":null}` + "\n")
}

func TestSendRecord_Errors(t *testing.T) {
	hub := push.NewHub(0)
	begin(t, hub, "a", nil)
	f := func(want string, build func(array.Builder), typ arrow.DataType) {
		t.Helper()
		b := array.NewRecordBuilder(memory.DefaultAllocator, arrow.NewSchema([]arrow.Field{{Name: "x", Type: typ, Nullable: true}}, nil))
		b.Field(0).AppendNull()
		build(b.Field(0))
		if err := hub.SendRecord(t.Context(), b.NewRecordBatch()); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%s: %v, want %q", typ, err, want)
		}
	}
	f("column x, row 1: NaN is no number in JSON", func(b array.Builder) { b.(*array.Float64Builder).Append(math.NaN()) }, arrow.PrimitiveTypes.Float64)
	f("column x, row 1: bytes that are no UTF-8", func(b array.Builder) { b.(*array.BinaryBuilder).Append([]byte{0xff}) }, arrow.BinaryTypes.Binary)
	f("column x: values of Arrow type", func(b array.Builder) { b.AppendNull() }, arrow.FixedWidthTypes.MonthInterval)
	f("has no four digits", func(b array.Builder) { b.(*array.TimestampBuilder).Append(math.MaxInt64) }, &arrow.TimestampType{Unit: arrow.Microsecond})

	jsonColumn := array.NewRecordBuilder(memory.DefaultAllocator, types.Schema{{Name: "j", Type: types.TypeJSON}}.Arrow())
	jsonColumn.Field(0).(*array.StringBuilder).Append(`{"a":`)
	if err := hub.SendRecord(t.Context(), jsonColumn.NewRecordBatch()); err == nil || !strings.Contains(err.Error(), `is no JSON`) {
		t.Errorf("err=%v", err)
	}

	hub = push.NewHub(0)
	begin(t, hub, "a", nil, "format", "csv")
	f("a source with format = 'csv'", func(b array.Builder) { b.AppendNull() }, arrow.PrimitiveTypes.Int64)
}

func BenchmarkSend(b *testing.B) {
	hub := push.NewHub(0)
	s := begin(b, hub, "a", nil)
	ctx, cancel := context.WithCancel(b.Context())
	var wg sync.WaitGroup
	wg.Go(func() {
		var c connectors.Chunk
		for s.src.Poll(ctx, 0, &c) == nil {
			if s.src.(connectors.CommitRequester).CommitWanted() {
				s.src.(connectors.Acknowledger).Committed(s.src.Positions())
			}
		}
	})
	data := bytes.Repeat([]byte("x"), 500)
	b.SetBytes(int64(len(data)))
	b.ReportAllocs()
	for b.Loop() {
		if err := hub.Send(ctx, data); err != nil {
			b.Fatal(err)
		}
	}
	cancel()
	wg.Wait()
}
