//go:build gms_pure_go && duckdb_arrow

package mysqlserver

import (
	"regexp"
	"strconv"
	"strings"

	gms "github.com/dolthub/go-mysql-server/sql"
	"github.com/dolthub/vitess/go/mysql"
)

const (
	quoted  = `'(?:[^'\\]|\\.|'')*'|"(?:[^"\\]|\\.|"")*"`
	account = `(?:` + quoted + "|`[^`]*`" + `|[\w$.]+)(?:@(?:` + quoted + "|`[^`]*`" + `|[\w$.%-]+))?`
)

// translation puts a statement that clients send, and that the library's parser
// does not know, into words that it knows.
type translation struct {
	pattern *regexp.Regexp
	text    string // $1 … are the pattern's groups, ${self} the session's account
}

// translated anchors a pattern to the whole statement.
func translated(pattern, text string) translation {
	return translation{regexp.MustCompile(`(?is)^\s*` + pattern + `\s*;?\s*$`), text}
}

var translations = []translation{
	translated(`SET\s+PASSWORD\s+FOR\s+(`+account+`)\s*:?=\s*(?:PASSWORD\s*\(\s*)?(`+quoted+`)(?:\s*\))?`, `ALTER USER $1 IDENTIFIED BY $2`),
	translated(`SET\s+PASSWORD\s*:?=\s*(?:PASSWORD\s*\(\s*)?(`+quoted+`)(?:\s*\))?`, `ALTER USER ${self} IDENTIFIED BY $1`),
	translated(`ALTER\s+USER\s+(?:USER\s*\(\s*\)|CURRENT_USER(?:\s*\(\s*\))?)\s+(IDENTIFIED\s.*)`, `ALTER USER ${self} $1`),
	translated(`SHOW\s+COUNT\s*\(\s*\*\s*\)\s+WARNINGS`, "SELECT ${warnings} AS `@@session.warning_count`"),
	translated(`SELECT\s+@@(?:session\.|local\.)?warning_count(?:\s+LIMIT\s+1)?`, "SELECT ${warnings} AS `@@warning_count`"),
	// Errors are told at once and not kept; what is listed from here on is empty.
	translated(`SHOW\s+ERRORS(?:\s+LIMIT\s.*)?`, "SELECT '' AS `Level`, 0 AS `Code`, '' AS `Message` FROM dual WHERE FALSE"),
	translated(`SHOW\s+COUNT\s*\(\s*\*\s*\)\s+ERRORS`, "SELECT 0 AS `@@session.error_count`"),
	translated(`SHOW\s+OPEN\s+TABLES(?:\s.*)?`, "SELECT '' AS `Database`, '' AS `Table`, 0 AS `In_use`, 0 AS `Name_locked` FROM dual WHERE FALSE"),
	translated(`SHOW\s+PROFILES?(?:\s.*)?`, "SELECT 0 AS `Query_ID`, 0.0 AS `Duration`, '' AS `Query` FROM dual WHERE FALSE"),
	translated(`SHOW\s+ENGINE\s+\S+\s+(?:STATUS|MUTEX|LOGS)`, "SELECT '' AS `Type`, '' AS `Name`, '' AS `Status` FROM dual WHERE FALSE"),
}

// longestTranslated bounds the statements that are looked at.
const longestTranslated = 1 << 10

// translate puts a statement into words that the library's parser knows. SET
// PASSWORD is about the connection's user; session has the warnings of the
// statement before.
func translate(c *mysql.Conn, session gms.Session, text string) string {
	if len(text) > longestTranslated || !worthTranslating(text) {
		return text
	}
	for _, t := range translations {
		m := t.pattern.FindStringSubmatchIndex(text)
		if m == nil {
			continue
		}
		// $ is Expand's.
		values := strings.NewReplacer("${self}", strings.ReplaceAll(self(c), "$", "$$"), "${warnings}", strconv.Itoa(int(session.WarningCount())))
		return string(t.pattern.ExpandString(nil, values.Replace(t.text), text, m))
	}
	return text
}

// worthTranslating spares most statements the patterns.
func worthTranslating(text string) bool {
	text = strings.TrimLeft(text, " \t\r\n")
	if len(text) < len("SHOW") {
		return false
	}
	switch strings.ToUpper(text[:3]) {
	case "SET", "SHO", "ALT":
		return true
	case "SEL":
		return len(text) < len("SELECT @@session.warning_count LIMIT 1")+8
	}
	return false
}

// self is the account of a connection's session, as statements name it.
func self(c *mysql.Conn) string {
	user := gms.MysqlConnectionUser{User: c.User, Host: "%"}
	if u, ok := c.UserData.(gms.MysqlConnectionUser); ok {
		user = u
	}
	quote := func(s string) string {
		return "'" + strings.NewReplacer(`\`, `\\`, `'`, `''`).Replace(s) + "'"
	}
	return quote(user.User) + "@" + quote(user.Host)
}

// secrets are texts behind words that announce a secret. A text may be cut off.
var secrets = regexp.MustCompile(`(?is)((?:IDENTIFIED\s+(?:WITH\s+\S+\s+)?(?:BY|AS)|\bPASSWORD\s*(?:FOR\s+(?:` + account + `))?\s*:?=|\bPASSWORD\s*\(|\w*(?:password|secret|token|credential|private_key|access_key)\w*\s*=)\s*(?:PASSWORD\s*\(\s*)?)(?:'(?:[^'\\]|\\.|'')*(?:'|$)|"(?:[^"\\]|\\.|"")*(?:"|$))`)

// createSecret begins a statement whose options are all secrets.
var createSecret = regexp.MustCompile(`(?is)\bCREATE\s+(?:OR\s+REPLACE\s+)?SECRET\b`)

// longestShown bounds what others see of a statement.
const longestShown = 16 << 10

// withoutSecrets is a statement as others may see it: in SHOW PROCESSLIST, and
// in the log.
func withoutSecrets(text string) string {
	end := ""
	if at := createSecret.FindStringIndex(text); at != nil {
		text, end = text[:at[1]], " …"
	}
	if len(text) > longestShown {
		text, end = strings.ToValidUTF8(text[:longestShown], ""), "…"
	}
	return secrets.ReplaceAllString(text, "$1'***'") + end
}
