package planner

import (
	"fmt"

	gms "github.com/dolthub/go-mysql-server/sql"
	gmstypes "github.com/dolthub/go-mysql-server/sql/types"
	"github.com/dolthub/vitess/go/sqltypes"
	"github.com/dolthub/vitess/go/vt/proto/query"

	"github.com/leatdb/leat/sql/types"
)

// GMSType is the type of the MySQL engine for one of ours. ENUM and SET are
// shown as the text that their values are held as, and BIT as binary.
func GMSType(t types.Type) (gms.Type, error) {
	switch t.Kind {
	case types.Null:
		return gmstypes.Null, nil
	case types.Bool:
		return gmstypes.Boolean, nil
	case types.Int8:
		return gmstypes.Int8, nil
	case types.Int16:
		return gmstypes.Int16, nil
	case types.Int32:
		if t.Name == "MEDIUMINT" {
			return gmstypes.Int24, nil
		}
		return gmstypes.Int32, nil
	case types.Int64:
		return gmstypes.Int64, nil
	case types.Uint8:
		return gmstypes.Uint8, nil
	case types.Uint16:
		return gmstypes.Uint16, nil
	case types.Uint32:
		if t.Name == "MEDIUMINT UNSIGNED" {
			return gmstypes.Uint24, nil
		}
		return gmstypes.Uint32, nil
	case types.Uint64:
		return gmstypes.Uint64, nil
	case types.Float32:
		return gmstypes.Float32, nil
	case types.Float64:
		return gmstypes.Float64, nil
	case types.Decimal:
		if t.Precision > types.MaxDecimalPrecision {
			return nil, fmt.Errorf("%s has more than %d digits", t, types.MaxDecimalPrecision)
		}
		return gmstypes.CreateColumnDecimalType(uint8(t.Precision), uint8(t.Scale))
	case types.String:
		return gmsString(t)
	case types.Binary:
		return gmsBinary(t)
	case types.Date:
		return gmstypes.Date, nil
	case types.Time:
		return gmstypes.Time, nil
	case types.DateTime:
		return gmstypes.CreateDatetimeType(sqltypes.Datetime, t.Fsp)
	case types.Timestamp:
		return gmstypes.CreateDatetimeType(sqltypes.Timestamp, t.Fsp)
	case types.JSON:
		return gmstypes.JSON, nil
	}
	return nil, fmt.Errorf("the MySQL engine has no type for %s", t)
}

func gmsString(t types.Type) (gms.Type, error) {
	switch t.Name {
	case "TINYTEXT":
		return gmstypes.TinyText, nil
	case "TEXT":
		return gmstypes.Text, nil
	case "MEDIUMTEXT":
		return gmstypes.MediumText, nil
	case "ENUM", "SET":
		return gmstypes.CreateStringWithDefaults(sqltypes.VarChar, 255)
	}
	if t.Length == 0 {
		return gmstypes.LongText, nil
	}
	if t.Name == "CHAR" {
		return gmstypes.CreateStringWithDefaults(sqltypes.Char, int64(t.Length))
	}
	return gmstypes.CreateStringWithDefaults(sqltypes.VarChar, int64(t.Length))
}

func gmsBinary(t types.Type) (gms.Type, error) {
	switch {
	case t.Name == "TINYBLOB":
		return gmstypes.TinyBlob, nil
	case t.Name == "BLOB":
		return gmstypes.Blob, nil
	case t.Name == "MEDIUMBLOB":
		return gmstypes.MediumBlob, nil
	case t.Name == "BIT":
		return gmstypes.CreateBinary(sqltypes.VarBinary, 8)
	case t.Length == 0:
		return gmstypes.LongBlob, nil
	case t.Name == "BINARY":
		return gmstypes.CreateBinary(sqltypes.Binary, int64(t.Length))
	}
	return gmstypes.CreateBinary(sqltypes.VarBinary, int64(t.Length))
}

// FromGMSType is our type for one of the MySQL engine. A DECIMAL of more than
// 38 digits, which the engine's arithmetic gives freely, becomes one of 38 with
// as much of its scale as leaves the integer digits; a value that needs more
// fails where it is computed. Geometry and vector types have none.
func FromGMSType(t gms.Type) (types.Type, error) {
	if t == nil {
		return types.Type{}, fmt.Errorf("expression without a type")
	}
	switch t := t.(type) {
	case gmstypes.DecimalType_:
		return capDecimal(int(t.Precision()), int(t.Scale())), nil
	case gms.EnumType:
		return types.Type{Kind: types.String, Name: "ENUM", Members: t.Values()}, nil
	case gms.SetType:
		return types.Type{Kind: types.String, Name: "SET", Members: t.Values()}, nil
	case gmstypes.JsonType:
		return types.TypeJSON, nil
	case gmstypes.BitType_:
		return types.Type{Kind: types.Binary, Name: "BIT", Length: int(t.NumberOfBits())}, nil
	case gmstypes.TimespanType_:
		return types.Type{Kind: types.Time, Fsp: 6}, nil
	case gms.DatetimeType:
		switch t.Type() {
		case sqltypes.Date:
			return types.TypeDate, nil
		case sqltypes.Timestamp:
			return types.Type{Kind: types.Timestamp, Fsp: t.Precision()}, nil
		}
		return types.Type{Kind: types.DateTime, Fsp: t.Precision()}, nil
	case gmstypes.StringType:
		return fromGMSString(t), nil
	}
	if gmstypes.IsBoolean(t) {
		return types.TypeBool, nil
	}
	if kind, ok := gmsKinds[t.Type()]; ok {
		return kind, nil
	}
	return types.Type{}, fmt.Errorf("no column can hold the type %s", t)
}

var gmsKinds = map[query.Type]types.Type{
	sqltypes.Null:    types.TypeNull,
	sqltypes.Int8:    {Kind: types.Int8},
	sqltypes.Int16:   {Kind: types.Int16},
	sqltypes.Int24:   {Kind: types.Int32, Name: "MEDIUMINT"},
	sqltypes.Int32:   {Kind: types.Int32},
	sqltypes.Int64:   types.TypeInt64,
	sqltypes.Uint8:   {Kind: types.Uint8},
	sqltypes.Uint16:  {Kind: types.Uint16},
	sqltypes.Uint24:  {Kind: types.Uint32, Name: "MEDIUMINT UNSIGNED"},
	sqltypes.Uint32:  {Kind: types.Uint32},
	sqltypes.Uint64:  types.TypeUint64,
	sqltypes.Float32: {Kind: types.Float32},
	sqltypes.Float64: types.TypeFloat64,
	sqltypes.Year:    {Kind: types.Int16},
	sqltypes.Time:    {Kind: types.Time, Fsp: 6},
	// System variables have types of their own, which are none of the above.
	sqltypes.VarChar: types.TypeText,
	sqltypes.Text:    types.TypeText,
	sqltypes.Enum:    types.TypeText,
	sqltypes.Set:     types.TypeText,
}

func fromGMSString(t gmstypes.StringType) types.Type {
	switch t.Type() {
	case sqltypes.Char:
		return types.Type{Kind: types.String, Name: "CHAR", Length: int(t.MaxCharacterLength())}
	case sqltypes.VarChar:
		return types.NewVarchar(int(t.MaxCharacterLength()))
	case sqltypes.Binary:
		return types.Type{Kind: types.Binary, Name: "BINARY", Length: int(t.MaxByteLength())}
	case sqltypes.VarBinary:
		return types.Type{Kind: types.Binary, Name: "VARBINARY", Length: int(t.MaxByteLength())}
	}
	size := ""
	switch n := t.MaxByteLength(); {
	case n <= gmstypes.TinyTextBlobMax:
		size = "TINY"
	case n <= gmstypes.TextBlobMax:
	case n <= gmstypes.MediumTextBlobMax:
		size = "MEDIUM"
	default:
		size = "LONG"
	}
	if t.Type() == sqltypes.Blob {
		return types.Type{Kind: types.Binary, Name: size + "BLOB"}
	}
	return types.Type{Kind: types.String, Name: size + "TEXT"}
}

func capDecimal(precision, scale int) types.Type {
	if precision <= types.MaxDecimalPrecision {
		return types.NewDecimal(precision, scale)
	}
	integer := precision - scale
	return types.NewDecimal(types.MaxDecimalPrecision, max(0, min(scale, types.MaxDecimalPrecision-integer)))
}
