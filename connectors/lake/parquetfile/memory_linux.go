package parquetfile

import "syscall"

// mapMemory takes memory from the operating system, huge pages if it has them:
// most of what an arena costs is the first touch of its pages.
func mapMemory(size int) []byte {
	m, err := syscall.Mmap(-1, 0, size, syscall.PROT_READ|syscall.PROT_WRITE, syscall.MAP_ANON|syscall.MAP_PRIVATE)
	if err != nil {
		return make([]byte, size) // the heap may have some left, or says that it has not
	}
	if size >= hugePage {
		_ = syscall.Madvise(m, syscall.MADV_HUGEPAGE) // not every kernel has them
	}
	return m
}

const hugePage = 2 << 20

// unmapMemory gives memory of mapMemory back; what is Go's own is left to Go.
func unmapMemory(m []byte) { _ = syscall.Munmap(m) }
