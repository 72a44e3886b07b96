// Package regex takes lines of text apart with a regular expression: what its
// named groups match becomes the columns of those names.
//
// The expression is one of Go's (RE2's syntax, linear in the length of the
// line), or is written with the named patterns that grok made common. It is
// looked for anywhere in a line unless it says ^ or $. Lines without a match are
// dead letters.
package regex

import (
	"fmt"
	"regexp"
	"slices"
	"strings"

	"github.com/leatdb/leat/connectors"
	"github.com/leatdb/leat/connectors/format/accesslog"
	"github.com/leatdb/leat/connectors/format/internal/columns"
	"github.com/leatdb/leat/internal/matcher"
	"github.com/leatdb/leat/sql/sqlerror"
	"github.com/leatdb/leat/sql/types"
)

func init() {
	connectors.RegisterFormat(&connectors.Format{
		Name: "regex",
		Doc:  "Lines of text, taken apart by a regular expression with named groups.",
		Spec: connectors.Spec{
			{Name: "pattern", Doc: `A regular expression (RE2) with named groups, (?P<name>…) or (?<name>…), one for each column; or one of combined_log, s3_access_log, alb_log, vpc_flow_log.`},
			{Name: "grok", Doc: "Instead of pattern: an expression with grok patterns, such as %{IP:client} %{NUMBER:bytes}."},
			{Name: "null_values", Kind: connectors.OptionList, Doc: "What a group matches when its column is to be NULL, such as '-'. Groups that take no part in the match are NULL anyway, and empty ones in columns that are no text."},
		},
		NewDecoder: newDecoder,
		Infer:      infer,
		Layout: func(o connectors.Options) (connectors.Layout, error) {
			if f, err := connectors.LookupFormat(o.String("pattern")); err == nil && accesslog.Is(f.Name) && f.Layout != nil {
				return f.Layout(o)
			}
			return nil, nil
		},
	})
}

// readyMade is the format that the option pattern names, or nil.
func readyMade(o connectors.Options) *connectors.Format {
	name := o.String("pattern")
	if !accesslog.Is(name) {
		return nil
	}
	f, err := connectors.LookupFormat(name)
	if err != nil {
		return nil
	}
	return f
}

// compile makes the expression of the options.
func compile(o connectors.Options) (*regexp.Regexp, error) {
	pattern, grok := o.String("pattern"), o.String("grok")
	if (pattern == "") == (grok == "") {
		return nil, sqlerror.Userf(sqlerror.CodeBadOption, "format 'regex' needs one of the options pattern and grok").
			WithHint(`write for example pattern = '^(?P<level>\w+) (?P<text>.*)$'`)
	}
	name := "pattern"
	if grok != "" {
		var err error
		if pattern, err = expand(grok); err != nil {
			return nil, sqlerror.Userf(sqlerror.CodeBadOption, "grok: %w", err)
		}
		name = "grok"
	}
	re, err := regexp.Compile(pattern)
	if err != nil {
		return nil, sqlerror.Userf(sqlerror.CodeBadOption, "%s: %w", name, err).
			WithHint(`in SQL text a backslash is written twice, '\\d+', unless the SQL mode is NO_BACKSLASH_ESCAPES; look-arounds and back references do not exist in RE2`)
	}
	if len(groups(re)) == 0 {
		return nil, sqlerror.Userf(sqlerror.CodeBadOption, "%s has no named group", name).
			WithHint("write (?P<name>…) around what becomes column name, or %%{PATTERN:name} in grok")
	}
	return re, nil
}

// groups are the names of the expression's groups, each once, in order.
func groups(re *regexp.Regexp) []string {
	var names []string
	for _, name := range re.SubexpNames() {
		if name != "" && !slices.Contains(names, name) {
			names = append(names, name)
		}
	}
	return names
}

// output is how a column is made of the group of its name.
type output struct {
	group int // its place among those that are looked for
	time  bool
	text  bool // an empty text is a value
}

func newDecoder(config connectors.DecoderConfig) (connectors.Decoder, error) {
	if f := readyMade(config.Options); f != nil {
		return f.NewDecoder(config)
	}
	re, err := compile(config.Options)
	if err != nil {
		return nil, err
	}
	names := groups(re)
	for _, c := range config.Schema {
		if !slices.ContainsFunc(names, func(n string) bool { return strings.EqualFold(n, c.Name) }) {
			return nil, sqlerror.Userf(sqlerror.CodeBadOption, "the expression has no group named %s", c.Name).WithHint("it has %s", strings.Join(names, ", "))
		}
	}
	batch, err := columns.NewBatch(&config)
	if err != nil {
		return nil, fmt.Errorf("build a decoder of lines: %w", err)
	}
	outputs := make([]output, 0, len(config.Fields))
	wanted := []int{0}
	for _, f := range config.Fields {
		group := re.SubexpIndex(f.Path[0])
		if group < 0 {
			group = slices.IndexFunc(re.SubexpNames(), func(n string) bool { return strings.EqualFold(n, f.Path[0]) })
		}
		if group < 0 {
			batch.Close()
			return nil, fmt.Errorf("the expression has no group %s", f.Path[0])
		}
		o := output{group: slices.Index(wanted, group)}
		if o.group < 0 {
			o.group = len(wanted)
			wanted = append(wanted, group)
		}
		switch f.Column.Type.Kind {
		case types.Date, types.DateTime, types.Timestamp:
			o.time = true
		case types.String, types.Binary:
			o.text = f.Mode == connectors.FieldColumn
		}
		outputs = append(outputs, o)
	}
	nulls := config.Options.List("null_values")
	isNull := func(o *output, text []byte) bool {
		return len(text) == 0 && !o.text || slices.ContainsFunc(nulls, func(n string) bool { return n == string(text) })
	}
	expression := matcher.New(re, wanted...)
	d := &columns.LineDecoder{Batch: batch}
	d.Decode = func(line []byte) (class connectors.ErrorClass, message string) {
		at := expression.Groups(line)
		if at == nil {
			return connectors.ClassDecode, "the line does not match the expression"
		}
		for i := range outputs {
			o := &outputs[i]
			var text []byte
			if begin := at[2*o.group]; begin >= 0 {
				text = line[begin:at[2*o.group+1]]
			}
			switch {
			case text == nil || isNull(o, text):
				class, message = batch.SetNull(i, text != nil)
			case o.time:
				class, message = batch.SetLogTime(i, text)
			default:
				class, message = batch.Set(i, text)
			}
			if class != "" {
				return class, message
			}
		}
		return "", ""
	}
	return d, nil
}

// infer proposes a column for each group, of the narrowest type that holds what
// it matches in the sample.
func infer(chunks []*connectors.Chunk, config connectors.DecoderConfig) (types.Schema, error) {
	if f := readyMade(config.Options); f != nil {
		return f.Infer(chunks, config)
	}
	re, err := compile(config.Options)
	if err != nil {
		return nil, err
	}
	names := groups(re)
	traits := make([]columns.Traits, len(names))
	nulls := config.Options.List("null_values")
	var lines columns.Payloads
	for _, c := range chunks {
		for lines.Reset(c); lines.Next(); {
			for lines.Pos < lines.Limit {
				start := lines.Pos
				line := lines.Data[start:lines.Line(config.Framing)]
				at := re.FindSubmatchIndex(line)
				if at == nil {
					continue
				}
				for g, name := range re.SubexpNames() {
					if name == "" || at[2*g] < 0 {
						continue
					}
					text := line[at[2*g]:at[2*g+1]]
					if !slices.Contains(nulls, string(text)) {
						at := slices.Index(names, name)
						traits[at] = traits[at].With(columns.LogTextTraits(text))
					}
				}
			}
		}
	}
	schema := make(types.Schema, len(names))
	for i, name := range names {
		schema[i] = types.Column{Name: name, Type: traits[i].TextType()}
	}
	return schema, nil
}
