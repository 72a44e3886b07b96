package iceberg

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"strings"
	"sync"

	"github.com/apache/iceberg-go/catalog/rest"
	"golang.org/x/oauth2"
	"golang.org/x/oauth2/clientcredentials"
)

// clientLogin logs in to a REST catalog by tokens for an OAuth2 client. It asks for
// another one also where the catalog refuses one before its time, as catalogs do that
// were started again with other keys; the library's own would keep it.
type clientLogin struct {
	ctx    context.Context // carries the HTTP client to the token server
	client clientcredentials.Config

	mu     sync.Mutex
	tokens oauth2.TokenSource
}

func newClientLogin(r *REST, network http.RoundTripper) *clientLogin {
	id, secret, found := strings.Cut(r.Credential, ":")
	if !found {
		id, secret = "", r.Credential
	}
	l := &clientLogin{client: clientcredentials.Config{
		ClientID: id, ClientSecret: secret, TokenURL: r.TokenURI, Scopes: []string{r.Scope}, AuthStyle: oauth2.AuthStyleInParams,
	}}
	if r.Scope == "" {
		l.client.Scopes = []string{"catalog"}
	}
	if r.TokenURI == "" {
		l.client.TokenURL = strings.TrimSuffix(r.URI, "/") + "/v1/oauth/tokens"
	}
	l.ctx = context.WithValue(context.Background(), oauth2.HTTPClient, &http.Client{Transport: network})
	l.tokens = l.client.TokenSource(l.ctx)
	return l
}

// AuthHeader implements rest.AuthManager.
func (l *clientLogin) AuthHeader() (name, value string, err error) {
	l.mu.Lock()
	tokens := l.tokens
	l.mu.Unlock()
	token, err := tokens.Token()
	if refusal, ok := errors.AsType[*oauth2.RetrieveError](err); ok {
		if refusal.ErrorCode == "" { // its text is the whole answer, such as a page of a gateway
			return "", "", fmt.Errorf("%w: %s", rest.ErrOAuthError, refusal.Response.Status)
		}
		return "", "", fmt.Errorf("%w: %s: %s", rest.ErrOAuthError, refusal.ErrorCode, refusal.ErrorDescription)
	}
	if err != nil {
		return "", "", fmt.Errorf("%w: %w", rest.ErrOAuthError, err)
	}
	return "Authorization", token.Type() + " " + token.AccessToken, nil
}

// refused forgets the token.
func (l *clientLogin) refused(context.Context) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.tokens = l.client.TokenSource(l.ctx)
}
