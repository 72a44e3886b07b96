package kinesis_test

import (
	"bytes"
	"encoding/json"
	"math"
	"strings"
	"testing"
	"unicode/utf8"

	"github.com/leatdb/leat/connectors/kinesis"
)

// slowPage reads an answer of GetRecords with encoding/json.
func slowPage(body []byte) (records []kinesis.RecordOfPage, next string, behind int64, ok bool) {
	var out struct {
		Records []struct {
			Data, PartitionKey, SequenceNumber *string
			ApproximateArrivalTimestamp        *float64
		}
		NextShardIterator  *string
		MillisBehindLatest *float64
		ChildShards        []struct {
			ShardID string `json:"ShardId"`
		}
	}
	behind = -1
	d := json.NewDecoder(bytes.NewReader(body))
	if d.Decode(&out) != nil {
		return nil, "", 0, false
	}
	text := func(s *string) string {
		if s == nil {
			return ""
		}
		return *s
	}
	for _, r := range out.Records {
		if text(r.SequenceNumber) == "" {
			return nil, "", 0, false
		}
		rec := kinesis.RecordOfPage{Data: text(r.Data), Key: text(r.PartitionKey), Sequence: text(r.SequenceNumber)}
		if r.ApproximateArrivalTimestamp != nil {
			rec.Arrived = max(0, int64(math.Round(*r.ApproximateArrivalTimestamp*1e6)))
		}
		records = append(records, rec)
	}
	if out.MillisBehindLatest != nil {
		behind = int64(*out.MillisBehindLatest)
	}
	return records, text(out.NextShardIterator), behind, true
}

var pages = []string{
	`{"Records":[],"MillisBehindLatest":0}`,
	`{"Records":[{"SequenceNumber":"495","ApproximateArrivalTimestamp":1700000000.123,"Data":"eyJ4IjoxfQ==","PartitionKey":"k"}],"NextShardIterator":"AAA","MillisBehindLatest":17}`,
	`{"NextShardIterator":null,"ChildShards":[{"ShardId":"shardId-1","ParentShards":["shardId-0"],"HashKeyRange":{"StartingHashKey":"0","EndingHashKey":"9"}}],"Records":[]}`,
	` { "Records" : [ { "PartitionKey" : "a\"b\\\u00e9\ud83d\ude00" , "Data" : "AAAA\/w==", "SequenceNumber":"1", "EncryptionType":"KMS", "ApproximateArrivalTimestamp" : 1.7E9 } , {"SequenceNumber":"2","Data":null,"PartitionKey":null} ] , "Unknown":{"a":[1,"]}"]} } `,
	`{"Records":[{"SequenceNumber":"1","ApproximateArrivalTimestamp":1700000000}],"MillisBehindLatest":null}`,
	`{"Records":[{"SequenceNumber":"1","ApproximateArrivalTimestamp":1700000000.1234567}]}`,
	`{"Records":[{"SequenceNumber":"1","ApproximateArrivalTimestamp":17000000001}]}`,
	`{"Records":null}`,
	`{}`,
}

func checkPage(t *testing.T, body []byte) {
	t.Helper()
	records, next, behind, _, err := kinesis.ScanPage(body)
	want, wantNext, wantBehind, ok := slowPage(body)
	switch {
	case !ok: // encoding/json is stricter about what nobody looks at
		return
	case err != nil && (strings.Contains(err.Error(), "is no number that fits") || strings.Contains(err.Error(), "is no time")):
		return
	case err != nil:
		t.Fatalf("%s: %v", body, err)
	}
	if next != wantNext || behind != wantBehind || len(records) != len(want) {
		t.Fatalf("%d records, next %q, behind %d; want %d, %q, %d", len(records), next, behind, len(want), wantNext, wantBehind)
	}
	for i, r := range records {
		w := want[i]
		if d := r.Arrived - w.Arrived; d < -1 || d > 1 {
			t.Errorf("record %d arrived at %d, want %d", i, r.Arrived, w.Arrived)
		}
		r.Arrived = w.Arrived
		if r != w {
			t.Errorf("record %d: %+v, want %+v", i, r, w)
		}
	}
}

func TestPage(t *testing.T) {
	for _, body := range pages {
		if _, _, _, _, err := kinesis.ScanPage([]byte(body)); err != nil {
			t.Errorf("%s: %v", body, err)
		}
		checkPage(t, []byte(body))
	}
	_, _, _, children, err := kinesis.ScanPage([]byte(pages[2]))
	if err != nil || len(children) != 1 || children[0] != "shardId-1" {
		t.Errorf("children %q, err=%v", children, err)
	}
	for _, body := range []string{
		``, `[]`, `{"Records":[}`, `{"Records":[{"Data":"x"}]}`, `{"Records":[{"SequenceNumber":"1"`, `{"Records":[{"SequenceNumber":1}]}`,
		`{"Records":[{"SequenceNumber":"1","ApproximateArrivalTimestamp":1e300}]}`, `{"NextShardIterator":"`, `{"a":tru}`,
		`{"MillisBehindLatest":"x"}`, `{"ChildShards":7}`, `{"Records":[{"SequenceNumber":"1" "Data":""}]}`,
	} {
		if _, _, _, _, err := kinesis.ScanPage([]byte(body)); err == nil {
			t.Errorf("%s was accepted", body)
		}
	}
}

func FuzzPage(f *testing.F) {
	for _, body := range pages {
		f.Add([]byte(body))
	}
	f.Fuzz(func(t *testing.T, body []byte) {
		// Names in another case are the same to encoding/json only, and of members
		// that repeat it merges some.
		lower := strings.ToLower(string(body))
		for _, name := range []string{"records", "data", "partitionkey", "sequencenumber", "approximatearrivaltimestamp", "nextsharditerator", "millisbehindlatest"} {
			if n := strings.Count(lower, name); n > 1 {
				return
			}
		}
		for _, name := range []string{"Records", "Data", "PartitionKey", "SequenceNumber", "ApproximateArrivalTimestamp", "NextShardIterator", "MillisBehindLatest"} {
			if strings.Contains(lower, strings.ToLower(name)) && !strings.Contains(string(body), name) {
				return
			}
		}
		if bytes.Contains(body, []byte(`\`)) || !json.Valid(body) || !utf8.Valid(body) {
			// Escaped names are not compared; that nothing panics is.
			_, _, _, _, _ = kinesis.ScanPage(body)
			return
		}
		checkPage(t, body)
	})
}
