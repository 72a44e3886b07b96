package regex_test

import (
	"fmt"
	"strings"
	"testing"

	"github.com/leatdb/leat/connectors"
	"github.com/leatdb/leat/connectors/format/internal/formattest"
	_ "github.com/leatdb/leat/connectors/format/regex"
)

func TestDecoder(t *testing.T) {
	f := func(schema []string, options []string, text string, want ...string) {
		t.Helper()
		config := formattest.Config(t, "regex", formattest.Schema(t, schema...), options...)
		chunk := formattest.File(t, "regex", config, text)
		formattest.Check(t, formattest.Decode(t, "regex", config, 100, chunk), want...)
	}
	f([]string{"level TEXT", "N INT", "at TIMESTAMP"}, []string{"pattern", `^(?P<level>[A-Z]+)(?: (?P<n>\d*))?(?: at (?P<at>\S+(?: [-+]\d+)?))?$`},
		"INFO 12 at 10/Oct/2000:13:55:36 -0700\r\nWARN\n\ninfo 1\nINFO  at 2024-01-02T03:04:05Z\nINFO 99999999999\n",
		"INFO|12|2000-10-10T20:55:36Z", "WARN|(null)|(null)", "INFO|(null)|2024-01-02T03:04:05Z",
		`decode "info 1": the line does not match the expression`,
		`field "INFO 99999999999": field N: expected INT, found 99999999999: out of range`, "1 empty")
	f([]string{"a TEXT", "b TEXT NOT NULL"}, []string{"pattern", `(?<a>\w*),(?<b>.*)`, "null_values", "-,none"}, "x,-\nnone,y\n,z",
		"(null)|y", "|z", `field "x,-": field b: expected TEXT NOT NULL, found null`)
	f([]string{"clientip TEXT", "bytes INT", "timestamp TIMESTAMP", "verb TEXT", "agent TEXT"}, []string{"grok", "%{COMBINEDAPACHELOG}"},
		`10.0.0.1 - - [10/Oct/2000:13:55:36 +0000] "GET /a HTTP/1.0" 200 - "-" "curl \"x\""`,
		`10.0.0.1|(null)|2000-10-10T13:55:36Z|GET|curl \"x\"`)
	f([]string{"http_status INT", "ip TEXT"}, []string{"grok", `%{IP:ip} \[%{INT:[http][status]:int}\]`}, "::1 [200]\n1.2.3.4 [-5]\n", "200|::1", "-5|1.2.3.4")
	f([]string{"remote_host TEXT", "method TEXT"}, []string{"pattern", "combined_log"}, `h - - [10/Oct/2000:13:55:36 +0000] "GET /a HTTP/1.0" 200 1`, "h|GET")
}

func TestOptions(t *testing.T) {
	format, err := connectors.LookupFormat("regex")
	if err != nil {
		t.Fatal(err)
	}
	f := func(want string, options ...string) {
		t.Helper()
		_, err := format.NewDecoder(formattest.Config(t, "regex", formattest.Schema(t, "a TEXT"), options...))
		if err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%v: %v, want %s", options, err, want)
		}
	}
	f("needs one of the options pattern and grok")
	f("needs one of the options pattern and grok", "pattern", "(?P<a>.)", "grok", "%{IP:a}")
	f("error parsing regexp", "pattern", "(")
	f("no named group", "pattern", "(x)")
	f("no group named a", "pattern", "(?P<b>x)")
	f("unknown pattern NUMBRE; did you mean NUMBER?", "grok", "%{NUMBRE:a}")
}

func TestInfer(t *testing.T) {
	format, err := connectors.LookupFormat("regex")
	if err != nil {
		t.Fatal(err)
	}
	config := formattest.Config(t, "regex", nil, "pattern", `^\[(?P<at>[^\]]+)\] (?P<n>\S+) (?P<s>.*)$`, "null_values", "-")
	schema, err := format.Infer([]*connectors.Chunk{{Data: []byte("[10/Oct/2000:13:55:36 -0700] 1 a\nno\n[11/Oct/2000:13:55:36 -0700] - 1\n")}}, config)
	if got := formattest.Columns(schema); err != nil || got != "at TIMESTAMP(6), n BIGINT, s LONGTEXT" {
		t.Errorf("%s, %v", got, err)
	}
}

// BenchmarkDecode decodes access logs; MB/s are of text.
func BenchmarkDecode(b *testing.B) {
	const rows = 8192
	var lines []string
	for i := range rows {
		lines = append(lines, fmt.Sprintf("10.%d.%d.20 - r-%d [%02d/Aug/2026:08:45:57 +0000] \"GET /trips/%d/from/%d?payment=none HTTP/1.1\" %d %d \"https://example.com/standard\" \"two gate bags ride to two with %d\"",
			i%7, i%251, i*131, i%28+1, 1_000_000_000+i, i%265, 200+i%5, i*37, i%100))
	}
	f := func(option, expression string, schema ...string) {
		b.Run(option, func(b *testing.B) {
			fields := formattest.Config(b, "regex", formattest.Schema(b, schema...)).Fields
			formattest.Benchmark(b, "regex", fields, formattest.Messages(lines...), rows, option, expression)
		})
	}
	f("pattern", `^(?P<host>\S+) \S+ \S+ \[(?P<at>[^\]]+)\] "\S+ (?P<path>\S+) [^"]*" (?P<status>\d+) (?P<bytes>\d+) "[^"]*" "(?P<agent>[^"]*)"$`,
		"host TEXT", "at TIMESTAMP", "path TEXT", "status INT", "bytes BIGINT", "agent TEXT")
	f("grok", "%{COMBINEDAPACHELOG}", "clientip TEXT", "timestamp TIMESTAMP", "request TEXT", "response INT", "bytes BIGINT", "agent TEXT")
}
