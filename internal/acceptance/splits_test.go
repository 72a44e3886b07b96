//go:build services

package acceptance_test

import (
	"fmt"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/twmb/franz-go/pkg/kgo"

	"github.com/leatdb/leat/internal/services"
)

// testStarts begins at the end and at a time; partitions that are added while
// the streams run are read from their beginning.
func (e *environment) testStarts(t *testing.T) {
	e.kafka.CreateTopic("starts", 2, nil)
	client := e.kafka.Client(manual())
	at := time.Date(2026, 3, 1, 12, 0, 0, 0, time.UTC)
	var old []*kgo.Record
	for i := range 1000 { // one a minute, from 500 minutes before
		old = append(old, &kgo.Record{
			Topic: "starts", Partition: int32(i % 2), Value: fmt.Appendf(nil, `{"id": %d}`, i), Timestamp: at.Add(time.Duration(i-500) * time.Minute),
		})
	}
	if err := client.ProduceSync(t.Context(), old...).FirstErr(); err != nil {
		t.Fatal(err)
	}
	l := e.serve(t, e.source("early_in", "starts", "")+e.source("late_in", "starts", "start = 'latest'")+
		e.source("time_in", "starts", "start = '2026-03-01 12:00:00'")+e.source("millis_in", "starts", fmt.Sprintf("start = '%d'", at.UnixMilli()))+`
		CREATE STREAM early WITH (commit_interval = '500ms') AS SELECT id FROM early_in;
		CREATE STREAM late WITH (commit_interval = '500ms') AS SELECT id FROM late_in;
		CREATE STREAM timed WITH (commit_interval = '500ms') AS SELECT id, _timestamp AS at FROM time_in;
		CREATE STREAM millis WITH (commit_interval = '500ms') AS SELECT id FROM millis_in;`)
	all := func() {
		t.Helper()
		for _, s := range []string{"early", "late", "timed", "millis"} {
			typed(t, l, "FLUSH STREAM "+s)
		}
	}
	all()
	want(t, l, total("lake.early"), totalOf(0, 1000))
	want(t, l, "SELECT COUNT(*) FROM lake.late", "0")
	want(t, l, total("lake.timed"), totalOf(500, 1000))
	want(t, l, total("lake.millis"), totalOf(500, 1000))
	want(t, l, "SELECT MIN(at) FROM lake.timed", "2026-03-01 12:00:00.000")

	l.Kill() // also a start at the end is decided once
	produce(t, client, "starts", 0, 1000, 1100)
	l.Restart()
	e.kafka.AddPartitions("starts", 2)
	client = e.kafka.Client(manual()) // which knows of them
	for p := range int32(4) {
		from := 1100 + 100*int(p)
		produce(t, client, "starts", p, from, from+100)
	}
	eventually(t, l, total("lake.early"), totalOf(0, 1500))
	eventually(t, l, total("lake.late"), totalOf(1000, 1500))
	eventually(t, l, total("lake.timed"), totalOf(500, 1500))
	eventually(t, l, total("lake.millis"), totalOf(500, 1500))
	want(t, l, "SELECT COUNT(*) FROM leat.splits WHERE stream = 'late'", "4")
}

// testIdle has a topic without records, whose stream is well all the same.
func (e *environment) testIdle(t *testing.T) {
	e.kafka.CreateTopic("idle", 3, nil)
	l := e.serve(t, e.source("idle_in", "idle", "")+"CREATE STREAM idle WITH (commit_interval = '200ms') AS SELECT id FROM idle_in;")
	typed(t, l, "FLUSH STREAM idle")
	want(t, l, state("idle"), "RUNNING\tNULL")
	want(t, l, "SELECT COUNT(*) FROM lake.idle", "0")
	l.Restart()
	want(t, l, "SELECT COUNT(*) FROM lake.idle", "0")
	produce(t, e.kafka.Client(manual()), "idle", 1, 7, 8)
	eventually(t, l, total("lake.idle"), totalOf(7, 8))
	want(t, l, "SELECT records_in, rows_in, rows_landed, `lag` FROM leat.stream_metrics", "1\t1\t1\t0")
}

// testRunToLatest runs a bounded stream of committed records in the foreground,
// twice.
func (e *environment) testRunToLatest(t *testing.T) {
	e.kafka.CreateTopic("bounded", 2, nil)
	client := e.kafka.Client(manual())
	transactional := e.kafka.Client(manual(), kgo.TransactionalID("acceptance"))
	transaction := func(p int32, from, to int, commit kgo.TransactionEndTry) {
		t.Helper()
		if err := transactional.BeginTransaction(); err != nil {
			t.Fatal(err)
		}
		produce(t, transactional, "bounded", p, from, to)
		if err := transactional.EndTransaction(t.Context(), commit); err != nil {
			t.Fatal(err)
		}
	}
	produce(t, client, "bounded", 0, 0, 1000)
	transaction(0, 50_000, 50_300, kgo.TryAbort)
	transaction(0, 1000, 1300, kgo.TryCommit)
	produce(t, client, "bounded", 1, 1300, 2000)
	transaction(1, 60_000, 60_010, kgo.TryAbort) // the last thing in the partition

	data := filepath.Join(t.TempDir(), "data")
	file := write(t, "job.sql", e.source("b_in", "bounded", "stop = 'latest'")+"CREATE STREAM b AS SELECT id, _partition AS p, _offset AS o FROM b_in;")
	job := func(stdin string, args ...string) string {
		t.Helper()
		cmd := exec.CommandContext(t.Context(), e.binary, args...)
		cmd.Stdin = strings.NewReader(stdin)
		out, err := cmd.CombinedOutput()
		if err != nil {
			t.Fatalf("leat %s: %v\n%s", args[0], err, out)
		}
		return string(out)
	}
	check := func(rows string) {
		t.Helper()
		l := services.StartLeat(t, e.binary, "--data", data)
		want(t, l, total("lake.b"), rows)
		l.Stop()
	}
	out := job("", "run", "--data", data, file)
	if !strings.Contains(out, "2,000") && !strings.Contains(out, "2000") {
		t.Errorf("leat run says\n%s", out)
	}
	check(totalOf(0, 2000))
	produce(t, client, "bounded", 0, 2000, 2100) // behind the stop
	job("", "run", "--data", data, file)
	check(totalOf(0, 2000))
}
