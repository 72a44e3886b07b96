package catalog

import (
	"context"
	"fmt"
	"time"

	"github.com/leatdb/leat/internal/objectstore"
	"github.com/leatdb/leat/sql/types"
)

// Committer commits to one table: adds files and changes properties in one act.
// Committers of one table take turns within a process; those of other processes
// are noticed when they were faster.
type Committer interface {
	// Update commits what decide makes of the table's version; nil means that
	// there is nothing to do. A version that this process knows already is used
	// first, unless fresh is set or the last attempt failed.
	//
	// After an error, whatever it is, the change may or may not be committed:
	// calling Update again shows decide the newest version, from which it can
	// tell. A change is never applied to another version than the one it was
	// decided on.
	Update(ctx context.Context, fresh bool, decide func(Version) (*Change, error)) (Version, error)
	// Settle makes the files of commits that have happened visible where a
	// commit alone does not. It can be repeated, by any process. An error that is
	// not retryable, with sqlerror.CodeDataLoss, says that files of the
	// committer's own stream are lost.
	Settle(ctx context.Context) error
	// Sweep throws staged files away that are in no commit and whose names mine
	// picks.
	Sweep(ctx context.Context, mine func(name string) bool) error
	// Maintain keeps the table's metadata small. What it leaves undone the next
	// call does.
	Maintain(ctx context.Context, retention time.Duration) error
}

type progressKey struct{}

// Step is how far a Committer has come with what has many parts.
type Step struct {
	What        string // it is at, such as "registering partitions of t"
	Done, Total int    // Total is 0 where it is not known
}

// String is the step as people read it.
func (s Step) String() string {
	if s.Total == 0 {
		return fmt.Sprintf("%s: %d", s.What, s.Done)
	}
	return fmt.Sprintf("%s: %d of %d", s.What, s.Done, s.Total)
}

// WithProgress is a context whose holder, as those of the contexts that it was made of,
// learns that a Committer gets on with what has many parts: f is called when some of
// them are done, by any goroutine.
func WithProgress(ctx context.Context, f func(Step)) context.Context {
	outer := ctx
	return context.WithValue(ctx, progressKey{}, func(s Step) {
		f(s)
		Progress(outer, s)
	})
}

// Progress tells the holders of the context.
func Progress(ctx context.Context, s Step) {
	if f, ok := ctx.Value(progressKey{}).(func(Step)); ok {
		f(s)
	}
}

// Target is a table that is ready to be written to.
type Target struct {
	Committer
	// Columns of the stream's schema, in its order.
	Columns []TargetColumn
	Spec    []SpecField
	// FileColumns are the names of all columns of the table's files, in the
	// table's order, where a format needs them.
	FileColumns []string
	// Location is the table's folder, a URI below the lake's.
	Location string
}

// TargetColumn is a column of a table as a writer has to write it.
type TargetColumn struct {
	ID   int
	Name string
	// Type is the plainest type of what is stored.
	Type     types.Type
	Required bool
}

// PartitionField is one element of a partition spec.
type PartitionField struct {
	Name   string
	Column int // index in the stream's schema
	// Transform is "identity", "day", "hour", "bucket[n]" or "truncate[n]".
	Transform string
}

// SpecField is a field of the table's partition spec.
type SpecField struct {
	PartitionField
	ID int
}

// Version is what a table is at one moment.
type Version struct {
	// Properties of the table.
	Properties map[string]string
	// SnapshotID is the current snapshot, 0 if there is none.
	SnapshotID int64
	// Location is the table's folder.
	Location string
	// Dropped has, where names of files depend on it, the last generation of
	// each stream that wrote to the table and was dropped.
	Dropped map[string]int64
}

// Change is what one commit does to a table: a snapshot, always, and
// properties, in one act.
type Change struct {
	// Files are added. None makes an empty snapshot.
	Files []NewFile
	// Objects outside of the table exist once the commit is settled. Only tables of
	// plain folders can have them.
	Objects []NewObject
	// Summary goes into the snapshot's summary.
	Summary map[string]string
	// Set and Remove are properties. The commit is refused when one of them has
	// changed since the version that the change was decided on.
	Set    map[string]string
	Remove []string
}

// NewFile is a file that was written and is to be added to a table.
type NewFile struct {
	Path        string // URI
	Rows, Bytes int64
	// Partition has a value per field of the table's partition spec, the
	// transform's result: nil, bool, int32 (also dates, days, hours, buckets),
	// int64 (also times, in µs), float32, float64, string, []byte or
	// decimal128.Num.
	Partition    []any
	SplitOffsets []int64
	// Columns are statistics; columns may be missing.
	Columns []ColumnStats
	// Upload is set where the file is staged and the commit lets it exist.
	Upload *objectstore.Upload
}

// NewObject is an object that was staged outside of a table.
type NewObject struct {
	Root    string // URI that the upload's key is relative to
	Upload  objectstore.Upload
	Records int64
}

// ColumnStats describe a column of a data file. Bounds are in Iceberg's
// single-value serialization, nil where nothing is known.
type ColumnStats struct {
	ID                   int
	Bytes, Values, Nulls int64
	Lower, Upper         []byte
}

// The keys of a commit's summary by which Table.Commits knows what a stream
// committed.
const (
	SummaryStream     = "leat.stream"
	SummaryGeneration = "leat.generation"
	SummaryEpoch      = "leat.epoch"
	SummaryRows       = "leat.rows-landed"
	SummaryDead       = "leat.rows-dead"
	SummaryFiles      = "leat.files"
	SummaryBytes      = "leat.bytes"
	SummaryPositions  = "leat.positions"
	SummaryFrom       = "leat.positions-before"
	SummaryDataLoss   = "leat.data-loss"
	// SummaryPending is set when an epoch has output that is published after its
	// commit, SummaryCompletes, "<table>/<stream>/<epoch>", on the commit of
	// DeadLetterTable that did so.
	SummaryPending   = "leat.pending"
	SummaryCompletes = "leat.completes"
)

// Completes is the value of SummaryCompletes.
func Completes(tableName, stream string, epoch int64) string {
	return fmt.Sprintf("%s/%s/%d", tableName, stream, epoch)
}

// DeadLetterTable is the table of a lake that takes what could not be landed.
const DeadLetterTable = "_dead_letters"

// Definition is the table that a stream wants to write to.
type Definition struct {
	Name      string
	Schema    types.Schema
	Partition []PartitionField
	// Adopt registers metadata that lies at the table's place and that the
	// catalog does not know. Without it such a place is refused.
	Adopt bool
	// Format is that of the table's files: "parquet", "json" or "csv".
	Format string
	// Options of the files that readers have to know.
	Options map[string]string
	// PathTemplate is the form of the folders of plain files, as hive.Template has
	// it; empty for name=value/….
	PathTemplate string
	// Stream is the one that wants to write.
	Stream string
	// Writers says who writes to a table that exists, from its properties; nil
	// means nobody.
	Writers func(properties map[string]string) Writers
}

// Writers are the streams that write to a table.
type Writers struct {
	// Started says that the stream in question has written before, Columns which
	// field ids it wrote then.
	Started bool
	Columns []int
	// Others names the other streams.
	Others []string
}
