package kafka

import (
	"context"
	"fmt"
	"slices"

	"github.com/twmb/franz-go/pkg/kadm"
	"github.com/twmb/franz-go/pkg/kerr"
	"github.com/twmb/franz-go/pkg/kgo"
	"github.com/twmb/franz-go/pkg/kmsg"
)

// metadata is what the cluster says of the topic.
type metadata struct {
	id         string
	rawID      [16]byte
	brokers    int
	partitions []int32
	leaders    []int32 // of partitions
}

// leader is the broker that leads a partition, −1 while none does.
func (m metadata) leader(number int32) int32 {
	if i := slices.Index(m.partitions, number); i >= 0 {
		return m.leaders[i]
	}
	return -1
}

// fetchMetadata asks past the client's cache, which may know of another topic
// of the same name.
func fetchMetadata(ctx context.Context, cl *kgo.Client, topic string) (metadata, error) {
	req := kmsg.NewPtrMetadataRequest()
	t := kmsg.NewMetadataRequestTopic()
	t.Topic = &topic
	req.Topics = append(req.Topics, t)
	resp, err := req.RequestWith(ctx, cl)
	if err != nil {
		return metadata{}, err
	}
	m := metadata{brokers: len(resp.Brokers)}
	for i := range resp.Topics {
		t := &resp.Topics[i]
		if t.Topic == nil || *t.Topic != topic {
			continue
		}
		if err := kerr.ErrorForCode(t.ErrorCode); err != nil {
			return m, err
		}
		m.id, m.rawID = topicID(t.TopicID), t.TopicID
		for j := range t.Partitions {
			m.partitions = append(m.partitions, t.Partitions[j].Partition)
			m.leaders = append(m.leaders, t.Partitions[j].Leader)
		}
		return m, nil
	}
	return m, fmt.Errorf("the brokers do not mention the topic: %w", kerr.UnknownTopicOrPartition)
}

// offsets are one offset for each partition.
type offsets map[int32]int64

// take checks what was listed for the partitions.
func take(listed kadm.ListedOffsets, err error, topic string, partitions []int32) (offsets, error) {
	if err != nil {
		return nil, err
	}
	found := offsets{}
	for _, p := range partitions {
		l, ok := listed.Lookup(topic, p)
		if !ok {
			return nil, fmt.Errorf("partition %d: %w", p, kerr.UnknownTopicOrPartition)
		}
		if l.Err != nil {
			return nil, fmt.Errorf("partition %d: %w", p, l.Err)
		}
		if l.Offset < 0 {
			return nil, fmt.Errorf("partition %d: the brokers gave offset %d", p, l.Offset)
		}
		found[p] = l.Offset
	}
	return found, nil
}
