package services

import (
	"bytes"
	"context"
	_ "embed"
	"encoding/json"
	"fmt"
	"net/http"
	"os"
	"path/filepath"
	"text/template"
)

var (
	//go:embed peers/connect.properties.tmpl
	connectProperties string

	connectTemplate = template.Must(template.New("connect.properties").Parse(connectProperties))
)

// KafkaConnect is a worker of Apache Kafka Connect that knows Apache Iceberg's
// sink.
type KafkaConnect struct {
	*Process
	url string
}

// KafkaConnectVersion tells the versions of the sink and of the worker.
func KafkaConnectVersion() (string, error) {
	_, err := connect.installed()
	return "1.12.0 in Kafka Connect 4.3.1", err
}

// StartKafkaConnect starts a worker of a broker.
func StartKafkaConnect(t TB, k *Kafka) *KafkaConnect {
	t.Helper()
	installed := connect.mustDir(t)
	scratch := t.TempDir()
	c := &KafkaConnect{}
	address := FreeAddresses(t, 1)[0]
	c.url = "http://" + address
	var text bytes.Buffer
	if err := connectTemplate.Execute(&text, map[string]any{"Brokers": k.Plaintext, "Address": address, "Plugins": filepath.Join(installed, "plugins")}); err != nil {
		t.Fatal(err)
	}
	config, log4j := filepath.Join(scratch, "connect.properties"), filepath.Join(scratch, "log4j2.xml")
	for path, content := range map[string][]byte{config: text.Bytes(), log4j: []byte(kafkaLog4j)} {
		if err := os.WriteFile(path, content, 0o600); err != nil {
			t.Fatal(err)
		}
	}
	for _, topic := range []string{"connect-configs", "connect-offsets", "connect-status"} {
		k.CreateTopic(topic, 1, map[string]string{"cleanup.policy": "compact"})
	}
	program := "java"
	if home := os.Getenv("JAVA_HOME"); home != "" {
		program = filepath.Join(home, "bin", "java")
	}
	c.Process = start(t, command{
		name:    "kafka-connect",
		program: program,
		args: []string{
			"-Xms512m", "-Xmx2g", "-Dlog4j2.configurationFile=" + log4j, "-cp", filepath.Join(installed, "libs", "*"),
			"org.apache.kafka.connect.cli.ConnectDistributed", config,
		},
		ready: func(ctx context.Context, _ []byte) error {
			return httpJSON(ctx, http.MethodGet, c.url+"/connectors", nil, nil)
		},
	})
	return c
}

// Create makes a connector.
func (c *KafkaConnect) Create(ctx context.Context, name string, config map[string]string) error {
	return httpJSON(ctx, http.MethodPost, c.url+"/connectors", map[string]any{"name": name, "config": config}, nil)
}

// Delete removes a connector.
func (c *KafkaConnect) Delete(ctx context.Context, name string) error {
	req, err := http.NewRequestWithContext(ctx, http.MethodDelete, c.url+"/connectors/"+name, nil)
	if err != nil {
		return err
	}
	resp, err := http.DefaultClient.Do(req)
	if err != nil {
		return err
	}
	defer resp.Body.Close()
	if resp.StatusCode >= 300 {
		return fmt.Errorf("delete connector %s: %s", name, resp.Status)
	}
	return nil
}

// Failure is why a connector or one of its tasks has failed, nil if none has.
func (c *KafkaConnect) Failure(ctx context.Context, name string) error {
	type state struct{ State, Trace string }
	var status struct {
		Connector state
		Tasks     []state
	}
	var raw json.RawMessage
	if err := httpJSON(ctx, http.MethodGet, c.url+"/connectors/"+name+"/status", nil, &raw); err != nil {
		return err
	}
	if err := json.Unmarshal(raw, &status); err != nil {
		return err
	}
	for _, s := range append(status.Tasks, status.Connector) {
		if s.State == "FAILED" {
			return fmt.Errorf("connector %s: %.1000s", name, s.Trace)
		}
	}
	return nil
}
