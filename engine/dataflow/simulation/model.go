package simulation

import (
	"bytes"
	"errors"
	"fmt"
	"maps"
	"reflect"
	"slices"
	"strconv"
	"strings"

	"github.com/apache/arrow-go/v18/parquet"
	"github.com/apache/arrow-go/v18/parquet/compress"
	"github.com/apache/arrow-go/v18/parquet/file"
	"github.com/apache/iceberg-go"
	"github.com/apache/iceberg-go/table"

	"github.com/leatdb/leat/catalog"
	"github.com/leatdb/leat/connectors"
	"github.com/leatdb/leat/connectors/lake/protocol"
	"github.com/leatdb/leat/connectors/lake/replayfile"
)

// The library's decoder for Zstandard is one for the whole program and must not
// be made within the bubble of the first run that needs it.
func init() {
	if codec, err := compress.GetCodec(compress.Codecs.Zstd); err == nil {
		codec.Decode(nil, codec.Encode(nil, []byte("warm")))
	}
}

// model knows what must be in the tables. It looks at each commit at the moment
// when it happens: what an epoch adds must be exactly what became of the
// records between the positions before it and after it.
type model struct {
	w      *world
	topics map[int]*topic // by number, all there ever were

	streams   map[string]*state
	rows      map[row]int        // landed, over all lives of all streams
	published map[letter]int     // dead letters in their table
	known     map[string]written // of these, by id
	marked    map[mark]int       // marks in that table
	taken     map[string]string  // letters, by id, and the replay that has taken each
	replays   map[string]*replay // all that have begun
	epochs    int

	logs    map[string]*logEntry // newest entry of a Hive table's log
	uploads map[string]bool      // that its entries have decided
}

// state is what the model knows of a stream.
type state struct {
	record  *protocol.Record // what the table remembers
	decided map[letter]int   // dead letters of epochs that are committed
	marks   map[mark]int     // … and marks
	// furthest is how far the stream was ever committed, by split.
	furthest map[string]position
	// generation is the newest of all lives.
	generation int64
}

// change is what a commit does to a table.
type change struct {
	table         string
	before, after map[string]string // properties
	files         []fileRef         // added
	placed        []placed          // rows that were added, in their order
	summary       map[string]string
	by            *sender // nil unless it is the commit of an epoch
}

// fileRef is a file, or an upload that will be one.
type fileRef struct{ key, upload string }

type row struct{ id, n int64 }

type letter struct {
	stream  string
	id      int64
	attempt int
}

// mark says that a replay has taken a letter.
type mark struct{ stream, letter, replay string }

// written is a letter as it stands in its table.
type written struct {
	letter
	by   string // its id
	text string // the payload
}

// replay is what the model knows of one.
type replay struct {
	letters []written
	done    int
}

func newModel(w *world) *model {
	return &model{w: w, topics: map[int]*topic{}, streams: map[string]*state{}, rows: map[row]int{}, published: map[letter]int{},
		known: map[string]written{}, marked: map[mark]int{}, taken: map[string]string{}, replays: map[string]*replay{},
		logs: map[string]*logEntry{}, uploads: map[string]bool{}}
}

// of is the state of a stream.
func (m *model) of(stream string) *state {
	if m.streams[stream] == nil {
		m.streams[stream] = &state{decided: map[letter]int{}, marks: map[mark]int{}, furthest: map[string]position{}}
	}
	return m.streams[stream]
}

// metadata is told each version that an Iceberg table gets, and who made it if
// that was an epoch's commit.
func (m *model) metadata(name string, before, after table.Metadata, by *sender) error {
	if before == nil {
		return nil
	}
	added, err := m.added(before, after)
	if err != nil {
		return fmt.Errorf("commit to %s: %w", name, err)
	}
	c := change{table: name, before: before.Properties(), after: after.Properties(), files: added, by: by}
	if head := after.CurrentSnapshot(); head != nil && head.Summary != nil {
		c.summary = head.Summary.Properties
	}
	return m.committed(c)
}

// committed is told each commit.
func (m *model) committed(c change) error {
	if c.table == catalog.DeadLetterTable {
		return m.letters(c.files)
	}
	inFiles, err := m.readRows(c.files)
	if err != nil {
		return err
	}
	c.placed = append(c.placed, inFiles...)
	rows := counted(c.placed)
	changed := ""
	for _, d := range m.w.streams {
		key := protocol.Key(d.name)
		if c.before[key] == c.after[key] {
			continue
		}
		if changed != "" {
			return fmt.Errorf("a commit changes the states of %s and %s", changed, d.name)
		}
		changed = d.name
	}
	if changed == "" {
		return m.noRows("a commit that leaves all states as they were", rows)
	}
	next, err := protocol.Decode(c.after[protocol.Key(changed)])
	if err != nil {
		return err
	}
	st := m.of(changed)
	last := st.record
	st.record = next
	// A log that was written by a stream before knows its generation.
	keeps := m.w.hive && m.w.cluster == nil || m.w.shards != nil
	if next != nil {
		defer func() { st.generation = next.Generation }()
		if err := st.extend(next.Positions[sourceName]); err != nil {
			return err
		}
	}
	switch {
	case next == nil:
		if err := m.allPublished(changed); err != nil {
			return fmt.Errorf("%s is dropped too early: %w", changed, err)
		}
		return m.noRows("a drop", rows)
	case last == nil, last.ID != next.ID:
		if last != nil {
			return errors.New("a new life begins before the last one was dropped")
		}
		if next.Generation <= st.generation && keeps || next.Generation != 1 && !keeps || next.Epoch != 0 || next.Positions[sourceName] == nil {
			return fmt.Errorf("a life begins with %+v", next)
		}
		return m.noRows("a first start", rows)
	case next.Generation == last.Generation+1:
		if next.Epoch != last.Epoch || next.Counters != last.Counters || !reflect.DeepEqual(next.Positions, last.Positions) || !slices.Equal(next.Replays, last.Replays) {
			return fmt.Errorf("a start changes the state from %+v to %+v", last, next)
		}
		if next.Instance == last.Instance {
			return errors.New("a start takes a generation twice")
		}
		return m.noRows("a start", rows)
	case c.by == nil:
		return fmt.Errorf("who commits no epoch changes the state from %+v to %+v", last, next)
	}
	return m.epoch(changed, last, next, rows, c)
}

// extend notes positions.
func (st *state) extend(positions connectors.Positions) error {
	for split, text := range positions {
		at, err := decode(text)
		if err != nil {
			return err
		}
		if far, ok := st.furthest[split]; !ok || at.Topic > far.Topic || at.Topic == far.Topic && at.Offset > far.Offset {
			st.furthest[split] = at
		}
	}
	return nil
}

func (m *model) noRows(what string, rows map[row]int) error {
	if len(rows) > 0 {
		return fmt.Errorf("%s lands rows %v", what, rows)
	}
	return nil
}

// epoch checks the commit of an epoch.
func (m *model) epoch(stream string, last, next *protocol.Record, rows map[row]int, c change) error {
	m.epochs++
	by := c.by
	where := fmt.Sprintf("epoch %d of generation %d of %s by %s", next.Epoch, next.Generation, stream, by.process)
	if next.Generation != last.Generation || next.Instance != last.Instance {
		return fmt.Errorf("%s: the table's generation is %d, of instance %s", where, last.Generation, last.Instance)
	}
	if next.Epoch != last.Epoch+1 {
		return fmt.Errorf("%s follows epoch %d", where, last.Epoch)
	}
	if err := m.allPublished(stream); err != nil {
		return fmt.Errorf("%s is committed too early: %w", where, err)
	}
	if by.moveTo != nil && maps.Equal(next.Positions[sourceName], by.moveTo) && next.Counters == last.Counters && len(rows) == 0 && next.Pending == nil && slices.Equal(next.Replays, last.Replays) {
		return nil
	}
	values, jumps, err := m.between(last.Positions[sourceName], next.Positions[sourceName], by.route)
	if err != nil {
		return fmt.Errorf("%s: %w", where, err)
	}
	want, dead, counters := map[row]int{}, map[letter]int{}, last.Counters
	for _, v := range values {
		n, isDead := v.outcome(by.version)
		for k := range n {
			want[row{v.id, int64(k + 1)}]++
		}
		if isDead {
			dead[letter{stream, v.id, 1}]++
		}
		v.count(&counters, by.version)
	}
	again, takes, err := m.replayed(stream, last, next)
	if err != nil {
		return fmt.Errorf("%s: %w", where, err)
	}
	for _, l := range again {
		v, err := parse([]byte(l.text))
		if err != nil {
			return err
		}
		n, isDead := v.outcome(by.version)
		for k := range n {
			want[row{v.id, int64(k + 1)}]++
		}
		if isDead {
			dead[letter{stream, v.id, l.attempt + 1}]++
		}
		v.become(&counters, by.version)
		counters.RowsReplayed++
	}
	if m.w.shards != nil {
		if err := by.run.hold(want); err != nil {
			return fmt.Errorf("%s: %w", where, err)
		}
		c.placed = by.run.placed
	} else if err := compare("rows", rows, want); err != nil {
		return fmt.Errorf("%s: %w", where, err)
	}
	if next.Counters != counters || !counters.Reconciled() {
		return fmt.Errorf("%s: counters are %+v, want %+v", where, next.Counters, counters)
	}
	if err := ordering(c.placed, values, again); err != nil {
		return fmt.Errorf("%s: %w", where, err)
	}
	if jumps > 0 && c.summary[catalog.SummaryDataLoss] == "" && len(next.DataLoss) == 0 {
		return fmt.Errorf("%s: records were skipped and the loss is not recorded", where)
	}
	var pending []fileRef
	if next.Pending != nil {
		if next.Pending.Epoch != next.Epoch {
			return fmt.Errorf("%s: output of epoch %d is pending", where, next.Pending.Epoch)
		}
		for _, f := range next.Pending.Files() {
			key, err := keyOf(f.Path)
			if err != nil {
				return err
			}
			pending = append(pending, fileRef{key, f.Upload})
		}
	}
	letters, marks, err := m.readLetters(pending)
	if err != nil {
		return fmt.Errorf("%s: %w", where, err)
	}
	if err := compare("pending letters", letters, dead); err != nil {
		return fmt.Errorf("%s: %w", where, err)
	}
	if m.w.cfg.Rules.Takes() {
		if err := compare("pending marks", marks, takes); err != nil {
			return fmt.Errorf("%s: %w", where, err)
		}
	}
	merge(m.rows, rows)
	merge(m.of(stream).decided, dead)
	merge(m.of(stream).marks, marks)
	return nil
}

// ordering checks that rows of a split are in each partition of a topic, among those
// of each key of a data stream, and in each file, in the split's order; those of dead
// letters that were read again come when they come.
func ordering(rows []placed, values []value, again []written) error {
	at := map[int64]int{} // of the values that were read, by id
	for n, v := range values {
		at[v.id] = n
	}
	for _, l := range again {
		delete(at, l.id)
	}
	type of struct {
		place int
		split string
	}
	last := map[of]placed{}
	for _, r := range rows {
		n, ok := at[r.id]
		if !ok {
			continue
		}
		k := of{r.place, values[n].split}
		if before, ok := last[k]; ok && (at[before.id] > n || before.id == r.id && before.n >= r.n) {
			return fmt.Errorf("row %v comes after %v in partition or file %d", r.row, before.row, r.place)
		}
		last[k] = r
	}
	return nil
}

// replayed checks what an epoch says of replays, and lists the letters that it
// has read again and the marks that it owes.
func (m *model) replayed(stream string, last, next *protocol.Record) (again []written, takes map[mark]int, err error) {
	takes = map[mark]int{}
	for _, r := range last.Replays {
		if !r.Finished() && !slices.ContainsFunc(next.Replays, func(n connectors.Replay) bool { return n.ID == r.ID }) {
			return nil, nil, fmt.Errorf("replay %s is given up at %d of %d letters", r.ID, r.Done, r.Letters)
		}
	}
	for _, r := range next.Replays {
		known := m.replays[r.ID]
		if known == nil {
			if known, err = m.begins(stream, next.ID, r); err != nil {
				return nil, nil, err
			}
			for _, l := range known.letters {
				takes[mark{stream, l.by, r.ID}]++
			}
			continue
		}
		if int(r.Done) < known.done || int(r.Done) > len(known.letters) {
			return nil, nil, fmt.Errorf("replay %s goes from %d of %d letters to %d", r.ID, known.done, len(known.letters), r.Done)
		}
		again = append(again, known.letters[known.done:r.Done]...)
		known.done = int(r.Done)
	}
	return again, takes, nil
}

// begins checks the letters that a replay has chosen.
func (m *model) begins(stream, life string, r connectors.Replay) (*replay, error) {
	key, err := keyOf(r.File)
	if err != nil {
		return nil, err
	}
	data := reader(m.w.bucket.objects[key].data)
	var letters []connectors.DeadLetter
	for at := int64(0); at < data.Size(); {
		if letters, at, err = replayfile.Read(data, at, letters); err != nil {
			return nil, fmt.Errorf("file of replay %s: %w", r.ID, err)
		}
	}
	if r.Done != 0 || r.Offset != 0 || int(r.Letters) != len(letters) || len(letters) == 0 {
		return nil, fmt.Errorf("replay %s begins as %+v with %d letters", r.ID, r, len(letters))
	}
	known := &replay{}
	for _, d := range letters {
		l, ok := m.known[d.ID]
		switch {
		case !ok || l.stream != stream || l.text != string(d.Raw) || l.attempt != d.Attempt || !strings.HasPrefix(d.ID, life+"-"):
			return nil, fmt.Errorf("replay %s takes a letter %s that is not that of the table", r.ID, d.ID)
		case m.taken[d.ID] != "":
			return nil, fmt.Errorf("replay %s takes letter %s, and replay %s has taken it", r.ID, d.ID, m.taken[d.ID])
		}
		m.taken[d.ID] = r.ID
		known.letters = append(known.letters, l)
	}
	m.replays[r.ID] = known
	return known, nil
}

// allReplayed checks that no replay of a stream is under way.
func (m *model) allReplayed(stream string) error {
	for _, r := range m.of(stream).record.Replays {
		if !r.Finished() {
			return fmt.Errorf("%s has caught up, and replay %s is at %d of %d letters", stream, r.ID, r.Done, r.Letters)
		}
	}
	return nil
}

// letters checks what was added to the table of dead letters.
func (m *model) letters(files []fileRef) error {
	added, marks, err := m.readLetters(files)
	if err != nil {
		return err
	}
	merge(m.marked, marks)
	for one := range marks {
		if m.marked[one] > m.of(one.stream).marks[one] {
			return fmt.Errorf("mark %v is published for the %d. time", one, m.marked[one])
		}
	}
	merge(m.published, added)
	for one := range added {
		if decided := m.of(one.stream).decided[one]; m.published[one] > decided {
			return fmt.Errorf("the letter of %v is published for the %d. time, and was decided %d times", one, m.published[one], decided)
		}
	}
	return nil
}

// allPublished checks that no letter of a committed epoch of a stream is
// missing.
func (m *model) allPublished(stream string) error {
	published := maps.Clone(m.published)
	maps.DeleteFunc(published, func(l letter, _ int) bool { return l.stream != stream })
	marked := maps.Clone(m.marked)
	maps.DeleteFunc(marked, func(one mark, _ int) bool { return one.stream != stream })
	return errors.Join(
		compare("dead letters", published, m.of(stream).decided),
		compare("marks", marked, m.of(stream).marks),
	)
}

// between lists the values that a stream has read that went from one position
// to another, with the jumps that its source made, and counts those jumps.
func (m *model) between(from, to connectors.Positions, seen route) (values []value, jumped int, err error) {
	for split := range from {
		if _, ok := to[split]; !ok {
			return nil, 0, fmt.Errorf("split %s has no position any more", split)
		}
	}
	for _, split := range slices.Sorted(maps.Keys(to)) {
		end, err := decode(to[split])
		if err != nil {
			return nil, 0, err
		}
		at := position{Topic: end.Topic}
		if known, ok := from[split]; ok {
			if at, err = decode(known); err != nil {
				return nil, 0, err
			}
		} else {
			// A split that was found later begins at its beginning, as it was then.
			at = seen.starts[split]
		}
		for _, j := range seen.jumps {
			if j.split != split || j.from.Topic != at.Topic || j.from.Offset < at.Offset {
				continue
			}
			if end.Topic == j.from.Topic && end.Offset <= j.from.Offset {
				break
			}
			values = append(values, m.topics[at.Topic].slice(split, at.Offset, j.from.Offset)...)
			at = j.to
			jumped++
		}
		if end.Topic != at.Topic || end.Offset < at.Offset {
			return nil, 0, fmt.Errorf("split %s goes from %v to %v", split, at, end)
		}
		values = append(values, m.topics[at.Topic].slice(split, at.Offset, end.Offset)...)
	}
	return values, jumped, nil
}

// compare lists what is too much and what is missing.
func compare[K comparable](what string, have, want map[K]int) error {
	if maps.Equal(have, want) {
		return nil
	}
	var more, less []K
	for k := range have {
		if have[k] > want[k] {
			more = append(more, k)
		}
	}
	for k := range want {
		if have[k] < want[k] {
			less = append(less, k)
		}
	}
	order := func(a, b K) int { return bytes.Compare(fmt.Append(nil, a), fmt.Append(nil, b)) }
	slices.SortFunc(more, order)
	slices.SortFunc(less, order)
	return fmt.Errorf("%s: too many are %v, missing are %v", what, more, less)
}

func merge[K comparable](all, more map[K]int) {
	for k, n := range more {
		all[k] += n
	}
}

// added lists the data files that a version has and the one before had not.
func (m *model) added(before, after table.Metadata) ([]fileRef, error) {
	head := after.CurrentSnapshot()
	if head == nil {
		return nil, nil
	}
	if old := before.CurrentSnapshot(); old != nil && old.SnapshotID == head.SnapshotID {
		return nil, nil
	}
	io := bucketIO{m.w.bucket}
	manifests, err := head.Manifests(io)
	if err != nil {
		return nil, err
	}
	var files []fileRef
	for _, manifest := range manifests {
		if manifest.SnapshotID() != head.SnapshotID || !manifest.HasAddedFiles() {
			continue
		}
		for entry, err := range manifest.Entries(io, true) {
			if err != nil {
				return nil, err
			}
			if entry.Status() == iceberg.EntryStatusADDED {
				key, err := keyOf(entry.DataFile().FilePath())
				if err != nil {
					return nil, err
				}
				files = append(files, fileRef{key: key})
			}
		}
	}
	return files, nil
}

// letterFiles lists the files of the table of dead letters.
func (m *model) letterFiles() ([]fileRef, error) {
	if m.w.hive {
		return m.listed(catalog.DeadLetterTable), nil
	}
	meta := m.w.catalog.metadata(catalog.DeadLetterTable)
	if meta == nil || meta.CurrentSnapshot() == nil {
		return nil, nil
	}
	io := bucketIO{m.w.bucket}
	manifests, err := meta.CurrentSnapshot().Manifests(io)
	if err != nil {
		return nil, err
	}
	var files []fileRef
	for _, manifest := range manifests {
		for entry, err := range manifest.Entries(io, true) {
			if err != nil {
				return nil, err
			}
			key, err := keyOf(entry.DataFile().FilePath())
			if err != nil {
				return nil, err
			}
			files = append(files, fileRef{key: key})
		}
	}
	return files, nil
}

// readRows reads data files of the stream's table, in the order of their rows.
func (m *model) readRows(files []fileRef) ([]placed, error) {
	var rows []placed
	n := 2
	if m.w.hive {
		n = 1 // the partition's column is in the path alone
	}
	for place, name := range files {
		err := m.read(name, func(group *file.RowGroupReader) error {
			ids, err := int64s(group, 0)
			if err != nil {
				return err
			}
			numbers, err := int64s(group, n)
			if err != nil {
				return err
			}
			for i := range ids {
				rows = append(rows, placed{row{ids[i], numbers[i]}, place})
			}
			return nil
		})
		if err != nil {
			return nil, err
		}
	}
	return rows, nil
}

// counted says how often each row is there.
func counted(rows []placed) map[row]int {
	counts := map[row]int{}
	for _, p := range rows {
		counts[p.row]++
	}
	return counts
}

// readLetters reads files of dead letters and marks.
func (m *model) readLetters(files []fileRef) (map[letter]int, map[mark]int, error) {
	letters, marks := map[letter]int{}, map[mark]int{}
	for _, name := range files {
		err := m.read(name, func(group *file.RowGroupReader) error {
			rows, err := lettersOf(group)
			for _, r := range rows {
				if r.replay != "" {
					marks[mark{r.stream, r.id, r.replay}]++
					continue
				}
				v, err := parse([]byte(r.raw))
				if err != nil {
					return err
				}
				l := letter{r.stream, v.id, r.attempt}
				letters[l]++
				m.known[r.id] = written{l, r.id, r.raw}
			}
			return err
		})
		if err != nil {
			return nil, nil, err
		}
	}
	return letters, marks, nil
}

// read visits the row groups of a Parquet file, which must be whole.
func (m *model) read(f fileRef, visit func(*file.RowGroupReader) error) error {
	data := m.w.bucket.objects[f.key].data
	if u := m.w.bucket.staged[f.upload]; u != nil && u.finished {
		data = u.data
	}
	if data == nil {
		return fmt.Errorf("file %s is in the table and not in the bucket", f.key)
	}
	r, err := file.NewParquetReader(bytes.NewReader(data))
	if err != nil {
		return fmt.Errorf("read file %s: %w", f.key, err)
	}
	defer r.Close()
	for g := range r.NumRowGroups() {
		if err := visit(r.RowGroup(g)); err != nil {
			return fmt.Errorf("read file %s: %w", f.key, err)
		}
	}
	return nil
}

func int64s(group *file.RowGroupReader, column int) ([]int64, error) {
	c, err := group.Column(column)
	if err != nil {
		return nil, err
	}
	out := make([]int64, group.NumRows())
	levels := make([]int16, len(out))
	r, ok := c.(*file.Int64ColumnChunkReader)
	if !ok {
		return nil, fmt.Errorf("column %d is no int64", column)
	}
	for at := 0; at < len(out); {
		n, _, err := r.ReadBatch(int64(len(out)-at), out[at:], levels[at:], nil)
		if err != nil {
			return nil, err
		}
		if n == 0 {
			return nil, fmt.Errorf("column %d ends after %d values", column, at)
		}
		at += int(n)
	}
	return out, nil
}

// texts reads a column of texts; NULL is "".
func texts(group *file.RowGroupReader, column int) ([]string, error) {
	c, err := group.Column(column)
	if err != nil {
		return nil, err
	}
	r, ok := c.(*file.ByteArrayColumnChunkReader)
	if !ok {
		return nil, fmt.Errorf("column %d is no text", column)
	}
	out := make([]string, 0, group.NumRows())
	values := make([]parquet.ByteArray, group.NumRows())
	levels := make([]int16, len(values))
	for len(out) < len(values) {
		n, _, err := r.ReadBatch(int64(len(values)-len(out)), values, levels, nil)
		if err != nil {
			return nil, err
		}
		if n == 0 {
			return nil, fmt.Errorf("column %d ends after %d values", column, len(out))
		}
		next := 0
		for _, level := range levels[:n] {
			if level == 0 {
				out = append(out, "")
				continue
			}
			out = append(out, string(values[next]))
			next++
		}
	}
	return out, nil
}

// slice is a split's values between two offsets.
func (t *topic) slice(split string, from, to int64) []value {
	n, err := strconv.Atoi(split)
	if err != nil || from == to {
		return nil
	}
	return t.partitions[n].values[from:to]
}
