//go:build gms_pure_go && duckdb_arrow

package engine

import (
	"context"
	"fmt"
	"strings"

	"github.com/leatdb/leat/connectors"
	"github.com/leatdb/leat/internal/sched"
	"github.com/leatdb/leat/sql"
)

// CheckResult is what Check found out about one source or sink.
type CheckResult struct {
	Kind sql.Kind
	Name string
	Err  error // nil when it can be used
	// Advice is what should be changed about a system that can be used.
	Advice []string
}

// Check asks the systems behind definitions whether they can be used: that
// brokers answer and topics exist, that buckets and catalogs take the
// credentials. It neither opens nor locks the data directory dir, so that it
// works beside a process that has it open; sinks write and remove a small
// object. Streams among the definitions are left out; secrets are used. Results come in the order
// of the definitions; errors may be retryable, as sqlerror.IsRetryable says.
func Check(ctx context.Context, dir string, defs []sql.Definition) []CheckResult {
	db := &DB{
		cfg: Config{Dir: dir}.withDefaults(), dir: dir, scheduler: sched.System{},
		sources: map[string]*source{}, sinks: map[string]*sink{}, streams: map[string]*stream{},
	}
	db.ctx, db.cancel = context.WithCancel(ctx)
	defer db.cancel()
	for _, def := range defs {
		if def, ok := def.(*sql.CreateSecret); ok {
			db.unstored = append(db.unstored, def)
		}
	}
	// Sources may take their columns from each other, in any order.
	problems := map[*sql.CreateSource]error{}
	for range defs {
		for _, def := range defs {
			if def, ok := def.(*sql.CreateSource); ok && db.source(def.Name.Name) == nil {
				s, err := db.newSource(def)
				if problems[def] = err; err == nil {
					db.sources[strings.ToLower(s.name)] = s
				}
			}
		}
	}
	var results []CheckResult
	for _, def := range defs {
		kind, name := def.Object()
		r := CheckResult{Kind: kind, Name: name.Name}
		switch def := def.(type) {
		case *sql.CreateSource:
			if r.Err = problems[def]; r.Err == nil {
				r.Err = db.reachSource(ctx, db.source(def.Name.Name))
			}
		case *sql.CreateSink:
			var s *sink
			if s, r.Err = db.newSink(def); r.Err == nil {
				r.Advice, r.Err = s.reach(ctx)
			}
		default:
			continue
		}
		results = append(results, r)
	}
	return results
}

// CheckLake is Check for the embedded lake of a data directory, which has to
// exist.
func CheckLake(ctx context.Context, dir string) CheckResult {
	db := &DB{cfg: Config{Dir: dir}.withDefaults(), dir: dir}
	r := CheckResult{Kind: sql.KindSink, Name: sql.DefaultSink}
	s, err := db.embeddedLake()
	if r.Err = err; err == nil {
		r.Advice, r.Err = s.reach(ctx)
	}
	return r
}

// reachSource is checkSource for those who want to know that a system is out of
// reach, too.
func (db *DB) reachSource(ctx context.Context, s *source) error {
	if s.connector.Check == nil {
		return nil
	}
	ctx, cancel := context.WithTimeout(ctx, checkTimeout)
	defer cancel()
	return s.connector.Check(ctx, db.sourceConfig(s))
}

// reach opens a sink for as long as it takes to check it.
func (s *sink) reach(ctx context.Context) (advice []string, err error) {
	ctx, cancel := context.WithTimeout(ctx, checkTimeout)
	defer cancel()
	handle, err := s.open(ctx)
	if err != nil {
		return nil, err
	}
	defer func() {
		if closeErr := s.close(); err == nil && closeErr != nil {
			err = fmt.Errorf("close after the check: %w", closeErr)
		}
	}()
	if err := handle.Check(ctx); err != nil {
		return nil, err
	}
	if a, ok := handle.(connectors.Adviser); ok {
		advice = a.Advise(ctx)
	}
	return advice, nil
}
