package kinesis

import (
	"context"
	"errors"
	"fmt"
	"io"
	"sync"
	"time"
	"unicode/utf8"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/kinesis"
	"github.com/aws/aws-sdk-go-v2/service/kinesis/types"

	"github.com/leatdb/leat/connectors"
	"github.com/leatdb/leat/connectors/format/json"
	"github.com/leatdb/leat/internal/sched"
	"github.com/leatdb/leat/sql/sqlerror"
)

// SinkConnector is the registration of sinks with connector = 'kinesis'.
var SinkConnector = &connectors.SinkConnector{
	Name:       "kinesis",
	Doc:        "Kinesis data streams: each row a record, at least once, with an id by which readers know a row that came twice.",
	Spec:       sinkSpec,
	StreamSpec: streamSpec,
	Open:       openSink,
	Places:     places,
}

func init() { connectors.RegisterSink(SinkConnector) }

// streamSpec are the options that a stream gives or overrides.
var streamSpec = connectors.Spec{
	{Name: "format", Default: "json", Choices: []string{"json"}, Doc: "How records are encoded: a JSON object with a member for each column."},
	{Name: "decimals", Default: "number", Choices: []string{"number", "string"}, Doc: "Whether DECIMAL is a JSON number, which some readers take for a double, or a string."},
	{Name: "commit_interval", Kind: connectors.OptionDuration, Default: "5s", Min: int64(10 * time.Millisecond), Max: int64(24 * time.Hour), Runtime: true, Doc: "How often positions are committed: so much is sent again after a crash."},
	{Name: "commit_size", Kind: connectors.OptionSize, Default: "256MB", Min: 1e3, Max: 1 << 42, Runtime: true, Doc: "Commits earlier when so many bytes of records were written."},
	{Name: "id_field", Default: "_id", Doc: "The member that holds the row's id; '' for none."},
	{Name: "ordering", Default: "key", Choices: []string{"key", "none"}, Doc: "With 'key' rows of one partition_key keep their order: none is sent before the one before it is acknowledged. 'none' is faster where few keys have most rows."},
	{Name: "partition_key", Kind: connectors.OptionExpression, Doc: "The record's partition key, a column or an expression, as text of 1 to 256 characters. NULL, '' or without it: rows are spread evenly."},
}

// sinkSpec are all options of a sink.
var sinkSpec = func() connectors.Spec {
	var s connectors.Spec
	for _, name := range []string{"region", "endpoint", "access_key_id", "secret_access_key", "session_token", "profile", "request_timeout"} {
		s = append(s, *spec.Find(name))
	}
	s = append(s,
		connectors.OptionSpec{Name: "calls_in_flight", Kind: connectors.OptionInt, Default: "8", Min: 1, Max: 256, Doc: "How many calls of PutRecords a stream makes at a time."},
		connectors.OptionSpec{Name: "max_call_bytes", Kind: connectors.OptionSize, Default: "10MiB", Min: 1 << 20, Max: 64 << 20, Doc: "The most that a call of PutRecords may have, keys included; servers other than AWS may allow only 5MiB."},
		connectors.OptionSpec{Name: "state_path", Identity: true, Doc: "The folder, or s3://bucket/prefix, that keeps positions and dead letters; default is the embedded lake."},
		connectors.OptionSpec{Name: "state_endpoint", Doc: "URL of the S3 server of state_path, if it is not AWS."},
	)
	for _, o := range streamSpec {
		if o.Kind != connectors.OptionExpression {
			s = append(s, o)
		}
	}
	return s
}()

// sink is a region that streams write to.
type sink struct {
	cfg       connectors.SinkConfig
	about     string
	client    *kinesis.Client // nil where the service is given
	service   Service
	hangUp    func()
	scheduler sched.Scheduler
	rules     Rules

	mu     sync.Mutex
	ledger connectors.Ledger
	limits map[string]int // of a record's bytes, by stream
}

func openSink(ctx context.Context, cfg connectors.SinkConfig) (connectors.Sink, error) {
	s := newSink(cfg)
	var err error
	if s.client, _, s.hangUp, err = newClient(ctx, s.about, cfg.Options, "unnamed"); err != nil {
		return nil, err
	}
	s.service = s.client
	return s, nil
}

func newSink(cfg connectors.SinkConfig) *sink {
	return &sink{cfg: cfg, about: "sink " + cfg.Name, hangUp: func() {}, scheduler: sched.System{}, limits: map[string]int{}}
}

// Service is what a stream needs of Kinesis to write records; *kinesis.Client is
// one and documents the method.
type Service interface {
	PutRecords(ctx context.Context, in *kinesis.PutRecordsInput, opts ...func(*kinesis.Options)) (*kinesis.PutRecordsOutput, error)
}

// Config is a sink over a service that is given, such as a simulated one.
type Config struct {
	Name      string
	Options   connectors.Options
	Service   Service
	Ledger    connectors.Ledger
	Scheduler sched.Scheduler
	Logger    connectors.Logger
	Rules     Rules
}

// Open opens a sink. Its streams' data streams have to exist.
func Open(cfg Config) connectors.Sink {
	s := newSink(connectors.SinkConfig{
		Name: cfg.Name, Options: cfg.Options, Logger: cfg.Logger,
		Ledger: func(context.Context, string) (connectors.Ledger, error) { return cfg.Ledger, nil },
	})
	s.service, s.scheduler, s.rules = cfg.Service, cfg.Scheduler, cfg.Rules
	return s
}

// Close implements connectors.Sink.
func (s *sink) Close() error {
	s.hangUp()
	s.mu.Lock()
	defer s.mu.Unlock()
	if c, ok := s.ledger.(io.Closer); ok && s.cfg.Options.String("state_path") != "" {
		return c.Close()
	}
	return nil
}

func (s *sink) explain(stream, act string, err error) error {
	return explainTo(s.about, s.cfg.Options, stream, writing, act, err)
}

// Check implements connectors.Sink: it lists a stream.
func (s *sink) Check(ctx context.Context) error {
	ctx, cancel := context.WithTimeout(ctx, s.cfg.Options.Duration("request_timeout"))
	defer cancel()
	_, err := s.client.ListStreams(ctx, &kinesis.ListStreamsInput{Limit: aws.Int32(1)})
	if code := errorCode(err); code == "AccessDeniedException" || code == "AccessDenied" {
		return nil // writing may be allowed all the same
	}
	return s.explain("", "list streams", err)
}

// Stream implements connectors.Sink.
func (s *sink) Stream(ctx context.Context, spec connectors.StreamSpec) (connectors.StreamSink, error) {
	spec = spec.WithDefaults(s.cfg.Logger)
	layout, err := newLayout(spec)
	if err != nil {
		return nil, err
	}
	if !spec.Dropping && s.client != nil {
		if err := s.describe(ctx, spec.Table); err != nil {
			return nil, err
		}
	}
	ledger, err := s.openLedger(ctx)
	if err != nil {
		return nil, err
	}
	ss := &streamSink{sink: s, spec: spec, layout: layout}
	if ss.kept, err = ledger.Keep(ctx, spec, nil); err != nil {
		return nil, fmt.Errorf("keep positions: %w", err)
	}
	for lane := range spec.Lanes {
		ss.lanes = append(ss.lanes, newLaneWriter(ss, ss.kept.Writer(lane)))
	}
	return ss, nil
}

func (s *sink) openLedger(ctx context.Context) (connectors.Ledger, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.ledger != nil {
		return s.ledger, nil
	}
	if s.cfg.Ledger == nil {
		return nil, &sqlerror.Error{Code: sqlerror.CodeInternal, Object: s.about, Message: "there is no lake for positions"}
	}
	l, err := s.cfg.Ledger(ctx, s.cfg.Options.String("state_path"))
	if err != nil {
		return nil, fmt.Errorf("open the lake for positions: %w", err)
	}
	s.ledger = l
	return l, nil
}

// defaultRecordBytes is how large a record may be with its partition key, unless
// the stream says otherwise.
const defaultRecordBytes = 1 << 20

// describe finds a stream and how large its records may be.
func (s *sink) describe(ctx context.Context, stream string) error {
	ctx, cancel := context.WithTimeout(ctx, s.cfg.Options.Duration("request_timeout"))
	defer cancel()
	out, err := s.client.DescribeStreamSummary(ctx, &kinesis.DescribeStreamSummaryInput{StreamName: &stream})
	if err == nil && out.StreamDescriptionSummary == nil {
		err = errors.New("the answer is empty")
	}
	if _, ok := errors.AsType[*types.ResourceNotFoundException](err); ok {
		e := sqlerror.Externalf(sqlerror.CodeUnknownObject, "stream %s does not exist", stream).Final().About(s.about)
		if list, listErr := s.client.ListStreams(ctx, &kinesis.ListStreamsInput{}); listErr == nil {
			if near := sqlerror.Nearest(stream, list.StreamNames); near != "" {
				return e.WithHint("did you mean %q?", near)
			}
		}
		return e.WithHint("create it, or mend the option region")
	}
	if err != nil {
		return s.explain(stream, "look up stream "+stream, err)
	}
	limit := int(aws.ToInt32(out.StreamDescriptionSummary.MaxRecordSizeInKiB)) << 10
	if limit <= 0 {
		limit = defaultRecordBytes
	}
	s.mu.Lock()
	s.limits[stream] = limit
	s.mu.Unlock()
	return nil
}

func (s *sink) limit(stream string) int {
	s.mu.Lock()
	defer s.mu.Unlock()
	if n := s.limits[stream]; n > 0 {
		return n
	}
	return defaultRecordBytes
}

// layout is what becomes of the columns of a stream's rows.
type layout struct {
	spec    connectors.StreamSpec
	key     int // column of the partition key, −1 for none
	idField []byte
	ordered bool
}

func newLayout(spec connectors.StreamSpec) (*layout, error) {
	about := "stream " + spec.Stream
	if len(spec.Partition) > 0 {
		return nil, sqlerror.Userf(sqlerror.CodeUnsupported, "PARTITIONED BY is for tables").About(about).
			WithHint("records are spread over the shards by their partition key: write WITH (partition_key = '…')")
	}
	o := spec.Options
	l := &layout{spec: spec, key: -1}
	if i, ok := spec.Exprs["partition_key"]; ok {
		l.key = i
	}
	l.ordered = l.key >= 0 && o.String("ordering") == "key"
	if name := o.String("id_field"); name != "" {
		if spec.Schema[:min(spec.Selected, len(spec.Schema))].Index(name) >= 0 {
			return nil, sqlerror.Userf(sqlerror.CodeExists, "column %s has the name of id_field", name).About(about).
				WithHint("name the column otherwise, or set id_field")
		}
		l.idField = append(json.AppendString(nil, []byte(name)), ':')
	}
	return l, nil
}

// maxKey is how many characters a partition key may have.
const maxKey = 256

// RowCheck implements connectors.RowChecker: a record must not be larger than the
// stream takes, nor its key longer.
func (s *sink) RowCheck(spec connectors.StreamSpec) (connectors.RowCheck, error) {
	l, err := newLayout(spec)
	if err != nil {
		return nil, err
	}
	return &rowCheck{layout: l, encoder: l.encoder(), limit: s.limit(spec.Table)}, nil
}

func (l *layout) encoder() *json.Encoder {
	return json.NewEncoder(l.spec.Schema, json.EncoderOptions{DecimalText: l.spec.Options.String("decimals") == "string"})
}

type rowCheck struct {
	layout  *layout
	encoder *json.Encoder
	limit   int
	sizes   []int
	scratch []byte
	id      []byte
}

// ample is more than an id and a partition key add to nearly any record: what is
// farther than that from the limit needs no closer look.
const ample = 16 << 10

// lifeName stands for the start of a life's name, which a check does not know.
const lifeName = "00000000"

// Check implements connectors.RowCheck.
func (c *rowCheck) Check(rows connectors.CheckedRows, reject func(row int32, err error)) {
	if err := c.encoder.Bind(rows.Columns); err != nil {
		return // Write fails with it
	}
	if cap(c.sizes) < rows.N {
		c.sizes = make([]int, rows.N)
	}
	c.sizes = c.sizes[:rows.N]
	clear(c.sizes)
	c.encoder.AddText(c.sizes)
	fixed := c.encoder.Fixed() + ample
	last, nth := int32(-1), 0
	rows.Selected(func(row int32) {
		value := row
		if rows.Values != nil {
			value = rows.Values[row]
		}
		if value == last {
			nth++
		} else {
			last, nth = value, 0
		}
		key := 0
		if c.layout.key >= 0 {
			c.scratch, _ = c.encoder.AppendText(c.scratch[:0], c.layout.key, int(row))
			if key = len(c.scratch); key > maxKey {
				if n := utf8.RuneCount(c.scratch); n > maxKey {
					reject(row, fmt.Errorf("the partition key has %d characters, and may have %d", n, maxKey))
					return
				}
			}
		}
		if fixed+c.sizes[row] <= c.limit {
			return
		}
		c.id = fmt.Appendf(c.id[:0], "%s-%s/", c.layout.spec.Stream, lifeName)
		c.id = appendRowID(c.id, rows.Position, value, nth)
		if key == 0 {
			key = maxHash
		}
		c.scratch = c.layout.appendData(c.scratch[:0], c.encoder, c.id, int(row))
		if size := key + len(c.scratch); size > c.limit {
			reject(row, &connectors.RejectError{Class: connectors.ClassTooLarge, Err: fmt.Errorf("the record has %d bytes with its key, and the stream takes %d", size, c.limit)})
		}
	})
}

// maxHash is how long a key of a row that has none becomes, a hash in hexadecimal.
const maxHash = 16
