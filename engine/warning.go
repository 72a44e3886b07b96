//go:build gms_pure_go && duckdb_arrow

package engine

import (
	"sync"

	"github.com/apache/arrow-go/v18/arrow/array"
	gms "github.com/dolthub/go-mysql-server/sql"

	"github.com/leatdb/leat/engine/adhoc"
)

// maxWarnings is how many warnings a statement keeps: max_error_count.
const maxWarnings = 1024

// truncatedWarning is MySQL's number for a value that was cut or is none of its
// type.
const truncatedWarning = 1292

// warnings are what a query over lake tables has to say of its values. They come
// from several threads, and a session takes them from one.
type warnings struct {
	mu   sync.Mutex
	list []string
}

func (w *warnings) add(err error) {
	w.mu.Lock()
	defer w.mu.Unlock()
	if len(w.list) < maxWarnings {
		w.list = append(w.list, err.Error())
	}
}

// tell moves the warnings to the session, for SHOW WARNINGS.
func (w *warnings) tell(ctx *gms.Context) {
	w.mu.Lock()
	defer w.mu.Unlock()
	for _, message := range w.list {
		ctx.Warn(truncatedWarning, "%s", message)
	}
	w.list = nil
}

// warningReader tells the session the warnings of each batch that it reads.
type warningReader struct {
	array.RecordReader
	ctx      *gms.Context
	warnings *warnings
}

// Next implements array.RecordReader.
func (r *warningReader) Next() bool {
	ok := r.RecordReader.Next()
	r.warnings.tell(r.ctx)
	return ok
}

// adhocSession is what of a session decides what a query gives.
func adhocSession(ctx *gms.Context, warn func(error)) adhoc.Session {
	s := adhoc.Session{Location: sessionLocation(ctx), Warn: warn}
	if v, err := ctx.GetSessionVariable(ctx, "group_concat_max_len"); err == nil {
		switch n := v.(type) {
		case uint64:
			s.GroupConcatMaxLen = int(min(n, 1<<30))
		case int64:
			s.GroupConcatMaxLen = int(min(n, 1<<30))
		}
	}
	return s
}
