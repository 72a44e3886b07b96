package objectstore

import (
	"context"
	"errors"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/s3"
	"github.com/aws/aws-sdk-go-v2/service/s3/types"
	"github.com/aws/smithy-go"
)

// UploadExpirer is a store that may throw away uploads that stay unfinished.
type UploadExpirer interface {
	// UploadExpiry is how long unfinished uploads are kept, 0 where they are kept
	// for good.
	UploadExpiry(ctx context.Context) (time.Duration, error)
}

// UploadExpiry implements UploadExpirer: the shortest of the bucket's lifecycle
// rules on incomplete multipart uploads. Their filters are not looked at.
func (s *s3Store) UploadExpiry(ctx context.Context) (time.Duration, error) {
	out, err := s.client.GetBucketLifecycleConfiguration(ctx, &s3.GetBucketLifecycleConfigurationInput{Bucket: s.bucket()})
	if api, ok := errors.AsType[smithy.APIError](err); ok && api.ErrorCode() == "NoSuchLifecycleConfiguration" {
		return 0, nil
	}
	if err != nil {
		return 0, s.error(ctx, "read lifecycle rules of", "", err)
	}
	var shortest time.Duration
	for _, rule := range out.Rules {
		if rule.Status != types.ExpirationStatusEnabled || rule.AbortIncompleteMultipartUpload == nil {
			continue
		}
		days := time.Duration(aws.ToInt32(rule.AbortIncompleteMultipartUpload.DaysAfterInitiation)) * 24 * time.Hour
		if shortest == 0 || days < shortest {
			shortest = days
		}
	}
	return shortest, nil
}
