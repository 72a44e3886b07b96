package kafka

import (
	"crypto/tls"
	"crypto/x509"
	"fmt"
	"net"
	"os"
	"strconv"
	"strings"
	"time"

	"github.com/twmb/franz-go/pkg/kgo"

	"github.com/leatdb/leat/connectors"
	"github.com/leatdb/leat/sql/sqlerror"
)

// clientOptions are the options of every client of a source.
func clientOptions(cfg connectors.SourceConfig) ([]kgo.Opt, error) {
	if cfg.Options.String("topic") == "" {
		return nil, sqlerror.Userf(sqlerror.CodeBadOption, "option %q is empty", "topic").About("source " + cfg.Name)
	}
	return connectionOptions("source "+cfg.Name, cfg.Stream, cfg.Options)
}

// connectionOptions are the options of every client.
func connectionOptions(about, stream string, o connectors.Options) ([]kgo.Opt, error) {
	fail := func(format string, args ...any) ([]kgo.Opt, error) {
		return nil, sqlerror.Userf(sqlerror.CodeBadOption, format, args...).About(about)
	}
	brokers := o.List("brokers")
	if len(brokers) == 0 {
		return fail("option %q names no broker", "brokers")
	}
	id := o.String("client_id")
	if id == "" {
		id = strings.TrimSuffix("leat-"+stream, "-")
	}
	opts := []kgo.Opt{
		kgo.SeedBrokers(brokers...),
		kgo.ClientID(id),
		kgo.SoftwareNameAndVersion("leat", "1"),
		kgo.RequestTimeoutOverhead(o.Duration("connect_timeout")),
		kgo.MetadataMinAge(500 * time.Millisecond),
		kgo.DisableClientMetrics(),
	}
	protocol := o.String("security_protocol")
	secure, login := strings.HasSuffix(protocol, "ssl"), strings.HasPrefix(protocol, "sasl")
	for _, name := range []string{"tls_ca", "tls_cert", "tls_key", "tls_server_name", "tls_skip_verify"} {
		if o.Has(name) && !secure {
			return fail("option %q has no effect with security_protocol = '%s'; write 'ssl' or 'sasl_ssl'", name, protocol)
		}
	}
	for _, name := range loginOptions {
		if o.Has(name) && !login {
			return fail("option %q has no effect with security_protocol = '%s'; write 'sasl_ssl' or 'sasl_plaintext'", name, protocol)
		}
	}
	dial, err := dialer(o)
	if err != nil {
		return fail("%w", err)
	}
	opts = append(opts, kgo.Dialer(dial))
	if login {
		m, err := mechanism(o)
		if err != nil {
			return fail("%w", err)
		}
		opts = append(opts, kgo.SASL(m))
	}
	return opts, nil
}

// dialer connects to brokers as the options say. The options have been checked.
func dialer(o connectors.Options) (dialFunc, error) {
	dial := &net.Dialer{Timeout: o.Duration("connect_timeout")}
	if !strings.HasSuffix(o.String("security_protocol"), "ssl") {
		return dial.DialContext, nil
	}
	c, err := tlsConfig(o)
	if err != nil {
		return nil, err
	}
	return (&tls.Dialer{NetDialer: dial, Config: c}).DialContext, nil
}

func tlsConfig(o connectors.Options) (*tls.Config, error) {
	c := &tls.Config{
		MinVersion: tls.VersionTLS12,
		ServerName: o.String("tls_server_name"),
		// The user's choice, off by default.
		InsecureSkipVerify: o.Bool("tls_skip_verify"),
	}
	if o.Has("tls_ca") {
		pem, err := readPEM(o.String("tls_ca"))
		if err != nil {
			return nil, fmt.Errorf("read tls_ca: %w", err)
		}
		c.RootCAs = x509.NewCertPool()
		if !c.RootCAs.AppendCertsFromPEM(pem) {
			return nil, fmt.Errorf("tls_ca holds no certificate in PEM")
		}
	}
	if o.Has("tls_cert") != o.Has("tls_key") {
		return nil, fmt.Errorf("tls_cert and tls_key belong together")
	}
	if o.Has("tls_cert") {
		cert, err := readPEM(o.String("tls_cert"))
		if err != nil {
			return nil, fmt.Errorf("read tls_cert: %w", err)
		}
		key, err := readPEM(o.String("tls_key"))
		if err != nil {
			return nil, fmt.Errorf("read tls_key: %w", err)
		}
		pair, err := tls.X509KeyPair(cert, key)
		if err != nil {
			return nil, fmt.Errorf("use tls_cert and tls_key: %w", err)
		}
		c.Certificates = []tls.Certificate{pair}
	}
	return c, nil
}

// readPEM takes PEM text as it is, and anything else as a file's name.
func readPEM(value string) ([]byte, error) {
	if strings.Contains(value, "-----BEGIN ") {
		return []byte(value), nil
	}
	return os.ReadFile(value)
}

// startAt is the start option.
type startAt struct {
	latest bool
	millis int64 // since 1970, −1 for earliest and latest
}

// timeLayouts are ISO 8601 with T or a space, with or without an offset; times
// without one are UTC.
var timeLayouts = []string{
	"2006-01-02T15:04:05Z07:00", "2006-01-02 15:04:05Z07:00", "2006-01-02T15:04:05Z0700", "2006-01-02 15:04:05Z0700",
	"2006-01-02T15:04:05", "2006-01-02 15:04:05", "2006-01-02T15:04", "2006-01-02 15:04", "2006-01-02",
}

func parseStart(text string) (startAt, error) {
	text = strings.TrimSpace(text)
	switch strings.ToLower(text) {
	case "earliest":
		return startAt{millis: -1}, nil
	case "latest":
		return startAt{millis: -1, latest: true}, nil
	}
	if millis, err := strconv.ParseInt(text, 10, 64); err == nil && millis >= 0 {
		return startAt{millis: millis}, nil
	}
	for _, layout := range timeLayouts {
		if t, err := time.Parse(layout, text); err == nil && t.Unix() >= 0 {
			return startAt{millis: t.UnixMilli()}, nil
		}
	}
	e := sqlerror.Userf(sqlerror.CodeBadOption, "option %q: %q is no place to start", "start", text)
	if near := sqlerror.Nearest(text, []string{"earliest", "latest"}); near != "" {
		return startAt{}, e.WithHint("did you mean %q?", near)
	}
	return startAt{}, e.WithHint("write 'earliest', 'latest', '2026-01-31T12:00:00Z' or milliseconds since 1970")
}
