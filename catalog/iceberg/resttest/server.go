// Package resttest is an Iceberg REST catalog for tests, with faults that can be
// switched on. It keeps the names of tables in memory and writes their metadata
// files, as real servers do, through an object store.
//
// A Server is an http.Handler, and an http.RoundTripper that does without a
// network, so that it works where a clock is simulated.
package resttest

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"net/url"
	"slices"
	"strings"
	"sync"

	"github.com/apache/iceberg-go"
	"github.com/apache/iceberg-go/table"
	"github.com/google/uuid"

	"github.com/leatdb/leat/internal/objectstore"
)

// Op names what a request asks for.
type Op string

// The operations.
const (
	Config          Op = "config"
	Token           Op = "token"
	NamespaceExists Op = "namespace exists"
	CreateNamespace Op = "create namespace"
	List            Op = "list"
	Load            Op = "load"
	Create          Op = "create"
	Register        Op = "register"
	Commit          Op = "commit"
	Drop            Op = "drop"
)

// Call is one request on its way to the catalog.
type Call struct {
	N     int // how many of the same Op came before it
	Op    Op
	Table string
}

// Fault is what befalls a request.
type Fault uint8

const (
	// Pass lets the request through.
	Pass Fault = iota
	// Unavailable answers 503 and does nothing.
	Unavailable
	// UnavailableAfter does it and answers 503.
	UnavailableAfter
	// GatewayTimeout does it and answers 504 with a page of HTML.
	GatewayTimeout
	// Lost does it and closes the connection.
	Lost
	// Reset closes the connection and does nothing.
	Reset
	// Conflict answers 409 and does nothing.
	Conflict
	// ConflictAfter does it and answers 409, as a gateway does that sends a
	// request twice.
	ConflictAfter
	// Garbled does it and cuts the answer off.
	Garbled
	// Unauthorized answers 401.
	Unauthorized
	// Forbidden answers 403.
	Forbidden
)

// Server is a catalog. Its fields are set before its first request.
type Server struct {
	// Store has the metadata files; tables must lie in its folder.
	Store objectstore.Store
	// Authorize checks the login of a request; nil lets all in.
	Authorize func(*http.Request) bool
	// Clients are the OAuth2 clients, secrets by id, that get AccessToken.
	Clients     map[string]string
	AccessToken string
	// Prefix is put before the names in paths, as /v1/config says then.
	Prefix string
	// Place changes where tables are put; nil puts them where they shall be.
	Place func(location string) string
	// Fault says what befalls a request; nil is Pass.
	Fault func(Call) Fault

	mu         sync.Mutex
	calls      map[Op]int
	namespaces map[string]map[string]*entry // tables by namespace and name
}

type entry struct {
	meta     table.Metadata
	location string // of the metadata file
}

// failure is an answer that is an error.
type failure struct {
	status    int
	kind, say string
}

func (f *failure) Error() string { return f.say }

func fail(status int, kind, format string, args ...any) *failure {
	return &failure{status, kind, fmt.Sprintf(format, args...)}
}

// Calls is how many requests of a kind have come.
func (s *Server) Calls(op Op) int {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.calls[op]
}

// errClosed is what a client sees of a connection that was closed.
var errClosed = fmt.Errorf("resttest: %w", io.ErrUnexpectedEOF)

// RoundTrip implements http.RoundTripper.
func (s *Server) RoundTrip(r *http.Request) (resp *http.Response, err error) {
	defer func() {
		switch p := recover(); p {
		case nil:
		case http.ErrAbortHandler:
			resp, err = nil, errClosed
		default:
			panic(p)
		}
	}()
	if r.Body == nil {
		r.Body = http.NoBody
	}
	defer r.Body.Close()
	if err := r.Context().Err(); err != nil {
		return nil, err
	}
	w := httptest.NewRecorder()
	s.ServeHTTP(w, r)
	resp = w.Result()
	resp.ContentLength = int64(w.Body.Len())
	resp.Request = r
	return resp, nil
}

// ServeHTTP implements http.Handler.
func (s *Server) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	s.mu.Lock()
	defer s.mu.Unlock()
	c, answer := s.route(r)
	if answer == nil {
		http.Error(w, "<html>no such page</html>", http.StatusNotFound)
		return
	}
	if s.calls == nil {
		s.calls, s.namespaces = map[Op]int{}, map[string]map[string]*entry{}
	}
	c.N = s.calls[c.Op]
	s.calls[c.Op]++
	fault := Pass
	if s.Fault != nil {
		fault = s.Fault(c)
	}
	var result any
	err := error(nil)
	switch {
	case fault == Unavailable:
		err = fail(http.StatusServiceUnavailable, "ServiceUnavailableException", "try later (injected)")
	case fault == Reset:
		panic(http.ErrAbortHandler)
	case fault == Conflict:
		err = fail(http.StatusConflict, "CommitFailedException", "another was faster (injected)")
	case fault == Unauthorized || c.Op != Token && s.Authorize != nil && !s.Authorize(r):
		err = fail(http.StatusUnauthorized, "NotAuthorizedException", "who are you?")
	case fault == Forbidden:
		err = fail(http.StatusForbidden, "ForbiddenException", "you may not")
	default:
		result, err = answer(r.Context())
	}
	if err == nil {
		switch fault {
		case UnavailableAfter:
			err = fail(http.StatusServiceUnavailable, "ServiceUnavailableException", "try later (injected)")
		case ConflictAfter:
			err = fail(http.StatusConflict, "CommitFailedException", "another was faster (injected)")
		case GatewayTimeout:
			http.Error(w, "<html>gateway timeout (injected)</html>", http.StatusGatewayTimeout)
			return
		case Lost:
			panic(http.ErrAbortHandler)
		}
	}
	s.write(w, c.Op, result, err, fault == Garbled)
}

func (s *Server) write(w http.ResponseWriter, op Op, result any, err error, cut bool) {
	status := http.StatusOK
	if err != nil {
		f, ok := errors.AsType[*failure](err)
		if !ok {
			f = fail(http.StatusInternalServerError, "InternalServerError", "%v", err)
		}
		status = f.status
		result = map[string]any{"error": map[string]any{"message": f.say, "type": f.kind, "code": f.status}}
		if op == Token { // RFC 6749, section 5.2
			result = map[string]any{"error": f.kind, "error_description": f.say}
		}
	} else if result == nil {
		w.WriteHeader(http.StatusNoContent)
		return
	}
	text, err := json.Marshal(result)
	if err != nil {
		panic(err)
	}
	if cut {
		text = text[:len(text)/2]
	}
	w.Header().Set("Content-Type", "application/json")
	w.WriteHeader(status)
	_, _ = w.Write(text)
}

type answer = func(context.Context) (any, error)

// route finds what a request asks for; nil where there is no such path.
func (s *Server) route(r *http.Request) (Call, answer) {
	path, ok := strings.CutPrefix(r.URL.EscapedPath(), "/v1/")
	if !ok {
		return Call{}, nil
	}
	switch {
	case r.Method == http.MethodGet && path == "config":
		return Call{Op: Config}, func(context.Context) (any, error) {
			overrides := map[string]string{}
			if s.Prefix != "" {
				overrides["prefix"] = s.Prefix
			}
			return map[string]any{"defaults": map[string]string{}, "overrides": overrides}, nil
		}
	case r.Method == http.MethodPost && path == "oauth/tokens":
		return Call{Op: Token}, func(context.Context) (any, error) { return s.token(r) }
	}
	if s.Prefix != "" {
		if path, ok = strings.CutPrefix(path, s.Prefix+"/"); !ok {
			return Call{}, nil
		}
	}
	parts := strings.Split(path, "/")
	for i, part := range parts {
		plain, err := url.PathUnescape(part)
		if err != nil {
			return Call{}, nil
		}
		parts[i] = plain
	}
	if parts[0] != "namespaces" {
		return Call{}, nil
	}
	switch what := fmt.Sprintf("%s %d", r.Method, len(parts)); {
	case what == "POST 1":
		return Call{Op: CreateNamespace}, func(context.Context) (any, error) { return s.createNamespace(r.Body) }
	case what == "GET 2":
		return Call{Op: NamespaceExists}, func(context.Context) (any, error) {
			if _, err := s.tables(parts[1]); err != nil {
				return nil, err
			}
			return map[string]any{"namespace": []string{parts[1]}, "properties": map[string]string{}}, nil
		}
	case what == "GET 3" && parts[2] == "tables":
		return Call{Op: List}, func(context.Context) (any, error) { return s.list(parts[1]) }
	case what == "POST 3" && parts[2] == "tables":
		return Call{Op: Create}, func(ctx context.Context) (any, error) { return s.create(ctx, parts[1], r.Body) }
	case what == "POST 3" && parts[2] == "register":
		return Call{Op: Register}, func(ctx context.Context) (any, error) { return s.register(ctx, parts[1], r.Body) }
	case what == "GET 4" && parts[2] == "tables":
		return Call{Op: Load, Table: parts[3]}, func(context.Context) (any, error) { return s.load(parts[1], parts[3]) }
	case what == "POST 4" && parts[2] == "tables":
		return Call{Op: Commit, Table: parts[3]}, func(ctx context.Context) (any, error) { return s.commit(ctx, parts[1], parts[3], r.Body) }
	case what == "DELETE 4" && parts[2] == "tables":
		return Call{Op: Drop, Table: parts[3]}, func(context.Context) (any, error) { return nil, s.drop(parts[1], parts[3]) }
	}
	return Call{}, nil
}

func (s *Server) token(r *http.Request) (any, error) {
	if err := r.ParseForm(); err != nil {
		return nil, err
	}
	secret, ok := s.Clients[r.PostForm.Get("client_id")]
	if !ok || secret != r.PostForm.Get("client_secret") {
		return nil, fail(http.StatusUnauthorized, "invalid_client", "no such client")
	}
	return map[string]any{"access_token": s.AccessToken, "token_type": "bearer", "expires_in": 3600}, nil
}

func (s *Server) tables(namespace string) (map[string]*entry, error) {
	tables, ok := s.namespaces[namespace]
	if !ok {
		return nil, fail(http.StatusNotFound, "NoSuchNamespaceException", "no namespace %s", namespace)
	}
	return tables, nil
}

func (s *Server) table(namespace, name string) (*entry, error) {
	tables, err := s.tables(namespace)
	if err != nil {
		return nil, err
	}
	t := tables[name]
	if t == nil {
		return nil, fail(http.StatusNotFound, "NoSuchTableException", "no table %s", name)
	}
	return t, nil
}

func decode(body io.Reader, into any) error {
	if err := json.NewDecoder(body).Decode(into); err != nil {
		return fail(http.StatusBadRequest, "BadRequestException", "read the request: %v", err)
	}
	return nil
}

func (s *Server) createNamespace(body io.Reader) (any, error) {
	var req struct {
		Namespace  []string          `json:"namespace"`
		Properties map[string]string `json:"properties"`
	}
	if err := decode(body, &req); err != nil {
		return nil, err
	}
	if len(req.Namespace) != 1 {
		return nil, fail(http.StatusBadRequest, "BadRequestException", "a namespace has one level here")
	}
	if s.namespaces[req.Namespace[0]] != nil {
		return nil, fail(http.StatusConflict, "AlreadyExistsException", "namespace %s exists", req.Namespace[0])
	}
	s.namespaces[req.Namespace[0]] = map[string]*entry{}
	return req, nil
}

func (s *Server) list(namespace string) (any, error) {
	tables, err := s.tables(namespace)
	if err != nil {
		return nil, err
	}
	ids := []map[string]any{}
	for name := range tables {
		ids = append(ids, map[string]any{"namespace": []string{namespace}, "name": name})
	}
	return map[string]any{"identifiers": ids}, nil
}

func (t *entry) answer() map[string]any {
	return map[string]any{"metadata-location": t.location, "metadata": t.meta}
}

func (s *Server) load(namespace, name string) (any, error) {
	t, err := s.table(namespace, name)
	if err != nil {
		return nil, err
	}
	return t.answer(), nil
}

func (s *Server) create(ctx context.Context, namespace string, body io.Reader) (any, error) {
	var req struct {
		Name       string                        `json:"name"`
		Schema     *iceberg.Schema               `json:"schema"`
		Location   string                        `json:"location"`
		Spec       *iceberg.UnboundPartitionSpec `json:"partition-spec"`
		Order      *table.UnboundSortOrder       `json:"write-order"`
		Properties iceberg.Properties            `json:"properties"`
	}
	if err := decode(body, &req); err != nil {
		return nil, err
	}
	tables, err := s.tables(namespace)
	if err != nil {
		return nil, err
	}
	if tables[req.Name] != nil {
		return nil, fail(http.StatusConflict, "AlreadyExistsException", "table %s exists", req.Name)
	}
	if s.Place != nil {
		req.Location = s.Place(req.Location)
	}
	var spec *iceberg.PartitionSpec
	if req.Spec != nil {
		spec = &req.Spec.PartitionSpec
	}
	meta, err := table.NewMetadata(req.Schema, spec, table.UnsortedSortOrder, strings.TrimSuffix(req.Location, "/"), req.Properties)
	if err != nil {
		return nil, fail(http.StatusBadRequest, "BadRequestException", "%v", err)
	}
	t := &entry{meta: meta}
	if t.location, err = s.writeMetadata(ctx, meta, 0); err != nil {
		return nil, err
	}
	tables[req.Name] = t
	return t.answer(), nil
}

func (s *Server) register(ctx context.Context, namespace string, body io.Reader) (any, error) {
	var req struct {
		Name     string `json:"name"`
		Location string `json:"metadata-location"`
	}
	if err := decode(body, &req); err != nil {
		return nil, err
	}
	tables, err := s.tables(namespace)
	if err != nil {
		return nil, err
	}
	if tables[req.Name] != nil {
		return nil, fail(http.StatusConflict, "AlreadyExistsException", "table %s exists", req.Name)
	}
	key, err := s.Store.Key(req.Location)
	if err != nil {
		return nil, err
	}
	text, err := s.Store.Get(ctx, key)
	if err != nil {
		return nil, err
	}
	meta, err := table.ParseMetadataBytes(text)
	if err != nil {
		return nil, err
	}
	tables[req.Name] = &entry{meta: meta, location: req.Location}
	return tables[req.Name].answer(), nil
}

func (s *Server) commit(ctx context.Context, namespace, name string, body io.Reader) (any, error) {
	var req struct {
		Requirements table.Requirements `json:"requirements"`
		Updates      table.Updates      `json:"updates"`
	}
	if err := decode(body, &req); err != nil {
		return nil, err
	}
	t, err := s.table(namespace, name)
	if err != nil {
		return nil, err
	}
	for _, r := range req.Requirements {
		if err := r.Validate(t.meta); err != nil {
			return nil, fail(http.StatusConflict, "CommitFailedException", "%v", err)
		}
	}
	meta, err := table.UpdateTableMetadata(t.meta, req.Updates, t.location)
	if err != nil {
		return nil, fail(http.StatusBadRequest, "BadRequestException", "%v", err)
	}
	var version int
	file := t.location[strings.LastIndexByte(t.location, '/')+1:]
	if _, err := fmt.Sscanf(file, "%d-", &version); err != nil {
		return nil, fmt.Errorf("read the version of %s: %w", t.location, err)
	}
	next := &entry{meta: meta}
	if next.location, err = s.writeMetadata(ctx, meta, version+1); err != nil {
		return nil, err
	}
	*t = *next
	return t.answer(), nil
}

func (s *Server) writeMetadata(ctx context.Context, meta table.Metadata, version int) (string, error) {
	key, err := s.Store.Key(meta.Location())
	if err != nil {
		return "", fail(http.StatusForbidden, "ForbiddenException", "%v", err)
	}
	var text bytes.Buffer
	if err := json.NewEncoder(&text).Encode(meta); err != nil {
		return "", err
	}
	key = fmt.Sprintf("%s/metadata/%05d-%s.metadata.json", key, version, uuid.New())
	if _, err := s.Store.Put(ctx, key, text.Bytes(), objectstore.PutOptions{}); err != nil {
		return "", err
	}
	return s.Store.URI(key), nil
}

func (s *Server) drop(namespace, name string) error {
	if _, err := s.table(namespace, name); err != nil {
		return err
	}
	delete(s.namespaces[namespace], name)
	return nil
}

// Names lists the tables of a namespace.
func (s *Server) Names(namespace string) []string {
	s.mu.Lock()
	defer s.mu.Unlock()
	var names []string
	for name := range s.namespaces[namespace] {
		names = append(names, name)
	}
	slices.Sort(names)
	return names
}
