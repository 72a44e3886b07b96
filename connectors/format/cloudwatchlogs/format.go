// Package cloudwatchlogs decodes what CloudWatch Logs sends to the subscribers of
// a log group, through Kinesis or Firehose: JSON documents that hold log events.
//
//	{"messageType":"DATA_MESSAGE","owner":"123456789012","logGroup":"…","logStream":"…",
//	 "subscriptionFilters":["…"],"logEvents":[{"id":"…","timestamp":1700000000123,"message":"…"}]}
//
// Each log event is a value of its own, with the members of its document beside
// its own. Control messages, by which CloudWatch Logs tries the way out, count
// as empty records. A payload may hold several documents, one after another. It
// is expected as it was before it was compressed: the source has inflated it.
package cloudwatchlogs

import (
	"github.com/leatdb/leat/connectors"
	"github.com/leatdb/leat/sql/types"
)

func init() {
	connectors.RegisterFormat(&connectors.Format{
		Name:       "cloudwatch_logs",
		Doc:        "Log events as a subscription of CloudWatch Logs delivers them: a row for each event.",
		NewDecoder: func(c connectors.DecoderConfig) (connectors.Decoder, error) { return NewDecoder(c) },
		Infer:      Infer,
	})
}

// member is a member of a log event, or of the document around it.
type member uint8

const (
	memberID member = iota
	memberTimestamp
	memberMessage
	memberExtractedFields
	memberOwner
	memberLogGroup
	memberLogStream
	memberSubscriptionFilters
	memberPolicyLevel
	memberMessageType
	memberLogEvents
	memberCount
)

// eventMembers is how many of the members are of the event: those that come
// first.
const eventMembers = memberOwner

// column is a column that a source of this format may have.
type column struct {
	name    string // in SQL
	member  string // in JSON
	of      member
	sqlType types.Type
}

var known = []column{
	{"timestamp", "timestamp", memberTimestamp, types.Type{Kind: types.Timestamp, Fsp: 3}},
	{"message", "message", memberMessage, types.TypeText},
	{"log_group", "logGroup", memberLogGroup, types.TypeText},
	{"log_stream", "logStream", memberLogStream, types.TypeText},
	{"owner", "owner", memberOwner, types.TypeText},
	{"id", "id", memberID, types.TypeText},
	{"subscription_filters", "subscriptionFilters", memberSubscriptionFilters, types.TypeJSON},
	{"extracted_fields", "extractedFields", memberExtractedFields, types.TypeJSON},
	{"policy_level", "policyLevel", memberPolicyLevel, types.TypeText},
	{"message_type", "messageType", memberMessageType, types.TypeText},
}

// inferred is how many of the known columns a source has that declares none.
const inferred = 8

// Infer is the same for all payloads.
func Infer([]*connectors.Chunk, connectors.DecoderConfig) (types.Schema, error) {
	var schema types.Schema
	for _, c := range known[:inferred] {
		schema = append(schema, types.Column{Name: c.name, Type: c.sqlType})
	}
	return schema, nil
}
