package kafka

import (
	"encoding/hex"
	"encoding/json"
	"fmt"

	"github.com/leatdb/leat/connectors"
	"github.com/leatdb/leat/sql/sqlerror"
)

// position is how far a partition has been read.
type position struct {
	// TopicID is the topic's, in hex; empty where brokers have none (Kafka before
	// 2.8).
	TopicID string `json:"topic_id,omitempty"`
	// Offset is of the next record.
	Offset int64 `json:"offset"`
	// Epoch is the leader epoch of the record before; with it, a log that was cut
	// by an unclean election is noticed.
	Epoch *int32 `json:"epoch,omitempty"`
	// Stop is where a bounded read ends.
	Stop *int64 `json:"stop,omitempty"`
}

func parsePosition(split string, p connectors.Position) (position, error) {
	var pos position
	if p == "" {
		return pos, nil
	}
	err := json.Unmarshal([]byte(p), &pos)
	if err == nil && (pos.Offset < 0 || pos.Stop != nil && *pos.Stop < 0) {
		err = fmt.Errorf("%s is negative", p)
	}
	if err != nil {
		return pos, &sqlerror.Error{Code: sqlerror.CodeState, Kind: sqlerror.Internal, Message: "read position of partition " + split, Err: err}
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

// finished reports whether a bounded read is at its end.
func (p position) finished() bool { return p.Stop != nil && p.Offset >= *p.Stop }

// topicID is a topic's id as positions name it.
func topicID(id [16]byte) string {
	if id == [16]byte{} {
		return ""
	}
	return hex.EncodeToString(id[:])
}

// sameTopic reports whether two ids may be of one topic; an unknown id may be
// any.
func sameTopic(a, b string) bool { return a == "" || b == "" || a == b }
