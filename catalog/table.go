package catalog

import (
	"context"
	"time"

	"github.com/leatdb/leat/sql/types"
)

// Lake is the readable side of a sink: the tables that lie in it, whoever wrote
// them. Names of tables are matched without regard to case.
type Lake interface {
	// Tables lists the names of the tables, sorted, those that begin with an
	// underscore (such as _dead_letters) included.
	Tables(ctx context.Context) ([]string, error)
	// Table loads the newest version of a table. The error carries
	// sqlerror.CodeUnknownObject if there is none.
	Table(ctx context.Context, name string) (Table, error)
	// DropTable removes a table, its data and its metadata.
	DropTable(ctx context.Context, name string) error
}

// Table is one immutable version of a lake table.
type Table interface {
	Name() string
	// Schema has the declared types: DECIMAL(20,0) that was declared BIGINT
	// UNSIGNED is BIGINT UNSIGNED.
	Schema() types.Schema
	// FieldIDs are the Iceberg field ids of Schema's columns, by which data
	// files name them; nil where columns are found by name.
	FieldIDs() []int
	// PartitionColumns are the indices in Schema of the columns the table is
	// partitioned by.
	PartitionColumns() []int
	// Location is the table's folder as a URI.
	Location() string
	// Version changes whenever the table does, its snapshot id and schema id for
	// Iceberg; equal versions read equally.
	Version() string
	// Plan lists the data files that may hold rows for which all predicates are
	// true. It prunes by partition values and column bounds; it never leaves out
	// a file that has such a row.
	Plan(ctx context.Context, where []Predicate) ([]DataFile, error)
	// Partitions lists the partitions with their sizes.
	Partitions(ctx context.Context) ([]PartitionInfo, error)
	// Commits lists what streams committed, newest first, as far back as the
	// table remembers.
	Commits(ctx context.Context) ([]Commit, error)
	// Properties of the table.
	Properties() map[string]string
	// Open reads a data or metadata file of the table.
	Open(ctx context.Context, path string) (File, error)
}

// Sized is implemented by tables that know their size without reading lists of
// files.
type Sized interface {
	// Size is the number of rows and the bytes of data files; ok is false where
	// the table does not say.
	Size() (rows, bytes int64, ok bool)
}

// File is a readable object of known size.
type File interface {
	ReadAt(p []byte, off int64) (int, error)
	Size() int64
	Close() error
}

// Op is the operator of a pruning predicate.
type Op uint8

// The operators.
const (
	OpEqual Op = iota
	OpNotEqual
	OpLess
	OpLessEqual
	OpGreater
	OpGreaterEqual
	OpIn
	OpIsNull
	OpIsNotNull
)

// Predicate is "column op values", the column by its index in Schema. Values
// are Go values of the column's kind as in logical.Literal (DECIMAL as digits,
// dates and times as Arrow holds them).
type Predicate struct {
	Column int
	Op     Op
	Values []any
}

// FormatDelimited is the format of text files without quotes, as Hive's LazySimpleSerDe
// reads them: what is not a value of its column is NULL, surplus fields are
// passed over.
const FormatDelimited = "delimited"

// Options of data files that others have made, which say how those are read.
const (
	OptionAnyCase   = "any_case"   // of JSON: whether names of members are found whatever their case
	OptionDelimiter = "delimiter"  // of delimited text: the character between fields
	OptionNullText  = "null"       // of delimited text: the field that is NULL
	OptionSkipLines = "skip_lines" // of delimited text: how many lines come before the first row
)

// DataFile is one file of a table.
type DataFile struct {
	Path   string // URI
	Format string // "parquet", "json" or "csv"
	// Compression of the whole file, "gzip", "zstd" or "none", where the format
	// has none of its own.
	Compression string
	// Options of the file's format.
	Options   map[string]string
	Rows      int64 // -1 where nobody has counted them
	Bytes     int64
	Partition map[string]any // by partition field name: a string, printed, or nil for NULL
	// Constants are values of columns, by their index in the schema, that are not
	// in the file but in its path, as Predicate.Values.
	Constants map[int]any
	// Deletes is set when another writer has attached row-level deletes to the
	// file, so that it cannot be read plainly; Scan of the table then has to be
	// used.
	Deletes bool
}

// PartitionInfo is one partition of a table.
type PartitionInfo struct {
	Values map[string]any
	Files  int64
	Rows   int64 // -1 where nobody has counted them
	Bytes  int64
}

// Commit is one epoch that a stream committed.
type Commit struct {
	Stream      string
	Generation  int64
	Epoch       int64
	CommittedAt time.Time
	CompletedAt time.Time // zero while something is pending
	RowsLanded  int64     // in this epoch
	RowsDead    int64
	Files       int64
	Bytes       int64
	Positions   string // JSON
	DataLoss    string // JSON, empty if none
	SnapshotID  int64
}
