package mysqlserver

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"strings"
	"testing"

	gms "github.com/dolthub/go-mysql-server/sql"
	"github.com/dolthub/vitess/go/mysql"

	"github.com/leatdb/leat/sql/sqlerror"
)

func TestGuard_Panic(t *testing.T) {
	var log strings.Builder
	h := &handler{server: &Server{metrics: &Metrics{}, logger: slog.New(slog.NewTextHandler(&log, nil))}}
	err := h.guard("SELECT 1", func() error { panic("boom") })
	var e *mysql.SQLError
	if !errors.As(err, &e) || e.Num != 1105 || !strings.Contains(e.Message, "internal error") || !strings.Contains(e.Message, "boom") {
		t.Errorf("error = %v, want 1105 that names the panic", err)
	}
	if h.server.metrics.Panics.Load() != 1 {
		t.Errorf("panics = %d, want 1", h.server.metrics.Panics.Load())
	}
	if text := log.String(); !strings.Contains(text, "SELECT 1") || !strings.Contains(text, "TestGuard_Panic") {
		t.Errorf("log = %q, want the statement and the stack", text)
	}
}

func TestClientError(t *testing.T) {
	f := func(err error, number int, state, message string) {
		t.Helper()
		var e *mysql.SQLError
		if !errors.As(clientError(err), &e) || e.Num != number || e.State != state || e.Message != message {
			t.Errorf("clientError(%v) = %v, want %d %s %q", err, clientError(err), number, state, message)
		}
	}
	if err := clientError(nil); err != nil {
		t.Errorf("clientError(nil) = %v", err)
	}
	at := sqlerror.Position{Line: 2, Column: 3}
	f(sqlerror.Userf(sqlerror.CodeSyntax, "no").At(at), 1064, "42000", "line 2, column 3: no")
	f(fmt.Errorf("read: %w", sqlerror.Userf(sqlerror.CodeInUse, "busy")), 3100, "HY000", "read: busy")
	f(mysql.NewSQLError(1050, "42S01", "there"), 1050, "42S01", "there")
	f(fmt.Errorf("outer: %w", mysql.NewSQLError(1050, "42S01", "there")), 1050, "42S01", "outer: there")
	f(gms.ErrTableNotFound.New("t"), 1146, "42S02", "table not found: t")
	f(gms.ErrMoreThanOneRow.New(), 1172, "42000", "Result consisted of more than one row")
	f(gms.ErrCollationInvalidForCharSet.New("a", "b"), 1253, "42000", "COLLATION 'a' is not valid for CHARACTER SET 'b'")
	f(fmt.Errorf("flush: %w", context.Canceled), 1317, "70100", "Query execution was interrupted")
	f(errors.New("whatever"), 1105, "HY000", "whatever")
	f(errors.New("whatever (errno x) (sqlstate HY000)"), 1105, "HY000", "whatever (errno x) (sqlstate HY000)")
}
