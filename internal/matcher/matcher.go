// Package matcher matches regular expressions, and finds what their groups match.
// It finds exactly what Go's regexp finds, by shorter ways to the same answer: a
// literal that every match contains, and an automaton.
package matcher

import (
	"bytes"
	"regexp"
	"regexp/syntax"
	"unicode/utf8"
)

// keptMatches is how many bounds of groups stay allocated from one text to the next.
const keptMatches = 1 << 16

// Matcher is a compiled regular expression. It is not for several goroutines.
type Matcher struct {
	re *regexp.Regexp
	// literal is in every match, behind at most before bytes of it, −1 where there
	// is no bound. It is nil if there is none.
	literal []byte
	before  int

	prog   *syntax.Prog // nil if regexp is to do all
	groups []int
	// bounds finds matches, all finds their groups; they are made when they are first needed.
	bounds, all *automaton
	matches     []int32
}

// New makes a matcher that finds the bounds of the groups given, of all where
// none is. Group 0 is the match.
func New(re *regexp.Regexp, groups ...int) *Matcher {
	m := &Matcher{re: re, groups: groups}
	if len(groups) == 0 {
		for g := range re.NumSubexp() + 1 {
			m.groups = append(m.groups, g)
		}
	}
	tree, err := syntax.Parse(re.String(), syntax.Perl)
	if err != nil {
		return m // regexp has parsed it
	}
	tree = tree.Simplify()
	m.findLiteral(tree)
	if prog, err := syntax.Compile(tree); err == nil {
		m.prog = prog
	}
	return m
}

// NumGroups is how many groups the matcher finds.
func (m *Matcher) NumGroups() int { return len(m.groups) }

// automaton is that of *which, for groups.
func (m *Matcher) automaton(which **automaton, groups []int) *automaton {
	if *which == nil && m.prog != nil {
		*which = newAutomaton(m.prog, groups)
		if *which == nil {
			m.prog = nil
		}
	}
	return *which
}

// findLiteral looks for the longest literal that no match lacks.
func (m *Matcher) findLiteral(tree *syntax.Regexp) {
	most := 0
	for _, part := range flatten(tree, nil) {
		if part.Op == syntax.OpLiteral && part.Flags&syntax.FoldCase == 0 {
			var text []byte
			for _, r := range part.Rune {
				if r == utf8.RuneError {
					text = nil // it stands for invalid bytes, too
					break
				}
				text = utf8.AppendRune(text, r)
			}
			if len(text) > len(m.literal) {
				m.literal, m.before = text, most
			}
		}
		high := width(part)
		if most >= 0 && high >= 0 {
			most += high
		} else {
			most = -1
		}
	}
}

// flatten lists the parts of a sequence, those of groups too.
func flatten(re *syntax.Regexp, parts []*syntax.Regexp) []*syntax.Regexp {
	if re.Op != syntax.OpConcat && re.Op != syntax.OpCapture {
		return append(parts, re)
	}
	for _, sub := range re.Sub {
		parts = flatten(sub, parts)
	}
	return parts
}

// width is how many bytes a match takes at most, −1 for no bound.
func width(re *syntax.Regexp) int {
	switch re.Op {
	case syntax.OpLiteral:
		return utf8.UTFMax * len(re.Rune)
	case syntax.OpCharClass, syntax.OpAnyChar, syntax.OpAnyCharNotNL:
		return utf8.UTFMax
	case syntax.OpCapture, syntax.OpQuest:
		return width(re.Sub[0])
	case syntax.OpStar, syntax.OpPlus:
		if width(re.Sub[0]) != 0 {
			return -1
		}
		return 0
	case syntax.OpConcat, syntax.OpAlternate:
		most := 0
		for _, sub := range re.Sub {
			n := width(sub)
			switch {
			case n < 0:
				return -1
			case re.Op == syntax.OpConcat:
				most += n
			default:
				most = max(most, n)
			}
		}
		return most
	case syntax.OpRepeat:
		return -1
	}
	return 0 // assertions, the empty match, none
}

// from is where a match at or behind a byte of the text can begin; −1 if there is
// none.
func (m *Matcher) from(s []byte, from int) int {
	if m.literal == nil {
		return from
	}
	at := bytes.Index(s[from:], m.literal)
	switch {
	case at < 0:
		return -1
	case m.before < 0:
		return from
	}
	return from + max(0, at-m.before)
}

var onlyMatch = []int{0}

// Match reports whether there is a match in the text.
func (m *Matcher) Match(s []byte) bool {
	from := m.from(s, 0)
	if from < 0 {
		return false
	}
	if a := m.automaton(&m.bounds, onlyMatch); a != nil {
		if found, ok := a.match(s, from); ok {
			return found
		}
	}
	return m.re.Match(s)
}

// Find gives the bounds of the first match in the text, begin −1 if there is
// none.
func (m *Matcher) Find(s []byte) (begin, end int) {
	if bounds, ok := m.first(m.automaton(&m.bounds, onlyMatch), s, 0); ok {
		if bounds == nil {
			return -1, -1
		}
		return int(bounds[0]), int(bounds[1])
	}
	if at := m.re.FindIndex(s); at != nil {
		return at[0], at[1]
	}
	return -1, -1
}

// Groups gives the bounds of the matcher's groups in the first match in the text:
// for each where it begins and ends, −1 where it takes no part. It is nil if there
// is no match, and valid until the next call.
func (m *Matcher) Groups(s []byte) []int32 {
	if bounds, ok := m.first(m.automaton(&m.all, m.groups), s, 0); ok {
		return bounds
	}
	at := m.re.FindSubmatchIndex(s)
	if at == nil {
		return nil
	}
	m.matches = m.appendGroups(m.matches[:0], at)
	return m.matches
}

func (m *Matcher) appendGroups(dst []int32, at []int) []int32 {
	for _, g := range m.groups {
		dst = append(dst, int32(at[2*g]), int32(at[2*g+1]))
	}
	return dst
}

// first finds the first match at or behind a byte of the text. Nothing is known
// if ok is false.
func (m *Matcher) first(a *automaton, s []byte, from int) (bounds []int32, ok bool) {
	if a == nil {
		return nil, false
	}
	if !a.anchored {
		if from = m.from(s, from); from < 0 {
			return nil, true
		}
	}
	bounds, ok = a.find(s, from)
	a.trim()
	return bounds, ok
}

// All gives what Groups would of each match, one behind the other, of at most the
// first n matches, −1 for all. It is valid until the next call. The matcher has to
// find group 0, first.
func (m *Matcher) All(s []byte, n int) []int32 {
	if m.matches = m.matches[:0]; cap(m.matches) > keptMatches {
		m.matches = nil
	}
	behind := -1 // the end of the match before
	for from := 0; from <= len(s) && n != 0; {
		bounds, ok := m.first(m.automaton(&m.all, m.groups), s, from)
		if !ok {
			return m.allByRegexp(s, n)
		}
		if bounds == nil {
			break
		}
		begin, end := int(bounds[0]), int(bounds[1])
		if end > from {
			from = end
		} else {
			_, width := utf8.DecodeRune(s[from:])
			from += max(width, 1)
		}
		// An empty match right behind another is none.
		if begin < end || begin != behind {
			m.matches = append(m.matches, bounds...)
			n--
		}
		behind = end
	}
	return m.matches
}

func (m *Matcher) allByRegexp(s []byte, n int) []int32 {
	m.matches = m.matches[:0]
	for _, at := range m.re.FindAllSubmatchIndex(s, n) {
		m.matches = m.appendGroups(m.matches, at)
	}
	return m.matches
}
