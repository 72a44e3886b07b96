#include "go_asm.h"
#include "textflag.h"

// special holds at each low half of a byte the byte with that low half that is a
// special: a quote (0x22), a line break (0x0a) or a backslash (0x5c). The others
// hold what has another low half.
DATA special<>+0(SB)/8, $0xffffffffff22ffff
DATA special<>+8(SB)/8, $0x00ffff5cff0affff
DATA special<>+16(SB)/8, $0xffffffffff22ffff
DATA special<>+24(SB)/8, $0x00ffff5cff0affff
GLOBL special<>(SB), RODATA|NOPTR, $32

#define ONE(offset) \
	TZCNTQ R8, R11 \
	ADDL CX, R11 \
	MOVL R11, offset(DI) \
	BLSRQ R8, R8

// func indexSpecialsAVX2(dst *uint32, base unsafe.Pointer, i, n int) (count int)
TEXT ·indexSpecialsAVX2(SB), NOSPLIT, $0-40
	MOVQ dst+0(FP), DI
	MOVQ base+8(FP), SI
	MOVQ i+16(FP), CX
	MOVQ n+24(FP), DX
	MOVQ DI, R12
	ADDQ CX, SI
	ADDQ CX, DX // the end, as a position
	VMOVDQU special<>(SB), Y7
	CMPQ CX, DX
	JGE done

block:
	VMOVDQU (SI), Y0
	VMOVDQU 32(SI), Y1
	VPSHUFB Y0, Y7, Y2
	VPSHUFB Y1, Y7, Y3
	VPCMPEQB Y0, Y2, Y2
	VPCMPEQB Y1, Y3, Y3
	VPMOVMSKB Y2, R8
	VPMOVMSKB Y3, R9
	SHLQ $32, R9
	ORQ R9, R8
	POPCNTQ R8, R10
	// Twelve, whether there are as many or not: what is too much is overwritten.
	ONE(0)
	ONE(4)
	ONE(8)
	ONE(12)
	ONE(16)
	ONE(20)
	ONE(24)
	ONE(28)
	ONE(32)
	ONE(36)
	ONE(40)
	ONE(44)
	TESTQ R8, R8
	JNZ more

next:
	LEAQ (DI)(R10*4), DI
	ADDQ $64, SI
	ADDQ $64, CX
	CMPQ CX, DX
	JLT block

done:
	VZEROUPPER
	SUBQ R12, DI
	SHRQ $2, DI
	MOVQ DI, count+32(FP)
	RET

more:
	LEAQ 48(DI), R13

again:
	TZCNTQ R8, R11
	ADDL CX, R11
	MOVL R11, (R13)
	ADDQ $4, R13
	BLSRQ R8, R8
	JNZ again
	JMP next

DATA counting<>+0(SB)/8, $0x0706050403020100
DATA counting<>+8(SB)/8, $0x0f0e0d0c0b0a0908
DATA counting<>+16(SB)/8, $0x1716151413121110
DATA counting<>+24(SB)/8, $0x1f1e1d1c1b1a1918
DATA counting<>+32(SB)/8, $0x2726252423222120
DATA counting<>+40(SB)/8, $0x2f2e2d2c2b2a2928
DATA counting<>+48(SB)/8, $0x3736353433323130
DATA counting<>+56(SB)/8, $0x3f3e3d3c3b3a3938
GLOBL counting<>(SB), RODATA|NOPTR, $64

// func indexSpecialsAVX512(dst *uint32, base unsafe.Pointer, i, n int) (count int)
TEXT ·indexSpecialsAVX512(SB), NOSPLIT, $0-40
	MOVQ dst+0(FP), DI
	MOVQ base+8(FP), SI
	MOVQ i+16(FP), CX
	MOVQ n+24(FP), DX
	MOVQ DI, R12
	ADDQ CX, SI
	ADDQ CX, DX // the end, as a position
	VBROADCASTI32X4 special<>(SB), Z7
	VMOVDQU64 counting<>(SB), Z6
	VPBROADCASTD CX, Z5 // the block's position
	MOVL $64, AX
	VPBROADCASTD AX, Z8
	CMPQ CX, DX
	JGE done

block:
	VMOVDQU64 (SI), Z0
	VPSHUFB Z0, Z7, Z2
	VPCMPEQB Z0, Z2, K1
	KMOVQ K1, R8
	POPCNTQ R8, R10
	// Sixteen, whether there are as many or not: what is too much is overwritten.
	VPCOMPRESSB.Z Z6, K1, Z3
	VPMOVZXBD X3, Z4
	VPADDD Z5, Z4, Z4
	VMOVDQU32 Z4, (DI)
	CMPQ R10, $16
	JGT more

next:
	LEAQ (DI)(R10*4), DI
	VPADDD Z8, Z5, Z5
	ADDQ $64, SI
	ADDQ $64, CX
	CMPQ CX, DX
	JLT block

done:
	VZEROUPPER
	SUBQ R12, DI
	SHRQ $2, DI
	MOVQ DI, count+32(FP)
	RET

more:
	VEXTRACTI32X4 $1, Z3, X4
	VPMOVZXBD X4, Z4
	VPADDD Z5, Z4, Z4
	VMOVDQU32 Z4, 64(DI)
	VEXTRACTI32X4 $2, Z3, X4
	VPMOVZXBD X4, Z4
	VPADDD Z5, Z4, Z4
	VMOVDQU32 Z4, 128(DI)
	VEXTRACTI32X4 $3, Z3, X4
	VPMOVZXBD X4, Z4
	VPADDD Z5, Z4, Z4
	VMOVDQU32 Z4, 192(DI)
	JMP next

// What ends a number or word: all up to the comma, the colon and, with the bit of
// lower case, brackets. ender holds the latter three as special does.
DATA ender<>+0(SB)/8, $0xffffffffffffff00
DATA ender<>+8(SB)/8, $0xffff7dff7b3affff
DATA ender<>+16(SB)/8, $0xffffffffffffff00
DATA ender<>+24(SB)/8, $0xffff7dff7b3affff
GLOBL ender<>(SB), RODATA|NOPTR, $32
DATA enders<>+0(SB)/1, $0x2c // ','
DATA enders<>+1(SB)/1, $0x20
GLOBL enders<>(SB), RODATA|NOPTR, $2

// func passStepsAVX2(steps *spanStep, n int, positions *uint32, base unsafe.Pointer, i int) (at int)
TEXT ·passStepsAVX2(SB), NOSPLIT, $0-48
	MOVQ steps+0(FP), DX
	MOVQ n+8(FP), CX
	MOVQ positions+16(FP), DI
	MOVQ base+24(FP), SI
	MOVQ i+32(FP), BX
	VMOVDQU ender<>(SB), Y8
	VPBROADCASTB enders<>+0(SB), Y9
	VPBROADCASTB enders<>+1(SB), Y10

step:
	MOVQ spanStep_special(DX), AX
	MOVL (DI)(AX*4), R9
	MOVQ spanStep_back(DX), R8
	TESTQ R8, R8
	JZ passed
	SUBQ R8, R9
	// A number or word: the first byte that ends one is where what follows begins.
	VMOVDQU (SI)(BX*1), Y0
	VPMINUB Y9, Y0, Y1
	VPCMPEQB Y0, Y1, Y1
	VPOR Y10, Y0, Y0
	VPSHUFB Y0, Y8, Y2
	VPCMPEQB Y0, Y2, Y0
	VPOR Y0, Y1, Y0
	VPMOVMSKB Y0, R10
	TZCNTL R10, R10
	MOVQ R9, R11
	SUBQ BX, R11
	JLE fail
	CMPQ R10, R11
	JNE fail

passed:
	VMOVDQU (SI)(R9*1), Y0
	VPXOR spanStep_words(DX), Y0, Y0
	VPTEST spanStep_masks(DX), Y0
	JNZ fail
	MOVQ spanStep_length(DX), BX
	ADDQ R9, BX
	ADDQ $spanStep__size, DX
	DECQ CX
	JNZ step
	VZEROUPPER
	MOVQ BX, at+40(FP)
	RET

fail:
	VZEROUPPER
	MOVQ $-1, at+40(FP)
	RET

DATA restOfLine<>+0(SB)/1, $0x0a // a line break
DATA restOfLine<>+1(SB)/1, $0x7b // '{'
GLOBL restOfLine<>(SB), RODATA|NOPTR, $2

// func lineRestAVX2(base unsafe.Pointer, i, limit int) (at int)
TEXT ·lineRestAVX2(SB), NOSPLIT, $0-32
	MOVQ base+0(FP), SI
	MOVQ i+8(FP), CX
	MOVQ limit+16(FP), DX
	MOVQ CX, BX
	VPBROADCASTB restOfLine<>+0(SB), Y2
	VPBROADCASTB restOfLine<>+1(SB), Y3

part:
	CMPQ CX, DX
	JGE none
	VMOVDQU (SI)(CX*1), Y0
	VPCMPEQB Y2, Y0, Y1
	VPCMPEQB Y3, Y0, Y0
	VPOR Y0, Y1, Y0
	VPMOVMSKB Y0, R8
	TESTL R8, R8
	JNZ some

on:
	ADDQ $32, CX
	JMP part

some:
	TZCNTL R8, R9
	ADDQ CX, R9
	CMPQ R9, DX
	JGE none
	MOVBLZX (SI)(R9*1), R10
	CMPL R10, $0x0a
	JEQ found
	// An object begins here: that of a member, or an element?
	CMPQ R9, BX
	JEQ member
	MOVBLZX -1(SI)(R9*1), R10
	CMPL R10, $0x3a // ':'
	JEQ member
	CMPL R10, $0x2c // ','
	JEQ member
	CMPL R10, $0x5b // '['
	JNE unsure

member:
	BLSRL R8, R8
	JNZ some
	JMP on

unsure:
	MOVQ $-1, R9

found:
	VZEROUPPER
	MOVQ R9, at+24(FP)
	RET

none:
	VZEROUPPER
	MOVQ DX, at+24(FP)
	RET
