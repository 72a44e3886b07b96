package sql

import (
	"sort"
	"strings"

	"github.com/leatdb/leat/sql/sqlerror"
)

// PositionAt is the line and column of a byte of the text, counted from line 1,
// column 1 at its beginning; use Within to place a part of a larger text. An
// offset outside the text means the nearest end.
func PositionAt(text string, offset int) sqlerror.Position {
	lex := newLexer(text, sqlerror.Position{})
	lex.advance(min(offset, len(text)))
	return lex.pos
}

// FindIdentifier finds where a SELECT names something, for an error that knows
// only the name: the offset of the first place where the name, or the
// last part of a qualified name with its qualifier before it, stands as an
// identifier in any case. Places where it is used as a column come before
// functions of that name, and these before aliases given by AS.
func FindIdentifier(text, name string) (offset int, ok bool) {
	qualifier, last := "", name
	if i := strings.LastIndexByte(name, '.'); i >= 0 {
		qualifier, last = name[:i], name[i+1:]
		qualifier = qualifier[strings.LastIndexByte(qualifier, '.')+1:]
	}
	alias, loose := -1, -1
	lex := newLexer(text, sqlerror.Position{})
	var before [2]Token // the last two tokens, newest first
	for {
		t, err := lex.Next()
		if err != nil || t.Kind == EOF {
			break
		}
		if t.isName() && strings.EqualFold(t.Value(), last) {
			qualified := before[0].IsOperator(".") && before[1].isName()
			switch {
			case qualifier != "":
				if qualified && strings.EqualFold(before[1].Value(), qualifier) {
					return before[1].Offset, true
				}
				if loose < 0 && !qualified {
					loose = t.Offset
				}
			case before[0].IsWord("AS"):
				if alias < 0 {
					alias = t.Offset
				}
			case isCall(lex):
				if loose < 0 {
					loose = t.Offset
				}
			default:
				return t.Offset, true
			}
		}
		before[1], before[0] = before[0], t
	}
	if loose >= 0 {
		return loose, true
	}
	if alias >= 0 {
		return alias, true
	}
	return 0, false
}

// isCall reports whether the lexer is before an opening bracket.
func isCall(lex Lexer) bool {
	t, err := lex.Next()
	return err == nil && t.IsOperator("(")
}

// PositionMap leads from a rewritten text back to the text it was made of. The
// zero value belongs to the empty text.
type PositionMap struct {
	text   string
	pieces []piece
}

// piece says that the rewritten text goes on at offset to with what stood at
// offset from: copied byte by byte, or written in place of it.
type piece struct {
	to, from int
	copied   bool
}

// Offset is the byte of the user's text that the byte of the rewritten text came
// from.
func (m PositionMap) Offset(rewritten int) int {
	i := sort.Search(len(m.pieces), func(i int) bool { return m.pieces[i].to > rewritten }) - 1
	if i < 0 {
		return 0
	}
	p := m.pieces[i]
	if !p.copied {
		return p.from
	}
	return min(p.from+rewritten-p.to, len(m.text))
}

// Position is the line and column in the user's text of a byte of the rewritten
// text, counted from line 1, column 1 at the beginning of the user's text; use
// Within with CreateStream.QueryPos to place it in the statement.
func (m PositionMap) Position(rewritten int) sqlerror.Position {
	return PositionAt(m.text, m.Offset(rewritten))
}
