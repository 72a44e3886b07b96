package services

import "database/sql"

// SQLiteLocked reports whether somebody writes to a SQLite database. A database in a
// file has one writer: one that is paused in the middle of a transaction keeps all others
// out until it goes on, or is gone. The driver "sqlite" is the caller's.
func SQLiteLocked(t TB, path string) bool {
	t.Helper()
	db, err := sql.Open("sqlite", "file:"+path)
	if err != nil {
		t.Fatal(err)
	}
	defer db.Close()
	conn, err := db.Conn(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close()
	if _, err := conn.ExecContext(t.Context(), "BEGIN EXCLUSIVE"); err != nil {
		t.Logf("%s is locked: %v", path, err)
		return true
	}
	if _, err := conn.ExecContext(t.Context(), "ROLLBACK"); err != nil {
		t.Fatal(err)
	}
	return false
}
