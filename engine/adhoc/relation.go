package adhoc

import (
	"context"
	"fmt"
	"net/url"
	"os"
	"strings"

	"github.com/apache/arrow-go/v18/arrow/array"

	"github.com/leatdb/leat/catalog"
	"github.com/leatdb/leat/planner/function"
	"github.com/leatdb/leat/planner/logical"
	"github.com/leatdb/leat/sql/sqlerror"
	"github.com/leatdb/leat/sql/types"
)

// ArrowScanner is implemented by tables that can read themselves. It is used
// where a data file cannot be read plainly, because another writer has attached
// row-level deletes to it.
type ArrowScanner interface {
	// ScanArrow reads the columns with these indices in the schema. The caller
	// releases the reader.
	ScanArrow(ctx context.Context, columns []int) (array.RecordReader, error)
}

// Rows is a relation that is no table of a lake: it is read once for a query,
// into a temporary table. The Handle of the Scan of a source is one.
type Rows interface {
	Name() string
	Schema() types.Schema
	ArrowScanner
}

// tableColumn is a column that a scan reads: its index in the table's schema and
// the name that the statement uses.
type tableColumn struct {
	index int
	name  string
}

// named is what catalog.Table and Rows have in common.
type named interface {
	Name() string
	Schema() types.Schema
}

// resolve finds a relation's columns in its table.
func (r *Relation) resolve(t named) ([]tableColumn, error) {
	schema := t.Schema()
	columns := make([]tableColumn, 0, len(r.Scan.Columns))
	seen := make(map[logical.ColumnID]bool)
	for _, c := range r.Scan.Columns {
		i := schema.Index(c.Name)
		if i < 0 {
			return nil, sqlerror.Userf(sqlerror.CodeUnknownObject, "table %s has no column %s any more", t.Name(), c.Name)
		}
		if function.DuckDBType(schema[i].Type) != function.DuckDBType(c.Type) {
			return nil, sqlerror.Userf(sqlerror.CodeConflict, "column %s of table %s is %s, no longer %s", c.Name, t.Name(), schema[i].Type, c.Type)
		}
		if !seen[c.ID] {
			seen[c.ID] = true
			columns = append(columns, tableColumn{i, columnName(c.ID)})
		}
	}
	return columns, nil
}

// tablePredicates are a relation's predicates for its table.
func (r *Relation) tablePredicates(t catalog.Table) []catalog.Predicate {
	schema := t.Schema()
	var list []catalog.Predicate
	for _, p := range r.where {
		if i := schema.Index(p.column); i >= 0 {
			list = append(list, catalog.Predicate{Column: i, Op: p.op, Values: p.values})
		}
	}
	return list
}

// readFiles spells the reading of a table's data files, given their local
// paths. Columns are found by field id, so that files of older schemas fit:
// what a file does not have is NULL, what was widened is converted.
func readFiles(t catalog.Table, columns []tableColumn, paths []string) (string, error) {
	schema, ids := t.Schema(), t.FieldIDs()
	if len(ids) != len(schema) || len(schema) == 0 {
		return "", fmt.Errorf("table %s has %d columns and %d field ids", t.Name(), len(schema), len(ids))
	}
	if len(paths) == 0 {
		return noRows(t, columns), nil
	}
	var b strings.Builder
	b.WriteString("SELECT ")
	for i, c := range columns {
		if i > 0 {
			b.WriteString(", ")
		}
		b.WriteString(c.name)
	}
	if len(columns) == 0 {
		b.WriteString("1 AS nothing")
		columns = []tableColumn{{0, "c"}} // the reader wants one
	}
	b.WriteString(" FROM read_parquet([")
	for i, p := range paths {
		if i > 0 {
			b.WriteString(", ")
		}
		b.WriteString(quoteText(escapeGlob(p)))
	}
	b.WriteString("], schema = MAP {")
	for i, c := range columns {
		if i > 0 {
			b.WriteString(", ")
		}
		fmt.Fprintf(&b, "%d: {name: '%s', type: '%s', default_value: NULL}", ids[c.index], c.name, function.DuckDBType(schema[c.index].Type))
	}
	b.WriteString("})")
	return b.String(), nil
}

// noRows spells an empty table.
func noRows(t catalog.Table, columns []tableColumn) string {
	items := make([]string, len(columns))
	for i, c := range columns {
		items[i] = "NULL::" + function.DuckDBType(t.Schema()[c.index].Type) + " AS " + c.name
	}
	if len(items) == 0 {
		items = []string{"1 AS nothing"}
	}
	return "SELECT " + strings.Join(items, ", ") + " WHERE FALSE"
}

// escapeGlob keeps DuckDB from reading a path as a pattern.
func escapeGlob(path string) string {
	if !strings.ContainsAny(path, "*?[") {
		return path
	}
	return strings.NewReplacer("*", "[*]", "?", "[?]", "[", "[[]").Replace(path)
}

// localPath is the file of a path or file: URI, and whether it is local.
func localPath(uri string) (path string, local bool, err error) {
	scheme, rest, ok := strings.Cut(uri, "://")
	switch {
	case !ok && strings.HasPrefix(uri, "file:"):
		rest = strings.TrimPrefix(uri, "file:")
	case !ok:
		return uri, true, checkPath(uri)
	case scheme != "file":
		return "", false, nil
	}
	// file://host/path: only this host has files.
	if !strings.HasPrefix(rest, "/") {
		host, after, _ := strings.Cut(rest, "/")
		if host != "localhost" && host != "" {
			return "", false, fmt.Errorf("data file %s is on another host", uri)
		}
		rest = "/" + after
	}
	// Writers differ in whether they escape. Only a name with a percent sign can
	// tell, and then the file that exists is meant.
	path = rest
	if strings.Contains(rest, "%") {
		if unescaped, err := url.PathUnescape(rest); err == nil {
			if _, err := os.Lstat(unescaped); err == nil {
				path = unescaped
			}
		}
	}
	return path, true, checkPath(path)
}

func checkPath(path string) error {
	if strings.ContainsRune(path, 0) {
		return fmt.Errorf("data file %q has a NUL in its name", path)
	}
	return nil
}

// filter spells predicates on a table's columns, for Scan.
func filter(t catalog.Table, where []catalog.Predicate, name func(column int) string) (string, error) {
	schema := t.Schema()
	var conditions []string
	for _, p := range where {
		if p.Column < 0 || p.Column >= len(schema) {
			return "", fmt.Errorf("scan %s: a predicate on column %d of %d", t.Name(), p.Column, len(schema))
		}
		c, typ := name(p.Column), schema[p.Column].Type
		values := make([]string, len(p.Values))
		for i, v := range p.Values {
			sql, err := literal(v, typ)
			if err != nil {
				return "", fmt.Errorf("scan %s: column %s: %w", t.Name(), schema[p.Column].Name, err)
			}
			values[i] = sql
		}
		op, ok := map[catalog.Op]string{
			catalog.OpEqual: "=", catalog.OpNotEqual: "<>", catalog.OpLess: "<", catalog.OpLessEqual: "<=",
			catalog.OpGreater: ">", catalog.OpGreaterEqual: ">=",
		}[p.Op]
		switch {
		case ok && len(values) == 1:
			conditions = append(conditions, c+" "+op+" "+values[0])
		case p.Op == catalog.OpIn && len(values) > 0:
			conditions = append(conditions, c+" IN ("+strings.Join(values, ", ")+")")
		case p.Op == catalog.OpIn:
			conditions = append(conditions, "FALSE")
		case p.Op == catalog.OpIsNull:
			conditions = append(conditions, c+" IS NULL")
		case p.Op == catalog.OpIsNotNull:
			conditions = append(conditions, c+" IS NOT NULL")
		default:
			return "", fmt.Errorf("scan %s: operator %d with %d values", t.Name(), p.Op, len(values))
		}
	}
	return strings.Join(conditions, " AND "), nil
}
