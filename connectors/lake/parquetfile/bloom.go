package parquetfile

import (
	"encoding/binary"
	"fmt"
	"math"
	"math/bits"
	"slices"
	"strings"

	"github.com/cespare/xxhash/v2"
)

// bloom is the split block Bloom filter of a column chunk
// (https://parquet.apache.org/docs/file-format/bloomfilter/): blocks of 256 bits,
// of which a value sets eight. How many values there will be is not known before,
// so that their hashes are gathered while they are few, and then set in the
// largest filter, which is folded to the size that it needed.
type bloom struct {
	hashes []uint64 // while filter is nil; may repeat
	filter []uint32
}

const (
	bloomBlock = 8             // words
	mostBloom  = (1 << 20) / 4 // words of the largest filter
	fewHashes  = 1 << 15       // that are gathered
	bloomMiss  = 0.01          // share of absent values that seem to be there

	bloomOption = "bloom_filter_columns" // in messages
)

var bloomSalts = [bloomBlock]uint32{
	0x47b6137b, 0x44974d91, 0x8824ad5b, 0xa2b7289d, 0x705495c7, 0x2df1424b, 0x9efc4947, 0x5c6bfb31,
}

func (b *bloom) add(hash uint64) {
	if b.filter == nil {
		if len(b.hashes) < fewHashes {
			b.hashes = append(b.hashes, hash)
			return
		}
		b.compact()
		if len(b.hashes) < fewHashes/2 {
			b.hashes = append(b.hashes, hash)
			return
		}
		b.filter = make([]uint32, mostBloom)
		for _, h := range b.hashes {
			setBloom(b.filter, h)
		}
		b.hashes = nil
	}
	setBloom(b.filter, hash)
}

// compact leaves one of equal hashes.
func (b *bloom) compact() {
	slices.Sort(b.hashes)
	b.hashes = slices.Compact(b.hashes)
}

func setBloom(filter []uint32, hash uint64) {
	block := hash >> 32 * uint64(len(filter)/bloomBlock) >> 32
	words := (*[bloomBlock]uint32)(filter[block*bloomBlock:])
	for i, salt := range bloomSalts {
		words[i] |= 1 << (uint32(hash) * salt >> 27)
	}
}

// held is the memory that it takes, in bytes.
func (b *bloom) held() int64 {
	if b == nil {
		return 0
	}
	return int64(8*cap(b.hashes) + 4*cap(b.filter))
}

// encode is the filter with its header, nil if nothing was added; the next chunk
// begins.
func (b *bloom) encode() []byte {
	filter := b.filter
	if filter == nil {
		if len(b.hashes) == 0 {
			return nil
		}
		b.compact()
		filter = make([]uint32, bloomWords(len(b.hashes)))
		for _, h := range b.hashes {
			setBloom(filter, h)
		}
	} else {
		filter = foldBloom(filter)
	}
	b.hashes, b.filter = b.hashes[:0], nil
	w := thriftWriter{out: make([]byte, 0, 32+4*len(filter))}
	w.i32(1, 4*len(filter))
	for id := 2; id <= 4; id++ { // split blocks, xxHash, not compressed
		union := w.open(id)
		w.empty(1)
		w.close(union)
	}
	w.out = append(w.out, 0)
	for _, word := range filter {
		w.out = binary.LittleEndian.AppendUint32(w.out, word)
	}
	return w.out
}

// bloomWords is how many words a filter of so many distinct values has, a power
// of two, as some readers demand.
func bloomWords(values int) int {
	words := -8 * float64(values) / math.Log(1-math.Pow(bloomMiss, 1.0/8)) / 32
	return min(max(1<<bits.Len(uint(math.Ceil(words))-1), bloomBlock), mostBloom)
}

// foldBloom halves a filter while it stays sparse enough. The block of a hash is
// given by its highest bits, so that neighbours fall together.
func foldBloom(filter []uint32) []uint32 {
	full := math.Pow(bloomMiss, 1.0/8)
	for len(filter) > bloomBlock {
		set := 0
		for i := 0; i < len(filter); i += 2 * bloomBlock {
			for k := range bloomBlock {
				set += bits.OnesCount32(filter[i+k] | filter[i+bloomBlock+k])
			}
		}
		if float64(set) > full*float64(16*len(filter)) {
			break
		}
		for i := 0; i < len(filter); i += 2 * bloomBlock {
			for k := range bloomBlock {
				filter[i/2+k] = filter[i+k] | filter[i+bloomBlock+k]
			}
		}
		filter = filter[:len(filter)/2]
	}
	return filter
}

// addNumber adds a number as Parquet's plain encoding has it.
func (b *bloom) addNumber(v int64, width int) {
	var plain [8]byte
	binary.LittleEndian.PutUint64(plain[:], uint64(v))
	b.add(xxhash.Sum64(plain[:width]))
}

// addFixed adds values of width bytes that lie one after the other.
func (b *bloom) addFixed(data []byte, width int) {
	for ; len(data) >= width; data = data[width:] {
		b.add(xxhash.Sum64(data[:width]))
	}
}

func (b *bloom) addStrings(text []byte, lengths []int32) {
	for _, n := range lengths {
		b.add(xxhash.Sum64(text[:n]))
		text = text[n:]
	}
}

// addStored adds numbers as they lie in buffers, stored bytes each, that are of
// width bytes in Parquet.
func (b *bloom) addStored(data []byte, stored, width int) {
	for ; len(data) >= stored; data = data[stored:] {
		b.addNumber(intAt(data, stored), width)
	}
}

// addDictionary adds the values of a chunk's dictionary.
func (b *bloom) addDictionary(c *chunk, width int) {
	for _, v := range c.numbers {
		b.addNumber(v, width)
	}
	for _, code := range c.codes {
		b.add(xxhash.Sum64(c.dict.value(code)))
	}
}

// bloomColumns are the columns, by index, that the names say.
func (s *Schema) bloomColumns(names []string) ([]bool, error) {
	if len(names) == 0 {
		return nil, nil
	}
	wanted := make([]bool, len(s.columns))
	for _, name := range names {
		i := slices.IndexFunc(s.columns, func(c Column) bool { return strings.EqualFold(c.Name, name) })
		if i < 0 {
			var known []string
			for _, c := range s.columns {
				known = append(known, c.Name)
			}
			return nil, fmt.Errorf("option %s: the files have no column %s, only %s", bloomOption, name, strings.Join(known, ", "))
		}
		switch t := s.columns[i].Type; t {
		case Boolean, Float, Double:
			return nil, fmt.Errorf("option %s: column %s is %s, of which equal values may differ in their bytes, or which has too few", bloomOption, name, t)
		}
		wanted[i] = true
	}
	return wanted, nil
}
