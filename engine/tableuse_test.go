//go:build gms_pure_go && duckdb_arrow

package engine

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/leatdb/leat/sql/sqlerror"
)

// DROP TABLE waits until the last statement that reads the table has ended, and no
// longer than its patience; none begins to read what is or was dropped meanwhile.
func TestTableUse(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var u tableUse
		read := func(table string, drops int) (release func()) {
			t.Helper()
			release, err := u.read("k", table, drops)
			if err != nil {
				t.Fatal(err)
			}
			return release
		}
		refused := func(when string, drops int, text string) {
			t.Helper()
			if _, err := u.read("k", "t", drops); !sqlerror.HasCode(err, sqlerror.CodeState) || !sqlerror.IsRetryable(err) || !strings.Contains(err.Error(), text) {
				t.Errorf("read %s: %v", when, err)
			}
		}
		drop := func() *tableDrop {
			t.Helper()
			d, err := u.drop("K", "t")
			if err != nil {
				t.Fatal(err)
			}
			return d
		}
		first, second, other := read("t", 0), read("T", 0), read("u", 0)
		begun, d := time.Now(), drop()
		refused("while its drop waits", 0, "table k.t is being dropped")
		if _, err := u.drop("k", "T"); !sqlerror.IsRetryable(err) || !strings.Contains(err.Error(), "is being dropped") {
			t.Errorf("a second drop: %v", err)
		}
		if err := d.wait(t.Context()); !sqlerror.HasCode(err, sqlerror.CodeInUse) || !strings.Contains(err.Error(), "table K.t is read by 2 statements") {
			t.Errorf("drop while the table is read: %v", err)
		}
		if d := time.Since(begun); d != readersPatience {
			t.Errorf("drop waited for %v, want %v", d, readersPatience)
		}
		d.end(false)
		read("t", 0)() // what was not dropped can be read

		ctx, cancel := context.WithCancelCause(t.Context())
		killed := errors.New("killed")
		time.AfterFunc(time.Second, func() { cancel(killed) })
		d = drop()
		if err := d.wait(ctx); !errors.Is(err, killed) || !strings.Contains(err.Error(), "table K.t is not dropped, since it is read by 2 statements") {
			t.Errorf("a drop that is killed: %v", err)
		}
		d.end(false)

		begun, d = time.Now(), drop()
		time.AfterFunc(time.Second, first)
		time.AfterFunc(3*time.Second, func() { second(); second() })
		if err := d.wait(t.Context()); err != nil {
			t.Fatal(err)
		}
		if d := time.Since(begun); d != 3*time.Second {
			t.Errorf("drop waited for %v, want the last reader's 3s", d)
		}
		refused("while it is dropped", 0, "is being dropped")
		d.end(true)
		refused("what was looked up before the drop", 0, "was dropped while the statement began")
		read("t", u.now())()
		other()
	})
}

// An entry for each table that was ever read, or dropped, stayed.
func TestTableUse_Forgets(t *testing.T) {
	var u tableUse
	release, err := u.read("k", "t", u.now())
	if err != nil {
		t.Fatal(err)
	}
	release()
	if len(u.uses) != 0 {
		t.Errorf("%d entries after the only reader", len(u.uses))
	}
	before := u.now()
	if release, err = u.read("k", "kept", before); err != nil {
		t.Fatal(err)
	}
	for i := range 3 * mostDropped {
		d, err := u.drop("k", fmt.Sprint("t", i))
		if err != nil {
			t.Fatal(err)
		}
		d.end(true)
		if _, err := u.read("k", fmt.Sprint("t", i), before); err == nil {
			t.Fatal("a table that was looked up before its drop is read")
		}
	}
	if _, err := u.read("k", "t0", before); err == nil || len(u.uses) > mostDropped+1 {
		t.Errorf("%d entries; a table that was dropped long ago: %v", len(u.uses), err)
	}
	if _, err := u.drop("k", "kept"); err != nil || u.uses[useKey("k", "kept")].readers != 1 {
		t.Errorf("the table that is read is forgotten: %v", err)
	}
	release()
}
