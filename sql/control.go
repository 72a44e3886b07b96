package sql

import (
	"slices"
	"strings"

	"github.com/leatdb/leat/sql/sqlerror"
)

// The statements that steer, show and remove objects.

func (p *parser) parseDrop() (Statement, error) {
	if err := p.advance(); err != nil {
		return nil, err
	}
	kind, err := p.kind()
	if err != nil {
		return nil, err
	}
	ifExists, err := p.acceptWord("IF")
	if err != nil {
		return nil, err
	}
	if ifExists {
		if err := p.expectWords("EXISTS"); err != nil {
			return nil, err
		}
	}
	name, err := p.objectName(kind, false)
	return &Drop{Kind: kind, IfExists: ifExists, Name: name}, err
}

// parseStream reads START, STOP, FLUSH and ALTER.
func (p *parser) parseStream() (Statement, error) {
	verb := strings.ToUpper(p.tok.Text)
	if err := p.advance(); err != nil {
		return nil, err
	}
	if !p.tok.IsWord("STREAM") {
		e := p.unexpected("STREAM")
		if verb == "ALTER" {
			return nil, e.WithHint("to change a %s use CREATE OR REPLACE %s", strings.ToLower(p.tok.Text), strings.ToUpper(p.tok.Text))
		}
		return nil, e.WithHint("a %s does not run; its streams do", strings.ToLower(p.tok.Text))
	}
	if err := p.advance(); err != nil {
		return nil, err
	}
	name, err := p.objectName(KindStream, false)
	if err != nil {
		return nil, err
	}
	switch verb {
	case "START":
		s := &StartStream{Name: name}
		return s, p.startFrom(s)
	case "STOP":
		return &StopStream{Name: name}, nil
	case "FLUSH":
		return &FlushStream{Name: name}, nil
	}
	s := &AlterStream{Name: name}
	if !p.tok.IsWord("SET") {
		return nil, p.unexpected("SET and the options", "SET").WithHint("to change the query use CREATE OR REPLACE STREAM")
	}
	s.Options, err = p.options("SET")
	return s, err
}

func (p *parser) startFrom(s *StartStream) error {
	if from, err := p.acceptWord("FROM"); err != nil || !from {
		return err
	}
	s.FromPos = p.tok.Pos
	switch {
	case p.tok.IsWord("EARLIEST") || p.tok.IsWord("LATEST"):
		s.From = strings.ToLower(p.tok.Text)
	case p.tok.Kind == String && p.tok.Value() != "":
		s.From = p.tok.Value()
	default:
		return p.unexpected("'earliest', 'latest' or a time such as '2026-07-01 00:00:00'")
	}
	return p.advance()
}

// dispatchShow tells Leat's SHOW from MySQL's by the word after it.
func (p *parser) dispatchShow(second Token) func() (Statement, error) {
	word := strings.ToUpper(second.Text)
	switch {
	case second.Kind != Word:
		return nil
	case word == "CREATE":
		lex := p.lex
		_, _ = lex.Next()
		third, _ := lex.Next()
		if isObjectKind(third) {
			return p.parseShowCreate
		}
		return misspelled(third, kindWords, mysqlObjects)
	case isShowWord(word):
		lex := p.lex
		_, _ = lex.Next()
		if third, _ := lex.Next(); third.IsWord("WHERE") && word != "SECRETS" {
			return nil // a query, see RewriteQuery
		}
		return p.parseShow
	}
	return misspelled(second, showWords, mysqlShows)
}

// isShowWord reports what SHOW lists of Leat's own; word is in upper case.
func isShowWord(word string) bool { return slices.Contains(showWords, word) }

var showWords = []string{"SOURCES", "SINKS", "STREAMS", "SECRETS"}

func (p *parser) parseShowCreate() (Statement, error) {
	if err := p.expectWords("SHOW", "CREATE"); err != nil {
		return nil, err
	}
	at := p.tok.Pos
	kind, err := p.kind()
	if err != nil {
		return nil, err
	}
	if kind == KindSecret {
		return nil, sqlerror.Userf(sqlerror.CodeSyntax, "what a secret holds is never shown").At(at).WithHint("SHOW SECRETS lists their names")
	}
	name, err := p.objectName(kind, false)
	return &ShowCreate{Kind: kind, Name: name}, err
}

func (p *parser) parseShow() (Statement, error) {
	if err := p.advance(); err != nil {
		return nil, err
	}
	s := &Show{Kind: Kind(strings.ToLower(strings.TrimRight(p.tok.Text, "sS")))}
	if err := p.advance(); err != nil {
		return nil, err
	}
	if p.tok.IsWord("WHERE") {
		return nil, p.unexpected("LIKE or the end of the statement")
	}
	var err error
	if s.HasLike, err = p.acceptWord("LIKE"); err != nil || !s.HasLike {
		return s, err
	}
	if p.tok.Kind != String {
		return nil, p.unexpected("a pattern such as 'trips%' after LIKE")
	}
	s.Like = p.tok.Value()
	return s, p.advance()
}

// dispatchExplain tells EXPLAIN CREATE STREAM, DESCRIBE of one name, and what
// MySQL explains apart; the three keywords mean the same in MySQL.
func (p *parser) dispatchExplain(second Token) func() (Statement, error) {
	lex := p.lex
	t, _ := lex.Next()
	if second.IsWord("ANALYZE") {
		t, _ = lex.Next()
	}
	if t.IsWord("CREATE") {
		return p.parseExplain
	}
	if !second.isName() || second.Kind == Word && IsReserved(second.Text) {
		return nil
	}
	after, err := lex.Next()
	if err == nil && after.IsOperator(".") {
		if t, _ := lex.Next(); !t.isName() {
			return nil
		}
		after, err = lex.Next()
	}
	if err != nil || after.Kind != EOF && !after.IsOperator(";") {
		return nil // EXPLAIN FORMAT = …, DESCRIBE t column
	}
	return p.parseDescribe
}

func (p *parser) parseExplain() (Statement, error) {
	if err := p.advance(); err != nil {
		return nil, err
	}
	analyze, err := p.acceptWord("ANALYZE")
	if err != nil {
		return nil, err
	}
	pos := p.tok.Pos
	lex := p.lex
	t, _ := lex.Next()
	if t.IsWord("OR") {
		_, _ = lex.Next()
		t, _ = lex.Next()
	}
	if !t.IsWord("STREAM") {
		return nil, sqlerror.Userf(sqlerror.CodeSyntax, "expected CREATE STREAM or a query to explain, found CREATE %s", describe(t)).At(pos)
	}
	s, err := p.parseCreate()
	if err != nil {
		return nil, err
	}
	return &Explain{Analyze: analyze, Stream: s.(*CreateStream)}, nil
}

func (p *parser) parseDescribe() (Statement, error) {
	if err := p.advance(); err != nil {
		return nil, err
	}
	s := &Describe{Name: Ident{Name: p.tok.Value(), Pos: p.tok.Pos}}
	if err := p.advance(); err != nil {
		return nil, err
	}
	dot, err := p.acceptOperator(".")
	if err != nil || !dot {
		return s, err
	}
	s.Database, s.Name = s.Name, Ident{Name: p.tok.Value(), Pos: p.tok.Pos}
	return s, p.advance()
}

func (p *parser) parseReplay() (Statement, error) {
	if err := p.expectWords("REPLAY", "DEAD_LETTERS", "FOR", "STREAM"); err != nil {
		return nil, err
	}
	name, err := p.objectName(KindStream, false)
	if err != nil {
		return nil, err
	}
	s := &ReplayDeadLetters{Stream: name}
	where, err := p.acceptWord("WHERE")
	if err != nil || !where {
		return s, err
	}
	if p.tok.Kind == EOF || p.tok.IsOperator(";") {
		return nil, p.unexpected("a condition after WHERE")
	}
	s.Where, s.WherePos, err = p.textUntil(func(Token) bool { return false })
	return s, err
}
