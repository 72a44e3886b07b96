package simulation

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io/fs"
	"strings"
	"time"

	"github.com/apache/arrow-go/v18/parquet/file"

	"github.com/leatdb/leat/connectors"
	"github.com/leatdb/leat/internal/objectstore"
	"github.com/leatdb/leat/internal/sched"
	"github.com/leatdb/leat/sql/sqlerror"
)

// limited reports whether the instance has ended because of too many dead
// letters.
func (i *instance) limited() bool {
	return sqlerror.HasCode(i.err, sqlerror.CodeState) && strings.Contains(i.err.Error(), "dead_letter_limit")
}

// replayPatience is how long a user waits for a replay to begin.
const replayPatience = 2 * time.Minute

// replay asks an instance to read some of its dead letters again.
func (w *world) replay(i *instance) {
	if i == nil || i.stream == nil {
		return
	}
	// Every nth letter, by its value, or all.
	nth, salt := int64(1+w.s.IntN(3)), int64(w.s.IntN(3))
	w.s.Note("replay dead letters of %s in %s", i.name, i.p.Name())
	i.p.Go("replay", func() {
		ctx, cancel := context.WithTimeout(i.p.Context(), replayPatience)
		defer cancel()
		id := sched.ID(i.p)[:8]
		wait := i.stream.AskReplay(ctx, id, func(ctx context.Context, take func(connectors.DeadLetter) error) error {
			return i.choose(ctx, func(v value) bool { return (v.id+salt)%nth == 0 }, take)
		})
		begun, err := wait()
		w.s.Note("replay %s: %d letters, %d left, %v", id, begun.Letters, begun.Left, err)
		if err != nil || begun.Letters == 0 {
			return
		}
		r := w.model.replays[id]
		if r == nil || len(r.letters) != int(begun.Letters) {
			w.s.Fail(fmt.Errorf("replay %s is said to have %d letters", id, begun.Letters))
			return
		}
		i.replays = append(i.replays, id)
	})
}

// choose reads the table of dead letters as the engine's query does: letters of
// the stream that have no mark. Which files a version of the table has is known
// at once: the library reads manifests side by side, in no order.
func (i *instance) choose(ctx context.Context, wanted func(value) bool, take func(connectors.DeadLetter) error) error {
	files, err := i.w.model.letterFiles()
	if err != nil {
		return err
	}
	store := &client{w: i.w, p: i.p}
	var letters []letterRow
	marked := map[string]bool{}
	for _, f := range files {
		var data []byte
		backoff := objectstore.Backoff{Scheduler: i.p}
		if err := backoff.Retry(ctx, nil, func(ctx context.Context) (err error) {
			data, err = store.Get(ctx, f.key)
			return err
		}); err != nil {
			if errors.Is(err, fs.ErrNotExist) {
				i.w.s.Fail(fmt.Errorf("choose letters: %w", err))
			}
			return err
		}
		r, err := file.NewParquetReader(bytes.NewReader(data))
		if err != nil {
			return err
		}
		for g := range r.NumRowGroups() {
			rows, err := lettersOf(r.RowGroup(g))
			if err != nil {
				return err
			}
			for _, one := range rows {
				switch {
				case one.replay != "":
					marked[one.id] = true
				case one.stream == i.name:
					letters = append(letters, one)
				}
			}
		}
		if err := r.Close(); err != nil {
			return err
		}
	}
	for _, one := range letters {
		v, err := parse([]byte(one.raw))
		if err != nil {
			return err
		}
		if marked[one.id] || !wanted(v) {
			continue
		}
		if err := take(connectors.DeadLetter{ID: one.id, Source: sourceName, Position: one.position, Raw: []byte(one.raw), Attempt: one.attempt}); err != nil {
			return err
		}
	}
	return nil
}

// letterRow is a row of the table of dead letters.
type letterRow struct {
	stream, position, raw, id, replay string
	attempt                           int
}

// lettersOf reads a row group of the table of dead letters.
func lettersOf(group *file.RowGroupReader) ([]letterRow, error) {
	var columns [5][]string
	for i, column := range [...]int{0, 2, 6, 11, 14} {
		var err error
		if columns[i], err = texts(group, column); err != nil {
			return nil, err
		}
	}
	attempts, err := int32s(group, 7)
	if err != nil {
		return nil, err
	}
	rows := make([]letterRow, len(attempts))
	for i := range rows {
		rows[i] = letterRow{columns[0][i], columns[1][i], columns[2][i], columns[3][i], columns[4][i], int(attempts[i])}
	}
	return rows, nil
}

func int32s(group *file.RowGroupReader, column int) ([]int32, error) {
	c, err := group.Column(column)
	if err != nil {
		return nil, err
	}
	r, ok := c.(*file.Int32ColumnChunkReader)
	if !ok {
		return nil, fmt.Errorf("column %d is no int32", column)
	}
	out := make([]int32, group.NumRows())
	levels := make([]int16, len(out))
	for at := 0; at < len(out); {
		n, _, err := r.ReadBatch(int64(len(out)-at), out[at:], levels[at:], nil)
		if err != nil {
			return nil, err
		}
		if n == 0 {
			return nil, fmt.Errorf("column %d ends after %d values", column, at)
		}
		at += int(n)
	}
	return out, nil
}
