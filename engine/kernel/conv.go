package kernel

import (
	"math"
	"strconv"
)

// FuncConv is CONV(number, from base, to base): as much of the text as is a number
// of the base, in 64 bits. A negative base means that numbers have a sign.
var FuncConv = propagate(func(f *frame, args []Vector) error {
	x, from, to := textsOf(args[0]), viewOf[int64](args[1]), viewOf[int64](args[2])
	out := newTextOut(f)
	for i := range f.live {
		out.start(i)
		n, ok := parseInBase(x.at(i), from.at(i))
		base := to.at(i)
		switch {
		case !ok || !isBase(base):
			f.null(i)
			continue
		case base < 0:
			out.buf = strconv.AppendInt(out.buf, int64(n), int(-base))
		default:
			out.buf = strconv.AppendUint(out.buf, n, int(base))
		}
	}
	for i, c := range out.buf {
		if c >= 'a' && c <= 'z' {
			out.buf[i] = c - 'a' + 'A'
		}
	}
	return out.finish()
})

func isBase(base int64) bool { return base >= 2 && base <= 36 || base <= -2 && base >= -36 }

// parseInBase reads a number as two's complement. Empty text has none; what leaves
// the range is at its end.
func parseInBase(text []byte, base int64) (n uint64, ok bool) {
	if !isBase(base) || len(text) == 0 {
		return 0, false
	}
	signed := base < 0
	radix := uint64(max(base, -base))
	i := 0
	for i < len(text) && isSpace(text[i]) {
		i++
	}
	negative := i < len(text) && text[i] == '-'
	if i < len(text) && (text[i] == '-' || text[i] == '+') {
		i++
	}
	over := false
	for ; i < len(text); i++ {
		digit := uint64(math.MaxUint64)
		switch c := text[i]; {
		case c >= '0' && c <= '9':
			digit = uint64(c - '0')
		case c >= 'a' && c <= 'z':
			digit = uint64(c-'a') + 10
		case c >= 'A' && c <= 'Z':
			digit = uint64(c-'A') + 10
		}
		if digit >= radix {
			break
		}
		over = over || n > (math.MaxUint64-digit)/radix
		n = n*radix + digit
	}
	switch {
	case signed && negative:
		if over || n > 1<<63 {
			n = 1 << 63
		}
		return -n, true
	case signed:
		if over || n > math.MaxInt64 {
			n = math.MaxInt64
		}
		return n, true
	case over:
		return math.MaxUint64, true
	case negative:
		return -n, true
	}
	return n, true
}
