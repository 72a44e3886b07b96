package iceberg

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"net/url"
	"strings"

	"github.com/apache/iceberg-go"
	icebergcatalog "github.com/apache/iceberg-go/catalog"
	"github.com/apache/iceberg-go/catalog/rest"
	"github.com/apache/iceberg-go/table"
	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/config"
	"github.com/aws/aws-sdk-go-v2/credentials"

	"github.com/leatdb/leat/internal/awsconn"
	"github.com/leatdb/leat/sql/sqlerror"
)

// REST says where a catalog is that speaks the Iceberg REST protocol
// (https://iceberg.apache.org/rest-catalog-spec/), and how to log in there: by a
// token, by OAuth2, by AWS signatures, or not at all.
type REST struct {
	// URI is the catalog's base, without the /v1 of the protocol.
	URI string
	// Warehouse is the catalog's name for what the tables lie in, where one
	// service has several.
	Warehouse string
	// Token is a bearer token.
	Token string
	// Credential is an OAuth2 client's "id:secret", Scope what is asked for
	// (default "catalog"), TokenURI the server that gives tokens, by default the
	// catalog itself.
	Credential, Scope, TokenURI string
	// SigV4 signs requests as AWS services ask for; nil for not.
	SigV4 *SigV4
	// Transport carries requests instead of the network, such as a catalog in
	// this process; nil for the network.
	Transport http.RoundTripper
}

// SigV4 are the inputs of AWS Signature Version 4.
type SigV4 struct {
	// Region is by default the environment's, Service "execute-api".
	Region, Service string
	// The keys are by default those of the environment's credential chain.
	AccessKeyID, SecretAccessKey, SessionToken string
}

// CheckREST refuses URIs that no catalog or token server can have.
func CheckREST(option, uri string) error {
	u, err := url.Parse(uri)
	switch {
	case err != nil || u.Scheme != "http" && u.Scheme != "https" || u.Host == "":
		// What cannot be parsed may hold a password; it is not repeated.
		return sqlerror.Userf(sqlerror.CodeBadOption, "%s is no address of a REST service", option).
			WithHint("write https://host/path")
	case u.User != nil:
		return sqlerror.Userf(sqlerror.CodeBadOption, "%s holds a user name or password", option).
			WithHint("give token, or oauth2_client_id and oauth2_client_secret")
	case u.RawQuery != "" || u.Fragment != "":
		return sqlerror.Userf(sqlerror.CodeBadOption, "%s has a query or fragment", option).WithHint("leave out what follows ? or #")
	}
	return nil
}

// openREST asks the catalog for its configuration. The server writes the
// metadata files; everything else goes through the lake's store, with the lake's
// credentials, as with other catalogs.
func openREST(ctx context.Context, opts Options) (*backend, error) {
	r := opts.REST
	op := "open catalog " + r.URI
	if err := CheckREST("catalog_uri", r.URI); err != nil {
		return nil, err
	}
	network := newRESTTransport(r)
	options := []rest.Option{rest.WithCustomTransport(network)}
	if r.Warehouse != "" {
		options = append(options, rest.WithWarehouseLocation(r.Warehouse))
	}
	if r.Token != "" {
		options = append(options, rest.WithOAuthToken(r.Token))
	}
	if r.TokenURI != "" {
		if err := CheckREST("oauth2_uri", r.TokenURI); err != nil {
			return nil, err
		}
	}
	if r.Credential != "" && r.Token == "" {
		login := newClientLogin(r, network)
		options = append(options, rest.WithAuthManager(login))
		network.refused = func(r *http.Request) {
			_, token, _ := strings.Cut(r.Header.Get("Authorization"), " ")
			login.Refused(token)
		}
	}
	if r.SigV4 != nil {
		sdk, err := r.SigV4.config(ctx)
		if err != nil {
			return nil, err
		}
		options = append(options, rest.WithAwsConfig(sdk), rest.WithSigV4RegionSvc(sdk.Region, r.SigV4.Service))
		network.refused = func(r *http.Request) { awsconn.Refused(r.Context(), sdk.Credentials) }
	}
	cat, err := rest.NewCatalog(ctx, opts.CatalogName, strings.TrimSuffix(r.URI, "/"), options...)
	if err != nil {
		network.CloseIdleConnections()
		return nil, catalogError(op, err)
	}
	return &backend{
		Catalog: cat,
		remote:  true,
		register: func(ctx context.Context, ident table.Identifier, metadataLocation string) error {
			_, err := cat.RegisterTable(ctx, ident, metadataLocation)
			return err
		},
		check: func(ctx context.Context) error {
			if _, err := cat.CheckNamespaceExists(ctx, table.Identifier{opts.Namespace}); err != nil {
				return catalogError(op, err)
			}
			return nil
		},
		close: func() error {
			err := cat.Close()
			network.CloseIdleConnections()
			return err
		},
	}, nil
}

func (s *SigV4) config(ctx context.Context) (aws.Config, error) {
	var load []func(*config.LoadOptions) error
	if s.Region != "" {
		load = append(load, config.WithRegion(s.Region))
	}
	if s.AccessKeyID != "" {
		load = append(load, config.WithCredentialsProvider(
			credentials.NewStaticCredentialsProvider(s.AccessKeyID, s.SecretAccessKey, s.SessionToken)))
	}
	sdk, err := awsconn.LoadConfig(ctx, load...)
	if err != nil {
		return sdk, sqlerror.Externalf(sqlerror.CodeExternal, "load the AWS configuration: %w", err).Final()
	}
	if sdk.Region == "" {
		return sdk, sqlerror.Userf(sqlerror.CodeBadOption, "no region is known to sign requests to the catalog for").
			WithHint("give the option sigv4_region, or set AWS_REGION")
	}
	return sdk, nil
}

// deniedGrants are the answers of a token server (RFC 6749, section 5.2) that
// asking again does not change, unless somebody sets the login right.
var deniedGrants = []string{
	"invalid_client", "unauthorized_client", "invalid_scope", "access_denied", "invalid_grant", "invalid_request", "unsupported_grant_type",
}

// restError classifies what a REST catalog, or the way to it, says; nil for
// errors of something else. An error that is not final leaves open whether a
// change was carried out.
func restError(op string, err error) *sqlerror.Error {
	_, network := errors.AsType[*url.Error](err)
	switch {
	case !network && !errors.Is(err, rest.ErrRESTError) && !errors.Is(err, rest.ErrEndpointNotSupported) && !errors.Is(err, iceberg.ErrNotImplemented) &&
		!errors.Is(err, icebergcatalog.ErrTableAlreadyExists) && !errors.Is(err, icebergcatalog.ErrNamespaceAlreadyExists):
		return nil
	case errors.Is(err, rest.ErrCommitFailed):
		return sqlerror.Externalf(sqlerror.CodeExternal, "%s: %w", op, err)
	case errors.Is(err, rest.ErrUnauthorized), errors.Is(err, rest.ErrAuthorizationExpired):
		return sqlerror.Externalf(sqlerror.CodeAuth, "%s: the catalog refused the login: %w", op, err).
			WithHint("check token, or oauth2_client_id, oauth2_client_secret and oauth2_scope, or the sigv4 options")
	case errors.Is(err, rest.ErrForbidden):
		return sqlerror.Externalf(sqlerror.CodeAuth, "%s: the catalog does not allow it: %w", op, err).
			WithHint("the login needs the right to create the namespace of the sink's name and to create, read, change and drop its tables")
	case errors.Is(err, rest.ErrOAuthError):
		for _, code := range deniedGrants {
			if strings.Contains(err.Error(), code) {
				return sqlerror.Externalf(sqlerror.CodeAuth, "%s: the token server refused the login: %w", op, err).
					WithHint("check oauth2_client_id, oauth2_client_secret, oauth2_scope and oauth2_uri")
			}
		}
		return sqlerror.Externalf(sqlerror.CodeExternal, "%s: the token server gave no token: %w", op, err).
			WithHint("check that oauth2_uri, or else catalog_uri, can be reached")
	case errors.Is(err, rest.ErrEndpointNotSupported), errors.Is(err, iceberg.ErrNotImplemented):
		return sqlerror.Userf(sqlerror.CodeUnsupported, "%s: the catalog cannot do that: %w", op, err)
	case errors.Is(err, rest.ErrBadRequest):
		return sqlerror.Externalf(sqlerror.CodeExternal, "%s: the catalog refused the request: %w", op, err).Final().
			WithHint("check catalog_uri and warehouse, and that the catalog may use the sink's path")
	case errors.Is(err, errRedirected):
		return sqlerror.Externalf(sqlerror.CodeExternal, "%s: %w", op, err).Final().
			WithHint("write the address that it names as catalog_uri")
	}
	return sqlerror.Externalf(sqlerror.CodeExternal, "%s: %w", op, err).
		WithHint("check that catalog_uri is the catalog's base, without /v1, and that it can be reached")
}

// checkPlace verifies that a table lies in the lake's folder, where its writers
// put files, and that the store can read what the catalog's server wrote.
func (l *Lake) checkPlace(ctx context.Context, t *table.Table) error {
	name := t.Identifier()[len(t.Identifier())-1]
	if _, err := l.opts.Store.Key(t.Location()); err != nil {
		hint := "DROP TABLE it first, or give the sink another catalog_name"
		if l.backend.remote {
			hint = "give the sink a path in which the catalog lets tables lie, or DROP TABLE it first"
		}
		return sqlerror.Userf(sqlerror.CodeConflict, "table %s lies at %s, not in the sink's folder %s",
			name, t.Location(), l.opts.Store.URI("")).WithHint("%s", hint)
	}
	if !l.backend.remote {
		return nil
	}
	io := &fileIO{ctx: ctx, store: l.opts.Store}
	store, key, err := io.locate(t.MetadataLocation())
	if err != nil {
		return err
	}
	if _, err := store.Head(ctx, key); err != nil {
		return fmt.Errorf("table %s: read the metadata that the catalog wrote: %w", name, err)
	}
	return nil
}
