package kafka

import (
	"encoding/binary"

	"github.com/twmb/franz-go/pkg/kmsg"
)

// limits chooses how many bytes a fetch may bring of a partition, so that little is
// fetched twice: brokers cut the last batch off where the limit is, and send it again
// with the next fetch, which is much where batches are large. But what is cut off begins
// with its size, if only with that: so the next fetch asks for this batch and a little
// more, which tells the size of the one behind it.
//
// A broker that has less left of the whole fetch's limit than such a batch sends nothing
// of the partition (KIP-74); it comes with one of the next fetches.
type limits struct {
	large int // bytes that the largest batches of late have
	ahead map[int32]batchAhead
}

// batchAhead is the batch that a partition's next fetch begins with.
type batchAhead struct {
	base int64 // its first offset
	size int   // bytes
}

// slack is how much is asked for behind a batch, in bytes: room for a small batch, and
// for the size of the next.
const slack = 16 << 10

// seen takes note of the size of a batch.
func (l *limits) seen(size int) { l.large = max(l.large-l.large/16, size) }

// cutOff takes note of the batch of a partition of which an answer has only the start.
func (l *limits) cutOff(partition int32, start []byte) {
	if len(start) < batchPrefix {
		return
	}
	if size := batchSize(start); size > batchHeader && size <= largestAnswer {
		l.ahead[partition] = batchAhead{base: int64(binary.BigEndian.Uint64(start)), size: size}
	}
}

// of is the limit for a partition's fetch from an offset, where the client would allow
// most bytes.
func (l *limits) of(partition int32, offset int64, most int32) int32 {
	a, ok := l.ahead[partition]
	if !ok || a.base < offset || l.large < int(most)/4 {
		return most
	}
	return int32(a.size + slack)
}

// limited returns a Fetch request, whose header has been checked to be one, with the
// limits of its partitions. What can't be read is returned as it is.
func (f *fetches) limited(request []byte) []byte {
	req := kmsg.NewPtrFetchRequest()
	req.SetVersion(int16(binary.BigEndian.Uint16(request[6:])))
	// Behind the correlation id are the client's id, which may be null, and from the
	// first flexible version on tags, of which none are known.
	at := 14
	if len(request) < at {
		return request
	}
	at += max(0, int(int16(binary.BigEndian.Uint16(request[12:]))))
	if req.IsFlexible() {
		if at >= len(request) || request[at] != 0 {
			return request
		}
		at++
	}
	if at > len(request) || req.ReadFrom(request[at:]) != nil {
		return request
	}
	changed := false
	f.mu.Lock()
	for i := range req.Topics {
		for j := range req.Topics[i].Partitions {
			p := &req.Topics[i].Partitions[j]
			was := p.PartitionMaxBytes
			p.PartitionMaxBytes = f.limits.of(p.Partition, p.FetchOffset, was)
			changed = changed || p.PartitionMaxBytes != was
		}
	}
	f.mu.Unlock()
	if !changed {
		return request
	}
	out := req.AppendTo(append(make([]byte, 0, len(request)), request[:at]...))
	binary.BigEndian.PutUint32(out, uint32(len(out)-4))
	return out
}
