package services_test

import (
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/leatdb/leat/internal/services"
)

// fetched is a Fetch that writes a file, after failing some times, and counts.
func fetched(calls *atomic.Int32, failures int32, err error) func(context.Context, string) error {
	return func(_ context.Context, dir string) error {
		if n := calls.Add(1); n <= failures {
			if werr := os.WriteFile(filepath.Join(dir, "half"), nil, 0o600); werr != nil {
				return werr
			}
			return err
		}
		return os.WriteFile(filepath.Join(dir, "whole"), nil, 0o600)
	}
}

func exists(t *testing.T, path ...string) bool {
	t.Helper()
	_, err := os.Stat(filepath.Join(path...))
	if err != nil && !errors.Is(err, os.ErrNotExist) {
		t.Fatal(err)
	}
	return err == nil
}

func TestInstall_Idempotent(t *testing.T) {
	cache := filepath.Join(t.TempDir(), "a", "b")
	var calls atomic.Int32
	s := services.Service{Name: "x", Recipe: "1", Fetch: fetched(&calls, 0, nil)}
	for range 2 {
		if err := s.Install(t.Context(), cache); err != nil {
			t.Fatal(err)
		}
	}
	if calls.Load() != 1 {
		t.Errorf("fetched %d times, want 1", calls.Load())
	}
	s.Recipe = "2"
	if err := s.Install(t.Context(), cache); err != nil {
		t.Fatal(err)
	}
	if calls.Load() != 2 {
		t.Errorf("fetched %d times after another recipe, want 2", calls.Load())
	}
}

func TestInstall_RetriesFromAnEmptyFolder(t *testing.T) {
	cache := t.TempDir()
	var calls atomic.Int32
	s := services.Service{Name: "x", Fetch: fetched(&calls, 2, errors.New("registry is away"))}
	if err := s.InstallWithPauses(t.Context(), cache, 0, 0); err != nil {
		t.Fatal(err)
	}
	if calls.Load() != 3 || !exists(t, cache, "x", "whole") || exists(t, cache, "x", "half") {
		t.Errorf("calls=%d whole=%v half=%v, want 3 true false", calls.Load(), exists(t, cache, "x", "whole"), exists(t, cache, "x", "half"))
	}
}

func TestInstall_GivesUp(t *testing.T) {
	cache := t.TempDir()
	var calls atomic.Int32
	away := errors.New("registry is away")
	s := services.Service{Name: "x", Fetch: fetched(&calls, 2, away)}
	if err := s.InstallWithPauses(t.Context(), cache, 0); !errors.Is(err, away) {
		t.Errorf("err=%v, want %v", err, away)
	}
	// What the failed attempts left behind is not taken for an installation.
	if err := s.InstallWithPauses(t.Context(), cache); err != nil {
		t.Fatal(err)
	}
	if calls.Load() != 3 {
		t.Errorf("fetched %d times, want 3", calls.Load())
	}
}

func TestInstall_RetriesWhatHangs(t *testing.T) {
	f := func(hangs int32, want error) {
		t.Helper()
		cache := t.TempDir()
		var calls atomic.Int32
		s := services.Service{Name: "x", Fetch: func(ctx context.Context, dir string) error {
			if calls.Add(1) <= hangs {
				<-ctx.Done()
				return ctx.Err()
			}
			return os.WriteFile(filepath.Join(dir, "whole"), nil, 0o600)
		}}
		err := s.InstallWithin(t.Context(), cache, 20*time.Millisecond)
		if !errors.Is(err, want) || calls.Load() != 2 || exists(t, cache, "x", "whole") != (want == nil) {
			t.Errorf("hangs %d times: %d calls, err=%v, want %v", hangs, calls.Load(), err, want)
		}
		if err != nil && !strings.Contains(err.Error(), "not done after 20ms") {
			t.Errorf("err=%v does not say how long it took", err)
		}
	}
	f(1, nil)
	f(2, context.DeadlineExceeded)
}

func TestInstall_MissingProgramIsNotRetried(t *testing.T) {
	var calls atomic.Int32
	_, missing := exec.LookPath("a-program-that-is-not-there")
	s := services.Service{Name: "x", Fetch: fetched(&calls, 9, fmt.Errorf("run it: %w", missing))}
	if err := s.InstallWithPauses(t.Context(), t.TempDir(), 0, 0); !errors.Is(err, exec.ErrNotFound) {
		t.Errorf("err=%v, want exec.ErrNotFound", err)
	}
	if calls.Load() != 1 {
		t.Errorf("fetched %d times, want 1", calls.Load())
	}
}

func TestInstall_AtTheSameTime(t *testing.T) {
	cache := t.TempDir()
	var calls atomic.Int32
	var all sync.WaitGroup
	for range 8 {
		all.Go(func() {
			s := services.Service{Name: "x", Fetch: fetched(&calls, 0, nil)}
			if err := s.Install(t.Context(), cache); err != nil {
				t.Error(err)
			}
		})
	}
	all.Wait()
	if calls.Load() != 1 {
		t.Errorf("fetched %d times, want 1", calls.Load())
	}
}

func TestInstallAll_UnknownName(t *testing.T) {
	err := services.InstallAll(t.Context(), t.TempDir(), []string{"kafkaa"}, nil)
	if err == nil || !strings.Contains(err.Error(), `"kafkaa"`) || !strings.Contains(err.Error(), "kafka,") {
		t.Errorf("err=%v, want one that names kafkaa and what there is", err)
	}
}

func TestDir(t *testing.T) {
	t.Setenv("LEAT_SERVICES_DIR", "")
	root, err := filepath.Abs("../..")
	if err != nil {
		t.Fatal(err)
	}
	f := func(env, want string) {
		t.Helper()
		t.Setenv("LEAT_SERVICES_DIR", env)
		if got, err := services.Dir(); err != nil || got != want {
			t.Errorf("Dir()=%q, %v, want %q", got, err, want)
		}
	}
	f("", filepath.Join(root, ".cache", "services"))
	f("/srv/cache", "/srv/cache")

	t.Setenv("LEAT_SERVICES_DIR", "")
	t.Chdir(t.TempDir())
	if got, err := services.Dir(); err == nil {
		t.Errorf("Dir()=%q outside of a checkout, want an error", got)
	}
}

// A service that is not installed has to fail the test, never skip it.
func TestStart_NotInstalled(t *testing.T) {
	t.Setenv("LEAT_SERVICES_DIR", t.TempDir())
	f := func(name string, start func(t services.TB)) {
		t.Helper()
		r := record(t, start)
		if !r.failed || !strings.Contains(r.messages(), name+" is not installed") {
			t.Errorf("failed=%v messages=%q, want a failure that says that %s is not installed", r.failed, r.messages(), name)
		}
	}
	f("kafka", func(t services.TB) { services.StartKafka(t) })
	f("versitygw", func(t services.TB) { services.StartVersityGW(t) })
	f("minio", func(t services.TB) { services.StartMinIO(t) })
	f("python", func(t services.TB) { services.RunPython(t, "") })
	f("mariadb-client", func(t services.TB) { services.MySQLClient(t) })
}
