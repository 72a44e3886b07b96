package kinesis

import (
	"context"
	"errors"
	"regexp"
	"strings"
	"sync"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/kinesis"
	"github.com/aws/aws-sdk-go-v2/service/kinesis/types"

	"github.com/leatdb/leat/connectors"
	"github.com/leatdb/leat/internal/sched"
	"github.com/leatdb/leat/sql/sqlerror"
)

// consumer is the registered consumer of enhanced fan-out that a source reads
// with.
type consumer struct {
	name string // empty if its ARN was given
	arn  string // as given

	mu    sync.Mutex
	of    identity // the stream on which it was found
	found string   // its ARN
}

func (c *consumer) String() string {
	if c.arn != "" {
		return c.arn
	}
	return c.name
}

// consumerName is what the service allows
// (https://docs.aws.amazon.com/kinesis/latest/APIReference/API_RegisterStreamConsumer.html).
var consumerName = regexp.MustCompile(`^[a-zA-Z0-9_.-]{1,128}$`)

// newConsumer reads the option consumer. It returns nil without it.
func newConsumer(cfg connectors.SourceConfig) (*consumer, error) {
	option := cfg.Options.String("consumer")
	if option == "" {
		return nil, nil
	}
	if strings.HasPrefix(option, "arn:") {
		if !strings.Contains(option, ":stream/") || !strings.Contains(option, "/consumer/") {
			return nil, sqlerror.Userf(sqlerror.CodeBadOption, "%q is not the ARN of a consumer", option).About("source " + cfg.Name)
		}
		return &consumer{arn: option}, nil
	}
	stream := cfg.Stream
	if stream == "" {
		stream = "stream" // to check the rest
	}
	name := consumerOf(option, stream)
	if !consumerName.MatchString(name) {
		return nil, sqlerror.Userf(sqlerror.CodeBadOption, "option %q: %q is no name of a consumer", "consumer", name).About("source " + cfg.Name).
			WithHint("it has 1 to 128 letters, digits, '_', '.' and '-'")
	}
	return &consumer{name: name}, nil
}

// consumerOf is the consumer that the option names for a stream.
func consumerOf(option, stream string) string {
	return strings.ReplaceAll(option, "{stream}", stream)
}

// exclusive is the consumer of enhanced fan-out, of which each shard has one reader.
func exclusive(o connectors.Options, stream string) (what, hint string) {
	if !o.Has("consumer") {
		return "", ""
	}
	consumer := o.String("consumer")
	if what = "consumer " + consumer; !strings.HasPrefix(consumer, "arn:") {
		// Data streams of one name may have consumers of one name in each region.
		region, name := named(o, o.String("stream"))
		what = "consumer " + consumerOf(consumer, stream) + " of " + name
		if region != "" {
			what += " in " + region
		}
		if endpoint := o.String("endpoint"); endpoint != "" {
			what += " at " + endpoint
		}
	}
	return what, "write '{stream}' in the option consumer of the source, which stands for the stream's name: CREATE OR REPLACE SOURCE"
}

// subscribes reports whether records are pushed. Who only peeks asks for them: a
// subscription would end the one of the stream that reads.
func (s *source) subscribes() bool { return s.consumer != nil && s.cfg.Stream != "" }

const (
	// leastSilence is how long the service may at least send nothing in a
	// subscription: without records it sends an event about every five seconds.
	leastSilence = 30 * time.Second
	// consumerLook is how often a consumer is looked at that is being made: the
	// service allows 20 calls a second for all that ask for a stream's.
	consumerLook = 500 * time.Millisecond
)

// consumerARN finds the source's consumer on a stream, other than the one that
// is known to be gone, registers it if there is none, and waits until it can be
// used, for no longer than request_timeout. The error is retryable.
func (s *source) consumerARN(ctx context.Context, of identity, gone string) (string, error) {
	c := s.consumer
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.found != "" && c.found != gone && c.of == of {
		return c.found, nil
	}
	c.found = ""
	ctx, cancel := context.WithTimeout(ctx, s.timeout)
	defer cancel()
	for {
		arn, status, err := s.describeConsumer(ctx, of)
		if errorCode(err) == "ResourceNotFoundException" && c.name != "" {
			arn, status, err = s.registerConsumer(ctx, of)
		}
		switch {
		case err != nil:
			return "", explain(s.cfg, "find consumer "+c.String()+" of stream "+s.stream.String(), err)
		case status == types.ConsumerStatusActive:
			c.of, c.found = of, arn
			return arn, nil
		}
		if sched.Sleep(ctx, sched.System{}, consumerLook) != nil {
			if errors.Is(ctx.Err(), context.Canceled) {
				return "", ctx.Err()
			}
			return "", sqlerror.Externalf(sqlerror.CodeExternal, "consumer %s is %s", c, status).About("source " + s.cfg.Name)
		}
	}
}

func (s *source) describeConsumer(ctx context.Context, of identity) (arn string, status types.ConsumerStatus, err error) {
	in := &kinesis.DescribeStreamConsumerInput{ConsumerName: &s.consumer.name, StreamARN: &of.Stream}
	if s.consumer.arn != "" {
		if !strings.HasPrefix(s.consumer.arn, of.Stream+"/") {
			return "", "", sqlerror.Userf(sqlerror.CodeBadOption, "consumer %s is not one of stream %s", s.consumer, of.Stream).About("source " + s.cfg.Name)
		}
		in = &kinesis.DescribeStreamConsumerInput{ConsumerARN: &s.consumer.arn}
	}
	out, err := s.client.DescribeStreamConsumer(ctx, in)
	if err == nil && out.ConsumerDescription == nil {
		err = errors.New("the answer is empty")
	}
	if err != nil {
		return "", "", err
	}
	return aws.ToString(out.ConsumerDescription.ConsumerARN), out.ConsumerDescription.ConsumerStatus, nil
}

func (s *source) registerConsumer(ctx context.Context, of identity) (arn string, status types.ConsumerStatus, err error) {
	out, err := s.client.RegisterStreamConsumer(ctx, &kinesis.RegisterStreamConsumerInput{ConsumerName: &s.consumer.name, StreamARN: &of.Stream})
	switch {
	case errorCode(err) == resourceInUse: // somebody was faster
		return "", types.ConsumerStatusCreating, nil
	case errorCode(err) == "LimitExceededException":
		return "", "", sqlerror.Externalf(sqlerror.CodeExternal, "register consumer %s: %w", s.consumer, err).About("source " + s.cfg.Name).
			WithHint("the stream has as many consumers as it may have, or too many that are being made: deregister one, or give the option consumer one that is there")
	case err != nil:
		return "", "", err
	case out.Consumer == nil:
		return "", "", errors.New("the answer is empty")
	}
	s.cfg.Logger.Info("consumer registered", "source", s.cfg.Name, "consumer", s.consumer.name)
	return aws.ToString(out.Consumer.ConsumerARN), out.Consumer.ConsumerStatus, nil
}

// checkConsumer finds out whether the consumer can be used or made; it makes
// none.
func (s *source) checkConsumer(ctx context.Context, of identity) error {
	ctx, cancel := context.WithTimeout(ctx, s.timeout)
	defer cancel()
	_, _, err := s.describeConsumer(ctx, of)
	if errorCode(err) == "ResourceNotFoundException" {
		if s.consumer.name != "" {
			return nil
		}
		return sqlerror.Externalf(sqlerror.CodeUnknownObject, "consumer %s does not exist", s.consumer).About("source " + s.cfg.Name).
			WithHint("register it, or give the option consumer a name, which is registered").Final()
	}
	return explain(s.cfg, "look up consumer "+s.consumer.String(), err)
}

// renewConsumer finds the consumer anew when the one of the last subscription is
// gone, and reports whether there is another one.
func (f *fetcher) renewConsumer(ctx context.Context) bool {
	if f.s.consumer == nil || f.consumer == "" {
		return false
	}
	arn, err := f.s.consumerARN(ctx, f.id, f.consumer)
	if err != nil || arn == f.consumer {
		return false
	}
	f.consumer = ""
	return true
}
