package kinesistest

import (
	"encoding/base64"
	"encoding/json"
	"fmt"
	"maps"
	"math/big"
	"slices"
	"sort"
	"strconv"
	"strings"
	"time"
)

// named is how an input names its stream.
type named struct{ StreamName, StreamARN string }

func (s *Server) stream(n named) (*stream, error) {
	name := n.StreamName
	if n.StreamARN != "" {
		_, name, _ = strings.Cut(n.StreamARN, ":stream/")
	}
	st := s.streams[name]
	if st == nil {
		return nil, fail(notFound, "Stream %s under account %s not found.", name, Account)
	}
	st.expire(s.now())
	return st, nil
}

type createStreamInput struct {
	StreamName string
	ShardCount int
}

func (s *Server) createStream(in *createStreamInput) (any, error) {
	if in.StreamName == "" || in.ShardCount < 1 {
		return nil, fail(invalidArgument, "a stream needs a name and shards")
	}
	if s.streams[in.StreamName] != nil {
		return nil, fail(inUse, "Stream %s under account %s already exists.", in.StreamName, Account)
	}
	s.created++
	s.sequence++
	st := &stream{name: in.StreamName, number: s.created, created: s.now().UTC().Truncate(time.Millisecond), retention: 24 * time.Hour}
	count := big.NewInt(int64(in.ShardCount))
	space := new(big.Int).Add(maxHashKey, big.NewInt(1))
	bound := func(i int) *big.Int {
		b := new(big.Int).Mul(space, big.NewInt(int64(i)))
		return b.Div(b, count)
	}
	for i := range in.ShardCount {
		st.addShard(bound(i), new(big.Int).Sub(bound(i+1), big.NewInt(1)), s.sequence)
	}
	s.streams[in.StreamName] = st
	return nil, nil
}

func (s *Server) deleteStream(in *named) (any, error) {
	st, err := s.stream(*in)
	if err == nil {
		delete(s.streams, st.name)
		s.notify()
	}
	return nil, err
}

func (s *Server) listStreams(*struct{}) (any, error) {
	return map[string]any{"StreamNames": slices.Sorted(maps.Keys(s.streams)), "HasMoreStreams": false}, nil
}

func (s *Server) describeStreamSummary(in *named) (any, error) {
	st, err := s.stream(*in)
	if err != nil {
		return nil, err
	}
	return map[string]any{"StreamDescriptionSummary": map[string]any{
		"StreamName": st.name, "StreamARN": st.arn(), "StreamStatus": "ACTIVE", "EncryptionType": "NONE",
		"StreamCreationTimestamp": json.RawMessage(seconds(st.created)), "RetentionPeriodHours": int(st.retention / time.Hour),
		"OpenShardCount": len(st.open()), "EnhancedMonitoring": []any{map[string]any{"ShardLevelMetrics": []string{}}},
		"MaxRecordSizeInKiB": max(st.maxRecord, 1<<20) >> 10,
		"StreamModeDetails":  map[string]string{"StreamMode": "PROVISIONED"},
	}}, nil
}

type retentionInput struct {
	named
	RetentionPeriodHours int
}

func (s *Server) setRetention(in *retentionInput) (any, error) {
	st, err := s.stream(in.named)
	if err != nil {
		return nil, err
	}
	if in.RetentionPeriodHours < 24 || in.RetentionPeriodHours > 8760 {
		return nil, fail(invalidArgument, "a retention period has 24 to 8760 hours")
	}
	st.retention = time.Duration(in.RetentionPeriodHours) * time.Hour
	return nil, nil
}

type listShardsInput struct {
	named
	NextToken             string
	MaxResults            int
	ExclusiveStartShardID string `json:"ExclusiveStartShardId"`
	ShardFilter           *struct {
		Type      string
		ShardID   string `json:"ShardId"`
		Timestamp float64
	}
}

func (s *Server) listShards(in *listShardsInput) (any, error) {
	if in.NextToken != "" {
		if in.StreamName != "" || in.StreamARN != "" || in.ShardFilter != nil {
			return nil, fail(invalidArgument, "NextToken and StreamName cannot be provided together.")
		}
		token, err := base64.StdEncoding.DecodeString(in.NextToken)
		limit := in.MaxResults
		if err != nil || json.Unmarshal(token, in) != nil {
			return nil, fail("ExpiredNextTokenException", "the token is none of this server's")
		}
		in.NextToken = ""
		if limit > 0 {
			in.MaxResults = limit
		}
	}
	st, err := s.stream(in.named)
	if err != nil {
		return nil, err
	}
	limit := in.MaxResults
	if limit <= 0 || limit > 1000 {
		limit = 1000
	}
	list := []any{}
	for _, sh := range st.shards {
		if sh.id <= in.ExclusiveStartShardID || !s.passes(st, sh, in) {
			continue
		}
		if len(list) == limit {
			in.ExclusiveStartShardID = list[limit-1].(map[string]any)["ShardId"].(string)
			token, err := json.Marshal(in)
			return map[string]any{"Shards": list, "NextToken": base64.StdEncoding.EncodeToString(token)}, err
		}
		list = append(list, sh.describe(st))
	}
	return map[string]any{"Shards": list}, nil
}

func (s *Server) passes(st *stream, sh *shard, in *listShardsInput) bool {
	f := in.ShardFilter
	if f == nil {
		return true
	}
	at := time.UnixMilli(int64(f.Timestamp * 1000))
	opened := st.created
	for _, id := range sh.parents {
		if p := st.shard(id); p != nil && p.closedAt.After(opened) {
			opened = p.closedAt
		}
	}
	openAt := func(t time.Time) bool { return !opened.After(t) && (sh.end < 0 || !sh.closedAt.Before(t)) }
	switch f.Type {
	case "AT_LATEST":
		return sh.end < 0
	case "AT_TRIM_HORIZON":
		return openAt(s.now().Add(-st.retention)) || len(sh.parents) == 0
	case "AT_TIMESTAMP":
		return openAt(at)
	case "FROM_TIMESTAMP":
		return sh.end < 0 || !sh.closedAt.Before(at)
	case "AFTER_SHARD_ID":
		return sh.id > f.ShardID
	}
	return true
}

func (sh *shard) hashKeyRange() map[string]string {
	return map[string]string{"StartingHashKey": sh.low.String(), "EndingHashKey": sh.high.String()}
}

func (sh *shard) describe(st *stream) any {
	sequences := map[string]string{"StartingSequenceNumber": st.sequenceText(sh.start)}
	if sh.end >= 0 {
		sequences["EndingSequenceNumber"] = st.sequenceText(sh.end)
	}
	out := map[string]any{"ShardId": sh.id, "HashKeyRange": sh.hashKeyRange(), "SequenceNumberRange": sequences}
	for i, p := range sh.parents {
		out[[]string{"ParentShardId", "AdjacentParentShardId"}[i]] = p
	}
	return out
}

type iteratorInput struct {
	named
	ShardID                string `json:"ShardId"`
	ShardIteratorType      string
	StartingSequenceNumber string
	Timestamp              *float64
}

// iterator names the record before which, or the time at which, it stands.
type iterator struct {
	Stream, Shard string
	Number        int   // of the stream
	After         int64 // sequence number
	Generation    int
	Issued        int64 // ms
}

func (it iterator) String() string {
	b, err := json.Marshal(it)
	if err != nil {
		panic(err) // a struct of texts and numbers
	}
	return base64.StdEncoding.EncodeToString(b)
}

func (s *Server) getShardIterator(in *iteratorInput) (any, error) {
	st, err := s.stream(in.named)
	if err != nil {
		return nil, err
	}
	sh := st.shard(in.ShardID)
	if sh == nil {
		return nil, fail(notFound, "Shard %s in stream %s under account %s does not exist", in.ShardID, st.name, Account)
	}
	after, err := s.place(st, sh, in.ShardIteratorType, in.StartingSequenceNumber, in.Timestamp)
	if err != nil {
		return nil, err
	}
	it := iterator{Stream: st.name, Number: st.number, Shard: sh.id, After: after, Generation: s.iterators, Issued: s.now().UnixMilli()}
	return map[string]string{"ShardIterator": it.String()}, nil
}

// place is the sequence number behind which reading begins.
func (s *Server) place(st *stream, sh *shard, kind, sequence string, timestamp *float64) (after int64, err error) {
	switch kind {
	case "TRIM_HORIZON":
		return sh.start - 1, nil
	case "LATEST":
		return s.sequence, nil
	case "AT_SEQUENCE_NUMBER", "AFTER_SEQUENCE_NUMBER":
		n, ok := st.sequenceNumber(sequence)
		if !ok || n < sh.start || n > s.sequence {
			return 0, fail(invalidArgument, "StartingSequenceNumber %s used in GetShardIterator on shard %s in stream %s under account %s is invalid because it did not come from this stream.",
				sequence, sh.id, st.name, Account)
		}
		if kind == "AT_SEQUENCE_NUMBER" {
			n--
		}
		return n, nil
	case "AT_TIMESTAMP":
		if timestamp == nil {
			return 0, fail(invalidArgument, "Must specify timestampInMillis parameter for iterator of type AT_TIMESTAMP.")
		}
		at := time.UnixMilli(int64(*timestamp * 1000))
		if at.After(s.now()) {
			return 0, fail(invalidArgument, "The timestampInMillis parameter cannot be greater than the currentTimestampInMillis.")
		}
		for _, r := range sh.records {
			if !r.arrived.Before(at) {
				return r.sequence - 1, nil
			}
		}
		return s.sequence, nil
	}
	return 0, fail("ValidationException", "unknown iterator type %q", kind)
}

const (
	maxRecords    = 10_000
	maxBytes      = 10 << 20
	iteratorLife  = 5 * time.Minute
	shardCalls    = 5
	shardBytes    = 2e6
	maxPutRecords = 500
	maxPutBytes   = 10 << 20 // of a call of PutRecords, partition keys included
)

type getRecordsInput struct {
	ShardIterator string
	Limit         int
}

// recordsPage is the answer of GetRecords, or an event of SubscribeToShard.
type recordsPage struct {
	event    bool
	records  []*record
	next     string // iterator, or sequence number
	end      bool   // of the shard
	behind   int64
	children []any
}

func (p *recordsPage) encode() []byte {
	size := 256 + 512*len(p.children)
	for _, r := range p.records {
		size += len(r.encoded) + 1
	}
	b := append(make([]byte, 0, size), `{"Records":[`...)
	for i, r := range p.records {
		if i > 0 {
			b = append(b, ',')
		}
		b = append(b, r.encoded...)
	}
	b = append(b, `],"MillisBehindLatest":`...)
	b = strconv.AppendInt(b, p.behind, 10)
	next := "NextShardIterator"
	if p.event {
		next = "ContinuationSequenceNumber"
	}
	if p.next != "" {
		b = fmt.Appendf(b, `,%q:%q`, next, p.next)
	} else {
		children, err := json.Marshal(p.children)
		if err != nil {
			panic(err) // maps of texts
		}
		b = fmt.Appendf(b, `,%q:null,"ChildShards":%s`, next, children)
	}
	return append(b, '}')
}

func (s *Server) getRecords(in *getRecordsInput) (any, error) {
	var it iterator
	text, err := base64.StdEncoding.DecodeString(in.ShardIterator)
	if err != nil || json.Unmarshal(text, &it) != nil {
		return nil, fail(invalidArgument, "Invalid ShardIterator.")
	}
	st, err := s.stream(named{StreamName: it.Stream})
	if err != nil {
		return nil, err
	}
	now := s.now()
	if it.Generation != s.iterators || now.Sub(time.UnixMilli(it.Issued)) > iteratorLife {
		return nil, fail(expiredIterator, "Iterator expired.")
	}
	sh := st.shard(it.Shard)
	if sh == nil || st.number != it.Number {
		return nil, fail(notFound, "Shard %s in stream %s under account %s does not exist", it.Shard, st.name, Account)
	}
	if s.enforce {
		sh.calls = slices.DeleteFunc(sh.calls, func(t time.Time) bool { return now.Sub(t) >= time.Second })
		if len(sh.calls) >= shardCalls || now.Before(sh.heavy) {
			return nil, fail(throughput, "Rate exceeded for shard %s in stream %s under account %s.", sh.id, st.name, Account)
		}
		sh.calls = append(sh.calls, now)
	}
	limit := in.Limit
	if limit <= 0 || limit > maxRecords {
		limit = maxRecords
	}
	page, size := s.page(st, sh, it.After, limit, maxBytes)
	if s.enforce {
		sh.heavy = now.Add(time.Duration(float64(size) / shardBytes * float64(time.Second)))
	}
	if !page.end {
		if n := len(page.records); n > 0 {
			it.After = page.records[n-1].sequence
		}
		it.Issued = now.UnixMilli()
		page.next = it.String()
	}
	return page, nil
}

// page is the records behind a sequence number, and how many bytes they have.
func (s *Server) page(st *stream, sh *shard, after int64, limit, bytes int) (page *recordsPage, size int) {
	from := sort.Search(len(sh.records), func(i int) bool { return sh.records[i].sequence > after })
	to := from
	for to < len(sh.records) && to-from < limit {
		if size += sh.records[to].size; size > bytes && to > from {
			break
		}
		to++
	}
	page = &recordsPage{records: sh.records[from:to:to]}
	if to < len(sh.records) {
		page.behind = max(1, s.now().Sub(sh.records[to].arrived).Milliseconds())
	}
	if page.end = to == len(sh.records) && sh.end >= 0; page.end {
		for _, child := range st.shards {
			if slices.Contains(child.parents, sh.id) {
				page.children = append(page.children, map[string]any{"ShardId": child.id, "ParentShards": child.parents, "HashKeyRange": child.hashKeyRange()})
			}
		}
	}
	return page, size
}

type putInput struct {
	named
	PartitionKey    string
	ExplicitHashKey string
	Data            []byte
}

func (s *Server) putRecord(in *putInput) (any, error) {
	st, err := s.stream(in.named)
	if err != nil {
		return nil, err
	}
	sh, sequence, err := s.put(st, in.PartitionKey, in.ExplicitHashKey, in.Data)
	if err != nil {
		return nil, err
	}
	return map[string]string{"ShardId": sh.id, "SequenceNumber": sequence}, nil
}

type putRecordsInput struct {
	named
	Records []putInput
}

func (s *Server) putRecords(in *putRecordsInput) (any, error) {
	st, err := s.stream(in.named)
	if err != nil {
		return nil, err
	}
	if len(in.Records) == 0 || len(in.Records) > maxPutRecords {
		return nil, fail("ValidationException", "a call has 1 to %d records", maxPutRecords)
	}
	size := 0
	for _, r := range in.Records {
		if n := len(r.Data) + len(r.PartitionKey); n > max(st.maxRecord, 1<<20) {
			return nil, fail("ValidationException", "a record of %d bytes is too large", n)
		}
		size += len(r.Data) + len(r.PartitionKey)
	}
	if size > maxPutBytes {
		return nil, fail(invalidArgument, "a call of %d bytes is too large", size)
	}
	results := make([]map[string]string, 0, len(in.Records))
	failed := 0
	for _, r := range in.Records {
		if s.refuse != nil {
			if code := s.refuse(r.PartitionKey); code != "" {
				failed++
				results = append(results, map[string]string{"ErrorCode": code, "ErrorMessage": "refused"})
				continue
			}
		}
		sh, sequence, err := s.put(st, r.PartitionKey, r.ExplicitHashKey, r.Data)
		if err != nil {
			return nil, err
		}
		results = append(results, map[string]string{"ShardId": sh.id, "SequenceNumber": sequence})
	}
	return map[string]any{"FailedRecordCount": failed, "Records": results}, nil
}

type splitInput struct {
	named
	ShardToSplit       string
	NewStartingHashKey string
}

func (s *Server) splitShard(in *splitInput) (any, error) {
	st, err := s.stream(in.named)
	if err != nil {
		return nil, err
	}
	from, ok := new(big.Int).SetString(in.NewStartingHashKey, 10)
	if !ok {
		return nil, fail(invalidArgument, "Invalid NewStartingHashKey.")
	}
	return nil, s.split(st, st.shard(in.ShardToSplit), from)
}

type mergeInput struct {
	named
	ShardToMerge         string
	AdjacentShardToMerge string
}

func (s *Server) mergeShards(in *mergeInput) (any, error) {
	st, err := s.stream(in.named)
	if err != nil {
		return nil, err
	}
	return nil, s.merge(st, st.shard(in.ShardToMerge), st.shard(in.AdjacentShardToMerge))
}
