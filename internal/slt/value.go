package slt

import (
	"bytes"
	"encoding/json"
	"slices"
	"strconv"
	"strings"
	"unicode"
	"unicode/utf8"
)

// Class is the family of a column's type, as a script names it.
type Class byte

// The classes. BOOLEAN counts as an integer, which it is on MySQL's wire.
const (
	Integer Class = 'I'
	Real    Class = 'R' // FLOAT, DOUBLE
	Decimal Class = 'N'
	Text    Class = 'T' // CHAR, VARCHAR, TEXT, ENUM, SET
	Binary  Class = 'B' // BINARY, VARBINARY, BLOB, BIT
	Time    Class = 'D' // DATE, TIME, DATETIME, TIMESTAMP, YEAR
	JSON    Class = 'J'
	Any     Class = '?' // in scripts: not checked
)

const classes = "IRNTBDJ?"

// Column is a column of a result.
type Column struct {
	Name  string
	Class Class
}

// Result is what a query answers. A nil value is NULL; the others are as MySQL's
// text protocol shows them.
type Result struct {
	Columns []Column
	Rows    [][][]byte
}

// render writes a result's rows as scripts have them: the values of a row
// separated by " | ".
func (r *Result) render(step *Step, clean func(string) string) []string {
	var rows []string
	var values []string
	for _, row := range r.Rows {
		cells := make([]string, len(row))
		for i, v := range row {
			cells[i] = clean(renderValue(v, r.Columns[i].Class))
		}
		values = append(values, cells...)
		rows = append(rows, strings.Join(cells, " | "))
	}
	switch step.Sort {
	case RowSort:
		slices.Sort(rows)
	case ValueSort:
		slices.Sort(values)
		rows = values
	}
	if step.Names {
		names := make([]string, len(r.Columns))
		for i, c := range r.Columns {
			names[i] = c.Name
		}
		rows = append([]string{strings.Join(names, " | ")}, rows...)
	}
	return rows
}

// renderValue makes a value unmistakable within a line: NULL, (empty), and
// escapes for what separates and for what cannot be seen.
func renderValue(v []byte, class Class) string {
	switch {
	case v == nil:
		return "NULL"
	case len(v) == 0:
		return "(empty)"
	case string(v) == "NULL" || string(v) == "(empty)":
		return `\` + string(v)
	}
	switch class {
	case Real:
		if f, err := strconv.ParseFloat(string(v), 64); err == nil {
			return strconv.FormatFloat(f, 'g', -1, 64)
		}
	case JSON:
		v = canonicalJSON(v)
	}
	var b strings.Builder
	for len(v) > 0 {
		r, n := utf8.DecodeRune(v)
		switch {
		case r == utf8.RuneError && n == 1, r < ' ' || r == 0x7f:
			b.WriteString(`\x` + strings.ToUpper(strconv.FormatUint(uint64(v[0])|0x100, 16)[1:]))
		case r == '\\' || r == '|':
			b.WriteString(`\` + string(r))
		case unicode.IsPrint(r):
			b.WriteRune(r)
		default:
			b.WriteString(strings.Trim(strconv.QuoteRune(r), "'"))
		}
		v = v[n:]
	}
	text := b.String()
	if strings.TrimSpace(text) != text {
		return "'" + text + "'"
	}
	return text
}

// canonicalJSON sorts keys and drops layout, since a JSON value may be shown in
// several spellings. Numbers keep theirs.
func canonicalJSON(v []byte) []byte {
	d := json.NewDecoder(bytes.NewReader(v))
	d.UseNumber()
	var doc any
	if d.Decode(&doc) != nil || d.More() {
		return v
	}
	var b bytes.Buffer
	e := json.NewEncoder(&b)
	e.SetEscapeHTML(false)
	if e.Encode(doc) != nil {
		return v
	}
	return bytes.TrimSuffix(b.Bytes(), []byte("\n"))
}
