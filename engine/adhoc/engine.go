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
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"runtime"
	"strconv"
	"strings"
	"sync/atomic"

	"github.com/apache/arrow-go/v18/arrow"
	"github.com/apache/arrow-go/v18/arrow/array"
	"github.com/apache/arrow-go/v18/arrow/memory"

	"github.com/leatdb/leat/catalog"
	"github.com/leatdb/leat/connectors"
	"github.com/leatdb/leat/planner/function"
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

	// ctx ends with Close, and with it every query.
	ctx    context.Context
	cancel context.CancelCauseFunc
	groups atomic.Int64
}

// Open makes an Engine: an in-memory DuckDB that reads the files that queries
// name and nothing else; extensions are neither installed nor loaded.
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
	if cfg.TempDir != "" {
		if err := os.MkdirAll(cfg.TempDir, 0o700); err != nil {
			return nil, fmt.Errorf("open ad hoc engine: %w", err)
		}
	}
	e := &Engine{alloc: cfg.Allocator}
	if e.alloc == nil {
		e.alloc = memory.DefaultAllocator
	}
	var err error
	if e.db, err = openDatabase(options, []string{meanMacro, cutMacro}); err != nil {
		return nil, fmt.Errorf("open ad hoc engine: %w", err)
	}
	if cfg.CacheDir != "" {
		e.cache, err = openCache(filepath.Clean(cfg.CacheDir), cmp.Or(cfg.CacheBytes, defaultCacheBytes), cfg.Logger)
		if err != nil {
			e.db.close()
			return nil, fmt.Errorf("open ad hoc engine: %w", err)
		}
	}
	e.ctx, e.cancel = context.WithCancelCause(context.Background())
	return e, nil
}

// Close ends the engine. Running queries are interrupted: their readers give an
// error, and still have to be released.
func (e *Engine) Close() error {
	e.cancel(errClosed)
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
	group := e.groups.Add(1) << groupShift
	statement, err := spell(plan, session, group)
	if err != nil {
		return nil, err
	}
	if len(statement.kernels) >= 1<<groupShift {
		return nil, unsupported("it calls %d kernels", len(statement.kernels))
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
	r, err := q.scan(t, reads, where, sql, out.Arrow())
	if err != nil {
		err = q.explain(err)
		q.end()
		return nil, err
	}
	return r, nil
}

// query is one run of a statement with all that it holds.
type query struct {
	engine  *Engine
	ctx     context.Context
	session Session
	conn    *connection
	cleanup []func() // run in reverse
}

func (e *Engine) begin(ctx context.Context, session Session) *query {
	ctx, cancel := context.WithCancelCause(ctx)
	stop := context.AfterFunc(e.ctx, func() { cancel(errClosed) })
	q := &query{engine: e, ctx: ctx, session: session}
	q.atEnd(func() { stop(); cancel(nil) })
	return q
}

func (q *query) atEnd(f func()) { q.cleanup = append(q.cleanup, f) }

// end frees everything, the last thing first.
func (q *query) end() {
	for i := len(q.cleanup) - 1; i >= 0; i-- {
		q.cleanup[i]()
	}
	q.cleanup = nil
}

// explain is the error to show. What DuckDB does not take is no fault of the
// user: the MySQL engine may.
func (q *query) explain(err error) error {
	var refused *prepareError
	if errors.As(err, &refused) && q.ctx.Err() == nil {
		var d *duckError
		if errors.As(err, &d) && (d.kind == "Binder" || d.kind == "Not implemented" || d.kind == "Catalog" || d.kind == "Parser") {
			return unsupported("%s", d.message)
		}
	}
	return explain(q.ctx, err)
}

func (q *query) connect() error {
	if q.conn != nil {
		return nil
	}
	c, err := q.engine.db.connect()
	if err != nil {
		return err
	}
	q.conn = c
	q.atEnd(func() { q.engine.db.release(c) })
	return nil
}

func (q *query) run(s *Statement, group int64, schema *arrow.Schema) (*reader, error) {
	if err := q.connect(); err != nil {
		return nil, err
	}
	relations := make([]string, len(s.Relations))
	for i := range s.Relations {
		r := &s.Relations[i]
		t, ok := r.Scan.Handle.(catalog.Table)
		if !ok {
			return nil, unsupported("%s.%s is not a table of a lake", r.Scan.Database, r.Scan.Name)
		}
		columns, err := r.resolve(t)
		if err != nil {
			return nil, err
		}
		sql, err := q.relation(t, columns, r.tablePredicates(t), r.Name)
		if err != nil {
			return nil, err
		}
		relations[i] = r.Name + " AS NOT MATERIALIZED (" + sql + ")"
	}
	if s.UsesZone {
		zone, _ := zoneName(q.session.Location)
		if err := q.conn.setZone(zone); err != nil {
			return nil, unsupported("time zone %s: %v", zone, err)
		}
	}
	if err := q.engine.db.registerKernels(s.kernels); err != nil {
		return nil, err
	}
	q.atEnd(startKernels(q.conn, s.kernels, group, q.session, q.engine.alloc))
	sql := s.SQL
	if len(relations) > 0 {
		sql = "WITH " + strings.Join(relations, ", ") + " " + sql
	}
	return q.start(sql, schema)
}

func (q *query) scan(t catalog.Table, columns []tableColumn, where []catalog.Predicate, sql string, schema *arrow.Schema) (*reader, error) {
	if err := q.connect(); err != nil {
		return nil, err
	}
	relation, err := q.relation(t, columns, where, "t0")
	if err != nil {
		return nil, err
	}
	return q.start("WITH t0 AS NOT MATERIALIZED ("+relation+") "+sql, schema)
}

func (q *query) start(sql string, schema *arrow.Schema) (*reader, error) {
	s, err := q.conn.stream(q.ctx, sql)
	if err != nil {
		return nil, err
	}
	q.atEnd(s.close)
	return newReader(q.ctx, s, schema, q.engine.alloc, q.end)
}

// relation spells the reading of a table, and holds the files until the query's
// end.
func (q *query) relation(t catalog.Table, columns []tableColumn, where []catalog.Predicate, name string) (string, error) {
	files, err := t.Plan(q.ctx, where)
	if err != nil {
		return "", err
	}
	for _, f := range files {
		if f.Deletes {
			return q.scanned(t, columns, name)
		}
		if f.Format != "" && !strings.EqualFold(f.Format, "parquet") {
			return "", unsupported("data file %s of table %s is %s", f.Path, t.Name(), f.Format)
		}
	}
	paths, err := q.local(t, files)
	if err != nil {
		return "", err
	}
	return readFiles(t, columns, paths)
}

// local is the local path of each file; those that are elsewhere are fetched.
func (q *query) local(t catalog.Table, files []catalog.DataFile) ([]string, error) {
	paths := make([]string, len(files))
	var remote []object
	var places []int
	for i, f := range files {
		path, local, err := localPath(f.Path)
		if err != nil {
			return nil, err
		}
		if local {
			paths[i] = path
			continue
		}
		remote = append(remote, object{
			key: t.Location() + "\n" + f.Path, bytes: f.Bytes, path: f.Path,
			open: func(ctx context.Context) (catalog.File, error) { return t.Open(ctx, f.Path) },
		})
		places = append(places, i)
	}
	if len(remote) == 0 {
		return paths, nil
	}
	if q.engine.cache == nil {
		return nil, fmt.Errorf("read %s: files that are not local need a cache, and there is none", t.Name())
	}
	fetched, release, err := q.engine.cache.acquire(q.ctx, remote)
	if err != nil {
		return nil, err
	}
	q.atEnd(release)
	for i, place := range places {
		paths[place] = fetched[i]
	}
	return paths, nil
}

// scanned reads a table by its own scan into a temporary table: DuckDB can read
// an Arrow stream once only, and a statement may name a relation several times.
func (q *query) scanned(t catalog.Table, columns []tableColumn, name string) (string, error) {
	scanner, ok := t.(ArrowScanner)
	if !ok {
		return "", unsupported("table %s has row-level deletes", t.Name())
	}
	indices := make([]int, len(columns))
	items := make([]string, len(columns))
	for i, c := range columns {
		indices[i] = c.index
		items[i] = fmt.Sprintf("CAST(#%d AS %s) AS %s", i+1, function.DuckDBType(t.Schema()[c.index].Type), c.name)
	}
	if len(columns) == 0 {
		indices, items = []int{0}, []string{"1 AS nothing"}
	}
	r, err := scanner.ScanArrow(q.ctx, indices)
	if err != nil {
		return "", fmt.Errorf("scan %s: %w", t.Name(), err)
	}
	defer r.Release()
	table := fmt.Sprintf("%s_%d", name, q.engine.groups.Add(1))
	drop, err := q.conn.load(q.ctx, table, strings.Join(items, ", "), r)
	if err != nil {
		return "", fmt.Errorf("scan %s: %w", t.Name(), err)
	}
	q.atEnd(drop)
	return "SELECT * FROM " + table, nil
}
