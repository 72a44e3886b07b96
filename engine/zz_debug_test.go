package engine_test

import (
	"context"
	"log/slog"
	"os"
	"strings"
	"testing"

	"github.com/leatdb/leat/engine"
	"github.com/leatdb/leat/sql/mysqlserver"
)

func TestZZ(t *testing.T) {
	db, err := engine.Open(t.Context(), engine.Config{Dir: t.TempDir(), Threads: 2, Logger: slog.New(slog.NewTextHandler(os.Stderr, &slog.HandlerOptions{Level: slog.LevelDebug}))})
	if err != nil {
		t.Fatal(err)
	}
	defer db.Close()
	exec(t, db, `CREATE SOURCE src (id BIGINT, da DATE, s VARCHAR(20), n INT, d DECIMAL(8,3), j JSON, t DATETIME(3), z TIMESTAMP) WITH (connector = 'push'); CREATE STREAM t PARTITIONED BY (s) AS SELECT * FROM src`)
	src, _ := db.Source("src")
	if err := src.Send(t.Context(), []byte(`{"id":1,"da":"2026-01-02","s":"Hello","n":5,"d":1.5,"j":[1,{"a":2}],"t":"2026-02-28 13:04:05.678","z":"2026-02-28T13:04:05Z"}`)); err != nil {
		t.Fatal(err)
	}
	exec(t, db, "FLUSH STREAM t; CREATE STREAM u AS SELECT * FROM src");src.Send(t.Context(), []byte(`{"id":1,"s":"Hello"}`)); exec(t, db, "FLUSH STREAM u")
	s, err := mysqlserver.Start(db, mysqlserver.Config{Addr: "127.0.0.1:0"})
	if err != nil {
		t.Fatal(err)
	}
	defer s.Close()
	var c client
	if err := c.connect(context.Background(), s.Addr()); err != nil {
		t.Fatal(err)
	}
	defer c.close()
	for _, q := range strings.Split(os.Getenv("Q"), ";") {
		t.Log(query(t, db, q))
		r, err := readRows(c.conn.QueryContext(t.Context(), q))
		if err != nil {
			t.Fatal(err)
		}
		for _, c := range r.Columns {
			t.Logf("NAMES %s", c.Name)
		}
		for _, row := range r.Rows {
			t.Logf("%q", row)
		}

		t.Log(query(t, db, os.Getenv("E")+" "+q))
		r, err = readRows(c.conn.QueryContext(t.Context(), os.Getenv("E")+" "+q))
		if err != nil {
			t.Fatal(err)
		}
		for _, row := range r.Rows {
			t.Logf("%s", row)
		}
	}
}
