//go:build gms_pure_go && duckdb_arrow

package engine

import (
	"context"
	"fmt"
	"strings"
	"sync"
	"time"

	"github.com/leatdb/leat/sql/sqlerror"
)

// readersPatience is how long DROP TABLE waits for the statements that read the
// table. MySQL waits for lock_wait_timeout; a program that has not read its rows to
// their end may be the one that drops.
const readersPatience = 10 * time.Second

// tableUse knows how many statements read each table, so that DROP TABLE takes no
// files away from them. The zero value is ready.
type tableUse struct {
	mu    sync.Mutex
	uses  map[string]*use // by sink and table
	ended chan struct{}   // closed when a statement ends; nil while nobody waits
}

// use is that of one table.
type use struct {
	readers  int
	dropping bool
	drops    int // so far
}

func useKey(sink, table string) string { return strings.ToLower(sink + "." + table) }

// of is the use of a table that there is, or was. The caller holds mu.
func (u *tableUse) of(sink, table string) *use {
	key := useKey(sink, table)
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

// drops is how often a table of this name was dropped. What is looked up after it
// was asked can be read for as long as that does not change.
func (u *tableUse) drops(sink, table string) int {
	u.mu.Lock()
	defer u.mu.Unlock()
	if t := u.uses[useKey(sink, table)]; t != nil {
		return t.drops
	}
	return 0
}

// read keeps a table that was looked up after so many drops from being dropped until
// release is called.
func (u *tableUse) read(sink, table string, drops int) (release func(), err error) {
	u.mu.Lock()
	defer u.mu.Unlock()
	t := u.of(sink, table)
	if t.dropping || t.drops != drops {
		return nil, sqlerror.Externalf(sqlerror.CodeState, "table %s.%s was dropped while the statement began", sink, table).
			WithHint("nothing was read yet: run the statement again, if there is another table of that name")
	}
	t.readers++
	return sync.OnceFunc(func() {
		u.mu.Lock()
		defer u.mu.Unlock()
		t.readers--
		if u.ended != nil {
			close(u.ended)
			u.ended = nil
		}
	}), nil
}

// drop waits for the statements that read a table, and lets none begin until release
// is called.
func (u *tableUse) drop(ctx context.Context, sink, table string) (release func(), err error) {
	ctx, cancel := context.WithTimeout(ctx, readersPatience)
	defer cancel()
	u.mu.Lock()
	defer u.mu.Unlock()
	t := u.of(sink, table)
	for t.readers > 0 {
		if u.ended == nil {
			u.ended = make(chan struct{})
		}
		ended := u.ended
		u.mu.Unlock()
		select {
		case <-ended:
		case <-ctx.Done():
		}
		u.mu.Lock()
		if t.readers > 0 && ctx.Err() != nil {
			by := "1 statement"
			if t.readers > 1 {
				by = fmt.Sprintf("%d statements", t.readers)
			}
			return nil, sqlerror.Userf(sqlerror.CodeInUse, "table %s.%s is read by %s", sink, table, by).
				WithHint("wait until they have ended, or end them: SHOW PROCESSLIST, KILL QUERY id")
		}
	}
	t.dropping = true
	return func() {
		u.mu.Lock()
		defer u.mu.Unlock()
		t.dropping = false
		t.drops++
	}, nil
}
