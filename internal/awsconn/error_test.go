package awsconn_test

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"net/http/httptest"
	"strings"
	"syscall"
	"testing"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/credentials"
	"github.com/aws/aws-sdk-go-v2/service/s3"
	"github.com/aws/aws-sdk-go-v2/service/sqs"
	"github.com/aws/smithy-go"
	smithyhttp "github.com/aws/smithy-go/transport/http"

	"github.com/leatdb/leat/internal/awsconn"
)

func TestConcise(t *testing.T) {
	status, body := 0, ""
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("X-Amz-Request-Id", "R1")
		w.Header().Set("X-Amzn-Requestid", "R1")
		w.Header().Set("X-Amz-Id-2", strings.Repeat("h", 76))
		w.WriteHeader(status)
		_, _ = w.Write([]byte(body))
	}))
	defer server.Close()
	const nobody = "http://127.0.0.1:1" // whose port no other test gets meanwhile
	keys := credentials.NewStaticCredentialsProvider("k", "s", "")
	store := func(endpoint string, keys aws.CredentialsProvider) *s3.Client {
		return s3.New(s3.Options{BaseEndpoint: &endpoint, Region: "r", Credentials: keys, UsePathStyle: true, RetryMaxAttempts: 1})
	}
	f := func(act func() error, wantStatus int, wantBody, want string) error {
		t.Helper()
		status, body = wantStatus, wantBody
		err := act()
		got := awsconn.Concise(err)
		if !strings.HasPrefix(got.Error(), want) || len(got.Error()) > len(want)+60 {
			t.Errorf("Concise(%v) = %v, want %s", err, got, want)
		}
		if again := awsconn.Concise(fmt.Errorf("act: %w", err)).Error(); again != "act: "+got.Error() {
			t.Errorf("Concise of a wrapped error = %s", again)
		}
		return got
	}
	list := func(c *s3.Client) func() error {
		return func() error {
			_, err := c.ListObjectsV2(t.Context(), &s3.ListObjectsV2Input{Bucket: aws.String("b")})
			return err
		}
	}
	head := func() error {
		_, err := store(server.URL, keys).HeadObject(t.Context(), &s3.HeadObjectInput{Bucket: aws.String("b"), Key: aws.String("k")})
		return err
	}
	err := f(list(store(server.URL, keys)), 404, `<Error><Code>NoSuchBucket</Code><Message>The specified bucket does not exist.</Message></Error>`,
		"S3 ListObjectsV2: NoSuchBucket: The specified bucket does not exist (request R1)")
	if api, ok := errors.AsType[smithy.APIError](err); !ok || api.ErrorCode() != "NoSuchBucket" {
		t.Errorf("the error is none of the service any more: %v", err)
	}
	_ = f(list(store(server.URL, keys)), 503, `<Error><Code>SlowDown</Code></Error>`, "S3 ListObjectsV2: SlowDown (request R1)")
	_ = f(head, 403, "", "S3 HeadObject: Forbidden (request R1)")
	_ = f(list(store(nobody, keys)), 0, "", `S3 ListObjectsV2: Get "`+nobody+`/b?list-type=2": dial tcp `+strings.TrimPrefix(nobody, "http://")+": connect: "+syscall.ECONNREFUSED.Error())
	err = f(list(store(server.URL, aws.CredentialsProviderFunc(nothing))), 0, "", "S3 ListObjectsV2: get identity: get credentials: there are none")
	if !awsconn.NoCredentials(err) {
		t.Errorf("NoCredentials(%v) = false", err)
	}
	_ = f(func() error {
		_, err := sqs.New(sqs.Options{BaseEndpoint: &server.URL, Region: "r", Credentials: keys, RetryMaxAttempts: 1}).
			ReceiveMessage(t.Context(), &sqs.ReceiveMessageInput{QueueUrl: aws.String(server.URL + "/1/q")})
		return err
	}, 400, `{"__type":"com.amazonaws.sqs#QueueDoesNotExist","message":"The specified queue does not exist."}`,
		"SQS ReceiveMessage: QueueDoesNotExist: The specified queue does not exist (request R1)")

	plain := errors.New("disk on fire")
	if got := awsconn.Concise(plain); got != plain || awsconn.Concise(nil) != nil || awsconn.NoCredentials(plain) { //nolint:errorlint // itself is meant
		t.Errorf("an error of something else became %v", got)
	}
}

// Credentials that could not be asked for are none that are missing.
func TestNoCredentials_ThatAreAskedFor(t *testing.T) {
	answer := func(status int) error {
		return &smithyhttp.ResponseError{Response: &smithyhttp.Response{Response: &http.Response{StatusCode: status}}, Err: errors.New("no")}
	}
	for _, c := range []struct {
		service string
		err     error
		want    bool
	}{
		{"ec2imds", answer(404), true},
		{"ec2imds", syscall.ECONNREFUSED, true},
		{"ec2imds", answer(503), false},
		{"ec2imds", answer(429), false},
		{"ec2imds", context.DeadlineExceeded, false},
		{"STS", answer(503), false},
		{"STS", answer(403), false},
	} {
		asked := &smithy.OperationError{ServiceID: c.service, OperationName: "Get", Err: c.err}
		err := error(&smithy.OperationError{ServiceID: "S3", OperationName: "List", Err: fmt.Errorf("get identity: get credentials: %w", asked)})
		if got := awsconn.NoCredentials(err); got != c.want {
			t.Errorf("NoCredentials(%v) = %v", err, got)
		}
	}
}

func nothing(context.Context) (aws.Credentials, error) {
	return aws.Credentials{}, errors.New("there are none")
}
