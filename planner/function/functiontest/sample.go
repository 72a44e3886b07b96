package functiontest

import (
	"fmt"
	"math"
	"math/rand/v2"
	"strings"
	"time"

	"github.com/leatdb/leat/sql/types"
)

// Schema is that of Sample: integers i, j, n, small ones m, unsigned u; doubles
// f, g; decimals d, e, big; texts s, r, numbers in text num, times in text q;
// BOOLEANs b, c; dates da, dd, date-times dt, dv, instant ts, time tm; JSON js;
// binary w; a nullable column of each type's edge cases among them.
var Schema = types.Schema{
	{Name: "i", Type: types.TypeInt64}, {Name: "j", Type: types.TypeInt64},
	{Name: "n", Type: types.Type{Kind: types.Int32}}, {Name: "m", Type: types.TypeInt64},
	{Name: "u", Type: types.TypeUint64},
	{Name: "f", Type: types.TypeFloat64}, {Name: "g", Type: types.TypeFloat64},
	{Name: "d", Type: types.NewDecimal(10, 2)}, {Name: "e", Type: types.NewDecimal(18, 6)},
	{Name: "big", Type: types.NewDecimal(38, 10)},
	{Name: "s", Type: types.NewVarchar(40)}, {Name: "r", Type: types.NewVarchar(40)},
	{Name: "num", Type: types.NewVarchar(40)}, {Name: "q", Type: types.NewVarchar(40)},
	{Name: "b", Type: types.TypeBool}, {Name: "c", Type: types.TypeBool},
	{Name: "da", Type: types.TypeDate}, {Name: "dd", Type: types.TypeDate},
	{Name: "dt", Type: types.TypeDateTime}, {Name: "dv", Type: types.TypeDateTime},
	{Name: "ts", Type: types.Type{Kind: types.Timestamp, Fsp: 6}},
	{Name: "tm", Type: types.Type{Kind: types.Time, Fsp: 6}},
	{Name: "js", Type: types.TypeJSON},
	{Name: "w", Type: types.Type{Kind: types.Binary, Name: "VARBINARY", Length: 40}},
}

// Sample is a table of random rows with many edge cases; a seed makes always the
// same.
func Sample(seed uint64, rows int) *Table {
	g := generator{rand.New(rand.NewPCG(seed, 7))}
	t := &Table{Schema: Schema}
	for range rows {
		t.Rows = append(t.Rows, []any{
			g.null(g.integer()), g.null(g.integer()),
			g.null(int64(int32(g.integer()))), g.null(int64(g.IntN(41) - 20)),
			g.null(g.unsigned()),
			g.null(g.double()), g.null(g.double()),
			g.null(g.decimal(8, 2)), g.null(g.decimal(12, 6)), g.null(g.decimal(28, 10)),
			g.null(g.text()), g.null(g.text()),
			g.null(g.number()), g.null(g.timeText()),
			g.null(g.IntN(2) == 1), g.null(g.IntN(2) == 1),
			g.null(g.micros() / 86400e6), g.null(g.micros() / 86400e6),
			g.null(g.micros()), g.null(g.micros()),
			g.null(g.micros()), g.null(g.micros() % 86400e6),
			g.null(g.json(2)), g.null([]byte(g.text())),
		})
	}
	return t
}

type generator struct{ *rand.Rand }

func (g generator) null(v any) any {
	if g.IntN(9) == 0 {
		return nil
	}
	return v
}

func pick[T any](g generator, of ...T) T { return of[g.IntN(len(of))] }

func (g generator) integer() int64 {
	switch g.IntN(4) {
	case 0:
		return pick[int64](g, 0, 1, -1, 2, 10, 100, math.MaxInt32, math.MinInt32, math.MaxInt64, math.MinInt64, math.MaxInt64-1, 1<<53+1)
	case 1:
		return int64(g.Uint64())
	}
	return int64(g.IntN(2000)) - 1000
}

func (g generator) unsigned() uint64 {
	if g.IntN(2) == 0 {
		return pick[uint64](g, 0, 1, 7, math.MaxUint64, 1<<63, math.MaxInt64)
	}
	return uint64(g.IntN(5000))
}

func (g generator) double() float64 {
	switch g.IntN(4) {
	case 0:
		return pick(g, 0, 1, -1, 0.5, -0.5, 2.5, -2.5, 1e15, 1e-7, 1e300, -1e300, 123456.789, 0.1)
	case 1:
		return float64(g.IntN(2001)-1000) / 8
	}
	return (g.Float64() - 0.5) * 1e6
}

func (g generator) decimal(whole, scale int) string {
	var digits string
	switch g.IntN(4) {
	case 0:
		digits = pick(g, "0", "1", "5", "10", strings.Repeat("9", whole))
	default:
		digits = fmt.Sprint(g.IntN(100000))
	}
	s := digits + "." + fmt.Sprintf("%030d", g.Uint64())[30-scale:]
	if g.IntN(3) == 0 {
		s = digits + "." + strings.Repeat(pick(g, "0", "5", "9"), scale)
	}
	if g.IntN(3) == 0 {
		return "-" + s
	}
	return s
}

var words = []string{
	"", " ", "a", "A", "b", "ab", "abc", "abcabc", "Hello, World", "  padded ", "äöü", "日本語", "naïve café", "a%b_c", `back\slash`,
	"1", "12", "-3", "x,y,z", "a,b", ",", "foo.bar.baz", "foo@example.com", "0", "true", "'quoted'", `"json"`, "ÀÉÎ", "\tTab", "🙂 smile",
}

func (g generator) text() string {
	if g.IntN(3) > 0 {
		return pick(g, words...)
	}
	var b strings.Builder
	for range g.IntN(8) {
		b.WriteRune(pick(g, 'a', 'b', 'A', 'B', 'c', ' ', '1', '.', ',', 'é', '日', '%', '_'))
	}
	return b.String()
}

func (g generator) number() string {
	switch g.IntN(3) {
	case 0:
		return pick(g, "0", "1", "-1", "12", "007", "1.5", "-2.75", "1e3", "3.0", "99999999999", "0.1")
	case 1:
		return fmt.Sprint(g.IntN(2000) - 1000)
	}
	return fmt.Sprintf("%.3f", (g.Float64()-0.5)*1000)
}

func (g generator) micros() int64 {
	switch g.IntN(4) {
	case 0:
		return pick(g,
			time.Date(2024, 2, 29, 0, 0, 0, 0, time.UTC), time.Date(2023, 2, 28, 23, 59, 59, 0, time.UTC),
			time.Date(2000, 1, 1, 0, 0, 0, 0, time.UTC), time.Date(2024, 12, 31, 23, 59, 59, 999999000, time.UTC),
			time.Date(1970, 1, 2, 0, 0, 0, 0, time.UTC), time.Date(2024, 1, 31, 12, 0, 0, 500000000, time.UTC),
			time.Date(2037, 12, 31, 1, 2, 3, 0, time.UTC),
		).UnixMicro()
	case 1: // whole seconds
		return (86400 + g.Int64N(2_000_000_000)) * 1e6
	}
	return 86400e6 + g.Int64N(2_000_000_000)*1e6 + g.Int64N(1e6)
}

func (g generator) timeText() string {
	t := time.UnixMicro(g.micros()).UTC()
	return t.Format(pick(g, "2006-01-02", "2006-01-02 15:04:05", "2006-01-02 15:04:05.000000", "2006-01-02 15:04"))
}

func (g generator) json(depth int) string {
	switch n := g.IntN(9); {
	case n < 2 && depth > 0:
		return fmt.Sprintf(`{"a": %s, "b": %s, "long name": %s}`, g.json(depth-1), g.json(depth-1), g.json(depth-1))
	case n < 4 && depth > 0:
		return fmt.Sprintf(`[%s, %s]`, g.json(depth-1), g.json(depth-1))
	case n == 4:
		return pick(g, "true", "false", "null")
	case n == 5:
		return fmt.Sprint(g.IntN(200) - 100)
	case n == 6:
		return fmt.Sprintf("%.2f", g.Float64()*100)
	case n == 7 && depth == 2:
		return `{"a": 1, "b": {"c": [1, 2, {"d": "deep"}]}, "e": "é\n\"x\""}`
	}
	return pick(g, `"x"`, `"abc"`, `""`, `"12"`, `"1.5"`, `"ü\u0041"`, `"2024-01-02"`)
}
