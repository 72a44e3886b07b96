package services

import (
	"bufio"
	"bytes"
	"context"
	_ "embed"
	"encoding/json"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"time"
)

//go:embed spark/pom.xml
var sparkPOM string

//go:embed spark/Query.java
var sparkQuery []byte

// Apache Spark with Apache Iceberg's part of it and SQLite's driver for the
// catalog. It needs Java 17 or newer to run and Maven to be installed.
var spark = register(Service{
	Name:   "spark",
	Recipe: sparkPOM,
	Fetch: func(ctx context.Context, dir string) error {
		return mavenJars(ctx, dir, sparkPOM)
	},
})

// sparkTimeout bounds one session, which starts for ten seconds and answers ten
// statements a second on an idle machine.
const sparkTimeout = 10 * time.Minute

// SparkResult is what a statement gave.
type SparkResult struct {
	// Rows are the texts of the values, nil for NULL.
	Rows [][]*string
	// Scanned is how many rows the scans of files gave to the rest of the plan:
	// less than the files have where Spark skipped parts of them.
	Scanned int64
	// Error is why the statement failed, with a stack trace.
	Error string
}

// SparkIceberg is the configuration of a catalog of this name in the SQLite file
// of a local catalog.
func SparkIceberg(name, file, warehouse string) map[string]string {
	catalog := "spark.sql.catalog." + name
	return map[string]string{
		"spark.sql.extensions":           "org.apache.iceberg.spark.extensions.IcebergSparkSessionExtensions",
		catalog:                          "org.apache.iceberg.spark.SparkCatalog",
		catalog + ".catalog-impl":        "org.apache.iceberg.jdbc.JdbcCatalog",
		catalog + ".uri":                 "jdbc:sqlite:" + file,
		catalog + ".jdbc.schema-version": "V1",
		catalog + ".warehouse":           warehouse,
		catalog + ".cache-enabled":       "false",
	}
}

// RunSpark runs statements, which have no line breaks, in one session of Spark
// with further configuration, whose time zone is UTC, and returns what each gave.
// A statement that fails ends the test.
func RunSpark(t TB, config map[string]string, statements []string) []SparkResult {
	t.Helper()
	installed, scratch := spark.mustDir(t), t.TempDir()
	program, list, answers := filepath.Join(scratch, "Query.java"), filepath.Join(scratch, "statements.sql"), filepath.Join(scratch, "answers.json")
	for path, content := range map[string][]byte{program: sparkQuery, list: []byte(strings.Join(statements, "\n"))} {
		if err := os.WriteFile(path, content, 0o600); err != nil {
			t.Fatal(err)
		}
	}
	all := map[string]string{
		"spark.master": "local[2]", "spark.ui.enabled": "false", "spark.log.level": "ERROR", "spark.sql.shuffle.partitions": "1",
		// The plan that ran is the one that was made, so that its scans can be counted.
		"spark.sql.adaptive.enabled": "false",
		"spark.sql.session.timeZone": "UTC",
		// Statements over little data take longer to compile than to interpret.
		"spark.sql.codegen.wholeStage":    "false",
		"spark.sql.codegen.factoryMode":   "NO_CODEGEN",
		"spark.sql.files.openCostInBytes": "0",
		"spark.local.dir":                 scratch,
		"spark.sql.warehouse.dir":         filepath.Join(scratch, "warehouse"),
		"spark.driver.bindAddress":        "127.0.0.1",
		"spark.driver.host":               "127.0.0.1",
		"spark.sql.catalogImplementation": "in-memory",
	}
	maps.Copy(all, config)
	// The machine reserves little memory for the code of one compiler, which Spark fills
	// up: it would go on interpreted.
	options := []string{"-Dfile.encoding=UTF-8", "-XX:ReservedCodeCacheSize=240m"}
	// What Spark opens for itself where its own scripts start it.
	for _, p := range []string{
		"java.io", "java.lang", "java.lang.invoke", "java.lang.reflect", "java.net", "java.nio", "java.util", "java.util.concurrent",
		"java.util.concurrent.atomic", "sun.nio.ch", "sun.nio.cs", "sun.security.action", "sun.util.calendar",
	} {
		options = append(options, "--add-opens=java.base/"+p+"=ALL-UNNAMED")
	}
	arguments := []string{list, answers}
	for _, key := range slices.Sorted(maps.Keys(all)) {
		arguments = append(arguments, key+"="+all[key])
	}
	machine, args := java(installed, "1g", options, program, arguments...)
	ctx, cancel := context.WithTimeout(t.Context(), sparkTimeout)
	defer cancel()
	if _, err := run(ctx, scratch, []string{"SPARK_LOCAL_IP=127.0.0.1"}, machine, args...); err != nil {
		t.Fatalf("run statements in spark: %v", err)
	}
	out, err := os.ReadFile(answers)
	if err != nil {
		t.Fatalf("read what spark has answered: %v", err)
	}
	var results []SparkResult
	lines := bufio.NewScanner(bytes.NewReader(out))
	lines.Buffer(nil, len(out)+1)
	for lines.Scan() {
		var r SparkResult
		if err := json.Unmarshal(lines.Bytes(), &r); err != nil {
			t.Fatalf("read what spark has answered: %v: %.200s", err, lines.Bytes())
		}
		results = append(results, r)
	}
	if err := lines.Err(); err != nil || len(results) != len(statements) {
		t.Fatalf("spark has answered %d of %d statements: %v", len(results), len(statements), err)
	}
	for i, r := range results {
		if r.Error != "" {
			t.Errorf("spark: %.300s: %.2000s", statements[i], r.Error)
		}
	}
	if t.Failed() {
		t.Fatal("a statement has failed")
	}
	return results
}
