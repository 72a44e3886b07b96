package kinesis

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	awsmiddleware "github.com/aws/aws-sdk-go-v2/aws/middleware"
	"github.com/aws/aws-sdk-go-v2/service/kinesis"
	"github.com/aws/aws-sdk-go-v2/service/kinesis/types"

	"github.com/leatdb/leat/connectors"
	"github.com/leatdb/leat/sql/sqlerror"
)

// shardInfo is what a listing says of a shard.
type shardInfo struct {
	id      string
	parents []string
	hashes  hashRange
	closed  bool
}

// summary is what the service says of the stream.
type summary struct {
	id        identity
	retention time.Duration
	now       time.Time // by the service's clock, to the second below
}

func (s *source) describe(ctx context.Context) (summary, error) {
	ctx, cancel := context.WithTimeout(ctx, s.timeout)
	defer cancel()
	out, err := s.client.DescribeStreamSummary(ctx, &kinesis.DescribeStreamSummaryInput{StreamName: s.stream.name, StreamARN: s.stream.arn})
	if err == nil && out.StreamDescriptionSummary == nil {
		err = errors.New("the answer is empty")
	}
	if err != nil {
		return summary{}, explain(s.cfg, "look up stream "+s.stream.String(), err)
	}
	d := out.StreamDescriptionSummary
	if d.StreamStatus == types.StreamStatusCreating || d.StreamStatus == types.StreamStatusDeleting {
		return summary{}, sqlerror.Externalf(sqlerror.CodeExternal, "stream %s is %s", s.stream, d.StreamStatus).About("source " + s.cfg.Name)
	}
	sum := summary{
		id:        identity{Stream: aws.ToString(d.StreamARN), Created: aws.ToTime(d.StreamCreationTimestamp).UnixMilli()},
		retention: time.Duration(aws.ToInt32(d.RetentionPeriodHours)) * time.Hour,
		now:       s.cfg.Now(),
	}
	if at, ok := awsmiddleware.GetServerTime(out.ResultMetadata); ok {
		sum.now = at
	}
	if sum.retention <= 0 {
		sum.retention = 24 * time.Hour // the service's default
	}
	if sum.id.Stream == "" {
		sum.id.Stream = s.stream.String()
	}
	return sum, nil
}

func (s *source) listShards(ctx context.Context) ([]shardInfo, error) {
	ctx, cancel := context.WithTimeout(ctx, s.timeout)
	defer cancel()
	var list []shardInfo
	in := &kinesis.ListShardsInput{StreamName: s.stream.name, StreamARN: s.stream.arn}
	for {
		out, err := s.client.ListShards(ctx, in)
		if err != nil {
			return nil, explain(s.cfg, "list the shards of stream "+s.stream.String(), err)
		}
		for i := range out.Shards {
			list = append(list, newShardInfo(&out.Shards[i]))
		}
		if aws.ToString(out.NextToken) == "" {
			return list, nil
		}
		in = &kinesis.ListShardsInput{NextToken: out.NextToken}
	}
}

func newShardInfo(d *types.Shard) shardInfo {
	info := shardInfo{id: aws.ToString(d.ShardId)}
	for _, parent := range []*string{d.ParentShardId, d.AdjacentParentShardId} {
		if id := aws.ToString(parent); id != "" {
			info.parents = append(info.parents, id)
		}
	}
	if r := d.HashKeyRange; r != nil {
		info.hashes = parseHashRange(aws.ToString(r.StartingHashKey), aws.ToString(r.EndingHashKey))
	}
	if r := d.SequenceNumberRange; r != nil {
		info.closed = aws.ToString(r.EndingSequenceNumber) != ""
	}
	return info
}

func (s *source) Splits(ctx context.Context, first bool, known connectors.Positions) ([]connectors.Split, error) {
	sum, err := s.describe(ctx)
	if err != nil {
		return nil, err
	}
	if s.subscribes() {
		if _, err := s.consumerARN(ctx, sum.id, ""); err != nil {
			return nil, err
		}
	}
	list, err := s.listShards(ctx)
	if err != nil {
		return nil, err
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.id != (identity{}) && s.id != sum.id {
		if err := s.replace(sum.id); err != nil {
			return nil, err
		}
	}
	s.id, s.retention = sum.id, sum.retention
	clear(s.listed)
	for _, info := range list {
		s.listed[info.id] = info
	}
	clear(s.dropped)
	if first {
		return s.firstSplits(list, sum)
	}
	return s.moreSplits(list, known)
}

// firstSplits resolves the start option.
func (s *source) firstSplits(list []shardInfo, sum summary) ([]connectors.Split, error) {
	now := s.nowMillis()
	at := s.start.millis
	switch {
	case s.start.latest:
		at = sum.now.UnixMilli()
	case at > max(now, sum.now.UnixMilli())+1000:
		return nil, sqlerror.Userf(sqlerror.CodeBadOption, "option %q: %s is still to come", "start", time.UnixMilli(at).UTC().Format(time.RFC3339)).
			About("source " + s.cfg.Name).WithHint("to read what comes from now on, write start = 'latest'")
	}
	splits := make([]connectors.Split, 0, len(list))
	for _, info := range list {
		pos := position{identity: s.id, Parents: info.parents, Since: now}
		if at >= 0 {
			pos.At = at
		}
		if s.start.latest && info.closed {
			pos.Finished = now // all of it was before
		}
		splits = append(splits, connectors.Split{ID: info.id, Start: pos.encode()})
	}
	return splits, nil
}

// moreSplits compares the committed positions that are not assigned yet with
// what the stream holds, and finds new shards. The caller holds mu.
func (s *source) moreSplits(list []shardInfo, known connectors.Positions) ([]connectors.Split, error) {
	now := s.nowMillis()
	clear(s.overrides)
	// The shards whose fate is known: read, being read, or to be read.
	present := map[string]position{}
	for id, at := range known {
		pos, err := s.check(id, at)
		if err != nil {
			return nil, err
		}
		if !s.dropped[id] {
			present[id] = pos
		}
	}
	splits := make([]connectors.Split, 0, len(list))
	var added []string
	for _, info := range list {
		_, isKnown := present[info.id]
		pos := position{identity: s.id, Parents: info.parents, Since: now}
		splits = append(splits, connectors.Split{ID: info.id, Start: pos.encode()})
		if !isKnown && s.shards[info.id] == nil {
			present[info.id] = pos
			added = append(added, info.id)
		}
	}
	for id, sh := range s.shards {
		present[id] = sh.pos
	}
	if len(known) > 0 {
		if err := s.checkGaps(added, present); err != nil {
			return nil, err
		}
	}
	s.forget(present)
	return splits, nil
}

// check finds out whether what a position says is still there.
func (s *source) check(id string, at connectors.Position) (position, error) {
	info, isListed := s.listed[id]
	pos, err := parsePosition(id, at)
	switch {
	case err != nil || s.shards[id] != nil || at == "":
		return pos, err
	case pos.identity != s.id:
		loss := connectors.DataLoss{Split: id, From: at, Records: -1, Reason: "the stream was deleted and created again"}
		if pos.Finished == 0 && !s.replaced[pos.identity] {
			if err := s.note(loss); err != nil {
				return pos, err
			}
		}
		if !isListed {
			s.dropped[id] = true
			return pos, nil
		}
		pos = position{identity: s.id, Parents: info.parents, Since: s.nowMillis()}
		s.overrides[id] = pos
	case !isListed && pos.Finished == 0:
		if err := s.note(expiredShard(id, at)); err != nil {
			return pos, err
		}
		pos.Finished = s.nowMillis()
		s.overrides[id] = pos
	}
	return pos, nil
}

func expiredShard(id string, at connectors.Position) connectors.DataLoss {
	return connectors.DataLoss{Split: id, From: at, Records: -1, Reason: "the shard has expired before it was read to its end"}
}

// checkGaps looks for shards that have come and gone without having been seen:
// the parents of new shards, and the children of those that were read long ago.
func (s *source) checkGaps(added []string, present map[string]position) error {
	noted := map[string]bool{}
	for _, id := range added {
		for _, parent := range present[id].Parents {
			if _, ok := present[parent]; ok || noted[parent] {
				continue
			}
			noted[parent] = true
			loss := connectors.DataLoss{Split: parent, Records: -1, Reason: "the shard came and expired without having been read"}
			if err := s.note(loss); err != nil {
				return err
			}
		}
	}
	for id, pos := range present {
		if pos.Finished == 0 || !s.isOver(id, pos) || hasChild(id, present) {
			continue
		}
		loss := connectors.DataLoss{Split: id, From: pos.encode(), Records: -1, Reason: "the shards that followed it expired without having been read"}
		if err := s.note(loss); err != nil {
			return err
		}
	}
	return nil
}

// isOver reports whether a finished shard need not be remembered any more: it
// was read longer ago than anything is kept, and is listed no more.
func (s *source) isOver(id string, pos position) bool {
	_, isListed := s.listed[id]
	return !isListed && s.cfg.Now().After(time.UnixMilli(pos.Finished).Add(s.retention))
}

func hasChild(id string, present map[string]position) bool {
	for _, pos := range present {
		if slices.Contains(pos.Parents, id) {
			return true
		}
	}
	return false
}

// forget lets go of shards that are over.
func (s *source) forget(present map[string]position) {
	for id, pos := range present {
		if pos.Finished == 0 || !s.isOver(id, pos) {
			continue
		}
		s.dropped[id] = true
		if sh := s.shards[id]; sh != nil {
			s.remove(sh)
		}
	}
}

// adopt begins to read the shards that a closed one named as its children. They
// would be found by the next listing, too. The caller holds mu.
func (s *source) adopt(of *shard, children []childShard) {
	for _, child := range children {
		if child.ShardID == "" || s.shards[child.ShardID] != nil {
			continue
		}
		parents := child.ParentShards
		if len(parents) == 0 {
			parents = []string{of.id}
		}
		pos := position{identity: of.pos.identity, Parents: parents, Since: s.nowMillis()}
		s.add(child.ShardID, pos, parseHashRange(child.HashKeyRange.StartingHashKey, child.HashKeyRange.EndingHashKey))
		s.cfg.Logger.Debug("shard found", "source", s.cfg.Name, "shard", child.ShardID, "parents", fmt.Sprint(parents))
	}
}
