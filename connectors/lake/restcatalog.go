package lake

import (
	"strings"

	"github.com/leatdb/leat/catalog/iceberg"
	"github.com/leatdb/leat/connectors"
	"github.com/leatdb/leat/sql/sqlerror"
)

const (
	catalogREST = "rest"
	catalogGlue = "glue"
)

// restSpec are the options of catalog = 'rest' alone.
var restSpec = connectors.Spec{
	{Name: "warehouse", Doc: "Warehouse of the REST catalog, where the service has several."},
	{Name: "token", Secret: true, Doc: "Bearer token of the REST catalog."},
	{Name: "oauth2_client_id", Doc: "Client that gets tokens for the REST catalog by OAuth2 client credentials."},
	{Name: "oauth2_client_secret", Secret: true, Doc: "Secret of the OAuth2 client."},
	{Name: "credential", Secret: true, Doc: "The OAuth2 client as other Iceberg programs write it, id:secret; instead of oauth2_client_id and oauth2_client_secret."},
	{Name: "oauth2_scope", Doc: "Scope of the OAuth2 token; default catalog."},
	{Name: "oauth2_uri", Doc: "URL that gives OAuth2 tokens; default is the catalog's own /v1/oauth/tokens."},
	{Name: "sigv4", Kind: connectors.OptionBool, Doc: "Signs requests to the REST catalog with AWS Signature Version 4, by access_key_id or the environment's credential chain."},
	{Name: "sigv4_region", Doc: "Region that signatures are for; default is region, then the environment's."},
	{Name: "sigv4_name", Doc: "Service that signatures are for, such as glue or s3tables; default execute-api."},
}

// checkCatalog refuses options of one catalog that are given with another.
func checkCatalog(o connectors.Options) error {
	kind := o.String("catalog")
	if err := checkGlue(o); err != nil {
		return err
	}
	if kind != catalogREST {
		for i := range restSpec {
			if name := restSpec[i].Name; o.Has(name) {
				return sqlerror.Userf(sqlerror.CodeBadOption, "option %s is for catalog = 'rest'", name).
					WithHint("leave it out, or write catalog = 'rest' and catalog_uri = 'https://…'")
			}
		}
		return nil
	}
	if o.Has("catalog_name") {
		return sqlerror.Userf(sqlerror.CodeBadOption, "option catalog_name is for catalog = 'local'").
			WithHint("leave it out; warehouse chooses between the catalogs of a REST service")
	}
	if o.String("table_format") == formatHive {
		return sqlerror.Userf(sqlerror.CodeBadOption, "catalog = 'rest' knows Iceberg tables only").
			WithHint("leave out catalog, or table_format = 'hive'")
	}
	return nil
}

// restCatalog reads the options of catalog = 'rest'.
func restCatalog(o connectors.Options) (*iceberg.REST, error) {
	bad := func(format string, args ...any) *sqlerror.Error {
		return sqlerror.Userf(sqlerror.CodeBadOption, format, args...)
	}
	if !o.Has("catalog_uri") {
		return nil, bad("catalog = 'rest' needs the option catalog_uri").WithHint("write catalog_uri = 'https://host/path'")
	}
	r := &iceberg.REST{
		URI: o.String("catalog_uri"), Warehouse: o.String("warehouse"), Token: o.String("token"),
		Credential: o.String("credential"), Scope: o.String("oauth2_scope"), TokenURI: o.String("oauth2_uri"),
	}
	if err := iceberg.CheckREST("option catalog_uri", r.URI); err != nil {
		return nil, err
	}
	id, secret := o.String("oauth2_client_id"), o.String("oauth2_client_secret")
	switch {
	case (id == "") != (secret == ""):
		return nil, bad("oauth2_client_id and oauth2_client_secret go together")
	case id != "" && r.Credential != "":
		return nil, bad("credential says the same as oauth2_client_id and oauth2_client_secret").WithHint("give one of the two")
	case strings.Contains(id, ":"):
		return nil, bad("oauth2_client_id holds a colon")
	case id != "":
		r.Credential = id + ":" + secret
	}
	if r.Token != "" && r.Credential != "" {
		return nil, bad("a token and an OAuth2 client cannot both log in").WithHint("give one of the two")
	}
	if r.Credential == "" {
		for _, name := range []string{"oauth2_scope", "oauth2_uri"} {
			if o.Has(name) {
				return nil, bad("option %s is for OAuth2", name).WithHint("give oauth2_client_id and oauth2_client_secret, too")
			}
		}
	}
	if r.TokenURI != "" {
		if err := iceberg.CheckREST("option oauth2_uri", r.TokenURI); err != nil {
			return nil, err
		}
	}
	if !o.Bool("sigv4") {
		for _, name := range []string{"sigv4_region", "sigv4_name"} {
			if o.Has(name) {
				return nil, bad("option %s is for sigv4 = true", name)
			}
		}
		return r, nil
	}
	if r.Token != "" || r.Credential != "" {
		return nil, bad("sigv4 and a token or OAuth2 client cannot both log in").WithHint("give one of the two")
	}
	r.SigV4 = &iceberg.SigV4{
		Region: o.String("sigv4_region"), Service: o.String("sigv4_name"),
		AccessKeyID: o.String("access_key_id"), SecretAccessKey: o.String("secret_access_key"), SessionToken: o.String("session_token"),
	}
	if r.SigV4.Region == "" {
		r.SigV4.Region = o.String("region")
	}
	return r, nil
}
