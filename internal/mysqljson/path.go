package mysqljson

import (
	"bytes"
	"fmt"
	"strconv"
	"strings"
	"unicode"
	"unicode/utf8"
)

// LegKind is the kind of a path's leg.
type LegKind uint8

// The kinds of legs.
const (
	LegMember      LegKind = iota // .name
	LegElement                    // [n], [last], [last-n]
	LegRange                      // [m to n]
	LegAllMembers                 // .*
	LegAllElements                // [*]
	LegDescend                    // **
)

// Index is a position in an array, from its beginning or from its last element.
type Index struct {
	N        int
	FromLast bool
}

// at is the index's position in an array of n elements, and whether there is
// an element.
func (x Index) at(n int) (int, bool) {
	if x.FromLast {
		return n - 1 - x.N, x.N < n
	}
	return x.N, x.N < n
}

// Leg is one step of a path.
type Leg struct {
	Kind LegKind
	Name string // of a LegMember
	From Index  // of a LegElement; the first of a LegRange
	To   Index  // the last of a LegRange, inclusive
}

// wraps reports whether the leg selects a value that is no array, which MySQL
// takes for an array of one element.
func (l *Leg) wraps() bool {
	switch l.Kind {
	case LegElement:
		return l.From.N == 0
	case LegRange:
		from, to := l.bounds(1)
		return from < to
	}
	return false
}

// bounds is the half-open range of elements that a LegElement or LegRange
// selects from an array of n.
func (l *Leg) bounds(n int) (from, to int) {
	clamp := func(x Index) (int, bool) {
		i, ok := x.at(n)
		return max(0, min(i, n)), ok
	}
	from, ok := clamp(l.From)
	if l.Kind == LegElement {
		if !ok {
			return 0, 0
		}
		return from, from + 1
	}
	to, ok = clamp(l.To)
	if ok {
		to++
	}
	return from, max(from, to)
}

// Path is a parsed MySQL JSON path. The zero value is "$".
type Path struct {
	legs     []Leg
	wildcard bool
}

// Legs are the path's steps, in order. They must not be changed.
func (p Path) Legs() []Leg { return p.legs }

// Single reports whether the path can match no more than one value: it has no
// wildcards and no ranges.
func (p Path) Single() bool { return !p.wildcard }

// String is the path as MySQL prints it.
func (p Path) String() string {
	b := []byte{'$'}
	index := func(x Index) {
		switch {
		case x.FromLast && x.N == 0:
			b = append(b, "last"...)
		case x.FromLast:
			b = strconv.AppendInt(append(b, "last-"...), int64(x.N), 10)
		default:
			b = strconv.AppendInt(b, int64(x.N), 10)
		}
	}
	for _, l := range p.legs {
		switch l.Kind {
		case LegMember:
			b = append(b, '.')
			if isIdentifier(l.Name) {
				b = append(b, l.Name...)
			} else {
				b = AppendQuoted(b, []byte(l.Name))
			}
		case LegElement:
			b = append(b, '[')
			index(l.From)
			b = append(b, ']')
		case LegRange:
			b = append(b, '[')
			index(l.From)
			b = append(b, " to "...)
			index(l.To)
			b = append(b, ']')
		case LegAllMembers:
			b = append(b, ".*"...)
		case LegAllElements:
			b = append(b, "[*]"...)
		case LegDescend:
			b = append(b, "**"...)
		}
	}
	return string(b)
}

// ParsePath parses a path as MySQL does: $, .name, ."any name", [n], [last],
// [last-n], [m to n], .*, [*] and **, with white space between them. The error
// names the character (counted from 1) at which the text stops being a path.
func ParsePath(s string) (Path, error) {
	if !utf8.ValidString(s) {
		return Path{}, fmt.Errorf("invalid JSON path: not valid UTF-8")
	}
	p := pathParser{s: s}
	path, problem := p.parse()
	if problem != "" {
		return Path{}, fmt.Errorf("invalid JSON path %q at character %d: %s",
			s, utf8.RuneCountInString(s[:min(p.i, len(s))])+1, problem)
	}
	return path, nil
}

type pathParser struct {
	s string
	i int
}

func (p *pathParser) space() {
	for p.i < len(p.s) && isSpace(p.s[p.i]) {
		p.i++
	}
}

func (p *pathParser) take(prefix string) bool {
	if strings.HasPrefix(p.s[p.i:], prefix) {
		p.i += len(prefix)
		return true
	}
	return false
}

func (p *pathParser) parse() (path Path, problem string) {
	p.space()
	if !p.take("$") {
		return path, "expected $"
	}
	for p.space(); p.i < len(p.s); p.space() {
		var leg Leg
		switch {
		case p.take("**"):
			leg.Kind = LegDescend
			if p.space(); p.i >= len(p.s) {
				return path, "a path may not end with **"
			} else if p.s[p.i] == '*' {
				return path, "expected . or ["
			}
		case p.take("."):
			if p.space(); p.take("*") {
				leg.Kind = LegAllMembers
				break
			}
			if leg.Name, problem = p.name(); problem != "" {
				return path, problem
			}
		case p.take("["):
			if leg, problem = p.cell(); problem != "" {
				return path, problem
			}
		default:
			return path, "expected ., [ or **"
		}
		path.wildcard = path.wildcard || leg.Kind != LegMember && leg.Kind != LegElement
		path.legs = append(path.legs, leg)
	}
	return path, ""
}

func (p *pathParser) name() (name, problem string) {
	if p.i < len(p.s) && p.s[p.i] == '"' {
		start := p.i
		end, err := scanString([]byte(p.s), p.i+1)
		if err != nil {
			return "", "expected a member name between double quotes"
		}
		p.i = end
		return string(AppendUnescaped(nil, []byte(p.s[start+1:end-1]))), ""
	}
	start := p.i
	for p.i < len(p.s) {
		r, n := utf8.DecodeRuneInString(p.s[p.i:])
		if !isIdentifierRune(r, p.i == start) {
			break
		}
		p.i += n
	}
	if p.i == start {
		return "", "expected a member name; quote names that are no identifiers, as in $.\"a-b\""
	}
	return p.s[start:p.i], ""
}

func isIdentifierRune(r rune, first bool) bool {
	return unicode.IsLetter(r) || r == '$' || r == '_' || unicode.Is(unicode.Nl, r) ||
		!first && (unicode.In(r, unicode.Mn, unicode.Mc, unicode.Nd, unicode.Pc) || r == 0x200c || r == 0x200d)
}

func isIdentifier(s string) bool {
	for i, r := range s {
		if !isIdentifierRune(r, i == 0) {
			return false
		}
	}
	return s != ""
}

func (p *pathParser) cell() (leg Leg, problem string) {
	if p.space(); p.take("*") {
		leg.Kind = LegAllElements
	} else {
		leg.Kind = LegElement
		if leg.From, problem = p.index(); problem != "" {
			return leg, problem
		}
		// MySQL wants white space around "to".
		before := p.i
		if p.space(); p.i > before && p.take("to") {
			leg.Kind = LegRange
			if before = p.i; p.i >= len(p.s) || !isSpace(p.s[p.i]) {
				return leg, "expected a space after to"
			}
			p.space()
			if leg.To, problem = p.index(); problem != "" {
				return leg, problem
			}
			if leg.From.FromLast == leg.To.FromLast && (leg.From.N > leg.To.N) != leg.From.FromLast && leg.From.N != leg.To.N {
				p.i = before
				return leg, "the range ends before it begins"
			}
		}
	}
	if p.space(); !p.take("]") {
		return leg, "expected ]"
	}
	return leg, ""
}

func (p *pathParser) index() (x Index, problem string) {
	if p.take("last") {
		x.FromLast = true
		before := p.i
		if p.space(); !p.take("-") {
			p.i = before
			return x, ""
		}
		p.space()
	}
	start := p.i
	for p.i < len(p.s) && isDigit(p.s[p.i]) {
		p.i++
	}
	n, err := strconv.ParseUint(p.s[start:p.i], 10, 32)
	if err != nil {
		p.i = start
		return x, "expected a number up to 4294967295, last or *"
	}
	x.N = int(n)
	return x, ""
}

// equalName reports whether the content of a member's name, still escaped, is
// name.
func equalName(content []byte, name string) bool {
	if len(content) <= len(name) && string(content) != name { // escapes only make it longer
		return false
	}
	if bytes.IndexByte(content, '\\') < 0 {
		return string(content) == name
	}
	var scratch [64]byte
	return string(AppendUnescaped(scratch[:0], content)) == name
}
