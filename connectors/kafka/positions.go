package kafka

import (
	"context"
	"errors"
	"fmt"

	"github.com/twmb/franz-go/pkg/kerr"
	"github.com/twmb/franz-go/pkg/kgo"
	"github.com/twmb/franz-go/pkg/kmsg"
)

// store keeps the state of one stream in the cluster's topic of positions, under
// the transactional id as key. It implements connectors.StateStore: a record of
// the state is the last of each transaction.
//
// The topic has one partition, so that nobody can ever look in the wrong one. It
// is compacted, so that it stays as long as there are streams.
type store struct{ sink *streamSink }

func (s *store) topic() string { return s.sink.sink.cfg.Options.String("positions_topic") }

func (s *store) key() string { return transactionalID(s.sink.sink.cfg.Options, s.sink.spec.Stream) }

// Load implements connectors.StateStore: it reads the topic as a reader with
// isolation read_committed does, up to where it ended when Load was called. Open
// transactions hold such a reader up; so whatever was sent before is decided when
// it gets there.
func (s *store) Load(ctx context.Context) (string, error) {
	cl, err := s.sink.sink.admin(s.sink.spec.Stream)
	if err != nil {
		return "", err
	}
	defer cl.Close()
	text, err := s.load(ctx, cl)
	if err != nil {
		return "", s.sink.explain("read topic "+s.topic(), err)
	}
	return text, nil
}

func (s *store) load(ctx context.Context, cl *kgo.Client) (string, error) {
	meta, leader, err := s.leader(ctx, cl)
	if errors.Is(err, kerr.UnknownTopicOrPartition) && s.sink.spec.Dropping {
		return "", nil
	}
	if err != nil {
		return "", err
	}
	begin, err := s.offset(ctx, cl, leader, -2)
	if err != nil {
		return "", err
	}
	end, err := s.offset(ctx, cl, leader, -1)
	if err != nil {
		return "", err
	}
	key, text := s.key(), ""
	for at := begin; at < end; {
		got, next, err := s.fetch(ctx, cl, leader, meta, at)
		if err != nil {
			return "", err
		}
		for _, r := range got {
			if string(r.Key) == key {
				text = string(r.Value)
			}
		}
		at = next
	}
	return text, nil
}

// leader asks who has the topic's partition.
func (s *store) leader(ctx context.Context, cl *kgo.Client) (metadata, *kgo.Broker, error) {
	ctx, cancel := s.patience(ctx)
	defer cancel()
	m, err := fetchMetadata(ctx, cl, s.topic())
	if err != nil {
		return m, nil, err
	}
	if len(m.partitions) != 1 || m.partitions[0] != 0 {
		return m, nil, fmt.Errorf("topic %s has %d partitions, and has to have one", s.topic(), len(m.partitions))
	}
	return m, cl.Broker(int(m.leaders[0])), nil
}

func (s *store) patience(ctx context.Context) (context.Context, context.CancelFunc) {
	return context.WithTimeout(ctx, s.sink.sink.cfg.Options.Duration("connect_timeout"))
}

// offset is where the partition begins (−2) or ends (−1), whatever of it is
// committed.
func (s *store) offset(ctx context.Context, cl *kgo.Client, leader *kgo.Broker, at int64) (int64, error) {
	ctx, cancel := s.patience(ctx)
	defer cancel()
	req := kmsg.NewPtrListOffsetsRequest()
	req.ReplicaID = -1
	t := kmsg.NewListOffsetsRequestTopic()
	t.Topic = s.topic()
	p := kmsg.NewListOffsetsRequestTopicPartition()
	p.Partition, p.Timestamp = 0, at
	t.Partitions = append(t.Partitions, p)
	req.Topics = append(req.Topics, t)
	answer, err := leader.RetriableRequest(ctx, req)
	if err != nil {
		return 0, err
	}
	resp := answer.(*kmsg.ListOffsetsResponse)
	if len(resp.Topics) != 1 || len(resp.Topics[0].Partitions) != 1 {
		return 0, errors.New("the brokers do not say where the topic ends")
	}
	got := &resp.Topics[0].Partitions[0]
	return got.Offset, kerr.ErrorForCode(got.ErrorCode)
}

// fetch reads committed records from an offset on, and says where to go on.
func (s *store) fetch(ctx context.Context, cl *kgo.Client, leader *kgo.Broker, meta metadata, at int64) ([]*kgo.Record, int64, error) {
	ctx, cancel := s.patience(ctx)
	defer cancel()
	req := fetchRequest(s.topic(), meta, 0, at)
	req.IsolationLevel, req.MaxWaitMillis, req.MinBytes = 1, 200, 1
	answer, err := leader.RetriableRequest(ctx, req)
	if err != nil {
		return nil, at, err
	}
	resp := answer.(*kmsg.FetchResponse)
	if err := kerr.ErrorForCode(resp.ErrorCode); err != nil {
		return nil, at, err
	}
	for i := range resp.Topics {
		for j := range resp.Topics[i].Partitions {
			rp := &resp.Topics[i].Partitions[j]
			if err := kerr.ErrorForCode(rp.ErrorCode); err != nil {
				return nil, at, err
			}
			if len(rp.RecordBatches) == 0 {
				continue
			}
			got, next := kgo.ProcessFetchPartition(kgo.ProcessFetchPartitionOpts{
				Offset: at, IsolationLevel: kgo.ReadCommitted(), Topic: s.topic(), Partition: 0,
			}, rp, kgo.DefaultDecompressor(), nil)
			return got.Records, max(at, next), got.Err
		}
	}
	return nil, at, nil
}

// fetchRequest asks for the records of a partition without waiting for any.
func fetchRequest(topic string, meta metadata, partition int32, offset int64) *kmsg.FetchRequest {
	req := kmsg.NewPtrFetchRequest()
	req.ReplicaID = -1
	req.MaxWaitMillis = 0
	req.MinBytes = 0
	req.MaxBytes = probeBytes
	req.SessionEpoch = -1
	t := kmsg.NewFetchRequestTopic()
	t.Topic, t.TopicID = topic, meta.rawID
	p := kmsg.NewFetchRequestTopicPartition()
	p.Partition, p.FetchOffset, p.PartitionMaxBytes = partition, offset, probeBytes
	t.Partitions = append(t.Partitions, p)
	req.Topics = append(req.Topics, t)
	return req
}

// Commit implements connectors.StateStore.
func (s *store) Commit(ctx context.Context, text string) error {
	p, err := s.sink.producing(ctx)
	if err != nil {
		return err
	}
	r := &kgo.Record{Topic: s.topic(), Key: []byte(s.key())}
	if text != "" {
		r.Value = []byte(text)
	}
	return p.commit(ctx, s.sink, r)
}
