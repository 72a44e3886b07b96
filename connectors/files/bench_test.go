package files_test

import (
	"bufio"
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"math/rand/v2"
	"net"
	"os"
	"os/exec"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"syscall"
	"testing"
	"time"

	"github.com/leatdb/leat/connectors"
	"github.com/leatdb/leat/connectors/files"
	"github.com/leatdb/leat/engine"
)

// objectServer is a server of a bucket of count objects of JSON, or of one with the
// same bytes. It is another process, so that what it costs is not taken for what
// reading costs.
func objectServer(b *testing.B, count, size int, one bool, delay time.Duration) (url string) {
	cmd := exec.Command(os.Args[0], "-test.run=^TestServeObjects$")
	cmd.Env = append(os.Environ(), fmt.Sprintf("%s=%d %d %t %d", serveObjects, count, size, one, delay))
	stdin, err := cmd.StdinPipe() // the server ends with it
	if err != nil {
		b.Fatal(err)
	}
	stdout, err := cmd.StdoutPipe()
	if err != nil {
		b.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		b.Fatal(err)
	}
	b.Cleanup(func() {
		_ = stdin.Close()
		_ = cmd.Wait()
	})
	lines := bufio.NewScanner(stdout)
	for lines.Scan() {
		if at, ok := strings.CutPrefix(lines.Text(), "serving at "); ok {
			go func() { _, _ = io.Copy(io.Discard, stdout) }()
			return at
		}
	}
	b.Fatal("the server did not start")
	return ""
}

const serveObjects = "LEAT_TEST_SERVE_OBJECTS"

// TestServeObjects is the server of benchmarks, which run it in a process of its own.
func TestServeObjects(t *testing.T) {
	var count, size, delay int
	var one bool
	if n, _ := fmt.Sscan(os.Getenv(serveObjects), &count, &size, &one, &delay); n != 4 {
		return // it is no benchmark that runs this
	}
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	go func() {
		_, _ = io.Copy(io.Discard, os.Stdin)
		_ = listener.Close()
	}()
	fmt.Println("serving at http://" + listener.Addr().String())
	r := rand.New(rand.NewPCG(1, 2))
	contents := make([][]byte, min(count, max(1, 64_000_000/size)))
	for i := range contents {
		contents[i] = events(r, size)
	}
	if one {
		var all []byte
		for i := range count {
			all = append(all, contents[i%len(contents)]...)
		}
		contents, count, size = [][]byte{all}, 1, len(all)
	}
	for {
		conn, err := listener.Accept()
		if err != nil {
			return
		}
		go func() {
			defer conn.Close()
			serveConn(conn, contents, count, time.Duration(delay))
		}()
	}
}

// events are lines of JSON, size bytes of them.
func events(r *rand.Rand, size int) []byte {
	text := make([]byte, 0, size)
	for {
		at := len(text)
		text = fmt.Appendf(text, `{"id":%d,"location":%d,"at":"2026-07-%02dT%02d:%02d:%02dZ","fare":%d.%02d,"distance":%.3f,"payment":"%s","note":"%x%x","rider":{"id":%d,"device":{"os":"%s","version":"%d.%d"}},"a":%d,"b":"%x","c":true,"d":null,"e":%f}`+"\n",
			r.Int64N(1e12), r.IntN(265), 1+r.IntN(28), r.IntN(24), r.IntN(60), r.IntN(60), r.IntN(100), r.IntN(100), r.Float64()*20, []string{"card", "cash"}[r.IntN(2)], r.Int64(), r.Int64(),
			r.Int64N(1e9), []string{"ios", "android", "windows"}[r.IntN(3)], r.IntN(20), r.IntN(10), r.IntN(100000), r.Int64(), r.Float64())
		if len(text) > size-1 {
			text = text[:at]
			break
		}
	}
	text = append(text, bytes.Repeat([]byte(" "), size-1-len(text))...)
	return append(text, '\n')
}

// serveConn answers as little as an S3 server may, at the least cost.
func serveConn(conn net.Conn, contents [][]byte, count int, delay time.Duration) {
	in := bufio.NewReader(conn)
	for {
		line, err := in.ReadSlice('\n')
		if err != nil {
			return
		}
		_, target, _ := bytes.Cut(line, []byte(" "))
		path, _, _ := bytes.Cut(target, []byte(" "))
		after, isList := "", bytes.HasPrefix(path, []byte("/b?")) || bytes.HasPrefix(path, []byte("/b/?"))
		if isList {
			if _, rest, ok := strings.Cut(string(path), "start-after="); ok {
				after, _, _ = strings.Cut(rest, "&")
			}
		}
		content := contents[0]
		if !isList {
			_, name, _ := strings.Cut(string(path), "/in/")
			n, _ := strconv.Atoi(strings.TrimSuffix(name, ".json"))
			content = contents[n%len(contents)]
		}
		from, to := 0, len(content)-1
		for len(line) > 2 {
			if line, err = in.ReadSlice('\n'); err != nil {
				return
			}
			if name, value, _ := bytes.Cut(line, []byte(": ")); bytes.EqualFold(name, []byte("range")) {
				_, _ = fmt.Sscanf(string(value), "bytes=%d-%d", &from, &to)
			}
		}
		if delay > 0 {
			time.Sleep(delay)
		}
		if isList {
			body := listing(after, count, len(content))
			_, err = fmt.Fprintf(conn, "HTTP/1.1 200 OK\r\nContent-Type: application/xml\r\nContent-Length: %d\r\n\r\n%s", len(body), body)
		} else {
			head := fmt.Appendf(nil, "HTTP/1.1 206 Partial Content\r\nETag: \"e\"\r\nAccept-Ranges: bytes\r\nx-amz-request-id: 0123456789ABCDEF\r\nServer: AmazonS3\r\n"+
				"Date: Fri, 02 Jan 2026 03:04:05 GMT\r\nLast-Modified: Fri, 02 Jan 2026 03:04:05 GMT\r\nContent-Type: binary/octet-stream\r\nContent-Length: %d\r\nContent-Range: bytes %d-%d/%d\r\n\r\n",
				to-from+1, from, to, len(content))
			buffers := net.Buffers{head, content[from : to+1]}
			_, err = buffers.WriteTo(conn)
		}
		if err != nil {
			return
		}
	}
}

func listing(after string, count, size int) string {
	start := 0
	if _, name, ok := strings.Cut(after, "in%2F"); ok {
		n, _ := strconv.Atoi(strings.TrimSuffix(name, ".json"))
		start = n + 1
	}
	end := min(count, start+1000)
	var text strings.Builder
	fmt.Fprintf(&text, "<ListBucketResult><IsTruncated>%t</IsTruncated>", end < count)
	for i := start; i < end; i++ {
		fmt.Fprintf(&text, `<Contents><Key>in/%06d.json</Key><ETag>"e"</ETag><LastModified>2026-01-02T03:04:05Z</LastModified><Size>%d</Size></Contents>`, i, size)
	}
	text.WriteString("</ListBucketResult>")
	return text.String()
}

// BenchmarkObjects reads the same bytes as one object and as many. MB/s are by the
// clock; cpu-µs/object and cpu-MB/s are what this process alone takes.
func BenchmarkObjects(b *testing.B) {
	for _, delay := range []time.Duration{0, 10 * time.Millisecond} {
		for _, shape := range []struct{ count, size int }{{1, 64 << 20}, {64, 1 << 20}, {640, 100 << 10}, {3200, 20 << 10}, {6400, 10 << 10}} {
			b.Run(fmt.Sprintf("%dx%dKiB/%v", shape.count, shape.size>>10, delay), func(b *testing.B) {
				url := objectServer(b, shape.count, shape.size, false, delay)
				b.SetBytes(int64(shape.count * shape.size))
				before := cpuTime()
				for b.Loop() {
					if got := readAll(b, "path", "s3://b/in/", "endpoint", url, "access_key_id", "id", "secret_access_key", "hush"); got != int64(shape.count*shape.size) {
						b.Fatalf("%d bytes", got)
					}
				}
				cpu := (cpuTime() - before).Seconds() / float64(b.N)
				b.ReportMetric(cpu*1e6/float64(shape.count), "cpu-µs/object")
				b.ReportMetric(float64(shape.count*shape.size)/1e6/cpu, "cpu-MB/s")
			})
		}
	}
}

// BenchmarkLand lands the same bytes as one object and as many in a table. cpu-MB/s
// are of this process, without the server.
func BenchmarkLand(b *testing.B) {
	for _, shape := range []struct{ count, size int }{{400, 1_000_000}, {4000, 100_000}, {20_000, 20_000}} {
		for _, one := range []bool{true, false} {
			name := fmt.Sprintf("%dx%dkB/many", shape.count, shape.size/1000)
			if one {
				name = fmt.Sprintf("%dx%dkB/one", shape.count, shape.size/1000)
			}
			b.Run(name, func(b *testing.B) {
				url := objectServer(b, shape.count, shape.size, one, 0)
				b.SetBytes(int64(shape.count * shape.size))
				var cpu time.Duration
				for b.Loop() {
					cpu += land(b, url)
				}
				b.ReportMetric(float64(b.N)*float64(shape.count*shape.size)/1e6/cpu.Seconds(), "cpu-MB/s")
			})
		}
	}
}

// land reads a bucket into a table, and says what it took of the processors.
func land(b *testing.B, url string) time.Duration {
	db, err := engine.Open(b.Context(), engine.Config{Dir: b.TempDir()})
	if err != nil {
		b.Fatal(err)
	}
	defer db.Close()
	before := cpuTime()
	err = db.Exec(b.Context(), fmt.Sprintf(`CREATE SOURCE s (id BIGINT, location INT, at TIMESTAMP(3), fare DECIMAL(10,2), distance DOUBLE, payment TEXT, note TEXT, rider JSON, a INT, b TEXT)
		WITH (connector = 'files', path = 's3://b/in/', endpoint = '%s', access_key_id = 'id', secret_access_key = 'hush', format = 'json');
		CREATE STREAM t AS SELECT id, location, at, fare * 1.08 AS gross, distance, payment, note, rider->>'$.device.os' AS os, a, b FROM s WHERE fare > 1`, url))
	if err == nil {
		err = db.Wait(b.Context())
	}
	if err != nil {
		b.Fatal(err)
	}
	return cpuTime() - before
}

// cpuTime is what this process has taken of the processors.
func cpuTime() time.Duration {
	var used syscall.Rusage
	if err := syscall.Getrusage(syscall.RUSAGE_SELF, &used); err != nil {
		panic(err)
	}
	return time.Duration(used.Utime.Nano() + used.Stime.Nano())
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
