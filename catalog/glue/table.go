package glue

import (
	"context"
	"maps"
	"slices"
	"strings"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/glue"
	gluetypes "github.com/aws/aws-sdk-go-v2/service/glue/types"

	"github.com/leatdb/leat/catalog"
	"github.com/leatdb/leat/catalog/hive"
	"github.com/leatdb/leat/sql/sqlerror"
)

// ownerParameter marks tables that Leat has registered; its value is the form
// of what it writes there.
const ownerParameter = "leat.registered"

// typeParameter begins the parameters that hold the declared types of columns
// whose Hive type does not say it.
const typeParameter = "leat.type."

// batch is how many partitions the service takes in a call.
const batch = 100

// serde is how Hive reads a format of files.
type serde struct{ library, input, output string }

var serdes = map[string]serde{
	"parquet": {
		"org.apache.hadoop.hive.ql.io.parquet.serde.ParquetHiveSerDe",
		"org.apache.hadoop.hive.ql.io.parquet.MapredParquetInputFormat",
		"org.apache.hadoop.hive.ql.io.parquet.MapredParquetOutputFormat",
	},
	"json": {"org.openx.data.jsonserde.JsonSerDe", textInput, textOutput},
	"csv":  {"org.apache.hadoop.hive.serde2.OpenCSVSerde", textInput, textOutput},
}

const (
	textInput  = "org.apache.hadoop.mapred.TextInputFormat"
	textOutput = "org.apache.hadoop.hive.ql.io.HiveIgnoreKeyTextOutputFormat"
)

// columns are those of the files and those of the paths.
func columns(t catalog.RegisteredTable) (stored, keys []gluetypes.Column) {
	for i := range t.Schema {
		if !slices.Contains(t.Partition, i) {
			stored = append(stored, gluetypes.Column{
				Name: aws.String(strings.ToLower(t.Schema[i].Name)), Type: aws.String(hiveType(t.Stored[i].Type, t.Format)),
			})
		}
	}
	for _, i := range t.Partition {
		keys = append(keys, gluetypes.Column{
			Name: aws.String(strings.ToLower(t.Schema[i].Name)), Type: aws.String(keyType(t.Stored[i].Type)),
		})
	}
	return stored, keys
}

func storage(t catalog.RegisteredTable, location string) *gluetypes.StorageDescriptor {
	s := serdes[t.Format]
	stored, _ := columns(t)
	parameters := map[string]string{}
	switch t.Format {
	case "parquet":
		parameters["serialization.format"] = "1"
	case "json":
		parameters["case.insensitive"] = "true"
	case "csv":
		parameters["separatorChar"], parameters["quoteChar"] = ",", `"`
	}
	return &gluetypes.StorageDescriptor{
		Columns: stored, Location: aws.String(location + "/"), InputFormat: aws.String(s.input), OutputFormat: aws.String(s.output),
		SerdeInfo: &gluetypes.SerDeInfo{SerializationLibrary: aws.String(s.library), Parameters: parameters},
	}
}

// input is the table as the service takes it. What others have added to old, nil
// if there is none, stays.
func input(t catalog.RegisteredTable, old *gluetypes.Table) *gluetypes.TableInput {
	in := &gluetypes.TableInput{
		Name: aws.String(strings.ToLower(t.Name)), TableType: aws.String("EXTERNAL_TABLE"), Parameters: map[string]string{},
		StorageDescriptor: storage(t, t.Location),
	}
	_, in.PartitionKeys = columns(t)
	if old != nil {
		in.Description, in.Owner, in.Retention = old.Description, old.Owner, old.Retention
		maps.Copy(in.Parameters, old.Parameters)
		maps.DeleteFunc(in.Parameters, func(key, _ string) bool { return strings.HasPrefix(key, typeParameter) })
		if old.StorageDescriptor != nil {
			comments := map[string]*string{}
			for _, c := range append(slices.Clone(old.StorageDescriptor.Columns), old.PartitionKeys...) {
				comments[aws.ToString(c.Name)] = c.Comment
			}
			for _, list := range [][]gluetypes.Column{in.StorageDescriptor.Columns, in.PartitionKeys} {
				for i := range list {
					list[i].Comment = comments[*list[i].Name]
				}
			}
		}
	}
	in.Parameters["EXTERNAL"], in.Parameters["classification"], in.Parameters[ownerParameter] = "TRUE", t.Format, "1"
	if t.Format == "csv" {
		delete(in.Parameters, "skip.header.line.count")
		if t.Options["header"] == "true" {
			in.Parameters["skip.header.line.count"] = "1"
		}
	}
	for i, c := range t.Schema {
		have := hiveType(t.Stored[i].Type, t.Format)
		if plain, err := fromHive(have); err != nil || !plain.Equal(c.Type) {
			in.Parameters[typeParameter+strings.ToLower(c.Name)] = c.Type.String()
		}
	}
	return in
}

// same reports whether a table is registered as in describes it.
func same(have *gluetypes.Table, in *gluetypes.TableInput) bool {
	equal := func(a, b []gluetypes.Column) bool {
		return slices.EqualFunc(a, b, func(a, b gluetypes.Column) bool {
			return aws.ToString(a.Name) == aws.ToString(b.Name) && aws.ToString(a.Type) == aws.ToString(b.Type)
		})
	}
	sd := have.StorageDescriptor
	return sd != nil && equal(sd.Columns, in.StorageDescriptor.Columns) && equal(have.PartitionKeys, in.PartitionKeys) &&
		maps.Equal(have.Parameters, in.Parameters) && sd.SerdeInfo != nil &&
		aws.ToString(sd.SerdeInfo.SerializationLibrary) == aws.ToString(in.StorageDescriptor.SerdeInfo.SerializationLibrary)
}

// get finds a table, nil if there is none.
func (c *Catalog) get(ctx context.Context, name string) (*gluetypes.Table, error) {
	out, err := c.client.GetTable(ctx, &glue.GetTableInput{DatabaseName: &c.database, Name: aws.String(strings.ToLower(name))})
	if isMissing(err) {
		return nil, nil
	}
	if err != nil {
		return nil, c.wrap("look up table "+name, err)
	}
	return out.Table, nil
}

// tables lists all tables of the database, none where there is no database.
func (c *Catalog) tables(ctx context.Context) ([]gluetypes.Table, error) {
	var list []gluetypes.Table
	pages := glue.NewGetTablesPaginator(c.client, &glue.GetTablesInput{DatabaseName: &c.database})
	for pages.HasMorePages() {
		page, err := pages.NextPage(ctx)
		if isMissing(err) {
			return nil, nil
		}
		if err != nil {
			return nil, c.wrap("list tables of "+c.database, err)
		}
		list = append(list, page.TableList...)
	}
	return list, nil
}

// place is a location without what does not tell two apart.
func place(location string) string {
	for _, scheme := range []string{"s3a://", "s3n://"} {
		if rest, ok := strings.CutPrefix(location, scheme); ok {
			location = "s3://" + rest
		}
	}
	return strings.TrimRight(location, "/")
}

func locationOf(t *gluetypes.Table) string {
	if t.StorageDescriptor == nil {
		return ""
	}
	return aws.ToString(t.StorageDescriptor.Location)
}

func isIceberg(t *gluetypes.Table) bool {
	return strings.EqualFold(t.Parameters["table_type"], "ICEBERG")
}

// checkOwn refuses a table that is not the one at a place.
func (c *Catalog) checkOwn(have *gluetypes.Table, name, location string) error {
	if !isIceberg(have) && place(locationOf(have)) == place(location) {
		return nil
	}
	what := "at " + locationOf(have)
	if isIceberg(have) {
		what = "an Iceberg table " + what
	}
	return sqlerror.Userf(sqlerror.CodeConflict, "table %s of the Glue database %s is another one, %s", strings.ToLower(name), c.database, what).
		WithHint("the catalog does not tell case apart; choose another table name or another sink name")
}

// CheckTable implements catalog.Registry.
func (c *Catalog) CheckTable(ctx context.Context, t catalog.RegisteredTable) error {
	have, err := c.get(ctx, t.Name)
	if err != nil || have == nil {
		return err
	}
	return c.checkOwn(have, t.Name, t.Location)
}

// CheckIceberg refuses the name of an Iceberg table that a table of another kind
// or of another place has, where case does not count.
func (c *Catalog) CheckIceberg(ctx context.Context, name, location string) error {
	have, err := c.get(ctx, name)
	if err != nil || have == nil || isIceberg(have) && place(locationOf(have)) == place(location) {
		return err
	}
	return sqlerror.Userf(sqlerror.CodeConflict, "table %s of the Glue database %s is another one, at %s", strings.ToLower(name), c.database, locationOf(have)).
		WithHint("the catalog does not tell case apart; choose another table name or another sink name")
}

// DefineTable implements catalog.Registry. A change is a new version of the
// table, made only if the one that it was made from is still the newest.
func (c *Catalog) DefineTable(ctx context.Context, t catalog.RegisteredTable) (made bool, err error) {
	if err := c.Check(ctx); err != nil {
		return false, err
	}
	for attempt := 0; ; attempt++ {
		have, err := c.get(ctx, t.Name)
		if err != nil {
			return false, err
		}
		if have == nil {
			_, err = c.client.CreateTable(ctx, &glue.CreateTableInput{DatabaseName: &c.database, TableInput: input(t, nil)})
			if err == nil {
				return true, nil
			}
			// It is perhaps ours, and the answer was lost; its partitions may be
			// missing all the same.
			made = made || isExisting(err)
		} else {
			if err := c.checkOwn(have, t.Name, t.Location); err != nil {
				return false, err
			}
			in := input(t, have)
			if same(have, in) {
				return made, nil
			}
			// Partitions have columns of their own. They come first, so that a table
			// that says it is changed has no partition that is not.
			if err := c.updatePartitions(ctx, t); err != nil {
				return made, err
			}
			_, err = c.client.UpdateTable(ctx, &glue.UpdateTableInput{
				DatabaseName: &c.database, TableInput: in, VersionId: have.VersionId, SkipArchive: aws.Bool(false),
			})
			if err == nil {
				return made, nil
			}
		}
		if !isExisting(err) && !isConflict(err) && !isMissing(err) || attempt == 10 {
			return made, c.wrap("register table "+t.Name, err)
		}
	}
}

func partitionValues(p catalog.RegisteredPartition) []string {
	values := make([]string, len(p.Values))
	for i, v := range p.Values {
		if values[i] = v; v == "" {
			values[i] = hive.DefaultPartition
		}
	}
	return values
}

// AddPartitions implements catalog.Registry.
func (c *Catalog) AddPartitions(ctx context.Context, t catalog.RegisteredTable, partitions []catalog.RegisteredPartition) error {
	name, done := strings.ToLower(t.Name), 0
	for some := range slices.Chunk(partitions, batch) {
		inputs := make([]gluetypes.PartitionInput, len(some))
		for i, p := range some {
			inputs[i] = gluetypes.PartitionInput{Values: partitionValues(p), StorageDescriptor: storage(t, p.Location)}
		}
		out, err := c.client.BatchCreatePartition(ctx, &glue.BatchCreatePartitionInput{DatabaseName: &c.database, TableName: &name, PartitionInputList: inputs})
		if err != nil {
			return c.wrap("add partitions to "+name, err)
		}
		for _, e := range out.Errors {
			if code := errorCode(e.ErrorDetail); code != "AlreadyExistsException" {
				return c.partitionError("add partition", name, e)
			}
		}
		done += len(some)
		catalog.Progress(ctx, catalog.Step{What: "registering partitions of " + t.Name, Done: done, Total: len(partitions)})
	}
	return nil
}

func errorCode(d *gluetypes.ErrorDetail) string {
	if d == nil {
		return ""
	}
	return aws.ToString(d.ErrorCode)
}

// partitionError is what the service says of one partition of a batch.
func (c *Catalog) partitionError(op, table string, e gluetypes.PartitionError) error {
	message := ""
	if e.ErrorDetail != nil {
		message = aws.ToString(e.ErrorDetail.ErrorMessage)
	}
	err := sqlerror.Externalf(sqlerror.CodeExternal, "glue: %s %s of %s: %s: %s", op, strings.Join(e.PartitionValues, "/"), table, errorCode(e.ErrorDetail), message)
	if errorCode(e.ErrorDetail) == "InvalidInputException" {
		return err.Final()
	}
	return err
}

// partitionsOf visits all partitions of a table.
func (c *Catalog) partitionsOf(ctx context.Context, name string, visit func(gluetypes.Partition) error) error {
	pages := glue.NewGetPartitionsPaginator(c.client, &glue.GetPartitionsInput{DatabaseName: &c.database, TableName: aws.String(strings.ToLower(name))})
	for pages.HasMorePages() {
		page, err := pages.NextPage(ctx)
		if err != nil {
			return c.wrap("list partitions of "+name, err)
		}
		for _, p := range page.Partitions {
			if err := visit(p); err != nil {
				return err
			}
		}
	}
	return nil
}

// updatePartitions gives the partitions of a table its columns.
func (c *Catalog) updatePartitions(ctx context.Context, t catalog.RegisteredTable) error {
	name, done := strings.ToLower(t.Name), 0
	var entries []gluetypes.BatchUpdatePartitionRequestEntry
	flush := func() error {
		if len(entries) == 0 {
			return nil
		}
		out, err := c.client.BatchUpdatePartition(ctx, &glue.BatchUpdatePartitionInput{DatabaseName: &c.database, TableName: &name, Entries: entries})
		if err != nil {
			return c.wrap("change partitions of "+name, err)
		}
		for _, e := range out.Errors {
			if errorCode(e.ErrorDetail) != "EntityNotFoundException" {
				return c.partitionError("change partition", name, gluetypes.PartitionError{PartitionValues: e.PartitionValueList, ErrorDetail: e.ErrorDetail})
			}
		}
		done += len(entries)
		catalog.Progress(ctx, catalog.Step{What: "changing partitions of " + t.Name, Done: done})
		entries = entries[:0]
		return nil
	}
	stored, _ := columns(t)
	err := c.partitionsOf(ctx, name, func(p gluetypes.Partition) error {
		if p.StorageDescriptor == nil {
			return nil
		}
		sd := *p.StorageDescriptor
		sd.Columns = stored
		entries = append(entries, gluetypes.BatchUpdatePartitionRequestEntry{
			PartitionValueList: p.Values,
			PartitionInput: &gluetypes.PartitionInput{
				Values: p.Values, Parameters: p.Parameters, LastAccessTime: p.LastAccessTime, LastAnalyzedTime: p.LastAnalyzedTime, StorageDescriptor: &sd,
			},
		})
		if len(entries) == batch {
			return flush()
		}
		return nil
	})
	if err != nil {
		return err
	}
	return flush()
}

// DropTable implements catalog.Registry.
func (c *Catalog) DropTable(ctx context.Context, name, location string) error {
	have, err := c.get(ctx, name)
	if err != nil || have == nil {
		return err
	}
	if c.checkOwn(have, name, location) != nil {
		return nil // another one's
	}
	_, err = c.client.DeleteTable(ctx, &glue.DeleteTableInput{DatabaseName: &c.database, Name: aws.String(strings.ToLower(name))})
	if isMissing(err) {
		return nil
	}
	return c.wrap("drop table "+name, err)
}

var _ catalog.Registry = (*Catalog)(nil)
