package lake_test

import (
	"fmt"
	"strings"
	"sync/atomic"
	"testing"
	"testing/synctest"

	"github.com/leatdb/leat/catalog/iceberg/resttest"
	"github.com/leatdb/leat/sql/sqlerror"
)

// TestFault_RESTAnswers lets a REST catalog fail at each commit of the scenario,
// once and three times in a row, in every way in which a service and what lies
// before it can: nothing is lost and nothing lands twice.
func TestFault_RESTAnswers(t *testing.T) {
	f := func(fault func(resttest.Call) resttest.Fault) (commits int) {
		t.Helper()
		dir := t.TempDir()
		server := serveREST(t, dir)
		server.Fault = fault
		synctest.Test(t, func(t *testing.T) {
			if _, _, err := run(t.Context(), dir, nil); err != nil {
				t.Error(err)
			}
		})
		commits = server.Calls(resttest.Commit)
		server.Fault = nil
		checkRun(t, dir)
		return commits
	}
	total := f(nil)
	if total < 5 {
		t.Fatalf("the scenario commits %d times", total)
	}
	faults := []resttest.Fault{
		resttest.Unavailable, resttest.UnavailableAfter, resttest.GatewayTimeout, resttest.Lost, resttest.Reset,
		resttest.Conflict, resttest.ConflictAfter, resttest.Garbled,
	}
	for n := range total {
		for _, fault := range faults {
			for _, times := range []int{1, 3} {
				if (3*n+int(fault)+2*times)%stride() != 0 {
					continue
				}
				f(func(c resttest.Call) resttest.Fault {
					if c.Op == resttest.Commit && c.N >= n && c.N < n+times {
						return fault
					}
					return resttest.Pass
				})
				if t.Failed() {
					t.Fatalf("fault %d at commit %d of %d, %d times", fault, n, total, times)
				}
			}
		}
	}
}

// TestFault_RESTStart loses answers of a REST catalog while tables are made and
// loaded: a start that failed can be repeated.
func TestFault_RESTStart(t *testing.T) {
	for _, op := range []resttest.Op{resttest.Config, resttest.NamespaceExists, resttest.CreateNamespace, resttest.Create, resttest.Load, resttest.List} {
		for _, fault := range []resttest.Fault{resttest.Unavailable, resttest.UnavailableAfter, resttest.Lost, resttest.Garbled} {
			for n := range 2 {
				dir := t.TempDir()
				server := serveREST(t, dir)
				server.Fault = func(c resttest.Call) resttest.Fault {
					if c.Op == op && c.N == n {
						return fault
					}
					return resttest.Pass
				}
				for try := 0; ; try++ {
					_, _, err := run(t.Context(), dir, nil)
					if err == nil {
						break
					}
					if try == 2 || !sqlerror.IsRetryable(err) {
						t.Fatalf("fault %d at %s %d: %v", fault, op, n, err)
					}
				}
				server.Fault = nil
				checkRun(t, dir)
				if t.Failed() {
					t.Fatalf("fault %d at %s %d", fault, op, n)
				}
			}
		}
	}
}

// TestFault_RESTLogin refuses the login of a running stream for a while, which
// goes on by itself when it is let in again.
func TestFault_RESTLogin(t *testing.T) {
	for _, fault := range []resttest.Fault{resttest.Unauthorized, resttest.Forbidden} {
		dir := t.TempDir()
		server := serveREST(t, dir)
		var refused atomic.Int64
		server.Fault = func(c resttest.Call) resttest.Fault {
			began := refused.Load() > 0 || c.Op == resttest.Commit && c.N >= 3
			if began && refused.Add(1) <= 4 {
				return fault
			}
			return resttest.Pass
		}
		if _, _, err := run(t.Context(), dir, nil); err != nil {
			t.Errorf("fault %d: %v", fault, err)
		}
		if n := refused.Load(); n <= 4 {
			t.Errorf("fault %d: %d calls since the login was refused, want more", fault, n)
		}
		checkRun(t, dir)
	}
}

func TestConnector_RESTOptions(t *testing.T) {
	dir := t.TempDir()
	f := func(want string, pairs ...string) {
		t.Helper()
		all := append([]string{"path", dir + "/lake"}, pairs...)
		s, err := openConnector(t, dir, all...)
		if err == nil {
			s.Close()
			t.Errorf("%q was accepted", pairs)
			return
		}
		if e := sqlerror.As(err); e == nil || e.Kind != sqlerror.User || !strings.Contains(err.Error(), want) {
			t.Errorf("%q: %v, want a user error with %q", pairs, err, want)
		}
		if strings.Contains(fmt.Sprint(err), "hush") {
			t.Errorf("%q: the error tells the secret: %v", pairs, err)
		}
	}
	for _, name := range []string{"warehouse", "token", "oauth2_client_id", "oauth2_client_secret", "credential", "oauth2_scope", "oauth2_uri", "sigv4_region", "sigv4_name"} {
		f("option "+name+" is for catalog = 'rest'", name, "x")
	}
	f("option sigv4 is for catalog = 'rest'", "sigv4", "true")
	rest := func(want string, pairs ...string) {
		t.Helper()
		f(want, append([]string{"catalog", "rest"}, pairs...)...)
	}
	uri := []string{"catalog_uri", "http://127.0.0.1:1"}
	rest("needs the option catalog_uri")
	rest("catalog_uri is no address", "catalog_uri", "catalog.db")
	rest("catalog_uri is no address", "catalog_uri", "s3://bucket")
	rest("user name or password", "catalog_uri", "http://me:hush@host")
	rest("query", "catalog_uri", "http://host/?a=b")
	rest("catalog_name is for catalog = 'local'", append(uri, "catalog_name", "x")...)
	rest("Iceberg tables only", append(uri, "table_format", "hive")...)
	rest("go together", append(uri, "oauth2_client_id", "x")...)
	rest("go together", append(uri, "oauth2_client_secret", "hush")...)
	rest("one of the two", append(uri, "oauth2_client_id", "x", "oauth2_client_secret", "hush", "credential", "x:hush")...)
	rest("one of the two", append(uri, "token", "hush", "credential", "x:hush")...)
	rest("colon", append(uri, "oauth2_client_id", "x:y", "oauth2_client_secret", "hush")...)
	rest("is for OAuth2", append(uri, "oauth2_scope", "x")...)
	rest("oauth2_uri is no address", append(uri, "credential", "x:hush", "oauth2_uri", "ftp://x")...)
	rest("is for sigv4", append(uri, "sigv4_name", "glue")...)
	rest("one of the two", append(uri, "sigv4", "true", "token", "hush")...)
}
