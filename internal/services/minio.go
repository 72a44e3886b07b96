package services

import (
	"context"
	"path/filepath"
)

const (
	minioPackage = "github.com/minio/minio"
	minioVersion = "v0.0.0-20260212201848-7aac2a2c5b7c"
)

// MinIO is optional: it takes minutes to build.
var minio = register(Service{
	Name:     "minio",
	Optional: true,
	Recipe:   minioPackage + "@" + minioVersion + " " + platform(),
	Fetch: func(ctx context.Context, dir string) error {
		return goInstall(ctx, dir, minioPackage, minioVersion)
	},
})

// StartMinIO starts MinIO over a folder of the test's, as a second opinion on
// what an S3 server does. It has no key management: SSE-KMS is refused.
func StartMinIO(t TB) *S3 {
	t.Helper()
	installed := minio.mustDir(t)
	address := FreeAddresses(t, 2)
	return startS3(t, address[0], command{
		name:    "minio",
		program: filepath.Join(installed, "bin", "minio"),
		args:    []string{"server", t.TempDir(), "--address", address[0], "--console-address", address[1]},
		env: []string{
			"MINIO_ROOT_USER=" + s3AccessKey, "MINIO_ROOT_PASSWORD=" + s3SecretKey, "MINIO_REGION=" + s3Region,
			// It would ask the internet for a newer version.
			"MINIO_UPDATE=off",
		},
	})
}
