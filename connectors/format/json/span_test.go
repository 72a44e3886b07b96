package json_test

import (
	"bytes"
	"fmt"
	"math/rand/v2"
	"slices"
	"testing"

	bench "github.com/leatdb/leat/bench/taxi"
	"github.com/leatdb/leat/connectors"
	"github.com/leatdb/leat/connectors/format/json"
)

// eachAssembly runs a test with spans passed by Go and by the assembly that the
// processor can run.
func eachAssembly(t *testing.T, f func(t *testing.T)) {
	for i, name := range []string{"Go", "AVX2", "AVX-512"} {
		undo, ok := json.SetSpans(true, json.Assembly(i))
		if ok {
			t.Run(name, f)
		}
		undo()
	}
}

// narrowFields are two of the 20 fields of bench/taxi.
func narrowFields() []connectors.Field {
	return []connectors.Field{column("fare", "DECIMAL(10,2)"), column("tip", "DECIMAL(10,2)")}
}

func TestIndexSpecials(t *testing.T) {
	r := rand.New(rand.NewPCG(1, 2))
	eachAssembly(t, func(t *testing.T) {
		for range 2000 {
			data := make([]byte, r.IntN(400))
			for i := range data {
				switch r.IntN(4) {
				case 0:
					data[i] = byte(r.IntN(256))
				case 1:
					data[i] = "\"\\\n"[r.IntN(3)]
				default:
					data[i] = byte('a' + r.IntN(26))
				}
			}
			data = chunkOf(data).Data
			i := r.IntN(len(data) + 1)
			n := r.IntN(len(data) - i + 1)
			var want []uint32
			for at := i; at < i+n; at++ {
				if c := data[at]; c == '"' || c == '\\' || c == '\n' {
					want = append(want, uint32(at))
				}
			}
			if got := json.IndexSpecials(data, i, n); !slices.Equal(got, want) {
				t.Fatalf("%q[%d:%d]: %v, want %v", data, i, i+n, got, want)
			}
		}
	})
}

func TestLineRest(t *testing.T) {
	undo, ok := json.SetSpans(true, 1)
	defer undo()
	if !ok {
		t.Skip("the processor has no AVX2")
	}
	r := rand.New(rand.NewPCG(1, 3))
	for range 20_000 {
		line := make([]byte, r.IntN(150))
		for i := range line {
			line[i] = "aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa{{ :,[}"[r.IntN(37)]
			if r.IntN(8) == 0 && i+1 < len(line) {
				line[i+1] = '{'
			}
		}
		line = chunkOf(line).Data
		i := r.IntN(len(line) + 1)
		at, end, ok := json.LineRest(line, i)
		if at < 0 {
			continue // Go has the word
		}
		for at > i && line[at-1] == ' ' {
			at--
		}
		if !ok || at != end {
			t.Fatalf("%q from %d: %d, want %d, %v", line, i, at, end, ok)
		}
		// What lies behind the line does not matter.
		broken := chunkOf(append(bytes.Clone(line), "\n{x {"...)).Data
		if again, _, _ := json.LineRest(broken, i); again != len(line) {
			t.Fatalf("%q from %d: %d, want %d", broken, i, again, len(line))
		}
	}
}

// TestSpans_AreLearned looks at whether there are any, and whether they are of use:
// without them the other tests show nothing.
func TestSpans_AreLearned(t *testing.T) {
	f := func(t *testing.T, name string, fields []connectors.Field, validation connectors.Validation, spans, steps int, pay bool) {
		t.Helper()
		t.Run(name, func(t *testing.T) {
			d, err := json.NewDecoder(connectors.DecoderConfig{Fields: fields, Validation: validation})
			if err != nil {
				t.Fatal(err)
			}
			defer d.Close()
			for range 2 {
				d.Reset(trips(0))
				for {
					out, err := d.Next(1000)
					if err != nil {
						t.Fatal(err)
					}
					if out == nil {
						break
					}
				}
			}
			if gotSpans, gotSteps := d.Spans(); gotSpans != spans || gotSteps != steps || d.SpansPay() != pay {
				t.Errorf("%d spans of %d values, of use: %v; want %d, %d, %v", gotSpans, gotSteps, d.SpansPay(), spans, steps, pay)
			}
		})
	}
	eachAssembly(t, func(t *testing.T) {
		// Eleven values lie before the fare, two before the tip, and seven behind it,
		// three of them in an object.
		f(t, "Narrow", narrowFields(), connectors.ValidationStructure, 3, 20, true)
		f(t, "NarrowProjected", narrowFields(), connectors.ValidationProjected, 2, 13, true)
		// None of the runs is long, but there are three.
		short := []connectors.Field{column("passengers", "INT"), column("rate_code", "TEXT"), column("extra", "DECIMAL(10,2)")}
		f(t, "ShortProjected", short, connectors.ValidationProjected, 3, 10, true)
		// Three values of 22 are too few for an index of all. Passed one by one, the
		// second of them gets a span as well.
		f(t, "Few", slices.Concat(tripFields()[:2], tripFields()[5:]), connectors.ValidationStructure, 2, 5, false)
	})
}

// TestSpans_PayAgain has lines of which hardly anything is passed, and then others.
func TestSpans_PayAgain(t *testing.T) {
	var data []byte
	for n := range 8000 {
		if n < 4000 {
			data = fmt.Appendf(data, `{"fare":%d,"a":1,"b":2,"tip":%d,"note":"%0400d"}`+"\n", n, n, n)
		} else {
			data = fmt.Appendf(data, `{"fare":%d,"a":1,"b":2,"c":3,"d":"x","e":5,"f":6,"g":"y","h":8,"tip":%d}`+"\n", n, n)
		}
	}
	config := connectors.DecoderConfig{Fields: append(narrowFields(), column("note", "TEXT"))}
	eachAssembly(t, func(t *testing.T) {
		d, err := json.NewDecoder(config)
		if err != nil {
			t.Fatal(err)
		}
		defer d.Close()
		d.Reset(chunkOf(data))
		var pay []bool
		for range 8 {
			if _, err := d.Next(1000); err != nil {
				t.Fatal(err)
			}
			pay = append(pay, d.SpansPay())
		}
		if pay[3] || !pay[7] {
			t.Errorf("spans are of use after each 1000 lines: %v", pay)
		}
		compare(t, config, chunkOf(data))
	})
}

// TestSpans_Trips compares the decoders on events of which few fields are wanted.
func TestSpans_Trips(t *testing.T) {
	eachAssembly(t, func(t *testing.T) {
		for _, dirt := range []float64{0, 0.1, 1} {
			chunk := trips(dirt)
			compareNarrow(t, 0, chunkOf(chunk.Data[:len(chunk.Data)/16]))
		}
		for _, g := range []taxi{{}, {dirty: 0.1}, {dirty: 0.7}, {shuffled: true, dirty: 0.3}, {spaced: true}} {
			g.r = rand.New(rand.NewPCG(3, 4))
			lines := g.lines(150)
			compareNarrow(t, 0, chunkOf(lines))
			compareNarrow(t, 0, chunkOfRecords(bytes.SplitAfter(lines, []byte("\n"))...))
			compareNarrow(t, 1<<2, chunkOf(lines))
		}
	})
}

// compareNarrow compares decoders that want little.
func compareNarrow(t testing.TB, choice uint8, c *connectors.Chunk) {
	t.Helper()
	rider := unquoted("rider", "rating")
	for _, fields := range [][]connectors.Field{
		nil, narrowFields(), {column("note", "TEXT")}, {column("trip_id", "BIGINT"), rider}, {column("rate_code", "VARCHAR(20)"), column("no_such", "INT")},
	} {
		config := hostileConfig(choice)
		config.Fields = fields
		compare(t, config, c)
	}
}

// mangled is lines of one shape, some of them broken in a place or two.
func mangled(r *rand.Rand, lines [][]byte, share float64) []byte {
	var data []byte
	for _, line := range lines {
		line = bytes.Clone(line)
		if r.Float64() < share {
			for range 1 + r.IntN(2) {
				line = mangle(r, line)
			}
		}
		data = append(append(data, line...), '\n')
	}
	return data[:len(data)-r.IntN(2)]
}

// TestSpans_Mangled breaks lines anywhere: none that is broken may pass for good
// because it is like the others.
func TestSpans_Mangled(t *testing.T) {
	rounds := 40
	if testing.Short() {
		rounds = 6
	}
	g := bench.NewGenerator(2, bench.Dirt{Share: 0.02})
	eachAssembly(t, func(t *testing.T) {
		for seed := range rounds {
			r := rand.New(rand.NewPCG(uint64(seed), 8))
			var lines [][]byte
			for n := range 60 + int64(r.IntN(60)) {
				lines = append(lines, g.Append(nil, n))
			}
			compareNarrow(t, uint8(r.Uint32())&^(1<<6), chunkOf(mangled(r, lines, 0.3)))
			if seed%4 == 0 {
				compareNarrow(t, uint8(r.Uint32())&^(1<<6), chunkOfRecords(bytes.SplitAfter(mangled(r, lines, 0.3), []byte("\n"))...))
			}
		}
	})
}

// TestSpans_Shapes is lines that are nearly what a span expects.
func TestSpans_Shapes(t *testing.T) {
	const usual = `{"a":1,"b":"x","c":{"d":"y","e":[1,2],"f":{"g":null,"h":"z"}},"i":true,"j":"","k":-1.5e3,"l":"w","m":2,"n":3,"tip":4.25,"o":1,"p":"q"}`
	f := func(from, to string) {
		t.Helper()
		unusual := bytes.Replace([]byte(usual), []byte(from), []byte(to), 1)
		if bytes.Equal(unusual, []byte(usual)) && from != to {
			t.Fatalf("%s is not there", from)
		}
		var lines [][]byte
		for range 50 {
			lines = append(lines, []byte(usual))
		}
		lines = append(lines, unusual, []byte(usual), unusual)
		eachAssembly(t, func(t *testing.T) {
			compareNarrow(t, 0, chunkOf(bytes.Join(lines, []byte("\n"))))
			compareNarrow(t, 0, chunkOfRecords(lines...))
		})
	}
	f(`1`, `1`)
	f(`"b":"x"`, `"b":"\"x"`)
	f(`"b":"x"`, `"b":"x\\"`)
	f(`"b":"x"`, `"b":"x\",\"c\":{\"d\":\"y\"`)
	f(`"b":"x"`, "\"b\":\"x\ty\"")
	f(`"b":"x"`, "\"b\":\"x\ny\"")
	f(`"b":"x"`, `"b":"é, 日本"`)
	f(`"b":"x"`, `"b":x`)
	f(`"b":"x"`, `"b":"x`)
	f(`"b":"x"`, `"b":"a string of more than thirty-two bytes, so that several words of it are looked at"`)
	f(`"b":"x"`, `"tip":"x"`)
	f(`"b":"x"`, `"fare":7,"b":"x"`)
	f(`"b":"x"`, `"b":"x" , "bb":1`)
	f(`"b":"x"`, `"\u0062":"x"`)
	f(`"c":{`, `"c":[`)
	f(`"c":{`, `"c":{"tip":5,`)
	f(`"h":"z"}}`, `"h":"z"}`)
	f(`"h":"z"}}`, `"h":"z"}}}`)
	f(`"h":"z"}}`, `"h":"z"]}`)
	f(`"i":true`, `"i":tr ue`)
	f(`"i":true`, `"i":tru`)
	f(`"i":true`, `"i":`)
	f(`"i":true`, `"i":"true"`)
	f(`"i":true`, `"i":123456789012345678901234567890123456789012345678901234567890`)
	f(`"i":true`, `"i":1234567890123456789012345678901`)
	f(`"i":true`, `"i":12345678901234567890123456789012`)
	f(`"i":true`, `"i":+1`)
	f(`"i":true`, `"i":1e+5`)
	f(`"i":true`, `"i":true,"i":1`)
	f(`"i":true`, `"i":[]`)
	f(`"i":true`, `"i":{}`)
	f(`"i":true`, `"i":1:2`)
	f(`"i":true`, `"i" :true`)
	f(`"n":3,`, `"n":3,"tip":5,`)
	f(`"n":3,`, `"n":3`)
	f(`"n":3,`, `"n":3,,`)
	f(`"p":"q"}`, `"p":"q"} `)
	f(`"p":"q"}`, `"p":"q"}x`)
	f(`"p":"q"}`, `"p":"q"`)
	f(`"p":"q"}`, `"p":"q`)
	f(`"p":"q"}`, `"p":"q"}{"tip":1}`)
	f(`"p":"q"}`, `"p":5}`)
}

// TestSpans_Windows has records that lie across parts of the index, are longer
// than one, and have more quotes than bytes for the eye.
func TestSpans_Windows(t *testing.T) {
	r := rand.New(rand.NewPCG(5, 6))
	g := bench.NewGenerator(3, bench.Dirt{})
	var lines [][]byte
	for n := range int64(400) {
		line := g.Append(nil, n)
		switch r.IntN(20) {
		case 0:
			line = bytes.Replace(line, []byte(`"note":"`), slices.Concat([]byte(`"note":"`), bytes.Repeat([]byte("long "), r.IntN(8000))), 1)
		case 1:
			line = bytes.Replace(line, []byte(`"note":"`), slices.Concat([]byte(`"empty":[""`), bytes.Repeat([]byte(`,""`), r.IntN(8000)), []byte(`],"note":"`)), 1)
		}
		lines = append(lines, line)
	}
	eachAssembly(t, func(t *testing.T) {
		compareNarrow(t, 0, chunkOf(bytes.Join(lines, []byte("\n"))))
		compareNarrow(t, 0, chunkOfRecords(lines...))
	})
}

// FuzzSpans has a line many times, another one, and the first again.
func FuzzSpans(f *testing.F) {
	g := bench.NewGenerator(1, bench.Dirt{})
	r := rand.New(rand.NewPCG(1, 1))
	for n := range int64(20) {
		f.Add(g.Append(nil, n), mangle(r, g.Append(nil, n)), uint8(n*13))
	}
	f.Add([]byte(`{"a":1,"b":"x","c":{"d":"y"},"e":2,"f":3,"g":4,"h":5,"i":6,"tip":1}`), []byte(`{"a":1,"b":"x\"","c":{"d":"y"},"e":2,"f":3,"g":4,"h":5,"i":6,"tip":1}`), uint8(0))
	f.Fuzz(func(t *testing.T, usual, other []byte, choice uint8) {
		if len(usual)+len(other) > 4<<10 {
			return
		}
		lines := bytes.Repeat(append(bytes.Clone(usual), '\n'), 40)
		lines = append(append(append(lines, other...), '\n'), usual...)
		for most := range json.Assembly(3) {
			undo, ok := json.SetSpans(true, most)
			if ok {
				config := hostileConfig(choice)
				config.Fields = narrowFields()
				compare(t, config, chunkOf(lines))
			}
			undo()
		}
	})
}
