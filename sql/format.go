package sql

import (
	"slices"
	"strings"
)

// redacted stands for the value of a secret.
const redacted = "'***'"

// printer writes statements. As a normal form it sorts options and normalises
// expressions, else it keeps these as written.
type printer struct {
	strings.Builder
	normal bool
	redact func(option string) bool
}

// text writes an expression or query.
func (p *printer) text(s string) {
	if p.normal {
		s = normalText(s)
	}
	p.WriteString(s)
}

func (p *printer) words(words ...string) {
	for _, w := range words {
		p.WriteString(w)
	}
}

// options writes one option a line.
func (p *printer) options(keyword string, list []Option) {
	if p.normal {
		list = slices.Clone(list)
		slices.SortStableFunc(list, func(a, b Option) int { return strings.Compare(a.Name, b.Name) })
	}
	p.words(keyword, " (")
	for i, o := range list {
		if i > 0 {
			p.WriteByte(',')
		}
		value := QuoteString(o.Value)
		if p.redact != nil && p.redact(o.Name) && !isReference(o.Value) {
			value = redacted
		}
		p.words("\n  ", optionName(o.Name), " = ", value)
	}
	p.WriteString("\n)")
}

// isReference reports whether an option's value is nothing but a reference to
// what holds it, such as ${env:NAME} or ${file:/path}: that is no secret itself.
func isReference(value string) bool {
	inside, ok := strings.CutPrefix(value, "${")
	return ok && strings.IndexByte(inside, '}') == len(inside)-1 && strings.Contains(inside, ":")
}

// optionName writes a name bare if the parser reads it back from there.
func optionName(name string) string {
	for i, part := range strings.Split(name, ".") {
		if !isPlainName(part) || i == 0 && part != strings.ToLower(part) {
			return QuoteString(name)
		}
	}
	return name
}

func (p *printer) source(s *CreateSource) {
	p.words("CREATE SOURCE ", QuoteName(s.Name.Name))
	var elements []func()
	for _, c := range s.Columns {
		elements = append(elements, func() { p.column(c) })
	}
	if s.PrimaryKey != nil {
		elements = append(elements, func() {
			p.WriteString("PRIMARY KEY (")
			for i, k := range s.PrimaryKey {
				if i > 0 {
					p.WriteString(", ")
				}
				p.WriteString(QuoteName(k.Name))
			}
			p.WriteByte(')')
		})
	}
	if s.Watermark != nil {
		elements = append(elements, func() {
			p.words("WATERMARK FOR ", QuoteName(s.Watermark.Column.Name), " AS ")
			p.text(s.Watermark.ExprText)
		})
	}
	for i, write := range elements {
		p.WriteString([]string{" (\n  ", ",\n  "}[min(i, 1)])
		write()
	}
	if elements != nil {
		p.WriteString("\n)")
	}
	p.options(" WITH", s.Options)
}

func (p *printer) column(c ColumnDef) {
	p.words(QuoteName(c.Name.Name), " ", c.Type.String())
	if c.NotNull {
		p.WriteString(" NOT NULL")
	}
	if c.Comment != "" {
		p.words(" COMMENT ", QuoteString(c.Comment))
	}
}

func (p *printer) stream(s *CreateStream) {
	p.words("CREATE STREAM ", QuoteName(s.Name.Name))
	sink, table := s.Target()
	// The normal form always says where the stream writes: leaving it out and
	// writing the default mean the same.
	if s.Into != nil || p.normal {
		p.words(" INTO ", QuoteName(sink))
		if p.normal || s.Into.Table.Name != "" {
			p.words(".", QuoteName(table))
		}
	}
	if s.PartitionedBy != nil {
		p.WriteString("\nPARTITIONED BY (")
		for i, e := range s.PartitionedBy {
			if i > 0 {
				p.WriteString(", ")
			}
			p.text(e.ExprText)
			if e.Name != "" {
				p.words(" AS ", QuoteName(e.Name))
			}
		}
		p.WriteByte(')')
	}
	if s.Options != nil {
		p.options("\nWITH", s.Options)
	}
	p.WriteString("\nAS ")
	p.text(s.Query)
}

// Format implements Statement.
func (s *CreateSource) Format(redact func(option string) bool) string {
	p := printer{redact: redact}
	p.source(s)
	return p.String()
}

// Normal implements Statement.
func (s *CreateSource) Normal() string {
	p := printer{normal: true}
	p.source(s)
	return p.String()
}

// Format implements Statement.
func (s *CreateSink) Format(redact func(option string) bool) string {
	p := printer{redact: redact}
	p.sink(s)
	return p.String()
}

// Normal implements Statement.
func (s *CreateSink) Normal() string {
	p := printer{normal: true}
	p.sink(s)
	return p.String()
}

func (p *printer) sink(s *CreateSink) {
	p.words("CREATE SINK ", QuoteName(s.Name.Name))
	p.options(" WITH", s.Options)
}

// Format implements Statement.
func (s *CreateStream) Format(redact func(option string) bool) string {
	p := printer{redact: redact}
	p.stream(s)
	return p.String()
}

// Normal implements Statement.
func (s *CreateStream) Normal() string {
	p := printer{normal: true}
	p.stream(s)
	return p.String()
}

// Format implements Statement.
func (s *Drop) Format(func(option string) bool) string {
	if s.IfExists {
		return "DROP " + s.Kind.Keyword() + " IF EXISTS " + QuoteName(s.Name.Name)
	}
	return "DROP " + s.Kind.Keyword() + " " + QuoteName(s.Name.Name)
}

// Normal implements Statement.
func (s *Drop) Normal() string { return s.Format(nil) }

// Format implements Statement.
func (s *StartStream) Format(func(option string) bool) string {
	if s.From != "" {
		return "START STREAM " + QuoteName(s.Name.Name) + " FROM " + QuoteString(s.From)
	}
	return "START STREAM " + QuoteName(s.Name.Name)
}

// Normal implements Statement.
func (s *StartStream) Normal() string { return s.Format(nil) }

// Format implements Statement.
func (s *StopStream) Format(func(option string) bool) string {
	return "STOP STREAM " + QuoteName(s.Name.Name)
}

// Normal implements Statement.
func (s *StopStream) Normal() string { return s.Format(nil) }

// Format implements Statement.
func (s *FlushStream) Format(func(option string) bool) string {
	return "FLUSH STREAM " + QuoteName(s.Name.Name)
}

// Normal implements Statement.
func (s *FlushStream) Normal() string { return s.Format(nil) }

// Format implements Statement.
func (s *AlterStream) Format(redact func(option string) bool) string {
	p := printer{redact: redact}
	p.words("ALTER STREAM ", QuoteName(s.Name.Name))
	p.options(" SET", s.Options)
	return p.String()
}

// Normal implements Statement.
func (s *AlterStream) Normal() string {
	p := printer{normal: true}
	p.words("ALTER STREAM ", QuoteName(s.Name.Name))
	p.options(" SET", s.Options)
	return p.String()
}

// Format implements Statement.
func (s *Show) Format(func(option string) bool) string {
	if s.HasLike {
		return "SHOW " + s.Kind.Keyword() + "S LIKE " + QuoteString(s.Like)
	}
	return "SHOW " + s.Kind.Keyword() + "S"
}

// Normal implements Statement.
func (s *Show) Normal() string { return s.Format(nil) }

// Format implements Statement.
func (s *ShowCreate) Format(func(option string) bool) string {
	return "SHOW CREATE " + s.Kind.Keyword() + " " + QuoteName(s.Name.Name)
}

// Normal implements Statement.
func (s *ShowCreate) Normal() string { return s.Format(nil) }

// Format implements Statement.
func (s *Describe) Format(func(option string) bool) string {
	if s.Database.Name != "" {
		return "DESCRIBE " + QuoteName(s.Database.Name) + "." + QuoteName(s.Name.Name)
	}
	return "DESCRIBE " + QuoteName(s.Name.Name)
}

// Normal implements Statement.
func (s *Describe) Normal() string { return s.Format(nil) }

// Format implements Statement.
func (s *Explain) Format(redact func(option string) bool) string {
	return s.prefix() + s.Stream.Format(redact)
}

// Normal implements Statement.
func (s *Explain) Normal() string { return s.prefix() + s.Stream.Normal() }

func (s *Explain) prefix() string {
	if s.Analyze {
		return "EXPLAIN ANALYZE "
	}
	return "EXPLAIN "
}

// Format implements Statement.
func (s *ReplayDeadLetters) Format(func(option string) bool) string { return s.print(printer{}) }

// Normal implements Statement.
func (s *ReplayDeadLetters) Normal() string { return s.print(printer{normal: true}) }

func (s *ReplayDeadLetters) print(p printer) string {
	p.words("REPLAY DEAD_LETTERS FOR STREAM ", QuoteName(s.Stream.Name))
	if s.Where != "" {
		p.WriteString(" WHERE ")
		p.text(s.Where)
	}
	return p.String()
}

// Format implements Statement.
func (s *CreateSecret) Format(redact func(option string) bool) string {
	p := printer{redact: redact}
	p.secret(s)
	return p.String()
}

// Normal implements Statement.
func (s *CreateSecret) Normal() string {
	p := printer{normal: true}
	p.secret(s)
	return p.String()
}

func (p *printer) secret(s *CreateSecret) {
	p.words("CREATE SECRET ", QuoteName(s.Name.Name))
	p.options(" WITH", s.Options)
}
