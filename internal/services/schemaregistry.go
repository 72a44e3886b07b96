package services

import (
	"context"
	"net"
	"os"
	"path/filepath"
)

const (
	apicurioArtifact = "io.apicurio:apicurio-registry-app:3.0.9:tar.gz:all"
	apicurioArchive  = "apicurio-registry-app-3.0.9-all.tar.gz"
	apicurioJar      = "apicurio-registry-app-3.0.9-runner.jar"
)

// Apicurio Registry speaks the protocol of Confluent's schema registry too. It
// needs Java 17 to run and Maven to be installed.
var schemaRegistry = register(Service{
	Name:   "schema-registry",
	Recipe: apicurioArtifact,
	Fetch: func(ctx context.Context, dir string) error {
		if _, err := run(ctx, dir, nil, "mvn", "-B", "-q", "-Dstyle.color=never", "org.apache.maven.plugins:maven-dependency-plugin:3.9.0:copy",
			"-Dartifact="+apicurioArtifact, "-DoutputDirectory="+dir); err != nil {
			return err
		}
		archive := filepath.Join(dir, apicurioArchive)
		if _, err := run(ctx, dir, nil, "tar", "-xzf", archive, "-C", dir); err != nil {
			return err
		}
		return os.Remove(archive)
	},
})

// SchemaRegistry keeps schemas in memory. It asks nobody for a login.
type SchemaRegistry struct {
	*Process
	URL string // of the protocol of Confluent's registry
}

// StartSchemaRegistry starts a registry of its own for the test.
func StartSchemaRegistry(t TB) *SchemaRegistry {
	t.Helper()
	installed := schemaRegistry.mustDir(t)
	address := FreeAddresses(t, 1)[0]
	host, port, err := net.SplitHostPort(address)
	if err != nil {
		t.Fatal(err)
	}
	r := &SchemaRegistry{URL: "http://" + address + "/apis/ccompat/v7"}
	program, args := javaMachine("256m")
	args = append(args, "-jar", filepath.Join(installed, apicurioJar))
	r.Process = start(t, command{
		name:    "schema-registry",
		program: program,
		args:    args,
		env:     []string{"QUARKUS_HTTP_HOST=" + host, "QUARKUS_HTTP_PORT=" + port},
		ready:   answers(r.URL + "/subjects"),
	})
	return r
}
