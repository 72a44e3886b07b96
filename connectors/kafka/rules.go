package kafka

// Rules are what transactions are written by; the zero value knows all of them.
type Rules struct{ lacking Rule }

// Rule is one of them, which can be left out.
type Rule uint8

// The rules, and what goes wrong without one.
const (
	// RuleTogether: rows and the state are committed in one transaction. Without it
	// rows whose state was not committed are written again.
	RuleTogether Rule = 1 << iota
	// RuleBeginAgain: a commit that failed is not repeated: its rows may be gone, and
	// are read again. Without it the positions move past them.
	RuleBeginAgain
	// RuleAwait: a lane writes into the next transaction when the last is committed.
	// Without it rows are committed with positions that do not know of them.
	RuleAwait
)

// Without is all rules but one, for tests that show that the loss would be
// noticed.
func Without(rule Rule) Rules { return Rules{lacking: rule} }

func (rules Rules) lacks(rule Rule) bool { return rules.lacking&rule != 0 }
