package protobuf

import (
	"google.golang.org/protobuf/encoding/protowire"
)

// layout is where the messages of a file begin and end: each has its length
// before it, as a varint.
type layout struct{}

// Header implements connectors.Layout; there is none.
func (layout) Header([]byte, bool) (n int, more bool, err error) { return 0, false, nil }

// Records implements connectors.Layout.
func (layout) Records(_, data []byte) int {
	whole := 0
	for whole < len(data) {
		_, n := protowire.ConsumeBytes(data[whole:])
		if n < 0 {
			break
		}
		whole += n
	}
	return whole
}

// Lines implements connectors.Layout.
func (layout) Lines() bool { return false }
