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
	f(connectors.FramingLines, "b LONGTEXT, a JSON, u BIGINT UNSIGNED, d DOUBLE, t TIMESTAMP(6), m LONGTEXT, i BIGINT",
		"{\"b\":1,\"a\":1,\"u\":1,\"d\":18446744073709551615,\"t\":\"2024-07-01\",\"m\":\"2024-07-01\"}\n{broken\n[1]\n",
		"{\"b\":\"x\",\"a\":{},\"u\":18446744073709551615,\"d\":-1,\"t\":\"2024-07-01T00:00:00Z\",\"m\":\"soon\",\"i\":5,\"B\":true}")
	f(connectors.FramingDocument, "a BIGINT, b LONGTEXT", "{\n\"a\":1,\n\"b\":\"20240701\"}\n{\"a\":2}")
}

func TestInfer_Nothing(t *testing.T) {
	if _, err := json.Infer([]*connectors.Chunk{chunkOf([]byte("[]\n{}\n{"))}, connectors.DecoderConfig{}); err == nil || !strings.Contains(err.Error(), "declare the columns") {
		t.Errorf("Infer = %v", err)
	}
}
