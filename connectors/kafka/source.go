package kafka

import (
	"context"
	"fmt"
	"slices"
	"strconv"
	"sync"
	"sync/atomic"
	"time"

	"github.com/twmb/franz-go/pkg/kadm"
	"github.com/twmb/franz-go/pkg/kgo"

	"github.com/leatdb/leat/connectors"
	"github.com/leatdb/leat/sql/sqlerror"
)

// source reads a topic for one stream with one client.
//
// No goroutine is its own: a lane that finds nothing to take becomes the leader
// that polls the client for all lanes, while the client fetches ahead. The
// leader polls only when all queues are empty, so that at any time there is one
// poll's worth of records in the queues and one fetch for each broker in the
// client. Fetches are limited to prefetch_bytes / (16 × brokers), before
// decompression; a single batch of the topic that is larger is fetched whole.
// The records stay in the memory of the answers (fetches), which is used again.
type source struct {
	cfg       connectors.SourceConfig
	topic     string
	start     startAt
	bounded   bool
	committed bool // isolation is read_committed
	timeout   time.Duration
	client    *kgo.Client
	admin     *kadm.Client
	health    *health
	lanes     []laneBuffers
	fetches   *fetches
	probeIn   time.Duration // the leader's: how long it waits before a probe

	mu         sync.Mutex
	id         string // the topic's, once known
	partitions map[int32]*partition
	order      []*partition // by number
	unfinished int          // partitions that are not at their stop
	overrides  map[int32]position
	missing    map[int32]bool // known partitions that do not exist

	leading    bool               // somebody polls the client
	leadWanted int                // how many wait to lead instead of a lane
	interrupt  context.CancelFunc // of the poll that goes on
	wake       chan struct{}      // closed when lanes that wait should look again

	lost      []connectors.DataLoss
	bytesRead atomic.Int64
	newest    time.Time
}

// partition is a split.
type partition struct {
	number int32
	split  string
	stop   int64 // −1 when there is none

	offset  int64 // of the next record to hand out
	epoch   int32 // of the record before, −1 if unknown
	topicID string

	queue   []recordBatch // fetched and not yet handed out
	filling bool          // a lane makes a chunk of what the queue begins with
	clears  int           // how often the queue was dropped
	next    int64         // offset behind what was fetched
	end     int64         // where the partition ends, as far as known; −1
	want    int64         // an offset that a flush waits for

	fetching bool // the client has been told to fetch it
	broken   bool // its offset is out of range
	gone     bool // it does not exist any more
}

func (p *partition) finished() bool { return p.gone || p.stop >= 0 && p.offset >= p.stop }

func (p *partition) position() position {
	pos := position{TopicID: p.topicID, Offset: p.offset}
	if p.epoch >= 0 {
		pos.Epoch = &p.epoch
	}
	if p.stop >= 0 {
		pos.Stop = &p.stop
	}
	return pos
}

func newSource(cfg connectors.SourceConfig) (*source, error) {
	cfg = cfg.WithDefaults()
	o := cfg.Options
	start, err := parseStart(o.String("start"))
	if err != nil {
		return nil, sqlerror.As(err).About("source " + cfg.Name)
	}
	opts, err := clientOptions(cfg)
	if err != nil {
		return nil, err
	}
	s := &source{
		cfg: cfg, topic: o.String("topic"), start: start,
		bounded:    o.String("stop") == "latest",
		committed:  o.String("isolation") != "read_uncommitted",
		timeout:    o.Duration("connect_timeout"),
		lanes:      make([]laneBuffers, cfg.Lanes),
		partitions: map[int32]*partition{},
		overrides:  map[int32]position{},
		missing:    map[int32]bool{},
		wake:       make(chan struct{}),
	}
	s.health = &health{
		now: cfg.Now, retrying: cfg.Retrying, failing: map[int32]failure{},
		explain: func(err error) error { return explain(cfg, "connect", err) },
	}
	dial, err := dialer(o)
	if err != nil {
		return nil, err
	}
	s.fetches = newFetches(cfg.PrefetchBytes / 2)
	for i := range s.lanes {
		s.lanes[i].decompressor.most = mostInflated
	}
	isolation := kgo.ReadUncommitted()
	if s.committed {
		isolation = kgo.ReadCommitted()
	}
	most, each := fetchBytes(cfg.PrefetchBytes, 1, 1)
	opts = append(opts,
		kgo.WithHooks(s.health),
		kgo.WithLogger(clientLogger{cfg.Logger}),
		kgo.ConsumeResetOffset(kgo.NoResetOffset()), // what is lost is for us to say
		kgo.FetchIsolationLevel(isolation),
		kgo.KeepControlRecords(), // they tell how far a partition was read
		kgo.FetchMaxWait(o.Duration("fetch_max_wait")),
		kgo.FetchMinBytes(int32(o.Size("fetch_min_bytes"))),
		kgo.FetchMaxBytes(most),
		kgo.FetchMaxPartitionBytes(each),
		kgo.Dialer(s.fetches.dial(dial)),
	)
	if rack := o.String("rack"); rack != "" {
		opts = append(opts, kgo.Rack(rack))
	}
	if s.client, err = kgo.NewClient(opts...); err != nil {
		return nil, sqlerror.Userf(sqlerror.CodeBadOption, "%w", err).About("source " + cfg.Name)
	}
	s.admin = kadm.NewClient(s.client)
	return s, nil
}

// fetchBytes is how much a broker may send at a time, in all and for each of so many
// partitions. Brokers cut the last batch of a partition off where its limit is, and what
// is cut off is sent again; a batch that is larger than the limit of its partition comes
// alone and whole. So the limit is rather small where there are many partitions.
func fetchBytes(prefetch, brokers, partitions int) (most, each int32) {
	const least, largest, leastEach = 256 << 10, 48 << 20, 512 << 10
	brokers = max(1, brokers)
	n := min(largest, max(least, prefetch/(16*brokers)))
	perBroker := max(1, (partitions+brokers-1)/brokers)
	return int32(n), int32(min(n, max(leastEach, n/(2*perBroker))))
}

// clientLogger gives what the client has to say to the log.
type clientLogger struct{ log connectors.Logger }

func (clientLogger) Level() kgo.LogLevel { return kgo.LogLevelWarn }

func (l clientLogger) Log(_ kgo.LogLevel, msg string, keyvals ...any) {
	l.log.Debug("kafka client: "+msg, keyvals...)
}

func (s *source) Bounded() bool { return s.bounded }

// listEnds asks where the partitions end for a reader of our isolation.
func (s *source) listEnds(ctx context.Context, partitions []int32) (offsets, error) {
	if s.committed {
		listed, err := s.admin.ListCommittedOffsets(ctx, s.topic)
		return take(listed, err, s.topic, partitions)
	}
	return s.listHighs(ctx, partitions)
}

func (s *source) listHighs(ctx context.Context, partitions []int32) (offsets, error) {
	listed, err := s.admin.ListEndOffsets(ctx, s.topic)
	return take(listed, err, s.topic, partitions)
}

func (s *source) listStarts(ctx context.Context, partitions []int32) (offsets, error) {
	listed, err := s.admin.ListStartOffsets(ctx, s.topic)
	return take(listed, err, s.topic, partitions)
}

// failed makes an error of a question to the brokers.
func (s *source) failed(ctx context.Context, act string, err error) error {
	if cause := s.health.last(); cause != nil && ctx.Err() != nil {
		err = fmt.Errorf("%w: %w", err, cause)
	}
	return explain(s.cfg, act, err)
}

func (s *source) Splits(ctx context.Context, first bool, known connectors.Positions) ([]connectors.Split, error) {
	ctx, cancel := context.WithTimeout(ctx, s.timeout)
	defer cancel()
	m, err := fetchMetadata(ctx, s.client, s.topic)
	if err != nil {
		return nil, s.failed(ctx, "look up topic "+s.topic, err)
	}
	s.client.UpdateFetchMaxBytes(fetchBytes(s.cfg.PrefetchBytes, m.brokers, len(m.partitions)))
	slices.Sort(m.partitions)
	if first {
		return s.firstSplits(ctx, m)
	}
	if err := s.checkTopic(ctx, m); err != nil {
		return nil, err
	}
	return s.moreSplits(ctx, m, known)
}

// firstSplits resolves the start and stop options.
func (s *source) firstSplits(ctx context.Context, m metadata) ([]connectors.Split, error) {
	var starts, stops offsets
	var err error
	switch {
	case s.start.latest:
		starts, err = s.listEnds(ctx, m.partitions)
	case s.start.millis >= 0:
		listed, listErr := s.admin.ListOffsetsAfterMilli(ctx, s.start.millis, s.topic)
		starts, err = take(listed, listErr, s.topic, m.partitions)
	default:
		starts, err = s.listStarts(ctx, m.partitions)
	}
	if err == nil && s.bounded {
		stops, err = s.listEnds(ctx, m.partitions)
	}
	if err != nil {
		return nil, s.failed(ctx, "ask where topic "+s.topic+" begins", err)
	}
	splits := make([]connectors.Split, 0, len(m.partitions))
	for _, p := range m.partitions {
		pos := position{TopicID: m.id, Offset: starts[p]}
		if s.bounded {
			stop := max(starts[p], stops[p])
			pos.Stop = &stop
		}
		splits = append(splits, connectors.Split{ID: splitID(p), Start: pos.encode()})
	}
	return splits, nil
}

func splitID(partition int32) string { return strconv.Itoa(int(partition)) }

func partitionOf(split string) (int32, error) {
	n, err := strconv.ParseInt(split, 10, 32)
	if err != nil || n < 0 {
		return 0, &sqlerror.Error{Code: sqlerror.CodeState, Kind: sqlerror.Internal, Message: fmt.Sprintf("split %q is no partition", split)}
	}
	return int32(n), nil
}

// moreSplits compares the committed positions that are not assigned yet with
// what the topic holds, and finds new partitions.
func (s *source) moreSplits(ctx context.Context, m metadata, known connectors.Positions) ([]connectors.Split, error) {
	s.mu.Lock()
	news := slices.DeleteFunc(slices.Clone(m.partitions), func(p int32) bool { return s.partitions[p] != nil })
	s.mu.Unlock()
	var starts, highs offsets
	if len(news) > 0 {
		var err error
		if starts, err = s.listStarts(ctx, news); err == nil {
			highs, err = s.listHighs(ctx, news)
		}
		if err != nil {
			return nil, s.failed(ctx, "ask where topic "+s.topic+" begins", err)
		}
	}
	var splits []connectors.Split
	for _, p := range m.partitions {
		at, isKnown := known[splitID(p)]
		start := position{TopicID: m.id, Offset: starts[p]}
		switch {
		case !slices.Contains(news, p) || isKnown && at == "":
			splits = append(splits, connectors.Split{ID: splitID(p), Start: start.encode()})
		case isKnown:
			splits = append(splits, connectors.Split{ID: splitID(p), Start: start.encode()})
			if err := s.compare(p, at, m.id, starts[p], highs[p]); err != nil {
				return nil, err
			}
		case !s.bounded:
			splits = append(splits, connectors.Split{ID: splitID(p), Start: start.encode()})
		}
	}
	for split, at := range known {
		p, err := partitionOf(split)
		if err != nil {
			return nil, err
		}
		if slices.Contains(m.partitions, p) {
			continue
		}
		pos, err := parsePosition(split, at)
		if err != nil {
			return nil, err
		}
		s.mu.Lock()
		noted := s.partitions[p] != nil || s.missing[p]
		s.missing[p] = true
		s.mu.Unlock()
		if noted || pos.finished() {
			continue
		}
		if err := s.lose(connectors.DataLoss{Split: split, From: at, Records: -1, Reason: "the topic no longer has the partition"}); err != nil {
			return nil, err
		}
	}
	return splits, nil
}

// compare finds out whether what a position says is still there.
func (s *source) compare(p int32, at connectors.Position, id string, start, high int64) error {
	pos, err := parsePosition(splitID(p), at)
	if err != nil {
		return err
	}
	if pos.finished() {
		return nil
	}
	loss := connectors.DataLoss{Split: splitID(p), From: at, Records: -1}
	next := position{TopicID: id, Stop: pos.Stop}
	switch {
	case !sameTopic(pos.TopicID, id):
		loss.Reason = "the topic was deleted and created again"
		next.Offset = start
		if pos.Stop != nil {
			next.Offset = *pos.Stop
		}
	case pos.Offset < start:
		loss.Reason = fmt.Sprintf("the brokers have removed the records before offset %d", start)
		loss.Records = start - pos.Offset
		next.Offset = start
	case pos.Offset > high:
		loss.Reason = fmt.Sprintf("the partition ends at offset %d, before what was read", high)
		next.Offset = high
	default:
		return nil
	}
	loss.To = next.encode()
	if err := s.lose(loss); err != nil {
		return err
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	s.overrides[p] = next
	return nil
}

// lose notes a loss, or returns it as an error.
func (s *source) lose(loss connectors.DataLoss) error {
	if !s.cfg.SkipsDataLoss() {
		return connectors.NewDataLossError(loss)
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	s.lost = append(s.lost, loss)
	return nil
}

func (s *source) TakeDataLoss() []connectors.DataLoss {
	s.mu.Lock()
	defer s.mu.Unlock()
	lost := s.lost
	s.lost = nil
	return lost
}

func (s *source) Assign(_ context.Context, positions connectors.Positions) error {
	add := map[int32]kgo.Offset{}
	s.mu.Lock()
	for split, at := range positions {
		number, err := partitionOf(split)
		if err == nil && s.partitions[number] != nil {
			continue
		}
		var pos position
		if err == nil {
			pos, err = parsePosition(split, at)
		}
		if err != nil {
			s.mu.Unlock()
			return err
		}
		if next, ok := s.overrides[number]; ok {
			pos = next
			delete(s.overrides, number)
		}
		if s.id == "" {
			s.id = pos.TopicID
		}
		p := &partition{
			number: number, split: split, stop: -1, offset: pos.Offset, epoch: -1,
			topicID: pos.TopicID, next: pos.Offset, end: -1, gone: s.missing[number],
		}
		if pos.Epoch != nil {
			p.epoch = *pos.Epoch
		}
		if pos.Stop != nil {
			p.stop = *pos.Stop
		}
		s.partitions[number] = p
		s.order = append(s.order, p)
		if p.finished() {
			continue
		}
		s.unfinished++
		p.fetching = true
		add[number] = p.startAt(at == "")
	}
	slices.SortFunc(s.order, func(a, b *partition) int { return int(a.number) - int(b.number) })
	s.wakeAll()
	s.mu.Unlock()
	if len(add) > 0 {
		s.client.AddConsumePartitions(map[string]map[int32]kgo.Offset{s.topic: add})
	}
	return nil
}

// startAt is where the client begins to fetch.
func (p *partition) startAt(beginning bool) kgo.Offset {
	if beginning {
		return kgo.NewOffset().AtStart()
	}
	return kgo.NewOffset().At(p.offset).WithEpoch(p.epoch)
}

func (s *source) wakeAll() {
	close(s.wake)
	s.wake = make(chan struct{})
}

func (s *source) Positions() connectors.Positions {
	s.mu.Lock()
	defer s.mu.Unlock()
	positions := make(connectors.Positions, len(s.order))
	for _, p := range s.order {
		positions[p.split] = p.position().encode()
	}
	return positions
}

// Ends lists where the partitions end for a reader of our isolation.
func (s *source) Ends(ctx context.Context) (connectors.Positions, error) {
	ctx, cancel := context.WithTimeout(ctx, s.timeout)
	defer cancel()
	m, err := fetchMetadata(ctx, s.client, s.topic)
	var starts, ends offsets
	if err == nil {
		if ends, err = s.listEnds(ctx, m.partitions); err == nil {
			starts, err = s.listStarts(ctx, m.partitions)
		}
	}
	if err != nil {
		return nil, s.failed(ctx, "ask where topic "+s.topic+" ends", err)
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	positions := connectors.Positions{}
	for number, end := range ends {
		p := s.partitions[number]
		switch {
		case p == nil && (s.bounded || end <= starts[number]):
			continue
		case p != nil && p.stop >= 0:
			end = min(end, p.stop)
		}
		if p != nil {
			p.want = max(p.want, end)
		}
		positions[splitID(number)] = position{TopicID: m.id, Offset: end}.encode()
	}
	if s.interrupt != nil {
		s.interrupt() // the leader has to know what is waited for
	}
	return positions, nil
}

func (s *source) Reached(split string, at, end connectors.Position) bool {
	want, err := parsePosition(split, end)
	if err != nil || at == "" {
		return false
	}
	pos, err := parsePosition(split, at)
	if err != nil {
		return false
	}
	if !sameTopic(pos.TopicID, want.TopicID) {
		// One of them is of a topic that was deleted since. When it is the end,
		// nothing of it is left to wait for.
		s.mu.Lock()
		defer s.mu.Unlock()
		return pos.TopicID == s.id
	}
	return pos.Offset >= want.Offset
}

func (s *source) Progress() connectors.Progress {
	s.mu.Lock()
	defer s.mu.Unlock()
	progress := connectors.Progress{BytesRead: s.bytesRead.Load(), BytesTotal: -1, Behind: s.newest, Splits: len(s.order)}
	for _, p := range s.order {
		end := p.end
		if p.stop >= 0 {
			end = p.stop
		}
		switch {
		case p.finished():
			progress.Finished++
		case end < 0:
			progress.Lag = -1
		case progress.Lag >= 0:
			progress.Lag += max(0, end-p.offset)
		}
	}
	return progress
}

func (s *source) Close() error {
	s.health.close()
	s.fetches.sleep(false)
	// An update of the client's metadata may start fetches while Close, unguarded,
	// looks at their sessions; without partitions there is nothing to start.
	numbers := make([]int32, 0, len(s.order))
	for _, p := range s.order {
		numbers = append(numbers, p.number)
	}
	s.client.RemoveConsumePartitions(map[string][]int32{s.topic: numbers})
	s.client.Close()
	for i := range s.lanes {
		s.lanes[i].decompressor.close()
	}
	return nil
}
