package kernel

import (
	"bytes"
	"encoding/binary"
	"slices"
	"strconv"
	"unicode"
	"unicode/utf8"

	"github.com/apache/arrow-go/v18/arrow"

	"github.com/leatdb/leat/sql/types"
)

// Text functions count in characters, of binary arguments in bytes. Texts are
// compared by their bytes.

// maxText is the longest text that REPEAT, SPACE and the paddings make, in
// bytes: MySQL's default max_allowed_packet.
const maxText = 64 << 20

var errTextTooLong = failure("Result was larger than max_allowed_packet (67108864)")

func isBinary(v Vector) bool { return v.Array.DataType().ID() == arrow.BINARY }

// textFunc makes a Func that appends each row's text.
func textFunc(prepare func(f *frame, args []Vector) (put func(dst []byte, i int) []byte)) Func {
	return propagate(func(f *frame, args []Vector) error {
		put := prepare(f, args)
		out := newTextOut(f)
		for i := range f.live {
			out.start(i)
			out.buf = put(out.buf, i)
		}
		return out.finish()
	})
}

// FuncConcat is CONCAT.
var FuncConcat = textFunc(func(_ *frame, args []Vector) func([]byte, int) []byte {
	parts := make([]texts, len(args))
	for k, a := range args {
		parts[k] = textsOf(a)
	}
	return func(dst []byte, i int) []byte {
		for k := range parts {
			dst = append(dst, parts[k].at(i)...)
		}
		return dst
	}
})

// FuncConcatWS is CONCAT_WS, which passes over NULLs but for the separator.
var FuncConcatWS Func = func(ctx *Context, rows int, args []Vector, out types.Type) (Vector, error) {
	f := frame{ctx: ctx, rows: rows, out: out}
	if args[0].isNull() {
		return nullVector(ctx, out), nil
	}
	f.and(args[0])
	parts, valid := make([]texts, len(args)), make([]valids, len(args))
	for k, a := range args {
		parts[k], valid[k] = textsOf(a), validsOf(a)
	}
	to := newTextOut(&f)
	for i := range f.live {
		to.start(i)
		first := true
		for k := 1; k < len(parts); k++ {
			if !valid[k].at(i) {
				continue
			}
			if !first {
				to.buf = append(to.buf, parts[0].at(i)...)
			}
			first = false
			to.buf = append(to.buf, parts[k].at(i)...)
		}
	}
	return f.finish(to.finish())
}

// FuncLower is LOWER; binary strings stay as they are.
var FuncLower = changeCase('A', 'Z', unicode.ToLower)

// FuncUpper is UPPER; binary strings stay as they are.
var FuncUpper = changeCase('a', 'z', unicode.ToUpper)

const lowBits = 0x0101010101010101 // the lowest of each byte

func changeCase(first, last byte, of func(rune) rune) Func {
	return textFunc(func(_ *frame, args []Vector) func([]byte, int) []byte {
		x, raw := textsOf(args[0]), isBinary(args[0])
		return func(dst []byte, i int) []byte {
			s := x.at(i)
			begin := len(dst)
			dst = append(dst, s...)
			if raw {
				return dst
			}
			// Eight bytes at a time: of ASCII, those from first on reach the high bit
			// when one is added, those behind last when the other is.
			var all uint64
			rest := dst[begin:]
			for ; len(rest) >= 8; rest = rest[8:] {
				w := binary.LittleEndian.Uint64(rest)
				all |= w
				letters := (w + uint64(0x80-first)*lowBits) &^ (w + uint64(0x7f-last)*lowBits) & (0x80 * lowBits)
				binary.LittleEndian.PutUint64(rest, w^letters>>2)
			}
			for k, c := range rest {
				all |= uint64(c)
				if c >= first && c <= last {
					rest[k] = c ^ 0x20
				}
			}
			if all&(0x80*lowBits) == 0 {
				return dst
			}
			dst = dst[:begin]
			for k := 0; k < len(s); {
				c := s[k]
				if c >= utf8.RuneSelf {
					r, n := utf8.DecodeRune(s[k:])
					if r == utf8.RuneError && n == 1 {
						dst = append(dst, c)
					} else {
						dst = utf8.AppendRune(dst, of(r))
					}
					k += n
					continue
				}
				if c >= first && c <= last {
					c ^= 0x20
				}
				dst = append(dst, c)
				k++
			}
			return dst
		}
	})
}

// chars measures text in characters, or bytes where it is binary.
type chars struct{ binary bool }

func (c chars) count(s []byte) int {
	if c.binary {
		return len(s)
	}
	return countChars(s)
}

// offset is how many bytes the first n characters have.
func (c chars) offset(s []byte, n int) int {
	if c.binary {
		return min(n, len(s))
	}
	return bytesOfChars(s, n)
}

// FuncSubstring is SUBSTRING(text, position[, length]).
var FuncSubstring = textFunc(func(_ *frame, args []Vector) func([]byte, int) []byte {
	x, positions := textsOf(args[0]), viewOf[int64](args[1])
	c := chars{isBinary(args[0])}
	lengths := view[int64]{[]int64{1 << 40}, 0}
	if len(args) == 3 {
		lengths = viewOf[int64](args[2])
	}
	return func(dst []byte, i int) []byte {
		return append(dst, c.substring(x.at(i), positions.at(i), lengths.at(i))...)
	}
})

func (c chars) substring(s []byte, position, length int64) []byte {
	switch {
	case position == 0 || length <= 0:
		return nil
	case position < 0:
		n := int64(c.count(s))
		if -position > n || position == -position { // the least integer has no negative
			return nil
		}
		position += n + 1
	}
	if position > int64(len(s)) {
		return nil
	}
	s = s[c.offset(s, int(position-1)):]
	return s[:c.offset(s, int(min(length, int64(len(s)))))]
}

// FuncLeft is LEFT(text, n).
var FuncLeft = textFunc(func(_ *frame, args []Vector) func([]byte, int) []byte {
	x, counts := textsOf(args[0]), viewOf[int64](args[1])
	c := chars{isBinary(args[0])}
	return func(dst []byte, i int) []byte { return append(dst, c.substring(x.at(i), 1, counts.at(i))...) }
})

// FuncRight is RIGHT(text, n).
var FuncRight = textFunc(func(_ *frame, args []Vector) func([]byte, int) []byte {
	x, counts := textsOf(args[0]), viewOf[int64](args[1])
	c := chars{isBinary(args[0])}
	return func(dst []byte, i int) []byte {
		s := x.at(i)
		if n := counts.at(i); n > 0 {
			keep := max(int64(c.count(s))-n, 0)
			dst = append(dst, s[c.offset(s, int(keep)):]...)
		}
		return dst
	}
})

// FuncTrim takes a text off its beginning, its end or both as often as it stands
// there: TRIM(text, what).
func FuncTrim(leading, trailing bool) Func {
	return textFunc(func(_ *frame, args []Vector) func([]byte, int) []byte {
		x, whats := textsOf(args[0]), texts{offsets: []int32{0, 1}, data: []byte{' '}}
		if len(args) > 1 {
			whats = textsOf(args[1])
		}
		return func(dst []byte, i int) []byte {
			s, what := x.at(i), whats.at(i)
			if len(what) > 0 {
				for leading && bytes.HasPrefix(s, what) {
					s = s[len(what):]
				}
				for trailing && bytes.HasSuffix(s, what) {
					s = s[:len(s)-len(what)]
				}
			}
			return append(dst, s...)
		}
	})
}

// FuncLength is LENGTH, in bytes.
var FuncLength = propagate(func(f *frame, args []Vector) error {
	x := textsOf(args[0])
	put := integers(f)
	for i := range f.rows {
		put(i, int64(x.offsets[i+1]-x.offsets[i]))
	}
	return nil
})

// FuncBitLength is BIT_LENGTH.
var FuncBitLength = propagate(func(f *frame, args []Vector) error {
	x := textsOf(args[0])
	put := integers(f)
	for i := range f.rows {
		put(i, 8*int64(x.offsets[i+1]-x.offsets[i]))
	}
	return nil
})

// FuncCharLength is CHAR_LENGTH.
var FuncCharLength = propagate(func(f *frame, args []Vector) error {
	x, c := textsOf(args[0]), chars{isBinary(args[0])}
	put := integers(f)
	for i := range f.live {
		put(i, int64(c.count(x.at(i))))
	}
	return nil
})

// FuncReplace is REPLACE(text, from, to).
var FuncReplace = textFunc(func(_ *frame, args []Vector) func([]byte, int) []byte {
	x, froms, tos := textsOf(args[0]), textsOf(args[1]), textsOf(args[2])
	return func(dst []byte, i int) []byte {
		s, from := x.at(i), froms.at(i)
		for len(from) > 0 {
			at := bytes.Index(s, from)
			if at < 0 {
				break
			}
			dst = append(append(dst, s[:at]...), tos.at(i)...)
			s = s[at+len(from):]
		}
		return append(dst, s...)
	}
})

// FuncSubstringIndex is SUBSTRING_INDEX(text, delimiter, count).
var FuncSubstringIndex = textFunc(func(_ *frame, args []Vector) func([]byte, int) []byte {
	x, delimiters, counts := textsOf(args[0]), textsOf(args[1]), viewOf[int64](args[2])
	return func(dst []byte, i int) []byte {
		s, d, n := x.at(i), delimiters.at(i), counts.at(i)
		if len(d) == 0 {
			return dst
		}
		end := 0
		for ; n > 0; n-- {
			at := bytes.Index(s[end:], d)
			if at < 0 {
				return append(dst, s...)
			}
			if n == 1 {
				return append(dst, s[:end+at]...)
			}
			end += at + len(d)
		}
		begin := len(s)
		for ; n < 0; n++ {
			at := bytes.LastIndex(s[:begin], d)
			if at < 0 {
				return append(dst, s...)
			}
			if n == -1 {
				return append(dst, s[at+len(d):]...)
			}
			begin = at
		}
		return dst
	}
})

// piece is SUBSTRING_INDEX(SUBSTRING_INDEX(text, delimiter, n), delimiter, -1) with
// a delimiter of one byte and n above 0: the n-th piece, or the last.
var piece = textFunc(func(_ *frame, args []Vector) func([]byte, int) []byte {
	x, delimiters, counts := textsOf(args[0]), textsOf(args[1]), viewOf[int64](args[2])
	return func(dst []byte, i int) []byte {
		s, d, n := x.at(i), delimiters.at(i)[0], counts.at(i)
		begin := 0
		for k, c := range s {
			if c == d {
				if n--; n == 0 {
					return append(dst, s[begin:k]...)
				}
				begin = k + 1
			}
		}
		return append(dst, s[begin:]...)
	}
})

// substringIndex is a call of FuncSubstringIndex.
type substringIndex struct{ *call }

// SubstringIndex calls FuncSubstringIndex. Two of them that together take one
// piece out of a text, the customary SPLIT_INDEX of MySQL, are one call.
func SubstringIndex(out types.Type, args ...Expr) Expr {
	first, ok := args[0].(*substringIndex)
	if s, isShared := args[0].(*Shared); isShared {
		first, ok = s.Expr.(*substringIndex)
	}
	if ok {
		inner, outer := first.args[1:], args[1:]
		d, _ := ConstantValue(outer[0])
		same, _ := ConstantValue(inner[0])
		n, _ := ConstantValue(inner[1])
		last, _ := ConstantValue(outer[1])
		delimiter, isText := d.(string)
		count, isCount := n.(int64)
		if isText && len(delimiter) == 1 && same == d && isCount && count > 0 && last == int64(-1) {
			return Call(piece, out, first.args...)
		}
	}
	return &substringIndex{Call(FuncSubstringIndex, out, args...).(*call)}
}

// FuncPad is LPAD or RPAD(text, length, with).
func FuncPad(left bool) Func {
	return propagate(func(f *frame, args []Vector) error {
		x, lengths, withs := textsOf(args[0]), viewOf[int64](args[1]), textsOf(args[2])
		c := chars{isBinary(args[0])}
		out := newTextOut(f)
		for i := range f.live {
			out.start(i)
			s, n, with := x.at(i), lengths.at(i), withs.at(i)
			if n < 0 {
				f.null(i)
				continue
			}
			missing := n - int64(c.count(s))
			switch {
			case missing <= 0:
				out.buf = append(out.buf, s[:c.offset(s, int(n))]...)
			case len(with) == 0: // MySQL gives the empty text
			case missing > maxText:
				f.failOrNull(i, errTextTooLong)
			case left:
				out.buf = append(c.appendPadding(out.buf, with, int(missing)), s...)
			default:
				out.buf = c.appendPadding(append(out.buf, s...), with, int(missing))
			}
		}
		return out.finish()
	})
}

// appendPadding appends n characters of what is repeated.
func (c chars) appendPadding(dst, with []byte, n int) []byte {
	for each := c.count(with); n >= each; n -= each {
		dst = append(dst, with...)
	}
	return append(dst, with[:c.offset(with, n)]...)
}

// FuncReverse is REVERSE.
var FuncReverse = textFunc(func(_ *frame, args []Vector) func([]byte, int) []byte {
	x, binary := textsOf(args[0]), isBinary(args[0])
	return func(dst []byte, i int) []byte {
		s := x.at(i)
		for len(s) > 0 {
			n := 1
			for !binary && n < len(s) && s[len(s)-n]&0xC0 == 0x80 {
				n++
			}
			dst = append(dst, s[len(s)-n:]...)
			s = s[:len(s)-n]
		}
		return dst
	}
})

// FuncRepeat is REPEAT(text, n).
var FuncRepeat = propagate(func(f *frame, args []Vector) error {
	x, counts := textsOf(args[0]), viewOf[int64](args[1])
	out := newTextOut(f)
	for i := range f.live {
		out.start(i)
		s, n := x.at(i), counts.at(i)
		if len(s) == 0 || n <= 0 {
			continue
		}
		if n > maxText/int64(len(s)) {
			f.failOrNull(i, errTextTooLong)
			continue
		}
		for ; n > 0; n-- {
			out.buf = append(out.buf, s...)
		}
	}
	return out.finish()
})

// FuncLocate is LOCATE(what, text[, position]): the place in characters from 1,
// or 0.
var FuncLocate = propagate(func(f *frame, args []Vector) error {
	whats, x := textsOf(args[0]), textsOf(args[1])
	c := chars{isBinary(args[0]) || isBinary(args[1])}
	positions := view[int64]{[]int64{1}, 0}
	if len(args) == 3 {
		positions = viewOf[int64](args[2])
	}
	put := integers(f)
	for i := range f.live {
		put(i, int64(c.locate(whats.at(i), x.at(i), positions.at(i))))
	}
	return nil
})

func (c chars) locate(what, s []byte, position int64) int {
	if position < 1 || position > int64(c.count(s))+1 {
		return 0
	}
	begin := c.offset(s, int(position-1))
	at := bytes.Index(s[begin:], what)
	if at < 0 {
		return 0
	}
	return c.count(s[:begin+at]) + 1
}

// FuncStrcmp is STRCMP.
var FuncStrcmp = propagate(func(f *frame, args []Vector) error {
	x, y := textsOf(args[0]), textsOf(args[1])
	put := integers(f)
	for i := range f.live {
		put(i, int64(bytes.Compare(x.at(i), y.at(i))))
	}
	return nil
})

// FuncASCII is ASCII: the first byte, 0 of an empty text.
var FuncASCII = propagate(func(f *frame, args []Vector) error {
	x := textsOf(args[0])
	put := integers(f)
	for i := range f.live {
		if s := x.at(i); len(s) > 0 {
			put(i, int64(s[0]))
		} else {
			put(i, 0)
		}
	}
	return nil
})

// FuncOrd is ORD: the bytes of the first character as a number.
var FuncOrd = propagate(func(f *frame, args []Vector) error {
	x, c := textsOf(args[0]), chars{isBinary(args[0])}
	put := integers(f)
	for i := range f.live {
		s := x.at(i)
		code := int64(0)
		for _, b := range s[:c.offset(s, 1)] {
			code = code<<8 | int64(b)
		}
		put(i, code)
	}
	return nil
})

// FuncSpace is SPACE(n).
var FuncSpace = propagate(func(f *frame, args []Vector) error {
	counts := viewOf[int64](args[0])
	out := newTextOut(f)
	for i := range f.live {
		out.start(i)
		n := counts.at(i)
		if n > maxText {
			f.failOrNull(i, errTextTooLong)
			continue
		}
		for ; n > 0; n-- {
			out.buf = append(out.buf, ' ')
		}
	}
	return out.finish()
})

// FuncInsert is INSERT(text, position, length, what).
var FuncInsert = textFunc(func(_ *frame, args []Vector) func([]byte, int) []byte {
	x, positions, lengths, whats := textsOf(args[0]), viewOf[int64](args[1]), viewOf[int64](args[2]), textsOf(args[3])
	c := chars{isBinary(args[0])}
	return func(dst []byte, i int) []byte {
		s, position, length := x.at(i), positions.at(i), lengths.at(i)
		n := int64(c.count(s))
		if position < 1 || position > n {
			return append(dst, s...)
		}
		if length < 0 || length > n-position+1 {
			length = n - position + 1
		}
		begin := c.offset(s, int(position-1))
		dst = append(append(dst, s[:begin]...), whats.at(i)...)
		s = s[begin:]
		return append(dst, s[c.offset(s, int(length)):]...)
	}
})

// FuncField is FIELD(what, …): which of the arguments is equal to the first, 0
// if none or if it is NULL. All are of one type.
var FuncField Func = func(ctx *Context, rows int, args []Vector, out types.Type) (Vector, error) {
	f := frame{ctx: ctx, rows: rows, out: out}
	put := integers(&f)
	for i := range rows {
		put(i, 0)
	}
	if args[0].isNull() {
		return f.finish(nil)
	}
	same := ctx.scratch.takeWords(wordCount(rows))
	defer ctx.scratch.giveWords(same)
	x := validsOf(args[0])
	for n, a := range slices.Backward(args[1:]) {
		if a.isNull() {
			continue
		}
		clear(same)
		if err := compare(&f, Equal, a, args[0], same); err != nil {
			return f.finish(err)
		}
		y := validsOf(a)
		for k := range same {
			same[k] &= x.word(k) & y.word(k)
		}
		for i := range rows {
			if wordBit(same, i) {
				put(i, int64(n+1))
			}
		}
	}
	return f.finish(nil)
}

// FuncFindInSet is FIND_IN_SET(what, list): the place in a list separated by
// commas, from 1, or 0.
var FuncFindInSet = propagate(func(f *frame, args []Vector) error {
	whats, lists := textsOf(args[0]), textsOf(args[1])
	put := integers(f)
	for i := range f.live {
		what, list := whats.at(i), lists.at(i)
		place, found := int64(1), false
		for len(list) > 0 || place > 1 {
			end := bytes.IndexByte(list, ',')
			if found = bytes.Equal(list[:max(end, 0)], what); end < 0 {
				found = bytes.Equal(list, what)
				break
			}
			if found {
				break
			}
			list = list[end+1:]
			place++
		}
		if !found {
			place = 0
		}
		put(i, place)
	}
	return nil
})

// FuncHexNumber is HEX of a 64-bit integer, FuncOct is OCT and FuncBin is BIN.
var (
	FuncHexNumber = inBase(16)
	FuncOct       = inBase(8)
	FuncBin       = inBase(2)
)

func inBase(base int) Func {
	return textFunc(func(_ *frame, args []Vector) func([]byte, int) []byte {
		x := viewOf[uint64](args[0])
		return func(dst []byte, i int) []byte {
			begin := len(dst)
			dst = strconv.AppendUint(dst, x.at(i), base)
			for k, c := range dst[begin:] {
				if c >= 'a' {
					dst[begin+k] = c &^ 0x20
				}
			}
			return dst
		}
	})
}
