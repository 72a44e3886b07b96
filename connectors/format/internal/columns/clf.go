package columns

import (
	"slices"

	"github.com/leatdb/leat/connectors"
)

// SetLogTime is Set for times as web servers log them,
// "10/Oct/2000:13:55:36 -0700" (Apache's %t), as well as for those that Set
// takes.
func (b *Batch) SetLogTime(i int, text []byte) (class connectors.ErrorClass, message string) {
	iso, ok := appendLogTime(b.logTime[:0], text)
	if !ok {
		return b.Set(i, text)
	}
	b.logTime = iso
	return b.Set(i, iso)
}

var monthNames = [][3]byte{{'J', 'a', 'n'}, {'F', 'e', 'b'}, {'M', 'a', 'r'}, {'A', 'p', 'r'}, {'M', 'a', 'y'}, {'J', 'u', 'n'}, {'J', 'u', 'l'}, {'A', 'u', 'g'}, {'S', 'e', 'p'}, {'O', 'c', 't'}, {'N', 'o', 'v'}, {'D', 'e', 'c'}}

// appendLogTime appends the time in ISO 8601.
func appendLogTime(dst, text []byte) ([]byte, bool) {
	const form = "02/Jan/2006:15:04:05"
	if len(text) < len(form) || text[2] != '/' || text[6] != '/' || text[11] != ':' {
		return dst, false
	}
	month := slices.Index(monthNames, [3]byte(text[3:6])) + 1
	if month == 0 {
		return dst, false
	}
	dst = append(dst, text[7:11]...)
	dst = append(dst, '-', '0'+byte(month/10), '0'+byte(month%10), '-')
	dst = append(dst, text[:2]...)
	dst = append(dst, 'T')
	dst = append(dst, text[12:20]...)
	switch zone := text[20:]; {
	case len(zone) == 0:
	case string(zone) == " +0000":
		dst = append(dst, 'Z')
	case len(zone) == 6 && zone[0] == ' ':
		dst = append(dst, zone[1:4]...)
		dst = append(dst, ':')
		dst = append(dst, zone[4:]...)
	default:
		return dst, false
	}
	return dst, true
}

// LogTextTraits is TextTraits for texts that may be times as web servers log
// them.
func LogTextTraits(text []byte) Traits {
	var buf [64]byte
	if iso, ok := appendLogTime(buf[:0], text); ok {
		text = iso
	}
	return TextTraits(text)
}
