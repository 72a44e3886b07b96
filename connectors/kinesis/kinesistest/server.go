// Package kinesistest is a Kinesis Data Streams in memory, for tests: an HTTP
// server on 127.0.0.1 that speaks the JSON 1.1 protocol, with faults that can be
// switched on.
//
// It knows what a consumer and a simple producer need: CreateStream,
// DeleteStream, DescribeStreamSummary, ListStreams, ListShards (pages, filters),
// GetShardIterator, GetRecords, PutRecord, PutRecords, SplitShard, MergeShards,
// IncreaseStreamRetentionPeriod and DecreaseStreamRetentionPeriod, and for
// enhanced fan-out RegisterStreamConsumer, DescribeStreamConsumer,
// DeregisterStreamConsumer and SubscribeToShard. Changes are made at once;
// signatures are not checked.
package kinesistest

import (
	"encoding/json"
	"encoding/pem"
	"errors"
	"fmt"
	"io"
	"maps"
	"net/http"
	"net/http/httptest"
	"strconv"
	"strings"
	"sync"
	"time"
)

// Region and Account are where the streams say they are.
const (
	Region  = "eu-west-1"
	Account = "123456789012"
)

// Server is a running fake. Its methods may be called by several goroutines.
type Server struct {
	http *httptest.Server

	mu        sync.Mutex
	now       func() time.Time
	streams   map[string]*stream
	created   int // streams so far
	sequence  int64
	faults    []*Fault
	calls     map[string]int
	iterators int // generation: those of older ones are expired
	enforce   bool
	refuse    func(partitionKey string) string

	subscribed int           // subscriptions
	changed    chan struct{} // closed when a shard they may be of has changed
	life       time.Duration // of a subscription
	creating   int           // how often a new consumer is described before it is active
	protocols  map[string]int
}

// New starts a fake. Close ends it.
func New() *Server {
	s := newServer()
	s.http.Start()
	return s
}

// NewTLS starts a fake that speaks TLS, and HTTP/2 if the client wants.
func NewTLS() *Server {
	s := newServer()
	s.http.EnableHTTP2 = true
	s.http.StartTLS()
	return s
}

func newServer() *Server {
	s := &Server{
		now: time.Now, streams: map[string]*stream{}, calls: map[string]int{}, changed: make(chan struct{}),
		life: subscriptionLife, protocols: map[string]int{},
	}
	s.http = httptest.NewUnstartedServer(http.HandlerFunc(s.serve))
	return s
}

// Certificate is whom to trust to trust a server with TLS, in PEM.
func (s *Server) Certificate() []byte {
	return pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: s.http.Certificate().Raw})
}

// Protocols is how many calls came by each version of HTTP.
func (s *Server) Protocols() map[string]int {
	s.mu.Lock()
	defer s.mu.Unlock()
	return maps.Clone(s.protocols)
}

// URL is the endpoint.
func (s *Server) URL() string { return s.http.URL }

// Close ends the server; calls under way are cut off.
func (s *Server) Close() {
	s.http.CloseClientConnections()
	s.http.Close()
}

// SetClock replaces the wall clock, by which records arrive and expire.
func (s *Server) SetClock(now func() time.Time) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.now = now
}

// EnforceLimits makes the server answer with
// ProvisionedThroughputExceededException what goes beyond the limits of a
// shard: five GetRecords a second, and two MB a second.
func (s *Server) EnforceLimits(on bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.enforce = on
}

// RefuseRecords makes PutRecords ask for each of its records whether to refuse it,
// by an error code such as ProvisionedThroughputExceededException; nil takes them
// all.
func (s *Server) RefuseRecords(refuse func(partitionKey string) (code string)) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.refuse = refuse
}

// ExpireIterators makes all iterators that were handed out so far expired.
func (s *Server) ExpireIterators() {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.iterators++
}

// Calls is how often an operation was called, with whatever outcome.
func (s *Server) Calls(operation string) int {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.calls[operation]
}

// apiError is an error of the protocol.
type apiError struct {
	status  int
	code    string
	message string
}

func (e *apiError) Error() string { return e.code + ": " + e.message }

func fail(code, format string, args ...any) error {
	return &apiError{status: http.StatusBadRequest, code: code, message: fmt.Sprintf(format, args...)}
}

const (
	notFound        = "ResourceNotFoundException"
	inUse           = "ResourceInUseException"
	invalidArgument = "InvalidArgumentException"
	expiredIterator = "ExpiredIteratorException"
	throughput      = "ProvisionedThroughputExceededException"
)

// maxRequest bounds a request: 500 records of a PutRecords call, in base64.
const maxRequest = 64 << 20

type operation func(s *Server, body []byte) (any, error)

var operations = map[string]operation{
	"CreateStream":                  call((*Server).createStream),
	"DeleteStream":                  call((*Server).deleteStream),
	"DescribeStreamSummary":         call((*Server).describeStreamSummary),
	"ListStreams":                   call((*Server).listStreams),
	"ListShards":                    call((*Server).listShards),
	"GetShardIterator":              call((*Server).getShardIterator),
	"GetRecords":                    call((*Server).getRecords),
	"PutRecord":                     call((*Server).putRecord),
	"PutRecords":                    call((*Server).putRecords),
	"SplitShard":                    call((*Server).splitShard),
	"MergeShards":                   call((*Server).mergeShards),
	"IncreaseStreamRetentionPeriod": call((*Server).setRetention),
	"DecreaseStreamRetentionPeriod": call((*Server).setRetention),
	"RegisterStreamConsumer":        call((*Server).registerConsumer),
	"DescribeStreamConsumer":        call((*Server).describeConsumer),
	"DeregisterStreamConsumer":      call((*Server).deregisterConsumer),
	"SubscribeToShard":              call((*Server).subscribe),
}

// call makes an operation of a method with a typed input.
func call[In any](method func(*Server, *In) (any, error)) operation {
	return func(s *Server, body []byte) (any, error) {
		var in In
		if err := json.Unmarshal(body, &in); err != nil {
			return nil, fail("SerializationException", "%v", err)
		}
		return method(s, &in)
	}
}

func (s *Server) serve(w http.ResponseWriter, r *http.Request) {
	body, err := io.ReadAll(http.MaxBytesReader(w, r.Body, maxRequest))
	if err != nil {
		http.Error(w, err.Error(), http.StatusRequestEntityTooLarge)
		return
	}
	name := strings.TrimPrefix(r.Header.Get("X-Amz-Target"), "Kinesis_20131202.")
	out, err := s.answer(r, name, body)
	header := w.Header()
	header.Set("Content-Type", "application/x-amz-json-1.1")
	s.mu.Lock()
	header.Set("Date", s.now().UTC().Format(http.TimeFormat))
	s.mu.Unlock()
	if err != nil {
		e, ok := errors.AsType[*apiError](err)
		if !ok {
			panic(http.ErrAbortHandler) // the connection is cut
		}
		w.WriteHeader(e.status)
		out = map[string]string{"__type": e.code, "message": e.message}
	}
	if sub, ok := out.(*subscriber); ok {
		s.push(w, r, body, sub)
		return
	}
	if page, ok := out.(*recordsPage); ok {
		body := page.encode()
		header.Set("Content-Length", strconv.Itoa(len(body)))
		_, _ = w.Write(body) // the client may have gone
		return
	}
	if out == nil {
		out = struct{}{}
	}
	_ = json.NewEncoder(w).Encode(out) // the client may have gone
}

func (s *Server) answer(r *http.Request, name string, body []byte) (any, error) {
	op, ok := operations[name]
	if !ok {
		return nil, fail("UnknownOperationException", "%s", name)
	}
	s.mu.Lock()
	s.calls[name]++
	s.protocols[r.Proto]++
	s.mu.Unlock()
	if err := s.fault(r.Context(), name, body); err != nil {
		return nil, err
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	return op(s, body)
}
