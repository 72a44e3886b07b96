package types

import (
	"fmt"
	"strconv"
	"strings"

	"github.com/leatdb/leat/sql/sqlerror"
)

// Parse reads a type as MySQL spells it in a column definition: its name, the
// arguments in brackets, UNSIGNED and ZEROFILL; CHARACTER SET and COLLATE are
// accepted and ignored, since all text is utf8mb4 compared by its bytes. The
// error says what is wrong with the type and what would fit.
func Parse(s string) (Type, error) {
	name, args, rest, err := split(s)
	if err != nil {
		return Type{}, err
	}
	values := make([]string, len(args))
	for i, a := range args {
		if members := name == "ENUM" || name == "SET"; a.quoted != members {
			if members {
				return Type{}, fmt.Errorf("member %s of type %s must be in quotes, as in %s('a','b')", a.text, name, name)
			}
			return Type{}, fmt.Errorf("argument '%s' of type %s must be a number", a.text, name)
		}
		values[i] = a.text
	}
	unsigned := false
	for words := strings.Fields(strings.ToUpper(rest)); len(words) > 0; words = words[1:] {
		switch words[0] {
		case "UNSIGNED":
			unsigned = true
		case "SIGNED", "PRECISION", "VARYING", "BINARY":
		case "ZEROFILL":
			unsigned = true
		case "COLLATE", "CHARSET":
			if len(words) < 2 {
				return Type{}, fmt.Errorf("%s of type %s needs a name", words[0], name)
			}
			words = words[1:]
		case "CHARACTER":
			if len(words) < 3 || words[1] != "SET" {
				return Type{}, fmt.Errorf("CHARACTER of type %s must be followed by SET and a name", name)
			}
			words = words[2:]
		default:
			return Type{}, fmt.Errorf("unexpected %q after type %s", strings.ToLower(words[0]), name)
		}
	}
	t, err := build(name, values, unsigned)
	if err != nil {
		return Type{}, err
	}
	if unsigned && !t.Kind.IsUnsigned() && !t.Kind.IsFloat() && t.Kind != Decimal {
		return Type{}, fmt.Errorf("type %s cannot be UNSIGNED", name)
	}
	return t, nil
}

// argument is one of those in the brackets of a type, without its quotes.
type argument struct {
	text   string
	quoted bool
}

// split takes "DECIMAL (10, 2) UNSIGNED" apart into its upper-case name, its
// arguments and what follows.
func split(s string) (name string, args []argument, rest string, err error) {
	s = strings.TrimSpace(s)
	i := 0
	for i < len(s) && (s[i] == '_' || s[i] >= '0' && s[i] <= '9' || s[i]|0x20 >= 'a' && s[i]|0x20 <= 'z') {
		i++
	}
	name = strings.ToUpper(s[:i])
	if name == "" {
		return "", nil, "", fmt.Errorf("expected a type, found %q", s)
	}
	s = strings.TrimSpace(s[i:])
	if upper := strings.ToUpper(s); name == "DOUBLE" && strings.HasPrefix(upper, "PRECISION") {
		s = strings.TrimSpace(s[len("PRECISION"):])
	} else if (name == "CHAR" || name == "CHARACTER") && strings.HasPrefix(upper, "VARYING") {
		name, s = "VARCHAR", strings.TrimSpace(s[len("VARYING"):])
	}
	if !strings.HasPrefix(s, "(") {
		return name, nil, s, nil
	}
	s = s[1:]
	for {
		s = strings.TrimSpace(s)
		if s == "" {
			return "", nil, "", fmt.Errorf("missing ) in type %s", name)
		}
		var arg argument
		if s[0] == '\'' || s[0] == '"' {
			arg.quoted = true
			arg.text, s, err = unquote(s)
			if err != nil {
				return "", nil, "", fmt.Errorf("in type %s: %w", name, err)
			}
		} else {
			end := strings.IndexAny(s, ",)")
			if end < 0 {
				return "", nil, "", fmt.Errorf("missing ) in type %s", name)
			}
			arg.text, s = strings.TrimSpace(s[:end]), s[end:]
		}
		args = append(args, arg)
		s = strings.TrimSpace(s)
		switch {
		case strings.HasPrefix(s, ","):
			s = s[1:]
		case strings.HasPrefix(s, ")"):
			return name, args, strings.TrimSpace(s[1:]), nil
		default:
			return "", nil, "", fmt.Errorf("missing ) in type %s", name)
		}
	}
}

// unquote reads the quoted string that s begins with, by MySQL's rules: a
// doubled quote stands for itself, a backslash escapes.
func unquote(s string) (value, rest string, err error) {
	quote := s[0]
	var b strings.Builder
	for i := 1; i < len(s); i++ {
		switch {
		case s[i] == quote && i+1 < len(s) && s[i+1] == quote:
			b.WriteByte(quote)
			i++
		case s[i] == quote:
			return b.String(), s[i+1:], nil
		case s[i] == '\\' && i+1 < len(s):
			i++
			if j := strings.IndexByte("0bnrtZ", s[i]); j >= 0 {
				b.WriteByte("\x00\b\n\r\t\x1a"[j])
				continue
			}
			if s[i] == '%' || s[i] == '_' {
				b.WriteByte('\\')
			}
			b.WriteByte(s[i])
		default:
			b.WriteByte(s[i])
		}
	}
	return "", "", fmt.Errorf("unterminated string %s", s)
}

func build(name string, args []string, unsigned bool) (Type, error) {
	number := func(i, fallback, low, high int) (int, error) {
		if i >= len(args) {
			return fallback, nil
		}
		n, err := strconv.Atoi(args[i])
		if err != nil || n < low || n > high {
			return 0, fmt.Errorf("argument %q of type %s must be a number from %d to %d", args[i], name, low, high)
		}
		return n, nil
	}
	most := func(n int) error {
		if len(args) > n {
			return fmt.Errorf("type %s takes at most %d arguments, found %d", name, n, len(args))
		}
		return nil
	}
	integer := func(signed, unsignedKind Kind, word string) (Type, error) {
		if err := most(1); err != nil {
			return Type{}, err
		}
		if _, err := number(0, 0, 0, 255); err != nil {
			return Type{}, err
		}
		if unsigned {
			if word != "" {
				word += " UNSIGNED"
			}
			return Type{Kind: unsignedKind, Name: word}, nil
		}
		return Type{Kind: signed, Name: word}, nil
	}
	sized := func(kind Kind, word string, fallback, high int) (Type, error) {
		if err := most(1); err != nil {
			return Type{}, err
		}
		n, err := number(0, fallback, 0, high)
		return Type{Kind: kind, Name: word, Length: n}, err
	}
	temporal := func(kind Kind) (Type, error) {
		if err := most(1); err != nil {
			return Type{}, err
		}
		fsp, err := number(0, 0, 0, 6)
		return Type{Kind: kind, Fsp: fsp}, err
	}
	plain := func(t Type) (Type, error) { return t, most(0) }

	switch name {
	case "BOOL", "BOOLEAN":
		return plain(TypeBool)
	case "TINYINT", "INT1":
		if len(args) == 1 && args[0] == "1" && !unsigned {
			return TypeBool, nil
		}
		return integer(Int8, Uint8, "")
	case "SMALLINT", "INT2":
		return integer(Int16, Uint16, "")
	case "MEDIUMINT", "INT3":
		return integer(Int32, Uint32, "MEDIUMINT")
	case "INT", "INTEGER", "INT4":
		return integer(Int32, Uint32, "")
	case "BIGINT", "INT8":
		return integer(Int64, Uint64, "")
	case "SERIAL":
		return plain(TypeUint64)
	case "FLOAT":
		if err := most(2); err != nil {
			return Type{}, err
		}
		bits, err := number(0, 24, 0, 255)
		if err == nil && bits > 24 && len(args) == 1 {
			return TypeFloat64, nil
		}
		return Type{Kind: Float32}, err
	case "DOUBLE", "REAL", "FLOAT8":
		return TypeFloat64, most(2)
	case "DECIMAL", "NUMERIC", "DEC", "FIXED":
		if err := most(2); err != nil {
			return Type{}, err
		}
		p, err := number(0, 10, 0, 65)
		if err != nil {
			return Type{}, err
		}
		if p == 0 {
			p = 10
		}
		if p > MaxDecimalPrecision {
			return Type{}, fmt.Errorf("DECIMAL precision %d is over %d, the most that Parquet and Iceberg tables hold; declare DECIMAL(%d, …), DOUBLE or VARCHAR", p, MaxDecimalPrecision, MaxDecimalPrecision)
		}
		s, err := number(1, 0, 0, 30)
		if err != nil {
			return Type{}, err
		}
		if s > p {
			return Type{}, fmt.Errorf("DECIMAL scale %d is over its precision %d", s, p)
		}
		return NewDecimal(p, s), nil
	case "CHAR", "CHARACTER", "NCHAR":
		return sized(String, "CHAR", 1, 255)
	case "VARCHAR", "NVARCHAR":
		return sized(String, "VARCHAR", 0, 65535)
	case "STRING":
		return plain(TypeText)
	case "TINYTEXT", "MEDIUMTEXT", "LONGTEXT":
		return plain(Type{Kind: String, Name: name})
	case "TEXT":
		_, err := sized(Null, "", 0, 1<<31-1)
		return TypeText, err
	case "ENUM", "SET":
		if len(args) == 0 {
			return Type{}, fmt.Errorf("type %s needs its members, as in %s('a','b')", name, name)
		}
		return Type{Kind: String, Name: name, Members: args}, nil
	case "BINARY":
		return sized(Binary, "BINARY", 1, 255)
	case "VARBINARY":
		return sized(Binary, "VARBINARY", 0, 65535)
	case "TINYBLOB", "MEDIUMBLOB", "LONGBLOB":
		return plain(Type{Kind: Binary, Name: name})
	case "BLOB":
		_, err := sized(Null, "", 0, 1<<31-1)
		return TypeBlob, err
	case "BIT":
		return sized(Binary, "BIT", 1, 64)
	case "DATE":
		return plain(TypeDate)
	case "TIME":
		return temporal(Time)
	case "DATETIME":
		return temporal(DateTime)
	case "TIMESTAMP":
		return temporal(Timestamp)
	case "YEAR":
		if err := most(1); err != nil {
			return Type{}, err
		}
		_, err := number(0, 4, 4, 4)
		return Type{Kind: Int16}, err
	case "JSON":
		return plain(TypeJSON)
	case "NULL":
		return plain(TypeNull)
	}
	if near := sqlerror.Nearest(name, known); near != "" {
		return Type{}, fmt.Errorf("unknown type %s; did you mean %s?", name, near)
	}
	return Type{}, fmt.Errorf("unknown type %s; known are BOOLEAN, TINYINT, SMALLINT, INT, BIGINT (all also UNSIGNED), FLOAT, DOUBLE, DECIMAL(p,s), CHAR(n), VARCHAR(n), TEXT, ENUM, SET, BINARY(n), VARBINARY(n), BLOB, BIT(n), DATE, TIME, DATETIME(n), TIMESTAMP(n), JSON", name)
}

// known are the types that a misspelled name is compared with.
var known = []string{
	"BOOLEAN", "TINYINT", "SMALLINT", "MEDIUMINT", "INT", "INTEGER", "BIGINT", "FLOAT", "DOUBLE", "DECIMAL",
	"NUMERIC", "CHAR", "VARCHAR", "TEXT", "ENUM", "SET", "BINARY", "VARBINARY", "BLOB", "BIT", "DATE", "TIME",
	"DATETIME", "TIMESTAMP", "YEAR", "JSON",
}
