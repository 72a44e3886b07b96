package objectstore

import (
	"context"
	"errors"
)

// Stager is a store in which an object can be written now and made to exist
// later, by whoever holds its Upload: this process or one that comes after it.
// Until then no listing and no pattern for data files shows anything of it. The
// stores of Open are Stagers.
type Stager interface {
	Store
	// Stage writes an object piece by piece. A local store keeps the bytes in
	// place, a folder of the store's, until the object exists; S3 keeps them as an
	// upload that is not completed.
	Stage(ctx context.Context, key, place string, opts WriterOptions) (StagedWriter, error)
	// Complete makes a staged object exist. It may be called again, by anyone:
	// an object of that size at that key means that it was completed before.
	// Fails with ErrNoUpload when there is neither an upload nor such an object.
	Complete(ctx context.Context, u Upload) (Info, error)
	// Discard throws a staged object away. That there is none is no error.
	Discard(ctx context.Context, u Upload) error
	// Uploads lists what is staged for keys that begin with prefix, kept in
	// place, and neither completed nor discarded, also what was never finished.
	// Of Key at least the last segment is right; ETags and Size are not known.
	Uploads(ctx context.Context, prefix, place string) ([]Upload, error)
}

// StagedWriter builds one staged object. It is used as a Writer is.
type StagedWriter interface {
	// Write appends p, which may be reused afterwards.
	Write(ctx context.Context, p []byte) error
	// Finish makes durable what was written. The writer is done afterwards, also
	// when it fails.
	Finish(ctx context.Context) (Upload, error)
	// Abort throws away what was written. It does nothing after Finish.
	Abort()
	// Buffered is how many bytes are held in memory.
	Buffered() int64
}

// Upload is an object that is written and does not exist yet.
type Upload struct {
	Key string `json:"key"`
	// ID is the id of the multipart upload, or the key of the local file.
	ID string `json:"id"`
	// ETags are those of the parts, in order; none in a local store.
	ETags []string `json:"etags,omitempty"`
	Size  int64    `json:"size"` // bytes
}

// ErrNoUpload says that a staged object is gone and was not completed.
var ErrNoUpload = errors.New("the upload does not exist any more")
