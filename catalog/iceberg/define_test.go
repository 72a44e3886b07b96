package iceberg_test

import (
	"testing"

	"github.com/leatdb/leat/catalog/iceberg"
	"github.com/leatdb/leat/internal/objectstore"
	"github.com/leatdb/leat/internal/objectstore/faultstore"
	"github.com/leatdb/leat/sql/sqlerror"
)

// A stream that starts while the store is away was STARTING without a reason
// for half a minute, since reading the table was tried five times over.
func TestDefine_StoreAway(t *testing.T) {
	dir := t.TempDir()
	d := iceberg.Definition{Name: "t", Schema: schema("a INT")}
	define(t, openLake(t, dir, nil), d)
	reads := 0
	l := openLake(t, dir, func(s objectstore.Store) objectstore.Store {
		return faultstore.New(s, func(c faultstore.Call) faultstore.Fault {
			reads++
			return faultstore.FailBefore
		})
	})
	if _, err := l.Define(t.Context(), d); !sqlerror.IsRetryable(err) {
		t.Fatalf("err=%v, want one that can be retried", err)
	}
	if reads != 1 {
		t.Errorf("the store was asked %d times, want once", reads)
	}
}
