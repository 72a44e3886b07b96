package services

import (
	"cmp"
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"syscall"
	"time"
)

// Service is a piece of software that can be installed for tests.
type Service struct {
	// Name is the service's word on the installer's command line and its folder
	// in the cache.
	Name string
	// Optional services are installed only when named.
	Optional bool
	// Recipe is the text of everything that decides what gets installed, such as
	// versions and requirement lists. Another recipe means another installation.
	Recipe string
	// Fetch puts the service into dir, an absolute path of an empty folder.
	Fetch func(ctx context.Context, dir string) error
}

var registered []*Service

func register(s Service) *Service {
	registered = append(registered, &s)
	return &s
}

// All returns the services by name.
func All() []*Service {
	all := slices.Clone(registered)
	slices.SortFunc(all, func(a, b *Service) int { return cmp.Compare(a.Name, b.Name) })
	return all
}

// Dir is the cache folder that services are installed into, as an absolute
// path: $LEAT_SERVICES_DIR, or else .cache/services in the checkout that the
// working directory belongs to. It need not exist.
func Dir() (string, error) {
	if dir := os.Getenv("LEAT_SERVICES_DIR"); dir != "" {
		return filepath.Abs(dir)
	}
	wd, err := os.Getwd()
	if err != nil {
		return "", err
	}
	for dir := wd; ; dir = filepath.Dir(dir) {
		if _, err := os.Stat(filepath.Join(dir, "go.mod")); err == nil {
			return filepath.Join(dir, ".cache", "services"), nil
		}
		if dir == filepath.Dir(dir) {
			return "", fmt.Errorf("find the services' folder: no go.mod in or above %s; set LEAT_SERVICES_DIR", wd)
		}
	}
}

// marker is the file that is written last: it tells a whole installation from
// an interrupted one, and one recipe from another.
const marker = ".installed"

func (s *Service) digest() string {
	sum := sha256.Sum256([]byte(s.Recipe))
	return hex.EncodeToString(sum[:])
}

func (s *Service) installedIn(cache string) bool {
	got, err := os.ReadFile(filepath.Join(cache, s.Name, marker))
	return err == nil && string(got) == s.digest()
}

// Install fetches the service into a folder of its own below cache, unless the
// same recipe is already installed there. Processes that install at the same
// time wait for each other. Fetching is tried four times, from an empty folder
// each time, for registries have bad moments, and ended after five minutes, for
// some downloads hang; what mvn, pip, npm and go have fetched by then is in their
// own caches. A missing program (mvn, python3, …) is an error at once.
func (s *Service) Install(ctx context.Context, cache string) error {
	return s.install(ctx, cache, 5*time.Minute, []time.Duration{2 * time.Second, 5 * time.Second, 15 * time.Second})
}

func (s *Service) install(ctx context.Context, cache string, limit time.Duration, pauses []time.Duration) error {
	cache, err := filepath.Abs(cache)
	if err != nil {
		return err
	}
	if err := os.MkdirAll(cache, 0o755); err != nil {
		return err
	}
	unlock, err := lockFile(filepath.Join(cache, s.Name+".lock"))
	if err != nil {
		return fmt.Errorf("install %s: %w", s.Name, err)
	}
	defer unlock()
	if s.installedIn(cache) {
		return nil
	}
	dir := filepath.Join(cache, s.Name)
	for attempt := 0; ; attempt++ {
		if err := emptyDir(dir); err != nil {
			return fmt.Errorf("install %s: %w", s.Name, err)
		}
		attemptCtx, cancel := context.WithTimeoutCause(ctx, limit, fmt.Errorf("not done after %v", limit))
		err := s.Fetch(attemptCtx, dir)
		if cause := context.Cause(attemptCtx); err != nil && cause != nil {
			err = fmt.Errorf("%w: %w", cause, err)
		}
		cancel()
		if err == nil {
			break
		}
		if attempt == len(pauses) || ctx.Err() != nil || errors.Is(err, exec.ErrNotFound) {
			return fmt.Errorf("install %s: %w", s.Name, err)
		}
		select {
		case <-ctx.Done():
			return fmt.Errorf("install %s: %w", s.Name, errors.Join(ctx.Err(), err))
		case <-time.After(pauses[attempt]):
		}
	}
	return os.WriteFile(filepath.Join(dir, marker), []byte(s.digest()), 0o644)
}

// mustDir returns the folder of the installed service, or ends the test.
func (s *Service) mustDir(t TB) string {
	t.Helper()
	cache, err := Dir()
	if err != nil {
		t.Fatal(err)
	}
	if !s.installedIn(cache) {
		t.Fatalf("%s is not installed in %s (or in another version): run go run ./internal/services/install %s", s.Name, cache, s.Name)
	}
	return filepath.Join(cache, s.Name)
}

func emptyDir(dir string) error {
	if err := os.RemoveAll(dir); err != nil {
		return err
	}
	return os.MkdirAll(dir, 0o755)
}

// lockFile takes an exclusive lock that also holds against other processes and
// ends with this one.
func lockFile(path string) (unlock func(), err error) {
	f, err := os.OpenFile(path, os.O_CREATE|os.O_RDWR, 0o644)
	if err != nil {
		return nil, err
	}
	for {
		err = syscall.Flock(int(f.Fd()), syscall.LOCK_EX)
		if !errors.Is(err, syscall.EINTR) {
			break
		}
	}
	if err != nil {
		return nil, errors.Join(fmt.Errorf("lock %s: %w", path, err), f.Close())
	}
	return func() { _ = f.Close() }, nil
}

// find returns the services with these names, or all that are not optional
// when there are none.
func find(names []string) ([]*Service, error) {
	if len(names) == 0 {
		return slices.DeleteFunc(All(), func(s *Service) bool { return s.Optional }), nil
	}
	var found []*Service
	for _, name := range names {
		i := slices.IndexFunc(registered, func(s *Service) bool { return s.Name == name })
		if i < 0 {
			var known []string
			for _, s := range All() {
				known = append(known, s.Name)
			}
			return nil, fmt.Errorf("unknown service %q: there are %s", name, strings.Join(known, ", "))
		}
		found = append(found, registered[i])
	}
	return found, nil
}

// InstallAll installs the services with these names (all that are not optional
// when there are none) at the same time, and reports each to progress when it
// is done. The error joins those of all services that failed.
func InstallAll(ctx context.Context, cache string, names []string, progress func(s *Service, took time.Duration, err error)) error {
	wanted, err := find(names)
	if err != nil {
		return err
	}
	type result struct {
		service *Service
		took    time.Duration
		err     error
	}
	results := make(chan result)
	for _, s := range wanted {
		go func() {
			start := time.Now()
			err := s.Install(ctx, cache)
			results <- result{s, time.Since(start), err}
		}()
	}
	var errs []error
	for range wanted {
		r := <-results
		progress(r.service, r.took, r.err)
		errs = append(errs, r.err)
	}
	return errors.Join(errs...)
}
