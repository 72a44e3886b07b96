package kafka

import (
	"github.com/twmb/franz-go/pkg/kgo"

	"github.com/leatdb/leat/connectors"
)

// ConnectionOptions are the options of a client.
func ConnectionOptions(o connectors.Options) ([]kgo.Opt, error) {
	return connectionOptions("source trips", "", o)
}
