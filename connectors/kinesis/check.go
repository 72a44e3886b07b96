package kinesis

import (
	"context"
	"errors"

	"github.com/aws/aws-sdk-go-v2/service/kinesis"
	"github.com/aws/aws-sdk-go-v2/service/kinesis/types"

	"github.com/leatdb/leat/connectors"
	"github.com/leatdb/leat/sql/sqlerror"
)

// check finds out before a stream is made whether the data stream can be read.
// The error is retryable when the service cannot be reached, and final when it
// says no.
func check(ctx context.Context, cfg connectors.SourceConfig) error {
	opened, err := newSource(ctx, cfg)
	if err != nil {
		return err
	}
	defer func() { _ = opened.Close() }() // never fails
	s := opened
	sum, err := s.describe(ctx)
	if err != nil {
		return s.refused(ctx, err)
	}
	if s.consumer != nil {
		if err := s.checkConsumer(ctx, sum.id); err != nil {
			return s.refused(ctx, err)
		}
	}
	list, err := s.listShards(ctx)
	if err != nil {
		return s.refused(ctx, err)
	}
	if len(list) == 0 {
		return nil
	}
	// Reading is a permission of its own.
	ctx, cancel := context.WithTimeout(ctx, s.timeout)
	defer cancel()
	_, err = s.client.GetShardIterator(ctx, &kinesis.GetShardIteratorInput{
		StreamName: s.stream.name, StreamARN: s.stream.arn,
		ShardId: &list[len(list)-1].id, ShardIteratorType: types.ShardIteratorTypeLatest,
	})
	if err != nil && !isThrottled(err) {
		return s.refused(ctx, explain(s.cfg, "get an iterator of stream "+s.stream.String(), err))
	}
	return nil
}

// refused makes an error final when it is the service's answer, and names the
// stream that may have been meant.
func (s *source) refused(ctx context.Context, err error) error {
	e := sqlerror.As(err)
	if e == nil || e.Code == sqlerror.CodeExternal {
		return err
	}
	var notFound *types.ResourceNotFoundException
	if errors.As(err, &notFound) && s.stream.name != nil {
		out, listErr := s.client.ListStreams(ctx, &kinesis.ListStreamsInput{})
		if listErr == nil {
			e = sqlerror.Externalf(sqlerror.CodeUnknownObject, "stream %s does not exist", s.stream).About("source " + s.cfg.Name)
			if near := sqlerror.Nearest(*s.stream.name, out.StreamNames); near != "" {
				return e.WithHint("did you mean %q?", near).Final()
			}
			return e.WithHint("create it, or mend the options stream and region").Final()
		}
	}
	return e.Final()
}
