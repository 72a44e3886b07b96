package hive

import (
	"context"
	"encoding/json"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/leatdb/leat/catalog"
	"github.com/leatdb/leat/internal/sched"
	"github.com/leatdb/leat/sql/sqlerror"
)

// Committer commits to one table for one stream. It implements
// catalog.Committer.
type Committer struct {
	lake   *Lake
	name   string
	stream string
	state  *shared
}

var _ catalog.Committer = (*Committer)(nil)

// Committer is a committer of an existing table.
func (l *Lake) Committer(ctx context.Context, table, stream string) (*Committer, error) {
	table, _, err := l.load(ctx, table)
	if err != nil {
		return nil, err
	}
	return &Committer{lake: l, name: table, stream: stream, state: l.shared(table)}, nil
}

func (l *Lake) version(table string, e *entry) catalog.Version {
	return catalog.Version{Properties: e.State, SnapshotID: e.N, Location: l.opts.Store.URI(table), Dropped: e.Generations}
}

func (s *shared) setNewest(e *entry) {
	s.m.Lock()
	s.newest = e
	s.m.Unlock()
}

// Update implements catalog.Committer.
func (c *Committer) Update(ctx context.Context, fresh bool, decide func(catalog.Version) (*catalog.Change, error)) (catalog.Version, error) {
	if err := c.state.acquire(ctx); err != nil {
		return catalog.Version{}, err
	}
	defer c.state.release()
	e, err := c.newest(ctx, fresh)
	if err != nil {
		return catalog.Version{}, err
	}
	v := c.lake.version(c.name, e)
	change, err := decide(v)
	if err != nil || change == nil {
		return v, err
	}
	// Files of the commits before are completed first, by whomever they are, so
	// that the newest entry is all that a start has to read. What is lost keeps
	// nobody but its own stream from going on.
	lost, err := c.settle(ctx, e)
	if err != nil {
		return v, err
	}
	if slices.Contains(change.Remove, streamKey+c.stream) {
		c.giveUp(lost, e)
	}
	next, err := c.build(e, change)
	if err != nil {
		return v, err
	}
	if err := c.append(ctx, next); err != nil {
		return v, err
	}
	return c.lake.version(c.name, next), nil
}

// giveUp ends the search for files that a stream has lost which is dropped.
func (c *Committer) giveUp(lost []lostFiles, e *entry) {
	if len(lost) == 0 || slices.ContainsFunc(lost, func(l lostFiles) bool { return l.entry.Stream != c.stream }) {
		return
	}
	c.state.m.Lock()
	c.state.completed, c.state.completedAt = e.N, c.lake.opts.Scheduler.Now().UnixMilli()
	c.state.m.Unlock()
}

// newest is the entry to build on. The caller is busy.
func (c *Committer) newest(ctx context.Context, fresh bool) (*entry, error) {
	e := c.state.newest
	if e == nil || fresh {
		var err error
		if e, err = c.lake.newestEntry(ctx, c.name); err != nil {
			return nil, err
		}
		c.state.setNewest(e)
	}
	if e == nil || e.Dropped {
		return nil, sqlerror.Userf(sqlerror.CodeUnknownObject, "table %s.%s was dropped", c.lake.opts.Namespace, c.name)
	}
	return e, nil
}

// append writes the next entry. The caller is busy.
func (c *Committer) append(ctx context.Context, e *entry) error {
	if err := c.lake.append(ctx, c.name, e); err != nil {
		c.state.setNewest(nil)
		return err
	}
	c.state.setNewest(e)
	return nil
}

// build is the entry that makes a change to the table of e.
func (c *Committer) build(e *entry, change *catalog.Change) (*entry, error) {
	next := c.follow(e)
	next.Summary = change.Summary
	for _, f := range change.Files {
		if f.Upload == nil {
			return nil, &sqlerror.Error{Code: sqlerror.CodeInternal, Message: "file " + f.Path + " is not staged"}
		}
		next.Files = append(next.Files, decided{Upload: *f.Upload, Rows: f.Rows})
	}
	for _, o := range change.Objects {
		next.Objects = append(next.Objects, outsideObject{Upload: o.Upload, Root: o.Root, Records: o.Records})
	}
	if c.lake.opts.Registry != nil {
		var err error
		if next.Register, err = c.unregistered(next); err != nil {
			return nil, err
		}
	}
	for key, value := range change.Set {
		next.State[key] = value
	}
	for _, key := range change.Remove {
		next.forget(key)
	}
	return next, nil
}

// follow is the entry after e, with what is known by now.
func (c *Committer) follow(e *entry) *entry {
	next := e.next(sched.ID(c.lake.opts.Scheduler), c.lake.opts.Scheduler.Now())
	next.Stream = c.stream
	c.state.m.Lock()
	defer c.state.m.Unlock()
	if done := min(c.state.completed, e.N); done > next.Completed {
		next.Completed, next.CompletedAt = done, c.state.completedAt
	}
	return next
}

// streamKey begins the properties that hold the streams' records.
const streamKey = "leat.stream."

// forget removes a property. Of a stream's record the generation stays.
func (e *entry) forget(key string) {
	if name, ok := strings.CutPrefix(key, streamKey); ok {
		var record struct {
			Generation int64 `json:"generation"`
		}
		// Without a number names of files would begin anew; they are checked when
		// they are completed.
		_ = json.Unmarshal([]byte(e.State[key]), &record)
		if e.Generations == nil {
			e.Generations = map[string]int64{}
		}
		e.Generations[name] = max(e.Generations[name], record.Generation)
	}
	delete(e.State, key)
}

// drop ends the table with a last entry.
func (c *Committer) drop(ctx context.Context) (*entry, error) {
	if err := c.state.acquire(ctx); err != nil {
		return nil, err
	}
	defer c.state.release()
	e, err := c.newest(ctx, true)
	if err != nil {
		return nil, err
	}
	next := c.follow(e)
	next.Dropped, next.Stream, next.Table = true, "", layout{}
	next.Completed = e.N // what was not completed never will be
	for key := range e.State {
		next.forget(key)
	}
	return next, c.append(ctx, next)
}

// Maintain implements catalog.Committer: it trims the log.
func (c *Committer) Maintain(ctx context.Context, _ time.Duration) error {
	if err := c.state.acquire(ctx); err != nil {
		return err
	}
	defer c.state.release()
	e, err := c.newest(ctx, false)
	if err != nil {
		return err
	}
	if err := c.lake.trim(ctx, c.name, e); err != nil {
		return fmt.Errorf("trim the log of table %s: %w", c.name, err)
	}
	return nil
}

// Sweep implements catalog.Committer.
func (c *Committer) Sweep(ctx context.Context, mine func(name string) bool) error {
	if err := c.state.acquire(ctx); err != nil {
		return err
	}
	defer c.state.release()
	e, err := c.newest(ctx, false)
	if err != nil {
		return err
	}
	keep := map[string]bool{}
	open, err := c.undone(ctx, e)
	if err != nil {
		return err
	}
	for _, one := range open {
		for _, f := range one.Files {
			keep[f.ID] = true
		}
	}
	return c.lake.sweep(ctx, c.name, mine, keep)
}

// sweep discards uploads of a table that nobody has decided.
func (l *Lake) sweep(ctx context.Context, table string, mine func(name string) bool, keep map[string]bool) error {
	uploads, err := l.opts.Store.Uploads(ctx, table+"/", StagingPlace(table))
	if err != nil {
		return fmt.Errorf("list uploads of table %s: %w", table, err)
	}
	for i, u := range uploads {
		if keep[u.ID] || !mine(u.Key[strings.LastIndexByte(u.Key, '/')+1:]) {
			continue
		}
		if err := l.opts.Store.Discard(ctx, u); err != nil {
			return fmt.Errorf("discard an upload of table %s: %w", table, err)
		}
		catalog.Progress(ctx, catalog.Step{What: "discarding uploads of " + table, Done: i + 1, Total: len(uploads)})
	}
	return nil
}

// Settle implements catalog.Committer.
func (c *Committer) Settle(ctx context.Context) error {
	if err := c.state.acquire(ctx); err != nil {
		return err
	}
	defer c.state.release()
	e, err := c.newest(ctx, false)
	if err != nil {
		return err
	}
	lost, err := c.settle(ctx, e)
	if err != nil {
		return err
	}
	i := slices.IndexFunc(lost, func(l lostFiles) bool { return l.entry.Stream == c.stream })
	if i < 0 {
		return nil
	}
	return lost[i].err(c.name)
}
