package oauthclient_test

import (
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync/atomic"
	"testing"
	"testing/synctest"

	"golang.org/x/oauth2"
	"golang.org/x/oauth2/clientcredentials"

	"github.com/leatdb/leat/internal/oauthclient"
)

// server is a token server without a network.
type server func() (status int, answer string)

func (s server) RoundTrip(*http.Request) (*http.Response, error) {
	status, answer := s()
	return &http.Response{
		Status: fmt.Sprintf("%d %s", status, http.StatusText(status)), StatusCode: status, Header: http.Header{"Content-Type": {"application/json"}},
		Body: io.NopCloser(strings.NewReader(answer)),
	}, nil
}

func tokens(s http.RoundTripper) *oauthclient.Tokens {
	client := clientcredentials.Config{ClientID: "leat", ClientSecret: "hush", TokenURL: "http://tokens", AuthStyle: oauth2.AuthStyleInHeader}
	return oauthclient.New(client, &http.Client{Transport: s})
}

// Those that need a token at the same time share one request, also one that fails.
func TestTokens_OneRequest(t *testing.T) {
	for _, status := range []int{http.StatusOK, http.StatusServiceUnavailable} {
		synctest.Test(t, func(t *testing.T) {
			asked, answer := 0, make(chan struct{})
			source := tokens(server(func() (int, string) {
				asked++
				<-answer
				return status, `{"access_token":"t1","token_type":"bearer","expires_in":3600}`
			}))
			const users = 5
			failed := make(chan bool, users)
			for range users {
				go func() {
					token, err := source.Token()
					failed <- err != nil || token.AccessToken != "t1"
				}()
			}
			synctest.Wait()
			close(answer)
			for range users {
				if <-failed != (status != http.StatusOK) {
					t.Errorf("status %d: failed is %v", status, status == http.StatusOK)
				}
			}
			if asked != 1 {
				t.Errorf("status %d: %d requests for %d users, want 1", status, asked, users)
			}
		})
	}
}

// Who is refused late does not take away the token that others have fetched since.
func TestTokens_RefusedLate(t *testing.T) {
	asked := 0
	source := tokens(server(func() (int, string) {
		asked++
		return http.StatusOK, fmt.Sprintf(`{"access_token":"t%d","token_type":"bearer","expires_in":3600}`, asked)
	}))
	take := func(want string) {
		t.Helper()
		token, err := source.Token()
		if err != nil || token.AccessToken != want {
			t.Fatalf("%v %v, want %s", token, err, want)
		}
	}
	source.Refused("t1") // nobody has it
	take("t1")
	take("t1")
	source.Refused("t1")
	take("t2")
	source.Refused("t1")
	take("t2")
}

// A server that is away is told from one that says no.
func TestTokens_Away(t *testing.T) {
	var status atomic.Int32
	var answer atomic.Value
	web := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		if text := answer.Load().(string); strings.HasPrefix(text, "{") {
			w.Header().Set("Content-Type", "application/json")
		}
		w.WriteHeader(int(status.Load()))
		_, _ = io.WriteString(w, answer.Load().(string))
	}))
	defer web.Close()
	client := clientcredentials.Config{ClientID: "leat", ClientSecret: "hush", TokenURL: web.URL}
	source := oauthclient.New(client, web.Client())
	ask := func(code int32, text string) error {
		status.Store(code)
		answer.Store(text)
		_, err := source.Token()
		return err
	}
	if err := ask(http.StatusBadGateway, "<html>"); !errors.Is(err, oauthclient.ErrAway) || !strings.HasSuffix(err.Error(), ": 502 Bad Gateway") {
		t.Errorf("a gateway: %v", err)
	}
	if err := ask(http.StatusTooManyRequests, "{}"); !errors.Is(err, oauthclient.ErrAway) {
		t.Errorf("too many requests: %v", err)
	}
	if err := ask(http.StatusNotFound, "<html>"); err == nil || errors.Is(err, oauthclient.ErrAway) || err.Error() != "404 Not Found" {
		t.Errorf("another server: %v", err)
	}
	err := ask(http.StatusUnauthorized, `{"error":"invalid_client"}`)
	if refusal, ok := errors.AsType[*oauth2.RetrieveError](err); !ok || refusal.ErrorCode != "invalid_client" || errors.Is(err, oauthclient.ErrAway) {
		t.Errorf("a wrong secret: %v", err)
	}
	client.TokenURL = "http://127.0.0.1:1" // whose port no other test gets
	if _, err := oauthclient.New(client, web.Client()).Token(); !errors.Is(err, oauthclient.ErrAway) {
		t.Errorf("no server: %v", err)
	}
}
