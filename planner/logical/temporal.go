package logical

import (
	"time"

	"github.com/leatdb/leat/sql/types"
)

// FormatTemporal prints an Arrow date or time value (days, or µs) as a SQL
// literal of its type.
func FormatTemporal(v int64, t types.Type) string {
	switch t.Kind {
	case types.Date:
		return "DATE '" + time.Unix(v*86400, 0).UTC().Format("2006-01-02") + "'"
	case types.Time:
		return "TIME '" + time.UnixMicro(v).UTC().Format("15:04:05.999999") + "'"
	}
	return "TIMESTAMP '" + time.UnixMicro(v).UTC().Format("2006-01-02 15:04:05.999999") + "'"
}
