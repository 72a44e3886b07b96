//go:build gms_pure_go && duckdb_arrow

package engine

import (
	"context"
	"errors"
	"fmt"
	"io"
	"slices"
	"time"

	"github.com/apache/arrow-go/v18/arrow/memory"
	gms "github.com/dolthub/go-mysql-server/sql"

	"github.com/leatdb/leat/connectors"
	"github.com/leatdb/leat/engine/dataflow"
	"github.com/leatdb/leat/engine/kernel"
	"github.com/leatdb/leat/planner"
	"github.com/leatdb/leat/sql/sqlerror"
	"github.com/leatdb/leat/sql/types"
)

// peekWait is how long SELECT … FROM a source waits for records that are not
// there yet.
const peekWait = 5 * time.Second

// peekIter reads a source for a SELECT: from where its start option says, until
// what it held when the query began has been read. The LIMIT above ends it
// earlier. Values that cannot be decoded are warnings.
type peekIter struct {
	source  connectors.Source
	decoder connectors.Decoder
	ends    connectors.Positions
	columns types.Schema
	fields  int // the first so many columns are decoded, the others hidden
	hidden  *dataflow.HiddenColumns
	order   []int // output column → decoded or hidden column
	loc     *time.Location
	until   time.Time

	chunk   connectors.Chunk
	rows    []gms.Row
	started bool
	err     error
}

func (db *DB) peek(ctx *gms.Context, s *source, columns types.Schema) (gms.RowIter, error) {
	if s.hub != nil {
		return nil, sqlerror.Userf(sqlerror.CodeUnsupported, "source %s is fed by the program, and cannot be peeked at", s.name).WithHint("SELECT from the table of a stream")
	}
	it := &peekIter{loc: sessionLocation(ctx), until: time.Now().Add(peekWait)}
	cfg := s.decoderConfig()
	cfg.Alloc = memory.DefaultAllocator
	source := db.sourceConfig(s)
	source.ChunkBytes = min(source.ChunkBytes, 256<<10)
	var hiddenTypes []types.Type
	decoded, hidden := []int{}, []int{}
	for i, c := range columns {
		j := slices.IndexFunc(s.connector.Hidden, func(h connectors.Hidden) bool { return h.Name == c.Name })
		if s.schema.Index(c.Name) >= 0 || j < 0 {
			decoded = append(decoded, i)
			cfg.Fields = append(cfg.Fields, connectors.Field{Column: c, Path: []string{c.Name}})
			continue
		}
		hidden = append(hidden, i)
		source.Hidden = append(source.Hidden, c.Name)
		hiddenTypes = append(hiddenTypes, c.Type)
	}
	it.fields = len(decoded)
	it.order = make([]int, len(columns))
	for k, i := range append(decoded, hidden...) {
		it.order[i] = k
	}
	it.columns = columns
	var err error
	if it.decoder, err = s.format.NewDecoder(cfg); err != nil {
		return nil, fmt.Errorf("peek at source %s: %w", s.name, err)
	}
	it.hidden = dataflow.NewHiddenColumns(cfg.Alloc, hiddenTypes)
	if it.source, err = s.connector.Open(ctx, source); err == nil {
		err = it.open(ctx)
	}
	if err != nil {
		return nil, errors.Join(fmt.Errorf("peek at source %s: %w", s.name, err), it.Close(ctx))
	}
	return it, nil
}

func (it *peekIter) open(ctx *gms.Context) error {
	splits, err := it.source.Splits(ctx, true, nil)
	if err != nil {
		return err
	}
	positions := connectors.Positions{}
	for _, split := range splits {
		positions[split.ID] = split.Start
	}
	if err := it.source.Assign(ctx, positions); err != nil {
		return err
	}
	it.ends, err = it.source.Ends(ctx)
	return err
}

// Next implements gms.RowIter.
func (it *peekIter) Next(ctx *gms.Context) (gms.Row, error) {
	for len(it.rows) == 0 {
		if it.err != nil {
			return nil, it.err
		}
		it.err = edgeError(ctx, it.fill(ctx))
	}
	row := it.rows[0]
	it.rows = it.rows[1:]
	return row, nil
}

// fill decodes what is left of the chunk, or the next chunk.
func (it *peekIter) fill(ctx *gms.Context) error {
	if it.started {
		d, err := it.decoder.Next(256)
		if err != nil {
			return err
		}
		if d != nil {
			return it.take(ctx, d)
		}
		if reached(it.source, it.ends) {
			return io.EOF
		}
	}
	pollCtx, cancel := context.WithDeadline(ctx, it.until)
	defer cancel()
	err := it.source.Poll(pollCtx, 0, &it.chunk)
	if err != nil {
		if ctx.Err() == nil && pollCtx.Err() != nil {
			return io.EOF
		}
		return err
	}
	it.started = true
	it.decoder.Reset(&it.chunk)
	return nil
}

func (it *peekIter) take(ctx *gms.Context, d *connectors.Decoded) error {
	for _, r := range d.Rejected {
		ctx.Warn(1366, "a value was left out: %s", r.Message)
	}
	hidden, err := it.hidden.Take(&it.chunk, d.Values)
	if err != nil {
		return err
	}
	columns := append(slices.Clone(d.Batch.Columns()), hidden...)
	for i := range int(d.Batch.NumRows()) {
		row := make(gms.Row, len(it.columns))
		for j, c := range it.columns {
			v, err := planner.GMSValue(kernel.Value(columns[it.order[j]], i), c.Type, it.loc)
			if err != nil {
				return fmt.Errorf("column %s: %w", c.Name, err)
			}
			row[j] = v
		}
		it.rows = append(it.rows, row)
	}
	return nil
}

// Close implements gms.RowIter.
func (it *peekIter) Close(*gms.Context) error {
	if it.decoder != nil {
		it.decoder.Close()
	}
	if it.hidden != nil {
		it.hidden.Close()
	}
	if it.source != nil {
		return it.source.Close()
	}
	return nil
}
