// Package adhoc answers ad hoc SELECTs over lake tables with DuckDB.
//
// A logical plan is spelled as one DuckDB SELECT that means what the plan does
// in MySQL: DuckDB's own functions where they agree with MySQL's for every
// value, the kernels of streams where they do not. What can be had neither way
// is an *Unsupported error, and the MySQL engine's row engine answers the query
// over Engine.Scan.
//
// Data files are read where they lie if they are local, else through a bounded
// local cache.
package adhoc

import (
	"cmp"
	"context"
	"fmt"
	"os"
	"path/filepath"
	"runtime"
	"strconv"
	"strings"
	"sync/atomic"

	"github.com/apache/arrow-go/v18/arrow/array"
	"github.com/apache/arrow-go/v18/arrow/memory"

	"github.com/leatdb/leat/catalog"
	"github.com/leatdb/leat/connectors"
	"github.com/leatdb/leat/planner/logical"
	"github.com/leatdb/leat/sql/types"
)

// Config is what an Engine may use. The zero value is usable.
type Config struct {
	// Threads is how many cores all queries together use; 0 is all.
	Threads int
	// MemoryBytes bounds DuckDB's memory over all queries; what sorts, joins and
	// groups need beyond that goes to TempDir. 0 is 1 GiB.
	MemoryBytes int64
	// TempDir is the folder for spilled data, made when needed. It is the
	// engine's own; empty means that nothing is spilled, and a query that needs
	// more memory fails.
	TempDir string
	// CacheDir is the folder of the cache of data files that are not local. It
	// is the engine's own; empty means that such files cannot be read.
	CacheDir string
	// CacheBytes bounds the cache. One query cannot read more remote data than
	// this. 0 is 10 GiB.
	CacheBytes int64
	// Logger may be nil.
	Logger connectors.Logger
	// Allocator is for the Arrow memory that Go allocates; nil is the default
	// one.
	Allocator memory.Allocator
}

const (
	defaultMemoryBytes = 1 << 30
	defaultCacheBytes  = 10 << 30
)

// Engine runs queries. Its methods may be called concurrently.
type Engine struct {
	db    *database
	cache *cache // nil without a CacheDir
	alloc memory.Allocator
	// logger may be nil.
	logger connectors.Logger

	// ctx ends with Close, and with it every query.
	ctx    context.Context
	cancel context.CancelCauseFunc
}

// groups numbers statements, over all engines of the process: what DuckDB calls
// knows no other name of a kernel.
var groups atomic.Int64

// Open makes an Engine: an in-memory DuckDB, opened by the first query, that reads
// the files that queries name and nothing else; extensions are neither installed
// nor loaded.
func Open(cfg Config) (*Engine, error) {
	threads := cmp.Or(cfg.Threads, runtime.GOMAXPROCS(0))
	options := map[string]string{
		"threads":                      strconv.Itoa(threads),
		"memory_limit":                 strconv.FormatInt(max(cmp.Or(cfg.MemoryBytes, defaultMemoryBytes)/1000, 1), 10) + "KB",
		"temp_directory":               cfg.TempDir,
		"autoinstall_known_extensions": "false",
		"autoload_known_extensions":    "false",
		"allow_community_extensions":   "false",
		"allow_persistent_secrets":     "false",
		"preserve_insertion_order":     "true", // ORDER BY below a projection counts
		"default_null_order":           "nulls_last",
		"enable_external_file_cache":   "false", // the page cache has local files
	}
	if err := clearTemp(cfg.TempDir); err != nil {
		return nil, fmt.Errorf("open ad hoc engine: %w", err)
	}
	e := &Engine{alloc: cfg.Allocator, logger: cfg.Logger}
	if e.alloc == nil {
		e.alloc = memory.DefaultAllocator
	}
	e.db = newDatabase(options, []string{meanMacro, cutMacro})
	var err error
	if cfg.CacheDir != "" {
		e.cache, err = openCache(filepath.Clean(cfg.CacheDir), cmp.Or(cfg.CacheBytes, defaultCacheBytes), cfg.Logger)
		if err != nil {
			return nil, fmt.Errorf("open ad hoc engine: %w", err)
		}
	}
	e.ctx, e.cancel = context.WithCancelCause(context.Background())
	return e, nil
}

// clearTemp makes the folder for spilled data, and removes what a process that
// was killed left in it.
func clearTemp(dir string) error {
	if dir == "" {
		return nil
	}
	if err := os.MkdirAll(dir, 0o700); err != nil {
		return err
	}
	names, err := os.ReadDir(dir)
	if err != nil {
		return err
	}
	for _, n := range names {
		if strings.HasPrefix(n.Name(), "duckdb_temp_") {
			if err := os.Remove(filepath.Join(dir, n.Name())); err != nil {
				return err
			}
		}
	}
	return nil
}

// Close ends the engine. Running queries are interrupted: their readers give an
// error, and still have to be released.
func (e *Engine) Close() error {
	e.cancel(closedError())
	if e.cache != nil {
		e.cache.close()
	}
	e.db.close()
	return nil
}

// Query runs a plan. The Handle of each Scan is a catalog.Table. Batches have
// exactly the columns, names and types of plan.Output(), as types.Schema.Arrow
// gives them; their rows come as DuckDB finds them, so that large results do
// not have to fit into memory. The caller releases the reader; when ctx ends the
// query is interrupted.
//
// The error is an *Unsupported if DuckDB has not exactly MySQL's result, an
// *sqlerror.Error if the query itself failed. The reader's error is of the
// second kind.
func (e *Engine) Query(ctx context.Context, plan logical.Node, session Session) (array.RecordReader, error) {
	group, statement, err := e.spell(plan, session)
	if err != nil {
		return nil, err
	}
	schema := make(types.Schema, len(statement.columns))
	for i, c := range statement.columns {
		schema[i] = types.Column{Name: c.Name, Type: c.Type, NotNull: c.NotNull}
	}
	q := e.begin(ctx, session)
	r, err := q.run(statement, group, schema.Arrow())
	if err != nil {
		err = q.explain(err)
		q.end()
		return nil, err
	}
	return r, nil
}

// spell spells a plan for one run, whose kernels are of the group.
func (e *Engine) spell(plan logical.Node, session Session) (group int64, statement *Statement, err error) {
	group = groups.Add(1) << groupShift
	if statement, err = spell(plan, session, group); err != nil {
		return 0, nil, err
	}
	if len(statement.kernels) >= 1<<groupShift {
		return 0, nil, unsupported("it calls %d kernels", len(statement.kernels))
	}
	return group, statement, nil
}

// Scan reads columns of one table, given by their indices in its schema; the
// batches have these columns under their declared types. Rows for which a
// predicate is not true are left out. The caller releases the reader.
func (e *Engine) Scan(ctx context.Context, t catalog.Table, columns []int, where []catalog.Predicate) (array.RecordReader, error) {
	schema := t.Schema()
	out := make(types.Schema, len(columns))
	reads := make([]tableColumn, 0, len(columns))
	name := func(column int) string {
		s := "c" + strconv.Itoa(column)
		for _, r := range reads {
			if r.index == column {
				return s
			}
		}
		reads = append(reads, tableColumn{column, s})
		return s
	}
	items := make([]string, len(columns))
	for i, c := range columns {
		if c < 0 || c >= len(schema) {
			return nil, fmt.Errorf("scan %s: column %d of %d", t.Name(), c, len(schema))
		}
		out[i], items[i] = schema[c], name(c)
	}
	if len(items) == 0 {
		items = []string{"1 AS nothing"}
	}
	sql := "SELECT " + strings.Join(items, ", ") + " FROM t0"
	condition, err := filter(t, where, name)
	if err != nil {
		return nil, err
	}
	if condition != "" {
		sql += " WHERE " + condition
	}
	q := e.begin(ctx, Session{})
	r, err := q.scan(&source{name: "t0", table: t, columns: reads, where: where}, sql, out.Arrow())
	if err != nil {
		err = q.explain(err)
		q.end()
		return nil, err
	}
	return r, nil
}
