// Package chaos pulls plugs and counts. It runs Apache Kafka, an S3 server and
// leat as processes, has several producers write numbered records, kills leat
// at random moments (and sometimes the broker or the S3 server), and then
// compares what the topic holds with what independent readers find in the table
// and in the dead letters: every record once, in order.
package chaos

import (
	"context"
	"fmt"
	"math/rand/v2"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/leatdb/leat/internal/services"
)

// Config says how hard a run is.
type Config struct {
	// Binary is the leat that is run.
	Binary string
	// TableFormat is 'iceberg' or 'hive'.
	TableFormat string
	// Kills is how often leat is killed.
	Kills int
	// S3Percent and KafkaPercent are how many of leat's lives out of a hundred
	// also see the S3 server or the broker die and come back, or hang.
	S3Percent, KafkaPercent int
	// Partitions of the topic; one more is added halfway.
	Partitions int
	// Producers write at a Rate of records a second together. One more produces
	// in transactions, of which half are aborted.
	Producers, Rate int
	// Pad makes records longer by so many bytes that cannot be compressed.
	Pad int
	// Seed decides when what is killed.
	Seed uint64
	// Init are further statements that leat executes at every start.
	Init string
	// Progress, if it is not nil, is told of every life.
	Progress func(format string, args ...any)
}

// commitInterval is the stream's.
const commitInterval = time.Second

// longestLife bounds how long leat is left alone to commit. A broker that is
// started meanwhile on a busy machine takes more than half a minute until it hands
// out records (kafkaSettles).
const longestLife = 2 * time.Minute

// run is a run in progress. Everything but the producers is on one goroutine.
type run struct {
	t      services.TB
	cfg    Config
	random *rand.Rand
	kafka  *services.Kafka
	s3     *services.S3
	leat   *services.Leat
	tally  Tally

	// Outages that go on: when the service is started again, or resumed; zero is
	// none.
	s3Back, kafkaBack   time.Time
	s3Hangs, kafkaHangs bool
	// settled is when a broker that was started again hands out records for sure.
	settled time.Time
}

// kafkaSettles is more than a broker takes to start and to give up a transaction
// that nobody has ended, behind which no record counts as committed.
const kafkaSettles = 10*time.Second + transactionTimeout

const (
	bucket = "chaos"
	topic  = "events"
	table  = "events"
	stream = "landing"
)

// Run starts everything, kills, and counts. What is lost, repeated or out of
// order is in the tally; what could not be found out ends t.
func Run(t services.TB, cfg Config) Tally {
	t.Helper()
	begun := time.Now()
	r, stopProducers := begin(t, cfg)
	for r.tally.Kills < cfg.Kills {
		r.life(r.tally.Kills)
		if r.tally.Kills == cfg.Kills/2 {
			r.addPartition()
		}
	}
	r.bringBack(true)
	stopProducers()
	r.catchUp()
	r.count()
	r.tally.Took = time.Since(begun)
	return r.tally
}

// begin starts the services, the producers and leat.
func begin(t services.TB, cfg Config) (r *run, stopProducers func()) {
	t.Helper()
	if cfg.Progress == nil {
		cfg.Progress = func(string, ...any) {}
	}
	r = &run{t: t, cfg: cfg, random: rand.New(rand.NewPCG(cfg.Seed, 1))}
	r.kafka, r.s3 = services.StartKafka(t), services.StartVersityGW(t)
	r.s3.CreateBucket(bucket)
	r.kafka.CreateTopic(topic, int32(cfg.Partitions), nil)
	init := filepath.Join(t.TempDir(), "pipeline.sql")
	if err := os.WriteFile(init, []byte(r.pipeline()), 0o600); err != nil {
		t.Fatal(err)
	}
	stopProducers = startProducers(t, r.kafka, cfg)
	r.leat = services.StartLeat(t, cfg.Binary, "--init", init)
	return r, stopProducers
}

// pipeline is the SQL file that leat is started with each time.
func (r *run) pipeline() string {
	return fmt.Sprintf(`
CREATE SOURCE events_in (id BIGINT NOT NULL, producer INT, kind VARCHAR(10), nested JSON, pad TEXT)
WITH (connector = 'kafka', brokers = '%s', topic = '%s', discovery_interval = '1s', connect_timeout = '5s');

CREATE SINK chaos WITH (connector = 's3', path = 's3://%s/lake', endpoint = '%s', region = '%s', path_style = 'true',
  access_key_id = '%s', secret_access_key = '%s', table_format = '%s', commit_interval = '%s');

CREATE STREAM %s INTO chaos.%s PARTITIONED BY (kind)
AS SELECT id, producer, kind, CAST(nested->>'$.amount' AS DECIMAL(10, 2)) AS amount, pad, _partition AS split, _offset AS position
   FROM events_in WHERE id %% %d <> 0;
%s`, r.kafka.Plaintext, topic, bucket, r.s3.Endpoint, r.s3.Region, r.s3.AccessKey, r.s3.SecretKey,
		r.cfg.TableFormat, commitInterval, stream, table, filteredEvery, r.cfg.Init)
}

// life kills leat at a random moment and starts it again. In half of its lives
// leat first commits, in the others it may be killed while it starts.
func (r *run) life(n int) {
	began := time.Now()
	outage := !r.s3Back.IsZero() || !r.kafkaBack.IsZero() || began.Before(r.settled)
	if n > 0 {
		r.leat.Launch()
	}
	end := began.Add(r.between(0, 2500*time.Millisecond))
	patient := n == 0 || r.random.IntN(2) == 0
	if r.s3Back.IsZero() && r.random.IntN(100) < r.cfg.S3Percent {
		outage = true
		r.wait(began.Add(r.between(0, time.Second)))
		if r.s3Hangs = r.random.IntN(4) == 0; r.s3Hangs {
			r.s3.Pause()
			r.tally.Hangs++
		} else {
			r.s3.Kill()
			r.tally.S3Kills++
		}
		r.s3Back = time.Now().Add(r.between(0, 3*time.Second))
	}
	if r.kafkaBack.IsZero() && r.random.IntN(100) < r.cfg.KafkaPercent {
		outage = true
		r.wait(began.Add(r.between(0, time.Second)))
		if r.kafkaHangs = r.random.IntN(4) == 0; r.kafkaHangs {
			r.kafka.Pause()
			r.tally.Hangs++
		} else {
			r.kafka.Kill()
			r.tally.KafkaKills++
		}
		r.kafkaBack = time.Now().Add(r.between(0, time.Second))
	}
	if patient {
		if took, ok := r.firstCommit(began); ok {
			if !outage && n > 0 {
				r.tally.Restarts = append(r.tally.Restarts, took)
			}
			r.cfg.Progress("life %d: first commit after %v%s", n, took.Round(time.Millisecond), map[bool]string{true: " (with an outage)"}[outage])
		}
		end = time.Now().Add(r.between(0, 2*time.Second))
	}
	r.wait(end)
	r.leat.Kill()
	r.tally.Kills++
}

// firstCommit waits until this life of leat has committed an epoch.
func (r *run) firstCommit(began time.Time) (took time.Duration, ok bool) {
	for {
		r.leat.Check()
		if r.leatCommits() > 0 {
			return time.Since(began), true
		}
		if time.Since(began) > longestLife {
			r.t.Errorf("no commit within %v of a start", longestLife)
			return 0, false
		}
		r.wait(time.Now().Add(10 * time.Millisecond))
	}
}

// leatCommits is how often this leat has committed; 0 also when it does not
// answer yet.
func (r *run) leatCommits() int {
	ctx, cancel := context.WithTimeout(r.t.Context(), time.Second)
	defer cancel()
	text, err := r.leat.Get(ctx, "/metrics")
	if err != nil {
		return 0
	}
	n, _ := r.metric(text, `leat_stream_commits_total{stream="`+stream+`"}`)
	return int(n)
}

// metric finds a metric in what leat answers.
func (r *run) metric(text, name string) (value float64, ok bool) {
	r.t.Helper()
	_, rest, ok := strings.Cut(text, "\n"+name+" ")
	if !ok {
		return 0, false
	}
	number, _, _ := strings.Cut(rest, "\n")
	value, err := strconv.ParseFloat(strings.TrimSpace(number), 64)
	if err != nil {
		r.t.Fatalf("read leat's metrics: %v", err)
	}
	return value, true
}

// wait waits until a time, bringing services back on the way.
func (r *run) wait(until time.Time) {
	for {
		r.bringBack(false)
		next := until
		for _, back := range []time.Time{r.s3Back, r.kafkaBack} {
			if !back.IsZero() && back.Before(next) {
				next = back
			}
		}
		timer := time.NewTimer(time.Until(next))
		select {
		case <-timer.C:
		case <-r.t.Context().Done():
			timer.Stop()
			r.t.Fatalf("interrupted: %v", r.t.Context().Err())
		}
		if !time.Now().Before(until) {
			return
		}
	}
}

// bringBack starts the services again whose outage is over, or all.
func (r *run) bringBack(all bool) {
	now := time.Now()
	if !r.s3Back.IsZero() && (all || !now.Before(r.s3Back)) {
		if r.s3Hangs {
			r.s3.Resume()
		} else {
			r.s3.Launch()
		}
		r.s3Back = time.Time{}
	}
	if !r.kafkaBack.IsZero() && (all || !now.Before(r.kafkaBack)) {
		if r.kafkaHangs {
			r.kafka.Resume()
		} else {
			r.kafka.Launch()
		}
		r.kafkaBack, r.settled = time.Time{}, now.Add(kafkaSettles)
	}
	if all {
		r.s3.Await()
		r.kafka.Await()
	}
}

func (r *run) between(from, to time.Duration) time.Duration {
	return from + time.Duration(r.random.Int64N(int64(to-from)))
}

// addPartition gives the topic one more partition, for which the broker has to
// be there.
func (r *run) addPartition() {
	r.bringBack(true)
	r.kafka.AddPartitions(topic, 1)
	r.cfg.Partitions++
}

// catchUp lets leat land everything, compares its counters, and stops it.
func (r *run) catchUp() {
	r.leat.Launch()
	r.leat.Await()
	db := r.leat.DB()
	ctx, cancel := context.WithTimeout(r.t.Context(), 5*time.Minute)
	defer cancel()
	if _, err := db.ExecContext(ctx, "FLUSH STREAM "+stream); err != nil {
		r.t.Fatalf("flush: %v", err)
	}
	c := &r.tally.Counters
	if err := db.QueryRowContext(ctx, `SELECT records_in, records_empty, rows_in, rows_exploded, rows_landed, rows_filtered, rows_dead
		FROM leat.stream_metrics WHERE stream = ?`, stream).
		Scan(&c.RecordsIn, &c.RecordsEmpty, &c.RowsIn, &c.RowsExploded, &c.RowsLanded, &c.RowsFiltered, &c.RowsDead); err != nil {
		r.t.Fatalf("read leat's counters: %v", err)
	}
	if err := db.QueryRowContext(ctx, "SELECT COUNT(*), COUNT(DISTINCT split, position) FROM chaos."+table).Scan(&r.tally.Selected, &r.tally.SelectedDistinct); err != nil {
		r.t.Fatalf("count with leat: %v", err)
	}
	if err := db.Close(); err != nil {
		r.t.Errorf("close the connections to leat: %v", err)
	}
	r.leat.Stop()
	if code := r.leat.Exit(); code != 0 {
		r.t.Errorf("leat ended with exit status %d", code)
	}
}

// Percentile is the restart-to-first-commit time that a share of the restarts
// did not exceed; 0 when none was measured.
func (t *Tally) Percentile(share float64) time.Duration {
	if len(t.Restarts) == 0 {
		return 0
	}
	sorted := slices.Sorted(slices.Values(t.Restarts))
	return sorted[int(share*float64(len(sorted)-1))]
}
