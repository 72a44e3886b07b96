package dataflow

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"slices"
	"strconv"

	"github.com/leatdb/leat/connectors"
	"github.com/leatdb/leat/sql/sqlerror"
)

// A replay is asked for, begins with the commit of an epoch, and is then a split
// like those of the source: its chunks go through the operators, and how far it
// has come is committed with the rows.

// replayRequest is one caller of AskReplay.
type replayRequest struct {
	asked connectors.ReplayRequest
	begun ReplayBegun
	done  bool
	err   error
}

// ReplayBegun says how many letters a replay reads again.
type ReplayBegun struct {
	Letters int64
	// Left were chosen and are of an earlier life of the stream.
	Left int64
}

// ErrFinished is what a replay fails with that was asked of a stream while it
// finished: another run of it can begin the replay.
var ErrFinished error = sqlerror.Userf(sqlerror.CodeState, "the stream finished before the replay began")

// AskReplay asks the stream, which may be about to run, to read dead letters
// again, under an id that no other replay has. choose gives the letters. wait
// returns when their choice is committed. It fails when they cannot be chosen,
// when the stream ends before (ErrFinished if it has read all of its source), or
// ctx does; the replay may have begun then, unless it is ErrFinished.
func (s *Stream) AskReplay(ctx context.Context, id string, choose func(ctx context.Context, take func(connectors.DeadLetter) error) error) (wait func() (ReplayBegun, error)) {
	r := &replayRequest{}
	r.asked = connectors.ReplayRequest{ID: id, Choose: func(streamCtx context.Context, take func(connectors.DeadLetter) error) error {
		chooseCtx, cancel := context.WithCancelCause(streamCtx)
		defer cancel(nil)
		defer context.AfterFunc(ctx, func() { cancel(ctx.Err()) })()
		return choose(chooseCtx, take)
	}}
	s.m.Lock()
	defer s.m.Unlock()
	switch state, _, reason := s.life.get(); state {
	case Finished:
		r.done, r.err = true, ErrFinished
	case Stopped, Failed, Fenced:
		if r.done, r.err = true, reason; reason == nil {
			r.err = sqlerror.Userf(sqlerror.CodeState, "stream %s is %s", s.cfg.Stream, state)
		}
	default:
		s.requests = append(s.requests, r)
		s.m.Broadcast()
	}
	return func() (ReplayBegun, error) { return s.awaitReplay(ctx, r) }
}

func (s *Stream) awaitReplay(ctx context.Context, r *replayRequest) (ReplayBegun, error) {
	defer s.m.BroadcastAfter(ctx)()
	s.m.Lock()
	defer s.m.Unlock()
	for !r.done && ctx.Err() == nil {
		s.m.Wait()
	}
	if !r.done {
		s.requests = slices.DeleteFunc(s.requests, func(other *replayRequest) bool { return other == r })
		s.m.Broadcast()
		return ReplayBegun{}, ctx.Err()
	}
	return r.begun, r.err
}

// nextRequest is the replay that the next commit begins, nil if there is none.
// The caller holds the lock.
func (s *Stream) nextRequest() *replayRequest {
	if s.stopping || s.ending != nil {
		return nil
	}
	for len(s.requests) > 0 {
		r := s.requests[0]
		if _, ok := s.sink.(connectors.Replayer); ok {
			return r
		}
		s.requests = s.requests[1:]
		r.done = true
		r.err = sqlerror.Userf(sqlerror.CodeUnsupported, "the sink of stream %s keeps no dead letters that could be read again", s.cfg.Stream)
		s.m.Broadcast()
	}
	return nil
}

// replaysAfter are the replays of the state after an epoch: those that the last
// commit has shown to be finished are left out.
func (s *Stream) replaysAfter(replays []connectors.Replay) []connectors.Replay {
	var after []connectors.Replay
	for _, r := range replays {
		shown := slices.ContainsFunc(s.committed.Replays, func(c connectors.Replay) bool { return c.ID == r.ID && c.Finished() })
		if !shown {
			after = append(after, r)
		}
	}
	return after
}

// replayCommitted notes what a commit has said of replays: s.committed is its
// state, but for what it has begun. The caller holds the lock.
func (s *Stream) replayCommitted(ctx context.Context, request *replayRequest, result connectors.CommitResult) {
	s.replays = slices.DeleteFunc(s.replays, func(r connectors.Replay) bool {
		return !slices.ContainsFunc(s.committed.Replays, func(c connectors.Replay) bool { return c.ID == r.ID })
	})
	if request == nil {
		return
	}
	s.requests = slices.DeleteFunc(s.requests, func(r *replayRequest) bool { return r == request })
	request.done, request.err = true, result.ReplayErr
	if result.Replay == nil {
		return
	}
	begun := *result.Replay
	request.begun = ReplayBegun{Letters: begun.Letters, Left: result.ReplayLeft}
	s.cfg.Logger.Info("replay begun", "stream", s.cfg.Stream, "replay", begun.ID, "letters", begun.Letters)
	if begun.Finished() {
		return // of no letters
	}
	s.committed.Replays = append(slices.Clip(s.committed.Replays), begun)
	s.replays = append(s.replays, begun)
	// The lane that reads it may be waiting for the source.
	s.cancelPolls()
	s.pollCtx, s.cancelPolls = context.WithCancel(ctx)
	s.eofEpoch++
}

// foundBegun ends the requests that the state answers: their commit had no
// answer and has happened. The caller holds the lock.
func (s *Stream) foundBegun() {
	s.requests = slices.DeleteFunc(s.requests, func(r *replayRequest) bool {
		i := slices.IndexFunc(s.committed.Replays, func(c connectors.Replay) bool { return c.ID == r.asked.ID })
		if i >= 0 {
			r.done, r.begun.Letters = true, s.committed.Replays[i].Letters
			s.m.Broadcast()
		}
		return i >= 0
	})
}

// endRequests ends what was asked for when the stream ends. The caller holds
// the lock.
func (s *Stream) endRequests(err error) {
	for _, r := range s.requests {
		r.done, r.err = true, err
		switch {
		case err == nil && !s.stopping:
			r.err = ErrFinished
		case err == nil:
			r.err = sqlerror.Userf(sqlerror.CodeState, "stream %s stopped before the replay began", s.cfg.Stream)
		}
	}
	s.requests = nil
}

// unfinished is the first replay that has letters to be read. The caller holds
// the lock.
func (s *Stream) unfinished() (connectors.Replay, bool) {
	for _, r := range s.replays {
		if !r.Finished() {
			return r, true
		}
	}
	return connectors.Replay{}, false
}

func (s *Stream) replaying() bool {
	_, ok := s.unfinished()
	return ok
}

// replayed is what a lane holds of dead letters that it reads again.
type replayed struct {
	list  []connectors.DeadLetter
	some  []connectors.DeadLetter // those of the chunk, by record
	found []bool                  // whether a value was found in the record
	chunk connectors.Chunk
	left  []int // letters of the list that lack a hidden column
}

// pollReplay takes the next letters of a replay and carries them to the writer.
func (l *lane) pollReplay(ctx context.Context, r connectors.Replay) error {
	s := l.s
	list, next, err := s.sink.(connectors.Replayer).ReadReplay(ctx, r, l.replay.list[:0])
	l.replay.list = list
	switch {
	case err == nil:
	case ctx.Err() != nil:
		return nil
	case sqlerror.HasCode(err, sqlerror.CodeDataLoss) && s.cfg.SkipDataLoss:
		s.m.Lock()
		defer s.m.Unlock()
		lost := connectors.DataLoss{Split: r.Split(), Records: r.Letters - r.Done, Reason: err.Error()}
		s.cfg.Logger.Warn("records lost", "stream", s.cfg.Stream, "split", lost.Split, "records", lost.Records, "reason", lost.Reason)
		s.dataLoss = append(s.dataLoss, lost)
		r.Done = r.Letters
		s.advance(r)
		s.m.Broadcast()
		return nil
	case sqlerror.IsRetryable(err):
		return l.retry(err)
	default:
		return fmt.Errorf("read replay %s again: %w", r.ID, err)
	}
	l.recovered()
	var total connectors.Counters
	message, bytes := "", 0
	for rest := list; len(rest) > 0; {
		// One chunk has one header.
		n := slices.IndexFunc(rest, func(d connectors.DeadLetter) bool { return string(d.Header) != string(rest[0].Header) })
		if n < 0 {
			n = len(rest)
		}
		c, why, err := l.readAgain(ctx, rest[:n], r)
		if err != nil {
			return err
		}
		total.Add(c)
		bytes += len(l.replay.chunk.Data)
		if message == "" {
			message = why
		}
		rest = rest[n:]
	}
	total.RecordsEmpty, total.RowsReplayed = 0, total.RowsIn
	s.m.Lock()
	defer s.m.Unlock()
	s.advance(next)
	l.done(total, message, bytes)
	return nil
}

// advance notes how far a replay was read. The caller holds the lock.
func (s *Stream) advance(r connectors.Replay) {
	for i := range s.replays {
		if s.replays[i].ID == r.ID {
			s.replays[i] = r
		}
	}
}

// readAgain processes letters of one header. Each is landed, filtered or a new
// letter; none is nothing.
func (l *lane) readAgain(ctx context.Context, letters []connectors.DeadLetter, r connectors.Replay) (connectors.Counters, string, error) {
	p := &l.replay
	names := l.s.cfg.HiddenNames
	p.some, p.left = p.some[:0], p.left[:0]
	c := &p.chunk
	c.Split, c.Header, c.Data, c.Records = r.Split(), letters[0].Header, c.Data[:0], c.Records[:0]
	for len(c.Hidden) < len(names) {
		c.Hidden = append(c.Hidden, connectors.HiddenColumn{})
	}
	for i := range c.Hidden {
		h := &c.Hidden[i]
		h.Ints, h.Bytes, h.Null = h.Ints[:0], h.Bytes[:0], h.Null[:0]
	}
	for i := range letters {
		if !takeHidden(c.Hidden, names, letters[i].Hidden) {
			p.left = append(p.left, i)
			continue
		}
		start := len(c.Data)
		c.Data = connectors.Grow(c.Data, len(letters[i].Raw))
		copy(c.Data[start:], letters[i].Raw)
		c.Records = append(c.Records, connectors.Record{Start: int32(start), End: int32(len(c.Data)), Offset: int64(len(p.some))})
		p.some = append(p.some, letters[i])
	}
	p.found = append(p.found[:0], make([]bool, len(p.some))...)
	var total connectors.Counters
	var message string
	if len(p.some) > 0 {
		var err error
		if total, message, err = l.process(ctx, c); err != nil {
			return total, "", err
		}
	}
	l.letters = l.letters[:0]
	for record, found := range p.found {
		if !found {
			l.letters = append(l.letters, p.again(connectors.Value{Start: c.Records[record].Start, End: c.Records[record].End, Record: int32(record)}, connectors.ClassDecode, "the letter holds no value"))
		}
	}
	for _, i := range p.left {
		d := letters[i]
		d.Attempt++
		d.Class, d.Message = connectors.ClassEvaluation, fmt.Sprintf("the letter does not hold the metadata %s: the query did not use it when the value was rejected", missingHidden(names, d.Hidden))
		l.letters = append(l.letters, d)
	}
	if n := int64(len(l.letters)); n > 0 {
		total.RowsIn += n
		total.RowsDead += n
		if message == "" {
			message = l.letters[0].Message
		}
		if err := l.writer.DeadLetter(ctx, l.letters); err != nil {
			return total, "", fmt.Errorf("write dead letters: %w", err)
		}
	}
	return total, message, nil
}

// note remembers of which records values were found.
func (p *replayed) note(c *connectors.Chunk, d *connectors.Decoded) {
	if c != &p.chunk {
		return
	}
	for _, v := range d.Values {
		p.found[v.Record] = true
	}
	for i := range d.Rejected {
		p.found[d.Rejected[i].Value.Record] = true
	}
}

// again is the letter of a value that has failed once more.
func (p *replayed) again(v connectors.Value, class connectors.ErrorClass, message string) connectors.DeadLetter {
	d := p.some[v.Record]
	if within := v.Start - p.chunk.Records[v.Record].Start; within > 0 {
		d.Position += "+" + strconv.Itoa(int(within))
	}
	d.Class, d.Message, d.Raw = class, message, p.chunk.Data[v.Start:v.End]
	d.Attempt++
	return d
}

// appendHidden appends the hidden columns of a record as a JSON object: numbers
// as they are, bytes in base64.
func appendHidden(dst []byte, names []string, columns []connectors.HiddenColumn, record int) []byte {
	dst = append(dst, '{')
	for i, name := range names {
		if i >= len(columns) {
			break
		}
		if i > 0 {
			dst = append(dst, ',')
		}
		dst = strconv.AppendQuote(dst, name)
		dst = append(dst, ':')
		switch c := &columns[i]; {
		case c.Null != nil && c.Null[record]:
			dst = append(dst, "null"...)
		case c.Bytes != nil:
			text, err := json.Marshal(c.Bytes[record])
			if err != nil {
				text = []byte("null") // bytes can be encoded
			}
			dst = append(dst, text...)
		default:
			dst = strconv.AppendInt(dst, c.Ints[record], 10)
		}
	}
	return append(dst, '}')
}

// takeHidden appends a letter's hidden columns to those of a chunk. It appends
// nothing and returns false when the letter does not hold them all.
func takeHidden(columns []connectors.HiddenColumn, names []string, text []byte) bool {
	if len(names) == 0 {
		return true
	}
	held := map[string]json.RawMessage{}
	if json.Unmarshal(text, &held) != nil || missingHidden(names, text) != "" {
		return false
	}
	for i, name := range names {
		c, value := &columns[i], held[name]
		var number int64
		var content []byte
		null := bytes.Equal(value, []byte("null"))
		if !null && json.Unmarshal(value, &number) != nil {
			_ = json.Unmarshal(value, &content)
		}
		c.Ints, c.Bytes, c.Null = append(c.Ints, number), append(c.Bytes, content), append(c.Null, null)
	}
	return true
}

// missingHidden is the first name that a letter does not hold.
func missingHidden(names []string, text []byte) string {
	held := map[string]json.RawMessage{}
	_ = json.Unmarshal(text, &held)
	for _, name := range names {
		if _, ok := held[name]; !ok {
			return name
		}
	}
	return ""
}
