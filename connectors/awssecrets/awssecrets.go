// Package awssecrets lets options of sources and sinks refer to AWS Secrets
// Manager: ${aws-secret:name} is a secret's text, ${aws-secret:name#key} the
// value of a key of a secret that is a JSON object. The name may be an ARN.
//
// Region and credentials are those that the AWS SDK finds; the environment
// variable AWS_ENDPOINT_URL_SECRETS_MANAGER names another endpoint.
package awssecrets

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"strings"
	"sync"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/aws/arn"
	"github.com/aws/aws-sdk-go-v2/config"
	"github.com/aws/aws-sdk-go-v2/service/secretsmanager"
	"github.com/aws/smithy-go"

	"github.com/leatdb/leat/connectors"
	"github.com/leatdb/leat/internal/awsconn"
	"github.com/leatdb/leat/sql/sqlerror"
)

// Kind is the word before the colon of a reference.
const Kind = "aws-secret"

func init() { connectors.RegisterSubstitution(Kind, defaultCache.value) }

const (
	// keep is how long a value is used before it is asked for again: definitions
	// are read several times in a row.
	keep = time.Minute
	// patience bounds one question.
	patience = 20 * time.Second
)

var defaultCache = cache{now: time.Now}

// cache keeps the texts of secrets for a while, in memory only.
type cache struct {
	now   func() time.Time
	mu    sync.Mutex
	texts map[string]cached // by name
}

type cached struct {
	text  string
	until time.Time
}

// value is what a reference stands for. Errors name the secret and never hold
// anything of it.
func (c *cache) value(reference string) (string, error) {
	name, key, hasKey := strings.Cut(reference, "#")
	if name == "" || hasKey && key == "" {
		return "", sqlerror.Userf(sqlerror.CodeBadOption, "${%s:%s} names no secret", Kind, reference).WithHint("write ${%s:name} or ${%[1]s:name#key}", Kind)
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	one, ok := c.texts[name]
	if !ok || c.now().After(one.until) {
		text, err := fetch(name)
		if err != nil {
			return "", err
		}
		if one = (cached{text, c.now().Add(keep)}); c.texts == nil {
			c.texts = map[string]cached{}
		}
		c.texts[name] = one
	}
	if !hasKey {
		return one.text, nil
	}
	var object map[string]json.RawMessage
	if json.Unmarshal([]byte(one.text), &object) != nil {
		return "", sqlerror.Userf(sqlerror.CodeBadOption, "AWS secret %s is no JSON object", name).WithHint("write ${%s:%s} for all of its text", Kind, name)
	}
	raw, ok := object[key]
	if !ok {
		return "", sqlerror.Userf(sqlerror.CodeBadOption, "AWS secret %s has no key %s", name, key)
	}
	var text string
	if json.Unmarshal(raw, &text) != nil {
		text = string(raw) // a number or a boolean
	}
	return text, nil
}

func fetch(name string) (string, error) {
	ctx, cancel := context.WithTimeout(context.Background(), patience)
	defer cancel()
	var options []func(*config.LoadOptions) error
	if a, err := arn.Parse(name); err == nil && a.Region != "" {
		options = append(options, config.WithRegion(a.Region))
	}
	sdk, err := awsconn.LoadConfig(ctx, options...)
	if err != nil {
		return "", sqlerror.Externalf(sqlerror.CodeExternal, "load the AWS configuration: %w", err).Final()
	}
	if sdk.Region == "" {
		return "", sqlerror.Userf(sqlerror.CodeBadOption, "no region is known to look for AWS secret %s in", name).
			WithHint("set AWS_REGION, or write the secret's ARN")
	}
	out, err := secretsmanager.NewFromConfig(sdk).GetSecretValue(ctx, &secretsmanager.GetSecretValueInput{SecretId: aws.String(name)})
	if err != nil {
		return "", failure(name, err)
	}
	if out.SecretString != nil {
		return *out.SecretString, nil
	}
	return string(out.SecretBinary), nil
}

// failure says what is wrong, and whether it may pass.
func failure(name string, err error) error {
	if api, ok := errors.AsType[smithy.APIError](err); ok {
		switch api.ErrorCode() {
		case "ResourceNotFoundException":
			return sqlerror.Userf(sqlerror.CodeUnknownObject, "there is no AWS secret %s", name).WithHint("check its name and the region")
		case "AccessDeniedException", "UnrecognizedClientException", "InvalidSignatureException", "ExpiredTokenException", "DecryptionFailure":
			return sqlerror.Userf(sqlerror.CodeAuth, "read AWS secret %s: %s", name, api.ErrorCode()).
				WithHint("the credentials need secretsmanager:GetSecretValue, and kms:Decrypt for its key")
		}
		return sqlerror.Externalf(sqlerror.CodeExternal, "read AWS secret %s: %s", name, api.ErrorCode())
	}
	return sqlerror.Externalf(sqlerror.CodeExternal, "%w", fmt.Errorf("read AWS secret %s: %w", name, awsconn.Concise(err)))
}
