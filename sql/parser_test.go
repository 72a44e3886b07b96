package sql_test

import (
	"strings"
	"testing"

	"github.com/leatdb/leat/sql"
	"github.com/leatdb/leat/sql/sqlerror"
	"github.com/leatdb/leat/sql/types"
)

func parse(t *testing.T, text string) sql.Statement {
	t.Helper()
	s, err := sql.Parse(text, sqlerror.Position{})
	if err != nil {
		t.Fatalf("Parse(%q): %v", text, err)
	}
	if s == nil {
		t.Fatalf("Parse(%q) is not ours", text)
	}
	return s
}

func at(line, column int) sqlerror.Position { return sqlerror.Position{Line: line, Column: column} }

const tripsSource = `CREATE SOURCE trips (
  trip_id BIGINT NOT NULL, pickup_location_id int unsigned comment 'where it''s from',
  pickup_at TIMESTAMP(3), fare DECIMAL(10,2) NULL, rider JSON,
  kind ENUM('a','b''c') , -- a comment
  PRIMARY KEY (trip_id, pickup_at),
  WATERMARK FOR pickup_at AS pickup_at - INTERVAL 5 SECOND
) WITH (connector = 'kafka', brokers = "a:1,b:2", topic = trips, format = json, max = 10, low = -1.5,
  start = earliest, Fast = TRUE, off = oFF, fields.userId.min = 3, 'odd.Name' = 'x', wait = 10s);`

func TestParse_CreateSource(t *testing.T) {
	s, ok := parse(t, tripsSource).(*sql.CreateSource)
	if !ok {
		t.Fatal("no *CreateSource")
	}
	if s.Name != (sql.Ident{Name: "trips", Pos: at(1, 15)}) {
		t.Errorf("Name=%+v", s.Name)
	}
	var columns []string
	for _, c := range s.Columns {
		line := c.Name.Name + " " + c.Type.String()
		if c.NotNull {
			line += " NOT NULL"
		}
		columns = append(columns, line)
	}
	const wantColumns = "trip_id BIGINT NOT NULL|pickup_location_id INT UNSIGNED|pickup_at TIMESTAMP(3) NOT NULL|fare DECIMAL(10,2)|rider JSON|kind ENUM('a','b''c')"
	if got := strings.Join(columns, "|"); got != wantColumns {
		t.Errorf("columns=%s\nwant    %s", got, wantColumns)
	}
	if c := s.Columns[1]; c.Comment != "where it's from" || c.Name.Pos != at(2, 28) || c.TypePos != at(2, 47) {
		t.Errorf("column=%+v", c)
	}
	if w := s.Watermark; w == nil || w.Column.Name != "pickup_at" || w.ExprText != "pickup_at - INTERVAL 5 SECOND" || w.Pos != at(6, 30) {
		t.Errorf("Watermark=%+v", w)
	}
	if len(s.PrimaryKey) != 2 || s.PrimaryKey[1].Name != "pickup_at" {
		t.Errorf("PrimaryKey=%+v", s.PrimaryKey)
	}
	var options []string
	for _, o := range s.Options {
		options = append(options, o.Name+"="+o.Value)
	}
	const wantOptions = "connector=kafka|brokers=a:1,b:2|topic=trips|format=json|max=10|low=-1.5|start=earliest|fast=true|off=off|fields.userId.min=3|odd.Name=x|wait=10s"
	if got := strings.Join(options, "|"); got != wantOptions {
		t.Errorf("options=%s\nwant    %s", got, wantOptions)
	}
	if o := s.Options[1]; o.NamePos != at(7, 30) || o.Pos != at(7, 40) {
		t.Errorf("positions of brokers=%v %v", o.NamePos, o.Pos)
	}
	if schema := s.Schema(); !schema[3].Type.Equal(types.NewDecimal(10, 2)) || schema.Index("FARE") != 3 {
		t.Errorf("Schema=%+v", schema)
	}
}

func TestParse_CreateStream(t *testing.T) {
	text := "/* from */ create or replace stream `by day` into lake.`order`\n" +
		"  partitioned by (pickup_location_id, MONTH(CAST(x AS DATE)) AS month, BUCKET(16, id))\n" +
		"  with (commit_interval = '10s')\nas -- the query\n  WITH t AS (SELECT ';' AS a /* ; */ FROM trips)\nSELECT a FROM t -- done\n ; -- end"
	s, ok := parse(t, text).(*sql.CreateStream)
	if !ok {
		t.Fatal("no *CreateStream")
	}
	if !s.OrReplace || s.IfNotExists || s.Name.Name != "by day" || s.Into == nil || s.Into.Sink.Name != "lake" || s.Into.Table.Name != "order" {
		t.Errorf("stream=%+v into %+v", s, s.Into)
	}
	want := []sql.PartitionExpr{
		{ExprText: "pickup_location_id", Pos: at(2, 19)},
		{ExprText: "MONTH(CAST(x AS DATE))", Pos: at(2, 39), Name: "month", NamePos: at(2, 65)},
		{ExprText: "BUCKET(16, id)", Pos: at(2, 72)},
	}
	if len(s.PartitionedBy) != len(want) {
		t.Fatalf("PartitionedBy=%+v", s.PartitionedBy)
	}
	for i, e := range want {
		if s.PartitionedBy[i] != e {
			t.Errorf("PartitionedBy[%d]=%+v, want %+v", i, s.PartitionedBy[i], e)
		}
	}
	if want := "WITH t AS (SELECT ';' AS a /* ; */ FROM trips)\nSELECT a FROM t"; s.Query != want || s.QueryPos != at(5, 3) {
		t.Errorf("Query=%q at %v, want %q", s.Query, s.QueryPos, want)
	}
	if kind, name := s.Object(); kind != sql.KindStream || name.Name != "by day" || !s.Replaces() || s.SkipsExisting() {
		t.Errorf("Object=%s %s", kind, name.Name)
	}
}

func TestCreateStream_Target(t *testing.T) {
	f := func(text, wantSink, wantTable string) {
		t.Helper()
		sink, table := parse(t, text).(*sql.CreateStream).Target()
		if sink != wantSink || table != wantTable {
			t.Errorf("Target of %q=%s.%s, want %s.%s", text, sink, table, wantSink, wantTable)
		}
	}
	f("CREATE STREAM s AS SELECT 1", "lake", "s")
	f("CREATE STREAM s INTO x AS SELECT 1", "x", "s")
	f("CREATE STREAM s INTO x.y AS (SELECT 1)", "x", "y")
	f("CREATE STREAM `_s` INTO x.y AS SELECT 1", "x", "y")
}

// TestParse_Statements pins what each statement is and its normal form.
func TestParse_Statements(t *testing.T) {
	f := func(text, normal string) {
		t.Helper()
		if got := parse(t, text).Normal(); got != normal {
			t.Errorf("Normal(%q)\n got %s\nwant %s", text, got, normal)
		}
	}
	f("create sink lake2 with (path='x' , connector = 's3')", "CREATE SINK lake2 WITH (\n  connector = 's3',\n  path = 'x'\n)")
	f("CREATE SINK IF NOT EXISTS `a b` WITH (n=0xFF)", "CREATE SINK `a b` WITH (\n  n = '0xFF'\n)")
	f("CREATE SOURCE s WITH (connector='x')", "CREATE SOURCE s WITH (\n  connector = 'x'\n)")
	f("CREATE SOURCE s (WATERMARK FOR ts AS ts) WITH (connector='x')", "CREATE SOURCE s (\n  WATERMARK FOR ts AS ts\n) WITH (\n  connector = 'x'\n)")
	f("CREATE SOURCE s (id bigint primary key, watermark int, v VARCHAR(20) CHARACTER SET utf8mb4 COLLATE utf8mb4_bin) WITH (connector='x')",
		"CREATE SOURCE s (\n  id BIGINT NOT NULL,\n  watermark INT,\n  v VARCHAR(20),\n  PRIMARY KEY (id)\n) WITH (\n  connector = 'x'\n)")
	f("create stream s as select a from b where c=1", "CREATE STREAM s INTO lake.s\nAS SELECT a\nFROM b\nWHERE c = 1")
	f("DROP source if exists x;", "DROP SOURCE IF EXISTS x")
	f("drop sink x", "DROP SINK x")
	f("Drop Stream `x y`", "DROP STREAM `x y`")
	f("start stream s", "START STREAM s")
	f("start stream s from EARLIEST", "START STREAM s FROM 'earliest'")
	f("start stream s from '2026-01-01'", "START STREAM s FROM '2026-01-01'")
	f("stop stream s", "STOP STREAM s")
	f("flush stream s", "FLUSH STREAM s")
	f("alter stream s set (commit_interval='1s', a=1)", "ALTER STREAM s SET (\n  a = '1',\n  commit_interval = '1s'\n)")
	f("show sources", "SHOW SOURCES")
	f("show sinks like 'a%'", "SHOW SINKS LIKE 'a%'")
	f("show streams like \"a\\_%\"", `SHOW STREAMS LIKE 'a\\_%'`)
	f("show create source s", "SHOW CREATE SOURCE s")
	f("show create sink s", "SHOW CREATE SINK s")
	f("show create stream s", "SHOW CREATE STREAM s")
	f("desc trips", "DESCRIBE trips")
	f("describe lake . `trips`;", "DESCRIBE lake.trips")
	f("explain trips", "DESCRIBE trips")
	f("explain create stream s as select 1", "EXPLAIN CREATE STREAM s INTO lake.s\nAS SELECT 1")
	f("EXPLAIN ANALYZE create or replace stream s as select 1", "EXPLAIN ANALYZE CREATE STREAM s INTO lake.s\nAS SELECT 1")
	f("replay dead_letters for stream s", "REPLAY DEAD_LETTERS FOR STREAM s")
	f("replay dead_letters for stream s where error_class='field' and attempt<3;",
		"REPLAY DEAD_LETTERS FOR STREAM s WHERE error_class = 'field' AND attempt < 3")
}

func TestParse_MySQLStatements(t *testing.T) {
	for _, text := range []string{
		"", "  ", "-- only a comment", ";", "SELECT 1", "(SELECT 1)", "WITH t AS (SELECT 1) SELECT * FROM t",
		"SHOW TABLES", "SHOW DATABASES", "SHOW CREATE TABLE t", "SHOW CREATE VIEW v", "SHOW FULL COLUMNS FROM t", "SHOW STATUS", "SHOW SLAVE STATUS",
		"SET NAMES utf8mb4", "SET @x = 'CREATE STREAM'", "USE stream", "CREATE VIEW v AS SELECT 1", "CREATE OR REPLACE VIEW v AS SELECT 1",
		"CREATE USER u IDENTIFIED BY 'x'", "CREATE TABLE source (a INT)", "CREATE DATABASE stream", "CREATE SERVER s FOREIGN DATA WRAPPER w OPTIONS (x 'y')",
		"CREATE RESOURCE GROUP g TYPE = USER", "DROP TABLE stream", "DROP VIEW v", "START TRANSACTION", "START REPLICA", "STOP SLAVE", "FLUSH PRIVILEGES", "FLUSH TABLES",
		"ALTER TABLE t ADD c INT", "ALTER USER u IDENTIFIED BY 'x'", "DESCRIBE SELECT 1", "EXPLAIN SELECT 1", "EXPLAIN FORMAT=TREE SELECT 1", "EXPLAIN ANALYZE SELECT 1",
		"DESC t column_name", "DESCRIBE t 'a%'", "INSERT INTO source VALUES (1)", "/*!40101 SET NAMES utf8 */", "/*!50003 CREATE STREAM s AS SELECT 1 */",
		"'unterminated", "`unterminated", "/* unterminated", "SELECT 'unterminated", "\xff", "stream", "source sink", "GRANT ALL ON *.* TO u", "KILL 1", "SIGNAL stream",
	} {
		s, err := sql.Parse(text, sqlerror.Position{})
		if s != nil || err != nil {
			t.Errorf("Parse(%q)=%v, %v, want nil, nil", text, s, err)
		}
	}
}

// TestParse_Errors pins whole messages: the position, what was expected, and
// the hint.
func TestParse_Errors(t *testing.T) {
	f := func(text, want string) {
		t.Helper()
		s, err := sql.Parse(text, sqlerror.Position{})
		if err == nil {
			t.Errorf("Parse(%q)=%v, want error %s", text, s, want)
			return
		}
		if err.Error() != want {
			t.Errorf("Parse(%q)\n got %s\nwant %s", text, err, want)
		}
		if e := sqlerror.As(err); e == nil || e.Kind != sqlerror.User || e.Pos.Line == 0 || e.Retryable {
			t.Errorf("Parse(%q): error %+v is not the user's or has no position", text, e)
		}
		if s != nil {
			t.Errorf("Parse(%q) gives a statement with its error", text)
		}
	}
	// Keywords and the order of clauses.
	f("CREAT STREAM s AS SELECT 1", "line 1, column 1: unknown keyword CREAT (did you mean CREATE?)")
	f("CREATE STREM s AS SELECT 1", "line 1, column 8: unknown keyword STREM (did you mean STREAM?)")
	f("\n  DORP SOURCE s", "line 2, column 3: unknown keyword DORP (did you mean DROP?)")
	f("DROP SUORCE s", "line 1, column 6: unknown keyword SUORCE (did you mean SOURCE?)")
	f("SHOW STREMS", "line 1, column 6: unknown keyword STREMS (did you mean STREAMS?)")
	f("SHOW STREAM", "line 1, column 6: unknown keyword STREAM (did you mean STREAMS?)")
	f("SHOW CREATE STEAM s", "line 1, column 13: unknown keyword STEAM (did you mean STREAM?)")
	f("CREATE OR STREAM s AS SELECT 1", "line 1, column 11: expected REPLACE, found STREAM")
	f("CREATE STREAM", "line 1, column 14: expected the name of the stream, found the end of the statement")
	f("CREATE STREAM s", "line 1, column 16: expected AS before the query, found the end of the statement")
	f("CREATE STREAM s WITH x AS (SELECT 1) SELECT * FROM x",
		"line 1, column 17: expected AS before the query, found WITH (a query that begins with WITH comes after AS; options are in brackets: WITH (option = 'value'))")
	f("CREATE STREAM s SELECT 1", "line 1, column 17: expected AS before the query, found SELECT")
	f("CREATE STREAM s AS", "line 1, column 19: expected SELECT after AS, found the end of the statement")
	f("CREATE STREAM s AS SELCT 1", "line 1, column 20: expected SELECT after AS, found SELCT (did you mean SELECT?)")
	f("CREATE STREAM s (a INT) AS SELECT 1", "line 1, column 17: expected AS before the query, found ( (the columns of a stream are those of its query)")
	f("CREATE STREAM s PARTITION BY (a) AS SELECT 1", "line 1, column 17: expected AS before the query, found PARTITION (did you mean PARTITIONED BY?)")
	f("CREATE STREAM s WITH (a=1) INTO x AS SELECT 1",
		"line 1, column 28: expected AS before the query, found INTO (the clauses come once each in the order INTO, PARTITIONED BY, WITH, AS)")
	f("CREATE STREAM s PARTITIONED BY (a,) AS SELECT 1", "line 1, column 35: expected an expression to partition by, found ) (leave out the last comma)")
	f("CREATE STREAM s PARTITIONED BY (a AS x, b AS X) AS SELECT 1", "line 1, column 46: partition column X is named twice")
	f("CREATE STREAM s PARTITIONED BY (f(a AS SELECT 1", "line 1, column 48: expected ) that closes the ( at line 1, column 34, found the end of the statement")
	f("CREATE STREAM s AS SELECT 1--;", "line 1, column 30: expected an operand after --, found ;")
	f("CREATE STREAM s PARTITIONED BY (a-- AS x) AS SELECT 1", "line 1, column 54: expected ) after the partition expressions, found the end of the statement")
	f("CREATE STREAM s PARTITIONED BY (a--) AS SELECT 1", "line 1, column 36: expected an operand after --, found )")
	f("CREATE STREAM s AS SELECT 1) FROM t", "line 1, column 28: unexpected ), which closes nothing")
	f("CREATE STREAM s AS SELECT (1", "line 1, column 29: expected ) that closes the ( at line 1, column 27, found the end of the statement")
	f("CREATE STREAM s AS SELECT 'a\n", "line 1, column 27: unterminated string (it begins here and is never closed; a quote within a string is doubled)")
	f("CREATE STREAM s AS SELECT `a", "line 1, column 27: unterminated quoted name")
	f("CREATE STREAM s AS SELECT 1 /* a", "line 1, column 29: unterminated comment")
	f("CREATE STREAM s AS SELECT 1; SELECT 2", "line 1, column 30: expected the end of the statement, found SELECT (one statement at a time is read here)")
	f("CREATE STREAM IF EXISTS s AS SELECT 1", "line 1, column 18: expected NOT EXISTS, found EXISTS")
	f("CREATE OR REPLACE STREAM IF NOT EXISTS s AS SELECT 1", "line 1, column 26: OR REPLACE and IF NOT EXISTS exclude each other")
	f("CREATE STREAM s INTO a.b.c AS SELECT 1", "line 1, column 25: expected PARTITIONED BY, WITH or AS, found . (INTO names sink.table)")
	f("EXPLAIN CREATE SOURCE s WITH (a=1)", "line 1, column 9: expected CREATE STREAM or a query to explain, found CREATE SOURCE")
	f("DROP STREAM a, b", "line 1, column 14: expected the end of the statement, found ,")
	f("DROP STREAM lake.s", "line 1, column 13: expected one name, found a name with a dot (streams belong to no database)")
	f("ALTER SOURCE s SET (a=1)", "line 1, column 7: expected STREAM, found SOURCE (to change a source use CREATE OR REPLACE SOURCE)")
	f("STOP SINK s", "line 1, column 6: expected STREAM, found SINK (a sink does not run; its streams do)")
	f("ALTER STREAM s AS SELECT 1", "line 1, column 16: expected SET and the options, found AS (to change the query use CREATE OR REPLACE STREAM)")
	f("START STREAM s FROM yesterday", "line 1, column 21: expected 'earliest', 'latest' or a time such as '2026-07-01 00:00:00', found yesterday")
	f("SHOW SECRETS WHERE a", "line 1, column 14: expected LIKE or the end of the statement, found WHERE")
	f("SHOW STREAMS LIKE x", "line 1, column 19: expected a pattern such as 'trips%' after LIKE, found x")
	f("REPLAY STREAM s", "line 1, column 8: expected DEAD_LETTERS FOR STREAM, found STREAM")
	f("REPLAY DEAD_LETTERS FOR STREAM s WHERE", "line 1, column 39: expected a condition after WHERE, found the end of the statement")

	// Names.
	f("CREATE SOURCE leat WITH (a=1)", "line 1, column 15: leat is a reserved name (leat, mysql, sys, information_schema, performance_schema are databases of the server)")
	f("CREATE STREAM `Mysql` AS SELECT 1", "line 1, column 15: mysql is a reserved name (leat, mysql, sys, information_schema, performance_schema are databases of the server)")
	f("CREATE STREAM `a/b` AS SELECT 1", "line 1, column 15: the name of a stream may not contain / (the name becomes the name of a folder)")
	f(`CREATE SINK `+"`a\\b`"+` WITH (a=1)`, `line 1, column 13: the name of a sink may not contain \ (the name becomes the name of a folder)`)
	f("CREATE SOURCE `.a` WITH (a=1)", "line 1, column 15: the name of a source may not begin with a dot (the name becomes the name of a folder)")
	f("CREATE SOURCE `a\x00b` WITH (a=1)", "line 1, column 15: the name of a source holds a control character")
	f("CREATE SOURCE `` WITH (a=1)", "line 1, column 15: the name of a source is empty")
	f("CREATE SOURCE "+strings.Repeat("ä", 65)+" WITH (a=1)", "line 1, column 15: the name of a source has 65 characters; the most is 64")
	f("CREATE SINK `a.b` WITH (a=1)", "line 1, column 13: the name of a sink may not contain a dot (it is the namespace of tables, which are named sink.table)")
	f("CREATE STREAM _s AS SELECT 1", "line 1, column 15: the name of a table may not begin with _ (readers of lakes skip such folders; give another table in INTO sink.table)")
	f("CREATE STREAM s INTO lake._t AS SELECT 1", "line 1, column 27: the name of a table may not begin with _ (readers of lakes skip such folders; give another table in INTO sink.table)")
	f("CREATE STREAM s INTO lake.`..` AS SELECT 1", "line 1, column 27: the name of a table may not begin with a dot (the name becomes the name of a folder)")
	f("CREATE STREAM order AS SELECT 1", "line 1, column 15: expected the name of the stream, found order (ORDER is a reserved word; as a name it needs backquotes: `order`)")
	f(`CREATE STREAM "s" AS SELECT 1`, "line 1, column 15: expected the name of the stream, found a string (names are quoted with backquotes: `name`)")
	f("CREATE STREAM 'pass' AS SELECT 1", "line 1, column 15: expected the name of the stream, found a string")

	// Options.
	f("CREATE SINK s", "line 1, column 14: expected WITH and the options, found the end of the statement (a sink needs WITH (connector = '…', …))")
	f("CREATE SINK s (a INT) WITH (a=1)", "line 1, column 15: expected WITH and the options, found ( (a sink has no columns; its tables get those of the streams)")
	f("CREATE SOURCE s AS SELECT 1", "line 1, column 17: expected ( and the columns, or WITH and the options, found AS (a source needs WITH (connector = '…', …))")
	f("CREATE SOURCE s WTIH (a=1)", "line 1, column 17: expected ( and the columns, or WITH and the options, found WTIH (did you mean WITH?)")
	f("CREATE SOURCE s (a INT)", "line 1, column 24: expected WITH and the options, found the end of the statement (a source needs WITH (connector = '…', …))")
	f("CREATE SINK s WITH ()", "line 1, column 21: expected an option such as name = 'value', found )")
	f("CREATE SINK s WITH (a=1,)", "line 1, column 25: expected an option after the comma, found ) (leave out the last comma)")
	f("CREATE SINK s WITH (a=1", "line 1, column 24: expected ) after the options, found the end of the statement")
	f("CREATE SINK s WITH (a='1' b='2')", "line 1, column 27: expected , or ) after the value of option a, found b (options are separated by commas)")
	f("CREATE SINK s WITH (pass='1' 'geheim')", "line 1, column 30: expected , or ) after the value of option pass, found a string (options are separated by commas)")
	f("CREATE SINK s WITH (a 1)", "line 1, column 23: expected = after option a, found 1")
	f("CREATE SINK s WITH (a=)", "line 1, column 23: expected a value for option a, found ) (write a string in single quotes, a number, TRUE or FALSE)")
	f("CREATE SINK s WITH (a=?)", "line 1, column 23: expected a value for option a, found ? (write a string in single quotes, a number, TRUE or FALSE)")
	f("CREATE SINK s WITH (a=NULL)", "line 1, column 23: expected a value for option a, found NULL (to leave an option unset do not write it)")
	f("CREATE SINK s WITH (a=-x)", "line 1, column 24: expected a number after the sign of option a, found x")
	f("CREATE SINK s WITH (path = s3://b)", "line 1, column 30: expected , or ) after the value of option path, found : (a value of more than one word is written in single quotes)")
	f("CREATE SINK s WITH (size = 1.5GB)", "line 1, column 31: expected , or ) after the value of option size, found GB (a value of more than one word is written in single quotes)")
	f("CREATE SINK s WITH (a=1, A='x')", `line 1, column 26: option "a" is given twice`)
	f("CREATE SINK s WITH (''='x')", "line 1, column 21: the name of an option is empty")
	f("CREATE SINK s WITH (connector = ‘kafka’)", "line 1, column 33: expected a value for option connector, found the character '‘' (strings are written in straight quotes: 'text')")
	f("CREATE SINK s WITH (a='\xff')", "line 1, column 24: byte 0xff is not valid UTF-8")

	// Columns.
	f("CREATE SOURCE s () WITH (a=1)", "line 1, column 18: expected the name of a column, found )")
	f("CREATE SOURCE s (a INT,) WITH (a=1)", "line 1, column 24: expected a column after the comma, found ) (leave out the last comma)")
	f("CREATE SOURCE s (a INT, A TEXT) WITH (a=1)", "line 1, column 25: column A is declared twice (names of columns are compared without regard to case)")
	f("CREATE SOURCE s (a) WITH (a=1)", "line 1, column 19: expected a type for column a, found )")
	f("CREATE SOURCE s (a\n VARCHR(20)) WITH (a=1)", "line 2, column 2: column a: unknown type VARCHR; did you mean VARCHAR?")
	f("CREATE SOURCE s (a DECIMAL(50,2)) WITH (a=1)",
		"line 1, column 20: column a: DECIMAL precision 50 is over 38, the most that Parquet and Iceberg tables hold; declare DECIMAL(38, …), DOUBLE or VARCHAR")
	f("CREATE SOURCE s (a INT(1,2)) WITH (a=1)", "line 1, column 20: column a: type INT takes at most 1 arguments, found 2")
	f("CREATE SOURCE s (a VARCHAR(20 WITH (a=1)", "line 1, column 20: column a: argument \"20 WITH ( a = 1\" of type VARCHAR must be a number from 0 to 65535")
	f("CREATE SOURCE s (a VARCHAR(20", "line 1, column 30: expected ) of the type of column a, found the end of the statement")
	f("CREATE SOURCE s (a INT DEFAULT 1) WITH (a=1)", "line 1, column 24: expected , or ) after column a, found DEFAULT (after its type a column takes NOT NULL, NULL, COMMENT and PRIMARY KEY)")
	f("CREATE SOURCE s (a INT NOT) WITH (a=1)", "line 1, column 27: expected NULL, found )")
	f("CREATE SOURCE s (a INT NULL NOT NULL) WITH (a=1)", "line 1, column 29: column a is declared NULL and NOT NULL")
	f("CREATE SOURCE s (a INT, UNIQUE (a)) WITH (a=1)", "line 1, column 25: expected a column, PRIMARY KEY or WATERMARK, found UNIQUE (a source has no other keys, indexes or constraints)")
	f("CREATE SOURCE s (key INT) WITH (a=1)", "line 1, column 18: expected the name of a column, found key (KEY is a reserved word; as a name it needs backquotes: `key`)")
	f("CREATE SOURCE s (a INT, KEY k (a)) WITH (a=1)", "line 1, column 25: expected a column, PRIMARY KEY or WATERMARK, found KEY (a source has no other keys, indexes or constraints)")
	f("CREATE SOURCE s (a INT, PRIMARY KEY (b)) WITH (a=1)", "line 1, column 38: column b of the primary key is not declared (did you mean a?)")
	f("CREATE SOURCE s (a INT PRIMARY KEY, PRIMARY KEY (a)) WITH (a=1)", "line 1, column 37: a source has one primary key, found a second (a key of several columns is PRIMARY KEY (a, b))")
	f("CREATE SOURCE s (a INT, PRIMARY KEY (a, a)) WITH (a=1)", "line 1, column 41: column a is twice in the primary key")
	f("CREATE SOURCE s (a INT, WATERMARK FOR pickup AS a) WITH (a=1)", "line 1, column 39: column pickup of the watermark is not declared")
	f("CREATE SOURCE s (a INT, WATERMARK FOR a AS ) WITH (a=1)", "line 1, column 44: expected an expression for the watermark, such as a - INTERVAL 5 SECOND, found )")
	f("CREATE SOURCE s (a INT, WATERMARK FOR a AS a, WATERMARK FOR a AS a) WITH (a=1)", "line 1, column 47: a source has one watermark, found a second")
}

func TestParse_ErrorCodes(t *testing.T) {
	f := func(text string, code sqlerror.Code) {
		t.Helper()
		if _, err := sql.Parse(text, sqlerror.Position{}); !sqlerror.HasCode(err, code) {
			t.Errorf("Parse(%q)=%v, want code %s", text, err, code)
		}
	}
	f("CREATE SOURCE s (a FOO) WITH (a=1)", sqlerror.CodeType)
	f("CREATE SOURCE s WITH (a=1, a=2)", sqlerror.CodeBadOption)
	f("CREATE SOURCE s (a INT, PRIMARY KEY (b)) WITH (a=1)", sqlerror.CodeUnknownColumn)
	f("CREATE SOURCE s", sqlerror.CodeSyntax)
}

func TestParse_PositionOfFile(t *testing.T) {
	_, err := sql.Parse("CREATE SINK s\nWITH x", sqlerror.Position{File: "a.sql", Line: 7, Column: 3})
	if want := "a.sql:8:6: expected ( after WITH, found x"; err == nil || err.Error() != want {
		t.Errorf("error=%v, want %s", err, want)
	}
	_, err = sql.Parse("DROP SINK 'ä' 1", sqlerror.Position{File: "a.sql", Line: 7, Column: 3})
	if want := "a.sql:7:13: expected the name of the sink, found a string"; err == nil || err.Error() != want {
		t.Errorf("error=%v, want %s", err, want)
	}
}

func TestParse_TooLong(t *testing.T) {
	long := "CREATE SINK s WITH (a='" + strings.Repeat("x", sql.MaxTextBytes) + "')"
	if _, err := sql.Parse(long, sqlerror.Position{}); !sqlerror.HasCode(err, sqlerror.CodeSyntax) {
		t.Errorf("Parse of a long statement: %v", err)
	}
	if _, err := sql.Split(long, "x.sql"); err == nil || !strings.Contains(err.Error(), "longer than 16 MiB") {
		t.Errorf("Split of a long script: %v", err)
	}
	deep := "CREATE STREAM s AS SELECT " + strings.Repeat("(", 1_000_000)
	if _, err := sql.Parse(deep, sqlerror.Position{}); err == nil || !strings.Contains(err.Error(), "nested deeper than 1000") {
		t.Errorf("Parse of a deep query: %v", err)
	}
}

func TestShow_Matches(t *testing.T) {
	f := func(pattern, name string, want bool) {
		t.Helper()
		s := sql.Show{Kind: sql.KindStream, HasLike: true, Like: pattern}
		if got := s.Matches(name); got != want {
			t.Errorf("%q LIKE %q=%t", name, pattern, got)
		}
	}
	f("", "", true)
	f("", "a", false)
	f("%", "", true)
	f("TRIPS%", "trips_by_day", true)
	f("trips", "trips2", false)
	f("%y%", "trips_by_day", true)
	f("%_by_%", "trips_by_day", true)
	f(`a\_b`, "a_b", true)
	f(`a\_b`, "axb", false)
	f(`a\\b`, `a\b`, true)
	f(`a\`, `a\`, true)
	f("_", "ä", true)
	f("__", "ä", false)
	f("%a%b%c", "xaxbxbxc", true)
	f("%a%b%c", "xaxbxbx", false)
	f(strings.Repeat("%a", 50), strings.Repeat("a", 49), false)
	if !(&sql.Show{}).Matches("x") {
		t.Error("SHOW without LIKE leaves something out")
	}
}
