//go:build gms_pure_go && duckdb_arrow

package main

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/pem"
	"errors"
	"fmt"
	"math/big"
	"net"
	"os"
	"path/filepath"
	"time"
)

// The certificate that a data directory gets when no other is given, under the
// names that MySQL uses. As with MySQL, it encrypts without proving who the
// server is.
const (
	certificateFile     = "server-cert.pem"
	keyFile             = "server-key.pem"
	certificateLifetime = 10 * 365 * 24 * time.Hour
)

// serverTLS loads the certificate that the flags name, or the data directory's
// own, which is made when there is none or when it has expired.
func serverTLS(dir, cert, key string) (*tls.Config, error) {
	if (cert == "") != (key == "") {
		return nil, errors.New("--tls-cert and --tls-key go together")
	}
	if cert == "" {
		cert, key = filepath.Join(dir, certificateFile), filepath.Join(dir, keyFile)
		if err := keepCertificate(cert, key, time.Now()); err != nil {
			return nil, err
		}
	}
	pair, err := tls.LoadX509KeyPair(cert, key)
	if err != nil {
		return nil, fmt.Errorf("load TLS certificate: %w", err)
	}
	return &tls.Config{Certificates: []tls.Certificate{pair}, MinVersion: tls.VersionTLS12}, nil
}

// keepCertificate makes a certificate unless there is one that is still valid.
func keepCertificate(cert, key string, now time.Time) error {
	if pair, err := tls.LoadX509KeyPair(cert, key); err == nil && now.Before(pair.Leaf.NotAfter) {
		return nil
	} else if err != nil && !errors.Is(err, os.ErrNotExist) {
		return fmt.Errorf("load the data directory's TLS certificate: %w (remove %s and %s to have new ones made)", err, cert, key)
	}
	certPEM, keyPEM, err := selfSigned(now)
	if err != nil {
		return fmt.Errorf("make TLS certificate: %w", err)
	}
	if err := os.WriteFile(key, keyPEM, 0o600); err != nil {
		return fmt.Errorf("store TLS key: %w", err)
	}
	if err := os.WriteFile(cert, certPEM, 0o644); err != nil {
		return fmt.Errorf("store TLS certificate: %w", err)
	}
	return nil
}

func selfSigned(now time.Time) (certPEM, keyPEM []byte, err error) {
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		return nil, nil, err
	}
	serial, err := rand.Int(rand.Reader, new(big.Int).Lsh(big.NewInt(1), 127))
	if err != nil {
		return nil, nil, err
	}
	names := []string{"localhost"}
	if host, err := os.Hostname(); err == nil && host != "localhost" {
		names = append(names, host)
	}
	template := &x509.Certificate{
		SerialNumber: serial, Subject: pkix.Name{CommonName: "leat"},
		NotBefore: now.Add(-time.Hour), NotAfter: now.Add(certificateLifetime),
		KeyUsage: x509.KeyUsageDigitalSignature, ExtKeyUsage: []x509.ExtKeyUsage{x509.ExtKeyUsageServerAuth},
		DNSNames: names, IPAddresses: []net.IP{net.IPv4(127, 0, 0, 1), net.IPv6loopback},
		BasicConstraintsValid: true,
	}
	der, err := x509.CreateCertificate(rand.Reader, template, template, key.Public(), key)
	if err != nil {
		return nil, nil, err
	}
	keyDER, err := x509.MarshalPKCS8PrivateKey(key)
	if err != nil {
		return nil, nil, err
	}
	return pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: der}),
		pem.EncodeToMemory(&pem.Block{Type: "PRIVATE KEY", Bytes: keyDER}), nil
}
