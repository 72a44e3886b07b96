package kernel

import "regexp"

// Pattern is what regular expressions are matched by.
type Pattern struct{ p *pattern }

// NewPattern compiles.
func NewPattern(re *regexp.Regexp) Pattern { return Pattern{newPattern(re)} }

// Match is pattern.match.
func (p Pattern) Match(s []byte) bool { return p.p.match(s) }

// Find is pattern.find.
func (p Pattern) Find(s []byte) (begin, end int) { return p.p.find(s) }

// Literal is what every match contains.
func (p Pattern) Literal() string { return string(p.p.literal) }

// States is how many states its automaton has, −1 if there is none.
func (p Pattern) States() int {
	if p.p.automaton == nil || p.p.automaton.full {
		return -1
	}
	return len(p.p.automaton.states)
}
