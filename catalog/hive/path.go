package hive

import (
	"fmt"
	"math"
	"strconv"
	"strings"
	"time"
	"unicode/utf8"

	"github.com/apache/arrow-go/v18/arrow"
	"github.com/apache/arrow-go/v18/arrow/array"
	"github.com/apache/arrow-go/v18/arrow/decimal128"

	"github.com/leatdb/leat/sql/sqlerror"
	"github.com/leatdb/leat/sql/types"
)

// DefaultPartition is the value of NULL and ” in a path.
const DefaultPartition = "__HIVE_DEFAULT_PARTITION__"

// maxComponent is how long a folder's name may be on most file systems, in
// bytes.
const maxComponent = 255

// escaped are the characters that Hive writes as %XX in partition paths
// (FileUtils.escapePathName), and NUL.
var escaped = func() (set [256]bool) {
	for c := range 0x20 {
		set[c] = true
	}
	for _, c := range "\"#%'*/:=?\\\x7f{[]^" {
		set[c] = true
	}
	return set
}()

const hexDigits = "0123456789ABCDEF"

// Escape writes text as Hive does in a path.
func Escape(text string) string {
	n := escapedLen(text)
	if n == len(text) {
		return text
	}
	b := make([]byte, 0, n)
	for i := range len(text) {
		if c := text[i]; escaped[c] {
			b = append(b, '%', hexDigits[c>>4], hexDigits[c&15])
		} else {
			b = append(b, c)
		}
	}
	return string(b)
}

func escapedLen(text string) int {
	n := len(text)
	for i := range len(text) {
		if escaped[text[i]] {
			n += 2
		}
	}
	return n
}

// Unescape undoes Escape. What is no escape stays as it is, as in Hive.
func Unescape(text string) string {
	if !strings.Contains(text, "%") {
		return text
	}
	var b strings.Builder
	for i := 0; i < len(text); i++ {
		if text[i] == '%' && i+2 < len(text) {
			if c, err := strconv.ParseUint(text[i+1:i+3], 16, 8); err == nil {
				b.WriteByte(byte(c))
				i += 2
				continue
			}
		}
		b.WriteByte(text[i])
	}
	return b.String()
}

// Component is the folder of one partition value.
func Component(name, value string) string {
	if value == "" {
		value = DefaultPartition
	}
	return Escape(name) + "=" + Escape(value)
}

// ValueText is a partition value as text before escaping, "" for NULL. The
// value is one of catalog.NewFile.Partition, of the type as it is stored.
func ValueText(value any, t types.Type) (string, error) {
	switch v := value.(type) {
	case nil:
		return "", nil
	case bool:
		return strconv.FormatBool(v), nil
	case int32:
		if t.Kind == types.Date {
			return dateText(int64(v)), nil
		}
		return strconv.FormatInt(int64(v), 10), nil
	case int64:
		switch t.Kind {
		case types.Time:
			return time.UnixMicro(v).UTC().Format("15:04:05.999999"), nil
		case types.DateTime, types.Timestamp:
			return timestampText(v), nil
		}
		return strconv.FormatInt(v, 10), nil
	case float32:
		return strconv.FormatFloat(float64(v), 'g', -1, 32), nil
	case float64:
		return strconv.FormatFloat(v, 'g', -1, 64), nil
	case decimal128.Num:
		return v.ToString(int32(t.Scale)), nil
	case string:
		return v, nil
	}
	return "", fmt.Errorf("a partition value of Go type %T has no text", value)
}

func dateText(days int64) string {
	return time.Unix(days*86400, 0).UTC().Format("2006-01-02")
}

func timestampText(micros int64) string {
	return time.UnixMicro(micros).UTC().Format("2006-01-02 15:04:05.999999")
}

// parseValue reads a partition value's text as the Go value that
// catalog.Predicate would have for the column: nil for NULL.
func parseValue(text string, t types.Type) (any, error) {
	if text == "" || text == DefaultPartition {
		return nil, nil
	}
	bad := func(err error) (any, error) {
		return nil, sqlerror.Externalf(sqlerror.CodeExternal, "the partition value %q is no %s: %w", text, t, err).Final()
	}
	switch t.Kind {
	case types.Bool:
		v, err := strconv.ParseBool(text)
		if err != nil {
			return bad(err)
		}
		return v, nil
	case types.Uint64:
		v, err := strconv.ParseUint(text, 10, 64)
		if err != nil {
			return bad(err)
		}
		return v, nil
	case types.Float32, types.Float64:
		v, err := strconv.ParseFloat(text, 64)
		if err != nil {
			return bad(err)
		}
		return v, nil
	case types.Date:
		v, err := time.Parse("2006-01-02", text)
		if err != nil {
			return bad(err)
		}
		return int64(math.Floor(float64(v.Unix()) / 86400)), nil
	case types.Time:
		v, err := time.Parse("15:04:05", text)
		if err != nil {
			return bad(err)
		}
		return v.Sub(time.Date(0, 1, 1, 0, 0, 0, 0, time.UTC)).Microseconds(), nil
	case types.DateTime, types.Timestamp:
		v, err := time.Parse("2006-01-02 15:04:05", text)
		if err != nil {
			return bad(err)
		}
		return v.UnixMicro(), nil
	case types.Decimal:
		if _, err := decimal128.FromString(text, int32(t.Precision), int32(t.Scale)); err != nil {
			return bad(err)
		}
		return text, nil
	}
	if t.Kind.IsInteger() {
		v, err := strconv.ParseInt(text, 10, 64)
		if err != nil {
			return bad(err)
		}
		return v, nil
	}
	return text, nil
}

// partitionTexts takes the values of the partition columns from the folders of
// a file's key below the table's, nil if they are not there.
func partitionTexts(columns []string, folders string) []string {
	values := make([]string, len(columns))
	found := 0
	for folder := range strings.SplitSeq(folders, "/") {
		name, value, ok := strings.Cut(folder, "=")
		if !ok {
			continue
		}
		for i, c := range columns {
			if strings.EqualFold(Unescape(name), c) {
				values[i] = Unescape(value)
				found++
				break
			}
		}
	}
	if found != len(columns) {
		return nil
	}
	return values
}

// PathCheck finds rows whose partition cannot be a folder. It belongs to one
// lane.
type PathCheck struct {
	columns []int
	names   []string
	beside  []int // what stands beside the values in their folders, in bytes
	// most is how many bytes all folders of a key may take.
	most int
	// widest bounds what the columns that are no strings take.
	widest int
}

// maxFileName is the longest name that a data file gets, with its slash.
const maxFileName = 200

// maxKey is S3's bound on the length of a key, in bytes.
const maxKey = 1024

// NewPathCheck checks rows of a schema for a table whose folder has a key of
// folderBytes bytes. template is nil for folders name=value.
func NewPathCheck(schema types.Schema, columns []int, folderBytes int, template *Template) *PathCheck {
	c := &PathCheck{most: maxKey - folderBytes - maxFileName}
	if template != nil {
		c.most -= template.longest
	}
	for n, i := range columns {
		beside := escapedLen(schema[i].Name) + 1
		if template != nil {
			beside = template.beside[n]
		}
		if schema[i].Type.Kind != types.String {
			c.widest += beside + 1 + widestText(schema[i].Type)
			continue
		}
		c.columns, c.names, c.beside = append(c.columns, i), append(c.names, Escape(schema[i].Name)), append(c.beside, beside)
	}
	return c
}

// widestText is how long a value that is no string can be in a path.
func widestText(t types.Type) int {
	switch t.Kind {
	case types.DateTime, types.Timestamp:
		return len("2006-01-02 15%3A04%3A05.999999")
	case types.Decimal:
		return t.Precision + len("-0.")
	}
	return len(DefaultPartition)
}

// Check calls reject for each of the rows, all n of them if sel is nil, that
// cannot be stored.
func (c *PathCheck) Check(columns []arrow.Array, n int, sel []int32, reject func(row int32, err error)) {
	if len(c.columns) == 0 && c.widest <= c.most {
		return
	}
	if sel != nil {
		for _, row := range sel {
			if err := c.row(columns, int(row)); err != nil {
				reject(row, err)
			}
		}
		return
	}
	for row := range n {
		if err := c.row(columns, row); err != nil {
			reject(int32(row), err)
		}
	}
}

func (c *PathCheck) row(columns []arrow.Array, row int) error {
	total := c.widest
	for i, column := range c.columns {
		text := textAt(columns[column], row)
		size := c.beside[i] + len(text)
		if !utf8.ValidString(text) {
			return sqlerror.Userf(sqlerror.CodeOutOfRange, "the value of partition %s is no UTF-8 text", c.names[i])
		}
		// Only what is long needs a closer look.
		if size+2*len(text) > maxComponent {
			if size = c.beside[i] + escapedLen(text); size > maxComponent {
				return sqlerror.Userf(sqlerror.CodeOutOfRange, "the folder of partition %s would have a name of %d bytes, %d is the most", c.names[i], size, maxComponent)
			}
			total += size + 1
			continue
		}
		total += max(size+2*len(text), c.beside[i]+len(DefaultPartition)) + 1
	}
	if total > c.most {
		return sqlerror.Userf(sqlerror.CodeOutOfRange, "the folders of the partition would have %d bytes together, %d is the most here", total, c.most)
	}
	return nil
}

// textAt is a string of a column of strings, "" for NULL.
func textAt(a arrow.Array, row int) string {
	if a.IsNull(row) {
		return ""
	}
	switch a := a.(type) {
	case *array.String:
		return a.Value(row)
	case *array.Dictionary:
		if values, ok := a.Dictionary().(*array.String); ok {
			return values.Value(a.GetValueIndex(row))
		}
	}
	return ""
}
