package kernel

import (
	"crypto/aes"
	"crypto/cipher"
)

// AES_ENCRYPT and AES_DECRYPT as MySQL's default block_encryption_mode has them,
// aes-128-ecb with PKCS #7 padding.

// aesCipher folds a key of any length into 16 bytes by XOR, as MySQL does.
func aesCipher(key []byte) cipher.Block {
	var folded [aes.BlockSize]byte
	for i, b := range key {
		folded[i%aes.BlockSize] ^= b
	}
	block, err := aes.NewCipher(folded[:])
	if err != nil {
		panic(err) // the key has 16 bytes
	}
	return block
}

// FuncAESEncrypt is AES_ENCRYPT(text, key).
var FuncAESEncrypt = textFunc(func(_ *frame, args []Vector) func([]byte, int) []byte {
	x, keys := textsOf(args[0]), textsOf(args[1])
	return func(dst []byte, i int) []byte {
		block, start := aesCipher(keys.at(i)), len(dst)
		dst = append(dst, x.at(i)...)
		for n := aes.BlockSize - (len(dst)-start)%aes.BlockSize; n > 0; n-- {
			dst = append(dst, 0)
		}
		padding := byte(len(dst) - start - len(x.at(i)))
		for k := len(dst) - int(padding); k < len(dst); k++ {
			dst[k] = padding
		}
		for b := dst[start:]; len(b) > 0; b = b[aes.BlockSize:] {
			block.Encrypt(b, b)
		}
		return dst
	}
})

// FuncAESDecrypt is AES_DECRYPT(bytes, key), NULL where they were not made with the
// key.
var FuncAESDecrypt = propagate(func(f *frame, args []Vector) error {
	x, keys := textsOf(args[0]), textsOf(args[1])
	out := newTextOut(f)
	for i := range f.live {
		out.start(i)
		encrypted := x.at(i)
		if len(encrypted) == 0 || len(encrypted)%aes.BlockSize != 0 {
			f.null(i)
			continue
		}
		block, start := aesCipher(keys.at(i)), len(out.buf)
		out.buf = append(out.buf, encrypted...)
		for b := out.buf[start:]; len(b) > 0; b = b[aes.BlockSize:] {
			block.Decrypt(b, b)
		}
		padding := int(out.buf[len(out.buf)-1])
		valid := padding >= 1 && padding <= aes.BlockSize
		for k := 1; valid && k <= padding; k++ {
			valid = int(out.buf[len(out.buf)-k]) == padding
		}
		if !valid {
			out.buf = out.buf[:start]
			f.null(i)
			continue
		}
		out.buf = out.buf[:len(out.buf)-padding]
	}
	return out.finish()
})
