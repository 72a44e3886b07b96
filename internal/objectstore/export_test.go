package objectstore

import (
	"net/http"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
)

// Signed is the header of a GET of an object, signed as getters do it. One that
// is signed before comes from another day and other credentials.
func Signed(host, name, ranges, region string, creds aws.Credentials, now time.Time) http.Header {
	s := &signer{}
	s.sign(http.Header{}, "other", []byte("/"), "bytes=0-0", region, aws.Credentials{AccessKeyID: "x", SecretAccessKey: "y", SessionToken: "z"}, now.Add(-24*time.Hour))
	header := http.Header{}
	s.sign(header, host, escapePath(nil, "/"+name), ranges, region, creds, now)
	return header
}
