package heap_test

import (
	"fmt"
	"os"
	"os/exec"
	"runtime"
	"runtime/metrics"
	"slices"
	"strings"
	"testing"

	_ "github.com/leatdb/leat/cmd/leat/internal/heap"
)

// settings are GOGC and GOMEMLIMIT as they are now.
func settings() string {
	s := []metrics.Sample{{Name: "/gc/gogc:percent"}, {Name: "/gc/gomemlimit:bytes"}}
	metrics.Read(s)
	return fmt.Sprint(int64(s[0].Value.Uint64()), " ", int64(s[1].Value.Uint64()))
}

// TestMain is also the process that TestFirstCollection looks at, which says what
// its settings are when it starts and after it has collected.
func TestMain(m *testing.M) {
	if os.Getenv("LEAT_TEST_HEAP") == "" {
		os.Exit(m.Run())
	}
	before := settings()
	runtime.GC()
	for os.Getenv("LEAT_TEST_HEAP") == "changes" && settings() == before {
		runtime.Gosched()
	}
	fmt.Println(before, "then", settings())
}

func TestFirstCollection(t *testing.T) {
	f := func(kind, want string, env ...string) {
		t.Helper()
		cmd := exec.Command(os.Args[0])
		cmd.Env = slices.DeleteFunc(os.Environ(), func(s string) bool {
			return strings.HasPrefix(s, "GOGC=") || strings.HasPrefix(s, "GOMEMLIMIT=")
		})
		cmd.Env = append(append(cmd.Env, "LEAT_TEST_HEAP="+kind), env...)
		out, err := cmd.CombinedOutput()
		if err != nil {
			t.Fatalf("%v: %v: %s", env, err, out)
		}
		if got := strings.TrimSpace(string(out)); got != want {
			t.Errorf("%v: settings are %s, want %s", env, got, want)
		}
	}
	const most = "9223372036854775807"
	f("changes", "-1 100663296 then 100 "+most)
	f("stays", "50 "+most+" then 50 "+most, "GOGC=50")
	f("stays", "100 268435456 then 100 268435456", "GOMEMLIMIT=256MiB")
}
