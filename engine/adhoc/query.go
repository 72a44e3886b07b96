package adhoc

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"time"

	"github.com/apache/arrow-go/v18/arrow"

	"github.com/leatdb/leat/catalog"
	"github.com/leatdb/leat/planner/function"
)

// query is one run of a statement with all that it holds.
type query struct {
	engine  *Engine
	ctx     context.Context
	session Session
	conn    *connection
	cleanup []func() // run in reverse
	// measures says that sources are measured.
	measures bool
}

func (e *Engine) begin(ctx context.Context, session Session) *query {
	ctx, cancel := context.WithCancelCause(ctx)
	stop := context.AfterFunc(e.ctx, func() { cancel(closedError()) })
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
	var d *duckError
	if errors.As(err, &refused) && errors.As(err, &d) && q.ctx.Err() == nil {
		switch d.kind {
		case "Binder", "Not implemented", "Catalog", "Parser":
			if q.engine.logger != nil {
				q.engine.logger.Debug("duckdb refuses the spelling of a query", "error", d, "sql", refused.sql)
			}
			return unsupported("%s", d.message)
		}
	}
	return explain(q.ctx, err)
}

func (q *query) connect() error {
	c, err := q.engine.db.connect()
	if err != nil {
		return err
	}
	q.conn = c
	q.atEnd(func() { q.engine.db.release(c) })
	zone, ok := zoneName(q.session.Location)
	if !ok {
		zone = "UTC" // what depends on the zone is left to kernels
	}
	if err := c.setZone(zone); err != nil {
		return unsupported("time zone %s: %v", zone, err)
	}
	return nil
}

// source is a relation on its way to DuckDB.
type source struct {
	name    string
	table   catalog.Table // nil if it is rows
	rows    Rows
	columns []tableColumn
	where   []catalog.Predicate

	files []catalog.DataFile
	paths []string // of files, as DuckDB reads them
	// scanned selects the rows that the table itself has read, empty if files are
	// to be read.
	scanned string
	// measured is what reading it took, of a query that measures.
	measured RelationAnalysis
}

// Held is a table that stays readable only for as long as somebody holds it.
type Held interface {
	catalog.Table
	// Hold gives the table itself, to be read until release is called, which a
	// query does when it ends.
	Hold() (t catalog.Table, release func(), err error)
}

// hold keeps a table readable until the query ends.
func (q *query) hold(t catalog.Table) (catalog.Table, error) {
	held, ok := t.(Held)
	if !ok {
		return t, nil
	}
	t, release, err := held.Hold()
	if err == nil {
		q.atEnd(release)
	}
	return t, err
}

func (q *query) run(s *Statement, group int64, schema *arrow.Schema) (*reader, error) {
	sql, _, err := q.prepare(s, group)
	if err != nil {
		return nil, err
	}
	return q.start(sql, schema)
}

// prepare makes what a statement reads ready, and gives it with its relations.
func (q *query) prepare(s *Statement, group int64) (string, []*source, error) {
	sources := make([]*source, len(s.Relations))
	for i := range s.Relations {
		r := &s.Relations[i]
		switch t := r.Scan.Handle.(type) {
		case catalog.Table:
			t, err := q.hold(t)
			if err != nil {
				return "", nil, err
			}
			columns, err := r.resolve(t)
			if err != nil {
				return "", nil, err
			}
			sources[i] = &source{name: r.Name, table: t, columns: columns, where: r.tablePredicates(t)}
		case Rows:
			columns, err := r.resolve(t)
			if err != nil {
				return "", nil, err
			}
			sources[i] = &source{name: r.Name, rows: t, columns: columns}
		default:
			return "", nil, unsupported("%s.%s is not a table of a lake", r.Scan.Database, r.Scan.Name)
		}
	}
	if err := q.connect(); err != nil {
		return "", nil, err
	}
	relations, err := q.relations(sources)
	if err != nil {
		return "", nil, err
	}
	if err := q.engine.db.registerKernels(s.kernels); err != nil {
		return "", nil, err
	}
	q.atEnd(startKernels(q.conn, s.kernels, group, q.session, q.engine.alloc))
	return relations + s.SQL, sources, nil
}

func (q *query) scan(s *source, sql string, schema *arrow.Schema) (*reader, error) {
	var err error
	if s.table, err = q.hold(s.table); err != nil {
		return nil, err
	}
	if err := q.connect(); err != nil {
		return nil, err
	}
	relations, err := q.relations([]*source{s})
	if err != nil {
		return nil, err
	}
	return q.start(relations+sql, schema)
}

func (q *query) start(sql string, schema *arrow.Schema) (*reader, error) {
	s, err := q.conn.stream(q.ctx, sql)
	if err != nil {
		return nil, err
	}
	q.atEnd(s.close)
	return newReader(q.ctx, s, schema, q.end)
}

// relations is the WITH clause that defines the sources. Their files are held
// until the query's end.
func (q *query) relations(sources []*source) (string, error) {
	for _, s := range sources {
		begin := time.Now()
		if err := q.plan(s); err != nil {
			return "", err
		}
		s.measured.Time = time.Since(begin)
	}
	// All files are asked for at once, so that no query waits for space while it
	// holds some itself.
	if err := q.locate(sources); err != nil {
		return "", err
	}
	parts := make([]string, len(sources))
	for i, s := range sources {
		sql := s.scanned
		if sql == "" {
			var err error
			if s.table.FieldIDs() == nil {
				sql, err = readNamed(s.table, s.columns, s.files, s.paths)
			} else {
				sql, err = readFiles(s.table, s.columns, s.paths)
			}
			if err != nil {
				return "", err
			}
		}
		parts[i] = s.name + " AS NOT MATERIALIZED (" + sql + ")"
	}
	if len(parts) == 0 {
		return "", nil
	}
	return "WITH " + strings.Join(parts, ", ") + " ", nil
}

// plan finds the files of a source, or reads it where they cannot be read
// plainly.
func (q *query) plan(s *source) error {
	if s.rows != nil {
		return q.load(s, s.rows)
	}
	files, err := s.table.Plan(q.ctx, s.where)
	if err != nil {
		return err
	}
	for _, f := range files {
		if f.Deletes {
			return q.readItself(s)
		}
		if f.Format != "" && !strings.EqualFold(f.Format, "parquet") && s.table.FieldIDs() != nil {
			return unsupported("data file %s of table %s is %s", f.Path, s.table.Name(), f.Format)
		}
	}
	s.files = files
	return nil
}

// locate finds the local path of each file; those that are elsewhere are
// fetched.
func (q *query) locate(sources []*source) error {
	var remote []object
	var places []*string
	for _, s := range sources {
		s.paths = make([]string, len(s.files))
		for i, f := range s.files {
			path, local, err := localPath(f.Path)
			if err != nil {
				return err
			}
			if local {
				s.paths[i] = path
				continue
			}
			remote = append(remote, object{
				key: s.table.Location() + "\n" + f.Path, bytes: f.Bytes, path: f.Path,
				text: f.Format == "json" || f.Format == "csv",
				open: func(ctx context.Context) (catalog.File, error) { return s.table.Open(ctx, f.Path) },
			})
			places = append(places, &s.paths[i])
		}
	}
	if len(remote) == 0 {
		return nil
	}
	if q.engine.cache == nil {
		return fmt.Errorf("read %s: files that are not local need an object cache, and there is none", remote[0].path)
	}
	fetched, release, err := q.engine.cache.acquire(q.ctx, remote)
	if err != nil {
		return err
	}
	q.atEnd(release)
	for i, place := range places {
		*place = fetched[i]
	}
	return nil
}

// readItself has a table read its rows.
func (q *query) readItself(s *source) error {
	rows, ok := s.table.(Rows)
	if !ok {
		return unsupported("table %s has row-level deletes", s.table.Name())
	}
	return q.load(s, rows)
}

// load reads rows into a temporary table: DuckDB can read an Arrow stream once
// only, and a statement may name a relation several times.
func (q *query) load(s *source, rows Rows) error {
	indices := make([]int, len(s.columns))
	items := make([]string, len(s.columns))
	for i, c := range s.columns {
		indices[i] = c.index
		items[i] = fmt.Sprintf("CAST(#%d AS %s) AS %s", i+1, function.DuckDBType(rows.Schema()[c.index].Type), c.name)
	}
	if len(s.columns) == 0 && len(rows.Schema()) > 0 {
		indices = []int{0}
	}
	r, err := rows.ScanArrow(q.ctx, indices)
	if err != nil {
		return fmt.Errorf("scan %s: %w", rows.Name(), err)
	}
	defer r.Release()
	if q.measures {
		r = &countedReader{r, &s.measured}
	}
	if len(s.columns) == 0 {
		n := int64(0)
		for r.Next() {
			n += r.RecordBatch().NumRows()
		}
		s.scanned = fmt.Sprintf("SELECT 1 AS nothing FROM range(%d)", n)
		return r.Err()
	}
	name := fmt.Sprintf("%s_%d", s.name, groups.Add(1))
	drop, err := q.conn.load(q.ctx, name, strings.Join(items, ", "), r)
	if r.Err() != nil {
		err = r.Err() // which DuckDB only knows the text of
	}
	if err != nil {
		return fmt.Errorf("scan %s: %w", rows.Name(), err)
	}
	q.atEnd(drop)
	s.scanned = "SELECT * FROM " + name
	return nil
}
