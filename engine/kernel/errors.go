package kernel

import (
	"fmt"
	"maps"
	"slices"
)

// Errors are the failed rows of a vector.
type Errors struct {
	rows map[int32]error // failures are rare, and slow anyway
	all  error           // a constant that fails every row
}

// Len is the number of failed rows, or −1 for all.
func (e *Errors) Len() int {
	switch {
	case e == nil:
		return 0
	case e.all != nil:
		return -1
	}
	return len(e.rows)
}

// Row is the failure of a row, or nil.
func (e *Errors) Row(i int) error {
	if e == nil {
		return nil
	}
	if err, ok := e.rows[int32(i)]; ok {
		return err
	}
	return e.all
}

// Rows lists the failed rows, ascending. It is nil when Len is −1.
func (e *Errors) Rows() []int32 {
	if e == nil || e.all != nil || len(e.rows) == 0 {
		return nil
	}
	return slices.Sorted(maps.Keys(e.rows))
}

// Set records that a row failed, unless it already has, and returns e (or a new
// Errors where e is nil).
func (e *Errors) Set(i int, err error) *Errors {
	if e == nil {
		e = &Errors{}
	}
	if e.rows == nil {
		e.rows = make(map[int32]error)
	}
	if _, ok := e.rows[int32(i)]; !ok {
		e.rows[int32(i)] = err
	}
	return e
}

// merge adds the failures of o that e does not have. It may return either, and
// change it: an Errors belongs to the one vector that carries it.
func (e *Errors) merge(o *Errors) *Errors {
	switch {
	case o == nil:
		return e
	case e == nil:
		return o
	}
	for i, err := range o.rows {
		if e.all == nil {
			e.Set(int(i), err)
		}
	}
	if e.all == nil {
		e.all = o.all
	}
	return e
}

// keep drops the failures of rows for which wanted is false.
func (e *Errors) keep(rows int, wanted func(i int) bool) *Errors {
	if e == nil {
		return nil
	}
	var kept *Errors
	if e.all == nil {
		for i, err := range e.rows {
			if wanted(int(i)) {
				kept = kept.Set(int(i), err)
			}
		}
		return kept
	}
	for i := range rows {
		if wanted(i) {
			kept = kept.Set(i, e.Row(i))
		}
	}
	if kept.Len() == rows {
		return e
	}
	return kept
}

// failure is why a row failed, in MySQL's words, which begin with a capital.
type failure string

func (f failure) Error() string { return string(f) }

func failuref(format string, args ...any) error { return failure(fmt.Sprintf(format, args...)) }

// The failures that need no value to be told.
const (
	errDivision         = failure("Division by 0")
	errBigint           = failure("BIGINT value is out of range")
	errBigintUnsigned   = failure("BIGINT UNSIGNED value is out of range")
	errDouble           = failure("DOUBLE value is out of range")
	errDecimal          = failure("DECIMAL value is out of range")
	errLogarithm        = failure("Invalid argument for logarithm")
	errDatetimeOverflow = failure("Datetime function: datetime field overflow")
	errTimeOverflow     = failure("Datetime function: time field overflow")
)

// shown is the most of a value that an error message quotes, in bytes.
const shown = 128

// quote prints a value for an error message.
func quote[T ~string | ~[]byte](v T) string {
	if len(v) > shown {
		return "'" + string(v[:shown]) + "…'"
	}
	return "'" + string(v) + "'"
}

func errTruncated[T ~string | ~[]byte](kind string, v T) error {
	return failuref("Truncated incorrect %s value: %s", kind, quote(v))
}

func errIncorrect[T ~string | ~[]byte](kind string, v T) error {
	return failuref("Incorrect %s value: %s", kind, quote(v))
}

func errOutOfRange[T ~string | ~[]byte](v T) error {
	return failuref("Out of range value: %s", quote(v))
}

func errIncorrectFor[T ~string | ~[]byte](kind string, v T, function string) error {
	return failuref("Incorrect %s value: %s for function %s", kind, quote(v), function)
}
