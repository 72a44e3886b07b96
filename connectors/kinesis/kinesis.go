// Package kinesis reads the records of one Kinesis data stream.
//
// A split is a shard; its id is the shard's. A shard that came out of a split or
// a merge is read after the shards that it came out of. Positions are Leat's own
// and are committed with the rows that were made of the records: whole sequence
// numbers, which name the stream by its ARN and creation time, so that they are
// never applied to another stream of the same name.
//
// Records that a producer has packed into an aggregate come out one by one, all
// of an aggregate in one chunk, so that a commit never falls between them.
package kinesis

import (
	"cmp"
	"context"
	"strings"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws/arn"

	"github.com/leatdb/leat/connectors"
	"github.com/leatdb/leat/sql/types"
)

// Connector is the registration of connector = 'kinesis'.
var Connector = &connectors.SourceConnector{
	Name:          "kinesis",
	Doc:           "The records of one Kinesis data stream.",
	Spec:          spec,
	Hidden:        hidden,
	Framing:       connectors.FramingDocument,
	FormatDefault: "json",
	Open:          open,
	Check:         check,
	Exclusive:     exclusive,
	Places:        func(o connectors.Options) []string { return places(o, o.String("stream")) },
}

// places names a data stream as far as the options tell.
func places(o connectors.Options, stream string) []string {
	region, name := named(o, stream)
	return []string{strings.Join([]string{"kinesis:", o.String("endpoint"), region, name}, "//")}
}

// named is the region of a data stream, empty where only the AWS configuration knows
// it, and its name, given that or its ARN.
func named(o connectors.Options, stream string) (region, name string) {
	region = o.String("region")
	if a, err := arn.Parse(stream); err == nil {
		return cmp.Or(region, a.Region), strings.TrimPrefix(a.Resource, "stream/")
	}
	return region, stream
}

func init() { connectors.RegisterSource(Connector) }

var spec = connectors.Spec{
	{Name: "stream", Required: true, Identity: true, Doc: "The data stream: its name, or its ARN."},
	{Name: "region", Doc: "The AWS region; the default is the ARN's, else what the environment or the AWS configuration say."},
	{Name: "endpoint", Doc: "Where to find the service, if not in AWS: an http or https URL."},
	{Name: "start", Default: "trim_horizon", Doc: "Where a new stream begins: 'trim_horizon' (at the oldest record), 'latest', or at the first record from a time on (ISO 8601, or milliseconds since 1970). Shards that come later begin at their beginning."},
	{Name: "access_key_id", Doc: "The access key; without it, credentials are found as the AWS tools find them."},
	{Name: "secret_access_key", Secret: true, Doc: "The secret of the access key."},
	{Name: "session_token", Secret: true, Doc: "The session token of temporary credentials."},
	{Name: "profile", Doc: "The profile of the AWS configuration files to take credentials and region from."},
	{Name: "consumer", Doc: "Enhanced fan-out: the name of the consumer to which the service pushes the records of each shard, 2 MB a second that are shared with nobody; AWS charges for it. A consumer that does not exist is registered, and stays so. Each stream needs one of its own: '{stream}' in the name stands for the stream's. Or the ARN of a registered consumer."},
	{Name: "poll_interval", Kind: connectors.OptionDuration, Default: "1s", Min: int64(time.Millisecond), Max: int64(time.Minute), Doc: "How often a shard is asked for records once all of it has been read. All consumers of a shard share its five calls a second."},
	{Name: "shard_calls_per_second", Kind: connectors.OptionInt, Default: "5", Min: 1, Max: 10000, Doc: "How often a shard may be asked for records: AWS allows five calls a second to all consumers together."},
	{Name: "shard_bytes_per_second", Kind: connectors.OptionSize, Default: "2MB", Min: 1000, Max: 100e9, Doc: "How much may be read of a shard in a second: AWS allows 2 MB to all consumers together."},
	{Name: "request_timeout", Kind: connectors.OptionDuration, Default: "30s", Min: int64(100 * time.Millisecond), Max: int64(10 * time.Minute), Doc: "How long the service may take to answer."},
	{Name: "compression", Default: "auto", Choices: []string{"auto", "none"}, Doc: "Whether payloads in gzip or zstd are recognised and inflated. One that cannot be, or that would be larger than max_record_bytes, is handed to the format as it is."},
	{Name: "aggregate_strays", Default: "auto", Choices: []string{"auto", "keep", "drop"}, Doc: "What happens to records of an aggregate that do not belong to the hash keys of its shard, as after a split: the Kinesis Producer Library sends them again, other producers do not. 'auto' drops them (counted as empty) in aggregates that have the library's own partition key, 'a'."},
}.With(connectors.SourceOptions)

const (
	hiddenShard        = "_shard"
	hiddenSequence     = "_sequence"
	hiddenSubsequence  = "_subsequence"
	hiddenPartitionKey = "_partition_key"
	hiddenArrival      = "_arrival"
)

var hidden = []connectors.Hidden{
	{Name: hiddenShard, Type: types.TypeText, Doc: "The shard's id."},
	{Name: hiddenSequence, Type: types.TypeText, Doc: "The record's sequence number, as decimal digits; the records of an aggregate share one."},
	{Name: hiddenSubsequence, Type: types.TypeInt64, Doc: "The record's number within its aggregate, from 0; 0 for a record that is in none."},
	{Name: hiddenPartitionKey, Type: types.TypeText, Doc: "The record's partition key; bytes that are no UTF-8 become U+FFFD."},
	{Name: hiddenArrival, Type: types.Type{Kind: types.Timestamp, Fsp: 3}, Doc: "When the stream took the record, approximately."},
}

func open(ctx context.Context, cfg connectors.SourceConfig) (connectors.Source, error) {
	s, err := newSource(ctx, cfg)
	if err != nil {
		return nil, err
	}
	return s, nil
}
