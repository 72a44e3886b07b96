package engine_test

import (
	"context"
	"fmt"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/leatdb/leat/sql/sqlerror"
)

// A SELECT that has begun to read a table reads it to its end: DROP TABLE, which
// deletes files, waits for it.
func TestDropTable_WhileItIsRead(t *testing.T) {
	for _, format := range []string{"iceberg", "hive"} {
		t.Run(format, func(t *testing.T) {
			s3 := startFlakyS3(t, "lake")
			db := open(t, filepath.Join(t.TempDir(), "data"))
			landThousand(t, db, s3, format)
			mustExec(t, db, "DROP STREAM a")

			reads, goOn := s3.holdReads()
			answer, dropped := make(chan string, 1), make(chan error, 1)
			go func() { answer <- fmt.Sprint(ask(t.Context(), db, "SELECT COUNT(*) AS n FROM k.t WHERE id >= 0")) }()
			<-reads
			short, cancel := context.WithTimeout(t.Context(), 300*time.Millisecond)
			defer cancel()
			if err := db.Exec(short, "DROP TABLE k.t"); err == nil {
				t.Error("a table that is read was dropped")
			} else if sqlerror.HasCode(err, sqlerror.CodeInUse) && !strings.Contains(err.Error(), "table k.t is read by 1 statement") {
				t.Error(err) // it may also say that the time was over before
			}
			go func() { dropped <- db.Exec(t.Context(), "DROP TABLE k.t") }()
			close(goOn)
			if got := <-answer; got != "1000<nil>" {
				t.Errorf("the query ends with %s", got)
			}
			if err := <-dropped; err != nil {
				t.Errorf("drop when the query has ended: %v", err)
			}
			if _, err := ask(t.Context(), db, "SELECT COUNT(*) AS n FROM k.t"); !sqlerror.HasCode(err, sqlerror.CodeUnknownObject) {
				t.Errorf("a table that was dropped is read: %v", err)
			}
		})
	}
}
