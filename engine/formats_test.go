package engine_test

import (
	"bytes"
	"fmt"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/apache/arrow-go/v18/arrow"
	"github.com/apache/arrow-go/v18/arrow/array"
	"github.com/apache/arrow-go/v18/arrow/memory"
	"github.com/apache/arrow-go/v18/parquet"
	"github.com/apache/arrow-go/v18/parquet/pqarrow"
	"github.com/hamba/avro/v2"
	"github.com/hamba/avro/v2/ocf"
	"github.com/twmb/franz-go/pkg/kfake"

	"github.com/leatdb/leat/connectors/format/schemaregistry"
	"github.com/leatdb/leat/connectors/format/schemaregistry/registrytest"
	"github.com/leatdb/leat/engine"
)

// Avro messages of several versions of a schema, some with an id that nobody
// knows, while the registry goes away and comes back: what can be read lands,
// what cannot is a dead letter, and neither depends on whether the registry
// answers at the moment.
func TestFormats_AvroRegistry(t *testing.T) {
	registry := registrytest.Start(t)
	c := kafkaCluster(t, kfake.SeedTopics(1, "users"))
	addr := c.ListenAddrs()[0]
	const v1 = `{"type":"record","name":"user","fields":[{"name":"id","type":"long"},{"name":"address","type":{"type":"record","name":"address","fields":[{"name":"city","type":"string"}]}}]}`
	const v2 = `{"type":"record","name":"user","fields":[{"name":"email","type":["null","string"]},{"name":"id","type":"long"}]}`
	message := func(id int, schema string, v map[string]any) string {
		data, err := avro.Marshal(avro.MustParse(schema), v)
		if err != nil {
			t.Fatal(err)
		}
		return string(schemaregistry.AppendHeader(nil, id)) + string(data)
	}
	id1 := registry.Add("users-value", schemaregistry.Schema{Type: "AVRO", Text: v1})
	produce(t, addr, "users",
		message(id1, v1, map[string]any{"id": int64(1), "address": map[string]any{"city": "Bath"}}),
		message(77, v2, map[string]any{"id": int64(9), "email": nil}))

	db := open(t, t.TempDir())
	mustExec(t, db, fmt.Sprintf(`CREATE SOURCE users WITH (connector = 'kafka', brokers = '%s', topic = 'users', format = 'avro', schema_registry = '%s', fetch_max_wait = '10ms');
		CREATE STREAM u WITH (commit_interval = '50ms') AS SELECT id, address->>'$.city' AS city, _offset AS o FROM users`, addr, registry.URL))
	state := func(landed, dead int64) func(engine.StreamStatus) bool {
		return func(st engine.StreamStatus) bool {
			return st.State == "RUNNING" && st.Committed.Counters.RowsLanded == landed && st.Committed.Counters.RowsDead == dead
		}
	}
	await(t, db, "u", state(1, 1))
	registry.Away.Store(true)
	id2 := registry.Add("users-value", schemaregistry.Schema{Type: "AVRO", Text: v2})
	produce(t, addr, "users", message(id2, v2, map[string]any{"id": int64(2), "email": "b@x"}))
	st := await(t, db, "u", func(st engine.StreamStatus) bool { return st.State == "RETRYING" })
	if st.Committed.Counters.RowsDead != 1 || !strings.Contains(fmt.Sprint(st.Reason), "schema registry") {
		t.Errorf("%+v, %v", st.Committed.Counters, st.Reason)
	}
	registry.Away.Store(false)
	await(t, db, "u", state(2, 1))
	equal(t, "users", query(t, db, `SELECT id, city, o FROM u ORDER BY id`), "1|Bath|0", "2|NULL|2")
	equal(t, "dead letters", query(t, db, `SELECT error_class, HEX(LEFT(raw, 5)), error_message LIKE '%schema 77%' FROM leat.dead_letters`), "decode|000000004D|true")
}

// Avro files give their columns by their schema, and a record that does not fit
// is a dead letter of its own bytes though its block is compressed.
func TestFormats_AvroFiles(t *testing.T) {
	dir := t.TempDir()
	if err := os.Mkdir(filepath.Join(dir, "in"), 0o755); err != nil {
		t.Fatal(err)
	}
	for i := range 3 {
		var b bytes.Buffer
		enc, err := ocf.NewEncoder(`{"type":"record","name":"r","fields":[{"name":"n","type":"int"},{"name":"s","type":["null","string"]}]}`, &b, ocf.WithCodec(ocf.Deflate), ocf.WithBlockLength(10))
		if err != nil {
			t.Fatal(err)
		}
		for n := range 1000 {
			if err := enc.Encode(map[string]any{"n": i*1000 + n, "s": fmt.Sprint("s", n)}); err != nil {
				t.Fatal(err)
			}
		}
		if err := enc.Close(); err != nil {
			t.Fatal(err)
		}
		writeFile(t, filepath.Join(dir, "in", fmt.Sprint(i, ".avro")), b.String())
	}
	db := open(t, filepath.Join(dir, "data"))
	mustExec(t, db, fmt.Sprintf(`CREATE SOURCE r WITH (connector = 'files', path = '%s', format = 'avro', chunk_bytes = '2KiB');
		CREATE STREAM a AS SELECT n, s, CAST(100 / (n - 1234) AS DECIMAL(10,2)) AS d, _file AS f FROM r WHERE n >= 500`, filepath.Join(dir, "in")))
	await(t, db, "a", func(st engine.StreamStatus) bool { return st.State == "FINISHED" })
	equal(t, "rows", query(t, db, `SELECT f, COUNT(*), SUM(n), MAX(s) FROM a GROUP BY f ORDER BY f`), "0.avro|500|374750|s999", "1.avro|999|1498266|s999", "2.avro|1000|2499500|s999")
	equal(t, "dead letters", query(t, db, `SELECT error_class, CAST(RIGHT(raw, 4) AS CHAR), source_position LIKE '1.avro@%' FROM leat.dead_letters`), "evaluation|s234|true")
}

// Protobuf messages of a registry, and delimited ones in files.
func TestFormats_Protobuf(t *testing.T) {
	registry := registrytest.Start(t)
	c := kafkaCluster(t, kfake.SeedTopics(1, "orders"))
	addr := c.ListenAddrs()[0]
	const schema = `syntax = "proto3"; import "google/protobuf/timestamp.proto";
		message Order { int64 id = 1; google.protobuf.Timestamp at = 2; repeated Line items = 3; message Line { string sku = 1; uint32 n = 2; } }`
	id := registry.Add("orders-value", schemaregistry.Schema{Type: "PROTOBUF", Text: schema})
	order := "\x08\x07\x12\x06\x08\x80\x92\xfd\xa7\x06\x1a\x05\x0a\x01a\x10\x02\x1a\x03\x0a\x01b"
	produce(t, addr, "orders", string(schemaregistry.AppendIndexes(schemaregistry.AppendHeader(nil, id), 0))+order, "\x00\x00\x00\x00\x63\x00")
	dir := t.TempDir()
	writeFile(t, filepath.Join(dir, "orders.bin"), string(rune(len(order)))+order+string(rune(len(order)))+order)
	db := open(t, filepath.Join(dir, "data"))
	mustExec(t, db, fmt.Sprintf(`CREATE SOURCE orders WITH (connector = 'kafka', brokers = '%s', topic = 'orders', format = 'protobuf', schema_registry = '%s', stop = 'latest');
		CREATE STREAM k AS SELECT o.id, o.at, l.sku, l.n FROM orders o, UNNEST(o.items) AS l(sku TEXT, n INT);
		CREATE SOURCE files (id BIGINT, at TIMESTAMP, items JSON) WITH (connector = 'files', path = '%s', format = 'protobuf', schema = '%s');
		CREATE STREAM f AS SELECT id, at, items->>'$[1].sku' AS sku, items FROM files`, addr, registry.URL, filepath.Join(dir, "orders.bin"), schema))
	finished := func(st engine.StreamStatus) bool { return st.State == "FINISHED" }
	await(t, db, "k", finished)
	await(t, db, "f", finished)
	equal(t, "messages", query(t, db, `SELECT id, at, sku, n FROM k ORDER BY sku`), "7|1694451968000000|a|2", "7|1694451968000000|b|0")
	equal(t, "dead letters", query(t, db, `SELECT error_class, HEX(raw) FROM leat.dead_letters`), "decode|000000006300")
	const row = `7|1694451968000000|b|[{"sku":"a","n":2},{"sku":"b","n":0}]`
	equal(t, "files", query(t, db, `SELECT * FROM f`), row, row)
}

// parquetFile writes ids in row groups of a thousand.
func parquetFile(t *testing.T, from, to int) []byte {
	t.Helper()
	schema := arrow.NewSchema([]arrow.Field{{Name: "id", Type: arrow.PrimitiveTypes.Int64}, {Name: "note", Type: arrow.BinaryTypes.String}}, nil)
	b := array.NewRecordBuilder(memory.DefaultAllocator, schema)
	defer b.Release()
	var out bytes.Buffer
	w, err := pqarrow.NewFileWriter(schema, &out, parquet.NewWriterProperties(parquet.WithMaxRowGroupLength(1000)), pqarrow.DefaultWriterProps())
	if err != nil {
		t.Fatal(err)
	}
	for id := from; id < to; id++ {
		b.Field(0).(*array.Int64Builder).Append(int64(id))
		b.Field(1).(*array.StringBuilder).Append(fmt.Sprint("note ", id))
	}
	batch := b.NewRecordBatch()
	defer batch.Release()
	if err := w.Write(batch); err != nil {
		t.Fatal(err)
	}
	if err := w.Close(); err != nil {
		t.Fatal(err)
	}
	return out.Bytes()
}

// Parquet files in a folder that is tailed and in a bucket: each row once, also
// over stops and starts, by its number in its file when it is a dead letter.
func TestFormats_Parquet(t *testing.T) {
	dir := t.TempDir()
	if err := os.Mkdir(filepath.Join(dir, "in"), 0o755); err != nil {
		t.Fatal(err)
	}
	writeFile(t, filepath.Join(dir, "in", "a.parquet"), string(parquetFile(t, 0, 4500)))
	endpoint := bucket(t, nil)
	for i := range 3 {
		req, err := http.NewRequestWithContext(t.Context(), http.MethodPut, fmt.Sprintf("%s/lake/in/%d.parquet", endpoint, i), bytes.NewReader(parquetFile(t, i*2000, i*2000+2000)))
		if err != nil {
			t.Fatal(err)
		}
		resp, err := http.DefaultClient.Do(req)
		if err != nil || resp.StatusCode != http.StatusOK {
			t.Fatal(resp, err)
		}
		resp.Body.Close()
	}
	db := open(t, filepath.Join(dir, "data"))
	mustExec(t, db, fmt.Sprintf(`CREATE SOURCE folder WITH (connector = 'files', path = '%s', format = 'parquet', mode = 'tail', discovery_interval = '10ms', tail_interval = '5ms');
		CREATE STREAM f WITH (commit_interval = '20ms') AS SELECT id, CAST(10 / (id - 4321) AS DECIMAL(10,2)) AS x FROM folder;
		CREATE SOURCE objects WITH (connector = 'files', path = 's3://lake/in/', endpoint = '%s', access_key_id = 'i', secret_access_key = 's', format = 'parquet');
		CREATE STREAM o AS SELECT note, _file AS f FROM objects WHERE id >= 1000`, filepath.Join(dir, "in"), endpoint))
	await(t, db, "o", func(st engine.StreamStatus) bool { return st.State == "FINISHED" })
	equal(t, "objects", query(t, db, `SELECT f, COUNT(*), MIN(note) FROM o GROUP BY f ORDER BY f`), "0.parquet|1000|note 1000", "1.parquet|2000|note 2000", "2.parquet|2000|note 4000")
	landed := func(n int64) func(engine.StreamStatus) bool {
		return func(st engine.StreamStatus) bool { return st.Committed.Counters.RowsLanded == n }
	}
	await(t, db, "f", landed(4499))
	mustExec(t, db, `STOP STREAM f`)
	writeFile(t, filepath.Join(dir, "in", "b.parquet"), string(parquetFile(t, 5000, 7000)))
	mustExec(t, db, `START STREAM f`)
	await(t, db, "f", landed(6499))
	equal(t, "rows", query(t, db, `SELECT COUNT(*), COUNT(DISTINCT id), SUM(id) FROM f`), fmt.Sprintf("6499|6499|%d", 4500*4499/2-4321+2000*11999/2))
	equal(t, "dead letters", query(t, db, `SELECT CAST(raw AS CHAR), source_position FROM leat.dead_letters`), `{"id":4321}|a.parquet@4321`)
	refused(t, db, `CREATE SOURCE k (id INT) WITH (connector = 'kafka', brokers = 'localhost:1', topic = 't', format = 'parquet')`, "bad_option", "is for files")
}

// Row groups that WHERE excludes by their statistics are not read, and their rows
// counted; positions count them too.
func TestFormats_ParquetRowGroups(t *testing.T) {
	dir := t.TempDir()
	if err := os.Mkdir(filepath.Join(dir, "in"), 0o755); err != nil {
		t.Fatal(err)
	}
	writeFile(t, filepath.Join(dir, "in", "a.parquet"), string(parquetFile(t, 0, 9500)))
	writeFile(t, filepath.Join(dir, "in", "b.parquet"), string(parquetFile(t, 20_000, 23_000)))
	db := open(t, filepath.Join(dir, "data"))
	mustExec(t, db, fmt.Sprintf(`CREATE SOURCE s WITH (connector = 'files', path = '%s', format = 'parquet', mode = 'tail', discovery_interval = '10ms', tail_interval = '5ms')`, filepath.Join(dir, "in")))
	const where = ` WHERE id >= 4100 AND 4400 > id AND note > 'note 1'`
	explain := fmt.Sprint(query(t, db, `EXPLAIN CREATE STREAM f AS SELECT id FROM s`+where))
	if !strings.Contains(explain, "leaves out row groups by their statistics where no row can have (id >= 4100) and (4400 > id) and (note > 'note 1')") {
		t.Error(explain)
	}
	mustExec(t, db, `CREATE STREAM f WITH (commit_interval = '20ms') AS SELECT id, note, CAST(10 / (id - 4321) AS DECIMAL(10,2)) AS x, _file AS f FROM s`+where)
	in := func(n int64) func(engine.StreamStatus) bool {
		return func(st engine.StreamStatus) bool { return st.Committed.Counters.RowsIn == n }
	}
	st := await(t, db, "f", in(12_500))
	if c := st.Committed.Counters; c.RowsFiltered != 12_200 || c.RowsLanded != 299 || c.RowsDead != 1 || c.RecordsIn != 12_500 {
		t.Errorf("%+v", c)
	}
	if whole := int64(len(parquetFile(t, 0, 9500))); st.BytesIn == 0 || st.BytesIn > whole/5 {
		t.Errorf("%d of %d bytes were read", st.BytesIn, whole)
	}
	mustExec(t, db, `STOP STREAM f`)
	writeFile(t, filepath.Join(dir, "in", "c.parquet"), string(parquetFile(t, 3000, 6000)))
	mustExec(t, db, `START STREAM f`)
	await(t, db, "f", in(15_500))
	equal(t, "rows", query(t, db, `SELECT f, COUNT(*), COUNT(DISTINCT id), MIN(id), MAX(id) FROM f GROUP BY f ORDER BY f`), "a.parquet|299|299|4100|4399", "c.parquet|299|299|4100|4399")
	equal(t, "dead letters", query(t, db, `SELECT source_position FROM leat.dead_letters ORDER BY 1`), `a.parquet@4321`, `c.parquet@1321`)
	equal(t, "peeks", query(t, db, `SELECT COUNT(*), SUM(id) FROM s WHERE id > 22998`), `1|22999`)
	equal(t, "peeks", query(t, db, `SELECT COUNT(*), SUM(id) FROM s WHERE id IN (1, 22999) AND note IS NOT NULL`), `2|23000`)
	equal(t, "peeks", query(t, db, `SELECT COUNT(*) FROM s WHERE id < 0`), `0`)

	// A sink that keeps what comes gets all of it.
	mustExec(t, db, fmt.Sprintf(`CREATE SINK hose WITH (connector = 's3', path = '%s/hose', table_format = 'hive', backup = '%s/backup');
		CREATE STREAM k INTO hose.k WITH (commit_interval = '20ms') AS SELECT id FROM s WHERE id < 0`, dir, dir))
	if st := await(t, db, "k", in(15_500)); st.BytesIn < 15_500*8 {
		t.Errorf("%d bytes were read for the backup", st.BytesIn)
	}
}

// A measurement file of 3GPP TS 32.435 becomes a row for each counter of each cell:
// the lists of names and values are walked side by side.
func TestFormats_XML(t *testing.T) {
	dir := t.TempDir()
	writeFile(t, filepath.Join(dir, "A20260301.1400+0200-1415+0200_RNC1.xml"), `<?xml version="1.0" encoding="UTF-8"?>
<measCollecFile xmlns="http://www.3gpp.org/ftp/specs/archive/32_series/32.435#measCollec">
  <fileHeader fileFormatVersion="32.435 V10.0" vendorName="Company NN"><measCollec beginTime="2026-03-01T14:00:00+02:00"/></fileHeader>
  <measData>
    <managedElement localDn="ManagedElement=RNC-Gbg-1" userLabel="RNC Telecomville"/>
    <measInfo measInfoId="TCH">
      <granPeriod duration="PT900S" endTime="2026-03-01T14:15:00+02:00"/>
      <measTypes>attTCHSeizures succTCHSeizures</measTypes>
      <measValue measObjLdn="UtranCell=Gbg-997"><measResults>234 345</measResults></measValue>
      <measValue measObjLdn="UtranCell=Gbg-998"><measResults>890 NIL</measResults><suspect>true</suspect></measValue>
    </measInfo>
    <measInfo measInfoId="Empty"><measTypes>x</measTypes></measInfo>
  </measData>
</measCollecFile>`)
	writeFile(t, filepath.Join(dir, "broken.xml"), "<measCollecFile><measData>")
	db := open(t, filepath.Join(dir, "data"))
	mustExec(t, db, fmt.Sprintf(`CREATE SOURCE pm (measInfoId TEXT, granPeriod JSON, measTypes TEXT, measValue JSON, parents JSON)
		WITH (connector = 'files', path = '%s/*.xml', format = 'xml', record_path = 'measCollecFile/measData/measInfo', array_elements = 'measValue');
		CREATE STREAM counters AS
		SELECT pm.parents->>'$.measData.managedElement."@localDn"' AS element, v.cell, CAST(pm.granPeriod->>'$."@endTime"' AS DATETIME) AS at,
		  r.counter, NULLIF(r.value, 'NIL') AS value
		FROM pm, UNNEST(pm.measValue) AS v(cell TEXT PATH '$."@measObjLdn"', results TEXT PATH '$.measResults'),
		  UNNEST(SPLIT(pm.measTypes, ' '), SPLIT(v.results, ' ')) AS r(counter TEXT, value TEXT)`, dir))
	await(t, db, "counters", func(st engine.StreamStatus) bool { return st.State == "FINISHED" })
	equal(t, "counters", query(t, db, `SELECT element, cell, CAST(at AS CHAR), counter, value FROM counters ORDER BY cell, counter`),
		"ManagedElement=RNC-Gbg-1|UtranCell=Gbg-997|2026-03-01 12:15:00|attTCHSeizures|234", "ManagedElement=RNC-Gbg-1|UtranCell=Gbg-997|2026-03-01 12:15:00|succTCHSeizures|345",
		"ManagedElement=RNC-Gbg-1|UtranCell=Gbg-998|2026-03-01 12:15:00|attTCHSeizures|890", "ManagedElement=RNC-Gbg-1|UtranCell=Gbg-998|2026-03-01 12:15:00|succTCHSeizures|NULL")
	equal(t, "dead letters", query(t, db, `SELECT error_class, source_position, error_message FROM leat.dead_letters`),
		"decode|broken.xml@0+26|not XML: the document ends within element measData")
}
