package connectors

import (
	"io"

	"github.com/apache/arrow-go/v18/arrow"
	"github.com/apache/arrow-go/v18/arrow/memory"

	"github.com/leatdb/leat/sql/types"
)

// Field is one column that a decoder has to build.
type Field struct {
	// Column is the output column: its name, declared type and whether NULL is
	// refused.
	Column types.Column
	// Path leads to the value within the record: the names of nested object
	// members from the top, then the wanted one; array elements are "[n]". One
	// element for a plain column.
	Path []string
	// Mode says how the value is taken.
	Mode FieldMode
	// Cast is, in mode FieldUnquote, what all readers of the column CAST it to; its
	// Kind is Null where they do not. A decoder may then give a batch's column as
	// values of that type, if these are what CAST makes of each row's text, in UTC
	// and without a warning.
	Cast types.Type
}

// FieldMode says how a value becomes a column.
type FieldMode uint8

const (
	// FieldColumn converts the value to the declared type; what does not fit is
	// handled as on_field_error says.
	FieldColumn FieldMode = iota
	// FieldExtract is MySQL's col->'$.a.b' pushed down: the value as JSON text
	// in MySQL's normal form, NULL when it is missing. Never a field error.
	FieldExtract
	// FieldUnquote is MySQL's col->>'$.a.b' pushed down: as FieldExtract, but a
	// JSON string becomes its content. JSON null becomes the text "null".
	FieldUnquote
)

// OnFieldError says what a value does that does not fit its column's type.
type OnFieldError uint8

const (
	// FieldErrorDeadLetter rejects the whole value (the default).
	FieldErrorDeadLetter OnFieldError = iota
	// FieldErrorNull makes the column NULL (a NOT NULL column still rejects).
	FieldErrorNull
)

// Framing says what delimits the values of a chunk.
type Framing uint8

const (
	// FramingLines ends a record at each line break; a line may hold several
	// values.
	FramingLines Framing = iota
	// FramingDocument takes each payload as one or more values; line breaks mean
	// nothing, but after a broken value decoding resumes at the next line.
	FramingDocument
)

// Validation says how much of a record is checked.
type Validation uint8

const (
	// ValidationStructure walks every record to its end: strings terminated,
	// brackets balanced, one value after another.
	ValidationStructure Validation = iota
	// ValidationFull checks all of the format's grammar (RFC 8259 and UTF-8).
	ValidationFull
	// ValidationProjected reads what the query needs and no further.
	ValidationProjected
)

// DecoderConfig is what a format needs to build a decoder for one lane.
type DecoderConfig struct {
	// Schema is the source's declared columns; Fields the ones to build, in
	// output order, each from the schema or a path below one of its columns.
	Schema       types.Schema
	Fields       []Field
	OnFieldError OnFieldError
	Framing      Framing
	Validation   Validation
	Options      Options // the format's own options
	// MaxRecordBytes rejects larger values (default 16 MiB).
	MaxRecordBytes int
	Alloc          memory.Allocator
}

// Decoder turns the bytes of chunks into columns. It belongs to one lane and
// reuses its buffers.
type Decoder interface {
	// Reset begins a new chunk.
	Reset(c *Chunk)
	// Next decodes up to maxRows more values of the chunk. It returns nil when
	// the chunk is used up; bad values never stop it. What it returns is valid
	// until the next call of Reset, Next or Close.
	Next(maxRows int) (*Decoded, error)
	// Close frees the buffers.
	Close()
}

// HeaderKeeper is implemented by decoders of records whose values cannot be
// decoded alone.
type HeaderKeeper interface {
	// HeaderOf is what Chunk.Header has to be for a value of the batch that Next
	// returned last to be decoded alone, as the one record of a chunk. It is valid
	// as long as the batch.
	HeaderOf(v Value) []byte
}

// Decoded is one batch of decoded values.
type Decoded struct {
	// Batch has one row per good value, its columns as DecoderConfig.Fields. A
	// string column may be a dictionary array of utf8 values with int32 indices,
	// one with a Cast an array of that type.
	Batch arrow.RecordBatch
	// Values has one entry per row of Batch.
	Values []Value
	// Rejected are the values that are no rows.
	Rejected []Rejection
	// Empty counts tombstones and records or lines without a value.
	Empty int
	// Locate names a value of the batch for its dead letter where its bytes are
	// not in Chunk.Data, because blocks of several records are compressed: its
	// bytes, its place in the split and its place within that. It is nil where
	// Value says all. What it returns is valid as long as the batch is.
	Locate func(Value) (raw []byte, offset int64, within int32)
}

// Value is where a decoded value lies in its chunk.
type Value struct {
	Start, End int32 // Chunk.Data[Start:End], exactly the value's bytes
	Record     int32 // index in Chunk.Records, 0 where that is empty
}

// Rejection is a value that could not be decoded.
type Rejection struct {
	Value   Value
	Class   ErrorClass
	Message string
}

// ErrorClass is the error_class of a dead letter.
type ErrorClass string

// The classes.
const (
	ClassDecode     ErrorClass = "decode"     // the bytes are not what the format says
	ClassField      ErrorClass = "field"      // a value does not fit its column
	ClassEvaluation ErrorClass = "evaluation" // an expression failed under strict SQL
	ClassPartition  ErrorClass = "partition"  // a partition value cannot be a path
	ClassTooLarge   ErrorClass = "too_large"
)

// Format is a registered record format.
type Format struct {
	Name string
	Doc  string
	Spec Spec // options beside the connector's
	// Framing is what the format uses for files and for messages when the
	// source does not say.
	NewDecoder func(DecoderConfig) (Decoder, error)
	// Documents says that a file is one payload, whatever the framing.
	Documents bool
	// Check verifies what the options say together when a source is defined, and
	// gives the columns that they name by themselves (of a schema that they
	// give); none where the input has to be sampled. It may be nil, and talks to
	// nobody.
	Check func(Options) (types.Schema, error)
	// Infer proposes a schema from sampled chunks, for sources declared without
	// columns; of the configuration Framing and Options are set. Nil for formats
	// that need columns.
	Infer func(chunks []*Chunk, config DecoderConfig) (types.Schema, error)
	// Layout is how the records lie in files; nil where each is a line, and no
	// header comes before them.
	Layout func(Options) (Layout, error)
	// Blocks is how the records of the given fields lie in files that are read
	// block by block; nil where they are read from their beginning. No fields mean
	// all that there is. Blocks without a row of which all predicates can be true
	// are marked.
	Blocks func(Options, []Field, []Predicate) (Blocks, error)
}

// Blocks says where in a file the bytes are that hold the wanted fields of each
// block of its records. It may be used by several goroutines.
type Blocks interface {
	// Open reads what says so, such as the footer of a Parquet file, from a file of
	// size bytes. header is handed to the decoder with each chunk. Fails when the
	// file is not of the format.
	Open(file io.ReaderAt, size int64) (header []byte, blocks []Block, err error)
}

// Block is a part of a file's records.
type Block struct {
	Rows   int64
	Ranges []Range // ascending, not overlapping, not empty
	// Filtered says that no row can fulfil the predicates.
	Filtered bool
}

// Range is a part of a file, in bytes.
type Range struct{ Offset, Length int64 }

// Layout says how a format's records lie in a file, for sources that cut files
// into chunks. It may be used by several goroutines.
type Layout interface {
	// Header is the length of what lies before the first record and may say how
	// the records are to be read: the names of a CSV file's columns, the schema
	// of an Avro file. data is the beginning of the file, all of it when end is
	// set. more asks for more data. Fails when the file cannot be of the format.
	Header(data []byte, end bool) (n int, more bool, err error)
	// Records is the length of the whole records that data, which begins with
	// one, holds; 0 when even the first goes on behind data.
	Records(header, data []byte) int
	// Lines reports whether a line break ends a record that is broken, so that
	// reading can go on behind it. A record that is cut off at the end of a file
	// is then a record too, and may be a good one.
	Lines() bool
}
