// Package protobuf decodes Protocol Buffers messages into Arrow columns: in the
// wire format of a Confluent schema registry, or of one given message type. In
// files each message is preceded by its length as a varint, as the libraries'
// "delimited" functions write them.
//
// A message type is compiled once, for the columns that are wanted, into a plan
// that walks over a message's fields: wanted values go straight into the columns,
// others are skipped. Columns find their fields by name as the .proto file spells
// it, else by the JSON name, else by one that differs only in case.
//
// Fields without presence that a message does not have are their default value,
// others NULL. Messages, repeated fields and maps are JSON with the names of the
// .proto file; numbers of 64 bits are numbers there, bytes base64, enums their
// names. Wrappers are the value that they wrap, a Timestamp is an instant, a
// Duration its seconds, a Struct the JSON that it stands for. Unknown fields and
// fields of another wire type than their declaration's are passed over.
package protobuf

import (
	"context"
	"encoding/base64"
	"errors"
	"fmt"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"github.com/bufbuild/protocompile"
	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/reflect/protodesc"
	"google.golang.org/protobuf/reflect/protoreflect"
	"google.golang.org/protobuf/reflect/protoregistry"
	"google.golang.org/protobuf/types/descriptorpb"

	"github.com/leatdb/leat/connectors"
	"github.com/leatdb/leat/connectors/format/schemaregistry"
	"github.com/leatdb/leat/sql/sqlerror"
	"github.com/leatdb/leat/sql/types"
)

func init() {
	connectors.RegisterFormat(&connectors.Format{
		Name: "protobuf",
		Doc:  "Protocol Buffers: messages with the header of a Confluent schema registry, or of one given type; in files with their length before each.",
		Spec: connectors.Spec{
			{Name: "message", Doc: "The full name of the message type, where the given schema has several: 'package.Message'."},
			{Name: "schema", Doc: "The .proto source that declares the message type. Messages in a registry's wire format name theirs."},
			{Name: "schema_file", Doc: "A .proto file, in place of schema; what it imports is looked for in schema_path, and what Google publishes with the compiler is known."},
			{Name: "schema_path", Kind: connectors.OptionList, Doc: "Folders in which .proto files lie; default is that of schema_file."},
			{Name: "descriptor_file", Doc: "A FileDescriptorSet as protoc --include_imports --descriptor_set_out writes it, in place of .proto source."},
		}.With(schemaregistry.Options),
		NewDecoder: func(c connectors.DecoderConfig) (connectors.Decoder, error) { return NewDecoder(c) },
		Check:      check,
		Infer:      Infer,
		Layout:     func(connectors.Options) (connectors.Layout, error) { return layout{}, nil },
	})
}

// check verifies the options, and gives the columns of a given type.
func check(o connectors.Options) (types.Schema, error) {
	message, err := given(o)
	if err != nil {
		return nil, err
	}
	registry, err := schemaregistry.New(o)
	if err != nil {
		return nil, err
	}
	registry.Close()
	switch {
	case message != nil && registry != nil:
		return nil, sqlerror.Userf(sqlerror.CodeBadOption, "option \"schema_registry\" and a given schema exclude each other").
			WithHint("messages in the registry's wire format name their type themselves")
	case message == nil && registry == nil:
		return nil, errNoSchema()
	case registry != nil && o.Has("message"):
		return nil, sqlerror.Userf(sqlerror.CodeBadOption, "options \"schema_registry\" and \"message\" exclude each other").
			WithHint("messages in the registry's wire format name their type themselves")
	case message == nil:
		return nil, nil
	}
	return columnsOf(message), nil
}

func errNoSchema() error {
	return sqlerror.Userf(sqlerror.CodeBadOption, "Protobuf messages need the option \"schema_registry\", \"schema\", \"schema_file\" or \"descriptor_file\"")
}

// given is the message type that the options name, nil where they give no schema.
func given(o connectors.Options) (protoreflect.MessageDescriptor, error) {
	var from []string
	for _, name := range []string{"schema", "schema_file", "descriptor_file"} {
		if o.Has(name) {
			from = append(from, name)
		}
	}
	if len(from) == 0 {
		return nil, nil
	}
	bad := func(err error) error { return sqlerror.Userf(sqlerror.CodeBadOption, "option %q: %w", from[0], err) }
	if len(from) > 1 {
		return nil, sqlerror.Userf(sqlerror.CodeBadOption, "options %q and %q exclude each other", from[0], from[1])
	}
	var files []protoreflect.FileDescriptor
	switch from[0] {
	case "schema":
		const name = "schema.proto"
		file, err := compileFile(name, map[string]string{name: o.String("schema")}, o.List("schema_path"))
		if err != nil {
			return nil, bad(err)
		}
		files = append(files, file)
	case "schema_file":
		name, path := o.String("schema_file"), o.List("schema_path")
		if len(path) == 0 {
			path = []string{filepath.Dir(name)}
		}
		source, err := os.ReadFile(name)
		if err != nil {
			return nil, bad(err)
		}
		file, err := compileFile(filepath.Base(name), map[string]string{filepath.Base(name): string(source)}, path)
		if err != nil {
			return nil, bad(err)
		}
		files = append(files, file)
	default:
		content, err := os.ReadFile(o.String("descriptor_file"))
		if err != nil {
			return nil, bad(err)
		}
		if files, err = readDescriptors(content); err != nil {
			return nil, bad(err)
		}
	}
	return chooseMessage(files, o.String("message"))
}

// compileFile compiles a .proto file. sources are files by the names under which
// they are imported, as text or as descriptors in base64; folders are where others
// lie.
func compileFile(name string, sources map[string]string, folders []string) (protoreflect.FileDescriptor, error) {
	resolvers := protocompile.CompositeResolver{protocompile.ResolverFunc(func(name string) (protocompile.SearchResult, error) {
		text, ok := sources[name]
		if !ok {
			return protocompile.SearchResult{}, protoregistry.NotFound
		}
		if d := encodedDescriptor(text); d != nil {
			d.Name = &name
			return protocompile.SearchResult{Proto: d}, nil
		}
		return protocompile.SearchResult{Source: strings.NewReader(text)}, nil
	})}
	if len(folders) > 0 {
		resolvers = append(resolvers, &protocompile.SourceResolver{ImportPaths: folders})
	}
	compiler := protocompile.Compiler{Resolver: protocompile.WithStandardImports(resolvers), MaxParallelism: 1}
	files, err := compiler.Compile(context.Background(), name)
	if err != nil {
		return nil, fmt.Errorf("compile .proto: %w", err)
	}
	return files[0], nil
}

// encodedDescriptor is the descriptor of a file that text is in base64: so
// Confluent's clients of Python and Go hand files to a registry, and not every
// registry makes source text of it. It is nil for anything else; no source text is
// base64.
func encodedDescriptor(text string) *descriptorpb.FileDescriptorProto {
	content, err := base64.StdEncoding.DecodeString(text)
	if err != nil || len(content) == 0 {
		return nil
	}
	d := &descriptorpb.FileDescriptorProto{}
	if err := proto.Unmarshal(content, d); err != nil || d.GetName() == "" {
		return nil
	}
	for _, m := range d.GetMessageType() {
		nameFields(m)
	}
	return d
}

// nameFields gives fields the JSON name that a compiler would write into the
// descriptor; the serializers leave it out.
func nameFields(m *descriptorpb.DescriptorProto) {
	for _, f := range m.GetField() {
		if f.GetJsonName() != "" {
			continue
		}
		var name []byte
		upper := false
		for _, c := range []byte(f.GetName()) {
			if c == '_' {
				upper = true
				continue
			}
			if upper && 'a' <= c && c <= 'z' {
				c -= 'a' - 'A'
			}
			name, upper = append(name, c), false
		}
		f.JsonName = proto.String(string(name))
	}
	for _, inner := range m.GetNestedType() {
		nameFields(inner)
	}
}

func readDescriptors(content []byte) ([]protoreflect.FileDescriptor, error) {
	set := &descriptorpb.FileDescriptorSet{}
	if err := proto.Unmarshal(content, set); err != nil {
		return nil, fmt.Errorf("read FileDescriptorSet: %w", err)
	}
	registry, err := protodesc.NewFiles(set)
	if err != nil {
		return nil, fmt.Errorf("read FileDescriptorSet: %w (was it written with --include_imports?)", err)
	}
	var files []protoreflect.FileDescriptor
	registry.RangeFiles(func(f protoreflect.FileDescriptor) bool {
		files = append(files, f)
		return true
	})
	if len(files) == 0 {
		return nil, errors.New("read FileDescriptorSet: it is empty")
	}
	return files, nil
}

// chooseMessage finds the message type of a full name; without one the only type
// there is.
func chooseMessage(files []protoreflect.FileDescriptor, name string) (protoreflect.MessageDescriptor, error) {
	found := map[string]protoreflect.MessageDescriptor{}
	top := 0
	var add func(protoreflect.MessageDescriptors, bool)
	add = func(messages protoreflect.MessageDescriptors, outer bool) {
		for i := range messages.Len() {
			m := messages.Get(i)
			if m.IsMapEntry() {
				continue
			}
			found[string(m.FullName())] = m
			if outer {
				top++
			}
			add(m.Messages(), false)
		}
	}
	for _, f := range files {
		add(f.Messages(), true)
	}
	names := slices.Sorted(maps.Keys(found))
	if m := found[strings.TrimPrefix(name, ".")]; m != nil {
		return m, nil
	}
	if name == "" && top == 1 {
		for _, f := range files {
			if f.Messages().Len() > 0 {
				return f.Messages().Get(0), nil
			}
		}
	}
	listed := strings.Join(names[:min(len(names), 20)], ", ")
	if len(names) == 0 {
		listed = "none"
	}
	if name == "" {
		return nil, sqlerror.Userf(sqlerror.CodeBadOption, "the schema has several message types; the option \"message\" has to name one").WithHint("there are %s", listed)
	}
	e := sqlerror.Userf(sqlerror.CodeBadOption, "option \"message\": the schema has no message type %s", name)
	if near := sqlerror.Nearest(name, names); near != "" {
		return nil, e.WithHint("did you mean %s?", near)
	}
	return nil, e.WithHint("there are %s", listed)
}
