package sql

import (
	"strings"

	"github.com/leatdb/leat/sql/sqlerror"
	"github.com/leatdb/leat/sql/types"
)

// DefaultSink is the sink of streams that name none: the embedded lake.
const DefaultSink = "lake"

// Statement is one of Leat's own statements, as Parse returns it.
type Statement interface {
	// Normal is the statement with everything left out that does not change its
	// meaning: layout, comments, the case of keywords, quotes around names that
	// need none, the order of options, OR REPLACE and IF NOT EXISTS. Texts that
	// mean the same have equal normal forms; the spelling of names and strings
	// is kept. It holds secrets.
	Normal() string
	// Format is the statement as readable SQL that Parse reads back, queries and
	// expressions as the user wrote them, without OR REPLACE and IF NOT EXISTS. The
	// values of options for which redact is true are shown as '***', but for references such as ${env:NAME}; redact may
	// be nil.
	Format(redact func(option string) bool) string
}

// Definition is a Statement that creates an object; the statement itself is
// what the catalog keeps of it.
type Definition interface {
	Statement
	// Object is the kind and the name of what is created.
	Object() (Kind, Ident)
	// Replaces reports OR REPLACE.
	Replaces() bool
	// SkipsExisting reports IF NOT EXISTS.
	SkipsExisting() bool
}

// Kind is a kind of object, in lower case.
type Kind string

// The kinds of object.
const (
	KindSource Kind = "source"
	KindSink   Kind = "sink"
	KindStream Kind = "stream"
	KindSecret Kind = "secret"
)

// Keyword is the kind as it stands in a statement.
func (k Kind) Keyword() string { return strings.ToUpper(string(k)) }

// Ident is a name with its place.
type Ident struct {
	Name string
	Pos  sqlerror.Position
}

// Option is one option of a WITH or SET clause as the user wrote it, its value
// as text. NamePos is where the name begins, Pos where the value does.
type Option struct {
	Name         string
	Value        string
	NamePos, Pos sqlerror.Position
}

// CreateSource is CREATE SOURCE.
type CreateSource struct {
	OrReplace, IfNotExists bool
	Name                   Ident
	Columns                []ColumnDef // none: the source's input tells
	PrimaryKey             []Ident     // each one of Columns, where there are any
	Watermark              *Watermark
	Options                []Option
}

// ColumnDef is a declared column. Columns of the primary key are NotNull.
type ColumnDef struct {
	Name    Ident
	Type    types.Type
	TypePos sqlerror.Position
	NotNull bool
	Comment string
}

// Watermark is WATERMARK FOR column AS expression.
type Watermark struct {
	Column   Ident
	ExprText string // as written
	Pos      sqlerror.Position
}

// CreateSink is CREATE SINK.
type CreateSink struct {
	OrReplace, IfNotExists bool
	Name                   Ident
	Options                []Option
}

// CreateSecret is CREATE SECRET: options that sources and sinks take by its name
// and that are never shown.
type CreateSecret struct {
	OrReplace, IfNotExists bool
	Name                   Ident
	Options                []Option
}

// CreateStream is CREATE STREAM.
type CreateStream struct {
	OrReplace, IfNotExists bool
	Name                   Ident
	Into                   *Target // nil: table Name of DefaultSink
	PartitionedBy          []PartitionExpr
	Options                []Option
	// Query is the SELECT exactly as written; QueryPos is where it begins, so
	// that a place within it is PositionAt(Query, offset).Within(QueryPos).
	Query    string
	QueryPos sqlerror.Position
}

// Target is INTO sink[.table].
type Target struct {
	Sink  Ident
	Table Ident // Name is empty where only the sink is given
}

// PartitionExpr is one element of PARTITIONED BY: an expression as written, and
// the name of the column that stores it, empty without AS.
type PartitionExpr struct {
	ExprText string
	Pos      sqlerror.Position
	Name     string
	NamePos  sqlerror.Position
}

// Drop is DROP SOURCE, SINK, STREAM or SECRET.
type Drop struct {
	Kind     Kind
	IfExists bool
	Name     Ident
}

// StartStream is START STREAM. From is empty, 'earliest', 'latest' or a time.
type StartStream struct {
	Name    Ident
	From    string
	FromPos sqlerror.Position
}

// StopStream is STOP STREAM.
type StopStream struct{ Name Ident }

// FlushStream is FLUSH STREAM.
type FlushStream struct{ Name Ident }

// AlterStream is ALTER STREAM … SET (…).
type AlterStream struct {
	Name    Ident
	Options []Option
}

// Show is SHOW SOURCES, SINKS or STREAMS.
type Show struct {
	Kind    Kind
	HasLike bool
	Like    string // the pattern, if HasLike
}

// ShowCreate is SHOW CREATE SOURCE, SINK or STREAM.
type ShowCreate struct {
	Kind Kind
	Name Ident
}

// Describe is DESCRIBE name, where the name may be a source, a stream or a
// table: whoever executes it decides, and may pass it on to the MySQL engine.
type Describe struct {
	Database Ident // Name is empty where none is given
	Name     Ident
}

// Explain is EXPLAIN [ANALYZE] CREATE STREAM.
type Explain struct {
	Analyze bool
	Stream  *CreateStream
}

// ReplayDeadLetters is REPLAY DEAD_LETTERS FOR STREAM.
type ReplayDeadLetters struct {
	Stream   Ident
	Where    string // the condition as written, or empty
	WherePos sqlerror.Position
}

// Object implements Definition.
func (s *CreateSource) Object() (Kind, Ident) { return KindSource, s.Name }

// Replaces implements Definition.
func (s *CreateSource) Replaces() bool { return s.OrReplace }

// SkipsExisting implements Definition.
func (s *CreateSource) SkipsExisting() bool { return s.IfNotExists }

// Object implements Definition.
func (s *CreateSink) Object() (Kind, Ident) { return KindSink, s.Name }

// Replaces implements Definition.
func (s *CreateSink) Replaces() bool { return s.OrReplace }

// SkipsExisting implements Definition.
func (s *CreateSink) SkipsExisting() bool { return s.IfNotExists }

// Object implements Definition.
func (s *CreateSecret) Object() (Kind, Ident) { return KindSecret, s.Name }

// Replaces implements Definition.
func (s *CreateSecret) Replaces() bool { return s.OrReplace }

// SkipsExisting implements Definition.
func (s *CreateSecret) SkipsExisting() bool { return s.IfNotExists }

// Object implements Definition.
func (s *CreateStream) Object() (Kind, Ident) { return KindStream, s.Name }

// Replaces implements Definition.
func (s *CreateStream) Replaces() bool { return s.OrReplace }

// SkipsExisting implements Definition.
func (s *CreateStream) SkipsExisting() bool { return s.IfNotExists }

// Schema is the declared columns.
func (s *CreateSource) Schema() types.Schema {
	schema := make(types.Schema, len(s.Columns))
	for i, c := range s.Columns {
		schema[i] = types.Column{Name: c.Name.Name, Type: c.Type, NotNull: c.NotNull}
	}
	return schema
}

// Target is the sink and the table that the stream writes: what INTO says, else
// the table of the stream's own name, else in DefaultSink.
func (s *CreateStream) Target() (sink, table string) {
	sink, table = DefaultSink, s.Name.Name
	if s.Into != nil {
		sink = s.Into.Sink.Name
		if s.Into.Table.Name != "" {
			table = s.Into.Table.Name
		}
	}
	return sink, table
}

// Matches reports whether SHOW lists the name: whether it is like the pattern,
// without regard to case.
func (s *Show) Matches(name string) bool {
	return !s.HasLike || like([]rune(strings.ToLower(s.Like)), []rune(strings.ToLower(name)))
}

// like matches MySQL's LIKE with the escape character \. It goes back only to
// the last %, so it takes at most len(pattern)·len(s) steps.
func like(pattern, s []rune) bool {
	p, i, star, from := 0, 0, -1, 0
	for i < len(s) {
		switch {
		case p < len(pattern) && pattern[p] == '%':
			star, from = p, i
			p++
			continue
		case p < len(pattern) && pattern[p] == '_':
			p++
			i++
			continue
		case p+1 < len(pattern) && pattern[p] == '\\' && pattern[p+1] == s[i]:
			p += 2
			i++
			continue
		case p < len(pattern) && pattern[p] == s[i] && (pattern[p] != '\\' || p+1 == len(pattern)):
			p++
			i++
			continue
		case star < 0:
			return false
		}
		from++
		p, i = star+1, from
	}
	for p < len(pattern) && pattern[p] == '%' {
		p++
	}
	return p == len(pattern)
}
