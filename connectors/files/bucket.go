package files

import (
	"context"
	"errors"
	"path"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/leatdb/leat/connectors"
	"github.com/leatdb/leat/internal/objectstore"
	"github.com/leatdb/leat/sql/sqlerror"
)

// bucketOptions are the options that only paths of s3:// take.
var bucketOptions = connectors.Spec{
	{Name: "endpoint", Doc: "URL of an S3 server that is not AWS."},
	{Name: "region", Doc: "Region of the bucket; default is the environment's."},
	{Name: "access_key_id", Doc: "Access key; default is the environment's credential chain."},
	{Name: "secret_access_key", Secret: true, Doc: "Secret of the access key."},
	{Name: "session_token", Secret: true, Doc: "Token of temporary credentials."},
	{Name: "path_style", Kind: connectors.OptionBool, Doc: "Address the bucket as endpoint/bucket; default true with an endpoint."},
	{Name: "listing", Default: "full", Choices: []string{"full", "growing"}, Doc: "How a tailed prefix is looked through for new objects: all of it; or only behind the names of objects that are read and older than lookback, for prefixes whose names grow with time: what appears before those is never seen."},
	{Name: "notifications", Doc: "URL or ARN of an SQS queue that gets the bucket's s3:ObjectCreated:* events, from S3 itself, by SNS or by EventBridge: new objects of a tailed prefix are known without listing it. Each stream needs a queue of its own."},
	{Name: "listing_interval", Kind: connectors.OptionDuration, Default: "15m", Min: int64(time.Second), Doc: "With notifications: how often the prefix is listed all the same, as it is at every start, since a notification can be lost."},
	{Name: "visibility_timeout", Kind: connectors.OptionDuration, Default: "5m", Min: int64(2 * time.Second), Doc: "With notifications: how long a message is hidden from other readers of the queue, in whole seconds; this is extended until the message's objects are committed, and at most 12h."},
	{Name: "lookback", Kind: connectors.OptionDuration, Default: "1h", Doc: "How long after its name was first passed over an object may still appear, with listing = 'growing'."},
}

// bucket is the store of an S3 prefix.
type bucket struct {
	text      string // as the user wrote it
	name      string
	root      string // the prefix that ids are relative to, with a slash at its end
	single    string // an object of this name may be what is meant
	pattern   []string
	recursive bool
	objects   objectstore.Store
	stalls    *objectstore.Stalls
	ctx       context.Context // of all reads
	cancel    context.CancelFunc
	ahead     int   // ranges of an object fetched ahead
	budget    int64 // bytes of objects opened ahead

	buffers buffers
	pace    pace

	mu       sync.Mutex
	expected map[string]*ranges // opened ahead, by path
	held     int64              // bytes of these
	closed   bool
}

// isBucket reports whether the path option names a bucket.
func isBucket(text string) bool {
	scheme, _, _ := strings.Cut(text, "://")
	return slices.Contains([]string{"s3", "s3a", "s3n"}, strings.ToLower(scheme))
}

func openBucket(ctx context.Context, cfg connectors.SourceConfig) (*bucket, error) {
	o := cfg.Options
	text := o.String("path")
	_, rest, _ := strings.Cut(text, "://")
	name, key, _ := strings.Cut(rest, "/")
	objects, err := objectstore.Open(ctx, objectstore.Config{
		URI: "s3://" + name, Endpoint: o.String("endpoint"), Region: o.String("region"),
		PathStyle: o.Bool("path_style"), VirtualHosted: o.Has("path_style") && !o.Bool("path_style"),
		AccessKeyID: o.String("access_key_id"), SecretAccessKey: o.String("secret_access_key"), SessionToken: o.String("session_token"),
	})
	if err != nil {
		return nil, err
	}
	b := &bucket{
		text: text, name: name, recursive: o.Bool("recursive"), objects: objects,
		stalls: objectstore.NewStalls(cfg.Retrying), expected: map[string]*ranges{},
	}
	lanes := int64(max(1, cfg.Lanes))
	b.ahead = int(min(4, max(1, int64(cfg.PrefetchBytes)/2/lanes/rangeBytes)))
	b.budget = int64(cfg.PrefetchBytes) / 2
	b.buffers.most = b.budget // else as many are made anew as are under way
	b.ctx, b.cancel = context.WithCancel(b.stalls.Context(context.WithoutCancel(ctx)))
	switch {
	case strings.ContainsAny(key, "*?["):
		parts := strings.Split(key, "/")
		fixed := slices.IndexFunc(parts, func(p string) bool { return strings.ContainsAny(p, "*?[") })
		b.root, b.pattern = strings.Join(parts[:fixed], "/"), parts[fixed:]
		if err := checkPattern(text, b.pattern); err != nil {
			return nil, errors.Join(err, b.close())
		}
	case strings.HasSuffix(key, "/"):
		b.root = strings.TrimRight(key, "/")
	default:
		b.root, b.single = key, key
	}
	if b.root != "" {
		b.root += "/"
	}
	return b, nil
}

func (b *bucket) path() (string, bool) { return b.text, b.pattern != nil }
func (b *bucket) immutable() bool      { return true }

func (b *bucket) list(ctx context.Context, after string, visit func(entry) bool) error {
	ctx = b.stalls.Context(ctx)
	if b.single != "" {
		infos, _, err := b.objects.List(ctx, b.single, "", 1)
		if err != nil {
			return err
		}
		if len(infos) > 0 && infos[0].Key == b.single {
			e := entryOf(infos[0])
			e.id = path.Base(b.single)
			visit(e)
			return nil
		}
	}
	if after != "" {
		after = b.root + after
	}
	for info, err := range objectstore.All(ctx, b.objects, b.root, after) {
		if err != nil {
			return err
		}
		e := entryOf(info)
		e.id = splitID(strings.TrimPrefix(info.Key, b.root))
		if e.size > 0 && b.wanted(e.id) && !visit(e) {
			return nil
		}
	}
	return nil
}

// idOf is the id of an object that the path means.
func (b *bucket) idOf(key string) (id string, ok bool) {
	if b.single != "" && key == b.single {
		return path.Base(key), true
	}
	rest, below := strings.CutPrefix(key, b.root)
	id = splitID(rest)
	return id, below && b.wanted(id)
}

// wanted reports whether an object is one that the path means.
func (b *bucket) wanted(id string) bool {
	parts := strings.Split(id, "/")
	if b.pattern == nil && !b.recursive && len(parts) > 1 {
		return false
	}
	var states [][]string
	if b.pattern != nil {
		states = [][]string{b.pattern}
	}
	for i, part := range parts {
		if part == "" || skipped(part, states) {
			return false
		}
		if b.pattern == nil {
			continue
		}
		matched := false
		var below [][]string
		for _, rest := range advance(states, part) {
			if len(rest) == 0 {
				matched = true
			} else {
				below = append(below, rest)
			}
		}
		if i == len(parts)-1 {
			return matched
		}
		if states = below; states == nil {
			return false
		}
	}
	return true
}

func entryOf(info objectstore.Info) entry {
	return entry{path: info.Key, size: info.Size, modified: info.Modified.UnixMicro(), etag: info.ETag}
}

func (b *bucket) stat(ctx context.Context, e entry) (entry, error) {
	info, err := b.objects.Head(b.stalls.Context(ctx), e.path)
	if err != nil {
		return entry{}, err
	}
	now := entryOf(info)
	now.id = e.id
	return now, nil
}

func (b *bucket) open(_ context.Context, e entry) (object, error) {
	b.mu.Lock()
	r := b.expected[e.path]
	if r != nil {
		delete(b.expected, e.path)
		b.held -= min(r.entry.size, rangeBytes)
	}
	b.mu.Unlock()
	if r != nil {
		b.pace.read(time.Now())
		if r.entry == e {
			r.ahead = b.ahead
			return r, nil
		}
		if err := r.Close(); err != nil {
			return nil, err
		}
	}
	return newRanges(b.ctx, b.objects, e, b.ahead, &b.buffers)
}

// arrived is an object of one range that was fetched ahead and has come; nil if
// there is no such.
func (b *bucket) arrived(e entry) *ranges {
	b.mu.Lock()
	r := b.expected[e.path]
	b.mu.Unlock()
	if r == nil || r.entry != e || !r.whole() {
		return nil
	}
	return r
}

// take leaves an object that has arrived to the caller, who closes it.
func (b *bucket) take(r *ranges) {
	b.mu.Lock()
	delete(b.expected, r.entry.path)
	b.held -= r.entry.size
	b.mu.Unlock()
	b.pace.read(time.Now())
}

// expect fetches the beginning of an object that comes soon, so that many small
// ones are not read at the pace of one request after the other.
func (b *bucket) expect(e entry) bool {
	bytes := min(e.size, rangeBytes)
	ahead := max(b.pace.ahead(), min(mostAhead, int(3*gatherBytes/max(1, bytes)))) // a chunk for each of two lanes, and the next
	b.mu.Lock()
	defer b.mu.Unlock()
	if b.closed || len(b.expected) >= ahead || b.held+bytes > b.budget {
		return false
	}
	if b.expected[e.path] != nil {
		return true
	}
	r, err := newRanges(b.ctx, b.objects, e, 0, &b.buffers)
	if err != nil {
		return true // it shows again when the object is opened
	}
	r.pace = &b.pace
	r.fetch(0)
	b.expected[e.path] = r
	b.held += bytes
	return true
}

func (b *bucket) close() error {
	b.cancel()
	b.mu.Lock()
	defer b.mu.Unlock()
	b.closed = true
	var err error
	for _, r := range b.expected {
		err = errors.Join(err, r.Close())
	}
	return errors.Join(err, b.objects.Close())
}

// refuseBucketOptions finds options that local paths do not take.
func refuseBucketOptions(o connectors.Options) error {
	for _, spec := range bucketOptions {
		if o.Has(spec.Name) {
			return sqlerror.Userf(sqlerror.CodeBadOption, "option %q needs a path that begins with s3://", spec.Name)
		}
	}
	return nil
}
