// Package kernel evaluates SQL expressions over Arrow arrays, a batch at a
// time. A planner compiles an expression to an Expr once; lanes then evaluate
// it over every batch.
//
// Three rules hold everywhere. NULL is Arrow's validity bitmap. A row for which
// strict SQL raises an error is not an error of the batch but a failed row: it
// is recorded in the result's Errors, its value is undefined, and the failure
// goes wherever the value is used (AND, OR, CASE, IF and COALESCE drop it where
// SQL would not have evaluated the operand). Kernels do not allocate per row.
package kernel

import (
	"time"

	"github.com/apache/arrow-go/v18/arrow"
	"github.com/apache/arrow-go/v18/arrow/memory"

	"github.com/leatdb/leat/sql/types"
)

// Mode says what MySQL's sql_mode would say of values that do not fit.
type Mode struct {
	// Strict makes a truncated cast, a value out of range, invalid JSON and a
	// division by zero fail the row, as in INSERT … SELECT under the default
	// sql_mode. Without it they give a truncated value, a clamped one, NULL.
	Strict bool
	// JSONFails makes invalid JSON fail the row without Strict too, as in a SELECT.
	// Who sets it has to drop the failures of branches that are not taken.
	JSONFails bool
}

// Context is what one lane's evaluations share. It is not safe for concurrent
// use.
type Context struct {
	Alloc memory.Allocator
	Mode  Mode
	// Now is the time of the step, UTC.
	Now time.Time
	// Location is the zone in which TIMESTAMPs turn into dates and text;
	// nil means UTC.
	Location *time.Location
	// Warn, if it is not nil, is told what would fail a row if Mode were strict.
	Warn func(error)

	// sel is the selection under which the function being called works.
	sel []int32
	// scratch is reused between calls.
	scratch scratch
	memo    memo
}

// location is the zone to evaluate in.
func (c *Context) location() *time.Location {
	if c.Location == nil {
		return time.UTC
	}
	return c.Location
}

// Batch is the input of an evaluation.
type Batch struct {
	Columns []arrow.Array
	Rows    int
	// Sel lists, ascending, the rows that matter; nil means all. Kernels may
	// skip the others, whose results are undefined (and their errors ignored by
	// the caller).
	Sel []int32
}

// Vector is a column of results: an array of the batch's length, or one
// constant for all rows.
type Vector struct {
	// Array holds the rows, or when Const is set exactly one value. A string
	// array may be a dictionary array with int32 indices and utf8 values.
	Array arrow.Array
	Const bool
	// Errors are the failed rows; nil means none.
	Errors *Errors
}

// Release frees the array.
func (v Vector) Release() {
	if v.Array != nil {
		v.Array.Release()
	}
}

// Expr is a compiled expression. It holds no state of a batch, so that lanes
// may share it; RowFunc expressions are the exception and are compiled per lane.
type Expr interface {
	// Type is the type of the result.
	Type() types.Type
	// Eval computes the expression over in. The caller releases the vector. The
	// error is a fault of the evaluation itself, never of a row.
	Eval(ctx *Context, in *Batch) (Vector, error)
}

// Func is a vectorised function. args have been evaluated, are of the types
// that the registry's signature asked for, and may be constants; out is the
// result type that was bound. The result's Errors need not repeat those of
// args: the caller merges them.
type Func func(ctx *Context, rows int, args []Vector, out types.Type) (Vector, error)
