//go:build gms_pure_go && duckdb_arrow

package engine

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"

	gms "github.com/dolthub/go-mysql-server/sql"
	"github.com/dolthub/vitess/go/vt/sqlparser"

	"github.com/leatdb/leat/catalog"
	"github.com/leatdb/leat/connectors"
	"github.com/leatdb/leat/engine/dataflow"
	"github.com/leatdb/leat/sql"
	"github.com/leatdb/leat/sql/sqlerror"
)

const (
	// dropFlush is how long DROP STREAM lets a stream catch up with its source, but
	// for no longer than retryingGrace once the stream is RETRYING.
	dropFlush = time.Minute
	// dropPatience is how long the sink may stand still while it removes the stream's
	// state. What was decided last is finished first, which may be tens of thousands of
	// files of a Hive folder.
	dropPatience = 15 * time.Second
)

func (db *DB) drop(ctx context.Context, stmt *sql.Drop) (*result, error) {
	db.ddl.Lock()
	defer db.ddl.Unlock()
	r := &result{}
	name := stmt.Name.Name
	missing := func() (*result, error) {
		if stmt.IfExists {
			r.note("there is no %s %s", stmt.Kind, name)
			return r, nil
		}
		return nil, db.unknown(stmt.Kind, name, stmt.Name.Pos)
	}
	inUse := func(users []string, hint string) error {
		return sqlerror.Userf(sqlerror.CodeInUse, "%s %s is used by %s", stmt.Kind, name, strings.Join(users, ", ")).At(stmt.Name.Pos).WithHint("%s", hint)
	}
	switch stmt.Kind {
	case sql.KindSource:
		s := db.source(name)
		if s == nil {
			return missing()
		}
		var users []string
		for _, reader := range db.readers(name) {
			users = append(users, "stream "+reader.name)
		}
		views, err := db.viewsNaming(ctx, name)
		if err != nil {
			return nil, err
		}
		if users = append(users, views...); len(users) > 0 {
			return nil, inUse(users, "drop these first")
		}
		if err := db.store.Delete(ctx, name); err != nil {
			return nil, fmt.Errorf("drop source %s: %w", name, err)
		}
		db.mu.Lock()
		delete(db.sources, strings.ToLower(name))
		db.mu.Unlock()
	case sql.KindSink:
		s := db.sink(name)
		if s == nil {
			return missing()
		}
		if s.def == nil {
			return nil, sqlerror.Userf(sqlerror.CodeInUse, "sink %s is the embedded lake", name).At(stmt.Name.Pos).WithHint("it is always there; DROP TABLE removes its tables")
		}
		if users := db.streamsInto(name); len(users) > 0 {
			return nil, inUse(users, "drop these streams first; their tables stay")
		}
		if err := db.store.Delete(ctx, name); err != nil {
			return nil, fmt.Errorf("drop sink %s: %w", name, err)
		}
		db.mu.Lock()
		delete(db.sinks, strings.ToLower(name))
		db.mu.Unlock()
		return r, s.retire(r)
	case sql.KindSecret:
		return db.dropSecret(ctx, stmt)
	case sql.KindStream:
		s := db.stream(name)
		if s == nil {
			return missing()
		}
		return r, db.dropStream(ctx, s, r)
	}
	return r, nil
}

// dropStream lets the stream catch up, stops it, removes its state from the
// table and forgets it. The table stays.
func (db *DB) dropStream(ctx context.Context, s *stream, r *result) error {
	if st := s.status(); st.State == dataflow.Running {
		if err := s.catchUp(ctx); err != nil {
			r.note("stream %s was dropped before it had read everything: %v", s.name, err)
		}
	}
	if err := s.stop(ctx); err != nil {
		return err
	}
	patience, cancel := whileItMoves(ctx, dropPatience)
	err := db.dropState(patience, s)
	if err != nil && patience.Err() != nil && ctx.Err() == nil {
		// Not wrapped: it is cancelled, but by nobody whom the caller knows.
		err = sqlerror.Externalf(sqlerror.CodeExternal, "sink %s does not answer within %v: %v", s.sink, dropPatience, err)
	}
	cancel()
	if err != nil {
		db.restart(ctx, s)
		if sqlerror.IsRetryable(err) {
			return fmt.Errorf("remove state of stream %s: %w; where sink %s is wrong, or gone for good: STOP the stream, CREATE OR REPLACE the sink, then drop", s.name, err, s.sink)
		}
		return fmt.Errorf("remove state of stream %s: %w", s.name, err)
	}
	if err := db.store.Delete(ctx, s.name); err != nil {
		return fmt.Errorf("drop stream %s: %w", s.name, err)
	}
	db.mu.Lock()
	delete(db.streams, strings.ToLower(s.name))
	db.mu.Unlock()
	return nil
}

// whileItMoves is a context that ends when a sink has not got on for so long.
func whileItMoves(ctx context.Context, patience time.Duration) (context.Context, context.CancelFunc) {
	ctx, cancel := context.WithCancel(ctx)
	timer := time.AfterFunc(patience, cancel)
	return catalog.WithProgress(ctx, func(catalog.Step) { timer.Reset(patience) }), func() {
		timer.Stop()
		cancel()
	}
}

// catchUp is a flush before the stream is dropped, which is given up soon where
// the stream cannot go on.
func (s *stream) catchUp(ctx context.Context) error {
	ctx, cancel := context.WithTimeout(ctx, dropFlush)
	defer cancel()
	flushed := make(chan error, 1)
	go func() { flushed <- s.flush(ctx) }()
	tick := time.NewTicker(100 * time.Millisecond)
	defer tick.Stop()
	for {
		select {
		case err := <-flushed:
			return err
		case now := <-tick.C:
			if st := s.status(); st.State == dataflow.Retrying && now.Sub(st.Since) > retryingGrace {
				cancel()
				<-flushed
				return st.Reason
			}
		}
	}
}

// dropState removes the stream's state from its table, if there is one.
func (db *DB) dropState(ctx context.Context, s *stream) error {
	sink := db.sink(s.sink)
	if sink == nil {
		return nil
	}
	spec := connectors.StreamSpec{Options: sink.options}
	lake, err := sink.lake(ctx)
	if err == nil {
		var table catalog.Table
		if table, err = lake.Table(ctx, s.table); sqlerror.HasCode(err, sqlerror.CodeUnknownObject) {
			return nil
		}
		if err == nil {
			spec.Schema = table.Schema()
		}
	}
	if err != nil && !errors.Is(err, errNoTables) {
		return err
	}
	if p, err := db.planStream(ctx, s.definition()); err == nil {
		spec = db.streamSpec(s, p, nil)
	}
	spec.Stream, spec.Table, spec.Lanes, spec.Dropping = s.name, s.table, 1, true
	spec.Retrying, spec.Now, spec.Logger = func(error) {}, db.scheduler.Now, db.cfg.Logger
	handle, err := sink.open(ctx)
	if err != nil {
		return err
	}
	ss, err := handle.Stream(ctx, spec)
	if err != nil {
		return err
	}
	err = ss.Drop(ctx)
	if closeErr := ss.Close(); err == nil {
		err = closeErr
	}
	return err
}

// dropTable is DROP TABLE of a lake table. While it waits for the statements that read
// the table, other definitions go on, but for those that would write to it.
func (db *DB) dropTable(ctx context.Context, s *sink, name string) error {
	drop, err := db.beginDrop(s, name)
	if err != nil {
		return err
	}
	gone := false
	defer func() { drop.end(gone) }()
	if err := drop.wait(ctx); err != nil {
		return err
	}
	db.ddl.Lock()
	defer db.ddl.Unlock()
	if err := db.closedError(); err != nil {
		return err
	}
	if db.sink(s.name) != s {
		return s.retiredError()
	}
	lake, err := s.lake(ctx)
	if err != nil {
		return err
	}
	gone = true // whatever comes of it
	if err := lake.DropTable(ctx, name); err != nil {
		return fmt.Errorf("drop table %s.%s: %w", s.name, name, err)
	}
	return nil
}

// beginDrop refuses a table that a stream writes to. Until the drop ends no other can
// begin to.
func (db *DB) beginDrop(s *sink, name string) (*tableDrop, error) {
	db.ddl.Lock()
	defer db.ddl.Unlock()
	for _, st := range db.allStreams() {
		if strings.EqualFold(st.sink, s.name) && strings.EqualFold(st.table, name) {
			return nil, sqlerror.Userf(sqlerror.CodeInUse, "table %s.%s is written by stream %s", s.name, name, st.name).WithHint("DROP STREAM %s first", st.name)
		}
	}
	return db.use.drop(s.name, name)
}

func (db *DB) startStatement(ctx context.Context, stmt *sql.StartStream) (*result, error) {
	db.ddl.Lock()
	defer db.ddl.Unlock()
	r := &result{}
	s := db.stream(stmt.Name.Name)
	if s == nil {
		return nil, db.unknown(sql.KindStream, stmt.Name.Name, stmt.Name.Pos)
	}
	switch st := s.status(); {
	case st.State == dataflow.Stopped, st.State == dataflow.Failed, st.State == dataflow.Fenced, st.State == dataflow.Finished:
	case stmt.From != "":
		return nil, sqlerror.Userf(sqlerror.CodeState, "stream %s is %s", s.name, st.State).At(stmt.FromPos).WithHint("STOP STREAM %s before its positions are moved", s.name)
	default:
		r.note("stream %s is %s", s.name, st.State)
		return r, nil
	}
	p, err := db.planStream(ctx, s.definition())
	if err == nil {
		err = p.checkLoop(s.definition(), stmt.Name.Pos)
	}
	if err == nil {
		err = db.beside(s, p, stmt.Name.Pos)
	}
	if err != nil {
		return nil, err
	}
	var move func(context.Context, connectors.Source) (connectors.Positions, error)
	if stmt.From != "" {
		if move, err = db.moveTo(ctx, p, stmt); err != nil {
			return nil, err
		}
		r.note("stream %s goes on from %s: rows that it landed before may be landed again", s.name, stmt.From)
	}
	if err := s.stop(ctx); err != nil {
		return nil, err
	}
	if err := db.store.SetRunning(ctx, s.name, true); err != nil {
		return nil, fmt.Errorf("start stream %s: %w", s.name, err)
	}
	s.setWanted(true)
	s.start(p, nil, move)
	if move == nil {
		s.settle(ctx, r)
	}
	return r, nil
}

// moveTo resolves START STREAM … FROM by way of a source whose start option is
// what was asked for.
func (db *DB) moveTo(ctx context.Context, p *planned, stmt *sql.StartStream) (func(context.Context, connectors.Source) (connectors.Positions, error), error) {
	spec := p.source.connector.Spec.Find("start")
	from := stmt.From
	if spec == nil && from != "earliest" {
		return nil, sqlerror.Userf(sqlerror.CodeUnsupported, "source %s can only be started FROM 'earliest'", p.source.name).At(stmt.FromPos)
	}
	cfg := db.sourceConfig(p.source)
	if spec != nil {
		if from == "earliest" && len(spec.Choices) == 0 {
			if alias := startAlias(p.source.connector); alias != "" {
				from = alias
			}
		}
		over, err := (connectors.Spec{*spec}).NewOptions([]connectors.RawOption{{Name: "start", Value: from, Pos: stmt.FromPos}})
		if err != nil {
			return nil, err
		}
		cfg.Options = cfg.Options.Over(over)
	}
	cfg.Hidden, cfg.Stream, cfg.Lanes = p.plan.Source.Hidden, stmt.Name.Name, 1
	if _, err := p.source.check(ctx, cfg); sqlerror.HasCode(err, sqlerror.CodeBadOption) {
		return nil, about(err, "source "+p.source.name, stmt.FromPos)
	}
	return func(ctx context.Context, _ connectors.Source) (connectors.Positions, error) {
		src, err := p.source.connector.Open(ctx, cfg)
		if err != nil {
			return nil, err
		}
		defer src.Close()
		splits, err := src.Splits(ctx, true, nil)
		if err != nil {
			return nil, err
		}
		positions := connectors.Positions{}
		for _, split := range splits {
			positions[split.ID] = split.Start
		}
		return positions, nil
	}, nil
}

// startAlias is how a connector calls the beginning, where it is not 'earliest'.
func startAlias(c *connectors.SourceConnector) string {
	if c.Name == "kinesis" {
		return "trim_horizon"
	}
	return ""
}

func (db *DB) stopStatement(ctx context.Context, stmt *sql.StopStream) (*result, error) {
	db.ddl.Lock()
	defer db.ddl.Unlock()
	s := db.stream(stmt.Name.Name)
	if s == nil {
		return nil, db.unknown(sql.KindStream, stmt.Name.Name, stmt.Name.Pos)
	}
	if err := db.store.SetRunning(ctx, s.name, false); err != nil {
		return nil, fmt.Errorf("stop stream %s: %w", s.name, err)
	}
	s.setWanted(false)
	return &result{}, s.stop(ctx)
}

func (db *DB) alterStream(ctx context.Context, stmt *sql.AlterStream) (*result, error) {
	db.ddl.Lock()
	defer db.ddl.Unlock()
	s := db.stream(stmt.Name.Name)
	if s == nil {
		return nil, db.unknown(sql.KindStream, stmt.Name.Name, stmt.Name.Pos)
	}
	sink := db.sink(s.sink)
	spec := streamOptions.With(sink.connector.StreamSpec)
	for _, o := range stmt.Options {
		if known := spec.Find(o.Name); known != nil && !known.Runtime {
			return nil, sqlerror.Userf(sqlerror.CodeUnsupported, "option %q cannot be changed while the stream exists", o.Name).At(o.NamePos).
				About("stream " + s.name).WithHint("write CREATE OR REPLACE STREAM")
		}
	}
	changed := *s.definition()
	changed.Options = slices.Clone(changed.Options)
	for _, o := range stmt.Options {
		replaced := false
		for i := range changed.Options {
			if changed.Options[i].Name == o.Name {
				changed.Options[i], replaced = o, true
			}
		}
		if !replaced {
			changed.Options = append(changed.Options, o)
		}
	}
	own, err := spec.NewOptions(plainOptions(changed.Options))
	if err != nil {
		return nil, aboutStream(err, s)
	}
	options, err := sink.streamOptions(own)
	if err != nil {
		return nil, aboutStream(err, s)
	}
	o := object(&changed)
	o.Running = s.shallRun()
	if err := db.store.Replace(ctx, o); err != nil {
		return nil, fmt.Errorf("alter stream %s: %w", s.name, err)
	}
	s.mu.Lock()
	s.def = &changed
	s.mu.Unlock()
	s.setLimits(newLimits(options))
	if run := s.running(); run != nil {
		run.Wake()
	}
	return &result{}, nil
}

// createView stores a view, unless it would refer to itself.
func (db *DB) createView(ctx *gms.Context, database, name, selectText, createText string) error {
	db.ddl.Lock()
	defer db.ddl.Unlock()
	if err := db.viewCycle(ctx, database, name, selectText); err != nil {
		return err
	}
	mode := gms.LoadSqlMode(ctx).String()
	if script, _ := ctx.Value(scriptKey{}).(bool); script {
		old, found, err := db.store.View(ctx, database, name)
		switch {
		case err != nil:
			return fmt.Errorf("look up view %s.%s: %w", database, name, err)
		case found && old.SQLMode == mode && sameView(old.Definition, createText):
			return nil
		case found:
			return sqlerror.Userf(sqlerror.CodeConflict, "view %s.%s is defined differently, AS %s", database, name, old.Select).
				WithHint("write CREATE OR REPLACE VIEW to change it")
		}
	}
	err := db.store.PutView(ctx, &catalog.View{Database: database, Name: name, Select: selectText, Definition: createText, SQLMode: mode})
	if err != nil {
		return fmt.Errorf("create view %s.%s: %w", database, name, err)
	}
	return nil
}

// sameView reports whether two CREATE VIEW statements make the same view: they may
// differ by OR REPLACE, by comments and by white space, but not by whether there is
// any, which matters before the bracket of a function.
func sameView(a, b string) bool {
	words, err := viewWords(a)
	others, otherErr := viewWords(b)
	if err != nil || otherErr != nil {
		return a == b
	}
	return slices.Equal(words, others)
}

// viewWords are the tokens of a CREATE VIEW statement as they are written, each
// behind a blank where white space comes before it.
func viewWords(statement string) (words []string, err error) {
	lex, end := sql.NewLexer(statement, sqlerror.Position{}), 0
	for {
		t, err := lex.Next()
		if err != nil {
			return nil, err
		}
		if t.Kind == sql.EOF {
			break
		}
		word := t.Text
		if t.Offset > end {
			word = " " + word
		}
		words, end = append(words, word), t.End()
	}
	if len(words) > 3 && strings.EqualFold(words[1], " OR") && strings.EqualFold(words[2], " REPLACE") {
		words = slices.Delete(words, 1, 3)
	}
	return words, nil
}

// viewCycle follows the views that a query names, and fails where one of them
// leads back to the view that is being created.
func (db *DB) viewCycle(ctx context.Context, database, name, selectText string) error {
	views, err := db.store.Views(ctx, database)
	if err != nil {
		return err
	}
	seen := map[string]bool{}
	var follow func(text string, path []string) error
	follow = func(text string, path []string) error {
		if readsTable(text, name) {
			return sqlerror.Userf(sqlerror.CodeConflict, "view %s would refer to itself: %s", name, strings.Join(append(path, name), " → "))
		}
		for _, v := range views {
			if seen[v.Name] {
				continue
			}
			if readsTable(text, v.Name) {
				seen[v.Name] = true
				if err := follow(v.Select, append(path, v.Name)); err != nil {
					return err
				}
			}
		}
		return nil
	}
	return follow(selectText, []string{name})
}

// readsTable reports whether a query selects from a table of the name. Where it
// is no plain MySQL, any identifier of that name counts.
func readsTable(text, name string) bool {
	if _, ok := sql.FindIdentifier(text, name); !ok {
		return false
	}
	query, err := sqlparser.Parse(text)
	if err != nil {
		return true
	}
	found := false
	_ = sqlparser.Walk(func(n sqlparser.SQLNode) (bool, error) { // it returns no error of its own
		if from, ok := n.(*sqlparser.AliasedTableExpr); ok {
			if t, ok := from.Expr.(sqlparser.TableName); ok && strings.EqualFold(t.Name.String(), name) {
				found = true
			}
		}
		return !found, nil
	}, query)
	return found
}

// replaceView fails where CREATE OR REPLACE VIEW would, before the MySQL engine
// drops the view that is there.
func (db *DB) replaceView(ctx *gms.Context, view *sqlparser.DDL) error {
	database := view.ViewSpec.ViewName.DbQualifier.String()
	if database == "" {
		database = ctx.GetCurrentDatabase()
	}
	return db.viewCycle(ctx, database, view.ViewSpec.ViewName.Name.String(), sqlparser.String(view.ViewSpec.ViewExpr))
}

func (db *DB) dropView(ctx context.Context, database, name string) error {
	db.ddl.Lock()
	defer db.ddl.Unlock()
	users, err := db.streamsOver(ctx, database, name)
	if err != nil {
		return err
	}
	if len(users) > 0 {
		return sqlerror.Userf(sqlerror.CodeInUse, "view %s.%s is used by %s", database, name, strings.Join(users, ", ")).
			WithHint("drop these first, or make a view of another name")
	}
	if err := db.store.DeleteView(ctx, database, name); err != nil {
		if sqlerror.HasCode(err, sqlerror.CodeUnknownObject) {
			return gms.ErrViewDoesNotExist.New(database, name)
		}
		return fmt.Errorf("drop view %s.%s: %w", database, name, err)
	}
	return nil
}

// streamsOver are the streams whose query names a view, or a view over it.
func (db *DB) streamsOver(ctx context.Context, database, name string) ([]string, error) {
	views, err := db.store.Views(ctx, database)
	if err != nil {
		return nil, err
	}
	names := []string{name}
	for i := 0; i < len(names); i++ {
		for _, v := range views {
			if readsTable(v.Select, names[i]) && !slices.Contains(names, v.Name) {
				names = append(names, v.Name)
			}
		}
	}
	var list []string
	for _, s := range db.allStreams() {
		if slices.ContainsFunc(names, func(view string) bool { return readsTable(s.definition().Query, view) }) {
			list = append(list, "stream "+s.name)
		}
	}
	return list, nil
}

// viewsNaming are the views whose query names something.
func (db *DB) viewsNaming(ctx context.Context, name string) ([]string, error) {
	var list []string
	for _, s := range db.allSinks() {
		views, err := db.store.Views(ctx, s.name)
		if err != nil {
			return nil, err
		}
		for _, v := range views {
			if readsTable(v.Select, name) {
				list = append(list, "view "+s.name+"."+v.Name)
			}
		}
	}
	return list, nil
}

func viewDefinition(v *catalog.View) gms.ViewDefinition {
	return gms.ViewDefinition{Name: v.Name, TextDefinition: v.Select, CreateViewStatement: v.Definition, SqlMode: v.SQLMode}
}
