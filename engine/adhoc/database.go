package adhoc

// #include <stdlib.h>
import "C"

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"sync/atomic"
	"time"
	"unsafe"

	"github.com/apache/arrow-go/v18/arrow"
	"github.com/apache/arrow-go/v18/arrow/array"
	"github.com/apache/arrow-go/v18/arrow/cdata"
	duckdb "github.com/duckdb/duckdb-go-bindings"
)

// maxIdleConnections is how many connections are kept between queries. One
// costs some 100 KB; opening one takes microseconds.
const maxIdleConnections = 8

// interruptInterval is how often a cancelled query is interrupted again:
// DuckDB clears the flag when it begins to execute, so one call may be lost.
const interruptInterval = 10 * time.Millisecond

// database is one in-memory DuckDB with its connections.
//
// It stands on the bindings below github.com/duckdb/duckdb-go's driver, because
// the driver materialises a result in memory before the first row of it can be
// read, and ad hoc results have to stream.
//
// DuckDB itself is opened by the first query: it takes some 30 MB, which a
// process that only runs streams does not have to spend.
type database struct {
	options map[string]string
	init    []string // statements to run once

	mu     sync.Mutex
	db     duckdb.Database
	opened bool
	idle   []*connection
	closed bool
	// noRoom is whether a query found no room to spill to: DuckDB bounds what it spills by
	// the room that there was at first, so it has to look again.
	noRoom atomic.Bool
	// functions are the names that kernels are registered under.
	functions map[string]bool
}

// newDatabase describes an in-memory database with global options, on which init
// is run once.
func newDatabase(options map[string]string, init []string) *database {
	return &database{options: options, init: init, functions: make(map[string]bool)}
}

// open opens DuckDB. d.mu is held.
func (d *database) open() error {
	var config duckdb.Config
	if duckdb.CreateConfig(&config) == duckdb.StateError {
		duckdb.DestroyConfig(&config)
		return errors.New("no configuration")
	}
	defer duckdb.DestroyConfig(&config)
	for name, value := range d.options {
		if duckdb.SetConfig(config, name, value) == duckdb.StateError {
			return fmt.Errorf("option %s does not take %q", name, value)
		}
	}
	var message string
	if duckdb.OpenExt("", &d.db, config, &message) == duckdb.StateError {
		duckdb.Close(&d.db)
		return errors.New(message)
	}
	c := &connection{of: d}
	if duckdb.Connect(d.db, &c.conn) == duckdb.StateError {
		duckdb.Close(&d.db)
		return errors.New("no connection")
	}
	for _, sql := range d.init {
		if err := c.exec(sql); err != nil {
			duckdb.Disconnect(&c.conn)
			duckdb.Close(&d.db)
			return err
		}
	}
	d.idle = append(d.idle, c)
	d.opened = true
	return nil
}

// connect takes an idle connection or opens one. Each is used by one query at
// a time and given back with release.
func (d *database) connect() (*connection, error) {
	d.mu.Lock()
	defer d.mu.Unlock()
	if d.closed {
		return nil, closedError()
	}
	if !d.opened {
		if err := d.open(); err != nil {
			return nil, fmt.Errorf("open duckdb: %w", err)
		}
	}
	c := &connection{of: d}
	if n := len(d.idle); n > 0 {
		c = d.idle[n-1]
		d.idle = d.idle[:n-1]
	} else if duckdb.Connect(d.db, &c.conn) == duckdb.StateError {
		return nil, errors.New("open duckdb connection")
	}
	if d.noRoom.Swap(false) && c.exec("RESET max_temp_directory_size") != nil {
		d.noRoom.Store(true) // others have spilled more than there would be room for now
	}
	return c, nil
}

// release gives a connection back.
func (d *database) release(c *connection) {
	d.mu.Lock()
	keep := !d.closed && len(d.idle) < maxIdleConnections
	if keep {
		d.idle = append(d.idle, c)
	}
	d.mu.Unlock()
	if !keep {
		duckdb.Disconnect(&c.conn)
	}
}

// close ends the database. Connections in use keep DuckDB's own share of it
// alive until they are released.
func (d *database) close() {
	d.mu.Lock()
	defer d.mu.Unlock()
	if d.closed {
		return
	}
	d.closed = true
	for _, c := range d.idle {
		duckdb.Disconnect(&c.conn)
	}
	d.idle = nil
	if d.opened {
		duckdb.Close(&d.db)
	}
}

// connection is one session of the database.
type connection struct {
	of   *database
	conn duckdb.Connection
	zone string // what TimeZone was last set to
}

// exec runs a statement that has no result to speak of.
func (c *connection) exec(sql string) error {
	var res duckdb.Result
	state := duckdb.Query(c.conn, sql, &res)
	defer duckdb.DestroyResult(&res)
	if state == duckdb.StateError {
		return c.noted(resultError(&res))
	}
	return nil
}

// noted remembers of an error of a query what the next one has to know.
func (c *connection) noted(err error) error {
	if e, ok := errors.AsType[*duckError](err); ok && e.noRoom {
		c.of.noRoom.Store(true)
	}
	return err
}

// setZone makes zone, an IANA name, the zone in which TIMESTAMPs become wall
// clocks.
func (c *connection) setZone(zone string) error {
	if c.zone == zone {
		return nil
	}
	if err := c.exec("SET TimeZone = " + quoteText(zone)); err != nil {
		return err
	}
	c.zone = zone
	return nil
}

// load makes a temporary table of what the items select from a reader's
// columns, #1, #2, …. The returned function drops it. It is for streams of Go's,
// which DuckDB can read once only.
func (c *connection) load(ctx context.Context, table, items string, r array.RecordReader) (drop func(), err error) {
	view := "read_" + table
	stream := C.calloc(1, C.size_t(unsafe.Sizeof(cdata.CArrowArrayStream{})))
	defer C.free(stream)
	cdata.ExportRecordReader(r, (*cdata.CArrowArrayStream)(stream))
	defer cdata.ReleaseCArrowArrayStream((*cdata.CArrowArrayStream)(stream))
	if duckdb.ArrowScan(c.conn, view, duckdb.ArrowStream{Ptr: stream}) == duckdb.StateError {
		return nil, errors.New("duckdb: cannot read an Arrow stream")
	}
	defer c.exec("DROP VIEW IF EXISTS " + view) //nolint:errcheck // it exists, and nobody else knows it

	w := watch(ctx, c)
	err = c.exec("CREATE TEMP TABLE " + table + " AS SELECT " + items + " FROM " + view)
	w.stop()
	if err != nil {
		return nil, err
	}
	return func() { c.exec("DROP TABLE " + table) }, nil //nolint:errcheck // as above
}

// watcher interrupts what a connection executes.
type watcher struct {
	done  chan struct{} // closed to end it
	ended chan struct{}
}

// watch interrupts what c executes from the moment that ctx ends until stop.
func watch(ctx context.Context, c *connection) *watcher {
	w := &watcher{make(chan struct{}), make(chan struct{})}
	go func() {
		defer close(w.ended)
		select {
		case <-w.done:
			return
		case <-ctx.Done():
		}
		ticker := time.NewTicker(interruptInterval)
		defer ticker.Stop()
		for {
			duckdb.Interrupt(c.conn)
			select {
			case <-w.done:
				return
			case <-ticker.C:
			}
		}
	}()
	return w
}

func (w *watcher) stop() {
	close(w.done)
	<-w.ended
}

// stream is a running query whose result is fetched chunk by chunk.
type stream struct {
	by        *connection
	statement duckdb.PreparedStatement
	result    duckdb.Result
	options   duckdb.ArrowOptions
	schema    *arrow.Schema
	watcher   *watcher
}

// stream prepares and starts one SELECT. An error of preparing is a
// *prepareError. Whatever happens to ctx while the stream is open interrupts
// it; the caller closes it.
func (c *connection) stream(ctx context.Context, sql string) (*stream, error) {
	if err := ctx.Err(); err != nil {
		return nil, err
	}
	s := &stream{by: c, watcher: watch(ctx, c)}
	if err := s.start(c, sql); err != nil {
		s.close()
		if ctx.Err() != nil {
			return nil, ctx.Err()
		}
		return nil, c.noted(err)
	}
	return s, nil
}

func (s *stream) start(c *connection, sql string) error {
	var statements duckdb.ExtractedStatements
	n := duckdb.ExtractStatements(c.conn, sql, &statements)
	defer duckdb.DestroyExtracted(&statements)
	if n != 1 {
		if message := duckdb.ExtractStatementsError(statements); message != "" {
			return &prepareError{sql, parseError(message)}
		}
		return &prepareError{sql, fmt.Errorf("%d statements where one is due", n)}
	}
	if duckdb.PrepareExtractedStatement(c.conn, statements, 0, &s.statement) == duckdb.StateError {
		return &prepareError{sql, parseError(duckdb.PrepareError(s.statement))}
	}
	var pending duckdb.PendingResult
	state := duckdb.PendingPreparedStreaming(s.statement, &pending)
	defer duckdb.DestroyPending(&pending)
	if state == duckdb.StateError {
		return parseError(duckdb.PendingError(pending))
	}
	if duckdb.ExecutePending(pending, &s.result) == duckdb.StateError {
		return resultError(&s.result)
	}
	s.options = duckdb.ResultGetArrowOptions(&s.result)
	columns := duckdb.ColumnCount(&s.result)
	names := make([]string, columns)
	types := make([]duckdb.LogicalType, columns)
	for i := range columns {
		names[i] = duckdb.ColumnName(&s.result, i)
		types[i] = duckdb.ColumnLogicalType(&s.result, i)
	}
	defer func() {
		for i := range types {
			duckdb.DestroyLogicalType(&types[i])
		}
	}()
	schema, data := duckdb.NewArrowSchema(s.options, types, names)
	s.schema = schema
	return dataError(data)
}

// next fetches the next chunk, at most 2048 rows; nil at the end. The caller
// releases it.
func (s *stream) next(ctx context.Context) (arrow.RecordBatch, error) {
	if err := ctx.Err(); err != nil {
		return nil, err
	}
	chunk := duckdb.FetchChunk(s.result)
	if chunk.Ptr == nil {
		if err := resultError(&s.result); err != nil {
			if ctx.Err() != nil {
				return nil, ctx.Err()
			}
			return nil, s.by.noted(err)
		}
		return nil, nil
	}
	defer duckdb.DestroyDataChunk(&chunk)
	batch, data := duckdb.DataChunkToArrowArray(s.options, s.schema, chunk)
	if err := dataError(data); err != nil {
		return nil, fmt.Errorf("read result: %w", err)
	}
	return batch, nil
}

// close ends the query, finished or not, and frees it.
func (s *stream) close() {
	s.watcher.stop()
	duckdb.DestroyArrowOptions(&s.options)
	duckdb.DestroyResult(&s.result)
	duckdb.DestroyPrepare(&s.statement)
}

func resultError(res *duckdb.Result) error {
	if message := duckdb.ResultError(res); message != "" {
		return parseError(message)
	}
	return nil
}

// dataError takes the error out of data, nil if there is none, and frees it.
func dataError(data duckdb.ErrorData) error {
	defer duckdb.DestroyErrorData(&data)
	if !duckdb.ErrorDataHasError(data) {
		return nil
	}
	return parseError(duckdb.ErrorDataMessage(data))
}
