package services

import (
	"bytes"
	"context"
	"crypto/rand"
	_ "embed"
	"encoding/base64"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"text/template"
	"time"

	"github.com/twmb/franz-go/pkg/kadm"
	"github.com/twmb/franz-go/pkg/kgo"
)

// Users that every broker knows.
const (
	KafkaPlainUser     = "alice" // SASL PLAIN
	KafkaPlainPassword = "alice-secret"
	KafkaScramUser     = "bob" // SCRAM-SHA-256 and SCRAM-SHA-512
	KafkaScramPassword = "bob-secret"
	KafkaAudience      = "kafka" // of tokens
)

var (
	//go:embed kafka/pom.xml
	kafkaPOM string
	//go:embed kafka/log4j2.xml
	kafkaLog4j string
	//go:embed kafka/server.properties.tmpl
	kafkaProperties string

	kafkaTemplate = template.Must(template.New("server.properties").Parse(kafkaProperties))
)

// Apache Kafka needs Java 17 or newer to run and Maven to be installed.
var kafka = register(Service{
	Name:   "kafka",
	Recipe: kafkaPOM,
	Fetch: func(ctx context.Context, dir string) error {
		return mavenJars(ctx, dir, kafkaPOM)
	},
})

// Kafka is a broker: one node of Apache Kafka that is its own controller.
// Topics are not created by being used. Addresses are host:port and stay the
// same over restarts.
type Kafka struct {
	*Process
	// Plaintext is the listener without login and TLS.
	Plaintext string
	// SASLPlaintext is the listener with a login (PLAIN, SCRAM-SHA-256,
	// SCRAM-SHA-512, OAUTHBEARER) and without TLS.
	SASLPlaintext string
	// SASLSSL is the listener with both.
	SASLSSL string
	// CAFile is a PEM file with the authority that signed the certificate of
	// SASLSSL.
	CAFile string

	issuer *issuer
}

// Token is one by which a user logs in until it ends, if it is for the audience
// KafkaAudience.
func (k *Kafka) Token(user, audience string, ends time.Time) string {
	k.t.Helper()
	token, err := k.issuer.token(user, audience, ends)
	if err != nil {
		k.t.Fatal(err)
	}
	return token
}

// StartKafka starts a broker of its own for the test.
func StartKafka(t TB) *Kafka {
	t.Helper()
	return startKafka(t, 1)[0]
}

// startKafka starts brokers of one cluster, each of which is a controller too.
func startKafka(t TB, n int) []*Kafka {
	t.Helper()
	installed := kafka.mustDir(t)
	id := clusterID()
	controllers := FreeAddresses(t, n)
	voters := make([]string, n)
	for i, address := range controllers {
		voters[i] = fmt.Sprintf("%d@%s", i+1, address)
	}
	all := make([]*Kafka, n)
	for i := range all {
		all[i] = launchKafka(t, installed, id, i, controllers[i], voters)
	}
	for _, k := range all {
		k.Await()
	}
	return all
}

// launchKafka starts the broker of index i and does not wait until it is ready.
func launchKafka(t TB, installed, id string, i int, controller string, voters []string) *Kafka {
	t.Helper()
	scratch := t.TempDir()
	address := FreeAddresses(t, 3)
	k := &Kafka{
		Plaintext:     address[0],
		SASLPlaintext: address[1],
		SASLSSL:       address[2],
		CAFile:        filepath.Join(scratch, "ca.pem"),
	}
	keystore := filepath.Join(scratch, "server.pem")
	if err := writeCertificates(k.CAFile, keystore); err != nil {
		t.Fatalf("start kafka: %v", err)
	}
	jwks := filepath.Join(scratch, "jwks.json")
	var err error
	if k.issuer, err = newIssuer(jwks); err != nil {
		t.Fatalf("start kafka: %v", err)
	}
	var properties bytes.Buffer
	if err := kafkaTemplate.Execute(&properties, map[string]any{
		"Node":          i + 1,
		"Voters":        strings.Join(voters, ","),
		"Replicas":      len(voters),
		"InSync":        len(voters)/2 + 1,
		"Plaintext":     k.Plaintext,
		"SASLPlaintext": k.SASLPlaintext,
		"SASLSSL":       k.SASLSSL,
		"Controller":    controller,
		"SASLListeners": []string{"sasl_plaintext", "sasl_ssl"},
		"PlainUser":     KafkaPlainUser,
		"PlainPassword": KafkaPlainPassword,
		"Keystore":      keystore,
		"JWKS":          "file://" + jwks,
		"Audience":      KafkaAudience,
		"Data":          filepath.Join(scratch, "data"),
	}); err != nil {
		t.Fatalf("start kafka: %v", err)
	}
	config := filepath.Join(scratch, "server.properties")
	log4j := filepath.Join(scratch, "log4j2.xml")
	for path, text := range map[string][]byte{config: properties.Bytes(), log4j: []byte(kafkaLog4j)} {
		if err := os.WriteFile(path, text, 0o600); err != nil {
			t.Fatalf("start kafka: %v", err)
		}
	}
	// Of a broker that is killed, what it unpacked would stay in the system's folder.
	options := []string{"-Dlog4j2.configurationFile=" + log4j, "-Djava.io.tmpdir=" + scratch, "-Dorg.apache.kafka.sasl.oauthbearer.allowed.urls=file://" + jwks}

	scram := fmt.Sprintf("=[name=%s,password=%s]", KafkaScramUser, KafkaScramPassword)
	program, args := java(installed, "64m", options, "kafka.tools.StorageTool", "format",
		"-t", id, "-c", config,
		"--add-scram", "SCRAM-SHA-256"+scram, "--add-scram", "SCRAM-SHA-512"+scram)
	if _, err := run(t.Context(), scratch, nil, program, args...); err != nil {
		t.Fatalf("format the storage of kafka: %v", err)
	}

	name := "kafka"
	if len(voters) > 1 {
		name = fmt.Sprintf("kafka-%d", i+1)
	}
	program, args = java(installed, "256m", options, "kafka.Kafka", config)
	k.Process = launch(t, command{
		name:    name,
		program: program,
		args:    args,
		ready: func(ctx context.Context, log []byte) error {
			// The line comes when the controller has let the broker serve. Metadata
			// alone can be answered from what an earlier run left behind.
			if !bytes.Contains(log, []byte("Kafka Server started")) {
				return errors.New("the log does not say that the server has started")
			}
			return k.ping(ctx)
		},
	})
	return k
}

func (k *Kafka) ping(ctx context.Context) error {
	client, err := kgo.NewClient(kgo.SeedBrokers(k.Plaintext))
	if err != nil {
		return err
	}
	defer client.Close()
	brokers, err := kadm.NewClient(client).ListBrokers(ctx)
	if err == nil && len(brokers) == 0 {
		err = errors.New("metadata names no broker")
	}
	return err
}

// Client returns a client of the listener without login, closed with the test.
// The options come after the broker's address, so they can name another
// listener.
func (k *Kafka) Client(opts ...kgo.Opt) *kgo.Client {
	k.t.Helper()
	client, err := kgo.NewClient(append([]kgo.Opt{kgo.SeedBrokers(k.Plaintext)}, opts...)...)
	if err != nil {
		k.t.Fatalf("make a kafka client: %v", err)
	}
	k.t.Cleanup(client.Close)
	return client
}

// CreateTopic makes a topic. The settings are the broker's topic settings, such
// as "cleanup.policy": "compact"; nil is none.
func (k *Kafka) CreateTopic(topic string, partitions int32, settings map[string]string) {
	k.t.Helper()
	values := map[string]*string{}
	for name, value := range settings {
		values[name] = &value
	}
	admin := kadm.NewClient(k.Client())
	if _, err := admin.CreateTopic(k.t.Context(), partitions, 1, values, topic); err != nil {
		k.t.Fatalf("create topic %s: %v", topic, err)
	}
}

// AddPartitions gives a topic more partitions. It returns when the broker tells of them,
// which it may do after it has made them.
func (k *Kafka) AddPartitions(topic string, more int) {
	k.t.Helper()
	admin := kadm.NewClient(k.Client())
	count := func() int {
		topics, err := admin.ListTopics(k.t.Context(), topic)
		if err == nil {
			err = topics.Error()
		}
		if err != nil {
			k.t.Fatalf("list the partitions of topic %s: %v", topic, err)
		}
		return len(topics[topic].Partitions)
	}
	before := count()
	added, err := admin.CreatePartitions(k.t.Context(), more, topic)
	if err == nil {
		err = added.Error()
	}
	if err != nil {
		k.t.Fatalf("add partitions to topic %s: %v", topic, err)
	}
	for count() < before+more {
		select {
		case <-k.t.Context().Done():
			k.t.Fatalf("add partitions to topic %s: %v", topic, k.t.Context().Err())
		case <-time.After(20 * time.Millisecond):
		}
	}
}

// clusterID is a random id as Kafka writes them: 16 bytes in base64 for URLs.
func clusterID() string {
	var id [16]byte
	rand.Read(id[:])
	// A leading dash would be taken for an option; it stands for the top six bits
	// 111110, which this rules out.
	id[0] &= 0x7f
	return base64.RawURLEncoding.EncodeToString(id[:])
}
