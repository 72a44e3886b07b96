//go:build services

package kinesis_test

import (
	"context"
	"fmt"
	"math/rand/v2"
	"os"
	"path/filepath"
	"testing"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	awskinesis "github.com/aws/aws-sdk-go-v2/service/kinesis"
	"github.com/aws/aws-sdk-go-v2/service/kinesis/types"

	"github.com/leatdb/leat/internal/services"
)

// TestSink_Killed kills leat with signal 9 again and again while it writes one
// data stream into another and reads that back into a table, which then holds
// every row, told apart by the ids, and those of a key in order.
func TestSink_Killed(t *testing.T) {
	t.Run("kinesalite", func(t *testing.T) { sinkKilled(t, services.StartKinesalite(t), 4) })
	t.Run("kinesis-local", func(t *testing.T) { sinkKilled(t, services.StartKinesisLocal(t), 2) }) // it takes a twentieth of the records in a second
}

func sinkKilled(t *testing.T, k *services.Kinesis, kills int) {
	const each, keys = 1000, 40
	binary := services.LeatBinary(t)
	k.CreateStream("trips", 2)
	k.CreateStream("out", 3)
	with := fmt.Sprintf("region = '%s', endpoint = '%s', access_key_id = '%s', secret_access_key = '%s', request_timeout = '3s'",
		services.KinesisRegion, k.Endpoint, services.KinesisAccessKey, services.KinesisSecretKey)
	source := with + ", shard_calls_per_second = 50, poll_interval = '20ms', chunk_bytes = '4KiB'"
	init := filepath.Join(t.TempDir(), "pipeline.sql")
	if err := os.WriteFile(init, []byte(fmt.Sprintf(`
CREATE SOURCE trips (id BIGINT, who VARCHAR(20)) WITH (connector = 'kinesis', stream = 'trips', %[2]s);
CREATE SINK k WITH (connector = 'kinesis', max_call_bytes = '4MiB', id_field = 'row_id', %[1]s);
CREATE STREAM s INTO k.out WITH (partition_key = 'who', commit_interval = '200ms', lanes = 2) AS SELECT id, who FROM trips;
CREATE SOURCE back (row_id VARCHAR(300), id BIGINT, who VARCHAR(20)) WITH (connector = 'kinesis', stream = 'out', %[2]s);
CREATE STREAM landed WITH (commit_interval = '500ms') AS SELECT row_id, id, who, _partition_key AS pk, _sequence AS seq FROM back;
`, with, source)), 0o600); err != nil {
		t.Fatal(err)
	}
	leat := services.StartLeat(t, binary, "--init", init)
	random := rand.New(rand.NewPCG(1, 2))
	sent := 0
	for n := range kills {
		if n > 0 {
			leat.Launch()
		}
		for range each / 250 {
			in := &awskinesis.PutRecordsInput{StreamName: aws.String("trips")}
			for range 250 {
				who := fmt.Sprintf("u%d", sent%keys)
				in.Records = append(in.Records, types.PutRecordsRequestEntry{PartitionKey: &who, Data: []byte(fmt.Sprintf(`{"id":%d,"who":"%s"}`, sent, who))})
				sent++
			}
			out, err := k.Client().PutRecords(t.Context(), in)
			if err != nil || aws.ToInt32(out.FailedRecordCount) > 0 {
				t.Fatalf("put records: %v", err)
			}
		}
		<-time.After(time.Duration(random.IntN(2500)) * time.Millisecond)
		leat.Kill()
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
	var rows, ids, distinct, keyed, disorder int
	if err := db.QueryRowContext(ctx, `SELECT COUNT(*), COUNT(DISTINCT row_id), COUNT(DISTINCT id), COUNT(DISTINCT CONCAT(row_id, '=', id)), COUNT(CASE WHEN pk = who THEN 1 END) FROM lake.landed`).
		Scan(&rows, &ids, &distinct, &disorder, &keyed); err != nil {
		t.Fatal(err)
	}
	t.Logf("%d rows of %d came twice", rows-ids, rows)
	if ids != sent || distinct != sent || disorder != sent || keyed != rows {
		t.Errorf("%d rows, %d row ids, %d ids, %d pairs of both, %d under their key; want %d", rows, ids, distinct, disorder, keyed, sent)
	}
	// The first of each id, by key: the sequence numbers have 56 digits.
	if err := db.QueryRowContext(ctx, `SELECT COUNT(*) FROM (
		SELECT id, LAG(id) OVER (PARTITION BY who ORDER BY first) AS before_it FROM (SELECT who, id, MIN(seq) AS first FROM lake.landed GROUP BY who, id) f
	) o WHERE before_it > id`).Scan(&disorder); err != nil {
		t.Fatal(err)
	}
	if disorder != 0 {
		t.Errorf("%d rows are out of order", disorder)
	}
}
