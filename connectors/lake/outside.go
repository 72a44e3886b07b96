package lake

import (
	"bytes"
	"context"
	"encoding/base64"
	"encoding/json"
	"fmt"
	"path"
	"strings"
	"time"

	"github.com/klauspost/compress/gzip"

	"github.com/leatdb/leat/catalog"
	"github.com/leatdb/leat/catalog/hive"
	"github.com/leatdb/leat/connectors"
	"github.com/leatdb/leat/internal/objectstore"
	"github.com/leatdb/leat/sql/sqlerror"
)

// outsideSpec are the options for what a stream writes beside its table.
var outsideSpec = connectors.Spec{
	{Name: "error_path", Doc: "Folder that gets rejected records, too, as JSON objects with the fields that Amazon Data Firehose documents, one a line: s3://bucket/prefix, which may hold !{timestamp:yyyy/MM/dd}, !{error-output-type} and !{random}; needs table_format = 'hive'."},
	{Name: "backup", Doc: "Folder that gets all records of the source as they came, as gzipped JSON objects, one a line: s3://bucket/prefix, which may hold !{timestamp:yyyy/MM/dd} and !{random}; needs table_format = 'hive'."},
}

// outside is a place beside the table. What is put there exists when the commit
// that names it has been settled.
type outside struct {
	store    objectstore.Stager
	template *hive.Template
}

// defaultOutside is the form of folders where an option gives none.
const defaultOutside = "!{timestamp:yyyy/MM/dd/HH}"

// splitOutside cuts what an option says into a root and the form of the folders
// below it.
func splitOutside(value string) (root, template string) {
	i := strings.Index(value, "!{")
	if i < 0 {
		return strings.TrimRight(value, "/"), defaultOutside
	}
	i = strings.LastIndexByte(value[:i], '/') + 1
	return strings.TrimRight(value[:i], "/"), value[i:]
}

// checkOutside verifies what an option says, as far as it says it itself.
func checkOutside(o connectors.Options, name string) error {
	if !o.Has(name) {
		return nil
	}
	root, template := splitOutside(o.String(name))
	if !strings.Contains(root, "://") && !strings.HasPrefix(root, "/") {
		return sqlerror.Userf(sqlerror.CodeBadOption, "option %s: %q is relative", name, o.String(name)).WithHint("write s3://bucket/prefix or an absolute path")
	}
	if _, err := objectstore.ParseLocation(root); err != nil {
		return fmt.Errorf("option %s: %w", name, err)
	}
	return aboutOption(hive.CheckTemplate(template, hive.ErrorFiles), name)
}

// aboutOption names the option that an error is about.
func aboutOption(err error, name string) error {
	if err == nil {
		return nil
	}
	if e := sqlerror.As(err); e != nil {
		return e.About("option " + name)
	}
	return fmt.Errorf("option %s: %w", name, err)
}

// openOutside opens the place that an option names, nil where it is not given.
func (s *Sink) openOutside(o connectors.Options, name string) (*outside, error) {
	if !o.Has(name) {
		return nil, nil
	}
	if err := checkOutside(o, name); err != nil {
		return nil, err
	}
	root, template := splitOutside(o.String(name))
	if key, err := s.store.Key(root); err == nil && !strings.HasPrefix(key, "_") {
		return nil, sqlerror.Userf(sqlerror.CodeBadOption, "option %s: %s lies among the sink's tables, whose readers would take it for rows", name, root).
			WithHint("choose a place outside of %s, or a folder in it that begins with _", s.store.URI(""))
	}
	store, err := s.store.At(root)
	if err != nil {
		return nil, aboutOption(err, name)
	}
	stager, ok := store.(objectstore.Stager)
	if !ok {
		return nil, errNoStager
	}
	parsed, err := hive.ParseTemplate(template, nil, hive.ErrorFiles)
	if err != nil {
		return nil, aboutOption(err, name)
	}
	return &outside{store: stager, template: parsed}, nil
}

// look fails where the bucket is missing, which would else show with the first
// rejected record. It only lists, since the place may be watched by others, and
// takes being refused for an answer: more than writing may not be allowed there.
func (o *outside) look(ctx context.Context) error {
	if !strings.HasPrefix(o.store.URI(""), "s3://") {
		return nil // a folder is made when it is written to
	}
	_, _, err := o.store.List(ctx, "", "", 1)
	if sqlerror.HasCode(err, sqlerror.CodeUnknownObject) {
		return err
	}
	return nil
}

// outsidePlace is where a local store keeps what is staged for a place.
const outsidePlace = "_leat/staged"

// objectWriter writes lines to the objects of a lane at a place. A nil one
// writes nothing.
type objectWriter struct {
	lane      *laneWriter
	to        *outside
	extension string
	errorType string

	sink  *lazySink // nil where no object is open
	zip   *gzip.Writer
	out   bytes.Buffer // what the object gets next
	lines int64
	bytes int64
	files []*outputFile
}

// objectBuffer is how much is gathered for the store.
const objectBuffer = 256 << 10

func newObjectWriter(w *laneWriter, to *outside, extension, errorType string) *objectWriter {
	if to == nil {
		return nil
	}
	return &objectWriter{lane: w, to: to, extension: extension, errorType: errorType}
}

// write appends a line, which ends with a line break.
func (o *objectWriter) write(ctx context.Context, line []byte) error {
	if o.sink == nil {
		o.open()
	}
	o.lines++
	if o.zip == nil {
		o.out.Write(line)
	} else if _, err := o.zip.Write(line); err != nil {
		return fmt.Errorf("compress a record: %w", err)
	}
	if o.out.Len() < objectBuffer {
		return nil
	}
	if err := o.flush(ctx); err != nil {
		return err
	}
	if o.bytes >= o.lane.stream.settings.Load().targetFileSize {
		return o.finish(ctx)
	}
	return nil
}

func (o *objectWriter) open() {
	w := o.lane
	w.counter++
	name := w.hiveName() + "-" + w.id[:min(len(w.id), 8)] + o.extension
	folder := o.to.template.Folder(hive.Place{At: w.stream.pathTime(), Random: w.stream.newID(), ErrorType: o.errorType})
	o.sink = &lazySink{uploads: w.uploads, to: o.to, key: path.Join(folder, name), place: outsidePlace}
	if strings.HasSuffix(o.extension, ".gz") && o.zip == nil {
		// The level is valid.
		o.zip, _ = gzip.NewWriterLevel(&o.out, gzip.BestSpeed)
	} else if o.zip != nil {
		o.zip.Reset(&o.out)
	}
}

func (o *objectWriter) flush(ctx context.Context) error {
	n := int64(o.out.Len())
	if n == 0 {
		return nil
	}
	if err := o.sink.Write(ctx, o.out.Bytes()); err != nil {
		return err
	}
	o.bytes += n
	o.lane.written.Add(n)
	o.out.Reset()
	return nil
}

// finish closes the open object and uploads it.
func (o *objectWriter) finish(ctx context.Context) error {
	if o == nil || o.sink == nil {
		return nil
	}
	if o.zip != nil {
		if err := o.zip.Close(); err != nil {
			return fmt.Errorf("compress records: %w", err)
		}
	}
	if err := o.flush(ctx); err != nil {
		return err
	}
	out := &outputFile{key: o.sink.key, to: o.to, rows: o.lines}
	o.files = append(o.files, out)
	o.lane.uploads.finish(out, o.sink.writer, &o.lane.inFlight)
	o.sink, o.lines, o.bytes = nil, 0, 0
	return nil
}

func (o *objectWriter) held() int64 {
	if o == nil || o.sink == nil {
		return 0
	}
	return int64(o.out.Cap()) + o.sink.held()
}

// take hands over the epoch's objects.
func (o *objectWriter) take() []*outputFile {
	if o == nil {
		return nil
	}
	files := o.files
	o.files = nil
	return files
}

// discard throws the epoch's lines away.
func (o *objectWriter) discard() {
	if o == nil {
		return
	}
	if o.sink != nil {
		o.sink.abort()
	}
	o.sink, o.lines, o.bytes, o.files = nil, 0, 0, nil
	o.out.Reset()
}

// firehoseError is a rejected record as Amazon Data Firehose writes it
// (https://docs.aws.amazon.com/firehose/latest/dev/data-transformation-failure-handling.html).
// Times are milliseconds since 1970.
type firehoseError struct {
	AttemptsMade           int    `json:"attemptsMade"`
	ArrivalTimestamp       int64  `json:"arrivalTimestamp"`
	ErrorCode              string `json:"errorCode"`
	ErrorMessage           string `json:"errorMessage"`
	AttemptEndingTimestamp int64  `json:"attemptEndingTimestamp"`
	RawData                []byte `json:"rawData"` // in base64
}

// writeErrors writes rejected values to error_path.
func (w *laneWriter) writeErrors(ctx context.Context, letters []connectors.DeadLetter) error {
	if w.errors == nil {
		return nil
	}
	now := w.stream.spec.Now().UnixMilli()
	for _, d := range letters {
		e := firehoseError{
			AttemptsMade: max(d.Attempt, 1), ErrorCode: string(d.Class), ErrorMessage: strings.ToValidUTF8(d.Message, "\uFFFD"),
			AttemptEndingTimestamp: now, ArrivalTimestamp: now, RawData: d.Raw,
		}
		if !d.Arrived.IsZero() {
			e.ArrivalTimestamp = d.Arrived.UnixMilli()
		}
		line, err := json.Marshal(e)
		if err != nil {
			return fmt.Errorf("encode a rejected record: %w", err)
		}
		if err := w.errors.write(ctx, append(line, '\n')); err != nil {
			return err
		}
	}
	return nil
}

// KeepsRecords implements connectors.RecordKeeper.
func (w *laneWriter) KeepsRecords() bool { return w.backup != nil }

// KeepRecords implements connectors.RecordKeeper: a JSON object for each record
// of a source of messages, or for each run of whole lines of a source of bytes,
// with the fields source, split, offset (or name), arrivalTimestamp in ms where it
// is known, and rawData in base64. A record without a payload has rawData null.
func (w *laneWriter) KeepRecords(ctx context.Context, source string, c *connectors.Chunk) error {
	if w.uploads == nil {
		return errNotBegun
	}
	line := append(appendText(append(w.line[:0], `{"source":`...), source), `,"split":`...)
	split := len(line)
	line = appendText(line, c.Split)
	begin := len(line)
	record := func(data []byte, null bool) error {
		line = append(line, `,"rawData":`...)
		if null {
			line = append(line, "null}\n"...)
		} else {
			line = append(line, '"')
			line = base64.StdEncoding.AppendEncode(line, data)
			line = append(line, "\"}\n"...)
		}
		return w.backup.write(ctx, line)
	}
	for _, p := range c.Parts {
		line = fmt.Appendf(appendText(line[:split], p.Split), `,"offset":%d`, p.Base)
		if err := record(c.Data[p.Start:p.End], false); err != nil {
			return err
		}
	}
	if len(c.Records) == 0 && len(c.Parts) == 0 && len(c.Data) > 0 {
		line = fmt.Appendf(line[:begin], `,"offset":%d`, c.Base)
		if err := record(c.Data, false); err != nil {
			return err
		}
	}
	for i := range c.Records {
		r := &c.Records[i]
		line = line[:begin]
		if c.Names != nil {
			line = appendText(append(line, `,"name":`...), string(c.Names[i]))
		} else {
			line = fmt.Appendf(line, `,"offset":%d`, r.Offset)
		}
		if r.Arrived != 0 {
			line = fmt.Appendf(line, `,"arrivalTimestamp":%d`, r.Arrived/1000)
		}
		if err := record(c.Data[r.Start:r.End], r.Null); err != nil {
			return err
		}
	}
	w.line = line
	return w.relieve(ctx)
}

// appendText appends a JSON string.
func appendText(dst []byte, s string) []byte {
	text, err := json.Marshal(strings.ToValidUTF8(s, "\uFFFD"))
	if err != nil {
		return append(dst, `""`...) // strings can be encoded
	}
	return append(dst, text...)
}

// pathTime is the time that a folder of a file which begins now is named after.
func (s *streamSink) pathTime() time.Time {
	if s.spec.Location == nil {
		return s.spec.Now().UTC()
	}
	return s.spec.Now().In(s.spec.Location)
}

// objects names what the lanes wrote outside of the table for its commit.
func objectsOf(sealed []*sealed) []catalog.NewObject {
	var list []catalog.NewObject
	for _, one := range sealed {
		for _, f := range one.objects {
			list = append(list, catalog.NewObject{Root: f.to.store.URI(""), Upload: *f.upload, Records: f.rows})
		}
	}
	return list
}

// sweepOutside throws away what earlier starts of the stream have staged outside
// of the table and not committed. What was decided exists by now.
func (s *streamSink) sweepOutside(ctx context.Context, mine func(name string) bool) error {
	for _, to := range []*outside{s.errors, s.backup} {
		if to == nil {
			continue
		}
		uploads, err := to.store.Uploads(ctx, "", outsidePlace)
		if err != nil {
			return err
		}
		for _, u := range uploads {
			if mine(path.Base(u.Key)) {
				if err := to.store.Discard(ctx, u); err != nil {
					return err
				}
			}
		}
	}
	return nil
}
