package glue

import (
	"fmt"
	"strconv"
	"strings"

	"github.com/leatdb/leat/sql/types"
)

// hiveType is the type by which Hive, Athena and Spark read a column, given the
// plainest type of what is stored.
//
// CSV files are read by OpenCSVSerde, which understands texts, whole numbers,
// DOUBLE and BOOLEAN as they are written and nothing else, so that other columns
// are texts there. TIME has no type of Hive's: it is a number of microseconds in
// Parquet and a text elsewhere.
func hiveType(t types.Type, format string) string {
	switch t.Kind {
	case types.Bool:
		return "boolean"
	case types.Int8:
		return "tinyint"
	case types.Int16:
		return "smallint"
	case types.Int32, types.Uint8, types.Uint16:
		return "int"
	case types.Int64, types.Uint32:
		return "bigint"
	case types.Float64:
		return "double"
	case types.String, types.JSON:
		return "string"
	}
	if format == "csv" {
		if t.Kind == types.Float32 {
			return "double"
		}
		return "string"
	}
	switch t.Kind {
	case types.Float32:
		return "float"
	case types.Uint64:
		return "decimal(20,0)"
	case types.Decimal:
		return fmt.Sprintf("decimal(%d,%d)", t.Precision, t.Scale)
	case types.Date:
		return "date"
	case types.DateTime, types.Timestamp:
		return "timestamp"
	case types.Binary:
		if format == "json" {
			return "string" // in base64
		}
		return "binary"
	case types.Time:
		if format == "parquet" {
			return "bigint"
		}
	}
	return "string"
}

// keyType is the type of a partition column, whose values are texts in paths.
func keyType(t types.Type) string {
	switch t.Kind {
	case types.Time, types.Binary:
		return "string"
	}
	return hiveType(t, "parquet")
}

// fromHive is the type of a column that Hive's DDL describes, as Leat names it.
// Structs, arrays and maps have none.
func fromHive(text string) (types.Type, error) {
	text = strings.ToLower(strings.TrimSpace(text))
	name, arguments, _ := strings.Cut(text, "(")
	arguments = strings.TrimSuffix(strings.TrimSpace(arguments), ")")
	switch strings.TrimSpace(name) {
	case "boolean":
		return types.TypeBool, nil
	case "tinyint":
		return types.Type{Kind: types.Int8}, nil
	case "smallint":
		return types.Type{Kind: types.Int16}, nil
	case "int", "integer":
		return types.Type{Kind: types.Int32}, nil
	case "bigint", "long":
		return types.TypeInt64, nil
	case "float", "real":
		return types.Type{Kind: types.Float32}, nil
	case "double", "double precision":
		return types.TypeFloat64, nil
	case "date":
		return types.TypeDate, nil
	case "timestamp", "timestamp without time zone":
		return types.TypeDateTime, nil
	case "timestamp with local time zone", "timestamptz":
		return types.Type{Kind: types.Timestamp, Fsp: 6}, nil
	case "string", "char", "varchar":
		return types.TypeText, nil
	case "binary":
		return types.TypeBlob, nil
	case "decimal", "numeric", "dec":
		precision, scale := 10, 0
		if arguments != "" {
			p, s, hasScale := strings.Cut(arguments, ",")
			var err error
			if precision, err = strconv.Atoi(strings.TrimSpace(p)); err == nil && hasScale {
				scale, err = strconv.Atoi(strings.TrimSpace(s))
			}
			if err != nil || precision < 1 || precision > types.MaxDecimalPrecision || scale < 0 || scale > precision {
				return types.Type{}, fmt.Errorf("type %s cannot be read", text)
			}
		}
		return types.NewDecimal(precision, scale), nil
	}
	return types.Type{}, fmt.Errorf("type %.60s cannot be read", text)
}
