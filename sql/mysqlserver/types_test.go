package mysqlserver_test

import (
	"fmt"
	"reflect"
	"strings"
	"testing"
	"time"

	"github.com/leatdb/leat/sql/mysqlserver"
)

// columnTest is a declared column, a value of it in JSON, and what a client gets.
type columnTest struct {
	declared, json string
	databaseType   string // what the driver makes of type, charset and flags
	text           string // the text protocol
	binary         any    // the binary protocol, as the driver decodes it
	precision      int64  // of DECIMAL and of times, −1 for others
	scale          int64
}

var columnTests = []columnTest{
	{"BOOLEAN", `true`, "TINYINT", "1", int64(1), -1, -1},
	{"TINYINT(1)", `false`, "TINYINT", "0", int64(0), -1, -1},
	{"TINYINT", `-128`, "TINYINT", "-128", int64(-128), -1, -1},
	{"TINYINT UNSIGNED", `255`, "UNSIGNED TINYINT", "255", int64(255), -1, -1},
	{"SMALLINT", `-32768`, "SMALLINT", "-32768", int64(-32768), -1, -1},
	{"SMALLINT UNSIGNED", `65535`, "UNSIGNED SMALLINT", "65535", int64(65535), -1, -1},
	{"INT", `-2147483648`, "INT", "-2147483648", int64(-2147483648), -1, -1},
	{"INT UNSIGNED", `4294967295`, "UNSIGNED INT", "4294967295", int64(4294967295), -1, -1},
	{"BIGINT", `-9223372036854775808`, "BIGINT", "-9223372036854775808", int64(-9223372036854775808), -1, -1},
	{"BIGINT UNSIGNED", `18446744073709551615`, "UNSIGNED BIGINT", "18446744073709551615", "18446744073709551615", -1, -1},
	{"FLOAT", `1.5`, "FLOAT", "1.5", float32(1.5), -1, -1},
	{"DOUBLE", `434316075`, "DOUBLE", "434316075", 434316075.0, -1, -1},
	{"DOUBLE", `-2.25e300`, "DOUBLE", "-2.25e300", -2.25e300, -1, -1},
	{"DECIMAL(12,2)", `-1234567890.12`, "DECIMAL", "-1234567890.12", "-1234567890.12", 12, 2},
	{"DECIMAL(38,10)", `"1234567890123456789012345678.0123456789"`, "DECIMAL", "1234567890123456789012345678.0123456789", "1234567890123456789012345678.0123456789", 38, 10},
	{"DECIMAL(5)", `12345`, "DECIMAL", "12345", "12345", 5, 0},
	{"DATE", `"2026-07-01"`, "DATE", "2026-07-01", "2026-07-01", -1, -1},
	{"TIME(6)", `"10:11:12.5"`, "TIME", "10:11:12.500000", "10:11:12.500000", 6, 6},
	{"DATE", `"0099-02-03"`, "DATE", "0099-02-03", "0099-02-03", -1, -1},
	{"DATETIME", `"0001-01-01T00:00:00"`, "DATETIME", "0001-01-01 00:00:00", "0001-01-01 00:00:00", 0, 0},
	{"TIMESTAMP(3)", `"0001-01-01T00:00:00Z"`, "TIMESTAMP", "0001-01-01 00:00:00.000", "0001-01-01 00:00:00.000", 3, 3},
	{"TIME(3)", `"24:00:00"`, "TIME", "24:00:00.000", "24:00:00.000", 3, 3},
	{"TIME", `"10:11:12"`, "TIME", "10:11:12", "10:11:12", 0, 0},
	{"DATETIME", `"2026-07-01T10:11:12"`, "DATETIME", "2026-07-01 10:11:12", "2026-07-01 10:11:12", 0, 0},
	{"DATETIME(6)", `"2026-07-01 10:11:12.123456"`, "DATETIME", "2026-07-01 10:11:12.123456", "2026-07-01 10:11:12.123456", 6, 6},
	{"TIMESTAMP", `"2026-07-01T10:11:12Z"`, "TIMESTAMP", "2026-07-01 10:11:12", "2026-07-01 10:11:12", 0, 0},
	{"TIMESTAMP(3)", `"2026-07-01T10:11:12.123Z"`, "TIMESTAMP", "2026-07-01 10:11:12.123", "2026-07-01 10:11:12.123", 3, 3},
	{"TIMESTAMP(6)", `"2026-07-01T12:11:12.123456+02:00"`, "TIMESTAMP", "2026-07-01 10:11:12.123456", "2026-07-01 10:11:12.123456", 6, 6},
	{"CHAR(3)", `"abc"`, "CHAR", "abc", "abc", -1, -1},
	{"VARCHAR(20)", `"ä€"`, "VARCHAR", "ä€", "ä€", -1, -1},
	{"TEXT", `"t"`, "TEXT", "t", "t", -1, -1},
	{"VARBINARY(9)", `"b"`, "VARBINARY", "b", "b", -1, -1},
	{"BLOB", `"b"`, "BLOB", "b", "b", -1, -1},
	{"JSON", `{"a":[1,2.5]}`, "JSON", `{"a": [1, 2.5]}`, `{"a": [1, 2.5]}`, -1, -1},
}

// Every declared type comes back as declared, in both protocols, NULL too.
func TestServer_Types(t *testing.T) {
	c := connect(t, serve(t, open(t), mysqlserver.Config{}))
	var declared, names, values []string
	for i, f := range columnTests {
		name := fmt.Sprintf("c%d", i)
		names = append(names, name)
		declared = append(declared, name+" "+f.declared)
		values = append(values, fmt.Sprintf("%q:%s", name, f.json))
	}
	land(t, c, "typed", "id INT, "+strings.Join(declared, ", "), `{"id":1,`+strings.Join(values, ",")+"}", `{"id":2}`)
	columns := strings.Join(names, ", ")

	f := func(protocol, where string, want func(columnTest) any, args ...any) {
		t.Helper()
		rows, err := c.QueryContext(t.Context(), "SELECT "+columns+" FROM typed WHERE "+where, args...)
		if err != nil {
			t.Fatal(err)
		}
		defer rows.Close()
		types, err := rows.ColumnTypes()
		if err != nil {
			t.Fatal(err)
		}
		for i, f := range columnTests {
			if got := types[i].DatabaseTypeName(); got != f.databaseType {
				t.Errorf("%s: type of %s = %s, want %s", protocol, f.declared, got, f.databaseType)
			}
			precision, scale, ok := types[i].DecimalSize()
			if f.precision >= 0 && (!ok || precision != f.precision || scale != f.scale) {
				t.Errorf("%s: size of %s = %d, %d, %t; want %d, %d", protocol, f.declared, precision, scale, ok, f.precision, f.scale)
			}
		}
		if !rows.Next() {
			t.Fatalf("%s: no row: %v", protocol, rows.Err())
		}
		got, pointers := make([]any, len(columnTests)), make([]any, len(columnTests))
		for i := range got {
			pointers[i] = &got[i]
		}
		if err := rows.Scan(pointers...); err != nil {
			t.Fatal(err)
		}
		for i, f := range columnTests {
			if b, ok := got[i].([]byte); ok {
				got[i] = string(b)
			}
			if w := want(f); !reflect.DeepEqual(got[i], w) {
				t.Errorf("%s: %s = %T %v, want %T %v", protocol, f.declared, got[i], got[i], w, w)
			}
		}
	}
	// The driver turns numbers of the text protocol into Go's numbers as well.
	text := func(f columnTest) any {
		switch f.binary.(type) {
		case int64, float32, float64:
			return f.binary
		}
		if f.databaseType == "UNSIGNED BIGINT" {
			return uint64(18446744073709551615)
		}
		return f.text
	}
	f("text", "id = 1", text)
	f("binary", "id = ?", func(f columnTest) any { return f.binary }, 1)
	null := func(columnTest) any { return nil }
	f("text", "id = 2", null)
	f("binary", "id = ?", null, 2)
}

func TestServer_Placeholders(t *testing.T) {
	c := connect(t, serve(t, open(t), mysqlserver.Config{}))
	land(t, c, "p", "id BIGINT, u BIGINT UNSIGNED, amount DECIMAL(12,2), at TIMESTAMP(3), name VARCHAR(20), j JSON, d DATE",
		`{"id":1,"u":18446744073709551615,"amount":"10.50","at":"2026-07-01T10:00:00.123Z","name":"a'b","j":{"k":"v"},"d":"2026-07-01"}`,
		`{"id":2,"u":1,"amount":"10.51","at":"2026-07-02T10:00:00Z","name":"\\\\","j":{"k":"w"},"d":"2026-07-02"}`)
	f := func(where string, want []string, args ...any) {
		t.Helper()
		wantRows(t, query(t, c, "SELECT id FROM p WHERE "+where+" ORDER BY id", args...), want...)
	}
	one, both, none := []string{"1"}, []string{"1", "2"}, []string(nil)
	f("id = ?", one, int64(1))
	f("u = ?", one, uint64(18446744073709551615))
	f("amount = ?", one, "10.50")
	f("amount < ?", both, 10.52)
	f("at = ?", one, time.Date(2026, 7, 1, 10, 0, 0, 123_000_000, time.UTC))
	f("at > ?", []string{"2"}, "2026-07-01 10:00:00.123")
	f("d = ?", one, "2026-07-01")
	f("name = ?", one, "a'b")
	f("name = ?", []string{"2"}, `\\`)
	f("name LIKE ?", one, "a%")
	f("j->>'$.k' = ?", one, "v")
	f("id = ? OR ? IS NULL", both, 9, nil)
	f("id IN (?, ?)", both, 1, 2)
	f("id = ?", none, nil)
	wantRows(t, query(t, c, "SELECT id FROM p ORDER BY id LIMIT ? OFFSET ?", 1, 1), "2")
	wantRows(t, query(t, c, "SELECT COUNT(*), SUM(amount) FROM p WHERE amount > ?", "1.00"), "2|21.01")

	// One prepared statement, several executions.
	stmt, err := c.PrepareContext(t.Context(), "SELECT name FROM p WHERE id = ?")
	if err != nil {
		t.Fatal(err)
	}
	defer stmt.Close()
	for _, want := range []string{"a'b", `\\`, "a'b"} {
		var got string
		if err := stmt.QueryRowContext(t.Context(), map[string]int{"a'b": 1, `\\`: 2}[want]).Scan(&got); err != nil || got != want {
			t.Errorf("name = %q, %v; want %q", got, err, want)
		}
	}
	if e := failure(t, c, "SELECT nosuch FROM p WHERE id = ?", 1); e.Number != 1054 {
		t.Errorf("error = %v, want 1054", e)
	}
}
