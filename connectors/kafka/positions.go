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
	return lastPosition(ctx, log, s.key())
}

// lastPosition is the newest committed state under a key, empty if there is none.
func lastPosition(ctx context.Context, log PositionsLog, key string) (text string, err error) {
	at, end, err := log.Bounds(ctx)
	if err != nil {
		return "", err
	}
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
	var states []connectors.KeptState
	err := s.look(ctx, stream, func(log PositionsLog, key string) error {
		at, end, err := log.Bounds(ctx)
		if err != nil {
			return err
		}
		return readPositions(ctx, log, max(at, end-recentPositions), end, func(r *kgo.Record) {
			if string(r.Key) == key {
				states = append(states, connectors.KeptState{Text: string(r.Value), At: r.Timestamp})
			}
		})
	})
	return states, err
}

// State implements connectors.StateHistory. A stream that was stopped long ago has
// its record where nobody but the topic's compaction has come by since.
func (s *sink) State(ctx context.Context, stream string) (text string, err error) {
	err = s.look(ctx, stream, func(log PositionsLog, key string) (err error) {
		text, err = lastPosition(ctx, log, key)
		return err
	})
	return text, err
}

// look opens the topic of positions for what it has of a stream, where there is such
// a topic.
func (s *sink) look(ctx context.Context, stream string, read func(log PositionsLog, key string) error) error {
	topic := s.cfg.Options.String("positions_topic")
	log, err := (&brokers{sink: &streamSink{sink: s, spec: connectors.StreamSpec{Stream: stream}}}).Positions(ctx)
	if errors.Is(err, kerr.UnknownTopicOrPartition) {
		return nil
	}
	if err == nil {
		defer log.Close()
		err = read(log, transactionalID(s.cfg.Options, stream))
	}
	if err != nil {
		return s.explain(s.cfg.Options, topic, "read topic "+topic, err)
	}
	return nil
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
