//go:build services

package acceptance_test

import (
	"bufio"
	"bytes"
	_ "embed"
	"encoding/json"
	"fmt"
	"reflect"
	"slices"
	"strconv"
	"strings"
	"testing"

	"github.com/leatdb/leat/internal/services"
)

//go:embed testdata/produce_messages.py
var produceMessages string

//go:embed testdata/consume_messages.py
var consumeMessages string

//go:embed testdata/write_records.py
var writeRecords string

//go:embed testdata/write_tables.py
var writeTables string

// testMessages reads Avro and Protobuf as Confluent's own serializers write them,
// by a registry that is not ours: logical types, unions, nested records, enums,
// two versions of a schema; nested messages, maps, oneofs, optional fields.
func (e *environment) testMessages(t *testing.T) {
	const count = 200
	registry := services.StartSchemaRegistry(t)
	topics := []string{"orders_avro", "orders_proto", "orders_text"}
	init := ""
	for _, topic := range topics {
		e.kafka.CreateTopic(topic, 2, nil)
	}
	want := wantRows(t, services.RunProducer(t, produceMessages, append([]string{e.kafka.Plaintext, registry.URL}, append(topics, strconv.Itoa(count))...)...))
	for _, topic := range topics {
		if len(want[topic]) != count {
			t.Fatalf("%d messages in %s", len(want[topic]), topic)
		}
		format := "protobuf"
		if topic == "orders_avro" {
			format = "avro"
		}
		// Columns come from the registry.
		init += fmt.Sprintf(`CREATE SOURCE %[1]s_in WITH (connector = 'kafka', brokers = '%[2]s', topic = '%[1]s', format = '%[3]s', schema_registry = '%[4]s');
			CREATE STREAM %[1]s WITH (commit_interval = '500ms') AS SELECT * FROM %[1]s_in;
`, topic, e.kafka.Plaintext, format, registry.URL)
	}
	// What a sink writes is read back by the same clients.
	e.kafka.CreateTopic("orders_out", 3, nil)
	init += fmt.Sprintf(`CREATE SINK k WITH (connector = 'kafka', brokers = '%s', format = 'avro', schema_registry = '%s');
		CREATE STREAM orders_out INTO k.orders_out WITH (key = 'id')
		AS SELECT id, customer, total, fee, placed, seen, wall, day, clock, hour, uid, tags, price, ratio, paid, raw, channel, note, CAST(ABS(id) AS UNSIGNED) AS big FROM orders_avro_in;
`, e.kafka.Plaintext, registry.URL)
	l := e.serve(t, init)
	for _, topic := range topics {
		typed(t, l, "FLUSH STREAM "+topic)
		columns := "id, placed_at, status, `lines`, stock, email, phone, note, plain, price, small, paid, HEX(raw), numbers, big, header"
		if topic == "orders_avro" {
			columns = "id, customer, total, fee, placed, seen, wall, day, clock, hour, uid, tags, counts, `lines`, payload, price, ratio, paid, HEX(raw), HEX(hash), channel, note"
		}
		sameRows(t, l, topic, "SELECT "+columns+" FROM lake."+topic, want[topic])
	}
	typed(t, l, "FLUSH STREAM orders_out")
	var out [][]any
	for _, row := range want["orders_avro"] {
		id := row[0].(string)
		out = append(out, slices.Concat(row[:12], row[15:19], row[20:22], []any{strings.TrimPrefix(id, "-")}))
	}
	got := wantRows(t, services.RunProducer(t, consumeMessages, e.kafka.Plaintext, registry.URL, "orders_out"))["orders_out"]
	byID := func(a, b []any) int { return strings.Compare(a[0].(string), b[0].(string)) }
	slices.SortFunc(out, byID)
	slices.SortFunc(got, byID)
	if len(got) != len(out) {
		t.Fatalf("%d messages in the sink's topic, want %d", len(got), len(out))
	}
	for i := range got {
		if !reflect.DeepEqual(got[i], out[i]) {
			t.Fatalf("the sink's topic has %v, want %v", got[i], out[i])
		}
	}
	if dead := typed(t, l, "SELECT error_class, error_message, HEX(raw) FROM leat.dead_letters LIMIT 3"); dead != "" {
		t.Errorf("dead letters: %s", dead)
	}
}

// wantRows reads what the scripts print: JSON arrays of a name and the row's
// values.
func wantRows(t *testing.T, out []byte) map[string][][]any {
	t.Helper()
	rows := map[string][][]any{}
	for s := bufio.NewScanner(bytes.NewReader(out)); s.Scan(); {
		var row []any
		if err := json.Unmarshal(s.Bytes(), &row); err != nil {
			t.Fatalf("%s: %v", s.Bytes(), err)
		}
		name := row[0].(string)
		rows[name] = append(rows[name], row[1:])
	}
	return rows
}

// sameRows compares a query's rows, in any order, with wanted ones whose first
// value is their key. A number that is wanted as a number is compared as one, an
// object or array as JSON, anything else as text.
func sameRows(t *testing.T, l *services.Leat, name, query string, want [][]any) {
	t.Helper()
	rows, err := l.DB().QueryContext(t.Context(), query)
	if err != nil {
		t.Errorf("%s: %v", query, err)
		return
	}
	defer rows.Close()
	columns, err := rows.Columns()
	if err != nil {
		t.Fatal(err)
	}
	byKey := map[string][]any{}
	for _, row := range want {
		byKey[fmt.Sprint(row[0])] = row
	}
	n := 0
	for rows.Next() {
		values, pointers := make([]*string, len(columns)), make([]any, len(columns))
		for i := range values {
			pointers[i] = &values[i]
		}
		if err := rows.Scan(pointers...); err != nil {
			t.Fatal(err)
		}
		n++
		wanted, ok := byKey[*values[0]]
		if !ok || len(wanted) != len(columns) {
			t.Fatalf("%s: row %s has %d of %d values wanted", name, *values[0], len(columns), len(wanted))
		}
		for i, v := range values {
			if !sameValue(v, wanted[i]) {
				got := "NULL"
				if v != nil {
					got = *v
				}
				t.Errorf("%s, row %s: %s is %s, want %v", name, *values[0], columns[i], got, wanted[i])
			}
		}
		if t.Failed() {
			return
		}
	}
	if err := rows.Err(); err != nil {
		t.Errorf("%s: %v", query, err)
	}
	if n != len(want) || len(byKey) != n {
		t.Errorf("%s: %d rows, want %d of %d keys", name, n, len(want), len(byKey))
	}
}

func sameValue(got *string, want any) bool {
	if got == nil || want == nil {
		return got == nil && want == nil
	}
	switch want := want.(type) {
	case string:
		return *got == want
	case float64:
		f, err := strconv.ParseFloat(*got, 64)
		return err == nil && f == want
	}
	var v any
	d := json.NewDecoder(strings.NewReader(*got))
	return d.Decode(&v) == nil && reflect.DeepEqual(v, want)
}

// TestForeignFiles reads files that other programs wrote, value by value: Avro
// and Protobuf, Parquet and CSV.
func TestForeignFiles(t *testing.T) {
	root := t.TempDir()
	want := wantRows(t, services.RunProducer(t, writeRecords, root))
	for name, rows := range wantRows(t, services.RunPython(t, writeTables, root)) {
		want[name] = rows
	}
	const (
		csvColumns = "(id BIGINT, i16 SMALLINT, u64 BIGINT UNSIGNED, f64 DOUBLE, d18 DECIMAL(18,6), s TEXT, day DATE, wall DATETIME(6))"
		csvSelect  = "id, i16, u64, f64, d18, s, day, wall"
		texts      = "u64, f32, f64, b, d5, d18, d38, s, code, large, HEX(raw), "
	)
	cases := []struct{ name, columns, options, selected string }{
		{"avro", "", "format = 'avro', chunk_bytes = '8KiB'", "id, amount, at, kind, tree, bag, added"},
		{"protobuf", "", "format = 'protobuf', descriptor_file = '" + root + "/m.desc'", "id, name, points, sub->>'$.name', `limit`, flag"},
		{"parquet", "", "format = 'parquet'", "id, i8, i16, i32, u8, u32, " + texts + "HEX(fixed), day, clock, ts, wall, ns, list, st, mp"},
		{"duckdb", "", "format = 'parquet'", "id, i8, i16, i32, u8, " + texts + "day, clock, ts, wall, list, st, mp"},
		{"csv_arrow", csvColumns, "format = 'csv'", csvSelect},
		{"csv_duckdb", csvColumns, "format = 'csv', null_values = '~', empty_as_null = 'false'", csvSelect},
		{"csv_python", csvColumns, "format = 'csv', empty_as_null = 'false'", csvSelect},
	}
	init := ""
	for _, c := range cases {
		init += fmt.Sprintf("CREATE SOURCE %[1]s_in %[2]s WITH (connector = 'files', path = '%[3]s/%[1]s', mode = 'once', %[4]s);\nCREATE STREAM %[1]s AS SELECT * FROM %[1]s_in;\n",
			c.name, c.columns, root, c.options)
	}
	l := services.StartLeat(t, services.LeatBinary(t), "--init", write(t, "init.sql", init))
	for _, c := range cases {
		eventually(t, l, state(c.name), "FINISHED\tNULL")
		sameRows(t, l, c.name, "SELECT "+c.selected+" FROM lake."+c.name, want[c.name])
	}
	if dead := typed(t, l, "SELECT stream, error_class, error_message, HEX(raw) FROM leat.dead_letters LIMIT 3"); dead != "" {
		t.Errorf("dead letters: %s", dead)
	}
}
