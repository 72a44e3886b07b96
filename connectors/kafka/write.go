package kafka

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"sync/atomic"
	"time"

	"github.com/apache/arrow-go/v18/arrow"
	"github.com/apache/arrow-go/v18/arrow/array"
	"github.com/twmb/franz-go/pkg/kgo"

	"github.com/leatdb/leat/connectors"
	"github.com/leatdb/leat/connectors/format/avro"
	"github.com/leatdb/leat/connectors/format/json"
	"github.com/leatdb/leat/connectors/format/schemaregistry"
	"github.com/leatdb/leat/sql/sqlerror"
)

// streamSink writes one stream to one topic. An epoch is a transaction: its rows,
// and as its last record the stream's state in the topic of positions
// (positions.go). Whether a commit has happened, and whether it may, is decided as
// for a table, by what the lake's ledger reads there (connectors.Ledger); that
// keeps the dead letters too.
type streamSink struct {
	sink  *sink
	spec  connectors.StreamSpec
	store *store
	kept  connectors.StreamSink
	lanes []*laneWriter

	producer *producer // nil before Begin
}

func (s *streamSink) explain(act string, err error) error {
	return s.sink.explain(s.sink.cfg.Options, s.spec.Table, act, err)
}

// Ordered implements connectors.Ordered: records of one key keep their order.
func (s *streamSink) Ordered() bool { return true }

// cluster is where the stream is written to.
func (s *streamSink) cluster() Cluster {
	if c := s.sink.cluster; c != nil {
		return c
	}
	return &brokers{sink: s}
}

// producing is the producer; one is made where none was begun.
func (s *streamSink) producing(ctx context.Context) (*producer, error) {
	if s.producer != nil {
		return s.producer, nil
	}
	p, err := newProducer(ctx, s)
	if err != nil {
		return nil, err
	}
	s.producer = p
	return p, nil
}

func (s *streamSink) closeProducer() {
	if s.producer != nil {
		s.producer.close()
		s.producer = nil
	}
}

// Begin implements connectors.StreamSink.
func (s *streamSink) Begin(ctx context.Context, initial func(context.Context) (map[string]connectors.Positions, error)) (connectors.State, bool, error) {
	s.closeProducer()
	if _, err := s.producing(ctx); err != nil {
		return connectors.State{}, false, err
	}
	state, resumed, err := s.kept.Begin(ctx, initial)
	if err != nil {
		return state, resumed, err
	}
	s.beginLanes()
	return state, resumed, nil
}

func (s *streamSink) beginLanes() {
	for _, w := range s.lanes {
		w.begin(s.producer)
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
		if !ok {
			return connectors.CommitResult{}, &sqlerror.Error{Code: sqlerror.CodeInternal, Message: fmt.Sprintf("commit of %T", part)}
		}
		kept[i] = one.kept
		bytes += one.bytes
	}
	result, err := s.kept.Commit(ctx, state, kept, info)
	result.Files, result.Bytes = 0, bytes
	return result, err
}

// ReadReplay implements connectors.Replayer.
func (s *streamSink) ReadReplay(ctx context.Context, r connectors.Replay, letters []connectors.DeadLetter) ([]connectors.DeadLetter, connectors.Replay, error) {
	return s.kept.(connectors.Replayer).ReadReplay(ctx, r, letters)
}

// Abort implements connectors.StreamSink.
func (s *streamSink) Abort(ctx context.Context) error {
	if s.producer == nil {
		return nil
	}
	if err := s.producer.abort(ctx); err != nil {
		return fmt.Errorf("%w: %w", connectors.ErrBeginAgain, err)
	}
	if err := s.kept.Abort(ctx); err != nil {
		return err
	}
	s.beginLanes()
	return nil
}

// Drop implements connectors.StreamSink.
func (s *streamSink) Drop(ctx context.Context) error { return s.kept.Drop(ctx) }

// Close implements connectors.StreamSink.
func (s *streamSink) Close() error {
	s.closeProducer()
	return s.kept.Close()
}

// rowEncoder makes keys, values and headers of rows.
type rowEncoder struct {
	layout *layout
	// encoder makes keys and headers, and values unless they are Avro.
	encoder *json.Encoder
	avro    *avro.Encoder
}

func newRowEncoder(l *layout) *rowEncoder {
	e := &rowEncoder{layout: l, encoder: json.NewEncoder(l.schema, json.EncoderOptions{DecimalText: l.decimals})}
	if l.avro != "" {
		e.avro, _, _ = avro.NewEncoder(l.name, l.schema, l.members) // newLayout has made one
	}
	return e
}

func (e *rowEncoder) bind(columns []arrow.Array) error {
	if e.avro != nil {
		if err := e.avro.Bind(columns); err != nil {
			return err
		}
	}
	return e.encoder.Bind(columns)
}

func (e *rowEncoder) appendValue(dst []byte, row int) []byte {
	if e.avro != nil {
		return e.avro.AppendRow(schemaregistry.AppendHeader(dst, e.layout.schemaID), row)
	}
	dst = append(dst, '{')
	for _, c := range e.layout.members {
		dst = e.encoder.AppendMember(dst, c, row)
	}
	return append(dst, '}')
}

func (e *rowEncoder) addText(sizes []int) { e.encoder.AddText(sizes) }

func (e *rowEncoder) fixed() int { return e.encoder.Fixed() + 64*(1+len(e.layout.headers)) }

// laneWriter writes the rows of one lane. It implements connectors.LaneWriter.
type laneWriter struct {
	stream  *streamSink
	letters connectors.LaneWriter
	rows    *rowEncoder
	times   *array.Timestamp // of the option timestamp

	producer *producer
	txn      int64 // transactions that have to be committed before the lane writes
	columns  []arrow.Array
	spans    []span
	n, bytes int64
	written  atomic.Int64
}

// span is where a record's parts lie in a batch's buffer.
type span struct {
	key, value, end int
	noKey           bool
}

func newLaneWriter(s *streamSink, l *layout, letters connectors.LaneWriter) *laneWriter {
	return &laneWriter{stream: s, letters: letters, rows: newRowEncoder(l)}
}

func (w *laneWriter) begin(p *producer) {
	w.producer, w.txn = p, p.committed()
	w.n, w.bytes = 0, 0
	w.written.Store(0)
}

// batch is the memory of the records of one Write, which is used again when all
// of them have been acknowledged.
type batch struct {
	producer *producer
	stream   *streamSink
	buffer   []byte
	records  []kgo.Record
	headers  []kgo.RecordHeader
	left     atomic.Int64
	promise  func(*kgo.Record, error)
}

var batches sync.Pool

// newBatch has one more left than it has records: the writer's own.
func newBatch(w *laneWriter) *batch {
	b, ok := batches.Get().(*batch)
	if !ok {
		b = &batch{}
		b.promise = b.done
	}
	b.producer, b.stream = w.producer, w.stream
	b.left.Store(1)
	return b
}

func (b *batch) done(_ *kgo.Record, err error) {
	if err != nil && !errors.Is(err, kgo.ErrAborting) {
		b.producer.fail(b.stream.explain("write to topic "+b.stream.spec.Table, err))
	}
	b.release()
}

func (b *batch) release() {
	if b.left.Add(-1) > 0 {
		return
	}
	clear(b.records)
	clear(b.headers)
	b.buffer, b.records, b.headers, b.producer, b.stream = b.buffer[:0], b.records[:0], b.headers[:0], nil, nil
	batches.Put(b)
}

var errNotBegun = &sqlerror.Error{Code: sqlerror.CodeInternal, Message: "the stream's sink was not begun"}

// Write implements connectors.LaneWriter. It encodes the rows while the last
// transaction may still be committing, and then waits for its end.
func (w *laneWriter) Write(ctx context.Context, d connectors.Delta) error {
	if w.producer == nil {
		return errNotBegun
	}
	if d.Rows() == 0 {
		return nil
	}
	if err := d.OnlyInserts(w.stream.spec.Stream, "a topic"); err != nil {
		return err
	}
	w.columns = append(w.columns[:0], d.Batch.Columns()...)
	if err := w.rows.bind(w.columns); err != nil {
		return fmt.Errorf("stream %s: %w", w.stream.spec.Stream, err)
	}
	w.times = nil
	if at := w.rows.layout.timestamp; at >= 0 {
		w.times, _ = w.columns[at].(*array.Timestamp)
	}
	b := newBatch(w)
	defer b.release()
	w.encode(b, d)
	if err := w.producer.await(ctx, w.txn); err != nil {
		return err
	}
	b.left.Add(int64(len(b.records)))
	for i := range b.records {
		w.producer.client.Produce(ctx, &b.records[i], b.promise)
	}
	w.n += int64(len(b.records))
	w.bytes += int64(len(b.buffer))
	w.written.Add(int64(len(b.buffer)))
	if ctx.Err() != nil {
		return ctx.Err()
	}
	return w.producer.failed()
}

// encode makes records of the rows of the bound batch.
func (w *laneWriter) encode(b *batch, d connectors.Delta) {
	n, l := d.Rows(), w.rows.layout
	buffer := b.buffer[:0]
	w.spans = w.spans[:0]
	row := func(i int) int {
		if d.Sel != nil {
			return int(d.Sel[i])
		}
		return i
	}
	for i := range n {
		r := row(i)
		s := span{key: len(buffer), noKey: true}
		if l.key >= 0 {
			buffer, s.noKey = w.rows.encoder.AppendText(buffer, l.key, r)
		}
		s.value = len(buffer)
		buffer = w.rows.appendValue(buffer, r)
		s.end = len(buffer)
		w.spans = append(w.spans, s)
	}
	// The buffer may have moved while it grew; from here on it stays.
	var headers int
	ends := make([]int, 0, n*len(l.headers))
	if len(l.headers) > 0 {
		for i := range n {
			for _, h := range l.headers {
				var null bool
				if buffer, null = w.rows.encoder.AppendText(buffer, h, row(i)); null {
					ends = append(ends, -1)
					continue
				}
				headers++
				ends = append(ends, len(buffer))
			}
		}
	}
	b.buffer = buffer
	if cap(b.records) < n {
		b.records = make([]kgo.Record, n)
	}
	b.records = b.records[:n]
	if cap(b.headers) < headers {
		b.headers = make([]kgo.RecordHeader, 0, headers)
	}
	b.headers = b.headers[:0]
	from := 0
	if n > 0 {
		from = w.spans[n-1].end
	}
	for i, s := range w.spans {
		r := &b.records[i]
		*r = kgo.Record{Topic: w.stream.spec.Table, Value: buffer[s.value:s.end:s.end]}
		if !s.noKey {
			r.Key = buffer[s.key:s.value:s.value]
		}
		if w.times != nil {
			if at := row(i); !w.times.IsNull(at) {
				r.Timestamp = time.UnixMicro(int64(w.times.Value(at))).UTC()
			}
		}
		first := len(b.headers)
		for j, h := range l.headers {
			end := ends[i*len(l.headers)+j]
			if end < 0 {
				continue
			}
			b.headers = append(b.headers, kgo.RecordHeader{Key: l.schema[h].Name, Value: buffer[from:end:end]})
			from = end
		}
		if len(b.headers) > first {
			r.Headers = b.headers[first:len(b.headers):len(b.headers)]
		}
	}
}

// DeadLetter implements connectors.LaneWriter.
func (w *laneWriter) DeadLetter(ctx context.Context, letters []connectors.DeadLetter) error {
	return w.letters.DeadLetter(ctx, letters)
}

// Seal implements connectors.LaneWriter: what follows belongs to the next
// transaction.
func (w *laneWriter) Seal(ctx context.Context) (connectors.Sealed, error) {
	if w.producer == nil {
		return nil, errNotBegun
	}
	kept, err := w.letters.Seal(ctx)
	if err != nil {
		return nil, err
	}
	s := &sealed{kept: kept, rows: w.n, bytes: w.bytes}
	w.n, w.bytes = 0, 0
	w.written.Store(0)
	w.txn++
	return s, nil
}

// Buffered implements connectors.LaneWriter. The client's memory is told by the
// first lane.
func (w *laneWriter) Buffered() int64 {
	n := w.letters.Buffered()
	if p := w.producer; p != nil && w == w.stream.lanes[0] {
		n += p.client.BufferedProduceBytes()
	}
	return n
}

// Written implements connectors.LaneWriter.
func (w *laneWriter) Written() int64 { return w.written.Load() }

// sealed is what a lane wrote in an epoch. It implements connectors.Sealed.
type sealed struct {
	kept        connectors.Sealed
	rows, bytes int64
}

// Rows implements connectors.Sealed.
func (s *sealed) Rows() int64 { return s.rows }

// Bytes implements connectors.Sealed.
func (s *sealed) Bytes() int64 { return s.bytes }
