package json

// SetGeneric turns the fast path off (or on again), so that tests can compare.
func (d *Decoder) SetGeneric(generic bool) { d.generic = generic }

// Assembly is how much of the assembly there is: none, with AVX2, with AVX-512.
type Assembly int

// SetSpans lets decoders that are used from now on pass spans, with no more than
// some assembly. ok is false where there is less; undo ends it.
func SetSpans(use bool, most Assembly) (undo func(), ok bool) {
	spans, avx2, avx512 := useSpans, hasAVX2, hasAVX512
	useSpans, hasAVX2, hasAVX512 = use, avx2 && most >= 1, avx512 && most >= 2
	return func() { useSpans, hasAVX2, hasAVX512 = spans, avx2, avx512 }, most < 1 || hasAVX2 && (most < 2 || hasAVX512)
}

// Spans is how many spans the decoder's root has, and how many values they pass.
func (d *Decoder) Spans() (spans, steps int) {
	for _, e := range d.walker.root.names.entries {
		if e.slot != nil && e.slot.span != nil {
			spans++
			steps += len(e.slot.span.steps)
		}
	}
	return spans, steps
}

// SpansPay is whether spans pass values, since the index costs less than they save.
func (d *Decoder) SpansPay() bool { return d.fast.records >= d.fast.index.idle }

// IndexSpecials is the positions of quotes, backslashes and line breaks among the
// n bytes at i of data, which is padded.
func IndexSpecials(data []byte, i, n int) []uint32 {
	dst := make([]uint32, n+indexSlack)
	return dst[:indexSpecials(dst, bytesAt{unsafeData(data)}, i, n)]
}

// LineRest is where the one line of data, which is padded, ends by assembly (−1 if
// that leaves it open), and by Go.
func LineRest(data []byte, i int) (assembly, end int, ok bool) {
	end, ok = lineRest(data, i)
	return lineRestAVX2(unsafeData(data), i, len(data)), end, ok
}
