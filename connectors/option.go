package connectors

import (
	"fmt"
	"io"
	"maps"
	"math"
	"os"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/leatdb/leat/sql/sqlerror"
)

// OptionKind is the type of an option's value.
type OptionKind uint8

const (
	// OptionString is any text.
	OptionString OptionKind = iota
	// OptionBool is true, false, on, off, yes, no, 1 or 0.
	OptionBool
	// OptionInt is a whole number.
	OptionInt
	// OptionFloat is a number.
	OptionFloat
	// OptionDuration is a number with ms, s, m, h or d: 500ms, 10s, 1h30m.
	OptionDuration
	// OptionSize is a number of bytes with B, KB, MB, GB (powers of 1000) or
	// KiB, MiB, GiB (powers of 1024).
	OptionSize
	// OptionList is a comma-separated list.
	OptionList
	// OptionExpression is an SQL expression over the columns that a stream's query
	// selects, then its source's; StreamSpec.Exprs says where its values are.
	OptionExpression
)

// OptionSpec describes one option of a WITH (…) clause.
type OptionSpec struct {
	Name     string
	Kind     OptionKind
	Doc      string // one sentence, for the generated reference
	Default  string // as a user would write it; empty means unset
	Required bool
	Secret   bool // redacted in SHOW CREATE, never logged
	// Choices are the only values allowed, if any. A value may be written in any
	// case; Options hold it as it is spelled here.
	Choices []string
	// Min and Max bound numbers, sizes (bytes) and durations (nanoseconds). Max 0
	// means no upper bound.
	Min, Max int64
	// Runtime options may be changed by ALTER STREAM … SET.
	Runtime bool
	// Identity options say which stream of records is read, or where a sink keeps
	// tables and positions: when one of them changes, positions mean something
	// else.
	Identity bool
	// Prefix makes the spec match every option that begins with Name, as
	// "fields." does for datagen.
	Prefix bool
	// DefaultIf is another default for a case; nil for none.
	DefaultIf *DefaultIf
}

// DefaultIf is the default of an option where another option has a value.
type DefaultIf struct{ Option, Is, Default string }

// Spec is the list of options that an object understands.
type Spec []OptionSpec

// With is the spec and others together.
func (s Spec) With(others ...Spec) Spec {
	all := slices.Clone(s)
	for _, o := range others {
		for _, opt := range o {
			if !slices.ContainsFunc(all, func(x OptionSpec) bool { return x.Name == opt.Name }) {
				all = append(all, opt)
			}
		}
	}
	return all
}

// Find is the spec of an option, or nil. Names are found in any case; what
// follows a prefix is left to the connector.
func (s Spec) Find(name string) *OptionSpec {
	for i := range s {
		if s[i].Name == name {
			return &s[i]
		}
	}
	for i := range s {
		if !s[i].Prefix && strings.EqualFold(s[i].Name, name) {
			return &s[i]
		}
	}
	for i := range s {
		if s[i].Prefix && strings.HasPrefix(name, s[i].Name) {
			return &s[i]
		}
	}
	return nil
}

// Names lists the options' names.
func (s Spec) Names() []string {
	names := make([]string, len(s))
	for i := range s {
		names[i] = s[i].Name
	}
	return names
}

// Redacted is how SHOW CREATE prints an option's value as the user wrote it:
// of a secret only references such as ${env:NAME} remain.
func (s Spec) Redacted(name, value string) string {
	spec := s.Find(name)
	if spec == nil || !spec.Secret || value == "" || isReference(value) {
		return value
	}
	return redacted
}

const redacted = "***"

// isReference reports whether value is nothing but one substitution.
func isReference(value string) bool {
	return strings.HasPrefix(value, "${") && strings.IndexByte(value, '}') == len(value)-1
}

// RawOption is an option as the user wrote it. Pos is where its value begins,
// NamePos where its name does.
type RawOption struct {
	Name         string
	Value        string
	NamePos, Pos sqlerror.Position
	// Secret names the secret that the option was taken from: its value is not
	// shown, whatever it is.
	Secret string
}

func (r RawOption) origin() string {
	if r.Secret == "" {
		return ""
	}
	return " of secret " + r.Secret
}

// Options are checked option values by name. Getters fall back to the spec's
// default, and to the zero value where there is none.
type Options struct {
	spec   Spec
	values map[string]string // expanded
	hidden map[string]bool   // came from a secret
	order  []string
}

// NewOptions checks raw options against the spec: unknown names (the error
// proposes the nearest), repeated names, missing required ones, values of the
// wrong type or outside the choices, each with its position. ${env:NAME} and
// ${file:/path} are expanded.
func (s Spec) NewOptions(raw []RawOption) (Options, error) {
	o := Options{spec: s, values: map[string]string{}, hidden: map[string]bool{}}
	for _, r := range raw {
		spec := s.Find(r.Name)
		if spec == nil {
			e := sqlerror.Userf(sqlerror.CodeUnknownOption, "unknown option %q%s", r.Name, r.origin()).At(r.NamePos)
			if near := sqlerror.Nearest(r.Name, s.Names()); near != "" {
				return o, e.WithHint("did you mean %q?", near)
			}
			return o, e.WithHint("valid options are %s", strings.Join(s.Names(), ", "))
		}
		name := spec.Name
		if spec.Prefix {
			name = r.Name
		}
		if _, ok := o.values[name]; ok {
			return o, sqlerror.Userf(sqlerror.CodeBadOption, "option %q is given twice", name).At(r.NamePos)
		}
		value, err := Expand(r.Value)
		if err != nil {
			return o, sqlerror.Userf(sqlerror.CodeBadOption, "option %q%s: %w", name, r.origin(), err).At(r.Pos)
		}
		value, err = spec.check(value)
		switch {
		case err == nil:
		case spec.Secret || r.Secret != "":
			return o, sqlerror.Userf(sqlerror.CodeBadOption, "option %q%s: its value does not fit", name, r.origin()).At(r.Pos).WithHint("%s", spec.Doc)
		default:
			return o, sqlerror.Userf(sqlerror.CodeBadOption, "option %q: %w", name, err).At(r.Pos)
		}
		o.values[name], o.hidden[name] = value, r.Secret != ""
		o.order = append(o.order, name)
	}
	for i := range s {
		if _, ok := o.values[s[i].Name]; !ok && s[i].Required {
			return o, sqlerror.Userf(sqlerror.CodeBadOption, "option %q is required", s[i].Name).WithHint("%s", s[i].Doc)
		}
	}
	return o, nil
}

// MustOptions is NewOptions for tests and defaults, from name, value pairs.
func (s Spec) MustOptions(pairs ...string) Options {
	var raw []RawOption
	for i := 0; i+1 < len(pairs); i += 2 {
		raw = append(raw, RawOption{Name: pairs[i], Value: pairs[i+1]})
	}
	o, err := s.NewOptions(raw)
	if err != nil {
		panic(err)
	}
	return o
}

// check returns the value as options hold it, or says what does not fit.
func (spec *OptionSpec) check(value string) (string, error) {
	if len(spec.Choices) > 0 {
		for _, choice := range spec.Choices {
			if strings.EqualFold(choice, value) {
				return choice, nil
			}
		}
		if near := sqlerror.Nearest(value, spec.Choices); near != "" {
			return "", fmt.Errorf("%q is none of %s; did you mean %q?", value, quoteList(spec.Choices), near)
		}
		return "", fmt.Errorf("%q is none of %s", value, quoteList(spec.Choices))
	}
	var n float64 // exact for the bounds that options have
	switch spec.Kind {
	case OptionBool:
		_, err := ParseBool(value)
		return value, err
	case OptionInt:
		i, err := parseInt(value)
		if err != nil {
			return "", err
		}
		n = float64(i)
	case OptionFloat:
		f, err := parseFloat(value)
		if err != nil {
			return "", err
		}
		n = f
	case OptionDuration:
		d, err := ParseDuration(value)
		if err != nil {
			return "", err
		}
		n = float64(d)
	case OptionSize:
		size, err := ParseSize(value)
		if err != nil {
			return "", err
		}
		n = float64(size)
	default:
		return value, nil
	}
	switch {
	case spec.Min == 0 && spec.Max == 0:
	case spec.Max == 0 && n < float64(spec.Min):
		return "", fmt.Errorf("%s is less than %s", value, spec.format(spec.Min))
	case spec.Max != 0 && (n < float64(spec.Min) || n > float64(spec.Max)):
		return "", fmt.Errorf("%s is outside %s to %s", value, spec.format(spec.Min), spec.format(spec.Max))
	}
	return value, nil
}

func (spec *OptionSpec) format(n int64) string {
	switch spec.Kind {
	case OptionDuration:
		return time.Duration(n).String()
	case OptionSize:
		return FormatSize(n)
	}
	return strconv.FormatInt(n, 10)
}

func quoteList(list []string) string {
	quoted := make([]string, len(list))
	for i, s := range list {
		quoted[i] = quote(s)
	}
	return strings.Join(quoted, ", ")
}

// quote is text as SQL writes it.
func quote(s string) string { return "'" + strings.ReplaceAll(s, "'", "''") + "'" }

// Over returns the options with those of above laid over them; the result
// knows the options of both specs.
func (o Options) Over(above Options) Options {
	merged := Options{spec: o.spec.With(above.spec), values: map[string]string{}, hidden: map[string]bool{}}
	for _, from := range []Options{o, above} {
		for _, name := range from.order {
			if _, ok := merged.values[name]; !ok {
				merged.order = append(merged.order, name)
			}
			merged.values[name], merged.hidden[name] = from.values[name], from.hidden[name]
		}
	}
	return merged
}

// Format prints the options for any verb, secrets redacted, so that a log line
// cannot give them away.
func (o Options) Format(f fmt.State, _ rune) {
	for i, name := range o.order {
		if i > 0 {
			fmt.Fprint(f, ", ")
		}
		value := o.values[name]
		if spec := o.spec.Find(name); spec != nil && spec.Secret || o.hidden[name] {
			value = redacted
		}
		fmt.Fprintf(f, "%s = %s", name, quote(value))
	}
}

// Has reports whether the user gave the option.
func (o Options) Has(name string) bool { _, ok := o.values[name]; return ok }

// Names lists the given options in the order they were written.
func (o Options) Names() []string { return o.order }

// String is the option's text, its default, or "".
func (o Options) String(name string) string {
	if v, ok := o.values[name]; ok {
		return v
	}
	if spec := o.spec.Find(name); spec != nil {
		if d := spec.DefaultIf; d != nil && o.String(d.Option) == d.Is {
			return d.Default
		}
		return spec.Default
	}
	return ""
}

// Public is the option's text for people to see: not what a secret held.
func (o Options) Public(name string) string {
	if spec := o.spec.Find(name); o.hidden[name] || spec != nil && spec.Secret && o.Has(name) {
		return redacted
	}
	return o.String(name)
}

// Bool is the option as a boolean; unset is false.
func (o Options) Bool(name string) bool { v, _ := ParseBool(o.String(name)); return v }

// Int is the option as a whole number; unset is 0.
func (o Options) Int(name string) int64 { v, _ := parseInt(o.String(name)); return v }

// Float is the option as a number; unset is 0.
func (o Options) Float(name string) float64 {
	v, _ := parseFloat(o.String(name))
	return v
}

// Duration is the option as a duration; unset is 0.
func (o Options) Duration(name string) time.Duration {
	v, _ := ParseDuration(o.String(name))
	return v
}

// Size is the option in bytes; unset is 0.
func (o Options) Size(name string) int64 { v, _ := ParseSize(o.String(name)); return v }

// List is the option's comma-separated elements, trimmed, empty ones left out.
func (o Options) List(name string) []string {
	var list []string
	for _, s := range strings.Split(o.String(name), ",") {
		if s = strings.TrimSpace(s); s != "" {
			list = append(list, s)
		}
	}
	return list
}

// ParseBool reads true, false, on, off, yes, no, 1, 0 in any case.
func ParseBool(s string) (bool, error) {
	switch strings.ToLower(s) {
	case "true", "on", "yes", "1":
		return true, nil
	case "false", "off", "no", "0":
		return false, nil
	}
	return false, fmt.Errorf("%q is not a boolean; write 'true' or 'false'", s)
}

func parseInt(s string) (int64, error) {
	n, err := strconv.ParseInt(strings.ReplaceAll(s, "_", ""), 10, 64)
	if err != nil {
		return 0, fmt.Errorf("%q is not a whole number", s)
	}
	return n, nil
}

func parseFloat(s string) (float64, error) {
	f, err := strconv.ParseFloat(s, 64)
	if err != nil || math.IsNaN(f) || math.IsInf(f, 0) {
		return 0, fmt.Errorf("%q is not a number", s)
	}
	return f, nil
}

// ParseDuration reads a duration such as 500ms, 10s, 1h30m, 7d or 1d12h. A bare
// number other than 0 is refused, since nobody agrees on its unit.
func ParseDuration(s string) (time.Duration, error) {
	text := strings.ToLower(strings.TrimSpace(s))
	var total float64
	if days, rest, ok := strings.Cut(text, "d"); ok {
		n, err := strconv.ParseFloat(days, 64)
		if err != nil || !(n >= 0 && n < maxDays) {
			return 0, notDuration(s)
		}
		total, text = n*24*float64(time.Hour), rest
		if rest == "" {
			return time.Duration(total), nil
		}
	}
	d, err := time.ParseDuration(text)
	if err != nil || d < 0 || total+float64(d) > maxDays*24*float64(time.Hour) {
		return 0, notDuration(s)
	}
	return time.Duration(total) + d, nil
}

// maxDays keeps durations far from the 292 years that 64 bits of nanoseconds
// hold, so that adding them to times is safe.
const maxDays = 36500

func notDuration(s string) error {
	return fmt.Errorf("%q is not a duration; write '500ms', '10s', '5m', '1h' or '7d'", s)
}

var sizeUnits = []struct {
	suffix string
	factor float64
}{
	{"kib", 1 << 10}, {"mib", 1 << 20}, {"gib", 1 << 30}, {"tib", 1 << 40},
	{"kb", 1e3}, {"mb", 1e6}, {"gb", 1e9}, {"tb", 1e12}, {"b", 1},
}

// ParseSize reads a number of bytes such as 128MB, 1MiB or 4096.
func ParseSize(s string) (int64, error) {
	text, factor := strings.ToLower(strings.TrimSpace(s)), 1.0
	for _, u := range sizeUnits {
		if number, ok := strings.CutSuffix(text, u.suffix); ok {
			text, factor = strings.TrimSpace(number), u.factor
			break
		}
	}
	n, err := strconv.ParseFloat(text, 64)
	if err != nil || n < 0 || math.IsNaN(n) || n*factor > math.MaxInt64/2 {
		return 0, fmt.Errorf("%q is not a size; write '64KB', '128MB', '1MiB' or '2GB'", s)
	}
	return int64(n * factor), nil
}

// FormatSize is a size as ParseSize reads it, in the largest exact unit.
func FormatSize(n int64) string {
	for _, u := range []struct {
		name   string
		factor int64
	}{{"GiB", 1 << 30}, {"GB", 1e9}, {"MiB", 1 << 20}, {"MB", 1e6}, {"KiB", 1 << 10}, {"KB", 1e3}} {
		if n != 0 && n%u.factor == 0 {
			return strconv.FormatInt(n/u.factor, 10) + u.name
		}
	}
	return strconv.FormatInt(n, 10) + "B"
}

// maxSecretFile bounds what ${file:…} reads.
const maxSecretFile = 1 << 20

// substitutions are those beside ${env:…} and ${file:…}, by kind.
var substitutions = map[string]func(name string) (string, error){}

// RegisterSubstitution lets values of options refer to something outside by
// ${kind:name}. It is called by init functions. The function's errors name what
// was referred to and never hold the value.
func RegisterSubstitution(kind string, value func(name string) (string, error)) {
	substitutions[kind] = value
}

// Expand replaces ${env:NAME} by an environment variable, ${file:/path} by a
// file's content without its last line break, and what RegisterSubstitution has
// added. Unset variables and unreadable files are errors that name them; "$${"
// stands for a literal "${".
func Expand(value string) (string, error) {
	var b strings.Builder
	for {
		i := strings.Index(value, "${")
		if i < 0 {
			b.WriteString(value)
			return b.String(), nil
		}
		if i > 0 && value[i-1] == '$' {
			b.WriteString(value[:i-1])
			b.WriteString("${")
			value = value[i+2:]
			continue
		}
		b.WriteString(value[:i])
		end := strings.IndexByte(value[i:], '}')
		if end < 0 {
			return "", fmt.Errorf("missing } after ${")
		}
		kind, name, _ := strings.Cut(value[i+2:i+end], ":")
		switch kind {
		case "env":
			v, ok := os.LookupEnv(name)
			if !ok {
				return "", fmt.Errorf("environment variable %s is not set", name)
			}
			b.WriteString(v)
		case "file":
			v, err := readSecretFile(name)
			if err != nil {
				return "", err
			}
			b.WriteString(v)
		default:
			find := substitutions[kind]
			if find == nil {
				known := append([]string{"env", "file"}, slices.Sorted(maps.Keys(substitutions))...)
				return "", fmt.Errorf("unknown substitution ${%s:…}; known are ${%s:…}", kind, strings.Join(known, ":…}, ${"))
			}
			v, err := find(name)
			if err != nil {
				return "", err
			}
			b.WriteString(v)
		}
		value = value[i+end+1:]
	}
}

func readSecretFile(name string) (string, error) {
	if name == "" {
		return "", fmt.Errorf("read ${file:…}: a path is missing")
	}
	// Opening a pipe or a device could block or never end.
	info, err := os.Stat(name)
	if err != nil {
		return "", fmt.Errorf("read ${file:…}: %w", err)
	}
	if !info.Mode().IsRegular() {
		return "", fmt.Errorf("read ${file:…}: %s is not a regular file", name)
	}
	f, err := os.Open(name)
	if err != nil {
		return "", fmt.Errorf("read ${file:…}: %w", err)
	}
	defer f.Close()
	content, err := io.ReadAll(io.LimitReader(f, maxSecretFile+1))
	if err != nil {
		return "", fmt.Errorf("read ${file:…}: %w", err)
	}
	if len(content) > maxSecretFile {
		return "", fmt.Errorf("read ${file:…}: %s is larger than %s", name, FormatSize(maxSecretFile))
	}
	text := strings.TrimSuffix(string(content), "\n")
	return strings.TrimSuffix(text, "\r"), nil
}
