package kinesis_test

import (
	"context"
	"math/rand/v2"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/leatdb/leat/connectors"
	"github.com/leatdb/leat/connectors/kinesis/kinesistest"
)

// Twenty splits and merges while records are written, and a reader that is ended
// twenty times and goes on from positions that were committed at some time
// before: what it read since then is forgotten with it. It is away for minutes, in
// which shards go on, and now and then for most of the day for which records are
// kept, so that shards which it has read expire, while it is away and while it
// reads. Nothing is lost, nothing comes twice, and, seen by one lane, no record
// comes before those of the shards before its own.
func TestSource_ReshardStorm(t *testing.T) {
	eachWay(t, func(t *testing.T, way ...string) {
		seeds := uint64(4)
		if way != nil {
			seeds = 2
		}
		for seed := range seeds {
			t.Run(strconv.FormatUint(seed, 10), func(t *testing.T) {
				storm(t, rand.New(rand.NewPCG(seed, 42)), 1+2*int(seed%2), way...)
			})
		}
	})
}

func storm(t *testing.T, random *rand.Rand, lanes int, way ...string) {
	const reshards, restarts, each = 20, 20, 150
	s := server(t)
	var ahead atomic.Int64 // of the wall clock
	now := func() time.Time { return time.Now().Add(time.Duration(ahead.Load())) }
	s.SetClock(now)
	s.CreateStream("trips", 3)
	s.Inject(kinesistest.Fault{Operation: "GetRecords", Every: 37, Code: "ProvisionedThroughputExceededException"})
	s.Inject(kinesistest.Fault{Operation: "GetRecords", Every: 11, Code: "ExpiredIteratorException"})
	s.Inject(kinesistest.Fault{Operation: "GetRecords", Every: 53, Cut: true})
	s.Inject(kinesistest.Fault{Operation: "GetRecords", Every: 5, Delay: time.Millisecond})
	s.Inject(kinesistest.Fault{Operation: "SubscribeToShard", Every: 31, Code: "LimitExceededException"})
	s.Inject(kinesistest.Fault{Operation: "SubscribeToShard", Every: 47, Code: "ResourceInUseException"})
	s.Inject(kinesistest.Fault{Operation: "SubscribeToShardEvent", Every: 13, End: true})
	s.Inject(kinesistest.Fault{Operation: "SubscribeToShardEvent", Every: 17, Cut: true})
	s.Inject(kinesistest.Fault{Operation: "SubscribeToShardEvent", Every: 29, Code: "InternalFailureException"})

	parents := map[string][]string{}
	written, reshardings := 0, 0
	write := func() {
		put(s, written, written+each)
		written += each
	}
	reshard := func() {
		var open []kinesistest.Shard
		for _, sh := range s.Shards("trips") {
			if sh.Open {
				open = append(open, sh)
			}
		}
		sh := open[random.IntN(len(open))]
		defer func() {
			for _, sh := range s.Shards("trips") {
				parents[sh.ID] = sh.Parents
			}
		}()
		if len(open) > 4 || len(open) > 1 && random.IntN(2) == 0 {
			for _, other := range open {
				if s.Merge("trips", sh.ID, other.ID) == nil {
					reshardings++
					return
				}
			}
		}
		if s.Split("trips", sh.ID) == nil {
			reshardings++
		}
	}

	var committed []seen
	var known connectors.Positions
	for run := range restarts + 1 {
		r := newReader(t, connectors.SourceConfig{Options: options(s.URL(), append(way, "chunk_bytes", "1024")...), Lanes: lanes, Now: now})
		if err := r.discover(known == nil, known); err != nil {
			t.Fatal(err)
		}
		if known == nil {
			known = r.src.Positions()
		}
		p := startPolling(r)
		epoch := 0 // records that are committed
		for range 2 + random.IntN(6) {
			write()
			if reshardings < reshards && random.IntN(3) == 0 {
				reshard()
				write()
			}
			read := r.count() // lanes go on meanwhile, and nobody can wait for more than there is
			p.wait(read + random.IntN(written-len(committed)-read+1))
			if random.IntN(4) == 0 {
				if err := r.discover(false, r.src.Positions()); err != nil {
					t.Fatal(err)
				}
			}
			if random.IntN(3) == 0 {
				p.pause()
				known, epoch = r.src.Positions(), r.count()
				p.resume()
			}
		}
		longAway := run%5 == 4
		if run == restarts {
			for reshardings < reshards {
				reshard()
				write()
			}
		}
		if longAway || run == restarts {
			p.wait(written - len(committed))
			p.pause()
			known, epoch = r.src.Positions(), r.count()
		} else {
			p.pause()
		}
		committed = append(committed, r.records[:epoch]...)
		r.close()
		// Everything is committed before a long absence, and no record is older than a
		// day before it is read.
		switch {
		case longAway:
			ahead.Add(int64(10 * time.Hour))
			write()
			reshard()
			ahead.Add(int64(10 * time.Hour))
		default:
			ahead.Add(int64(time.Duration(1+random.IntN(30)) * time.Minute))
		}
	}
	if reshardings < reshards {
		t.Errorf("%d splits and merges", reshardings)
	}
	shards := s.Shards("trips")
	made, err := strconv.Atoi(strings.TrimPrefix(shards[len(shards)-1].ID, "shardId-"))
	if err != nil {
		t.Fatal(err)
	}
	if made < reshards || len(known) > made/2 {
		t.Errorf("%d of %d shards are remembered, and most have expired", len(known), made)
	}
	all := &reader{t: t, records: committed}
	all.wantAll(numbers(0, written))
	if lanes == 1 {
		order(t, parents, committed)
	}
}

// polling is the lanes of a reader, each polling in its goroutine.
type polling struct {
	r      *reader
	cancel context.CancelFunc
	lanes  sync.WaitGroup
	took   chan struct{}
}

func startPolling(r *reader) *polling {
	p := &polling{r: r, took: make(chan struct{}, 1)}
	p.resume()
	return p
}

func (p *polling) resume() {
	ctx, cancel := context.WithCancel(p.r.t.Context())
	p.cancel = cancel
	for lane := range p.r.cfg.Lanes {
		p.lanes.Go(func() {
			var c connectors.Chunk
			for {
				if err := p.r.src.Poll(ctx, lane, &c); err != nil {
					if ctx.Err() == nil {
						p.r.t.Errorf("poll: %v", err)
					}
					return
				}
				p.r.take(&c)
				select {
				case p.took <- struct{}{}:
				default:
				}
			}
		})
	}
}

// pause waits until no lane has a chunk in its hands.
func (p *polling) pause() {
	p.cancel()
	p.lanes.Wait()
}

// wait waits until n records have come.
func (p *polling) wait(n int) {
	p.r.t.Helper()
	deadline := time.NewTimer(patience)
	defer deadline.Stop()
	for p.r.count() < n {
		select {
		case <-p.took:
		case <-deadline.C:
			p.pause()
			p.r.t.Fatalf("%d of %d records: %v", p.r.count(), n, p.r.src.Positions())
		}
	}
}
