package sql

import (
	"strings"
	"unicode"
	"unicode/utf8"

	"github.com/leatdb/leat/sql/sqlerror"
)

// MaxTextBytes is the longest script or statement that is read: 16 MiB.
const MaxTextBytes = 16 << 20

// TokenKind is the kind of a token.
type TokenKind uint8

// The kinds of token.
const (
	EOF         TokenKind = iota // the end of the text
	Word                         // a keyword or a name without quotes
	QuotedName                   // `name`
	String                       // 'text' or "text", also N'text'
	Number                       // 12, 1.5, 1e3, 0xff
	BitString                    // x'ff' or b'01'
	Variable                     // @user or @@system
	Operator                     // +, ->>, (, ;, …
	Placeholder                  // ?
	Executable                   // /*! … */, which MySQL executes
	Invalid                      // a character that no token begins with
)

// Token is one token of a text. The zero value is an EOF without a place.
type Token struct {
	Kind   TokenKind
	Text   string            // as written, with its quotes
	Offset int               // in bytes from the beginning of the text
	Pos    sqlerror.Position // of the first character
}

// End is the offset of the byte after the token.
func (t Token) End() int { return t.Offset + len(t.Text) }

// Value is the name or text that the token stands for: quotes removed and
// escapes decoded as MySQL does. For other kinds it is the text as written.
func (t Token) Value() string {
	switch t.Kind {
	case QuotedName:
		return strings.ReplaceAll(t.Text[1:len(t.Text)-1], "``", "`")
	case String:
		return unquote(strings.TrimLeft(t.Text, "nN"))
	}
	return t.Text
}

// IsWord reports whether the token is the keyword, in any case and unquoted.
func (t Token) IsWord(keyword string) bool {
	return t.Kind == Word && strings.EqualFold(t.Text, keyword)
}

// IsOperator reports whether the token is the operator.
func (t Token) IsOperator(op string) bool { return t.Kind == Operator && t.Text == op }

// isName reports whether the token can name something.
func (t Token) isName() bool { return t.Kind == Word || t.Kind == QuotedName }

// Lexer takes a text apart into tokens by the lexical rules of MySQL under its
// default sql_mode: "x" is a string, a backslash escapes, "--" begins a
// comment only before white space. Blanks and comments are left out. It holds
// no memory but the text, and copying it remembers a place to come back to.
type Lexer struct {
	text   string
	offset int
	pos    sqlerror.Position
	// nameEnd is the offset after the last name, and after the dot that
	// follows a name: a digit there begins a name (t.1a), a dot is no fraction.
	nameEnd, dotEnd int
}

// NewLexer reads text, whose first character is at the position at (the zero
// Position means line 1, column 1).
func NewLexer(text string, at sqlerror.Position) *Lexer {
	l := newLexer(text, at)
	return &l
}

func newLexer(text string, at sqlerror.Position) Lexer {
	if at.Line == 0 {
		at.Line, at.Column = 1, 1
	}
	return Lexer{text: text, pos: at, nameEnd: -1, dotEnd: -1}
}

// Next is the next token; at the end of the text it is EOF, again and again.
// The error, for a string, quoted name or comment that is not closed, carries
// the position where it begins; after it comes EOF.
func (l *Lexer) Next() (Token, error) {
	if err := l.skipBlank(); err != nil {
		return l.token(EOF, len(l.text)), err
	}
	if l.offset == len(l.text) {
		return Token{Kind: EOF, Offset: l.offset, Pos: l.pos}, nil
	}
	rest := l.text[l.offset:]
	kind, n := l.scan(rest)
	if n == 0 {
		err := sqlerror.Userf(sqlerror.CodeSyntax, "unterminated %s", unterminated(kind)).At(l.pos)
		if kind == String {
			err = err.WithHint("it begins here and is never closed; a quote within a string is doubled")
		}
		return l.token(EOF, len(l.text)), err
	}
	t := l.token(kind, l.offset+n)
	switch {
	case t.isName():
		l.nameEnd = t.End()
	case t.IsOperator(".") && l.nameEnd == t.Offset:
		l.dotEnd = t.End()
	}
	return t, nil
}

func unterminated(kind TokenKind) string {
	switch kind {
	case QuotedName:
		return "quoted name"
	case Executable:
		return "comment"
	}
	return "string"
}

// token makes the token that ends before end and moves there.
func (l *Lexer) token(kind TokenKind, end int) Token {
	t := Token{Kind: kind, Text: l.text[l.offset:end], Offset: l.offset, Pos: l.pos}
	if kind == EOF {
		t.Text = ""
	}
	l.advance(end)
	return t
}

// advance moves to end, counting lines and characters.
func (l *Lexer) advance(end int) {
	for l.offset < end {
		c := l.text[l.offset]
		switch {
		case c == '\n':
			l.pos.Line++
			l.pos.Column = 1
			l.offset++
		case c < utf8.RuneSelf:
			l.pos.Column++
			l.offset++
		default:
			_, n := utf8.DecodeRuneInString(l.text[l.offset:])
			l.pos.Column++
			l.offset += n
		}
	}
}

func (l *Lexer) skipBlank() error {
	for l.offset < len(l.text) {
		rest := l.text[l.offset:]
		switch c := rest[0]; {
		case isSpace(c):
			l.advance(l.offset + 1)
		case c == '#', strings.HasPrefix(rest, "--") && (len(rest) == 2 || rest[2] <= ' ' || rest[2] == 0x7f):
			if n := strings.IndexByte(rest, '\n'); n >= 0 {
				l.advance(l.offset + n + 1)
			} else {
				l.advance(len(l.text))
			}
		case strings.HasPrefix(rest, "/*") && !isExecutable(rest):
			n := strings.Index(rest[2:], "*/")
			if n < 0 {
				return sqlerror.Userf(sqlerror.CodeSyntax, "unterminated comment").At(l.pos)
			}
			l.advance(l.offset + n + 4)
		default:
			return nil
		}
	}
	return nil
}

func isExecutable(s string) bool { return strings.HasPrefix(s, "/*!") || strings.HasPrefix(s, "/*M!") }

// scan finds the kind and the length of the token that s begins with; a length
// of 0 says that it is never closed.
func (l *Lexer) scan(s string) (TokenKind, int) {
	c := s[0]
	if n := scanOperator(s); n > 0 && c != '.' && c != '/' { // .5 and /*! … */ are none
		return Operator, n
	}
	switch {
	case c == '\'' || c == '"':
		return String, scanString(s)
	case c == '`':
		return QuotedName, scanQuoted(s)
	case strings.HasPrefix(s, "/*"):
		if n := strings.Index(s, "*/"); n > 0 {
			return Executable, n + 2
		}
		return Executable, 0
	case len(s) > 1 && s[1] == '\'' && strings.IndexByte("xXbB", c) >= 0:
		if n := scanQuoted(s[1:]); n > 0 {
			return BitString, n + 1
		}
		return BitString, 0
	case len(s) > 1 && s[1] == '\'' && (c == 'n' || c == 'N'):
		if n := scanString(s[1:]); n > 0 {
			return String, n + 1
		}
		return String, 0
	case isDigit(c) && l.dotEnd == l.offset:
		return Word, scanWord(s)
	case isDigit(c), c == '.' && len(s) > 1 && isDigit(s[1]) && l.nameEnd != l.offset:
		return scanNumber(s)
	case c == '@':
		return scanVariable(s)
	case c == '?':
		return Placeholder, 1
	}
	if n := scanWord(s); n > 0 {
		return Word, n
	}
	if c == '.' || c == '/' {
		return Operator, 1
	}
	_, n := utf8.DecodeRuneInString(s)
	return Invalid, n
}

// scanOperator measures the operator that s begins with.
func scanOperator(s string) int {
	switch s[0] {
	case '(', ')', ',', ';', '.', '=', '+', '*', '/', '%', '^', '~', '{', '}', '[', ']':
		return 1
	case '-', '<', '>', '!', ':', '&', '|':
		for _, op := range [...]string{"<=>", "->>", "->", "<<", ">>", "<=", ">=", "<>", "!=", ":=", "&&", "||"} {
			if strings.HasPrefix(s, op) {
				return len(op)
			}
		}
		return 1
	}
	return 0
}

// scanString measures the string that s begins with.
func scanString(s string) int {
	quote := s[0]
	for i := 1; i < len(s); i++ {
		switch s[i] {
		case '\\':
			i++
		case quote:
			if i+1 < len(s) && s[i+1] == quote {
				i++
				continue
			}
			return i + 1
		}
	}
	return 0
}

// scanQuoted measures what s begins with in quotes that only doubling escapes.
func scanQuoted(s string) int {
	quote := s[0]
	for i := 1; i < len(s); i++ {
		if s[i] != quote {
			continue
		}
		if i+1 < len(s) && s[i+1] == quote {
			i++
			continue
		}
		return i + 1
	}
	return 0
}

// scanWord measures the name without quotes that s begins with.
func scanWord(s string) int {
	i := 0
	for i < len(s) {
		c := s[i]
		if c < utf8.RuneSelf {
			if !isWordByte(c) {
				break
			}
			i++
			continue
		}
		r, n := utf8.DecodeRuneInString(s[i:])
		if r == utf8.RuneError && n == 1 || unicode.IsSpace(r) || unicode.IsPunct(r) || unicode.IsControl(r) || r == '\uFEFF' {
			break
		}
		i += n
	}
	return i
}

// scanNumber measures the number that s begins with; digits that go on as a
// name (10s, 7days) are a word, as in MySQL.
func scanNumber(s string) (TokenKind, int) {
	digits := func(i int) int {
		for i < len(s) && isDigit(s[i]) {
			i++
		}
		return i
	}
	if len(s) > 2 && s[0] == '0' && (s[1]|0x20 == 'x' || s[1]|0x20 == 'b') {
		i := 2
		for i < len(s) && (s[1]|0x20 == 'b' && (s[i] == '0' || s[i] == '1') || s[1]|0x20 == 'x' && isHexDigit(s[i])) {
			i++
		}
		if i > 2 && scanWord(s[i:]) == 0 {
			return Number, i
		}
	}
	i := digits(0)
	fraction := i < len(s) && s[i] == '.'
	if fraction {
		i = digits(i + 1)
	}
	if i < len(s) && s[i]|0x20 == 'e' {
		j := i + 1
		signed := j < len(s) && (s[j] == '+' || s[j] == '-')
		if signed {
			j++
		}
		if end := digits(j); end > j {
			if fraction || signed || scanWord(s[end:]) == 0 {
				return Number, end
			}
		}
	}
	if !fraction {
		if n := scanWord(s); n > i {
			return Word, n
		}
	}
	return Number, i
}

// scanVariable measures @name, @'name', @@name or @@global.name.
func scanVariable(s string) (TokenKind, int) {
	i := 1
	if i < len(s) && s[i] == '@' {
		i++
	}
	if i < len(s) && (s[i] == '\'' || s[i] == '"' || s[i] == '`') {
		if n := scanQuoted(s[i:]); n > 0 {
			return Variable, i + n
		}
		return String, 0
	}
	for {
		n := scanWord(s[i:])
		i += n
		if n == 0 || i >= len(s) || s[i] != '.' || scanWord(s[i+1:]) == 0 {
			break
		}
		i++
	}
	if i == 1 {
		return Operator, 1
	}
	return Variable, i
}

func isSpace(c byte) bool { return c == ' ' || c >= '\t' && c <= '\r' }

func isDigit(c byte) bool { return c >= '0' && c <= '9' }

func isHexDigit(c byte) bool { return isDigit(c) || c|0x20 >= 'a' && c|0x20 <= 'f' }

func isWordByte(c byte) bool {
	return c == '_' || c == '$' || isDigit(c) || c|0x20 >= 'a' && c|0x20 <= 'z'
}
