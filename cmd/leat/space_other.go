//go:build gms_pure_go && duckdb_arrow && !unix

package main

import "errors"

func freeBytes(string) (int64, error) { return 0, errors.ErrUnsupported }
