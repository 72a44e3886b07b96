package chaos

import (
	"context"
	"errors"
	"fmt"
	"io"
	"slices"
	"strings"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/s3"

	"github.com/leatdb/leat/internal/services"
)

// SoakConfig says how long and hard a soak is.
type SoakConfig struct {
	Config
	// Duration is how long records come in; every Interval leat is looked at.
	Duration, Interval time.Duration
}

// Measure is something that must not grow while leat runs under steady load.
type Measure struct {
	Name string
	Unit float64 // values are shown in multiples of it
	// Slack is by how much the level may rise however low it is, in units; more
	// is too much when it also exceeds a tenth of the level.
	Slack  float64
	Values []float64 // in units, one for each of Soak.Times
}

// fullTable is after how many commits an Iceberg table has as many snapshots as
// are kept at most, and was tidied up since: until then its metadata grows, and
// what is held of it.
const fullTable = 550

// Soak is what was seen of leat over time.
type Soak struct {
	Times    []time.Duration // since the start
	Measures []*Measure
	Settled  int   // the first sample that counts: tables are full, caches and pools too
	Commits  int   // of the Iceberg stream
	Tally    Tally // of its rows, after all
}

const mib = 1 << 20

// metricsOf are the measures that leat's /metrics tells, by metric.
var metricsOf = []struct {
	metric string
	Measure
}{
	{"process_resident_memory_bytes", Measure{Name: "resident memory, MiB", Unit: mib, Slack: 24}},
	{"process_resident_anonymous_bytes", Measure{Name: "of it anonymous, MiB", Unit: mib, Slack: 24}},
	{"process_resident_file_bytes", Measure{Name: "of it of files, MiB", Unit: mib, Slack: 8}},
	{"go_gc_heap_live_bytes", Measure{Name: "live Go heap, MiB", Unit: mib, Slack: 8}},
	{"go_goroutines", Measure{Name: "goroutines", Unit: 1, Slack: 8}},
	{"process_open_fds", Measure{Name: "open files and sockets", Unit: 1, Slack: 8}},
	{`leat_stream_open_partitions{stream="` + stream + `"}`, Measure{Name: "open partitions", Unit: 1, Slack: 4}},
}

// hiveStream lands the same records in Hive folders beside the Iceberg table.
const hiveStream = "folders"

// RunSoak lets leat land records in an Iceberg table and in Hive folders, both
// on S3, without a fault, looks at it at intervals, and counts the rows in the
// end.
func RunSoak(t services.TB, cfg SoakConfig) Soak {
	t.Helper()
	cfg.TableFormat = "iceberg"
	begun := time.Now()
	r, stopProducers := begin(t, cfg.Config)
	db := r.leat.DB()
	for _, statement := range []string{
		fmt.Sprintf(`CREATE SINK files WITH (connector = 's3', path = 's3://%s/files', endpoint = '%s', region = '%s', path_style = 'true',
			access_key_id = '%s', secret_access_key = '%s', table_format = 'hive', commit_interval = '5s')`,
			bucket, r.s3.Endpoint, r.s3.Region, r.s3.AccessKey, r.s3.SecretKey),
		"CREATE STREAM " + hiveStream + " INTO files." + table + " PARTITIONED BY (kind) AS SELECT id, producer, kind, pad FROM events_in",
	} {
		if _, err := db.ExecContext(t.Context(), statement); err != nil {
			t.Fatalf("%s: %v", statement, err)
		}
	}
	s := Soak{Settled: -1}
	for _, m := range metricsOf {
		one := m.Measure
		s.Measures = append(s.Measures, &one)
	}
	uploads := &Measure{Name: "S3 uploads under way", Unit: 1, Slack: 16}
	s.Measures = append(s.Measures, uploads)
	for next := begun; time.Since(begun) < cfg.Duration; {
		next = next.Add(cfg.Interval)
		r.wait(next)
		r.leat.Check()
		ctx, cancel := context.WithTimeout(t.Context(), 10*time.Second)
		text, err := r.leat.Get(ctx, "/metrics")
		if err != nil {
			t.Fatalf("look at leat: %v", err)
		}
		n, err := r.uploads(ctx)
		cancel()
		if err != nil {
			t.Fatalf("list uploads: %v", err)
		}
		s.Times = append(s.Times, time.Since(begun))
		for i, m := range metricsOf {
			v, ok := r.metric(text, m.metric)
			if !ok {
				t.Fatalf("leat's metrics have no %s", m.metric)
			}
			s.Measures[i].Values = append(s.Measures[i].Values, v/m.Unit)
		}
		uploads.Values = append(uploads.Values, float64(n))
		if state, _ := r.metric(text, `leat_stream_state{stream="`+stream+`",state="RUNNING"}`); state != 1 {
			r.cfg.Progress("after %v the stream is not RUNNING", time.Since(begun).Round(time.Second))
		}
		if s.Commits = r.leatCommits(); s.Settled < 0 && s.Commits >= fullTable {
			s.Settled = len(s.Times)
		}
	}
	stopProducers()
	if _, err := db.ExecContext(t.Context(), "FLUSH STREAM "+hiveStream); err != nil {
		t.Fatalf("flush: %v", err)
	}
	var rows, different, records int64
	if err := db.QueryRowContext(t.Context(), "SELECT COUNT(*), COUNT(DISTINCT id) FROM files."+table).Scan(&rows, &different); err != nil {
		t.Fatalf("count the rows of the folders: %v", err)
	}
	if err := db.QueryRowContext(t.Context(), "SELECT rows_landed FROM leat.stream_metrics WHERE stream = ?", hiveStream).Scan(&records); err != nil {
		t.Fatalf("read leat's counters: %v", err)
	}
	if rows != different || rows != records {
		t.Errorf("the folders have %d rows, %d of them different; %d were landed", rows, different, records)
	}
	if err := db.Close(); err != nil {
		t.Errorf("close the connections to leat: %v", err)
	}
	r.leat.Stop()
	r.catchUp()
	r.count()
	s.Tally = r.tally
	s.Tally.Took = time.Since(begun)
	return s
}

// uploads counts the multipart uploads that the S3 server knows.
func (r *run) uploads(ctx context.Context) (n int, err error) {
	pages := s3.NewListMultipartUploadsPaginator(r.s3.Client(), &s3.ListMultipartUploadsInput{Bucket: aws.String(bucket)})
	for pages.HasMorePages() {
		page, err := pages.NextPage(ctx)
		if err != nil {
			return 0, err
		}
		n += len(page.Uploads)
	}
	return n, nil
}

// Growth compares the level of the last third of the samples from settled on with
// that of the first: medians, in units.
func (m *Measure) Growth(settled int) (from, to float64, flat bool) {
	values := m.Values[settled:]
	third := max(len(values)/3, 1)
	from, to = median(values[:third]), median(values[len(values)-third:])
	return from, to, to-from <= max(m.Slack, from/10)
}

// Slope is by how many units values rise a minute from settled on: the median over
// all pairs (Theil and Sen), which neither noise nor a spike turns.
func (m *Measure) Slope(times []time.Duration, settled int) float64 {
	times, values := times[settled:], m.Values[settled:]
	var rises []float64
	for i := range values {
		for j := range i {
			rises = append(rises, (values[i]-values[j])/(times[i]-times[j]).Minutes())
		}
	}
	return median(rises)
}

func median(values []float64) float64 {
	sorted := slices.Sorted(slices.Values(values))
	return sorted[len(sorted)/2]
}

// leastSamples are what a trend can be told from.
const leastSamples = 10

// Err says what has grown, or what was wrong with the rows; nil is neither.
func (s *Soak) Err() error {
	if s.Settled < 0 || len(s.Times)-s.Settled < leastSamples {
		return fmt.Errorf("%d commits in %d samples tell nothing: the table is full after %d, and %d samples after that are the least",
			s.Commits, len(s.Times), fullTable, leastSamples)
	}
	var errs []error
	for _, m := range s.Measures {
		if from, to, flat := m.Growth(s.Settled); !flat {
			errs = append(errs, fmt.Errorf("%s: grown from %.1f to %.1f", m.Name, from, to))
		}
	}
	return errors.Join(append(errs, s.Tally.Err())...)
}

// Print writes the levels for people.
func (s *Soak) Print(w io.Writer) error {
	var b strings.Builder
	fmt.Fprintf(&b, "%v, %d commits, %d records, %d rows landed\n",
		s.Times[len(s.Times)-1].Round(time.Second), s.Commits, s.Tally.Records, s.Tally.Rows)
	if s.Settled >= 0 && s.Settled < len(s.Times)-1 {
		fmt.Fprintf(&b, "levels from %v on\n%-24s %10s %10s %10s %10s\n", s.Times[s.Settled].Round(time.Second), "", "at first", "at last", "most", "a minute")
		for _, m := range s.Measures {
			from, to, flat := m.Growth(s.Settled)
			fmt.Fprintf(&b, "%-24s %10.1f %10.1f %10.1f %+10.2f%s\n", m.Name, from, to, slices.Max(m.Values),
				m.Slope(s.Times, s.Settled), map[bool]string{false: "  GROWS"}[flat])
		}
	}
	_, err := io.WriteString(w, b.String())
	return err
}
