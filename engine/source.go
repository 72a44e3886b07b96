//go:build gms_pure_go && duckdb_arrow

package engine

import (
	"context"
	"errors"
	"fmt"
	"io"
	"slices"
	"strings"
	"time"

	"github.com/leatdb/leat/connectors"
	"github.com/leatdb/leat/connectors/push"
	"github.com/leatdb/leat/sql"
	"github.com/leatdb/leat/sql/sqlerror"
	"github.com/leatdb/leat/sql/types"
)

// source is a defined source: what its definition means.
type source struct {
	name      string
	def       *sql.CreateSource
	connector *connectors.SourceConnector
	format    *connectors.Format
	options   connectors.Options
	schema    types.Schema
	inferred  bool         // the schema was sampled
	given     types.Schema // the columns that the format's options give
	hub       *push.Hub
	err       error // why a stored definition cannot be used now
}

const (
	checkTimeout  = 15 * time.Second
	sampleTimeout = 15 * time.Second
	sampleBytes   = 4 << 20
	pushBytes     = 16 << 20
)

// optionValue finds an option that decides which options there are, its
// substitutions made. One that cannot be made stays as it is written, to be
// reported when all options are read.
func optionValue(options []sql.Option, name string) (sql.Option, bool) {
	i := slices.IndexFunc(options, func(o sql.Option) bool { return o.Name == name })
	if i < 0 {
		return sql.Option{}, false
	}
	o := options[i]
	if value, err := connectors.Expand(o.Value); err == nil {
		o.Value = value
	}
	return o, true
}

// newSource gives a definition its meaning: the connector, the format, checked
// options, and columns where they are declared or taken from another source.
func (db *DB) newSource(def *sql.CreateSource) (*source, error) {
	s := &source{name: def.Name.Name, def: def}
	connector, ok := optionValue(def.Options, "connector")
	if !ok {
		names := make([]string, 0)
		for _, c := range connectors.Sources() {
			names = append(names, "'"+c.Name+"'")
		}
		return nil, sqlerror.Userf(sqlerror.CodeBadOption, "option \"connector\" is required").At(def.Name.Pos).
			About("source "+s.name).WithHint("it is one of %s", strings.Join(names, ", "))
	}
	var err error
	if s.connector, err = connectors.LookupSource(connector.Value); err != nil {
		return nil, about(err, "source "+s.name, connector.Pos)
	}
	spec := s.connector.Spec.With(connectors.SourceOptions, secretSpec)
	formatName := s.connector.FormatDefault
	if f, ok := optionValue(def.Options, "format"); ok {
		formatName = f.Value
	}
	if formatName != "" && formatName != "none" {
		if s.format, err = connectors.LookupFormat(formatName); err != nil {
			f, _ := optionValue(def.Options, "format")
			return nil, about(err, "source "+s.name, f.Pos)
		}
		spec = spec.With(s.format.Spec)
	}
	raw, err := db.rawOptions(def.Options)
	if err != nil {
		return nil, about(err, "source "+s.name, def.Name.Pos)
	}
	if s.options, err = spec.NewOptions(raw); err != nil {
		return nil, about(err, "source "+s.name, def.Name.Pos)
	}
	if s.format == nil {
		return nil, sqlerror.Userf(sqlerror.CodeBadOption, "option \"format\" is required").At(def.Name.Pos).About("source " + s.name).WithHint("write format = 'json'")
	}
	if s.format.Check != nil {
		if s.given, err = s.format.Check(s.options); err != nil {
			return nil, about(err, "source "+s.name, def.Name.Pos)
		}
	}
	s.schema = def.Schema()
	if from := s.options.String("columns_from"); from != "" {
		if len(s.schema) > 0 {
			return nil, sqlerror.Userf(sqlerror.CodeBadOption, "columns are declared and columns_from is given").At(def.Name.Pos).About("source " + s.name)
		}
		other := db.source(from)
		if other == nil {
			o, _ := optionValue(def.Options, "columns_from")
			return nil, db.unknown(sql.KindSource, from, o.Pos)
		}
		s.schema = other.schema
	}
	if len(s.schema) == 0 && s.connector.Schema != nil {
		if s.schema, err = s.connector.Schema(s.options); err != nil {
			return nil, about(err, "source "+s.name, def.Name.Pos)
		}
	}
	if w := def.Watermark; w != nil && s.schema.Index(w.Column.Name) < 0 {
		return nil, sqlerror.Userf(sqlerror.CodeUnknownColumn, "unknown column %s in WATERMARK FOR", w.Column.Name).At(w.Pos).About("source " + s.name)
	}
	if s.connector == push.Connector {
		s.hub = push.NewHub(pushBytes)
	}
	return s, nil
}

// exclusive is what a stream reads of the source that no other can at the same time,
// and what to do about it.
func (s *source) exclusive(stream string) (what, hint string) {
	if s.connector.Exclusive == nil {
		return "", ""
	}
	return s.connector.Exclusive(s.options, stream)
}

// config is what opening the source needs, apart from what the stream adds.
func (db *DB) sourceConfig(s *source) connectors.SourceConfig {
	cfg := connectors.SourceConfig{
		Name: s.name, Options: s.options, Columns: s.schema, Lanes: 1,
		ChunkBytes:    int(s.options.Size("chunk_bytes")),
		PrefetchBytes: int(s.options.Size("prefetch_bytes")),
		Retrying:      func(error) {}, Now: db.scheduler.Now, Logger: db.cfg.Logger,
	}
	if s.hub != nil {
		cfg.Handle = s.hub
	}
	return cfg
}

// decoderConfig is what decoding the source needs, apart from the fields.
func (s *source) decoderConfig() connectors.DecoderConfig {
	cfg := connectors.DecoderConfig{
		Schema: s.schema, Framing: s.framing(), Options: s.options,
		MaxRecordBytes: int(s.options.Size("max_record_bytes")),
	}
	if s.options.String("on_field_error") == "null" {
		cfg.OnFieldError = connectors.FieldErrorNull
	}
	switch s.options.String("validation") {
	case "full":
		cfg.Validation = connectors.ValidationFull
	case "projected":
		cfg.Validation = connectors.ValidationProjected
	}
	return cfg
}

func (s *source) framing() connectors.Framing {
	switch s.options.String("framing") {
	case "lines":
		return connectors.FramingLines
	case "document":
		return connectors.FramingDocument
	}
	return s.connector.Framing
}

// checkSource asks the system behind a source whether it can be read at all. An
// unreachable one is no error: streams retry. One that does not let us in, or
// does not have what is asked for, is: only a stream that has run waits for that to
// change.
func (db *DB) checkSource(ctx context.Context, s *source) (note string, err error) {
	note, err = s.check(ctx, db.sourceConfig(s))
	return note, about(err, "source "+s.name, s.def.Name.Pos)
}

// check is checkSource's with another configuration than the definition's.
func (s *source) check(ctx context.Context, cfg connectors.SourceConfig) (note string, err error) {
	if s.connector.Check == nil {
		return "", nil
	}
	ctx, cancel := context.WithTimeout(ctx, checkTimeout)
	defer cancel()
	err = s.connector.Check(ctx, cfg)
	if err != nil && !isRefused(err) {
		return fmt.Sprintf("source %s cannot be reached now: %s", s.name, strings.TrimPrefix(err.Error(), "source "+s.name+": ")), nil
	}
	return "", err
}

// inferColumns samples a source that was declared without columns.
func (db *DB) inferColumns(ctx context.Context, s *source) error {
	if len(s.schema) > 0 {
		return nil
	}
	if len(s.given) > 0 {
		s.schema, s.inferred = s.given, true
		return nil
	}
	at := s.def.Name.Pos
	if s.format.Infer == nil || s.hub != nil {
		return sqlerror.Userf(sqlerror.CodeBadOption, "columns cannot be inferred for this source").At(at).About("source " + s.name).WithHint("declare the columns")
	}
	schema, err := db.sample(ctx, s)
	if err != nil {
		return sqlerror.Externalf(sqlerror.CodeExternal, "no columns are declared, and sampling the input failed: %w", err).At(at).About("source " + s.name).WithHint("declare the columns").Final()
	}
	if len(schema) == 0 {
		return sqlerror.Userf(sqlerror.CodeState, "no columns are declared, and the input is empty").At(at).About("source " + s.name).WithHint("declare the columns, or create the source when there is data")
	}
	s.schema, s.inferred = schema, true
	return nil
}

// sample reads the beginning of a source and infers its columns.
func (db *DB) sample(ctx context.Context, s *source) (types.Schema, error) {
	cfg := db.sourceConfig(s)
	if spec := s.connector.Spec.Find("start"); spec != nil {
		if s.connector.Spec.Find("start").Default != "" || s.options.Has("start") {
			earliest, err := (connectors.Spec{*spec}).NewOptions([]connectors.RawOption{{Name: "start", Value: "earliest"}})
			if err == nil {
				cfg.Options = cfg.Options.Over(earliest)
			}
		}
	}
	cfg.ChunkBytes = sampleBytes / 8
	var chunks []*connectors.Chunk
	total := 0
	err := db.read(ctx, s, cfg, sampleTimeout, func(c *connectors.Chunk) bool {
		chunks = append(chunks, copyChunk(c))
		total += len(c.Data)
		return total < sampleBytes
	})
	if err != nil {
		return nil, err
	}
	if total == 0 {
		return nil, nil
	}
	return s.format.Infer(chunks, s.decoderConfig())
}

func copyChunk(c *connectors.Chunk) *connectors.Chunk {
	data := connectors.Grow(nil, len(c.Data))
	copy(data, c.Data)
	return &connectors.Chunk{Split: c.Split, Data: data, Records: slices.Clone(c.Records), Base: c.Base, Header: slices.Clone(c.Header), Block: c.Block, Ranges: c.Ranges}
}

// read hands what a source holds now to f, until f says false, everything that
// it held when read began has been read, or timeout is over.
func (db *DB) read(ctx context.Context, s *source, cfg connectors.SourceConfig, timeout time.Duration, f func(*connectors.Chunk) bool) (err error) {
	outer := ctx
	ctx, cancel := context.WithTimeout(ctx, timeout)
	defer cancel()
	src, err := s.connector.Open(ctx, cfg)
	if err != nil {
		return fmt.Errorf("open source %s: %w", s.name, err)
	}
	defer func() { err = errors.Join(err, src.Close()) }()
	splits, err := src.Splits(ctx, true, nil)
	if err != nil {
		return fmt.Errorf("list splits of source %s: %w", s.name, err)
	}
	positions := connectors.Positions{}
	for _, split := range splits {
		positions[split.ID] = split.Start
	}
	if err := src.Assign(ctx, positions); err != nil {
		return fmt.Errorf("assign splits of source %s: %w", s.name, err)
	}
	ends, err := src.Ends(ctx)
	if err != nil {
		return fmt.Errorf("find the end of source %s: %w", s.name, err)
	}
	var chunk connectors.Chunk
	for got := false; !reached(src, ends); {
		err := src.Poll(ctx, 0, &chunk)
		switch {
		case errors.Is(err, io.EOF):
			return nil
		case outer.Err() != nil:
			return outer.Err()
		case ctx.Err() != nil && (got || err == nil || errors.Is(err, ctx.Err())):
			return nil
		case err != nil:
			return fmt.Errorf("read source %s: %w", s.name, err)
		}
		got = true
		if !f(&chunk) {
			return nil
		}
	}
	return nil
}

func reached(src connectors.Source, ends connectors.Positions) bool {
	if len(ends) == 0 {
		return false
	}
	positions := src.Positions()
	for split, end := range ends {
		if !src.Reached(split, positions[split], end) {
			return false
		}
	}
	return true
}

// source finds a source by name, or nil.
func (db *DB) source(name string) *source {
	db.mu.RLock()
	defer db.mu.RUnlock()
	return db.sources[strings.ToLower(name)]
}

// unknown is the error for an object that does not exist, with the nearest name
// that does.
func (db *DB) unknown(kind sql.Kind, name string, at sqlerror.Position) error {
	e := sqlerror.Userf(sqlerror.CodeUnknownObject, "unknown %s %s", kind, name).At(at)
	names := db.names(kind)
	if near := sqlerror.Nearest(name, names); near != "" {
		return e.WithHint("did you mean %s?", near)
	}
	if len(names) == 0 {
		return e.WithHint("there is no %s yet; see CREATE %s", kind, kind.Keyword())
	}
	return e.WithHint("SHOW %sS lists what there is", kind.Keyword())
}

func (db *DB) names(kind sql.Kind) []string {
	db.mu.RLock()
	defer db.mu.RUnlock()
	var names []string
	switch kind {
	case sql.KindSource:
		for _, s := range db.sources {
			names = append(names, s.name)
		}
	case sql.KindSink:
		for _, s := range db.sinks {
			names = append(names, s.name)
		}
	case sql.KindStream:
		for _, s := range db.streams {
			names = append(names, s.name)
		}
	case sql.KindSecret:
		names = db.secretNames()
	}
	slices.Sort(names)
	return names
}
