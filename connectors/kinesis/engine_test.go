package kinesis_test

import (
	"context"
	"fmt"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"testing"

	"github.com/leatdb/leat/connectors/kinesis/kinesistest"
	"github.com/leatdb/leat/engine"
	"github.com/leatdb/leat/engine/kernel"
)

// The whole way: a stream in SQL over a data stream that is resharded while it
// runs and while it does not, aggregates and bad records included.
func TestEngine(t *testing.T) {
	s := server(t)
	s.CreateStream("trips", 2)
	dir := filepath.Join(t.TempDir(), "data")
	db := openEngine(t, dir)
	written := 0
	write := func(n int) {
		for range n {
			value := []byte(fmt.Sprintf(`{"id":%d,"os":"%s"}`, written, []string{"ios", "android"}[written%2]))
			if written%10 == 0 {
				value = kinesistest.Aggregate(kinesistest.UserRecord{PartitionKey: strconv.Itoa(written), Data: gzipped(t, value)})
			}
			s.Put("trips", strconv.Itoa(written), value)
			written++
		}
	}
	with := fmt.Sprintf(`WITH (connector = 'kinesis', stream = 'trips', region = '%s', endpoint = '%s', access_key_id = 'AKID', secret_access_key = 'SECRET',
		poll_interval = '5ms', shard_calls_per_second = 1000, discovery_interval = '20ms')`, kinesistest.Region, s.URL())
	write(100)
	statement(t, db, "CREATE SOURCE trips (id BIGINT, os TEXT) "+with)
	statement(t, db, "CREATE STREAM landed PARTITIONED BY (os) WITH (commit_interval = '50ms') AS SELECT id, os, _shard AS shard, _sequence AS seq, _subsequence AS sub, _partition_key AS pk, _arrival AS arrived FROM trips")
	statement(t, db, "FLUSH STREAM landed")
	for i, reshard := range []func() error{
		func() error { return s.Split("trips", "shardId-000000000000") },
		func() error { return s.Merge("trips", "shardId-000000000003", "shardId-000000000001") },
		func() error { return s.Split("trips", "shardId-000000000004") },
	} {
		write(50)
		if i == 1 {
			if err := db.Close(); err != nil {
				t.Fatal(err)
			}
		}
		if err := reshard(); err != nil {
			t.Fatal(err)
		}
		write(50)
		if i == 1 {
			db = openEngine(t, dir)
		}
	}
	s.Put("trips", "bad", []byte(`{"id":`))
	statement(t, db, "FLUSH STREAM landed")
	defer func() {
		if err := db.Close(); err != nil {
			t.Errorf("close: %v", err)
		}
	}()

	f := func(query string, want ...string) {
		t.Helper()
		if got := rows(t, db, query); !slices.Equal(got, want) {
			t.Errorf("%s: %q, want %q", query, got, want)
		}
	}
	n := strconv.Itoa(written)
	f("SELECT COUNT(*), COUNT(DISTINCT id), MIN(id), MAX(id) FROM lake.landed", n+"|"+n+"|0|"+strconv.Itoa(written-1))
	f("SELECT COUNT(*) FROM lake.landed WHERE pk <> CAST(id AS CHAR) OR sub <> 0 OR arrived IS NULL OR LENGTH(seq) <> 56", "0")
	f("SELECT os, COUNT(*) FROM lake.landed GROUP BY os ORDER BY os", fmt.Sprintf("android|%d", written/2), fmt.Sprintf("ios|%d", written/2))
	f("SELECT COUNT(DISTINCT shard) FROM lake.landed", strconv.Itoa(len(s.Shards("trips"))))
	f("SELECT rows_in, rows_landed, rows_dead, records_empty FROM leat.stream_metrics", fmt.Sprintf("%d|%d|1|0", written+1, written))
	f("SELECT m.millis_behind_latest >= 0, s.millis_behind_latest >= 0 FROM leat.stream_metrics m, leat.streams s", "true|true")
	f("SELECT split, lag_ms FROM leat.splits WHERE position LIKE '%finished%' ORDER BY split LIMIT 2", "shardId-000000000000|0", "shardId-000000000001|0")
	letters := rows(t, db, "SELECT source_position, raw FROM leat.dead_letters")
	if len(letters) != 1 || !strings.HasPrefix(letters[0], "shardId-0") || !strings.Contains(letters[0], "@49") {
		t.Errorf("dead letters %q", letters)
	}
	if shown := rows(t, db, "SHOW CREATE SOURCE trips"); strings.Contains(strings.Join(shown, ""), "SECRET'") {
		t.Errorf("the secret is shown: %q", shown)
	}
	f("SELECT COUNT(*) FROM (SELECT id FROM trips WHERE id IS NOT NULL LIMIT 5) AS peeked", "5")
}

func openEngine(t *testing.T, dir string) *engine.DB {
	t.Helper()
	db, err := engine.Open(t.Context(), engine.Config{Dir: dir, Threads: 2})
	if err != nil {
		t.Fatal(err)
	}
	return db
}

func statement(t testing.TB, db *engine.DB, text string) {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), patience)
	defer cancel()
	if err := db.Exec(ctx, text); err != nil {
		t.Fatalf("%s: %v", text, err)
	}
}

// rows is what a query gives, columns separated by |.
func rows(t testing.TB, db *engine.DB, text string) (rows []string) {
	t.Helper()
	r, err := db.Query(t.Context(), text)
	if err != nil {
		t.Fatalf("%s: %v", text, err)
	}
	defer r.Release()
	for r.Next() {
		b := r.RecordBatch()
		for i := range int(b.NumRows()) {
			var cells []string
			for _, c := range b.Columns() {
				v := kernel.Value(c, i)
				if bytes, ok := v.([]byte); ok {
					v = string(bytes)
				}
				cells = append(cells, fmt.Sprint(v))
			}
			rows = append(rows, strings.Join(cells, "|"))
		}
	}
	if err := r.Err(); err != nil {
		t.Fatalf("%s: %v", text, err)
	}
	return rows
}
