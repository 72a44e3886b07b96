// Package peer is the programs that the benchmarks compare Leat with, each with
// its configuration: the scripts in python, the pipeline in bento. They are
// tuned as their documentation advises and as trials showed to be best.
package peer

import (
	"bytes"
	"context"
	"embed"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"sync"
	"text/template"

	"github.com/leatdb/leat/bench/taxi"
	"github.com/leatdb/leat/internal/services"
)

// Job is the work that every program is given: the trips with a fare as 22
// columns of zstd Parquet (level 1), in partitions.
type Job struct {
	Input  string // file of trips
	Out    string // folder for the Parquet files
	Cores  int
	Layout taxi.Layout
}

// Peer is a program that does the job on a file.
type Peer struct {
	// Name as the tables and the flags have it.
	Name string
	// Version is asked of the program; it fails when that is not installed.
	Version func(ctx context.Context) (string, error)
	// Land is the command that does the job.
	Land func(ctx context.Context, j Job) (*exec.Cmd, error)
	// Count prints COUNT(*), SUM(fare), SUM(tip) over the file; nil for a program
	// that has no such query.
	Count func(ctx context.Context, input string, cores int) (*exec.Cmd, error)
}

// All are the peers that read files, the ones that matter most first. DuckDB as
// Leat links it is not among them: it needs no installation.
func All() []Peer {
	return []Peer{
		python("duckdb-python", "duckdb", true), python("chdb", "chdb", true), python("polars", "polars", true),
		python("datafusion", "datafusion", true), python("pyarrow", "pyarrow", false), python("bytewax", "bytewax", false), bento(),
	}
}

//go:embed python/*.py
var scripts embed.FS

// unpack writes the scripts to a folder, once for the process.
var unpack = sync.OnceValues(func() (string, error) {
	dir, err := os.MkdirTemp("", "leat-bench-peers-")
	if err != nil {
		return "", err
	}
	return dir, os.CopyFS(dir, scripts)
})

// Remove removes what the peers' commands left in temporary folders.
func Remove() error {
	dir, err := unpack()
	if err != nil {
		return err
	}
	return os.RemoveAll(dir)
}

func python(name, script string, counts bool) Peer {
	command := func(ctx context.Context, args ...string) (*exec.Cmd, error) {
		program, err := services.PeersPython()
		if err != nil {
			return nil, err
		}
		dir, err := unpack()
		if err != nil {
			return nil, fmt.Errorf("write the peers' scripts: %w", err)
		}
		cmd := exec.CommandContext(ctx, program, append([]string{filepath.Join(dir, "python", script+"_peer.py")}, args...)...)
		cmd.Env = append(os.Environ(), "PYTHONDONTWRITEBYTECODE=1", "PYTHONNOUSERSITE=1", "PYTHONPATH=", "PYTHONUTF8=1")
		return cmd, nil
	}
	p := Peer{
		Name: name,
		Version: func(ctx context.Context) (string, error) {
			cmd, err := command(ctx, "version")
			if err != nil {
				return "", err
			}
			return version(cmd)
		},
		Land: func(ctx context.Context, j Job) (*exec.Cmd, error) {
			return command(ctx, "land", j.Input, j.Out, strconv.Itoa(j.Cores), j.Layout.Argument())
		},
	}
	if counts {
		p.Count = func(ctx context.Context, input string, cores int) (*exec.Cmd, error) {
			return command(ctx, "count", input, strconv.Itoa(cores))
		}
	}
	return p
}

// version is the last line that a command prints.
func version(cmd *exec.Cmd) (string, error) {
	var problems bytes.Buffer
	cmd.Stderr = &problems
	out, err := cmd.Output()
	if err != nil {
		return "", fmt.Errorf("ask for the version: %w: %s", err, strings.TrimSpace(problems.String()))
	}
	lines := strings.Split(strings.TrimSpace(string(out)), "\n")
	return lines[len(lines)-1], nil
}

//go:embed bento/land.yaml.tmpl
var bentoPipeline string

var bentoTemplate = template.Must(template.New("land.yaml").Parse(bentoPipeline))

// BentoConfig is what its pipeline is made of: it reads a file, or a topic until
// nothing has come for five seconds.
type BentoConfig struct {
	Job
	Brokers, Topic, Group string
	Batch                 int // rows, and so the rows of a file before it is partitioned
}

// Partition is the column to partition by.
func (c BentoConfig) Partition() string { return c.Layout.Column }

// Extra is the column beside the result's, as Bloblang has it.
func (c BentoConfig) Extra() string {
	switch c.Layout.Column {
	case "month":
		return `, "month": $t.pickup_at.slice(5, 7).number()`
	case "bucket":
		return fmt.Sprintf(`, "bucket": $t.trip_id %% %d`, c.Layout.Partitions)
	}
	return ""
}

// Pipeline is the configuration as Bento reads it.
func (c BentoConfig) Pipeline() (string, error) {
	var b strings.Builder
	err := bentoTemplate.Execute(&b, c)
	return b.String(), err
}

// bentoBatch is how many rows a batch has when each partition of it becomes a
// file.
const bentoBatch = 20_000

// BentoCommand runs Bento until its input ends. The pipeline is kept beside the
// folder of the files.
func BentoCommand(ctx context.Context, c BentoConfig) (*exec.Cmd, error) {
	program, err := services.Bento()
	if err != nil {
		return nil, err
	}
	if c.Batch == 0 {
		c.Batch = bentoBatch
		if c.Layout.Column == "" {
			c.Batch = 5_000
		}
	}
	text, err := c.Pipeline()
	if err != nil {
		return nil, err
	}
	file := c.Out + "-bento.yaml"
	if err := os.MkdirAll(filepath.Dir(file), 0o755); err != nil {
		return nil, err
	}
	if err := os.WriteFile(file, []byte(text), 0o644); err != nil {
		return nil, fmt.Errorf("write Bento's pipeline: %w", err)
	}
	cmd := exec.CommandContext(ctx, program, "-c", file)
	cmd.Env = append(os.Environ(), "GOGC=400", "GOMAXPROCS="+strconv.Itoa(c.Cores))
	return cmd, nil
}

func bento() Peer {
	return Peer{
		Name: "bento",
		Version: func(context.Context) (string, error) {
			if _, err := services.Bento(); err != nil {
				return "", err
			}
			return services.BentoVersion(), nil
		},
		Land: func(ctx context.Context, j Job) (*exec.Cmd, error) { return BentoCommand(ctx, BentoConfig{Job: j}) },
	}
}
