package regex

import (
	"fmt"
	"regexp"
	"strings"

	"github.com/leatdb/leat/sql/sqlerror"
)

// grokPatterns are the named patterns of grok that have a form without
// look-arounds, under the names that are usual for them.
var grokPatterns = map[string]string{
	"WORD":              `\b\w+\b`,
	"NOTSPACE":          `\S+`,
	"SPACE":             `\s*`,
	"DATA":              `.*?`,
	"GREEDYDATA":        `.*`,
	"USERNAME":          `[a-zA-Z0-9._-]+`,
	"USER":              `%{USERNAME}`,
	"EMAILADDRESS":      `[^\s@]+@%{HOSTNAME}`,
	"INT":               `[+-]?[0-9]+`,
	"POSINT":            `\b[1-9][0-9]*\b`,
	"NONNEGINT":         `\b[0-9]+\b`,
	"NUMBER":            `[+-]?(?:[0-9]+(?:\.[0-9]+)?|\.[0-9]+)`,
	"BASE10NUM":         `%{NUMBER}`,
	"BASE16NUM":         `[+-]?(?:0x)?[0-9A-Fa-f]+`,
	"BOOL":              `(?i:true|false)`,
	"UUID":              `[A-Fa-f0-9]{8}-(?:[A-Fa-f0-9]{4}-){3}[A-Fa-f0-9]{12}`,
	"QUOTEDSTRING":      `"(?:\\.|[^\\"])*"|'(?:\\.|[^\\'])*'`,
	"QS":                `%{QUOTEDSTRING}`,
	"MAC":               `(?:[A-Fa-f0-9]{2}[:-]){5}[A-Fa-f0-9]{2}`,
	"IPV4":              `(?:(?:25[0-5]|2[0-4][0-9]|[01]?[0-9]{1,2})\.){3}(?:25[0-5]|2[0-4][0-9]|[01]?[0-9]{1,2})`,
	"IPV6":              `[0-9A-Fa-f]*:[0-9A-Fa-f:]*:[0-9A-Fa-f:.]*(?:%\w+)?`,
	"IP":                `(?:%{IPV6}|%{IPV4})`,
	"HOSTNAME":          `\b[0-9A-Za-z][0-9A-Za-z_-]{0,62}(?:\.[0-9A-Za-z][0-9A-Za-z_-]{0,62})*\.?`,
	"IPORHOST":          `(?:%{IP}|%{HOSTNAME})`,
	"HOSTPORT":          `%{IPORHOST}:%{POSINT}`,
	"PATH":              `(?:%{UNIXPATH}|%{WINPATH})`,
	"UNIXPATH":          `(?:/[^\s/]*)+`,
	"WINPATH":           `(?:[A-Za-z]:|\\)(?:\\[^\\?*]*)+`,
	"URIPROTO":          `[A-Za-z][A-Za-z0-9+.-]*`,
	"URIHOST":           `%{IPORHOST}(?::%{POSINT})?`,
	"URIPATH":           `(?:/[^\s?#]*)+`,
	"URIPARAM":          `\?\S*`,
	"URIPATHPARAM":      `%{URIPATH}(?:%{URIPARAM})?`,
	"URI":               `%{URIPROTO}://(?:[^\s/@]+@)?(?:%{URIHOST})?(?:%{URIPATHPARAM})?`,
	"MONTH":             `\b(?:Jan(?:uary)?|Feb(?:ruary)?|Mar(?:ch)?|Apr(?:il)?|May|June?|July?|Aug(?:ust)?|Sep(?:tember)?|Oct(?:ober)?|Nov(?:ember)?|Dec(?:ember)?)\b`,
	"MONTHNUM":          `(?:1[0-2]|0?[1-9])`,
	"MONTHDAY":          `(?:3[01]|[12][0-9]|0?[1-9])`,
	"DAY":               `\b(?:Mon|Tue|Wed|Thu|Fri|Sat|Sun)[a-z]*\b`,
	"YEAR":              `[0-9]{4}`,
	"HOUR":              `(?:2[0-3]|[01]?[0-9])`,
	"MINUTE":            `[0-5][0-9]`,
	"SECOND":            `(?:60|[0-5]?[0-9])(?:[:.,][0-9]+)?`,
	"TIME":              `%{HOUR}:%{MINUTE}(?::%{SECOND})?`,
	"DATE_US":           `%{MONTHNUM}[/-]%{MONTHDAY}[/-]%{YEAR}`,
	"DATE_EU":           `%{MONTHDAY}[./-]%{MONTHNUM}[./-]%{YEAR}`,
	"ISO8601_TIMEZONE":  `(?:Z|[+-]%{HOUR}:?%{MINUTE})`,
	"TIMESTAMP_ISO8601": `%{YEAR}-%{MONTHNUM}-%{MONTHDAY}[T ]%{HOUR}:?%{MINUTE}(?::?%{SECOND})?%{ISO8601_TIMEZONE}?`,
	"HTTPDATE":          `%{MONTHDAY}/%{MONTH}/%{YEAR}:%{TIME} %{INT}`,
	"SYSLOGTIMESTAMP":   `%{MONTH} +%{MONTHDAY} %{TIME}`,
	"PROG":              `[\x21-\x5a\x5c\x5e-\x7e]+`,
	"SYSLOGPROG":        `%{PROG:program}(?:\[%{POSINT:pid}\])?`,
	"SYSLOGHOST":        `%{IPORHOST}`,
	"LOGLEVEL":          `(?i:trace|debug|notice|info(?:rmation)?|warn(?:ing)?|err(?:or)?|crit(?:ical)?|fatal|severe|emerg(?:ency)?|alert)`,
	"COMMONAPACHELOG":   `%{IPORHOST:clientip} %{NOTSPACE:ident} %{NOTSPACE:auth} \[%{HTTPDATE:timestamp}\] "(?:%{WORD:verb} %{NOTSPACE:request}(?: HTTP/%{NUMBER:httpversion})?|%{DATA:rawrequest})" %{NUMBER:response} (?:%{NUMBER:bytes}|-)`,
	"COMBINEDAPACHELOG": `%{COMMONAPACHELOG} "(?P<referrer>[^"]*)" "(?P<agent>(?:\\.|[^\\"])*)"`,
	"SYSLOGBASE":        `%{SYSLOGTIMESTAMP:timestamp} %{SYSLOGHOST:logsource} %{SYSLOGPROG}:`,
}

// maxExpanded bounds the expression that grok patterns make.
const maxExpanded = 64 << 10

var reference = regexp.MustCompile(`%\{(\w+)(?::([^}:]*))?(?::\w+)?\}`)

// expand replaces the references to patterns, %{NAME} and %{NAME:group}, by
// what they stand for. A type behind a second colon means nothing, since columns
// have declared ones.
func expand(text string) (string, error) {
	for reference.MatchString(text) {
		var err error
		text = reference.ReplaceAllStringFunc(text, func(ref string) string {
			parts := reference.FindStringSubmatch(ref)
			pattern, ok := grokPatterns[parts[1]]
			if !ok && err == nil {
				err = unknownPattern(parts[1])
			}
			if parts[2] == "" {
				return "(?:" + pattern + ")"
			}
			return "(?P<" + groupName(parts[2]) + ">" + pattern + ")"
		})
		if err != nil {
			return "", err
		}
		if len(text) > maxExpanded {
			return "", fmt.Errorf("the expression is longer than %d bytes", maxExpanded)
		}
	}
	return text, nil
}

// groupName makes a name such as [http][status] or http.status one that a group
// can have.
func groupName(name string) string {
	name = strings.ReplaceAll(strings.Trim(name, "[]"), "][", "_")
	return strings.Map(func(r rune) rune {
		if r == '_' || r >= '0' && r <= '9' || r >= 'a' && r <= 'z' || r >= 'A' && r <= 'Z' {
			return r
		}
		return '_'
	}, name)
}

func unknownPattern(name string) error {
	names := make([]string, 0, len(grokPatterns))
	for n := range grokPatterns {
		names = append(names, n)
	}
	if near := sqlerror.Nearest(name, names); near != "" {
		return fmt.Errorf("unknown pattern %s; did you mean %s?", name, near)
	}
	return fmt.Errorf("unknown pattern %s", name)
}
