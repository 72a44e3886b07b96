package functiontest

import (
	"fmt"
	"math"
	"math/big"
	"strconv"
	"strings"
	"time"

	gmstypes "github.com/dolthub/go-mysql-server/sql/types"

	"github.com/leatdb/leat/engine/kernel"
	"github.com/leatdb/leat/internal/mysqljson"
	"github.com/leatdb/leat/sql/types"
)

// Text prints a value of a type, as kernel.Value gives it or as the MySQL engine
// does, so that equal values are equal texts: numbers without trailing zeros,
// times with six digits, JSON in normal form.
func Text(v any, t types.Type) string {
	if v == nil {
		return "NULL"
	}
	s := plain(v, t)
	switch {
	case t.Kind == types.JSON:
		if normal, err := mysqljson.AppendNormal(nil, []byte(s)); err == nil {
			return string(normal)
		}
	case t.Kind.IsFloat():
		if f, err := strconv.ParseFloat(s, 64); err == nil {
			return strconv.FormatFloat(f, 'g', -1, 64)
		}
	case t.Kind.IsNumeric():
		if r, ok := new(big.Rat).SetString(s); ok {
			return r.RatString()
		}
	case t.Kind == types.Time || t.Kind == types.DateTime || t.Kind == types.Timestamp:
		if whole, fraction, _ := strings.Cut(s, "."); len(whole) >= 8 {
			return whole + "." + (fraction + "000000")[:6]
		}
	}
	return s
}

func plain(v any, t types.Type) string {
	switch v := v.(type) {
	case bool:
		if v {
			return "1"
		}
		return "0"
	case []byte:
		return string(v)
	case float32:
		return strconv.FormatFloat(float64(v), 'g', -1, 32)
	case float64:
		return strconv.FormatFloat(v, 'g', -1, 64)
	case time.Time:
		switch {
		case t.Kind == types.Date:
			return v.UTC().Format("2006-01-02")
		case t.Kind == types.Time:
			return v.UTC().Format("15:04:05.000000")
		case t.Kind.IsTemporal():
			return v.UTC().Format("2006-01-02 15:04:05.000000")
		}
		return v.UTC().Format("2006-01-02 15:04:05.999999")
	case gmstypes.Timespan:
		return string(kernel.AppendTime(nil, int64(v), 6))
	case int64:
		switch t.Kind {
		case types.Date:
			return time.Unix(v*86400, 0).UTC().Format("2006-01-02")
		case types.Time:
			return string(kernel.AppendTime(nil, v, 6))
		case types.DateTime, types.Timestamp:
			return time.UnixMicro(v).UTC().Format("2006-01-02 15:04:05.000000")
		}
	case interface{ JSONString() (string, error) }:
		if s, err := v.JSONString(); err == nil {
			return s
		}
	case interface{ Text(byte) string }: // a decimal
		return v.Text('f')
	}
	return fmt.Sprint(v)
}

// Same reports whether two texts of Text are the same value; doubles may differ
// in the last digits, where libraries round differently.
func Same(a, b string, t types.Type) bool {
	if a == b {
		return true
	}
	if t.Kind != types.Float64 && t.Kind != types.Float32 {
		return false
	}
	x, err1 := strconv.ParseFloat(a, 64)
	y, err2 := strconv.ParseFloat(b, 64)
	return err1 == nil && err2 == nil && math.Abs(x-y) <= 1e-12*max(math.Abs(x), math.Abs(y))
}
