package kinesistest

import (
	"encoding/json"
	"math/big"
	"slices"
	"time"
)

// Shard is what tests want to know of a shard.
type Shard struct {
	ID        string
	Parents   []string
	Open      bool
	Low, High *big.Int // hash keys
	Records   int
}

// CreateStream makes a stream of so many shards. It panics when the stream
// exists.
func (s *Server) CreateStream(name string, shards int) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if _, err := s.createStream(&createStreamInput{StreamName: name, ShardCount: shards}); err != nil {
		panic(err)
	}
}

// SetMaxRecordSize sets how large records of a stream may be, in bytes.
func (s *Server) SetMaxRecordSize(stream string, bytes int) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.streams[stream].maxRecord = bytes
}

// DeleteStream takes a stream away.
func (s *Server) DeleteStream(name string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	delete(s.streams, name)
	s.notify()
}

// Put appends a record and returns its sequence number.
func (s *Server) Put(stream, partitionKey string, data []byte) string {
	return s.PutExplicit(stream, partitionKey, "", data)
}

// PutExplicit is Put with an explicit hash key, in decimal. It panics when the
// stream does not exist.
func (s *Server) PutExplicit(stream, partitionKey, hashKey string, data []byte) string {
	s.mu.Lock()
	defer s.mu.Unlock()
	_, sequence, err := s.put(s.streams[stream], partitionKey, hashKey, data)
	if err != nil {
		panic(err)
	}
	return sequence
}

// Shards lists the shards of a stream, also the closed ones.
func (s *Server) Shards(stream string) []Shard {
	s.mu.Lock()
	defer s.mu.Unlock()
	st := s.streams[stream]
	st.expire(s.now())
	list := make([]Shard, 0, len(st.shards))
	for _, sh := range st.shards {
		list = append(list, Shard{ID: sh.id, Parents: sh.parents, Open: sh.end < 0, Low: sh.low, High: sh.high, Records: len(sh.records)})
	}
	return list
}

// Split halves an open shard.
func (s *Server) Split(stream, id string) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	st := s.streams[stream]
	sh := st.shard(id)
	if sh == nil {
		return fail(notFound, "no shard %s", id)
	}
	middle := new(big.Int).Add(sh.low, sh.high)
	return s.split(st, sh, middle.Add(middle.Rsh(middle, 1), big.NewInt(1)))
}

// Merge makes one of two adjacent open shards.
func (s *Server) Merge(stream, a, b string) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	st := s.streams[stream]
	return s.merge(st, st.shard(a), st.shard(b))
}

// SetRetention changes how long records are kept; unlike the protocol's
// operations to any length.
func (s *Server) SetRetention(stream string, d time.Duration) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.streams[stream].retention = d
}

// Record is what tests want to know of a record.
type Record struct {
	PartitionKey string
	Data         []byte
}

// Records lists the records of a stream in the order in which they came, those of
// one shard in that of the shard.
func (s *Server) Records(stream string) []Record {
	s.mu.Lock()
	defer s.mu.Unlock()
	var all []*record
	for _, sh := range s.streams[stream].shards {
		all = append(all, sh.records...)
	}
	slices.SortFunc(all, func(a, b *record) int { return int(a.sequence - b.sequence) })
	list := make([]Record, len(all))
	for i, r := range all {
		if err := json.Unmarshal(r.encoded, &list[i]); err != nil {
			panic(err)
		}
	}
	return list
}
