//go:build gms_pure_go && duckdb_arrow

package main

import (
	"bufio"
	"fmt"
	"strings"
	"testing"
)

func TestFileMappings(t *testing.T) {
	part := func(addresses, permissions, path string, anonymous, dirty int) string {
		return fmt.Sprintf("%s %s 00000000 fe:00 1 %s\nSize: 4 kB\nRss: 4 kB\nPrivate_Dirty: %d kB\nAnonymous: %d kB\nVmFlags: rd mr\n", addresses, permissions, path, dirty, anonymous)
	}
	smaps := part("1000-2000", "r--p", "/bin/leat", 0, 0) +
		part("2000-4000", "r-xp", "/bin/leat", 0, 0) +
		part("4000-5000", "r--p", "/bin/leat", 4, 4) + // relocated
		part("5000-6000", "rw-p", "/bin/leat", 0, 0) +
		part("6000-7000", "r-xp", "/lib/libc.so", 0, 0) +
		part("7000-8000", "r--p", "/bin/leat", 0, 0) +
		"8000-9000 rw-p 00000000 00:00 0\nAnonymous: 4 kB\n"
	got := fmt.Sprint(fileMappings(bufio.NewScanner(strings.NewReader(smaps)), "/bin/leat"))
	if want := fmt.Sprint([]mapping{{0x1000, 0x2000}, {0x2000, 0x4000}, {0x7000, 0x8000}}); got != want {
		t.Errorf("mappings %s, want %s", got, want)
	}
}
