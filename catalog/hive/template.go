package hive

import (
	"fmt"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/leatdb/leat/sql/sqlerror"
)

// Template makes the folder of a file below its table's: text with placeholders
// as Amazon Data Firehose writes them
// (https://docs.aws.amazon.com/firehose/latest/dev/s3-prefixes.html).
//
//	!{partition:name}     the value of a partition column, escaped as in Hive's paths
//	!{timestamp:yyyy/MM}  when the file was begun, in letters of Java's DateTimeFormatter
//	!{random}             11 characters, others for each file
//
// Firehose's own !{partitionKeyFromQuery:name}, !{partitionKeyFromLambda:name}
// and !{firehose:random-string} mean the same. The values can be taken from a
// path again, so each partition column is in the text and nothing makes it
// ambiguous where its value ends.
type Template struct {
	parts []templatePart
	match *regexp.Regexp
	// groups are, by partition column, the numbers of the groups of match.
	groups []int
	// moves says that files of one partition may lie in several folders.
	moves bool
	// keyed is how many segments of a path hold the partition, from the first one
	// on; settled that these do not move.
	keyed   int
	settled bool
	// longest bounds what is not a partition's value, in bytes; beside is what of
	// it stands in the folder of each partition column.
	longest int
	beside  []int
}

type templatePart struct {
	text      string // literal, where nothing else is set
	partition int    // the column's number + 1
	leads     bool   // a partition's value that begins a segment
	time      byte   // a letter
	count     int    // … and how often it stands
	random    bool
	errorType bool
}

func (p templatePart) literal() bool {
	return p.partition == 0 && p.time == 0 && !p.random && !p.errorType
}

// randomLength is the length of !{random}.
const randomLength = 11

// TemplateUse says what a template is for.
type TemplateUse uint8

const (
	// DataFiles are those of a table.
	DataFiles TemplateUse = iota
	// ErrorFiles are rejected records: there are no partitions, and the
	// placeholder !{error-output-type} (also !{firehose:error-output-type}).
	ErrorFiles
)

// CheckTemplate verifies a template's text where the partition columns are not
// known.
func CheckTemplate(text string, use TemplateUse) error {
	_, err := parseTemplate(text, nil, use, true)
	return err
}

// ParseTemplate reads a template for a table with these partition columns.
func ParseTemplate(text string, columns []string, use TemplateUse) (*Template, error) {
	return parseTemplate(text, columns, use, false)
}

func badTemplate(format string, args ...any) *sqlerror.Error {
	return sqlerror.Userf(sqlerror.CodeBadOption, format, args...)
}

func parseTemplate(text string, columns []string, use TemplateUse, anyColumn bool) (*Template, error) {
	t := &Template{groups: make([]int, len(columns)), beside: make([]int, len(columns))}
	rest := strings.TrimSuffix(text, "/")
	for rest != "" {
		begin := strings.Index(rest, "!{")
		if begin < 0 {
			t.addText(rest)
			break
		}
		t.addText(rest[:begin])
		end := strings.IndexByte(rest[begin:], '}')
		if end < 0 {
			return nil, badTemplate("a } is missing behind %q", rest[begin:])
		}
		if err := t.addPlaceholder(rest[begin+2:begin+end], columns, use, anyColumn); err != nil {
			return nil, err
		}
		rest = rest[begin+end+1:]
	}
	if err := t.checkText(use); err != nil {
		return nil, err
	}
	if err := t.compile(); err != nil {
		return nil, err
	}
	for i, c := range columns {
		if t.groups[i] == 0 && !anyColumn {
			return nil, badTemplate("partition column %s is not in it, and its values are nowhere else", c).
				WithHint("write !{partition:%s} where the value shall stand", c)
		}
	}
	return t, nil
}

func (t *Template) addText(text string) {
	if n := len(t.parts); n > 0 && t.parts[n-1].literal() {
		t.parts[n-1].text += text
		return
	}
	if text != "" {
		t.parts = append(t.parts, templatePart{text: text})
	}
}

func (t *Template) addPlaceholder(what string, columns []string, use TemplateUse, anyColumn bool) error {
	space, argument, _ := strings.Cut(what, ":")
	switch {
	case space == "random" && argument == "", space == "firehose" && argument == "random-string":
		t.parts = append(t.parts, templatePart{random: true})
		return nil
	case space == "timestamp":
		return t.addTime(argument)
	case what == "error-output-type", what == "firehose:error-output-type":
		if use != ErrorFiles {
			return badTemplate("!{%s} is for error_path", what)
		}
		t.parts = append(t.parts, templatePart{errorType: true})
		return nil
	case space == "partition", space == "partitionKeyFromQuery", space == "partitionKeyFromLambda":
		if use != DataFiles {
			return badTemplate("!{%s} is for path_template: a rejected record has no partition", what)
		}
		i := slices.IndexFunc(columns, func(c string) bool { return strings.EqualFold(c, argument) })
		if i < 0 && !anyColumn {
			e := badTemplate("!{%s}: %s is no partition column", what, argument)
			if near := sqlerror.Nearest(argument, columns); near != "" {
				return e.WithHint("did you mean %s?", near)
			}
			return e.WithHint("PARTITIONED BY (expression AS %s) makes it one", argument)
		}
		t.parts = append(t.parts, templatePart{partition: max(i, 0) + 1, leads: t.atSegment()})
		return nil
	}
	known := []string{"partition:name", "timestamp:yyyy/MM/dd", "random"}
	if use == ErrorFiles {
		known = []string{"error-output-type", "timestamp:yyyy/MM/dd", "random"}
	}
	return badTemplate("!{%s} is not known", what).WithHint("there are !{%s}", strings.Join(known, "}, !{"))
}

// atSegment reports whether what comes next begins a segment.
func (t *Template) atSegment() bool {
	if len(t.parts) == 0 {
		return true
	}
	last := t.parts[len(t.parts)-1]
	return last.literal() && strings.HasSuffix(last.text, "/")
}

// addTime reads letters of Java's DateTimeFormatter.
func (t *Template) addTime(pattern string) error {
	if pattern == "" {
		return badTemplate("!{timestamp:} has no letters").WithHint("write !{timestamp:yyyy/MM/dd/HH}")
	}
	for i := 0; i < len(pattern); {
		c := pattern[i]
		switch {
		case c == '\'':
			if strings.HasPrefix(pattern[i:], "''") {
				t.addText("'")
				i += 2
				continue
			}
			end := strings.IndexByte(pattern[i+1:], '\'')
			if end < 0 {
				return badTemplate("!{timestamp:%s}: a quote is missing", pattern)
			}
			t.addText(pattern[i+1 : i+1+end])
			i += end + 2
		case c|0x20 >= 'a' && c|0x20 <= 'z':
			n := 1
			for i+n < len(pattern) && pattern[i+n] == c {
				n++
			}
			if most := timeLetters[c]; n > most {
				e := badTemplate("!{timestamp:%s}: %s is not known", pattern, strings.Repeat(string(c), n))
				switch c {
				case 'Y':
					return e.WithHint("Y is the year of the week; write yyyy for that of the date")
				case 'T':
					return e.WithHint("write text in quotes: 'T'")
				}
				return e.WithHint("known are y M d D H h k K m s S a E Q, and text in quotes")
			}
			t.parts = append(t.parts, templatePart{time: c, count: n})
			i += n
		case strings.IndexByte("[]{}#", c) >= 0:
			return badTemplate("!{timestamp:%s}: %c stands for something else in Java", pattern, c).WithHint("write it in quotes")
		default:
			t.addText(pattern[i : i+1])
			i++
		}
	}
	return nil
}

// timeLetters are how often a letter may stand.
var timeLetters = [256]int{
	'y': 4, 'u': 4, 'M': 4, 'L': 4, 'd': 2, 'D': 3, 'H': 2, 'h': 2, 'k': 2, 'K': 2, 'm': 2, 's': 2, 'S': 9, 'a': 1, 'E': 4, 'Q': 3, 'q': 3,
}

// timeText is what letters stand for at a time.
func timeText(letter byte, count int, at time.Time) string {
	pad := func(n int) string { return fmt.Sprintf("%0*d", count, n) }
	quarter := (int(at.Month()) + 2) / 3
	switch letter {
	case 'y', 'u':
		if count == 2 {
			return pad(at.Year() % 100)
		}
		return pad(at.Year())
	case 'M', 'L':
		switch count {
		case 3:
			return at.Month().String()[:3]
		case 4:
			return at.Month().String()
		}
		return pad(int(at.Month()))
	case 'd':
		return pad(at.Day())
	case 'D':
		return pad(at.YearDay())
	case 'H':
		return pad(at.Hour())
	case 'k':
		return pad((at.Hour()+23)%24 + 1)
	case 'h':
		return pad((at.Hour()+11)%12 + 1)
	case 'K':
		return pad(at.Hour() % 12)
	case 'm':
		return pad(at.Minute())
	case 's':
		return pad(at.Second())
	case 'S':
		return fmt.Sprintf("%09d", at.Nanosecond())[:count]
	case 'a':
		return at.Format("PM")
	case 'E':
		if count < 4 {
			return at.Weekday().String()[:3]
		}
		return at.Weekday().String()
	}
	if count == 3 {
		return "Q" + strconv.Itoa(quarter)
	}
	return pad(quarter)
}

// timePattern matches what letters stand for; fixed is its length, 0 where that
// differs.
func timePattern(letter byte, count int) (pattern string, fixed int) {
	switch {
	case letter == 'M' && count == 3, letter == 'L' && count == 3, letter == 'E' && count < 4:
		return "[A-Z][a-z]{2}", 3
	case letter == 'M' && count == 4, letter == 'L' && count == 4, letter == 'E':
		return "[A-Z][a-z]{2,8}", 0
	case letter == 'a':
		return "[AP]M", 2
	case (letter == 'Q' || letter == 'q') && count == 3:
		return "Q[1-4]", 2
	case (letter == 'Q' || letter == 'q') && count == 1:
		return "[1-4]", 1
	case letter == 'S':
		return fmt.Sprintf("[0-9]{%d}", count), count
	case (letter == 'y' || letter == 'u') && count != 2:
		if count == 4 {
			return "[0-9]{4}", 4
		}
		return "[0-9]{4,}", 0
	case letter == 'D' && count < 3:
		return "[0-9]{1,3}", 0
	case count == 1:
		return "[0-9]{1,2}", 0
	}
	return fmt.Sprintf("[0-9]{%d}", count), count
}

// checkText refuses text that cannot be a folder's name, or that readers of
// folders leave out.
func (t *Template) checkText(use TemplateUse) error {
	shape := strings.Builder{}
	for _, p := range t.parts {
		if p.literal() {
			shape.WriteString(p.text)
			if i := strings.IndexFunc(p.text, func(r rune) bool { return r < 0x20 || strings.ContainsRune("\\%?#*\"{}^`|<>\x7f", r) }); i >= 0 {
				return badTemplate("%q holds a character that a key should not have", p.text)
			}
			continue
		}
		shape.WriteByte('x')
	}
	if len(t.parts) == 0 {
		return badTemplate("it is empty")
	}
	for segment := range strings.SplitSeq(shape.String(), "/") {
		switch {
		case segment == "":
			return badTemplate("it has an empty segment").WithHint("leave out a / at the beginning and double ones")
		case use == DataFiles && (segment[0] == '_' || segment[0] == '.'), segment == ".", segment == "..":
			return badTemplate("segment %q begins with %c, and readers of folders leave such ones out", segment, segment[0])
		}
	}
	return nil
}

// compile makes the expression that takes values from paths.
func (t *Template) compile() error {
	pattern, group, segments := strings.Builder{}, 0, 1
	var inSegment struct {
		length     int
		column     int // of the partition + 1
		partitions int
		loose      bool // something whose length is not known
		moves      bool
	}
	moved := false
	measure := func() {
		if c := inSegment.column; c > 0 && c <= len(t.beside) {
			t.beside[c-1] = max(t.beside[c-1], inSegment.length)
		}
	}
	pattern.WriteString("^")
	for _, p := range t.parts {
		switch {
		case p.literal():
			for i, text := range strings.Split(p.text, "/") {
				if i > 0 {
					pattern.WriteByte('/')
					segments++
					moved = moved || inSegment.moves
					measure()
					inSegment.length, inSegment.column, inSegment.partitions, inSegment.loose, inSegment.moves = 0, 0, 0, false, false
				}
				inSegment.length += len(text)
				pattern.WriteString(regexp.QuoteMeta(text))
			}
			t.longest += len(p.text)
			continue
		case p.partition > 0:
			group++
			pattern.WriteString("([^/]*)")
			if p.partition <= len(t.groups) && t.groups[p.partition-1] == 0 {
				t.groups[p.partition-1] = group
			}
			inSegment.partitions++
			inSegment.column, inSegment.length = p.partition, inSegment.length+2 // what leads may be escaped
			t.keyed = segments
			t.settled = !moved && !inSegment.moves
		case p.random:
			fmt.Fprintf(&pattern, "[0-9a-z]{%d}", randomLength)
			t.longest += randomLength
			inSegment.length += randomLength
			inSegment.moves, t.moves = true, true
		case p.errorType:
			pattern.WriteString("[^/]+")
			t.longest += 40
		default:
			text, fixed := timePattern(p.time, p.count)
			pattern.WriteString(text)
			longest := fixed
			if fixed == 0 {
				longest = len("September")
			}
			t.longest += longest
			inSegment.length += longest
			inSegment.loose = inSegment.loose || fixed == 0
			inSegment.moves, t.moves = true, true
		}
		if inSegment.partitions > 1 || inSegment.partitions == 1 && inSegment.loose {
			return badTemplate("a folder's name holds a partition's value beside something else whose length is not known, so that nobody could tell them apart").
				WithHint("put a / between them")
		}
		if inSegment.partitions == 1 && inSegment.moves {
			t.settled = false
		}
	}
	measure()
	pattern.WriteString("$")
	match, err := regexp.Compile(pattern.String())
	if err != nil {
		return badTemplate("%w", err)
	}
	t.match = match
	return nil
}

// Moves reports whether files of one partition may lie in several folders.
func (t *Template) Moves() bool { return t.moves }

// Settled reports whether all files of one partition lie below one folder,
// which PartitionFolder gives.
func (t *Template) Settled() bool { return t.keyed == 0 || t.settled }

// PartitionFolder is the part of a file's folder that belongs to its partition.
func (t *Template) PartitionFolder(folders string) string {
	at := 0
	for range t.keyed {
		i := strings.IndexByte(folders[at:], '/')
		if i < 0 {
			return folders
		}
		at += i + 1
	}
	return strings.TrimSuffix(folders[:at], "/")
}

// Place is what a template makes a folder of.
type Place struct {
	// Values are the texts of the partition columns, "" for NULL.
	Values []string
	At     time.Time // in the zone of the path
	Random string    // at least 11 characters of 0-9 and a-z
	// ErrorType is !{error-output-type}.
	ErrorType string
}

// Folder is the folder of a file, without a slash at its end.
func (t *Template) Folder(at Place) string {
	var b strings.Builder
	for _, p := range t.parts {
		switch {
		case p.partition > 0:
			b.WriteString(segmentValue(at.Values[p.partition-1], p.leads))
		case p.random:
			b.WriteString(at.Random[:randomLength])
		case p.errorType:
			b.WriteString(at.ErrorType)
		case p.time != 0:
			b.WriteString(timeText(p.time, p.count, at.At))
		default:
			b.WriteString(p.text)
		}
	}
	return b.String()
}

// segmentValue is a partition's value in a path. One that begins a folder's name
// must not let readers take the folder for hidden.
func segmentValue(value string, leads bool) string {
	if value == "" {
		if leads {
			// Readers leave out names that begin with an underscore.
			return "%5F" + DefaultPartition[1:]
		}
		return DefaultPartition
	}
	escaped := Escape(value)
	if leads && (escaped[0] == '_' || escaped[0] == '.') {
		return fmt.Sprintf("%%%02X", escaped[0]) + escaped[1:]
	}
	return escaped
}

// Values are the texts of the partition columns in a file's folder, nil where
// the folder is none of the template's.
func (t *Template) Values(folders string) []string {
	found := t.match.FindStringSubmatch(folders)
	if found == nil {
		return nil
	}
	values := make([]string, len(t.groups))
	for i, group := range t.groups {
		if values[i] = Unescape(found[group]); values[i] == DefaultPartition {
			values[i] = ""
		}
	}
	return values
}
