package engine_test

import (
	"context"
	"fmt"
	"maps"
	"path/filepath"
	"slices"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/leatdb/leat/connectors"
)

// quiet is a source whose lanes wait for records that never come. It notes which
// of them do.
type quiet struct {
	mu      sync.Mutex
	polling map[int]bool
	changed chan struct{} // closed when polling does
}

// quietSource is the quiet source that was opened last.
var quietSource atomic.Pointer[quiet]

func (q *quiet) note(lane int, polls bool) {
	q.mu.Lock()
	defer q.mu.Unlock()
	if q.polling[lane] = polls; !polls {
		delete(q.polling, lane)
	}
	close(q.changed)
	q.changed = make(chan struct{})
}

// lanes are those that wait in Poll, and what is closed when others do.
func (q *quiet) lanes() ([]int, chan struct{}) {
	q.mu.Lock()
	defer q.mu.Unlock()
	return slices.Sorted(maps.Keys(q.polling)), q.changed
}

func (q *quiet) Splits(context.Context, bool, connectors.Positions) ([]connectors.Split, error) {
	return []connectors.Split{{ID: "0", Start: "0"}}, nil
}
func (q *quiet) Assign(context.Context, connectors.Positions) error { return nil }
func (q *quiet) Positions() connectors.Positions                    { return connectors.Positions{"0": "0"} }
func (q *quiet) Ends(context.Context) (connectors.Positions, error) { return nil, nil }
func (q *quiet) Progress() connectors.Progress                      { return connectors.Progress{Lag: -1} }
func (q *quiet) Bounded() bool                                      { return false }
func (q *quiet) Close() error                                       { return nil }

func (q *quiet) Reached(string, connectors.Position, connectors.Position) bool { return true }

func (q *quiet) Poll(ctx context.Context, lane int, _ *connectors.Chunk) error {
	q.note(lane, true)
	defer q.note(lane, false)
	<-ctx.Done()
	return ctx.Err()
}

func init() {
	for name, unordered := range map[string]bool{"quiet_ordered": false, "quiet_unordered": true} {
		connectors.RegisterSource(&connectors.SourceConnector{Name: name, Unordered: unordered, FormatDefault: "json", Open: func(context.Context, connectors.SourceConfig) (connectors.Source, error) {
			q := &quiet{polling: map[int]bool{}, changed: make(chan struct{})}
			quietSource.Store(q)
			return q, nil
		}})
	}
}

// All lanes of a stream read a source whose records have no order; of one whose
// records have, no more than are needed.
func TestStream_FewLanesReadWhatHasAnOrder(t *testing.T) {
	for connector, want := range map[string][]int{"quiet_ordered": {0}, "quiet_unordered": {0, 1, 2}} {
		t.Run(connector, func(t *testing.T) {
			db := open(t, filepath.Join(t.TempDir(), "data"))
			mustExec(t, db, fmt.Sprintf(`CREATE SOURCE q (id INT) WITH (connector = '%s');
				CREATE STREAM s WITH (lanes = 3) AS SELECT id FROM q`, connector))
			// A lane that is kept from its first Poll for long gets help, which rests when
			// an epoch ends; none does here.
			for range 10 {
				if quietSource.Load().settles(want, 3*time.Second) {
					return
				}
				mustExec(t, db, "STOP STREAM s; START STREAM s")
			}
			t.Errorf("never do the lanes %v alone read", want)
		})
	}
}

// settles reports whether the lanes that wait in Poll become those, and stay so for
// many times what lanes that rest need to find that they are wanted.
func (q *quiet) settles(want []int, within time.Duration) bool {
	deadline := time.After(within)
	for {
		lanes, changed := q.lanes()
		var still <-chan time.Time
		if slices.Equal(lanes, want) {
			still = time.After(500 * time.Millisecond)
		}
		select {
		case <-changed:
		case <-still:
			return true
		case <-deadline:
			return false
		}
	}
}
