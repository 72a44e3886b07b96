//go:build gms_pure_go && duckdb_arrow

package engine

import (
	"context"
	"errors"
	"fmt"
	"iter"
	"path/filepath"
	"slices"
	"strings"
	"sync"

	"github.com/leatdb/leat/catalog"
	"github.com/leatdb/leat/connectors"
	"github.com/leatdb/leat/connectors/lake"
	"github.com/leatdb/leat/sql"
	"github.com/leatdb/leat/sql/sqlerror"
)

// sink is a defined sink, opened when it is first used.
type sink struct {
	db        *DB
	name      string
	def       *sql.CreateSink // nil for the embedded lake
	connector *connectors.SinkConnector
	options   connectors.Options
	err       error // why a stored definition cannot be used now

	mu      sync.Mutex
	handle  connectors.Sink
	kept    *lake.Sink // nil until the ledger at state_path is read
	readers int        // statements, and recalls of streams, that read what the sink has opened
	retired bool       // nobody else can begin to
}

// lakeConnector is the kind of sink that the embedded lake is.
const lakeConnector = "s3"

// newSink gives a definition its meaning.
func (db *DB) newSink(def *sql.CreateSink) (*sink, error) {
	s := &sink{db: db, name: def.Name.Name, def: def}
	about := "sink " + s.name
	connector, ok := optionValue(def.Options, "connector")
	if !ok {
		return nil, sqlerror.Userf(sqlerror.CodeBadOption, "option \"connector\" is required").At(def.Name.Pos).About(about).WithHint("write connector = 's3', 'kafka' or 'kinesis'")
	}
	var err error
	if s.connector, err = connectors.LookupSink(connector.Value); err != nil {
		return nil, sqlerror.As(err).At(connector.Pos).About(about)
	}
	spec := s.connector.Spec.With(connectors.Spec{{Name: "connector", Doc: "The kind of sink."}}, secretSpec)
	raw, err := db.rawOptions(def.Options)
	if err == nil {
		s.options, err = spec.NewOptions(raw)
	}
	if err != nil {
		if e := outermost(err); e != nil {
			return nil, e.At(def.Name.Pos).About(about)
		}
		return nil, fmt.Errorf("%s: %w", about, err)
	}
	return s, nil
}

// embeddedLake is the sink that is always there: a folder of the data directory.
func (db *DB) embeddedLake() (*sink, error) {
	connector, err := connectors.LookupSink(lakeConnector)
	if err != nil {
		return nil, err
	}
	options, err := connector.Spec.NewOptions([]connectors.RawOption{{Name: "path", Value: filepath.Join(db.dir, sql.DefaultSink)}})
	if err != nil {
		return nil, fmt.Errorf("configure the embedded lake: %w", err)
	}
	return &sink{db: db, name: sql.DefaultSink, connector: connector, options: options}, nil
}

// open opens the sink, or returns it when it is open already.
func (s *sink) open(ctx context.Context) (connectors.Sink, error) {
	if s.err != nil {
		return nil, s.err
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.isGone() {
		return nil, s.retiredError()
	}
	if s.handle != nil {
		return s.handle, nil
	}
	handle, err := s.connector.Open(ctx, connectors.SinkConfig{Name: s.name, DataDir: s.db.dir, Options: s.options, Logger: s.db.cfg.Logger, Ledger: s.ledger})
	if err != nil {
		return nil, about(err, "sink "+s.name, sqlerror.Position{})
	}
	s.handle = handle
	return handle, nil
}

// streamOptions are a stream's own options over the sink's.
func (s *sink) streamOptions(own connectors.Options) (connectors.Options, error) {
	options := s.options.Over(own)
	if s.connector.Check == nil {
		return options, nil
	}
	return options, s.connector.Check(options)
}

// lake is the readable side of the sink.
func (s *sink) lake(ctx context.Context) (catalog.Lake, error) {
	handle, err := s.open(ctx)
	if err != nil {
		return nil, err
	}
	tables, ok := handle.(interface{ Lake() catalog.Lake })
	if !ok {
		return nil, sqlerror.Userf(sqlerror.CodeUnsupported, "sink %s: %w", s.name, errNoTables)
	}
	return tables.Lake(), nil
}

// readable is what of the sink can be read as tables: the lake that it is, or the
// one that keeps its dead letters at state_path.
func (s *sink) readable(ctx context.Context) (catalog.Lake, error) {
	l, err := s.lake(ctx)
	if !errors.Is(err, errNoTables) {
		return l, err
	}
	kept, keptErr := s.keptAt(ctx)
	if kept == nil || keptErr != nil {
		return nil, errors.Join(keptErr, err)
	}
	return kept.Lake(), nil
}

// keptAt is the ledger at state_path, opened to be read, nil where the sink has
// none.
func (s *sink) keptAt(ctx context.Context) (*lake.Sink, error) {
	if s.connector.Spec.Find("state_path") == nil || !s.options.Has("state_path") {
		return nil, nil
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.isGone() {
		return nil, s.retiredError()
	}
	if s.kept != nil {
		return s.kept, nil
	}
	l, err := s.ledger(ctx, s.options.String("state_path"))
	if err != nil {
		return nil, err
	}
	s.kept, _ = l.(*lake.Sink)
	return s.kept, nil
}

// commits are those of a stream into a sink that is no lake, as far as they are
// kept.
func (s *sink) commits(ctx context.Context, stream string) ([]catalog.Commit, error) {
	history, kept, err := s.history(ctx)
	if err != nil {
		return nil, err
	}
	if history == nil {
		return kept.LoggedCommits(ctx, stream)
	}
	states, err := history.States(ctx, stream)
	if err != nil {
		return nil, err
	}
	return lake.KeptCommits(stream, states)
}

// keptState is what a stream into a sink that is no lake has committed last.
func (s *sink) keptState(ctx context.Context, stream string) (connectors.State, error) {
	history, kept, err := s.history(ctx)
	if err != nil {
		return connectors.State{}, err
	}
	if history == nil {
		return kept.LoggedState(ctx, stream)
	}
	text, err := history.State(ctx, stream)
	if err != nil {
		return connectors.State{}, err
	}
	return lake.KeptState(text)
}

// history is where a sink that is no lake has what its streams have committed: it
// keeps that itself, or else the ledger has it.
func (s *sink) history(ctx context.Context) (connectors.StateHistory, *lake.Sink, error) {
	handle, err := s.open(ctx)
	if err != nil {
		return nil, nil, err
	}
	if h, ok := handle.(connectors.StateHistory); ok {
		return h, nil, nil
	}
	kept, err := s.keptAt(ctx)
	if err == nil && kept == nil {
		var l connectors.Ledger
		if l, err = s.ledger(ctx, ""); err == nil {
			kept, _ = l.(*lake.Sink)
		}
	}
	return nil, kept, err
}

// errNoTables says that a sink is no lake.
var errNoTables = errors.New("it holds no tables that can be read")

// ledger is what a sink that is no lake keeps dead letters and state in: the
// embedded lake, or another one at path.
func (s *sink) ledger(ctx context.Context, path string) (connectors.Ledger, error) {
	if path != "" {
		l, err := lake.OpenLedger(ctx, path, s.options, s.db.dir, s.db.cfg.Logger)
		if err != nil {
			return nil, fmt.Errorf("open state_path: %w", err)
		}
		return l, nil
	}
	handle, err := s.db.sink(sql.DefaultSink).open(ctx)
	if err != nil {
		return nil, err
	}
	l, ok := handle.(connectors.Ledger)
	if !ok {
		return nil, fmt.Errorf("sink %s is no ledger: it is a %T", sql.DefaultSink, handle)
	}
	return l, nil
}

// hold keeps what the sink has opened open until release is called, also when the
// sink is dropped or replaced meanwhile.
func (s *sink) hold() (release func(), err error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.retired {
		return nil, s.retiredError()
	}
	s.readers++
	return sync.OnceFunc(func() {
		s.mu.Lock()
		defer s.mu.Unlock()
		if s.readers--; s.readers > 0 || !s.retired {
			return
		}
		if err := s.closeOpened(); err != nil {
			s.db.cfg.Logger.Warn("the last reader of a sink that is gone could not close it", "sink", s.name, "error", err)
		}
	}), nil
}

// heldSink is the sink of a name, held, whoever replaces it; nil if there is none.
func (db *DB) heldSink(name string) (s *sink, release func()) {
	for {
		if s = db.sink(name); s == nil {
			return nil, func() {}
		}
		if release, err := s.hold(); err == nil {
			return s, release
		}
	}
}

// heldSinks visits the sinks, each of which is held while it is looked at.
func (db *DB) heldSinks() iter.Seq[*sink] {
	return func(yield func(*sink) bool) {
		for _, s := range db.allSinks() {
			s, release := db.heldSink(s.name)
			goesOn := s == nil || yield(s)
			if release(); !goesOn {
				return
			}
		}
	}
}

// retire lets nobody begin to use the sink any more, and closes it, or leaves that
// to the last of its readers.
func (s *sink) retire(r *result) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.retired = true
	if s.readers > 0 {
		count := "1 reader still has"
		if s.readers > 1 {
			count = fmt.Sprintf("%d readers still have", s.readers)
		}
		r.note("%s sink %s as it was: what has begun goes on, and the last closes it", count, s.name)
		return nil
	}
	return s.closeOpened()
}

// isGone reports whether nobody may open the sink any more: who holds it still may,
// and the last of them closes it. The caller holds mu.
func (s *sink) isGone() bool { return s.retired && s.readers == 0 }

// retiredError is for a statement that has found the sink before it was dropped or
// replaced, and comes to read it after that.
func (s *sink) retiredError() error {
	return sqlerror.Externalf(sqlerror.CodeState, "sink %s was dropped or replaced while the statement began", s.name).
		WithHint("nothing was read yet: run the statement again")
}

// heldTable is a table of a sink, for a query.
type heldTable struct {
	catalog.Table
	sink  *sink
	drops int // of all tables, before it was looked up
}

// Hold implements adhoc.Held.
func (t heldTable) Hold() (catalog.Table, func(), error) {
	closed, err := t.sink.hold()
	if err != nil {
		return nil, nil, err
	}
	read, err := t.sink.db.use.read(t.sink.name, t.Name(), t.drops)
	if err != nil {
		closed()
		return nil, nil, err
	}
	return t.Table, func() {
		read()
		closed()
	}, nil
}

// close closes the sink, whoever reads it.
func (s *sink) close() error {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.closeOpened()
}

// closeOpened closes what the sink has opened. The caller holds mu.
func (s *sink) closeOpened() error {
	var err error
	if s.handle != nil {
		err = s.handle.Close()
	}
	if s.kept != nil {
		err = errors.Join(err, s.kept.Close())
	}
	s.handle, s.kept = nil, nil
	if err != nil {
		return fmt.Errorf("close sink %s: %w", s.name, err)
	}
	return nil
}

// sink finds a sink by name, or nil.
func (db *DB) sink(name string) *sink {
	db.mu.RLock()
	defer db.mu.RUnlock()
	return db.sinks[strings.ToLower(name)]
}

func (db *DB) allSinks() []*sink {
	db.mu.RLock()
	defer db.mu.RUnlock()
	all := make([]*sink, 0, len(db.sinks))
	for _, s := range db.sinks {
		all = append(all, s)
	}
	slices.SortFunc(all, func(a, b *sink) int { return strings.Compare(a.name, b.name) })
	return all
}
