package json_test

import (
	"fmt"
	"math/rand/v2"
	"strings"
	"testing"

	"github.com/apache/arrow-go/v18/arrow"
	"github.com/apache/arrow-go/v18/arrow/memory"

	"github.com/leatdb/leat/connectors"
	"github.com/leatdb/leat/connectors/format/json"
)

// TestDecoder_Dictionaries decodes many batches with one decoder while the
// texts of each column change from few to many, short to long, NULL and back.
// What a batch says may not depend on those before it, nor on how its columns
// are represented.
func TestDecoder_Dictionaries(t *testing.T) {
	mem := memory.NewCheckedAllocator(memory.NewGoAllocator())
	defer mem.AssertSize(t, 0)
	r := rand.New(rand.NewPCG(3, 4))
	config := connectors.DecoderConfig{Alloc: mem, Fields: []connectors.Field{
		column("s", "VARCHAR(20)"), column("c", "CHAR(5)"), column("e", "TEXT"), unquoted("j", "k"),
	}}
	d, err := json.NewDecoder(config)
	if err != nil {
		t.Fatal(err)
	}
	defer d.Close()

	const batch = 300
	// text gives a value of a column in a phase of its life.
	text := func(phase, row int) string {
		switch phase {
		case 0:
			return fmt.Sprintf(`"v%d"`, r.IntN(5))
		case 1:
			return []string{`"a"`, `""`, `null`, `"a\u0000"`, `"é"`, `"\n"`}[r.IntN(6)]
		case 2: // a new one now and then
			return fmt.Sprintf(`"n%d"`, row/20)
		case 3: // long ones in the middle
			if row > batch/2 && r.IntN(4) == 0 {
				return `"` + strings.Repeat("x", 17+r.IntN(3)) + `"`
			}
			return fmt.Sprintf(`"w%d"`, r.IntN(3))
		case 4: // ever more
			return fmt.Sprintf(`"u%d"`, row)
		case 5:
			return "null"
		}
		return fmt.Sprintf(`"exactly sixteen%c"`, 'a'+byte(r.IntN(2)))
	}
	phases := make([]int, 4)
	var dictionaries, plain int
	for n := range 700 {
		for i := range phases {
			if r.IntN(60) == 0 {
				phases[i] = r.IntN(7)
			}
		}
		var data []byte
		for row := range batch {
			switch r.IntN(40) {
			case 0:
				data = append(data, "{}\n"...)
			case 1:
				data = append(data, `{"s":"rejected","c":"`+"\n"...)
			default:
				data = fmt.Appendf(data, `{"s":%s,"c":%s,"e":%s,"j":{"k":%s}}`+"\n",
					strings.ReplaceAll(text(phases[0], row), "xx", "x"), strings.ReplaceAll(text(phases[1], row), "exactly sixteen", "  "),
					text(phases[2], row), text(phases[3], row))
			}
		}
		c := chunkOf(data)
		got, _ := run(t, d, c, batch)
		want, _ := decodeAll(t, config, c, 20, true) // batches too small for dictionaries
		if len(got) != len(want) {
			t.Fatalf("batch %d: %d values, want %d", n, len(got), len(want))
		}
		for i := range got {
			if got[i].String() != want[i].String() {
				t.Fatalf("batch %d, phases %v, value %q\ngot  %v\nwant %v", n, phases, data[got[i].start:got[i].end], got[i], want[i])
			}
		}
		d.Reset(c)
		out, err := d.Next(batch)
		if err != nil {
			t.Fatal(err)
		}
		for _, a := range out.Batch.Columns() {
			if a.DataType().ID() == arrow.DICTIONARY {
				dictionaries++
			} else {
				plain++
			}
		}
	}
	if dictionaries < 100 || plain < 100 {
		t.Errorf("%d dictionary arrays and %d plain ones: the test shows nothing", dictionaries, plain)
	}
}
