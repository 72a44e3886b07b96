package sql

import "strings"

// QuoteName is the name as it stands in SQL text: bare where every parser reads
// it so, else in backquotes.
func QuoteName(name string) string {
	if isPlainName(name) && !IsReserved(name) {
		return name
	}
	return "`" + strings.ReplaceAll(name, "`", "``") + "`"
}

// isPlainName reports whether the name is ASCII letters, digits and
// underscores and does not begin with a digit. MySQL reads more without quotes
// ($, letters beyond ASCII), but not every parser does.
func isPlainName(name string) bool {
	for i := range len(name) {
		if c := name[i]; !isWordByte(c) || c == '$' || i == 0 && isDigit(c) {
			return false
		}
	}
	return name != ""
}

var stringEscapes = strings.NewReplacer(
	"'", "''", `\`, `\\`, "\x00", `\0`, "\n", `\n`, "\r", `\r`, "\x1a", `\Z`,
)

// QuoteString is the text as a string literal of one line, which Token.Value
// reads back.
func QuoteString(s string) string { return "'" + stringEscapes.Replace(s) + "'" }

// unquote decodes a closed string literal by MySQL's rules: a doubled quote
// stands for itself, \0 \b \n \r \t \Z for control characters, \% and \_ for
// themselves with the backslash (they matter to LIKE), any other escaped
// character for itself.
func unquote(literal string) string {
	quote, body := literal[0], literal[1:len(literal)-1]
	if strings.IndexByte(body, '\\') < 0 && strings.IndexByte(body, quote) < 0 {
		return body
	}
	var b strings.Builder
	b.Grow(len(body))
	for i := 0; i < len(body); i++ {
		c := body[i]
		switch {
		case c == quote:
			i++ // of a doubled quote
		case c == '\\' && i+1 < len(body):
			i++
			switch c = body[i]; c {
			case '0':
				c = 0
			case 'b':
				c = '\b'
			case 'n':
				c = '\n'
			case 'r':
				c = '\r'
			case 't':
				c = '\t'
			case 'Z':
				c = 0x1a
			case '%', '_':
				b.WriteByte('\\')
			}
		}
		b.WriteByte(c)
	}
	return b.String()
}
