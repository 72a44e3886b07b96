package kinesis

import (
	"bufio"
	"context"
	"encoding/binary"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"slices"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/kinesis"
	"github.com/aws/aws-sdk-go-v2/service/kinesis/types"
	"github.com/aws/smithy-go"
	"github.com/aws/smithy-go/eventstream"
	"github.com/aws/smithy-go/middleware"
	smithyhttp "github.com/aws/smithy-go/transport/http"
)

// subscription is a call of SubscribeToShard that is being answered, for up to
// five minutes. A goroutine reads its events, one ahead of who takes them.
type subscription struct {
	sent    time.Time
	taken   int // events
	cancel  context.CancelCauseFunc
	events  chan pushed
	dropped chan struct{} // closed when nobody takes events any more
	ended   chan struct{} // closed when the goroutine has ended
}

// pushed is an event, or why there are no more: io.EOF when the subscription has
// ended as it should.
type pushed struct {
	page *page
	err  error
}

// close ends the subscription; what it has read ahead is thrown away.
func (sub *subscription) close() {
	if sub != nil {
		close(sub.dropped)
		sub.cancel(nil)
		<-sub.ended
	}
}

const (
	// maxEventBytes bounds a message of the stream of events.
	maxEventBytes = 24 << 20
	// readAhead is how much of a subscription is read at a time.
	readAhead = 64 << 10
)

// runSubscribed reads the shard by enhanced fan-out: one subscription after the
// other, each from where the last has ended.
//
// An event does not tell when it was made, so that it says nothing certain of the
// time through which the shard has been read but what holds since the
// subscription was asked for. When somebody waits for the shard's end, records
// are fetched by GetRecords as well; those that come by both ways are taken once.
func (f *fetcher) runSubscribed(ctx context.Context) {
	defer f.s.health.succeeded(f.sh.id)
	var sub *subscription
	defer func() { sub.close() }()
	for ctx.Err() == nil {
		now := f.s.cfg.Now()
		if !f.wanted.IsZero() && f.until.After(f.wanted) {
			f.wanted = time.Time{}
		}
		room := f.hasRoom()
		polls := room && !f.wanted.IsZero()
		var end bool
		var err error
		switch {
		case sub == nil && !now.Before(f.next):
			sub, err = f.subscribe(ctx)
		case polls && !now.Before(f.earliest):
			end, err = f.poll(ctx)
		default:
			var due time.Time
			if sub == nil {
				due = f.next
			}
			if polls && (due.IsZero() || f.earliest.Before(due)) {
				due = f.earliest
			}
			event := f.await(ctx, sub, room, due)
			if event.page != nil {
				end, err = f.take(ctx, sub, event.page)
			} else if event.err != nil {
				err = f.renew(sub, event.err)
			}
			if event.err != nil || err != nil { // what follows an event that was not taken must not be
				sub.close()
				sub = nil
			}
		}
		if end {
			return
		}
		if err != nil {
			after := f.next
			if f.failed(ctx, err) {
				return
			}
			f.next = latest(f.next, after, f.s.cfg.Now().Add(subscribeCalls*f.s.pace.gap()))
		}
	}
}

// await waits for the next event, if there is room for it, or until something
// else is to be done.
func (f *fetcher) await(ctx context.Context, sub *subscription, room bool, due time.Time) pushed {
	var events <-chan pushed
	if sub != nil && room {
		events = sub.events
	}
	var alarm <-chan time.Time
	if !due.IsZero() {
		timer := time.NewTimer(due.Sub(f.s.cfg.Now()))
		defer timer.Stop()
		alarm = timer.C
	}
	select {
	case event := <-events:
		return event
	case <-f.sh.kick:
		f.wanted = f.s.cfg.Now()
	case <-f.sh.taken:
	case <-alarm:
	case <-ctx.Done():
	}
	return pushed{}
}

// poll makes a call of GetRecords for somebody who waits. It does not wait for
// memory, which the records hold that are waited for, and goes beyond the limit by
// one answer at most.
func (f *fetcher) poll(ctx context.Context) (end bool, err error) {
	const reserved = leastAnswer
	if !f.s.budget.overdraw(reserved) {
		f.earliest = f.s.cfg.Now().Add(f.s.pace.gap())
		return false, nil
	}
	p := f.s.pages.Get().(*page)
	if err = f.fetch(ctx, p); err != nil {
		p.reset()
	}
	f.s.budget.correct(p.cost() - reserved)
	if err != nil {
		f.s.free(p)
		return false, err
	}
	f.succeeded()
	return f.deliver(ctx, p), nil
}

func (f *fetcher) succeeded() {
	if f.failures > 0 {
		f.failures = 0
		f.s.health.succeeded(f.sh.id)
	}
}

// take queues an event's records.
func (f *fetcher) take(ctx context.Context, sub *subscription, p *page) (end bool, err error) {
	if p.next == "" && len(p.children) == 0 {
		// It should be the shard's end, of which nobody says what follows.
		if p.next, err = f.endOrNot(ctx); err != nil {
			f.s.free(p)
			return false, err
		}
	} else if len(p.children) > 0 {
		p.next = ""
	}
	sub.taken++
	f.accept(p, sub.sent)
	p.seen = p.readThrough(f.s.cfg.Now())
	f.iterator, f.goOn = "", p.next
	f.succeeded()
	return f.deliver(ctx, p), nil
}

// endOrNot is empty if the shard is closed, and else where to go on.
func (f *fetcher) endOrNot(ctx context.Context) (string, error) {
	list, err := f.s.listShards(ctx)
	if err != nil {
		return "", err
	}
	i := slices.IndexFunc(list, func(info shardInfo) bool { return info.id == f.sh.id })
	if i < 0 || list[i].closed {
		return "", nil
	}
	return f.position(), nil
}

// position is the sequence number behind which to go on; empty when nothing has
// come yet.
func (f *fetcher) position() string {
	if f.after != "" && sequenceLess(f.goOn, []byte(f.after)) {
		return f.after // by GetRecords
	}
	return f.goOn
}

// renew says when to subscribe again after a subscription has ended. It returns
// the error if that is trouble: that one breaks is none, unless the one before
// has given nothing either.
func (f *fetcher) renew(sub *subscription, err error) error {
	f.next = f.s.pace.resubscribe(sub.sent, f.s.cfg.Now(), errors.Is(err, io.EOF))
	if f.barren++; sub.taken > 0 {
		f.barren = 0
	}
	if errors.Is(err, io.EOF) || f.barren <= 1 && errorCode(err) != resourceInUse {
		return nil
	}
	if errorCode(err) == resourceInUse {
		// Somebody has taken the shard over. That is told at once, since it is
		// taken back, and nothing would show who reads against whom.
		f.s.health.failed(f.sh.id, explain(f.s.cfg, "read shard "+f.sh.id+" by consumer "+f.s.consumer.String(), err))
	}
	return err
}

// subscribe begins a subscription.
func (f *fetcher) subscribe(ctx context.Context) (*subscription, error) {
	s := f.s
	until, err := f.overdue(s.cfg.Now())
	if err != nil {
		return nil, err
	}
	f.until = until
	if f.consumer, err = s.consumerARN(ctx, f.id, ""); err != nil {
		return nil, err
	}
	start := &types.StartingPosition{Type: types.ShardIteratorTypeTrimHorizon}
	switch after := f.position(); {
	case after != "":
		start.Type, start.SequenceNumber = types.ShardIteratorTypeAfterSequenceNumber, &after
	case f.at > 0:
		start.Type, start.Timestamp = types.ShardIteratorTypeAtTimestamp, aws.Time(time.UnixMilli(f.at).UTC())
	}
	ctx, cancel := context.WithCancelCause(ctx)
	sub := &subscription{sent: s.cfg.Now(), cancel: cancel, events: make(chan pushed), dropped: make(chan struct{}), ended: make(chan struct{})}
	unanswered := time.AfterFunc(s.timeout, func() { cancel(context.DeadlineExceeded) })
	var body io.ReadCloser
	_, err = s.client.SubscribeToShard(ctx, &kinesis.SubscribeToShardInput{ConsumerARN: &f.consumer, ShardId: &f.sh.id, StartingPosition: start}, once, takeBody(&body))
	unanswered.Stop()
	if err != nil {
		if errors.Is(context.Cause(ctx), context.DeadlineExceeded) {
			err = fmt.Errorf("subscribe: %w", context.DeadlineExceeded)
		}
		cancel(nil)
		if errorCode(err) == invalidArgument && f.goOn == "" && f.after != "" {
			err = &unknownSequenceError{err}
		}
		return nil, err
	}
	go func() {
		defer close(sub.ended)
		defer func() { _ = body.Close() }() // what it says is of no use
		sub.read(ctx, s, body)
	}()
	return sub, nil
}

// takeBody leaves the events of a call to who calls, in place of the SDK's
// reader, which makes several objects of each record.
func takeBody(body *io.ReadCloser) func(*kinesis.Options) {
	take := middleware.DeserializeMiddlewareFunc("TakeBody", func(ctx context.Context, in middleware.DeserializeInput, next middleware.DeserializeHandler) (middleware.DeserializeOutput, middleware.Metadata, error) {
		out, metadata, err := next.HandleDeserialize(ctx, in)
		resp, ok := out.RawResponse.(*smithyhttp.Response)
		switch {
		case err != nil:
			if ok {
				_ = resp.Body.Close() // err is what counts
			}
		case !ok:
			err = fmt.Errorf("answer of type %T", out.RawResponse)
		default:
			*body = resp.Body
		}
		return out, metadata, err
	})
	return func(o *kinesis.Options) {
		o.APIOptions = append(slices.Clip(o.APIOptions), func(stack *middleware.Stack) error {
			_, err := stack.Deserialize.Swap("OperationEventStreamDeserializer", take)
			return err
		})
	}
}

var errSilent = errors.New("the subscription has fallen silent")

// read reads events until the subscription ends.
func (sub *subscription) read(ctx context.Context, s *source, body io.Reader) {
	silent := time.AfterFunc(s.silence, func() { sub.cancel(errSilent) })
	defer silent.Stop()
	in := bufio.NewReaderSize(body, readAhead)
	decoder := eventstream.NewDecoder()
	for {
		silent.Reset(s.silence)
		p, err := s.nextEvent(ctx, in, decoder, silent)
		silent.Stop()
		if cause := context.Cause(ctx); err != nil && cause != nil {
			err = cause
		}
		if p == nil && err == nil {
			continue
		}
		select {
		case sub.events <- pushed{p, err}:
			if err != nil {
				return
			}
		case <-sub.dropped:
			if p != nil {
				s.free(p)
			}
			return
		}
	}
}

// nextEvent reads one message; the page is nil if it is no event with records.
func (s *source) nextEvent(ctx context.Context, in *bufio.Reader, decoder *eventstream.Decoder, silent *time.Timer) (*page, error) {
	// A message begins with its length, so that memory is asked for when there is
	// something to read (https://smithy.io/2.0/aws/amazon-eventstream.html).
	prelude, err := in.Peek(4)
	if err != nil {
		if errors.Is(err, io.EOF) && len(prelude) > 0 {
			err = io.ErrUnexpectedEOF
		}
		return nil, err
	}
	size := int(binary.BigEndian.Uint32(prelude))
	if size > maxEventBytes {
		return nil, fmt.Errorf("an event of %d bytes is larger than %d", size, maxEventBytes)
	}
	silent.Stop()
	if err := s.budget.reserve(ctx, size); err != nil {
		return nil, err
	}
	silent.Reset(s.silence)
	p := s.pages.Get().(*page)
	p.reset()
	if need := size + 512; cap(p.body) < need { // the decoder looks behind the end
		p.body = make([]byte, 0, need)
	}
	message, err := decoder.Decode(in, p.body[:0])
	if errors.Is(err, io.EOF) {
		err = io.ErrUnexpectedEOF
	}
	isEvent := false
	if err == nil {
		p.body = message.Payload
		if isEvent, err = classify(message); isEvent && err == nil {
			err = p.scan()
		}
	}
	if err != nil || !isEvent {
		p.reset()
	}
	s.budget.correct(p.cost() - size)
	if err != nil || !isEvent {
		s.free(p)
		return nil, err
	}
	return p, nil
}

// classify tells events with records from others, which mean nothing, such as the
// first, and from errors.
func classify(m eventstream.Message) (isEvent bool, err error) {
	header := func(name string) string {
		v, _ := m.Headers.Get(name).(eventstream.StringValue)
		return string(v)
	}
	switch header(eventstream.MessageTypeHeader) {
	case eventstream.EventMessageType:
		return header(eventstream.EventTypeHeader) == "SubscribeToShardEvent", nil
	case eventstream.ExceptionMessageType:
		var said struct{ Message string }
		_ = json.Unmarshal(m.Payload, &said) // the name says enough
		return false, &smithy.GenericAPIError{Code: header(eventstream.ExceptionTypeHeader), Message: said.Message}
	case eventstream.ErrorMessageType:
		return false, &smithy.GenericAPIError{Code: header(eventstream.ErrorCodeHeader), Message: header(eventstream.ErrorMessageHeader)}
	}
	return false, nil
}
