package kinesis

// Rules are what rows are sent by; the zero value knows all of them.
type Rules struct{ lacking Rule }

// Rule is one of them, which can be left out.
type Rule uint8

// The rules, and what goes wrong without one.
const (
	// RuleAcknowledged: positions are committed when all rows before them have been
	// acknowledged. Without it rows that were refused are never sent again after a
	// crash.
	RuleAcknowledged Rule = 1 << iota
	// RuleOneOfKey: a row is sent when the one before it of its key is acknowledged.
	// Without it the service may take the second and refuse the first.
	RuleOneOfKey
)

// Without is all rules but one, for tests that show that the loss would be
// noticed.
func Without(rule Rule) Rules { return Rules{lacking: rule} }

func (rules Rules) lacks(rule Rule) bool { return rules.lacking&rule != 0 }
