package kernel

import (
	"bytes"
	"unicode/utf8"
)

// likeKind is what a token of a LIKE pattern matches.
type likeKind uint8

const (
	likeByte likeKind = iota // this byte
	likeOne                  // one character
	likeAny                  // any text
)

type likeToken struct {
	kind likeKind
	b    byte
}

// likeForm is the shape of a pattern, most of which need no search for tokens.
type likeForm uint8

const (
	likeGeneral likeForm = iota
	likeExact
	likePrefix
	likeSuffix
	likeContains
)

// like is a compiled pattern.
type like struct {
	form    likeForm
	literal []byte
	tokens  []likeToken
	binary  bool
}

// LikeEscape is the escape character that the third argument of LIKE names: none
// for an empty text. The error says that it is more than one character.
func LikeEscape(s string) (rune, error) {
	r, n := utf8.DecodeRuneInString(s)
	switch {
	case s == "":
		return -1, nil
	case n != len(s):
		return 0, failuref("Incorrect arguments to ESCAPE: %s", quote(s))
	}
	return r, nil
}

// compile reads a pattern, reusing the memory of the last one.
func (l *like) compile(pattern []byte, escape rune, binary bool) {
	l.tokens, l.literal, l.binary = l.tokens[:0], l.literal[:0], binary
	literal := func(s []byte) {
		for _, b := range s {
			l.tokens = append(l.tokens, likeToken{likeByte, b})
		}
	}
	for i := 0; i < len(pattern); {
		r, n := utf8.DecodeRune(pattern[i:])
		if binary {
			r, n = rune(pattern[i]), 1
		}
		switch {
		case r == escape && i+n < len(pattern):
			i += n
			if _, n = utf8.DecodeRune(pattern[i:]); binary {
				n = 1
			}
			literal(pattern[i : i+n])
		case r == '%':
			if k := len(l.tokens); k == 0 || l.tokens[k-1].kind != likeAny {
				l.tokens = append(l.tokens, likeToken{kind: likeAny})
			}
		case r == '_':
			l.tokens = append(l.tokens, likeToken{kind: likeOne})
		default:
			literal(pattern[i : i+n])
		}
		i += n
	}
	l.classify()
}

func (l *like) classify() {
	t := l.tokens
	first := len(t) > 0 && t[0].kind == likeAny
	last := len(t) > 1 && t[len(t)-1].kind == likeAny
	if first {
		t = t[1:]
	}
	if last {
		t = t[:len(t)-1]
	}
	l.form = likeGeneral
	for _, token := range t {
		if token.kind != likeByte {
			return
		}
	}
	for _, token := range t {
		l.literal = append(l.literal, token.b)
	}
	switch {
	case first && last:
		l.form = likeContains
	case first:
		l.form = likeSuffix
	case last:
		l.form = likePrefix
	default:
		l.form = likeExact
	}
}

func (l *like) match(s []byte) bool {
	switch l.form {
	case likeExact:
		return bytes.Equal(s, l.literal)
	case likePrefix:
		return bytes.HasPrefix(s, l.literal)
	case likeSuffix:
		return bytes.HasSuffix(s, l.literal)
	case likeContains:
		return bytes.Contains(s, l.literal)
	}
	return l.search(s)
}

// search matches token by token; after a mismatch the last "any text" takes one
// character more.
func (l *like) search(s []byte) bool {
	t := l.tokens
	i, j := 0, 0
	star, mark := -1, 0
	for i < len(s) {
		switch {
		case j < len(t) && t[j].kind == likeAny:
			star, mark = j, i
			j++
		case j < len(t) && t[j].kind == likeOne:
			i += l.width(s[i:])
			j++
		case j < len(t) && t[j].b == s[i]:
			i++
			j++
		case star >= 0:
			mark += l.width(s[mark:])
			i, j = mark, star+1
		default:
			return false
		}
	}
	for j < len(t) && t[j].kind == likeAny {
		j++
	}
	return j == len(t)
}

// width is how many bytes the first character of s has.
func (l *like) width(s []byte) int {
	if l.binary || s[0] < utf8.RuneSelf {
		return 1
	}
	_, n := utf8.DecodeRune(s)
	return n
}

// FuncLike is LIKE: text, pattern and, if it is not the backslash, the escape
// character.
var FuncLike = propagate(func(f *frame, args []Vector) error {
	x, patterns := textsOf(args[0]), textsOf(args[1])
	binary := isBinary(args[0]) || isBinary(args[1])
	escapes := texts{offsets: []int32{0, 1}, data: []byte{'\\'}}
	if len(args) == 3 {
		escapes = textsOf(args[2])
	}
	out := boolOut(f)
	constant := args[1].Const && escapes.mask == 0
	var l like
	compiled := false
	for i := range f.live {
		if !compiled || !constant {
			escape, err := LikeEscape(string(escapes.at(i)))
			if err != nil {
				f.fail(i, err)
				continue
			}
			l.compile(patterns.at(i), escape, binary)
			compiled = true
		}
		if l.match(x.at(i)) {
			setBit(out, i)
		}
	}
	return nil
})
