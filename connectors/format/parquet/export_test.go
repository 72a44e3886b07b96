package parquet

// SetGeneric has all rows taken one by one (or no longer), so that tests can compare.
func (d *Decoder) SetGeneric(generic bool) { d.generic = generic }

func init() { spoil = true }

// Spoil says whether memory that is freed is overwritten, as it is in tests.
func Spoil(on bool) { spoil = on }
