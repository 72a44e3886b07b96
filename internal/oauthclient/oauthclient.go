// Package oauthclient gets tokens of an OAuth2 server for a client.
package oauthclient

import (
	"context"
	"errors"
	"net/http"
	"sync"

	"golang.org/x/oauth2"
	"golang.org/x/oauth2/clientcredentials"
)

// Tokens are what a server gives to a client by its credentials (RFC 6749, section
// 4.4). One is used until its time comes, or until it is refused before that.
type Tokens struct {
	client clientcredentials.Config
	ctx    context.Context // carries the HTTP client to the server

	mu     sync.Mutex
	source oauth2.TokenSource
}

// New asks the server of a client over a network.
func New(client clientcredentials.Config, network *http.Client) *Tokens {
	t := &Tokens{client: client, ctx: context.WithValue(context.Background(), oauth2.HTTPClient, network)}
	t.source = client.TokenSource(t.ctx)
	return t
}

// Token is the one at hand, or else another one. An answer without a code of RFC 6749,
// section 5.2, such as the page of a gateway, is told by its status; other refusals are
// an *oauth2.RetrieveError.
func (t *Tokens) Token() (*oauth2.Token, error) {
	t.mu.Lock()
	source := t.source
	t.mu.Unlock()
	token, err := source.Token()
	if refusal, ok := errors.AsType[*oauth2.RetrieveError](err); ok && refusal.ErrorCode == "" {
		return nil, errors.New(refusal.Response.Status) // the text of err is the whole answer
	}
	return token, err
}

// Refused forgets the token at hand, which whoever it is for does not take.
func (t *Tokens) Refused(context.Context) {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.source = t.client.TokenSource(t.ctx)
}
