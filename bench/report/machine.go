package report

import (
	"bytes"
	"context"
	"fmt"
	"os"
	"os/exec"
	"runtime"
	"runtime/debug"
	"strconv"
	"strings"
)

// Machine is what a benchmark ran on.
type Machine struct {
	CPU       string  `json:"cpu"`
	Cores     int     `json:"cores"`
	MemoryGiB float64 `json:"memory_gib"`
	Kernel    string  `json:"kernel"`
	Go        string  `json:"go"`
	// LoadBefore is how many processes wanted a core, averaged over the minute
	// before; a number well above 0 means that the machine was not quiet.
	LoadBefore float64 `json:"load_before"`
}

// ThisMachine describes the machine at hand.
func ThisMachine() Machine {
	m := Machine{CPU: runtime.GOARCH, Cores: runtime.NumCPU(), Go: runtime.Version(), LoadBefore: -1}
	if text, err := os.ReadFile("/proc/cpuinfo"); err == nil {
		for line := range strings.Lines(string(text)) {
			if name, ok := strings.CutPrefix(line, "model name"); ok {
				m.CPU = strings.Trim(name, "\t :\n")
				break
			}
		}
	}
	if text, err := os.ReadFile("/proc/meminfo"); err == nil {
		for line := range strings.Lines(string(text)) {
			if f := strings.Fields(line); len(f) > 1 && f[0] == "MemTotal:" {
				if kib, err := strconv.ParseFloat(f[1], 64); err == nil {
					m.MemoryGiB = kib / (1 << 20)
				}
			}
		}
	}
	if text, err := os.ReadFile("/proc/sys/kernel/osrelease"); err == nil {
		m.Kernel = runtime.GOOS + " " + string(bytes.TrimSpace(text))
	}
	if text, err := os.ReadFile("/proc/loadavg"); err == nil {
		if f := strings.Fields(string(text)); len(f) > 0 {
			if load, err := strconv.ParseFloat(f[0], 64); err == nil {
				m.LoadBefore = load
			}
		}
	}
	return m
}

func (m Machine) String() string {
	return fmt.Sprintf("%s, %d cores, %.0f GiB, %s, %s", m.CPU, m.Cores, m.MemoryGiB, m.Kernel, m.Go)
}

// Load says how busy the machine was.
func (m Machine) Load() string {
	if m.LoadBefore < 0 {
		return "load unknown"
	}
	return fmt.Sprintf("load before it %.1f", m.LoadBefore)
}

// LeatVersion asks a leat binary what it is.
func LeatVersion(ctx context.Context, binary string) Version {
	v := Version{Name: "leat", Version: "unknown"}
	if out, err := exec.CommandContext(ctx, binary, "version").Output(); err == nil {
		first, _, _ := strings.Cut(strings.TrimSpace(string(out)), "\n")
		v.Version = strings.TrimPrefix(first, "leat ")
	}
	return v
}

// ModuleVersion is the version of a Go module that this program was built with.
func ModuleVersion(path string) string {
	if info, ok := debug.ReadBuildInfo(); ok {
		for _, m := range info.Deps {
			if m.Path == path {
				return m.Version
			}
		}
	}
	return "unknown"
}
