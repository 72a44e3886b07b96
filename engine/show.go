//go:build gms_pure_go && duckdb_arrow

package engine

import (
	"context"
	"fmt"
	"strconv"
	"strings"
	"time"

	gms "github.com/dolthub/go-mysql-server/sql"
	"github.com/dolthub/go-mysql-server/sql/planbuilder"

	"github.com/leatdb/leat/connectors"
	"github.com/leatdb/leat/engine/dataflow"
	"github.com/leatdb/leat/planner"
	"github.com/leatdb/leat/sql"
	"github.com/leatdb/leat/sql/sqlerror"
	"github.com/leatdb/leat/sql/types"
)

func text(name string) types.Column    { return types.Column{Name: name, Type: types.TypeText} }
func integer(name string) types.Column { return types.Column{Name: name, Type: types.TypeInt64} }
func double(name string) types.Column  { return types.Column{Name: name, Type: types.TypeFloat64} }
func instant(name string) types.Column {
	return types.Column{Name: name, Type: types.Type{Kind: types.Timestamp, Fsp: 3}}
}

// The columns of the statements that return rows.
var (
	sourcesColumns = types.Schema{text("source"), text("connector"), text("format"), integer("columns"), text("streams"), text("problem")}
	secretsColumns = types.Schema{text("secret"), text("used_by")}
	sinksColumns   = types.Schema{text("sink"), text("connector"), text("path"), text("table_format"), text("streams"), text("problem")}
	streamsColumns = types.Schema{
		text("stream"), text("state"), text("source"), text("target"), text("progress"),
		integer("rows_in"), integer("rows_landed"), integer("rows_filtered"), integer("rows_dead"), integer("rows_in_flight"),
		double("rows_per_second"), integer("lag"), integer("millis_behind_latest"), instant("last_commit_at"), instant("since"), text("because"),
	}
	createColumns   = types.Schema{text("name"), text("definition")}
	describeColumns = types.Schema{text("Field"), text("Type"), text("Null"), text("Key"), text("Default"), text("Extra")}
	explainColumns  = types.Schema{text("plan")}
	replayColumns   = types.Schema{text("replay"), integer("letters")}
)

// resultColumns are the columns that a statement returns, nil for none.
func resultColumns(stmt sql.Statement) types.Schema {
	switch stmt := stmt.(type) {
	case *sql.Show:
		switch stmt.Kind {
		case sql.KindSource:
			return sourcesColumns
		case sql.KindSink:
			return sinksColumns
		case sql.KindSecret:
			return secretsColumns
		}
		return streamsColumns
	case *sql.ShowCreate:
		return createColumns
	case *sql.Describe:
		return describeColumns
	case *sql.Explain:
		return explainColumns
	case *sql.ReplayDeadLetters:
		return replayColumns
	}
	return nil
}

func (db *DB) show(ctx context.Context, stmt *sql.Show) (*result, error) {
	r := &result{columns: resultColumns(stmt)}
	for _, name := range db.names(stmt.Kind) {
		if !stmt.Matches(name) {
			continue
		}
		switch stmt.Kind {
		case sql.KindSource:
			r.rows = append(r.rows, db.sourceRow(db.source(name)))
		case sql.KindSink:
			r.rows = append(r.rows, db.sinkRow(db.sink(name)))
		case sql.KindStream:
			r.rows = append(r.rows, streamRow(db.stream(name)))
		case sql.KindSecret:
			r.rows = append(r.rows, []any{name, strings.Join(db.secretUsers(name), ", ")})
		}
	}
	return r, nil
}

func (db *DB) sourceRow(s *source) []any {
	if s == nil {
		return make([]any, len(sourcesColumns))
	}
	var streams []string
	for _, reader := range db.readers(s.name) {
		streams = append(streams, reader.name)
	}
	row := []any{s.name, nil, nil, int64(len(s.schema)), strings.Join(streams, ", "), nil}
	if s.connector != nil {
		row[1] = s.connector.Name
	}
	if s.format != nil {
		row[2] = s.format.Name
	}
	if s.err != nil {
		row[5] = s.err.Error()
	}
	return row
}

func (db *DB) sinkRow(s *sink) []any {
	if s == nil {
		return make([]any, len(sinksColumns))
	}
	var streams []string
	for _, st := range db.allStreams() {
		if strings.EqualFold(st.sink, s.name) {
			streams = append(streams, st.name)
		}
	}
	row := []any{s.name, nil, s.options.Public("path"), s.options.String("table_format"), strings.Join(streams, ", "), nil}
	if s.connector != nil {
		row[1] = s.connector.Name
	}
	if s.err != nil {
		row[5] = s.err.Error()
	}
	return row
}

func streamRow(s *stream) []any {
	if s == nil {
		return make([]any, len(streamsColumns))
	}
	st := s.status()
	c := st.Committed.Counters
	return append(append([]any{s.name, string(st.State), s.sourceLabel(), s.sink + "." + s.table, s.progressText(st)},
		committed(st, c.RowsIn, c.RowsLanded, c.RowsFiltered, c.RowsDead)...),
		st.InFlight.RowsIn, st.RowsPerSecond, known(st.Progress.Lag), millisBehind(st), moment(st.Committed.CommittedAt), moment(st.Since), reasonText(st.Reason),
	)
}

// committed are numbers of the last commit, NULL while it is not known: a counter
// that was 0 for a moment would be taken for one that began anew.
func committed(st dataflow.Status, numbers ...int64) []any {
	row := make([]any, len(numbers))
	for i, n := range numbers {
		if st.Committed.Generation > 0 {
			row[i] = n
		}
	}
	return row
}

// millisBehind is how far the split that is behind most is behind the newest
// record of its source, nil where the source does not tell.
func millisBehind(st dataflow.Status) any {
	if len(st.SplitLag) == 0 {
		return nil
	}
	var most time.Duration
	for _, d := range st.SplitLag {
		most = max(most, d)
	}
	return most.Milliseconds()
}

// sourceLabel is the name of the stream's source, as far as it is known.
func (s *stream) sourceLabel() any {
	if name := s.source(); name != "" {
		return name
	}
	return nil
}

// known is a number that may be unknown (−1), which is NULL.
func known(n int64) any {
	if n < 0 {
		return nil
	}
	return n
}

func moment(t time.Time) any {
	if t.IsZero() {
		return nil
	}
	return t.UnixMicro()
}

func reasonText(err error) any {
	if err == nil {
		return nil
	}
	return err.Error()
}

// progressText says how far a stream has come: for a bounded source by bytes.
// What it reads again comes behind, and then what its sink is at.
func (s *stream) progressText(st dataflow.Status) any {
	text := sourceProgress(st)
	add := func(more string) {
		if text != nil {
			more = fmt.Sprintf("%v, %s", text, more)
		}
		text = more
	}
	for _, r := range st.Replays {
		if r.Finished() {
			continue
		}
		add(fmt.Sprintf("%s: %s of %d letters", r.Split(), replayPosition(r), r.Letters))
	}
	if doing, _ := s.doing.Load().(string); doing != "" {
		add(doing)
	}
	return text
}

// replayPosition is how far a replay has come.
func replayPosition(r connectors.Replay) string { return strconv.FormatInt(r.Done, 10) }

func sourceProgress(st dataflow.Status) any {
	p := st.Progress
	switch {
	case st.State == dataflow.Finished:
		return "100 %"
	case p.BytesTotal > 0 && p.BytesRead >= 0:
		return fmt.Sprintf("%.1f %% (%s of %s)", 100*float64(min(p.BytesRead, p.BytesTotal))/float64(p.BytesTotal), bytesText(p.BytesRead), bytesText(p.BytesTotal))
	case p.Lag >= 0:
		return fmt.Sprintf("%d behind", p.Lag)
	case p.Splits == 1:
		return "1 split"
	case p.Splits > 0:
		return fmt.Sprintf("%d splits", p.Splits)
	}
	return nil
}

// bytesText is a size for people, in three digits.
func bytesText(n int64) string {
	f, unit := float64(n), 0
	units := [...]string{"B", "KB", "MB", "GB", "TB"}
	for f >= 1000 && unit < len(units)-1 {
		f /= 1000
		unit++
	}
	if unit == 0 {
		return fmt.Sprintf("%d B", n)
	}
	return fmt.Sprintf("%.3g %s", f, units[unit])
}

func (db *DB) showCreate(ctx context.Context, stmt *sql.ShowCreate) (*result, error) {
	var def sql.Definition
	name := stmt.Name.Name
	switch stmt.Kind {
	case sql.KindSource:
		if s := db.source(name); s != nil {
			def = s.def
		}
	case sql.KindSink:
		if s := db.sink(name); s != nil {
			if s.def == nil {
				return nil, sqlerror.Userf(sqlerror.CodeUnsupported, "sink %s is the embedded lake and has no definition", s.name).At(stmt.Name.Pos)
			}
			def = s.def
		}
	case sql.KindStream:
		if s := db.stream(name); s != nil {
			def = s.definition()
		}
	}
	if def == nil {
		return nil, db.unknown(stmt.Kind, name, stmt.Name.Pos)
	}
	r := &result{columns: createColumns}
	_, ident := def.Object()
	r.add(ident.Name, def.Format(db.redactor(def)))
	return r, nil
}

// describe lists the columns of a table, a source or a stream, in this order.
func (db *DB) describe(ctx *gms.Context, stmt *sql.Describe) (*result, error) {
	database := stmt.Database.Name
	if database == "" {
		database = ctx.GetCurrentDatabase()
	}
	r := &result{columns: describeColumns}
	d, err := (&provider{db}).Database(ctx, database)
	if err != nil {
		return nil, sqlerror.Userf(sqlerror.CodeUnknownObject, "unknown database %s", database).At(stmt.Database.Pos)
	}
	t, ok, err := d.GetTableInsensitive(ctx, stmt.Name.Name)
	if err != nil {
		return nil, err
	}
	if ok {
		if rel, ours := t.(planner.RelationTable); ours {
			db.describeRelation(r, rel.Relation())
			return r, nil
		}
		for _, c := range t.Schema(ctx) {
			r.add(c.Name, c.Type.String(), yesNo(c.Nullable), "", nil, c.Extra)
		}
		return r, nil
	}
	if views, isView := d.(gms.ViewDatabase); isView {
		if _, found, err := views.GetViewDefinition(ctx, stmt.Name.Name); err != nil {
			return nil, err
		} else if found {
			return db.describeView(ctx, r, database, stmt.Name.Name)
		}
	}
	if s := db.stream(stmt.Name.Name); s != nil && stmt.Database.Name == "" {
		s.mu.Lock()
		plan := s.plan
		s.mu.Unlock()
		if plan == nil {
			return nil, sqlerror.Userf(sqlerror.CodeState, "stream %s has not been planned", s.name).At(stmt.Name.Pos)
		}
		describeSchema(r, plan.Output, nil, "")
		return r, nil
	}
	e := sqlerror.Userf(sqlerror.CodeUnknownObject, "there is no table, source or stream %s", stmt.Name.Name).At(stmt.Name.Pos)
	if near := sqlerror.Nearest(stmt.Name.Name, append(db.names(sql.KindSource), db.names(sql.KindStream)...)); near != "" {
		return nil, e.WithHint("did you mean %s?", near)
	}
	return nil, e
}

func (db *DB) describeRelation(r *result, rel planner.Relation) {
	var keys []sql.Ident
	extra := ""
	if s, ok := rel.Handle.(*source); ok {
		keys = s.def.PrimaryKey
		if s.inferred {
			extra = "inferred"
		}
	}
	describeSchema(r, rel.Schema, keys, extra)
	for _, h := range rel.Hidden {
		r.add(h.Name, typeText(h.Type.String()), "YES", "", nil, "metadata, not in *")
	}
}

// describeView binds the view without executing it: a query within another would
// end that one.
func (db *DB) describeView(ctx *gms.Context, r *result, database, name string) (*result, error) {
	text := "SELECT * FROM `" + strings.ReplaceAll(database, "`", "``") + "`.`" + strings.ReplaceAll(name, "`", "``") + "`"
	stmt, _, _, err := db.mysql.Parser.Parse(ctx, text, false)
	if err != nil {
		return nil, err
	}
	bound, _, err := planbuilder.New(ctx, db.mysql.Analyzer.Catalog, nil).BindOnly(stmt, text, nil)
	if err != nil {
		return nil, fmt.Errorf("describe view %s.%s: %w", database, name, err)
	}
	for _, c := range bound.Schema(ctx) {
		r.add(c.Name, typeText(c.Type.String()), yesNo(c.Nullable), "", nil, "")
	}
	return r, nil
}

func describeSchema(r *result, schema types.Schema, keys []sql.Ident, extra string) {
	for _, c := range schema {
		key := ""
		for _, k := range keys {
			if strings.EqualFold(k.Name, c.Name) {
				key = "PRI"
			}
		}
		r.add(c.Name, typeText(c.Type.String()), yesNo(!c.NotNull), key, nil, extra)
	}
}

// typeText is a type as DESCRIBE shows it: in lower case, but for the members of
// ENUM and SET.
func typeText(name string) string {
	if members := strings.IndexByte(name, '\''); members >= 0 {
		return strings.ToLower(name[:members]) + name[members:]
	}
	return strings.ToLower(name)
}

func yesNo(b bool) string {
	if b {
		return "YES"
	}
	return "NO"
}

// explain shows the physical plan of a stream that is not created.
func (db *DB) explain(ctx context.Context, stmt *sql.Explain) (*result, error) {
	p, err := db.planStream(ctx, stmt.Stream)
	if err != nil {
		return nil, err
	}
	s := db.newStream(stmt.Stream)
	info := planner.ExplainInfo{
		Sink: s.sink, Table: s.table, Path: p.sink.options.Public("path"), TableFormat: p.sink.options.String("table_format"),
		Compression: p.options.String("compression"), CommitInterval: p.options.Duration("commit_interval"),
		TargetFileSize: p.options.Size("target_file_size"), Lanes: p.lanes(db),
		Connector: p.source.connector.Name, Format: p.source.format.Name, Splits: -1,
	}
	db.explainSplits(ctx, p, &info)
	r := &result{columns: explainColumns}
	text := p.plan.Explain(info)
	if stmt.Analyze {
		more, err := db.analyze(ctx, s.name)
		if err != nil {
			return nil, err
		}
		text += more
	}
	for _, line := range strings.Split(strings.TrimRight(text, "\n"), "\n") {
		r.add(line)
	}
	return r, nil
}

// explainSplits counts the source's splits, if it can be reached quickly.
func (db *DB) explainSplits(ctx context.Context, p *planned, info *planner.ExplainInfo) {
	ctx, cancel := context.WithTimeout(ctx, 3*time.Second)
	defer cancel()
	cfg := db.sourceConfig(p.source)
	cfg.Fields, cfg.Predicates = p.plan.Source.Fields, p.predicates()
	src, err := p.source.connector.Open(ctx, cfg)
	if err != nil {
		return
	}
	defer src.Close()
	if e, ok := src.(connectors.Explainer); ok {
		info.Reading = e.Explain()
	}
	if splits, err := src.Splits(ctx, true, nil); err == nil {
		info.Splits = len(splits)
	}
}

// analyze adds what a running stream of the name has measured.
func (db *DB) analyze(_ context.Context, name string) (string, error) {
	s := db.stream(name)
	if s == nil || s.running() == nil {
		return "", sqlerror.Userf(sqlerror.CodeState, "EXPLAIN ANALYZE shows what a running stream has measured, and stream %s does not run", name).WithHint("create it first, or use EXPLAIN")
	}
	st := s.status()
	c := st.Committed.Counters
	var b strings.Builder
	fmt.Fprintf(&b, "measured: %s, generation %d, epoch %d\n", st.State, st.Committed.Generation, st.Committed.Epoch)
	fmt.Fprintf(&b, "  in: %d records, %d rows, %s; %.0f rows/s, %s/s\n", c.RecordsIn, c.RowsIn, bytesText(st.BytesIn), st.RowsPerSecond, bytesText(int64(st.BytesPerSecond)))
	fmt.Fprintf(&b, "  rows: %d landed, %d filtered, %d dead, %d exploded, %d replayed; %d rows in flight\n", c.RowsLanded, c.RowsFiltered, c.RowsDead, c.RowsExploded, c.RowsReplayed, st.InFlight.RowsIn)
	fmt.Fprintf(&b, "  out: %d commits, %d files, %s; %s in open files\n", st.Commits, st.Files, bytesText(st.BytesOut), bytesText(st.Buffered))
	return b.String(), nil
}
