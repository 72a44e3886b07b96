// Command embed runs Leat inside a Go program: it defines a source and a stream
// in SQL, sends values, and asks the table that they landed in. No port is opened.
//
//	go run -tags gms_pure_go,duckdb_arrow ./examples/embed
package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"log"
	"os"

	"github.com/apache/arrow-go/v18/arrow/array"

	"github.com/leatdb/leat/engine"
)

func main() {
	if err := run(context.Background(), os.Stdout, "embed-data"); err != nil {
		log.Fatal(err)
	}
}

const pipeline = `
CREATE SOURCE IF NOT EXISTS clicks (
  id BIGINT NOT NULL, page VARCHAR(100), milliseconds DOUBLE, at TIMESTAMP(3)
) WITH (connector = 'push', format = 'json');

CREATE STREAM IF NOT EXISTS slow_clicks PARTITIONED BY (DATE(at) AS day)
AS SELECT id, page, seconds(milliseconds) AS seconds, at
   FROM clicks WHERE milliseconds >= 100;
`

// run needs the directory dir for itself. What a run before has landed there is
// counted, too: the table stays.
func run(ctx context.Context, w io.Writer, dir string) (err error) {
	db, err := engine.Open(ctx, engine.Config{Dir: dir})
	if err != nil {
		return err
	}
	// Close commits what the streams have read.
	defer func() { err = errors.Join(err, db.Close()) }()

	// Functions of the program are called like SQL's own. A stream that uses one
	// waits, as FAILED, until a program has registered it.
	if err := db.RegisterFunc("seconds", func(ms float64) float64 { return ms / 1000 }); err != nil {
		return err
	}
	if err := db.Exec(ctx, pipeline); err != nil {
		// Errors of statements know their place and often a way out.
		if e := (*engine.Error)(nil); errors.As(err, &e) && e.Hint != "" {
			return fmt.Errorf("%w: %s", err, e.Hint)
		}
		return err
	}

	clicks, err := db.Source("clicks")
	if err != nil {
		return err
	}
	for i := range 1000 {
		click := fmt.Sprintf(`{"id": %d, "page": "/p%d", "milliseconds": %d, "at": "2026-07-01T10:00:00Z"}`, i, i%3, i)
		// Send blocks while the stream is full. SendAt is for programs that can
		// send again after a crash, and want each value exactly once.
		if err := clicks.Send(ctx, []byte(click)); err != nil {
			return err
		}
	}
	// When Flush returns, everything sent before is committed and can be read.
	if err := db.Flush(ctx, "slow_clicks"); err != nil {
		return err
	}
	return report(ctx, w, db)
}

// report prints a query's rows, which come as Arrow batches.
func report(ctx context.Context, w io.Writer, db *engine.DB) error {
	rows, err := db.Query(ctx, `SELECT page, COUNT(*), ROUND(AVG(seconds), 2) FROM lake.slow_clicks GROUP BY page ORDER BY page`)
	if err != nil {
		return err
	}
	defer rows.Release()
	for rows.Next() {
		batch := rows.RecordBatch() // valid until the next call of Next
		pages, counts, averages := batch.Column(0).(*array.String), batch.Column(1).(*array.Int64), batch.Column(2).(*array.Float64)
		for i := range int(batch.NumRows()) {
			fmt.Fprintf(w, "%s: %d clicks of %.2f s\n", pages.Value(i), counts.Value(i), averages.Value(i))
		}
	}
	return rows.Err()
}
