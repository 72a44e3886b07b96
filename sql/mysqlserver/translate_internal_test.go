package mysqlserver

import (
	"strings"
	"testing"

	gms "github.com/dolthub/go-mysql-server/sql"
	"github.com/dolthub/vitess/go/mysql"
)

func TestTranslate(t *testing.T) {
	c := &mysql.Conn{User: "ann", UserData: gms.MysqlConnectionUser{User: "an'n$1", Host: "%"}}
	session := gms.NewBaseSession()
	f := func(text, want string) {
		t.Helper()
		if got := translate(c, session, text); got != want {
			t.Errorf("translate(%q) = %q, want %q", text, got, want)
		}
	}
	f("SET PASSWORD FOR 'bob'@'localhost' = 'it''s;'", "ALTER USER 'bob'@'localhost' IDENTIFIED BY 'it''s;'")
	f("set password for bob = PASSWORD('x')", "ALTER USER bob IDENTIFIED BY 'x'")
	f("set password for `bob`@`10.0.%` := \"x\" ;", "ALTER USER `bob`@`10.0.%` IDENTIFIED BY \"x\"")
	f("SET PASSWORD = '$1'", "ALTER USER 'an''n$1'@'%' IDENTIFIED BY '$1'")
	f("ALTER USER user() IDENTIFIED BY 'x'", "ALTER USER 'an''n$1'@'%' IDENTIFIED BY 'x'")
	f("ALTER USER CURRENT_USER IDENTIFIED WITH caching_sha2_password BY 'x'", "ALTER USER 'an''n$1'@'%' IDENTIFIED WITH caching_sha2_password BY 'x'")
	f("SHOW COUNT( * ) WARNINGS", "SELECT 0 AS `@@session.warning_count`")
	for _, same := range []string{
		"", "SET", "SET @password = 'x'", "SET PASSWORD = 'a' 'b', x = 1", "SELECT 'SHOW ERRORS'", "SHOW ERRORSX", "SHOW TABLES",
		"SELECT 1 -- SET PASSWORD = 'x'", "ALTER USER bob IDENTIFIED BY 'x'",
	} {
		f(same, same)
	}
}

func TestWithoutSecrets(t *testing.T) {
	f := func(text, want string) {
		t.Helper()
		if got := withoutSecrets(text); got != want {
			t.Errorf("withoutSecrets(%q) = %q, want %q", text, got, want)
		}
	}
	f("CREATE USER a IDENTIFIED BY 'hush'", "CREATE USER a IDENTIFIED BY '***'")
	f(`ALTER USER a IDENTIFIED WITH caching_sha2_password BY "hu\"sh"`, "ALTER USER a IDENTIFIED WITH caching_sha2_password BY '***'")
	f("SET PASSWORD = 'hush'", "SET PASSWORD = '***'")
	f("SET PASSWORD FOR a@'%' = PASSWORD('hush')", "SET PASSWORD FOR a@'%' = PASSWORD('***')")
	f("WITH (sasl_username = 'me', sasl_password = 'hu''sh', secret_access_key='hush')", "WITH (sasl_username = 'me', sasl_password = '***', secret_access_key='***')")
	f("SET PASSWORD = 'hu"+strings.Repeat("sh", longestShown), "SET PASSWORD = '***'…")
	f("/* x */ create or replace  secret s WITH (brokers = 'hush')", "/* x */ create or replace  secret …")
	f("SELECT password FROM t WHERE name = 'a'", "SELECT password FROM t WHERE name = 'a'")
}
