package objectstore

import (
	"context"
	"crypto/hmac"
	"crypto/sha256"
	"encoding/hex"
	"hash"
	"net/url"
	"strings"
	"sync/atomic"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	awshttp "github.com/aws/aws-sdk-go-v2/aws/transport/http"
	"github.com/aws/aws-sdk-go-v2/service/s3"
	smithyauth "github.com/aws/smithy-go/auth"
	smithyhttp "github.com/aws/smithy-go/transport/http"
	"github.com/valyala/fasthttp"
)

// getter sends GETs of objects past the SDK and net/http, whose layers cost several
// times what a request does: that decides how fast many small objects are read. It
// knows success only; whatever else happens, the SDK sends the request again and
// says what it means.
type getter struct {
	lines  *lines
	base   url.URL // of the bucket, its path with a slash at its end
	path   string  // of base, escaped
	creds  aws.CredentialsProvider
	region string
	now    func() time.Time

	misses atomic.Int32 // in a row, of requests that the SDK was answered
}

// maxMisses is how often in a row the SDK is answered where a getter is not,
// until the getter is no longer used: the server may want something else of it.
const maxMisses = 8

// newGetter is nil where the SDK signs in another way than by version 4, or sends
// requests by a proxy.
func newGetter(ctx context.Context, o s3.Options, client aws.HTTPClient, bucket string) *getter {
	buildable, ok := client.(*awshttp.BuildableClient)
	if !ok || o.Credentials == nil || o.EndpointResolverV2 == nil {
		return nil
	}
	params := s3.EndpointParameters{
		Bucket: &bucket, Region: &o.Region, Endpoint: o.BaseEndpoint,
		UseFIPS:        aws.Bool(o.EndpointOptions.UseFIPSEndpoint == aws.FIPSEndpointStateEnabled),
		UseDualStack:   aws.Bool(o.EndpointOptions.UseDualStackEndpoint == aws.DualStackEndpointStateEnabled),
		ForcePathStyle: &o.UsePathStyle, Accelerate: &o.UseAccelerate,
		DisableMultiRegionAccessPoints: &o.DisableMultiRegionAccessPoints, UseArnRegion: &o.UseARNRegion,
		DisableS3ExpressSessionAuth: o.DisableS3ExpressSessionAuth,
	}
	endpoint, err := o.EndpointResolverV2.ResolveEndpoint(ctx, params)
	if err != nil || len(endpoint.Headers) > 0 {
		return nil
	}
	auth, _ := smithyauth.GetAuthOptions(&endpoint.Properties)
	if len(auth) == 0 || strings.TrimPrefix(auth[0].SchemeID, "aws.auth#") != "sigv4" {
		return nil
	}
	name, _ := smithyhttp.GetSigV4SigningName(&auth[0].SignerProperties)
	region, _ := smithyhttp.GetSigV4SigningRegion(&auth[0].SignerProperties)
	if name != "s3" || region == "" {
		return nil
	}
	g := &getter{base: endpoint.URI, creds: o.Credentials, region: region, now: time.Now}
	g.base.Path = trimSlash(g.base.Path) + "/"
	g.base.RawPath = ""
	g.path = string(escapePath(nil, g.base.Path))
	if g.lines = newLines(buildable.GetTransport(), &g.base); g.lines == nil || !plain(g.base.Host) {
		return nil
	}
	return g
}

func trimSlash(path string) string {
	for len(path) > 0 && path[len(path)-1] == '/' {
		path = path[:len(path)-1]
	}
	return path
}

// read fills p with what lies at off of the version of an object that has the
// ETag. It reports false when it has not; p may hold anything then.
func (g *getter) read(ctx context.Context, name, etag string, p []byte, off int64) bool {
	if g == nil || g.misses.Load() >= maxMisses {
		return false
	}
	creds, err := g.creds.Retrieve(ctx)
	if err != nil {
		return false
	}
	if !plain(etag) || !plain(creds.SessionToken) || !plain(creds.AccessKeyID) {
		return false
	}
	write := func(l *line) []byte { return g.request(l, name, etag, creds, off, len(p)) }
	accept := func(h *fasthttp.ResponseHeader) bool { return isRange(h, off, len(p)) }
	if !g.lines.read(ctx, name, write, accept, p) {
		return false
	}
	if g.misses.Load() != 0 {
		g.misses.Store(0)
	}
	return true
}

// request makes a signed GET of n bytes of an object.
func (g *getter) request(l *line, name, etag string, creds aws.Credentials, off int64, n int) []byte {
	b := append(l.out[:0], "GET "...)
	b = append(b, g.path...)
	b = escapePath(b, name)
	path := b[len("GET "):]
	b = append(b, " HTTP/1.1\r\nHost: "...)
	b = append(b, g.base.Host...)
	b = append(b, "\r\nUser-Agent: leat\r\nAccept-Encoding: identity\r\nRange: "...)
	at := len(b)
	b = appendRange(b, off, n)
	ranges := b[at:]
	if etag != "" {
		b = append(b, "\r\nIf-Match: "...)
		b = append(b, etag...)
	}
	l.signer.sign(g.base.Host, path, ranges, g.region, creds, g.now())
	b = append(b, "\r\nX-Amz-Content-Sha256: "+emptySHA256+"\r\nX-Amz-Date: "...)
	b = append(b, l.signer.at...)
	if creds.SessionToken != "" {
		b = append(b, "\r\nX-Amz-Security-Token: "...)
		b = append(b, creds.SessionToken...)
	}
	b = append(b, "\r\nAuthorization: "...)
	b = append(b, l.signer.text...)
	l.out = append(b, "\r\n\r\n"...)
	return l.out
}

// missed notes that the SDK was answered what the getter was not.
func (g *getter) missed() {
	if g != nil {
		g.misses.Add(1)
	}
}

func (g *getter) close() {
	if g != nil {
		g.lines.close()
	}
}

// signer signs requests without a body by Signature Version 4, with the key of
// the day and credentials that it used last.
// https://docs.aws.amazon.com/AmazonS3/latest/API/sig-v4-header-based-auth.html
type signer struct {
	day                  string
	accessKey, secret    string
	region               string
	scope, authorization string // what depends on the day and the credentials only
	key                  hash.Hash
	sum                  hash.Hash
	second               int64 // since 1970, that at is of
	at                   string
	text                 []byte // the value of the Authorization header, after sign
	digest               [sha256.Size]byte
	hexDigest            [2 * sha256.Size]byte
}

const (
	emptySHA256 = "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855"
	timeFormat  = "20060102T150405Z"
)

// sign sets what makes a GET of an escaped path a signed one: at and text.
func (s *signer) sign(host string, path, ranges []byte, region string, creds aws.Credentials, now time.Time) {
	if second := now.Unix(); s.at == "" || second != s.second {
		s.at, s.second = now.UTC().Format(timeFormat), second
	}
	if day := s.at[:8]; day != s.day || creds.AccessKeyID != s.accessKey || creds.SecretAccessKey != s.secret || region != s.region {
		s.rekey(day, region, creds)
	}
	signed := "host;range;x-amz-content-sha256;x-amz-date"
	b := append(s.text[:0], "GET\n"...)
	b = append(b, path...)
	b = append(b, "\n\nhost:"...)
	b = append(b, host...)
	b = append(b, "\nrange:"...)
	b = append(b, ranges...)
	b = append(b, "\nx-amz-content-sha256:"+emptySHA256+"\nx-amz-date:"...)
	b = append(b, s.at...)
	if creds.SessionToken != "" {
		signed = "host;range;x-amz-content-sha256;x-amz-date;x-amz-security-token"
		b = append(b, "\nx-amz-security-token:"...)
		b = append(b, creds.SessionToken...)
	}
	b = append(b, "\n\n"...)
	b = append(b, signed...)
	b = append(b, "\n"+emptySHA256...)
	canonical := s.hash(s.sum, b)

	b = append(b[:0], "AWS4-HMAC-SHA256\n"...)
	b = append(b, s.at...)
	b = append(b, '\n')
	b = append(b, s.scope...)
	b = append(b, '\n')
	b = append(b, canonical...)
	signature := s.hash(s.key, b)

	b = append(b[:0], s.authorization...)
	b = append(b, signed...)
	b = append(b, ", Signature="...)
	b = append(b, signature...)
	s.text = b
}

func (s *signer) hash(h hash.Hash, data []byte) []byte {
	h.Reset()
	h.Write(data)
	hex.Encode(s.hexDigest[:], h.Sum(s.digest[:0]))
	return s.hexDigest[:]
}

// rekey derives the key of a day.
func (s *signer) rekey(day, region string, creds aws.Credentials) {
	key := []byte("AWS4" + creds.SecretAccessKey)
	for _, part := range []string{day, region, "s3", "aws4_request"} {
		h := hmac.New(sha256.New, key)
		h.Write([]byte(part))
		key = h.Sum(nil)
	}
	s.day, s.accessKey, s.secret, s.region = day, creds.AccessKeyID, creds.SecretAccessKey, region
	s.key, s.sum = hmac.New(sha256.New, key), sha256.New()
	s.scope = day + "/" + region + "/s3/aws4_request"
	s.authorization = "AWS4-HMAC-SHA256 Credential=" + creds.AccessKeyID + "/" + s.scope + ", SignedHeaders="
}

// escapePath appends a path in which all but unreserved characters and slashes are
// escaped, as the signature wants it.
func escapePath(b []byte, path string) []byte {
	const digits = "0123456789ABCDEF"
	for i := range len(path) {
		c := path[i]
		if c == '/' || c == '-' || c == '_' || c == '.' || c == '~' || '0' <= c && c <= '9' || 'A' <= c && c <= 'Z' || 'a' <= c && c <= 'z' {
			b = append(b, c)
		} else {
			b = append(b, '%', digits[c>>4], digits[c&15])
		}
	}
	return b
}
