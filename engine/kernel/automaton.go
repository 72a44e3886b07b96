package kernel

import (
	"encoding/binary"
	"regexp/syntax"
)

// automaton runs a regular expression over ASCII text one table look-up a byte:
// a deterministic automaton whose states are made when a text first needs them,
// as RE2 does (Cox, "Regular Expression Matching in the Wild", 2010). A state is
// the list of the program's threads in the order of their priority, cut off
// behind one that matches, so that the match it finds is the one that regexp
// finds.
//
// What it cannot do it leaves to regexp: text beyond ASCII, assertions other than
// those of the text's begin and end, and patterns that need too many states.
type automaton struct {
	prog   *syntax.Prog
	states []automatonState
	index  map[string]int32
	starts [4]int32 // by startAtBegin and startAnywhere; their number + 1
	full   bool
	// anchored says that matches begin where the text does.
	anchored bool

	// Memory of the construction.
	threads []uint32
	visited []uint32 // by instruction: the round in which it was added
	round   uint32
	key     []byte
}

const (
	startAtBegin  = 1 // the text begins here
	startAnywhere = 2 // a match may begin later, too
)

type automatonState struct {
	threads  []uint32 // instructions that take a byte, or wait for the text's end
	match    bool     // a match ends here
	atEnd    bool     // a match ends here if the text does
	stop     bool     // nothing that follows matters to whether there is a match
	anywhere bool
	next     [128]int32 // by byte: the state's number, −1 where it is not known yet
}

const (
	maxAutomatonStates       = 512
	maxAutomatonInstructions = 2000
)

// newAutomaton is nil for a program with assertions that it does not know.
func newAutomaton(prog *syntax.Prog) *automaton {
	if len(prog.Inst) > maxAutomatonInstructions {
		return nil
	}
	for _, inst := range prog.Inst {
		if inst.Op == syntax.InstEmptyWidth && syntax.EmptyOp(inst.Arg)&^(syntax.EmptyBeginText|syntax.EmptyEndText) != 0 {
			return nil
		}
	}
	anchored := prog.StartCond()&syntax.EmptyBeginText != 0
	return &automaton{prog: prog, anchored: anchored, index: map[string]int32{}, visited: make([]uint32, len(prog.Inst))}
}

// add appends the threads that begin at an instruction. It reports whether one
// of them is a match, behind which no other counts.
func (a *automaton) add(pc uint32, begin, end bool) (match bool) {
	if a.visited[pc] == a.round {
		return false
	}
	a.visited[pc] = a.round
	inst := &a.prog.Inst[pc]
	switch inst.Op {
	case syntax.InstAlt, syntax.InstAltMatch:
		return a.add(inst.Out, begin, end) || a.add(inst.Arg, begin, end)
	case syntax.InstCapture, syntax.InstNop:
		return a.add(inst.Out, begin, end)
	case syntax.InstEmptyWidth:
		op := syntax.EmptyOp(inst.Arg)
		switch {
		case op&syntax.EmptyBeginText != 0 && !begin:
		case op&syntax.EmptyEndText != 0 && !end:
			a.threads = append(a.threads, pc)
		default:
			return a.add(inst.Out, begin, end)
		}
		return false
	case syntax.InstMatch:
		return true
	case syntax.InstFail:
		return false
	}
	a.threads = append(a.threads, pc)
	return false
}

func (a *automaton) begin() {
	a.threads = a.threads[:0]
	a.round++
	if a.round == 0 {
		clear(a.visited)
		a.round = 1
	}
}

// intern gives the number of the state with the collected threads, −1 where
// there would be too many.
func (a *automaton) intern(match, begin, anywhere bool) int32 {
	bit := func(b bool) byte {
		if b {
			return 1
		}
		return 0
	}
	a.key = append(a.key[:0], bit(match), bit(begin), bit(anywhere))
	for _, pc := range a.threads {
		a.key = binary.AppendUvarint(a.key, uint64(pc))
	}
	if n, ok := a.index[string(a.key)]; ok {
		return n
	}
	if len(a.states) == maxAutomatonStates {
		a.full = true
		return -1
	}
	s := automatonState{threads: append([]uint32(nil), a.threads...), match: match, atEnd: match, anywhere: anywhere, stop: match || len(a.threads) == 0 && !anywhere}
	for i := range s.next {
		s.next[i] = -1
	}
	a.begin()
	for _, pc := range s.threads {
		if inst := &a.prog.Inst[pc]; inst.Op == syntax.InstEmptyWidth && a.add(pc, begin, true) {
			s.atEnd = true
			break
		}
	}
	n := int32(len(a.states))
	a.states = append(a.states, s)
	a.index[string(a.key)] = n
	return n
}

// start is the state at which a run begins.
func (a *automaton) start(kind int) int32 {
	if n := a.starts[kind]; n > 0 {
		return n - 1
	}
	a.begin()
	match := a.add(uint32(a.prog.Start), kind&startAtBegin != 0, false)
	n := a.intern(match, kind&startAtBegin != 0, kind&startAnywhere != 0)
	a.starts[kind] = n + 1
	return n
}

// step makes the state that follows on a byte.
func (a *automaton) step(from int32, b byte) int32 {
	s := &a.states[from]
	anywhere := s.anywhere
	match := false
	a.begin()
	for _, pc := range s.threads {
		inst := &a.prog.Inst[pc]
		if inst.Op != syntax.InstEmptyWidth && inst.MatchRune(rune(b)) {
			if match = a.add(inst.Out, false, false); match {
				break
			}
		}
	}
	if anywhere && !match {
		match = a.add(uint32(a.prog.Start), false, false)
	}
	n := a.intern(match, false, anywhere)
	if n >= 0 {
		a.states[from].next[b] = n
	}
	return n
}

// contains reports whether there is a match at or behind a byte of the text.
// Nothing is known if ok is false.
func (a *automaton) contains(s []byte, from int) (found, ok bool) {
	kind := startAnywhere
	if a.anchored {
		kind = 0
	}
	if from == 0 {
		kind |= startAtBegin
	}
	n := a.start(kind)
	if n < 0 {
		return false, false
	}
	for _, b := range s[from:] {
		state := &a.states[n]
		if state.stop {
			return state.match, true
		}
		if b >= 0x80 {
			return false, false
		}
		next := state.next[b]
		if next < 0 {
			if next = a.step(n, b); next < 0 {
				return false, false
			}
		}
		n = next
	}
	return a.states[n].atEnd, true
}

// matchAt gives the end of the match that begins at a byte of the text, −1 if
// there is none. Nothing is known if ok is false.
func (a *automaton) matchAt(s []byte, from int) (end int, ok bool) {
	kind := 0
	if from == 0 {
		kind = startAtBegin
	}
	n := a.start(kind)
	if n < 0 {
		return -1, false
	}
	end = -1
	for i := from; i < len(s); i++ {
		state := &a.states[n]
		if state.match {
			end = i
		}
		if len(state.threads) == 0 {
			return end, true
		}
		b := s[i]
		if b >= 0x80 {
			return -1, false
		}
		next := state.next[b]
		if next < 0 {
			if next = a.step(n, b); next < 0 {
				return -1, false
			}
		}
		n = next
	}
	if a.states[n].atEnd {
		end = len(s)
	}
	return end, true
}
