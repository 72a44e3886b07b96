package services

import (
	"context"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/credentials"
	"github.com/aws/aws-sdk-go-v2/service/s3"
)

// What every S3 server of this package is started with.
const (
	s3Region    = "us-east-1"
	s3AccessKey = "leat"
	s3SecretKey = "leat-secret"
)

// S3 is an object store. Buckets are addressed in the path, not by host name.
type S3 struct {
	*Process
	Endpoint  string // such as http://127.0.0.1:17070
	Region    string
	AccessKey string
	SecretKey string

	admin func(args ...string) error // nil where users cannot be made
}

// startS3 starts a server that listens at address.
func startS3(t TB, address string, c command) *S3 {
	t.Helper()
	s := &S3{Endpoint: "http://" + address, Region: s3Region, AccessKey: s3AccessKey, SecretKey: s3SecretKey}
	c.ready = func(ctx context.Context, _ []byte) error {
		_, err := s.Client().ListBuckets(ctx, &s3.ListBucketsInput{}, func(o *s3.Options) { o.RetryMaxAttempts = 1 })
		return err
	}
	s.Process = start(t, c)
	return s
}

// Client returns a client with the server's own credentials.
func (s *S3) Client() *s3.Client {
	return s3.New(s3.Options{
		BaseEndpoint: aws.String(s.Endpoint),
		Region:       s.Region,
		Credentials:  credentials.NewStaticCredentialsProvider(s.AccessKey, s.SecretKey, ""),
		UsePathStyle: true,
	})
}

// CreateBucket makes a bucket.
func (s *S3) CreateBucket(name string) {
	s.t.Helper()
	if _, err := s.Client().CreateBucket(s.t.Context(), &s3.CreateBucketInput{Bucket: aws.String(name)}); err != nil {
		s.t.Fatalf("create bucket %s: %v", name, err)
	}
}

// CreateUser makes a user who may do everything with every bucket.
func (s *S3) CreateUser(accessKey, secretKey string) {
	s.t.Helper()
	s.manage("create user "+accessKey, "create-user", "--access", accessKey, "--secret", secretKey, "--role", "admin")
}

// ChangeSecret gives a user another secret key.
func (s *S3) ChangeSecret(accessKey, secretKey string) {
	s.t.Helper()
	s.manage("change the secret of "+accessKey, "update-user", "--access", accessKey, "--secret", secretKey)
}

// DeleteUser takes a user away.
func (s *S3) DeleteUser(accessKey string) {
	s.t.Helper()
	s.manage("delete user "+accessKey, "delete-user", "--access", accessKey)
}

func (s *S3) manage(what string, args ...string) {
	s.t.Helper()
	if s.admin == nil {
		s.t.Fatalf("%s: this server's users cannot be changed", what)
	}
	if err := s.admin(args...); err != nil {
		s.t.Fatalf("%s: %v", what, err)
	}
}
