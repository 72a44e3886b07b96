//go:build services

package services_test

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"os"
	"testing"
	"time"

	"github.com/twmb/franz-go/pkg/kerr"
	"github.com/twmb/franz-go/pkg/kgo"
	"github.com/twmb/franz-go/pkg/sasl/plain"
	"github.com/twmb/franz-go/pkg/sasl/scram"

	"github.com/leatdb/leat/internal/services"
)

func produce(t *testing.T, client *kgo.Client, topic string, from, to int) {
	t.Helper()
	var records []*kgo.Record
	for i := from; i < to; i++ {
		records = append(records, &kgo.Record{Topic: topic, Partition: int32(i % 2), Value: fmt.Append(nil, i)})
	}
	if err := client.ProduceSync(t.Context(), records...).FirstErr(); err != nil {
		t.Fatalf("produce to %s: %v", topic, err)
	}
}

// consume reads a topic until it has seen the values 0 to n-1 in any order, and
// fails on one it has seen before.
func consume(t *testing.T, client *kgo.Client, topic string, n int) {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), 4*time.Minute)
	defer cancel()
	client.AddConsumeTopics(topic)
	seen := map[string]bool{}
	for len(seen) < n {
		fetches := client.PollFetches(ctx)
		if err := fetches.Err(); err != nil {
			t.Fatalf("consume %s: saw %d of %d: %v", topic, len(seen), n, err)
		}
		for record := range fetches.RecordsAll() {
			if seen[string(record.Value)] {
				t.Fatalf("consume %s: value %s came twice", topic, record.Value)
			}
			seen[string(record.Value)] = true
		}
	}
	for i := range n {
		if !seen[fmt.Sprint(i)] {
			t.Fatalf("consume %s: value %d is missing", topic, i)
		}
	}
}

func TestKafka(t *testing.T) {
	k := services.StartKafka(t)
	manual := kgo.RecordPartitioner(kgo.ManualPartitioner())
	pem, err := os.ReadFile(k.CAFile)
	if err != nil {
		t.Fatal(err)
	}
	authorities := x509.NewCertPool()
	if !authorities.AppendCertsFromPEM(pem) {
		t.Fatalf("no certificate in %s", k.CAFile)
	}
	plainLogin := plain.Auth{User: services.KafkaPlainUser, Pass: services.KafkaPlainPassword}.AsMechanism()
	scramLogin := scram.Auth{User: services.KafkaScramUser, Pass: services.KafkaScramPassword}
	dialTLS := kgo.DialTLSConfig(&tls.Config{RootCAs: authorities})
	listeners := []struct {
		name string
		opts []kgo.Opt
	}{
		{"Plaintext", nil},
		{"SASLPlaintext/PLAIN", []kgo.Opt{kgo.SeedBrokers(k.SASLPlaintext), kgo.SASL(plainLogin)}},
		{"SASLPlaintext/SCRAM-SHA-256", []kgo.Opt{kgo.SeedBrokers(k.SASLPlaintext), kgo.SASL(scramLogin.AsSha256Mechanism())}},
		{"SASLPlaintext/SCRAM-SHA-512", []kgo.Opt{kgo.SeedBrokers(k.SASLPlaintext), kgo.SASL(scramLogin.AsSha512Mechanism())}},
		{"SASLSSL/PLAIN", []kgo.Opt{kgo.SeedBrokers(k.SASLSSL), dialTLS, kgo.SASL(plainLogin)}},
		{"SASLSSL/SCRAM-SHA-256", []kgo.Opt{kgo.SeedBrokers(k.SASLSSL), dialTLS, kgo.SASL(scramLogin.AsSha256Mechanism())}},
		{"SASLSSL/SCRAM-SHA-512", []kgo.Opt{kgo.SeedBrokers(k.SASLSSL), dialTLS, kgo.SASL(scramLogin.AsSha512Mechanism())}},
	}
	for i, l := range listeners {
		t.Run(l.name, func(t *testing.T) {
			topic := fmt.Sprintf("listener-%d", i)
			k.CreateTopic(topic, 2, nil)
			client := k.Client(append(l.opts, manual)...)
			produce(t, client, topic, 0, 100)
			consume(t, client, topic, 100)
		})
	}

	t.Run("WrongPassword", func(t *testing.T) {
		wrong := plain.Auth{User: services.KafkaPlainUser, Pass: "wrong"}.AsMechanism()
		client := k.Client(kgo.SeedBrokers(k.SASLPlaintext), kgo.SASL(wrong))
		if err := client.Ping(t.Context()); !errors.Is(err, kerr.SaslAuthenticationFailed) {
			t.Errorf("err=%v, want %v", err, kerr.SaslAuthenticationFailed)
		}
	})
	t.Run("UnknownAuthority", func(t *testing.T) {
		client := k.Client(kgo.SeedBrokers(k.SASLSSL), kgo.DialTLSConfig(&tls.Config{}), kgo.SASL(plainLogin), kgo.RequestRetries(0))
		err := client.Ping(t.Context())
		if _, ok := errors.AsType[x509.UnknownAuthorityError](err); !ok {
			t.Errorf("err=%v from a client that does not know the authority", err)
		}
	})

	t.Run("KillLosesNothing", func(t *testing.T) {
		k.CreateTopic("killed", 2, map[string]string{"max.message.bytes": "2000000"})
		client := k.Client(manual)
		produce(t, client, "killed", 0, 1000)
		k.Kill()
		k.Restart()
		produce(t, client, "killed", 1000, 2000)
		consume(t, client, "killed", 2000)
	})
	t.Run("Paused", func(t *testing.T) {
		client := k.Client(kgo.RequestTimeoutOverhead(200*time.Millisecond), kgo.RequestRetries(0))
		k.Pause()
		if err := client.Ping(t.Context()); err == nil {
			t.Error("a paused broker answered")
		}
		k.Resume()
		if err := k.Client().Ping(t.Context()); err != nil {
			t.Errorf("ping after Resume: %v", err)
		}
	})
}
