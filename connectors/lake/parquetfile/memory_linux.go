package parquetfile

import "syscall"

// mapMemory takes memory from the operating system. It does not ask for huge
// pages: where other programs and the page cache fill the machine there are none
// until the kernel has moved and freed others, which costs several times what
// they save.
func mapMemory(size int) []byte {
	m, err := syscall.Mmap(-1, 0, size, syscall.PROT_READ|syscall.PROT_WRITE, syscall.MAP_ANON|syscall.MAP_PRIVATE)
	if err != nil {
		return make([]byte, size) // the heap may have some left, or says that it has not
	}
	return m
}

// unmapMemory gives memory of mapMemory back; what is Go's own is left to Go.
func unmapMemory(m []byte) { _ = syscall.Munmap(m) }
