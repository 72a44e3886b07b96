package kinesis_test

import (
	"encoding/json"
	"fmt"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/leatdb/leat/connectors/kinesis/kinesistest"
	"github.com/leatdb/leat/engine"
	"github.com/leatdb/leat/sql/sqlerror"
)

// sinkSetUp makes a source of pushed events and a sink.
func sinkSetUp(t testing.TB, s *kinesistest.Server, db *engine.DB, more string) {
	t.Helper()
	statement(t, db, "CREATE SOURCE trips (id BIGINT, who VARCHAR(500), tags JSON) WITH (connector = 'kinesis', stream = 'trips', region = '"+kinesistest.Region+"', endpoint = '"+s.URL()+"', access_key_id = 'AKID', secret_access_key = 'SECRET', poll_interval = '5ms', shard_calls_per_second = 1000, discovery_interval = '20ms')")
	statement(t, db, "CREATE SINK k WITH (connector = 'kinesis', region = '"+kinesistest.Region+"', endpoint = '"+s.URL()+"', access_key_id = 'AKID', secret_access_key = 'SECRET' "+more+")")
}

// landed is a record that the sink wrote.
type landed struct {
	ID   string `json:"_id"`
	N    int    `json:"id"`
	Who  string `json:"who"`
	Tag  string `json:"tag"`
	key  string
	text string
}

// distinct leaves out what came twice, by id, and fails where an id means two
// things, or where a key's rows are out of order.
func distinct(t testing.TB, s *kinesistest.Server, stream string) (rows []landed, repeats int) {
	t.Helper()
	seen := map[string]string{}
	last := map[string]int{}
	for _, r := range s.Records(stream) {
		l := landed{key: r.PartitionKey, text: string(r.Data)}
		if err := json.Unmarshal(r.Data, &l); err != nil {
			t.Fatalf("%s: %v", r.Data, err)
		}
		if text, ok := seen[l.ID]; ok {
			repeats++
			if text != l.text {
				t.Errorf("id %s is of %s and of %s", l.ID, text, l.text)
			}
			continue
		}
		seen[l.ID] = l.text
		if l.N < last[l.key] {
			t.Errorf("%s: %d after %d", l.key, l.N, last[l.key])
		}
		last[l.key] = l.N
		rows = append(rows, l)
	}
	return rows, repeats
}

func wantLanded(t testing.TB, rows []landed, n int) {
	t.Helper()
	var got []int
	for _, r := range rows {
		got = append(got, r.N)
	}
	slices.Sort(got)
	want := make([]int, n)
	for i := range want {
		want[i] = i
	}
	if !slices.Equal(got, want) {
		t.Errorf("%d rows, want %d", len(got), n)
	}
}

// The whole way, while the service refuses one record of twelve, fails calls and
// cuts connections, and over a restart.
func TestSink_Engine(t *testing.T) {
	s := server(t)
	s.CreateStream("trips", 1)
	s.CreateStream("out", 3)
	var mu sync.Mutex
	asked := 0
	s.RefuseRecords(func(string) string {
		mu.Lock()
		defer mu.Unlock()
		if asked++; asked%12 == 0 {
			return "ProvisionedThroughputExceededException"
		}
		return ""
	})
	s.Inject(kinesistest.Fault{Operation: "PutRecords", Every: 5, Times: 10, Code: "ProvisionedThroughputExceededException"})
	s.Inject(kinesistest.Fault{Operation: "PutRecords", Every: 7, Times: 10, Cut: true})
	dir := filepath.Join(t.TempDir(), "data")
	db := openEngine(t, dir)
	sinkSetUp(t, s, db, "")
	written := 0
	write := func(n int) {
		for range n {
			s.Put("trips", "x", []byte(fmt.Sprintf(`{"id":%d,"who":"u%d"}`, written, written%7)))
			written++
		}
	}
	write(200)
	s.Put("trips", "x", []byte(`{"id":`))
	statement(t, db, "CREATE STREAM landed INTO k.out WITH (partition_key = 'who', commit_interval = '50ms', lanes = 2) AS SELECT id, who FROM trips")
	statement(t, db, "FLUSH STREAM landed")
	if err := db.Close(); err != nil {
		t.Fatal(err)
	}
	write(200)
	db = openEngine(t, dir)
	defer func() {
		if err := db.Close(); err != nil {
			t.Error(err)
		}
	}()
	statement(t, db, "FLUSH STREAM landed")
	got, _ := distinct(t, s, "out")
	wantLanded(t, got, written)
	if r := got[0]; r.key != r.Who || !strings.HasPrefix(r.ID, "landed-") || !strings.Contains(r.ID, "/shardId-000000000000@49") {
		t.Errorf("record %+v", r)
	}
	if got := rows(t, db, "SELECT rows_in, rows_landed, rows_dead FROM leat.stream_metrics"); got[0] != fmt.Sprintf("%d|%d|1", written+1, written) {
		t.Errorf("metrics %q", got)
	}
	if got := rows(t, db, "SELECT stream, error_class FROM leat.dead_letters"); !slices.Equal(got, []string{"landed|decode"}) {
		t.Errorf("dead letters %q", got)
	}
	statement(t, db, "DROP STREAM landed")
}

// What is sent again has the ids that it had.
func TestSink_IDs(t *testing.T) {
	s := server(t)
	s.CreateStream("trips", 1)
	s.CreateStream("out", 1)
	dir := filepath.Join(t.TempDir(), "data")
	db := openEngine(t, dir)
	sinkSetUp(t, s, db, "")
	for i := range 5 {
		s.Put("trips", "x", []byte(fmt.Sprintf(`{"id":%d,"who":"u","tags":["a","b"]}{"id":%d,"who":"u","tags":["c"]}`, 2*i, 2*i+1)))
	}
	statement(t, db, "CREATE STREAM s INTO k.out WITH (commit_interval = '1h') AS SELECT id, who, tag FROM trips, UNNEST(tags) AS g(tag VARCHAR(5))")
	wait := func(n int) {
		deadline := time.Now().Add(patience)
		for len(s.Records("out")) < n {
			if time.Now().After(deadline) {
				t.Fatalf("%d records of %d: %q", len(s.Records("out")), n, rows(t, db, "SELECT state, because FROM leat.streams"))
			}
			<-time.After(5 * time.Millisecond)
		}
	}
	wait(15)
	statement(t, db, "STOP STREAM s")
	statement(t, db, "START STREAM s FROM 'earliest'")
	wait(30)
	got, repeats := distinct(t, s, "out")
	if len(got) != 15 || repeats != 15 {
		t.Errorf("%d rows, %d repeats", len(got), repeats)
	}
	var tags []string
	for _, r := range got[:3] {
		tags = append(tags, r.Tag+strconv.FormatBool(strings.HasSuffix(r.ID, "#1")))
	}
	if !slices.Equal(tags, []string{"afalse", "btrue", "cfalse"}) {
		t.Errorf("tags %q", tags)
	}
	if err := db.Close(); err != nil {
		t.Error(err)
	}
}

func TestSink_Refuses(t *testing.T) {
	s := server(t)
	s.CreateStream("trips", 1)
	s.CreateStream("out", 1)
	db := openEngine(t, filepath.Join(t.TempDir(), "data"))
	defer db.Close()
	sinkSetUp(t, s, db, "")
	f := func(text string, code sqlerror.Code, want string) {
		t.Helper()
		err := db.Exec(t.Context(), text)
		if !sqlerror.HasCode(err, code) || !strings.Contains(err.Error(), want) {
			t.Errorf("%s: %v", text, err)
		}
	}
	f("CREATE STREAM s INTO k.trips AS SELECT id FROM trips", sqlerror.CodeConflict, "source trips reads what the stream writes")
	f("CREATE STREAM s INTO k.aut AS SELECT id FROM trips", sqlerror.CodeUnknownObject, `did you mean "out"`)
	f("CREATE STREAM s INTO k.out PARTITIONED BY (id) AS SELECT id FROM trips", sqlerror.CodeUnsupported, "partition_key")
	f("CREATE STREAM s INTO k.out AS SELECT id AS _id FROM trips", sqlerror.CodeExists, "id_field")
	f("CREATE STREAM s INTO k.out WITH (partition_key = 'hue') AS SELECT id FROM trips", sqlerror.CodeUnknownColumn, "hue")

	// Keys that are too long and records that are too large are dead letters.
	statement(t, db, "CREATE STREAM s INTO k.out WITH (partition_key = 'who') AS SELECT id, who, tags FROM trips")
	s.Put("trips", "x", []byte(`{"id":0,"who":"`+strings.Repeat("é", 256)+`"}`))
	s.Put("trips", "x", []byte(`{"id":1,"who":"`+strings.Repeat("e", 257)+`"}`))
	s.SetMaxRecordSize("trips", 2<<20)
	s.Put("trips", "x", []byte(`{"id":2,"who":null,"tags":"`+strings.Repeat("x", 1100<<10)+`"}`))
	s.Put("trips", "x", []byte(`{"id":3,"who":null,"tags":"`+strings.Repeat("x", 1000<<10)+`"}`))
	statement(t, db, "FLUSH STREAM s")
	got, _ := distinct(t, s, "out")
	if len(got) != 2 || got[0].N+got[1].N != 3 {
		t.Errorf("%d rows", len(got))
	}
	letters := rows(t, db, "SELECT error_class, error_message FROM leat.dead_letters ORDER BY error_class")
	if len(letters) != 2 || !strings.HasPrefix(letters[0], "partition|the partition key has 257") || !strings.HasPrefix(letters[1], "too_large|") {
		t.Errorf("letters %q", letters)
	}
}

// A record may have what the stream takes to the last byte, its id and key counted.
func TestSink_LargestRecord(t *testing.T) {
	f := func(name, options string) {
		t.Helper()
		s := server(t)
		s.CreateStream("trips", 1)
		db := openEngine(t, filepath.Join(t.TempDir(), "data"))
		sinkSetUp(t, s, db, "")
		s.SetMaxRecordSize("trips", 2<<20)
		s.CreateStream(name, 1)
		statement(t, db, "CREATE STREAM "+name+" INTO k."+name+" WITH ("+options+") AS SELECT id, who, tags FROM trips")
		put := func(id, length int) []kinesistest.Record {
			s.Put("trips", "x", fmt.Appendf(nil, `{"id":%d,"who":"me","tags":["%s"]}`, id, strings.Repeat("x", length)))
			statement(t, db, "FLUSH STREAM "+name)
			return s.Records(name)
		}
		const large = 1 << 20
		size := 0
		for _, r := range put(1, 900_000) {
			size = len(r.Data) + len(r.PartitionKey)
		}
		room := large - size
		// The hash that is a key may have a digit less.
		if got := len(put(2, 900_000+room-2)); got != 2 {
			t.Errorf("%s: %d records, want that of %d bytes too", name, got, large-2)
		}
		if got := len(put(3, 900_000+room+3)); got != 2 {
			t.Errorf("%s: %d records, want none of %d bytes", name, got, large+3)
		}
		letters := rows(t, db, "SELECT error_class, error_message FROM leat.dead_letters WHERE stream = '"+name+"'")
		if len(letters) != 1 || !strings.HasPrefix(letters[0], "too_large|the record has 10485") {
			t.Errorf("%s: letters %q", name, letters)
		}
	}
	f("keyed", "partition_key = 'who'")
	f("hashed", "id_field = ''")
	f("free", "id_field = 'the \"id\"'")
}

// The state can lie elsewhere than in the data directory, which may then be lost.
func TestSink_StatePath(t *testing.T) {
	s := server(t)
	s.CreateStream("trips", 1)
	s.CreateStream("out", 1)
	state := t.TempDir()
	for i := range 2 {
		db := openEngine(t, filepath.Join(t.TempDir(), "data"))
		sinkSetUp(t, s, db, ", state_path = '"+state+"'")
		s.Put("trips", "x", []byte(fmt.Sprintf(`{"id":%d}`, i)))
		s.Put("trips", "x", []byte(fmt.Sprintf(`{"id":%d}`, 100+i)))
		statement(t, db, "CREATE STREAM s INTO k.out WITH (partition_key = 'id') AS SELECT id, 6 DIV CASE WHEN id >= 100 THEN 0 ELSE 1 END AS q FROM trips")
		statement(t, db, "FLUSH STREAM s")
		// Dead letters and commits are where those of every other sink are.
		want := []string{`s|{"id":100}`, `s|{"id":101}`}[:i+1]
		if got := rows(t, db, "SELECT stream, raw FROM leat.dead_letters ORDER BY raw"); !slices.Equal(got, want) {
			t.Errorf("letters %q, want %q", got, want)
		}
		if got := rows(t, db, "SELECT `database`, `table`, COUNT(DISTINCT epoch), SUM(rows_landed) = COUNT(*), SUM(rows_dead) > 0 FROM leat.commits WHERE stream = 's' AND rows_landed > 0 GROUP BY 1, 2"); !slices.Equal(got, []string{fmt.Sprintf("k|out|%d|true|true", i+1)}) {
			t.Errorf("commits %q", got)
		}
		if i == 1 {
			statement(t, db, "CREATE OR REPLACE STREAM s INTO k.out WITH (partition_key = 'id') AS SELECT id, 1 AS q FROM trips")
			statement(t, db, "REPLAY DEAD_LETTERS FOR STREAM s")
			statement(t, db, "FLUSH STREAM s")
			if got := rows(t, db, "SELECT COUNT(*), COUNT(replay) FROM leat.dead_letters"); !slices.Equal(got, []string{"2|2"}) {
				t.Errorf("letters %q after the replay", got)
			}
		}
		if err := db.Close(); err != nil {
			t.Error(err)
		}
	}
	got, repeats := distinct(t, s, "out")
	if len(got) != 4 || repeats != 0 {
		t.Errorf("%d rows, %d repeats", len(got), repeats)
	}
}
