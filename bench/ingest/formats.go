package main

import (
	"bufio"
	"context"
	"database/sql"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/hamba/avro/v2/ocf"

	"github.com/leatdb/leat/bench/chart"
	"github.com/leatdb/leat/bench/measure"
	"github.com/leatdb/leat/bench/report"
	"github.com/leatdb/leat/bench/taxi"
)

// format is one way to write the trips.
type format struct {
	name, file string
	// write makes the file from that of lines.
	write func(input string, w io.Writer) error
	// copyAs, in place of write, has DuckDB make it.
	copyAs func(input, target string) string
	// options are the source's beside connector and path.
	options string
	// columns, query and sums are those of the trips where they are empty.
	columns, query, sums string
}

const (
	logQuery = "SELECT remote_host, `time`, path, status, bytes, user_agent FROM trips WHERE status <> 999"
	logSums  = "COUNT(*), SUM(status), SUM(bytes), SUM(length(path)), SUM(length(user_agent)), COUNT(DISTINCT remote_host)"
	// logPattern is the combined format as an expression; one slash is two in SQL.
	logPattern = `^(?P<remote_host>\\S+) \\S+ \\S+ \\[(?P<time>[^\\]]+)\\] "\\S+ (?P<path>\\S+) [^"]*" (?P<status>\\d+) (?P<bytes>\\d+) "[^"]*" "(?P<user_agent>[^"]*)"$`
)

var formats = []format{
	{name: "NDJSON", file: "", options: "format = 'json'"},
	{name: "NDJSON, gzip", file: "ndjson.gz", write: compressed("gzip"), options: "format = 'json'"},
	{name: "NDJSON, zstd", file: "ndjson.zst", write: compressed("zstd"), options: "format = 'json'"},
	{name: "NDJSON, lz4", file: "ndjson.lz4", write: compressed("lz4"), options: "format = 'json'"},
	{name: "NDJSON, snappy", file: "ndjson.sz", write: compressed("snappy"), options: "format = 'json'"},
	{name: "CSV", file: "csv", copyAs: text("FORMAT csv, HEADER"), options: "format = 'csv'"},
	{name: "TSV", file: "tsv", copyAs: text("FORMAT csv, HEADER, DELIMITER '\t'"), options: "format = 'tsv'"},
	{name: "Avro", file: "avro", write: avroFile(ocf.Null), options: "format = 'avro'"},
	{name: "Avro, deflate", file: "deflate.avro", write: avroFile(ocf.Deflate), options: "format = 'avro'"},
	{name: "Protobuf", file: "bin", write: taxi.WriteProtobuf, options: "format = 'protobuf', schema = '" + taxi.ProtoSchema + "'"},
	{name: "Parquet, zstd", file: "parquet", options: "format = 'parquet'", copyAs: func(input, target string) string {
		return taxi.CopyAs(input, target, "rider", "FORMAT parquet, COMPRESSION zstd")
	}},
	{name: "access log", file: "log", write: taxi.WriteLog, options: "format = 'combined_log'", columns: "-", query: logQuery, sums: logSums},
	{name: "regex", file: "log", write: taxi.WriteLog, options: "format = 'regex', pattern = '" + logPattern + "'",
		columns: "remote_host TEXT, `time` TIMESTAMP, path TEXT, status INT, bytes BIGINT, user_agent TEXT", query: logQuery, sums: logSums},
	{name: "raw, REGEXP_SUBSTR", file: "log", write: taxi.WriteLog, options: "format = 'raw'", columns: "line TEXT",
		query: "SELECT SUBSTRING_INDEX(line, ' ', 1) AS remote_host, REGEXP_SUBSTR(line, '/trips/[0-9]+/from/[0-9]+[^ ]*') AS path FROM trips WHERE line REGEXP '\" 20[0-9] [0-9]+ '",
		sums:  "COUNT(*), SUM(length(path)), COUNT(DISTINCT remote_host)"},
}

func compressed(by string) func(input string, w io.Writer) error {
	return func(input string, w io.Writer) error { return taxi.WriteCompressed(input, w, by) }
}

func avroFile(codec ocf.CodecName) func(input string, w io.Writer) error {
	return func(input string, w io.Writer) error { return taxi.WriteAvro(input, w, codec) }
}

func text(options string) func(input, target string) string {
	return func(input, target string) string { return taxi.CopyAs(input, target, "to_json(rider)", options) }
}

// make writes the format's file unless it is there; in a process of its own, since
// the memory that it takes would count for those that are started after it.
func (f format) make(ctx context.Context, in input) (path string, size int64, err error) {
	path = in.path
	if f.file != "" {
		path = strings.TrimSuffix(in.path, "ndjson") + f.file
	}
	if _, err := os.Stat(path); err != nil {
		cmd, err := child(ctx, "write-format", f.name, in.path, path)
		if err != nil {
			return "", 0, err
		}
		if out, err := cmd.CombinedOutput(); err != nil {
			return "", 0, fmt.Errorf("write the trips as %s: %w: %s", f.name, err, out)
		}
	}
	info, err := os.Stat(path)
	if err != nil {
		return "", 0, err
	}
	return path, info.Size(), nil
}

// childWriteFormat writes the trips of a file of lines in the format of a name.
func childWriteFormat(args []string) error {
	name, input, path := args[0], args[1], args[2]
	f := formats[slices.IndexFunc(formats, func(f format) bool { return f.name == name })]
	part := path + ".part"
	var err error
	if f.copyAs != nil {
		err = duckDB("1", func(conn *sql.Conn) error {
			_, err := conn.ExecContext(context.Background(), f.copyAs(input, part))
			return err
		})
	} else {
		err = writeFile(part, func(w io.Writer) error { return f.write(input, w) })
	}
	if err != nil {
		return err
	}
	return os.Rename(part, path)
}

func writeFile(path string, f func(w io.Writer) error) (err error) {
	out, err := os.Create(path)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, out.Close()) }()
	w := bufio.NewWriterSize(out, 1<<20)
	if err := f(w); err != nil {
		return err
	}
	return w.Flush()
}

// run lands the file in an unpartitioned table.
func (f format) run(ctx context.Context, c config, path string, cores int) (r result, err error) {
	dir, err := os.MkdirTemp(c.dir, "run-")
	if err != nil {
		return r, err
	}
	defer func() { err = errors.Join(err, os.RemoveAll(dir)) }()
	columns, query, sums := "("+taxi.Columns+")", taxi.Select, measure.TripSums
	if f.query != "" {
		columns, query, sums = "("+f.columns+")", f.query, f.sums
	}
	if f.columns == "-" {
		columns = ""
	}
	file, data := filepath.Join(dir, "format.sql"), filepath.Join(dir, "data")
	sql := fmt.Sprintf("CREATE SOURCE trips %s WITH (connector = 'files', path = '%s', mode = 'once', %s);\nCREATE STREAM landed WITH (compression = 'zstd', compression_level = 1) AS\n%s;\n",
		columns, path, f.options, query)
	if err := os.WriteFile(file, []byte(sql), 0o644); err != nil {
		return r, err
	}
	if r.Usage, err = measure.Run(exec.CommandContext(ctx, c.leat, "run", "--quiet", "--data", data, "--threads", strconv.Itoa(cores), file), cores); err != nil {
		return r, err
	}
	r.Output, err = measure.Look(ctx, filepath.Join(data, "lake", "landed", "data"), sums)
	return r, err
}

// byFormat is Leat on the same trips in each of the formats.
func byFormat(ctx context.Context, c config) (*report.Table, error) {
	in, err := c.input(c.rows, 0)
	if err != nil {
		return nil, err
	}
	columns := []report.Column{{Name: "cores"}, {Name: "format"}, {Name: "file MB"}, {Name: "seconds", Digits: 2}, {Name: "MB/s"}, {Name: "k rows/s"}, {Name: "CPU s", Digits: 2},
		{Name: "MB a CPU second"}, {Name: "peak MB"}, {Name: "runs"}}
	r := c.table(ctx, "formats", "Each format", columns,
		"The same trips in each format, filtered, turned into 22 columns and written as zstd Parquet, level 1, into one partition; MB are those of the file as it is, compressed or not."+
			" What all of them land has the same sums. The access log is a line of the combined format for each trip, of which six columns land: read as that format, by a regular expression with groups,"+
			" and as raw lines with REGEXP, REGEXP_SUBSTR and SUBSTRING_INDEX in the query. Time is that of the whole process, from start to exit.", in.String()+".")
	figure := chart.Bars{Title: "The same trips in each format", Subtitle: "thousands of rows a second, more is better; " + in.String() + " as NDJSON; medians"}
	for _, cores := range c.cores {
		runs := make([][]result, len(formats))
		paths, sizes := make([]string, len(formats)), make([]int64, len(formats))
		for i, f := range formats {
			if paths[i], sizes[i], err = f.make(ctx, in); err != nil {
				return nil, err
			}
		}
		found := map[string]string{} // the sums, by the query for them
		used := make([]time.Duration, len(formats))
		for round := range c.runs {
			for i, f := range formats {
				if round > 0 && used[i] >= c.budget {
					continue
				}
				begun := time.Now()
				o, err := f.run(ctx, c, paths[i], cores)
				if err != nil {
					return nil, fmt.Errorf("%s: %w", f.name, err)
				}
				used[i] += time.Since(begun)
				if want, ok := found[f.sums]; ok && want != o.Sums {
					return nil, fmt.Errorf("%s: the results differ: %s, and %s of others", f.name, o.Sums, want)
				}
				found[f.sums] = o.Sums
				runs[i] = append(runs[i], o)
				fmt.Printf("%s, round %d: %.2f s, CPU %.2f s\n", f.name, round+1, o.Took.Seconds(), o.CPU.Seconds())
			}
		}
		group := chart.Group{Name: plural(cores, "core")}
		for i, f := range formats {
			m := standing{runs: runs[i]}.median()
			mb := float64(sizes[i]) / 1e6
			if err := r.Add(int64(cores), f.name, mb, m.Took.Seconds(), mb/m.Took.Seconds(), float64(in.rows)/1e3/m.Took.Seconds(), m.CPU.Seconds(), mb/m.CPU.Seconds(),
				float64(m.Peak)/1e6, int64(len(runs[i]))); err != nil {
				return nil, err
			}
			group.Bars = append(group.Bars, chart.Bar{Name: f.name, Value: float64(in.rows) / 1e3 / m.Took.Seconds(), Ours: true})
		}
		figure.Groups = append(figure.Groups, group)
	}
	return r, c.draw(r, "", figure)
}
