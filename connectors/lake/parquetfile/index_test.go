package parquetfile_test

import (
	"bytes"
	"context"
	"fmt"
	"math/rand/v2"
	"slices"
	"strconv"
	"strings"
	"testing"

	"github.com/apache/arrow-go/v18/arrow"
	"github.com/apache/arrow-go/v18/arrow/array"
	"github.com/apache/arrow-go/v18/arrow/memory"
	"github.com/apache/arrow-go/v18/parquet"
	"github.com/apache/arrow-go/v18/parquet/file"
	"github.com/apache/arrow-go/v18/parquet/metadata"

	"github.com/leatdb/leat/connectors/lake/parquetfile"
)

// checkPageIndex compares the page index of a file, as Arrow reads it, with the
// pages and with the values, which are given as text by column and row.
func checkPageIndex(t *testing.T, data []byte, list []kind, want [][]string) {
	t.Helper()
	r, err := file.NewParquetReader(bytes.NewReader(data))
	if err != nil {
		t.Fatal(err)
	}
	defer r.Close()
	first := int64(0) // row of the group in the file
	for g := range r.NumRowGroups() {
		indexes, err := r.GetPageIndexReader().RowGroup(g)
		if err != nil {
			t.Fatal(err)
		}
		meta := r.MetaData().RowGroup(g)
		for i, k := range list {
			chunk, err := meta.ColumnChunk(i)
			if err != nil {
				t.Fatal(err)
			}
			offsets, err := indexes.GetOffsetIndex(i)
			if err != nil || offsets == nil {
				t.Fatalf("column %s has no offset index: %v", k.column.Name, err)
			}
			pages := offsets.GetPageLocations()
			at, rows := chunk.DataPageOffset(), make([]int64, 0, len(pages)+1)
			for n, p := range pages {
				if p.Offset != at || n == 0 && p.FirstRowIndex != 0 {
					t.Fatalf("column %s page %d is at %d from row %d on, want %d", k.column.Name, n, p.Offset, p.FirstRowIndex, at)
				}
				at += int64(p.CompressedPageSize)
				rows = append(rows, p.FirstRowIndex)
			}
			start := chunk.DataPageOffset()
			if chunk.HasDictionaryPage() {
				start = chunk.DictionaryPageOffset()
			}
			if end := start + chunk.TotalCompressedSize(); at != end {
				t.Errorf("column %s: pages end at %d, the chunk at %d", k.column.Name, at, end)
			}
			rows = append(rows, meta.NumRows())
			index, err := indexes.GetColumnIndex(i)
			if err != nil {
				t.Fatal(err)
			}
			values := want[i][first : first+meta.NumRows()]
			if index == nil {
				if !slices.Contains(values, "NaN") && !strings.Contains(fmt.Sprint(k.column.Type), "string binary") {
					t.Errorf("column %s has no column index", k.column.Name)
				}
				continue
			}
			for n := range pages {
				checkPage(t, index, n, k, values[rows[n]:rows[n+1]])
			}
		}
		first += meta.NumRows()
	}
}

func checkPage(t *testing.T, index metadata.ColumnIndex, n int, k kind, values []string) {
	t.Helper()
	some := slices.DeleteFunc(slices.Clone(values), func(v string) bool { return v == "NULL" })
	if got := index.GetNullCounts()[n]; got != int64(len(values)-len(some)) {
		t.Errorf("column %s page %d has %d NULL, want %d", k.column.Name, n, got, len(values)-len(some))
	}
	if index.GetNullPages()[n] != (len(some) == 0) {
		t.Errorf("column %s page %d: null page is %v, of %d values", k.column.Name, n, index.GetNullPages()[n], len(some))
	}
	if len(some) == 0 {
		return
	}
	bounds := func(compare func(a, b string) int) string {
		return slices.MinFunc(some, compare) + " " + slices.MaxFunc(some, compare)
	}
	var got, exact string
	switch k.arrow.ID() {
	case arrow.INT64:
		x := index.(*metadata.TypedColumnIndex[int64])
		got = fmt.Sprint(x.MinValues()[n], x.MaxValues()[n])
		exact = bounds(func(a, b string) int { return compareNumbers(t, a, b) })
	case arrow.INT8, arrow.UINT16, arrow.INT32:
		x, ok := index.(*metadata.TypedColumnIndex[int32])
		if !ok {
			return // in a wider column
		}
		got = fmt.Sprint(x.MinValues()[n], x.MaxValues()[n])
		exact = bounds(func(a, b string) int { return compareNumbers(t, a, b) })
	case arrow.STRING:
		x := index.(*metadata.TypedColumnIndex[parquet.ByteArray])
		low, high := string(x.MinValues()[n]), string(x.MaxValues()[n])
		for _, v := range some {
			if v < low || v > high {
				t.Fatalf("column %s page %d: %q is not within %q and %q", k.column.Name, n, v, low, high)
			}
		}
		if exact = bounds(strings.Compare); len(slices.MaxFunc(some, func(a, b string) int { return len(a) - len(b) })) > 64 {
			return // they may be cut
		}
		got = low + " " + high
	}
	if got != exact {
		t.Errorf("column %s page %d has the bounds %s, want %s", k.column.Name, n, got, exact)
	}
}

func compareNumbers(t *testing.T, a, b string) int {
	x, err := strconv.ParseInt(a, 10, 64)
	if err != nil {
		t.Fatal(err)
	}
	y, err := strconv.ParseInt(b, 10, 64)
	if err != nil {
		t.Fatal(err)
	}
	if x < y {
		return -1
	}
	if x > y {
		return 1
	}
	return 0
}

// TestFile_PageIndexOrder pins what readers are told of the order of pages.
func TestFile_PageIndexOrder(t *testing.T) {
	f := func(want metadata.BoundaryOrder, pages ...[]int64) {
		t.Helper()
		b := array.NewInt64Builder(memory.DefaultAllocator)
		defer b.Release()
		var sizes []int
		for _, page := range pages {
			b.AppendValues(page, nil)
			if len(page) == 0 {
				b.AppendNull()
			}
			sizes = append(sizes, max(len(page), 1))
		}
		data, _ := writeColumn(t, parquetfile.Column{Type: parquetfile.Long}, parquetfile.Options{}, b.NewArray(), sizes...)
		indexes, err := openFile(t, data).GetPageIndexReader().RowGroup(0)
		if err != nil {
			t.Fatal(err)
		}
		index, err := indexes.GetColumnIndex(0)
		if err != nil || index.GetBoundaryOrder() != want {
			t.Errorf("%v: order %v, %v, want %v", pages, index.GetBoundaryOrder(), err, want)
		}
	}
	f(metadata.Ascending, []int64{1, 5})
	f(metadata.Ascending, []int64{1, 5}, nil, []int64{1, 6}, []int64{7})
	f(metadata.Descending, []int64{7}, nil, []int64{1, 6}, []int64{-1, 5})
	f(metadata.Unordered, []int64{1, 9}, []int64{2, 3})
	f(metadata.Ascending, nil, nil)
}

// TestJoin makes one file of what several lanes have, each with dictionaries of
// its own, and gives their memory back.
func TestJoin(t *testing.T) {
	alloc := memory.NewCheckedAllocator(memory.DefaultAllocator)
	defer alloc.AssertSize(t, 0)
	list := kinds()
	schema := newSchema(t, list, false)
	g := &generator{Rand: rand.New(rand.NewPCG(3, 1)), alloc: alloc, nulls: 0.1}
	want := make([][]string, len(list))
	var parts []*parquetfile.Part
	var pools []*parquetfile.Pool
	total := 0
	for lane := range 3 {
		pool := &parquetfile.Pool{Most: 64 << 20}
		encoder, err := parquetfile.NewEncoder(schema, pool, parquetfile.Options{CreatedBy: "leat version 1"})
		if err != nil {
			t.Fatal(err)
		}
		appender, rows := parquetfile.NewAppender(schema), parquetfile.NewRows(schema, pool)
		w := encoder.NewFile(nil)
		for page := range 2 * lane { // the first has no rows
			g.distinct = []int{20, 20, 0, 3}[page]
			n := 500
			columns := make([]arrow.Array, len(list))
			all := make([]int32, n)
			for i, k := range list {
				columns[i] = g.array(k.arrow, n)
			}
			for row := range all {
				all[row] = int32(row)
				for i, c := range columns {
					want[i] = append(want[i], text(c, row))
				}
			}
			if err := appender.Bind(columns); err != nil {
				t.Fatal(err)
			}
			appender.Append(rows, all)
			total += n
			if err := w.WriteRows(t.Context(), rows); err != nil {
				t.Fatal(err)
			}
			for _, c := range columns {
				c.Release()
			}
		}
		if w.Begun() {
			t.Fatal("the file was begun in its sink")
		}
		part, err := w.Detach()
		if err != nil {
			t.Fatal(err)
		}
		if part.Rows() != int64(lane*1000) || (part.Held() > 0) != (lane > 0) {
			t.Errorf("part %d has %d rows and holds %d bytes", lane, part.Rows(), part.Held())
		}
		if err := w.WriteRows(t.Context(), rows); err == nil {
			t.Error("a file can be written to that was detached")
		}
		w.Discard()
		parts, pools = append(parts, part), append(pools, pool)
	}
	var out sink
	footer, err := parquetfile.Join(context.Background(), &out, parts)
	if err != nil {
		t.Fatal(err)
	}
	if footer.Rows != int64(total) || footer.Bytes != int64(out.Len()) || len(footer.SplitOffsets) != 2 {
		t.Errorf("footer %d rows, %d bytes, %d row groups; want %d, %d, 2", footer.Rows, footer.Bytes, len(footer.SplitOffsets), total, out.Len())
	}
	got := readBack(t, out.Bytes())
	for i, k := range list {
		if !slices.Equal(got[i], want[i]) {
			t.Errorf("column %s differs", k.column.Name)
		}
		nulls := int64(0)
		for _, v := range want[i] {
			if v == "NULL" {
				nulls++
			}
		}
		if s := footer.Columns[i]; s.Values != int64(total) || s.Nulls != nulls || s.Bytes <= 0 || s.Lower == nil && k.column.Type != parquetfile.Binary {
			t.Errorf("column %s has the statistics %+v", k.column.Name, s)
		}
	}
	checkPageIndex(t, out.Bytes(), list, want)
	for i, part := range parts {
		before, held := pools[i].Held(), part.Held()
		part.Release()
		if got := pools[i].Held() - before; got != held {
			t.Errorf("part %d gave %d bytes back, of %d", i, got, held)
		}
		part.Release() // does nothing
	}
}

// TestPart_ReleaseElsewhere gives parts back while their lane goes on.
func TestPart_ReleaseElsewhere(t *testing.T) {
	schema, err := parquetfile.NewSchema([]parquetfile.Column{{Name: "c", ID: 1, Type: parquetfile.Long}})
	if err != nil {
		t.Fatal(err)
	}
	pool := &parquetfile.Pool{Most: 1 << 20}
	encoder, err := parquetfile.NewEncoder(schema, pool, parquetfile.Options{})
	if err != nil {
		t.Fatal(err)
	}
	parts := make(chan *parquetfile.Part, 4)
	done := make(chan struct{})
	go func() {
		defer close(done)
		for p := range parts {
			if _, err := parquetfile.Join(context.Background(), &sink{}, []*parquetfile.Part{p}); err != nil {
				t.Error(err)
			}
			p.Release()
		}
	}()
	random := rand.New(rand.NewPCG(1, 1))
	for range 50 {
		rows := parquetfile.NewRows(schema, pool)
		for range 2000 {
			rows.AppendInt(0, int64(random.Uint64()))
			rows.EndRow()
		}
		w := encoder.NewFile(nil)
		if err := w.WriteRows(t.Context(), rows); err != nil {
			t.Fatal(err)
		}
		p, err := w.Detach()
		if err != nil {
			t.Fatal(err)
		}
		parts <- p
	}
	close(parts)
	<-done
}
