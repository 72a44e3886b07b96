package objectstore

import (
	"context"
	"errors"
	"io/fs"
	"net/http"

	awshttp "github.com/aws/aws-sdk-go-v2/aws/transport/http"
	"github.com/aws/smithy-go"

	"github.com/leatdb/leat/internal/awsconn"
	"github.com/leatdb/leat/sql/sqlerror"
)

var errNotExist = fs.ErrNotExist

// error makes an error of the SDK one of ours. An ended context comes back as
// it is.
func (s *s3Store) error(ctx context.Context, op, key string, err error) error {
	if err == nil {
		return nil
	}
	if ctx.Err() != nil {
		return context.Cause(ctx)
	}
	code := ""
	if api, ok := errors.AsType[smithy.APIError](err); ok {
		code = api.ErrorCode()
	}
	if response, ok := errors.AsType[*awshttp.ResponseError](err); ok && (code == "" || code == "UnknownError" || code == "NotFound" || code == "Forbidden") {
		// HEAD has no body, hence no code.
		switch response.HTTPStatusCode() {
		case http.StatusNotFound:
			code = "NoSuchKey"
		case http.StatusForbidden:
			code = "AccessDenied"
		case http.StatusPreconditionFailed:
			code = "PreconditionFailed"
		}
	}
	return classify(code, op, s.root.Bucket, join(s.root.Path, key), awsconn.Concise(err))
}

// sentinel gives an error of S3 a standard meaning and keeps its text.
type sentinel struct {
	error
	is error
}

func (s sentinel) Is(target error) bool { return target == s.is }
func (s sentinel) Unwrap() error        { return s.error }

func isMissingBucket(err error) bool {
	e := sqlerror.As(err)
	return e != nil && e.Code == sqlerror.CodeUnknownObject
}

// classify says what an error code of S3 means for the user. What may heal
// without a changed option is retryable: a bucket that comes back, a permission
// that is granted, a key that is put back, a token that the credential chain
// renews.
func classify(code, op, bucket, key string, err error) error {
	uri := Location{Scheme: "s3", Bucket: bucket, Path: key}.String()
	switch code {
	case "NoSuchKey", "NotFound":
		return sqlerror.Externalf(sqlerror.CodeExternal, "%s %s: %w", op, uri, sentinel{err, fs.ErrNotExist}).Final()
	case "PreconditionFailed", "ConditionalRequestConflict":
		e := sqlerror.Externalf(sqlerror.CodeExternal, "%s %s: %w", op, uri, sentinel{err, fs.ErrExist})
		e.Retryable = code == "ConditionalRequestConflict"
		return e
	case "NoSuchBucket":
		return sqlerror.Externalf(sqlerror.CodeUnknownObject, "%s %s: bucket %s does not exist: %w", op, uri, bucket, err).
			WithHint("create the bucket, or correct path")
	case "AccessDenied", "AllAccessDisabled", "Forbidden":
		return sqlerror.Externalf(sqlerror.CodeAuth, "%s %s: access denied: %w", op, uri, err).
			WithHint("the credentials need s3:ListBucket on the bucket and s3:GetObject, s3:PutObject, s3:DeleteObject, s3:AbortMultipartUpload on its objects")
	case "InvalidAccessKeyId", "SignatureDoesNotMatch", "InvalidToken", "AuthorizationHeaderMalformed", "InvalidSecurity":
		return sqlerror.Externalf(sqlerror.CodeAuth, "%s %s: the credentials were refused (%s): %w", op, uri, code, err).
			WithHint("check access_key_id, secret_access_key, session_token and region")
	case "ExpiredToken", "ExpiredTokenException", "RequestExpired":
		return sqlerror.Externalf(sqlerror.CodeAuth, "%s %s: the credentials have expired: %w", op, uri, err).
			WithHint("renew them; work goes on by itself when they come from the environment's credential chain")
	case "RequestTimeTooSkewed":
		return sqlerror.Externalf(sqlerror.CodeAuth, "%s %s: the clock of this machine is wrong: %w", op, uri, err)
	case "PermanentRedirect", "IllegalLocationConstraintException":
		return sqlerror.Externalf(sqlerror.CodeExternal, "%s %s: the bucket lies in another region: %w", op, uri, err).Final().
			WithHint("correct the option region")
	case "InvalidBucketName":
		return sqlerror.Userf(sqlerror.CodeBadOption, "%s %s: %w", op, uri, err)
	case "NoSuchUpload":
		return sqlerror.Externalf(sqlerror.CodeExternal, "%s %s: %w", op, uri, sentinel{err, ErrNoUpload}).Final()
	case "EntityTooLarge", "InvalidPart", "InvalidPartOrder", "EntityTooSmall", "InvalidArgument", "KMS.DisabledException",
		"KMS.NotFoundException", "NotImplemented", "MethodNotAllowed", "InvalidRequest":
		return sqlerror.Externalf(sqlerror.CodeExternal, "%s %s: %w", op, uri, err).Final()
	}
	if awsconn.NoCredentials(err) {
		return sqlerror.Externalf(sqlerror.CodeAuth, "%s %s: no credentials: %w", op, uri, err).
			WithHint("give access_key_id and secret_access_key, or set up the environment's credential chain")
	}
	return sqlerror.Externalf(sqlerror.CodeExternal, "%s %s: %w", op, uri, err).
		WithHint("check that the endpoint can be reached")
}
