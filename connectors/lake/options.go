package lake

import (
	"time"

	"github.com/leatdb/leat/catalog/hive"
	"github.com/leatdb/leat/connectors"
	"github.com/leatdb/leat/connectors/lake/parquetfile"
)

// streamSpec are the options of a sink that a stream may override.
var streamSpec = connectors.Spec{
	{Name: "format", Default: "parquet", Choices: []string{"parquet", "json", "csv"}, Doc: "File format of the table; json (a value a line) and csv need table_format = 'hive'."},
	{Name: "header", Kind: connectors.OptionBool, Default: "true", Doc: "CSV files begin with a line of column names."},
	{Name: "compression", Default: "zstd", Choices: []string{"zstd", "snappy", "gzip", "none"}, Doc: "Codec of the files' pages, or of whole JSON and CSV files, which know no snappy."},
	{Name: "compression_level", Kind: connectors.OptionInt, Min: 1, Max: 22, Doc: "Level of the codec: 1 to 22 for zstd (default 1), 1 to 9 for gzip (default 1)."},
	{Name: "commit_interval", Kind: connectors.OptionDuration, Default: "10s", Min: int64(10 * time.Millisecond), Max: int64(24 * time.Hour), Runtime: true, DefaultIf: &connectors.DefaultIf{Option: "table_format", Is: formatHive, Default: "60s"}, Doc: "How often rows become visible and durable; with hive, whose files nobody compacts, every 60 seconds."},
	{Name: "commit_size", Kind: connectors.OptionSize, Default: "1GB", Min: 1e6, Max: 1 << 42, Runtime: true, Doc: "Commits earlier when so many bytes of files were written."},
	{Name: "target_file_size", Kind: connectors.OptionSize, Default: "128MB", Min: 1e6, Max: 16 << 30, Runtime: true, Doc: "A file that reaches this size is finished within an epoch."},
	{Name: "max_open_partitions", Kind: connectors.OptionInt, Default: "20000", Min: 1, Max: 1 << 30, Runtime: true, Doc: "How many partitions may have open files at a time, over all lanes of a stream; when there are more, the largest files are finished early. A batch of rows may go beyond it."},
	{Name: "row_group_size", Kind: connectors.OptionSize, Default: "64MiB", Min: 1e6, Max: 1 << 30, Doc: "Bytes of a row group before compression."},
	{Name: "bloom_filter_columns", Kind: connectors.OptionList, Doc: "Columns of Parquet files that get a Bloom filter for each row group, so that queries for one value skip the others; not of FLOAT, DOUBLE or BOOLEAN."},
	{Name: "byte_stream_split", Kind: connectors.OptionBool, Default: "false", Doc: "Stores FLOAT and DOUBLE columns of Parquet files split by bytes where that is smaller. DuckDB, pyarrow and Trino read the encoding BYTE_STREAM_SPLIT; the vectorized readers of Spark, and of Iceberg for Spark, only in releases of 2026."},
	{Name: "snapshot_retention", Kind: connectors.OptionDuration, Default: "1h", Max: int64(3650 * 24 * time.Hour), Runtime: true, Doc: "How long old snapshots of the table can be read; 100 are always kept, 500 at most."},
	{Name: "adopt", Kind: connectors.OptionBool, Default: "false", Doc: "Takes over table metadata that lies at the table's place and that the catalog does not know."},
	{Name: "path_template", Doc: "Form of the folders below a Hive table's, instead of name=value/…: text with !{partition:name}, !{timestamp:yyyy/MM/dd/HH} (when the file was begun, in letters of Java's DateTimeFormatter) and !{random}, also as Amazon Data Firehose spells them."},
}.With(outsideSpec)

// sinkSpec are all options of a sink.
var sinkSpec = connectors.Spec{
	{Name: "path", Required: true, Identity: true, Doc: "Folder of the tables: s3://bucket/prefix, file:///folder or an absolute path."},
	{Name: "endpoint", Doc: "URL of an S3 server that is not AWS."},
	{Name: "region", Doc: "Region of the bucket; default is the environment's."},
	{Name: "access_key_id", Doc: "Access key; default is the environment's credential chain."},
	{Name: "secret_access_key", Secret: true, Doc: "Secret of the access key."},
	{Name: "session_token", Secret: true, Doc: "Token of temporary credentials."},
	{Name: "path_style", Kind: connectors.OptionBool, Doc: "Address the bucket as endpoint/bucket; default true with an endpoint."},
	{Name: "sse", Choices: []string{"AES256", "aws:kms"}, Doc: "Server-side encryption of what is written."},
	{Name: "kms_key", Doc: "Key of aws:kms; default is the account's own."},
	{Name: "table_format", Default: "iceberg", Identity: true, Choices: []string{"iceberg", "hive"}, Doc: "How tables are kept: as Apache Iceberg tables or as plain folders."},
	{Name: "catalog", Default: "local", Identity: true, Choices: []string{"local", "rest", "glue"}, Doc: "Who knows the tables: an SQLite file, an Iceberg REST service, or the AWS Glue Data Catalog. Hive folders know themselves; with glue they are registered there, too."},
	{Name: "catalog_uri", Identity: true, Doc: "SQLite file of the local catalog: a path or sqlite:////path; default iceberg.db in the data directory. With rest the service's base URL, without /v1."},
	{Name: "catalog_name", Default: "leat", Identity: true, Doc: "Name of the local catalog within its file."},
}.With(glueSpec, restSpec, streamSpec)

// settings are a stream's options, read once.
type settings struct {
	encoding       parquetfile.Options
	targetFileSize int64
	retention      time.Duration
	maxOpen        int64 // partitions
	// extension ends the names of files in Hive folders.
	extension string
}

func newSettings(o connectors.Options) settings {
	return settings{
		encoding: parquetfile.Options{
			Compression:   parquetfile.Compression(o.String("compression")),
			Level:         int(o.Int("compression_level")),
			RowGroupBytes: o.Size("row_group_size"),
			CreatedBy:     "leat version 1",
			BloomColumns:  o.List("bloom_filter_columns"), ByteStreamSplit: o.Bool("byte_stream_split"),
		},
		targetFileSize: o.Size("target_file_size"),
		retention:      o.Duration("snapshot_retention"),
		maxOpen:        o.Int("max_open_partitions"),
		extension:      hive.Extension(o.String("format"), o.String("compression")),
	}
}
