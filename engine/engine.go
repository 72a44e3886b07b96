//go:build gms_pure_go && duckdb_arrow

// Package engine is Leat as a library: it opens a data directory, runs the
// streams that are defined in it, executes SQL statements and answers queries.
//
//	db, err := engine.Open(ctx, engine.Config{Dir: "leat-data"})
//	err = db.Exec(ctx, `CREATE STREAM …`)
//	rows, err := db.Query(ctx, `SELECT …`)
//	err = db.Close()
//
// Importing the package also registers the database/sql driver "leat".
// Programs have to be built with the tags gms_pure_go and duckdb_arrow.
package engine

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"log/slog"
	"os"
	"path/filepath"
	"runtime"
	"sync"
	"time"

	sqle "github.com/dolthub/go-mysql-server"
	"github.com/gofrs/flock"

	"github.com/leatdb/leat/catalog"
	_ "github.com/leatdb/leat/connectors/all" // the connectors that come with Leat
	"github.com/leatdb/leat/engine/adhoc"
	"github.com/leatdb/leat/internal/sched"
	"github.com/leatdb/leat/sql"
	"github.com/leatdb/leat/sql/sqlerror"
)

// Error is the rich error that statements fail with; find it with errors.As.
type Error = sqlerror.Error

// Config says how to open a data directory. Its zero value is useful.
type Config struct {
	// Dir is the data directory; it is made if it does not exist. Default
	// "leat-data". It holds leat.db (definitions), iceberg.db (the catalog of
	// local tables), lake/ (the embedded lake) and cache/ (of remote objects).
	Dir string
	// Threads bounds the cores that streams and queries use; default all.
	Threads int
	// StreamMemory bounds, in bytes, what each stream holds in open files;
	// default 256 MiB.
	StreamMemory int64
	// QueryMemory bounds what ad hoc queries hold, in bytes; default a quarter
	// of the machine's memory as DuckDB sees it, at most 4 GiB.
	QueryMemory int64
	// CacheBytes bounds the local cache of remote objects; default 4 GiB.
	CacheBytes int64
	// Logger takes the engine's messages; default none.
	Logger *slog.Logger
	// Paused opens the directory without starting its streams, for tools, and for who
	// has something to do before: StartStreams starts them.
	Paused bool
}

const (
	defaultDir          = "leat-data"
	defaultStreamMemory = 256 << 20
	defaultQueryMemory  = 4 << 30
	defaultCacheBytes   = 4 << 30
	stopTimeout         = 60 * time.Second
)

func (c Config) withDefaults() Config {
	if c.Dir == "" {
		c.Dir = defaultDir
	}
	if c.Threads <= 0 {
		c.Threads = runtime.GOMAXPROCS(0)
	}
	if c.StreamMemory <= 0 {
		c.StreamMemory = defaultStreamMemory
	}
	if c.QueryMemory <= 0 {
		c.QueryMemory = defaultQueryMemory
	}
	if c.CacheBytes <= 0 {
		c.CacheBytes = defaultCacheBytes
	}
	if c.Logger == nil {
		c.Logger = slog.New(slog.DiscardHandler)
	}
	return c
}

// DB is an open data directory. It is safe for use by many goroutines.
type DB struct {
	cfg       Config
	dir       string
	lock      *flock.Flock
	store     *catalog.Store
	queries   *adhoc.Engine
	mysql     *sqle.Engine
	scheduler sched.Scheduler
	functions *functions

	// ddl is held by whoever changes definitions, so that they change one at a
	// time; mu guards the maps, and is never held while something is waited for.
	ddl     sync.Mutex
	mu      sync.RWMutex
	sources map[string]*source // by lower-case name
	sinks   map[string]*sink
	streams map[string]*stream
	// unstored are secrets that stand beside definitions which are only checked.
	unstored []*sql.CreateSecret
	use      tableUse

	runs      sync.WaitGroup // of streams
	ctx       context.Context
	cancel    context.CancelFunc
	closeOnce sync.Once
	closeErr  error
}

// opened are the directories that are open in this process, so that a second
// Open is an error and the database/sql driver can share.
var opened struct {
	sync.Mutex
	dirs map[string]*DB
}

// Open opens a data directory, alone: a directory that is open already, in this
// process or another, is an error carrying sqlerror.CodeLocked. The streams
// defined in it are started and go on in the background until Close; those that
// cannot start are FAILED or RETRYING in SHOW STREAMS and do not keep Open from
// succeeding. ctx bounds the opening only.
func Open(ctx context.Context, cfg Config) (*DB, error) {
	cfg = cfg.withDefaults()
	dir, err := filepath.Abs(cfg.Dir)
	if err != nil {
		return nil, fmt.Errorf("open data directory: %w", err)
	}
	if err := os.MkdirAll(dir, 0o755); err != nil {
		return nil, fmt.Errorf("make data directory: %w", err)
	}
	if dir, err = filepath.EvalSymlinks(dir); err != nil {
		return nil, fmt.Errorf("open data directory: %w", err)
	}
	opened.Lock()
	defer opened.Unlock()
	if opened.dirs[dir] != nil {
		return nil, lockedError(dir, "by this process")
	}
	db, err := open(ctx, dir, cfg)
	if err != nil {
		return nil, err
	}
	if opened.dirs == nil {
		opened.dirs = map[string]*DB{}
	}
	opened.dirs[dir] = db
	return db, nil
}

func lockedError(dir, by string) error {
	return sqlerror.Userf(sqlerror.CodeLocked, "the directory is already open %s", by).
		About("data directory " + dir).WithHint("stop the other one, or name another directory with --data")
}

func open(ctx context.Context, dir string, cfg Config) (_ *DB, err error) {
	db := &DB{
		cfg: cfg, dir: dir, scheduler: sched.System{},
		lock:    flock.New(filepath.Join(dir, "lock")),
		sources: map[string]*source{}, sinks: map[string]*sink{}, streams: map[string]*stream{},
		functions: newFunctions(),
	}
	db.ctx, db.cancel = context.WithCancel(context.Background())
	defer func() {
		if err != nil {
			_ = db.release()
		}
	}()
	locked, err := db.lock.TryLock()
	if err != nil {
		return nil, sqlerror.Externalf(sqlerror.CodeExternal, "lock data directory %s: %w", dir, err).Final().
			WithHint("it has to be a directory that this user may read and write")
	}
	if !locked {
		return nil, lockedError(dir, "by another process")
	}
	definitions := filepath.Join(dir, "leat.db")
	lost := isNothing(definitions) && !isNothing(filepath.Join(dir, "iceberg.db"))
	if db.store, err = catalog.Open(definitions); err != nil {
		return nil, fmt.Errorf("open definitions: %w", err)
	}
	if lost {
		cfg.Logger.Warn("the directory holds tables and no definitions: those of its streams are gone; run them again, or restore leat.db from a backup and start again", "file", definitions)
	}
	db.queries, err = adhoc.Open(adhoc.Config{
		Threads: cfg.Threads, MemoryBytes: cfg.QueryMemory, TempDir: filepath.Join(dir, "tmp"),
		CacheDir: filepath.Join(dir, "cache"), CacheBytes: cfg.CacheBytes, Logger: cfg.Logger,
	})
	if err != nil {
		return nil, fmt.Errorf("open query engine: %w", err)
	}
	if err = db.openMySQL(ctx); err != nil {
		return nil, fmt.Errorf("open MySQL engine: %w", err)
	}
	if err = db.load(ctx); err != nil {
		return nil, fmt.Errorf("load definitions: %w", err)
	}
	if !cfg.Paused {
		db.startStored(ctx)
	}
	return db, nil
}

// isNothing reports whether a file does not exist or is empty.
func isNothing(path string) bool {
	info, err := os.Stat(path)
	return errors.Is(err, fs.ErrNotExist) || err == nil && info.Size() == 0
}

// Dir is the data directory's path, absolute and without symbolic links.
func (db *DB) Dir() string { return db.dir }

// Close commits what the streams have read, stops them and frees everything. It
// waits at most a minute for commits; what is not committed then is read again
// by the next Open.
func (db *DB) Close() error {
	db.closeOnce.Do(func() {
		db.stopAll()
		opened.Lock()
		defer opened.Unlock()
		db.closeErr = db.release()
		delete(opened.dirs, db.dir)
	})
	return db.closeErr
}

// closedError is nil while the database is open.
func (db *DB) closedError() error {
	if db.ctx.Err() == nil {
		return nil
	}
	return sqlerror.Userf(sqlerror.CodeState, "the database is closed").About("data directory " + db.dir)
}

// release frees what open has opened, in reverse.
func (db *DB) release() error {
	db.cancel()
	db.runs.Wait()
	var errs []error
	for _, s := range db.sinks {
		errs = append(errs, s.close())
	}
	if db.mysql != nil {
		errs = append(errs, db.mysql.Close())
	}
	if db.queries != nil {
		errs = append(errs, db.queries.Close())
	}
	if db.store != nil {
		errs = append(errs, db.store.Close())
	}
	if db.lock.Locked() {
		errs = append(errs, db.lock.Unlock())
	}
	return errors.Join(errs...)
}

// Ready reports whether every stream of the catalog has started or is retrying,
// as /readyz says it.
func (db *DB) Ready() bool {
	for _, s := range db.allStreams() {
		if s.starting() {
			return false
		}
	}
	return true
}

// Script executes the statements of a script as --init and leat run do: a plain
// CREATE of what is already defined alike does nothing, one that differs is an
// error. file names the script in errors.
func (db *DB) Script(ctx context.Context, text, file string) error {
	script, err := sql.Split(text, file)
	if err != nil {
		return err
	}
	session := db.NewSession()
	session.script = true
	for _, s := range script {
		if err := session.exec(ctx, s.Text, s.Pos); err != nil {
			return placed(err, s.Pos)
		}
	}
	return nil
}

// outermost is the rich error that err itself is; nil where something wraps it,
// since what is said of it would then be said in the wrong place.
func outermost(err error) *sqlerror.Error {
	e, _ := err.(*sqlerror.Error) //nolint:errorlint // a wrapped one is not meant
	return e
}

// about names the object of an error that names none, and its place; nil for nil.
func about(err error, object string, at sqlerror.Position) error {
	if err == nil {
		return nil
	}
	e := sqlerror.As(err)
	switch {
	case e == nil:
		return fmt.Errorf("%s: %w", object, err)
	case e.Error() == err.Error(): // errors.Join, for one, wraps an error without adding a word
		return e.About(object).At(at)
	}
	return &sqlerror.Error{Code: e.Code, Kind: e.Kind, Object: object, Pos: at, Retryable: e.Retryable, Err: err}
}

// placed gives an error the place of its statement where it has none of its own.
func placed(err error, at sqlerror.Position) error {
	if e := sqlerror.As(err); e != nil {
		if e.Pos.Line != 0 {
			return err
		}
		if e == outermost(err) {
			moved := *e
			return moved.At(at)
		}
	}
	if at.File != "" || at.Line > 1 {
		return fmt.Errorf("%s: %w", at, err)
	}
	return err
}
