//go:build !linux

package parquetfile

func mapMemory(size int) []byte { return make([]byte, size) }

func unmapMemory([]byte) {}
