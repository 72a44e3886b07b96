package json_test

import (
	"fmt"
	"strings"
	"testing"

	"github.com/leatdb/leat/connectors"
	"github.com/leatdb/leat/connectors/format/json"
)

func TestInfer(t *testing.T) {
	f := func(framing connectors.Framing, want string, texts ...string) {
		t.Helper()
		var chunks []*connectors.Chunk
		for _, s := range texts {
			chunks = append(chunks, chunkOf([]byte(s)))
		}
		schema, err := json.Infer(chunks, connectors.DecoderConfig{Framing: framing})
		if err != nil {
			t.Errorf("Infer(%q): %v", texts, err)
			return
		}
		var got []string
		for _, c := range schema {
			got = append(got, fmt.Sprintf("%s %s", c.Name, c.Type))
		}
		if strings.Join(got, ", ") != want {
			t.Errorf("Infer(%q) =\n%s\nwant\n%s", texts, strings.Join(got, ", "), want)
		}
	}
	f(connectors.FramingLines, "id BIGINT, ok BOOLEAN, x DOUBLE, s LONGTEXT, at TIMESTAMP(6), day DATE, o JSON, l JSON, n LONGTEXT",
		`{"id":1,"ok":true,"x":1,"s":"a","at":"2024-07-01T12:34:56Z","day":"2024-07-01","o":{},"l":[],"n":null}`+"\n"+
			`{"id":-2,"ok":null,"x":1.5,"at":"2024-07-01 12:34:56.123+02:00"}`)
	f(connectors.FramingLines, "b LONGTEXT, a JSON, u BIGINT UNSIGNED, d DECIMAL(38,0), t TIMESTAMP(6), m LONGTEXT, i BIGINT",
		"{\"b\":1,\"a\":1,\"u\":1,\"d\":18446744073709551615,\"t\":\"2024-07-01\",\"m\":\"2024-07-01\"}\n{broken\n[1]\n",
		"{\"b\":\"x\",\"a\":{},\"u\":18446744073709551615,\"d\":-1,\"t\":\"2024-07-01T00:00:00Z\",\"m\":\"soon\",\"i\":5,\"B\":true}")
	// A DOUBLE holds some of these numbers, but not all of them.
	f(connectors.FramingLines, "id BIGINT, u BIGINT UNSIGNED, h DECIMAL(38,0), x DECIMAL(38,2), neg DECIMAL(38,0), long DOUBLE, most DECIMAL(38,6)",
		`{"id":9007199254740993,"u":18446744073709551615,"h":1,"x":9007199254740993,"neg":-9223372036854775809,"long":123456789012345678901234567890123456789,"most":-12345678901234567890123456789012.123456}`+"\n"+
			`{"id":1.5e3,"u":1E0,"h":36893488147419103232,"x":-0.25e0,"neg":1,"long":0.5,"most":1}`)
	// And all of these, as it would be read and written.
	f(connectors.FramingLines, "a DOUBLE, b DOUBLE, c DOUBLE, d DOUBLE, e DOUBLE",
		`{"a":1e3,"b":9007199254740992,"c":0.1234567890123456789,"d":100000000000000000000,"e":1e300}`+"\n"+
			`{"a":1,"b":1e3,"c":1,"d":0.5,"e":1e-300}`)
	f(connectors.FramingDocument, "a BIGINT, b LONGTEXT", "{\n\"a\":1,\n\"b\":\"20240701\"}\n{\"a\":2}")
}

func TestInfer_Nothing(t *testing.T) {
	if _, err := json.Infer([]*connectors.Chunk{chunkOf([]byte("[]\n{}\n{"))}, connectors.DecoderConfig{}); err == nil || !strings.Contains(err.Error(), "declare the columns") {
		t.Errorf("Infer = %v", err)
	}
}
