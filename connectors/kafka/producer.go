package kafka

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/twmb/franz-go/pkg/kgo"

	"github.com/leatdb/leat/connectors"
	"github.com/leatdb/leat/internal/sched"
)

// producer writes the rows of one generation of a stream, all lanes' together, in
// one transaction after the other. It is good until its first failure: what was
// written since the last commit is then gone, and a transactional id whose owner
// has failed must not be taken up again without asking who has it.
type producer struct {
	client Producer
	health *health // nil in a simulation
	rules  Rules

	m    sched.Monitor
	err  error // what it failed with
	told bool  // commit has returned err
	txn  int64 // transactions committed
}

// newProducer takes the transactional id: whoever had it before can commit
// nothing more, and what it has not committed is aborted.
func newProducer(ctx context.Context, s *streamSink) (*producer, error) {
	o := s.sink.cfg.Options
	id := transactionalID(o, s.spec.Stream)
	p := &producer{rules: s.sink.rules, m: s.sink.scheduler.NewMonitor()}
	cluster := s.cluster()
	if b, ok := cluster.(*brokers); ok {
		p.health = &health{
			now: s.spec.Now, retrying: s.spec.Retrying, failing: map[int32]failure{},
			explain: func(err error) error { return s.explain("reach the brokers", err) },
		}
		b.health = p.health
	}
	var err error
	if p.client, err = cluster.Producer(id); err != nil {
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
	if p.rules.lacks(RuleAwait) {
		return p.failed()
	}
	p.m.Lock()
	defer p.m.Unlock()
	if p.err != nil || p.txn >= n {
		return p.err
	}
	defer p.m.BroadcastAfter(ctx)()
	for p.err == nil && p.txn < n && ctx.Err() == nil {
		p.m.Wait()
	}
	if p.err == nil && p.txn < n {
		return ctx.Err()
	}
	return p.err
}

// fail notes the first failure.
func (p *producer) fail(err error) {
	p.m.Lock()
	defer p.m.Unlock()
	if p.err == nil {
		p.err = err
		p.m.Broadcast()
	}
}

func (p *producer) failed() error {
	p.m.Lock()
	defer p.m.Unlock()
	return p.err
}

func (p *producer) committed() int64 {
	p.m.Lock()
	defer p.m.Unlock()
	return p.txn
}

// commit writes a last record and commits the transaction with it. All lanes have
// written what belongs to it, and write nothing meanwhile.
func (p *producer) commit(ctx context.Context, s *streamSink, last *kgo.Record) error {
	p.m.Lock()
	err, told := p.err, p.told
	p.told = p.told || err != nil
	p.m.Unlock()
	switch {
	case told:
		return fmt.Errorf("%w: %w", connectors.ErrBeginAgain, err)
	case err != nil:
		return err
	}
	// The client tries for as long as it takes, and says nothing.
	defer p.health.watch(s.sink.cfg.Options.Duration("connect_timeout"))()
	if err = p.client.Flush(ctx); err == nil {
		err = p.failed()
	}
	if err == nil && p.rules.lacks(RuleTogether) {
		if err = p.client.EndTransaction(ctx, kgo.TryCommit); err == nil {
			err = p.client.BeginTransaction()
		}
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
		p.m.Lock()
		p.told = true
		p.m.Unlock()
		return err
	}
	p.health.committed()
	p.m.Lock()
	defer p.m.Unlock()
	p.txn++
	p.m.Broadcast()
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
