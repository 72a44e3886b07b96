package objectstore

import (
	"bytes"
	"context"
	"slices"
	"sync"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/s3"
	"github.com/aws/aws-sdk-go-v2/service/s3/types"
)

// once leaves repetition to Retry, which tells the user about it.
func once(o *s3.Options) { o.RetryMaxAttempts = 1 }

// s3Writer sends an object in parts while it is written. One that stays below
// a part's size is sent as a whole by Commit.
type s3Writer struct {
	store *s3Store
	key   string
	opts  WriterOptions

	ctx    context.Context // of the uploads
	cancel context.CancelCauseFunc

	buf    []byte
	upload *string // id, once begun
	number int32   // of the next part
	size   int64   // bytes handed over so far

	group sync.WaitGroup
	mu    sync.Mutex // guards what follows
	parts []types.CompletedPart
	sent  int64 // bytes of parts under way
	free  [][]byte
	err   error
	done  bool
}

func (s *s3Store) Create(ctx context.Context, key string, opts WriterOptions) (Writer, error) {
	if _, err := s.object(key); err != nil {
		return nil, err
	}
	w := &s3Writer{store: s, key: key, opts: opts, number: 1}
	w.ctx, w.cancel = context.WithCancelCause(ctx)
	return w, nil
}

// partBytes grows with the number of parts, since S3 takes 10,000 at most.
func (w *s3Writer) partBytes() int {
	return w.store.cfg.PartBytes << min(w.number/1000, 6)
}

func (w *s3Writer) Buffered() int64 {
	w.mu.Lock()
	defer w.mu.Unlock()
	return int64(cap(w.buf)) + w.sent
}

func (w *s3Writer) Write(ctx context.Context, p []byte) error {
	for len(p) > 0 {
		n := min(len(p), w.partBytes()-len(w.buf))
		w.buf = append(w.buf, p[:n]...)
		p = p[n:]
		if len(w.buf) == w.partBytes() {
			if err := w.send(ctx); err != nil {
				return err
			}
		}
	}
	return w.failed()
}

func (w *s3Writer) failed() error {
	w.mu.Lock()
	defer w.mu.Unlock()
	return w.err
}

// send hands the buffer to a goroutine that uploads it as the next part.
func (w *s3Writer) send(ctx context.Context) error {
	if w.upload == nil {
		if err := w.begin(ctx); err != nil {
			return err
		}
	}
	if err := w.failed(); err != nil {
		return err
	}
	select {
	case w.store.uploads <- struct{}{}:
	case <-ctx.Done():
		return context.Cause(ctx)
	case <-w.ctx.Done():
		return context.Cause(w.ctx)
	}
	part, number := w.buf, w.number
	w.number++
	w.size += int64(len(part))
	w.mu.Lock()
	w.sent += int64(cap(part))
	w.buf = nil
	if n := len(w.free); n > 0 {
		w.buf, w.free = w.free[n-1][:0], w.free[:n-1]
	}
	w.mu.Unlock()
	w.group.Go(func() {
		defer func() { <-w.store.uploads }()
		etag, err := w.sendPart(part, number)
		w.mu.Lock()
		defer w.mu.Unlock()
		w.sent -= int64(cap(part))
		if len(w.free) == 0 {
			w.free = append(w.free, part)
		}
		if err != nil {
			if w.err == nil {
				w.err = err
			}
			return
		}
		w.parts = append(w.parts, types.CompletedPart{ETag: etag, PartNumber: aws.Int32(number)})
	})
	return nil
}

func (w *s3Writer) begin(ctx context.Context) error {
	name, err := w.store.object(w.key)
	if err != nil {
		return err
	}
	return Retry(ctx, w.opts.Retrying, func(ctx context.Context) error {
		out, err := w.store.client.CreateMultipartUpload(ctx, &s3.CreateMultipartUploadInput{
			Bucket: w.store.bucket(), Key: name,
			ServerSideEncryption: w.store.sse(), SSEKMSKeyId: w.store.kmsKey(),
		}, once)
		if err != nil {
			return w.store.error(ctx, "begin upload of", w.key, err)
		}
		w.upload = out.UploadId
		return nil
	})
}

func (w *s3Writer) sendPart(part []byte, number int32) (etag *string, err error) {
	name, err := w.store.object(w.key)
	if err != nil {
		return nil, err
	}
	err = Retry(w.ctx, w.opts.Retrying, func(ctx context.Context) error {
		out, err := w.store.client.UploadPart(ctx, &s3.UploadPartInput{
			Bucket: w.store.bucket(), Key: name, UploadId: w.upload, PartNumber: aws.Int32(number),
			Body: bytes.NewReader(part), ContentLength: aws.Int64(int64(len(part))),
		}, once)
		if err != nil {
			return w.store.error(ctx, "upload part of", w.key, err)
		}
		etag = out.ETag
		return nil
	})
	return etag, err
}

func (w *s3Writer) Commit(ctx context.Context) (Info, error) {
	defer w.Abort()
	if w.done {
		return Info{}, errAborted(w.store.URI(w.key))
	}
	if w.upload == nil {
		var info Info
		err := Retry(ctx, w.opts.Retrying, func(ctx context.Context) (err error) {
			info, err = w.store.put(ctx, w.key, w.buf, PutOptions{}, once)
			return err
		})
		w.done = err == nil
		return info, err
	}
	if len(w.buf) > 0 {
		if err := w.send(ctx); err != nil {
			return Info{}, err
		}
	}
	stop := context.AfterFunc(ctx, func() { w.cancel(context.Cause(ctx)) })
	w.group.Wait()
	stop()
	if err := w.failed(); err != nil {
		return Info{}, err
	}
	return w.complete(ctx)
}

func (w *s3Writer) complete(ctx context.Context) (info Info, err error) {
	name, err := w.store.object(w.key)
	if err != nil {
		return Info{}, err
	}
	slices.SortFunc(w.parts, func(a, b types.CompletedPart) int { return int(*a.PartNumber - *b.PartNumber) })
	err = Retry(ctx, w.opts.Retrying, func(ctx context.Context) error {
		_, err := w.store.client.CompleteMultipartUpload(ctx, &s3.CompleteMultipartUploadInput{
			Bucket: w.store.bucket(), Key: name, UploadId: w.upload,
			MultipartUpload: &types.CompletedMultipartUpload{Parts: w.parts},
		}, once)
		if err != nil {
			err = w.store.error(ctx, "complete upload of", w.key, err)
			// An earlier attempt may have been carried out without an answer; the
			// object's name is ours alone.
			if found, headErr := w.store.Head(ctx, w.key); headErr == nil {
				info, w.done = found, true
				return nil
			}
			return err
		}
		w.done = true
		info, err = w.store.Head(ctx, w.key)
		return err
	})
	return info, err
}

func (w *s3Writer) Abort() {
	w.cancel(context.Canceled)
	w.group.Wait()
	if w.upload != nil && !w.done {
		// Whoever aborts has often no time left itself.
		ctx, cancel := context.WithTimeout(context.WithoutCancel(w.ctx), 10*time.Second)
		defer cancel()
		if name, err := w.store.object(w.key); err == nil {
			// What cannot be aborted is left to the bucket's lifecycle rule.
			_, _ = w.store.client.AbortMultipartUpload(ctx, &s3.AbortMultipartUploadInput{
				Bucket: w.store.bucket(), Key: name, UploadId: w.upload,
			})
		}
	}
	w.done, w.buf, w.free = true, nil, nil
}
