package kafka

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"time"

	"github.com/twmb/franz-go/pkg/kgo"

	"github.com/leatdb/leat/connectors"
)

// producer writes the rows of one generation of a stream, all lanes' together, in
// one transaction after the other. It is good until its first failure: what was
// written since the last commit is then gone, and a transactional id whose owner
// has failed must not be taken up again without asking who has it.
type producer struct {
	client *kgo.Client
	health *health

	mu      sync.Mutex
	err     error         // what it failed with
	told    bool          // commit has returned err
	txn     int64         // transactions committed
	changed chan struct{} // closed when one of these changes
}

// newProducer takes the transactional id: whoever had it before can commit
// nothing more, and what it has not committed is aborted.
func newProducer(ctx context.Context, s *streamSink) (*producer, error) {
	o := s.sink.cfg.Options
	opts, err := connectionOptions(s.sink.about, s.spec.Stream, o)
	if err != nil {
		return nil, err
	}
	id := transactionalID(o, s.spec.Stream)
	p := &producer{changed: make(chan struct{})}
	p.health = &health{
		now: s.spec.Now, retrying: s.spec.Retrying, failing: map[int32]failure{},
		explain: func(err error) error { return s.explain("reach the brokers", err) },
	}
	limit := s.sink.limit(s.spec.Table)
	memory := s.spec.MemoryBytes
	if memory <= 0 {
		memory = 256 << 20
	}
	p.client, err = kgo.NewClient(append(opts,
		kgo.WithHooks(p.health),
		kgo.TransactionalID(id),
		kgo.TransactionTimeout(o.Duration("transaction_timeout")),
		kgo.ProducerBatchCompression(codec(s.spec.Options.String("compression"))),
		kgo.ProducerBatchMaxBytes(int32(limit)),
		kgo.BrokerMaxWriteBytes(int32(max(100<<20, 2*limit))),
		kgo.ProducerLinger(s.spec.Options.Duration("linger")),
		kgo.MaxBufferedRecords(1<<20),
		kgo.MaxBufferedBytes(int(max(memory/2, int64(2*limit)))),
	)...)
	if err != nil {
		return nil, s.explain("make a client", err)
	}
	ctx, cancel := context.WithTimeout(ctx, 3*o.Duration("connect_timeout"))
	defer cancel()
	if _, _, err := p.client.ProducerID(ctx); err != nil {
		if cause := p.health.last(); cause != nil && (errors.Is(err, context.DeadlineExceeded) || errors.Is(err, context.Canceled)) {
			err = errors.Join(cause, err)
		}
		p.close()
		return nil, s.explain("take the transactional id "+id, err)
	}
	if err := p.client.BeginTransaction(); err != nil {
		p.close()
		return nil, s.explain("begin a transaction", err)
	}
	return p, nil
}

func codec(name string) kgo.CompressionCodec {
	switch name {
	case "gzip":
		return kgo.GzipCompression()
	case "snappy":
		return kgo.SnappyCompression()
	case "lz4":
		return kgo.Lz4Compression()
	case "zstd":
		return kgo.ZstdCompression()
	}
	return kgo.NoCompression()
}

// await waits until n transactions are committed, so that what is written belongs
// to the next.
func (p *producer) await(ctx context.Context, n int64) error {
	for {
		p.mu.Lock()
		err, txn, changed := p.err, p.txn, p.changed
		p.mu.Unlock()
		switch {
		case err != nil:
			return err
		case txn >= n:
			return nil
		}
		select {
		case <-changed:
		case <-ctx.Done():
			return ctx.Err()
		}
	}
}

// fail notes the first failure.
func (p *producer) fail(err error) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.err == nil {
		p.err = err
		close(p.changed)
		p.changed = make(chan struct{})
	}
}

func (p *producer) failed() error {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.err
}

func (p *producer) committed() int64 {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.txn
}

// commit writes a last record and commits the transaction with it. All lanes have
// written what belongs to it, and write nothing meanwhile.
func (p *producer) commit(ctx context.Context, s *streamSink, last *kgo.Record) error {
	p.mu.Lock()
	err, told := p.err, p.told
	p.told = p.told || err != nil
	p.mu.Unlock()
	switch {
	case told:
		return fmt.Errorf("%w: %w", connectors.ErrBeginAgain, err)
	case err != nil:
		return err
	}
	// The client tries for as long as it takes, and says nothing.
	patience := s.sink.cfg.Options.Duration("connect_timeout")
	waiting := time.AfterFunc(patience, func() { p.health.waits(fmt.Errorf("%w within %s", errNoCommit, patience)) })
	defer waiting.Stop()
	if err = p.client.Flush(ctx); err == nil {
		err = p.failed()
	}
	if err == nil {
		err = p.client.ProduceSync(ctx, last).FirstErr()
	}
	if err == nil {
		err = p.client.EndTransaction(ctx, kgo.TryCommit)
	}
	if err == nil {
		err = p.client.BeginTransaction()
	}
	if err != nil {
		err = s.explain("commit a transaction", err)
		p.fail(err)
		p.giveUp()
		p.mu.Lock()
		p.told = true
		p.mu.Unlock()
		return err
	}
	waiting.Stop()
	p.health.committed()
	p.mu.Lock()
	defer p.mu.Unlock()
	p.txn++
	close(p.changed)
	p.changed = make(chan struct{})
	return nil
}

// abort throws away what was written since the last commit.
func (p *producer) abort(ctx context.Context) error {
	if err := p.failed(); err != nil {
		return err
	}
	err := p.client.AbortBufferedRecords(ctx)
	if err == nil {
		err = p.client.EndTransaction(ctx, kgo.TryAbort)
	}
	if err == nil {
		// Records that were aborted have failed, which is no failure of the producer.
		err = p.client.BeginTransaction()
	}
	if err != nil {
		p.fail(err)
	}
	return err
}

// giveUp aborts a transaction that failed, if that can be done soon, so that
// neither other readers nor Load have to wait until it times out. The client does
// it in the name of the epoch that it has, so that it harms no newer one.
func (p *producer) giveUp() {
	ctx, cancel := context.WithTimeout(context.Background(), 3*time.Second)
	defer cancel()
	if p.client.AbortBufferedRecords(ctx) == nil {
		_ = p.client.EndTransaction(ctx, kgo.TryAbort)
	}
}

// close ends the client and aborts what is not committed.
func (p *producer) close() {
	p.health.close()
	if p.failed() == nil {
		p.fail(errClosed)
		p.giveUp()
	}
	p.client.Close()
}

var (
	errClosed   = errors.New("the sink is closed")
	errNoCommit = errors.New("the brokers answer, and take no transaction")
)
