package kernel

import (
	"errors"
	"fmt"
	"regexp"
	"slices"

	"github.com/leatdb/leat/internal/matcher"
)

// Regular expressions are Go's (RE2), which match in time linear in the text.
// MySQL's are ICU's; the two agree on what patterns have in common. They differ
// so: lookaround, backreferences and possessive quantifiers are refused; \d, \w,
// \s and \b know ASCII only; the dot stops at line feeds alone, and $ means the
// very end of the text, not also the line feed before it. Texts are compared
// with regard to case unless the match type or (?i) says otherwise.

var errRegexpIndex = failure("Index out of bounds in regular expression search")

// CompileRegexp compiles a pattern with MySQL's match type: c and i (with and
// without regard to case, the last one counts), m (^ and $ at line breaks), n
// (the dot matches line breaks), u. The error says what is wrong with either.
func CompileRegexp(pattern, matchType string) (*regexp.Regexp, error) {
	if pattern == "" {
		return nil, failure("Illegal argument to a regular expression")
	}
	flags := map[byte]bool{}
	for i := range len(matchType) {
		switch c := matchType[i]; c {
		case 'c':
			delete(flags, 'i')
		case 'i', 'm':
			flags[c] = true
		case 'n':
			flags['s'] = true
		case 'u':
		default:
			return nil, failuref("Incorrect arguments to regexp_like: match type %s", quote(matchType))
		}
	}
	prefix := ""
	for _, c := range "ims" {
		if flags[byte(c)] {
			prefix += string(c)
		}
	}
	if prefix != "" {
		prefix = "(?" + prefix + ")"
	}
	re, err := regexp.Compile(prefix + pattern)
	if err != nil {
		return nil, fmt.Errorf("regular expression %s: %w", quote(pattern), err)
	}
	return re, nil
}

// maxRegexps bounds how many compiled patterns a context remembers.
const maxRegexps = 256

// pattern compiles a pattern, or remembers it.
func (c *Context) pattern(text, matchType []byte) (*matcher.Matcher, error) {
	var buf [128]byte
	key := append(append(append(buf[:0], matchType...), '/'), text...)
	if p, ok := c.scratch.patterns[string(key)]; ok {
		return p, nil
	}
	re, err := CompileRegexp(string(text), string(matchType))
	if err != nil {
		return nil, err
	}
	if c.scratch.patterns == nil || len(c.scratch.patterns) >= maxRegexps {
		c.scratch.patterns = make(map[string]*matcher.Matcher)
	}
	p := matcher.New(re)
	c.scratch.patterns[string(key)] = p
	return p, nil
}

// patternsOf gives each row's compiled pattern; a constant one is looked up once.
func patternsOf(f *frame, column Vector, matchType *Vector) func(i int) (*matcher.Matcher, error) {
	p, m := textsOf(column), texts{offsets: []int32{0, 0}}
	if matchType != nil {
		m = textsOf(*matchType)
	}
	var compiled *matcher.Matcher
	var err error
	constant := p.mask == 0 && m.mask == 0
	return func(i int) (*matcher.Matcher, error) {
		if !constant || compiled == nil && err == nil {
			compiled, err = f.ctx.pattern(p.at(i), m.at(i))
		}
		return compiled, err
	}
}

// optional is argument n, or nil.
func optional(args []Vector, n int) *Vector {
	if n < len(args) {
		return &args[n]
	}
	return nil
}

// numberOr is argument n, or a constant.
func numberOr(args []Vector, n int, otherwise int64) view[int64] {
	if n < len(args) {
		return viewOf[int64](args[n])
	}
	return view[int64]{[]int64{otherwise}, 0}
}

// FuncRegexpLike is REGEXP_LIKE(text, pattern[, match type]).
var FuncRegexpLike = propagate(func(f *frame, args []Vector) error {
	x, patterns := textsOf(args[0]), patternsOf(f, args[1], optional(args, 2))
	out := boolOut(f)
	for i := range f.live {
		re, err := patterns(i)
		if err != nil {
			f.fail(i, err)
			continue
		}
		if re.Match(x.at(i)) {
			setBit(out, i)
		}
	}
	return nil
})

// startOf is the byte at which the search begins, by a position in characters.
func startOf(s []byte, position int64) (int, error) {
	if position == 1 {
		return 0, nil
	}
	if position < 1 || position > int64(countChars(s))+1 {
		return 0, errRegexpIndex
	}
	return bytesOfChars(s, int(position-1)), nil
}

// nthGroups gives the bounds of the groups of the n-th match (from 1), nil if there is
// none. They are valid until the next call.
func nthGroups(re *matcher.Matcher, s []byte, n int64) []int32 {
	all, stride := re.All(s, int(min(n, 1<<30))), 2*re.NumGroups()
	if int64(len(all)/stride) < n {
		return nil
	}
	return all[len(all)-stride:]
}

// nthMatch finds the n-th match (from 1) at or behind a byte: its bounds. ok tells
// whether there is one.
func nthMatch(re *matcher.Matcher, s []byte, begin int, n int64) (bounds [2]int, ok bool) {
	// What lies before the position is not part of the text for ^ and \b either.
	text := s[begin:]
	from, to := re.Find(text)
	if from >= 0 && n > 1 {
		m := nthGroups(re, text, n)
		if m == nil {
			return bounds, false
		}
		from, to = int(m[0]), int(m[1])
	}
	return [2]int{begin + from, begin + to}, from >= 0
}

// FuncRegexpSubstr is REGEXP_SUBSTR(text, pattern[, position[, occurrence[, match type]]]).
var FuncRegexpSubstr = propagate(func(f *frame, args []Vector) error {
	x, patterns := textsOf(args[0]), patternsOf(f, args[1], optional(args, 4))
	positions, occurrences := numberOr(args, 2, 1), numberOr(args, 3, 1)
	out := newTextOut(f)
	for i := range f.live {
		out.start(i)
		s := x.at(i)
		re, err := patterns(i)
		begin, indexErr := startOf(s, positions.at(i))
		if err = errors.Join(err, indexErr); err != nil {
			f.fail(i, err)
			continue
		}
		m, ok := nthMatch(re, s, begin, occurrences.at(i))
		if !ok {
			f.null(i)
			continue
		}
		out.buf = append(out.buf, s[m[0]:m[1]]...)
	}
	return out.finish()
})

// FuncRegexpInstr is REGEXP_INSTR(text, pattern[, position[, occurrence[, return
// option[, match type]]]]).
var FuncRegexpInstr = propagate(func(f *frame, args []Vector) error {
	x, patterns := textsOf(args[0]), patternsOf(f, args[1], optional(args, 5))
	positions, occurrences, options := numberOr(args, 2, 1), numberOr(args, 3, 1), numberOr(args, 4, 0)
	put := integers(f)
	for i := range f.live {
		s := x.at(i)
		re, err := patterns(i)
		begin, indexErr := startOf(s, positions.at(i))
		option := options.at(i)
		if option != 0 && option != 1 {
			indexErr = failure("Incorrect arguments to regexp_instr: return_option must be 1 or 0")
		}
		if err = errors.Join(err, indexErr); err != nil {
			f.fail(i, err)
			continue
		}
		if m, ok := nthMatch(re, s, begin, occurrences.at(i)); ok {
			put(i, int64(countChars(s[:m[option]]))+1)
		} else {
			put(i, 0)
		}
	}
	return nil
})

// FuncRegexpReplace is REGEXP_REPLACE(text, pattern, with[, position[,
// occurrence[, match type]]]); occurrence 0 is all of them. $n in the
// replacement is a group, a backslash takes the next character as it is.
var FuncRegexpReplace = propagate(func(f *frame, args []Vector) error {
	x, patterns, withs := textsOf(args[0]), patternsOf(f, args[1], optional(args, 5)), textsOf(args[2])
	positions, occurrences := numberOr(args, 3, 1), numberOr(args, 4, 0)
	out := newTextOut(f)
	for i := range f.live {
		out.start(i)
		s := x.at(i)
		re, err := patterns(i)
		begin, indexErr := startOf(s, positions.at(i))
		if err = errors.Join(err, indexErr); err != nil {
			f.fail(i, err)
			continue
		}
		var matches []int32
		if n := occurrences.at(i); n > 0 {
			matches = nthGroups(re, s[begin:], n)
		} else {
			matches = re.All(s[begin:], -1)
		}
		done := 0
		for m := range slices.Chunk(matches, 2*re.NumGroups()) {
			out.buf = append(out.buf, s[done:begin+int(m[0])]...)
			if out.buf, err = appendReplacement(out.buf, withs.at(i), s[begin:], m); err != nil {
				f.fail(i, err)
				break
			}
			done = begin + int(m[1])
		}
		out.buf = append(out.buf, s[done:]...)
	}
	return out.finish()
})

// appendReplacement writes a replacement with the groups of a match filled in.
func appendReplacement(dst, with, s []byte, m []int32) ([]byte, error) {
	for i := 0; i < len(with); i++ {
		switch c := with[i]; {
		case c == '\\' && i+1 < len(with):
			i++
			dst = append(dst, with[i])
		case c == '$':
			if i+1 == len(with) || !isDigit(with[i+1]) {
				return dst, failure("A capture group has an invalid name")
			}
			group := 0
			groups := len(m)/2 - 1
			// As many digits as still name a group.
			for i+1 < len(with) && isDigit(with[i+1]) {
				next := group*10 + int(with[i+1]-'0')
				if next > groups && group > 0 {
					break
				}
				group = next
				i++
			}
			if group > groups {
				return dst, errRegexpIndex
			}
			if m[2*group] >= 0 {
				dst = append(dst, s[m[2*group]:m[2*group+1]]...)
			}
		default:
			dst = append(dst, c)
		}
	}
	return dst, nil
}
