package iceberg

import (
	"fmt"
	"strconv"

	"github.com/apache/iceberg-go"

	"github.com/leatdb/leat/sql/sqlerror"
	"github.com/leatdb/leat/sql/types"
)

// TypeProperty is the table property that keeps the declared type of the column
// with a field id.
func TypeProperty(id int) string { return "leat.type." + strconv.Itoa(id) }

// toIceberg is the Iceberg type that holds a declared type.
func toIceberg(t types.Type) (iceberg.Type, error) {
	switch t.Kind {
	case types.Bool:
		return iceberg.PrimitiveTypes.Bool, nil
	case types.Int8, types.Int16, types.Int32, types.Uint8, types.Uint16:
		return iceberg.PrimitiveTypes.Int32, nil
	case types.Int64, types.Uint32:
		return iceberg.PrimitiveTypes.Int64, nil
	case types.Uint64:
		return iceberg.DecimalTypeOf(20, 0), nil
	case types.Float32:
		return iceberg.PrimitiveTypes.Float32, nil
	case types.Float64:
		return iceberg.PrimitiveTypes.Float64, nil
	case types.Decimal:
		if t.Precision < 1 || t.Precision > types.MaxDecimalPrecision || t.Scale < 0 || t.Scale > t.Precision {
			return nil, sqlerror.Userf(sqlerror.CodeType, "%s cannot be stored", t).
				WithHint("lake tables hold at most %d digits; CAST the column to a narrower DECIMAL or to DOUBLE", types.MaxDecimalPrecision)
		}
		return iceberg.DecimalTypeOf(t.Precision, t.Scale), nil
	case types.Date:
		return iceberg.PrimitiveTypes.Date, nil
	case types.Time:
		return iceberg.PrimitiveTypes.Time, nil
	case types.DateTime:
		return iceberg.PrimitiveTypes.Timestamp, nil
	case types.Timestamp:
		return iceberg.PrimitiveTypes.TimestampTz, nil
	case types.String, types.JSON:
		return iceberg.PrimitiveTypes.String, nil
	case types.Binary:
		return iceberg.PrimitiveTypes.Binary, nil
	case types.Null:
		return nil, sqlerror.Userf(sqlerror.CodeType, "a column of type NULL cannot be stored").
			WithHint("give it a type, as in CAST(NULL AS CHAR)")
	}
	return nil, sqlerror.Userf(sqlerror.CodeUnsupported, "type %s cannot be stored in a lake table", t)
}

// fromIceberg is the plainest declared type of a stored one. Nested values are
// read as JSON.
func fromIceberg(t iceberg.Type) (types.Type, error) {
	switch t := t.(type) {
	case iceberg.BooleanType:
		return types.TypeBool, nil
	case iceberg.Int32Type:
		return types.Type{Kind: types.Int32}, nil
	case iceberg.Int64Type:
		return types.TypeInt64, nil
	case iceberg.Float32Type:
		return types.Type{Kind: types.Float32}, nil
	case iceberg.Float64Type:
		return types.TypeFloat64, nil
	case iceberg.DecimalType:
		return types.NewDecimal(t.Precision(), t.Scale()), nil
	case iceberg.DateType:
		return types.TypeDate, nil
	case iceberg.TimeType:
		return types.Type{Kind: types.Time, Fsp: 6}, nil
	case iceberg.TimestampType, iceberg.TimestampNsType:
		return types.TypeDateTime, nil
	case iceberg.TimestampTzType, iceberg.TimestampTzNsType:
		return types.Type{Kind: types.Timestamp, Fsp: 6}, nil
	case iceberg.StringType:
		return types.TypeText, nil
	case iceberg.UUIDType:
		return types.Type{Kind: types.String, Name: "CHAR", Length: 36}, nil
	case iceberg.BinaryType:
		return types.TypeBlob, nil
	case iceberg.FixedType:
		return types.Type{Kind: types.Binary, Name: "BINARY", Length: t.Len()}, nil
	case *iceberg.StructType, *iceberg.ListType, *iceberg.MapType:
		return types.TypeJSON, nil
	}
	return types.Type{}, fmt.Errorf("no SQL type for Iceberg type %s", t)
}

// declared is the type that a column was declared with: what its property says
// if the column can still hold it, else the plainest.
func declared(field iceberg.NestedField, props iceberg.Properties) (types.Type, error) {
	if text, ok := props[TypeProperty(field.ID)]; ok {
		if t, err := types.Parse(text); err == nil {
			if stored, err := toIceberg(t); err == nil && stored.Equals(field.Type) {
				return t, nil
			}
		}
	}
	return fromIceberg(field.Type)
}

// promotes reports whether Iceberg can change a column from one stored type to
// another without touching its files.
func promotes(from, to iceberg.Type) bool {
	switch from := from.(type) {
	case iceberg.Int32Type:
		_, ok := to.(iceberg.Int64Type)
		return ok
	case iceberg.Float32Type:
		_, ok := to.(iceberg.Float64Type)
		return ok
	case iceberg.DecimalType:
		d, ok := to.(iceberg.DecimalType)
		return ok && d.Scale() == from.Scale() && d.Precision() >= from.Precision()
	}
	return false
}

func hasMembers(t types.Type) bool { return t.Name == "ENUM" || t.Name == "SET" }
