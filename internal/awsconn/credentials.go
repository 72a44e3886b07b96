package awsconn

import (
	"context"
	"errors"
	"sync"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/config"
	"github.com/aws/smithy-go"
	"github.com/aws/smithy-go/middleware"
)

// LoadConfig is the SDK's LoadDefaultConfig, with credentials that are looked for again
// when a service does not take them. The SDK reads shared files once, and has the keys
// of a role until their time by its own clock, so that work would wait for that, or for
// ever, with better ones at hand.
func LoadConfig(ctx context.Context, options ...func(*config.LoadOptions) error) (aws.Config, error) {
	sdk, err := config.LoadDefaultConfig(ctx, options...)
	if err != nil || sdk.Credentials == nil {
		return sdk, err
	}
	c := &chain{current: sdk.Credentials, load: func(ctx context.Context) (aws.CredentialsProvider, error) {
		again, err := config.LoadDefaultConfig(ctx, options...)
		return again.Credentials, err
	}}
	sdk.Credentials = c
	sdk.APIOptions = append(sdk.APIOptions, func(stack *middleware.Stack) error {
		return stack.Initialize.Add(middleware.InitializeMiddlewareFunc("LookForCredentialsAgain",
			func(ctx context.Context, in middleware.InitializeInput, next middleware.InitializeHandler) (middleware.InitializeOutput, middleware.Metadata, error) {
				out, metadata, err := next.HandleInitialize(ctx, in)
				if api, ok := errors.AsType[smithy.APIError](err); ok && refused[api.ErrorCode()] {
					c.refuse(ctx)
				}
				return out, metadata, err
			}), middleware.Before)
	})
	return sdk, nil
}

// refused are the codes by which services say that credentials are not, or no longer,
// those of somebody whom they know.
var refused = map[string]bool{
	"ExpiredToken": true, "ExpiredTokenException": true, "RequestExpired": true,
	"InvalidAccessKeyId": true, "InvalidClientTokenId": true, "InvalidToken": true, "UnrecognizedClientException": true,
	"SignatureDoesNotMatch": true, "InvalidSignatureException": true,
}

// chain is credentials of which a service may say that they are no longer taken.
type chain struct {
	load func(context.Context) (aws.CredentialsProvider, error)

	mu      sync.Mutex
	current aws.CredentialsProvider
	looked  time.Time // when they were last looked for again
}

// lookAgain is how often credentials are looked for again at most: whoever gives them
// out counts how often he is asked.
const lookAgain = 5 * time.Second

// Retrieve implements aws.CredentialsProvider.
func (c *chain) Retrieve(ctx context.Context) (aws.Credentials, error) {
	c.mu.Lock()
	current := c.current
	c.mu.Unlock()
	return current.Retrieve(ctx)
}

// Refused tells credentials of LoadConfig that a service which is not asked by the SDK
// does not take them.
func Refused(ctx context.Context, credentials aws.CredentialsProvider) {
	if c, ok := credentials.(*chain); ok {
		c.refuse(ctx)
	}
}

// refuse looks for credentials again. When that fails, those at hand are kept: what is
// wrong with them has been said.
func (c *chain) refuse(ctx context.Context) {
	c.mu.Lock()
	if time.Since(c.looked) < lookAgain {
		c.mu.Unlock()
		return
	}
	c.looked = time.Now()
	c.mu.Unlock()
	current, err := c.load(ctx)
	if err != nil || current == nil {
		return
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	c.current = current
}
