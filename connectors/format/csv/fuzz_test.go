package csv_test

import (
	stdcsv "encoding/csv"
	"errors"
	"io"
	"slices"
	"strings"
	"testing"

	"github.com/leatdb/leat/connectors"
)

const fuzzedColumns = 6

// rows reads what encoding/csv makes of the text; ok is false where it finds
// something wrong.
func rows(text string) (rows []string, ok bool) {
	r := stdcsv.NewReader(strings.NewReader(text))
	r.FieldsPerRecord = -1
	for {
		fields, err := r.Read()
		if errors.Is(err, io.EOF) {
			return rows, true
		}
		if err != nil {
			return nil, false
		}
		for len(fields) < fuzzedColumns {
			fields = append(fields, "(null)")
		}
		rows = append(rows, strings.Join(fields[:fuzzedColumns], "|"))
	}
}

// FuzzRows compares with encoding/csv what that can read, and for any bytes
// what comes out when a file is cut into chunks with what comes out in one.
func FuzzRows(f *testing.F) {
	f.Add([]byte("a,b\r\n\"c \"\"d\"\"\n\",e\n\n,\"\"\nf"), uint8(3))
	f.Add([]byte("\"a\n\"b\",c\n\"\"\"\nd\"x\n"), uint8(1))
	f.Add([]byte("#\"a\n\"#\n#b\",\"\r\n\",c\r"), uint8(2))
	f.Fuzz(func(t *testing.T, data []byte, step uint8) {
		columns := make([]string, fuzzedColumns)
		for i := range columns {
			columns[i] = string(rune('a'+i)) + " BLOB"
		}
		config := configOf(t, schemaOf(t, columns...), "header", "false", "ragged_rows", "fill", "empty_as_null", "false", "null_values", "", "comment", "#")
		format, _ := connectors.LookupFormat("csv")
		layout, err := format.Layout(config.Options)
		if err != nil {
			t.Fatal(err)
		}
		whole := decode(t, config, 1000, &connectors.Chunk{Data: slices.Clone(data), Base: 1})
		var chunks []*connectors.Chunk
		for rest, n := data, 0; len(rest) > 0; {
			n = min(n+int(step)+1, len(rest))
			cut := layout.Records(nil, rest[:n])
			switch {
			case cut > n || cut < 0 || cut > 0 && rest[cut-1] != '\n':
				t.Fatalf("Records(%q) = %d", rest[:n], cut)
			case cut == 0 && n == len(rest):
				cut = n
			case cut == 0:
				continue
			}
			chunks = append(chunks, &connectors.Chunk{Data: slices.Clone(rest[:cut]), Base: 1})
			rest, n = rest[cut:], 0
		}
		pieces := decode(t, config, 1000, chunks...)
		// What is wrong with a row may look otherwise when the rest is not there.
		for _, lines := range [][]string{whole, pieces} {
			for i := range lines {
				lines[i] = strings.TrimSuffix(strings.TrimSuffix(lines[i], ": a quoted field is not closed"), ": text follows the closing quote of a field")
			}
		}
		// The rejections of a chunk follow its rows.
		slices.Sort(whole)
		slices.Sort(pieces)
		if !slices.Equal(whole, pieces) {
			t.Errorf("%q: whole %q, in %d chunks %q", data, whole, len(chunks), pieces)
		}

		text := string(data)
		want, ok := rows(text)
		if !ok || strings.Contains(text, "#") {
			return
		}
		config = configOf(t, schemaOf(t, columns...), "header", "false", "ragged_rows", "fill", "empty_as_null", "false", "null_values", "")
		for i := range config.Fields {
			config.Fields[i].Column.Type = schemaOf(t, "x VARBINARY(0)")[0].Type
		}
		got := decodeBytes(t, config, &connectors.Chunk{Data: slices.Clone(data), Base: 1})
		if !slices.Equal(got, want) {
			t.Errorf("%q: rows %q, want %q", data, got, want)
		}
	})
}
