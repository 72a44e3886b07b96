package kernel

import (
	"math"
	"strconv"

	"github.com/apache/arrow-go/v18/arrow"

	"github.com/leatdb/leat/sql/types"
)

// maxFormatDigits is the most digits behind the point that FORMAT gives.
const maxFormatDigits = 30

// FuncFormat is FORMAT(x, digits) of a DECIMAL, exactly, or of a DOUBLE: rounded,
// with commas between thousands.
var FuncFormat = textFunc(func(_ *frame, args []Vector) func([]byte, int) []byte {
	digits := viewOf[int64](args[1])
	wanted := func(i int) int { return int(min(max(digits.at(i), 0), maxFormatDigits)) }
	var plain []byte
	if args[0].Array.DataType().ID() == arrow.DECIMAL128 {
		x := decimalsOf(args[0])
		return func(dst []byte, i int) []byte {
			u, negative := magnitude(x.at(i))
			n, scale := wanted(i), x.scale
			if n < scale {
				u, scale = u.divRound(scale-n), n
			}
			plain = appendDecimal(plain[:0], u.signed(negative && !u.isZero()), scale)
			return appendGrouped(dst, plain, n)
		}
	}
	x := viewOf[float64](args[0])
	return func(dst []byte, i int) []byte {
		n := wanted(i)
		v := roundFloat(x.at(i), int64(n), false)
		// The shortest digits that mean the number, then zeros, as MySQL prints.
		plain = strconv.AppendFloat(plain[:0], v, 'f', -1, 64)
		if _, fraction := pointOf(plain); fraction > n {
			plain = strconv.AppendFloat(plain[:0], v, 'f', n, 64)
		}
		return appendGrouped(dst, plain, n)
	}
})

// pointOf finds the point of a number, and how many digits follow it.
func pointOf(number []byte) (at, fraction int) {
	for k, c := range number {
		if c == '.' {
			return k, len(number) - k - 1
		}
	}
	return len(number), 0
}

// appendGrouped prints a number with commas and so many digits behind the point.
func appendGrouped(dst, number []byte, digits int) []byte {
	if number[0] == '-' {
		dst, number = append(dst, '-'), number[1:]
	}
	point, fraction := pointOf(number)
	for k, c := range number[:point] {
		if k > 0 && (point-k)%3 == 0 {
			dst = append(dst, ',')
		}
		dst = append(dst, c)
	}
	if digits == 0 {
		return dst
	}
	dst = append(dst, '.')
	if fraction > 0 {
		dst = append(dst, number[point+1:]...)
	}
	for ; fraction < digits; fraction++ {
		dst = append(dst, '0')
	}
	return dst
}

// FuncQuote is QUOTE: the text as a literal of SQL, and the word NULL of NULL.
var FuncQuote Func = func(ctx *Context, rows int, args []Vector, _ types.Type) (Vector, error) {
	f := frame{ctx: ctx, rows: rows, out: types.TypeText}
	x, valid := textsOf(args[0]), validsOf(args[0])
	out := newTextOut(&f)
	for i := range f.live {
		out.start(i)
		if !valid.at(i) {
			out.buf = append(out.buf, "NULL"...)
			continue
		}
		out.buf = append(out.buf, '\'')
		for _, c := range x.at(i) {
			switch c {
			case '\'', '\\':
				out.buf = append(out.buf, '\\', c)
			case 0:
				out.buf = append(out.buf, '\\', '0')
			case 0x1a:
				out.buf = append(out.buf, '\\', 'Z')
			default:
				out.buf = append(out.buf, c)
			}
		}
		out.buf = append(out.buf, '\'')
	}
	return f.finish(out.finish())
}

// FuncInetAton is INET_ATON: the number of an IPv4 address, of which the last
// part may stand for several (127.1).
var FuncInetAton = propagate(func(f *frame, args []Vector) error {
	x := textsOf(args[0])
	out := fixedOut[uint64](f)
	for i := range f.live {
		n, ok := addressNumber(x.at(i))
		if out[i] = n; !ok {
			out[i] = 0
			f.failOrNull(i, errIncorrectFor("string", x.at(i), "inet_aton"))
		}
	}
	return nil
})

func addressNumber(s []byte) (n uint64, ok bool) {
	part, dots, last := uint64(0), 0, byte('.')
	for _, c := range s {
		switch {
		case isDigit(c):
			if part = part*10 + uint64(c-'0'); part > 255 {
				return 0, false
			}
		case c == '.':
			dots++
			n, part = n<<8+part, 0
		default:
			return 0, false
		}
		last = c
	}
	if last == '.' || dots > 3 {
		return 0, false
	}
	if dots > 0 {
		n <<= 8 * (3 - dots)
	}
	return n<<8 + part, true
}

// FuncInetNtoa is INET_NTOA: the IPv4 address of a BIGINT UNSIGNED or BIGINT, NULL
// of a number that has none.
var FuncInetNtoa = propagate(func(f *frame, args []Vector) error {
	x := widesOf(args[0])
	out := newTextOut(f)
	for i := range f.live {
		out.start(i)
		n := x.at(i)
		if n.negative || n.magnitude > math.MaxUint32 {
			f.failOrNull(i, errIncorrectFor("integer", appendDecimal(nil, u128{lo: n.magnitude}.signed(n.negative), 0), "inet_ntoa"))
			continue
		}
		for shift := 24; shift >= 0; shift -= 8 {
			out.buf = strconv.AppendUint(out.buf, n.magnitude>>shift&0xff, 10)
			if shift > 0 {
				out.buf = append(out.buf, '.')
			}
		}
	}
	return out.finish()
})

// FuncInterval is INTERVAL(n, a, b, …) of BIGINTs or DOUBLEs: how many of the
// ascending numbers are not above n, and −1 of NULL. NULL is above nothing.
var FuncInterval Func = func(ctx *Context, rows int, args []Vector, out types.Type) (Vector, error) {
	if args[0].Array.DataType().ID() == arrow.FLOAT64 {
		return position[float64](ctx, rows, args, out)
	}
	return position[int64](ctx, rows, args, out)
}

func position[T int64 | float64](ctx *Context, rows int, args []Vector, out types.Type) (Vector, error) {
	f := frame{ctx: ctx, rows: rows, out: out}
	views, valid := make([]view[T], len(args)), make([]valids, len(args))
	for k, a := range args {
		views[k], valid[k] = viewOf[T](a), validsOf(a)
	}
	to := fixedOut[int64](&f)
	for i := range f.live {
		to[i] = -1
		if !valid[0].at(i) {
			continue
		}
		n := views[0].at(i)
		to[i] = int64(len(args) - 1)
		for k := 1; k < len(args); k++ {
			if valid[k].at(i) && views[k].at(i) > n {
				to[i] = int64(k - 1)
				break
			}
		}
	}
	return f.finish(nil)
}
