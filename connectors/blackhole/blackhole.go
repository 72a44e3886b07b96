// Package blackhole is a sink that counts rows and forgets them: for trying out
// queries, and for measuring what a stream costs without its table. Positions,
// counters and dead letters are kept as for any sink that is no table.
package blackhole

import (
	"context"
	"fmt"
	"time"

	"github.com/leatdb/leat/connectors"
	"github.com/leatdb/leat/sql/sqlerror"
)

func init() {
	connectors.RegisterSink(&connectors.SinkConnector{
		Name:       "blackhole",
		Doc:        "Takes rows, counts them and forgets them. Positions, counters and dead letters are kept in the embedded lake.",
		Spec:       spec,
		StreamSpec: spec,
		Open:       open,
	})
}

var spec = connectors.Spec{
	{Name: "commit_interval", Kind: connectors.OptionDuration, Default: "10s", Min: int64(10 * time.Millisecond), Max: int64(24 * time.Hour), Runtime: true, Doc: "How often positions, counters and dead letters are committed."},
	{Name: "commit_size", Kind: connectors.OptionSize, Default: "1GB", Min: 1e3, Max: 1 << 42, Runtime: true, Doc: "Commits earlier when so many bytes of dead letters were written."},
}

// sink implements connectors.Sink.
type sink struct{ cfg connectors.SinkConfig }

func open(_ context.Context, cfg connectors.SinkConfig) (connectors.Sink, error) {
	return &sink{cfg}, nil
}

// Check implements connectors.Sink: there is nothing that could be missing.
func (s *sink) Check(context.Context) error { return nil }

// Close implements connectors.Sink.
func (s *sink) Close() error { return nil }

// Stream implements connectors.Sink.
func (s *sink) Stream(ctx context.Context, spec connectors.StreamSpec) (connectors.StreamSink, error) {
	if len(spec.Partition) > 0 {
		return nil, sqlerror.Userf(sqlerror.CodeUnsupported, "PARTITIONED BY is for tables").About("stream "+spec.Stream).
			WithHint("leave it out: sink %s keeps no rows", s.cfg.Name)
	}
	if s.cfg.Ledger == nil {
		return nil, &sqlerror.Error{Code: sqlerror.CodeInternal, Object: "sink " + s.cfg.Name, Message: "there is no lake for dead letters"}
	}
	ledger, err := s.cfg.Ledger(ctx, "")
	if err != nil {
		return nil, fmt.Errorf("open the lake for dead letters: %w", err)
	}
	spec.Lanes = max(spec.Lanes, 1)
	kept, err := ledger.Keep(ctx, spec, nil)
	if err != nil {
		return nil, fmt.Errorf("keep positions and dead letters in the lake: %w", err)
	}
	ss := &streamSink{StreamSink: kept, lanes: make([]*lane, spec.Lanes)}
	for i := range ss.lanes {
		ss.lanes[i] = &lane{LaneWriter: kept.Writer(i)}
	}
	return ss, nil
}

// streamSink is what is kept, with writers that take rows. It implements
// connectors.StreamSink and connectors.Replayer.
type streamSink struct {
	connectors.StreamSink
	lanes []*lane
}

// Begin implements connectors.StreamSink: a generation has writers of its own.
func (s *streamSink) Begin(ctx context.Context, initial func(context.Context) (map[string]connectors.Positions, error)) (connectors.State, bool, error) {
	state, resumed, err := s.StreamSink.Begin(ctx, initial)
	if err == nil {
		s.reset()
	}
	return state, resumed, err
}

func (s *streamSink) reset() {
	for i, l := range s.lanes {
		*l = lane{LaneWriter: s.StreamSink.Writer(i)}
	}
}

// Writer implements connectors.StreamSink.
func (s *streamSink) Writer(i int) connectors.LaneWriter { return s.lanes[i] }

// Commit implements connectors.StreamSink.
func (s *streamSink) Commit(ctx context.Context, state connectors.State, parts []connectors.Sealed, info connectors.CommitInfo) (connectors.CommitResult, error) {
	kept := make([]connectors.Sealed, len(parts))
	for i, part := range parts {
		one, ok := part.(sealed)
		if !ok {
			return connectors.CommitResult{}, &sqlerror.Error{Code: sqlerror.CodeInternal, Message: fmt.Sprintf("commit of %T", part)}
		}
		kept[i] = one.Sealed
	}
	result, err := s.StreamSink.Commit(ctx, state, kept, info)
	result.Files, result.Bytes = 0, 0
	return result, err
}

// Abort implements connectors.StreamSink.
func (s *streamSink) Abort(ctx context.Context) error {
	if err := s.StreamSink.Abort(ctx); err != nil {
		return err
	}
	s.reset()
	return nil
}

// ReadReplay implements connectors.Replayer.
func (s *streamSink) ReadReplay(ctx context.Context, r connectors.Replay, letters []connectors.DeadLetter) ([]connectors.DeadLetter, connectors.Replay, error) {
	return s.StreamSink.(connectors.Replayer).ReadReplay(ctx, r, letters)
}

// lane takes rows; dead letters go to what is kept.
type lane struct {
	connectors.LaneWriter
	rows int64
}

// Write implements connectors.LaneWriter.
func (l *lane) Write(_ context.Context, d connectors.Delta) error {
	l.rows += int64(d.Rows())
	return nil
}

// Seal implements connectors.LaneWriter.
func (l *lane) Seal(ctx context.Context) (connectors.Sealed, error) {
	kept, err := l.LaneWriter.Seal(ctx)
	if err != nil {
		return nil, err
	}
	s := sealed{kept, l.rows}
	l.rows = 0
	return s, nil
}

// sealed is what a lane has taken in an epoch.
type sealed struct {
	connectors.Sealed
	rows int64
}

// Rows implements connectors.Sealed.
func (s sealed) Rows() int64 { return s.rows }
