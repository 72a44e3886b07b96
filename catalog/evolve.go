package catalog

import (
	"github.com/leatdb/leat/sql/sqlerror"
	"github.com/leatdb/leat/sql/types"
)

// Includes reports whether every value of narrow is one of wide.
func Includes(wide, narrow types.Type) bool {
	if wide.Equal(narrow) {
		return true
	}
	switch {
	case wide.Kind.IsInteger() && narrow.Kind.IsInteger():
		if narrow.Kind.IsUnsigned() {
			return wide.Kind.IsUnsigned() && wide.Kind.Bits() >= narrow.Kind.Bits() || wide.Kind.Bits() > narrow.Kind.Bits()
		}
		return !wide.Kind.IsUnsigned() && wide.Kind.Bits() >= narrow.Kind.Bits()
	case wide.Kind.IsFloat() && narrow.Kind.IsFloat():
		return wide.Kind >= narrow.Kind
	case wide.Kind == types.Decimal && narrow.Kind == types.Decimal:
		return wide.Scale == narrow.Scale && wide.Precision >= narrow.Precision
	case wide.Kind == types.Decimal && narrow.Kind == types.Uint64:
		return wide.Scale == 0 && wide.Precision >= 20
	case wide.Kind == types.String && narrow.Kind.IsText():
		return !hasMembers(wide) && longEnough(wide, narrow)
	case wide.Kind == types.Binary && narrow.Kind == types.Binary:
		return wide.Name != "BIT" && narrow.Name != "BIT" && longEnough(wide, narrow)
	case wide.Kind == narrow.Kind && (wide.Kind == types.Time || wide.Kind == types.DateTime || wide.Kind == types.Timestamp):
		return wide.Fsp >= narrow.Fsp
	case wide.Kind == narrow.Kind && wide.Kind == types.JSON:
		return true
	}
	return false
}

func hasMembers(t types.Type) bool { return t.Name == "ENUM" || t.Name == "SET" }

func longEnough(wide, narrow types.Type) bool {
	return wide.Length == 0 || narrow.Length > 0 && wide.Length >= narrow.Length
}

// Conflict is the error for a definition that a table cannot be brought to.
func Conflict(d Definition, writers Writers, format string, args ...any) error {
	e := sqlerror.Userf(sqlerror.CodeConflict, "the stream does not fit table %s: "+format, append([]any{d.Name}, args...)...)
	if len(writers.Others) > 0 && !writers.Started {
		return e.WithHint("stream %s writes to that table: select the same columns with the same types, or write INTO another table", writers.Others[0])
	}
	return e.WithHint("new columns and wider types are taken over; for anything else write INTO another table, or DROP TABLE this one")
}
