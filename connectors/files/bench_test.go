package files_test

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/leatdb/leat/connectors"
	"github.com/leatdb/leat/connectors/files"
)

// objectServer serves count objects of the same content, each request after a
// delay as of a network.
func objectServer(b *testing.B, count int, content string, delay time.Duration) string {
	var listing strings.Builder
	pages := map[string]string{}
	for start := 0; start < count; start += 1000 {
		listing.Reset()
		end := min(count, start+1000)
		fmt.Fprintf(&listing, "<ListBucketResult><IsTruncated>%t</IsTruncated>", end < count)
		for i := start; i < end; i++ {
			fmt.Fprintf(&listing, `<Contents><Key>in/%06d.json</Key><ETag>"e"</ETag><LastModified>2026-01-02T03:04:05Z</LastModified><Size>%d</Size></Contents>`, i, len(content))
		}
		listing.WriteString("</ListBucketResult>")
		after := ""
		if start > 0 {
			after = fmt.Sprintf("in/%06d.json", start-1)
		}
		pages[after] = listing.String()
	}
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if delay > 0 {
			time.Sleep(delay)
		}
		if strings.Trim(r.URL.Path, "/") == "b" {
			_, _ = io.WriteString(w, pages[r.URL.Query().Get("start-after")])
			return
		}
		var from, to int
		if _, err := fmt.Sscanf(r.Header.Get("Range"), "bytes=%d-%d", &from, &to); err != nil {
			from, to = 0, len(content)-1
		}
		w.Header().Set("ETag", `"e"`)
		w.Header().Set("Content-Length", strconv.Itoa(to-from+1))
		w.Header().Set("Content-Range", fmt.Sprintf("bytes %d-%d/%d", from, to, len(content)))
		w.WriteHeader(http.StatusPartialContent)
		_, _ = io.WriteString(w, content[from:to+1])
	}))
	b.Cleanup(server.Close)
	return server.URL
}

// BenchmarkObjects reads the same bytes as one object and as many; MB/s say what
// the source alone does, with the server in the same process.
func BenchmarkObjects(b *testing.B) {
	for _, delay := range []time.Duration{0, 10 * time.Millisecond} {
		for _, shape := range []struct{ count, size int }{{1, 64 << 20}, {64, 1 << 20}, {640, 100 << 10}, {6400, 10 << 10}} {
			b.Run(fmt.Sprintf("%dx%dKiB/%v", shape.count, shape.size>>10, delay), func(b *testing.B) {
				content := strings.Repeat(strings.Repeat("x", 499)+"\n", shape.size/500+1)[:shape.size-1] + "\n"
				url := objectServer(b, shape.count, content, delay)
				b.SetBytes(int64(shape.count * len(content)))
				for b.Loop() {
					if got := readAll(b, "path", "s3://b/in/", "endpoint", url, "access_key_id", "id", "secret_access_key", "hush"); got != int64(shape.count*len(content)) {
						b.Fatalf("%d bytes", got)
					}
				}
			})
		}
	}
}

// readAll reads a source to its end in two lanes.
func readAll(b *testing.B, options ...string) int64 {
	src, err := files.Connector.Open(b.Context(), connectors.SourceConfig{Name: "bench", Options: files.Connector.Spec.MustOptions(options...), Lanes: 2})
	if err != nil {
		b.Fatal(err)
	}
	splits, err := src.Splits(b.Context(), true, nil)
	if err != nil {
		b.Fatal(err)
	}
	positions := connectors.Positions{}
	for _, split := range splits {
		positions[split.ID] = split.Start
	}
	if err := src.Assign(b.Context(), positions); err != nil {
		b.Fatal(err)
	}
	var total atomic.Int64
	var lanes sync.WaitGroup
	for lane := range 2 {
		lanes.Go(func() {
			var c connectors.Chunk
			for {
				if err := src.Poll(context.Background(), lane, &c); errors.Is(err, io.EOF) {
					return
				} else if err != nil {
					b.Error(err)
					return
				}
				total.Add(int64(len(c.Data)))
			}
		})
	}
	lanes.Wait()
	if err := src.Close(); err != nil {
		b.Fatal(err)
	}
	return total.Load()
}
