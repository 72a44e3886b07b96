package chaos

import (
	"bytes"
	"context"
	_ "embed"
	"encoding/base64"
	"encoding/csv"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"regexp"
	"strconv"
	"strings"
	"time"

	"github.com/twmb/franz-go/pkg/kadm"
	"github.com/twmb/franz-go/pkg/kgo"

	"github.com/leatdb/leat/internal/services"
)

// Tally is what a run has found.
type Tally struct {
	Kills, S3Kills, KafkaKills int
	Hangs                      int // of the S3 server or the broker
	// Restarts are the times from a start to its first commit, of the starts
	// that saw no outage.
	Restarts []time.Duration
	Took     time.Duration

	// What the topic holds for a reader of committed records.
	Records, Tombstones, Broken, Filtered, Wanted int64
	// Counters are leat's own.
	Counters Counters
	// What SELECT over the table says.
	Selected, SelectedDistinct int64

	// What independent readers found: rows and dead letters, and how they differ
	// from the topic.
	Rows, Letters, Files          int64
	LostRows, LostLetters         int64
	RepeatedRows, RepeatedLetters int64
	Wrong                         int64 // neither in the topic nor of the kind that lands
	OutOfOrder                    int64
	Complaints                    []string // the first of each
}

// Counters are the columns of leat.stream_metrics that have to reconcile.
type Counters struct {
	RecordsIn, RecordsEmpty, RowsIn, RowsExploded, RowsLanded, RowsFiltered, RowsDead int64
}

// Err says what was wrong, or is nil.
func (t *Tally) Err() error {
	var errs []error
	wrong := func(what string, n int64) {
		if n != 0 {
			errs = append(errs, fmt.Errorf("%d %s", n, what))
		}
	}
	wrong("rows lost", t.LostRows)
	wrong("rows repeated", t.RepeatedRows)
	wrong("dead letters lost", t.LostLetters)
	wrong("dead letters repeated", t.RepeatedLetters)
	wrong("rows or letters that should not be there", t.Wrong)
	wrong("rows out of order", t.OutOfOrder)
	want := Counters{
		RecordsIn: t.Records, RecordsEmpty: t.Tombstones, RowsIn: t.Records - t.Tombstones,
		RowsLanded: t.Wanted, RowsFiltered: t.Filtered, RowsDead: t.Broken,
	}
	if t.Counters != want {
		errs = append(errs, fmt.Errorf("counters are %+v, want %+v", t.Counters, want))
	}
	if t.Selected != t.Wanted || t.SelectedDistinct != t.Wanted {
		errs = append(errs, fmt.Errorf("SELECT counts %d rows, %d of them different, want %d", t.Selected, t.SelectedDistinct, t.Wanted))
	}
	for _, c := range t.Complaints {
		errs = append(errs, errors.New(c))
	}
	return errors.Join(errs...)
}

// Print writes the tally for people.
func (t *Tally) Print(w io.Writer) error {
	_, err := fmt.Fprintf(w, `kills             leat %d, S3 server %d, broker %d, and %d hangs, in %v
topic             %d records: %d tombstones, %d broken, %d filtered, %d to land
landed            %d rows in %d files; %d lost, %d repeated, %d out of order
dead letters      %d; %d lost, %d repeated
neither           %d
leat's counters   records_in %d = rows_in %d + records_empty %d; landed %d, filtered %d, dead %d
restart to commit median %v, 90 %% %v, longest %v (of %d)
`, t.Kills, t.S3Kills, t.KafkaKills, t.Hangs, t.Took.Round(time.Second),
		t.Records, t.Tombstones, t.Broken, t.Filtered, t.Wanted,
		t.Rows, t.Files, t.LostRows, t.RepeatedRows, t.OutOfOrder,
		t.Letters, t.LostLetters, t.RepeatedLetters, t.Wrong,
		t.Counters.RecordsIn, t.Counters.RowsIn, t.Counters.RecordsEmpty, t.Counters.RowsLanded, t.Counters.RowsFiltered, t.Counters.RowsDead,
		t.Percentile(0.5).Round(time.Millisecond), t.Percentile(0.9).Round(time.Millisecond), t.Percentile(1).Round(time.Millisecond), len(t.Restarts))
	return err
}

// complain keeps the first complaints.
func (t *Tally) complain(counter *int64, format string, args ...any) {
	*counter++
	if *counter <= 3 {
		t.Complaints = append(t.Complaints, fmt.Sprintf(format, args...))
	}
}

// What must become of a record of the topic.
type fate byte

const (
	nothing   fate = iota // no committed record has the offset
	tombstone             // counted only
	filtered
	dead
	landed
)

// entry is one offset of a partition.
type entry struct {
	id   int64
	fate fate
	seen bool
}

// ledger is the topic by partition and offset.
type ledger [][]entry

func (l ledger) at(partition, offset int64) *entry {
	if partition < 0 || partition >= int64(len(l)) || offset < 0 || offset >= int64(len(l[partition])) {
		return nil
	}
	return &l[partition][offset]
}

// readTopic reads the committed records from the beginning to the end.
func (r *run) readTopic() ledger {
	ctx, cancel := context.WithTimeout(r.t.Context(), 5*time.Minute)
	defer cancel()
	client := r.kafka.Client(kgo.FetchIsolationLevel(kgo.ReadCommitted()), kgo.ConsumeTopics(topic),
		kgo.KeepControlRecords(), kgo.ConsumeResetOffset(kgo.NewOffset().AtStart()))
	ends, err := kadm.NewClient(client).ListEndOffsets(ctx, topic)
	if err != nil {
		r.t.Fatalf("ask where the topic ends: %v", err)
	}
	l := make(ledger, r.cfg.Partitions)
	left := 0
	ends.Each(func(o kadm.ListedOffset) {
		l[o.Partition] = make([]entry, o.Offset)
		if o.Offset > 0 {
			left++
		}
	})
	for left > 0 {
		fetches := client.PollFetches(ctx)
		if err := fetches.Err(); err != nil {
			r.t.Fatalf("read the topic: %v", err)
		}
		fetches.EachRecord(func(record *kgo.Record) {
			if !record.Attrs.IsControl() {
				l[record.Partition][record.Offset] = r.entry(record)
			}
			if record.Offset == int64(len(l[record.Partition]))-1 {
				left--
			}
		})
	}
	return l
}

func (r *run) entry(record *kgo.Record) entry {
	r.tally.Records++
	if record.Value == nil {
		r.tally.Tombstones++
		return entry{fate: tombstone}
	}
	var v struct{ ID int64 }
	// A broken record has its number, too, if one looks past the end.
	if err := json.Unmarshal(append(bytes.TrimSuffix(record.Value, []byte(", ")), '}'), &v); err == nil {
		r.tally.Broken++
		return entry{id: v.ID, fate: dead}
	}
	if err := json.Unmarshal(record.Value, &v); err != nil {
		r.t.Fatalf("record %d@%d is none of the producers': %v", record.Partition, record.Offset, err)
	}
	if v.ID%filteredEvery == 0 {
		r.tally.Filtered++
		return entry{id: v.ID, fate: filtered}
	}
	r.tally.Wanted++
	return entry{id: v.ID, fate: landed}
}

//go:embed read.py
var readScript string

// count compares the topic with the table and the dead letters, as independent
// readers see them.
func (r *run) count() {
	topic := r.readTopic()
	dir := r.t.TempDir()
	rows, letters := filepath.Join(dir, "rows.csv"), filepath.Join(dir, "letters.csv")
	files := strings.Fields(string(services.RunPython(r.t, readScript, r.cfg.TableFormat, filepath.Join(r.leat.Data, "iceberg.db"),
		r.s3.Endpoint, r.s3.Region, r.s3.AccessKey, r.s3.SecretKey, bucket+"/lake", "chaos", table, rows, letters)))
	r.tally.Files = int64(len(files))
	r.countRows(topic, rows, files)
	r.countLetters(topic, letters)
	for p := range topic {
		for o := range topic[p] {
			switch e := &topic[p][o]; {
			case e.seen:
			case e.fate == landed:
				r.tally.complain(&r.tally.LostRows, "row %d of record %d@%d is lost", e.id, p, o)
			case e.fate == dead:
				r.tally.complain(&r.tally.LostLetters, "dead letter of record %d@%d is lost", p, o)
			}
		}
	}
}

// origin is where a file's name says that it comes from: stream, generation,
// epoch, lane, number.
var origin = regexp.MustCompile(`/` + stream + `-(\d+)-(\d+)-(\d+)-(\d+)(-[^/]*)?\.parquet$`)

// epochID is a commit; commits are ordered by it.
type epochID struct{ generation, epoch int64 }

func (e epochID) before(other epochID) bool {
	return e.generation < other.generation || e.generation == other.generation && e.epoch < other.epoch
}

// countRows reads rows in the order in which they are in their files.
func (r *run) countRows(topic ledger, path string, files []string) {
	type span struct{ first, last int64 }
	spans := map[epochID]map[int64]*span{} // offsets by commit and partition
	epochs := make([]epochID, len(files))
	for i, file := range files {
		m := origin.FindStringSubmatch(file)
		if m == nil {
			r.t.Fatalf("the name of file %s does not tell where it comes from", file)
		}
		epochs[i] = epochID{number(r.t, m[1]), number(r.t, m[2])}
	}
	lastFile, last := int64(-1), map[int64]int64{}
	r.eachLine(path, func(line []string) {
		file, split, position, id := number(r.t, line[0]), number(r.t, line[1]), number(r.t, line[2]), number(r.t, line[3])
		r.tally.Rows++
		e := topic.at(split, position)
		switch {
		case e == nil || e.fate != landed || e.id != id:
			r.tally.complain(&r.tally.Wrong, "row %d of record %d@%d in %s should not be there: %+v", id, split, position, files[file], e)
			return
		case e.seen:
			r.tally.complain(&r.tally.RepeatedRows, "row %d of record %d@%d is repeated in %s", id, split, position, files[file])
			return
		}
		e.seen = true
		if file != lastFile {
			lastFile = file
			clear(last)
		}
		if before, ok := last[split]; ok && position < before {
			r.tally.complain(&r.tally.OutOfOrder, "record %d@%d is behind %d in %s", split, position, before, files[file])
		}
		last[split] = position
		of := spans[epochs[file]]
		if of == nil {
			of = map[int64]*span{}
			spans[epochs[file]] = of
		}
		if of[split] == nil {
			of[split] = &span{position, position}
		}
		of[split].first, of[split].last = min(of[split].first, position), max(of[split].last, position)
	})
	// A later commit has later offsets of each partition.
	for a, of := range spans {
		for b, others := range spans {
			if !a.before(b) {
				continue
			}
			for split, s := range of {
				if o := others[split]; o != nil && o.first < s.last {
					r.tally.complain(&r.tally.OutOfOrder, "commit %v has %d@%d, commit %v after it has %d@%d", a, split, s.last, b, split, o.first)
				}
			}
		}
	}
}

func (r *run) countLetters(topic ledger, path string) {
	r.eachLine(path, func(line []string) {
		r.tally.Letters++
		partition, offset, _ := strings.Cut(line[0], "@")
		raw, err := base64.StdEncoding.DecodeString(line[1])
		if err != nil {
			r.t.Fatalf("read dead letters: %v", err)
		}
		p, o := number(r.t, partition), number(r.t, offset)
		e := topic.at(p, o)
		switch {
		case e == nil || e.fate != dead || string(raw) != strings.TrimSpace(string(value(e.id, 0, 0))):
			r.tally.complain(&r.tally.Wrong, "dead letter %q of record %d@%d should not be there: %+v", raw, p, o, e)
		case e.seen:
			r.tally.complain(&r.tally.RepeatedLetters, "dead letter of record %d@%d is repeated", p, o)
		default:
			e.seen = true
		}
	})
}

func (r *run) eachLine(path string, f func(line []string)) {
	file, err := os.Open(path)
	if err != nil {
		r.t.Fatal(err)
	}
	defer func() { _ = file.Close() }() // it was only read
	lines := csv.NewReader(file)
	lines.ReuseRecord = true
	for {
		line, err := lines.Read()
		if errors.Is(err, io.EOF) {
			return
		}
		if err != nil {
			r.t.Fatalf("read what the readers found: %v", err)
		}
		f(line)
	}
}

func number(t services.TB, text string) int64 {
	n, err := strconv.ParseInt(text, 10, 64)
	if err != nil {
		t.Fatalf("read what the readers found: %v", err)
	}
	return n
}
