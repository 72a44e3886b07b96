package kafka

import (
	"bytes"
	"encoding/binary"
	"errors"
	"fmt"
	"hash/crc32"
	"io"
	"maps"
	"math"
	"math/rand/v2"
	"net"
	"reflect"
	"slices"
	"strconv"
	"strings"
	"testing"

	"github.com/twmb/franz-go/pkg/kfake"
	"github.com/twmb/franz-go/pkg/kgo"
	"github.com/twmb/franz-go/pkg/kmsg"

	"github.com/leatdb/leat/connectors"
)

// made is a batch as a broker sends it.
func made(t testing.TB, rng *rand.Rand, base int64, attributes uint16, records []kmsg.Record) []byte {
	t.Helper()
	var plain []byte
	for _, r := range records {
		body := r.AppendTo(nil)[1:] // behind a length of 0
		plain = append(binary.AppendVarint(plain, int64(len(body))), body...)
	}
	if codec := attributes & codecBits; codec != 0 {
		compressor, err := kgo.DefaultCompressor([]kgo.CompressionCodec{{}, kgo.GzipCompression(), kgo.SnappyCompression(), kgo.Lz4Compression(), kgo.ZstdCompression()}[codec])
		if err != nil {
			t.Fatal(err)
		}
		out, _ := compressor.Compress(new(bytes.Buffer), plain)
		plain = slices.Clone(out)
	}
	last := int32(0)
	if len(records) > 0 {
		last = records[len(records)-1].OffsetDelta + rng.Int32N(3) // compaction may have taken the last
	}
	b := kmsg.RecordBatch{
		FirstOffset: base, PartitionLeaderEpoch: 7, Magic: 2, Attributes: int16(attributes), LastOffsetDelta: last,
		FirstTimestamp: 1_700_000_000_000, MaxTimestamp: 1_700_000_100_000, ProducerID: -1, ProducerEpoch: -1, FirstSequence: -1,
		NumRecords: int32(len(records)), Records: plain,
	}
	data := b.AppendTo(nil)
	binary.BigEndian.PutUint32(data[8:], uint32(len(data)-12))
	binary.BigEndian.PutUint32(data[17:], crc32.Checksum(data[21:], castagnoli))
	return data
}

func randomRecords(rng *rand.Rand, n int) []kmsg.Record {
	text := func(most int) []byte {
		if rng.IntN(8) == 0 {
			return nil
		}
		return bytes.Repeat([]byte{byte('a' + rng.IntN(26))}, rng.IntN(most))
	}
	records := make([]kmsg.Record, n)
	delta := int32(0)
	for i := range records {
		records[i] = kmsg.Record{TimestampDelta64: rng.Int64N(100_000), OffsetDelta: delta, Key: text(200), Value: text(20_000)}
		for range rng.IntN(3) {
			records[i].Headers = append(records[i].Headers, kmsg.Header{Key: string(text(5)), Value: text(100)})
		}
		delta += 1 + rng.Int32N(2)
	}
	return records
}

// reading is what was read of a record.
type reading struct {
	offset, millis int64
	key, value     string
	noKey, noValue bool
	headers        string
}

// readings are what the client has read.
func readings(records []*kgo.Record) []reading {
	list := []reading{}
	for _, r := range records {
		headers := make([]header, len(r.Headers))
		for i, h := range r.Headers {
			headers[i] = header{key: []byte(h.Key), value: h.Value}
		}
		list = append(list, reading{
			offset: r.Offset, millis: r.Timestamp.UnixMilli(), key: string(r.Key), value: string(r.Value), noKey: r.Key == nil, noValue: r.Value == nil,
			headers: string(appendHeaders(nil, headers)),
		})
	}
	return list
}

// Batches read where they lie are what the client makes of them.
func TestRecordBatch_ReadsWhatTheClientReads(t *testing.T) {
	rng := rand.New(rand.NewPCG(1, 2))
	var lane laneBuffers
	lane.decompressor.most = mostInflated
	defer lane.decompressor.close()
	for round := range 200 {
		attributes := uint16(rng.IntN(5))
		if rng.IntN(4) == 0 {
			attributes |= logTimeBit
		}
		base := rng.Int64N(1 << 40)
		data := made(t, rng, base, attributes, randomRecords(rng, 1+rng.IntN(40)))
		from := base + rng.Int64N(20)

		rp := kmsg.NewFetchResponseTopicPartition()
		rp.RecordBatches = data
		got, _ := kgo.ProcessFetchPartition(kgo.ProcessFetchPartitionOpts{Offset: from, Topic: "trips"}, &rp, kgo.DefaultDecompressor(), nil)
		if got.Err != nil {
			t.Fatal(got.Err)
		}
		want := readings(got.Records)

		batches := []recordBatch{}
		b, size, ok := parseBatch(&answer{data: data}, 0, data)
		if size != len(data) || !ok {
			t.Fatalf("round %d: a batch of %d bytes has %d, ok=%t", round, len(data), size, ok)
		}
		batches = append(batches, b)
		if len(got.Records) > 0 {
			batches = append(batches, batchOf(got.Records))
		}
		for _, b := range batches {
			b.from, b.to = from, b.last+1
			lane.plain = lane.plain[:0]
			in, start, stop, err := lane.records(&b)
			var c connectors.Chunk
			var all []message
			bytes := 0
			if err == nil {
				bytes, err = b.read(in, start, stop, 0, &c, &all)
			}
			if err != nil {
				t.Fatal(err)
			}
			found := []reading{}
			for i, r := range c.Records {
				headers, err := parseHeaders(nil, all[i].headers)
				if err != nil {
					t.Fatal(err)
				}
				if all[i].micros != r.Arrived || all[i].offset != r.Offset {
					t.Fatalf("round %d: %+v is not %+v", round, all[i], r)
				}
				bytes -= int(r.End - r.Start)
				found = append(found, reading{
					offset: r.Offset, millis: r.Arrived / 1000, key: string(all[i].key), value: string(in[r.Start:r.End]), noKey: all[i].key == nil, noValue: r.Null,
					headers: string(appendHeaders(nil, headers)),
				})
			}
			if !reflect.DeepEqual(found, want) || bytes != 0 {
				t.Fatalf("round %d, attributes %#x: read %d records, want %d; %d bytes too many", round, attributes, len(found), len(want), bytes)
			}
		}
	}
}

// fetched is an answer to a Fetch request.
func fetched(version int16, id int32, parts map[int32][]byte) []byte {
	resp := kmsg.NewPtrFetchResponse()
	resp.SetVersion(version)
	topic := kmsg.NewFetchResponseTopic()
	topic.Topic = "trips"
	for p := range int32(len(parts)) {
		part := kmsg.NewFetchResponseTopicPartition()
		part.Partition, part.RecordBatches = p, parts[p]
		topic.Partitions = append(topic.Partitions, part)
	}
	resp.Topics = append(resp.Topics, topic)
	out := binary.BigEndian.AppendUint32(make([]byte, 4), uint32(id))
	if resp.IsFlexible() {
		out = append(out, 0)
	}
	out = resp.AppendTo(out)
	binary.BigEndian.PutUint32(out, uint32(len(out)-4))
	return out
}

// script is a connection whose broker says what it says in pieces.
type script struct {
	net.Conn
	rng     *rand.Rand
	answers []byte
	written bytes.Buffer
}

func (s *script) Read(b []byte) (int, error) {
	if len(s.answers) == 0 {
		return 0, io.EOF
	}
	n := copy(b[:min(len(b), 1+s.rng.IntN(1<<s.rng.IntN(16)))], s.answers)
	s.answers = s.answers[n:]
	return n, nil
}

func (s *script) Write(b []byte) (int, error) { return s.written.Write(b) }

func request(key, version int16, id int32, body int) []byte {
	out := binary.BigEndian.AppendUint32(nil, uint32(8+body))
	out = binary.BigEndian.AppendUint16(out, uint16(key))
	out = binary.BigEndian.AppendUint16(out, uint16(version))
	out = binary.BigEndian.AppendUint32(out, uint32(id))
	return append(out, make([]byte, body)...)
}

func (f *fetches) outstanding() (n int) {
	f.mu.Lock()
	defer f.mu.Unlock()
	for _, list := range f.held {
		n += len(list)
	}
	return n
}

// Whatever pieces requests and answers come in, those to Fetch requests have stand-ins
// for whole batches, and all others are what the broker has sent.
func TestFetchConn(t *testing.T) {
	for seed := range uint64(50) {
		rng := rand.New(rand.NewPCG(seed, 0))
		version := []int16{4, 11, 12, 16}[rng.IntN(4)] // with names of topics or without; flexible or not
		damaged := made(t, rng, 500, 0, randomRecords(rng, 3))
		damaged[16] = 3 // an unknown format is the client's to refuse
		control := made(t, rng, 60, controlBit, randomRecords(rng, 1))
		first, second := made(t, rng, 0, 0, randomRecords(rng, 10)), made(t, rng, 100, 4, randomRecords(rng, 10))
		cut := made(t, rng, 200, 0, randomRecords(rng, 10))
		parts := map[int32][]byte{
			0: slices.Concat(first, second, cut[:len(cut)-1-rng.IntN(len(cut)-1)]),
			1: nil,
			2: slices.Concat(first, control, second),
			3: cut[:len(cut)-1],
			4: damaged,
		}
		other := binary.BigEndian.AppendUint32(nil, uint32(4+rng.IntN(100_000)))
		other = binary.BigEndian.AppendUint32(other, 1)
		other = append(other, make([]byte, binary.BigEndian.Uint32(other)-4)...)
		empty := []byte{0, 0, 0, 0}
		s := &script{rng: rng, answers: slices.Concat(other, fetched(version, 2, parts), empty)}
		f := newFetches(64 << 20)
		conn := &fetchConn{Conn: s, fetches: f, pending: map[int32]int16{}}
		login := []byte{0, 0, 0, 5, 0, 'u', 0, 'p', 'p', 0, 0, 0, 0} // of old brokers: without a header, or empty
		sent := slices.Concat(login, request(18, 3, 1, 20), request(fetchKey, version, 2, 300))
		for rest := sent; len(rest) > 0; {
			n := 1 + rng.IntN(len(rest))
			if _, err := conn.Write(rest[:n]); err != nil {
				t.Fatal(err)
			}
			rest = rest[n:]
		}
		if !bytes.Equal(s.written.Bytes(), sent) {
			t.Fatal("the requests were changed")
		}
		var got []byte
		for {
			b := make([]byte, 1+rng.IntN(1<<rng.IntN(16)))
			n, err := conn.Read(b)
			got = append(got, b[:n]...)
			if errors.Is(err, io.EOF) {
				break
			}
			if err != nil {
				t.Fatal(err)
			}
		}
		if !bytes.HasPrefix(got, other) || !bytes.HasSuffix(got, empty) {
			t.Fatalf("seed %d: answers to other requests were changed", seed)
		}
		got = got[len(other) : len(got)-len(empty)]
		if size := int(binary.BigEndian.Uint32(got)); size != len(got)-4 || binary.BigEndian.Uint32(got[4:]) != 2 {
			t.Fatalf("seed %d: the answer has %d bytes and says %d", seed, len(got)-4, size)
		}
		resp := kmsg.NewPtrFetchResponse()
		resp.SetVersion(version)
		body := got[8:]
		if resp.IsFlexible() {
			body = body[1:]
		}
		if err := resp.ReadFrom(body); err != nil {
			t.Fatal(err)
		}
		for i := range resp.Topics[0].Partitions {
			rp := &resp.Topics[0].Partitions[i]
			switch rp.Partition {
			case 1:
				if len(rp.RecordBatches) != 0 {
					t.Error("nothing became something")
				}
				continue
			case 3, 4:
				if !bytes.Equal(rp.RecordBatches, parts[rp.Partition]) {
					t.Error("what cannot be read was changed")
				}
				continue
			}
			standIns, _ := kgo.ProcessFetchPartition(kgo.ProcessFetchPartitionOpts{Topic: "trips", Partition: rp.Partition, KeepControlRecords: true}, rp, kgo.DefaultDecompressor(), nil)
			if standIns.Err != nil {
				t.Fatal(standIns.Err)
			}
			for _, want := range [][]byte{first, second} {
				i := slices.IndexFunc(standIns.Records, f.isStandIn)
				b, ok := f.take(standIns.Records[i])
				if !ok || b.owner == nil || !bytes.Equal(b.owner.data[b.start-batchHeader:b.end], want) || b.last != standIns.Records[i].Offset || b.check() != nil {
					t.Fatalf("seed %d: partition %d: %+v", seed, rp.Partition, b)
				}
				if again, ok := f.take(standIns.Records[i]); !ok || again.owner != nil {
					t.Error("a batch was taken twice")
				}
				b.owner.release()
				if i+1 < len(standIns.Records) {
					standIns.Records = standIns.Records[i+1:]
				} else {
					f.settle(rp.Partition, math.MaxInt64)
				}
			}
		}
		if n := f.outstanding(); n != 0 {
			t.Errorf("seed %d: %d fetches are held", seed, n)
		}
		if len(f.free) != 1 {
			t.Errorf("seed %d: %d buffers to use again, want 1", seed, len(f.free))
		}
		f.trim()
		if f.keepsMemory() {
			t.Error("memory is kept")
		}
	}
}

// Batches that the client never hands over are given up by and by.
func TestFetches_GivesUpWhatTheClientDrops(t *testing.T) {
	rng := rand.New(rand.NewPCG(3, 4))
	f := newFetches(64 << 20)
	for id := range int32(20) {
		answer := fetched(11, id, map[int32][]byte{0: made(t, rng, int64(id)*100, 0, randomRecords(rng, 5))})
		f.replace([8]byte(answer), 11, append(f.buffer(len(answer) - 8)[:0], answer[8:]...))
		if n := f.outstanding(); n > heldFetches {
			t.Fatalf("%d fetches are held", n)
		}
	}
	if len(f.free) > heldFetches+1 {
		t.Errorf("%d buffers were made", len(f.free))
	}
}

func TestDecompressor_Limit(t *testing.T) {
	d := decompressor{most: 10_000}
	defer d.close()
	xerialed := func(blocks ...[]byte) []byte {
		out := append(slices.Clone(xerial), 0, 0, 0, 1, 0, 0, 0, 1)
		for _, b := range blocks {
			out = append(binary.BigEndian.AppendUint32(out, uint32(len(b))), b...)
		}
		return out
	}
	for codec, c := range []kgo.CompressionCodec{{}, kgo.GzipCompression(), kgo.SnappyCompression(), kgo.Lz4Compression(), kgo.ZstdCompression()} {
		if codec == 0 {
			continue
		}
		compressor, err := kgo.DefaultCompressor(c)
		if err != nil {
			t.Fatal(err)
		}
		compress := func(n int) []byte {
			out, _ := compressor.Compress(new(bytes.Buffer), []byte(strings.Repeat("x", n)))
			return slices.Clone(out)
		}
		for _, n := range []int{0, 1, 9_999, 10_000, 10_001, 1_000_000} {
			out, err := d.append([]byte("before"), compress(n), uint16(codec))
			if (n > 10_000) != errors.Is(err, errInflated) || err == nil && string(out) != "before"+strings.Repeat("x", n) || err != nil && string(out) != "before" {
				t.Errorf("codec %d, %d bytes: %d bytes, %v", codec, n, len(out), err)
			}
		}
		if out, err := d.append(nil, []byte("no such thing, at all"), uint16(codec)); err == nil {
			t.Errorf("codec %d: %q of what is not compressed", codec, out)
		}
		if codec == codecSnappy {
			block := compress(6_000)
			if out, err := d.append(nil, xerialed(block[:0:0]), codecSnappy); err == nil && len(out) > 0 {
				t.Errorf("an empty block has %d bytes", len(out))
			}
			if out, err := d.append([]byte("b"), xerialed(compress(4_000), compress(6_000)), codecSnappy); err != nil || len(out) != 10_001 {
				t.Errorf("two blocks have %d bytes, %v", len(out), err)
			}
			if _, err := d.append(nil, xerialed(block, block), codecSnappy); !errors.Is(err, errInflated) {
				t.Errorf("two blocks that are too much: %v", err)
			}
			if _, err := d.append(nil, xerialed(block)[:30], codecSnappy); err == nil {
				t.Error("a block that is cut off")
			}
		}
	}
	if _, err := d.append(nil, nil, 7); err == nil {
		t.Error("an unknown codec")
	}
}

// produced is a cluster with a topic of so many batches of 10 records.
func produced(t testing.TB, batches int, opts ...kgo.Opt) *kfake.Cluster {
	t.Helper()
	c, err := kfake.NewCluster(kfake.NumBrokers(1), kfake.SeedTopics(1, "trips"))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(c.Close)
	cl, err := kgo.NewClient(append([]kgo.Opt{kgo.SeedBrokers(c.ListenAddrs()...)}, opts...)...)
	if err != nil {
		t.Fatal(err)
	}
	defer cl.Close()
	for n := range batches {
		records := make([]*kgo.Record, 10)
		for i := range records {
			records[i] = &kgo.Record{Topic: "trips", Value: fmt.Appendf(nil, "%d %s", 10*n+i, strings.Repeat("x", 10_000))}
		}
		if err := cl.ProduceSync(t.Context(), records...).FirstErr(); err != nil {
			t.Fatal(err)
		}
	}
	return c
}

func opened(t testing.TB, c *kfake.Cluster, options ...string) *source {
	t.Helper()
	options = append([]string{"topic", "trips", "brokers", c.ListenAddrs()[0], "stop", "latest"}, options...)
	s, err := newSource(connectors.SourceConfig{Name: "trips", Stream: "s", Options: Connector.Spec.MustOptions(options...)})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = s.Close() })
	splits, err := s.Splits(t.Context(), true, nil)
	if err != nil {
		t.Fatal(err)
	}
	if err := s.Assign(t.Context(), connectors.Positions{"0": splits[0].Start}); err != nil {
		t.Fatal(err)
	}
	return s
}

// numbered checks that a chunk has the records of produced from n on, and returns behind
// which one it ends.
func numbered(t *testing.T, c *connectors.Chunk, n int) int {
	t.Helper()
	for _, r := range c.Records {
		if number, _, _ := strings.Cut(string(c.Data[r.Start:r.End]), " "); number != strconv.Itoa(n) {
			t.Fatalf("record %d is %s", n, number)
		}
		n++
	}
	return n
}

// fetch polls the client until so many batches are queued. The caller holds mu.
func fetch(t *testing.T, s *source, batches int) {
	t.Helper()
	for len(s.partitions[0].queue) < batches {
		s.mu.Unlock()
		err := s.lead(t.Context())
		s.mu.Lock()
		if err != nil {
			t.Fatal(err)
		}
	}
}

// The memory of an answer is used again as soon as its records are read.
func TestFetches_MemoryIsUsedAgain(t *testing.T) {
	s := opened(t, produced(t, 200), "prefetch_bytes", "1MiB") // 20 MB, 256 KiB at a time
	buffers := map[*byte]bool{}
	var c connectors.Chunk
	n := 0
	for {
		err := s.Poll(t.Context(), 0, &c)
		if errors.Is(err, io.EOF) {
			break
		}
		if err != nil {
			t.Fatal(err)
		}
		buffers[&s.lanes[0].batches[0].owner.data[0]] = true
		n = numbered(t, &c, n)
	}
	if n != 2000 {
		t.Errorf("%d records", n)
	}
	if len(buffers) > 6 {
		t.Errorf("%d buffers for what is read one after the other", len(buffers))
	}
}

// A batch that was given up although the client hands it over is fetched again.
func TestFetches_WhatIsNotHeldIsFetchedAgain(t *testing.T) {
	s := opened(t, produced(t, 100), "prefetch_bytes", "1MiB")
	var c connectors.Chunk
	n, polls := 0, 0
	for ; ; polls++ {
		// The client hands over what is not held any more, at the beginning and later.
		if polls%3 == 0 && len(s.partitions[0].queue) == 0 && n < 1000 {
			handed := s.client.PollRecords(t.Context(), -1)
			s.fetches.settle(0, math.MaxInt64)
			if err := s.enqueue(t.Context(), handed); err != nil {
				t.Fatal(err)
			}
			if p := s.partitions[0]; !p.broken || len(p.queue) > 0 {
				t.Fatalf("after %d records: broken=%t, %d batches", n, p.broken, len(p.queue))
			}
		}
		err := s.Poll(t.Context(), 0, &c)
		if errors.Is(err, io.EOF) {
			break
		}
		if err != nil {
			t.Fatal(err)
		}
		n = numbered(t, &c, n)
	}
	if n != 1000 || polls < 3 {
		t.Errorf("%d records in %d polls", n, polls)
	}
}

// A batch that decompresses to too much ends the stream, and is there when it starts
// again; or it is skipped and told of, once, and those before and behind it are read.
func TestDecompression_TooMuch(t *testing.T) {
	c := produced(t, 3, kgo.ProducerBatchCompression(kgo.ZstdCompression()))
	var chunk connectors.Chunk
	for _, skip := range []bool{false, true} {
		s := opened(t, c, "on_data_loss", map[bool]string{false: "fail", true: "skip"}[skip])
		before := s.Positions()
		s.lanes[0].decompressor.most = 20_000
		err := s.Poll(t.Context(), 0, &chunk)
		lost := s.TakeDataLoss()
		if skip {
			if !errors.Is(err, io.EOF) || len(lost) != 3 || lost[2].Records != 10 {
				t.Errorf("err=%v, lost %+v", err, lost)
			}
			continue
		}
		for range 2 {
			var loss *connectors.DataLossError
			if !errors.As(err, &loss) || loss.Loss.Records != 10 || !strings.Contains(loss.Error(), "decompresses to more than") {
				t.Errorf("err=%v", err)
			}
			if after := s.Positions(); !maps.Equal(before, after) {
				t.Errorf("a failed poll moved from %v to %v", before, after)
			}
			err = s.Poll(t.Context(), 0, &chunk)
		}
	}
}

// Records that do not match their checksum are not handed out, and nothing is skipped:
// those before them come, then the error, as often as somebody polls.
func TestDamagedBatch(t *testing.T) {
	s := opened(t, produced(t, 5))
	s.mu.Lock()
	fetch(t, s, 5)
	b := s.partitions[0].queue[2]
	s.mu.Unlock()
	damage := func() { b.owner.data[b.end-1] ^= 1 }
	damage()
	var c connectors.Chunk
	if err := s.Poll(t.Context(), 0, &c); err != nil || len(c.Records) != 20 {
		t.Fatalf("%d records, err=%v", len(c.Records), err)
	}
	before := s.Positions()
	for range 3 {
		err := s.Poll(t.Context(), 0, &c)
		if !errors.Is(err, errDamaged) || !strings.Contains(err.Error(), "batch at offset 20 of partition 0 of topic trips") {
			t.Errorf("err=%v", err)
		}
		if after := s.Positions(); !maps.Equal(before, after) {
			t.Errorf("a failed poll moved from %v to %v", before, after)
		}
	}
	damage()
	n := 20
	for {
		err := s.Poll(t.Context(), 0, &c)
		if errors.Is(err, io.EOF) {
			break
		}
		if err != nil {
			t.Fatal(err)
		}
		n = numbered(t, &c, n)
	}
	if n != 50 {
		t.Errorf("%d records", n)
	}
}

// While a lane makes a chunk of a partition's records, others do not take from it, and
// what was dropped meanwhile is not handed out.
func TestClaim(t *testing.T) {
	s := opened(t, produced(t, 5))
	s.lanes = append(s.lanes, laneBuffers{})
	s.lanes[1].decompressor.most = mostInflated
	s.mu.Lock()
	fetch(t, s, 1)
	p, _ := s.claim(1, &s.lanes[1])
	if p == nil {
		t.Fatal("no records")
	}
	if again, busy := s.claim(0, &s.lanes[0]); again != nil || !busy {
		t.Fatal("two lanes have taken the same records")
	}
	answer := s.lanes[1].batches[0].owner
	s.jump(p, 30, 7) // as when the topic was created again
	s.mu.Unlock()
	var c connectors.Chunk
	n, err := s.fill(p, &s.lanes[1], &c)
	if err != nil || n == 0 {
		t.Fatalf("%d batches, %v", n, err)
	}
	if s.take(p, &s.lanes[1], n) {
		t.Error("what was dropped is handed out")
	}
	if p.offset != 30 || answer.refs.Load() != 0 || p.filling {
		t.Errorf("offset %d, %d references, filling=%t", p.offset, answer.refs.Load(), p.filling)
	}
}

// FuzzRecordBatch changes batches behind their checksums, which no accident passes:
// what is read of one is what the client reads of it, and nothing panics.
func FuzzRecordBatch(f *testing.F) {
	rng := rand.New(rand.NewPCG(5, 6))
	for codec := range uint16(5) {
		f.Add(made(f, rng, 0, codec, randomRecords(rng, 3)), int64(0))
	}
	small := []kmsg.Record{{Key: []byte("k"), Value: []byte("v")}, {OffsetDelta: 2, TimestampDelta64: 5, Headers: []kmsg.Header{{Key: "h", Value: []byte("x")}, {Key: "n"}}}}
	f.Add(made(f, rng, 1<<40, 0, small), int64(1<<40+1))
	f.Add(made(f, rng, 7, logTimeBit, small), int64(9))
	f.Fuzz(func(t *testing.T, data []byte, from int64) {
		if len(data) < batchHeader {
			return
		}
		binary.BigEndian.PutUint32(data[8:], uint32(len(data)-12))
		binary.BigEndian.PutUint32(data[17:], crc32.Checksum(data[21:], castagnoli))
		b, size, ok := parseBatch(&answer{data: data}, 0, data)
		if !ok {
			return
		}
		if size != len(data) {
			t.Fatalf("%d bytes of %d", size, len(data))
		}
		var lane laneBuffers
		lane.decompressor.most = 1 << 20
		defer lane.decompressor.close()
		b.from, b.to = from, b.last+1
		in, start, stop, err := lane.records(&b)
		if err != nil {
			return
		}
		var c connectors.Chunk
		var all []message
		if _, err := b.read(in, start, stop, start, &c, &all); err != nil {
			return
		}
		var got []reading
		for i, r := range c.Records {
			if r.Start > r.End || start+int(r.End) > stop {
				t.Fatalf("%+v of %d bytes", r, stop-start)
			}
			headers, err := parseHeaders(nil, all[i].headers)
			if err != nil {
				return
			}
			got = append(got, reading{
				offset: r.Offset, millis: all[i].micros / 1000, key: string(all[i].key), value: string(in[start+int(r.Start) : start+int(r.End)]), noKey: all[i].key == nil, noValue: r.Null,
				headers: string(appendHeaders(nil, headers)),
			})
		}
		rp := kmsg.NewFetchResponseTopicPartition()
		rp.RecordBatches = data
		client, _ := kgo.ProcessFetchPartition(kgo.ProcessFetchPartitionOpts{Offset: from, Topic: "trips"}, &rp, kgo.DefaultDecompressor(), nil)
		if client.Err != nil {
			return
		}
		want := readings(client.Records)
		// The client leaves out the record behind whose headers something follows, and
		// those after it.
		got = got[:min(len(got), len(want))]
		for _, list := range [][]reading{got, want} {
			for i := range list {
				if m := list[i].millis; m > math.MaxInt64/2000 || m < math.MinInt64/2000 || b.baseTime > math.MaxInt64/2000 || b.baseTime < math.MinInt64/2000 {
					list[i].millis = 0 // microseconds do not hold it
				}
			}
		}
		if len(got) != len(want) || len(got) > 0 && !reflect.DeepEqual(got, want) {
			t.Fatalf("read\n%+v\nthe client reads\n%+v", got, want)
		}
	})
}

// FuzzFetchAnswer changes answers to Fetch requests: nothing panics, and what the
// client gets differs from what the broker has sent by stand-ins for batches alone.
func FuzzFetchAnswer(f *testing.F) {
	rng := rand.New(rand.NewPCG(7, 8))
	for _, version := range []int16{0, 4, 11, 12, 16} {
		f.Add(version, fetched(version, 1, map[int32][]byte{0: made(f, rng, 0, 0, randomRecords(rng, 3))}))
		first, second := made(f, rng, 0, 0, randomRecords(rng, 2)), made(f, rng, 100, 4, randomRecords(rng, 2))
		f.Add(version, fetched(version, 1, map[int32][]byte{0: slices.Concat(first, second, first[:30]), 1: nil, 2: slices.Concat(made(f, rng, 60, controlBit, randomRecords(rng, 1)), second)}))
	}
	f.Fuzz(func(t *testing.T, version int16, answer []byte) {
		if len(answer) < 8 {
			return
		}
		binary.BigEndian.PutUint32(answer, uint32(len(answer)-4))
		fetches := newFetches(1 << 20)
		out := fetches.replace([8]byte(answer), version, append(fetches.buffer(len(answer) - 8)[:0], answer[8:]...))
		if int(binary.BigEndian.Uint32(out)) != len(out)-4 {
			t.Fatalf("an answer of %d bytes says %d", len(out)-4, binary.BigEndian.Uint32(out))
		}
		parse := func(data []byte) (*kmsg.FetchResponse, bool) {
			resp := kmsg.NewPtrFetchResponse()
			resp.SetVersion(version)
			body := data[8:]
			if resp.IsFlexible() {
				if len(body) == 0 || body[0] != 0 {
					return nil, false
				}
				body = body[1:]
			}
			return resp, resp.ReadFrom(body) == nil
		}
		want, ok := parse(answer)
		if !ok {
			if !bytes.Equal(out, answer) {
				t.Fatal("what cannot be read was changed")
			}
			return
		}
		got, ok := parse(out)
		if !ok || len(got.Topics) != len(want.Topics) {
			t.Fatalf("the client cannot read the answer: %x", out)
		}
		for i := range want.Topics {
			if len(got.Topics[i].Partitions) != len(want.Topics[i].Partitions) {
				t.Fatal("partitions were lost")
			}
			for j := range want.Topics[i].Partitions {
				w, g := &want.Topics[i].Partitions[j], &got.Topics[i].Partitions[j]
				checkStandIns(t, fetches, w.Partition, w.RecordBatches, g.RecordBatches)
				w.RecordBatches, g.RecordBatches = nil, nil
			}
		}
		if !reflect.DeepEqual(got, want) {
			t.Fatalf("the client gets\n%+v\nthe broker has sent\n%+v", got, want)
		}
	})
}

// checkStandIns walks over what a partition has in an answer and in what the client
// gets in its place: batches with their stand-ins, which name them while they are
// held, and all else as it is.
func checkStandIns(t *testing.T, f *fetches, partition int32, sent, got []byte) {
	t.Helper()
	batches := 0
	for len(sent) > 0 {
		want, size, ok := parseBatch(&answer{data: sent}, 0, sent)
		if !ok {
			if size == 0 && batches > 0 {
				sent = nil // cut off, and left out
				continue
			}
			if size == 0 {
				size = len(sent)
			}
			if !bytes.HasPrefix(got, sent[:size]) {
				t.Fatal("what is no batch for users was changed")
			}
			got, sent = got[size:], sent[size:]
			continue
		}
		batches++
		stand, n, ok := parseBatch(&answer{data: got}, 0, got)
		if !ok || stand.check() != nil || stand.base != want.base || stand.last != want.last || stand.count != 1 || stand.codec != 0 {
			t.Fatalf("%+v stands for %+v", stand, want)
		}
		rp := kmsg.NewFetchResponseTopicPartition()
		rp.RecordBatches = got[:n]
		client, _ := kgo.ProcessFetchPartition(kgo.ProcessFetchPartitionOpts{Topic: "trips", Partition: partition, KeepControlRecords: true}, &rp, kgo.DefaultDecompressor(), nil)
		if client.Err != nil || len(client.Records) != 1 {
			t.Fatalf("the client makes %d records of a stand-in: %v", len(client.Records), client.Err)
		}
		b, standIn := f.take(client.Records[0])
		if !standIn || client.Records[0].Offset != want.last {
			t.Fatalf("%+v is no stand-in for %+v", client.Records[0], want)
		}
		if b.owner != nil { // it may be given up, or in the answer twice
			if !bytes.Equal(b.owner.data[b.start-batchHeader:b.end], sent[:size]) {
				t.Fatal("a stand-in names another batch")
			}
			b.owner.release()
		}
		got, sent = got[n:], sent[size:]
	}
	if len(got) != 0 {
		t.Fatalf("%d bytes are more than was sent", len(got))
	}
}
