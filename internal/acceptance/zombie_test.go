//go:build services

package acceptance_test

import (
	"context"
	"fmt"
	"math/rand/v2"
	"path/filepath"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/twmb/franz-go/pkg/kgo"
	_ "modernc.org/sqlite" // registers the driver "sqlite"

	"github.com/leatdb/leat/internal/services"
)

// testZombies pauses an instance of a stream at a random moment of steady work,
// lets another one with its own data directory take over, and wakes the first:
// it stops and changes nothing. Then the two change their parts.
func (e *environment) testZombies(t *testing.T) {
	rest := services.StartIcebergREST(t, e.s3, bucket)
	shared := filepath.Join(t.TempDir(), "catalog.db")
	for name, options := range map[string]string{
		"sqlite": "catalog_uri = '" + shared + "'",
		"rest":   "catalog = 'rest', catalog_uri = '" + rest.URI + "'",
		"hive":   "table_format = 'hive'",
	} {
		t.Run(name, func(t *testing.T) { e.testZombie(t, name, shared, options) })
	}
}

func (e *environment) testZombie(t *testing.T, name, shared, options string) {
	topic, lake := "zombie_"+name, "z_"+name
	e.kafka.CreateTopic(topic, 3, nil)
	stop, produced := e.produceSteadily(t, topic, 3)
	init := e.source(topic+"_in", topic, "") +
		strings.Replace(e.sink(lake), "commit_interval = '500ms'", "commit_interval = '50ms', "+options, 1) +
		"CREATE STREAM s INTO " + lake + ".t PARTITIONED BY (part) AS SELECT id, id % 4 AS part, _partition AS split, _offset AS position FROM " + topic + "_in;"
	instances := []*services.Leat{e.serve(t, init)}
	commits := "SELECT commits > 3 FROM leat.stream_metrics"
	for round := range 4 {
		current := instances[round%2]
		eventually(t, current, commits, "1")
		<-time.After(time.Duration(rand.Int64N(int64(100 * time.Millisecond))))
		current.Pause()
		for name == "sqlite" && services.SQLiteLocked(t, shared) {
			current.Resume()
			<-time.After(5 * time.Millisecond)
			current.Pause()
		}
		if round == 0 {
			instances = append(instances, e.serve(t, init))
		} else {
			instances[(round+1)%2].Restart()
		}
		next := instances[(round+1)%2]
		eventually(t, next, commits, "1")
		current.Resume()
		eventuallyHas(t, current, state("s"), func(got string) bool { return strings.HasPrefix(got, "FENCED\t") },
			fmt.Sprintf("FENCED by generation %d", round+2))
		eventuallyHas(t, current, state("s"), func(got string) bool { return strings.Contains(got, fmt.Sprintf("generation %d", round+2)) },
			fmt.Sprintf("the newer generation %d", round+2))
		current.Stop()
		if code := current.Exit(); code != 4 {
			t.Errorf("the fenced instance ended with exit status %d, want 4", code)
		}
	}
	stop()
	last := instances[0]
	n := int(produced.Load())
	typed(t, last, "FLUSH STREAM s")
	want(t, last, total(lake+".t"), totalOf(0, n))
	want(t, last, "SELECT rows_in, rows_landed, rows_dead FROM leat.stream_metrics", fmt.Sprintf("%d\t%[1]d\t0", n))
	// Of a split, one offset after the other.
	want(t, last, "SELECT COUNT(*) FROM (SELECT position, ROW_NUMBER() OVER (PARTITION BY split ORDER BY position) AS n FROM "+lake+".t) AS x WHERE position <> n - 1", "0")
	last.Stop()
	if code := last.Exit(); code != 0 {
		t.Errorf("the last instance ended with exit status %d, want 0", code)
	}
}

// produceSteadily produces numbered records from 0 on, a thousand a second,
// until stop is called, which returns when all are in the topic.
func (e *environment) produceSteadily(t *testing.T, topic string, partitions int) (stop func(), produced *atomic.Int64) {
	t.Helper()
	return produceSteadily(t, e.kafka.Client(manual()), topic, partitions)
}

func produceSteadily(t *testing.T, client *kgo.Client, topic string, partitions int) (stop func(), produced *atomic.Int64) {
	t.Helper()
	ctx, cancel := context.WithCancel(t.Context())
	produced = &atomic.Int64{}
	var group sync.WaitGroup
	group.Go(func() {
		tick := time.NewTicker(20 * time.Millisecond)
		defer tick.Stop()
		for ctx.Err() == nil {
			var records []*kgo.Record
			for range 20 {
				n := produced.Add(1) - 1
				records = append(records, &kgo.Record{Topic: topic, Partition: int32(int(n) % partitions), Value: fmt.Appendf(nil, `{"id": %d}`, n)})
			}
			if err := client.ProduceSync(context.WithoutCancel(ctx), records...).FirstErr(); err != nil {
				t.Errorf("produce to %s: %v", topic, err)
				return
			}
			select {
			case <-tick.C:
			case <-ctx.Done():
			}
		}
	})
	return func() {
		cancel()
		group.Wait()
	}, produced
}
