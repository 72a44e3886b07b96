package services

import (
	"crypto"
	"crypto/rand"
	"crypto/rsa"
	"crypto/sha256"
	"encoding/base64"
	"encoding/json"
	"fmt"
	"os"
	"time"
)

// issuer signs tokens (RFC 7519) that whoever has its keys can check.
type issuer struct{ key *rsa.PrivateKey }

// newIssuer makes an issuer and writes its keys as a JSON Web Key Set (RFC 7517).
func newIssuer(keys string) (*issuer, error) {
	key, err := rsa.GenerateKey(rand.Reader, 2048)
	if err != nil {
		return nil, fmt.Errorf("make the issuer's key: %w", err)
	}
	text, err := json.Marshal(map[string]any{"keys": []map[string]string{{
		"kty": "RSA", "use": "sig", "alg": "RS256", "kid": "1", "n": encode(key.N.Bytes()), "e": "AQAB",
	}}})
	if err != nil {
		return nil, fmt.Errorf("encode the issuer's key: %w", err)
	}
	return &issuer{key}, os.WriteFile(keys, text, 0o600)
}

func encode(b []byte) string { return base64.RawURLEncoding.EncodeToString(b) }

// token is one for a user and an audience that ends at a time.
func (i *issuer) token(user, audience string, ends time.Time) (string, error) {
	claims, err := json.Marshal(map[string]any{"sub": user, "aud": audience, "iat": time.Now().Add(-time.Minute).Unix(), "exp": ends.Unix()})
	if err != nil {
		return "", fmt.Errorf("encode a token: %w", err)
	}
	text := encode([]byte(`{"alg":"RS256","typ":"JWT","kid":"1"}`)) + "." + encode(claims)
	digest := sha256.Sum256([]byte(text))
	signature, err := rsa.SignPKCS1v15(rand.Reader, i.key, crypto.SHA256, digest[:])
	if err != nil {
		return "", fmt.Errorf("sign a token: %w", err)
	}
	return text + "." + encode(signature), nil
}
