//go:build gms_pure_go && duckdb_arrow

package engine

import (
	"context"
	"errors"
	"fmt"
	"io"
	"strings"
	"time"

	"github.com/apache/arrow-go/v18/arrow"
	"github.com/apache/arrow-go/v18/arrow/array"
	gms "github.com/dolthub/go-mysql-server/sql"
	"github.com/dolthub/go-mysql-server/sql/planbuilder"

	"github.com/leatdb/leat/catalog"
	"github.com/leatdb/leat/connectors"
	"github.com/leatdb/leat/engine/dataflow"
	"github.com/leatdb/leat/engine/kernel"
	"github.com/leatdb/leat/internal/sched"
	"github.com/leatdb/leat/sql"
	"github.com/leatdb/leat/sql/sqlerror"
	"github.com/leatdb/leat/sql/types"
)

// chosenLettersTable is what the condition of a replay is evaluated over: the
// letters of one stream that no replay has taken, with what they are decoded
// from. It is not listed.
const chosenLettersTable = "_dead_letters"

var chosenColumns = append(deadColumns[:len(deadColumns):len(deadColumns)],
	types.Column{Name: "header", Type: types.TypeBlob}, text("hidden"))

// scopeKey marks the context of a choice; the value is the *stream.
type scopeKey struct{}

// replay begins to read a stream's dead letters again.
func (db *DB) replay(ctx *gms.Context, stmt *sql.ReplayDeadLetters) (*result, error) {
	s := db.stream(stmt.Stream.Name)
	if s == nil {
		return nil, db.unknown(sql.KindStream, stmt.Stream.Name, stmt.Stream.Pos)
	}
	query, at := replayQuery(stmt)
	if err := db.checkReplay(ctx, query, at); err != nil {
		return nil, err
	}
	var err error
	id := sched.ID(db.scheduler)[:8]
	choose := func(ctx context.Context, take func(connectors.DeadLetter) error) error {
		return db.chooseLetters(context.WithValue(ctx, scopeKey{}, s), query, at, take)
	}
	var begun dataflow.ReplayBegun
	// A stream may finish while it is asked; the run that is asked next begins it.
	for again := true; again; again = errors.Is(err, dataflow.ErrFinished) {
		var wait func() (dataflow.ReplayBegun, error)
		wait, err = db.askReplay(ctx, s, func(run *dataflow.Stream) func() (dataflow.ReplayBegun, error) {
			return run.AskReplay(ctx, id, choose)
		})
		if err != nil {
			return nil, err
		}
		begun, err = wait()
	}
	if err != nil {
		return nil, fmt.Errorf("replay dead letters of stream %s: %w", s.name, err)
	}
	r := &result{columns: replayColumns}
	if begun.Letters == 0 {
		r.add(nil, int64(0))
		r.note("no dead letter of stream %s is left that the condition is true for", s.name)
	} else {
		r.add(id, begun.Letters)
		r.note("replay %s reads %d dead letters of stream %s again", id, begun.Letters, s.name)
	}
	if begun.Left > 0 {
		r.note("%d dead letters were left out: they are of an earlier life of stream %s, before it was dropped and created again", begun.Left, s.name)
	}
	return r, nil
}

// askReplay asks the run of a stream, and starts one that has finished.
func (db *DB) askReplay(ctx context.Context, s *stream, ask func(*dataflow.Stream) func() (dataflow.ReplayBegun, error)) (wait func() (dataflow.ReplayBegun, error), err error) {
	db.ddl.Lock()
	defer db.ddl.Unlock()
	if db.stream(s.name) != s {
		return nil, sqlerror.Userf(sqlerror.CodeState, "stream %s was dropped or replaced meanwhile", s.name)
	}
	switch st := s.status(); st.State {
	case dataflow.Starting, dataflow.Running, dataflow.Retrying:
		if run := s.running(); run != nil {
			return ask(run), nil
		}
	case dataflow.Finished:
		if err := s.stop(ctx); err != nil {
			return nil, err
		}
		p, err := db.planStream(ctx, s.definition())
		if err != nil {
			return nil, err
		}
		s.startWith(p, nil, nil, func(run *dataflow.Stream) { wait = ask(run) })
		return wait, nil
	}
	st := s.status()
	e := sqlerror.Userf(sqlerror.CodeState, "stream is %s, and who reads its dead letters again is the stream", st.State).About("stream " + s.name)
	if st.Reason != nil {
		return nil, e.WithHint("START STREAM %s first; it ended because of: %v", s.name, st.Reason)
	}
	return nil, e.WithHint("START STREAM %s first", s.name)
}

// replayQuery chooses letters. It stands in the user's text so that errors of
// the condition are placed.
func replayQuery(stmt *sql.ReplayDeadLetters) (query string, at sqlerror.Position) {
	var names []string
	for _, c := range chosenColumns {
		names = append(names, c.Name)
	}
	query = "SELECT " + strings.Join(names, ", ") + " FROM " + systemDatabase + "." + chosenLettersTable + " AS " + deadLettersTable
	if stmt.Where == "" {
		return query, stmt.Stream.Pos
	}
	query += " WHERE ("
	at = stmt.WherePos
	at.Column -= len(query)
	return query + stmt.Where + "\n)", at
}

// checkReplay binds the choice before anything is asked of the stream.
func (db *DB) checkReplay(ctx context.Context, query string, at sqlerror.Position) error {
	gctx := db.NewSession().context(ctx, query, at)
	stmt, _, _, err := db.mysql.Parser.Parse(gctx, query, false)
	if err == nil {
		_, _, err = planbuilder.New(gctx, db.mysql.Analyzer.Catalog, nil).BindOnly(stmt, query, nil)
	}
	if err == nil {
		return nil
	}
	if sqlerror.As(err) != nil {
		return err
	}
	e := &sqlerror.Error{Code: sqlerror.CodeUnknownObject, Kind: sqlerror.User, Message: "the condition of the replay", Err: err}
	at.Column += strings.Index(query, "(") + 1
	return e.At(at).WithHint("it is evaluated over the columns of leat.%s", deadLettersTable)
}

// chooseLetters evaluates the choice.
func (db *DB) chooseLetters(ctx context.Context, query string, at sqlerror.Position, take func(connectors.DeadLetter) error) error {
	reader, err := db.NewSession().query(ctx, query, at)
	if err != nil {
		return fmt.Errorf("choose dead letters: %w", err)
	}
	defer reader.Release()
	for reader.Next() {
		batch := reader.RecordBatch()
		for row := range int(batch.NumRows()) {
			if err := take(letterOf(batch, row)); err != nil {
				return err
			}
		}
	}
	if err := reader.Err(); err != nil {
		return fmt.Errorf("choose dead letters: %w", err)
	}
	return ctx.Err()
}

// letterOf is a row of the choice.
func letterOf(batch arrow.RecordBatch, row int) connectors.DeadLetter {
	value := func(name string) any { return kernel.Value(batch.Column(chosenColumns.Index(name)), row) }
	word := func(name string) string { s, _ := value(name).(string); return s }
	raw := func(name string) []byte { b, _ := value(name).([]byte); return b }
	number := func(name string) int64 { n, _ := value(name).(int64); return n }
	d := connectors.DeadLetter{
		ID: word("letter"), Source: word("source"), Position: word("source_position"),
		Class: connectors.ErrorClass(word("error_class")), Message: word("error_message"),
		Raw: raw("raw"), Header: raw("header"), Hidden: []byte(word("hidden")), Attempt: int(number("attempt")),
	}
	if at := number("arrived_at"); at != 0 {
		d.Arrived = time.UnixMicro(at).UTC()
	}
	return d
}

// deadLetters reads the _dead_letters tables of all sinks, one after the other;
// those of the stream alone whose letters are being chosen.
func (db *DB) deadLetters(ctx context.Context, columns types.Schema, warn warnFunc) (*deadLetterReader, error) {
	r := &deadLetterReader{db: db, ctx: ctx, columns: columns}
	if len(columns) == 0 { // rows have to be counted by something
		r.columns, r.counts = deadColumns[:1], true
	}
	scope, _ := ctx.Value(scopeKey{}).(*stream)
	home := ""
	if scope != nil {
		home = scope.sink
		// A sink that is no table keeps them in the embedded lake.
		s, release := db.heldSink(home)
		if s != nil {
			if _, err := s.readable(ctx); errors.Is(err, errNoTables) {
				home = sql.DefaultSink
			}
		}
		release()
	}
	for s := range db.heldSinks() {
		if scope != nil && !strings.EqualFold(home, s.name) {
			continue
		}
		lake, err := s.readable(ctx)
		if err == nil {
			var t catalog.Table
			if t, err = lake.Table(ctx, catalog.DeadLetterTable); err == nil {
				r.queries = append(r.queries, letterQuery(s.name, t.Schema(), r.columns, scope))
				continue
			}
		}
		switch {
		case sqlerror.HasCode(err, sqlerror.CodeUnknownObject), errors.Is(err, errNoTables):
		case scope != nil || ctx.Err() != nil:
			return nil, err
		default:
			warn.leftOut("sink "+s.name, err)
		}
	}
	return r, nil
}

// letterQuery reads the letters of a sink, with the marks of those that a replay
// has taken. Tables of before there were marks lack the columns.
func letterQuery(sink string, have, columns types.Schema, scope *stream) string {
	table := sql.QuoteName(sink) + "." + sql.QuoteName(catalog.DeadLetterTable)
	marked := have.Index("letter") >= 0 && have.Index("replay") >= 0 && have.Index("replayed_at") >= 0
	items := make([]string, len(columns))
	for i, c := range columns {
		from := "l."
		if c.Name == "replay" || c.Name == "replayed_at" {
			from = "m."
		}
		if items[i] = from + c.Name; have.Index(c.Name) < 0 || from == "m." && !marked {
			items[i] = "NULL AS " + c.Name
		}
	}
	query := "SELECT " + strings.Join(items, ", ") + " FROM " + table + " l"
	var conditions []string
	if marked {
		query += " LEFT JOIN (SELECT letter, replay, replayed_at FROM " + table + " WHERE replay IS NOT NULL) m ON m.letter = l.letter"
		conditions = append(conditions, "l.replay IS NULL")
		if scope != nil {
			conditions = append(conditions, "m.replay IS NULL")
		}
	}
	if scope != nil {
		conditions = append(conditions, "l.stream = "+sql.QuoteString(scope.name), "l.target_table = "+sql.QuoteString(scope.table))
	}
	if len(conditions) > 0 {
		query += " WHERE " + strings.Join(conditions, " AND ")
	}
	return query
}

// deadLetterReader is the systemReader of dead letters.
type deadLetterReader struct {
	db      *DB
	ctx     context.Context
	columns types.Schema
	counts  bool // the rows are only counted
	queries []string
	rows    array.RecordReader // of the query under way
	arrays  []arrow.Array
}

func (r *deadLetterReader) next() ([]arrow.Array, int, error) {
	r.release()
	for {
		if r.rows == nil {
			if len(r.queries) == 0 {
				return nil, 0, io.EOF
			}
			query := r.queries[0]
			r.queries = r.queries[1:]
			// Within another query only DuckDB may execute one.
			var err error
			r.rows, err = r.db.queryColumns(r.db.NewSession().context(r.ctx, query, sqlerror.Position{}), query, nil)
			if err == nil && r.rows == nil {
				err = &sqlerror.Error{Code: sqlerror.CodeInternal, Message: "the query for dead letters cannot be executed: " + query}
			}
			if err != nil {
				return nil, 0, fmt.Errorf("read dead letters: %w", err)
			}
		}
		for r.rows.Next() {
			if batch := r.rows.RecordBatch(); batch.NumRows() > 0 {
				return r.take(batch)
			}
		}
		err := r.rows.Err()
		r.rows.Release()
		r.rows = nil
		if err != nil {
			return nil, 0, fmt.Errorf("read dead letters: %w", err)
		}
	}
}

// take gives a batch's columns as what they are declared: tables of others, and
// of before there were marks, have other types.
func (r *deadLetterReader) take(batch arrow.RecordBatch) ([]arrow.Array, int, error) {
	n := int(batch.NumRows())
	if r.counts {
		return nil, n, nil
	}
	schema := r.columns.Arrow()
	for i, c := range r.columns {
		column := batch.Column(i)
		if arrow.TypeEqual(column.DataType(), schema.Field(i).Type) {
			column.Retain()
		} else {
			var err error
			if column, err = arrayOf(c, n, func(row int) any { return kernel.Value(batch.Column(i), row) }); err != nil {
				return nil, 0, fmt.Errorf("read dead letters: %w", err)
			}
		}
		r.arrays = append(r.arrays, column)
	}
	return r.arrays, n, nil
}

func (r *deadLetterReader) release() {
	for _, a := range r.arrays {
		a.Release()
	}
	r.arrays = r.arrays[:0]
}

func (r *deadLetterReader) close() error {
	r.release()
	if r.rows != nil {
		r.rows.Release()
		r.rows = nil
	}
	return nil
}
