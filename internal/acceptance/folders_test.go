//go:build services

package acceptance_test

import (
	_ "embed"
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"
	"testing"
	"time"

	"github.com/leatdb/leat/internal/services"
)

//go:embed testdata/read_folders.py
var readFolders string

// testFolders has three streams write folders of plain files, one of them
// registered in a Glue catalog, while leat is killed again and again. Readers that
// know nothing of Leat never see a row twice, nor one that is not decided, and see
// all of each commit that leat.commits shows completed.
func (e *environment) testFolders(t *testing.T) {
	const least, most = 5, 20 // kills
	moto := services.StartMoto(t)
	dir := t.TempDir()
	local, stopFile, enough := filepath.Join(dir, "pc"), filepath.Join(dir, "stop"), filepath.Join(dir, "enough")
	e.kafka.CreateTopic("folders", 3, nil)
	onS3 := fmt.Sprintf("endpoint = '%s', region = '%s', path_style = 'true', access_key_id = '%s', secret_access_key = '%s'",
		e.s3.Endpoint, e.s3.Region, e.s3.AccessKey, e.s3.SecretKey)
	const query = " AS SELECT id, _partition AS p, _offset AS o, CONCAT('say \"', id, '\", ', CHAR(10), 'ä') AS note, MOD(id, 3) AS part FROM folders_in;\n"
	l := e.serve(t, e.source("folders_in", "folders", "")+fmt.Sprintf(`
		CREATE SINK pj WITH (connector = 's3', path = 's3://%[1]s/pj', %[2]s, table_format = 'hive', format = 'json', compression = 'none', commit_interval = '500ms');
		CREATE SINK pc WITH (connector = 's3', path = '%[3]s', table_format = 'hive', format = 'csv', compression = 'gzip', commit_interval = '200ms');
		CREATE SINK pg WITH (connector = 's3', path = 's3://%[1]s/pg', %[2]s, table_format = 'hive', catalog = 'glue', catalog_endpoint = '%[4]s', catalog_region = '%[5]s', commit_interval = '400ms');
		CREATE STREAM into_pj INTO pj.t PARTITIONED BY (part)`+query+`
		CREATE STREAM into_pc INTO pc.t PARTITIONED BY (part)`+query+`
		CREATE STREAM into_pg INTO pg.t PARTITIONED BY (part) WITH (path_template = 'of-!{partition:part}/!{timestamp:yyyy/MM/dd}/!{random}')`+query,
		bucket, onS3, local, moto.Endpoint, e.s3.Region))
	stop, produced := e.produceSteadily(t, "folders", 3)
	done := make(chan []byte, 1)
	go func() {
		defer close(done)
		done <- services.RunPython(t, readFolders, e.s3.Endpoint, e.s3.Region, e.s3.AccessKey, e.s3.SecretKey, moto.Endpoint, l.MySQL, bucket, local, stopFile, enough)
	}()
	for n := range most {
		if _, err := os.Stat(enough); err == nil && n >= least || t.Failed() {
			break
		}
		// At any moment of a life: while it starts, and while it commits.
		<-time.After(time.Duration(300+n%5*333) * time.Millisecond)
		l.Kill()
		l.Restart()
	}
	streams := []string{"into_pj", "into_pc", "into_pg"}
	for _, s := range streams {
		eventually(t, l, "SELECT commits > 2 FROM leat.stream_metrics WHERE stream = '"+s+"'", "1")
	}
	stop()
	for _, s := range streams {
		typed(t, l, "FLUSH STREAM "+s)
	}
	if err := os.WriteFile(stopFile, nil, 0o600); err != nil {
		t.Fatal(err)
	}
	var seen map[string]struct{ Reads, Grew, Rows int }
	if err := json.Unmarshal(<-done, &seen); err != nil {
		t.Fatalf("the readers' summary: %v", err)
	}
	t.Log(seen)
	for _, reader := range []string{"pj pyarrow", "pj duckdb", "pc pyarrow", "pc duckdb", "pg glue"} {
		if s := seen[reader]; s.Rows != int(produced.Load()) || s.Grew < 3 {
			t.Errorf("%s has seen %+v, want %d rows at last, and them growing", reader, s, produced.Load())
		}
	}
	want(t, l, "SELECT COUNT(DISTINCT note), MIN(note) FROM pc.t", fmt.Sprintf("%d\tsay \"0\", \\nä", produced.Load()))
}
