package hive

import (
	"encoding/json"
	"testing"
	"time"
)

// FuzzDecodeEntry reads what it accepts back after writing it, and what follows
// it.
func FuzzDecodeEntry(f *testing.F) {
	f.Add([]byte(`{"v":1,"n":7,"nonce":"x","at":1,"completed":3,"table":{"columns":null,"format":"csv"},"state":{"a":"b"},"files":[{"key":"t/x.csv","id":"y","size":1,"rows":1}]}`))
	f.Fuzz(func(t *testing.T, text []byte) {
		e, err := decodeEntry(7, text)
		if err != nil {
			return
		}
		next := e.next("y", time.UnixMilli(5))
		if next.N != 8 || next.Previous != e.Nonce || next.Completed > e.Completed {
			t.Errorf("after %s comes %+v", text, next)
		}
		for _, one := range []*entry{e, next} {
			encoded, err := json.Marshal(one)
			if err != nil {
				t.Fatal(err)
			}
			back, err := decodeEntry(one.N, encoded)
			if err != nil || back.Nonce != one.Nonce || len(back.Files) != len(one.Files) {
				t.Errorf("%s reads back as %+v, %v", encoded, back, err)
			}
		}
	})
}
