package adhoc

import (
	"fmt"
	"math"
	"strconv"
	"strings"
	"time"
	"unicode/utf8"

	"github.com/leatdb/leat/planner/function"
	"github.com/leatdb/leat/sql/types"
)

// literal spells a constant, given as in logical.Literal, with its type.
func literal(v any, t types.Type) (string, error) {
	if v == nil {
		return "NULL::" + function.DuckDBType(t), nil
	}
	switch v := v.(type) {
	case bool:
		if t.Kind == types.Bool {
			return strings.ToUpper(strconv.FormatBool(v)), nil
		}
	case int64:
		switch {
		case t.Kind == types.Int32 && v >= 0 && v <= math.MaxInt32:
			return strconv.FormatInt(v, 10), nil
		case t.Kind.IsInteger() && v < 0:
			return fmt.Sprintf("(%d)::%s", v, function.DuckDBType(t)), nil
		case t.Kind.IsInteger():
			return fmt.Sprintf("%d::%s", v, function.DuckDBType(t)), nil
		case t.Kind == types.Bool:
			return strings.ToUpper(strconv.FormatBool(v != 0)), nil
		case t.Kind.IsTemporal():
			return temporalLiteral(v, t)
		}
	case uint64:
		if t.Kind.IsInteger() {
			return fmt.Sprintf("%d::%s", v, function.DuckDBType(t)), nil
		}
	case float64:
		if t.Kind.IsFloat() {
			return floatLiteral(v, t), nil
		}
	case string:
		switch {
		case t.Kind == types.Decimal:
			return quoteText(v) + "::" + function.DuckDBType(t), nil
		case t.Kind.IsText():
			return textLiteral(v)
		}
	case []byte:
		switch {
		case t.Kind == types.Binary:
			return blobLiteral(v), nil
		case t.Kind.IsText():
			return textLiteral(string(v))
		}
	}
	return "", unsupported("a constant of type %s is a %T", t, v)
}

// floatLiteral uses an exponent: without one DuckDB reads a DECIMAL.
func floatLiteral(v float64, t types.Type) string {
	if math.IsNaN(v) || math.IsInf(v, 0) {
		return quoteText(strconv.FormatFloat(v, 'g', -1, 64)) + "::" + function.DuckDBType(t)
	}
	s := strconv.FormatFloat(v, 'e', -1, 64)
	if v < 0 || math.Signbit(v) {
		s = "(" + s + ")"
	}
	if t.Kind == types.Float32 {
		return s + "::FLOAT"
	}
	return s
}

func textLiteral(v string) (string, error) {
	if !utf8.ValidString(v) {
		return "", unsupported("a string constant is not UTF-8")
	}
	if !strings.ContainsRune(v, 0) {
		return quoteText(v), nil
	}
	// A NUL would end the statement.
	parts := strings.Split(v, "\x00")
	for i, p := range parts {
		parts[i] = quoteText(p)
	}
	return "(" + strings.Join(parts, " || chr(0) || ") + ")", nil
}

// quoteText is a string literal; v must not contain NUL.
func quoteText(v string) string { return "'" + strings.ReplaceAll(v, "'", "''") + "'" }

func blobLiteral(v []byte) string {
	var b strings.Builder
	b.WriteByte('\'')
	for _, c := range v {
		fmt.Fprintf(&b, `\x%02X`, c)
	}
	b.WriteString("'::BLOB")
	return b.String()
}

// inDay reports whether a TIME is one that DuckDB can spell.
func inDay(micros int64) bool { return micros >= 0 && micros < 24*time.Hour.Microseconds() }

// temporalLiteral spells a date or time held as in Arrow.
func temporalLiteral(v int64, t types.Type) (string, error) {
	var at time.Time
	if t.Kind == types.Date {
		at = time.Unix(v*86400, 0).UTC()
	} else {
		at = time.UnixMicro(v).UTC()
	}
	if t.Kind != types.Time && (at.Year() < 1 || at.Year() > 9999) {
		return "", unsupported("a constant lies outside the years 1 to 9999")
	}
	switch t.Kind {
	case types.Date:
		return "DATE '" + at.Format("2006-01-02") + "'", nil
	case types.Time:
		if !inDay(v) {
			return "", unsupported("a TIME constant lies outside a day")
		}
		return "TIME '" + at.Format("15:04:05.999999") + "'", nil
	case types.Timestamp:
		return "TIMESTAMPTZ '" + at.Format("2006-01-02 15:04:05.999999") + "+00'", nil
	}
	return "TIMESTAMP '" + at.Format("2006-01-02 15:04:05.999999") + "'", nil
}

// offsetZone matches MySQL's names for zones of a fixed offset.
func offsetZone(name string) (hours, minutes int, ok bool) {
	if len(name) != 6 || name[0] != '+' && name[0] != '-' || name[3] != ':' {
		return 0, 0, false
	}
	hours, err := strconv.Atoi(name[1:3])
	if err != nil {
		return 0, 0, false
	}
	if minutes, err = strconv.Atoi(name[4:]); err != nil {
		return 0, 0, false
	}
	if name[0] == '-' {
		return -hours, -minutes, true
	}
	return hours, minutes, true
}

// zoneName is the name of a time zone in DuckDB, if it has one.
func zoneName(loc *time.Location) (string, bool) {
	if loc == nil || loc == time.UTC {
		return "UTC", true
	}
	name := loc.String()
	if hours, minutes, ok := offsetZone(name); ok {
		if minutes != 0 || hours < -12 || hours > 14 {
			return "", false
		}
		if hours == 0 {
			return "UTC", true
		}
		return fmt.Sprintf("Etc/GMT%+d", -hours), true // POSIX counts westward
	}
	if name == "Local" {
		return "", false
	}
	if _, err := time.LoadLocation(name); err != nil {
		return "", false
	}
	return name, true
}
