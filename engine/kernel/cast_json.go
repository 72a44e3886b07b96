package kernel

import (
	"errors"
	"fmt"
	"math"
	"strconv"

	"github.com/leatdb/leat/internal/mysqljson"
	"github.com/leatdb/leat/sql/types"
)

// errInvalidJSON is MySQL's error for text that is no JSON, whose own words for
// what is wrong differ from ours.
func errInvalidJSON(err error) error {
	var syntax *mysqljson.SyntaxError
	if errors.As(err, &syntax) {
		return failuref("Invalid JSON text: %q at position %d.", syntax.Reason, syntax.Offset)
	}
	return failuref("Invalid JSON text: %v", err)
}

func errInvalidText[T ~string | ~[]byte](v T) error {
	return failuref("Invalid utf8mb4 character string: %s", quote(fmt.Sprintf("%X", v[:min(len(v), shown)])))
}

func errInvalidJSONCast(word string, value []byte) error {
	return failuref("Invalid JSON value for CAST to %s: %s", word, quote(value))
}

// appendJSON prints JSON in normal form.
func appendJSON(dst, value []byte) ([]byte, error) {
	out, err := mysqljson.AppendNormal(dst, value)
	if err != nil {
		return dst, errInvalidJSON(err)
	}
	return out, nil
}

// jsonText is what a JSON value is as text: a string's content, others as they
// stand.
func jsonText(value []byte) []byte {
	if mysqljson.KindOf(value) != mysqljson.String {
		return value
	}
	text, err := mysqljson.AppendUnquoted(nil, value)
	if err != nil {
		return value
	}
	return text
}

// jsonToNumber converts numbers, strings that hold one, and booleans.
func jsonToNumber(_, to types.Type) Func {
	word := map[bool]string{true: "INTEGER", false: "DOUBLE"}[to.Kind.IsInteger()]
	if to.Kind == types.Decimal {
		word = "DECIMAL"
	}
	return propagate(func(f *frame, args []Vector) error {
		x := textsOf(args[0])
		var ints []uint64
		var floats []float64
		var decimals []decimalValue
		switch to.Kind {
		case types.Float64:
			floats = fixedOut[float64](f)
		case types.Decimal:
			decimals = fixedOut[decimalValue](f)
		default:
			ints = fixedOut[uint64](f)
		}
		for i := range f.live {
			n, ok := jsonNumber(x.at(i))
			switch to.Kind {
			case types.Float64:
				if floats[i] = n.float64(); math.IsInf(floats[i], 0) {
					floats[i], ok = math.Copysign(math.MaxFloat64, floats[i]), false
				}
			case types.Decimal:
				d, _, fits := n.decimal(f.out.Precision, f.out.Scale)
				decimals[i], ok = d, ok && fits
			default:
				if mysqljson.KindOf(x.at(i)) == mysqljson.String && len(n.text) > 0 {
					// Of a string counts what an integer reads of it.
					m, negative, end, over := scanInteger(n.text)
					ok = putInteger(ints, i, m, negative, f.out.Kind.IsUnsigned()) && ok && !over && end == len(n.text)
				} else {
					ok = jsonInteger(ints, i, n, f.out.Kind.IsUnsigned()) && ok
				}
			}
			if !ok {
				f.warn(i, errInvalidJSONCast(word, x.at(i)))
			}
		}
		return nil
	})
}

// jsonNumber is the number in a JSON value; ok is false if there is none, or
// more than one.
func jsonNumber(value []byte) (n number, ok bool) {
	var text []byte
	switch mysqljson.KindOf(value) {
	case mysqljson.Number:
		text = value
	case mysqljson.String:
		text = jsonText(value)
	case mysqljson.Bool:
		text = []byte("0")
		if trimSpaces(value)[0] == 't' {
			text = []byte("1")
		}
	default:
		return n, false
	}
	n, end := scanNumber(text)
	return n, end > 0 && onlySpaces(text[end:])
}

// jsonInteger stores a JSON number as an integer: a double half to even, as a
// double is cast.
func jsonInteger(out []uint64, i int, n number, unsigned bool) bool {
	if len(n.text) > 0 && len(n.fraction) == 0 && n.exponent == 0 {
		m, negative, _, over := scanInteger(n.text)
		return putInteger(out, i, m, negative, unsigned) && !over
	}
	r := math.RoundToEven(n.float64())
	if m := math.Abs(r); m < 1<<64 {
		return putInteger(out, i, uint64(m), r < 0, unsigned)
	}
	putInteger(out, i, math.MaxUint64, r < 0, unsigned)
	return false
}

// castToJSON makes JSON: of text by parsing it, of the rest as the value it is.
func castToJSON(from types.Type) Func {
	switch from.Kind {
	case types.String, types.Binary:
		return propagate(func(f *frame, args []Vector) error {
			x := textsOf(args[0])
			out := newTextOut(f)
			for i := range f.live {
				out.start(i)
				if err := mysqljson.Valid(x.at(i)); err != nil {
					if f.ctx.Mode.JSONFails {
						f.fail(i, errInvalidJSON(err))
					} else {
						f.failOrNull(i, errInvalidJSON(err))
					}
					continue
				}
				out.buf = append(out.buf, x.at(i)...)
			}
			return out.finish()
		})
	}
	put := jsonPrinter(from)
	return propagate(func(f *frame, args []Vector) error {
		next := put(f.ctx, args[0])
		out := newTextOut(f)
		for i := range f.live {
			out.start(i)
			out.buf = next(out.buf, i)
		}
		return out.finish()
	})
}

// jsonPrinter gives a function that appends row i as a JSON value.
func jsonPrinter(from types.Type) func(ctx *Context, v Vector) func(dst []byte, i int) []byte {
	switch from.Kind {
	case types.Bool:
		return func(_ *Context, v Vector) func([]byte, int) []byte {
			x := boolsOf(v)
			return func(dst []byte, i int) []byte { return strconv.AppendBool(dst, x.at(i)) }
		}
	case types.String, types.Binary:
		return func(_ *Context, v Vector) func([]byte, int) []byte {
			x := textsOf(v)
			return func(dst []byte, i int) []byte { return mysqljson.AppendQuoted(dst, x.at(i)) }
		}
	case types.Float32, types.Float64:
		return func(ctx *Context, v Vector) func([]byte, int) []byte {
			text := printer(from)(ctx, v)
			return func(dst []byte, i int) []byte {
				begin := len(dst)
				dst, _ = text(dst, i)
				for _, c := range dst[begin:] {
					switch c {
					case '.', 'e':
						return dst
					case 'n': // JSON has no nan and no inf
						return append(dst[:begin], "null"...)
					}
				}
				return append(dst, ".0"...) // it stays to be told from an integer
			}
		}
	case types.Date, types.Time, types.DateTime, types.Timestamp:
		return func(ctx *Context, v Vector) func([]byte, int) []byte {
			full := from
			full.Fsp = 6 // MySQL prints them with six digits
			text := printer(full)(ctx, v)
			return func(dst []byte, i int) []byte {
				dst, _ = text(append(dst, '"'), i)
				return append(dst, '"')
			}
		}
	}
	return func(ctx *Context, v Vector) func([]byte, int) []byte {
		text := printer(from)(ctx, v)
		return func(dst []byte, i int) []byte {
			out, err := text(dst, i)
			if err != nil { // JSON that is not valid is not there
				return append(dst, "null"...)
			}
			return out
		}
	}
}
