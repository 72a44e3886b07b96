package parquetfile_test

import (
	"bytes"
	"encoding/binary"
	"fmt"
	"strings"
	"testing"

	"github.com/apache/arrow-go/v18/parquet/file"
	"github.com/cespare/xxhash/v2"

	"github.com/leatdb/leat/connectors/lake/parquetfile"
)

// TestFile_Bloom asks the filters, as Arrow reads them, for what is there and for
// what is not.
func TestFile_Bloom(t *testing.T) {
	columns := []parquetfile.Column{
		{Name: "Id", ID: 1, Type: parquetfile.Long}, {Name: "few", ID: 2, Type: parquetfile.Int}, {Name: "text", ID: 3, Type: parquetfile.String},
		{Name: "amount", ID: 4, Type: parquetfile.Decimal, Precision: 12, Scale: 2}, {Name: "none", ID: 5, Type: parquetfile.Long},
		{Name: "empty", ID: 6, Type: parquetfile.String},
	}
	schema, err := parquetfile.NewSchema(columns)
	if err != nil {
		t.Fatal(err)
	}
	f := func(n, page, most int) {
		t.Helper()
		pool := &parquetfile.Pool{Most: 1 << 20}
		encoder, err := parquetfile.NewEncoder(schema, pool, parquetfile.Options{BloomColumns: []string{"id", "few", "TEXT", "amount", "empty"}})
		if err != nil {
			t.Fatal(err)
		}
		rows := parquetfile.NewRows(schema, pool)
		var out sink
		w := encoder.NewFile(&out)
		for i := range n {
			rows.AppendInt(0, int64(i)*7919)
			rows.AppendInt(1, int64(i%50))
			rows.AppendBytes(2, fmt.Append(nil, "text ", i))
			rows.AppendInt(3, int64(-i))
			rows.AppendInt(4, int64(i))
			rows.AppendNull(5)
			rows.EndRow()
			if rows.Len() == page {
				if err := w.WriteRows(t.Context(), rows); err != nil {
					t.Fatal(err)
				}
			}
		}
		if err := w.WriteRows(t.Context(), rows); err != nil {
			t.Fatal(err)
		}
		footer, err := w.Finish(t.Context())
		if err != nil || footer.Bytes != int64(out.Len()) {
			t.Fatal(footer.Bytes, out.Len(), err)
		}
		readBack(t, out.Bytes())
		r, err := file.NewParquetReader(bytes.NewReader(out.Bytes()))
		if err != nil {
			t.Fatal(err)
		}
		defer r.Close()
		group, err := r.GetBloomFilterReader().RowGroup(0)
		if err != nil {
			t.Fatal(err)
		}
		check := func(column, distinct int, plain func(i int) []byte) {
			t.Helper()
			filter, err := group.GetColumnBloomFilter(column)
			if err != nil || filter == nil {
				t.Fatalf("column %s has no filter: %v", columns[column].Name, err)
			}
			for i := range distinct {
				if !filter.CheckHash(xxhash.Sum64(plain(i))) {
					t.Fatalf("column %s: value %d is not in the filter", columns[column].Name, i)
				}
			}
			there, absent := 0, 20_000
			for i := range absent {
				if filter.CheckHash(xxhash.Sum64(plain(10_000_000 + i))) {
					there++
				}
			}
			if there > absent*3/100 {
				t.Errorf("column %s of %d values: %d of %d absent values seem to be there", columns[column].Name, distinct, there, absent)
			}
			if size := filter.Size(); size > int64(most) && column != 1 || column == 1 && size > 256 {
				t.Errorf("column %s of %d values: a filter of %d bytes", columns[column].Name, distinct, size)
			}
		}
		long := func(v int64) []byte { return binary.LittleEndian.AppendUint64(nil, uint64(v)) }
		check(0, n, func(i int) []byte { return long(int64(i) * 7919) })
		check(1, min(n, 50), func(i int) []byte { return binary.LittleEndian.AppendUint32(nil, uint32(i)) })
		check(2, n, func(i int) []byte { return fmt.Append(nil, "text ", i) })
		check(3, n, func(i int) []byte { return long(int64(-i)) })
		for _, column := range []int{4, 5} {
			if filter, err := group.GetColumnBloomFilter(column); err != nil || filter != nil {
				t.Errorf("column %s has a filter, %v", columns[column].Name, err)
			}
		}
	}
	f(10, 100, 64)
	f(1000, 300, 2<<10)
	f(60_000, 20_000, 128<<10) // above what is gathered, so that it is folded
}

func TestEncoder_RefusesBloom(t *testing.T) {
	schema, err := parquetfile.NewSchema([]parquetfile.Column{{Name: "id", ID: 1, Type: parquetfile.Long}, {Name: "d", ID: 2, Type: parquetfile.Double}})
	if err != nil {
		t.Fatal(err)
	}
	for name, want := range map[string]string{"ids": "no column ids, only id, d", "d": "is double"} {
		_, err := parquetfile.NewEncoder(schema, &parquetfile.Pool{}, parquetfile.Options{BloomColumns: []string{name}})
		if err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%s: %v, want %q", name, err, want)
		}
	}
}
