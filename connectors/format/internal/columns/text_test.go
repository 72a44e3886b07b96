package columns_test

import (
	"testing"
	"unicode/utf8"

	"github.com/apache/arrow-go/v18/arrow/memory"

	"github.com/leatdb/leat/connectors"
	"github.com/leatdb/leat/connectors/format/internal/columns"
	"github.com/leatdb/leat/internal/mysqljson"
	"github.com/leatdb/leat/sql/types"
)

// convert gives what a conversion makes of a value: its text, "NULL" or an
// error.
func convert(t *testing.T, typ types.Type, f func(*columns.Builder, *columns.Scratch) (bool, error)) string {
	t.Helper()
	mem := memory.NewCheckedAllocator(memory.DefaultAllocator)
	defer mem.AssertSize(t, 0)
	b, err := columns.New(connectors.Field{Column: types.Column{Name: "x", Type: typ}, Path: []string{"x"}}, mem)
	if err != nil {
		t.Fatal(err)
	}
	defer b.Release()
	b.Begin(1)
	var s columns.Scratch
	null, err := f(b, &s)
	if err != nil {
		return "error: " + err.Error()
	}
	if null {
		return "NULL"
	}
	a := b.Array(1)
	defer a.Release()
	return a.ValueStr(0)
}

// FuzzConvertText compares the conversion of plain text with that of a JSON
// string of the same content, which has no short cuts for common forms.
func FuzzConvertText(f *testing.F) {
	for _, text := range []string{
		"", "0", "-0", "00", "-1", "127", "128", "-32769", "4294967296", "999999999999999999", "1000000000000000000", "9223372036854775808",
		"1.", ".1", "-.1", "0.10", "1.005", "-1.995", "12345678.99", "99999999.995", "1e3", "1E-2", "1.5.2", "--1", "+1", " 1", "0.000000000000000001", "123456789.123456789", "1234567.8", "-123456.7", "12345678", "123456789012345", "1234567890123456", "12345678901234567", "1234567890.12345",
		"9007199254740993", "0.1", "-0.0", "123456.789012345678",
		"2024-02-29 01:02:03", "2024-02-30 01:02:03", "2024-02-29T01:02:03Z", "2024-02-29T01:02:03.5", "2024-02-29T01:02:03.1234567Z", "2024-02-29T24:02:03",
		"2024-02-29T01:02:03+01:00", "9999-12-31 23:59:59.9999999", "0000-01-01 00:00:00", "2024-1-2 01:02:03", "2024-2-29 1:02:03", "20240229", "1700000000", "2024-02-29 01:02:03.", "2024/02/29 01:02:03",
	} {
		f.Add(text)
	}
	var all []types.Type
	for _, name := range []string{
		"TINYINT", "SMALLINT UNSIGNED", "MEDIUMINT", "INT", "INT UNSIGNED", "BIGINT", "BIGINT UNSIGNED", "FLOAT", "DOUBLE",
		"DECIMAL(10,2)", "DECIMAL(18,18)", "DECIMAL(18,0)", "DECIMAL(30,9)", "DATE", "TIME(3)", "DATETIME", "DATETIME(3)", "TIMESTAMP(6)", "VARCHAR(4)", "CHAR(4)", "TEXT", "VARBINARY(4)",
	} {
		typ, err := types.Parse(name)
		if err != nil {
			f.Fatal(err)
		}
		all = append(all, typ)
	}
	f.Fuzz(func(t *testing.T, text string) {
		if !utf8.ValidString(text) {
			return
		}
		for _, typ := range all {
			// Other text follows, as in a chunk; words are read from there too.
			within := append([]byte(text), "0123456789.123-5"...)[:len(text)]
			got := convert(t, typ, func(b *columns.Builder, s *columns.Scratch) (bool, error) { return b.ConvertText(within, 0, s) })
			alone := convert(t, typ, func(b *columns.Builder, s *columns.Scratch) (bool, error) {
				return b.ConvertText(within[:len(text):len(text)], 0, s)
			})
			if got != alone {
				t.Errorf("%s %q: %s, and %s where nothing follows", typ, text, got, alone)
			}
			want := convert(t, typ, func(b *columns.Builder, s *columns.Scratch) (bool, error) {
				return b.ConvertJSON(mysqljson.AppendQuoted(nil, []byte(text)), 0, s)
			})
			if got != want {
				t.Errorf("%s %q: %s, want %s", typ, text, got, want)
			}
		}
	})
}
