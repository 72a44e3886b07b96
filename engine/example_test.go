package engine_test

import (
	"context"
	"database/sql"
	"fmt"
	"log"
	"os"

	"github.com/apache/arrow-go/v18/arrow"
	"github.com/apache/arrow-go/v18/arrow/array"
	"github.com/apache/arrow-go/v18/arrow/memory"

	"github.com/leatdb/leat/engine"
)

func check(err error) {
	if err != nil {
		log.Fatal(err)
	}
}

// temporary is a folder for an example.
func temporary() (dir string, remove func()) {
	dir, err := os.MkdirTemp("", "leat-example-")
	check(err)
	return dir, func() { check(os.RemoveAll(dir)) }
}

// A program feeds a source with JSON, a stream lands what it makes of it, and a
// query reads the table, all within the process.
func Example() {
	dir, remove := temporary()
	defer remove()
	ctx := context.Background()

	db, err := engine.Open(ctx, engine.Config{Dir: dir})
	check(err)
	check(db.RegisterFunc("half", func(x float64) float64 { return x / 2 }))
	check(db.Exec(ctx, `
		CREATE SOURCE clicks (id BIGINT, u VARCHAR(20)) WITH (connector = 'push', format = 'json');
		CREATE STREAM c AS SELECT id, u, half(id) AS h FROM clicks`))

	clicks, err := db.Source("clicks")
	check(err)
	check(clicks.Send(ctx, []byte(`{"id":1,"u":"a"}`)))
	check(clicks.Send(ctx, []byte(`{"id":2,"u":"b"} {"id":3}`)))
	check(db.Flush(ctx, "c")) // everything sent before is committed when it returns

	r, err := db.Query(ctx, `SELECT COUNT(*) AS n, SUM(h) AS total FROM lake.c`)
	check(err)
	for r.Next() {
		b := r.RecordBatch()
		fmt.Println(b.Column(0).(*array.Int64).Value(0), b.Column(1).(*array.Float64).Value(0))
	}
	check(r.Err())
	r.Release()
	check(db.Close())
	// Output: 3 3
}

// The same engine by way of database/sql. A folder that the program has open
// already is shared.
func Example_databaseSQL() {
	dir, remove := temporary()
	defer remove()
	ctx := context.Background()

	engineDB, err := engine.Open(ctx, engine.Config{Dir: dir})
	check(err)
	defer engineDB.Close()
	db, err := sql.Open("leat", dir)
	check(err)
	defer db.Close()

	_, err = db.ExecContext(ctx, `
		CREATE SOURCE orders (id INT, city VARCHAR(20), total DECIMAL(8,2)) WITH (connector = 'push');
		CREATE STREAM o AS SELECT * FROM orders`)
	check(err)
	orders, err := engineDB.Source("orders")
	check(err)
	check(orders.Send(ctx, []byte(`{"id":1,"city":"Oslo","total":9.5} {"id":2,"city":"Rome","total":12} {"id":3,"city":"Oslo","total":0.5}`)))
	_, err = db.ExecContext(ctx, `FLUSH STREAM o`)
	check(err)

	rows, err := db.QueryContext(ctx, `SELECT city, SUM(total) FROM o WHERE id < ? GROUP BY city ORDER BY city`, 10)
	check(err)
	defer rows.Close()
	for rows.Next() {
		var city, total string
		check(rows.Scan(&city, &total))
		fmt.Println(city, total)
	}
	check(rows.Err())
	// Output:
	// Oslo 10.00
	// Rome 12.00
}

// A program that can repeat what it sends lands everything exactly once: after a
// restart it goes on behind what is committed.
func ExampleSource_SendAt() {
	dir, remove := temporary()
	defer remove()
	ctx := context.Background()
	events := []string{`{"id":1}`, `{"id":2}`, `{"id":3}`}

	send := func(upTo int64) {
		db, err := engine.Open(ctx, engine.Config{Dir: dir})
		check(err)
		defer db.Close()
		check(db.Exec(ctx, `
			CREATE SOURCE IF NOT EXISTS events (id INT) WITH (connector = 'push');
			CREATE STREAM IF NOT EXISTS e AS SELECT id FROM events`))
		src, err := db.Source("events")
		check(err)
		committed, ok := src.Committed("journal")
		fmt.Println("committed:", committed, ok)
		for offset := int64(1); offset <= upTo; offset++ { // from the beginning: what is there is dropped
			check(src.SendAt(ctx, "journal", offset, []byte(events[offset-1])))
		}
		check(db.Flush(ctx, "e"))
		r, err := db.Query(ctx, `SELECT COUNT(*), COUNT(DISTINCT id) FROM e`)
		check(err)
		defer r.Release()
		for r.Next() {
			fmt.Println("landed:", r.RecordBatch().Column(0).ValueStr(0), r.RecordBatch().Column(1).ValueStr(0))
		}
		check(r.Err())
	}
	send(2)
	send(3)
	// Output:
	// committed: 0 false
	// landed: 2 2
	// committed: 2 true
	// landed: 3 3
}

// Rows that are in Arrow already are sent as they are, columns matched by name.
func ExampleSource_SendRecord() {
	dir, remove := temporary()
	defer remove()
	ctx := context.Background()

	db, err := engine.Open(ctx, engine.Config{Dir: dir})
	check(err)
	defer db.Close()
	check(db.Exec(ctx, `
		CREATE SOURCE points (name VARCHAR(10), x DOUBLE) WITH (connector = 'push');
		CREATE STREAM p AS SELECT name, x * 10 AS x FROM points WHERE x IS NOT NULL`))
	b := array.NewRecordBuilder(memory.DefaultAllocator, arrow.NewSchema([]arrow.Field{
		{Name: "x", Type: arrow.PrimitiveTypes.Float64, Nullable: true}, {Name: "name", Type: arrow.BinaryTypes.String},
	}, nil))
	defer b.Release()
	b.Field(0).(*array.Float64Builder).AppendValues([]float64{1.5, 0, 2}, []bool{true, false, true})
	b.Field(1).(*array.StringBuilder).AppendValues([]string{"a", "b", "c"}, nil)
	rec := b.NewRecordBatch()
	defer rec.Release()

	points, err := db.Source("points")
	check(err)
	check(points.SendRecord(ctx, rec))
	check(db.Flush(ctx, "p"))
	r, err := db.Query(ctx, `SELECT name, x FROM p ORDER BY name`)
	check(err)
	defer r.Release()
	for r.Next() {
		for i := range int(r.RecordBatch().NumRows()) {
			fmt.Println(r.RecordBatch().Column(0).ValueStr(i), r.RecordBatch().Column(1).ValueStr(i))
		}
	}
	check(r.Err())
	// Output:
	// a 15
	// c 20
}

// Go functions take and return plain values; pointers are for NULL.
func ExampleDB_RegisterFunc() {
	dir, remove := temporary()
	defer remove()
	ctx := context.Background()

	db, err := engine.Open(ctx, engine.Config{Dir: dir})
	check(err)
	defer db.Close()
	check(db.RegisterFunc("greet", func(name *string) string {
		if name == nil {
			return "hello, whoever you are"
		}
		return "hello, " + *name
	}))
	r, err := db.Query(ctx, `SELECT greet('Ann') AS a, greet(NULL) AS b`)
	check(err)
	defer r.Release()
	for r.Next() {
		fmt.Println(r.RecordBatch().Column(0).ValueStr(0))
		fmt.Println(r.RecordBatch().Column(1).ValueStr(0))
	}
	check(r.Err())
	// Output:
	// hello, Ann
	// hello, whoever you are
}
