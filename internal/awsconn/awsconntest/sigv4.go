package awsconntest

import (
	"crypto/hmac"
	"crypto/sha256"
	"encoding/hex"
	"maps"
	"net/http"
	"net/url"
	"slices"
	"strings"
	"time"
)

// Keys are what a service knows about who signs.
type Keys struct {
	ID, Secret, Token string
}

// Refusal is what AWS says of a signature that it does not take; "" for one that is
// right.
type Refusal string

// CheckSignature checks the signature of a request to a service, by the document
// "Signature Version 4", with the keys that are known and the time of the service.
func CheckSignature(r *http.Request, service string, now time.Time, known ...Keys) Refusal {
	rest, ok := strings.CutPrefix(r.Header.Get("Authorization"), "AWS4-HMAC-SHA256 ")
	if !ok {
		return "AccessDenied"
	}
	fields := map[string]string{}
	for field := range strings.SplitSeq(rest, ",") {
		name, value, _ := strings.Cut(strings.TrimSpace(field), "=")
		fields[name] = value
	}
	var headers strings.Builder
	for name := range strings.SplitSeq(fields["SignedHeaders"], ";") {
		value := strings.Join(r.Header.Values(name), ",")
		switch name {
		case "host":
			value = r.Host
		case "content-length":
			value = r.Header.Get("Content-Length")
		}
		headers.WriteString(name + ":" + strings.Join(strings.Fields(value), " ") + "\n")
	}
	canonical := strings.Join([]string{r.Method, r.URL.EscapedPath(), query(r.URL.Query()), headers.String(), fields["SignedHeaders"], r.Header.Get("X-Amz-Content-Sha256")}, "\n")
	return check(canonical, fields["Credential"], fields["Signature"], r.Header.Get("X-Amz-Date"), r.Header.Get("X-Amz-Security-Token"), service, now, known)
}

// CheckPresigned checks the signature in the query of a URL to a host, which signs
// the host alone, as tokens of a login are made.
func CheckPresigned(host string, values url.Values, service string, now time.Time, known ...Keys) Refusal {
	signature := values.Get("X-Amz-Signature")
	values = maps.Clone(values)
	values.Del("X-Amz-Signature")
	empty := sha256.Sum256(nil)
	canonical := strings.Join([]string{http.MethodGet, "/", query(values), "host:" + host + "\n", "host", hex.EncodeToString(empty[:])}, "\n")
	return check(canonical, values.Get("X-Amz-Credential"), signature, values.Get("X-Amz-Date"), values.Get("X-Amz-Security-Token"), service, now, known)
}

// query is a canonical query string.
func query(values url.Values) string {
	return strings.ReplaceAll(values.Encode(), "+", "%20")
}

const timeFormat = "20060102T150405Z"

func check(canonical, credential, signature, at, token, service string, now time.Time, known []Keys) Refusal {
	parts := strings.Split(credential, "/") // key/day/region/service/aws4_request
	when, err := time.Parse(timeFormat, at)
	if err != nil || len(parts) != 5 || parts[1] != at[:8] || parts[3] != service || parts[4] != "aws4_request" {
		return "AuthorizationHeaderMalformed"
	}
	i := slices.IndexFunc(known, func(k Keys) bool { return k.ID == parts[0] })
	if i < 0 {
		return "InvalidAccessKeyId"
	}
	digest := sha256.Sum256([]byte(canonical))
	text := strings.Join([]string{"AWS4-HMAC-SHA256", at, strings.Join(parts[1:], "/"), hex.EncodeToString(digest[:])}, "\n")
	key := []byte("AWS4" + known[i].Secret)
	for _, part := range append(slices.Clone(parts[1:]), text) {
		h := hmac.New(sha256.New, key)
		h.Write([]byte(part))
		key = h.Sum(nil)
	}
	switch skew := now.Sub(when).Abs(); {
	case skew > 15*time.Minute:
		return "RequestTimeTooSkewed"
	case hex.EncodeToString(key) != signature:
		return "SignatureDoesNotMatch"
	case token != known[i].Token:
		return "InvalidToken"
	}
	return ""
}
