package lake

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"time"

	"github.com/leatdb/leat/catalog"
	"github.com/leatdb/leat/catalog/hive"
	"github.com/leatdb/leat/connectors"
	"github.com/leatdb/leat/connectors/lake/protocol"
	"github.com/leatdb/leat/internal/objectstore"
	"github.com/leatdb/leat/sql/sqlerror"
	"github.com/leatdb/leat/sql/types"
)

var _ connectors.Ledger = (*Sink)(nil)

// Keep implements connectors.Ledger. A stream into a sink that is no table has in
// the lake its dead letters, in the table that all streams share, and, without a
// store, a log of its own: that of a Hive folder without files, also where the
// lake's tables are Iceberg's. Its commits decide by the same protocol as those of
// a stream into a table.
func (s *Sink) Keep(ctx context.Context, spec connectors.StreamSpec, store connectors.StateStore) (connectors.StreamSink, error) {
	spec = spec.WithDefaults(s.logger)
	own := spec.Options
	options, err := streamSpec.NewOptions(nil)
	if err != nil {
		return nil, err
	}
	spec.Options, spec.Partition, spec.Schema = options, nil, ledgerSchema
	spec.Adopt = spec.Adopt || own.Bool("adopt")
	l := deadLetterDefinition(spec.Adopt)
	l.Stream = spec.Stream
	if s.hive {
		l.Partition = nil
	}
	ctx = objectstore.NewStalls(spec.Retrying).Context(ctx)
	letters, err := s.lake.Define(ctx, l)
	if err != nil {
		return nil, err
	}
	var target *catalog.Target
	if store != nil {
		target = s.storeTarget(spec.Stream, store)
	} else if target, err = s.logTarget(ctx, spec); err != nil {
		return nil, err
	}
	kept, err := newStreamSink(s, spec, target, letters)
	if err != nil {
		return nil, err
	}
	kept.kept = true
	return kept, nil
}

// ledgerSchema stands for the columns of a target that gets no files.
var ledgerSchema = types.Schema{{Name: "state", Type: types.TypeText}}

var errNoRows = &sqlerror.Error{Code: sqlerror.CodeInternal, Message: "a ledger takes no rows"}

// logTable is the name of the folder that has the log of a stream.
func logTable(stream string) string { return "_stream_" + safeName(stream, 80) }

// logTarget is a target whose commits are entries of a log and nothing else.
func (s *Sink) logTarget(ctx context.Context, spec connectors.StreamSpec) (*catalog.Target, error) {
	d := catalog.Definition{
		Name: logTable(spec.Stream), Schema: ledgerSchema, Format: "parquet", Stream: spec.Stream,
		Writers: func(properties map[string]string) catalog.Writers { return writersOf(spec.Stream, properties) },
	}
	if s.hive {
		return s.lake.Define(ctx, d)
	}
	stager, ok := s.store.(objectstore.Stager)
	if !ok {
		return nil, errNoStager
	}
	logs, err := hive.Open(hive.Options{Namespace: s.name, Store: stager, Scheduler: s.scheduler})
	if err != nil {
		return nil, err
	}
	return logs.Define(ctx, d)
}

// storeTarget is a target whose only property, the stream's record, is in a
// store.
func (s *Sink) storeTarget(stream string, store connectors.StateStore) *catalog.Target {
	return &catalog.Target{
		Committer: &storeCommitter{store: store, key: protocol.Key(stream)},
		Columns:   []catalog.TargetColumn{{ID: 1, Name: ledgerSchema[0].Name, Type: ledgerSchema[0].Type}},
		Location:  s.store.URI(logTable(stream)),
	}
}

// storeCommitter commits to a StateStore. It implements catalog.Committer for the
// one stream whose goroutine calls it.
type storeCommitter struct {
	store connectors.StateStore
	key   string
	known bool // text is what the store holds
	text  string
}

// Update implements catalog.Committer. The store itself refuses a commit that was
// decided on what is no longer there.
func (c *storeCommitter) Update(ctx context.Context, fresh bool, decide func(catalog.Version) (*catalog.Change, error)) (catalog.Version, error) {
	if fresh || !c.known {
		text, err := c.store.Load(ctx)
		if err != nil {
			return catalog.Version{}, err
		}
		c.text, c.known = text, true
	}
	v := c.version()
	change, err := decide(v)
	if err != nil || change == nil {
		return v, err
	}
	if len(change.Files) > 0 {
		return v, errNoRows
	}
	text := change.Set[c.key]
	if err := c.store.Commit(ctx, text); err != nil {
		c.known = false
		return v, err
	}
	c.text = text
	return c.version(), nil
}

func (c *storeCommitter) version() catalog.Version {
	v := catalog.Version{Properties: map[string]string{}}
	if c.text != "" {
		v.Properties[c.key] = c.text
	}
	return v
}

// Settle implements catalog.Committer: a commit is all there is.
func (c *storeCommitter) Settle(context.Context) error { return nil }

// Sweep implements catalog.Committer: there are no files.
func (c *storeCommitter) Sweep(context.Context, func(string) bool) error { return nil }

// Maintain implements catalog.Committer: a store keeps itself small.
func (c *storeCommitter) Maintain(context.Context, time.Duration) error { return nil }

// OpenLedger opens a lake of plain folders at a path, which needs no catalog, to
// keep what streams into other systems have no place for.
func OpenLedger(ctx context.Context, path string, o connectors.Options, dataDir string, logger connectors.Logger) (*Sink, error) {
	raw := []connectors.RawOption{{Name: "path", Value: path}, {Name: "table_format", Value: formatHive}}
	for _, name := range []string{"region", "access_key_id", "secret_access_key", "session_token"} {
		if o.Has(name) {
			raw = append(raw, connectors.RawOption{Name: name, Value: o.String(name)})
		}
	}
	if v := o.String("state_endpoint"); v != "" {
		raw = append(raw, connectors.RawOption{Name: "endpoint", Value: v})
	}
	options, err := sinkSpec.NewOptions(raw)
	if err != nil {
		return nil, err
	}
	opened, err := open(ctx, connectors.SinkConfig{Name: "ledger", DataDir: dataDir, Options: options, Logger: logger})
	if err != nil {
		return nil, err
	}
	sink, ok := opened.(*Sink)
	if !ok {
		return nil, errors.Join(errNoStager, opened.Close())
	}
	return sink, nil
}

// KeptCommits are the commits that have left the states of a stream. A commit
// whose predecessor is not among them is left out, since its counts are
// differences.
func KeptCommits(stream string, states []connectors.KeptState) ([]catalog.Commit, error) {
	var commits []catalog.Commit
	var last *protocol.Record
	for _, s := range states {
		r, err := protocol.Decode(s.Text)
		if err != nil {
			return nil, err
		}
		first := r != nil && r.Generation == 1 && r.Epoch == 0
		if r != nil && (first || last != nil && last.ID == r.ID) {
			c := catalog.Commit{Stream: stream, Generation: r.Generation, Epoch: r.Epoch, CommittedAt: s.At, CompletedAt: s.At}
			if !first {
				c.RowsLanded = r.Counters.RowsLanded - last.Counters.RowsLanded
				c.RowsDead = r.Counters.RowsDead - last.Counters.RowsDead
			}
			for _, part := range []struct {
				to    *string
				value any
				there bool
			}{{&c.Positions, r.Positions, r.Positions != nil}, {&c.DataLoss, r.DataLoss, len(r.DataLoss) > 0}} {
				if !part.there {
					continue
				}
				text, err := json.Marshal(part.value)
				if err != nil {
					return nil, fmt.Errorf("describe a commit of stream %s: %w", stream, err)
				}
				*part.to = string(text)
			}
			commits = append(commits, c)
		}
		last = r
	}
	return commits, nil
}

// KeptState is what a StateStore has of a stream; its Generation is 0 if that is
// nothing.
func KeptState(text string) (connectors.State, error) { return stateOf(text) }

// StateIn is what a table's properties say of a stream; its Generation is 0 if
// they say nothing. Long positions, which lie elsewhere, are left out.
func StateIn(properties map[string]string, stream string) (connectors.State, error) {
	return stateOf(properties[protocol.Key(stream)])
}

func stateOf(text string) (connectors.State, error) {
	r, err := protocol.Decode(text)
	if err != nil || r == nil {
		return connectors.State{}, err
	}
	return r.State(), nil
}

// LoggedCommits are the commits of a stream whose state lies in a log of the
// ledger, none if there is no such log.
func (s *Sink) LoggedCommits(ctx context.Context, stream string) ([]catalog.Commit, error) {
	t, err := s.logOf(ctx, stream)
	if err != nil || t == nil {
		return nil, err
	}
	return t.Commits(ctx)
}

// LoggedState is what the log says of a stream; its Generation is 0 if it says
// nothing.
func (s *Sink) LoggedState(ctx context.Context, stream string) (connectors.State, error) {
	t, err := s.logOf(ctx, stream)
	if err != nil || t == nil {
		return connectors.State{}, err
	}
	return StateIn(t.Properties(), stream)
}

// logOf is the log of a stream, nil if there is none.
func (s *Sink) logOf(ctx context.Context, stream string) (catalog.Table, error) {
	logs := s.lake
	if !s.hive {
		stager, ok := s.store.(objectstore.Stager)
		if !ok {
			return nil, errNoStager
		}
		opened, err := hive.Open(hive.Options{Namespace: s.name, Store: stager, Scheduler: s.scheduler})
		if err != nil {
			return nil, err
		}
		logs = opened
	}
	t, err := logs.Table(ctx, logTable(stream))
	if sqlerror.HasCode(err, sqlerror.CodeUnknownObject) {
		return nil, nil
	}
	return t, err
}
