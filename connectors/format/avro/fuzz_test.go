package avro_test

import (
	"bytes"
	"encoding/binary"
	"math/rand/v2"
	"slices"
	"strings"
	"testing"

	hamba "github.com/hamba/avro/v2"
	"github.com/hamba/avro/v2/ocf"
	"github.com/klauspost/compress/flate"
	"github.com/klauspost/compress/zstd"

	"github.com/leatdb/leat/connectors"
	"github.com/leatdb/leat/connectors/format/internal/formattest"
	"github.com/leatdb/leat/sql/types"
)

// FuzzDecode gives any bytes to the decoder as a record of testSchema. What is
// taken is what the reference makes of it, and what one set of columns takes
// every other takes too, since skipped values are walked over as well.
func FuzzDecode(f *testing.F) {
	schema := hamba.MustParse(testSchema)
	r := rand.New(rand.NewPCG(3, 4))
	for range 8 {
		data, err := hamba.Marshal(schema, random(r, schema, 0))
		if err != nil {
			f.Fatal(err)
		}
		f.Add(data)
	}
	f.Add([]byte{})
	f.Fuzz(func(t *testing.T, data []byte) {
		if len(data) == 0 {
			return
		}
		chunk := formattest.Messages(string(data))
		field := func(name string) connectors.Field { // in normal form
			return connectors.Field{Column: types.Column{Name: name, Type: typeLongText}, Path: []string{name}, Mode: connectors.FieldExtract}
		}
		decode := func(name string) string {
			return decodeField(t, "avro", []string{"schema", testSchema}, field(name), chunk)[0]
		}
		rider, id := decode("rider"), decode("id")
		if strings.HasPrefix(rider, "decode ") || strings.HasPrefix(id, "decode ") || rider == "rejected" {
			return
		}
		var tree any
		if err := bounded.Unmarshal(schema, data, &tree); err != nil {
			return // of values that are not asked for it wants more
		}
		record, ok := tree.(map[string]any)
		if !ok {
			return
		}
		text := textOf(schema, map[string]any{
			"id": record["id"], "small": nil, "flag": false, "ratio": nil, "fare": nil, "name": nil, "data": nil, "color": "RED", "price": record["price"], "wide": record["wide"],
			"day": record["day"], "at": record["at"], "at6": record["at6"], "ts3": record["ts3"], "ts6": nil, "rider": record["rider"], "car": record["car"], "legs": record["legs"], "labels": map[string]any{},
		})
		for column, got := range map[string]string{"rider": rider, "id": id, "legs": decode("legs")} {
			want := decodeField(t, "json", nil, field(column), formattest.Messages(text))[0]
			if got != want && !strings.HasPrefix(got, "decode ") {
				t.Errorf("%s: %s, want %s", column, got, want)
			}
		}
	})
}

// bounded does not allocate what the bytes claim to hold.
var bounded = hamba.Config{MaxByteSliceSize: 1 << 16, MaxSliceAllocSize: 1 << 16}.Freeze()

// FuzzContainer gives any bytes to the decoder as a file: it neither panics nor
// goes on for ever, and a file that is read in pieces gives what it gives whole.
func FuzzContainer(f *testing.F) {
	for _, codec := range []ocf.CodecName{ocf.Null, ocf.Deflate, ocf.Snappy, ocf.ZStandard} {
		content := file(f, codec, 3, 10)
		f.Add([]byte(content))
		f.Add([]byte(content[:len(content)/2] + "x" + content[len(content)/2:]))
	}
	format, err := connectors.LookupFormat("avro")
	if err != nil {
		f.Fatal(err)
	}
	f.Fuzz(func(t *testing.T, data []byte) {
		config := formattest.Config(t, "avro", formattest.Schema(t, "n INT", "s TEXT"))
		layout, err := format.Layout(config.Options)
		if err != nil {
			t.Fatal(err)
		}
		n, _, err := layout.Header(data, true)
		if err != nil {
			return
		}
		head, body := data[:n], data[n:]
		whole := layout.Records(head, body)
		if whole > len(body) {
			t.Fatalf("%d of %d bytes are whole", whole, len(body))
		}
		if whole == 0 {
			return
		}
		all := formattest.Decode(t, "avro", config, 100, &connectors.Chunk{Data: body[:whole], Header: head, Base: int64(n)})
		var parts []*connectors.Chunk
		for at := 0; at < whole; {
			take := 0
			for end := at + 1; end <= whole && take == 0; end++ {
				take = layout.Records(head, body[at:end])
			}
			if take == 0 {
				break
			}
			parts = append(parts, &connectors.Chunk{Data: body[at : at+take], Header: head, Base: int64(n + at)})
			at += take
		}
		pieces := formattest.Decode(t, "avro", config, 100, parts...)
		if strings.Contains(strings.Join(all, "\n"), "cannot be read") {
			return // how much a damaged block takes along depends on what was there of the file
		}
		if len(all) != len(pieces) {
			t.Errorf("whole: %q\nin pieces: %q", all, pieces)
		}
	})
}

// FuzzBlocks gives any bytes to the decoder as the records of two blocks, which a
// codec has compressed, so that damage lies behind checksums and markers: the codec
// changes nothing, nor does it matter whether blocks come together.
func FuzzBlocks(f *testing.F) {
	records := func(n int) (out []byte) {
		for i := range n {
			out = append(out, encode(f, blockSchema, map[string]any{"n": i, "s": "text"})...)
		}
		return out
	}
	for codec := range uint8(4) {
		f.Add(codec, int64(3), records(3), int64(2), records(2))
		f.Add(codec, int64(4), records(3), int64(1), records(2))
		f.Add(codec, int64(0), []byte{}, int64(-1), records(1))
	}
	format, err := connectors.LookupFormat("avro")
	if err != nil {
		f.Fatal(err)
	}
	f.Fuzz(func(t *testing.T, codec uint8, count int64, first []byte, another int64, second []byte) {
		config := formattest.Config(t, "avro", formattest.Schema(t, "n INT", "s TEXT"))
		layout, err := format.Layout(config.Options)
		if err != nil {
			t.Fatal(err)
		}
		decode := func(name ocf.CodecName, together bool) []string {
			head := []byte(file(t, name, 1, 0))
			var chunks []*connectors.Chunk
			base := int64(len(head))
			for i, data := range [][]byte{first, second} {
				n := []int64{count, another}[i]
				data = compressed(t, name, data)
				body := binary.AppendVarint(binary.AppendVarint(nil, n), int64(len(data)))
				body = append(append(body, data...), head[len(head)-16:]...)
				if together && i > 0 {
					chunks[0].Data = append(chunks[0].Data, body...)
				} else {
					chunks = append(chunks, &connectors.Chunk{Data: body, Header: head, Base: base})
				}
				base += int64(len(body))
			}
			for _, c := range chunks {
				if n := layout.Records(head, c.Data); n != len(c.Data) && !bytes.Contains(first, head[len(head)-16:]) {
					t.Fatalf("%d of %d bytes are whole", n, len(c.Data))
				}
			}
			lines := formattest.Decode(t, "avro", config, 100, chunks...)
			slices.Sort(lines) // rejections come behind the rows of their batch
			return lines
		}
		want := decode(ocf.Null, true)
		if apart := decode(ocf.Null, false); !slices.Equal(apart, want) {
			t.Errorf("together: %q\napart: %q", want, apart)
		}
		name := []ocf.CodecName{ocf.Null, ocf.Deflate, ocf.Snappy, ocf.ZStandard}[codec%4]
		got := decode(name, true)
		for _, lines := range [][]string{got, want} { // places, and what was read of a block, are the file's
			for i := range lines {
				if strings.HasPrefix(lines[i], "decode ") {
					lines[i] = "rejected"
				}
			}
			slices.Sort(lines)
		}
		if !slices.Equal(got, want) {
			t.Errorf("%s: %q\nnot compressed: %q", name, got, want)
		}
	})
}

var zstdEncoder, _ = zstd.NewWriter(nil) // without options nothing can be wrong

// compressed is the bytes of a block as a codec writes them.
func compressed(t testing.TB, name ocf.CodecName, data []byte) []byte {
	switch name {
	case ocf.Snappy:
		return new(ocf.SnappyCodec).Encode(data)
	case ocf.Deflate:
		var b bytes.Buffer
		w, err := flate.NewWriter(&b, flate.BestSpeed)
		if err != nil {
			t.Fatal(err)
		}
		if _, err := w.Write(data); err != nil {
			t.Fatal(err)
		}
		if err := w.Close(); err != nil {
			t.Fatal(err)
		}
		return b.Bytes()
	case ocf.ZStandard:
		return zstdEncoder.EncodeAll(data, nil)
	}
	return data
}
