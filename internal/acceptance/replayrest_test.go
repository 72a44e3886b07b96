//go:build services

package acceptance_test

import (
	"fmt"
	"math/rand/v2"
	"strings"
	"testing"
	"time"

	"github.com/twmb/franz-go/pkg/kgo"

	"github.com/leatdb/leat/internal/services"
)

// testReplayREST reads dead letters again over a REST catalog, in parts and by
// several statements at once, while leat is killed and records come in: each
// letter lands once, whichever statement took it.
func (e *environment) testReplayREST(t *testing.T) {
	const letters, kills = 3000, 5
	rest := services.StartIcebergREST(t, e.s3, bucket)
	e.kafka.CreateTopic("letters", 2, nil)
	client := e.kafka.Client(manual())
	n := 0
	more := func(values int) {
		t.Helper()
		var records []*kgo.Record
		for range values {
			// The odd ones do not fit the first query.
			v := fmt.Sprintf(`{"id": %d, "v": "%s%d"}`, n, []string{"", "x"}[n%2], n)
			records = append(records, &kgo.Record{Topic: "letters", Partition: int32(n % 2), Value: []byte(v)})
			n++
		}
		if err := client.ProduceSync(t.Context(), records...).FirstErr(); err != nil {
			t.Fatal(err)
		}
	}
	more(2 * letters)
	const stream = "STREAM s INTO again.t WITH (commit_interval = '100ms') AS SELECT id, CAST(%s AS SIGNED) AS v FROM letters_in"
	l := services.StartLeat(t, e.binary)
	typed(t, l, strings.Replace(e.source("letters_in", "letters", "chunk_bytes = '16KiB'"), "id BIGINT", "id BIGINT, v VARCHAR(20)", 1)+
		strings.Replace(e.sink("again"), "commit_interval", "catalog = 'rest', catalog_uri = '"+rest.URI+"', commit_interval", 1)+
		"CREATE "+fmt.Sprintf(stream, "v")+"; FLUSH STREAM s;")
	want(t, l, "SELECT COUNT(*), COUNT(replay) FROM leat.dead_letters WHERE stream = 's'", fmt.Sprintf("%d\t0", letters))
	typed(t, l, "CREATE OR REPLACE "+fmt.Sprintf(stream, "REPLACE(v, 'x', '')"))
	random := rand.New(rand.NewPCG(4, 1))
	for i := range kills {
		more(100)
		ended := make(chan struct{}, 2)
		for part := range 2 {
			go func() {
				defer func() { ended <- struct{}{} }()
				// It may be killed, or find all of its letters taken.
				_, _ = l.Client(fmt.Sprintf("REPLAY DEAD_LETTERS FOR STREAM s WHERE raw LIKE '%%%d\"}' OR raw LIKE '%%%d\"}'", 2*i+1, 2*part+1))
			}()
		}
		<-time.After(time.Duration(random.IntN(400)) * time.Millisecond)
		l.Kill()
		<-ended
		<-ended
		l.Restart()
	}
	typed(t, l, "REPLAY DEAD_LETTERS FOR STREAM s; FLUSH STREAM s;")
	want(t, l, "SELECT COUNT(*), COUNT(DISTINCT id), SUM(id), SUM(v) FROM again.t", fmt.Sprintf("%d\t%[1]d\t%d\t%[2]d", n, (n-1)*n/2))
	want(t, l, "SELECT COUNT(*), COUNT(replay) FROM leat.dead_letters WHERE stream = 's'", fmt.Sprintf("%d\t%[1]d", letters))
	want(t, l, "SELECT rows_in - rows_landed - rows_dead, rows_landed, rows_replayed FROM leat.stream_metrics", fmt.Sprintf("0\t%d\t%d", n, letters))
}
