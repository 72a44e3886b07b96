package hive

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"

	"github.com/leatdb/leat/catalog"
	"github.com/leatdb/leat/internal/objectstore"
	"github.com/leatdb/leat/sql/sqlerror"
)

// completeAtOnce bounds how many uploads are completed at a time.
const completeAtOnce = 16

// undone lists the entries up to e, e included, whose files are not known to
// exist, the oldest first. Entries that were trimmed are done.
func (c *Committer) undone(ctx context.Context, e *entry) ([]*entry, error) {
	var list []*entry
	for n := max(e.Completed, min(c.state.completedThrough(), e.N)) + 1; n <= e.N; n++ {
		one := e
		if n < e.N {
			var err error
			if one, err = c.lake.read(ctx, c.name, n); err != nil {
				return nil, err
			}
		}
		if one != nil {
			list = append(list, one)
		}
	}
	return list, nil
}

// lostFiles are files of a commit that neither exist nor can be completed.
type lostFiles struct {
	entry *entry
	files []decided
}

func (l lostFiles) err(table string) error {
	var rows int64
	names := make([]string, 0, 4)
	for _, f := range l.files {
		rows += f.Rows
		if len(names) < cap(names) {
			names = append(names, f.Key)
		}
	}
	if len(l.files) > len(names) {
		names = append(names, fmt.Sprintf("%d more", len(l.files)-len(names)))
	}
	of := fmt.Sprintf("commit %d", l.entry.N)
	if epoch := l.entry.Summary[catalog.SummaryEpoch]; epoch != "" {
		of = fmt.Sprintf("generation %s, epoch %s", l.entry.Summary[catalog.SummaryGeneration], epoch)
	}
	source := ""
	if to := l.entry.Summary[catalog.SummaryPositions]; to != "" {
		source = fmt.Sprintf(", which had read the source from %s to %s", l.entry.Summary[catalog.SummaryFrom], to)
	}
	return sqlerror.Externalf(sqlerror.CodeDataLoss, "table %s has lost %d rows in %d files of %s%s: %s: they are gone or not whole, and there is no upload to complete them from",
		table, rows, len(l.files), of, source, strings.Join(names, ", ")).Final().About("stream " + l.entry.Stream).
		WithHint("restore the files and START STREAM, or DROP STREAM, which gives the rows up; a store has to keep uncompleted uploads for at least 7 days")
}

// settle completes what is decided up to e. Files that are lost are no error:
// they are returned. The caller is busy.
func (c *Committer) settle(ctx context.Context, e *entry) ([]lostFiles, error) {
	list, err := c.undone(ctx, e)
	if err != nil || len(list) == 0 {
		return nil, err
	}
	var lost []lostFiles
	through := list[0].N - 1
	for _, one := range list {
		files, err := c.complete(ctx, one)
		if err != nil {
			return nil, fmt.Errorf("complete files of table %s: %w", c.name, err)
		}
		if err := c.register(ctx, e, one); err != nil {
			return nil, err
		}
		if len(files) > 0 {
			lost = append(lost, lostFiles{one, files})
		} else if len(lost) == 0 {
			through = one.N
		}
	}
	c.state.m.Lock()
	defer c.state.m.Unlock()
	if through > c.state.completed {
		c.state.completed, c.state.completedAt = through, c.lake.opts.Scheduler.Now().UnixMilli()
	}
	if len(lost) == 0 {
		clear(c.state.settled)
	}
	return lost, nil
}

// unsettledFile is a file, or an object elsewhere, that may not exist yet.
type unsettledFile struct {
	decided
	store objectstore.Stager
	name  string // the key, or the URI of what is elsewhere
}

// unsettled lists what of an entry this process has not seen to exist.
func (c *Committer) unsettled(e *entry) ([]unsettledFile, error) {
	s, files := c.state, []unsettledFile(nil)
	for _, f := range e.Files {
		files = append(files, unsettledFile{f, c.lake.opts.Store, f.Key})
	}
	for _, o := range e.Objects {
		at, err := c.lake.opts.Store.At(o.Root)
		if err != nil {
			return nil, err
		}
		store, ok := at.(objectstore.Stager)
		if !ok {
			return nil, &sqlerror.Error{Code: sqlerror.CodeInternal, Message: "the store of " + o.Root + " cannot complete uploads"}
		}
		files = append(files, unsettledFile{decided{o.Upload, o.Records}, store, store.URI(o.Key)})
	}
	s.m.Lock()
	defer s.m.Unlock()
	return slices.DeleteFunc(files, func(f unsettledFile) bool { return s.settled[f.name] }), nil
}

// complete makes the files of an entry exist, several at a time, and returns
// those that are lost.
func (c *Committer) complete(ctx context.Context, e *entry) ([]decided, error) {
	s := c.state
	files, err := c.unsettled(e)
	if err != nil {
		return nil, err
	}
	var (
		m       = c.lake.opts.Scheduler.NewMonitor()
		running int
		next    int
		done    int
		failed  error
		lost    []decided
	)
	worker := func() {
		m.Lock()
		defer m.Unlock()
		for failed == nil && next < len(files) {
			f := files[next]
			next++
			m.Unlock()
			_, err := f.store.Complete(ctx, f.Upload)
			m.Lock()
			switch {
			case err == nil:
				done++
				catalog.Progress(ctx, catalog.Step{What: "completing files of " + c.name, Done: done, Total: len(files)})
				s.m.Lock()
				s.settled[f.name] = true
				s.m.Unlock()
			case errors.Is(err, objectstore.ErrNoUpload):
				lost = append(lost, decided{Upload: objectstore.Upload{Key: f.name}, Rows: f.Rows})
			case failed == nil:
				failed = err
			}
		}
		running--
		m.Broadcast()
	}
	running = min(completeAtOnce, len(files))
	if running == 1 {
		worker()
		return lost, failed
	}
	for range running {
		c.lake.opts.Scheduler.Go("complete files of "+c.name, worker)
	}
	m.Lock()
	defer m.Unlock()
	for running > 0 {
		m.Wait()
	}
	return lost, failed
}
