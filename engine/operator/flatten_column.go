package operator

import (
	"bytes"
	"errors"
	"fmt"
	"math"
	"slices"
	"time"
	"unicode/utf8"
	"unsafe"

	"github.com/apache/arrow-go/v18/arrow"
	"github.com/apache/arrow-go/v18/arrow/array"
	"github.com/apache/arrow-go/v18/arrow/decimal128"

	"github.com/leatdb/leat/engine/kernel"
	"github.com/leatdb/leat/internal/mysqljson"
	"github.com/leatdb/leat/planner/logical"
	"github.com/leatdb/leat/sql/types"
)

// tableColumn is one column of a JSON_TABLE. Its value of the current row is
// computed once and appended to each output row that it belongs to.
type tableColumn struct {
	logical.JSONTableColumn
	path             mysqljson.Path
	onEmpty, onError response

	builder  array.Builder
	location *time.Location
	matches  []mysqljson.Node

	// The current value: null, or by the column's kind one of the others.
	null    bool
	integer int64 // integers (BIGINT UNSIGNED as its bits), BOOLEAN, dates, times
	double  float64
	decimal decimal128.Num
	text    []byte
}

// response is an ON EMPTY or ON ERROR clause.
type response struct {
	fails bool
	value []byte // the DEFAULT, as JSON; nil for NULL
}

var (
	errTooLong   = errors.New("too long")
	errNotMember = errors.New("not one of the members")
)

func newTableColumn(c logical.JSONTableColumn) (*tableColumn, error) {
	t := &tableColumn{JSONTableColumn: c, null: true}
	if c.Type.Kind == types.Null {
		return nil, errors.New("a column needs a type")
	}
	if c.Ordinality {
		if !c.Type.Kind.IsInteger() {
			return nil, fmt.Errorf("FOR ORDINALITY counts in an integer type, not %s", c.Type)
		}
		return t, nil
	}
	var err error
	if t.path, err = mysqljson.ParsePath(c.Path); err != nil {
		return nil, err
	}
	if c.Exists {
		return t, nil
	}
	if t.onEmpty, err = t.response("EMPTY", c.OnEmpty); err != nil {
		return nil, err
	}
	t.onError, err = t.response("ERROR", c.OnError)
	return t, err
}

// response checks an ON EMPTY or ON ERROR clause. As in MySQL the text of a
// DEFAULT is JSON; a number or boolean stands for itself.
func (c *tableColumn) response(clause string, d logical.JSONTableDefault) (response, error) {
	r := response{fails: d.Error}
	if d.Error || d.Default == nil || d.Default.Value == nil {
		return r, nil
	}
	switch v := d.Default.Value.(type) {
	case string:
		r.value = []byte(v)
	case []byte:
		r.value = v
	default:
		r.value = fmt.Append(nil, v)
	}
	if err := mysqljson.Valid(r.value); err != nil {
		return r, fmt.Errorf("DEFAULT '%s' ON %s: %w; a text is written as '\"text\"'", r.value, clause, err)
	}
	if err := c.store(r.value); err != nil {
		return r, fmt.Errorf("DEFAULT '%s' ON %s does not fit %s: %w", r.value, clause, c.Type, err)
	}
	c.null = true
	return r, nil
}

func (c *tableColumn) begin(ctx *kernel.Context) {
	c.builder = array.NewBuilder(ctx.Alloc, c.Type.Arrow())
	c.location = ctx.Location
	c.null = true
}

// finish returns what was appended, and frees the builder.
func (c *tableColumn) finish() arrow.Array {
	defer c.builder.Release()
	return c.builder.NewArray()
}

func (c *tableColumn) setNull() { c.null = true }

// evaluate computes the column for a match of its level, the ordinal-th one.
// The error fails the document.
func (c *tableColumn) evaluate(doc *mysqljson.Document, match mysqljson.Node, ordinal int) error {
	c.null = false
	if c.Ordinality {
		c.integer = int64(ordinal)
		return nil
	}
	c.matches = doc.FindAll(match, c.path, c.matches[:0])
	switch {
	case c.Exists:
		found := "0"
		if len(c.matches) > 0 {
			found = "1"
		}
		return c.store(viewBytes(found))
	case len(c.matches) == 0:
		if c.onEmpty.fails {
			return fmt.Errorf("missing value for JSON_TABLE column '%s'", c.Name)
		}
		return c.respond(c.onEmpty)
	}
	err := c.storeMatches(doc)
	if err == nil {
		return nil
	}
	if c.onError.fails {
		return fmt.Errorf("JSON_TABLE column '%s': value %s does not fit %s: %w", c.Name, shorten(doc.Bytes(c.matches[0])), c.Type, err)
	}
	return c.respond(c.onError)
}

func (c *tableColumn) respond(r response) error {
	if c.null = r.value == nil; c.null {
		return nil
	}
	return c.store(r.value)
}

var errNoScalar = errors.New("a scalar column holds no array or object, and no more than one value")

// storeMatches makes what the path has found the current value. Several values
// are an array, in a JSON column.
func (c *tableColumn) storeMatches(doc *mysqljson.Document) (err error) {
	c.null = false
	if len(c.matches) == 1 {
		return c.store(doc.Bytes(c.matches[0]))
	}
	if c.Type.Kind != types.JSON {
		return errNoScalar
	}
	c.text = append(c.text[:0], '[')
	for i, m := range c.matches {
		if i > 0 {
			c.text = append(c.text, ", "...)
		}
		if c.text, err = doc.AppendNormal(c.text, m); err != nil {
			return err
		}
	}
	c.text = append(c.text, ']')
	return nil
}

// store makes a JSON value the current value, converted as MySQL stores the
// values of a JSON_TABLE.
func (c *tableColumn) store(value []byte) (err error) {
	kind := mysqljson.KindOf(value)
	if c.null = kind == mysqljson.Null; c.null {
		return nil
	}
	if c.Type.Kind == types.JSON {
		c.text, err = mysqljson.AppendNormal(c.text[:0], value)
		return err
	}
	if kind == mysqljson.Array || kind == mysqljson.Object {
		return errNoScalar
	}
	if c.text, err = mysqljson.AppendUnquoted(c.text[:0], value); err != nil {
		return err
	}
	switch c.Type.Kind {
	case types.String:
		return c.storeString()
	case types.Binary:
		return c.storeBinary(kind)
	case types.Float32, types.Float64:
		c.double, err = mysqljson.ParseDouble(numberText(c.text, kind))
		if err == nil && c.Type.Kind == types.Float32 && math.IsInf(float64(float32(c.double)), 0) {
			err = mysqljson.ErrOutOfRange
		}
		return err
	case types.Decimal:
		// A number with a fraction is a double by now, in its shortest digits.
		c.decimal, err = mysqljson.ParseDecimal(numberText(c.text, kind), c.Type.Precision, c.Type.Scale)
		return err
	case types.Date, types.Time, types.DateTime, types.Timestamp:
		return c.storeTemporal()
	}
	magnitude, negative, err := jsonInteger(c.text, kind)
	if err != nil {
		return err
	}
	return c.storeInteger(magnitude, negative)
}

// numberText is the text of a scalar as a number: booleans are 1 and 0.
func numberText(text []byte, kind mysqljson.Kind) []byte {
	if kind == mysqljson.Bool {
		if text[0] == 't' {
			return viewBytes("1")
		}
		return viewBytes("0")
	}
	return text
}

// jsonInteger converts a scalar to an integer as MySQL coerces JSON: doubles are
// rounded half to even, strings must be whole numbers to their end.
func jsonInteger(text []byte, kind mysqljson.Kind) (magnitude uint64, negative bool, err error) {
	text = numberText(text, kind)
	if kind == mysqljson.String {
		text = bytes.TrimLeft(text, " \t")
		if bytes.ContainsAny(text, ".eE ") {
			return 0, false, mysqljson.ErrNotInteger
		}
		return mysqljson.ParseInteger(text)
	}
	if !bytes.ContainsAny(text, ".e") {
		return mysqljson.ParseInteger(text)
	}
	f, err := mysqljson.ParseDouble(text)
	if err != nil {
		return 0, false, err
	}
	f = math.RoundToEven(f)
	if f <= math.MinInt64 || f >= math.MaxInt64 {
		return 0, false, mysqljson.ErrOutOfRange
	}
	return uint64(math.Abs(f)), f < 0, nil
}

// storeInteger checks the range of the column's type.
func (c *tableColumn) storeInteger(magnitude uint64, negative bool) error {
	limit := uint64(1) // of what is not negative
	switch width := c.Type.Kind.Bits(); {
	case c.Type.Kind == types.Bool:
	case c.Type.Name == "MEDIUMINT":
		limit = 1<<23 - 1
	case c.Type.Name == "MEDIUMINT UNSIGNED":
		limit = 1<<24 - 1
	case c.Type.Kind.IsUnsigned():
		limit = 1<<width - 1
	default:
		limit = 1<<(width-1) - 1
	}
	c.integer = int64(magnitude)
	if negative {
		c.integer = -c.integer
		if c.Type.Kind == types.Bool || c.Type.Kind.IsUnsigned() {
			limit = 0
		} else {
			limit++
		}
	}
	if magnitude > limit {
		return mysqljson.ErrOutOfRange
	}
	return nil
}

func (c *tableColumn) storeTemporal() (err error) {
	switch c.Type.Kind {
	case types.Date:
		var days int32
		days, err = mysqljson.ParseDate(c.text)
		c.integer = int64(days)
	case types.Time:
		c.integer, err = mysqljson.ParseTime(c.text, c.Type.Fsp)
	default:
		var zoned bool
		c.integer, zoned, err = mysqljson.ParseDateTime(c.text, c.Type.Fsp)
		if instant := c.Type.Kind == types.Timestamp; c.location != nil && zoned != instant {
			c.integer = shift(c.integer, c.location, instant)
		}
	}
	return err
}

// shift turns a wall clock of a zone into an instant, or an instant into the
// zone's wall clock; both in µs since 1970.
func shift(micros int64, zone *time.Location, toInstant bool) int64 {
	t := time.UnixMicro(micros).UTC()
	if toInstant {
		return time.Date(t.Year(), t.Month(), t.Day(), t.Hour(), t.Minute(), t.Second(), t.Nanosecond(), zone).UnixMicro()
	}
	_, offset := t.In(zone).Zone()
	return micros + int64(offset)*1_000_000
}

func (c *tableColumn) storeString() error {
	switch c.Type.Name {
	case "ENUM":
		if slices.Contains(c.Type.Members, string(c.text)) {
			return nil
		}
		n, negative, err := mysqljson.ParseInteger(c.text)
		if err != nil || negative || n == 0 || n > uint64(len(c.Type.Members)) {
			return errNotMember
		}
		c.text = append(c.text[:0], c.Type.Members[n-1]...)
		return nil
	case "SET":
		return c.storeSet()
	}
	if c.Type.Length > 0 && len(c.text) > c.Type.Length {
		// Only spaces may be cut off.
		for n := utf8.RuneCount(c.text); n > c.Type.Length; n-- {
			if c.text[len(c.text)-1] != ' ' {
				return errTooLong
			}
			c.text = c.text[:len(c.text)-1]
		}
	}
	if c.Type.Name == "CHAR" {
		c.text = bytes.TrimRight(c.text, " ")
	}
	return nil
}

// storeSet orders the members of a SET as they were declared.
func (c *tableColumn) storeSet() error {
	var chosen []bool
	if len(c.text) > 0 {
		chosen = make([]bool, len(c.Type.Members))
		for name := range bytes.SplitSeq(c.text, []byte{','}) {
			i := slices.Index(c.Type.Members, string(name))
			if i < 0 {
				return errNotMember
			}
			chosen[i] = true
		}
	}
	c.text = c.text[:0]
	for i, in := range chosen {
		if in {
			if len(c.text) > 0 {
				c.text = append(c.text, ',')
			}
			c.text = append(c.text, c.Type.Members[i]...)
		}
	}
	return nil
}

func (c *tableColumn) storeBinary(kind mysqljson.Kind) error {
	if c.Type.Name == "BIT" {
		magnitude, negative, err := jsonInteger(c.text, kind)
		switch {
		case err != nil:
			return err
		case negative || c.Type.Length < 64 && magnitude >= 1<<c.Type.Length:
			return mysqljson.ErrOutOfRange
		}
		c.text = c.text[:0]
		for i := (c.Type.Length+7)/8 - 1; i >= 0; i-- {
			c.text = append(c.text, byte(magnitude>>(8*i)))
		}
		return nil
	}
	if c.Type.Length > 0 && len(c.text) > c.Type.Length {
		return errTooLong
	}
	if c.Type.Name == "BINARY" {
		for len(c.text) < c.Type.Length {
			c.text = append(c.text, 0)
		}
	}
	return nil
}

// append adds the current value to the column.
func (c *tableColumn) append() error {
	if c.null {
		c.builder.AppendNull()
		return nil
	}
	switch b := c.builder.(type) {
	case *array.BooleanBuilder:
		b.Append(c.integer != 0)
	case *array.Int8Builder:
		b.Append(int8(c.integer))
	case *array.Int16Builder:
		b.Append(int16(c.integer))
	case *array.Int32Builder:
		b.Append(int32(c.integer))
	case *array.Int64Builder:
		b.Append(c.integer)
	case *array.Uint8Builder:
		b.Append(uint8(c.integer))
	case *array.Uint16Builder:
		b.Append(uint16(c.integer))
	case *array.Uint32Builder:
		b.Append(uint32(c.integer))
	case *array.Uint64Builder:
		b.Append(uint64(c.integer))
	case *array.Float32Builder:
		b.Append(float32(c.double))
	case *array.Float64Builder:
		b.Append(c.double)
	case *array.Decimal128Builder:
		b.Append(c.decimal)
	case *array.Date32Builder:
		b.Append(arrow.Date32(c.integer))
	case *array.Time64Builder:
		b.Append(arrow.Time64(c.integer))
	case *array.TimestampBuilder:
		b.Append(arrow.Timestamp(c.integer))
	case *array.StringBuilder:
		if b.DataLen()+len(c.text) > math.MaxInt32 {
			return fmt.Errorf("JSON_TABLE column '%s' would hold more than 2 GiB in one batch", c.Name)
		}
		b.BinaryBuilder.Append(c.text)
	case *array.BinaryBuilder:
		if b.DataLen()+len(c.text) > math.MaxInt32 {
			return fmt.Errorf("JSON_TABLE column '%s' would hold more than 2 GiB in one batch", c.Name)
		}
		b.Append(c.text)
	default:
		return fmt.Errorf("JSON_TABLE column '%s' cannot be built as %s", c.Name, c.Type)
	}
	return nil
}

// viewBytes views a string as bytes, which are only read.
func viewBytes(s string) []byte { return unsafe.Slice(unsafe.StringData(s), len(s)) }

// shorten cuts a value for a message.
func shorten(value []byte) string {
	const most = 60
	if len(value) <= most {
		return string(value)
	}
	return string(bytes.ToValidUTF8(value[:most], nil)) + "…"
}
