package lake

import (
	"context"
	"strconv"

	"github.com/leatdb/leat/catalog"
	"github.com/leatdb/leat/catalog/hive"
	"github.com/leatdb/leat/catalog/iceberg"
	"github.com/leatdb/leat/connectors"
	"github.com/leatdb/leat/internal/objectstore"
	"github.com/leatdb/leat/sql/sqlerror"
)

// formatHive is the table format of plain folders.
const formatHive = "hive"

// tables are a sink's: they can be read, and made ready to be written to.
type tables interface {
	catalog.Lake
	Define(ctx context.Context, d catalog.Definition) (*catalog.Target, error)
	Check(ctx context.Context) error
	Close() error
}

func openTables(ctx context.Context, cfg Config) (tables, error) {
	if cfg.Glue != nil {
		return openGlue(ctx, cfg)
	}
	if cfg.TableFormat != formatHive {
		l, err := iceberg.Open(ctx, iceberg.Options{
			Namespace: cfg.Name, Store: cfg.Store, CatalogPath: cfg.CatalogPath, CatalogName: cfg.CatalogName, REST: cfg.REST,
			Wrap: cfg.WrapCatalog, Catalog: cfg.Catalog, ComparesProperties: cfg.ComparesProperties, Scheduler: cfg.Scheduler,
		})
		if err != nil {
			return nil, err
		}
		return icebergTables{l}, nil
	}
	stager, ok := cfg.Store.(objectstore.Stager)
	if !ok {
		return nil, errNoStager
	}
	l, err := hive.Open(hive.Options{Namespace: cfg.Name, Store: stager, Scheduler: cfg.Scheduler, KeepEntries: cfg.KeepEntries})
	if err != nil {
		return nil, err
	}
	return l, nil
}

// icebergTables are those of an Iceberg catalog.
type icebergTables struct{ *iceberg.Lake }

// Define implements tables.
func (t icebergTables) Define(ctx context.Context, d catalog.Definition) (*catalog.Target, error) {
	target, err := t.Lake.Define(ctx, d)
	if err != nil {
		return nil, err
	}
	return &catalog.Target{Committer: target.Committer, Columns: target.Columns, Spec: target.Spec, Location: target.Location}, nil
}

// checkFormat refuses options of files that do not go together.
func (s *Sink) checkFormat(o connectors.Options) error {
	if err := checkFolders(o, s.hive); err != nil {
		return err
	}
	format, compression := o.String("format"), o.String("compression")
	switch {
	case format != "parquet" && !s.hive:
		return sqlerror.Userf(sqlerror.CodeBadOption, "format = '%s' needs plain folders", format).
			WithHint("give the sink table_format = 'hive', or leave format out")
	case format != "parquet" && compression == "snappy":
		return sqlerror.Userf(sqlerror.CodeBadOption, "compression = 'snappy' is for format = 'parquet'").
			WithHint("write compression = 'zstd', 'gzip' or 'none'")
	case format != "parquet" && o.Has("bloom_filter_columns"):
		return sqlerror.Userf(sqlerror.CodeBadOption, "bloom_filter_columns is for format = 'parquet'").WithHint("leave it out")
	case format != "csv" && o.Has("header"):
		return sqlerror.Userf(sqlerror.CodeBadOption, "header is for format = 'csv'").WithHint("leave it out")
	}
	return nil
}

// checkFolders refuses options of plain folders that cannot be, as far as they
// say it themselves.
func checkFolders(o connectors.Options, isHive bool) error {
	for _, name := range []string{"path_template", "error_path", "backup"} {
		if o.Has(name) && !isHive {
			return sqlerror.Userf(sqlerror.CodeBadOption, "option %s needs plain folders", name).
				WithHint("give the sink table_format = 'hive', or leave %s out", name)
		}
	}
	for _, name := range []string{"error_path", "backup"} {
		if err := checkOutside(o, name); err != nil {
			return err
		}
	}
	if o.Has("path_template") {
		return aboutOption(hive.CheckTemplate(o.String("path_template"), hive.DataFiles), "path_template")
	}
	return nil
}

// pathTemplate is the form of a stream's folders, nil for the usual one.
func pathTemplate(spec connectors.StreamSpec) (*hive.Template, error) {
	text := spec.Options.String("path_template")
	if text == "" {
		return nil, nil
	}
	var names []string
	for _, f := range spec.Partition {
		names = append(names, spec.Schema[f.Column].Name)
	}
	t, err := hive.ParseTemplate(text, names, hive.DataFiles)
	return t, aboutOption(err, "path_template")
}

// formatOptions are those that a reader of the table has to know.
func formatOptions(o connectors.Options) map[string]string {
	if o.String("format") != "csv" {
		return nil
	}
	return map[string]string{"header": strconv.FormatBool(o.Bool("header"))}
}

// RowCheck implements connectors.RowChecker: a partition value of a Hive folder
// has to fit into a path.
func (s *Sink) RowCheck(spec connectors.StreamSpec) (connectors.RowCheck, error) {
	if !s.hive || len(spec.Partition) == 0 {
		return nil, nil
	}
	root, err := objectstore.ParseLocation(s.store.URI(spec.Table))
	if err != nil {
		return nil, err
	}
	columns := make([]int, len(spec.Partition))
	for i, f := range spec.Partition {
		columns[i] = f.Column
	}
	template, err := pathTemplate(spec)
	if err != nil {
		return nil, err
	}
	return pathCheck{hive.NewPathCheck(spec.Schema, columns, len(root.Path), template)}, nil
}

type pathCheck struct{ paths *hive.PathCheck }

// Check implements connectors.RowCheck.
func (c pathCheck) Check(rows connectors.CheckedRows, reject func(row int32, err error)) {
	c.paths.Check(rows.Columns, rows.N, rows.Sel, reject)
}
