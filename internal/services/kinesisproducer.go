package services

import (
	"context"
	_ "embed"
	"os"
	"path/filepath"
	"strconv"
)

//go:embed kinesis/requirements.txt
var kinesisRequirements string

//go:embed kinesis/produce.py
var kinesisProduce []byte

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
