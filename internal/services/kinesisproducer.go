package services

import (
	"context"
	_ "embed"
	"net"
	"os"
	"path/filepath"
	"strconv"
)

//go:embed kinesis/requirements.txt
var kinesisRequirements string

//go:embed kinesis/produce.py
var kinesisProduce []byte

//go:embed kinesis/pom.xml
var kinesisPOM string

//go:embed kinesis/Produce.java
var kinesisJava []byte

// kinesisLibrary is the Kinesis Producer Library itself, for Java, which brings a
// program of its own that packs and sends.
var kinesisLibrary = register(Service{
	Name:   "kinesis-producer-library",
	Recipe: kinesisPOM,
	Fetch: func(ctx context.Context, dir string) error {
		return mavenJars(ctx, dir, kinesisPOM)
	},
})

// kinesisProducer is the AWS SDK for Python, and the Python library that packs
// records as the Kinesis Producer Library does.
var kinesisProducer = register(Service{
	Name:   "kinesis-producer",
	Recipe: kinesisRequirements + platform(),
	Fetch: func(ctx context.Context, dir string) error {
		return pythonEnvironment(ctx, dir, kinesisRequirements)
	},
})

// Produce has a foreign producer write the numbers of a range, each under itself
// as partition key; with a size above 1 so many of them in each record.
func (k *Kinesis) Produce(stream string, from, to, size int) {
	k.t.Helper()
	script := filepath.Join(k.t.TempDir(), "produce.py")
	if err := os.WriteFile(script, kinesisProduce, 0o600); err != nil {
		k.t.Fatal(err)
	}
	env := []string{
		"AWS_ACCESS_KEY_ID=" + KinesisAccessKey, "AWS_SECRET_ACCESS_KEY=" + KinesisSecretKey, "AWS_DEFAULT_REGION=" + KinesisRegion,
		"AWS_EC2_METADATA_DISABLED=true", "PYTHONDONTWRITEBYTECODE=1", "PYTHONNOUSERSITE=1", "PYTHONPATH=",
	}
	ctx, cancel := context.WithTimeout(k.t.Context(), pythonTimeout)
	defer cancel()
	python := filepath.Join(kinesisProducer.mustDir(k.t), "venv", "bin", "python")
	if _, err := run(ctx, filepath.Dir(script), env, python, script, k.Endpoint, stream, strconv.Itoa(from), strconv.Itoa(to), strconv.Itoa(size)); err != nil {
		k.t.Fatalf("produce to stream %s: %v", stream, err)
	}
}

// ProduceByLibrary has the Kinesis Producer Library write the numbers of a range,
// each under itself as partition key, packed as it sees fit. It sends by TLS only,
// which kinesis-local offers.
func (k *Kinesis) ProduceByLibrary(stream string, from, to int) {
	k.t.Helper()
	if k.tls == "" {
		k.t.Fatal("the server has no TLS")
	}
	host, port, err := net.SplitHostPort(k.tls)
	if err != nil {
		k.t.Fatal(err)
	}
	dir := k.t.TempDir()
	program := filepath.Join(dir, "Produce.java")
	if err := os.WriteFile(program, kinesisJava, 0o600); err != nil {
		k.t.Fatal(err)
	}
	ctx, cancel := context.WithTimeout(k.t.Context(), pythonTimeout)
	defer cancel()
	libs := filepath.Join(kinesisLibrary.mustDir(k.t), "libs", "*")
	if _, err := run(ctx, dir, nil, "java", "-Xmx256m", "-XX:TieredStopAtLevel=1", "-Dorg.slf4j.simpleLogger.defaultLogLevel=warn", "-cp", libs, program,
		host, port, KinesisRegion, stream, strconv.Itoa(from), strconv.Itoa(to), dir); err != nil {
		k.t.Fatalf("produce to stream %s by the Kinesis Producer Library: %v", stream, err)
	}
}
