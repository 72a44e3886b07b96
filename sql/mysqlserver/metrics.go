//go:build gms_pure_go && duckdb_arrow

package mysqlserver

import "sync/atomic"

// Metrics count what the server has done since it was started.
type Metrics struct {
	Connections atomic.Int64 // open now
	Connects    atomic.Int64 // accepted, whether or not they logged in
	Refused     atomic.Int64 // because there were too many
	LoginErrors atomic.Int64
	Running     atomic.Int64 // statements that run now
	Statements  atomic.Int64 // finished, the good and the bad
	Failed      atomic.Int64
	Panics      atomic.Int64 // statements that failed by a fault of the server
	Nanoseconds atomic.Int64 // spent in finished statements
}
