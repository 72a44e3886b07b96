package files

import (
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"strings"

	"github.com/leatdb/leat/connectors"
)

// windowBytes is how much of a file before a position its checksum covers.
const windowBytes = 512

// position is how far a file has been read.
type position struct {
	// Offset counts bytes after decompression.
	Offset int64 `json:"offset"`
	// Done is set when the file was read to its end, which then lay at Size, in
	// bytes of the file as it is stored.
	Done bool  `json:"done,omitempty"`
	Size int64 `json:"size,omitempty"`
	// Check is the checksum of the up to 512 bytes before Offset; when Done, of
	// those before Size in the file as it is stored. Of an object in a bucket it
	// is the checksum of its ETag; when Done, the CRC-32C of all of it.
	Check string `json:"check,omitempty"`
	// Version is the checksum of the ETag of an object that was read to its end.
	Version string `json:"version,omitempty"`
	// CRC is the CRC-32C of what an object holds up to Offset.
	CRC uint32 `json:"crc,omitempty"`
	// Skip is set when Offset is within a line that is too long and whose rest is
	// to be skipped.
	Skip bool `json:"skip,omitempty"`
	// Gone is set when the file has vanished.
	Gone bool `json:"gone,omitempty"`
}

func parsePosition(split string, p connectors.Position) (position, error) {
	var pos position
	if p == "" {
		return pos, nil
	}
	if err := json.Unmarshal([]byte(p), &pos); err != nil {
		return pos, fmt.Errorf("read position of file %s: %w", split, err)
	}
	if pos.Offset < 0 || pos.Size < 0 {
		return pos, fmt.Errorf("read position of file %s: %s is negative", split, p)
	}
	return pos, nil
}

func (p position) encode() connectors.Position {
	if p == (position{}) {
		return ""
	}
	b, err := json.Marshal(p)
	if err != nil {
		panic(err) // a struct of numbers and strings
	}
	return connectors.Position(b)
}

// checksum of the bytes before a position.
func checksum(window []byte) string {
	sum := sha256.Sum256(window)
	return hex.EncodeToString(sum[:8])
}

// sameCheck compares checksums; the ledger keeps only the first half.
func sameCheck(a, b string) bool {
	n := min(len(a), len(b))
	return n >= 2*ledgerCheckBytes && strings.EqualFold(a[:n], b[:n])
}

// lastBytes is the last up to windowBytes bytes of window followed by data,
// kept in window's memory.
func lastBytes(window, data []byte) []byte {
	if len(data) >= windowBytes {
		return append(window[:0], data[len(data)-windowBytes:]...)
	}
	if over := len(window) + len(data) - windowBytes; over > 0 {
		window = append(window[:0], window[over:]...)
	}
	return append(window, data...)
}
