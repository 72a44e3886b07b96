//go:build services

package acceptance_test

import (
	"fmt"
	"strings"
	"testing"
)

// testOutages kills the broker and the S3 server under a stream that goes on:
// it says so, and comes back with no restart of leat.
func (e *environment) testOutages(t *testing.T) {
	e.kafka.CreateTopic("outages", 2, nil)
	l := e.serve(t, e.source("outages_in", "outages", "connect_timeout = '2s'")+e.sink("away")+
		"CREATE STREAM outages INTO away.outages AS SELECT id, _partition AS p, _offset AS o FROM outages_in;")
	client := e.kafka.Client(manual())
	n := 0
	more := func() {
		t.Helper()
		for p := range int32(2) {
			produce(t, client, "outages", p, n, n+500)
			n += 500
		}
	}
	landed := func() {
		t.Helper()
		eventually(t, l, total("away.outages"), totalOf(0, n))
		eventually(t, l, state("outages"), "RUNNING\tNULL")
	}
	retrying := func(because ...string) {
		t.Helper()
		eventuallyHas(t, l, state("outages"), func(got string) bool {
			for _, part := range append(because, "RETRYING") {
				if !strings.Contains(got, part) {
					return false
				}
			}
			return true
		}, fmt.Sprintf("RETRYING because of %q", because))
	}
	more()
	landed()
	for range 2 {
		e.kafka.Kill()
		retrying("check brokers")
		e.kafka.Restart()
		more()
		landed()

		e.s3.Kill()
		more()
		retrying("connection refused")
		more()
		e.s3.Restart()
		landed()
	}
	e.s3.Kill()
	e.kafka.Kill()
	retrying()
	l.Kill()
	l.Restart() // it is ready while all is down
	retrying()
	e.kafka.Restart()
	e.s3.Restart()
	more()
	landed()
	want(t, l, `SELECT COUNT(*) FROM leat.stream_metrics
		WHERE rows_in = rows_landed AND rows_landed = `+fmt.Sprint(n), "1")
	l.Stop()
	if code := l.Exit(); code != 0 {
		t.Errorf("exit status %d", code)
	}
}
