package parquet

import (
	"cmp"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"slices"
	"strings"

	"github.com/apache/arrow-go/v18/arrow"
	"github.com/apache/arrow-go/v18/parquet"
	"github.com/apache/arrow-go/v18/parquet/metadata"
	"github.com/apache/arrow-go/v18/parquet/pqarrow"
	"github.com/apache/arrow-go/v18/parquet/schema"

	"github.com/leatdb/leat/connectors"
	"github.com/leatdb/leat/sql/types"
)

const (
	magic = "PAR1"
	// maxFooter bounds what describes a file.
	maxFooter = 256 << 20
	// gap is how many bytes between two wanted parts are read along.
	gap = 256 << 10
	// mostWords is how many bytes of the file a dictionary of few strings has.
	mostWords = 4 << 10
	// slack is what old writers left out of the length of a column chunk
	// (PARQUET-816).
	slack = 100
)

var (
	errMagic     = errors.New("the file is no Parquet file: it does not end with \"PAR1\"")
	errEncrypted = errors.New("the Parquet file is encrypted")
	errFooter    = errors.New("the footer of the Parquet file is damaged")
)

// footer is what describes a file.
type footer struct {
	meta   *metadata.FileMetaData
	schema *arrow.Schema
}

// readFooter reads the bytes of a footer. The library may panic on damaged ones.
func readFooter(header []byte) (f footer, err error) {
	defer func() {
		if r := recover(); r != nil {
			err = fmt.Errorf("%w: %v", errFooter, r)
		}
	}()
	if f.meta, err = metadata.NewFileMetaData(header, nil); err != nil {
		return f, fmt.Errorf("%w: %w", errFooter, err)
	}
	if text := f.meta.KeyValueMetadata().FindValue("ARROW:schema"); text != nil && !fits(*text) {
		return f, fmt.Errorf("%w: its Arrow schema claims more than it has", errFooter)
	}
	if f.schema, err = pqarrow.FromParquet(f.meta.Schema, nil, f.meta.KeyValueMetadata()); err != nil {
		return f, fmt.Errorf("read Parquet schema: %w", err)
	}
	return f, nil
}

// blocks implements connectors.Blocks: row groups, of which the column chunks of
// fields are wanted.
type blocks struct {
	fields     []connectors.Field
	predicates []connectors.Predicate
	nulls      bool // values that do not fit their columns are NULL
}

// Open implements connectors.Blocks.
func (b blocks) Open(file io.ReaderAt, size int64) (header []byte, groups []connectors.Block, err error) {
	var end [8]byte
	if size < int64(len(end)+len(magic)) {
		return nil, nil, errMagic
	}
	if _, err := file.ReadAt(end[:], size-int64(len(end))); err != nil {
		return nil, nil, err
	}
	length := int64(binary.LittleEndian.Uint32(end[:]))
	switch {
	case string(end[4:]) == "PARE":
		return nil, nil, errEncrypted
	case string(end[4:]) != magic:
		return nil, nil, errMagic
	case length > size-int64(len(end)+len(magic)), length > maxFooter:
		return nil, nil, errFooter
	}
	header = make([]byte, length)
	if _, err := file.ReadAt(header, size-int64(len(end))-length); err != nil {
		return nil, nil, err
	}
	f, err := readFooter(header)
	if err != nil {
		return nil, nil, err
	}
	defer func() {
		if r := recover(); r != nil {
			err = fmt.Errorf("%w: %v", errFooter, r)
		}
	}()
	leaves := f.leaves(b.fields)
	for i := range f.meta.NumRowGroups() {
		group := f.meta.RowGroup(i)
		block := connectors.Block{Rows: group.NumRows(), Filtered: b.excludes(f, i)}
		if block.Rows < 0 {
			return nil, nil, errFooter
		}
		for _, leaf := range leaves {
			column, err := group.ColumnChunk(leaf)
			if err != nil {
				return nil, nil, fmt.Errorf("%w: %w", errFooter, err)
			}
			r := connectors.Range{Offset: column.DataPageOffset(), Length: column.TotalCompressedSize()}
			if column.HasDictionaryPage() && column.DictionaryPageOffset() > 0 && column.DictionaryPageOffset() < r.Offset {
				r.Offset = column.DictionaryPageOffset()
			}
			if r.Offset < 0 || r.Length < 0 || r.Offset > size || r.Length > size-r.Offset {
				return nil, nil, fmt.Errorf("%w: column %s of row group %d lies outside of the file", errFooter, column.PathInSchema(), i)
			}
			r.Length = min(r.Length+slack, size-r.Offset)
			block.Ranges = append(block.Ranges, r)
		}
		block.Ranges = join(block.Ranges)
		groups = append(groups, block)
	}
	return header, groups, nil
}

// join sorts ranges and makes one of those that lie close together.
func join(ranges []connectors.Range) []connectors.Range {
	slices.SortFunc(ranges, func(a, b connectors.Range) int { return cmp.Compare(a.Offset, b.Offset) })
	var out []connectors.Range
	for _, r := range ranges {
		if n := len(out); n > 0 && r.Offset <= out[n-1].Offset+out[n-1].Length+gap {
			out[n-1].Length = max(out[n-1].Length, r.Offset+r.Length-out[n-1].Offset)
			continue
		}
		if r.Length > 0 {
			out = append(out, r)
		}
	}
	return out
}

// leaves are the columns, as the file counts them, that hold the fields; all of
// them where fields is nil, and at least one.
func (f footer) leaves(fields []connectors.Field) []int {
	n := f.meta.Schema.NumColumns()
	var chosen []int
	for i := range n {
		path := f.meta.Schema.Column(i).ColumnPath()
		if fields == nil || slices.ContainsFunc(fields, func(field connectors.Field) bool { return f.holds(path, field) }) {
			chosen = append(chosen, i)
		}
	}
	if len(chosen) == 0 && n > 0 {
		chosen = append(chosen, f.smallest())
	}
	return chosen
}

// fewWords reports whether the values of a column of strings are, nearly all,
// numbers of a dictionary with few strings. (After pages of other strings the library
// would hand out a dictionary of all those, too, with each batch.)
func (f footer) fewWords(group, leaf int) bool {
	column := f.meta.Schema.Column(leaf)
	if column.PhysicalType() != parquet.Types.ByteArray || column.MaxRepetitionLevel() > 0 {
		return false
	}
	c, err := f.meta.RowGroup(group).ColumnChunk(leaf)
	if err != nil || !c.HasDictionaryPage() || c.DictionaryPageOffset() <= 0 {
		return false
	}
	dictionary := c.DataPageOffset() - c.DictionaryPageOffset()
	return dictionary > 0 && dictionary <= mostWords && c.TotalUncompressedSize() <= 2*c.NumValues()+16*mostWords
}

// holds reports whether a leaf is part of what a field wants.
func (f footer) holds(leaf []string, field connectors.Field) bool {
	names := f.resolve(field.Path)
	for i := 0; i < len(names) && i < len(leaf); i++ {
		if names[i] != leaf[i] {
			return false
		}
	}
	return len(names) > 0
}

// resolve is the beginning of a path that leads through structs, with the top
// column's name as the file has it; nil if the file has no such column.
func (f footer) resolve(path []string) []string {
	at := fieldNamed(f.schema.Fields(), path[0])
	if at < 0 {
		return nil
	}
	field := f.schema.Field(at)
	names := []string{field.Name}
	for _, name := range path[1:] {
		s, ok := field.Type.(*arrow.StructType)
		if !ok {
			break
		}
		i, ok := s.FieldIdx(name)
		if !ok {
			break // the whole struct is looked at
		}
		field = s.Field(i)
		names = append(names, name)
	}
	return names
}

// fieldNamed finds a column's field: the exact name, else one that differs in
// case; −1 if there is none.
func fieldNamed(fields []arrow.Field, name string) int {
	if i := slices.IndexFunc(fields, func(f arrow.Field) bool { return f.Name == name }); i >= 0 {
		return i
	}
	return slices.IndexFunc(fields, func(f arrow.Field) bool { return strings.EqualFold(f.Name, name) })
}

// smallest is the column of which least has to be read to count rows.
func (f footer) smallest() int {
	best, least := 0, int64(-1)
	for i := range f.meta.Schema.NumColumns() {
		size := int64(0)
		for g := range f.meta.NumRowGroups() {
			if c, err := f.meta.RowGroup(g).ColumnChunk(i); err == nil {
				size += c.TotalCompressedSize()
			}
		}
		if least < 0 || size < least {
			best, least = i, size
		}
	}
	return best
}

// Infer gives the columns of the files of the sample.
func Infer(chunks []*connectors.Chunk, _ connectors.DecoderConfig) (types.Schema, error) {
	var out types.Schema
	for _, c := range chunks {
		f, err := readFooter(c.Header)
		if err != nil {
			return nil, err
		}
		for i, field := range f.schema.Fields() {
			if out.Index(field.Name) < 0 {
				out = append(out, types.Column{Name: field.Name, Type: f.typeOf(field, f.meta.Schema.Root().Field(i))})
			}
		}
	}
	return out, nil
}

// typeOf is the column type of a field. All may be NULL, since other files may
// lack them.
func (f footer) typeOf(field arrow.Field, node schema.Node) types.Type {
	switch node.LogicalType().(type) {
	case schema.JSONLogicalType:
		return types.TypeJSON
	case schema.UUIDLogicalType:
		return types.NewVarchar(36)
	}
	return typeOf(field.Type)
}

func typeOf(t arrow.DataType) types.Type {
	switch t := t.(type) {
	case *arrow.BooleanType:
		return types.TypeBool
	case *arrow.Int8Type:
		return types.Type{Kind: types.Int8}
	case *arrow.Int16Type:
		return types.Type{Kind: types.Int16}
	case *arrow.Int32Type:
		return types.Type{Kind: types.Int32}
	case *arrow.Int64Type:
		return types.TypeInt64
	case *arrow.Uint8Type:
		return types.Type{Kind: types.Uint8}
	case *arrow.Uint16Type:
		return types.Type{Kind: types.Uint16}
	case *arrow.Uint32Type:
		return types.Type{Kind: types.Uint32}
	case *arrow.Uint64Type:
		return types.TypeUint64
	case *arrow.Float16Type, *arrow.Float32Type:
		return types.Type{Kind: types.Float32}
	case *arrow.Float64Type:
		return types.TypeFloat64
	case arrow.DecimalType:
		if p, s := t.GetPrecision(), t.GetScale(); p <= types.MaxDecimalPrecision && s >= 0 && s <= min(30, p) {
			return types.NewDecimal(int(p), int(s))
		}
	case *arrow.BinaryType, *arrow.LargeBinaryType:
		return types.Type{Kind: types.Binary, Name: "LONGBLOB"}
	case *arrow.FixedSizeBinaryType:
		return types.Type{Kind: types.Binary, Name: "VARBINARY", Length: t.ByteWidth}
	case *arrow.Date32Type, *arrow.Date64Type:
		return types.TypeDate
	case *arrow.Time32Type:
		return types.Type{Kind: types.Time, Fsp: digits(t.Unit)}
	case *arrow.Time64Type:
		return types.Type{Kind: types.Time, Fsp: digits(t.Unit)}
	case *arrow.TimestampType:
		kind := types.DateTime
		if t.TimeZone != "" {
			kind = types.Timestamp
		}
		return types.Type{Kind: kind, Fsp: digits(t.Unit)}
	case *arrow.DictionaryType:
		return typeOf(t.ValueType)
	case arrow.ExtensionType:
		return typeOf(t.StorageType())
	case arrow.NestedType:
		return types.TypeJSON
	}
	return types.Type{Kind: types.String, Name: "LONGTEXT"}
}

func digits(unit arrow.TimeUnit) int {
	switch unit {
	case arrow.Second:
		return 0
	case arrow.Millisecond:
		return 3
	}
	return 6
}
