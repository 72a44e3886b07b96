// Command replay sends taxi trips to Kafka at a set rate while leat serve lands
// them, and measures how long it takes from an event's creation until a SELECT
// sees it. See bench/README.md.
//
//	go run ./bench/replay -leat bin/leat -rates 10000 -intervals 1s
package main

import (
	"context"
	"database/sql"
	"errors"
	"flag"
	"fmt"
	"os"
	"os/signal"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"sync/atomic"
	"syscall"
	"time"

	"github.com/twmb/franz-go/pkg/kgo"

	"github.com/leatdb/leat/bench/chart"
	"github.com/leatdb/leat/bench/measure"
	"github.com/leatdb/leat/bench/report"
	"github.com/leatdb/leat/bench/taxi"
	"github.com/leatdb/leat/internal/services"
)

type config struct {
	leat, results string
	rates         []int
	intervals     []time.Duration
	lasts         time.Duration
	command       string
}

func main() {
	measure.Child()
	var c config
	var rates, intervals string
	flag.StringVar(&c.leat, "leat", "bin/leat", "the leat `binary`")
	flag.StringVar(&c.results, "results", "bench/results", "`directory` for the table; empty for none")
	flag.StringVar(&rates, "rates", "10000,50000", "`events` a second")
	flag.StringVar(&intervals, "intervals", "250ms,1s", "commit `intervals`")
	flag.DurationVar(&c.lasts, "lasts", 20*time.Second, "how `long` each is measured")
	flag.Parse()
	if err := c.parse(rates, intervals); err != nil {
		fmt.Fprintln(os.Stderr, "replay:", err)
		os.Exit(2)
	}
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	ok := services.Run(ctx, "replay", os.Stderr, func(t services.TB) {
		if err := c.measure(t); err != nil {
			t.Fatal(err)
		}
	})
	stop()
	if !ok {
		os.Exit(1)
	}
}

func (c *config) parse(rates, intervals string) (err error) {
	for s := range strings.SplitSeq(rates, ",") {
		n, err := strconv.Atoi(s)
		if err != nil || n < 1 {
			return fmt.Errorf("-rates %q: %q is no rate", rates, s)
		}
		c.rates = append(c.rates, n)
	}
	for s := range strings.SplitSeq(intervals, ",") {
		d, err := time.ParseDuration(s)
		if err != nil || d <= 0 {
			return fmt.Errorf("-intervals %q: %q is no interval", intervals, s)
		}
		c.intervals = append(c.intervals, d)
	}
	if flag.NArg() > 0 || c.lasts <= 0 {
		return errors.New("-lasts must be above 0, and there are no other arguments")
	}
	c.command = "go run ./bench/replay"
	flag.Visit(func(f *flag.Flag) {
		if f.Name != "leat" && f.Name != "results" {
			c.command += fmt.Sprintf(" -%s %s", f.Name, f.Value)
		}
	})
	c.leat, err = filepath.Abs(c.leat)
	return err
}

func (c *config) measure(t services.TB) error {
	ctx := t.Context()
	r := &report.Table{
		Name: "replay", Title: "From an event's creation to SELECT",
		Text: []string{
			"Taxi trips are made at a set rate and sent to Apache Kafka; `leat serve` lands them in an Iceberg table of 12 partitions; a client asks `SELECT MAX(trip_id)` over MySQL's protocol again and again." +
				" An event's latency is from its creation to the end of the first query that sees it. Producer, broker, Leat and client share the machine.",
			fmt.Sprintf("%v each, after a second that does not count.", c.lasts),
		},
		Command: c.command, Taken: time.Now(), Machine: report.ThisMachine(),
		Versions: []report.Version{report.LeatVersion(ctx, c.leat), {Name: "Apache Kafka", Version: "4.3.1"}},
		Columns: []report.Column{{Name: "events/s asked"}, {Name: "events/s sent"}, {Name: "commit interval"}, {Name: "p50 ms"}, {Name: "p99 ms"}, {Name: "max ms"},
			{Name: "events"}, {Name: "commits"}, {Name: "queries"}},
	}
	broker := services.StartKafka(t)
	figure := chart.Bars{Title: "From an event's creation to SELECT", Subtitle: "milliseconds, less is better; half of the events are seen sooner than p50, one in a hundred later than p99"}
	n := 0
	for _, interval := range c.intervals {
		for _, rate := range c.rates {
			n++
			var o outcome
			err := errors.New("the run ended")
			if !services.Run(ctx, "replay", os.Stderr, func(t services.TB) { o, err = c.replay(t, broker, fmt.Sprintf("trips-%d", n), rate, interval) }) || err != nil {
				return fmt.Errorf("%d events a second, commits every %v: %w", rate, interval, err)
			}
			slices.Sort(o.latencies)
			at := func(q float64) float64 {
				return float64(o.latencies[min(int(q*float64(len(o.latencies))), len(o.latencies)-1)]) / float64(time.Millisecond)
			}
			fmt.Printf("%d/s, commits every %v: p50 %.0f ms, p99 %.0f ms, max %.0f ms of %d events\n", rate, interval, at(.5), at(.99), at(1), len(o.latencies))
			if err := r.Add(int64(rate), o.sent, interval.String(), at(.5), at(.99), at(1), int64(len(o.latencies)), o.commits, o.queries); err != nil {
				return err
			}
			figure.Groups = append(figure.Groups, chart.Group{Name: fmt.Sprintf("%s events a second, commits every %v", chart.Number(float64(rate)), interval),
				Bars: []chart.Bar{{Name: "p50", Value: at(.5), Ours: true}, {Name: "p99", Value: at(.99), Ours: true}, {Name: "max", Value: at(1), Ours: true}}})
		}
	}
	fmt.Println()
	if c.results != "" {
		if err := r.Draw(c.results, "", figure); err != nil {
			return err
		}
		if err := r.Write(c.results); err != nil {
			return err
		}
	}
	return r.Markdown(os.Stdout)
}

// outcome is one run.
type outcome struct {
	latencies        []time.Duration // of each event that counts
	sent             float64         // events a second
	commits, queries int64
}

// warmUp is what does not count at the beginning of a run.
const warmUp = time.Second

// firstID is the trip_id of the generator's first trip.
const firstID = 1_000_000_000

func (c *config) replay(t services.TB, broker *services.Kafka, topic string, rate int, interval time.Duration) (o outcome, err error) {
	ctx := t.Context()
	// One partition: what is committed of it is a prefix of what was sent, so
	// that the highest trip_id tells of all events.
	broker.CreateTopic(topic, 1, nil)
	l := services.StartLeat(t, c.leat, "--log-level", "warn")
	db := l.DB()
	for _, s := range []string{
		taxi.Source("connector = 'kafka'", "brokers = '"+broker.Plaintext+"'", "topic = '"+topic+"'", "start = 'earliest'", "fetch_max_wait = '20ms'"),
		fmt.Sprintf("CREATE STREAM trips_landed %s WITH (commit_interval = '%dms') AS %s", taxi.NewLayout(12).PartitionedBy(), interval.Milliseconds(), taxi.Select),
	} {
		if _, err := db.ExecContext(ctx, s); err != nil {
			return o, fmt.Errorf("%.60s …: %w", s, err)
		}
	}
	total := int(float64(rate) * (warmUp + c.lasts).Seconds())
	created := make([]atomic.Int64, total) // unix nanoseconds, 0 before
	p := &producer{client: broker.Client(kgo.DefaultProduceTopic(topic), kgo.ProducerLinger(2*time.Millisecond), kgo.MaxBufferedRecords(100_000),
		kgo.ProducerBatchCompression(kgo.NoCompression())), created: created, rate: rate}
	sent := make(chan error, 1)
	begun := time.Now()
	go func() { sent <- p.run(ctx) }()
	// Whatever happens, the producer has ended before this returns.
	seen, err := watch(ctx, db, p, &o)
	if err != nil {
		p.stop.Store(true)
	}
	if problem := <-sent; problem != nil || err != nil {
		return o, errors.Join(err, problem)
	}
	o.sent = float64(total) / p.took.Seconds()
	for i := range created {
		made := time.Unix(0, created[i].Load())
		if made.Sub(begun) >= warmUp && !seen[i].IsZero() {
			o.latencies = append(o.latencies, seen[i].Sub(made))
		}
	}
	if len(o.latencies) == 0 {
		return o, errors.New("no event was seen")
	}
	var rows int64
	if err := db.QueryRowContext(ctx, "SELECT COUNT(*) FROM trips_landed").Scan(&rows); err != nil {
		return o, err
	}
	if rows != p.kept.Load() {
		return o, fmt.Errorf("the table has %d rows of %d events with a fare", rows, p.kept.Load())
	}
	return o, db.QueryRowContext(ctx, "SELECT COUNT(*) FROM leat.commits").Scan(&o.commits)
}

// watch asks for the newest trip until the last one is there, and returns when
// each event was seen. Events that WHERE drops count as seen with those after
// them.
func watch(ctx context.Context, db *sql.DB, p *producer, o *outcome) ([]time.Time, error) {
	seen := make([]time.Time, len(p.created))
	next := 0
	patience := time.Now().Add(2*time.Minute + time.Duration(len(seen)/p.rate)*time.Second)
	for {
		var newest sql.NullInt64
		if err := db.QueryRowContext(ctx, fmt.Sprintf("SELECT MAX(trip_id) FROM trips_landed WHERE trip_id >= %d", firstID+next)).Scan(&newest); err != nil {
			return nil, err
		}
		o.queries++
		now := time.Now()
		for ; newest.Valid && int64(next) <= newest.Int64-firstID; next++ {
			seen[next] = now
		}
		if last := p.last.Load(); last > 0 && int64(next) > last-firstID {
			return seen, nil
		}
		if now.After(patience) {
			return nil, fmt.Errorf("after %v the newest trip that is seen is the %d. of %d", time.Since(patience), next, len(seen))
		}
	}
}

// producer sends events at a rate.
type producer struct {
	client  *kgo.Client
	created []atomic.Int64
	rate    int
	stop    atomic.Bool
	kept    atomic.Int64 // events that WHERE keeps
	last    atomic.Int64 // trip_id of the last of these, once all are sent
	took    time.Duration
}

func (p *producer) run(ctx context.Context) error {
	g := taxi.NewGenerator(1, taxi.Dirt{})
	begun := time.Now()
	var last int64
	failed := make(chan error, 1)
	for i := range p.created {
		// An event is made when its time has come; who is late hurries.
		due := begun.Add(time.Duration(i) * time.Second / time.Duration(p.rate))
		if wait := time.Until(due); wait > time.Millisecond {
			select {
			case <-ctx.Done():
				return ctx.Err()
			case <-time.After(wait):
			}
		}
		if p.stop.Load() {
			return nil
		}
		value := g.Append(nil, int64(i))
		if !strings.Contains(string(value), `"fare":-`) {
			last = firstID + int64(i)
			p.kept.Add(1)
		}
		p.created[i].Store(time.Now().UnixNano())
		p.client.Produce(ctx, &kgo.Record{Value: value}, func(_ *kgo.Record, err error) {
			if err != nil {
				select {
				case failed <- err:
				default:
				}
			}
		})
	}
	p.took = time.Since(begun)
	err := p.client.Flush(ctx)
	select {
	case problem := <-failed:
		err = errors.Join(err, problem)
	default:
	}
	if err != nil {
		return fmt.Errorf("send events: %w", err)
	}
	p.last.Store(last)
	return nil
}
