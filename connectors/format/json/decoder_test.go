package json_test

import (
	"bytes"
	"fmt"
	"math/rand/v2"
	"strings"
	"testing"

	"github.com/apache/arrow-go/v18/arrow/memory"

	"github.com/leatdb/leat/connectors"
	"github.com/leatdb/leat/connectors/format/json"
	"github.com/leatdb/leat/sql/types"
)

// both runs a test with the fast and with the generic decoder.
func both(t *testing.T, f func(t *testing.T, generic bool)) {
	t.Run("Fast", func(t *testing.T) { f(t, false) })
	t.Run("Generic", func(t *testing.T) { f(t, true) })
}

// describe prints what became of the values of a chunk, one to a line, and how
// many frames were empty.
func describe(outcomes []outcome, empty int, data []byte) string {
	var b strings.Builder
	for _, o := range outcomes {
		fmt.Fprintf(&b, "%d %q", o.record, data[o.start:o.end])
		if o.class != "" {
			fmt.Fprintf(&b, " %s: %s", o.class, o.message)
		} else {
			fmt.Fprintf(&b, " %s", strings.Join(o.row, " "))
		}
		b.WriteByte('\n')
	}
	if empty > 0 {
		fmt.Fprintf(&b, "empty %d\n", empty)
	}
	return b.String()
}

func TestDecoder_Framing(t *testing.T) {
	both(t, func(t *testing.T, generic bool) {
		f := func(framing connectors.Framing, c *connectors.Chunk, want string) {
			t.Helper()
			config := connectors.DecoderConfig{Fields: []connectors.Field{column("a", "INT")}, Framing: framing}
			outcomes, empty := decodeAll(t, config, c, 2, generic)
			if got := describe(outcomes, empty, c.Data); got != strings.ReplaceAll(want, "\t", "") {
				t.Errorf("%q\ngot\n%swant\n%s", c.Data, got, want)
			}
		}
		lines := func(s, want string) { t.Helper(); f(connectors.FramingLines, chunkOf([]byte(s)), want) }
		documents := func(want string, payloads ...string) {
			t.Helper()
			var list [][]byte
			for _, p := range payloads {
				list = append(list, []byte(p))
			}
			f(connectors.FramingDocument, chunkOfRecords(list...), want)
		}
		const brokenOff = `decode: invalid JSON at byte 6: expected ',' or '}', found the end of the record`

		lines("", "")
		lines("{\"a\":1}\n{\"a\":2}\n", "0 \"{\\\"a\\\":1}\" 1\n0 \"{\\\"a\\\":2}\" 2\n")
		lines("{\"a\":1}\r\n{\"a\":2}", "0 \"{\\\"a\\\":1}\" 1\n0 \"{\\\"a\\\":2}\" 2\n")
		lines("\ufeff{\"a\":1}\n", "0 \"{\\\"a\\\":1}\" 1\n")
		lines("\n  \n\t\r\n{\"a\":1}\n \n ", "0 \"{\\\"a\\\":1}\" 1\nempty 5\n")
		// Several values on a line, without and with space between.
		lines("{\"a\":1}{\"a\":2} {\"a\":3}\n", "0 \"{\\\"a\\\":1}\" 1\n0 \"{\\\"a\\\":2}\" 2\n0 \"{\\\"a\\\":3}\" 3\n")
		// A broken value takes the rest of its line with it, a good one before stays.
		lines("{\"a\":1} {\"a\":2 {\"a\":3}\n{\"a\":4}\n",
			"0 \"{\\\"a\\\":1}\" 1\n0 \"{\\\"a\\\":2 {\\\"a\\\":3}\" decode: invalid JSON at byte 7: expected ',' or '}', found '{'\n0 \"{\\\"a\\\":4}\" 4\n")
		// A truncated line never lands, whatever comes after it.
		lines("{\"a\":1\n{\"a\":2}\n", "0 \"{\\\"a\\\":1\" "+brokenOff+"\n0 \"{\\\"a\\\":2}\" 2\n")
		lines("{\"a\":1\n}", "0 \"{\\\"a\\\":1\" "+brokenOff+"\n0 \"}\" decode: invalid JSON at byte 0: expected a value, found '}'\n")
		lines("{\"a\":1,\"b\":\"x\n\"}\n", "0 \"{\\\"a\\\":1,\\\"b\\\":\\\"x\" decode: invalid JSON at byte 13: the string does not end\n"+
			"0 \"\\\"}\" decode: invalid JSON at byte 2: the string does not end\n")
		lines("[1]\n7\n\"x\"\nnull\nnil\n", "0 \"[1]\" decode: expected an object, found an array: [1]\n"+
			"0 \"7\" decode: expected an object, found a number: 7\n0 \"\\\"x\\\"\" decode: expected an object, found a string: \"x\"\n"+
			"0 \"null\" decode: expected an object, found null: null\n0 \"nil\" decode: invalid JSON at byte 0: expected a value, found 'n'\n")
		lines("no JSON at all {\"a\":1}\n{\"a\":2}\n", "0 \"no JSON at all {\\\"a\\\":1}\" decode: invalid JSON at byte 0: expected a value, found 'n'\n0 \"{\\\"a\\\":2}\" 2\n")

		documents("0 \"{\\\"a\\\":\\n1\\n}\" 1\n0 \"{\\\"a\\\":2}\" 2\n2 \"{\\\"a\\\":3}\" 3\nempty 2\n", "{\"a\":\n1\n}\n{\"a\":2}\n", " \n ", "{\"a\":3}", "")
		documents("0 \"{\\\"a\\\":1\" "+brokenOff+"\n1 \"{\\\"a\\\":2}\" 2\n", "{\"a\":1", "{\"a\":2}")
		// After a broken value decoding goes on at the next line.
		documents("0 \"not at all\" decode: invalid JSON at byte 0: expected a value, found 'n'\n0 \"{\\\"a\\\":2}\" 2\n", "not at all\n{\"a\":2}")
		documents("0 \"{\\\"a\\\":1,,\" decode: invalid JSON at byte 7: expected the name of a member, found ','\n0 \"{\\\"a\\\":2}\" 2\n", "{\"a\":1,,\n{\"a\":2}")
		documents("0 \"{\\\"b\\\":\\\"x\" decode: invalid JSON at byte 7: the string does not end on its line\n0 \"{\\\"a\\\":2}\" 2\n", "{\"b\":\"x\n{\"a\":2}")
		f(connectors.FramingDocument, chunkOfRecords([]byte(`{"a":1}`), nil, []byte(`{"a":2}`)), "0 \"{\\\"a\\\":1}\" 1\n2 \"{\\\"a\\\":2}\" 2\nempty 1\n")
		f(connectors.FramingLines, chunkOfRecords([]byte("{\"a\":1}\n\n{\"a\":2}\n"), []byte(`{"a":3}`), []byte("")),
			"0 \"{\\\"a\\\":1}\" 1\n0 \"{\\\"a\\\":2}\" 2\n1 \"{\\\"a\\\":3}\" 3\nempty 2\n")
	})
}

// decodeOne decodes one record into one column.
func decodeOne(t *testing.T, field connectors.Field, record string, generic bool) string {
	t.Helper()
	// Twice, so that the fast path has learned the shape.
	data := []byte(record + "\n" + record + "\n")
	outcomes, _ := decodeAll(t, connectors.DecoderConfig{Fields: []connectors.Field{field}}, chunkOf(data), 10, generic)
	if len(outcomes) != 2 || fmt.Sprint(outcomes[0].row, outcomes[0].message) != fmt.Sprint(outcomes[1].row, outcomes[1].message) {
		t.Fatalf("%s: %v", record, outcomes)
	}
	if outcomes[0].class != "" {
		return string(outcomes[0].class) + ": " + outcomes[0].message
	}
	return outcomes[0].row[0]
}

func TestDecoder_Types(t *testing.T) {
	both(t, func(t *testing.T, generic bool) {
		f := func(typ, value, want string) {
			t.Helper()
			if got := decodeOne(t, column("x", typ), `{"x":`+value+`}`, generic); got != want {
				t.Errorf("%s as %s = %s, want %s", value, typ, got, want)
			}
		}
		misfit := func(typ, value, reason string) {
			t.Helper()
			f(typ, value, "field: field x: expected "+mustType(typ).String()+", found "+value+": "+reason)
		}
		f("BOOLEAN", "true", "true")
		f("BOOLEAN", "0", "false")
		f("BOOLEAN", `"1"`, "true")
		f("BOOLEAN", `1.0`, "true")
		f("BOOLEAN", `null`, "NULL")
		misfit("BOOLEAN", "2", "out of range")
		misfit("BOOLEAN", `"true"`, "neither true or false without quotes, nor 0 or 1")
		misfit("BOOLEAN", `{}`, "not a single value")
		f("TINYINT", "-128", "-128")
		f("TINYINT", "true", "1")
		misfit("TINYINT", "128", "out of range")
		f("INT UNSIGNED", "4294967295", "4294967295")
		misfit("INT UNSIGNED", "-1", "out of range")
		f("MEDIUMINT", "-8388608", "-8388608")
		misfit("MEDIUMINT", "8388608", "out of range")
		f("MEDIUMINT UNSIGNED", "16777215", "16777215")
		misfit("MEDIUMINT UNSIGNED", "16777216", "out of range")
		f("INT", "5.0", "5")
		f("INT", "5e0", "5")
		f("INT", `" 7 "`, "7")
		misfit("INT", "5.5", "not a whole number")
		misfit("INT", `"5x"`, "not a number")
		misfit("INT", `""`, "not a number")
		misfit("INT", `[1]`, "not a single value")
		f("BIGINT", "-9223372036854775808", "-9223372036854775808")
		f("BIGINT", "9.223372036854775807e18", "9223372036854775807")
		misfit("BIGINT", "9223372036854775808", "out of range")
		f("BIGINT UNSIGNED", "18446744073709551615", "18446744073709551615")
		f("YEAR", "2024", "2024")
		f("DOUBLE", "0.1", "0.1")
		f("DOUBLE", `"-1e-3"`, "-0.001")
		misfit("DOUBLE", "1e309", "out of range")
		f("FLOAT", "16777217", "1.6777216e+07")
		misfit("FLOAT", "3.5e38", "out of range")
		f("DECIMAL(10,2)", "12.5", "12.50")
		f("DECIMAL(10,2)", "12.345", "12.35")
		f("DECIMAL(10,2)", "-12.345", "-12.35")
		f("DECIMAL(10,2)", "1.2345e3", "1234.50")
		f("DECIMAL(10,2)", `"99999999.99"`, "99999999.99")
		misfit("DECIMAL(10,2)", "99999999.995", "out of range")
		misfit("DECIMAL(10,2)", "100000000", "out of range")
		f("DECIMAL(38,0)", "99999999999999999999999999999999999999", "99999999999999999999999999999999999999")
		f("DECIMAL(38,30)", "0.000000000000000000000000000001", "0.000000000000000000000000000001")
		f("TEXT", `"a\"\u00e9\ud83d\ude00"`, `"a\"é😀"`)
		f("TEXT", "1.50", `"1.50"`)
		f("TEXT", "true", `"true"`)
		f("TEXT", `{"b": [1]}`, `"{\"b\": [1]}"`)
		f("VARCHAR(3)", `"äöü"`, `"äöü"`)
		f("VARCHAR(3)", `"ab   "`, `"ab "`)
		f("CHAR(4)", `"ab  "`, `"ab"`)
		misfit("VARCHAR(3)", `"abcd"`, "too long")
		f("ENUM('a','b')", `"b"`, `"b"`)
		f("ENUM('a','b')", `2`, `"b"`)
		misfit("ENUM('a','b')", `"c"`, "not one of the members")
		misfit("ENUM('a','b')", `3`, "not one of the members")
		f("SET('a','b','c')", `"c,a,c"`, `"a,c"`)
		f("SET('a','b','c')", `""`, `""`)
		f("SET('a','b','c')", `6`, `"b,c"`)
		misfit("SET('a','b')", `"a,x"`, "not one of the members")
		misfit("SET('a','b')", `4`, "not one of the members")
		f("BLOB", `"a\u0000é"`, "0x6100c3a9")
		f("BINARY(4)", `"ab"`, "0x61620000")
		misfit("VARBINARY(2)", `"abc"`, "too long")
		f("BIT(10)", "1023", "0x03ff")
		f("BIT(1)", "true", "0x01")
		f("BIT(8)", `"A"`, "0x41")
		misfit("BIT(10)", "1024", "out of range")
		f("DATE", `"2024-07-01"`, "2024-07-01")
		f("DATE", `"2024-07-01T23:59:59Z"`, "2024-07-01")
		f("DATE", `20240701`, "2024-07-01")
		f("DATE", `1719837296`, "2024-07-01")
		misfit("DATE", `"2024-02-30"`, "not a date")
		misfit("DATE", `true`, "not a time")
		f("TIME", `"12:34:56"`, "12h34m56s")
		f("TIME(3)", `"12:34:56.7891"`, "12h34m56.789s")
		f("TIME", `123456`, "12h34m56s")
		misfit("TIME", `"25:00:00"`, "out of range")
		f("DATETIME", `"2024-07-01T12:34:56.5"`, "2024-07-01 12:34:57.000000")
		f("DATETIME", `"2024-07-01T12:34:56+02:00"`, "2024-07-01 10:34:56.000000")
		f("TIMESTAMP(6)", `"2024-07-01 12:34:56.123456789Z"`, "2024-07-01 12:34:56.123457")
		f("TIMESTAMP(3)", `"2024-07-01T12:34:56.12345678Z"`, "2024-07-01 12:34:56.123000")
		f("TIMESTAMP(3)", `"2024-07-01"`, "2024-07-01 00:00:00.000000")
		f("TIMESTAMP(3)", `1719837296`, "2024-07-01 12:34:56.000000")
		f("TIMESTAMP(3)", `1719837296789`, "2024-07-01 12:34:56.789000")
		f("TIMESTAMP(6)", `1719837296789012`, "2024-07-01 12:34:56.789012")
		f("TIMESTAMP(6)", `1719837296789012345`, "2024-07-01 12:34:56.789012")
		f("TIMESTAMP(3)", `1719837296.789`, "2024-07-01 12:34:56.789000")
		f("TIMESTAMP(3)", `"1719837296789"`, "2024-07-01 12:34:56.789000")
		f("TIMESTAMP(3)", `"20240701123456"`, "2024-07-01 12:34:56.000000")
		misfit("TIMESTAMP(3)", `"0000-00-00 00:00:00"`, "not a time")
		misfit("TIMESTAMP", `"9999-12-31 23:59:59.9"`, "out of range")
		misfit("TIMESTAMP(3)", `"soon"`, "not a time")
		f("JSON", `{"b" : 1.0,"a":"\u0041"}`, `"{\"b\" : 1.0,\"a\":\"\\u0041\"}"`)
		f("JSON", `"x"`, `"\"x\""`)
		f("JSON", `null`, "NULL")
		f("TEXT", `"\ud83d"`, `decode: invalid JSON at byte 6: \ud83d is half of a surrogate pair`)
		f("TEXT", "\"\xff\"", `decode: invalid JSON at byte 6: byte 0xff is not valid UTF-8`)
		f("INT", "01", `decode: invalid JSON at byte 5: a number does not begin with 0`)
		f("INT", "-", `decode: invalid JSON at byte 6: expected a digit, found '}'`)
		long := strings.Repeat("é", 100)
		f("INT", `"`+long+`"`, `field: field x: expected INT, found "`+long[:58]+"…: not a number")
	})
}

func TestDecoder_Paths(t *testing.T) {
	both(t, func(t *testing.T, generic bool) {
		f := func(mode connectors.FieldMode, path, record, want string) {
			t.Helper()
			field := unquoted(strings.Split(path, "/")...)
			field.Mode = mode
			if mode == connectors.FieldColumn {
				field.Column.Type = types.TypeInt64
			}
			if got := decodeOne(t, field, record, generic); got != want {
				t.Errorf("%s of %s = %s, want %s", path, record, got, want)
			}
		}
		const col, extract, unquote = connectors.FieldColumn, connectors.FieldExtract, connectors.FieldUnquote
		f(col, "a/b", `{"a":{"b":5}}`, "5")
		f(col, "a/b", `{"a":{"b":null}}`, "NULL")
		f(col, "a/b", `{"a":5}`, "NULL")
		f(col, "a/b", `{"a":[{"b":5}]}`, "NULL")
		f(col, "a/b", `{}`, "NULL")
		f(col, "a/b", `{"a":{}}`, "NULL")
		f(extract, "a/b", `{"a":{"b":"x\u0041"}}`, `"\"xA\""`)
		f(extract, "a/b", `{"a":{"b":{"zz":1,"y":[1.0,1e2]}}}`, `"{\"y\": [1.0, 100.0], \"zz\": 1}"`)
		f(extract, "a/b", `{"a":{"b":null}}`, `"null"`)
		f(extract, "a/b", `{"a":null}`, `NULL`)
		f(extract, "a/b", `{"a":{"b":1e400}}`, `decode: field a.b: number 1e400 is too big for a double: 1e400`)
		f(unquote, "a/b", `{"a":{"b":"x\u0041"}}`, `"xA"`)
		f(unquote, "a/b", `{"a":{"b":1.50}}`, `"1.5"`)
		f(unquote, "a/b", `{"a":{"b":-0}}`, `"0"`)
		f(unquote, "a/b", `{"a":{"b":12345678901234567890123}}`, `"1.2345678901234568e22"`)
		f(unquote, "a/b", `{"a":{"b":null}}`, `"null"`)
		f(unquote, "a/b", `{"a":{"b":true}}`, `"true"`)
		f(unquote, "a/[1]/b", `{"a":[{"b":1},{"b":2}]}`, `"2"`)
		f(unquote, "a/[2]/b", `{"a":[{"b":1},{"b":2}]}`, `NULL`)
		f(unquote, "a/[0]/b", `{"a":{"b":1}}`, `"1"`) // taken for an array of one
		f(unquote, "a/[0]/[0]", `{"a":7}`, `"7"`)
		// Columns match without regard to case, exact names first; paths exactly.
		f(unquote, "a/b", `{"A":{"b":1}}`, `"1"`)
		f(unquote, "a/b", `{"a":{"B":1}}`, `NULL`)
		f(col, "a", `{"A":1}`, "1")
		f(col, "a", `{"a":1,"A":2}`, "1")
		f(col, "a", `{"A":2,"a":1}`, "1")
		f(col, "a", `{"A":2,"a":null}`, "NULL")
		f(col, "k", "{\"\u212a\":2}", "2") // the Kelvin sign folds to k
		f(col, "a", `{"\u0061":3}`, "3")
		// The last of duplicates, with all that is below it.
		f(col, "a", `{"a":1,"a":2}`, "2")
		f(col, "a", `{"a":1,"a":null}`, "NULL")
		f(col, "a", `{"a":"bad","a":2}`, "2")
		f(col, "a/b", `{"a":{"b":1},"a":{}}`, "NULL")
		f(col, "a/b", `{"a":{"b":1},"a":7}`, "NULL")
		f(col, "a/b", `{"a":{"b":1},"A":{"b":2}}`, "1")
		f(col, "a/b", `{"A":{"b":2},"a":{}}`, "NULL")
	})
}

func TestDecoder_WholeAndParts(t *testing.T) {
	both(t, func(t *testing.T, generic bool) {
		fields := []connectors.Field{column("j", "JSON"), unquoted("j", "a"), unquoted("j", "o", "x"), column("n", "INT")}
		data := []byte(`{"j":{"a":1,"o":{"x":"y"}},"n":1}` + "\n" + `{"j": {"o":{"x":"z"} } ,"n":2}` + "\n" + `{"j":"s","n":3}` + "\n" + `{"n":4,"j":{"a":{"b":1}}}`)
		outcomes, _ := decodeAll(t, connectors.DecoderConfig{Fields: fields}, chunkOf(data), 10, generic)
		var got []string
		for _, o := range outcomes {
			got = append(got, strings.Join(o.row, " "))
		}
		want := []string{
			`"{\"a\":1,\"o\":{\"x\":\"y\"}}" "1" "y" 1`, `"{\"o\":{\"x\":\"z\"} }" NULL "z" 2`, `"\"s\"" NULL NULL 3`, `"{\"a\":{\"b\":1}}" "{\"b\": 1}" NULL 4`,
		}
		if strings.Join(got, "\n") != strings.Join(want, "\n") {
			t.Errorf("got\n%s\nwant\n%s", strings.Join(got, "\n"), strings.Join(want, "\n"))
		}
	})
}

func TestDecoder_NotNullAndFieldErrors(t *testing.T) {
	both(t, func(t *testing.T, generic bool) {
		f := func(on connectors.OnFieldError, record, want string) {
			t.Helper()
			id := column("id", "INT")
			id.Column.NotNull = true
			config := connectors.DecoderConfig{Fields: []connectors.Field{id, column("n", "TINYINT")}, OnFieldError: on}
			c := chunkOf([]byte(record))
			outcomes, _ := decodeAll(t, config, c, 10, generic)
			got := strings.Join(outcomes[0].row, " ") + outcomes[0].message
			if len(outcomes) != 1 || got != want {
				t.Errorf("%s: %s, want %s", record, got, want)
			}
		}
		const letter, null = connectors.FieldErrorDeadLetter, connectors.FieldErrorNull
		f(letter, `{"n":1}`, "field id: expected INT NOT NULL, found nothing")
		f(null, `{"id":null}`, "field id: expected INT NOT NULL, found null")
		f(letter, `{"id":1,"n":1000}`, "field n: expected TINYINT, found 1000: out of range")
		f(null, `{"id":1,"n":1000}`, "1 NULL")
		f(null, `{"id":"x","n":1}`, `field id: expected INT, found "x": not a number`)
		f(null, `{"id":1}`, "1 NULL")
	})
}

func TestDecoder_Validation(t *testing.T) {
	both(t, func(t *testing.T, generic bool) {
		f := func(v connectors.Validation, record, want string) {
			t.Helper()
			config := connectors.DecoderConfig{Fields: []connectors.Field{column("a", "INT")}, Validation: v}
			c := chunkOf([]byte(record + "\n" + record + "\n"))
			outcomes, empty := decodeAll(t, config, c, 10, generic)
			got := describe(outcomes, empty, c.Data)
			if got != want+"\n"+want+"\n" {
				t.Errorf("%s:\n%swant twice\n%s", record, got, want)
			}
		}
		const structure, full, projected = connectors.ValidationStructure, connectors.ValidationFull, connectors.ValidationProjected
		f(structure, `{"a":1,"b":"\x","c":nope}`, `0 "{\"a\":1,\"b\":\"\\x\",\"c\":nope}" 1`)
		f(full, `{"a":1,"b":"\x"}`, `0 "{\"a\":1,\"b\":\"\\x\"}" decode: invalid JSON at byte 12: unknown escape sequence \x`)
		f(full, "{\"a\":1,\"\xff\":1}", `0 "{\"a\":1,\"\xff\":1}" decode: invalid JSON at byte 8: byte 0xff is not valid UTF-8`)
		f(structure, `{"a":1,"b":[}`, `0 "{\"a\":1,\"b\":[}" decode: invalid JSON at byte 12: expected ']', found '}'`)
		f(structure, `{"a":1,"b":}`, `0 "{\"a\":1,\"b\":}" decode: invalid JSON at byte 11: expected a value, found '}'`)
		f(structure, `{"a":1,"b":1 2}`, `0 "{\"a\":1,\"b\":1 2}" decode: invalid JSON at byte 13: expected ',' or '}', found '2'`)
		f(projected, `{"a":1,"b":[}`, `0 "{\"a\":1,\"b\":[}" 1`)
		f(projected, `{"b":[},"a":1}`, `0 "{\"b\":[},\"a\":1}" decode: invalid JSON at byte 6: expected ']', found '}'`)
		f(projected, `{"a":1} {"a":2}`, "0 \"{\\\"a\\\":1}\" 1\n0 \"{\\\"a\\\":2}\" 2")
		f(projected, `{"a":1,"b":{"c":1}} `, `0 "{\"a\":1,\"b\":{\"c\":1}}" 1`)
	})
}

func TestDecoder_BigAndDeep(t *testing.T) {
	both(t, func(t *testing.T, generic bool) {
		deep := func(n int) string { return strings.Repeat(`[{"x":`, n/2) + "1" + strings.Repeat(`}]`, n/2) }
		big := `{"a":1,"s":"` + strings.Repeat("x", 20<<20) + `"}`
		lines := strings.Join([]string{
			`{"a":1,"j":` + deep(1000) + `}`, `{"a":2,"u":` + deep(1000) + `}`, `{"a":3,"u":` + deep(20_000) + `}`, `{"a":4,"j":` + deep(20_000) + `}`,
			big, `{"a":5}`,
		}, "\n")
		config := connectors.DecoderConfig{Fields: []connectors.Field{column("a", "INT"), column("j", "JSON"), column("s", "TEXT")}}
		c := chunkOf([]byte(lines))
		outcomes, _ := decodeAll(t, config, c, 100, generic)
		var got []string
		for _, o := range outcomes {
			if o.class != "" {
				got = append(got, string(o.class))
			} else {
				got = append(got, o.row[0])
			}
		}
		if strings.Join(got, " ") != "1 2 decode decode too_large 5" {
			t.Errorf("got %s", got)
		}
		if o := outcomes[4]; string(c.Data[o.start:o.end]) != big {
			t.Errorf("the rejected value is [%d:%d]", o.start, o.end)
		}
		config.MaxRecordBytes = 32 << 20
		if outcomes, _ = decodeAll(t, config, c, 100, generic); len(outcomes[4].row) != 3 || len(outcomes[4].row[2]) != 20<<20+2 {
			t.Errorf("a value within the limit was not decoded: %.100v", outcomes[4])
		}
	})
}

// TestDecoder_ManyColumns has more places than a word has bits.
func TestDecoder_ManyColumns(t *testing.T) {
	both(t, func(t *testing.T, generic bool) {
		var fields []connectors.Field
		var record bytes.Buffer
		want := make([]string, 200)
		for i := range want {
			name := fmt.Sprintf("a_rather_long_name_of_a_column_%03d", i)
			fields = append(fields, column(name, "INT"))
			want[i] = fmt.Sprint(i)
			fmt.Fprintf(&record, `,"%s":%d`, name, i)
		}
		want[70] = "NULL"
		line := strings.Replace("{"+record.String()[1:]+"}\n", ":70,", ":null,", 1)
		outcomes, _ := decodeAll(t, connectors.DecoderConfig{Fields: fields}, chunkOf([]byte(strings.Repeat(line, 3))), 10, generic)
		for _, o := range outcomes {
			if strings.Join(o.row, " ") != strings.Join(want, " ") {
				t.Fatalf("got %s %s", o.row, o.message)
			}
		}
		if len(outcomes) != 3 {
			t.Errorf("%d rows", len(outcomes))
		}
	})
}

// TestDecoder_NoColumns counts rows, as COUNT(*) does.
func TestDecoder_NoColumns(t *testing.T) {
	both(t, func(t *testing.T, generic bool) {
		for _, v := range []connectors.Validation{connectors.ValidationStructure, connectors.ValidationFull, connectors.ValidationProjected} {
			c := chunkOf([]byte("{}\n{\"a\":{\"b\":1}} {\"a\":2}\n{\"a\"\n"))
			outcomes, _ := decodeAll(t, connectors.DecoderConfig{Validation: v}, c, 10, generic)
			if len(outcomes) != 4 || outcomes[3].class != connectors.ClassDecode {
				t.Errorf("got %v", outcomes)
			}
		}
	})
}

// TestDecoder_ManyValuesOnALine takes long when the work grows with the square
// of the line's length.
func TestDecoder_ManyValuesOnALine(t *testing.T) {
	both(t, func(t *testing.T, generic bool) {
		// Left after its last wanted value, a line does not show a number at its end.
		for v, want := range map[connectors.Validation]int{connectors.ValidationStructure: 200_000, connectors.ValidationProjected: 199_999} {
			config := connectors.DecoderConfig{Fields: []connectors.Field{column("a", "INT")}, Validation: v}
			c := chunkOf([]byte(strings.Repeat(`{"a":1,"b":{"a":1},"a":2}7 `, 100_000)))
			outcomes, _ := decodeAll(t, config, c, 8192, generic)
			if len(outcomes) != want {
				t.Errorf("%d values, want %d", len(outcomes), want)
			}
		}
	})
}

// TestDecoder_Drift changes the shape of records again and again, so that
// predictions are learned, given up and learned anew.
func TestDecoder_Drift(t *testing.T) {
	r := rand.New(rand.NewPCG(5, 6))
	var data []byte
	for range 40 {
		g := taxi{r: r, shuffled: r.IntN(3) == 0, spaced: r.IntN(2) == 0, dirty: float64(r.IntN(2)) / 2}
		data = append(data, g.lines(1+r.IntN(300))...)
	}
	compare(t, connectors.DecoderConfig{Fields: taxiFields()}, chunkOf(data))
}

// TestDecoder_Reuse decodes chunk after chunk with one decoder; what it says of
// one may not depend on those before.
func TestDecoder_Reuse(t *testing.T) {
	mem := memory.NewCheckedAllocator(memory.NewGoAllocator())
	defer mem.AssertSize(t, 0)
	config := connectors.DecoderConfig{Fields: hostileFields(), Alloc: mem}
	d, err := json.NewDecoder(config)
	if err != nil {
		t.Fatal(err)
	}
	defer d.Close()
	r := rand.New(rand.NewPCG(8, 8))
	for range 200 {
		var data []byte
		for range r.IntN(20) {
			data = append(mangle(r, hostileObject(r, data, 2, hostileNames)), '\n')
		}
		c := chunkOf(data)
		got, gotEmpty := run(t, d, c, 5)
		want, wantEmpty := decodeAll(t, config, c, 5, true)
		if fmt.Sprint(got, gotEmpty) != fmt.Sprint(want, wantEmpty) {
			t.Fatalf("%q\ngot  %v %d\nwant %v %d", data, got, gotEmpty, want, wantEmpty)
		}
	}
}

// TestDecoder_NoPadding decodes a chunk whose source has broken the rule that
// padding follows.
func TestDecoder_NoPadding(t *testing.T) {
	data := []byte(`{"a":1,"s":"x`)
	c := &connectors.Chunk{Data: data[:len(data):len(data)]}
	outcomes, _ := decodeAll(t, connectors.DecoderConfig{Fields: []connectors.Field{column("a", "INT"), column("s", "TEXT")}}, c, 10, false)
	if len(outcomes) != 1 || outcomes[0].class != connectors.ClassDecode {
		t.Errorf("got %v", outcomes)
	}
}

func TestNewDecoder_Invalid(t *testing.T) {
	f := func(field connectors.Field, want string) {
		t.Helper()
		mem := memory.NewCheckedAllocator(memory.NewGoAllocator())
		defer mem.AssertSize(t, 0)
		_, err := json.NewDecoder(connectors.DecoderConfig{Fields: []connectors.Field{column("a", "TEXT"), field}, Alloc: mem})
		if err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("NewDecoder(%v) = %v; want an error with %q", field, err, want)
		}
	}
	f(connectors.Field{Column: types.Column{Name: "x", Type: types.TypeInt64}}, "field x has no path")
	f(unquoted("a", "[x]"), "path element [x] is no array index")
	bad := unquoted("a", "b")
	bad.Column.Type = types.TypeInt64
	f(bad, "field a.b: a JSON value cannot be extracted as BIGINT")
	f(connectors.Field{Column: types.Column{Name: "x"}, Path: []string{"x"}}, "field x: a column needs a type")
}

func TestFormat(t *testing.T) {
	f, err := connectors.LookupFormat("json")
	if err != nil {
		t.Fatal(err)
	}
	d, err := f.NewDecoder(connectors.DecoderConfig{Fields: []connectors.Field{column("a", "INT")}})
	if err != nil {
		t.Fatal(err)
	}
	defer d.Close()
	d.Reset(chunkOf([]byte(`{"a":1}`)))
	out, err := d.Next(10)
	if err != nil || out.Batch.NumRows() != 1 || out.Batch.Schema().Field(0).Name != "a" {
		t.Errorf("Next = %v, %v", out, err)
	}
	if out, err := d.Next(10); out != nil || err != nil {
		t.Errorf("Next at the end = %v, %v", out, err)
	}
	if _, err := d.Next(0); err == nil {
		t.Error("Next(0) gives no error")
	}
}
