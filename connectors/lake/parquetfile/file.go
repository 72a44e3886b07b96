package parquetfile

import (
	"context"
	"encoding/binary"
	"fmt"
	"hash/crc32"
	"unsafe"

	"github.com/apache/arrow-go/v18/parquet"
	"github.com/apache/arrow-go/v18/parquet/compress"
	"github.com/apache/arrow-go/v18/parquet/metadata"
)

// Options say how files are encoded.
type Options struct {
	Compression Compression // default zstd
	Level       int         // 0 is the codec's default
	// RowGroupBytes closes a row group when its columns have so many bytes
	// before compression, default 64 MiB.
	RowGroupBytes int64
	// CreatedBy names the writer in the footer.
	CreatedBy string
}

// Sink takes the bytes of a file in order.
type Sink interface {
	Write(ctx context.Context, p []byte) error
}

// Encoder makes the files of one lane, one page at a time, and owns the
// scratch memory for that.
type Encoder struct {
	schema  *Schema
	options Options
	codec   codec
	pool    *Pool
	props   *parquet.WriterProperties
	data    []byte // of one column, before encoding
	page    []byte // of one page, uncompressed
	packed  []byte // … and compressed
	header  []byte
	codes   []uint16
	text    []byte // of the strings that codes stand for
	lengths []byte // of strings, as they lie in buffers
	sizes   []int32
	// How much strings share with the one before them, and what is left.
	prefixes, suffixes []int32
	numbers            *numberIndex
	direct             []uint16 // by number of up to 16 bits: code in the chunk + 1; zero between pages
	local              []uint32 // by code of a Dictionary: code in the chunk + 1; zero between pages
	// stored counts down, by column, the chunks that are stored uncompressed
	// before compression is tried again.
	stored []int
}

// NewEncoder makes an encoder; its files take memory from the pool.
func NewEncoder(s *Schema, pool *Pool, options Options) (*Encoder, error) {
	if options.Compression == "" {
		options.Compression = Zstd
	}
	if options.RowGroupBytes <= 0 {
		options.RowGroupBytes = 64 << 20
	}
	c, err := newCodec(options.Compression, options.Level)
	if err != nil {
		return nil, err
	}
	return &Encoder{
		schema: s, options: options, codec: c, pool: pool, numbers: newNumberIndex(),
		direct: make([]uint16, 1<<16), stored: make([]int, len(s.columns)),
		props: parquet.NewWriterProperties(parquet.WithCompression(c.parquet()), parquet.WithCreatedBy(options.CreatedBy)),
	}, nil
}

// File is a file that is being written. It belongs to the encoder's lane.
type File struct {
	encoder *Encoder
	sink    Sink
	at      int64 // bytes written to the sink
	chunks  []chunk
	rows    int64 // of the open row group
	raw     int64 // bytes of its values before encoding
	groups  []group
	total   []total
	err     error
}

// chunk is the encoded part of one column in the open row group.
type chunk struct {
	pages        blocks
	uncompressed int64
	values       int64
	nulls        int64
	bounds       bounds
	counts       [encodings]int32 // pages by encoding
	dict         *Dictionary      // of codes
	codes        []int32          // the chunk's entries, as codes of dict
	numbers      []int64          // the chunk's entries
	plain        bool             // no dictionary any more
	codec        codec            // of all its pages; nil before the first
}

// group is a row group that is written.
type group struct {
	rows   int64
	chunks []chunkInfo
}

type chunkInfo struct {
	values, dictionaryAt, dataAt, compressed, uncompressed int64
	counts                                                 [encodings]int32
	hasDictionary                                          bool
	codec                                                  compress.Compression
	statistics                                             metadata.EncodedStatistics
}

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
	// Metadata is what readers find at the file's end.
	Metadata *metadata.FileMetaData
}

// NewFile begins a file. Nothing is written to the sink before the first row
// group is complete.
func (e *Encoder) NewFile(sink Sink) *File {
	f := &File{encoder: e, sink: sink, chunks: make([]chunk, len(e.schema.columns)), total: make([]total, len(e.schema.columns))}
	for i := range f.chunks {
		signed := e.schema.layouts[i] == layoutFixed
		f.chunks[i].bounds.invertSign, f.total[i].bounds.invertSign = signed, signed
	}
	return f
}

// Held is the memory that encoded pages take, in bytes.
func (f *File) Held() int64 {
	held := int64(0)
	for i := range f.chunks {
		held += int64(f.chunks[i].pages.held) + int64(8*cap(f.chunks[i].numbers)) + int64(4*cap(f.chunks[i].codes))
	}
	return held
}

// Size is how many bytes the file has so far, encoded pages that are not yet
// written included.
func (f *File) Size() int64 {
	size := f.at
	for i := range f.chunks {
		size += int64(f.chunks[i].pages.n)
	}
	return size
}

// WriteRows encodes rows as a page of each column and releases them. After an
// error the file is useless.
func (f *File) WriteRows(ctx context.Context, rows *Rows) error {
	if f.err != nil {
		return f.err
	}
	if rows.n == 0 {
		return nil
	}
	f.raw += rows.Bytes()
	for i := range rows.columns {
		if err := f.encoder.encode(&f.chunks[i], &rows.columns[i], i, rows.n); err != nil {
			f.err = fmt.Errorf("encode column %s: %w", f.encoder.schema.columns[i].Name, err)
			return f.err
		}
	}
	f.rows += int64(rows.n)
	rows.Release()
	if f.raw >= f.encoder.options.RowGroupBytes {
		f.err = f.closeGroup(ctx)
	}
	return f.err
}

// encode appends a page.
func (e *Encoder) encode(c *chunk, b *buffer, column, rows int) error {
	col, l := e.schema.columns[column], e.schema.layouts[column]
	c.values += int64(rows)
	c.nulls += int64(b.nulls)
	page := e.page[:0]
	if !col.Required {
		var valid []byte
		if b.nulls > 0 {
			valid = b.valid
		}
		page = appendLevels(page, rows, valid)
	}
	encoding := encodingPlain
	if l == layoutBytes {
		page, encoding = e.encodeStrings(c, b, page)
	} else {
		data := b.data.bytes(&e.data)
		switch {
		case l == layoutBool:
			c.bounds.addBools(data)
			page = appendBools(page, data)
		case l == layoutFixed:
			c.bounds.addFixed(data, e.schema.widths[column])
			page = append(page, data...)
		case l == layout32 && len(data) > 0:
			page, encoding = encodeIntegers[int32](e, c, data, b.width, page, col.Type)
		case len(data) > 0:
			page, encoding = encodeIntegers[int64](e, c, data, b.width, page, col.Type)
		}
	}
	e.page = page
	c.counts[encoding]++
	if c.codec == nil {
		if c.codec = e.codec; e.stored[column] > 0 {
			e.stored[column]--
			c.codec = plainCodec{}
		} else if len(page) >= leastTrial && c.dictionaryBytes()*4 <= len(page) {
			return e.tryPage(c, column, rows, encoding, page)
		}
	}
	return e.appendPage(c, pageData, rows, encoding, page)
}

const (
	// Packed bits and differences hardly get smaller by compression. A chunk
	// whose first page, of at least leastTrial bytes, gains less than a part in
	// leastGain is stored as it is; then so are the next storedChunks of the
	// column.
	leastTrial   = 2 << 10
	leastGain    = 50
	storedChunks = 15
)

// tryPage appends the first page of a chunk and decides whether the chunk is
// compressed.
func (e *Encoder) tryPage(c *chunk, column, rows, encoding int, page []byte) error {
	packed, err := e.codec.compress(e.packed[:0], page)
	if err != nil {
		return err
	}
	e.packed = packed
	if len(packed) >= len(page)-len(page)/leastGain {
		c.codec, e.stored[column] = plainCodec{}, storedChunks
		packed = page
	}
	e.addPage(c, pageData, rows, encoding, len(page), packed)
	return nil
}

// dictionaryBytes is about how large the chunk's dictionary is.
func (c *chunk) dictionaryBytes() int {
	n := 8 * len(c.numbers)
	for _, code := range c.codes {
		n += 4 + len(c.dict.value(code))
	}
	return n
}

// appendPage compresses a page and adds it with its header to the chunk.
func (e *Encoder) appendPage(c *chunk, kind, values, encoding int, page []byte) error {
	packed := page
	if _, plain := c.codec.(plainCodec); !plain {
		var err error
		if packed, err = c.codec.compress(e.packed[:0], page); err != nil {
			return err
		}
		e.packed = packed
	}
	e.addPage(c, kind, values, encoding, len(page), packed)
	return nil
}

// addPage adds a page of so many bytes before compression to the chunk.
func (e *Encoder) addPage(c *chunk, kind, values, encoding, size int, packed []byte) {
	e.header = appendPageHeader(e.header[:0], kind, values, encoding, size, len(packed), crc32.ChecksumIEEE(packed))
	c.uncompressed += int64(len(e.header) + size)
	c.pages.append(e.pool, e.header)
	c.pages.append(e.pool, packed)
}

// encodeIntegers encodes numbers of Parquet's type T, each of which has width
// bytes.
func encodeIntegers[T int32 | int64](e *Encoder, c *chunk, data []byte, width int, page []byte, t Type) ([]byte, int) {
	switch width {
	case 1:
		return encodeNumbers[T](e, c, viewAs[int8](data), page, t)
	case 2:
		return encodeNumbers[T](e, c, viewAs[int16](data), page, t)
	case 4:
		return encodeNumbers[T](e, c, viewAs[int32](data), page, t)
	}
	return encodeNumbers[T](e, c, viewAs[int64](data), page, t)
}

// encodeNumbers chooses between a dictionary, differences and plain values. A
// dictionary has to prove itself with the first page. What is in it gets its
// bounds when the chunk is closed.
func encodeNumbers[T int32 | int64, S stored](e *Encoder, c *chunk, values []S, page []byte, t Type) ([]byte, int) {
	if !c.plain {
		if codes := numberCodes(e, c, values); codes != nil {
			return appendCodes(page, codes, len(c.numbers)), encodingDictionary
		}
		c.plain = true
	}
	if t == Float || t == Double {
		addFloatBits(&c.bounds, values, t)
	} else {
		least, most := extremes(values)
		c.bounds.addInts(int64(least), int64(most))
		var zero T
		if deltaBits[T](values)*10 <= 8*int(unsafe.Sizeof(zero))*8 {
			return appendDelta[T](page, values), encodingDelta
		}
	}
	return appendPlain[T](page, values), encodingPlain
}

// numberCodes looks the values up in the chunk's dictionary, which grows; nil
// when too few of them repeat.
func numberCodes[S stored](e *Encoder, c *chunk, values []S) []uint16 {
	most := maxNumbers
	first := len(c.numbers) == 0
	if first {
		if !repeats(e, values) {
			return nil
		}
		most = min(most, len(values)/2)
	}
	known := len(c.numbers)
	var zero S
	codes, ok := resize(&e.codes, len(values)), false
	if unsafe.Sizeof(zero) <= 2 {
		ok = directCodes(e.direct, c, values, codes, most)
	} else {
		ok = hashedCodes(e.numbers, c, values, codes, most)
	}
	if !ok {
		c.numbers = c.numbers[:known]
		return nil
	}
	return codes
}

// repeats reports whether a sample of the values has few enough distinct ones.
func repeats[S stored](e *Encoder, values []S) bool {
	const sample = 512
	if len(values) <= 2*sample {
		return true
	}
	x := e.numbers
	x.reset()
	step := len(values) / sample
	for i := 0; i < len(values); i += step {
		x.code(int64(values[i]))
	}
	return len(x.used) <= sample*2/3
}

// directCodes finds codes of numbers of up to 16 bits; false when the dictionary
// would become too large.
func directCodes[S stored](table []uint16, c *chunk, values []S, codes []uint16, most int) (ok bool) {
	table = table[:1<<16]
	for i, v := range c.numbers {
		if v == int64(int16(v)) {
			table[uint16(v)] = uint16(i + 1)
		}
	}
	ok = true
	for i, v := range values {
		code := table[uint16(int16(v))]
		if code == 0 {
			if len(c.numbers) >= most {
				ok = false
				break
			}
			c.numbers = append(c.numbers, int64(v))
			code = uint16(len(c.numbers))
			table[uint16(int16(v))] = code
		}
		codes[i] = code - 1
	}
	for _, v := range c.numbers {
		table[uint16(v)] = 0
	}
	return ok
}

// hashedCodes finds codes of numbers; false when the dictionary would become too
// large.
func hashedCodes[S stored](x *numberIndex, c *chunk, values []S, codes []uint16, most int) (ok bool) {
	x.reset()
	for _, v := range c.numbers {
		x.code(v)
	}
	for i, v := range values {
		code, added := x.code(int64(v))
		if added {
			if len(c.numbers) >= most {
				return false
			}
			c.numbers = append(c.numbers, int64(v))
		}
		codes[i] = uint16(code)
	}
	return true
}

// encodeStrings writes codes of the lane's dictionary as codes of the chunk's,
// or strings.
func (e *Encoder) encodeStrings(c *chunk, b *buffer, page []byte) ([]byte, int) {
	data := b.data.bytes(&e.data)
	if b.dict == nil {
		return e.appendStrings(c, page, data, e.lengthsOf(b))
	}
	if c.dict == nil && !c.plain {
		c.dict = b.dict
	}
	if c.dict == b.dict && !c.plain {
		var codes []uint16
		switch b.width {
		case 1:
			codes = stringCodes(e, c, viewAs[int8](data))
		case 2:
			codes = stringCodes(e, c, viewAs[int16](data))
		default:
			codes = stringCodes(e, c, viewAs[int32](data))
		}
		if codes != nil {
			return appendCodes(page, codes, len(c.codes)), encodingDictionary
		}
		c.plain = true
	}
	n := 0
	if b.width > 0 {
		n = len(data) / b.width
	}
	text, lengths := e.text[:0], resize(&e.sizes, n)
	for i := range lengths {
		v := b.dict.value(int32(intAt(data[i*b.width:], b.width)))
		lengths[i] = int32(len(v))
		text = append(text, v...)
	}
	e.text = text
	return e.appendStrings(c, page, text, lengths)
}

// lengthsOf is the lengths of a buffer's strings.
func (e *Encoder) lengthsOf(b *buffer) []int32 {
	data := b.lengths.bytes(&e.lengths)
	switch {
	case b.lengths.n == 0:
		return nil
	case b.lengthWidth == 1:
		lengths := resize(&e.sizes, len(data))
		shrink(lengths, viewAs[int8](data))
		return lengths
	case b.lengthWidth == 2:
		lengths := resize(&e.sizes, len(data)/2)
		shrink(lengths, viewAs[int16](data))
		return lengths
	}
	return viewAs[int32](data)
}

// appendStrings appends strings that lie one after the other: their lengths and
// then all bytes, or without what each shares with the one before if that is
// much.
func (e *Encoder) appendStrings(c *chunk, page, text []byte, lengths []int32) ([]byte, int) {
	c.bounds.addStrings(text, lengths)
	if sharesPrefixes(text, lengths) {
		return appendDeltaStrings(page, text, lengths, &e.prefixes, &e.suffixes), encodingDeltaStrings
	}
	return append(appendDelta[int32](page, lengths), text...), encodingDeltaLength
}

// stringCodes looks codes of the lane's dictionary up in the chunk's, which
// grows; nil when too few of them repeat.
func stringCodes[S stored](e *Encoder, c *chunk, values []S) []uint16 {
	if len(e.local) < c.dict.Len() {
		e.local = make([]uint32, max(c.dict.Len(), 2*len(e.local)))
	}
	local := e.local
	for i, code := range c.codes {
		local[code] = uint32(i + 1)
	}
	known := len(c.codes)
	most := known + len(values)
	if known == 0 {
		most = len(values)/2 + 1
	}
	codes, ok := resize(&e.codes, len(values)), true
	for i, code := range values {
		at := local[code]
		if at == 0 {
			if len(c.codes) >= most {
				ok = false
				break
			}
			c.codes = append(c.codes, int32(code))
			at = uint32(len(c.codes))
			local[code] = at
		}
		codes[i] = uint16(at - 1)
	}
	for _, code := range c.codes {
		local[code] = 0
	}
	if !ok {
		c.codes = c.codes[:known]
		return nil
	}
	return codes
}

var magic = []byte("PAR1")

// closeGroup writes the open row group.
func (f *File) closeGroup(ctx context.Context) error {
	if f.rows == 0 {
		return nil
	}
	if f.at == 0 {
		if err := f.write(ctx, magic); err != nil {
			return err
		}
	}
	g := group{rows: f.rows, chunks: make([]chunkInfo, len(f.chunks))}
	for i := range f.chunks {
		info, err := f.closeChunk(ctx, i)
		if err != nil {
			return err
		}
		g.chunks[i] = info
	}
	f.groups = append(f.groups, g)
	f.rows, f.raw = 0, 0
	return nil
}

func (f *File) write(ctx context.Context, p []byte) error {
	if err := f.sink.Write(ctx, p); err != nil {
		return err
	}
	f.at += int64(len(p))
	return nil
}

func (f *File) writePages(ctx context.Context, pages *blocks) error {
	for _, block := range pages.list {
		if err := f.write(ctx, block); err != nil {
			return err
		}
	}
	return nil
}

func (f *File) closeChunk(ctx context.Context, column int) (chunkInfo, error) {
	e, c := f.encoder, &f.chunks[column]
	col, l := e.schema.columns[column], e.schema.layouts[column]
	info := chunkInfo{values: c.values, counts: c.counts, hasDictionary: c.counts[encodingDictionary] > 0, codec: c.codec.parquet()}
	start := f.at
	if info.hasDictionary {
		pages := c.pages
		c.pages = blocks{}
		values, data := e.dictionaryPage(c, l, col.Type)
		err := e.appendPage(c, pageDictionary, values, encodingPlain, data)
		if err == nil {
			info.dictionaryAt = start
			err = f.writePages(ctx, &c.pages)
		}
		c.pages.release(e.pool)
		c.pages = pages
		if err != nil {
			return info, err
		}
	}
	info.dataAt = f.at
	if err := f.writePages(ctx, &c.pages); err != nil {
		return info, err
	}
	info.compressed, info.uncompressed = f.at-start, c.uncompressed
	info.statistics = c.bounds.encoded(col, l, c.nulls)
	t := &f.total[column]
	t.bytes += info.compressed
	t.values += c.values
	t.nulls += c.nulls
	t.bounds.merge(&c.bounds, l, col.Type)
	c.pages.release(e.pool)
	*c = chunk{pages: c.pages, bounds: bounds{invertSign: c.bounds.invertSign}, numbers: c.numbers[:0], codes: c.codes[:0]}
	return info, nil
}

// dictionaryPage is the chunk's dictionary in plain encoding. Its values get
// their bounds here, once each.
func (e *Encoder) dictionaryPage(c *chunk, l layout, t Type) (values int, data []byte) {
	data = e.page[:0]
	switch {
	case l == layoutBytes || len(c.numbers) == 0:
	case t == Float || t == Double:
		addFloatBits(&c.bounds, c.numbers, t)
	default:
		least, most := extremes(c.numbers)
		c.bounds.addInts(least, most)
	}
	switch l {
	case layoutBytes:
		for _, code := range c.codes {
			v := c.dict.value(code)
			c.bounds.addBytes(v)
			data = binary.LittleEndian.AppendUint32(data, uint32(len(v)))
			data = append(data, v...)
		}
		values = len(c.codes)
	case layout32:
		data = appendPlain[int32](data, c.numbers)
		values = len(c.numbers)
	default:
		data = appendPlain[int64](data, c.numbers)
		values = len(c.numbers)
	}
	e.page = data
	return values, data
}

// Finish writes what is left and the footer. The file is done then.
func (f *File) Finish(ctx context.Context) (Footer, error) {
	if f.err != nil {
		return Footer{}, f.err
	}
	if f.err = f.finish(ctx); f.err != nil {
		return Footer{}, f.err
	}
	footer, err := f.footer(ctx)
	f.err = fmt.Errorf("the file is finished")
	return footer, err
}

func (f *File) finish(ctx context.Context) error {
	if f.at == 0 && f.rows == 0 {
		return f.write(ctx, magic)
	}
	return f.closeGroup(ctx)
}

// Discard gives the memory of a file back that will not be finished.
func (f *File) Discard() {
	for i := range f.chunks {
		f.chunks[i].pages.release(f.encoder.pool)
		f.chunks[i] = chunk{}
	}
	if f.err == nil {
		f.err = fmt.Errorf("the file was discarded")
	}
}

func (f *File) footer(ctx context.Context) (Footer, error) {
	e := f.encoder
	builder := metadata.NewFileMetadataBuilder(e.schema.parquet, e.props, nil)
	footer := Footer{}
	for ordinal, g := range f.groups {
		rg := builder.AppendRowGroup()
		rg.SetNumRows(int(g.rows))
		footer.Rows += g.rows
		for i, c := range g.chunks {
			column := rg.NextColumnChunk()
			column.SetStats(c.statistics)
			stats := metadata.EncodingStats{
				DictEncodingStats: map[parquet.Encoding]int32{}, DataEncodingStats: map[parquet.Encoding]int32{},
			}
			used := []parquet.Encoding{parquet.Encodings.RLE}
			if c.hasDictionary {
				stats.DictEncodingStats[parquet.Encodings.Plain] = 1
			}
			for encoding, pages := range c.counts {
				if pages > 0 {
					stats.DataEncodingStats[parquet.Encoding(encoding)] = pages
					used = append(used, parquet.Encoding(encoding))
				}
			}
			if c.hasDictionary && c.counts[encodingPlain] == 0 {
				used = append(used, parquet.Encodings.Plain)
			}
			if err := column.Finish(metadata.ChunkMetaInfo{
				NumValues: c.values, DictPageOffset: c.dictionaryAt, IndexPageOffset: -1, DataPageOffset: c.dataAt,
				CompressedSize: c.compressed, UncompressedSize: c.uncompressed,
			}, c.hasDictionary, false, stats); err != nil {
				return Footer{}, fmt.Errorf("build Parquet metadata: %w", err)
			}
			meta := column.Contents().MetaData
			meta.Encodings = replaceEncodings(meta.Encodings, used)
			setCodec(&meta.Codec, c.codec)
			if i == 0 {
				first := c.dataAt
				if c.hasDictionary {
					first = c.dictionaryAt
				}
				footer.SplitOffsets = append(footer.SplitOffsets, first)
			}
		}
		if err := rg.Finish(0, int16(ordinal)); err != nil {
			return Footer{}, fmt.Errorf("build Parquet metadata: %w", err)
		}
	}
	meta, err := builder.Finish()
	if err != nil {
		return Footer{}, fmt.Errorf("build Parquet metadata: %w", err)
	}
	var end footerBuffer
	n, err := meta.WriteTo(&end, nil)
	if err != nil {
		return Footer{}, fmt.Errorf("write Parquet metadata: %w", err)
	}
	end = binary.LittleEndian.AppendUint32(end, uint32(n))
	if err := f.write(ctx, append(end, magic...)); err != nil {
		return Footer{}, err
	}
	footer.Bytes, footer.Metadata = f.at, meta
	for i, t := range f.total {
		stats := ColumnStats{ID: e.schema.columns[i].ID, Bytes: t.bytes, Values: t.values, Nulls: t.nulls}
		stats.Lower, stats.Upper = t.bounds.iceberg(e.schema.columns[i], e.schema.layouts[i])
		footer.Columns = append(footer.Columns, stats)
	}
	return footer, nil
}

// footerBuffer gathers the footer before it goes to the sink.
type footerBuffer []byte

func (b *footerBuffer) Write(p []byte) (int, error) {
	*b = append(*b, p...)
	return len(p), nil
}

// setCodec sets a field whose type Arrow keeps to itself.
func setCodec[C ~int64 | ~int32](field *C, codec compress.Compression) { *field = C(codec) }

// replaceEncodings sets a list whose element type Arrow keeps to itself.
func replaceEncodings[E ~int64 | ~int32](old []E, encodings []parquet.Encoding) []E {
	list := old[:0]
	for _, e := range encodings {
		list = append(list, E(e))
	}
	return list
}
