package services

import (
	"context"
	_ "embed"
	"fmt"
	"os"
	"path/filepath"
	"strings"
)

// What the benchmarks compare Leat with. All are optional: tests need none.
var (
	//go:embed peers/requirements.txt
	peersRequirements string
	//go:embed peers/bento.go.txt
	bentoMain string
	//go:embed peers/bento.go.mod
	bentoModule string

	peersPython = register(Service{
		Name:     "peers-python",
		Optional: true,
		Recipe:   peersRequirements + platform(),
		Fetch: func(ctx context.Context, dir string) error {
			return pythonEnvironment(ctx, dir, peersRequirements)
		},
	})

	// Bento at the version of its go.mod.
	bento = register(Service{
		Name:     "bento",
		Optional: true,
		Recipe:   bentoMain + bentoModule + platform(),
		Fetch: func(ctx context.Context, dir string) error {
			for name, text := range map[string]string{"main.go": bentoMain, "go.mod": bentoModule} {
				if err := os.WriteFile(filepath.Join(dir, name), []byte(text), 0o644); err != nil {
					return err
				}
			}
			_, err := run(ctx, dir, []string{"GOFLAGS=-mod=mod", "GOWORK=off"}, "go", "build", "-trimpath", "-o", filepath.Join(dir, "bin", "bento"), ".")
			return err
		},
	})
)

// PeersPython is the interpreter that the peers written in Python run with. The
// error says how to install it.
func PeersPython() (program string, err error) {
	dir, err := peersPython.installed()
	return filepath.Join(dir, "venv", "bin", "python"), err
}

// Bento is the program of Bento, a stream processor.
func Bento() (program string, err error) {
	dir, err := bento.installed()
	return filepath.Join(dir, "bin", "bento"), err
}

// installed returns the folder of the installed service.
func (s *Service) installed() (dir string, err error) {
	cache, err := Dir()
	if err != nil {
		return "", err
	}
	if !s.installedIn(cache) {
		return "", fmt.Errorf("%s is not installed (or in another version): run go run ./internal/services/install %s", s.Name, s.Name)
	}
	return filepath.Join(cache, s.Name), nil
}

// BentoVersion is the version that is installed, from its go.mod.
func BentoVersion() string {
	fields := strings.Fields(bentoModule)
	return fields[len(fields)-1]
}
