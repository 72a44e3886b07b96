// Package push is the source that programs write into: what is sent to a Hub is
// read by every stream over the source.
//
// The hub keeps what a stream was given until the stream has committed it, since
// nobody else has it: a stream that fails and begins again from its last commit
// in the same process finds everything there. With the process dies what was
// not committed. For exactly once, number the payloads (SendAt) and ask after a
// restart where to go on (Committed).
package push

import (
	"context"
	"time"

	"github.com/leatdb/leat/connectors"
	"github.com/leatdb/leat/sql/sqlerror"
	"github.com/leatdb/leat/sql/types"
)

// Connector is the registration of connector = 'push'. SourceConfig.Handle is
// the *Hub of the source.
var Connector = &connectors.SourceConnector{
	Name:          "push",
	Doc:           "Records that a Go program sends, for programs that embed Leat.",
	Spec:          spec,
	Hidden:        hidden,
	Framing:       connectors.FramingDocument,
	FormatDefault: formatJSON,
	Open:          open,
}

func init() { connectors.RegisterSource(Connector) }

// formatJSON is the format that SendRecord writes.
const formatJSON = "json"

var spec = connectors.Spec{
	{Name: "discovery_interval", Kind: connectors.OptionDuration, Default: "100ms", Min: int64(time.Millisecond), Doc: "How soon a split that SendAt names for the first time is read."},
}.With(connectors.SourceOptions)

const (
	hiddenSplit     = "_split"
	hiddenOffset    = "_offset"
	hiddenTimestamp = "_timestamp"
)

var hidden = []connectors.Hidden{
	{Name: hiddenSplit, Type: types.TypeText, Doc: "The split that SendAt named; 'push' for Send."},
	{Name: hiddenOffset, Type: types.TypeInt64, Doc: "The payload's offset in its split; for Send its number for the stream."},
	{Name: hiddenTimestamp, Type: types.Type{Kind: types.Timestamp, Fsp: 6}, Doc: "When the payload was sent."},
}

func open(_ context.Context, cfg connectors.SourceConfig) (connectors.Source, error) {
	hub, ok := cfg.Handle.(*Hub)
	if !ok || hub == nil {
		return nil, &sqlerror.Error{
			Code: sqlerror.CodeUnsupported, Kind: sqlerror.User, Object: "source " + cfg.Name,
			Message: "nothing can be sent to it here", Hint: "the push connector needs a Go program that embeds Leat",
		}
	}
	return hub.attach(cfg.WithDefaults())
}
