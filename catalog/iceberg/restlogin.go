package iceberg

import (
	"errors"
	"fmt"
	"net/http"
	"strings"

	"github.com/apache/iceberg-go/catalog/rest"
	"golang.org/x/oauth2"
	"golang.org/x/oauth2/clientcredentials"

	"github.com/leatdb/leat/internal/oauthclient"
)

// clientLogin logs in to a REST catalog by tokens for an OAuth2 client. It asks for
// another one also where the catalog refuses one before its time, as catalogs do that
// were started again with other keys; the library's own would keep it.
type clientLogin struct{ *oauthclient.Tokens }

func newClientLogin(r *REST, network http.RoundTripper) clientLogin {
	id, secret, found := strings.Cut(r.Credential, ":")
	if !found {
		id, secret = "", r.Credential
	}
	client := clientcredentials.Config{
		ClientID: id, ClientSecret: secret, TokenURL: r.TokenURI, Scopes: []string{r.Scope}, AuthStyle: oauth2.AuthStyleInParams,
	}
	if r.Scope == "" {
		client.Scopes = []string{"catalog"}
	}
	if r.TokenURI == "" {
		client.TokenURL = strings.TrimSuffix(r.URI, "/") + "/v1/oauth/tokens"
	}
	return clientLogin{oauthclient.New(client, &http.Client{Transport: network})}
}

// AuthHeader implements rest.AuthManager.
func (l clientLogin) AuthHeader() (name, value string, err error) {
	token, err := l.Token()
	if refusal, ok := errors.AsType[*oauth2.RetrieveError](err); ok {
		return "", "", fmt.Errorf("%w: %s: %s", rest.ErrOAuthError, refusal.ErrorCode, refusal.ErrorDescription)
	}
	if err != nil {
		return "", "", fmt.Errorf("%w: %w", rest.ErrOAuthError, err)
	}
	return "Authorization", token.Type() + " " + token.AccessToken, nil
}
