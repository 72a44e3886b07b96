//go:build gms_pure_go && duckdb_arrow

package main

import (
	"bytes"
	"context"
	"fmt"
	"math"
	"net/http"
	"runtime"
	runtimemetrics "runtime/metrics"
	"strconv"
	"strings"
	"time"

	"github.com/apache/arrow-go/v18/arrow/array"

	"github.com/leatdb/leat/engine"
	"github.com/leatdb/leat/engine/dataflow"
	"github.com/leatdb/leat/sql/mysqlserver"
)

// metricKind is a Prometheus metric type.
type metricKind string

const (
	counter metricKind = "counter"
	gauge   metricKind = "gauge"
)

// metric describes one metric of /metrics.
type metric struct {
	name string
	kind metricKind
	help string
}

// streamMetric is a metric of each stream: a column of leat.stream_metrics.
type streamMetric struct {
	column string
	metric
	scale float64 // what the column's number is multiplied with
}

func ofStream(column, name string, kind metricKind, scale float64, help string) streamMetric {
	return streamMetric{column: column, metric: metric{name: "leat_stream_" + name, kind: kind, help: help}, scale: scale}
}

// stateColumn becomes one sample for each state, as label.
const stateColumn = "state"

var streamMetrics = []streamMetric{
	{column: stateColumn, metric: metric{name: "leat_stream_state", kind: gauge, help: "1 for the state that the stream is in, 0 for the others."}},
	ofStream("records_in", "records_in_total", counter, 1, "Records or lines read."),
	ofStream("records_empty", "records_empty_total", counter, 1, "Tombstones and empty records among them."),
	ofStream("rows_in", "rows_in_total", counter, 1, "Decoded values, the good and the bad."),
	ofStream("rows_exploded", "rows_exploded", gauge, 1, "Rows that flattening has added, or taken away where negative."),
	ofStream("rows_landed", "rows_landed_total", counter, 1, "Rows written to the table."),
	ofStream("rows_filtered", "rows_filtered_total", counter, 1, "Rows that the query's WHERE has left out."),
	ofStream("rows_dead", "rows_dead_total", counter, 1, "Values that went to the dead letters."),
	ofStream("rows_replayed", "rows_replayed_total", counter, 1, "Values of rows_in that were dead letters which a replay has read again."),
	ofStream("rows_in_flight", "rows_in_flight", gauge, 1, "Values that were read and are not yet committed; the counters above are of the last commit."),
	ofStream("bytes_in", "bytes_in_total", counter, 1, "Payload bytes decoded since the stream was started in this process."),
	ofStream("bytes_out", "bytes_out_total", counter, 1, "Bytes of data files committed since the stream was started in this process."),
	ofStream("files", "files_total", counter, 1, "Data files committed since the stream was started in this process."),
	ofStream("commits", "commits_total", counter, 1, "Commits since the stream was started in this process."),
	ofStream("commit_seconds", "commit_seconds_total", counter, 1, "Time spent in commits, and in those that failed, since the stream was started in this process."),
	ofStream("open_partitions", "open_partitions", gauge, 1, "Partitions that have rows in files that are still open."),
	ofStream("max_open_partitions", "max_open_partitions", gauge, 1, "When more partitions are open, files are finished early (option max_open_partitions)."),
	ofStream("bytes_buffered", "buffered_bytes", gauge, 1, "Bytes in files that are still open."),
	ofStream("generation", "generation", gauge, 1, "How often the stream has been started; a higher one fences the lower."),
	ofStream("epoch", "epoch", gauge, 1, "The last committed epoch."),
	ofStream("rows_per_second", "rows_per_second", gauge, 1, "Values decoded per second, over the last ten seconds."),
	ofStream("bytes_per_second", "bytes_per_second", gauge, 1, "Payload bytes decoded per second, over the last ten seconds."),
	ofStream("lag", "lag_records", gauge, 1, "Records of the source that are not yet read; absent where it is not known."),
	ofStream("millis_behind_latest", "millis_behind_latest", gauge, 1, "How many milliseconds the shard that is behind most is behind its newest record, as Kinesis says; absent for other sources."),
	ofStream("freshness_ms", "freshness_seconds", gauge, 1e-3, "Age of the newest record that was read; where the source tells no times, of the last commit."),
	ofStream("last_commit_at", "last_commit_timestamp_seconds", gauge, 1, "When the last commit was made, in seconds since 1970."),
}

// mysqlMetrics are those of the MySQL port.
var mysqlMetrics = []struct {
	metric
	value func(m *mysqlserver.Metrics) float64
}{
	{metric{"leat_mysql_connections", gauge, "MySQL connections that are open."}, func(m *mysqlserver.Metrics) float64 { return float64(m.Connections.Load()) }},
	{metric{"leat_mysql_connections_total", counter, "MySQL connections accepted."}, func(m *mysqlserver.Metrics) float64 { return float64(m.Connects.Load()) }},
	{metric{"leat_mysql_connections_refused_total", counter, "MySQL connections refused because there were too many."}, func(m *mysqlserver.Metrics) float64 { return float64(m.Refused.Load()) }},
	{metric{"leat_mysql_login_errors_total", counter, "MySQL logins that failed."}, func(m *mysqlserver.Metrics) float64 { return float64(m.LoginErrors.Load()) }},
	{metric{"leat_mysql_statements_running", gauge, "Statements of MySQL clients that run."}, func(m *mysqlserver.Metrics) float64 { return float64(m.Running.Load()) }},
	{metric{"leat_mysql_statements_total", counter, "Statements of MySQL clients that have ended."}, func(m *mysqlserver.Metrics) float64 { return float64(m.Statements.Load()) }},
	{metric{"leat_mysql_statement_errors_total", counter, "Statements of MySQL clients that failed."}, func(m *mysqlserver.Metrics) float64 { return float64(m.Failed.Load()) }},
	{metric{"leat_mysql_statement_panics_total", counter, "Statements of MySQL clients that failed by a fault of the server."}, func(m *mysqlserver.Metrics) float64 { return float64(m.Panics.Load()) }},
	{metric{"leat_mysql_statement_seconds_total", counter, "Time spent in statements of MySQL clients."}, func(m *mysqlserver.Metrics) float64 { return time.Duration(m.Nanoseconds.Load()).Seconds() }},
}

var buildMetric = metric{"leat_build_info", gauge, "1, with the version as label."}

// processMetrics are those of the process; a value that the system does not tell
// is NaN, and left out.
var processMetrics = []struct {
	metric
	value func(p *processStats) float64
}{
	{metric{"go_goroutines", gauge, "Goroutines that exist."}, func(*processStats) float64 { return float64(runtime.NumGoroutine()) }},
	{metric{"go_gomaxprocs", gauge, "Cores that the process uses at most."}, func(*processStats) float64 { return float64(runtime.GOMAXPROCS(0)) }},
	{metric{"go_memstats_heap_alloc_bytes", gauge, "Bytes of Go's heap that are in use."}, func(p *processStats) float64 { return float64(p.memory.HeapAlloc) }},
	{metric{"go_gc_heap_live_bytes", gauge, "Bytes of Go's heap that the last collection found in use."}, func(p *processStats) float64 { return p.live }},
	{metric{"go_memstats_heap_sys_bytes", gauge, "Bytes of Go's heap obtained from the system."}, func(p *processStats) float64 { return float64(p.memory.HeapSys) }},
	{metric{"go_memstats_alloc_bytes_total", counter, "Bytes allocated on Go's heap."}, func(p *processStats) float64 { return float64(p.memory.TotalAlloc) }},
	{metric{"go_gc_cycles_total", counter, "Garbage collections."}, func(p *processStats) float64 { return float64(p.memory.NumGC) }},
	{metric{"go_gc_pause_seconds_total", counter, "Time for which garbage collections stopped the program."}, func(p *processStats) float64 { return time.Duration(p.memory.PauseTotalNs).Seconds() }},
	{metric{"process_resident_memory_bytes", gauge, "Memory of the process, DuckDB's included (Linux)."}, func(p *processStats) float64 { return p.resident }},
	{metric{"process_resident_anonymous_bytes", gauge, "… of it that no file backs: heaps and stacks (Linux)."}, func(p *processStats) float64 { return p.anonymous }},
	{metric{"process_resident_file_bytes", gauge, "… of it that files back, the program's above all, which the system takes back when it needs it (Linux)."}, func(p *processStats) float64 { return p.resident - p.anonymous }},
	{metric{"process_open_fds", gauge, "Files and sockets that are open (Linux)."}, func(p *processStats) float64 { return p.files }},
	{metric{"process_max_fds", gauge, "Files and sockets that may be open (Linux)."}, func(p *processStats) float64 { return p.maxFiles }},
	{metric{"process_cpu_seconds_total", counter, "Processor time used (Linux)."}, func(p *processStats) float64 { return p.cpu }},
	{metric{"process_start_time_seconds", gauge, "When the process was started, in seconds since 1970."}, func(p *processStats) float64 { return float64(processStart.UnixMilli()) / 1e3 }},
}

var processStart = time.Now()

// processStats is what the runtime and the system tell of the process.
type processStats struct {
	memory               runtime.MemStats
	live                 float64
	resident, anonymous  float64
	files, maxFiles, cpu float64
}

func readProcessStats() *processStats {
	p := &processStats{resident: math.NaN(), anonymous: math.NaN(), files: math.NaN(), maxFiles: math.NaN(), cpu: math.NaN()}
	runtime.ReadMemStats(&p.memory)
	live := []runtimemetrics.Sample{{Name: "/gc/heap/live:bytes"}}
	runtimemetrics.Read(live)
	p.live = float64(live[0].Value.Uint64())
	p.readSystem()
	return p
}

// metrics answers in Prometheus' text format:
// https://prometheus.io/docs/instrumenting/exposition_formats/
func (h *health) metrics(w http.ResponseWriter, r *http.Request) {
	streams, err := streamSamples(r.Context(), h.db)
	if err != nil {
		http.Error(w, err.Error(), http.StatusInternalServerError)
		return
	}
	w.Header().Set("Content-Type", "text/plain; version=0.0.4; charset=utf-8")
	e := &exposition{}
	e.begin(buildMetric)
	e.sample(1, "version", version(), "go", runtime.Version())
	for _, m := range streamMetrics {
		e.begin(m.metric)
		for _, s := range streams[m.column] {
			if m.column == stateColumn {
				for _, state := range streamStates {
					e.sample(boolean(string(state) == s.text), "stream", s.stream, "state", string(state))
				}
				continue
			}
			e.sample(s.value*m.scale, "stream", s.stream)
		}
	}
	if mysql := h.mysql.Load(); mysql != nil {
		for _, m := range mysqlMetrics {
			e.begin(m.metric)
			e.sample(m.value(mysql))
		}
	}
	stats := readProcessStats()
	for _, m := range processMetrics {
		if v := m.value(stats); !math.IsNaN(v) {
			e.begin(m.metric)
			e.sample(v)
		}
	}
	_, _ = w.Write(e.w.Bytes()) // a scraper that is gone needs no answer
}

var streamStates = []dataflow.State{
	dataflow.Starting, dataflow.Running, dataflow.Retrying, dataflow.Stopped, dataflow.Finished, dataflow.Failed, dataflow.Fenced,
}

func boolean(b bool) float64 {
	if b {
		return 1
	}
	return 0
}

// streamSample is a column's value for one stream.
type streamSample struct {
	stream string
	value  float64
	text   string
}

// streamSamples reads leat.stream_metrics, which is ordered by stream: the samples
// by column.
func streamSamples(ctx context.Context, db *engine.DB) (map[string][]streamSample, error) {
	reader, err := db.Query(ctx, "SELECT * FROM leat.stream_metrics")
	if err != nil {
		return nil, fmt.Errorf("read stream metrics: %w", err)
	}
	defer reader.Release()
	samples := map[string][]streamSample{}
	for reader.Next() {
		batch := reader.RecordBatch()
		names, ok := batch.Column(batch.Schema().FieldIndices("stream")[0]).(*array.String)
		if !ok {
			return nil, fmt.Errorf("read stream metrics: column stream is no text")
		}
		for i, field := range batch.Schema().Fields() {
			for row := range int(batch.NumRows()) {
				s := streamSample{stream: strings.Clone(names.Value(row))} // it lies in the batch
				if batch.Column(i).IsNull(row) {
					continue
				}
				switch c := batch.Column(i).(type) {
				case *array.String:
					s.text = strings.Clone(c.Value(row))
				case *array.Int64:
					s.value = float64(c.Value(row))
				case *array.Float64:
					s.value = c.Value(row)
				case *array.Timestamp:
					s.value = float64(c.Value(row)) / 1e6
				default:
					return nil, fmt.Errorf("read stream metrics: column %s has type %s", field.Name, c.DataType())
				}
				samples[field.Name] = append(samples[field.Name], s)
			}
		}
	}
	if err := reader.Err(); err != nil {
		return nil, fmt.Errorf("read stream metrics: %w", err)
	}
	return samples, nil
}

// exposition collects metrics.
type exposition struct {
	w    bytes.Buffer
	name string
}

func (e *exposition) begin(m metric) {
	e.name = m.name
	fmt.Fprintf(&e.w, "# HELP %s %s\n# TYPE %s %s\n", m.name, strings.NewReplacer(`\`, `\\`, "\n", `\n`).Replace(m.help), m.name, m.kind)
}

var escapeLabel = strings.NewReplacer(`\`, `\\`, "\n", `\n`, `"`, `\"`)

// sample writes a value of the metric that was begun, with labels and their
// values by turns.
func (e *exposition) sample(v float64, labels ...string) {
	e.w.WriteString(e.name)
	for i := 0; i < len(labels); i += 2 {
		separator := ","
		if i == 0 {
			separator = "{"
		}
		fmt.Fprintf(&e.w, `%s%s="%s"`, separator, labels[i], escapeLabel.Replace(labels[i+1]))
	}
	if len(labels) > 0 {
		e.w.WriteByte('}')
	}
	e.w.WriteString(" " + strconv.FormatFloat(v, 'g', -1, 64) + "\n")
}
