package services

import (
	"context"
	_ "embed"
	"path/filepath"
)

//go:embed producers/requirements.txt
var producerRequirements string

// producers are Confluent's client of Kafka with its serializers, fastavro and
// Google's protobuf.
var producers = register(Service{
	Name:   "producers",
	Recipe: producerRequirements + platform(),
	Fetch: func(ctx context.Context, dir string) error {
		return pythonEnvironment(ctx, dir, producerRequirements)
	},
})

// RunProducer is RunPython with the clients and encoders that others write
// events with, in place of the readers.
func RunProducer(t TB, source string, args ...string) []byte {
	t.Helper()
	return runPython(t, filepath.Join(producers.mustDir(t), "venv", "bin", "python"), source, args...)
}
