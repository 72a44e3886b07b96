//go:build gms_pure_go && duckdb_arrow && !linux

package main

// readSystem leaves unknown what is only read on Linux.
func (p *processStats) readSystem() {}
