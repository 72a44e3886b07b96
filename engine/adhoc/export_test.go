package adhoc

// Exec executes SQL of DuckDB on one of the engine's connections.
func (e *Engine) Exec(sql string) error {
	c, err := e.db.connect()
	if err != nil {
		return err
	}
	defer e.db.release(c)
	return c.exec(sql)
}
