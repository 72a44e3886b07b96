package matcher

// Literal is what every match contains.
func (m *Matcher) Literal() string { return string(m.literal) }

// States is how many states the automaton for groups has, −1 if there is none, or
// if it refuses texts.
func (m *Matcher) States() int {
	if m.all == nil || m.all.rest > 0 {
		return -1
	}
	return len(m.all.states)
}
