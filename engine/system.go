//go:build gms_pure_go && duckdb_arrow

package engine

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"maps"
	"slices"
	"strings"

	"github.com/apache/arrow-go/v18/arrow"
	"github.com/apache/arrow-go/v18/arrow/array"
	"github.com/apache/arrow-go/v18/arrow/memory"
	gms "github.com/dolthub/go-mysql-server/sql"

	"github.com/leatdb/leat/catalog"
	"github.com/leatdb/leat/connectors"
	"github.com/leatdb/leat/engine/kernel"
	"github.com/leatdb/leat/planner"
	"github.com/leatdb/leat/planner/logical"
	"github.com/leatdb/leat/sql/sqlerror"
	"github.com/leatdb/leat/sql/types"
)

// systemDB is the database leat: what can be seen of the engine, as tables.
type systemDB struct {
	noRoutines
	noViews
	db *DB
}

func newSystemDB(db *DB) systemDB {
	return systemDB{noRoutines{systemDatabase}, noViews{systemDatabase}, db}
}

// systemTables are the tables of database leat.
var systemTables = map[string]struct {
	columns types.Schema
	rows    func(ctx context.Context, db *DB, r *result, warn warnFunc) error
}{
	"sources": {sourcesColumns, func(_ context.Context, db *DB, r *result, _ warnFunc) error {
		for _, name := range db.names("source") {
			r.rows = append(r.rows, db.sourceRow(db.source(name)))
		}
		return nil
	}},
	"sinks": {sinksColumns, func(_ context.Context, db *DB, r *result, _ warnFunc) error {
		for _, s := range db.allSinks() {
			r.rows = append(r.rows, db.sinkRow(s))
		}
		return nil
	}},
	"streams": {streamsColumns, func(_ context.Context, db *DB, r *result, _ warnFunc) error {
		for _, s := range db.allStreams() {
			r.rows = append(r.rows, streamRow(s))
		}
		return nil
	}},
	"stream_metrics": {metricsColumns, func(_ context.Context, db *DB, r *result, _ warnFunc) error {
		for _, s := range db.allStreams() {
			r.rows = append(r.rows, db.metricsRow(s))
		}
		return nil
	}},
	"splits": {splitsColumns, func(_ context.Context, db *DB, r *result, _ warnFunc) error {
		for _, s := range db.allStreams() {
			splitRows(s, r)
		}
		return nil
	}},
	"watermarks": {watermarksColumns, func(_ context.Context, db *DB, r *result, _ warnFunc) error {
		for _, s := range db.allStreams() {
			st := s.status()
			r.add(s.name, s.sourceLabel(), moment(st.Progress.Behind))
		}
		return nil
	}},
	"commits":    {commitsColumns, commitRows},
	"files":      {filesColumns, fileRows},
	"partitions": {partitionsColumns, partitionRows},
}

// deadLettersTable is the union of the _dead_letters tables of all sinks.
const deadLettersTable = "dead_letters"

var (
	metricsColumns = types.Schema{
		text("stream"), text("state"), integer("generation"), integer("epoch"),
		integer("records_in"), integer("records_empty"), integer("rows_in"), integer("rows_exploded"),
		integer("rows_landed"), integer("rows_filtered"), integer("rows_dead"), integer("rows_replayed"), integer("rows_in_flight"),
		integer("bytes_in"), integer("bytes_out"), integer("files"), integer("commits"), double("commit_seconds"), integer("bytes_buffered"), integer("open_partitions"), integer("max_open_partitions"),
		double("rows_per_second"), double("bytes_per_second"), integer("lag"), integer("millis_behind_latest"), integer("freshness_ms"), instant("last_commit_at"),
	}
	splitsColumns     = types.Schema{text("stream"), text("source"), text("split"), text("position"), text("committed_position"), integer("lag_ms")}
	watermarksColumns = types.Schema{text("stream"), text("source"), instant("newest_record_at")}
	commitsColumns    = types.Schema{
		text("stream"), text("database"), text("table"), integer("generation"), integer("epoch"),
		instant("committed_at"), instant("completed_at"), integer("rows_landed"), integer("rows_dead"),
		integer("files"), integer("bytes"), text("positions"), text("data_loss"), integer("snapshot_id"),
	}
	filesColumns      = types.Schema{text("database"), text("table"), text("path"), text("format"), text("partition"), integer("rows"), integer("bytes")}
	partitionsColumns = types.Schema{text("database"), text("table"), text("partition"), integer("files"), integer("rows"), integer("bytes")}
	deadColumns       = types.Schema{
		text("stream"), text("source"), text("source_position"), {Name: "arrived_at", Type: types.Type{Kind: types.Timestamp, Fsp: 6}},
		text("error_class"), text("error_message"), {Name: "raw", Type: types.TypeBlob}, {Name: "attempt", Type: types.Type{Kind: types.Int32}},
		text("letter"), text("replay"), {Name: "replayed_at", Type: types.Type{Kind: types.Timestamp, Fsp: 6}},
	}
)

// Name implements gms.Database.
func (systemDB) Name() string { return systemDatabase }

// GetTableNames implements gms.Database.
func (systemDB) GetTableNames(*gms.Context) ([]string, error) {
	return slices.Sorted(slices.Values(append(slices.Collect(maps.Keys(systemTables)), deadLettersTable))), nil
}

// GetTableInsensitive implements gms.Database.
func (d systemDB) GetTableInsensitive(_ *gms.Context, name string) (gms.Table, bool, error) {
	name = strings.ToLower(name)
	columns := deadColumns
	switch name {
	case deadLettersTable:
	case chosenLettersTable:
		columns = chosenColumns
	default:
		t, ok := systemTables[name]
		if !ok {
			return nil, false, nil
		}
		columns = t.columns
	}
	r, err := newRelationTable(d.db, planner.Relation{
		Kind: logical.RelationSystem, Database: systemDatabase, Name: name, Schema: columns,
	})
	if err != nil {
		return nil, false, err
	}
	return &systemTable{*r}, true, nil
}

// systemTable is a table of database leat; the MySQL engine reads its rows only
// for what kernels and DuckDB cannot evaluate.
type systemTable struct{ relationTable }

// WithProjections implements gms.ProjectedTable.
func (t *systemTable) WithProjections(_ *gms.Context, names []string) (gms.Table, error) {
	p, err := t.project(names)
	return &systemTable{p}, err
}

// PartitionRows implements gms.Table.
func (t *systemTable) PartitionRows(ctx *gms.Context, _ gms.Partition) (gms.RowIter, error) {
	rows := &systemRows{db: t.db, name: t.relation.Name, schema: t.columns, warn: func(number int, message string) { ctx.Warn(number, "%s", message) }}
	r, err := rows.ScanArrow(ctx, t.selected())
	if err != nil {
		return nil, edgeError(ctx, err)
	}
	return newReaderIter(ctx, r)
}

var (
	_ gms.ProjectedTable    = (*systemTable)(nil)
	_ planner.RelationTable = (*systemTable)(nil)
)

// warnFunc tells a query what it has to know, with MySQL's number.
type warnFunc func(number int, message string)

// otherWarning is MySQL's number for what has none of its own.
const otherWarning = 1105

// leftOut warns of something that a query does not show.
func (warn warnFunc) leftOut(what string, err error) {
	warn(otherWarning, what+" is left out: "+err.Error())
}

// systemRows is a system table as a relation of a query. What it holds is read
// when the query begins to.
type systemRows struct {
	db     *DB
	name   string
	schema types.Schema
	warn   warnFunc
}

// Name implements adhoc.Rows.
func (t *systemRows) Name() string { return t.name }

// Schema implements adhoc.Rows.
func (t *systemRows) Schema() types.Schema { return t.schema }

// ScanArrow implements adhoc.Rows.
func (t *systemRows) ScanArrow(ctx context.Context, columns []int) (array.RecordReader, error) {
	schema := make(types.Schema, len(columns))
	for i, c := range columns {
		schema[i] = t.schema[c]
	}
	rows, err := t.read(ctx, schema)
	if err != nil {
		return nil, err
	}
	as := schema.Arrow()
	return newBatchReader(as, ownBatches(as, rows.next), rows.close, nil), nil
}

// systemReader reads a system table. What next gives, at least one row or
// io.EOF, is valid until the next call.
type systemReader interface {
	next() ([]arrow.Array, int, error)
	close() error
}

// read begins to read some columns.
func (t *systemRows) read(ctx context.Context, columns types.Schema) (systemReader, error) {
	if t.name == deadLettersTable || t.name == chosenLettersTable {
		return t.db.deadLetters(ctx, columns, t.warn)
	}
	table := systemTables[t.name]
	r := &result{columns: table.columns}
	if err := table.rows(ctx, t.db, r, t.warn); err != nil {
		return nil, fmt.Errorf("read leat.%s: %w", t.name, err)
	}
	b := &resultBatches{ctx: ctx, rows: r.rows, columns: columns}
	for _, c := range columns {
		b.indices = append(b.indices, table.columns.Index(c.Name))
	}
	return b, nil
}

// resultBatches gives columns of a result's rows as Arrow arrays, some rows at a
// time.
type resultBatches struct {
	ctx     context.Context
	rows    [][]any // that are left
	columns types.Schema
	indices []int // of columns in a row
	arrays  []arrow.Array
}

func (b *resultBatches) next() ([]arrow.Array, int, error) {
	b.release()
	if err := b.ctx.Err(); err != nil {
		return nil, 0, err
	}
	n := min(len(b.rows), rowBatch)
	if n == 0 {
		return nil, 0, io.EOF
	}
	for i, c := range b.columns {
		column, err := arrayOf(c, n, func(row int) any { return b.rows[row][b.indices[i]] })
		if err != nil {
			return nil, 0, err
		}
		b.arrays = append(b.arrays, column)
	}
	b.rows = b.rows[n:]
	return b.arrays, n, nil
}

func (b *resultBatches) release() {
	for _, a := range b.arrays {
		a.Release()
	}
	b.arrays = b.arrays[:0]
}

func (b *resultBatches) close() error {
	b.release()
	return nil
}

// arrayOf is a column of n values, which are as in logical.Literal.
func arrayOf(c types.Column, n int, value func(row int) any) (arrow.Array, error) {
	builder := array.NewBuilder(memory.DefaultAllocator, types.Schema{c}.Arrow().Field(0).Type)
	defer builder.Release()
	for row := range n {
		if err := kernel.AppendValue(builder, value(row)); err != nil {
			return nil, fmt.Errorf("column %s: %w", c.Name, err)
		}
	}
	return builder.NewArray(), nil
}

func (db *DB) metricsRow(s *stream) []any {
	st := s.status()
	c := st.Committed.Counters
	var freshness any
	if at := st.Progress.Behind; !at.IsZero() {
		freshness = db.scheduler.Now().Sub(at).Milliseconds()
	} else if at := st.Committed.CommittedAt; !at.IsZero() {
		freshness = db.scheduler.Now().Sub(at).Milliseconds()
	}
	return append(append([]any{s.name, string(st.State)},
		committed(st, st.Committed.Generation, st.Committed.Epoch,
			c.RecordsIn, c.RecordsEmpty, c.RowsIn, c.RowsExploded, c.RowsLanded, c.RowsFiltered, c.RowsDead, c.RowsReplayed)...),
		st.InFlight.RowsIn, st.BytesIn, st.BytesOut, st.Files, st.Commits, st.CommitTime.Seconds(), st.Buffered, st.OpenPartitions, limit(st.MaxOpenPartitions),
		st.RowsPerSecond, st.BytesPerSecond, known(st.Progress.Lag), millisBehind(st), freshness, moment(st.Committed.CommittedAt),
	)
}

// limit is NULL where there is none.
func limit(n int64) any {
	if n <= 0 {
		return nil
	}
	return n
}

func splitRows(s *stream, r *result) {
	st := s.status()
	committed := st.Committed.Positions[s.source()]
	names := slices.Collect(maps.Keys(committed))
	for name := range st.Positions {
		if _, ok := committed[name]; !ok {
			names = append(names, name)
		}
	}
	slices.Sort(names)
	position := func(p connectors.Positions, name string) any {
		if v, ok := p[name]; ok {
			return string(v)
		}
		return nil
	}
	for _, name := range names {
		var lag any
		if d, ok := st.SplitLag[name]; ok {
			lag = d.Milliseconds()
		}
		r.add(s.name, s.sourceLabel(), name, position(st.Positions, name), position(committed, name), lag)
	}
	for _, replay := range st.Replays {
		done := any(nil)
		i := slices.IndexFunc(st.Committed.Replays, func(c connectors.Replay) bool { return c.ID == replay.ID })
		if i >= 0 {
			if st.Committed.Replays[i].Finished() {
				continue // over; the next commit forgets it
			}
			done = replayText(st.Committed.Replays[i])
		}
		r.add(s.name, s.sourceLabel(), replay.Split(), replayText(replay), done, nil)
	}
}

// replayText is how far a replay has come, as splits have their positions.
func replayText(r connectors.Replay) string {
	return fmt.Sprintf(`{"letter":%d,"of":%d}`, r.Done, r.Letters)
}

// eachTable visits the tables of all sinks. A sink that cannot be reached, or a
// table that cannot be read, is left out with a warning, so that the others can be
// seen.
func (db *DB) eachTable(ctx context.Context, warn warnFunc, f func(database string, t catalog.Table) error) error {
	for s := range db.heldSinks() {
		lake, err := s.lake(ctx)
		var names []string
		if err == nil {
			names, err = lake.Tables(ctx)
		}
		if errors.Is(err, errNoTables) {
			continue
		}
		if err != nil {
			warn.leftOut("sink "+s.name, err)
			continue
		}
		for _, name := range names {
			t, err := lake.Table(ctx, name)
			if sqlerror.HasCode(err, sqlerror.CodeUnknownObject) {
				continue
			}
			if err == nil {
				err = f(s.name, t)
			}
			if ctx.Err() != nil {
				return ctx.Err()
			}
			if err != nil {
				warn.leftOut("table "+s.name+"."+name, err)
			}
		}
	}
	return nil
}

func commitRows(ctx context.Context, db *DB, r *result, warn warnFunc) error {
	add := func(database, table string, commits []catalog.Commit) {
		for _, c := range commits {
			r.add(c.Stream, database, table, c.Generation, c.Epoch, moment(c.CommittedAt), moment(c.CompletedAt),
				c.RowsLanded, c.RowsDead, c.Files, c.Bytes, orNull(c.Positions), orNull(c.DataLoss), c.SnapshotID)
		}
	}
	err := db.eachTable(ctx, warn, func(database string, t catalog.Table) error {
		commits, err := t.Commits(ctx)
		if err == nil {
			add(database, t.Name(), commits)
		}
		return err
	})
	if err != nil {
		return err
	}
	// Streams into sinks that are no lakes.
	for _, s := range db.allStreams() {
		sink, release := db.heldSink(s.sink)
		if sink == nil {
			continue
		}
		if _, err := sink.lake(ctx); !errors.Is(err, errNoTables) {
			release()
			continue
		}
		commits, err := sink.commits(ctx, s.name)
		release()
		if err != nil {
			warn(1105, "commits of stream "+s.name+" are left out: "+err.Error())
			continue
		}
		add(s.sink, s.table, commits)
	}
	return nil
}

func orNull(s string) any {
	if s == "" {
		return nil
	}
	return s
}

func fileRows(ctx context.Context, db *DB, r *result, warn warnFunc) error {
	return db.eachTable(ctx, warn, func(database string, t catalog.Table) error {
		files, err := t.Plan(ctx, nil)
		if err != nil {
			return err
		}
		for _, f := range files {
			r.add(database, t.Name(), f.Path, f.Format, partitionText(f.Partition), known(f.Rows), f.Bytes)
		}
		return nil
	})
}

func partitionRows(ctx context.Context, db *DB, r *result, warn warnFunc) error {
	return db.eachTable(ctx, warn, func(database string, t catalog.Table) error {
		partitions, err := t.Partitions(ctx)
		if err != nil {
			return err
		}
		for _, p := range partitions {
			r.add(database, t.Name(), partitionText(p.Values), p.Files, known(p.Rows), p.Bytes)
		}
		return nil
	})
}

// partitionText is a partition as a JSON object, NULL for a table without
// partitions.
func partitionText(values map[string]any) any {
	if len(values) == 0 {
		return nil
	}
	b, err := json.Marshal(values)
	if err != nil {
		return nil
	}
	return string(b)
}
