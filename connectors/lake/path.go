package lake

import (
	"fmt"
	"hash/fnv"
	"strings"

	"github.com/apache/arrow-go/v18/arrow/decimal128"
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

// safeName keeps letters, digits, "_", "-" and single dots of ASCII.
func safeName(s string, most int) string {
	safe := func(i int) bool {
		c := s[i]
		return c == '_' || c == '-' || c >= '0' && c <= '9' || c|0x20 >= 'a' && c|0x20 <= 'z' ||
			c == '.' && i > 0 && s[i-1] != '.'
	}
	var b strings.Builder
	same := s != ""
	for i := 0; i < len(s) && b.Len() < most; i++ {
		if safe(i) {
			b.WriteByte(s[i])
			continue
		}
		b.WriteByte('_')
		same = false
	}
	if same && b.Len() == len(s) {
		return b.String()
	}
	h := fnv.New32a()
	h.Write([]byte(s))
	return fmt.Sprintf("%s-%08x", b.String(), h.Sum32())
}
