//go:build gms_pure_go && duckdb_arrow

package engine

import (
	"context"
	"testing"
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
