package main

import (
	"encoding/json"
	"os"
	"path/filepath"
	"regexp"
	"strconv"
	"testing"
	"time"
)

// Where standard output is no terminal the demonstration ends by itself, and
// leaves nothing behind.
func TestDemo(t *testing.T) {
	dir := t.TempDir()
	t.Setenv("TMPDIR", dir)
	code, stdout, stderr := leat(t, "", "demo", "--rate", "5000", "--duration", "500ms")
	wantCode(t, code, exitDone, stderr)
	if stderr != "" {
		t.Errorf("standard error = %q", stderr)
	}
	wantText(t, stdout, "CREATE SOURCE trips (", "CREATE STREAM trips_by_borough", "FLUSH STREAM trips_by_borough",
		"| Manhattan ", "| ios ", "source_position", " in leat.dead_letters, in ", "removed at the end")
	for _, q := range demoQueries {
		wantText(t, stdout, q[:40])
	}
	m := regexp.MustCompile(`(?m)^([\d,]+) trips sent = ([\d,]+) landed`).FindStringSubmatch(stdout)
	if m == nil || m[1] == "0" || m[2] == "0" {
		t.Errorf("account = %q", m)
	}
	if left, err := os.ReadDir(dir); err != nil || len(left) > 0 {
		t.Errorf("left in the temporary directory: %v, %v", left, err)
	}
}

// At a terminal it goes on until the signal, with the line for the client on
// screen, and then ends as well as it would have by itself.
func TestDemo_Stay(t *testing.T) {
	data := filepath.Join(t.TempDir(), "data")
	cmd, log := process(t, "demo", "--stay", "--rate", "1000", "--duration", "100ms", "--data", data)
	stdout := log.stdout
	for stdout.Scan() && !regexp.MustCompile(`^ +mysql -h 127\.0\.0\.1 -P \d+ -u root lake$`).MatchString(stdout.Text()) {
		continue
	}
	if err := cmd.Process.Signal(os.Interrupt); err != nil {
		t.Fatal(err)
	}
	last := ""
	for stdout.Scan() {
		last = stdout.Text()
	}
	if code := exitCode(t, cmd); code != exitDone {
		t.Errorf("exit code = %d, want 0", code)
	}
	wantText(t, last, " trips sent = ")
	if _, err := os.Stat(filepath.Join(data, "leat.db")); err != nil {
		t.Errorf("the named data directory is gone: %v", err)
	}
	code, _, stderr := leat(t, "", "demo", "--data", data)
	wantCode(t, code, exitFailed, stderr)
	wantText(t, stderr, "is not empty")
}

func TestTripMaker(t *testing.T) {
	m, now := newTripMaker(1), time.Date(2026, 7, 1, 10, 0, 0, 5e6, time.UTC)
	broken, odd := 0, 0
	const n = 20 * dirtyEvery
	for i := range n {
		key, value := m.make(now)
		var trip struct {
			TripID    int64  `json:"trip_id"`
			VehicleID int64  `json:"vehicle_id"`
			Borough   string `json:"borough"`
			Fare      any    `json:"fare"`
			PickupAt  string `json:"pickup_at"`
		}
		if err := json.Unmarshal(value, &trip); err != nil {
			broken++
			continue
		}
		if _, ok := trip.Fare.(float64); !ok {
			odd++
		}
		if trip.TripID != int64(i+1) || string(key) != strconv.FormatInt(trip.VehicleID, 10) || trip.Borough == "" || trip.PickupAt != "2026-07-01T10:00:00.005Z" {
			t.Fatalf("trip %d = %s with key %s", i, value, key)
		}
	}
	if broken == 0 || odd == 0 || broken+odd > n/dirtyEvery*3 {
		t.Errorf("%d cut off and %d odd trips of %d", broken, odd, n)
	}
}
