package engine_test

import (
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/twmb/franz-go/pkg/kfake"

	"github.com/leatdb/leat/catalog"
	"github.com/leatdb/leat/engine"
	"github.com/leatdb/leat/engine/dataflow"
	"github.com/leatdb/leat/sql/sqlerror"
)

func writeFile(t *testing.T, path, text string) {
	t.Helper()
	if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(path, []byte(text), 0o644); err != nil {
		t.Fatal(err)
	}
}

func equal(t *testing.T, what string, got []string, want ...string) {
	t.Helper()
	if strings.Join(got, "\n") != strings.Join(want, "\n") {
		t.Errorf("%s:\n  %s\nwant\n  %s", what, strings.Join(got, "\n  "), strings.Join(want, "\n  "))
	}
}

func TestDescribe_MembersKeepTheirCase(t *testing.T) {
	db := open(t, t.TempDir())
	mustExec(t, db, `
		CREATE SOURCE src (e ENUM('Red', 'it''s A'), s SET('X', 'y'), d DECIMAL(5,2), u BIGINT UNSIGNED) WITH (connector = 'push');
		CREATE STREAM t AS SELECT e, s, d, u FROM src;
		CREATE VIEW v AS SELECT e FROM src`)
	want := []string{
		`e|enum('Red','it''s A')|YES||NULL|`, `s|set('X','y')|YES||NULL|`, `d|decimal(5,2)|YES||NULL|`, `u|bigint unsigned|YES||NULL|`,
	}
	equal(t, "DESCRIBE src", query(t, db, `DESCRIBE src`)[:4], want...)
	equal(t, "DESCRIBE t", query(t, db, `DESCRIBE t`), want...)
}

// Where the columns are left out they are inferred from the input, and stay what
// they were when the directory is opened again.
func TestCreateSource_WithoutColumns(t *testing.T) {
	c := kafkaCluster(t, kfake.SeedTopics(1, "trips", "empty"))
	broker := c.ListenAddrs()[0]
	produce(t, broker, "trips", `{"id":1,"fare":1.5,"at":"2026-07-01T10:00:00Z"}`, `{"id":3000000000,"os":"ios"}`)
	dir := t.TempDir()
	writeFile(t, filepath.Join(dir, "in", "a.ndjson"), `{"id":1,"ok":true,"nested":{"a":[1,2]},"day":"2026-07-01"}`+"\n"+`{"id":2,"name":"x","ok":null}`+"\n")
	data := filepath.Join(dir, "data")
	db, err := engine.Open(t.Context(), engine.Config{Dir: data})
	if err != nil {
		t.Fatal(err)
	}
	session := db.NewSession()
	if err := session.Exec(t.Context(), fmt.Sprintf(`
		CREATE SOURCE f WITH (connector = 'files', path = '%s');
		CREATE SOURCE k WITH (connector = 'kafka', brokers = '%s', topic = 'trips')`, filepath.Join(dir, "in"), broker)); err != nil {
		t.Fatal(err)
	}
	equal(t, "notes", session.Notes(), "5 columns were inferred; DESCRIBE f shows them", "4 columns were inferred; DESCRIBE k shows them")
	refused(t, db, fmt.Sprintf(`CREATE SOURCE e WITH (connector = 'kafka', brokers = '%s', topic = 'empty')`, broker),
		sqlerror.CodeState, `the input is empty.*declare the columns`)
	refused(t, db, fmt.Sprintf(`CREATE SOURCE e WITH (connector = 'files', path = '%s')`, filepath.Join(dir, "nothing", "*.json")),
		sqlerror.CodeBadOption, `source e: path .*\.json does not exist`)
	describe := func() {
		t.Helper()
		equal(t, "DESCRIBE f", query(t, db, `DESCRIBE f`)[:5],
			"id|bigint|YES||NULL|inferred", "ok|boolean|YES||NULL|inferred", "nested|json|YES||NULL|inferred", "day|date|YES||NULL|inferred", "name|longtext|YES||NULL|inferred")
		equal(t, "DESCRIBE k", query(t, db, `DESCRIBE k`)[:4],
			"id|bigint|YES||NULL|inferred", "fare|double|YES||NULL|inferred", "at|timestamp(6)|YES||NULL|inferred", "os|longtext|YES||NULL|inferred")
	}
	describe()
	produce(t, broker, "trips", `{"id":4,"surprise":1}`)
	if err := db.Close(); err != nil {
		t.Fatal(err)
	}
	db = open(t, data)
	describe()
}

// A SELECT from a source shows some of its records, and reads no further than
// what is there.
func TestPeek(t *testing.T) {
	c := kafkaCluster(t, kfake.SeedTopics(1, "trips"))
	broker := c.ListenAddrs()[0]
	for i := range 10 {
		produce(t, broker, "trips", fmt.Sprintf(`{"id":%d}`, i))
	}
	dir := t.TempDir()
	writeFile(t, filepath.Join(dir, "a.ndjson"), `{"id":1,"s":"x"}`+"\nbroken\n"+`{"id":2,"s":"y"}`+"\n")
	db := open(t, filepath.Join(dir, "data"))
	mustExec(t, db, fmt.Sprintf(`
		CREATE SOURCE k (id INT) WITH (connector = 'kafka', brokers = '%s', topic = 'trips');
		CREATE SOURCE f (id INT, s VARCHAR(10)) WITH (connector = 'files', path = '%s');
		CREATE SOURCE p (id INT) WITH (connector = 'push')`, broker, filepath.Join(dir, "a.ndjson")))
	equal(t, "kafka", query(t, db, `SELECT * FROM k LIMIT 3`), "0", "1", "2")
	equal(t, "kafka, all", query(t, db, `SELECT COUNT(*), MAX(_offset) FROM k`), "10|9")
	session := db.NewSession()
	r, err := session.Query(t.Context(), `SELECT *, _file LIKE '%a.ndjson' AS f FROM f WHERE id > 0 ORDER BY id DESC LIMIT 5`)
	if err != nil {
		t.Fatal(err)
	}
	rows := int64(0)
	for r.Next() {
		rows += r.RecordBatch().NumRows()
	}
	r.Release()
	if r.Err() != nil || rows != 2 {
		t.Errorf("%d rows, %v", rows, r.Err())
	}
	if w := sessionWarnings(t, session); len(w) != 1 || !strings.Contains(w[0], "a value was left out: ") {
		t.Errorf("warnings %q", w)
	}
	refused(t, db, `SELECT * FROM p LIMIT 1`, sqlerror.CodeUnsupported, `source p is fed by the program.*SELECT from the table of a stream`)
}

// What a warning repeats of a record is text, whatever the record is.
func TestPeek_WarningsAreText(t *testing.T) {
	dir := t.TempDir()
	if err := os.WriteFile(filepath.Join(dir, "latin1.csv"), []byte("id,name\n1,M\xfcller\n2,ok\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	db := open(t, t.TempDir())
	mustExec(t, db, fmt.Sprintf(`CREATE SOURCE f (id INT, name VARCHAR(20)) WITH (connector = 'files', path = '%s', format = 'csv')`, dir))
	session := db.NewSession()
	r, err := session.Query(t.Context(), `SELECT * FROM f`)
	if err != nil {
		t.Fatal(err)
	}
	for r.Next() {
	}
	r.Release()
	if w := sessionWarnings(t, session); r.Err() != nil || len(w) != 1 || !strings.Contains(w[0], "found M\uFFFDller: not valid UTF-8") {
		t.Errorf("warnings %q, %v", w, r.Err())
	}
}

// A file with a view is a deployment too: it can be executed again.
func TestScript_ViewAgain(t *testing.T) {
	db := open(t, t.TempDir())
	run := func(text string) error { return db.Script(t.Context(), text, "init.sql") }
	const source = "CREATE SOURCE IF NOT EXISTS g (id INT) WITH (connector = 'datagen');\n"
	for _, text := range []string{"CREATE VIEW v AS SELECT id, 'a  b' AS x FROM g", "CREATE VIEW v AS\n  SELECT id, 'a  b' AS x FROM g", "CREATE OR REPLACE VIEW v AS SELECT id, 'a  b' AS x FROM g", "CREATE VIEW v AS SELECT id, 'a  b' AS x FROM g"} {
		if err := run(source + text); err != nil {
			t.Errorf("%s: %v", text, err)
		}
	}
	err := run(source + "CREATE VIEW v AS SELECT id, 'a b' AS x FROM g")
	if !sqlerror.HasCode(err, sqlerror.CodeConflict) || !strings.HasPrefix(err.Error(), "init.sql:2:1: view lake.v is defined differently") || !strings.Contains(err.Error(), "CREATE OR REPLACE VIEW") {
		t.Errorf("another view: %v", err)
	}
	refused(t, db, "CREATE VIEW v AS SELECT id, 'a  b' AS x FROM g", sqlerror.CodeExists, "view lake.v exists")
}

// A file in UTF-16 says so, rather than that its names or values are strange.
func TestFileInUTF16(t *testing.T) {
	dir := t.TempDir()
	name := filepath.Join(dir, "a.csv")
	if err := os.WriteFile(name, []byte("\xff\xfei\x00d\x00\n\x001\x00\n\x00"), 0o600); err != nil {
		t.Fatal(err)
	}
	db := open(t, t.TempDir())
	refused(t, db, fmt.Sprintf(`CREATE SOURCE f WITH (connector = 'files', path = '%s', format = 'csv')`, dir), sqlerror.CodeExternal, `source f: .*file a.csv: the file is text in UTF-16, and only UTF-8 is read`)
	mustExec(t, db, fmt.Sprintf(`CREATE SOURCE f (id INT) WITH (connector = 'files', path = '%s', format = 'csv'); CREATE STREAM s AS SELECT id FROM f`, dir))
	st := await(t, db, "s", func(st engine.StreamStatus) bool { return st.State == dataflow.Failed })
	if text := fmt.Sprint(st.Reason); !strings.Contains(text, "a.csv") || !strings.Contains(text, "UTF-16") || !strings.Contains(text, "iconv") {
		t.Errorf("the stream FAILED because of %s", text)
	}
	if err := os.WriteFile(name, []byte("id\n1\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	mustExec(t, db, `START STREAM s`)
	await(t, db, "s", func(st engine.StreamStatus) bool { return st.State == dataflow.Finished })
	if got := query(t, db, `SELECT id FROM s`); len(got) != 1 || got[0] != "1" {
		t.Errorf("rows %q", got)
	}
}

func sessionWarnings(t *testing.T, s *engine.Session) (messages []string) {
	t.Helper()
	r, err := s.Query(t.Context(), `SHOW WARNINGS`)
	if err != nil {
		t.Fatal(err)
	}
	defer r.Release()
	for r.Next() {
		for i := range int(r.RecordBatch().NumRows()) {
			messages = append(messages, r.RecordBatch().Column(2).ValueStr(i))
		}
	}
	return messages
}

// Another topic or path is another source: the streams' positions would mean
// nothing there.
func TestReplaceSource_AnotherIdentity(t *testing.T) {
	c := kafkaCluster(t, kfake.SeedTopics(1, "trips", "rides"))
	broker := c.ListenAddrs()[0]
	dir := t.TempDir()
	writeFile(t, filepath.Join(dir, "a.ndjson"), `{"id":1}`+"\n")
	writeFile(t, filepath.Join(dir, "b.ndjson"), `{"id":2}`+"\n")
	db := open(t, filepath.Join(dir, "data"))
	kafka := func(topic, more string) string {
		return fmt.Sprintf(`CREATE OR REPLACE SOURCE k (id INT%s) WITH (connector = 'kafka', brokers = '%s', topic = '%s')`, more, broker, topic)
	}
	files := func(name string) string {
		return fmt.Sprintf(`CREATE OR REPLACE SOURCE f (id INT) WITH (connector = 'files', path = '%s')`, filepath.Join(dir, name))
	}
	mustExec(t, db, kafka("rides", "")+";"+kafka("trips", "")+";"+files("b.ndjson")+";"+files("a.ndjson")+`;
		CREATE STREAM tk AS SELECT id FROM k; CREATE STREAM tf AS SELECT id FROM f`)
	refused(t, db, kafka("rides", ""), sqlerror.CodeConflict, `source k: option topic changes from "trips" to "rides".*create a source of another name`)
	refused(t, db, files("b.ndjson"), sqlerror.CodeConflict, `source f: option path changes from .*a.ndjson.*create a source of another name`)
	mustExec(t, db, kafka("trips", ", extra TEXT"))
	produce(t, broker, "trips", `{"id":7}`)
	mustExec(t, db, `FLUSH STREAM tk`)
	equal(t, "landed", query(t, db, `SELECT id FROM tk`), "7")
}

// Substitutions are made where an option is used and kept as they were written.
func TestOptions_Substitutions(t *testing.T) {
	dir := t.TempDir()
	t.Setenv("LEAT_TEST_DIR", dir)
	t.Setenv("LEAT_TEST_FORMAT", "json")
	writeFile(t, filepath.Join(dir, "key"), "hush-hush")
	writeFile(t, filepath.Join(dir, "in", "a.ndjson"), `{"id":1}`+"\n")
	db := open(t, filepath.Join(dir, "data"))
	mustExec(t, db, `
		CREATE SOURCE f (id INT) WITH (connector = 'files', path = '${env:LEAT_TEST_DIR}/in/*.ndjson', format = '${env:LEAT_TEST_FORMAT}', mode = 'once');
		CREATE SINK s WITH (connector = 's3', path = 'file://${env:LEAT_TEST_DIR}/lake', access_key_id = 'id', secret_access_key = '${file:`+filepath.Join(dir, "key")+`}');
		CREATE SINK plain WITH (connector = 's3', path = '${env:LEAT_TEST_DIR}/plain', secret_access_key = 'hush-hush');
		CREATE STREAM t INTO s AS SELECT id FROM f; CREATE STREAM p INTO plain AS SELECT id FROM f`)
	await(t, db, "t", func(st engine.StreamStatus) bool { return st.State == "FINISHED" })
	equal(t, "landed", query(t, db, `SELECT id FROM s.t`), "1")
	if _, err := os.Stat(filepath.Join(dir, "lake", "t")); err != nil {
		t.Error(err)
	}
	for _, statement := range []string{`SHOW CREATE SOURCE f`, `SHOW CREATE SINK s`, `SHOW CREATE SINK plain`, `SHOW SINKS`, `SELECT * FROM leat.sinks`} {
		got := strings.Join(query(t, db, statement), "\n")
		if strings.Contains(got, "hush") || strings.HasPrefix(statement, "SHOW CREATE") && !strings.Contains(got, "${env:LEAT_TEST_DIR}") {
			t.Errorf("%s: %s", statement, got)
		}
	}
	if got := query(t, db, `SHOW CREATE SINK plain`); !strings.Contains(got[0], "secret_access_key = '***'") {
		t.Errorf("%q", got)
	}
}

// The options of a running stream's sink change with the next file.
func TestAlterStream_ReachesTheSink(t *testing.T) {
	dir := t.TempDir()
	db, err := engine.Open(t.Context(), engine.Config{Dir: dir, Threads: 1})
	if err != nil {
		t.Fatal(err)
	}
	mustExec(t, db, `
		CREATE SOURCE src (id INT, s TEXT) WITH (connector = 'push', chunk_bytes = '200KB'); -- so that files are looked at between chunks
		CREATE STREAM t WITH (commit_interval = '1h', compression = 'none') AS SELECT id, s FROM src`)
	src, err := db.Source("src")
	if err != nil {
		t.Fatal(err)
	}
	files := func() string {
		t.Helper()
		before := query(t, db, `SELECT COUNT(*) FROM leat.files`)[0]
		for i := range 60 {
			if err := src.Send(t.Context(), fmt.Appendf(nil, `{"id":%d,"s":"%s"}`, i, strings.Repeat(fmt.Sprintf("%08d", i), 16<<10))); err != nil {
				t.Fatal(err)
			}
		}
		mustExec(t, db, `FLUSH STREAM t`)
		return before + " " + query(t, db, `SELECT COUNT(*) FROM leat.files`)[0]
	}
	if got := files(); got != "0 1" {
		t.Errorf("files before and after: %s", got)
	}
	mustExec(t, db, `ALTER STREAM t SET (target_file_size = '1MB', commit_interval = '2h')`)
	if got := files(); got == "1 2" {
		t.Errorf("files before and after: %s", got)
	}
	refused(t, db, `ALTER STREAM t SET (lanes = '2')`, sqlerror.CodeUnsupported, `option "lanes" cannot be changed while the stream exists.*CREATE OR REPLACE STREAM`)
	refused(t, db, `ALTER STREAM t SET (target_file_size = 'x')`, sqlerror.CodeBadOption, `target_file_size`)
	refused(t, db, `ALTER STREAM t SET (target_file_sise = '2MB')`, sqlerror.CodeUnknownOption, `target_file_size`)
	if err := db.Close(); err != nil {
		t.Fatal(err)
	}
	db = open(t, dir)
	equal(t, "after the restart", query(t, db, `SHOW CREATE STREAM t`),
		"t|CREATE STREAM t\nWITH (\n  commit_interval = '2h',\n  compression = 'none',\n  target_file_size = '1MB'\n)\nAS SELECT id, s FROM src")
}

// A stored stream that needs a Go function waits for it; so does one that reads
// a view which does.
func TestRegisterFunc_StoredStreamsWait(t *testing.T) {
	dir := t.TempDir()
	half := func(x float64) float64 { return x / 2 }
	db, err := engine.Open(t.Context(), engine.Config{Dir: dir})
	if err != nil {
		t.Fatal(err)
	}
	if err := db.RegisterFunc("half", half); err != nil {
		t.Fatal(err)
	}
	mustExec(t, db, `
		CREATE SOURCE src (id INT) WITH (connector = 'push');
		CREATE VIEW halves AS SELECT id, half(id) AS h FROM src;
		CREATE STREAM direct AS SELECT half(id) AS h FROM src;
		CREATE STREAM viewed AS SELECT h FROM halves;
		CREATE STREAM other AS SELECT id FROM src`)
	if err := db.Close(); err != nil {
		t.Fatal(err)
	}
	db = open(t, dir)
	for _, stream := range []string{"direct", "viewed"} {
		st, err := db.Status(stream)
		if err != nil || st.State != "FAILED" || !strings.Contains(fmt.Sprint(st.Reason), "unknown function half") || !strings.Contains(fmt.Sprint(st.Reason), "RegisterFunc") {
			t.Errorf("stream %s is %s: %v; %v", stream, st.State, st.Reason, err)
		}
	}
	await(t, db, "other", func(st engine.StreamStatus) bool { return st.State == "RUNNING" })
	if err := db.RegisterFunc("half", half); err != nil {
		t.Fatal(err)
	}
	for _, stream := range []string{"direct", "viewed"} {
		await(t, db, stream, func(st engine.StreamStatus) bool { return st.State == "RUNNING" })
	}
	src, err := db.Source("src")
	if err != nil {
		t.Fatal(err)
	}
	if err := src.Send(t.Context(), []byte(`{"id":3}`)); err != nil {
		t.Fatal(err)
	}
	mustExec(t, db, `FLUSH STREAM direct; FLUSH STREAM viewed`)
	equal(t, "landed", append(query(t, db, `SELECT h FROM direct`), query(t, db, `SELECT h FROM viewed`)...), "1.5", "1.5")
}

// What strict SQL would refuse is a warning of the query, and of the last one only.
func TestQuery_Warnings(t *testing.T) {
	db := open(t, t.TempDir())
	mustExec(t, db, `CREATE SOURCE src (id INT, s VARCHAR(20)) WITH (connector = 'push'); CREATE STREAM t AS SELECT id, s FROM src`)
	src, err := db.Source("src")
	if err != nil {
		t.Fatal(err)
	}
	if err := src.Send(t.Context(), []byte(`{"id":1,"s":"12"} {"id":2,"s":"12abc"} {"id":3,"s":"2026-02-30"}`)); err != nil {
		t.Fatal(err)
	}
	mustExec(t, db, `FLUSH STREAM t`)
	session := db.NewSession()
	f := func(statement string, want ...string) {
		t.Helper()
		if err := session.Exec(t.Context(), statement); err != nil {
			t.Fatalf("%s: %v", statement, err)
		}
		for range 2 { // asking changes nothing
			got := sessionWarnings(t, session)
			slices.Sort(got)
			equal(t, statement, got, want...)
		}
	}
	f(`SELECT CAST(s AS SIGNED) FROM t ORDER BY id`, "Truncated incorrect INTEGER value: '12abc'", "Truncated incorrect INTEGER value: '2026-02-30'")
	f(`SELECT id FROM t WHERE id = 3`)
	f(`SELECT CAST(s AS DATE) FROM t WHERE id = 3`, "Incorrect datetime value: '2026-02-30'")
	f(`SELECT CAST(s AS SIGNED) FROM t WHERE id = 1`)
	if err := session.Exec(t.Context(), `SET group_concat_max_len = 6`); err != nil {
		t.Fatal(err)
	}
	r, err := session.Query(t.Context(), `SELECT GROUP_CONCAT(s ORDER BY id) FROM t`)
	if err != nil {
		t.Fatal(err)
	}
	defer r.Release()
	if !r.Next() || r.RecordBatch().Column(0).ValueStr(0) != "12,12a" {
		t.Errorf("group_concat_max_len has no effect: %v", r.Err())
	}
}

// The engine starts though an object has a name that became a reserved one after it
// was made, and it is used and dropped as before.
func TestOpen_NameReservedSince(t *testing.T) {
	dir := t.TempDir()
	store, err := catalog.Open(filepath.Join(dir, "leat.db"))
	if err != nil {
		t.Fatal(err)
	}
	if err := store.Put(t.Context(), &catalog.Object{
		Kind: "sink", Name: "performance_schema", Definition: "CREATE SINK performance_schema WITH (connector = 's3', path = '" + t.TempDir() + "')",
	}); err != nil {
		t.Fatal(err)
	}
	if err := store.Close(); err != nil {
		t.Fatal(err)
	}
	db := open(t, dir)
	mustExec(t, db, "CREATE SOURCE g (id BIGINT) WITH (connector = 'datagen', rows = 3); CREATE STREAM s INTO performance_schema.t AS SELECT id FROM g")
	await(t, db, "s", func(st engine.StreamStatus) bool { return st.State == "FINISHED" })
	equal(t, "rows", query(t, db, "SELECT COUNT(*) FROM performance_schema.t"), "3")
	mustExec(t, db, "DROP STREAM s; DROP SINK performance_schema")
	equal(t, "version", query(t, db, "SELECT COUNT(*) FROM performance_schema.session_variables WHERE variable_name = 'version'"), "1")
	if err := db.Exec(t.Context(), "CREATE SINK performance_schema WITH (connector = 'blackhole')"); !sqlerror.HasCode(err, sqlerror.CodeSyntax) {
		t.Errorf("a reserved name: %v", err)
	}
}
