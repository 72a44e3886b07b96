// Package all registers every connector and format that Leat has, by importing
// them. The engine imports it, so that a program that embeds the engine gets
// them all.
package all

import (
	_ "github.com/leatdb/leat/connectors/awssecrets"
	_ "github.com/leatdb/leat/connectors/blackhole"
	_ "github.com/leatdb/leat/connectors/datagen"
	_ "github.com/leatdb/leat/connectors/files"
	_ "github.com/leatdb/leat/connectors/format/accesslog"
	_ "github.com/leatdb/leat/connectors/format/avro"
	_ "github.com/leatdb/leat/connectors/format/cloudwatchlogs"
	_ "github.com/leatdb/leat/connectors/format/csv"
	_ "github.com/leatdb/leat/connectors/format/json"
	_ "github.com/leatdb/leat/connectors/format/parquet"
	_ "github.com/leatdb/leat/connectors/format/protobuf"
	_ "github.com/leatdb/leat/connectors/format/raw"
	_ "github.com/leatdb/leat/connectors/format/regex"
	_ "github.com/leatdb/leat/connectors/format/xml"
	_ "github.com/leatdb/leat/connectors/kafka"
	_ "github.com/leatdb/leat/connectors/kinesis"
	_ "github.com/leatdb/leat/connectors/lake"
	_ "github.com/leatdb/leat/connectors/push"
)
