//go:build services

package kinesis_test

import (
	"context"
	"database/sql"
	"fmt"
	"math/rand/v2"
	"os"
	"path/filepath"
	"strconv"
	"sync"
	"testing"
	"time"

	"github.com/leatdb/leat/connectors/kinesis/kinesistest"
	"github.com/leatdb/leat/internal/services"
)

// TestSource_Killed kills leat with signal 9 twenty times while a data stream is
// written to and is split and merged twenty times, also while nobody reads. One
// stream polls, one has a consumer; both tables then hold each record once.
func TestSource_Killed(t *testing.T) {
	const kills, reshards = 20, 20
	binary := services.LeatBinary(t)
	s := server(t)
	s.CreateStream("trips", 3)
	s.Inject(kinesistest.Fault{Operation: "GetRecords", Every: 37, Code: "ProvisionedThroughputExceededException"})
	s.Inject(kinesistest.Fault{Operation: "GetRecords", Every: 23, Code: "ExpiredIteratorException"})
	s.Inject(kinesistest.Fault{Operation: "SubscribeToShardEvent", Every: 41, Cut: true})
	s.Inject(kinesistest.Fault{Operation: "SubscribeToShardEvent", Every: 29, End: true})
	with := fmt.Sprintf("connector = 'kinesis', stream = 'trips', region = '%s', endpoint = '%s', access_key_id = 'AKID', secret_access_key = 'SECRET', shard_calls_per_second = 200, poll_interval = '20ms', chunk_bytes = '1KiB', discovery_interval = '200ms'",
		kinesistest.Region, s.URL())
	init := filepath.Join(t.TempDir(), "pipeline.sql")
	if err := os.WriteFile(init, []byte(fmt.Sprintf(`
CREATE SOURCE polled (id BIGINT) WITH (%[1]s);
CREATE SOURCE pushed (id BIGINT) WITH (%[1]s, consumer = 'leat-{stream}');
CREATE STREAM a WITH (commit_interval = '100ms', lanes = 2) AS SELECT id FROM polled;
CREATE STREAM b WITH (commit_interval = '100ms', lanes = 2) AS SELECT id FROM pushed;
`, with)), 0o600); err != nil {
		t.Fatal(err)
	}
	random := rand.New(rand.NewPCG(7, 9))
	reshard := func() bool {
		var open []kinesistest.Shard
		for _, sh := range s.Shards("trips") {
			if sh.Open {
				open = append(open, sh)
			}
		}
		sh := open[random.IntN(len(open))]
		if len(open) > 3 {
			for _, other := range open {
				if s.Merge("trips", sh.ID, other.ID) == nil {
					return true
				}
			}
		}
		return s.Split("trips", sh.ID) == nil
	}
	// Records come all the time, whoever reads.
	stop := make(chan struct{})
	var writing sync.WaitGroup
	written := 0
	writing.Go(func() {
		tick := time.NewTicker(time.Millisecond)
		defer tick.Stop()
		for {
			select {
			case <-stop:
				return
			case <-tick.C:
				s.Put("trips", strconv.Itoa(written), []byte(fmt.Sprintf(`{"id":%d}`, written)))
				written++
			}
		}
	})
	leat := services.StartLeat(t, binary, "--init", init)
	done := 0
	for n := range kills {
		if n > 0 {
			leat.Launch()
		}
		<-time.After(time.Duration(random.IntN(1200)) * time.Millisecond)
		if done < reshards && n%2 == 0 && reshard() {
			done++
		}
		<-time.After(time.Duration(random.IntN(300)) * time.Millisecond)
		leat.Kill()
		if done < reshards && reshard() {
			done++
		}
	}
	for done < reshards {
		if reshard() {
			done++
		}
	}
	close(stop)
	writing.Wait()
	leat.Launch()
	ctx, cancel := context.WithTimeout(t.Context(), 2*time.Minute)
	defer cancel()
	db := leat.DB()
	defer db.Close()
	for db.PingContext(ctx) != nil && ctx.Err() == nil {
		<-time.After(50 * time.Millisecond)
	}
	for _, stream := range []string{"a", "b"} {
		if _, err := db.ExecContext(ctx, "FLUSH STREAM "+stream); err != nil {
			t.Fatalf("flush %s: %v", stream, err)
		}
		var rows, distinct int
		var last sql.NullInt64
		if err := db.QueryRowContext(ctx, "SELECT COUNT(*), COUNT(DISTINCT id), MAX(id) FROM lake."+stream).Scan(&rows, &distinct, &last); err != nil {
			t.Fatal(err)
		}
		if rows != written || distinct != written || last.Int64 != int64(written-1) {
			t.Errorf("stream %s: %d rows, %d of them different, the last %d; want %d", stream, rows, distinct, last.Int64, written)
		}
		var generation int64
		if err := db.QueryRowContext(ctx, "SELECT MAX(generation) FROM leat.commits WHERE stream = ?", stream).Scan(&generation); err != nil {
			t.Fatal(err)
		}
		t.Logf("stream %s: %d records, generation %d", stream, rows, generation)
	}
	t.Logf("%d shards were made", len(s.Shards("trips")))
}
