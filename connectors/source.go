package connectors

import (
	"cmp"
	"context"
	"errors"
	"io"
	"slices"
	"time"

	"github.com/leatdb/leat/sql/sqlerror"
	"github.com/leatdb/leat/sql/types"
)

// Position is how far a split has been read: a short text that only the
// connector that made it understands (by custom a JSON object) and that names
// what it belongs to (topic id, file size and ETag), so that it is never
// applied to another topic or file of the same name. It is committed with the
// rows that were read up to it. Empty means "from the beginning".
type Position string

// Positions are the positions of a source's splits by split id.
type Positions map[string]Position

// Split is one independently readable part of a source: a Kafka partition, a
// shard, a file. Its ID is stable across restarts and is what positions,
// counters and dead letters name.
type Split struct {
	ID string
	// Start is where a stream that has no position for this split begins.
	Start Position
}

// Source reads the records of one source for one stream. A stream opens a
// source of its own; nothing is shared between streams.
//
// The life of a Source is Splits, Assign, then Poll from several lanes, with
// Splits and Assign repeated to pick up what appears while running; Close ends
// it. Poll, Positions and Progress may be called at any time from any
// goroutine; the other methods are called by one goroutine, also while Poll
// runs.
type Source interface {
	// Splits lists the splits that exist now. With first set no position was
	// ever committed for this stream: each split's Start is then where the
	// source's start option says (and what stop = 'latest' means is written
	// into it). Otherwise a split that known does not hold starts at its
	// beginning. A known split that is gone and was not read to its end, or that
	// has another identity than its position, is data loss: a *DataLossError
	// unless on_data_loss is 'skip', which records it (see DataLoss).
	// Fails with a retryable error while the system is out of reach.
	Splits(ctx context.Context, first bool, known Positions) ([]Split, error)

	// Assign adds splits to read, each from its Position. Splits already
	// assigned are left as they are. It does not wait for data.
	Assign(ctx context.Context, positions Positions) error

	// Poll fills c with the next chunk of any assigned split and blocks until
	// there is one. Chunks of a split come out in order; several lanes may hold
	// chunks of one split at a time. lane is 0 … lanes−1 and lets a source keep
	// a split with a lane where there are enough splits for all.
	//
	// Returns io.EOF when every assigned split has been read to its end and a
	// bounded source has no more (an unbounded source never returns it), and
	// ctx.Err() when ctx ends; in both cases nothing was consumed. A retryable
	// error also consumed nothing and leaves the source usable: poll again.
	// Any other error consumed nothing either and ends the stream, once what was
	// polled before is committed.
	Poll(ctx context.Context, lane int, c *Chunk) error

	// Positions is how far Poll has got: a position for every split that has to
	// be remembered, just behind the last record that any Poll has returned. It
	// replaces what was committed before as a whole.
	Positions() Positions

	// Ends is how far the source reached when Ends was called: a position for
	// each split that has anything to read. FLUSH waits until Reached says that
	// all of them are passed.
	Ends(ctx context.Context) (Positions, error)

	// Reached reports whether a split that was read to pos holds everything that
	// lay before end.
	Reached(split string, pos, end Position) bool

	// Progress says how far behind the source is read.
	Progress() Progress

	// Bounded reports whether the source ends by itself (mode = 'once',
	// stop = 'latest').
	Bounded() bool

	// Close frees everything. No other method is running or follows.
	Close() error
}

// Progress is what SHOW STREAMS and the metrics say of a source. Unknown
// numbers are −1.
type Progress struct {
	Lag        int64     // records not yet read, for sources that count records
	BytesRead  int64     // bytes read since the source was opened
	BytesTotal int64     // bytes that a bounded source holds
	Behind     time.Time // when the newest record that was read was written; zero if unknown
	Splits     int       // assigned splits
	Finished   int       // splits read to their end
}

// DataLoss is a part of a source that is gone: records between two positions
// of a split that will never be read.
type DataLoss struct {
	Split    string   `json:"split"`
	From, To Position `json:"-"`
	Records  int64    `json:"records"` // −1 if unknown
	Reason   string   `json:"reason"`
}

// DataLossRecorder is implemented by sources that honour on_data_loss = 'skip'.
// TakeDataLoss returns what was skipped since the last call; the stream commits
// it with the next epoch.
type DataLossRecorder interface {
	TakeDataLoss() []DataLoss
}

// Acknowledger is implemented by sources that have to be told what is safe
// (a push source wakes its senders, a replication slot moves on). Committed is
// called after each commit with the positions that it made durable.
type Acknowledger interface {
	Committed(Positions)
}

// Explainer is implemented by sources that say in EXPLAIN how they read.
type Explainer interface {
	// Explain gives lines of text. It may be called before Splits.
	Explain() []string
}

// SplitPositioner is implemented by sources that may have so many splits that
// Positions takes its time.
type SplitPositioner interface {
	// Position is what Positions has for a split, empty where it has nothing. It
	// may be called at any time from any goroutine.
	Position(split string) Position
}

// SplitLagReporter is implemented by sources that know how far behind the newest
// record each of their splits is read.
type SplitLagReporter interface {
	// SplitLag has an entry for each split of which it is known. It may be called
	// at any time from any goroutine.
	SplitLag() map[string]time.Duration
}

// CommitRequester is implemented by sources that have to keep what they handed
// out until it is committed, because nobody else has it. CommitWanted reports
// that they keep so much that the stream should commit before its interval has
// passed. It may be called from any goroutine, often.
type CommitRequester interface {
	CommitWanted() bool
}

// Record is one record of a chunk: a Kafka message, a Kinesis user record.
type Record struct {
	Start, End int32 // its payload is Chunk.Data[Start:End]
	// Offset names the record within its split (a Kafka offset); it is what the
	// dead letter of a bad value says.
	Offset int64
	// Arrived is when the source took the record, in µs since 1970 UTC; 0 if
	// unknown.
	Arrived int64
	// Null marks a record without a payload (a tombstone), which is counted as
	// records_empty and not decoded.
	Null bool
}

// Padding is how many bytes may be read, though not used, behind the end of
// Chunk.Data: decoders load eight to 64 bytes at a time.
const Padding = 64

// Chunk is a bounded run of consecutive records of one split, or of several splits
// as a whole (Parts). The lane that polls owns it and hands it back to the next
// Poll, so a source reuses its memory; what a source puts in is valid until then.
type Chunk struct {
	Split string
	// Data holds the payloads. cap(Data) is at least len(Data)+Padding, and the
	// padding may be read. Only the source writes to either: what is behind the
	// payloads may be those of another lane's chunk.
	Data []byte
	// Records delimits Data for sources of messages; bytes between their payloads
	// mean nothing. It is empty for sources of bytes, such as files: Data is then one
	// run of whole lines or of whole records as the format's Layout says, and Base the
	// position of Data[0] in the split, in bytes after decompression.
	Records []Record
	Base    int64
	// Names names each record of Records in its split where no number does (a
	// Kinesis sequence number); nil where Record.Offset does.
	Names [][]byte
	// Header is what the format's Layout found before the first record of the
	// file; it is no part of Data, and several chunks may share its memory. A chunk
	// with Records and a Header holds values of such a file one by one: dead
	// letters that are read again.
	Header []byte
	// Block and Ranges are set where the format has Blocks: Data holds the bytes of
	// Ranges, one after the other, and Base the number of the block's first record.
	Block  int
	Ranges []Range
	// Filtered is how many values before those of the chunk were left out, since
	// no predicate of SourceConfig.Predicates could hold for them. A chunk may be
	// of nothing else.
	Filtered int64
	// Parts are set where the chunk has several splits, each from its beginning to
	// its end, as small files have: decoding costs what it does for each chunk. Split
	// and Base are then those of the first.
	Parts []Part
	// Hidden has one array per hidden column that the stream asked for
	// (SourceConfig.Hidden, in that order), with one row per record; where Records
	// is empty, one row per part, or one in all.
	Hidden []HiddenColumn
}

// Size is how many bytes the payloads have.
func (c *Chunk) Size() (n int) {
	if len(c.Records) == 0 {
		return len(c.Data)
	}
	for i := range c.Records {
		n += int(c.Records[i].End - c.Records[i].Start)
	}
	return n
}

// Part is a split's part of a chunk without Records: Data[Start:End] and, where its
// last line had none, a line break.
type Part struct {
	Split      string
	Start, End int32
	Base       int64 // as Chunk.Base
}

// Part is the index of the part in which a value lies; 0 in a chunk of one split.
func (c *Chunk) Part(v Value) int {
	if len(c.Parts) < 2 {
		return 0
	}
	i, found := slices.BinarySearchFunc(c.Parts, v.Start, func(p Part, start int32) int { return cmp.Compare(p.Start, start) })
	if !found {
		i--
	}
	return i
}

// Grow makes room for n more bytes and the padding behind them, and returns
// the extended slice of length len(data)+n.
func Grow(data []byte, n int) []byte {
	need := len(data) + n + Padding
	if cap(data) < need {
		grown := make([]byte, len(data), max(need, 2*cap(data)))
		copy(grown, data)
		data = grown
	}
	return data[:len(data)+n]
}

// ErrTooMuch is returned by AppendAll.
var ErrTooMuch = errors.New("there are more bytes than are allowed")

// AppendAll appends all that r has to data, with the padding behind it; guess is how
// many bytes that may be. It returns data as it was with the error of r, or with
// ErrTooMuch when there are more than most bytes.
func AppendAll(data []byte, r io.Reader, guess, most int) ([]byte, error) {
	start := len(data)
	out := Grow(data, min(guess, most))[:start]
	for {
		if cap(out)-len(out) <= Padding {
			out = Grow(out, max(512, len(out)-start))[:len(out)]
		}
		n, err := r.Read(out[len(out) : cap(out)-Padding])
		out = out[:len(out)+n]
		switch {
		case len(out)-start > most:
			return data, ErrTooMuch
		case err == io.EOF:
			return out, nil
		case err != nil:
			return data, err
		}
	}
}

// AppendBehind appends to data, with the padding behind it, what decode appends to a
// slice of its own: for decoders that would take what is in data for theirs. guess is
// how many bytes that may be. It returns data as it was with the error of decode.
func AppendBehind(data []byte, guess int, decode func(dst []byte) ([]byte, error)) ([]byte, error) {
	out := Grow(data, guess)
	start, end := len(data), cap(out)-Padding
	more, err := decode(out[start:start:end])
	switch {
	case err != nil:
		return data, err
	case start+len(more) <= end && len(more) > 0 && &more[0] == &out[:end][start]:
		return out[:start+len(more)], nil
	}
	out = Grow(data, len(more)) // it has made room of its own
	copy(out[start:], more)
	return out, nil
}

// HiddenColumn is a column of metadata beside the records, such as _offset:
// either integers (microseconds since 1970 for times) or bytes.
type HiddenColumn struct {
	Ints  []int64
	Bytes [][]byte
	Null  []bool // nil when no row is NULL
}

// Hidden is a metadata column that a connector offers beside the payload. It
// is read only when a query names it.
type Hidden struct {
	Name string // begins with an underscore
	Type types.Type
	Doc  string
}

// SourceConfig is what a connector needs to open a source.
type SourceConfig struct {
	Name    string  // of the source, for errors and logs
	Stream  string  // of the stream that reads, for client ids; empty when peeking
	Options Options // checked against the connector's Spec
	// Columns are the source's declared columns, for connectors that make
	// records of their own (datagen).
	Columns types.Schema
	Hidden  []string
	// Fields are what the stream decodes, for connectors that need not read the
	// rest; nil where that is not known.
	Fields []Field
	// Predicates hold for every row that the query wants. A source need not heed
	// them.
	Predicates []Predicate
	Lanes      int // how many lanes will poll
	// ChunkBytes is about how much a chunk should hold; PrefetchBytes bounds
	// what the source may hold in memory beyond the chunks handed out.
	ChunkBytes    int
	PrefetchBytes int
	// Retrying is told why the source cannot go on for the moment, and nil when
	// it can again. It may be called from any goroutine, often; it is never nil.
	Retrying func(error)
	Now      func() time.Time
	Logger   Logger
	// Handle is what the engine hands to connectors that live in the process
	// with it (push); nil for the others.
	Handle any
}

// Logger is the part of *slog.Logger that connectors use.
type Logger interface {
	Debug(msg string, args ...any)
	Info(msg string, args ...any)
	Warn(msg string, args ...any)
}

// DataLossError reports records that the source no longer has. It ends a
// stream unless on_data_loss = 'skip'.
type DataLossError struct{ Loss DataLoss }

func (e *DataLossError) Error() string {
	return "split " + e.Loss.Split + " has lost records: " + e.Loss.Reason
}

// NewDataLossError is a DataLossError as sources return it: one that ends the
// stream and says how to go on.
func NewDataLossError(loss DataLoss) error {
	e := &sqlerror.Error{Code: sqlerror.CodeDataLoss, Kind: sqlerror.External, Err: &DataLossError{Loss: loss}}
	return e.WithHint("bring the records back and START the stream; or go on without them by CREATE OR REPLACE SOURCE with on_data_loss = 'skip', and the loss is noted in leat.commits")
}

// ErrFinished is what Poll returns at the end of a bounded source.
var ErrFinished = io.EOF
