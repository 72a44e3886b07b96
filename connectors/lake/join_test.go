package lake_test

import (
	"context"
	"fmt"
	"io/fs"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/apache/arrow-go/v18/arrow"
	"github.com/apache/arrow-go/v18/arrow/array"
	"github.com/apache/arrow-go/v18/arrow/memory"

	"github.com/leatdb/leat/connectors"
)

// TestStream_LanesShareFiles lets three lanes write to the same partitions: each
// partition gets one file, and NULL is not the string "null".
func TestStream_LanesShareFiles(t *testing.T) { eachFormat(t, lanesShareFilesTest) }

func lanesShareFilesTest(t *testing.T, newDir func() string) {
	dir := newDir()
	sink := openSink(t, dir, nil)
	spec := tripSpec("s1")
	spec.Lanes, spec.Unordered = 3, true
	stream := openStream(t, sink, spec)
	defer stream.Close()
	state, _ := mustBegin(t, stream)
	next := int64(0)
	cities := []string{"", "null", "a", "ß/x", "b"} // the first is NULL
	write := func(lane int) connectors.Sealed {
		t.Helper()
		ids, names := array.NewInt64Builder(memory.DefaultAllocator), array.NewStringBuilder(memory.DefaultAllocator)
		for i, city := range cities[:5-lane] { // the last lanes do not have all
			for range 10 + i {
				next++
				ids.Append(next)
				if i == 0 {
					names.AppendNull()
				} else {
					names.Append(city)
				}
			}
		}
		columns := []arrow.Array{ids.NewArray(), names.NewArray()}
		d := connectors.Delta{Batch: array.NewRecordBatch(tripSchema().Arrow(), columns, int64(columns[0].Len()))}
		if err := stream.Writer(lane).Write(t.Context(), d); err != nil {
			t.Fatal(err)
		}
		one, err := stream.Writer(lane).Seal(t.Context())
		if err != nil {
			t.Fatal(err)
		}
		return one
	}

	// What one lane has sealed before an error is thrown away.
	write(1)
	if err := stream.Abort(t.Context()); err != nil {
		t.Fatal(err)
	}
	for epoch := range 2 {
		next = int64(epoch * 1000)
		sealed := []connectors.Sealed{write(0), write(1), write(2)}
		rows := sealed[0].Rows() + sealed[1].Rows() + sealed[2].Rows()
		state.Epoch++
		state.Counters.RowsIn += rows
		state.Counters.RowsLanded += rows
		result, err := stream.Commit(t.Context(), state, sealed, connectors.CommitInfo{})
		if err != nil || result.Files != len(cities) {
			t.Fatalf("%d files, %v, want one of each of %d partitions", result.Files, err, len(cities))
		}
	}
	var want []string
	for epoch := range 2 {
		for id := range next - 1000 {
			want = append(want, fmt.Sprint(int64(epoch*1000)+id+1))
		}
	}
	got := readColumn(t, sink.Lake(), "trips", 0)
	slices.Sort(want)
	slices.Sort(got)
	if !slices.Equal(got, want) {
		t.Errorf("%d rows landed, want %d", len(got), len(want))
	}
	files := 0
	if err := filepath.WalkDir(filepath.Join(dir, "lake/trips"), func(_ string, d fs.DirEntry, err error) error {
		if strings.HasSuffix(d.Name(), ".parquet") || strings.Contains(d.Name(), "leat-tmp") {
			files++
		}
		return err
	}); err != nil || files != 2*len(cities) {
		t.Errorf("%d files lie in the folder, %v, want %d", files, err, 2*len(cities))
	}
}

// TestStream_LanesKeepOrder lets two lanes write rows of an ordered source by
// turns: what each has written stays in a file of its own.
func TestStream_LanesKeepOrder(t *testing.T) {
	sink := openSink(t, t.TempDir(), nil)
	spec := tripSpec("s1")
	spec.Lanes, spec.Partition = 2, nil
	stream := openStream(t, sink, spec)
	defer stream.Close()
	state, _ := mustBegin(t, stream)
	var sealed []connectors.Sealed
	for turn := range int64(6) {
		d := trips(memory.DefaultAllocator, turn*10, turn*10+9)
		if err := stream.Writer(int(turn%2)).Write(t.Context(), d); err != nil {
			t.Fatal(err)
		}
		d.Batch.Release()
	}
	for lane := range 2 {
		one, err := stream.Writer(lane).Seal(t.Context())
		if err != nil {
			t.Fatal(err)
		}
		sealed = append(sealed, one)
	}
	state.Epoch++
	state.Counters.RowsIn, state.Counters.RowsLanded = 60, 60
	if result, err := stream.Commit(t.Context(), state, sealed, connectors.CommitInfo{}); err != nil || result.Files != 2 {
		t.Fatalf("%d files, %v, want one of each lane", result.Files, err)
	}
	files, err := sink.Lake().Table(t.Context(), "trips")
	if err != nil {
		t.Fatal(err)
	}
	planned, err := files.Plan(t.Context(), nil)
	if err != nil {
		t.Fatal(err)
	}
	for _, f := range planned {
		if f.Rows != 30 {
			t.Errorf("a file has %d rows, want 30", f.Rows)
		}
	}
}

// TestStream_SealedTogetherStaysSmall leaves files apart that would be larger
// than target_file_size.
func TestStream_SealedTogetherStaysSmall(t *testing.T) {
	sink := openSink(t, t.TempDir(), nil)
	spec := tripSpec("s1")
	c, err := connectors.LookupSink("s3")
	if err != nil {
		t.Fatal(err)
	}
	spec.Lanes, spec.Partition, spec.Unordered = 4, nil, true
	spec.Options = c.StreamSpec.MustOptions("target_file_size", "1MB", "compression", "none")
	stream := openStream(t, sink, spec)
	defer stream.Close()
	state, _ := mustBegin(t, stream)
	var sealed []connectors.Sealed
	for lane := range 4 {
		d := trips(memory.DefaultAllocator, 1, 50_000)
		ids := d.Batch.Column(0).(*array.Int64).Int64Values()
		for i := range ids {
			ids[i] *= int64(i)*0x9E3779B97F4A7C + 1 // 8 bytes each
		}
		if err := stream.Writer(lane).Write(t.Context(), d); err != nil {
			t.Fatal(err)
		}
		d.Batch.Release()
		one, err := stream.Writer(lane).Seal(t.Context())
		if err != nil {
			t.Fatal(err)
		}
		sealed = append(sealed, one)
	}
	state.Epoch++
	result, err := stream.Commit(context.Background(), state, sealed, connectors.CommitInfo{})
	if err != nil || result.Files != 2 || result.Bytes < 1_600_000 {
		t.Errorf("%d files of %d bytes, %v, want 2", result.Files, result.Bytes, err)
	}
}
