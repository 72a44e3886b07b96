package objectstore

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"slices"
	"strings"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/s3"
	"github.com/aws/aws-sdk-go-v2/service/s3/types"
	"github.com/aws/smithy-go"

	"github.com/leatdb/leat/sql/sqlerror"
)

// s3Staged writes an object of any size in parts and leaves it to Complete to
// put them together.
type s3Staged struct{ *s3Writer }

// Stage implements Stager. Place is not needed.
func (s *s3Store) Stage(ctx context.Context, key, _ string, opts WriterOptions) (StagedWriter, error) {
	w, err := s.Create(ctx, key, opts)
	if err != nil {
		return nil, err
	}
	return s3Staged{w.(*s3Writer)}, nil
}

// Finish implements StagedWriter.
func (w s3Staged) Finish(ctx context.Context) (Upload, error) {
	defer w.Abort()
	if w.done {
		return Upload{}, errAborted(w.store.URI(w.key))
	}
	if len(w.buf) > 0 || w.number == 1 {
		if err := w.send(ctx); err != nil {
			return Upload{}, err
		}
	}
	stop := context.AfterFunc(ctx, func() { w.cancel(context.Cause(ctx)) })
	w.group.Wait()
	stop()
	if err := w.failed(); err != nil {
		return Upload{}, err
	}
	slices.SortFunc(w.parts, func(a, b types.CompletedPart) int { return int(*a.PartNumber - *b.PartNumber) })
	u := Upload{Key: w.key, ID: aws.ToString(w.upload), Size: w.size}
	for _, p := range w.parts {
		u.ETags = append(u.ETags, aws.ToString(p.ETag))
	}
	w.done = true
	return u, nil
}

// isNoUpload reports whether the server does not know an upload any more.
func isNoUpload(err error) bool {
	api, ok := errors.AsType[smithy.APIError](err)
	return ok && api.ErrorCode() == "NoSuchUpload"
}

// Complete implements Stager.
func (s *s3Store) Complete(ctx context.Context, u Upload) (Info, error) {
	name, err := s.object(u.Key)
	if err != nil {
		return Info{}, err
	}
	parts := make([]types.CompletedPart, len(u.ETags))
	for i, etag := range u.ETags {
		parts[i] = types.CompletedPart{ETag: aws.String(etag), PartNumber: aws.Int32(int32(i + 1))}
	}
	out, err := s.client.CompleteMultipartUpload(ctx, &s3.CompleteMultipartUploadInput{
		Bucket: s.bucket(), Key: name, UploadId: aws.String(u.ID), MultipartUpload: &types.CompletedMultipartUpload{Parts: parts},
	}, once)
	if err == nil {
		return Info{Key: u.Key, Size: u.Size, ETag: aws.ToString(out.ETag)}, nil
	}
	if !isNoUpload(err) {
		return Info{}, s.error(ctx, "complete upload of", u.Key, err)
	}
	info, err := s.Head(ctx, u.Key)
	if errors.Is(err, fs.ErrNotExist) && !isMissingBucket(err) || err == nil && !madeFrom(info, u) {
		return Info{}, noUpload("complete upload of", s.URI(u.Key))
	}
	return info, err
}

// madeFrom reports whether an object can be what an upload became. The ETag of
// such an object ends with the number of its parts; what stands before that is
// no checksum that could be foretold where the server encrypts.
func madeFrom(info Info, u Upload) bool {
	if info.Size != u.Size {
		return false
	}
	_, parts, ok := strings.Cut(strings.Trim(info.ETag, `"`), "-")
	return !ok || parts == fmt.Sprint(len(u.ETags))
}

// Discard implements Stager.
func (s *s3Store) Discard(ctx context.Context, u Upload) error {
	name, err := s.object(u.Key)
	if err != nil {
		return err
	}
	_, err = s.client.AbortMultipartUpload(ctx, &s3.AbortMultipartUploadInput{Bucket: s.bucket(), Key: name, UploadId: aws.String(u.ID)})
	if err == nil || isNoUpload(err) {
		return nil
	}
	return s.error(ctx, "discard upload of", u.Key, err)
}

// Uploads implements Stager.
func (s *s3Store) Uploads(ctx context.Context, prefix, _ string) ([]Upload, error) {
	if err := CheckKey(strings.TrimSuffix(prefix, "/")); err != nil {
		return nil, err
	}
	base := ""
	if s.root.Path != "" {
		base = s.root.Path + "/"
	}
	in := &s3.ListMultipartUploadsInput{Bucket: s.bucket(), Prefix: aws.String(base + prefix)}
	var uploads []Upload
	for {
		out, err := s.client.ListMultipartUploads(ctx, in)
		if err != nil {
			return nil, s.error(ctx, "list uploads of", prefix, err)
		}
		for _, u := range out.Uploads {
			if key, ok := strings.CutPrefix(aws.ToString(u.Key), base); ok && strings.HasPrefix(key, prefix) {
				uploads = append(uploads, Upload{Key: key, ID: aws.ToString(u.UploadId)})
			}
		}
		if !aws.ToBool(out.IsTruncated) {
			return uploads, nil
		}
		if aws.ToString(out.NextKeyMarker) == aws.ToString(in.KeyMarker) && aws.ToString(out.NextUploadIdMarker) == aws.ToString(in.UploadIdMarker) {
			return nil, sqlerror.Externalf(sqlerror.CodeExternal, "list uploads of %s: the server repeats a page", s.URI(prefix))
		}
		in.KeyMarker, in.UploadIdMarker = out.NextKeyMarker, out.NextUploadIdMarker
	}
}
