package sqlerror_test

import (
	"errors"
	"fmt"
	"io"
	"strings"
	"testing"

	"github.com/leatdb/leat/sql/sqlerror"
)

func TestError_Text(t *testing.T) {
	f := func(e *sqlerror.Error, want string) {
		t.Helper()
		if got := e.Error(); got != want {
			t.Errorf("Error()=%q, want %q", got, want)
		}
	}
	at := sqlerror.Position{Line: 3, Column: 8}
	f(sqlerror.Userf(sqlerror.CodeSyntax, "bad %s", "x"), "bad x")
	f(sqlerror.Userf(sqlerror.CodeSyntax, "bad").At(at).About("source s").WithHint("try %d.", 2), "line 3, column 8: source s: bad (try 2)")
	f(sqlerror.Userf(sqlerror.CodeSyntax, "bad").At(sqlerror.Position{File: "a.sql", Line: 1, Column: 2}), "a.sql:1:2: bad")
	f(sqlerror.Userf(sqlerror.CodeSyntax, "bad").At(sqlerror.Position{File: "a.sql"}), "a.sql: bad")
	f(sqlerror.Externalf(sqlerror.CodeExternal, "read %s: %w", "x", io.EOF).WithHint("wait"), "read x: EOF (wait)")
	f(sqlerror.Externalf(sqlerror.CodeExternal, "%w happened", io.EOF), "EOF happened")
	f(sqlerror.Externalf(sqlerror.CodeExternal, "%w and %w", io.EOF, io.ErrClosedPipe), "EOF and io: read/write on closed pipe")
	f(&sqlerror.Error{Err: io.EOF}, "EOF")
	// An object is named once.
	inner := sqlerror.Userf(sqlerror.CodeSyntax, "bad").About("source s")
	f((&sqlerror.Error{Err: inner}).About("source s").At(at), "line 3, column 8: source s: bad")
	f((&sqlerror.Error{Message: "read", Err: inner}).About("stream t"), "stream t: read: source s: bad")
	// What is known first stays.
	f(sqlerror.Userf(sqlerror.CodeSyntax, "bad").At(at).At(sqlerror.Position{Line: 9}).About("a").About("b").WithHint("c").WithHint("d"), "line 3, column 8: a: bad (c)")
}

func TestError_Chain(t *testing.T) {
	for _, e := range []*sqlerror.Error{
		sqlerror.Userf(sqlerror.CodeSyntax, "read: %w", io.EOF),
		sqlerror.Userf(sqlerror.CodeSyntax, "%w, that is", io.EOF),
		sqlerror.Userf(sqlerror.CodeSyntax, "%w and %w", io.ErrClosedPipe, io.EOF),
	} {
		if !errors.Is(e, io.EOF) {
			t.Errorf("%v has lost its cause", e)
		}
		wrapped := fmt.Errorf("outer: %w", e)
		if sqlerror.As(wrapped) != e || !sqlerror.HasCode(wrapped, sqlerror.CodeSyntax) || sqlerror.HasCode(wrapped, sqlerror.CodeType) {
			t.Errorf("%v is not found in its chain", e)
		}
	}
	if sqlerror.As(io.EOF) != nil || sqlerror.As(nil) != nil || sqlerror.HasCode(nil, "") {
		t.Error("As finds an error that is not there")
	}
}

// Clients of MySQL's library print 511 bytes.
func TestMySQLMessage_HintInTime(t *testing.T) {
	f := func(err error, want string) {
		t.Helper()
		got := sqlerror.MySQLMessage(err)
		if got != want {
			t.Errorf("MySQLMessage(%v)=%q, want %q", err, got, want)
		}
		if i := strings.Index(got, " (mend it)"); i+len(" (mend it)") > 511 {
			t.Errorf("the hint ends after 511 bytes: %q", got)
		}
	}
	long := strings.Repeat("é", 300)
	e := func(cause error) *sqlerror.Error {
		return sqlerror.Externalf(sqlerror.CodeExternal, "read x: %w", cause).About("source s").WithHint("mend it.")
	}
	f(e(io.EOF), "source s: read x: EOF (mend it)")
	f(e(errors.New("late: "+long)), "source s: read x: late (mend it): "+long)
	f(fmt.Errorf("stream t: %w", e(errors.New(long))), "stream t: source s: read x (mend it): "+long)
	f(fmt.Errorf("%w, says the server", e(errors.New(long))), "source s: read x (mend it): "+long+", says the server")
	f(e(e(errors.New(long))), "source s: read x: read x (mend it): "+long+" (mend it)")
	f(sqlerror.Userf(sqlerror.CodeSyntax, "%s", long).WithHint("mend it"), strings.Repeat("é", 250)+" (mend it)"+strings.Repeat("é", 50))
	f(errors.New(long), long)
	// A line of 511 bytes is whole.
	f(sqlerror.Userf(sqlerror.CodeSyntax, "%s", strings.Repeat("x", 501)).WithHint("mend it"), strings.Repeat("x", 501)+" (mend it)")
	f(sqlerror.Userf(sqlerror.CodeSyntax, "%s", strings.Repeat("x", 502)).WithHint("mend it"), strings.Repeat("x", 501)+" (mend it)x")
	huge := sqlerror.Userf(sqlerror.CodeSyntax, "bad").WithHint("%s", long)
	f(huge, huge.Error())
}

func TestIsRetryable(t *testing.T) {
	f := func(err error, want bool) {
		t.Helper()
		if got := sqlerror.IsRetryable(err); got != want {
			t.Errorf("IsRetryable(%v)=%t", err, got)
		}
	}
	f(nil, false)
	f(io.EOF, true)
	f(sqlerror.Userf(sqlerror.CodeSyntax, "x"), false)
	f(fmt.Errorf("y: %w", sqlerror.Externalf(sqlerror.CodeExternal, "x")), true)
	f(sqlerror.Externalf(sqlerror.CodeExternal, "x").Final(), false)
}

func TestPosition_Within(t *testing.T) {
	f := func(inner, outer, want sqlerror.Position) {
		t.Helper()
		if got := inner.Within(outer); got != want {
			t.Errorf("%+v within %+v=%+v, want %+v", inner, outer, got, want)
		}
		e := sqlerror.Userf(sqlerror.CodeSyntax, "x").At(inner).Within(outer)
		if e.Pos != want {
			t.Errorf("error at %+v within %+v=%+v, want %+v", inner, outer, e.Pos, want)
		}
	}
	p := func(line, column int) sqlerror.Position { return sqlerror.Position{Line: line, Column: column} }
	file := sqlerror.Position{File: "a.sql", Line: 10, Column: 5}
	f(p(1, 1), file, file)
	f(p(1, 4), file, sqlerror.Position{File: "a.sql", Line: 10, Column: 8})
	f(p(3, 4), file, sqlerror.Position{File: "a.sql", Line: 12, Column: 4})
	f(sqlerror.Position{}, file, file)
	f(p(3, 4), sqlerror.Position{}, p(3, 4))
	f(p(3, 4), sqlerror.Position{File: "b.sql"}, sqlerror.Position{File: "b.sql", Line: 3, Column: 4})
}

func TestNearest(t *testing.T) {
	f := func(name, want string, candidates ...string) {
		t.Helper()
		if got := sqlerror.Nearest(name, candidates); got != want {
			t.Errorf("Nearest(%q, %q)=%q, want %q", name, candidates, got, want)
		}
	}
	f("broker", "brokers", "topic", "brokers")
	f("tpoic", "topic", "topic", "brokers")
	f("TOPIC", "topic", "topic")
	f("start", "start", "stop", "start")
	f("compression_level", "compression", "catalog", "compression")
	f("xyz", "", "topic", "brokers")
	f("", "", "topic")
	f("processlist", "", "c", "is")
	f("topic", "")
}

func TestCode_MySQL(t *testing.T) {
	f := func(code sqlerror.Code, number int, state string) {
		t.Helper()
		if n, s := code.MySQL(); n != number || s != state {
			t.Errorf("%s is %d %s, want %d %s", code, n, s, number, state)
		}
	}
	f(sqlerror.CodeSyntax, 1064, "42000")
	f(sqlerror.CodeUnknownObject, 1146, "42S02")
	f(sqlerror.CodeUnknownColumn, 1054, "42S22")
	f(sqlerror.CodeExists, 1050, "42S01")
	f(sqlerror.CodeAuth, 1045, "28000")
	f(sqlerror.CodeInternal, 1105, "HY000")
	f("something else", 1105, "HY000")
}
