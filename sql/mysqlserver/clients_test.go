package mysqlserver_test

import (
	"fmt"
	"slices"
	"strings"
	"testing"

	"github.com/leatdb/leat/sql/mysqlserver"
)

// clientTests are what programs send when they connect, and when they show what
// there is. They all have to answer.
var clientTests = map[string][]string{
	"mysql": {
		"select @@version_comment limit 1",
		"SELECT DATABASE(), USER() limit 1",
		"select USER()",
		"show databases",
		"show tables",
		"SHOW WARNINGS",
		"SHOW ERRORS",
		"SHOW COUNT(*) WARNINGS",
		"SHOW COUNT(*) ERRORS",
		"SELECT @@warning_count",
		"PREPARE s FROM 'SELECT id FROM clicks WHERE id = ?'",
		"SET @id = 1",
		"EXECUTE s USING @id",
		"DEALLOCATE PREPARE s",
	},
	"go-sql-driver and mysqlclient": {
		"SELECT @@max_allowed_packet",
		"SET NAMES utf8mb4",
		"SET autocommit=1",
		"SET sql_mode='STRICT_TRANS_TABLES'",
		"SELECT @@tx_isolation",
		"SELECT 'test plain returns', @@sql_mode",
		"SHOW VARIABLES LIKE 'sql_mode'",
		"SHOW VARIABLES LIKE 'lower_case_table_names'",
		"select @@session.tx_isolation",
		"START TRANSACTION",
		"SELECT CAST('test collated returns' AS CHAR CHARACTER SET utf8mb4) COLLATE utf8mb4_bin AS anon_1",
		"ROLLBACK",
	},
	"Connector/J": {
		"/* mysql-connector-j-8.4.0 (Revision: 1c3f5c1) */SELECT  @@session.auto_increment_increment AS auto_increment_increment, @@character_set_client AS character_set_client, @@character_set_connection AS character_set_connection, @@character_set_results AS character_set_results, @@character_set_server AS character_set_server, @@collation_server AS collation_server, @@collation_connection AS collation_connection, @@init_connect AS init_connect, @@interactive_timeout AS interactive_timeout, @@license AS license, @@lower_case_table_names AS lower_case_table_names, @@max_allowed_packet AS max_allowed_packet, @@net_write_timeout AS net_write_timeout, @@performance_schema AS performance_schema, @@sql_mode AS sql_mode, @@system_time_zone AS system_time_zone, @@time_zone AS time_zone, @@transaction_isolation AS transaction_isolation, @@wait_timeout AS wait_timeout",
		"SET character_set_results = NULL",
		"SET SESSION TRANSACTION READ WRITE",
		"SET SESSION TRANSACTION ISOLATION LEVEL REPEATABLE READ",
		"SELECT @@session.transaction_read_only",
		"SELECT @@session.transaction_isolation",
		"SHOW FULL TABLES FROM `lake` LIKE '%'",
		"SELECT TABLE_SCHEMA AS TABLE_CAT, NULL AS TABLE_SCHEM, TABLE_NAME, CASE WHEN TABLE_TYPE='BASE TABLE' THEN CASE WHEN TABLE_SCHEMA = 'mysql' OR TABLE_SCHEMA = 'performance_schema' THEN 'SYSTEM TABLE' ELSE 'TABLE' END WHEN TABLE_TYPE='TEMPORARY' THEN 'LOCAL_TEMPORARY' ELSE TABLE_TYPE END AS TABLE_TYPE, TABLE_COMMENT AS REMARKS FROM INFORMATION_SCHEMA.TABLES WHERE TABLE_SCHEMA = 'lake' ORDER BY TABLE_TYPE, TABLE_SCHEMA, TABLE_NAME",
		"SELECT DISTINCT A.REFERENCED_TABLE_SCHEMA AS PKTABLE_CAT, NULL AS PKTABLE_SCHEM, A.REFERENCED_TABLE_NAME AS PKTABLE_NAME, A.REFERENCED_COLUMN_NAME AS PKCOLUMN_NAME, A.TABLE_SCHEMA AS FKTABLE_CAT, A.TABLE_NAME AS FKTABLE_NAME, A.COLUMN_NAME AS FKCOLUMN_NAME, A.ORDINAL_POSITION AS KEY_SEQ, A.CONSTRAINT_NAME AS FK_NAME FROM INFORMATION_SCHEMA.KEY_COLUMN_USAGE A JOIN INFORMATION_SCHEMA.TABLE_CONSTRAINTS D ON (D.TABLE_SCHEMA = A.TABLE_SCHEMA AND D.TABLE_NAME = A.TABLE_NAME AND D.CONSTRAINT_NAME = A.CONSTRAINT_NAME) WHERE A.TABLE_SCHEMA = 'lake' AND A.TABLE_NAME = 'clicks'",
		"SHOW KEYS FROM `clicks` FROM `lake`",
		"SHOW COLLATION",
		"SHOW CHARACTER SET",
		"SHOW ENGINES",
	},
	"MariaDB Connector/J": {
		"set autocommit=1, session_track_schema=1, sql_mode = concat(@@sql_mode,',STRICT_TRANS_TABLES')",
		"SELECT @@max_allowed_packet,@@system_time_zone,@@time_zone,@@auto_increment_increment",
		"SHOW VARIABLES WHERE Variable_name in ('max_allowed_packet','system_time_zone','time_zone','auto_increment_increment')",
		"SELECT @@have_ssl",
	},
	"DBeaver": {
		"SELECT DATABASE()",
		"SET SESSION TRANSACTION READ WRITE",
		"SHOW GLOBAL VARIABLES",
		"SHOW SESSION VARIABLES",
		"SHOW GLOBAL STATUS",
		"SHOW STATUS",
		"SHOW PLUGINS",
		"SHOW PRIVILEGES",
		"SHOW CHARSET",
		"SELECT @@GLOBAL.character_set_server,@@GLOBAL.collation_server",
		"SELECT * FROM information_schema.SCHEMATA",
		"SELECT * FROM information_schema.TABLES t WHERE t.TABLE_SCHEMA = 'lake' AND t.TABLE_TYPE = 'BASE TABLE' ORDER BY t.TABLE_NAME",
		"SHOW TABLE STATUS FROM `lake`",
		"SHOW FULL TABLES FROM `lake`",
		"SHOW FULL COLUMNS FROM `lake`.`clicks`",
		"SELECT * FROM information_schema.COLUMNS WHERE TABLE_SCHEMA='lake' AND TABLE_NAME='clicks' ORDER BY ORDINAL_POSITION",
		"SELECT kc.CONSTRAINT_NAME,kc.TABLE_NAME,kc.COLUMN_NAME,kc.ORDINAL_POSITION FROM INFORMATION_SCHEMA.KEY_COLUMN_USAGE kc WHERE kc.TABLE_SCHEMA='lake' AND kc.REFERENCED_TABLE_NAME IS NULL AND kc.TABLE_NAME='clicks' ORDER BY kc.CONSTRAINT_NAME,kc.ORDINAL_POSITION",
		"SELECT cc.CONSTRAINT_NAME, cc.CHECK_CLAUSE, tc.TABLE_NAME FROM (SELECT CONSTRAINT_NAME, CHECK_CLAUSE FROM INFORMATION_SCHEMA.CHECK_CONSTRAINTS WHERE CONSTRAINT_SCHEMA = 'lake' ORDER BY CONSTRAINT_NAME) cc, (SELECT TABLE_NAME, CONSTRAINT_NAME FROM INFORMATION_SCHEMA.TABLE_CONSTRAINTS WHERE TABLE_SCHEMA = 'lake') tc WHERE cc.CONSTRAINT_NAME = tc.CONSTRAINT_NAME",
		"SELECT * FROM information_schema.REFERENTIAL_CONSTRAINTS WHERE CONSTRAINT_SCHEMA='lake'",
		"SELECT * FROM information_schema.STATISTICS WHERE TABLE_SCHEMA='lake'",
		"SELECT * FROM information_schema.PARTITIONS WHERE TABLE_SCHEMA='lake' AND TABLE_NAME='clicks'",
		"SELECT * FROM information_schema.VIEWS WHERE TABLE_SCHEMA='lake'",
		"SELECT * FROM information_schema.ROUTINES WHERE ROUTINE_SCHEMA='lake' AND ROUTINE_TYPE IN ('PROCEDURE','FUNCTION') ORDER BY ROUTINE_NAME",
		"SELECT * FROM information_schema.PARAMETERS WHERE SPECIFIC_SCHEMA='lake'",
		"SELECT * FROM information_schema.TRIGGERS WHERE TRIGGER_SCHEMA='lake'",
		"SELECT * FROM information_schema.EVENTS WHERE EVENT_SCHEMA='lake'",
		"SHOW INDEX FROM `lake`.`clicks`",
		"SHOW CREATE TABLE `lake`.`clicks`",
		"SHOW CREATE DATABASE `lake`",
		"SELECT * FROM mysql.user ORDER BY user",
		"SHOW GRANTS FOR 'root'@'localhost'",
		"SHOW FULL PROCESSLIST",
		"SHOW TRIGGERS FROM `lake`",
		"EXPLAIN SELECT * FROM clicks",
		"SELECT x.* FROM lake.clicks x LIMIT 0, 200",
	},
	"MySQL Workbench": {
		"SET SESSION TRANSACTION ISOLATION LEVEL REPEATABLE READ",
		"SET CHARACTER SET utf8mb4",
		"SET SQL_SAFE_UPDATES=1",
		"SELECT CONNECTION_ID()",
		"SHOW SESSION STATUS LIKE 'Ssl_cipher'",
		"SELECT current_user()",
		"SHOW SESSION VARIABLES LIKE 'lower_case_table_names'",
		"SHOW SESSION VARIABLES LIKE 'version_compile_os'",
		"SHOW GLOBAL VARIABLES LIKE 'offline_mode'",
		"SHOW PROCEDURE STATUS WHERE Db='lake'",
		"SHOW FUNCTION STATUS WHERE Db='lake'",
		"SHOW EVENTS FROM `lake`",
		"SHOW TRIGGERS FROM `lake`",
		"SHOW OPEN TABLES FROM `lake`",
		"SHOW ENGINE INNODB STATUS",
		"SET PROFILING=1",
		"SHOW PROFILES",
		"KILL QUERY 4000000",
	},
	"Grafana": {
		"SET time_zone='+00:00'",
		"SELECT DISTINCT TABLE_SCHEMA from information_schema.TABLES where TABLE_TYPE != 'SYSTEM VIEW' ORDER BY TABLE_SCHEMA",
		"SELECT table_name FROM information_schema.tables WHERE table_schema = database() ORDER BY table_name",
		"SELECT column_name, data_type FROM information_schema.columns WHERE table_schema = 'lake' AND table_name = 'clicks' ORDER BY column_name",
		"SELECT UNIX_TIMESTAMP(at) DIV 60 * 60 AS \"time\", name AS metric, COUNT(id) AS value FROM clicks WHERE at BETWEEN FROM_UNIXTIME(1) AND FROM_UNIXTIME(4000000000) GROUP BY 1, 2 ORDER BY 1 LIMIT 50000",
		"SELECT at AS time, id FROM clicks WHERE at >= '2020-01-01T00:00:00Z' AND at <= '2030-01-01T00:00:00Z' ORDER BY at",
	},
	"mysqldump": {
		"/*!40100 SET @@SQL_MODE='' */",
		"/*!40103 SET TIME_ZONE='+00:00' */",
		"/*!80000 SET SESSION information_schema_stats_expiry=0 */",
		"SET SESSION NET_READ_TIMEOUT= 86400, SESSION NET_WRITE_TIMEOUT= 86400",
		`SHOW VARIABLES LIKE 'gtid\_mode'`,
		"SELECT LOGFILE_GROUP_NAME, FILE_NAME, TOTAL_EXTENTS, INITIAL_SIZE, ENGINE, EXTRA FROM INFORMATION_SCHEMA.FILES WHERE FILE_TYPE = 'UNDO LOG' AND FILE_NAME IS NOT NULL GROUP BY LOGFILE_GROUP_NAME, FILE_NAME, ENGINE, TOTAL_EXTENTS, INITIAL_SIZE ORDER BY LOGFILE_GROUP_NAME",
		`SHOW VARIABLES LIKE 'ndbinfo\_version'`,
		"SHOW CREATE DATABASE IF NOT EXISTS `lake`",
		"START TRANSACTION /*!40100 WITH CONSISTENT SNAPSHOT */",
		"SAVEPOINT sp",
		"show tables",
		"LOCK TABLES `clicks` READ /*!32311 LOCAL */",
		"show table status like 'clicks'",
		"SET SQL_QUOTE_SHOW_CREATE=1",
		"SET SESSION character_set_results = 'binary'",
		"show create table `clicks`",
		"SET SESSION character_set_results = 'utf8mb4'",
		"show fields from `clicks`",
		"SELECT COLUMN_NAME, JSON_EXTRACT(HISTOGRAM, '$.\"number-of-buckets-specified\"') FROM information_schema.COLUMN_STATISTICS WHERE SCHEMA_NAME = 'lake' AND TABLE_NAME = 'clicks'",
		"SELECT /*!40001 SQL_NO_CACHE */ * FROM `clicks`",
		"select @@collation_database",
		"SHOW TRIGGERS LIKE 'clicks'",
		"ROLLBACK TO SAVEPOINT sp",
		"RELEASE SAVEPOINT sp",
		"UNLOCK TABLES",
	},
}

func TestServer_Clients(t *testing.T) {
	s := serve(t, open(t), mysqlserver.Config{})
	land(t, connect(t, s), "clicks", "id BIGINT, name VARCHAR(20), at TIMESTAMP(3)", `{"id":1,"name":"a","at":"2026-07-01T10:00:00Z"}`)
	for client, statements := range clientTests {
		t.Run(client, func(t *testing.T) {
			c := connect(t, s)
			for _, text := range statements {
				if err := run(t, c, text); err != nil {
					t.Errorf("%s: %v", text, err)
				}
			}
		})
	}
}

// What the library's parser does not know means what it means in MySQL.
func TestServer_Translated(t *testing.T) {
	c := connect(t, serve(t, open(t), mysqlserver.Config{}))
	land(t, c, "clicks", "id BIGINT", `{"id":1}`)
	query(t, c, "SELECT 1/0")
	wantRows(t, query(t, c, "SHOW COUNT(*) WARNINGS"), "1")
	query(t, c, "SELECT 1/0, 2/0")
	wantRows(t, query(t, c, "select @@warning_count"), "2")
	wantRows(t, query(t, c, "SHOW ERRORS LIMIT 1"))
	exec(t, c, "PREPARE s FROM 'SELECT id + ? FROM clicks'")
	exec(t, c, "SET @n = 4")
	wantRows(t, query(t, c, "EXECUTE s USING @n"), "5")
	wantRows(t, query(t, c, "SELECT @@max_allowed_packet, @@profiling"), "67108864|0")
}

func TestServer_SelectLimit(t *testing.T) {
	c := connect(t, serve(t, open(t), mysqlserver.Config{}))
	lines := make([]string, 10)
	for i := range lines {
		lines[i] = fmt.Sprintf(`{"id":%d}`, i)
	}
	land(t, c, "clicks", "id BIGINT", lines...)
	f := func(text string, want ...string) {
		t.Helper()
		wantRows(t, query(t, c, text), want...)
	}
	exec(t, c, "SET sql_select_limit = 2")
	f("SELECT id FROM clicks ORDER BY id", "0", "1")
	f("SELECT id FROM clicks ORDER BY id LIMIT 3", "0", "1", "2")
	f("SELECT COUNT(*) FROM (SELECT id FROM clicks) x", "10")
	f("SELECT id FROM clicks WHERE id < 3 UNION ALL SELECT id FROM clicks WHERE id > 8 ORDER BY id", "0", "1")
	exec(t, c, "SET sql_select_limit = DEFAULT")
	if n := len(query(t, c, "SELECT id FROM clicks")); n != 10 {
		t.Errorf("%d rows, want 10", n)
	}
}

// Secrets of a statement that runs are not for others to see.
func TestServer_ProcessListHidesSecrets(t *testing.T) {
	s := serve(t, open(t), mysqlserver.Config{})
	c := connect(t, s)
	got := query(t, c, "SELECT info FROM (SELECT info, 'a' AS x_password FROM information_schema.processlist) p WHERE NOT x_password='hush'")
	if i := slices.IndexFunc(got, func(s string) bool { return strings.Contains(s, "hush") }); i >= 0 {
		t.Errorf("the process list shows %q", got[i])
	}
	if len(got) != 1 {
		t.Errorf("process list = %q", got)
	}
}
