//go:build services

package acceptance_test

import (
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/twmb/franz-go/pkg/kgo"

	"github.com/leatdb/leat/internal/services"
)

// environment is what the tests of this package share.
type environment struct {
	kafka  *services.Kafka
	s3     *services.S3
	binary string
}

const bucket = "acceptance"

// TestAcceptance runs the tests one after the other on one broker and one S3
// server.
func TestAcceptance(t *testing.T) {
	e := &environment{binary: services.LeatBinary(t), kafka: services.StartKafka(t), s3: services.StartVersityGW(t)}
	e.s3.CreateBucket(bucket)
	t.Run("Journey", e.testJourney)
	t.Run("Outages", e.testOutages)
	t.Run("Leaders", e.testLeaders)
	t.Run("Zombies", e.testZombies)
	t.Run("ForeignWriter", e.testForeignWriter)
	t.Run("Losses", e.testLosses)
	t.Run("Logins", e.testLogins)
	t.Run("WrongCredentials", e.testWrongCredentials)
	t.Run("Rotation", e.testRotation)
	t.Run("ReplayREST", e.testReplayREST)
	t.Run("Starts", e.testStarts)
	t.Run("Idle", e.testIdle)
	t.Run("RunToLatest", e.testRunToLatest)
	t.Run("Hostile", e.testHostile)
	t.Run("Messages", e.testMessages)
	t.Run("Folders", e.testFolders)
}

// sink is a CREATE SINK on the S3 server.
func (e *environment) sink(name string) string {
	return fmt.Sprintf(`CREATE SINK %s WITH (connector = 's3', path = 's3://%s/%s', endpoint = '%s', region = '%s', path_style = 'true',
  access_key_id = '%s', secret_access_key = '%s', commit_interval = '500ms');
`, name, bucket, name, e.s3.Endpoint, e.s3.Region, e.s3.AccessKey, e.s3.SecretKey)
}

// source is a CREATE SOURCE of a topic of numbered records.
func (e *environment) source(name, topic, options string) string {
	if options != "" {
		options = ", " + options
	}
	return fmt.Sprintf("CREATE SOURCE %s (id BIGINT) WITH (connector = 'kafka', brokers = '%s', topic = '%s', discovery_interval = '500ms'%s);\n",
		name, e.kafka.Plaintext, topic, options)
}

// serve starts a leat with an --init file.
func (e *environment) serve(t *testing.T, init string) *services.Leat {
	t.Helper()
	return services.StartLeat(t, e.binary, "--init", write(t, "init.sql", init))
}

// write writes a file for leat and returns its path.
func write(t *testing.T, name, text string) string {
	t.Helper()
	path := filepath.Join(t.TempDir(), name)
	if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	return path
}

// typed types statements into the mariadb client, which has to succeed.
func typed(t *testing.T, l *services.Leat, statements string) string {
	t.Helper()
	out, err := l.Client(statements)
	if err != nil {
		t.Fatalf("%v\nstatements:\n%s", err, statements)
	}
	return strings.TrimSuffix(out, "\n")
}

// want compares what the mariadb client prints.
func want(t *testing.T, l *services.Leat, statements, rows string) {
	t.Helper()
	if got := typed(t, l, statements); got != rows {
		t.Errorf("%s\ngives\n%s\nwant\n%s", statements, got, rows)
	}
}

// eventually types a statement until it gives the rows, for at most two minutes.
func eventually(t *testing.T, l *services.Leat, statement, rows string) {
	t.Helper()
	eventuallyHas(t, l, statement, func(got string) bool { return got == rows }, rows)
}

func eventuallyHas(t *testing.T, l *services.Leat, statement string, f func(got string) bool, wanted string) {
	t.Helper()
	again := time.NewTicker(100 * time.Millisecond)
	defer again.Stop()
	for deadline := time.Now().Add(2 * time.Minute); ; <-again.C {
		got, err := l.Client(statement)
		got = strings.TrimSuffix(got, "\n")
		if err == nil && f(got) {
			return
		}
		if time.Now().After(deadline) {
			t.Fatalf("%s\ngives\n%s (%v)\nwant %s", statement, got, err, wanted)
		}
	}
}

// state is the state of a stream and why it is in it.
func state(stream string) string {
	return "SELECT state, because FROM leat.streams WHERE stream = '" + stream + "'"
}

// produce writes {"id": n} for each number from from up to to, and waits until
// they are in the topic.
func produce(t *testing.T, client *kgo.Client, topic string, partition int32, from, to int) {
	t.Helper()
	var records []*kgo.Record
	for i := from; i < to; i++ {
		records = append(records, &kgo.Record{Topic: topic, Partition: partition, Value: fmt.Appendf(nil, `{"id": %d}`, i)})
	}
	if err := client.ProduceSync(t.Context(), records...).FirstErr(); err != nil {
		t.Fatalf("produce to %s: %v", topic, err)
	}
}

func manual() kgo.Opt { return kgo.RecordPartitioner(kgo.ManualPartitioner()) }

// total says how many of how many different numbers there are, and their sum.
func total(table string) string {
	return "SELECT COUNT(*), COUNT(DISTINCT id), SUM(id) FROM " + table
}

// totalOf is what total gives for the numbers from from up to to.
func totalOf(from, to int) string {
	return fmt.Sprintf("%d\t%d\t%d", to-from, to-from, (from+to-1)*(to-from)/2)
}
