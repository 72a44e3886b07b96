//go:build !amd64

package json

import "unsafe"

// useSpans says whether an index costs less than it saves.
var useSpans = false

var hasAVX2, hasAVX512 = false, false

func passStepsAVX2(*spanStep, int, *uint32, unsafe.Pointer, int) int { return -1 }

// indexSpecials is indexSpecialsGo.
func indexSpecials(dst []uint32, b bytesAt, i, n int) (count int) {
	return indexSpecialsGo(dst, b, i, n)
}

func lineRestAVX2(unsafe.Pointer, int, int) int { return -1 }
