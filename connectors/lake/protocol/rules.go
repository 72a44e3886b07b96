package protocol

import "github.com/leatdb/leat/connectors"

// Rules decide by the protocol; the zero value knows all of it.
type Rules struct{ lacking Rule }

// Rule is a part of the protocol that can be left out.
type Rule uint8

// The rules, and what goes wrong without one.
const (
	// RuleFence: a commit that finds a newer generation stops. Without it a zombie
	// commits over its successor and repeats what that one has read.
	RuleFence Rule = 1 << iota
	// RuleOrder: an epoch follows the one before it and no other. Without it an epoch
	// whose predecessor was lost moves the positions past that one's rows.
	RuleOrder
	// RuleOutcome: whoever got no answer looks what became of the commit. Without it
	// the epoch is sent again, and its rows are there twice.
	RuleOutcome
	// RulePending: what an epoch left pending is published by whoever comes next.
	// Without it dead letters are lost with the process that held them.
	RulePending
	// RuleMark: pending output is published once. Without it dead letters are there
	// twice when the answer was lost.
	RuleMark
	// RuleInstance: a generation is one's own if one's own start took it. Without it
	// two starts that draw the same number both go on.
	RuleInstance
	// RuleKeep: files that a commit of unknown outcome may name are kept. Without
	// it they are deleted from under the table.
	RuleKeep
	// RuleTaken: what a replay takes is marked in the same act that begins it.
	// Without it the next replay takes the same letters, and they land twice.
	RuleTaken
)

// Without is the protocol without a rule, for tests that show that the loss
// would be noticed.
func Without(rule Rule) Rules { return Rules{lacking: rule} }

func (rules Rules) lacks(rule Rule) bool { return rules.lacking&rule != 0 }

// Keeps reports whether uncommitted files have to be kept when a commit was
// tried and not answered (nil if none was).
func (rules Rules) Keeps(tried *Record) bool { return tried != nil && !rules.lacks(RuleKeep) }

// Takes reports whether the letters that a replay takes have to be marked.
func (rules Rules) Takes() bool { return !rules.lacks(RuleTaken) }

// Start is Rules.Start by all rules.
func Start(found *Record, id, instance string, columns []int) Record {
	return Rules{}.Start(found, id, instance, columns)
}

// Next is Rules.Next by all rules.
func Next(base Record, state connectors.State, pending *Pending) (Record, error) {
	return Rules{}.Next(base, state, pending)
}

// DecideStart is Rules.DecideStart by all rules.
func DecideStart(next Record, found *Record) Verdict { return Rules{}.DecideStart(next, found) }

// DecideCommit is Rules.DecideCommit by all rules.
func DecideCommit(base, next Record, found *Record) Verdict {
	return Rules{}.DecideCommit(base, next, found)
}

// DecidePublish is Rules.DecidePublish by all rules.
func DecidePublish(record Record, text string) (Verdict, string, error) {
	return Rules{}.DecidePublish(record, text)
}

// DecideDrop is Rules.DecideDrop by all rules.
func DecideDrop(base Record, found *Record) Verdict { return Rules{}.DecideDrop(base, found) }
