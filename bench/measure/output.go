package measure

import (
	"bytes"
	"context"
	"database/sql"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"time"

	_ "github.com/duckdb/duckdb-go/v2" // reads what was written
)

// Output is a folder of Parquet files.
type Output struct {
	Files int
	Bytes int64
	Last  time.Time // when the last of them was written
	// Sums are the query's results, as text: equal for equal rows.
	Sums string
}

// TripSums are what results over taxi trips are compared by: the number of rows,
// and the sums of columns of several types, however a program stores them
// (money as decimals or doubles, times as timestamps or text).
const TripSums = `COUNT(*), SUM(trip_id), SUM(CAST(round(total * 100) AS BIGINT)), SUM(epoch_ms(CAST(pickup_at AS TIMESTAMP))),
  SUM(passengers), SUM(CAST(round(rider_rating * 100) AS BIGINT)), SUM(length(rider_id) + length(note))`

// lookArgument calls a benchmark's program to look at files for itself.
const lookArgument = "look-at-parquet"

// Child does what a benchmark's program is called for by Look, and exits; for
// other arguments it returns. Main calls it first.
func Child() {
	if len(os.Args) < 2 || os.Args[1] != lookArgument {
		return
	}
	err := func() error {
		if len(os.Args) == 2 {
			version, err := duckDBVersion(context.Background())
			if err != nil {
				return err
			}
			return json.NewEncoder(os.Stdout).Encode(version)
		}
		o, err := look(context.Background(), os.Args[2], os.Args[3])
		if err != nil {
			return err
		}
		return json.NewEncoder(os.Stdout).Encode(o)
	}()
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
	os.Exit(0)
}

// inChild calls this program with the arguments and reads its answer. A process
// that starts others must be small: Linux counts its memory at the start into
// the most that they held.
func inChild(ctx context.Context, answer any, args ...string) error {
	self, err := os.Executable()
	if err != nil {
		return err
	}
	cmd := exec.CommandContext(ctx, self, append([]string{lookArgument}, args...)...)
	var problems bytes.Buffer
	cmd.Stderr = &problems
	out, err := cmd.Output()
	if err != nil {
		return fmt.Errorf("%w: %s", err, tail(problems.String()))
	}
	return json.Unmarshal(out, answer)
}

// Look counts the Parquet files below dir, and evaluates a list of aggregates
// over their rows. No file at all is an error. It works in a process of its own,
// for which main has to call Child.
func Look(ctx context.Context, dir, aggregates string) (o Output, err error) {
	return o, inChild(ctx, &o, dir, aggregates)
}

func look(ctx context.Context, dir, aggregates string) (o Output, err error) {
	var paths []string
	err = filepath.WalkDir(dir, func(path string, d fs.DirEntry, err error) error {
		if err != nil || d.IsDir() || !strings.HasSuffix(path, ".parquet") {
			return err
		}
		info, err := d.Info()
		if err != nil {
			return err
		}
		o.Files++
		o.Bytes += info.Size()
		if info.ModTime().After(o.Last) {
			o.Last = info.ModTime()
		}
		paths = append(paths, "'"+strings.ReplaceAll(path, "'", "''")+"'")
		return nil
	})
	if err != nil {
		return o, fmt.Errorf("look at the result: %w", err)
	}
	if o.Files == 0 {
		return o, fmt.Errorf("look at the result: no Parquet file in %s", dir)
	}
	db, err := sql.Open("duckdb", "")
	if err != nil {
		return o, err
	}
	defer func() { err = errors.Join(err, db.Close()) }()
	conn, err := db.Conn(ctx)
	if err != nil {
		return o, err
	}
	defer conn.Close()
	if _, err := conn.ExecContext(ctx, "SET TimeZone = 'UTC'"); err != nil {
		return o, err
	}
	query := "SELECT concat_ws(' ', " + aggregates + ") FROM read_parquet([" + strings.Join(paths, ", ") + "], hive_partitioning = true, union_by_name = true)"
	if err := conn.QueryRowContext(ctx, query).Scan(&o.Sums); err != nil {
		return o, fmt.Errorf("read the result back: %w", err)
	}
	return o, nil
}

// DuckDBVersion is that of the linked DuckDB. It needs Child, too.
func DuckDBVersion(ctx context.Context) (version string, err error) {
	return version, inChild(ctx, &version)
}

func duckDBVersion(ctx context.Context) (version string, err error) {
	db, err := sql.Open("duckdb", "")
	if err != nil {
		return "", err
	}
	defer func() { err = errors.Join(err, db.Close()) }()
	err = db.QueryRowContext(ctx, "SELECT version()").Scan(&version)
	return version, err
}
