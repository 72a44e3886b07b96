package mysqlserver_test

import (
	"context"
	"database/sql"
	"fmt"
	"log/slog"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	_ "github.com/go-sql-driver/mysql"

	"github.com/leatdb/leat/engine"
	"github.com/leatdb/leat/sql/mysqlserver"
)

func TestScratch(t *testing.T) {
	dir := t.TempDir()
	db, err := engine.Open(t.Context(), engine.Config{Dir: filepath.Join(dir, "data"), Threads: 2})
	if err != nil {
		t.Fatal(err)
	}
	defer db.Close()
	input := filepath.Join(dir, "in.ndjson")
	var b strings.Builder
	for i := range 1000 {
		fmt.Fprintf(&b, `{"b":%t,"i":%d,"u":%d,"bu":18446744073709551615,"f":1.5,"d":2.5,"amt":%d.50,"dt":"2026-07-%02d","dtm":"2026-07-01T10:00:00.123456","ts":"2026-07-01T10:00:00.123Z","tm":"10:11:12","v":"x%d","bl":"abc","j":{"a":[1,2]}}`+"\n", i%2 == 0, i, i, i, i%28+1, i)
	}
	os.WriteFile(input, []byte(b.String()), 0o644)
	srv, err := mysqlserver.Start(db, mysqlserver.Config{Addr: "127.0.0.1:0", Logger: slog.New(slog.NewTextHandler(os.Stderr, &slog.HandlerOptions{Level: slog.LevelDebug}))})
	if err != nil {
		t.Fatal(err)
	}
	defer srv.Close()
	c, err := sql.Open("mysql", "root@tcp("+srv.Addr()+")/?multiStatements=true")
	if err != nil {
		t.Fatal(err)
	}
	defer c.Close()
	c.SetMaxOpenConns(1)
	show := func(q string, args ...any) {
		begun := time.Now()
		rows, err := c.QueryContext(context.Background(), q, args...)
		if err != nil {
			t.Logf("%s\n   ERR %v", q, err)
			return
		}
		defer rows.Close()
		for {
			cols, _ := rows.Columns()
			ct, _ := rows.ColumnTypes()
			var ty []string
			for _, x := range ct {
				p, s, ok := x.DecimalSize()
				n, _ := x.Nullable()
				ty = append(ty, fmt.Sprintf("%s(%v,%v,%v)null=%v", x.DatabaseTypeName(), p, s, ok, n))
			}
			t.Logf("%s\n  %v %v  %v", q, cols, ty, time.Since(begun))
			n := 0
			for rows.Next() {
				vals := make([]any, len(cols))
				ptr := make([]any, len(cols))
				for i := range vals {
					ptr[i] = &vals[i]
				}
				if err := rows.Scan(ptr...); err != nil {
					t.Log("  scan", err)
				}
				n++
				if n < 4 {
					var out []string
					for _, v := range vals {
						if b, ok := v.([]byte); ok {
							v = "b:" + string(b)
						}
						out = append(out, fmt.Sprintf("%T %v", v, v))
					}
					t.Logf("    %v", out)
				}
			}
			t.Logf("   %d rows err %v", n, rows.Err())
			if !rows.NextResultSet() {
				break
			}
		}
	}
	show(fmt.Sprintf(`CREATE SOURCE s (b BOOLEAN, i INT, u INT UNSIGNED, bu BIGINT UNSIGNED, f FLOAT, d DOUBLE, amt DECIMAL(12,2), dt DATE, dtm DATETIME(6), ts TIMESTAMP(3), tm TIME(3), v VARCHAR(20), bl BLOB, j JSON) WITH (connector='files', path='%s', format='json', mode='once')`, input))
	show("SHOW WARNINGS")
	show("CREATE STREAM t AS SELECT * FROM s")
	show("FLUSH STREAM t")
	show("SHOW WARNINGS")
	show("SHOW STREAMS")
	show("SELECT * FROM t LIMIT 2")
	show("SELECT * FROM t WHERE i = ? LIMIT 2", 5)
	show("SELECT i FROM t WHERE i < ? AND v LIKE ? ORDER BY i LIMIT 2", 50, "x1%")
	show("SELECT amt, ts, bu FROM t WHERE amt > ? AND ts > ? AND bu = ? LIMIT 1", "10.5", time.Date(2026, 1, 1, 0, 0, 0, 0, time.UTC), uint64(18446744073709551615))
	show("SELECT COUNT(*), SUM(amt), AVG(d), MAX(ts) FROM lake.t")
	show("SELECT 1; SELECT nosuch FROM t; SELECT 2")
	show("SELECT nosuch FROM t")
	show("SELECT ''")
	show("SELECT''")
	show("SELECT VERSION(), @@version, @@version_comment, DATABASE(), USER(), @@port")
	show("SHOW TABLES")
	show("SHOW DATABASES")
	show("USE leat")
	show("SHOW TABLES")
	show("SELECT * FROM stream_metrics")
	show("SELECT table_schema, table_name, column_name, column_type, data_type FROM information_schema.columns WHERE table_schema = 'lake'")
	show("SELECT table_schema, table_name, table_type FROM information_schema.tables WHERE table_schema IN ('lake','leat')")
	show("SHOW COLUMNS FROM lake.t")
	show("SHOW CREATE TABLE lake.t")
	show("DESCRIBE lake.t")
	show("SET time_zone = '+05:00'")
	show("SELECT ts, dtm FROM lake.t LIMIT 1")
	show("SELECT LOAD_FILE('/etc/passwd')")
	show("SELECT 1 INTO OUTFILE '/tmp/cmdpart/out.txt'")
	show("SHOW PROCESSLIST")
	show("CREATE SOURCE s2 (a INT) WITH (connector='files', path='x', fromat='json')")
	show("CREATE SOUCE s2 (a INT)")
	show("SELECT FROM WHERE")
	show("FLUSH STREAM nosuch")
	show("DROP SOURCE s")
	show("SHOW WARNINGS")
	show("SELECT * FROM s LIMIT 1")
	show("SELECT 1/0")
	show("SHOW WARNINGS")
	show("CREATE USER 'a'@'%' IDENTIFIED BY 'pw'")
	show("CREATE USER 'n'@'%' IDENTIFIED WITH mysql_native_password BY 'pw'")
	show("CREATE USER 'c'@'%' IDENTIFIED WITH caching_sha2_password BY 'pw'")
	show("SELECT user, host, plugin FROM mysql.user")
	show("SHOW VARIABLES LIKE 'version%'")
	show("KILL QUERY 99999")
	for _, u := range []string{"a:pw", "n:pw", "c:pw", "c:bad", "root:bad", "nobody"} {
		c2, _ := sql.Open("mysql", u+"@tcp("+srv.Addr()+")/lake")
		t.Log(u, c2.Ping())
		c2.Close()
	}
}
