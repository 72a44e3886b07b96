//go:build gms_pure_go && duckdb_arrow

package engine

import (
	"context"
	"fmt"
	"io"
	"strconv"

	"github.com/apache/arrow-go/v18/arrow"
	"github.com/apache/arrow-go/v18/arrow/array"

	"github.com/leatdb/leat/engine/adhoc"
	"github.com/leatdb/leat/planner"
	"github.com/leatdb/leat/planner/logical"
	"github.com/leatdb/leat/sql/types"
)

// flattenedTable is a JSON_TABLE, with what it is laid over, as a relation of a
// query that DuckDB runs: DuckDB reads what is below, and the operator of streams
// makes the rows.
type flattenedTable struct {
	db      *DB
	flatten *logical.Flatten
	columns []logical.OutputColumn // of flatten, with names of their own
	session adhoc.Session
	// limit is how many rows the query takes, −1 if all: no more are made.
	limit int64
}

// withFlattened is a plan whose JSON_TABLEs can be read, but for those that look
// at columns of a query around them.
func (db *DB) withFlattened(root logical.Node, session adhoc.Session) logical.Node {
	if !flattens(root) {
		return root
	}
	root = logical.TransformPlan(planner.Prune(root), func(n logical.Node) logical.Node {
		if limit, ok := n.(*logical.Limit); ok {
			limitFlattened(limit)
			return n
		}
		f, ok := n.(*logical.Flatten)
		if !ok || !closed(f) {
			return n
		}
		t := &flattenedTable{db: db, flatten: f, session: session, limit: -1}
		for _, c := range f.Output() {
			c.Name = "c" + strconv.Itoa(int(c.ID))
			t.columns = append(t.columns, c)
		}
		return &logical.Scan{Name: t.Name(), Columns: t.columns, Handle: t}
	})
	return planner.Prune(root)
}

// limitFlattened tells a JSON_TABLE how many of its rows a LIMIT above it takes,
// where each of them is one of the query's.
func limitFlattened(limit *logical.Limit) {
	if limit.Count < 0 {
		return
	}
	n := limit.Input
	for {
		switch x := n.(type) {
		case *logical.Project:
			n = x.Input
			continue
		case *logical.Scan:
			if t, ok := x.Handle.(*flattenedTable); ok {
				t.limit = limit.Offset + limit.Count
			}
		}
		return
	}
}

// flattens reports whether a plan has a JSON_TABLE.
func flattens(root logical.Node) bool {
	found := false
	logical.TransformPlan(root, func(n logical.Node) logical.Node {
		_, ok := n.(*logical.Flatten)
		found = found || ok
		return n
	})
	return found
}

// closed reports whether a plan reads only columns that it makes itself.
func closed(root logical.Node) bool {
	made, read := map[logical.ColumnID]bool{}, map[logical.ColumnID]bool{}
	logical.TransformPlan(root, func(n logical.Node) logical.Node {
		for _, c := range n.Output() {
			made[c.ID] = true
		}
		for _, e := range logical.Exprs(n) {
			logical.References(e, read)
		}
		return n
	})
	for id := range read {
		if !made[id] {
			return false
		}
	}
	return true
}

// Name implements adhoc.Rows.
func (t *flattenedTable) Name() string { return "json_table" }

// Schema implements adhoc.Rows.
func (t *flattenedTable) Schema() types.Schema {
	schema := make(types.Schema, len(t.columns))
	for i, c := range t.columns {
		schema[i] = types.Column{Name: c.Name, Type: c.Type, NotNull: c.NotNull}
	}
	return schema
}

// ScanArrow implements adhoc.Rows.
func (t *flattenedTable) ScanArrow(ctx context.Context, columns []int) (array.RecordReader, error) {
	f := *t.flatten
	input := f.Input
	f.Input = &logical.Scan{Name: t.Name(), Columns: input.Output()}
	top := &logical.Project{Input: &f}
	for _, i := range columns {
		top.Exprs = append(top.Exprs, logical.NamedExpr{Column: t.columns[i], Expr: t.flatten.Output()[i].Ref()})
	}
	var rows logical.Node = top
	if t.limit >= 0 {
		rows = &logical.Limit{Input: top, Count: t.limit}
	}
	q, ok := planner.CompileQuery(rows)
	if !ok {
		return nil, fmt.Errorf("compile the JSON_TABLE of a query: %s", t.flatten)
	}
	read := &logical.Project{Input: input}
	for _, c := range q.Scan.Columns {
		read.Exprs = append(read.Exprs, logical.NamedExpr{Column: c, Expr: c.Ref()})
	}
	if len(read.Exprs) == 0 { // rows have to be counted by something
		c := logical.OutputColumn{ID: t.unusedID(), Name: "one", Type: types.TypeInt64, NotNull: true}
		read.Exprs = append(read.Exprs, logical.NamedExpr{Column: c, Expr: &logical.Literal{Value: int64(1), T: c.Type}})
	}
	from, err := t.db.queries.Query(ctx, planner.Prune(read), t.session)
	if err != nil {
		return nil, err
	}
	run, err := newDirectRun(t.session, q.Steps, nil, func() ([]arrow.Array, int, error) {
		for from.Next() {
			batch := from.RecordBatch()
			if n := int(batch.NumRows()); n > 0 {
				return batch.Columns()[:len(q.Scan.Columns)], n, nil
			}
		}
		if err := from.Err(); err != nil {
			return nil, 0, err
		}
		return nil, 0, io.EOF
	})
	if err != nil {
		from.Release()
		return nil, err
	}
	as := q.Output.Arrow()
	return newBatchReader(as, ownBatches(as, run.next), func() error {
		from.Release()
		return nil
	}, run.release), nil
}

// unusedID is the id of no column of the relation.
func (t *flattenedTable) unusedID() logical.ColumnID {
	id := logical.ColumnID(0)
	logical.TransformPlan(t.flatten, func(n logical.Node) logical.Node {
		for _, c := range n.Output() {
			id = max(id, c.ID)
		}
		return n
	})
	return id + 1
}
