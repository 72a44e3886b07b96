package files

import (
	"crypto/sha256"
	"encoding/base64"
	"encoding/binary"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"slices"
	"time"

	"github.com/leatdb/leat/connectors"
)

// ledgerSplit is the split whose position is the ledger. No relative path
// begins with a slash.
const ledgerSplit = "/finished"

// ledgerCheckBytes is how much of a checksum the ledger keeps.
const ledgerCheckBytes = 4

// ledger remembers the files that were read to their end and committed. A file
// is known by 64 bits of the hash of its id.
type ledger struct {
	files map[uint64]*finished
	// after is set with listing = 'growing': files up to this id are finished,
	// and not in files.
	after   string
	encoded connectors.Position // of files; "" when it has to be made again
}

// finished is a file of the ledger.
type finished struct {
	offset int64 // bytes read, after decompression
	size   int64 // of the file as it is stored
	check  [ledgerCheckBytes]byte
	gone   int64 // when it vanished, in seconds since 1970; 0 while it is there

	// tag is of the version whose content is known, if tagged.
	tag    [tagBytes]byte
	tagged bool
}

// unchanged reports whether e is surely the file that was read.
func (f *finished) unchanged(e entry) bool { return f.tagged && f.size == e.size && f.tag == e.tag() }

func ledgerKey(id string) uint64 {
	sum := sha256.Sum256([]byte(id))
	return binary.BigEndian.Uint64(sum[:])
}

func (l *ledger) find(id string) *finished { return l.files[ledgerKey(id)] }

func (l *ledger) put(id string, pos position, e entry) error {
	f := &finished{offset: pos.Offset, size: pos.Size, tag: e.tag(), tagged: e.size == pos.Size}
	if check, err := hex.DecodeString(pos.Check); err != nil || copy(f.check[:], check) != ledgerCheckBytes {
		return fmt.Errorf("position of file %s has no checksum", id)
	}
	l.files[ledgerKey(id)] = f
	l.encoded = ""
	return nil
}

func (l *ledger) remove(id string) {
	delete(l.files, ledgerKey(id))
	l.encoded = ""
}

// pass forgets the finished files up to id for good.
func (l *ledger) pass(id string, keys []uint64) {
	l.after = id
	for _, key := range keys {
		delete(l.files, key)
	}
	l.encoded = ""
}

// position is where reading of the file would go on.
func (f *finished) position() position {
	return position{Offset: f.offset, Done: true, Size: f.size, Check: hex.EncodeToString(f.check[:]), Gone: f.gone != 0}
}

// present notes which files are there; those that have been away for longer
// than forgetAfter are forgotten.
func (l *ledger) present(ids map[uint64]struct{}, now time.Time, forgetAfter time.Duration) {
	for key, f := range l.files {
		_, there := ids[key]
		switch {
		case there && f.gone != 0:
			f.gone = 0
		case there:
			continue
		case f.gone == 0:
			f.gone = now.Unix()
		case now.Sub(time.Unix(f.gone, 0)) >= forgetAfter:
			delete(l.files, key)
		default:
			continue
		}
		l.encoded = ""
	}
}

// ledgerText is the ledger's position. Files holds, by ascending key, for each
// file: the distance to the last key, offset − size, size and gone as varints,
// the checksum, and since version 2 the tag, or zeros where there is none.
type ledgerText struct {
	Version  int    `json:"v"`
	Finished int    `json:"finished"`
	After    string `json:"after,omitempty"`
	Files    string `json:"files"`
}

func (l *ledger) encode() connectors.Position {
	if l.encoded != "" {
		return l.encoded
	}
	var b []byte
	last := uint64(0)
	for _, key := range slices.Sorted(maps.Keys(l.files)) {
		f := l.files[key]
		b = binary.AppendUvarint(b, key-last)
		b = binary.AppendVarint(b, f.offset-f.size)
		b = binary.AppendUvarint(b, uint64(f.size))
		b = binary.AppendUvarint(b, uint64(f.gone))
		b = append(b, f.check[:]...)
		if f.tagged {
			b = append(b, f.tag[:]...)
		} else {
			b = append(b, make([]byte, tagBytes)...)
		}
		last = key
	}
	text, err := json.Marshal(ledgerText{Version: 2, Finished: len(l.files), After: l.after, Files: base64.RawStdEncoding.EncodeToString(b)})
	if err != nil {
		panic(err) // a struct of numbers and strings
	}
	l.encoded = connectors.Position(text)
	return l.encoded
}

var errLedger = errors.New("it is damaged")

func parseLedger(p connectors.Position) (ledger, error) {
	l := ledger{files: map[uint64]*finished{}}
	if p == "" {
		return l, nil
	}
	fail := func(err error) (ledger, error) {
		return ledger{}, fmt.Errorf("read list of finished files: %w", err)
	}
	var text ledgerText
	if err := json.Unmarshal([]byte(p), &text); err != nil {
		return fail(err)
	}
	bytesAfter := ledgerCheckBytes
	switch text.Version {
	case 1:
	case 2:
		bytesAfter += tagBytes
	default:
		return fail(fmt.Errorf("version %d was written by a newer Leat", text.Version))
	}
	b, err := base64.RawStdEncoding.DecodeString(text.Files)
	if err != nil {
		return fail(err)
	}
	for key := uint64(0); len(b) > 0; {
		step, n1 := binary.Uvarint(b)
		more, n2 := binary.Varint(b[max(n1, 0):])
		at := max(n1, 0) + max(n2, 0)
		size, n3 := binary.Uvarint(b[at:])
		at += max(n3, 0)
		gone, n4 := binary.Uvarint(b[at:])
		at += max(n4, 0)
		if n1 <= 0 || n2 <= 0 || n3 <= 0 || n4 <= 0 || len(b) < at+bytesAfter {
			return fail(errLedger)
		}
		key += step
		f := &finished{offset: int64(size) + more, size: int64(size), gone: int64(gone)}
		if f.size < 0 || f.offset < 0 || f.gone < 0 {
			return fail(errLedger)
		}
		copy(f.check[:], b[at:])
		if text.Version > 1 {
			copy(f.tag[:], b[at+ledgerCheckBytes:])
			f.tagged = f.tag != [tagBytes]byte{}
		}
		b = b[at+bytesAfter:]
		l.files[key] = f
	}
	l.after = text.After
	if len(l.files) != text.Finished {
		return fail(errLedger)
	}
	return l, nil
}
