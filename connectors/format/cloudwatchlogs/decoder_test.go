package cloudwatchlogs_test

import (
	"bytes"
	"encoding/json"
	"fmt"
	"slices"
	"strings"
	"testing"

	"github.com/apache/arrow-go/v18/arrow/memory"

	"github.com/leatdb/leat/connectors"
	"github.com/leatdb/leat/connectors/format/cloudwatchlogs"
	"github.com/leatdb/leat/sql/types"
)

var allColumns = types.Schema{
	{Name: "timestamp", Type: types.Type{Kind: types.Timestamp, Fsp: 3}},
	{Name: "message", Type: types.TypeText},
	{Name: "log_group", Type: types.TypeText},
	{Name: "logStream", Type: types.TypeText},
	{Name: "owner", Type: types.TypeText},
	{Name: "id", Type: types.TypeText},
	{Name: "subscription_filters", Type: types.TypeJSON},
	{Name: "extracted_fields", Type: types.TypeJSON},
}

func fields(schema types.Schema) (list []connectors.Field) {
	for _, c := range schema {
		list = append(list, connectors.Field{Column: c, Path: []string{c.Name}})
	}
	return list
}

func chunk(payloads ...string) *connectors.Chunk {
	c := &connectors.Chunk{Split: "s"}
	for _, p := range payloads {
		start := len(c.Data)
		c.Data = append(c.Data, p...)
		c.Records = append(c.Records, connectors.Record{Start: int32(start), End: int32(len(c.Data))})
	}
	c.Data = connectors.Grow(c.Data, 0)
	return c
}

// result is what became of a chunk.
type result struct {
	rows     []string // columns separated by |
	raw      []string // of each row
	rejected []string // class, message and raw
	empty    int
}

func decode(t testing.TB, config connectors.DecoderConfig, c *connectors.Chunk, maxRows int) (r result) {
	t.Helper()
	alloc := memory.NewCheckedAllocator(memory.DefaultAllocator)
	config.Alloc = alloc
	d, err := cloudwatchlogs.NewDecoder(config)
	if err != nil {
		t.Fatal(err)
	}
	d.Reset(c)
	for {
		out, err := d.Next(maxRows)
		if err != nil {
			t.Fatal(err)
		}
		if out == nil {
			break
		}
		rows := int(out.Batch.NumRows())
		if rows > maxRows || len(out.Values) != rows {
			t.Fatalf("%d rows, %d values, at most %d", rows, len(out.Values), maxRows)
		}
		for i := range rows {
			var cells []string
			for _, column := range out.Batch.Columns() {
				cells = append(cells, column.ValueStr(i))
			}
			r.rows = append(r.rows, strings.Join(cells, "|"))
			r.raw = append(r.raw, string(c.Data[out.Values[i].Start:out.Values[i].End]))
		}
		for _, x := range out.Rejected {
			r.rejected = append(r.rejected, fmt.Sprintf("%s: %s: %s", x.Class, x.Message, c.Data[x.Value.Start:x.Value.End]))
		}
		r.empty += out.Empty
	}
	d.Close()
	alloc.AssertSize(t.(*testing.T), 0)
	return r
}

const (
	document = `{"messageType":"DATA_MESSAGE","owner":"123456789012","logGroup":"/aws/lambda/f","logStream":"2026/07/01","subscriptionFilters":["all"],` +
		`"logEvents":[{"id":"1","timestamp":1782900000123,"message":"START\tx \"y\""},{"id":"2","timestamp":1782900000124,"message":"{\"level\":\"info\"}","extractedFields":{"level":"info"}}]}`
	control = `{"messageType":"CONTROL_MESSAGE","owner":"CloudwatchLogs","logGroup":"","logStream":"","subscriptionFilters":[],"logEvents":[{"id":"","timestamp":1,"message":"CWL CONTROL MESSAGE: Checking health of destination Kinesis stream."}]}`
)

func TestDecoder(t *testing.T) {
	want := []string{
		"2026-07-01T10:00:00.123Z|START\tx \"y\"|/aws/lambda/f|2026/07/01|123456789012|1|[\"all\"]|(null)",
		"2026-07-01T10:00:00.124Z|{\"level\":\"info\"}|/aws/lambda/f|2026/07/01|123456789012|2|[\"all\"]|{\"level\":\"info\"}",
	}
	config := connectors.DecoderConfig{Schema: allColumns, Fields: fields(allColumns)}
	for _, maxRows := range []int{1, 2, 3, 1000} {
		// Alone; twice in a payload, with control messages between; the events first.
		got := decode(t, config, chunk(document), maxRows)
		if !slices.Equal(got.rows, want) || got.empty != 0 || len(got.rejected) != 0 {
			t.Errorf("got %+v, want %q", got, want)
		}
		if len(got.raw) != 2 || got.raw[0] != `{"id":"1","timestamp":1782900000123,"message":"START\tx \"y\""}` {
			t.Errorf("raw %q", got.raw)
		}
		got = decode(t, config, chunk(control, document+"\n"+control+document, control), maxRows)
		if !slices.Equal(got.rows, append(slices.Clone(want), want...)) || got.empty != 3 || len(got.rejected) != 0 {
			t.Errorf("got %+v", got)
		}
	}
	first := `{"logEvents" : [ {"message":"m", "timestamp":5, "id":"1"} , {"id":"2"} ], "logGroup":"g" , "messageType":"DATA_MESSAGE" }`
	got := decode(t, config, chunk(first), 10)
	if want := []string{"1970-01-01T00:00:05Z|m|g|(null)|(null)|1|(null)|(null)", "(null)|(null)|g|(null)|(null)|2|(null)|(null)"}; !slices.Equal(got.rows, want) {
		t.Errorf("got %q, want %q", got.rows, want)
	}
}

// A message that is JSON can be taken apart.
func TestDecoder_JSONMessage(t *testing.T) {
	schema := types.Schema{{Name: "message", Type: types.TypeJSON}}
	config := connectors.DecoderConfig{Schema: schema, Fields: []connectors.Field{
		{Column: types.Column{Name: "level", Type: types.TypeText}, Path: []string{"message", "level"}, Mode: connectors.FieldUnquote},
		{Column: schema[0], Path: []string{"message"}},
	}}
	events := `{"messageType":"DATA_MESSAGE","logEvents":[{"message":"{\"level\":\"in\\\"fo\"}"},{"message":"no JSON"},{"message":"{}"}]}`
	got := decode(t, config, chunk(events), 10)
	if want := []string{`in"fo|{"level":"in\"fo"}`, `(null)|{}`}; !slices.Equal(got.rows, want) {
		t.Errorf("got %q, want %q", got.rows, want)
	}
	if len(got.rejected) != 1 || !strings.HasPrefix(got.rejected[0], "field: ") || !strings.HasSuffix(got.rejected[0], `: {"message":"no JSON"}`) {
		t.Errorf("rejected %q", got.rejected)
	}
}

func TestDecoder_Rejects(t *testing.T) {
	config := connectors.DecoderConfig{Schema: allColumns, Fields: fields(allColumns), MaxRecordBytes: 200}
	f := func(payload, class, message, raw string) {
		t.Helper()
		got := decode(t, config, chunk(payload, document), 10)
		if len(got.rejected) != 1 || !strings.HasPrefix(got.rejected[0], class+": ") || !strings.Contains(got.rejected[0], message) || !strings.HasSuffix(got.rejected[0], ": "+raw) {
			t.Errorf("%s: rejected %q", payload, got.rejected)
		}
		if n := len(got.rows); n < 2 { // what follows is good
			t.Errorf("%s: %d rows", payload, n)
		}
	}
	f(`{"messageType":`, "decode", "invalid JSON", `{"messageType":`)
	f(`[1]`, "decode", "found an array", `[1]`)
	f(`{"a":1}`, "decode", "with the messageType", `{"a":1}`)
	f(`{"messageType":"OTHER","logEvents":[]}`, "decode", `"OTHER"`, `{"messageType":"OTHER","logEvents":[]}`)
	f(`{"messageType":"DATA_MESSAGE"}`, "decode", "no array logEvents", `{"messageType":"DATA_MESSAGE"}`)
	f(`{"messageType":"DATA_MESSAGE","logEvents":[{"id":"1"},7]}`, "decode", "expected a log event, found a number", "7")
	f(`{"messageType":"DATA_MESSAGE","logEvents":[{"timestamp":"yesterday"}]}`, "field", "timestamp", `{"timestamp":"yesterday"}`)
	f("\x1f\x8b\x08\x00", "decode", "compressed", "\x1f\x8b\x08\x00")
	long := `{"message":"` + strings.Repeat("x", 300) + `"}`
	f(`{"messageType":"DATA_MESSAGE","logEvents":[`+long+`]}`, "too_large", "more than the limit of 200", long)

	// Places in a payload are told, not in what was fetched with it.
	if got := decode(t, config, chunk(document, "garbage"), 10); len(got.rejected) != 1 || !strings.Contains(got.rejected[0], "at byte 0:") {
		t.Errorf("behind another payload: rejected %q", got.rejected)
	}

	got := decode(t, config, chunk(" \n", `{"messageType":"DATA_MESSAGE","logEvents":[ ]}`, ""), 10)
	if got.empty != 3 || len(got.rows)+len(got.rejected) != 0 {
		t.Errorf("got %+v", got)
	}
}

// A dead letter of an event is decoded alone, with the document that was around
// it.
func TestDecoder_HeaderOf(t *testing.T) {
	document := func(group string, events ...string) string {
		return `{"messageType":"DATA_MESSAGE","owner":"1","logGroup":"` + group + `","logStream":"s","logEvents":[` + strings.Join(events, ",") + `],"policyLevel":"p"}`
	}
	good, bad := `{"id":"a","timestamp":1,"message":"7"}`, `{"id":"b","timestamp":2,"message":"x"}`
	narrow := types.Schema{{Name: "message", Type: types.TypeInt64}, {Name: "log_group", Type: types.TypeText}, {Name: "policy_level", Type: types.TypeText}}
	wide := types.Schema{{Name: "message", Type: types.TypeText}, narrow[1], narrow[2]}
	for _, maxRows := range []int{1, 100} {
		d, err := cloudwatchlogs.NewDecoder(connectors.DecoderConfig{Schema: narrow, Fields: fields(narrow), MaxRecordBytes: 1 << 20, Alloc: memory.DefaultAllocator})
		if err != nil {
			t.Fatal(err)
		}
		c := chunk(document("g", good, bad), document("h", bad)+document("i", bad, good)+"broken")
		d.Reset(c)
		var got []string
		for {
			out, err := d.Next(maxRows)
			if err != nil {
				t.Fatal(err)
			}
			if out == nil {
				break
			}
			for _, r := range out.Rejected {
				header := d.HeaderOf(r.Value)
				if header == nil {
					got = append(got, "whole")
					continue
				}
				again := chunk(string(c.Data[r.Value.Start:r.Value.End]))
				again.Header = bytes.Clone(header)
				got = append(got, decode(t, connectors.DecoderConfig{Schema: wide, Fields: fields(wide), MaxRecordBytes: 1 << 20}, again, 10).rows...)
				if fails := decode(t, connectors.DecoderConfig{Schema: narrow, Fields: fields(narrow), MaxRecordBytes: 1 << 20}, again, 10).rejected; len(fails) != 1 || !strings.HasSuffix(fails[0], bad) {
					t.Errorf("fails again as %q", fails)
				}
			}
		}
		d.Close()
		if want := []string{"x|g|p", "x|h|p", "x|i|p", "whole"}; !slices.Equal(got, want) {
			t.Errorf("%d rows at a time: read alone %q, want %q", maxRows, got, want)
		}
	}
}

func TestNewDecoder_UnknownColumn(t *testing.T) {
	schema := types.Schema{{Name: "log_grop", Type: types.TypeText}}
	_, err := cloudwatchlogs.NewDecoder(connectors.DecoderConfig{Schema: schema, Fields: fields(schema)})
	if err == nil || !strings.Contains(fmt.Sprint(err), "log_grop") {
		t.Errorf("err=%v", err)
	}
}

func TestInfer(t *testing.T) {
	format, err := connectors.LookupFormat("cloudwatch_logs")
	if err != nil {
		t.Fatal(err)
	}
	schema, err := format.Infer(nil, connectors.DecoderConfig{})
	if err != nil || len(schema) != 8 || schema[1].Name != "message" {
		t.Errorf("schema %v, err=%v", schema, err)
	}
	d, err := format.NewDecoder(connectors.DecoderConfig{Schema: schema, Fields: fields(schema)})
	if err != nil {
		t.Fatal(err)
	}
	d.Close()
}

// slow is what the decoder should make of a payload of one document with columns
// of text: message, log_group.
func slow(payload []byte) (rows []string, ok bool) {
	var doc struct {
		MessageType string            `json:"messageType"`
		LogGroup    *string           `json:"logGroup"`
		LogEvents   []json.RawMessage `json:"logEvents"`
	}
	if json.Unmarshal(payload, &doc) != nil || doc.MessageType != "DATA_MESSAGE" {
		return nil, false
	}
	text := func(s *string) string {
		if s == nil {
			return "(null)"
		}
		return *s
	}
	for _, e := range doc.LogEvents {
		var event struct {
			Message *string `json:"message"`
		}
		if json.Unmarshal(e, &event) != nil || e[0] != '{' {
			return nil, false
		}
		rows = append(rows, text(event.Message)+"|"+text(doc.LogGroup))
	}
	return rows, true
}

func FuzzDecoder(f *testing.F) {
	f.Add([]byte(document))
	f.Add([]byte(control))
	f.Add([]byte(`{"logEvents":[{"message":"a\u00e9"},{}],"messageType":"DATA_MESSAGE"}`))
	schema := types.Schema{{Name: "message", Type: types.TypeText}, {Name: "log_group", Type: types.TypeText}}
	config := connectors.DecoderConfig{Schema: schema, Fields: fields(schema)}
	f.Fuzz(func(t *testing.T, payload []byte) {
		got := decode(t, config, chunk(string(payload)), 2)
		// encoding/json takes names in any case, replaces what is no UTF-8, and lone
		// surrogates.
		want, ok := slow(payload)
		lower := bytes.ToLower(payload)
		for _, name := range []string{"messageType", "logGroup", "logEvents", "message"} {
			ok = ok && bytes.Count(lower, []byte(strings.ToLower(name))) == bytes.Count(payload, []byte(name))
		}
		if !ok || bytes.Contains(lower, []byte(`\u`)) || len(got.rejected) > 0 {
			return
		}
		if !slices.Equal(got.rows, want) {
			t.Errorf("got %q, want %q", got.rows, want)
		}
	})
}
