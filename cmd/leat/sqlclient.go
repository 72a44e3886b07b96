//go:build gms_pure_go && duckdb_arrow

package main

import (
	"bufio"
	"context"
	"database/sql"
	"errors"
	"fmt"
	"io"
	"regexp"
	"strconv"
	"strings"
	"time"

	"github.com/go-sql-driver/mysql"

	leatsql "github.com/leatdb/leat/sql"
	"github.com/leatdb/leat/sql/sqlerror"
)

// sqlClient executes statements on a server and prints what they return.
type sqlClient struct {
	pool *sql.DB
	conn *sql.Conn

	out        io.Writer
	err        *statusWriter
	newPrinter func(io.Writer) printer
	timing     bool   // say how long statements took
	file       string // that statements are of, empty for none
}

// errInterrupted is what a signal makes of a statement.
var errInterrupted = errors.New("interrupted")

// errReported ends a client whose error was printed already.
var errReported = errors.New("a statement failed")

// run executes the statements of in as they come. Without a prompt the first
// that fails ends it.
func (s *sqlClient) run(ctx context.Context, in io.Reader, interactive bool) error {
	lines := bufio.NewReader(in)
	script := &script{}
	for {
		if interactive {
			prompt := "leat> "
			if script.pending() {
				prompt = "   -> "
			}
			fmt.Fprint(s.out, prompt)
		}
		line, err := readLine(ctx, lines, interactive)
		if errors.Is(err, errInterrupted) {
			fmt.Fprintln(s.out)
			return nil
		}
		if err != nil && !errors.Is(err, io.EOF) {
			return fmt.Errorf("read SQL: %w", err)
		}
		atEnd := errors.Is(err, io.EOF)
		switch strings.ToLower(strings.TrimRight(strings.TrimSpace(line), "; \t")) {
		case `\q`, "exit", "quit":
			if !script.pending() {
				return nil
			}
		}
		script.add(line)
		for {
			stmt, ok := script.next(atEnd)
			if !ok {
				break
			}
			if err := s.execute(ctx, stmt); err != nil {
				if ctx.Err() != nil {
					err = errInterrupted
				}
				place := ""
				if s.file != "" {
					place = s.file + ": "
				}
				fmt.Fprintf(s.err, "leat sql: %s%s\n", place, locate(err, stmt.at))
				if !interactive || ctx.Err() != nil {
					return errReported
				}
			}
		}
		if atEnd {
			if interactive {
				fmt.Fprintln(s.out)
			}
			return nil
		}
	}
}

// readLine reads a line. A signal ends the wait for somebody who types; the reading of a
// terminal itself cannot be ended, and goes on until the program ends.
func readLine(ctx context.Context, from *bufio.Reader, interactive bool) (string, error) {
	if !interactive {
		return from.ReadString('\n')
	}
	type line struct {
		text string
		err  error
	}
	read := make(chan line, 1)
	go func() {
		text, err := from.ReadString('\n')
		read <- line{text, err}
	}()
	select {
	case l := <-read:
		return l.text, l.err
	case <-ctx.Done():
		return "", errInterrupted
	}
}

// statement is one statement of a script.
type statement struct {
	text     string
	at       sqlerror.Position
	vertical bool // ends with \G: each row as a list
}

// script takes text as it comes and gives statements when they are whole.
type script struct {
	text string
	at   sqlerror.Position // where text begins
}

func (s *script) add(text string) {
	if s.at.Line == 0 {
		s.at = sqlerror.Position{Line: 1, Column: 1}
		text = strings.TrimPrefix(text, "\uFEFF")
	}
	s.text += text
}

// pending reports whether a statement has begun.
func (s *script) pending() bool { return strings.TrimSpace(s.text) != "" }

// next is the next whole statement. At the end of the input a statement needs no
// semicolon.
func (s *script) next(atEnd bool) (statement, bool) {
	for {
		text, rest, complete := leatsql.First(s.text)
		vertical := false
		if trimmed := strings.TrimRight(text, " \t\r\n"); !complete && strings.HasSuffix(trimmed, `\G`) {
			text, rest, complete, vertical = strings.TrimSuffix(trimmed, `\G`), "\n", true, true
		}
		if !complete && !atEnd {
			return statement{}, false
		}
		begin := len(text) - len(strings.TrimLeft(text, " \t\r\n"))
		stmt := statement{text: strings.TrimSpace(text), at: leatsql.PositionAt(s.text, begin).Within(s.at), vertical: vertical}
		s.at = leatsql.PositionAt(s.text, len(s.text)-len(rest)).Within(s.at)
		s.text = rest
		if stmt.text != "" {
			return stmt, true
		}
		if !complete {
			return statement{}, false
		}
	}
}

// execute runs one statement and prints its rows and notes.
func (s *sqlClient) execute(ctx context.Context, stmt statement) error {
	begun := time.Now()
	end := s.watch(ctx, stmt, begun)
	rows, err := s.conn.QueryContext(ctx, stmt.text)
	end()
	if err != nil {
		return err
	}
	n, columns, err := s.print(rows, stmt.vertical)
	if err != nil {
		return err
	}
	if s.timing {
		took := time.Since(begun).Seconds()
		switch {
		case columns == 0:
			fmt.Fprintf(s.out, "OK (%.2f s)\n", took)
		case n == 1:
			fmt.Fprintf(s.out, "1 row (%.2f s)\n", took)
		default:
			fmt.Fprintf(s.out, "%s rows (%.2f s)\n", thousands(int64(n)), took)
		}
	}
	return s.notes(ctx, stmt.text)
}

// print prints rows, closes them, and returns how many they were, and of how many
// columns.
func (s *sqlClient) print(rows *sql.Rows, vertical bool) (n, columns int, err error) {
	defer func() {
		if closeErr := rows.Close(); err == nil {
			err = closeErr
		}
	}()
	types, err := rows.ColumnTypes()
	if err != nil {
		return 0, 0, err
	}
	if len(types) == 0 {
		return 0, 0, rows.Err()
	}
	w := bufio.NewWriterSize(s.out, 64<<10)
	p := s.newPrinter(w)
	if vertical {
		p = &verticalPrinter{w: w}
	}
	if err := p.begin(printedColumns(types)); err != nil {
		return 0, 0, err
	}
	values, pointers := make([]any, len(types)), make([]any, len(types))
	for i := range values {
		pointers[i] = &values[i]
	}
	for rows.Next() {
		if err := rows.Scan(pointers...); err != nil {
			return n, len(types), err
		}
		if err := p.row(values); err != nil {
			return n, len(types), err
		}
		n++
	}
	if err := rows.Err(); err != nil {
		return n, len(types), err
	}
	if err := p.end(); err != nil {
		return n, len(types), err
	}
	return n, len(types), w.Flush()
}

// notes prints what the server has to say beside the result.
func (s *sqlClient) notes(ctx context.Context, text string) error {
	if words := strings.Fields(strings.ToUpper(text)); len(words) == 0 || words[0] == "SET" || words[0] == "SHOW" {
		return nil // they leave the notes of the statement before
	}
	rows, err := s.conn.QueryContext(ctx, "SHOW WARNINGS")
	if err != nil {
		return err
	}
	defer rows.Close()
	for rows.Next() {
		var level, message string
		var code int
		if err := rows.Scan(&level, &code, &message); err != nil {
			return err
		}
		fmt.Fprintf(s.err, "%s: %s\n", strings.ToLower(level), message)
	}
	return rows.Err()
}

// place is how the server's messages begin that know where something is wrong.
var place = regexp.MustCompile(`^line (\d+), column (\d+): `)

// locate describes an error, with its place in the script instead of that in the
// statement.
func locate(err error, at sqlerror.Position) string {
	var e *mysql.MySQLError
	if !errors.As(err, &e) {
		return fmt.Sprintf("%s: %v", at, err)
	}
	moved, message := at, e.Message
	if m := place.FindStringSubmatch(e.Message); m != nil {
		line, _ := strconv.Atoi(m[1]) // the pattern leaves digits only
		column, _ := strconv.Atoi(m[2])
		moved, message = sqlerror.Position{Line: line, Column: column}.Within(at), e.Message[len(m[0]):]
	}
	return fmt.Sprintf("error %d (%s): %s: %s", e.Number, e.SQLState, moved, message)
}

// patience is how long a statement may take before its progress is shown.
const patience = time.Second

// watch shows at a terminal how a statement gets on that takes long, until end.
func (s *sqlClient) watch(ctx context.Context, stmt statement, begun time.Time) (end func()) {
	if !s.err.terminal {
		return func() {}
	}
	ctx, cancel := context.WithCancel(ctx)
	done := make(chan struct{})
	go func() {
		defer close(done)
		timer := time.NewTimer(patience)
		defer timer.Stop()
		for {
			select {
			case <-ctx.Done():
				return
			case <-timer.C:
				s.err.show(s.progress(ctx, stmt, time.Since(begun)))
				timer.Reset(progressInterval)
			}
		}
	}()
	return func() {
		cancel()
		<-done
		s.err.clear()
	}
}

// progress is how a running statement gets on: of a FLUSH, how its stream does,
// asked over a second connection.
func (s *sqlClient) progress(ctx context.Context, stmt statement, elapsed time.Duration) string {
	line := elapsed.Round(time.Second).String()
	parsed, err := leatsql.Parse(stmt.text, sqlerror.Position{})
	flush, ok := parsed.(*leatsql.FlushStream)
	if err != nil || !ok {
		return line
	}
	var state string
	var progress, because sql.NullString
	var landed sql.NullInt64
	var rate float64
	err = s.pool.QueryRowContext(ctx, "SELECT state, progress, rows_landed, rows_per_second, because FROM leat.streams WHERE stream = '"+strings.ReplaceAll(flush.Name.Name, "'", "''")+"'").
		Scan(&state, &progress, &landed, &rate, &because)
	if err != nil {
		return line
	}
	line += ", stream " + flush.Name.Name + " " + state
	if progress.Valid {
		line += ", " + progress.String
	}
	if landed.Valid {
		line += fmt.Sprintf(", %s rows landed", thousands(landed.Int64))
	}
	line += fmt.Sprintf(", %s rows/s", thousands(int64(rate)))
	if because.Valid {
		line += ": " + because.String
	}
	return line
}
