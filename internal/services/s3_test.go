//go:build services

package services_test

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"math/rand/v2"
	"sync"
	"sync/atomic"
	"testing"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/s3"
	"github.com/aws/aws-sdk-go-v2/service/s3/types"
	"github.com/aws/smithy-go"

	"github.com/leatdb/leat/internal/services"
)

func TestVersityGW(t *testing.T) { testS3(t, services.StartVersityGW(t)) }

// testS3 checks what commits to object storage rely on.
func testS3(t *testing.T, server *services.S3) {
	const bucket = "lake"
	server.CreateBucket(bucket)
	client := server.Client()

	put := func(t *testing.T, key string, data []byte, change func(*s3.PutObjectInput)) error {
		t.Helper()
		in := &s3.PutObjectInput{Bucket: aws.String(bucket), Key: aws.String(key), Body: bytes.NewReader(data)}
		if change != nil {
			change(in)
		}
		_, err := client.PutObject(t.Context(), in)
		return err
	}
	expect := func(t *testing.T, key string, want []byte) {
		t.Helper()
		out, err := client.GetObject(t.Context(), &s3.GetObjectInput{Bucket: aws.String(bucket), Key: aws.String(key)})
		if err != nil {
			t.Fatalf("get %s: %v", key, err)
		}
		defer out.Body.Close()
		if got, err := io.ReadAll(out.Body); err != nil || !bytes.Equal(got, want) {
			t.Errorf("get %s: %d bytes, %v, want the %d that were put", key, len(got), err, len(want))
		}
	}
	refused := func(t *testing.T, err error) {
		t.Helper()
		if api, ok := errors.AsType[smithy.APIError](err); !ok || api.ErrorCode() != "PreconditionFailed" {
			t.Errorf("err=%v, want PreconditionFailed", err)
		}
	}
	// upload makes an upload of two parts that waits for its completion.
	upload := func(t *testing.T, key string, data []byte) *s3.CompleteMultipartUploadInput {
		t.Helper()
		created, err := client.CreateMultipartUpload(t.Context(), &s3.CreateMultipartUploadInput{
			Bucket: aws.String(bucket), Key: aws.String(key), ChecksumAlgorithm: types.ChecksumAlgorithmCrc32,
		})
		if err != nil {
			t.Fatalf("create the upload of %s: %v", key, err)
		}
		const partSize = 5 << 20
		var parts []types.CompletedPart
		for n, part := range [][]byte{data[:partSize], data[partSize:]} {
			number := aws.Int32(int32(n + 1))
			out, err := client.UploadPart(t.Context(), &s3.UploadPartInput{
				Bucket: aws.String(bucket), Key: aws.String(key), UploadId: created.UploadId,
				PartNumber: number, Body: bytes.NewReader(part), ChecksumAlgorithm: types.ChecksumAlgorithmCrc32,
			})
			if err != nil {
				t.Fatalf("upload part %d of %s: %v", n, key, err)
			}
			parts = append(parts, types.CompletedPart{PartNumber: number, ETag: out.ETag, ChecksumCRC32: out.ChecksumCRC32})
		}
		return &s3.CompleteMultipartUploadInput{
			Bucket: aws.String(bucket), Key: aws.String(key), UploadId: created.UploadId,
			MultipartUpload: &types.CompletedMultipartUpload{Parts: parts},
		}
	}
	big := make([]byte, 6<<20)
	for i := range big {
		big[i] = byte(rand.Uint32())
	}

	t.Run("PutAndGet", func(t *testing.T) {
		data := []byte("rows")
		if err := put(t, "a/b=1/c.parquet", data, nil); err != nil {
			t.Fatal(err)
		}
		expect(t, "a/b=1/c.parquet", data)
	})
	t.Run("IfNoneMatch", func(t *testing.T) {
		once := func(in *s3.PutObjectInput) { in.IfNoneMatch = aws.String("*") }
		if err := put(t, "once", []byte("first"), once); err != nil {
			t.Fatal(err)
		}
		refused(t, put(t, "once", []byte("second"), once))
		expect(t, "once", []byte("first"))
	})
	t.Run("IfMatch", func(t *testing.T) {
		if err := put(t, "match", []byte("first"), nil); err != nil {
			t.Fatal(err)
		}
		head, err := client.HeadObject(t.Context(), &s3.HeadObjectInput{Bucket: aws.String(bucket), Key: aws.String("match")})
		if err != nil {
			t.Fatal(err)
		}
		match := func(in *s3.PutObjectInput) { in.IfMatch = head.ETag }
		if err := put(t, "match", []byte("second"), match); err != nil {
			t.Fatal(err)
		}
		refused(t, put(t, "match", []byte("third"), match))
		expect(t, "match", []byte("second"))
	})
	t.Run("OneOfManyWritersWins", func(t *testing.T) {
		var winners atomic.Int32
		var all sync.WaitGroup
		for key := range 10 {
			for writer := range 8 {
				all.Go(func() {
					err := put(t, fmt.Sprintf("race/%d", key), fmt.Append(nil, writer), func(in *s3.PutObjectInput) { in.IfNoneMatch = aws.String("*") })
					if err == nil {
						winners.Add(1)
						return
					}
					// A server may also say that another writer is at it.
					if api, ok := errors.AsType[smithy.APIError](err); !ok || api.ErrorCode() != "PreconditionFailed" && api.ErrorCode() != "ConditionalRequestConflict" {
						t.Errorf("put race/%d: %v", key, err)
					}
				})
			}
		}
		all.Wait()
		if winners.Load() != 10 {
			t.Errorf("%d writers won on 10 keys, want 10", winners.Load())
		}
	})
	t.Run("Multipart", func(t *testing.T) {
		if _, err := client.CompleteMultipartUpload(t.Context(), upload(t, "big", big)); err != nil {
			t.Fatal(err)
		}
		expect(t, "big", big)
	})
	t.Run("MultipartIfNoneMatch", func(t *testing.T) {
		if err := put(t, "big-once", []byte("first"), nil); err != nil {
			t.Fatal(err)
		}
		complete := upload(t, "big-once", big)
		complete.IfNoneMatch = aws.String("*")
		_, err := client.CompleteMultipartUpload(t.Context(), complete)
		refused(t, err)
		expect(t, "big-once", []byte("first"))
	})
	t.Run("KillLosesNothing", func(t *testing.T) {
		if err := put(t, "kept", []byte("rows"), nil); err != nil {
			t.Fatal(err)
		}
		server.Kill()
		server.Restart()
		expect(t, "kept", []byte("rows"))
	})
}
