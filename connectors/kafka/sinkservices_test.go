//go:build services

package kafka_test

import (
	"context"
	"encoding/json"
	"fmt"
	"math/rand/v2"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/twmb/franz-go/pkg/kgo"

	"github.com/leatdb/leat/internal/services"
)

// TestSink_Killed kills leat with signal 9 again and again while it writes one
// topic into another and reads that back into a table, and once the broker too.
// Readers with read_committed find every record once and those of a key in order,
// and so does the table.
func TestSink_Killed(t *testing.T) {
	const kills, each, keys = 8, 3000, 50
	binary := services.LeatBinary(t)
	k := services.StartKafka(t)
	k.CreateTopic("trips", 3, nil)
	k.CreateTopic("out", 4, nil)
	init := filepath.Join(t.TempDir(), "pipeline.sql")
	if err := os.WriteFile(init, []byte(fmt.Sprintf(`
CREATE SOURCE trips (id BIGINT, who VARCHAR(20), pad TEXT) WITH (connector = 'kafka', brokers = '%[1]s', topic = 'trips', chunk_bytes = '16KiB', connect_timeout = '5s');
CREATE SINK k WITH (connector = 'kafka', brokers = '%[1]s', transaction_timeout = '10s', connect_timeout = '5s');
CREATE STREAM s INTO k.out WITH (key = 'who', commit_interval = '100ms', lanes = 3) AS SELECT id, who, pad, _partition AS p FROM trips;
CREATE SOURCE back (id BIGINT, who VARCHAR(20), p INT) WITH (connector = 'kafka', brokers = '%[1]s', topic = 'out', connect_timeout = '5s');
CREATE STREAM landed WITH (commit_interval = '500ms') AS SELECT id, who, p, _key FROM back;
`, k.Plaintext)), 0o600); err != nil {
		t.Fatal(err)
	}
	leat := services.StartLeat(t, binary, "--init", init)
	producer := k.Client()
	random := rand.New(rand.NewPCG(1, 2))
	sent := 0
	for n := range kills {
		if n > 0 {
			leat.Launch()
		}
		var records []*kgo.Record
		for range each {
			who := fmt.Sprintf("u%d", sent%keys)
			records = append(records, &kgo.Record{Topic: "trips", Key: []byte(who), Value: []byte(fmt.Sprintf(`{"id":%d,"who":"%s","pad":"%s"}`, sent, who, strings.Repeat("x", random.IntN(200))))})
			sent++
		}
		if err := producer.ProduceSync(t.Context(), records...).FirstErr(); err != nil {
			t.Fatal(err)
		}
		// At any moment of a life: while it starts, and while it commits.
		<-time.After(time.Duration(random.IntN(2500)) * time.Millisecond)
		leat.Kill()
		if n == kills/2 {
			k.Kill()
			k.Launch()
		}
	}
	leat.Launch()
	ctx, cancel := context.WithTimeout(t.Context(), 2*time.Minute)
	defer cancel()
	db := leat.DB()
	defer db.Close()
	for db.PingContext(ctx) != nil && ctx.Err() == nil {
		<-time.After(50 * time.Millisecond)
	}
	for _, statement := range []string{"FLUSH STREAM s", "FLUSH STREAM landed"} {
		if _, err := db.ExecContext(ctx, statement); err != nil {
			t.Fatalf("%s: %v", statement, err)
		}
	}
	got := committed(t, strings.Split(k.Plaintext, ","), "out", sent)
	last := map[string]int{}
	for _, r := range got {
		var v struct {
			ID  int
			Who string
		}
		if err := json.Unmarshal(r.Value, &v); err != nil {
			t.Fatal(err)
		}
		if string(r.Key) != v.Who {
			t.Fatalf("key %s of %s", r.Key, r.Value)
		}
		if before, ok := last[v.Who]; ok && before >= v.ID {
			t.Fatalf("%s: %d after %d", v.Who, v.ID, before)
		}
		last[v.Who] = v.ID
	}
	wantIDs(t, got, sent, -1)
	var count, distinct, keyed int
	if err := db.QueryRowContext(ctx, "SELECT COUNT(*), COUNT(DISTINCT id), COUNT(CASE WHEN _key = who THEN 1 END) FROM lake.landed").Scan(&count, &distinct, &keyed); err != nil {
		t.Fatal(err)
	}
	if count != sent || distinct != sent || keyed != sent {
		t.Errorf("table: %d rows, %d ids, %d with the key, want %d", count, distinct, keyed, sent)
	}
}
