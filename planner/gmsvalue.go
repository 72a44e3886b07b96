package planner

import (
	"fmt"
	"math"
	"strings"
	"time"

	"github.com/cockroachdb/apd/v3"
	gms "github.com/dolthub/go-mysql-server/sql"
	gmstypes "github.com/dolthub/go-mysql-server/sql/types"

	"github.com/leatdb/leat/internal/mysqljson"
	"github.com/leatdb/leat/sql/types"
)

// GMSValue converts a value as logical.Literal holds it into what the MySQL
// engine holds for a column of type t. The engine knows no zones: a TIMESTAMP
// becomes the wall clock of loc (nil: UTC).
func GMSValue(v any, t types.Type, loc *time.Location) (any, error) {
	if v == nil {
		return nil, nil
	}
	switch t.Kind {
	case types.Bool:
		if b, ok := v.(bool); ok {
			if b {
				return int8(1), nil
			}
			return int8(0), nil
		}
	case types.Int8, types.Int16, types.Int32, types.Int64:
		if n, ok := v.(int64); ok {
			return narrowInt(n, t.Kind), nil
		}
	case types.Uint8, types.Uint16, types.Uint32, types.Uint64:
		if n, ok := v.(uint64); ok {
			return narrowUint(n, t.Kind), nil
		}
	case types.Float32:
		if f, ok := v.(float64); ok {
			return float32(f), nil
		}
	case types.Float64:
		if f, ok := v.(float64); ok {
			return f, nil
		}
	case types.Decimal:
		if s, ok := v.(string); ok {
			d, _, err := apd.NewFromString(s)
			if err != nil {
				return nil, fmt.Errorf("convert decimal %q: %w", s, err)
			}
			return d, nil
		}
	case types.String:
		if s, ok := v.(string); ok {
			return s, nil
		}
	case types.Binary:
		if b, ok := v.([]byte); ok {
			return b, nil
		}
	case types.Date:
		if n, ok := v.(int64); ok {
			return time.Unix(n*86400, 0).UTC(), nil
		}
	case types.Time:
		if n, ok := v.(int64); ok {
			return gmstypes.Timespan(n), nil
		}
	case types.DateTime:
		if n, ok := v.(int64); ok {
			return time.UnixMicro(n).UTC(), nil
		}
	case types.Timestamp:
		if n, ok := v.(int64); ok {
			return wallClock(time.UnixMicro(n), loc), nil
		}
	case types.JSON:
		if s, ok := v.(string); ok {
			var text []byte
			var err error
			if !t.Printed {
				text, err = mysqljson.AppendNormal(nil, []byte(s))
			}
			if t.Printed || err != nil {
				text = []byte(s) // a number that no double holds is shown as it came
			}
			return gmstypes.NewLazyJSONDocument(text), nil
		}
	}
	return nil, fmt.Errorf("value %v (%T) is not one of type %s", v, v, t)
}

func narrowInt(n int64, k types.Kind) any {
	switch k {
	case types.Int8:
		return int8(n)
	case types.Int16:
		return int16(n)
	case types.Int32:
		return int32(n)
	}
	return n
}

func narrowUint(n uint64, k types.Kind) any {
	switch k {
	case types.Uint8:
		return uint8(n)
	case types.Uint16:
		return uint16(n)
	case types.Uint32:
		return uint32(n)
	}
	return n
}

// wallClock is what a clock in loc shows at an instant, as a UTC time.
func wallClock(t time.Time, loc *time.Location) time.Time {
	if loc == nil {
		return t.UTC()
	}
	t = t.In(loc)
	_, offset := t.Zone()
	return t.Add(time.Duration(offset) * time.Second).UTC()
}

// instant is when a clock in loc shows t.
func instant(t time.Time, loc *time.Location) time.Time {
	if loc == nil || loc == time.UTC {
		return t
	}
	return time.Date(t.Year(), t.Month(), t.Day(), t.Hour(), t.Minute(), t.Second(), t.Nanosecond(), loc)
}

// setText is the text of a SET whose bits are its members.
func setText(bits uint64, members []string) string {
	var chosen []string
	for i, m := range members {
		if bits&(1<<i) != 0 {
			chosen = append(chosen, m)
		}
	}
	return strings.Join(chosen, ",")
}

// FromGMSValue converts a value that an expression of the MySQL engine gave
// into the Go value that logical.Literal holds for type t. The engine's
// functions do not always return the Go type that their SQL type promises, so
// it accepts whatever the engine itself would convert. The error says that the
// value does not fit.
func FromGMSValue(ctx *gms.Context, v any, t types.Type, loc *time.Location) (any, error) {
	v, err := gms.UnwrapAny(ctx, v)
	if err != nil || v == nil {
		return nil, err
	}
	switch t.Kind {
	case types.Null:
		return nil, nil
	case types.Bool:
		n, _, err := gmstypes.Int64.Convert(ctx, v)
		if err != nil {
			return nil, err
		}
		return n.(int64) != 0, nil
	case types.Int8, types.Int16, types.Int32, types.Int64:
		n, inRange, err := gmstypes.Int64.Convert(ctx, v)
		if err != nil {
			return nil, err
		}
		bits := t.Kind.Bits()
		i := n.(int64)
		if inRange != gms.InRange || bits < 64 && (i < -1<<(bits-1) || i > 1<<(bits-1)-1) {
			return nil, fmt.Errorf("value %v is out of range for %s", v, t)
		}
		return i, nil
	case types.Uint8, types.Uint16, types.Uint32, types.Uint64:
		n, inRange, err := gmstypes.Uint64.Convert(ctx, v)
		if err != nil {
			return nil, err
		}
		bits := t.Kind.Bits()
		u := n.(uint64)
		if inRange != gms.InRange || bits < 64 && u >= 1<<bits {
			return nil, fmt.Errorf("value %v is out of range for %s", v, t)
		}
		return u, nil
	case types.Float32, types.Float64:
		f, _, err := gmstypes.Float64.Convert(ctx, v)
		if err != nil {
			return nil, err
		}
		if x := f.(float64); !math.IsNaN(x) && !math.IsInf(x, 0) {
			return x, nil
		}
		return nil, fmt.Errorf("value %v is out of range for %s", v, t)
	case types.Decimal:
		return fromGMSDecimal(v, t)
	case types.String:
		switch n := v.(type) {
		case uint16: // the MySQL engine's ENUM, as in information_schema
			if t.Name == "ENUM" && n >= 1 && int(n) <= len(t.Members) {
				return t.Members[n-1], nil
			}
		case uint64:
			if t.Name == "SET" {
				return setText(n, t.Members), nil
			}
		}
		s, _, err := gmstypes.LongText.Convert(ctx, v)
		if err != nil {
			return nil, err
		}
		return s.(string), nil
	case types.Binary:
		b, _, err := gmstypes.LongBlob.Convert(ctx, v)
		if err != nil {
			return nil, err
		}
		return b.([]byte), nil
	case types.Date, types.DateTime, types.Timestamp:
		d, _, err := gmstypes.DatetimeMaxPrecision.Convert(ctx, v)
		if err != nil {
			return nil, err
		}
		return fromGMSTime(d.(time.Time), t, loc), nil
	case types.Time:
		s, _, err := gmstypes.Time.Convert(ctx, v)
		if err != nil {
			return nil, err
		}
		return int64(s.(gmstypes.Timespan)), nil
	case types.JSON:
		doc, _, err := gmstypes.JSON.Convert(ctx, v)
		if err != nil {
			return nil, err
		}
		wrapper, ok := doc.(gms.JSONWrapper)
		if !ok {
			return nil, fmt.Errorf("value %v (%T) is not JSON", v, v)
		}
		if text, ok := doc.(gmstypes.JSONBytes); ok {
			b, err := text.GetBytes(ctx)
			return string(b), err
		}
		return gmstypes.JsonToMySqlString(ctx, wrapper)
	}
	return nil, fmt.Errorf("no column can hold a value of type %s", t)
}

func fromGMSTime(d time.Time, t types.Type, loc *time.Location) any {
	switch t.Kind {
	case types.Date:
		return floorDiv(d.Unix(), 86400)
	case types.Timestamp:
		return instant(d, loc).UnixMicro()
	}
	return d.UnixMicro()
}

func floorDiv(a, b int64) int64 {
	q := a / b
	if a%b < 0 {
		q--
	}
	return q
}

// fromGMSDecimal rounds half away from zero to the scale of t, as MySQL does
// when it stores a value.
func fromGMSDecimal(v any, t types.Type) (any, error) {
	d, err := gmstypes.InternalDecimalType.ConvertToDecimal(v)
	if err != nil {
		return nil, err
	}
	c := apd.Context{Precision: 100, MaxExponent: apd.MaxExponent, MinExponent: apd.MinExponent, Rounding: apd.RoundHalfUp}
	var rounded apd.Decimal
	if _, err := c.Quantize(&rounded, d, -int32(t.Scale)); err != nil {
		return nil, fmt.Errorf("round %s to %s: %w", d, t, err)
	}
	s := rounded.Text('f')
	if digits := len(strings.TrimLeft(strings.NewReplacer("-", "", ".", "").Replace(s), "0")); digits > t.Precision {
		return nil, fmt.Errorf("value %s is out of range for %s", s, t)
	}
	return s, nil
}
