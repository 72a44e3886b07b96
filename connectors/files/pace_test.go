package files_test

import (
	"testing"
	"time"

	"github.com/leatdb/leat/connectors/files"
)

// With requests that take a while, as many are under way as reading can use; with
// short ones few are.
func TestPace(t *testing.T) {
	f := func(latency, work time.Duration, want int) {
		t.Helper()
		var p files.Pace
		now := time.Unix(1_700_000_000, 0)
		var under []time.Time // when what is under way began
		reader := now         // when the reader is free
		for range 20_000 {
			for len(under) < p.Ahead() {
				under = append(under, now)
			}
			arrived := under[0].Add(latency)
			under = under[1:]
			if arrived.After(now) {
				now = arrived
			}
			if reader.After(now) {
				now = reader
			}
			p.Fetched(latency, now)
			p.Read(now)
			reader = now.Add(work)
		}
		if got := p.Ahead(); got < want-want/8 || got > want+want/8 {
			t.Errorf("requests of %v, objects read in %v: %d ahead, want about %d", latency, work, got, want)
		}
	}
	f(20*time.Millisecond, 50*time.Microsecond, 256)
	f(20*time.Millisecond, 500*time.Microsecond, 80)
	f(20*time.Millisecond, 50*time.Millisecond, 32)
	f(100*time.Microsecond, 50*time.Microsecond, 32)
	f(5*time.Millisecond, 100*time.Microsecond, 100)
}
