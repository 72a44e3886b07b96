package files_test

import (
	"compress/gzip"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"maps"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/leatdb/leat/connectors"
	"github.com/leatdb/leat/connectors/files"
	"github.com/leatdb/leat/engine"
	"github.com/leatdb/leat/engine/kernel"
)

// An object that is no UTF-8 is none of those that are read as one.
func TestBucket_GatheredUTF16(t *testing.T) {
	b := newFakeBucket(t)
	for i := range 5 {
		b.put(fmt.Sprintf("in/%d", i), "1\n")
	}
	b.put("in/5", "\xff\xfe1\x00\n\x00")
	b.put("in/6", "2\n")
	r := openBucket(t, b, nil, "/in/", "on_data_loss", "skip")
	defer r.close()
	r.readAll()
	r.want("5")
	r.want("6", "2")
	if lost := r.src.(connectors.DataLossRecorder).TakeDataLoss(); len(lost) != 1 || lost[0].Split != "5" || !strings.Contains(lost[0].Reason, "UTF-16") {
		t.Errorf("lost %+v", lost)
	}
}

// Small objects that have come are one chunk, and each is what it would be alone.
func TestBucket_Gathered(t *testing.T) {
	b := newFakeBucket(t)
	b.put("in/a", "1\n2\n")
	b.put("in/b", "3\n4")
	b.put("in/c", "\xef\xbb\xbf5\n")
	b.put("in/d", "6\n")
	b.put("in/e", gz("7\n8\n"))
	b.put("in/f", "\xef\xbb\xbf")
	b.put("in/g", "9\n")
	b.put("in/h", strings.Repeat("x", 300)+"\n")
	b.put("in/i", "10\n")
	r := openBucket(t, b, nil, "/in/", "max_record_bytes", "200")
	defer r.close()
	var chunks []string
	for {
		err := r.poll(0)
		if errors.Is(err, io.EOF) {
			break
		}
		if err != nil {
			t.Fatal(err)
		}
		var names []string
		for _, p := range r.chunk.Parts {
			names = append(names, fmt.Sprintf("%s@%d=%q", p.Split, p.Base, r.chunk.Data[p.Start:p.End]))
		}
		if names == nil {
			names = []string{r.chunk.Split}
		}
		chunks = append(chunks, strings.Join(names, " "))
		files.AwaitFetched(r.src)
	}
	// All but the first have come, or those of its chunk.
	if got := strings.Join(chunks, "; "); !strings.Contains(got, "; e; g; h@0=") || !strings.HasSuffix(got, `x\n" i@0="10\n"`) {
		t.Errorf("chunks %s", got)
	}
	r.want("a", "1", "2")
	r.want("b", "3", "4")
	r.want("c", "5")
	r.want("d", "6")
	r.want("e", "7", "8")
	r.want("g", "9")
	r.want("i", "10")
	if p := r.src.Progress(); p.BytesRead != p.BytesTotal || p.Finished != 9 {
		t.Errorf("progress %+v", p)
	}

	// The positions are those of objects that are read alone: nothing is read again.
	r.commit()
	again := openBucket(t, b, r.src.Positions(), "/in/", "max_record_bytes", "200", "mode", "tail", "tail_interval", "1ms")
	defer again.close()
	if ids := again.discover(false, r.src.Positions()); len(ids) > 0 {
		t.Errorf("to be read again: %q", ids)
	}
}

// Rows and dead letters name the object that they are of, however many are a chunk.
func TestEngine_GatheredObjects(t *testing.T) {
	b := newFakeBucket(t)
	const objects = 200
	for i := range objects {
		b.put(fmt.Sprintf("in/%03d.json", i), fmt.Sprintf("{\"id\":%d}\n\n{\"id\":\"no %d\"}\n{\"id\":%d}", i, i, i))
	}
	db, err := engine.Open(t.Context(), engine.Config{Dir: filepath.Join(t.TempDir(), "data")})
	if err != nil {
		t.Fatal(err)
	}
	defer db.Close()
	err = db.Exec(t.Context(), fmt.Sprintf(`CREATE SOURCE s (id INT) WITH (connector = 'files', path = 's3://b/in/', endpoint = '%s', access_key_id = 'i', secret_access_key = 's', format = 'json');
		CREATE STREAM t AS SELECT id, _file AS f FROM s`, b.url))
	if err == nil {
		err = db.Wait(t.Context())
	}
	if err != nil {
		t.Fatal(err)
	}
	one := func(text string) string {
		t.Helper()
		reader, err := db.Query(t.Context(), text)
		if err != nil {
			t.Fatalf("%s: %v", text, err)
		}
		defer reader.Release()
		var values []string
		for reader.Next() {
			for _, c := range reader.RecordBatch().Columns() {
				for i := range c.Len() {
					values = append(values, fmt.Sprint(kernel.Value(c, i)))
				}
			}
		}
		return strings.Join(values, "|")
	}
	if got := one("SELECT COUNT(*), COUNT(DISTINCT f), SUM(f = CONCAT(LPAD(id, 3, '0'), '.json')) FROM lake.t"); got != "400|200|400" {
		t.Errorf("rows %s", got)
	}
	if got := one(`SELECT COUNT(*), SUM(source_position = CONCAT(LPAD(SUBSTRING(raw, 11, LENGTH(raw) - 12), 3, '0'), '.json@', LENGTH(raw) - 3)) FROM leat.dead_letters`); got != "200|200" {
		t.Errorf("letters %s: %s", got, one("SELECT CONCAT(source_position, ' ', raw) FROM leat.dead_letters LIMIT 3"))
	}
	if got := one("SELECT rows_in, rows_landed, rows_dead, records_empty FROM leat.stream_metrics"); got != "600|400|200|200" {
		t.Errorf("counters %s", got)
	}
}

// A backup has the records of each object once, under its name, however many are a
// chunk.
func TestEngine_GatheredBackup(t *testing.T) {
	b := newFakeBucket(t)
	const objects = 200
	want := map[string]string{}
	for i := range objects {
		name, text := fmt.Sprintf("%03d.json", i), fmt.Sprintf("{\"id\":%d}\n{\"id\":\"no\"}\n{\"id\":%d}", i, i)
		content := text
		if i%3 == 0 { // begins with a byte order mark
			content = "\xef\xbb\xbf" + text
		}
		b.put("in/"+name, content)
		want[fmt.Sprintf("%s@%d", name, len(content)-len(text))] = text
	}
	dir := t.TempDir()
	db, err := engine.Open(t.Context(), engine.Config{Dir: filepath.Join(dir, "data")})
	if err != nil {
		t.Fatal(err)
	}
	defer db.Close()
	err = db.Exec(t.Context(), fmt.Sprintf(`CREATE SOURCE s (id INT) WITH (connector = 'files', path = 's3://b/in/', endpoint = '%s', access_key_id = 'i', secret_access_key = 's', format = 'json');
		CREATE SINK hose WITH (connector = 's3', path = '%s/hose', table_format = 'hive', backup = '%s/backup/!{firehose:random-string}');
		CREATE STREAM t INTO hose AS SELECT id FROM s`, b.url, dir, dir))
	if err == nil {
		err = db.Wait(t.Context())
	}
	if err != nil {
		t.Fatal(err)
	}
	names, err := filepath.Glob(filepath.Join(dir, "backup", "*", "*.json.gz"))
	if err != nil || len(names) == 0 {
		t.Fatalf("backup %q, %v", names, err)
	}
	got := map[string]string{}
	for _, name := range names {
		f, err := os.Open(name)
		if err != nil {
			t.Fatal(err)
		}
		defer f.Close()
		z, err := gzip.NewReader(f)
		if err != nil {
			t.Fatal(err)
		}
		for in := json.NewDecoder(z); ; {
			var r struct {
				Source, Split string
				Offset        int
				RawData       []byte
			}
			if err := in.Decode(&r); errors.Is(err, io.EOF) {
				break
			} else if err != nil {
				t.Fatalf("%s: %v", name, err)
			}
			key := fmt.Sprintf("%s@%d", r.Split, r.Offset)
			if _, twice := got[key]; twice || r.Source != "s" {
				t.Errorf("%s of source %s, twice %v", key, r.Source, twice)
			}
			got[key] = strings.TrimSuffix(string(r.RawData), "\n")
		}
	}
	if !maps.Equal(got, want) {
		t.Errorf("the backup has %d records: %q, want %q", len(got), got, want)
	}
}
