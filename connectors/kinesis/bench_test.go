package kinesis_test

import (
	"bufio"
	"context"
	"fmt"
	"io"
	"os"
	"os/exec"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"syscall"
	"testing"
	"time"

	"github.com/leatdb/leat/connectors"
	_ "github.com/leatdb/leat/connectors/format/json"
	"github.com/leatdb/leat/connectors/kinesis"
	"github.com/leatdb/leat/connectors/kinesis/kinesistest"
	"github.com/leatdb/leat/engine"
	"github.com/leatdb/leat/sql/types"
)

// BenchmarkSource reads records of 400 bytes from the fake, which runs in the
// same process: chunks only, then decoded to columns.
func BenchmarkSource(b *testing.B) {
	const records = 100_000
	s := filled(b, records)
	for _, lanes := range []int{1, 2} {
		for _, decode := range []bool{false, true} {
			b.Run(fmt.Sprintf("lanes=%d/decode=%t", lanes, decode), func(b *testing.B) {
				b.SetBytes(400 * records)
				b.ReportAllocs()
				for b.Loop() {
					if n := readAll(b, s, lanes, decode, records); n != records {
						b.Fatalf("%d records, want %d", n, records)
					}
				}
				b.ReportMetric(float64(records)*float64(b.N)/b.Elapsed().Seconds(), "records/s")
			})
		}
	}
}

// filled is a fake with records of 400 bytes in eight shards.
func filled(b testing.TB, records int) *kinesistest.Server {
	s := server(b)
	s.CreateStream("trips", 8)
	for i := range records {
		value := fmt.Sprintf(`{"id":%d,"fare":%d.50,"at":"2026-07-01T10:00:00Z","rider":{"os":"ios","version":"17.%d"},"note":"`, i, i%100, i%10)
		s.Put("trips", strconv.Itoa(i), []byte(value+strings.Repeat("x", 400-2-len(value))+`"}`))
	}
	return s
}

// BenchmarkEngine lands the same records in Parquet through SQL, with one lane:
// polled, and pushed to a consumer. The fake runs in a process of its own, so that
// records/cpu-s is what Leat alone costs, in seconds of all its threads: HTTP, the
// rows, the files and the commit.
func BenchmarkEngine(b *testing.B) {
	const records = 400_000
	url := fakeProcess(b, records)
	for _, way := range []struct{ name, options string }{{"Polled", ""}, {"Pushed", ", consumer = 'bench'"}} {
		b.Run(way.name, func(b *testing.B) {
			b.SetBytes(400 * records)
			var used time.Duration
			for b.Loop() {
				b.StopTimer()
				db, err := engine.Open(b.Context(), engine.Config{Dir: b.TempDir(), Threads: 1})
				if err != nil {
					b.Fatal(err)
				}
				statement(b, db, fmt.Sprintf(`CREATE SOURCE trips (id BIGINT, fare DECIMAL(10,2), at TIMESTAMP(3), rider JSON, note TEXT) WITH (connector = 'kinesis', stream = 'trips',
					region = '%s', endpoint = '%s', access_key_id = 'AKID', secret_access_key = 'SECRET', shard_calls_per_second = 1000, shard_bytes_per_second = '100GB', poll_interval = '10ms'%s)`, kinesistest.Region, url, way.options))
				before := cpuTime(b)
				b.StartTimer()
				statement(b, db, "CREATE STREAM landed AS SELECT id, fare, at, rider->>'$.os' AS os, note FROM trips")
				statement(b, db, "FLUSH STREAM landed")
				b.StopTimer()
				used += cpuTime(b) - before
				if got := rows(b, db, "SELECT COUNT(*) FROM lake.landed"); len(got) != 1 || got[0] != strconv.Itoa(records) {
					b.Fatalf("landed %q", got)
				}
				if err := db.Close(); err != nil {
					b.Fatal(err)
				}
				b.StartTimer()
			}
			b.ReportMetric(float64(records)*float64(b.N)/b.Elapsed().Seconds(), "records/s")
			b.ReportMetric(float64(records)*float64(b.N)/used.Seconds(), "records/cpu-s")
		})
	}
}

// cpuTime is what this process has used.
func cpuTime(b *testing.B) time.Duration {
	var u syscall.Rusage
	if err := syscall.Getrusage(syscall.RUSAGE_SELF, &u); err != nil {
		b.Fatal(err)
	}
	return time.Duration(u.Utime.Nano() + u.Stime.Nano())
}

// servesFake names the environment variable that has a process of the tests serve
// a fake with so many records.
const servesFake = "LEAT_TEST_KINESIS_RECORDS"

// TestServeFake serves the benchmarks in a process of its own.
func TestServeFake(t *testing.T) {
	records, err := strconv.Atoi(os.Getenv(servesFake))
	if err != nil {
		return // an ordinary run
	}
	s := filled(t, records)
	if _, err := fmt.Fprintln(os.Stdout, "serving", s.URL()); err != nil {
		t.Fatal(err)
	}
	_, _ = io.Copy(io.Discard, os.Stdin) // until the other process is done
}

// fakeProcess starts a process with a filled fake and returns its URL.
func fakeProcess(b *testing.B, records int) string {
	b.Helper()
	cmd := exec.CommandContext(b.Context(), os.Args[0], "-test.run=^TestServeFake$", "-test.cpuprofile=", "-test.timeout=10m")
	cmd.Env = append(os.Environ(), servesFake+"="+strconv.Itoa(records))
	stdin, err := cmd.StdinPipe()
	if err != nil {
		b.Fatal(err)
	}
	stdout, err := cmd.StdoutPipe()
	if err != nil {
		b.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		b.Fatal(err)
	}
	b.Cleanup(func() {
		_ = stdin.Close()
		_ = cmd.Wait() // it has served, whatever it says now
	})
	lines := bufio.NewScanner(stdout)
	for lines.Scan() {
		if url, ok := strings.CutPrefix(lines.Text(), "serving "); ok {
			return url
		}
	}
	b.Fatal("the fake's process has ended")
	return ""
}

func readAll(b *testing.B, s *kinesistest.Server, lanes int, decode bool, want int64) int64 {
	src, err := kinesis.Connector.Open(b.Context(), connectors.SourceConfig{Name: "trips", Options: options(s.URL()), Lanes: lanes})
	if err != nil {
		b.Fatal(err)
	}
	splits, err := src.Splits(b.Context(), true, nil)
	if err != nil {
		b.Fatal(err)
	}
	positions := connectors.Positions{}
	for _, split := range splits {
		positions[split.ID] = split.Start
	}
	if err := src.Assign(b.Context(), positions); err != nil {
		b.Fatal(err)
	}
	ctx, cancel := context.WithCancel(b.Context())
	defer cancel()
	var total atomic.Int64
	var wg sync.WaitGroup
	for lane := range lanes {
		wg.Go(func() {
			decoder := benchmarkDecoder(b)
			defer decoder.Close()
			var c connectors.Chunk
			for src.Poll(ctx, lane, &c) == nil {
				n := int64(len(c.Records))
				if decode {
					n = 0
					decoder.Reset(&c)
					for {
						d, err := decoder.Next(8192)
						if err != nil || d == nil {
							break
						}
						n += d.Batch.NumRows()
					}
				}
				if total.Add(n) >= want {
					cancel()
				}
			}
		})
	}
	wg.Wait()
	if err := src.Close(); err != nil {
		b.Fatal(err)
	}
	return total.Load()
}

func benchmarkDecoder(b *testing.B) connectors.Decoder {
	format, err := connectors.LookupFormat("json")
	if err != nil {
		b.Error(err)
		return nil
	}
	schema := types.Schema{
		{Name: "id", Type: types.TypeInt64}, {Name: "fare", Type: types.NewDecimal(10, 2)},
		{Name: "at", Type: types.Type{Kind: types.Timestamp, Fsp: 3}}, {Name: "note", Type: types.TypeText},
	}
	cfg := connectors.DecoderConfig{Schema: schema, Framing: connectors.FramingDocument}
	for _, column := range schema {
		cfg.Fields = append(cfg.Fields, connectors.Field{Column: column, Path: []string{column.Name}})
	}
	d, err := format.NewDecoder(cfg)
	if err != nil {
		b.Error(err)
	}
	return d
}
