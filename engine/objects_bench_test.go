package engine_test

import (
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"strconv"
	"strings"
	"testing"

	"github.com/leatdb/leat/engine"
)

// BenchmarkObjects lands the same 200 MB of JSON from one object of a bucket and
// from many; the server is in the same process, and takes part of the time.
func BenchmarkObjects(b *testing.B) {
	var lines strings.Builder
	for i := range 2000 {
		fmt.Fprintf(&lines, `{"id":%d,"vendor":"%c","fare":%d.%02d,"at":"2026-07-01T10:%02d:%02d.%03dZ","rider":{"id":"r-%06d","os":"web"},"note":"%s"}`+"\n",
			1_000_000+i, 'A'+i%4, i%90, i%100, i%60, i%59, i%1000, i*7, strings.Repeat("on the way ", 33))
	}
	block := lines.String()
	for _, count := range []int{1, 200, 2000, 10000} {
		b.Run(fmt.Sprintf("%dx%dKB", count, 200_000/count), func(b *testing.B) {
			size := 200_000_000 / count
			records := size / (len(block) / 2000)
			content := func(from, to int) string { // of an object of whole lines
				var out strings.Builder
				for from < to {
					n := min(to-from, len(block)-from%len(block))
					out.WriteString(block[from%len(block):][:n])
					from += n
				}
				return out.String()
			}
			size = records * (len(block) / 2000)
			if count > 1 {
				size = strings.LastIndexByte(content(0, size), '\n') + 1
			} else {
				size = size / len(block) * len(block)
			}
			server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
				if strings.Trim(r.URL.Path, "/") == "b" {
					start := 0
					if after := r.URL.Query().Get("start-after"); after != "" {
						_, _ = fmt.Sscanf(after, "in/%06d.json", &start)
						start++
					}
					end := min(count, start+1000)
					fmt.Fprintf(w, "<ListBucketResult><IsTruncated>%t</IsTruncated>", end < count)
					for i := start; i < end; i++ {
						fmt.Fprintf(w, `<Contents><Key>in/%06d.json</Key><ETag>"e"</ETag><LastModified>2026-01-02T03:04:05Z</LastModified><Size>%d</Size></Contents>`, i, size)
					}
					_, _ = io.WriteString(w, "</ListBucketResult>")
					return
				}
				from, to := 0, size-1
				_, _ = fmt.Sscanf(r.Header.Get("Range"), "bytes=%d-%d", &from, &to)
				w.Header().Set("ETag", `"e"`)
				w.Header().Set("Content-Length", strconv.Itoa(to-from+1))
				w.Header().Set("Content-Range", fmt.Sprintf("bytes %d-%d/%d", from, to, size))
				w.WriteHeader(http.StatusPartialContent)
				_, _ = io.WriteString(w, content(from, to+1))
			}))
			defer server.Close()
			b.SetBytes(int64(size) * int64(count))
			for b.Loop() {
				db, err := engine.Open(b.Context(), engine.Config{Dir: b.TempDir(), Threads: 2})
				if err != nil {
					b.Fatal(err)
				}
				err = db.Exec(b.Context(), fmt.Sprintf(`CREATE SOURCE s (id BIGINT, vendor TEXT, fare DECIMAL(10,2), at TIMESTAMP(3), rider JSON, note TEXT)
					WITH (connector = 'files', path = 's3://b/in/', endpoint = '%s', access_key_id = 'i', secret_access_key = 's');
					CREATE STREAM t AS SELECT id, vendor, fare, at, rider->>'$.id' AS rider, note FROM s; FLUSH STREAM t`, server.URL))
				if err != nil {
					b.Fatal(err)
				}
				if err := db.Close(); err != nil {
					b.Fatal(err)
				}
			}
		})
	}
}
