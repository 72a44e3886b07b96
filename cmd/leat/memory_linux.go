//go:build gms_pure_go && duckdb_arrow

package main

import (
	"bufio"
	"os"
	"runtime/debug"
	"strconv"
	"strings"
	"syscall"
)

// releaseStartup gives back the memory that only starting needed: the heap, and
// the pages of the program's file that were touched, some 100 MB with the
// neighbours that the kernel maps beside each. What is used again comes back
// from the page cache by itself.
func releaseStartup() {
	debug.FreeOSMemory()
	program, err := os.Executable()
	if err != nil {
		return
	}
	maps, err := os.Open("/proc/self/smaps")
	if err != nil {
		return
	}
	defer maps.Close()
	for _, m := range fileMappings(bufio.NewScanner(maps), program) {
		// An error leaves the pages where they are.
		_, _, _ = syscall.Syscall(syscall.SYS_MADVISE, m.from, m.to-m.from, syscall.MADV_DONTNEED)
	}
}

// mapping is a range of addresses.
type mapping struct{ from, to uintptr }

// fileMappings are the parts of a file in smaps, as proc(5) describes it, that
// nobody can or did write to: their pages are exactly the file's. What the linker
// has relocated and then protected is none of them.
func fileMappings(smaps *bufio.Scanner, path string) []mapping {
	var list []mapping
	inside := false
	for smaps.Scan() {
		line := smaps.Text()
		f := strings.Fields(line)
		if len(f) < 2 {
			continue
		}
		if !strings.HasSuffix(f[0], ":") {
			from, to, ok := strings.Cut(f[0], "-")
			start, errStart := strconv.ParseUint(from, 16, 64)
			end, errEnd := strconv.ParseUint(to, 16, 64)
			inside = ok && errStart == nil && errEnd == nil && len(f) > 5 && strings.HasSuffix(line, " "+path) &&
				(f[1] == "r--p" || f[1] == "r-xp")
			if inside {
				list = append(list, mapping{uintptr(start), uintptr(end)})
			}
			continue
		}
		if inside && (f[0] == "Anonymous:" || f[0] == "Private_Dirty:") && f[1] != "0" {
			list = list[:len(list)-1]
			inside = false
		}
	}
	return list
}
