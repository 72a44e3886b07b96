package services

import (
	"bytes"
	"context"
	_ "embed"
	"encoding/json"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"text/template"
	"time"
)

var (
	//go:embed peers/flink.yaml.tmpl
	flinkConfig string

	flinkTemplate = template.Must(template.New("config.yaml").Parse(flinkConfig))
)

// FlinkVersion is the version that is installed.
func FlinkVersion() (string, error) {
	_, err := flink.installed()
	return strings.TrimPrefix(flinkPackage, "apache-flink-libraries=="), err
}

// Flink is a cluster of Apache Flink with an SQL Gateway.
type Flink struct {
	JobManager, TaskManager, Gateway *Process

	t       TB
	rest    string // of the JobManager
	gateway string
	session string
}

// StartFlink starts a cluster whose TaskManager has so many slots, which is the
// parallelism of its jobs.
func StartFlink(t TB, slots int) *Flink {
	t.Helper()
	installed := flink.mustDir(t)
	scratch := t.TempDir()
	address := FreeAddresses(t, 3)
	port := func(i int) string {
		_, p, _ := net.SplitHostPort(address[i])
		return p
	}
	conf := filepath.Join(scratch, "conf")
	for _, dir := range []string{conf, filepath.Join(scratch, "tmp"), filepath.Join(scratch, "checkpoints")} {
		if err := os.MkdirAll(dir, 0o755); err != nil {
			t.Fatal(err)
		}
	}
	var text bytes.Buffer
	if err := flinkTemplate.Execute(&text, map[string]any{"RPC": port(0), "REST": port(1), "Gateway": port(2), "Slots": slots, "Scratch": scratch}); err != nil {
		t.Fatal(err)
	}
	for name, content := range map[string]string{"config.yaml": text.String(), "log4j2.xml": kafkaLog4j} {
		if err := os.WriteFile(filepath.Join(conf, name), []byte(content), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	f := &Flink{t: t, rest: "http://" + address[1], gateway: "http://" + address[2]}
	home := filepath.Join(installed, "pyflink")
	env := []string{
		"FLINK_CONF_DIR=" + conf, "FLINK_LIB_DIR=" + filepath.Join(home, "lib"), "FLINK_OPT_DIR=" + filepath.Join(home, "opt"),
		"FLINK_PLUGINS_DIR=" + filepath.Join(home, "plugins"),
	}
	program := "java"
	if home := os.Getenv("JAVA_HOME"); home != "" {
		program = filepath.Join(home, "bin", "java")
	}
	classpath := strings.Join([]string{filepath.Join(home, "lib", "*"), filepath.Join(installed, "libs", "*"), filepath.Join(home, "bin", "bash-java-utils.jar")}, ":")
	options := []string{"-Dlog4j.configurationFile=" + filepath.Join(conf, "log4j2.xml"), "--add-exports=java.base/sun.net.util=ALL-UNNAMED"}
	for _, pkg := range []string{
		"java.lang", "java.net", "java.io", "java.nio", "sun.nio.ch", "java.lang.reflect", "java.text", "java.time", "java.util",
		"java.util.concurrent", "java.util.concurrent.atomic", "java.util.concurrent.locks",
	} {
		options = append(options, "--add-opens=java.base/"+pkg+"=ALL-UNNAMED")
	}
	launch := func(name, class string, memory, args []string, ready func(ctx context.Context, log []byte) error) *Process {
		all := append(append([]string{}, memory...), options...)
		all = append(all, "-cp", classpath, class, "--configDir", conf)
		if class == flinkGatewayClass {
			all = all[:len(all)-2] // it takes the folder from the environment
		}
		return start(t, command{name: name, program: program, args: append(all, args...), env: env, dir: scratch, ready: ready})
	}
	memory, args := f.memory(program, classpath, "GET_JM_RESOURCE_PARAMS", conf, env)
	f.JobManager = launch("flink-jobmanager", "org.apache.flink.runtime.entrypoint.StandaloneSessionClusterEntrypoint", memory, args,
		func(ctx context.Context, _ []byte) error { return f.get(ctx, f.rest+"/overview", nil) })
	memory, args = f.memory(program, classpath, "GET_TM_RESOURCE_PARAMS", conf, env)
	f.TaskManager = launch("flink-taskmanager", "org.apache.flink.runtime.taskexecutor.TaskManagerRunner", memory, args,
		func(ctx context.Context, _ []byte) error {
			var overview struct {
				Slots int `json:"slots-total"`
			}
			if err := f.get(ctx, f.rest+"/overview", &overview); err != nil {
				return err
			}
			if overview.Slots < slots {
				return fmt.Errorf("%d of %d slots", overview.Slots, slots)
			}
			return nil
		})
	f.Gateway = launch("flink-gateway", flinkGatewayClass, []string{"-Xmx512m", "-XX:+UseSerialGC"}, nil,
		func(ctx context.Context, _ []byte) error { return f.get(ctx, f.gateway+"/v1/info", nil) })
	var session struct{ SessionHandle string }
	if err := f.post(t.Context(), f.gateway+"/v1/sessions", map[string]any{}, &session); err != nil {
		t.Fatalf("open a session of Flink's SQL gateway: %v", err)
	}
	f.session = session.SessionHandle
	return f
}

const flinkGatewayClass = "org.apache.flink.table.gateway.SqlGateway"

// memory asks Flink for the Java options and arguments that its memory settings
// come down to.
func (f *Flink) memory(program, classpath, what, conf string, env []string) (options, args []string) {
	f.t.Helper()
	out, err := run(f.t.Context(), conf, env, program, "-cp", classpath, "org.apache.flink.runtime.util.bash.BashJavaUtils", what, "--configDir", conf)
	if err != nil {
		f.t.Fatalf("ask Flink for its memory settings: %v", err)
	}
	var lines [][]string
	for line := range strings.Lines(string(out)) {
		if result, ok := strings.CutPrefix(line, "BASH_JAVA_UTILS_EXEC_RESULT:"); ok {
			lines = append(lines, strings.Fields(result))
		}
	}
	if len(lines) != 2 {
		f.t.Fatalf("ask Flink for its memory settings: it answered %q", out)
	}
	return lines[0], lines[1]
}

// Exec runs a statement and waits for its result; for an INSERT that is the id
// of its job, which goes on.
func (f *Flink) Exec(ctx context.Context, statement string) (jobID string, err error) {
	var operation struct{ OperationHandle string }
	base := f.gateway + "/v1/sessions/" + f.session
	if err := f.post(ctx, base+"/statements", map[string]any{"statement": statement}, &operation); err != nil {
		return "", err
	}
	base += "/operations/" + operation.OperationHandle
	var status struct{ Status string }
	for status.Status != "FINISHED" && status.Status != "ERROR" {
		if err := f.pause(ctx); err != nil {
			return "", err
		}
		if err := f.get(ctx, base+"/status", &status); err != nil {
			return "", err
		}
	}
	var result struct {
		JobID string `json:"jobID"`
	}
	if err := f.get(ctx, base+"/result/0", &result); err != nil {
		return "", fmt.Errorf("run %.60s …: %w", statement, err)
	}
	return result.JobID, nil
}

// pause is between two looks at how far Flink is.
func (f *Flink) pause(ctx context.Context) error {
	select {
	case <-ctx.Done():
		return ctx.Err()
	case <-time.After(100 * time.Millisecond):
		return nil
	}
}

// AwaitJob waits until a job has finished and returns how long it ran.
func (f *Flink) AwaitJob(ctx context.Context, id string) (time.Duration, error) {
	var job struct {
		State    string `json:"state"`
		Duration int64  `json:"duration"`
	}
	for {
		if err := f.get(ctx, f.rest+"/jobs/"+id, &job); err != nil {
			return 0, err
		}
		switch job.State {
		case "FINISHED":
			return time.Duration(job.Duration) * time.Millisecond, nil
		case "FAILED", "CANCELED":
			var why struct {
				Root string `json:"root-exception"`
			}
			_ = f.get(ctx, f.rest+"/jobs/"+id+"/exceptions", &why) // it is only to say why
			return 0, fmt.Errorf("the job is %s: %.500s", job.State, why.Root)
		}
		if err := f.pause(ctx); err != nil {
			return 0, err
		}
	}
}

func (f *Flink) get(ctx context.Context, url string, answer any) error {
	return httpJSON(ctx, http.MethodGet, url, nil, answer)
}

func (f *Flink) post(ctx context.Context, url string, body, answer any) error {
	return httpJSON(ctx, http.MethodPost, url, body, answer)
}

// httpJSON sends a body, unless nil, as JSON, and reads the answer, unless nil,
// the same way. A status of 300 and above is an error with what it says.
func httpJSON(ctx context.Context, method, url string, body, answer any) error {
	var send io.Reader
	if body != nil {
		text, err := json.Marshal(body)
		if err != nil {
			return err
		}
		send = bytes.NewReader(text)
	}
	req, err := http.NewRequestWithContext(ctx, method, url, send)
	if err != nil {
		return err
	}
	req.Header.Set("Content-Type", "application/json")
	resp, err := http.DefaultClient.Do(req)
	if err != nil {
		return err
	}
	defer resp.Body.Close()
	text, err := io.ReadAll(resp.Body)
	if err != nil {
		return err
	}
	if resp.StatusCode >= 300 {
		return fmt.Errorf("%s %s: %s: %s", method, url, resp.Status, tail(text, 1500))
	}
	if answer == nil {
		return nil
	}
	return json.Unmarshal(text, answer)
}
