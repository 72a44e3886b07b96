package kafka_test

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/twmb/franz-go/pkg/kfake"
	"github.com/twmb/franz-go/pkg/kgo"
	"github.com/twmb/franz-go/pkg/kmsg"

	"github.com/leatdb/leat/connectors/format/schemaregistry/registrytest"
	"github.com/leatdb/leat/engine"
	"github.com/leatdb/leat/engine/kernel"
	"github.com/leatdb/leat/sql/sqlerror"
)

func openDB(t testing.TB, dir string) *engine.DB {
	t.Helper()
	db, err := engine.Open(t.Context(), engine.Config{Dir: dir, Threads: 2})
	if err != nil {
		t.Fatal(err)
	}
	return db
}

func closeDB(t testing.TB, db *engine.DB) {
	t.Helper()
	if err := db.Close(); err != nil {
		t.Errorf("close: %v", err)
	}
}

func exec(t testing.TB, db *engine.DB, text string) {
	t.Helper()
	if err := try(t, db, text); err != nil {
		t.Fatalf("%s: %v", text, err)
	}
}

func try(t testing.TB, db *engine.DB, text string) error {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), patience)
	defer cancel()
	return db.Exec(ctx, text)
}

// rows is what a query gives, columns separated by |.
func rows(t testing.TB, db *engine.DB, text string) (rows []string) {
	t.Helper()
	r, err := db.Query(t.Context(), text)
	if err != nil {
		t.Fatalf("%s: %v", text, err)
	}
	defer r.Release()
	for r.Next() {
		b := r.RecordBatch()
		for i := range int(b.NumRows()) {
			var cells []string
			for _, c := range b.Columns() {
				v := kernel.Value(c, i)
				if bytes, ok := v.([]byte); ok {
					v = string(bytes)
				}
				cells = append(cells, fmt.Sprint(v))
			}
			rows = append(rows, strings.Join(cells, "|"))
		}
	}
	if err := r.Err(); err != nil {
		t.Fatalf("%s: %v", text, err)
	}
	return rows
}

// committed reads what a reader with read_committed sees of a topic, up to n
// records.
func committed(t testing.TB, brokers []string, topic string, n int) []*kgo.Record {
	t.Helper()
	cl, err := kgo.NewClient(kgo.SeedBrokers(brokers...), kgo.ConsumeTopics(topic),
		kgo.ConsumeResetOffset(kgo.NewOffset().AtStart()), kgo.FetchIsolationLevel(kgo.ReadCommitted()), kgo.FetchMaxWait(50*time.Millisecond))
	if err != nil {
		t.Fatal(err)
	}
	defer cl.Close()
	ctx, cancel := context.WithTimeout(t.Context(), patience)
	defer cancel()
	var all []*kgo.Record
	for len(all) < n && ctx.Err() == nil {
		fetches := cl.PollFetches(ctx)
		fetches.EachRecord(func(r *kgo.Record) { all = append(all, r) })
	}
	// One record too many would show here.
	short, cancelShort := context.WithTimeout(t.Context(), 200*time.Millisecond)
	defer cancelShort()
	cl.PollFetches(short).EachRecord(func(r *kgo.Record) { all = append(all, r) })
	return all
}

// send writes values to a topic of the source's.
func send(t testing.TB, c *kfake.Cluster, topic string, values ...string) {
	t.Helper()
	cl := client(t, c, kgo.RecordPartitioner(kgo.RoundRobinPartitioner()))
	for _, v := range values {
		if err := cl.ProduceSync(t.Context(), &kgo.Record{Topic: topic, Value: []byte(v)}).FirstErr(); err != nil {
			t.Fatal(err)
		}
	}
}

func value(i int) string {
	return fmt.Sprintf(`{"id":%d,"who":"u%d","fare":"%d.50","at":"2026-07-01T09:15:02.123Z","day":"2026-07-01","j":{"a": [1, "x\"y"]},"b":"aGk=","ok":true}`, i, i%7, i)
}

func setUp(t testing.TB, c *kfake.Cluster, db *engine.DB, more string) {
	t.Helper()
	brokers := strings.Join(c.ListenAddrs(), ",")
	exec(t, db, fmt.Sprintf(`CREATE SOURCE trips (id BIGINT, who VARCHAR(20), fare DECIMAL(10,2), at TIMESTAMP(3), day DATE, j JSON, b VARBINARY(20), ok BOOLEAN)
		WITH (connector = 'kafka', brokers = '%s', topic = 'trips', discovery_interval = '50ms')`, brokers))
	exec(t, db, fmt.Sprintf(`CREATE SINK k WITH (connector = 'kafka', brokers = '%s' %s)`, brokers, more))
}

// The whole way: a topic made of another, exactly once, through a restart.
func TestSink_Engine(t *testing.T) {
	c := cluster(t, kfake.SeedTopics(3, "trips", "out"))
	dir := filepath.Join(t.TempDir(), "data")
	db := openDB(t, dir)
	setUp(t, c, db, "")
	for i := range 50 {
		send(t, c, "trips", value(i))
	}
	send(t, c, "trips", `{"id":`)
	exec(t, db, `CREATE STREAM s INTO k.out WITH (key = 'who', headers = 'ok', timestamp = 'at', commit_interval = '20ms')
		AS SELECT id, who, fare, at, day, j, b, ok, CAST(NULL AS CHAR) AS n FROM trips WHERE id <> 3`)
	exec(t, db, "FLUSH STREAM s")
	got := committed(t, c.ListenAddrs(), "out", 49)
	if len(got) != 49 {
		t.Fatalf("%d records", len(got))
	}
	i := slices.IndexFunc(got, func(r *kgo.Record) bool { return strings.Contains(string(r.Value), `"id":8,`) })
	r := got[i]
	want := `{"id":8,"who":"u1","fare":8.50,"at":"2026-07-01T09:15:02.123Z","day":"2026-07-01","j":{"a": [1, "x\"y"]},"b":"YUdrPQ==","n":null}`
	if string(r.Value) != want && string(r.Value) != strings.Replace(want, "YUdrPQ==", "aGk=", 1) {
		t.Errorf("value %s", r.Value)
	}
	if string(r.Key) != "u1" || len(r.Headers) != 1 || r.Headers[0].Key != "ok" || string(r.Headers[0].Value) != "true" || r.Timestamp.UnixMilli() != 1782897302123 {
		t.Errorf("key %s, headers %v, timestamp %v", r.Key, r.Headers, r.Timestamp)
	}
	if got := rows(t, db, "SELECT stream, error_class, raw FROM leat.dead_letters"); !slices.Equal(got, []string{`s|decode|{"id":`}) {
		t.Errorf("dead letters %q", got)
	}
	if got := rows(t, db, "SELECT rows_in, rows_landed, rows_filtered, rows_dead FROM leat.stream_metrics"); !slices.Equal(got, []string{"51|49|1|1"}) {
		t.Errorf("metrics %q", got)
	}
	closeDB(t, db)
	for i := 50; i < 80; i++ {
		send(t, c, "trips", value(i))
	}
	db = openDB(t, dir)
	exec(t, db, "FLUSH STREAM s")
	wantIDs(t, committed(t, c.ListenAddrs(), "out", 79), 80, 3)

	// The query changes, the positions stay.
	exec(t, db, `CREATE OR REPLACE STREAM s INTO k.out WITH (key = 'CONCAT(who, ''!'')', decimals = 'string') AS SELECT id, fare FROM trips`)
	send(t, c, "trips", value(80))
	exec(t, db, "FLUSH STREAM s")
	all := committed(t, c.ListenAddrs(), "out", 80)
	wantIDs(t, all, 81, 3)
	i = slices.IndexFunc(all, func(r *kgo.Record) bool { return strings.Contains(string(r.Value), `"id":80,`) })
	if string(all[i].Value) != `{"id":80,"fare":"80.50"}` || string(all[i].Key) != "u3!" {
		t.Errorf("%s: %s", all[i].Key, all[i].Value)
	}

	// Dropped and created anew it begins at the beginning.
	exec(t, db, "DROP STREAM s")
	exec(t, db, `CREATE STREAM s INTO k.out AS SELECT id FROM trips WHERE id >= 80`)
	exec(t, db, "FLUSH STREAM s")
	if n := len(committed(t, c.ListenAddrs(), "out", 81)); n != 81 {
		t.Errorf("%d records", n)
	}
	if got := rows(t, db, "SELECT stream, table_format FROM leat.streams JOIN leat.sinks ON sink = 'k'"); len(got) != 1 {
		t.Errorf("%q", got)
	}
	closeDB(t, db)
}

// A stream that was stopped long ago has its counters after a restart, however many
// states others have committed since: they were NULL.
func TestSink_StoppedLongAgo(t *testing.T) {
	c := cluster(t, kfake.SeedTopics(1, "trips", "out"))
	dir := filepath.Join(t.TempDir(), "data")
	db := openDB(t, dir)
	setUp(t, c, db, "")
	send(t, c, "trips", value(0), value(1))
	exec(t, db, `CREATE STREAM s INTO k.out AS SELECT id FROM trips; FLUSH STREAM s; STOP STREAM s`)
	closeDB(t, db)
	cl := client(t, c)
	others := make([]*kgo.Record, 10_001)
	for i := range others {
		others[i] = &kgo.Record{Topic: "__leat_positions", Key: []byte("leat-other")}
	}
	if err := cl.ProduceSync(t.Context(), others...).FirstErr(); err != nil {
		t.Fatal(err)
	}
	db = openDB(t, dir)
	defer closeDB(t, db)
	deadline := time.Now().Add(patience)
	for {
		got := rows(t, db, "SELECT state, rows_landed FROM leat.streams")
		if slices.Equal(got, []string{"STOPPED|2"}) {
			break
		}
		if time.Now().After(deadline) {
			t.Fatalf("%q", got)
		}
	}
}

// wantIDs checks that the records have every id below n once, but one.
func wantIDs(t testing.TB, records []*kgo.Record, n, without int) {
	t.Helper()
	times := map[int]int{}
	for _, r := range records {
		var v struct{ ID int }
		if err := json.Unmarshal(r.Value, &v); err != nil {
			t.Fatalf("%s: %v", r.Value, err)
		}
		times[v.ID]++
	}
	for id := range n {
		if want := 1; id != without && times[id] != want || id == without && times[id] != 0 {
			t.Errorf("id %d: %d times", id, times[id])
		}
	}
	if len(times) > n {
		t.Errorf("%d ids", len(times))
	}
}

func TestSink_Refuses(t *testing.T) {
	c := cluster(t, kfake.SeedTopics(1, "trips", "out"))
	db := openDB(t, filepath.Join(t.TempDir(), "data"))
	defer closeDB(t, db)
	setUp(t, c, db, "")
	f := func(statement string, code sqlerror.Code, text string) {
		t.Helper()
		err := try(t, db, statement)
		if !sqlerror.HasCode(err, code) || !strings.Contains(err.Error(), text) {
			t.Errorf("%s: %v", statement, err)
		}
	}
	f("CREATE STREAM s INTO k.outt AS SELECT id FROM trips", sqlerror.CodeUnknownObject, "topic outt does not exist")
	f("CREATE STREAM s INTO k.trips AS SELECT id FROM trips", sqlerror.CodeConflict, "source trips reads what the stream writes")
	f("CREATE STREAM s INTO k.out PARTITIONED BY (id) AS SELECT id FROM trips", sqlerror.CodeUnsupported, "PARTITIONED BY is for tables")
	f("CREATE STREAM s INTO k.out WITH (key = 'whoo') AS SELECT id FROM trips", sqlerror.CodeUnknownColumn, "unknown column whoo in option key")
	f("CREATE STREAM s INTO k.out WITH (key = 'who +') AS SELECT id FROM trips", sqlerror.CodeSyntax, "")
	f("CREATE STREAM s INTO k.out WITH (headers = 'idd') AS SELECT id FROM trips", sqlerror.CodeUnknownColumn, "unknown column idd")
	f("CREATE STREAM s INTO k.out WITH (timestamp = 'id') AS SELECT id FROM trips", sqlerror.CodeType, "BIGINT")
	f("CREATE STREAM s INTO k.out WITH (commit_interval = '1m') AS SELECT id FROM trips", sqlerror.CodeBadOption, "transaction_timeout")
	exec(t, db, "CREATE SINK p WITH (connector = 'kafka', positions_topic = 'kept', brokers = '"+strings.Join(c.ListenAddrs(), ",")+"')")
	f("CREATE STREAM s INTO p.kept AS SELECT id FROM trips", sqlerror.CodeConflict, "keeps positions")
	f("CREATE SINK q WITH (connector = 'kafka', brokers = 'localhost:1', compresion = 'lz4')", sqlerror.CodeUnknownOption, "compresion")
	f("SELECT * FROM k.out", sqlerror.CodeUnknownObject, "")
	exec(t, db, "CREATE SINK made WITH (connector = 'kafka', brokers = '"+strings.Join(c.ListenAddrs(), ",")+"', create_topics = 'true', topic_partitions = 2)")
	exec(t, db, "CREATE STREAM s INTO made.fresh AS SELECT id FROM trips")
	send(t, c, "trips", value(1))
	exec(t, db, "FLUSH STREAM s")
	wantIDs(t, committed(t, c.ListenAddrs(), "fresh", 1), 2, 0)
}

func TestSink_TooLarge(t *testing.T) {
	c := cluster(t, kfake.SeedTopics(1, "trips", "out"))
	db := openDB(t, filepath.Join(t.TempDir(), "data"))
	defer closeDB(t, db)
	setUp(t, c, db, "")
	exec(t, db, "CREATE STREAM s INTO k.out WITH (max_message_bytes = '2kB', key = 'id') AS SELECT id, who, j FROM trips")
	for i, n := range []int{10, 1700, 3000, 20} {
		send(t, c, "trips", `{"id":`+strconv.Itoa(i)+`,"j":"`+strings.Repeat("x", n)+`"}`)
	}
	exec(t, db, "FLUSH STREAM s")
	wantIDs(t, committed(t, c.ListenAddrs(), "out", 3), 4, 2)
	if got := rows(t, db, "SELECT error_class, error_message FROM leat.dead_letters"); len(got) != 1 || !strings.HasPrefix(got[0], "too_large|the record has 3") {
		t.Errorf("dead letters %q", got)
	}
}

// A second instance takes the stream over; the first is fenced and stays so.
func TestSink_Fenced(t *testing.T) {
	c := cluster(t, kfake.SeedTopics(2, "trips", "out"))
	first := openDB(t, filepath.Join(t.TempDir(), "first"))
	defer closeDB(t, first)
	second := openDB(t, filepath.Join(t.TempDir(), "second"))
	defer closeDB(t, second)
	const create = "CREATE STREAM s INTO k.out WITH (commit_interval = '20ms') AS SELECT id FROM trips"
	setUp(t, c, first, "")
	setUp(t, c, second, "")
	exec(t, first, create)
	for i := range 20 {
		send(t, c, "trips", value(i))
	}
	exec(t, first, "FLUSH STREAM s")
	exec(t, second, create)
	for i := 20; i < 40; i++ {
		send(t, c, "trips", value(i))
	}
	exec(t, second, "FLUSH STREAM s")
	deadline := time.Now().Add(patience)
	for rows(t, first, "SELECT state FROM leat.streams")[0] != "FENCED" {
		if time.Now().After(deadline) {
			t.Fatalf("first is %q", rows(t, first, "SELECT state, because FROM leat.streams"))
		}
		<-time.After(20 * time.Millisecond)
	}
	exec(t, second, "FLUSH STREAM s")
	wantIDs(t, committed(t, c.ListenAddrs(), "out", 40), 40, -1)
}

// Whatever the cluster does with a commit, its rows are there once.
func TestSink_Faults(t *testing.T) {
	c := cluster(t, kfake.SeedTopics(3, "trips", "out"))
	var calls atomic.Int64
	// Every so often a connection is cut instead of an answer, or the broker says
	// what it says when it is moving.
	for _, key := range []kmsg.Key{kmsg.EndTxn, kmsg.Produce, kmsg.AddPartitionsToTxn, kmsg.InitProducerID} {
		c.ControlKey(int16(key), func(kmsg.Request) (kmsg.Response, error, bool) {
			c.KeepControl()
			if calls.Add(1)%7 == 0 {
				return nil, errors.New("cut"), true
			}
			return nil, nil, false
		})
	}
	db := openDB(t, filepath.Join(t.TempDir(), "data"))
	defer closeDB(t, db)
	setUp(t, c, db, "")
	exec(t, db, "CREATE STREAM s INTO k.out WITH (key = 'id', commit_interval = '10ms') AS SELECT id FROM trips")
	const n = 200
	source := client(t, c, kgo.RecordPartitioner(kgo.RoundRobinPartitioner()))
	for i := 0; i < n; i += 25 {
		var records []*kgo.Record
		for id := i; id < i+25; id++ {
			records = append(records, &kgo.Record{Topic: "trips", Value: []byte(value(id))})
		}
		if err := source.ProduceSync(t.Context(), records...).FirstErr(); err != nil {
			t.Fatal(err)
		}
		exec(t, db, "FLUSH STREAM s")
	}
	exec(t, db, "FLUSH STREAM s")
	wantIDs(t, committed(t, c.ListenAddrs(), "out", n), n, -1)
}

// Dead letters of a stream into a topic are in the embedded lake, and are read
// again from there: their records come into the topic once.
func TestSink_Replay(t *testing.T) {
	c := cluster(t, kfake.SeedTopics(1, "trips", "out"))
	dir := filepath.Join(t.TempDir(), "data")
	db := openDB(t, dir)
	setUp(t, c, db, "")
	send(t, c, "trips", `{"id":1}`, `{"id":0,"who":"a"}`, `{"id":0,"who":"b"}`, `{"id":2}`)
	const stream = `STREAM s INTO k.out WITH (commit_interval = '20ms') AS SELECT id, who, 10 DIV %s AS part, _offset AS at FROM trips`
	exec(t, db, "CREATE "+fmt.Sprintf(stream, "id"))
	exec(t, db, "FLUSH STREAM s")
	committed(t, c.ListenAddrs(), "out", 2)
	exec(t, db, "CREATE OR REPLACE "+fmt.Sprintf(stream, "NULLIF(id, 0)"))
	exec(t, db, "REPLAY DEAD_LETTERS FOR STREAM s WHERE raw LIKE '%b%'")
	closeDB(t, db)
	db = openDB(t, dir)
	exec(t, db, "REPLAY DEAD_LETTERS FOR STREAM s")
	exec(t, db, "FLUSH STREAM s")
	var got []string
	for _, r := range committed(t, c.ListenAddrs(), "out", 4) {
		got = append(got, string(r.Value))
	}
	slices.Sort(got)
	want := []string{
		`{"id":0,"who":"a","part":null,"at":1}`, `{"id":0,"who":"b","part":null,"at":2}`,
		`{"id":1,"who":null,"part":10,"at":0}`, `{"id":2,"who":null,"part":5,"at":3}`,
	}
	if !slices.Equal(got, want) {
		t.Errorf("topic %q, want %q", got, want)
	}
	if got := rows(t, db, "SELECT COUNT(*), COUNT(replay) FROM leat.dead_letters"); !slices.Equal(got, []string{"2|2"}) {
		t.Errorf("letters %q", got)
	}
	if got := rows(t, db, "SELECT rows_in, rows_landed, rows_dead, rows_replayed FROM leat.stream_metrics"); !slices.Equal(got, []string{"6|4|2|2"}) {
		t.Errorf("metrics %q", got)
	}
	closeDB(t, db)
}

// Records in Avro are read back by what a reader of the registry's wire format
// knows: here leat's own source, whose decoder is compared with another elsewhere.
func TestSink_Avro(t *testing.T) {
	c := cluster(t, kfake.SeedTopics(1, "trips", "out"))
	registry := registrytest.Start(t)
	db := openDB(t, filepath.Join(t.TempDir(), "data"))
	defer closeDB(t, db)
	setUp(t, c, db, ", format = 'avro', schema_registry = '"+registry.URL+"'")
	exec(t, db, `CREATE STREAM s INTO k.out WITH (key = 'who', headers = 'ok') AS
		SELECT id, who, fare, at, day, j, b, ok, id / 2 AS half, CAST(NULL AS SIGNED) AS n, CAST(fare * 10000000000000000 AS DECIMAL(38, 6)) AS wide, TIME('10:00:00.5') AS clock FROM trips`)
	for i := range 20 {
		send(t, c, "trips", value(i))
	}
	exec(t, db, "FLUSH STREAM s")
	exec(t, db, fmt.Sprintf(`CREATE SOURCE back (id BIGINT, who TEXT, fare DECIMAL(10,2), at TIMESTAMP(3), day DATE, j JSON, b VARBINARY(20), half DECIMAL(20,4), n BIGINT, wide DECIMAL(38,6), clock TIME(6))
		WITH (connector = 'kafka', brokers = '%s', topic = 'out', format = 'avro', schema_registry = '%s')`, strings.Join(c.ListenAddrs(), ","), registry.URL))
	exec(t, db, "CREATE STREAM landed AS SELECT *, _key FROM back")
	exec(t, db, "CREATE STREAM original AS SELECT id, who, fare, at, day, j, b FROM trips")
	exec(t, db, "FLUSH STREAM landed")
	exec(t, db, "FLUSH STREAM original")
	got := rows(t, db, "SELECT id, who, fare, at, day, j, b FROM lake.landed ORDER BY id")
	if want := rows(t, db, "SELECT id, who, fare, at, day, j, b FROM lake.original ORDER BY id"); len(got) != 20 || !slices.Equal(got, want) {
		t.Errorf("%q, want %q; dead letters %q", got, want, rows(t, db, "SELECT error_message FROM leat.dead_letters"))
	}
	if got := rows(t, db, "SELECT CAST(half AS CHAR), n IS NULL, CAST(wide AS CHAR), CAST(clock AS CHAR), _key FROM lake.landed WHERE id = 7"); !slices.Equal(got, []string{"3.5000|true|75000000000000000.000000|10:00:00.500000|u0"}) {
		t.Errorf("%q", got)
	}
	if err := try(t, db, "CREATE STREAM bad INTO k.out AS SELECT id AS `a-b` FROM trips"); !sqlerror.HasCode(err, sqlerror.CodeUnsupported) {
		t.Errorf("err=%v", err)
	}
}
