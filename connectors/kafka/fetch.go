package kafka

import (
	"crypto/rand"
	"encoding/binary"
	"hash/crc32"
	"slices"
	"sync"
	"sync/atomic"
	"time"
	"unsafe"

	"github.com/twmb/franz-go/pkg/kgo"
	"github.com/twmb/franz-go/pkg/kmsg"

	"github.com/leatdb/leat/connectors"
)

// fetches keeps the record batches that the client fetches, so that their records
// are read where the answer of the broker lies.
//
// The client would read each answer into a buffer of its own and make a record of
// each message. Instead a fetchConn stands between it and the broker: it reads the
// answers to Fetch requests into buffers that are used again, and gives the client
// a stand-in for each batch, with the header of the batch and one record, which names
// the batch, at the batch's last offset. All else is the client's work: leaders and
// their epochs, sessions, isolation (a stand-in has its batch's producer), errors and
// retries. When it hands a stand-in over, take returns the batch.
//
// What is not a whole batch of format 2, and control batches, goes to the client as it
// is.
type fetches struct {
	// mark is the key of a stand-in's header. It is random, so that nobody can write
	// a record that looks like one.
	mark string

	mu   sync.Mutex
	last uint64           // id of the newest fetch
	held map[int32][]held // by partition, oldest first
	free [][]byte
	most int // bytes that free may have
	made int // buffers that there are

	limits limits

	conns  []*fetchConn // that have asked for a fetch
	asleep bool         // nobody waits for what they bring
	stall  *time.Timer  // wakes them if nobody comes
}

// held are the batches of one partition in one answer.
type held struct {
	id      uint64
	batches []recordBatch // owner is nil once it was taken
}

// heldFetches is how many fetches of a partition are kept for the client, which has
// at most one that it has not handed over, beside one that a probe asked for.
const heldFetches = 4

// answer is the memory of one answer of a broker. It is used again when all of its
// batches are read.
type answer struct {
	data []byte
	refs atomic.Int32
	home *fetches // nil for memory that is not used again
}

func (a *answer) release() {
	if a.refs.Add(-1) == 0 && a.home != nil {
		a.home.recycle(a.data)
	}
}

func newFetches(most int) *fetches {
	return &fetches{mark: rand.Text(), held: map[int32][]held{}, most: most, limits: limits{ahead: map[int32]batchAhead{}}}
}

// bufferUnit is what sizes of buffers are rounded up to, so that they fit again.
const bufferUnit = 256 << 10

// buffer returns n bytes, with room for the padding behind them.
func (f *fetches) buffer(n int) []byte {
	need := n + connectors.Padding
	f.mu.Lock()
	defer f.mu.Unlock()
	best := -1
	for i, b := range f.free {
		if cap(b) >= need && (best < 0 || cap(b) < cap(f.free[best])) {
			best = i
		}
	}
	if best < 0 {
		f.made++
		return make([]byte, n, (need+bufferUnit-1)/bufferUnit*bufferUnit)
	}
	b := f.free[best]
	f.free = slices.Delete(f.free, best, best+1)
	return b[:n]
}

func (f *fetches) recycle(b []byte) {
	f.mu.Lock()
	defer f.mu.Unlock()
	kept := cap(b)
	for _, o := range f.free {
		kept += cap(o)
	}
	if kept > f.most {
		f.made--
		return
	}
	f.free = append(f.free, b)
}

// trim gives up the memory that is not used.
func (f *fetches) trim() {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.made -= len(f.free)
	f.free = nil
}

// keepsMemory reports whether there is something to trim, or will be.
func (f *fetches) keepsMemory() bool {
	f.mu.Lock()
	defer f.mu.Unlock()
	return f.made > 0
}

// isStandIn reports whether a record stands for a batch.
func (f *fetches) isStandIn(r *kgo.Record) bool {
	return len(r.Headers) == 1 && r.Headers[0].Key == f.mark
}

// take returns the batch that a record stands for, and whether it is a stand-in. The
// batch's owner is nil if it is not held any more.
func (f *fetches) take(r *kgo.Record) (b recordBatch, standIn bool) {
	if !f.isStandIn(r) {
		return recordBatch{}, false
	}
	id, i := binary.BigEndian.Uint64(r.Value), binary.BigEndian.Uint32(r.Value[8:])
	f.mu.Lock()
	defer f.mu.Unlock()
	for _, h := range f.held[r.Partition] {
		if h.id == id {
			b = h.batches[i]
			h.batches[i].owner = nil
		}
	}
	return b, true
}

// settle gives up what is held of a partition before an offset: what was not taken
// belongs to transactions that were aborted, or the client dropped it.
func (f *fetches) settle(partition int32, offset int64) {
	f.mu.Lock()
	list := f.held[partition]
	n := 0
	for n < len(list) && list[n].batches[len(list[n].batches)-1].last < offset {
		n++
	}
	dropped := f.shorten(partition, list, n)
	f.mu.Unlock()
	drop(dropped)
}

// shorten takes the first n of a partition's list off. The caller holds mu.
func (f *fetches) shorten(partition int32, list []held, n int) []held {
	dropped := slices.Clone(list[:n])
	if list = slices.Delete(list, 0, n); len(list) == 0 {
		delete(f.held, partition)
	} else {
		f.held[partition] = list
	}
	return dropped
}

func drop(list []held) {
	for _, h := range list {
		for _, b := range h.batches {
			if b.owner != nil {
				b.owner.release()
			}
		}
	}
}

// hold keeps the batches of one partition in an answer, in, until they are taken, and
// returns what the client gets in their place, appended to dst.
func (f *fetches) hold(dst []byte, a *answer, partition int32, in []byte) []byte {
	f.mu.Lock()
	f.last++
	id := f.last
	f.mu.Unlock()
	at := int(uintptr(unsafe.Pointer(unsafe.SliceData(in))) - uintptr(unsafe.Pointer(unsafe.SliceData(a.data))))
	end := at + len(in)
	var tail []byte
	var batches []recordBatch
	for len(in) > 0 {
		b, size, ok := parseBatch(a, end-len(in), in)
		switch {
		case size == 0 && len(batches) > 0:
			tail, in = in, nil // brokers cut the last batch off anywhere
		case size == 0:
			return append(dst, in...)
		case !ok:
			dst = append(dst, in[:size]...)
			in = in[size:]
		default:
			dst = f.appendStandIn(dst, in[:batchHeader], b, id, len(batches))
			batches = append(batches, b)
			in = in[size:]
		}
	}
	if len(batches) == 0 {
		return dst
	}
	a.refs.Add(int32(len(batches)))
	f.mu.Lock()
	for i := range batches {
		f.limits.seen(batches[i].end - batches[i].start)
	}
	f.limits.cutOff(partition, tail)
	list := append(f.held[partition], held{id: id, batches: batches})
	dropped := f.shorten(partition, list, max(0, len(list)-heldFetches))
	f.mu.Unlock()
	drop(dropped)
	return dst
}

// appendStandIn appends a batch of one record for the client, which names the i-th
// batch of a partition in a fetch.
func (f *fetches) appendStandIn(dst, header []byte, b recordBatch, id uint64, i int) []byte {
	start := len(dst)
	dst = append(dst, header...)
	// A record: attributes, timestamp, offset, no key, the name as the value, a header
	// without a value.
	body := make([]byte, 0, 64)
	body = append(body, 0, 0)
	body = binary.AppendVarint(body, b.last-b.base)
	body = binary.AppendVarint(body, -1)
	body = binary.AppendVarint(body, 12)
	body = binary.BigEndian.AppendUint64(body, id)
	body = binary.BigEndian.AppendUint32(body, uint32(i))
	body = binary.AppendVarint(body, 1)
	body = binary.AppendVarint(body, int64(len(f.mark)))
	body = append(body, f.mark...)
	body = binary.AppendVarint(body, -1)
	dst = binary.AppendVarint(dst, int64(len(body)))
	dst = append(dst, body...)
	h := dst[start:]
	binary.BigEndian.PutUint32(h[8:], uint32(len(h)-12))
	binary.BigEndian.PutUint16(h[21:], binary.BigEndian.Uint16(h[21:])&^codecBits)
	binary.BigEndian.PutUint32(h[57:], 1)
	binary.BigEndian.PutUint32(h[17:], crc32.Checksum(h[21:], castagnoli))
	return dst
}

var castagnoli = crc32.MakeTable(crc32.Castagnoli)

// replace returns the answer that the client gets in place of one to a Fetch request
// of a version, with stand-ins for its batches. The body belongs to the batches.
func (f *fetches) replace(head [8]byte, version int16, body []byte) []byte {
	a := &answer{data: body, home: f}
	a.refs.Store(1)
	defer a.release()
	resp := kmsg.NewPtrFetchResponse()
	resp.SetVersion(version)
	out := append(make([]byte, 0, 1024), head[:]...)
	rest := body
	if resp.IsFlexible() {
		if len(body) == 0 || body[0] != 0 { // tags in the header: none are known
			return append(out, body...)
		}
		out, rest = append(out, 0), body[1:]
	}
	if resp.ReadFrom(rest) != nil {
		return append(out, rest...)
	}
	for i := range resp.Topics {
		for j := range resp.Topics[i].Partitions {
			p := &resp.Topics[i].Partitions[j]
			if len(p.RecordBatches) > 0 {
				p.RecordBatches = f.hold(nil, a, p.Partition, p.RecordBatches)
			}
		}
	}
	out = resp.AppendTo(out)
	binary.BigEndian.PutUint32(out, uint32(len(out)-4))
	return out
}
