package parquet

// SetGeneric has all rows taken one by one (or no longer), so that tests can compare.
func (d *Decoder) SetGeneric(generic bool) { d.generic = generic }
