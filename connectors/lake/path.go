package lake

import (
	"fmt"
	"strings"

	"github.com/apache/arrow-go/v18/arrow/decimal128"

	"github.com/leatdb/leat/catalog"
)

// partitionPath is the folder of a partition. It only helps people who look
// into the bucket: the table's metadata has the values, so whatever might be
// taken apart differently by somebody is replaced, and long values are cut, both
// with a hash that keeps folders apart.
func partitionPath(fields []*keyField, values []any) string {
	parts := make([]string, len(fields))
	for i, f := range fields {
		parts[i] = safeName(f.name, 40) + "=" + safeName(valueText(values[i]), 60)
	}
	return strings.Join(parts, "/")
}

func valueText(v any) string {
	switch v := v.(type) {
	case nil:
		return "null"
	case []byte:
		return fmt.Sprintf("%x", v)
	case decimal128.Num:
		return v.BigInt().String()
	}
	return fmt.Sprint(v)
}

// safeName is catalog.SafeName.
func safeName(s string, most int) string { return catalog.SafeName(s, most) }
