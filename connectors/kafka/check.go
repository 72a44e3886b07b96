package kafka

import (
	"context"
	"errors"
	"time"

	"github.com/twmb/franz-go/pkg/kadm"
	"github.com/twmb/franz-go/pkg/kerr"
	"github.com/twmb/franz-go/pkg/kgo"

	"github.com/leatdb/leat/connectors"
	"github.com/leatdb/leat/sql/sqlerror"
)

// check finds out before a stream is made whether the topic can be read. It
// takes no longer than connect_timeout. The error is retryable when no broker can
// be reached, and final when one says no.
func check(ctx context.Context, cfg connectors.SourceConfig) error {
	cfg = cfg.WithDefaults()
	s, err := newSource(cfg)
	if err != nil {
		return err
	}
	s.client.Close() // it has said what is wrong with the options; the one below does not retry as long
	opts, err := clientOptions(cfg)
	if err != nil {
		return err
	}
	ctx, cancel := context.WithTimeout(ctx, cfg.Options.Duration("connect_timeout"))
	defer cancel()
	h := &health{now: cfg.Now, retrying: func(error) {}, explain: func(err error) error { return err }, failing: map[int32]failure{}}
	brokers := len(cfg.Options.List("brokers"))
	cl, err := kgo.NewClient(append(opts,
		kgo.WithHooks(h),
		kgo.RequestRetries(2*brokers),
		kgo.RetryBackoffFn(func(int) time.Duration { return 100 * time.Millisecond }),
	)...)
	if err != nil {
		return sqlerror.Userf(sqlerror.CodeBadOption, "%w", err).About("source " + cfg.Name)
	}
	defer cl.Close()
	explained := func(act string, err error) error {
		// A timeout says less than why no connection came about.
		if cause := h.last(); cause != nil && (errors.Is(err, context.DeadlineExceeded) || errors.Is(err, context.Canceled)) {
			err = errors.Join(cause, err)
		}
		err = explain(cfg, act, err)
		if e := sqlerror.As(err); e != nil && e.Code != sqlerror.CodeExternal {
			return e.Final()
		}
		return err
	}
	topic := cfg.Options.String("topic")
	m, err := fetchMetadata(ctx, cl, topic)
	if errors.Is(err, kerr.UnknownTopicOrPartition) {
		e := sqlerror.Externalf(sqlerror.CodeUnknownObject, "topic %s does not exist", topic).Final().About("source " + cfg.Name)
		all, listErr := kadm.NewClient(cl).ListTopics(ctx)
		if listErr != nil {
			return e
		}
		if near := sqlerror.Nearest(topic, all.Names()); near != "" {
			return e.WithHint("did you mean %q?", near)
		}
		return e.WithHint("create it, or mend the options topic and brokers; the cluster has %d topics, none with a name like it", len(all))
	}
	if err != nil {
		return explained("ask the brokers for topic "+topic, err)
	}
	if len(m.partitions) == 0 {
		return nil
	}
	listed, err := kadm.NewClient(cl).ListStartOffsets(ctx, topic)
	if err == nil {
		err = listed.Error()
	}
	if err != nil && !kerr.IsRetriable(err) {
		return explained("ask where topic "+topic+" begins", err)
	}
	return nil
}
