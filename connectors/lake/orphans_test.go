package lake_test

import (
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/leatdb/leat/connectors"
	"github.com/leatdb/leat/connectors/lake"
)

// removals are sent how many files were removed, or why none was.
type removals chan any

func (removals) Debug(string, ...any) {}
func (removals) Warn(string, ...any)  {}

func (r removals) Info(msg string, args ...any) {
	if strings.Contains(msg, "that no commit names") {
		r <- args[len(args)-1]
	}
}

// openRemoving opens the sink in a folder, which removes files as soon as they are
// older than the last commit; catalog is the catalog's file if it is another.
func openRemoving(t *testing.T, dir, catalog string) *lake.Sink {
	t.Helper()
	store, err := openFolder(t.Context(), dir)
	if err != nil {
		t.Fatal(err)
	}
	cfg := configIn(dir, store)
	cfg.OrphanAge = time.Nanosecond
	if catalog != "" {
		cfg.CatalogPath = catalog
	}
	sink, err := lake.Open(t.Context(), cfg)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := sink.Close(); err != nil {
			t.Error(err)
		}
	})
	return sink
}

// startRemoving starts the stream and waits until it has removed something.
func startRemoving(t *testing.T, sink *lake.Sink) (stream connectors.StreamSink, state connectors.State, removed any) {
	t.Helper()
	spec, done := tripSpec("s1"), make(removals, 10)
	spec.Logger = done
	stream = openStream(t, sink, spec)
	state, _ = mustBegin(t, stream)
	return stream, state, <-done
}

// dataFile copies a data file of the first generation to another name in its folder.
func dataFile(t *testing.T, dir string, name func(string) string) string {
	t.Helper()
	found, err := filepath.Glob(filepath.Join(dir, "lake/trips/data/*/s1-1-1-*.parquet"))
	if err != nil || len(found) == 0 {
		t.Fatalf("the table has no files: %v", err)
	}
	text, err := os.ReadFile(found[0])
	if err != nil {
		t.Fatal(err)
	}
	other := filepath.Join(filepath.Dir(found[0]), name(filepath.Base(found[0])))
	if err := os.WriteFile(other, text, 0o644); err != nil {
		t.Fatal(err)
	}
	return other
}

// orphan is a name that the first start could have given to a file of an epoch that
// it did not commit.
func orphan(name string) string { return "s1-1-2-0-99" + name[strings.LastIndexByte(name, '-'):] }

// TestBegin_RemovesOrphans: what a start has uploaded and, being killed, not committed
// lay there for ever. Files of others, and of starts that may commit, stay.
func TestBegin_RemovesOrphans(t *testing.T) {
	inFormats(t, func(t *testing.T, newDir func() string) {
		dir := newDir()
		sink := openRemoving(t, dir, "")
		stream := openStream(t, sink, tripSpec("s1"))
		state, _ := mustBegin(t, stream)
		mustEpoch(t, stream, &state, 20)
		stream.Close()
		gone := dataFile(t, dir, orphan)
		var kept []string
		for _, name := range []func(life string) string{
			func(life string) string { return "s1-2-1-0-99" + life },   // the next start
			func(life string) string { return "s1-10-1-0-99" + life },  // a later one
			func(life string) string { return "s12-1-2-0-99" + life },  // another stream
			func(life string) string { return "S1-1-2-0-99" + life },   // another one
			func(life string) string { return "s1-1-1-2-0-99" + life }, // stream s1-1
			func(life string) string { return "s1--1-2-0-99" + life },
			func(life string) string { return "s1-01-2-0-99" + life },
			func(life string) string { return "s1-1-2-0" + life },
			func(string) string { return "s1-1-2-0-99-00000000.parquet" }, // another life
			func(life string) string { return "s1-1-2-0-99" + life + ".crc" },
			func(life string) string { return "x-s1-1-2-0-99" + life },
			func(string) string { return "00000-0-4f6b1c9e-0-00001.parquet" }, // another program
		} {
			kept = append(kept, dataFile(t, dir, func(file string) string { return name(file[strings.LastIndexByte(file, '-'):]) }))
		}
		young := dataFile(t, dir, func(name string) string { return strings.Replace(orphan(name), "-99-", "-98-", 1) })
		if err := os.Chtimes(young, time.Time{}, time.Now().Add(time.Hour)); err != nil {
			t.Fatal(err)
		}
		kept = append(kept, young)

		stream, state, removed := startRemoving(t, sink)
		if removed != 1 {
			t.Errorf("removed: %v", removed)
		}
		if _, err := os.Stat(gone); err == nil {
			t.Error("the orphan is still there")
		}
		for _, name := range kept {
			if _, err := os.Stat(name); err != nil {
				t.Errorf("kept was not: %v", err)
			}
		}
		mustEpoch(t, stream, &state, 30)
		stream.Close()
		checkExactlyOnce(t, sink.Lake(), 30)
	}, "iceberg", "rest", "glue")
}

// TestBegin_KeepsFilesOfAnotherCatalog: of a catalog that was copied, or put back from
// a backup, the other's metadata beside the table says what it has.
func TestBegin_KeepsFilesOfAnotherCatalog(t *testing.T) {
	dir := t.TempDir()
	epoch := func(sink *lake.Sink, last int64) {
		stream := openStream(t, sink, tripSpec("s1"))
		defer stream.Close()
		state, _ := mustBegin(t, stream)
		if last > 0 {
			mustEpoch(t, stream, &state, last)
		}
	}
	store, err := openFolder(t.Context(), dir)
	if err != nil {
		t.Fatal(err)
	}
	first, err := lake.Open(t.Context(), configIn(dir, store))
	if err != nil {
		t.Fatal(err)
	}
	epoch(first, 10)
	if err := first.Close(); err != nil {
		t.Fatal(err)
	}
	text, err := os.ReadFile(filepath.Join(dir, "iceberg.db"))
	if err != nil {
		t.Fatal(err)
	}
	copied := filepath.Join(dir, "copy.db")
	if err := os.WriteFile(copied, text, 0o644); err != nil {
		t.Fatal(err)
	}
	original := openSink(t, dir, nil)
	epoch(original, 20)
	dataFile(t, dir, orphan)

	other := openRemoving(t, dir, copied)
	epoch(other, 0)
	epoch(other, 0)
	stream, _, removed := startRemoving(t, other)
	stream.Close()
	if removed != 1 {
		t.Errorf("removed: %v", removed)
	}
	checkExactlyOnce(t, original.Lake(), 20)
	checkExactlyOnce(t, other.Lake(), 10)
}
