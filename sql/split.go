package sql

import (
	"strings"

	"github.com/leatdb/leat/sql/sqlerror"
)

// ScriptStatement is one statement of a script.
type ScriptStatement struct {
	// Text is the statement from its first to its last token, without the
	// semicolon; comments within it are kept.
	Text string
	// Pos is where Text begins.
	Pos sqlerror.Position
	// Offset is where Text begins, in bytes from the beginning of the script.
	Offset int
}

// Split takes a script apart at its semicolons; those in strings, quoted names
// and comments do not count, and empty statements are left out. file names the
// script in positions and may be empty. A script that is too long, or that ends
// within a string or comment, is an error with the place where that begins.
func Split(text, file string) ([]ScriptStatement, error) {
	if err := checkLength(text, "script", sqlerror.Position{File: file}); err != nil {
		return nil, err
	}
	offset := len(text) - len(strings.TrimPrefix(text, byteOrderMark))
	lex := newLexer(text, sqlerror.Position{File: file})
	lex.offset = offset
	var script []ScriptStatement
	var first, last Token
	for {
		t, err := lex.Next()
		if err != nil {
			return script, err
		}
		if t.Kind != EOF && !t.IsOperator(";") {
			if first.Kind == EOF {
				first = t
			}
			last = t
			continue
		}
		if first.Kind != EOF {
			script = append(script, ScriptStatement{Text: text[first.Offset:last.End()], Pos: first.Pos, Offset: first.Offset})
			first = Token{}
		}
		if t.Kind == EOF {
			return script, nil
		}
	}
}

// Placeholders is the number of ? in a statement; those in strings, quoted names
// and comments do not count.
func Placeholders(text string) int {
	lex := newLexer(text, sqlerror.Position{})
	n := 0
	for {
		t, err := lex.Next()
		if err != nil || t.Kind == EOF {
			return n
		}
		if t.Kind == Placeholder {
			n++
		}
	}
}

const byteOrderMark = "\uFEFF"

// First cuts the first statement off a text of several, for a client that sends
// them together and for a prompt that reads lines until a statement is whole:
// complete says whether a semicolon ends it. A string or comment that is not
// closed makes the whole text one incomplete statement.
func First(text string) (statement, rest string, complete bool) {
	lex := newLexer(text, sqlerror.Position{})
	for {
		t, err := lex.Next()
		if err != nil || t.Kind == EOF {
			return text, "", false
		}
		if t.IsOperator(";") {
			return text[:t.Offset], text[t.End():], true
		}
	}
}

func checkLength(text, what string, at sqlerror.Position) error {
	if len(text) <= MaxTextBytes {
		return nil
	}
	return sqlerror.Userf(sqlerror.CodeSyntax, "%s of %d bytes is longer than %d MiB", what, len(text), MaxTextBytes>>20).At(at)
}
