// Package hive keeps the tables of a lake as plain folders,
// table/key=value/…/file, that any reader of Hive-style partitions understands,
// and commits to them exactly once.
//
// Files are staged: uploaded without existing. A commit is a numbered object of
// the table's log, _leat/log/<n>, that is written only if there is none of that
// number (log.go); it names the files that are decided, and has the state of all
// streams that write to the table. After it the files are made to exist
// (settle.go), by whoever comes first. A plain reader therefore sees no file
// that is not decided, and none twice.
package hive

import (
	"context"
	"errors"
	"fmt"
	"path"
	"slices"
	"strings"
	"sync"

	"github.com/leatdb/leat/catalog"
	"github.com/leatdb/leat/internal/objectstore"
	"github.com/leatdb/leat/internal/sched"
	"github.com/leatdb/leat/sql/sqlerror"
)

// Options say where a lake is.
type Options struct {
	// Namespace is the name of the sink, for messages.
	Namespace string
	// Store is rooted at the lake's folder; a table lies in the folder of its
	// name below. It stays open when the lake is closed.
	Store objectstore.Stager
	// Scheduler is nil for the system's.
	Scheduler sched.Scheduler
	// KeepEntries is how many entries of a table's log are kept, 1,000 when it is
	// 0. A process that sleeps while so many are written finds out when it wakes.
	KeepEntries int64
	// Registry is told of tables and partitions; nil for none.
	Registry catalog.Registry
}

// Lake is the tables of one folder. It is safe for concurrent use.
type Lake struct {
	opts   Options
	mu     sync.Mutex
	tables map[string]*shared // by name
}

// shared is what the committers and readers of one table in this process share:
// only one of them commits at a time, on the version that the one before left.
type shared struct {
	m      sched.Monitor // guards what follows
	busy   bool          // a committer is at work; others wait
	newest *entry        // nil: load it
	// completed is the number through which completion is known here.
	completed   int64
	completedAt int64 // ms since 1970
	// settled are the keys of files behind that number that exist.
	settled map[string]bool
	// registered are the partitions, by their values, that the registry knows.
	registered map[string]bool
	// entries are those that were read for Commits, by number.
	entries map[int64]*entry
}

// Open opens a lake. Nothing is contacted.
func Open(opts Options) (*Lake, error) {
	if opts.Namespace == "" {
		return nil, errors.New("open lake: no namespace")
	}
	if opts.Scheduler == nil {
		opts.Scheduler = sched.System{}
	}
	if opts.KeepEntries == 0 {
		opts.KeepEntries = 1000
	}
	return &Lake{opts: opts, tables: map[string]*shared{}}, nil
}

// Close ends the use of the lake.
func (l *Lake) Close() error { return nil }

// Check does nothing: the lake needs nothing but its store.
func (l *Lake) Check(context.Context) error { return nil }

func (l *Lake) shared(name string) *shared {
	l.mu.Lock()
	defer l.mu.Unlock()
	s := l.tables[name]
	if s == nil {
		s = &shared{m: l.opts.Scheduler.NewMonitor(), entries: map[int64]*entry{}, settled: map[string]bool{}, registered: map[string]bool{}}
		l.tables[name] = s
	}
	return s
}

func (s *shared) acquire(ctx context.Context) error {
	defer s.m.BroadcastAfter(ctx)()
	s.m.Lock()
	defer s.m.Unlock()
	for s.busy && ctx.Err() == nil {
		s.m.Wait()
	}
	if ctx.Err() != nil {
		return context.Cause(ctx)
	}
	s.busy = true
	return nil
}

func (s *shared) release() {
	s.m.Lock()
	s.busy = false
	s.m.Broadcast()
	s.m.Unlock()
}

func (s *shared) completedThrough() int64 {
	s.m.Lock()
	defer s.m.Unlock()
	return s.completed
}

// The places of what is not data. Readers of folders leave out names that begin
// with an underscore.
const (
	internalFolder = "_leat"
	registryPrefix = internalFolder + "/tables/"
)

func logPrefix(table string) string { return table + "/" + internalFolder + "/log/" }

// StagingPlace is the folder in which a local store keeps the staged files of a
// table, given the key of the table's folder.
func StagingPlace(folder string) string { return folder + "/" + internalFolder + "/staged" }

// Tables implements catalog.Lake.
func (l *Lake) Tables(ctx context.Context) ([]string, error) {
	var names []string
	for info, err := range objectstore.All(ctx, l.opts.Store, registryPrefix, "") {
		if err != nil {
			return nil, fmt.Errorf("list tables of %s: %w", l.opts.Namespace, err)
		}
		names = append(names, strings.TrimPrefix(info.Key, registryPrefix))
	}
	slices.Sort(names)
	return names, nil
}

// Table implements catalog.Lake.
func (l *Lake) Table(ctx context.Context, name string) (catalog.Table, error) {
	name, e, err := l.load(ctx, name)
	if err != nil {
		return nil, err
	}
	return newTable(l, name, e)
}

func (l *Lake) unknown(name string) error {
	return sqlerror.Userf(sqlerror.CodeUnknownObject, "there is no table %s.%s", l.opts.Namespace, name)
}

// load reads the newest entry of a table's log. Without a table of that very
// name one that differs in case is taken.
func (l *Lake) load(ctx context.Context, name string) (string, *entry, error) {
	if checkTableName(name) != nil {
		return name, nil, l.unknown(name)
	}
	e, err := l.newestEntry(ctx, name)
	if err != nil || e != nil && !e.Dropped {
		return name, e, err
	}
	names, err := l.Tables(ctx)
	if err != nil {
		return name, nil, err
	}
	i := slices.IndexFunc(names, func(s string) bool { return s != name && strings.EqualFold(s, name) })
	if i < 0 {
		return name, nil, l.unknown(name)
	}
	e, err = l.newestEntry(ctx, names[i])
	if err == nil && (e == nil || e.Dropped) {
		err = l.unknown(name)
	}
	return names[i], e, err
}

// DropTable implements catalog.Lake. The last entry of the log stays: it keeps
// an instance that still believes in the table from committing to it, and gives
// a table of the same name that is made later the next number.
func (l *Lake) DropTable(ctx context.Context, name string) error {
	name, _, err := l.load(ctx, name)
	if err != nil {
		return err
	}
	c := &Committer{lake: l, name: name, state: l.shared(name)}
	for attempt := 0; ; attempt++ {
		last, err := c.drop(ctx)
		if err == nil {
			return l.forget(ctx, name, last)
		}
		if !IsConflict(err) || attempt == 10 {
			return fmt.Errorf("drop table %s.%s: %w", l.opts.Namespace, name, err)
		}
	}
}

// forget takes a dropped table out of the registry and deletes it.
func (l *Lake) forget(ctx context.Context, name string, last *entry) error {
	if r := l.opts.Registry; r != nil {
		if err := r.DropTable(ctx, name, l.opts.Store.URI(name)); err != nil {
			return err
		}
		s := l.shared(name)
		s.m.Lock()
		clear(s.registered)
		s.m.Unlock()
	}
	return l.deleteTable(ctx, name, last)
}

// deleteTable deletes all of a table but the last entry of its log.
func (l *Lake) deleteTable(ctx context.Context, name string, last *entry) error {
	everything := func(string) bool { return true }
	if err := l.sweep(ctx, name, everything, nil); err != nil {
		return err
	}
	keep := logKey(name, last.N)
	for after, more := "", true; more; {
		var infos []objectstore.Info
		var err error
		infos, more, err = l.opts.Store.List(ctx, name+"/", after, 0)
		if err != nil {
			return err
		}
		var keys []string
		for _, info := range infos {
			after = info.Key
			if info.Key != keep {
				keys = append(keys, info.Key)
			}
		}
		if len(keys) > 0 {
			if err := l.opts.Store.Delete(ctx, keys...); err != nil {
				return err
			}
		}
	}
	return l.opts.Store.Delete(ctx, registryPrefix+name)
}

// checkTableName refuses names that cannot be a folder of their own.
func checkTableName(name string) error {
	if err := objectstore.CheckKey(name); err != nil || path.Base(name) != name || strings.ContainsAny(name, "%?#") || name == internalFolder || strings.HasPrefix(name, ".") {
		return sqlerror.Userf(sqlerror.CodeBadOption, "table name %q cannot be a folder's name", name).
			WithHint("leave out / \\ %% ? #, a leading dot, and the name _leat")
	}
	return nil
}
