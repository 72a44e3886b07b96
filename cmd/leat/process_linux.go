//go:build gms_pure_go && duckdb_arrow

package main

import (
	"bytes"
	"os"
	"strconv"
	"syscall"
)

// readSystem reads what the kernel tells: proc(5), getrusage(2), getrlimit(2).
func (p *processStats) readSystem() {
	if statm, err := os.ReadFile("/proc/self/statm"); err == nil {
		if f := bytes.Fields(statm); len(f) > 2 {
			resident, errResident := strconv.ParseInt(string(f[1]), 10, 64)
			file, errFile := strconv.ParseInt(string(f[2]), 10, 64)
			if page := int64(os.Getpagesize()); errResident == nil && errFile == nil {
				p.resident, p.anonymous = float64(resident*page), float64((resident-file)*page)
			}
		}
	}
	if fds, err := os.ReadDir("/proc/self/fd"); err == nil {
		p.files = float64(len(fds) - 1) // without the one that lists
	}
	var limit syscall.Rlimit
	if syscall.Getrlimit(syscall.RLIMIT_NOFILE, &limit) == nil {
		p.maxFiles = float64(limit.Cur)
	}
	var usage syscall.Rusage
	if syscall.Getrusage(syscall.RUSAGE_SELF, &usage) == nil {
		seconds := func(t syscall.Timeval) float64 { return float64(t.Sec) + float64(t.Usec)/1e6 }
		p.cpu = seconds(usage.Utime) + seconds(usage.Stime)
	}
}
