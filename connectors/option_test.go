package connectors_test

import (
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/leatdb/leat/connectors"
	"github.com/leatdb/leat/sql/sqlerror"
)

var spec = connectors.Spec{
	{Name: "brokers", Kind: connectors.OptionList, Required: true, Doc: "Where the brokers listen."},
	{Name: "start", Default: "earliest", Choices: []string{"earliest", "latest"}},
	{Name: "password", Secret: true},
	{Name: "pin", Secret: true, Kind: connectors.OptionInt},
	{Name: "rows", Kind: connectors.OptionInt, Min: 1},
	{Name: "port", Kind: connectors.OptionInt, Min: 1, Max: 65535},
	{Name: "ratio", Kind: connectors.OptionFloat, Min: 0, Max: 1},
	{Name: "wait", Kind: connectors.OptionDuration, Default: "5s", Min: int64(time.Millisecond), Max: int64(time.Hour)},
	{Name: "buffer", Kind: connectors.OptionSize, Default: "1MiB", Max: 1 << 30},
	{Name: "verify", Kind: connectors.OptionBool},
	{Name: "fields.", Prefix: true},
}

func raw(pairs ...string) []connectors.RawOption {
	var list []connectors.RawOption
	for i := 0; i+1 < len(pairs); i += 2 {
		list = append(list, connectors.RawOption{
			Name: pairs[i], Value: pairs[i+1],
			NamePos: sqlerror.Position{Line: 2 + i/2, Column: 3},
			Pos:     sqlerror.Position{Line: 2 + i/2, Column: 20},
		})
	}
	return list
}

func TestSpec_NewOptions_Errors(t *testing.T) {
	f := func(code sqlerror.Code, want string, pairs ...string) {
		t.Helper()
		_, err := spec.NewOptions(raw(pairs...))
		if err == nil {
			t.Errorf("%v: no error, want %q", pairs, want)
			return
		}
		if !sqlerror.HasCode(err, code) || !strings.Contains(err.Error(), want) {
			t.Errorf("%v:\n got %v\nwant %q", pairs, err, want)
		}
	}
	f(sqlerror.CodeUnknownOption, `line 2, column 3: unknown option "brokres" (did you mean "brokers"?)`, "brokres", "a:1")
	f(sqlerror.CodeUnknownOption, "valid options are brokers, start,", "qqqqqqqq", "1")
	f(sqlerror.CodeBadOption, `option "brokers" is required (Where the brokers listen)`)
	f(sqlerror.CodeBadOption, `line 3, column 3: option "brokers" is given twice`, "brokers", "a", "brokers", "b")
	f(sqlerror.CodeBadOption, `line 3, column 3: option "brokers" is given twice`, "brokers", "a", "BROKERS", "b")
	f(sqlerror.CodeBadOption, `line 3, column 20: option "start": "latst" is none of 'earliest', 'latest'; did you mean "latest"?`, "brokers", "a", "start", "latst")
	f(sqlerror.CodeBadOption, `"x" is none of 'earliest', 'latest'`, "start", "x")
	f(sqlerror.CodeBadOption, "0 is less than 1", "rows", "0")
	f(sqlerror.CodeBadOption, "70000 is outside 1 to 65535", "port", "70000")
	f(sqlerror.CodeBadOption, `"ten" is not a whole number`, "port", "ten")
	f(sqlerror.CodeBadOption, "1.5 is outside 0 to 1", "ratio", "1.5")
	f(sqlerror.CodeBadOption, `"NaN" is not a number`, "ratio", "NaN")
	f(sqlerror.CodeBadOption, "2h is outside 1ms to 1h0m0s", "wait", "2h")
	f(sqlerror.CodeBadOption, `"10" is not a duration`, "wait", "10")
	f(sqlerror.CodeBadOption, "2GiB is outside 0B to 1GiB", "buffer", "2GiB")
	f(sqlerror.CodeBadOption, `"maybe" is not a boolean`, "verify", "maybe")
	f(sqlerror.CodeBadOption, "missing } after ${", "password", "${env:X")
}

func TestSpec_NewOptions_Values(t *testing.T) {
	o, err := spec.NewOptions(raw("Brokers", " a:1, b:2 ,,", "start", "LATEST", "port", "9_092", "ratio", "0.5",
		"verify", "On", "buffer", "2MB", "fields.Rider.os.choices", "x"))
	if err != nil {
		t.Fatal(err)
	}
	if got := o.List("brokers"); len(got) != 2 || got[0] != "a:1" || got[1] != "b:2" {
		t.Errorf("brokers=%q", got)
	}
	if got := o.String("start"); got != "latest" {
		t.Errorf("start=%q, want its spelling in the spec", got)
	}
	if o.Int("port") != 9092 || o.Float("ratio") != 0.5 || !o.Bool("verify") || o.Size("buffer") != 2e6 {
		t.Errorf("port=%d ratio=%g verify=%t buffer=%d", o.Int("port"), o.Float("ratio"), o.Bool("verify"), o.Size("buffer"))
	}
	if o.Duration("wait") != 5*time.Second || o.Has("wait") || !o.Has("port") {
		t.Errorf("wait=%v given=%t", o.Duration("wait"), o.Has("wait"))
	}
	if got := o.String("fields.Rider.os.choices"); got != "x" {
		t.Errorf("prefixed option=%q", got)
	}
	if got := strings.Join(o.Names(), " "); got != "brokers start port ratio verify buffer fields.Rider.os.choices" {
		t.Errorf("names=%q", got)
	}
	if o.String("unknown") != "" || o.Int("unknown") != 0 {
		t.Error("an unknown option has a value")
	}
}

func TestOptions_Over(t *testing.T) {
	other := connectors.Spec{{Name: "wait", Kind: connectors.OptionDuration}, {Name: "extra", Default: "e"}}
	o := spec.MustOptions("brokers", "a", "wait", "1s").Over(other.MustOptions("wait", "2s"))
	if o.Duration("wait") != 2*time.Second || o.String("brokers") != "a" || o.String("extra") != "e" || len(o.Names()) != 2 {
		t.Errorf("wait=%v brokers=%q extra=%q names=%v", o.Duration("wait"), o.String("brokers"), o.String("extra"), o.Names())
	}
}

func TestOptions_SecretsStaySecret(t *testing.T) {
	o := spec.MustOptions("brokers", "it's", "password", "hunter2")
	for _, verb := range []string{"%v", "%+v", "%s", "%#v"} {
		if got := fmt.Sprintf(verb, o); got != "brokers = 'it''s', password = '***'" {
			t.Errorf("%s prints %s", verb, got)
		}
	}
	if _, err := spec.NewOptions(raw("pin", "12x4")); err == nil || strings.Contains(err.Error(), "12x4") {
		t.Errorf("error of a secret option: %v", err)
	}
	f := func(name, value, want string) {
		t.Helper()
		if got := spec.Redacted(name, value); got != want {
			t.Errorf("Redacted(%s, %s)=%q, want %q", name, value, got, want)
		}
	}
	f("password", "hunter2", "***")
	f("PASSWORD", "hunter2", "***")
	f("password", "${env:PW}", "${env:PW}")
	f("password", "${env:PW}x}", "***")
	f("password", "x${env:PW}", "***")
	f("brokers", "a", "a")
}

func TestParseDuration(t *testing.T) {
	f := func(in string, want time.Duration) {
		t.Helper()
		got, err := connectors.ParseDuration(in)
		if err != nil || got != want {
			t.Errorf("ParseDuration(%q)=%v, %v, want %v", in, got, err, want)
		}
	}
	f("500ms", 500*time.Millisecond)
	f(" 10S ", 10*time.Second)
	f("1h30m", 90*time.Minute)
	f("7d", 7*24*time.Hour)
	f("1d12h", 36*time.Hour)
	f("0.5d", 12*time.Hour)
	f("0", 0)
	for _, bad := range []string{"", "10", "-1s", "-1d", "1d-1h", "d", "NaNd", "36501d", "36499d1000h", "999999999h", "1w", "ten s"} {
		if got, err := connectors.ParseDuration(bad); err == nil {
			t.Errorf("ParseDuration(%q)=%v, want an error", bad, got)
		}
	}
}

func TestParseSize(t *testing.T) {
	f := func(in string, want int64) {
		t.Helper()
		got, err := connectors.ParseSize(in)
		if err != nil || got != want {
			t.Errorf("ParseSize(%q)=%d, %v, want %d", in, got, err, want)
		}
	}
	f("0", 0)
	f("4096", 4096)
	f("10b", 10)
	f("64KB", 64000)
	f("64 KiB", 65536)
	f("1.5MB", 1500000)
	f("128MiB", 128<<20)
	f("2gb", 2e9)
	f("1TiB", 1<<40)
	for _, bad := range []string{"", "MB", "-1", "ten", "NaN", "inf", "1XB", "99999999TB"} {
		if got, err := connectors.ParseSize(bad); err == nil {
			t.Errorf("ParseSize(%q)=%d, want an error", bad, got)
		}
	}
}

func TestFormatSize(t *testing.T) {
	for _, n := range []int64{0, 1, 999, 1000, 1024, 64000, 65536, 1 << 20, 5e6, 1 << 30, 3e9, 1<<30 + 1} {
		s := connectors.FormatSize(n)
		if back, err := connectors.ParseSize(s); err != nil || back != n {
			t.Errorf("FormatSize(%d)=%q reads back as %d, %v", n, s, back, err)
		}
	}
}

func TestExpand(t *testing.T) {
	dir := t.TempDir()
	secret := filepath.Join(dir, "secret")
	if err := os.WriteFile(secret, []byte("s3cret\n\r\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	large := filepath.Join(dir, "large")
	if err := os.WriteFile(large, make([]byte, 1<<20+1), 0o600); err != nil {
		t.Fatal(err)
	}
	t.Setenv("LEAT_TEST_HOST", "broker")
	t.Setenv("LEAT_TEST_NESTED", "${env:LEAT_TEST_HOST}")

	f := func(in, want string) {
		t.Helper()
		if got, err := connectors.Expand(in); err != nil || got != want {
			t.Errorf("Expand(%q)=%q, %v, want %q", in, got, err, want)
		}
	}
	f("", "")
	f("plain $ { } $x", "plain $ { } $x")
	f("${env:LEAT_TEST_HOST}:9092,${env:LEAT_TEST_HOST}:9093", "broker:9092,broker:9093")
	f("a${file:"+secret+"}b", "as3cret\nb")
	f("$${env:X}", "${env:X}")
	f("a$${b}${env:LEAT_TEST_HOST}", "a${b}broker")
	f("${env:LEAT_TEST_NESTED}", "${env:LEAT_TEST_HOST}")

	g := func(in, want string) {
		t.Helper()
		if got, err := connectors.Expand(in); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("Expand(%q)=%q, %v, want an error with %q", in, got, err, want)
		}
	}
	g("${env:LEAT_TEST_UNSET}", "environment variable LEAT_TEST_UNSET is not set")
	g("${file:"+filepath.Join(dir, "missing")+"}", "no such file")
	g("${file:}", "a path is missing")
	g("${file:"+dir+"}", "is not a regular file")
	g("${file:/dev/zero}", "is not a regular file")
	g("${file:"+large+"}", "is larger than 1MiB")
	g("${vault:x}", "unknown substitution ${vault:…}")
	g("${env:X", "missing }")
}

func FuzzExpand(f *testing.F) {
	f.Add("a${env:HOME}b$${c}")
	f.Add("${")
	f.Fuzz(func(t *testing.T, in string) {
		if strings.Contains(in, "file:") {
			t.Skip("names files of the machine")
		}
		got, err := connectors.Expand(in)
		if err == nil && !strings.Contains(in, "${") && got != in {
			t.Errorf("Expand(%q)=%q", in, got)
		}
	})
}

func TestSourceConfig_WithDefaults(t *testing.T) {
	cfg := connectors.SourceConfig{}.WithDefaults()
	if cfg.ChunkBytes != 4<<20 || cfg.PrefetchBytes != 64<<20 || cfg.Lanes != 1 || cfg.MaxRecordBytes() != 16<<20 || cfg.SkipsDataLoss() {
		t.Errorf("ChunkBytes=%d PrefetchBytes=%d Lanes=%d MaxRecordBytes=%d", cfg.ChunkBytes, cfg.PrefetchBytes, cfg.Lanes, cfg.MaxRecordBytes())
	}
	cfg.Retrying(nil)
	cfg.Logger.Info("discarded")
	cfg.Now()

	cfg = connectors.SourceConfig{Options: connectors.SourceOptions.MustOptions(
		"chunk_bytes", "64KB", "prefetch_bytes", "2MB", "max_record_bytes", "1KB", "on_data_loss", "skip")}.WithDefaults()
	if cfg.ChunkBytes != 64000 || cfg.PrefetchBytes != 2e6 || cfg.MaxRecordBytes() != 1000 || !cfg.SkipsDataLoss() {
		t.Errorf("ChunkBytes=%d PrefetchBytes=%d MaxRecordBytes=%d", cfg.ChunkBytes, cfg.PrefetchBytes, cfg.MaxRecordBytes())
	}
	if cfg = (connectors.SourceConfig{ChunkBytes: 5, Options: cfg.Options}).WithDefaults(); cfg.ChunkBytes != 5 {
		t.Errorf("ChunkBytes=%d, want what the caller set", cfg.ChunkBytes)
	}
}

func TestSpec_With(t *testing.T) {
	own := connectors.Spec{{Name: "discovery_interval", Default: "1s"}}.With(connectors.SourceOptions)
	if got := own.Find("discovery_interval").Default; got != "1s" {
		t.Errorf("default=%q, want the connector's own", got)
	}
	if len(own) != len(connectors.SourceOptions) {
		t.Errorf("%d options, want %d", len(own), len(connectors.SourceOptions))
	}
}

func init() { connectors.RegisterSource(&connectors.SourceConnector{Name: "testsource"}) }

func TestLookup_UnknownNames(t *testing.T) {
	if _, err := connectors.LookupSource("testsource"); err != nil {
		t.Error(err)
	}
	_, err := connectors.LookupSource("testsuorce")
	if !sqlerror.HasCode(err, sqlerror.CodeUnknownOption) || !strings.Contains(err.Error(), `did you mean "testsource"?`) {
		t.Errorf("err=%v", err)
	}
	if list := connectors.Sources(); len(list) != 1 || list[0].Name != "testsource" {
		t.Errorf("sources=%v", list)
	}
	defer func() {
		if recover() == nil {
			t.Error("registered twice")
		}
	}()
	connectors.RegisterSource(&connectors.SourceConnector{Name: "testsource"})
}
