package datagen

import (
	"context"
	"encoding/json"
	"fmt"
	"io"
	"strconv"
	"sync"
	"sync/atomic"
	"time"

	"github.com/leatdb/leat/connectors"
	"github.com/leatdb/leat/sql/sqlerror"
)

// source makes rows for one stream.
type source struct {
	cfg     connectors.SourceConfig
	program *program
	rate    float64 // rows a second, 0 for no limit
	bounded bool

	rowBytes atomic.Int64 // about how long a row is

	mu       sync.Mutex
	splits   []*split // all there are, by number
	open     int      // assigned and not finished
	assigned int
	began    time.Time // when released was 0; zero before the first row
	released float64   // rows that the rate has let through since began
	wake     chan struct{}
	bytes    int64
	newest   time.Time
}

type split struct {
	number   int
	id       string
	assigned bool
	next     int64 // the next row
	end      int64 // behind the last row, −1 for none
}

// position is how many rows of a split were made.
type position struct {
	Row int64 `json:"row"`
}

func (p position) encode() connectors.Position {
	return connectors.Position(`{"row":` + strconv.FormatInt(p.Row, 10) + `}`)
}

func parsePosition(id string, p connectors.Position) (position, error) {
	var pos position
	if p == "" {
		return pos, nil
	}
	err := json.Unmarshal([]byte(p), &pos)
	if err == nil && pos.Row < 0 {
		err = fmt.Errorf("row %d is negative", pos.Row)
	}
	if err != nil {
		return pos, &sqlerror.Error{Code: sqlerror.CodeState, Kind: sqlerror.Internal, Message: "read position of split " + id, Err: err}
	}
	return pos, nil
}

func newSource(cfg connectors.SourceConfig) (*source, error) {
	cfg = cfg.WithDefaults()
	o := cfg.Options
	n := int(o.Int("splits"))
	program, err := compile(cfg.Columns, o, n)
	if err != nil {
		if e := sqlerror.As(err); e != nil {
			return nil, e.About("source " + cfg.Name)
		}
		return nil, err
	}
	rows := o.Int("rows")
	s := &source{cfg: cfg, program: program, bounded: rows > 0, wake: make(chan struct{})}
	switch {
	case o.Has("rows_per_second"):
		s.rate = o.Float("rows_per_second")
	case !s.bounded:
		s.rate = defaultRate
	}
	for i := range n {
		p := &split{number: i, id: strconv.Itoa(i), end: -1}
		if s.bounded {
			p.end = rows / int64(n)
			if int64(i) < rows%int64(n) {
				p.end++
			}
		}
		s.splits = append(s.splits, p)
	}
	const samples = 16
	sample := program.rows(nil, 0, 0, samples, cfg.Now(), nil)
	s.rowBytes.Store(max(1, int64(len(sample))/samples))
	return s, nil
}

func (s *source) Bounded() bool { return s.bounded }

func (s *source) Splits(context.Context, bool, connectors.Positions) ([]connectors.Split, error) {
	list := make([]connectors.Split, len(s.splits))
	for i, p := range s.splits {
		list[i] = connectors.Split{ID: p.id, Start: position{}.encode()}
	}
	return list, nil
}

// Assign ignores splits that an earlier definition of the source had.
func (s *source) Assign(_ context.Context, positions connectors.Positions) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	for _, p := range s.splits {
		at, ok := positions[p.id]
		if !ok || p.assigned {
			continue
		}
		pos, err := parsePosition(p.id, at)
		if err != nil {
			return err
		}
		p.next, p.assigned = pos.Row, true
		s.assigned++
		if !p.finished() {
			s.open++
		}
	}
	s.wakeAll()
	return nil
}

func (p *split) finished() bool { return p.end >= 0 && p.next >= p.end }

func (s *source) wakeAll() {
	close(s.wake)
	s.wake = make(chan struct{})
}

func (s *source) Poll(ctx context.Context, _ int, c *connectors.Chunk) error {
	for {
		if err := ctx.Err(); err != nil {
			return err
		}
		p, from, n, wait, wake := s.claim()
		switch {
		case p != nil:
			s.fill(p, from, n, c)
			return nil
		case wait < 0:
			return io.EOF
		}
		if err := sleep(ctx, wait, wake); err != nil {
			return err
		}
	}
}

// sleep waits for wake, and not longer than d unless that is 0.
func sleep(ctx context.Context, d time.Duration, wake chan struct{}) error {
	var after <-chan time.Time
	if d > 0 {
		timer := time.NewTimer(d)
		defer timer.Stop()
		after = timer.C
	}
	select {
	case <-ctx.Done():
		return ctx.Err()
	case <-wake:
	case <-after:
	}
	return nil
}

// claim takes the next n rows of the split that is least far. Without any, it
// says how long to wait: −1 when there will be none, 0 until woken.
func (s *source) claim() (p *split, from, n int64, wait time.Duration, wake chan struct{}) {
	s.mu.Lock()
	defer s.mu.Unlock()
	for _, q := range s.splits {
		if q.assigned && !q.finished() && (p == nil || q.next < p.next) {
			p = q
		}
	}
	if p == nil {
		if s.bounded {
			wait = -1
		}
		return nil, 0, 0, wait, s.wake
	}
	n = max(1, int64(s.cfg.ChunkBytes)/s.rowBytes.Load())
	if p.end >= 0 {
		n = min(n, p.end-p.next)
	}
	if s.rate > 0 {
		due, wait := s.due()
		if due < 1 {
			return nil, 0, 0, wait, s.wake
		}
		n = min(n, due)
		s.released += float64(n)
	}
	from = p.next
	p.next += n
	if p.finished() {
		s.open--
		if s.open == 0 {
			s.wakeAll()
		}
	}
	return p, from, n, 0, nil
}

// due is how many rows may be made now, and if none, after which time. What was
// missed for more than a second is not made up for. The caller holds mu.
func (s *source) due() (rows int64, wait time.Duration) {
	now := s.cfg.Now()
	if s.began.IsZero() {
		s.began = now
	}
	elapsed := now.Sub(s.began).Seconds()
	if behind := elapsed*s.rate - s.released; behind > s.rate+1 {
		s.began, s.released = now.Add(-time.Second), 0
		elapsed = 1
	}
	// The first row is due at once.
	if due := int64(elapsed*s.rate-s.released) + 1; due >= 1 && elapsed*s.rate >= s.released {
		return due, 0
	}
	next := time.Duration((s.released/s.rate - elapsed) * float64(time.Second))
	return 0, max(quantum, next+1)
}

func (s *source) fill(p *split, from, n int64, c *connectors.Chunk) {
	now := s.cfg.Now()
	c.Split, c.Base = p.id, 0
	c.Records = c.Records[:0]
	data := connectors.Grow(c.Data[:0], int(n*s.rowBytes.Load())*5/4)[:0]
	arrived := now.UnixMicro()
	data = s.program.rows(data, p.number, from, n, now, func(row int64, start, end int) {
		c.Records = append(c.Records, connectors.Record{Start: int32(start), End: int32(end), Offset: row, Arrived: arrived})
	})
	size := len(data)
	c.Data = connectors.Grow(data, 0)
	s.rowBytes.Store(max(1, int64(size)/n))
	if len(c.Hidden) != len(s.cfg.Hidden) {
		c.Hidden = make([]connectors.HiddenColumn, len(s.cfg.Hidden))
	}
	for i, name := range s.cfg.Hidden {
		h := &c.Hidden[i]
		h.Ints = h.Ints[:0]
		for row := range n {
			switch name {
			case hiddenPartition:
				h.Ints = append(h.Ints, int64(p.number))
			case hiddenOffset:
				h.Ints = append(h.Ints, from+row)
			}
		}
	}
	s.mu.Lock()
	s.bytes += int64(size)
	s.newest = now
	s.mu.Unlock()
}

func (s *source) Positions() connectors.Positions {
	s.mu.Lock()
	defer s.mu.Unlock()
	positions := connectors.Positions{}
	for _, p := range s.splits {
		if p.assigned {
			positions[p.id] = position{Row: p.next}.encode()
		}
	}
	return positions
}

// Ends is what was made so far: the source holds nothing that it has not made.
func (s *source) Ends(context.Context) (connectors.Positions, error) { return s.Positions(), nil }

func (s *source) Reached(split string, at, end connectors.Position) bool {
	want, err := parsePosition(split, end)
	if err != nil {
		return false
	}
	pos, err := parsePosition(split, at)
	return err == nil && pos.Row >= want.Row
}

func (s *source) Progress() connectors.Progress {
	s.mu.Lock()
	defer s.mu.Unlock()
	progress := connectors.Progress{Lag: -1, BytesRead: s.bytes, BytesTotal: -1, Behind: s.newest, Splits: s.assigned, Finished: s.assigned - s.open}
	if s.bounded {
		progress.Lag = 0
		for _, p := range s.splits {
			progress.Lag += max(0, p.end-p.next)
		}
	}
	return progress
}

func (s *source) Close() error { return nil }
