package simulation

import (
	"context"
	"encoding/json"
	"fmt"
	"slices"
	"strings"

	"github.com/aws/aws-sdk-go-v2/aws"
	awskinesis "github.com/aws/aws-sdk-go-v2/service/kinesis"
	"github.com/aws/aws-sdk-go-v2/service/kinesis/types"

	"github.com/leatdb/leat/connectors"
	"github.com/leatdb/leat/connectors/kinesis"
)

// shards are those of a data stream that streams write to, as Kinesis has them: of
// a call's records any are taken and others refused, and nothing that was taken
// can be taken back. So rows may come again, after a crash and where an answer was
// lost, and by the same id; none may be missing when its position is committed.
type shards struct {
	w *world
	// ids are those that came, and with which row, by the topic that had the value: in
	// another topic of the same name there are other values at the same positions.
	ids map[shardID]row
}

type shardID struct {
	id    string
	topic int
}

func newShards(w *world) *shards { return &shards{w: w, ids: map[shardID]row{}} }

// shardRun is what one sender has sent, from when it began to read until it begins
// again.
type shardRun struct {
	placed       []placed // that were taken, each once, by key
	taken        map[row]bool
	acknowledged map[row]bool // … and the sender was told so
}

func newShardRun() *shardRun { return &shardRun{taken: map[row]bool{}, acknowledged: map[row]bool{}} }

// hold checks that all rows of an epoch were taken since its sender began.
func (r *shardRun) hold(want map[row]int) error {
	have := map[row]int{}
	for one := range want {
		if r.taken[one] {
			have[one] = want[one]
		}
	}
	return compare("rows in the shards", have, want)
}

// shardRecord is a record that is sent.
type shardRecord struct {
	row row
	id  string
	key int64
}

// read reads a record, which must be a row that the stream has to land by one of
// its versions.
func (s *shards) read(stream string, e types.PutRecordsRequestEntry) (shardRecord, error) {
	var v struct {
		Row         string `json:"_id"`
		ID, Part, N int64
	}
	wrong := func(why string) (shardRecord, error) {
		return shardRecord{}, fmt.Errorf("record %q with key %q: %s", e.Data, aws.ToString(e.PartitionKey), why)
	}
	if err := json.Unmarshal(e.Data, &v); err != nil {
		return wrong(err.Error())
	}
	switch {
	case aws.ToString(e.PartitionKey) != fmt.Sprint(v.Part):
		return wrong("it is not the row's key")
	case !strings.HasPrefix(v.Row, stream+"-"):
		return wrong("it is not an id of the stream")
	case v.ID < 1 || v.ID > int64(len(s.w.made)):
		return wrong("there is no such value")
	}
	of := s.w.made[v.ID-1]
	even, _ := of.outcome(0)
	odd, _ := of.outcome(1)
	if v.N < 1 || v.N > int64(max(even, odd)) {
		return wrong("the value has no such row")
	}
	one := row{v.ID, v.N}
	id := shardID{v.Row, of.topic}
	if before, ok := s.ids[id]; ok && before != one {
		return wrong(fmt.Sprintf("row %v had the same id", before))
	}
	s.ids[id] = one
	return shardRecord{one, v.Row, v.Part}, nil
}

// shardLink is an instance's way to the shards. It implements kinesis.Service.
type shardLink struct {
	i   *instance
	run *shardRun
}

// PutRecords implements kinesis.Service.
func (l *shardLink) PutRecords(ctx context.Context, in *awskinesis.PutRecordsInput, _ ...func(*awskinesis.Options)) (*awskinesis.PutRecordsOutput, error) {
	w, run := l.i.w, l.run
	records := make([]shardRecord, len(in.Records))
	for n, e := range in.Records {
		var err error
		if records[n], err = w.shards.read(l.i.name, e); err != nil {
			w.s.Fail(err)
			return nil, err
		}
		// What was a dead letter before the stream was moved back may come by a replay,
		// too.
		if one := records[n].row; run.acknowledged[one] && w.made[one.id-1].kind != failing {
			w.s.Fail(fmt.Errorf("row %v is sent again, and it was acknowledged", records[n].row))
		}
	}
	var taken []bool
	take := func(chance float64) {
		taken = make([]bool, len(records))
		for n, r := range records {
			if taken[n] = !w.s.Chance(chance); taken[n] && !run.taken[r.row] {
				run.taken[r.row] = true
				run.placed = append(run.placed, placed{r.row, int(r.key)})
			}
		}
	}
	err := w.call(ctx, l.i.p, theShards, fmt.Sprintf("put %d records", len(records)), func() error {
		refused := 0.0
		if w.s.Chance(0.2) {
			refused = 0.4 // a shard is asked for too much
		}
		take(refused)
		return nil
	}, func() error { take(0.5); return nil })
	if err != nil {
		return nil, err
	}
	out := &awskinesis.PutRecordsOutput{Records: make([]types.PutRecordsResultEntry, len(records))}
	for n, r := range records {
		if taken[n] {
			run.acknowledged[r.row] = true
		} else {
			out.Records[n].ErrorCode = aws.String("ProvisionedThroughputExceededException")
		}
	}
	w.s.Note("%d of %d records are taken", len(slices.DeleteFunc(taken, func(ok bool) bool { return !ok })), len(records))
	return out, nil
}

// sharded is a sink whose runs are told apart.
type sharded struct{ ordered }

// Begin implements connectors.StreamSink.
func (s *sharded) Begin(ctx context.Context, initial func(context.Context) (map[string]connectors.Positions, error)) (connectors.State, bool, error) {
	state, resumed, err := s.StreamSink.Begin(ctx, initial)
	s.i.link.run = newShardRun()
	return state, resumed, err
}

// Abort implements connectors.StreamSink.
func (s *sharded) Abort(ctx context.Context) error {
	err := s.StreamSink.Abort(ctx)
	s.i.link.run = newShardRun()
	return err
}

// shardSink is the sink of streams into a data stream, in a process.
func (i *instance) shardSink(ledger connectors.Ledger) connectors.Sink {
	i.link = &shardLink{i: i, run: newShardRun()}
	return kinesis.Open(kinesis.Config{
		Name: "shards", Options: shardOptions(), Ledger: ledger, Scheduler: i.p, Logger: logger{i.host}, Rules: i.w.cfg.Sending, Service: i.link,
	})
}

func shardOptions() connectors.Options {
	c := kinesis.SinkConnector
	return c.Spec.MustOptions("region", "simulated", "calls_in_flight", "3").Over(c.StreamSpec.MustOptions())
}
