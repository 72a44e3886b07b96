package replayfile_test

import (
	"bytes"
	"fmt"
	"reflect"
	"strings"
	"testing"
	"time"

	"github.com/leatdb/leat/connectors"
	"github.com/leatdb/leat/connectors/lake/replayfile"
)

// file writes letters and returns what becomes of them.
func file(letters []connectors.DeadLetter) []byte {
	var data []byte
	var w replayfile.Writer
	for i := range letters {
		data = append(data, w.Append(&letters[i])...)
	}
	return append(data, w.Finish()...)
}

func letter(i, size int) connectors.DeadLetter {
	return connectors.DeadLetter{
		ID: fmt.Sprint("id", i), Source: "src", Position: fmt.Sprint("0@", i), Class: connectors.ClassField, Message: "no",
		Raw: bytes.Repeat([]byte{byte(i)}, size), Header: []byte("a,b\n"), Hidden: []byte(`{"_offset":1}`),
		Arrived: time.UnixMicro(int64(i + 1)).UTC(), Attempt: i%3 + 1,
	}
}

func TestRead(t *testing.T) {
	f := func(name string, n, size int) {
		t.Run(name, func(t *testing.T) {
			want := make([]connectors.DeadLetter, 0, n)
			for i := range n {
				want = append(want, letter(i, size))
			}
			data := file(want)
			r := bytes.NewReader(data)
			got := make([]connectors.DeadLetter, 0, n)
			blocks := 0
			for at := int64(0); at < int64(len(data)); blocks++ {
				var err error
				if got, at, err = replayfile.Read(r, at, got); err != nil {
					t.Fatal(err)
				}
			}
			if !reflect.DeepEqual(got, want) {
				t.Errorf("%d letters come back as %d others", len(want), len(got))
			}
			if size*n > 4<<20 && blocks < 4 {
				t.Errorf("%d blocks for %d bytes", blocks, size*n)
			}
		})
	}
	f("None", 0, 0)
	f("Empty", 1, 0)
	f("Some", 10, 20)
	f("ManySmall", 10_000, 3)
	f("Large", 9, 700<<10)
}

func TestRead_Damaged(t *testing.T) {
	data := file([]connectors.DeadLetter{letter(1, 20), letter(2, 30)})
	for i := range data {
		torn := bytes.NewReader(data[:i])
		if _, _, err := replayfile.Read(torn, 0, nil); err == nil {
			t.Errorf("%d of %d bytes were read", i, len(data))
		}
		changed := bytes.Clone(data)
		changed[i] ^= 1
		if _, _, err := replayfile.Read(bytes.NewReader(changed), 0, nil); err == nil {
			t.Errorf("byte %d of %d was changed, and nobody saw it", i, len(data))
		}
	}
	if _, _, err := replayfile.Read(bytes.NewReader(data), int64(len(data)), nil); err == nil || !strings.Contains(err.Error(), "there is none") {
		t.Errorf("behind the end: %v", err)
	}
}

func FuzzRead(f *testing.F) {
	f.Add(file([]connectors.DeadLetter{letter(1, 20)}), int64(0))
	f.Add([]byte{}, int64(-1))
	f.Fuzz(func(t *testing.T, data []byte, at int64) {
		letters, next, err := replayfile.Read(bytes.NewReader(data), at, nil)
		if err == nil && (next <= at || len(letters) == 0 && next != at+8) {
			t.Errorf("%d letters up to %d, from %d", len(letters), next, at)
		}
	})
}
