package lake

import (
	"context"
	"fmt"
	"slices"
	"strings"

	"github.com/leatdb/leat/catalog"
	"github.com/leatdb/leat/catalog/hive"
	"github.com/leatdb/leat/internal/objectstore"
	"github.com/leatdb/leat/sql/sqlerror"
)

// stage begins an object that does not exist before a commit has decided so.
func stage(ctx context.Context, store objectstore.Store, key, place string, retrying func(error)) (objectstore.Writer, error) {
	stager, ok := store.(objectstore.Stager)
	if !ok {
		return nil, errNoStager
	}
	w, err := stager.Stage(ctx, key, place, objectstore.WriterOptions{Retrying: retrying})
	if err != nil {
		return nil, err
	}
	return &stagedObject{StagedWriter: w}, nil
}

var errNoStager = &sqlerror.Error{Code: sqlerror.CodeInternal, Message: "the store cannot keep files that do not exist yet"}

// stagedObject is a writer whose Commit only makes durable what was written.
type stagedObject struct {
	objectstore.StagedWriter
	upload objectstore.Upload // after Commit
}

// Commit implements objectstore.Writer.
func (s *stagedObject) Commit(ctx context.Context) (objectstore.Info, error) {
	u, err := s.Finish(ctx)
	s.upload = u
	return objectstore.Info{Key: u.Key, Size: u.Size}, err
}

// discardStaged throws staged objects away. What cannot be discarded is left to
// the next start's sweep.
func discardStaged(ctx context.Context, store objectstore.Store, uploads []objectstore.Upload) {
	stager, ok := store.(objectstore.Stager)
	if !ok {
		return
	}
	slices.SortFunc(uploads, func(a, b objectstore.Upload) int { return strings.Compare(a.Key, b.Key) })
	for _, u := range uploads {
		_ = stager.Discard(ctx, u)
	}
}

// outsidePartition lists the columns that the files of a Hive folder have: those
// that its paths do not have.
func outsidePartition(t *catalog.Target) []int {
	stored := make([]int, 0, len(t.Columns))
	for i := range t.Columns {
		if !slices.ContainsFunc(t.Spec, func(f catalog.SpecField) bool { return f.Column == i }) {
			stored = append(stored, i)
		}
	}
	return stored
}

// hivePath is the folder of a partition in a Hive folder. The values of columns
// that can be partitioned by all have a text.
func hivePath(fields []*keyField, values []any) string {
	parts := hiveTexts(fields, values)
	for i, f := range fields {
		parts[i] = hive.Component(f.name, parts[i])
	}
	return strings.Join(parts, "/")
}

// hiveTexts are the texts of a partition's values, "" for NULL.
func hiveTexts(fields []*keyField, values []any) []string {
	texts := make([]string, len(fields))
	for i, f := range fields {
		text, err := hive.ValueText(values[i], f.stored)
		if err != nil {
			text = valueText(values[i])
		}
		texts[i] = text
	}
	return texts
}

// dataKey is the key of a data file, and the place where it is staged.
func (s *streamSink) dataKey(folder, name string) (key, place string) {
	key = s.folder
	if s.sink.hive {
		place = hive.StagingPlace(s.folder)
	} else {
		key += "/data"
	}
	if folder != "" {
		key += "/" + folder
	}
	return key + "/" + name, place
}

// letterKey is the same for a file of dead letters.
func (s *streamSink) letterKey(w *laneWriter) (key, place string) {
	if !s.sink.hive {
		return fmt.Sprintf("%s/data/stream=%s/%s", s.letterFolder, safeName(s.spec.Stream, 60), w.fileName()), ""
	}
	// Streams of one name that write to different tables meet here.
	w.counter++
	return s.letterFolder + "/" + w.hiveName() + letterSuffix(w.id), hive.StagingPlace(s.letterFolder)
}

// letterSuffix ends the names of a life's dead letters.
func letterSuffix(id string) string { return "-" + id[:min(len(id), 8)] + ".parquet" }

func (w *laneWriter) hiveName() string {
	return hive.FileName{
		Stream: hive.Safe(w.stream.spec.Stream), Generation: w.generation, Epoch: w.epoch, Lane: int64(w.lane), N: w.counter,
	}.String()
}

// settle makes what commits to a table have decided visible.
func (s *streamSink) settle(ctx context.Context, t *catalog.Target) error {
	backoff := objectstore.Backoff{Scheduler: s.sink.scheduler}
	if err := backoff.Retry(ctx, s.spec.Retrying, t.Settle); err != nil {
		return about(err, s.spec.Stream)
	}
	return nil
}

// sweep throws away what starts of the stream up to a generation have staged and
// not committed. They have ended or will find that they have; what is left
// behind here the next start finds.
func (s *streamSink) sweep(ctx context.Context, generation int64) {
	if !s.sink.hive {
		return
	}
	stream := hive.Safe(s.spec.Stream)
	ours := func(name string) bool {
		n, ok := hive.ParseFileName(name)
		return ok && n.Stream == stream && n.Generation <= generation
	}
	suffix := letterSuffix(s.base.ID)
	oursOfLetters := func(name string) bool {
		name, ok := strings.CutSuffix(name, suffix)
		return ok && ours(name+".parquet")
	}
	for _, one := range []struct {
		table *catalog.Target
		mine  func(string) bool
	}{{s.target, ours}, {s.letters, oursOfLetters}} {
		if err := one.table.Sweep(ctx, one.mine); err != nil {
			s.spec.Logger.Warn("uploads of earlier starts were not discarded", "stream", s.spec.Stream, "error", err)
		}
	}
	if err := s.sweepOutside(ctx, func(name string) bool {
		for _, extension := range []string{".json.gz", ".json"} {
			if stem, ok := strings.CutSuffix(name, extension); ok {
				return oursOfLetters(stem + ".parquet")
			}
		}
		return false
	}); err != nil {
		s.spec.Logger.Warn("uploads of earlier starts were not discarded", "stream", s.spec.Stream, "error", err)
	}
}
