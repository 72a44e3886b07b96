package kernel

import (
	"strconv"
	"unicode/utf8"

	"github.com/leatdb/leat/internal/mysqlfloat"
	"github.com/leatdb/leat/sql/types"
)

// castToText prints values of a type; to is a String or Binary, perhaps of a
// bounded length.
func castToText(from, to types.Type) Func {
	printing := printer(from)
	return propagate(func(f *frame, args []Vector) error {
		put := printing(f.ctx, args[0])
		out := newTextOut(f)
		for i := range f.live {
			out.start(i)
			begin := len(out.buf)
			var err error
			if out.buf, err = put(out.buf, i); err != nil {
				f.failOrNull(i, err)
				continue
			}
			s := out.buf[begin:]
			if from.Kind == types.Binary && to.Kind == types.String && !utf8.Valid(s) {
				f.failOrNull(i, errInvalidText(s))
				continue
			}
			if to.Length == 0 {
				continue
			}
			limit := len(s)
			if to.Kind == types.String {
				limit = bytesOfChars(s, to.Length)
			} else {
				limit = min(limit, to.Length)
			}
			if limit < len(s) {
				kind := "CHAR(" + strconv.Itoa(to.Length) + ")"
				if to.Kind == types.Binary {
					kind = "BINARY(" + strconv.Itoa(to.Length) + ")"
				}
				f.warn(i, errTruncated(kind, s))
				out.buf = out.buf[:begin+limit]
			}
			for to.Name == "BINARY" && len(out.buf)-begin < to.Length {
				out.buf = append(out.buf, 0)
			}
		}
		return out.finish()
	})
}

// printer gives a function that appends row i as text.
func printer(from types.Type) func(ctx *Context, v Vector) func(dst []byte, i int) ([]byte, error) {
	plain := func(view func(ctx *Context, v Vector) func(dst []byte, i int) []byte) func(*Context, Vector) func([]byte, int) ([]byte, error) {
		return func(ctx *Context, v Vector) func([]byte, int) ([]byte, error) {
			put := view(ctx, v)
			return func(dst []byte, i int) ([]byte, error) { return put(dst, i), nil }
		}
	}
	switch from.Kind {
	case types.Bool:
		return plain(func(_ *Context, v Vector) func([]byte, int) []byte {
			x := boolsOf(v)
			return func(dst []byte, i int) []byte {
				if x.at(i) {
					return append(dst, '1')
				}
				return append(dst, '0')
			}
		})
	case types.Int8:
		return plain(printInts[int8])
	case types.Int16:
		return plain(printInts[int16])
	case types.Int32:
		return plain(printInts[int32])
	case types.Int64:
		return plain(printInts[int64])
	case types.Uint8:
		return plain(printInts[uint8])
	case types.Uint16:
		return plain(printInts[uint16])
	case types.Uint32:
		return plain(printInts[uint32])
	case types.Uint64:
		return plain(func(_ *Context, v Vector) func([]byte, int) []byte {
			x := viewOf[uint64](v)
			return func(dst []byte, i int) []byte { return strconv.AppendUint(dst, x.at(i), 10) }
		})
	case types.Float32:
		return plain(func(_ *Context, v Vector) func([]byte, int) []byte {
			x := viewOf[float32](v)
			return func(dst []byte, i int) []byte { return mysqlfloat.AppendFloat(dst, x.at(i)) }
		})
	case types.Float64:
		return plain(func(_ *Context, v Vector) func([]byte, int) []byte {
			x := viewOf[float64](v)
			return func(dst []byte, i int) []byte { return mysqlfloat.AppendDouble(dst, x.at(i)) }
		})
	case types.Decimal:
		return plain(func(_ *Context, v Vector) func([]byte, int) []byte {
			x := decimalsOf(v)
			return func(dst []byte, i int) []byte { return appendDecimal(dst, x.at(i), x.scale) }
		})
	case types.Date:
		return plain(func(_ *Context, v Vector) func([]byte, int) []byte {
			x := viewOf[int32](v)
			return func(dst []byte, i int) []byte { return appendDate(dst, x.at(i)) }
		})
	case types.Time:
		return plain(func(_ *Context, v Vector) func([]byte, int) []byte {
			x := viewOf[int64](v)
			return func(dst []byte, i int) []byte { return AppendTime(dst, x.at(i), from.Fsp) }
		})
	case types.DateTime, types.Timestamp:
		return plain(func(ctx *Context, v Vector) func([]byte, int) []byte {
			x := wallsOf(ctx, v, from)
			return func(dst []byte, i int) []byte { return appendDateTime(dst, x.at(i), from.Fsp) }
		})
	case types.JSON:
		return func(_ *Context, v Vector) func([]byte, int) ([]byte, error) {
			x := textsOf(v)
			if from.Printed {
				return func(dst []byte, i int) ([]byte, error) { return append(dst, x.at(i)...), nil }
			}
			return func(dst []byte, i int) ([]byte, error) { return appendJSON(dst, x.at(i)) }
		}
	}
	return plain(func(_ *Context, v Vector) func([]byte, int) []byte {
		x := textsOf(v)
		return func(dst []byte, i int) []byte { return append(dst, x.at(i)...) }
	})
}

func printInts[T int8 | int16 | int32 | int64 | uint8 | uint16 | uint32](_ *Context, v Vector) func([]byte, int) []byte {
	x := viewOf[T](v)
	return func(dst []byte, i int) []byte { return strconv.AppendInt(dst, int64(x.at(i)), 10) }
}

// bytesOfChars is how many bytes the first n characters of s have, len(s) if
// there are fewer.
func bytesOfChars[T ~string | ~[]byte](s T, n int) int {
	if n >= len(s) {
		return len(s)
	}
	i := 0
	for ; i < len(s); i++ {
		// Bytes that continue a character do not count.
		if s[i]&0xC0 != 0x80 {
			if n == 0 {
				return i
			}
			n--
		}
	}
	return i
}

// countChars is the number of characters of s.
func countChars[T ~string | ~[]byte](s T) int {
	n := 0
	for i := range len(s) {
		if s[i]&0xC0 != 0x80 {
			n++
		}
	}
	return n
}
