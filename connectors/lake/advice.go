package lake

import (
	"context"
	"fmt"
	"time"

	"github.com/leatdb/leat/internal/objectstore"
)

// leastUploadExpiry is how long a store has to keep unfinished uploads: after
// an outage a stream finishes those that it had decided on.
const leastUploadExpiry = 7 * 24 * time.Hour

// Advise implements connectors.Adviser.
func (s *Sink) Advise(ctx context.Context) []string {
	store, ok := s.store.(objectstore.UploadExpirer)
	if !ok {
		return nil
	}
	kept, err := store.UploadExpiry(ctx)
	if err != nil || kept == 0 || kept >= leastUploadExpiry {
		return nil // many stores do not tell, and credentials need not be allowed to ask
	}
	return []string{fmt.Sprintf("the bucket throws unfinished uploads away after %d days; raise AbortIncompleteMultipartUpload to at least %d, so that a stream can finish them after an outage",
		kept/(24*time.Hour), leastUploadExpiry/(24*time.Hour))}
}
