//go:build gms_pure_go && duckdb_arrow

package engine

import (
	"context"
	"errors"
	"io"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/leatdb/leat/connectors"
)

// deadlines notes until when each Poll may wait.
type deadlines struct {
	connectors.Source
	list []time.Time
}

func (d *deadlines) Poll(ctx context.Context, _ int, _ *connectors.Chunk) error {
	at, _ := ctx.Deadline()
	d.list = append(d.list, at)
	return nil
}

type noDecoder struct{ connectors.Decoder }

func (noDecoder) Reset(*connectors.Chunk) {}

// A SELECT from a source that takes longer to read than peekWait was of what had
// been read by then.
func TestPeek_WaitsAnewForEachChunk(t *testing.T) {
	source := &deadlines{}
	p := &peek{source: source, decoder: noDecoder{}}
	for begun := time.Now(); len(source.list) < 2 || time.Now().Equal(begun); {
		if err := p.poll(t.Context()); err != nil {
			t.Fatal(err)
		}
	}
	first, last := source.list[0], source.list[len(source.list)-1]
	if !last.After(first) {
		t.Errorf("all chunks have to come before %s", first)
	}
}

// generator always has another chunk, a second later, and held nothing before.
type generator struct{ connectors.Source }

func (generator) Poll(context.Context, int, *connectors.Chunk) error {
	time.Sleep(time.Second)
	return nil
}

func (generator) Positions() connectors.Positions { return nil }

func (generator) Reached(string, connectors.Position, connectors.Position) bool { return true }

// emptyDecoder finds no values.
type emptyDecoder struct{ noDecoder }

func (emptyDecoder) Next(int) (*connectors.Decoded, error) { return nil, nil }

// SELECT … FROM a generator WHERE false LIMIT 5 did not end.
func TestPeek_EndsWithoutRows(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		p := &peek{source: generator{}, decoder: emptyDecoder{}, ends: connectors.Positions{"0": ""}}
		p.watch()
		if _, _, err := p.next(t.Context()); !errors.Is(err, io.EOF) {
			t.Errorf("next: %v, want the end", err)
		}
	})
}

// silent holds records that do not come.
type silent struct{ generator }

func (silent) Poll(ctx context.Context, _ int, _ *connectors.Chunk) error {
	<-ctx.Done()
	return ctx.Err()
}

func (silent) Reached(string, connectors.Position, connectors.Position) bool { return false }

// A SELECT from a source whose records did not come in time was of a part of them, and
// nothing said so. The last lane that waits does.
func TestPeek_SaysWhatDidNotCome(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var warnings []string
		p := &peek{
			source: silent{}, ends: connectors.Positions{"0": "5"}, reading: &atomic.Int32{},
			warn: func(_ int, message string) { warnings = append(warnings, message) },
		}
		p.reading.Store(2)
		for lane := range 2 {
			if err := p.poll(t.Context()); !errors.Is(err, io.EOF) || len(warnings) != lane {
				t.Errorf("lane %d: %v, warnings %q", lane, err, warnings)
			}
		}
		if want := "the source has more than was read: for 5s nothing came"; len(warnings) != 1 || warnings[0] != want {
			t.Errorf("warnings %q, want %q", warnings, want)
		}
	})
}
