package kafka_test

import (
	"crypto"
	"crypto/ecdsa"
	"crypto/tls"
	"crypto/x509"
	"encoding/json"
	"encoding/pem"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"net/url"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/twmb/franz-go/pkg/kerr"
	"github.com/twmb/franz-go/pkg/kfake"
	"github.com/twmb/franz-go/pkg/kgo"
	"github.com/twmb/franz-go/pkg/kmsg"
	"github.com/twmb/franz-go/pkg/sasl"

	"github.com/leatdb/leat/connectors"
	"github.com/leatdb/leat/connectors/kafka"
	"github.com/leatdb/leat/internal/awsconn/awsconntest"
	"github.com/leatdb/leat/sql/sqlerror"
)

// checkLogin is Check of topic trips with options.
func checkLogin(t *testing.T, want string, options ...string) {
	t.Helper()
	cfg := connectors.SourceConfig{Name: "trips", Options: kafka.Connector.Spec.MustOptions(append(options, "topic", "trips", "connect_timeout", "1m")...)}
	err := kafka.Connector.Check(t.Context(), cfg)
	if want == "" && err != nil || want != "" && (err == nil || !strings.Contains(err.Error(), want) || sqlerror.IsRetryable(err)) || strings.Contains(fmt.Sprint(err), "hush") {
		t.Errorf("%q: %v, want %q", options, err, want)
	}
}

// checkAway is checkLogin of a login that may do later: who defines a source gets a
// warning, as of brokers that are away.
func checkAway(t *testing.T, want string, options ...string) {
	t.Helper()
	cfg := connectors.SourceConfig{Name: "trips", Options: kafka.Connector.Spec.MustOptions(append(options, "topic", "trips", "connect_timeout", "1s")...)}
	err := kafka.Connector.Check(t.Context(), cfg)
	if !sqlerror.HasCode(err, sqlerror.CodeExternal) || !sqlerror.IsRetryable(err) || !strings.Contains(err.Error(), want) || strings.Contains(err.Error(), "hush") {
		t.Errorf("%q: %v, want %q", options, err, want)
	}
}

// loginCluster is a cluster that offers a mechanism which the fake does not know, and
// says by check what it answers to the first message; answer is told instead of
// failing, as RFC 7628 has it.
func loginCluster(t *testing.T, mechanism string, check func(first []byte) (ok bool, answer string)) string {
	t.Helper()
	c := cluster(t, kfake.SeedTopics(1, "trips"))
	c.ControlKey(int16(kmsg.SASLHandshake), func(r kmsg.Request) (kmsg.Response, error, bool) {
		c.KeepControl()
		resp := r.ResponseKind().(*kmsg.SASLHandshakeResponse)
		resp.SupportedMechanisms = []string{mechanism}
		if r.(*kmsg.SASLHandshakeRequest).Mechanism != mechanism {
			resp.ErrorCode = kerr.UnsupportedSaslMechanism.Code
		}
		return resp, nil, true
	})
	c.ControlKey(int16(kmsg.SASLAuthenticate), func(r kmsg.Request) (kmsg.Response, error, bool) {
		c.KeepControl()
		resp := r.ResponseKind().(*kmsg.SASLAuthenticateResponse)
		ok, answer := check(r.(*kmsg.SASLAuthenticateRequest).SASLAuthBytes)
		resp.SASLAuthBytes = []byte(answer)
		if !ok && answer == "" {
			resp.ErrorCode = kerr.SaslAuthenticationFailed.Code
		}
		return resp, nil, true
	})
	return c.ListenAddrs()[0]
}

// logins is a function that logs in by a new client of one source's options.
func logins(t *testing.T, options []string) func() error {
	t.Helper()
	opts, err := kafka.ConnectionOptions(kafka.Connector.Spec.MustOptions(append(options, "topic", "trips")...))
	if err != nil {
		t.Fatal(err)
	}
	return func() error {
		cl, err := kgo.NewClient(opts...)
		if err != nil {
			t.Fatal(err)
		}
		defer cl.Close()
		return cl.Ping(t.Context())
	}
}

// awaitLogin logs in until what was renewed is looked for.
func awaitLogin(t *testing.T, login func() error) {
	t.Helper()
	for tries := 0; ; tries++ {
		err := login()
		if err == nil {
			break
		}
		if tries > 3 {
			t.Fatal(err)
		}
	}
}

// A token is shown as RFC 7628 says, and another one is asked for where the brokers
// no longer take the last.
func TestLogin_OAuth(t *testing.T) {
	var mu sync.Mutex
	taken, given, asked := "t1", "t1", 0
	broker := loginCluster(t, "OAUTHBEARER", func(first []byte) (bool, string) {
		mu.Lock()
		defer mu.Unlock()
		if string(first) == "n,,\x01auth=Bearer "+taken+"\x01\x01" {
			return true, ""
		}
		return false, `{"status":"invalid_token"}`
	})
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		mu.Lock()
		defer mu.Unlock()
		asked++
		id, secret, _ := r.BasicAuth()
		w.Header().Set("Content-Type", "application/json")
		if id != "leat" || secret != "hush" || r.FormValue("grant_type") != "client_credentials" || r.FormValue("scope") != "kafka" {
			w.WriteHeader(http.StatusUnauthorized)
			_, _ = io.WriteString(w, `{"error":"invalid_client"}`)
			return
		}
		_ = json.NewEncoder(w).Encode(map[string]any{"access_token": given, "token_type": "bearer", "expires_in": 3600})
	}))
	defer server.Close()
	base := []string{"brokers", broker, "security_protocol", "sasl_plaintext", "sasl_mechanism", "OAUTHBEARER"}
	with := func(options ...string) []string { return append(append([]string{}, base...), options...) }
	oauth := with("oauth2_uri", server.URL, "oauth2_client_id", "leat", "oauth2_client_secret", "hush", "oauth2_scope", "kafka")
	checkLogin(t, "", with("sasl_token", "t1")...)
	checkLogin(t, "the brokers refuse the token", with("sasl_token", "t2")...)
	checkLogin(t, "", oauth...)
	checkLogin(t, "check oauth2_uri", with("oauth2_uri", server.URL, "oauth2_client_id", "leat", "oauth2_client_secret", "hush-hush")...)
	away := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("Content-Type", "text/html")
		w.WriteHeader(http.StatusBadGateway)
		fmt.Fprint(w, "<html>a page</html>")
	}))
	defer away.Close()
	checkAway(t, "the token server is away: 502 Bad Gateway (check oauth2_uri", with("oauth2_uri", away.URL, "oauth2_client_id", "leat", "oauth2_client_secret", "hush")...)
	checkAway(t, "connection refused (check oauth2_uri", with("oauth2_uri", "http://127.0.0.1:1", "oauth2_client_id", "leat", "oauth2_client_secret", "hush")...)
	checkLogin(t, "needs sasl_token, or oauth2_uri", base...)
	checkLogin(t, "exclude each other", with("sasl_token", "t1", "oauth2_uri", server.URL)...)
	checkLogin(t, "is no http or https URL", with("oauth2_uri", "x")...)
	checkLogin(t, "needs oauth2_client_id", with("oauth2_uri", server.URL)...)
	checkLogin(t, `"sasl_username" has no effect with sasl_mechanism = 'OAUTHBEARER'`, with("sasl_token", "t1", "sasl_username", "leat")...)
	checkLogin(t, `"sasl_token" has no effect with sasl_mechanism = 'PLAIN'`, "brokers", broker, "security_protocol", "sasl_plaintext", "sasl_token", "t1", "sasl_username", "x", "sasl_password", "x")

	// The token is revoked before its time.
	login := logins(t, oauth)
	mu.Lock()
	asked = 0
	mu.Unlock()
	for range 2 {
		if err := login(); err != nil {
			t.Fatal(err)
		}
	}
	if asked != 1 {
		t.Errorf("%d tokens for two logins", asked)
	}
	mu.Lock()
	taken, given = "t2", "t2"
	mu.Unlock()
	awaitLogin(t, login)
}

// Brokers that are logged in to at the same time are shown one token, which is given up
// when one of them has left it without an answer and is asked again.
func TestLogin_OAuth_ManyBrokers(t *testing.T) {
	asked := 0
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		asked++
		w.Header().Set("Content-Type", "application/json")
		fmt.Fprintf(w, `{"access_token":"t%d","token_type":"bearer","expires_in":3600}`, asked)
	}))
	defer server.Close()
	m, err := kafka.Mechanism(kafka.Connector.Spec.MustOptions("brokers", "a:1", "topic", "trips", "security_protocol", "sasl_plaintext", "sasl_mechanism", "OAUTHBEARER",
		"oauth2_uri", server.URL, "oauth2_client_id", "leat", "oauth2_client_secret", "hush"))
	if err != nil {
		t.Fatal(err)
	}
	begin := func(host, want string) sasl.Session {
		t.Helper()
		s, first, err := m.Authenticate(t.Context(), host)
		if err != nil || string(first) != "n,,\x01auth=Bearer "+want+"\x01\x01" {
			t.Fatalf("%s is shown %q, %v, want %s", host, first, err, want)
		}
		return s
	}
	answer := func(s sasl.Session, text string) {
		t.Helper()
		if _, _, err := s.Challenge([]byte(text)); (err == nil) != (text == "") {
			t.Fatal(err)
		}
	}
	one, two, three := begin("a:1", "t1"), begin("b:1", "t1"), begin("c:1", "t1")
	answer(two, "")
	answer(one, "")
	answer(three, "")
	begin("a:1", "t1") // its connection breaks
	begin("b:1", "t1") // and that of b
	begin("a:1", "t2")
	four := begin("b:1", "t2")
	answer(four, `{"status":"invalid_token"}`)
	answer(begin("b:1", "t3"), "")
	answer(begin("a:1", "t3"), "")
}

// The login of Amazon MSK is signed, by the keys that there are now.
func TestLogin_IAM(t *testing.T) {
	shared := awsconntest.SharedFile(t)
	t.Setenv("AWS_REGION", "eu-west-1")
	var mu sync.Mutex
	known := awsconntest.Keys{ID: "AKID", Secret: "hush", Token: "to/ken+="}
	broker := loginCluster(t, "AWS_MSK_IAM", func(first []byte) (bool, string) {
		mu.Lock()
		defer mu.Unlock()
		var got map[string]string
		if json.Unmarshal(first, &got) != nil {
			return false, ""
		}
		// The members are the parameters of a presigned URL, in lower case.
		values := url.Values{"Action": {got["action"]}}
		for _, name := range []string{"X-Amz-Algorithm", "X-Amz-Credential", "X-Amz-Date", "X-Amz-Expires", "X-Amz-SignedHeaders", "X-Amz-Signature", "X-Amz-Security-Token"} {
			if v, ok := got[strings.ToLower(name)]; ok {
				values.Set(name, v)
			}
		}
		ok := got["version"] == "2020_10_22" && got["action"] == "kafka-cluster:Connect" && strings.Contains(got["x-amz-credential"], "/eu-west-1/") &&
			awsconntest.CheckPresigned(got["host"], values, "kafka-cluster", time.Now(), known) == ""
		return ok, map[bool]string{true: `{"version":"2020_10_22","request-id":"r"}`}[ok]
	})
	base := []string{"brokers", broker, "security_protocol", "sasl_plaintext", "sasl_mechanism", "AWS_MSK_IAM"}
	with := func(options ...string) []string { return append(append([]string{}, base...), options...) }
	checkLogin(t, "", with("access_key_id", "AKID", "secret_access_key", "hush", "session_token", "to/ken+=")...)
	checkLogin(t, "kafka-cluster:Connect", with("access_key_id", "AKID", "secret_access_key", "hush-hush", "session_token", "to/ken+=")...)
	checkLogin(t, "kafka-cluster:Connect", with("access_key_id", "AKID", "secret_access_key", "hush")...)
	checkLogin(t, "given together", with("access_key_id", "AKID")...)
	checkLogin(t, "session_token needs access_key_id", with("session_token", "x")...)
	checkLogin(t, "set up the environment's credential chain", base...)

	known.Share(t, shared)
	login := logins(t, base)
	if err := login(); err != nil {
		t.Fatal(err)
	}
	mu.Lock()
	known = awsconntest.Keys{ID: "AKID2", Secret: "hush2", Token: "t2"}
	mu.Unlock()
	known.Share(t, shared)
	awaitLogin(t, login)
}

// Brokers that want a certificate of their clients get the one of the options.
func TestLogin_ClientCertificate(t *testing.T) {
	ca, config := certificate(t)
	pool := x509.NewCertPool()
	pool.AppendCertsFromPEM([]byte(ca))
	config.ClientAuth, config.ClientCAs = tls.RequireAndVerifyClientCert, pool
	c := cluster(t, kfake.SeedTopics(1, "trips"), kfake.TLS(config))
	text := func(key crypto.PrivateKey) string {
		der, err := x509.MarshalECPrivateKey(key.(*ecdsa.PrivateKey))
		if err != nil {
			t.Fatal(err)
		}
		return string(pem.EncodeToMemory(&pem.Block{Type: "EC PRIVATE KEY", Bytes: der}))
	}
	base := []string{"brokers", c.ListenAddrs()[0], "security_protocol", "ssl", "tls_ca", ca}
	with := func(options ...string) []string { return append(append([]string{}, base...), options...) }
	checkLogin(t, "", with("tls_cert", ca, "tls_key", text(config.Certificates[0].PrivateKey))...)
	checkLogin(t, "they may ask for a client certificate", base...)
	strange, other := certificate(t)
	checkLogin(t, "they may ask for a client certificate", with("tls_cert", strange, "tls_key", text(other.Certificates[0].PrivateKey))...)
	checkLogin(t, "use tls_cert and tls_key", with("tls_cert", ca, "tls_key", text(other.Certificates[0].PrivateKey))...)
}
