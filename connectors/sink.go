package connectors

import (
	"context"
	"encoding/json"
	"errors"
	"time"

	"github.com/apache/arrow-go/v18/arrow"

	"github.com/leatdb/leat/sql/types"
)

// Counters reconcile what a stream read with what became of it, since the
// stream began: RowsIn + RowsExploded = RowsLanded + RowsFiltered + RowsDead.
type Counters struct {
	RecordsIn    int64 `json:"records_in"`    // records or lines read
	RecordsEmpty int64 `json:"records_empty"` // tombstones and empty records among them
	RowsIn       int64 `json:"rows_in"`       // decoded values, the good and the bad
	RowsExploded int64 `json:"rows_exploded"` // rows that flattening added (or took away, negative)
	RowsLanded   int64 `json:"rows_landed"`
	RowsFiltered int64 `json:"rows_filtered"`
	RowsDead     int64 `json:"rows_dead"`
	// RowsReplayed is how many of RowsIn were dead letters that a replay has read
	// again, so that RowsIn − RowsReplayed came from the source.
	RowsReplayed int64 `json:"rows_replayed,omitempty"`
}

// Add adds d to c.
func (c *Counters) Add(d Counters) {
	c.RecordsIn += d.RecordsIn
	c.RecordsEmpty += d.RecordsEmpty
	c.RowsIn += d.RowsIn
	c.RowsExploded += d.RowsExploded
	c.RowsLanded += d.RowsLanded
	c.RowsFiltered += d.RowsFiltered
	c.RowsDead += d.RowsDead
	c.RowsReplayed += d.RowsReplayed
}

// Reconciled reports whether every value is accounted for once.
func (c Counters) Reconciled() bool {
	return c.RowsIn+c.RowsExploded == c.RowsLanded+c.RowsFiltered+c.RowsDead
}

// State is what a stream's table remembers of it: the checkpoint. It is
// committed in one act with the rows that it accounts for.
type State struct {
	// Life names this life of the stream, from its first start until it is
	// dropped.
	Life       string
	Generation int64 // which start of the stream wrote it; 0 is "never started"
	Epoch      int64 // the last committed epoch, counted from 1 over all generations
	// Positions by source name, then by split.
	Positions map[string]Positions
	Counters  Counters
	// CommittedAt is when the epoch was committed, in UTC; zero before the first,
	// and where the state was written by a Leat that did not note it.
	CommittedAt time.Time
	// Operators is the handle of the operators' state, opaque to the sink.
	Operators json.RawMessage
	// Replays are those that have begun and that no later epoch has found
	// finished.
	Replays []Replay
}

// Replay is the bounded split replay/<ID>: dead letters that are read again, as
// they were chosen when it began. How far it has come is committed with the
// rows that it lands, like the position of any split.
type Replay struct {
	ID      string `json:"id"`
	File    string `json:"file"`    // URI of the letters, the sink's own
	Letters int64  `json:"letters"` // that were chosen
	Done    int64  `json:"done"`    // of them
	Offset  int64  `json:"offset"`  // in File, of those that follow
}

// Split is the replay's name among the splits.
func (r Replay) Split() string { return "replay/" + r.ID }

// Finished reports whether all letters have been read again.
func (r Replay) Finished() bool { return r.Done >= r.Letters }

// ReplayRequest asks a commit to begin a replay.
type ReplayRequest struct {
	ID string
	// Choose calls take for each letter that the replay is to read again. It is
	// called when everything that earlier replays have taken is marked in the
	// table of dead letters. The letter is lent to take.
	Choose func(ctx context.Context, take func(DeadLetter) error) error
}

// Replayer is implemented by a StreamSink whose dead letters can be read again.
// Its Commit does what CommitInfo.Replay asks for.
type Replayer interface {
	// ReadReplay appends the next letters of a replay to letters, which is what it
	// returned last or nil, and says how far the replay then is. It is called by
	// one lane, also while Commit runs. A retryable error has read nothing.
	ReadReplay(ctx context.Context, r Replay, letters []DeadLetter) (list []DeadLetter, next Replay, err error)
}

// PartitionField is one element of PARTITIONED BY.
type PartitionField struct {
	// Name of the column (or, with Transform, of the partition field).
	Name string
	// Column is the index of the column in StreamSpec.Schema that holds the
	// value, or that the transform is applied to.
	Column int
	// Transform is one of Iceberg's own: "identity", "day", "hour", "bucket[16]",
	// "truncate[4]".
	Transform string
}

// StreamSpec is what a sink has to know of a stream that writes to it.
type StreamSpec struct {
	Stream    string // the stream's name
	Table     string // the table within the sink
	Schema    types.Schema
	Partition []PartitionField
	// Selected is how many columns of Schema, the first, the query has selected;
	// those behind hold what PARTITIONED BY and Exprs need beside them.
	Selected int
	// Exprs has, by the name of an option of kind OptionExpression that the stream
	// gives, the column of Schema that holds its values.
	Exprs   map[string]int
	Options Options // the stream's own commit options over the sink's
	Lanes   int
	// Unordered says that rows of a split may be mixed within a commit. Otherwise
	// what one lane has written of a split stays in its order in each file.
	Unordered bool
	// Adopt registers metadata found at the table's location that the catalog
	// does not know.
	Adopt bool
	// Dropping says that the stream is dropped: nothing is made for it, and its
	// target may be gone.
	Dropping bool
	// MemoryBytes bounds what all lanes hold in open files.
	MemoryBytes int64
	// Retrying as in SourceConfig.
	Retrying func(error)
	// Doing is told how far the sink is with what has many parts, files to complete or
	// partitions to register, as people read it, and "" when that is over.
	Doing func(text string)
	// Location is the zone in which folders are named after times; nil is UTC.
	Location *time.Location
	Now      func() time.Time
	Logger   Logger
}

// WithDefaults fills in what who opens a stream may leave out; the logger is the
// sink's.
func (s StreamSpec) WithDefaults(logger Logger) StreamSpec {
	if s.Retrying == nil {
		s.Retrying = func(error) {}
	}
	if s.Doing == nil {
		s.Doing = func(string) {}
	}
	if s.Now == nil {
		s.Now = time.Now
	}
	if s.Logger == nil {
		s.Logger = logger
	}
	s.Lanes = max(s.Lanes, 1)
	return s
}

// Sink is an opened sink: a lake folder with a catalog.
type Sink interface {
	// Check verifies without writing rows that the sink can be used: that the
	// bucket exists, credentials fit, the catalog answers.
	Check(ctx context.Context) error
	// Stream prepares writing of one stream: it creates the table if there is
	// none and checks or evolves its schema (new nullable columns, widened
	// types; everything else is refused with the way out). It commits nothing of
	// the stream.
	Stream(ctx context.Context, spec StreamSpec) (StreamSink, error)
	Close() error
}

// RowChecker is a Sink that cannot land every row.
type RowChecker interface {
	// RowCheck makes a check for the rows of one lane of a stream, nil if all can
	// be landed.
	RowCheck(spec StreamSpec) (RowCheck, error)
}

// RowCheck finds rows that a sink cannot land, so that their values become dead
// letters. It belongs to one lane.
type RowCheck interface {
	// Check calls reject for each of the rows that cannot be landed.
	Check(rows CheckedRows, reject func(row int32, err error))
}

// CheckedRows are the rows that a RowCheck looks at.
type CheckedRows struct {
	Columns []arrow.Array // those of StreamSpec.Schema
	N       int           // how many rows the columns have
	Sel     []int32       // the rows to look at, in order; nil for all
	// Values and Position are those of the Delta that the rows will be.
	Values   []int32
	Position func(dst []byte, value int32) []byte
}

// Selected calls f for each row to look at, in order.
func (r *CheckedRows) Selected(f func(row int32)) {
	if r.Sel == nil {
		for row := range int32(r.N) {
			f(row)
		}
		return
	}
	for _, row := range r.Sel {
		f(row)
	}
}

// RejectError is what RowCheck.Check rejects a row with where the dead letter's
// class is not ClassPartition.
type RejectError struct {
	Class ErrorClass
	Err   error
}

func (e *RejectError) Error() string { return e.Err.Error() }

func (e *RejectError) Unwrap() error { return e.Err }

// StreamSink commits the epochs of one stream. Methods are called by one
// goroutine, the writers' methods by their lanes.
type StreamSink interface {
	// Begin takes the next generation by a commit of its own and returns the
	// state that this very commit left. For a stream that was never started the
	// positions are taken from initial and committed with the first generation;
	// resumed tells which it was. What earlier epochs left pending is finished
	// before Begin returns.
	Begin(ctx context.Context, initial func(ctx context.Context) (map[string]Positions, error)) (state State, resumed bool, err error)

	// Writer is lane's writer, the same one for the whole generation.
	Writer(lane int) LaneWriter

	// Commit makes an epoch durable and visible in one act: the sealed output of
	// all lanes and the state after it, whose Generation must be ours and whose
	// Epoch the one that follows the last. It retries what can be retried until
	// ctx ends. An error carrying sqlerror.CodeFenced means a newer generation
	// has taken over: stop for good.
	Commit(ctx context.Context, state State, sealed []Sealed, info CommitInfo) (CommitResult, error)

	// Abort throws away everything written since the last Commit, so that lanes
	// can begin again from its positions.
	Abort(ctx context.Context) error

	// Drop removes the stream's state from the table in a last commit; the table
	// stays.
	Drop(ctx context.Context) error

	// Close frees everything; uncommitted output is thrown away.
	Close() error
}

// CommitInfo is what a commit records beside the state.
type CommitInfo struct {
	DataLoss []DataLoss
	// Replay asks a Replayer to begin a replay with this epoch: the commit adds it
	// to the state and marks its letters as taken.
	Replay *ReplayRequest
}

// CommitResult is what a commit did.
type CommitResult struct {
	Files       int
	Bytes       int64
	CommittedAt time.Time
	// Replay is the one that the epoch has begun; one of no letters is finished
	// and not in the state. ReplayErr says why the letters could not be chosen; the
	// epoch is committed without the replay then. ReplayLeft counts letters that
	// were chosen and left out: they are of an earlier life of the stream, and this
	// one has read for itself what they were made of.
	Replay     *Replay
	ReplayErr  error
	ReplayLeft int64
}

// Sealed is what one lane wrote in an epoch, opaque to the dataflow.
type Sealed interface {
	// Rows and Bytes that were written, dead letters not counted.
	Rows() int64
	Bytes() int64
}

// LaneWriter takes the rows of one lane. It blocks while the memory budget is
// used up and uploads are behind.
type LaneWriter interface {
	// Write takes a step's rows. The delta is lent.
	Write(ctx context.Context, d Delta) error
	// DeadLetter takes rejected values. The letters and their bytes are lent.
	DeadLetter(ctx context.Context, letters []DeadLetter) error
	// Seal ends the epoch for this lane: it finishes the files and hands them
	// over. Uploads may go on; Commit waits for them.
	Seal(ctx context.Context) (Sealed, error)
	// Buffered is how many bytes lie in open files and buffers.
	Buffered() int64
	// Written is how many encoded bytes were written in this epoch so far; it
	// drives commits by size.
	Written() int64
}

// Ordered is a StreamSink whose rows have an order: those of a split are to be
// written in the order in which the source has handed them out, whichever lanes
// compute them.
type Ordered interface {
	Ordered() bool
}

// Ledger keeps for streams into sinks that are no tables what these have no place
// for: dead letters, and where the sink cannot commit it together with rows, the
// streams' state. The engine gives sinks one that is a lake
// (SinkConfig.Ledger).
type Ledger interface {
	// Keep is the part of a StreamSink that has no rows: its writers take dead
	// letters only. It is a Replayer. Its state is in store, or with nil in a log of the ledger.
	Keep(ctx context.Context, spec StreamSpec, store StateStore) (StreamSink, error)
}

// StateStore holds the state of one stream as a text in a system that can commit
// it in one act with the stream's rows.
type StateStore interface {
	// Load is the text that the newest commit of whatever instance has left, empty
	// if there is none. It does not return before the outcome of every commit that
	// was sent before is known.
	Load(ctx context.Context) (string, error)
	// Commit makes the text, and all rows written since the last Commit, durable
	// and visible in one act; an empty text removes the state. After an error it is
	// unknown whether it has happened: Load tells. If it has not, it cannot be
	// repeated, since the rows are gone: Commit then fails with ErrBeginAgain
	// until the sink has begun anew.
	Commit(ctx context.Context, text string) error
}

// StateHistory is a Sink that keeps the states which its streams had before for a
// while.
type StateHistory interface {
	// States are the newest of them, the oldest first.
	States(ctx context.Context, stream string) ([]KeptState, error)
	// State is the one that the stream would go on from, however old it is, and empty
	// where there is none: what StateStore.Load gives.
	State(ctx context.Context, stream string) (text string, err error)
}

// KeptState is what a StateStore has committed.
type KeptState struct {
	Text string // empty where the state was removed
	At   time.Time
}

// ErrBeginAgain says that a StateStore's commit is not to be repeated: the stream
// has to begin again from the state that was committed last.
var ErrBeginAgain = errors.New("the stream has to begin again from its last commit")

// Adviser is a Sink that knows what to change about the system it writes to,
// which is fit for use otherwise. What it cannot find out it leaves out.
type Adviser interface {
	Advise(ctx context.Context) []string
}

// RecordKeeper is a LaneWriter that can keep the records themselves.
type RecordKeeper interface {
	// KeepsRecords reports whether the stream wants it.
	KeepsRecords() bool
	// KeepRecords takes the records of a chunk of a source, before they are decoded,
	// for the same epoch as what becomes of them. The chunk is lent.
	KeepRecords(ctx context.Context, source string, chunk *Chunk) error
}

// Partitioned is a LaneWriter that tells how many partitions have rows in files
// that are still open, and from how many on it closes some early. It may be
// asked by any goroutine.
type Partitioned interface {
	OpenPartitions() int64
	MaxOpenPartitions() int64
}

// DeadLetter is a value that could not be landed.
type DeadLetter struct {
	Source   string
	Position string // where the value was, within its source
	Arrived  time.Time
	Class    ErrorClass
	Message  string
	Raw      []byte // exactly the value's bytes
	Attempt  int    // 1, and one more for each failed replay
	// Header is what Chunk.Header has to be for Raw to be decoded alone, and Hidden
	// the record's hidden columns that the query used, as a JSON object; both may
	// be empty.
	Header, Hidden []byte
	// ID names the letter among all. A sink gives it when it writes the letter.
	ID string
}
