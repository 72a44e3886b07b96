package kinesis

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"math"
	"net/http"
	"strconv"

	"github.com/aws/smithy-go"
	smithyhttp "github.com/aws/smithy-go/transport/http"

	"github.com/leatdb/leat/internal/mysqljson"
)

// maxPageBytes bounds an answer of GetRecords: 10 MiB of data in base64 with
// everything around it, and room for servers that send more.
const maxPageBytes = 64 << 20

// page is one answer of GetRecords, or one event of SubscribeToShard, as it came:
// where its records lie in the body. The SDK's own decoder makes several objects
// of each record.
type page struct {
	body     []byte
	records  []rawRecord
	next     string // the iterator, or the sequence number, to go on with; empty at the end of a closed shard
	behind   int64  // ms that the last record is behind the shard's newest; −1 if unknown
	children []childShard

	taken   int   // records that were handed out
	through int64 // µs since 1970: what arrived before has been read, once this page is
	seen    int64 // the same, to show: it may be too late by what the page was under way
}

// rawRecord is a record of a page.
type rawRecord struct {
	data, key, sequence span
	arrived             int64 // µs since 1970, 0 if unknown
}

// span is a part of a page's body.
type span struct{ start, end int32 }

func (p *page) at(s span) []byte { return p.body[s.start:s.end] }

// childShard is what a closed shard says of one that follows it.
type childShard struct {
	ShardID      string   `json:"ShardId"`
	ParentShards []string `json:"ParentShards"`
	HashKeyRange struct {
		StartingHashKey, EndingHashKey string
	} `json:"HashKeyRange"`
}

// pageKey is how a call of GetRecords hands its page to the protocol.
type pageKey struct{}

// pageProtocol is the SDK's protocol with a decoder of its own for GetRecords.
type pageProtocol struct{ smithyhttp.ClientProtocol }

func (p pageProtocol) DeserializeResponse(ctx context.Context, schema *smithy.OperationSchema, types *smithy.TypeRegistry, resp *smithyhttp.Response, out smithy.Deserializable) error {
	pg, ok := ctx.Value(pageKey{}).(*page)
	if !ok || resp.StatusCode != http.StatusOK {
		return p.ClientProtocol.DeserializeResponse(ctx, schema, types, resp, out)
	}
	err := pg.read(resp.Body, resp.ContentLength)
	if err == nil {
		err = pg.scan()
	}
	if err != nil {
		return &smithy.DeserializationError{Err: err}
	}
	return nil
}

func (p *page) reset() {
	*p = page{body: p.body[:0], records: p.records[:0], behind: -1}
}

// read takes the body.
func (p *page) read(r io.Reader, length int64) error {
	p.reset()
	if length > maxPageBytes {
		return fmt.Errorf("an answer of %d bytes is larger than %d", length, maxPageBytes)
	}
	if need := int(max(length, 4096)); cap(p.body) <= need {
		p.body = make([]byte, 0, need+1) // one more, so that the end is seen without growing
	}
	for {
		if len(p.body) == cap(p.body) {
			p.body = append(p.body, 0)[:len(p.body)]
		}
		n, err := r.Read(p.body[len(p.body):cap(p.body)])
		p.body = p.body[:len(p.body)+n]
		switch {
		case len(p.body) > maxPageBytes:
			return fmt.Errorf("an answer is larger than %d bytes", maxPageBytes)
		case err == io.EOF:
			return nil
		case err != nil:
			return err
		}
	}
}

// scan finds the records in the body, which is JSON as GetRecords and the event of
// SubscribeToShard are documented. Unknown members are passed over.
func (p *page) scan() error {
	s := pageScanner{page: p, doc: p.body}
	if err := s.object(func(name []byte) error {
		switch string(name) {
		case "Records":
			return s.array(s.record)
		case "NextShardIterator", "ContinuationSequenceNumber":
			text, err := s.optional()
			p.next = string(p.at(text))
			return err
		case "MillisBehindLatest":
			f, err := s.number()
			p.behind = int64(f)
			return err
		case "ChildShards":
			value, err := s.skip()
			if err != nil {
				return err
			}
			return json.Unmarshal(value, &p.children)
		}
		_, err := s.skip()
		return err
	}); err != nil {
		return fmt.Errorf("read the records of a shard: %w", err)
	}
	return nil
}

// pageScanner walks over the body. doc is the body as it came; what has to be
// unescaped is appended to page.body behind it.
type pageScanner struct {
	page *page
	doc  []byte
	pos  int
}

func (s *pageScanner) space() byte {
	for s.pos < len(s.doc) {
		switch c := s.doc[s.pos]; c {
		case ' ', '\t', '\n', '\r':
			s.pos++
		default:
			return c
		}
	}
	return 0
}

func (s *pageScanner) expect(c byte) error {
	if s.space() != c {
		return fmt.Errorf("expected %q at byte %d", c, s.pos)
	}
	s.pos++
	return nil
}

// object calls member for each member; it reads the value.
func (s *pageScanner) object(member func(name []byte) error) error {
	if err := s.expect('{'); err != nil {
		return err
	}
	if s.space() == '}' {
		s.pos++
		return nil
	}
	for {
		name, err := s.text()
		if err == nil {
			err = s.expect(':')
		}
		if err == nil {
			err = member(s.page.at(name))
		}
		if err != nil {
			return err
		}
		if s.space() != ',' {
			return s.expect('}')
		}
		s.pos++
	}
}

func (s *pageScanner) array(element func() error) error {
	if s.space() == 'n' {
		_, err := s.skip()
		return err
	}
	if err := s.expect('['); err != nil {
		return err
	}
	if s.space() == ']' {
		s.pos++
		return nil
	}
	for {
		if err := element(); err != nil {
			return err
		}
		if s.space() != ',' {
			return s.expect(']')
		}
		s.pos++
	}
}

// record reads one element of Records.
func (s *pageScanner) record() error {
	var r rawRecord
	// Not object, whose function would be called for each member.
	if err := s.expect('{'); err != nil {
		return err
	}
	for first := true; ; first = false {
		switch c := s.space(); {
		case c == '}':
			s.pos++
			if r.sequence.start == r.sequence.end {
				return errors.New("a record has no SequenceNumber")
			}
			s.page.records = append(s.page.records, r)
			return nil
		case first:
		case c != ',':
			return fmt.Errorf("expected ',' at byte %d", s.pos)
		default:
			s.pos++
		}
		name, err := s.text()
		if err == nil {
			err = s.expect(':')
		}
		if err != nil {
			return err
		}
		switch string(s.page.at(name)) {
		case "Data":
			r.data, err = s.optional()
		case "PartitionKey":
			r.key, err = s.optional()
		case "SequenceNumber":
			r.sequence, err = s.optional()
		case "ApproximateArrivalTimestamp":
			r.arrived, err = s.time()
		default:
			_, err = s.skip()
		}
		if err != nil {
			return err
		}
	}
}

// text reads a string.
func (s *pageScanner) text() (span, error) {
	if err := s.expect('"'); err != nil {
		return span{}, err
	}
	start := s.pos
	n := bytes.IndexByte(s.doc[start:], '"')
	if n < 0 {
		return span{}, fmt.Errorf("the string at byte %d does not end", start-1)
	}
	if bytes.IndexByte(s.doc[start:start+n], '\\') < 0 {
		s.pos = start + n + 1
		return span{int32(start), int32(start + n)}, nil
	}
	end, err := mysqljson.Scan(s.doc, start-1)
	if err != nil {
		return span{}, err
	}
	s.pos = end
	from := len(s.page.body)
	s.page.body = mysqljson.AppendUnescaped(s.page.body, s.doc[start:end-1])
	if len(s.page.body) > 2*maxPageBytes {
		return span{}, errors.New("too much of the answer is escaped")
	}
	return span{int32(from), int32(len(s.page.body))}, nil
}

// optional reads a string or null, which is an empty one.
func (s *pageScanner) optional() (span, error) {
	if s.space() == 'n' {
		_, err := s.skip()
		return span{}, err
	}
	return s.text()
}

func (s *pageScanner) skip() ([]byte, error) {
	s.space()
	start := s.pos
	end, err := mysqljson.Scan(s.doc, start)
	if err != nil {
		return nil, err
	}
	s.pos = end
	return s.doc[start:end], nil
}

// number reads a number; null is −1.
func (s *pageScanner) number() (float64, error) {
	text, err := s.skip()
	if err != nil || string(text) == "null" {
		return -1, err
	}
	f, err := strconv.ParseFloat(string(text), 64)
	if err != nil || math.IsNaN(f) || math.Abs(f) > 1e15 {
		return 0, fmt.Errorf("%q is no number that fits", text)
	}
	return f, nil
}

// time reads seconds since 1970 as microseconds.
func (s *pageScanner) time() (int64, error) {
	if s.space(); s.pos+15 <= len(s.doc) {
		// 1700000000.123, as nearly all are.
		if micros, n := fixedSeconds(s.doc[s.pos:]); n > 0 {
			s.pos += n
			return micros, nil
		}
	}
	f, err := s.number()
	if err != nil || f < 0 {
		return 0, err
	}
	if f > 1e12 {
		return 0, fmt.Errorf("%v is no time in seconds", f)
	}
	return int64(math.Round(f * 1e6)), nil
}

// fixedSeconds reads ten digits and up to six decimals; n is 0 when the text is
// anything else.
func fixedSeconds(text []byte) (micros int64, n int) {
	digit := func(i int) bool { return i < len(text) && text[i]-'0' <= 9 }
	for n < 10 && digit(n) {
		micros = 10*micros + int64(text[n]-'0')
		n++
	}
	if n < 10 || text[0] == '0' {
		return 0, 0
	}
	scale := 0
	if n < len(text) && text[n] == '.' {
		for n++; scale < 6 && digit(n); scale++ {
			micros = 10*micros + int64(text[n]-'0')
			n++
		}
		if scale == 0 {
			return 0, 0
		}
	}
	if n >= len(text) || text[n] != ',' && text[n] != '}' {
		return 0, 0
	}
	for ; scale < 6; scale++ {
		micros *= 10
	}
	return micros, n
}
