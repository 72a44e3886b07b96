package kafka

import (
	"context"
	"errors"
	"fmt"

	"github.com/twmb/franz-go/pkg/kerr"
	"github.com/twmb/franz-go/pkg/kgo"
	"github.com/twmb/franz-go/pkg/kmsg"

	"github.com/leatdb/leat/connectors"
	"github.com/leatdb/leat/internal/sched"
)

// Config is a sink over a cluster that is given, such as a simulated one.
type Config struct {
	Name      string
	Options   connectors.Options
	Cluster   Cluster
	Ledger    connectors.Ledger
	Scheduler sched.Scheduler
	Logger    connectors.Logger
	Rules     Rules
}

// Open opens a sink. Its streams' topics have to exist.
func Open(cfg Config) connectors.Sink {
	s := newSink(connectors.SinkConfig{
		Name: cfg.Name, Options: cfg.Options, Logger: cfg.Logger,
		Ledger: func(context.Context, string) (connectors.Ledger, error) { return cfg.Ledger, nil },
	})
	s.cluster, s.scheduler, s.rules = cfg.Cluster, cfg.Scheduler, cfg.Rules
	return s
}

// Cluster is what a stream needs of brokers to write transactions.
type Cluster interface {
	// Producer makes a client with a transactional id, which it does not take yet.
	Producer(id string) (Producer, error)
	// Positions opens the partition of the topic of positions.
	Positions(ctx context.Context) (PositionsLog, error)
}

// Producer is a client that writes transactions; *kgo.Client is one and documents
// the methods.
type Producer interface {
	ProducerID(ctx context.Context) (id int64, epoch int16, err error)
	BeginTransaction() error
	Produce(ctx context.Context, r *kgo.Record, promise func(*kgo.Record, error))
	ProduceSync(ctx context.Context, rs ...*kgo.Record) kgo.ProduceResults
	Flush(ctx context.Context) error
	AbortBufferedRecords(ctx context.Context) error
	EndTransaction(ctx context.Context, commit kgo.TransactionEndTry) error
	BufferedProduceBytes() int64
	Close()
}

var _ Producer = (*kgo.Client)(nil)

// PositionsLog is a partition, read as readers with isolation read_committed do.
type PositionsLog interface {
	// Bounds are the offsets of the first record and behind the last one, whatever
	// of these is committed.
	Bounds(ctx context.Context) (begin, end int64, err error)
	// Fetch returns committed records from an offset on, and where to go on, which
	// is the same offset when the records there are not decided yet.
	Fetch(ctx context.Context, at int64) (records []*kgo.Record, next int64, err error)
	Close()
}

// brokers is the cluster of one stream on the network. It implements Cluster.
type brokers struct {
	sink   *streamSink
	health *health
}

// Producer implements Cluster.
func (b *brokers) Producer(id string) (Producer, error) {
	s := b.sink
	o := s.sink.cfg.Options
	opts, err := connectionOptions(s.sink.about, s.spec.Stream, o)
	if err != nil {
		return nil, err
	}
	limit := s.sink.limit(s.spec.Table)
	memory := s.spec.MemoryBytes
	if memory <= 0 {
		memory = 256 << 20
	}
	return kgo.NewClient(append(opts,
		kgo.WithHooks(b.health),
		kgo.TransactionalID(id),
		kgo.TransactionTimeout(o.Duration("transaction_timeout")),
		kgo.ProducerBatchCompression(codec(s.spec.Options.String("compression"))),
		kgo.ProducerBatchMaxBytes(int32(limit)),
		kgo.BrokerMaxWriteBytes(int32(max(100<<20, 2*limit))),
		kgo.ProducerLinger(s.spec.Options.Duration("linger")),
		kgo.MaxBufferedRecords(1<<20),
		kgo.MaxBufferedBytes(int(max(memory/2, int64(2*limit)))),
	)...)
}

// Positions implements Cluster.
func (b *brokers) Positions(ctx context.Context) (PositionsLog, error) {
	s := b.sink.sink
	cl, err := s.admin(b.sink.spec.Stream)
	if err != nil {
		return nil, err
	}
	l := &positionsLog{sink: s, client: cl, topic: s.cfg.Options.String("positions_topic")}
	if err := l.find(ctx); err != nil {
		cl.Close()
		return nil, err
	}
	return l, nil
}

// positionsLog is the partition at its leader. It implements PositionsLog.
type positionsLog struct {
	sink   *sink
	client *kgo.Client
	topic  string
	meta   metadata
	leader *kgo.Broker
}

// find asks who has the topic's partition.
func (l *positionsLog) find(ctx context.Context) error {
	ctx, cancel := l.sink.patience(ctx)
	defer cancel()
	m, err := fetchMetadata(ctx, l.client, l.topic)
	if err != nil {
		return err
	}
	if len(m.partitions) != 1 || m.partitions[0] != 0 {
		return fmt.Errorf("topic %s has %d partitions, and has to have one", l.topic, len(m.partitions))
	}
	l.meta, l.leader = m, l.client.Broker(int(m.leaders[0]))
	return nil
}

// Close implements PositionsLog.
func (l *positionsLog) Close() { l.client.Close() }

// Bounds implements PositionsLog.
func (l *positionsLog) Bounds(ctx context.Context) (begin, end int64, err error) {
	if begin, err = l.offset(ctx, -2); err == nil {
		end, err = l.offset(ctx, -1)
	}
	return begin, end, err
}

// offset is where the partition begins (−2) or ends (−1), whatever of it is
// committed.
func (l *positionsLog) offset(ctx context.Context, at int64) (int64, error) {
	ctx, cancel := l.sink.patience(ctx)
	defer cancel()
	req := kmsg.NewPtrListOffsetsRequest()
	req.ReplicaID = -1
	t := kmsg.NewListOffsetsRequestTopic()
	t.Topic = l.topic
	p := kmsg.NewListOffsetsRequestTopicPartition()
	p.Partition, p.Timestamp = 0, at
	t.Partitions = append(t.Partitions, p)
	req.Topics = append(req.Topics, t)
	answer, err := l.leader.RetriableRequest(ctx, req)
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

// Fetch implements PositionsLog.
func (l *positionsLog) Fetch(ctx context.Context, at int64) ([]*kgo.Record, int64, error) {
	ctx, cancel := l.sink.patience(ctx)
	defer cancel()
	req := fetchRequest(l.topic, l.meta, 0, at)
	req.IsolationLevel, req.MaxWaitMillis, req.MinBytes = 1, 200, 1
	answer, err := l.leader.RetriableRequest(ctx, req)
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
				Offset: at, IsolationLevel: kgo.ReadCommitted(), Topic: l.topic, Partition: 0,
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
