//go:build gms_pure_go && duckdb_arrow

package engine

import (
	"context"
	"encoding/json"
	"fmt"
	"strings"

	"github.com/leatdb/leat/catalog"
	"github.com/leatdb/leat/engine/dataflow"
	"github.com/leatdb/leat/sql"
	"github.com/leatdb/leat/sql/sqlerror"
	"github.com/leatdb/leat/sql/types"
)

// storedColumn is an inferred column as the catalog keeps it.
type storedColumn struct {
	Name    string `json:"name"`
	Type    string `json:"type"`
	NotNull bool   `json:"not_null,omitempty"`
}

func encodeColumns(schema types.Schema) ([]byte, error) {
	columns := make([]storedColumn, len(schema))
	for i, c := range schema {
		columns[i] = storedColumn{c.Name, c.Type.String(), c.NotNull}
	}
	return json.Marshal(columns)
}

func decodeColumns(data []byte) (types.Schema, error) {
	var columns []storedColumn
	if err := json.Unmarshal(data, &columns); err != nil {
		return nil, fmt.Errorf("read inferred columns: %w", err)
	}
	schema := make(types.Schema, len(columns))
	for i, c := range columns {
		t, err := types.Parse(c.Type)
		if err != nil {
			return nil, fmt.Errorf("read inferred column %s: %w", c.Name, err)
		}
		schema[i] = types.Column{Name: c.Name, Type: t, NotNull: c.NotNull}
	}
	return schema, nil
}

// storedSource gives a stored definition its meaning.
func (db *DB) storedSource(o *catalog.Object, def *sql.CreateSource) (*source, error) {
	s, err := db.newSource(def)
	if err != nil {
		return nil, err
	}
	if len(s.schema) == 0 && o.Columns != nil {
		if s.schema, err = decodeColumns(o.Columns); err != nil {
			return nil, err
		}
		s.inferred = true
	}
	return s, nil
}

func (db *DB) createSource(ctx context.Context, def *sql.CreateSource, r *result, old *catalog.Object) error {
	s, err := db.newSource(def)
	if err != nil {
		return err
	}
	note, err := db.checkSource(ctx, s)
	if err != nil {
		return err
	}
	if note != "" {
		r.note("%s", note)
	}
	if err := db.inferColumns(ctx, s); err != nil {
		return err
	}
	o := object(def)
	if s.inferred {
		if o.Columns, err = encodeColumns(s.schema); err != nil {
			return err
		}
		r.note("%d columns were inferred; DESCRIBE %s shows them", len(s.schema), s.name)
	}
	if old != nil {
		return db.replaceSource(ctx, s, o, old, r)
	}
	if err := db.putDefinition(ctx, o, nil); err != nil {
		return err
	}
	db.mu.Lock()
	db.sources[strings.ToLower(s.name)] = s
	db.mu.Unlock()
	return nil
}

// replaceSource re-binds all streams that read the source, or none.
func (db *DB) replaceSource(ctx context.Context, after *source, o, old *catalog.Object, r *result) error {
	before := db.source(after.name)
	readers := db.readers(after.name)
	if len(readers) > 0 && before.err == nil {
		if err := sameIdentity(before, after); err != nil {
			return err
		}
	}
	if before.hub != nil && after.hub != nil {
		after.hub = before.hub
	}
	db.mu.Lock()
	db.sources[strings.ToLower(after.name)] = after
	db.mu.Unlock()
	back := func(err error) error {
		db.mu.Lock()
		db.sources[strings.ToLower(after.name)] = before
		db.mu.Unlock()
		return err
	}
	// Every stream is planned, and its table looked at, before any is stopped.
	plans := make([]*planned, len(readers))
	for i, s := range readers {
		p, err := db.planStream(ctx, s.definition())
		if err == nil {
			err = db.sameColumns(ctx, s, p)
		}
		if err == nil {
			err = p.checkLoop(s.definition(), after.def.Name.Pos)
		}
		if err == nil && s.shallRun() {
			err = db.beside(s, p, after.def.Name.Pos)
		}
		if err != nil {
			return back(fmt.Errorf("re-bind stream %s: %w", s.name, err))
		}
		plans[i] = p
	}
	stopped := 0
	for _, s := range readers {
		if s.status().State == dataflow.Running {
			if err := s.flush(ctx); err != nil {
				return back(err)
			}
		}
	}
	for _, s := range readers {
		if err := s.stop(ctx); err != nil {
			for _, s := range readers[:stopped] {
				db.restart(ctx, s)
			}
			return back(err)
		}
		stopped++
	}
	if err := db.putDefinition(ctx, o, old); err != nil {
		err = back(err)
		for _, s := range readers {
			db.restart(ctx, s)
		}
		return err
	}
	for i, s := range readers {
		if s.shallRun() {
			s.start(plans[i], nil, nil)
			s.settle(ctx, r)
		}
	}
	return nil
}

// sameIdentity refuses a source whose positions the streams could not use.
func sameIdentity(before, after *source) error {
	refuse := func(what, from, to string) error {
		return sqlerror.Userf(sqlerror.CodeConflict, "%s changes from %q to %q, and the streams' positions belong to the old one", what, from, to).
			At(after.def.Name.Pos).About("source " + after.name).WithHint("create a source of another name and streams from it into the same tables")
	}
	if before.connector != after.connector {
		return refuse("the connector", before.connector.Name, after.connector.Name)
	}
	for _, o := range before.connector.Spec {
		if o.Identity && before.options.String(o.Name) != after.options.String(o.Name) {
			return refuse("option "+o.Name, before.options.String(o.Name), after.options.String(o.Name))
		}
	}
	return nil
}

// sameColumns refuses a plan that would take a column from the stream's table
// or narrow it, before anything is stopped.
func (db *DB) sameColumns(_ context.Context, s *stream, p *planned) error {
	s.mu.Lock()
	old := s.plan
	s.mu.Unlock()
	if old == nil {
		return nil
	}
	for _, c := range old.Output {
		i := p.plan.Output.Index(c.Name)
		if i < 0 {
			return sqlerror.Userf(sqlerror.CodeConflict, "column %s of table %s.%s would be gone", c.Name, s.sink, s.table).About("stream "+s.name).
				WithHint("CREATE OR REPLACE STREAM %s first, by a query that gives the column with the old source and with the new one", s.name)
		}
		if n := p.plan.Output[i]; !n.Type.Equal(c.Type) && n.Type.Kind != c.Type.Kind && !widens(c.Type, n.Type) {
			return sqlerror.Userf(sqlerror.CodeConflict, "column %s of table %s.%s would change from %s to %s", c.Name, s.sink, s.table, c.Type, n.Type).About("stream "+s.name).
				WithHint("CREATE OR REPLACE STREAM %s first, by a query that casts the column to the table's type", s.name)
		}
	}
	return nil
}

// widens reports whether a column may change from one type to the other: to a
// wider integer or float, or a DECIMAL of more digits before the same scale.
func widens(from, to types.Type) bool {
	switch {
	case from.Kind.IsInteger() && to.Kind.IsInteger():
		return from.Kind.IsUnsigned() == to.Kind.IsUnsigned() && to.Kind.Bits() >= from.Kind.Bits() ||
			from.Kind.IsUnsigned() && to.Kind.Bits() > from.Kind.Bits()
	case from.Kind == types.Float32 && to.Kind == types.Float64:
		return true
	case from.Kind == types.Decimal && to.Kind == types.Decimal:
		return from.Scale == to.Scale && to.Precision >= from.Precision
	}
	return false
}

// readers are the streams that read a source.
func (db *DB) readers(name string) []*stream {
	var list []*stream
	for _, s := range db.allStreams() {
		if s.reads(name) {
			list = append(list, s)
		}
	}
	return list
}

// reads reports whether the stream reads the source, by its plan or, where it
// could not be planned, by its query's words.
func (s *stream) reads(name string) bool {
	if planned := s.source(); planned != "" {
		return strings.EqualFold(planned, name)
	}
	_, found := sql.FindIdentifier(s.definition().Query, name)
	return found
}
