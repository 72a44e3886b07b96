package avro

// SetGeneric turns the fast path off (or on again), so that tests can compare.
func (d *Decoder) SetGeneric(generic bool) { d.walk.generic = generic }
