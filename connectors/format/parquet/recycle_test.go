package parquet_test

import (
	"math/rand/v2"
	"testing"

	"github.com/apache/arrow-go/v18/arrow/memory"
	"github.com/apache/arrow-go/v18/parquet/compress"

	"github.com/leatdb/leat/connectors"
	"github.com/leatdb/leat/connectors/format/parquet"
)

// counting counts the bytes that are allocated and, less those that are freed, held.
type counting struct {
	memory.Allocator
	taken, held int
}

func (c *counting) Allocate(n int) []byte {
	c.taken += n
	c.held += n
	return c.Allocator.Allocate(n)
}

func (c *counting) Reallocate(n int, b []byte) []byte {
	c.taken += max(n-len(b), 0)
	c.held += n - len(b)
	return c.Allocator.Reallocate(n, b)
}

func (c *counting) Free(b []byte) {
	c.held -= len(b)
	c.Allocator.Free(b)
}

// Row groups after the first are read to the memory of the first, pages too, and
// Close gives all of it back.
func TestDecoder_Recycles(t *testing.T) {
	batch, _ := record(rand.New(rand.NewPCG(5, 6)), 4000)
	defer batch.Release()
	wanted := fields(t)
	for _, codec := range []compress.Compression{compress.Codecs.Uncompressed, compress.Codecs.Zstd} {
		list, err := chunks(t, encode(t, batch, 1000, codec), wanted)
		if err != nil {
			t.Fatal(err)
		}
		alloc := &counting{Allocator: memory.DefaultAllocator}
		d, err := parquet.NewDecoder(connectors.DecoderConfig{Fields: wanted, Alloc: alloc})
		if err != nil {
			t.Fatal(err)
		}
		taken, all := 0, 0
		for round := range 3 {
			rows := 0 // that are not rejected
			for _, c := range list {
				d.Reset(c)
				for {
					out, err := d.Next(500)
					if err != nil {
						t.Fatal(err)
					}
					if out == nil {
						break
					}
					rows += int(out.Batch.NumRows())
				}
			}
			if rows == 0 || round > 0 && rows != all {
				t.Errorf("%s, round %d: %d rows, %d before", codec, round+1, rows, all)
			}
			if round > 0 && alloc.taken != taken {
				t.Errorf("%s, round %d: %d bytes more were allocated", codec, round+1, alloc.taken-taken)
			}
			taken, all = alloc.taken, rows
		}
		if d.Close(); alloc.held != 0 {
			t.Errorf("%s: %d bytes are held after Close", codec, alloc.held)
		}
	}
}
