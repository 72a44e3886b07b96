package main

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"time"

	"github.com/leatdb/leat/bench/chart"
	"github.com/leatdb/leat/bench/measure"
	"github.com/leatdb/leat/bench/peer"
	"github.com/leatdb/leat/bench/report"
	"github.com/leatdb/leat/bench/taxi"
)

const method = `JSON events (20 fields, one of them a nested object) are filtered (98 % stay), turned into 22 columns and written as zstd Parquet, level 1.
Every program is a process of its own on the same cores (CPU affinity, and its own setting of threads), all take turns, and a result counts only if its rows are as many
as the others' and have the same sums. Leat commits to an Iceberg table, with dead letters and counters on; its time is that of the whole process, from start to exit.
Of the others only the work counts, without the start of an interpreter and imports. A program is run until it has used its budget of time; the median counts.`

// batch is everybody on the main job.
func batch(ctx context.Context, c config) (*report.Table, error) {
	in, err := c.input(c.rows, 0)
	if err != nil {
		return nil, err
	}
	r := c.table(ctx, "batch", "A file of JSON to partitioned Parquet", standings, method, in.String()+".")
	all, err := programs(ctx, c, r)
	if err != nil {
		return nil, err
	}
	speed := chart.Bars{Title: "JSON to partitioned Parquet", Subtitle: "MB of JSON a second, more is better; " + in.String() + "; zstd level 1; medians"}
	memory := chart.Bars{Title: "Memory of the same runs", Subtitle: "MB resident at most, less is better"}
	for _, cores := range c.cores {
		for _, p := range c.partitions {
			t := task{input: in, cores: cores, layout: taxi.NewLayout(p)}
			list, err := contest(ctx, c, t, all)
			if err != nil {
				return nil, err
			}
			if err := enter(r, t, list); err != nil {
				return nil, err
			}
			group := fmt.Sprintf("%s, %d partitions", plural(cores, "core"), p)
			fast, small := chart.Group{Name: group}, chart.Group{Name: group}
			for _, s := range list {
				if s.failed == nil {
					m := s.median()
					fast.Bars = append(fast.Bars, chart.Bar{Name: s.program.name, Value: float64(in.size) / 1e6 / m.Took.Seconds(), Ours: s.program.ours})
					small.Bars = append(small.Bars, chart.Bar{Name: s.program.name, Value: float64(m.Peak) / 1e6, Ours: s.program.ours})
				}
			}
			speed.Groups, memory.Groups = append(speed.Groups, fast), append(memory.Groups, small)
		}
	}
	return r, errors.Join(c.draw(r, "", speed), c.draw(r, "memory", memory))
}

func (c config) draw(r *report.Table, name string, f report.Figure) error {
	if c.results == "" {
		return nil
	}
	return r.Draw(c.results, name, f)
}

func plural(n int, what string) string {
	if n == 1 {
		return "1 " + what
	}
	return fmt.Sprintf("%d %ss", n, what)
}

// partitions is Leat and the linked DuckDB with few and with thousands of
// partitions.
func partitions(ctx context.Context, c config) (*report.Table, error) {
	in, err := c.input(c.rows, 0)
	if err != nil {
		return nil, err
	}
	r := c.table(ctx, "partitions", "From one partition to thousands", standings,
		"The job of the table batch with other numbers of partitions, all of them open at once: the rows are not in their order.", in.String()+".")
	c.peers = nil
	all, err := programs(ctx, c, r)
	if err != nil {
		return nil, err
	}
	for _, cores := range c.cores {
		for _, p := range c.partitions {
			t := task{input: in, cores: cores, layout: taxi.NewLayout(p)}
			list, err := contest(ctx, c, t, all)
			if err != nil {
				return nil, err
			}
			if err := enter(r, t, list); err != nil {
				return nil, err
			}
		}
	}
	return r, nil
}

// dirty is what lines cost that are not like the others.
func dirty(ctx context.Context, c config) (*report.Table, error) {
	columns := []report.Column{{Name: "cores"}, {Name: "partitions"}, {Name: "dirty lines %"}, {Name: "program"}, {Name: "seconds", Digits: 2},
		{Name: "MB/s"}, {Name: "peak MB"}, {Name: "runs"}, {Name: "× its time without", Digits: 2}}
	r := c.table(ctx, "dirty", "Lines that are not like the others", columns,
		"The job of the table batch on a file in which one line in ten has an escape, a null, a space between tokens or another order of fields, in turn.")
	all, err := programs(ctx, c, r)
	if err != nil {
		return nil, err
	}
	for _, cores := range c.cores {
		for _, p := range c.partitions {
			clean := map[string]float64{} // ns a byte
			for _, share := range []float64{0, 0.1} {
				in, err := c.input(c.rows, share)
				if err != nil {
					return nil, err
				}
				t := task{input: in, cores: cores, layout: taxi.NewLayout(p)}
				list, err := contest(ctx, c, t, all)
				if err != nil {
					return nil, err
				}
				for _, s := range list {
					if s.failed != nil {
						r.Leave(fmt.Sprintf("%s, %d cores, %d partitions", s.program.name, cores, p), reason(s.failed))
						continue
					}
					m := s.median()
					cost := float64(m.Took) / float64(in.size)
					if share == 0 {
						clean[s.program.name] = cost
					}
					if err := r.Add(int64(cores), int64(p), int64(share*100), s.program.name, m.Took.Seconds(), float64(in.size)/1e6/m.Took.Seconds(),
						float64(m.Peak)/1e6, int64(len(s.runs)), cost/clean[s.program.name]); err != nil {
						return nil, err
					}
				}
			}
		}
	}
	return r, nil
}

// narrow is a query of two of the 20 fields.
func narrow(ctx context.Context, c config) (*report.Table, error) {
	in, err := c.input(c.rows, 0)
	if err != nil {
		return nil, err
	}
	columns := []report.Column{{Name: "cores"}, {Name: "program"}, {Name: "seconds", Digits: 2}, {Name: "MB/s"}, {Name: "peak MB"}, {Name: "runs"}, {Name: "× fastest DuckDB", Digits: 2}}
	r := c.table(ctx, "narrow", "COUNT and SUM over a file of JSON", columns,
		"`SELECT COUNT(*), SUM(fare), SUM(tip)` over the events, which needs two of 20 fields. Only the query's time counts, in a process of its own; all must answer the same. "+
			"Leat walks each record to its end; `leat-projected` leaves it behind the last of the two (`validation = 'projected'`).", in.String()+".")
	version, err := measure.DuckDBVersion(ctx)
	if err != nil {
		return nil, err
	}
	r.Versions = append(r.Versions, report.Version{Name: linked, Version: version})
	command := func(f func(ctx context.Context, input string, cores int) (*exec.Cmd, error)) func(context.Context, task, string) (result, error) {
		return func(ctx context.Context, t task, dir string) (result, error) {
			cmd, err := f(ctx, t.input.path, t.cores)
			if err != nil {
				return result{}, err
			}
			var out bytes.Buffer
			u, err := measure.RunInto(cmd, t.cores, &out)
			answer, _, _ := strings.Cut(out.String(), "\n")
			return result{Usage: u, Output: measure.Output{Sums: answer}}, err
		}
	}
	leat := func(name string, options ...string) program {
		return program{name: name, ours: true, run: func(ctx context.Context, t task, dir string) (result, error) {
			return command(func(ctx context.Context, input string, cores int) (*exec.Cmd, error) {
				return child(ctx, "count-leat", append([]string{input, strconv.Itoa(cores), filepath.Join(dir, "data")}, options...)...)
			})(ctx, t, dir)
		}}
	}
	all := []program{
		leat("leat"),
		leat("leat-projected", "validation = 'projected'"),
		{name: linked, duckdb: true, run: command(func(ctx context.Context, input string, cores int) (*exec.Cmd, error) {
			return child(ctx, "count-duckdb", input, strconv.Itoa(cores))
		})},
	}
	if err := installed(ctx, c, r, func(p peer.Peer) {
		if p.Count != nil {
			all = append(all, program{name: p.Name, duckdb: strings.HasPrefix(p.Name, "duckdb"), run: command(p.Count)})
		}
	}); err != nil {
		return nil, err
	}
	figure := chart.Bars{Title: "COUNT and SUM over a file of JSON", Subtitle: "MB of JSON a second, more is better; " + in.String() + "; medians"}
	for _, cores := range c.cores {
		list, err := contest(ctx, c, task{input: in, cores: cores, layout: taxi.NewLayout(1)}, all)
		if err != nil {
			return nil, err
		}
		best, group := fastest(list), chart.Group{Name: plural(cores, "core")}
		for _, s := range list {
			if s.failed != nil {
				r.Leave(fmt.Sprintf("%s, %d cores", s.program.name, cores), reason(s.failed))
				continue
			}
			m := s.median()
			took := m.Took.Seconds()
			if err := r.Add(int64(cores), s.program.name, took, float64(in.size)/1e6/took, float64(m.Peak)/1e6, int64(len(s.runs)), best/took); err != nil {
				return nil, err
			}
			group.Bars = append(group.Bars, chart.Bar{Name: s.program.name, Value: float64(in.size) / 1e6 / took, Ours: s.program.ours})
		}
		figure.Groups = append(figure.Groups, group)
	}
	return r, c.draw(r, "", figure)
}

// linear is what ten times the rows cost.
func linear(ctx context.Context, c config) (*report.Table, error) {
	columns := []report.Column{{Name: "cores"}, {Name: "rows"}, {Name: "program"}, {Name: "seconds", Digits: 2}, {Name: "MB/s"}, {Name: "peak MB"},
		{Name: "runs"}, {Name: "× time of a tenth", Digits: 2}, {Name: "× memory", Digits: 2}}
	r := c.table(ctx, "linear", "Ten times the rows", columns, "The job of the table batch into 12 partitions, on a file and on one of ten times the rows.")
	c.peers = nil
	all, err := programs(ctx, c, r)
	if err != nil {
		return nil, err
	}
	for _, cores := range c.cores {
		tenth := map[string]result{}
		for _, rows := range []int64{c.rows, 10 * c.rows} {
			in, err := c.input(rows, 0)
			if err != nil {
				return nil, err
			}
			list, err := contest(ctx, c, task{input: in, cores: cores, layout: taxi.NewLayout(12)}, all)
			if err != nil {
				return nil, err
			}
			for _, s := range list {
				m := s.median()
				var times, memory any
				if small, ok := tenth[s.program.name]; ok {
					times, memory = m.Took.Seconds()/small.Took.Seconds(), float64(m.Peak)/float64(small.Peak)
				}
				tenth[s.program.name] = m
				if err := r.Add(int64(cores), rows, s.program.name, m.Took.Seconds(), float64(in.size)/1e6/m.Took.Seconds(), float64(m.Peak)/1e6,
					int64(len(s.runs)), times, memory); err != nil {
					return nil, err
				}
			}
		}
	}
	return r, nil
}

// commits is what exactness costs.
func commits(ctx context.Context, c config) (*report.Table, error) {
	in, err := c.input(c.rows, 0)
	if err != nil {
		return nil, err
	}
	columns := []report.Column{{Name: "cores"}, {Name: "partitions"}, {Name: "commits every"}, {Name: "commits"}, {Name: "seconds", Digits: 2}, {Name: "MB/s"},
		{Name: "peak MB"}, {Name: "files"}, {Name: "out MB", Digits: 1}, {Name: "runs"}, {Name: "cost %", Digits: 1}}
	r := c.table(ctx, "commits", "What exactness costs", columns,
		"The job of the table batch with commits as often as said; \"at the end\" is one commit, when the file has been read. Cost is the time above that of the last.", in.String()+".")
	for _, cores := range c.cores {
		for _, p := range c.partitions {
			var all []program
			intervals := []string{"1s", "10s", "60s", "at the end"}
			for _, every := range intervals {
				o := []string{"commit_interval = '" + every + "'"}
				if every == "at the end" {
					o = []string{"commit_interval = '24h'", "commit_size = '1TB'"}
				}
				all = append(all, leat(c, every, o))
			}
			list, err := contest(ctx, c, task{input: in, cores: cores, layout: taxi.NewLayout(p)}, all)
			if err != nil {
				return nil, err
			}
			none := list[len(list)-1].median().Took
			for i, s := range list {
				m := s.median()
				if err := r.Add(int64(cores), int64(p), intervals[i], m.commits, m.Took.Seconds(), float64(in.size)/1e6/m.Took.Seconds(), float64(m.Peak)/1e6,
					int64(m.Files), float64(m.Bytes)/1e6, int64(len(s.runs)), 100*(m.Took.Seconds()/none.Seconds()-1)); err != nil {
					return nil, err
				}
			}
		}
	}
	return r, nil
}

// memory is what Leat holds, busy and idle.
func memory(ctx context.Context, c config) (*report.Table, error) {
	in, err := c.input(c.rows, 0)
	if err != nil {
		return nil, err
	}
	columns := []report.Column{{Name: "what"}, {Name: "cores"}, {Name: "peak MB"}, {Name: "MB/s"}, {Name: "runs"}}
	r := c.table(ctx, "memory", "Memory", columns, "Resident memory at most of Leat's process at full speed with 500 partitions open, and of a server that has nothing to do.", in.String()+".")
	for _, cores := range c.cores {
		t := task{input: in, cores: cores, layout: taxi.NewLayout(500)}
		list, err := contest(ctx, c, t, []program{leat(c, "leat", nil)})
		if err != nil {
			return nil, err
		}
		m := list[0].median()
		if err := r.Add("500 open partitions, full speed", int64(cores), float64(m.Peak)/1e6, float64(in.size)/1e6/m.Took.Seconds(), int64(len(list[0].runs))); err != nil {
			return nil, err
		}
	}
	dir, err := os.MkdirTemp(c.dir, "idle-")
	if err != nil {
		return nil, err
	}
	defer func() { _ = os.RemoveAll(dir) }()
	idle, err := measure.Idle(exec.CommandContext(ctx, c.leat, "serve", "--data", filepath.Join(dir, "data"), "--mysql", "127.0.0.1:0", "--http", "127.0.0.1:0"), 5*time.Second)
	if err != nil {
		return nil, err
	}
	return r, r.Add("idle server", nil, float64(idle)/1e6, nil, int64(1))
}
