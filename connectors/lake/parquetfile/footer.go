package parquetfile

import (
	"context"
	"encoding/binary"
)

// output is a file as it goes to its sink.
type output struct {
	schema    *Schema
	createdBy string
	sink      Sink
	at        int64 // bytes written to the sink
	groups    []group
	total     []total
}

// group is a row group that is written.
type group struct {
	rows   int64
	chunks []chunkInfo
	// pages are those of all chunks, one after the other.
	pages []pageInfo
	// indexes are the chunks' column indexes, one after the other.
	indexes []byte
}

// chunkInfo describes a column chunk of a row group.
type chunkInfo struct {
	values, nulls, dictionaryAt, dataAt, compressed, uncompressed int64
	counts                                                        [encodings]int32 // pages by encoding
	hasDictionary                                                 bool
	codec                                                         int // Parquet's number
	low, high                                                     []byte
	bounded                                                       bool
	lowCut, highCut                                               bool  // as in bounds
	pages                                                         int   // in group.pages
	index                                                         int   // bytes in group.indexes; 0 for none
	bloomAt, bloom                                                int64 // place and bytes of the filter; 0 bytes for none
}

// pageInfo describes a data page for the offset index.
type pageInfo struct{ size, rows int32 }

// total is what is known of a column in the whole file.
type total struct {
	bytes, values, nulls int64
	bounds               bounds
}

// Footer describes a finished file.
type Footer struct {
	Rows, Bytes int64
	// SplitOffsets are where the row groups begin.
	SplitOffsets []int64
	Columns      []ColumnStats
}

var magic = []byte("PAR1")

func (o *output) write(ctx context.Context, p []byte) error {
	if err := o.sink.Write(ctx, p); err != nil {
		return err
	}
	o.at += int64(len(p))
	return nil
}

func (o *output) writeBlocks(ctx context.Context, b *blocks) error {
	for i := range b.list {
		if err := o.write(ctx, b.used(i)); err != nil {
			return err
		}
	}
	return nil
}

// writeGroup appends a row group, of which it keeps what the footer needs.
func (o *output) writeGroup(ctx context.Context, g *encodedGroup) error {
	if o.at == 0 {
		if err := o.write(ctx, magic); err != nil {
			return err
		}
	}
	for i := range g.chunks {
		c, pages := &g.chunks[i], &g.encoded[i]
		start := o.at
		if c.hasDictionary {
			c.dictionaryAt = start
			if err := o.writeBlocks(ctx, &pages.dictionary); err != nil {
				return err
			}
		}
		c.dataAt = o.at
		if err := o.writeBlocks(ctx, &pages.data); err != nil {
			return err
		}
		c.compressed = o.at - start
		o.total[i].bytes += c.compressed
	}
	for i := range g.chunks {
		c := &g.chunks[i]
		if filter := g.encoded[i].bloom; len(filter) > 0 {
			c.bloomAt, c.bloom = o.at, int64(len(filter))
			if err := o.write(ctx, filter); err != nil {
				return err
			}
		}
	}
	for i := range g.total {
		o.total[i].add(&g.total[i], o.schema, i)
	}
	o.groups = append(o.groups, g.group)
	return nil
}

// add takes what is known of another part of the column into account.
func (t *total) add(more *total, s *Schema, column int) {
	t.values += more.values
	t.nulls += more.nulls
	t.bounds.merge(&more.bounds, s.layouts[column], s.columns[column].Type)
}

// finish writes the page index and the footer.
func (o *output) finish(ctx context.Context) (Footer, error) {
	if o.at == 0 {
		if err := o.write(ctx, magic); err != nil {
			return Footer{}, err
		}
	}
	footer := Footer{}
	// Room for what columns and pages usually need.
	end := make([]byte, 0, 1024+len(o.schema.encoded)+len(o.groups)*len(o.schema.columns)*240)
	indexAt := o.at
	for _, g := range o.groups {
		end = append(end, g.indexes...)
	}
	offsetsAt := indexAt + int64(len(end))
	w := thriftWriter{out: end}
	var offsets []int64 // lengths of the offset indexes
	for _, g := range o.groups {
		pages := g.pages
		for i := range g.chunks {
			before := len(w.out)
			w.offsetIndex(&g.chunks[i], pages[:g.chunks[i].pages])
			pages = pages[g.chunks[i].pages:]
			offsets = append(offsets, int64(len(w.out)-before))
		}
	}
	at := len(w.out)
	for _, g := range o.groups {
		footer.Rows += g.rows
		if len(g.chunks) > 0 {
			footer.SplitOffsets = append(footer.SplitOffsets, g.chunks[0].start())
		}
	}
	o.metadata(&w, footer.Rows, indexAt, offsetsAt, offsets)
	w.out = binary.LittleEndian.AppendUint32(w.out, uint32(len(w.out)-at))
	if err := o.write(ctx, append(w.out, magic...)); err != nil {
		return Footer{}, err
	}
	footer.Bytes = o.at
	footer.Columns = make([]ColumnStats, len(o.total))
	for i, t := range o.total {
		stats := ColumnStats{ID: o.schema.columns[i].ID, Bytes: t.bytes, Values: t.values, Nulls: t.nulls}
		stats.Lower, stats.Upper = t.bounds.iceberg(o.schema.columns[i], o.schema.layouts[i])
		footer.Columns[i] = stats
	}
	return footer, nil
}

// start is where the chunk begins.
func (c *chunkInfo) start() int64 {
	if c.hasDictionary {
		return c.dictionaryAt
	}
	return c.dataAt
}

// metadata appends Parquet's FileMetaData. The column indexes begin at indexAt,
// the offset indexes, of the lengths given, at offsetsAt.
func (o *output) metadata(w *thriftWriter, rows, indexAt, offsetsAt int64, offsets []int64) {
	w.last = 0
	w.i32(1, 2) // version
	w.list(2, thriftStruct, len(o.schema.columns)+1)
	w.out = append(w.out, o.schema.encoded...)
	w.i64(3, rows)
	w.list(4, thriftStruct, len(o.groups))
	for n, g := range o.groups {
		outer := w.open(0)
		w.list(1, thriftStruct, len(g.chunks))
		var uncompressed, compressed int64
		for i := range g.chunks {
			c := &g.chunks[i]
			uncompressed += c.uncompressed
			compressed += c.compressed
			outer := w.open(0)
			w.i64(2, 0) // file_offset: the metadata is only here
			o.chunkMetadata(w, 3, c, i)
			w.i64(4, offsetsAt)
			w.i32(5, int(offsets[0]))
			offsetsAt += offsets[0]
			offsets = offsets[1:]
			if c.index > 0 {
				w.i64(6, indexAt)
				w.i32(7, c.index)
				indexAt += int64(c.index)
			}
			w.close(outer)
		}
		w.i64(2, uncompressed)
		w.i64(3, g.rows)
		if len(g.chunks) > 0 {
			w.i64(5, g.chunks[0].start())
		}
		w.i64(6, compressed)
		if n <= 1<<15-1 {
			w.i16(7, int16(n))
		}
		w.close(outer)
	}
	if o.createdBy != "" {
		w.bytes(6, []byte(o.createdBy))
	}
	w.list(7, thriftStruct, len(o.schema.columns))
	for range o.schema.columns { // each in the order of its type
		outer := w.open(0)
		w.empty(1)
		w.close(outer)
	}
	w.out = append(w.out, 0)
}

// chunkMetadata appends Parquet's ColumnMetaData as a field.
func (o *output) chunkMetadata(w *thriftWriter, id int, c *chunkInfo, column int) {
	outer := w.open(id)
	w.i32(1, o.schema.physical[column])
	var used [encodings + 1]int
	list := append(used[:0], encodingRLE) // of levels
	kinds := 0
	for encoding, pages := range c.counts {
		if pages > 0 {
			list = append(list, encoding)
			kinds++
		}
	}
	if c.hasDictionary {
		kinds++
		if c.counts[encodingPlain] == 0 {
			list = append(list, encodingPlain)
		}
	}
	w.list(2, thriftI32, len(list))
	for _, encoding := range list {
		w.out = binary.AppendVarint(w.out, int64(encoding))
	}
	w.list(3, thriftBinary, 1)
	w.element([]byte(o.schema.columns[column].Name))
	w.i32(4, c.codec)
	w.i64(5, c.values)
	w.i64(6, c.uncompressed)
	w.i64(7, c.compressed)
	w.i64(9, c.dataAt)
	if c.hasDictionary {
		w.i64(11, c.dictionaryAt)
	}
	statistics := w.open(12)
	w.i64(3, c.nulls)
	if c.bounded {
		w.bytes(5, c.high)
		w.bytes(6, c.low)
		if c.highCut {
			w.bool(7, false) // is_max_value_exact
		}
		if c.lowCut {
			w.bool(8, false)
		}
	}
	w.close(statistics)
	w.list(13, thriftStruct, kinds)
	if c.hasDictionary {
		w.pageCount(pageDictionary, encodingPlain, 1)
	}
	for encoding, pages := range c.counts {
		if pages > 0 {
			w.pageCount(pageData, encoding, pages)
		}
	}
	if c.bloom > 0 {
		w.i64(14, c.bloomAt)
		w.i32(15, int(c.bloom))
	}
	w.close(outer)
}

// pageCount appends Parquet's PageEncodingStats to a list.
func (w *thriftWriter) pageCount(page, encoding int, count int32) {
	outer := w.open(0)
	w.i32(1, page)
	w.i32(2, encoding)
	w.i32(3, int(count))
	w.close(outer)
}

// offsetIndex appends Parquet's OffsetIndex of a chunk.
func (w *thriftWriter) offsetIndex(c *chunkInfo, pages []pageInfo) {
	w.last = 0
	w.list(1, thriftStruct, len(pages))
	at, row := c.dataAt, int64(0)
	for _, p := range pages {
		outer := w.open(0)
		w.i64(1, at)
		w.i32(2, int(p.size))
		w.i64(3, row)
		w.close(outer)
		at += int64(p.size)
		row += int64(p.rows)
	}
	w.out = append(w.out, 0)
}
