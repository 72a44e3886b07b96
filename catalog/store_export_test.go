package catalog

// Migrations are those of Open.
var Migrations = migrations

// OpenWith is Open with pragmas on top of Open's and with other migrations.
func OpenWith(path string, pragmas, migrations []string) (*Store, error) {
	return open(path, append(append([]string(nil), storePragmas[1:]...), pragmas...), migrations)
}
