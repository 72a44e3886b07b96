package kafka

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"net/http"
	"net/url"
	"slices"
	"sync"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/config"
	"github.com/aws/aws-sdk-go-v2/credentials"
	"github.com/twmb/franz-go/pkg/sasl"
	saslaws "github.com/twmb/franz-go/pkg/sasl/aws"
	"github.com/twmb/franz-go/pkg/sasl/oauth"
	"github.com/twmb/franz-go/pkg/sasl/plain"
	"github.com/twmb/franz-go/pkg/sasl/scram"
	"golang.org/x/oauth2/clientcredentials"

	"github.com/leatdb/leat/connectors"
	"github.com/leatdb/leat/internal/awsconn"
	"github.com/leatdb/leat/internal/oauthclient"
)

// The mechanisms of logins (Kafka documentation, "Authentication using SASL"; the last
// is Amazon MSK's).
const (
	loginPlain    = "PLAIN"
	loginScram256 = "SCRAM-SHA-256"
	loginScram512 = "SCRAM-SHA-512"
	loginOAuth    = "OAUTHBEARER"
	loginIAM      = "AWS_MSK_IAM"
)

var (
	userOptions  = []string{"sasl_username", "sasl_password"}
	oauthOptions = []string{"sasl_token", "oauth2_uri", "oauth2_client_id", "oauth2_client_secret", "oauth2_scope"}
	iamOptions   = []string{"access_key_id", "secret_access_key", "session_token"}
	loginOptions = slices.Concat([]string{"sasl_mechanism"}, userOptions, oauthOptions, iamOptions)
)

// mechanism is how to log in as the options say. The error says what is wrong with them.
func mechanism(o connectors.Options) (sasl.Mechanism, error) {
	name, protocol := o.String("sasl_mechanism"), o.String("security_protocol")
	own := userOptions
	switch name {
	case loginOAuth:
		own = oauthOptions
	case loginIAM:
		own = iamOptions
	}
	for _, option := range loginOptions[1:] {
		if o.Has(option) && !slices.Contains(own, option) {
			return nil, fmt.Errorf("option %q has no effect with sasl_mechanism = '%s'", option, name)
		}
	}
	switch name {
	case loginOAuth:
		return bearer(o)
	case loginIAM:
		return iam(o)
	}
	user, password := o.String("sasl_username"), o.String("sasl_password")
	if user == "" || password == "" {
		return nil, fmt.Errorf("security_protocol = '%s' needs sasl_username and sasl_password", protocol)
	}
	switch name {
	case loginScram256:
		return scram.Auth{User: user, Pass: password}.AsSha256Mechanism(), nil
	case loginScram512:
		return scram.Auth{User: user, Pass: password}.AsSha512Mechanism(), nil
	}
	return plain.Auth{User: user, Pass: password}.AsMechanism(), nil
}

// bearer logs in by a token (RFC 7628): a given one, or those that a server gives to a
// client by its credentials (RFC 6749, section 4.4).
func bearer(o connectors.Options) (sasl.Mechanism, error) {
	if token := o.String("sasl_token"); token != "" {
		for _, option := range oauthOptions[1:] {
			if o.Has(option) {
				return nil, fmt.Errorf("sasl_token and %s exclude each other", option)
			}
		}
		given := oauth.Auth{Token: token}.AsMechanism()
		return &login{name: loginOAuth, begin: func(context.Context) (sasl.Mechanism, string, error) { return given, token, nil }}, nil
	}
	uri := o.String("oauth2_uri")
	if u, err := url.Parse(uri); err != nil || u.Scheme != "http" && u.Scheme != "https" || u.Host == "" {
		if uri == "" {
			return nil, errors.New("sasl_mechanism = 'OAUTHBEARER' needs sasl_token, or oauth2_uri, oauth2_client_id and oauth2_client_secret")
		}
		return nil, errors.New("oauth2_uri is no http or https URL")
	}
	if o.String("oauth2_client_id") == "" || o.String("oauth2_client_secret") == "" {
		return nil, errors.New("oauth2_uri needs oauth2_client_id and oauth2_client_secret")
	}
	client := clientcredentials.Config{ClientID: o.String("oauth2_client_id"), ClientSecret: o.String("oauth2_client_secret"), TokenURL: uri}
	if scope := o.String("oauth2_scope"); scope != "" {
		client.Scopes = []string{scope}
	}
	tokens := oauthclient.New(client, &http.Client{Timeout: o.Duration("connect_timeout")})
	return &login{
		name: loginOAuth,
		begin: func(context.Context) (sasl.Mechanism, string, error) {
			token, err := tokens.Token()
			if err != nil {
				return nil, "", fmt.Errorf("%w: %w", errNoToken, err)
			}
			return oauth.Auth{Token: token.AccessToken}.AsMechanism(), token.AccessToken, nil
		},
		refused: func(_ context.Context, token string) { tokens.Refused(token) },
	}, nil
}

// iam logs in by AWS credentials, as clusters of Amazon MSK offer it.
func iam(o connectors.Options) (sasl.Mechanism, error) {
	if o.Has("access_key_id") != o.Has("secret_access_key") {
		return nil, errors.New("access_key_id and secret_access_key are given together or not at all")
	}
	if o.Has("session_token") && !o.Has("access_key_id") {
		return nil, errors.New("session_token needs access_key_id and secret_access_key")
	}
	var load []func(*config.LoadOptions) error
	if o.Has("access_key_id") {
		load = append(load, config.WithCredentialsProvider(
			credentials.NewStaticCredentialsProvider(o.String("access_key_id"), o.String("secret_access_key"), o.String("session_token"))))
	}
	var mu sync.Mutex
	var chain aws.CredentialsProvider
	provider := func(ctx context.Context) (aws.CredentialsProvider, error) {
		mu.Lock()
		defer mu.Unlock()
		if chain == nil {
			sdk, err := awsconn.LoadConfig(ctx, load...)
			if err != nil {
				return nil, err
			}
			chain = sdk.Credentials
		}
		return chain, nil
	}
	return &login{
		name: loginIAM,
		begin: func(ctx context.Context) (sasl.Mechanism, string, error) {
			p, err := provider(ctx)
			if err != nil {
				return nil, "", fmt.Errorf("%w: %w", errNoKeys, err)
			}
			c, err := p.Retrieve(ctx)
			if err != nil {
				return nil, "", fmt.Errorf("%w: %w", errNoKeys, awsconn.Concise(err))
			}
			keys := saslaws.Auth{AccessKey: c.AccessKeyID, SecretKey: c.SecretAccessKey, SessionToken: c.SessionToken, UserAgent: "leat"}
			return keys.AsManagedStreamingIAMMechanism(), c.AccessKeyID, nil
		},
		refused: func(ctx context.Context, _ string) {
			if p, err := provider(ctx); err == nil {
				awsconn.Refused(ctx, p)
			}
		},
	}, nil
}

var (
	errNoToken = errors.New("get a token")
	errNoKeys  = errors.New("get AWS credentials")
	errToken   = errors.New("the brokers refuse the token")
)

// login is a mechanism that finds out whether a broker has left a login before without
// an answer, as one does that refuses it: what it logs in by may have been renewed.
type login struct {
	name string
	// begin gives a mechanism for one login, and names what it logs in by.
	begin func(context.Context) (m sasl.Mechanism, by string, err error)
	// refused is told what a login was by that was not answered; nil for nothing.
	refused func(ctx context.Context, by string)

	mu sync.Mutex
	// unanswered is what the last login of each host was by, until it is answered. Those
	// to other hosts may be under way.
	unanswered map[string]string
}

// Name implements sasl.Mechanism.
func (l *login) Name() string { return l.name }

// Authenticate implements sasl.Mechanism.
func (l *login) Authenticate(ctx context.Context, host string) (sasl.Session, []byte, error) {
	m, by, err := l.begin(ctx)
	if err != nil {
		if l.refused != nil {
			l.refused(ctx, "") // what is not there may be where it was not looked for
		}
		return nil, nil, err
	}
	if l.refused != nil && l.leftWithoutAnswer(host, by) {
		l.refused(ctx, by)
		if m, by, err = l.begin(ctx); err != nil {
			return nil, nil, err
		}
	}
	l.mu.Lock()
	if l.unanswered == nil {
		l.unanswered = map[string]string{}
	}
	l.unanswered[host] = by
	l.mu.Unlock()
	s, first, err := m.Authenticate(ctx, host)
	return &session{s, l, by}, first, err
}

func (l *login) leftWithoutAnswer(host, by string) bool {
	l.mu.Lock()
	defer l.mu.Unlock()
	last, ok := l.unanswered[host]
	return ok && last == by
}

// answered notes that a broker has taken a login. What other hosts have not answered is
// not what it was by.
func (l *login) answered(by string) {
	l.mu.Lock()
	defer l.mu.Unlock()
	maps.DeleteFunc(l.unanswered, func(_, other string) bool { return other == by })
}

type session struct {
	sasl.Session
	of *login
	by string
}

// Challenge implements sasl.Session.
func (s *session) Challenge(answer []byte) (done bool, next []byte, err error) {
	if s.of.name == loginOAuth && len(answer) > 0 { // RFC 7628, section 3.2.2
		return false, nil, fmt.Errorf("%w: %.200s", errToken, answer)
	}
	if done, next, err = s.Session.Challenge(answer); err == nil {
		s.of.answered(s.by)
	}
	return done, next, err
}
