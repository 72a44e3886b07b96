//go:build services

package lake_test

import (
	"fmt"
	"slices"
	"strings"
	"testing"

	"github.com/leatdb/leat/connectors"
	"github.com/leatdb/leat/connectors/lake"
	"github.com/leatdb/leat/internal/objectstore"
	"github.com/leatdb/leat/internal/services"
	"github.com/leatdb/leat/sql/sqlerror"
)

// TestHive_VersityGW crashes a stream over a real S3 server.
func TestHive_VersityGW(t *testing.T) {
	s := services.StartVersityGW(t)
	s.CreateBucket("lake")
	crashOnS3(t, objectstore.Config{
		URI: "s3://lake/w", Endpoint: s.Endpoint, Region: s.Region, AccessKeyID: s.AccessKey, SecretAccessKey: s.SecretKey,
	}, 5)
}

// foreignAppend appends a row to the table of the tests with pyiceberg, again
// when another writer was faster, then prints how many rows and ids there are.
const foreignAppend = `
import sys
import pyarrow as pa
from pyiceberg.catalog import load_catalog
from pyiceberg.exceptions import CommitFailedException

uri, endpoint, access_key, secret_key, mode = sys.argv[1:]
catalog = load_catalog("c", **{
    "type": "rest", "uri": uri, "s3.endpoint": endpoint, "s3.region": "us-east-1",
    "s3.access-key-id": access_key, "s3.secret-access-key": secret_key,
    "py-io-impl": "pyiceberg.io.fsspec.FsspecFileIO",
})
if mode == "append":
    for i in range(8):
        while True:
            table = catalog.load_table("lake.trips")
            try:
                table.append(pa.Table.from_pylist([{"id": 1000000 + i, "city": "theirs"}], schema=table.schema().as_arrow()))
                break
            except CommitFailedException:
                pass
    other = catalog.create_table("lake.theirs", schema=pa.schema([("a", pa.int64())]))
    other.append(pa.table({"a": [1, 2]}))
ids = catalog.load_table("lake.trips").scan().to_arrow()["id"].to_pylist()
ours = [i for i in ids if i < 1000000]
print(len(ours), len(set(ours)), len(ids) - len(ours))
`

// TestREST_Reference writes through Apache Iceberg's own REST catalog over a real
// S3 server, while pyiceberg appends to the same table.
func TestREST_Reference(t *testing.T) {
	s3 := services.StartVersityGW(t)
	s3.CreateBucket("lake")
	server := services.StartIcebergREST(t, s3, "lake")
	dir := t.TempDir()
	pairs := []string{
		"path", "s3://lake/w", "endpoint", s3.Endpoint, "region", s3.Region, "access_key_id", s3.AccessKey, "secret_access_key", s3.SecretKey,
		"catalog", "rest", "catalog_uri", server.URI,
	}
	open := func() *lake.Sink {
		t.Helper()
		s, err := openConnector(t, dir, pairs...)
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() { s.Close() })
		if err := s.Check(t.Context()); err != nil {
			t.Fatal(err)
		}
		return s.(*lake.Sink)
	}
	sink := open()
	stream := openStream(t, sink, tripSpec("s1"))
	defer stream.Close()
	state, _ := mustBegin(t, stream)
	mustEpoch(t, stream, &state, 10)
	script := func(mode string) string {
		return string(services.RunPython(t, foreignAppend, server.URI, s3.Endpoint, s3.AccessKey, s3.SecretKey, mode))
	}
	theirs := make(chan struct{})
	go func() {
		defer close(theirs)
		script("append")
	}()
	next := int64(20)
	for done := false; !done || next < 300; next += 10 {
		mustEpoch(t, stream, &state, next)
		select {
		case <-theirs:
			done = true
		default:
		}
	}
	// A second instance takes over; the first one can commit no more.
	other := open()
	second := openStream(t, other, tripSpec("s1"))
	defer second.Close()
	again, resumed := mustBegin(t, second)
	if !resumed || at(again) != at(state) {
		t.Errorf("the second instance begins at %+v, the first one ended at %+v", again, state)
	}
	sealed, err := writeEpoch(t.Context(), stream, &state, next)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := stream.Commit(t.Context(), state, sealed, connectors.CommitInfo{}); code(err) != sqlerror.CodeFenced {
		t.Errorf("the first instance's commit: %v, want it fenced", err)
	}
	mustEpoch(t, second, &again, next)
	names, err := other.Lake().Tables(t.Context())
	if err != nil || !slices.Equal(names, []string{"_dead_letters", "theirs", "trips"}) {
		t.Errorf("Tables = %v, %v", names, err)
	}
	foreign, err := other.Lake().Table(t.Context(), "theirs")
	if err != nil {
		t.Fatal(err)
	}
	if files, err := foreign.Plan(t.Context(), nil); err != nil || len(files) != 1 || files[0].Rows != 2 {
		t.Errorf("pyiceberg's table has %+v, %v", files, err)
	}
	landed := 0
	for id := range next {
		if !isDead(id + 1) {
			landed++
		}
	}
	if want := fmt.Sprintf("%d %d 8\n", landed, landed); script("read") != want {
		t.Errorf("pyiceberg reads other rows than %q", want)
	}
}

// indexReader checks with pyarrow what readers skip by.
const indexReader = `
import sys
import pyarrow.compute as pc
import pyarrow.dataset as ds
import pyarrow.parquet as pq

path, rows = sys.argv[1], int(sys.argv[2])
f = pq.ParquetFile(path)
for g in range(f.metadata.num_row_groups):
    for i in range(f.metadata.num_columns):
        c = f.metadata.row_group(g).column(i)
        assert c.has_offset_index and c.has_column_index, c
        s = c.statistics
        assert s is not None and s.has_min_max and s.null_count == 0, c
first = f.metadata.row_group(0)
assert first.column(0).statistics.min == 0 and first.column(1).statistics.min == "sensor-0", first.column(1)
t = pq.read_table(path, page_checksum_verification=True)
assert t.num_rows == rows
assert t["id"].to_pylist() == list(range(0, rows * 10, 10))
assert pc.sum(t["amount"]).as_py() == sum(range(rows)) + rows // 4, pc.sum(t["amount"])
assert pc.min(t["level"]).as_py() >= 100 and pc.max(t["level"]).as_py() < 101
assert "BYTE_STREAM_SPLIT" in first.column(3).encodings, first.column(3)
for row in (0, 777, rows - 1):
    found = ds.dataset(path).to_table(filter=(pc.field("sensor") == f"sensor-{row}") & (pc.field("id") == row * 10))
    assert found.num_rows == 1, row
print("ok")
`

// TestFiles_Pyarrow reads statistics, page index, checksums, and floats that are
// split by bytes with Arrow's C++ reader.
func TestFiles_Pyarrow(t *testing.T) {
	files := writeReadings(t, t.TempDir(), "bloom_filter_columns", "id,sensor", "byte_stream_split", "true")
	if len(files) != 1 {
		t.Fatalf("%d files", len(files))
	}
	if got := string(services.RunPython(t, indexReader, strings.TrimPrefix(files[0], "file://"), fmt.Sprint(readings))); got != "ok\n" {
		t.Errorf("pyarrow says %q", got)
	}
}
