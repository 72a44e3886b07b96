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
	s.sign("other", []byte("/"), []byte("bytes=0-0"), region, aws.Credentials{AccessKeyID: "x", SecretAccessKey: "y", SessionToken: "z"}, now.Add(-24*time.Hour))
	s.sign(host, escapePath(nil, "/"+name), []byte(ranges), region, creds, now)
	header := http.Header{}
	header.Set("X-Amz-Date", s.at)
	header.Set("X-Amz-Content-Sha256", emptySHA256)
	header.Set("Authorization", string(s.text))
	if creds.SessionToken != "" {
		header.Set("X-Amz-Security-Token", creds.SessionToken)
	}
	return header
}
