package lake_test

import (
	"bufio"
	"bytes"
	"compress/gzip"
	"encoding/json"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/leatdb/leat/connectors"
	"github.com/leatdb/leat/sql/sqlerror"
)

// isBeside says that the sinks in a folder write rejected records and a backup
// beside their tables.
func isBeside(dir string) bool { return strings.HasSuffix(dir, "beside-hive") }

// specIn is the stream of the sinks in a folder.
func specIn(dir string) connectors.StreamSpec {
	spec := tripSpec("s1")
	if isBeside(dir) {
		c, err := connectors.LookupSink("s3")
		if err != nil {
			panic(err)
		}
		spec.Options = c.StreamSpec.MustOptions("path_template", "!{partition:city}/!{random}",
			"error_path", dir+"/errors/!{error-output-type}", "backup", dir+"/backup/x-!{timestamp:yyyy}")
	}
	return spec
}

// recordsOf is a chunk of records, one for each id.
func recordsOf(first, last int64) *connectors.Chunk {
	c := &connectors.Chunk{Split: "0"}
	for id := first; id <= last; id++ {
		start := int32(len(c.Data))
		c.Data = strconv.AppendInt(c.Data, id, 10)
		c.Records = append(c.Records, connectors.Record{Start: start, End: int32(len(c.Data)), Offset: id, Arrived: id * 1000})
	}
	return c
}

// outsideObjects are the objects below a folder, by their path, unzipped.
func outsideObjects(t testing.TB, root string) map[string][]byte {
	t.Helper()
	objects := map[string][]byte{}
	err := filepath.WalkDir(root, func(name string, entry fs.DirEntry, err error) error {
		if os.IsNotExist(err) {
			return nil
		}
		rel := strings.TrimPrefix(name, root+"/")
		if err != nil || entry.IsDir() || strings.HasPrefix(rel, "_leat/") {
			return err
		}
		content, err := os.ReadFile(name)
		if err == nil && strings.HasSuffix(name, ".gz") {
			var r *gzip.Reader
			if r, err = gzip.NewReader(bytes.NewReader(content)); err == nil {
				content, err = io.ReadAll(r)
			}
		}
		objects[rel] = content
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	return objects
}

// outsideRaw counts the lines of all objects by their rawData.
func outsideRaw(t testing.TB, objects map[string][]byte) map[string]int {
	t.Helper()
	found := map[string]int{}
	for name, content := range objects {
		lines := bufio.NewScanner(bytes.NewReader(content))
		for lines.Scan() {
			var line struct {
				RawData []byte `json:"rawData"`
			}
			if err := json.Unmarshal(lines.Bytes(), &line); err != nil {
				t.Fatalf("%s: %s: %v", name, lines.Bytes(), err)
			}
			found[string(line.RawData)]++
		}
	}
	return found
}

// checkOutsideRun finds each record once in the backup, each rejected one once
// in error_path, and nothing that is staged.
func checkOutsideRun(t *testing.T, dir string) {
	t.Helper()
	kept, errors := outsideRaw(t, outsideObjects(t, dir+"/backup")), outsideRaw(t, outsideObjects(t, dir+"/errors"))
	for id := int64(1); id <= crashRows; id++ {
		text, dead := strconv.FormatInt(id, 10), 0
		if isDead(id) {
			dead = 1
		}
		if kept[text] != 1 || errors[text] != dead {
			t.Errorf("record %s is %d times in the backup, %d times among the errors, want 1 and %d", text, kept[text], errors[text], dead)
		}
	}
	for _, place := range []string{"backup", "errors"} {
		if staged, _ := filepath.Glob(filepath.Join(dir, place, "_leat/staged/*")); len(staged) > 0 {
			t.Errorf("staged objects are left: %v", staged)
		}
	}
}

// TestCrash_Outside is TestCrash_AtEveryCall with what is written beside the
// table.
func TestCrash_Outside(t *testing.T) { inFormats(t, crashAtEveryCall, "beside-hive") }

// TestFault_Outside is TestFault_AtEveryCall with the same.
func TestFault_Outside(t *testing.T) { inFormats(t, faultAtEveryCall, "beside-hive") }

// TestOutside_Formats looks at what the objects hold, and where they lie.
func TestOutside_Formats(t *testing.T) {
	dir := t.TempDir() + "/beside-hive"
	begun := time.Now().UTC()
	if _, _, err := run(t.Context(), dir, nil); err != nil {
		t.Fatal(err)
	}
	ended := time.Now().UTC()
	for name, content := range outsideObjects(t, dir+"/errors") {
		if !strings.HasPrefix(name, "processing-failed/s1-1-") || !strings.HasSuffix(name, ".json") {
			t.Errorf("object %s", name)
		}
		line, _, _ := bytes.Cut(content, []byte("\n"))
		var e map[string]any
		if err := json.Unmarshal(line, &e); err != nil {
			t.Fatal(err)
		}
		if e["attemptsMade"] != 1.0 || e["errorCode"] != "decode" || e["errorMessage"] != "bad" || e["arrivalTimestamp"].(float64) > 100 ||
			e["attemptEndingTimestamp"].(float64) < 1e12 || len(e) != 6 {
			t.Errorf("%s holds %s", name, line)
		}
	}
	for name, content := range outsideObjects(t, dir+"/backup") {
		// The year is the commit's: two of them, when the year ends meanwhile.
		year, _, _ := strings.Cut(strings.TrimPrefix(name, "x-"), "/")
		if year != begun.Format("2006") && year != ended.Format("2006") || !strings.HasPrefix(name, "x-"+year+"/s1-1-") || !strings.HasSuffix(name, ".json.gz") {
			t.Errorf("object %s", name)
		}
		if strings.HasPrefix(name, "x-") && bytes.Contains(content, []byte(`"offset":1,`)) {
			if line, _, _ := bytes.Cut(content, []byte("\n")); string(line) != `{"source":"s","split":"0","offset":1,"arrivalTimestamp":1,"rawData":"MQ=="}` {
				t.Errorf("%s holds %s", name, line)
			}
		}
	}
}

func TestOutside_Options(t *testing.T) {
	dir := t.TempDir()
	f := func(want string, pairs ...string) {
		t.Helper()
		s, err := openConnector(t, dir, append([]string{"path", dir + "/lake"}, pairs...)...)
		if err == nil {
			defer s.Close()
			spec := tripSpec("s1")
			spec.Options = spec.Options.Over(func() connectors.Options {
				c, lookErr := connectors.LookupSink("s3")
				if lookErr != nil {
					t.Fatal(lookErr)
				}
				return c.Spec.MustOptions(append([]string{"path", dir + "/lake"}, pairs...)...)
			}())
			_, err = s.Stream(t.Context(), spec)
		}
		if e := sqlerror.As(err); e == nil || e.Kind != sqlerror.User || !strings.Contains(err.Error(), want) {
			t.Errorf("%q: %v, want a user error with %q", pairs, err, want)
		}
	}
	f("path_template needs plain folders", "path_template", "!{random}")
	f("backup needs plain folders", "backup", dir+"/b")
	hive := func(want string, pairs ...string) {
		t.Helper()
		f(want, append([]string{"table_format", "hive"}, pairs...)...)
	}
	hive("is relative", "error_path", "errors")
	hive("unknown scheme", "backup", "gs://x/y")
	hive("!{partition:city} is for path_template", "error_path", dir+"/e/!{partition:city}")
	hive("write yyyy", "backup", dir+"/b/!{timestamp:YYYY}")
	hive("among the sink's tables", "error_path", dir+"/lake/errors")
	hive("among the sink's tables", "backup", dir+"/lake")
	hive("is no local path", "backup", "s3://x/y")
	hive("write yyyy", "path_template", "!{timestamp:YYYY}")
	hive("partition column city is not in it", "path_template", "!{random}")
	hive("did you mean city?", "path_template", "!{partition:ciy}")
}
