package peer

import (
	_ "embed"
	"encoding/json"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"text/template"

	"github.com/leatdb/leat/bench/taxi"
	"github.com/leatdb/leat/internal/services"
)

var (
	//go:embed connect/sink.json.tmpl
	connectSink string
	//go:embed connect/table.py
	connectTable string
	//go:embed connect/files.py
	connectFiles string

	connectTemplate = template.Must(template.New("sink.json").Parse(connectSink))
)

// ConnectConfig is what Kafka Connect's Iceberg sink is made of: a topic, and a
// table in a catalog in an SQLite file.
type ConnectConfig struct {
	Topic   string
	Control string // its own topic for commits, which must exist
	Table   string
	Dir     string
	Tasks   int
	Layout  taxi.Layout
}

// Catalog is the SQLite file.
func (c ConnectConfig) Catalog() string { return filepath.Join(c.Dir, "catalog.db") }

// Warehouse is the folder of the tables.
func (c ConnectConfig) Warehouse() string { return filepath.Join(c.Dir, "warehouse") }

// Settings are the connector's.
func (c ConnectConfig) Settings() (settings map[string]string, err error) {
	var b strings.Builder
	if err := connectTemplate.Execute(&b, c); err != nil {
		return nil, err
	}
	return settings, json.Unmarshal([]byte(b.String()), &settings)
}

// CreateTable makes the table, typed and partitioned.
func (c ConnectConfig) CreateTable(t services.TB) {
	services.RunPython(t, connectTable, c.Catalog(), c.Warehouse(), c.Table, c.Layout.Column, strconv.Itoa(c.Layout.Partitions))
}

// KeepCommitted removes the Parquet files that the table does not name.
func (c ConnectConfig) KeepCommitted(t services.TB) error {
	var list []string
	out := services.RunPython(t, connectFiles, c.Catalog(), c.Warehouse(), c.Table)
	if err := json.Unmarshal(out, &list); err != nil {
		return fmt.Errorf("list the table's files: %w", err)
	}
	committed := map[string]bool{}
	for _, path := range list {
		committed[filepath.Clean("/"+strings.TrimLeft(path, "/"))] = true
	}
	kept := 0
	err := filepath.WalkDir(c.Warehouse(), func(path string, d fs.DirEntry, err error) error {
		switch {
		case err != nil || d.IsDir() || !strings.HasSuffix(path, ".parquet"):
			return err
		case committed[path]:
			kept++
			return nil
		}
		return os.Remove(path)
	})
	if err == nil && kept != len(committed) {
		err = fmt.Errorf("the table names %d files, %d of them lie in %s", len(committed), kept, c.Warehouse())
	}
	return err
}
