//go:build services

package acceptance_test

import (
	_ "embed"
	"encoding/json"
	"fmt"
	"maps"
	"os"
	"path/filepath"
	"reflect"
	"slices"
	"strings"
	"testing"
	"time"
	"unicode/utf8"

	"github.com/twmb/franz-go/pkg/kgo"

	"github.com/leatdb/leat/internal/services"
)

//go:embed testdata/readers.py
var readers string

// trip is a numbered record.
type trip int

var boroughs = []string{"Bronx", "Brooklyn", "Manhattan", "Queens", "Staten Island", "", "Ö/%=\n"}

func (i trip) borough() string { return boroughs[int(i)%len(boroughs)] }
func (i trip) cents() int64    { return int64(i % 5000) }
func (i trip) meters() float64 { return float64(i) + 0.5 }
func (i trip) seats() int64    { return int64(i%6 + 1) }
func (i trip) note() string    { return fmt.Sprintf("Grüße 😀\n%d", i) }

// at is a time with microseconds; trips are 7 minutes apart from the last
// microsecond of January on.
func (i trip) at() time.Time {
	return time.Date(2026, 1, 31, 23, 59, 59, 999_999_000, time.UTC).Add(time.Duration(i) * (7*time.Minute + time.Microsecond))
}

// tip is JSON.
func (i trip) tip() string { return []string{"null", `"1.50"`, "25e-1", "2"}[i%4] }

func (i trip) tombstone() bool { return i%100 == 99 }
func (i trip) filtered() bool  { return i%50 == 7 }
func (i trip) broken() bool {
	return i%1000 == 10 || i%1000 == 20 || i%1000 == 30 || i%1000 == 40 || i%1000 == 50
}
func (i trip) lands() bool { return !i.tombstone() && !i.filtered() && !i.broken() }

// value is the record's.
func (i trip) value() []byte {
	if i.tombstone() {
		return nil
	}
	quoted := func(text string) string {
		b, err := json.Marshal(text)
		if err != nil {
			panic(err)
		}
		return string(b)
	}
	at := quoted(i.at().Format("2006-01-02T15:04:05.000000Z07:00"))
	switch i % 3 {
	case 0:
		at = fmt.Sprint(i.at().UnixMicro())
	case 1:
		at = quoted(i.at().In(time.FixedZone("", -3*3600-1800)).Format("2006-01-02 15:04:05.000000-07:00"))
	}
	seats := i.seats()
	if i.filtered() {
		seats = 0
	}
	v := fmt.Sprintf("{\n \"trip_id\": %d, \"pickup\": {\"location\": {\"borough\": %s, \"id\": %d}, \"at\": 1}, \"picked_at\": %s,"+
		" \"fare\": %d.%02d, \"Meters\": %v, \"seats\": %d, \"paid\": %t, \"tip\": %s,\r\n\"tags\": [\"a\", {\"b\": \"]}\"}], \"note\": %s, \"unused\": 1e400}",
		i, quoted(i.borough()), i%263, at, i.cents()/100, i.cents()%100, i.meters(), seats, i%2 == 0, i.tip(), quoted(i.note()))
	switch i % 1000 {
	case 10: // without a line break, behind which a next value might begin
		v = strings.Join(strings.Fields(v[:len(v)/2]), " ")
	case 20:
		v = strings.Join(strings.Fields(strings.Replace(v, `"trip_id": `, `"trip_id" `, 1)), " ")
	case 30:
		v = strings.Replace(v, `"fare": `, `"fare": "many", "was": `, 1)
	case 40:
		v = "\xff\xfe-not-at-all"
	case 50:
		v = strings.Replace(v, `"trip_id"`, `"trip"`, 1) // it is NOT NULL
	}
	return []byte(v)
}

// expected is what has to become of trips.
type expected struct {
	Rows     int64            `json:"rows"`
	Boroughs map[string]int64 `json:"boroughs"` // rows
	Months   map[string]int64 `json:"months"`   // rows
	IDs      int64            `json:"ids"`      // these are sums
	Cents    int64            `json:"cents"`
	Seats    int64            `json:"seats"`
	Meters   float64          `json:"meters"`
	Micros   int64            `json:"micros"` // of times, since 1970
	TipCents int64            `json:"tip_cents"`
	NoTip    int64            `json:"no_tip"` // rows
	Notes    int64            `json:"notes"`  // characters

	filtered, tombstones int
	broken               []string
}

func expect(n trip) expected {
	e := expected{Boroughs: map[string]int64{}, Months: map[string]int64{}}
	for i := range n {
		switch {
		case i.tombstone():
			e.tombstones++
		case i.filtered():
			e.filtered++
		case i.broken():
			e.broken = append(e.broken, string(i.value()))
		}
		if !i.lands() {
			continue
		}
		e.Rows++
		e.Boroughs[i.borough()]++
		e.Months[fmt.Sprint(int(i.at().Month()))]++
		e.IDs += int64(i)
		e.Cents += i.cents()
		e.Seats += i.seats()
		e.Meters += i.meters()
		e.Micros += i.at().UnixMicro()
		e.TipCents += []int64{0, 150, 250, 200}[i%4]
		if i.tip() == "null" {
			e.NoTip++
		}
		e.Notes += int64(utf8.RuneCountInString(i.note()))
	}
	return e
}

// produceTrips produces trips to four partitions, through every codec, the last
// sixth in a transaction behind one that is aborted.
func (e *environment) produceTrips(t *testing.T, n trip) {
	t.Helper()
	e.kafka.CreateTopic("trips", 4, nil)
	codecs := []kgo.CompressionCodec{
		kgo.NoCompression(), kgo.GzipCompression(), kgo.SnappyCompression(), kgo.Lz4Compression(), kgo.ZstdCompression(),
	}
	send := func(client *kgo.Client, from, to trip) {
		t.Helper()
		for i := from; i < to; i++ {
			client.Produce(t.Context(), &kgo.Record{
				Topic: "trips", Partition: int32(i % 4), Key: fmt.Appendf(nil, "rider-%d", i%100), Value: i.value(),
				Headers: []kgo.RecordHeader{{Key: "app", Value: []byte("ios")}, {Key: "app", Value: fmt.Append(nil, i)}},
			}, func(_ *kgo.Record, err error) {
				if err != nil {
					t.Errorf("produce trip %d: %v", i, err)
				}
			})
		}
		if err := client.Flush(t.Context()); err != nil {
			t.Fatal(err)
		}
	}
	parts := trip(len(codecs) + 1)
	for part, codec := range codecs {
		send(e.kafka.Client(manual(), kgo.ProducerBatchCompression(codec)), trip(part)*n/parts, trip(part+1)*n/parts)
	}
	client := e.kafka.Client(manual(), kgo.TransactionalID("trips"))
	for _, end := range []kgo.TransactionEndTry{kgo.TryAbort, kgo.TryCommit} {
		if err := client.BeginTransaction(); err != nil {
			t.Fatal(err)
		}
		send(client, (parts-1)*n/parts, n)
		if err := client.EndTransaction(t.Context(), end); err != nil {
			t.Fatal(err)
		}
	}
}

// testJourney is the outcome that the project promises: definitions typed into
// the stock client, rows selected a few seconds later, everything counted, and
// the same seen by readers that know nothing of leat.
func (e *environment) testJourney(t *testing.T) {
	const n = 30_000
	e.produceTrips(t, n)
	expected := expect(n)
	l := services.StartLeat(t, e.binary, "--init", write(t, "init.sql", e.sink("warehouse")))
	typed(t, l, fmt.Sprintf(`
CREATE SOURCE trips_in (
  trip_id BIGINT NOT NULL, pickup JSON, picked_at TIMESTAMP(6), fare DECIMAL(10, 2), meters DOUBLE,
  seats TINYINT UNSIGNED, paid BOOLEAN, tip DECIMAL(8, 2), tags JSON, note VARCHAR(100)
) WITH (connector = 'kafka', brokers = '%s', topic = 'trips');

CREATE STREAM trips INTO warehouse.trips PARTITIONED BY (borough, MONTH(picked_at) AS month)
AS SELECT trip_id, pickup->>'$.location.borough' AS borough, CAST(pickup->>'$.location.id' AS SIGNED) AS location_id,
          picked_at, fare, fare * 2 AS twice, meters, seats, paid, tip, tags, note,
          _key AS rider, _partition AS split, _offset AS position, _headers->>'$.app[1]' AS app
   FROM trips_in WHERE seats > 0;`, e.kafka.Plaintext))
	eventually(t, l, "SELECT SUM(rows_landed) FROM leat.commits", fmt.Sprint(expected.Rows))

	t.Run("Pruning", func(t *testing.T) {
		// The first query, while no file is in the cache: what the S3 server is asked
		// for is what is read.
		before := len(logOf(t, e.s3.Process))
		want(t, l, "SELECT COUNT(*), SUM(trip_id) > 0 FROM warehouse.trips WHERE borough = 'Queens' AND month = 3",
			fmt.Sprintf("%d\t1", expected.in("Queens", time.March, n)))
		read := 0
		for line := range strings.Lines(logOf(t, e.s3.Process)[before:]) {
			if !strings.Contains(line, "| GET |") || !strings.Contains(line, "/trips/data/") {
				continue
			}
			read++
			if !strings.Contains(line, "/borough=Queens/month=3/") {
				t.Errorf("a query of one partition reads another: %s", line)
			}
		}
		if read == 0 {
			t.Error("the query has read no file of the S3 server")
		}
		want(t, l, "SELECT COUNT(DISTINCT `partition`) FROM leat.partitions WHERE `table` = 'trips'", fmt.Sprint(partitions(n)))
	})

	eventually(t, l, "SELECT COUNT(*) FROM warehouse.trips", fmt.Sprint(expected.Rows))
	typed(t, l, "FLUSH STREAM trips")

	t.Run("Select", func(t *testing.T) {
		want(t, l, "SELECT COUNT(*), COUNT(DISTINCT trip_id), SUM(trip_id), SUM(twice), SUM(seats), CAST(SUM(meters) AS DECIMAL(20, 1)), SUM(tip), SUM(tip IS NULL), SUM(CHAR_LENGTH(note)) FROM warehouse.trips",
			fmt.Sprintf("%d\t%d\t%d\t%s\t%d\t%.1f\t%s\t%d\t%d", expected.Rows, expected.Rows, expected.IDs, decimal(2*expected.Cents), expected.Seats,
				expected.Meters, decimal(expected.TipCents), expected.NoTip, expected.Notes))
		for borough, rows := range expected.Boroughs {
			text := strings.NewReplacer("\n", `\n`).Replace(borough)
			want(t, l, "SELECT COUNT(*) FROM warehouse.trips WHERE borough = '"+text+"'", fmt.Sprint(rows))
		}
		for month, rows := range expected.Months {
			want(t, l, "SELECT COUNT(*) FROM warehouse.trips WHERE month = "+month, fmt.Sprint(rows))
		}
		want(t, l, "SELECT borough, location_id, picked_at, fare, twice, meters, seats, paid, tip, tags, rider, split, app, month FROM warehouse.trips WHERE trip_id = 1001",
			"Bronx\t212\t2026-02-05 20:47:00.001000\t10.01\t20.02\t1001.5\t6\t0\t1.50\t[\"a\", {\"b\": \"]}\"}]\trider-1\t1\t1001\t2")
		want(t, l, "USE warehouse; SHOW TABLES; SELECT COUNT(*) FROM information_schema.tables WHERE table_schema = 'warehouse' AND table_name = 'trips'", "trips\n1")
		// Of a split, one offset after the other: each is a record, a marker of a
		// transaction, or in one that was aborted.
		want(t, l, "SELECT COUNT(*) FROM (SELECT split, position, trip_id, LAG(trip_id) OVER (PARTITION BY split ORDER BY position) AS previous FROM warehouse.trips) AS x WHERE previous >= trip_id", "0")
	})

	t.Run("Counters", func(t *testing.T) {
		want(t, l, "SELECT records_in, records_empty, rows_in, rows_exploded, rows_landed, rows_filtered, rows_dead, `lag`,"+
			" rows_in + rows_exploded = rows_landed + rows_filtered + rows_dead FROM leat.stream_metrics WHERE stream = 'trips'",
			fmt.Sprintf("%d\t%d\t%d\t0\t%d\t%d\t%d\t0\t1", n, expected.tombstones, n-expected.tombstones, expected.Rows, expected.filtered, len(expected.broken)))
	})

	t.Run("DeadLetters", func(t *testing.T) {
		// The client cannot print bytes that are no text.
		var got []string
		for line := range strings.Lines(typed(t, l, "SELECT HEX(raw) FROM leat.dead_letters WHERE stream = 'trips'") + "\n") {
			got = append(got, strings.TrimSpace(line))
		}
		var all []string
		for _, raw := range expected.broken {
			all = append(all, fmt.Sprintf("%X", raw))
		}
		slices.Sort(got)
		slices.Sort(all)
		if !slices.Equal(got, all) {
			t.Errorf("%d dead letters, want %d; the first %.300q, want %.300q", len(got), len(all), got, all)
		}
		want(t, l, "SELECT DISTINCT source, attempt FROM leat.dead_letters", "trips_in\t1")
		want(t, l, "SELECT COUNT(DISTINCT error_class) > 1, MIN(LENGTH(error_message)) > 10, COUNT(DISTINCT source_position) = COUNT(*) FROM leat.dead_letters", "1\t1\t1")
	})

	t.Run("IndependentReaders", func(t *testing.T) {
		out := services.RunPython(t, readers, filepath.Join(l.Data, "iceberg.db"), e.s3.Endpoint, e.s3.Region, e.s3.AccessKey, e.s3.SecretKey, "warehouse", "trips")
		var got struct {
			Schema    map[string]string
			Partition []string
			Readers   map[string]json.RawMessage
			Pruned    map[string][]int64 // files, rows that a filter leaves to read
			Letters   int
		}
		if err := json.Unmarshal(out, &got); err != nil {
			t.Fatalf("%v\n%s", err, out)
		}
		schema := map[string]string{
			"trip_id": "long required", "borough": "string", "location_id": "long", "picked_at": "timestamptz", "fare": "decimal(10, 2)", "twice": "decimal(11, 2)",
			"meters": "double", "seats": "int", "paid": "boolean", "tip": "decimal(8, 2)", "tags": "string", "note": "string",
			"rider": "string", "split": "int", "position": "long", "app": "string", "month": "int",
		}
		if !maps.Equal(got.Schema, schema) {
			t.Errorf("pyiceberg sees schema\n%v, want\n%v", got.Schema, schema)
		}
		if !slices.Equal(got.Partition, []string{"borough identity", "month identity"}) {
			t.Errorf("pyiceberg sees partition spec %q", got.Partition)
		}
		same, err := json.Marshal(expected)
		if err != nil {
			t.Fatal(err)
		}
		for _, name := range []string{"pyiceberg", "pyarrow", "duckdb"} {
			if !sameJSON(t, got.Readers[name], same) {
				t.Errorf("%s reads\n%s, want\n%s", name, got.Readers[name], same)
			}
		}
		all := got.Pruned["all"]
		if p := got.Pruned["partition"]; p[0] > all[0]/10 || p[1] != expected.in("Queens", time.March, n) {
			t.Errorf("pyiceberg's plan for one partition has %d of %d files with %d rows", p[0], all[0], p[1])
		}
		if p := got.Pruned["statistics"]; p[0] < 1 || p[0] > all[0]/2 {
			t.Errorf("pyiceberg's plan for one trip has %d of %d files", p[0], all[0])
		}
		if got.Letters != len(expected.broken) {
			t.Errorf("pyiceberg sees %d dead letters, want %d", got.Letters, len(expected.broken))
		}
	})

	t.Run("Restart", func(t *testing.T) {
		l.Restart()
		want(t, l, "SELECT COUNT(*) FROM warehouse.trips", fmt.Sprint(expected.Rows))
		want(t, l, "SHOW TABLES FROM warehouse LIKE 'trips'", "trips")
		typed(t, l, "DROP STREAM trips; DROP TABLE warehouse.trips; DROP SOURCE trips_in;")
	})
}

// logOf is what a service has printed.
func logOf(t *testing.T, p *services.Process) string {
	t.Helper()
	text, err := os.ReadFile(p.LogPath())
	if err != nil {
		t.Fatal(err)
	}
	return string(text)
}

// in counts the rows of a partition.
func (expected) in(borough string, month time.Month, n trip) (rows int64) {
	for i := range n {
		if i.lands() && i.borough() == borough && i.at().Month() == month {
			rows++
		}
	}
	return rows
}

// partitions counts them.
func partitions(n trip) int {
	seen := map[string]bool{}
	for i := range n {
		if i.lands() {
			seen[fmt.Sprint(i.borough(), i.at().Month())] = true
		}
	}
	return len(seen)
}

func decimal(cents int64) string { return fmt.Sprintf("%d.%02d", cents/100, cents%100) }

func sameJSON(t *testing.T, a, b []byte) bool {
	t.Helper()
	var x, y expected
	if err := json.Unmarshal(a, &x); err != nil {
		t.Fatal(err)
	}
	if err := json.Unmarshal(b, &y); err != nil {
		t.Fatal(err)
	}
	return reflect.DeepEqual(x, y)
}
