package iceberg_test

import (
	"context"
	"fmt"
	"net/http"
	"net/http/httptest"
	"path/filepath"
	"slices"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/leatdb/leat/catalog"
	"github.com/leatdb/leat/catalog/iceberg"
	"github.com/leatdb/leat/catalog/iceberg/resttest"
	"github.com/leatdb/leat/internal/awsconn/awsconntest"
	"github.com/leatdb/leat/internal/objectstore"
	"github.com/leatdb/leat/sql/sqlerror"
)

// serveREST serves a catalog over HTTP for the tables in dir.
func serveREST(t *testing.T, dir string) (*resttest.Server, string) {
	t.Helper()
	store, err := objectstore.OpenLocal(filepath.Join(dir, "lake"))
	if err != nil {
		t.Fatal(err)
	}
	server := &resttest.Server{Store: store}
	web := httptest.NewServer(server)
	t.Cleanup(web.Close)
	return server, web.URL
}

func tryREST(t *testing.T, dir string, rest iceberg.REST) (*iceberg.Lake, error) {
	t.Helper()
	store, err := objectstore.OpenLocal(filepath.Join(dir, "lake"))
	if err != nil {
		t.Fatal(err)
	}
	l, err := iceberg.Open(t.Context(), iceberg.Options{Namespace: "lake", Store: store, REST: &rest})
	if err == nil {
		t.Cleanup(func() {
			if err := l.Close(); err != nil {
				t.Error(err)
			}
		})
	}
	return l, err
}

func openREST(t *testing.T, dir string, rest iceberg.REST) *iceberg.Lake {
	t.Helper()
	l, err := tryREST(t, dir, rest)
	if err != nil {
		t.Fatal(err)
	}
	return l
}

// TestREST_Tables makes, changes, lists, reads and drops tables.
func TestREST_Tables(t *testing.T) {
	dir, ctx := t.TempDir(), t.Context()
	server, uri := serveREST(t, dir)
	server.Prefix = "some/where"
	l := openREST(t, dir, iceberg.REST{URI: uri + "/"})
	if err := l.Check(ctx); err != nil {
		t.Fatal(err)
	}
	if names, err := l.Tables(ctx); err != nil || len(names) != 0 {
		t.Errorf("Tables before any = %v, %v", names, err)
	}
	target := define(t, l, definition("a b"))
	if _, err := commit(target.Committer, add(2, map[string]string{"leat.stream.s": "1"})); err != nil {
		t.Fatal(err)
	}
	// The state is in the same metadata as the rows, as another program sees it.
	other := openREST(t, dir, iceberg.REST{URI: uri})
	got := loadTable(t, other, "A B")
	infos, err := got.Partitions(ctx)
	if err != nil || len(infos) != 1 || infos[0].Rows != 20 || got.Properties()["leat.stream.s"] != "1" {
		t.Errorf("read back %+v, %v, properties %v", infos, err, got.Properties())
	}
	if err := target.Maintain(ctx, 0); err != nil {
		t.Error(err)
	}
	if names, err := other.Tables(ctx); err != nil || !slices.Equal(names, []string{"a b"}) {
		t.Errorf("Tables = %v, %v", names, err)
	}
	server.Fault = func(c resttest.Call) resttest.Fault {
		if c.Op == resttest.Drop {
			return resttest.Lost
		}
		return resttest.Pass
	}
	if err := l.DropTable(ctx, "a b"); err != nil {
		t.Errorf("DropTable whose answer was lost: %v", err)
	}
	if left, _ := filepath.Glob(filepath.Join(dir, "lake/a b/*/*")); len(left) > 0 {
		t.Errorf("DropTable left %v", left)
	}
	if _, err := l.Table(ctx, "a b"); code(err) != sqlerror.CodeUnknownObject {
		t.Errorf("a dropped table: %v", err)
	}
}

// TestREST_Adopt registers metadata that lies at the table's place.
func TestREST_Adopt(t *testing.T) {
	dir := t.TempDir()
	local := define(t, openLake(t, dir, nil), definition("t"))
	if _, err := commit(local.Committer, add(1, nil)); err != nil {
		t.Fatal(err)
	}
	_, uri := serveREST(t, dir)
	l := openREST(t, dir, iceberg.REST{URI: uri})
	d := definition("t")
	if _, err := l.Define(t.Context(), d); code(err) != sqlerror.CodeConflict {
		t.Errorf("a place that is taken: %v", err)
	}
	d.Adopt = true
	define(t, l, d)
	if infos, err := loadTable(t, l, "t").Partitions(t.Context()); err != nil || len(infos) != 1 || infos[0].Rows != 10 {
		t.Errorf("adopted %+v, %v", infos, err)
	}
}

// TestREST_Race lets committers of two processes commit to one table: what loses
// is decided anew, and nothing is lost.
func TestREST_Race(t *testing.T) {
	dir := t.TempDir()
	_, uri := serveREST(t, dir)
	define(t, openREST(t, dir, iceberg.REST{URI: uri}), definition("t"))
	const writers, commits = 3, 6
	done := make(chan error, writers)
	var conflicts atomic.Int32
	for range writers {
		l := openREST(t, dir, iceberg.REST{URI: uri})
		c, err := l.Committer(t.Context(), "t")
		if err != nil {
			t.Fatal(err)
		}
		go func() {
			for range commits {
				for {
					_, err := c.Update(t.Context(), false, func(catalog.Version) (*catalog.Change, error) { return add(1, nil), nil })
					if err == nil {
						break
					}
					if !iceberg.IsConflict(err) {
						done <- err
						return
					}
					conflicts.Add(1)
				}
			}
			done <- nil
		}()
	}
	for range writers {
		if err := <-done; err != nil {
			t.Fatal(err)
		}
	}
	infos, err := loadTable(t, openREST(t, dir, iceberg.REST{URI: uri}), "t").Partitions(t.Context())
	if err != nil || len(infos) != 1 || infos[0].Rows != writers*commits*10 {
		t.Errorf("%+v, %v, want %d rows (%d conflicts)", infos, err, writers*commits*10, conflicts.Load())
	}
}

// TestREST_Placed refuses tables that the server puts where the sink does not
// write, and metadata that it cannot read.
func TestREST_Placed(t *testing.T) {
	dir := t.TempDir()
	server, uri := serveREST(t, t.TempDir())
	server.Place = func(string) string { return server.Store.URI("elsewhere") }
	l := openREST(t, dir, iceberg.REST{URI: uri})
	_, err := l.Define(t.Context(), definition("t"))
	if code(err) != sqlerror.CodeConflict || !strings.Contains(fmt.Sprint(err), "not in the sink's folder") {
		t.Errorf("Define = %v", err)
	}
}

// TestREST_Login logs in by token, by OAuth2 and by signature.
func TestREST_Login(t *testing.T) {
	t.Setenv("AWS_REGION", "")
	t.Setenv("AWS_CONFIG_FILE", filepath.Join(t.TempDir(), "none"))
	dir := t.TempDir()
	server, uri := serveREST(t, dir)
	server.Clients, server.AccessToken = map[string]string{"me": "hush"}, "granted"
	server.Authorize = func(r *http.Request) bool {
		login := r.Header.Get("Authorization")
		return login == "Bearer given" || login == "Bearer granted" ||
			strings.HasPrefix(login, "AWS4-HMAC-SHA256 Credential=AKID/") && strings.Contains(login, "/eu-west-1/glue/aws4_request")
	}
	signed := &iceberg.SigV4{Region: "eu-west-1", Service: "glue", AccessKeyID: "AKID", SecretAccessKey: "hush"}
	for _, rest := range []iceberg.REST{{Token: "given"}, {Credential: "me:hush"}, {Credential: "me:hush", TokenURI: uri + "/v1/oauth/tokens", Scope: "x"}, {SigV4: signed}} {
		rest.URI = uri
		if err := openREST(t, dir, rest).Check(t.Context()); err != nil {
			t.Errorf("%+v: %v", rest, err)
		}
	}
	for _, rest := range []iceberg.REST{{}, {Token: "hush-hush"}, {Credential: "me:hush-hush"}, {Credential: "hush"}} {
		rest.URI = uri
		_, err := tryREST(t, dir, rest)
		if e := sqlerror.As(err); e == nil || e.Code != sqlerror.CodeAuth || !e.Retryable || e.Hint == "" {
			t.Errorf("%+v: %v, want a refused login, which may be set right", rest, err)
		}
		if strings.Contains(fmt.Sprint(err), "hush") {
			t.Errorf("the error tells the secret: %v", err)
		}
	}
	if _, err := tryREST(t, dir, iceberg.REST{URI: uri, SigV4: &iceberg.SigV4{AccessKeyID: "AKID"}}); code(err) != sqlerror.CodeBadOption {
		t.Errorf("signatures for no region: %v", err)
	}
}

// A token that the catalog no longer takes, though its time has not come, is
// replaced without a restart.
func TestREST_RevokedToken(t *testing.T) {
	dir := t.TempDir()
	server, uri := serveREST(t, dir)
	server.Clients, server.AccessToken = map[string]string{"me": "hush"}, "first"
	var taken atomic.Value
	taken.Store("first")
	server.Authorize = func(r *http.Request) bool { return r.Header.Get("Authorization") == "Bearer "+taken.Load().(string) }
	lake := openREST(t, dir, iceberg.REST{URI: uri, Credential: "me:hush"})
	if err := lake.Check(t.Context()); err != nil {
		t.Fatal(err)
	}
	server.AccessToken = "second"
	taken.Store("second")
	if err := lake.Check(t.Context()); code(err) != sqlerror.CodeAuth {
		t.Errorf("a token that is no longer taken: %v", err)
	}
	if err := lake.Check(t.Context()); err != nil {
		t.Errorf("a token that was renewed: %v", err)
	}
}

// An answer of the token server that is a page of a gateway is told by its status.
func TestREST_TokenServerIsAway(t *testing.T) {
	web := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("Content-Type", "text/html")
		w.WriteHeader(http.StatusBadGateway)
		fmt.Fprint(w, "<html>\n", strings.Repeat("away ", 10_000), "</html>")
	}))
	defer web.Close()
	_, err := tryREST(t, t.TempDir(), iceberg.REST{URI: web.URL, Credential: "me:hush"})
	if e := sqlerror.As(err); e == nil || e.Code != sqlerror.CodeExternal || !e.Retryable || !strings.Contains(err.Error(), "the token server gave no token") ||
		!strings.Contains(err.Error(), "502 Bad Gateway") || len(err.Error()) > 1000 {
		t.Errorf("%.1000v", err)
	}
}

// Keys that the catalog no longer takes are looked for again, without a restart.
func TestREST_RenewedCredentials(t *testing.T) {
	dir := t.TempDir()
	shared := awsconntest.SharedFile(t)
	first, second := awsconntest.Keys{ID: "AKID1", Secret: "hush"}, awsconntest.Keys{ID: "AKID2", Secret: "hush"}
	server, uri := serveREST(t, dir)
	var taken atomic.Value
	taken.Store(first)
	server.Authorize = func(r *http.Request) bool {
		return awsconntest.CheckSignature(r, "glue", time.Now(), taken.Load().(awsconntest.Keys)) == ""
	}
	first.Share(t, shared)
	lake := openREST(t, dir, iceberg.REST{URI: uri, SigV4: &iceberg.SigV4{Region: "eu-west-1", Service: "glue"}})
	if err := lake.Check(t.Context()); err != nil {
		t.Fatal(err)
	}
	taken.Store(second)
	second.Share(t, shared)
	if err := lake.Check(t.Context()); code(err) != sqlerror.CodeAuth {
		t.Errorf("keys that are no longer taken: %v", err)
	}
	if err := lake.Check(t.Context()); err != nil {
		t.Errorf("keys that were renewed: %v", err)
	}
}

// TestREST_Redirect does not follow the server to another host with the login.
func TestREST_Redirect(t *testing.T) {
	var asked atomic.Int32
	thief := httptest.NewServer(http.HandlerFunc(func(http.ResponseWriter, *http.Request) { asked.Add(1) }))
	defer thief.Close()
	web := httptest.NewServer(http.RedirectHandler(thief.URL, http.StatusTemporaryRedirect))
	defer web.Close()
	_, err := tryREST(t, t.TempDir(), iceberg.REST{URI: web.URL, Token: "hush"})
	if e := sqlerror.As(err); e == nil || e.Retryable || !strings.Contains(err.Error(), thief.URL) || asked.Load() != 0 {
		t.Errorf("redirected: %v, %d requests to the other host", err, asked.Load())
	}
}

// TestREST_Answers survives answers that no catalog should give.
func TestREST_Answers(t *testing.T) {
	f := func(status int, body string, retryable bool) {
		t.Helper()
		dir := t.TempDir()
		server, _ := serveREST(t, dir)
		web := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			if strings.HasSuffix(r.URL.Path, "/tables") && r.Method == http.MethodPost {
				w.WriteHeader(status)
				_, _ = w.Write([]byte(body))
				return
			}
			server.ServeHTTP(w, r)
		}))
		defer web.Close()
		l := openREST(t, dir, iceberg.REST{URI: web.URL})
		_, err := l.Define(t.Context(), definition("t"))
		if err == nil || sqlerror.IsRetryable(err) != retryable {
			t.Errorf("%d %q: %v, want retryable %v", status, body, err, retryable)
		}
	}
	f(200, "", true)
	f(200, "null", true)
	f(200, "{}", true)
	f(200, `{"metadata":{}}`, true)
	f(200, "<html>", true)
	f(400, `{"error":{"message":"no such place","type":"BadRequestException","code":400}}`, false)
	f(403, "", true)
	f(404, `{"error":{"message":"x","type":"NoSuchNamespaceException","code":404}}`, true)
	f(429, "slow down", true)
	f(500, "", true)
	f(501, "", false)
}

// TestREST_Down says that nobody answers, and that it is worth another try.
func TestREST_Down(t *testing.T) {
	const nobody = "http://127.0.0.1:1" // whose port no other test gets meanwhile
	_, err := tryREST(t, t.TempDir(), iceberg.REST{URI: nobody})
	if e := sqlerror.As(err); e == nil || e.Kind != sqlerror.External || !e.Retryable || e.Hint == "" {
		t.Errorf("a catalog that is down: %v", err)
	}
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	store, err := objectstore.OpenLocal(t.TempDir())
	if err != nil {
		t.Fatal(err)
	}
	if _, err := iceberg.Open(ctx, iceberg.Options{Namespace: "lake", Store: store, REST: &iceberg.REST{URI: nobody}}); err == nil {
		t.Error("opened with a context that has ended")
	}
}
