package kafka

import (
	"github.com/twmb/franz-go/pkg/kgo"
	"github.com/twmb/franz-go/pkg/sasl"

	"github.com/leatdb/leat/connectors"
)

// ConnectionOptions are the options of a client.
func ConnectionOptions(o connectors.Options) ([]kgo.Opt, error) {
	return connectionOptions("source trips", "", o)
}

// Mechanism is how to log in as options say.
func Mechanism(o connectors.Options) (sasl.Mechanism, error) { return mechanism(o) }
