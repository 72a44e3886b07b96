//go:build services

package acceptance_test

import (
	"context"
	"encoding/json"
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/twmb/franz-go/pkg/kgo"

	"github.com/leatdb/leat/internal/services"
)

// testLeaders kills leaders among three brokers, so that partitions, coordinators
// of transactions and the positions of a Kafka sink move between them,
// while one stream lands a topic in a table and another writes it to a topic:
// both go on with the brokers that are left. Without a majority they say
// RETRYING, and come back with it. Nothing is lost, repeated or out of order.
func (e *environment) testLeaders(t *testing.T) {
	const partitions = 3
	cluster := services.StartKafkaCluster(t, 3)
	cluster.CreateTopic("led", partitions)
	cluster.CreateTopic("led_out", 2)
	l := e.serve(t, e.sink("moved")+fmt.Sprintf(`
		CREATE SOURCE led_in (id BIGINT) WITH (connector = 'kafka', brokers = '%[1]s', topic = 'led', discovery_interval = '500ms', connect_timeout = '3s');
		CREATE SINK topics WITH (connector = 'kafka', brokers = '%[1]s', connect_timeout = '3s', transaction_timeout = '10s');
		CREATE STREAM to_table INTO moved.led AS SELECT id, _partition AS p, _offset AS o FROM led_in;
		CREATE STREAM to_topic INTO topics.led_out WITH (commit_interval = '200ms', key = 'p') AS SELECT id, _partition AS p FROM led_in;`, cluster.Addresses()))
	streams := []string{"to_table", "to_topic"}
	client := cluster.Client(manual())
	stop, produced := produceSteadily(t, client, "led", partitions)
	// goesOn waits until what is in the topic now is committed by both.
	goesOn := func() {
		t.Helper()
		until := produced.Load()
		for _, s := range streams {
			eventuallyHas(t, l, "SELECT rows_landed, state FROM leat.stream_metrics WHERE stream = '"+s+"'", func(got string) bool {
				var landed int64
				var state string
				if _, err := fmt.Sscan(got, &landed, &state); err != nil || state == "FAILED" || state == "FENCED" {
					t.Fatalf("%s: %s (%v)", s, got, err)
				}
				return landed >= until
			}, fmt.Sprintf("%d rows or more", until))
		}
	}
	goesOn()
	for _, broker := range []*services.Kafka{cluster.Leader("led", 0), nil} {
		if broker == nil { // it may be another one by now
			broker = cluster.Leader("__leat_positions", 0)
		}
		broker.Kill()
		goesOn()
		broker.Launch()
		cluster.Await()
	}
	goesOn()

	for _, broker := range cluster.Brokers[1:] {
		broker.Kill()
	}
	for _, s := range streams {
		eventuallyHas(t, l, state(s), func(got string) bool {
			return strings.HasPrefix(got, "RETRYING\t") && strings.Contains(got, "broker")
		}, "RETRYING because of brokers")
	}
	for _, broker := range cluster.Brokers[1:] {
		broker.Launch()
	}
	cluster.Await()
	goesOn()
	stop()
	n := int(produced.Load())
	for _, s := range streams {
		typed(t, l, "FLUSH STREAM "+s)
		eventually(t, l, state(s), "RUNNING\tNULL")
		want(t, l, "SELECT rows_in, rows_landed FROM leat.stream_metrics WHERE stream = '"+s+"'", fmt.Sprintf("%d\t%[1]d", n))
	}
	want(t, l, total("moved.led"), totalOf(0, n))
	want(t, l, "SELECT COUNT(*) FROM (SELECT o, ROW_NUMBER() OVER (PARTITION BY p ORDER BY id) AS n FROM moved.led) AS x WHERE o <> n - 1", "0")
	inOrder(t, cluster.Client(kgo.ConsumeTopics("led_out"), kgo.FetchIsolationLevel(kgo.ReadCommitted()), kgo.FetchMaxWait(100*time.Millisecond)), n)
}

// inOrder reads n numbered records, of which each must be there once and those of
// a key must ascend.
func inOrder(t *testing.T, client *kgo.Client, n int) {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), 2*time.Minute)
	defer cancel()
	last := map[string]int{}
	read := 0
	take := func(r *kgo.Record) {
		var v struct{ ID int }
		if err := json.Unmarshal(r.Value, &v); err != nil {
			t.Fatalf("%s: %v", r.Value, err)
		}
		if before, ok := last[string(r.Key)]; ok && v.ID <= before {
			t.Fatalf("key %s: %d comes after %d", r.Key, v.ID, before)
		}
		last[string(r.Key)] = v.ID
		read++
	}
	for read < n {
		fetches := client.PollFetches(ctx)
		fetches.EachRecord(take)
		if ctx.Err() != nil {
			t.Fatalf("%d of %d records are in the topic", read, n)
		}
	}
	short, done := context.WithTimeout(t.Context(), 300*time.Millisecond)
	defer done()
	client.PollFetches(short).EachRecord(take)
	if read != n { // they ascend, so each of them is there once
		t.Errorf("%d records are in the topic, want %d", read, n)
	}
}
