package services

import (
	"bytes"
	"context"
	_ "embed"
	"os"
	"os/exec"
	"path/filepath"
	"syscall"
	"time"
)

//go:embed python/requirements.txt
var pythonRequirements string

// python holds the independent readers: pyiceberg (SQLite catalog, S3),
// pyarrow, DuckDB's own package, PyMySQL.
var python = register(Service{
	Name:   "python",
	Recipe: pythonRequirements + platform(),
	Fetch: func(ctx context.Context, dir string) error {
		return pythonEnvironment(ctx, dir, pythonRequirements)
	},
})

// pythonTimeout bounds one script.
const pythonTimeout = 5 * time.Minute

// RunPython runs Python source with arguments, in the test's folder and with the
// independent readers importable, and returns its standard output. A script
// that fails ends the test with its traceback.
func RunPython(t TB, source string, args ...string) []byte {
	t.Helper()
	return runPython(t, filepath.Join(python.mustDir(t), "venv", "bin", "python"), source, args...)
}

func runPython(t TB, program, source string, args ...string) []byte {
	t.Helper()
	// A file, so that tracebacks show the lines.
	script := filepath.Join(t.TempDir(), "script.py")
	if err := os.WriteFile(script, []byte(source), 0o600); err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithTimeout(t.Context(), pythonTimeout)
	defer cancel()
	cmd := exec.CommandContext(ctx, program, append([]string{script}, args...)...)
	// Scripts see what the test hands them, not the settings of whoever runs it.
	cmd.Env = append(os.Environ(), "PYTHONDONTWRITEBYTECODE=1", "PYTHONNOUSERSITE=1", "PYTHONPATH=", "PYTHONUTF8=1")
	cmd.SysProcAttr = &syscall.SysProcAttr{Setpgid: true}
	cmd.Cancel = func() error { return syscall.Kill(-cmd.Process.Pid, syscall.SIGKILL) }
	var stdout, stderr bytes.Buffer
	cmd.Stdout, cmd.Stderr = &stdout, &stderr
	if err := cmd.Run(); err != nil {
		t.Fatalf("run python script: %v\nstandard output:\n%s\nstandard error:\n%s",
			err, tail(stdout.Bytes(), logTailBytes), tail(stderr.Bytes(), logTailBytes))
	}
	return stdout.Bytes()
}
