package mysqlserver_test

import (
	"context"
	"database/sql"
	"fmt"
	"os"
	"path/filepath"
	"runtime"
	"testing"
	"time"

	"github.com/leatdb/leat/engine"
	"github.com/leatdb/leat/sql/mysqlserver"
)

func TestScratch2(t *testing.T) {
	dir := t.TempDir()
	db, err := engine.Open(t.Context(), engine.Config{Dir: filepath.Join(dir, "data"), Threads: 2})
	if err != nil {
		t.Fatal(err)
	}
	defer db.Close()
	srv, err := mysqlserver.Start(db, mysqlserver.Config{Addr: "127.0.0.1:0"})
	if err != nil {
		t.Fatal(err)
	}
	defer srv.Close()
	c, _ := sql.Open("mysql", "root@tcp("+srv.Addr()+")/")
	defer c.Close()
	ex := func(q string) {
		b := time.Now()
		_, err := c.ExecContext(context.Background(), q)
		t.Log(q, err, time.Since(b))
	}
	_ = os.Stderr
	rows, err := c.Query("SELECT table_schema, table_name, column_name, column_type, data_type FROM information_schema.columns WHERE table_schema = 'leat'")
	t.Log(err)
	if err == nil {
		n := 0
		for rows.Next() {
			n++
		}
		t.Log(n, rows.Err())
	}
	ex("CREATE SOURCE g (id BIGINT, name VARCHAR(50)) WITH (connector='datagen', rows=3000000, rows_per_second=0)")
	ex("CREATE STREAM big AS SELECT id, CONCAT('0123456789012345678901234567890123456789', name) AS name FROM g")
	ex("FLUSH STREAM big")
	for st, _ := db.Status("big"); st.State != "FINISHED"; st, _ = db.Status("big") {
		time.Sleep(100 * time.Millisecond)
	}
	var n int
	t.Log(c.QueryRow("SELECT COUNT(*) FROM big").Scan(&n), n)
	var m0, m1 runtime.MemStats
	runtime.GC()
	runtime.ReadMemStats(&m0)
	b := time.Now()
	rows, err = c.Query("SELECT * FROM big")
	if err != nil {
		t.Fatal(err)
	}
	k := 0
	var peak uint64
	for rows.Next() {
		k++
		if k%200000 == 0 {
			runtime.ReadMemStats(&m1)
			peak = max(peak, m1.HeapInuse)
		}
	}
	t.Log(k, rows.Err(), time.Since(b), m0.HeapInuse>>20, peak>>20)
	fmt.Println()
}
