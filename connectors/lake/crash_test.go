package lake_test

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"math/rand/v2"
	"os"
	"path/filepath"
	"strings"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	icebergcatalog "github.com/apache/iceberg-go/catalog"
	"github.com/apache/iceberg-go/table"

	"github.com/leatdb/leat/connectors"
	"github.com/leatdb/leat/connectors/lake"
	"github.com/leatdb/leat/internal/objectstore/faultstore"
	"github.com/leatdb/leat/sql/sqlerror"
)

const (
	crashRows  = 36 // ids of the scenario
	crashEpoch = 12 // … and of an epoch
)

// openFaulty opens a sink whose store misbehaves, without failing the test when
// that happens.
func openFaulty(ctx context.Context, dir string, inject func(faultstore.Call) faultstore.Fault, wrap ...func(icebergcatalog.Catalog) icebergcatalog.Catalog) (*lake.Sink, *faultstore.Store, error) {
	inner, err := openFolder(ctx, dir)
	if err != nil {
		return nil, nil, err
	}
	store := faultstore.New(inner, inject)
	cfg := configIn(dir, store)
	if len(wrap) > 0 {
		cfg.WrapCatalog = wrap[0]
	}
	s, err := lake.Open(ctx, cfg)
	return s, store, err
}

// run starts the stream and lands what is left of the ids. It ends with the
// first error, as a process does that dies there; nothing is closed but the
// catalog's file, which dies with a process, too.
func run(ctx context.Context, dir string, inject func(faultstore.Call) faultstore.Fault, wrap ...func(icebergcatalog.Catalog) icebergcatalog.Catalog) (calls int, dead bool, err error) {
	sink, store, err := openFaulty(ctx, dir, inject, wrap...)
	if err != nil {
		return 0, false, err
	}
	defer func() {
		calls, dead = len(store.Calls()), store.Dead()
		err = errors.Join(err, sink.Close())
	}()
	stream, err := sink.Stream(ctx, specIn(dir))
	if err != nil {
		return 0, false, err
	}
	defer stream.Close()
	state, _, err := stream.Begin(ctx, fromStart)
	if err != nil {
		return 0, false, err
	}
	if !state.Counters.Reconciled() {
		return 0, false, fmt.Errorf("counters do not reconcile: %+v", state.Counters)
	}
	for at(state) < crashRows {
		sealed, err := writeEpoch(ctx, stream, &state, at(state)+crashEpoch)
		if err != nil {
			return 0, false, err
		}
		if _, err := stream.Commit(ctx, state, sealed, connectors.CommitInfo{}); err != nil {
			return 0, false, err
		}
	}
	return 0, false, nil
}

// checkRun starts the stream once more without faults and checks what landed.
// It runs outside of synctest's bubbles: the reader's decoder is shared by all.
func checkRun(t *testing.T, dir string) {
	t.Helper()
	if _, _, err := run(t.Context(), dir, nil); err != nil {
		t.Fatalf("the run after the faults: %v", err)
	}
	sink := openSink(t, dir, nil)
	checkExactlyOnce(t, sink.Lake(), crashRows)
	stream := openStream(t, sink, specIn(dir))
	state, _ := mustBegin(t, stream)
	if c := state.Counters; c.RowsIn != crashRows || !c.Reconciled() || at(state) != crashRows {
		t.Errorf("state after all: %+v", state)
	}
	stream.Close()
	if temp, _ := filepath.Glob(filepath.Join(dir, "lake/*/*/*.leat-tmp")); len(temp) > 0 {
		t.Errorf("temporary files are left: %v", temp)
	}
	if formatOf(dir) == "hive" {
		checkPlainReader(t, dir)
		if staged, _ := filepath.Glob(filepath.Join(dir, "lake/*/_leat/staged/*")); len(staged) > 0 {
			t.Errorf("staged files are left: %v", staged)
		}
	}
	if isBeside(dir) {
		checkOutsideRun(t, dir)
	}
}

// stride thins out the points at which the tests below interfere; LEAT_LONG
// takes all of them.
func stride() int {
	switch {
	case os.Getenv("LEAT_LONG") != "":
		return 1
	case testing.Short():
		return 37
	}
	return 23
}

// TestCrash_AtEveryCall lets the process die before and after each call of the
// store, starts it again, and finds every row and dead letter once.
func TestCrash_AtEveryCall(t *testing.T) { eachCatalog(t, crashAtEveryCall) }

func crashAtEveryCall(t *testing.T, newDir func() string) {
	total, _, err := run(t.Context(), newDir(), nil)
	if err != nil {
		t.Fatal(err)
	}
	step := stride()
	if strings.HasPrefix(filepath.Base(newDir()), "glue") && step > 1 {
		step *= 3 // the store is called as without it
	}
	for n := 0; n < total; n += step {
		for _, after := range []bool{false, true} {
			dir := newDir()
			_, dead, err := run(t.Context(), dir, faultstore.CrashAt(n, after))
			if formatOf(dir) == "hive" {
				checkPlainReader(t, dir)
			}
			if err == nil && !dead {
				continue // another order of uploads needed fewer calls
			}
			checkRun(t, dir)
			if t.Failed() {
				t.Fatalf("crash at call %d of %d, after its effect: %v", n, total, after)
			}
		}
	}
}

// TestCrash_Repeatedly lets one process after the other die at its k-th call,
// for rising k, over the same tables.
func TestCrash_Repeatedly(t *testing.T) {
	eachFormat(t, func(t *testing.T, newDir func() string) {
		dir := newDir()
		for n := 3; n < 60; n += 2 * stride() {
			_, _, _ = run(t.Context(), dir, faultstore.CrashAt(n, n%2 == 0))
		}
		checkRun(t, dir)
	})
}

// TestFault_AtEveryCall lets each call of the store fail once, before or after
// its effect or with half of it done; what can be retried is, and nothing
// lands twice.
func TestFault_AtEveryCall(t *testing.T) { eachFormat(t, faultAtEveryCall) }

func faultAtEveryCall(t *testing.T, newDir func() string) {
	total, _, err := run(t.Context(), newDir(), nil)
	if err != nil {
		t.Fatal(err)
	}
	step := stride()
	for _, fault := range []faultstore.Fault{faultstore.FailBefore, faultstore.FailAfter, faultstore.Torn} {
		for n := int(fault) % step; n < total; n += step {
			dir := newDir()
			synctest.Test(t, func(t *testing.T) {
				// What a start reads and creates is not retried by the sink: whoever
				// starts it does that.
				inject := func(c faultstore.Call) faultstore.Fault {
					if c.N == n {
						return fault
					}
					return faultstore.Pass
				}
				for try := 0; ; try++ {
					if _, _, err := run(t.Context(), dir, inject); err == nil {
						break
					} else if try == 1 || !sqlerror.IsRetryable(err) {
						t.Fatalf("fault %d at call %d of %d: %v", fault, n, total, err)
					}
					inject = nil
				}
			})
			checkRun(t, dir)
			if t.Failed() {
				t.Fatalf("fault %d at call %d of %d", fault, n, total)
			}
		}
	}
}

// flakyCatalog answers some commits with an error, before or after it carried
// them out.
type flakyCatalog struct {
	icebergcatalog.Catalog
	n     int // commits so far
	fault func(n int) faultstore.Fault
}

var errNoAnswer = errors.New("504 gateway timeout (injected)")

func (c *flakyCatalog) CommitTable(ctx context.Context, ident table.Identifier, reqs []table.Requirement, updates []table.Update) (table.Metadata, string, error) {
	fault := c.fault(c.n)
	c.n++
	if fault == faultstore.FailBefore {
		return nil, "", errNoAnswer
	}
	meta, location, err := c.Catalog.CommitTable(ctx, ident, reqs, updates)
	if fault == faultstore.FailAfter && err == nil {
		return nil, "", errNoAnswer
	}
	return meta, location, err
}

// TestFault_LostAnswers loses the catalog's answer to each commit of the
// scenario, once and three times in a row, and to all with a coin's chance.
func TestFault_LostAnswers(t *testing.T) {
	f := func(fault func(n int) faultstore.Fault) (commits int) {
		t.Helper()
		dir := t.TempDir()
		synctest.Test(t, func(t *testing.T) {
			var flaky *flakyCatalog
			_, _, err := run(t.Context(), dir, nil, func(c icebergcatalog.Catalog) icebergcatalog.Catalog {
				flaky = &flakyCatalog{Catalog: c, fault: fault}
				return flaky
			})
			if err != nil {
				t.Fatal(err)
			}
			commits = flaky.n
		})
		checkRun(t, dir)
		return commits
	}
	total := f(func(int) faultstore.Fault { return faultstore.Pass })
	for n := range total {
		for _, fault := range []faultstore.Fault{faultstore.FailBefore, faultstore.FailAfter} {
			for _, times := range []int{1, 3} {
				if testing.Short() && (n+times)%3 != 0 {
					continue
				}
				f(func(k int) faultstore.Fault {
					if k >= n && k < n+times {
						return fault
					}
					return faultstore.Pass
				})
				if t.Failed() {
					t.Fatalf("fault %d at commit %d of %d, %d times", fault, n, total, times)
				}
			}
		}
	}
	random := rand.New(rand.NewPCG(1, 1))
	for range 10 {
		f(func(int) faultstore.Fault {
			return []faultstore.Fault{faultstore.Pass, faultstore.FailBefore, faultstore.FailAfter}[random.IntN(3)]
		})
	}
}

// TestFault_StoreDown takes the store away in the middle of an epoch and gives
// it back: the commit waits, says why, and goes through.
func TestFault_StoreDown(t *testing.T) { eachFormat(t, storeDown) }

func storeDown(t *testing.T, newDir func() string) {
	dir := newDir()
	synctest.Test(t, func(t *testing.T) {
		var down atomic.Bool
		sink, _, err := openFaulty(t.Context(), dir, func(faultstore.Call) faultstore.Fault {
			if down.Load() {
				return faultstore.FailBefore
			}
			return faultstore.Pass
		})
		if err != nil {
			t.Fatal(err)
		}
		defer sink.Close()
		var told, healed atomic.Int32
		spec := tripSpec("s1")
		spec.Retrying = func(err error) {
			if err == nil {
				healed.Add(1)
			} else if told.Add(1) == 20 {
				down.Store(false)
			}
		}
		stream := openStream(t, sink, spec)
		defer stream.Close()
		state, _ := mustBegin(t, stream)
		mustEpoch(t, stream, &state, 10)
		down.Store(true)
		mustEpoch(t, stream, &state, 20)
		if told.Load() < 20 || healed.Load() == 0 {
			t.Errorf("told %d failures, %d recoveries", told.Load(), healed.Load())
		}
	})
	checkExactlyOnce(t, openSink(t, dir, nil).Lake(), 20)
}

// TestFault_ContextEnds gives up waiting for a store that is away: the outcome
// is then unknown or negative, and a new start finds the truth.
func TestFault_ContextEnds(t *testing.T) { eachFormat(t, contextEnds) }

func contextEnds(t *testing.T, newDir func() string) {
	for n := range 40 {
		dir := newDir()
		stop, landed := false, int64(20)
		synctest.Test(t, func(t *testing.T) {
			var calls, from atomic.Int64 // an upload may outlive its commit
			sink, _, err := openFaulty(t.Context(), dir, func(c faultstore.Call) faultstore.Fault {
				calls.Store(int64(c.N))
				if first := from.Load(); first > 0 && int64(c.N) >= first+int64(n) {
					return faultstore.Hang
				}
				return faultstore.Pass
			})
			if err != nil {
				t.Fatal(err)
			}
			defer sink.Close()
			stream := openStream(t, sink, tripSpec("s1"))
			defer stream.Close()
			state, _ := mustBegin(t, stream)
			mustEpoch(t, stream, &state, 10)
			sealed, err := writeEpoch(t.Context(), stream, &state, 20)
			if err != nil {
				t.Fatal(err)
			}
			synctest.Wait()
			from.Store(calls.Load() + 1)
			ctx, cancel := context.WithTimeout(t.Context(), time.Hour)
			_, err = stream.Commit(ctx, state, sealed, connectors.CommitInfo{})
			cancel()
			from.Store(0)
			if err == nil {
				// The commit was through when the store hung, or it never did. The
				// next start publishes what is pending.
				stop = n > 20
				mustBegin(t, stream)
				return
			}
			if !errors.Is(err, context.DeadlineExceeded) {
				t.Errorf("hang at call %d: %v", n, err)
			}
			// Either nothing was sent yet, or the stream has to begin again.
			if err := stream.Abort(t.Context()); err != nil && code(err) != sqlerror.CodeState {
				t.Errorf("Abort: %v", err)
			}
			state, resumed := mustBegin(t, stream)
			if !resumed || at(state) != 10 && at(state) != 20 {
				t.Errorf("hang at call %d: begins again at %+v", n, state)
			}
			mustEpoch(t, stream, &state, 30)
			landed = 30
		})
		checkExactlyOnce(t, openSink(t, dir, nil).Lake(), landed)
		if t.Failed() || stop {
			return
		}
	}
}

// TestFault_ClockTurnedBack dies halfway and is started again with a clock that
// is years behind.
func TestFault_ClockTurnedBack(t *testing.T) { eachFormat(t, clockTurnedBack) }

func clockTurnedBack(t *testing.T, newDir func() string) {
	total, _, err := run(t.Context(), newDir(), nil)
	if err != nil {
		t.Fatal(err)
	}
	dir := newDir()
	if _, dead, _ := run(t.Context(), dir, faultstore.CrashAt(total/2, false)); !dead {
		t.Fatal("the scenario ended before its middle")
	}
	synctest.Test(t, func(t *testing.T) { // the clock of a bubble begins with the year 2000
		if _, _, err := run(t.Context(), dir, nil); err != nil {
			t.Error(err)
		}
	})
	checkRun(t, dir)
}

// TestFault_CatalogLocked holds the catalog's file, as another process might,
// until the sink complains.
func TestFault_CatalogLocked(t *testing.T) {
	dir := t.TempDir()
	sink := openSink(t, dir, nil)
	other, err := sql.Open("sqlite", filepath.Join(dir, "iceberg.db"))
	if err != nil {
		t.Fatal(err)
	}
	defer other.Close()
	conn, err := other.Conn(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	var locked atomic.Int32
	spec := tripSpec("s1")
	spec.Retrying = func(err error) {
		if code(err) == sqlerror.CodeLocked && locked.Add(1) == 1 {
			if _, err := conn.ExecContext(context.Background(), "ROLLBACK"); err != nil {
				t.Error(err)
			}
		}
	}
	stream := openStream(t, sink, spec)
	defer stream.Close()
	state, _ := mustBegin(t, stream)
	if _, err := conn.ExecContext(t.Context(), "BEGIN EXCLUSIVE"); err != nil {
		t.Fatal(err)
	}
	mustEpoch(t, stream, &state, 20)
	if locked.Load() == 0 {
		t.Error("nobody was told that the catalog is locked")
	}
	checkExactlyOnce(t, sink.Lake(), 20)
}

// TestFault_PendingIsPublishedLater loses the dead letters' table while an
// epoch is committed; a zombie that held the same letters wakes up afterwards.
func TestFault_PendingIsPublishedLater(t *testing.T) { eachCatalog(t, pendingIsPublishedLaterTest) }

func pendingIsPublishedLaterTest(t *testing.T, newDir func() string) {
	dir := newDir()
	ctx, giveUp := context.WithCancel(t.Context())
	defer giveUp()
	sink, _, err := openFaulty(t.Context(), dir, func(c faultstore.Call) faultstore.Fault {
		// The dead letters' files can be written, their table not.
		if c.Op == faultstore.Put && (strings.HasPrefix(c.Key, "_dead_letters/metadata") || strings.HasPrefix(c.Key, "_dead_letters/_leat/log")) && c.N > 20 {
			giveUp() // whoever waits for it has waited long enough
			return faultstore.Hang
		}
		return faultstore.Pass
	})
	if err != nil {
		t.Fatal(err)
	}
	defer sink.Close()
	stream := openStream(t, sink, tripSpec("s1"))
	defer stream.Close()
	state, _ := mustBegin(t, stream)
	sealed, err := writeEpoch(t.Context(), stream, &state, 20)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := stream.Commit(ctx, state, sealed, connectors.CommitInfo{}); err != nil {
		t.Fatalf("the epoch is in the table, yet Commit says: %v", err)
	}
	// The zombie sleeps here with its letters pending.
	other := openSink(t, dir, nil)
	tbl, err := other.Lake().Table(t.Context(), "trips")
	if err != nil {
		t.Fatal(err)
	}
	commits, err := tbl.Commits(t.Context())
	if err != nil || !commits[0].CompletedAt.IsZero() || commits[0].RowsDead == 0 {
		t.Errorf("an epoch with pending letters shows as %+v, %v", commits[0], err)
	}
	next := openStream(t, other, tripSpec("s1"))
	defer next.Close()
	again, _ := mustBegin(t, next)
	checkExactlyOnce(t, other.Lake(), 20)
	if commits, err = tbl.Commits(t.Context()); err != nil || commits[len(commits)-2].CompletedAt.IsZero() {
		t.Errorf("after the next start it shows as %+v, %v", commits, err)
	}
	if err := stream.Drop(t.Context()); err == nil {
		t.Error("the zombie's Drop succeeded")
	}
	mustEpoch(t, next, &again, 40)
	checkExactlyOnce(t, other.Lake(), 40)
}
