package main

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"time"

	"github.com/leatdb/leat/bench/measure"
	"github.com/leatdb/leat/bench/peer"
	"github.com/leatdb/leat/bench/report"
	"github.com/leatdb/leat/bench/taxi"
)

// task is what programs are compared on: a line of a table for each of them.
type task struct {
	input  input
	cores  int
	layout taxi.Layout
}

// program does tasks.
type program struct {
	name   string
	duckdb bool // one of those that the others are measured by
	ours   bool
	// run does the task in an empty folder.
	run func(ctx context.Context, t task, dir string) (result, error)
}

// result is one run of one program.
type result struct {
	measure.Usage
	measure.Output
	commits int64 // of Leat's table
}

// standing is what came of a program's runs.
type standing struct {
	program program
	runs    []result
	failed  error
}

func (s standing) median() result {
	return measure.Median(s.runs, func(r result) time.Duration { return r.Took })
}

// contest lets the programs do a task in turns, so that what else the machine
// does falls on all of them; who begins changes from round to round. Each must
// find the same sums. One that fails, or finds others, is out, with the reason;
// that Leat and the linked DuckDB fail or differ is an error.
func contest(ctx context.Context, c config, t task, programs []program) ([]standing, error) {
	list := make([]standing, len(programs))
	used := make([]time.Duration, len(programs))
	for i, p := range programs {
		list[i].program = p
	}
	reference := ""
	for round := range c.runs {
		for k := range programs {
			i := (k + round) % len(programs)
			s := &list[i]
			if s.failed != nil || round > 0 && used[i] > c.budget {
				continue
			}
			begun := time.Now()
			r, err := once(ctx, c, t, s.program)
			used[i] += time.Since(begun)
			if ctx.Err() != nil {
				return nil, ctx.Err()
			}
			if err == nil && reference == "" {
				reference = r.Sums
			}
			if err == nil && r.Sums != reference {
				err = fmt.Errorf("the result differs: it has %s, the first program's %s", r.Sums, reference)
			}
			if err != nil {
				if s.program.ours || s.program.name == linked {
					return nil, fmt.Errorf("%s: %w", s.program.name, err)
				}
				s.failed = err
				fmt.Printf("%s is out: %v\n", s.program.name, err)
				continue
			}
			s.runs = append(s.runs, r)
			fmt.Printf("%d cores, %d partitions, round %d: %s %.2f s, %.0f MB/s, %.0f MB\n", t.cores, t.layout.Partitions, round+1, s.program.name,
				r.Took.Seconds(), float64(t.input.size)/1e6/r.Took.Seconds(), float64(r.Peak)/1e6)
		}
	}
	return list, nil
}

// once runs a program in a folder of its own. Its files are emptied then, and stay
// until all is measured: for minutes after files were deleted, ext4 without a journal
// passes over their inodes one by one for each file that somebody creates.
func once(ctx context.Context, c config, t task, p program) (r result, err error) {
	dir, err := os.MkdirTemp(c.scratch, "run-")
	if err != nil {
		return r, err
	}
	defer func() { err = errors.Join(err, empty(dir)) }()
	return p.run(ctx, t, dir)
}

// empty takes all bytes out of the files below a folder.
func empty(dir string) error {
	return filepath.WalkDir(dir, func(path string, d fs.DirEntry, err error) error {
		if err != nil || !d.Type().IsRegular() {
			return err
		}
		return os.Truncate(path, 0)
	})
}

// reason is an error in a line.
func reason(err error) string {
	var kept []string
	for line := range strings.Lines(err.Error()) {
		if line = strings.TrimSpace(line); line != "" {
			kept = append(kept, line)
		}
	}
	if n := len(kept); n > 2 { // what a program prints last is why
		kept = []string{kept[0], kept[n-1]}
	}
	s := strings.Join(kept, " … ")
	if len(s) > 300 {
		s = s[:300] + " …"
	}
	return s
}

// fastest is the seconds of the fastest DuckDB.
func fastest(list []standing) float64 {
	best := 0.0
	for _, s := range list {
		if s.program.duckdb && len(s.runs) > 0 {
			if took := s.median().Took.Seconds(); best == 0 || took < best {
				best = took
			}
		}
	}
	return best
}

var standings = []report.Column{
	{Name: "cores"}, {Name: "partitions"}, {Name: "program"}, {Name: "seconds", Digits: 2}, {Name: "MB/s"}, {Name: "k rows/s"},
	{Name: "CPU s", Digits: 2}, {Name: "peak MB"}, {Name: "out MB", Digits: 1}, {Name: "files"}, {Name: "runs"}, {Name: "× fastest DuckDB", Digits: 2},
}

// enter adds what came of a task to a table of standings.
func enter(r *report.Table, t task, list []standing) error {
	best := fastest(list)
	for _, s := range list {
		if s.failed != nil {
			r.Leave(fmt.Sprintf("%s, %d cores, %d partitions", s.program.name, t.cores, t.layout.Partitions), reason(s.failed))
			continue
		}
		m := s.median()
		took := m.Took.Seconds()
		var ratio any
		if best > 0 {
			ratio = best / took
		}
		if err := r.Add(int64(t.cores), int64(t.layout.Partitions), s.program.name, took, float64(t.input.size)/1e6/took,
			float64(t.input.rows)/1e3/took, m.CPU.Seconds(), float64(m.Peak)/1e6, float64(m.Bytes)/1e6, int64(m.Files), int64(len(s.runs)), ratio); err != nil {
			return err
		}
	}
	return nil
}

// linked is the name of DuckDB in the version that Leat links.
const linked = "duckdb"

// programs are Leat, the linked DuckDB and the peers that are installed; the
// table learns versions and who is left out.
func programs(ctx context.Context, c config, r *report.Table) ([]program, error) {
	version, err := measure.DuckDBVersion(ctx)
	if err != nil {
		return nil, err
	}
	r.Versions = append(r.Versions, report.Version{Name: linked, Version: version})
	list := []program{leat(c, "leat", nil), {name: linked, duckdb: true, run: landDuckDB}}
	err = installed(ctx, c, r, func(p peer.Peer) {
		list = append(list, program{name: p.Name, duckdb: strings.HasPrefix(p.Name, "duckdb"), run: func(ctx context.Context, t task, dir string) (result, error) {
			out := filepath.Join(dir, "out")
			cmd, err := p.Land(ctx, peer.Job{Input: t.input.path, Out: out, Cores: t.cores, Layout: t.layout})
			if err != nil {
				return result{}, err
			}
			u, err := measure.Run(cmd, t.cores)
			if err != nil {
				return result{}, err
			}
			o, err := measure.Look(ctx, out, measure.TripSums)
			return result{Usage: u, Output: o}, err
		}})
	})
	return list, err
}

// installed calls f for each wanted peer that answers.
func installed(ctx context.Context, c config, r *report.Table, f func(p peer.Peer)) error {
	for _, p := range peer.All() {
		wanted := false
		for _, name := range c.peers {
			wanted = wanted || name == p.Name
		}
		if !wanted {
			continue
		}
		version, err := p.Version(ctx)
		if ctx.Err() != nil {
			return ctx.Err()
		}
		if err != nil {
			r.Leave(p.Name, reason(err))
			continue
		}
		r.Versions = append(r.Versions, report.Version{Name: p.Name, Version: version})
		f(p)
	}
	return nil
}
