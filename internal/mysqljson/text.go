package mysqljson

import (
	"bytes"
	"unicode/utf8"
)

// AppendUnescaped appends what a JSON string stands for, given the bytes
// between its quotes. They must have been validated: sequences that are no
// escapes are copied, half surrogate pairs become U+FFFD.
func AppendUnescaped(dst, content []byte) []byte {
	for {
		i := bytes.IndexByte(content, '\\')
		if i < 0 || i+1 >= len(content) {
			return append(dst, content...)
		}
		dst = append(dst, content[:i]...)
		n := 2
		switch c := content[i+1]; c {
		case 'b':
			dst = append(dst, '\b')
		case 'f':
			dst = append(dst, '\f')
		case 'n':
			dst = append(dst, '\n')
		case 'r':
			dst = append(dst, '\r')
		case 't':
			dst = append(dst, '\t')
		case 'u':
			var r rune
			r, n = unescapeRune(content, i)
			dst = utf8.AppendRune(dst, r)
		default:
			dst = append(dst, c)
		}
		content = content[i+n:]
	}
}

func unescapeRune(b []byte, i int) (r rune, n int) {
	r, ok := hex4(b, i+2)
	if !ok {
		return utf8.RuneError, 2
	}
	if r < 0xd800 || r > 0xdfff {
		return r, 6
	}
	if r < 0xdc00 && i+8 <= len(b) && b[i+6] == '\\' && b[i+7] == 'u' {
		if low, ok := hex4(b, i+8); ok && low >= 0xdc00 && low <= 0xdfff {
			return 0x10000 + (r-0xd800)<<10 + (low - 0xdc00), 12
		}
	}
	return utf8.RuneError, 6
}

const hexDigits = "0123456789abcdef"

// AppendQuoted appends text as a JSON string, escaped as MySQL's JSON_QUOTE
// does: quote, backslash and control characters, nothing else.
func AppendQuoted(dst, text []byte) []byte {
	dst = append(dst, '"')
	done := 0
	for i, c := range text {
		if c >= ' ' && c != '"' && c != '\\' {
			continue
		}
		dst = append(dst, text[done:i]...)
		done = i + 1
		switch c {
		case '"', '\\':
			dst = append(dst, '\\', c)
		case '\b':
			dst = append(dst, '\\', 'b')
		case '\f':
			dst = append(dst, '\\', 'f')
		case '\n':
			dst = append(dst, '\\', 'n')
		case '\r':
			dst = append(dst, '\\', 'r')
		case '\t':
			dst = append(dst, '\\', 't')
		default:
			dst = append(dst, '\\', 'u', '0', '0', hexDigits[c>>4], hexDigits[c&15])
		}
	}
	return append(append(dst, text[done:]...), '"')
}

// appendRequoted appends the string whose content is given, escaped, in normal
// form.
func appendRequoted(dst, content []byte) []byte {
	if bytes.IndexByte(content, '\\') < 0 {
		dst = append(dst, '"')
		return append(append(dst, content...), '"')
	}
	var scratch [256]byte
	return AppendQuoted(dst, AppendUnescaped(scratch[:0], content))
}
