package sql

import (
	"strings"

	"github.com/leatdb/leat/sql/sqlerror"
	"github.com/leatdb/leat/sql/types"
)

// options reads WITH (name = value, …) or SET (…), whose keyword is next.
func (p *parser) options(keyword string) ([]Option, error) {
	if err := p.expectWords(keyword); err != nil {
		return nil, err
	}
	if err := p.expectOperator("(", "after "+keyword); err != nil {
		return nil, err
	}
	var list []Option
	seen := map[string]bool{}
	for {
		if p.tok.IsOperator(")") {
			if list != nil {
				return nil, p.unexpected("an option after the comma").WithHint("leave out the last comma")
			}
			return nil, p.unexpected("an option such as name = 'value'")
		}
		o, err := p.option()
		if err != nil {
			return nil, err
		}
		if seen[o.Name] {
			return nil, sqlerror.Userf(sqlerror.CodeBadOption, "option %q is given twice", o.Name).At(o.NamePos)
		}
		seen[o.Name] = true
		list = append(list, o)
		comma, err := p.acceptOperator(",")
		if err != nil {
			return nil, err
		}
		if comma {
			continue
		}
		if p.tok.Kind == Word || p.tok.Kind == String || p.tok.Kind == QuotedName {
			return nil, p.unexpected(", or ) after the value of option " + o.Name).WithHint("options are separated by commas")
		}
		return list, p.expectOperator(")", "after the options")
	}
}

// option reads one name = value.
func (p *parser) option() (Option, error) {
	o := Option{NamePos: p.tok.Pos}
	switch p.tok.Kind {
	case String, QuotedName:
		o.Name = p.tok.Value()
		if err := p.advance(); err != nil {
			return o, err
		}
	case Word:
		// fields.userId.min: the first part is a keyword, the others are names.
		o.Name = strings.ToLower(p.tok.Text)
		if err := p.advance(); err != nil {
			return o, err
		}
		for p.tok.IsOperator(".") {
			if err := p.advance(); err != nil {
				return o, err
			}
			if !p.tok.isName() {
				return o, p.unexpected("the rest of the option's name after " + o.Name + ".")
			}
			o.Name += "." + p.tok.Value()
			if err := p.advance(); err != nil {
				return o, err
			}
		}
	default:
		return o, p.unexpected("the name of an option")
	}
	if o.Name == "" {
		return o, sqlerror.Userf(sqlerror.CodeSyntax, "the name of an option is empty").At(o.NamePos)
	}
	if err := p.expectOperator("=", "after option "+o.Name); err != nil {
		return o, err
	}
	o.Pos = p.tok.Pos
	sign := ""
	if p.tok.IsOperator("-") || p.tok.IsOperator("+") {
		sign = strings.TrimPrefix(p.tok.Text, "+")
		if err := p.advance(); err != nil {
			return o, err
		}
		if p.tok.Kind != Number {
			return o, p.unexpected("a number after the sign of option " + o.Name)
		}
	}
	switch p.tok.Kind {
	case String:
		o.Value = p.tok.Value()
	case Number:
		o.Value = sign + p.tok.Text
	case Word:
		o.Value = p.tok.Text
		switch lower := strings.ToLower(o.Value); lower {
		case "true", "false", "on", "off":
			o.Value = lower
		case "null":
			return o, p.unexpected("a value for option " + o.Name).WithHint("to leave an option unset do not write it")
		}
	default:
		return o, p.unexpected("a value for option " + o.Name).WithHint("write a string in single quotes, a number, TRUE or FALSE")
	}
	bare := p.tok.Kind != String
	if err := p.advance(); err != nil {
		return o, err
	}
	if bare && p.tok.Kind != EOF && p.tok.Offset == p.last.End() && !p.tok.IsOperator(",") && !p.tok.IsOperator(")") && !p.tok.IsOperator(";") {
		return o, sqlerror.Userf(sqlerror.CodeSyntax, "expected , or ) after the value of option %s, found %s", o.Name, describe(p.tok)).At(p.tok.Pos).
			WithHint("a value of more than one word is written in single quotes")
	}
	return o, nil
}

// columns reads the column definitions of a source, whose bracket is next.
func (p *parser) columns(s *CreateSource) error {
	if err := p.advance(); err != nil {
		return err
	}
	seen := map[string]bool{}
	for {
		if p.tok.IsOperator(")") && (s.Columns != nil || s.Watermark != nil || s.PrimaryKey != nil) {
			return p.unexpected("a column after the comma").WithHint("leave out the last comma")
		}
		if err := p.columnElement(s, seen); err != nil {
			return err
		}
		comma, err := p.acceptOperator(",")
		if err != nil {
			return err
		}
		if !comma {
			break
		}
	}
	if err := p.expectOperator(")", "after the columns"); err != nil {
		return err
	}
	return p.checkColumns(s)
}

func (p *parser) columnElement(s *CreateSource, seen map[string]bool) error {
	switch {
	case p.tok.IsWord("WATERMARK") && p.ahead().IsWord("FOR"):
		if s.Watermark != nil {
			return sqlerror.Userf(sqlerror.CodeSyntax, "a source has one watermark, found a second").At(p.tok.Pos)
		}
		return p.watermark(s)
	case p.tok.IsWord("PRIMARY"):
		if s.PrimaryKey != nil {
			return secondPrimaryKey(p.tok.Pos)
		}
		return p.primaryKey(s)
	case p.tok.IsWord("KEY") || p.tok.IsWord("INDEX") || p.tok.IsWord("UNIQUE") || p.tok.IsWord("FOREIGN") ||
		p.tok.IsWord("CONSTRAINT") || p.tok.IsWord("CHECK") || p.tok.IsWord("FULLTEXT"):
		t := p.ahead()
		if _, err := types.Parse(t.Text); t.IsOperator("(") || t.isName() && err != nil {
			return p.unexpected("a column, PRIMARY KEY or WATERMARK").WithHint("a source has no other keys, indexes or constraints")
		}
	}
	return p.column(s, seen)
}

func (p *parser) column(s *CreateSource, seen map[string]bool) error {
	name, err := p.name("the name of a column")
	if err != nil {
		return err
	}
	if err := checkName("a column", name); err != nil {
		return err
	}
	fold := strings.ToLower(name.Name)
	if seen[fold] {
		return sqlerror.Userf(sqlerror.CodeSyntax, "column %s is declared twice", QuoteName(name.Name)).At(name.Pos).
			WithHint("names of columns are compared without regard to case")
	}
	seen[fold] = true
	c := ColumnDef{Name: name}
	if c.Type, c.TypePos, err = p.columnType("column " + QuoteName(name.Name)); err != nil {
		return err
	}
	null := false
	for {
		at := p.tok.Pos
		switch {
		case p.tok.IsWord("NOT"):
			if err := p.expectWords("NOT", "NULL"); err != nil {
				return err
			}
			c.NotNull = true
		case p.tok.IsWord("NULL"):
			if err := p.advance(); err != nil {
				return err
			}
			null = true
		case p.tok.IsWord("COMMENT"):
			if err := p.advance(); err != nil {
				return err
			}
			if p.tok.Kind != String {
				return p.unexpected("a string after COMMENT")
			}
			c.Comment = p.tok.Value()
			if err := p.advance(); err != nil {
				return err
			}
		case p.tok.IsWord("PRIMARY"):
			if err := p.expectWords("PRIMARY", "KEY"); err != nil {
				return err
			}
			if s.PrimaryKey != nil {
				return secondPrimaryKey(at)
			}
			s.PrimaryKey = []Ident{name}
		default:
			if !p.tok.IsOperator(",") && !p.tok.IsOperator(")") {
				return p.unexpected(", or ) after column "+QuoteName(name.Name), "NOT NULL", "COMMENT").
					WithHint("after its type a column takes NOT NULL, NULL, COMMENT and PRIMARY KEY")
			}
			s.Columns = append(s.Columns, c)
			return nil
		}
		if null && c.NotNull {
			return sqlerror.Userf(sqlerror.CodeSyntax, "column %s is declared NULL and NOT NULL", QuoteName(name.Name)).At(at)
		}
	}
}

func secondPrimaryKey(at sqlerror.Position) error {
	return sqlerror.Userf(sqlerror.CodeSyntax, "a source has one primary key, found a second").At(at).
		WithHint("a key of several columns is PRIMARY KEY (a, b)")
}

func (p *parser) primaryKey(s *CreateSource) error {
	if err := p.expectWords("PRIMARY", "KEY"); err != nil {
		return err
	}
	if err := p.expectOperator("(", "after PRIMARY KEY"); err != nil {
		return err
	}
	for {
		name, err := p.name("the name of a column of the primary key")
		if err != nil {
			return err
		}
		for _, k := range s.PrimaryKey {
			if strings.EqualFold(k.Name, name.Name) {
				return sqlerror.Userf(sqlerror.CodeSyntax, "column %s is twice in the primary key", QuoteName(name.Name)).At(name.Pos)
			}
		}
		s.PrimaryKey = append(s.PrimaryKey, name)
		if comma, err := p.acceptOperator(","); err != nil {
			return err
		} else if !comma {
			return p.expectOperator(")", "after the primary key")
		}
	}
}

func (p *parser) watermark(s *CreateSource) error {
	if err := p.expectWords("WATERMARK", "FOR"); err != nil {
		return err
	}
	column, err := p.name("the name of a column after WATERMARK FOR")
	if err != nil {
		return err
	}
	if err := p.expectWords("AS"); err != nil {
		return err
	}
	s.Watermark = &Watermark{Column: column}
	s.Watermark.ExprText, s.Watermark.Pos, err = p.textUntil(func(t Token) bool { return t.IsOperator(",") || t.IsOperator(")") })
	if err == nil && s.Watermark.ExprText == "" {
		return p.unexpected("an expression for the watermark, such as " + QuoteName(column.Name) + " - INTERVAL 5 SECOND")
	}
	return err
}

// checkColumns checks that the key and the watermark name declared columns.
func (p *parser) checkColumns(s *CreateSource) error {
	if s.Columns == nil {
		return nil // inferred later
	}
	schema := s.Schema()
	find := func(name Ident, of string) (int, error) {
		i := schema.Index(name.Name)
		if i < 0 {
			names := make([]string, len(schema))
			for j := range schema {
				names[j] = schema[j].Name
			}
			err := sqlerror.Userf(sqlerror.CodeUnknownColumn, "column %s of the %s is not declared", QuoteName(name.Name), of).At(name.Pos)
			if near := sqlerror.Nearest(name.Name, names); near != "" {
				return i, err.WithHint("did you mean %s?", QuoteName(near))
			}
			return i, err
		}
		return i, nil
	}
	for _, k := range s.PrimaryKey {
		i, err := find(k, "primary key")
		if err != nil {
			return err
		}
		s.Columns[i].NotNull = true
	}
	if s.Watermark != nil {
		_, err := find(s.Watermark.Column, "watermark")
		return err
	}
	return nil
}

// columnType reads a type of a column definition; of names the column.
func (p *parser) columnType(of string) (types.Type, sqlerror.Position, error) {
	pos := p.tok.Pos
	if p.tok.Kind != Word {
		return types.Type{}, pos, p.unexpected("a type for " + of)
	}
	var text strings.Builder
	take := func() error {
		text.WriteString(p.tok.Text)
		text.WriteByte(' ')
		return p.advance()
	}
	if err := take(); err != nil {
		return types.Type{}, pos, err
	}
	for p.tok.Kind == Word || p.tok.IsOperator("(") {
		words := 0
		switch strings.ToUpper(p.tok.Text) {
		case "(":
			for !p.tok.IsOperator(")") {
				if p.tok.Kind == EOF || p.tok.IsOperator(";") {
					return types.Type{}, pos, p.unexpected(") of the type of " + of)
				}
				if err := take(); err != nil {
					return types.Type{}, pos, err
				}
			}
			words = 1
		case "PRECISION", "VARYING", "UNSIGNED", "SIGNED", "ZEROFILL", "BINARY":
			words = 1
		case "CHARSET", "COLLATE":
			words = 2
		case "CHARACTER":
			words = 3
		}
		if words == 0 {
			break
		}
		for ; words > 0 && p.tok.Kind != EOF; words-- {
			if err := take(); err != nil {
				return types.Type{}, pos, err
			}
		}
	}
	t, err := types.Parse(text.String())
	if err != nil {
		return t, pos, sqlerror.Userf(sqlerror.CodeType, "%s: %w", of, err).At(pos)
	}
	if t.Kind == types.Null {
		return t, pos, sqlerror.Userf(sqlerror.CodeType, "%s: NULL is no type of a column", of).At(pos)
	}
	return t, pos, nil
}

// partitions reads PARTITIONED BY (expr [AS name], …).
func (p *parser) partitions(s *CreateStream) error {
	if err := p.expectWords("PARTITIONED", "BY"); err != nil {
		return err
	}
	if err := p.expectOperator("(", "after PARTITIONED BY"); err != nil {
		return err
	}
	seen := map[string]bool{}
	for {
		var e PartitionExpr
		var err error
		e.ExprText, e.Pos, err = p.textUntil(func(t Token) bool {
			return t.IsOperator(",") || t.IsOperator(")") || t.IsWord("AS")
		})
		if err != nil {
			return err
		}
		if e.ExprText == "" {
			err := p.unexpected("an expression to partition by")
			if s.PartitionedBy != nil && p.tok.IsOperator(")") {
				return err.WithHint("leave out the last comma")
			}
			return err
		}
		if as, err := p.acceptWord("AS"); err != nil {
			return err
		} else if as {
			name, err := p.name("the name of the partition column after AS")
			if err != nil {
				return err
			}
			if err := checkName("a column", name); err != nil {
				return err
			}
			fold := strings.ToLower(name.Name)
			if seen[fold] {
				return sqlerror.Userf(sqlerror.CodeSyntax, "partition column %s is named twice", QuoteName(name.Name)).At(name.Pos)
			}
			seen[fold] = true
			e.Name, e.NamePos = name.Name, name.Pos
		}
		s.PartitionedBy = append(s.PartitionedBy, e)
		if comma, err := p.acceptOperator(","); err != nil {
			return err
		} else if !comma {
			return p.expectOperator(")", "after the partition expressions")
		}
	}
}

// maxNesting bounds how deep brackets are nested, well below what the parsers
// and binders that recurse over a query stand.
const maxNesting = 1000

func tooDeep(at sqlerror.Position) error {
	return sqlerror.Userf(sqlerror.CodeSyntax, "brackets are nested deeper than %d", maxNesting).At(at)
}

// textUntil takes tokens until one outside of brackets for which stop is true,
// or the end of the statement, and returns their text as written with its
// position. A bracket that closes more than was opened is an error, unless
// stop takes it; so are one that is not closed and a text that ends with "--".
func (p *parser) textUntil(stop func(Token) bool) (string, sqlerror.Position, error) {
	first := p.tok
	end := first.Offset
	var opened []Token
	for p.tok.Kind != EOF && !p.tok.IsOperator(";") && (len(opened) > 0 || !stop(p.tok)) {
		switch {
		case p.tok.Kind == Invalid:
			return "", first.Pos, invalid(p.tok)
		case p.tok.IsOperator("("):
			if len(opened) == maxNesting {
				return "", first.Pos, tooDeep(p.tok.Pos)
			}
			opened = append(opened, p.tok)
		case p.tok.IsOperator(")"):
			if len(opened) == 0 {
				return "", first.Pos, sqlerror.Userf(sqlerror.CodeSyntax, "unexpected ), which closes nothing").At(p.tok.Pos)
			}
			opened = opened[:len(opened)-1]
		}
		end = p.tok.End()
		if err := p.advance(); err != nil {
			return "", first.Pos, err
		}
	}
	if len(opened) > 0 {
		open := opened[len(opened)-1]
		return "", first.Pos, p.unexpected(") that closes the ( at " + open.Pos.String())
	}
	text := p.lex.text[first.Offset:end]
	if strings.HasSuffix(text, "--") {
		// It would begin a comment as soon as something else stands after it.
		return "", first.Pos, p.unexpected("an operand after --")
	}
	return text, first.Pos, nil
}
