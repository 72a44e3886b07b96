//go:build services

package chaos_test

import (
	"testing"

	"github.com/leatdb/leat/internal/chaos"
	"github.com/leatdb/leat/internal/services"
)

// TestChaos is make chaos in short.
func TestChaos(t *testing.T) {
	binary := services.LeatBinary(t)
	for _, c := range []struct {
		format string
		kills  int
	}{{"iceberg", 10}, {"hive", 6}} {
		t.Run(c.format, func(t *testing.T) {
			tally := chaos.Run(t, chaos.Config{
				Binary: binary, TableFormat: c.format, Kills: c.kills, S3Percent: 20, KafkaPercent: 10,
				Partitions: 3, Producers: 2, Rate: 2000, Seed: 1, Progress: t.Logf,
			})
			if err := tally.Print(t.Output()); err != nil {
				t.Fatal(err)
			}
			if err := tally.Err(); err != nil {
				t.Error(err)
			}
		})
	}
}
