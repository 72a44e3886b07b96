//go:build gms_pure_go && duckdb_arrow && !unix

package mysqlserver

import "net"

// hungUp is not known here: the end of a connection is seen when the statement
// has ended.
func hungUp(net.Conn) bool { return false }
