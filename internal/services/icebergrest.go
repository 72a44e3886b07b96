package services

import (
	"context"
	_ "embed"
	"net"
	"path/filepath"
)

//go:embed iceberg/pom.xml
var icebergRESTPOM string

// Apache Iceberg's reference server of a REST catalog needs Java 17 or newer to
// run and Maven to be installed.
var icebergREST = register(Service{
	Name:   "iceberg-rest",
	Recipe: icebergRESTPOM,
	Fetch: func(ctx context.Context, dir string) error {
		return mavenJars(ctx, dir, icebergRESTPOM)
	},
})

// IcebergREST is a REST catalog that keeps its tables' metadata on an S3 server.
// It asks nobody for a login.
type IcebergREST struct {
	*Process
	URI string // such as http://127.0.0.1:8182
}

// StartIcebergREST starts a catalog whose warehouse is a bucket that exists.
func StartIcebergREST(t TB, store *S3, bucket string) *IcebergREST {
	t.Helper()
	installed := icebergREST.mustDir(t)
	address := FreeAddresses(t, 1)[0]
	_, port, err := net.SplitHostPort(address)
	if err != nil {
		t.Fatal(err)
	}
	c := &IcebergREST{URI: "http://" + address}
	program, args := java(installed, "256m", nil, "org.apache.iceberg.rest.RESTCatalogServer")
	c.Process = start(t, command{
		name:    "iceberg-rest",
		program: program,
		args:    args,
		env: []string{
			"CATALOG_WAREHOUSE=s3://" + bucket + "/", "CATALOG_IO__IMPL=org.apache.iceberg.aws.s3.S3FileIO",
			"CATALOG_S3_ENDPOINT=" + store.Endpoint, "CATALOG_S3_PATH__STYLE__ACCESS=true",
			"CATALOG_URI=jdbc:sqlite:" + filepath.Join(t.TempDir(), "catalog.db"), "CATALOG_JDBC_USER=u", "CATALOG_JDBC_PASSWORD=p",
			"CATALOG_REST_PORT=" + port,
			"AWS_REGION=" + store.Region, "AWS_ACCESS_KEY_ID=" + store.AccessKey, "AWS_SECRET_ACCESS_KEY=" + store.SecretKey,
		},
		ready: answers(c.URI + "/v1/config"),
	})
	return c
}
