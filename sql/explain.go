package sql

import (
	"strings"

	"github.com/leatdb/leat/sql/sqlerror"
)

// ExplainOptions is what stands between EXPLAIN and the query that it explains.
type ExplainOptions struct {
	Analyze bool // the query is run
	JSON    bool // FORMAT = JSON; otherwise it is a tree
}

// explainFormats are those of EXPLAIN. TRADITIONAL, MySQL's table of access paths,
// is a tree here.
var explainFormats = []string{"TREE", "JSON", "TRADITIONAL"}

// RewriteExplain reads the options of an EXPLAIN of a query, and gives the text with
// blanks in their place, since MySQL's parser does not read all of them. Every other
// text stays as it is. Positions of errors count from line 1, column 1.
func RewriteExplain(text string) (string, ExplainOptions, error) {
	lex := newLexer(text, sqlerror.Position{})
	t, err := lex.Next()
	if err != nil || !t.IsWord("EXPLAIN") && !t.IsWord("DESCRIBE") && !t.IsWord("DESC") {
		return text, ExplainOptions{}, nil
	}
	begin := t.End()
	var o ExplainOptions
	var format Token
	for {
		if t, err = lex.Next(); err != nil {
			return text, ExplainOptions{}, nil // MySQL's parser says why
		}
		if t.IsWord("ANALYZE") && !o.Analyze {
			o.Analyze = true
			continue
		}
		ahead := lex
		if equals, _ := ahead.Next(); !t.IsWord("FORMAT") || !equals.IsOperator("=") || format != (Token{}) {
			break
		}
		if format, err = ahead.Next(); err != nil {
			return text, ExplainOptions{}, nil
		}
		lex = ahead
	}
	switch {
	case !o.Analyze && format == Token{}:
		return text, o, nil
	case t.IsWord("FOR"):
		return text, o, sqlerror.Userf(sqlerror.CodeUnsupported, "EXPLAIN FOR CONNECTION is not supported").At(t.Pos).WithHint("EXPLAIN the query itself")
	case t.IsWord("CREATE"):
		return text, o, sqlerror.Userf(sqlerror.CodeUnsupported, "EXPLAIN CREATE STREAM has no FORMAT").At(format.Pos)
	case o.Analyze && (t.IsWord("INSERT") || t.IsWord("UPDATE") || t.IsWord("DELETE") || t.IsWord("REPLACE")):
		return text, o, sqlerror.Userf(sqlerror.CodeUnsupported, "EXPLAIN ANALYZE runs a query, and %s is none", strings.ToUpper(t.Text)).At(t.Pos)
	case format == Token{}, strings.EqualFold(format.Value(), "TREE"):
	case strings.EqualFold(format.Value(), "JSON"):
		o.JSON = true
	case strings.EqualFold(format.Value(), "TRADITIONAL"):
		if o.Analyze {
			return text, o, sqlerror.Userf(sqlerror.CodeUnsupported, "EXPLAIN ANALYZE has no FORMAT = TRADITIONAL").At(format.Pos).
				WithHint("FORMAT = TREE and FORMAT = JSON show what was measured")
		}
	default:
		e := sqlerror.Userf(sqlerror.CodeUnsupported, "unknown EXPLAIN format %s", describe(format)).At(format.Pos)
		if near := sqlerror.Nearest(format.Value(), explainFormats); near != "" {
			return text, o, e.WithHint("did you mean %s?", near)
		}
		return text, o, e.WithHint("the formats are %s", strings.Join(explainFormats, ", "))
	}
	return text[:begin] + blank(text[begin:t.Offset]) + text[t.Offset:], o, nil
}

// blank is as many blanks as a text has characters, in as many lines.
func blank(text string) string {
	return strings.Map(func(c rune) rune {
		if c == '\n' {
			return c
		}
		return ' '
	}, text)
}
