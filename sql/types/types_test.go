package types_test

import (
	"strings"
	"testing"

	"github.com/apache/arrow-go/v18/arrow"

	"github.com/leatdb/leat/sql/types"
)

func TestParse(t *testing.T) {
	f := func(text, want, wantArrow string) {
		t.Helper()
		typ, err := types.Parse(text)
		if err != nil {
			t.Errorf("Parse(%q): %v", text, err)
			return
		}
		if got := typ.String(); got != want {
			t.Errorf("Parse(%q)=%s, want %s", text, got, want)
		}
		if got := typ.Arrow().String(); got != wantArrow {
			t.Errorf("Arrow type of %s=%s, want %s", text, got, wantArrow)
		}
		again, err := types.Parse(typ.String())
		if err != nil || !again.Equal(typ) {
			t.Errorf("Parse(%q)=%s, %v, not what was printed", typ.String(), again, err)
		}
	}
	f("boolean", "BOOLEAN", "bool")
	f("BOOL", "BOOLEAN", "bool")
	f("tinyint(1)", "BOOLEAN", "bool")
	f("TINYINT(4)", "TINYINT", "int8")
	f("TINYINT(1) UNSIGNED", "TINYINT UNSIGNED", "uint8")
	f("SMALLINT", "SMALLINT", "int16")
	f("MEDIUMINT", "MEDIUMINT", "int32")
	f("MEDIUMINT UNSIGNED", "MEDIUMINT UNSIGNED", "uint32")
	f("INTEGER (11)", "INT", "int32")
	f("int unsigned zerofill", "INT UNSIGNED", "uint32")
	f("BIGINT SIGNED", "BIGINT", "int64")
	f("SERIAL", "BIGINT UNSIGNED", "uint64")
	f("FLOAT", "FLOAT", "float32")
	f("FLOAT(30)", "DOUBLE", "float64")
	f("FLOAT(7,4)", "FLOAT", "float32")
	f("DOUBLE PRECISION", "DOUBLE", "float64")
	f("REAL", "DOUBLE", "float64")
	f("DECIMAL", "DECIMAL(10,0)", "decimal(10, 0)")
	f("numeric ( 38 , 30 )", "DECIMAL(38,30)", "decimal(38, 30)")
	f("CHAR", "CHAR(1)", "utf8")
	f("CHARACTER VARYING(5)", "VARCHAR(5)", "utf8")
	f("VARCHAR(20) CHARACTER SET utf8mb4 COLLATE utf8mb4_bin", "VARCHAR(20)", "utf8")
	f("VARCHAR(20) CHARSET latin1", "VARCHAR(20)", "utf8")
	f("VARCHAR", "VARCHAR", "utf8")
	f("TEXT(100)", "TEXT", "utf8")
	f("STRING", "TEXT", "utf8")
	f("longtext", "LONGTEXT", "utf8")
	f(`ENUM('a', "b", 'it''s', 'x\\y\n')`, "ENUM('a','b','it''s','x\\\\y\n')", "utf8")
	f("SET('a')", "SET('a')", "utf8")
	f("BINARY(16)", "BINARY(16)", "binary")
	f("VARBINARY(16)", "VARBINARY(16)", "binary")
	f("BLOB", "BLOB", "binary")
	f("BIT", "BIT(1)", "binary")
	f("DATE", "DATE", "date32")
	f("TIME(3)", "TIME(3)", "time64[us]")
	f("DATETIME", "DATETIME", "timestamp[us]")
	f("TIMESTAMP(6)", "TIMESTAMP(6)", "timestamp[us, tz=UTC]")
	f("YEAR(4)", "SMALLINT", "int16")
	f("JSON", "JSON", "utf8")
	f("NULL", "NULL", "null")
}

func TestParse_Errors(t *testing.T) {
	f := func(text, want string) {
		t.Helper()
		typ, err := types.Parse(text)
		if err == nil || !strings.HasPrefix(err.Error(), want) {
			t.Errorf("Parse(%q)=%s, %v, want error %s", text, typ, err, want)
		}
	}
	f("", `expected a type, found ""`)
	f("(20)", `expected a type, found "(20)"`)
	f("VARCHR(20)", "unknown type VARCHR; did you mean VARCHAR?")
	f("GEOMETRY", "unknown type GEOMETRY; known are BOOLEAN")
	f("VARCHAR(20", "missing ) in type VARCHAR")
	f("VARCHAR('20')", "argument '20' of type VARCHAR must be a number")
	f("VARCHAR(-1)", `argument "-1" of type VARCHAR must be a number from 0 to 65535`)
	f("VARCHAR()", `argument "" of type VARCHAR must be a number from 0 to 65535`)
	f("DECIMAL(39,2)", "DECIMAL precision 39 is over 38")
	f("DECIMAL(5,6)", "DECIMAL scale 6 is over its precision 5")
	f("DECIMAL(5,1,1)", "type DECIMAL takes at most 2 arguments, found 3")
	f("FLOAT(1,2,3)", "type FLOAT takes at most 2 arguments, found 3")
	f("TEXT(1,2)", "type TEXT takes at most 1 arguments, found 2")
	f("YEAR(4,4)", "type YEAR takes at most 1 arguments, found 2")
	f("DATE(3)", "type DATE takes at most 0 arguments, found 1")
	f("TIMESTAMP(7)", `argument "7" of type TIMESTAMP must be a number from 0 to 6`)
	f("ENUM", "type ENUM needs its members, as in ENUM('a','b')")
	f("ENUM(a)", "member a of type ENUM must be in quotes, as in ENUM('a','b')")
	f("ENUM('a' 'b')", "missing ) in type ENUM")
	f("ENUM('a", "in type ENUM: unterminated string")
	f("DATE UNSIGNED", "type DATE cannot be UNSIGNED")
	f("INT NOT NULL", `unexpected "not" after type INT`)
	f("VARCHAR(1) COLLATE", "COLLATE of type VARCHAR needs a name")
	f("VARCHAR(1) CHARACTER x", "CHARACTER of type VARCHAR must be followed by SET and a name")
}

// allTypes are one type of each kind.
var allTypes = []string{
	"NULL", "BOOLEAN", "TINYINT", "SMALLINT", "INT", "BIGINT", "TINYINT UNSIGNED", "SMALLINT UNSIGNED", "INT UNSIGNED", "BIGINT UNSIGNED",
	"FLOAT", "DOUBLE", "DECIMAL(20,4)", "VARCHAR(20)", "VARBINARY(20)", "DATE", "TIME(3)", "DATETIME(3)", "TIMESTAMP(3)", "JSON", "ENUM('a','b')", "BIT(3)",
}

func TestSchema_Arrow(t *testing.T) {
	var schema types.Schema
	for i, s := range allTypes {
		typ, err := types.Parse(s)
		if err != nil {
			t.Fatal(err)
		}
		schema = append(schema, types.Column{Name: "c" + s, Type: typ, NotNull: i%2 == 0})
	}
	for i, field := range schema.Arrow().Fields() {
		// What was declared comes back, and without it the plainest type of the
		// same representation.
		c, err := types.FromArrow(field)
		if err != nil || c.Name != schema[i].Name || !c.Type.Equal(schema[i].Type) || c.NotNull != schema[i].NotNull {
			t.Errorf("FromArrow(%v)=%+v, %v", field, c, err)
		}
		field.Metadata = arrow.Metadata{}
		c, err = types.FromArrow(field)
		if err != nil || !arrow.TypeEqual(c.Type.Arrow(), field.Type) {
			t.Errorf("FromArrow(%v) without metadata=%+v, %v", field, c, err)
		}
	}
	if i := schema.Index("CBOOLEAN"); i != 1 {
		t.Errorf("Index=%d", i)
	}
	if i := schema.Index("nope"); i != -1 {
		t.Errorf("Index of none=%d", i)
	}
}

func TestFromArrow_Errors(t *testing.T) {
	if _, err := types.FromArrow(arrow.Field{Name: "a", Type: arrow.ListOf(arrow.PrimitiveTypes.Int32)}); err == nil || !strings.Contains(err.Error(), "column a: no SQL type for Arrow type list") {
		t.Errorf("FromArrow of a list: %v", err)
	}
	bad := arrow.Field{Name: "a", Type: arrow.PrimitiveTypes.Int32, Metadata: arrow.NewMetadata([]string{types.MetadataKey}, []string{"FOO"})}
	if _, err := types.FromArrow(bad); err == nil || !strings.Contains(err.Error(), "read declared type of column a") {
		t.Errorf("FromArrow of an unknown declared type: %v", err)
	}
}

func TestKind(t *testing.T) {
	f := func(text string, integer, unsigned, numeric, temporal bool) {
		t.Helper()
		typ, err := types.Parse(text)
		if err != nil {
			t.Fatal(err)
		}
		k := typ.Kind
		if k.IsInteger() != integer || k.IsUnsigned() != unsigned || k.IsNumeric() != numeric || k.IsTemporal() != temporal {
			t.Errorf("%s: integer %t, unsigned %t, numeric %t, temporal %t", text, k.IsInteger(), k.IsUnsigned(), k.IsNumeric(), k.IsTemporal())
		}
	}
	f("BOOLEAN", false, false, true, false)
	f("TINYINT", true, false, true, false)
	f("BIGINT UNSIGNED", true, true, true, false)
	f("FLOAT", false, false, true, false)
	f("DECIMAL(5,2)", false, false, true, false)
	f("VARCHAR(3)", false, false, false, false)
	f("DATE", false, false, false, true)
	f("TIMESTAMP", false, false, false, true)
	f("JSON", false, false, false, false)
	if s := types.Kind(200).String(); s != "Kind(200)" {
		t.Errorf("String of no kind=%s", s)
	}
}

func FuzzParse(f *testing.F) {
	for _, s := range allTypes {
		f.Add(s)
	}
	f.Add(`enum('a','b''c',"d\\e\n\%") character set utf8 collate x`)
	f.Add("DOUBLE PRECISION(10,2) unsigned zerofill")
	f.Fuzz(func(t *testing.T, s string) {
		typ, err := types.Parse(s)
		if err != nil {
			return
		}
		again, err := types.Parse(typ.String())
		if err != nil || !again.Equal(typ) {
			t.Errorf("Parse(%q)=%s, read back as %s, %v", s, typ, again, err)
		}
		_ = typ.Arrow()
	})
}
