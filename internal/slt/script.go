// Package slt runs SQL test scripts in the manner of sqllogictest: statements,
// what they have to answer, and between them what happens to the outside: input
// files, records that are sent, a restart, a kill.
//
// A script is a sequence of steps, separated by empty lines; lines that begin
// with # between steps are comments. ${DIR} stands for the folder of the run.
//
//	statement ok
//	CREATE STREAM s AS SELECT id FROM src
//
//	statement error unknown column \w+
//	CREATE STREAM s AS SELECT nope FROM src
//
//	note resumes from epoch        (of the last statement; a regular expression)
//
//	query IT rowsort               (a type per column, see Class; how to sort)
//	SELECT id, name FROM s
//	----
//	1 | a
//	2 | NULL
//
//	push src                       (each line is a payload; see Push)
//	{"id": 1}
//
//	file in/a.ndjson               (the lines are the file; \ is an empty line)
//	{"id": 1}
//
//	flush s
//
//	wait s FINISHED
//
//	bind ["a", 1]                  (placeholder values of the next statement)
//
//	restart
//
//	kill
package slt

import (
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"regexp"
	"strings"
)

// Script is a parsed file of steps.
type Script struct {
	// Name is the file's name without its folder and extension.
	Name  string
	Steps []Step

	path  string
	lines []string
}

// Verb is what a step does.
type Verb string

// The verbs, as a step begins with them.
const (
	Statement Verb = "statement"
	Query     Verb = "query"
	Note      Verb = "note"
	Push      Verb = "push"
	File      Verb = "file"
	Flush     Verb = "flush"
	Wait      Verb = "wait"
	Bind      Verb = "bind"
	Restart   Verb = "restart"
	Kill      Verb = "kill"
)

// Sort is how rows are put into order before they are compared.
type Sort string

// The orders. NoSort leaves the rows as they came; ValueSort makes every value a
// row of its own and sorts these.
const (
	NoSort    Sort = "nosort"
	RowSort   Sort = "rowsort"
	ValueSort Sort = "valuesort"
)

// Step is one step of a script.
type Step struct {
	Verb Verb
	Line int // where it begins, from 1

	SQL   string         // of statements and queries
	Error *regexp.Regexp // what a statement has to fail with, nil for ok
	Match *regexp.Regexp // of a note

	Types      string // of a query, a Class per column
	Sort       Sort
	Names      bool // the column names are the first row
	Eventually bool // the query is repeated until it answers as expected
	Expected   []string
	rows       [2]int // the lines of Expected, for rewriting

	Target string   // source, stream or file name
	State  string   // of wait
	Data   [][]byte // payloads, or the one content of a file
	Args   []any    // of bind
}

// Load parses a file. The error lists every line that is wrong as file:line.
func Load(path string) (*Script, error) {
	text, err := os.ReadFile(path)
	if err != nil {
		return nil, fmt.Errorf("load script: %w", err)
	}
	return Parse(path, string(text))
}

// Parse reads a script's text; path names it in errors.
func Parse(path, text string) (*Script, error) {
	s := &Script{
		Name: strings.TrimSuffix(filepath.Base(path), filepath.Ext(path)), path: path,
		lines: strings.Split(strings.TrimSuffix(text, "\n"), "\n"),
	}
	var errs []error
	for i := 0; i < len(s.lines); {
		line := strings.TrimSpace(s.lines[i])
		if line == "" || strings.HasPrefix(line, "#") {
			i++
			continue
		}
		first := i
		for i < len(s.lines) && strings.TrimSpace(s.lines[i]) != "" {
			i++
		}
		step, err := s.step(first, i)
		if err != nil {
			errs = append(errs, fmt.Errorf("%s:%d: %w", path, first+1, err))
			continue
		}
		s.Steps = append(s.Steps, step)
	}
	return s, errors.Join(errs...)
}

// step reads the step whose head is at line first (from 0) and whose body ends
// before line end.
func (s *Script) step(first, end int) (Step, error) {
	verb, rest, _ := strings.Cut(strings.TrimSpace(s.lines[first]), " ")
	rest = strings.TrimSpace(rest)
	words := fields(rest)
	body := s.lines[first+1 : end]
	step := Step{Verb: Verb(verb), Line: first + 1}
	want := func(n int, what string) error {
		if len(words) != n {
			return fmt.Errorf("%s takes %s", verb, what)
		}
		return nil
	}
	var err error
	takesBody := false
	switch step.Verb {
	case Statement:
		takesBody = true
		step.SQL = strings.Join(body, "\n")
		switch kind, pattern, _ := strings.Cut(rest, " "); {
		case rest == "ok":
		case kind == "error" && pattern != "":
			step.Error, err = regexp.Compile("(?s)" + pattern)
		default:
			err = errors.New("statement takes ok, or error and a regular expression")
		}
	case Query:
		takesBody = true
		err = step.readQuery(words, body, first+1)
	case Note:
		step.Match, err = regexp.Compile("(?s)" + rest)
	case Push, File:
		takesBody = true
		if len(words) == 0 {
			return step, fmt.Errorf("%s takes a name", verb)
		}
		step.Target = words[0]
		step.Data, err = readData(step.Verb, words[1:], body)
	case Flush:
		if err = want(1, "a stream"); err == nil {
			step.Target = words[0]
		}
	case Wait:
		if err = want(2, "a stream and a state"); err == nil {
			step.Target, step.State = words[0], words[1]
		}
	case Bind:
		d := json.NewDecoder(strings.NewReader(rest))
		d.UseNumber()
		if err = d.Decode(&step.Args); err == nil {
			err = step.convertArgs()
		}
	case Restart, Kill:
		err = want(0, "nothing")
	default:
		err = fmt.Errorf("unknown step %q", verb)
	}
	if err == nil && !takesBody && len(body) > 0 {
		err = fmt.Errorf("%s takes one line", verb)
	}
	if err == nil && (step.Verb == Statement || step.Verb == Query) && strings.TrimSpace(step.SQL) == "" {
		err = fmt.Errorf("%s without SQL", verb)
	}
	return step, err
}

func (step *Step) readQuery(words, body []string, at int) error {
	if len(words) == 0 || strings.Trim(words[0], classes) != "" {
		return fmt.Errorf("query takes a type per column, each one of %s", classes)
	}
	step.Types, step.Sort = words[0], NoSort
	for _, w := range words[1:] {
		switch w {
		case string(NoSort), string(RowSort), string(ValueSort):
			step.Sort = Sort(w)
		case "names":
			step.Names = true
		case "eventually":
			step.Eventually = true
		default:
			return fmt.Errorf("unknown word %q after the types", w)
		}
	}
	for i, line := range body {
		if line == "----" {
			step.SQL = strings.Join(body[:i], "\n")
			step.Expected = body[i+1:]
			step.rows = [2]int{at + i + 1, at + len(body)}
			return nil
		}
	}
	return errors.New("query without ---- and rows")
}

// fields are the words of a step's head; a word in backquotes may have blanks.
func fields(text string) []string {
	var words []string
	for text = strings.TrimSpace(text); text != ""; text = strings.TrimSpace(text) {
		end := strings.IndexByte(text, ' ')
		if quoted, rest, ok := strings.Cut(strings.TrimPrefix(text, "`"), "`"); text[0] == '`' && ok {
			words, text = append(words, quoted), rest
			continue
		}
		if end < 0 {
			end = len(text)
		}
		words, text = append(words, text[:end]), text[end:]
	}
	return words
}

// readData reads the body of push and file. The words after the name say how:
// "hex" decodes each line (- is an empty one), "whole" makes one payload of all
// lines.
func readData(verb Verb, words, body []string) ([][]byte, error) {
	decode, whole := false, verb == File
	for _, w := range words {
		switch w {
		case "hex":
			decode = true
		case "whole":
			whole = true
		default:
			return nil, fmt.Errorf("unknown word %q", w)
		}
	}
	var data [][]byte
	for _, line := range body {
		switch {
		case decode && line == "-", !decode && line == `\`:
			data = append(data, nil)
		case decode:
			b, err := hex.DecodeString(strings.ReplaceAll(line, " ", ""))
			if err != nil {
				return nil, err
			}
			data = append(data, b)
		default:
			data = append(data, []byte(line))
		}
	}
	if !whole {
		return data, nil
	}
	var all []byte
	for _, d := range data {
		all = append(all, d...)
		if !decode {
			all = append(all, '\n')
		}
	}
	return [][]byte{all}, nil
}

func (step *Step) convertArgs() error {
	for i, a := range step.Args {
		n, ok := a.(json.Number)
		if !ok {
			continue
		}
		if v, err := n.Int64(); err == nil {
			step.Args[i] = v
			continue
		}
		f, err := n.Float64()
		if err != nil {
			return err
		}
		step.Args[i] = f
	}
	return nil
}

// answer is what a query answered: the classes of its columns, and its rows.
type answer struct {
	types string
	rows  []string
}

// rewrite is the script's text with other answers, by step. The types are put in
// where the script has a lone ?.
func (s *Script) rewrite(answers map[int]answer) string {
	var b strings.Builder
	next := 0
	for i, step := range s.Steps {
		a, ok := answers[i]
		if !ok {
			continue
		}
		for n, line := range s.lines[next:step.rows[0]] {
			if next+n+1 == step.Line && step.Types == string(Any) {
				line = strings.Replace(line, step.Types, a.types, 1)
			}
			b.WriteString(line + "\n")
		}
		for _, row := range a.rows {
			b.WriteString(row + "\n")
		}
		next = step.rows[1]
	}
	for _, line := range s.lines[next:] {
		b.WriteString(line + "\n")
	}
	return b.String()
}
