// Package glue keeps tables of plain folders in the AWS Glue Data Catalog
// (https://docs.aws.amazon.com/glue/latest/dg/catalog-and-crawler.html), where
// Athena, Spark, Redshift Spectrum and EMR find them, and reads tables that
// others have put there.
//
// A sink is a database, named like it in lower case. Partitions are added in
// batches; everything can be repeated.
package glue

import (
	"context"
	"errors"
	"fmt"
	"strings"

	"github.com/aws/aws-sdk-go-v2/aws"
	awshttp "github.com/aws/aws-sdk-go-v2/aws/transport/http"
	"github.com/aws/aws-sdk-go-v2/config"
	"github.com/aws/aws-sdk-go-v2/credentials"
	"github.com/aws/aws-sdk-go-v2/service/glue"
	gluetypes "github.com/aws/aws-sdk-go-v2/service/glue/types"
	"github.com/aws/smithy-go"

	"github.com/leatdb/leat/internal/awsconn"
	"github.com/leatdb/leat/internal/objectstore"
	"github.com/leatdb/leat/sql/sqlerror"
)

// Config says how the catalog is reached. The zero value takes all from the
// environment, as the AWS SDK finds it.
type Config struct {
	Endpoint, Region                           string
	AccessKeyID, SecretAccessKey, SessionToken string
}

// Load makes a configuration of the SDK.
func (c Config) Load(ctx context.Context) (aws.Config, error) {
	var options []func(*config.LoadOptions) error
	if c.Region != "" {
		options = append(options, config.WithRegion(c.Region))
	}
	if c.AccessKeyID != "" {
		options = append(options, config.WithCredentialsProvider(
			credentials.NewStaticCredentialsProvider(c.AccessKeyID, c.SecretAccessKey, c.SessionToken)))
	}
	if c.Endpoint != "" {
		options = append(options, config.WithBaseEndpoint(c.Endpoint))
	}
	sdk, err := awsconn.LoadConfig(ctx, options...)
	if err != nil {
		return sdk, sqlerror.Externalf(sqlerror.CodeExternal, "load the AWS configuration: %w", err).Final()
	}
	sdk.HTTPClient = objectstore.Watch(sdk.HTTPClient)
	if sdk.Region == "" {
		return sdk, sqlerror.Userf(sqlerror.CodeBadOption, "no region is known for the Glue Data Catalog").
			WithHint("give the option catalog_region, or set AWS_REGION")
	}
	return sdk, nil
}

// Catalog is one database of the Data Catalog. It implements catalog.Registry
// and is safe for concurrent use.
type Catalog struct {
	client   *glue.Client
	database string
	// location is where the database's tables lie, a URI.
	location string
}

// DatabaseName is the database of a sink.
func DatabaseName(sink string) string { return strings.ToLower(sink) }

// New is the database of a sink whose tables lie at location, a URI. Nothing is
// contacted.
func New(sdk aws.Config, sink, location string) *Catalog {
	return &Catalog{client: glue.NewFromConfig(sdk), database: DatabaseName(sink), location: location}
}

// Check verifies that the catalog answers, and makes the database if there is
// none.
func (c *Catalog) Check(ctx context.Context) error {
	_, err := c.client.GetDatabase(ctx, &glue.GetDatabaseInput{Name: &c.database})
	if !isMissing(err) {
		return c.wrap("look up database "+c.database, err)
	}
	_, err = c.client.CreateDatabase(ctx, &glue.CreateDatabaseInput{DatabaseInput: &gluetypes.DatabaseInput{
		Name: &c.database, LocationUri: &c.location, Description: aws.String("Tables of the Leat sink of this name"),
	}})
	if isExisting(err) {
		return nil
	}
	return c.wrap("make database "+c.database, err)
}

func isMissing(err error) bool {
	_, ok := errors.AsType[*gluetypes.EntityNotFoundException](err)
	return ok
}

func isExisting(err error) bool {
	_, ok := errors.AsType[*gluetypes.AlreadyExistsException](err)
	return ok
}

func isConflict(err error) bool {
	_, ok := errors.AsType[*gluetypes.ConcurrentModificationException](err)
	return ok
}

// wrap is Error with what was done.
func (c *Catalog) wrap(op string, err error) error {
	if err == nil || sqlerror.As(err) != nil {
		return err
	}
	return Error("glue: "+op, err)
}

// Error gives what the Glue service says, or the way to it, its meaning; nil
// for nil. What may heal without a changed option is retryable.
func Error(op string, err error) error {
	if err == nil {
		return nil
	}
	if errors.Is(err, context.Canceled) || errors.Is(err, context.DeadlineExceeded) {
		return fmt.Errorf("%s: %w", op, err)
	}
	code := ""
	if api, ok := errors.AsType[smithy.APIError](err); ok {
		code = api.ErrorCode()
	}
	unsigned := awsconn.NoCredentials(err)
	err = awsconn.Concise(err)
	switch code {
	case "EntityNotFoundException":
		return sqlerror.Externalf(sqlerror.CodeUnknownObject, "%s: %w", op, err)
	case "AccessDeniedException", "GlueEncryptionException":
		return sqlerror.Externalf(sqlerror.CodeAuth, "%s: %w", op, err).
			WithHint("the credentials need glue:GetDatabase, CreateDatabase, GetTable, GetTables, CreateTable, UpdateTable, DeleteTable, GetPartitions, BatchGetPartition, BatchCreatePartition, BatchUpdatePartition")
	case "UnrecognizedClientException", "InvalidSignatureException", "InvalidClientTokenId", "IncompleteSignature", "MissingAuthenticationToken":
		return sqlerror.Externalf(sqlerror.CodeAuth, "%s: the credentials were refused: %w", op, err).
			WithHint("check access_key_id, secret_access_key, session_token and catalog_region")
	case "ExpiredTokenException":
		return sqlerror.Externalf(sqlerror.CodeAuth, "%s: the credentials have expired: %w", op, err)
	case "InvalidInputException", "ValidationException", "ResourceNumberLimitExceededException":
		return sqlerror.Externalf(sqlerror.CodeExternal, "%s: %w", op, err).Final()
	case "":
		if response, ok := errors.AsType[*awshttp.ResponseError](err); ok && response.HTTPStatusCode() == 403 {
			return sqlerror.Externalf(sqlerror.CodeAuth, "%s: %w", op, err)
		}
		if unsigned {
			return sqlerror.Externalf(sqlerror.CodeAuth, "%s: no credentials: %w", op, err).
				WithHint("give access_key_id and secret_access_key, or set up the environment's credential chain")
		}
	}
	return sqlerror.Externalf(sqlerror.CodeExternal, "%s: %w", op, err).
		WithHint("check that catalog_endpoint and catalog_region are right and can be reached")
}
