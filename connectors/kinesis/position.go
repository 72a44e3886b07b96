package kinesis

import (
	"encoding/json"
	"errors"
	"time"

	"github.com/leatdb/leat/connectors"
	"github.com/leatdb/leat/sql/sqlerror"
)

// identity tells a stream from another one of the same name.
type identity struct {
	Stream  string `json:"stream"`  // its ARN
	Created int64  `json:"created"` // ms since 1970
}

// position is how far a shard has been read. Times are in ms since 1970, by the
// clock of this machine where they are of reading.
type position struct {
	identity
	Parents []string `json:"parents,omitempty"`
	// After is the sequence number of the last record that was read.
	After string `json:"after,omitempty"`
	// At is the time from which on records are wanted while none has been read;
	// without it the shard's beginning.
	At int64 `json:"at,omitempty"`
	// Through says that what arrived before has been read, Since, until there is a
	// Through, when the shard was found. Once that is longer ago than the stream's
	// retention period, records may be gone that nobody has read.
	Through int64 `json:"through,omitempty"`
	Since   int64 `json:"since,omitempty"`
	// Finished is when a closed shard was read to its end. It is remembered until
	// the stream no longer lists it.
	Finished int64 `json:"finished,omitempty"`
	// By makes it an end, as Ends gives it: what arrived before, in µs.
	By int64 `json:"by,omitempty"`
}

func parsePosition(split string, p connectors.Position) (position, error) {
	var pos position
	if p == "" {
		return pos, nil
	}
	err := json.Unmarshal([]byte(p), &pos)
	if err == nil && pos.Stream == "" {
		err = errors.New("it names no stream")
	}
	if err != nil {
		return pos, &sqlerror.Error{Code: sqlerror.CodeState, Kind: sqlerror.Internal, Message: "read position of shard " + split, Err: err}
	}
	return pos, nil
}

func (p position) encode() connectors.Position {
	b, err := json.Marshal(p)
	if err != nil {
		panic(err) // a struct of numbers and strings
	}
	return connectors.Position(b)
}

// readUntil is the time from which on records may be missing when they are no
// longer kept: zero when nothing can be said.
func (p position) readUntil() time.Time {
	switch {
	case p.Through > 0:
		return time.UnixMilli(p.Through)
	case p.Since > 0:
		return time.UnixMilli(p.Since)
	}
	return time.Time{}
}
