package main

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"time"

	"github.com/twmb/franz-go/pkg/kadm"

	"github.com/leatdb/leat/bench/chart"
	"github.com/leatdb/leat/bench/measure"
	"github.com/leatdb/leat/bench/peer"
	"github.com/leatdb/leat/bench/report"
	"github.com/leatdb/leat/internal/services"
)

// program does the job once; what it needs stands already.
type program struct {
	name string
	note string
	run  func(ctx context.Context, dir string) (outcome, error)
	// unfiltered tells that it lands all events.
	unfiltered bool
}

// streamingTable is Leat beside the others. Each works alone, for servers take
// memory and cores while they have nothing to do.
func (e *environment) streamingTable(ctx context.Context, c config) (*report.Table, error) {
	r := c.table(ctx, "streaming", "Kafka to Parquet, beside other streaming programs", []report.Column{{Name: "program"}, {Name: "cores"}, {Name: "seconds", Digits: 1},
		{Name: "MB/s", Digits: 1}, {Name: "k rows/s"}, {Name: "peak MB"}, {Name: "out MB", Digits: 1}, {Name: "files"}, {Name: "runs"}, {Name: "leat is faster by", Digits: 1}},
		"The same events from the same topic into zstd Parquet, partitioned. Leat's time is that of its whole process; servers of the others were started before,"+
			" theirs is from the start of the job (Flink: as it says itself) to the last file written."+
			" A program is run until it has used its budget of time; the median counts.")
	ours := program{name: "leat", note: "Iceberg, commits every 10 s, exactly once", run: func(ctx context.Context, _ string) (outcome, error) {
		return e.leat(ctx, c, true, false, false)
	}}
	sums := map[bool]string{}
	median, runs := map[string]outcome{}, map[string]int{}
	measured := func(p program) error {
		var list []outcome
		var used time.Duration
		for round := range c.runs {
			if round > 0 && used >= c.budget {
				break
			}
			begun := time.Now()
			o, err := e.once(ctx, c, p)
			if err != nil {
				return err
			}
			used += time.Since(begun)
			if sums[p.unfiltered] == "" {
				sums[p.unfiltered] = o.Sums
			}
			if o.Sums != sums[p.unfiltered] {
				return fmt.Errorf("the result differs: it has %s, Leat's %s", o.Sums, sums[p.unfiltered])
			}
			fmt.Printf("%s, round %d: %.1f s, %.0f MB/s\n", p.name, round+1, o.Took.Seconds(), float64(c.size)/1e6/o.Took.Seconds())
			list = append(list, o)
		}
		median[p.name], runs[p.name] = middle(list), len(list)
		r.Notes = append(r.Notes, p.name+": "+p.note+".")
		return nil
	}
	if err := measured(ours); err != nil {
		return nil, err
	}
	peers := map[string]func(t services.TB) (program, string){"bento": e.bentoProgram(c), "flink": e.flinkProgram(c), "kafka-connect": e.connectProgram(c)}
	names := []string{"leat"}
	for _, name := range c.peers {
		start, ok := peers[name]
		if !ok {
			return nil, fmt.Errorf("there is no peer %q, only bento, flink and kafka-connect", name)
		}
		if name == "kafka-connect" && sums[true] == "" {
			o, err := e.leat(ctx, c, true, false, true)
			if err != nil {
				return nil, err
			}
			sums[true] = o.Sums
		}
		var problems strings.Builder
		ok = services.Run(ctx, name, &problems, func(t services.TB) {
			p, version := start(t)
			if err := measured(p); err != nil {
				t.Fatal(err)
			}
			r.Versions = append(r.Versions, report.Version{Name: name, Version: version})
		})
		if ctx.Err() != nil {
			return nil, ctx.Err()
		}
		if !ok {
			fmt.Print(name, " is out: ", problems.String())
			r.Leave(name, fmt.Sprintf("%.400s", strings.Join(strings.Fields(problems.String()), " ")))
			continue
		}
		names = append(names, name)
	}
	figure := chart.Bars{Title: "Kafka to partitioned Parquet", Subtitle: fmt.Sprintf("MB of JSON a second on %d core(s), more is better; the broker has another", c.cores), Groups: []chart.Group{{}}}
	best := median["leat"].Took
	for _, name := range names {
		m := median[name]
		if err := r.Add(name, int64(c.cores), m.Took.Seconds(), float64(c.size)/1e6/m.Took.Seconds(), float64(c.rows)/1e3/m.Took.Seconds(), float64(m.Peak)/1e6,
			float64(m.Bytes)/1e6, int64(m.Files), int64(runs[name]), m.Took.Seconds()/best.Seconds()); err != nil {
			return nil, err
		}
		figure.Groups[0].Bars = append(figure.Groups[0].Bars, chart.Bar{Name: name, Value: float64(c.size) / 1e6 / m.Took.Seconds(), Ours: name == "leat"})
	}
	if c.results == "" {
		return r, nil
	}
	return r, r.Draw(c.results, "", figure)
}

func (e *environment) once(ctx context.Context, c config, p program) (o outcome, err error) {
	dir, err := os.MkdirTemp(c.dir, "run-")
	if err != nil {
		return o, err
	}
	defer func() { err = errors.Join(err, os.RemoveAll(dir)) }()
	ctx, cancel := context.WithTimeout(ctx, 5*time.Minute)
	defer cancel()
	return p.run(ctx, dir)
}

// bentoProgram is Bento, which ends when nothing has come for a while, and
// counts until its last file was written.
func (e *environment) bentoProgram(c config) func(t services.TB) (program, string) {
	return func(t services.TB) (program, string) {
		return program{name: "bento", note: "batches of 20,000 rows, a file for each partition of one; times stay text, money is a double; at least once",
			run: func(ctx context.Context, dir string) (o outcome, err error) {
				j := peer.Job{Out: filepath.Join(dir, "out"), Cores: c.cores, Layout: c.layout}
				cmd, err := peer.BentoCommand(ctx, peer.BentoConfig{Job: j, Brokers: e.kafka.Plaintext, Topic: topic, Group: filepath.Base(dir)})
				if err != nil {
					return o, err
				}
				begun := time.Now()
				if o.Usage, err = measure.Run(cmd, c.cores); err != nil {
					return o, err
				}
				o.Output, err = measure.Look(ctx, j.Out, measure.TripSums)
				o.Took = o.Last.Sub(begun)
				return o, err
			}}, services.BentoVersion()
	}
}

// peaks adds up what processes held at most.
func peaks(list ...*services.Process) (sum int64, err error) {
	for _, p := range list {
		n, err := measure.Peak(p.PID())
		if err != nil {
			return 0, err
		}
		sum += n
	}
	return sum, nil
}

// flinkProgram is a session cluster; all runs are jobs of the same one, so that
// only the first meets a cold JVM.
func (e *environment) flinkProgram(c config) func(t services.TB) (program, string) {
	return func(t services.TB) (program, string) {
		version, err := services.FlinkVersion()
		if err != nil {
			t.Fatal(err)
		}
		f := services.StartFlink(t, c.cores)
		for _, p := range []*services.Process{f.JobManager, f.TaskManager, f.Gateway} {
			if err := measure.PinFirst(p.PID(), c.cores); err != nil {
				t.Fatal(err)
			}
		}
		n := 0
		return program{name: "flink", note: "SQL, file system connector, checkpoints every 10 s; times come out as INT96; memory is that of all three processes",
			run: func(ctx context.Context, dir string) (o outcome, err error) {
				n++
				config := peer.FlinkConfig{Brokers: e.kafka.Plaintext, Topic: topic, Out: filepath.Join(dir, "out"), Layout: c.layout, Run: n}
				if o.Took, err = peer.RunFlink(ctx, f, config); err != nil {
					return o, err
				}
				if o.Peak, err = peaks(f.JobManager, f.TaskManager, f.Gateway); err != nil {
					return o, err
				}
				o.Output, err = measure.Look(ctx, config.Out, measure.TripSums)
				return o, err
			}}, version
	}
}

// connectProgram is a worker of Kafka Connect with the Iceberg sink; each run is
// a connector and a table of its own.
func (e *environment) connectProgram(c config) func(t services.TB) (program, string) {
	return func(t services.TB) (program, string) {
		version, err := services.KafkaConnectVersion()
		if err != nil {
			t.Fatal(err)
		}
		k := services.StartKafkaConnect(t, e.kafka)
		if err := measure.PinFirst(k.PID(), c.cores); err != nil {
			t.Fatal(err)
		}
		n := 0
		return program{name: "kafka-connect", unfiltered: true,
			note: "Apache Iceberg's sink, two tasks, commits every 10 s; it cannot filter by value and lands all events; its time has the start of its tasks in it, and may be up to 10 s too long, since it writes at its commits",
			run: func(ctx context.Context, dir string) (o outcome, err error) {
				n++
				config := peer.ConnectConfig{Topic: topic, Control: fmt.Sprintf("control-%d", n), Table: fmt.Sprintf("trips_%d", n), Dir: dir, Tasks: 2, Layout: c.layout}
				e.kafka.CreateTopic(config.Control, 1, nil)
				config.CreateTable(t)
				settings, err := config.Settings()
				if err != nil {
					return o, err
				}
				name := fmt.Sprintf("iceberg-%d", n)
				begun := time.Now()
				if err := k.Create(ctx, name, settings); err != nil {
					return o, err
				}
				if err := e.awaitConnector(ctx, c, k, name); err != nil {
					return o, err
				}
				if o.Peak, err = peaks(k.Process); err != nil {
					return o, err
				}
				if err := k.Delete(ctx, name); err != nil {
					return o, err
				}
				if err := config.KeepCommitted(t); err != nil {
					return o, err
				}
				o.Output, err = measure.Look(ctx, config.Warehouse(), measure.TripSums)
				o.Took = o.Last.Sub(begun)
				return o, err
			}}, version
	}
}

// awaitConnector waits until a sink connector has committed all of the topic.
func (e *environment) awaitConnector(ctx context.Context, c config, k *services.KafkaConnect, name string) error {
	admin := kadm.NewClient(e.kafka.Client())
	for {
		select {
		case <-ctx.Done():
			return fmt.Errorf("wait for connector %s: %w", name, ctx.Err())
		case <-time.After(500 * time.Millisecond):
		}
		if err := k.Failure(ctx, name); err != nil && !strings.Contains(err.Error(), "404") {
			return err
		}
		offsets, err := admin.FetchOffsets(ctx, "connect-"+name)
		if err != nil {
			return fmt.Errorf("look how far connector %s is: %w", name, err)
		}
		done := int64(0)
		for _, o := range offsets.Sorted() {
			if o.Topic == topic {
				done += o.At
			}
		}
		if done >= c.rows {
			return nil
		}
	}
}
