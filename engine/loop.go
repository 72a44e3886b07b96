//go:build gms_pure_go && duckdb_arrow

package engine

import (
	"strings"

	"github.com/leatdb/leat/connectors"
	"github.com/leatdb/leat/sql"
	"github.com/leatdb/leat/sql/sqlerror"
)

// places are what the source reads without an end, as sinks name it.
func (s *source) places() []string {
	if s.err != nil || s.connector.Places == nil {
		return nil
	}
	return s.connector.Places(s.options)
}

// places are where the rows of a table lie, as sources name it.
func (s *sink) places(table string) []string {
	if s.err != nil || s.connector.Places == nil {
		return nil
	}
	return s.connector.Places(s.options, table)
}

// checkLoop refuses a stream that would read what it writes, and write that again, at
// the place in the statement that would begin it.
func (p *planned) checkLoop(def *sql.CreateStream, at sqlerror.Position) error {
	_, table := def.Target()
	if !connectors.Meet(p.source.places(), p.sink.places(table)) {
		return nil
	}
	return sqlerror.Userf(sqlerror.CodeConflict, "source %s reads what the stream writes: its rows would come again without an end", p.source.name).
		At(at).About("stream " + def.Name.Name).WithHint("write INTO another place, or read from one")
}

// beside refuses a stream that cannot run at the same time as the others that shall
// run, at the place in the statement that would start it: one that takes from another
// what only one can read, and one whose rows would come back to it by others.
func (db *DB) beside(s *stream, p *planned, at sqlerror.Position) error {
	if err := db.alone(s, p, at); err != nil {
		return err
	}
	by := db.circle(s, p)
	if by == nil {
		return nil
	}
	return sqlerror.Userf(sqlerror.CodeConflict, "source %s reads what stream %s makes of what the stream writes: rows would come again without an end", p.source.name, strings.Join(by, ", then ")).
		At(at).About("stream "+s.name).WithHint("write INTO another place, or read from one; or STOP STREAM %s", by[len(by)-1])
}

// circle are the other streams by which a stream's rows would come back to its own
// source, in their order; nil where they do not.
func (db *DB) circle(s *stream, p *planned) []string {
	home, others := p.source.places(), db.allStreams()
	type step struct {
		by     []string
		writes []string
	}
	seen := map[string]bool{strings.ToLower(s.name): true}
	for next := []step{{writes: p.sink.places(s.table)}}; len(home) > 0 && len(next) > 0; next = next[1:] {
		for _, other := range others {
			source, sink, name := db.source(other.source()), db.sink(other.sink), strings.ToLower(other.name)
			if seen[name] || !other.shallRun() || source == nil || sink == nil || !connectors.Meet(source.places(), next[0].writes) {
				continue
			}
			seen[name] = true
			reached := step{append(next[0].by[:len(next[0].by):len(next[0].by)], other.name), sink.places(other.table)}
			if connectors.Meet(home, reached.writes) {
				return reached.by
			}
			next = append(next, reached)
		}
	}
	return nil
}
