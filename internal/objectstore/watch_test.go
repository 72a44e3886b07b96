package objectstore

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/credentials"
	"github.com/aws/aws-sdk-go-v2/service/s3"
	"github.com/johannesboyne/gofakes3"
	"github.com/johannesboyne/gofakes3/backend/s3mem"
)

// pipes is a network within one process, so that its waits are seen by
// testing/synctest.
type pipes struct {
	conns chan net.Conn
	done  chan struct{}
	once  sync.Once
}

func (p *pipes) Accept() (net.Conn, error) {
	select {
	case c := <-p.conns:
		return c, nil
	case <-p.done:
		return nil, net.ErrClosed
	}
}

func (p *pipes) Close() error {
	p.once.Do(func() { close(p.done) })
	return nil
}

func (p *pipes) Addr() net.Addr { return &net.UnixAddr{Name: "pipes", Net: "pipe"} }

func (p *pipes) dial(ctx context.Context, _, _ string) (net.Conn, error) {
	near, far := net.Pipe()
	select {
	case p.conns <- far:
		return near, nil
	case <-ctx.Done():
		return nil, ctx.Err()
	}
}

// pipedStore is a store on a fake S3 server in the test's bubble; answer may
// answer a request itself.
func pipedStore(t *testing.T, answer func(w http.ResponseWriter, r *http.Request) bool) *s3Store {
	t.Helper()
	backend := s3mem.New()
	if err := backend.CreateBucket("lake"); err != nil {
		t.Fatal(err)
	}
	fake := gofakes3.New(backend).Server()
	network := &pipes{conns: make(chan net.Conn), done: make(chan struct{})}
	ctx, stop := context.WithCancel(context.Background())
	server := &http.Server{BaseContext: func(net.Listener) context.Context { return ctx }, Handler: http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if !answer(w, r) {
			fake.ServeHTTP(w, r)
		}
	})}
	var served sync.WaitGroup
	served.Go(func() { _ = server.Serve(network) })
	watched := Watch(&http.Client{Transport: &http.Transport{DialContext: network.dial}}).(watchedClient)
	t.Cleanup(func() {
		watched.CloseIdleConnections()
		stop()
		_ = server.Close()
		served.Wait()
	})
	return &s3Store{
		root: Location{Scheme: "s3", Bucket: "lake"}, cfg: Config{PartBytes: minPartBytes}, uploads: make(chan struct{}, 1), refused: new(atomic.Pointer[refusal]),
		client: s3.New(s3.Options{
			HTTPClient: watched, Region: "us-east-1", BaseEndpoint: aws.String("http://s3.test"), UsePathStyle: true,
			Credentials: credentials.NewStaticCredentialsProvider("key", "secret", ""), RetryMaxAttempts: 1,
			RequestChecksumCalculation: aws.RequestChecksumCalculationWhenRequired,
			ResponseChecksumValidation: aws.ResponseChecksumValidationWhenRequired,
		}),
	}
}

// TestS3_Stalled lets a server answer late, slowly or not at all, and looks at
// what is told of it when.
func TestS3_Stalled(t *testing.T) {
	type told []string // "after: RETRYING" or "after: over"
	object := bytes.Repeat([]byte("leat"), 64<<10)
	hang := func(w http.ResponseWriter, r *http.Request) bool {
		_, _ = io.Copy(io.Discard, r.Body) // so that the server sees the client go away
		<-r.Context().Done()
		return true
	}
	first := func(answer func(http.ResponseWriter, *http.Request) bool) func(http.ResponseWriter, *http.Request) bool {
		var once sync.Once
		return func(w http.ResponseWriter, r *http.Request) (answered bool) {
			once.Do(func() { answered = answer(w, r) })
			return answered
		}
	}
	head := func(ctx context.Context, s *s3Store) error {
		_, err := s.Head(ctx, "there")
		return err
	}
	get := func(ctx context.Context, s *s3Store) error {
		got, err := s.Get(ctx, "there")
		if err == nil && !bytes.Equal(got, object) {
			err = fmt.Errorf("read %d other bytes", len(got))
		}
		return err
	}
	put := func(ctx context.Context, s *s3Store) error {
		_, err := s.Put(ctx, "made", object, PutOptions{IfNoneMatch: true})
		return err
	}
	write := func(parts int) func(ctx context.Context, s *s3Store) error {
		return func(ctx context.Context, s *s3Store) error {
			w, err := s.Create(ctx, "made", WriterOptions{Retrying: stallsOf(ctx).retrying})
			if err != nil {
				return err
			}
			defer w.Abort()
			for range parts {
				if err := w.Write(ctx, make([]byte, minPartBytes)); err != nil {
					return err
				}
			}
			if err := w.Write(ctx, object); err != nil {
				return err
			}
			_, err = w.Commit(ctx)
			return err
		}
	}
	for _, c := range []struct {
		name   string
		answer func(w http.ResponseWriter, r *http.Request) bool
		call   func(ctx context.Context, s *s3Store) error
		err    string
		took   time.Duration // without pauses between attempts
		told   told
	}{
		{name: "HeadWithoutAnswer", answer: hang, call: head, err: "no byte has moved for 30s", took: 30 * time.Second, told: told{"10s: RETRYING"}},
		{name: "PutWithoutAnswer", answer: hang, call: put, err: "no byte has moved for 30s", took: 30 * time.Second, told: told{"10s: RETRYING"}},
		{name: "PutThatIsNotRead", answer: func(_ http.ResponseWriter, r *http.Request) bool { <-r.Context().Done(); return true },
			call: put, err: "no byte has moved for 30s", took: 30 * time.Second, told: told{"10s: RETRYING"}},
		{name: "PutAnsweredLate", answer: func(http.ResponseWriter, *http.Request) bool { time.Sleep(20 * time.Second); return false },
			call: put, took: 20 * time.Second, told: told{"10s: RETRYING", "20s: over"}},
		// The writer tells of the failed attempt, too.
		{name: "WriteWithoutAnswerOnce", answer: first(hang), call: write(0), took: 30 * time.Second, told: told{"10s: RETRYING", "30s: RETRYING", "30s: over", "30s: over"}},
		{name: "PartWithoutAnswerOnce", answer: func() func(http.ResponseWriter, *http.Request) bool {
			part := first(hang)
			return func(w http.ResponseWriter, r *http.Request) bool {
				return r.Method == http.MethodPut && strings.Contains(r.URL.RawQuery, "partNumber=1") && part(w, r)
			}
		}(), call: write(1), took: 30 * time.Second, told: told{"10s: RETRYING", "30s: RETRYING", "30s: over", "30s: over"}},
		{name: "SlowPut", answer: func(w http.ResponseWriter, r *http.Request) bool {
			body, piece := new(bytes.Buffer), make([]byte, 4<<10)
			for {
				n, err := r.Body.Read(piece)
				body.Write(piece[:n])
				if err != nil {
					break
				}
				time.Sleep(time.Second)
			}
			r.Body = io.NopCloser(body)
			return false
		}, call: put, took: time.Minute},
		{name: "SlowGet", answer: func(w http.ResponseWriter, r *http.Request) bool {
			if r.Method != http.MethodGet {
				return false
			}
			w.Header().Set("Content-Length", fmt.Sprint(len(object)))
			for i := 0; i < len(object); i += 4 << 10 {
				time.Sleep(5 * time.Second)
				_, _ = w.Write(object[i : i+4<<10])
				_ = http.NewResponseController(w).Flush()
			}
			return true
		}, call: get, took: 64 * 5 * time.Second},
		{name: "GetThatStops", answer: func(w http.ResponseWriter, r *http.Request) bool {
			w.Header().Set("Content-Length", fmt.Sprint(len(object)))
			_, _ = w.Write(object[:1000])
			_ = http.NewResponseController(w).Flush()
			<-r.Context().Done()
			return true
		}, call: get, err: "no byte has moved for 30s", took: 30 * time.Second, told: told{"10s: RETRYING"}},
		{name: "ReaderThatPauses", answer: func(w http.ResponseWriter, r *http.Request) bool {
			w.Header().Set("Content-Length", fmt.Sprint(len(object)))
			_, _ = w.Write(object)
			return true
		}, call: func(ctx context.Context, s *s3Store) error {
			out, err := s.client.GetObject(ctx, &s3.GetObjectInput{Bucket: s.bucket(), Key: aws.String("there")})
			if err != nil {
				return err
			}
			defer out.Body.Close()
			time.Sleep(5 * time.Minute)
			got, err := io.ReadAll(out.Body)
			if err == nil && !bytes.Equal(got, object) {
				err = fmt.Errorf("read %d other bytes", len(got))
			}
			return err
		}, took: 5 * time.Minute},
	} {
		t.Run(c.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				s := pipedStore(t, c.answer)
				begun := time.Now()
				var got told
				stalls := NewStalls(func(err error) {
					what := "over"
					if err != nil {
						what = "RETRYING"
						if !strings.Contains(err.Error(), "no byte has moved for") {
							t.Errorf("told of %v", err)
						}
					}
					got = append(got, fmt.Sprintf("%v: %s", time.Since(begun).Truncate(5*time.Second), what))
				})
				err := c.call(stalls.Context(t.Context()), s)
				took := time.Since(begun)
				if (err == nil) != (c.err == "") || err != nil && !strings.Contains(err.Error(), c.err) {
					t.Errorf("after %v: error %v, want %q", took, err, c.err)
				}
				if took < c.took || took > c.took+c.took/4+time.Second {
					t.Errorf("took %v, want about %v", took, c.took)
				}
				if fmt.Sprint(got) != fmt.Sprint(c.told) {
					t.Errorf("told %q, want %q", got, c.told)
				}
			})
		})
	}
}

// TestStalls_OneOfTwo does not say that it is over while another request stands
// still, nor after one that was given up.
func TestStalls_OneOfTwo(t *testing.T) {
	var last error
	over := 0
	s := NewStalls(func(err error) {
		last = err
		if err == nil {
			over++
		}
	})
	why := errors.New("why")
	s.answered()
	s.begin(why)
	s.begin(why)
	s.end(true)
	s.answered()
	if last == nil || over > 0 {
		t.Fatal("it was over while a request stood still")
	}
	s.end(false)
	if last == nil {
		t.Fatal("it was over after a request was given up")
	}
	s.answered()
	s.answered()
	if last != nil || over != 1 {
		t.Errorf("told %d times that it is over, last %v", over, last)
	}
}

// A configuration of the SDK has no client unless somebody gave it one.
func TestWatch_WithoutClient(t *testing.T) {
	server := httptest.NewServer(http.NotFoundHandler())
	defer server.Close()
	req, err := http.NewRequestWithContext(t.Context(), http.MethodGet, server.URL, http.NoBody)
	if err != nil {
		t.Fatal(err)
	}
	resp, err := Watch(nil).Do(req)
	if err != nil {
		t.Fatal(err)
	}
	_ = resp.Body.Close() // only its status counts
	if resp.StatusCode != http.StatusNotFound {
		t.Errorf("status %d", resp.StatusCode)
	}
}
