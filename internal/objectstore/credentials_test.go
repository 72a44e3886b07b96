package objectstore_test

import (
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/leatdb/leat/internal/awsconn/awsconntest"
	"github.com/leatdb/leat/internal/objectstore"
)

// checkingS3 is an S3 server that checks signatures, by a clock of its own.
type checkingS3 struct {
	mu      sync.Mutex
	known   []awsconntest.Keys
	expired []awsconntest.Keys
	ahead   time.Duration // of its clock
	refused map[awsconntest.Refusal]int
}

func startCheckingS3(t *testing.T) (*checkingS3, string) {
	t.Helper()
	c := &checkingS3{refused: map[awsconntest.Refusal]int{}}
	url := fakeS3(t, func(w http.ResponseWriter, r *http.Request) bool {
		c.mu.Lock()
		now := time.Now().Add(c.ahead)
		refusal := awsconntest.CheckSignature(r, "s3", now, append(c.known, c.expired...)...)
		for _, k := range c.expired {
			if refusal == "" && strings.Contains(r.Header.Get("Authorization"), "Credential="+k.ID+"/") {
				refusal = "ExpiredToken"
			}
		}
		if refusal != "" {
			c.refused[refusal]++
		}
		c.mu.Unlock()
		w.Header().Set("Date", now.UTC().Format(http.TimeFormat))
		if refusal == "" {
			return false
		}
		_, _ = io.Copy(io.Discard, r.Body)
		w.Header().Set("Content-Type", "application/xml")
		status := http.StatusForbidden
		if refusal == "ExpiredToken" {
			status = http.StatusBadRequest
		}
		w.WriteHeader(status)
		if r.Method != http.MethodHead {
			fmt.Fprintf(w, "<Error><Code>%s</Code><Message>injected</Message></Error>", refusal)
		}
		return true
	})
	return c, url
}

func (c *checkingS3) set(ahead time.Duration, expired []awsconntest.Keys, known ...awsconntest.Keys) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.ahead, c.expired, c.known = ahead, expired, known
}

// useAll reads and writes by each kind of request that a store sends.
func useAll(t *testing.T, s objectstore.Store) error {
	t.Helper()
	ctx := t.Context()
	info, err := s.Put(ctx, "a b+c/é.json", []byte("0123456789"), objectstore.PutOptions{})
	if err != nil {
		return err
	}
	if _, err := s.Get(ctx, info.Key); err != nil {
		return err
	}
	r, err := objectstore.OpenVersion(ctx, s, info)
	if err != nil {
		return err
	}
	defer r.Close()
	if _, err := r.ReadAt(make([]byte, 4), 2); err != nil {
		return err
	}
	if _, err := s.Head(ctx, info.Key); err != nil {
		return err
	}
	w, err := s.Create(ctx, "large", objectstore.WriterOptions{})
	if err != nil {
		return err
	}
	if err := w.Write(ctx, make([]byte, 6<<20)); err != nil {
		w.Abort()
		return err
	}
	if _, err := w.Commit(ctx); err != nil {
		return err
	}
	if _, _, err := s.List(ctx, "", "", 10); err != nil {
		return err
	}
	return s.Delete(ctx, info.Key, "large")
}

// All requests are signed as S3 wants it, and what is wrong with keys and clocks is
// told. The SDK sets its clock by the server's.
func TestS3_Signatures(t *testing.T) {
	keys := awsconntest.Keys{ID: "key", Secret: "hush-hush", Token: "tok/en=="}
	server, url := startCheckingS3(t)
	open := func(change func(*objectstore.Config)) objectstore.Store {
		cfg := s3Config(url, "s3://lake")
		cfg.SessionToken = keys.Token
		change(&cfg)
		return openStore(t, cfg)
	}
	s := open(func(*objectstore.Config) {})
	for _, ahead := range []time.Duration{0, 20 * time.Minute, -3 * time.Hour, 0} {
		server.set(ahead, nil, keys)
		if err := useAll(t, s); err != nil {
			t.Errorf("the server's clock is %v ahead: %v", ahead, err)
		}
	}
	f := func(s objectstore.Store, want string) {
		t.Helper()
		err := useAll(t, s)
		if err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%v, want %q", err, want)
		}
	}
	server.set(0, nil, keys)
	f(open(func(c *objectstore.Config) { c.SecretAccessKey = "other" }), "the credentials were refused (SignatureDoesNotMatch)")
	f(open(func(c *objectstore.Config) { c.AccessKeyID = "other" }), "the credentials were refused (InvalidAccessKeyId)")
	f(open(func(c *objectstore.Config) { c.SessionToken = "" }), "the credentials were refused (InvalidToken)")
	server.set(0, []awsconntest.Keys{keys})
	f(s, "the credentials have expired")
}

// Keys of the chain that have expired are looked for again, without a restart: those
// that a program writes into the shared file, and those of a role, which a service
// may call expired before their time.
func TestS3_RenewedCredentials(t *testing.T) {
	shared := awsconntest.SharedFile(t)
	server, url := startCheckingS3(t)
	first, second := awsconntest.Keys{ID: "first", Secret: "s1", Token: "t1"}, awsconntest.Keys{ID: "second", Secret: "s2", Token: "t2"}

	renewed := func(t *testing.T, hand func(awsconntest.Keys), use func(*testing.T, objectstore.Store) error) {
		t.Helper()
		hand(first)
		server.set(0, nil, first)
		cfg := s3Config(url, "s3://lake")
		cfg.AccessKeyID, cfg.SecretAccessKey = "", ""
		s := openStore(t, cfg)
		if err := useAll(t, s); err != nil {
			t.Fatal(err)
		}
		server.set(0, []awsconntest.Keys{first}, second)
		hand(second)
		tries := 0
		err := objectstore.Retry(t.Context(), func(err error) {
			if tries++; tries > 5 {
				t.Fatal("credentials that were renewed are not used")
			}
			if err != nil && !strings.Contains(err.Error(), "the credentials have expired") {
				t.Error(err)
			}
		}, func(context.Context) error { return use(t, s) })
		if err != nil || tries == 0 {
			t.Errorf("after %d tries: %v", tries, err)
		}
	}
	write := func(k awsconntest.Keys) { k.Share(t, shared) }
	t.Run("SharedFile", func(t *testing.T) { renewed(t, write, useAll) })
	// The answer to HEAD does not say that it is the credentials which have expired.
	t.Run("Head", func(t *testing.T) {
		renewed(t, write, func(t *testing.T, s objectstore.Store) error {
			if _, err := s.Head(t.Context(), "none"); !errors.Is(err, fs.ErrNotExist) {
				return err
			}
			return nil
		})
	})
	if err := os.Remove(shared); err != nil {
		t.Fatal(err)
	}
	t.Run("WebIdentity", func(t *testing.T) {
		var mu sync.Mutex
		var keys awsconntest.Keys
		sts := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
			mu.Lock()
			defer mu.Unlock()
			w.Header().Set("Content-Type", "text/xml")
			fmt.Fprintf(w, `<AssumeRoleWithWebIdentityResponse xmlns="https://sts.amazonaws.com/doc/2011-06-15/"><AssumeRoleWithWebIdentityResult><Credentials>
				<AccessKeyId>%s</AccessKeyId><SecretAccessKey>%s</SecretAccessKey><SessionToken>%s</SessionToken><Expiration>%s</Expiration>
				</Credentials></AssumeRoleWithWebIdentityResult></AssumeRoleWithWebIdentityResponse>`, keys.ID, keys.Secret, keys.Token, time.Now().Add(time.Hour).UTC().Format(time.RFC3339))
		}))
		defer sts.Close()
		token := filepath.Join(t.TempDir(), "token")
		if err := os.WriteFile(token, []byte("jwt"), 0o600); err != nil {
			t.Fatal(err)
		}
		t.Setenv("AWS_WEB_IDENTITY_TOKEN_FILE", token)
		t.Setenv("AWS_ROLE_ARN", "arn:aws:iam::123456789012:role/leat")
		t.Setenv("AWS_ENDPOINT_URL_STS", sts.URL)
		t.Setenv("AWS_REGION", "eu-west-1")
		renewed(t, func(k awsconntest.Keys) {
			mu.Lock()
			defer mu.Unlock()
			keys = k
		}, useAll)
	})
}

// Each HEAD that was refused asked once more, for the reason, also when thousands were
// for the same one.
func TestS3_HeadsThatAreRefused(t *testing.T) {
	var heads, gets atomic.Int64
	url := fakeS3(t, func(w http.ResponseWriter, r *http.Request) bool {
		w.Header().Set("Content-Type", "application/xml")
		w.WriteHeader(http.StatusForbidden)
		if r.Method == http.MethodHead {
			heads.Add(1)
			return true
		}
		gets.Add(1)
		fmt.Fprint(w, "<Error><Code>InvalidAccessKeyId</Code><Message>injected</Message></Error>")
		return true
	})
	s := openStore(t, objectstore.Config{URI: "s3://lake", Endpoint: url, Region: "us-east-1", AccessKeyID: "k", SecretAccessKey: "s"})
	for i := range 20 {
		key := fmt.Sprint("object", i)
		if _, err := s.Head(t.Context(), key); err == nil || !strings.Contains(err.Error(), "InvalidAccessKeyId") || !strings.Contains(err.Error(), key) {
			t.Errorf("head: %v", err)
		}
	}
	if heads.Load() < 20 || gets.Load() > 5 {
		t.Errorf("%d requests for the reason of %d refusals", gets.Load(), heads.Load())
	}
}
