package files

import (
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"sync"
	"time"

	"github.com/leatdb/leat/connectors"
	"github.com/leatdb/leat/sql/sqlerror"
)

// foldAfter is how long a tailed file that has been seen growing stays a split
// after it was read to its end.
const foldAfter = time.Minute

// source reads the files of one location for one stream.
type source struct {
	cfg         connectors.SourceConfig
	location    location
	once        bool
	compression compression // "" is by content
	limits      limits
	hidden      []string

	tailInterval    time.Duration
	lastLineTimeout time.Duration
	forgetAfter     time.Duration

	// mu guards everything below and the parts of files that say so. It is taken
	// after file.mu and never held over I/O.
	mu       sync.Mutex
	loaded   bool             // the committed positions were seen
	listed   map[string]entry // the newest listing
	files    map[string]*file // splits that are assigned and not in the ledger
	ledger   ledger
	queue    []*file // to be read, in order, from head on
	head     int
	own      []*file // what each lane is at
	waiting  map[*file]struct{}
	open     int           // files that are not read to their end for good
	wake     chan struct{} // closed when lanes that wait should look again
	nextTick time.Time
	troubled bool // Retrying was told of a file

	lost       []connectors.DataLoss
	bytesRead  int64
	bytesTotal int64
	newest     time.Time // when the newest file that was read was modified
	folded     int       // files of this run that are in the ledger
}

// state is where a file is on its way.
type state uint8

const (
	queued  state = iota // waits for a lane
	reading              // some lanes read it
	waiting              // tailed and read to its end
	done                 // finished for good
)

// file is a split.
type file struct {
	id, path string

	// Guarded by source.mu.
	state    state
	pos      position
	window   []byte              // the bytes before pos.Offset, for pos.Check
	encoded  connectors.Position // of pos; "" when it has to be made again
	packed   bool                // it is compressed
	opened   time.Time           // when it was opened last
	seen     stamp               // as of when it was opened
	last     stamp               // as of the last look
	changed  time.Time           // when it was last seen to change
	growths  int                 // how often it was seen growing
	partial  bool                // an unfinished line lies behind pos
	final    bool                // that line counts now
	problem  error               // why reading waits, besides for growth
	reported bool                // Retrying was told of it
	total    int64               // its share of source.bytesTotal
	read     int64               // its share of source.bytesRead

	mu sync.Mutex // held while it is read
	in *input     // nil while closed
}

// stamp is what a look at a file shows.
type stamp struct {
	size     int64
	modified int64 // µs since 1970
}

func newSource(cfg connectors.SourceConfig) (*source, error) {
	cfg = cfg.WithDefaults()
	o := cfg.Options
	location, err := parseLocation(o.String("path"), o.Bool("recursive"))
	if err != nil {
		if e := sqlerror.As(err); e != nil {
			return nil, e.About("source " + cfg.Name)
		}
		return nil, err
	}
	s := &source{
		cfg: cfg, location: location,
		once:   o.String("mode") != "tail",
		hidden: cfg.Hidden,
		limits: limits{
			chunk: cfg.ChunkBytes, record: cfg.MaxRecordBytes(),
			document: o.String("framing") == "document",
		},
		tailInterval:    o.Duration("tail_interval"),
		lastLineTimeout: o.Duration("last_line_timeout"),
		forgetAfter:     o.Duration("forget_after"),
		files:           map[string]*file{},
		ledger:          ledger{files: map[uint64]*finished{}},
		own:             make([]*file, cfg.Lanes),
		waiting:         map[*file]struct{}{},
		wake:            make(chan struct{}),
	}
	if c := compression(o.String("compression")); c != "auto" {
		s.compression = c
	}
	return s, nil
}

func (s *source) Bounded() bool { return s.once }

// list lists the location and notes what is there.
func (s *source) list() ([]entry, error) {
	entries, err := s.location.list()
	if err != nil {
		if sqlerror.As(err) == nil {
			err = sqlerror.Externalf(sqlerror.CodeExternal, "%w", err).About("source " + s.cfg.Name)
		}
		return nil, err
	}
	listed := make(map[string]entry, len(entries))
	keys := make(map[uint64]struct{}, len(entries))
	for _, e := range entries {
		listed[e.id] = e
		keys[ledgerKey(e.id)] = struct{}{}
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	s.listed = listed
	s.ledger.present(keys, s.cfg.Now(), s.forgetAfter)
	return entries, nil
}

// Splits lists the files that are not assigned yet, and the ledger. With first
// set these are all files; none is held back for where it would start.
func (s *source) Splits(ctx context.Context, _ bool, known connectors.Positions) ([]connectors.Split, error) {
	if err := s.load(known); err != nil {
		return nil, err
	}
	entries, err := s.list()
	if err != nil {
		return nil, err
	}
	if err := s.verifyKnown(ctx, known); err != nil {
		return nil, err
	}
	splits := []connectors.Split{{ID: ledgerSplit}}
	for _, e := range entries {
		s.mu.Lock()
		_, assigned := s.files[e.id]
		finished := s.ledger.find(e.id)
		s.mu.Unlock()
		switch {
		case assigned:
		case finished == nil:
			splits = append(splits, connectors.Split{ID: e.id})
		case e.size == finished.size && e.modified == finished.modified:
		default:
			split, err := s.reappeared(ctx, e, finished)
			if err != nil {
				return nil, err
			}
			if split != nil {
				splits = append(splits, *split)
			}
		}
	}
	return splits, nil
}

// load takes the ledger out of the committed positions.
func (s *source) load(known connectors.Positions) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.loaded || known == nil {
		return nil
	}
	l, err := parseLedger(known[ledgerSplit])
	if err != nil {
		return &sqlerror.Error{Code: sqlerror.CodeState, Kind: sqlerror.Internal, Object: "source " + s.cfg.Name, Err: err}
	}
	s.ledger, s.loaded = l, true
	return nil
}

// reappeared looks at a file of the ledger that may have changed: it is a split
// again when it has grown, or was replaced by another.
func (s *source) reappeared(ctx context.Context, e entry, f *finished) (*connectors.Split, error) {
	pos := f.position()
	pos.Gone = false
	same := false
	if e.size >= f.size {
		file, err := os.Open(e.path)
		if errors.Is(err, fs.ErrNotExist) {
			return nil, nil
		}
		if err != nil {
			return nil, sqlerror.Externalf(sqlerror.CodeExternal, "look at file %s: %w", e.id, err).About("source " + s.cfg.Name)
		}
		window, err := readWindow(file, f.size)
		if err = errors.Join(err, file.Close()); err != nil && !errors.Is(err, io.EOF) {
			return nil, sqlerror.Externalf(sqlerror.CodeExternal, "look at file %s: %w", e.id, err).About("source " + s.cfg.Name)
		}
		same = err == nil && sameCheck(checksum(window), pos.Check)
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	switch {
	case !same:
		s.ledger.remove(e.id)
		return &connectors.Split{ID: e.id}, ctx.Err()
	case e.size == f.size:
		f.modified = e.modified
		return nil, nil
	}
	return &connectors.Split{ID: e.id, Start: pos.encode()}, nil
}

// verifyKnown finds the known files that were not read to their end and are
// gone or were replaced. With on_data_loss = 'skip' Poll finds the latter.
func (s *source) verifyKnown(ctx context.Context, known connectors.Positions) error {
	for id, p := range known {
		s.mu.Lock()
		_, assigned := s.files[id]
		e, there := s.listed[id]
		s.mu.Unlock()
		if assigned || id == ledgerSplit {
			continue
		}
		pos, err := parsePosition(id, p)
		if err != nil {
			return &sqlerror.Error{Code: sqlerror.CodeState, Kind: sqlerror.Internal, Object: "source " + s.cfg.Name, Err: err}
		}
		switch {
		case pos.Done:
		case !there:
			if err := s.lose(id, p, "the file has vanished before it was read to its end"); err != nil {
				return err
			}
		case pos.Offset > 0 && !s.cfg.SkipsDataLoss():
			in, same, err := openInput(ctx, e.path, pos, s.compression)
			if err != nil && ctx.Err() == nil {
				err = sqlerror.Externalf(sqlerror.CodeExternal, "look at file %s: %w", id, err).About("source " + s.cfg.Name)
			}
			if in != nil {
				err = errors.Join(err, in.close())
			}
			if err != nil {
				return err
			}
			if !same {
				return s.lose(id, p, "the file was replaced before it was read to its end")
			}
		}
	}
	return nil
}

// lose notes a loss, or returns it as an error.
func (s *source) lose(id string, from connectors.Position, reason string) error {
	loss := connectors.DataLoss{Split: id, From: from, Records: -1, Reason: reason}
	if !s.cfg.SkipsDataLoss() {
		return connectors.NewDataLossError(loss)
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	s.lost = append(s.lost, loss)
	return nil
}

func (s *source) TakeDataLoss() []connectors.DataLoss {
	s.mu.Lock()
	defer s.mu.Unlock()
	lost := s.lost
	s.lost = nil
	return lost
}

func (s *source) Assign(_ context.Context, positions connectors.Positions) error {
	if err := s.load(positions); err != nil {
		return err
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	now := s.cfg.Now()
	for _, id := range sortedKeys(positions) {
		if id == ledgerSplit || s.files[id] != nil {
			continue
		}
		pos, err := parsePosition(id, positions[id])
		if err != nil {
			return &sqlerror.Error{Code: sqlerror.CodeState, Kind: sqlerror.Internal, Object: "source " + s.cfg.Name, Err: err}
		}
		f := &file{id: id, pos: pos, encoded: positions[id], changed: now}
		s.files[id] = f
		e, there := s.listed[id]
		if !there {
			s.vanish(f)
			continue
		}
		f.path, f.seen = e.path, stamp{e.size, e.modified}
		if finished := s.ledger.find(id); finished != nil && pos.Done {
			f.growths = 1
		}
		f.total = max(0, e.size-max(pos.Size, pos.Offset))
		s.bytesTotal += f.total
		s.open++
		if s.limits.document && !s.once {
			f.state = waiting // until it is seen not to change
			f.seen = stamp{size: -1}
			s.waiting[f] = struct{}{}
			continue
		}
		s.enqueue(f)
	}
	s.wakeAll()
	return nil
}

// vanish finishes a file that is no longer there. The caller holds mu.
func (s *source) vanish(f *file) {
	if !f.pos.Done {
		f.pos.Size, f.pos.Check = f.pos.Offset, checksum(f.window)
	}
	f.pos.Done, f.pos.Gone, f.pos.Skip = true, true, false
	f.encoded = ""
	f.state = done
	delete(s.waiting, f)
}

func (s *source) enqueue(f *file) {
	f.state = queued
	delete(s.waiting, f)
	if s.head > 0 && s.head == len(s.queue) {
		s.queue, s.head = s.queue[:0], 0
	}
	s.queue = append(s.queue, f)
}

func (s *source) wakeAll() {
	close(s.wake)
	s.wake = make(chan struct{})
}

// Positions leaves out the files that were not begun: they begin at their
// beginning anyway.
func (s *source) Positions() connectors.Positions {
	s.mu.Lock()
	defer s.mu.Unlock()
	positions := make(connectors.Positions, len(s.files)+1)
	if s.loaded || len(s.ledger.files) > 0 {
		positions[ledgerSplit] = s.ledger.encode()
	}
	for id, f := range s.files {
		if f.pos.Offset == 0 && !f.pos.Done {
			continue
		}
		if f.encoded == "" {
			if !f.pos.Done {
				f.pos.Check = checksum(f.window)
			}
			f.encoded = f.pos.encode()
		}
		positions[id] = f.encoded
	}
	return positions
}

// Committed moves the files that are finished and committed to the ledger.
func (s *source) Committed(positions connectors.Positions) {
	s.mu.Lock()
	defer s.mu.Unlock()
	now := s.cfg.Now()
	for id, p := range positions {
		f := s.files[id]
		if f == nil || !f.pos.Done || f.state != done && f.state != waiting || f.encoded != p {
			continue
		}
		if f.state == waiting && f.growths > 0 && now.Sub(f.changed) < foldAfter {
			continue
		}
		if err := s.ledger.put(id, f.pos, f.seen.modified); err != nil {
			s.cfg.Logger.Warn("cannot remember a finished file", "source", s.cfg.Name, "file", id, "error", err)
			continue
		}
		if f.pos.Gone {
			s.ledger.find(id).gone = now.Unix()
		}
		if f.state == waiting {
			s.open--
		}
		delete(s.waiting, f)
		delete(s.files, id)
		s.folded++
	}
}

func (s *source) Progress() connectors.Progress {
	s.mu.Lock()
	defer s.mu.Unlock()
	p := connectors.Progress{
		Lag: -1, BytesRead: s.bytesRead, BytesTotal: -1, Behind: s.newest,
		Splits: len(s.files) + s.folded, Finished: s.folded,
	}
	if s.once {
		p.BytesTotal = s.bytesTotal
	}
	for _, f := range s.files {
		if f.pos.Done && f.state != reading && f.state != queued {
			p.Finished++
		}
	}
	return p
}

func (s *source) Close() error {
	var err error
	for _, f := range s.files {
		if f.in != nil {
			err = errors.Join(err, f.in.close())
			f.in = nil
		}
	}
	if err != nil {
		return fmt.Errorf("close files of source %s: %w", s.cfg.Name, err)
	}
	return nil
}
