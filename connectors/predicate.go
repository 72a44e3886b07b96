package connectors

import (
	"fmt"
	"strings"

	"github.com/leatdb/leat/sql/types"
)

// PredicateOp is how a predicate compares.
type PredicateOp uint8

// The comparisons.
const (
	OpEqual        PredicateOp = iota // to one of Values
	OpLess                            // than Values[0]
	OpLessEqual                       // to or less than Values[0]
	OpGreater                         // than Values[0]
	OpGreaterEqual                    // to or greater than Values[0]
	OpIsNull
	OpIsNotNull
)

// Predicate is a condition on one column that every row fulfils that a query
// wants: rows of which it is false or NULL are filtered by the query, so that a
// source may leave them out, as long as it counts them (Chunk.Filtered).
type Predicate struct {
	// Column is a column of the source with its declared type.
	Column types.Column
	Op     PredicateOp
	// Values are of Column's type, none of them NULL: int64 and uint64 for whole
	// numbers, float64, string for text and, as digits, for DECIMAL; for dates and
	// times int64 as in Arrow (days; µs).
	Values []any
	// Text is the condition as SQL.
	Text string
}

// String is the condition as SQL.
func (p Predicate) String() string {
	if p.Text != "" {
		return p.Text
	}
	ops := [...]string{"=", "<", "<=", ">", ">=", "IS NULL", "IS NOT NULL"}
	values := make([]string, len(p.Values))
	for i, v := range p.Values {
		values[i] = fmt.Sprint(v)
	}
	return strings.TrimSpace(p.Column.Name + " " + ops[p.Op] + " " + strings.Join(values, ", "))
}
