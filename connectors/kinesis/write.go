package kinesis

import (
	"context"
	"fmt"
	"hash/fnv"
	"strconv"
	"sync/atomic"

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
	s.sender = newSender(s)
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
	bytes   int64
	rows    int64
	written atomic.Int64
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
	l := w.stream.layout
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
		w.id = d.Position(append(w.id[:0], w.stream.prefix...), value)
		if nth > 0 {
			w.id = strconv.AppendInt(append(w.id, '#'), int64(nth), 10)
		}
		data := append(make([]byte, 0, w.size()), '{')
		if l.idField != nil {
			data = json.AppendString(append(data, l.idField...), w.id)
		}
		for column := range l.spec.Selected {
			data = w.encoder.AppendMember(data, column, row)
		}
		data = append(data, '}')
		r := &record{data: data, epoch: w.epoch}
		if l.key >= 0 {
			var key []byte
			if key, r.free = w.encoder.AppendText(nil, l.key, row); len(key) == 0 {
				r.free = true
			}
			r.key = string(key)
		}
		if r.free = r.free || l.key < 0; r.free {
			h := fnv.New64a()
			_, _ = h.Write(w.id) // never fails
			r.key = strconv.FormatUint(h.Sum64(), 16)
		}
		r.free = r.free || !l.ordered
		w.rows++
		w.bytes += int64(len(data))
		w.written.Add(int64(len(data)))
		if err := w.sender.push(ctx, r); err != nil {
			return err
		}
	}
	return nil
}

// size is about how large the next record is.
func (w *laneWriter) size() int {
	if w.rows == 0 {
		return 512
	}
	return int(w.bytes/w.rows) * 5 / 4
}

func (w *laneWriter) checkDelta(d connectors.Delta) error {
	if d.Position == nil {
		return &sqlerror.Error{Code: sqlerror.CodeInternal, Message: "rows without a place in the source"}
	}
	if d.Weights == nil {
		return nil
	}
	weights := d.Weights.Int64Values()
	for i := range d.Rows() {
		if d.Sel != nil {
			i = int(d.Sel[i])
		}
		if weights[i] != 1 {
			return sqlerror.Userf(sqlerror.CodeUnsupported, "stream %s takes rows back, which a data stream cannot", w.stream.spec.Stream).
				WithHint("write a query that only adds rows")
		}
	}
	return nil
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
