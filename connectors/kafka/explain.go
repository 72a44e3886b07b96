package kafka

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"io"
	"net"
	"strings"

	"github.com/twmb/franz-go/pkg/kerr"
	"github.com/twmb/franz-go/pkg/kgo"

	"github.com/leatdb/leat/connectors"
	"github.com/leatdb/leat/internal/oauthclient"
	"github.com/leatdb/leat/sql/sqlerror"
)

// explain makes an error of the client one that says what to do. It is
// retryable: what a cluster answers now it may not answer later, and a stream
// that runs is not ended by it.
func explain(cfg connectors.SourceConfig, act string, err error) error {
	return explainTo("source "+cfg.Name, cfg.Options, cfg.Options.String("topic"), "READ", act, err)
}

// explainTo is explain for a topic that somebody wants to READ or to WRITE.
func explainTo(about string, o connectors.Options, topic, right, act string, err error) error {
	if err == nil || errors.Is(err, context.Canceled) || sqlerror.As(err) != nil {
		return err
	}
	brokers := strings.Join(o.List("brokers"), ", ")
	e := sqlerror.Externalf(sqlerror.CodeExternal, "%s: %w", act, err).About(about)
	auth := func(format string, args ...any) error {
		e.Code = sqlerror.CodeAuth
		return e.WithHint(format, args...)
	}
	var unknownCA x509.UnknownAuthorityError
	var hostname x509.HostnameError
	var invalid x509.CertificateInvalidError
	var record tls.RecordHeaderError
	var alert tls.AlertError
	var firstRead *kgo.ErrFirstReadEOF
	var dns *net.DNSError
	var dial *net.OpError
	text, protocol := err.Error(), o.String("security_protocol")
	switch {
	case errors.Is(err, oauthclient.ErrAway):
		return e.WithHint("check oauth2_uri, and that this machine may reach it")
	case errors.Is(err, errNoToken):
		return auth("check oauth2_uri, oauth2_client_id, oauth2_client_secret and oauth2_scope")
	case errors.Is(err, errNoKeys):
		return auth("give access_key_id and secret_access_key, or set up the environment's credential chain")
	case errors.Is(err, errToken), errors.Is(err, kerr.SaslAuthenticationFailed) && o.String("sasl_mechanism") == loginOAuth:
		return auth("the brokers refuse the token; check its issuer, audience, scope and time")
	case errors.Is(err, kerr.SaslAuthenticationFailed) && o.String("sasl_mechanism") == loginIAM:
		return auth("the credentials need kafka-cluster:Connect on the cluster; check them, their time and the region")
	case errors.Is(err, kerr.SaslAuthenticationFailed):
		return auth("check sasl_username, sasl_password and sasl_mechanism")
	case errors.Is(err, kerr.UnsupportedSaslMechanism):
		return auth("the brokers do not offer %s; set another sasl_mechanism", o.String("sasl_mechanism"))
	case errors.Is(err, kerr.IllegalSaslState):
		return auth("the brokers expect no login on this port; check security_protocol and the port")
	case errors.Is(err, kerr.TopicAuthorizationFailed):
		return auth("the user needs %s and DESCRIBE on topic %s", right, topic)
	case errors.Is(err, kerr.TransactionalIDAuthorizationFailed):
		return auth("the user needs WRITE and DESCRIBE on the transactional id")
	case errors.Is(err, kerr.ClusterAuthorizationFailed), errors.Is(err, kerr.GroupAuthorizationFailed):
		return auth("the user is not allowed to do this on the cluster")
	case errors.Is(err, kerr.UnknownTopicOrPartition):
		e.Code = sqlerror.CodeUnknownObject
		return e.WithHint("topic %s does not exist; create it, or mend the option topic", topic)
	case errors.Is(err, kerr.InvalidTopicException):
		e.Code = sqlerror.CodeBadOption
		return e.WithHint("%q cannot be a topic's name", topic)
	case errors.As(err, &unknownCA):
		return auth("the brokers' certificate is signed by nobody whom this machine trusts; give the authority's certificate as tls_ca")
	case errors.As(err, &hostname):
		return auth("the brokers' certificate is for another name; give that name as tls_server_name, or mend brokers")
	case errors.As(err, &invalid):
		return auth("the brokers' certificate is not valid")
	case errors.As(err, &alert), strings.Contains(text, "remote error: tls:"):
		return auth("the brokers refused the TLS connection; they may ask for a client certificate: tls_cert and tls_key")
	case errors.As(err, &record), strings.Contains(text, "first record does not look like a TLS handshake"):
		return auth("the brokers do not speak TLS on this port; check security_protocol and the port")
	case errors.As(err, &firstRead), strings.Contains(text, "tls alert record"):
		return auth("the brokers closed the connection at once: they may expect TLS or a login, or know no TLS on this port; check security_protocol and the port")
	case errors.Is(err, io.EOF) && strings.HasPrefix(protocol, "sasl"):
		return auth("the brokers closed the connection during the login; check sasl_username, sasl_password, sasl_mechanism and the port")
	case errors.As(err, &dns):
		return e.WithHint("the name cannot be resolved; check brokers (%s), or what the brokers advertise", brokers)
	case errors.Is(err, context.DeadlineExceeded) && strings.HasSuffix(protocol, "ssl"):
		return e.WithHint("no answer in time from %s; does it speak TLS on this port (security_protocol), and may this machine reach it?", brokers)
	case errors.Is(err, context.DeadlineExceeded):
		return e.WithHint("no answer in time from %s; is it a Kafka broker, and may this machine reach it?", brokers)
	case errors.Is(err, errNoCommit):
		return e.WithHint("check that topic %s, the topic of positions and __transaction_state have leaders and enough replicas in sync", topic)
	case errors.As(err, &dial), errors.Is(err, errCut):
		return e.WithHint("check brokers (%s), and that this machine may reach them and what they advertise", brokers)
	}
	return e
}
