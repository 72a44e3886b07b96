package lake_test

import (
	"context"
	"math/rand/v2"
	"os"
	"path/filepath"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/apache/arrow-go/v18/arrow/array"
	"github.com/apache/arrow-go/v18/arrow/memory"

	"github.com/leatdb/leat/connectors"
	"github.com/leatdb/leat/internal/tmpfstest"
)

// smallDisk is a folder on a file system of its own of 6 MiB.
func smallDisk(t *testing.T) string {
	t.Helper()
	dir := t.TempDir()
	tmpfstest.Mount(t, dir, "6m")
	return dir
}

// TestFault_DiskFull_Begin starts a stream on a disk that the half files of a killed
// process have filled to the last byte: they go before the start is committed.
func TestFault_DiskFull_Begin(t *testing.T) {
	dir := smallDisk(t)
	sink := openSink(t, dir, nil)
	spec := tripSpec("s1")
	stream := openStream(t, sink, spec)
	mustBegin(t, stream)
	if err := stream.Close(); err != nil {
		t.Fatal(err)
	}
	folder := filepath.Join(dir, "lake", "trips", "data")
	if err := os.MkdirAll(folder, 0o755); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(filepath.Join(folder, ".s1-1-1-0-1.parquet-12345.leat-tmp"), make([]byte, 8<<20), 0o644); err == nil {
		t.Fatal("the disk does not become full")
	}
	ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
	defer cancel()
	again := openStream(t, sink, spec)
	defer again.Close()
	if _, _, err := again.Begin(ctx, fromStart); err != nil {
		t.Errorf("a disk full of half files: %v", err)
	}
}

// TestFault_DiskFull fills a small file system and makes room when the sink
// complains.
func TestFault_DiskFull(t *testing.T) {
	dir := smallDisk(t)
	ballast := filepath.Join(dir, "ballast")
	if err := os.WriteFile(ballast, make([]byte, 4<<20), 0o644); err != nil {
		t.Fatal(err)
	}
	sink := openSink(t, dir, nil)
	spec := tripSpec("s1")
	spec.Lanes, spec.Partition = 1, nil
	var full atomic.Pointer[error]
	spec.Retrying = func(err error) {
		if err != nil && full.CompareAndSwap(nil, &err) {
			os.Remove(ballast)
		}
	}
	stream := openStream(t, sink, spec)
	defer stream.Close()
	state, _ := mustBegin(t, stream)
	const rows = 40_000
	landed := 0
	for full.Load() == nil {
		if state.Epoch > 30 {
			t.Fatal("the disk does not become full")
		}
		d := trips(memory.DefaultAllocator, 1, rows)
		ids := d.Batch.Column(0).(*array.Int64).Int64Values()
		for i := range ids {
			ids[i] = int64(rand.Uint64())
		}
		if err := stream.Writer(0).Write(t.Context(), d); err != nil {
			t.Fatal(err)
		}
		one, err := stream.Writer(0).Seal(t.Context())
		if err != nil {
			t.Fatal(err)
		}
		state.Epoch++
		if _, err := stream.Commit(t.Context(), state, []connectors.Sealed{one}, connectors.CommitInfo{}); err != nil {
			t.Fatal(err)
		}
		landed += rows
	}
	if err := *full.Load(); !strings.Contains(err.Error(), "disk is full") {
		t.Errorf("a full disk: %v", err)
	}
	if got := len(readColumn(t, sink.Lake(), "trips", 0)); got != landed {
		t.Errorf("%d rows landed, want %d", got, landed)
	}
}
