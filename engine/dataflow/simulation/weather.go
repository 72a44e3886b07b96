package simulation

import (
	"context"
	"errors"
	"io/fs"
	"time"

	"github.com/leatdb/leat/internal/objectstore"
	"github.com/leatdb/leat/internal/sched/seeded"
	"github.com/leatdb/leat/sql/sqlerror"
)

// part is a system outside the process.
type part string

const (
	theStore   part = "store"
	theCatalog part = "catalog"
	theSource  part = "source"
	theBroker  part = "broker" // of the topic that streams write to
	theShards  part = "shards" // of the data stream that they write to
)

// weather is how likely a call to a part goes wrong in which way.
type weather struct {
	refuse float64 // an error instead of the effect
	lie    float64 // the effect, and an error
	silent float64 // no answer until the client gives up, with the effect, without, or with it later
	slow   float64 // takes up to half a minute
	tear   float64 // half of the effect, and an error
	crash  float64 // the process dies before or after
}

// clientTimeout is when a client gives up waiting for an answer.
const clientTimeout = 30 * time.Second

// call is one call of a process to a part outside it, under the part's weather.
// effect happens at one moment; tear, where there is such a thing, is half of
// it. Others may go on before the effect and between effect and answer.
func (w *world) call(ctx context.Context, p *seeded.Process, to part, what string, effect, tear func() error) error {
	if p == w.p {
		return effect() // who looks on has no trouble
	}
	p.Step(what)
	if ctx.Err() != nil {
		return context.Cause(ctx)
	}
	s, sky := w.s, w.weather[to]
	w.calls++
	switch {
	case s.Chance(sky.crash):
		if s.Chance(0.5) {
			_ = effect()
			s.Note("crash after %s", what)
		} else {
			s.Note("crash before %s", what)
		}
		p.Kill()
	case s.Chance(sky.refuse):
		s.Note("refused")
		p.Step("answer to " + what)
		return sqlerror.Externalf(sqlerror.CodeExternal, "%s: 503 SlowDown (simulated)", what)
	case tear != nil && s.Chance(sky.tear):
		s.Note("torn")
		_ = tear()
		p.Step("answer to " + what)
		return sqlerror.Externalf(sqlerror.CodeExternal, "%s: connection reset (simulated)", what)
	case s.Chance(sky.silent):
		switch s.IntN(3) {
		case 0:
			s.Note("never arrives")
		case 1:
			s.Note("arrives, and the answer is lost")
			_ = effect()
		case 2:
			// The client gives up first, or not.
			delay := s.Between(0, 2*clientTimeout)
			s.Note("arrives after %v, and the answer is lost", delay)
			w.later(delay, "late "+what, effect)
		}
		if (to == theCatalog || to == theBroker) && s.Chance(0.1) {
			w.losePatience(p)
		}
		p.Until(ctx, "silence after "+what, p.Now().Add(clientTimeout), nil)
		if ctx.Err() != nil {
			return context.Cause(ctx)
		}
		return sqlerror.Externalf(sqlerror.CodeExternal, "%s: no answer (simulated)", what)
	case s.Chance(sky.slow):
		delay := s.Between(0, clientTimeout)
		s.Note("slow, %v", delay)
		p.Until(ctx, "waiting to "+what, p.Now().Add(delay), nil)
		if ctx.Err() != nil {
			return context.Cause(ctx)
		}
	}
	lie := s.Chance(sky.lie)
	err := effect()
	if lie {
		s.Note("done, and the answer is an error")
	}
	p.Step("answer to " + what)
	if lie {
		return sqlerror.Externalf(sqlerror.CodeExternal, "%s: 504 gateway timeout (simulated)", what)
	}
	return err
}

// later lets an effect happen after a while, whatever becomes of the process
// that wanted it.
func (w *world) later(delay time.Duration, what string, effect func() error) {
	w.p.Go(what, func() {
		w.p.Until(w.p.Context(), what, time.Now().Add(delay), nil)
		_ = effect()
	})
}

var errMissing = errors.New("the simulated bucket has no such object")

func notExist(what string) error {
	return sqlerror.Externalf(sqlerror.CodeExternal, "%s: %w", what, missing{}).Final()
}

type missing struct{}

func (missing) Error() string        { return errMissing.Error() }
func (missing) Is(target error) bool { return target == fs.ErrNotExist }

func exists(what string) error {
	return sqlerror.Externalf(sqlerror.CodeExternal, "%s: %w", what, fs.ErrExist).Final()
}

var _ objectstore.Store = (*client)(nil)
