package kinesis

import (
	"context"
	"fmt"
	"strconv"
	"sync/atomic"
	"unsafe"

	"github.com/apache/arrow-go/v18/arrow"

	"github.com/leatdb/leat/connectors"
	"github.com/leatdb/leat/connectors/format/json"
	"github.com/leatdb/leat/sql/sqlerror"
)

// streamSink writes one stream of Leat to one data stream. An epoch is committed
// to the ledger when all of its records have been acknowledged, so that after a
// crash some are sent again and none is left out.
type streamSink struct {
	sink   *sink
	spec   connectors.StreamSpec
	layout *layout
	kept   connectors.StreamSink
	lanes  []*laneWriter

	prefix []byte // of ids
	sender *sender
}

// Ordered implements connectors.Ordered.
func (s *streamSink) Ordered() bool { return s.layout.ordered }

// Begin implements connectors.StreamSink.
func (s *streamSink) Begin(ctx context.Context, initial func(context.Context) (map[string]connectors.Positions, error)) (connectors.State, bool, error) {
	s.stop()
	state, resumed, err := s.kept.Begin(ctx, initial)
	if err != nil {
		return state, resumed, err
	}
	s.prefix = fmt.Appendf(nil, "%s-%s/", s.spec.Stream, state.Life[:min(8, len(state.Life))])
	s.start()
	return state, resumed, nil
}

func (s *streamSink) start() {
	s.sender = newSender(s, s.putRecords)
	for _, w := range s.lanes {
		w.begin(s.sender)
	}
}

func (s *streamSink) stop() {
	if s.sender != nil {
		s.sender.close()
		s.sender = nil
	}
}

// Writer implements connectors.StreamSink.
func (s *streamSink) Writer(lane int) connectors.LaneWriter { return s.lanes[lane] }

// Commit implements connectors.StreamSink.
func (s *streamSink) Commit(ctx context.Context, state connectors.State, parts []connectors.Sealed, info connectors.CommitInfo) (connectors.CommitResult, error) {
	var bytes int64
	kept := make([]connectors.Sealed, len(parts))
	for i, part := range parts {
		one, ok := part.(*sealed)
		if !ok || s.sender == nil {
			return connectors.CommitResult{}, &sqlerror.Error{Code: sqlerror.CodeInternal, Message: fmt.Sprintf("commit of %T", part)}
		}
		kept[i] = one.kept
		bytes += one.bytes
		if s.sink.rules.lacks(RuleAcknowledged) {
			continue
		}
		if err := s.sender.acknowledged(ctx, one.epoch); err != nil {
			return connectors.CommitResult{}, err
		}
	}
	result, err := s.kept.Commit(ctx, state, kept, info)
	result.Files, result.Bytes = 0, bytes
	return result, err
}

// ReadReplay implements connectors.Replayer.
func (s *streamSink) ReadReplay(ctx context.Context, r connectors.Replay, letters []connectors.DeadLetter) ([]connectors.DeadLetter, connectors.Replay, error) {
	return s.kept.(connectors.Replayer).ReadReplay(ctx, r, letters)
}

// Abort implements connectors.StreamSink. What was sent stays sent.
func (s *streamSink) Abort(ctx context.Context) error {
	if s.sender == nil {
		return nil
	}
	s.stop()
	if err := s.kept.Abort(ctx); err != nil {
		return err
	}
	s.start()
	return nil
}

// Drop implements connectors.StreamSink.
func (s *streamSink) Drop(ctx context.Context) error {
	s.stop()
	return s.kept.Drop(ctx)
}

// Close implements connectors.StreamSink.
func (s *streamSink) Close() error {
	s.stop()
	return s.kept.Close()
}

// laneWriter makes records of the rows of one lane. It implements
// connectors.LaneWriter.
type laneWriter struct {
	stream  *streamSink
	letters connectors.LaneWriter
	encoder *json.Encoder

	sender  *sender
	epoch   int64 // since begin
	columns []arrow.Array
	id      []byte
	keys    []byte // of the batch that is being made
	ends    []rowEnd
	bytes   int64
	rows    int64
	written atomic.Int64
}

// batchBytes is about how large a batch is. What is acknowledged of one is held
// until all of it is.
const batchBytes = 256 << 10

// rowEnd is where a record's data and key end in a batch that is being made.
type rowEnd struct {
	data, key int
	free      bool
}

func newLaneWriter(s *streamSink, letters connectors.LaneWriter) *laneWriter {
	return &laneWriter{stream: s, letters: letters, encoder: s.layout.encoder()}
}

func (w *laneWriter) begin(s *sender) {
	w.sender, w.epoch, w.bytes, w.rows = s, 0, 0, 0
	w.written.Store(0)
}

var errNotBegun = &sqlerror.Error{Code: sqlerror.CodeInternal, Message: "the stream's sink was not begun"}

// Write implements connectors.LaneWriter. It waits while too much is not yet
// acknowledged.
func (w *laneWriter) Write(ctx context.Context, d connectors.Delta) error {
	if w.sender == nil {
		return errNotBegun
	}
	if err := w.checkDelta(d); err != nil {
		return err
	}
	w.columns = append(w.columns[:0], d.Batch.Columns()...)
	if err := w.encoder.Bind(w.columns); err != nil {
		return fmt.Errorf("stream %s: %w", w.stream.spec.Stream, err)
	}
	w.keys, w.ends = w.keys[:0], w.ends[:0]
	b := w.sender.batches.Get().(*batch)
	last, nth := int32(-1), 0
	for i := range d.Rows() {
		row := i
		if d.Sel != nil {
			row = int(d.Sel[i])
		}
		value := int32(row)
		if d.Values != nil {
			value = d.Values[row]
		}
		if value == last {
			nth++
		} else {
			last, nth = value, 0
		}
		// What the row was made from, and which of the rows that were made from it.
		w.id = appendRowID(append(w.id[:0], w.stream.prefix...), d.Position, value, nth)
		w.append(b, row)
		if len(b.buffer) >= batchBytes {
			if err := w.push(ctx, b); err != nil {
				return err
			}
			b = w.sender.batches.Get().(*batch)
		}
	}
	return w.push(ctx, b)
}

// append adds a row's data to the batch, and its key to the writer's.
func (w *laneWriter) append(b *batch, row int) {
	l := w.stream.layout
	b.buffer = l.appendData(b.buffer, w.encoder, w.id, row)
	from, free := len(w.keys), l.key < 0
	if l.key >= 0 {
		if w.keys, free = w.encoder.AppendText(w.keys, l.key, row); len(w.keys) == from {
			free = true
		}
	}
	if free {
		w.keys = strconv.AppendUint(w.keys[:from], fnv1a(w.id), 16)
	}
	w.ends = append(w.ends, rowEnd{len(b.buffer), len(w.keys), free || !l.ordered})
}

// appendRowID completes the id of the nth row that was made from a value.
func appendRowID(dst []byte, position func(dst []byte, value int32) []byte, value int32, nth int) []byte {
	dst = position(dst, value)
	if nth > 0 {
		dst = strconv.AppendInt(append(dst, '#'), int64(nth), 10)
	}
	return dst
}

// appendData appends the data of the record of a row.
func (l *layout) appendData(dst []byte, encoder *json.Encoder, id []byte, row int) []byte {
	dst = append(dst, '{')
	if l.idField != nil {
		dst = json.AppendString(append(dst, l.idField...), id)
	}
	for column := range l.spec.Selected {
		dst = encoder.AppendMember(dst, column, row)
	}
	return append(dst, '}')
}

// fnv1a is the 64-bit FNV-1a hash: the key of a row that has none, the same
// whenever the row is sent.
func fnv1a(text []byte) uint64 {
	h := uint64(14695981039346656037)
	for _, c := range text {
		h = (h ^ uint64(c)) * 1099511628211
	}
	return h
}

// push queues the batch that was made.
func (w *laneWriter) push(ctx context.Context, b *batch) error {
	keys := string(w.keys)
	if cap(b.records) < len(w.ends) {
		b.records = make([]record, 0, len(w.ends))
	}
	var from rowEnd
	for _, to := range w.ends {
		b.records = append(b.records, record{key: keys[from.key:to.key], data: b.buffer[from.data:to.data:to.data], free: to.free, of: b})
		from = to
	}
	n := len(b.records)
	w.keys, w.ends = w.keys[:0], w.ends[:0]
	if n == 0 {
		w.sender.batches.Put(b)
		return nil
	}
	b.epoch, b.left = w.epoch, n
	b.bytes = int64(cap(b.buffer) + len(keys) + n*int(unsafe.Sizeof(record{})))
	w.rows += int64(n)
	w.bytes += int64(len(b.buffer))
	w.written.Add(int64(len(b.buffer)))
	return w.sender.push(ctx, b)
}

func (w *laneWriter) checkDelta(d connectors.Delta) error {
	if d.Position == nil {
		return &sqlerror.Error{Code: sqlerror.CodeInternal, Message: "rows without a place in the source"}
	}
	return d.OnlyInserts(w.stream.spec.Stream, "a data stream")
}

// DeadLetter implements connectors.LaneWriter.
func (w *laneWriter) DeadLetter(ctx context.Context, letters []connectors.DeadLetter) error {
	return w.letters.DeadLetter(ctx, letters)
}

// Seal implements connectors.LaneWriter.
func (w *laneWriter) Seal(ctx context.Context) (connectors.Sealed, error) {
	if w.sender == nil {
		return nil, errNotBegun
	}
	kept, err := w.letters.Seal(ctx)
	if err != nil {
		return nil, err
	}
	s := &sealed{kept: kept, epoch: w.epoch, rows: w.rows, bytes: w.bytes}
	w.epoch++
	w.rows, w.bytes = 0, 0
	w.written.Store(0)
	return s, nil
}

// Buffered implements connectors.LaneWriter. What all lanes have sent is told by
// the first.
func (w *laneWriter) Buffered() int64 {
	n := w.letters.Buffered()
	if s := w.sender; s != nil && w == w.stream.lanes[0] {
		n += s.held()
	}
	return n
}

// Written implements connectors.LaneWriter.
func (w *laneWriter) Written() int64 { return w.written.Load() }

// sealed is what a lane wrote in an epoch. It implements connectors.Sealed.
type sealed struct {
	kept        connectors.Sealed
	epoch       int64
	rows, bytes int64
}

// Rows implements connectors.Sealed.
func (s *sealed) Rows() int64 { return s.rows }

// Bytes implements connectors.Sealed.
func (s *sealed) Bytes() int64 { return s.bytes }
