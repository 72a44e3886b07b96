//go:build gms_pure_go && duckdb_arrow

package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"os"
	"strings"
	"time"

	"github.com/twmb/franz-go/pkg/kadm"
	"github.com/twmb/franz-go/pkg/kfake"
	"github.com/twmb/franz-go/pkg/kgo"

	"github.com/leatdb/leat/engine"
	"github.com/leatdb/leat/engine/dataflow"
	"github.com/leatdb/leat/sql/mysqlserver"
)

const (
	demoTopic      = "trips"
	demoPartitions = 4
	demoStream     = "trips_by_borough"
	// brokerBytes is how much the broker keeps of each partition, in memory.
	brokerBytes = "67108864"
	// demoEnd bounds what the demonstration does before it ends by itself, and
	// how long its last flush may take.
	demoEnd = 30 * time.Second
)

// demoQueries are shown with their results.
var demoQueries = []string{
	`SELECT borough, COUNT(*) AS trips, ROUND(AVG(fare), 2) AS fare, ROUND(SUM(gross), 2) AS gross
  FROM trips_by_borough GROUP BY borough ORDER BY trips DESC`,
	`SELECT os, COUNT(*) AS trips, ROUND(100 * AVG(tip / fare), 1) AS tip_percent
  FROM trips_by_borough WHERE distance > 5 GROUP BY os ORDER BY trips DESC`,
	`SELECT source_position, error_class, LEFT(error_message, 60) AS error, LEFT(raw, 36) AS raw
  FROM leat.dead_letters ORDER BY arrived_at DESC LIMIT 3`,
}

func runDemo(ctx context.Context, c *cli, args []string) int {
	fs := c.flags("demo")
	data := fs.String("data", "", "`directory` for the data, which has to be empty (default a temporary one, removed at the end)")
	rate := fs.Int("rate", 20_000, "`trips` a second")
	duration := fs.Duration("duration", 12*time.Second, "how long trips land before the queries are run, at most 30s")
	stay := fs.Bool("stay", isTerminal(c.stdout), "go on until Ctrl-C (the default at a terminal)")
	if code, done := c.parse(fs, args); done {
		return code
	}
	if fs.NArg() > 0 || *rate < 1 || *duration <= 0 || *duration > 30*time.Second {
		fmt.Fprintln(c.stderr, "leat demo: no arguments are expected, --rate is at least 1, and --duration at most 30s")
		return exitUsage
	}
	d := &demo{out: newStatusWriter(c.stdout), stderr: c.stderr, rate: *rate, duration: *duration, stay: *stay}
	if err := d.run(ctx, *data); err != nil {
		d.out.clear()
		return c.fail(err)
	}
	return exitDone
}

// demo is the whole job in one process: a broker, what sends to it, the engine
// and its MySQL port.
type demo struct {
	out      *statusWriter
	stderr   io.Writer
	rate     int
	duration time.Duration
	stay     bool

	begun    time.Time // when the stream was created
	db       *engine.DB
	server   *mysqlserver.Server
	client   *sqlClient
	producer *tripProducer
}

// run shows the demonstration. When ctx ends it cleans up and is done.
func (d *demo) run(ctx context.Context, data string) (err error) {
	dir, err := d.directory(data)
	if err != nil {
		return err
	}
	if data == "" {
		defer func() { err = errors.Join(err, os.RemoveAll(dir)) }()
	}
	broker, err := startBroker()
	if err != nil {
		return err
	}
	defer broker.Close()
	if err := d.start(ctx, dir, broker); err != nil {
		return errors.Join(err, d.stop())
	}
	defer func() { err = errors.Join(err, d.stop()) }()

	d.printf("Taxi trips arrive at a Kafka broker, land as Parquet in an Iceberg table, and answer SQL.\n\n")
	d.printf("  broker  %s, in this process; topic %s, %d partitions, %s trips a second\n", broker.ListenAddrs()[0], demoTopic, demoPartitions, thousands(int64(d.rate)))
	d.printf("  server  %s, for MySQL clients\n", d.server.Addr())
	d.printf("  data    %s%s\n\n", dir, map[bool]string{true: ", removed at the end"}[data == ""])

	sending, stopSending := context.WithCancel(ctx)
	defer stopSending()
	sent := make(chan error, 1)
	go func() { sent <- d.producer.run(sending) }()
	finished := false
	finish := func() error { // everything that was sent counts
		stopSending()
		finished = true
		return <-sent
	}
	defer func() {
		if !finished {
			err = errors.Join(err, finish())
		}
	}()
	if err := d.create(ctx, broker.ListenAddrs()[0]); err != nil {
		return interrupted(ctx, err)
	}
	if err := d.watch(ctx, d.duration, sent); err != nil {
		return interrupted(ctx, err)
	}
	if !d.out.terminal {
		d.printf("\n")
	}
	if !d.stay {
		if err := finish(); err != nil {
			return err
		}
		if err := d.show(ctx, "FLUSH STREAM "+demoStream); err != nil {
			return interrupted(ctx, err)
		}
	}
	for _, q := range demoQueries {
		if err := d.show(ctx, q); err != nil {
			return interrupted(ctx, err)
		}
	}
	if d.stay {
		host, port, err := net.SplitHostPort(d.server.Addr())
		if err != nil {
			return err
		}
		d.printf("Ask it yourself (Ctrl-C here ends the demo):\n\n    mysql -h %s -P %s -u root lake\n\n", host, port)
		if err := d.watch(ctx, 0, sent); err != nil {
			return err
		}
		if err := finish(); err != nil {
			return err
		}
		flushing, cancel := context.WithTimeout(context.WithoutCancel(ctx), demoEnd)
		defer cancel()
		if err := d.db.Flush(flushing, demoStream); err != nil {
			return err
		}
	}
	return d.account()
}

// interrupted is nil for an error that comes of the end of ctx.
func interrupted(ctx context.Context, err error) error {
	if ctx.Err() != nil {
		return nil
	}
	return err
}

func (d *demo) printf(format string, args ...any) { fmt.Fprintf(d.out, format, args...) }

// directory is where the data goes. A directory that holds something would
// bring streams of another broker.
func (d *demo) directory(data string) (string, error) {
	if data == "" {
		return os.MkdirTemp("", "leat-demo-")
	}
	entries, err := os.ReadDir(data)
	if err != nil && !errors.Is(err, os.ErrNotExist) {
		return "", err
	}
	if len(entries) > 0 {
		return "", fmt.Errorf("data directory %s is not empty; name another for the demo", data)
	}
	return data, nil
}

// startBroker starts a Kafka-compatible broker in this process.
func startBroker() (*kfake.Cluster, error) {
	broker, err := kfake.NewCluster(kfake.NumBrokers(1), kfake.BrokerConfigs(map[string]string{"log.cleaner.backoff.ms": "5000"}))
	if err != nil {
		return nil, fmt.Errorf("start broker: %w", err)
	}
	return broker, nil
}

func (d *demo) start(ctx context.Context, dir string, broker *kfake.Cluster) error {
	client, err := kgo.NewClient(kgo.SeedBrokers(broker.ListenAddrs()...), kgo.DefaultProduceTopic(demoTopic), kgo.ProducerLinger(5*time.Millisecond))
	if err != nil {
		return fmt.Errorf("connect to broker: %w", err)
	}
	d.producer = &tripProducer{client: client, rate: d.rate}
	retention := brokerBytes
	if _, err := kadm.NewClient(client).CreateTopic(ctx, demoPartitions, 1, map[string]*string{"retention.bytes": &retention}, demoTopic); err != nil {
		return fmt.Errorf("create topic: %w", err)
	}
	logger, err := newLogger(d.stderr, "error", "text")
	if err != nil {
		return err
	}
	if d.db, err = engine.Open(ctx, engine.Config{Dir: dir, Logger: logger}); err != nil {
		return err
	}
	tls, err := serverTLS(d.db.Dir(), "", "")
	if err != nil {
		return err
	}
	if d.server, err = mysqlserver.Start(d.db, mysqlserver.Config{Addr: "127.0.0.1:0", TLS: tls, Logger: logger}); err != nil {
		return err
	}
	flags := clientFlags{addr: d.server.Addr(), user: "root"}
	cfg, err := flags.config()
	if err != nil {
		return err
	}
	cfg.Passwd = ""
	if d.client, err = connectClient(ctx, cfg); err != nil {
		return fmt.Errorf("connect to %s: %w", d.server.Addr(), err)
	}
	d.client.out, d.client.err, d.client.newPrinter, d.client.timing = d.out, newStatusWriter(d.stderr), printers["table"], true
	return nil
}

// stop ends what start has begun.
func (d *demo) stop() error {
	var errs []error
	if d.client != nil {
		d.client.close()
	}
	if d.server != nil {
		errs = append(errs, d.server.Close())
	}
	if d.db != nil {
		errs = append(errs, d.db.Close())
	}
	if d.producer != nil {
		d.producer.client.Close()
	}
	return errors.Join(errs...)
}

func (d *demo) create(ctx context.Context, broker string) error {
	if err := d.show(ctx, fmt.Sprintf(`CREATE SOURCE trips (
  %s
) WITH (connector = 'kafka', brokers = '%s', topic = '%s', format = 'json', start = 'earliest')`, tripsDDL, broker, demoTopic)); err != nil {
		return err
	}
	d.begun = time.Now()
	return d.show(ctx, `CREATE STREAM `+demoStream+` PARTITIONED BY (borough) WITH (commit_interval = '1s')
AS SELECT trip_id, vehicle_id, borough, pickup_at, distance, fare, tip, fare * 1.08875 + tip AS gross,
          rider->>'$.device.os' AS os
   FROM trips WHERE distance > 0.5`)
}

// show executes a statement over the wire, as a client would.
func (d *demo) show(ctx context.Context, text string) error {
	d.printf("leat> %s;\n", strings.ReplaceAll(text, "\n", "\n      "))
	if err := d.client.execute(ctx, statement{text: text}); err != nil {
		return errors.New(describeError(err))
	}
	d.printf("\n")
	return nil
}

// watch shows how the stream gets on, for a time or, where that is 0, until ctx
// ends.
func (d *demo) watch(ctx context.Context, duration time.Duration, sent chan error) error {
	defer d.out.clear()
	tick := time.NewTicker(progressInterval)
	defer tick.Stop()
	var end <-chan time.Time
	if duration > 0 {
		timer := time.NewTimer(duration)
		defer timer.Stop()
		end = timer.C
	}
	for {
		select {
		case <-tick.C:
			st, err := d.db.Status(demoStream)
			if err != nil {
				return err
			}
			if st.State != dataflow.Running && st.State != dataflow.Starting {
				return fmt.Errorf("stream %s is %s: %w", demoStream, st.State, st.Reason)
			}
			d.out.show(demoLine(st, time.Since(d.begun)))
		case err := <-sent:
			sent <- err // for finish
			if ctx.Err() == nil {
				return fmt.Errorf("the producer ended: %w", err)
			}
			return nil
		case <-ctx.Done():
			if duration == 0 {
				return nil
			}
			return ctx.Err()
		case <-end:
			return nil
		}
	}
}

// demoLine is how the stream gets on. Rows count as landed when they are
// committed.
func demoLine(st engine.StreamStatus, elapsed time.Duration) string {
	committed := st.Committed.Counters
	line := fmt.Sprintf("%4.0f s  %9s landed  %7s rows/s  %4s dead  lag %-6s", elapsed.Seconds(),
		thousands(committed.RowsLanded), thousands(int64(st.RowsPerSecond)), thousands(committed.RowsDead), thousands(max(0, st.Progress.Lag)))
	if at := st.Committed.CommittedAt; !at.IsZero() {
		line += fmt.Sprintf("  committed %.1f s ago", time.Since(at).Seconds())
	}
	return line
}

// account compares what was sent with what became of it.
func (d *demo) account() error {
	st, err := d.db.Status(demoStream)
	if err != nil {
		return err
	}
	n, sent := st.Committed.Counters, d.producer.sent.Load()
	d.printf("%s trips sent = %s landed + %s filtered by WHERE + %s in leat.dead_letters, in %s commits.\n",
		thousands(sent), thousands(n.RowsLanded), thousands(n.RowsFiltered), thousands(n.RowsDead), thousands(st.Commits))
	if got := n.RowsLanded + n.RowsFiltered + n.RowsDead; got != sent {
		return fmt.Errorf("%d trips were sent and %d are accounted for", sent, got)
	}
	return nil
}
