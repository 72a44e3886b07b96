package kernel

import (
	"time"

	"github.com/leatdb/leat/internal/matcher"
	"github.com/leatdb/leat/internal/mysqljson"
)

// scratchLimit is how many bytes of scratch memory are kept between calls.
const scratchLimit = 4 << 20

// scratch holds what kernels reuse from batch to batch.
type scratch struct {
	// vectors is a stack of evaluated arguments.
	vectors []Vector
	// bytes collects text whose length is not known beforehand.
	bytes []byte
	// words and selections are free lists.
	words      [][]uint64
	selections [][]int32
	patterns   map[string]*matcher.Matcher
	paths      map[string]mysqljson.Path
	zone       zoneSpan
	zones      map[string]*time.Location
}

// takeWords lends n words of undefined content; giveWords ends the loan.
func (s *scratch) takeWords(n int) []uint64 {
	if last := len(s.words) - 1; last >= 0 {
		w := s.words[last]
		s.words = s.words[:last]
		if cap(w) >= n {
			return w[:n]
		}
	}
	return make([]uint64, n)
}

func (s *scratch) giveWords(w []uint64) {
	if cap(w)*8 <= scratchLimit {
		s.words = append(s.words, w)
	}
}

// takeSelection lends an empty selection; giveSelection ends the loan.
func (s *scratch) takeSelection() []int32 {
	if last := len(s.selections) - 1; last >= 0 {
		sel := s.selections[last]
		s.selections = s.selections[:last]
		return sel[:0]
	}
	// A selection may not be nil, which would mean all rows.
	return make([]int32, 0, 1024)
}

func (s *scratch) giveSelection(sel []int32) {
	if cap(sel)*4 <= scratchLimit {
		s.selections = append(s.selections, sel)
	}
}

// takeBytes lends an empty byte slice; giveBytes ends the loan.
func (s *scratch) takeBytes() []byte {
	b := s.bytes
	s.bytes = nil
	return b[:0]
}

func (s *scratch) giveBytes(b []byte) {
	if cap(b) <= scratchLimit && cap(b) > cap(s.bytes) {
		s.bytes = b
	}
}
