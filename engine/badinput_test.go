package engine_test

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"net"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"regexp"
	"strconv"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/johannesboyne/gofakes3"
	"github.com/johannesboyne/gofakes3/backend/s3mem"
	"github.com/twmb/franz-go/pkg/kfake"
	"github.com/twmb/franz-go/pkg/kgo"

	"github.com/leatdb/leat/engine"
	"github.com/leatdb/leat/engine/dataflow"
	"github.com/leatdb/leat/internal/services"
	"github.com/leatdb/leat/sql/sqlerror"
)

// patience bounds what a test waits for; nothing depends on its length.
const patience = 4 * time.Minute

// refused executes a statement that has to fail: with an error of the user's
// that has the code and matches pattern.
func refused(t *testing.T, db *engine.DB, statement string, code sqlerror.Code, pattern string) {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), patience)
	defer cancel()
	err := db.Exec(ctx, statement)
	if err == nil {
		t.Errorf("%s was accepted", statement)
		return
	}
	var e *engine.Error
	if !errors.As(err, &e) {
		t.Errorf("%s: %T %v is no engine.Error", statement, err, err)
		return
	}
	if e.Code != code || !regexp.MustCompile(pattern).MatchString(err.Error()) {
		t.Errorf("%s:\n  code %v, %v\n  want %v, %s", statement, e.Code, err, code, pattern)
	}
}

// await waits until a stream is as f says; it has to come to that.
func await(t *testing.T, db *engine.DB, stream string, f func(engine.StreamStatus) bool) engine.StreamStatus {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), patience)
	defer cancel()
	for {
		st, err := db.Status(stream)
		if err != nil {
			t.Fatal(err)
		}
		if f(st) {
			return st
		}
		select {
		case <-ctx.Done():
			t.Fatalf("stream %s is %s (%v), %+v", stream, st.State, st.Reason, st.Committed.Counters)
		case <-time.After(10 * time.Millisecond):
		}
	}
}

func kafkaCluster(t *testing.T, opts ...kfake.Opt) *kfake.Cluster {
	t.Helper()
	c, err := kfake.NewCluster(append([]kfake.Opt{kfake.NumBrokers(1)}, opts...)...)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(c.Close)
	return c
}

func produce(t *testing.T, broker, topic string, values ...string) {
	t.Helper()
	client, err := kgo.NewClient(kgo.SeedBrokers(broker))
	if err != nil {
		t.Fatal(err)
	}
	defer client.Close()
	for _, v := range values {
		if err := client.ProduceSync(t.Context(), &kgo.Record{Topic: topic, Value: []byte(v)}).FirstErr(); err != nil {
			t.Fatal(err)
		}
	}
}

// bucket serves the bucket "lake"; before may answer a request itself.
func bucket(t *testing.T, before func(w http.ResponseWriter, r *http.Request) bool) (endpoint string) {
	t.Helper()
	backend := s3mem.New()
	if err := backend.CreateBucket("lake"); err != nil {
		t.Fatal(err)
	}
	handler := gofakes3.New(backend).Server()
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if before == nil || !before(w, r) {
			handler.ServeHTTP(w, r)
		}
	}))
	t.Cleanup(server.Close)
	return server.URL
}

// What is wrong in a statement is named with its place and the way out, and
// nothing is left of it. testdata/slt has more of these.
func TestBadInput_Statements(t *testing.T) {
	db := open(t, t.TempDir())
	mustExec(t, db, `CREATE SOURCE clicks (id BIGINT, u VARCHAR(20), d DECIMAL(5,2)) WITH (connector = 'push')`)
	f := func(statement string, code sqlerror.Code, pattern string) {
		t.Helper()
		refused(t, db, statement, code, pattern)
	}
	f(`CREATE SOURCE x (id INT) WITH (connector = 'kafak')`, sqlerror.CodeUnknownOption, `line 1, column 44: .*"kafak" \(did you mean "kafka"\?\)`)
	f(`CREATE SINK x WITH (connector = 'gcs', path = '/x')`, sqlerror.CodeUnknownOption, `line 1, column 33: .*"gcs"`)
	f("CREATE SOURCE x (id INT)\nWITH (connector = 'push', framming = 'lines')", sqlerror.CodeUnknownOption, `line 2, column 27: .*framming.*framing`)
	f(`CREATE STREAM x WITH (comit_interval = '1s') AS SELECT id FROM clicks`, sqlerror.CodeUnknownOption, `comit_interval.*commit_interval`)
	f(`CREATE STREAM x AS SELECT idd FROM clicks`, sqlerror.CodeUnknownColumn, `line 1, column 27: unknown column idd \(did you mean id\?\)`)
	f("CREATE STREAM x AS\nSELECT id FROM clicks\nWHERE uu = 1", sqlerror.CodeUnknownColumn, `line 3, column 7: unknown column uu`)
	f(`CREATE STREAM x AS SELECT id FROM click`, sqlerror.CodeUnknownObject, `line 1, column 35: .*click.*did you mean clicks\?`)
	f(`CREATE SOURCE x (id BIGINTT) WITH (connector = 'push')`, sqlerror.CodeType, `line 1, column 21: .*BIGINTT.*BIGINT`)
	f(`CREATE SOURCE x (id DECIMAL(50,2)) WITH (connector = 'push')`, sqlerror.CodeType, `DECIMAL precision 50 is over 38`)
	f(`CREATE SOURCE x (id INT) WITH (connector = 'push', max_record_bytes = 'big')`, sqlerror.CodeBadOption, `line 1, column 71: .*max_record_bytes.*'?big`)
	f(`CREATE STREAM x WITH (lanes = 'many') AS SELECT id FROM clicks`, sqlerror.CodeBadOption, `line 1, column 31: .*lanes.*many`)
	f(`CREATE STREAM x AS SELECT DATE_FORMAT(id) AS f FROM clicks`, sqlerror.CodeType, `(?i)date_format`)

	mustExec(t, db, `CREATE VIEW a AS SELECT id FROM clicks; CREATE VIEW b AS SELECT id FROM a; CREATE VIEW c AS SELECT id FROM b`)
	f(`CREATE OR REPLACE VIEW a AS SELECT id FROM c`, sqlerror.CodeConflict, `view a would refer to itself: a → c → b → a`)
	f(`CREATE OR REPLACE VIEW a AS SELECT id FROM a`, sqlerror.CodeConflict, `view a would refer to itself: a → a`)
	mustExec(t, db, `CREATE VIEW id AS SELECT id FROM clicks; DROP VIEW id`) // a column is no view

	mustExec(t, db, `CREATE STREAM s AS SELECT id FROM c`)
	f(`DROP SOURCE clicks`, sqlerror.CodeInUse, `source clicks is used by stream s, view lake.a`)
	f(`DROP VIEW a`, sqlerror.CodeInUse, `view lake.a is used by stream s`)
	f(`DROP TABLE s`, sqlerror.CodeInUse, `table lake.s is written by stream s`)
	if got := query(t, db, `SELECT stream FROM leat.streams`); len(got) != 1 {
		t.Errorf("streams %q", got)
	}
	if got := query(t, db, `SELECT source FROM leat.sources`); len(got) != 1 {
		t.Errorf("sources %q", got)
	}
}

func TestBadInput_MissingTopic(t *testing.T) {
	c := kafkaCluster(t, kfake.SeedTopics(1, "trips"))
	db := open(t, t.TempDir())
	refused(t, db, fmt.Sprintf(`CREATE SOURCE x (id INT) WITH (connector = 'kafka', brokers = '%s', topic = 'trisp')`, c.ListenAddrs()[0]),
		sqlerror.CodeUnknownObject, `line 1, column 15: source x: topic trisp does not exist \(did you mean "trips"\?\)`)
	if got := query(t, db, `SHOW SOURCES`); len(got) != 0 {
		t.Errorf("sources %q", got)
	}
}

// The stream was STARTING for ever, and its positions were lost on the way.
func TestBadInput_StartFromNowhere(t *testing.T) {
	c := kafkaCluster(t, kfake.SeedTopics(1, "trips"))
	db := open(t, t.TempDir())
	mustExec(t, db, fmt.Sprintf(`CREATE SOURCE trips (id INT) WITH (connector = 'kafka', brokers = '%s', topic = 'trips');
		CREATE STREAM s AS SELECT id FROM trips; STOP STREAM s`, c.ListenAddrs()[0]))
	refused(t, db, `START STREAM s FROM 'ealiest'`, sqlerror.CodeBadOption, `^line 1, column 21: source trips: .*"ealiest" is no place to start \(did you mean "earliest"\?\)`)
	refused(t, db, `START STREAM s FROM '2026-13-01'`, sqlerror.CodeBadOption, `"2026-13-01" is no place to start`)
	if got := query(t, db, `SELECT state FROM leat.streams`); len(got) != 1 || got[0] != "STOPPED" {
		t.Errorf("state %q, want STOPPED", got)
	}
	mustExec(t, db, `START STREAM s FROM 'earliest'`)
}

// A stream that tailed the folder which it wrote to read its own rows for ever.
func TestBadInput_Loop(t *testing.T) {
	db := open(t, t.TempDir())
	dir := t.TempDir()
	for _, table := range []string{"t", "u"} {
		if err := os.MkdirAll(filepath.Join(dir, "hive", table), 0o755); err != nil {
			t.Fatal(err)
		}
	}
	mustExec(t, db, fmt.Sprintf(`CREATE SINK hive WITH (connector = 's3', path = '%[1]s/hive', table_format = 'hive', format = 'json');
		CREATE SOURCE above (id INT) WITH (connector = 'files', path = 'file://%[1]s', mode = 'tail');
		CREATE SOURCE within (id INT) WITH (connector = 'files', path = '%[1]s/hive/t/', mode = 'tail');
		CREATE SOURCE beside (id INT) WITH (connector = 'files', path = '%[1]s/hive/u', mode = 'tail');
		CREATE SOURCE flat (id INT) WITH (connector = 'files', path = '%[1]s', mode = 'tail', recursive = 'no');
		CREATE SOURCE itself (id INT) WITH (connector = 'files', path = '%[1]s/hive/t', mode = 'tail', recursive = 'no');
		CREATE SOURCE once (id INT) WITH (connector = 'files', path = '%[1]s', mode = 'once')`, dir))
	for _, source := range []string{"above", "within", "itself"} {
		refused(t, db, "CREATE STREAM s INTO hive.t AS SELECT id FROM "+source, sqlerror.CodeConflict,
			`^line 1, column 22: stream s: source `+source+` reads what the stream writes: .* \(write INTO another place, or read from one\)`)
	}
	mustExec(t, db, `CREATE STREAM a INTO hive.t AS SELECT id FROM beside; CREATE STREAM b INTO hive.t AS SELECT id FROM once; CREATE STREAM d INTO hive.t AS SELECT id FROM flat;
		CREATE STREAM c AS SELECT id FROM above`)
	refused(t, db, fmt.Sprintf(`CREATE OR REPLACE SOURCE flat (id INT) WITH (connector = 'files', path = '%s', mode = 'tail')`, dir), sqlerror.CodeConflict,
		`^re-bind stream d: line 1, column 26: stream d: source flat reads what the stream writes: .*`)
	mustExec(t, db, fmt.Sprintf(`CREATE SINK moved WITH (connector = 's3', path = '%[1]s/moved', table_format = 'hive', format = 'json');
		CREATE STREAM e INTO moved.t AS SELECT id FROM beside; STOP STREAM e;
		CREATE OR REPLACE SINK moved WITH (connector = 's3', path = '%[1]s/hive/u', table_format = 'hive', format = 'json')`, dir))
	refused(t, db, `START STREAM e`, sqlerror.CodeConflict, `^line 1, column 14: stream e: source beside reads what the stream writes: .*`)
}

// Two streams, or three, that tail what the other writes are a loop too; one after the
// other is none.
func TestBadInput_LoopOfStreams(t *testing.T) {
	db := open(t, t.TempDir())
	dir := t.TempDir()
	for _, table := range []string{"a", "b", "c"} {
		if err := os.MkdirAll(filepath.Join(dir, table), 0o755); err != nil {
			t.Fatal(err)
		}
	}
	mustExec(t, db, fmt.Sprintf(`CREATE SINK x WITH (connector = 's3', path = '%[1]s', table_format = 'hive', format = 'json');
		CREATE SOURCE a (id INT) WITH (connector = 'files', path = '%[1]s/a', mode = 'tail');
		CREATE SOURCE b (id INT) WITH (connector = 'files', path = '%[1]s/b', mode = 'tail');
		CREATE SOURCE c (id INT) WITH (connector = 'files', path = '%[1]s/c', mode = 'tail', recursive = 'no');
		CREATE STREAM ab INTO x.b AS SELECT id FROM a; CREATE STREAM bc INTO x.c AS SELECT id FROM b;
		CREATE STREAM ac INTO x.c AS SELECT id FROM a`, dir))
	refused(t, db, `CREATE STREAM ba INTO x.a AS SELECT id FROM b`, sqlerror.CodeConflict,
		`stream ba: source b reads what stream ab makes of what the stream writes: .* \(write INTO another place, or read from one; or STOP STREAM ab\)`)
	refused(t, db, `CREATE STREAM ca INTO x.a AS SELECT id FROM c`, sqlerror.CodeConflict, `source c reads what stream ac makes of what the stream writes`)
	mustExec(t, db, `DROP STREAM ac`)
	refused(t, db, `CREATE STREAM ca INTO x.a AS SELECT id FROM c`, sqlerror.CodeConflict, `source c reads what stream ab, then bc makes of what the stream writes`)
	mustExec(t, db, `STOP STREAM ab; CREATE STREAM ca INTO x.a AS SELECT id FROM c`)
	refused(t, db, `START STREAM ab`, sqlerror.CodeConflict, `^line 1, column 14: stream ab: source a reads what stream bc, then ca makes`)
	mustExec(t, db, `DROP STREAM ca; START STREAM ab`)
}

// A secret that moves a sink to what its stream reads says so when leat starts: the
// stream does not read its own rows.
func TestOpen_LoopBySecret(t *testing.T) {
	data, dir := t.TempDir(), t.TempDir()
	if err := os.MkdirAll(filepath.Join(dir, "in"), 0o755); err != nil {
		t.Fatal(err)
	}
	db, err := engine.Open(t.Context(), engine.Config{Dir: data, Threads: 2})
	if err != nil {
		t.Fatal(err)
	}
	mustExec(t, db, fmt.Sprintf(`CREATE SECRET place WITH (path = '%[1]s/out');
		CREATE SINK x WITH (connector = 's3', secret = 'place', table_format = 'hive', format = 'json');
		CREATE SOURCE tail (id INT) WITH (connector = 'files', path = '%[1]s/in', mode = 'tail');
		CREATE STREAM s INTO x.in AS SELECT id FROM tail;
		CREATE OR REPLACE SECRET place WITH (path = '%[1]s')`, dir))
	if err := db.Close(); err != nil {
		t.Fatal(err)
	}
	db = open(t, data)
	st, err := db.Status("s")
	if err != nil {
		t.Fatal(err)
	}
	if st.State != dataflow.Failed || st.Reason == nil || !strings.Contains(st.Reason.Error(), "source tail reads what the stream writes") {
		t.Errorf("state %s: %v", st.State, st.Reason)
	}
}

func TestBadInput_MissingBucket(t *testing.T) {
	endpoint := bucket(t, nil)
	db := open(t, t.TempDir())
	refused(t, db, fmt.Sprintf(`CREATE SINK x WITH (connector = 's3', path = 's3://lakke/w', endpoint = '%s', access_key_id = 'k', secret_access_key = 'hush-hush')`, endpoint),
		sqlerror.CodeUnknownObject, `line 1, column 13: sink x: .*bucket.*lakke`)
	refused(t, db, fmt.Sprintf(`CREATE SOURCE x (id INT) WITH (connector = 'files', path = 's3://lakke/w/', format = 'json', endpoint = '%s', access_key_id = 'k', secret_access_key = 'hush-hush')`, endpoint),
		sqlerror.CodeUnknownObject, `line 1, column 15: source x: .*bucket lakke does not exist: S3 ListObjectsV2: NoSuchBucket.*\(create the bucket, or correct path\)$`)
	if got := query(t, db, `SELECT source FROM leat.sources`); len(got) != 0 {
		t.Errorf("sources %q", got)
	}
	if got := query(t, db, `SELECT sink FROM leat.sinks`); len(got) != 1 || got[0] != "lake" {
		t.Errorf("sinks %q", got)
	}
}

// A sign that was not expected is named, not the word before it.
func TestBadInput_UnexpectedSign(t *testing.T) {
	db := open(t, t.TempDir())
	mustExec(t, db, `CREATE SOURCE g (id INT) WITH (connector = 'datagen')`)
	refused(t, db, "CREATE STREAM s AS\n  SELECT id +* 2 FROM g", sqlerror.CodeSyntax, `^line 2, column 14: syntax error near '\*'`)
	refused(t, db, "SELECT id, ) FROM g", sqlerror.CodeSyntax, `column 12: syntax error near '\)'`)
	refused(t, db, "SELECT id FRM g WHERE", sqlerror.CodeSyntax, `column 15: syntax error near 'g'`)
}

// What opening a sink finds is placed like what checking it finds.
func TestBadInput_SinkThatCannotBeOpened(t *testing.T) {
	db := open(t, t.TempDir())
	refused(t, db, `CREATE SINK x WITH (connector = 's3', path = '/tmp', catalog = 'rest', catalog_uri = 'http://127.0.0.1:1', oauth2_client_id = 'a')`,
		sqlerror.CodeBadOption, `^line 1, column 13: sink x: oauth2_client_id and oauth2_client_secret go together`)
}

// A stream whose rejected records would have no place says so before there are any.
func TestBadInput_MissingBucketBesideTheTable(t *testing.T) {
	endpoint := bucket(t, nil)
	db := open(t, t.TempDir())
	mustExec(t, db, fmt.Sprintf(`CREATE SOURCE g (id INT) WITH (connector = 'datagen'); CREATE SINK x WITH (connector = 's3', table_format = 'hive', path = 's3://lake/w', endpoint = '%s', access_key_id = 'k', secret_access_key = 's')`, endpoint))
	for _, option := range []string{"error_path", "backup"} {
		session := db.NewSession()
		if err := session.Exec(t.Context(), fmt.Sprintf(`CREATE STREAM %s INTO x.%[1]s WITH (%[1]s = 's3://lakke/%[1]s') AS SELECT id FROM g`, option)); err != nil {
			t.Fatal(err)
		}
		if notes := strings.Join(session.Notes(), "\n"); !strings.Contains(notes, "RETRYING") || !strings.Contains(notes, "option "+option) || !strings.Contains(notes, "bucket lakke does not exist") {
			t.Errorf("%s: notes %q", option, notes)
		}
	}
}

// A stream can be dropped when the buckets beside its table are gone.
func TestDropStream_BucketBesideTheTableIsGone(t *testing.T) {
	var gone atomic.Bool
	endpoint := bucket(t, func(w http.ResponseWriter, r *http.Request) bool {
		if !gone.Load() || !strings.HasPrefix(r.URL.Path, "/lake/beside") && !strings.HasPrefix(r.URL.Query().Get("prefix"), "beside") {
			return false
		}
		w.WriteHeader(http.StatusNotFound)
		_, _ = fmt.Fprint(w, `<Error><Code>NoSuchBucket</Code></Error>`)
		return true
	})
	db := open(t, t.TempDir())
	mustExec(t, db, fmt.Sprintf(`CREATE SOURCE p (id INT) WITH (connector = 'push');
		CREATE SINK x WITH (connector = 's3', table_format = 'hive', path = 's3://lake/w', endpoint = '%s', access_key_id = 'k', secret_access_key = 's');
		CREATE STREAM s INTO x WITH (backup = 's3://lake/beside') AS SELECT id FROM p;
		STOP STREAM s`, endpoint))
	gone.Store(true)
	mustExec(t, db, "DROP STREAM s")
}

// That a place beside the table exists is seen without writing to it, since it may
// be somebody else's, who counts what lies there.
func TestStream_LooksAtPlacesBesideTheTableOnly(t *testing.T) {
	var wrote atomic.Pointer[string]
	endpoint := bucket(t, func(_ http.ResponseWriter, r *http.Request) bool {
		if r.Method != http.MethodGet && strings.HasPrefix(r.URL.Path, "/lake/beside") {
			request := r.Method + " " + r.URL.Path
			wrote.Store(&request)
		}
		return false
	})
	db := open(t, t.TempDir())
	mustExec(t, db, fmt.Sprintf(`CREATE SOURCE p (id INT) WITH (connector = 'push');
		CREATE SINK x WITH (connector = 's3', table_format = 'hive', path = 's3://lake/w', endpoint = '%s', access_key_id = 'k', secret_access_key = 's');
		CREATE STREAM s INTO x WITH (error_path = 's3://lake/beside/e', backup = 's3://lake/beside/b') AS SELECT id FROM p;
		DROP STREAM s`, endpoint))
	if request := wrote.Load(); request != nil {
		t.Errorf("the stream sent %s", *request)
	}
}

// Without credentials the way to the bucket may be fine; the hint is not about it.
func TestBadInput_NoCredentials(t *testing.T) {
	t.Setenv("AWS_CONFIG_FILE", "/dev/null")
	t.Setenv("AWS_SHARED_CREDENTIALS_FILE", "/dev/null")
	t.Setenv("AWS_EC2_METADATA_DISABLED", "true")
	db := open(t, t.TempDir())
	for _, statement := range []string{
		`CREATE SINK x WITH (connector = 's3', path = 's3://lake/w', region = 'us-east-1')`,
		`CREATE SINK x WITH (connector = 's3', path = 's3://lake/w', region = 'us-east-1', table_format = 'hive', catalog = 'glue')`,
		`CREATE SOURCE x (id INT) WITH (connector = 'files', path = 's3://lake/w/', region = 'us-east-1', format = 'json')`,
		`CREATE SOURCE x (id INT) WITH (connector = 'kinesis', stream = 's', region = 'us-east-1', format = 'json')`,
	} {
		refused(t, db, statement, sqlerror.CodeAuth, `x: .*credentials.*\(.*give access_key_id and secret_access_key`)
	}
}

func TestBadInput_WrongCredentials(t *testing.T) {
	c := kafkaCluster(t, kfake.SeedTopics(1, "trips"), kfake.EnableSASL(), kfake.Superuser("PLAIN", "bob", "right"))
	endpoint := bucket(t, func(w http.ResponseWriter, r *http.Request) bool {
		if strings.Contains(r.Header.Get("Authorization"), "Credential=right/") {
			return false
		}
		w.WriteHeader(http.StatusForbidden)
		_, _ = fmt.Fprint(w, `<Error><Code>InvalidAccessKeyId</Code><Message>no such key</Message></Error>`)
		return true
	})
	db := open(t, t.TempDir())
	f := func(statement, pattern string) {
		t.Helper()
		refused(t, db, statement, sqlerror.CodeAuth, pattern)
		if err := db.Exec(t.Context(), statement); err != nil && strings.Contains(err.Error(), "hush-hush") {
			t.Errorf("the error tells the secret: %v", err)
		}
	}
	f(fmt.Sprintf(`CREATE SOURCE x (id INT) WITH (connector = 'kafka', brokers = '%s', topic = 'trips', security_protocol = 'sasl_plaintext', sasl_username = 'bob', sasl_password = 'hush-hush')`, c.ListenAddrs()[0]),
		`source x: .*check sasl_username, sasl_password`)
	f(fmt.Sprintf(`CREATE SINK x WITH (connector = 's3', path = 's3://lake/w', endpoint = '%s', access_key_id = 'wrong', secret_access_key = 'hush-hush')`, endpoint),
		`sink x: .*access_key_id`)
	mustExec(t, db, fmt.Sprintf(`CREATE SINK x WITH (connector = 's3', path = 's3://lake/w', endpoint = '%s', access_key_id = 'right', secret_access_key = 'hush-hush')`, endpoint))
}

// A broker that is away is waited for, at the start and later.
func TestBadInput_BrokerAway(t *testing.T) {
	addr := services.FreeAddresses(t, 1)[0]
	_, text, _ := net.SplitHostPort(addr)
	port, err := strconv.Atoi(text)
	if err != nil {
		t.Fatal(err)
	}
	dir := t.TempDir()
	start := func() *kfake.Cluster {
		return kafkaCluster(t, kfake.Ports(port), kfake.DataDir(filepath.Join(dir, "kafka")), kfake.SeedTopics(1, "trips"))
	}
	db := open(t, filepath.Join(dir, "data"))
	session := db.NewSession()
	if err := session.Exec(t.Context(), fmt.Sprintf(`CREATE SOURCE trips (id INT) WITH (connector = 'kafka', brokers = '%s', topic = 'trips', connect_timeout = '1s', fetch_max_wait = '10ms')`, addr)); err != nil {
		t.Fatal(err)
	}
	if notes := session.Notes(); len(notes) != 1 || !strings.HasPrefix(notes[0], "source trips cannot be reached now: ask the brokers") {
		t.Errorf("notes %q", notes)
	}
	mustExec(t, db, `CREATE STREAM t WITH (commit_interval = '50ms') AS SELECT id FROM trips`)
	retrying := func(st engine.StreamStatus) bool { return st.State == "RETRYING" }
	landed := func(n int64) func(engine.StreamStatus) bool {
		return func(st engine.StreamStatus) bool {
			return st.State == "RUNNING" && st.Committed.Counters.RowsLanded == n
		}
	}
	await(t, db, "t", retrying)
	if got := query(t, db, `SELECT state, because LIKE '%refused%', since IS NOT NULL FROM leat.streams`); len(got) != 1 || got[0] != "RETRYING|true|true" && got[0] != "RETRYING|1|1" {
		t.Errorf("SHOW STREAMS: %q, %q", got, query(t, db, `SHOW STREAMS`))
	}
	if !db.Ready() {
		t.Error("a stream that is retrying keeps the engine from being ready")
	}

	c := start()
	produce(t, addr, "trips", `{"id":1}`, `{"id":2}`)
	await(t, db, "t", landed(2))
	c.Close()
	await(t, db, "t", retrying)
	start()
	produce(t, addr, "trips", `{"id":3}`)
	await(t, db, "t", landed(3))
	if got := query(t, db, `SELECT id FROM t ORDER BY id`); strings.Join(got, " ") != "1 2 3" {
		t.Errorf("landed %q", got)
	}
}

// Records that cannot be landed are dead letters with exactly their bytes, and
// those around them land.
func TestBadInput_Records(t *testing.T) {
	db := open(t, t.TempDir())
	mustExec(t, db, `
		CREATE SOURCE src (id INT NOT NULL, s VARCHAR(400), j JSON) WITH (connector = 'push');
		CREATE STREAM t PARTITIONED BY (s) AS SELECT id, s, j FROM src;
		CREATE STREAM nothing WITH (dead_letter_limit = '0') AS SELECT id FROM src`)
	src, err := db.Source("src")
	if err != nil {
		t.Fatal(err)
	}
	deep := strings.Repeat("[", 1000) + strings.Repeat("]", 1000)
	large := `{"id":20,"j":"` + strings.Repeat("x", 20<<20) + `"}`
	payloads := []string{
		`{"id":1,"s":"fine"}`,
		"{\"id\":2,\"s\":\"\xff\xfe\"}",
		`{"id":3,"j":` + deep + `}`,
		`{"id":4,"s":"../../../etc/passwd"}`,
		`{"id":5,"s":""}`,
		`{"id":6,"s":"` + strings.Repeat("ü", 300) + `"}`,
		`{"id":7,"s":null}`,
		large,
		`{"id":8`,
		"\x00\x01\x02",
		`{"id":9,"s":"fine"}`,
	}
	for _, p := range payloads {
		if err := src.Send(t.Context(), []byte(p)); err != nil {
			t.Fatalf("send %.40s: %v", p, err)
		}
	}
	mustExec(t, db, `FLUSH STREAM t; FLUSH STREAM nothing`)
	if got := query(t, db, `SELECT id FROM t ORDER BY id`); strings.Join(got, " ") != "1 3 4 5 6 7 9" {
		t.Errorf("landed %q", got)
	}
	for where, want := range map[string]string{`= '../../../etc/passwd'`: "4", `= ''`: "5", `IS NULL`: "3 7", `LIKE 'ü%'`: "6"} {
		if got := query(t, db, `SELECT id FROM t WHERE s `+where+` ORDER BY id`); strings.Join(got, " ") != want {
			t.Errorf("s %s: %q, want %s", where, got, want)
		}
	}
	if got := query(t, db, `SELECT JSON_LENGTH(j), LENGTH(j) FROM t WHERE id = 3`); got[0] != "1|2000" {
		t.Errorf("deep JSON: %q", got)
	}
	outside, err := filepath.Glob(filepath.Join(db.Dir(), "..", "*"))
	if err != nil || len(outside) != 1 {
		t.Errorf("beside the data directory: %q, %v", outside, err)
	}

	r, err := db.Query(t.Context(), `SELECT raw FROM leat.dead_letters WHERE stream = 't'`)
	if err != nil {
		t.Fatal(err)
	}
	defer r.Release()
	letters := map[string]bool{}
	for r.Next() {
		for i := range int(r.RecordBatch().NumRows()) {
			letters[string(rawValue(r.RecordBatch().Column(0), i))] = true
		}
	}
	if r.Err() != nil {
		t.Fatal(r.Err())
	}
	for _, i := range []int{1, 7, 8, 9} {
		if !letters[payloads[i]] {
			t.Errorf("no dead letter has the bytes of payload %d, %.40q", i, payloads[i])
		}
	}
	if len(letters) != 4 {
		t.Errorf("%d dead letters", len(letters))
	}
	for _, stream := range []string{"t", "nothing"} {
		st := await(t, db, stream, func(st engine.StreamStatus) bool { return st.State == "RUNNING" })
		if c := st.Committed.Counters; c.RowsIn != int64(len(payloads)) || c.RowsIn+c.RowsExploded != c.RowsLanded+c.RowsFiltered+c.RowsDead {
			t.Errorf("stream %s: %+v", stream, c)
		}
	}
}

// The second stream is refused, the first goes on.
func TestBadInput_TwoStreamsOneTable(t *testing.T) {
	db := open(t, t.TempDir())
	mustExec(t, db, `
		CREATE SOURCE src (id INT NOT NULL, s VARCHAR(20), n DOUBLE) WITH (connector = 'push');
		CREATE STREAM a INTO lake.both PARTITIONED BY (s) AS SELECT id, s FROM src`)
	f := func(statement, pattern string) {
		t.Helper()
		refused(t, db, statement, sqlerror.CodeConflict, pattern)
	}
	f(`CREATE STREAM b INTO lake.both PARTITIONED BY (s) AS SELECT s AS id, s FROM src`, `stream b: .*column id.*INT.*VARCHAR`)
	f(`CREATE STREAM b INTO lake.both AS SELECT id, s FROM src`, `stream b: .*partition`)
	f(`CREATE STREAM b INTO lake.both PARTITIONED BY (s) AS SELECT id, s, n FROM src`, `stream b: .*column n is new.*stream a writes to that table`)
	mustExec(t, db, `CREATE STREAM b INTO lake.both PARTITIONED BY (s) AS SELECT id, s FROM src WHERE n > 1`)
	src, err := db.Source("src")
	if err != nil {
		t.Fatal(err)
	}
	if err := src.Send(t.Context(), []byte(`{"id":1,"s":"x","n":1.5} {"id":2,"s":"x","n":0}`)); err != nil {
		t.Fatal(err)
	}
	mustExec(t, db, `FLUSH STREAM a; FLUSH STREAM b`)
	if got := query(t, db, `SELECT id, COUNT(*) FROM lake.both GROUP BY id ORDER BY id`); strings.Join(got, " ") != "1|2 2|1" {
		t.Errorf("rows %q", got)
	}
}

func TestBadInput_OpenedTwice(t *testing.T) {
	dir := t.TempDir()
	locked := func(by string) {
		t.Helper()
		second, err := engine.Open(t.Context(), engine.Config{Dir: filepath.Join(dir, ".", "data")})
		if err == nil {
			second.Close()
			t.Fatal("it was opened twice")
		}
		if !sqlerror.HasCode(err, sqlerror.CodeLocked) || !strings.Contains(err.Error(), by) || !strings.Contains(err.Error(), dir) {
			t.Errorf("err=%v", err)
		}
	}
	db, err := engine.Open(t.Context(), engine.Config{Dir: filepath.Join(dir, "data")})
	if err != nil {
		t.Fatal(err)
	}
	locked("by this process")
	if err := db.Close(); err != nil {
		t.Fatal(err)
	}
	other, err := openProcess(filepath.Join(dir, "data"))
	if err != nil {
		t.Fatal(err)
	}
	locked("by another process")
	if err := other.Close(); err != nil {
		t.Fatal(err)
	}
	open(t, filepath.Join(dir, "data"))
}

func rawValue(c interface{ ValueStr(int) string }, i int) []byte {
	if b, ok := c.(interface{ Value(int) []byte }); ok {
		return bytes.Clone(b.Value(i))
	}
	return []byte(c.ValueStr(i))
}
