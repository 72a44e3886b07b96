// Package oauthclient gets tokens of an OAuth2 server for a client.
package oauthclient

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"net/url"
	"sync"

	"golang.org/x/oauth2"
	"golang.org/x/oauth2/clientcredentials"
	"golang.org/x/sync/singleflight"
)

// ErrAway means that the server gave no answer of its own: it cannot be reached, or it
// or what stands before it fails. Another try may do.
var ErrAway = errors.New("the token server is away")

// Tokens are what a server gives to a client by its credentials (RFC 6749, section
// 4.4). One is used until its time comes, or until it is refused before that. It is
// safe for use by several goroutines: those that need a token at the same time share
// one request and its outcome.
type Tokens struct {
	client clientcredentials.Config
	ctx    context.Context // carries the HTTP client to the server
	asking singleflight.Group

	mu    sync.Mutex
	token *oauth2.Token // nil for none
}

// New asks the server of a client over a network.
func New(client clientcredentials.Config, network *http.Client) *Tokens {
	return &Tokens{client: client, ctx: context.WithValue(context.Background(), oauth2.HTTPClient, network)}
}

// Token is the one at hand, or else another one. A server that gives no answer of its
// own is ErrAway. Another answer without a code of RFC 6749, section 5.2, such as the page
// of a gateway, is told by its status; other refusals are an *oauth2.RetrieveError.
func (t *Tokens) Token() (*oauth2.Token, error) {
	if token := t.atHand(); token.Valid() {
		return token, nil
	}
	token, err, _ := t.asking.Do("", func() (any, error) {
		// Whoever asked before may have ended since.
		if token := t.atHand(); token.Valid() {
			return token, nil
		}
		token, err := t.client.Token(t.ctx)
		if err != nil {
			return nil, explain(err)
		}
		t.mu.Lock()
		defer t.mu.Unlock()
		t.token = token
		return token, nil
	})
	if err != nil {
		return nil, err
	}
	return token.(*oauth2.Token), nil
}

func (t *Tokens) atHand() *oauth2.Token {
	t.mu.Lock()
	defer t.mu.Unlock()
	return t.token
}

// Refused forgets a token that whoever it is for does not take. One that has come in its
// place meanwhile stays.
func (t *Tokens) Refused(token string) {
	t.mu.Lock()
	defer t.mu.Unlock()
	if t.token != nil && t.token.AccessToken == token {
		t.token = nil
	}
}

// explain leaves out the whole answer, which is the text of the library's errors, and
// tells a server that is away.
func explain(err error) error {
	if _, network := errors.AsType[*url.Error](err); network {
		return fmt.Errorf("%w: %w", ErrAway, err)
	}
	refusal, ok := errors.AsType[*oauth2.RetrieveError](err)
	if !ok {
		return err
	}
	switch status := refusal.Response.StatusCode; {
	case status >= http.StatusInternalServerError, status == http.StatusTooManyRequests, status == http.StatusRequestTimeout:
		return fmt.Errorf("%w: %s", ErrAway, refusal.Response.Status)
	case refusal.ErrorCode == "":
		return errors.New(refusal.Response.Status)
	}
	return err
}
