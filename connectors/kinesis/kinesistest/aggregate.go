package kinesistest

import (
	"crypto/md5"

	"google.golang.org/protobuf/encoding/protowire"
)

// UserRecord is one record within an aggregate.
type UserRecord struct {
	PartitionKey    string
	ExplicitHashKey string // decimal; may be empty
	Data            []byte
}

// Aggregate packs records as the Kinesis Producer Library does: four magic
// bytes, a protobuf message, and the MD5 of that message.
func Aggregate(records ...UserRecord) []byte {
	var keys, hashKeys []string
	index := func(table *[]string, text string) uint64 {
		for i, t := range *table {
			if t == text {
				return uint64(i)
			}
		}
		*table = append(*table, text)
		return uint64(len(*table) - 1)
	}
	var entries []byte
	for _, r := range records {
		var m []byte
		m = protowire.AppendTag(m, 1, protowire.VarintType)
		m = protowire.AppendVarint(m, index(&keys, r.PartitionKey))
		if r.ExplicitHashKey != "" {
			m = protowire.AppendTag(m, 2, protowire.VarintType)
			m = protowire.AppendVarint(m, index(&hashKeys, r.ExplicitHashKey))
		}
		m = protowire.AppendTag(m, 3, protowire.BytesType)
		m = protowire.AppendBytes(m, r.Data)
		entries = protowire.AppendTag(entries, 3, protowire.BytesType)
		entries = protowire.AppendBytes(entries, m)
	}
	var message []byte
	for i, table := range [][]string{keys, hashKeys} {
		for _, text := range table {
			message = protowire.AppendTag(message, protowire.Number(i+1), protowire.BytesType)
			message = protowire.AppendString(message, text)
		}
	}
	message = append(message, entries...)
	sum := md5.Sum(message)
	return append(append([]byte("\xf3\x89\x9a\xc2"), message...), sum[:]...)
}
