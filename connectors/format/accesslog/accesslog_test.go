package accesslog_test

import (
	"regexp"
	"slices"
	"strings"
	"testing"

	"github.com/leatdb/leat/connectors"
	"github.com/leatdb/leat/connectors/format/accesslog"
	"github.com/leatdb/leat/connectors/format/internal/formattest"
)

func decode(t *testing.T, format string, columns []string, text string) []string {
	t.Helper()
	config := formattest.Config(t, format, formattest.Schema(t, columns...))
	return formattest.Decode(t, format, config, 100, formattest.File(t, format, config, text))
}

func TestCombinedLog(t *testing.T) {
	columns := []string{
		"remote_host TEXT", "ident TEXT", "remote_user TEXT", "time TIMESTAMP", "request TEXT", "method TEXT", "path TEXT", "protocol TEXT",
		"status INT", "bytes BIGINT", "referer TEXT", "user_agent TEXT",
	}
	formattest.Check(t, decode(t, "combined_log", columns,
		`127.0.0.1 - frank [10/Oct/2000:13:55:36 -0700] "GET /apache_pb.gif HTTP/1.0" 200 2326 "http://example.com/start.html" "Mozilla/4.08 [en] (Win98; \"I\" ;Nav)"
::1 - - [10/Oct/2000:13:55:36 +0000] "-" 408 -
h - - [10/Oct/2000:13:55:36 +0000] "\x16\x03" 400 0 "" "-" "more"
h - - [10/Oct/2000:13:55:36
h - - [99/Oct/2000:13:55:36 +0000] "GET /a b HTTP/1.1" 200 1 "-" "-"
not a log
`),
		`127.0.0.1|(null)|frank|2000-10-10T20:55:36Z|GET /apache_pb.gif HTTP/1.0|GET|/apache_pb.gif|HTTP/1.0|200|2326|http://example.com/start.html|Mozilla/4.08 [en] (Win98; "I" ;Nav)`,
		"::1|(null)|(null)|2000-10-10T13:55:36Z|(null)|(null)|(null)|(null)|408|(null)|(null)|(null)",
		`h|(null)|(null)|2000-10-10T13:55:36Z|\x16\x03|(null)|(null)|(null)|400|0||(null)`,
		`decode "h - - [10/Oct/2000:13:55:36": a field in brackets is not closed`,
		`field "h - - [99/Oct/2000:13:55:36 +0000] \"GET /a b HTTP/1.1\" 200 1 \"-\" \"-\"": field time: expected TIMESTAMP, found 2000-10-99T13:55:36Z: not a time`,
		`decode "not a log": expected at least 7 fields of a combined_log, found 3`)
}

func TestS3AccessLog(t *testing.T) {
	formattest.Check(t, decode(t, "s3_access_log",
		[]string{"bucket TEXT", "time TIMESTAMP", "operation TEXT", "object_key TEXT", "method TEXT", "http_status INT", "bytes_sent BIGINT", "user_agent TEXT", "tls_version TEXT", "acl_required TEXT"},
		`79a5 DOC-BUCKET [06/Feb/2019:00:00:38 +0000] 192.0.2.3 79a5 3E57 REST.GET.OBJECT a+b.jpg "GET /DOC-BUCKET/a?x="1"&y HTTP/1.1" 200 - 113 - 7 - "-" "S3Console/0.4" - s9lz SigV4 ECDHE AuthHeader bucket.s3.amazonaws.com TLSV1.2 arn:aws - new-field
79a5 DOC-BUCKET [06/Feb/2019:00:00:38 +0000] 192.0.2.3 79a5 3E57 REST.GET.LIST - "GET / HTTP/1.1" 404 NoSuchKey - - 7 - "-" "S3Console/0.4"
`),
		"DOC-BUCKET|2019-02-06T00:00:38Z|REST.GET.OBJECT|a+b.jpg|GET|200|113|S3Console/0.4|TLSV1.2|(null)",
		"DOC-BUCKET|2019-02-06T00:00:38Z|REST.GET.LIST|(null)|GET|404|(null)|S3Console/0.4|(null)|(null)")
}

func TestALBLog(t *testing.T) {
	formattest.Check(t, decode(t, "alb_log",
		[]string{"type TEXT", "time TIMESTAMP(6)", "client_ip TEXT", "client_port INT", "target_ip TEXT", "target_port INT", "target_processing_time DOUBLE", "elb_status_code INT", "request_url TEXT", "request_creation_time TIMESTAMP(3)", "conn_trace_id TEXT"},
		`h2 2018-07-02T22:23:00.186641Z app/my-lb/50dc 10.0.1.252:48160 10.0.0.66:9000 0.000 0.002 0.000 200 200 5 257 "GET https://10.0.2.105:773/ HTTP/2.0" "curl/7.46.0" ECDHE TLSv1.2 arn:aws:x "Root=1-58" "-" "-" 1 2018-07-02T22:22:48.364000Z "redirect" "https://example.com:80/" "-" "10.0.0.66:9000" "200" "-" "-" TID_1
http 2018-07-02T22:23:00Z app/my-lb/50dc [2001:db8::1]:48160 - -1 -1 -1 460 - 0 0 "- http://x:80- -" "-" - - arn:aws:x
`),
		"h2|2018-07-02T22:23:00.186641Z|10.0.1.252|48160|10.0.0.66|9000|0.002|200|https://10.0.2.105:773/|2018-07-02T22:22:48.364Z|TID_1",
		"http|2018-07-02T22:23:00Z|2001:db8::1|48160|(null)|(null)|-1|460|http://x:80-|(null)|(null)")
}

func TestVPCFlowLog(t *testing.T) {
	columns := []string{"interface_id TEXT", "srcport INT", "start TIMESTAMP", "action TEXT", "vpc_id TEXT"}
	row := "2 123456789010 eni-1235b8ca 172.31.16.139 172.31.16.21 20641 22 6 20 4249 1418530010 1418530070 ACCEPT OK\n"
	formattest.Check(t, decode(t, "vpc_flow_log", columns,
		"version account-id interface-id srcaddr dstaddr srcport dstport protocol packets bytes start end action log-status\n"+row+
			"2 123456789010 eni-1 - - - - - - - 1431280876 1431280934 - NODATA\n2 123\n"),
		"eni-1235b8ca|20641|2014-12-14T04:06:50Z|ACCEPT|(null)", "eni-1|(null)|2015-05-10T18:01:16Z|(null)|(null)",
		`decode "2 123": expected at least 14 fields of a vpc_flow_log, found 2`)
	formattest.Check(t, decode(t, "vpc_flow_log", columns, row), "eni-1235b8ca|20641|2014-12-14T04:06:50Z|ACCEPT|(null)")
	formattest.Check(t, decode(t, "vpc_flow_log", columns, "vpc-id some-new start\nvpc-1 x 1418530010\n"), "(null)|(null)|2014-12-14T04:06:50Z|(null)|vpc-1")
}

func TestInfer(t *testing.T) {
	f := func(format, header, want string) {
		t.Helper()
		f, err := connectors.LookupFormat(format)
		if err != nil {
			t.Fatal(err)
		}
		schema, err := f.Infer([]*connectors.Chunk{{Header: []byte(header)}}, connectors.DecoderConfig{})
		if got := formattest.Columns(schema); err != nil || !strings.HasPrefix(got, want) {
			t.Errorf("%s: %s, %v, want %s", format, got, err, want)
		}
	}
	f("combined_log", "", "remote_host TEXT, ident TEXT, remote_user TEXT, time TIMESTAMP, request TEXT")
	f("vpc_flow_log", "", "version INT, account_id TEXT")
	f("vpc_flow_log", "start vpc-id\n", "start TIMESTAMP, vpc_id TEXT")
}

func TestUnknownColumn(t *testing.T) {
	f, err := connectors.LookupFormat("combined_log")
	if err != nil {
		t.Fatal(err)
	}
	_, err = f.NewDecoder(formattest.Config(t, "combined_log", formattest.Schema(t, "url TEXT")))
	if err == nil || !strings.Contains(err.Error(), "has no field url") {
		t.Errorf("error %v", err)
	}
}

var bracketWithin = regexp.MustCompile(`\[[^\]]*\][^ ]`)

// FuzzSplit compares with a regular expression that says what a field is.
func FuzzSplit(f *testing.F) {
	slow := regexp.MustCompile(`(?s)^ *(?:"((?:\\.|[^\\])*?)"(?: |$)|\[([^\]]*)\](?: |$)|([^ "\[][^ ]*))`)
	f.Add(`a "b \" c" [d e] - "f"g" h"i`)
	f.Add(`"" [] "\\" "a`)
	f.Fuzz(func(t *testing.T, line string) {
		if bracketWithin.MatchString(line) {
			return // its bracket is part of a plain field
		}
		got, problem := accesslog.Split([]byte(line))
		var want []string
		rest := line
		for {
			m := slow.FindStringSubmatchIndex(rest)
			if m == nil {
				break
			}
			for g := 1; g <= 3; g++ {
				if m[2*g] >= 0 {
					want = append(want, rest[m[2*g]:m[2*g+1]])
				}
			}
			rest = rest[m[1]:]
		}
		if whole := strings.Trim(rest, " ") == ""; whole != (problem == "") || whole && !slices.Equal(got, want) {
			t.Errorf("%q: %q %s, want %q, rest %q", line, got, problem, want, rest)
		}
	})
}

func BenchmarkCombinedLog(b *testing.B) {
	line := `127.0.0.1 - frank [10/Oct/2000:13:55:36 -0700] "GET /apache_pb.gif?a=b HTTP/1.0" 200 2326 "http://example.com/start.html" "Mozilla/4.08 [en] (Win98; I ;Nav)"` + "\n"
	f, err := connectors.LookupFormat("combined_log")
	if err != nil {
		b.Fatal(err)
	}
	schema, err := f.Infer(nil, connectors.DecoderConfig{})
	if err != nil {
		b.Fatal(err)
	}
	d, err := f.NewDecoder(formattest.Config(b, "combined_log", schema))
	if err != nil {
		b.Fatal(err)
	}
	defer d.Close()
	c := &connectors.Chunk{Data: []byte(strings.Repeat(line, 8192))}
	b.SetBytes(int64(len(c.Data)))
	b.ReportAllocs()
	for b.Loop() {
		d.Reset(c)
		out, err := d.Next(8192)
		if err != nil || len(out.Values) != 8192 {
			b.Fatal(err, out)
		}
	}
}
