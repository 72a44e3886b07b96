package protobuf_test

import (
	"math/rand/v2"
	"strings"
	"testing"

	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/reflect/protoreflect"
	"google.golang.org/protobuf/types/dynamicpb"

	"github.com/leatdb/leat/connectors"
	"github.com/leatdb/leat/connectors/format/internal/formattest"
	"github.com/leatdb/leat/sql/types"
)

// FuzzDecode gives any bytes to the decoder as a message. What the library reads
// is what the reference makes of it.
func FuzzDecode(f *testing.F) {
	d := testType()
	r := rand.New(rand.NewPCG(3, 4))
	for range 8 {
		f.Add(marshal(random(r, d, 0)))
	}
	f.Fuzz(func(t *testing.T, data []byte) {
		if len(data) == 0 {
			return
		}
		m := dynamicpb.NewMessage(d)
		if err := proto.Unmarshal(data, m); err != nil {
			m = nil
		}
		for _, name := range []string{"id", "rider", "riders", "friend", "cash", "legs", "loose", "color", "count"} {
			field := connectors.Field{Column: types.Column{Name: name, Type: types.Type{Kind: types.String, Name: "LONGTEXT"}}, Path: []string{name}, Mode: connectors.FieldExtract}
			got := decodeField(t, "protobuf", []string{"schema", testProto, "message", "t.Trip"}, field, formattest.Messages(string(data)))[0]
			if m == nil || strings.HasPrefix(got, "decode ") {
				continue
			}
			only := dynamicpb.NewMessage(d)
			if fd := d.Fields().ByName(protoreflect.Name(name)); m.Has(fd) {
				only.Set(fd, m.Get(fd))
			}
			want := decodeField(t, "json", nil, field, formattest.Messages(textOf(only)))[0]
			if got != want && !strings.Contains(want, "NaN") {
				t.Errorf("%s: %s, want %s", name, got, want)
			}
		}
	})
}
