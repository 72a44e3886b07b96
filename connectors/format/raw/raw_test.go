package raw_test

import (
	"strings"
	"testing"

	"github.com/leatdb/leat/connectors"
	"github.com/leatdb/leat/connectors/format/internal/formattest"
	"github.com/leatdb/leat/connectors/format/raw"
)

func TestRaw(t *testing.T) {
	f := func(column string, framing connectors.Framing, chunk *connectors.Chunk, want ...string) {
		t.Helper()
		config := formattest.Config(t, "raw", formattest.Schema(t, column))
		config.Framing = framing
		config.MaxRecordBytes = 8
		formattest.Check(t, formattest.Decode(t, "raw", config, 2, chunk), want...)
	}
	f("line TEXT", connectors.FramingLines, &connectors.Chunk{Data: []byte("\xef\xbb\xbfa b\r\n\n c\n123456789\n\xff\nlast")},
		"a b", " c", `too_large "123456789": the value has 9 bytes, more than the limit of 8`,
		`field "\xff": field line: expected TEXT, found `+"\xff"+`: not valid UTF-8`, "last", "1 empty")
	f("p BLOB", connectors.FramingDocument, formattest.Messages("a\nb\n", "", "\xff"), "YQpi", "/w==", "1 empty")
	f("p TEXT", connectors.FramingLines, formattest.Messages("a\nb\n", "c"), "a", "b", "c")
	f("n INT", connectors.FramingDocument, formattest.Messages("12", "x"), "12", `field "x": field n: expected INT, found x: not a number`)
}

func TestRaw_SeveralColumns(t *testing.T) {
	_, err := raw.NewDecoder(formattest.Config(t, "raw", formattest.Schema(t, "a TEXT", "b TEXT")))
	if err == nil || !strings.Contains(err.Error(), "has one column") {
		t.Errorf("error %v", err)
	}
}

func TestInfer(t *testing.T) {
	format, err := connectors.LookupFormat("raw")
	if err != nil {
		t.Fatal(err)
	}
	f := func(framing connectors.Framing, data, want string) {
		t.Helper()
		schema, err := format.Infer([]*connectors.Chunk{{Data: []byte(data)}}, connectors.DecoderConfig{Framing: framing})
		if got := formattest.Columns(schema); err != nil || got != want {
			t.Errorf("%q: %s, %v, want %s", data, got, err, want)
		}
	}
	f(connectors.FramingLines, "a\n", "line LONGTEXT")
	f(connectors.FramingDocument, "\xff\n", "payload LONGBLOB")
}
