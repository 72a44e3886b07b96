// Package formattest drives the decoders of formats in tests.
package formattest

import (
	"fmt"
	"math/rand/v2"
	"slices"
	"strings"
	"testing"

	"github.com/apache/arrow-go/v18/arrow"
	"github.com/apache/arrow-go/v18/arrow/array"
	"github.com/apache/arrow-go/v18/arrow/memory"

	"github.com/leatdb/leat/connectors"
	"github.com/leatdb/leat/sql/types"
)

// Schema makes columns of "name TYPE" pairs.
func Schema(tb testing.TB, columns ...string) types.Schema {
	tb.Helper()
	schema := make(types.Schema, len(columns))
	for i, c := range columns {
		name, typ, _ := strings.Cut(c, " ")
		typ, notNull := strings.CutSuffix(typ, " NOT NULL")
		parsed, err := types.Parse(typ)
		if err != nil {
			tb.Fatal(err)
		}
		schema[i] = types.Column{Name: name, Type: parsed, NotNull: notNull}
	}
	return schema
}

// Config asks a format for all columns of a schema.
func Config(tb testing.TB, name string, schema types.Schema, options ...string) connectors.DecoderConfig {
	tb.Helper()
	format, err := connectors.LookupFormat(name)
	if err != nil {
		tb.Fatal(err)
	}
	config := connectors.DecoderConfig{Schema: schema, Options: format.Spec.MustOptions(options...)}
	for _, c := range schema {
		config.Fields = append(config.Fields, connectors.Field{Column: c, Path: []string{c.Name}})
	}
	return config
}

// File makes the chunk that a files source makes of a whole file.
func File(tb testing.TB, name string, config connectors.DecoderConfig, content string) *connectors.Chunk {
	tb.Helper()
	format, err := connectors.LookupFormat(name)
	if err != nil {
		tb.Fatal(err)
	}
	if format.Layout == nil {
		return &connectors.Chunk{Data: []byte(content)}
	}
	l, err := format.Layout(config.Options)
	if err != nil {
		tb.Fatal(err)
	}
	if l == nil {
		return &connectors.Chunk{Data: []byte(content)}
	}
	n, _, err := l.Header([]byte(content), true)
	if err != nil {
		tb.Fatal(err)
	}
	return &connectors.Chunk{Data: []byte(content[n:]), Header: []byte(content[:n]), Base: int64(n)}
}

// Messages makes the chunk that a source of messages makes; an empty payload is
// a tombstone.
func Messages(payloads ...string) *connectors.Chunk {
	c := &connectors.Chunk{}
	for _, p := range payloads {
		start := int32(len(c.Data))
		c.Data = append(c.Data, p...)
		c.Records = append(c.Records, connectors.Record{Start: start, End: int32(len(c.Data)), Null: p == ""})
	}
	return c
}

// Decode gives each row, rejection and count of empty lines as a line.
func Decode(tb testing.TB, name string, config connectors.DecoderConfig, maxRows int, chunks ...*connectors.Chunk) []string {
	tb.Helper()
	format, err := connectors.LookupFormat(name)
	if err != nil {
		tb.Fatal(err)
	}
	return DecodeBy(tb, format.NewDecoder, config, maxRows, chunks...)
}

// DecodeBy is Decode with a decoder that the test makes.
func DecodeBy(tb testing.TB, newDecoder func(connectors.DecoderConfig) (connectors.Decoder, error), config connectors.DecoderConfig, maxRows int, chunks ...*connectors.Chunk) []string {
	tb.Helper()
	mem := memory.NewCheckedAllocator(memory.DefaultAllocator)
	config.Alloc = mem
	d, err := newDecoder(config)
	if err != nil {
		tb.Fatal(err)
	}
	defer mem.AssertSize(tb, 0)
	defer d.Close()
	var lines []string
	empty := 0
	for _, c := range chunks {
		d.Reset(c)
		for {
			out, err := d.Next(maxRows)
			if err != nil {
				tb.Fatal(err)
			}
			if out == nil {
				break
			}
			empty += out.Empty
			for row := range out.Values {
				var values []string
				for _, col := range out.Batch.Columns() {
					values = append(values, text(col, row))
				}
				lines = append(lines, strings.Join(values, "|"))
			}
			for _, r := range out.Rejected {
				var raw []byte
				if out.Locate != nil {
					raw, _, _ = out.Locate(r.Value)
				} else {
					raw = c.Data[r.Value.Start:r.Value.End]
				}
				lines = append(lines, fmt.Sprintf("%s %q: %s", r.Class, raw, r.Message))
			}
		}
	}
	if empty > 0 {
		lines = append(lines, fmt.Sprintf("%d empty", empty))
	}
	return lines
}

// Check compares lines.
func Check(tb testing.TB, got []string, want ...string) {
	tb.Helper()
	if strings.Join(got, "\n") != strings.Join(want, "\n") {
		tb.Errorf("got\n%s\nwant\n%s", strings.Join(got, "\n"), strings.Join(want, "\n"))
	}
}

// Columns gives a schema as a line.
func Columns(schema types.Schema) string {
	var got []string
	for _, c := range schema {
		got = append(got, c.Name+" "+c.Type.String())
	}
	return strings.Join(got, ", ")
}

// text is a value as text. A dictionary array's are those of the plain one.
func text(column arrow.Array, row int) string {
	if d, ok := column.(*array.Dictionary); ok && d.IsValid(row) {
		column, row = d.Dictionary(), d.GetValueIndex(row)
	}
	return strings.Clone(column.ValueStr(row)) // it may share the batch's memory
}

// CompareGeneric checks that a decoder gives what it gives without its fast path.
func CompareGeneric[D interface {
	connectors.Decoder
	SetGeneric(generic bool)
}](tb testing.TB, newDecoder func(connectors.DecoderConfig) (D, error), config connectors.DecoderConfig, maxRows int, chunks ...*connectors.Chunk) {
	tb.Helper()
	decode := func(generic bool) []string {
		return DecodeBy(tb, func(config connectors.DecoderConfig) (connectors.Decoder, error) {
			d, err := newDecoder(config)
			if err == nil {
				d.SetGeneric(generic)
			}
			return d, err
		}, config, maxRows, chunks...)
	}
	Check(tb, decode(false), decode(true)...)
}

// Damage changes, cuts or repeats some of a record's bytes.
func Damage(r *rand.Rand, data []byte) []byte {
	data = slices.Clone(data)
	for range 1 + r.IntN(3) {
		if len(data) == 0 {
			break
		}
		at := r.IntN(len(data))
		switch r.IntN(5) {
		case 0:
			data = data[:at]
		case 1:
			data = slices.Insert(data, at, data[at:min(at+1+r.IntN(12), len(data))]...)
		case 2:
			data = slices.Delete(data, at, min(at+1+r.IntN(4), len(data)))
		case 3:
			data[at] = byte(r.Uint32())
		default:
			data[at] ^= 1 << r.IntN(8)
		}
	}
	return data
}
