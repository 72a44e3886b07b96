package kinesis

import (
	"bytes"
	"context"
	"sync/atomic"
	"time"

	"github.com/leatdb/leat/connectors"
	"github.com/leatdb/leat/internal/sched"
)

// Explain is what is said of an error of a call.
func Explain(err error) error {
	return explainTo("source s", SinkConnector.Spec.MustOptions("region", "r"), "s", reading, "read stream s", err)
}

// RecordOfPage is a record as a page holds it.
type RecordOfPage struct {
	Data, Key, Sequence string
	Arrived             int64
}

// ScanPage reads an answer of GetRecords.
func ScanPage(body []byte) (records []RecordOfPage, next string, behind int64, children []string, err error) {
	var p page
	if err := p.read(bytes.NewReader(body), int64(len(body))); err != nil {
		return nil, "", 0, nil, err
	}
	if err := p.scan(); err != nil {
		return nil, "", 0, nil, err
	}
	for _, r := range p.records {
		records = append(records, RecordOfPage{string(p.at(r.data)), string(p.at(r.key)), string(p.at(r.sequence)), r.arrived})
	}
	for _, c := range p.children {
		children = append(children, c.ShardID)
	}
	return records, p.next, p.behind, children, nil
}

// UserRecord is a record of an aggregate.
type UserRecord struct{ Data, Key, HashKey string }

// ParseAggregate takes an aggregate apart; ok tells that it is one.
func ParseAggregate(payload []byte) (records []UserRecord, ok bool) {
	if !isAggregate(payload) {
		return nil, false
	}
	var a aggregate
	if a.parse(payload) != nil {
		return nil, false
	}
	for _, r := range a.records {
		records = append(records, UserRecord{string(r.data), string(r.key), string(r.hashKey)})
	}
	return records, true
}

// InHashRange reports whether a user record belongs between two hash keys.
func InHashRange(from, to, key, hashKey string) bool {
	u := userRecord{key: []byte(key)}
	if hashKey != "" {
		u.hashKey = []byte(hashKey)
	}
	return parseHashRange(from, to).holds(&u)
}

// Inflate inflates a payload of at most limit bytes; nil when that fails.
func Inflate(payload []byte, limit, room int) []byte {
	d := decompressor{limit: limit}
	defer d.close()
	out, err := d.inflate([]byte("before"), payload, room)
	if err != nil {
		if string(out) != "before" {
			panic("what was before is gone")
		}
		return nil
	}
	return out[len("before"):]
}

// PaceAfter is pace.after.
func PaceAfter(calls, bytesPerSecond int64, idle time.Duration, bytes int64, atTip bool) (earliest, usual time.Duration) {
	return pace{calls, bytesPerSecond, idle}.after(bytes, atTip)
}

// Resubscribe is pace.resubscribe.
func Resubscribe(calls int64, sent, now time.Time, ended bool) time.Time {
	return pace{calls: calls}.resubscribe(sent, now, ended)
}

// Backoff is backoff.
func Backoff(failures int) time.Duration { return backoff(failures) }

// Budget is a budget.
type Budget struct{ budget }

// NewBudget is a budget of limit bytes.
func NewBudget(limit int) *Budget { return &Budget{budget{limit: limit}} }

// Reserve is budget.reserve.
func (b *Budget) Reserve(ctx context.Context, n int) error { return b.reserve(ctx, n) }

// Correct is budget.correct.
func (b *Budget) Correct(n int) { b.correct(n) }

// Used is how much is used.
func (b *Budget) Used() int {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.used
}

// BudgetUsed is how much memory a source's records and calls take.
func BudgetUsed(src connectors.Source) int {
	b := &src.(*source).budget
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.used
}

// SetSilence sets after how long a subscription counts as dead.
func SetSilence(src connectors.Source, d time.Duration) { src.(*source).silence = d }

// SinkWriter is the writer of a lane of a stream whose calls are taken as soon as
// they are made.
func SinkWriter(spec connectors.StreamSpec) (w connectors.LaneWriter, sent func() int64, closed func(), err error) {
	l, err := newLayout(spec)
	if err != nil {
		return nil, nil, nil, err
	}
	s := &streamSink{sink: &sink{cfg: connectors.SinkConfig{Options: spec.Options}, scheduler: sched.System{}}, spec: spec, layout: l, prefix: []byte("s-life/")}
	var records atomic.Int64
	s.sender = newSender(s, func(_ context.Context, c *call) error {
		records.Add(int64(len(c.records)))
		return nil
	})
	lane := newLaneWriter(s, nil)
	s.lanes = []*laneWriter{lane}
	lane.begin(s.sender)
	return lane, records.Load, s.stop, nil
}
