package kernel

import (
	"crypto/aes"
	"crypto/cipher"
)

// AES_ENCRYPT and AES_DECRYPT as MySQL's default block_encryption_mode has them,
// aes-128-ecb with PKCS #7 padding.

// aesKey is the cipher of the row before, whose key is mostly that of the next.
type aesKey struct {
	folded [aes.BlockSize]byte
	block  cipher.Block
}

// cipher folds a key of any length into 16 bytes by XOR, as MySQL does.
func (k *aesKey) cipher(key []byte) cipher.Block {
	var folded [aes.BlockSize]byte
	for i, b := range key {
		folded[i%aes.BlockSize] ^= b
	}
	if k.block != nil && folded == k.folded {
		return k.block
	}
	block, err := aes.NewCipher(folded[:])
	if err != nil {
		panic(err) // the key has 16 bytes
	}
	k.folded, k.block = folded, block
	return block
}

// FuncAESEncrypt is AES_ENCRYPT(text, key).
var FuncAESEncrypt = textFunc(func(_ *frame, args []Vector) func([]byte, int) []byte {
	x, keys := textsOf(args[0]), textsOf(args[1])
	var key aesKey
	return func(dst []byte, i int) []byte {
		start, text := len(dst), x.at(i)
		padding := aes.BlockSize - len(text)%aes.BlockSize
		dst = append(dst, text...)
		for range padding {
			dst = append(dst, byte(padding))
		}
		block := key.cipher(keys.at(i))
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
	var key aesKey
	for i := range f.live {
		out.start(i)
		encrypted := x.at(i)
		if len(encrypted) == 0 || len(encrypted)%aes.BlockSize != 0 {
			f.null(i)
			continue
		}
		block, start := key.cipher(keys.at(i)), len(out.buf)
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
