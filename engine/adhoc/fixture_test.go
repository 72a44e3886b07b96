package adhoc_test

import (
	"context"
	"errors"
	"fmt"
	"io"
	"math/big"
	"net/url"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"sync"
	"testing"

	"github.com/apache/arrow-go/v18/arrow"
	"github.com/apache/arrow-go/v18/arrow/array"
	"github.com/apache/arrow-go/v18/arrow/decimal128"
	"github.com/apache/arrow-go/v18/arrow/memory"
	"github.com/apache/arrow-go/v18/parquet"
	"github.com/apache/arrow-go/v18/parquet/pqarrow"

	"github.com/leatdb/leat/catalog"
	"github.com/leatdb/leat/engine/adhoc"
	"github.com/leatdb/leat/engine/kernel"
	"github.com/leatdb/leat/sql/types"
)

// column is a column of a table or of one of its files.
type column struct {
	name string
	typ  string
	id   int
}

// table is a lake table of Parquet files as an Iceberg catalog would give it.
type table struct {
	name    string
	columns []column
	files   []catalog.DataFile
	// plan, unless nil, prunes.
	plan func(where []catalog.Predicate) []catalog.DataFile
	// open, unless nil, reads remote files.
	open func(ctx context.Context, path string) (catalog.File, error)

	mu      sync.Mutex
	planned [][]catalog.Predicate
}

func (t *table) Name() string     { return t.name }
func (t *table) Location() string { return "mem://" + t.name }
func (t *table) Version() string  { return "1" }

func (t *table) Schema() types.Schema {
	s := make(types.Schema, len(t.columns))
	for i, c := range t.columns {
		s[i] = types.Column{Name: c.name, Type: parseType(c.typ)}
	}
	return s
}

func (t *table) FieldIDs() []int {
	ids := make([]int, len(t.columns))
	for i, c := range t.columns {
		ids[i] = c.id
	}
	return ids
}

func (t *table) PartitionColumns() []int                                     { return nil }
func (t *table) Properties() map[string]string                               { return nil }
func (t *table) Partitions(context.Context) ([]catalog.PartitionInfo, error) { return nil, nil }
func (t *table) Commits(context.Context) ([]catalog.Commit, error)           { return nil, nil }
func (t *table) Open(ctx context.Context, path string) (catalog.File, error) {
	return t.open(ctx, path)
}
func (t *table) Plan(_ context.Context, where []catalog.Predicate) ([]catalog.DataFile, error) {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.planned = append(t.planned, where)
	if t.plan != nil {
		return t.plan(where), nil
	}
	return t.files, nil
}

func parseType(s string) types.Type {
	t, err := types.Parse(s)
	if err != nil {
		panic(err)
	}
	return t
}

// columnsOf reads "id BIGINT, name VARCHAR(20)", with field ids from 1 on.
func columnsOf(spec string) []column {
	var list []column
	for i, s := range splitTop(spec) {
		name, typ, _ := strings.Cut(strings.TrimSpace(s), " ")
		list = append(list, column{name, typ, i + 1})
	}
	return list
}

// splitTop splits at the commas outside parentheses.
func splitTop(s string) []string {
	var parts []string
	depth, start := 0, 0
	for i, c := range s {
		switch c {
		case '(':
			depth++
		case ')':
			depth--
		case ',':
			if depth == 0 {
				parts = append(parts, s[start:i])
				start = i + 1
			}
		}
	}
	return append(parts, s[start:])
}

// stored is the type that a lake writer stores values of a declared type as.
func stored(t types.Type) types.Type {
	switch t.Kind {
	case types.Int8, types.Int16, types.Uint8, types.Uint16:
		return types.Type{Kind: types.Int32}
	case types.Uint32:
		return types.TypeInt64
	case types.Uint64:
		return types.NewDecimal(20, 0)
	}
	return t
}

// writeParquet writes rows of Go values as in logical.Literal.
func writeParquet(t testing.TB, path string, columns []column, rows [][]any) catalog.DataFile {
	t.Helper()
	fields := make([]arrow.Field, len(columns))
	for i, c := range columns {
		fields[i] = arrow.Field{
			Name: c.name, Type: stored(parseType(c.typ)).Arrow(), Nullable: true,
			Metadata: arrow.NewMetadata([]string{"PARQUET:field_id"}, []string{strconv.Itoa(c.id)}),
		}
	}
	schema := arrow.NewSchema(fields, nil)
	b := array.NewRecordBuilder(memory.DefaultAllocator, schema)
	defer b.Release()
	for _, row := range rows {
		for i, v := range row {
			if err := appendStored(b.Field(i), v); err != nil {
				t.Fatalf("column %s: %v", columns[i].name, err)
			}
		}
	}
	batch := b.NewRecordBatch()
	defer batch.Release()
	f, err := os.Create(path)
	if err != nil {
		t.Fatal(err)
	}
	w, err := pqarrow.NewFileWriter(schema, f, parquet.NewWriterProperties(), pqarrow.DefaultWriterProps())
	if err != nil {
		t.Fatal(err)
	}
	if err := w.Write(batch); err != nil {
		t.Fatal(err)
	}
	if err := w.Close(); err != nil {
		t.Fatal(err)
	}
	info, err := os.Stat(path)
	if err != nil {
		t.Fatal(err)
	}
	return catalog.DataFile{Path: "file://" + escapePath(path), Format: "parquet", Rows: int64(len(rows)), Bytes: info.Size()}
}

func escapePath(path string) string { return (&url.URL{Path: path}).EscapedPath() }

func appendStored(b array.Builder, v any) error {
	switch b := b.(type) {
	case *array.Int32Builder:
		switch v := v.(type) {
		case uint64:
			b.Append(int32(v))
			return nil
		}
	case *array.Int64Builder:
		if v, ok := v.(uint64); ok {
			b.Append(int64(v))
			return nil
		}
	case *array.Decimal128Builder:
		if v, ok := v.(uint64); ok {
			b.Append(decimal128.FromBigInt(new(big.Int).SetUint64(v)))
			return nil
		}
	}
	return kernel.AppendValue(b, v)
}

// newTable writes one file of rows for a table.
func newTable(t testing.TB, name, columns string, rows ...[]any) *table {
	t.Helper()
	tab := &table{name: name, columns: columnsOf(columns)}
	if len(rows) > 0 {
		path := filepath.Join(t.TempDir(), name+".parquet")
		tab.files = []catalog.DataFile{writeParquet(t, path, tab.columns, rows)}
	}
	return tab
}

func openEngine(t testing.TB, cfg adhoc.Config) *adhoc.Engine {
	t.Helper()
	if cfg.TempDir == "" {
		cfg.TempDir = filepath.Join(t.TempDir(), "spill")
	}
	if cfg.Threads == 0 {
		cfg.Threads = 2
	}
	e, err := adhoc.Open(cfg)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := e.Close(); err != nil {
			t.Error(err)
		}
	})
	return e
}

// rowsOf reads all of a reader as text, one line per row, and releases it. The
// batches must have the reader's schema.
func rowsOf(r array.RecordReader) ([]string, error) {
	defer r.Release()
	var lines []string
	for r.Next() {
		batch := r.RecordBatch()
		if !batch.Schema().Equal(r.Schema()) {
			return nil, fmt.Errorf("batch schema %s, reader's is %s", batch.Schema(), r.Schema())
		}
		for i := range int(batch.NumRows()) {
			values := make([]string, batch.NumCols())
			for j, c := range batch.Columns() {
				values[j] = "NULL"
				if c.IsValid(i) && c.DataType().ID() != arrow.NULL {
					values[j] = strings.Clone(c.ValueStr(i)) // it may lie in the batch
				}
			}
			lines = append(lines, strings.Join(values, "|"))
		}
	}
	return lines, r.Err()
}

func mustRows(t testing.TB, r array.RecordReader, err error) []string {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
	rows, err := rowsOf(r)
	if err != nil {
		t.Fatal(err)
	}
	return rows
}

func equalRows(t testing.TB, got []string, want ...string) {
	t.Helper()
	if strings.Join(got, "\n") != strings.Join(want, "\n") {
		t.Errorf("rows:\n%s\nwant:\n%s", strings.Join(got, "\n"), strings.Join(want, "\n"))
	}
}

// memoryFile is a remote object.
type memoryFile struct{ data []byte }

func (f *memoryFile) ReadAt(p []byte, off int64) (int, error) {
	if off >= int64(len(f.data)) {
		return 0, io.EOF
	}
	n := copy(p, f.data[off:])
	if n < len(p) {
		return n, io.EOF
	}
	return n, nil
}
func (f *memoryFile) Size() int64  { return int64(len(f.data)) }
func (f *memoryFile) Close() error { return nil }

var errInjected = errors.New("injected failure")
