//go:build gms_pure_go && duckdb_arrow

package mysqlserver

import (
	"context"
	"errors"
	"fmt"
	"regexp"
	"runtime/debug"
	"strconv"
	"strings"

	gms "github.com/dolthub/go-mysql-server/sql"
	"github.com/dolthub/go-mysql-server/sql/analyzer/analyzererrors"
	"github.com/dolthub/vitess/go/mysql"

	"github.com/leatdb/leat/engine"
	"github.com/leatdb/leat/sql/sqlerror"
)

// guard runs a part of the library and makes a panic an error of it.
func (h *handler) guard(text string, run func() error) (err error) {
	defer func() {
		if p := recover(); p != nil {
			err = h.fault(text, fmt.Sprint(p), string(debug.Stack()))
		}
	}()
	return clientError(run())
}

// fault logs a panic and is the error that the client gets for it.
func (h *handler) fault(text, reason, stack string) error {
	h.server.metrics.Panics.Add(1)
	h.server.logger.Error("statement failed by a fault of the server", "statement", shorten(text), "panic", reason, "stack", stack)
	return mysql.NewSQLError(mysql.ERUnknownError, mysql.SSUnknownSQLState, "internal error, the server's log has the details: %s", reason)
}

// shorten is a statement as the log shows it.
func shorten(query string) string {
	const most = 300
	query = withoutSecrets(query)
	if len(query) > most {
		return strings.ToValidUTF8(query[:most], "") + "…"
	}
	return query
}

// embedded is what an error of the protocol says of itself when another wraps
// it: its number and state, which are lost otherwise.
var embedded = regexp.MustCompile(` \(errno (\d+)\) \(sqlstate ([0-9A-Z]{5})\)$`)

// clientError is an error as the client shall see it: ours by their codes, those
// of the MySQL engine by its own numbers.
func clientError(err error) error {
	switch {
	case err == nil:
		return nil
	case errors.Is(err, context.Canceled):
		return mysql.NewSQLError(mysql.ERQueryInterrupted, "70100", "Query execution was interrupted")
	}
	if ours := sqlerror.As(err); ours != nil {
		number, state := ours.Code.MySQL()
		return mysql.NewSQLError(number, state, "%s", sqlerror.MySQLMessage(err))
	}
	e := gms.CastSQLError(err)
	number, state, message := e.Num, e.State, e.Message
	if m := embedded.FindStringSubmatchIndex(message); number == mysql.ERUnknownError && m != nil {
		if n, err := strconv.Atoi(message[m[2]:m[3]]); err == nil {
			number, state, message = n, message[m[4]:m[5]], message[:m[0]]
		}
	}
	if number == mysql.ERUnknownError {
		number = numberOf(err)
	}
	if s, ok := states[number]; ok && (state == "" || state == mysql.SSUnknownSQLState) {
		state = s
	}
	return mysql.NewSQLError(number, state, "%s", message)
}

// placed says what is known of an error beside what it says: where the name stands
// that it is about, and what to do.
func (h *handler) placed(ctx *gms.Context, err error, statement string) error {
	at, hint := h.server.db.Advise(ctx, err, statement)
	m, ok := errors.AsType[*mysql.SQLError](clientError(err))
	if !ok || at.Line == 0 && hint == "" {
		return err
	}
	message := m.Message
	if at.Line != 0 {
		message = at.String() + ": " + message
	}
	if hint != "" {
		message += " (" + hint + ")"
	}
	return mysql.NewSQLError(m.Num, m.State, "%s", message)
}

// numberOf is MySQL's number for those errors of the MySQL engine that it has
// none for.
func numberOf(err error) int {
	switch {
	case gms.ErrColumnNotFound.Is(err), gms.ErrTableColumnNotFound.Is(err), gms.ErrUnknownColumn.Is(err):
		return mysql.ERBadFieldError
	case gms.ErrAmbiguousColumnName.Is(err):
		return mysql.ERNonUniq
	case gms.ErrNonAggregatedColumnWithoutGroupBy.Is(err):
		return 1140 // ER_MIX_OF_GROUP_FUNC_AND_FIELDS
	case analyzererrors.ErrValidationGroupBy.Is(err), analyzererrors.ErrValidationGroupByOrderBy.Is(err):
		return 1055 // ER_WRONG_FIELD_WITH_GROUP
	case gms.ErrSyntaxError.Is(err):
		return mysql.ERParseError
	case gms.ErrFunctionNotFound.Is(err):
		return 1305 // ER_SP_DOES_NOT_EXIST, which MySQL says of functions too
	case gms.ErrInvalidArgumentNumber.Is(err):
		return 1582 // ER_WRONG_PARAMCOUNT_TO_NATIVE_FCT
	case gms.ErrDatabaseAccessDeniedForUser.Is(err):
		return 1044 // ER_DBACCESS_DENIED_ERROR
	case gms.ErrPrivilegeCheckFailed.Is(err):
		return 1227 // ER_SPECIFIC_ACCESS_DENIED_ERROR
	case gms.ErrUnknownSystemVariable.Is(err):
		return 1193 // ER_UNKNOWN_SYSTEM_VARIABLE
	case gms.ErrUserDeletionFailure.Is(err), gms.ErrUserCreationFailure.Is(err):
		return 1396 // ER_CANNOT_USER
	case gms.ErrImmutableDatabaseProvider.Is(err):
		return 1044 // ER_DBACCESS_DENIED_ERROR
	case engine.IsWrite(err):
		return 1036 // ER_OPEN_AS_READONLY
	case gms.ErrNoTablesUsed.Is(err):
		return 1096 // ER_NO_TABLES_USED
	case gms.ErrMoreThanOneRow.Is(err):
		return 1172 // ER_TOO_MANY_ROWS
	case gms.ErrCollationInvalidForCharSet.Is(err):
		return 1253 // ER_COLLATION_CHARSET_MISMATCH
	case gms.ErrCollationUnknown.Is(err):
		return 1273 // ER_UNKNOWN_COLLATION
	case gms.ErrSecureFilePriv.Is(err):
		return 1290 // ER_OPTION_PREVENTS_STATEMENT
	case gms.ErrColumnCountMismatch.Is(err):
		return 1353 // ER_VIEW_WRONG_LIST
	case gms.ErrUnsupportedFeature.Is(err), gms.ErrUnsupportedSyntax.Is(err):
		return mysql.ERNotSupportedYet
	}
	return mysql.ERUnknownError
}

// states are the SQL states of error numbers that the MySQL engine gives without.
var states = map[int]string{
	mysql.ERParseError: "42000", mysql.ERNotSupportedYet: "42000", mysql.ERBadDb: "42000", 1044: "42000", 1055: "42000", 1140: "42000", 1172: "42000", 1253: "42000", 1227: "42000", 1305: "42000", 1582: "42000", mysql.ERSubqueryNo1Row: "21000",
	mysql.ERNoSuchTable: "42S02", mysql.ERBadFieldError: "42S22", mysql.ERNonUniq: "23000",
}
