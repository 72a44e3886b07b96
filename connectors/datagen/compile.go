package datagen

import (
	"encoding/json"
	"fmt"
	"math"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/leatdb/leat/connectors"
	"github.com/leatdb/leat/sql/sqlerror"
	"github.com/leatdb/leat/sql/types"
)

// properties are what may stand last in fields.<path>.<property>.
var properties = []string{
	"min", "max", "choices", "skew", "null_ratio", "length", "sequence",
	"start", "interval", "jitter", "decimals", "type",
}

// node is a column, member or element with what the options say of it.
type node struct {
	name     string
	path     string
	props    map[string]string
	children []*node // members in the order they were named
	element  *node   // of an array
}

func (n *node) member(name string) *node {
	name, isArray := strings.CutSuffix(name, "[]")
	i := slices.IndexFunc(n.children, func(c *node) bool { return c.name == name })
	if i < 0 {
		i = len(n.children)
		n.children = append(n.children, &node{name: name, path: strings.TrimPrefix(n.path+"."+name, "."), props: map[string]string{}})
	}
	c := n.children[i]
	if !isArray {
		return c
	}
	if c.element == nil {
		c.element = &node{path: c.path + "[]", props: map[string]string{}}
	}
	return c.element
}

func (n *node) errorf(property, format string, args ...any) *sqlerror.Error {
	name := "fields." + n.path
	if property != "" {
		name += "." + property
	}
	return sqlerror.Userf(sqlerror.CodeBadOption, "option %q: %w", name, fmt.Errorf(format, args...))
}

// compile makes the program of a source from its columns and options.
func compile(columns types.Schema, o connectors.Options, splits int) (*program, error) {
	if len(columns) == 0 {
		return nil, sqlerror.Userf(sqlerror.CodeBadOption, "datagen needs columns").
			WithHint("declare them: CREATE SOURCE name (id BIGINT, …) WITH (connector = 'datagen')")
	}
	root := &node{}
	for _, c := range columns {
		root.member(c.Name)
	}
	for _, name := range o.Names() {
		path, ok := strings.CutPrefix(name, "fields.")
		if !ok {
			continue
		}
		if err := root.set(columns, path, o.String(name)); err != nil {
			return nil, err
		}
	}
	p := &program{seed: o.Int("seed"), splits: splits, root: field{kind: kindObject}}
	for i, c := range columns {
		f, err := root.children[i].compile(c.Type, true)
		if err != nil {
			return nil, err
		}
		if c.NotNull && f.null > 0 {
			return nil, root.children[i].errorf("null_ratio", "column %s is NOT NULL", c.Name)
		}
		f.lead = lead(i, c.Name)
		p.root.children = append(p.root.children, f)
	}
	return p, nil
}

func lead(i int, name string) []byte {
	quoted, err := json.Marshal(name)
	if err != nil {
		panic(err) // a string
	}
	lead := append(quoted, ':')
	if i > 0 {
		lead = append([]byte{','}, lead...)
	}
	return lead
}

// set takes one option fields.<path>.<property> = value.
func (n *node) set(columns types.Schema, path, value string) error {
	parts := strings.Split(path, ".")
	property := parts[len(parts)-1]
	bad := func(format string, args ...any) *sqlerror.Error {
		return sqlerror.Userf(sqlerror.CodeUnknownOption, "option %q: %w", "fields."+path, fmt.Errorf(format, args...))
	}
	if len(parts) < 2 || slices.Contains(parts, "") {
		return bad("expected fields.<column>.<property>")
	}
	if !slices.Contains(properties, property) {
		e := bad("%q is no property", property)
		if near := sqlerror.Nearest(property, properties); near != "" {
			return e.WithHint("did you mean %q?", near)
		}
		return e.WithHint("properties are %s", strings.Join(properties, ", "))
	}
	name := strings.TrimSuffix(parts[0], "[]")
	i := columns.Index(name)
	if i < 0 {
		names := make([]string, len(columns))
		for i, c := range columns {
			names[i] = c.Name
		}
		e := bad("there is no column %s", name)
		if near := sqlerror.Nearest(name, names); near != "" {
			return e.WithHint("did you mean %q?", near)
		}
		return e.WithHint("columns are %s", strings.Join(names, ", "))
	}
	parts[0] = columns[i].Name + parts[0][len(name):]
	at := n
	for j, part := range parts[:len(parts)-1] {
		if j > 0 && columns[i].Type.Kind != types.JSON {
			return bad("column %s is %s and has no members", columns[i].Name, columns[i].Type)
		}
		at = at.member(part)
	}
	at.props[property] = value
	return nil
}

// known properties of each kind of value, besides null_ratio and type.
func (n *node) allow(names ...string) error {
	for _, p := range properties {
		if _, ok := n.props[p]; ok && p != "null_ratio" && p != "type" && !slices.Contains(names, p) {
			e := n.errorf(p, "it means nothing here")
			if len(names) > 0 {
				return e.WithHint("%s takes %s and null_ratio", n.path, strings.Join(names, ", "))
			}
			return e
		}
	}
	return nil
}

func (n *node) has(p string) bool { _, ok := n.props[p]; return ok }

// compile makes the field of a value. The type of a column is declared; that of
// a member is its type property, or what its other properties look like.
func (n *node) compile(t types.Type, column bool) (field, error) {
	var f field
	if n.has("null_ratio") {
		ratio, err := strconv.ParseFloat(n.props["null_ratio"], 64)
		if err != nil || !(ratio >= 0 && ratio <= 1) {
			return f, n.errorf("null_ratio", "%q is no number from 0 to 1", n.props["null_ratio"])
		}
		f.null = threshold(ratio)
	}
	if n.has("type") {
		if column && t.Kind != types.JSON {
			return f, n.errorf("type", "the column is declared as %s", t)
		}
		declared, err := types.Parse(n.props["type"])
		if err != nil {
			return f, n.errorf("type", "%w", err)
		}
		t = declared
	}
	switch {
	case n.element != nil && (len(n.children) > 0 || n.has("type")):
		return f, n.errorf("", "it is an array by one option and something else by another")
	case n.element != nil:
		return n.array(f)
	case len(n.children) > 0 && !n.has("type"):
		return n.object(f)
	case t.Kind == types.JSON && !n.has("type"):
		t = n.guess(column)
	}
	if t.Kind == types.JSON || t.Kind == types.Null {
		return n.object(f)
	}
	if n.has("choices") {
		return n.choice(f, t)
	}
	var err error
	switch {
	case t.Kind == types.Bool:
		f.kind, err = kindBool, n.allow()
	case n.has("sequence") && (t.Kind.IsInteger() || t.Kind == types.Decimal || t.Kind.IsFloat()):
		f.kind = kindSequence
		if err = n.allow("sequence"); err == nil {
			f.low, err = n.integer("sequence", 0)
		}
	case t.Kind.IsInteger():
		err = n.integers(&f, t)
	case t.Kind == types.Decimal:
		err = n.decimals(&f, t.Scale, t.Precision)
	case t.Kind.IsFloat():
		err = n.floats(&f)
	case t.Kind == types.String && len(t.Members) > 0:
		n.props["choices"] = escapeChoices(t.Members)
		return n.choice(f, t)
	case t.Name == "BIT":
		f.kind, f.span, err = kindUint, 1<<t.Length, n.allow()
	case t.Kind == types.String || t.Kind == types.Binary:
		f.kind = kindText
		if err = n.allow("length"); err == nil {
			err = n.lengths(&f, min(10, orElse(t.Length, 10)))
		}
		if err == nil && t.Length > 0 && f.most > t.Length {
			err = n.errorf("length", "%d is more than %s holds", f.most, t)
		}
	case t.Kind == types.Time:
		f.kind, f.span, f.fraction = kindClock, uint64(dayMicros), t.Fsp
		err = n.allow()
	case t.Kind.IsTemporal():
		err = n.times(&f, t)
	default:
		err = n.errorf("", "values of type %s cannot be made up", t)
	}
	return f, err
}

func orElse(n, other int) int {
	if n > 0 {
		return n
	}
	return other
}

// guess is the type of a member that has none.
func (n *node) guess(column bool) types.Type {
	number := func(p string) bool { _, err := strconv.ParseFloat(n.props[p], 64); return err == nil }
	switch {
	case n.has("start") || n.has("interval") || n.has("jitter"):
		return types.Type{Kind: types.Timestamp, Fsp: 3}
	case n.has("decimals"):
		return types.TypeFloat64
	case n.has("min") && !number("min") || n.has("max") && !number("max"):
		return types.Type{Kind: types.Timestamp, Fsp: 3}
	case n.has("min") || n.has("max"):
		digits := 0
		for _, p := range []string{"min", "max"} {
			if _, fraction, ok := strings.Cut(n.props[p], "."); ok {
				digits = max(digits, len(fraction))
			}
		}
		if digits > 0 {
			return types.NewDecimal(18, min(digits, 18))
		}
		return types.TypeInt64
	case n.has("sequence"):
		return types.TypeInt64
	case n.has("length") || n.has("choices") || !column:
		return types.TypeText
	}
	return types.TypeJSON
}

func (n *node) object(f field) (field, error) {
	f.kind = kindObject
	if err := n.allow(); err != nil {
		return f, err
	}
	for i, c := range n.children {
		child, err := c.compile(types.TypeJSON, false)
		if err != nil {
			return f, err
		}
		child.lead = lead(i, c.name)
		f.children = append(f.children, child)
	}
	return f, nil
}

func (n *node) array(f field) (field, error) {
	f.kind = kindArray
	if err := n.allow("length"); err != nil {
		return f, err
	}
	if err := n.lengths(&f, 3); err != nil {
		return f, err
	}
	element, err := n.element.compile(types.TypeJSON, false)
	f.children = []field{element}
	return f, err
}

// maxLength bounds texts and arrays, so that rows fit in memory.
const maxLength = 1 << 20

func (n *node) lengths(f *field, fallback int) error {
	f.least, f.most = fallback, fallback
	text, ok := n.props["length"]
	if !ok {
		return nil
	}
	low, high, isRange := strings.Cut(text, "-")
	if !isRange {
		high = low
	}
	var err1, err2 error
	f.least, err1 = strconv.Atoi(strings.TrimSpace(low))
	f.most, err2 = strconv.Atoi(strings.TrimSpace(high))
	if err1 != nil || err2 != nil || f.least < 0 || f.most < f.least || f.most > maxLength {
		return n.errorf("length", "%q is no length; write '8' or '4-12', up to %d", text, maxLength)
	}
	return nil
}

func (n *node) integer(p string, fallback int64) (int64, error) {
	text, ok := n.props[p]
	if !ok {
		return fallback, nil
	}
	v, err := strconv.ParseInt(text, 10, 64)
	if err != nil {
		return 0, n.errorf(p, "%q is no whole number", text)
	}
	return v, nil
}

func (n *node) skewed(f *field) error {
	text, ok := n.props["skew"]
	if !ok {
		return nil
	}
	s, err := strconv.ParseFloat(text, 64)
	if err != nil || !(s >= 0 && s <= 20) {
		return n.errorf("skew", "%q is no exponent from 0 to 20", text)
	}
	f.skew = s
	return nil
}

// defaultMax is the largest number of a column without max, where it fits.
const defaultMax = 1_000_000

func (n *node) integers(f *field, t types.Type) error {
	if err := n.allow("min", "max", "skew", "sequence"); err != nil {
		return err
	}
	if err := n.skewed(f); err != nil {
		return err
	}
	if t.Kind.IsUnsigned() {
		f.kind = kindUint
		largest := uint64(math.MaxUint64) >> (64 - t.Kind.Bits())
		low, high := uint64(0), min(largest, defaultMax)
		for p, v := range map[string]*uint64{"min": &low, "max": &high} {
			if text, ok := n.props[p]; ok {
				u, err := strconv.ParseUint(text, 10, 64)
				if err != nil || u > largest {
					return n.errorf(p, "%q does not fit %s", text, t)
				}
				*v = u
			}
		}
		if !n.has("max") {
			high = max(high, low)
		}
		if low > high {
			return n.errorf("min", "it is more than max")
		}
		f.low, f.span = int64(low), high-low+1
		return nil
	}
	f.kind = kindInt
	largest := int64(math.MaxInt64) >> (64 - t.Kind.Bits())
	low, high := int64(0), min(largest, defaultMax)
	for p, v := range map[string]*int64{"min": &low, "max": &high} {
		if text, ok := n.props[p]; ok {
			i, err := strconv.ParseInt(text, 10, 64)
			if err != nil || i > largest || i < -largest-1 {
				return n.errorf(p, "%q does not fit %s", text, t)
			}
			*v = i
		}
	}
	if !n.has("max") {
		high = max(high, low)
	}
	if low > high {
		return n.errorf("min", "it is more than max")
	}
	f.low, f.span = low, uint64(high)-uint64(low)+1
	return nil
}

// decimals makes numbers of up to 18 digits.
func (n *node) decimals(f *field, scale, precision int) error {
	if err := n.allow("min", "max", "skew", "sequence", "decimals"); err != nil {
		return err
	}
	if err := n.skewed(f); err != nil {
		return err
	}
	f.kind, f.scale = kindDecimal, scale
	digits := min(precision, 18)
	if scale > 18 {
		return n.errorf("", "DECIMAL with more than 18 decimals cannot be made up")
	}
	largest := int64(powersOf10[digits] - 1)
	low, high := int64(0), min(largest, 1000*int64(powersOf10[min(scale, 15)]))
	for p, v := range map[string]*int64{"min": &low, "max": &high} {
		if text, ok := n.props[p]; ok {
			i, ok := parseDecimal(text, scale)
			if !ok || i > largest || i < -largest {
				return n.errorf(p, "%q does not fit, with %d digits, %d of them decimals", text, digits, scale)
			}
			*v = i
		}
	}
	if !n.has("max") {
		high = max(high, low)
	}
	if low > high {
		return n.errorf("min", "it is more than max")
	}
	f.low, f.span = low, uint64(high-low)+1
	return nil
}

func (n *node) floats(f *field) error {
	scale, err := n.integer("decimals", 6)
	if err != nil {
		return err
	}
	if scale < 0 || scale > 15 {
		return n.errorf("decimals", "%d is not from 0 to 15", scale)
	}
	return n.decimals(f, int(scale), 18)
}

// parseDecimal is a decimal number in units of 10^−scale.
func parseDecimal(text string, scale int) (int64, bool) {
	text = strings.TrimSpace(text)
	whole, fraction, _ := strings.Cut(text, ".")
	if len(fraction) > scale || strings.ContainsAny(fraction, "+-") {
		return 0, false
	}
	v, err := strconv.ParseInt(whole+fraction+strings.Repeat("0", scale-len(fraction)), 10, 64)
	return v, err == nil
}

var timeLayouts = []string{
	time.RFC3339Nano, "2006-01-02 15:04:05Z07:00", "2006-01-02T15:04:05", "2006-01-02 15:04:05", "2006-01-02T15:04", "2006-01-02 15:04", "2006-01-02",
}

func (n *node) instant(p string) (int64, error) {
	text := strings.TrimSpace(n.props[p])
	for _, layout := range timeLayouts {
		if t, err := time.Parse(layout, text); err == nil {
			return t.UnixMicro(), nil
		}
	}
	return 0, n.errorf(p, "%q is no time; write '2026-01-31 12:00:00'", text)
}

func (n *node) duration(p string, fallback time.Duration) (time.Duration, error) {
	text, ok := n.props[p]
	if !ok {
		return fallback, nil
	}
	d, err := connectors.ParseDuration(text)
	if err != nil {
		return 0, n.errorf(p, "%w", err)
	}
	return d, nil
}

// times makes points in time: from a range (min, max), or a series (start,
// interval) that by default is the current time.
func (n *node) times(f *field, t types.Type) error {
	f.kind, f.fraction = kindTime, t.Fsp
	switch t.Kind {
	case types.Date:
		f.layout = layoutDate
	case types.DateTime:
		f.layout = layoutDateTime
	}
	jitter, err := n.duration("jitter", 0)
	if err != nil {
		return err
	}
	f.jitter = uint64(jitter.Microseconds())
	if n.has("min") || n.has("max") {
		if err := n.allow("min", "max", "skew", "jitter"); err != nil {
			return err
		}
		if err := n.skewed(f); err != nil {
			return err
		}
		if !n.has("min") || !n.has("max") {
			return n.errorf("", "min and max belong together")
		}
		low, err := n.instant("min")
		if err != nil {
			return err
		}
		high, err := n.instant("max")
		if err != nil {
			return err
		}
		if low > high {
			return n.errorf("min", "it is more than max")
		}
		f.low, f.span = low, uint64(high-low)+1
		return nil
	}
	if err := n.allow("start", "interval", "jitter"); err != nil {
		return err
	}
	if start, ok := n.props["start"]; !ok || strings.EqualFold(strings.TrimSpace(start), "now") {
		f.now = true
		if n.has("interval") {
			return n.errorf("interval", "it needs a start other than 'now'")
		}
		return nil
	}
	if f.low, err = n.instant("start"); err != nil {
		return err
	}
	step, err := n.duration("interval", time.Second)
	if err != nil {
		return err
	}
	f.series, f.step = true, step.Microseconds()
	return nil
}
