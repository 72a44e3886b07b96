//go:build gms_pure_go && duckdb_arrow

package engine

import (
	"context"
	"errors"
	"fmt"
	"io"
	"slices"
	"strings"
	"sync/atomic"
	"time"

	"github.com/apache/arrow-go/v18/arrow"
	"github.com/apache/arrow-go/v18/arrow/array"
	"github.com/apache/arrow-go/v18/arrow/memory"
	gms "github.com/dolthub/go-mysql-server/sql"

	"github.com/leatdb/leat/connectors"
	"github.com/leatdb/leat/engine/dataflow"
	"github.com/leatdb/leat/engine/kernel"
	"github.com/leatdb/leat/planner"
	"github.com/leatdb/leat/planner/logical"
	"github.com/leatdb/leat/sql/sqlerror"
	"github.com/leatdb/leat/sql/types"
)

const (
	// peekWait is how long SELECT … FROM a source waits for records that are not
	// there yet.
	peekWait = 5 * time.Second
	// watchTime bounds how long a query with a LIMIT looks at what a source that
	// held nothing makes: its WHERE may let none of it through.
	watchTime = 30 * time.Second
	// firstRows and mostRows are how many rows a peek decodes at a time: few, in
	// case they are all that is wanted, and then more.
	firstRows = 256
	mostRows  = 16 << 10
	// peekChunk is the most that is read at a time, in bytes: what stays in the
	// processor's cache until it is decoded.
	peekChunk = 512 << 10
)

// rejectedWarning is MySQL's number for a value that is none of its column's
// type.
const rejectedWarning = 1366

// peek reads a source for a SELECT: from where its start option says, until what
// it held when the query began has been read. The LIMIT above ends it earlier;
// of a source that held nothing (a generator) it waits for as many rows, a while.
// Values that cannot be decoded are warnings.
type peek struct {
	source  connectors.Source
	decoder connectors.Decoder
	ends    connectors.Positions
	hidden  *dataflow.HiddenColumns
	order   []int // output column → decoded or hidden column
	rows    int   // that are decoded at a time
	warn    warnFunc
	lane    int
	// another makes what decodes for another lane.
	another func() (connectors.Decoder, *dataflow.HiddenColumns, error)
	// polling ends the polls of all lanes, by enough, when one of them has polled
	// the last of what the query is about. With one lane there are none.
	polling context.Context
	enough  context.CancelFunc
	// reading is how many lanes have not given up waiting.
	reading *atomic.Int32
	// until is set for a query with a LIMIT of a source that held nothing: what
	// comes until then is what it is about.
	until time.Time

	chunk   connectors.Chunk
	started bool
}

// peek opens a source for a query, to be read by some lanes.
func (db *DB) peek(ctx context.Context, s *source, columns types.Schema, predicates []connectors.Predicate, lanes int, warn warnFunc) (*peek, error) {
	if s.hub != nil {
		return nil, sqlerror.Userf(sqlerror.CodeUnsupported, "source %s is fed by the program, and cannot be peeked at", s.name).WithHint("SELECT from the table of a stream")
	}
	p := &peek{rows: firstRows, warn: warn, reading: &atomic.Int32{}}
	p.reading.Store(1)
	cfg := s.decoderConfig()
	cfg.Alloc = memory.DefaultAllocator
	source := db.sourceConfig(s)
	source.ChunkBytes = min(source.ChunkBytes, peekChunk)
	source.Lanes = lanes
	source.Fields = []connectors.Field{}
	var hiddenTypes []types.Type
	decoded, hidden := []int{}, []int{}
	for i, c := range columns {
		j := slices.IndexFunc(s.connector.Hidden, func(h connectors.Hidden) bool { return h.Name == c.Name })
		if s.schema.Index(c.Name) >= 0 || j < 0 {
			decoded = append(decoded, i)
			source.Fields = append(source.Fields, connectors.Field{Column: c, Path: []string{c.Name}})
			continue
		}
		hidden = append(hidden, i)
		source.Hidden = append(source.Hidden, c.Name)
		hiddenTypes = append(hiddenTypes, c.Type)
	}
	cfg.Fields = source.Fields
	for _, c := range predicates {
		if !slices.Contains(source.Hidden, c.Column.Name) {
			source.Predicates = append(source.Predicates, c)
		}
	}
	p.order = make([]int, len(columns))
	for k, i := range append(decoded, hidden...) {
		p.order[i] = k
	}
	p.another = func() (connectors.Decoder, *dataflow.HiddenColumns, error) {
		decoder, err := s.format.NewDecoder(cfg)
		if err != nil {
			return nil, nil, fmt.Errorf("peek at source %s: %w", s.name, err)
		}
		return decoder, dataflow.NewHiddenColumns(cfg.Alloc, hiddenTypes), nil
	}
	var err error
	if p.decoder, p.hidden, err = p.another(); err != nil {
		return nil, err
	}
	if lanes > 1 {
		p.polling, p.enough = context.WithCancel(ctx)
	}
	if p.source, err = s.connector.Open(ctx, source); err == nil {
		err = p.open(ctx)
	}
	if err != nil {
		return nil, errors.Join(fmt.Errorf("peek at source %s: %w", s.name, err), p.close())
	}
	return p, nil
}

func (p *peek) open(ctx context.Context) error {
	splits, err := p.source.Splits(ctx, true, nil)
	if err != nil {
		return err
	}
	positions := connectors.Positions{}
	for _, split := range splits {
		positions[split.ID] = split.Start
	}
	if err := p.source.Assign(ctx, positions); err != nil {
		return err
	}
	p.ends, err = p.source.Ends(ctx)
	return err
}

// fork is another lane of a peek that was opened for several. It is closed before
// the peek is.
func (p *peek) fork(lane int) (*peek, error) {
	decoder, hidden, err := p.another()
	if err != nil {
		return nil, err
	}
	p.reading.Add(1)
	return &peek{
		source: p.source, decoder: decoder, ends: p.ends, hidden: hidden, order: p.order, rows: firstRows, warn: p.warn,
		lane: lane, polling: p.polling, enough: p.enough, reading: p.reading,
	}, nil
}

// watch is called for a query with a LIMIT before it reads.
func (p *peek) watch() {
	if reached(p.source, p.ends) {
		p.until = time.Now().Add(watchTime)
	}
}

// next is some more rows, at least one, or io.EOF. The arrays are valid until
// the next call.
func (p *peek) next(ctx context.Context) ([]arrow.Array, int, error) {
	for {
		if p.started {
			d, err := p.decoder.Next(p.rows)
			if err != nil {
				return nil, 0, err
			}
			if d != nil {
				p.rows = min(4*p.rows, mostRows)
				columns, err := p.take(d)
				if rows := len(d.Values); rows > 0 || err != nil {
					return columns, rows, err
				}
				continue
			}
			if !time.Now().Before(p.until) && reached(p.source, p.ends) {
				return nil, 0, io.EOF
			}
		}
		if err := p.poll(ctx); err != nil {
			return nil, 0, err
		}
	}
}

// poll waits for the next chunk.
func (p *peek) poll(ctx context.Context) error {
	polling := ctx
	if p.polling != nil {
		polling = p.polling
	}
	pollCtx, cancel := context.WithTimeout(polling, peekWait)
	defer cancel()
	if err := p.source.Poll(pollCtx, p.lane, &p.chunk); err != nil {
		if ctx.Err() == nil && pollCtx.Err() != nil {
			if polling.Err() == nil && p.reading.Add(-1) == 0 && len(p.ends) > 0 && !reached(p.source, p.ends) {
				p.warn(otherWarning, fmt.Sprintf("the source has more than was read: for %v nothing came", peekWait))
			}
			return io.EOF
		}
		return err
	}
	if p.enough != nil && reached(p.source, p.ends) {
		p.enough()
	}
	p.started = true
	p.decoder.Reset(&p.chunk)
	return nil
}

func (p *peek) take(d *connectors.Decoded) ([]arrow.Array, error) {
	for _, r := range d.Rejected {
		p.warn(rejectedWarning, "a value was left out: "+strings.ToValidUTF8(r.Message, "\uFFFD"))
	}
	hidden, err := p.hidden.Take(&p.chunk, d.Values)
	if err != nil {
		return nil, err
	}
	all := append(slices.Clone(d.Batch.Columns()), hidden...)
	columns := make([]arrow.Array, len(p.order))
	for i, k := range p.order {
		columns[i] = all[k]
	}
	return columns, nil
}

func (p *peek) close() error {
	if p.decoder != nil {
		p.decoder.Close()
	}
	if p.hidden != nil {
		p.hidden.Close()
	}
	if p.lane > 0 {
		return nil // the source is that of the first lane
	}
	if p.enough != nil {
		p.enough()
	}
	if p.source != nil {
		return p.source.Close()
	}
	return nil
}

// peekIter gives what a peek reads to the MySQL engine.
type peekIter struct {
	*peek
	columns types.Schema
	loc     *time.Location
	rows    []gms.Row
	err     error
}

// Next implements gms.RowIter.
func (it *peekIter) Next(ctx *gms.Context) (gms.Row, error) {
	for len(it.rows) == 0 {
		if it.err == nil {
			it.err = edgeError(ctx, it.fill(ctx))
		}
		if it.err != nil {
			return nil, it.err
		}
	}
	row := it.rows[0]
	it.rows = it.rows[1:]
	return row, nil
}

func (it *peekIter) fill(ctx *gms.Context) error {
	columns, n, err := it.next(ctx)
	if err != nil {
		return err
	}
	for i := range n {
		row := make(gms.Row, len(it.columns))
		for j, c := range it.columns {
			v, err := planner.GMSValue(kernel.Value(columns[j], i), c.Type, it.loc)
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
func (it *peekIter) Close(*gms.Context) error { return it.close() }

// peekTable is a source as a relation of a query that DuckDB runs.
type peekTable struct {
	db     *DB
	source *source
	schema types.Schema // hidden columns too
	lanes  int          // that read: 1, unless the rows may come in any order
	warn   warnFunc
}

// Name implements adhoc.Rows.
func (t *peekTable) Name() string { return t.source.name }

// Schema implements adhoc.Rows.
func (t *peekTable) Schema() types.Schema { return t.schema }

// ScanArrow implements adhoc.Rows.
func (t *peekTable) ScanArrow(ctx context.Context, columns []int) (array.RecordReader, error) {
	schema := make(types.Schema, len(columns))
	for i, c := range columns {
		schema[i] = t.schema[c]
	}
	p, err := t.db.peek(ctx, t.source, schema, nil, t.lanes, t.warn)
	if err != nil {
		return nil, err
	}
	as := schema.Arrow()
	if t.lanes > 1 {
		l := newPeekLanes(ctx, p, t.lanes, as)
		return newBatchReader(as, l.next, l.close, nil), nil
	}
	return newBatchReader(as, ownBatches(as, func() ([]arrow.Array, int, error) { return p.next(ctx) }), p.close, nil), nil
}

// withRows is a plan whose scans of sources and system tables can be read.
func (db *DB) withRows(root logical.Node, warn warnFunc) logical.Node {
	unordered := logical.ScansInAnyOrder(root)
	return logical.TransformPlan(root, func(n logical.Node) logical.Node {
		scan, ok := n.(*logical.Scan)
		if !ok || scan.Kind == logical.RelationTable {
			return n
		}
		schema := make(types.Schema, len(scan.Columns))
		for i, c := range scan.Columns {
			schema[i] = types.Column{Name: c.Name, Type: c.Type, NotNull: c.NotNull}
		}
		readable := *scan
		if scan.Kind == logical.RelationSystem {
			readable.Handle = &systemRows{db: db, name: scan.Name, schema: schema, warn: warn}
			return &readable
		}
		s, ok := scan.Handle.(*source)
		if !ok {
			return n
		}
		lanes := 1
		if unordered[scan] {
			lanes = db.cfg.Threads
		}
		readable.Handle = &peekTable{db: db, source: s, schema: schema, lanes: lanes, warn: warn}
		return &readable
	})
}
