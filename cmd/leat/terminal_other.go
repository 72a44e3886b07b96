//go:build gms_pure_go && duckdb_arrow && !unix

package main

func terminalWidth(any) int { return defaultWidth }
