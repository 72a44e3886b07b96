package sql

import (
	"errors"
	"fmt"
	"math/big"
	"strconv"
	"strings"
	"unicode/utf8"

	"github.com/leatdb/leat/internal/mysqljson"
	"github.com/leatdb/leat/sql/sqlerror"
	"github.com/leatdb/leat/sql/types"
)

// RewriteQuery turns a SELECT into one that the engine's MySQL parser reads as
// MySQL 8 would, and says where each byte of it came from.
//
//   - UNNEST(expr) AS t(name TYPE [PATH '…'] [… ON EMPTY] [… ON ERROR], …), or
//     FLATTEN(…), where a table may stand becomes JSON_TABLE(expr, '$[*]' COLUMNS(…)) AS t.
//     The path of a column is '$.name' unless given. One column alone without
//     a path takes '$', the element itself: UNNEST(tags) AS t(tag VARCHAR(20))
//     reads an array of strings; for objects with one member write
//     PATH '$.tag'. A column may also be name FOR ORDINALITY; WITH ORDINALITY before AS
//     adds one of the name ordinality. UNNEST(a, b) AS t(x TYPE, y TYPE) walks over
//     several arrays side by side, a column for each; a path is one within the element.
//   - What that parser reads otherwise than MySQL is spelled apart: 1--1 and
//     a//b, which it takes for comments; \% and \_ in strings, whose backslash
//     it drops; names with $ or letters beyond ASCII, some words that are no
//     keywords (shared, plan), and compound units (HOUR_MINUTE), which it wants
//     in backquotes. IS UNKNOWN is IS NULL, and GROUP BY … WITH ROLLUP groups by
//     RollupMark too. DATE '…', TIME '…' and TIMESTAMP '…', which are texts there,
//     become casts, = ANY (SELECT …) becomes IN and <> ALL (SELECT …) NOT IN, other
//     comparisons with ANY and ALL get AnyMark and AllMark, and DO sets a variable
//     that nobody reads. INTERVAL(n, a, …) becomes IntervalMark, ROW(a, b) a list
//     in brackets, N'…' a text, and SUBSTRING(a FROM b) gets commas. ODBC's {ts '…'},
//     {fn f(…)} and {oj …} lose their braces; what says how a query shall be computed
//     (HIGH_PRIORITY, SQL_BIG_RESULT) and what goes without saying (RESPECT NULLS) is
//     left out, as are brackets around the whole query. SHOW STREAMS WHERE … is a
//     SELECT from leat.streams, SHOW SCHEMAS is SHOW DATABASES. Calls of the marks
//     themselves are refused with CodeUnsupported.
//
// Everything else, comments too, stays as it is. Windows (TUMBLE, HOP, SESSION)
// are refused with CodeUnsupported. Positions, of errors too, count from
// line 1, column 1 of the text; see sqlerror.Error.Within. The text is read
// under the default sql_mode, as Lexer does.
func RewriteQuery(text string) (rewritten string, m PositionMap, err error) {
	if err := checkLength(text, "query", sqlerror.Position{}); err != nil {
		return "", m, err
	}
	r := rewriter{text: text, lex: newLexer(text, sqlerror.Position{}), frames: make([]rewriteFrame, 1, 8)}
	if err := r.run(); err != nil {
		return "", m, err
	}
	return r.out.String(), PositionMap{text: text, pieces: r.pieces}, nil
}

type rewriter struct {
	text   string
	lex    Lexer
	out    strings.Builder
	pieces []piece
	copied int // the text is written up to here
	frames []rewriteFrame
	before Token   // the last token
	second Token   // the one before that
	braces []Token // of ODBC that are open
	does   bool    // the statement is DO
	marks  bool    // the next bracket is that of a query behind a mark
}

// RollupMark is the function, as the last element of GROUP BY, that stands for
// WITH ROLLUP.
const RollupMark = "leat_rollup"

// AnyMark and AllMark are the functions, on the right side of a comparison, that
// stand for ANY (SELECT …) and ALL (SELECT …).
const (
	AnyMark = "leat_any"
	AllMark = "leat_all"
)

// IntervalMark is the function that stands for INTERVAL(n, a, b, …).
const IntervalMark = "leat_interval"

// ZipFunction is the function that makes one array of several.
const ZipFunction = "leat_zip"

// marks are the functions that nobody else may call: what they are given is
// known to be right.
var marks = map[string]bool{
	RollupMark: true, AnyMark: true, AllMark: true, IntervalMark: true, ZipFunction: true,
	"leat_timestamp": true, "leat_utc_timestamp": true, "leat_greatest": true, "leat_least": true, "leat_json_pretty": true, // see planner.PrepareSelect
}

// rewriteFrame is what is known of an open bracket, or of the text itself.
type rewriteFrame struct {
	selects bool // SELECT has been seen, so that FROM begins its tables
	inFrom  bool // commas separate tables
	// table says that a table may stand next.
	table bool
	// flatten is the UNNEST or FLATTEN that the bracket belongs to.
	flatten *Token
	arrays  int // that it has
	// rows says that VALUES lists rows.
	rows bool
	// substring is set for the arguments of SUBSTRING.
	substring bool
	// marked is set for the query behind an AnyMark or AllMark.
	marked bool
	// around is set for brackets that the whole query is in.
	around bool
	// modifiers says that the words behind SELECT that are no columns may go on.
	modifiers bool
}

func (r *rewriter) run() error {
	for {
		t, err := r.lex.Next()
		if err != nil {
			return err
		}
		if t.Kind == EOF {
			if n := len(r.braces); n > 0 {
				return sqlerror.Userf(sqlerror.CodeSyntax, "{ is not closed").At(r.braces[n-1].Pos)
			}
			r.copy(len(r.text))
			if r.does {
				r.insert(")", len(r.text))
			}
			r.insert("", len(r.text)) // the end came from the end
			return nil
		}
		if err := r.token(t); err != nil {
			return err
		}
		r.second, r.before = r.before, t
	}
}

// token handles one token; most are copied later, with what is around them.
func (r *rewriter) token(t Token) error {
	frame := &r.frames[len(r.frames)-1]
	table := frame.table
	frame.table = false
	if t.Kind != Word {
		frame.modifiers = false
	}
	switch t.Kind {
	case Invalid:
		return invalid(t)
	case String:
		return r.string(t)
	case Number:
		if strings.HasPrefix(t.Text, "0b") {
			r.bits(t, t.Text[2:])
		}
	case BitString:
		if c := t.Text[0]; c == 'b' || c == 'B' {
			r.bits(t, t.Text[2:len(t.Text)-1])
		}
	case Word:
		if r.before.IsOperator(".") {
			r.quote(t)
			return nil
		}
		return r.word(t, frame, table)
	case Operator:
		switch t.Text {
		case "(":
			around := r.isAround()
			if err := r.open(table, nil); err != nil || !around {
				return err
			}
			r.frames[len(r.frames)-1].around = true
			r.leaveOut(t)
		case ")":
			if len(r.frames) > 1 {
				r.frames = r.frames[:len(r.frames)-1]
			}
			if frame.around {
				r.leaveOut(t)
			}
			if frame.flatten != nil {
				return r.close(t, *frame.flatten, frame.arrays)
			}
			if frame.marked {
				r.copy(t.End())
				r.insert(")", t.End())
			}
		case ",":
			if frame.flatten != nil && !strings.EqualFold(frame.flatten.Text, "UNNEST") {
				return sqlerror.Userf(sqlerror.CodeSyntax, "%s takes one argument, found a second", strings.ToUpper(frame.flatten.Text)).At(t.Pos)
			}
			frame.table = frame.inFrom
			if r.does && len(r.frames) == 1 {
				r.replace(t, "), "+doVariable+" = (")
			}
		case "{": // ODBC's {ts '…'}, {fn f(…)}, {oj …}: the word is read below
			lex := r.lex
			if next, err := lex.Next(); err == nil && next.Kind == Word {
				r.braces = append(r.braces, t)
				r.leaveOut(t)
				frame.table = table
			}
		case "}":
			if n := len(r.braces); n > 0 {
				r.braces = r.braces[:n-1]
				r.leaveOut(t)
				frame.table = table
			}
		case "-", "/":
			// The same character next, or a comment that begins with it.
			if rest := r.text[t.End():]; rest != "" && rest[0] == t.Text[0] {
				r.copy(t.End())
				r.insert(" ", t.End())
			}
		}
	}
	return nil
}

// isAround reports whether the bracket that was read is around the whole query.
func (r *rewriter) isAround() bool {
	first := r.before == Token{} || r.second == Token{} && (r.before.IsWord("EXPLAIN") || r.before.IsWord("DESCRIBE") || r.before.IsWord("DESC"))
	if !first && !(r.before.IsOperator("(") && r.frames[len(r.frames)-1].around) {
		return false
	}
	lex := r.lex
	query := false
	for depth := 1; depth > 0; {
		t, err := lex.Next()
		query = query || t.IsWord("SELECT") || t.IsWord("WITH") || t.IsWord("VALUES") || t.IsWord("TABLE")
		switch {
		case err != nil || t.Kind == EOF || !query && !t.IsOperator("("):
			return false
		case t.IsOperator("("):
			depth++
		case t.IsOperator(")"):
			depth--
		}
	}
	for {
		t, err := lex.Next()
		if err != nil || !t.IsOperator(";") && !t.IsOperator(")") {
			return err == nil && t.Kind == EOF
		}
	}
}

func (r *rewriter) open(table bool, flatten *Token) error {
	if len(r.frames) > maxNesting {
		return tooDeep(r.before.Pos)
	}
	r.frames = append(r.frames, rewriteFrame{
		inFrom: table, table: table, flatten: flatten, marked: r.marks,
		substring: r.before.IsWord("SUBSTRING") || r.before.IsWord("SUBSTR") || r.before.IsWord("MID"),
	})
	r.marks = false
	return nil
}

// word handles a keyword or name; table says that a table may stand here.
func (r *rewriter) word(t Token, frame *rewriteFrame, table bool) error {
	word := strings.ToUpper(t.Text)
	if r.before.IsOperator("{") {
		frame.table = table
		if _, ok := odbcTypes[word]; !ok || !isString(r.lex) {
			r.leaveOut(t)
		}
		return nil
	}
	modifiers := frame.modifiers
	frame.modifiers = false
	switch word {
	case "SELECT":
		frame.selects, frame.inFrom, frame.modifiers = true, false, true
	case "FROM":
		frame.inFrom, frame.table = frame.selects, frame.selects
	case "JOIN", "STRAIGHT_JOIN":
		frame.table = frame.inFrom
	case "LATERAL":
		frame.table = table
	case "VALUES":
		frame.rows = true
	case "WHERE", "GROUP", "HAVING", "ORDER", "LIMIT", "WINDOW", "UNION", "INTERSECT", "EXCEPT", "INTO":
		frame.inFrom = false
	case "UNNEST", "FLATTEN":
		if !isCall(r.lex) {
			break
		}
		if table {
			return r.flatten(t)
		}
		if word == "UNNEST" {
			return sqlerror.Userf(sqlerror.CodeSyntax, "UNNEST is a table, found where a value belongs").At(t.Pos).
				WithHint("write FROM source, UNNEST(column) AS t(name TYPE, …) and select t.name")
		}
	case "TUMBLE", "HOP", "SESSION":
		if table && isCall(r.lex) {
			return sqlerror.Userf(sqlerror.CodeUnsupported, "windows are not available yet in continuous queries").At(t.Pos).About(word).
				WithHint("land the rows with a stream, and query its table: GROUP BY FROM_UNIXTIME(UNIX_TIMESTAMP(t) DIV 60 * 60) is a window of a minute")
		}
	}
	if marks[strings.ToLower(t.Text)] && isCall(r.lex) {
		return sqlerror.Userf(sqlerror.CodeUnsupported, "%s is Leat's own word for another expression, which cannot be called", strings.ToLower(t.Text)).At(t.Pos)
	}
	switch {
	case modifiers && selectModifiers[word]:
		frame.modifiers = true
		switch {
		case word == "DISTINCTROW":
			r.replace(t, "DISTINCT")
		case strings.HasSuffix(word, "_RESULT") || word == "HIGH_PRIORITY": // how it is computed, not what
			r.leaveOut(t)
		}
		return nil
	case word == "INTERVAL" && isList(r.lex):
		r.replace(t, IntervalMark)
		return nil
	case word == "ROW" && !frame.rows && isList(r.lex): // a row needs no word
		r.leaveOut(t)
		return nil
	case frame.substring && (word == "FROM" || word == "FOR"):
		r.replace(t, ",")
		return nil
	case word == "FROM" && (r.before.IsWord("LEADING") || r.before.IsWord("TRAILING") || r.before.IsWord("BOTH")):
		r.replace(t, "' ' FROM")
		return nil
	case word == "SHARE" && r.before.IsWord("FOR"):
		r.replaceBoth(t, "LOCK IN SHARE MODE")
		return nil
	case word == "RESPECT" && r.before.IsOperator(")") && r.isNext("NULLS"), word == "FROM" && r.before.IsOperator(")") && r.isNext("FIRST", "OVER"): // what window functions do anyway
		second, err := r.lex.Next()
		r.copy(t.Offset)
		r.copied = second.End()
		return err
	case strings.HasPrefix(word, "SQL_TSI_") && r.before.IsOperator("(") && strings.HasPrefix(strings.ToUpper(r.second.Text), "TIMESTAMP"):
		r.replace(t, t.Text[len("SQL_TSI_"):])
		return nil
	case introducers[word] && isString(r.lex): // which would take a COLLATE away
		r.leaveOut(t)
		return nil
	case r.before.IsWord("SHOW") && r.second == Token{} && word == "SCHEMAS":
		r.replace(t, "DATABASES")
		return nil
	case r.before.IsWord("SHOW") && r.second == Token{} && word == "STORAGE" && r.isNext("ENGINES"):
		r.leaveOut(t)
		return nil
	case r.before.IsWord("SHOW") && r.second == Token{} && isShowWord(word) && r.isNext("WHERE"):
		r.replaceBoth(t, "SELECT * FROM leat."+strings.ToLower(word))
		return nil
	case word == "DEC" && r.before.IsWord("AS"):
		r.replace(t, "DECIMAL")
		return nil
	case word == "DO" && r.before == Token{}:
		r.does = true
		r.replace(t, "SET "+doVariable+" = (")
		return nil
	case (word == "ANY" || word == "SOME" || word == "ALL") && comparisons[r.before.Text] && r.before.Kind == Operator && isSubquery(r.lex):
		r.quantified(t, word)
		return nil
	case word == "ROLLUP" && r.before.IsWord("WITH"):
		r.replaceBoth(t, ", "+RollupMark+"()")
		return nil
	case word == "UNKNOWN" && (r.before.IsWord("IS") || r.before.IsWord("NOT") && r.second.IsWord("IS")):
		r.replace(t, "NULL")
		return nil
	case compoundUnits[word] && r.before.IsOperator("(") && r.second.IsWord("EXTRACT"):
		return nil
	}
	if frame.selects && misreserved[word] && !isCall(r.lex) || compoundUnits[word] {
		r.inBackquotes(t)
		return nil
	}
	r.quote(t)
	return nil
}

// selectModifiers are the words that may stand between SELECT and the first column.
var selectModifiers = map[string]bool{
	"ALL": true, "DISTINCT": true, "DISTINCTROW": true, "HIGH_PRIORITY": true, "STRAIGHT_JOIN": true, "SQL_SMALL_RESULT": true,
	"SQL_BIG_RESULT": true, "SQL_BUFFER_RESULT": true, "SQL_NO_CACHE": true, "SQL_CALC_FOUND_ROWS": true,
}

// introducers say of the string behind them what all strings are.
var introducers = map[string]bool{"_UTF8MB4": true, "_UTF8MB3": true, "_UTF8": true}

// odbcTypes are what the literals {d '…'}, {t '…'} and {ts '…'} are of.
var odbcTypes = map[string]string{"D": "DATE", "T": "TIME", "TS": "TIMESTAMP"}

// isNext reports whether the words come next.
func (r *rewriter) isNext(words ...string) bool {
	lex := r.lex
	for _, w := range words {
		if t, err := lex.Next(); err != nil || !t.IsWord(w) {
			return false
		}
	}
	return true
}

// isString reports whether a string comes next.
func isString(lex Lexer) bool {
	t, err := lex.Next()
	return err == nil && t.Kind == String
}

// doVariable takes the values of DO.
const doVariable = "@leat_do"

// comparisons are the operators that may stand before ANY and ALL.
var comparisons = map[string]bool{"=": true, "<>": true, "!=": true, "<": true, "<=": true, ">": true, ">=": true}

// isList reports whether a list of several expressions in brackets comes next.
func isList(lex Lexer) bool {
	if t, err := lex.Next(); err != nil || !t.IsOperator("(") {
		return false
	}
	for depth := 1; ; {
		t, err := lex.Next()
		switch {
		case err != nil, t.Kind == EOF:
			return false
		case t.IsOperator("("):
			depth++
		case t.IsOperator(")"):
			if depth--; depth == 0 {
				return false
			}
		case t.IsOperator(",") && depth == 1:
			return true
		}
	}
}

// isSubquery reports whether a query in brackets comes next.
func isSubquery(lex Lexer) bool {
	if t, err := lex.Next(); err != nil || !t.IsOperator("(") {
		return false
	}
	t, err := lex.Next()
	return err == nil && (t.IsWord("SELECT") || t.IsWord("WITH") || t.IsWord("VALUES") || t.IsWord("TABLE") || t.IsOperator("("))
}

// quantified writes a comparison with ANY or ALL, whose operator came before.
func (r *rewriter) quantified(t Token, word string) {
	op := r.before.Text
	switch {
	case op == "=" && word != "ALL":
		r.replaceBoth(t, "IN")
	case (op == "<>" || op == "!=") && word == "ALL":
		r.replaceBoth(t, "NOT IN")
	default:
		mark := AnyMark
		if word == "ALL" {
			mark = AllMark
		}
		r.replace(t, mark+"(")
		r.marks = true
	}
}

// string handles a string, which may be that of a date or time.
func (r *rewriter) string(t Token) error {
	var typ string
	var err error
	text := []byte(t.Value())
	if c := t.Text[0]; c == 'N' || c == 'n' { // a text of the national character set, which all are
		r.copy(t.Offset)
		r.copied = t.Offset + 1
	}
	if r.before.Kind == Word && !r.second.IsOperator(".") && !r.second.IsWord("AS") {
		word := strings.ToUpper(r.before.Text)
		if r.second.IsOperator("{") {
			word = odbcTypes[word]
		}
		switch word {
		case "DATE":
			typ = word
			_, err = mysqljson.ParseDate(text)
		case "TIME":
			typ = word + digitsOfSecond(text)
			if _, err = mysqljson.ParseTime(text, 6); errors.Is(err, mysqljson.ErrBeyondDay) {
				err = nil // a length of time
			}
		case "TIMESTAMP":
			typ = "DATETIME" + digitsOfSecond(text)
			_, _, err = mysqljson.ParseDateTime(text, 6)
		}
		if err != nil {
			return sqlerror.Userf(sqlerror.CodeType, "Incorrect %s value: %s", word, QuoteString(t.Value())).At(t.Pos)
		}
	}
	if typ != "" {
		r.copy(r.before.Offset)
		r.insert("CAST(", r.before.Offset)
		r.copied = t.Offset
	}
	r.escapes(t)
	if typ != "" {
		r.copy(t.End())
		r.insert(" AS "+typ+")", t.End())
	}
	return nil
}

// digitsOfSecond is the precision, in brackets, that a literal's fraction of a
// second has.
func digitsOfSecond(text []byte) string {
	_, fraction, _ := strings.Cut(string(text), ".")
	n := 0
	for n < len(fraction) && n < 6 && fraction[n] >= '0' && fraction[n] <= '9' {
		n++
	}
	if n == 0 {
		return ""
	}
	return "(" + strconv.Itoa(n) + ")"
}

// misreserved are the words that the engine's MySQL parser takes for keywords
// and MySQL for names, where no bracket follows.
var misreserved = map[string]bool{
	"COPY": true, "ENCRYPTED": true, "EXCLUSIVE": true, "INPLACE": true, "NEXT": true, "NOW": true, "OFF": true, "PLAN": true,
	"SHARED": true, "STD": true, "STDDEV": true, "STDDEV_POP": true, "STDDEV_SAMP": true, "SUBSTR": true, "SUBSTRING": true,
	"SYSTEM_TIME": true, "TRANSACTIONAL": true, "VARIANCE": true, "VAR_POP": true, "VAR_SAMP": true, "VECTOR": true, "YES": true,
}

// compoundUnits are the units of INTERVAL that it wants in backquotes.
var compoundUnits = map[string]bool{
	"SECOND_MICROSECOND": true, "MINUTE_MICROSECOND": true, "MINUTE_SECOND": true, "HOUR_MICROSECOND": true,
	"HOUR_SECOND": true, "HOUR_MINUTE": true, "DAY_MICROSECOND": true, "DAY_SECOND": true, "DAY_MINUTE": true,
	"DAY_HOUR": true, "YEAR_MONTH": true,
}

// flatten begins a JSON_TABLE in place of UNNEST or FLATTEN.
func (r *rewriter) flatten(t Token) error {
	from := t.Offset
	if r.before.IsWord("LATERAL") {
		from = r.before.Offset // JSON_TABLE is always lateral
	}
	arrays, err := r.countArguments()
	if err != nil {
		return err
	}
	r.copy(from)
	r.insert("JSON_TABLE", t.Offset)
	if arrays > 1 && strings.EqualFold(t.Text, "UNNEST") {
		r.insert("("+ZipFunction, t.Offset)
	}
	r.copied = t.End()
	if _, err := r.lex.Next(); err != nil { // the bracket
		return err
	}
	args := r.lex
	if arg, err := args.Next(); err == nil && arg.IsOperator(")") {
		return sqlerror.Userf(sqlerror.CodeSyntax, "expected the array to flatten, found )").At(arg.Pos)
	}
	if err := r.open(false, &t); err != nil {
		return err
	}
	r.frames[len(r.frames)-1].arrays = arrays
	return nil
}

// countArguments counts the arguments in the bracket that comes next.
func (r *rewriter) countArguments() (int, error) {
	lex := r.lex
	for depth, count := 0, 1; ; {
		t, err := lex.Next()
		switch {
		case err != nil:
			return 0, err
		case t.Kind == EOF:
			return count, nil // whoever reads on says what is missing
		case t.IsOperator("("):
			depth++
		case t.IsOperator(")"):
			if depth--; depth == 0 {
				return count, nil
			}
		case t.IsOperator(",") && depth == 1:
			count++
		}
	}
}

// flattenColumn is one column of an UNNEST.
type flattenColumn struct {
	name       Ident
	offset     int
	ordinality bool
	typ        types.Type
	exists     bool
	path       string // as a literal, or empty
	given      string // what it is a literal of
	defaults   string // ON EMPTY and ON ERROR
}

// close ends the JSON_TABLE at the bracket that closes the UNNEST's: it reads
// the alias and the columns that follow.
func (r *rewriter) close(t, call Token, arrays int) error {
	what := strings.ToUpper(call.Text)
	r.copy(t.Offset)
	p := parser{lex: r.lex, tok: t}
	if err := p.advance(); err != nil {
		return err
	}
	var columns []flattenColumn
	if p.tok.IsWord("WITH") {
		at := p.tok
		if err := p.expectWords("WITH", "ORDINALITY"); err != nil {
			return err
		}
		columns = append(columns, flattenColumn{name: Ident{Name: "ordinality", Pos: at.Pos}, offset: at.Offset, ordinality: true})
	}
	if _, err := p.acceptWord("AS"); err != nil {
		return err
	}
	if !p.tok.isName() || p.tok.Kind == Word && IsReserved(p.tok.Text) {
		return p.unexpected("AS and a name for the table of "+what).WithHint("write %s(column) AS t(name TYPE, …)", what)
	}
	alias := p.tok
	if err := p.advance(); err != nil {
		return err
	}
	if !p.tok.IsOperator("(") {
		return p.unexpected("( and the columns of "+what).WithHint("their types have to be said: %s(…) AS %s(name TYPE, …)", what, alias.Text)
	}
	columns, err := p.flattenColumns(columns)
	if err != nil {
		return err
	}
	if p.tok.IsWord("WITH") && p.ahead().IsWord("ORDINALITY") {
		return p.unexpected("the next table or clause").WithHint("WITH ORDINALITY stands before AS")
	}
	values := 0
	for _, c := range columns {
		if !c.ordinality {
			values++
		}
	}
	if arrays > 1 {
		if values != arrays {
			return sqlerror.Userf(sqlerror.CodeSyntax, "%s of %d arrays has %d columns beside ordinality", what, arrays, values).At(alias.Pos).
				WithHint("each array has one column, in their order: UNNEST(a, b) AS %s(x TYPE, y TYPE)", alias.Text)
		}
		at := 0
		for i := range columns {
			c := &columns[i]
			if c.ordinality {
				continue
			}
			path := "$"
			if c.path != "" {
				path = c.given
			}
			if !strings.HasPrefix(path, "$") {
				return sqlerror.Userf(sqlerror.CodeSyntax, "column %s: a path begins with $", QuoteName(c.name.Name)).At(c.name.Pos)
			}
			c.path = QuoteString("$[" + strconv.Itoa(at) + "]" + path[1:])
			at++
		}
		r.insert(")", t.Offset)
	}
	r.writeColumns(columns, values, t, alias)
	r.copied = p.last.End()
	// The token after the columns is still to be handled.
	r.lex = p.lex
	r.lex.offset, r.lex.pos = p.tok.Offset, p.tok.Pos
	return nil
}

// flattenColumns reads (name TYPE [EXISTS] [PATH '…'] […], …).
func (p *parser) flattenColumns(columns []flattenColumn) ([]flattenColumn, error) {
	for {
		if err := p.advance(); err != nil { // ( or ,
			return nil, err
		}
		if p.tok.IsWord("NESTED") && (p.ahead().IsWord("PATH") || p.ahead().Kind == String) {
			return nil, p.unexpected("a column").WithHint("nested arrays are written with JSON_TABLE and NESTED PATH")
		}
		offset := p.tok.Offset
		name, err := p.name("the name of a column")
		if err != nil {
			return nil, err
		}
		if err := checkName("a column", name); err != nil {
			return nil, err
		}
		for _, c := range columns {
			if strings.EqualFold(c.name.Name, name.Name) {
				return nil, sqlerror.Userf(sqlerror.CodeSyntax, "column %s is declared twice", QuoteName(name.Name)).At(name.Pos)
			}
		}
		c := flattenColumn{name: name, offset: offset}
		if p.tok.IsWord("FOR") {
			c.ordinality = true
			err = p.expectWords("FOR", "ORDINALITY")
		} else {
			err = p.flattenColumn(&c)
		}
		if err != nil {
			return nil, err
		}
		columns = append(columns, c)
		if p.tok.IsOperator(",") {
			continue
		}
		return columns, p.expectOperator(")", "after column "+QuoteName(name.Name))
	}
}

func (p *parser) flattenColumn(c *flattenColumn) error {
	of := "column " + QuoteName(c.name.Name)
	typ, pos, err := p.columnType(of)
	if err != nil {
		return err
	}
	if typ.Name == "BIT" {
		return sqlerror.Userf(sqlerror.CodeType, "%s: JSON has no bits to make a BIT of", of).At(pos).WithHint("use BIGINT or BOOLEAN")
	}
	c.typ = typ
	if c.exists, err = p.acceptWord("EXISTS"); err != nil {
		return err
	}
	if path, err := p.acceptWord("PATH"); err != nil {
		return err
	} else if path {
		if p.tok.Kind != String {
			return p.unexpected("a path such as '$." + c.name.Name + "' after PATH")
		}
		c.given = p.tok.Value()
		c.path = QuoteString(c.given)
		if err := p.advance(); err != nil {
			return err
		}
	}
	from, end := p.tok.Offset, p.tok.Offset
	for p.tok.IsWord("NULL") || p.tok.IsWord("ERROR") || p.tok.IsWord("DEFAULT") {
		if value := p.tok.IsWord("DEFAULT"); value {
			if err := p.advance(); err != nil {
				return err
			}
			if p.tok.IsOperator("-") {
				if err := p.advance(); err != nil {
					return err
				}
			}
			if p.tok.Kind != String && p.tok.Kind != Number && p.tok.Kind != Word {
				return p.unexpected("a value after DEFAULT")
			}
		}
		if err := p.advance(); err != nil {
			return err
		}
		if err := p.expectWords("ON"); err != nil {
			return err
		}
		if !p.tok.IsWord("EMPTY") && !p.tok.IsWord("ERROR") {
			return p.unexpected("EMPTY or ERROR")
		}
		end = p.tok.End()
		if err := p.advance(); err != nil {
			return err
		}
	}
	c.defaults = p.lex.text[from:end]
	if c.exists && c.defaults != "" {
		return sqlerror.Userf(sqlerror.CodeSyntax, "%s: EXISTS takes no ON EMPTY or ON ERROR", of).At(c.name.Pos)
	}
	if !p.tok.IsOperator(",") && !p.tok.IsOperator(")") {
		return p.unexpected(", or ) after "+of, "PATH", "EXISTS", "DEFAULT")
	}
	return nil
}

// writeColumns writes the end of a JSON_TABLE after its first argument.
func (r *rewriter) writeColumns(columns []flattenColumn, values int, t, alias Token) {
	r.insert(", '$[*]' COLUMNS(", t.Offset)
	for i, c := range columns {
		var b strings.Builder
		if i > 0 {
			b.WriteString(", ")
		}
		b.WriteString(QuoteName(c.name.Name))
		if c.ordinality {
			b.WriteString(" FOR ORDINALITY")
			r.insert(b.String(), c.offset)
			continue
		}
		b.WriteString(" " + jsonTableType(c.typ))
		if c.exists {
			b.WriteString(" EXISTS")
		}
		path := c.path
		switch {
		case path != "":
		case values == 1:
			path = "'$'"
		default:
			path = QuoteString(memberPath(c.name.Name))
		}
		b.WriteString(" PATH " + path)
		if c.defaults != "" {
			b.WriteString(" " + c.defaults)
		}
		r.insert(b.String(), c.offset)
	}
	r.insert(")) AS ", t.Offset)
	r.insert(QuoteName(alias.Value()), alias.Offset)
}

// jsonTableType spells a type for JSON_TABLE, whose VARCHAR and VARBINARY need a
// length.
func jsonTableType(t types.Type) string {
	if t.Length == 0 {
		switch t.Name {
		case "VARCHAR", "CHAR":
			return "TEXT"
		case "VARBINARY", "BINARY":
			return "BLOB"
		}
	}
	return t.String()
}

// memberPath is the JSON path of an object's member.
func memberPath(name string) string {
	if isPlainName(name) {
		return "$." + name
	}
	return `$."` + strings.NewReplacer(`\`, `\\`, `"`, `\"`).Replace(name) + `"`
}

// escapes doubles the backslash of \% and \_, which mean both characters.
func (r *rewriter) escapes(t Token) {
	body := t.Text
	for i := 0; i < len(body)-1; i++ {
		if body[i] != '\\' {
			continue
		}
		if i++; body[i] == '%' || body[i] == '_' {
			r.copy(t.Offset + i)
			r.insert(`\`, t.Offset+i)
		}
	}
}

// quote puts a name that is read only by MySQL itself without quotes into
// backquotes.
func (r *rewriter) quote(t Token) {
	for i := range len(t.Text) {
		if c := t.Text[i]; c != '$' && c < utf8.RuneSelf {
			continue
		}
		r.inBackquotes(t)
		return
	}
}

func (r *rewriter) inBackquotes(t Token) {
	r.copy(t.Offset)
	r.insert("`", t.Offset)
	r.copy(t.End())
	r.insert("`", t.End())
}

// copy writes the text from where it was left to end.
func (r *rewriter) copy(end int) {
	if end > r.copied {
		r.pieces = append(r.pieces, piece{to: r.out.Len(), from: r.copied, copied: true})
		r.out.WriteString(r.text[r.copied:end])
		r.copied = end
	}
}

// bits writes a literal of bits as one of bytes, which it is.
func (r *rewriter) bits(t Token, digits string) {
	n, ok := new(big.Int).SetString(digits, 2)
	if !ok {
		return // whoever reads it says what is wrong
	}
	r.replace(t, fmt.Sprintf("x'%0*x'", (len(digits)+7)/8*2, n))
}

// leaveOut drops a token.
func (r *rewriter) leaveOut(t Token) {
	r.copy(t.Offset)
	r.copied = t.End()
}

// replace writes what stands in place of a token.
func (r *rewriter) replace(t Token, s string) {
	r.copy(t.Offset)
	r.insert(s, t.Offset)
	r.copied = t.End()
}

// replaceBoth writes what stands in place of the token before and of a token.
func (r *rewriter) replaceBoth(t Token, s string) {
	r.copy(r.before.Offset)
	r.insert(s, r.before.Offset)
	r.copied = t.End()
}

// insert writes what stands in place of the text at the offset from.
func (r *rewriter) insert(s string, from int) {
	r.pieces = append(r.pieces, piece{to: r.out.Len(), from: from})
	r.out.WriteString(s)
}
