// Package gluetest is an AWS Glue Data Catalog in this process, for tests: the
// part of it that Leat and iceberg-go use, with the service's limits and its
// optimistic locking, and with faults that can be switched on.
//
// A Server is an http.Handler, and an HTTP client of the AWS SDK (aws.Config's
// HTTPClient) that does without a network, so that it works where a clock is
// simulated.
package gluetest

import (
	"encoding/json"
	"fmt"
	"io"
	"maps"
	"net/http"
	"net/http/httptest"
	"slices"
	"strconv"
	"strings"
	"sync"
)

// Fault is what happens to a call.
type Fault uint8

// The faults.
const (
	Pass     Fault = iota
	Throttle       // refused before anything is done, as too many
	Fail           // refused before anything is done, by a broken server
	Lost           // done, and the answer is lost
	Denied         // refused for want of a permission
)

// Server is the service. Its zero value has nothing in it and is ready.
type Server struct {
	// Fault decides about each call, by its name such as "UpdateTable" and its
	// number among those, from 0; nil lets all pass.
	Fault func(op string, n int) Fault
	// PageSize is how many things a page has that lists them, default 100.
	PageSize int

	mu        sync.Mutex
	databases map[string]*database
	calls     map[string]int // of all operations, the refused ones too
}

type database struct {
	input  map[string]any
	tables map[string]*tableState
}

type tableState struct {
	input      map[string]any
	version    int
	archived   []map[string]any
	partitions map[string]map[string]any // by joined values
}

// Calls is how often an operation was called.
func (s *Server) Calls(op string) int {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.calls[op]
}

// Versions is how many versions a table has had, 0 where there is none.
func (s *Server) Versions(db, table string) int {
	s.mu.Lock()
	defer s.mu.Unlock()
	if d := s.databases[db]; d != nil && d.tables[table] != nil {
		return d.tables[table].version + 1
	}
	return 0
}

// Table is a table as it was given to the service, nil where there is none.
func (s *Server) Table(db, table string) map[string]any {
	s.mu.Lock()
	defer s.mu.Unlock()
	if d := s.databases[db]; d != nil && d.tables[table] != nil {
		return d.tables[table].input
	}
	return nil
}

// Partitions are the values of a table's partitions, each joined by "/", sorted.
func (s *Server) Partitions(db, table string) []string {
	s.mu.Lock()
	defer s.mu.Unlock()
	var list []string
	if d := s.databases[db]; d != nil && d.tables[table] != nil {
		for key := range d.tables[table].partitions {
			list = append(list, strings.ReplaceAll(key, "\x00", "/"))
		}
	}
	slices.Sort(list)
	return list
}

// Partition is one partition as it was given to the service.
func (s *Server) Partition(db, table string, values ...string) map[string]any {
	s.mu.Lock()
	defer s.mu.Unlock()
	if d := s.databases[db]; d != nil && d.tables[table] != nil {
		return d.tables[table].partitions[strings.Join(values, "\x00")]
	}
	return nil
}

// Put registers a table as another program would.
func (s *Server) Put(db string, input map[string]any, partitions ...map[string]any) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.databases == nil {
		s.databases = map[string]*database{}
	}
	if s.databases[db] == nil {
		s.databases[db] = &database{input: map[string]any{"Name": db}, tables: map[string]*tableState{}}
	}
	t := &tableState{input: input, partitions: map[string]map[string]any{}}
	for _, p := range partitions {
		t.partitions[joined(p["Values"])] = p
	}
	s.databases[db].tables[input["Name"].(string)] = t
}

// Remove drops a table behind everybody's back.
func (s *Server) Remove(db, table string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	delete(s.databases[db].tables, table)
}

func joined(values any) string {
	var texts []string
	switch values := values.(type) {
	case []string:
		texts = values
	case []any:
		for _, v := range values {
			texts = append(texts, fmt.Sprint(v))
		}
	}
	return strings.Join(texts, "\x00")
}

// failure is an error of the service.
type failure struct {
	code, message string
	status        int
}

func refuse(code, format string, args ...any) *failure {
	return &failure{code, fmt.Sprintf(format, args...), http.StatusBadRequest}
}

// Do implements aws.HTTPClient.
func (s *Server) Do(r *http.Request) (resp *http.Response, err error) {
	defer func() {
		switch p := recover(); p {
		case nil:
		case http.ErrAbortHandler:
			resp, err = nil, fmt.Errorf("gluetest: %w", io.ErrUnexpectedEOF)
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
	resp.ContentLength, resp.Request = int64(w.Body.Len()), r
	return resp, nil
}

// ServeHTTP implements http.Handler.
func (s *Server) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	op := strings.TrimPrefix(r.Header.Get("X-Amz-Target"), "AWSGlue.")
	fault := Pass
	s.mu.Lock()
	if s.calls == nil {
		s.calls = map[string]int{}
	}
	n := s.calls[op]
	s.calls[op]++
	s.mu.Unlock()
	if s.Fault != nil {
		fault = s.Fault(op, n)
	}
	var in map[string]any
	if err := json.NewDecoder(r.Body).Decode(&in); err != nil {
		s.answer(w, nil, refuse("InvalidInputException", "%v", err))
		return
	}
	var out map[string]any
	var f *failure
	switch fault {
	case Throttle:
		f = refuse("ThrottlingException", "Rate exceeded")
	case Fail:
		f = &failure{"InternalServiceException", "broken", http.StatusInternalServerError}
	case Denied:
		f = refuse("AccessDeniedException", "not authorized to perform: glue:%s", op)
	default:
		s.mu.Lock()
		s.databases = orEmpty(s.databases)
		out, f = s.do(op, in)
		s.mu.Unlock()
		if fault == Lost {
			panic(http.ErrAbortHandler)
		}
	}
	s.answer(w, out, f)
}

func orEmpty(m map[string]*database) map[string]*database {
	if m == nil {
		return map[string]*database{}
	}
	return m
}

func (s *Server) answer(w http.ResponseWriter, out map[string]any, f *failure) {
	w.Header().Set("Content-Type", "application/x-amz-json-1.1")
	if f != nil {
		w.WriteHeader(f.status)
		out = map[string]any{"__type": f.code, "message": f.message}
	}
	if out == nil {
		out = map[string]any{}
	}
	_ = json.NewEncoder(w).Encode(out) // the client has gone
}

func text(v any) string { s, _ := v.(string); return s }

func object(v any) map[string]any { m, _ := v.(map[string]any); return m }

func list(v any) []any { l, _ := v.([]any); return l }

// do carries out one call; the caller holds the lock.
func (s *Server) do(op string, in map[string]any) (map[string]any, *failure) {
	switch op {
	case "CreateDatabase":
		input := object(in["DatabaseInput"])
		name := strings.ToLower(text(input["Name"]))
		if s.databases[name] != nil {
			return nil, refuse("AlreadyExistsException", "Database already exists.")
		}
		input["Name"] = name
		s.databases[name] = &database{input: input, tables: map[string]*tableState{}}
		return nil, nil
	case "GetDatabases":
		var all []any
		for _, name := range slices.Sorted(maps.Keys(s.databases)) {
			all = append(all, s.databases[name].input)
		}
		return map[string]any{"DatabaseList": all}, nil
	case "GetDatabase", "DeleteDatabase":
		name := strings.ToLower(text(in["Name"]))
		d := s.databases[name]
		if d == nil {
			return nil, refuse("EntityNotFoundException", "Database %s not found.", name)
		}
		if op == "DeleteDatabase" {
			delete(s.databases, name)
			return nil, nil
		}
		return map[string]any{"Database": d.input}, nil
	}
	d := s.databases[strings.ToLower(text(in["DatabaseName"]))]
	if d == nil {
		return nil, refuse("EntityNotFoundException", "Database %s not found.", text(in["DatabaseName"]))
	}
	return d.do(s, op, in)
}

func (d *database) describe(name string) map[string]any {
	t := d.tables[name]
	out := maps.Clone(t.input)
	out["DatabaseName"], out["VersionId"], out["CreateTime"] = d.input["Name"], strconv.Itoa(t.version), 1.7e9
	return out
}

func (d *database) do(s *Server, op string, in map[string]any) (map[string]any, *failure) {
	switch op {
	case "GetTables":
		var all []any
		for _, name := range slices.Sorted(maps.Keys(d.tables)) {
			all = append(all, d.describe(name))
		}
		page, next := s.page(all, in)
		return map[string]any{"TableList": page, "NextToken": next}, nil
	case "CreateTable", "UpdateTable":
		input := object(in["TableInput"])
		name := strings.ToLower(text(input["Name"]))
		t := d.tables[name]
		input["Name"] = name
		if op == "CreateTable" {
			if t != nil {
				return nil, refuse("AlreadyExistsException", "Table already exists.")
			}
			d.tables[name] = &tableState{input: input, partitions: map[string]map[string]any{}}
			return nil, nil
		}
		if t == nil {
			return nil, refuse("EntityNotFoundException", "Table %s not found.", name)
		}
		if v := text(in["VersionId"]); v != "" && v != strconv.Itoa(t.version) {
			return nil, refuse("ConcurrentModificationException", "Update table failed due to concurrent modifications.")
		}
		if skip, _ := in["SkipArchive"].(bool); !skip {
			t.archived = append(t.archived, t.input)
		}
		t.input, t.version = input, t.version+1
		return nil, nil
	}
	name := strings.ToLower(text(in["TableName"]))
	if name == "" {
		name = strings.ToLower(text(in["Name"]))
	}
	t := d.tables[name]
	if t == nil {
		return nil, refuse("EntityNotFoundException", "Table %s not found.", name)
	}
	switch op {
	case "GetTable":
		return map[string]any{"Table": d.describe(name)}, nil
	case "DeleteTable":
		delete(d.tables, name)
		return nil, nil
	case "GetPartitions":
		var all []any
		for _, key := range slices.Sorted(maps.Keys(t.partitions)) {
			all = append(all, t.partitions[key])
		}
		page, next := s.page(all, in)
		return map[string]any{"Partitions": page, "NextToken": next}, nil
	case "BatchCreatePartition":
		return t.createPartitions(list(in["PartitionInputList"]))
	case "BatchUpdatePartition":
		return t.updatePartitions(list(in["Entries"]))
	}
	return nil, refuse("InvalidInputException", "operation %s is not known here", op)
}

// batchLimit is the service's for partitions of one call.
const batchLimit = 100

func tooMany(n int) *failure {
	if n <= batchLimit {
		return nil
	}
	return refuse("ValidationException", "1 validation error detected: Value at 'partitionInputList' failed to satisfy constraint: Member must have length less than or equal to %d", batchLimit)
}

func partitionError(values any, code string) map[string]any {
	return map[string]any{"PartitionValues": values, "PartitionValueList": values, "ErrorDetail": map[string]any{"ErrorCode": code, "ErrorMessage": code}}
}

func (t *tableState) createPartitions(inputs []any) (map[string]any, *failure) {
	if f := tooMany(len(inputs)); f != nil {
		return nil, f
	}
	var errors []any
	for _, one := range inputs {
		p := object(one)
		key := joined(p["Values"])
		switch {
		case len(list(p["Values"])) != len(list(t.input["PartitionKeys"])):
			errors = append(errors, partitionError(p["Values"], "InvalidInputException"))
		case t.partitions[key] != nil:
			errors = append(errors, partitionError(p["Values"], "AlreadyExistsException"))
		default:
			t.partitions[key] = p
		}
	}
	return map[string]any{"Errors": errors}, nil
}

func (t *tableState) updatePartitions(entries []any) (map[string]any, *failure) {
	if f := tooMany(len(entries)); f != nil {
		return nil, f
	}
	var errors []any
	for _, one := range entries {
		e := object(one)
		key := joined(e["PartitionValueList"])
		if t.partitions[key] == nil {
			errors = append(errors, partitionError(e["PartitionValueList"], "EntityNotFoundException"))
			continue
		}
		t.partitions[key] = object(e["PartitionInput"])
	}
	return map[string]any{"Errors": errors}, nil
}

// page is the part of a list that a call asks for, and the token of the next.
func (s *Server) page(all []any, in map[string]any) ([]any, any) {
	size := s.PageSize
	if size == 0 {
		size = batchLimit
	}
	if most, ok := in["MaxResults"].(float64); ok && most > 0 {
		size = min(size, int(most))
	}
	from, _ := strconv.Atoi(text(in["NextToken"]))
	from = min(from, len(all))
	to := min(from+size, len(all))
	if to < len(all) {
		return all[from:to], strconv.Itoa(to)
	}
	return all[from:to], nil
}
