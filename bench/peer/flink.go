package peer

import (
	"context"
	_ "embed"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"text/template"
	"time"

	"github.com/leatdb/leat/bench/taxi"
	"github.com/leatdb/leat/internal/services"
)

//go:embed flink/land.sql.tmpl
var flinkSQL string

var flinkTemplate = template.Must(template.New("land.sql").Parse(flinkSQL))

// FlinkConfig is what its statements are made of: a topic up to its end, and a
// folder.
type FlinkConfig struct {
	Brokers, Topic string
	Out            string
	Layout         taxi.Layout
	Run            int // tells the tables of one run from those of another
}

// Partition is the column to partition by.
func (c FlinkConfig) Partition() string { return c.Layout.Column }

// Shuffle sends the rows of a partition to one writer; without it each writer
// has a file for each partition.
func (c FlinkConfig) Shuffle() bool { return c.Layout.Partitions > 100 }

// Extra is the column beside the result's, and ExtraType its definition.
func (c FlinkConfig) Extra() string {
	switch c.Layout.Column {
	case "month":
		return ", CAST(MONTH(CAST(pickup_at AS TIMESTAMP(3))) AS INT)"
	case "bucket":
		return fmt.Sprintf(", CAST(MOD(trip_id, %d) AS INT)", c.Layout.Partitions)
	}
	return ""
}

// ExtraType is the definition of the column of Extra.
func (c FlinkConfig) ExtraType() string {
	if c.Extra() == "" {
		return ""
	}
	return ", `" + c.Layout.Column + "` INT"
}

// Statements are the SQL of the job, the last of which is the INSERT.
func (c FlinkConfig) Statements() ([]string, error) {
	var b strings.Builder
	if err := flinkTemplate.Execute(&b, c); err != nil {
		return nil, err
	}
	var list []string
	for s := range strings.SplitSeq(b.String(), ";\n") {
		if s = strings.TrimSpace(s); s != "" {
			list = append(list, s)
		}
	}
	return list, nil
}

// RunFlink runs the job on a cluster and returns how long Flink says it took,
// without the start of the cluster. The files get the suffix that Flink leaves
// away.
func RunFlink(ctx context.Context, f *services.Flink, c FlinkConfig) (time.Duration, error) {
	statements, err := c.Statements()
	if err != nil {
		return 0, err
	}
	job := ""
	for _, s := range statements {
		if job, err = f.Exec(ctx, s); err != nil {
			return 0, err
		}
	}
	took, err := f.AwaitJob(ctx, job)
	if err != nil {
		return 0, err
	}
	return took, filepath.WalkDir(c.Out, func(path string, d fs.DirEntry, err error) error {
		if err != nil || d.IsDir() || !strings.HasPrefix(d.Name(), "part-") {
			return err
		}
		return os.Rename(path, path+".parquet")
	})
}
