package mysqljson

import (
	"encoding/binary"
	"fmt"
	"math/bits"
	"unicode/utf8"
)

// SyntaxError says where a text stops being valid JSON.
type SyntaxError struct {
	Offset int    // in bytes from the beginning of the text
	Reason string // what was expected or found
}

func (e *SyntaxError) Error() string {
	return fmt.Sprintf("invalid JSON at byte %d: %s", e.Offset, e.Reason)
}

func syntaxError(offset int, format string, args ...any) error {
	return &SyntaxError{Offset: offset, Reason: fmt.Sprintf(format, args...)}
}

// Kind is the kind of a JSON value.
type Kind uint8

// The kinds of JSON values. Invalid is for bytes that begin no value.
const (
	Invalid Kind = iota
	Null
	Bool
	Number
	String
	Array
	Object
)

var kindNames = [...]string{"no JSON value", "null", "a boolean", "a number", "a string", "an array", "an object"}

// String is the kind with its article, for messages.
func (k Kind) String() string { return kindNames[k] }

var kindOfByte = [256]Kind{
	'n': Null, 't': Bool, 'f': Bool, '"': String, '[': Array, '{': Object, '-': Number,
	'0': Number, '1': Number, '2': Number, '3': Number, '4': Number,
	'5': Number, '6': Number, '7': Number, '8': Number, '9': Number,
}

// KindOf tells the kind of a value by its first byte; white space in front is
// passed over.
func KindOf(value []byte) Kind {
	i := skipSpace(value, 0)
	if i >= len(value) {
		return Invalid
	}
	return kindOfByte[value[i]]
}

// Valid reports whether doc is one JSON value, by all of RFC 8259, in valid
// UTF-8, with nothing but white space around it. The error is a *SyntaxError.
func Valid(doc []byte) error {
	end, err := Scan(doc, skipSpace(doc, 0))
	if err != nil {
		return err
	}
	if end = skipSpace(doc, end); end < len(doc) {
		return syntaxError(end, "expected the end of the text, found %s", quoteByte(doc, end))
	}
	return nil
}

// Scan checks the value that begins at doc[pos] as Valid does and returns the
// index behind it. It does not look at what follows.
func Scan(doc []byte, pos int) (end int, err error) { return scan(doc, pos, MaxDepth, nil) }

const (
	ones  = 0x0101010101010101
	highs = 0x8080808080808080
)

// load8 loads eight bytes, the first in the lowest byte.
func load8(b []byte, i int) uint64 { return binary.LittleEndian.Uint64(b[i:]) }

// specialBytes has the high bit of each byte set that ends a run of plain text
// in a JSON string: quote, backslash, control characters and bytes beyond
// ASCII. Only the lowest one is exact: bits above it may be set by a borrow.
func specialBytes(x uint64) uint64 {
	return ((x - 0x20*ones) | ((x ^ '"'*ones) - ones) | ((x ^ '\\'*ones) - ones) | x) & highs
}

// endBytes is specialBytes for quote, backslash and line break only.
func endBytes(x uint64) uint64 {
	q, b, n := x^'"'*ones, x^'\\'*ones, x^'\n'*ones
	return ((q-ones)&^q | (b-ones)&^b | (n-ones)&^n) & highs
}

func isSpace(c byte) bool { return c == ' ' || c == '\n' || c == '\r' || c == '\t' }

func skipSpace(b []byte, i int) int {
	for i < len(b) && isSpace(b[i]) {
		i++
	}
	return i
}

func quoteByte(b []byte, i int) string {
	if i >= len(b) {
		return "the end of the text"
	}
	if r, n := utf8.DecodeRune(b[i:]); r != utf8.RuneError || n > 1 {
		return fmt.Sprintf("%q", r)
	}
	return fmt.Sprintf("byte 0x%02x", b[i])
}

// levels is a stack of bits, one for each open array (0) or object (1). The
// innermost 64 are in a word.
type levels struct {
	word  uint64
	outer []uint64
	depth int
}

func (l *levels) push(object bool) {
	if l.depth&63 == 0 && l.depth > 0 {
		l.outer = append(l.outer, l.word)
	}
	l.word <<= 1
	if object {
		l.word |= 1
	}
	l.depth++
}

func (l *levels) pop() {
	l.depth--
	l.word >>= 1
	if l.depth&63 == 0 && l.depth > 0 {
		l.word = l.outer[len(l.outer)-1]
		l.outer = l.outer[:len(l.outer)-1]
	}
}

func (l *levels) inObject() bool { return l.word&1 != 0 }

// scan checks one value. With a tape it also records its structure there.
func scan(doc []byte, i, depth int, t *tape) (int, error) {
	var open levels
	var err error
value:
	i = skipSpace(doc, i)
	if i >= len(doc) {
		return 0, syntaxError(i, "expected a value, found the end of the text")
	}
	start := i
	switch c := doc[i]; kindOfByte[c] {
	case String:
		if i, err = scanString(doc, i+1); err != nil {
			return 0, err
		}
		t.leaf(String, start, i)
	case Number:
		if i, err = scanNumber(doc, i); err != nil {
			return 0, err
		}
		t.leaf(Number, start, i)
	case Null, Bool:
		if i, err = scanWord(doc, i); err != nil {
			return 0, err
		}
		t.leaf(kindOfByte[c], start, i)
	case Array:
		if open.depth >= depth {
			return 0, syntaxError(i, "more than %d levels deep", MaxDepth)
		}
		t.open(Array, i)
		if i = skipSpace(doc, i+1); i >= len(doc) || doc[i] != ']' {
			open.push(false)
			goto value
		}
		i++
		t.close(i)
	case Object:
		if open.depth >= depth {
			return 0, syntaxError(i, "more than %d levels deep", MaxDepth)
		}
		t.open(Object, i)
		if i = skipSpace(doc, i+1); i >= len(doc) || doc[i] != '}' {
			open.push(true)
			goto key
		}
		i++
		t.close(i)
	default:
		return 0, syntaxError(i, "expected a value, found %s", quoteByte(doc, i))
	}
	for open.depth > 0 {
		if i = skipSpace(doc, i); i >= len(doc) {
			return 0, syntaxError(i, "expected ',' or %s, found the end of the text", closer(open.inObject()))
		}
		switch c := doc[i]; {
		case c == ',' && open.inObject():
			i = skipSpace(doc, i+1)
			goto key
		case c == ',':
			i++
			goto value
		case c == '}' && open.inObject(), c == ']' && !open.inObject():
			i++
			open.pop()
			t.close(i)
		default:
			return 0, syntaxError(i, "expected ',' or %s, found %s", closer(open.inObject()), quoteByte(doc, i))
		}
	}
	return i, nil

key:
	if i >= len(doc) || doc[i] != '"' {
		return 0, syntaxError(i, "expected the name of a member, found %s", quoteByte(doc, i))
	}
	start = i
	if i, err = scanString(doc, i+1); err != nil {
		return 0, err
	}
	t.leaf(String, start, i)
	if i = skipSpace(doc, i); i >= len(doc) || doc[i] != ':' {
		return 0, syntaxError(i, "expected ':', found %s", quoteByte(doc, i))
	}
	i++
	goto value
}

func closer(object bool) string {
	if object {
		return "'}'"
	}
	return "']'"
}

// scanString checks a string from behind its opening quote and returns the
// index behind the closing one.
func scanString(doc []byte, i int) (int, error) {
	for {
		for i+8 <= len(doc) {
			m := specialBytes(load8(doc, i))
			if m != 0 {
				i += bits.TrailingZeros64(m) >> 3
				break
			}
			i += 8
		}
		if i >= len(doc) {
			return 0, syntaxError(len(doc), "the string does not end")
		}
		switch c := doc[i]; {
		case c == '"':
			return i + 1, nil
		case c == '\\':
			n, err := scanEscape(doc, i)
			if err != nil {
				return 0, err
			}
			i += n
		case c < ' ':
			return 0, syntaxError(i, "control character 0x%02x in a string", c)
		case c < utf8.RuneSelf:
			i++
		default:
			r, n := utf8.DecodeRune(doc[i:])
			if r == utf8.RuneError && n == 1 {
				return 0, syntaxError(i, "byte 0x%02x is not valid UTF-8", c)
			}
			i += n
		}
	}
}

// scanEscape checks the escape sequence at doc[i] and returns its length; a
// surrogate pair is one sequence.
func scanEscape(doc []byte, i int) (int, error) {
	if i+1 >= len(doc) {
		return 0, syntaxError(len(doc), "the string does not end")
	}
	switch doc[i+1] {
	case '"', '\\', '/', 'b', 'f', 'n', 'r', 't':
		return 2, nil
	case 'u':
	default:
		return 0, syntaxError(i, "unknown escape sequence \\%c", doc[i+1])
	}
	r, ok := hex4(doc, i+2)
	if !ok {
		return 0, syntaxError(i, "\\u needs four hexadecimal digits")
	}
	if r < 0xd800 || r > 0xdfff {
		return 6, nil
	}
	if r < 0xdc00 && i+8 <= len(doc) && doc[i+6] == '\\' && doc[i+7] == 'u' {
		if low, ok := hex4(doc, i+8); ok && low >= 0xdc00 && low <= 0xdfff {
			return 12, nil
		}
	}
	return 0, syntaxError(i, "\\u%s is half of a surrogate pair", doc[i+2:i+6])
}

func hex4(doc []byte, i int) (rune, bool) {
	if i+4 > len(doc) {
		return 0, false
	}
	var r rune
	for _, c := range doc[i : i+4] {
		switch {
		case c >= '0' && c <= '9':
			c -= '0'
		case c|0x20 >= 'a' && c|0x20 <= 'f':
			c = c | 0x20 - 'a' + 10
		default:
			return 0, false
		}
		r = r<<4 | rune(c)
	}
	return r, true
}

// scanNumber checks a number and returns the index behind it.
func scanNumber(doc []byte, i int) (int, error) {
	start := i
	if doc[i] == '-' {
		i++
	}
	switch {
	case i < len(doc) && doc[i] == '0':
		i++
		if i < len(doc) && isDigit(doc[i]) {
			return 0, syntaxError(start, "a number does not begin with 0")
		}
	case i < len(doc) && isDigit(doc[i]):
		i = skipDigits(doc, i)
	default:
		return 0, syntaxError(i, "expected a digit, found %s", quoteByte(doc, i))
	}
	if i < len(doc) && doc[i] == '.' {
		j := skipDigits(doc, i+1)
		if j == i+1 {
			return 0, syntaxError(j, "expected a digit, found %s", quoteByte(doc, j))
		}
		i = j
	}
	if i < len(doc) && doc[i]|0x20 == 'e' {
		i++
		if i < len(doc) && (doc[i] == '+' || doc[i] == '-') {
			i++
		}
		j := skipDigits(doc, i)
		if j == i {
			return 0, syntaxError(j, "expected a digit, found %s", quoteByte(doc, j))
		}
		i = j
	}
	return i, nil
}

func isDigit(c byte) bool { return c-'0' <= 9 }

func skipDigits(doc []byte, i int) int {
	for i < len(doc) && isDigit(doc[i]) {
		i++
	}
	return i
}

func scanWord(doc []byte, i int) (int, error) {
	for _, word := range [...]string{"null", "true", "false"} {
		if len(doc)-i >= len(word) && string(doc[i:i+len(word)]) == word {
			return i + len(word), nil
		}
	}
	return 0, syntaxError(i, "expected a value, found %s", quoteByte(doc, i))
}

// Skip returns the index behind the value that begins at doc[pos] after walking
// its structure only: strings end (on the line on which they begin, since no
// JSON string holds a line break), brackets match. What is between is not
// looked at, so doc should have been validated where that matters.
func Skip(doc []byte, pos int) (end int, err error) { return SkipWithin(doc, pos, MaxDepth) }

// SkipWithin is Skip for a value that may nest no more than depth levels deep, since
// it is in others.
func SkipWithin(doc []byte, pos, depth int) (end int, err error) {
	if pos >= len(doc) {
		return 0, syntaxError(pos, "expected a value, found the end of the text")
	}
	switch doc[pos] {
	case '"':
		return skipString(doc, pos+1)
	case '{', '[':
	default:
		i := pos
		for i < len(doc) && !endsScalar[doc[i]] {
			i++
		}
		if i == pos {
			return 0, syntaxError(pos, "expected a value, found %s", quoteByte(doc, pos))
		}
		return i, nil
	}
	var open levels
	for i := pos; i < len(doc); {
		switch c := doc[i]; c {
		case '"':
			if i, err = skipString(doc, i+1); err != nil {
				return 0, err
			}
			continue
		case '{', '[':
			if open.depth >= depth {
				return 0, syntaxError(i, "more than %d levels deep", MaxDepth)
			}
			open.push(c == '{')
		case '}', ']':
			if open.inObject() != (c == '}') {
				return 0, syntaxError(i, "expected %s, found '%c'", closer(open.inObject()), c)
			}
			if open.pop(); open.depth == 0 {
				return i + 1, nil
			}
		}
		i++
	}
	return 0, syntaxError(len(doc), "expected %s, found the end of the text", closer(open.inObject()))
}

var endsScalar = [256]bool{
	' ': true, '\n': true, '\r': true, '\t': true, ',': true, ':': true, '"': true,
	'}': true, ']': true, '{': true, '[': true,
}

// skipString returns the index behind the closing quote of a string, given the
// index behind its opening one.
func skipString(doc []byte, i int) (int, error) {
	for {
		for i+8 <= len(doc) {
			m := endBytes(load8(doc, i))
			if m != 0 {
				i += bits.TrailingZeros64(m) >> 3
				break
			}
			i += 8
		}
		if i >= len(doc) {
			return 0, syntaxError(len(doc), "the string does not end")
		}
		switch doc[i] {
		case '"':
			return i + 1, nil
		case '\\':
			if i++; i < len(doc) && doc[i] != '\n' {
				i++
			}
		case '\n':
			return 0, syntaxError(i, "the string does not end on its line")
		default:
			i++
		}
	}
}
