//go:build services

package lake_test

import (
	"net/http"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/credentials"
	"github.com/aws/aws-sdk-go-v2/service/glue"

	"github.com/leatdb/leat/internal/objectstore/faultstore"
	"github.com/leatdb/leat/internal/services"
)

// TestGlue_Moto crashes streams whose tables are in moto's Glue Data Catalog, and
// finds what it knows afterwards.
func TestGlue_Moto(t *testing.T) {
	moto := services.StartMoto(t)
	config := aws.Config{
		Region: "eu-central-1", BaseEndpoint: aws.String(moto.Endpoint), Credentials: credentials.NewStaticCredentialsProvider("id", "key", ""),
	}
	client := glue.NewFromConfig(config)
	for _, format := range []string{"iceberg", "hive"} {
		newDir := func() string {
			resp, err := http.Post(moto.Endpoint+"/moto-api/reset", "", nil)
			if err != nil {
				t.Fatal(err)
			}
			_ = resp.Body.Close()
			dir := filepath.Join(t.TempDir(), "moto-"+format)
			if err := os.Mkdir(dir, 0o755); err != nil {
				t.Fatal(err)
			}
			glueConfigs.Store(dir, config)
			t.Cleanup(func() { glueConfigs.Delete(dir) })
			return dir
		}
		var dir string
		for n := 2; n < 60; n += 19 {
			dir = newDir()
			_, _, _ = run(t.Context(), dir, faultstore.CrashAt(n, n%2 == 0))
			checkRun(t, dir)
			if t.Failed() {
				t.Fatalf("%s: crash at call %d", format, n)
			}
		}
		table, err := client.GetTable(t.Context(), &glue.GetTableInput{DatabaseName: aws.String("lake"), Name: aws.String("trips")})
		if err != nil {
			t.Fatal(err)
		}
		if format == "iceberg" {
			if place := table.Table.Parameters["metadata_location"]; !strings.Contains(place, "/lake/trips/metadata/") {
				t.Errorf("metadata at %q", place)
			}
			continue
		}
		var have, want []string
		pages := glue.NewGetPartitionsPaginator(client, &glue.GetPartitionsInput{DatabaseName: aws.String("lake"), TableName: aws.String("trips")})
		for pages.HasMorePages() {
			page, err := pages.NextPage(t.Context())
			if err != nil {
				t.Fatal(err)
			}
			for _, p := range page.Partitions {
				have = append(have, "city="+strings.Join(p.Values, "/"))
			}
		}
		for key := range plainFiles(t, dir, "trips") {
			if folder := filepath.Base(filepath.Dir(key)); !slices.Contains(want, folder) {
				want = append(want, folder)
			}
		}
		slices.Sort(have)
		slices.Sort(want)
		if !slices.Equal(have, want) {
			t.Errorf("partitions %q, folders %q", have, want)
		}
		// More partitions than a call takes.
		stream := openStream(t, openSink(t, dir, nil), tripSpec("many"))
		state, _ := mustBegin(t, stream)
		if _, err := writeCities(t.Context(), t, stream, state, 0, 120); err != nil {
			t.Error(err)
		}
		_ = stream.Close()
	}
}
