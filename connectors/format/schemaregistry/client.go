// Package schemaregistry is a client of a Confluent schema registry, and the
// wire format in which its clients write messages: what the Avro and Protobuf
// formats and the Kafka sink need of it.
//
// See https://docs.confluent.io/platform/current/schema-registry/develop/api.html
package schemaregistry

import (
	"bytes"
	"context"
	"crypto/tls"
	"crypto/x509"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"os"
	"strconv"
	"strings"
	"sync"
	"time"

	"github.com/leatdb/leat/connectors"
	"github.com/leatdb/leat/sql/sqlerror"
)

// Options are those by which a registry is named, for formats and sinks.
var Options = connectors.Spec{
	{Name: "schema_registry", Kind: connectors.OptionList, Doc: "URL of the schema registry; several, separated by commas, are tried in turn."},
	{Name: "schema_registry_username", Doc: "User (or API key) of the schema registry."},
	{Name: "schema_registry_password", Secret: true, Doc: "Password (or API secret) of the schema registry."},
	{Name: "schema_registry_token", Secret: true, Doc: "Bearer token of the schema registry, in place of user and password."},
	{Name: "schema_registry_ca_file", Doc: "File of PEM certificates that the registry's certificate is checked against, instead of the system's."},
	{Name: "schema_registry_timeout", Kind: connectors.OptionDuration, Default: "10s", Min: int64(time.Millisecond), Doc: "How long a request to the schema registry may take. A registry that is away is asked again; no record is lost for it."},
}

// Schema is a schema as the registry keeps it.
type Schema struct {
	// Type is AVRO, PROTOBUF or JSON.
	Type string
	// Text is the schema's source: Avro's JSON, a .proto file, a JSON schema.
	Text string
	// References are the schemas that Text names.
	References []Reference
}

// Reference names a schema that another one uses. Name is what that one calls
// it: the full name of an Avro type, the path that a .proto file imports.
type Reference struct {
	Name    string `json:"name"`
	Subject string `json:"subject"`
	Version int    `json:"version"`
}

// ErrUnknown means that the registry answers and does not have what was asked
// for. Every other error of a Client is worth another try later.
var ErrUnknown = errors.New("not in the schema registry")

// maxAnswer bounds what a registry can make a client read.
const maxAnswer = 16 << 20

// forgetUnknown is after how long the registry is asked again for an id that it
// did not know.
const forgetUnknown = time.Minute

// Client asks a registry. Schemas never change under their id, so that each is
// asked for once. It may be used by several goroutines.
type Client struct {
	urls     []*url.URL
	username string
	password string
	token    string
	http     *http.Client
	now      func() time.Time

	mu      sync.Mutex
	first   int // of urls: the one that answered last
	schemas map[int]Schema
	unknown map[int]unknown
	named   map[Reference]Schema
}

type unknown struct {
	err   error
	until time.Time
}

// New makes a client of the registry that Options name, nil where they name
// none. It does not talk to it. Fails for URLs and files that cannot be used.
func New(o connectors.Options) (*Client, error) {
	c := &Client{
		username: o.String("schema_registry_username"), password: o.String("schema_registry_password"), token: o.String("schema_registry_token"),
		now: time.Now, schemas: map[int]Schema{}, unknown: map[int]unknown{}, named: map[Reference]Schema{},
	}
	for _, text := range o.List("schema_registry") {
		u, err := url.Parse(text)
		if err != nil || u.Scheme != "http" && u.Scheme != "https" || u.Host == "" {
			return nil, sqlerror.Userf(sqlerror.CodeBadOption, "option \"schema_registry\": it is no list of URLs that begin with http:// or https://")
		}
		c.urls = append(c.urls, u)
	}
	if len(c.urls) == 0 {
		for _, name := range []string{"schema_registry_username", "schema_registry_password", "schema_registry_token", "schema_registry_ca_file"} {
			if o.Has(name) {
				return nil, sqlerror.Userf(sqlerror.CodeBadOption, "option %q needs the option \"schema_registry\"", name)
			}
		}
		return nil, nil
	}
	if c.token != "" && c.username != "" {
		return nil, sqlerror.Userf(sqlerror.CodeBadOption, "options \"schema_registry_token\" and \"schema_registry_username\" exclude each other")
	}
	transport := http.DefaultTransport.(*http.Transport).Clone()
	if name := o.String("schema_registry_ca_file"); name != "" {
		pem, err := os.ReadFile(name)
		if err != nil {
			return nil, sqlerror.Userf(sqlerror.CodeBadOption, "option \"schema_registry_ca_file\": %w", err)
		}
		pool := x509.NewCertPool()
		if !pool.AppendCertsFromPEM(pem) {
			return nil, sqlerror.Userf(sqlerror.CodeBadOption, "option \"schema_registry_ca_file\": %s holds no PEM certificate", name)
		}
		transport.TLSClientConfig = &tls.Config{RootCAs: pool, MinVersion: tls.VersionTLS12}
	}
	timeout := o.Duration("schema_registry_timeout")
	if timeout <= 0 {
		timeout = 10 * time.Second
	}
	c.http = &http.Client{Transport: transport, Timeout: timeout}
	return c, nil
}

// Close lets go of idle connections.
func (c *Client) Close() {
	if c != nil {
		c.http.CloseIdleConnections()
	}
}

// Schema is the schema of an id. The error is ErrUnknown when the registry has
// none of that id, which is remembered for a minute.
func (c *Client) Schema(ctx context.Context, id int) (Schema, error) {
	c.mu.Lock()
	s, ok := c.schemas[id]
	u, bad := c.unknown[id]
	c.mu.Unlock()
	switch {
	case ok:
		return s, nil
	case bad && c.now().Before(u.until):
		return Schema{}, u.err
	}
	var answer schemaText
	err := c.call(ctx, http.MethodGet, "/schemas/ids/"+strconv.Itoa(id), nil, &answer)
	c.mu.Lock()
	defer c.mu.Unlock()
	switch {
	case errors.Is(err, ErrUnknown):
		err = fmt.Errorf("schema %d: %w", id, err)
		c.unknown[id] = unknown{err, c.now().Add(forgetUnknown)}
		return Schema{}, err
	case err != nil:
		return Schema{}, err
	}
	delete(c.unknown, id)
	c.schemas[id] = answer.schema()
	return c.schemas[id], nil
}

// Version is the schema that a reference names.
func (c *Client) Version(ctx context.Context, r Reference) (Schema, error) {
	r.Name = ""
	c.mu.Lock()
	s, ok := c.named[r]
	c.mu.Unlock()
	if ok {
		return s, nil
	}
	var answer schemaText
	if err := c.call(ctx, http.MethodGet, "/subjects/"+url.PathEscape(r.Subject)+"/versions/"+strconv.Itoa(r.Version), nil, &answer); err != nil {
		return Schema{}, fmt.Errorf("version %d of subject %s: %w", r.Version, r.Subject, err)
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	c.named[r] = answer.schema()
	return c.named[r], nil
}

// Latest is the newest schema of a subject and its id.
func (c *Client) Latest(ctx context.Context, subject string) (s Schema, id int, err error) {
	var answer schemaText
	if err := c.call(ctx, http.MethodGet, "/subjects/"+url.PathEscape(subject)+"/versions/latest", nil, &answer); err != nil {
		return Schema{}, 0, fmt.Errorf("newest schema of subject %s: %w", subject, err)
	}
	return answer.schema(), answer.ID, nil
}

// Register makes s the newest schema of a subject, unless it is that already,
// and returns its id. A schema that the subject's compatibility rules refuse is
// an error that is not worth another try.
func (c *Client) Register(ctx context.Context, subject string, s Schema) (id int, err error) {
	var answer schemaText
	err = c.call(ctx, http.MethodPost, "/subjects/"+url.PathEscape(subject)+"/versions", schemaText{SchemaType: s.Type, Schema: s.Text, References: s.References}, &answer)
	if err != nil {
		return 0, fmt.Errorf("register schema of subject %s: %w", subject, err)
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	c.schemas[answer.ID] = s
	return answer.ID, nil
}

// schemaText is a schema in the registry's JSON.
type schemaText struct {
	ID         int         `json:"id,omitempty"`
	SchemaType string      `json:"schemaType,omitempty"`
	Schema     string      `json:"schema"`
	References []Reference `json:"references,omitempty"`
}

func (t schemaText) schema() Schema {
	s := Schema{Type: t.SchemaType, Text: t.Schema, References: t.References}
	if s.Type == "" {
		s.Type = "AVRO" // what registries leave out
	}
	return s
}

// call asks the registries in turn, the one first that answered last, until one
// gives an answer.
func (c *Client) call(ctx context.Context, method, path string, body any, answer *schemaText) error {
	c.mu.Lock()
	first := c.first
	c.mu.Unlock()
	var failed error
	for i := range c.urls {
		at := (first + i) % len(c.urls)
		retry, err := c.ask(ctx, c.urls[at], method, path, body, answer)
		if err == nil || !retry {
			c.mu.Lock()
			c.first = at
			c.mu.Unlock()
			return err
		}
		if failed == nil {
			failed = err
		}
		if ctx.Err() != nil {
			break
		}
	}
	return failed
}

// ask asks one registry. retry tells that another one may do better.
func (c *Client) ask(ctx context.Context, base *url.URL, method, path string, body any, answer *schemaText) (retry bool, err error) {
	var content io.Reader
	if body != nil {
		text, err := json.Marshal(body)
		if err != nil {
			return false, fmt.Errorf("write request to schema registry: %w", err)
		}
		content = bytes.NewReader(text)
	}
	u := *base
	user := u.User
	u.User = nil
	target := strings.TrimRight(u.String(), "/") + path
	req, err := http.NewRequestWithContext(ctx, method, target, content)
	if err != nil {
		return false, fmt.Errorf("ask schema registry: %w", err)
	}
	req.Header.Set("Accept", "application/vnd.schemaregistry.v1+json, application/json")
	if body != nil {
		req.Header.Set("Content-Type", "application/vnd.schemaregistry.v1+json")
	}
	switch {
	case c.token != "":
		req.Header.Set("Authorization", "Bearer "+c.token)
	case c.username != "":
		req.SetBasicAuth(c.username, c.password)
	case user != nil:
		password, _ := user.Password()
		req.SetBasicAuth(user.Username(), password)
	}
	resp, err := c.http.Do(req)
	if err != nil {
		return true, sqlerror.Externalf(sqlerror.CodeExternal, "ask schema registry: %w", err)
	}
	defer resp.Body.Close()
	text, err := io.ReadAll(io.LimitReader(resp.Body, maxAnswer+1))
	switch {
	case err != nil:
		return true, sqlerror.Externalf(sqlerror.CodeExternal, "read answer of schema registry %s: %w", u.Host, err)
	case len(text) > maxAnswer:
		return false, sqlerror.Externalf(sqlerror.CodeExternal, "the answer of schema registry %s is larger than %s", u.Host, connectors.FormatSize(maxAnswer))
	case resp.StatusCode == http.StatusOK:
		if err := json.Unmarshal(text, answer); err != nil {
			return true, sqlerror.Externalf(sqlerror.CodeExternal, "read answer of schema registry %s: %w", u.Host, err)
		}
		// What stands before a registry may answer in its place, also in JSON. It must
		// not be taken, and kept, for a schema in which no record can be read.
		if method == http.MethodGet && answer.Schema == "" || method == http.MethodPost && answer.ID == 0 {
			return true, sqlerror.Externalf(sqlerror.CodeExternal, "the answer of schema registry %s holds no schema", u.Host).
				WithHint("check schema_registry, and what stands between it and this machine")
		}
		return false, nil
	}
	var problem struct {
		Code    int    `json:"error_code"`
		Message string `json:"message"`
	}
	if json.Unmarshal(text, &problem) != nil {
		problem.Code, problem.Message = 0, "" // it may be a proxy's page
	}
	why := problem.Message
	if why == "" {
		why = resp.Status
	}
	switch status := resp.StatusCode; {
	// A 404 without the registry's code is a proxy's, or a wrong URL's.
	case status == http.StatusNotFound && problem.Code/100 == http.StatusNotFound:
		return false, fmt.Errorf("%w: %s", ErrUnknown, why)
	case status == http.StatusUnauthorized, status == http.StatusForbidden:
		return false, sqlerror.Externalf(sqlerror.CodeAuth, "schema registry %s: %s", u.Host, why).
			WithHint("see the options schema_registry_username and schema_registry_password")
	case status == http.StatusConflict, status == http.StatusUnprocessableEntity:
		return false, sqlerror.Externalf(sqlerror.CodeConflict, "schema registry %s: %s", u.Host, why).Final()
	default:
		return true, sqlerror.Externalf(sqlerror.CodeExternal, "schema registry %s: %s", u.Host, why)
	}
}
