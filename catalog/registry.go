package catalog

import (
	"context"

	"github.com/leatdb/leat/sql/types"
)

// Registry is a catalog in which the tables of plain folders are registered, so
// that other programs find them. The log of a table stays the authority: what it
// says is registered after it, by calls that can be repeated, by any process.
//
// Errors are retryable where trying again may help.
type Registry interface {
	// CheckTable fails with sqlerror.CodeConflict when the name is taken by a table
	// that is not the one at t's place.
	CheckTable(ctx context.Context, t RegisteredTable) error
	// DefineTable makes the table known, or brings what is known of it to t. made
	// says that it was not known, so that its partitions are not either.
	DefineTable(ctx context.Context, t RegisteredTable) (made bool, err error)
	// AddPartitions makes partitions of a table known; those that are already stay
	// as they are. The error carries sqlerror.CodeUnknownObject when the table is
	// not known.
	AddPartitions(ctx context.Context, t RegisteredTable, partitions []RegisteredPartition) error
	// DropTable forgets the table that lies at a place, a URI. That there is none is
	// no error.
	DropTable(ctx context.Context, name, location string) error
}

// RegisteredTable is a table of plain folders as a Registry describes it.
type RegisteredTable struct {
	Name     string
	Location string // URI of the folder
	// Schema has all columns by their declared types, Stored the plainest types of
	// what the files have of them.
	Schema, Stored types.Schema
	// Partition are the indices in Schema of the columns that are in the paths.
	Partition []int
	// Format of the files is "parquet", "json" or "csv"; Options are Definition's.
	Format  string
	Options map[string]string
}

// RegisteredPartition is a partition of plain folders.
type RegisteredPartition struct {
	// Values are the texts of the partition columns, "" for NULL.
	Values   []string
	Location string // URI of the folder
}
