package taxi

import (
	"fmt"
	"strconv"
	"strings"
)

// Layout is a way to partition trips: how many partitions, by which column, and
// how that is said in the dialects that the benchmarks speak.
type Layout struct {
	Partitions int
	// Column that the rows are partitioned by: "" for none, "month" (12),
	// "pickup_location_id" (265), else "bucket", the trip's id modulo Partitions.
	Column string
}

// NewLayout is the layout with so many partitions.
func NewLayout(partitions int) Layout {
	l := Layout{Partitions: partitions, Column: "bucket"}
	switch partitions {
	case 1:
		l.Column = ""
	case 12:
		l.Column = "month"
	case Zones:
		l.Column = "pickup_location_id"
	}
	return l
}

// PartitionedBy is the clause of CREATE STREAM, empty for one partition.
func (l Layout) PartitionedBy() string {
	switch l.Column {
	case "":
		return ""
	case "month":
		return "PARTITIONED BY (MONTH(pickup_at) AS month)"
	case "bucket":
		return fmt.Sprintf("PARTITIONED BY (trip_id %% %d AS bucket)", l.Partitions)
	}
	return "PARTITIONED BY (" + l.Column + ")"
}

// Extra is the column that is no column of the result, as DuckDB's SELECT has
// it, with a comma before; empty when there is none.
func (l Layout) Extra() string {
	switch l.Column {
	case "month":
		return ", month(pickup_at) AS month"
	case "bucket":
		return fmt.Sprintf(", trip_id %% %d AS bucket", l.Partitions)
	}
	return ""
}

// Argument names the column to the peers written in Python.
func (l Layout) Argument() string {
	if l.Column == "bucket" {
		return l.Column + strconv.Itoa(l.Partitions)
	}
	return l.Column
}

// Select is what the benchmarks ask of Leat: trips with a fare, as 22 columns.
const Select = `SELECT trip_id, vendor_id, pickup_at, dropoff_at, passengers, distance_km, pickup_location_id, dropoff_location_id, rate_code,
  pooled, payment_type, fare, extra, tax, tip, tolls, total, currency, rider->>'$.id' AS rider_id,
  CAST(rider->>'$.rating' AS DOUBLE) AS rider_rating, rider->>'$.os' AS rider_os, note
FROM trips WHERE fare > 0`

// Source is CREATE SOURCE trips with the options of a connector, such as
// connector = 'files'.
func Source(options ...string) string {
	return "CREATE SOURCE trips (" + Columns + ") WITH (format = 'json', " + strings.Join(options, ", ") + ");\n"
}

// Copy is the same job for DuckDB: a COPY of the file's trips to target, a file
// for one partition, else a folder.
func Copy(input, target string, l Layout) string {
	options := "FORMAT parquet, COMPRESSION zstd, COMPRESSION_LEVEL 1"
	if l.Column != "" {
		options += ", PARTITION_BY (" + l.Column + "), WRITE_PARTITION_COLUMNS true"
	}
	return fmt.Sprintf(`COPY (SELECT trip_id, vendor_id, pickup_at, dropoff_at, passengers, distance_km, pickup_location_id, dropoff_location_id,
  rate_code, pooled, payment_type, fare, extra, tax, tip, tolls, total, currency, rider.id AS rider_id, rider.rating AS rider_rating,
  rider.os AS rider_os, note%s
FROM %s
WHERE fare > 0) TO '%s' (%s)`, l.Extra(), readJSON(input), target, options)
}

// readJSON is the file's trips for DuckDB.
func readJSON(input string) string {
	return fmt.Sprintf(`read_json('%s', format = 'newline_delimited', columns = {trip_id: 'BIGINT', vendor_id: 'INTEGER', pickup_at: 'TIMESTAMP', dropoff_at: 'TIMESTAMP',
  passengers: 'INTEGER', distance_km: 'DOUBLE', pickup_location_id: 'INTEGER', dropoff_location_id: 'INTEGER', rate_code: 'VARCHAR', pooled: 'BOOLEAN',
  payment_type: 'VARCHAR', fare: 'DECIMAL(10,2)', extra: 'DECIMAL(10,2)', tax: 'DECIMAL(10,2)', tip: 'DECIMAL(10,2)', tolls: 'DECIMAL(10,2)',
  total: 'DECIMAL(10,2)', currency: 'VARCHAR', rider: 'STRUCT(id VARCHAR, rating DOUBLE, os VARCHAR)', note: 'VARCHAR'})`, input)
}

// Job is the SQL of what the benchmarks ask for: trips of a file are decoded,
// filtered, and land as zstd Parquet in the stream trips_landed. partitioned is
// the PARTITIONED BY clause or nothing.
func Job(input, partitioned string) string {
	return Source("connector = 'files'", "path = '"+input+"'", "mode = 'once'") +
		fmt.Sprintf("CREATE STREAM trips_landed %s WITH (compression = 'zstd') AS\n%s;\n", partitioned, Select)
}
