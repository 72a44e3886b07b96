package objectstore

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"strings"
	"sync/atomic"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	awshttp "github.com/aws/aws-sdk-go-v2/aws/transport/http"
	"github.com/aws/aws-sdk-go-v2/config"
	"github.com/aws/aws-sdk-go-v2/credentials"
	"github.com/aws/aws-sdk-go-v2/service/s3"
	"github.com/aws/aws-sdk-go-v2/service/s3/types"
	"github.com/aws/smithy-go/logging"

	"github.com/leatdb/leat/internal/awsconn"
	"github.com/leatdb/leat/sql/sqlerror"
)

// Config says which store to open and how to reach it. Only URI is needed for
// local folders, and for buckets where the SDK's own configuration and
// credential chain suffice.
type Config struct {
	URI string
	// Endpoint is the URL of an S3 server that is not AWS. PathStyle addresses
	// buckets as endpoint/bucket; it is implied by an endpoint unless
	// VirtualHosted is set.
	Endpoint      string
	PathStyle     bool
	VirtualHosted bool
	Region        string
	// Static credentials; empty means the SDK's chain.
	AccessKeyID, SecretAccessKey, SessionToken string
	// SSE is "", "AES256" or "aws:kms", KMSKey the id of the key for the latter
	// (empty: the account's own).
	SSE, KMSKey string
	// PartBytes is the size of the parts that large objects are sent in,
	// default and least 8 and 5 MiB; Uploads bounds how many parts are under
	// way at a time in the whole store, default 8.
	PartBytes int
	Uploads   int
}

// Open opens the store that the URI names. Nothing is contacted but, for the
// SDK's configuration, local files and the machine's metadata service.
func Open(ctx context.Context, cfg Config) (Store, error) {
	l, err := parseRoot(cfg.URI)
	if err != nil {
		return nil, err
	}
	if l.Scheme == "file" {
		return OpenLocal(cfg.URI)
	}
	return openS3(ctx, l, cfg)
}

const (
	minPartBytes     = 5 << 20 // S3's least for all parts but the last
	defaultPartBytes = 8 << 20
	defaultUploads   = 8
)

type s3Store struct {
	client  *s3.Client
	root    Location
	cfg     Config
	getter  *getter // nil where the SDK does it
	refused *atomic.Pointer[refusal]
	uploads chan struct{} // one element per part under way
	close   func()
}

func openS3(ctx context.Context, l Location, cfg Config) (Store, error) {
	if cfg.PartBytes == 0 {
		cfg.PartBytes = defaultPartBytes
	}
	cfg.PartBytes = max(cfg.PartBytes, minPartBytes)
	if cfg.Uploads <= 0 {
		cfg.Uploads = defaultUploads
	}
	switch cfg.SSE {
	case "", string(types.ServerSideEncryptionAes256):
		if cfg.KMSKey != "" {
			return nil, sqlerror.Userf(sqlerror.CodeBadOption, "kms_key needs sse = 'aws:kms'")
		}
	case string(types.ServerSideEncryptionAwsKms):
	default:
		return nil, sqlerror.Userf(sqlerror.CodeBadOption, "sse %q is neither 'AES256' nor 'aws:kms'", cfg.SSE)
	}
	if (cfg.AccessKeyID == "") != (cfg.SecretAccessKey == "") {
		return nil, sqlerror.Userf(sqlerror.CodeBadOption, "access_key_id and secret_access_key are given together or not at all")
	}
	conns := &awsconn.Conns{}
	transport := awshttp.NewBuildableClient().WithTransportOptions(conns.Track, func(t *http.Transport) {
		t.MaxIdleConns, t.MaxIdleConnsPerHost = 256, 256
		t.ExpectContinueTimeout = time.Second
	})
	options := []func(*config.LoadOptions) error{
		config.WithHTTPClient(transport),
		config.WithLogger(logging.Nop{}),
		config.WithRetryMaxAttempts(4),
		// Not every S3 server takes the checksums that newer SDKs send.
		config.WithRequestChecksumCalculation(aws.RequestChecksumCalculationWhenRequired),
		config.WithResponseChecksumValidation(aws.ResponseChecksumValidationWhenRequired),
	}
	if cfg.Region != "" {
		options = append(options, config.WithRegion(cfg.Region))
	}
	if cfg.AccessKeyID != "" {
		options = append(options, config.WithCredentialsProvider(
			credentials.NewStaticCredentialsProvider(cfg.AccessKeyID, cfg.SecretAccessKey, cfg.SessionToken)))
	}
	sdk, err := awsconn.LoadConfig(ctx, options...)
	if err != nil {
		return nil, sqlerror.Externalf(sqlerror.CodeExternal, "load the AWS configuration: %w", err).Final()
	}
	if sdk.Region == "" {
		if cfg.Endpoint == "" {
			return nil, sqlerror.Userf(sqlerror.CodeBadOption, "no region is known for %s", l).
				WithHint("give the option region, or set AWS_REGION")
		}
		sdk.Region = "us-east-1"
	}
	client := s3.NewFromConfig(sdk, func(o *s3.Options) {
		o.HTTPClient = Watch(o.HTTPClient)
		if cfg.Endpoint != "" {
			o.BaseEndpoint = aws.String(cfg.Endpoint)
		}
		o.UsePathStyle = cfg.PathStyle || cfg.Endpoint != "" && !cfg.VirtualHosted
	})
	store := &s3Store{
		client: client, root: l, cfg: cfg, uploads: make(chan struct{}, cfg.Uploads), refused: new(atomic.Pointer[refusal]),
		getter: newGetter(ctx, client.Options(), sdk.HTTPClient, l.Bucket),
	}
	store.close = func() {
		store.getter.close()
		conns.Close()
	}
	return store, nil
}

func (s *s3Store) URI(key string) string {
	l := s.root
	l.Path = join(l.Path, key)
	return l.String()
}

func (s *s3Store) Key(uri string) (string, error) { return keyOf(s.root, uri) }

func (s *s3Store) At(uri string) (Store, error) {
	l, err := ParseLocation(uri)
	if err != nil {
		return nil, err
	}
	if l.Scheme != "s3" {
		return nil, badLocation(uri, "is not on S3")
	}
	other := *s
	other.root, other.close = l, func() {}
	if l.Bucket != s.root.Bucket {
		other.getter, other.refused = nil, new(atomic.Pointer[refusal])
	}
	return &other, nil
}

// object is the full name of a key within the bucket.
func (s *s3Store) object(key string) (*string, error) {
	if err := CheckKey(key); err != nil {
		return nil, err
	}
	full := join(s.root.Path, key)
	if len(full) > maxKey {
		return nil, CheckKey(full)
	}
	return aws.String(full), nil
}

func (s *s3Store) bucket() *string { return aws.String(s.root.Bucket) }

// checkKeyName is the object that Check writes and deletes.
const checkKeyName = ".leat-check"

func (s *s3Store) Check(ctx context.Context) error {
	if _, _, err := s.List(ctx, "", "", 1); err != nil {
		return err
	}
	if _, err := s.Put(ctx, checkKeyName, nil, PutOptions{}); err != nil {
		return err
	}
	if _, err := s.Get(ctx, checkKeyName); err != nil {
		return err
	}
	return s.Delete(ctx, checkKeyName)
}

func (s *s3Store) Head(ctx context.Context, key string) (Info, error) {
	name, err := s.object(key)
	if err != nil {
		return Info{}, err
	}
	out, err := s.client.HeadObject(ctx, &s3.HeadObjectInput{Bucket: s.bucket(), Key: name})
	if err != nil {
		return Info{}, s.error(ctx, "look at", key, s.whyRefused(ctx, name, err))
	}
	return Info{
		Key: key, Size: aws.ToInt64(out.ContentLength),
		ETag: aws.ToString(out.ETag), Modified: aws.ToTime(out.LastModified),
	}, nil
}

// refusal is why HEAD requests were refused with a status until a time.
type refusal struct {
	status int
	why    error
	until  time.Time
}

// refusedFor is how long what GET has said of a refusal counts for others.
const refusedFor = 5 * time.Second

// whyRefused is why HEAD was refused, which has no body to say it, so that nobody would
// learn that credentials have expired: GET has one. It is asked now and then, not once
// for each object.
func (s *s3Store) whyRefused(ctx context.Context, name *string, err error) error {
	response, ok := errors.AsType[*awshttp.ResponseError](err)
	if !ok || response.HTTPStatusCode() != http.StatusBadRequest && response.HTTPStatusCode() != http.StatusForbidden {
		return err
	}
	if r := s.refused.Load(); r != nil && r.status == response.HTTPStatusCode() && time.Now().Before(r.until) {
		return r.why
	}
	out, why := s.client.GetObject(ctx, &s3.GetObjectInput{Bucket: s.bucket(), Key: name, Range: aws.String("bytes=0-0")})
	if why == nil {
		out.Body.Close()
		return err
	}
	if other, ok := errors.AsType[*awshttp.ResponseError](why); ok && other.HTTPStatusCode() == response.HTTPStatusCode() {
		s.refused.Store(&refusal{other.HTTPStatusCode(), why, time.Now().Add(refusedFor)})
	}
	return why
}

func (s *s3Store) Get(ctx context.Context, key string) ([]byte, error) {
	name, err := s.object(key)
	if err != nil {
		return nil, err
	}
	out, err := s.client.GetObject(ctx, &s3.GetObjectInput{Bucket: s.bucket(), Key: name})
	if err != nil {
		return nil, s.error(ctx, "read", key, err)
	}
	defer out.Body.Close()
	if size := aws.ToInt64(out.ContentLength); size > MaxGet {
		return nil, sqlerror.Externalf(sqlerror.CodeExternal, "%s has %d bytes; at most %d are read at once", s.URI(key), size, MaxGet).Final()
	}
	data, err := io.ReadAll(io.LimitReader(out.Body, MaxGet+1))
	if err == nil && out.ContentLength != nil && int64(len(data)) != *out.ContentLength {
		err = io.ErrUnexpectedEOF
	}
	if err != nil {
		return nil, s.error(ctx, "read", key, err)
	}
	return data, nil
}

func (s *s3Store) Open(ctx context.Context, key string) (Reader, error) {
	info, err := s.Head(ctx, key)
	if err != nil {
		return nil, err
	}
	return &s3Reader{ctx: ctx, store: s, key: key, size: info.Size, etag: info.ETag}, nil
}

// s3Reader reads ranges of one version of an object.
type s3Reader struct {
	ctx   context.Context
	store *s3Store
	key   string
	size  int64
	etag  string
}

func (r *s3Reader) Size() int64  { return r.size }
func (r *s3Reader) Close() error { return nil }

func (r *s3Reader) ReadAt(p []byte, off int64) (int, error) {
	if off < 0 {
		return 0, fmt.Errorf("read %s at negative offset %d", r.store.URI(r.key), off)
	}
	if off >= r.size {
		return 0, io.EOF
	}
	want := p[:min(int64(len(p)), r.size-off)]
	if len(want) == 0 {
		return 0, nil
	}
	name, err := r.store.object(r.key)
	if err != nil {
		return 0, err
	}
	in := &s3.GetObjectInput{
		Bucket: r.store.bucket(), Key: name,
		Range: aws.String(fmt.Sprintf("bytes=%d-%d", off, off+int64(len(want))-1)),
	}
	if r.etag != "" {
		in.IfMatch = aws.String(r.etag)
	}
	if r.store.getter.read(r.ctx, *name, r.etag, want, off) {
		if len(want) < len(p) {
			return len(want), io.EOF
		}
		return len(want), nil
	}
	n := 0
	// The SDK repeats a request that was refused, not a body that broke off.
	for attempt := 0; ; attempt++ {
		out, err := r.store.client.GetObject(r.ctx, in)
		if err == nil {
			n, err = io.ReadFull(out.Body, want)
			out.Body.Close()
		}
		if err == nil {
			r.store.getter.missed()
			break
		}
		if attempt == 2 || r.ctx.Err() != nil || !errors.Is(err, io.ErrUnexpectedEOF) && n == 0 {
			return n, r.store.error(r.ctx, "read", r.key, err)
		}
	}
	if n < len(p) {
		return n, io.EOF
	}
	return n, nil
}

func (s *s3Store) Put(ctx context.Context, key string, data []byte, opts PutOptions) (Info, error) {
	return s.put(ctx, key, data, opts)
}

func (s *s3Store) put(ctx context.Context, key string, data []byte, opts PutOptions, sdk ...func(*s3.Options)) (Info, error) {
	name, err := s.object(key)
	if err != nil {
		return Info{}, err
	}
	in := &s3.PutObjectInput{
		Bucket: s.bucket(), Key: name, Body: bytes.NewReader(data),
		ContentLength: aws.Int64(int64(len(data))), ServerSideEncryption: s.sse(), SSEKMSKeyId: s.kmsKey(),
	}
	if opts.IfNoneMatch {
		in.IfNoneMatch = aws.String("*")
	}
	out, err := s.client.PutObject(ctx, in, sdk...)
	if err != nil {
		return Info{}, s.error(ctx, "write", key, err)
	}
	return Info{Key: key, Size: int64(len(data)), ETag: aws.ToString(out.ETag), Modified: time.Now().UTC()}, nil
}

func (s *s3Store) sse() types.ServerSideEncryption { return types.ServerSideEncryption(s.cfg.SSE) }

func (s *s3Store) kmsKey() *string {
	if s.cfg.KMSKey == "" {
		return nil
	}
	return aws.String(s.cfg.KMSKey)
}

var errNoNextPage = errors.New("the answer is empty and says that there is more, but not where")

func (s *s3Store) List(ctx context.Context, prefix, startAfter string, limit int) ([]Info, bool, error) {
	if prefix != "" {
		if err := CheckKey(strings.TrimSuffix(prefix, "/")); err != nil {
			return nil, false, err
		}
	}
	if limit <= 0 || limit > 1000 {
		limit = 1000
	}
	base := ""
	if s.root.Path != "" {
		base = s.root.Path + "/"
	}
	in := &s3.ListObjectsV2Input{
		Bucket: s.bucket(), Prefix: aws.String(base + prefix), MaxKeys: aws.Int32(int32(limit)),
	}
	if startAfter != "" {
		in.StartAfter = aws.String(base + startAfter)
	}
	var out *s3.ListObjectsV2Output
	for {
		var err error
		if out, err = s.client.ListObjectsV2(ctx, in); err != nil {
			return nil, false, s.error(ctx, "list", prefix, err)
		}
		if len(out.Contents) > 0 || !aws.ToBool(out.IsTruncated) {
			break
		}
		// Pages may be empty.
		if in.ContinuationToken = out.NextContinuationToken; aws.ToString(in.ContinuationToken) == "" {
			return nil, false, s.error(ctx, "list", prefix, errNoNextPage)
		}
	}
	infos := make([]Info, 0, len(out.Contents))
	for _, o := range out.Contents {
		infos = append(infos, Info{
			Key: strings.TrimPrefix(aws.ToString(o.Key), base), Size: aws.ToInt64(o.Size),
			ETag: aws.ToString(o.ETag), Modified: aws.ToTime(o.LastModified),
		})
	}
	return infos, aws.ToBool(out.IsTruncated), nil
}

// deleteBatch is how many keys S3 deletes with one request.
const deleteBatch = 1000

func (s *s3Store) Delete(ctx context.Context, keys ...string) error {
	if len(keys) == 1 {
		name, err := s.object(keys[0])
		if err != nil {
			return err
		}
		_, err = s.client.DeleteObject(ctx, &s3.DeleteObjectInput{Bucket: s.bucket(), Key: name})
		if err = s.error(ctx, "delete", keys[0], err); errors.Is(err, errNotExist) && !isMissingBucket(err) {
			return nil
		}
		return err
	}
	for len(keys) > 0 {
		batch := keys[:min(len(keys), deleteBatch)]
		keys = keys[len(batch):]
		objects := make([]types.ObjectIdentifier, len(batch))
		for i, key := range batch {
			name, err := s.object(key)
			if err != nil {
				return err
			}
			objects[i] = types.ObjectIdentifier{Key: name}
		}
		out, err := s.client.DeleteObjects(ctx, &s3.DeleteObjectsInput{
			Bucket: s.bucket(), Delete: &types.Delete{Objects: objects, Quiet: aws.Bool(true)},
		})
		if err != nil {
			return s.error(ctx, "delete", batch[0], err)
		}
		for _, e := range out.Errors {
			if code := aws.ToString(e.Code); code != "NoSuchKey" {
				return classify(code, "delete", s.root.Bucket, aws.ToString(e.Key), errors.New(aws.ToString(e.Message)))
			}
		}
	}
	return nil
}

func (s *s3Store) Close() error {
	s.close()
	return nil
}
