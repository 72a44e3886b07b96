//go:build gms_pure_go && duckdb_arrow

package mysqlserver

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"regexp"
	"strconv"
	"strings"
	"time"

	gms "github.com/dolthub/go-mysql-server/sql"
	gmstypes "github.com/dolthub/go-mysql-server/sql/types"
	"github.com/dolthub/vitess/go/mysql"
	"github.com/dolthub/vitess/go/sqltypes"
	querypb "github.com/dolthub/vitess/go/vt/proto/query"
	"github.com/dolthub/vitess/go/vt/sqlparser"

	"github.com/leatdb/leat/internal/mysqlfloat"
	"github.com/leatdb/leat/sql"
	"github.com/leatdb/leat/sql/sqlerror"
)

// query is one statement that a client sent, with how its rows go out.
type query struct {
	text string
	// several says that text may hold more statements, of which the first is run.
	several  bool
	bindings map[string]*querypb.BindVariable
	send     func(r *sqltypes.Result, more bool) error
	// kept says that what send is given is still read after it returned.
	kept bool
}

// run executes a statement and sends its result. remainder is the text behind it.
func (h *handler) run(ctx context.Context, c *mysql.Conn, q query) (remainder string, err error) {
	sctx, err := h.sessions.NewContextWithQuery(ctx, c, q.text)
	if err != nil {
		return "", err
	}
	if sctx, err = sctx.ProcessList.BeginQuery(sctx, withoutSecrets(q.text)); err != nil {
		return "", err
	}
	defer sctx.ProcessList.EndQuery(sctx)
	if err := gms.SessionCommandBegin(sctx.Session); err != nil {
		return "", err
	}
	defer gms.SessionCommandEnd(sctx.Session)

	var parsed sqlparser.Statement
	if _, prepared := sctx.Session.GetPreparedQuery(q.text); !prepared && q.bindings == nil {
		var first string
		parsed, first, remainder, err = h.engine.Parser.Parse(sctx, translate(c, sctx.Session, q.text), q.several)
		if err != nil && !errors.Is(err, sqlparser.ErrEmpty) {
			return "", err
		}
		if first != "" {
			q.text = first
		}
	}
	bindings, err := literals(q.bindings)
	if err != nil {
		return "", err
	}
	most, err := executionTime(sctx, q.text)
	if err != nil {
		return "", err
	}
	if most > 0 {
		limited, cancel := context.WithTimeoutCause(sctx.Context, most, errExecutionTime)
		sctx = sctx.WithContext(limited)
		defer func() {
			if err != nil && errors.Is(context.Cause(limited), errExecutionTime) {
				err = errExecutionTime
			}
			cancel()
		}()
	}
	schema, iter, _, err := h.engine.QueryWithBindings(sctx, q.text, parsed, bindings, nil)
	if err != nil {
		return "", h.placed(sctx, err, q.text)
	}
	if err := h.sendRows(sctx, c, schema, iter, q, remainder != ""); err != nil {
		return "", err
	}
	return remainder, nil
}

// errExecutionTime is ER_QUERY_TIMEOUT.
var errExecutionTime = mysql.NewSQLError(3024, "HY000", "Query execution was interrupted, maximum statement execution time exceeded")

// executionTimeHint follows the SELECT that it is of.
var executionTimeHint = regexp.MustCompile(`(?is)^\s*/\*\+[^*]*\bMAX_EXECUTION_TIME\s*\(\s*(\d{1,12})\s*\)`)

// executionTime is how long a statement may take, 0 for ever: of a SELECT, or of an
// EXPLAIN ANALYZE of one, what a hint of its own says, else max_execution_time in
// milliseconds.
func executionTime(ctx *gms.Context, text string) (time.Duration, error) {
	first, plain := firstOfQuery(text)
	switch {
	case first.IsWord("SELECT"):
		if m := executionTimeHint.FindStringSubmatch(plain[first.End():]); m != nil {
			ms, err := strconv.ParseInt(m[1], 10, 64)
			return time.Duration(ms) * time.Millisecond, err
		}
	case first.IsWord("WITH"), first.IsWord("VALUES"), first.IsWord("TABLE"):
	default:
		return 0, nil
	}
	v, err := ctx.GetSessionVariable(ctx, "max_execution_time")
	if err != nil {
		return 0, err
	}
	ms, _ := v.(int64)
	return time.Duration(ms) * time.Millisecond, nil
}

// firstOfQuery is the word that a statement, or the query that an EXPLAIN ANALYZE runs,
// begins with, behind its brackets, and the text that it is in.
func firstOfQuery(text string) (first sql.Token, in string) {
	in, explain, err := sql.RewriteExplain(text)
	if err != nil {
		return sql.Token{}, in // it is refused
	}
	lex := sql.NewLexer(in, sqlerror.Position{})
	first, err = lex.Next()
	if explain.Analyze && err == nil {
		first, err = lex.Next() // behind EXPLAIN
	}
	for first.IsOperator("(") && err == nil {
		first, err = lex.Next()
	}
	if first.Kind == sql.Executable {
		return firstOfQuery(strings.TrimLeft(strings.Trim(first.Text, "/*"), "M!0123456789"))
	}
	return first, in
}

// literals are the values of a prepared statement's placeholders.
func literals(bindings map[string]*querypb.BindVariable) (map[string]sqlparser.Expr, error) {
	exprs := make(map[string]sqlparser.Expr, len(bindings))
	for name, b := range bindings {
		v, err := sqltypes.BindVariableToValue(b)
		if err != nil {
			return nil, fmt.Errorf("placeholder %s: %w", name, err)
		}
		if exprs[name], err = sqlparser.ExprFromValue(v); err != nil {
			return nil, fmt.Errorf("placeholder %s: %w", name, err)
		}
	}
	return exprs, nil
}

// rowsAtOnce is how many rows are encoded before they are sent.
const rowsAtOnce = 128

// sendRows sends what a statement returns: rows, or how many were affected.
func (h *handler) sendRows(ctx *gms.Context, c *mysql.Conn, schema gms.Schema, iter gms.RowIter, q query, more bool) (err error) {
	closed := false
	defer func() {
		if !closed {
			// The MySQL engine's kinds of errors are not found within others.
			if closing := iter.Close(ctx); err == nil {
				err = closing
			}
		}
	}()
	result := &sqltypes.Result{Fields: fields(ctx, schema)}
	buffer := &rowBuffer{kept: q.kept}
	sent := false
	for {
		row, err := iter.Next(ctx)
		if errors.Is(err, io.EOF) {
			break
		}
		if err == nil {
			err = ctx.Err()
		}
		if err != nil {
			return err
		}
		if gmstypes.IsOkResult(row) {
			// Its info stays here: the library writes it with a length of 35
			// whatever it is, which clients refuse.
			ok := gmstypes.GetOkResult(row)
			result = &sqltypes.Result{RowsAffected: ok.RowsAffected, InsertID: ok.InsertID}
			continue
		}
		values, err := buffer.encode(ctx, schema, row)
		if err != nil {
			return err
		}
		result.Rows = append(result.Rows, values)
		if len(result.Rows) == rowsAtOnce {
			result.RowsAffected, sent = rowsAtOnce, true
			if err := q.send(result, more); err != nil {
				return err
			}
			result = &sqltypes.Result{Fields: result.Fields}
			buffer.reset()
		}
	}
	closed = true
	if err := iter.Close(ctx); err != nil {
		return err
	}
	if err := setStatus(ctx, c); err != nil {
		return err
	}
	if sent && len(result.Rows) == 0 {
		return nil
	}
	if len(result.Rows) > 0 {
		result.RowsAffected = uint64(len(result.Rows))
	}
	return q.send(result, more)
}

// setStatus sets what every answer says of the session, and how long its
// connection may then be idle.
func setStatus(ctx *gms.Context, c *mysql.Conn) error {
	v, err := ctx.GetSessionVariable(ctx, gms.AutoCommitSessionVar)
	if err != nil {
		return err
	}
	on, err := gms.ConvertToBool(ctx, v)
	if err != nil {
		return err
	}
	if own := connOf(c.Conn); own != nil {
		wait, err := ctx.GetSessionVariable(ctx, "wait_timeout")
		if err != nil {
			return err
		}
		if seconds, ok := wait.(int64); ok && seconds > 0 {
			own.idle = time.Duration(seconds) * time.Second
		}
	}
	if on {
		c.StatusFlags |= uint16(mysql.ServerStatusAutocommit)
	} else {
		c.StatusFlags &^= uint16(mysql.ServerStatusAutocommit)
	}
	return nil
}

// prepare binds a statement with placeholders and returns the columns of its
// rows, nil where it has none.
func (h *handler) prepare(ctx context.Context, c *mysql.Conn, text string) ([]*querypb.Field, error) {
	sctx, err := h.sessions.NewContextWithQuery(ctx, c, text)
	if err != nil {
		return nil, err
	}
	if sctx, err = sctx.ProcessList.BeginOperation(sctx); err != nil {
		return nil, err
	}
	defer sctx.ProcessList.EndOperation(sctx)
	if err := gms.SessionCommandBegin(sctx.Session); err != nil {
		return nil, err
	}
	defer gms.SessionCommandEnd(sctx.Session)
	node, err := h.engine.PrepareQuery(sctx, text)
	if err != nil {
		return nil, h.placed(sctx, err, text)
	}
	schema := node.Schema(sctx)
	if gmstypes.IsOkResultSchema(schema) {
		return nil, nil
	}
	return fields(sctx, schema), nil
}

// fields describes the columns of a result as the protocol does:
// https://dev.mysql.com/doc/dev/mysql-server/latest/page_protocol_com_query_response_text_resultset_column_definition.html
func fields(ctx *gms.Context, schema gms.Schema) []*querypb.Field {
	if gmstypes.IsOkResultSchema(schema) {
		return nil
	}
	results := ctx.GetCharacterSetResults()
	list := make([]*querypb.Field, len(schema))
	for i, c := range schema {
		f := &querypb.Field{
			Name: c.Name, OrgName: c.Name, Table: c.Source, OrgTable: c.Source, Database: c.DatabaseSource,
			Type: c.Type.Type(), ColumnLength: c.Type.MaxTextResponseByteLength(ctx),
			Charset: uint32(gms.Collation_Default.CharacterSet()),
		}
		if t, ok := c.Type.(gms.TypeWithCollation); ok {
			f.Charset = uint32(t.Collation().CharacterSet())
		}
		switch {
		case !gmstypes.IsText(c.Type), gmstypes.IsBinaryType(c.Type):
			f.Charset = uint32(gms.Collation_binary)
		case results != gms.CharacterSet_Unspecified:
			f.Charset = uint32(results)
		}
		f.Flags = typeFlags(f.Type)
		if !c.Nullable {
			f.Flags |= uint32(querypb.MySqlFlag_NOT_NULL_FLAG)
		}
		if c.PrimaryKey {
			f.Flags |= uint32(querypb.MySqlFlag_PRI_KEY_FLAG)
		}
		if gmstypes.IsUnsigned(c.Type) {
			f.Flags |= uint32(querypb.MySqlFlag_UNSIGNED_FLAG)
		}
		switch t := c.Type.(type) {
		case gms.NumberType:
			if t.IsFloat() {
				f.Decimals = notFixed
			}
			if t.DisplayWidth() == 1 { // TINYINT(1)
				f.ColumnLength = 1
			}
		case gms.DecimalType:
			f.Decimals = uint32(t.Scale())
		case gms.DatetimeType:
			if t.Type() != sqltypes.Date {
				f.Decimals = uint32(t.Precision())
				f.ColumnLength = temporalLength(len("2006-01-02 15:04:05"), f.Decimals)
			}
		case gmstypes.TimeType:
			f.Decimals = 6 // as the MySQL engine writes them
			if p, ok := t.(interface{ Precision() int }); ok {
				f.Decimals = uint32(p.Precision())
			}
			f.ColumnLength = temporalLength(len("-838:59:59"), f.Decimals)
		}
		list[i] = f
	}
	return list
}

// notFixed is the number of decimals of a FLOAT or DOUBLE: as many as it has.
const notFixed = 31

// typeFlags are the flags that a type has, nullable or not.
func typeFlags(t querypb.Type) uint32 {
	_, flags := sqltypes.TypeToMySQL(t)
	switch t {
	case sqltypes.Timestamp:
		flags |= int64(querypb.MySqlFlag_BINARY_FLAG)
	case sqltypes.TypeJSON:
		flags |= int64(querypb.MySqlFlag_BINARY_FLAG | querypb.MySqlFlag_BLOB_FLAG)
	case sqltypes.Text, sqltypes.Blob:
		flags |= int64(querypb.MySqlFlag_BLOB_FLAG)
	}
	return uint32(flags)
}

// temporalLength is the length of a time with digits behind the point.
func temporalLength(whole int, decimals uint32) uint32 {
	if decimals == 0 {
		return uint32(whole)
	}
	return uint32(whole) + 1 + decimals
}

// rowBuffer holds the bytes of the rows that are being sent.
type rowBuffer struct {
	bytes []byte
	kept  bool // what was given out is read after reset
}

// rowBufferBytes is what a rowBuffer has at first.
const rowBufferBytes = 32 << 10

func (b *rowBuffer) reset() {
	if b.kept {
		b.bytes = nil
		return
	}
	b.bytes = b.bytes[:0]
}

// encode is a row as text, in the buffer.
func (b *rowBuffer) encode(ctx *gms.Context, schema gms.Schema, row gms.Row) ([]sqltypes.Value, error) {
	values := make([]sqltypes.Value, len(schema))
	for i, c := range schema {
		if row[i] == nil {
			continue // the zero value is NULL
		}
		if cap(b.bytes)-len(b.bytes) < 64 {
			// The rows before keep what they were given.
			b.bytes = make([]byte, 0, max(rowBufferBytes, min(2*cap(b.bytes), 1<<20)))
		}
		v, err := valueText(ctx, c.Type, b.bytes[len(b.bytes):], row[i])
		if err != nil {
			return nil, fmt.Errorf("column %s: %w", c.Name, err)
		}
		// A value that did not fit has memory of its own.
		if n := len(b.bytes) + v.Len(); n <= cap(b.bytes) {
			b.bytes = b.bytes[:n]
		}
		values[i] = v
	}
	return values, nil
}

// valueText is a value as MySQL writes it; the MySQL engine writes floating-point
// numbers as Go does, with an exponent where MySQL has none, and years before 1000
// with fewer than four digits.
func valueText(ctx *gms.Context, t gms.Type, dst []byte, v any) (sqltypes.Value, error) {
	switch f := v.(type) {
	case float64:
		if t.Type() == sqltypes.Float64 {
			return sqltypes.MakeTrusted(sqltypes.Float64, mysqlfloat.AppendDouble(dst, f)), nil
		}
	case float32:
		if t.Type() == sqltypes.Float32 {
			return sqltypes.MakeTrusted(sqltypes.Float32, mysqlfloat.AppendFloat(dst, f)), nil
		}
	case time.Time:
		if f.Year() >= 1000 {
			break
		}
		text, err := t.SQL(ctx, dst, v)
		if digits := bytes.IndexByte(text.Raw(), '-'); err == nil && digits > 0 && digits < len("0000") {
			return sqltypes.MakeTrusted(text.Type(), append([]byte("000"[digits-1:]), text.Raw()...)), nil
		}
		return text, err
	}
	return t.SQL(ctx, dst, v)
}
