package datagen_test

import (
	"context"
	"encoding/json"
	"errors"
	"io"
	"math"
	"regexp"
	"slices"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/leatdb/leat/connectors"
	"github.com/leatdb/leat/connectors/datagen"
	"github.com/leatdb/leat/sql/sqlerror"
	"github.com/leatdb/leat/sql/types"
)

// schema reads "id BIGINT; name VARCHAR(20) NOT NULL".
func schema(t testing.TB, text string) types.Schema {
	t.Helper()
	var s types.Schema
	for _, column := range strings.Split(text, ";") {
		name, typ, _ := strings.Cut(strings.TrimSpace(column), " ")
		typ, notNull := strings.CutSuffix(typ, " NOT NULL")
		parsed, err := types.Parse(typ)
		if err != nil {
			t.Fatal(err)
		}
		s = append(s, types.Column{Name: name, Type: parsed, NotNull: notNull})
	}
	return s
}

func config(t testing.TB, columns string, options ...string) connectors.SourceConfig {
	t.Helper()
	cfg := connectors.SourceConfig{Name: "g", Options: datagen.Connector.Spec.MustOptions(options...)}
	if columns != "" {
		cfg.Columns = schema(t, columns)
	}
	return cfg
}

func open(t testing.TB, cfg connectors.SourceConfig, known connectors.Positions) connectors.Source {
	t.Helper()
	src, err := datagen.Connector.Open(t.Context(), cfg)
	if err != nil {
		t.Fatal(err)
	}
	splits, err := src.Splits(t.Context(), known == nil, known)
	if err != nil {
		t.Fatal(err)
	}
	all := connectors.Positions{}
	for _, s := range splits {
		all[s.ID] = s.Start
		if p, ok := known[s.ID]; ok {
			all[s.ID] = p
		}
	}
	if err := src.Assign(t.Context(), all); err != nil {
		t.Fatal(err)
	}
	return src
}

// rows reads a bounded source to its end, by split.
func rows(t testing.TB, src connectors.Source) map[string][]string {
	t.Helper()
	got := map[string][]string{}
	var c connectors.Chunk
	for {
		err := src.Poll(t.Context(), 0, &c)
		if errors.Is(err, io.EOF) {
			return got
		}
		if err != nil {
			t.Fatal(err)
		}
		if cap(c.Data) < len(c.Data)+connectors.Padding {
			t.Errorf("no padding behind %d bytes", len(c.Data))
		}
		for _, r := range c.Records {
			if r.Offset != int64(len(got[c.Split])) {
				t.Errorf("split %s: row %d, want %d", c.Split, r.Offset, len(got[c.Split]))
			}
			got[c.Split] = append(got[c.Split], string(c.Data[r.Start:r.End]))
		}
	}
}

func TestValues(t *testing.T) {
	f := func(columns string, pattern string, options ...string) {
		t.Helper()
		src := open(t, config(t, columns, append(options, "rows", "500")...), nil)
		re := regexp.MustCompile("^" + pattern + "$")
		for _, row := range rows(t, src)["0"] {
			if !json.Valid([]byte(row)) || !re.MatchString(row) {
				t.Errorf("%s %v: row %s, want %s", columns, options, row, pattern)
				return
			}
		}
	}
	f("a BOOLEAN", `\{"a":(true|false)\}`)
	f("a TINYINT", `\{"a":1?\d?\d\}`)
	f("a INT; b BIGINT", `\{"a":\d+,"b":\d+\}`)
	f("a INT", `\{"a":-[1-5]\}`, "fields.a.min", "-5", "fields.a.max", "-1")
	f("a BIGINT", `\{"a":-?\d+\}`, "fields.a.min", "-9223372036854775808", "fields.a.max", "9223372036854775807")
	f("a BIGINT UNSIGNED", `\{"a":1844674407370955161[0-5]\}`, "fields.a.min", "18446744073709551610", "fields.a.max", "18446744073709551615")
	f("a BIGINT UNSIGNED", `\{"a":\d+\}`, "fields.a.max", "18446744073709551615", "fields.a.skew", "1")
	f("a INT", `\{"a":[1-3]\}`, "fields.a.min", "1", "fields.a.max", "3", "fields.a.skew", "2")
	f("a DECIMAL(10,2)", `\{"a":\d{1,4}\.\d\d\}`)
	f("a DECIMAL(10,2)", `\{"a":-?[0-2]\.\d\d\}`, "fields.a.min", "-2.5", "fields.a.max", "2.50")
	f("a DECIMAL(38,0)", `\{"a":\d+\}`)
	f("a DOUBLE", `\{"a":\d+\.\d{6}\}`)
	f("a FLOAT", `\{"a":0\.\d{2}\}`, "fields.a.max", "0.99", "fields.a.decimals", "2")
	f("a VARCHAR(20)", `\{"a":"[a-z2-7]{10}"\}`)
	f("a CHAR(3)", `\{"a":"[a-z2-7]{3}"\}`)
	f("a TEXT", `\{"a":"[a-z2-7]{20,30}"\}`, "fields.a.length", "20-30")
	f("a TEXT", `\{"a":""\}`, "fields.a.length", "0")
	f("a BLOB; b BIT(3)", `\{"a":"[a-z2-7]{10}","b":[0-7]\}`)
	f("a ENUM('x','y:1','z,2')", `\{"a":"(x|y:1|z,2)"\}`)
	f("a TEXT", `\{"a":"(é\\"|b:c|d,e)"\}`, "fields.a.choices", `é", b\:c:2 ,d\,e:0.5`)
	f("a TEXT", `\{"a":"b"\}`, "fields.a.choices", "a:0,b:1")
	f("a INT", `\{"a":(1|-20)\}`, "fields.a.choices", "1,-20")
	f("a BOOLEAN", `\{"a":true\}`, "fields.a.choices", "yes")
	f("a BIGINT", `\{"a":1\d\d+\}`, "fields.a.sequence", "1000")
	f("a DATE", `\{"a":"2024-0[1-2]-\d\d"\}`, "fields.a.min", "2024-01-01", "fields.a.max", "2024-02-29")
	f("a TIME; b TIME(3)", `\{"a":"[0-2]\d:[0-5]\d:[0-5]\d","b":"[0-2]\d:[0-5]\d:[0-5]\d\.\d{3}"\}`)
	f("a DATETIME", `\{"a":"20\d\d-\d\d-\d\d \d\d:\d\d:\d\d"\}`)
	f("a TIMESTAMP(6)", `\{"a":"20\d\d-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{6}Z"\}`)
	f("a INT", `\{"a":null\}`, "fields.a.null_ratio", "1")
	f("a INT", `\{"a":\d+\}`, "fields.A.null_ratio", "0")
	f("a JSON", `\{"a":\{\}\}`)
	f("r JSON", `\{"r":\{"device":\{"os":"(ios|android)","v":\d\.\d\},"id":\d+,"at":"2020-.*Z","ok":(true|false|null)\}\}`,
		"fields.r.device.os.choices", "ios,android", "fields.r.device.v.min", "0", "fields.r.device.v.max", "9.9",
		"fields.r.id.sequence", "0", "fields.r.at.start", "2020-01-01", "fields.r.ok.type", "BOOLEAN", "fields.r.ok.null_ratio", "0.5")
	f("r JSON", `\{"r":(null|\{"a":"x"\})\}`, "fields.r.null_ratio", "0.5", "fields.r.a.choices", "x")
	f("items JSON", `\{"items":\[(\{"sku":"[ab]","n":\d\}(,\{"sku":"[ab]","n":\d\}){0,2})?\]\}`,
		"fields.items.length", "0-3", "fields.items[].sku.choices", "a,b", "fields.items[].n.max", "9")
	f("tags JSON", `\{"tags":\["[a-z2-7]{2}","[a-z2-7]{2}"\]\}`, "fields.tags[].length", "2", "fields.tags.length", "2")
}

func TestValues_Series(t *testing.T) {
	src := open(t, config(t, "id BIGINT; at DATETIME(3); late DATETIME", "rows", "6", "splits", "2",
		"fields.id.sequence", "10", "fields.at.start", "1969-12-31 23:59:59", "fields.at.interval", "500ms",
		"fields.late.start", "2024-03-01", "fields.late.jitter", "1s"), nil)
	got := rows(t, src)
	strip := regexp.MustCompile(`,"late.*`)
	for split, want := range map[string][]string{
		"0": {`{"id":10,"at":"1969-12-31 23:59:59.000"`, `{"id":12,"at":"1970-01-01 00:00:00.000"`, `{"id":14,"at":"1970-01-01 00:00:01.000"`},
		"1": {`{"id":11,"at":"1969-12-31 23:59:59.500"`, `{"id":13,"at":"1970-01-01 00:00:00.500"`, `{"id":15,"at":"1970-01-01 00:00:01.500"`},
	} {
		for i, row := range got[split] {
			if strip.ReplaceAllString(row, "") != want[i] {
				t.Errorf("split %s row %d: %s, want %s", split, i, row, want[i])
			}
			if late := row[len(row)-21 : len(row)-2]; late < "2024-02-29 23:59:59" || late > "2024-03-01 00:00:06" {
				t.Errorf("late=%s", late)
			}
		}
	}
}

// Times are written as the standard library would.
func TestValues_Dates(t *testing.T) {
	src := open(t, config(t, "d DATETIME(6)", "rows", "5000", "fields.d.min", "0001-01-01", "fields.d.max", "9999-12-31 23:59:59.999999"), nil)
	seen := map[string]bool{}
	for _, row := range rows(t, src)["0"] {
		text := row[len(`{"d":"`) : len(row)-2]
		at, err := time.Parse("2006-01-02 15:04:05.000000", text)
		if err != nil || at.Format("2006-01-02 15:04:05.000000") != text {
			t.Errorf("%s: %v", text, err)
		}
		seen[text[5:7]] = true
	}
	if len(seen) != 12 {
		t.Errorf("months %v", seen)
	}
}

func TestSameRowsForASeed(t *testing.T) {
	columns := "id BIGINT; f DECIMAL(10,2); s TEXT; at TIMESTAMP(3); r JSON"
	options := []string{
		"rows", "1000", "splits", "3", "seed", "42", "fields.id.skew", "1.1", "fields.s.length", "1-20", "fields.s.null_ratio", "0.2",
		"fields.at.min", "2024-01-01", "fields.at.max", "2025-01-01", "fields.r.x[].length", "3",
	}
	whole := rows(t, open(t, config(t, columns, append(options, "chunk_bytes", "1MiB")...), nil))
	if n := len(whole["0"]) + len(whole["1"]) + len(whole["2"]); n != 1000 || len(whole["0"]) != 334 || len(whole["2"]) != 333 {
		t.Errorf("%d rows: %d, %d, %d", n, len(whole["0"]), len(whole["1"]), len(whole["2"]))
	}
	if whole["0"][0] == whole["1"][0] || whole["0"][0] == whole["0"][1] {
		t.Error("rows repeat")
	}
	if other := rows(t, open(t, config(t, columns, append(options[:4:4], "seed", "43")...), nil)); other["0"][0] == whole["0"][0] {
		t.Error("another seed makes the same row")
	}

	// Stopped and resumed after every chunk.
	pieces := map[string][]string{}
	var known connectors.Positions
	for {
		src := open(t, config(t, columns, append(options, "chunk_bytes", "1024")...), known)
		var c connectors.Chunk
		err := src.Poll(t.Context(), 0, &c)
		if errors.Is(err, io.EOF) {
			break
		}
		if err != nil {
			t.Fatal(err)
		}
		for _, r := range c.Records {
			pieces[c.Split] = append(pieces[c.Split], string(c.Data[r.Start:r.End]))
		}
		known = src.Positions()
	}
	for split, want := range whole {
		if !slices.Equal(pieces[split], want) {
			t.Errorf("split %s: rows differ after resuming", split)
		}
	}
}

func TestDistributions(t *testing.T) {
	const n = 20000
	count := func(columns string, options ...string) map[string]float64 {
		t.Helper()
		shares := map[string]float64{}
		for _, row := range rows(t, open(t, config(t, columns, append(options, "rows", "20000")...), nil))["0"] {
			shares[strings.TrimSuffix(strings.TrimPrefix(row, `{"a":`), "}")] += 1.0 / n
		}
		return shares
	}
	near := func(name string, got, want float64) {
		t.Helper()
		if math.Abs(got-want) > 0.02 {
			t.Errorf("%s: share %.3f, want %.3f", name, got, want)
		}
	}
	w := count("a TEXT", "fields.a.choices", "x:6,y:3,z:1", "fields.a.null_ratio", "0.5")
	near("x", w[`"x"`], 0.3)
	near("y", w[`"y"`], 0.15)
	near("z", w[`"z"`], 0.05)
	near("null", w["null"], 0.5)
	z := count("a TEXT", "fields.a.choices", "x,y,z,w", "fields.a.skew", "1")
	for i, name := range []string{"x", "y", "z", "w"} {
		near("zipf "+name, z[`"`+name+`"`], 1/float64(i+1)/(1+1.0/2+1.0/3+1.0/4))
	}
	u := count("a INT", "fields.a.min", "1", "fields.a.max", "10")
	for _, share := range u {
		near("uniform", share, 0.1)
	}
	if len(u) != 10 {
		t.Errorf("%d values, want 10", len(u))
	}
	s := count("a INT", "fields.a.min", "0", "fields.a.max", "999999", "fields.a.skew", "1.2")
	if s["0"] < 0.05 || s["0"] < s["1"] || s["1"] < s["5"] || len(s) < 1000 {
		t.Errorf("skewed range: %d values, shares %.3f %.3f %.3f", len(s), s["0"], s["1"], s["5"])
	}
}

func TestRate(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		cfg := config(t, "id BIGINT; at TIMESTAMP(6)", "rows_per_second", "1000", "splits", "2")
		src := open(t, cfg, nil)
		began := time.Now()
		n := 0
		var c connectors.Chunk
		poll := func(seconds float64) {
			t.Helper()
			ctx, cancel := context.WithDeadline(t.Context(), began.Add(time.Duration(seconds*float64(time.Second))))
			defer cancel()
			for {
				err := src.Poll(ctx, 0, &c)
				if errors.Is(err, context.DeadlineExceeded) {
					return
				}
				if err != nil {
					t.Fatal(err)
				}
				n += len(c.Records)
			}
		}
		poll(2)
		if n < 1980 || n > 2001 {
			t.Errorf("%d rows in 2 s, want about 2000", n)
		}
		if len(c.Records) > 20 {
			t.Errorf("%d rows at once", len(c.Records))
		}
		// What was missed for a long time is not made up for.
		time.Sleep(time.Minute)
		n = 0
		began = time.Now()
		poll(1)
		if n < 1980 || n > 2010 {
			t.Errorf("%d rows, want about 2000", n)
		}
		if p := src.Progress(); p.Lag != -1 || !p.Behind.After(began) || src.Bounded() {
			t.Errorf("progress %+v", p)
		}
	})
}

func TestRate_Default(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		src := open(t, config(t, "id BIGINT"), nil)
		began := time.Now()
		var c connectors.Chunk
		for n := 0; n < 201; n += len(c.Records) {
			if err := src.Poll(t.Context(), 0, &c); err != nil {
				t.Fatal(err)
			}
		}
		if took := time.Since(began); took < 1900*time.Millisecond || took > 2100*time.Millisecond {
			t.Errorf("201 rows took %v, want 2 s", took)
		}
	})
}

func TestLanes_EachRowOnce(t *testing.T) {
	cfg := config(t, "id BIGINT", "rows", "10000", "fields.id.sequence", "0", "chunk_bytes", "1024", "splits", "3")
	cfg.Lanes = 4
	src := open(t, cfg, nil)
	var mu sync.Mutex
	seen := map[string]bool{}
	var wg sync.WaitGroup
	for lane := range 4 {
		wg.Go(func() {
			var c connectors.Chunk
			for {
				err := src.Poll(t.Context(), lane, &c)
				if errors.Is(err, io.EOF) {
					return
				}
				if err != nil {
					t.Error(err)
					return
				}
				mu.Lock()
				for _, r := range c.Records {
					seen[string(c.Data[r.Start:r.End])] = true
				}
				mu.Unlock()
				src.Progress()
				src.Positions()
			}
		})
	}
	wg.Wait()
	if len(seen) != 10000 {
		t.Errorf("%d different rows, want 10000", len(seen))
	}
	if p := src.Progress(); p.Lag != 0 || p.Finished != 3 {
		t.Errorf("progress %+v", p)
	}
}

func TestPoll_ContextEndsWithNothingConsumed(t *testing.T) {
	src := open(t, config(t, "id BIGINT", "rows", "10"), nil)
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	var c connectors.Chunk
	if err := src.Poll(ctx, 0, &c); !errors.Is(err, context.Canceled) {
		t.Errorf("err=%v", err)
	}
	if p := src.Positions()["0"]; p != `{"row":0}` {
		t.Errorf("position %s", p)
	}
	ends, err := src.Ends(t.Context())
	if err != nil || !src.Reached("0", `{"row":0}`, ends["0"]) || src.Reached("0", `{"row":0}`, `{"row":1}`) {
		t.Errorf("ends %v, %v", ends, err)
	}
}

func TestHiddenColumns(t *testing.T) {
	cfg := config(t, "id BIGINT", "rows", "3")
	cfg.Hidden = []string{"_offset", "_partition"}
	src := open(t, cfg, nil)
	var c connectors.Chunk
	if err := src.Poll(t.Context(), 0, &c); err != nil {
		t.Fatal(err)
	}
	if !slices.Equal(c.Hidden[0].Ints, []int64{0, 1, 2}) || !slices.Equal(c.Hidden[1].Ints, []int64{0, 0, 0}) {
		t.Errorf("hidden %+v", c.Hidden)
	}
}

func TestCheck_Errors(t *testing.T) {
	f := func(columns, want string, options ...string) {
		t.Helper()
		err := datagen.Connector.Check(t.Context(), config(t, columns, options...))
		if err == nil || !strings.Contains(err.Error(), want) || !strings.HasPrefix(err.Error(), "source g: ") || sqlerror.IsRetryable(err) {
			t.Errorf("%s %v: %v, want %q", columns, options, err, want)
		}
	}
	f("", "datagen needs columns")
	f("id BIGINT", `option "fields.di.min": there is no column di (did you mean "id"?)`, "fields.di.min", "1")
	f("id BIGINT", `"mni" is no property (did you mean "min"?)`, "fields.id.mni", "1")
	f("id BIGINT", "expected fields.<column>.<property>", "fields.id", "1")
	f("id BIGINT", "expected fields.<column>.<property>", "fields.id..min", "1")
	f("id BIGINT", "column id is BIGINT and has no members", "fields.id.x.min", "1")
	f("id TINYINT", `option "fields.id.max": "200" does not fit TINYINT`, "fields.id.max", "200")
	f("id TINYINT UNSIGNED", `"-1" does not fit`, "fields.id.min", "-1")
	f("id BIGINT", "it is more than max", "fields.id.min", "5", "fields.id.max", "4")
	f("id BIGINT", `option "fields.id.length": it means nothing here (id takes min, max, skew, sequence and null_ratio)`, "fields.id.length", "4")
	f("id BIGINT", `"many" is no exponent`, "fields.id.skew", "many")
	f("id BIGINT", `"1.5" is no number from 0 to 1`, "fields.id.null_ratio", "1.5")
	f("id BIGINT NOT NULL", "column id is NOT NULL", "fields.id.null_ratio", "0.5")
	f("id BIGINT", "the column is declared as BIGINT", "fields.id.type", "TEXT")
	f("id BIGINT", `"x" is no number`, "fields.id.choices", "1,x")
	f("s TEXT", "a colon within a choice takes a backslash", "fields.s.choices", "10:30 h")
	f("s TEXT", "the weights must have a sum above 0", "fields.s.choices", "a:0")
	f("s VARCHAR(5)", "6 is more than VARCHAR(5) holds", "fields.s.length", "6")
	f("s TEXT", "is no length", "fields.s.length", "9-3")
	f("d DECIMAL(5,2)", "does not fit, with 5 digits, 2 of them decimals", "fields.d.max", "1.234")
	f("t TIMESTAMP", "is no time", "fields.t.start", "yesterday")
	f("t TIMESTAMP", "it needs a start other than 'now'", "fields.t.interval", "1s")
	f("t TIMESTAMP", "min and max belong together", "fields.t.min", "2024-01-01")
	f("t TIMESTAMP", "is not a duration", "fields.t.jitter", "5")
	f("j JSON", "it is an array by one option and something else by another", "fields.j[].min", "1", "fields.j.x.min", "1")
	f("j JSON", "expected a type", "fields.j.x.type", "")

	src := open(t, config(t, "id BIGINT"), nil)
	if err := src.Assign(t.Context(), connectors.Positions{"7": "x"}); err != nil {
		t.Errorf("a split of an earlier definition: %v", err)
	}
	src, err := datagen.Connector.Open(t.Context(), config(t, "id BIGINT"))
	if err != nil {
		t.Fatal(err)
	}
	for _, p := range []connectors.Position{"x", `{"row":-1}`} {
		if err := src.Assign(t.Context(), connectors.Positions{"0": p}); err == nil {
			t.Errorf("position %s is accepted", p)
		}
	}
}

func FuzzOptions(f *testing.F) {
	f.Add("a.b[].c.choices", "x:1,y\\:2")
	f.Add("a.length", "1-5")
	f.Fuzz(func(t *testing.T, name, value string) {
		if strings.Contains(value, "${") {
			t.Skip("names files of the machine")
		}
		cfg := connectors.SourceConfig{
			Options: datagen.Connector.Spec.MustOptions("fields."+name, value, "rows", "3"),
			Columns: schema(t, "a JSON; b INT; c TEXT; d DECIMAL(10,2); e TIMESTAMP(3)"),
		}
		src, err := datagen.Connector.Open(t.Context(), cfg)
		if err != nil {
			return
		}
		if err := src.Assign(t.Context(), connectors.Positions{"0": ""}); err != nil {
			t.Fatal(err)
		}
		for _, row := range rows(t, src)["0"] {
			if !json.Valid([]byte(row)) {
				t.Errorf("row %s", row)
			}
		}
	})
}

func BenchmarkPoll(b *testing.B) {
	cfg := config(b, "trip_id BIGINT; pickup_location_id INT; dropoff_location_id INT; pickup_at TIMESTAMP(3); dropoff_at TIMESTAMP(3); fare DECIMAL(10,2); tip DECIMAL(10,2); distance DOUBLE; vendor TEXT; payment TEXT; note TEXT; rider JSON",
		"rows_per_second", "0", "fields.trip_id.sequence", "0", "fields.pickup_location_id.skew", "1.1", "fields.pickup_location_id.max", "265",
		"fields.dropoff_location_id.max", "265", "fields.pickup_at.start", "2024-01-01", "fields.pickup_at.interval", "10ms", "fields.dropoff_at.start", "2024-01-01", "fields.dropoff_at.jitter", "1h",
		"fields.vendor.choices", "yellow,green,fhv", "fields.payment.choices", "card:6,cash:3,other", "fields.payment.null_ratio", "0.05", "fields.note.length", "20-60",
		"fields.rider.id.max", "1000000", "fields.rider.device.os.choices", "ios,android", "fields.rider.device.version.length", "6")
	src := open(b, cfg, nil)
	var c connectors.Chunk
	b.ReportAllocs()
	bytes, n := 0, 0
	for b.Loop() {
		if err := src.Poll(b.Context(), 0, &c); err != nil {
			b.Fatal(err)
		}
		bytes += len(c.Data)
		n += len(c.Records)
	}
	b.ReportMetric(float64(bytes)/b.Elapsed().Seconds()/1e6, "MB/s")
	b.ReportMetric(float64(n)/b.Elapsed().Seconds(), "rows/s")
}
