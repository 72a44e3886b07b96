package objectstore

import (
	"context"
	"time"

	"github.com/leatdb/leat/internal/sched"
	"github.com/leatdb/leat/sql/sqlerror"
)

// Backoff spaces repeated attempts: pauses double from Base to Cap, each drawn
// at random between its half and the whole, so that many that failed together
// do not come back together. The zero value starts at 100 ms and ends at 10 s.
type Backoff struct {
	Base, Cap time.Duration
	// Scheduler has the clock and the chance; nil is the system's.
	Scheduler sched.Scheduler
	attempt   int
}

// Next is the pause before the next attempt.
func (b *Backoff) Next() time.Duration {
	base, most := b.Base, b.Cap
	if base <= 0 {
		base = 100 * time.Millisecond
	}
	if most <= 0 {
		most = 10 * time.Second
	}
	pause := min(base<<min(b.attempt, 20), most)
	b.attempt++
	return pause/2 + time.Duration(sched.Float64(b.scheduler())*float64(pause/2+1))
}

func (b *Backoff) scheduler() sched.Scheduler {
	if b.Scheduler == nil {
		return sched.System{}
	}
	return b.Scheduler
}

// Reset begins again with Base.
func (b *Backoff) Reset() { b.attempt = 0 }

// Wait pauses until the next attempt. It returns ctx.Err() when ctx ends first.
func (b *Backoff) Wait(ctx context.Context) error {
	if sched.Sleep(ctx, b.scheduler(), b.Next()) != nil {
		return context.Cause(ctx)
	}
	return nil
}

// Retry is Backoff.Retry with the usual pauses.
func Retry(ctx context.Context, retrying func(error), op func(context.Context) error) error {
	return new(Backoff).Retry(ctx, retrying, op)
}

// Retry runs op until it succeeds, fails with an error that no repetition
// mends, or ctx ends; the last error of op comes back then. retrying, which may
// be nil, is told each error that is tried again and nil after it went away.
func (b *Backoff) Retry(ctx context.Context, retrying func(error), op func(context.Context) error) error {
	for failed := false; ; failed = true {
		err := op(ctx)
		if err == nil {
			if failed && retrying != nil {
				retrying(nil)
			}
			return nil
		}
		if ctx.Err() != nil || !sqlerror.IsRetryable(err) {
			return err
		}
		if retrying != nil {
			retrying(err)
		}
		if b.Wait(ctx) != nil {
			return err
		}
	}
}
