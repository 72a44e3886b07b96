package catalog

import (
	"fmt"
	"hash/fnv"
	"strings"
)

// SafeName is a name that can be a part of an object's key everywhere: it keeps
// letters, digits, "_", "-" and single dots of ASCII. What is replaced or cut,
// beyond most bytes, is told apart by a hash.
func SafeName(s string, most int) string {
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
