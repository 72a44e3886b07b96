package parquetfile

import (
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"hash/crc32"
	"math"
	"slices"
	"unsafe"
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
	// BloomColumns name, in any case, the columns that get a Bloom filter for each
	// row group; they are not boolean, float or double.
	BloomColumns []string
	// ByteStreamSplit splits floats by bytes where that is smaller, which older
	// readers do not know.
	ByteStreamSplit bool
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
	bounds  bounds // of one page
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
	seen               []bool   // by code in the chunk
	// stored counts down, by column, the chunks that are stored uncompressed
	// before compression is tried again.
	stored []int
	// split says, by column of floats, whether they are split by bytes, and for how
	// many chunks more before that is tried again.
	split []struct {
		on     bool
		chunks int
	}
	bloom  []bool // by column; nil for none
	column int    // at hand
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
	filtered, err := s.bloomColumns(options.BloomColumns)
	if err != nil {
		return nil, err
	}
	e := &Encoder{
		bloom: filtered, schema: s, options: options, codec: c, pool: pool, numbers: newNumberIndex(),
		direct: make([]uint16, 1<<16), stored: make([]int, len(s.columns)),
	}
	e.split = make([]struct {
		on     bool
		chunks int
	}, len(s.columns))
	return e, nil
}

// File is a file that is being written. It belongs to the encoder's lane.
type File struct {
	encoder *Encoder
	out     output
	chunks  []chunk
	rows    int64 // of the open row group
	raw     int64 // bytes of its values before encoding
	held    int64 // memory of the open row group
	encoded int64 // bytes of its pages
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
	index        pageIndex
	bloom        *bloom // nil for none
	split        int8   // 1 when floats are split by bytes, -1 when not, 0 before the first
}

// NewFile begins a file. Nothing is written to the sink before the first row
// group is complete.
func (e *Encoder) NewFile(sink Sink) *File {
	f := &File{
		encoder: e, chunks: make([]chunk, len(e.schema.columns)),
		out: output{schema: e.schema, createdBy: e.options.CreatedBy, sink: sink, total: newTotals(e.schema)},
	}
	for i := range f.chunks {
		f.chunks[i].bounds.invertSign = e.schema.layouts[i] == layoutFixed
		if e.bloom != nil && e.bloom[i] {
			f.chunks[i].bloom = &bloom{}
		}
	}
	return f
}

// Held is the memory that encoded pages take, in bytes.
func (f *File) Held() int64 { return f.held }

// Size is how many bytes the file has so far, encoded pages that are not yet
// written included.
func (f *File) Size() int64 { return f.out.at + f.encoded }

// measure brings what Held and Size say up to date.
func (f *File) measure() {
	f.held, f.encoded = 0, 0
	for i := range f.chunks {
		c := &f.chunks[i]
		f.held += int64(c.pages.held+8*cap(c.numbers)+4*cap(c.codes)+cap(c.index.limits)) + c.bloom.held()
		f.encoded += int64(c.pages.n)
	}
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
	f.measure()
	return f.err
}

// encode appends a page.
func (e *Encoder) encode(c *chunk, b *buffer, column, rows int) error {
	col, l := e.schema.columns[column], e.schema.layouts[column]
	c.values += int64(rows)
	c.nulls += int64(b.nulls)
	e.bounds.reset(l == layoutFixed)
	e.column = column
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
			e.bounds.addBools(data)
			page = appendBools(page, data)
		case l == layoutFixed:
			e.bounds.addFixed(data, e.schema.widths[column])
			page = append(page, data...)
			if c.bloom != nil {
				c.bloom.addFixed(data, e.schema.widths[column])
			}
		case l == layout32 && len(data) > 0:
			page, encoding = encodeIntegers[int32](e, c, data, b.width, page, col.Type)
		case len(data) > 0:
			page, encoding = encodeIntegers[int64](e, c, data, b.width, page, col.Type)
		}
		if c.bloom != nil && l != layoutFixed && encoding != encodingDictionary && len(data) > 0 {
			c.bloom.addStored(data, b.width, e.schema.widths[column])
		}
	}
	e.page = page
	c.counts[encoding]++
	size, err := e.appendData(c, column, rows, encoding, page)
	if err != nil {
		return err
	}
	c.index.add(size, rows, b.nulls, &e.bounds, col, l)
	c.bounds.merge(&e.bounds, l, col.Type)
	return nil
}

// appendData adds a data page and says how many bytes it has with its header. The
// first page of a chunk decides whether the chunk is compressed.
func (e *Encoder) appendData(c *chunk, column, rows, encoding int, page []byte) (size int, err error) {
	if c.codec == nil {
		if c.codec = e.codec; e.stored[column] > 0 {
			e.stored[column]--
			c.codec = plainCodec{}
		} else if len(page) >= leastTrial && c.dictionaryBytes()*4 <= len(page) {
			return e.tryPage(c, column, rows, encoding, page)
		}
	}
	return e.appendPage(c, &c.pages, pageData, rows, encoding, page)
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
func (e *Encoder) tryPage(c *chunk, column, rows, encoding int, page []byte) (size int, err error) {
	packed, err := e.codec.compress(e.packed[:0], page)
	if err != nil {
		return 0, err
	}
	e.packed = packed
	if len(packed) >= len(page)-len(page)/leastGain {
		c.codec, e.stored[column] = plainCodec{}, storedChunks
		packed = page
	}
	return e.addPage(c, &c.pages, pageData, rows, encoding, len(page), packed), nil
}

// dictionaryBytes is about how large the chunk's dictionary is.
func (c *chunk) dictionaryBytes() int {
	n := 8 * len(c.numbers)
	for _, code := range c.codes {
		n += 4 + len(c.dict.value(code))
	}
	return n
}

// appendPage compresses a page and adds it with its header to pages of the chunk.
func (e *Encoder) appendPage(c *chunk, to *blocks, kind, values, encoding int, page []byte) (size int, err error) {
	packed := page
	if _, plain := c.codec.(plainCodec); !plain {
		if packed, err = c.codec.compress(e.packed[:0], page); err != nil {
			return 0, err
		}
		e.packed = packed
	}
	return e.addPage(c, to, kind, values, encoding, len(page), packed), nil
}

// addPage adds a page that had so many bytes before compression.
func (e *Encoder) addPage(c *chunk, to *blocks, kind, values, encoding, raw int, packed []byte) (size int) {
	e.header = appendPageHeader(e.header[:0], kind, values, encoding, raw, len(packed), crc32.ChecksumIEEE(packed))
	c.uncompressed += int64(len(e.header) + raw)
	to.appendTight(e.pool, e.header)
	to.appendTight(e.pool, packed)
	return len(e.header) + len(packed)
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
// dictionary has to prove itself with the first page.
func encodeNumbers[T int32 | int64, S stored](e *Encoder, c *chunk, values []S, page []byte, t Type) ([]byte, int) {
	if !c.plain {
		first := len(c.numbers) == 0
		if codes := numberCodes(e, c, values, t); codes != nil {
			if first { // the page has all values of the dictionary
				addNumbers(&e.bounds, c.numbers, t)
			} else {
				addNumbers(&e.bounds, values, t)
			}
			return appendCodes(page, codes, len(c.numbers)), encodingDictionary
		}
		c.plain = true
	}
	if t == Float || t == Double {
		addFloatBits(&e.bounds, values, t)
		if splits[T](e, c, values) {
			return appendSplit[T](page, values), encodingSplit
		}
	} else {
		least, most := extremes(values)
		e.bounds.addInts(int64(least), int64(most))
		var zero T
		if deltaBits[T](values)*10 <= 8*int(unsafe.Sizeof(zero))*8 {
			return appendDelta[T](page, values), encodingDelta
		}
	}
	return appendPlain[T](page, values), encodingPlain
}

// splits reports whether a chunk's floats are split by bytes. That is tried with
// the first page of a chunk, and then not for as many chunks as compression is.
func splits[T int32 | int64, S stored](e *Encoder, c *chunk, values []S) bool {
	if c.split == 0 {
		s := &e.split[e.column]
		if s.chunks--; s.chunks < 0 {
			s.on, s.chunks = splitPays[T](e, values), storedChunks
		}
		if c.split = -1; s.on {
			c.split = 1
		}
	}
	return c.split > 0
}

// splitPays compares, by a sample, what compression makes of floats that are split
// by bytes and of those that are not: a twentieth has to be gained.
func splitPays[T int32 | int64, S stored](e *Encoder, values []S) bool {
	if _, plain := e.codec.(plainCodec); plain || !e.options.ByteStreamSplit {
		return false
	}
	const sample = 2048
	some := values[:min(len(values), sample)]
	e.packed = appendPlain[T](e.packed[:0], some)
	whole, err := e.codec.compress(e.header[:0], e.packed)
	if err != nil {
		return false // as the page itself will say
	}
	size := len(whole)
	e.packed = appendSplit[T](e.packed[:0], some)
	split, err := e.codec.compress(whole[:0], e.packed)
	return err == nil && len(split) < size-size/20
}

// numberCodes looks the values up in the chunk's dictionary, which grows; nil
// when too few of them repeat, or when one is −0.0: Spark, and Iceberg for Spark,
// look for 0.0 in dictionaries, do not take −0.0 for it, and skip the chunk.
func numberCodes[S stored](e *Encoder, c *chunk, values []S, t Type) []uint16 {
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
	switch t {
	case Float:
		ok = ok && !slices.Contains(c.numbers[known:], math.MinInt32)
	case Double:
		ok = ok && !slices.Contains(c.numbers[known:], math.MinInt64)
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
			e.addCodes(c, codes)
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
	e.bounds.addStrings(text, lengths)
	if c.bloom != nil {
		c.bloom.addStrings(text, lengths)
	}
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

// addCodes takes the strings of codes into account.
func (e *Encoder) addCodes(c *chunk, codes []uint16) {
	first := len(c.index.pages) == 0 // the page has all strings of the dictionary
	seen := resize(&e.seen, len(c.codes))
	if !first {
		clear(seen)
		for _, code := range codes {
			seen[code] = true
		}
	}
	for i, code := range c.codes {
		if first || seen[i] {
			e.bounds.addBytes(c.dict.value(code))
		}
	}
}

// closeGroup writes the open row group.
func (f *File) closeGroup(ctx context.Context) error {
	g, err := f.encodeGroup()
	if err != nil {
		return err
	}
	defer g.release(f.encoder.pool)
	return f.out.writeGroup(ctx, &g)
}

// encodeGroup takes the open row group, which is not empty, and begins another
// one.
func (f *File) encodeGroup() (encodedGroup, error) {
	g := encodedGroup{
		group:   group{rows: f.rows, chunks: make([]chunkInfo, len(f.chunks))},
		encoded: make([]encodedChunk, len(f.chunks)), total: newTotals(f.encoder.schema),
	}
	pages := 0
	for i := range f.chunks {
		pages += len(f.chunks[i].index.pages)
	}
	g.pages = make([]pageInfo, 0, pages)
	for i := range f.chunks {
		if err := f.closeChunk(i, &g); err != nil {
			g.release(f.encoder.pool)
			return encodedGroup{}, err
		}
	}
	f.rows, f.raw = 0, 0
	f.measure()
	return g, nil
}

// closeChunk moves a column chunk to the row group.
func (f *File) closeChunk(column int, g *encodedGroup) error {
	e, c := f.encoder, &f.chunks[column]
	col, l := e.schema.columns[column], e.schema.layouts[column]
	pages := &g.encoded[column]
	info := chunkInfo{
		values: c.values, nulls: c.nulls, counts: c.counts, hasDictionary: c.counts[encodingDictionary] > 0,
		codec: int(c.codec.parquet()), pages: len(c.index.pages),
	}
	if info.hasDictionary {
		values, data := e.dictionaryPage(c, l)
		if _, err := e.appendPage(c, &pages.dictionary, pageDictionary, values, encodingPlain, data); err != nil {
			return err
		}
	}
	if c.bloom != nil {
		if info.hasDictionary {
			c.bloom.addDictionary(c, e.schema.widths[column])
		}
		pages.bloom = c.bloom.encode()
	}
	info.uncompressed = c.uncompressed
	if info.bounded = c.bounds.set && !c.bounds.unknown; info.bounded {
		info.low, info.high = c.bounds.plain(col, l, false), c.bounds.plain(col, l, true)
		info.lowCut, info.highCut = c.bounds.lowCut, c.bounds.highCut
	}
	before := len(g.indexes)
	g.indexes = c.index.appendColumnIndex(g.indexes, col, l)
	info.index = len(g.indexes) - before
	g.group.pages = append(g.group.pages, c.index.pages...)
	g.chunks[column] = info
	g.total[column] = total{values: c.values, nulls: c.nulls, bounds: c.bounds}
	pages.data = c.pages
	c.index.reset()
	*c = chunk{
		pages: blocks{most: c.pages.n}, bounds: bounds{invertSign: c.bounds.invertSign},
		numbers: c.numbers[:0], codes: c.codes[:0], index: c.index, bloom: c.bloom,
	}
	return nil
}

// dictionaryPage is the chunk's dictionary in plain encoding.
func (e *Encoder) dictionaryPage(c *chunk, l layout) (values int, data []byte) {
	data = e.page[:0]
	switch l {
	case layoutBytes:
		for _, code := range c.codes {
			v := c.dict.value(code)
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

// errFinished is what a file says that is done.
var errFinished = errors.New("the file is finished")

// Finish writes what is left and the footer. The file is done then.
func (f *File) Finish(ctx context.Context) (footer Footer, err error) {
	if f.err != nil {
		return Footer{}, f.err
	}
	f.err = errFinished
	if f.rows > 0 {
		err = f.closeGroup(ctx)
	}
	if err == nil {
		footer, err = f.out.finish(ctx)
	}
	if err != nil {
		f.err = err
		return Footer{}, err
	}
	return footer, nil
}

// Discard gives the memory of a file back that will not be finished.
func (f *File) Discard() {
	for i := range f.chunks {
		f.chunks[i].pages.release(f.encoder.pool)
		f.chunks[i] = chunk{}
	}
	f.held, f.encoded = 0, 0
	if f.err == nil {
		f.err = errors.New("the file was discarded")
	}
}
