// Package registrytest is a schema registry in the process, for tests.
package registrytest

import (
	"encoding/json"
	"fmt"
	"net/http"
	"net/http/httptest"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"testing"

	"github.com/leatdb/leat/connectors/format/schemaregistry"
)

// Registry keeps schemas in memory and answers as Confluent's does, without
// checking whether a schema goes with the subject's others.
type Registry struct {
	URL string
	// Requests counts what it was asked.
	Requests atomic.Int64
	// Away makes every answer a 503.
	Away atomic.Bool
	// Username and Password, or the bearer token Token, are asked for where they are
	// set, before the first request.
	Username, Password, Token string

	mu       sync.Mutex
	schemas  []schemaregistry.Schema // by id − 1
	subjects map[string][]int        // ids, by version − 1
}

// Start runs a registry until the test ends.
func Start(tb testing.TB) *Registry {
	tb.Helper()
	r := &Registry{subjects: map[string][]int{}}
	mux := http.NewServeMux()
	mux.HandleFunc("GET /schemas/ids/{id}", r.byID)
	mux.HandleFunc("GET /subjects/{subject}/versions/{version}", r.version)
	mux.HandleFunc("POST /subjects/{subject}/versions", r.register)
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, req *http.Request) {
		r.Requests.Add(1)
		if r.Away.Load() {
			http.Error(w, "no leader", http.StatusServiceUnavailable)
			return
		}
		token, _ := strings.CutPrefix(req.Header.Get("Authorization"), "Bearer ")
		if user, password, _ := req.BasicAuth(); user != r.Username || password != r.Password || r.Token != "" && token != r.Token {
			problem(w, http.StatusUnauthorized, 401, "Unauthorized")
			return
		}
		mux.ServeHTTP(w, req)
	}))
	tb.Cleanup(server.Close)
	r.URL = server.URL
	return r
}

// Add registers a schema and returns its id.
func (r *Registry) Add(subject string, s schemaregistry.Schema) (id int) {
	r.mu.Lock()
	defer r.mu.Unlock()
	for i, known := range r.schemas {
		if known.Type == s.Type && known.Text == s.Text && fmt.Sprint(known.References) == fmt.Sprint(s.References) {
			id = i + 1
		}
	}
	if id == 0 {
		r.schemas = append(r.schemas, s)
		id = len(r.schemas)
	}
	ids := r.subjects[subject]
	if len(ids) == 0 || ids[len(ids)-1] != id {
		r.subjects[subject] = append(ids, id)
	}
	return id
}

type text struct {
	Subject    string                     `json:"subject,omitempty"`
	Version    int                        `json:"version,omitempty"`
	ID         int                        `json:"id,omitempty"`
	SchemaType string                     `json:"schemaType,omitempty"`
	Schema     string                     `json:"schema,omitempty"`
	References []schemaregistry.Reference `json:"references,omitempty"`
}

func (r *Registry) text(id int) text {
	s := r.schemas[id-1]
	t := text{SchemaType: s.Type, Schema: s.Text, References: s.References}
	if t.SchemaType == "AVRO" {
		t.SchemaType = ""
	}
	return t
}

func (r *Registry) byID(w http.ResponseWriter, req *http.Request) {
	r.mu.Lock()
	defer r.mu.Unlock()
	id, err := strconv.Atoi(req.PathValue("id"))
	if err != nil || id < 1 || id > len(r.schemas) {
		problem(w, http.StatusNotFound, 40403, "Schema not found")
		return
	}
	answer(w, http.StatusOK, r.text(id))
}

func (r *Registry) version(w http.ResponseWriter, req *http.Request) {
	r.mu.Lock()
	defer r.mu.Unlock()
	subject := req.PathValue("subject")
	ids := r.subjects[subject]
	version, err := strconv.Atoi(req.PathValue("version"))
	if req.PathValue("version") == "latest" {
		version, err = len(ids), nil
	}
	switch {
	case len(ids) == 0:
		problem(w, http.StatusNotFound, 40401, "Subject '"+subject+"' not found.")
	case err != nil || version < 1 || version > len(ids):
		problem(w, http.StatusNotFound, 40402, "Version not found.")
	default:
		t := r.text(ids[version-1])
		t.Subject, t.Version, t.ID = subject, version, ids[version-1]
		answer(w, http.StatusOK, t)
	}
}

func (r *Registry) register(w http.ResponseWriter, req *http.Request) {
	var t text
	if err := json.NewDecoder(req.Body).Decode(&t); err != nil || t.Schema == "" {
		problem(w, http.StatusUnprocessableEntity, 42201, "Invalid schema")
		return
	}
	if t.SchemaType == "" {
		t.SchemaType = "AVRO"
	}
	id := r.Add(req.PathValue("subject"), schemaregistry.Schema{Type: t.SchemaType, Text: t.Schema, References: t.References})
	answer(w, http.StatusOK, text{ID: id})
}

func problem(w http.ResponseWriter, status, code int, message string) {
	answer(w, status, map[string]any{"error_code": code, "message": message})
}

func answer(w http.ResponseWriter, status int, body any) {
	w.Header().Set("Content-Type", "application/vnd.schemaregistry.v1+json")
	w.WriteHeader(status)
	if err := json.NewEncoder(w).Encode(body); err != nil {
		panic(err) // of a struct; the connection's end is no error here
	}
}
