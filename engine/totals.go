//go:build gms_pure_go && duckdb_arrow

package engine

import (
	"context"
	"errors"
	"fmt"
	"io"
	"sync"
	"time"

	"github.com/apache/arrow-go/v18/arrow"
	"github.com/apache/arrow-go/v18/arrow/memory"

	"github.com/leatdb/leat/engine/adhoc"
	"github.com/leatdb/leat/engine/kernel"
	"github.com/leatdb/leat/planner"
)

// totalsRun computes the aggregates of a query over all rows of its input. Each
// lane reads, decodes, computes and adds up for itself.
type totalsRun struct {
	query   *planner.Query
	session adhoc.Session
	first   *directRun // the first lane
	lanes   int
	peek    *peek // nil without a source
	ctx     context.Context
	// measured is nil unless it is measured.
	measured *directMeasures

	given  bool
	result []arrow.Array
}

// next gives the one row of results, then io.EOF.
func (t *totalsRun) next() ([]arrow.Array, int, error) {
	if t.given {
		return nil, 0, io.EOF
	}
	t.given = true
	totals, err := t.run()
	if err != nil {
		return nil, 0, err
	}
	for _, total := range totals {
		column, err := total.Array(memory.DefaultAllocator)
		if err != nil {
			return nil, 0, evaluationError(err)
		}
		t.result = append(t.result, column)
	}
	return t.result, 1, nil
}

func (t *totalsRun) release() {
	for _, c := range t.result {
		c.Release()
	}
	t.result = nil
}

// run reads everything, on all lanes, and merges what they have added up.
func (t *totalsRun) run() ([]*kernel.Total, error) {
	totals := make([][]*kernel.Total, t.lanes)
	errs := make([]error, t.lanes)
	var others sync.WaitGroup
	for lane := 1; lane < t.lanes; lane++ {
		others.Go(func() {
			totals[lane], errs[lane] = t.another(lane)
			t.ended(errs[lane])
		})
	}
	totals[0], errs[0] = t.lane(t.first)
	t.ended(errs[0])
	others.Wait()
	for _, err := range errs {
		if err != nil {
			return nil, err
		}
	}
	for _, more := range totals[1:] {
		for i, total := range more {
			if err := totals[0][i].Merge(total); err != nil {
				return nil, evaluationError(err)
			}
		}
	}
	return totals[0], nil
}

// ended lets the other lanes end when one has failed.
func (t *totalsRun) ended(err error) {
	if err != nil && t.lanes > 1 {
		t.peek.enough()
	}
}

// another is a lane beside the first.
func (t *totalsRun) another(lane int) (totals []*kernel.Total, err error) {
	err = inLane(lane, func() (err error) {
		p, err := t.peek.fork(lane)
		if err != nil {
			return err
		}
		defer func() { err = errors.Join(err, p.close()) }()
		d, err := newDirectRun(t.session, t.query.Steps, t.measured.below(), func() ([]arrow.Array, int, error) { return p.next(t.ctx) })
		if err != nil {
			return err
		}
		totals, err = t.lane(d)
		return err
	})
	return totals, err
}

// lane adds up what comes of a lane's input.
func (t *totalsRun) lane(d *directRun) ([]*kernel.Total, error) {
	defer d.release()
	totals := make([]*kernel.Total, len(t.query.Totals))
	for i, a := range t.query.Totals {
		total, ok := kernel.NewTotal(a.Function, a.Arg, a.Out)
		if !ok {
			return nil, fmt.Errorf("no total %s of %s", a.Function, a.Arg)
		}
		totals[i] = total
	}
	for {
		columns, rows, err := d.next()
		if errors.Is(err, io.EOF) {
			return totals, nil
		}
		if err != nil {
			return nil, err
		}
		if err := t.add(totals, columns, rows); err != nil {
			return nil, err
		}
	}
}

// add adds a batch to a lane's totals.
func (t *totalsRun) add(totals []*kernel.Total, columns []arrow.Array, rows int) error {
	if t.measured != nil {
		defer t.measured.adding(time.Now())
	}
	for i, a := range t.query.Totals {
		if a.Column < 0 {
			totals[i].AddRows(rows)
		} else if err := totals[i].Add(columns[a.Column]); err != nil {
			return evaluationError(err)
		}
	}
	return nil
}
