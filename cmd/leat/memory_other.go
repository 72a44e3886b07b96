//go:build gms_pure_go && duckdb_arrow && !linux

package main

import "runtime/debug"

// releaseStartup gives back the heap that only starting needed.
func releaseStartup() { debug.FreeOSMemory() }
