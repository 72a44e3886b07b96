package adhoc_test

import (
	"bytes"
	"errors"
	"math"
	"testing"
	"unicode/utf8"

	"github.com/apache/arrow-go/v18/arrow/array"

	"github.com/leatdb/leat/engine/adhoc"
	"github.com/leatdb/leat/planner/logical"
)

// FuzzQuery_Literals writes constants into a statement and reads them back.
func FuzzQuery_Literals(f *testing.F) {
	f.Add("it's \\ \x00 $1 ? {} /* -- \n", []byte{0, 39, 92, 255}, int64(math.MinInt64), 0.1)
	f.Add("\xff", []byte(nil), int64(0), math.Copysign(0, -1))
	f.Add("e'\\x00'::DATE", []byte("x'"), int64(math.MaxInt64), math.MaxFloat64)
	f.Add("😀", []byte("\\x00"), int64(-1), math.SmallestNonzeroFloat64)
	f.Add("", []byte{}, int64(1), math.Inf(-1))
	e := openEngine(f, adhoc.Config{})
	f.Fuzz(func(t *testing.T, text string, blob []byte, n int64, x float64) {
		p := &plans{}
		plan := p.project(&logical.Values{Rows: [][]logical.Expr{nil}},
			lit(text, "TEXT"), lit(blob, "BLOB"), lit(n, "BIGINT"), lit(x, "DOUBLE"), lit(uint64(n), "BIGINT UNSIGNED"))
		r, err := e.Query(t.Context(), plan, adhoc.Session{})
		if u := (*adhoc.Unsupported)(nil); errors.As(err, &u) && !utf8.ValidString(text) {
			return
		}
		if err != nil {
			t.Fatal(err)
		}
		defer r.Release()
		if !r.Next() {
			t.Fatal(r.Err())
		}
		b := r.RecordBatch()
		if got := b.Column(0).(*array.String).Value(0); got != text {
			t.Errorf("text %q, want %q", got, text)
		}
		if got := b.Column(1).(*array.Binary).Value(0); !bytes.Equal(got, blob) {
			t.Errorf("blob %x, want %x", got, blob)
		}
		if got := b.Column(2).(*array.Int64).Value(0); got != n {
			t.Errorf("integer %d, want %d", got, n)
		}
		if got := b.Column(3).(*array.Float64).Value(0); math.Float64bits(got) != math.Float64bits(x) && !(math.IsNaN(got) && math.IsNaN(x)) {
			t.Errorf("double %v, want %v", got, x)
		}
		if got := b.Column(4).(*array.Uint64).Value(0); got != uint64(n) {
			t.Errorf("unsigned %d, want %d", got, uint64(n))
		}
	})
}
