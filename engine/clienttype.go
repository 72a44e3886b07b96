//go:build gms_pure_go && duckdb_arrow

package engine

import (
	"fmt"
	"strings"
	"time"

	gms "github.com/dolthub/go-mysql-server/sql"
	gmstypes "github.com/dolthub/go-mysql-server/sql/types"
	"github.com/dolthub/vitess/go/sqltypes"

	"github.com/leatdb/leat/engine/kernel"
	"github.com/leatdb/leat/planner"
	"github.com/leatdb/leat/planner/logical"
	"github.com/leatdb/leat/sql/types"
)

// clientSchema are the columns of a query's result as MySQL clients get them.
func clientSchema(columns []logical.OutputColumn) (gms.Schema, error) {
	schema := make(gms.Schema, len(columns))
	for i, c := range columns {
		t, err := clientType(c.Type)
		if err != nil {
			return nil, fmt.Errorf("column %s: %w", c.Name, err)
		}
		schema[i] = &gms.Column{Name: c.Name, Type: t, Nullable: !c.NotNull}
	}
	return schema, nil
}

// clientType is planner.GMSType but for types whose values the MySQL engine does
// not write as they were declared: it knows no instant after 2038, and gives
// every TIME six digits of a second.
func clientType(t types.Type) (gms.Type, error) {
	plain, err := planner.GMSType(t)
	if err != nil {
		return nil, err
	}
	fraction := ""
	if t.Fsp > 0 {
		fraction = "." + strings.Repeat("0", t.Fsp)
	}
	switch plain := plain.(type) {
	case gms.DatetimeType:
		if t.Kind == types.Timestamp {
			return instantType{plain, "2006-01-02 15:04:05" + fraction}, nil
		}
	case gmstypes.TimeType:
		return clockType{plain, t.Fsp}, nil
	}
	return plain, nil
}

// instantType writes TIMESTAMP values.
type instantType struct {
	gms.DatetimeType
	layout string
}

// SQL implements gms.Type.
func (t instantType) SQL(ctx *gms.Context, dest []byte, v any) (sqltypes.Value, error) {
	if v, ok := v.(time.Time); ok {
		return sqltypes.MakeTrusted(sqltypes.Timestamp, v.AppendFormat(dest, t.layout)), nil
	}
	return t.DatetimeType.SQL(ctx, dest, v)
}

// clockType writes TIME values.
type clockType struct {
	gmstypes.TimeType
	digits int // of a second
}

// Precision is how many digits of a second values have, as that of
// gms.DatetimeType.
func (t clockType) Precision() int { return t.digits }

// SQL implements gms.Type.
func (t clockType) SQL(ctx *gms.Context, dest []byte, v any) (sqltypes.Value, error) {
	if v, ok := v.(gmstypes.Timespan); ok {
		return sqltypes.MakeTrusted(sqltypes.Time, kernel.AppendTime(dest, int64(v), t.digits)), nil
	}
	return t.TimeType.SQL(ctx, dest, v)
}
