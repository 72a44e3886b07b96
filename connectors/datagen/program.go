package datagen

import (
	"strconv"
	"time"

	"github.com/leatdb/leat/internal/mysqljson"
)

// program makes rows: the columns of an object.
type program struct {
	seed   int64
	splits int
	root   field
}

// kind is how a field's value is made.
type kind uint8

const (
	kindObject kind = iota
	kindArray
	kindBool
	kindInt
	kindUint
	kindDecimal // also FLOAT and DOUBLE, with a fixed number of decimals
	kindText
	kindChoice
	kindSequence
	kindTime  // a point in time, from a range or a series
	kindClock // TIME: a time of the day
)

// field makes the values of one column, member or element.
type field struct {
	lead []byte // what stands before the value: a comma, the name, a colon
	kind kind
	null uint64 // the threshold of null, 0 for never

	children []field // members; of an array its one element

	// Numbers: low plus a number below span (0: 2⁶⁴), in units of 10^−scale.
	low   int64
	span  uint64
	scale int
	skew  float64

	// Texts and arrays.
	least, most int

	// Choices, as JSON.
	choices [][]byte
	alias   alias

	// Times, in µs since 1970 (or since midnight).
	series   bool // start + row × step, else low plus a number below span
	now      bool // the current time
	step     int64
	jitter   uint64 // up to how much earlier
	layout   layout
	fraction int // digits
}

// layout is how a time is written.
type layout uint8

const (
	layoutInstant  layout = iota // 2026-01-31T12:00:00.000Z
	layoutDateTime               // 2026-01-31 12:00:00.000
	layoutDate                   // 2026-01-31
)

// rows appends rows from … from+n−1 of a split as JSON objects; each is told
// where every one lies.
func (p *program) rows(dst []byte, split int, from, n int64, now time.Time, each func(row int64, start, end int)) []byte {
	first := base(p.seed, split)
	g := generator{now: now.UnixMicro()}
	for row := from; row < from+n; row++ {
		start := len(dst)
		g.random.state = first + uint64(row)*stride
		g.row = row*int64(p.splits) + int64(split)
		dst = g.value(dst, &p.root)
		if each != nil {
			each(row, start, len(dst))
		}
	}
	return dst
}

// generator is the state of the row that is being made.
type generator struct {
	random random
	row    int64 // counted over all splits
	now    int64 // µs since 1970
}

func (g *generator) value(dst []byte, f *field) []byte {
	if f.null > 0 && g.random.next() < f.null {
		return append(dst, "null"...)
	}
	switch f.kind {
	case kindObject:
		dst = append(dst, '{')
		for i := range f.children {
			c := &f.children[i]
			dst = append(dst, c.lead...)
			dst = g.value(dst, c)
		}
		return append(dst, '}')
	case kindArray:
		dst = append(dst, '[')
		for i := range g.length(f) {
			if i > 0 {
				dst = append(dst, ',')
			}
			dst = g.value(dst, &f.children[0])
		}
		return append(dst, ']')
	case kindBool:
		if g.random.next()>>63 == 0 {
			return append(dst, "false"...)
		}
		return append(dst, "true"...)
	case kindInt:
		return strconv.AppendInt(dst, g.number(f), 10)
	case kindUint:
		return strconv.AppendUint(dst, uint64(g.number(f)), 10)
	case kindDecimal:
		return appendDecimal(dst, g.number(f), f.scale)
	case kindText:
		return g.text(dst, g.length(f))
	case kindChoice:
		return append(dst, f.choices[f.alias.pick(&g.random)]...)
	case kindSequence:
		return strconv.AppendInt(dst, f.low+g.row, 10)
	case kindTime:
		return appendTime(dst, g.time(f), f.layout, f.fraction)
	}
	return appendClock(dst, g.number(f), f.fraction)
}

func (g *generator) number(f *field) int64 {
	if f.skew > 0 {
		return f.low + int64(g.random.zipf(f.span, f.skew))
	}
	return f.low + int64(g.random.below(f.span))
}

func (g *generator) length(f *field) int {
	if f.least == f.most {
		return f.most
	}
	return f.least + int(g.random.below(uint64(f.most-f.least+1)))
}

func (g *generator) time(f *field) int64 {
	var t int64
	switch {
	case f.now:
		t = g.now
	case f.series:
		t = f.low + g.row*f.step
	default:
		t = g.number(f)
	}
	if f.jitter > 0 {
		t -= int64(g.random.below(f.jitter + 1))
	}
	return t
}

// alphabet has 32 letters, so that five bits choose one.
const alphabet = "abcdefghijklmnopqrstuvwxyz234567"

func (g *generator) text(dst []byte, n int) []byte {
	dst = append(dst, '"')
	for n > 0 {
		x := g.random.next()
		for range min(n, 12) {
			dst = append(dst, alphabet[x&31])
			x >>= 5
		}
		n -= min(n, 12)
	}
	return append(dst, '"')
}

// appendDecimal writes n × 10^−scale with all its decimals.
func appendDecimal(dst []byte, n int64, scale int) []byte {
	if scale == 0 {
		return strconv.AppendInt(dst, n, 10)
	}
	magnitude := uint64(n)
	if n < 0 {
		dst = append(dst, '-')
		magnitude = -magnitude
	}
	unit := powersOf10[scale]
	dst = strconv.AppendUint(dst, magnitude/unit, 10)
	dst = append(dst, '.')
	return appendDigits(dst, magnitude%unit, scale)
}

var powersOf10 = [...]uint64{1, 1e1, 1e2, 1e3, 1e4, 1e5, 1e6, 1e7, 1e8, 1e9, 1e10, 1e11, 1e12, 1e13, 1e14, 1e15, 1e16, 1e17, 1e18}

// appendDigits writes n with leading zeros.
func appendDigits(dst []byte, n uint64, digits int) []byte {
	for i := digits - 1; i >= 0; i-- {
		dst = append(dst, byte('0'+n/powersOf10[i]%10))
	}
	return dst
}

const (
	secondMicros = int64(time.Second / time.Microsecond)
	dayMicros    = 24 * 60 * 60 * secondMicros
)

func appendTime(dst []byte, micros int64, l layout, fraction int) []byte {
	day, rest := micros/dayMicros, micros%dayMicros
	if rest < 0 {
		day, rest = day-1, rest+dayMicros
	}
	year, month, date := mysqljson.CivilFromDays(day)
	dst = append(dst, '"')
	dst = append(appendDigits(dst, uint64(year), 4), '-')
	dst = append(appendDigits(dst, uint64(month), 2), '-')
	dst = appendDigits(dst, uint64(date), 2)
	switch l {
	case layoutInstant:
		dst = append(appendOfDay(append(dst, 'T'), rest, fraction), 'Z')
	case layoutDateTime:
		dst = appendOfDay(append(dst, ' '), rest, fraction)
	}
	return append(dst, '"')
}

func appendClock(dst []byte, micros int64, fraction int) []byte {
	return append(appendOfDay(append(dst, '"'), micros, fraction), '"')
}

func appendOfDay(dst []byte, micros int64, fraction int) []byte {
	seconds := uint64(micros / secondMicros)
	dst = append(appendDigits(dst, seconds/3600, 2), ':')
	dst = append(appendDigits(dst, seconds/60%60, 2), ':')
	dst = appendDigits(dst, seconds%60, 2)
	if fraction > 0 {
		dst = append(dst, '.')
		dst = appendDigits(dst, uint64(micros%secondMicros)/powersOf10[6-fraction], fraction)
	}
	return dst
}
