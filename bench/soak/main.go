// Command soak lets leat land records from Apache Kafka in an Iceberg table and
// in Hive folders on an S3 server, watches its memory, goroutines, files and
// uploads, draws them, and exits with 1 when one of them grows, or when a row is
// lost or repeated: see internal/chaos.
package main

import (
	"context"
	"flag"
	"fmt"
	"os"
	"os/signal"
	"path/filepath"
	"syscall"
	"time"

	"github.com/leatdb/leat/bench/chart"
	"github.com/leatdb/leat/internal/chaos"
	"github.com/leatdb/leat/internal/services"
)

func main() {
	cfg := chaos.SoakConfig{Config: chaos.Config{Partitions: 4, Producers: 4}}
	var out string
	flag.StringVar(&cfg.Binary, "leat", "", "`path` of the leat to run (default $LEAT_BIN, or one built from the checkout)")
	flag.DurationVar(&cfg.Duration, "duration", 30*time.Minute, "`how long` records come in")
	flag.DurationVar(&cfg.Interval, "interval", 5*time.Second, "`how often` leat is looked at")
	flag.IntVar(&cfg.Rate, "rate", 500, "about how many records a second there are")
	flag.IntVar(&cfg.Pad, "pad", 200, "how many `bytes` to make records longer by")
	flag.StringVar(&out, "out", ".", "`folder` for soak-memory.svg and soak-counts.svg")
	flag.Parse()
	if flag.NArg() > 0 || cfg.Rate < 50 || cfg.Interval <= 0 || cfg.Duration < cfg.Interval {
		flag.Usage()
		os.Exit(2)
	}
	cfg.Progress = func(format string, args ...any) { fmt.Printf(format+"\n", args...) }
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	ok := services.Run(ctx, "soak", os.Stderr, func(t services.TB) {
		if cfg.Binary == "" {
			cfg.Binary = services.LeatBinary(t)
		}
		soak := chaos.RunSoak(t, cfg)
		if err := soak.Print(os.Stdout); err != nil {
			t.Fatal(err)
		}
		if err := draw(out, cfg, soak); err != nil {
			t.Fatal(err)
		}
		if err := soak.Err(); err != nil {
			t.Fatalf("FAILED: %v", err)
		}
	})
	stop()
	if !ok {
		os.Exit(1)
	}
}

// draw writes a figure of the memory and one of everything else.
func draw(dir string, cfg chaos.SoakConfig, s chaos.Soak) error {
	subtitle := fmt.Sprintf("%d records a second from Kafka to an Iceberg table and Hive folders on S3, %d commits in %v", cfg.Rate, s.Commits, cfg.Duration)
	memory := chart.Lines{Title: "Memory under steady load", Subtitle: subtitle, X: "minutes", Y: "MiB"}
	counts := chart.Lines{Title: "Goroutines, files, partitions and uploads under steady load", Subtitle: subtitle, X: "minutes", Y: "number"}
	for _, m := range s.Measures {
		series := chart.Series{Name: m.Name}
		for i, v := range m.Values {
			series.Points = append(series.Points, chart.Point{X: s.Times[i].Minutes(), Y: v})
		}
		if m.Unit > 1 {
			memory.Series = append(memory.Series, series)
		} else {
			counts.Series = append(counts.Series, series)
		}
	}
	for name, figure := range map[string]chart.Lines{"soak-memory.svg": memory, "soak-counts.svg": counts} {
		f, err := os.Create(filepath.Join(dir, name))
		if err != nil {
			return err
		}
		if _, err := figure.WriteTo(f); err != nil {
			_ = f.Close() // the first error says it
			return err
		}
		if err := f.Close(); err != nil {
			return err
		}
	}
	return nil
}
