package csv_test

import (
	"fmt"
	"strings"
	"testing"

	"github.com/apache/arrow-go/v18/arrow/array"

	"github.com/leatdb/leat/connectors"
	"github.com/leatdb/leat/connectors/format/csv"
	"github.com/leatdb/leat/connectors/format/internal/formattest"
	"github.com/leatdb/leat/sql/types"
)

func schemaOf(tb testing.TB, columns ...string) types.Schema {
	tb.Helper()
	return formattest.Schema(tb, columns...)
}

func configOf(tb testing.TB, schema types.Schema, options ...string) connectors.DecoderConfig {
	tb.Helper()
	return formattest.Config(tb, "csv", schema, options...)
}

func file(tb testing.TB, config connectors.DecoderConfig, content string) *connectors.Chunk {
	tb.Helper()
	return formattest.File(tb, "csv", config, content)
}

func decode(tb testing.TB, config connectors.DecoderConfig, maxRows int, chunks ...*connectors.Chunk) []string {
	tb.Helper()
	return formattest.Decode(tb, "csv", config, maxRows, chunks...)
}

func TestDecoder_Header(t *testing.T) {
	schema := schemaOf(t, "id INT", "Name TEXT", "fare DECIMAL(10,2)")
	config := configOf(t, schema)
	formattest.Check(t, decode(t, config, 100, file(t, config, "name,ID,fare\r\nann,1,2.5\r\n\"b, \"\"c\"\"\nd\",2,-3\n\n,3,\n")),
		"1|ann|2.5", "2|b, \"c\"\nd|-3", "3|(null)|(null)", "1 empty")
	formattest.Check(t, decode(t, config, 1, file(t, config, "other,id\nx,1\ny,2")), "1|(null)|(null)", "2|(null)|(null)")
	formattest.Check(t, decode(t, config, 100, file(t, config, "1,ann,2\n2,bob,3\n")),
		`decode "2,bob,3": the header has none of the columns id, Name, fare: 1, ann, 2; for files without a header set header = 'false'`)
	formattest.Check(t, decode(t, config, 100, file(t, config, "\"id\n1\n")), `decode "1": the header cannot be read: a quoted field is not closed`)

	// Files with different headers, one after the other.
	formattest.Check(t, decode(t, config, 100, file(t, config, "id,name\n1,a\n"), file(t, config, "name,id\nb,2\n")), "1|a|(null)", "2|b|(null)")

	// A name that comes again; its values were lost.
	repeated := configOf(t, schemaOf(t, "v TEXT", "V_2 TEXT", "v_3 TEXT", "v_4 TEXT"))
	formattest.Check(t, decode(t, repeated, 100, file(t, repeated, "v,v,v_2,v\na,b,c,d\n")), "a|c|b|d")

	config = configOf(t, schema, "skip_lines", "2", "comment", "#", "delimiter", ";")
	formattest.Check(t, decode(t, config, 100, file(t, config, "made by x\n\"\n# columns\nid;name\n#\"no\n1;a\n# \"x\n2;b\n")),
		"1|a|(null)", "2|b|(null)", "2 empty")
}

func TestDecoder_NoHeader(t *testing.T) {
	schema := schemaOf(t, "id INT", "name TEXT")
	config := configOf(t, schema, "header", "false", "delimiter", `\t`, "quote", "")
	formattest.Check(t, decode(t, config, 100, file(t, config, "1\t\"a\n2\tb\"\n")), `1|"a`, `2|b"`)
	config = configOf(t, schema, "header", "false")
	formattest.Check(t, decode(t, config, 100, file(t, config, "1,a\n2\n3,c,d\n\"4\n5,e\n\"6\"x,y\n7,g\n")),
		"1|a", "5|e", "7|g",
		`decode "2": expected 2 fields, found 1`,
		`decode "3,c,d": expected 2 fields, found 3`,
		`decode "\"4": text follows the closing quote of a field`,
		`decode "\"6\"x,y": text follows the closing quote of a field`)
	config = configOf(t, schema, "header", "false", "ragged_rows", "fill")
	formattest.Check(t, decode(t, config, 100, file(t, config, "1\n3,c,d\n")), "1|(null)", "3|c")
}

func TestDecoder_Messages(t *testing.T) {
	schema := schemaOf(t, "id INT", "name TEXT")
	config := configOf(t, schema)
	formattest.Check(t, decode(t, config, 100, formattest.Messages("1,a", "", "2,b\n3,\"c\nd\"\r\n", "\n")), "1|a", "2|b", "3|c\nd", "2 empty")
	config = configOf(t, schema, "header", "true")
	formattest.Check(t, decode(t, config, 100, formattest.Messages("name,id\na,1\n", "id\n2\n3", "id,name\n")), "1|a", "2|(null)", "3|(null)", "1 empty")
}

func TestDecoder_Nulls(t *testing.T) {
	schema := schemaOf(t, "i INT", "s TEXT")
	config := configOf(t, schema, "header", "false")
	formattest.Check(t, decode(t, config, 100, file(t, config, "\\N,\\N\n,\n\"\",\"\"\n1,\"\\N\"\n1,NULL\n")),
		"(null)|(null)", "(null)|(null)", "(null)|", `1|\N`, "1|NULL")
	config = configOf(t, schema, "header", "false", "null_values", "NULL,n/a", "empty_as_null", "false")
	formattest.Check(t, decode(t, config, 100, file(t, config, "NULL,n/a\n,\n1,\"NULL\"\n")), "(null)|(null)", "(null)|", "1|NULL")
	config = configOf(t, schemaOf(t, "i INT NOT NULL"), "header", "false")
	formattest.Check(t, decode(t, config, 100, file(t, config, "\\N\nx\n")),
		`field "\\N": field i: expected INT NOT NULL, found null`, `field "x": field i: expected INT, found x: not a number`)
}

func TestDecoder_Types(t *testing.T) {
	f := func(typ, value, want string) {
		t.Helper()
		config := configOf(t, schemaOf(t, "v "+typ, "n INT"), "header", "false")
		got := strings.Join(decode(t, config, 10, file(t, config, `"`+strings.ReplaceAll(value, `"`, `""`)+`",1`)), "; ")
		if want == "" {
			if !strings.HasPrefix(got, "field ") {
				t.Errorf("%s %q: %s, want a field error", typ, value, got)
			}
		} else if got != want+"|1" {
			t.Errorf("%s %q: %s, want %s|1", typ, value, got, want)
		}
	}
	f("BOOLEAN", "True", "true")
	f("BOOLEAN", "0", "false")
	f("BOOLEAN", "2", "")
	f("TINYINT", "-128", "-128")
	f("TINYINT", "128", "")
	f("INT", "1e2", "100")
	f("INT", "1.5", "")
	f("INT", "007", "7")
	f("BIGINT", "9223372036854775807", "9223372036854775807")
	f("BIGINT", "9223372036854775808", "")
	f("BIGINT UNSIGNED", "18446744073709551615", "18446744073709551615")
	f("BIGINT UNSIGNED", "-1", "")
	f("DECIMAL(10,2)", "12345678.905", "12345678.91")
	f("DECIMAL(10,2)", "-12345678.9", "-12345678.9")
	f("DECIMAL(10,2)", "123456789", "")
	f("DECIMAL(18,17)", "1", "1")
	f("DECIMAL(18,17)", "99", "")
	f("DECIMAL(38,0)", "99999999999999999999999999999999999999", "99999999999999999999999999999999999999")
	f("DOUBLE", "-.5", "-0.5")
	f("DOUBLE", "x", "")
	f("VARCHAR(3)", "äöü", "äöü")
	f("VARCHAR(3)", "äöüx", "")
	f("TEXT", "\xff", "")
	f("ENUM('a','b')", "b", "b")
	f("ENUM('a','b')", "c", "")
	f("VARBINARY(2)", "ab", "YWI=")
	f("BIT(3)", "5", "BQ==")
	f("DATE", "2024-02-29", "2024-02-29")
	f("DATE", "2023-02-29", "")
	f("TIMESTAMP(3)", "2024-02-29T01:02:03.4567Z", "2024-02-29T01:02:03.457Z")
	f("TIMESTAMP", "1700000000", "2023-11-14T22:13:20Z")
	f("DATETIME", "2024-02-29 01:02:03", "2024-02-29T01:02:03")
	f("TIME", "01:02:03", "01:02:03.000000")
	f("JSON", ` {"a": 1} `, `{"a": 1}`)
	f("JSON", `{"a": 1`, "")
}

func TestDecoder_Paths(t *testing.T) {
	config := configOf(t, schemaOf(t, "id INT", "doc JSON"), "header", "false")
	for _, p := range []struct {
		mode connectors.FieldMode
		path []string
	}{{connectors.FieldUnquote, []string{"doc", "a b", "[1]"}}, {connectors.FieldExtract, []string{"doc", "o"}}} {
		config.Fields = append(config.Fields, connectors.Field{Column: types.Column{Name: "p", Type: types.TypeText}, Path: p.path, Mode: p.mode})
	}
	config.Fields = append(config.Fields[:1], config.Fields[2:]...)
	formattest.Check(t, decode(t, config, 10, file(t, config, "1,\"{\"\"a b\"\":[1,\"\"x\"\"],\"\"o\"\":{\"\"z\"\":null}}\"\n2,{}\n3,[\n4,\n")),
		`1|x|{"z": null}`, "2|(null)|(null)", "4|(null)|(null)",
		`field "3,[": field doc.a b[1]: expected TEXT, found [: not JSON: invalid JSON at byte 1: expected a value, found the end of the text`)
}

func TestDecoder_Limits(t *testing.T) {
	config := configOf(t, schemaOf(t, "s TEXT"), "header", "false")
	config.MaxRecordBytes = 5
	formattest.Check(t, decode(t, config, 10, file(t, config, "12345\n123456\n1\n")),
		"12345", "1", `too_large "123456": the value has 6 bytes, more than the limit of 5`)
	config.Validation = connectors.ValidationFull
	config.Fields = nil
	formattest.Check(t, decode(t, config, 10, file(t, config, "\xff\na\n")), "", `decode "\xff": the row is not valid UTF-8`)
}

func TestOptions(t *testing.T) {
	f := func(want string, options ...string) {
		t.Helper()
		_, err := csv.NewDecoder(configOf(t, schemaOf(t, "a INT"), options...))
		if err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%v: error %v, want %s", options, err, want)
		}
	}
	f("not one ASCII character", "delimiter", "::")
	f("not one ASCII character", "delimiter", "")
	f("not one ASCII character", "quote", "é")
	f("must be different", "delimiter", `"`)
	f("must be different", "comment", ",")
	_, err := csv.NewDecoder(connectors.DecoderConfig{Options: configOf(t, nil).Options, Fields: []connectors.Field{{Column: types.Column{Name: "x"}, Path: []string{"x"}}}})
	if err == nil || !strings.Contains(err.Error(), "needs a type") {
		t.Errorf("error %v", err)
	}
}

func TestInfer(t *testing.T) {
	f := func(want string, options []string, chunks ...string) {
		t.Helper()
		config := configOf(t, nil, options...)
		var list []*connectors.Chunk
		for _, c := range chunks {
			list = append(list, file(t, config, c))
		}
		schema, err := csv.Infer(list, config)
		var got []string
		for _, c := range schema {
			got = append(got, c.Name+" "+c.Type.String())
		}
		if err != nil {
			got = append(got, err.Error())
		}
		if strings.Join(got, ", ") != want {
			t.Errorf("Infer(%q) = %s, want %s", chunks, strings.Join(got, ", "), want)
		}
	}
	f("id BIGINT, zip LONGTEXT, fare DOUBLE, day DATE, at TIMESTAMP(6), ok BOOLEAN, doc JSON, none LONGTEXT", nil,
		"id,zip,fare,day,at,ok,doc,none\n1,01234,1.5,2024-01-02,2024-01-02T03:04:05Z,true,\"{\"\"a\"\":1}\",\n-2,11111,2,2024-01-03,2024-01-02 03:04:05,FALSE,[],\\N\n")
	f("v BIGINT, v_2 LONGTEXT, w BIGINT", nil, "v,v,w\n1,x,2\n")
	f("c1 BIGINT, c2 LONGTEXT, c3 BIGINT", []string{"header", "false"}, "1,a\n2,{},3\n")
	f("a BIGINT, b DOUBLE", nil, "a,b,A,\n1,2,3,4\n", "B\n1.5\n")
	f("infer columns from CSV: no row among the sampled data; declare the columns", nil, "a,b\n")
	f("infer columns from CSV: no row among the sampled data; declare the columns", []string{"header", "false"}, "")

	schema, err := csv.Infer([]*connectors.Chunk{formattest.Messages("1,x", "2,y")}, configOf(t, nil))
	if err != nil || len(schema) != 2 || schema[0].Name != "c1" || schema[0].Type.Kind != types.Int64 {
		t.Errorf("messages: %v, %v", schema, err)
	}
}

// decodeBytes gives the rows of binary columns; line breaks as encoding/csv
// gives them.
func decodeBytes(tb testing.TB, config connectors.DecoderConfig, c *connectors.Chunk) []string {
	tb.Helper()
	d, err := csv.NewDecoder(config)
	if err != nil {
		tb.Fatal(err)
	}
	defer d.Close()
	var lines []string
	d.Reset(c)
	for {
		out, err := d.Next(100)
		if err != nil {
			tb.Fatal(err)
		}
		if out == nil {
			return lines
		}
		for row := range out.Values {
			var values []string
			for _, col := range out.Batch.Columns() {
				value := "(null)"
				if !col.IsNull(row) {
					value = strings.ReplaceAll(string(col.(*array.Binary).Value(row)), "\r\n", "\n")
				}
				values = append(values, value)
			}
			lines = append(lines, strings.Join(values, "|"))
		}
		for _, r := range out.Rejected {
			tb.Errorf("%q: %s", c.Data, r.Message)
		}
	}
}

// BenchmarkDecode decodes rows of about 150 bytes; MB/s are of CSV.
func BenchmarkDecode(b *testing.B) {
	schema := schemaOf(b, "id BIGINT", "vendor INT", "pickup TIMESTAMP", "dropoff TIMESTAMP", "distance DECIMAL(10,2)",
		"lon DOUBLE", "lat DOUBLE", "payment TEXT", "fare DECIMAL(10,2)", "note TEXT")
	var text strings.Builder
	for i := range 8192 {
		fmt.Fprintf(&text, "%d,%d,2024-01-%02dT10:%02d:13Z,2024-01-%02dT11:%02d:14Z,%d.%02d,-73.%06d,40.%06d,credit card,%d.50,\"a note, quoted\"\n",
			100000+i, i%3, i%28+1, i%60, i%28+1, i%60, i%20, i%100, i*37%1000000, i*91%1000000, i%80)
	}
	f := func(name string, n int) {
		b.Run(name, func(b *testing.B) {
			config := configOf(b, schema, "header", "false")
			config.Fields = config.Fields[:n]
			d, err := csv.NewDecoder(config)
			if err != nil {
				b.Fatal(err)
			}
			defer d.Close()
			c := &connectors.Chunk{Data: append(connectors.Grow(nil, text.Len())[:0], text.String()...), Base: 1}
			b.SetBytes(int64(len(c.Data)))
			b.ReportAllocs()
			for b.Loop() {
				d.Reset(c)
				out, err := d.Next(8192)
				if err != nil || len(out.Values) != 8192 {
					b.Fatal(err, out)
				}
			}
		})
	}
	f("All", 10)
	f("TwoOf10", 2)
	b.Run("Records", func(b *testing.B) {
		format, _ := connectors.LookupFormat("csv")
		layout, err := format.Layout(format.Spec.MustOptions())
		if err != nil {
			b.Fatal(err)
		}
		data := []byte(text.String())
		b.SetBytes(int64(len(data)))
		for b.Loop() {
			if layout.Records(nil, data) != len(data) {
				b.Fatal("rows are missing")
			}
		}
	})
}
