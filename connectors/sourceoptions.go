package connectors

import (
	"log/slog"
	"time"
)

// DefaultMaxRecordBytes is max_record_bytes when the user gives none.
const DefaultMaxRecordBytes = 16 << 20

// SourceOptions are the options of every source; a connector appends them to
// its own (Spec.With), and so may give one of them another default.
var SourceOptions = Spec{
	{Name: "connector", Doc: "The kind of source."},
	{Name: "format", Doc: "How records are encoded; the default depends on the connector."},
	{Name: "framing", Choices: []string{"lines", "document"}, Doc: "What delimits values: 'lines' ends a record at each line break (the default for files), 'document' takes each payload as one or more values (the default for messages)."},
	{Name: "validation", Default: "structure", Choices: []string{"structure", "full", "projected"}, Doc: "How much of a record is checked: its structure, all of the format's grammar, or only what the query reads."},
	{Name: "on_field_error", Default: "dead_letter", Choices: []string{"dead_letter", "null"}, Doc: "What happens to a record with a value that does not fit its column: the record becomes a dead letter, or the column NULL."},
	{Name: "columns_from", Doc: "The name of another source whose columns this one takes."},
	{Name: "max_record_bytes", Kind: OptionSize, Default: "16MiB", Min: 1, Max: 1 << 30, Doc: "A larger record becomes a dead letter."},
	{Name: "on_data_loss", Default: "fail", Choices: []string{"fail", "skip"}, Doc: "What happens when records are gone before they were read: the stream fails, or goes on and notes the loss in leat.commits."},
	{Name: "chunk_bytes", Kind: OptionSize, Default: "4MiB", Min: 1 << 10, Max: 256 << 20, Doc: "About how many bytes a lane takes at a time."},
	{Name: "prefetch_bytes", Kind: OptionSize, Default: "64MiB", Min: 1 << 20, Max: 64 << 30, Doc: "How many bytes the source may hold in memory beyond what lanes work on."},
	{Name: "discovery_interval", Kind: OptionDuration, Default: "10s", Min: int64(time.Millisecond), Doc: "How often new splits (partitions, files) are looked for."},
}

// WithDefaults fills what the caller left zero: ChunkBytes and PrefetchBytes
// from the options, one lane, the wall clock, a logger that discards.
func (cfg SourceConfig) WithDefaults() SourceConfig {
	orDefault := func(n int, option string) int {
		if n > 0 {
			return n
		}
		spec := cfg.Options.spec.With(SourceOptions)
		return int(Options{spec: spec, values: cfg.Options.values}.Size(option))
	}
	cfg.ChunkBytes = orDefault(cfg.ChunkBytes, "chunk_bytes")
	cfg.PrefetchBytes = orDefault(cfg.PrefetchBytes, "prefetch_bytes")
	if cfg.Lanes < 1 {
		cfg.Lanes = 1
	}
	if cfg.Retrying == nil {
		cfg.Retrying = func(error) {}
	}
	if cfg.Now == nil {
		cfg.Now = time.Now
	}
	if cfg.Logger == nil {
		cfg.Logger = slog.New(slog.DiscardHandler)
	}
	return cfg
}

// SkipsDataLoss reports whether the source goes on after data loss
// (on_data_loss = 'skip').
func (cfg SourceConfig) SkipsDataLoss() bool { return cfg.Options.String("on_data_loss") == "skip" }

// MaxRecordBytes is the option max_record_bytes.
func (cfg SourceConfig) MaxRecordBytes() int {
	if n := cfg.Options.Size("max_record_bytes"); n > 0 {
		return int(n)
	}
	return DefaultMaxRecordBytes
}
