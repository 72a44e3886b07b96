package schemaregistry_test

import (
	"bytes"
	"errors"
	"io"
	"net/http"
	"net/http/httptest"
	"slices"
	"strings"
	"sync/atomic"
	"testing"

	"github.com/leatdb/leat/connectors/format/schemaregistry"
	"github.com/leatdb/leat/connectors/format/schemaregistry/registrytest"
	"github.com/leatdb/leat/sql/sqlerror"
)

func client(t *testing.T, options ...string) *schemaregistry.Client {
	t.Helper()
	c, err := schemaregistry.New(schemaregistry.Options.MustOptions(options...))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(c.Close)
	return c
}

func TestClient(t *testing.T) {
	r := registrytest.Start(t)
	r.Username, r.Password = "u", "p"
	c := client(t, "schema_registry", r.URL+"/", "schema_registry_username", "u", "schema_registry_password", "p")
	ctx := t.Context()
	base := schemaregistry.Schema{Type: "AVRO", Text: `"string"`}
	if _, err := c.Register(ctx, "base/value", base); err != nil {
		t.Fatal(err)
	}
	user := schemaregistry.Schema{Type: "PROTOBUF", Text: `syntax = "proto3";`, References: []schemaregistry.Reference{{Name: "a.proto", Subject: "base/value", Version: 1}}}
	id, err := c.Register(ctx, "user-value", user)
	if err != nil || id != 2 {
		t.Fatal(id, err)
	}
	other := client(t, "schema_registry", r.URL, "schema_registry_username", "u", "schema_registry_password", "p")
	for range 3 {
		got, err := other.Schema(ctx, id)
		if err != nil || got.Text != user.Text || got.Type != "PROTOBUF" || !slices.Equal(got.References, user.References) {
			t.Fatal(got, err)
		}
		if got, err = other.Version(ctx, got.References[0]); err != nil || got.Text != base.Text || got.Type != "AVRO" {
			t.Fatal(got, err)
		}
	}
	if n := r.Requests.Load(); n != 4 {
		t.Errorf("%d requests, want 4: schemas are kept", n)
	}
	latest, id, err := other.Latest(ctx, "user-value")
	if err != nil || id != 2 || latest.Text != user.Text {
		t.Fatal(latest, id, err)
	}
}

// A registry that wants a login gets the one of the options, and its refusal is told
// without what it refused.
func TestClient_Login(t *testing.T) {
	r := registrytest.Start(t)
	r.Token = "hush"
	base := schemaregistry.Schema{Type: "AVRO", Text: `"string"`}
	if _, err := client(t, "schema_registry", r.URL, "schema_registry_token", "hush").Register(t.Context(), "a", base); err != nil {
		t.Error(err)
	}
	for _, login := range [][]string{nil, {"schema_registry_token", "hush-hush"}, {"schema_registry_username", "hush", "schema_registry_password", "hush"}} {
		_, err := client(t, append([]string{"schema_registry", r.URL}, login...)...).Register(t.Context(), "a", base)
		if e := sqlerror.As(err); e == nil || e.Code != sqlerror.CodeAuth || strings.Contains(err.Error(), "hush") {
			t.Errorf("%q: %v", login, err)
		}
	}
}

// An id that the registry does not know is something else than a registry that
// cannot say.
func TestClient_Unknown(t *testing.T) {
	r := registrytest.Start(t)
	c := client(t, "schema_registry", r.URL)
	for range 3 {
		if _, err := c.Schema(t.Context(), 7); !errors.Is(err, schemaregistry.ErrUnknown) {
			t.Fatal(err)
		}
	}
	if n := r.Requests.Load(); n != 1 {
		t.Errorf("%d requests for an unknown id, want 1", n)
	}
	r.Away.Store(true)
	if _, err := c.Schema(t.Context(), 8); err == nil || errors.Is(err, schemaregistry.ErrUnknown) || !sqlerror.IsRetryable(err) {
		t.Fatalf("registry away: %v", err)
	}
	page := httptest.NewServer(http.NotFoundHandler())
	defer page.Close()
	if _, err := client(t, "schema_registry", page.URL).Schema(t.Context(), 8); err == nil || errors.Is(err, schemaregistry.ErrUnknown) || !sqlerror.IsRetryable(err) {
		t.Fatalf("not a registry: %v", err)
	}
	r.Away.Store(false)
	r.Username = "u"
	if _, err := c.Schema(t.Context(), 9); !sqlerror.HasCode(err, sqlerror.CodeAuth) || !sqlerror.IsRetryable(err) {
		t.Fatalf("wrong password: %v", err)
	}
}

// An answer that is no registry's, though it is JSON and of status 200, is not kept as a
// schema, in which no record could be read.
func TestClient_StrangeAnswer(t *testing.T) {
	var answer atomic.Value
	web := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		_, _ = io.WriteString(w, answer.Load().(string))
	}))
	defer web.Close()
	c, base := client(t, "schema_registry", web.URL), schemaregistry.Schema{Type: "AVRO", Text: `"string"`}
	for _, text := range []string{"{}", "null", `{"message":"be patient"}`, "<html>", ""} {
		answer.Store(text)
		_, byID := c.Schema(t.Context(), 1)
		_, byVersion := c.Version(t.Context(), schemaregistry.Reference{Subject: "s", Version: 1})
		_, _, latest := c.Latest(t.Context(), "s")
		_, registered := c.Register(t.Context(), "s", base)
		for i, err := range []error{byID, byVersion, latest, registered} {
			if err == nil || errors.Is(err, schemaregistry.ErrUnknown) || !sqlerror.IsRetryable(err) {
				t.Errorf("answer %q to request %d: %v", text, i, err)
			}
		}
	}
	answer.Store(`{"schema":"\"string\"","id":1}`)
	if s, err := c.Schema(t.Context(), 1); err != nil || s.Text != base.Text {
		t.Errorf("the registry is back: %v %v", s, err)
	}
}

func TestClient_SecondURL(t *testing.T) {
	r := registrytest.Start(t)
	const gone = "http://127.0.0.1:1" // whose port no other test gets meanwhile
	id := r.Add("s", schemaregistry.Schema{Type: "AVRO", Text: `"int"`})
	if _, err := client(t, "schema_registry", gone+", "+r.URL).Schema(t.Context(), id); err != nil {
		t.Fatal(err)
	}
}

func TestNew_Options(t *testing.T) {
	if c, err := schemaregistry.New(schemaregistry.Options.MustOptions()); c != nil || err != nil {
		t.Fatal(c, err)
	}
	for _, options := range [][]string{
		{"schema_registry", "localhost:8081"},
		{"schema_registry_username", "u"},
		{"schema_registry", "http://x", "schema_registry_ca_file", "/nonexistent"},
		{"schema_registry", "http://x", "schema_registry_username", "u", "schema_registry_token", "t"},
	} {
		if _, err := schemaregistry.New(schemaregistry.Options.MustOptions(options...)); !sqlerror.HasCode(err, sqlerror.CodeBadOption) {
			t.Errorf("%v: %v", options, err)
		}
	}
}

func TestWire(t *testing.T) {
	b := schemaregistry.AppendHeader(nil, 258)
	if !bytes.Equal(b, []byte{0, 0, 0, 1, 2}) {
		t.Fatal(b)
	}
	if id, rest, err := schemaregistry.SplitHeader(append(b, 9)); id != 258 || len(rest) != 1 || err != nil {
		t.Fatal(id, rest, err)
	}
	for _, bad := range []string{"", "\x00\x00\x00\x00", "{\"a\":1}"} {
		if _, _, err := schemaregistry.SplitHeader([]byte(bad)); err == nil {
			t.Errorf("%q is taken", bad)
		}
	}
	for _, path := range [][]int{{0}, {1}, {0, 0}, {3, 1, 2}} {
		b := append(schemaregistry.AppendIndexes(nil, path...), 7)
		got, rest, err := schemaregistry.SplitIndexes(b, nil)
		if !slices.Equal(got, path) || len(rest) != 1 || err != nil {
			t.Errorf("%v: %v %v %v", path, got, rest, err)
		}
	}
	for _, bad := range []string{"", "\x01", "\x02", "\xff\xff\xff\xff\xff\x0f", "\x04\x02"} {
		if _, _, err := schemaregistry.SplitIndexes([]byte(bad), nil); err == nil {
			t.Errorf("%q is taken", bad)
		}
	}
}
