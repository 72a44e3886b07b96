//go:build services

package lake_test

import (
	"testing"

	"github.com/leatdb/leat/internal/objectstore"
	"github.com/leatdb/leat/internal/services"
)

// TestHive_VersityGW crashes a stream over a real S3 server.
func TestHive_VersityGW(t *testing.T) {
	s := services.StartVersityGW(t)
	s.CreateBucket("lake")
	crashOnS3(t, objectstore.Config{
		URI: "s3://lake/w", Endpoint: s.Endpoint, Region: s.Region, AccessKeyID: s.AccessKey, SecretAccessKey: s.SecretKey,
	}, 5)
}
