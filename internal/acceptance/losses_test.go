//go:build services

package acceptance_test

import (
	"strings"
	"testing"
	"time"

	"github.com/twmb/franz-go/pkg/kadm"
)

// testLosses takes records away from streams that have not read them yet, by
// retention and by making the topic anew: on_data_loss decides between an end
// that says what to do and going on, which leat.commits records.
func (e *environment) testLosses(t *testing.T) {
	e.kafka.CreateTopic("losses", 1, nil)
	client := e.kafka.Client(manual())
	admin := kadm.NewClient(client)
	produce(t, client, "losses", 0, 0, 100)
	l := e.serve(t, e.source("strict_in", "losses", "on_data_loss = 'fail'")+e.source("lax_in", "losses", "on_data_loss = 'skip'")+e.sink("lossy")+`
		CREATE STREAM strict INTO lossy.strict AS SELECT id FROM strict_in;
		CREATE STREAM lax INTO lossy.lax AS SELECT id FROM lax_in;`)
	eventually(t, l, total("lossy.strict"), totalOf(0, 100))
	eventually(t, l, total("lossy.lax"), totalOf(0, 100))
	l.Stop()

	// While it is stopped, fifty records come and go.
	produce(t, client, "losses", 0, 100, 200)
	var until kadm.Offsets
	until.AddOffset("losses", 0, 150, -1)
	if _, err := admin.DeleteRecords(t.Context(), until); err != nil {
		t.Fatal(err)
	}
	l.Restart()
	failed := func(parts ...string) {
		t.Helper()
		eventuallyHas(t, l, state("strict"), func(got string) bool {
			for _, part := range parts {
				if !strings.Contains(got, part) {
					return false
				}
			}
			return strings.HasPrefix(got, "FAILED\t")
		}, "FAILED with "+strings.Join(parts, ", "))
	}
	failed("removed the records before offset 150", "on_data_loss")
	eventually(t, l, "SELECT COUNT(*), COUNT(DISTINCT id), MAX(id) FROM lossy.lax", "150\t150\t199")
	eventually(t, l, state("lax"), "RUNNING\tNULL")
	eventuallyHas(t, l, "SELECT data_loss FROM leat.commits WHERE stream = 'lax' AND data_loss IS NOT NULL",
		func(got string) bool { return strings.Contains(got, "150") && strings.Contains(got, "50") }, "the loss of 50 records")
	want(t, l, "SELECT COUNT(*) FROM lossy.strict", "100")

	// The same name is another topic.
	if _, err := admin.DeleteTopics(t.Context(), "losses"); err != nil {
		t.Fatal(err)
	}
	eventuallyHas(t, l, state("lax"), func(got string) bool { return strings.HasPrefix(got, "RETRYING\t") }, "RETRYING while there is no topic")
	for deadline := time.Now().Add(2 * time.Minute); ; {
		_, err := admin.CreateTopic(t.Context(), 1, 1, nil, "losses")
		if err == nil {
			break
		}
		if time.Now().After(deadline) { // the broker is not done deleting it
			t.Fatal(err)
		}
	}
	produce(t, e.kafka.Client(manual()), "losses", 0, 1000, 1010)
	eventually(t, l, "SELECT COUNT(*), COUNT(DISTINCT id), MAX(id) FROM lossy.lax", "160\t160\t1009")
	eventually(t, l, "SELECT COUNT(*) FROM leat.commits WHERE stream = 'lax' AND data_loss IS NOT NULL", "2")
	typed(t, l, "START STREAM strict")
	failed("on_data_loss")

	// A failed stream is exit status 3, whatever the others do.
	l.Stop()
	if code := l.Exit(); code != 3 {
		t.Errorf("exit status %d, want 3", code)
	}
}
