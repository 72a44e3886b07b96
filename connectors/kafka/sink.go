package kafka

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strconv"
	"sync"
	"time"

	"github.com/twmb/franz-go/pkg/kadm"
	"github.com/twmb/franz-go/pkg/kerr"
	"github.com/twmb/franz-go/pkg/kgo"

	"github.com/leatdb/leat/connectors"
	"github.com/leatdb/leat/connectors/format/avro"
	"github.com/leatdb/leat/connectors/format/schemaregistry"
	"github.com/leatdb/leat/internal/sched"
	"github.com/leatdb/leat/sql/sqlerror"
	"github.com/leatdb/leat/sql/types"
)

// SinkConnector is the registration of sinks with connector = 'kafka'.
var SinkConnector = &connectors.SinkConnector{
	Name:       "kafka",
	Doc:        "Topics of a Kafka cluster: each row a record, each row exactly once for readers with isolation read_committed.",
	Spec:       sinkSpec,
	StreamSpec: streamSpec,
	Check:      checkOptions,
	Open:       openSink,
	Places:     places,
}

func init() { connectors.RegisterSink(SinkConnector) }

// streamSpec are the options that a stream gives or overrides.
var streamSpec = connectors.Spec{
	{Name: "format", Default: "json", Choices: []string{"json", "avro"}, Doc: "How values are encoded: a JSON object with a member for each column, or an Avro record with the header of a schema registry."},
	{Name: "subject", Doc: "The subject of the schema registry under which format = 'avro' registers its schema; default is <topic>-value."},
	{Name: "decimals", Default: "number", Choices: []string{"number", "string"}, Doc: "Whether DECIMAL is a JSON number, which some readers take for a double, or a string."},
	{Name: "compression", Default: "lz4", Choices: []string{"none", "gzip", "snappy", "lz4", "zstd"}, Doc: "Codec of the record batches."},
	{Name: "commit_interval", Kind: connectors.OptionDuration, Default: "1s", Min: int64(10 * time.Millisecond), Max: int64(10 * time.Minute), Runtime: true, Doc: "How often a transaction is committed: readers with read_committed see rows only then. At most half of transaction_timeout."},
	{Name: "commit_size", Kind: connectors.OptionSize, Default: "256MB", Min: 1e3, Max: 1 << 42, Runtime: true, Doc: "Commits earlier when so many bytes of records were written."},
	{Name: "linger", Kind: connectors.OptionDuration, Default: "10ms", Max: int64(10 * time.Second), Doc: "How long a batch of records waits for more."},
	{Name: "max_message_bytes", Kind: connectors.OptionSize, Min: 1000, Max: 1 << 30, Doc: "A larger record becomes a dead letter; default is the topic's max.message.bytes."},
	{Name: "key", Kind: connectors.OptionExpression, Doc: "The record's key, a column or an expression, as text; records of one key keep their order. NULL, or without it: no key."},
	{Name: "timestamp", Kind: connectors.OptionExpression, Doc: "The record's timestamp, of type TIMESTAMP; default is when it is written."},
	{Name: "headers", Kind: connectors.OptionList, Doc: "Columns that become headers, as text, instead of members of the value; NULL leaves the header out."},
}

// sinkSpec are all options of a sink.
var sinkSpec = pick(spec, slices.Concat([]string{"brokers", "security_protocol"}, loginOptions,
	[]string{"tls_ca", "tls_cert", "tls_key", "tls_server_name", "tls_skip_verify", "client_id", "connect_timeout"})...,
).With(connectors.Spec{
	{Name: "create_topics", Kind: connectors.OptionBool, Default: "false", Doc: "Whether a topic that does not exist is created."},
	{Name: "topic_partitions", Kind: connectors.OptionInt, Min: 1, Max: 100_000, Doc: "Partitions of a topic that is created; default is the cluster's."},
	{Name: "topic_replication", Kind: connectors.OptionInt, Min: 1, Max: 100, Doc: "Replicas of a topic that is created, positions_topic too; default is the cluster's."},
	{Name: "positions_topic", Default: "__leat_positions", Doc: "The compacted topic that keeps the streams' positions; it is created where there is none."},
	{Name: "transactional_id_prefix", Default: "leat-", Doc: "Begins the transactional ids, which end with the stream's name: streams of one name in two installations on one cluster need different ones, or one stops the other."},
	{Name: "transaction_timeout", Kind: connectors.OptionDuration, Default: "1m", Min: int64(time.Second), Max: int64(15 * time.Minute), Doc: "After how long the cluster gives a transaction up whose writer is gone; until then readers with read_committed wait behind it."},
}, schemaregistry.Options, without(streamSpec, connectors.OptionExpression, "headers", "subject"))

// pick is the options of a spec that have these names.
func pick(s connectors.Spec, names ...string) connectors.Spec {
	var picked connectors.Spec
	for _, name := range names {
		o := *s.Find(name)
		o.Identity = false
		picked = append(picked, o)
	}
	return picked
}

// without is a spec without options of a kind or of these names.
func without(s connectors.Spec, kind connectors.OptionKind, names ...string) connectors.Spec {
	var kept connectors.Spec
	for _, o := range s {
		if o.Kind != kind && !slices.Contains(names, o.Name) {
			kept = append(kept, o)
		}
	}
	return kept
}

// sink is a cluster that streams write to.
type sink struct {
	cfg       connectors.SinkConfig
	about     string
	cluster   Cluster // nil: the brokers of the options
	scheduler sched.Scheduler
	rules     Rules

	mu     sync.Mutex
	limits map[string]int // of a record's bytes, by topic
	// registry is made when the first stream needs it; schemas are the ids of those
	// that streams write, by the stream.
	registry *schemaregistry.Client
	schemas  map[string]int
}

func openSink(_ context.Context, cfg connectors.SinkConfig) (connectors.Sink, error) {
	s := newSink(cfg)
	if _, err := connectionOptions(s.about, "", cfg.Options); err != nil {
		return nil, err
	}
	for _, name := range []string{"positions_topic", "transactional_id_prefix"} {
		if cfg.Options.String(name) == "" {
			return nil, sqlerror.Userf(sqlerror.CodeBadOption, "option %q is empty", name).About(s.about)
		}
	}
	return s, nil
}

func newSink(cfg connectors.SinkConfig) *sink {
	return &sink{cfg: cfg, about: "sink " + cfg.Name, scheduler: sched.System{}, limits: map[string]int{}, schemas: map[string]int{}}
}

// patience is how long an answer may take.
func (s *sink) patience(ctx context.Context) (context.Context, context.CancelFunc) {
	return context.WithTimeout(ctx, s.cfg.Options.Duration("connect_timeout"))
}

// Close implements connectors.Sink: each stream has clients of its own.
func (s *sink) Close() error {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.registry != nil {
		s.registry.Close()
	}
	return nil
}

// register makes the schema of a stream's records known to the registry.
func (s *sink) register(ctx context.Context, spec connectors.StreamSpec, schema string) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	o := spec.Options
	if o.String("schema_registry") == "" {
		return sqlerror.Userf(sqlerror.CodeBadOption, "format = 'avro' needs a schema registry").About("stream " + spec.Stream).
			WithHint("give the sink the option schema_registry")
	}
	if s.registry == nil {
		var err error
		if s.registry, err = schemaregistry.New(o); err != nil {
			return err
		}
	}
	subject := o.String("subject")
	if subject == "" {
		subject = spec.Table + "-value"
	}
	id, err := s.registry.Register(ctx, subject, schemaregistry.Schema{Type: "AVRO", Text: schema})
	if err != nil {
		return err
	}
	s.schemas[spec.Stream] = id
	return nil
}

func (s *sink) schema(stream string) int {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.schemas[stream]
}

func (s *sink) explain(o connectors.Options, topic, act string, err error) error {
	return explainTo(s.about, o, topic, "WRITE", act, err)
}

// admin is a client for questions, which gives up soon.
func (s *sink) admin(stream string) (*kgo.Client, error) {
	o := s.cfg.Options
	opts, err := connectionOptions(s.about, stream, o)
	if err != nil {
		return nil, err
	}
	cl, err := kgo.NewClient(append(opts,
		kgo.RequestRetries(2*len(o.List("brokers"))),
		kgo.RetryBackoffFn(func(int) time.Duration { return 100 * time.Millisecond }),
	)...)
	if err != nil {
		return nil, sqlerror.Userf(sqlerror.CodeBadOption, "%w", err).About(s.about)
	}
	return cl, nil
}

// ask calls f with an admin client, for no longer than connect_timeout.
func (s *sink) ask(ctx context.Context, stream string, f func(ctx context.Context, cl *kgo.Client) error) error {
	cl, err := s.admin(stream)
	if err != nil {
		return err
	}
	defer cl.Close()
	ctx, cancel := context.WithTimeout(ctx, s.cfg.Options.Duration("connect_timeout"))
	defer cancel()
	return f(ctx, cl)
}

// Check implements connectors.Sink: it asks the brokers who they are.
func (s *sink) Check(ctx context.Context) error {
	return s.ask(ctx, "", func(ctx context.Context, cl *kgo.Client) error {
		if _, err := kadm.NewClient(cl).BrokerMetadata(ctx); err != nil {
			err = s.explain(s.cfg.Options, "", "ask the brokers", err)
			if e := sqlerror.As(err); e != nil && e.Code != sqlerror.CodeExternal {
				return e.Final()
			}
			return err
		}
		return nil
	})
}

// Stream implements connectors.Sink.
func (s *sink) Stream(ctx context.Context, spec connectors.StreamSpec) (connectors.StreamSink, error) {
	spec = spec.WithDefaults(s.cfg.Logger)
	if s.cfg.Ledger == nil {
		return nil, &sqlerror.Error{Code: sqlerror.CodeInternal, Object: s.about, Message: "there is no lake for dead letters"}
	}
	layout, err := newLayout(spec)
	if err != nil {
		return nil, err
	}
	if !spec.Dropping && s.cluster == nil {
		if err := s.prepare(ctx, spec); err != nil {
			return nil, err
		}
		if layout.avro != "" {
			if err := s.register(ctx, spec, layout.avro); err != nil {
				return nil, err
			}
			layout.schemaID = s.schema(spec.Stream)
		}
	}
	ledger, err := s.cfg.Ledger(ctx, "")
	if err != nil {
		return nil, fmt.Errorf("open the lake for dead letters: %w", err)
	}
	ss := &streamSink{sink: s, spec: spec}
	ss.store = &store{sink: ss}
	if ss.kept, err = ledger.Keep(ctx, spec, ss.store); err != nil {
		return nil, fmt.Errorf("keep dead letters in the lake: %w", err)
	}
	for lane := range spec.Lanes {
		ss.lanes = append(ss.lanes, newLaneWriter(ss, layout, ss.kept.Writer(lane)))
	}
	return ss, nil
}

// layout is what becomes of the columns of a stream's rows.
type layout struct {
	schema types.Schema
	// members are the columns of the value, in order.
	members   []int
	headers   []int
	key       int // −1 for none
	timestamp int // −1 for none
	decimals  bool
	// name of the topic, and the schema and its id where values are Avro.
	name, avro string
	schemaID   int
}

// newLayout checks what the stream's options say of its columns.
func newLayout(spec connectors.StreamSpec) (*layout, error) {
	if len(spec.Partition) > 0 {
		return nil, sqlerror.Userf(sqlerror.CodeUnsupported, "PARTITIONED BY is for tables").About("stream " + spec.Stream).
			WithHint("records are spread over the topic's partitions by their key: write WITH (key = '…')")
	}
	o := spec.Options
	l := &layout{schema: spec.Schema, key: -1, timestamp: -1, decimals: o.String("decimals") == "string"}
	if i, ok := spec.Exprs["key"]; ok {
		l.key = i
	}
	if i, ok := spec.Exprs["timestamp"]; ok {
		if t := spec.Schema[i].Type; t.Kind != types.Timestamp {
			return nil, sqlerror.Userf(sqlerror.CodeType, "option timestamp is of type %s", t).About("stream " + spec.Stream).
				WithHint("it has to be a TIMESTAMP, an instant")
		}
		l.timestamp = i
	}
	selected := spec.Schema[:min(spec.Selected, len(spec.Schema))]
	isHeader := map[int]bool{}
	for _, name := range o.List("headers") {
		i := selected.Index(name)
		if i < 0 {
			e := sqlerror.Userf(sqlerror.CodeUnknownColumn, "option headers: unknown column %s", name).About("stream " + spec.Stream)
			var names []string
			for _, c := range selected {
				names = append(names, c.Name)
			}
			if near := sqlerror.Nearest(name, names); near != "" {
				return nil, e.WithHint("did you mean %s?", near)
			}
			return nil, e
		}
		if !isHeader[i] {
			l.headers = append(l.headers, i)
		}
		isHeader[i] = true
	}
	for i := range selected {
		if !isHeader[i] {
			l.members = append(l.members, i)
		}
	}
	if o.String("format") == "avro" {
		l.name = spec.Table
		var err error
		if _, l.avro, err = avro.NewEncoder(l.name, l.schema, l.members); err != nil {
			if e := sqlerror.As(err); e != nil {
				return nil, e.About("stream " + spec.Stream)
			}
			return nil, err
		}
	} else if o.Has("subject") {
		return nil, sqlerror.Userf(sqlerror.CodeBadOption, "option subject is for format = 'avro'").About("stream " + spec.Stream)
	}
	return l, nil
}

// checkOptions refuses transactions that would be open for so long that the
// cluster gives them up.
func checkOptions(o connectors.Options) error {
	if interval, timeout := o.Duration("commit_interval"), o.Duration("transaction_timeout"); interval > timeout/2 {
		return sqlerror.Userf(sqlerror.CodeBadOption, "commit_interval %s is more than half of transaction_timeout %s", interval, timeout).
			WithHint("a transaction that is open for longer than its timeout is given up by the cluster")
	}
	return nil
}

// prepare finds the stream's topic and how large its records may be, and makes
// what is to be made.
func (s *sink) prepare(ctx context.Context, spec connectors.StreamSpec) error {
	topic, positions := spec.Table, s.cfg.Options.String("positions_topic")
	if topic == positions {
		return sqlerror.Userf(sqlerror.CodeConflict, "topic %s keeps positions and cannot be a stream's target", topic).About("stream " + spec.Stream)
	}
	return s.ask(ctx, spec.Stream, func(ctx context.Context, cl *kgo.Client) error {
		adm := kadm.NewClient(cl)
		if err := s.prepareTopic(ctx, cl, adm, topic); err != nil {
			return err
		}
		if _, err := fetchMetadata(ctx, cl, positions); errors.Is(err, kerr.UnknownTopicOrPartition) {
			compact := "compact"
			err = s.createTopic(ctx, adm, positions, 1, map[string]*string{"cleanup.policy": &compact})
			if err != nil {
				return s.explain(s.cfg.Options, positions, "create topic "+positions, err)
			}
		} else if err != nil {
			return s.explain(s.cfg.Options, positions, "ask the brokers for topic "+positions, err)
		}
		limit := int(spec.Options.Size("max_message_bytes"))
		if limit == 0 {
			limit = maxMessageBytes(ctx, adm, topic)
		}
		s.mu.Lock()
		s.limits[topic] = limit
		s.mu.Unlock()
		return nil
	})
}

func (s *sink) prepareTopic(ctx context.Context, cl *kgo.Client, adm *kadm.Client, topic string) error {
	o := s.cfg.Options
	_, err := fetchMetadata(ctx, cl, topic)
	switch {
	case err == nil:
		return nil
	case !errors.Is(err, kerr.UnknownTopicOrPartition):
		err = s.explain(o, topic, "ask the brokers for topic "+topic, err)
		if errors.Is(err, kerr.InvalidTopicException) {
			return sqlerror.As(err).Final()
		}
		return err
	case o.Bool("create_topics"):
		partitions := int32(-1)
		if o.Has("topic_partitions") {
			partitions = int32(o.Int("topic_partitions"))
		}
		if err := s.createTopic(ctx, adm, topic, partitions, nil); err != nil {
			return s.explain(o, topic, "create topic "+topic, err)
		}
		return nil
	}
	e := sqlerror.Externalf(sqlerror.CodeUnknownObject, "topic %s does not exist", topic).Final().About(s.about)
	if all, err := adm.ListTopics(ctx); err == nil {
		if near := sqlerror.Nearest(topic, all.Names()); near != "" {
			return e.WithHint("did you mean %q? create_topics = 'true' in the sink creates topics", near)
		}
	}
	return e.WithHint("create it, or give the sink create_topics = 'true'")
}

// createTopic makes a topic, or finds that another one was faster.
func (s *sink) createTopic(ctx context.Context, adm *kadm.Client, topic string, partitions int32, configs map[string]*string) error {
	replication := int16(-1)
	if s.cfg.Options.Has("topic_replication") {
		replication = int16(s.cfg.Options.Int("topic_replication"))
	}
	_, err := adm.CreateTopic(ctx, partitions, replication, configs, topic)
	if errors.Is(err, kerr.TopicAlreadyExists) {
		return nil
	}
	return err
}

const (
	// defaultMessageBytes is what brokers take when nobody has said otherwise, with
	// some room: https://kafka.apache.org/documentation/#topicconfigs_max.message.bytes
	defaultMessageBytes = 1_000_012
	// batchOverhead is what a record batch with one record has beside its key, value
	// and headers: 61 bytes, and numbers of variable length.
	batchOverhead = 61 + 64
)

// maxMessageBytes is how large the topic's record batches may be. Who may not ask
// gets the default.
func maxMessageBytes(ctx context.Context, adm *kadm.Client, topic string) int {
	all, err := adm.DescribeTopicConfigs(ctx, topic)
	if err != nil {
		return defaultMessageBytes
	}
	described, err := all.On(topic, nil)
	if err != nil {
		return defaultMessageBytes
	}
	for _, c := range described.Configs {
		if c.Key == "max.message.bytes" && c.Value != nil {
			if n, err := strconv.Atoi(*c.Value); err == nil && n > batchOverhead {
				return n
			}
		}
	}
	return defaultMessageBytes
}

func (s *sink) limit(topic string) int {
	s.mu.Lock()
	defer s.mu.Unlock()
	if n := s.limits[topic]; n > 0 {
		return n
	}
	return defaultMessageBytes
}

// RowCheck implements connectors.RowChecker: a record must not be larger than the
// topic takes.
func (s *sink) RowCheck(spec connectors.StreamSpec) (connectors.RowCheck, error) {
	l, err := newLayout(spec)
	if err != nil {
		return nil, err
	}
	l.schemaID = s.schema(spec.Stream)
	return &rowCheck{rows: newRowEncoder(l), limit: s.limit(spec.Table) - batchOverhead}, nil
}

type rowCheck struct {
	rows    *rowEncoder
	limit   int
	sizes   []int
	scratch []byte
}

// Check implements connectors.RowCheck. Most rows are told by an upper bound.
func (c *rowCheck) Check(rows connectors.CheckedRows, reject func(row int32, err error)) {
	if err := c.rows.bind(rows.Columns); err != nil {
		return // Write fails with it
	}
	if cap(c.sizes) < rows.N {
		c.sizes = make([]int, rows.N)
	}
	c.sizes = c.sizes[:rows.N]
	clear(c.sizes)
	c.rows.addText(c.sizes)
	fixed := c.rows.fixed()
	rows.Selected(func(row int32) {
		if fixed+c.sizes[row] <= c.limit {
			return
		}
		if size := c.size(int(row)); size > c.limit {
			reject(row, &connectors.RejectError{Class: connectors.ClassTooLarge, Err: fmt.Errorf("the record has %d bytes, and the topic takes %d", size, c.limit)})
		}
	})
}

func (c *rowCheck) size(row int) int {
	b := c.rows.appendValue(c.scratch[:0], row)
	if c.rows.layout.key >= 0 {
		b, _ = c.rows.encoder.AppendText(b, c.rows.layout.key, row)
	}
	n := 0
	for _, h := range c.rows.layout.headers {
		n += len(c.rows.layout.schema[h].Name) + 10
		b, _ = c.rows.encoder.AppendText(b, h, row)
	}
	c.scratch = b
	return n + len(b)
}

// transactionalID names a stream to the cluster.
func transactionalID(o connectors.Options, stream string) string {
	return o.String("transactional_id_prefix") + stream
}
