// Command streaming measures the way from Apache Kafka to Parquet: Leat's own
// against that from a file, locally and on S3 (table kafka), and Leat beside
// other streaming programs (table streaming). The broker has a core of its own
// where the machine has one to spare. See bench/README.md.
//
//	go run ./bench/streaming -leat bin/leat -table kafka
package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"os"
	"os/exec"
	"os/signal"
	"path/filepath"
	"runtime"
	"strconv"
	"strings"
	"syscall"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/s3"
	"github.com/twmb/franz-go/pkg/kgo"

	"github.com/leatdb/leat/bench/measure"
	"github.com/leatdb/leat/bench/report"
	"github.com/leatdb/leat/bench/taxi"
	"github.com/leatdb/leat/internal/services"
)

type config struct {
	leat, dir, results string
	rows               int64
	size               int64 // bytes of the events
	runs, cores        int
	layout             taxi.Layout
	splits             int // partitions of the topic
	peers              []string
	budget             time.Duration
	command            string
}

func main() {
	measure.Child()
	var c config
	var tables, peers string
	var partitions int
	flag.StringVar(&tables, "table", "kafka", "`names` of what to measure: kafka, streaming")
	flag.StringVar(&c.leat, "leat", "bin/leat", "the leat `binary`")
	flag.StringVar(&c.dir, "dir", filepath.Join(os.TempDir(), "leat-bench"), "scratch `directory`; the files of events are kept there")
	flag.StringVar(&c.results, "results", "bench/results", "`directory` for the tables; empty for none")
	flag.Int64Var(&c.rows, "rows", 2_300_000, "`events` in the topic")
	flag.IntVar(&c.runs, "runs", 3, "`times` each is measured; the median counts")
	flag.IntVar(&c.cores, "cores", 1, "`number` of cores for each program; the broker has the last core of the machine")
	flag.IntVar(&partitions, "partitions", 12, "`number` of partitions of the result")
	flag.IntVar(&c.splits, "topic-partitions", 4, "`number` of partitions of the topic")
	flag.StringVar(&peers, "peers", "bento,flink,kafka-connect", "`names` of the peers of the table streaming")
	flag.DurationVar(&c.budget, "budget", time.Minute, "a program of the table streaming that has used so much `time` is not run again")
	flag.Parse()
	if flag.NArg() > 0 || c.rows < 1 || c.runs < 1 || c.cores < 1 || partitions < 1 || c.splits < 1 {
		flag.Usage()
		os.Exit(2)
	}
	c.layout = taxi.NewLayout(partitions)
	c.peers = strings.FieldsFunc(peers, func(r rune) bool { return r == ',' })
	if path, err := filepath.Abs(c.leat); err == nil {
		c.leat = path
	}
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	ok := services.Run(ctx, "bench", os.Stderr, func(t services.TB) {
		e := prepare(t, &c)
		for name := range strings.SplitSeq(tables, ",") {
			c.command = again(name)
			begun := time.Now()
			var r *report.Table
			var err error
			switch name {
			case "kafka":
				r, err = e.kafkaTable(t.Context(), c)
			case "streaming":
				r, err = e.streamingTable(t.Context(), c)
			default:
				t.Fatalf("there is no table %q, only kafka and streaming", name)
			}
			if err == nil {
				fmt.Println()
				err = r.Markdown(os.Stdout)
			}
			if err == nil && c.results != "" {
				err = r.Write(c.results)
			}
			if err != nil {
				t.Fatalf("measure %s: %v", name, err)
			}
			fmt.Printf("%s took %v\n", name, time.Since(begun).Round(time.Second))
		}
	})
	stop()
	if !ok {
		os.Exit(1)
	}
}

// again is the command that measures a table as this run does.
func again(table string) string {
	s := "go run ./bench/streaming -table " + table
	flag.Visit(func(f *flag.Flag) {
		switch f.Name {
		case "table", "leat", "dir", "results":
		default:
			s += fmt.Sprintf(" -%s %s", f.Name, f.Value)
		}
	})
	return s
}

// environment is what stands while tables are measured: a file of events, and
// a broker with the same events in a topic.
type environment struct {
	t     services.TB
	file  string
	kafka *services.Kafka
	store *services.S3 // nil until it is needed
}

const (
	topic  = "trips"
	bucket = "bench"
)

func prepare(t services.TB, c *config) *environment {
	e := &environment{t: t, file: filepath.Join(c.dir, fmt.Sprintf("trips-%d-0.ndjson", c.rows))}
	g := taxi.NewGenerator(1, taxi.Dirt{})
	var err error
	if c.size, err = taxi.WriteFile(e.file, c.rows, g); err != nil {
		t.Fatal(err)
	}
	e.kafka = services.StartKafka(t)
	e.kafka.CreateTopic(topic, int32(c.splits), nil)
	client := e.kafka.Client(kgo.DefaultProduceTopic(topic), kgo.ProducerBatchMaxBytes(900_000), kgo.MaxBufferedRecords(200_000),
		kgo.ProducerLinger(20*time.Millisecond), kgo.RecordPartitioner(kgo.RoundRobinPartitioner()), kgo.ProducerBatchCompression(kgo.NoCompression()))
	begun := time.Now()
	failed := make(chan error, 1)
	for n := range c.rows {
		client.Produce(t.Context(), &kgo.Record{Value: g.Append(nil, n)}, func(_ *kgo.Record, err error) {
			if err != nil {
				select {
				case failed <- err:
				default:
				}
			}
		})
	}
	err = client.Flush(t.Context())
	select {
	case problem := <-failed:
		err = errors.Join(err, problem)
	default:
	}
	if err != nil {
		t.Fatalf("fill the topic: %v", err)
	}
	fmt.Printf("%d events are in the topic after %v\n", c.rows, time.Since(begun).Round(time.Second))
	if c.cores < runtime.NumCPU() {
		if err := measure.Pin(e.kafka.PID()); err != nil {
			t.Fatal(err)
		}
	}
	return e
}

func (c config) table(ctx context.Context, name, title string, columns []report.Column, text ...string) *report.Table {
	return &report.Table{
		Name: name, Title: title, Text: append(text, fmt.Sprintf("%d events of %.0f bytes, %.0f MB, in a topic of %d partitions without compression; the result has %d partitions.",
			c.rows, float64(c.size)/float64(c.rows), float64(c.size)/1e6, c.splits, c.layout.Partitions)),
		Command: c.command, Taken: time.Now(), Machine: report.ThisMachine(),
		Versions: []report.Version{report.LeatVersion(ctx, c.leat), {Name: "Apache Kafka", Version: "4.3.1"}}, Columns: columns,
	}
}

// outcome is one run.
type outcome struct {
	measure.Usage
	measure.Output
}

func middle(list []outcome) outcome {
	return measure.Median(list, func(o outcome) time.Duration { return o.Took })
}

// leat runs the job as leat run does, from the start of the process to its end.
func (e *environment) leat(ctx context.Context, c config, fromKafka, toS3, unfiltered bool) (o outcome, err error) {
	dir, err := os.MkdirTemp(c.dir, "run-")
	if err != nil {
		return o, err
	}
	defer func() { err = errors.Join(err, os.RemoveAll(dir)) }()
	text := taxi.Source("connector = 'files'", "path = '"+e.file+"'", "mode = 'once'")
	if fromKafka {
		text = taxi.Source("connector = 'kafka'", "brokers = '"+e.kafka.Plaintext+"'", "topic = '"+topic+"'", "start = 'earliest'", "stop = 'latest'")
	}
	into, prefix := "", filepath.Base(dir)
	if toS3 {
		text += fmt.Sprintf("CREATE SINK bench WITH (connector = 's3', path = 's3://%s/%s', endpoint = '%s', region = '%s', access_key_id = '%s', secret_access_key = '%s');\n",
			bucket, prefix, e.store.Endpoint, e.store.Region, e.store.AccessKey, e.store.SecretKey)
		into = "INTO bench.trips_landed "
	}
	query := taxi.Select
	if unfiltered {
		query = strings.TrimSuffix(query, "WHERE fare > 0")
	}
	text += fmt.Sprintf("CREATE STREAM trips_landed %s%s WITH (compression = 'zstd', compression_level = 1) AS\n%s;\n", into, c.layout.PartitionedBy(), query)
	file, data := filepath.Join(dir, "job.sql"), filepath.Join(dir, "data")
	if err := os.WriteFile(file, []byte(text), 0o600); err != nil {
		return o, err
	}
	if o.Usage, err = measure.Run(exec.CommandContext(ctx, c.leat, "run", "--quiet", "--data", data, "--threads", strconv.Itoa(c.cores), file), c.cores); err != nil {
		return o, err
	}
	out := filepath.Join(data, "lake", "trips_landed", "data")
	if toS3 {
		out = filepath.Join(dir, "downloaded")
		if err := download(ctx, e.store.Client(), prefix, out); err != nil {
			return o, err
		}
	}
	o.Output, err = measure.Look(ctx, out, measure.TripSums)
	return o, err
}

// download copies the Parquet files below a prefix of the bucket to a folder, and
// removes them from the bucket.
func download(ctx context.Context, client *s3.Client, prefix, dir string) error {
	pages := s3.NewListObjectsV2Paginator(client, &s3.ListObjectsV2Input{Bucket: aws.String(bucket), Prefix: aws.String(prefix + "/")})
	for pages.HasMorePages() {
		page, err := pages.NextPage(ctx)
		if err != nil {
			return fmt.Errorf("list what was written: %w", err)
		}
		for _, object := range page.Contents {
			if strings.HasSuffix(*object.Key, ".parquet") && strings.Contains(*object.Key, "/data/") {
				if err := copyObject(ctx, client, *object.Key, filepath.Join(dir, *object.Key)); err != nil {
					return err
				}
			}
			if _, err := client.DeleteObject(ctx, &s3.DeleteObjectInput{Bucket: aws.String(bucket), Key: object.Key}); err != nil {
				return fmt.Errorf("remove what was written: %w", err)
			}
		}
	}
	return nil
}

func copyObject(ctx context.Context, client *s3.Client, key, path string) error {
	if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
		return err
	}
	object, err := client.GetObject(ctx, &s3.GetObjectInput{Bucket: aws.String(bucket), Key: aws.String(key)})
	if err != nil {
		return fmt.Errorf("read what was written: %w", err)
	}
	defer object.Body.Close()
	f, err := os.Create(path)
	if err != nil {
		return err
	}
	_, err = f.ReadFrom(object.Body)
	return errors.Join(err, f.Close())
}

// kafkaTable is Leat from file and topic to folder and S3.
func (e *environment) kafkaTable(ctx context.Context, c config) (*report.Table, error) {
	r := c.table(ctx, "kafka", "From Kafka, and to S3", []report.Column{{Name: "from"}, {Name: "to"}, {Name: "cores"}, {Name: "seconds", Digits: 2}, {Name: "MB/s"},
		{Name: "CPU s", Digits: 2}, {Name: "peak MB"}, {Name: "out MB", Digits: 1}, {Name: "files"}, {Name: "runs"}, {Name: "× file to folder", Digits: 2}},
		"Leat's whole process, from start to exit, on cores that the broker and the S3 server do not use if the machine has enough. The topic and the file hold the same events.")
	if e.store == nil {
		e.store = services.StartVersityGW(e.t)
		e.store.CreateBucket(bucket)
		if c.cores < runtime.NumCPU() {
			if err := measure.Pin(e.store.PID()); err != nil {
				return nil, err
			}
		}
	}
	var runs [2][2][]outcome
	sums := ""
	for round := range c.runs {
		for kafka := range 2 {
			for s3 := range 2 {
				o, err := e.leat(ctx, c, kafka == 1, s3 == 1, false)
				if err != nil {
					return nil, err
				}
				if sums == "" {
					sums = o.Sums
				}
				if o.Sums != sums {
					return nil, fmt.Errorf("the results differ: %s and %s", o.Sums, sums)
				}
				fmt.Printf("round %d: Kafka %d, S3 %d: %.2f s\n", round+1, kafka, s3, o.Took.Seconds())
				runs[kafka][s3] = append(runs[kafka][s3], o)
			}
		}
	}
	base := middle(runs[0][0]).Took
	for kafka, from := range []string{"file", "Kafka"} {
		for s3, to := range []string{"folder", "S3"} {
			m := middle(runs[kafka][s3])
			if err := r.Add(from, to, int64(c.cores), m.Took.Seconds(), float64(c.size)/1e6/m.Took.Seconds(), m.CPU.Seconds(), float64(m.Peak)/1e6,
				float64(m.Bytes)/1e6, int64(m.Files), int64(c.runs), base.Seconds()/m.Took.Seconds()); err != nil {
				return nil, err
			}
		}
	}
	return r, nil
}
