package sql_test

import (
	"strings"
	"testing"

	"github.com/dolthub/vitess/go/vt/sqlparser"

	"github.com/leatdb/leat/sql"
	"github.com/leatdb/leat/sql/sqlerror"
)

// rewrite also checks that the engine's parser reads the result.
func rewrite(t *testing.T, text string) (string, sql.PositionMap) {
	t.Helper()
	got, m, err := sql.RewriteQuery(text)
	if err != nil {
		t.Fatalf("RewriteQuery(%q): %v", text, err)
	}
	if _, err := sqlparser.Parse(got); err != nil {
		t.Errorf("the MySQL parser refuses %q: %v", got, err)
	}
	return got, m
}

func TestRewriteQuery(t *testing.T) {
	f := func(text, want string) {
		t.Helper()
		if got, _ := rewrite(t, text); got != want {
			t.Errorf("RewriteQuery(%q)\n got %s\nwant %s", text, got, want)
		}
	}
	same := func(text string) { t.Helper(); f(text, text) }

	same("SELECT a, b FROM t WHERE c > 0 -- x\n")
	same("SELECT * FROM t, JSON_TABLE(a, '$[*]' COLUMNS(b INT PATH '$.b')) AS j")
	same("SELECT flatten(a), unnest, t.unnest, tumble(a) FROM t JOIN session ON hop(a)")
	same("SELECT EXTRACT(DAY FROM a), TRIM(BOTH 'x' FROM flatten(a)), f(a, flatten(b)) FROM t")

	// Literals of dates and times.
	f("SELECT DATE '2024-1-5' > a, time'10:11:12.5', TIMESTAMP '2024-01-05 10:11:12.123', t.date, date, 'x' AS date FROM t",
		"SELECT CAST('2024-1-5' AS DATE) > a, CAST('10:11:12.5' AS TIME(1)), CAST('2024-01-05 10:11:12.123' AS DATETIME(3)), t.date, date, 'x' AS date FROM t")
	f("SELECT TIME '838:59:59', TIME '-25:00:00'", "SELECT CAST('838:59:59' AS TIME), CAST('-25:00:00' AS TIME)")
	same("SELECT CAST(a AS DATE) 'x', DATE('2024-01-05'), date AS 'y' FROM t")
	// Brackets around the whole query.
	f("(SELECT 1)", "SELECT 1")
	f(" /* a */ ((SELECT (1))) ; -- b", " /* a */ SELECT (1) ; -- b")
	f("EXPLAIN (SELECT a FROM (SELECT 1) t)", "EXPLAIN SELECT a FROM (SELECT 1) t")
	same("(SELECT 1) UNION (SELECT 2)")
	f("((SELECT 1) UNION (SELECT 2))", "(SELECT 1) UNION (SELECT 2)")
	f("SHOW SCHEMAS LIKE 'a%'", "SHOW DATABASES LIKE 'a%'")
	f("SHOW STORAGE ENGINES", "SHOW  ENGINES")
	f("show Streams WHERE state = 'FAILED'", "SELECT * FROM leat.streams WHERE state = 'FAILED'")
	// ANY and ALL.
	f("SELECT a FROM t WHERE a = ANY (SELECT b FROM u) AND a <> ALL(SELECT b FROM u) OR a = some (select 1)",
		"SELECT a FROM t WHERE a IN (SELECT b FROM u) AND a NOT IN(SELECT b FROM u) OR a IN (select 1)")
	f("SELECT a > ALL (SELECT b FROM u WHERE b < any(select f(1)) LIMIT 1), a != SOME ((SELECT 1)) FROM t WHERE a = ALL (TABLE u)",
		"SELECT a > leat_all( (SELECT b FROM u WHERE b < leat_any((select f(1))) LIMIT 1)), a != leat_any( ((SELECT 1))) FROM t WHERE a = leat_all( (TABLE u))")
	f("SELECT 2 > ALL (SELECT ALL 1)", "SELECT 2 > leat_all( (SELECT ALL 1))")
	same("SELECT ALL a, any(b), some FROM t UNION ALL (SELECT 1)")
	// What that parser cannot read.
	f("SELECT INTERVAL(a, 1, f(2, 3)), ROW(1, 2) = row (a, b), N'x', n'y', N, SUBSTRING(a FROM b FOR 2) FROM t WHERE a > b + INTERVAL (1 + f(2, 3)) DAY",
		"SELECT leat_interval(a, 1, f(2, 3)), (1, 2) =  (a, b), 'x', 'y', N, SUBSTRING(a , b , 2) FROM t WHERE a > b + INTERVAL (1 + f(2, 3)) DAY")
	same("SELECT * FROM (VALUES ROW(1, 2), ROW(3, 4)) AS t")
	f("SELECT HIGH_PRIORITY DISTINCTROW SQL_BUFFER_RESULT a, sql_buffer_result FROM t FOR SHARE", "SELECT  DISTINCT  a, sql_buffer_result FROM t LOCK IN SHARE MODE")
	f("SELECT 0b101, b'100000000', B'1' FROM t", "SELECT x'05', x'0100', x'01' FROM t")
	f("SELECT LAG(a) RESPECT NULLS OVER (ORDER BY b), NTH_VALUE(a, 2) FROM FIRST OVER () FROM t", "SELECT LAG(a)  OVER (ORDER BY b), NTH_VALUE(a, 2)  OVER () FROM t")
	f("SELECT {ts '2024-01-31 00:00:00'}, {fn UCASE({d'2024-01-31'})} FROM {oj t LEFT JOIN UNNEST(t.a) AS u(b INT) ON TRUE}",
		"SELECT CAST('2024-01-31 00:00:00' AS DATETIME),  UCASE(CAST('2024-01-31' AS DATE)) FROM  t LEFT JOIN JSON_TABLE(t.a, '$[*]' COLUMNS(b INT PATH '$')) AS u ON TRUE")
	f("SELECT TIMESTAMPADD(SQL_TSI_DAY, 1, a), TRIM(LEADING FROM a), _utf8mb4'x' COLLATE utf8mb4_bin, CAST(a AS DEC(5, 1)) FROM t",
		"SELECT TIMESTAMPADD(DAY, 1, a), TRIM(LEADING ' ' FROM a), 'x' COLLATE utf8mb4_bin, CAST(a AS DECIMAL(5, 1)) FROM t")
	// DO.
	f("DO SLEEP(0), f(1, 2)", "SET @leat_do = ( SLEEP(0)), @leat_do = ( f(1, 2))")
	f("do (1)", "SET @leat_do = ( (1))")

	// A column for each member of the elements.
	f("SELECT id, i.sku FROM orders, UNNEST(items) AS i(sku VARCHAR(20), n INT, price DECIMAL(10, 2) PATH '$.p.x')",
		"SELECT id, i.sku FROM orders, JSON_TABLE(items, '$[*]' COLUMNS(sku VARCHAR(20) PATH '$.sku', n INT PATH '$.n', price DECIMAL(10,2) PATH '$.p.x')) AS i")
	// One column without a path is the element.
	f("select t.tag from e, unnest(tags) as t(tag varchar(20))",
		"select t.tag from e, JSON_TABLE(tags, '$[*]' COLUMNS(tag VARCHAR(20) PATH '$')) AS t")
	f("SELECT * FROM e, UNNEST(tags) AS t(tag VARCHAR(20) PATH '$.tag')",
		"SELECT * FROM e, JSON_TABLE(tags, '$[*]' COLUMNS(tag VARCHAR(20) PATH '$.tag')) AS t")
	f("SELECT * FROM e, UNNEST(tags) WITH ORDINALITY AS t(tag TEXT)",
		"SELECT * FROM e, JSON_TABLE(tags, '$[*]' COLUMNS(ordinality FOR ORDINALITY, tag TEXT PATH '$')) AS t")
	f("SELECT * FROM e, UNNEST(tags) t(n FOR ORDINALITY, tag VARCHAR)",
		"SELECT * FROM e, JSON_TABLE(tags, '$[*]' COLUMNS(n FOR ORDINALITY, tag TEXT PATH '$')) AS t")
	// Positions in FROM.
	f("SELECT * FROM e CROSS JOIN FLATTEN(e.a->'$.b') AS `x y`(a INT, `b c` JSON, `d\"e` BLOB) WHERE 1",
		"SELECT * FROM e CROSS JOIN JSON_TABLE(e.a->'$.b', '$[*]' COLUMNS(a INT PATH '$.a', `b c` JSON PATH '$.\"b c\"', `d\"e` BLOB PATH '$.\"d\\\\\"e\"')) AS `x y` WHERE 1")
	f("SELECT * FROM e LEFT JOIN UNNEST(a) AS t(x INT, y INT) ON TRUE JOIN LATERAL UNNEST(t.y) AS u(z INT) ON u.z > 1",
		"SELECT * FROM e LEFT JOIN JSON_TABLE(a, '$[*]' COLUMNS(x INT PATH '$.x', y INT PATH '$.y')) AS t ON TRUE JOIN JSON_TABLE(t.y, '$[*]' COLUMNS(z INT PATH '$')) AS u ON u.z > 1")
	f("SELECT * FROM (SELECT 1 AS a UNION SELECT x FROM UNNEST('[1]') AS t(x INT)) AS s, UNNEST('[2]') AS t(x INT)",
		"SELECT * FROM (SELECT 1 AS a UNION SELECT x FROM JSON_TABLE('[1]', '$[*]' COLUMNS(x INT PATH '$')) AS t) AS s, JSON_TABLE('[2]', '$[*]' COLUMNS(x INT PATH '$')) AS t")
	f("WITH c AS (SELECT x FROM e, UNNEST(f(a, b)) AS t(x INT)) SELECT * FROM c",
		"WITH c AS (SELECT x FROM e, JSON_TABLE(f(a, b), '$[*]' COLUMNS(x INT PATH '$')) AS t) SELECT * FROM c")
	f("SELECT * FROM (e, UNNEST(a) AS t(x INT))",
		"SELECT * FROM (e, JSON_TABLE(a, '$[*]' COLUMNS(x INT PATH '$')) AS t)")
	f("SELECT * FROM e, UNNEST((SELECT JSON_ARRAYAGG(x) FROM UNNEST('[1]') AS i(x INT))) AS t(y INT)",
		"SELECT * FROM e, JSON_TABLE((SELECT JSON_ARRAYAGG(x) FROM JSON_TABLE('[1]', '$[*]' COLUMNS(x INT PATH '$')) AS i), '$[*]' COLUMNS(y INT PATH '$')) AS t")
	// What JSON_TABLE takes beside a path.
	f("SELECT * FROM e, UNNEST(a) AS t(x INT DEFAULT '0' ON EMPTY NULL ON ERROR, y BOOLEAN EXISTS PATH '$.y', z DATETIME(3) PATH '$.z' ERROR ON ERROR)",
		"SELECT * FROM e, JSON_TABLE(a, '$[*]' COLUMNS(x INT PATH '$.x' DEFAULT '0' ON EMPTY NULL ON ERROR, y BOOLEAN EXISTS PATH '$.y', z DATETIME(3) PATH '$.z' ERROR ON ERROR)) AS t")
	f("SELECT * FROM e, UNNEST(a -- the items\n) /* as */ AS t ( x INT -- one\n ) WHERE x = 1",
		"SELECT * FROM e, JSON_TABLE(a -- the items\n, '$[*]' COLUMNS(x INT PATH '$')) AS t WHERE x = 1")

	// Every declared type.
	types := "BOOLEAN, TINYINT, TINYINT UNSIGNED, SMALLINT, MEDIUMINT UNSIGNED, INT UNSIGNED, BIGINT, BIGINT UNSIGNED, FLOAT, DOUBLE, " +
		"DECIMAL(20,4), CHAR(3), VARCHAR(20), VARCHAR, TEXT, LONGTEXT, ENUM('a','b''\\\\c'), SET('a'), BINARY(3), VARBINARY(20), VARBINARY, " +
		"BLOB, MEDIUMBLOB, DATE, TIME, TIME(6), DATETIME, TIMESTAMP(3), JSON, YEAR, DOUBLE PRECISION, STRING"
	for i, typ := range strings.Split(types, ", ") {
		if got, _ := rewrite(t, "SELECT * FROM UNNEST(a) AS t(x "+typ+")"); !strings.Contains(got, "COLUMNS(x ") {
			t.Errorf("type %d %s: %s", i, typ, got)
		}
	}
}

// TestRewriteQuery_MySQLReading pins spellings that the engine's parser takes
// for something else than MySQL does.
func TestRewriteQuery_MySQLReading(t *testing.T) {
	f := func(text, want, parsed string) {
		t.Helper()
		got, _, err := sql.RewriteQuery(text)
		if err != nil || got != want {
			t.Errorf("RewriteQuery(%q)=%s, %v, want %s", text, got, err, want)
			return
		}
		stmt, err := sqlparser.Parse(got)
		if parsed == "" {
			if err == nil {
				t.Errorf("%q is no SQL, but the parser reads %s", text, sqlparser.String(stmt))
			}
			return
		}
		if err != nil || sqlparser.String(stmt) != parsed {
			t.Errorf("the parser reads %q as %s, %v, want %s", got, sqlparser.String(stmt), err, parsed)
		}
	}
	f("SELECT 1--1", "SELECT 1- -1", "select 1 - -1")
	f("SELECT 1--a\nFROM t", "SELECT 1- -a\nFROM t", "select 1 - -a from t")
	f("SELECT 1 -- a\nFROM t", "SELECT 1 -- a\nFROM t", "select 1 from t")
	f("SELECT 1--- x\n2", "SELECT 1- -- x\n2", "select 1 - 2")
	f("SELECT 6//*x*/2", "SELECT 6/ /*x*/2", "select 6 / 2")
	f("SELECT 6//2", "SELECT 6/ /2", "")
	f("SELECT {fn NOW()}}", "SELECT  NOW()}", "")
	f("SELECT {1}", "SELECT {1}", "")
	f(`SELECT a LIKE '10\%' FROM t`, `SELECT a LIKE '10\\%' FROM t`, `select a like '10\\%' from t`)
	f(`SELECT a LIKE "a\_b\\%\n" FROM t`, `SELECT a LIKE "a\\_b\\%\n" FROM t`, `select a like 'a\\_b\\%\n' from t`)
	f("SELECT shared, plan, substr(a, 1) FROM t", "SELECT `shared`, `plan`, substr(a, 1) FROM t", "select `shared`, `plan`, substr(a, 1) from t")
	f("SELECT a + INTERVAL '1:30' HOUR_MINUTE FROM t", "SELECT a + INTERVAL '1:30' `HOUR_MINUTE` FROM t", "select a + interval '1:30' HOUR_MINUTE from t")
	f("SELECT * FROM t, UNNEST(t.a, SPLIT(b, ',')) WITH ORDINALITY AS u(x INT, y TEXT PATH '$.k')",
		"SELECT * FROM t, JSON_TABLE(leat_zip(t.a, SPLIT(b, ',')), '$[*]' COLUMNS(ordinality FOR ORDINALITY, x INT PATH '$[0]', y TEXT PATH '$[1].k')) AS u",
		"select * from t, json_table(leat_zip(t.a, SPLIT(b, ',')), '$[*]' columns(`ordinality` FOR ORDINALITY, x INT path '$[0]', y TEXT path '$[1].k')) as u")
	f("SELECT a$b, t.naïve FROM größe", "SELECT `a$b`, t.`naïve` FROM `größe`", "select `a$b`, t.`naïve` from `größe`")
}

func TestRewriteQuery_Errors(t *testing.T) {
	f := func(text, want string) {
		t.Helper()
		got, _, err := sql.RewriteQuery(text)
		if err == nil || err.Error() != want {
			t.Errorf("RewriteQuery(%q)=%s, %v\nwant %s", text, got, err, want)
		}
	}
	f("SELECT *\nFROM TUMBLE(t, ts, INTERVAL 1 MINUTE)", "line 2, column 6: TUMBLE: windows are not available yet in continuous queries (land the rows with a stream, and query its table: GROUP BY FROM_UNIXTIME(UNIX_TIMESTAMP(t) DIV 60 * 60) is a window of a minute)")
	f("SELECT * FROM t JOIN hop (t, ts)", "line 1, column 22: HOP: windows are not available yet in continuous queries (land the rows with a stream, and query its table: GROUP BY FROM_UNIXTIME(UNIX_TIMESTAMP(t) DIV 60 * 60) is a window of a minute)")
	f("SELECT leat_zip(a, b) FROM t", "line 1, column 8: leat_zip is Leat's own word for another expression, which cannot be called")
	f("SELECT * FROM a, Session(t, ts)", "line 1, column 18: SESSION: windows are not available yet in continuous queries (land the rows with a stream, and query its table: GROUP BY FROM_UNIXTIME(UNIX_TIMESTAMP(t) DIV 60 * 60) is a window of a minute)")
	f("SELECT TIME'900:00:00'", "line 1, column 12: Incorrect TIME value: '900:00:00'")
	f("SELECT TIME '-839:00:00'", "line 1, column 13: Incorrect TIME value: '-839:00:00'")
	f("SELECT UNNEST(a) FROM t", "line 1, column 8: UNNEST is a table, found where a value belongs (write FROM source, UNNEST(column) AS t(name TYPE, …) and select t.name)")
	f("SELECT * FROM UNNEST() AS t(a INT)", "line 1, column 22: expected the array to flatten, found )")
	f("SELECT * FROM UNNEST(a, b) AS t(a INT)", "line 1, column 31: UNNEST of 2 arrays has 1 columns beside ordinality (each array has one column, in their order: UNNEST(a, b) AS t(x TYPE, y TYPE))")
	f("SELECT * FROM UNNEST(a)", "line 1, column 24: expected AS and a name for the table of UNNEST, found the end of the statement (write UNNEST(column) AS t(name TYPE, …))")
	f("SELECT * FROM UNNEST(a) WHERE x", "line 1, column 25: expected AS and a name for the table of UNNEST, found WHERE (write UNNEST(column) AS t(name TYPE, …))")
	f("SELECT * FROM UNNEST(a) AS t WHERE x", "line 1, column 30: expected ( and the columns of UNNEST, found WHERE (their types have to be said: UNNEST(…) AS t(name TYPE, …))")
	f("SELECT * FROM FLATTEN(a) AS t(x)", "line 1, column 32: expected a type for column x, found )")
	f("SELECT * FROM UNNEST(a) AS t(x INT,)", "line 1, column 36: expected the name of a column, found )")
	f("SELECT * FROM UNNEST(a) AS t(x INT, X INT)", "line 1, column 37: column X is declared twice")
	f("SELECT * FROM UNNEST(a) WITH ORDINALITY AS t(Ordinality INT)", "line 1, column 46: column Ordinality is declared twice")
	f("SELECT * FROM UNNEST(a) AS t(x INT) WITH ORDINALITY", "line 1, column 37: expected the next table or clause, found WITH (WITH ORDINALITY stands before AS)")
	f("SELECT * FROM UNNEST(a) AS t(x FOO)", "line 1, column 32: column x: unknown type FOO; known are BOOLEAN, TINYINT, SMALLINT, INT, BIGINT (all also UNSIGNED), FLOAT, DOUBLE, DECIMAL(p,s), CHAR(n), VARCHAR(n), TEXT, ENUM, SET, BINARY(n), VARBINARY(n), BLOB, BIT(n), DATE, TIME, DATETIME(n), TIMESTAMP(n), JSON")
	f("SELECT * FROM UNNEST(a) AS t(x BIT(3))", "line 1, column 32: column x: JSON has no bits to make a BIT of (use BIGINT or BOOLEAN)")
	f("SELECT * FROM UNNEST(a) AS t(x NULL)", "line 1, column 32: column x: NULL is no type of a column")
	f("SELECT * FROM UNNEST(a) AS t(x INT PATH x)", "line 1, column 41: expected a path such as '$.x' after PATH, found x")
	f("SELECT * FROM UNNEST(a) AS t(x INT NOT NULL)", "line 1, column 36: expected , or ) after column x, found NOT")
	f("SELECT * FROM UNNEST(a) AS t(x INT PAHT '$.x')", "line 1, column 36: expected , or ) after column x, found PAHT (did you mean PATH?)")
	f("SELECT * FROM UNNEST(a) AS t(x INT DEFAULT 1 ON NULL)", "line 1, column 49: expected EMPTY or ERROR, found NULL")
	f("SELECT * FROM UNNEST(a) AS t(NESTED PATH '$.b' COLUMNS(x INT))", "line 1, column 30: expected a column, found NESTED (nested arrays are written with JSON_TABLE and NESTED PATH)")
	f("SELECT 'a", "line 1, column 8: unterminated string (it begins here and is never closed; a quote within a string is doubled)")
	f("SELECT “a”", "line 1, column 8: unexpected character '“' (strings are written in straight quotes: 'text')")
	f("SELECT \xff", "line 1, column 8: unexpected byte 0xff")
	f("SELECT \\a", `line 1, column 8: unexpected character '\\'`)
	f("SELECT 1,\n{fn NOW()", "line 2, column 1: { is not closed")
	f("SELECT "+strings.Repeat("(", 2000), "line 1, column 1007: brackets are nested deeper than 1000")
}

func TestPositionMap(t *testing.T) {
	const text = "SELECT ä, x\nFROM e, UNNEST(tags) AS t(x INT, y TEXT)\nWHERE nope = 1--2"
	got, m := rewrite(t, text)
	f := func(find string, line, column int) {
		t.Helper()
		i := strings.Index(got, find)
		if i < 0 {
			t.Fatalf("%q is not in %q", find, got)
		}
		if pos := m.Position(i); pos != at(line, column) {
			t.Errorf("%q came from %v, want line %d, column %d", find, pos, line, column)
		}
	}
	f("SELECT", 1, 1)
	f("x\nFROM", 1, 11)
	f("JSON_TABLE", 2, 9)
	f("tags", 2, 16)
	f("x INT", 2, 27)
	f("y TEXT", 2, 34)
	f("'$.y'", 2, 34)
	f(" AS t", 2, 20)
	f("t\nWHERE", 2, 25)
	f("nope", 3, 7)
	f("2", 3, 17)
	if pos := m.Position(len(got)); pos != at(3, 18) {
		t.Errorf("the end came from %v", pos)
	}
	if pos := m.Position(1 << 30); pos != at(3, 18) {
		t.Errorf("past the end came from %v", pos)
	}
	if pos := m.Position(-1); pos != at(1, 1) {
		t.Errorf("before the beginning came from %v", pos)
	}
	// In a statement of a file.
	outer := sqlerror.Position{File: "a.sql", Line: 10, Column: 6}
	if pos := m.Position(strings.Index(got, "x\n")).Within(outer).String(); pos != "a.sql:10:16" {
		t.Errorf("in the file %s", pos)
	}
	if pos := m.Position(strings.Index(got, "nope")).Within(outer).String(); pos != "a.sql:12:7" {
		t.Errorf("in the file %s", pos)
	}
}

func TestFindIdentifier(t *testing.T) {
	f := func(text, name string, want int) {
		t.Helper()
		got, ok := sql.FindIdentifier(text, name)
		if !ok {
			got = -1
		}
		if got != want {
			t.Errorf("FindIdentifier(%q, %q)=%d, want %d", text, name, got, want)
		}
	}
	f("SELECT a, b FROM t", "b", 10)
	f("SELECT 'b', xb, `B` FROM t", "b", 16)
	f("SELECT a AS b, b + 1 FROM t", "b", 15)
	f("SELECT a AS b FROM t", "b", 12)
	f("SELECT year(x), year FROM t", "year", 16)
	f("SELECT foo(x) FROM t", "foo", 7)
	f("SELECT a.x, t.x FROM t", "t.x", 12)
	f("SELECT a.x, x FROM t", "t.x", 12)
	f("SELECT `t` . `x` FROM t", "lake.t.x", 7)
	f("SELECT a FROM t -- nope", "nope", -1)
	f("SELECT 'a", "a", -1)
}

func BenchmarkRewriteQuery(b *testing.B) {
	const query = "SELECT o.id, i.sku, i.n * 1.08 AS gross, o.rider->>'$.device.os' AS os FROM orders o, UNNEST(o.items) AS i(sku VARCHAR(20), n INT) WHERE o.fare > 0 AND os LIKE 'a\\%' -- x\n"
	b.SetBytes(int64(len(query)))
	b.ReportAllocs()
	for b.Loop() {
		if _, _, err := sql.RewriteQuery(query); err != nil {
			b.Fatal(err)
		}
	}
}

func BenchmarkRewriteQuery_LongInsert(b *testing.B) {
	query := "INSERT INTO t VALUES " + strings.Repeat("(1, 2.5, 'some text of a row', NULL), ", 100_000) + "(1, 2, '', 3)"
	b.SetBytes(int64(len(query)))
	b.ReportAllocs()
	for b.Loop() {
		if _, _, err := sql.RewriteQuery(query); err != nil {
			b.Fatal(err)
		}
	}
}
