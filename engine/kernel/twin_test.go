package kernel_test

import (
	"math"
	"math/big"
	"math/rand/v2"
	"strings"
	"testing"
	"time"

	"github.com/apache/arrow-go/v18/arrow/memory"

	"github.com/leatdb/leat/engine/kernel"
	"github.com/leatdb/leat/planner/function/functiontest"
	"github.com/leatdb/leat/sql/types"
)

// evaluateOn evaluates an expression over rows, outside strict mode.
func evaluateOn(t *testing.T, table *functiontest.Table, text string, zone *time.Location) ([]functiontest.Outcome, types.Type) {
	t.Helper()
	e, err := functiontest.Bind(text, table.Schema)
	if err != nil {
		t.Fatalf("%s: %v", text, err)
	}
	compiled, err := e.Compile(nil)
	if err != nil {
		t.Fatal(err)
	}
	return evaluateExpr(t, table, compiled, zone), e.Type
}

// evaluateExpr evaluates a compiled expression over rows, outside strict mode.
func evaluateExpr(t *testing.T, table *functiontest.Table, compiled kernel.Expr, zone *time.Location) []functiontest.Outcome {
	t.Helper()
	alloc := memory.NewCheckedAllocator(memory.DefaultAllocator)
	defer alloc.AssertSize(t, 0)
	ctx := &kernel.Context{Alloc: alloc, Now: functiontest.Now, Location: zone}
	batch := table.Batch(alloc, false, 0)
	defer functiontest.Release(batch)
	v, err := compiled.Eval(ctx, batch)
	if err != nil {
		t.Fatal(err)
	}
	defer v.Release()
	arr, err := kernel.Expand(ctx, v, batch.Rows)
	if err != nil {
		t.Fatal(err)
	}
	defer arr.Release()
	out := make([]functiontest.Outcome, batch.Rows)
	for i := range out {
		if out[i].Err = v.Errors.Row(i); out[i].Err == nil {
			out[i].Text = functiontest.Text(kernel.Value(arr, i), compiled.Type())
		}
	}
	return out
}

// randomDecimal has up to precision digits, with many zeros, nines and fives.
func randomDecimal(r *rand.Rand, precision, scale int) string {
	digits := make([]byte, 1+r.IntN(precision))
	fill := "0123456789"[r.IntN(10)]
	for i := range digits {
		if digits[i] = fill; r.IntN(3) == 0 {
			digits[i] = byte('0' + r.IntN(10))
		}
	}
	s := strings.Repeat("0", precision-len(digits)) + string(digits)
	if scale > 0 {
		s = s[:precision-scale] + "." + s[precision-scale:]
	}
	if strings.HasPrefix(s, ".") {
		s = "0" + s
	}
	if r.IntN(2) == 0 {
		return "-" + s
	}
	return s
}

func rat(t *testing.T, v any) *big.Rat {
	t.Helper()
	x, ok := new(big.Rat).SetString(v.(string))
	if !ok {
		t.Fatalf("no number %v", v)
	}
	return x
}

// roundRat rounds half away from zero to so many digits, or cuts.
func roundRat(x *big.Rat, digits int, cut bool) *big.Rat {
	unit := new(big.Rat).SetInt(new(big.Int).Exp(big.NewInt(10), big.NewInt(int64(max(digits, -digits))), nil))
	if digits < 0 {
		unit.Inv(unit)
	}
	scaled := new(big.Rat).Mul(x, unit)
	if !cut {
		half := big.NewRat(1, 2)
		if scaled.Sign() < 0 {
			half.Neg(half)
		}
		scaled.Add(scaled, half)
	}
	whole := new(big.Int).Quo(scaled.Num(), scaled.Denom())
	return new(big.Rat).Quo(new(big.Rat).SetInt(whole), unit)
}

// TestDecimalArithmetic compares with rational numbers, for narrow, wide and the
// widest types.
func TestDecimalArithmetic(t *testing.T) {
	r := rand.New(rand.NewPCG(11, 12))
	for _, c := range []struct{ p1, s1, p2, s2 int }{
		{5, 2, 4, 1}, {10, 2, 3, 2}, {18, 6, 18, 0}, {19, 0, 20, 10}, {38, 10, 38, 10}, {38, 0, 5, 5}, {38, 30, 10, 0}, {30, 15, 38, 4},
	} {
		a, b := types.NewDecimal(c.p1, c.s1), types.NewDecimal(c.p2, c.s2)
		table := &functiontest.Table{Schema: types.Schema{{Name: "a", Type: a}, {Name: "b", Type: b}}}
		for range 400 {
			table.Rows = append(table.Rows, []any{randomDecimal(r, c.p1, c.s1), randomDecimal(r, c.p2, c.s2)})
		}
		for op, of := range map[string]func(x, y *big.Rat) *big.Rat{
			"a + b": func(x, y *big.Rat) *big.Rat { return new(big.Rat).Add(x, y) },
			"a - b": func(x, y *big.Rat) *big.Rat { return new(big.Rat).Sub(x, y) },
			"a * b": func(x, y *big.Rat) *big.Rat { return new(big.Rat).Mul(x, y) },
			"a / b": func(x, y *big.Rat) *big.Rat {
				if y.Sign() == 0 {
					return nil
				}
				return new(big.Rat).Quo(x, y)
			},
			"a % b": func(x, y *big.Rat) *big.Rat {
				if y.Sign() == 0 {
					return nil
				}
				q := roundRat(new(big.Rat).Quo(x, y), 0, true)
				return new(big.Rat).Sub(x, q.Mul(q, y))
			},
			"-a":                func(x, _ *big.Rat) *big.Rat { return new(big.Rat).Neg(x) },
			"abs(a)":            func(x, _ *big.Rat) *big.Rat { return new(big.Rat).Abs(x) },
			"round(a, 1)":       func(x, _ *big.Rat) *big.Rat { return roundRat(x, 1, false) },
			"round(a)":          func(x, _ *big.Rat) *big.Rat { return roundRat(x, 0, false) },
			"round(a, -2)":      func(x, _ *big.Rat) *big.Rat { return roundRat(x, -2, false) },
			"truncate(a, 1)":    func(x, _ *big.Rat) *big.Rat { return roundRat(x, 1, true) },
			"cast(a as double)": func(x, _ *big.Rat) *big.Rat { f, _ := x.Float64(); return new(big.Rat).SetFloat64(f) },
		} {
			got, ty := evaluateOn(t, table, op, time.UTC)
			for i, row := range table.Rows {
				want := of(rat(t, row[0]), rat(t, row[1]))
				wanted := "NULL"
				if want != nil {
					if ty.Kind == types.Decimal {
						digits := ty.Scale
						if op == "a / b" {
							// First cut where MySQL's division ends, if there is room.
							d := kernel.DivisionScale(c.s1, c.s2)
							room := new(big.Rat).SetInt(new(big.Int).Exp(big.NewInt(10), big.NewInt(int64(max(0, types.MaxDecimalPrecision-d))), nil))
							if d > types.MaxDecimalPrecision || new(big.Rat).Abs(want).Cmp(room) >= 0 {
								d = min(d, types.MaxDecimalPrecision-ty.Precision+ty.Scale)
							}
							want = roundRat(want, max(d, digits), true)
						}
						want = roundRat(want, digits, false)
						limit := new(big.Rat).SetInt(new(big.Int).Exp(big.NewInt(10), big.NewInt(int64(ty.Precision-ty.Scale)), nil))
						if new(big.Rat).Abs(want).Cmp(limit) >= 0 {
							if got[i].Err == nil {
								t.Fatalf("%s of %v (%s, %s): %s does not fit %s", op, row, a, b, got[i], ty)
							}
							continue
						}
					}
					wanted = want.RatString()
				}
				if ty.Kind == types.Float64 && got[i].Err == nil {
					g, _ := rat(t, got[i].Text).Float64()
					got[i].Text = new(big.Rat).SetFloat64(g).RatString()
					f, _ := want.Float64()
					wanted = new(big.Rat).SetFloat64(f).RatString()
				}
				// Sums of wide types may not find room for both operands.
				if got[i].Err != nil && ty.Precision == types.MaxDecimalPrecision && c.s1 != c.s2 && (op == "a + b" || op == "a - b" || op == "a / b") {
					continue
				}
				if got[i].Err != nil || got[i].Text != wanted {
					t.Fatalf("%s of %v (%s, %s) as %s: %s, want %s", op, row, a, b, ty, got[i], wanted)
				}
			}
		}
	}
}

// TestIntegerArithmetic compares with big integers, at the edges of the types.
func TestIntegerArithmetic(t *testing.T) {
	edges := []int64{0, 1, -1, 2, 3, -7, math.MaxInt64, math.MinInt64, math.MaxInt64 - 1, math.MinInt64 + 1, 1 << 32, -(1 << 32), 3037000500, 4294967296}
	unsigned := []uint64{0, 1, 2, 7, math.MaxUint64, math.MaxUint64 - 1, 1 << 63, 1<<63 - 1, 1 << 32}
	table := &functiontest.Table{Schema: types.Schema{
		{Name: "a", Type: types.TypeInt64}, {Name: "b", Type: types.TypeInt64}, {Name: "u", Type: types.TypeUint64}, {Name: "v", Type: types.TypeUint64},
	}}
	for _, a := range edges {
		for _, b := range edges {
			for k, u := range unsigned {
				table.Rows = append(table.Rows, []any{a, b, u, unsigned[(k*k+int(a&3))%len(unsigned)]})
			}
		}
	}
	integer := func(v any) *big.Int {
		if u, ok := v.(uint64); ok {
			return new(big.Int).SetUint64(u)
		}
		return big.NewInt(v.(int64))
	}
	for op, of := range map[string]func(z, x, y *big.Int) *big.Int{
		"+": (*big.Int).Add, "-": (*big.Int).Sub, "*": (*big.Int).Mul, "div": (*big.Int).Quo, "%": (*big.Int).Rem,
	} {
		for _, columns := range [][2]int{{0, 1}, {0, 2}, {2, 0}, {2, 3}} {
			text := table.Schema[columns[0]].Name + " " + op + " " + table.Schema[columns[1]].Name
			got, ty := evaluateOn(t, table, text, time.UTC)
			low, high := big.NewInt(math.MinInt64), big.NewInt(math.MaxInt64)
			if ty.Kind == types.Uint64 {
				low, high = big.NewInt(0), new(big.Int).SetUint64(math.MaxUint64)
			}
			for i, row := range table.Rows {
				x, y := integer(row[columns[0]]), integer(row[columns[1]])
				if y.Sign() == 0 && (op == "div" || op == "%") {
					if got[i].Text != "NULL" {
						t.Fatalf("%s of %v: %s, want NULL", text, row, got[i])
					}
					continue
				}
				want := of(new(big.Int), x, y)
				if want.Cmp(low) < 0 || want.Cmp(high) > 0 {
					if got[i].Err == nil {
						t.Fatalf("%s of %v: %s, want an error", text, row, got[i])
					}
					continue
				}
				if got[i].Err != nil || got[i].Text != want.String() {
					t.Fatalf("%s of %v: %s, want %s", text, row, got[i], want)
				}
			}
		}
	}
}

// TestCalendar compares dates of all years with the time package.
func TestCalendar(t *testing.T) {
	table := &functiontest.Table{Schema: types.Schema{{Name: "d", Type: types.TypeDate}}}
	first := time.Date(1, 1, 1, 0, 0, 0, 0, time.UTC)
	var days []time.Time
	for d := first; d.Year() < 10000; d = d.AddDate(0, 0, 23) {
		days = append(days, d)
		table.Rows = append(table.Rows, []any{d.Unix() / 86400})
	}
	for text, of := range map[string]func(time.Time) int{
		"year(d)": time.Time.Year, "month(d)": func(d time.Time) int { return int(d.Month()) }, "day(d)": time.Time.Day,
		"dayofyear(d)": time.Time.YearDay, "dayofweek(d)": func(d time.Time) int { return int(d.Weekday()) + 1 },
		"week(d, 3)":       func(d time.Time) int { _, w := d.ISOWeek(); return w },
		"yearweek(d, 3)":   func(d time.Time) int { y, w := d.ISOWeek(); return y*100 + w },
		"day(last_day(d))": func(d time.Time) int { return d.AddDate(0, 1, 1-d.Day()).AddDate(0, 0, -1).Day() },
	} {
		got, _ := evaluateOn(t, table, text, time.UTC)
		for i, d := range days {
			if got[i].Text != big.NewInt(int64(of(d))).String() {
				t.Fatalf("%s of %s is %s, want %d", text, d.Format("2006-01-02"), got[i], of(d))
			}
		}
	}
}

// TestZones compares TIMESTAMPs shown in a zone, and back, with the time package,
// around all changes of the clocks.
func TestZones(t *testing.T) {
	for _, name := range []string{"Europe/Berlin", "America/New_York", "Asia/Kathmandu", "Australia/Lord_Howe", "America/Sao_Paulo", "UTC"} {
		zone, err := time.LoadLocation(name)
		if err != nil {
			t.Fatal(err)
		}
		table := &functiontest.Table{Schema: types.Schema{{Name: "ts", Type: types.Type{Kind: types.Timestamp, Fsp: 6}}}}
		var instants []time.Time
		for at := time.Date(1999, 1, 1, 0, 0, 0, 123456000, time.UTC); at.Year() < 2030; at = at.Add(7*time.Hour + 13*time.Minute) {
			instants = append(instants, at)
			table.Rows = append(table.Rows, []any{at.UnixMicro()})
		}
		shown, _ := evaluateOn(t, table, "date_format(ts, '%Y-%m-%d %H:%i:%s.%f')", zone)
		cast, _ := evaluateOn(t, table, "cast(ts as datetime(6))", zone)
		hours, _ := evaluateOn(t, table, "hour(ts)", zone)
		for i, at := range instants {
			want := at.In(zone).Format("2006-01-02 15:04:05.000000")
			if shown[i].Text != want || cast[i].Text != want || hours[i].Text != big.NewInt(int64(at.In(zone).Hour())).String() {
				t.Fatalf("%s in %s: %s, %s, %s, want %s", at, name, shown[i], cast[i], hours[i], want)
			}
		}
		instant := table.Schema[0].Type
		back := evaluateExpr(t, table, kernel.Cast(kernel.Cast(kernel.Column(0, instant), types.TypeDateTime), instant), zone)
		for i, at := range instants {
			// A time that clocks show twice is the first of the two.
			want := at
			if earlier := at.Add(-time.Hour); earlier.In(zone).Format("15:04") == at.In(zone).Format("15:04") {
				want = earlier
			}
			if half := at.Add(-30 * time.Minute); half.In(zone).Format("15:04") == at.In(zone).Format("15:04") {
				want = half
			}
			if back[i].Text != want.Format("2006-01-02 15:04:05.000000") {
				t.Fatalf("%s in %s and back: %s, want %s", at, name, back[i], want)
			}
		}
	}
}

// A time that clocks skip becomes the instant at which they skip it.
func TestSkippedTime(t *testing.T) {
	berlin, err := time.LoadLocation("Europe/Berlin")
	if err != nil {
		t.Fatal(err)
	}
	table := &functiontest.Table{Schema: types.Schema{{Name: "s", Type: types.TypeText}}, Rows: [][]any{
		{"2024-03-31 01:59:59"}, {"2024-03-31 02:30:00"}, {"2024-03-31 03:00:00"}, {"2024-10-27 02:30:00"}, {"2024-03-31T02:30:00Z"},
	}}
	got, _ := evaluateOn(t, table, "unix_timestamp(s)", berlin)
	for i, want := range []string{"1711846799", "1711846800", "1711846800", "1729989000", "1711852200"} {
		if got[i].Text != want {
			t.Errorf("%v is %s, want %s", table.Rows[i][0], got[i], want)
		}
	}
	now, _ := evaluateOn(t, table, "now()", berlin)
	if now[0].Text != "2024-03-01 00:34:56.000000" {
		t.Errorf("now is %s", now[0])
	}
}

// TestSubstringIndex_Piece compares the piece that two calls take out together
// with what they do when the delimiter is no constant, and with a split.
func TestSubstringIndex_Piece(t *testing.T) {
	r := rand.New(rand.NewPCG(13, 14))
	table := &functiontest.Table{Schema: types.Schema{
		{Name: "s", Type: types.TypeText}, {Name: "slash", Type: types.TypeText}, {Name: "n", Type: types.TypeInt64},
	}}
	for range 300 {
		var s strings.Builder
		for range r.IntN(12) {
			s.WriteString([]string{"/", "a", "bc", "ä", "//", "x/"}[r.IntN(6)])
		}
		table.Rows = append(table.Rows, []any{s.String(), "/", int64(1 + r.IntN(5))})
	}
	table.Rows = append(table.Rows, []any{nil, "/", int64(1)})
	for _, n := range []string{"-1", "0", "1", "2", "3", "4", "9", "n"} {
		_, got := table.Check(t, "substring_index(substring_index(s, '/', "+n+"), '/', -1)", nil)
		want, _ := evaluateOn(t, table, "substring_index(substring_index(s, slash, "+n+"), slash, -1)", nil)
		for i, row := range table.Rows {
			if got[i] != want[i] {
				t.Fatalf("piece %s of %v is %s, want %s", n, row, got[i], want[i])
			}
			if n == "2" && row[0] != nil {
				if pieces := strings.Split(row[0].(string), "/"); got[i].Text != pieces[min(1, len(pieces)-1)] {
					t.Fatalf("piece 2 of %v is %s", row, got[i])
				}
			}
		}
	}
	// Delimiters of which one is another, or longer than a byte, or none.
	for _, text := range []string{
		"substring_index(substring_index(s, '/', 2), 'a', -1)", "substring_index(substring_index(s, '//', 2), '//', -1)",
		"substring_index(substring_index(s, '', 2), '', -1)", "substring_index(substring_index(s, '/', 3), '/', -2)", "substring_index(substring_index(s, null, 3), '/', -1)",
	} {
		plain := strings.NewReplacer("s, '/'", "s, slash", "s, '//'", "s, concat(slash, '/')", "s, ''", "s, left(slash, 0)").Replace(text)
		_, got := table.Check(t, text, nil)
		want, _ := evaluateOn(t, table, plain, nil)
		for i, row := range table.Rows {
			if got[i] != want[i] {
				t.Fatalf("%s of %v is %s, want %s", text, row, got[i], want[i])
			}
		}
	}
}

// TestChangeCase compares with the case of each character.
func TestChangeCase(t *testing.T) {
	r := rand.New(rand.NewPCG(15, 16))
	table := &functiontest.Table{Schema: types.Schema{{Name: "s", Type: types.TypeText}}}
	for range 1000 {
		s := make([]rune, r.IntN(20))
		for k := range s {
			if s[k] = rune(r.IntN(128)); r.IntN(200) == 0 {
				s[k] = []rune("Äöé€Ж")[r.IntN(5)]
			}
		}
		table.Rows = append(table.Rows, []any{string(s)})
	}
	_, lower := table.Check(t, "lower(s)", nil)
	_, upper := table.Check(t, "upper(s)", nil)
	for i, row := range table.Rows {
		s := row[0].(string)
		if lower[i].Text != strings.ToLower(s) || upper[i].Text != strings.ToUpper(s) {
			t.Fatalf("%q is %q and %q", s, lower[i].Text, upper[i].Text)
		}
	}
}

// TestDateFormat_RowBefore has times that show the text of the row before, or just
// not any more: Check compares with each row alone.
func TestDateFormat_RowBefore(t *testing.T) {
	r := rand.New(rand.NewPCG(17, 18))
	table := &functiontest.Table{Schema: types.Schema{{Name: "dt", Type: types.Type{Kind: types.DateTime, Fsp: 6}}}}
	at := time.Date(1969, 12, 31, 23, 59, 58, 0, time.UTC)
	for range 300 {
		table.Rows = append(table.Rows, []any{at.UnixMicro()})
		step := []time.Duration{time.Microsecond, time.Second, time.Minute, time.Hour, 24 * time.Hour, 31 * 24 * time.Hour}[r.IntN(6)]
		at = at.Add(step * time.Duration(r.IntN(4)-1))
		if r.IntN(4) == 0 {
			at = at.Truncate(step).Add(-time.Microsecond * time.Duration(r.IntN(2)))
		}
	}
	table.Rows[17][0] = nil
	for _, format := range []string{
		"%Y-%m-%d", "%H:%i", "%a %b %c %D", "%e %j %M", "%h", "%I", "%k", "%l %p", "%r", "%S", "%s", "%T", "%f", "%U %u %V %v %W %w %X %x", "%y", "%H%%i", "%i%", "x", "",
	} {
		table.Check(t, "date_format(dt, '"+format+"')", nil)
	}
}
