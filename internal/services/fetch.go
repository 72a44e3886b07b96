package services

import (
	"bytes"
	"context"
	"fmt"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"slices"
	"strings"
	"time"
)

// run executes a program of an installation and returns its standard output.
// The error carries the end of what the program printed, or is exec.ErrNotFound
// when there is no such program.
func run(ctx context.Context, dir string, env []string, name string, args ...string) ([]byte, error) {
	cmd := exec.CommandContext(ctx, name, args...)
	cmd.Dir = dir
	cmd.Env = append(os.Environ(), env...)
	cmd.WaitDelay = 5 * time.Second
	var stdout, stderr bytes.Buffer
	cmd.Stdout, cmd.Stderr = &stdout, &stderr
	if err := cmd.Run(); err != nil {
		return nil, fmt.Errorf("run %s: %w\n%s%s", filepath.Base(name), err, tail(stdout.Bytes(), 4096), tail(stderr.Bytes(), 4096))
	}
	return stdout.Bytes(), nil
}

// tail is the last max bytes of text, from the start of a line on.
func tail(text []byte, max int) []byte {
	if len(text) <= max {
		return text
	}
	text = text[len(text)-max:]
	if i := bytes.IndexByte(text, '\n'); i >= 0 {
		text = text[i+1:]
	}
	return text
}

// mavenJars copies the runtime dependencies of a pom into dir/libs.
func mavenJars(ctx context.Context, dir, pom string) error {
	file := filepath.Join(dir, "pom.xml")
	if err := os.WriteFile(file, []byte(pom), 0o644); err != nil {
		return err
	}
	_, err := run(ctx, dir, nil, "mvn", "-B", "-q", "-Dstyle.color=never", "-f", file,
		"org.apache.maven.plugins:maven-dependency-plugin:3.9.0:copy-dependencies",
		"-DoutputDirectory="+filepath.Join(dir, "libs"), "-DincludeScope=runtime")
	return err
}

// goInstall builds the main package of a Go module at a version into dir/bin.
func goInstall(ctx context.Context, dir, pkg, version string) error {
	// Flags meant for Leat's own module, such as -mod or -tags, are none of the
	// other module's business.
	_, err := run(ctx, dir, []string{"GOBIN=" + filepath.Join(dir, "bin"), "GOFLAGS="}, "go", "install", "-trimpath", pkg+"@"+version)
	return err
}

// pythonEnvironment makes a virtual environment in dir/venv with the packages of
// a requirements file.
func pythonEnvironment(ctx context.Context, dir, requirements string) error {
	file := filepath.Join(dir, "requirements.txt")
	if err := os.WriteFile(file, []byte(requirements), 0o644); err != nil {
		return err
	}
	if _, err := run(ctx, dir, nil, "python3", "-m", "venv", filepath.Join(dir, "venv")); err != nil {
		return err
	}
	python := filepath.Join(dir, "venv", "bin", "python")
	_, err := run(ctx, dir, nil, python, "-m", "pip", "install", "--quiet", "--disable-pip-version-check", "-r", file)
	return err
}

// debianPackages unpacks a Debian package, and those it depends on that the
// machine lacks, into dir/root. It neither needs root nor changes the machine:
// the package lists are fetched into dir, and nothing is configured.
func debianPackages(ctx context.Context, dir, name string) error {
	for _, sub := range []string{"apt/lists/partial", "apt/cache/archives/partial", "debs", "root"} {
		if err := os.MkdirAll(filepath.Join(dir, sub), 0o755); err != nil {
			return err
		}
	}
	env := []string{"DEBIAN_FRONTEND=noninteractive", "LC_ALL=C"}
	apt := func(args ...string) ([]byte, error) {
		return run(ctx, filepath.Join(dir, "debs"), env, "apt-get", append([]string{
			"-o", "Dir::State::lists=" + filepath.Join(dir, "apt/lists"),
			"-o", "Dir::Cache=" + filepath.Join(dir, "apt/cache"),
			"-o", "APT::Sandbox::User=root",
			"-o", "Debug::NoLocking=true",
		}, args...)...)
	}
	if _, err := apt("update", "-qq"); err != nil {
		return err
	}
	plan, err := apt("install", "--simulate", "--reinstall", "--no-install-recommends", name)
	if err != nil {
		return err
	}
	var packages []string
	for line := range strings.Lines(string(plan)) {
		if f := strings.Fields(line); len(f) > 1 && f[0] == "Inst" {
			packages = append(packages, f[1])
		}
	}
	if !slices.Contains(packages, name) {
		return fmt.Errorf("plan the download of %s: apt-get names only %q", name, packages)
	}
	if _, err := apt(append([]string{"download", "-qq"}, packages...)...); err != nil {
		return err
	}
	debs, err := filepath.Glob(filepath.Join(dir, "debs", "*.deb"))
	if err != nil {
		return err
	}
	for _, deb := range debs {
		if _, err := run(ctx, dir, nil, "dpkg", "-x", deb, filepath.Join(dir, "root")); err != nil {
			return err
		}
	}
	return os.RemoveAll(filepath.Join(dir, "apt"))
}

// libraryFolders lists the folders below root that hold shared libraries.
func libraryFolders(root string) ([]string, error) {
	var dirs []string
	err := filepath.WalkDir(root, func(path string, entry fs.DirEntry, err error) error {
		if err == nil && strings.Contains(entry.Name(), ".so") && !entry.IsDir() {
			dirs = append(dirs, filepath.Dir(path))
		}
		return err
	})
	slices.Sort(dirs)
	return slices.Compact(dirs), err
}

// java returns the program and the arguments that run a class of the jars in
// dir/libs with at most heap of memory, such as "256m".
func java(dir, heap string, options []string, class string, args ...string) (program string, all []string) {
	program, all = javaMachine(heap)
	all = append(all, options...)
	all = append(all, "-cp", filepath.Join(dir, "libs", "*"), class)
	return program, append(all, args...)
}

// javaMachine returns the program and its arguments up to what it runs.
func javaMachine(heap string) (program string, args []string) {
	program = "java"
	if home := os.Getenv("JAVA_HOME"); home != "" {
		program = filepath.Join(home, "bin", "java")
	}
	// One collector thread and no second compiler: the servers share few cores
	// with the tests.
	return program, []string{"-Xms" + heap, "-Xmx" + heap, "-XX:+UseSerialGC", "-XX:TieredStopAtLevel=1"}
}

// platform distinguishes installations of compiled code in a recipe.
func platform() string { return runtime.GOOS + "/" + runtime.GOARCH }
