package matcher

import (
	"bytes"
	"encoding/binary"
	"errors"
	"fmt"
	"regexp/syntax"
	"slices"
	"unicode"
	"unicode/utf8"
)

// automaton runs a regular expression, a table look-up a byte: a deterministic
// automaton whose states are made when a text first needs them, as RE2 does (Cox,
// "Regular Expression Matching in the Wild", 2010). It is not for several
// goroutines.
//
// A state is the list of the program's threads in the order of their priority, so
// that the match it finds is the one that a backtracking search would find first.
// Groups are found in two passes, as Grathwohl, Henglein, Nielsen and Rasmussen do
// ("Two-Pass Greedy Regular Expression Parsing", 2013): the way forward notes the
// transitions on which threads begin, change places, or pass the bounds of groups;
// the way back over these notes follows the one thread that has matched. Most bytes
// of a text leave no note.
type automaton struct {
	prog     *syntax.Prog
	slots    []int32 // by slot of a group's bound: its place among those that are asked for, −1 for others
	anchored bool    // matches begin where the text does
	lines    bool    // the program has assertions about lines
	words    bool    // it has some about words

	// atOnce says that the last match began where it was looked for. The next one is
	// first looked for there only, without the threads that begin later.
	atOnce bool

	bounds []rune // the program treats all characters from one bound to the next alike

	// next has a row of 256 for each state, by byte: the state that follows, or
	// special + an edge.
	next   []uint16
	states []state
	edges  []edge
	index  map[string]uint16 // of states
	alike  map[string]uint16 // of edges
	starts [8]uint16         // by where a run begins; the state + 1
	moves  int               // and seeds there are, or what takes as much memory

	ran, rest int // bytes since the states were cleared; texts that are to be refused

	notes []note
	found []int32

	// Memory of the construction.
	threads []thread
	passed  []int32
	visited []uint32 // by instruction: the round in which it was reached
	seeded  []uint32 // by instruction: the round in which it became a seed
	round   uint32
	key     []byte
}

type state struct {
	seeds     []uint32 // the instructions at which its threads go on
	searching bool     // a match may begin later, too
	before    rune     // what stands before: −1 for the text's begin, 'a' for all of words, ' ' for others
	wide      []uint16 // as next, by class, for characters beyond ASCII
	end       uint16   // as next, for the end of the text
	// exit is the one byte on which the state is left, −1 where there are several or
	// none, −2 where that is not known.
	exit int16
}

// edge is a transition that is more than its target.
type edge struct {
	next  uint16
	dead  bool // nothing that follows matters
	plain bool // each thread keeps its place, and none passes the bound of a group
	loop  bool // it is plain, and leads back
	match bool
	won   move   // of the thread that matches before the byte of the transition
	moves []move // by seed of the next state
}

// move says where a thread comes from: the place of a seed, or −1 for one that
// begins here; and which bounds of groups it passes before the byte.
type move struct {
	from  int32
	slots []int32
}

type thread struct {
	pc uint32
	move
}

// note is an edge that was taken at a byte of the text.
type note struct {
	at   int32
	edge uint16
}

const (
	special = 1 << 15 // of entries of next
	unknown = special
	decode  = special + 1 // the first byte of a character that has to be decoded

	maxStates       = 1000
	maxEdges        = special - 2
	maxMoves        = 1 << 16
	maxInstructions = 4000
	maxBounds       = 4000
	// maxNotes bounds the memory of one match.
	maxNotes = 1 << 20
	// keptNotes is how many stay allocated from one text to the next.
	keptNotes = 1 << 14
	// fewBytes and pause: an automaton that is full after so few bytes refuses so
	// many texts.
	fewBytes = 1 << 20
	pause    = 1 << 14
	// longRun is after how many bytes within one state it pays to look for the byte
	// on which it is left.
	longRun = 16
)

// newAutomaton makes an automaton for a program. It finds the bounds of the
// groups given, of which 0 is the match; the fewer they are the faster it is. It
// is nil for programs that are too large.
func newAutomaton(prog *syntax.Prog, groups []int) *automaton {
	if len(prog.Inst) > maxInstructions {
		return nil
	}
	a := &automaton{prog: prog, anchored: prog.StartCond()&syntax.EmptyBeginText != 0, atOnce: true}
	a.visited, a.seeded = make([]uint32, len(prog.Inst)), make([]uint32, len(prog.Inst))
	a.slots = make([]int32, max(2, prog.NumCap))
	for i := range a.slots {
		a.slots[i] = -1
	}
	for i, g := range groups {
		if 2*g+1 < len(a.slots) && a.slots[2*g] < 0 {
			a.slots[2*g], a.slots[2*g+1] = int32(2*i), int32(2*i+1)
		}
	}
	a.found = make([]int32, 2*len(groups))
	if a.findBounds(); len(a.bounds) > maxBounds {
		return nil
	}
	a.clear()
	return a
}

func (a *automaton) clear() {
	a.next, a.states, a.edges = a.next[:0], a.states[:0], append(a.edges[:0], edge{}, edge{})
	a.index, a.alike = map[string]uint16{}, map[string]uint16{}
	a.starts = [8]uint16{}
	a.ran, a.moves = 0, 0
}

// findBounds collects the characters at which the program begins or ceases to
// make a difference.
func (a *automaton) findBounds() {
	add := func(low, high rune) {
		a.bounds = append(a.bounds, low)
		if high < unicode.MaxRune {
			a.bounds = append(a.bounds, high+1)
		}
	}
	for _, inst := range a.prog.Inst {
		switch inst.Op {
		case syntax.InstRune1:
			add(inst.Rune[0], inst.Rune[0])
		case syntax.InstRune:
			if len(inst.Rune) == 1 {
				r := inst.Rune[0]
				add(r, r)
				if syntax.Flags(inst.Arg)&syntax.FoldCase != 0 {
					for f := unicode.SimpleFold(r); f != r; f = unicode.SimpleFold(f) {
						add(f, f)
					}
				}
				break
			}
			for i := 0; i+1 < len(inst.Rune); i += 2 {
				add(inst.Rune[i], inst.Rune[i+1])
			}
		case syntax.InstRuneAnyNotNL:
			add('\n', '\n')
		case syntax.InstEmptyWidth:
			op := syntax.EmptyOp(inst.Arg)
			a.lines = a.lines || op&(syntax.EmptyBeginLine|syntax.EmptyEndLine) != 0
			a.words = a.words || op&(syntax.EmptyWordBoundary|syntax.EmptyNoWordBoundary) != 0
		}
	}
	if a.lines {
		add('\n', '\n')
	}
	if a.words {
		add('0', '9')
		add('A', 'Z')
		add('a', 'z')
		add('_', '_')
	}
	slices.Sort(a.bounds)
	a.bounds = slices.Compact(a.bounds)
}

// class is how many bounds are not beyond a character.
func (a *automaton) class(r rune) int {
	n, same := slices.BinarySearch(a.bounds, r)
	if same {
		n++
	}
	return n
}

// context is what assertions can tell of the character before.
func (a *automaton) context(r rune) rune {
	switch {
	case r < 0, a.lines && r == '\n':
		return r
	case a.words && syntax.IsWordChar(r):
		return 'a'
	}
	return ' '
}

// errFull says that there are too many states.
var errFull = errors.New("the automaton is full")

// intern gives the number of a state.
func (a *automaton) intern(seeds []uint32, searching bool, before rune) (uint16, error) {
	a.key = append(a.key[:0], byte(before), 0)
	if searching {
		a.key[1] = 1
	}
	for _, pc := range seeds {
		a.key = binary.AppendUvarint(a.key, uint64(pc))
	}
	if n, ok := a.index[string(a.key)]; ok {
		return n, nil
	}
	if a.moves += len(seeds); a.moves > maxMoves || len(a.states) == maxStates {
		return 0, errFull
	}
	n := uint16(len(a.states))
	a.states = append(a.states, state{seeds: slices.Clone(seeds), searching: searching, before: before, end: unknown, exit: -2})
	for b := range 256 {
		entry := uint16(unknown)
		if b >= utf8.RuneSelf {
			entry = decode
		}
		a.next = append(a.next, entry)
	}
	a.index[string(a.key)] = n
	return n, nil
}

// start is the state at which a run begins, behind a character.
func (a *automaton) start(before rune, searching bool) (uint16, error) {
	before = a.context(before)
	kind := 0
	switch before {
	case '\n':
		kind = 1
	case 'a':
		kind = 2
	case ' ':
		kind = 3
	}
	if searching {
		kind += 4
	}
	if n := a.starts[kind]; n > 0 {
		return n - 1, nil
	}
	var seeds []uint32
	if !searching {
		seeds = []uint32{uint32(a.prog.Start)}
	}
	n, err := a.intern(seeds, searching, before)
	if err == nil {
		a.starts[kind] = n + 1
	}
	return n, err
}

// reach collects the threads from an instruction on that take a character. It
// reports whether one of them is a match, behind which no other counts; that one
// is the last.
func (a *automaton) reach(pc uint32, from int32, holds syntax.EmptyOp) (match bool) {
	if a.visited[pc] == a.round {
		return false
	}
	a.visited[pc] = a.round
	inst := &a.prog.Inst[pc]
	switch inst.Op {
	case syntax.InstAlt, syntax.InstAltMatch:
		return a.reach(inst.Out, from, holds) || a.reach(inst.Arg, from, holds)
	case syntax.InstNop:
		return a.reach(inst.Out, from, holds)
	case syntax.InstCapture:
		slot := a.slots[inst.Arg]
		if slot < 0 {
			return a.reach(inst.Out, from, holds)
		}
		a.passed = append(a.passed, slot)
		match = a.reach(inst.Out, from, holds)
		a.passed = a.passed[:len(a.passed)-1]
		return match
	case syntax.InstEmptyWidth:
		return syntax.EmptyOp(inst.Arg)&^holds == 0 && a.reach(inst.Out, from, holds)
	case syntax.InstFail:
		return false
	}
	a.threads = append(a.threads, thread{pc, move{from, slices.Clone(a.passed)}})
	return inst.Op == syntax.InstMatch
}

// step makes the transition of a state on a character, −1 for the end of the
// text: what stands in next.
func (a *automaton) step(from uint16, r rune) (uint16, error) {
	s := &a.states[from]
	if a.round++; a.round == 0 {
		clear(a.visited)
		clear(a.seeded)
		a.round = 1
	}
	a.threads = a.threads[:0]
	holds := syntax.EmptyOpContext(s.before, r)
	match := false
	for i, pc := range s.seeds {
		if match = a.reach(pc, int32(i), holds); match {
			break
		}
	}
	if s.searching && !match {
		match = a.reach(uint32(a.prog.Start), -1, holds)
	}
	threads := a.threads
	e := edge{match: match}
	if match {
		e.won = threads[len(threads)-1].move
		threads = threads[:len(threads)-1]
	}
	searching := s.searching && !match
	plain := true
	var seeds []uint32
	for _, t := range threads {
		inst := &a.prog.Inst[t.pc]
		if r < 0 || a.seeded[inst.Out] == a.round || !inst.MatchRune(r) {
			continue
		}
		a.seeded[inst.Out] = a.round
		plain = plain && int(t.from) == len(seeds) && len(t.slots) == 0
		seeds = append(seeds, inst.Out)
		e.moves = append(e.moves, t.move)
	}
	if r < 0 {
		e.dead = true
	} else {
		e.dead = len(seeds) == 0 && !searching
		var err error
		if e.next, err = a.intern(seeds, searching, a.context(r)); err != nil {
			return 0, err
		}
	}
	if plain && !match && !e.dead {
		return e.next, nil
	}
	e.plain, e.loop = plain, plain && !e.dead && e.next == from
	return a.add(e)
}

// add gives what stands in next for an edge.
func (a *automaton) add(e edge) (uint16, error) {
	a.key = fmt.Append(a.key[:0], e)
	if entry, ok := a.alike[string(a.key)]; ok {
		return entry, nil
	}
	if a.moves += len(e.moves) + 1; a.moves > maxMoves || len(a.edges) >= maxEdges {
		return 0, errFull
	}
	entry := special + uint16(len(a.edges))
	a.edges = append(a.edges, e)
	a.alike[string(a.key)] = entry
	return entry, nil
}

// ascii makes the transition of a state on a byte, and on all that are treated
// alike.
func (a *automaton) ascii(n uint16, b byte) error {
	entry, err := a.step(n, rune(b))
	if err != nil {
		return err
	}
	class := a.class(rune(b))
	low, high := rune(0), rune(utf8.RuneSelf)
	if class > 0 {
		low = a.bounds[class-1]
	}
	if class < len(a.bounds) {
		high = min(high, a.bounds[class])
	}
	row := a.next[int(n)<<8:][:256]
	for i := low; i < high; i++ {
		row[i] = entry
	}
	return nil
}

// beyond is the transition of a state on a character beyond ASCII.
func (a *automaton) beyond(n uint16, r rune) (uint16, error) {
	s := &a.states[n]
	if s.wide == nil {
		if a.moves += len(a.bounds) / 8; a.moves > maxMoves {
			return 0, errFull
		}
		s.wide = make([]uint16, len(a.bounds)+1)
		for i := range s.wide {
			s.wide[i] = unknown
		}
	}
	class := a.class(r)
	if s.wide[class] == unknown {
		entry, err := a.step(n, r)
		if err != nil {
			return 0, err
		}
		a.states[n].wide[class] = entry
		if entry == n && a.class(utf8.RuneSelf) == len(a.bounds) {
			// The state stays on all these, so it does on each of their bytes.
			for b := utf8.RuneSelf; b < 256; b++ {
				a.next[int(n)<<8+b] = n
			}
		}
	}
	return a.states[n].wide[class], nil
}

// leave is the index of the next byte on which a state may be left.
func (a *automaton) leave(n uint16, s []byte, i int) (int, error) {
	if a.states[n].exit == -2 {
		if err := a.findExit(n); err != nil {
			return 0, err
		}
	}
	if exit := a.states[n].exit; exit >= 0 {
		if k := bytes.IndexByte(s[i:], byte(exit)); k >= 0 {
			return i + k, nil
		}
		return len(s), nil
	}
	row := (*[256]uint16)(a.next[int(n)<<8:])
	for i < len(s) && row[s[i]] == n {
		i++
	}
	return i, nil
}

// findExit finds out whether a state is left on one byte only.
func (a *automaton) findExit(n uint16) error {
	a.states[n].exit = -1
	for b := range utf8.RuneSelf {
		if a.next[int(n)<<8+b] == unknown {
			if err := a.ascii(n, byte(b)); err != nil {
				return err
			}
		}
	}
	if a.class(utf8.RuneSelf) == len(a.bounds) {
		if _, err := a.beyond(n, utf8.RuneError); err != nil {
			return err
		}
	}
	exit := int16(-1)
	for b := range 256 {
		if a.next[int(n)<<8+b] == n {
			continue
		}
		if exit >= 0 {
			return nil
		}
		exit = int16(b)
	}
	a.states[n].exit = exit
	return nil
}

// match reports whether there is a match that begins at a byte of the text or
// behind it. Nothing is known if ok is false.
func (a *automaton) match(s []byte, from int) (found, ok bool) {
	_, found, ok = a.run(s, from, true, false)
	return found, ok
}

// find gives the bounds of the groups in the first match that begins at a byte of
// the text or behind it, −1 for groups that take no part; nil if there is no
// match. They are valid until the next call. Nothing is known if ok is false.
func (a *automaton) find(s []byte, from int) (bounds []int32, ok bool) {
	won, found, ok := a.run(s, from, !a.atOnce, true)
	if ok && !found && a.atOnce && !a.anchored {
		a.atOnce = false
		won, found, ok = a.run(s, from, true, true)
	}
	if !found {
		return nil, ok
	}
	bounds = a.found
	for i := range bounds {
		bounds[i] = -1
	}
	at, m := won.at, &a.edges[won.edge].won
	if end := a.slots[1]; end >= 0 {
		bounds[end] = at
	}
	for i := len(a.notes) - 1; ; i-- {
		for _, slot := range m.slots {
			if bounds[slot] < 0 {
				bounds[slot] = at
			}
		}
		if m.from < 0 {
			break
		}
		if i < 0 { // the thread with which the run began
			at = int32(from)
			break
		}
		at, m = a.notes[i].at, &a.edges[a.notes[i].edge].moves[m.from]
	}
	if begin := a.slots[0]; begin >= 0 {
		bounds[begin] = at
	}
	a.atOnce = int(at) == from
	return bounds, true
}

// trim gives memory back that a long text has taken.
func (a *automaton) trim() {
	if cap(a.notes) > keptNotes {
		a.notes = nil
	}
}

// run goes forward over a text until nothing that follows matters; searching, for
// matches that begin later, too. won is the edge with the match, and where that
// ends; notes are those before it.
func (a *automaton) run(s []byte, from int, searching, noting bool) (won note, found, ok bool) {
	if a.rest > 0 {
		a.rest--
		return won, false, false
	}
	won, found, err := a.forward(s, from, searching, noting)
	if err == nil {
		return won, found, true
	}
	if errors.Is(err, errFull) {
		if a.ran < fewBytes {
			a.rest = pause
		}
		a.clear()
	}
	return won, false, false
}

// errTooLong says that a match would take too much memory.
var errTooLong = errors.New("too many notes")

func (a *automaton) forward(s []byte, from int, searching, noting bool) (won note, found bool, err error) {
	before := rune(-1)
	if from > 0 {
		if a.anchored {
			return won, false, nil
		}
		before, _ = utf8.DecodeLastRune(s[:from])
	}
	a.ran += len(s) - from
	n, err := a.start(before, searching && !a.anchored)
	if err != nil {
		return won, false, err
	}
	notes := a.notes[:0]
	kept := 0 // notes before the match
	next := a.next
	i := from
	for i < len(s) {
		row := (*[256]uint16)(next[int(n)<<8:])
		b := s[i]
		entry := row[b]
		if entry == n {
			i++
			for most := min(i+longRun, len(s)); i < most && row[s[i]] == n; {
				i++
			}
			if i < len(s) && row[s[i]] == n {
				if i, err = a.leave(n, s, i); err != nil {
					return won, false, err
				}
				next = a.next
			}
			continue
		}
		width := 1
		if entry >= special {
			if entry == decode {
				var r rune
				r, width = utf8.DecodeRune(s[i:])
				if entry, err = a.beyond(n, r); err != nil {
					return won, false, err
				}
				next = a.next
			} else if entry == unknown {
				if err := a.ascii(n, b); err != nil {
					return won, false, err
				}
				next = a.next
				continue
			}
			if entry >= special {
				e := &a.edges[entry-special]
				if e.loop && width == 1 {
					for i+1 < len(s) && row[s[i+1]] == entry {
						i++
					}
				}
				if e.match {
					won, found, kept = note{int32(i), entry - special}, true, len(notes)
					if !noting {
						a.ran -= len(s) - i
						return won, true, nil
					}
				}
				if e.dead {
					a.ran -= len(s) - i
					a.notes = notes[:kept]
					return won, found, nil
				}
				if noting && !e.plain {
					if len(notes) == maxNotes {
						return won, false, errTooLong
					}
					notes = append(notes, note{int32(i), entry - special})
				}
				entry = e.next
			}
		}
		n = entry
		i += width
	}
	if a.states[n].end == unknown {
		entry, err := a.step(n, -1)
		if err != nil {
			return won, false, err
		}
		a.states[n].end = entry
	}
	if end := a.states[n].end - special; a.edges[end].match {
		won, found, kept = note{int32(len(s)), end}, true, len(notes)
	}
	a.notes = notes[:kept]
	return won, found, nil
}
