package planner

import (
	"errors"
	"fmt"
	"regexp"
	"strconv"
	"strings"
	"sync"

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
	// A sign has no text of its own: the parser names the word before it.
	if sign := end - 1; m[2] != "" && sign >= 0 && end == positioned && strings.IndexByte("+-*/%<>=!&|^~(),.:;@", rewritten[sign]) >= 0 {
		message = strings.Replace(message, "near '"+m[2]+"'", "near '"+rewritten[sign:end]+"'", 1)
		end = sign
	}
	e := sqlerror.Userf(sqlerror.CodeSyntax, "%s", message).At(positions.Position(end).Within(at))
	read, rest := tokensAround(rewritten, positioned)
	if hint := syntaxHint(read, rest, endsEarly(rewritten, positioned)); hint != "" {
		return e.WithHint("%s", hint)
	}
	return e
}

// endsEarly reports whether the parser did not expect the end of a text, for which it
// names the last word like one that it did not expect: it then reads one bracket more.
func endsEarly(text string, position int) bool {
	text = strings.TrimRight(text, "; \t\r\n")
	if position < len(text) {
		return false
	}
	_, err := parse(text + " )")
	if err == nil {
		return true
	}
	m := parsePosition.FindStringSubmatch(err.Error())
	if m == nil {
		return false
	}
	end, _ := strconv.Atoi(m[1])
	return end-1 > len(text)
}

// tokensAround takes a text apart: what begins before the offset, to which the parser
// has read, and the rest. Both are empty where that is not text that can be read.
func tokensAround(text string, offset int) (read, rest []sql.Token) {
	lex := sql.NewLexer(text, sqlerror.Position{})
	for {
		t, err := lex.Next()
		switch {
		case err != nil && t.Offset < offset:
			return nil, nil
		case err != nil || t.Kind == sql.EOF:
			return read, rest
		case t.Offset < offset:
			read = append(read, t)
		default:
			rest = append(rest, t)
		}
	}
}

// wordsOf writes tokens with one blank between them, and nothing of what is in
// literals and quoted names.
func wordsOf(tokens []sql.Token) string {
	words := make([]string, len(tokens))
	for i, t := range tokens {
		switch t.Kind {
		case sql.Word, sql.Number, sql.Operator:
			words[i] = t.Text
		case sql.QuotedName:
			words[i] = "``"
		default:
			words[i] = "''"
		}
	}
	return strings.Join(words, " ")
}

// keywords are those that are misspelt where a query goes on, statements those that
// begin one, and shown what follows SHOW.
var (
	keywords   = []string{"SELECT", "DISTINCT", "FROM", "WHERE", "GROUP", "HAVING", "ORDER", "LIMIT", "OFFSET", "JOIN", "INNER", "UNION", "BETWEEN", "PARTITION", "OVER", "WINDOW", "VALUES", "INTERVAL"}
	statements = []string{"SELECT", "WITH", "SHOW", "EXPLAIN", "DESCRIBE", "CREATE", "DROP", "ALTER", "START", "STOP", "FLUSH", "REPLAY", "USE", "GRANT", "REVOKE", "INSERT", "UPDATE", "DELETE"}
	// clauses go on with a query, and are no names that somebody forgot to quote.
	clauses = []string{"SELECT", "FROM", "WHERE", "GROUP", "HAVING", "ORDER", "BY", "LIMIT", "JOIN", "INNER", "LEFT", "RIGHT", "CROSS", "NATURAL", "ON", "USING", "UNION", "AND", "OR", "XOR", "NOT", "IS", "IN", "LIKE", "BETWEEN", "AS", "INTO", "WITH", "WHEN", "THEN", "ELSE", "OVER", "DISTINCT", "ALL", "ASC", "DESC"}
	// ranking are reserved words that the parser takes for window functions alone.
	ranking = []string{"ROW_NUMBER", "RANK", "DENSE_RANK", "PERCENT_RANK", "CUME_DIST", "NTILE", "LAG", "LEAD", "FIRST_VALUE", "LAST_VALUE", "NTH_VALUE"}
	shown   = []string{"STREAMS", "SOURCES", "SINKS", "SECRETS", "TABLES", "DATABASES", "COLUMNS", "INDEX", "VARIABLES", "STATUS", "WARNINGS", "ERRORS", "PROCESSLIST", "GRANTS", "CREATE", "ENGINES", "COLLATION", "FULL"}
)

// syntaxHint says what may have been meant by a text that the parser has read to the
// token that it did not expect, with which read ends: a form of MySQL or of another
// system that is not known, a keyword that is misspelt, a reserved word as a name, a
// bracket that is missing. isEnd says that it expected more. The hint is "" where
// nothing of that is likely.
func syntaxHint(read, rest []sql.Token, isEnd bool) string {
	n := len(read)
	if n == 0 {
		return ""
	}
	words, following := wordsOf(read), wordsOf(rest)
	for _, missing := range notParsed() {
		if missing.read.MatchString(words) && (missing.next == nil || missing.next.MatchString(following)) {
			return missing.instead
		}
	}
	at := func(back int) sql.Token { // the last token, or one before it
		if back < n {
			return read[n-1-back]
		}
		return sql.Token{}
	}
	last, before := at(0), at(1)
	var open []sql.Token // what stands behind each bracket that is not closed
	for i, t := range read {
		switch {
		case t.IsOperator("("):
			open = append(open, sql.Token{})
			if i+1 < n {
				open[len(open)-1] = read[i+1]
			}
		case t.IsOperator(")") && len(open) == 0:
			return "there is no ( for this )"
		case t.IsOperator(")"):
			open = open[:len(open)-1]
		}
	}
	switch {
	case n == 1:
		return misspelt(last, statements)
	case n == 2 && before.IsWord("SHOW"):
		return misspelt(last, shown)
	case before.IsOperator(",") && (last.IsWord("FROM") || last.IsWord("WHERE")):
		return "the comma before " + strings.ToUpper(last.Text) + " is too many"
	case before.IsWord("FROM") && at(2).IsOperator(","):
		return "the comma before FROM is too many"
	case before.IsWord("SELECT") && last.IsWord("FROM"), at(2).IsWord("SELECT") && before.IsWord("FROM"):
		return "nothing is selected: name columns, or *"
	case needsQuotes(last) && !strings.HasPrefix(following, "(") && (beginsName(before) || isName(before) && endsName(rest)):
		return reservedWord(last)
	case needsQuotes(before) && beginsName(at(2)) && endsName(read[n-1:]):
		return reservedWord(before)
	case isOneOf(before, ranking) && !last.IsOperator("("):
		return reservedWord(before)
	case isEnd && isOneOf(last, ranking):
		return reservedWord(last)
	case last.Kind == sql.String && last.Text[0] == '"' && (before.IsWord("FROM") || before.IsWord("JOIN") || before.IsWord("AS") || before.IsOperator(".")):
		return "names are quoted with backquotes: `" + last.Value() + "`"
	case lacksLeft(before, last):
		return "something is missing before " + strings.ToUpper(last.Text)
	case lacksLeft(at(2), before):
		return "something is missing before " + strings.ToUpper(before.Text)
	case (before.IsWord("GROUP") || before.IsWord("ORDER")) && (isName(last) || last.Kind == sql.Number):
		return "write " + strings.ToUpper(before.Text) + " BY"
	}
	for _, t := range []sql.Token{last, before} {
		if hint := misspelt(t, keywords); hint != "" {
			return hint
		}
	}
	switch {
	case len(open) > 0 && (last.IsWord("FROM") || last.IsWord("WHERE")) && !isOneOf(open[len(open)-1], []string{"SELECT", "WITH", "TABLE", "VALUES", "("}):
		return "a bracket is not closed before " + strings.ToUpper(last.Text)
	case isEnd && len(open) > 0:
		return "a bracket is not closed"
	case isEnd && (last.Kind == sql.Operator && !last.IsOperator(")") || last.Kind == sql.Word && sql.IsReserved(last.Text)):
		return "the statement ends too early"
	}
	return ""
}

// lacksLeft reports whether a token joins two conditions, of which what stands before
// it is none.
func lacksLeft(before, t sql.Token) bool {
	return isOneOf(t, []string{"AND", "OR", "XOR"}) && isOneOf(before, []string{"AND", "OR", "XOR", "NOT", "WHERE", "ON", "HAVING", "("})
}

func isName(t sql.Token) bool {
	return t.Kind == sql.QuotedName || t.Kind == sql.Word && !sql.IsReserved(t.Text)
}

// needsQuotes reports whether a token is a reserved word that may be meant as a name.
func needsQuotes(t sql.Token) bool {
	return t.Kind == sql.Word && sql.IsReserved(t.Text) && !isOneOf(t, clauses)
}

// beginsName reports whether a name comes behind a token.
func beginsName(t sql.Token) bool {
	return isOneOf(t, []string{"AS", "SELECT", "FROM", "JOIN", "BY", ",", "."})
}

// endsName reports whether what comes behind a name of the list of SELECT follows.
func endsName(rest []sql.Token) bool {
	return len(rest) > 0 && isOneOf(rest[0], []string{",", "FROM"})
}

func reservedWord(t sql.Token) string {
	return fmt.Sprintf("%s is a reserved word; as a name it needs backquotes: `%s`", strings.ToUpper(t.Text), t.Text)
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

// unparsed is one of the forms notParsed.
type unparsed struct {
	read, next *regexp.Regexp
	instead    string
}

// notParsed are forms of MySQL and of other systems that the parser does not know: how
// what it has read ends with the token that it did not expect, what follows where that
// is needed to tell, and what to write instead.
var notParsed = sync.OnceValue(func() []unparsed {
	return []unparsed{
		{ends(`:=`), nil, "a SELECT assigns no variables: write SET @x = (SELECT …), or a window function for what runs from row to row"},
		{ends(`BY .* GROUPS`), begins(`BETWEEN|UNBOUNDED|CURRENT|\d+`), "a window's frame is one of ROWS or RANGE"},
		{ends(`(?:ROW|PRECEDING|FOLLOWING) EXCLUDE`), nil, "a window's frame leaves no rows out: compute what is left out apart, and subtract it"},
		{ends(`\) IGNORE`), begins(`NULLS`), "window functions count NULLs: leave them out by WHERE in a sub-select"},
		{ends(`\) RESPECT`), begins(`NULLS`), "window functions count NULLs: leave RESPECT NULLS out"},
		{ends(`NTH_VALUE ` + brackets + ` FROM`), begins(`FIRST|LAST`), "write ORDER BY … DESC instead of FROM LAST"},
		{ends(`GROUP_CONCAT ` + brackets + ` OVER`), nil, "GROUP_CONCAT is no window function: JSON_ARRAYAGG is one"},
		{ends(cast + `(?:INT|INTEGER|BIGINT|SMALLINT|TINYINT|BOOL|BOOLEAN)`), nil, "CAST makes SIGNED or UNSIGNED integers"},
		{ends(cast + `(?:VARCHAR|STRING|TEXT)`), nil, "CAST makes CHAR, or CHAR(n)"},
		{ends(cast + `(?:TIMESTAMP|TIMESTAMPTZ)`), nil, "CAST makes DATETIME, or DATETIME(n)"},
		{ends(cast + `NUMERIC`), nil, "CAST makes DECIMAL(p, s)"},
		{ends(cast + `\w+`), nil, "CAST makes SIGNED, UNSIGNED, CHAR, BINARY, DECIMAL, FLOAT, DOUBLE, DATE, DATETIME, TIME, YEAR or JSON"},
		{ends(`: :(?: \w+)?`), nil, "write CAST(value AS type)"},
		{ends(`\S+ ILIKE(?: \S+)?`), nil, "LIKE tells upper from lower case by the collation: write LOWER(a) LIKE LOWER(b)"},
		{ends(`SELECT TOP \d+`), nil, "write LIMIT n at the end"},
		{ends(`FETCH`), begins("(?:FIRST|NEXT|``) (?:\\d+ )?ROWS?"), "write LIMIT n"}, // NEXT is quoted by RewriteQuery
		{ends(`FROM .* OFFSET \d+`), nil, "write LIMIT n OFFSET m"},
		{ends(`FROM .* QUALIFY(?: \S+)?`), nil, "put the window function into a sub-select, and the condition into WHERE around it"},
		{ends(`FROM .* TABLESAMPLE(?: \S+)?`), nil, "write WHERE RAND() < 0.1"},
		{ends(`OVER \( PARTITION \w+`), nil, "write PARTITION BY"},
		{ends(`SELECT (?:.*[^.] )?(?:` + strings.Join(ranking, "|") + `) ` + brackets + ` (?:,|\w+)`), nil, "it is a window function: write OVER (ORDER BY …) behind it"},
		{ends(`GROUP BY (?:.* )?(?:GROUPING|GROUPING SETS|CUBE)(?: \()?`), nil, "GROUP BY a, b WITH ROLLUP makes totals; put other ones together by UNION ALL"},
		{ends(`RANGE (?:BETWEEN (?:[^()]*(?:PRECEDING|FOLLOWING|ROW) AND )?)?\d*\.\d*`), nil, "the distances of RANGE are whole numbers, or INTERVAL n unit"},
		{begins(`CREATE MATERIALIZED`), nil, "CREATE STREAM … AS SELECT keeps a table up to date"},
		{begins(`CREATE FUNCTION`), nil, "functions are those of MySQL, and Go functions that the program registers"},
		{begins(`(?:MERGE|COPY|LOAD)$`), nil, "tables are written by streams: CREATE STREAM … INTO sink.table AS SELECT …"},
		{begins(`(?:CHECK|OPTIMIZE|CHECKSUM|REPAIR|VACUUM|HANDLER|XA|HELP|PRAGMA)$`), nil, "there is no such statement here"},
		{ends(`SOUNDS LIKE`), nil, "write SOUNDEX(a) = SOUNDEX(b)"},
		{ends(`SOUNDS`), begins(`LIKE`), "write SOUNDEX(a) = SOUNDEX(b)"},
		{ends(`MEMBER OF`), nil, "write JSON_CONTAINS(array, CAST(value AS JSON))"},
		{ends(`MEMBER`), begins(`OF`), "write JSON_CONTAINS(array, CAST(value AS JSON))"},
	}
})

const (
	// brackets holds what is between two that belong together, with two more within.
	brackets = `\((?:[^()]|\((?:[^()]|\([^()]*\))*\))*\)`
	cast     = `CAST \((?:[^()]|` + brackets + `)* AS `
)

// ends matches text (see wordsOf) that ends with these words, of which the first is no
// column of something.
func ends(words string) *regexp.Regexp {
	return regexp.MustCompile(`(?i)(?:^|[^.] )(?:` + words + `)$`)
}

// begins matches text that begins with these words.
func begins(words string) *regexp.Regexp {
	return regexp.MustCompile(`(?i)^(?:` + words + `)(?: |$)`)
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
	"date_trunc": "DATE(d) for the day, DATE_FORMAT(d, '%Y-%m-01') for the month, DATE_FORMAT(d, '%Y-%m-%d %H:00:00') for the hour", "to_char": "DATE_FORMAT", "to_date": "STR_TO_DATE", "to_timestamp": "FROM_UNIXTIME or STR_TO_DATE", "dateadd": "DATE_ADD(d, INTERVAL n unit)",
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
