//go:build services

package lake_test

import (
	"bytes"
	"cmp"
	"fmt"
	"hash/crc32"
	"math"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"
	"unicode/utf8"

	"github.com/apache/arrow-go/v18/arrow"
	"github.com/apache/arrow-go/v18/arrow/array"
	"github.com/apache/arrow-go/v18/arrow/decimal128"
	"github.com/apache/arrow-go/v18/arrow/memory"

	"github.com/leatdb/leat/connectors"
	"github.com/leatdb/leat/internal/services"
	"github.com/leatdb/leat/sql/types"
)

// sparkRows is how many rows the tables that Spark reads have.
const sparkRows = 36_000

// modelColumn is a column and what is in it, said by the test alone.
type modelColumn struct {
	name, declared string
	spark          string // Spark's type
	// value is that of a row: a decimal128.Num (unscaled; days; µs; 0 and 1 of
	// booleans), a float64 or a string; nil is NULL.
	value  func(i int) any
	values []any // of all rows
	// probes are what conditions compare with, beside values of some rows; columns
	// without have no conditions.
	probes []any
	// clustered says that conditions are for few of the files or row groups, since
	// near values lie near each other.
	clustered bool
}

func num(v int64) decimal128.Num { return decimal128.FromI64(v) }

// modelColumns are columns of all types that Spark has too.
func modelColumns() []modelColumn {
	const n = sparkRows
	some := func(f func(i int) any) func(i int) any {
		return func(i int) any {
			if i%11 == 10 {
				return nil
			}
			return f(i)
		}
	}
	// linear goes from low by equal steps.
	linear := func(low, step int64) func(i int) any {
		return some(func(i int) any { return num(low + int64(i)*step) })
	}
	scaled := func(low, high int64) func(i int) any { // by steps that are not equal
		return some(func(i int) any { return num(low + int64(i)*(high-low)/(n-1)) })
	}
	texts := []any{"plain", "", "qu'o\"te\\", "new\nline", "tréma 😀", nil, " pad ", "NULL", "\u0000", "ÿ", "zebra"}
	odd := func(i int) any {
		f := float64(i%4096)/8 + 1
		switch i * 4 / n {
		case 1: // some are NaN
			if i%100 == 3 {
				return math.NaN()
			}
		case 2: // zeros of both signs
			return math.Copysign(0, float64(i%2)-0.5)
		case 3:
			switch i % 50 {
			case 7:
				return math.Inf(1)
			case 8:
				return math.Inf(-1)
			}
			return -f
		}
		return f
	}
	odds := []any{math.NaN(), math.Inf(1), math.Inf(-1), 0.0, math.Copysign(0, -1), 1.0, -1.0, 0.0625, 1e30}
	columns := []modelColumn{
		{name: "id", declared: "BIGINT", spark: "BIGINT", value: func(i int) any { return num(int64(i) * 10) }, probes: []any{num(-1), num(5), num(n * 10)}, clustered: true},
		{name: "yes", declared: "BOOLEAN", spark: "BOOLEAN", value: some(func(i int) any { return num(int64(i * 2 / n)) }), probes: []any{num(0), num(1)}},
		{name: "i8", declared: "TINYINT", spark: "INT", value: scaled(-128, 127), probes: []any{num(-129), num(128)}, clustered: true},
		{name: "u8", declared: "TINYINT UNSIGNED", spark: "INT", value: scaled(0, 255)},
		{name: "i16", declared: "SMALLINT", spark: "INT", value: scaled(-32768, 32767)},
		{name: "u16", declared: "SMALLINT UNSIGNED", spark: "INT", value: scaled(0, 65535)},
		{name: "i24", declared: "MEDIUMINT", spark: "INT", value: scaled(-1<<23, 1<<23-1)},
		{name: "i32", declared: "INT", spark: "INT", value: scaled(math.MinInt32, math.MaxInt32), probes: []any{num(math.MinInt32), num(math.MaxInt32)}, clustered: true},
		{name: "u32", declared: "INT UNSIGNED", spark: "BIGINT", value: scaled(0, math.MaxUint32), probes: []any{num(-1), num(1 << 40)}, clustered: true},
		{name: "i64", declared: "BIGINT", spark: "BIGINT", value: linear(math.MinInt64, math.MaxUint64/n), probes: []any{num(0), num(math.MaxInt64)}, clustered: true},
		{name: "u64", declared: "BIGINT UNSIGNED", spark: "DECIMAL(20,0)", value: some(func(i int) any { return decimal128.FromU64(uint64(i) * (math.MaxUint64 / (n - 1))) }), probes: []any{num(1), decimal128.FromU64(math.MaxUint64)}, clustered: true},
		{name: "few", declared: "INT", spark: "INT", value: func(i int) any {
			if i%13 == 5 {
				return nil
			}
			return num(int64(i % 13))
		}, probes: []any{num(5), num(-1)}},
		{name: "same", declared: "INT", spark: "INT", value: func(int) any { return num(7) }, probes: []any{num(6), num(8)}},
		{name: "none", declared: "VARCHAR(10)", spark: "STRING", value: func(int) any { return nil }, probes: []any{"", "a"}},
		{name: "f32", declared: "FLOAT", spark: "FLOAT", value: some(func(i int) any { return float64(i-n/2) / 8 })},
		{name: "f64", declared: "DOUBLE", spark: "DOUBLE", value: some(func(i int) any { return float64(i-n/2) * 128 }), probes: []any{0.5, -1e300}, clustered: true},
		{name: "odd32", declared: "FLOAT", spark: "FLOAT", value: odd, probes: odds[:3]},
		{name: "odd64", declared: "DOUBLE", spark: "DOUBLE", value: odd, probes: odds},
		{name: "zero", declared: "DOUBLE", spark: "DOUBLE", value: func(i int) any { return math.Copysign(0, float64(i-n/2)) }, probes: []any{0.0, -1.0, math.NaN()}},
		{name: "d5", declared: "DECIMAL(5,2)", spark: "DECIMAL(5,2)", value: scaled(-99999, 99999), probes: []any{num(0), num(-1)}, clustered: true},
		{name: "d9", declared: "DECIMAL(9,2)", spark: "DECIMAL(9,2)", value: scaled(-999999999, 999999999)},
		{name: "d18", declared: "DECIMAL(18,6)", spark: "DECIMAL(18,6)", value: linear(-999999999999999999, 2*999999999999999999/n), probes: []any{num(0), num(1)}, clustered: true},
		{name: "d19", declared: "DECIMAL(19,0)", spark: "DECIMAL(19,0)", value: linear(-1<<62, 1<<63/n), probes: []any{num(0), num(-128), num(128)}, clustered: true},
		{name: "d38", declared: "DECIMAL(38,10)", spark: "DECIMAL(38,10)", value: some(func(i int) any {
			return decimal128.FromI64(int64(i - n/2)).Mul(decimal128.FromI64(1e15)).Mul(decimal128.FromI64(1e12))
		}), probes: []any{num(0), num(1)}, clustered: true},
		{name: "s", declared: "VARCHAR(20)", spark: "STRING", value: func(i int) any { return texts[i%len(texts)] }, probes: []any{"", "a", "tréma 😀", "zz", "\u0000"}},
		{name: "k", declared: "VARCHAR(20)", spark: "STRING", value: func(i int) any { return fmt.Sprintf("key-%06d", i) }, probes: []any{"key-030000x", "key-", "kez"}, clustered: true},
		{name: "long", declared: "TEXT", spark: "STRING", value: func(i int) any {
			switch i % 500 {
			case 0:
				return strings.Repeat("é", 600) + fmt.Sprintf("%06d", i)
			case 1:
				return "short"
			case 2:
				if i > n/2 { // nothing shorter is above
					return strings.Repeat("\U0010ffff", 400) + fmt.Sprint(i)
				}
			}
			return nil
		}, probes: []any{strings.Repeat("é", 600), strings.Repeat("é", 32), strings.Repeat("\U0010ffff", 400), "é"}},
		{name: "raw", declared: "VARBINARY(2000)", spark: "BINARY", value: some(func(i int) any {
			if i%5000 == 4999 {
				return strings.Repeat("\xff", 1100) + fmt.Sprint(i)
			}
			v := uint32(i) * (math.MaxUint32 / n)
			return string([]byte{byte(v >> 24), byte(v >> 16), byte(v >> 8), byte(v)})
		}), probes: []any{"", "\x7f\xff", "\x80", "\xff"}},
		{name: "day", declared: "DATE", spark: "DATE", value: linear(-30_000, 1), probes: []any{num(n)}, clustered: true},
		{name: "dt", declared: "DATETIME(6)", spark: "TIMESTAMP_NTZ", value: linear(-1e15, 5e10+1), probes: []any{num(0)}, clustered: true},
		{name: "ts", declared: "TIMESTAMP(6)", spark: "TIMESTAMP", value: linear(-1e15, 5e10+1), probes: []any{num(0)}, clustered: true},
		{name: "ts3", declared: "TIMESTAMP(3)", spark: "TIMESTAMP", value: linear(0, 1e6)},
		{name: "js", declared: "JSON", spark: "STRING", value: some(func(i int) any { return fmt.Sprintf(`{"i": %d, "text": "%0300d"}`, i, i%5) })},
		{name: "part", declared: "VARCHAR(20)", spark: "STRING", value: func(i int) any { return []any{"a=b/c %é", "plain", nil}[i%3] }, probes: []any{"plain", "", "a=b/c %é"}},
	}
	for k := range columns {
		c := &columns[k]
		for i := range n {
			c.values = append(c.values, c.value(i))
		}
	}
	return columns
}

// scale is how many digits of a Num are behind the point.
func (c *modelColumn) scale() int32 {
	if _, args, ok := strings.Cut(c.spark, ","); ok {
		n, err := strconv.ParseInt(strings.TrimSuffix(args, ")"), 10, 32)
		if err != nil {
			panic(err)
		}
		return int32(n)
	}
	return 0
}

// literal is a value as Spark's SQL writes it.
func (c *modelColumn) literal(v any) string {
	var text string
	switch v := v.(type) {
	case string:
		if c.spark == "BINARY" {
			return fmt.Sprintf("X'%X'", v)
		}
		return "'" + strings.NewReplacer(`\`, `\\`, "'", `\'`, "\n", `\n`, "\x00", `\0`).Replace(v) + "'"
	case float64:
		text = strconv.FormatFloat(v, 'g', -1, 64)
		if math.IsInf(v, 0) {
			text = strings.Replace(text, "Inf", "Infinity", 1)
		}
	case decimal128.Num:
		at := time.UnixMicro(int64(v.LowBits())).UTC()
		switch c.spark {
		case "BOOLEAN":
			return strconv.FormatBool(v.Sign() > 0)
		case "DATE":
			return time.Unix(int64(v.LowBits())*86_400, 0).UTC().Format("DATE'2006-01-02'")
		case "TIMESTAMP":
			return at.Format("TIMESTAMP'2006-01-02 15:04:05.000000Z'")
		case "TIMESTAMP_NTZ":
			return at.Format("TIMESTAMP_NTZ'2006-01-02 15:04:05.000000'")
		}
		text = v.ToString(c.scale())
	}
	return "CAST('" + text + "' AS " + c.spark + ")"
}

// plain is a value of the column, or what an expression gives, as the number or
// text that the model has.
func (c *modelColumn) plain(expression string) string {
	switch c.spark {
	case "BOOLEAN":
		return "CAST(" + expression + " AS INT)"
	case "DATE":
		return "unix_date(" + expression + ")"
	case "TIMESTAMP":
		return "unix_micros(" + expression + ")"
	case "TIMESTAMP_NTZ":
		return "unix_micros(CAST(" + expression + " AS TIMESTAMP))"
	case "TIME(6)":
		return "time_diff('MICROSECOND', TIME'00:00:00', " + expression + ")"
	case "BINARY":
		return "hex(" + expression + ")"
	}
	return expression
}

// text is what Spark prints of plain.
func (c *modelColumn) text(v any) string {
	switch v := v.(type) {
	case nil:
		return "NULL"
	case decimal128.Num:
		return v.ToString(c.scale())
	case float64:
		return fmt.Sprint(v)
	}
	if c.spark == "BINARY" {
		return fmt.Sprintf("%X", v)
	}
	return v.(string)
}

// same compares what Spark printed of plain with a value.
func (c *modelColumn) same(got *string, want any) bool {
	if got == nil || want == nil {
		return got == nil && want == nil
	}
	if f, ok := want.(float64); ok {
		g, err := strconv.ParseFloat(*got, 64)
		return err == nil && compareValues(g, f) == 0
	}
	return *got == c.text(want)
}

// compareValues orders as Spark does: NaN is equal to itself and above all, and
// zeros are equal.
func compareValues(a, b any) int {
	switch a := a.(type) {
	case decimal128.Num:
		return a.Cmp(b.(decimal128.Num))
	case float64:
		switch b := b.(float64); {
		case math.IsNaN(a) && math.IsNaN(b):
			return 0
		case math.IsNaN(a):
			return 1
		case math.IsNaN(b):
			return -1
		default:
			return cmp.Compare(a, b)
		}
	}
	return bytes.Compare([]byte(a.(string)), []byte(b.(string)))
}

// condition is one of a column, in SQL and in the model.
type condition struct {
	sql   string
	holds func(v any) bool // also of nil
}

// conditions are comparisons with values that are there, at the edges and absent.
func (c *modelColumn) conditions() []condition {
	list := []condition{
		{c.name + " IS NULL", func(v any) bool { return v == nil }},
		{c.name + " IS NOT NULL", func(v any) bool { return v != nil }},
	}
	compare := func(operator string, p any, f func(order int) bool) {
		list = append(list, condition{c.name + " " + operator + " " + c.literal(p), func(v any) bool { return v != nil && f(compareValues(v, p)) }})
	}
	equal := func(order int) bool { return order == 0 }
	less := func(order int) bool { return order < 0 }
	notLess := func(order int) bool { return order >= 0 }
	probes := c.probes
	for i, p := range probes {
		compare("=", p, equal)
		switch {
		case i == 0 || c.isFloat() && i%2 == 0:
			compare("<", p, less)
		case c.isFloat():
			compare(">=", p, notLess)
		}
	}
	for _, i := range []int{0, sparkRows / 3, sparkRows - 1} {
		v := c.values[i]
		if v == nil || slices.ContainsFunc(probes, func(p any) bool { return compareValues(p, v) == 0 }) {
			continue
		}
		probes = append(probes, v)
		switch i {
		case 0:
			compare("<", v, less)
		case sparkRows - 1:
			compare(">=", v, notLess)
		default:
			compare("=", v, equal)
		}
	}
	if len(probes) > 1 {
		a, b := probes[0], probes[len(probes)-1]
		compare("<>", b, func(order int) bool { return order != 0 })
		list = append(list, condition{fmt.Sprintf("%s IN (%s, %s)", c.name, c.literal(a), c.literal(b)), func(v any) bool {
			return v != nil && (compareValues(v, a) == 0 || compareValues(v, b) == 0)
		}})
	}
	if s, ok := probes[0].(string); ok && c.spark == "STRING" {
		_, last := utf8.DecodeLastRuneInString(s)
		prefix := s[:len(s)-last]
		list = append(list, condition{fmt.Sprintf("startswith(%s, %s)", c.name, c.literal(prefix)), func(v any) bool {
			return v != nil && strings.HasPrefix(v.(string), prefix)
		}})
	}
	return list
}

// appendValue appends a value of the model to a column's builder.
func appendValue(t *testing.T, b array.Builder, v any) {
	var err error
	switch v := v.(type) {
	case nil:
		b.AppendNull()
	case float64:
		if b, single := b.(*array.Float32Builder); single {
			b.Append(float32(v))
			return
		}
		b.(*array.Float64Builder).Append(v)
	case string:
		if b, binary := b.(*array.BinaryBuilder); binary {
			b.Append([]byte(v))
			return
		}
		b.(*array.StringBuilder).Append(v)
	case decimal128.Num:
		switch b := b.(type) {
		case *array.Decimal128Builder:
			b.Append(v)
		case *array.Date32Builder:
			b.Append(arrow.Date32(v.LowBits()))
		case *array.TimestampBuilder:
			b.Append(arrow.Timestamp(v.LowBits()))
		case *array.Time64Builder:
			b.Append(arrow.Time64(v.LowBits()))
		default: // whole numbers and booleans
			err = b.AppendValueFromString(v.ToString(0))
		}
	}
	if err != nil {
		t.Fatal(err)
	}
}

// writeModel commits the rows of a table in several epochs. Options are the
// stream's.
func writeModel(t *testing.T, dir, table string, columns []modelColumn, partition []connectors.PartitionField, epochs int, options ...string) {
	t.Helper()
	c, err := connectors.LookupSink("s3")
	if err != nil {
		t.Fatal(err)
	}
	// With so little memory there are several pages in each row group.
	spec := connectors.StreamSpec{
		Stream: "s_" + table, Table: table, Partition: partition, Lanes: 1, MemoryBytes: 1, Options: c.StreamSpec.MustOptions(options...),
	}
	for _, column := range columns {
		typ, err := types.Parse(column.declared)
		if err != nil {
			t.Fatal(err)
		}
		spec.Schema = append(spec.Schema, types.Column{Name: column.name, Type: typ})
	}
	stream := openStream(t, openSink(t, dir, nil), spec)
	defer stream.Close()
	state, _ := mustBegin(t, stream)
	b := array.NewRecordBuilder(memory.DefaultAllocator, spec.Schema.Arrow())
	defer b.Release()
	const batchRows = 2000
	rows := len(columns[0].values)
	for epoch := range epochs {
		for from, end := epoch*rows/epochs, (epoch+1)*rows/epochs; from < end; from += batchRows {
			for i := from; i < min(from+batchRows, end); i++ {
				for k := range columns {
					appendValue(t, b.Field(k), columns[k].values[i])
				}
			}
			batch := b.NewRecordBatch()
			err := stream.Writer(0).Write(t.Context(), connectors.Delta{Batch: batch})
			batch.Release()
			if err != nil {
				t.Fatal(err)
			}
		}
		sealed, err := stream.Writer(0).Seal(t.Context())
		if err != nil {
			t.Fatal(err)
		}
		state.Epoch++
		if _, err := stream.Commit(t.Context(), state, []connectors.Sealed{sealed}, connectors.CommitInfo{}); err != nil {
			t.Fatal(err)
		}
	}
}

// pick are some columns, with each step'th of their values.
func pick(columns []modelColumn, step int, names ...string) []modelColumn {
	var some []modelColumn
	for _, name := range names {
		c := columns[slices.IndexFunc(columns, func(c modelColumn) bool { return c.name == name })]
		var values []any
		for i := 0; i < len(c.values); i += step {
			values = append(values, c.values[i])
		}
		c.values = values
		some = append(some, c)
	}
	return some
}

// writeEvolved writes a table, then more of it with wider and further columns, and
// returns the columns as they are at last.
func writeEvolved(t *testing.T, dir string, columns []modelColumn) []modelColumn {
	t.Helper()
	before := pick(columns, 60, "id", "i16", "u16", "f32", "d9")
	n := len(before[0].values)
	for i := range n {
		before[0].values[i] = num(int64(i) * 10)
	}
	writeModel(t, dir, "evolved", before, nil, 1)
	after := append(slices.Clone(before), pick(columns, 60, "s")...)
	for i, wider := range [][2]string{1: {"BIGINT", "BIGINT"}, 2: {"INT UNSIGNED", "BIGINT"}, 3: {"DOUBLE", "DOUBLE"}, 4: {"DECIMAL(18,2)", "DECIMAL(18,2)"}} {
		if wider[0] != "" {
			after[i].declared, after[i].spark = wider[0], wider[1]
		}
	}
	for i := range after {
		values := slices.Clone(after[i].values)
		for k, v := range values {
			switch i {
			case 0:
				values[k] = num(int64(n+k) * 10)
			case 1, 4:
				if v != nil {
					values[k] = v.(decimal128.Num).Mul(num(1_000_003))
				}
			}
		}
		after[i].values = values
	}
	writeModel(t, dir, "evolved", after, nil, 1)
	all := slices.Clone(after)
	for i := range all {
		if i < len(before) {
			all[i].values = slices.Concat(before[i].values, after[i].values)
		} else {
			all[i].values = slices.Concat(make([]any, n), after[i].values)
		}
	}
	return all
}

// writeTransformed writes a table that is partitioned by transforms of columns.
func writeTransformed(t *testing.T, dir, table string, columns []modelColumn, transforms ...string) {
	t.Helper()
	var partition []connectors.PartitionField
	for i, transform := range transforms {
		if transform != "" {
			partition = append(partition, connectors.PartitionField{Name: columns[i].name + "_part", Column: i, Transform: transform})
		}
	}
	writeModel(t, dir, table, columns, partition, 1)
}

// sparkSession gathers statements, and what is to be checked of their results.
type sparkSession struct {
	statements []string
	checks     []func(services.SparkResult)
}

func (s *sparkSession) ask(statement string, check func(services.SparkResult)) {
	s.statements, s.checks = append(s.statements, statement), append(s.checks, check)
}

// TestFiles_Spark reads with Spark what the sink wrote, as an Iceberg table and as
// a folder of Parquet files. Every row is compared with the model; so is how many
// rows conditions find, by which Spark skips files, row groups and pages.
func TestFiles_Spark(t *testing.T) {
	columns := modelColumns()
	partition := []connectors.PartitionField{{Name: "part", Column: len(columns) - 1, Transform: "identity"}}
	options := []string{"row_group_size", "1MB", "bloom_filter_columns", "k,few,i32,u64,d18,d38,day,raw,s"}
	root := t.TempDir()
	iceberg, folder := filepath.Join(root, "iceberg"), filepath.Join(root, "hive")
	for _, dir := range []string{iceberg, folder} {
		writeModel(t, dir, "model", columns, partition, 2, options...)
	}
	s := &sparkSession{}
	s.ask("CREATE TEMPORARY VIEW folder USING parquet OPTIONS (path '"+filepath.Join(folder, "lake", "model")+"')", nil)
	for _, table := range []string{"leat.lake.model", "folder"} {
		s.askModel(t, table, columns)
	}
	for dir, table := range map[string]string{iceberg: "leat.lake.evolved", folder: "evolved"} {
		evolved := writeEvolved(t, dir, columns)
		if dir == folder {
			var declared []string
			for _, c := range evolved {
				declared = append(declared, c.name+" "+c.spark)
			}
			s.ask("CREATE TEMPORARY VIEW evolved ("+strings.Join(declared, ", ")+") USING parquet OPTIONS (path '"+filepath.Join(folder, "lake", "evolved")+"')", nil)
		}
		s.askRows(t, table, evolved, 1)
	}
	keyed := pick(columns, 20, "id", "k", "d18", "u64", "raw", "ts3")
	writeTransformed(t, iceberg, "keyed", keyed, "", "bucket[2]", "bucket[2]", "bucket[2]", "bucket[2]", "hour")
	timed := pick(columns, 20, "id", "day", "ts", "dt", "i32", "s")
	writeTransformed(t, iceberg, "timed", timed, "", "bucket[2]", "bucket[2]", "bucket[2]", "bucket[2]", "truncate[1]")
	s.askPartitions(t, "leat.lake.keyed", keyed)
	s.askPartitions(t, "leat.lake.timed", timed)
	s.askSplit(t, iceberg, folder, columns)
	start := time.Now()
	config := services.SparkIceberg("leat", filepath.Join(iceberg, "iceberg.db"), filepath.Join(iceberg, "lake"))
	config["spark.sql.timeType.enabled"] = "true"
	results := services.RunSpark(t, config, s.statements)
	t.Log("spark took", time.Since(start))
	for i, r := range results {
		if s.checks[i] != nil {
			s.checks[i](r)
		}
	}
}

// askSplit asks for columns that are split by bytes, and for those of type TIME, which
// Spark has only in plain files: Iceberg for Spark refuses the whole table. It is the
// last to ask, since Spark's vectorized reader knows no split columns.
func (s *sparkSession) askSplit(t *testing.T, iceberg, folder string, columns []modelColumn) {
	split := pick(columns, 20, "id", "f32", "f64", "odd32", "odd64", "zero")
	for i := range split[0].values {
		split[0].values[i] = num(int64(i) * 10)
	}
	writeModel(t, iceberg, "split", split, nil, 1, "byte_stream_split", "true")
	s.askRows(t, "leat.lake.split", split, 1)
	clock := modelColumn{name: "clock", declared: "TIME(6)", spark: "TIME(6)"}
	last := len(split[0].values) - 1
	for i := range last + 1 {
		var v any
		if i%11 != 10 {
			v = num(int64(i) * 86_399_999_999 / int64(last))
		}
		clock.values = append(clock.values, v)
	}
	split = append(split, clock)
	writeModel(t, folder, "split", split, nil, 1, "byte_stream_split", "true")
	s.ask("CREATE TEMPORARY VIEW split USING parquet OPTIONS (path '"+filepath.Join(folder, "lake", "split")+"')", nil)
	s.ask("SET spark.sql.parquet.enableVectorizedReader=false", nil)
	s.askRows(t, "split", split, 1)
}

// askModel asks for all that the model knows of a table.
func (s *sparkSession) askModel(t *testing.T, table string, columns []modelColumn) {
	s.askRows(t, table, columns, 7)
	var bounded []string
	var inManifests []int
	for i := range columns {
		if c := &columns[i]; c.spark != "STRING" && c.spark != "BINARY" && !strings.HasPrefix(c.name, "odd") {
			bounded, inManifests = append(bounded, c.extremes()...), append(inManifests, i)
		}
	}
	if strings.HasPrefix(table, "leat.") {
		// What the manifests say is all that is read.
		s.ask("SELECT count(*), "+strings.Join(bounded, ", ")+" FROM "+table, func(r services.SparkResult) {
			for k, i := range inManifests {
				columns[i].checkExtremes(t, table+" by its manifests", r.Rows[0][1+3*k:4+3*k])
			}
			if r.Scanned != 0 {
				t.Errorf("%s: %d rows were read for what the manifests say", table, r.Scanned)
			}
		})
	}
	// Values between others: of one the Bloom filters know that it is not there, of
	// the other the dictionaries. The third is in one row group of a file, and Spark
	// itself, but not Iceberg for Spark, then looks for the page.
	one := int64(sparkRows / 4)
	if table == "folder" {
		one = sparkRows / 7
	}
	for condition, most := range map[string]int64{"k = 'key-012345x'": 0, "few = 5": 0, "id = 120000": one} {
		s.ask("SELECT count(*) FROM "+table+" WHERE "+condition, func(r services.SparkResult) {
			if want := fmt.Sprint(min(most, 1)); *r.Rows[0][0] != want || r.Scanned > most {
				t.Errorf("%s: %s gives %s rows of %d that were read, want %s of at most %d", table, condition, *r.Rows[0][0], r.Scanned, want, most)
			}
		})
	}
	for i := range columns {
		if len(columns[i].probes) > 0 {
			s.askConditions(t, table, &columns[i])
		}
	}
}

// askRows asks for the rows of a table: of each step'th each value, of all how many
// there are, the extremes, and sums of their texts' checksums.
func (s *sparkSession) askRows(t *testing.T, table string, columns []modelColumn, step int) {
	rows := len(columns[0].values)
	var plain, totals []string
	for i := range columns {
		c := &columns[i]
		plain = append(plain, c.plain(c.name))
		sum := "sum(crc32(CAST(coalesce(CAST(" + c.plain(c.name) + " AS STRING), 'NULL') AS BINARY)) * (id DIV 10 % 1000))"
		if c.isFloat() {
			sum = "NULL"
		}
		totals = append(append(totals, sum), c.extremes()...)
	}
	s.ask(fmt.Sprintf("SELECT %s FROM %s WHERE id DIV 10 %% %d = 0 ORDER BY id", strings.Join(plain, ", "), table, step), func(r services.SparkResult) {
		if len(r.Rows) != (rows+step-1)/step {
			t.Errorf("%s: %d rows of each %dth", table, len(r.Rows), step)
			return
		}
		for n, row := range r.Rows {
			for i := range columns {
				if want := columns[i].values[n*step]; !columns[i].same(row[i], want) {
					t.Errorf("%s: row %d has %s %s, want %v", table, n*step, columns[i].name, show(row[i]), want)
				}
			}
			if t.Failed() {
				return
			}
		}
	})
	s.ask("SELECT count(*), "+strings.Join(totals, ", ")+" FROM "+table, func(r services.SparkResult) {
		row := r.Rows[0]
		if *row[0] != fmt.Sprint(rows) || r.Scanned != int64(rows) {
			t.Errorf("%s has %s rows, and gave %d, want %d", table, *row[0], r.Scanned, rows)
		}
		for i := range columns {
			c, got := &columns[i], row[1+4*i:]
			if sum := c.checksum(); !c.isFloat() && *got[0] != fmt.Sprint(sum) {
				t.Errorf("%s: checksum of %s is %s, want %d", table, c.name, *got[0], sum)
			}
			c.checkExtremes(t, table, got[1:4])
		}
	})
}

// extremes are what checkExtremes looks at.
func (c *modelColumn) extremes() []string {
	return []string{"count(" + c.name + ")", c.plain("min(" + c.name + ")"), c.plain("max(" + c.name + ")")}
}

func (c *modelColumn) isFloat() bool { return c.spark == "FLOAT" || c.spark == "DOUBLE" }

// checksum is what the checksums of the rows' texts add up to.
func (c *modelColumn) checksum() (sum uint64) {
	for row, v := range c.values {
		sum += uint64(crc32.ChecksumIEEE([]byte(c.text(v)))) * uint64(row%1000)
	}
	return sum
}

// checkExtremes compares how many values are not NULL, the least and the greatest.
func (c *modelColumn) checkExtremes(t *testing.T, table string, got []*string) {
	t.Helper()
	var low, high any
	count := 0
	for _, v := range c.values {
		if v == nil {
			continue
		}
		count++
		if low == nil || compareValues(v, low) < 0 {
			low = v
		}
		if high == nil || compareValues(v, high) > 0 {
			high = v
		}
	}
	if *got[0] != fmt.Sprint(count) || !c.same(got[1], low) || !c.same(got[2], high) {
		t.Errorf("%s: %s has %s values, %.40s to %.40s, want %d, %v to %v", table, c.name, *got[0], show(got[1]), show(got[2]), count, low, high)
	}
}

// askConditions asks how many rows the conditions of a column find, when files are
// skipped by them and when they are only evaluated.
func (s *sparkSession) askConditions(t *testing.T, table string, c *modelColumn) {
	conditions := c.conditions()
	want := make([]int, len(conditions))
	least := 0
	for _, v := range c.values {
		for k := range conditions {
			if conditions[k].holds(v) {
				want[k]++
				least++
			}
		}
	}
	var filtered, counted []string
	for _, condition := range conditions {
		filtered = append(filtered, "SELECT count(*) FROM "+table+" WHERE "+condition.sql)
		counted = append(counted, "count_if("+condition.sql+")")
	}
	check := func(what string, got []*string) {
		for k, condition := range conditions {
			if *got[k] != fmt.Sprint(want[k]) {
				t.Errorf("%s: %s %.80s gives %s rows, want %d", table, what, condition.sql, *got[k], want[k])
			}
		}
	}
	if table == "folder" {
		s.ask("SELECT "+strings.Join(counted, ", ")+" FROM "+table, func(r services.SparkResult) { check("count_if", r.Rows[0]) })
	}
	s.ask(strings.Join(filtered, " UNION ALL "), func(r services.SparkResult) {
		var got []*string
		for _, row := range r.Rows {
			got = append(got, row[0])
		}
		check("WHERE", got)
		// Spark does not skip by what it has as TIMESTAMP_NTZ in folders.
		if all := len(conditions) * sparkRows; c.clustered && (c.spark != "TIMESTAMP_NTZ" || table != "folder") && r.Scanned-int64(least) > int64(all-least)/2 {
			t.Errorf("%s: conditions of %s are for %d rows of %d, and %d were read", table, c.name, least, all, r.Scanned)
		}
	})
}

// askPartitions asks for single values of columns whose transforms partition a
// table: what Spark makes of the value leads it to the files.
func (s *sparkSession) askPartitions(t *testing.T, table string, columns []modelColumn) {
	rows := len(columns[0].values)
	var statements []string
	var want []int
	for i := 1; i < len(columns); i++ {
		c := &columns[i]
		for _, row := range []int{1, rows / 2} { // not NULL
			v, n := c.values[row], 0
			for _, other := range c.values {
				if other != nil && compareValues(v, other) == 0 {
					n++
				}
			}
			statements, want = append(statements, "SELECT count(*) FROM "+table+" WHERE "+c.name+" = "+c.literal(v)), append(want, n)
		}
	}
	s.ask(strings.Join(statements, " UNION ALL "), func(r services.SparkResult) {
		for i, n := range want {
			if got := *r.Rows[i][0]; got != fmt.Sprint(n) {
				t.Errorf("%s gives %s, want %d", statements[i], got, n)
			}
		}
		if most := int64(len(statements) * rows * 3 / 5); r.Scanned > most {
			t.Errorf("%s: %d rows were read, want at most %d", table, r.Scanned, most)
		}
	})
}

func show(text *string) string {
	if text == nil {
		return "NULL"
	}
	return strconv.Quote(*text)
}
