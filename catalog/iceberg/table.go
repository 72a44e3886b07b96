package iceberg

import (
	"cmp"
	"context"
	"encoding/json"
	"fmt"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/apache/iceberg-go"
	"github.com/apache/iceberg-go/table"

	"github.com/leatdb/leat/catalog"
	"github.com/leatdb/leat/sql/sqlerror"
	"github.com/leatdb/leat/sql/types"
)

// tableVersion is one immutable version of a table; it implements
// catalog.Table.
type tableVersion struct {
	lake    *Lake
	table   *table.Table
	schema  types.Schema
	ids     []int
	columns []int // the partition's
}

func newTable(l *Lake, t *table.Table) (*tableVersion, error) {
	v := &tableVersion{lake: l, table: t}
	for _, field := range t.Schema().Fields() {
		typ, err := declared(field, t.Properties())
		if err != nil {
			return nil, sqlerror.Userf(sqlerror.CodeUnsupported, "table %s, column %s: %w", v.Name(), field.Name, err)
		}
		v.schema = append(v.schema, types.Column{Name: field.Name, Type: typ, NotNull: field.Required})
		v.ids = append(v.ids, field.ID)
	}
	spec := t.Spec()
	for _, field := range spec.Fields() {
		for _, source := range field.SourceIDs {
			if i := slices.Index(v.ids, source); i >= 0 && !slices.Contains(v.columns, i) && field.Transform.String() != "void" {
				v.columns = append(v.columns, i)
			}
		}
	}
	return v, nil
}

func (v *tableVersion) Name() string                  { return v.table.Identifier()[1] }
func (v *tableVersion) Schema() types.Schema          { return v.schema }
func (v *tableVersion) FieldIDs() []int               { return v.ids }
func (v *tableVersion) PartitionColumns() []int       { return v.columns }
func (v *tableVersion) Location() string              { return v.table.Location() }
func (v *tableVersion) Properties() map[string]string { return v.table.Properties() }

func (v *tableVersion) Version() string {
	snapshot := int64(0)
	if s := v.table.CurrentSnapshot(); s != nil {
		snapshot = s.SnapshotID
	}
	return fmt.Sprintf("%d.%d", snapshot, v.table.Schema().ID)
}

// Size implements catalog.Sized, from the summary of the newest snapshot.
func (v *tableVersion) Size() (rows, bytes int64, ok bool) {
	s := v.table.CurrentSnapshot()
	if s == nil {
		return 0, 0, true
	}
	if s.Summary == nil {
		return 0, 0, false
	}
	rows, errRows := strconv.ParseInt(s.Summary.Properties["total-records"], 10, 64)
	bytes, errBytes := strconv.ParseInt(s.Summary.Properties["total-files-size"], 10, 64)
	return rows, bytes, errRows == nil && errBytes == nil
}

func (v *tableVersion) Plan(ctx context.Context, where []catalog.Predicate) ([]catalog.DataFile, error) {
	filter := v.filter(where)
	tasks, err := v.table.Scan(table.WithRowFilter(filter), table.WithCaseSensitive(true)).PlanFiles(ctx)
	if err != nil {
		return nil, catalogError("plan reading "+v.Name(), err)
	}
	files := make([]catalog.DataFile, 0, len(tasks))
	for _, task := range tasks {
		deletes := len(task.DeleteFiles)+len(task.EqualityDeleteFiles)+len(task.DeletionVectorFiles) > 0
		// A large file comes as several ranges, one behind the other.
		if task.Start > 0 {
			continue
		}
		files = append(files, catalog.DataFile{
			Path: task.File.FilePath(), Format: strings.ToLower(string(task.File.FileFormat())),
			Rows: task.File.Count(), Bytes: task.File.FileSizeBytes(),
			Partition: v.partition(task.File), Deletes: deletes,
		})
	}
	return files, nil
}

// partition prints the partition values of a file; NULL is nil.
func (v *tableVersion) partition(f iceberg.DataFile) map[string]any {
	spec := v.table.Metadata().PartitionSpecByID(int(f.SpecID()))
	if spec == nil || spec.NumFields() == 0 {
		return nil
	}
	data := f.Partition()
	values := make(map[string]any, spec.NumFields())
	for _, field := range spec.Fields() {
		value := data[field.FieldID]
		name := field.Name
		source, ok := v.table.Schema().FindFieldByID(field.SourceIDs[0])
		if ok && name == fieldName(source.Name) {
			name = source.Name
		}
		switch {
		case value == nil:
			values[name] = nil
		case !ok:
			values[name] = fmt.Sprint(value)
		default:
			values[name] = field.Transform.ToHumanStrType(source.Type, value)
		}
	}
	return values
}

func (v *tableVersion) Partitions(ctx context.Context) ([]catalog.PartitionInfo, error) {
	files, err := v.Plan(ctx, nil)
	if err != nil {
		return nil, err
	}
	byKey := map[string]*catalog.PartitionInfo{}
	var keys []string
	for _, f := range files {
		var parts []string
		for name, value := range f.Partition {
			parts = append(parts, fmt.Sprintf("%q=%#v", name, value))
		}
		slices.Sort(parts)
		key := strings.Join(parts, ",")
		p := byKey[key]
		if p == nil {
			p = &catalog.PartitionInfo{Values: f.Partition}
			byKey[key] = p
			keys = append(keys, key)
		}
		p.Files++
		p.Rows += f.Rows
		p.Bytes += f.Bytes
	}
	slices.Sort(keys)
	infos := make([]catalog.PartitionInfo, len(keys))
	for i, key := range keys {
		infos[i] = *byKey[key]
	}
	return infos, nil
}

// The keys of a snapshot's summary by which Commits knows what a stream
// committed: those of package catalog.
const (
	SummaryStream     = catalog.SummaryStream
	SummaryGeneration = catalog.SummaryGeneration
	SummaryEpoch      = catalog.SummaryEpoch
	SummaryRows       = catalog.SummaryRows
	SummaryDead       = catalog.SummaryDead
	SummaryFiles      = catalog.SummaryFiles
	SummaryBytes      = catalog.SummaryBytes
	SummaryPositions  = catalog.SummaryPositions
	SummaryDataLoss   = catalog.SummaryDataLoss
	SummaryPending    = catalog.SummaryPending
	SummaryCompletes  = catalog.SummaryCompletes
)

// DeadLetterTable is the table of a lake that takes what could not be landed.
const DeadLetterTable = catalog.DeadLetterTable

func (v *tableVersion) Commits(ctx context.Context) ([]catalog.Commit, error) {
	var commits []catalog.Commit
	pending := false
	for _, s := range v.table.Metadata().Snapshots() {
		if s.Summary == nil || s.Summary.Properties[SummaryStream] == "" {
			continue
		}
		p := s.Summary.Properties
		number := func(key string) int64 { n, _ := strconv.ParseInt(p[key], 10, 64); return n }
		c := catalog.Commit{
			Stream: p[SummaryStream], Generation: number(SummaryGeneration), Epoch: number(SummaryEpoch),
			CommittedAt: time.UnixMilli(s.TimestampMs).UTC(),
			RowsLanded:  number(SummaryRows), RowsDead: number(SummaryDead),
			Files: number(SummaryFiles), Bytes: number(SummaryBytes),
			Positions: p[SummaryPositions], DataLoss: p[SummaryDataLoss], SnapshotID: s.SnapshotID,
		}
		if c.Positions == "" {
			c.Positions = v.newestPositions(c.Stream, c.Epoch)
		}
		if p[SummaryPending] == "" {
			c.CompletedAt = c.CommittedAt
		} else {
			pending = true
		}
		commits = append(commits, c)
	}
	if pending {
		if err := v.complete(ctx, commits); err != nil {
			return nil, err
		}
	}
	slices.SortStableFunc(commits, func(a, b catalog.Commit) int {
		return cmp.Or(b.CommittedAt.Compare(a.CommittedAt), cmp.Compare(b.Epoch, a.Epoch), cmp.Compare(b.Generation, a.Generation))
	})
	return commits, nil
}

// newestPositions are the positions of a stream's last epoch, which its state
// keeps where they are too long for every snapshot; "" for other epochs.
func (v *tableVersion) newestPositions(stream string, epoch int64) string {
	var state struct {
		Epoch     int64           `json:"epoch"`
		Positions json.RawMessage `json:"positions"`
	}
	text := v.table.Properties()["leat.stream."+stream]
	if json.Unmarshal([]byte(text), &state) != nil || state.Epoch != epoch {
		return ""
	}
	return string(state.Positions)
}

// complete finds out when pending output was published. That of an epoch is,
// at the latest, when the stream's next epoch is committed.
func (v *tableVersion) complete(ctx context.Context, commits []catalog.Commit) error {
	published := map[string]time.Time{}
	letters, err := v.lake.load(ctx, DeadLetterTable)
	if e := sqlerror.As(err); err != nil && (e == nil || e.Code != sqlerror.CodeUnknownObject) {
		return err
	}
	if err == nil {
		for _, s := range letters.Metadata().Snapshots() {
			if s.Summary != nil && s.Summary.Properties[SummaryCompletes] != "" {
				published[s.Summary.Properties[SummaryCompletes]] = time.UnixMilli(s.TimestampMs).UTC()
			}
		}
	}
	for i := range commits {
		c := &commits[i]
		if !c.CompletedAt.IsZero() {
			continue
		}
		if at, ok := published[catalog.Completes(v.Name(), c.Stream, c.Epoch)]; ok {
			c.CompletedAt = at
			continue
		}
		for _, later := range commits {
			if later.Stream == c.Stream && later.Epoch > c.Epoch && (c.CompletedAt.IsZero() || later.CommittedAt.Before(c.CompletedAt)) {
				c.CompletedAt = later.CommittedAt
			}
		}
	}
	return nil
}

func (v *tableVersion) Open(ctx context.Context, name string) (catalog.File, error) {
	io := &fileIO{ctx: ctx, store: v.lake.opts.Store}
	store, key, err := io.locate(name)
	if err != nil {
		return nil, err
	}
	return store.Open(ctx, key)
}
