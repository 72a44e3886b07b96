// Package protocol is the commit protocol of a lake table as decisions without
// I/O: what a stream's table remembers of it, and what a committer does when it
// starts, when a commit was refused, and when it got no answer.
//
// The table's property leat.stream.<name> holds a Record. It changes in the one
// commit that makes an epoch's rows visible, so it cannot disagree with them.
// Each start takes the next generation by a commit of its own; a commit is
// pinned to the record that it was decided on, so one that an earlier
// generation sends finds another record and fails, and its sender stops.
//
// A generation alone does not say whose it is: of two that start at once and
// get no answer, both would find the generation they asked for. So each start
// draws an Instance, and whether a commit is one's own is always asked of
// generation, instance and epoch together.
package protocol

import (
	"encoding/json"
	"fmt"
	"maps"
	"slices"
	"strings"
	"time"

	"github.com/leatdb/leat/connectors"
	"github.com/leatdb/leat/sql/sqlerror"
)

// Version is the newest form of a Record that this package reads. It writes the
// oldest that can hold the record, so that programs which do not know replays
// refuse those records only that have some.
const Version = 2

// plainVersion is the form of a record without replays.
const plainVersion = 1

// keyPrefix begins the property that holds a stream's Record.
const keyPrefix = "leat.stream."

// Key is the property that holds a stream's Record.
func Key(stream string) string { return keyPrefix + stream }

// Streams lists the streams that have a Record among the properties.
func Streams(properties map[string]string) []string {
	var names []string
	for key := range properties {
		if name, ok := strings.CutPrefix(key, keyPrefix); ok {
			names = append(names, name)
		}
	}
	slices.Sort(names)
	return names
}

// Record is what a table remembers of a stream.
type Record struct {
	V int `json:"v"`
	// ID names this life of the stream, from its first start until it is
	// dropped: names of files and marks of one life mean nothing to the next.
	ID string `json:"id"`
	// Generation counts the starts, Instance names the one that took it.
	Generation int64  `json:"generation"`
	Instance   string `json:"instance"`
	// Epoch is the last one committed, over all generations.
	Epoch     int64                           `json:"epoch"`
	Positions map[string]connectors.Positions `json:"positions,omitempty"`
	// PositionsFile holds the positions when they are too long for a property.
	PositionsFile string              `json:"positions_file,omitempty"`
	Counters      connectors.Counters `json:"counters"`
	// CommittedAt is when the epoch was committed, by the clock of who did it, in
	// UTC. Zero before the first epoch; older programs did not write it.
	CommittedAt time.Time `json:"committed_at,omitzero"`
	// Pending is what an epoch produced beside its rows and what is published
	// after its commit. It stays until the next epoch, which is not committed
	// before it is published.
	Pending   *Pending        `json:"pending,omitempty"`
	Operators json.RawMessage `json:"operator_state,omitempty"`
	// Columns are the field ids that the stream writes.
	Columns []int `json:"columns,omitempty"`
	// Replays are the replays of dead letters that are under way, and those that
	// the last epoch has finished. The record has version 2 while there are any.
	Replays []connectors.Replay `json:"replays,omitempty"`
	// DataLoss is what the source lost before the last epoch, where the commit has
	// no other place for it.
	DataLoss []connectors.DataLoss `json:"data_loss,omitempty"`
}

// Pending names the output of an epoch that is uploaded and not yet visible.
type Pending struct {
	Epoch       int64  `json:"epoch"`
	DeadLetters []File `json:"dead_letters,omitempty"`
	// Replayed are marks that say which letters a replay has taken. They are
	// appended to the same table by the same commit.
	Replayed []File `json:"replayed,omitempty"`
}

// Files are all files of the output.
func (p *Pending) Files() []File {
	return append(p.DeadLetters[:len(p.DeadLetters):len(p.DeadLetters)], p.Replayed...)
}

// File is an uploaded file.
type File struct {
	Path  string `json:"path"` // URI
	Rows  int64  `json:"rows"`
	Bytes int64  `json:"bytes"`
	// Upload and ETags are set for a file that is staged: it exists when the
	// commit that publishes it has been settled.
	Upload string   `json:"upload,omitempty"`
	ETags  []string `json:"etags,omitempty"`
}

// Decode reads a property. Empty text is no record, nil. A newer version is
// refused, since it may mean what this program would destroy.
func Decode(text string) (*Record, error) {
	if text == "" {
		return nil, nil
	}
	var version struct {
		V int `json:"v"`
	}
	if err := json.Unmarshal([]byte(text), &version); err != nil {
		return nil, corrupt("%w", err)
	}
	if version.V > Version {
		return nil, sqlerror.Userf(sqlerror.CodeUnsupported,
			"the table's state has version %d, this program knows up to %d", version.V, Version).
			WithHint("a newer Leat has written it; run that or a newer one")
	}
	var r Record
	if err := json.Unmarshal([]byte(text), &r); err != nil {
		return nil, corrupt("%w", err)
	}
	if r.V < 1 || r.ID == "" || r.Instance == "" || r.Generation < 1 || r.Epoch < 0 || r.Pending != nil && r.Pending.Epoch > r.Epoch {
		return nil, corrupt("%.200s", text)
	}
	return &r, nil
}

func corrupt(format string, args ...any) error {
	return sqlerror.Userf(sqlerror.CodeConflict, "the table's property holds no state of a stream: "+format, args...).
		WithHint("another program has changed the table's leat.* properties; restore them, or DROP TABLE")
}

// Encode is the property's text.
func (r Record) Encode() (string, error) {
	r.V = plainVersion
	if len(r.Replays) > 0 {
		r.V = Version
	}
	text, err := json.Marshal(r)
	if err != nil {
		return "", fmt.Errorf("encode the stream's state: %w", err)
	}
	return string(text), nil
}

// State is what the engine sees of a record whose positions are complete.
func (r Record) State() connectors.State {
	return connectors.State{
		Life: r.ID, Generation: r.Generation, Epoch: r.Epoch, Positions: r.Positions, Counters: r.Counters, CommittedAt: r.CommittedAt,
		Operators: r.Operators, Replays: r.Replays,
	}
}

// Start is the record that a start commits over the one that it found (nil if
// the stream has none): the next generation in the name of instance, all else
// as it was. id names the stream's life if it begins.
func (rules Rules) Start(found *Record, id, instance string, columns []int) Record {
	if found == nil {
		return Record{V: plainVersion, ID: id, Generation: 1, Instance: instance, Columns: columns}
	}
	next := *found
	next.Generation++
	next.Instance = instance
	next.Columns, next.DataLoss = union(found.Columns, columns), nil
	if rules.lacks(RulePending) {
		next.Pending = nil
	}
	return next
}

func union(a, b []int) []int {
	all := map[int]bool{}
	for _, list := range [][]int{a, b} {
		for _, id := range list {
			all[id] = true
		}
	}
	return slices.Sorted(maps.Keys(all))
}

// Next is the record that an epoch commits after base. The state must be of
// base's generation and of the epoch that follows. When it was committed, who
// sends the record fills in.
func (rules Rules) Next(base Record, state connectors.State, pending *Pending) (Record, error) {
	if state.Generation != base.Generation || state.Epoch != base.Epoch+1 && !rules.lacks(RuleOrder) {
		return Record{}, &sqlerror.Error{Code: sqlerror.CodeInternal, Message: fmt.Sprintf(
			"commit generation %d epoch %d after generation %d epoch %d", state.Generation, state.Epoch, base.Generation, base.Epoch)}
	}
	if err := goesOn(base.Replays, state.Replays); err != nil {
		return Record{}, err
	}
	next := base
	next.Epoch = state.Epoch
	next.Positions, next.PositionsFile = state.Positions, ""
	next.Replays, next.DataLoss = state.Replays, nil
	next.Counters, next.Operators, next.Pending = state.Counters, state.Operators, pending
	next.CommittedAt = time.Time{}
	return next, nil
}

// goesOn checks that an epoch drops no replay that is not finished and takes none
// back.
func goesOn(base, next []connectors.Replay) error {
	for _, b := range base {
		i := slices.IndexFunc(next, func(n connectors.Replay) bool { return n.ID == b.ID })
		if i < 0 && !b.Finished() || i >= 0 && (next[i].Done < b.Done || next[i].Offset < b.Offset || next[i].File != b.File || next[i].Letters != b.Letters) {
			return &sqlerror.Error{Code: sqlerror.CodeInternal, Message: fmt.Sprintf("replay %s goes on from %+v as %+v", b.ID, b, next)}
		}
	}
	return nil
}

// same reports whether two records were written by the same commit.
func same(a, b *Record) bool {
	if a == nil || b == nil {
		return a == b
	}
	return a.ID == b.ID && a.Generation == b.Generation && a.Instance == b.Instance && a.Epoch == b.Epoch
}

// Verdict is what the record that a table holds means for a commit that is to
// be tried, or was tried with an unknown outcome.
type Verdict uint8

const (
	// Try: the table is as the commit needs it; (re)build the commit on it.
	Try Verdict = iota
	// Done: the commit has happened.
	Done
	// Fenced: a newer generation has taken over; stop for good.
	Fenced
	// Gone: the stream's state was removed: it was dropped.
	Gone
	// Rolled: the state is older than what was committed: somebody has put the
	// table back. Neither going on nor trying again can be right.
	Rolled
)

// String is the verdict's name.
func (v Verdict) String() string {
	return [...]string{"try", "done", "fenced", "gone", "rolled back"}[v]
}

// DecideStart says what a start does that wants to commit next over base, when
// the table holds found. Try means over found, whatever it is: the start takes
// the generation after found's.
func (rules Rules) DecideStart(next Record, found *Record) Verdict {
	if found != nil && (found.Instance == next.Instance || rules.lacks(RuleInstance) && found.Generation == next.Generation) {
		return Done
	}
	return Try
}

// DecideCommit says what the commit of next over base does when the table holds
// found.
func (rules Rules) DecideCommit(base, next Record, found *Record) Verdict {
	switch {
	case found == nil:
		return Gone
	case found.ID != base.ID:
		return Fenced // dropped and created anew
	case found.Generation > base.Generation && rules.lacks(RuleFence):
		return Try
	case found.Generation > base.Generation, found.Generation == base.Generation && found.Instance != base.Instance && !rules.lacks(RuleInstance):
		return Fenced
	case found.Generation < base.Generation:
		return Rolled
	case rules.lacks(RuleOutcome) && found.Epoch == next.Epoch, rules.lacks(RuleOrder):
		return Try
	case found.Epoch == next.Epoch:
		return Done
	case found.Epoch == base.Epoch:
		return Try
	case found.Epoch < base.Epoch:
		return Rolled
	}
	return Fenced // ahead of us in our own name: somebody has forged it
}

// DecideDrop says what the removal of base does when the table holds found.
func (rules Rules) DecideDrop(base Record, found *Record) Verdict {
	if found == nil {
		return Done
	}
	if same(&base, found) {
		return Try
	}
	if v := rules.DecideCommit(base, base, found); v == Rolled {
		return Rolled
	}
	return Fenced
}

// Err is the error of a verdict that ends the stream, nil for the others.
func (v Verdict) Err(stream string, found *Record) error {
	switch v {
	case Fenced:
		return sqlerror.Userf(sqlerror.CodeFenced, "stream %s: generation %d has taken over", stream, found.Generation).
			WithHint("another instance runs the stream; stop one of the two")
	case Gone:
		return sqlerror.Userf(sqlerror.CodeFenced, "stream %s: its state is no longer in the table", stream).
			WithHint("the stream was dropped elsewhere; CREATE STREAM begins anew")
	case Rolled:
		return sqlerror.Userf(sqlerror.CodeConflict, "stream %s: the table's state went back to generation %d, epoch %d", stream, found.Generation, found.Epoch).
			WithHint("somebody has replaced the table's metadata; START STREAM goes on from there")
	}
	return nil
}
