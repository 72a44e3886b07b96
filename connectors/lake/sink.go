// Package lake writes streams to the tables of a lake: it partitions rows,
// encodes them as Parquet, uploads the files while they grow and commits them
// together with the stream's state, exactly once.
//
// The parts, from the lane to the table: lane.go takes rows, router.go finds
// each row's partition, package parquetfile encodes, upload.go sends files,
// stream.go commits by the decisions of package protocol to tables of
// catalog/iceberg or catalog/hive; what only the latter needs is in hive.go.
package lake

import (
	"context"
	"errors"
	"path/filepath"
	"strings"

	icebergcatalog "github.com/apache/iceberg-go/catalog"
	"github.com/aws/aws-sdk-go-v2/aws"

	"github.com/leatdb/leat/catalog"
	"github.com/leatdb/leat/catalog/iceberg"
	"github.com/leatdb/leat/connectors"
	"github.com/leatdb/leat/connectors/lake/protocol"
	"github.com/leatdb/leat/internal/objectstore"
	"github.com/leatdb/leat/internal/sched"
	"github.com/leatdb/leat/sql/sqlerror"
)

func init() {
	connectors.RegisterSink(&connectors.SinkConnector{
		Name:       "s3",
		Doc:        "Tables of files on S3 or in a local folder, as Apache Iceberg tables or as plain Hive-style folders.",
		Spec:       sinkSpec,
		StreamSpec: streamSpec,
		Open:       open,
		Places: func(o connectors.Options, table string) []string {
			l, err := objectstore.ParseLocation(o.String("path"))
			if err != nil {
				return nil // opening it says so
			}
			return []string{o.String("endpoint") + l.String() + "/" + table + "/"}
		},
	})
}

// Config opens a lake over a store of the caller's.
type Config struct {
	Name string // of the sink, the namespace of its tables
	// Store is rooted at the lake's folder; Close closes it.
	Store objectstore.Store
	// TableFormat is "iceberg", also when empty, or "hive"; the latter needs a
	// Store that is an objectstore.Stager and no catalog.
	TableFormat string
	// CatalogPath is the SQLite file of the catalog, CatalogName its name in it.
	CatalogPath, CatalogName string
	// REST is used instead of CatalogPath; nil for none.
	REST *iceberg.REST
	// Glue is the AWS Glue Data Catalog that is used instead of CatalogPath, or
	// beside the logs of Hive folders; nil for none.
	Glue *aws.Config
	// WrapCatalog is iceberg.Options.Wrap.
	WrapCatalog func(icebergcatalog.Catalog) icebergcatalog.Catalog
	Logger      connectors.Logger
	// Catalog and ComparesProperties are iceberg.Options'.
	Catalog            icebergcatalog.Catalog
	ComparesProperties bool
	// KeepEntries is hive.Options'.
	KeepEntries int64
	// Scheduler is nil for the system's.
	Scheduler sched.Scheduler
	// Rules are left as they are but by tests that show what one is for.
	Rules protocol.Rules
}

// Sink is a lake that streams write to. It implements connectors.Sink.
type Sink struct {
	name      string
	store     objectstore.Store
	lake      tables
	hive      bool // tables are plain folders
	logger    connectors.Logger
	scheduler sched.Scheduler
	rules     protocol.Rules
}

func open(ctx context.Context, cfg connectors.SinkConfig) (connectors.Sink, error) {
	o := cfg.Options
	if err := checkCatalog(o); err != nil {
		return nil, err
	}
	if err := checkFolders(o, o.String("table_format") == formatHive); err != nil {
		return nil, err
	}
	lakeConfig := Config{Name: cfg.Name, TableFormat: o.String("table_format"), CatalogName: o.String("catalog_name"), Logger: cfg.Logger}
	var err error
	switch o.String("catalog") {
	case catalogREST:
		lakeConfig.REST, err = restCatalog(o)
	case catalogGlue:
		lakeConfig.Glue, err = glueCatalog(ctx, o)
	default:
		uri := o.String("catalog_uri")
		if uri == "" {
			uri = "iceberg.db"
		}
		lakeConfig.CatalogPath, err = iceberg.CatalogPath(uri, cfg.DataDir)
	}
	if err != nil {
		return nil, err
	}
	if path := o.String("path"); !strings.Contains(path, "://") && !filepath.IsAbs(path) {
		return nil, sqlerror.Userf(sqlerror.CodeBadOption, "option path: %q is relative", path).
			WithHint("write an absolute path, file:///folder or s3://bucket/prefix")
	}
	lakeConfig.Store, err = objectstore.Open(ctx, objectstore.Config{
		URI: o.String("path"), Endpoint: o.String("endpoint"), Region: o.String("region"),
		PathStyle: o.Bool("path_style"), VirtualHosted: o.Has("path_style") && !o.Bool("path_style"),
		AccessKeyID: o.String("access_key_id"), SecretAccessKey: o.String("secret_access_key"), SessionToken: o.String("session_token"),
		SSE: o.String("sse"), KMSKey: o.String("kms_key"),
	})
	if err != nil {
		return nil, err
	}
	return Open(ctx, lakeConfig)
}

// Open opens a lake.
func Open(ctx context.Context, cfg Config) (*Sink, error) {
	l, err := openTables(ctx, cfg)
	if err != nil {
		return nil, errors.Join(err, cfg.Store.Close())
	}
	logger := cfg.Logger
	if logger == nil {
		logger = silent{}
	}
	scheduler := cfg.Scheduler
	if scheduler == nil {
		scheduler = sched.System{}
	}
	return &Sink{
		name: cfg.Name, store: cfg.Store, lake: l, hive: cfg.TableFormat == formatHive, logger: logger, scheduler: scheduler, rules: cfg.Rules,
	}, nil
}

type silent struct{}

func (silent) Debug(string, ...any) {}
func (silent) Info(string, ...any)  {}
func (silent) Warn(string, ...any)  {}

// Lake is the readable side: the tables of the sink.
func (s *Sink) Lake() catalog.Lake { return s.lake }

// Check implements connectors.Sink: it lists, writes and deletes a small object
// and asks the catalog.
func (s *Sink) Check(ctx context.Context) error {
	if err := s.store.Check(ctx); err != nil {
		return err
	}
	return s.lake.Check(ctx)
}

// Close implements connectors.Sink.
func (s *Sink) Close() error { return errors.Join(s.lake.Close(), s.store.Close()) }

// Stream implements connectors.Sink.
func (s *Sink) Stream(ctx context.Context, spec connectors.StreamSpec) (connectors.StreamSink, error) {
	if err := s.checkFormat(spec.Options); err != nil {
		return nil, err
	}
	spec = spec.WithDefaults(s.logger)
	d := catalog.Definition{
		Name: spec.Table, Schema: spec.Schema, Adopt: spec.Adopt || spec.Options.Bool("adopt"), Stream: spec.Stream,
		Format: spec.Options.String("format"), Options: formatOptions(spec.Options), PathTemplate: spec.Options.String("path_template"),
		Writers: func(properties map[string]string) catalog.Writers { return writersOf(spec.Stream, properties) },
	}
	for _, f := range spec.Partition {
		d.Partition = append(d.Partition, catalog.PartitionField{Name: f.Name, Column: f.Column, Transform: f.Transform})
	}
	if spec.Table == catalog.DeadLetterTable {
		return nil, sqlerror.Userf(sqlerror.CodeConflict, "table %s takes dead letters and cannot be a stream's target", spec.Table)
	}
	if s.hive {
		// What they say is checked before the table is made.
		for _, name := range []string{"error_path", "backup"} {
			place, err := s.openOutside(spec.Options, name)
			if err != nil {
				return nil, err
			}
			if place == nil || spec.Dropping {
				continue
			}
			if err := place.look(ctx); err != nil {
				return nil, aboutOption(err, name)
			}
		}
	}
	ctx, end := doing(objectstore.NewStalls(spec.Retrying).Context(ctx), spec)
	defer end()
	target, err := s.lake.Define(ctx, d)
	if err != nil {
		return nil, err
	}
	l := deadLetterDefinition(d.Adopt)
	l.Stream = spec.Stream
	if s.hive {
		l.Partition = nil
	}
	letters, err := s.lake.Define(ctx, l)
	if err != nil {
		return nil, err
	}
	return newStreamSink(s, spec, target, letters)
}

// doing is a context whose committers tell the stream what they are at, until end is
// called.
func doing(ctx context.Context, spec connectors.StreamSpec) (_ context.Context, end func()) {
	return catalog.WithProgress(ctx, func(s catalog.Step) { spec.Doing(s.String()) }), func() { spec.Doing("") }
}

// writersOf says who writes to a table with these properties. A record that
// cannot be read counts: Begin reports it.
func writersOf(stream string, properties map[string]string) catalog.Writers {
	var w catalog.Writers
	for _, name := range protocol.Streams(properties) {
		if name != stream {
			w.Others = append(w.Others, name)
			continue
		}
		w.Started = true
		if r, err := protocol.Decode(properties[protocol.Key(name)]); err == nil && r != nil {
			w.Columns = r.Columns
		}
	}
	return w
}
