package protocol

import (
	"encoding/json"
	"fmt"
	"strings"
)

// Mark is what the table of dead letters remembers of a stream: the last epoch
// whose letters were appended, in the same commit as the letters.
type Mark struct {
	V          int   `json:"v"`
	Generation int64 `json:"generation"`
	Epoch      int64 `json:"epoch"`
}

// MarkKey is the property that holds the mark of one life of a stream. A life
// has a mark of its own, so that what is left of an earlier one, or an instance
// of it that wakes late, decides nothing for the next.
func MarkKey(stream, id string) string { return "leat.dead_letters." + stream + "/" + id }

// IsMarkKey reports whether a property holds a mark.
func IsMarkKey(key string) bool { return strings.HasPrefix(key, "leat.dead_letters.") }

// DecidePublish says whether pending output has still to be appended (Try), and
// the mark that the appending commit sets, or was (Done). text is the mark that
// the table holds.
func (rules Rules) DecidePublish(record Record, text string) (Verdict, string, error) {
	if record.Pending == nil {
		return Done, "", nil
	}
	if text != "" && !rules.lacks(RuleMark) {
		var m Mark
		if err := json.Unmarshal([]byte(text), &m); err != nil {
			return Try, "", corrupt("%w", err)
		}
		// Epochs are published in order: an epoch is committed only after what
		// the one before left pending is out.
		if m.Epoch >= record.Pending.Epoch {
			return Done, "", nil
		}
	}
	next, err := json.Marshal(Mark{V: plainVersion, Generation: record.Generation, Epoch: record.Pending.Epoch})
	if err != nil {
		return Try, "", fmt.Errorf("encode mark: %w", err)
	}
	return Try, string(next), nil
}
