package adhoc

import (
	"context"
	"errors"
	"regexp"
	"strings"

	"github.com/leatdb/leat/sql/sqlerror"
)

// closedError is what an Engine answers after Close.
func closedError() error {
	return &sqlerror.Error{Code: sqlerror.CodeState, Message: "the ad hoc engine is closed"}
}

// Unsupported says that DuckDB cannot answer a query with exactly MySQL's
// result. It is no failure: the MySQL engine evaluates the query then, over
// Engine.Scan of its tables.
type Unsupported struct {
	Reason string
}

func (e *Unsupported) Error() string { return "not evaluated by DuckDB: " + e.Reason }

// duckError is an error that DuckDB reported.
type duckError struct {
	kind    string // what the message began with: "Binder", "Out of Range", …
	message string // without the kind, the excerpt of the statement and advice
	noRoom  bool   // what does not fit into memory found no room on the disk either
}

// spillLimit begins what DuckDB says of the bound of spilled data.
const spillLimit = "\nThis limit was set by the 'max_temp_directory_size' setting"

func (e *duckError) Error() string { return "duckdb: " + e.message }

// prepareError is a statement that DuckDB does not take.
type prepareError struct {
	sql string
	err error
}

func (e *prepareError) Error() string { return e.err.Error() }
func (e *prepareError) Unwrap() error { return e.err }

// parseError reads DuckDB's "Kind Error: message\n\nLINE 1: …".
func parseError(text string) *duckError {
	kind, message, ok := strings.Cut(text, " Error: ")
	if !ok {
		kind, message = "", text
	}
	message, _, _ = strings.Cut(message, "\n\n")
	message, _, noRoom := strings.Cut(message, spillLimit)
	return &duckError{kind, message, noRoom}
}

// numberNames are MySQL's words for the types that DuckDB's overflows name.
var numberNames = strings.NewReplacer(
	"UINT64", "BIGINT UNSIGNED", "INT64", "BIGINT", "UINT32", "BIGINT UNSIGNED", "INT32", "BIGINT",
	"UINT16", "BIGINT UNSIGNED", "INT16", "BIGINT", "UINT8", "BIGINT UNSIGNED", "INT8", "BIGINT",
	"UINT128", "DECIMAL", "INT128", "DECIMAL", "HUGEINT", "DECIMAL", "DOUBLE", "DOUBLE", "FLOAT", "DOUBLE")

// overflow finds the type and the operation in DuckDB's "Overflow in addition
// of INT64 (1 + 2)!" and "Overflow in addition of DECIMAL(18) (1 + 2). You …".
var overflow = regexp.MustCompile(`^Overflow in \w+ of (\w+)(?:\(\d+\))? \(([^)]*)\)`)

// damagedFile finds what DuckDB says of a file that is no Parquet.
var damagedFile = regexp.MustCompile(`^(No magic bytes found at end of file|File '.*' too small to be a Parquet file|Footer length error in file|Invalid Parquet file|Failed to read Parquet file) ?`)

// explain makes the error that a user is shown of one that running a query
// gave, with MySQL's wording where it has one.
func explain(ctx context.Context, err error) error {
	if err == nil {
		return nil
	}
	if ctx.Err() != nil {
		return context.Cause(ctx)
	}
	var e *duckError
	if !errors.As(err, &e) {
		return err
	}
	switch {
	case strings.HasPrefix(e.message, "More than one row returned by a subquery"):
		return sqlerror.Userf(sqlerror.CodeCardinality, "Subquery returns more than 1 row")
	case e.kind == "Out of Range" || strings.HasPrefix(e.message, "Overflow in "):
		if m := overflow.FindStringSubmatch(e.message); m != nil {
			return sqlerror.Userf(sqlerror.CodeOutOfRange, "%s value is out of range in '(%s)'", numberNames.Replace(m[1]), m[2])
		}
		return &sqlerror.Error{Code: sqlerror.CodeOutOfRange, Kind: sqlerror.User, Message: "a value is out of range", Err: e}
	case e.kind == "Conversion" && strings.Contains(e.message, "out of range for the destination type INT64"):
		return sqlerror.Userf(sqlerror.CodeOutOfRange, "BIGINT value is out of range")
	case e.kind == "Conversion" && strings.Contains(e.message, "out of range for the destination type UINT64"):
		return sqlerror.Userf(sqlerror.CodeOutOfRange, "BIGINT UNSIGNED value is out of range")
	case e.kind == "Conversion":
		return &sqlerror.Error{Code: sqlerror.CodeType, Kind: sqlerror.User, Message: "a value does not fit its type", Err: e}
	case e.noRoom:
		return (&sqlerror.Error{Code: sqlerror.CodeResources, Kind: sqlerror.External, Message: "the query does not fit into the memory of ad hoc queries, and the disk of the data directory has no room for the rest", Err: e}).
			WithHint("free space there, or give ad hoc queries more memory (leat serve --query-memory)")
	case e.kind == "Out of Memory":
		return (&sqlerror.Error{Code: sqlerror.CodeResources, Kind: sqlerror.External, Message: "the query needs more memory than ad hoc queries have", Err: e}).
			WithHint("give them more (leat serve --query-memory), or free space on the disk of the data directory, where they spill; or read fewer columns and rows")
	case damagedFile.MatchString(e.message):
		return (&sqlerror.Error{Code: sqlerror.CodeExternal, Kind: sqlerror.External, Message: "read data files", Err: e}).
			WithHint("the file is damaged; restore it from a copy")
	case e.kind == "IO" && strings.HasPrefix(e.message, "No files found that match the pattern"):
		return (&sqlerror.Error{Code: sqlerror.CodeExternal, Kind: sqlerror.External, Message: "read data files", Err: e}).
			WithHint("the table has the file and it is not there; restore it, or give the user who runs leat the right to read it")
	case e.kind == "IO":
		return &sqlerror.Error{Code: sqlerror.CodeExternal, Kind: sqlerror.External, Message: "read data files", Err: e, Retryable: true}
	case e.kind == "Invalid Input" && strings.HasPrefix(e.message, internalMark):
		return &sqlerror.Error{Code: sqlerror.CodeInternal, Message: "evaluate the query: " + strings.TrimPrefix(e.message, internalMark)}
	case e.kind == "Invalid Input":
		return sqlerror.Userf(FailureCode(e.message), "%s", e.message)
	}
	return &sqlerror.Error{Code: sqlerror.CodeInternal, Message: "evaluate the query", Err: e}
}

// FailureCode classifies by its words what a kernel failed with: DuckDB hands on
// nothing else of an error.
func FailureCode(message string) sqlerror.Code {
	switch {
	case strings.HasSuffix(message, "value is out of range"):
		return sqlerror.CodeOutOfRange
	case strings.HasPrefix(message, "Invalid JSON text"):
		return sqlerror.CodeJSON
	case strings.HasPrefix(message, "Invalid JSON path expression"):
		return sqlerror.CodeJSONPath
	case strings.HasPrefix(message, "Incorrect arguments to "):
		return sqlerror.CodeArgument
	}
	return sqlerror.CodeType
}
