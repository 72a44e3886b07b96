package files

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"maps"
	"slices"
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
	store       store
	once        bool
	compression compression // "" is by content
	messages    *queue      // of notifications; nil where the files are only listed
	limits      limits
	hidden      []string
	gathers     bool // several small objects may be one chunk
	byTime      bool // files are read in the order of their times
	growing     bool // only what is behind ledger.after is listed
	lookback    time.Duration
	onChanged   string        // what becomes of a file that is another than was read
	listPause   time.Duration // between listings that nobody waits for

	tailInterval    time.Duration
	lastLineTimeout time.Duration
	forgetAfter     time.Duration

	// mu guards everything below and the parts of files that say so. It is taken
	// after file.mu and never held over I/O.
	mu       sync.Mutex
	loaded   bool             // the committed positions were seen
	listed   map[string]entry // the newest listing, without the files of the ledger
	listedAt time.Time
	news     []entry             // of a listing that Splits has not seen
	replaced map[string]struct{} // objects that Splits gave to be read again
	files    map[string]*file    // splits that are assigned and not in the ledger
	ledger   ledger
	queue    []*file // to be read, in order, from head on
	head     int
	told     int     // of the queue, of which the store was told
	own      []*file // what each lane is at
	waiting  map[*file]struct{}
	open     int                 // files that are not read to their end for good
	notices  map[string][]notice // of files that are not settled, by their ids
	wake     chan struct{}       // closed when lanes that wait should look again; nil while none does
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
	id string

	// Guarded by source.mu.
	entry    entry
	version  string // of the object that pos is in; empty for local files
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

func newSource(ctx context.Context, cfg connectors.SourceConfig) (_ *source, err error) {
	cfg = cfg.WithDefaults()
	o := cfg.Options
	about := func(err error) error {
		if e := sqlerror.As(err); e != nil {
			return e.About("source " + cfg.Name)
		}
		return err
	}
	var st store
	if isBucket(o.String("path")) {
		st, err = openBucket(ctx, cfg)
	} else if err = refuseBucketOptions(o); err == nil {
		st, err = openFolder(o.String("path"), o.Bool("recursive"))
	}
	if err != nil {
		return nil, about(err)
	}
	defer func() {
		if err != nil {
			err = errors.Join(about(err), st.close())
		}
	}()
	s := &source{
		cfg: cfg, store: st,
		once:   o.String("mode") != "tail",
		hidden: cfg.Hidden,
		limits: limits{
			chunk: cfg.ChunkBytes, record: cfg.MaxRecordBytes(),
			document: o.String("framing") == "document",
		},
		tailInterval:    o.Duration("tail_interval"),
		lastLineTimeout: o.Duration("last_line_timeout"),
		forgetAfter:     o.Duration("forget_after"),
		byTime:          o.String("order") == "time",
		growing:         st.immutable() && o.String("listing") == "growing",
		lookback:        o.Duration("lookback"),
		onChanged:       o.String("on_changed_object"),
		files:           map[string]*file{},
		ledger:          ledger{files: map[uint64]*finished{}},
		own:             make([]*file, cfg.Lanes),
		waiting:         map[*file]struct{}{},
		replaced:        map[string]struct{}{},
		notices:         map[string][]notice{},
	}
	if s.onChanged == "" {
		s.onChanged = "reread"
		if st.immutable() {
			s.onChanged = "fail"
		}
	}
	if st.immutable() && !o.Has("discovery_interval") {
		s.listPause = bucketPause
	}
	if err := s.openQueue(ctx); err != nil {
		return nil, err
	}
	if s.growing && s.once {
		return nil, sqlerror.Userf(sqlerror.CodeBadOption, "listing = 'growing' needs mode = 'tail'")
	}
	if o.Has("format") {
		format, err := connectors.LookupFormat(o.String("format"))
		if err == nil && format.Layout != nil {
			s.limits.layout, err = format.Layout(o)
		}
		if err != nil {
			return nil, err
		}
		if format.Documents {
			s.limits.document = true
		}
		if format.Blocks != nil {
			if s.limits.blocks, err = format.Blocks(o, cfg.Fields, cfg.Predicates); err != nil {
				return nil, err
			}
			if c := o.String("compression"); c != "auto" && c != string(uncompressed) {
				return nil, sqlerror.Userf(sqlerror.CodeBadOption, "compression = '%s' does not go with format = '%s', which compresses within its files", c, format.Name)
			}
		}
		if (s.limits.layout != nil || s.limits.blocks != nil) && s.limits.document {
			return nil, sqlerror.Userf(sqlerror.CodeBadOption, "framing = 'document' does not go with format = '%s', whose files say where records end", format.Name)
		}
	}
	if c := compression(o.String("compression")); c != "auto" {
		s.compression = c
	}
	s.limits.text = !s.limits.whole() && s.limits.lines() && o.String("format") != "raw" // whose values may be any bytes
	s.gathers = st.immutable() && s.limits.layout == nil && !s.limits.whole() && (s.compression == "" || s.compression == uncompressed)
	return s, nil
}

func (s *source) Bounded() bool { return s.once }

// bucketPause is the least time between two listings of a bucket where the
// user has not said how often it should be listed.
const bucketPause = 10 * time.Second

// list lists the files and notes what is there. Those of the ledger that have
// not changed are left out.
func (s *source) list(ctx context.Context) ([]entry, error) {
	now := s.cfg.Now()
	s.mu.Lock()
	after := s.ledger.after
	s.mu.Unlock()
	var entries []entry
	keys := map[uint64]struct{}{}
	passed, passedKeys := "", []uint64(nil)
	passing := s.growing
	err := s.store.list(ctx, after, func(e entry) bool {
		key := ledgerKey(e.id)
		keys[key] = struct{}{}
		s.mu.Lock()
		finished := s.ledger.files[key]
		unchanged := finished != nil && finished.unchanged(e)
		s.mu.Unlock()
		if !unchanged {
			entries = append(entries, e)
		}
		if passing = passing && unchanged && now.Sub(time.UnixMicro(e.modified)) > s.lookback; passing {
			passed = e.id
			passedKeys = append(passedKeys, key)
		}
		return ctx.Err() == nil
	})
	if err == nil {
		err = ctx.Err()
	}
	if err != nil {
		if sqlerror.As(err) == nil && ctx.Err() == nil {
			err = sqlerror.Externalf(sqlerror.CodeExternal, "%w", err).About("source " + s.cfg.Name)
		}
		return nil, err
	}
	listed := make(map[string]entry, len(entries))
	for _, e := range entries {
		listed[e.id] = e
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	s.listed, s.listedAt = listed, now
	s.ledger.present(keys, now, s.forgetAfter)
	if passed != "" {
		s.ledger.pass(passed, passedKeys)
	}
	return entries, nil
}

// Splits lists the files that are not assigned yet, and the ledger. With first
// set these are all files; none is held back for where it would start.
func (s *source) Splits(ctx context.Context, _ bool, known connectors.Positions) (_ []connectors.Split, err error) {
	if err := s.load(known); err != nil {
		return nil, err
	}
	splits := []connectors.Split{{ID: ledgerSplit}}
	s.mu.Lock()
	rest := !s.listedAt.IsZero() && s.cfg.Now().Sub(s.listedAt) < s.listPause
	entries := s.news
	s.news = nil
	s.mu.Unlock()
	defer func() {
		if err != nil {
			s.mu.Lock()
			s.listedAt = time.Time{} // what was found is found again
			s.mu.Unlock()
		}
	}()
	if !rest {
		if entries, err = s.list(ctx); err != nil {
			return nil, err
		}
	}
	if err := s.verifyKnown(ctx, known); err != nil {
		return nil, err
	}
	announced, err := s.announced(ctx)
	if err != nil {
		return nil, err
	}
	for _, e := range append(entries, announced...) {
		s.mu.Lock()
		_, assigned := s.files[e.id]
		finished := s.ledger.find(e.id)
		s.mu.Unlock()
		switch {
		case assigned:
		case finished != nil && finished.unchanged(e):
			s.settle(e.id)
		case finished == nil:
			splits = append(splits, connectors.Split{ID: e.id})
		default:
			split, err := s.reappeared(ctx, e, finished)
			if err != nil {
				return nil, err
			}
			if split != nil {
				splits = append(splits, *split)
			} else {
				s.settle(e.id)
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
		case pos.Offset > 0 && s.store.immutable():
			// Poll finds out what became of it.
		case pos.Offset > 0 && !s.cfg.SkipsDataLoss():
			in, same, err := openInput(ctx, s.store, e, pos, s.compression, &s.limits)
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

func (s *source) Assign(ctx context.Context, positions connectors.Positions) error {
	if err := s.load(positions); err != nil {
		return err
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	now := s.cfg.Now()
	for _, id := range s.inOrder(positions) {
		if id == ledgerSplit || s.files[id] != nil {
			continue
		}
		pos, err := parsePosition(id, positions[id])
		if err != nil {
			return &sqlerror.Error{Code: sqlerror.CodeState, Kind: sqlerror.Internal, Object: "source " + s.cfg.Name, Err: err}
		}
		e, there := s.listed[id]
		if !there && pos.Done && (s.ledger.find(id) != nil || id <= s.ledger.after) {
			continue // it is remembered already
		}
		if _, ok := s.replaced[id]; ok {
			delete(s.replaced, id)
			pos = position{}
		}
		if there && pos.Done && s.store.immutable() {
			if err := s.ledger.put(id, pos, e); err != nil {
				return &sqlerror.Error{Code: sqlerror.CodeState, Kind: sqlerror.Internal, Object: "source " + s.cfg.Name, Err: err}
			}
			s.ledger.find(id).tagged = pos.Version == checksum([]byte(e.version()))
			s.folded++
			continue
		}
		f := &file{id: id, pos: pos, encoded: pos.encode(), changed: now}
		s.files[id] = f
		if !there {
			s.vanish(f)
			continue
		}
		f.entry, f.seen = e, e.stamp()
		if s.store.immutable() && pos.Offset > 0 {
			f.version = unknownVersion
		}
		if finished := s.ledger.find(id); finished != nil && pos.Done {
			f.growths = 1
		}
		f.total = max(0, e.size-max(pos.Size, pos.Offset))
		s.bytesTotal += f.total
		s.open++
		if s.limits.whole() && !s.once && !s.store.immutable() {
			f.state = waiting // until it is seen not to change
			f.seen = stamp{size: -1}
			s.waiting[f] = struct{}{}
			continue
		}
		s.enqueue(f)
	}
	s.wakeAll()
	if s.messages != nil && s.cfg.Stream != "" {
		s.messages.start(ctx)
	}
	return nil
}

// inOrder lists the ids of positions in the order in which files are read.
func (s *source) inOrder(positions connectors.Positions) []string {
	ids := slices.Sorted(maps.Keys(positions))
	if s.byTime {
		slices.SortStableFunc(ids, func(a, b string) int { return cmp.Compare(s.listed[a].modified, s.listed[b].modified) })
	}
	return ids
}

// check is the checksum of a position that is not the end. The caller holds mu.
func (f *file) check() string {
	switch f.version {
	case "":
		return checksum(f.window)
	case unknownVersion:
		return f.pos.Check
	}
	return checksum([]byte(f.version))
}

// unknownVersion stands for the version of an object that was not opened yet in
// this run.
const unknownVersion = "?"

// vanish finishes a file that is no longer there. The caller holds mu.
func (s *source) vanish(f *file) {
	if !f.pos.Done {
		f.pos.Size, f.pos.Check = f.pos.Offset, f.check()
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
		s.queue, s.head, s.told = s.queue[:0], 0, 0
	}
	s.queue = append(s.queue, f)
}

func (s *source) wakeAll() {
	if s.wake != nil {
		close(s.wake)
		s.wake = nil
	}
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
		positions[id] = f.position()
	}
	return positions
}

// position is that of Positions. The caller holds mu.
func (f *file) position() connectors.Position {
	if f.encoded == "" {
		if !f.pos.Done {
			f.pos.Check = f.check()
		}
		f.encoded = f.pos.encode()
	}
	return f.encoded
}

// Position implements connectors.SplitPositioner.
func (s *source) Position(split string) connectors.Position {
	s.mu.Lock()
	defer s.mu.Unlock()
	f := s.files[split]
	if f == nil || f.pos.Offset == 0 && !f.pos.Done {
		return ""
	}
	return f.position()
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
		if err := s.ledger.put(id, f.pos, f.entry); err != nil {
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
		if s.messages != nil {
			delete(s.listed, id) // or it would grow from one listing to the next
			s.settleLocked(id)
		}
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
	if s.messages != nil {
		s.messages.close()
	}
	for _, f := range s.files {
		if f.in != nil {
			err = errors.Join(err, f.in.close())
			f.in = nil
		}
	}
	err = errors.Join(err, s.store.close())
	if err != nil {
		return fmt.Errorf("close files of source %s: %w", s.cfg.Name, err)
	}
	return nil
}
