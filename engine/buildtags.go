//go:build !gms_pure_go || !duckdb_arrow

package engine

// Everything else in this package needs the build tags of the next line, and is
// left out without them, so that this is the one thing a compiler complains
// about: go build -tags gms_pure_go,duckdb_arrow (README.md, "As a Go library").
var _ = build_with_tags_gms_pure_go_and_duckdb_arrow
