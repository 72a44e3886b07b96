package services

import (
	"context"
	"fmt"
	"strings"
	"time"

	"github.com/twmb/franz-go/pkg/kadm"
	"github.com/twmb/franz-go/pkg/kgo"
)

// KafkaCluster is several brokers, each of which is a controller too. Topics have
// a replica on each, and take a record when more than half of the brokers have
// it: with three, one may be killed at any time.
type KafkaCluster struct {
	t       TB
	Brokers []*Kafka // in the order of their ids, which begin at 1
}

// StartKafkaCluster starts n brokers for the test.
func StartKafkaCluster(t TB, n int) *KafkaCluster {
	t.Helper()
	c := &KafkaCluster{t: t, Brokers: startKafka(t, n)}
	c.Await()
	return c
}

// Await waits until all brokers serve, know each other and have all records that
// the others have.
func (c *KafkaCluster) Await() {
	c.t.Helper()
	ctx, cancel := context.WithTimeout(c.t.Context(), readyTimeout)
	defer cancel()
	for _, k := range c.Brokers {
		k.Await()
	}
	admin := kadm.NewClient(c.Client())
	again := time.NewTicker(50 * time.Millisecond)
	defer again.Stop()
	for {
		err := c.whole(ctx, admin)
		if err == nil {
			return
		}
		select {
		case <-again.C:
		case <-ctx.Done():
			c.t.Fatalf("start kafka: %v", err)
		}
	}
}

func (c *KafkaCluster) whole(ctx context.Context, admin *kadm.Client) error {
	m, err := admin.Metadata(ctx)
	if err != nil {
		return err
	}
	if len(m.Brokers) != len(c.Brokers) {
		return fmt.Errorf("%d of %d brokers are known", len(m.Brokers), len(c.Brokers))
	}
	for _, topic := range m.Topics {
		for _, p := range topic.Partitions {
			if len(p.ISR) < len(p.Replicas) || p.Leader < 0 {
				return fmt.Errorf("partition %d of topic %s: %d of %d replicas are in sync", p.Partition, p.Topic, len(p.ISR), len(p.Replicas))
			}
		}
	}
	return nil
}

// Addresses are those of all brokers, separated by commas.
func (c *KafkaCluster) Addresses() string {
	all := make([]string, len(c.Brokers))
	for i, k := range c.Brokers {
		all[i] = k.Plaintext
	}
	return strings.Join(all, ",")
}

// Client returns a client of all brokers, closed with the test.
func (c *KafkaCluster) Client(opts ...kgo.Opt) *kgo.Client {
	c.t.Helper()
	return c.Brokers[0].Client(append([]kgo.Opt{kgo.SeedBrokers(strings.Split(c.Addresses(), ",")...)}, opts...)...)
}

// CreateTopic makes a topic with a replica on each broker.
func (c *KafkaCluster) CreateTopic(topic string, partitions int32) {
	c.t.Helper()
	if _, err := kadm.NewClient(c.Client()).CreateTopic(c.t.Context(), partitions, -1, nil, topic); err != nil {
		c.t.Fatalf("create topic %s: %v", topic, err)
	}
}

// Leader is the broker that leads a partition, which has to have one.
func (c *KafkaCluster) Leader(topic string, partition int32) *Kafka {
	c.t.Helper()
	m, err := kadm.NewClient(c.Client()).Metadata(c.t.Context(), topic)
	if err != nil {
		c.t.Fatalf("find the leader of %s/%d: %v", topic, partition, err)
	}
	p := m.Topics[topic].Partitions[partition]
	if p.Leader < 1 || int(p.Leader) > len(c.Brokers) {
		c.t.Fatalf("find the leader of %s/%d: there is none", topic, partition)
	}
	return c.Brokers[p.Leader-1]
}
