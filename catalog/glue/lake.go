package glue

import (
	"context"
	"fmt"
	"slices"
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
		f.Format = "json"
	case strings.HasSuffix(library, ".OpenCSVSerde"), strings.HasSuffix(library, ".LazySimpleSerDe"):
		f.Format = "csv"
		p := sd.SerdeInfo.Parameters
		for _, key := range []string{"separatorChar", "field.delim", "serialization.format"} {
			if d, ok := p[key]; ok && d != "," && (key != "serialization.format" || p["field.delim"] == "" && d != "1") {
				return nil, bad("its fields are separated by %q, only commas can be read", d)
			}
		}
		if strings.HasSuffix(library, ".LazySimpleSerDe") && p["field.delim"] == "" && p["serialization.format"] != "," {
			return nil, bad("its fields are separated by a control character, only commas can be read")
		}
		f.Options = map[string]string{"header": fmt.Sprint(t.Parameters["skip.header.line.count"] == "1")}
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
