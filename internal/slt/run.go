package slt

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"time"
)

// Database is what a script runs against: one session of it, and the hands that
// reach around it.
type Database interface {
	// Exec executes a statement and returns what it had to say beside OK.
	Exec(ctx context.Context, statement string) (notes []string, err error)
	// Query executes a query whose placeholders have the values args.
	Query(ctx context.Context, query string, args []any) (*Result, error)
	// Push sends a payload to a push source, at an offset that ascends over the
	// run. It is called again with what may have been lost after a kill.
	Push(ctx context.Context, source string, offset int64, payload []byte) error
	// Restart closes the database in an orderly way and opens it again, with a
	// new session.
	Restart(ctx context.Context) error
	// Kill ends the database without giving it time for anything, and opens it
	// again, with a new session.
	Kill(ctx context.Context) error
}

// Options say how a script is run.
type Options struct {
	// Dir is the run's own folder: where input files go, and what ${DIR} is.
	Dir string
	// KillBefore is the index of a step before which the database is killed;
	// 0 is none. See Script.KillPoints.
	KillBefore int
	// StepTimeout bounds each step; default four minutes, for machines that have much to do.
	StepTimeout time.Duration
	// Log, if it is not nil, takes the errors that came as expected, so that a
	// reader can judge them.
	Log func(format string, args ...any)
	// Update makes Run rewrite the script's file with the rows that came.
	Update bool
}

// most is how many failures a run collects before it gives up.
const most = 20

// retryInterval is how often a query is repeated that shall answer eventually.
const retryInterval = 20 * time.Millisecond

// settleTime is how long an updated script waits for what it expects eventually,
// before it takes what has come.
const settleTime = 2 * time.Second

// KillPoints are the indices of the steps before which a kill changes nothing of
// what the script says: all but the first, and those that ask for what the
// statement before them has left in the session.
func (s *Script) KillPoints() []int {
	var points []int
	for i, step := range s.Steps {
		if i == 0 || step.Verb == Note || step.SQL == "SHOW WARNINGS" {
			continue
		}
		before := s.Steps[i-1]
		if before.Verb != Bind && !strings.HasPrefix(before.SQL, "SET @") {
			points = append(points, i)
		}
	}
	return points
}

// Run runs the steps one after the other, the later ones also when one has
// failed. The error joins what went wrong, each as file:line.
func (s *Script) Run(ctx context.Context, db Database, opts Options) error {
	if opts.StepTimeout <= 0 {
		opts.StepTimeout = 4 * time.Minute
	}
	r := &run{script: s, db: db, opts: opts, updated: map[int]answer{}}
	var errs []error
	for i := range s.Steps {
		if err := r.step(ctx, i); err != nil {
			errs = append(errs, fmt.Errorf("%s:%d: %w", s.path, s.Steps[i].Line, err))
		}
		if len(errs) == most || ctx.Err() != nil {
			break
		}
	}
	if opts.Update && len(r.updated) > 0 {
		if err := os.WriteFile(s.path, []byte(s.rewrite(r.updated)), 0o644); err != nil {
			errs = append(errs, fmt.Errorf("update script: %w", err))
		}
	}
	return errors.Join(errs...)
}

type run struct {
	script  *Script
	db      Database
	opts    Options
	session []string // statements that a new session needs
	sent    []payload
	notes   []string
	args    []any
	updated map[int]answer
}

// payload is what was pushed; its offset is its place in run.sent plus one.
type payload struct {
	source string
	data   []byte
}

func (r *run) step(ctx context.Context, i int) error {
	ctx, cancel := context.WithTimeout(ctx, r.opts.StepTimeout)
	defer cancel()
	if i > 0 && i == r.opts.KillBefore {
		if err := r.reopen(ctx, r.db.Kill); err != nil {
			return fmt.Errorf("inserted kill: %w", err)
		}
	}
	step := &r.script.Steps[i]
	args := r.args
	r.args = nil
	switch step.Verb {
	case Statement:
		return r.statement(ctx, step)
	case Query:
		return r.query(ctx, i, args)
	case Note:
		if !slices.ContainsFunc(r.notes, step.Match.MatchString) {
			return fmt.Errorf("no note matches %s; there are %q", step.Match, r.notes)
		}
		return nil
	case Push:
		for _, data := range step.Data {
			r.sent = append(r.sent, payload{step.Target, []byte(r.expand(string(data)))})
			p := r.sent[len(r.sent)-1]
			if err := r.db.Push(ctx, p.source, int64(len(r.sent)), p.data); err != nil {
				return fmt.Errorf("push to %s: %w", p.source, err)
			}
		}
		return nil
	case File:
		return r.file(step)
	case Flush:
		_, err := r.db.Exec(ctx, "FLUSH STREAM `"+step.Target+"`")
		return err
	case Wait:
		return r.wait(ctx, step)
	case Bind:
		r.args = step.Args
		return nil
	case Restart:
		return r.reopen(ctx, r.db.Restart)
	case Kill:
		return r.reopen(ctx, r.db.Kill)
	}
	return fmt.Errorf("no such step: %s", step.Verb)
}

// expand puts the run's folder into a text.
func (r *run) expand(text string) string { return strings.ReplaceAll(text, "${DIR}", r.opts.Dir) }

// clean takes the run's folder out of a text.
func (r *run) clean(text string) string {
	if r.opts.Dir == "" {
		return text
	}
	return strings.ReplaceAll(text, r.opts.Dir, "${DIR}")
}

// sessionWords begin statements whose effect ends with the session.
var sessionWords = regexp.MustCompile(`(?i)^\s*(SET|USE|PREPARE)\s`)

func (r *run) statement(ctx context.Context, step *Step) error {
	text := r.expand(step.SQL)
	var err error
	r.notes, err = r.db.Exec(ctx, text)
	switch {
	case step.Error == nil && err != nil:
		return fmt.Errorf("%s", r.clean(err.Error()))
	case step.Error != nil && err == nil:
		return fmt.Errorf("it succeeded; expected an error that matches %s", step.Error)
	case step.Error != nil && !step.Error.MatchString(r.clean(err.Error())):
		return fmt.Errorf("error %q does not match %s", r.clean(err.Error()), step.Error)
	}
	if err != nil && r.opts.Log != nil {
		r.opts.Log("%s:%d: %s", r.script.path, step.Line, r.clean(err.Error()))
	}
	if err == nil && sessionWords.MatchString(text) {
		r.session = append(r.session, text)
	}
	return nil
}

func (r *run) query(ctx context.Context, i int, args []any) error {
	step := &r.script.Steps[i]
	for begun := time.Now(); ; {
		a, err := r.ask(ctx, step, args)
		if err == nil && r.opts.Update {
			r.updated[i] = a
			if !step.Eventually || time.Since(begun) > settleTime {
				return nil
			}
			err = difference(step.Expected, a.rows)
		} else if err == nil {
			err = difference(step.Expected, a.rows)
		}
		if err == nil || !step.Eventually {
			return err
		}
		select {
		case <-ctx.Done():
			return err
		case <-time.After(retryInterval):
		}
	}
}

// ask executes a query and checks the types of its columns.
func (r *run) ask(ctx context.Context, step *Step, args []any) (answer, error) {
	result, err := r.db.Query(ctx, r.expand(step.SQL), args)
	if err != nil {
		return answer{}, fmt.Errorf("%s", r.clean(err.Error()))
	}
	a := answer{rows: result.render(step, r.clean)}
	for _, c := range result.Columns {
		a.types += string(rune(c.Class))
	}
	if r.opts.Update && step.Types == string(Any) {
		return a, nil
	}
	return a, checkTypes(step.Types, a.types)
}

func checkTypes(expected, got string) error {
	same := len(expected) == len(got)
	for i := 0; same && i < len(got); i++ {
		same = expected[i] == got[i] || Class(expected[i]) == Any
	}
	if !same {
		return fmt.Errorf("the columns have types %s, expected %s", got, expected)
	}
	return nil
}

// difference shows the first row that is not as expected, and all that came.
func difference(expected, rows []string) error {
	if slices.Equal(expected, rows) {
		return nil
	}
	at := 0
	for at < min(len(expected), len(rows)) && expected[at] == rows[at] {
		at++
	}
	line := func(list []string) string {
		if at < len(list) {
			return list[at]
		}
		return "(no more rows)"
	}
	return fmt.Errorf("row %d differs\n  expected: %s\n       got: %s\n  all %d rows:\n    %s",
		at+1, line(expected), line(rows), len(rows), strings.Join(rows[:min(len(rows), 50)], "\n    "))
}

func (r *run) file(step *Step) error {
	if !filepath.IsLocal(step.Target) {
		return fmt.Errorf("file %s lies outside the run's folder", step.Target)
	}
	path := filepath.Join(r.opts.Dir, step.Target)
	if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
		return err
	}
	// A reader must not see half of it.
	half := filepath.Join(r.opts.Dir, ".half")
	if err := os.WriteFile(half, []byte(r.expand(string(step.Data[0]))), 0o644); err != nil {
		return err
	}
	return os.Rename(half, path)
}

// wait waits until a stream is in a state.
func (r *run) wait(ctx context.Context, step *Step) error {
	query := &Step{SQL: "SELECT state, because FROM leat.streams WHERE stream = '" + step.Target + "'", Types: "TT"}
	for {
		a, err := r.ask(ctx, query, nil)
		if err != nil && ctx.Err() == nil {
			return err
		}
		if len(a.rows) == 1 && strings.HasPrefix(a.rows[0], step.State+" | ") {
			return nil
		}
		select {
		case <-ctx.Done():
			return fmt.Errorf("stream %s is not %s: %q", step.Target, step.State, a.rows)
		case <-time.After(retryInterval):
		}
	}
}

// states are the streams' states by name.
func (r *run) states(ctx context.Context) (map[string]string, error) {
	result, err := r.db.Query(ctx, "SELECT stream, state FROM leat.streams", nil)
	if err != nil {
		return nil, err
	}
	states := map[string]string{}
	for _, row := range result.Rows {
		states[string(row[0])] = string(row[1])
	}
	return states, nil
}

// await waits until all streams are again in the state that they were in.
func (r *run) await(ctx context.Context, before map[string]string) error {
	for {
		now, err := r.states(ctx)
		if err != nil {
			return err
		}
		same := len(now) == len(before)
		for stream, state := range before {
			switch state {
			case "STARTING", "RETRYING":
			case "RUNNING":
				same = same && (now[stream] == state || now[stream] == "FINISHED")
			default:
				same = same && now[stream] == state
			}
		}
		if same {
			return nil
		}
		select {
		case <-ctx.Done():
			return fmt.Errorf("the streams are %v, and were %v before", now, before)
		case <-time.After(retryInterval):
		}
	}
}

// reopen closes and opens the database, and gives the new session what the old
// one had. What was pushed is pushed again, as a program does that cannot know
// what had been committed; the database drops what it has.
func (r *run) reopen(ctx context.Context, reopen func(context.Context) error) error {
	before, err := r.states(ctx)
	if err != nil {
		return err
	}
	if err := reopen(ctx); err != nil {
		return err
	}
	if err := r.await(ctx, before); err != nil {
		return err
	}
	for _, statement := range r.session {
		if _, err := r.db.Exec(ctx, statement); err != nil {
			return fmt.Errorf("repeat %s: %w", statement, err)
		}
	}
	for i, p := range r.sent {
		// A source that is gone, or that nobody reads, has nothing to catch up with.
		if err := r.db.Push(ctx, p.source, int64(i+1), p.data); err != nil && ctx.Err() != nil {
			return fmt.Errorf("push to %s again: %w", p.source, err)
		}
	}
	return nil
}
