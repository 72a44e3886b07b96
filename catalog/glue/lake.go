package glue

import (
	"cmp"
	"context"
	"fmt"
	"slices"
	"strconv"
	"strings"

	"github.com/aws/aws-sdk-go-v2/aws"
	gluetypes "github.com/aws/aws-sdk-go-v2/service/glue/types"

	"github.com/leatdb/leat/catalog"
	"github.com/leatdb/leat/catalog/hive"
	"github.com/leatdb/leat/internal/objectstore"
	"github.com/leatdb/leat/sql/sqlerror"
	"github.com/leatdb/leat/sql/types"
)

// Lake is the tables of a sink and whatever else is in its database, whoever put
// it there. It implements catalog.Lake.
type Lake struct {
	// Own are the tables that the sink writes. OwnIceberg says that they are those
	// of Iceberg in the catalog itself.
	Own        catalog.Lake
	OwnIceberg bool
	// Iceberg reads tables of Iceberg where Own does not.
	Iceberg func(ctx context.Context) (catalog.Lake, error)
	Catalog *Catalog
	Store   objectstore.Store
}

// Tables implements catalog.Lake.
func (l *Lake) Tables(ctx context.Context) ([]string, error) {
	var own []string
	var err error
	if !l.OwnIceberg {
		if own, err = l.Own.Tables(ctx); err != nil {
			return nil, err
		}
	}
	all, err := l.Catalog.tables(ctx)
	if err != nil {
		return nil, err
	}
	names := slices.Clone(own)
	for _, t := range all {
		name := aws.ToString(t.Name)
		if !slices.ContainsFunc(own, func(s string) bool { return strings.EqualFold(s, name) }) {
			names = append(names, name)
		}
	}
	slices.Sort(names)
	return names, nil
}

// Table implements catalog.Lake. A table of others whose format cannot be read
// is an error with sqlerror.CodeUnsupported that says why.
func (l *Lake) Table(ctx context.Context, name string) (catalog.Table, error) {
	if !l.OwnIceberg {
		t, err := l.Own.Table(ctx, name)
		if err == nil || !sqlerror.HasCode(err, sqlerror.CodeUnknownObject) {
			return t, err
		}
	}
	found, err := l.Catalog.get(ctx, name)
	if err != nil {
		return nil, err
	}
	switch {
	case found == nil:
		return nil, sqlerror.Userf(sqlerror.CodeUnknownObject, "there is no table %s.%s", l.Catalog.database, name)
	case isIceberg(found) && l.OwnIceberg:
		return l.Own.Table(ctx, name)
	case isIceberg(found):
		lake, err := l.Iceberg(ctx)
		if err != nil {
			return nil, err
		}
		return lake.Table(ctx, aws.ToString(found.Name))
	}
	return l.foreign(found)
}

// DropTable implements catalog.Lake. What others have made only they remove.
func (l *Lake) DropTable(ctx context.Context, name string) error {
	if !l.OwnIceberg {
		if err := l.Own.DropTable(ctx, name); !sqlerror.HasCode(err, sqlerror.CodeUnknownObject) {
			return err
		}
	}
	switch found, err := l.Catalog.get(ctx, name); {
	case err != nil:
		return err
	case found != nil && isIceberg(found) && l.OwnIceberg:
		return l.Own.DropTable(ctx, name)
	case found != nil:
		return sqlerror.Userf(sqlerror.CodeUnsupported, "table %s.%s was not made by leat, which does not remove it", l.Catalog.database, name).
			WithHint("remove it in the Glue Data Catalog, and its files in their bucket")
	}
	return sqlerror.Userf(sqlerror.CodeUnknownObject, "there is no table %s.%s", l.Catalog.database, name)
}

// delimiter is the character that LazySimpleSerDe takes a parameter for: a number
// is that of a byte.
func delimiter(text string) string {
	if n, err := strconv.ParseInt(text, 10, 8); err == nil && n >= 0 {
		return string(rune(n))
	}
	return text[:1]
}

// foreign is a table of plain folders that others describe.
func (l *Lake) foreign(t *gluetypes.Table) (catalog.Table, error) {
	name := aws.ToString(t.Name)
	bad := func(format string, args ...any) *sqlerror.Error {
		return sqlerror.Userf(sqlerror.CodeUnsupported, "table %s.%s cannot be read: "+format, append([]any{l.Catalog.database, name}, args...)...)
	}
	if kind := aws.ToString(t.TableType); strings.Contains(kind, "VIEW") {
		return nil, bad("it is a view of another engine")
	}
	for _, key := range []string{"table_type", "spark.sql.sources.provider"} {
		if kind := strings.ToLower(t.Parameters[key]); kind != "" && !slices.Contains([]string{"parquet", "json", "csv", "hive"}, kind) {
			return nil, bad("its format is %s", kind).WithHint("Iceberg tables, and Parquet, JSON and CSV files can be read")
		}
	}
	sd := t.StorageDescriptor
	if sd == nil || sd.SerdeInfo == nil || aws.ToString(sd.Location) == "" {
		return nil, bad("it has no place or no format")
	}
	if t.Parameters["projection.enabled"] == "true" {
		return nil, bad("its partitions are projected")
	}
	f := &hive.Foreign{
		TableName: name, URI: *sd.Location, VersionText: aws.ToString(t.VersionId) + "@" + *sd.Location, Props: t.Parameters, Store: l.Store,
	}
	switch library := aws.ToString(sd.SerdeInfo.SerializationLibrary); {
	case strings.HasSuffix(library, ".ParquetHiveSerDe"):
		f.Format = "parquet"
	case strings.HasSuffix(library, ".JsonSerDe"):
		f.Format, f.Options = "json", map[string]string{catalog.OptionAnyCase: fmt.Sprint(sd.SerdeInfo.Parameters["case.insensitive"] != "false")}
		for key := range sd.SerdeInfo.Parameters {
			if strings.HasPrefix(key, "mapping.") || key == "dots.in.keys" && sd.SerdeInfo.Parameters[key] == "true" {
				return nil, bad("its columns have other names in the files, by the parameter %s", key)
			}
		}
	case strings.HasSuffix(library, ".OpenCSVSerde"):
		f.Format = "csv"
		if d := cmp.Or(sd.SerdeInfo.Parameters["separatorChar"], ","); d != "," {
			return nil, bad("its fields are separated by %q, only commas can be read where fields may be quoted", d)
		}
		if q := cmp.Or(sd.SerdeInfo.Parameters["quoteChar"], `"`); q != `"` {
			return nil, bad("its fields are quoted by %q", q)
		}
		skip := cmp.Or(t.Parameters["skip.header.line.count"], "0")
		if skip != "0" && skip != "1" {
			return nil, bad("its files begin with %s lines that are no rows", skip)
		}
		f.Options = map[string]string{"header": fmt.Sprint(skip == "1")}
	case strings.HasSuffix(library, ".LazySimpleSerDe"):
		p := sd.SerdeInfo.Parameters
		if p["escape.delim"] != "" {
			return nil, bad("its fields are escaped by %q", p["escape.delim"])
		}
		null, ok := p["serialization.null.format"]
		if !ok {
			null = `\N`
		}
		skip := cmp.Or(t.Parameters["skip.header.line.count"], "0")
		if _, err := strconv.ParseUint(skip, 10, 16); err != nil {
			return nil, bad("its skip.header.line.count is %q", skip)
		}
		f.Format = catalog.FormatDelimited
		f.Options = map[string]string{catalog.OptionDelimiter: delimiter(cmp.Or(p["field.delim"], p["serialization.format"], "1")), catalog.OptionNullText: null, catalog.OptionSkipLines: skip}
	default:
		return nil, bad("its files are read by %s", library).WithHint("Iceberg tables, and Parquet, JSON and CSV files can be read")
	}
	for i, c := range append(slices.Clone(sd.Columns), t.PartitionKeys...) {
		typ, err := fromHive(aws.ToString(c.Type))
		if err != nil {
			return nil, bad("column %s: %w", aws.ToString(c.Name), err)
		}
		f.Columns = append(f.Columns, types.Column{Name: aws.ToString(c.Name), Type: typ})
		if i >= len(sd.Columns) {
			f.Partition = append(f.Partition, i)
		}
	}
	f.Folders = func(ctx context.Context) ([]catalog.RegisteredPartition, error) {
		if len(f.Partition) == 0 {
			return []catalog.RegisteredPartition{{Location: *sd.Location}}, nil
		}
		var list []catalog.RegisteredPartition
		err := l.Catalog.partitionsOf(ctx, name, func(p gluetypes.Partition) error {
			if p.StorageDescriptor == nil {
				return nil
			}
			list = append(list, catalog.RegisteredPartition{Values: p.Values, Location: aws.ToString(p.StorageDescriptor.Location)})
			return nil
		})
		return list, err
	}
	return f, nil
}
