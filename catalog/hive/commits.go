package hive

import (
	"cmp"
	"context"
	"encoding/json"
	"slices"
	"strconv"
	"time"

	"github.com/leatdb/leat/catalog"
	"github.com/leatdb/leat/internal/objectstore"
	"github.com/leatdb/leat/sql/sqlerror"
)

// readAtOnce bounds how many entries are read at a time.
const readAtOnce = 16

// keepFiles and keepPositions bound what is kept of an entry: the names of so
// many files, and so many bytes of a stream's record.
const (
	keepFiles     = 256
	keepPositions = 4 << 10
)

// slim takes out of an entry what is only there for commits and completion.
func (e *entry) slim(completed bool) {
	if completed && len(e.Files) > keepFiles {
		e.Files, e.many = nil, true
	}
	for i := range e.Files {
		e.Files[i].ETags, e.Files[i].ID = nil, ""
	}
	key := streamKey + e.Summary[catalog.SummaryStream]
	record := e.State[key]
	e.State, e.Table = nil, layout{}
	if record != "" && len(record) <= keepPositions {
		e.State = map[string]string{key: record}
	}
}

// history lists the entries of the log up to this version, newest first, each
// followed by the one that it was built on. Entries do not change: those that
// were read once are kept, without what only completion needs.
func (v *tableVersion) history(ctx context.Context) ([]*entry, error) {
	numbers, err := v.lake.numbers(ctx, v.name, 0, 0)
	if err != nil {
		return nil, err
	}
	s := v.lake.shared(v.name)
	var (
		m       = v.lake.opts.Scheduler.NewMonitor()
		missing []int64
		next    int
		running int
		failed  error
	)
	s.m.Lock()
	for _, n := range numbers {
		if s.entries[n] == nil && n <= v.entry.N {
			missing = append(missing, n)
		}
	}
	s.m.Unlock()
	running = min(readAtOnce, len(missing))
	for range running {
		v.lake.opts.Scheduler.Go("read the log of "+v.name, func() {
			m.Lock()
			defer m.Unlock()
			for failed == nil && next < len(missing) {
				n := missing[next]
				next++
				m.Unlock()
				e, err := v.lake.read(ctx, v.name, n)
				m.Lock()
				switch {
				case err != nil:
					failed = err
				case e != nil:
					e.slim(n <= v.entry.Completed)
					s.m.Lock()
					s.entries[n] = e
					s.m.Unlock()
				}
			}
			running--
			m.Broadcast()
		})
	}
	m.Lock()
	for running > 0 {
		m.Wait()
	}
	m.Unlock()
	if failed != nil {
		return nil, failed
	}
	s.m.Lock()
	defer s.m.Unlock()
	list := []*entry{v.entry}
	for e := v.entry; ; {
		before := s.entries[e.N-1]
		// An entry that was written to a number that was free again is no part of
		// the chain, nor what stood before a table was dropped.
		if before == nil || before.Nonce != e.Previous || before.Dropped {
			return list, nil
		}
		list = append(list, before)
		e = before
	}
}

// Commits implements catalog.Table.
func (v *tableVersion) Commits(ctx context.Context) ([]catalog.Commit, error) {
	history, err := v.history(ctx)
	if err != nil {
		return nil, err
	}
	completed, err := v.completionTimes(ctx, history)
	if err != nil {
		return nil, err
	}
	var commits []catalog.Commit
	pending := map[int]bool{}
	for _, e := range history {
		p := e.Summary
		if p[catalog.SummaryStream] == "" {
			continue
		}
		number := func(key string) int64 { n, _ := strconv.ParseInt(p[key], 10, 64); return n }
		c := catalog.Commit{
			Stream: p[catalog.SummaryStream], Generation: number(catalog.SummaryGeneration), Epoch: number(catalog.SummaryEpoch),
			CommittedAt: time.UnixMilli(e.At).UTC(), CompletedAt: completed[e.N],
			RowsLanded: number(catalog.SummaryRows), RowsDead: number(catalog.SummaryDead),
			Files: number(catalog.SummaryFiles), Bytes: number(catalog.SummaryBytes),
			Positions: positionsOf(e, p[catalog.SummaryStream]), DataLoss: p[catalog.SummaryDataLoss], SnapshotID: e.N,
		}
		if p[catalog.SummaryPending] != "" {
			pending[len(commits)] = true
		}
		commits = append(commits, c)
	}
	if len(pending) > 0 {
		if err := v.publication(ctx, commits, pending); err != nil {
			return nil, err
		}
	}
	return commits, nil
}

// positionsOf are the positions that an entry has of a stream, as JSON.
func positionsOf(e *entry, stream string) string {
	var record struct {
		Positions json.RawMessage `json:"positions"`
	}
	if json.Unmarshal([]byte(e.State[streamKey+stream]), &record) != nil {
		return ""
	}
	return string(record.Positions)
}

// completionTimes says when the files of each entry were known to exist, by its
// number; nothing for those of which it is not known yet.
func (v *tableVersion) completionTimes(ctx context.Context, history []*entry) (map[int64]time.Time, error) {
	times := map[int64]time.Time{}
	s := v.lake.shared(v.name)
	s.m.Lock()
	through, at := s.completed, s.completedAt
	s.m.Unlock()
	var unknown []*entry
	for _, e := range history {
		switch {
		case len(e.Files) == 0 && len(e.Objects) == 0 && !e.many:
			times[e.N] = time.UnixMilli(e.At).UTC()
		case e.N <= through:
			times[e.N] = time.UnixMilli(at).UTC()
		default:
			unknown = append(unknown, e)
		}
	}
	// Of several that know it, the earliest counts.
	for _, later := range history {
		for _, e := range history {
			if e.N <= later.Completed && (len(e.Files) > 0 || len(e.Objects) > 0 || e.many) && later.CompletedAt > 0 {
				t := time.UnixMilli(later.CompletedAt).UTC()
				if old, ok := times[e.N]; !ok || t.Before(old) {
					times[e.N] = t
				}
			}
		}
	}
	unknown = slices.DeleteFunc(unknown, func(e *entry) bool { return !times[e.N].IsZero() })
	if len(unknown) == 0 {
		return times, nil
	}
	seen := map[string]time.Time{}
	if err := v.lake.list(ctx, v.name, func(_ string, info objectstore.Info) { seen[info.Key] = info.Modified }); err != nil {
		return nil, err
	}
	for _, e := range unknown {
		last, all := time.UnixMilli(e.At).UTC(), true
		for _, f := range e.Files {
			modified, ok := seen[f.Key]
			all = all && ok
			if modified.After(last) {
				last = modified.UTC()
			}
		}
		// Whether partitions are registered, and objects elsewhere exist, only those
		// know who saw to it.
		if all && len(e.Register) == 0 && len(e.Objects) == 0 {
			times[e.N] = last
		}
	}
	return times, nil
}

// publication finds out when pending output was published. That of an epoch is,
// at the latest, when the stream's next epoch is committed.
func (v *tableVersion) publication(ctx context.Context, commits []catalog.Commit, pending map[int]bool) error {
	published := map[string]time.Time{}
	_, e, err := v.lake.load(ctx, catalog.DeadLetterTable)
	if err != nil && !sqlerror.HasCode(err, sqlerror.CodeUnknownObject) {
		return err
	}
	if err == nil {
		letters, err := newTable(v.lake, catalog.DeadLetterTable, e)
		if err != nil {
			return err
		}
		history, err := letters.history(ctx)
		if err != nil {
			return err
		}
		times, err := letters.completionTimes(ctx, history)
		if err != nil {
			return err
		}
		for _, e := range history {
			if of := e.Summary[catalog.SummaryCompletes]; of != "" {
				published[of] = times[e.N]
			}
		}
	}
	for i := range commits {
		if !pending[i] || commits[i].CompletedAt.IsZero() {
			continue
		}
		c := &commits[i]
		at, ok := published[catalog.Completes(v.name, c.Stream, c.Epoch)]
		if !ok {
			later := slices.MinFunc(append([]catalog.Commit{{CommittedAt: time.Unix(1<<40, 0)}}, laterCommits(commits, c)...),
				func(a, b catalog.Commit) int { return cmp.Compare(a.CommittedAt.Unix(), b.CommittedAt.Unix()) })
			if later.Stream != "" {
				at = later.CommittedAt
			}
		}
		switch {
		case at.IsZero():
			c.CompletedAt = time.Time{}
		case at.After(c.CompletedAt):
			c.CompletedAt = at
		}
	}
	return nil
}

// laterCommits are the stream's commits of later epochs.
func laterCommits(commits []catalog.Commit, of *catalog.Commit) []catalog.Commit {
	var later []catalog.Commit
	for _, c := range commits {
		if c.Stream == of.Stream && c.Epoch > of.Epoch {
			later = append(later, c)
		}
	}
	return later
}
