package protocol

import (
	"encoding/json"
	"fmt"

	"github.com/leatdb/leat/connectors"
)

// MaxInlinePositions is how long positions may be to stand in a property, in
// bytes: catalogs and readers load all properties with every table.
const MaxInlinePositions = 16 << 10

// SplitPositions takes positions that are too long out of the record. The bytes
// that come back, nil if there are none, go to a file that the record then
// names in PositionsFile.
func SplitPositions(r *Record) ([]byte, error) {
	text, err := json.Marshal(r.Positions)
	if err != nil {
		return nil, fmt.Errorf("encode positions: %w", err)
	}
	if len(text) <= MaxInlinePositions {
		return nil, nil
	}
	r.Positions = nil
	return text, nil
}

// JoinPositions puts the content of the record's PositionsFile back.
func JoinPositions(r *Record, text []byte) error {
	positions := map[string]connectors.Positions{}
	if err := json.Unmarshal(text, &positions); err != nil {
		return corrupt("file %s: %w", r.PositionsFile, err)
	}
	r.Positions = positions
	return nil
}
