package services

import (
	"context"
	_ "embed"
	"errors"
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

var (
	//go:embed peers/flink.pom.xml
	flinkPOM string
	//go:embed peers/connect.pom.xml
	connectPOM string
	//go:embed peers/connect-iceberg.pom.xml
	connectIcebergPOM string

	// Apache Flink's own jars come in its Python package, which is the whole
	// distribution without the folder conf.
	flink = register(Service{
		Name:     "flink",
		Optional: true,
		Recipe:   flinkPackage + flinkPOM,
		Fetch: func(ctx context.Context, dir string) error {
			if err := mavenJars(ctx, dir, flinkPOM); err != nil {
				return err
			}
			if _, err := run(ctx, dir, nil, "python3", "-m", "pip", "download", "--quiet", "--disable-pip-version-check", "--no-deps", "-d", dir, flinkPackage); err != nil {
				return err
			}
			wheels, err := filepath.Glob(filepath.Join(dir, "*.whl"))
			if err != nil || len(wheels) != 1 {
				return fmt.Errorf("unpack flink: found %q: %w", wheels, errors.Join(err, os.ErrNotExist))
			}
			if _, err := run(ctx, dir, nil, "python3", "-m", "zipfile", "-e", wheels[0], dir); err != nil {
				return err
			}
			return os.Remove(wheels[0])
		},
	})

	// Apache Kafka Connect with the sink of Apache Iceberg as a plugin.
	connect = register(Service{
		Name:     "kafka-connect",
		Optional: true,
		Recipe:   connectPOM + connectIcebergPOM,
		Fetch: func(ctx context.Context, dir string) error {
			plugin := filepath.Join(dir, "plugins", "iceberg")
			if err := os.MkdirAll(plugin, 0o755); err != nil {
				return err
			}
			if err := mavenJars(ctx, dir, connectPOM); err != nil {
				return err
			}
			return mavenJars(ctx, plugin, connectIcebergPOM)
		},
	})
)

const flinkPackage = "apache-flink-libraries==2.3.0"
