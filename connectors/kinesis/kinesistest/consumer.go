package kinesistest

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"strings"
	"time"

	"github.com/aws/smithy-go/eventstream"
)

const (
	subscriptionLife = 5 * time.Minute
	heartbeat        = 5 * time.Second
	// takeOver is how long a subscription cannot be taken over when limits are
	// enforced.
	takeOver      = 5 * time.Second
	maxEventBytes = 1 << 20
	maxConsumers  = 20
)

// consumer is a registered consumer of a stream.
type consumer struct {
	name, arn string
	created   time.Time
	creating  int                    // how often it is still described as being made
	shards    map[string]*subscriber // by shard
}

// subscriber is a subscription to a shard.
type subscriber struct {
	stream   string
	number   int // of the stream
	consumer *consumer
	shard    string
	after    int64
	began    time.Time
	over     chan struct{} // closed when it has been taken over, or the consumer is gone
	why      error         // then
}

// SetSubscriptionLife sets after how long subscriptions end that are made from
// now on.
func (s *Server) SetSubscriptionLife(d time.Duration) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.life = d
}

// SetConsumerCreation sets how often new consumers are described as CREATING
// before they are ACTIVE.
func (s *Server) SetConsumerCreation(looks int) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.creating = looks
}

// Consumers lists the names of a stream's consumers.
func (s *Server) Consumers(stream string) (names []string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	for _, c := range s.streams[stream].consumers {
		names = append(names, c.name)
	}
	return names
}

// Subscriptions is how many there are now.
func (s *Server) Subscriptions() int {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.subscribed
}

// notify tells subscriptions to look. The caller holds mu.
func (s *Server) notify() {
	if s.subscribed > 0 {
		close(s.changed)
		s.changed = make(chan struct{})
	}
}

type consumerInput struct{ StreamARN, ConsumerName, ConsumerARN string }

// consumer finds a consumer by its ARN, or its name.
func (s *Server) consumer(in *consumerInput) (*stream, *consumer, error) {
	arn := in.StreamARN
	if in.ConsumerARN != "" {
		arn, _, _ = strings.Cut(in.ConsumerARN, "/consumer/")
	}
	st, err := s.stream(named{StreamARN: arn})
	if err != nil {
		return nil, nil, err
	}
	for _, c := range st.consumers {
		if c.arn == in.ConsumerARN || in.ConsumerARN == "" && c.name == in.ConsumerName {
			return st, c, nil
		}
	}
	return st, nil, fail(notFound, "Consumer %s%s not found.", in.ConsumerName, in.ConsumerARN)
}

func (c *consumer) describe(st *stream) map[string]any {
	status := "ACTIVE"
	if c.creating > 0 {
		status = "CREATING"
	}
	return map[string]any{
		"ConsumerName": c.name, "ConsumerARN": c.arn, "ConsumerStatus": status, "StreamARN": st.arn(),
		"ConsumerCreationTimestamp": json.RawMessage(seconds(c.created)),
	}
}

func (s *Server) registerConsumer(in *consumerInput) (any, error) {
	st, c, err := s.consumer(&consumerInput{StreamARN: in.StreamARN, ConsumerName: in.ConsumerName})
	switch {
	case c != nil:
		return nil, fail(inUse, "Consumer %s already exists.", in.ConsumerName)
	case st == nil:
		return nil, err
	case len(st.consumers) >= maxConsumers:
		return nil, fail("LimitExceededException", "the stream has %d consumers", maxConsumers)
	}
	s.created++
	c = &consumer{name: in.ConsumerName, created: s.now(), creating: s.creating, shards: map[string]*subscriber{}}
	c.arn = fmt.Sprintf("%s/consumer/%s:%d", st.arn(), c.name, c.created.Unix()+int64(s.created))
	st.consumers = append(st.consumers, c)
	return map[string]any{"Consumer": c.describe(st)}, nil
}

func (s *Server) describeConsumer(in *consumerInput) (any, error) {
	st, c, err := s.consumer(in)
	if err != nil {
		return nil, err
	}
	description := c.describe(st)
	c.creating--
	return map[string]any{"ConsumerDescription": description}, nil
}

func (s *Server) deregisterConsumer(in *consumerInput) (any, error) {
	st, c, err := s.consumer(in)
	if err != nil {
		return nil, err
	}
	for i := range st.consumers {
		if st.consumers[i] == c {
			st.consumers = append(st.consumers[:i:i], st.consumers[i+1:]...)
			break
		}
	}
	for _, sub := range c.shards {
		sub.end(fail(notFound, "Consumer %s not found.", c.arn))
	}
	return nil, nil
}

func (sub *subscriber) end(why error) {
	if sub.why == nil {
		sub.why = why
		close(sub.over)
	}
}

type subscribeInput struct {
	ConsumerARN      string
	ShardID          string `json:"ShardId"`
	StartingPosition struct {
		Type           string
		SequenceNumber string
		Timestamp      *float64
	}
}

func (s *Server) subscribe(in *subscribeInput) (any, error) {
	st, c, err := s.consumer(&consumerInput{ConsumerARN: in.ConsumerARN})
	if err != nil {
		return nil, err
	}
	if c.creating > 0 {
		return nil, fail(inUse, "Consumer %s is not active.", c.arn)
	}
	sh := st.shard(in.ShardID)
	if sh == nil {
		return nil, fail(notFound, "Shard %s in stream %s under account %s does not exist", in.ShardID, st.name, Account)
	}
	sub := &subscriber{stream: st.name, number: st.number, consumer: c, shard: sh.id, began: s.now(), over: make(chan struct{})}
	at := in.StartingPosition
	if sub.after, err = s.place(st, sh, at.Type, at.SequenceNumber, at.Timestamp); err != nil {
		return nil, err
	}
	if before := c.shards[sh.id]; before != nil {
		if s.enforce && sub.began.Sub(before.began) < takeOver {
			return nil, fail(inUse, "Another active subscription exists for this consumer: %s", c.arn)
		}
		before.end(fail(inUse, "Another subscription has taken over."))
	}
	c.shards[sh.id] = sub
	s.subscribed++
	return sub, nil
}

// push answers a call of SubscribeToShard.
func (s *Server) push(w http.ResponseWriter, r *http.Request, body []byte, sub *subscriber) {
	defer func() {
		s.mu.Lock()
		defer s.mu.Unlock()
		s.subscribed--
		if sub.consumer.shards[sub.shard] == sub {
			delete(sub.consumer.shards, sub.shard)
		}
	}()
	w.Header().Set("Content-Type", "application/vnd.amazon.eventstream")
	encoder := eventstream.NewEncoder()
	send := func(kind, name string, payload []byte, cut bool) {
		typeHeader := eventstream.EventTypeHeader
		if kind == eventstream.ExceptionMessageType {
			typeHeader = eventstream.ExceptionTypeHeader
		}
		var m eventstream.Message
		m.Headers.Set(eventstream.MessageTypeHeader, eventstream.StringValue(kind))
		m.Headers.Set(typeHeader, eventstream.StringValue(name))
		m.Headers.Set(eventstream.ContentTypeHeader, eventstream.StringValue("application/json"))
		m.Payload = payload
		var b bytes.Buffer
		if err := encoder.Encode(&b, m); err != nil {
			panic(err) // names that are too long
		}
		if cut {
			b.Truncate(b.Len() / 2)
		}
		_, _ = w.Write(b.Bytes()) // the client may have gone, which the context tells
		w.(http.Flusher).Flush()
		if cut {
			panic(http.ErrAbortHandler)
		}
	}
	fault := func(err error) {
		e, ok := errors.AsType[*apiError](err)
		if !ok {
			return // errEnd
		}
		payload, err := json.Marshal(map[string]string{"message": e.message})
		if err != nil {
			panic(err) // a text
		}
		send(eventstream.ExceptionMessageType, e.code, payload, false)
	}
	send(eventstream.EventMessageType, "initial-response", []byte("{}"), false)
	s.mu.Lock()
	life := time.NewTimer(s.life)
	s.mu.Unlock()
	defer life.Stop()
	for first := true; ; first = false {
		page, changed, err := s.nextEvent(sub)
		if err != nil {
			fault(err)
			return
		}
		if len(page.records) == 0 && !page.end && !first {
			beat := time.NewTimer(heartbeat)
			select {
			case <-r.Context().Done():
				beat.Stop()
				return
			case <-sub.over:
				beat.Stop()
				fault(sub.why)
				return
			case <-life.C:
				beat.Stop()
				return
			case <-changed:
				beat.Stop()
				continue
			case <-beat.C:
			}
		}
		select {
		case <-r.Context().Done():
			return
		case <-sub.over:
			fault(sub.why)
			return
		case <-life.C:
			return
		default:
		}
		switch err := s.fault(r.Context(), "SubscribeToShardEvent", body); {
		case errors.Is(err, errCut):
			send(eventstream.EventMessageType, "SubscribeToShardEvent", page.encode(), true)
		case errors.Is(err, errEnd):
			return
		case err != nil:
			fault(err)
			return
		}
		send(eventstream.EventMessageType, "SubscribeToShardEvent", page.encode(), false)
		if page.end {
			return
		}
	}
}

// nextEvent is what follows for a subscription, and what is closed when there may
// be more.
func (s *Server) nextEvent(sub *subscriber) (*recordsPage, <-chan struct{}, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	st, err := s.stream(named{StreamName: sub.stream})
	if err != nil {
		return nil, nil, err
	}
	sh := st.shard(sub.shard)
	if sh == nil || st.number != sub.number {
		return nil, nil, fail(notFound, "Shard %s in stream %s under account %s does not exist", sub.shard, sub.stream, Account)
	}
	page, _ := s.page(st, sh, sub.after, maxRecords, maxEventBytes)
	page.event = true
	if n := len(page.records); n > 0 {
		sub.after = page.records[n-1].sequence
	}
	if page.behind == 0 {
		// All of the stream's numbers so far, whichever shard's they are.
		sub.after = s.sequence
	}
	if !page.end {
		page.next = st.sequenceText(sub.after)
	}
	return page, s.changed, nil
}

// Register registers a consumer and returns its ARN.
func (s *Server) Register(stream, consumer string) (arn string, err error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	out, err := s.registerConsumer(&consumerInput{StreamARN: s.streams[stream].arn(), ConsumerName: consumer})
	if err != nil {
		return "", err
	}
	return out.(map[string]any)["Consumer"].(map[string]any)["ConsumerARN"].(string), nil
}

// Deregister takes a consumer away.
func (s *Server) Deregister(stream, consumer string) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	_, err := s.deregisterConsumer(&consumerInput{StreamARN: s.streams[stream].arn(), ConsumerName: consumer})
	return err
}

// EndSubscriptions ends all subscriptions, as when their time is over.
func (s *Server) EndSubscriptions() {
	s.mu.Lock()
	defer s.mu.Unlock()
	for _, st := range s.streams {
		for _, c := range st.consumers {
			for _, sub := range c.shards {
				sub.end(errEnd)
			}
		}
	}
}
