package lake

import (
	"context"
	"fmt"
	"strings"
	"time"

	"github.com/leatdb/leat/catalog"
	"github.com/leatdb/leat/connectors"
	"github.com/leatdb/leat/connectors/lake/parquetfile"
	"github.com/leatdb/leat/sql/types"
)

// The columns of the table of dead letters, in order.
const (
	letterStream = iota
	letterSource
	letterPosition
	letterArrived
	letterClass
	letterMessage
	letterRaw
	letterAttempt
	letterGeneration
	letterEpoch
	letterTable
	letterID
	letterHeader
	letterHidden
	letterReplay
	letterReplayedAt
)

// deadLetterDefinition is the table that takes what could not be landed, one
// for all streams of a sink. A row with a replay is no letter but the mark that
// says which replay has taken the letter of the same id.
func deadLetterDefinition(adopt bool) catalog.Definition {
	str := types.TypeText
	return catalog.Definition{
		Name: catalog.DeadLetterTable,
		Schema: types.Schema{
			letterStream:     {Name: "stream", Type: str},
			letterSource:     {Name: "source", Type: str},
			letterPosition:   {Name: "source_position", Type: str},
			letterArrived:    {Name: "arrived_at", Type: types.Type{Kind: types.Timestamp, Fsp: 6}},
			letterClass:      {Name: "error_class", Type: str},
			letterMessage:    {Name: "error_message", Type: str},
			letterRaw:        {Name: "raw", Type: types.TypeBlob},
			letterAttempt:    {Name: "attempt", Type: types.Type{Kind: types.Int32}},
			letterGeneration: {Name: "generation", Type: types.TypeInt64},
			letterEpoch:      {Name: "epoch", Type: types.TypeInt64},
			letterTable:      {Name: "target_table", Type: str},
			letterID:         {Name: "letter", Type: str},
			letterHeader:     {Name: "header", Type: types.TypeBlob},
			letterHidden:     {Name: "hidden", Type: str},
			letterReplay:     {Name: "replay", Type: str},
			letterReplayedAt: {Name: "replayed_at", Type: types.Type{Kind: types.Timestamp, Fsp: 6}},
		},
		Partition: []catalog.PartitionField{{Name: "stream", Column: letterStream, Transform: "identity"}},
		Adopt:     adopt,
		Format:    "parquet",
	}
}

// letterWriter writes the dead letters of a lane.
type letterWriter struct {
	lane    *laneWriter
	schema  *parquetfile.Schema
	encoder *parquetfile.Encoder
	rows    *parquetfile.Rows
	file    *parquetfile.File
	sink    *lazySink
	files   []*outputFile
	n       int64 // letters in the open file
	count   int64 // in the epoch
	held    int64
}

func newLetterWriter(w *laneWriter) (*letterWriter, error) {
	schema, err := fileSchema(w.stream.letters, nil)
	if err != nil {
		return nil, err
	}
	l := &letterWriter{lane: w, schema: schema, rows: parquetfile.NewRows(schema, w.pool)}
	options := w.stream.settings.Load().encoding
	options.Compression, options.Level, options.BloomColumns = parquetfile.Zstd, 0, nil
	if l.encoder, err = parquetfile.NewEncoder(schema, w.pool, options); err != nil {
		return nil, err
	}
	return l, nil
}

func (l *letterWriter) write(ctx context.Context, letters []connectors.DeadLetter) error {
	s := l.lane.stream
	for i := range letters {
		d := &letters[i]
		l.rows.AppendBytes(letterStream, []byte(s.spec.Stream))
		l.rows.AppendBytes(letterSource, text(d.Source))
		l.rows.AppendBytes(letterPosition, text(d.Position))
		if d.Arrived.IsZero() {
			l.rows.AppendNull(letterArrived)
		} else {
			l.rows.AppendInt(letterArrived, d.Arrived.UnixMicro())
		}
		l.rows.AppendBytes(letterClass, []byte(d.Class))
		l.rows.AppendBytes(letterMessage, text(d.Message))
		l.rows.AppendBytes(letterRaw, d.Raw)
		l.rows.AppendInt(letterAttempt, int64(max(d.Attempt, 1)))
		l.rows.AppendInt(letterGeneration, l.lane.generation)
		l.rows.AppendInt(letterEpoch, l.lane.epoch)
		l.rows.AppendBytes(letterTable, []byte(s.spec.Table))
		l.rows.AppendBytes(letterID, []byte(l.nextID()))
		l.appendOrNull(letterHeader, d.Header)
		l.appendOrNull(letterHidden, d.Hidden)
		l.rows.AppendNull(letterReplay)
		l.rows.AppendNull(letterReplayedAt)
		if err := l.endRow(ctx); err != nil {
			return err
		}
		l.count++
	}
	l.account()
	return nil
}

// mark writes that a replay has taken a letter.
func (l *letterWriter) mark(ctx context.Context, d *connectors.DeadLetter, replay string, at time.Time) error {
	s := l.lane.stream
	l.rows.AppendBytes(letterStream, []byte(s.spec.Stream))
	l.rows.AppendBytes(letterSource, text(d.Source))
	l.rows.AppendBytes(letterPosition, text(d.Position))
	for _, column := range [...]int{letterArrived, letterClass, letterMessage, letterRaw, letterHeader, letterHidden} {
		l.rows.AppendNull(column)
	}
	l.rows.AppendInt(letterAttempt, int64(d.Attempt))
	l.rows.AppendInt(letterGeneration, l.lane.generation)
	l.rows.AppendInt(letterEpoch, l.lane.epoch)
	l.rows.AppendBytes(letterTable, []byte(s.spec.Table))
	l.rows.AppendBytes(letterID, []byte(d.ID))
	l.rows.AppendBytes(letterReplay, []byte(replay))
	l.rows.AppendInt(letterReplayedAt, at.UnixMicro())
	return l.endRow(ctx)
}

// nextID names a letter by where it comes from: the stream's life, and what
// within it is counted up. Of an epoch that is written again one writing is
// committed.
func (l *letterWriter) nextID() string {
	w := l.lane
	return fmt.Sprintf("%s-%d-%d-%d-%d", w.id, w.generation, w.epoch, w.lane, l.count+1)
}

func (l *letterWriter) appendOrNull(column int, v []byte) {
	if len(v) == 0 {
		l.rows.AppendNull(column)
		return
	}
	l.rows.AppendBytes(column, v)
}

// endRow ends a row, and the page or file that is full.
func (l *letterWriter) endRow(ctx context.Context) error {
	l.rows.EndRow()
	l.n++
	if l.rows.Bytes() < pageBytes && l.rows.Len() < pageRows {
		return nil
	}
	if err := l.encode(ctx); err != nil {
		return err
	}
	if l.file.Size() >= l.lane.stream.settings.Load().targetFileSize {
		return l.finish(ctx)
	}
	return nil
}

// text is a string that every reader of the file accepts: a message may quote
// what could not be decoded.
func text(s string) []byte { return []byte(strings.ToValidUTF8(s, "\uFFFD")) }

func (l *letterWriter) account() {
	l.held = l.rows.Held()
	if l.file != nil {
		l.held += l.file.Held() + l.sink.held()
	}
}

func (l *letterWriter) encode(ctx context.Context) error {
	if l.file == nil {
		s := l.lane.stream
		l.sink = &lazySink{uploads: l.lane.uploads}
		l.sink.key, l.sink.place = s.letterKey(l.lane)
		l.file = l.encoder.NewFile(l.sink)
	}
	if err := l.file.WriteRows(ctx, l.rows); err != nil {
		return err
	}
	l.rows.Release()
	return nil
}

// finish closes the open file and uploads it.
func (l *letterWriter) finish(ctx context.Context) error {
	if l.n == 0 {
		return nil
	}
	if err := l.encode(ctx); err != nil {
		return err
	}
	footer, err := l.file.Finish(ctx)
	if err != nil {
		return err
	}
	l.file.Discard()
	out := &outputFile{key: l.sink.key, partition: []any{l.lane.stream.spec.Stream}, rows: l.n, footer: footer}
	l.files = append(l.files, out)
	l.lane.uploads.finish(out, l.sink.writer, &l.lane.inFlight)
	l.file, l.sink, l.n, l.held = nil, nil, 0, 0
	return nil
}

// clear ends the epoch.
func (l *letterWriter) clear() { l.files, l.count = nil, 0 }

// discard throws the epoch's letters away.
func (l *letterWriter) discard() {
	l.rows.Release()
	if l.file != nil {
		l.file.Discard()
		l.sink.abort()
	}
	l.file, l.sink, l.n, l.held = nil, nil, 0, 0
	l.clear()
}
