//go:build unix

package objectstore_test

import (
	"bufio"
	"context"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/leatdb/leat/internal/objectstore"
)

const writerEnv = "LEAT_TEST_WRITER"

// writeAndWait is a process that writes an object below a folder and waits with
// the bytes on disk, before it is finished, until its input ends. Then it
// finishes it.
func writeAndWait(folder string) error {
	s, err := objectstore.OpenLocal(folder)
	if err != nil {
		return err
	}
	w, err := s.Create(context.Background(), "t/data/k=1/a.parquet", objectstore.WriterOptions{})
	if err != nil {
		return err
	}
	for range 40 { // more than a writer gathers
		if err := w.Write(context.Background(), make([]byte, 64<<10)); err != nil {
			return err
		}
	}
	fmt.Println("written")
	for in := bufio.NewScanner(os.Stdin); in.Scan(); {
	}
	_, err = w.Commit(context.Background())
	return err
}

// TestLocal_Sweep kills a process that writes: what it leaves behind goes, what
// a living one writes stays, and so does all that is not temporary.
func TestLocal_Sweep(t *testing.T) {
	if folder := os.Getenv(writerEnv); folder != "" {
		if err := writeAndWait(folder); err != nil {
			t.Fatal(err)
		}
		return
	}
	folder := t.TempDir()
	start := func() (*exec.Cmd, func()) {
		t.Helper()
		cmd := exec.CommandContext(t.Context(), os.Args[0], "-test.run=^TestLocal_Sweep$")
		cmd.Env = append(os.Environ(), writerEnv+"="+folder)
		in, err := cmd.StdinPipe()
		if err != nil {
			t.Fatal(err)
		}
		out, err := cmd.StdoutPipe()
		if err != nil {
			t.Fatal(err)
		}
		if err := cmd.Start(); err != nil {
			t.Fatal(err)
		}
		if lines := bufio.NewScanner(out); !lines.Scan() || lines.Text() != "written" {
			t.Fatalf("the writer says %q", lines.Text())
		}
		return cmd, func() { _ = in.Close() }
	}
	temporary := func() []string {
		t.Helper()
		names, err := filepath.Glob(filepath.Join(folder, "t/data/k=1/.*.leat-tmp"))
		if err != nil {
			t.Fatal(err)
		}
		return names
	}
	dead, _ := start()
	if err := dead.Process.Kill(); err != nil {
		t.Fatal(err)
	}
	_ = dead.Wait()
	left := temporary()
	living, finish := start()
	if len(left) != 1 || len(temporary()) != 2 {
		t.Fatalf("a dead and a living writer have %v", temporary())
	}

	s := openStore(t, objectstore.Config{URI: folder})
	own, err := s.Create(t.Context(), "t/data/k=1/own.parquet", objectstore.WriterOptions{})
	if err != nil {
		t.Fatal(err)
	}
	if err := own.Write(t.Context(), make([]byte, 2<<20)); err != nil {
		t.Fatal(err)
	}
	staged, err := s.(objectstore.Stager).Stage(t.Context(), "t/b.parquet", "t/_leat/staged", objectstore.WriterOptions{})
	if err != nil {
		t.Fatal(err)
	}
	if err := staged.Write(t.Context(), make([]byte, 2<<20)); err != nil {
		t.Fatal(err)
	}
	upload, err := staged.Finish(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	others := []string{"t/.hidden-1", "t/x-1.leat-tmp", "t/.of-somebody.leat-tmp"}
	for _, name := range others {
		if err := os.WriteFile(filepath.Join(folder, name), nil, 0o644); err != nil {
			t.Fatal(err)
		}
	}

	sweeper := s.(objectstore.Sweeper)
	if n, err := sweeper.Sweep(t.Context(), "elsewhere"); n != 0 || err != nil {
		t.Errorf("removed %d files of a folder that does not exist, error %v", n, err)
	}
	if n, err := sweeper.Sweep(t.Context(), "t"); n != 1 || err != nil {
		t.Errorf("removed %d files, error %v", n, err)
	}
	now := temporary()
	if len(now) != 2 || slices.Contains(now, left[0]) {
		t.Errorf("of %v there are %v left", left, now)
	}
	for _, name := range others {
		if _, err := os.Stat(filepath.Join(folder, name)); err != nil {
			t.Error(err)
		}
	}
	finish()
	if err := living.Wait(); err != nil {
		t.Errorf("the living writer: %v", err)
	}
	if _, err := own.Commit(t.Context()); err != nil {
		t.Error(err)
	}
	if _, err := s.(objectstore.Stager).Complete(t.Context(), upload); err != nil {
		t.Error(err)
	}
	infos, _, err := s.List(t.Context(), "t/", "", 0)
	if err != nil {
		t.Fatal(err)
	}
	var keys []string
	for _, info := range infos {
		keys = append(keys, info.Key)
	}
	if got := strings.Join(keys, " "); !strings.Contains(got, "t/data/k=1/a.parquet t/data/k=1/own.parquet") || !strings.Contains(got, "t/b.parquet") {
		t.Errorf("there are %s", got)
	}
	if n, err := sweeper.Sweep(t.Context(), ""); n != 0 || err != nil || len(temporary()) != 0 {
		t.Errorf("in the end %d files were removed, error %v, and there are %v", n, err, temporary())
	}
}
