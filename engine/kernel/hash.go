package kernel

import (
	"crypto/md5"  //nolint:gosec // MD5() is a function of SQL
	"crypto/sha1" //nolint:gosec // SHA1() is a function of SQL
	"crypto/sha256"
	"crypto/sha512"
	"encoding/base64"
	"encoding/hex"
	"hash/crc32"
)

// FuncMD5 is MD5, in lower-case hexadecimal digits.
var FuncMD5 = textFunc(func(_ *frame, args []Vector) func([]byte, int) []byte {
	x := textsOf(args[0])
	return func(dst []byte, i int) []byte {
		sum := md5.Sum(x.at(i)) //nolint:gosec // see above
		return hex.AppendEncode(dst, sum[:])
	}
})

// FuncSHA1 is SHA1.
var FuncSHA1 = textFunc(func(_ *frame, args []Vector) func([]byte, int) []byte {
	x := textsOf(args[0])
	return func(dst []byte, i int) []byte {
		sum := sha1.Sum(x.at(i)) //nolint:gosec // see above
		return hex.AppendEncode(dst, sum[:])
	}
})

// FuncSHA2 is SHA2(text, bits); NULL for bits that there are not.
var FuncSHA2 = propagate(func(f *frame, args []Vector) error {
	x, lengths := textsOf(args[0]), viewOf[int64](args[1])
	out := newTextOut(f)
	for i := range f.live {
		out.start(i)
		switch s := x.at(i); lengths.at(i) {
		case 0, 256:
			sum := sha256.Sum256(s)
			out.buf = hex.AppendEncode(out.buf, sum[:])
		case 224:
			sum := sha256.Sum224(s)
			out.buf = hex.AppendEncode(out.buf, sum[:])
		case 384:
			sum := sha512.Sum384(s)
			out.buf = hex.AppendEncode(out.buf, sum[:])
		case 512:
			sum := sha512.Sum512(s)
			out.buf = hex.AppendEncode(out.buf, sum[:])
		default:
			f.null(i)
		}
	}
	return out.finish()
})

// FuncCRC32 is CRC32, a BIGINT UNSIGNED.
var FuncCRC32 = propagate(func(f *frame, args []Vector) error {
	x := textsOf(args[0])
	out := fixedOut[uint64](f)
	for i := range f.live {
		out[i] = uint64(crc32.ChecksumIEEE(x.at(i)))
	}
	return nil
})

// FuncHex is HEX of a text.
var FuncHex = textFunc(func(_ *frame, args []Vector) func([]byte, int) []byte {
	const digits = "0123456789ABCDEF"
	x := textsOf(args[0])
	return func(dst []byte, i int) []byte {
		for _, c := range x.at(i) {
			dst = append(dst, digits[c>>4], digits[c&15])
		}
		return dst
	}
})

// FuncUnhex is UNHEX; what is no hexadecimal text fails in strict mode and is
// NULL otherwise.
var FuncUnhex = propagate(func(f *frame, args []Vector) error {
	x := textsOf(args[0])
	out := newTextOut(f)
	for i := range f.live {
		out.start(i)
		s := x.at(i)
		ok := true
		var high byte
		for k, c := range s {
			d, valid := hexDigit(c)
			ok = ok && valid
			// A text of an odd length counts as if a 0 stood before it.
			if (len(s)-k)%2 == 0 {
				high = d << 4
				continue
			}
			out.buf = append(out.buf, high|d)
		}
		if !ok {
			f.failOrNull(i, errIncorrectFor("string", s, "unhex"))
		}
	}
	return out.finish()
})

func hexDigit(c byte) (byte, bool) {
	switch {
	case isDigit(c):
		return c - '0', true
	case c|0x20 >= 'a' && c|0x20 <= 'f':
		return c | 0x20 - 'a' + 10, true
	}
	return 0, false
}

// base64Line is after how many characters TO_BASE64 breaks the line.
const base64Line = 76

// FuncToBase64 is TO_BASE64, in lines of 76 characters.
var FuncToBase64 = textFunc(func(_ *frame, args []Vector) func([]byte, int) []byte {
	x := textsOf(args[0])
	return func(dst []byte, i int) []byte {
		const chunk = base64Line / 4 * 3
		s := x.at(i)
		for len(s) > chunk {
			dst = append(base64.StdEncoding.AppendEncode(dst, s[:chunk]), '\n')
			s = s[chunk:]
		}
		return base64.StdEncoding.AppendEncode(dst, s)
	}
})

// FuncFromBase64 is FROM_BASE64, which passes over white space; NULL for what is
// no base64.
var FuncFromBase64 = propagate(func(f *frame, args []Vector) error {
	x := textsOf(args[0])
	out := newTextOut(f)
	var packed []byte
	for i := range f.live {
		out.start(i)
		packed = packed[:0]
		for _, c := range x.at(i) {
			if !isSpace(c) {
				packed = append(packed, c)
			}
		}
		begin := len(out.buf)
		var err error
		if out.buf, err = base64.StdEncoding.AppendDecode(out.buf, packed); err != nil {
			out.buf = out.buf[:begin]
			f.null(i)
		}
	}
	return out.finish()
})
