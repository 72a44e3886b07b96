package json_test

import (
	"fmt"
	"math/rand/v2"
	"slices"
	"strings"
	"testing"

	"github.com/apache/arrow-go/v18/arrow"
	"github.com/apache/arrow-go/v18/arrow/memory"

	"github.com/leatdb/leat/connectors"
	"github.com/leatdb/leat/connectors/format/json"
	"github.com/leatdb/leat/engine/kernel"
	"github.com/leatdb/leat/sql/types"
)

var castTypes = []string{
	"BIGINT", "BIGINT UNSIGNED", "DOUBLE", "DECIMAL(10,2)", "DECIMAL(18,0)", "DECIMAL(18,12)", "DECIMAL(38,20)", "DATE", "DATETIME", "DATETIME(3)", "DATETIME(6)",
}

// castRows decodes what k.v is in values, and casts it to a type: what comes out
// of each row, and of how many batches the decoder made values of the type.
func castRows(t *testing.T, lines string, typ types.Type, pushed, generic bool, maxRows int) (rows []string, typed int) {
	t.Helper()
	mem := memory.NewCheckedAllocator(memory.DefaultAllocator)
	defer mem.AssertSize(t, 0)
	field := unquoted("k", "v")
	if pushed {
		field.Cast = typ
	}
	config := connectors.DecoderConfig{Fields: []connectors.Field{field, column("s", "TEXT")}, Alloc: mem}
	d, err := json.NewDecoder(config)
	if err != nil {
		t.Fatal(err)
	}
	defer d.Close()
	d.SetGeneric(generic)
	d.Reset(chunkOf([]byte(lines)))
	cast := kernel.Cast(kernel.Column(0, types.TypeText), typ)
	for {
		out, err := d.Next(maxRows)
		if err != nil {
			t.Fatal(err)
		}
		if out == nil {
			return rows, typed
		}
		if id := out.Batch.Column(0).DataType().ID(); id != arrow.STRING && id != arrow.DICTIONARY {
			typed++
		}
		for _, strict := range []bool{true, false} {
			v, err := cast.Eval(&kernel.Context{Alloc: mem, Mode: kernel.Mode{Strict: strict}}, &kernel.Batch{Columns: out.Batch.Columns(), Rows: len(out.Values)})
			if err != nil {
				t.Fatal(err)
			}
			for i, at := range out.Values {
				text := v.Array.ValueStr(i)
				if err := v.Errors.Row(i); err != nil {
					text = err.Error()
				}
				rows = append(rows, fmt.Sprintf("%d %t %s %s", at.Start, strict, text, out.Batch.Column(1).ValueStr(i)))
			}
			v.Release()
		}
		for _, r := range out.Rejected {
			rows = append(rows, fmt.Sprintf("%d %s", r.Value.Start, r.Message))
		}
		rows = append(rows, fmt.Sprint(out.Empty))
	}
}

func checkCasts(t *testing.T, lines string, maxRows int) (typed int) {
	t.Helper()
	for _, name := range castTypes {
		typ, err := types.Parse(name)
		if err != nil {
			t.Fatal(err)
		}
		for _, generic := range []bool{false, true} {
			want, _ := castRows(t, lines, typ, false, generic, maxRows)
			got, n := castRows(t, lines, typ, true, generic, maxRows)
			if !slices.Equal(got, want) {
				t.Errorf("%s of %q, generic %t: %q, want %q", name, lines, generic, got, want)
			}
			typed += n
		}
	}
	return typed
}

// TestDecoder_Cast compares casts that the decoder makes with those of the text.
func TestDecoder_Cast(t *testing.T) {
	r := rand.New(rand.NewPCG(1, 2))
	plain := []string{"0", "7", "-12", "4.25", "1234567890123", "123456789.5", `"2026-01-02"`, `"2026-01-02T03:04:05.678Z"`, `"2026-01-02 03:04:05"`}
	typed := 0
	for range 60 {
		var lines strings.Builder
		v := plain[r.IntN(len(plain))]
		for range 1 + r.IntN(40) {
			switch r.IntN(12) {
			case 0:
				fmt.Fprintf(&lines, `{"s":"none","k":{}}`)
			case 1:
				fmt.Fprintf(&lines, "{ \"\\u006b\" : {\"v\": %s } }\n", v) // for the generic decoder
			case 2:
				fmt.Fprintf(&lines, "\n{\"k\":{\"v\":%s,\"v\":%s}}\n{\"k\"", v, v)
			default:
				fmt.Fprintf(&lines, `{"k":{"v":%s},"s":"%d"}`, v, r.IntN(10))
			}
			if r.IntN(30) == 0 {
				v = hostileScalars[r.IntN(len(hostileScalars))]
			}
			lines.WriteByte('\n')
		}
		typed += checkCasts(t, lines.String(), 1+r.IntN(20))
	}
	if typed < 300 {
		t.Errorf("%d batches were cast", typed)
	}
}

// FuzzCast is TestDecoder_Cast for any value.
func FuzzCast(f *testing.F) {
	for _, v := range hostileScalars {
		f.Add(v, uint8(0))
	}
	f.Fuzz(func(t *testing.T, v string, more uint8) {
		lines := strings.Repeat(`{"k":{"v":7},"s":"x"}`+"\n", int(more%5)) + `{"k":{"v":` + v + `},"s":"y"}` + "\n" + `{"k":{"v":8}}`
		checkCasts(t, lines, 1+int(more>>4))
	})
}
