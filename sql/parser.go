package sql

import (
	"fmt"
	"slices"
	"strconv"
	"strings"
	"unicode/utf8"

	"github.com/leatdb/leat/sql/sqlerror"
)

// Parse reads one statement, whose first character is at the position at. It
// returns nil, nil for what belongs to the MySQL engine: everything that does
// not begin like a statement of Leat's own, and the empty text. A statement
// that does is read to its end; a semicolon may follow it. The error has
// sqlerror.CodeSyntax (or CodeType for a column's type, CodeBadOption for a
// repeated option) and its position.
func Parse(text string, at sqlerror.Position) (Statement, error) {
	return parse(text, at, false)
}

// ParseStored is Parse of a definition that was taken before, perhaps under a name
// that is reserved since.
func ParseStored(text string) (Statement, error) {
	return parse(text, sqlerror.Position{}, true)
}

func parse(text string, at sqlerror.Position, stored bool) (Statement, error) {
	p := parser{lex: newLexer(text, at), stored: stored}
	if p.advance() != nil {
		return nil, nil // not even a token: the MySQL parser's to refuse
	}
	parse := p.dispatch()
	if parse == nil {
		return nil, nil
	}
	if err := checkLength(text, "statement", at); err != nil {
		return nil, err
	}
	if err := checkUTF8(text, at); err != nil {
		return nil, err
	}
	s, err := parse()
	if err != nil || s == nil {
		return nil, err
	}
	if err := p.end(); err != nil {
		return nil, err
	}
	return s, nil
}

func checkUTF8(text string, at sqlerror.Position) error {
	if utf8.ValidString(text) {
		return nil
	}
	offset := 0
	for {
		r, n := utf8.DecodeRuneInString(text[offset:])
		if r == utf8.RuneError && n == 1 {
			break
		}
		offset += n
	}
	return sqlerror.Userf(sqlerror.CodeSyntax, "byte %#x is not valid UTF-8", text[offset]).At(PositionAt(text, offset).Within(at))
}

// parser reads a statement token by token.
type parser struct {
	lex  Lexer
	tok  Token // the next one to read
	last Token // the one before it
	// stored says that the statement was taken before: a name of it may be reserved.
	stored bool
}

// advance moves to the next token.
func (p *parser) advance() error {
	t, err := p.lex.Next()
	if err != nil {
		return err
	}
	p.last, p.tok = p.tok, t
	return nil
}

// ahead is the token after the next one; a token that cannot be read looks like
// the end.
func (p *parser) ahead() Token {
	lex := p.lex
	t, _ := lex.Next()
	return t
}

// acceptWord moves over the keyword if it is next.
func (p *parser) acceptWord(keyword string) (bool, error) {
	if !p.tok.IsWord(keyword) {
		return false, nil
	}
	return true, p.advance()
}

// acceptOperator moves over the operator if it is next.
func (p *parser) acceptOperator(op string) (bool, error) {
	if !p.tok.IsOperator(op) {
		return false, nil
	}
	return true, p.advance()
}

// expectWords moves over the keywords.
func (p *parser) expectWords(keywords ...string) error {
	for i, k := range keywords {
		if !p.tok.IsWord(k) {
			return p.unexpected(strings.Join(keywords[i:], " "))
		}
		if err := p.advance(); err != nil {
			return err
		}
	}
	return nil
}

func (p *parser) expectOperator(op, where string) error {
	if !p.tok.IsOperator(op) {
		return p.unexpected(strings.TrimSpace(op + " " + where))
	}
	return p.advance()
}

// unexpected is the error for the next token where something else belongs.
// Where that token looks like one of the candidates, the hint says so.
func (p *parser) unexpected(expected string, candidates ...string) *sqlerror.Error {
	err := sqlerror.Userf(sqlerror.CodeSyntax, "expected %s, found %s", expected, describe(p.tok)).At(p.tok.Pos)
	if p.tok.Kind == Word {
		if near := sqlerror.Nearest(p.tok.Text, candidates); near != "" && !strings.EqualFold(near, p.tok.Text) {
			return err.WithHint("did you mean %s?", near)
		}
	}
	return hintQuotes(err, p.tok)
}

// invalid is the error for a character that no token begins with.
func invalid(t Token) error {
	return hintQuotes(sqlerror.Userf(sqlerror.CodeSyntax, "unexpected %s", strings.TrimPrefix(describe(t), "the ")).At(t.Pos), t)
}

// hintQuotes tells who has typed or pasted typographic quotes.
func hintQuotes(err *sqlerror.Error, t Token) *sqlerror.Error {
	if t.Kind == Invalid && strings.ContainsAny(t.Text, "‘’“”„«»´") {
		return err.WithHint("strings are written in straight quotes: 'text'")
	}
	return err
}

// describe names a token for an error. The content of strings is left out: it
// may be a password.
func describe(t Token) string {
	switch t.Kind {
	case EOF:
		return "the end of the statement"
	case String, BitString:
		return "a string"
	case Executable:
		return "an executable comment"
	case Invalid:
		if r, n := utf8.DecodeRuneInString(t.Text); n > 1 || r != utf8.RuneError {
			return "the character " + strconv.QuoteRune(r)
		}
		return fmt.Sprintf("the byte %#x", t.Text)
	}
	const most = 40
	if len(t.Text) > most {
		return strings.ToValidUTF8(t.Text[:most], "") + "…"
	}
	return t.Text
}

// dispatch decides by the first words whose statement it is, and gives the
// function that reads it, or nil for the MySQL engine's.
func (p *parser) dispatch() func() (Statement, error) {
	second := p.ahead()
	switch word := strings.ToUpper(p.tok.Text); {
	case p.tok.Kind != Word:
		return nil
	case word == "REPLAY":
		return p.parseReplay
	case word == "SHOW":
		return p.dispatchShow(second)
	case word == "DESCRIBE" || word == "DESC" || word == "EXPLAIN":
		return p.dispatchExplain(second)
	case word == "CREATE":
		lex := p.lex
		t, _ := lex.Next()
		if t.IsWord("OR") {
			if t, _ = lex.Next(); t.IsWord("REPLACE") {
				t, _ = lex.Next()
			}
		}
		if isObjectKind(t) {
			return p.parseCreate
		}
		return misspelled(t, kindWords, mysqlObjects)
	case word == "DROP":
		if isObjectKind(second) {
			return p.parseDrop
		}
		return misspelled(second, kindWords, mysqlObjects)
	case word == "START" || word == "STOP" || word == "FLUSH" || word == "ALTER":
		if isObjectKind(second) {
			return p.parseStream
		}
		return nil
	case isObjectKind(second) && !IsReserved(word):
		return misspelled(p.tok, []string{"CREATE", "DROP", "START", "STOP", "FLUSH", "ALTER", "SHOW"}, nil)
	}
	return nil
}

var kindWords = []string{"SOURCE", "SINK", "STREAM", "SECRET"}

func isObjectKind(t Token) bool {
	return t.Kind == Word && slices.Contains(kindWords, strings.ToUpper(t.Text))
}

// misspelled reads a word that is nearer to one of ours than to any of MySQL's
// as a slip, and is nil for others.
func misspelled(t Token, ours, theirs []string) func() (Statement, error) {
	if t.Kind != Word || slices.Contains(theirs, strings.ToUpper(t.Text)) {
		return nil
	}
	near := sqlerror.Nearest(t.Text, append(slices.Clone(theirs), ours...))
	if !slices.Contains(ours, near) {
		return nil
	}
	return func() (Statement, error) {
		return nil, sqlerror.Userf(sqlerror.CodeSyntax, "unknown keyword %s", describe(t)).At(t.Pos).WithHint("did you mean %s?", near)
	}
}

// end expects the end of the statement.
func (p *parser) end() error {
	semicolon, err := p.acceptOperator(";")
	if err != nil {
		return err
	}
	if p.tok.Kind == EOF {
		return nil
	}
	e := p.unexpected("the end of the statement")
	if semicolon {
		return e.WithHint("one statement at a time is read here")
	}
	return e
}

// kind reads SOURCE, SINK, STREAM or SECRET.
func (p *parser) kind() (Kind, error) {
	if !isObjectKind(p.tok) {
		return "", p.unexpected("SOURCE, SINK, STREAM or SECRET", kindWords...)
	}
	kind := Kind(strings.ToLower(p.tok.Text))
	return kind, p.advance()
}

// name reads one name; what says of what.
func (p *parser) name(what string) (Ident, error) {
	switch {
	case p.tok.Kind == String && p.tok.Text[0] == '"':
		return Ident{}, p.unexpected(what).WithHint("names are quoted with backquotes: `name`")
	case p.tok.Kind == Word && IsReserved(p.tok.Text):
		return Ident{}, p.unexpected(what).WithHint("%s is a reserved word; as a name it needs backquotes: `%s`", strings.ToUpper(p.tok.Text), p.tok.Text)
	case !p.tok.isName():
		return Ident{}, p.unexpected(what)
	}
	name := Ident{Name: p.tok.Value(), Pos: p.tok.Pos}
	return name, p.advance()
}

// objectName reads the name of an existing source, sink, stream or secret, or of one to
// create, which has to follow the rules for names.
func (p *parser) objectName(kind Kind, create bool) (Ident, error) {
	name, err := p.name("the name of the " + string(kind))
	if err != nil {
		return name, err
	}
	if p.tok.IsOperator(".") {
		return name, sqlerror.Userf(sqlerror.CodeSyntax, "expected one name, found a name with a dot").At(name.Pos).
			WithHint("%ss belong to no database", kind)
	}
	if create {
		return name, checkObjectName(kind, name, p.stored)
	}
	return name, nil
}

func (p *parser) parseCreate() (Statement, error) {
	if err := p.advance(); err != nil {
		return nil, err
	}
	orReplace, err := p.acceptWord("OR")
	if err != nil {
		return nil, err
	}
	if orReplace {
		if err := p.expectWords("REPLACE"); err != nil {
			return nil, err
		}
	}
	kind, err := p.kind()
	if err != nil {
		return nil, err
	}
	ifPos := p.tok.Pos
	ifNotExists, err := p.acceptWord("IF")
	if err != nil {
		return nil, err
	}
	if ifNotExists {
		if err := p.expectWords("NOT", "EXISTS"); err != nil {
			return nil, err
		}
		if orReplace {
			return nil, sqlerror.Userf(sqlerror.CodeSyntax, "OR REPLACE and IF NOT EXISTS exclude each other").At(ifPos)
		}
	}
	name, err := p.objectName(kind, true)
	if err != nil {
		return nil, err
	}
	switch kind {
	case KindSource:
		s := &CreateSource{OrReplace: orReplace, IfNotExists: ifNotExists, Name: name}
		return s, p.sourceBody(s)
	case KindSink:
		s := &CreateSink{OrReplace: orReplace, IfNotExists: ifNotExists, Name: name}
		return s, p.sinkBody(s)
	case KindSecret:
		s := &CreateSecret{OrReplace: orReplace, IfNotExists: ifNotExists, Name: name}
		return s, p.secretBody(s)
	}
	s := &CreateStream{OrReplace: orReplace, IfNotExists: ifNotExists, Name: name}
	return s, p.streamBody(s)
}

func (p *parser) sourceBody(s *CreateSource) error {
	if p.tok.IsOperator("(") {
		if err := p.columns(s); err != nil {
			return err
		}
	}
	if !p.tok.IsWord("WITH") {
		if s.Columns == nil && s.Watermark == nil && s.PrimaryKey == nil {
			return p.unexpected("( and the columns, or WITH and the options", "WITH").
				WithHint("a source needs WITH (connector = '…', …)")
		}
		return p.unexpected("WITH and the options", "WITH").WithHint("a source needs WITH (connector = '…', …)")
	}
	var err error
	s.Options, err = p.options("WITH")
	return err
}

func (p *parser) sinkBody(s *CreateSink) error {
	if p.tok.IsOperator("(") {
		return p.unexpected("WITH and the options").WithHint("a sink has no columns; its tables get those of the streams")
	}
	if !p.tok.IsWord("WITH") {
		return p.unexpected("WITH and the options", "WITH").WithHint("a sink needs WITH (connector = '…', …)")
	}
	var err error
	s.Options, err = p.options("WITH")
	return err
}

func (p *parser) secretBody(s *CreateSecret) error {
	if !p.tok.IsWord("WITH") {
		return p.unexpected("WITH and the options", "WITH").WithHint("a secret needs WITH (option = 'value', …)")
	}
	var err error
	s.Options, err = p.options("WITH")
	return err
}

func (p *parser) streamBody(s *CreateStream) error {
	for _, clause := range []struct {
		word string
		read func(*CreateStream) error
	}{
		{"INTO", p.target},
		{"PARTITIONED", p.partitions},
		{"WITH", p.streamOptions},
	} {
		if p.tok.IsWord(clause.word) {
			if err := clause.read(s); err != nil {
				return err
			}
		}
	}
	if s.Into == nil || s.Into.Table.Name == "" {
		if err := checkTableName(s.Name); err != nil {
			return err
		}
	}
	if !p.tok.IsWord("AS") {
		err := p.unexpected("AS before the query", "AS", "INTO", "PARTITIONED BY", "WITH")
		switch word := strings.ToUpper(p.tok.Text); {
		case p.tok.IsOperator("("):
			return err.WithHint("the columns of a stream are those of its query")
		case word == "PARTITION":
			return err.WithHint("did you mean PARTITIONED BY?")
		case word == "INTO" || word == "PARTITIONED" || word == "WITH":
			return err.WithHint("the clauses come once each in the order INTO, PARTITIONED BY, WITH, AS")
		}
		return err
	}
	if err := p.advance(); err != nil {
		return err
	}
	return p.query(s)
}

// query keeps the text of the SELECT to the end of the statement.
func (p *parser) query(s *CreateStream) error {
	if !p.tok.IsWord("SELECT") && !p.tok.IsWord("WITH") && !p.tok.IsOperator("(") {
		return p.unexpected("SELECT after AS", "SELECT")
	}
	text, pos, err := p.textUntil(func(Token) bool { return false })
	s.Query, s.QueryPos = text, pos
	return err
}

func (p *parser) target(s *CreateStream) error {
	if err := p.advance(); err != nil {
		return err
	}
	sink, err := p.name("the name of the sink after INTO")
	if err != nil {
		return err
	}
	s.Into = &Target{Sink: sink}
	if dot, err := p.acceptOperator("."); err != nil || !dot {
		return err
	}
	// After a dot every word is a name, also a reserved one.
	if p.tok.Kind == Word {
		p.tok.Kind, p.tok.Text = QuotedName, "`"+p.tok.Text+"`"
	}
	if s.Into.Table, err = p.name("the name of the table after " + QuoteName(sink.Name) + "."); err != nil {
		return err
	}
	if p.tok.IsOperator(".") {
		return p.unexpected("PARTITIONED BY, WITH or AS").WithHint("INTO names sink.table")
	}
	return checkTableName(s.Into.Table)
}

func (p *parser) streamOptions(s *CreateStream) error {
	if !p.ahead().IsOperator("(") {
		return p.unexpected("AS before the query").WithHint("a query that begins with WITH comes after AS; options are in brackets: WITH (option = 'value')")
	}
	var err error
	s.Options, err = p.options("WITH")
	return err
}
