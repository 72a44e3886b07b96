package engine_test

import (
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
)

// Who embeds the engine and forgets the tags is told which they are, by one
// error and not by a page of them from a dependency.
func TestBuildTags_MissingOnesAreNamed(t *testing.T) {
	cmd := exec.CommandContext(t.Context(), "go", "build", "-tags", "", ".")
	cmd.Env = append(os.Environ(), "GOFLAGS=")
	out, err := cmd.CombinedOutput()
	if err == nil {
		t.Fatal("the engine compiles without its tags")
	}
	var problems []string
	for line := range strings.Lines(string(out)) {
		if !strings.HasPrefix(line, "#") {
			problems = append(problems, line)
		}
	}
	if len(problems) != 1 || !strings.Contains(problems[0], "build_with_tags_gms_pure_go_and_duckdb_arrow") {
		t.Errorf("the compiler says:\n%s", out)
	}
}

func TestBuildTags_EveryFileAsksForThem(t *testing.T) {
	for _, pattern := range []string{"*.go", "../sql/mysqlserver/*.go", "../cmd/leat/*.go"} {
		files, err := filepath.Glob(pattern)
		if err != nil || len(files) == 0 {
			t.Fatalf("%s: %d files, %v", pattern, len(files), err)
		}
		for _, name := range files {
			text, err := os.ReadFile(name)
			if err != nil {
				t.Fatal(err)
			}
			if strings.HasSuffix(name, "_test.go") || strings.HasSuffix(name, "buildtags.go") {
				continue
			}
			if !strings.Contains(string(text), "gms_pure_go && duckdb_arrow") {
				t.Errorf("%s has no line //go:build gms_pure_go && duckdb_arrow", name)
			}
		}
	}
}
