//go:build services

package acceptance_test

import (
	"fmt"
	"strings"
	"testing"

	"github.com/twmb/franz-go/pkg/kgo"
)

// testHostile lands records of odd sizes, depths and partition values between
// ordinary ones, or finds them whole in the dead letters.
func (e *environment) testHostile(t *testing.T) {
	const limit = 32 << 20
	e.kafka.CreateTopic("hostile", 1, map[string]string{"max.message.bytes": fmt.Sprint(limit)})
	client := e.kafka.Client(manual(), kgo.ProducerBatchMaxBytes(limit), kgo.ProducerBatchCompression(kgo.NoCompression()))
	put := func(values ...string) {
		t.Helper()
		for _, v := range values {
			r := &kgo.Record{Topic: "hostile", Value: []byte(v)}
			if err := client.ProduceSync(t.Context(), r).FirstErr(); err != nil {
				t.Fatalf("produce %.60s…: %v", v, err)
			}
		}
	}
	large := func(id, n int) string {
		return fmt.Sprintf(`{"id": %d, "folder": "large", "v": "%s"}`, id, strings.Repeat("x", n))
	}
	deep := strings.Repeat("[", 1000) + strings.Repeat("]", 1000)
	put(`{"id": 1, "folder": "a", "v": 1}`,
		large(2, 12<<20), // fits
		large(3, 20<<20), // is more than max_record_bytes
		`{"id": 4, "folder": "a", "v": `+deep+`}`,
		`{"id": 5, "folder": "../../etc"}`,
		`{"id": 6, "folder": ""}`,
		`{"id": 7, "folder": "`+strings.Repeat("é", 300)+`"}`,
		`{"id": 8}`,
		"{\"id\": 9, \"folder\": \"\xff\xfe\"}",
		`{"id": 10, "folder": "a"} {"id": 11, "folder": "a"}`,
		`{"id": 12, "folder": "a", "folder": "b", "FOLDER": "c"}`,
		` `,
		`{"id": 13, "folder": "a=b/c%2F\\\u0000"}`,
		strings.Repeat("[", 1_000_000),
	)
	source := strings.Replace(e.source("hostile_in", "hostile", ""), "id BIGINT", "id BIGINT, folder VARCHAR(400), v JSON", 1)
	l := e.serve(t, source+e.sink("odd")+`
		CREATE STREAM hostile INTO odd.hostile PARTITIONED BY (folder) AS SELECT id, folder, v FROM hostile_in;`)
	typed(t, l, "FLUSH STREAM hostile")
	want(t, l, "SELECT id, LENGTH(v) FROM odd.hostile ORDER BY id",
		fmt.Sprintf("1\t1\n2\t%d\n4\t2000\n5\tNULL\n6\tNULL\n7\tNULL\n8\tNULL\n10\tNULL\n11\tNULL\n12\tNULL\n13\tNULL", 12<<20+2))
	want(t, l, "SELECT id FROM odd.hostile WHERE folder = '../../etc'", "5")
	want(t, l, "SELECT id FROM odd.hostile WHERE folder = ''", "6")
	want(t, l, "SELECT id FROM odd.hostile WHERE folder = '"+strings.Repeat("é", 300)+"'", "7")
	want(t, l, "SELECT id FROM odd.hostile WHERE folder IS NULL", "8")
	want(t, l, "SELECT id FROM odd.hostile WHERE folder = 'b'", "12")
	want(t, l, "SELECT LENGTH(raw) FROM leat.dead_letters WHERE stream = 'hostile' ORDER BY 1", fmt.Sprintf("25\n1000000\n%d", len(large(3, 20<<20))))
	want(t, l, "SELECT records_in, records_empty, rows_in, rows_landed, rows_dead FROM leat.stream_metrics", "14\t1\t14\t11\t3")
	want(t, l, state("hostile"), "RUNNING\tNULL")
}
