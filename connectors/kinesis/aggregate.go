package kinesis

import (
	"bytes"
	"crypto/md5"
	"encoding/binary"
	"errors"
	"fmt"
	"math/bits"

	"google.golang.org/protobuf/encoding/protowire"
)

// An aggregate of the Kinesis Producer Library is a record that holds several:
// the magic bytes, a protobuf message, and the message's MD5. The message is
// AggregatedRecord of the library's documentation of the format:
//
//	message AggregatedRecord {
//	  repeated string partition_key_table = 1;
//	  repeated string explicit_hash_key_table = 2;
//	  repeated Record records = 3;
//	}
//	message Record {
//	  required uint64 partition_key_index = 1;
//	  optional uint64 explicit_hash_key_index = 2;
//	  required bytes data = 3;
//	  repeated Tag tags = 4;
//	}
var aggregateMagic = []byte{0xf3, 0x89, 0x9a, 0xc2}

// aggregate takes aggregates apart; its memory is reused.
type aggregate struct {
	records []userRecord
	keys    [][]byte
	hashes  [][]byte // explicit hash keys
}

// userRecord is one record of an aggregate. Its slices are of the aggregate's
// bytes.
type userRecord struct {
	data, key []byte
	hashKey   []byte // decimal, nil when the partition key's MD5 decides
}

// isAggregate reports whether a payload is an aggregate that arrived whole. What
// only begins like one is a payload like any other.
func isAggregate(payload []byte) bool {
	if len(payload) < len(aggregateMagic)+md5.Size || !bytes.HasPrefix(payload, aggregateMagic) {
		return false
	}
	end := len(payload) - md5.Size
	sum := md5.Sum(payload[len(aggregateMagic):end])
	return bytes.Equal(sum[:], payload[end:])
}

var errAggregate = errors.New("not an AggregatedRecord")

// parse takes apart an aggregate for which isAggregate holds.
func (a *aggregate) parse(payload []byte) error {
	message := payload[len(aggregateMagic) : len(payload)-md5.Size]
	a.records, a.keys, a.hashes = a.records[:0], a.keys[:0], a.hashes[:0]
	// Protobuf leaves the order of fields open: the tables come first in one pass,
	// the records that refer to them in another.
	err := eachField(message, func(number protowire.Number, value []byte, _ uint64) error {
		switch number {
		case 1:
			a.keys = append(a.keys, value)
		case 2:
			a.hashes = append(a.hashes, value)
		}
		return nil
	})
	if err != nil {
		return err
	}
	return eachField(message, func(number protowire.Number, value []byte, _ uint64) error {
		if number != 3 {
			return nil
		}
		return a.record(value)
	})
}

func (a *aggregate) record(message []byte) error {
	var r userRecord
	hasKey, hasData := false, false
	for len(message) > 0 {
		number, value, n, rest, err := nextField(message)
		if err != nil {
			return err
		}
		message = rest
		switch number {
		case 1:
			if n >= uint64(len(a.keys)) || value != nil {
				return fmt.Errorf("%w: partition key %d of %d", errAggregate, n, len(a.keys))
			}
			r.key, hasKey = a.keys[n], true
		case 2:
			if n >= uint64(len(a.hashes)) || value != nil {
				return fmt.Errorf("%w: explicit hash key %d of %d", errAggregate, n, len(a.hashes))
			}
			r.hashKey = a.hashes[n]
		case 3:
			if value == nil {
				return errAggregate
			}
			r.data, hasData = value, true
		}
	}
	if !hasKey || !hasData {
		return fmt.Errorf("%w: a record without key or data", errAggregate)
	}
	a.records = append(a.records, r)
	return nil
}

// eachField calls f for every field of a message, with the bytes of those that
// have any.
func eachField(message []byte, f func(number protowire.Number, value []byte, n uint64) error) error {
	for len(message) > 0 {
		number, value, n, rest, err := nextField(message)
		if err != nil {
			return err
		}
		message = rest
		if number <= 3 && value == nil {
			return errAggregate
		}
		if err := f(number, value, n); err != nil {
			return err
		}
	}
	return nil
}

// nextField takes the first field off a message: value for those of bytes, never
// nil then, n for those of a number.
func nextField(message []byte) (number protowire.Number, value []byte, n uint64, rest []byte, err error) {
	number, kind, size := protowire.ConsumeTag(message)
	if size < 0 {
		return 0, nil, 0, nil, fmt.Errorf("%w: %w", errAggregate, protowire.ParseError(size))
	}
	message = message[size:]
	switch kind {
	case protowire.BytesType:
		value, size = protowire.ConsumeBytes(message)
		if size >= 0 && value == nil {
			value = message[:0:0]
		}
	case protowire.VarintType:
		n, size = protowire.ConsumeVarint(message)
	default:
		size = protowire.ConsumeFieldValue(number, kind, message)
	}
	if size < 0 {
		return 0, nil, 0, nil, fmt.Errorf("%w: %w", errAggregate, protowire.ParseError(size))
	}
	return number, value, n, message[size:], nil
}

// hashKey is a point of the space of 128 bits that shards divide.
type hashKey struct{ high, low uint64 }

func (k hashKey) less(o hashKey) bool {
	return k.high < o.high || k.high == o.high && k.low < o.low
}

// parseHashKey reads a decimal number of up to 128 bits.
func parseHashKey(text []byte) (k hashKey, ok bool) {
	for _, c := range text {
		if c < '0' || c > '9' {
			return hashKey{}, false
		}
		over, low := bits.Mul64(k.low, 10)
		over10, high := bits.Mul64(k.high, 10)
		var carry uint64
		low, carry = bits.Add64(low, uint64(c-'0'), 0)
		high, carry = bits.Add64(high, over, carry)
		if over10 != 0 || carry != 0 {
			return hashKey{}, false
		}
		k = hashKey{high, low}
	}
	return k, len(text) > 0
}

// hashRange is a shard's part of the space, both ends inclusive. The zero value
// is unknown and holds everything.
type hashRange struct{ from, to hashKey }

func parseHashRange(from, to string) hashRange {
	a, okA := parseHashKey([]byte(from))
	b, okB := parseHashKey([]byte(to))
	if !okA || !okB || b.less(a) {
		return hashRange{}
	}
	return hashRange{a, b}
}

// holds reports whether a user record belongs into the range.
func (r hashRange) holds(u *userRecord) bool {
	if r == (hashRange{}) {
		return true
	}
	k, ok := parseHashKey(u.hashKey)
	if !ok {
		sum := md5.Sum(u.key)
		k = hashKey{binary.BigEndian.Uint64(sum[:8]), binary.BigEndian.Uint64(sum[8:])}
	}
	return !k.less(r.from) && !r.to.less(k)
}
