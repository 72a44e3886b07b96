package sql_test

import (
	"fmt"
	"math/rand/v2"
	"strings"
	"testing"

	"github.com/dolthub/vitess/go/vt/sqlparser"

	"github.com/leatdb/leat/sql"
	"github.com/leatdb/leat/sql/sqlerror"
)

var kindNames = map[sql.TokenKind]string{
	sql.Word: "word", sql.QuotedName: "name", sql.String: "string", sql.Number: "number", sql.BitString: "bits",
	sql.Variable: "variable", sql.Operator: "op", sql.Placeholder: "placeholder", sql.Executable: "executable", sql.Invalid: "invalid",
}

func tokens(t testing.TB, text string) ([]sql.Token, error) {
	t.Helper()
	lex := sql.NewLexer(text, sqlerror.Position{})
	var list []sql.Token
	for {
		tok, err := lex.Next()
		if err != nil || tok.Kind == sql.EOF {
			return list, err
		}
		list = append(list, tok)
	}
}

func TestLexer_Kinds(t *testing.T) {
	f := func(text, want string) {
		t.Helper()
		list, err := tokens(t, text)
		if err != nil {
			t.Errorf("%q: %v", text, err)
			return
		}
		var got []string
		for _, tok := range list {
			got = append(got, kindNames[tok.Kind]+" "+tok.Text)
		}
		if s := strings.Join(got, "|"); s != want {
			t.Errorf("%q\n got %s\nwant %s", text, s, want)
		}
	}
	f("a_1 $x été `a``b`", "word a_1|word $x|word été|name `a``b`")
	f(`'it''s' "a""b" '\'' "a'b" n'x'`, `string 'it''s'|string "a""b"|string '\''|string "a'b"|string n'x'`)
	f("1 1.5 .5 1. 1e3 1.5E-3 0xfF 0b01 0xg 10s 1e 1e5x 0x", "number 1|number 1.5|number .5|number 1.|number 1e3|number 1.5E-3|number 0xfF|number 0b01|word 0xg|word 10s|word 1e|word 1e5x|word 0x")
	f("t.1a t .5 `t`.5x 1.5x", "word t|op .|word 1a|word t|number .5|name `t`|op .|word 5x|number 1.5|word x")
	f("x'00ff' B'01' X'zz'", "bits x'00ff'|bits B'01'|bits X'zz'")
	f("@a @@b @@global.c @'d' @`e` u@h @", "variable @a|variable @@b|variable @@global.c|variable @'d'|variable @`e`|word u|variable @h|op @")
	f("a->'$.b'->>c<=>d<<1>>2<=3>=4<>5!=6:=7&&8||9", "word a|op ->|string '$.b'|op ->>|word c|op <=>|word d|op <<|number 1|op >>|number 2|op <=|number 3|op >=|number 4|op <>|number 5|op !=|number 6|op :=|number 7|op &&|number 8|op |||number 9")
	f("1--1", "number 1|op -|op -|number 1")
	f("1-- 1\n2--", "number 1|number 2")
	f("1 # x ' \n2 /* ' */3/*+ hint */4/**/5/*/ */6", "number 1|number 2|number 3|number 4|number 5|number 6")
	f("/*!40101 SET 'x' */ /*M!1 x*/", "executable /*!40101 SET 'x' */|executable /*M!1 x*/")
	f("? ( ) ; , {[]} : .", "placeholder ?|op (|op )|op ;|op ,|op {|op [|op ]|op }|op :|op .")
	f("‘a’ \\ \x00 \xff \u00a0", "invalid ‘|word a|invalid ’|invalid \\|invalid \x00|invalid \xff|invalid \u00a0")
}

func TestToken_Value(t *testing.T) {
	f := func(text, want string) {
		t.Helper()
		list, err := tokens(t, text)
		if err != nil || len(list) != 1 {
			t.Errorf("%q: %d tokens, %v", text, len(list), err)
			return
		}
		if got := list[0].Value(); got != want {
			t.Errorf("Value of %s=%q, want %q", text, got, want)
		}
	}
	f("`a``b`", "a`b")
	f(`'a''b"c'`, `a'b"c`)
	f(`"a""b'c"`, `a"b'c`)
	f(`'\0\'\"\b\n\r\t\Z\\\x'`, "\x00'\"\b\n\r\t\x1a\\x")
	f(`'10\%\_'`, `10\%\_`)
	f(`N'n'`, "n")
	f("abc", "abc")
}

func TestLexer_Positions(t *testing.T) {
	const text = "a 'ä\nö'\tb\r\n  /* x\n */ c"
	lex := sql.NewLexer(text, sqlerror.Position{File: "f.sql", Line: 3, Column: 5})
	var got []string
	for {
		tok, err := lex.Next()
		if err != nil {
			t.Fatal(err)
		}
		got = append(got, fmt.Sprintf("%s@%d", tok.Pos, tok.Offset))
		if tok.Kind == sql.EOF {
			break
		}
	}
	const want = "f.sql:3:5@0 f.sql:3:7@2 f.sql:4:4@10 f.sql:6:5@24 f.sql:6:6@25"
	if s := strings.Join(got, " "); s != want {
		t.Errorf("positions\n got %s\nwant %s", s, want)
	}
}

func TestQuote(t *testing.T) {
	f := func(name, want string) {
		t.Helper()
		if got := sql.QuoteName(name); got != want {
			t.Errorf("QuoteName(%q)=%s, want %s", name, got, want)
		}
	}
	f("trips_1", "trips_1")
	f("Order", "`Order`")
	f("1a", "`1a`")
	f("a b`c", "`a b``c`")
	f("ä", "`ä`")
	f("a$b", "`a$b`")
	f("", "``")
	if got, want := sql.QuoteString("it's \\ \x00\n\r\x1a\tä%"), `'it''s \\ \0\n\r\Z`+"\tä%'"; got != want {
		t.Errorf("QuoteString=%s, want %s", got, want)
	}
}

func FuzzQuoteString(f *testing.F) {
	f.Add("it's \\% \x00\n")
	f.Fuzz(func(t *testing.T, s string) {
		quoted := sql.QuoteString(s)
		list, err := tokens(t, quoted)
		if err != nil || len(list) != 1 || list[0].Value() != s {
			t.Errorf("QuoteString(%q)=%s reads back as %v, %v", s, quoted, list, err)
		}
	})
}

// TestLexer_AgainstItsParts joins tokens with blanks and comments and takes the
// text apart again; the parser of the MySQL engine reads as many tokens.
func TestLexer_AgainstItsParts(t *testing.T) {
	parts := []string{
		"a", "SELECT", "`b``c`", "'x'", `'\'--'`, `"y /* "`, "12", "1.5", ".5", "1e3", "0x1f", "x'ff'", "@v", "@@w", "(", ")", ",", "=", "<=>", "<=", ">=", "<>",
		"!=", "->", "->>", "<<", ">>", "+", "-", "*", "/", "%", "&", "|", "^", "~", ".", "?", "a$b", "ä",
	}
	blanks := []string{" ", "\n", "\t \r\n", " /* ' */ ", " -- \" \n", " # `\n ", "/**/"}
	random := rand.New(rand.NewPCG(1, 2))
	for range 2000 {
		var text strings.Builder
		var want []string
		strs := 0
		for range random.IntN(12) {
			part := parts[random.IntN(len(parts))]
			if part[0] == '\'' || part[0] == '"' {
				if strs > 0 && strings.ContainsAny(want[len(want)-1][:1], `'"`) {
					continue // the other parser joins neighbouring strings
				}
				strs++
			}
			if len(want) > 0 && want[len(want)-1] == "." && part == ".5" {
				continue // and it reads "a . .5" otherwise
			}
			want = append(want, part)
			text.WriteString(part + blanks[random.IntN(len(blanks))])
		}
		list, err := tokens(t, text.String())
		if err != nil {
			t.Fatalf("%q: %v", text.String(), err)
		}
		var got []string
		for _, tok := range list {
			got = append(got, tok.Text)
			if text.String()[tok.Offset:tok.End()] != tok.Text {
				t.Fatalf("%q: %+v is not in its place", text.String(), tok)
			}
		}
		if strings.Join(got, "\x00") != strings.Join(want, "\x00") {
			t.Fatalf("%q\n got %q\nwant %q", text.String(), got, want)
		}
		rewritten, _, err := sql.RewriteQuery(text.String())
		if err != nil {
			t.Fatalf("RewriteQuery(%q): %v", text.String(), err)
		}
		other := sqlparser.NewStringTokenizer(rewritten)
		n := 0
		for {
			kind, value := other.Scan()
			if kind == 0 {
				break
			}
			if kind == sqlparser.LEX_ERROR {
				t.Fatalf("the MySQL parser cannot read %q: %q", rewritten, value)
			}
			if kind != sqlparser.COMMENT {
				n++
			}
		}
		if n != len(want) {
			t.Fatalf("the MySQL parser reads %d tokens of %q, want %d", n, rewritten, len(want))
		}
	}
}
