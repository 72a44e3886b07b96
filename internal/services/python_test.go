//go:build services

package services_test

import (
	_ "embed"
	"path/filepath"
	"strings"
	"testing"

	"github.com/leatdb/leat/internal/services"
)

//go:embed testdata/readers.py
var readers string

func TestPython(t *testing.T) {
	server := services.StartVersityGW(t)
	server.CreateBucket("lake")
	dir := t.TempDir()
	got := services.RunPython(t, readers, server.Endpoint, server.AccessKey, server.SecretKey,
		filepath.Join(dir, "iceberg.db"), filepath.Join(dir, "t.parquet"))
	if want := "6\n6\n2026\npyformat\n"; string(got) != want {
		t.Errorf("the readers printed %q, want %q", got, want)
	}
}

func TestPython_FailureShowsTraceback(t *testing.T) {
	r := record(t, func(t services.TB) { services.RunPython(t, "print(1)\nraise ValueError('no such row')") })
	if !r.failed || !strings.Contains(r.messages(), "line 2") || !strings.Contains(r.messages(), "no such row") {
		t.Errorf("failed=%v messages=%q, want a failure with the traceback", r.failed, r.messages())
	}
}
