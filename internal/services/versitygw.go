package services

import (
	"context"
	"os"
	"path/filepath"
)

const (
	versityGWPackage = "github.com/versity/versitygw/cmd/versitygw"
	versityGWVersion = "v1.8.0"
)

var versityGW = register(Service{
	Name:   "versitygw",
	Recipe: versityGWPackage + "@" + versityGWVersion + " " + platform(),
	Fetch: func(ctx context.Context, dir string) error {
		return goInstall(ctx, dir, versityGWPackage, versityGWVersion)
	},
})

// StartVersityGW starts a Versity S3 gateway over a folder of the test's. It is
// the S3 server that tests use unless they need another.
//
// It refuses part checksums at CompleteMultipartUpload unless their algorithm
// was named at CreateMultipartUpload.
func StartVersityGW(t TB) *S3 {
	t.Helper()
	installed := versityGW.mustDir(t)
	scratch := t.TempDir()
	objects, metadata, users := filepath.Join(scratch, "objects"), filepath.Join(scratch, "metadata"), filepath.Join(scratch, "users")
	for _, dir := range []string{objects, metadata, users} {
		if err := os.Mkdir(dir, 0o755); err != nil {
			t.Fatal(err)
		}
	}
	address := FreeAddresses(t, 1)[0]
	program := filepath.Join(installed, "bin", "versitygw")
	s := startS3(t, address, command{
		name:    "versitygw",
		program: program,
		// Metadata in files: not every file system has extended attributes. Users are
		// looked up for each request, so that one who is deleted is gone at once.
		args: []string{"--port", address, "--region", s3Region, "--iam-dir", users, "--iam-cache-disable", "posix", "--sidecar", metadata, objects},
		env:  []string{"ROOT_ACCESS_KEY=" + s3AccessKey, "ROOT_SECRET_KEY=" + s3SecretKey},
	})
	s.admin = func(args ...string) error {
		_, err := run(t.Context(), scratch, nil, program, append([]string{"admin",
			"--access", s.AccessKey, "--secret", s.SecretKey, "--region", s.Region, "--endpoint-url", s.Endpoint}, args...)...)
		return err
	}
	return s
}
