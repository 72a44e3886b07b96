package functiontest

import (
	"context"
	"errors"
	"fmt"
	"io"
	"strconv"
	"strings"
	"sync"
	"time"

	sqle "github.com/dolthub/go-mysql-server"
	"github.com/dolthub/go-mysql-server/memory"
	gms "github.com/dolthub/go-mysql-server/sql"
	"github.com/dolthub/go-mysql-server/sql/variables"

	"github.com/leatdb/leat/sql/types"
)

// Oracle is a table in the MySQL engine over which expressions are evaluated row
// by row.
type Oracle struct {
	ctx    *gms.Context
	engine *sqle.Engine
	rows   int
}

// Result is what the MySQL engine makes of a row: a value, or an error.
type Result struct {
	Value any
	Err   error
}

var initVariables sync.Once

// NewOracle makes a table of these rows, whose values are those of a
// logical.Literal.
func NewOracle(schema types.Schema, rows [][]any) (*Oracle, error) {
	initVariables.Do(variables.InitSystemVariables)
	db := memory.NewDatabase("test")
	provider := memory.NewDBProvider(db)
	o := &Oracle{engine: sqle.NewDefault(provider), rows: len(rows)}
	session := memory.NewSession(gms.NewBaseSession(), provider)
	o.ctx = gms.NewContext(context.Background(), gms.WithSession(session))
	o.ctx.SetCurrentDatabase("test")

	columns := []string{"row_number_ BIGINT PRIMARY KEY"}
	for _, c := range schema {
		columns = append(columns, "`"+c.Name+"` "+c.Type.String())
	}
	for _, statement := range []string{
		"SET time_zone = '+00:00'", "SET sql_mode = ''",
		"CREATE TABLE t (" + strings.Join(columns, ", ") + ")",
	} {
		if _, err := o.query(statement); err != nil {
			return nil, err
		}
	}
	tuples := make([]string, len(rows))
	for i, row := range rows {
		values := []string{fmt.Sprint(i)}
		for k, v := range row {
			values = append(values, Literal(v, schema[k].Type))
		}
		tuples[i] = "(" + strings.Join(values, ", ") + ")"
	}
	_, err := o.query("INSERT INTO t VALUES " + strings.Join(tuples, ", "))
	return o, err
}

// Literal writes a value as MySQL reads it back.
func Literal(v any, t types.Type) string {
	switch v := v.(type) {
	case nil:
		return "NULL"
	case string:
		if t.Kind == types.Decimal {
			return v
		}
		return "'" + strings.NewReplacer("'", "''", `\`, `\\`).Replace(v) + "'"
	case []byte:
		return fmt.Sprintf("x'%x'", v)
	case float64:
		return strconv.FormatFloat(v, 'e', -1, 64)
	case int64:
		switch t.Kind {
		case types.Date:
			return "'" + time.Unix(v*86400, 0).UTC().Format("2006-01-02") + "'"
		case types.Time:
			return "'" + time.UnixMicro(v).UTC().Format("15:04:05.000000") + "'"
		case types.DateTime, types.Timestamp:
			return "'" + time.UnixMicro(v).UTC().Format("2006-01-02 15:04:05.000000") + "'"
		}
	}
	return fmt.Sprint(v)
}

// Eval evaluates an expression over every row.
func (o *Oracle) Eval(expr string) []Result {
	out := make([]Result, o.rows)
	rows, err := o.query("SELECT row_number_, " + expr + " FROM t")
	if err == nil && len(rows) == o.rows {
		for _, r := range rows {
			out[r[0].(int64)].Value = r[1]
		}
		return out
	}
	// One row's error ends a query: ask for each by itself.
	for i := range out {
		rows, err := o.query(fmt.Sprintf("SELECT %s FROM t WHERE row_number_ = %d", expr, i))
		switch {
		case err != nil:
			out[i].Err = err
		case len(rows) == 1:
			out[i].Value = rows[0][0]
		default:
			out[i].Err = fmt.Errorf("found %d rows", len(rows))
		}
	}
	return out
}

func (o *Oracle) query(statement string) (rows []gms.Row, err error) {
	defer func() {
		if r := recover(); r != nil {
			err = fmt.Errorf("panic: %v", r)
		}
	}()
	_, iter, _, err := o.engine.Query(o.ctx, statement)
	if err != nil {
		return nil, fmt.Errorf("%s: %w", statement, err)
	}
	defer func() { _ = iter.Close(o.ctx) }()
	for {
		row, err := iter.Next(o.ctx)
		if errors.Is(err, io.EOF) {
			return rows, nil
		}
		if err != nil {
			return nil, fmt.Errorf("%s: %w", statement, err)
		}
		for i, v := range row {
			if v, err = gms.UnwrapAny(o.ctx, v); err != nil {
				return nil, err
			}
			row[i] = v
		}
		rows = append(rows, row)
	}
}
