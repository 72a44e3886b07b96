package lake

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"strconv"
	"sync/atomic"
	"time"

	"github.com/leatdb/leat/catalog"
	"github.com/leatdb/leat/catalog/hive"
	"github.com/leatdb/leat/catalog/iceberg"
	"github.com/leatdb/leat/connectors"
	"github.com/leatdb/leat/connectors/lake/parquetfile"
	"github.com/leatdb/leat/connectors/lake/protocol"
	"github.com/leatdb/leat/internal/objectstore"
	"github.com/leatdb/leat/internal/sched"
	"github.com/leatdb/leat/sql/sqlerror"
	"github.com/leatdb/leat/sql/types"
)

// maintainEvery is after how many commits the table's metadata is tidied up.
const maintainEvery = 50

// streamSink commits the epochs of one stream. It implements
// connectors.StreamSink: package protocol decides, this does the I/O.
//
// After an error of Commit, Commit may be repeated with the same arguments, or
// Begin starts over from what the table says; nothing else can be right, since
// the epoch may have been committed although the answer was lost.
type streamSink struct {
	sink     *Sink
	spec     connectors.StreamSpec
	settings atomic.Pointer[settings]
	target   *catalog.Target
	letters  *catalog.Target
	schema   *parquetfile.Schema
	// stored are the columns of the stream's schema that files have; nil is all.
	stored       []int
	folder       string // keys of the two tables' folders
	letterFolder string
	key          string // of the state's property
	lanes        []*laneWriter
	template     *hive.Template // of the folders; nil for the usual ones
	errors       *outside       // nil for none
	backup       *outside
	// marker writes the marks of replays; it is a lane behind the others, nil
	// before the first replay.
	marker *laneWriter
	// kept says that there are no rows: another sink has them (ledger.go).
	kept bool
	// taken are the instances in whose name the stream was begun here.
	taken []string

	stalls  *objectstore.Stalls // of all that is asked of the store
	uploads *uploads            // nil before Begin
	base    protocol.Record
	// tried is the record of a commit that was sent and not answered.
	tried *protocol.Record
	// pending are base.Pending's files as this process knows them.
	pending []*outputFile
	// stale is a file of positions that no record names any more.
	stale   string
	commits int
	closed  bool

	// Ends the sweep that Begin starts, and waits for it; nil before.
	endSweep func()
}

// newStreamSink takes a spec with its defaults.
func newStreamSink(sink *Sink, spec connectors.StreamSpec, target, letters *catalog.Target) (*streamSink, error) {
	s := &streamSink{
		sink: sink, spec: spec, target: target, letters: letters, key: protocol.Key(spec.Stream),
		stalls: objectstore.NewStalls(spec.Retrying),
	}
	settings := newSettings(spec.Options)
	s.settings.Store(&settings)
	var err error
	if s.folder, err = sink.store.Key(target.Location); err != nil {
		return nil, err
	}
	if s.letterFolder, err = sink.store.Key(letters.Location); err != nil {
		return nil, err
	}
	if sink.hive {
		s.stored = outsidePartition(target)
		if s.template, err = pathTemplate(spec); err != nil {
			return nil, err
		}
		if s.errors, err = sink.openOutside(spec.Options, "error_path"); err != nil {
			return nil, err
		}
		if s.backup, err = sink.openOutside(spec.Options, "backup"); err != nil {
			return nil, err
		}
	}
	if s.schema, err = fileSchema(target, s.stored); err != nil {
		return nil, err
	}
	for lane := range spec.Lanes {
		w, err := newLaneWriter(s, lane)
		if err != nil {
			return nil, err
		}
		s.lanes = append(s.lanes, w)
	}
	return s, nil
}

// fileSchema is the schema of a target's files; stored are the columns that
// these have, nil for all.
func fileSchema(t *catalog.Target, stored []int) (*parquetfile.Schema, error) {
	fields := t.Columns
	if stored != nil {
		fields = make([]catalog.TargetColumn, len(stored))
		for i, column := range stored {
			fields[i] = t.Columns[column]
		}
	}
	kinds := map[types.Kind]parquetfile.Type{
		types.Bool: parquetfile.Boolean, types.Int32: parquetfile.Int, types.Int64: parquetfile.Long,
		types.Float32: parquetfile.Float, types.Float64: parquetfile.Double, types.Decimal: parquetfile.Decimal,
		types.Date: parquetfile.Date, types.Time: parquetfile.Time, types.DateTime: parquetfile.Timestamp,
		types.Timestamp: parquetfile.TimestampTZ, types.String: parquetfile.String, types.Binary: parquetfile.Binary,
	}
	columns := make([]parquetfile.Column, len(fields))
	for i, c := range fields {
		typ, ok := kinds[c.Type.Kind]
		if !ok || c.Type.Name == "BINARY" || c.Type.Name == "CHAR" {
			return nil, sqlerror.Userf(sqlerror.CodeUnsupported, "column %s of type %s cannot be written", c.Name, c.Type)
		}
		columns[i] = parquetfile.Column{
			Name: c.Name, ID: c.ID, Type: typ, Precision: c.Type.Precision, Scale: c.Type.Scale, Required: c.Required,
		}
	}
	return parquetfile.NewSchema(columns)
}

// SetOptions takes the stream's run-time options from the next file and commit
// on.
func (s *streamSink) SetOptions(o connectors.Options) {
	next := newSettings(o)
	next.encoding = s.settings.Load().encoding
	s.settings.Store(&next)
}

// Writer implements connectors.StreamSink.
func (s *streamSink) Writer(lane int) connectors.LaneWriter { return s.lanes[lane] }

// newID is a name that is not given twice.
func (s *streamSink) newID() string { return sched.ID(s.sink.scheduler) }

// update lets decide change a table until it is done, ctx ends or nothing can
// be mended: what fails is decided anew on what the table then says.
func (s *streamSink) update(ctx context.Context, t *catalog.Target, fresh bool, decide func(catalog.Version) (*catalog.Change, error)) (catalog.Version, error) {
	backoff := objectstore.Backoff{Scheduler: s.sink.scheduler}
	told := false
	for attempt := 0; ; attempt++ {
		v, err := t.Update(ctx, fresh || attempt > 0, decide)
		if err == nil {
			if told {
				s.spec.Retrying(nil)
			}
			return v, nil
		}
		if errors.Is(err, connectors.ErrBeginAgain) {
			return v, fmt.Errorf("stream %s: %w", s.spec.Stream, err)
		}
		if ctx.Err() != nil {
			return v, fmt.Errorf("stream %s: %w", s.spec.Stream, err)
		}
		conflict := iceberg.IsConflict(err) || hive.IsConflict(err)
		if !conflict && !sqlerror.IsRetryable(err) {
			return v, about(err, s.spec.Stream)
		}
		// That another one was faster is no trouble, unless it goes on.
		if !conflict || attempt > 10 {
			told = true
			s.spec.Retrying(err)
			if backoff.Wait(ctx) != nil {
				return v, fmt.Errorf("stream %s: %w", s.spec.Stream, err)
			}
		}
	}
}

func about(err error, stream string) error {
	if e := sqlerror.As(err); e != nil && e.Object == "" && errors.Is(err, e) {
		e.Object = "stream " + stream
	}
	return err
}

// record reads the stream's record from a version of the table.
func (s *streamSink) record(v catalog.Version) (*protocol.Record, error) {
	return protocol.Decode(v.Properties[s.key])
}

// Begin implements connectors.StreamSink. It may be called again, after an
// error or to take over anew: what is not committed is thrown away.
func (s *streamSink) Begin(ctx context.Context, initial func(context.Context) (map[string]connectors.Positions, error)) (connectors.State, bool, error) {
	if s.closed {
		return connectors.State{}, false, errClosed
	}
	ctx, end := doing(s.stalls.Context(ctx), s.spec)
	defer end()
	s.discard(ctx)
	s.sweepAbandoned() // first of all: what was left behind may be what fills the disk
	first, err := s.firstPositions(ctx, initial)
	if err != nil {
		return connectors.State{}, false, err
	}
	var (
		id, instance = s.newID(), s.newID()
		next         protocol.Record
		resumed      bool
		removed      bool
	)
	if s.kept {
		s.taken = append(s.taken, instance)
	}
	v, err := s.update(ctx, s.target, true, func(v catalog.Version) (*catalog.Change, error) {
		found, err := s.record(v)
		if err != nil {
			return nil, err
		}
		if next.Instance != "" && s.sink.rules.DecideStart(next, found) == protocol.Done {
			return nil, nil
		}
		if s.kept && s.base.ID != "" && found != nil && !slices.Contains(s.taken, found.Instance) {
			// A store fences who commits by whoever begins: one that was fenced so finds
			// out here, and does not take the stream back.
			return nil, protocol.Fenced.Err(s.spec.Stream, found)
		}
		next = s.sink.rules.Start(found, id, instance, s.columnIDs())
		if resumed = found != nil; !resumed {
			// Where to begin was not asked, since there was a state a moment ago: the
			// start begins anew.
			if removed = first == nil; removed {
				return nil, nil
			}
			next.Positions = first
			next.Generation += v.Dropped[s.spec.Stream]
		}
		return s.change(ctx, &next, nil, connectors.CommitInfo{}, 0)
	})
	if err != nil {
		return connectors.State{}, false, err
	}
	if removed {
		return connectors.State{}, false, errDropped
	}
	found, err := s.record(v)
	if err != nil {
		return connectors.State{}, false, err
	}
	if s.sink.rules.DecideStart(next, found) != protocol.Done {
		return connectors.State{}, false, about(protocol.Fenced.Err(s.spec.Stream, &next), s.spec.Stream)
	}
	s.base, s.tried = *found, nil
	if err := s.loadPositions(ctx, &s.base); err != nil {
		return connectors.State{}, false, err
	}
	// What is decided is finished before anything is thrown away: an upload that is
	// in no commit then never will be.
	if err := s.settle(ctx, s.target); err != nil {
		return connectors.State{}, false, err
	}
	if err := s.publish(ctx); err != nil {
		return connectors.State{}, false, err
	}
	s.sweep(ctx, s.base.Generation-1)
	s.sweepReplays(ctx)
	s.beginLanes()
	// Trouble that ended the last generation is over.
	s.spec.Retrying(nil)
	// The first tidying comes soon, also for a stream that is restarted often.
	s.commits = maintainEvery - 10
	return s.base.State(), resumed, nil
}

var errDropped = sqlerror.Externalf(sqlerror.CodeState, "the stream's state was removed while the stream started")

// firstPositions asks for initial positions if the table knows no others.
func (s *streamSink) firstPositions(ctx context.Context, initial func(context.Context) (map[string]connectors.Positions, error)) (map[string]connectors.Positions, error) {
	started := false
	if _, err := s.update(ctx, s.target, true, func(v catalog.Version) (*catalog.Change, error) {
		found, err := s.record(v)
		started = found != nil
		return nil, err
	}); err != nil || started {
		return nil, err
	}
	first, err := initial(ctx)
	if err == nil && first == nil {
		first = map[string]connectors.Positions{}
	}
	return first, err
}

func (s *streamSink) columnIDs() []int {
	ids := make([]int, len(s.target.Columns))
	for i, c := range s.target.Columns {
		ids[i] = c.ID
	}
	return ids
}

// change is the commit of a record with the files and counts of its epoch; the
// commit of a start has none.
func (s *streamSink) change(ctx context.Context, next *protocol.Record, sealed []*sealed, info connectors.CommitInfo, dead int64) (*catalog.Change, error) {
	stored := *next
	var positions []byte
	if !s.sink.hive && !s.kept {
		// An entry of a log may be long.
		var err error
		if positions, err = protocol.SplitPositions(&stored); err != nil {
			return nil, err
		}
	}
	switch {
	case stored.PositionsFile != "":
		stored.Positions = nil
	case positions != nil:
		key := fmt.Sprintf("%s/metadata/leat-positions-%s-%d-%d-%s.json", s.folder, safeName(s.spec.Stream, 80), next.Generation, next.Epoch, s.newID())
		if _, err := s.sink.store.Put(ctx, key, positions, objectstore.PutOptions{}); err != nil {
			return nil, err
		}
		stored.PositionsFile = s.sink.store.URI(key)
		next.PositionsFile = stored.PositionsFile
	}
	if s.kept {
		stored.DataLoss = info.DataLoss
	}
	text, err := stored.Encode()
	if err != nil {
		return nil, err
	}
	c := &catalog.Change{
		Set: map[string]string{s.key: text},
		Summary: map[string]string{
			catalog.SummaryStream:     s.spec.Stream,
			catalog.SummaryGeneration: strconv.FormatInt(next.Generation, 10),
			catalog.SummaryEpoch:      strconv.FormatInt(next.Epoch, 10),
		},
	}
	var rows, bytes int64
	for _, one := range sealed {
		rows += one.rows
		for _, f := range one.files {
			bytes += f.footer.Bytes
			c.Files = append(c.Files, f.data(s.sink.store))
		}
	}
	if s.kept && len(sealed) > 0 {
		// Another sink has the rows.
		rows = next.Counters.RowsLanded - s.base.Counters.RowsLanded
	}
	c.Objects = objectsOf(sealed)
	c.Summary[catalog.SummaryRows] = strconv.FormatInt(rows, 10)
	c.Summary[catalog.SummaryDead] = strconv.FormatInt(dead, 10)
	c.Summary[catalog.SummaryFiles] = strconv.Itoa(len(c.Files))
	c.Summary[catalog.SummaryBytes] = strconv.FormatInt(bytes, 10)
	if next.Pending != nil && next.Pending.Epoch == next.Epoch {
		c.Summary[catalog.SummaryPending] = strconv.FormatInt(dead, 10)
	}
	if text, err := json.Marshal(stored.Positions); err == nil && len(text) <= maxSummaryPositions && stored.Positions != nil {
		c.Summary[catalog.SummaryPositions] = string(text)
		if text, err := json.Marshal(s.base.Positions); err == nil && len(text) <= maxSummaryPositions && s.sink.hive {
			c.Summary[catalog.SummaryFrom] = string(text)
		}
	}
	if len(info.DataLoss) > 0 {
		text, err := json.Marshal(info.DataLoss)
		if err != nil {
			return nil, fmt.Errorf("encode data loss: %w", err)
		}
		c.Summary[catalog.SummaryDataLoss] = string(text)
	}
	return c, nil
}

// maxSummaryPositions is how long positions may be to be kept with each
// snapshot, in bytes; the state has them in any case.
const maxSummaryPositions = 1 << 10

// loadPositions reads the file that a record names.
func (s *streamSink) loadPositions(ctx context.Context, r *protocol.Record) error {
	if r.PositionsFile == "" {
		return nil
	}
	key, err := s.sink.store.Key(r.PositionsFile)
	if err != nil {
		return err
	}
	backoff := objectstore.Backoff{Scheduler: s.sink.scheduler}
	return backoff.Retry(ctx, s.spec.Retrying, func(ctx context.Context) error {
		text, err := s.sink.store.Get(ctx, key)
		if err != nil {
			return err
		}
		return protocol.JoinPositions(r, text)
	})
}

// Commit implements connectors.StreamSink. Once the epoch is in the table it
// returns without error, also when what is pending could not be published
// before ctx ended: the next commit, or the next start, does that first.
func (s *streamSink) Commit(ctx context.Context, state connectors.State, parts []connectors.Sealed, info connectors.CommitInfo) (connectors.CommitResult, error) {
	if s.uploads == nil {
		return connectors.CommitResult{}, errNotBegun
	}
	ctx, end := doing(s.stalls.Context(ctx), s.spec)
	defer end()
	epoch, err := s.gather(parts, state.Epoch)
	if err != nil {
		return connectors.CommitResult{}, err
	}
	s.uploads.flush()
	if err := s.settle(ctx, s.target); err != nil {
		return connectors.CommitResult{}, err
	}
	if err := s.publish(ctx); err != nil {
		return connectors.CommitResult{}, err
	}
	if err := s.uploads.wait(ctx, epoch.files); err != nil {
		return connectors.CommitResult{}, err
	}
	if err := s.uploads.wait(ctx, epoch.letters); err != nil {
		return connectors.CommitResult{}, err
	}
	if err := s.uploads.wait(ctx, epoch.objects); err != nil {
		return connectors.CommitResult{}, err
	}
	var result connectors.CommitResult
	var marks []*outputFile
	if info.Replay != nil {
		begun, files, left, err := s.beginReplay(ctx, state.Epoch, info.Replay)
		switch {
		case err != nil && ctx.Err() != nil:
			return connectors.CommitResult{}, err
		case err != nil:
			result.ReplayErr = err
		default:
			result.Replay, result.ReplayLeft, marks = &begun, left, files
			if !begun.Finished() {
				state.Replays = append(slices.Clone(state.Replays), begun)
			}
		}
	}
	next, err := s.sink.rules.Next(s.base, state, s.pendingOf(state.Epoch, epoch.letters, marks))
	if err != nil {
		return connectors.CommitResult{}, err
	}
	var found *protocol.Record
	_, err = s.update(ctx, s.target, false, func(v catalog.Version) (*catalog.Change, error) {
		if found, err = s.record(v); err != nil {
			return nil, err
		}
		verdict := s.sink.rules.DecideCommit(s.base, next, found)
		if err := verdict.Err(s.spec.Stream, found); err != nil {
			return nil, err
		}
		if verdict == protocol.Done {
			next.PositionsFile, next.CommittedAt = found.PositionsFile, found.CommittedAt
			return nil, nil
		}
		next.CommittedAt = s.spec.Now().UTC().Truncate(time.Millisecond)
		change, err := s.change(ctx, &next, epoch.sealed, info, epoch.dead)
		if err == nil {
			tried := next
			s.tried = &tried
		}
		return change, err
	})
	if err != nil {
		return connectors.CommitResult{}, err
	}
	result.Files, result.CommittedAt = len(epoch.files), next.CommittedAt
	for _, f := range epoch.files {
		result.Bytes += f.footer.Bytes
	}
	s.uploads.committed(epoch.files)
	s.uploads.committed(epoch.letters)
	s.uploads.committed(epoch.objects)
	s.uploads.committed(marks)
	s.deletePositions(ctx, s.base.PositionsFile)
	s.deleteReplays(ctx, s.base.Replays, next.Replays)
	s.base, s.tried, s.pending = next, nil, append(epoch.letters, marks...)
	s.commits++
	if err := s.settle(ctx, s.target); err != nil && ctx.Err() == nil {
		return result, err
	}
	if err := s.publish(ctx); err != nil && ctx.Err() == nil {
		s.spec.Logger.Warn("dead letters are not yet published", "stream", s.spec.Stream, "epoch", state.Epoch, "error", err)
	}
	s.maintain(ctx)
	return result, nil
}

// epochOutput is what all lanes wrote in an epoch.
type epochOutput struct {
	sealed         []*sealed
	files, letters []*outputFile
	objects        []*outputFile // outside of tables
	dead           int64
}

func (s *streamSink) gather(parts []connectors.Sealed, epoch int64) (epochOutput, error) {
	var out epochOutput
	for _, part := range parts {
		one, ok := part.(*sealed)
		if !ok || one.uploads != s.uploads || one.epoch != epoch {
			return out, &sqlerror.Error{Code: sqlerror.CodeInternal, Message: fmt.Sprintf("commit of epoch %d with output of another epoch, start or sink", epoch)}
		}
		out.sealed = append(out.sealed, one)
		out.files = append(out.files, one.files...)
		out.letters = append(out.letters, one.letters...)
		out.objects = append(out.objects, one.objects...)
		out.dead += one.dead
	}
	return out, nil
}

func (s *streamSink) pendingOf(epoch int64, letters, marks []*outputFile) *protocol.Pending {
	if len(letters)+len(marks) == 0 {
		return nil
	}
	return &protocol.Pending{Epoch: epoch, DeadLetters: s.named(letters), Replayed: s.named(marks)}
}

// named describes files for a record.
func (s *streamSink) named(files []*outputFile) []protocol.File {
	var list []protocol.File
	for _, f := range files {
		one := protocol.File{Path: s.sink.store.URI(f.key), Rows: f.rows, Bytes: f.footer.Bytes}
		if f.upload != nil {
			one.Upload, one.ETags = f.upload.ID, f.upload.ETags
		}
		list = append(list, one)
	}
	return list
}

// publish appends what the last epoch left pending to the dead letters, unless
// that was done.
func (s *streamSink) publish(ctx context.Context) error {
	if s.base.Pending == nil {
		return nil
	}
	mark := protocol.MarkKey(s.spec.Stream, s.base.ID)
	_, err := s.update(ctx, s.letters, false, func(v catalog.Version) (*catalog.Change, error) {
		verdict, text, err := s.sink.rules.DecidePublish(s.base, v.Properties[mark])
		if err != nil || verdict == protocol.Done {
			return nil, err
		}
		files, err := s.pendingFiles()
		if err != nil {
			return nil, err
		}
		return &catalog.Change{
			Files:   files,
			Set:     map[string]string{mark: text},
			Summary: map[string]string{catalog.SummaryCompletes: catalog.Completes(s.spec.Table, s.spec.Stream, s.base.Pending.Epoch)},
		}, nil
	})
	if err == nil {
		err = s.settle(ctx, s.letters)
	}
	if err != nil {
		return fmt.Errorf("publish dead letters: %w", err)
	}
	// The table's record names it until the next commit; here it is settled.
	s.base.Pending, s.pending = nil, nil
	return nil
}

// pendingFiles describes the pending dead letters: with all statistics if this
// process wrote them, else by what the record says.
func (s *streamSink) pendingFiles() ([]catalog.NewFile, error) {
	var files []catalog.NewFile
	if len(s.pending) > 0 {
		for _, f := range s.pending {
			files = append(files, f.data(s.sink.store))
		}
		return files, nil
	}
	for _, f := range s.base.Pending.Files() {
		one := catalog.NewFile{Path: f.Path, Rows: f.Rows, Bytes: f.Bytes, Partition: []any{s.spec.Stream}}
		if f.Upload != "" {
			key, err := s.sink.store.Key(f.Path)
			if err != nil {
				return nil, err
			}
			one.Upload = &objectstore.Upload{Key: key, ID: f.Upload, ETags: f.ETags, Size: f.Bytes}
		}
		files = append(files, one)
	}
	return files, nil
}

// deletePositions deletes the file of positions before the last, which a reader
// of an old version of the table might still want.
func (s *streamSink) deletePositions(ctx context.Context, file string) {
	if s.stale != "" && s.stale != file {
		if key, err := s.sink.store.Key(s.stale); err == nil {
			_ = s.sink.store.Delete(ctx, key)
		}
	}
	s.stale = file
}

// maintain keeps the tables' metadata small. It is a convenience: what fails is
// done after some more commits.
func (s *streamSink) maintain(ctx context.Context) {
	if s.commits%maintainEvery != 0 {
		return
	}
	ctx, cancel := context.WithTimeout(ctx, time.Minute)
	defer cancel()
	retention := s.settings.Load().retention
	for _, t := range []*catalog.Target{s.target, s.letters} {
		if err := t.Maintain(ctx, retention); err != nil {
			s.spec.Logger.Debug("table metadata was not tidied up", "stream", s.spec.Stream, "error", err)
		}
	}
}

// Abort implements connectors.StreamSink. When a commit is still unanswered it
// fails with sqlerror.CodeState: Begin then finds out what the table says.
func (s *streamSink) Abort(ctx context.Context) error {
	if s.uploads == nil {
		return nil
	}
	if s.tried != nil {
		return sqlerror.Externalf(sqlerror.CodeState, "stream %s: it is not known whether epoch %d was committed", s.spec.Stream, s.tried.Epoch).
			WithHint("the stream has to begin again from what its table says")
	}
	s.discard(s.stalls.Context(ctx))
	s.beginLanes()
	return nil
}

// beginLanes opens the epoch after the last committed one. What kept uploads of
// an abandoned one from going on is the past.
func (s *streamSink) beginLanes() {
	s.spec.Retrying(nil)
	s.uploads = newUploads(s.sink.scheduler, s.sink.store, s.spec.Retrying, s.stalls)
	s.uploads.staged = s.sink.hive
	for _, w := range s.lanes {
		w.begin(s.uploads, s.base, s.base.Epoch+1)
	}
	s.beginMarker(s.base.Epoch + 1)
}

// discard throws away what is not committed. Files that a commit of unknown
// outcome may name are kept.
func (s *streamSink) discard(ctx context.Context) {
	if s.uploads == nil {
		return
	}
	s.uploads.cancel()
	for _, w := range s.lanes {
		w.begin(nil, protocol.Record{}, 0)
	}
	if s.marker != nil {
		s.marker.begin(nil, protocol.Record{}, 0)
	}
	s.uploads.abort(ctx, s.sink.rules.Keeps(s.tried))
	s.uploads = nil
}

// Drop implements connectors.StreamSink. It works without Begin, too.
func (s *streamSink) Drop(ctx context.Context) error {
	begun := s.uploads != nil
	ctx, end := doing(s.stalls.Context(ctx), s.spec)
	defer end()
	s.discard(ctx)
	if !begun {
		var found *protocol.Record
		if _, err := s.update(ctx, s.target, true, func(v catalog.Version) (_ *catalog.Change, err error) {
			found, err = s.record(v)
			return nil, err
		}); err != nil {
			return err
		}
		if found == nil {
			return nil
		}
		s.base = *found
	}
	if err := s.publish(ctx); err != nil {
		return err
	}
	_, err := s.update(ctx, s.target, !begun, func(v catalog.Version) (*catalog.Change, error) {
		found, err := s.record(v)
		if err != nil {
			return nil, err
		}
		verdict := s.sink.rules.DecideDrop(s.base, found)
		if err := verdict.Err(s.spec.Stream, found); err != nil || verdict == protocol.Done {
			return nil, err
		}
		return &catalog.Change{Remove: []string{s.key}}, nil
	})
	if err != nil {
		return err
	}
	s.deletePositions(ctx, s.base.PositionsFile)
	s.deletePositions(ctx, "")
	s.deleteReplays(ctx, s.base.Replays, nil)
	s.sweep(ctx, s.base.Generation)
	return nil
}

// Close implements connectors.StreamSink.
func (s *streamSink) Close() error {
	s.closed = true
	if s.endSweep != nil {
		s.endSweep()
	}
	// Deleting what nobody names is worth some seconds, no more.
	ctx, cancel := context.WithTimeout(context.Background(), 10*time.Second)
	defer cancel()
	s.discard(ctx)
	return nil
}
