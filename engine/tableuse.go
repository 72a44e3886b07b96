//go:build gms_pure_go && duckdb_arrow

package engine

import (
	"context"
	"fmt"
	"maps"
	"strings"
	"sync"
	"time"

	"github.com/leatdb/leat/sql/sqlerror"
)

// readersPatience is how long DROP TABLE waits for the statements that read the
// table. MySQL waits for lock_wait_timeout; a program that has not read its rows to
// their end may be the one that drops.
const readersPatience = 10 * time.Second

// mostDropped is of how many tables that were dropped it is known.
const mostDropped = 1000

// tableUse knows how many statements read each table, so that DROP TABLE takes no
// files away from them. The zero value is ready.
type tableUse struct {
	mu    sync.Mutex
	uses  map[string]*use // by sink and table: those that are read, being dropped, or were dropped
	drops int             // of all tables so far
	// forgotten is the last drop that uses need not tell of.
	forgotten int
	ended     chan struct{} // closed when a statement ends; nil while nobody waits
}

// use is that of one table.
type use struct {
	readers  int
	dropping bool
	dropped  int // which of all drops was its last, 0 for none
}

func useKey(sink, table string) string { return strings.ToLower(sink + "." + table) }

// of is the use of a table. The caller holds mu.
func (u *tableUse) of(key string) *use {
	t := u.uses[key]
	if t == nil {
		if u.uses == nil {
			u.uses = map[string]*use{}
		}
		t = &use{}
		u.uses[key] = t
	}
	return t
}

// forget drops what need not be known any more. The caller holds mu.
func (u *tableUse) forget(key string) {
	idle := func(t *use) bool { return t.readers == 0 && !t.dropping }
	if t := u.uses[key]; idle(t) && t.dropped == 0 {
		delete(u.uses, key)
	}
	if len(u.uses) > mostDropped {
		u.forgotten = u.drops
		maps.DeleteFunc(u.uses, func(_ string, t *use) bool { return idle(t) })
	}
}

// now is how many tables have been dropped so far: a table that is looked up after it
// was asked can be read until it is dropped.
func (u *tableUse) now() int {
	u.mu.Lock()
	defer u.mu.Unlock()
	return u.drops
}

// free refuses a table that is being dropped.
func (u *tableUse) free(sink, table string) error {
	u.mu.Lock()
	defer u.mu.Unlock()
	return u.checkFree(sink, table)
}

// checkFree is free. The caller holds mu.
func (u *tableUse) checkFree(sink, table string) error {
	if t := u.uses[useKey(sink, table)]; t != nil && t.dropping {
		return sqlerror.Externalf(sqlerror.CodeState, "table %s.%s is being dropped", sink, table).
			WithHint("run the statement again: the table will be gone, or stay if those that read it do not end")
	}
	return nil
}

// read keeps a table that was looked up after so many drops from being dropped until
// release is called.
func (u *tableUse) read(sink, table string, drops int) (release func(), err error) {
	u.mu.Lock()
	defer u.mu.Unlock()
	if err := u.checkFree(sink, table); err != nil {
		return nil, err
	}
	key := useKey(sink, table)
	t := u.of(key)
	if t.dropped > drops || t.dropped == 0 && drops < u.forgotten {
		u.forget(key)
		return nil, sqlerror.Externalf(sqlerror.CodeState, "table %s.%s was dropped while the statement began", sink, table).
			WithHint("nothing was read yet: run the statement again, if there is another table of that name")
	}
	t.readers++
	return sync.OnceFunc(func() {
		u.mu.Lock()
		defer u.mu.Unlock()
		t.readers--
		u.forget(key)
		if u.ended != nil {
			close(u.ended)
			u.ended = nil
		}
	}), nil
}

// tableDrop is a table that is being dropped.
type tableDrop struct {
	uses        *tableUse
	use         *use
	sink, table string
}

// drop lets no statement begin to read a table until end is called. It refuses one
// that is being dropped already.
func (u *tableUse) drop(sink, table string) (*tableDrop, error) {
	u.mu.Lock()
	defer u.mu.Unlock()
	if err := u.checkFree(sink, table); err != nil {
		return nil, err
	}
	t := u.of(useKey(sink, table))
	t.dropping = true
	return &tableDrop{u, t, sink, table}, nil
}

// wait waits for the statements that read the table.
func (d *tableDrop) wait(ctx context.Context) error {
	patience, cancel := context.WithTimeout(ctx, readersPatience)
	defer cancel()
	u := d.uses
	u.mu.Lock()
	defer u.mu.Unlock()
	for d.use.readers > 0 {
		if u.ended == nil {
			u.ended = make(chan struct{})
		}
		ended := u.ended
		u.mu.Unlock()
		select {
		case <-ended:
		case <-patience.Done():
		}
		u.mu.Lock()
		if d.use.readers == 0 || patience.Err() == nil {
			continue
		}
		by := "1 statement"
		if d.use.readers > 1 {
			by = fmt.Sprintf("%d statements", d.use.readers)
		}
		if ctx.Err() != nil {
			return fmt.Errorf("table %s.%s is not dropped, since it is read by %s: %w", d.sink, d.table, by, context.Cause(ctx))
		}
		return sqlerror.Userf(sqlerror.CodeInUse, "table %s.%s is read by %s", d.sink, d.table, by).
			WithHint("wait until they have ended, or end them: SHOW PROCESSLIST, KILL QUERY id")
	}
	return nil
}

// end lets statements read the table of that name again; those that found one that is
// gone begin anew.
func (d *tableDrop) end(gone bool) {
	u := d.uses
	u.mu.Lock()
	defer u.mu.Unlock()
	d.use.dropping = false
	if gone {
		u.drops++
		d.use.dropped = u.drops
	}
	u.forget(useKey(d.sink, d.table))
}
