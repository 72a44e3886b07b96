package awsconn

import (
	"context"
	"errors"
	"net"
	"net/http"
	"strconv"
	"strings"

	v4 "github.com/aws/aws-sdk-go-v2/aws/signer/v4"
	"github.com/aws/smithy-go"
	smithyhttp "github.com/aws/smithy-go/transport/http"
)

// Concise is an error of the SDK in few words: the operation, and the code and
// message that the service answered with and the id of the request, or else why
// there is no answer. The SDK's own text names each layer that an error passed
// through. What err is and wraps stays; an error of something else, and nil, come
// back as they are.
func Concise(err error) error {
	operation, ok := errors.AsType[*smithy.OperationError](err)
	if !ok {
		return err
	}
	return &conciseError{err, strings.Replace(err.Error(), operation.Error(), describe(operation), 1)}
}

type conciseError struct {
	err  error
	text string
}

func (e *conciseError) Error() string { return e.text }
func (e *conciseError) Unwrap() error { return e.err }

// describe is the text of a failed operation.
func describe(operation *smithy.OperationError) string {
	name := operation.Service() + " " + operation.Operation() + ": "
	if api, ok := errors.AsType[smithy.APIError](operation.Err); ok {
		text := api.ErrorCode()
		// The SDK fills in for a message that the service has not sent.
		if message := strings.TrimSuffix(api.ErrorMessage(), "."); message != "" && message != text && message != "UnknownError" {
			text += ": " + message
		}
		var response interface{ ServiceRequestID() string }
		if errors.As(operation.Err, &response) && response.ServiceRequestID() != "" {
			text += " (request " + response.ServiceRequestID() + ")"
		}
		return name + text
	}
	if send, ok := errors.AsType[*smithyhttp.RequestSendError](operation.Err); ok {
		return name + send.Err.Error()
	}
	// Credentials that were asked of a service of their own, for one.
	inner := Concise(operation.Err).Error()
	if response, ok := errors.AsType[*smithyhttp.ResponseError](operation.Err); ok && response.Err != nil {
		status := "status " + strconv.Itoa(response.HTTPStatusCode()) + ": " + response.Err.Error()
		inner = strings.Replace(inner, response.Error(), status, 1)
	}
	return name + inner
}

// NoCredentials reports whether a request was not sent since there is nothing to
// sign it with. It is false where somebody who hands out credentials refused to, or
// gave no proper answer in time: that may pass.
func NoCredentials(err error) bool {
	if unanswered(err) {
		return false
	}
	if _, ok := errors.AsType[*v4.SigningError](err); ok {
		return true
	}
	operation, ok := errors.AsType[*smithy.OperationError](err)
	return ok && strings.HasPrefix(operation.Err.Error(), "get identity: ") // the SDK has no type for it
}

// unanswered reports whether credentials were asked of a service that answers with
// an error, or not in time. That the metadata of the machine has none, or that there
// is no such service, is an answer.
func unanswered(err error) bool {
	operation, ok := errors.AsType[*smithy.OperationError](err)
	if !ok {
		return false
	}
	asked, ok := errors.AsType[*smithy.OperationError](operation.Err)
	if !ok {
		return false
	}
	if asked.Service() != "ec2imds" || errors.Is(asked, context.DeadlineExceeded) || errors.Is(asked, context.Canceled) {
		return true
	}
	if timed, ok := errors.AsType[net.Error](asked); ok && timed.Timeout() {
		return true
	}
	response, ok := errors.AsType[*smithyhttp.ResponseError](asked)
	return ok && (response.HTTPStatusCode() >= 500 || response.HTTPStatusCode() == http.StatusTooManyRequests)
}
