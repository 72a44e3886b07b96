// Command chaos kills leat, and sometimes the S3 server and the broker, at
// random moments while records come in, and then counts: see internal/chaos.
// It prints the tally and exits with 1 when a row or a dead letter is lost,
// repeated or out of order.
package main

import (
	"context"
	"flag"
	"fmt"
	"os"
	"os/signal"
	"syscall"
	"time"

	"github.com/leatdb/leat/internal/chaos"
	"github.com/leatdb/leat/internal/services"
)

func main() {
	var cfg chaos.Config
	flag.StringVar(&cfg.Binary, "leat", "", "`path` of the leat to run (default $LEAT_BIN, or one built from the checkout)")
	flag.StringVar(&cfg.TableFormat, "table-format", "iceberg", "`format` of the table: iceberg or hive")
	flag.IntVar(&cfg.Kills, "kills", 100, "how often leat is killed")
	flag.IntVar(&cfg.S3Percent, "s3", 10, "how many `percent` of leat's lives see the S3 server die, too")
	flag.IntVar(&cfg.KafkaPercent, "kafka", 5, "how many `percent` of leat's lives see the broker die, too")
	flag.IntVar(&cfg.Partitions, "partitions", 4, "partitions of the topic; one more is added halfway")
	flag.IntVar(&cfg.Producers, "producers", 4, "how many producers there are, beside one that uses transactions")
	flag.IntVar(&cfg.Rate, "rate", 5000, "about how many records a second they produce")
	flag.IntVar(&cfg.Pad, "pad", 0, "how many `bytes` to make records longer by")
	flag.Uint64Var(&cfg.Seed, "seed", uint64(time.Now().UnixNano()), "`seed` of when what is killed")
	flag.Parse()
	if flag.NArg() > 0 || cfg.TableFormat != "iceberg" && cfg.TableFormat != "hive" || cfg.Partitions < 1 || cfg.Producers < 1 || cfg.Rate < 1 {
		flag.Usage()
		os.Exit(2)
	}
	cfg.Progress = func(format string, args ...any) {
		fmt.Printf("%s  "+format+"\n", append([]any{time.Now().Format(time.TimeOnly)}, args...)...)
	}
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	ok := services.Run(ctx, "chaos", os.Stderr, func(t services.TB) {
		if cfg.Binary == "" {
			cfg.Binary = services.LeatBinary(t)
		}
		fmt.Printf("table format %s, seed %d\n", cfg.TableFormat, cfg.Seed)
		tally := chaos.Run(t, cfg)
		if err := tally.Print(os.Stdout); err != nil {
			t.Fatal(err)
		}
		if err := tally.Err(); err != nil {
			t.Fatalf("FAILED: %v", err)
		}
	})
	stop()
	if !ok {
		os.Exit(1)
	}
}
