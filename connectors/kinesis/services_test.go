//go:build services

package kinesis_test

import (
	"maps"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	awskinesis "github.com/aws/aws-sdk-go-v2/service/kinesis"

	"github.com/leatdb/leat/connectors"
	"github.com/leatdb/leat/connectors/kinesis"
	"github.com/leatdb/leat/internal/services"
	"github.com/leatdb/leat/sql/sqlerror"
)

// TestKinesis repeats against two servers that others wrote what our fake may see
// differently, with records that others have written.
func TestKinesis(t *testing.T) {
	t.Run("kinesalite", func(t *testing.T) { testKinesis(t, services.StartKinesalite(t)) })
	t.Run("kinesis-local", func(t *testing.T) { testKinesis(t, services.StartKinesisLocal(t)) })
}

// TestKinesis_Subscribe has another server push: of the servers here only
// kinesis-local does.
func TestKinesis_Subscribe(t *testing.T) {
	k := services.StartKinesisLocal(t)
	k.CreateStream("pushed", 2)
	with := []string{"stream", "pushed", "region", services.KinesisRegion, "consumer", "leat-{stream}", "chunk_bytes", "1024"}
	k.Produce("pushed", 0, 300, 1)
	r := newReader(t, connectors.SourceConfig{Options: options(k.Endpoint, with...), Lanes: 2})
	if err := r.discover(true, nil); err != nil {
		t.Fatal(err)
	}
	r.flush()
	k.Produce("pushed", 300, 500, 10)
	shard, hashKey := "shardId-000000000000", "85070591730234615865843651857942052864"
	if _, err := k.Client().SplitShard(t.Context(), &awskinesis.SplitShardInput{StreamName: aws.String("pushed"), ShardToSplit: &shard, NewStartingHashKey: &hashKey}); err != nil {
		t.Fatal(err)
	}
	k.AwaitActive("pushed")
	k.Produce("pushed", 500, 600, 1)
	r.flush()
	known := r.src.Positions()
	all := r.values()
	r.close()
	k.Produce("pushed", 600, 800, 7)
	r = newReader(t, r.cfg)
	defer r.close()
	if err := r.discover(false, known); err != nil {
		t.Fatal(err)
	}
	r.flush()
	for _, v := range all {
		r.records = append(r.records, seen{value: v})
	}
	r.wantAll(numbers(0, 800))
	for _, err := range r.told {
		// A shard can be subscribed to again five seconds after the last time.
		if !strings.Contains(err.Error(), "ResourceInUseException") {
			t.Errorf("told %v", err)
		}
	}
}

// TestKinesis_ProducerLibrary takes apart what the Kinesis Producer Library has
// packed, polled and pushed.
func TestKinesis_ProducerLibrary(t *testing.T) {
	k := services.StartKinesisLocal(t)
	k.CreateStream("packed", 2)
	k.ProduceByLibrary("packed", 0, 2000)
	eachWay(t, func(t *testing.T, way ...string) {
		r := newReader(t, connectors.SourceConfig{Options: options(k.Endpoint, append(way, "stream", "packed", "region", services.KinesisRegion)...), Lanes: 2})
		defer r.close()
		if err := r.discover(true, nil); err != nil {
			t.Fatal(err)
		}
		r.flush()
		r.wantAll(numbers(0, 2000))
		packed := map[string]bool{}
		for _, rec := range r.records {
			if sequence, _, ok := strings.Cut(rec.name, "/"); ok {
				packed[sequence] = true
			}
		}
		if len(packed) == 0 || len(packed) > 200 {
			t.Errorf("%d aggregates", len(packed))
		}
	})
}

func testKinesis(t *testing.T, k *services.Kinesis) {
	begin := func(t *testing.T, known connectors.Positions, more ...string) *reader {
		t.Helper()
		// What kinesalite does not answer at first (see StartKinesalite) is asked again.
		more = append([]string{"region", services.KinesisRegion, "request_timeout", "3s", "shard_calls_per_second", "50", "poll_interval", "20ms"}, more...)
		r := newReader(t, connectors.SourceConfig{Options: options(k.Endpoint, more...), Lanes: 2})
		if err := r.discover(known == nil, known); err != nil {
			t.Fatal(err)
		}
		return r
	}
	split := func(t *testing.T, stream, shard, hashKey string) {
		t.Helper()
		if _, err := k.Client().SplitShard(t.Context(), &awskinesis.SplitShardInput{StreamName: &stream, ShardToSplit: &shard, NewStartingHashKey: &hashKey}); err != nil {
			t.Fatal(err)
		}
		k.AwaitActive(stream)
	}
	merge := func(t *testing.T, stream, a, b string) {
		t.Helper()
		if _, err := k.Client().MergeShards(t.Context(), &awskinesis.MergeShardsInput{StreamName: &stream, ShardToMerge: &a, AdjacentShardToMerge: &b}); err != nil {
			t.Fatal(err)
		}
		k.AwaitActive(stream)
	}
	const quarter = "85070591730234615865843651857942052864" // of the hash keys

	t.Run("ReshardsAndRestarts", func(t *testing.T) {
		k.CreateStream("storm", 2)
		k.Produce("storm", 0, 300, 1)
		var all []string
		r := begin(t, nil, "stream", "storm", "chunk_bytes", "1024")
		r.flush()
		k.Produce("storm", 300, 500, 10)
		split(t, "storm", "shardId-000000000000", quarter)
		k.Produce("storm", 500, 600, 1)
		r.flush()
		known := r.src.Positions()
		all = append(all, r.values()...)
		r.close()
		// While nobody reads.
		merge(t, "storm", "shardId-000000000003", "shardId-000000000001")
		k.Produce("storm", 600, 700, 1)
		split(t, "storm", "shardId-000000000002", "42535295865117307932921825928971026432")
		k.Produce("storm", 700, 800, 7)
		for range 3 {
			r = begin(t, known, "stream", "storm", "chunk_bytes", "1024")
			r.flush()
			known = r.src.Positions()
			all = append(all, r.values()...)
			r.close()
		}
		r.records = nil
		for _, v := range all {
			r.records = append(r.records, seen{value: v})
		}
		r.wantAll(numbers(0, 800))
		if shards := slices.Sorted(maps.Keys(known)); len(shards) != 7 {
			t.Errorf("shards %q", shards)
		}
	})

	t.Run("LatestAndTime", func(t *testing.T) {
		k.CreateStream("latest", 2)
		k.Produce("latest", 0, 50, 1)
		at := time.Now()
		<-time.After(1100 * time.Millisecond) // the place is a whole second
		r := begin(t, nil, "stream", "latest", "start", "latest")
		defer r.close()
		k.Produce("latest", 50, 100, 1)
		r.flush()
		r.wantAll(numbers(50, 100))
		timed := begin(t, nil, "stream", "latest", "start", at.UTC().Format("2006-01-02T15:04:05.000Z"))
		defer timed.close()
		timed.flush()
		timed.wantAll(numbers(50, 100))
	})

	t.Run("Recreated", func(t *testing.T) {
		k.CreateStream("again", 1)
		k.Produce("again", 0, 10, 1)
		r := begin(t, nil, "stream", "again")
		r.flush()
		known := r.src.Positions()
		r.close()
		if _, err := k.Client().DeleteStream(t.Context(), &awskinesis.DeleteStreamInput{StreamName: aws.String("again")}); err != nil {
			t.Fatal(err)
		}
		waiter := awskinesis.NewStreamNotExistsWaiter(k.Client(), func(o *awskinesis.StreamNotExistsWaiterOptions) {
			o.MinDelay, o.MaxDelay = 10*time.Millisecond, 100*time.Millisecond
		})
		if err := waiter.Wait(t.Context(), &awskinesis.DescribeStreamInput{StreamName: aws.String("again")}, patience); err != nil {
			t.Fatal(err)
		}
		<-time.After(1100 * time.Millisecond) // times of creation are whole seconds
		k.CreateStream("again", 1)
		k.Produce("again", 10, 20, 1)
		failing := newReader(t, r.cfg)
		if err := failing.discover(false, known); !sqlerror.HasCode(err, sqlerror.CodeDataLoss) {
			t.Errorf("err=%v", err)
		}
		failing.close()
		skipping := begin(t, known, "stream", "again", "on_data_loss", "skip")
		defer skipping.close()
		skipping.flush()
		skipping.wantAll(numbers(10, 20))
	})

	t.Run("Check", func(t *testing.T) {
		k.CreateStream("here", 1)
		cfg := connectors.SourceConfig{Name: "trips", Options: options(k.Endpoint, "stream", "here", "region", services.KinesisRegion)}
		if err := kinesis.Connector.Check(t.Context(), cfg); err != nil {
			t.Error(err)
		}
		cfg.Options = options(k.Endpoint, "stream", "hare", "region", services.KinesisRegion)
		err := kinesis.Connector.Check(t.Context(), cfg)
		if !sqlerror.HasCode(err, sqlerror.CodeUnknownObject) || sqlerror.IsRetryable(err) {
			t.Errorf("err=%v", err)
		}
	})
}
