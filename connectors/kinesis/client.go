package kinesis

import (
	"context"
	"net/http"
	"net/url"
	"strconv"
	"strings"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/aws/arn"
	"github.com/aws/aws-sdk-go-v2/aws/retry"
	awshttp "github.com/aws/aws-sdk-go-v2/aws/transport/http"
	"github.com/aws/aws-sdk-go-v2/config"
	"github.com/aws/aws-sdk-go-v2/credentials"
	"github.com/aws/aws-sdk-go-v2/service/kinesis"
	"github.com/aws/smithy-go/logging"

	"github.com/leatdb/leat/connectors"
	"github.com/leatdb/leat/internal/awsconn"
	"github.com/leatdb/leat/sql/sqlerror"
)

// target names the stream to the service: by one of the two.
type target struct{ name, arn *string }

func (t target) String() string {
	if t.arn != nil {
		return *t.arn
	}
	return *t.name
}

// newClient makes a client of the options, which it checks, for a stream by name
// or ARN; hangUp closes its connections.
func newClient(ctx context.Context, about string, o connectors.Options, name string) (client *kinesis.Client, stream target, hangUp func(), err error) {
	fail := func(format string, args ...any) (*kinesis.Client, target, func(), error) {
		return nil, target{}, nil, sqlerror.Userf(sqlerror.CodeBadOption, format, args...).About(about)
	}
	switch {
	case name == "":
		return fail("option %q is empty", "stream")
	case strings.HasPrefix(name, "arn:"):
		a, parseErr := arn.Parse(name)
		if parseErr != nil || a.Service != "kinesis" || !strings.HasPrefix(a.Resource, "stream/") {
			return fail("%q is not the ARN of a data stream", name)
		}
		stream.arn = &name
	default:
		stream.name = &name
	}
	region, _ := named(o, name)
	endpoint := o.String("endpoint")
	if endpoint != "" {
		u, parseErr := url.Parse(endpoint)
		if parseErr != nil || u.Scheme != "http" && u.Scheme != "https" || u.Host == "" {
			return fail("option %q: %q is no http or https URL", "endpoint", endpoint)
		}
	}
	if o.Has("access_key_id") != o.Has("secret_access_key") {
		return fail("access_key_id and secret_access_key are given together or not at all")
	}
	if o.Has("session_token") && !o.Has("access_key_id") {
		return fail("session_token needs access_key_id and secret_access_key")
	}
	if o.Has("profile") && o.Has("access_key_id") {
		return fail("profile and access_key_id exclude each other")
	}
	conns := &awsconn.Conns{}
	transport := awshttp.NewBuildableClient().WithTransportOptions(conns.Track, func(t *http.Transport) {
		t.MaxIdleConns, t.MaxIdleConnsPerHost = 0, 256 // a call for each shard at a time
		t.ResponseHeaderTimeout = o.Duration("request_timeout")
		t.ReadBufferSize = 64 << 10
		t.DisableCompression = true
		// What the service may send ahead of a shard whose reading waits.
		t.HTTP2 = &http.HTTP2Config{MaxReceiveBufferPerStream: 1 << 20}
	})
	options := []func(*config.LoadOptions) error{
		config.WithHTTPClient(transport),
		config.WithLogger(logging.Nop{}),
		config.WithRetryer(func() aws.Retryer {
			return retry.AddWithMaxBackoffDelay(retry.AddWithMaxAttempts(retry.NewStandard(), 3), time.Second)
		}),
	}
	if region != "" {
		options = append(options, config.WithRegion(region))
	}
	if o.Has("profile") {
		options = append(options, config.WithSharedConfigProfile(o.String("profile")))
	}
	if o.Has("access_key_id") {
		options = append(options, config.WithCredentialsProvider(credentials.NewStaticCredentialsProvider(
			o.String("access_key_id"), o.String("secret_access_key"), o.String("session_token"))))
	}
	sdk, err := awsconn.LoadConfig(ctx, options...)
	if err != nil {
		return nil, target{}, nil, sqlerror.Userf(sqlerror.CodeBadOption, "load the AWS configuration: %w", err).About(about)
	}
	if sdk.Region == "" {
		if endpoint == "" {
			return nil, target{}, nil, sqlerror.Userf(sqlerror.CodeBadOption, "no region is known for stream %s", stream).About(about).
				WithHint("give the option region, or set AWS_REGION")
		}
		sdk.Region = "us-east-1"
	}
	client = kinesis.NewFromConfig(sdk, func(k *kinesis.Options) {
		if endpoint != "" {
			k.BaseEndpoint = aws.String(endpoint)
		}
		k.Protocol = pageProtocol{k.Protocol}
	})
	return client, stream, conns.Close, nil
}

// once makes a call that is not repeated by the client: who calls has a pace of
// its own.
func once(o *kinesis.Options) { o.Retryer = aws.NopRetryer{} }

// startAt is the start option.
type startAt struct {
	latest bool
	millis int64 // since 1970, −1 for the other places
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
	case "trim_horizon", "earliest": // the latter is Kafka's word
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
	if near := sqlerror.Nearest(text, []string{"trim_horizon", "latest"}); near != "" {
		return startAt{}, e.WithHint("did you mean %q?", near)
	}
	return startAt{}, e.WithHint("write 'trim_horizon', 'latest', '2026-01-31T12:00:00Z' or milliseconds since 1970")
}
