package kinesis

import (
	"context"
	"errors"
	"strings"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/kinesis"
	"github.com/aws/aws-sdk-go-v2/service/kinesis/types"

	"github.com/leatdb/leat/sql/sqlerror"
)

const (
	// maxAnswer is about how much an answer takes at most: 10 MiB of data in
	// base64, and the rest of the records.
	maxAnswer = 15 << 20
	// leastAnswer is what is reserved for an answer that should be small.
	leastAnswer = 256 << 10
	// maxPages is how many answers of a shard wait for a lane.
	maxPages = 3
	// touchAfter is how old the position of a shard without records may become
	// before it is committed anew: the retention period, of a day at least, is
	// counted from it.
	touchAfter = time.Hour
)

// fetcher asks for the records of one shard. It belongs to one goroutine.
type fetcher struct {
	s  *source
	sh *shard
	id identity

	iterator string
	after    string    // sequence number of the last record that was fetched
	at       int64     // where to begin while there is none
	until    time.Time // what arrived before has been fetched

	// Of enhanced fan-out (subscribe.go): the sequence number behind which the last
	// event says to go on, the consumer of the last subscription, how many in a row
	// have given nothing, and until when all is to be fetched, since somebody waits;
	// zero if nobody does.
	goOn     string
	consumer string
	barren   int
	wanted   time.Time

	estimate int // bytes of the next answer
	failures int // in a row
	// next is when the next call is made, earliest when it may be made at all.
	earliest, next time.Time
}

func (f *fetcher) run(ctx context.Context) {
	defer f.s.health.succeeded(f.sh.id)
	for f.wait(ctx) {
		reserved := f.estimate
		if f.s.budget.reserve(ctx, reserved) != nil {
			return
		}
		p := f.s.pages.Get().(*page)
		err := f.fetch(ctx, p)
		if err != nil {
			p.reset()
		}
		f.s.budget.correct(p.cost() - reserved)
		if err == nil {
			if f.failures > 0 {
				f.failures = 0
				f.s.health.succeeded(f.sh.id)
			}
			if f.deliver(ctx, p) {
				return
			}
			continue
		}
		f.s.free(p)
		if f.failed(ctx, err) {
			return
		}
	}
}

// cost is what a page takes of the budget.
func (p *page) cost() int { return len(p.body) + 32*len(p.records) }

// free gives a page back. Its memory is kept for another one unless it is
// unusually large.
func (s *source) free(p *page) {
	s.budget.correct(-p.cost())
	p.reset()
	if cap(p.body) <= 2*maxAnswer {
		s.pages.Put(p)
	}
}

// wait waits until the shard may be asked, and until there is room for the
// answer in its queue. It returns false when ctx has ended.
func (f *fetcher) wait(ctx context.Context) bool {
	for due := f.next; ; {
		d := due.Sub(f.s.cfg.Now())
		if d <= 0 {
			break
		}
		timer := time.NewTimer(d)
		select {
		case <-ctx.Done():
			timer.Stop()
			return false
		case <-timer.C:
		case <-f.sh.kick:
			timer.Stop()
			due = f.earliest
		}
	}
	for {
		if f.hasRoom() {
			return ctx.Err() == nil
		}
		select {
		case <-ctx.Done():
			return false
		case <-f.sh.taken:
		}
	}
}

// hasRoom reports whether the shard's queue takes another page.
func (f *fetcher) hasRoom() bool {
	f.s.mu.Lock()
	defer f.s.mu.Unlock()
	return len(f.sh.pages) < maxPages
}

// fetch makes one call, after one for the iterator where that is missing.
func (f *fetcher) fetch(ctx context.Context, p *page) error {
	s := f.s
	if f.iterator == "" {
		if err := f.locate(ctx); err != nil {
			return err
		}
	}
	until, err := f.overdue(s.cfg.Now())
	if err != nil {
		return err
	}
	f.until = until
	sent := s.cfg.Now()
	callCtx, cancel := context.WithTimeout(context.WithValue(ctx, pageKey{}, p), s.timeout)
	defer cancel()
	if _, err := s.client.GetRecords(callCtx, &kinesis.GetRecordsInput{ShardIterator: &f.iterator, StreamARN: s.stream.arn}, once); err != nil {
		return err
	}
	size := int64(0)
	for _, r := range p.records {
		size += int64(r.data.end-r.data.start) / 4 * 3
	}
	f.accept(p, sent)
	p.seen = p.through
	f.iterator = p.next
	earliest, usual := s.pace.after(size, p.behind <= 0)
	f.earliest, f.next = sent.Add(earliest), sent.Add(usual)
	f.estimate = min(maxAnswer, max(leastAnswer, 2*p.cost()))
	if p.behind > 0 {
		f.estimate = max(f.estimate, f.estimate/2+maxAnswer/2)
	}
	return nil
}

// accept goes on behind the records of a page, the answer to a call sent then.
// Whatever the service gives, nothing is read twice.
func (f *fetcher) accept(p *page, sent time.Time) {
	repeated := 0
	for repeated < len(p.records) && f.after != "" && !sequenceLess(f.after, p.at(p.records[repeated].sequence)) {
		repeated++
	}
	p.taken = repeated
	if n := len(p.records); n > repeated {
		f.after = string(p.at(p.records[n-1].sequence))
	}
	if p.through = p.readThrough(sent); p.through > f.until.UnixMicro() {
		f.until = time.UnixMicro(p.through)
	}
}

// readThrough is the time, in µs, such that what arrived before has been read
// with this answer to a call sent then; 0 if nothing can be said.
func (p *page) readThrough(sent time.Time) int64 {
	n := len(p.records)
	switch {
	case p.behind == 0 || p.behind < 0 && n == 0:
		return sent.UnixMicro()
	case n > 0 && p.records[n-1].arrived > 0:
		// By two clocks: the earlier one counts.
		return min(p.records[n-1].arrived, sent.UnixMicro()-max(0, p.behind)*1000)
	}
	return 0
}

// sequenceLess compares two sequence numbers, decimal numbers without leading
// zeros.
func sequenceLess(a string, b []byte) bool {
	if len(a) != len(b) {
		return len(a) < len(b)
	}
	return a < string(b)
}

// locate gets an iterator.
func (f *fetcher) locate(ctx context.Context) error {
	in := &kinesis.GetShardIteratorInput{
		StreamName: f.s.stream.name, StreamARN: f.s.stream.arn, ShardId: &f.sh.id,
		ShardIteratorType: types.ShardIteratorTypeTrimHorizon,
	}
	switch {
	case f.after != "":
		in.ShardIteratorType, in.StartingSequenceNumber = types.ShardIteratorTypeAfterSequenceNumber, &f.after
	case f.at > 0:
		in.ShardIteratorType, in.Timestamp = types.ShardIteratorTypeAtTimestamp, aws.Time(time.UnixMilli(f.at).UTC())
	}
	ctx, cancel := context.WithTimeout(ctx, f.s.timeout)
	defer cancel()
	out, err := f.s.client.GetShardIterator(ctx, in, once)
	if err != nil {
		if f.after != "" && errorCode(err) == invalidArgument {
			return &unknownSequenceError{err}
		}
		return err
	}
	if f.iterator = aws.ToString(out.ShardIterator); f.iterator == "" {
		return errors.New("the service gave no iterator")
	}
	return nil
}

// unknownSequenceError is the answer that a sequence number is not of the shard.
type unknownSequenceError struct{ error }

func (e *unknownSequenceError) Unwrap() error { return e.error }

// deliver queues what was fetched, and reports whether it was the shard's end.
func (f *fetcher) deliver(ctx context.Context, p *page) (end bool) {
	s, sh := f.s, f.sh
	s.mu.Lock()
	defer s.mu.Unlock()
	if ctx.Err() != nil {
		s.free(p)
		return true
	}
	end = p.next == ""
	sh.behind = p.behind
	if end {
		sh.ended = true
		s.adopt(sh, p.children)
	}
	switch {
	case p.taken < len(p.records):
		sh.pages = append(sh.pages, p)
		sh.queued += p.cost()
		s.wakeAll()
		return end
	case len(sh.pages) > 0:
		last := sh.pages[len(sh.pages)-1]
		last.through, last.seen = max(last.through, p.through), max(last.seen, p.seen)
	default:
		sh.seen = max(sh.seen, p.seen)
		s.reach(sh, p.through)
	}
	s.free(p)
	s.finish(sh)
	return end
}

// reach moves the time through which a shard has been read, when no records have
// come since. The caller holds mu.
func (s *source) reach(sh *shard, through int64) {
	if through <= sh.through {
		return
	}
	sh.through = through
	if from := sh.pos.readUntil(); from.IsZero() || time.UnixMicro(through).Sub(from) >= touchAfter {
		sh.touched = true
		s.wakeAll()
	}
}

// failed decides what follows on an error, and reports whether the shard is no
// longer to be read.
func (f *fetcher) failed(ctx context.Context, err error) (end bool) {
	s := f.s
	if ctx.Err() != nil {
		return true
	}
	var unknown *unknownSequenceError
	switch code := errorCode(err); {
	case code == "ExpiredIteratorException":
		// From where it stood: nothing of it has been handed out twice or left out.
		f.iterator = ""
		f.pause(s.cfg.Now(), 0)
		return false
	case errors.As(err, &unknown):
		err = f.unknownSequence(ctx, unknown.error)
	case code == "ResourceNotFoundException":
		if f.renewConsumer(ctx) {
			return false
		}
		if err = f.missing(ctx); err == nil {
			return true
		}
	case code == invalidArgument:
		f.iterator, f.goOn = "", ""
	}
	if err == nil || ctx.Err() != nil {
		return ctx.Err() != nil
	}
	if sqlerror.HasCode(err, sqlerror.CodeDataLoss) {
		s.mu.Lock()
		s.fail(err)
		s.mu.Unlock()
		return true
	}
	f.failures++
	// That others read from the shard too is no trouble unless it goes on.
	if !isThrottled(err) && errorCode(err) != resourceInUse || f.failures > throttledQuietly {
		s.health.failed(f.sh.id, explain(s.cfg, "read shard "+f.sh.id+" of stream "+s.stream.String(), err))
	}
	f.pause(s.cfg.Now(), backoff(f.failures-1))
	return false
}

func (f *fetcher) pause(now time.Time, d time.Duration) {
	f.next = now.Add(max(d, f.s.pace.gap()))
	f.earliest = f.next
}

// The service's names of errors that mean something to a fetcher.
const (
	invalidArgument = "InvalidArgumentException"
	resourceInUse   = "ResourceInUseException"
)

// throttledQuietly is how many refusals in a row are normal.
const throttledQuietly = 8

func isThrottled(err error) bool {
	switch code := errorCode(err); code {
	case "ProvisionedThroughputExceededException", "LimitExceededException", "KMSThrottlingException":
		return true
	default:
		return strings.Contains(code, "Throttl")
	}
}
