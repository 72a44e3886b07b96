//go:build gms_pure_go && duckdb_arrow

package engine

import (
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/leatdb/leat/sql/sqlerror"
)

// DROP TABLE waits until the last statement that reads the table has ended, and no
// longer than its patience; none begins to read what was dropped meanwhile.
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
		first, second, other := read("t", 0), read("T", 0), read("u", 0)
		defer other()
		begun := time.Now()
		if _, err := u.drop(t.Context(), "K", "t"); !sqlerror.HasCode(err, sqlerror.CodeInUse) || !strings.Contains(err.Error(), "table K.t is read by 2 statements") {
			t.Errorf("drop while the table is read: %v", err)
		}
		if d := time.Since(begun); d != readersPatience {
			t.Errorf("drop waited for %v, want %v", d, readersPatience)
		}
		read("t", 0)() // what was not dropped can be read

		begun = time.Now()
		time.AfterFunc(time.Second, first)
		time.AfterFunc(3*time.Second, func() { second(); second() })
		release, err := u.drop(t.Context(), "k", "t")
		if err != nil {
			t.Fatal(err)
		}
		if d := time.Since(begun); d != 3*time.Second {
			t.Errorf("drop waited for %v, want the last reader's 3s", d)
		}
		refused := func(when string, drops int) {
			t.Helper()
			if _, err := u.read("k", "t", drops); !sqlerror.HasCode(err, sqlerror.CodeState) {
				t.Errorf("read %s: %v", when, err)
			}
		}
		refused("while it is dropped", 0)
		release()
		refused("what was looked up before the drop", 0)
		read("t", u.drops("k", "t"))()
	})
}
