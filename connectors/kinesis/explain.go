package kinesis

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"net"
	"strings"

	"github.com/aws/smithy-go"
	smithyhttp "github.com/aws/smithy-go/transport/http"

	"github.com/leatdb/leat/connectors"
	"github.com/leatdb/leat/internal/awsconn"
	"github.com/leatdb/leat/sql/sqlerror"
)

// errorCode is the service's name of an error; empty when it is none of the
// service's.
func errorCode(err error) string {
	if api, ok := errors.AsType[smithy.APIError](err); ok {
		return api.ErrorCode()
	}
	if refused, ok := errors.AsType[*refusedError](err); ok {
		return refused.code
	}
	return ""
}

// explain makes an error of the client one that says what to do. It is
// retryable: what the service answers now it may not answer later, and a stream
// that runs is not ended by it.
func explain(cfg connectors.SourceConfig, act string, err error) error {
	to := reading
	if cfg.Options.Has("consumer") {
		to = subscribing
	}
	return explainTo("source "+cfg.Name, cfg.Options, cfg.Options.String("stream"), to, act, err)
}

// purpose is what a client needs of a stream.
type purpose struct {
	permissions string
	key         string // permission on the stream's key
	throttled   string
}

var reading = purpose{
	permissions: "kinesis:DescribeStreamSummary, kinesis:ListShards, kinesis:GetShardIterator and kinesis:GetRecords",
	key:         "kms:Decrypt",
	throttled:   "other consumers read from the stream, too, and AWS allows five calls and 2 MB a second for each shard to all of them; lower shard_calls_per_second, or add shards",
}

var subscribing = purpose{
	permissions: reading.permissions + ", and kinesis:DescribeStreamConsumer, kinesis:RegisterStreamConsumer and kinesis:SubscribeToShard on its consumers",
	key:         reading.key,
	throttled:   "AWS allows each consumer one subscription a second to a shard, and a stream a few consumers at a time",
}

var writing = purpose{
	permissions: "kinesis:DescribeStreamSummary and kinesis:PutRecords",
	key:         "kms:GenerateDataKey",
	throttled:   "AWS allows 1 MB and 1,000 records a second for each shard; add shards, or choose a partition_key that spreads the rows",
}

// explainTo is explain for a purpose.
func explainTo(about string, o connectors.Options, stream string, to purpose, act string, err error) error {
	if err == nil || errors.Is(err, context.Canceled) || sqlerror.As(err) != nil {
		return err
	}
	endpoint := o.String("endpoint")
	if endpoint == "" {
		endpoint = "the endpoint of the region"
	}
	e := sqlerror.Externalf(sqlerror.CodeExternal, "%s: %w", act, awsconn.Concise(err)).About(about)
	auth := func(format string, args ...any) error {
		e.Code = sqlerror.CodeAuth
		return e.WithHint(format, args...)
	}
	switch code := errorCode(err); code {
	case "":
	case "ResourceNotFoundException":
		e.Code = sqlerror.CodeUnknownObject
		return e.WithHint("stream %s does not exist in this region and account; create it, or mend the options stream and region", stream)
	case "AccessDeniedException", "AccessDenied":
		return auth("the credentials need %s on the stream", to.permissions)
	case "UnrecognizedClientException", "InvalidClientTokenId", "InvalidSignatureException", "IncompleteSignature",
		"IncompleteSignatureException", "SignatureDoesNotMatch", "MissingAuthenticationTokenException", "MissingAuthenticationToken":
		return auth("the credentials were refused; check access_key_id, secret_access_key, session_token and region")
	case "ExpiredTokenException", "ExpiredToken", "RequestExpired":
		return auth("the credentials have expired")
	case "KMSAccessDeniedException", "KMSDisabledException", "KMSInvalidStateException", "KMSNotFoundException", "KMSOptInRequired":
		return auth("the stream is encrypted, and its key cannot be used; the credentials need %s", to.key)
	case resourceInUse:
		return e.WithHint("another stream or another program reads with this consumer, too; each reader needs one of its own (\"{stream}\" in the option consumer stands for the stream's name)")
	case "UnknownOperationException":
		return e.WithHint("what answers at %s is no Kinesis", endpoint)
	default:
		if isThrottled(err) {
			return e.WithHint("%s", to.throttled)
		}
		return e
	}
	var unknownCA x509.UnknownAuthorityError
	var record tls.RecordHeaderError
	var dns *net.DNSError
	var send *smithyhttp.RequestSendError
	var deserialization *smithy.DeserializationError
	switch {
	case awsconn.NoCredentials(err):
		return auth("no credentials were found; give access_key_id and secret_access_key, or profile, or set them in the environment")
	case errors.As(err, &unknownCA):
		return auth("the certificate of %s is signed by nobody whom this machine trusts", endpoint)
	case errors.As(err, &record), strings.Contains(err.Error(), "server gave HTTP response to HTTPS client"):
		return e.WithHint("%s does not speak TLS; write it with http://", endpoint)
	case errors.As(err, &dns):
		return e.WithHint("the name cannot be resolved; check the options region and endpoint")
	case errors.Is(err, context.DeadlineExceeded):
		return e.WithHint("no answer in time from %s; may this machine reach it?", endpoint)
	case errors.As(err, &send):
		return e.WithHint("check that this machine may reach %s", endpoint)
	case errors.As(err, &deserialization):
		return e.WithHint("is it Kinesis that answers at %s?", endpoint)
	}
	return e
}
