package dataflow

import (
	"context"
	"errors"
	"fmt"
	"io"
	"strconv"
	"time"

	"github.com/apache/arrow-go/v18/arrow"

	"github.com/leatdb/leat/connectors"
	"github.com/leatdb/leat/engine/operator"
	"github.com/leatdb/leat/sql/sqlerror"
)

// lane reads, decodes, computes and writes, one step at a time.
type lane struct {
	s        *Stream
	index    int
	decoder  connectors.Decoder
	pipeline *operator.Pipeline
	writer   connectors.LaneWriter
	keeper   connectors.RecordKeeper // nil where records are not kept

	// Guarded by the stream's monitor.
	sealed      connectors.Sealed // handed over for the epoch that is being sealed
	handOver    connectors.Sealed // taken by the coordinator
	sealedEpoch int64
	eof         bool  // every split is read to its end
	eofEpoch    int64 // when eof was found
	retryAt     time.Time
	attempt     int
	troubled    bool // its last poll failed, and it has not been calm since
	load        load
	helps       bool  // it reads beside the lanes before it (Config.FewLanes)
	helpedFrom  sight // its load since, or since the last epoch's end
	watched     sight // load of the lane before, which it watches while it rests

	// The lane's own.
	chunk   connectors.Chunk
	now     *connectors.Chunk // that is being processed
	columns []arrow.Array
	hidden  *HiddenColumns
	letters []connectors.DeadLetter
	kept    []byte // hidden columns of letters
	replay  replayed
	decoded *connectors.Decoded // of the batch at hand
	// positions is position, made once.
	positions func(dst []byte, value int32) []byte
	polls     bool  // it is the lane that polls, where turns are kept
	turn      *turn // of the chunk's split; nil where order means nothing
	ticket    int64 // when it is the chunk's turn
}

func newLane(s *Stream, index int) (*lane, error) {
	l := &lane{s: s, index: index, writer: s.sink.Writer(index)}
	if k, ok := l.writer.(connectors.RecordKeeper); ok && k.KeepsRecords() {
		l.keeper = k
	}
	l.positions = l.position
	var err error
	if l.decoder, err = s.cfg.NewDecoder(); err != nil {
		return nil, err
	}
	if l.pipeline, err = s.cfg.NewPipeline(); err != nil {
		l.decoder.Close()
		return nil, err
	}
	l.pipeline.Position = l.positions
	l.hidden = NewHiddenColumns(l.pipeline.Context().Alloc, s.cfg.Hidden)
	return l, nil
}

func (l *lane) close() {
	l.hidden.Close()
	l.decoder.Close()
}

func (l *lane) run(ctx context.Context) error {
	return protect(fmt.Sprintf("lane %d of stream %s", l.index, l.s.cfg.Stream), func() error {
		for {
			pollCtx, err := l.ready(ctx)
			if pollCtx == nil {
				return err
			}
			if err := l.poll(ctx, pollCtx); err != nil {
				return err
			}
		}
	})
}

// ready waits until the lane may take its next step, sealing when it is asked
// to. A nil context means that the lane shall end.
func (l *lane) ready(ctx context.Context) (context.Context, error) {
	s := l.s
	s.m.Lock()
	defer s.m.Unlock()
	for {
		switch {
		case s.quit || ctx.Err() != nil:
			return nil, nil
		case s.sealEpoch != 0 && l.sealedEpoch != s.sealEpoch:
			epoch := s.sealEpoch
			s.m.Unlock()
			sealed, err := l.writer.Seal(ctx)
			s.m.Lock()
			if err != nil {
				return nil, fmt.Errorf("seal epoch %d: %w", epoch, err)
			}
			l.sealed, l.sealedEpoch = sealed, epoch
			l.restAgain()
			s.parked++
			s.m.Broadcast()
		case s.sealEpoch != 0, s.stopping, s.ending != nil:
			// A stream that stops commits what was read and reads nothing more: a
			// source that always has something would never let it end.
			s.m.Wait()
		case l.eof && l.eofEpoch == s.eofEpoch:
			s.m.Wait()
		case s.cfg.Scheduler.Now().Before(l.retryAt):
			s.m.WaitUntil(l.retryAt)
		case s.turns != nil && s.polling && (l.index > 0 || !s.replaying()):
			s.m.Wait()
		default:
			if rests, wake := l.rests(); rests {
				s.m.WaitUntil(wake)
				continue
			}
			l.eof = false
			// Who reads letters again keeps nobody from polling.
			if l.polls = l.index > 0 || !s.replaying(); l.polls {
				s.polling = true
				if s.fewLanes {
					l.load.polling = s.cfg.Scheduler.Now()
				}
			}
			return s.pollCtx, nil
		}
	}
}

// poll takes one chunk and carries it to the writer.
func (l *lane) poll(ctx, pollCtx context.Context) error {
	s := l.s
	s.m.Lock()
	eofEpoch := s.eofEpoch
	replay, replaying := s.unfinished()
	s.m.Unlock()
	if replaying && l.index == 0 {
		// One lane reads letters again, so that the others keep up with the source.
		l.polled()
		l.takeTicket(false)
		return l.pollReplay(ctx, replay)
	}
	err := s.source.Poll(pollCtx, l.index, &l.chunk)
	l.polled()
	l.takeTicket(err == nil)
	defer l.endTurn()
	switch {
	case err == nil:
	case errors.Is(err, io.EOF):
		s.m.Lock()
		l.eof, l.eofEpoch = true, eofEpoch
		s.m.Broadcast()
		s.m.Unlock()
		return nil
	case pollCtx.Err() != nil:
		return nil
	case sqlerror.IsRetryable(err):
		return l.retry(err)
	default:
		// Nothing was consumed: what the source has given before is good.
		s.m.Lock()
		s.endAfterCommit(s.aboutSource("read", err))
		s.m.Unlock()
		return nil
	}
	l.recovered()
	if l.keeper != nil {
		if err := l.keeper.KeepRecords(ctx, s.cfg.SourceName, &l.chunk); err != nil {
			return fmt.Errorf("keep records: %w", err)
		}
	}
	total, message, err := l.process(ctx, &l.chunk)
	if err != nil {
		return err
	}
	total.RowsIn += l.chunk.Filtered
	total.RowsFiltered += l.chunk.Filtered
	total.RecordsIn = int64(len(l.chunk.Records))
	if total.RecordsIn == 0 {
		total.RecordsIn = total.RowsIn + total.RecordsEmpty
	}
	s.m.Lock()
	defer s.m.Unlock()
	l.done(total, message, l.chunk.Size())
	return nil
}

// retry lets the lane poll again after a while.
func (l *lane) retry(err error) error {
	s := l.s
	s.life.trouble("lane", err)
	s.m.Lock()
	defer s.m.Unlock()
	l.retryAt = s.cfg.Scheduler.Now().Add(s.delay(l.attempt))
	l.attempt++
	l.troubled = true
	s.m.Broadcast()
	return nil
}

// recovered notes that a poll has succeeded.
func (l *lane) recovered() {
	if l.attempt > 0 {
		l.attempt = 0
		l.s.m.Lock()
		l.troubled = false
		l.s.m.Unlock()
		l.s.life.trouble("lane", nil)
	}
}

// calmAfter is how long lanes that poll again have to go without another error for
// the stream to be RUNNING: where no records come, no poll succeeds either.
const calmAfter = 30 * time.Second

// calmAt is when all lanes that poll again after an error will have been calm for
// long enough; zero when there are none. The caller holds the lock.
func (s *Stream) calmAt() (at time.Time) {
	for _, l := range s.lanes {
		if calm := l.retryAt.Add(calmAfter); l.troubled && calm.After(at) {
			at = calm
		}
	}
	return at
}

// calmDown ends the trouble of lanes that have been calm. The caller holds the lock.
func (s *Stream) calmDown(now time.Time) {
	if at := s.calmAt(); at.IsZero() || now.Before(at) {
		return
	}
	for _, l := range s.lanes {
		l.troubled = false
	}
	s.life.trouble("lane", nil)
}

// process carries a chunk's values through the operators to the writer, and says
// why the first that was rejected was.
func (l *lane) process(ctx context.Context, chunk *connectors.Chunk) (total connectors.Counters, message string, err error) {
	s := l.s
	l.now = chunk
	l.decoder.Reset(chunk)
	l.pipeline.Context().Now = s.cfg.Scheduler.Now().UTC()
	for {
		d, err := l.decoder.Next(s.cfg.BatchRows)
		if err != nil {
			return total, "", s.aboutSource("decode", err)
		}
		if d == nil {
			return total, message, nil
		}
		c, why, err := l.step(ctx, d)
		if err != nil {
			return total, "", err
		}
		if message == "" {
			message = why
		}
		total.Add(c)
	}
}

// done counts what became of a chunk. The caller holds the lock.
func (l *lane) done(total connectors.Counters, message string, bytes int) {
	s := l.s
	s.chunks++
	s.inFlight.Add(total)
	s.bytesIn += int64(bytes)
	s.rate.add(s.cfg.Scheduler.Now(), total.RowsIn, int64(bytes))
	s.countDead(total.RowsDead, message)
	if s.chunks == 1 || len(s.flushes) > 0 || s.laneErr != nil || s.ending != nil || s.overfull() {
		s.m.Broadcast()
	}
}

// overfull reports whether the epoch has to end by size, or because the source
// cannot go on without a commit. The caller holds the lock.
func (s *Stream) overfull() bool {
	if r, ok := s.source.(connectors.CommitRequester); ok && r.CommitWanted() {
		return true
	}
	limit := s.cfg.CommitBytes()
	if limit <= 0 {
		return false
	}
	var written int64
	for _, l := range s.lanes {
		written += l.writer.Written()
	}
	return written >= limit
}

// step lands one batch of decoded values and says what became of them, and why
// the first that was rejected was.
func (l *lane) step(ctx context.Context, d *connectors.Decoded) (c connectors.Counters, why string, err error) {
	rows := int(d.Batch.NumRows())
	c.RecordsEmpty = int64(d.Empty)
	c.RowsIn = int64(rows + len(d.Rejected))
	l.letters, l.kept = l.letters[:0], l.kept[:0]
	l.replay.note(l.now, d)
	for i := range d.Rejected {
		r := &d.Rejected[i]
		l.letters = append(l.letters, l.letter(d, r.Value, r.Class, r.Message))
	}
	if rows > 0 {
		l.columns = append(l.columns[:0], d.Batch.Columns()...)
		hidden, err := l.hidden.Take(l.now, d.Values)
		if err != nil {
			return c, "", err
		}
		l.columns = append(l.columns, hidden...)
		l.decoded = d
		out, err := l.pipeline.Run(l.columns, rows)
		if err != nil {
			return c, "", fmt.Errorf("compute: %w", err)
		}
		defer l.pipeline.Release()
		defer out.Delta.Batch.Release()
		for _, f := range out.Failures {
			l.letters = append(l.letters, l.letter(d, d.Values[f.Value], f.Class, f.Err.Error()))
		}
		c.RowsFiltered = int64(out.Filtered)
		c.RowsExploded = int64(out.Exploded)
		c.RowsLanded = int64(out.Delta.Rows())
		if c.RowsLanded > 0 {
			if err := l.awaitTurn(ctx); err != nil {
				return c, "", err
			}
			out.Delta.Position = l.positions
			if err := l.writer.Write(ctx, out.Delta); err != nil {
				return c, "", fmt.Errorf("write rows: %w", err)
			}
		}
	}
	if len(l.letters) > 0 {
		why = l.letters[0].Message
		c.RowsDead = int64(len(l.letters))
		if err := l.writer.DeadLetter(ctx, l.letters); err != nil {
			return c, "", fmt.Errorf("write dead letters: %w", err)
		}
	}
	return c, why, nil
}

// letter is the dead letter of a value of the chunk at hand.
func (l *lane) letter(d *connectors.Decoded, v connectors.Value, class connectors.ErrorClass, message string) connectors.DeadLetter {
	c := l.now
	if c == &l.replay.chunk {
		return l.replay.again(v, class, message)
	}
	letter := connectors.DeadLetter{
		Source: l.s.cfg.SourceName, Class: class, Message: message, Attempt: 1, Header: c.Header,
	}
	if keeper, ok := l.decoder.(connectors.HeaderKeeper); ok {
		letter.Header = keeper.HeaderOf(v)
	}
	if len(l.s.cfg.HiddenNames) > 0 {
		start := len(l.kept)
		row := int(v.Record)
		if len(c.Parts) > 0 {
			row = c.Part(v)
		}
		l.kept = appendHidden(l.kept, l.s.cfg.HiddenNames, c.Hidden, row)
		letter.Hidden = l.kept[start:len(l.kept):len(l.kept)]
	}
	if d.Locate != nil {
		letter.Raw, _, _ = d.Locate(v)
	} else {
		letter.Raw = c.Data[v.Start:v.End]
	}
	letter.Position = string(appendPosition(nil, c, d, v))
	letter.Arrived = l.pipeline.Context().Now
	if len(c.Records) > 0 {
		if arrived := c.Records[v.Record].Arrived; arrived != 0 {
			letter.Arrived = time.UnixMicro(arrived).UTC()
		}
	}
	return letter
}

// appendPosition appends the place of a value, as split@offset, or split@name
// where records have names, followed by +byte for a value that is not the first
// of its record. It is the same whenever the source is read again.
func appendPosition(dst []byte, c *connectors.Chunk, d *connectors.Decoded, v connectors.Value) []byte {
	split, offset, within := c.Split, c.Base+int64(v.Start), int32(0)
	if len(c.Parts) > 0 {
		p := &c.Parts[c.Part(v)]
		split, offset = p.Split, p.Base+int64(v.Start-p.Start)
	}
	if d.Locate != nil {
		_, offset, within = d.Locate(v)
	}
	if len(c.Records) > 0 {
		r := &c.Records[v.Record]
		offset, within = r.Offset, v.Start-r.Start
	}
	dst = append(append(dst, split...), '@')
	if len(c.Names) > 0 {
		dst = append(dst, c.Names[v.Record]...)
	} else {
		dst = strconv.AppendInt(dst, offset, 10)
	}
	if within > 0 {
		dst = strconv.AppendInt(append(dst, '+'), int64(within), 10)
	}
	return dst
}

// position is connectors.Delta.Position for the batch at hand. A value that was a
// dead letter has the place that it had at first.
func (l *lane) position(dst []byte, value int32) []byte {
	v := l.decoded.Values[value]
	if l.now != &l.replay.chunk {
		return appendPosition(dst, l.now, l.decoded, v)
	}
	dst = append(dst, l.replay.some[v.Record].Position...)
	if within := v.Start - l.now.Records[v.Record].Start; within > 0 {
		dst = strconv.AppendInt(append(dst, '+'), int64(within), 10)
	}
	return dst
}

// turn lets the chunks of one split be written in the order in which they were
// polled. The stream's monitor guards it.
type turn struct {
	polled  int64 // chunks
	written int64 // chunks, all before the one that is being written
}

// takeTicket ends a lane's polling. Where the sink keeps order one lane polls at a
// time, and takes the number of its chunk before the next one does.
func (l *lane) takeTicket(polled bool) {
	s := l.s
	if s.turns == nil || !l.polls {
		return
	}
	s.m.Lock()
	defer s.m.Unlock()
	s.polling, l.polls = false, false
	s.m.Broadcast()
	if !polled {
		return
	}
	t := s.turns[l.chunk.Split]
	if t == nil {
		t = &turn{}
		s.turns[l.chunk.Split] = t
	}
	l.turn, l.ticket = t, t.polled
	t.polled++
}

// awaitTurn waits until the chunks of the split that were polled before are
// written.
func (l *lane) awaitTurn(ctx context.Context) error {
	if l.turn == nil {
		return nil
	}
	s := l.s
	s.m.Lock()
	defer s.m.Unlock()
	for l.turn.written < l.ticket {
		if ctx.Err() != nil || s.quit || s.laneErr != nil {
			return errTurn
		}
		s.m.Wait()
	}
	return nil
}

// errTurn is what a lane ends with whose turn does not come, since another one has
// failed.
var errTurn = sqlerror.Externalf(sqlerror.CodeState, "another lane has failed")

// endTurn lets the next chunk of the split be written, once those before are.
func (l *lane) endTurn() {
	if l.turn == nil {
		return
	}
	s := l.s
	s.m.Lock()
	defer s.m.Unlock()
	for l.turn.written < l.ticket && s.laneErr == nil && !s.quit {
		s.m.Wait()
	}
	l.turn.written = max(l.turn.written, l.ticket+1)
	l.turn = nil
	s.m.Broadcast()
}
