//go:build gms_pure_go && duckdb_arrow

package main

import (
	"fmt"
	"os"
	"strings"

	"github.com/google/pprof/profile"
)

// stage is a part of the way of a record. A sample belongs to the stage of the
// innermost frame that any stage names, and there to the first that does.
type stage struct {
	name   string
	frames []string // how the full names of functions begin
}

const (
	leat = "github.com/leatdb/leat/"
	lake = leat + "connectors/lake."
	file = leat + "connectors/lake/parquetfile."
)

var stages = []stage{
	{"fetch", []string{leat + "connectors/files."}},
	{"decode", []string{leat + "connectors/format/"}},
	{"evaluate", []string{leat + "engine/operator.", leat + "engine/kernel."}},
	{"partition", []string{
		lake + "(*router)", lake + "(*keyField)", lake + "(*numberTable)", lake + "numberInts", lake + "(*laneWriter).spread",
		file + "(*Appender)", file + "(*source)",
	}},
	{"compress", []string{file + "zstdCodec", file + "plainCodec", file + "snappyCodec", file + "(*gzipCodec)"}},
	{"encode", []string{file}},
	{"upload", []string{lake + "(*uploads)", lake + "(*lazySink)", leat + "internal/objectstore."}},
	{"commit", []string{lake, leat + "catalog", leat + "connectors/lake/protocol.", "github.com/apache/iceberg-go"}},
	{"garbage", []string{"runtime.gcBgMarkWorker", "runtime.gcAssistAlloc", "runtime.bgsweep", "runtime.bgscavenge", "runtime.gcStart"}},
	{"rest", nil}, // the start of the process, statements, the scheduler
}

// shared are frames that more than one stage uses: who called them counts.
var shared = []string{
	file + "(*blocks)", file + "(*Pool)", file + "(*Rows)", file + "(*slab)", file + "(*arena)", file + "mapMemory", file + "gather", file + "resize",
	file + "(*integers)", file + "(*narrower)", file + "narrow", file + "shrink", file + "putInt", file + "intAt",
}

// tally is the samples of some CPU profiles, in total and by stage.
type tally struct {
	samples int64
	stage   []int64
}

// add counts the samples of a profile.
func (t *tally) add(path string) error {
	f, err := os.Open(path)
	if err != nil {
		return err
	}
	defer f.Close()
	p, err := profile.Parse(f)
	if err != nil {
		return fmt.Errorf("read profile %s: %w", path, err)
	}
	if t.stage == nil {
		t.stage = make([]int64, len(stages))
	}
	for _, s := range p.Sample {
		t.samples += s.Value[0]
		t.stage[stageOf(s)] += s.Value[0]
	}
	return nil
}

func stageOf(s *profile.Sample) int {
	for _, location := range s.Location {
		for _, line := range location.Line { // inlined functions come first
			if begins(line.Function.Name, shared) {
				continue
			}
			for i, stage := range stages {
				if begins(line.Function.Name, stage.frames) {
					return i
				}
			}
		}
	}
	return len(stages) - 1
}

func begins(name string, prefixes []string) bool {
	for _, p := range prefixes {
		if strings.HasPrefix(name, p) {
			return true
		}
	}
	return false
}
