// Package sqlerror is the one rich error type that Leat shows at its edge: what
// went wrong, with which object, where in the user's text, and what to do.
//
// Inner packages return plain wrapped errors; whoever knows the object, the
// position or the way out makes an *Error of it. It is a leaf package, so that
// connectors and the catalog can use it as well as the parser and the engine.
package sqlerror

import (
	"errors"
	"fmt"
	"strings"
	"unicode/utf8"
)

// Kind says who can mend an error.
type Kind uint8

const (
	// Internal is a fault of Leat itself.
	Internal Kind = iota
	// User is a statement, option or value that has to be changed.
	User
	// External is a broker, bucket or catalog that does not do as it should.
	External
)

// String is the kind's lower-case name.
func (k Kind) String() string {
	switch k {
	case User:
		return "user"
	case External:
		return "external"
	}
	return "internal"
}

// Code is a stable, lower-case name of an error for programs to test.
type Code string

// The codes. MySQL tells the wire what each becomes.
const (
	CodeInternal      Code = "internal"
	CodeSyntax        Code = "syntax"
	CodeUnknownOption Code = "unknown_option"
	CodeBadOption     Code = "bad_option"     // value that does not fit the option, or a missing required one
	CodeUnknownObject Code = "unknown_object" // source, sink, stream, table or database
	CodeUnknownColumn Code = "unknown_column"
	CodeExists        Code = "exists"
	CodeInUse         Code = "in_use"
	CodeConflict      Code = "conflict" // a definition that does not go with what is stored
	CodeUnsupported   Code = "unsupported"
	CodeType          Code = "type"
	CodeExternal      Code = "external"
	CodeAuth          Code = "auth"
	CodeDataLoss      Code = "data_loss"
	CodeFenced        Code = "fenced"
	CodeState         Code = "state" // the object is not in a state that allows this
	CodeLocked        Code = "locked"
	CodeOutOfRange    Code = "out_of_range" // a computed value that its type cannot hold
	CodeJSON          Code = "json"         // text that is no JSON
	CodeJSONPath      Code = "json_path"    // text that is no path into JSON
	CodeArgument      Code = "argument"     // an argument that a function cannot have
	CodeCardinality   Code = "cardinality"  // a scalar subquery of several rows
	CodeResources     Code = "resources"    // a query that needs more memory or disk than it may have
)

// Position is a place in a statement's text; Line and Column count from 1,
// columns in characters. The zero value is "no place known".
type Position struct {
	File   string // empty when the text came over a connection
	Line   int
	Column int
}

// String is file:line:column, or line:column without a file.
func (p Position) String() string {
	if p.Line == 0 {
		return p.File
	}
	if p.File == "" {
		return fmt.Sprintf("line %d, column %d", p.Line, p.Column)
	}
	return fmt.Sprintf("%s:%d:%d", p.File, p.Line, p.Column)
}

// Within places a position that was counted from line 1, column 1 of an inner
// text in the text around it, where the inner one begins at outer. Without one
// of the two it is the other.
func (p Position) Within(outer Position) Position {
	if p.Line == 0 {
		return outer
	}
	if outer.Line == 0 {
		return Position{File: outer.File, Line: p.Line, Column: p.Column}
	}
	if p.Line == 1 {
		p.Column += outer.Column - 1
	}
	return Position{File: outer.File, Line: p.Line + outer.Line - 1, Column: p.Column}
}

// Error is the rich error. Object names what it is about ("source clicks",
// "option brokers"); Hint is a full sentence for the user, or empty; Retryable
// says that the same act may succeed later without anything being changed.
type Error struct {
	Code      Code
	Kind      Kind
	Object    string
	Pos       Position
	Message   string
	Hint      string
	Retryable bool
	Err       error // the cause, or nil
}

// Error is "line 3, column 8: source clicks: message: cause; hint".
func (e *Error) Error() string {
	var b strings.Builder
	if s := e.Pos.String(); s != "" {
		b.WriteString(s)
		b.WriteString(": ")
	}
	if e.Object != "" {
		b.WriteString(e.Object)
		b.WriteString(": ")
	}
	b.WriteString(e.Message)
	if e.Err != nil {
		if e.Message != "" {
			b.WriteString(": ")
		}
		cause := e.Err.Error()
		if e.Object != "" { // a cause that is about the same
			cause = strings.TrimPrefix(cause, e.Object+": ")
		}
		b.WriteString(cause)
	}
	if e.Hint != "" {
		b.WriteString(e.hint())
	}
	return b.String()
}

// hint is the hint as Error ends with it.
func (e *Error) hint() string { return " (" + strings.TrimSuffix(e.Hint, ".") + ")" }

// Unwrap gives the cause to errors.Is and errors.As.
func (e *Error) Unwrap() error { return e.Err }

// Userf is an error that the user has to mend.
func Userf(code Code, format string, args ...any) *Error {
	return newf(code, User, format, args...)
}

// Externalf is an error of a system outside; it is retryable unless changed.
func Externalf(code Code, format string, args ...any) *Error {
	e := newf(code, External, format, args...)
	e.Retryable = true
	return e
}

// newf keeps a cause that was wrapped by a final "%w" apart from the message,
// so that Error prints it once.
func newf(code Code, kind Kind, format string, args ...any) *Error {
	err := fmt.Errorf(format, args...)
	e := &Error{Code: code, Kind: kind, Message: err.Error()}
	_, several := err.(interface{ Unwrap() []error })
	switch cause := errors.Unwrap(err); {
	case cause == nil && !several:
	case cause != nil && strings.HasSuffix(format, ": %w"):
		e.Message, e.Err = strings.TrimSuffix(e.Message, ": "+cause.Error()), cause
	default:
		e.Message, e.Err = "", err
	}
	return e
}

// At adds a position unless the error has one.
func (e *Error) At(p Position) *Error {
	if e.Pos.Line == 0 {
		e.Pos = p
	}
	return e
}

// Within moves the error's position from an inner text to the text around it, as
// Position.Within does.
func (e *Error) Within(outer Position) *Error {
	e.Pos = e.Pos.Within(outer)
	return e
}

// About names the object unless the error has one.
func (e *Error) About(object string) *Error {
	if e.Object == "" {
		e.Object = object
	}
	return e
}

// WithHint adds a hint unless the error has one.
func (e *Error) WithHint(format string, args ...any) *Error {
	if e.Hint == "" {
		e.Hint = fmt.Sprintf(format, args...)
	}
	return e
}

// Final marks an error that no repetition mends.
func (e *Error) Final() *Error { e.Retryable = false; return e }

// As finds the rich error in a chain, or nil.
func As(err error) *Error {
	var e *Error
	if errors.As(err, &e) {
		return e
	}
	return nil
}

// IsRetryable reports whether err, or a cause of it, may go away by itself.
// Errors that nobody classified count as retryable: a network stack has more
// of them than can be listed, and giving up needs a reason.
func IsRetryable(err error) bool {
	if e := As(err); e != nil {
		return e.Retryable
	}
	return err != nil
}

// HasCode reports whether err carries the code.
func HasCode(err error, code Code) bool {
	e := As(err)
	return e != nil && e.Code == code
}

// messageBytes is what clients of MySQL's own library print of a message.
const messageBytes = 511

// MySQLMessage is the text of an error for a MySQL client: of a long one the hint
// comes before a part of the causes, so that a client which prints the first 511
// bytes prints it.
func MySQLMessage(err error) string {
	text := err.Error()
	e := As(err)
	for e != nil && e.Hint == "" {
		e = As(e.Err)
	}
	if e == nil {
		return text
	}
	hint := e.hint()
	i, most := strings.LastIndex(text, hint), messageBytes-len(hint)
	if i <= most || most < 0 {
		return text
	}
	at := strings.LastIndex(text[:most+1], ": ")
	if at < 0 {
		for at = most; !utf8.RuneStart(text[at]); at-- {
		}
	}
	return text[:at] + hint + text[at:i] + text[i+len(hint):]
}

// MySQL is the error number and SQLSTATE that a MySQL client is shown.
func (c Code) MySQL() (number int, state string) {
	switch c {
	case CodeSyntax:
		return 1064, "42000"
	case CodeUnknownOption, CodeBadOption:
		return 1231, "42000"
	case CodeUnknownObject:
		return 1146, "42S02"
	case CodeUnknownColumn:
		return 1054, "42S22"
	case CodeExists:
		return 1050, "42S01"
	case CodeUnsupported:
		return 1235, "42000"
	case CodeType:
		return 1366, "HY000"
	case CodeAuth:
		return 1045, "28000"
	case CodeOutOfRange:
		return 1690, "22003"
	case CodeJSON:
		return 3141, "22032"
	case CodeJSONPath:
		return 3143, "42000"
	case CodeArgument:
		return 1210, "HY000"
	case CodeCardinality:
		return 1242, "21000"
	case CodeResources:
		return 1041, "HY000"
	case CodeInUse, CodeConflict, CodeState, CodeFenced:
		return 3100, "HY000"
	}
	return 1105, "HY000"
}

// Nearest is the candidate that name was most likely meant to be, or "" when
// none is near: within a third of the name's length by edit distance.
func Nearest(name string, candidates []string) string {
	best, bestDistance := "", 1+max(1, len(name)/3)
	for _, c := range candidates {
		if d := distance(strings.ToLower(name), strings.ToLower(c)); d < bestDistance {
			best, bestDistance = c, d
		}
	}
	if best != "" {
		return best
	}
	for _, c := range candidates {
		if len(name) >= 4 && (strings.Contains(c, name) || len(c) >= 3 && strings.Contains(name, c)) {
			return c
		}
	}
	return ""
}

// distance is the Levenshtein distance where swapping neighbours counts one.
func distance(a, b string) int {
	prev2, prev, cur := make([]int, len(b)+1), make([]int, len(b)+1), make([]int, len(b)+1)
	for j := range prev {
		prev[j] = j
	}
	for i := 1; i <= len(a); i++ {
		cur[0] = i
		for j := 1; j <= len(b); j++ {
			cost := 1
			if a[i-1] == b[j-1] {
				cost = 0
			}
			cur[j] = min(prev[j]+1, cur[j-1]+1, prev[j-1]+cost)
			if i > 1 && j > 1 && a[i-1] == b[j-2] && a[i-2] == b[j-1] {
				cur[j] = min(cur[j], prev2[j-2]+1)
			}
		}
		prev2, prev, cur = prev, cur, prev2
	}
	return prev[len(b)]
}
