package protocol_test

import (
	"fmt"
	"slices"
	"testing"

	"github.com/leatdb/leat/connectors"
	"github.com/leatdb/leat/connectors/lake/protocol"
	"github.com/leatdb/leat/sql/sqlerror"
)

// Two instances of a stream are taken through everything that can happen to
// them: each reads, decides by the protocol and sends, others may go on between
// any two of these, an answer may be lost, and an instance may die at any
// moment. Every state that can be reached within some starts and epochs is
// visited once and must keep what the protocol promises.
const (
	mostEpochs      = 2
	mostStarts      = 3 // over all instances
	mostGenerations = 4 // two that start may outrun each other for ever
)

// stored is a record as it matters here.
type stored struct {
	exists            bool
	generation, epoch int8
	instance          int8
	pending           int8 // the epoch that has left output, 0 for none
	takes             bool // the output marks the letter
}

func (s stored) record() *protocol.Record {
	if !s.exists {
		return nil
	}
	r := record(int64(s.generation), fmt.Sprint(s.instance), int64(s.epoch))
	if s.pending > 0 {
		r.Pending = &protocol.Pending{Epoch: int64(s.pending)}
	}
	return r
}

// storedOf is a record that is to be stored, with what its output is.
func storedOf(r protocol.Record, instance int8, takes bool) stored {
	s := stored{exists: true, generation: int8(r.Generation), epoch: int8(r.Epoch), instance: instance}
	if r.Pending != nil {
		s.pending, s.takes = int8(r.Pending.Epoch), takes
	}
	return s
}

type phase uint8

const (
	down phase = iota
	startReads
	startSends
	runs
	publishReads
	publishSends
	commitReads
	commitSends
)

// process is an instance as far as it has come.
type process struct {
	phase      phase
	name       int8
	base, next stored
	asked      bool // next was made
	stale      bool // what was decided on has changed since
}

// situation is everything at a moment. It is comparable.
type situation struct {
	table     stored
	mark      int8 // the last epoch published
	landed    [mostEpochs + 1]int8
	published [mostEpochs + 1]int8
	taken     int8 // commits that have taken the letter
	marked    int8 // … and marks of it that are published
	starts    int8
	processes [2]process
}

// changed tells the processes that are about to send that the table on which
// they have decided is another one.
func (s *situation) changed(phases ...phase) {
	for i := range s.processes {
		if p := &s.processes[i]; slices.Contains(phases, p.phase) {
			p.stale = true
		}
	}
}

// wrong says which promise a situation breaks.
func (s *situation) wrong() string {
	for e := 1; e <= mostEpochs; e++ {
		switch {
		case s.landed[e] > 1:
			return fmt.Sprintf("epoch %d landed %d times", e, s.landed[e])
		case s.landed[e] > 0 && e > 1 && s.landed[e-1] == 0:
			return fmt.Sprintf("epoch %d landed before the one before it", e)
		case s.published[e] > 1:
			return fmt.Sprintf("the output of epoch %d was published %d times", e, s.published[e])
		case s.published[e] > s.landed[e]:
			return fmt.Sprintf("the output of epoch %d was published, and the epoch not committed", e)
		}
	}
	if s.taken > 1 {
		return fmt.Sprintf("the letter was taken %d times", s.taken)
	}
	return ""
}

// after lists the situations that can follow, by what one process does. The
// error is a promise that is broken on the way.
func (s situation) after(rules protocol.Rules) (list []situation, err error) {
	for i := range s.processes {
		add := func(change func(*situation, *process)) {
			next := s
			change(&next, &next.processes[i])
			list = append(list, next)
		}
		p := s.processes[i]
		if p.phase != down {
			add(func(_ *situation, p *process) { *p = process{} }) // it dies
		}
		switch p.phase {
		case down:
			if s.starts < mostStarts {
				add(func(s *situation, p *process) {
					s.starts++
					*p = process{phase: startReads, name: s.starts}
				})
			}
		case startReads:
			found := s.table.record()
			if p.asked && rules.DecideStart(*p.next.record(), found) == protocol.Done {
				add(func(s *situation, p *process) { p.base, p.asked, p.phase = s.table, false, runs })
				break
			}
			if s.table.generation == mostGenerations {
				break
			}
			r := rules.Start(found, "life", fmt.Sprint(p.name), nil)
			add(func(_ *situation, p *process) {
				p.next, p.asked, p.stale, p.phase = storedOf(r, p.name, s.table.takes), true, false, startSends
			})
		case startSends, commitSends:
			answered, asks := runs, startReads
			if p.phase == commitSends {
				asks = commitReads
			}
			if p.stale {
				add(func(_ *situation, p *process) { p.phase = asks })
				break
			}
			if p.phase == commitSends && s.table.pending > 0 && s.published[s.table.pending] == 0 {
				return nil, fmt.Errorf("epoch %d is committed over output of epoch %d that was never published", p.next.epoch, s.table.pending)
			}
			for _, lost := range []bool{false, true} {
				add(func(s *situation, p *process) {
					s.table = p.next
					s.changed(startSends, commitSends)
					if p.phase == commitSends {
						s.landed[p.next.epoch]++
						if p.next.takes {
							s.taken++
						}
					}
					if p.phase = asks; !lost {
						p.base, p.asked, p.phase = p.next, false, answered
					}
				})
			}
		case runs:
			if p.base.pending > 0 {
				add(func(_ *situation, p *process) { p.phase = publishReads })
				break
			}
			for _, output := range []bool{false, true} {
				for _, takes := range []bool{false, true} {
					if p.base.epoch == mostEpochs || takes && (!output || s.marked > 0) {
						continue
					}
					var pending *protocol.Pending
					if output {
						pending = &protocol.Pending{Epoch: int64(p.base.epoch) + 1}
					}
					r, err := rules.Next(*p.base.record(), connectors.State{Generation: int64(p.base.generation), Epoch: int64(p.base.epoch) + 1}, pending)
					if err != nil {
						return nil, err
					}
					add(func(_ *situation, p *process) { p.next, p.phase = storedOf(r, p.base.instance, takes), commitReads })
				}
			}
		case publishReads:
			text := ""
			if s.mark > 0 {
				text = fmt.Sprintf(`{"v":1,"generation":1,"epoch":%d}`, s.mark)
			}
			verdict, _, err := rules.DecidePublish(*p.base.record(), text)
			if err != nil {
				return nil, err
			}
			add(func(_ *situation, p *process) {
				p.stale, p.phase = false, publishSends
				if verdict == protocol.Done {
					p.base.pending, p.base.takes, p.phase = 0, false, runs
				}
			})
		case publishSends:
			if p.stale {
				add(func(_ *situation, p *process) { p.phase = publishReads })
				break
			}
			for _, lost := range []bool{false, true} {
				add(func(s *situation, p *process) {
					s.mark = p.base.pending
					s.changed(publishSends)
					s.published[p.base.pending]++
					if p.base.takes && rules.Takes() {
						s.marked++
					}
					if p.phase = publishReads; !lost {
						p.base.pending, p.base.takes, p.phase = 0, false, runs
					}
				})
			}
		case commitReads:
			found := s.table.record()
			switch v := rules.DecideCommit(*p.base.record(), *p.next.record(), found); v {
			case protocol.Done:
				add(func(_ *situation, p *process) { p.base, p.phase = p.next, runs })
			case protocol.Try:
				add(func(_ *situation, p *process) { p.stale, p.phase = false, commitSends })
			case protocol.Fenced:
				if found.Instance == fmt.Sprint(p.name) {
					return nil, fmt.Errorf("instance %d is fenced by itself", p.name)
				}
				add(func(_ *situation, p *process) { *p = process{} })
			default:
				return nil, fmt.Errorf("a commit is %v, and nobody has put the table back: %+v", v, s)
			}
		}
	}
	return list, nil
}

// explore visits every situation and returns how many there are and the first
// promise that is found broken.
func explore(rules protocol.Rules) (int, string) {
	first := situation{}
	seen := map[situation]bool{first: true}
	queue := []situation{first}
	for len(queue) > 0 {
		s := queue[0]
		queue = queue[1:]
		list, err := s.after(rules)
		if err != nil {
			return len(seen), err.Error()
		}
		for _, next := range list {
			if seen[next] {
				continue
			}
			if wrong := next.wrong(); wrong != "" {
				return len(seen), wrong
			}
			seen[next] = true
			queue = append(queue, next)
		}
	}
	return len(seen), ""
}

func TestExplore(t *testing.T) {
	n, wrong := explore(protocol.Rules{})
	if wrong != "" {
		t.Errorf("%s", wrong)
	}
	if n < 10_000 {
		t.Errorf("only %d situations", n)
	}
	t.Logf("%d situations", n)
	for name, rule := range map[string]protocol.Rule{
		"fence": protocol.RuleFence, "outcome": protocol.RuleOutcome, "pending": protocol.RulePending,
		"mark": protocol.RuleMark, "instance": protocol.RuleInstance, "taken": protocol.RuleTaken,
	} {
		n, wrong := explore(protocol.Without(rule))
		if wrong == "" {
			t.Errorf("without %s %d situations are all fine", name, n)
		}
		t.Logf("without %s: %s", name, wrong)
	}
}

// TestDecide_EveryPair compares the decisions with the protocol's words for
// every pair of records within small numbers.
func TestDecide_EveryPair(t *testing.T) {
	var all []*protocol.Record
	for _, id := range []string{"life", "other life"} {
		for generation := int64(1); generation <= 3; generation++ {
			for _, instance := range []string{"a", "b"} {
				for epoch := range int64(4) {
					r := record(generation, instance, epoch)
					r.ID = id
					all = append(all, r)
				}
			}
		}
	}
	for _, base := range all {
		next := *base
		next.Epoch++
		for _, found := range append(all, nil) {
			commit, start, drop := protocol.DecideCommit(*base, next, found), protocol.DecideStart(next, found), protocol.DecideDrop(*base, found)
			var wantCommit, wantDrop protocol.Verdict
			ours := found != nil && found.ID == base.ID && found.Generation == base.Generation && found.Instance == base.Instance
			switch {
			case found == nil:
				wantCommit, wantDrop = protocol.Gone, protocol.Done
			case ours && found.Epoch == base.Epoch:
				wantCommit, wantDrop = protocol.Try, protocol.Try
			case ours && found.Epoch == next.Epoch:
				wantCommit, wantDrop = protocol.Done, protocol.Fenced
			case found.ID == base.ID && (found.Generation < base.Generation || ours && found.Epoch < base.Epoch):
				wantCommit, wantDrop = protocol.Rolled, protocol.Rolled
			default:
				wantCommit, wantDrop = protocol.Fenced, protocol.Fenced
			}
			wantStart := protocol.Try
			if found != nil && found.Instance == next.Instance {
				wantStart = protocol.Done
			}
			if commit != wantCommit || start != wantStart || drop != wantDrop {
				t.Errorf("base %+v, found %+v: commit %v start %v drop %v, want %v %v %v", base, found, commit, start, drop, wantCommit, wantStart, wantDrop)
			}
			// What ends a stream says so, and what does not is no error.
			for _, v := range []protocol.Verdict{commit, start, drop} {
				if err := v.Err("s", found); (err != nil) != (v == protocol.Fenced || v == protocol.Gone || v == protocol.Rolled) || sqlerror.IsRetryable(err) && err != nil {
					t.Errorf("%v is %v", v, err)
				}
			}
		}
	}
}

func TestNext_Replays(t *testing.T) {
	base := *record(1, "i", 5)
	base.Replays = []connectors.Replay{{ID: "a", File: "f", Letters: 10, Done: 4, Offset: 100}, {ID: "b", File: "g", Letters: 2, Done: 2}}
	f := func(name string, ok bool, replays ...connectors.Replay) {
		t.Helper()
		next, err := protocol.Next(base, connectors.State{Generation: 1, Epoch: 6, Replays: replays}, nil)
		if (err == nil) != ok {
			t.Errorf("%s: %v", name, err)
		}
		if err != nil {
			return
		}
		text, err := next.Encode()
		if err != nil {
			t.Fatal(err)
		}
		back, err := protocol.Decode(text)
		if err != nil || len(back.Replays) != len(replays) || len(replays) > 0 && (back.V != 2 || back.State().Replays[0] != replays[0]) || len(replays) == 0 && back.V != 1 {
			t.Errorf("%s comes back as %+v, %v", text, back, err)
		}
	}
	on := connectors.Replay{ID: "a", File: "f", Letters: 10, Done: 8, Offset: 200}
	f("goes on", true, on)
	f("stands still", true, base.Replays[0])
	f("another begins", true, on, connectors.Replay{ID: "c", File: "h", Letters: 1})
	f("is given up", false)
	f("goes back", false, connectors.Replay{ID: "a", File: "f", Letters: 10, Done: 3, Offset: 90})
	f("reads another file", false, connectors.Replay{ID: "a", File: "x", Letters: 10, Done: 8, Offset: 200})
	base.Replays = base.Replays[1:]
	f("is finished", true)
}
