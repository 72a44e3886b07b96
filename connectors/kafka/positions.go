package kafka

import (
	"context"
	"errors"
	"time"

	"github.com/twmb/franz-go/pkg/kerr"
	"github.com/twmb/franz-go/pkg/kgo"

	"github.com/leatdb/leat/connectors"
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
	text, err := s.load(ctx)
	if err != nil {
		return "", s.sink.sink.explain(s.sink.sink.cfg.Options, s.topic(), "read topic "+s.topic(), err)
	}
	return text, nil
}

func (s *store) load(ctx context.Context) (string, error) {
	log, err := s.sink.cluster().Positions(ctx)
	if errors.Is(err, kerr.UnknownTopicOrPartition) && s.sink.spec.Dropping {
		return "", nil
	}
	if err != nil {
		return "", err
	}
	defer log.Close()
	at, end, err := log.Bounds(ctx)
	if err != nil {
		return "", err
	}
	key, text := s.key(), ""
	err = readPositions(ctx, log, at, end, func(r *kgo.Record) {
		if string(r.Key) == key {
			text = string(r.Value)
		}
	})
	return text, err
}

// readPositions visits the committed records between two offsets.
func readPositions(ctx context.Context, log PositionsLog, at, end int64, visit func(*kgo.Record)) error {
	for at < end {
		got, next, err := log.Fetch(ctx, at)
		if err != nil {
			return err
		}
		for _, r := range got {
			visit(r)
		}
		at = next
	}
	return nil
}

// recentPositions is how many of the newest records of all streams are looked
// through for those of one, and for how long.
const (
	recentPositions = 10_000
	recentPatience  = 10 * time.Second
)

// States implements connectors.StateHistory: what the topic of positions still
// holds.
func (s *sink) States(ctx context.Context, stream string) ([]connectors.KeptState, error) {
	ctx, cancel := context.WithTimeout(ctx, recentPatience)
	defer cancel()
	topic := s.cfg.Options.String("positions_topic")
	log, err := (&brokers{sink: &streamSink{sink: s, spec: connectors.StreamSpec{Stream: stream}}}).Positions(ctx)
	if errors.Is(err, kerr.UnknownTopicOrPartition) {
		return nil, nil
	}
	var states []connectors.KeptState
	if err == nil {
		defer log.Close()
		var at, end int64
		if at, end, err = log.Bounds(ctx); err == nil {
			key := transactionalID(s.cfg.Options, stream)
			err = readPositions(ctx, log, max(at, end-recentPositions), end, func(r *kgo.Record) {
				if string(r.Key) == key {
					states = append(states, connectors.KeptState{Text: string(r.Value), At: r.Timestamp})
				}
			})
		}
	}
	if err != nil {
		return nil, s.explain(s.cfg.Options, topic, "read topic "+topic, err)
	}
	return states, nil
}

// Commit implements connectors.StateStore.
func (s *store) Commit(ctx context.Context, text string) error {
	if p := s.sink.producer; p != nil && p.told && s.sink.sink.rules.lacks(RuleBeginAgain) {
		s.sink.closeProducer()
	}
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
