package sql_test

import (
	"strings"
	"testing"

	"github.com/leatdb/leat/sql"
	"github.com/leatdb/leat/sql/sqlerror"
)

func secret(option string) bool { return option == "password" }

func TestFormat(t *testing.T) {
	f := func(text, want string) {
		t.Helper()
		s := parse(t, text)
		if got := s.Format(secret); got != want {
			t.Errorf("Format(%q)\n got %s\nwant %s", text, got, want)
		}
	}
	f("create or replace source `trips` (id bigint primary key, `order` varchar(10) comment 'a''b\n', watermark for ts as ts   - interval 1 second, ts timestamp) with (topic='t', CONNECTOR=kafka, password='a''b')",
		`CREATE SOURCE trips (
  id BIGINT NOT NULL,
  `+"`order`"+` VARCHAR(10) COMMENT 'a''b\n',
  ts TIMESTAMP,
  PRIMARY KEY (id),
  WATERMARK FOR ts AS ts   - interval 1 second
) WITH (
  topic = 't',
  connector = 'kafka',
  password = '***'
)`)
	f("create sink if not exists s with (password = 'x', 'odd name' = 1, fields.userId.max = 2, 'Upper' = 3)",
		"CREATE SINK s WITH (\n  password = '***',\n  'odd name' = '1',\n  fields.userId.max = '2',\n  'Upper' = '3'\n)")
	f("create stream s into lake partitioned by (a, month( ts )  as m) with (x=1) as\n select a -- the key\n   , ts from t ;",
		"CREATE STREAM s INTO lake\nPARTITIONED BY (a, month( ts ) AS m)\nWITH (\n  x = '1'\n)\nAS select a -- the key\n   , ts from t")
	f("create stream s into l.t as select 1", "CREATE STREAM s INTO l.t\nAS select 1")
	f("create sink s with (password='${env:PASSWORD}', x=1)", "CREATE SINK s WITH (\n  password = '${env:PASSWORD}',\n  x = '1'\n)")
	f("create sink s with (password='${file:/a}${env:B}')", "CREATE SINK s WITH (\n  password = '***'\n)")
	f("create sink s with (password='${secret}')", "CREATE SINK s WITH (\n  password = '***'\n)")
	f("alter stream s set (password='x')", "ALTER STREAM s SET (\n  password = '***'\n)")
	f("explain analyze create stream s with (password='x') as select 1", "EXPLAIN ANALYZE CREATE STREAM s\nWITH (\n  password = '***'\n)\nAS select 1")
}

// roundTrip checks that what Format prints is read back as the same statement.
func roundTrip(t *testing.T, text string, s sql.Statement) {
	t.Helper()
	formatted := s.Format(nil)
	again, err := sql.Parse(formatted, sqlerror.Position{})
	if err != nil || again == nil {
		t.Fatalf("Parse of what Format made of %q: %v\n%s", text, err, formatted)
	}
	if again.Normal() != s.Normal() {
		t.Errorf("Normal of %q changed by Format:\n%s\n%s", text, s.Normal(), again.Normal())
	}
	if again.Format(nil) != formatted {
		t.Errorf("Format of %q is not stable:\n%s\n%s", text, formatted, again.Format(nil))
	}
	normal, err := sql.Parse(s.Normal(), sqlerror.Position{})
	if err != nil || normal == nil {
		t.Fatalf("Parse of the normal form of %q: %v\n%s", text, err, s.Normal())
	}
	if normal.Normal() != s.Normal() {
		t.Errorf("Normal of %q is not stable:\n%s\n%s", text, s.Normal(), normal.Normal())
	}
}

func TestFormat_RoundTrip(t *testing.T) {
	for _, text := range []string{
		tripsSource,
		"CREATE SINK s WITH (a = 'it''s \\\\ \\n \\0 \\%', `b``c` = '', 'd.e f' = -1)",
		"CREATE SOURCE s (a ENUM('x''y','\\\\z','\\n'), b SET(\"q\"), c VARCHAR, d MEDIUMINT UNSIGNED, e BIT(3)) WITH (x=1)",
		"CREATE SOURCE `2024 a``b` (`c.d` INT COMMENT '-- no comment') WITH (x=1)",
		"CREATE STREAM s PARTITIONED BY (a -- c\n, f(b, ')') AS `x y`) AS (SELECT a FROM t) UNION (SELECT 2)",
		"CREATE STREAM s AS SELECT - -a, -(-b), a.`b`.c, t.*, x'ff', N'x', @v, a->>'$.x', f (x), a . 5, 1 . b FROM t, UNNEST(x) WITH ORDINALITY u(q int)",
		"EXPLAIN CREATE STREAM s AS SELECT 1", "DROP SINK IF EXISTS `a b`", "START STREAM s FROM '2026-01-01 00:00:00'",
		"SHOW STREAMS LIKE 'a''b%'", "REPLAY DEAD_LETTERS FOR STREAM s WHERE a = 'x' -- y", "ALTER STREAM s SET (a='b')", "DESCRIBE a.b", "SHOW CREATE SINK x",
	} {
		roundTrip(t, text, parse(t, text))
	}
}

func TestNormal_Equal(t *testing.T) {
	f := func(a, b string, want bool) {
		t.Helper()
		x, y := parse(t, a).Normal(), parse(t, b).Normal()
		if (x == y) != want {
			t.Errorf("equal=%t, want %t\n%s\n%s", x == y, want, x, y)
		}
	}
	query := func(a, b string, want bool) {
		t.Helper()
		f("CREATE STREAM s AS "+a, "CREATE STREAM s AS "+b, want)
	}
	f("CREATE SOURCE s (a INT) WITH (x='1', y=2)", "create or replace source `s` ( a integer(11) null ) with ( Y = '2' , x = 1 ) ;", true)
	f("CREATE SOURCE s WITH (x=TRUE)", "CREATE SOURCE IF NOT EXISTS s WITH (x='true')", true)
	f("CREATE SOURCE s WITH (x='a')", "CREATE SOURCE s WITH (x='A')", false)
	f("CREATE SOURCE s WITH (x='a')", "CREATE SOURCE S WITH (x='a')", false)
	f("CREATE SOURCE s (a INT, b INT) WITH (x=1)", "CREATE SOURCE s (b INT, a INT) WITH (x=1)", false)
	f("CREATE SOURCE s (a INT PRIMARY KEY) WITH (x=1)", "CREATE SOURCE s (a INT NOT NULL, PRIMARY KEY (a)) WITH (x=1)", true)
	f("CREATE STREAM s AS SELECT 1", "CREATE STREAM s INTO lake AS SELECT 1", true)
	f("CREATE STREAM s AS SELECT 1", "CREATE STREAM s INTO lake.s AS SELECT 1", true)
	f("CREATE STREAM s AS SELECT 1", "CREATE STREAM s INTO lake.t AS SELECT 1", false)
	f("CREATE STREAM s PARTITIONED BY (month(a) AS m) AS SELECT 1", "CREATE STREAM s PARTITIONED BY ( MONTH( a )/**/as m ) AS SELECT 1", true)

	query("select a,b from t where x>=1 and y is null", "SELECT a , b\nFROM t -- c\nWHERE x >= 1 AND y IS NULL", true)
	query("SELECT a FROM t", "SELECT A FROM t", false)
	query("SELECT 'a' FROM t", "SELECT 'A' FROM t", false)
	query("SELECT 'a  b' FROM t", "SELECT 'a b' FROM t", false)
	query("SELECT month(a), count( distinct b ) FROM t", "SELECT MONTH(a), COUNT(DISTINCT b) FROM t", true)
	query("SELECT cast(a as decimal(10, 2)), convert(b, char) FROM t", "SELECT CAST(a AS DECIMAL(10,2)), CONVERT(b, CHAR) FROM t", true)
	query("SELECT a + interval 1 day, a - interval (b) hour, a - interval -1 week, a + interval b month, timestampdiff(minute, a, b), extract(day from a) FROM t",
		"SELECT a + INTERVAL 1 DAY, a - INTERVAL (b) HOUR, a - INTERVAL -1 WEEK, a + INTERVAL b MONTH, TIMESTAMPDIFF(MINUTE, a, b), EXTRACT(DAY FROM a) FROM t", true)
	query("SELECT day, t.day FROM t", "SELECT DAY, t.day FROM t", false)
	query("SELECT t.order FROM t", "SELECT t.ORDER FROM t", false)
	query("SELECT * FROM t, unnest(x) with ordinality as u(a int path '$.a')", "SELECT * FROM t, UNNEST(x) WITH ORDINALITY AS u(a INT PATH '$.a')", true)
	query("SELECT * FROM t, unnest(x) u(a int)", "SELECT * FROM t, UNNEST(x) u(a INT)", true)
	query("SELECT * FROM t, unnest(x) u(a int)", "SELECT * FROM t, UNNEST(x) u(A INT)", false)
	query("SELECT * FROM t, unnest(x) AS u(a int)", "SELECT * FROM t, UNNEST(x) AS U(a INT)", false)
	query("SELECT * FROM t, json_table(x, '$' columns(a int path '$.a', nested path '$.b' columns (b date path '$')) ) j",
		"SELECT * FROM t, JSON_TABLE(x, '$' COLUMNS (a INT PATH '$.a', NESTED PATH '$.b' COLUMNS(b DATE PATH '$'))) j", true)
	query("SELECT 1--1", "SELECT 1 - - 1", true)
	query("SELECT a->b", "SELECT a - >b", false)
	query("SELECT x'ff'", "SELECT x 'ff'", false)
	query("SELECT 1.5", "SELECT 1 .5", false)
	query("SELECT a /* b */ c", "SELECT a c", true)
	query("SELECT a /*!40000 b */ c", "SELECT a c", false)
}

func TestNormal_Query(t *testing.T) {
	s := parse(t, "create stream s as with c as (select a from t where b in (1,2)) select c.a, -1 as neg, a*-b, count(*) as n, if(x,y,z), not(x) from c join d on (c.a=d.a) where exists(select 1) group by a having (n>1) order by left(a,2) desc limit 3")
	const want = `CREATE STREAM s INTO lake.s
AS WITH c AS (SELECT a FROM t WHERE b IN (1, 2)) SELECT c.a,
  -1 AS neg,
  a * -b,
  COUNT(*) AS n,
  IF(x, y, z),
  NOT (x)
FROM c JOIN d ON (c.a = d.a)
WHERE EXISTS (SELECT 1)
GROUP BY a
HAVING (n > 1)
ORDER BY LEFT(a, 2) DESC
LIMIT 3`
	if got := s.Normal(); got != want {
		t.Errorf("Normal\n%s\nwant\n%s", got, want)
	}
}

func TestDiff(t *testing.T) {
	f := func(a, b, want string) {
		t.Helper()
		if got := sql.Diff(a, b); got != want {
			t.Errorf("Diff(%q, %q)\n%s\nwant\n%s", a, b, got, want)
		}
	}
	f("a\nb", "a\nb", "")
	f("a\nb\nc", "a\nx\nc", "  a\n- b\n+ x")
	f("a\nb\nc\nd\ne", "a\nb\nc2\nd\ne2", "  b\n- c\n+ c2\n  d\n- e\n+ e2")
	f("a", "a\nb", "  a\n+ b")
	f("a\nb", "b", "- a")
	f("", "a", "- \n+ a")
	many := strings.Repeat("x\n", 2000)
	if got := sql.Diff(many+"a\n"+many, "b\n"+many+"c\n"+many+"d"); !strings.Contains(got, "- a") || !strings.Contains(got, "+ c") {
		t.Errorf("Diff of long texts leaves lines out: %d bytes", len(got))
	}
}

func TestDiffDefinitions_HidesSecrets(t *testing.T) {
	old := parse(t, "CREATE SINK s WITH (path='a', password='geheim')").(sql.Definition)
	changed := parse(t, "CREATE SINK s WITH (password='geheimer', path='a')").(sql.Definition)
	want := "  CREATE SINK s WITH (\n- password = '***',\n+ password = '***',"
	want = strings.ReplaceAll(strings.ReplaceAll(want, "- p", "-   p"), "+ p", "+   p")
	if got := sql.DiffDefinitions(old, changed, secret); got != want {
		t.Errorf("DiffDefinitions\n%s\nwant\n%s", got, want)
	}
	if got := sql.DiffDefinitions(old, old, secret); got != "" {
		t.Errorf("DiffDefinitions of equals: %s", got)
	}
	a := parse(t, "create stream s as select a, b from t where x>1").(sql.Definition)
	b := parse(t, "CREATE STREAM s AS SELECT a, c FROM t WHERE x > 1 LIMIT 1").(sql.Definition)
	want = "  AS SELECT a,\n-   b\n+   c\n  WHERE x > 1\n+ LIMIT 1"
	if got := sql.DiffDefinitions(a, b, secret); got != want {
		t.Errorf("DiffDefinitions\n%s\nwant\n%s", got, want)
	}
}
