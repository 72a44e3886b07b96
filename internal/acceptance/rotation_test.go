//go:build services

package acceptance_test

import (
	"fmt"
	"os"
	"strings"
	"testing"
)

// testRotation takes the S3 user away from streams into an Iceberg table and into
// Hive folders, then gives it another secret: each time they say RETRYING and that
// it is the credentials, and go on by themselves when these fit again.
func (e *environment) testRotation(t *testing.T) {
	const key, secret, other = "courier", "courier-secret", "courier-other-secret"
	e.s3.CreateUser(key, secret)
	e.kafka.CreateTopic("rotation", 2, nil)
	sink := strings.NewReplacer("'"+e.s3.AccessKey+"'", "'"+key+"'", "'"+e.s3.SecretKey+"'", "'"+secret+"'")
	l := e.serve(t, e.source("rotation_in", "rotation", "")+
		sink.Replace(e.sink("rotated_ice"))+
		strings.Replace(sink.Replace(e.sink("rotated_hive")), "commit_interval", "table_format = 'hive', commit_interval", 1)+`
		CREATE STREAM ice INTO rotated_ice.t AS SELECT id FROM rotation_in;
		CREATE STREAM folders INTO rotated_hive.t AS SELECT id FROM rotation_in;`)
	client := e.kafka.Client(manual())
	n := 0
	more := func() {
		t.Helper()
		for p := range int32(2) {
			produce(t, client, "rotation", p, n, n+200)
			n += 200
		}
	}
	landed := func() {
		t.Helper()
		for stream, table := range map[string]string{"ice": "rotated_ice.t", "folders": "rotated_hive.t"} {
			eventually(t, l, state(stream), "RUNNING\tNULL")
			typed(t, l, "FLUSH STREAM "+stream)
			want(t, l, total(table), totalOf(0, n))
		}
	}
	more()
	landed()
	for _, c := range []struct {
		name          string
		break_, mend_ func()
	}{
		{"deleted", func() { e.s3.DeleteUser(key) }, func() { e.s3.CreateUser(key, secret) }},
		{"rotated", func() { e.s3.ChangeSecret(key, other) }, func() { e.s3.ChangeSecret(key, secret) }},
	} {
		c.break_()
		more()
		for _, stream := range []string{"ice", "folders"} {
			eventuallyHas(t, l, state(stream), func(got string) bool {
				return strings.HasPrefix(got, "RETRYING\t") && strings.Contains(got, "the credentials were refused") && strings.Contains(got, "access_key_id")
			}, c.name+": RETRYING because of the credentials")
		}
		// Who starts meanwhile waits, too.
		if c.name == "rotated" {
			l.Kill()
			l.Restart()
			for _, stream := range []string{"ice", "folders"} {
				eventuallyHas(t, l, state(stream), func(got string) bool {
					return strings.HasPrefix(got, "RETRYING\t") && strings.Contains(got, "the credentials were refused")
				}, "RETRYING after a start")
			}
		}
		more()
		c.mend_()
		landed()
	}
	_, err := l.Client(strings.Replace(e.sink("wrong"), e.s3.SecretKey, "nonsense", 1))
	if err == nil || !strings.Contains(err.Error(), "the credentials were refused") {
		t.Errorf("a sink with a wrong secret: %v", err)
	}
	for _, stream := range []string{"ice", "folders"} {
		want(t, l, "SELECT rows_in, rows_landed, rows_dead FROM leat.stream_metrics WHERE stream = '"+stream+"'", fmt.Sprintf("%d\t%[1]d\t0", n))
	}
	if log, err := os.ReadFile(l.LogPath()); err != nil || strings.Contains(string(log), secret) {
		t.Errorf("the log tells the secret (%v)", err)
	}
}
