package planner

import (
	"fmt"
	"strconv"
	"strings"
	"time"

	"github.com/leatdb/leat/connectors"
	"github.com/leatdb/leat/planner/logical"
)

// ExplainInfo is what EXPLAIN shows beside the plan; the engine knows it. Empty
// fields are left out.
type ExplainInfo struct {
	Sink, Table, Path        string
	TableFormat, Compression string
	CommitInterval           time.Duration
	TargetFileSize           int64 // bytes
	// Partitions estimates how many partitions one commit writes to; 0 is
	// unknown.
	Partitions int
	Connector  string
	Format     string // of the source's records
	Lanes      int
	Splits     int      // of the source; −1 when they could not be listed
	Reading    []string // how the source reads, in its own words
}

// manyFiles is the number of files an hour above which EXPLAIN warns: a reader
// opens each of them.
const manyFiles = 1000

// Explain prints the physical plan as a tree, the sink on top.
func (p *StreamPlan) Explain(info ExplainInfo) string {
	x := &explanation{}
	x.line(0, "Stream %s", p.Name)
	x.sink(p, info)
	depth := 2
	for n := p.Logical; ; n = n.Inputs()[0] {
		if _, ok := n.(*logical.Scan); ok {
			break
		}
		switch n := n.(type) {
		case *logical.Project:
			x.line(depth, "Project")
			for _, e := range n.Exprs {
				if s := e.Expr.String(); s != e.Column.Name {
					x.line(depth+1, "%s = %s", e.Column.Name, s)
				} else {
					x.line(depth+1, "%s", s)
				}
			}
		default:
			x.line(depth, "%s", n)
		}
		depth++
	}
	x.source(p, info, depth)
	if len(p.RowFuncs) > 0 {
		names := make([]string, len(p.RowFuncs))
		for i, f := range p.RowFuncs {
			names[i] = strings.ToUpper(f)
		}
		x.line(0, "Row by row (no kernel): %s", strings.Join(names, ", "))
	}
	return x.b.String()
}

type explanation struct{ b strings.Builder }

func (x *explanation) line(depth int, format string, args ...any) {
	x.b.WriteString(strings.Repeat("  ", depth))
	fmt.Fprintf(&x.b, format, args...)
	x.b.WriteByte('\n')
}

func (x *explanation) sink(p *StreamPlan, info ExplainInfo) {
	target := strings.Trim(info.Sink+"."+info.Table, ".")
	if info.Path != "" {
		target += " in " + info.Path
	}
	if how := list(info.TableFormat, info.Compression); how != "" {
		target += " (" + how + ")"
	}
	x.line(1, "%s", strings.TrimSpace("Sink "+target))
	if len(p.Partition) > 0 {
		parts := make([]string, len(p.Partition))
		for i, f := range p.Partition {
			parts[i] = f.Name
			if f.Transform != "identity" {
				parts[i] += " = " + f.Transform + " of " + p.Output[f.Column].Name
			}
		}
		x.line(2, "partitioned by %s", strings.Join(parts, ", "))
	}
	if info.CommitInterval > 0 {
		when := "commits every " + duration(info.CommitInterval)
		if info.TargetFileSize > 0 {
			when += ", files up to " + connectors.FormatSize(info.TargetFileSize)
		}
		x.line(2, "%s", when)
		x.files(p, info)
	}
}

// files estimates the files an hour: each lane writes one per partition and
// commit.
func (x *explanation) files(p *StreamPlan, info ExplainInfo) {
	commits := int64(time.Hour / info.CommitInterval)
	partitions := 1
	if len(p.Partition) > 0 {
		partitions = info.Partitions
	}
	lanes := max(1, info.Lanes)
	if partitions == 0 {
		x.line(2, "at least %s an hour (%s, %s), times the partitions that a commit writes to",
			count(commits*int64(lanes), "file"), count(commits, "commit"), count(int64(lanes), "lane"))
		return
	}
	files := commits * int64(lanes) * int64(partitions)
	x.line(2, "up to %s an hour (%s, %s, %s)", count(files, "file"),
		count(commits, "commit"), count(int64(lanes), "lane"), count(int64(partitions), "partition"))
	if files > manyFiles {
		x.line(2, "warning: more than %d files an hour; a longer commit_interval makes fewer", manyFiles)
	}
}

func (x *explanation) source(p *StreamPlan, info ExplainInfo, depth int) {
	source := "Source " + p.Source.Name
	if how := list(info.Connector, info.Format); how != "" {
		source += " (" + how + ")"
	}
	x.line(depth, "%s", source)
	var columns, paths []string
	for _, f := range p.Source.Fields {
		text := f.Column.Name
		if f.Mode != connectors.FieldColumn {
			paths = append(paths, text)
			continue
		}
		columns = append(columns, text+" "+f.Column.Type.String())
	}
	if len(columns) > 0 {
		x.line(depth+1, "decodes %s", strings.Join(columns, ", "))
	}
	if len(paths) > 0 {
		x.line(depth+1, "extracts %s", strings.Join(paths, ", "))
	}
	if len(columns)+len(paths) == 0 {
		x.line(depth+1, "decodes no column")
	}
	if len(p.Source.Hidden) > 0 {
		x.line(depth+1, "metadata %s", strings.Join(p.Source.Hidden, ", "))
	}
	for _, line := range info.Reading {
		x.line(depth+1, "%s", line)
	}
	x.splits(info, depth+1)
}

// splits shows how splits map to lanes: in turn, which is how sources deal them
// out. Where there are fewer splits than lanes, lanes take turns at one.
func (x *explanation) splits(info ExplainInfo, depth int) {
	switch {
	case info.Splits < 0 || info.Lanes <= 0:
	case info.Splits < info.Lanes:
		x.line(depth, "%s, read by %s in turn", count(int64(info.Splits), "split"), count(int64(info.Lanes), "lane"))
	default:
		low, high := info.Splits/info.Lanes, (info.Splits+info.Lanes-1)/info.Lanes
		each := strconv.Itoa(low)
		if high > low {
			each += " or " + strconv.Itoa(high)
		}
		x.line(depth, "%s on %s, %s each", count(int64(info.Splits), "split"), count(int64(info.Lanes), "lane"), each)
	}
}

func count(n int64, what string) string {
	if n == 1 {
		return "1 " + what
	}
	return fmt.Sprintf("%d %ss", n, what)
}

// duration prints 5m0s as 5m.
func duration(d time.Duration) string {
	s := d.String()
	if strings.HasSuffix(s, "m0s") {
		s = strings.TrimSuffix(s, "0s")
	}
	if strings.HasSuffix(s, "h0m") {
		s = strings.TrimSuffix(s, "0m")
	}
	return s
}

func list(parts ...string) string {
	var out []string
	for _, s := range parts {
		if s != "" {
			out = append(out, s)
		}
	}
	return strings.Join(out, ", ")
}
