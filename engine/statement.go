//go:build gms_pure_go && duckdb_arrow

package engine

import (
	"context"
	"fmt"
	"strings"

	gms "github.com/dolthub/go-mysql-server/sql"

	"github.com/leatdb/leat/catalog"
	"github.com/leatdb/leat/connectors"
	"github.com/leatdb/leat/engine/dataflow"
	"github.com/leatdb/leat/sql"
	"github.com/leatdb/leat/sql/sqlerror"
)

// execute executes one of our statements. script says that a plain CREATE of
// what is defined alike already does nothing.
func (db *DB) execute(ctx *gms.Context, stmt sql.Statement, script bool) (*result, error) {
	switch stmt := stmt.(type) {
	case *sql.CreateSource:
		return db.define(ctx, stmt, script, func(r *result, old *catalog.Object) error { return db.createSource(ctx, stmt, r, old) })
	case *sql.CreateSink:
		return db.define(ctx, stmt, script, func(r *result, old *catalog.Object) error { return db.createSink(ctx, stmt, r, old) })
	case *sql.CreateStream:
		return db.define(ctx, stmt, script, func(r *result, old *catalog.Object) error { return db.createStream(ctx, stmt, r, old) })
	case *sql.CreateSecret:
		return db.createSecret(ctx, stmt, script)
	case *sql.Drop:
		return db.drop(ctx, stmt)
	case *sql.StartStream:
		return db.startStatement(ctx, stmt)
	case *sql.StopStream:
		return db.stopStatement(ctx, stmt)
	case *sql.FlushStream:
		s := db.stream(stmt.Name.Name)
		if s == nil {
			return nil, db.unknown(sql.KindStream, stmt.Name.Name, stmt.Name.Pos)
		}
		return &result{}, s.flush(ctx)
	case *sql.AlterStream:
		return db.alterStream(ctx, stmt)
	case *sql.ReplayDeadLetters:
		return db.replay(ctx, stmt)
	case *sql.Show:
		return db.show(ctx, stmt)
	case *sql.ShowCreate:
		return db.showCreate(ctx, stmt)
	case *sql.Describe:
		return db.describe(ctx, stmt)
	case *sql.Explain:
		return db.explain(ctx, stmt)
	}
	return nil, sqlerror.Userf(sqlerror.CodeUnsupported, "this statement is not available yet")
}

// define handles what the CREATE statements share: names are unique over all
// kinds of object, and what happens when one exists.
func (db *DB) define(ctx context.Context, def sql.Definition, script bool, create func(r *result, old *catalog.Object) error) (*result, error) {
	db.ddl.Lock()
	defer db.ddl.Unlock()
	kind, name := def.Object()
	r := &result{}
	old, err := db.store.Get(ctx, name.Name)
	if err != nil && !sqlerror.HasCode(err, sqlerror.CodeUnknownObject) {
		return nil, fmt.Errorf("look up %s %s: %w", kind, name.Name, err)
	}
	if err != nil {
		old = nil
	}
	if old == nil && strings.EqualFold(name.Name, sql.DefaultSink) {
		return nil, sqlerror.Userf(sqlerror.CodeExists, "%s is the name of the embedded sink", name.Name).At(name.Pos).
			WithHint("names of sources, sinks and streams are global; choose another")
	}
	switch {
	case old == nil:
	case sql.Kind(old.Kind) != kind:
		return nil, sqlerror.Userf(sqlerror.CodeExists, "%s is the name of a %s", name.Name, old.Kind).At(name.Pos).
			WithHint("names of sources, sinks and streams are global; choose another")
	case old.Normal == def.Normal() && (script || def.Replaces()):
		r.note("%s %s is already defined like this", kind, name.Name)
		return r, nil
	case def.SkipsExisting():
		r.note("%s %s exists", kind, name.Name)
		return r, nil
	case def.Replaces():
	case script:
		return nil, sqlerror.Userf(sqlerror.CodeConflict, "%s %s is defined differently:\n%s", kind, name.Name, db.definitionDiff(old, def)).
			At(name.Pos).WithHint("write CREATE OR REPLACE %s to change it", kind.Keyword())
	default:
		return nil, sqlerror.Userf(sqlerror.CodeExists, "%s %s exists", kind, name.Name).At(name.Pos).
			WithHint("write CREATE OR REPLACE %s to change it, or IF NOT EXISTS", kind.Keyword())
	}
	return r, create(r, old)
}

// definitionDiff shows how a stored definition differs from a new one, secrets
// hidden.
func (db *DB) definitionDiff(old *catalog.Object, def sql.Definition) string {
	stored, err := parseDefinition(old)
	if err != nil {
		return err.Error()
	}
	return sql.DiffDefinitions(stored, def, db.redactor(def))
}

// redactor says which options of a definition are secrets.
func (db *DB) redactor(def sql.Definition) func(string) bool {
	var spec connectors.Spec
	switch def := def.(type) {
	case *sql.CreateSource:
		if o, ok := optionValue(def.Options, "connector"); ok {
			if c, err := connectors.LookupSource(o.Value); err == nil {
				spec = c.Spec
			}
		}
		if o, ok := optionValue(def.Options, "format"); ok {
			if f, err := connectors.LookupFormat(o.Value); err == nil {
				spec = spec.With(f.Spec)
			}
		}
	case *sql.CreateSink:
		if o, ok := optionValue(def.Options, "connector"); ok {
			if c, err := connectors.LookupSink(o.Value); err == nil {
				spec = c.Spec
			}
		}
	case *sql.CreateStream:
		sinkName, _ := def.Target()
		if s := db.sink(sinkName); s != nil && s.connector != nil {
			spec = s.connector.StreamSpec
		}
	}
	return func(option string) bool {
		if option == secretOption {
			return false // a name
		}
		o := spec.Find(option)
		if o != nil {
			return o.Secret
		}
		lower := strings.ToLower(option)
		return strings.Contains(lower, "secret") || strings.Contains(lower, "password") || strings.Contains(lower, "token")
	}
}

func parseDefinition(o *catalog.Object) (sql.Definition, error) {
	stmt, err := sql.ParseStored(o.Definition)
	if err != nil {
		return nil, fmt.Errorf("read stored definition of %s %s: %w", o.Kind, o.Name, err)
	}
	def, ok := stmt.(sql.Definition)
	if !ok {
		return nil, fmt.Errorf("read stored definition of %s %s: it is no definition", o.Kind, o.Name)
	}
	return def, nil
}

// object is a definition as the catalog keeps it.
func object(def sql.Definition) *catalog.Object {
	kind, name := def.Object()
	return &catalog.Object{Kind: string(kind), Name: name.Name, Definition: def.Format(nil), Normal: def.Normal(), Running: true}
}

// load reads the definitions of the data directory. Those that cannot be used
// now are kept with the reason.
func (db *DB) load(ctx context.Context) error {
	lake, err := db.embeddedLake()
	if err != nil {
		return err
	}
	db.sinks[sql.DefaultSink] = lake
	objects, err := db.store.List(ctx, "")
	if err != nil {
		return err
	}
	defs := make([]sql.Definition, len(objects))
	for i := range objects {
		if defs[i], err = parseDefinition(&objects[i]); err != nil {
			return err
		}
	}
	// Sources may take their columns from each other, so those that fail are
	// tried again when the others are there.
	var pending []int
	for i, def := range defs {
		switch def := def.(type) {
		case *sql.CreateSink:
			s, err := db.newSink(def)
			if err != nil {
				s = &sink{db: db, name: def.Name.Name, def: def, err: err}
			}
			db.sinks[strings.ToLower(s.name)] = s
		case *sql.CreateSource:
			pending = append(pending, i)
		case *sql.CreateStream:
			s := db.newStream(def)
			s.wanted = objects[i].Running
			db.streams[strings.ToLower(s.name)] = s
		}
	}
	for progress := true; progress && len(pending) > 0; {
		progress = false
		kept := pending[:0]
		for _, i := range pending {
			s, err := db.storedSource(&objects[i], defs[i].(*sql.CreateSource))
			if err != nil {
				s = &source{name: objects[i].Name, def: defs[i].(*sql.CreateSource), err: err}
				kept = append(kept, i)
			} else {
				progress = true
			}
			if err == nil || !progress {
				db.sources[strings.ToLower(s.name)] = s
			}
		}
		pending = append([]int(nil), kept...)
	}
	for _, i := range pending {
		s, err := db.storedSource(&objects[i], defs[i].(*sql.CreateSource))
		if err != nil {
			s = &source{name: objects[i].Name, def: defs[i].(*sql.CreateSource), err: err}
		}
		db.sources[strings.ToLower(s.name)] = s
	}
	return nil
}

// startStored starts the streams that do not run and were not stopped.
func (db *DB) startStored(ctx context.Context) {
	for _, s := range db.allStreams() {
		if s.running() != nil {
			continue
		}
		if db.restart(ctx, s); s.running() == nil {
			s.recall()
		}
	}
}

func (db *DB) createSink(ctx context.Context, def *sql.CreateSink, r *result, old *catalog.Object) error {
	s, err := db.newSink(def)
	if err != nil {
		return err
	}
	if old != nil {
		// A stream that is stopped goes on with what it finds at the new place. That
		// is also the way out of a sink that was wrong or is gone, whose streams
		// cannot be dropped since their state is there.
		var users []string
		for _, st := range db.allStreams() {
			switch {
			case !strings.EqualFold(st.sink, s.name):
			case st.shallRun():
				users = append(users, "stream "+st.name)
			default:
				r.note("stream %s is stopped; it goes on from what its table in the new sink says, or begins anew where there is none", st.name)
			}
		}
		if len(users) > 0 {
			return sqlerror.Userf(sqlerror.CodeInUse, "sink %s is written by %s", s.name, strings.Join(users, ", ")).
				At(def.Name.Pos).WithHint("STOP these streams first, or DROP them; their tables stay")
		}
	}
	handle, err := s.open(ctx)
	if err == nil {
		checkCtx, cancel := context.WithTimeout(ctx, checkTimeout)
		err = handle.Check(checkCtx)
		cancel()
	}
	if err != nil {
		if isRefused(err) {
			_ = s.close()
			return about(err, "sink "+s.name, def.Name.Pos)
		}
		r.note("sink %s cannot be reached now: %v", s.name, err)
	}
	if err := db.putDefinition(ctx, object(def), old); err != nil {
		_ = s.close()
		return err
	}
	db.mu.Lock()
	before := db.sinks[strings.ToLower(s.name)]
	db.sinks[strings.ToLower(s.name)] = s
	db.mu.Unlock()
	for _, st := range db.allStreams() {
		if strings.EqualFold(st.sink, s.name) && st.running() == nil {
			st.recall() // it has another table now
		}
	}
	if before != nil {
		return before.retire(r)
	}
	return nil
}

// isRefused reports whether who defines a source or sink has to be told that it
// cannot be used. A stream that is running waits for a bucket or a permission to
// come back.
func isRefused(err error) bool {
	return !sqlerror.IsRetryable(err) || sqlerror.HasCode(err, sqlerror.CodeUnknownObject) || sqlerror.HasCode(err, sqlerror.CodeAuth)
}

func (db *DB) putDefinition(ctx context.Context, o *catalog.Object, old *catalog.Object) error {
	var err error
	if old == nil {
		err = db.store.Put(ctx, o)
	} else {
		o.Running = old.Running
		err = db.store.Replace(ctx, o)
	}
	if err != nil {
		return fmt.Errorf("store definition of %s %s: %w", o.Kind, o.Name, err)
	}
	return nil
}

// streamsInto names the streams that write to a sink.
func (db *DB) streamsInto(sinkName string) []string {
	var names []string
	for _, s := range db.allStreams() {
		if strings.EqualFold(s.sink, sinkName) {
			names = append(names, "stream "+s.name)
		}
	}
	return names
}

func (db *DB) createStream(ctx context.Context, def *sql.CreateStream, r *result, old *catalog.Object) error {
	p, err := db.planStream(ctx, def)
	if err != nil {
		return err
	}
	into := def.Name.Pos
	if def.Into != nil {
		into = def.Into.Sink.Pos
	}
	if err := p.checkLoop(def, into); err != nil {
		return err
	}
	r.notes = append(r.notes, p.plan.Notes...)
	s := db.newStream(def)
	if err := db.use.free(s.sink, s.table); err != nil {
		return sqlerror.As(err).At(into).About("stream " + s.name)
	}
	if old == nil || old.Running {
		if err := db.beside(s, p, def.QueryPos); err != nil {
			return err
		}
	}
	if old == nil {
		first, err := db.openStreamSink(ctx, s, p)
		if err != nil {
			return err
		}
		if err := db.putDefinition(ctx, object(def), nil); err != nil {
			if first != nil {
				_ = first.Close()
			}
			return err
		}
		s.setWanted(true)
		db.mu.Lock()
		db.streams[strings.ToLower(s.name)] = s
		db.mu.Unlock()
		s.start(p, first, nil)
		s.settle(ctx, r)
		return nil
	}
	return db.replaceStream(ctx, db.stream(def.Name.Name), s, p, r, old)
}

// openStreamSink makes the table of a stream, so that what is wrong with it is
// an error of the CREATE. A sink that is out of reach is left to the retries of
// the stream.
func (db *DB) openStreamSink(ctx context.Context, s *stream, p *planned) (connectors.StreamSink, error) {
	handle, err := p.sink.open(ctx)
	if err != nil {
		if sqlerror.IsRetryable(err) {
			return nil, nil
		}
		return nil, aboutStream(err, s)
	}
	first, err := handle.Stream(ctx, db.streamSpec(s, p, func(err error) {
		if run := s.running(); run != nil {
			run.SinkTrouble(err)
		}
	}))
	if err != nil {
		if sqlerror.IsRetryable(err) {
			return nil, nil
		}
		return nil, aboutStream(err, s)
	}
	return first, nil
}

func aboutStream(err error, s *stream) error {
	if e := outermost(err); e != nil {
		return e.About("stream " + s.name).At(s.definition().Name.Pos)
	}
	return fmt.Errorf("stream %s: %w", s.name, err)
}

// settle waits a moment until the stream has taken its generation, to say
// whether it resumed.
func (s *stream) settle(ctx context.Context, r *result) {
	run := s.running()
	if run == nil {
		return
	}
	ctx, cancel := context.WithTimeout(ctx, checkTimeout)
	defer cancel()
	run.Settled(ctx)
	switch st := run.Status(); {
	case st.State == dataflow.Retrying:
		r.note("stream %s is RETRYING: %v", s.name, st.Reason)
	case st.Resumed:
		r.note("stream %s resumes from epoch %d that table %s.%s holds, as generation %d", s.name, st.Committed.Epoch, s.sink, s.table, st.Committed.Generation)
	}
}

// replaceStream lets the old query finish what the source holds, then goes on
// with the new one from the same positions.
func (db *DB) replaceStream(ctx context.Context, before, after *stream, p *planned, r *result, old *catalog.Object) error {
	if !strings.EqualFold(before.sink, after.sink) || !strings.EqualFold(before.table, after.table) {
		return sqlerror.Userf(sqlerror.CodeConflict, "the target changes from %s.%s to %s.%s", before.sink, before.table, after.sink, after.table).
			At(after.def.Name.Pos).About("stream "+after.name).WithHint("DROP STREAM %s, which keeps its table, and create it anew", after.name)
	}
	if before.sourceName != "" && !strings.EqualFold(before.sourceName, p.source.name) {
		return sqlerror.Userf(sqlerror.CodeConflict, "the source changes from %s to %s, and the positions of one mean nothing to the other", before.sourceName, p.source.name).
			At(after.def.QueryPos).About("stream " + after.name).WithHint("create a stream of another name into the same table")
	}
	if st := before.status(); st.State == dataflow.Running {
		if err := before.flush(ctx); err != nil {
			return err
		}
	}
	if err := before.stop(ctx); err != nil {
		return err
	}
	first, err := db.openStreamSink(ctx, after, p)
	if err == nil {
		err = db.putDefinition(ctx, object(after.def), old)
	}
	if err != nil {
		db.restart(ctx, before)
		return err
	}
	after.setWanted(old.Running)
	after.stored = before.status().Committed
	db.mu.Lock()
	db.streams[strings.ToLower(after.name)] = after
	db.mu.Unlock()
	if !old.Running {
		if after.status().Committed.Generation == 0 {
			after.recall() // that of before may be under way, and tells after nothing
		}
		r.note("stream %s stays stopped", after.name)
		if first != nil {
			return first.Close()
		}
		return nil
	}
	after.start(p, first, nil)
	after.settle(ctx, r)
	return nil
}

// restart starts a stream by its stored definition, unless it was stopped.
func (db *DB) restart(ctx context.Context, s *stream) {
	if !s.shallRun() {
		return
	}
	p, err := db.planStream(ctx, s.definition())
	if err != nil {
		s.fail(missingFunction(err))
		return
	}
	if err := p.checkLoop(s.definition(), s.definition().Name.Pos); err != nil { // a secret may have moved the sink
		s.fail(err)
		return
	}
	if err := db.beside(s, p, sqlerror.Position{}); err != nil { // as it was before this was refused
		db.cfg.Logger.Warn("a stream runs beside others that it should not", "stream", s.name, "error", err)
	}
	s.start(p, nil, nil)
}
