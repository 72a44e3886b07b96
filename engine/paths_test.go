package engine_test

import (
	"compress/gzip"
	"encoding/base64"
	"encoding/json"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"

	"github.com/leatdb/leat/engine"
	"github.com/leatdb/leat/sql/sqlerror"
)

// folderFiles are the files below a folder that are not Leat's own, their names
// cut to what does not change.
func folderFiles(t *testing.T, root string) []string {
	t.Helper()
	var files []string
	life := regexp.MustCompile(`-[0-9a-f]{8}(\.json(\.gz)?)$`)
	err := filepath.WalkDir(root, func(name string, entry fs.DirEntry, err error) error {
		if err == nil && !entry.IsDir() && !strings.Contains(name, "/_leat/") {
			files = append(files, life.ReplaceAllString(strings.TrimPrefix(name, root+"/"), "-life$1"))
		}
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	slices.Sort(files)
	return files
}

// The example of dynamic partitioning in Firehose's documentation: a customer's
// device and the parts of an event time, taken from the record, give its path.
func TestPathTemplate_DynamicPartitioning(t *testing.T) {
	dir := t.TempDir()
	server, glue := serveGlue(t)
	writeFile(t, filepath.Join(dir, "in", "a.ndjson"), strings.Join([]string{
		`{"type":{"device":"mobile","event":"user_clicked_submit_button"},"customer_id":"1234567890","event_timestamp":1565382027,"region":"sample_region"}`,
		`{"type":{"device":"tv/set","event":"x"},"customer_id":"_7","event_timestamp":1565382028}`,
		`{"type":{"event":"x"},"customer_id":"8","event_timestamp":1565382028}`,
		`{"type":{"event":"x"},"customer_id":"9","event_timestamp":"yesterday"}`,
	}, "\n")+"\n")
	db := open(t, filepath.Join(dir, "data"))
	mustExec(t, db, `
		CREATE SOURCE events (type JSON, customer_id VARCHAR(20), event_timestamp BIGINT, region VARCHAR(20)) WITH (connector = 'files', path = '`+dir+`/in', mode = 'once');
		CREATE SINK hose WITH (connector = 's3', path = '`+dir+`/hose', table_format = 'hive', format = 'json', compression = 'none', commit_interval = '20ms',
			error_path = '`+dir+`/failed/!{firehose:error-output-type}', backup = '`+dir+`/backup/all/!{firehose:random-string}', `+glue+`);
		CREATE STREAM s INTO hose.events
			PARTITIONED BY (customer_id, type->>'$.device' AS device, DATE_FORMAT(FROM_UNIXTIME(event_timestamp), '%Y') AS year, DATE_FORMAT(FROM_UNIXTIME(event_timestamp), '%m') AS month,
				DATE_FORMAT(FROM_UNIXTIME(event_timestamp), '%d') AS day, DATE_FORMAT(FROM_UNIXTIME(event_timestamp), '%H') AS hour)
			WITH (path_template = '!{partitionKeyFromQuery:customer_id}/device=!{partitionKeyFromQuery:device}/year=!{partitionKeyFromQuery:year}/month=!{partitionKeyFromQuery:month}/day=!{partitionKeyFromQuery:day}/hour=!{partitionKeyFromQuery:hour}/')
		AS SELECT region, event_timestamp, customer_id FROM events;
		CREATE STREAM arrived INTO hose.arrived WITH (path_template = 'myFirehose/Year=!{timestamp:yyyy}', backup = '`+dir+`/backup2', lanes = 1) AS SELECT region, customer_id FROM events`)
	for _, stream := range []string{"s", "arrived"} {
		await(t, db, stream, func(st engine.StreamStatus) bool { return st.State == "FINISHED" })
	}
	files := folderFiles(t, filepath.Join(dir, "hose", "events"))
	for i := range files {
		files[i] = filepath.Dir(files[i])
	}
	equal(t, "folders", files,
		"%5F7/device=tv%2Fset/year=2019/month=08/day=09/hour=20", "1234567890/device=mobile/year=2019/month=08/day=09/hour=20",
		"8/device=__HIVE_DEFAULT_PARTITION__/year=2019/month=08/day=09/hour=20")
	equal(t, "rows", query(t, db, `SELECT customer_id, device, hour, region FROM hose.events ORDER BY customer_id`),
		"1234567890|mobile|20|sample_region", "8|NULL|20|NULL", "_7|tv/set|20|NULL")
	equal(t, "pruned", query(t, db, `SELECT COUNT(*) FROM hose.events WHERE device = 'mobile' AND year = '2019'`), "1")
	equal(t, "partitions", server.Partitions("hose", "events"),
		"1234567890/mobile/2019/08/09/20", "8/__HIVE_DEFAULT_PARTITION__/2019/08/09/20", "_7/tv/set/2019/08/09/20")
	p := server.Partition("hose", "events", "_7", "tv/set", "2019", "08", "09", "20")
	if place := p["StorageDescriptor"].(map[string]any)["Location"]; place != "file://"+dir+"/hose/events/%5F7/device=tv%2Fset/year=2019/month=08/day=09/hour=20/" {
		t.Errorf("a partition's place: %v", place)
	}
	for _, name := range folderFiles(t, filepath.Join(dir, "hose", "arrived")) {
		if !regexp.MustCompile(`^myFirehose/Year=20\d\d/arrived-1-1-0-\d+\.json$`).MatchString(name) {
			t.Errorf("file %s", name)
		}
	}

	// The rejected record is where Firehose would put it, and what it was.
	failed := folderFiles(t, filepath.Join(dir, "failed"))
	if len(failed) != 1 || !regexp.MustCompile(`^processing-failed/s-1-1-\d-\d+-life\.json$`).MatchString(failed[0]) {
		t.Fatalf("rejected records in %q", failed)
	}
	found, err := filepath.Glob(filepath.Join(dir, "failed", "processing-failed", "*.json"))
	if err != nil || len(found) != 1 {
		t.Fatal(found, err)
	}
	text, err := os.ReadFile(found[0])
	if err != nil {
		t.Fatal(err)
	}
	var e struct {
		ErrorCode, ErrorMessage string
		RawData                 string
		AttemptsMade            int
	}
	if err := json.Unmarshal(text, &e); err != nil {
		t.Fatal(err)
	}
	raw, err := base64.StdEncoding.DecodeString(e.RawData)
	if err != nil || !strings.Contains(string(raw), "yesterday") || e.ErrorCode != "field" || e.AttemptsMade != 1 || !strings.Contains(e.ErrorMessage, "event_timestamp") {
		t.Errorf("rejected record %+v of %s, %v", e, raw, err)
	}
	equal(t, "dead letters", query(t, db, `SELECT stream, CAST(raw AS CHAR) FROM leat.dead_letters WHERE stream = 's'`), "s|"+string(raw))
	if list := folderFiles(t, filepath.Join(dir, "backup2")); len(list) != 1 || !regexp.MustCompile(`^20\d\d/\d\d/\d\d/\d\d/arrived-`).MatchString(list[0]) {
		t.Errorf("the backup of the other stream is %q", list)
	}

	// Everything is in the backup, once for each stream.
	kept, err := filepath.Glob(filepath.Join(dir, "backup", "all", "*", "s-*.json.gz"))
	if err != nil || len(kept) == 0 {
		t.Fatal(kept, err)
	}
	var all strings.Builder
	for _, name := range kept {
		f, err := os.Open(name)
		if err != nil {
			t.Fatal(err)
		}
		r, err := gzip.NewReader(f)
		if err != nil {
			t.Fatal(err)
		}
		text, err := io.ReadAll(r)
		_ = f.Close()
		if err != nil {
			t.Fatal(err)
		}
		for line := range strings.Lines(string(text)) {
			var one struct {
				Source, Split string
				RawData       []byte
			}
			if err := json.Unmarshal([]byte(line), &one); err != nil || one.Source != "events" {
				t.Fatalf("%s: %v", line, err)
			}
			all.Write(one.RawData)
		}
	}
	want, err := os.ReadFile(filepath.Join(dir, "in", "a.ndjson"))
	if err != nil || all.String() != string(want) {
		t.Errorf("the backup holds %q, %v", all.String(), err)
	}
	for statement, want := range map[string]string{
		`CREATE STREAM x INTO hose.x WITH (path_template = '!{timestamp:yyyy}') AS SELECT region FROM events`:                                                          "",
		`CREATE STREAM y INTO hose.y PARTITIONED BY (region) WITH (path_template = '!{timestamp:yyyy}/!{partition:region}') AS SELECT customer_id, region FROM events`: "several folders",
		`CREATE STREAM z INTO hose.z PARTITIONED BY (region) WITH (path_template = '!{partition:regoin}') AS SELECT customer_id, region FROM events`:                   "did you mean region?",
		`CREATE STREAM v INTO lake.v WITH (path_template = '!{random}') AS SELECT region FROM events`:                                                                  "needs plain folders",
	} {
		err := db.Exec(t.Context(), statement)
		if want == "" && err != nil || want != "" && (!sqlerror.HasCode(err, sqlerror.CodeBadOption) || !strings.Contains(err.Error(), want)) {
			t.Errorf("%s: %v, want %q", statement, err, want)
		}
	}
}
