package kinesistest

import (
	"crypto/md5"
	"encoding/base64"
	"encoding/json"
	"fmt"
	"math/big"
	"slices"
	"strconv"
	"time"
)

// stream is a data stream. The server's lock guards it.
type stream struct {
	name      string
	number    int // among all streams ever made
	created   time.Time
	retention time.Duration
	maxRecord int // bytes, 1 MiB if it is less
	shards    []*shard
	consumers []*consumer
}

type shard struct {
	id         string
	number     int
	low, high  *big.Int // of the hash keys, inclusive
	parents    []string
	start, end int64 // sequence numbers; end is −1 while open
	closedAt   time.Time
	records    []*record

	calls []time.Time // of GetRecords, within the last second
	heavy time.Time   // until when the two MB a second are used up
}

type record struct {
	sequence int64
	arrived  time.Time
	size     int
	encoded  []byte // as GetRecords answers it
}

var maxHashKey = new(big.Int).Sub(new(big.Int).Lsh(big.NewInt(1), 128), big.NewInt(1))

func (st *stream) arn() string {
	return "arn:aws:kinesis:" + Region + ":" + Account + ":stream/" + st.name
}

// sequenceText is a sequence number as the protocol has it: 56 digits, of which
// the first tell the stream.
func (st *stream) sequenceText(n int64) string { return fmt.Sprintf("49%06d%048d", st.number, n) }

// sequenceNumber is the inverse; false when the number is none of this stream.
func (st *stream) sequenceNumber(text string) (int64, bool) {
	if len(text) != 56 || text[:8] != fmt.Sprintf("49%06d", st.number) {
		return 0, false
	}
	n, err := strconv.ParseInt(text[8:], 10, 64)
	return n, err == nil
}

func (st *stream) shard(id string) *shard {
	for _, sh := range st.shards {
		if sh.id == id {
			return sh
		}
	}
	return nil
}

func (st *stream) addShard(low, high *big.Int, start int64, parents ...string) *shard {
	n := 0
	if len(st.shards) > 0 {
		n = st.shards[len(st.shards)-1].number + 1
	}
	sh := &shard{id: fmt.Sprintf("shardId-%012d", n), number: n, low: low, high: high, start: start, end: -1, parents: parents}
	st.shards = append(st.shards, sh)
	return sh
}

// expire takes away what is older than the retention period.
func (st *stream) expire(now time.Time) {
	horizon := now.Add(-st.retention)
	for _, sh := range st.shards {
		n := 0
		for n < len(sh.records) && sh.records[n].arrived.Before(horizon) {
			n++
		}
		sh.records = sh.records[n:]
	}
	// The newest is kept for the numbering.
	last := len(st.shards) - 1
	kept := slices.DeleteFunc(slices.Clone(st.shards[:last]), func(sh *shard) bool {
		return sh.end >= 0 && sh.closedAt.Before(horizon)
	})
	st.shards = append(kept, st.shards[last])
}

func (st *stream) open() (open []*shard) {
	for _, sh := range st.shards {
		if sh.end < 0 {
			open = append(open, sh)
		}
	}
	return open
}

// hashKey is where a record belongs: its explicit hash key, or the MD5 of its
// partition key.
func hashKey(partitionKey, explicit string) (*big.Int, error) {
	if explicit != "" {
		k, ok := new(big.Int).SetString(explicit, 10)
		if !ok || k.Sign() < 0 || k.Cmp(maxHashKey) > 0 {
			return nil, fail(invalidArgument, "Invalid ExplicitHashKey.")
		}
		return k, nil
	}
	sum := md5.Sum([]byte(partitionKey))
	return new(big.Int).SetBytes(sum[:]), nil
}

func (s *Server) put(st *stream, partitionKey, explicit string, data []byte) (*shard, string, error) {
	if partitionKey == "" || len(partitionKey) > 4*256 {
		return nil, "", fail(invalidArgument, "partitionKey must have 1 to 256 characters")
	}
	key, err := hashKey(partitionKey, explicit)
	if err != nil {
		return nil, "", err
	}
	for _, sh := range st.open() {
		if sh.low.Cmp(key) > 0 || sh.high.Cmp(key) < 0 {
			continue
		}
		s.sequence++
		r := &record{sequence: s.sequence, arrived: s.now().UTC().Truncate(time.Millisecond), size: len(data) + len(partitionKey)}
		sequence := st.sequenceText(r.sequence)
		quoted, err := json.Marshal(partitionKey)
		if err != nil {
			return nil, "", err
		}
		r.encoded = fmt.Appendf(nil, `{"SequenceNumber":%q,"ApproximateArrivalTimestamp":%s,"Data":"`, sequence, seconds(r.arrived))
		r.encoded = base64.StdEncoding.AppendEncode(r.encoded, data)
		r.encoded = fmt.Appendf(r.encoded, `","PartitionKey":%s}`, quoted)
		sh.records = append(sh.records, r)
		s.notify()
		return sh, sequence, nil
	}
	return nil, "", fail("InternalFailure", "no shard for hash key %s", key)
}

// seconds is a time as the protocol has it.
func seconds(t time.Time) string { return fmt.Sprintf("%.3f", float64(t.UnixMilli())/1000) }

// split closes a shard and makes two of it, the second from the hash key on.
func (s *Server) split(st *stream, sh *shard, from *big.Int) error {
	if sh == nil || sh.end >= 0 {
		return fail(notFound, "the shard does not exist or is closed")
	}
	if from.Cmp(sh.low) <= 0 || from.Cmp(sh.high) > 0 {
		return fail(invalidArgument, "NewStartingHashKey %s is outside the shard's range", from)
	}
	start := s.close(sh)
	st.addShard(sh.low, new(big.Int).Sub(from, big.NewInt(1)), start, sh.id)
	st.addShard(from, sh.high, start, sh.id)
	s.notify()
	return nil
}

func (s *Server) merge(st *stream, a, b *shard) error {
	if a == nil || b == nil || a.end >= 0 || b.end >= 0 {
		return fail(notFound, "a shard does not exist or is closed")
	}
	low, high := a, b
	if a.low.Cmp(b.low) > 0 {
		low, high = b, a
	}
	if new(big.Int).Add(low.high, big.NewInt(1)).Cmp(high.low) != 0 {
		return fail(invalidArgument, "shards %s and %s are not adjacent", a.id, b.id)
	}
	s.close(a)
	st.addShard(low.low, high.high, s.close(b), a.id, b.id)
	s.notify()
	return nil
}

// close ends a shard and returns where its children begin.
func (s *Server) close(sh *shard) int64 {
	s.sequence++
	sh.end, sh.closedAt = s.sequence, s.now()
	s.sequence++
	return s.sequence
}
