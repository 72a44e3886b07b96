package datagen

import (
	"math"
	"math/bits"
)

// random is SplitMix64 (Steele, Lea, Flood: Fast splittable pseudorandom number
// generators, OOPSLA 2014). A row begins at a state of its own, so that it can
// be made without those before it.
type random struct{ state uint64 }

const (
	gamma  = 0x9e3779b97f4a7c15 // the step between two numbers of a row
	stride = 0xd1342543de82ef95 // the step between two rows
)

func mix(z uint64) uint64 {
	z = (z ^ z>>30) * 0xbf58476d1ce4e5b9
	z = (z ^ z>>27) * 0x94d049bb133111eb
	return z ^ z>>31
}

// base is the state of row 0 of a split.
func base(seed int64, split int) uint64 {
	return mix(mix(uint64(seed)+gamma) + uint64(split)*gamma)
}

func (r *random) next() uint64 {
	r.state += gamma
	return mix(r.state)
}

// below is a number in [0, n); n = 0 stands for 2⁶⁴.
func (r *random) below(n uint64) uint64 {
	x := r.next()
	if n == 0 {
		return x
	}
	high, _ := bits.Mul64(x, n)
	return high
}

// unit is a number in [0, 1).
func (r *random) unit() float64 { return float64(r.next()>>11) / (1 << 53) }

// threshold is the number below which next lies with probability p.
func threshold(p float64) uint64 {
	if p >= 1 {
		return math.MaxUint64
	}
	return uint64(p * (1 << 32) * (1 << 32))
}

// zipf is a rank in [0, n), rank k about as likely as (k+1)^−s, by inverting
// the integral of that density.
func (r *random) zipf(n uint64, s float64) uint64 {
	u, top := r.unit(), float64(n)+1
	if n == 0 {
		top = 1 << 32 * (1 << 32)
	}
	var x float64
	if math.Abs(s-1) < 1e-9 {
		x = math.Pow(top, u)
	} else {
		x = math.Pow(1+u*(math.Pow(top, 1-s)-1), 1/(1-s))
	}
	if x-1 >= top-1 { // rounding
		return n - 1
	}
	return uint64(max(0, x-1))
}

// alias picks from weighted choices in constant time (Walker 1977, in the form
// of Vose 1991).
type alias struct {
	keep  []uint64 // the threshold below which a slot is taken itself
	other []int32
}

func newAlias(weights []float64) alias {
	n := len(weights)
	a := alias{keep: make([]uint64, n), other: make([]int32, n)}
	var sum float64
	for _, w := range weights {
		sum += w
	}
	scaled := make([]float64, n)
	var small, large []int32
	for i, w := range weights {
		scaled[i] = w / sum * float64(n)
		if scaled[i] < 1 {
			small = append(small, int32(i))
		} else {
			large = append(large, int32(i))
		}
	}
	for len(small) > 0 && len(large) > 0 {
		s, l := small[len(small)-1], large[len(large)-1]
		small = small[:len(small)-1]
		a.keep[s], a.other[s] = threshold(scaled[s]), l
		scaled[l] -= 1 - scaled[s]
		if scaled[l] < 1 {
			large = large[:len(large)-1]
			small = append(small, l)
		}
	}
	for _, rest := range [][]int32{small, large} {
		for _, i := range rest {
			a.keep[i], a.other[i] = math.MaxUint64, i
		}
	}
	return a
}

func (a *alias) pick(r *random) int {
	slot, within := bits.Mul64(r.next(), uint64(len(a.keep)))
	if within <= a.keep[slot] {
		return int(slot)
	}
	return int(a.other[slot])
}
