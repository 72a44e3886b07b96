package planner

import (
	"errors"
	"fmt"
	"regexp"
	"strconv"
	"strings"

	gms "github.com/dolthub/go-mysql-server/sql"
	gmsfunction "github.com/dolthub/go-mysql-server/sql/expression/function"

	"github.com/leatdb/leat/planner/function"
	"github.com/leatdb/leat/sql"
	"github.com/leatdb/leat/sql/sqlerror"
)

// queryText is a query as the user wrote it, for placing errors in it.
type queryText struct {
	text string
	at   sqlerror.Position // of its first character
	// relations are what the query reads, and tables the names that could stand
	// in FROM: what a misspelt name may have meant.
	relations []Relation
	tables    []string
}

// position is the place of a byte of the text.
func (q *queryText) position(offset int) sqlerror.Position {
	return sql.PositionAt(q.text, offset).Within(q.at)
}

// find places a name, variable or placeholder that the query uses; unknown ones
// are at the query's beginning.
func (q *queryText) find(name string) sqlerror.Position {
	if name == "" {
		return q.position(0)
	}
	if offset, ok := sql.FindIdentifier(q.text, name); ok {
		return q.position(offset)
	}
	return q.first(func(t sql.Token) bool { return strings.EqualFold(t.Text, name) })
}

// keyword places the first of the words or operators.
func (q *queryText) keyword(words ...string) sqlerror.Position {
	return q.first(func(t sql.Token) bool { return isOneOf(t, words) })
}

// lastKeyword places the last of the words.
func (q *queryText) lastKeyword(words ...string) sqlerror.Position {
	found := q.position(0)
	q.first(func(t sql.Token) bool {
		if isOneOf(t, words) {
			found = t.Pos.Within(q.at)
		}
		return false
	})
	return found
}

func isOneOf(t sql.Token, words []string) bool {
	for _, w := range words {
		if t.IsWord(w) || t.IsOperator(w) {
			return true
		}
	}
	return false
}

// first places the first token that matches, or the query's beginning.
func (q *queryText) first(match func(sql.Token) bool) sqlerror.Position {
	lex := sql.NewLexer(q.text, sqlerror.Position{Line: 1, Column: 1})
	for {
		t, err := lex.Next()
		if err != nil || t.Kind == sql.EOF {
			return q.position(0)
		}
		if match(t) {
			return t.Pos.Within(q.at)
		}
	}
}

func (q *queryText) columns() []string {
	var names []string
	for _, r := range q.relations {
		for _, c := range r.columns() {
			names = append(names, c.Name)
		}
	}
	return names
}

var (
	quoted        = regexp.MustCompile("[\"'`]([^\"'`]*)[\"'`]")
	parsePosition = regexp.MustCompile(`(?: at)? position (\d+)(?: near '([^']*)')?`)
)

// SyntaxError makes a rich error of one of the MySQL parser, which counts the
// bytes of the rewritten text (see sql.RewriteQuery) up to the end of the word
// that it did not expect. The user's text begins at at.
func SyntaxError(err error, rewritten string, positions sql.PositionMap, at sqlerror.Position) error {
	message := err.Error()
	m := parsePosition.FindStringSubmatch(message)
	if m == nil {
		return sqlerror.Userf(sqlerror.CodeSyntax, "%s", message).At(at)
	}
	end, _ := strconv.Atoi(m[1])
	end = max(0, min(end-1, len(rewritten)))
	positioned := end
	word := m[2]
	if strings.HasSuffix(rewritten[:end], "`"+word+"`") {
		word = "`" + word + "`"
	}
	if start := end - len(word); start >= 0 && strings.EqualFold(rewritten[start:end], word) {
		end = start
	}
	message = strings.Replace(message, " at position "+m[1], "", 1)
	read := rewritten[:min(end+len(word), len(rewritten))]
	// A sign has no text of its own: the parser names the word before it.
	if sign := end - 1; m[2] != "" && sign >= 0 && end == positioned && strings.IndexByte("+-*/%<>=!&|^~(),.:;@", rewritten[sign]) >= 0 {
		message = strings.Replace(message, "near '"+m[2]+"'", "near '"+rewritten[sign:end]+"'", 1)
		end = sign
	}
	e := sqlerror.Userf(sqlerror.CodeSyntax, "%s", message).At(positions.Position(end).Within(at))
	for _, missing := range notParsed {
		if missing.words.MatchString(read) {
			return e.WithHint("%s", missing.instead)
		}
	}
	if hint := syntaxHint(read, rewritten[len(read):]); hint != "" {
		return e.WithHint("%s", hint)
	}
	return e
}

// keywords are those that are misspelt where a query goes on, statements those that
// begin one, and shown what follows SHOW.
var (
	keywords   = []string{"SELECT", "DISTINCT", "FROM", "WHERE", "GROUP", "HAVING", "ORDER", "LIMIT", "OFFSET", "JOIN", "INNER", "UNION", "BETWEEN", "PARTITION", "OVER", "WINDOW", "VALUES", "INTERVAL"}
	statements = []string{"SELECT", "WITH", "SHOW", "EXPLAIN", "DESCRIBE", "CREATE", "DROP", "ALTER", "START", "STOP", "FLUSH", "REPLAY", "USE", "GRANT", "REVOKE", "INSERT", "UPDATE", "DELETE"}
	shown      = []string{"STREAMS", "SOURCES", "SINKS", "SECRETS", "TABLES", "DATABASES", "COLUMNS", "INDEX", "VARIABLES", "STATUS", "WARNINGS", "ERRORS", "PROCESSLIST", "GRANTS", "CREATE", "ENGINES", "COLLATION", "FULL"}
)

// syntaxHint says what may have been meant by a text that the parser has read to the
// word that it did not expect, with which read ends: a keyword that is misspelt, a
// reserved word as a name, a bracket that is missing.
func syntaxHint(read, rest string) string {
	var tokens []sql.Token
	depth := 0
	lex := sql.NewLexer(read, sqlerror.Position{})
	for {
		t, err := lex.Next()
		if err != nil {
			return ""
		}
		if t.Kind == sql.EOF {
			break
		}
		switch {
		case t.IsOperator("("):
			depth++
		case t.IsOperator(")"):
			depth--
		}
		tokens = append(tokens, t)
	}
	n := len(tokens)
	if n == 0 {
		return ""
	}
	last, before := tokens[n-1], sql.Token{}
	if n > 1 {
		before = tokens[n-2]
	}
	isEnd := strings.Trim(rest, " \t\r\n;") == ""
	switch {
	case n == 1:
		return misspelt(last, statements)
	case n == 2 && before.IsWord("SHOW"):
		return misspelt(last, shown)
	case depth < 0:
		return "there is no ( for this )"
	case last.Kind == sql.Word && sql.IsReserved(last.Text) && (before.IsWord("AS") || before.IsWord("SELECT") || before.IsOperator(",") || before.IsOperator(".")):
		if before.IsOperator(",") && (last.IsWord("FROM") || last.IsWord("WHERE")) {
			return "the comma before " + strings.ToUpper(last.Text) + " is too many"
		}
		return fmt.Sprintf("%s is a reserved word; as a name it needs backquotes: `%s`", strings.ToUpper(last.Text), last.Text)
	case last.Kind == sql.String && last.Text[0] == '"' && (before.IsWord("FROM") || before.IsWord("JOIN") || before.IsWord("AS") || before.IsOperator(".")):
		return "names are quoted with backquotes: `" + last.Value() + "`"
	case n > 2 && before.IsWord("FROM") && tokens[n-3].IsOperator(","):
		return "the comma before FROM is too many"
	}
	for _, t := range []sql.Token{last, before} {
		if hint := misspelt(t, keywords); hint != "" {
			return hint
		}
	}
	switch {
	case isEnd && depth > 0:
		return "a bracket is not closed"
	case isEnd && (last.Kind == sql.Operator && !last.IsOperator(")") || last.Kind == sql.Word && sql.IsReserved(last.Text)):
		return "the statement ends too early"
	}
	return ""
}

// misspelt is the hint for a word that is none of the words, but near to one.
func misspelt(t sql.Token, words []string) string {
	if t.Kind != sql.Word || len(t.Text) < 3 || sql.IsReserved(t.Text) {
		return ""
	}
	near := sqlerror.Nearest(t.Text, words)
	if near == "" || strings.EqualFold(near, t.Text) || strings.Contains(strings.ToUpper(t.Text), near) || strings.Contains(near, strings.ToUpper(t.Text)) && len(near)-len(t.Text) > 1 {
		return ""
	}
	return "did you mean " + near + "?"
}

// notParsed are MySQL's forms that the parser does not know, by what ends with the
// word that it did not expect, and what to write instead.
var notParsed = []struct {
	words   *regexp.Regexp
	instead string
}{
	{regexp.MustCompile(`:=$`), "a SELECT assigns no variables: write SET @x = (SELECT …), or a window function for what runs from row to row"},
	{regexp.MustCompile(`(?i)\bBY\b.*\bGROUPS$`), "a window's frame is one of ROWS or RANGE"},
	{regexp.MustCompile(`(?i)\b(?:ROW|PRECEDING|FOLLOWING)\s+EXCLUDE$`), "a window's frame leaves no rows out: compute what is left out apart, and subtract it"},
	{regexp.MustCompile(`(?i)\)\s*IGNORE$`), "window functions count NULLs: leave them out by WHERE in a sub-select"},
	{regexp.MustCompile(`(?i)\bNTH_VALUE\s*\([^()]*\)\s*FROM$`), "write ORDER BY … DESC instead of FROM LAST"},
	{regexp.MustCompile(`(?i)\bGROUP_CONCAT\s*\(.*\)\s*OVER$`), "GROUP_CONCAT is no window function: JSON_ARRAYAGG is one"},
	{regexp.MustCompile(`(?i)\bAS\s+(?:INT|INTEGER|BIGINT|SMALLINT|TINYINT|BOOL|BOOLEAN)$`), "CAST makes SIGNED or UNSIGNED integers"},
	{regexp.MustCompile(`(?i)\bAS\s+(?:VARCHAR|STRING|TEXT)$`), "CAST makes CHAR, or CHAR(n)"},
	{regexp.MustCompile(`(?i)\bAS\s+(?:TIMESTAMP|TIMESTAMPTZ)$`), "CAST makes DATETIME, or DATETIME(n)"},
	{regexp.MustCompile(`(?i)\bAS\s+NUMERIC$`), "CAST makes DECIMAL(p, s)"},
	{regexp.MustCompile(`::\w*$`), "write CAST(value AS type)"},
	{regexp.MustCompile(`(?i)\bILIKE\b.*$`), "LIKE tells upper from lower case by the collation: write LOWER(a) LIKE LOWER(b)"},
	{regexp.MustCompile(`(?i)\bSELECT\s+TOP\s+\d+$`), "write LIMIT n at the end"},
	{regexp.MustCompile(`(?i)\bFETCH$`), "write LIMIT n"},
	{regexp.MustCompile(`(?i)\bOFFSET\s+\d+$`), "write LIMIT n OFFSET m"},
	{regexp.MustCompile(`(?i)\bQUALIFY\b.*$`), "put the window function into a sub-select, and the condition into WHERE around it"},
	{regexp.MustCompile(`(?i)\bTABLESAMPLE\b.*$`), "write WHERE RAND() < 0.1"},
	{regexp.MustCompile(`(?i)\bOVER\s*\(\s*PARTITION\s+\w+$`), "write PARTITION BY"},
	{regexp.MustCompile(`(?i)\b(?:ROW_NUMBER|RANK|DENSE_RANK|PERCENT_RANK|CUME_DIST|NTILE|LAG|LEAD|FIRST_VALUE|LAST_VALUE|NTH_VALUE)\s*\([^()]*\)\s*(?:,|FROM|AS|\w+)$`), "it is a window function: write OVER (ORDER BY …) behind it"},
	{regexp.MustCompile(`(?i)\bRANGE\b.*\d+\.\d*$`), "the distances of RANGE are whole numbers, or INTERVAL n unit"},
	{regexp.MustCompile(`(?i)^\s*CREATE\s+MATERIALIZED$`), "CREATE STREAM … AS SELECT keeps a table up to date"},
	{regexp.MustCompile(`(?i)^\s*CREATE\s+FUNCTION$`), "functions are those of MySQL, and Go functions that the program registers"},
	{regexp.MustCompile(`(?i)^\s*(?:MERGE|COPY|LOAD)$`), "tables are written by streams: CREATE STREAM … INTO sink.table AS SELECT …"},
	{regexp.MustCompile(`(?i)^\s*(?:CHECK|OPTIMIZE|CHECKSUM|REPAIR|VACUUM|HANDLER|XA|HELP|PRAGMA)$`), "there is no such statement here"},
	{regexp.MustCompile(`(?i)\bSOUNDS\s+LIKE$`), "write SOUNDEX(a) = SOUNDEX(b)"},
	{regexp.MustCompile(`(?i)\bMEMBER\s+OF$`), "write JSON_CONTAINS(array, CAST(value AS JSON))"},
}

// unknownColumn is the column that an error of the MySQL engine's binder does not
// know, or finds in several relations; "" for every other error.
func unknownColumn(err error) string {
	all := quoted.FindAllStringSubmatch(err.Error(), -1)
	if len(all) == 0 {
		return ""
	}
	switch {
	case gms.ErrTableColumnNotFound.Is(err):
		return all[len(all)-1][1]
	case gms.ErrColumnNotFound.Is(err), gms.ErrUnknownColumn.Is(err), gms.ErrMisusedAlias.Is(err), gms.ErrAmbiguousColumnName.Is(err):
		return all[0][1]
	}
	return ""
}

// NamePosition is the column, function, table or database that an error of the MySQL
// engine is about, and where the query names it: "" if it is about none, and no place
// where that is not found.
func NamePosition(err error, query string) (name string, at sqlerror.Position) {
	switch {
	case gms.ErrTableNotFound.Is(err), gms.ErrDatabaseNotFound.Is(err):
		name = afterColon(err)
	case gms.ErrFunctionNotFound.Is(err), gms.ErrInvalidArgumentNumber.Is(err):
		if all := quoted.FindStringSubmatch(err.Error()); all != nil {
			name = all[1]
		}
	default:
		name = unknownColumn(err)
	}
	if name == "" {
		return "", at
	}
	if offset, found := sql.FindIdentifier(query, name); found {
		at = sql.PositionAt(query, offset)
	}
	return name, at
}

// bindError makes a rich error of what the MySQL engine's binder says: where the
// name stands that it does not know, and which one is nearest.
func (q *queryText) bindError(err error) error {
	if rich := sqlerror.As(err); rich != nil {
		return rich
	}
	name := ""
	if all := quoted.FindAllStringSubmatch(err.Error(), -1); len(all) > 0 {
		name = all[len(all)-1][1]
	}
	switch {
	case gms.ErrTableColumnNotFound.Is(err), gms.ErrColumnNotFound.Is(err), gms.ErrUnknownColumn.Is(err), gms.ErrMisusedAlias.Is(err):
		return q.unknown("column", unknownColumn(err), q.columns())
	case gms.ErrAmbiguousColumnName.Is(err):
		name = unknownColumn(err)
		return sqlerror.Userf(sqlerror.CodeUnknownColumn, "column %s is in several relations", name).
			At(q.find(name)).WithHint("write the relation's name before it, as in t.%s", name)
	case gms.ErrTableNotFound.Is(err):
		return q.unknown("table or source", afterColon(err), q.tables)
	case gms.ErrDatabaseNotFound.Is(err):
		return q.unknown("database", afterColon(err), nil)
	case gms.ErrFunctionNotFound.Is(err), gms.ErrTableFunctionNotFound.Is(err):
		e := sqlerror.Userf(sqlerror.CodeUnknownObject, "unknown function %s", name).At(q.find(name))
		if hint := FunctionHint(name); hint != "" {
			return e.WithHint("%s", hint)
		}
		return e
	case gms.ErrInvalidArgumentNumber.Is(err):
		name = quoted.FindStringSubmatch(err.Error())[1]
		e := sqlerror.Userf(sqlerror.CodeType, "%s", err.Error()).At(q.find(name))
		if hint := ArgumentsHint(name); hint != "" {
			return e.WithHint("%s", hint)
		}
		return e
	}
	return sqlerror.Userf(sqlerror.CodeSyntax, "%s", err.Error()).At(q.find(name))
}

func afterColon(err error) string {
	s := err.Error()
	return strings.TrimSpace(s[strings.LastIndexByte(s, ':')+1:])
}

func (q *queryText) unknown(what, name string, candidates []string) error {
	code := sqlerror.CodeUnknownObject
	if what == "column" {
		code = sqlerror.CodeUnknownColumn
	}
	e := sqlerror.Userf(code, "unknown %s %s", what, name).At(q.find(name))
	bare := name[strings.LastIndexByte(name, '.')+1:]
	if near := sqlerror.Nearest(bare, candidates); near != "" {
		return e.WithHint("did you mean %s?", near)
	}
	if what == "column" && len(candidates) > 0 && len(candidates) <= 40 {
		return e.WithHint("known are %s", strings.Join(candidates, ", "))
	}
	return e
}

// elsewhere are functions of other systems by what MySQL has instead.
var elsewhere = map[string]string{
	"tumble": windowInstead, "hop": windowInstead, "session": windowInstead,
	"array_agg": "JSON_ARRAYAGG", "string_agg": "GROUP_CONCAT", "listagg": "GROUP_CONCAT", "nvl": "IFNULL", "iif": "IF", "len": "CHAR_LENGTH", "getdate": "NOW",
	"date_trunc": "DATE_FORMAT(d, '%Y-%m-01')", "to_char": "DATE_FORMAT", "to_date": "STR_TO_DATE", "to_timestamp": "FROM_UNIXTIME or STR_TO_DATE", "dateadd": "DATE_ADD(d, INTERVAL n unit)",
	"charindex": "LOCATE", "strpos": "LOCATE", "split_part": "SUBSTRING_INDEX", "random": "RAND", "regexp_matches": "REGEXP_LIKE", "json_extract_path_text": "column->>'$.path'",
	"get_json_object": "column->>'$.path'", "approx_count_distinct": "COUNT(DISTINCT …)", "explode": "UNNEST(column) AS t(…) in FROM", "flatten": "UNNEST(column) AS t(…) in FROM", "to_number": "CAST(… AS DECIMAL)",
}

const windowInstead = "GROUP BY FROM_UNIXTIME(UNIX_TIMESTAMP(t) DIV 60 * 60) over the table of a stream: windows are not available yet"

// FunctionHint says what may have been meant by a function that does not exist, ""
// if nothing is near.
func FunctionHint(name string) string {
	name = strings.ToLower(name)
	if instead, ok := elsewhere[name]; ok {
		return "MySQL has " + instead
	}
	if near := sqlerror.Nearest(name, FunctionNames()); near != "" {
		return "did you mean " + strings.ToUpper(near) + "?"
	}
	return ""
}

// ArgumentsHint says what a function that was called with other arguments takes, ""
// if that is not known.
func ArgumentsHint(name string) string {
	f, ok := function.Lookup(name)
	if !ok || f.Doc == "" {
		return ""
	}
	return strings.ToUpper(f.Name) + ": " + strings.TrimSuffix(f.Doc, ".")
}

// FunctionNames are the functions that a query can call.
func FunctionNames() []string {
	var names []string
	for _, f := range gmsfunction.BuiltIns {
		names = append(names, f.FunctionName())
	}
	for _, f := range Functions() {
		if name := f.FunctionName(); name != bitNot && !strings.HasPrefix(name, ownMark) {
			names = append(names, name)
		}
	}
	return names
}

// refuse makes a rich error of one that Lower returned.
func (q *queryText) refuse(err error) error {
	var u *Unsupported
	if errors.As(err, &u) {
		return sqlerror.Userf(sqlerror.CodeUnsupported, "a stream cannot use %s", u.What).At(q.find(u.Near))
	}
	if rich := sqlerror.As(err); rich != nil {
		return rich.At(q.position(0))
	}
	if gms.ErrColumnNotFound.Is(err) {
		return q.bindError(err)
	}
	return fmt.Errorf("plan query: %w", err)
}
