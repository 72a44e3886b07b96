package kafka

import (
	"encoding/binary"
	"errors"
	"hash/crc32"

	"github.com/twmb/franz-go/pkg/kgo"

	"github.com/leatdb/leat/connectors"
)

// recordBatch is a record batch of format 2 (Kafka documentation, "Message Format"),
// whose records lie in the memory of its owner.
type recordBatch struct {
	owner      *answer
	start, end int   // of its records in the owner's data
	count      int   // of its records
	base, last int64 // offsets
	baseTime   int64 // ms since 1970, what times of records are added to
	maxTime    int64 // ms since 1970
	logTime    bool  // all records have maxTime, when the broker appended them
	epoch      int32 // of the leader that appended it

	codec uint16 // of the records, 0 if they are not compressed
	whole bool   // its header lies before the records, with their checksum

	from, to int64 // the offsets that are handed out, to exclusive
}

// size is about how many bytes its records have.
func (b *recordBatch) size() int {
	if b.codec != 0 {
		return expansion * (b.end - b.start)
	}
	return b.end - b.start
}

// expansion is a guess at how much a batch grows when it is decompressed.
const expansion = 4

const (
	batchHeader = 61 // bytes
	codecBits   = 0x07
	logTimeBit  = 0x08
	controlBit  = 0x20
)

// batchPrefix is how many bytes of a batch say what its first offset and its size are.
const batchPrefix = 12

// batchSize is the size of the batch that data, of batchPrefix bytes or more, begins
// with; less than batchPrefix if it makes no sense.
func batchSize(data []byte) int {
	return batchPrefix + int(int32(binary.BigEndian.Uint32(data[8:])))
}

// parseBatch looks at the batch that data begins with, which lies at an offset of a's
// memory. It returns its size, 0 if it is cut off, and whether it is one that can be
// read where it lies: of format 2, with records for users.
func parseBatch(a *answer, at int, data []byte) (b recordBatch, size int, ok bool) {
	if len(data) < 17 {
		return recordBatch{}, 0, false
	}
	if size = batchSize(data); size < batchPrefix || size > len(data) {
		return recordBatch{}, 0, false
	}
	if size < batchHeader || data[16] != 2 {
		return recordBatch{}, size, false
	}
	data = data[:size]
	attributes := binary.BigEndian.Uint16(data[21:])
	b = recordBatch{
		owner: a, whole: true, codec: attributes & codecBits, start: at + batchHeader,
		base: int64(binary.BigEndian.Uint64(data)), epoch: int32(binary.BigEndian.Uint32(data[12:])),
		baseTime: int64(binary.BigEndian.Uint64(data[27:])), maxTime: int64(binary.BigEndian.Uint64(data[35:])),
		logTime: attributes&logTimeBit != 0,
		count:   int(int32(binary.BigEndian.Uint32(data[57:]))),
	}
	b.end = b.start + size - batchHeader
	b.last = b.base + int64(int32(binary.BigEndian.Uint32(data[23:])))
	if attributes&controlBit != 0 || b.count <= 0 || b.base < 0 || b.last < b.base {
		return recordBatch{}, size, false
	}
	return b, size, true
}

// batchOf makes a batch of records that the client has read, which are of one
// partition: messages of formats 0 and 1, and control records, of which it has none.
func batchOf(records []*kgo.Record) recordBatch {
	first, last := records[0], records[len(records)-1]
	b := recordBatch{base: first.Offset, last: last.Offset, baseTime: first.Timestamp.UnixMilli(), epoch: last.LeaderEpoch}
	var data, m []byte
	for _, r := range records {
		if r.Attrs.IsControl() {
			continue
		}
		at := r.Timestamp.UnixMilli()
		b.maxTime = max(b.maxTime, at)
		b.count++
		m = append(m[:0], 0) // attributes
		m = binary.AppendVarint(m, at-b.baseTime)
		m = binary.AppendVarint(m, r.Offset-b.base)
		m = appendBytes(m, r.Key)
		m = appendBytes(m, r.Value)
		m = binary.AppendVarint(m, int64(len(r.Headers)))
		for _, h := range r.Headers {
			m = binary.AppendVarint(m, int64(len(h.Key)))
			m = append(m, h.Key...)
			m = appendBytes(m, h.Value)
		}
		data = binary.AppendVarint(data, int64(len(m)))
		data = append(data, m...)
	}
	b.end = len(data)
	b.owner = &answer{data: connectors.Grow(data, 0)}
	b.owner.refs.Store(1)
	return b
}

// appendBytes appends bytes as records have them, nil being no bytes at all.
func appendBytes(dst, b []byte) []byte {
	if b == nil {
		return binary.AppendVarint(dst, -1)
	}
	return append(binary.AppendVarint(dst, int64(len(b))), b...)
}

// varint reads a number of a record at i, and returns where it ends; 0 if it does not.
func varint(in []byte, i int) (v int64, next int) {
	if uint(i) < uint(len(in)) && in[i] < 0x80 {
		u := in[i]
		return int64(u>>1) ^ -int64(u&1), i + 1
	}
	if uint(i)+1 < uint(len(in)) && in[i+1] < 0x80 {
		u := uint64(in[i]&0x7f) | uint64(in[i+1])<<7
		return int64(u>>1) ^ -int64(u&1), i + 2
	}
	v, n := binary.Varint(in[min(i, len(in)):])
	if n <= 0 {
		return 0, 0
	}
	return v, i + n
}

var (
	errMalformed = errors.New("the records are malformed")
	errDamaged   = errors.New("the records do not match their checksum")
)

// check compares a batch with its checksum.
func (b *recordBatch) check() error {
	if !b.whole {
		return nil
	}
	h := b.owner.data[b.start-batchHeader : b.end]
	if crc32.Checksum(h[21:], castagnoli) != binary.BigEndian.Uint32(h[17:]) {
		return errDamaged
	}
	return nil
}

// read appends the records of b, which lie in data from start to stop, to c.Records,
// with their payloads' places less origin, and to all if it is not nil. It returns how
// many bytes of payloads they have.
func (b *recordBatch) read(data []byte, start, stop, origin int, c *connectors.Chunk, all *[]message) (bytes int, err error) {
	in, base := data[:stop], start
	arrived := max(0, b.maxTime) * 1000
	for range b.count {
		length, at := varint(in, base)
		if at == 0 || length < 1 || length > int64(stop-at) {
			return bytes, errMalformed
		}
		end := at + int(length)
		ms, deltaAt := varint(in[:end], at+1) // behind its attributes
		delta, keyAt := varint(in[:end], deltaAt)
		keyLength, key := varint(in[:end], keyAt)
		if deltaAt == 0 || keyAt == 0 || key == 0 || keyLength > int64(end-key) {
			return bytes, errMalformed
		}
		valueLength, value := varint(in[:end], key+max(0, int(keyLength)))
		if value == 0 || valueLength > int64(end-value) {
			return bytes, errMalformed
		}
		at = value + max(0, int(valueLength))
		base = end
		offset := b.base + delta
		if offset < b.base || offset > b.last {
			return bytes, errMalformed
		}
		if offset < b.from || offset >= b.to {
			continue
		}
		if !b.logTime {
			arrived = max(0, b.baseTime+ms) * 1000
		}
		c.Records = append(c.Records, connectors.Record{Start: int32(value - origin), End: int32(at - origin), Offset: offset, Arrived: arrived, Null: valueLength < 0})
		bytes += at - value
		if all == nil {
			continue
		}
		m := message{offset: offset, micros: (b.baseTime + ms) * 1000, headers: in[at:end]}
		if b.logTime {
			m.micros = b.maxTime * 1000
		}
		if keyLength >= 0 {
			m.key = in[key : key+int(keyLength)]
		}
		*all = append(*all, m)
	}
	return bytes, nil
}

// parseHeaders appends the headers of a record to dst.
func parseHeaders(dst []header, in []byte) ([]header, error) {
	count, at := varint(in, 0)
	if at == 0 {
		return dst, errMalformed
	}
	next := func() (b []byte, ok bool) {
		n, start := varint(in, at)
		if start == 0 || n > int64(len(in)-start) {
			return nil, false
		}
		at = start + max(0, int(n))
		if n >= 0 {
			b = in[start:at]
		}
		return b, true
	}
	for range count {
		key, ok := next()
		if !ok {
			return dst, errMalformed
		}
		value, ok := next()
		if !ok {
			return dst, errMalformed
		}
		dst = append(dst, header{key: key, value: value})
	}
	return dst, nil
}
