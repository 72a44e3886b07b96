package iceberg

import (
	"context"
	"errors"
	"fmt"
	"path"
	"slices"
	"strconv"
	"strings"

	"github.com/apache/iceberg-go"
	icebergcatalog "github.com/apache/iceberg-go/catalog"
	"github.com/apache/iceberg-go/table"

	"github.com/leatdb/leat/catalog"
	"github.com/leatdb/leat/internal/objectstore"
	"github.com/leatdb/leat/sql/sqlerror"
)

// Definition is the table that a stream wants to write to.
type Definition = catalog.Definition

// PartitionField is one element of a partition spec.
type PartitionField = catalog.PartitionField

// Writers are the streams that write to a table.
type Writers = catalog.Writers

// Column is a column of a table as a writer has to write it, its type that of
// the column's Iceberg type.
type Column = catalog.TargetColumn

// SpecField is a field of the table's partition spec.
type SpecField = catalog.SpecField

// Target is a table that is ready to be written to.
type Target struct {
	*Committer
	// Columns of Definition.Schema, in its order.
	Columns []Column
	Spec    []SpecField
	// Location is the table's folder, a URI below the lake's.
	Location string
}

// Define makes the table if there is none and checks or evolves it otherwise.
//
// The stream that wrote to the table before, or the first one, may bring new
// columns (they are added as nullable ones) and wider types. A further stream
// has to fit the table as it is. Everything else is refused with
// sqlerror.CodeConflict and the way out.
func (l *Lake) Define(ctx context.Context, d Definition) (*Target, error) {
	if err := checkTableName(d.Name); err != nil {
		return nil, err
	}
	if err := checkColumns(d); err != nil {
		return nil, err
	}
	if err := l.createNamespace(ctx); err != nil {
		return nil, err
	}
	// Others may make or change the table at the same time.
	for attempt := 0; ; attempt++ {
		t, changing, err := l.tryDefine(ctx, d)
		if err == nil {
			return l.target(t, d)
		}
		// What cannot be read is no race: the caller has to hear of it at once.
		if e := sqlerror.As(err); !changing || attempt == 4 || ctx.Err() != nil || e != nil && e.Kind == sqlerror.User {
			return nil, err
		}
	}
}

func checkColumns(d Definition) error {
	if len(d.Schema) == 0 {
		return sqlerror.Userf(sqlerror.CodeConflict, "table %s would have no columns", d.Name)
	}
	for i, c := range d.Schema {
		if _, err := toIceberg(c.Type); err != nil {
			return about(err, "column "+c.Name)
		}
		if c.Name == "" {
			return sqlerror.Userf(sqlerror.CodeConflict, "column %d of table %s has no name", i+1, d.Name).WithHint("name it with AS")
		}
		if first := d.Schema.Index(c.Name); first != i {
			return sqlerror.Userf(sqlerror.CodeConflict, "table %s would have two columns %q", d.Name, c.Name).WithHint("rename one with AS")
		}
	}
	for _, f := range d.Partition {
		if f.Column < 0 || f.Column >= len(d.Schema) {
			return fmt.Errorf("partition field %s: no column %d", f.Name, f.Column)
		}
	}
	return nil
}

func about(err error, object string) error {
	if e := sqlerror.As(err); e != nil {
		e.About(object)
	}
	return err
}

// tryDefine reports besides whether an error is of a change that it tried, before
// which another process may have made one.
func (l *Lake) tryDefine(ctx context.Context, d Definition) (_ *table.Table, changing bool, _ error) {
	t, err := l.load(ctx, d.Name)
	if isUnknownTable(err) {
		found, listErr := l.newestMetadata(ctx, d.Name)
		if listErr != nil {
			return nil, false, listErr
		}
		if found == "" {
			t, err := l.create(ctx, d)
			return t, true, err
		}
		// What was found may be of a table that another process has made since.
		t, err = l.load(ctx, d.Name)
		if isUnknownTable(err) && !d.Adopt {
			return nil, false, sqlerror.Userf(sqlerror.CodeConflict,
				"%s holds a table that the catalog does not know", l.location(d.Name)).
				WithHint("take it over WITH (adopt = true), or choose another table name or path")
		}
		if isUnknownTable(err) {
			if err := l.backend.register(ctx, l.ident(d.Name), found); err != nil {
				return nil, true, catalogError("register table "+d.Name, err)
			}
			t, err = l.load(ctx, d.Name)
		}
	}
	if err != nil {
		return nil, false, err
	}
	if err := l.checkPlace(ctx, t); err != nil {
		return nil, false, err
	}
	t, err = l.evolve(ctx, t, d)
	return t, true, err
}

// isUnknownTable reports whether load found no table.
func isUnknownTable(err error) bool {
	e := sqlerror.As(err)
	return e != nil && e.Code == sqlerror.CodeUnknownObject && e.Kind == sqlerror.User
}

// newestMetadata is the URI of the newest metadata file at a table's place, or
// "": the one with the highest version number, of several the last written.
func (l *Lake) newestMetadata(ctx context.Context, name string) (string, error) {
	var best objectstore.Info
	bestVersion := -1
	for info, err := range objectstore.All(ctx, l.opts.Store, name+"/metadata/", "") {
		if err != nil {
			return "", err
		}
		version, ok := metadataVersion(path.Base(info.Key))
		if ok && (version > bestVersion || version == bestVersion && info.Modified.After(best.Modified)) {
			best, bestVersion = info, version
		}
	}
	if bestVersion < 0 {
		return "", nil
	}
	if bestVersion == 0 {
		// A creation that did not come to its end leaves its first metadata.
		if used, err := l.hasSnapshot(ctx, best.Key); err != nil || !used {
			return "", err
		}
	}
	return l.opts.Store.URI(best.Key), nil
}

// hasSnapshot reports whether a metadata file is that of a table to which
// something was ever written.
func (l *Lake) hasSnapshot(ctx context.Context, key string) (bool, error) {
	text, err := l.opts.Store.Get(ctx, key)
	if err != nil {
		return false, err
	}
	meta, err := table.ParseMetadataBytes(text)
	return err == nil && meta.CurrentSnapshot() != nil, nil
}

// metadataVersion reads 00012-<uuid>.metadata.json and v12.metadata.json.
func metadataVersion(name string) (int, bool) {
	stem, ok := strings.CutSuffix(name, ".metadata.json")
	if !ok {
		return 0, false
	}
	number, _, _ := strings.Cut(strings.TrimPrefix(stem, "v"), "-")
	version, err := strconv.Atoi(strings.TrimSuffix(number, ".gz"))
	return version, err == nil && version >= 0
}

func (l *Lake) create(ctx context.Context, d Definition) (*table.Table, error) {
	props := iceberg.Properties{
		"format-version": "2",
		table.MetadataDeleteAfterCommitEnabledKey: "true",
		table.MetadataPreviousVersionsMaxKey:      "10",
		table.ManifestMergeEnabledKey:             "true",
		table.ParquetCompressionKey:               "zstd",
	}
	fields := make([]iceberg.NestedField, len(d.Schema))
	for i, c := range d.Schema {
		t, err := toIceberg(c.Type)
		if err != nil {
			return nil, err
		}
		fields[i] = iceberg.NestedField{ID: i + 1, Name: c.Name, Type: t, Required: c.NotNull}
		props[TypeProperty(i+1)] = c.Type.String()
	}
	schema := iceberg.NewSchema(0, fields...)
	spec, err := newSpec(d, schema)
	if err != nil {
		return nil, err
	}
	t, err := l.backend.CreateTable(ctx, l.ident(d.Name), schema,
		icebergcatalog.WithLocation(l.location(d.Name)), icebergcatalog.WithPartitionSpec(&spec), icebergcatalog.WithProperties(props))
	if err != nil {
		return nil, catalogError("create table "+d.Name, err)
	}
	t = l.bind(t)
	if l.backend.remote {
		// A server need not put the table where it was asked to.
		if err := l.checkPlace(ctx, t); err != nil {
			return nil, err
		}
	}
	return t, nil
}

func newSpec(d Definition, schema *iceberg.Schema) (iceberg.PartitionSpec, error) {
	var fields []iceberg.PartitionField
	for i, f := range d.Partition {
		source := d.Schema[f.Column]
		transform, err := iceberg.ParseTransform(f.Transform)
		if err == nil {
			switch transform.(type) {
			case iceberg.IdentityTransform, iceberg.DayTransform, iceberg.HourTransform, iceberg.BucketTransform, iceberg.TruncateTransform:
			default:
				err = fmt.Errorf("%q cannot be written", f.Transform)
			}
		}
		if err != nil {
			return iceberg.PartitionSpec{}, sqlerror.Userf(sqlerror.CodeUnsupported, "partition field %s: %w", f.Name, err)
		}
		stored, err := toIceberg(source.Type)
		if err != nil {
			return iceberg.PartitionSpec{}, err
		}
		if !transform.CanTransform(stored) {
			return iceberg.PartitionSpec{}, sqlerror.Userf(sqlerror.CodeType, "partition field %s: %s cannot be applied to %s of type %s",
				f.Name, f.Transform, source.Name, source.Type)
		}
		other := d.Schema.Index(f.Name)
		if f.Transform != "identity" && other >= 0 || f.Transform == "identity" && other != f.Column {
			return iceberg.PartitionSpec{}, sqlerror.Userf(sqlerror.CodeConflict, "partition field %s has the name of another column", f.Name).
				WithHint("rename it with AS")
		}
		name := fieldName(f.Name)
		if name != f.Name && d.Schema.Index(name) >= 0 {
			return iceberg.PartitionSpec{}, sqlerror.Userf(sqlerror.CodeConflict, "partition field %s would be called %s, as another column is", f.Name, name).
				WithHint("rename one of them with AS")
		}
		fields = append(fields, iceberg.PartitionField{
			SourceIDs: []int{schema.Field(f.Column).ID}, FieldID: 1000 + i, Name: name, Transform: transform,
		})
	}
	return iceberg.NewPartitionSpec(fields...), nil
}

// fieldName is what a partition field is called in the metadata: a name of Avro,
// since manifests have a field of that name. Other characters are escaped as
// Iceberg's Java library escapes those of columns, "a b" to "a_x20b".
func fieldName(name string) string {
	var b strings.Builder
	for i, r := range name {
		switch {
		case r == '_' || r >= 'a' && r <= 'z' || r >= 'A' && r <= 'Z' || i > 0 && r >= '0' && r <= '9':
			b.WriteRune(r)
		case r >= '0' && r <= '9':
			b.WriteString("_" + string(r))
		default:
			fmt.Fprintf(&b, "_x%X", r)
		}
	}
	return b.String()
}

// evolve brings a table that exists to what the stream writes.
func (l *Lake) evolve(ctx context.Context, t *table.Table, d Definition) (*table.Table, error) {
	writers := Writers{}
	if d.Writers != nil {
		writers = d.Writers(t.Properties())
	}
	// A stream that has not written yet must not change what others write.
	mayEvolve := writers.Started || len(writers.Others) == 0
	tx, err := l.newChange(t)
	if err != nil {
		return nil, fmt.Errorf("change the columns of table %s: %w", d.Name, err)
	}
	update := tx.UpdateSchema(false, false)
	changed, props := false, iceberg.Properties{}
	nextID := t.Metadata().LastColumnID()
	schema := t.Schema()
	for _, c := range d.Schema {
		want, err := toIceberg(c.Type)
		if err != nil {
			return nil, err
		}
		field, ok := schema.FindFieldByNameCaseInsensitive(c.Name)
		if !ok {
			if !mayEvolve {
				return nil, catalog.Conflict(d, writers, "column %s is new", c.Name)
			}
			update.AddColumn([]string{c.Name}, want, "", false, nil)
			nextID++
			props[TypeProperty(nextID)] = c.Type.String()
			changed = true
			continue
		}
		old, err := declared(field, t.Properties())
		if err != nil {
			return nil, sqlerror.Userf(sqlerror.CodeUnsupported, "column %s: %w", field.Name, err)
		}
		change := table.ColumnUpdate{}
		if field.Required && !c.NotNull {
			change.Required = iceberg.Optional[bool]{Valid: true, Val: false}
		}
		fits := catalog.Includes(old, c.Type) && (want.Equals(field.Type) || promotes(want, field.Type))
		if !fits {
			wider := catalog.Includes(c.Type, old) && (want.Equals(field.Type) || promotes(field.Type, want))
			if !wider || !mayEvolve {
				return nil, catalog.Conflict(d, writers, "column %s is %s in the table and %s in the stream", field.Name, old, c.Type)
			}
			if !want.Equals(field.Type) {
				change.FieldType = iceberg.Optional[iceberg.Type]{Valid: true, Val: want}
			}
			props[TypeProperty(field.ID)] = c.Type.String()
		}
		if change.Required.Valid || change.FieldType.Valid {
			update.UpdateColumn([]string{field.Name}, change)
			changed = true
		}
	}
	if err := checkMissing(schema, d, writers); err != nil {
		return nil, err
	}
	if err := checkSpec(t, d); err != nil {
		return nil, err
	}
	if !changed && len(props) == 0 {
		return t, nil
	}
	if changed {
		if err := update.Commit(); err != nil {
			return nil, sqlerror.Userf(sqlerror.CodeConflict, "change the columns of table %s: %w", d.Name, err)
		}
	}
	if err := tx.SetProperties(props); err != nil {
		return nil, fmt.Errorf("change the columns of table %s: %w", d.Name, err)
	}
	if err := tx.date(ctx); err != nil {
		return nil, catalogError("change the columns of table "+d.Name, err)
	}
	evolved, err := tx.commit(ctx)
	if err != nil {
		return nil, catalogError("change the columns of table "+d.Name, err)
	}
	if s := l.shared(t.Identifier()[1]); s.acquire(ctx) == nil {
		s.newest = nil
		s.release()
	}
	return evolved, nil
}

// checkMissing refuses a stream that leaves out columns it wrote before, or
// that a first or further stream would leave out.
func checkMissing(schema *iceberg.Schema, d Definition, writers Writers) error {
	for _, field := range schema.Fields() {
		if d.Schema.Index(field.Name) >= 0 {
			continue
		}
		if writers.Started && !slices.Contains(writers.Columns, field.ID) && !field.Required {
			continue // another stream brought it
		}
		return catalog.Conflict(d, writers, "column %s of the table is not in the stream", field.Name)
	}
	return nil
}

func checkSpec(t *table.Table, d Definition) error {
	spec := t.Spec()
	same := spec.NumFields() == len(d.Partition)
	for i, f := range d.Partition {
		if !same {
			break
		}
		have := spec.Field(i)
		source, ok := t.Schema().FindFieldByID(have.SourceIDs[0])
		same = ok && len(have.SourceIDs) == 1 && strings.EqualFold(have.Name, fieldName(f.Name)) && have.Transform.String() == f.Transform &&
			strings.EqualFold(source.Name, d.Schema[f.Column].Name)
	}
	if same {
		return nil
	}
	return sqlerror.Userf(sqlerror.CodeConflict, "table %s is partitioned by %s, the stream by %s", d.Name, specText(t), partitionText(d)).
		WithHint("repeat the table's PARTITIONED BY, or write INTO another table")
}

func specText(t *table.Table) string {
	var parts []string
	spec := t.Spec()
	for _, f := range spec.Fields() {
		name := fmt.Sprint(f.SourceIDs)
		if source, ok := t.Schema().FindFieldByID(f.SourceIDs[0]); ok {
			name = source.Name
		}
		parts = append(parts, fieldText(f.Transform.String(), name))
	}
	return fieldsText(parts)
}

func partitionText(d Definition) string {
	var parts []string
	for _, f := range d.Partition {
		parts = append(parts, fieldText(f.Transform, d.Schema[f.Column].Name))
	}
	return fieldsText(parts)
}

func fieldText(transform, column string) string {
	if transform == "identity" {
		return column
	}
	return transform + "(" + column + ")"
}

func fieldsText(parts []string) string {
	if len(parts) == 0 {
		return "nothing"
	}
	return "(" + strings.Join(parts, ", ") + ")"
}

// target describes the table to its writer.
func (l *Lake) target(t *table.Table, d Definition) (*Target, error) {
	target := &Target{Committer: l.committer(t.Identifier()[1]), Location: t.Location()}
	for _, c := range d.Schema {
		field, ok := t.Schema().FindFieldByNameCaseInsensitive(c.Name)
		if !ok {
			return nil, errors.New("table " + d.Name + " has lost column " + c.Name)
		}
		stored, err := fromIceberg(field.Type)
		if err != nil {
			return nil, sqlerror.Userf(sqlerror.CodeUnsupported, "column %s: %w", field.Name, err)
		}
		target.Columns = append(target.Columns, Column{ID: field.ID, Name: field.Name, Type: stored, Required: field.Required})
	}
	spec := t.Spec()
	for i, f := range d.Partition {
		target.Spec = append(target.Spec, SpecField{PartitionField: f, ID: spec.Field(i).FieldID})
	}
	return target, nil
}
