package lake

import (
	"context"
	"strconv"
	"strings"
	"time"

	"github.com/leatdb/leat/catalog"
	"github.com/leatdb/leat/connectors/lake/protocol"
	"github.com/leatdb/leat/internal/sched"
)

// orphanDelay is how long a stream is left alone before orphans are looked for beside
// it.
const orphanDelay = time.Minute

// removeOrphans deletes, in the background and once, data files that earlier starts of
// the stream have written and not committed, since they were killed. The start that
// has happened keeps them from committing any more: a commit asserts the snapshot that
// it was built on, which is not the table's any more, by the record of its own
// generation, which another has taken the place of. What is too young when the stream
// starts is looked for once more when it is old enough.
func (s *streamSink) removeOrphans() {
	table, ok := s.target.Committer.(catalog.OrphanRemover)
	if !ok || s.kept || s.endOrphans != nil {
		return
	}
	orphans := s.orphans(s.base)
	ctx, cancel := context.WithCancel(context.Background())
	m := s.sink.scheduler.NewMonitor()
	running := true
	s.endOrphans = func() {
		cancel()
		m.Lock()
		defer m.Unlock()
		for running {
			m.Wait()
		}
	}
	s.sink.scheduler.Go("remove orphans of "+s.spec.Stream, func() {
		age := orphans.Age.Abs()
		for _, wait := range []time.Duration{min(orphanDelay, age), age} {
			if sched.Sleep(ctx, s.sink.scheduler, wait) != nil {
				break
			}
			removed, err := table.RemoveOrphans(ctx, orphans)
			if err != nil && ctx.Err() == nil {
				s.spec.Logger.Info("files that no commit names are left where they are", "stream", s.spec.Stream, "table", s.spec.Table, "reason", err)
			}
			if removed > 0 {
				s.spec.Logger.Info("files of earlier starts that no commit names removed", "stream", s.spec.Stream, "table", s.spec.Table, "files", removed)
			}
		}
		m.Lock()
		running = false
		m.Broadcast()
		m.Unlock()
	})
}

// orphans are the files of earlier starts than the one that has committed base.
func (s *streamSink) orphans(base protocol.Record) catalog.Orphans {
	return catalog.Orphans{
		Age: s.sink.orphanAge,
		Mine: func(name string) bool {
			generation, ok := generationOf(name, s.spec.Stream, base.ID)
			return ok && s.sink.rules.Orphans(base, generation)
		},
		Fenced: func(properties map[string]string) bool {
			found, err := protocol.Decode(properties[s.key])
			return err == nil && found != nil && found.ID == base.ID &&
				(found.Generation > base.Generation || found.Generation == base.Generation && found.Instance == base.Instance)
		},
	}
}

// generationOf is the generation in a name that laneWriter.fileName has given in a
// life of a stream; ok is false for any other name.
func generationOf(name, stream, life string) (generation int64, ok bool) {
	rest, ok := strings.CutPrefix(name, safeName(stream, 80)+"-")
	if ok {
		rest, ok = strings.CutSuffix(rest, letterSuffix(life))
	}
	numbers := strings.Split(rest, "-")
	if !ok || len(numbers) != 4 {
		return 0, false
	}
	for i := len(numbers) - 1; i >= 0; i-- {
		var err error
		if generation, err = strconv.ParseInt(numbers[i], 10, 64); err != nil || generation < 0 || strconv.FormatInt(generation, 10) != numbers[i] {
			return 0, false
		}
	}
	return generation, true
}
