//go:build gms_pure_go && duckdb_arrow

package engine

import (
	"context"
	"errors"
	"fmt"
	"io"
	"runtime/debug"
	"sync"

	"github.com/apache/arrow-go/v18/arrow"
)

// peekLanes reads a peek on several lanes for one reader, which gets their rows in
// no order. Each lane polls and decodes for itself, and is at most a batch ahead.
type peekLanes struct {
	schema  *arrow.Schema
	first   *peek
	ctx     context.Context
	cancel  context.CancelFunc
	running sync.WaitGroup
	batches chan peekedBatch
}

// peekedBatch is what a lane has read, or why it cannot go on.
type peekedBatch struct {
	batch arrow.RecordBatch
	err   error
}

// newPeekLanes begins to read a peek that was opened for so many lanes.
func newPeekLanes(ctx context.Context, first *peek, lanes int, schema *arrow.Schema) *peekLanes {
	l := &peekLanes{schema: schema, first: first, batches: make(chan peekedBatch)}
	l.ctx, l.cancel = context.WithCancel(ctx)
	for lane := range lanes {
		l.running.Go(func() {
			if err := inLane(lane, func() error { return l.run(lane) }); err != nil {
				l.send(peekedBatch{err: err})
			}
		})
	}
	go func() {
		l.running.Wait()
		close(l.batches)
	}()
	return l
}

// inLane makes a panic in a lane of a query an error.
func inLane(lane int, f func() error) (err error) {
	defer func() {
		if r := recover(); r != nil {
			err = fmt.Errorf("panic in lane %d of a query: %v\n%s", lane, r, debug.Stack())
		}
	}()
	return f()
}

// run is a lane.
func (l *peekLanes) run(lane int) (err error) {
	p := l.first
	if lane > 0 {
		if p, err = l.first.fork(lane); err != nil {
			return err
		}
		defer func() { err = errors.Join(err, p.close()) }()
	}
	for {
		columns, rows, err := p.next(l.ctx)
		if errors.Is(err, io.EOF) {
			return nil
		}
		if err != nil {
			return err
		}
		batch, err := ownBatch(l.schema, columns, rows)
		if err != nil || !l.send(peekedBatch{batch: batch}) {
			return err
		}
	}
}

// send gives the reader a batch. It reports false when the reader wants no more.
func (l *peekLanes) send(b peekedBatch) bool {
	select {
	case l.batches <- b:
		return true
	case <-l.ctx.Done():
		if b.batch != nil {
			b.batch.Release()
		}
		return false
	}
}

// next is some more rows, which are the caller's, or io.EOF.
func (l *peekLanes) next() (arrow.RecordBatch, error) {
	b, ok := <-l.batches
	switch {
	case ok:
		return b.batch, b.err
	case l.ctx.Err() != nil:
		return nil, l.ctx.Err()
	}
	return nil, io.EOF
}

// close ends all lanes.
func (l *peekLanes) close() error {
	l.cancel()
	l.first.enough() // whoever polls
	for b := range l.batches {
		if b.batch != nil {
			b.batch.Release()
		}
	}
	return l.first.close()
}
