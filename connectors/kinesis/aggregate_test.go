package kinesis_test

import (
	"bytes"
	"compress/gzip"
	"crypto/md5"
	"math/big"
	"slices"
	"strings"
	"testing"

	"github.com/klauspost/compress/zstd"
	"google.golang.org/protobuf/encoding/prototext"
	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/reflect/protodesc"
	"google.golang.org/protobuf/reflect/protoreflect"
	"google.golang.org/protobuf/types/descriptorpb"
	"google.golang.org/protobuf/types/dynamicpb"

	"github.com/leatdb/leat/connectors"
	"github.com/leatdb/leat/connectors/kinesis"
	"github.com/leatdb/leat/connectors/kinesis/kinesistest"
)

// aggregatedRecord is the message type of aggregates, for the protobuf library.
var aggregatedRecord = func() protoreflect.MessageDescriptor {
	const text = `
		name: "aggregated.proto" syntax: "proto2"
		message_type {
			name: "AggregatedRecord"
			field { name: "partition_key_table" number: 1 label: LABEL_REPEATED type: TYPE_STRING }
			field { name: "explicit_hash_key_table" number: 2 label: LABEL_REPEATED type: TYPE_STRING }
			field { name: "records" number: 3 label: LABEL_REPEATED type: TYPE_MESSAGE type_name: ".Record" }
		}
		message_type {
			name: "Tag"
			field { name: "key" number: 1 label: LABEL_REQUIRED type: TYPE_STRING }
			field { name: "value" number: 2 label: LABEL_OPTIONAL type: TYPE_STRING }
		}
		message_type {
			name: "Record"
			field { name: "partition_key_index" number: 1 label: LABEL_REQUIRED type: TYPE_UINT64 }
			field { name: "explicit_hash_key_index" number: 2 label: LABEL_OPTIONAL type: TYPE_UINT64 }
			field { name: "data" number: 3 label: LABEL_REQUIRED type: TYPE_BYTES }
			field { name: "tags" number: 4 label: LABEL_REPEATED type: TYPE_MESSAGE type_name: ".Tag" }
		}`
	var file descriptorpb.FileDescriptorProto
	if err := prototext.Unmarshal([]byte(text), &file); err != nil {
		panic(err)
	}
	d, err := protodesc.NewFile(&file, nil)
	if err != nil {
		panic(err)
	}
	return d.Messages().ByName("AggregatedRecord")
}()

// slowAggregate takes an aggregate apart with the protobuf library.
func slowAggregate(payload []byte) (records []kinesis.UserRecord, ok bool) {
	if len(payload) < 20 || !bytes.HasPrefix(payload, []byte("\xf3\x89\x9a\xc2")) {
		return nil, false
	}
	body, sum := payload[4:len(payload)-16], payload[len(payload)-16:]
	if want := md5.Sum(body); !bytes.Equal(sum, want[:]) {
		return nil, false
	}
	m := dynamicpb.NewMessage(aggregatedRecord)
	if proto.Unmarshal(body, m) != nil {
		return nil, false
	}
	field := func(m protoreflect.Message, name string) protoreflect.FieldDescriptor {
		return m.Descriptor().Fields().ByName(protoreflect.Name(name))
	}
	keys := m.Get(field(m, "partition_key_table")).List()
	hashes := m.Get(field(m, "explicit_hash_key_table")).List()
	list := m.Get(field(m, "records")).List()
	for i := range list.Len() {
		r := list.Get(i).Message()
		key := r.Get(field(r, "partition_key_index")).Uint()
		if key >= uint64(keys.Len()) {
			return nil, false
		}
		u := kinesis.UserRecord{Data: string(r.Get(field(r, "data")).Bytes()), Key: keys.Get(int(key)).String()}
		if hash := field(r, "explicit_hash_key_index"); r.Has(hash) {
			n := r.Get(hash).Uint()
			if n >= uint64(hashes.Len()) {
				return nil, false
			}
			u.HashKey = hashes.Get(int(n)).String()
		}
		records = append(records, u)
	}
	return records, true
}

func wrap(message []byte) []byte {
	sum := md5.Sum(message)
	return append(append([]byte("\xf3\x89\x9a\xc2"), message...), sum[:]...)
}

func TestAggregate(t *testing.T) {
	whole := kinesistest.Aggregate(
		kinesistest.UserRecord{PartitionKey: "a", Data: []byte("1")},
		kinesistest.UserRecord{PartitionKey: "b", ExplicitHashKey: "7", Data: nil},
		kinesistest.UserRecord{PartitionKey: "a", ExplicitHashKey: "7", Data: []byte("3")})
	got, ok := kinesis.ParseAggregate(whole)
	if want := []kinesis.UserRecord{{"1", "a", ""}, {"", "b", "7"}, {"3", "a", "7"}}; !ok || !slices.Equal(got, want) {
		t.Errorf("got %q, want %q", got, want)
	}
	slow, ok := slowAggregate(whole)
	if !ok || !slices.Equal(got, slow) {
		t.Errorf("got %q, slowly %q", got, slow)
	}
	if got, ok := kinesis.ParseAggregate(kinesistest.Aggregate()); !ok || len(got) != 0 {
		t.Errorf("of nothing: %q, %t", got, ok)
	}
	for name, payload := range map[string][]byte{
		"Empty":      nil,
		"MagicOnly":  whole[:4],
		"Torn":       whole[:len(whole)-1],
		"BadSum":     append(slices.Clone(whole[:len(whole)-1]), whole[len(whole)-1]^1),
		"BadIndex":   wrap([]byte{0x1a, 4, 0x08, 5, 0x1a, 0}),
		"NoData":     wrap([]byte{0x0a, 1, 'k', 0x1a, 2, 0x08, 0}),
		"NotMessage": wrap([]byte("not a message")),
	} {
		if got, ok := kinesis.ParseAggregate(payload); ok {
			t.Errorf("%s: taken apart: %q", name, got)
		}
	}
}

func FuzzAggregate(f *testing.F) {
	whole := kinesistest.Aggregate(kinesistest.UserRecord{PartitionKey: "a", Data: []byte("1")}, kinesistest.UserRecord{PartitionKey: "b", ExplicitHashKey: "7", Data: []byte("x")})
	f.Add(whole[4 : len(whole)-16])
	f.Fuzz(func(t *testing.T, message []byte) {
		payload := wrap(message)
		got, ok := kinesis.ParseAggregate(payload)
		want, wantOK := slowAggregate(payload)
		// The library also checks tags and UTF-8; it merges what repeats, and takes
		// fields of another type for unknown ones. Where both agree that there is an
		// aggregate they agree on what is in it.
		if ok && wantOK && !slices.Equal(got, want) {
			t.Errorf("got %q, want %q", got, want)
		}
	})
}

func TestHashRange(t *testing.T) {
	top := new(big.Int).Sub(new(big.Int).Lsh(big.NewInt(1), 128), big.NewInt(1))
	sum := md5.Sum([]byte("key"))
	hash := new(big.Int).SetBytes(sum[:])
	plus := func(n int64) string { return new(big.Int).Add(hash, big.NewInt(n)).String() }
	f := func(want bool, from, to, key, hashKey string) {
		t.Helper()
		if got := kinesis.InHashRange(from, to, key, hashKey); got != want {
			t.Errorf("%s … %s, %s, %s: %t", from, to, key, hashKey, got)
		}
	}
	f(true, "0", top.String(), "key", "")
	f(true, hash.String(), hash.String(), "key", "")
	f(false, plus(1), top.String(), "key", "")
	f(false, "0", plus(-1), "key", "")
	f(true, "0", "10", "key", "10")
	f(false, "0", "10", "key", "11")
	f(true, "18446744073709551616", "18446744073709551617", "", "18446744073709551616")
	f(false, "18446744073709551616", "18446744073709551617", "", "18446744073709551615")
	f(true, "", "", "key", "5")
	f(true, "0", top.String()+"0", "key", "5")         // no range at all
	f(true, hash.String(), hash.String(), "key", "1x") // no hash key at all
	f(false, "0", "10", "key", "1x")
}

func TestSource_Aggregates(t *testing.T) {
	s := server(t)
	s.CreateStream("trips", 1)
	user := func(from, to int) (records []kinesistest.UserRecord) {
		for _, v := range numbers(from, to) {
			records = append(records, kinesistest.UserRecord{PartitionKey: v, Data: []byte(v)})
		}
		return records
	}
	s.Put("trips", "k", []byte("0"))
	s.Put("trips", "k", kinesistest.Aggregate(user(1, 2000)...))
	s.Put("trips", "k", kinesistest.Aggregate())
	s.Put("trips", "k", []byte("2000"))
	broken := kinesistest.Aggregate(user(1, 3)...)
	broken[len(broken)-1] ^= 1
	s.Put("trips", "k", broken)
	// An aggregate comes in one chunk, however small these should be: positions are
	// never inside of one.
	var all []string
	var known connectors.Positions
	empty := 0
	for len(all) < 2002 {
		r := open(t, s, known, "chunk_bytes", "1KiB")
		var c connectors.Chunk
		if err := r.poll(0, &c); err != nil {
			t.Fatal(err)
		}
		for _, rec := range c.Records {
			if rec.Null {
				empty++
			}
		}
		all, known = append(all, r.values()...), r.src.Positions()
		r.close()
	}
	if want := append(numbers(0, 2001), string(broken)); !slices.Equal(all, want) || empty != 1 {
		t.Errorf("got %d values %s, %d empty", len(all), shorten(all), empty)
	}
}

// What the producer library put into the wrong shard, because it did not know of
// a split yet, it sends again.
func TestSource_StrayRecords(t *testing.T) {
	f := func(strays, partitionKey string, want ...string) {
		t.Helper()
		s := server(t)
		s.CreateStream("trips", 2)
		half := s.Shards("trips")[1].Low.String()
		s.PutExplicit("trips", partitionKey, "0", kinesistest.Aggregate(
			kinesistest.UserRecord{PartitionKey: "x", ExplicitHashKey: "0", Data: []byte("here")},
			kinesistest.UserRecord{PartitionKey: "x", ExplicitHashKey: half, Data: []byte("stray")}))
		s.PutExplicit("trips", "x", half, []byte("again"))
		r := open(t, s, nil, "aggregate_strays", strays)
		defer r.close()
		r.flush()
		r.wantAll(want)
	}
	f("auto", "a", "here", "again")
	f("auto", "x", "here", "stray", "again")
	f("keep", "a", "here", "stray", "again")
	f("drop", "x", "here", "again")
}

func gzipped(t testing.TB, data []byte) []byte {
	t.Helper()
	var b bytes.Buffer
	w := gzip.NewWriter(&b)
	if _, err := w.Write(data); err != nil {
		t.Fatal(err)
	}
	if err := w.Close(); err != nil {
		t.Fatal(err)
	}
	return b.Bytes()
}

func zstandard(t testing.TB, data []byte) []byte {
	t.Helper()
	w, err := zstd.NewWriter(nil)
	if err != nil {
		t.Fatal(err)
	}
	defer w.Close()
	return w.EncodeAll(data, nil)
}

func TestSource_Compression(t *testing.T) {
	bomb := gzipped(t, make([]byte, 3<<20))
	fits := strings.Repeat("x", 1<<20)
	torn := gzipped(t, []byte("torn"))[:20]
	payloads := [][]byte{
		gzipped(t, []byte("one")), zstandard(t, []byte("two")), []byte("three"), bomb, gzipped(t, []byte(fits)), torn,
		append(gzipped(t, []byte("fo")), gzipped(t, []byte("ur"))...),
		kinesistest.Aggregate(kinesistest.UserRecord{PartitionKey: "k", Data: gzipped(t, []byte("five"))}, kinesistest.UserRecord{PartitionKey: "k", Data: []byte("six")}),
		gzipped(t, nil), zstandard(t, make([]byte, 3<<20)),
	}
	s := server(t)
	s.CreateStream("trips", 1)
	for _, p := range payloads {
		s.Put("trips", "k", p)
	}
	r := open(t, s, nil, "max_record_bytes", "1MiB")
	defer r.close()
	r.flush()
	r.want([]string{"one", "two", "three", string(bomb), fits, string(torn), "four", "five", "six", "", string(payloads[9])})

	plain := open(t, s, nil, "compression", "none")
	defer plain.close()
	plain.flush()
	if got := plain.values()[0]; got != string(payloads[0]) {
		t.Errorf("inflated though compression is 'none': %q", got)
	}
}

// What all records of an aggregate inflate to is bounded, too.
func TestInflate_Bounds(t *testing.T) {
	for name, compress := range map[string]func(testing.TB, []byte) []byte{"gzip": gzipped, "zstd": zstandard} {
		payload := compress(t, bytes.Repeat([]byte("x"), 1000))
		for _, c := range []struct {
			limit, room int
			ok          bool
		}{{1000, 1000, true}, {999, 1000, false}, {1000, 999, false}, {1 << 20, 1 << 20, true}, {1000, 0, false}} {
			if got := kinesis.Inflate(payload, c.limit, c.room); (got != nil) != c.ok || c.ok && len(got) != 1000 {
				t.Errorf("%s, %+v: %d bytes", name, c, len(got))
			}
		}
	}
}

func FuzzInflate(f *testing.F) {
	f.Add(gzipped(f, []byte("hello")))
	f.Add(zstandard(f, []byte("hello")))
	f.Fuzz(func(t *testing.T, payload []byte) {
		if got := kinesis.Inflate(payload, 1<<16, 1<<15); len(got) > 1<<15 {
			t.Errorf("%d bytes", len(got))
		}
		for _, compress := range []func(testing.TB, []byte) []byte{gzipped, zstandard} {
			if got := kinesis.Inflate(compress(t, payload), 1<<20, 1<<20); !bytes.Equal(got, payload) {
				t.Errorf("%q became %q", payload, got)
			}
		}
	})
}
