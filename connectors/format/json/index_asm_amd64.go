package json

import "unsafe"

// indexSpecialsAVX2 writes the positions of the specials in the blocks of 64
// bytes from base+i on that have some of n bytes, and returns how many there are.
//
//go:noescape
func indexSpecialsAVX2(dst *uint32, base unsafe.Pointer, i, n int) (count int)

// indexSpecialsAVX512 is indexSpecialsAVX2 with AVX-512 BW and VBMI2.
//
//go:noescape
func indexSpecialsAVX512(dst *uint32, base unsafe.Pointer, i, n int) (count int)

// passStepsAVX2 is passStepsGo for steps without a rest, of which there are n,
// and numbers and words of up to 32 bytes.
//
//go:noescape
func passStepsAVX2(steps *spanStep, n int, positions *uint32, base unsafe.Pointer, i int) (at int)

// lineRestAVX2 is where the line ends that goes on at i, or limit where that comes
// first; −1 where an object seems to begin that is no member or element, or is one
// behind white space. It reads up to 31 bytes behind limit.
//
//go:noescape
func lineRestAVX2(base unsafe.Pointer, i, limit int) (at int)
