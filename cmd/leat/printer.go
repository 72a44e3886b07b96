//go:build gms_pure_go && duckdb_arrow

package main

import (
	"bytes"
	"database/sql"
	"encoding/base64"
	"encoding/json"
	"fmt"
	"io"
	"math"
	"strconv"
	"strings"
	"unicode/utf8"
)

// printedColumn is a column as the printers need it.
type printedColumn struct {
	name   string
	number bool // printed as a number
	binary bool
	json   bool
}

func printedColumns(types []*sql.ColumnType) []printedColumn {
	columns := make([]printedColumn, len(types))
	for i, t := range types {
		c := printedColumn{name: t.Name()}
		switch strings.TrimPrefix(t.DatabaseTypeName(), "UNSIGNED ") {
		case "TINYINT", "SMALLINT", "MEDIUMINT", "INT", "BIGINT", "FLOAT", "DOUBLE", "DECIMAL", "YEAR":
			c.number = true
		case "BINARY", "VARBINARY", "BLOB", "TINYBLOB", "MEDIUMBLOB", "LONGBLOB", "BIT", "GEOMETRY":
			c.binary = true
		case "JSON":
			c.json = true
		}
		columns[i] = c
	}
	return columns
}

// printer prints the rows of one result; values are the driver's, nil for NULL.
type printer interface {
	begin(columns []printedColumn) error
	row(values []any) error
	end() error
}

// printers are the formats of leat sql by name.
var printers = map[string]func(io.Writer) printer{
	"table": func(w io.Writer) printer { return &tablePrinter{w: w} },
	"csv":   func(w io.Writer) printer { return &csvPrinter{w: w} },
	"json":  func(w io.Writer) printer { return &jsonPrinter{w: w} },
}

// text is a value as MySQL prints it.
func text(v any) string {
	switch v := v.(type) {
	case []byte:
		return string(v)
	case string:
		return v
	case float32:
		return floatText(float64(v), 32)
	case float64:
		return floatText(v, 64)
	}
	return fmt.Sprint(v)
}

// floatText is a number with the fewest digits that tell it from its neighbours,
// with an exponent where MySQL uses one: from 1e15 on, and below 1e-15.
func floatText(f float64, bits int) string {
	if abs := math.Abs(f); abs != 0 && (abs >= 1e15 || abs < 1e-15) {
		s := strconv.FormatFloat(f, 'e', -1, bits)
		mantissa, exponent, _ := strings.Cut(s, "e")
		sign := strings.TrimPrefix(exponent[:1], "+")
		return mantissa + "e" + sign + strings.TrimLeft(exponent[1:], "0")
	}
	return strconv.FormatFloat(f, 'f', -1, bits)
}

// tablePrinter draws a table. The first rows are held back to find out how wide
// the columns are; what comes after them may stick out.
type tablePrinter struct {
	w       io.Writer
	columns []printedColumn
	widths  []int
	held    [][][]string // rows of cells of lines
	bytes   int
	drawn   bool // the head is out, and nothing is held back any more
}

const (
	heldRows  = 10_000
	heldBytes = 8 << 20
)

func (p *tablePrinter) begin(columns []printedColumn) error {
	p.columns, p.widths = columns, make([]int, len(columns))
	for i, c := range columns {
		p.widths[i] = utf8.RuneCountInString(c.name)
	}
	return nil
}

func (p *tablePrinter) row(values []any) error {
	cells := make([][]string, len(values))
	for i, v := range values {
		s := "NULL"
		if v != nil {
			s = text(v)
			if !utf8.ValidString(s) {
				s = fmt.Sprintf("0x%X", s)
			}
		}
		cells[i] = strings.Split(strings.ReplaceAll(s, "\t", "    "), "\n")
		p.bytes += len(s)
	}
	if p.drawn {
		return p.draw(cells)
	}
	for i, lines := range cells {
		for _, line := range lines {
			p.widths[i] = max(p.widths[i], utf8.RuneCountInString(line))
		}
	}
	p.held = append(p.held, cells)
	if len(p.held) < heldRows && p.bytes < heldBytes {
		return nil
	}
	return p.release()
}

// release draws the head and what was held back.
func (p *tablePrinter) release() error {
	p.drawn = true
	names := make([][]string, len(p.columns))
	for i, c := range p.columns {
		names[i] = []string{c.name}
	}
	if err := p.rule(); err != nil {
		return err
	}
	if err := p.draw(names); err != nil {
		return err
	}
	if err := p.rule(); err != nil {
		return err
	}
	for _, cells := range p.held {
		if err := p.draw(cells); err != nil {
			return err
		}
	}
	p.held = nil
	return nil
}

func (p *tablePrinter) end() error {
	if p.drawn {
		return p.rule()
	}
	if len(p.held) == 0 {
		_, err := fmt.Fprintln(p.w, "no rows")
		return err
	}
	if err := p.release(); err != nil {
		return err
	}
	return p.rule()
}

func (p *tablePrinter) rule() error {
	var b strings.Builder
	for _, w := range p.widths {
		b.WriteString("+" + strings.Repeat("-", w+2))
	}
	_, err := fmt.Fprintln(p.w, b.String()+"+")
	return err
}

func (p *tablePrinter) draw(cells [][]string) error {
	height := 0
	for _, lines := range cells {
		height = max(height, len(lines))
	}
	var b strings.Builder
	for n := range height {
		for i, lines := range cells {
			line := ""
			if n < len(lines) {
				line = lines[n]
			}
			pad := strings.Repeat(" ", max(0, p.widths[i]-utf8.RuneCountInString(line)))
			if p.columns[i].number {
				b.WriteString("| " + pad + line + " ")
			} else {
				b.WriteString("| " + line + pad + " ")
			}
		}
		b.WriteString("|\n")
	}
	_, err := io.WriteString(p.w, b.String())
	return err
}

// verticalPrinter prints each row as a list, for \G.
type verticalPrinter struct {
	w     io.Writer
	names []string
	n     int
}

func (p *verticalPrinter) begin(columns []printedColumn) error {
	widest := 0
	for _, c := range columns {
		widest = max(widest, utf8.RuneCountInString(c.name))
	}
	for _, c := range columns {
		p.names = append(p.names, strings.Repeat(" ", widest-utf8.RuneCountInString(c.name))+c.name)
	}
	return nil
}

func (p *verticalPrinter) row(values []any) error {
	p.n++
	if _, err := fmt.Fprintf(p.w, "*************************** %d. row ***************************\n", p.n); err != nil {
		return err
	}
	for i, v := range values {
		s := "NULL"
		if v != nil {
			s = text(v)
		}
		if _, err := fmt.Fprintf(p.w, "%s: %s\n", p.names[i], s); err != nil {
			return err
		}
	}
	return nil
}

func (p *verticalPrinter) end() error { return nil }

// csvPrinter prints CSV as RFC 4180 has it, with a head. NULL is an empty field,
// an empty text a quoted one.
type csvPrinter struct {
	w io.Writer
	b bytes.Buffer
}

func (p *csvPrinter) begin(columns []printedColumn) error {
	names := make([]any, len(columns))
	for i, c := range columns {
		names[i] = c.name
	}
	return p.row(names)
}

func (p *csvPrinter) row(values []any) error {
	p.b.Reset()
	for i, v := range values {
		if i > 0 {
			p.b.WriteByte(',')
		}
		if v == nil {
			continue
		}
		s := text(v)
		if s == "" || strings.ContainsAny(s, ",\"\r\n") {
			s = `"` + strings.ReplaceAll(s, `"`, `""`) + `"`
		}
		p.b.WriteString(s)
	}
	p.b.WriteByte('\n')
	_, err := p.w.Write(p.b.Bytes())
	return err
}

func (p *csvPrinter) end() error { return nil }

// jsonPrinter prints an object for each row, on a line of its own: numbers with
// all their digits, JSON as it is, binary values in base64, the rest as text.
type jsonPrinter struct {
	w       io.Writer
	columns []printedColumn
	names   [][]byte
	b       bytes.Buffer
}

func (p *jsonPrinter) begin(columns []printedColumn) error {
	p.columns = columns
	for _, c := range columns {
		p.names = append(p.names, jsonText(c.name))
	}
	return nil
}

// jsonText is a text as JSON, with < and > as they are.
func jsonText(s string) []byte {
	var b bytes.Buffer
	e := json.NewEncoder(&b)
	e.SetEscapeHTML(false)
	_ = e.Encode(s) // a string can always be encoded
	return bytes.TrimSuffix(b.Bytes(), []byte("\n"))
}

func (p *jsonPrinter) row(values []any) error {
	p.b.Reset()
	p.b.WriteByte('{')
	for i, v := range values {
		if i > 0 {
			p.b.WriteByte(',')
		}
		p.b.Write(p.names[i])
		p.b.WriteByte(':')
		c := p.columns[i]
		switch {
		case v == nil:
			p.b.WriteString("null")
		case c.binary:
			p.b.Write(jsonText(base64.StdEncoding.EncodeToString([]byte(text(v)))))
		case (c.number || c.json) && json.Valid([]byte(text(v))):
			p.b.WriteString(text(v))
		default:
			p.b.Write(jsonText(text(v)))
		}
	}
	p.b.WriteString("}\n")
	_, err := p.w.Write(p.b.Bytes())
	return err
}

func (p *jsonPrinter) end() error { return nil }
