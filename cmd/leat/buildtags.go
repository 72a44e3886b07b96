//go:build !gms_pure_go || !duckdb_arrow

package main

// The rest of this package needs these build tags and is left out without them:
// go build -tags gms_pure_go,duckdb_arrow, or make build.
var _ = build_with_tags_gms_pure_go_and_duckdb_arrow
