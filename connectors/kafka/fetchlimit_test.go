package kafka

import (
	"bytes"
	"encoding/binary"
	"math/rand/v2"
	"testing"

	"github.com/twmb/franz-go/pkg/kmsg"
)

// fetchOf is a request for partitions 0 to n-1, each from an offset.
func fetchOf(version int16, id int32, most int32, offsets ...int64) []byte {
	req := kmsg.NewPtrFetchRequest()
	req.SetVersion(version)
	topic := kmsg.NewFetchRequestTopic()
	topic.Topic = "trips"
	for p, offset := range offsets {
		part := kmsg.NewFetchRequestTopicPartition()
		part.Partition, part.FetchOffset, part.PartitionMaxBytes = int32(p), offset, most
		topic.Partitions = append(topic.Partitions, part)
	}
	req.Topics = append(req.Topics, topic)
	return kmsg.NewRequestFormatter(kmsg.FormatterClientID("leat")).AppendRequest(nil, req, id)
}

// asked are the limits of the partitions in a request that fetchOf has made.
func asked(t *testing.T, version int16, request []byte) (list []int32) {
	t.Helper()
	req := kmsg.NewPtrFetchRequest()
	req.SetVersion(version)
	at := 14 + len("leat")
	if req.IsFlexible() {
		at++
	}
	if err := req.ReadFrom(request[at:]); err != nil || int(binary.BigEndian.Uint32(request)) != len(request)-4 {
		t.Fatalf("the request is not whole any more: %v", err)
	}
	for _, p := range req.Topics[0].Partitions {
		list = append(list, p.PartitionMaxBytes)
	}
	return list
}

// A fetch asks for a batch that was cut off and little more, where batches are large.
func TestFetches_Limit(t *testing.T) {
	rng := rand.New(rand.NewPCG(5, 6))
	large := func(base int64, size int) []byte {
		return made(t, rng, base, 0, []kmsg.Record{{Value: make([]byte, size)}})
	}
	for _, version := range []int16{4, 11, 12, 16} {
		f := newFetches(64 << 20)
		written := func(request []byte) []byte {
			t.Helper()
			s := &script{}
			conn := &fetchConn{Conn: s, fetches: f, pending: map[int32]int16{}}
			if n, err := conn.Write(request); n != len(request) || err != nil {
				t.Fatal(n, err)
			}
			return s.written.Bytes()
		}
		hold := func(partition int32, parts ...[]byte) {
			data := bytes.Join(parts, nil)
			a := &answer{data: data}
			a.refs.Store(1)
			f.hold(nil, a, partition, data)
		}
		const most = 512 << 10
		before := fetchOf(version, 1, most, 10, 20, 30)
		if got := written(before); !bytes.Equal(got, before) {
			t.Error("a request was changed before anything was known")
		}

		next := large(11, 700_000)
		hold(0, large(0, 400_000), next[:100])
		hold(1, large(0, 1000), large(15, 2000)[:12])
		hold(2, large(0, 1000), next[:11]) // without its size
		for _, c := range []struct {
			offsets []int64
			want    []int32
		}{
			{[]int64{10, 10, 10}, []int32{int32(len(next)) + slack, int32(len(large(15, 2000))) + slack, most}},
			{[]int64{11, 15, 10}, []int32{int32(len(next)) + slack, int32(len(large(15, 2000))) + slack, most}},
			{[]int64{12, 16, 10}, []int32{most, most, most}}, // behind them
		} {
			got := asked(t, version, written(fetchOf(version, 2, most, c.offsets...)))
			for i := range c.want {
				if got[i] != c.want[i] {
					t.Errorf("version %d, from %v: limits %v, want %v", version, c.offsets, got, c.want)
				}
			}
		}
		broken := fetchOf(version, 3, most, 10, 20)
		broken = broken[:len(broken)-1]
		binary.BigEndian.PutUint32(broken, uint32(len(broken)-4))
		if got := written(broken); !bytes.Equal(got, broken) {
			t.Error("a request that can't be read was changed")
		}

		for i := range int64(100) {
			hold(3, large(i, 1000))
		}
		small := fetchOf(version, 4, most, 10, 20, 30)
		if got := written(small); !bytes.Equal(got, small) {
			t.Error("a request was changed where batches are small")
		}
	}
}
