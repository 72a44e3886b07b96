package protobuf_test

import (
	"math/rand/v2"
	"strings"
	"testing"

	"google.golang.org/protobuf/encoding/protowire"

	"github.com/leatdb/leat/connectors"
	"github.com/leatdb/leat/connectors/format/internal/formattest"
	"github.com/leatdb/leat/connectors/format/protobuf"
	"github.com/leatdb/leat/sql/types"
)

// fastFields draws columns of testProto, of types that take its values as they are
// and of others.
func fastFields(t testing.TB, r *rand.Rand) []connectors.Field {
	odds := 4 << r.IntN(4) // of many columns one sends nearly every record to the walk
	var fields []connectors.Field
	for _, c := range formattest.Schema(t, "id BIGINT", "id TINYINT", "small INT", "small INT NOT NULL", "si INT", "si TEXT", "sl BIGINT", "u INT UNSIGNED", "u INT", "ul BIGINT UNSIGNED", "f32 INT UNSIGNED",
		"f64 BIGINT UNSIGNED", "s32 INT", "s64 BIGINT", "flag BOOLEAN", "flag INT", "ratio FLOAT", "fare DOUBLE", "fare DECIMAL(8,2)", "name TEXT", "name VARCHAR(5)", "name CHAR(5)", "name DECIMAL(6,2)", "name DATE", "name INT", "name DOUBLE",
		"data VARBINARY(20)", "color VARCHAR(5)", "color INT", "maybe TEXT", "maybe TEXT NOT NULL", "at TIMESTAMP(6)", "at DATETIME(3)", "at DATETIME", "took DECIMAL(20,9)", "note TEXT", "count BIGINT",
		"extra JSON", "rider JSON", "riders JSON", "legs JSON", "labels JSON", "card TEXT", "cash BIGINT", "friend JSON", "a_long_name TEXT", "a_long_name VARCHAR(3)", "missing INT") {
		if r.IntN(odds) == 0 && (!c.NotNull || r.IntN(4) == 0) {
			fields = append(fields, connectors.Field{Column: c, Path: []string{c.Name}})
		}
	}
	for _, path := range [][]string{{"rider", "score"}, {"rider", "os"}, {"rider", "next", "score"}, {"rider", "next", "since"}, {"rider", "card"}, {"rider", "tags"}, {"friend", "os"}, {"name", "a"}} {
		if r.IntN(odds) == 0 {
			f := connectors.Field{Column: types.Column{Name: "below", Type: types.TypeText}, Path: path, Mode: connectors.FieldUnquote}
			if path[len(path)-1] == "score" && r.IntN(2) == 0 {
				f.Cast = types.TypeFloat64
			}
			fields = append(fields, f)
		}
	}
	return fields
}

// checkFast compares what the fast path and the walk make of messages.
func checkFast(t testing.TB, fields []connectors.Field, policy connectors.OnFieldError, records ...string) {
	t.Helper()
	checkFastOf(t, testProto, "t.Trip", fields, policy, records...)
}

func checkFastOf(t testing.TB, schema, message string, fields []connectors.Field, policy connectors.OnFieldError, records ...string) {
	t.Helper()
	format, err := connectors.LookupFormat("protobuf")
	if err != nil {
		t.Fatal(err)
	}
	config := connectors.DecoderConfig{Fields: fields, Options: format.Spec.MustOptions("schema", schema, "message", message), OnFieldError: policy}
	formattest.CompareGeneric(t, protobuf.NewDecoder, config, 300, formattest.Messages(records...))
}

// shuffle moves a field of a message to its end, or repeats it there.
func shuffle(r *rand.Rand, data []byte) []byte {
	var starts []int
	for at := 0; at < len(data); {
		starts = append(starts, at)
		_, _, n := protowire.ConsumeField(data[at:])
		if n < 0 {
			break
		}
		at += n
	}
	if len(starts) < 2 {
		return data
	}
	i := r.IntN(len(starts) - 1)
	out := data
	if r.IntN(2) == 0 {
		out = append(append([]byte{}, data[:starts[i]]...), data[starts[i+1]:]...)
	}
	return append(append([]byte{}, out...), data[starts[i]:starts[i+1]]...)
}

// The fast path makes of every message, damaged and unusual ones too, what the walk
// makes of it.
func TestFast_Differential(t *testing.T) {
	d := testType()
	r := rand.New(rand.NewPCG(7, 8))
	var records []string
	for i := range 600 {
		data := marshal(random(r, d, 0))
		switch i % 6 {
		case 0, 1:
			data = formattest.Damage(r, data)
		case 2:
			data = shuffle(r, data)
		}
		records = append(records, string(data))
	}
	for range 60 {
		checkFast(t, fastFields(t, r), connectors.OnFieldError(r.IntN(2)), records...)
		if t.Failed() {
			return
		}
	}
}

// FuzzFast is TestFast_Differential for any bytes.
func FuzzFast(f *testing.F) {
	d := testType()
	r := rand.New(rand.NewPCG(9, 10))
	for seed := range uint64(40) {
		f.Add(marshal(random(r, d, 0)), seed)
	}
	f.Fuzz(func(t *testing.T, data []byte, seed uint64) {
		r := rand.New(rand.NewPCG(seed, 0))
		checkFast(t, fastFields(t, r), connectors.OnFieldError(r.IntN(2)), string(data))
	})
}

// What an inner message was cut off of is not taken of the bytes behind it.
func TestFast_CutInnerMessage(t *testing.T) {
	const schema = `syntax = "proto3";
package t;
import "google/protobuf/timestamp.proto";
message Trip {
  message Rider { int32 color = 16; google.protobuf.Timestamp since = 17; }
  Rider rider = 1;
  google.protobuf.Timestamp at = 2;
}`
	high := strings.Repeat("\x80", 8)
	for _, c := range []struct {
		column  string
		path    []string
		records []string
	}{
		{"color TEXT", []string{"rider", "color"}, []string{"\x0a\x01\x80\x01" + high, "\x0a\x01\x80" + high + high, "\x0a\x02\x80\x01" + high}},
		{"at TIMESTAMP(6)", []string{"at"}, []string{"\x12\x01\x08" + high + "\x01", "\x12\x03\x08\x01\x10" + high + "\x01", "\x12\x01\x10" + high + "\x01", "\x12\x01\x08" + high + high}},
	} {
		f := connectors.Field{Column: formattest.Schema(t, c.column)[0], Path: c.path}
		if len(c.path) > 1 {
			f.Mode = connectors.FieldUnquote
		}
		for _, record := range c.records {
			checkFastOf(t, schema, "t.Trip", []connectors.Field{f}, connectors.FieldErrorDeadLetter, record)
		}
	}
}
