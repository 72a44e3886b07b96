package services

import (
	"context"
	_ "embed"
	"net"
	"os"
	"path/filepath"
)

//go:embed moto/requirements.txt
var motoRequirements string

// motoServer adds to moto what Glue refuses and moto does not.
//
//go:embed moto/server.py
var motoServer []byte

var moto = register(Service{
	Name:   "moto",
	Recipe: motoRequirements + platform(),
	Fetch: func(ctx context.Context, dir string) error {
		return pythonEnvironment(ctx, dir, motoRequirements)
	},
})

// Moto is an imitation of AWS: Glue, Secrets Manager and others, in memory. It
// takes any credentials.
type Moto struct {
	*Process
	Endpoint string // such as http://127.0.0.1:5555
}

// StartMoto starts moto's server. Updates of Glue tables are refused when their
// version is not the newest, and more than 100 partitions of a call, as by AWS.
func StartMoto(t TB) *Moto {
	t.Helper()
	address := FreeAddresses(t, 1)[0]
	host, port, err := net.SplitHostPort(address)
	if err != nil {
		t.Fatal(err)
	}
	script := filepath.Join(t.TempDir(), "server.py")
	if err := os.WriteFile(script, motoServer, 0o600); err != nil {
		t.Fatal(err)
	}
	m := &Moto{Endpoint: "http://" + address}
	m.Process = start(t, command{
		name:    "moto",
		program: filepath.Join(moto.mustDir(t), "venv", "bin", "python"),
		args:    []string{script, "-H", host, "-p", port},
		env:     []string{"PYTHONDONTWRITEBYTECODE=1", "PYTHONNOUSERSITE=1", "PYTHONPATH=", "PYTHONUTF8=1"},
		ready:   answers(m.Endpoint + "/moto-api/"),
	})
	return m
}

// RunPython is RunPython with boto3 importable. The first argument of the script
// is the endpoint.
func (m *Moto) RunPython(t TB, source string, args ...string) []byte {
	t.Helper()
	return runPython(t, filepath.Join(moto.mustDir(t), "venv", "bin", "python"), source, append([]string{m.Endpoint}, args...)...)
}
