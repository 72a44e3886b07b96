package services

import (
	"context"
	_ "embed"
	"fmt"
	"net"
	"os"
	"path/filepath"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/credentials"
	"github.com/aws/aws-sdk-go-v2/service/kinesis"
)

const (
	kinesalitePackage   = "kinesalite@3.3.3"
	kinesisLocalPackage = "kinesis-local@0.6.2"
)

var kinesalite = register(Service{
	Name:   "kinesalite",
	Recipe: kinesalitePackage,
	Fetch: func(ctx context.Context, dir string) error {
		return npmInstall(ctx, dir, kinesalitePackage)
	},
})

var kinesisLocal = register(Service{
	Name:   "kinesis-local",
	Recipe: kinesisLocalPackage,
	Fetch: func(ctx context.Context, dir string) error {
		return npmInstall(ctx, dir, kinesisLocalPackage)
	},
})

// npmInstall fetches packages of the npm registry into dir/node_modules. Their
// installation scripts do not run.
func npmInstall(ctx context.Context, dir string, packages ...string) error {
	if err := os.WriteFile(filepath.Join(dir, "package.json"), []byte(`{"private":true}`), 0o644); err != nil {
		return err
	}
	_, err := run(ctx, dir, nil, "npm", append([]string{"install", "--no-audit", "--no-fund", "--ignore-scripts", "--loglevel=error"}, packages...)...)
	return err
}

// loopback makes Node servers listen on 127.0.0.1, for which these have no
// option.
//
//go:embed kinesis/loopback.js
var loopback []byte

// What the Kinesis servers are asked with; they accept anything.
const (
	KinesisRegion    = "us-east-1"
	KinesisAccessKey = "leat"
	KinesisSecretKey = "leat-secret"
)

// Kinesis is a server of Kinesis Data Streams. Its streams are in memory.
type Kinesis struct {
	*Process
	Endpoint string // such as http://127.0.0.1:4567
	tls      string // host:port of the same with TLS; empty without
}

// survivesAborts keeps kinesalite alive when a client ends a request that it has
// sent half of, as one does that is killed or closed; it would throw.
const survivesAborts = `data:text/javascript,process.on("uncaughtException",e=>{if(e.code!=="ECONNRESET"){console.error(e);process.exit(1)}})`

// StartKinesalite starts kinesalite. It knows neither UpdateShardCount nor
// consumers, a closed shard does not name its children, and an iterator at a time
// that is not past yet is never answered.
func StartKinesalite(t TB) *Kinesis {
	t.Helper()
	address := FreeAddresses(t, 1)[0]
	_, port, err := net.SplitHostPort(address)
	if err != nil {
		t.Fatal(err)
	}
	server := filepath.Join(kinesalite.mustDir(t), "node_modules", "kinesalite", "cli.js")
	return startKinesis(t, address, command{
		name: "kinesalite",
		args: []string{"--import", survivesAborts, server, "--port", port, "--createStreamMs", "20", "--deleteStreamMs", "20", "--updateStreamMs", "20", "--shardLimit", "1000"},
	})
}

// StartKinesisLocal starts kinesis-local. It gives closed shards an ending
// sequence number that is larger than any, and the events of its SubscribeToShard
// do not begin with the initial response that the AWS SDK for Go waits for.
func StartKinesisLocal(t TB) *Kinesis {
	t.Helper()
	addresses := FreeAddresses(t, 2)
	var ports [2]string
	for i, address := range addresses {
		var err error
		if _, ports[i], err = net.SplitHostPort(address); err != nil {
			t.Fatal(err)
		}
	}
	dir := filepath.Join(kinesisLocal.mustDir(t), "node_modules", "kinesis-local")
	k := startKinesis(t, addresses[0], command{
		name: "kinesis-local",
		args: []string{"main.js"},
		dir:  dir, // it reads its certificate from there
		env: []string{
			"KINESIS_MOCK_PLAIN_PORT=" + ports[0], "KINESIS_MOCK_TLS_PORT=" + ports[1], "LOG_LEVEL=ERROR", "SHARD_LIMIT=1000",
			"CREATE_STREAM_DURATION=20ms", "DELETE_STREAM_DURATION=20ms", "SPLIT_SHARD_DURATION=20ms", "MERGE_SHARDS_DURATION=20ms",
		},
	})
	k.tls = addresses[1]
	return k
}

func startKinesis(t TB, address string, c command) *Kinesis {
	t.Helper()
	preload := filepath.Join(t.TempDir(), "loopback.js")
	if err := os.WriteFile(preload, loopback, 0o600); err != nil {
		t.Fatal(err)
	}
	k := &Kinesis{Endpoint: "http://" + address}
	c.program = "node"
	c.args = append([]string{"--require", preload}, c.args...)
	c.ready = func(ctx context.Context, _ []byte) error {
		_, err := k.Client().ListStreams(ctx, &kinesis.ListStreamsInput{}, func(o *kinesis.Options) { o.RetryMaxAttempts = 1 })
		if err != nil {
			return fmt.Errorf("list streams: %w", err)
		}
		return nil
	}
	k.Process = start(t, c)
	return k
}

// Client returns a client of the server.
func (k *Kinesis) Client() *kinesis.Client {
	return kinesis.New(kinesis.Options{
		BaseEndpoint: aws.String(k.Endpoint),
		Region:       KinesisRegion,
		Credentials:  credentials.NewStaticCredentialsProvider(KinesisAccessKey, KinesisSecretKey, ""),
	})
}

// CreateStream makes a stream and waits until it can be used.
func (k *Kinesis) CreateStream(name string, shards int32) {
	k.t.Helper()
	if _, err := k.Client().CreateStream(k.t.Context(), &kinesis.CreateStreamInput{StreamName: &name, ShardCount: &shards}); err != nil {
		k.t.Fatalf("create stream %s: %v", name, err)
	}
	k.AwaitActive(name)
}

// AwaitActive waits until a change of a stream is done.
func (k *Kinesis) AwaitActive(name string) {
	k.t.Helper()
	waiter := kinesis.NewStreamExistsWaiter(k.Client(), func(o *kinesis.StreamExistsWaiterOptions) {
		o.MinDelay, o.MaxDelay = 10*time.Millisecond, 100*time.Millisecond
	})
	if err := waiter.Wait(k.t.Context(), &kinesis.DescribeStreamInput{StreamName: &name}, readyTimeout); err != nil {
		k.t.Fatalf("wait for stream %s: %v", name, err)
	}
}
