package lake

import (
	"cmp"
	"context"
	"fmt"
	"slices"
	"sync/atomic"

	"github.com/apache/arrow-go/v18/arrow"

	"github.com/leatdb/leat/catalog/hive"
	"github.com/leatdb/leat/connectors"
	"github.com/leatdb/leat/connectors/lake/parquetfile"
	"github.com/leatdb/leat/connectors/lake/protocol"
	"github.com/leatdb/leat/sql/sqlerror"
)

const (
	// pageRows and pageBytes say when the rows of a partition become pages.
	pageRows  = 20_000
	pageBytes = 4 << 20
	// sliceRows is how many rows of a batch are spread at a time, so that pages
	// do not become much larger than that.
	sliceRows = 16 << 10
	// fewRows a partition has in a batch when copying goes partition by partition
	// instead of column by column.
	fewRows = 64
	// usefulPage is how many bytes of rows a partition should gather before they
	// become pages, and leastRows how many all may have, however few they are: to
	// touch more memory costs more than smaller pages do.
	usefulPage = 384 << 10
	leastRows  = 32 << 20
	// leastMemory is what a lane needs to work at all.
	leastMemory = 4 << 20
	// defaultMemory bounds a stream that does not say.
	defaultMemory = 256 << 20
)

// laneWriter takes the rows of one lane. It implements connectors.LaneWriter.
//
// Memory is bounded in four steps: rows become pages early, in the order of how
// many a partition has; then all rows do; then files are finished before they
// have their size; then Write waits for uploads. So is the number of open
// partitions: the largest files are finished.
type laneWriter struct {
	stream  *streamSink
	lane    int
	limit   int64 // bytes of memory
	pool    *parquetfile.Pool
	append  *parquetfile.Appender
	width   int // columns of files
	encoder fileEncoder
	router  *router
	letters *letterWriter
	errors  *objectWriter // of error_path and backup; nil for none
	backup  *objectWriter
	line    []byte // scratch of KeepRecords

	// What files are named after; nil uploads mean that the stream was not begun.
	uploads    *uploads
	id         string
	instance   string
	generation int64
	epoch      int64
	counter    int64 // never set back

	open  []*openFile
	files []*outputFile // finished in this epoch
	rows  int64
	bytes int64 // of finished files, those of joined ones without footers

	columns []arrow.Array
	stored  []arrow.Array // those of columns that files have
	all     []int32       // 0, 1, 2, …

	held     int64        // memory of open files
	heldRows int64        // … of it, of rows that are not encoded
	inFlight atomic.Int64 // memory of files that are being uploaded
	inOpen   atomic.Int64 // held and the letters', for Buffered
	written  atomic.Int64
	parted   atomic.Int64 // files in open
}

// openFile is a partition that has rows in this epoch.
type openFile struct {
	rows *parquetfile.Rows
	file dataFile // nil before the first page
	sink *lazySink
	n    int64 // rows
	// As counted in laneWriter.held and heldRows.
	held, heldRows int64
}

func newLaneWriter(s *streamSink, lane int) (*laneWriter, error) {
	memory := s.spec.MemoryBytes
	if memory <= 0 {
		memory = defaultMemory
	}
	w := &laneWriter{
		stream: s, lane: lane, limit: max(memory/int64(max(s.spec.Lanes, 1)), leastMemory),
		append: parquetfile.NewAppender(s.schema),
	}
	w.pool = &parquetfile.Pool{Most: w.limit / 2}
	var err error
	if w.encoder, err = newFileEncoder(s, w.pool); err != nil {
		return nil, sqlerror.Userf(sqlerror.CodeBadOption, "%w", err)
	}
	w.width = len(s.schema.Columns())
	if w.router, err = newRouter(s.target); err != nil {
		return nil, err
	}
	if s.sink.hive {
		w.router.folder = hivePath
	}
	if w.letters, err = newLetterWriter(w); err != nil {
		return nil, err
	}
	w.errors = newObjectWriter(w, s.errors, ".json", "processing-failed")
	w.backup = newObjectWriter(w, s.backup, ".json.gz", "source")
	return w, nil
}

// begin makes the lane ready for an epoch that follows base, which was committed.
// What it holds is thrown away.
func (w *laneWriter) begin(u *uploads, base protocol.Record, epoch int64) {
	for _, f := range w.open {
		w.discard(f)
	}
	w.letters.discard()
	w.errors.discard()
	w.backup.discard()
	w.uploads, w.id, w.instance, w.generation, w.epoch = u, base.ID, base.Instance, base.Generation, epoch
	w.clear()
}

// clear forgets the epoch's partitions, which are all closed.
func (w *laneWriter) clear() {
	w.router.reset()
	w.append.NextEpoch()
	w.open, w.files, w.rows, w.bytes, w.held, w.heldRows = nil, nil, 0, 0, 0, 0
	w.inOpen.Store(0)
	w.parted.Store(0)
	w.written.Store(0)
}

func (w *laneWriter) discard(f *openFile) {
	if f == nil {
		return
	}
	f.rows.Release()
	if f.file != nil {
		f.file.Discard()
	}
	f.sink.abort()
}

// Write implements connectors.LaneWriter.
func (w *laneWriter) Write(ctx context.Context, d connectors.Delta) error {
	if w.uploads == nil {
		return errNotBegun
	}
	if w.stream.kept {
		return errNoRows
	}
	n := int(d.Batch.NumRows())
	if n == 0 || d.Rows() == 0 {
		return nil
	}
	if err := w.checkDelta(d); err != nil {
		return err
	}
	w.columns = append(w.columns[:0], d.Batch.Columns()...)
	stored := w.columns
	if w.stream.stored != nil {
		w.stored = w.stored[:0]
		for _, c := range w.stream.stored {
			w.stored = append(w.stored, w.columns[c])
		}
		stored = w.stored
	}
	if err := w.append.Bind(stored); err != nil {
		return fmt.Errorf("stream %s: %w", w.stream.spec.Stream, err)
	}
	rows := d.Sel
	if rows == nil {
		for len(w.all) < n {
			w.all = append(w.all, int32(len(w.all)))
		}
		rows = w.all[:n]
	}
	for len(rows) > 0 {
		some := rows[:min(len(rows), sliceRows)]
		rows = rows[len(some):]
		if err := w.spread(ctx, some); err != nil {
			return err
		}
	}
	return w.relieve(ctx)
}

// checkDelta refuses what a table of inserts cannot take.
func (w *laneWriter) checkDelta(d connectors.Delta) error {
	if int(d.Batch.NumCols()) != len(w.stream.target.Columns) {
		return fmt.Errorf("stream %s: %w", w.stream.spec.Stream, errColumns)
	}
	return d.OnlyInserts(w.stream.spec.Stream, "a table of files")
}

// spread copies rows of the bound batch to their partitions.
func (w *laneWriter) spread(ctx context.Context, rows []int32) error {
	groups, err := w.router.route(w.columns, rows)
	if err != nil {
		return fmt.Errorf("stream %s: %w", w.stream.spec.Stream, err)
	}
	for _, g := range groups {
		for int(g.part) >= len(w.open) {
			w.open = append(w.open, nil)
		}
		if w.open[g.part] == nil {
			w.open[g.part] = w.newFile(&w.router.parts[g.part])
			w.parted.Add(1)
		}
	}
	if len(rows) < fewRows*len(groups) {
		// Many partitions with few rows each: the partitions' buffers are what
		// misses the cache.
		for _, g := range groups {
			for column := range w.width {
				w.append.AppendColumn(w.open[g.part].rows, column, g.rows)
			}
		}
	} else {
		for column := range w.width {
			for _, g := range groups {
				w.append.AppendColumn(w.open[g.part].rows, column, g.rows)
			}
		}
	}
	for _, g := range groups {
		f := w.open[g.part]
		w.append.Appended(f.rows, len(g.rows))
		f.n += int64(len(g.rows))
		w.rows += int64(len(g.rows))
		if f.rows.Len() >= pageRows || f.rows.Held() >= pageBytes {
			if err := w.encodePart(ctx, int(g.part)); err != nil {
				return err
			}
			continue
		}
		w.account(f)
	}
	return nil
}

// encodePart makes pages of a partition's rows, and finishes its file if that
// has its size.
func (w *laneWriter) encodePart(ctx context.Context, part int) error {
	f := w.open[part]
	if err := w.encode(ctx, f); err != nil {
		return err
	}
	if f.file.Size() >= w.stream.settings.Load().targetFileSize {
		return w.finish(ctx, part)
	}
	w.account(f)
	return nil
}

func (w *laneWriter) newFile(p *partition) *openFile {
	folder := p.path
	if t := w.stream.template; t != nil {
		folder = t.Folder(hive.Place{Values: hiveTexts(w.router.fields, p.values), At: w.stream.pathTime(), Random: w.stream.newID()})
	}
	sink := &lazySink{uploads: w.uploads}
	sink.key, sink.place = w.stream.dataKey(folder, w.fileName())
	return &openFile{rows: parquetfile.NewRows(w.stream.schema, w.pool), sink: sink}
}

// fileName tells where a file comes from, and is never used twice: not by
// another lane or epoch, nor when an epoch is written again, nor by a stream of
// the same name that is dropped and created anew. In an Iceberg table two instances
// may have the same generation, each in a catalog of its own, after one has adopted
// the table or was given a copy of the other's catalog.
func (w *laneWriter) fileName() string {
	w.counter++
	if w.stream.sink.hive {
		return w.hiveName() + w.stream.settings.Load().extension
	}
	return fmt.Sprintf("%s-%d-%d-%d-%d-%s.parquet", safeName(w.stream.spec.Stream, 80),
		w.generation, w.epoch, w.lane, w.counter, w.instance[:min(len(w.instance), 8)])
}

// encode makes pages of a file's rows.
func (w *laneWriter) encode(ctx context.Context, f *openFile) error {
	if f.file == nil {
		f.file = w.encoder.NewFile(f.sink)
	}
	before := f.file.Size()
	if err := f.file.WriteRows(ctx, f.rows); err != nil {
		return err
	}
	w.written.Add(f.file.Size() - before)
	return nil
}

// account brings held up to date with a file.
func (w *laneWriter) account(f *openFile) {
	rows := f.rows.Held()
	now := rows + f.sink.held()
	if f.file != nil {
		now += f.file.Held()
	}
	w.held += now - f.held
	w.heldRows += rows - f.heldRows
	f.held, f.heldRows = now, rows
}

// finish closes a partition's file and uploads it. Rows that follow begin
// another one.
func (w *laneWriter) finish(ctx context.Context, part int) error { return w.close(ctx, part, 1) }

// close closes a partition's file, which becomes one with those of the same
// partition that so many lanes close.
func (w *laneWriter) close(ctx context.Context, part, lanes int) error {
	f := w.open[part]
	if err := w.encode(ctx, f); err != nil {
		return err
	}
	p := &w.router.parts[part]
	out := &outputFile{key: f.sink.key, partition: p.values, rows: f.n}
	if d, ok := f.file.(detachable); ok && !d.Begun() {
		detached, err := d.Detach()
		if err != nil {
			return err
		}
		w.forget(part)
		w.bytes += detached.Bytes()
		if w.uploads.join(p.key, lanes, out, f.sink.place, detached, &w.inFlight, w.stream.settings.Load().targetFileSize) {
			w.files = append(w.files, out)
		}
	} else {
		footer, err := f.file.Finish(ctx)
		if err != nil {
			return err
		}
		out.footer = footer
		f.file.Discard()
		w.forget(part)
		w.files = append(w.files, out)
		w.bytes += footer.Bytes
		w.uploads.finish(out, f.sink.writer, &w.inFlight)
	}
	w.inOpen.Store(w.held + w.beside())
	return nil
}

// forget takes a file whose rows are encoded out of the open ones.
func (w *laneWriter) forget(part int) {
	f := w.open[part]
	f.rows.Release()
	w.held -= f.held
	w.heldRows -= f.heldRows
	w.open[part] = nil
	w.parted.Add(-1)
}

// beside is what the lane holds that is no row of the table.
func (w *laneWriter) beside() int64 { return w.letters.held + w.errors.held() + w.backup.held() }

// relieve brings the lane back within its memory.
func (w *laneWriter) relieve(ctx context.Context) error {
	if w.letters.held > w.limit/4 {
		if err := w.letters.finish(ctx); err != nil {
			return err
		}
	}
	if most := min(max(w.parted.Load()*usefulPage, leastRows), w.limit/2); w.heldRows > most {
		if err := w.encodeMost(ctx, most/2); err != nil {
			return err
		}
	}
	if over := w.held + w.beside() + w.inFlight.Load() + w.pool.Held() - w.limit; over > 0 {
		w.pool.Trim(over)
	}
	if w.held+w.beside()+w.inFlight.Load() > w.limit {
		if err := w.shrink(ctx); err != nil {
			return err
		}
		w.pool.Trim(w.pool.Held())
		if err := w.uploads.until(ctx, func() bool {
			return w.held+w.beside()+w.inFlight.Load() <= w.limit || w.inFlight.Load() <= 0
		}); err != nil {
			return err
		}
	}
	w.inOpen.Store(w.held + w.beside())
	return w.closeSome(ctx)
}

// closeSome finishes the largest files when too many partitions are open, some
// more than needed, so that it need not be done again at once.
func (w *laneWriter) closeSome(ctx context.Context) error {
	most := w.MaxOpenPartitions()
	if w.parted.Load() <= most {
		return nil
	}
	parts := w.openParts(func(f *openFile) int64 { return f.held })
	for _, part := range parts[:int64(len(parts))-most*3/4] {
		if err := w.finish(ctx, part); err != nil {
			return err
		}
	}
	return nil
}

// encodeMost encodes the partitions with the most rows until no more than goal
// bytes of rows are left.
func (w *laneWriter) encodeMost(ctx context.Context, goal int64) error {
	parts := w.openParts(func(f *openFile) int64 { return f.heldRows })
	for _, part := range parts {
		if w.heldRows <= goal {
			break
		}
		if err := w.encodePart(ctx, part); err != nil {
			return err
		}
	}
	return nil
}

// openParts are the open partitions, those with the most of something first.
func (w *laneWriter) openParts(most func(*openFile) int64) []int {
	parts := make([]int, 0, len(w.open))
	for part, f := range w.open {
		if f != nil {
			parts = append(parts, part)
		}
	}
	slices.SortFunc(parts, func(a, b int) int { return cmp.Compare(most(w.open[b]), most(w.open[a])) })
	return parts
}

// shrink encodes all rows, and finishes the largest files if that is not
// enough, until the open files take half of the memory.
func (w *laneWriter) shrink(ctx context.Context) error {
	goal := w.limit / 2
	if w.held <= goal {
		return nil
	}
	if err := w.encodeMost(ctx, max(0, w.heldRows-(w.held-goal))); err != nil {
		return err
	}
	if w.held > goal {
		if err := w.encodeMost(ctx, 0); err != nil {
			return err
		}
	}
	for _, part := range w.openParts(func(f *openFile) int64 { return f.held }) {
		if w.held <= goal {
			return nil
		}
		if err := w.finish(ctx, part); err != nil {
			return err
		}
	}
	return nil
}

// DeadLetter implements connectors.LaneWriter.
func (w *laneWriter) DeadLetter(ctx context.Context, letters []connectors.DeadLetter) error {
	if w.uploads == nil {
		return errNotBegun
	}
	if err := w.letters.write(ctx, letters); err != nil {
		return err
	}
	if err := w.writeErrors(ctx, letters); err != nil {
		return err
	}
	return w.relieve(ctx)
}

// Seal implements connectors.LaneWriter.
func (w *laneWriter) Seal(ctx context.Context) (connectors.Sealed, error) {
	if w.uploads == nil {
		return nil, errNotBegun
	}
	// Lanes take turns at a split: its rows would not be in their order in a file
	// of several lanes.
	joined := 1
	if w.stream.spec.Unordered {
		joined = w.stream.spec.Lanes
	}
	for part, f := range w.open {
		if f == nil {
			continue
		}
		if err := w.close(ctx, part, joined); err != nil {
			return nil, err
		}
	}
	if err := w.letters.finish(ctx); err != nil {
		return nil, err
	}
	if err := w.errors.finish(ctx); err != nil {
		return nil, err
	}
	if err := w.backup.finish(ctx); err != nil {
		return nil, err
	}
	s := &sealed{
		uploads: w.uploads, epoch: w.epoch, files: w.files, rows: w.rows, bytes: w.bytes,
		letters: w.letters.files, dead: w.letters.count, objects: append(w.errors.take(), w.backup.take()...),
	}
	w.letters.clear()
	w.epoch++
	w.clear()
	return s, nil
}

// OpenPartitions implements connectors.Partitioned.
func (w *laneWriter) OpenPartitions() int64 { return w.parted.Load() }

// MaxOpenPartitions implements connectors.Partitioned: this lane's share.
func (w *laneWriter) MaxOpenPartitions() int64 {
	return max(w.stream.settings.Load().maxOpen/int64(w.stream.spec.Lanes), 1)
}

// Buffered implements connectors.LaneWriter.
func (w *laneWriter) Buffered() int64 { return w.inOpen.Load() + w.inFlight.Load() }

// Written implements connectors.LaneWriter.
func (w *laneWriter) Written() int64 { return w.written.Load() }

// sealed is what a lane wrote in an epoch. It implements connectors.Sealed.
type sealed struct {
	uploads     *uploads
	epoch       int64
	files       []*outputFile
	rows, bytes int64
	letters     []*outputFile
	dead        int64
	objects     []*outputFile // outside of tables
}

// Rows implements connectors.Sealed.
func (s *sealed) Rows() int64 { return s.rows }

// Bytes implements connectors.Sealed.
func (s *sealed) Bytes() int64 { return s.bytes }

var errNotBegun = &sqlerror.Error{Code: sqlerror.CodeInternal, Message: "the stream's sink was not begun"}
