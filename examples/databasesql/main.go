// Command databasesql uses Leat by way of database/sql: it lands a file of JSON
// lines in a table and queries it, as it would with any other database.
//
//	go run -tags gms_pure_go,duckdb_arrow ./examples/databasesql FILE.ndjson
//
// The file's lines hold orders: {"id": 1, "customer": "ann", "amount": "12.50",
// "at": "2026-07-01T10:00:00Z"}.
package main

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"io"
	"log"
	"os"
	"strings"
	"time"

	_ "github.com/leatdb/leat/engine" // registers the driver "leat"
)

func main() {
	if len(os.Args) != 2 {
		log.Fatal("usage: databasesql FILE.ndjson")
	}
	if err := run(context.Background(), os.Stdout, "databasesql-data", os.Args[1]); err != nil {
		log.Fatal(err)
	}
}

func run(ctx context.Context, w io.Writer, dir, file string) (err error) {
	// The data source name is the data directory. One that this process has open
	// already is shared.
	db, err := sql.Open("leat", dir)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, db.Close()) }()

	// Definitions are kept in the directory; statements of Leat's own take no
	// placeholders, so the path is quoted.
	path := "'" + strings.ReplaceAll(file, "'", "''") + "'"
	for _, statement := range []string{
		`CREATE SOURCE IF NOT EXISTS orders_file (id BIGINT NOT NULL, customer VARCHAR(50), amount DECIMAL(10,2), at TIMESTAMP(3))
		   WITH (connector = 'files', format = 'json', mode = 'once', path = ` + path + `)`,
		`CREATE STREAM IF NOT EXISTS orders AS SELECT id, customer, amount, at FROM orders_file WHERE amount > 0`,
		`FLUSH STREAM orders`, // returns when all that the file held is committed
	} {
		if _, err := db.ExecContext(ctx, statement); err != nil {
			return err
		}
	}

	// The end of the context ends the query.
	ctx, cancel := context.WithTimeout(ctx, time.Minute)
	defer cancel()
	rows, err := db.QueryContext(ctx, `SELECT customer, SUM(amount), MAX(at) FROM orders
		WHERE at >= ? AND amount < ? GROUP BY customer ORDER BY customer`, time.Date(2026, 1, 1, 0, 0, 0, 0, time.UTC), 1000)
	if err != nil {
		return err
	}
	defer rows.Close()
	for rows.Next() {
		var customer, total string // a DECIMAL keeps its digits as text
		var last time.Time
		if err := rows.Scan(&customer, &total, &last); err != nil {
			return err
		}
		fmt.Fprintf(w, "%s spent %s, last on %s\n", customer, total, last.Format(time.DateOnly))
	}
	return rows.Err()
}
