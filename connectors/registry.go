package connectors

import (
	"context"
	"maps"
	"slices"
	"strings"
	"sync"

	"github.com/leatdb/leat/sql/sqlerror"
	"github.com/leatdb/leat/sql/types"
)

// SourceConnector is a registered kind of source.
type SourceConnector struct {
	Name string // the value of the connector option
	Doc  string
	Spec Spec
	// Hidden are the metadata columns that queries may name.
	Hidden []Hidden
	// Framing is how values are delimited when the source does not say.
	Framing Framing
	// Unordered says that the order of a split's records means nothing, so that a
	// sink may mix its rows within a commit.
	Unordered bool
	// FormatDefault is the format when the source does not say; empty means the
	// option is required, "none" that the connector makes columns itself.
	FormatDefault string
	Open          func(ctx context.Context, cfg SourceConfig) (Source, error)
	// Check verifies what an open would need (topic exists, credentials fit)
	// without reading; nil means nothing to check.
	Check func(ctx context.Context, cfg SourceConfig) error
	// Exclusive names what only one stream at a time can read of what the options name,
	// such as a queue whose messages go to one reader, and what to do where two would;
	// what is empty where all is shared. It may be nil.
	Exclusive func(o Options, stream string) (what, hint string)
	// Schema lets a connector that knows its columns (datagen) declare them; nil
	// for those whose records are decoded by a format.
	Schema func(opts Options) (types.Schema, error)
	// Places are what is read without an end, as a sink of the same system names
	// what it writes to; nil where no sink writes what the connector reads.
	Places func(o Options) []string
}

// SinkConnector is a registered kind of sink.
type SinkConnector struct {
	Name string
	Doc  string
	Spec Spec
	// StreamSpec are the options that a stream may also give.
	StreamSpec Spec
	// Check, where it is set, refuses options that do not go together. It is asked
	// when a stream is made and when its options are changed, with the stream's over
	// the sink's.
	Check func(o Options) error
	Open  func(ctx context.Context, cfg SinkConfig) (Sink, error)
	// Places are where the rows of a table lie, each of them a name of all: a source
	// that has one of them reads those rows. One that ends in / is a folder. nil where
	// no source reads what the sink writes.
	Places func(o Options, table string) []string
}

// Meet reports whether two lists of places have one in common, or one that lies
// within the other.
func Meet(a, b []string) bool {
	within := func(place, folder string) bool {
		return place == folder || strings.HasSuffix(folder, "/") && strings.HasPrefix(place, folder)
	}
	for _, x := range a {
		for _, y := range b {
			if within(x, y) || within(y, x) {
				return true
			}
		}
	}
	return false
}

// SinkConfig is what a connector needs to open a sink.
type SinkConfig struct {
	Name    string // of the sink; the namespace of its tables
	DataDir string // Leat's data directory, where catalog = 'local' lives
	Options Options
	Logger  Logger
	// Ledger opens the ledger at a path, a folder or s3://bucket/prefix, or the
	// embedded lake's where path is empty. It is nil where there is none.
	Ledger func(ctx context.Context, path string) (Ledger, error)
}

var registry struct {
	sync.RWMutex
	sources map[string]*SourceConnector
	sinks   map[string]*SinkConnector
	formats map[string]*Format
}

// RegisterSource adds a kind of source; a connector package calls it in init.
// A name can be taken once.
func RegisterSource(c *SourceConnector) { register(&registry.sources, c.Name, c) }

// RegisterSink adds a kind of sink.
func RegisterSink(c *SinkConnector) { register(&registry.sinks, c.Name, c) }

// RegisterFormat adds a record format.
func RegisterFormat(f *Format) { register(&registry.formats, f.Name, f) }

func register[T any](m *map[string]T, name string, v T) {
	registry.Lock()
	defer registry.Unlock()
	if *m == nil {
		*m = map[string]T{}
	}
	if _, ok := (*m)[name]; ok {
		panic("connectors: " + name + " registered twice")
	}
	(*m)[name] = v
}

// LookupSource finds a kind of source. The error names the nearest one.
func LookupSource(name string) (*SourceConnector, error) {
	return lookup(&registry.sources, "connector", name)
}

// LookupSink finds a kind of sink.
func LookupSink(name string) (*SinkConnector, error) {
	return lookup(&registry.sinks, "sink connector", name)
}

// LookupFormat finds a format.
func LookupFormat(name string) (*Format, error) {
	return lookup(&registry.formats, "format", name)
}

func lookup[T any](m *map[string]T, what, name string) (T, error) {
	registry.RLock()
	defer registry.RUnlock()
	v, ok := (*m)[name]
	if !ok {
		names := slices.Sorted(maps.Keys(*m))
		return v, unknown(what, name, names)
	}
	return v, nil
}

// Sources, Sinks and Formats list what is registered, by name.
func Sources() []*SourceConnector { return sorted(&registry.sources) }

// Sinks lists the registered kinds of sink by name.
func Sinks() []*SinkConnector { return sorted(&registry.sinks) }

// Formats lists the registered formats by name.
func Formats() []*Format { return sorted(&registry.formats) }

func sorted[T any](m *map[string]T) []T {
	registry.RLock()
	defer registry.RUnlock()
	list := make([]T, 0, len(*m))
	for _, name := range slices.Sorted(maps.Keys(*m)) {
		list = append(list, (*m)[name])
	}
	return list
}

func unknown(what, name string, valid []string) error {
	e := sqlerror.Userf(sqlerror.CodeUnknownOption, "unknown %s %q", what, name)
	if near := sqlerror.Nearest(name, valid); near != "" {
		return e.WithHint("did you mean %q?", near)
	}
	return e.WithHint("known are %s", quoteList(valid))
}
