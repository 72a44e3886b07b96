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

// Jumps is how many states of the automaton for groups look for the one byte on which
// they are left.
func (m *Matcher) Jumps() (n int) {
	for _, s := range m.all.states {
		if s.exit >= 0 {
			n++
		}
	}
	return n
}

// Kept is how many notes and bounds the matcher keeps memory for.
func (m *Matcher) Kept() (notes, bounds int) { return cap(m.all.notes), cap(m.matches) }
