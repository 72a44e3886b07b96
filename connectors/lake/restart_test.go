package lake_test

import (
	"context"
	"os"
	"path/filepath"
	"runtime"
	"testing"
	"time"

	icebergcatalog "github.com/apache/iceberg-go/catalog"
	"github.com/apache/iceberg-go/table"

	"github.com/leatdb/leat/connectors"
	"github.com/leatdb/leat/sql/sqlerror"
)

// TestStream_RowsOfADroppedStreamStay: the epochs of a stream that was dropped
// and made anew begin again at 1, and readers of a Hive folder took the files of
// its earlier life for ones that were not decided yet.
func TestStream_RowsOfADroppedStreamStay(t *testing.T) {
	eachFormat(t, func(t *testing.T, newDir func() string) {
		sink := openSink(t, newDir(), nil)
		for life, last := range []int64{30, 40} {
			stream := openStream(t, sink, tripSpec("s1"))
			state, resumed, err := stream.Begin(t.Context(), func(context.Context) (map[string]connectors.Positions, error) {
				return map[string]connectors.Positions{"s": {"0": []connectors.Position{"0", "30"}[life]}}, nil
			})
			if err != nil || resumed {
				t.Fatalf("Begin: resumed=%v, %v", resumed, err)
			}
			for at(state) < last {
				mustEpoch(t, stream, &state, at(state)+10)
			}
			checkExactlyOnce(t, sink.Lake(), last)
			if life == 0 {
				if err := stream.Drop(t.Context()); err != nil {
					t.Fatal(err)
				}
			}
			stream.Close()
		}
	})
}

// loadHook is called before a table is loaded.
type loadHook struct {
	icebergcatalog.Catalog
	before func(name string)
}

func (c *loadHook) LoadTable(ctx context.Context, ident table.Identifier) (*table.Table, error) {
	c.before(ident[len(ident)-1])
	return c.Catalog.LoadTable(ctx, ident)
}

// TestBegin_DroppedWhileItStarts: a start that found a state, and then none, asked
// for nothing but that state for ever instead of beginning anew.
func TestBegin_DroppedWhileItStarts(t *testing.T) {
	dir := t.TempDir()
	first := openStream(t, openSink(t, dir, nil), tripSpec("s1"))
	defer first.Close()
	mustBegin(t, first)
	loads := 0
	sink, _, err := openFaulty(t.Context(), dir, nil, func(c icebergcatalog.Catalog) icebergcatalog.Catalog {
		return &loadHook{c, func(name string) {
			if name != "trips" {
				return
			}
			if loads++; loads == 2 {
				if err := first.Drop(t.Context()); err != nil {
					t.Error(err)
				}
			}
		}}
	})
	if err != nil {
		t.Fatal(err)
	}
	defer sink.Close()
	stream := openStream(t, sink, tripSpec("s1"))
	defer stream.Close()
	loads = 0
	ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
	defer cancel()
	if _, _, err := stream.Begin(ctx, fromStart); !sqlerror.IsRetryable(err) || ctx.Err() != nil {
		t.Fatalf("Begin: %v", err)
	}
	if _, resumed, err := stream.Begin(ctx, fromStart); err != nil || resumed {
		t.Errorf("Begin again: resumed=%v, %v", resumed, err)
	}
}

// TestBegin_SweepsWhatWasKilled removes the temporary files of processes that are
// dead from a stream's folders, and from no other's.
func TestBegin_SweepsWhatWasKilled(t *testing.T) {
	eachFormat(t, func(t *testing.T, newDir func() string) {
		dir := newDir()
		sink := openSink(t, dir, nil)
		stream := openStream(t, sink, tripSpec("s1"))
		state, _ := mustBegin(t, stream)
		mustEpoch(t, stream, &state, 10)
		stream.Close()
		log, err := filepath.Glob(filepath.Join(dir, "lake/*/*/*"))
		if err != nil || len(log) == 0 {
			t.Fatalf("the table has no files: %v", err)
		}
		left := filepath.Join(filepath.Dir(log[0]), ".00000000000000000002-1234.leat-tmp")
		other := filepath.Join(dir, "lake", "other", ".x-1234.leat-tmp")
		if err := os.MkdirAll(filepath.Dir(other), 0o755); err != nil {
			t.Fatal(err)
		}
		for _, name := range []string{left, other} {
			if err := os.WriteFile(name, []byte("half"), 0o644); err != nil {
				t.Fatal(err)
			}
		}
		again := openStream(t, sink, tripSpec("s1"))
		mustBegin(t, again)
		for _, err := os.Stat(left); err == nil; _, err = os.Stat(left) {
			runtime.Gosched() // it goes in the background
		}
		again.Close()
		if _, err := os.Stat(other); err != nil {
			t.Errorf("a file of no table of the stream: %v", err)
		}
		checkExactlyOnce(t, sink.Lake(), 10)
	})
}
