//go:build gms_pure_go && duckdb_arrow

package engine

import (
	"context"
	"fmt"

	"github.com/apache/arrow-go/v18/arrow"

	"github.com/leatdb/leat/connectors/push"
	"github.com/leatdb/leat/engine/dataflow"
	"github.com/leatdb/leat/sql"
	"github.com/leatdb/leat/sql/sqlerror"
)

// Source is a source with connector = 'push', which the program itself feeds.
// It is safe for use by many goroutines.
type Source struct {
	db   *DB
	name string
	hub  *push.Hub
}

// Source finds a push source by name. It fails for sources of other connectors,
// which read for themselves.
func (db *DB) Source(name string) (*Source, error) {
	s := db.source(name)
	if s == nil {
		return nil, db.unknown(sql.KindSource, name, sqlerror.Position{})
	}
	if s.err != nil {
		return nil, s.err
	}
	if s.hub == nil {
		return nil, sqlerror.Userf(sqlerror.CodeState, "source %s has connector %s, and only 'push' sources are fed by the program", s.name, s.connector.Name)
	}
	db.awaitReaders(s)
	return &Source{db, s.name, s.hub}, nil
}

// awaitReaders waits a moment until the streams that read a push source have
// begun, so that what is sent next reaches them.
func (db *DB) awaitReaders(s *source) {
	ctx, cancel := context.WithTimeout(db.ctx, checkTimeout)
	defer cancel()
	for _, reader := range db.readers(s.name) {
		run := reader.running()
		if run == nil {
			continue
		}
		if run.Settled(ctx); run.Status().State != dataflow.Running {
			continue
		}
		if err := s.hub.Await(ctx, reader.name); err != nil {
			db.cfg.Logger.Warn("stream does not read yet", "stream", reader.name, "source", s.name, "error", err)
		}
	}
}

// Send hands one payload (one or more values of the source's format) to every
// stream that reads the source. It blocks while one of them is full and returns
// when the payload is accepted, which is before it is committed: what is not
// committed dies with the process. The error is ctx's, or says that no stream
// reads the source or that the database is closed.
func (s *Source) Send(ctx context.Context, data []byte) error {
	return s.sent(s.hub.Send(ctx, data))
}

// SendAt is Send for programs that can repeat: the payload has an offset within
// a split, offsets ascend, gaps are allowed. What lies at or below Committed is
// dropped as already there, so that a program which sends again from there after
// a crash lands everything exactly once.
func (s *Source) SendAt(ctx context.Context, split string, offset int64, data []byte) error {
	return s.sent(s.hub.SendAt(ctx, split, offset, data))
}

// SendRecord sends the rows of an Arrow record, its columns matched by name.
func (s *Source) SendRecord(ctx context.Context, rec arrow.RecordBatch) error {
	return s.sent(s.hub.SendRecord(ctx, rec))
}

func (s *Source) sent(err error) error {
	if err == nil {
		return nil
	}
	if closed := s.db.closedError(); closed != nil { // which is why no stream reads
		err = closed
	}
	return fmt.Errorf("send to source %s: %w", s.name, err)
}

// Committed is the offset of a split up to which every stream that reads the
// source has committed; ok is false when one has committed nothing of it.
func (s *Source) Committed(split string) (offset int64, ok bool) { return s.hub.Committed(split) }
