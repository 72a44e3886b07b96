package hive

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"maps"
	"strconv"
	"strings"
	"time"

	"github.com/leatdb/leat/internal/objectstore"
	"github.com/leatdb/leat/sql/sqlerror"
)

// entryVersion is the newest form of an entry that this package reads and the
// one that it writes.
const entryVersion = 1

// entry is one object of a table's log: a commit, and all that the next one has
// to know. So only the newest has to be read.
type entry struct {
	V int   `json:"v"`
	N int64 `json:"n"` // counted from 1 without gaps
	// Nonce names the attempt that wrote the entry, Previous that of entry N-1.
	Nonce    string `json:"nonce"`
	Previous string `json:"previous,omitempty"`
	At       int64  `json:"at"` // ms since 1970, UTC
	// Stream committed it, for itself or for its dead letters.
	Stream string `json:"stream,omitempty"`
	// Completed is the number through which all files are known to exist, since
	// CompletedAt at the latest.
	Completed   int64 `json:"completed"`
	CompletedAt int64 `json:"completed_at,omitempty"`
	// Dropped says that there is no table any more.
	Dropped bool `json:"dropped,omitempty"`
	// Table is what the table looks like.
	Table layout `json:"table"`
	// State has the properties, by name: the streams' records and marks.
	State map[string]string `json:"state,omitempty"`
	// Generations are, by a stream's name, the last one of those of that name that
	// were dropped: files of the next one must not take their names, nor are they
	// measured by its epochs, which begin anew.
	Generations map[string]int64 `json:"generations,omitempty"`
	// Summary of the commit, as catalog.SummaryStream and so on.
	Summary map[string]string `json:"summary,omitempty"`
	// Files are decided by this entry.
	Files []decided `json:"files,omitempty"`
	// Objects outside of the table are decided, too.
	Objects []outsideObject `json:"objects,omitempty"`
	// Register are the partitions of these files that the registry was not known
	// to have when the entry was written: the commit is completed when it has.
	Register []partition `json:"register,omitempty"`

	many bool // Files were left out of the copy that is kept for Commits
}

// decided is a file of a commit.
type decided struct {
	objectstore.Upload
	Rows int64 `json:"rows"`
}

// outsideObject is an object below another root than the table's.
type outsideObject struct {
	objectstore.Upload
	Root    string `json:"root"` // URI
	Records int64  `json:"records"`
}

// partition is one that has to be registered.
type partition struct {
	Values []string `json:"values"` // texts, "" for NULL
	Folder string   `json:"folder"` // below the table's, without a slash at its end
}

// logKey is the key of an entry. The log's names have no extension, so that no
// pattern for data files matches them.
func logKey(table string, n int64) string { return fmt.Sprintf("%s%020d", logPrefix(table), n) }

// logNumber is the number of an entry's key, 0 if it is none.
func logNumber(table, key string) int64 {
	digits, ok := strings.CutPrefix(key, logPrefix(table))
	n, err := strconv.ParseInt(digits, 10, 64)
	if !ok || err != nil || len(digits) != 20 || n < 1 {
		return 0
	}
	return n
}

// decodeEntry reads an entry. A newer version is refused, since it may mean
// what this program would destroy.
func decodeEntry(n int64, text []byte) (*entry, error) {
	var version struct {
		V int `json:"v"`
	}
	if err := json.Unmarshal(text, &version); err != nil {
		return nil, corruptEntry(n, err)
	}
	if version.V > entryVersion {
		return nil, sqlerror.Userf(sqlerror.CodeUnsupported, "entry %d of the table's log has version %d, this program knows up to %d", n, version.V, entryVersion).
			WithHint("a newer Leat has written it; run that or a newer one")
	}
	var e entry
	if err := json.Unmarshal(text, &e); err != nil {
		return nil, corruptEntry(n, err)
	}
	if e.V < 1 || e.N != n || e.Nonce == "" || e.Completed >= n || e.Completed < 0 {
		return nil, corruptEntry(n, errors.New("it is not what its name says"))
	}
	for _, f := range e.Files {
		if objectstore.CheckKey(f.Key) != nil || f.ID == "" {
			return nil, corruptEntry(n, fmt.Errorf("file %q", f.Key))
		}
	}
	for _, o := range e.Objects {
		if objectstore.CheckKey(o.Key) != nil || o.ID == "" || o.Root == "" {
			return nil, corruptEntry(n, fmt.Errorf("object %q", o.Key))
		}
	}
	return &e, nil
}

func corruptEntry(n int64, err error) error {
	return sqlerror.Userf(sqlerror.CodeConflict, "entry %d of the table's log cannot be read: %w", n, err).
		WithHint("another program has changed the folder _leat/log; restore it")
}

// next is an entry that follows e and changes nothing yet.
func (e *entry) next(nonce string, at time.Time) *entry {
	n := &entry{
		V: entryVersion, N: e.N + 1, Nonce: nonce, Previous: e.Nonce, At: at.UnixMilli(),
		Completed: e.Completed, CompletedAt: e.CompletedAt, Table: e.Table,
		State: maps.Clone(e.State), Generations: maps.Clone(e.Generations),
	}
	if n.State == nil {
		n.State = map[string]string{}
	}
	return n
}

// errConflict says that another commit came first.
var errConflict = errors.New("another commit came first")

// IsConflict reports whether a commit failed because another one came first.
func IsConflict(err error) bool { return errors.Is(err, errConflict) }

func conflictError(table string, n int64) error {
	return sqlerror.Externalf(sqlerror.CodeExternal, "commit %d to table %s: %w", n, table, errConflict)
}

// read reads an entry; nil if there is none.
func (l *Lake) read(ctx context.Context, table string, n int64) (*entry, error) {
	text, err := l.opts.Store.Get(ctx, logKey(table, n))
	if errors.Is(err, fs.ErrNotExist) {
		return nil, nil
	}
	if err != nil {
		return nil, fmt.Errorf("read the log of table %s: %w", table, err)
	}
	e, err := decodeEntry(n, text)
	if err != nil {
		return nil, fmt.Errorf("table %s: %w", table, err)
	}
	return e, nil
}

// numbers lists the numbers of entries behind one, ascending.
func (l *Lake) numbers(ctx context.Context, table string, after int64, limit int) ([]int64, error) {
	start := ""
	if after > 0 {
		start = logKey(table, after)
	}
	var numbers []int64
	for more := true; more && (limit == 0 || len(numbers) < limit); {
		var infos []objectstore.Info
		var err error
		infos, more, err = l.opts.Store.List(ctx, logPrefix(table), start, limit)
		if err != nil {
			return nil, fmt.Errorf("list the log of table %s: %w", table, err)
		}
		for _, info := range infos {
			start = info.Key
			if n := logNumber(table, info.Key); n > 0 {
				numbers = append(numbers, n)
			}
		}
	}
	return numbers, nil
}

// newestEntry finds the last entry of a log, nil if there is none.
func (l *Lake) newestEntry(ctx context.Context, table string) (*entry, error) {
	s := l.shared(table)
	for range 10 {
		s.m.Lock()
		var after int64
		if s.newest != nil {
			after = s.newest.N - 1
		}
		s.m.Unlock()
		numbers, err := l.numbers(ctx, table, after, 0)
		if err == nil && len(numbers) == 0 && after > 0 {
			numbers, err = l.numbers(ctx, table, 0, 0)
		}
		if err != nil || len(numbers) == 0 {
			return nil, err
		}
		e, err := l.read(ctx, table, numbers[len(numbers)-1])
		if err != nil || e != nil {
			return e, err
		}
		// It was trimmed meanwhile: there are newer ones.
	}
	return nil, sqlerror.Externalf(sqlerror.CodeExternal, "the log of table %s changes faster than it can be read", table)
}

// append writes an entry under the next number. Of several that try, one wins.
// After an error, whatever it is, the entry may or may not have been written.
func (l *Lake) append(ctx context.Context, table string, e *entry) error {
	text, err := json.Marshal(e)
	if err != nil {
		return fmt.Errorf("encode an entry of the log: %w", err)
	}
	_, err = l.opts.Store.Put(ctx, logKey(table, e.N), text, objectstore.PutOptions{IfNoneMatch: true})
	if err == nil {
		return l.verify(ctx, table, e)
	}
	if ctx.Err() != nil {
		return err
	}
	// It may be there all the same: an answer was lost, or the store's client has
	// repeated a request that had succeeded.
	found, lookErr := l.read(ctx, table, e.N)
	switch {
	case lookErr != nil:
		return lookErr
	case found != nil && found.Nonce == e.Nonce:
		return l.verify(ctx, table, e)
	case found != nil:
		return conflictError(table, e.N)
	}
	if errors.Is(err, fs.ErrExist) {
		// Two are at it at once (409), or the entry was trimmed since.
		return conflictError(table, e.N)
	}
	return fmt.Errorf("commit %d to table %s: %w", e.N, table, err)
}

// verify finds out whether an entry that was written is the log's last. One
// whose writer slept while the log grew past its number and was trimmed is not:
// it was written to a number that was free again. Its successor is missing or
// follows another entry. Entries are trimmed in any order, so that the one
// before proves nothing when it exists.
func (l *Lake) verify(ctx context.Context, table string, e *entry) error {
	numbers, err := l.numbers(ctx, table, max(e.N-2, 0), 3)
	if err != nil {
		return err
	}
	before, after := e.N == 1, false
	for _, n := range numbers {
		before = before || n == e.N-1
		after = after || n > e.N
	}
	if before && !after {
		return nil
	}
	if before {
		next, err := l.read(ctx, table, e.N+1)
		if err != nil {
			return err
		}
		if next != nil && next.Previous == e.Nonce {
			return nil
		}
	}
	// Nobody builds on the stray entry.
	_ = l.opts.Store.Delete(ctx, logKey(table, e.N))
	return conflictError(table, e.N)
}

// trim deletes old entries, but none whose files are not known to exist.
func (l *Lake) trim(ctx context.Context, table string, newest *entry) error {
	through := min(newest.N-l.opts.KeepEntries, newest.Completed)
	if through < 1 {
		return nil
	}
	numbers, err := l.numbers(ctx, table, 0, 1000)
	if err != nil {
		return err
	}
	var keys []string
	for _, n := range numbers {
		if n <= through {
			keys = append(keys, logKey(table, n))
		}
	}
	if len(keys) == 0 {
		return nil
	}
	s := l.shared(table)
	s.m.Lock()
	for n := range s.entries {
		if n <= through {
			delete(s.entries, n)
		}
	}
	s.m.Unlock()
	return l.opts.Store.Delete(ctx, keys...)
}
