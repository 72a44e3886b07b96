package sql

import (
	"strings"

	"github.com/leatdb/leat/sql/sqlerror"
)

// normalText writes the tokens of a query or expression in one layout: comments
// gone, keywords and names of functions and types in capitals, one space
// between tokens that need one, a new line before each clause and after each
// comma of the outermost query. Names and strings keep their spelling. Texts
// with different tokens have different normal texts.
func normalText(text string) string {
	n := normalizer{lex: newLexer(text, sqlerror.Position{}), frames: make([]normalFrame, 1, 8)}
	t, err := n.lex.Next()
	for err == nil && t.Kind != EOF {
		var next Token
		next, err = n.lex.Next()
		n.write(t, next)
		t = next
	}
	if err != nil {
		n.out.WriteString(" " + text[t.Offset:]) // parsed texts have none
	}
	return n.out.String()
}

type normalizer struct {
	lex    Lexer
	out    strings.Builder
	frames []normalFrame // one for each open bracket, and the text itself
	before [3]Token      // the last tokens written, newest first
	unary  bool          // the last token is a sign
	// flattened says that the last closed bracket was that of UNNEST and its
	// alias follows, interval that it was that of INTERVAL (…).
	flattened, interval bool
}

// normalFrame is what is known of a bracket.
type normalFrame struct {
	call string // the upper-case name of the function it belongs to
	// columns marks the column list of JSON_TABLE and UNNEST: after the name
	// of each column stand only keywords.
	columns bool
	words   int  // names and keywords so far in the element
	typed   bool // keywords only, up to the end: CAST(x AS …
}

func (n *normalizer) write(t, next Token) {
	frame := &n.frames[len(n.frames)-1]
	prev := n.before[0]
	text := t.Text
	if t.Kind == Word && n.isKeyword(t, next, prev, frame) {
		text = strings.ToUpper(text)
	}
	switch {
	case prev.Kind == EOF:
	case len(n.frames) == 1 && n.isClause(t, next):
		n.out.WriteByte('\n')
	case len(n.frames) == 1 && prev.IsOperator(","):
		n.out.WriteString("\n  ")
	case n.needsSpace(prev, t):
		n.out.WriteByte(' ')
	}
	n.out.WriteString(text)
	n.unary = (t.IsOperator("-") || t.IsOperator("+")) && isOperand(prev)
	n.track(t, prev, frame)
	n.before[2], n.before[1], n.before[0] = n.before[1], n.before[0], t
}

// track follows the brackets.
func (n *normalizer) track(t, prev Token, frame *normalFrame) {
	n.interval = t.IsOperator(")") && frame.call == "INTERVAL"
	switch {
	case t.IsOperator("("):
		f := normalFrame{}
		if prev.Kind == Word {
			f.call = strings.ToUpper(prev.Text)
		}
		f.columns = f.call == "COLUMNS" || n.flattened
		n.flattened = false
		n.frames = append(n.frames, f)
	case t.IsOperator(")"):
		n.flattened = frame.call == "UNNEST" || frame.call == "FLATTEN"
		if len(n.frames) > 1 {
			n.frames = n.frames[:len(n.frames)-1]
		}
	case t.IsOperator(","):
		frame.words = 0
		frame.typed = frame.call == "CONVERT"
		n.flattened = false
	case t.isName():
		frame.words++
		if t.IsWord("AS") && frame.call == "CAST" {
			frame.typed = true
		}
		// UNNEST(…) WITH ORDINALITY AS t ( leads to the columns.
		n.flattened = n.flattened && (t.IsWord("WITH") || t.IsWord("AS") ||
			!IsReserved(t.Text) && (prev.IsWord("AS") || prev.IsWord("WITH") || prev.IsWord("ORDINALITY") || prev.IsOperator(")")))
	default:
		n.flattened = false
	}
}

// isKeyword reports whether the case of a word means nothing: it is reserved,
// or calls a function, or stands where only keywords can.
func (n *normalizer) isKeyword(t, next, prev Token, frame *normalFrame) bool {
	switch {
	case prev.IsOperator("."):
		return false
	case IsReserved(t.Text):
		return true
	case frame.columns:
		return frame.words > 0 || t.IsWord("NESTED") && (next.IsWord("PATH") || next.Kind == String)
	case frame.typed:
		return true
	case next.IsOperator("("):
		return !prev.IsWord("AS") && !(n.flattened && (prev.IsOperator(")") || prev.IsWord("ORDINALITY")))
	case intervalUnits[strings.ToUpper(t.Text)]:
		if prev.IsOperator("(") {
			return frame.call == "TIMESTAMPDIFF" || frame.call == "TIMESTAMPADD" || frame.call == "EXTRACT"
		}
		return n.interval || n.before[1].IsWord("INTERVAL") || n.before[2].IsWord("INTERVAL") && n.before[1].Kind == Operator
	case n.flattened:
		return t.IsWord("ORDINALITY")
	}
	return false
}

// isClause reports whether the token begins a clause of a query.
func (n *normalizer) isClause(t, next Token) bool {
	if t.Kind != Word || n.before[0].IsOperator(".") || next.IsOperator("(") && !t.IsWord("FROM") && !t.IsWord("WHERE") && !t.IsWord("HAVING") {
		return false
	}
	switch strings.ToUpper(t.Text) {
	case "FROM", "WHERE", "GROUP", "HAVING", "ORDER", "LIMIT", "UNION", "INTERSECT", "EXCEPT", "WINDOW":
		return true
	}
	return false
}

// bracketApart are words before whose bracket stands a space; other words are
// taken for functions.
var bracketApart = wordSet(`
ALL AND ANY AS BETWEEN BY CASE COLUMNS DISTINCT DIV ELSE EXCEPT EXISTS FROM HAVING IN INTERSECT IS
JOIN LIKE LIMIT MOD NOT ON OR OVER REGEXP RLIKE SELECT THEN UNION USING WHEN WHERE WINDOW XOR`)

// needsSpace decides about the space between two tokens. Leaving it out never
// makes the text of other tokens.
func (n *normalizer) needsSpace(prev, t Token) bool {
	switch {
	case t.IsOperator(",") || t.IsOperator(")") || t.IsOperator(";") || prev.IsOperator("("):
		return false
	case t.IsOperator("("):
		return prev.Kind != QuotedName && (prev.Kind != Word || bracketApart[strings.ToUpper(prev.Text)])
	case t.IsOperator("."):
		return !prev.isName()
	case prev.IsOperator("."):
		return !n.before[1].isName() || !t.isName() && !t.IsOperator("*")
	case t.IsOperator("->") || t.IsOperator("->>") || prev.IsOperator("->") || prev.IsOperator("->>"):
		return t.Kind == Operator && prev.Kind == Operator
	case n.unary:
		return t.Kind == Operator
	}
	return true
}

// isOperand reports whether a sign after the token belongs to what follows.
func isOperand(prev Token) bool {
	switch prev.Kind {
	case EOF:
		return true
	case Operator:
		return !prev.IsOperator(")")
	case Word:
		return IsReserved(prev.Text) && !prev.IsWord("NULL") && !prev.IsWord("TRUE") && !prev.IsWord("FALSE")
	}
	return false
}
