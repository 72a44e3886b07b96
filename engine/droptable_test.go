package engine_test

import (
	"context"
	"errors"
	"fmt"
	"path/filepath"
	"runtime"
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
			ctx, cancel := context.WithCancel(t.Context())
			go func() { dropped <- db.Exec(ctx, "DROP TABLE k.t") }()
			// While it waits nobody else begins to read the table or to write to it;
			// what has nothing to do with it goes on.
			beingDropped := func(text string) bool {
				ctx, cancel := context.WithTimeout(t.Context(), 100*time.Millisecond) // it reads, where it comes first
				defer cancel()
				_, err := ask(ctx, db, text)
				return sqlerror.IsRetryable(err) && strings.Contains(err.Error(), "table k.t is being dropped")
			}
			for !beingDropped("SELECT COUNT(*) AS n FROM k.t WHERE id >= 0") {
				runtime.Gosched()
			}
			refused(t, db, "DROP TABLE k.t", sqlerror.CodeState, "table k.t is being dropped")
			refused(t, db, "CREATE STREAM b INTO k.T AS SELECT id FROM src", sqlerror.CodeState, "^line 1, column 22: stream b: table k.T is being dropped")
			mustExec(t, db, "CREATE SOURCE another (id INT) WITH (connector = 'datagen'); DROP SOURCE another")
			cancel()
			if err := <-dropped; !errors.Is(err, context.Canceled) || !strings.Contains(err.Error(), "table k.t is not dropped, since it is read by 1 statement") {
				t.Errorf("a drop that is cancelled: %v", err)
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
