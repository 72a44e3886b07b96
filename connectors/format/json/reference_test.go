package json_test

import (
	"bytes"
	"encoding/hex"
	stdjson "encoding/json"
	"fmt"
	"math/big"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"
	"unicode/utf8"

	"github.com/apache/arrow-go/v18/arrow"
	"github.com/apache/arrow-go/v18/arrow/array"
	"github.com/apache/arrow-go/v18/arrow/memory"

	"github.com/leatdb/leat/connectors"
	"github.com/leatdb/leat/connectors/format/json"
	"github.com/leatdb/leat/internal/mysqljson"
	"github.com/leatdb/leat/sql/types"
)

// outcome is what became of one value.
type outcome struct {
	record     int32
	start, end int32
	row        []string // nil when it was rejected
	class      connectors.ErrorClass
	message    string
}

func (o outcome) String() string {
	return fmt.Sprintf("record %d [%d:%d] %q %s %s", o.record, o.start, o.end, o.row, o.class, o.message)
}

// decodeAll decodes a chunk in batches of maxRows and returns what became of
// its values, in order, and how many frames were empty.
func decodeAll(t testing.TB, config connectors.DecoderConfig, c *connectors.Chunk, maxRows int, generic bool) ([]outcome, int) {
	t.Helper()
	mem := memory.NewCheckedAllocator(memory.NewGoAllocator())
	config.Alloc = mem
	d, err := json.NewDecoder(config)
	if err != nil {
		t.Fatal(err)
	}
	d.SetGeneric(generic)
	outcomes, empty := run(t, d, c, maxRows)
	d.Close()
	if n := mem.CurrentAlloc(); n != 0 {
		t.Errorf("%d bytes are still allocated", n)
	}
	return outcomes, empty
}

func run(t testing.TB, d *json.Decoder, c *connectors.Chunk, maxRows int) (outcomes []outcome, empty int) {
	t.Helper()
	d.Reset(c)
	for {
		out, err := d.Next(maxRows)
		if err != nil {
			t.Fatal(err)
		}
		if out == nil {
			break
		}
		rows := int(out.Batch.NumRows())
		if rows > maxRows || rows != len(out.Values) {
			t.Fatalf("%d rows, %d values, at most %d asked for", rows, len(out.Values), maxRows)
		}
		for i, v := range out.Values {
			outcomes = append(outcomes, outcome{v.Record, v.Start, v.End, printRow(out.Batch, i), "", ""})
		}
		for _, r := range out.Rejected {
			outcomes = append(outcomes, outcome{r.Value.Record, r.Value.Start, r.Value.End, nil, r.Class, r.Message})
		}
		empty += out.Empty
	}
	slices.SortStableFunc(outcomes, func(a, b outcome) int { return int(a.start - b.start) })
	return outcomes, empty
}

func printRow(batch arrow.RecordBatch, row int) []string {
	out := make([]string, batch.NumCols())
	for i := range out {
		out[i] = printValue(batch.Column(i), row)
	}
	return out
}

func printValue(a arrow.Array, row int) string {
	if a.IsNull(row) {
		return "NULL"
	}
	switch a := a.(type) {
	case *array.Decimal128:
		return a.Value(row).ToString(a.DataType().(*arrow.Decimal128Type).Scale)
	case *array.Timestamp:
		return time.UnixMicro(int64(a.Value(row))).UTC().Format("2006-01-02 15:04:05.000000")
	case *array.Time64:
		return (time.Duration(a.Value(row)) * time.Microsecond).String()
	case *array.Date32:
		return time.Unix(int64(a.Value(row))*86400, 0).UTC().Format("2006-01-02")
	case *array.Float64:
		return strconv.FormatFloat(a.Value(row), 'g', -1, 64)
	case *array.Float32:
		return strconv.FormatFloat(float64(a.Value(row)), 'g', -1, 32)
	case *array.String:
		return strconv.Quote(a.Value(row))
	case *array.Dictionary:
		return printValue(a.Dictionary(), a.GetValueIndex(row))
	case *array.Binary:
		return "0x" + hex.EncodeToString(a.Value(row))
	case *array.Boolean:
		return strconv.FormatBool(a.Value(row))
	}
	return a.ValueStr(row)
}

// member is a member of an object as encoding/json splits it.
type member struct {
	name  string
	value stdjson.RawMessage
}

func split(t testing.TB, raw []byte) []member {
	d := stdjson.NewDecoder(bytes.NewReader(raw))
	if _, err := d.Token(); err != nil {
		t.Fatalf("%s: %v", raw, err)
	}
	var list []member
	for d.More() {
		name, err := d.Token()
		if err != nil {
			t.Fatalf("%s: %v", raw, err)
		}
		var v stdjson.RawMessage
		if err := d.Decode(&v); err != nil {
			t.Fatalf("%s: %v", raw, err)
		}
		list = append(list, member{name.(string), v})
	}
	return list
}

// find follows a path through a record. It keeps the members of the objects that
// it took apart, the last ones first.
func find(t testing.TB, objects map[string][]member, raw stdjson.RawMessage, path []string, root bool) (stdjson.RawMessage, bool) {
	if len(path) == 0 {
		return raw, true
	}
	if strings.HasPrefix(path[0], "[") && !root {
		index, _ := strconv.Atoi(strings.Trim(path[0], "[]"))
		if raw[0] == '[' {
			var list []stdjson.RawMessage
			if err := stdjson.Unmarshal(raw, &list); err != nil {
				t.Fatal(err)
			}
			if index >= len(list) {
				return nil, false
			}
			return find(t, objects, list[index], path[1:], false)
		}
		if index > 0 {
			return nil, false
		}
		return find(t, objects, raw, path[1:], false)
	}
	if raw[0] != '{' {
		return nil, false
	}
	members, known := objects[string(raw)]
	if !known {
		members = split(t, raw)
		slices.Reverse(members)
		objects[string(raw)] = members
	}
	for _, m := range members {
		if m.name == path[0] {
			return find(t, objects, m.value, path[1:], false)
		}
	}
	if root {
		for _, m := range members {
			if strings.EqualFold(m.name, path[0]) {
				return find(t, objects, m.value, path[1:], false)
			}
		}
	}
	return nil, false
}

// referenceRow decodes a valid record slowly: the row as printRow prints it, or
// which field does not fit.
func referenceRow(t testing.TB, fields []connectors.Field, raw []byte) (row []string, misfit string) {
	objects := map[string][]member{}
	for _, f := range fields {
		v, found := find(t, objects, raw, f.Path, true)
		printed := "NULL"
		if found {
			var ok bool
			if printed, ok = referenceValue(t, f, v); !ok {
				return nil, f.Column.Name
			}
		}
		if printed == "NULL" && f.Column.NotNull {
			return nil, f.Column.Name
		}
		row = append(row, printed)
	}
	return row, ""
}

// referenceValue converts with the standard library and big numbers. It knows
// the types that the generators of these tests use, and the spellings that they
// write.
func referenceValue(t testing.TB, f connectors.Field, raw stdjson.RawMessage) (printed string, ok bool) {
	typ := f.Column.Type
	var v any
	d := stdjson.NewDecoder(bytes.NewReader(raw))
	d.UseNumber()
	if err := d.Decode(&v); err != nil {
		t.Fatal(err)
	}
	if f.Mode != connectors.FieldColumn {
		if v == nil && len(f.Path) == 1 {
			return "NULL", true
		}
		if s, ok := v.(string); ok && f.Mode == connectors.FieldUnquote {
			return strconv.Quote(s), true
		}
		normal, err := mysqljson.AppendNormal(nil, raw)
		if err != nil {
			return "", false
		}
		return strconv.Quote(string(normal)), true
	}
	if v == nil {
		return "NULL", true
	}
	_, isString := v.(string)
	_, isNumber := v.(stdjson.Number)
	text := string(raw)
	if s, ok := v.(string); ok {
		text = s
	}
	switch typ.Kind {
	case types.JSON:
		return strconv.Quote(string(raw)), true
	case types.String:
		if typ.Length > 0 && utf8.RuneCountInString(text) > typ.Length {
			if utf8.RuneCountInString(strings.TrimRight(text, " ")) > typ.Length {
				return "", false
			}
			text = string([]rune(text)[:typ.Length])
		}
		if typ.Name == "CHAR" {
			text = strings.TrimRight(text, " ")
		}
		if typ.Name == "ENUM" && (!isString || !slices.Contains(typ.Members, text)) {
			r, ok := rational(text)
			if !ok || !r.IsInt() || r.Sign() <= 0 || r.Cmp(big.NewRat(int64(len(typ.Members)), 1)) > 0 {
				return "", false
			}
			text = typ.Members[r.Num().Int64()-1]
		}
		return strconv.Quote(text), true
	case types.Binary:
		return "0x" + hex.EncodeToString([]byte(text)), len(text) <= typ.Length || typ.Length == 0
	case types.Date, types.DateTime, types.Timestamp:
		return referenceTime(typ, text, isNumber)
	}
	if b, ok := v.(bool); ok {
		text = map[bool]string{true: "1", false: "0"}[b]
	} else if !isNumber && !isString {
		return "", false
	}
	r, ok := rational(text)
	if !ok {
		return "", false
	}
	switch typ.Kind {
	case types.Float32, types.Float64:
		x, err := strconv.ParseFloat(strings.TrimSpace(text), 64)
		if err != nil && x != 0 {
			return "", false
		}
		if typ.Kind == types.Float32 {
			y := float32(x)
			s := strconv.FormatFloat(float64(y), 'g', -1, 32)
			return s, !strings.Contains(s, "Inf")
		}
		return strconv.FormatFloat(x, 'g', -1, 64), true
	case types.Decimal:
		s := r.FloatString(typ.Scale)
		digits := strings.TrimLeft(strings.NewReplacer("-", "", ".", "").Replace(s), "0")
		if strings.Trim(s, "-0.") == "" {
			s = strings.TrimPrefix(s, "-")
		}
		return s, len(digits) <= typ.Precision
	}
	if !r.IsInt() {
		return "", false
	}
	low, high := integerRange(typ)
	if r.Num().Cmp(low) < 0 || r.Num().Cmp(high) > 0 {
		return "", false
	}
	if typ.Kind == types.Bool {
		return strconv.FormatBool(r.Sign() != 0), true
	}
	return r.Num().String(), true
}

// rational reads a decimal number; numbers too far from 1 to write out stand
// for huge and tiny ones.
func rational(text string) (*big.Rat, bool) {
	text = strings.TrimSpace(text)
	if text == "" || strings.Trim(text, "0123456789+-.eE") != "" {
		return nil, false
	}
	if i := strings.IndexAny(text, "eE"); i >= 0 {
		n, err := strconv.Atoi(text[i+1:])
		if err != nil && strings.Trim(text[i+1:], "0123456789+-") != "" {
			return nil, false
		}
		if n > 400 {
			text = text[:i] + "e400"
		} else if n < -400 {
			text = text[:i] + "e-400"
		}
	}
	return new(big.Rat).SetString(text)
}

func integerRange(typ types.Type) (low, high *big.Int) {
	one := big.NewInt(1)
	if typ.Kind == types.Bool {
		return big.NewInt(0), one
	}
	width := uint(typ.Kind.Bits())
	if strings.HasPrefix(typ.Name, "MEDIUMINT") {
		width = 24
	}
	if typ.Kind.IsUnsigned() {
		return big.NewInt(0), new(big.Int).Sub(new(big.Int).Lsh(one, width), one)
	}
	high = new(big.Int).Sub(new(big.Int).Lsh(one, width-1), one)
	return new(big.Int).Neg(new(big.Int).Add(high, one)), high
}

func referenceTime(typ types.Type, text string, isNumber bool) (string, bool) {
	if isNumber || text != "" && strings.Trim(text, "0123456789") == "" && len(text) != 8 && len(text) != 14 {
		if typ.Kind == types.Date && len(text) == 8 {
			if at, err := time.Parse("20060102", text); err == nil {
				return printTime(typ, at)
			}
		}
		r, ok := rational(text)
		if !ok {
			return "", false
		}
		magnitude := new(big.Rat).Abs(r)
		unit := int64(1)
		for _, bound := range []string{"1e11", "1e14", "1e17"} {
			if b, _ := new(big.Rat).SetString(bound); magnitude.Cmp(b) >= 0 {
				unit *= 1000
			}
		}
		r.Quo(r, new(big.Rat).SetInt64(unit))
		fsp := typ.Fsp
		if typ.Kind == types.Date {
			fsp = 6
		}
		seconds, _ := new(big.Rat).SetString(r.FloatString(fsp)) // rounds half away from zero
		micros := new(big.Rat).Mul(seconds, new(big.Rat).SetInt64(1e6)).Num()
		if !micros.IsInt64() {
			return "", false
		}
		return printTime(typ, time.UnixMicro(micros.Int64()).UTC())
	}
	for _, layout := range []string{
		"2006-01-02", "2006-01-02T15:04:05", "2006-01-02 15:04:05", "2006-01-02T15:04:05Z07:00", "2006-01-02 15:04:05Z07:00",
	} {
		if at, err := time.Parse(layout, text); err == nil {
			return printTime(typ, at.UTC())
		}
	}
	return "", false
}

func printTime(typ types.Type, at time.Time) (string, bool) {
	if typ.Kind == types.Date {
		return at.Format("2006-01-02"), at.Year() >= 1 && at.Year() <= 9999
	}
	unit := time.Second
	for range typ.Fsp {
		unit /= 10
	}
	at = at.Round(unit)
	return at.Format("2006-01-02 15:04:05.000000"), at.Year() >= 1 && at.Year() <= 9999
}

// compare decodes a chunk by the fast and by the generic decoder and, record by
// record where the text is valid, by the reference.
func compare(t testing.TB, config connectors.DecoderConfig, c *connectors.Chunk) {
	t.Helper()
	want, wantEmpty := decodeAll(t, config, c, 1000, true)
	for _, maxRows := range []int{1000, 3} {
		got, gotEmpty := decodeAll(t, config, c, maxRows, false)
		if gotEmpty != wantEmpty || len(got) != len(want) {
			for i := range min(len(got), len(want)) {
				if got[i].String() != want[i].String() {
					t.Errorf("fast    %q %v\ngeneric %q %v", c.Data[got[i].start:got[i].end], got[i], c.Data[want[i].start:want[i].end], want[i])
					break
				}
			}
			t.Fatalf("fast: %d values, %d empty; generic: %d, %d\n%q", len(got), gotEmpty, len(want), wantEmpty, c.Data)
		}
		for i := range got {
			if got[i].String() != want[i].String() {
				t.Fatalf("value %q\nfast    %v\ngeneric %v\n%q", c.Data[want[i].start:want[i].end], got[i], want[i], c.Data)
			}
		}
	}
	if config.Validation == connectors.ValidationProjected {
		return
	}
	for _, o := range want {
		raw := c.Data[o.start:o.end]
		if (o.class == connectors.ClassTooLarge) != (config.MaxRecordBytes > 0 && len(raw) > config.MaxRecordBytes) {
			t.Fatalf("%d bytes: %v", len(raw), o)
		}
		if o.class == connectors.ClassTooLarge {
			continue
		}
		if !stdjson.Valid(raw) || mysqljson.Valid(raw) != nil || raw[0] != '{' {
			if o.row != nil && config.Validation == connectors.ValidationFull {
				t.Fatalf("%q is not valid and was accepted: %q", raw, o.row)
			}
			continue
		}
		row, misfit := referenceRow(t, config.Fields, raw)
		switch {
		case config.OnFieldError == connectors.FieldErrorNull:
		case misfit != "" && (o.class != connectors.ClassField && o.class != connectors.ClassDecode || !strings.Contains(o.message, "field ")):
			t.Fatalf("value %q\ngot %v\nreference: field %s does not fit", raw, o, misfit)
		case misfit == "" && fmt.Sprintf("%q", row) != fmt.Sprintf("%q", o.row):
			t.Fatalf("value %q\ngot       %q %s\nreference %q", raw, o.row, o.message, row)
		}
	}
}
