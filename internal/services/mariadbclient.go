package services

import (
	"context"
	"fmt"
	"os"
	"path/filepath"
	"strings"
)

// Debian serves only the newest version of a package, so this one cannot be
// pinned: it is what the machine's Debian release has.
const mariadbClientPackage = "mariadb-client-core"

var mariadbClient = register(Service{
	Name:   "mariadb-client",
	Recipe: mariadbClientPackage + " " + platform(),
	Fetch: func(ctx context.Context, dir string) error {
		if err := debianPackages(ctx, dir, mariadbClientPackage); err != nil {
			return err
		}
		return writeMariadbWrapper(dir)
	},
})

// writeMariadbWrapper writes dir/bin/mariadb, which starts the unpacked client
// with the libraries and login plugins that were unpacked with it.
func writeMariadbWrapper(dir string) error {
	root := filepath.Join(dir, "root")
	libraries, err := libraryFolders(root)
	if err != nil {
		return err
	}
	var plugins string
	for _, library := range libraries {
		if filepath.Base(library) == "plugin" {
			plugins = library
		}
	}
	if plugins == "" {
		return fmt.Errorf("find the client's login plugins below %s: there is no folder named plugin", root)
	}
	script := fmt.Sprintf("#!/bin/sh\nLD_LIBRARY_PATH='%s' MARIADB_PLUGIN_DIR='%s' exec '%s' \"$@\"\n",
		strings.Join(libraries, ":"), plugins, filepath.Join(root, "usr/bin/mariadb"))
	if err := os.MkdirAll(filepath.Join(dir, "bin"), 0o755); err != nil {
		return err
	}
	return os.WriteFile(filepath.Join(dir, "bin", "mariadb"), []byte(script), 0o755)
}

// MySQLClient returns the path of the stock command-line client mariadb. Give
// it --no-defaults first, so that it does not read the user's own settings.
func MySQLClient(t TB) string {
	t.Helper()
	return filepath.Join(mariadbClient.mustDir(t), "bin", "mariadb")
}
