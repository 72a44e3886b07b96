//go:build services

package kafka_test

import (
	"errors"
	"io"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/twmb/franz-go/pkg/kadm"
	"github.com/twmb/franz-go/pkg/kgo"

	"github.com/leatdb/leat/connectors"
	"github.com/leatdb/leat/connectors/kafka"
	"github.com/leatdb/leat/internal/services"
	"github.com/leatdb/leat/sql/sqlerror"
)

// TestApacheKafka repeats against a real broker what kfake may see differently.
func TestApacheKafka(t *testing.T) {
	k := services.StartKafka(t)
	manual := kgo.RecordPartitioner(kgo.ManualPartitioner())
	begin := func(t *testing.T, topic string, known connectors.Positions, options ...string) *reader {
		t.Helper()
		r := &reader{t: t, values: map[string][]string{}, offsets: map[string][]int64{}, telling: make(chan struct{}, 1000)}
		if !slices.Contains(options, "brokers") {
			options = append(options, "brokers", k.Plaintext)
		}
		r.cfg = connectors.SourceConfig{
			Name: "trips", Stream: "s", Options: kafka.Connector.Spec.MustOptions(append(options, "topic", topic)...), Lanes: 1,
			Retrying: func(err error) {
				r.mu.Lock()
				r.told = append(r.told, err)
				r.mu.Unlock()
				r.telling <- struct{}{}
			},
		}
		r.reopen()
		if err := r.discover(known == nil, known); err != nil {
			t.Fatal(err)
		}
		return r
	}

	t.Run("LoginAndTLS", func(t *testing.T) {
		k.CreateTopic("trips", 1, nil)
		f := func(want string, options ...string) {
			t.Helper()
			cfg := connectors.SourceConfig{Name: "trips", Options: kafka.Connector.Spec.MustOptions(append(options, "topic", "trips")...)}
			err := kafka.Connector.Check(t.Context(), cfg)
			if want == "" && err != nil || want != "" && (err == nil || !strings.Contains(err.Error(), want) || sqlerror.IsRetryable(err)) {
				t.Errorf("%v: err=%v, want %q", options, err, want)
			}
		}
		f("", "brokers", k.SASLSSL, "security_protocol", "sasl_ssl", "sasl_mechanism", "SCRAM-SHA-512", "tls_ca", k.CAFile,
			"sasl_username", services.KafkaScramUser, "sasl_password", services.KafkaScramPassword)
		f("", "brokers", k.SASLPlaintext, "security_protocol", "sasl_plaintext",
			"sasl_username", services.KafkaPlainUser, "sasl_password", services.KafkaPlainPassword)
		f("check sasl_username, sasl_password", "brokers", k.SASLPlaintext, "security_protocol", "sasl_plaintext",
			"sasl_username", services.KafkaPlainUser, "sasl_password", "wrong")
		f("check sasl_username, sasl_password", "brokers", k.SASLPlaintext, "security_protocol", "sasl_plaintext", "sasl_mechanism", "SCRAM-SHA-256",
			"sasl_username", services.KafkaScramUser, "sasl_password", "wrong")
		in := time.Now().Add(time.Hour)
		f("", "brokers", k.SASLPlaintext, "security_protocol", "sasl_plaintext", "sasl_mechanism", "OAUTHBEARER",
			"sasl_token", k.Token("carol", services.KafkaAudience, in))
		f("", "brokers", k.SASLSSL, "security_protocol", "sasl_ssl", "sasl_mechanism", "OAUTHBEARER", "tls_ca", k.CAFile,
			"sasl_token", k.Token("carol", services.KafkaAudience, in))
		f("the brokers refuse the token", "brokers", k.SASLPlaintext, "security_protocol", "sasl_plaintext", "sasl_mechanism", "OAUTHBEARER",
			"sasl_token", k.Token("carol", "other", in))
		f("the brokers refuse the token", "brokers", k.SASLPlaintext, "security_protocol", "sasl_plaintext", "sasl_mechanism", "OAUTHBEARER",
			"sasl_token", k.Token("carol", services.KafkaAudience, time.Now().Add(-time.Minute)))
		f("the brokers do not offer AWS_MSK_IAM", "brokers", k.SASLPlaintext, "security_protocol", "sasl_plaintext", "sasl_mechanism", "AWS_MSK_IAM",
			"access_key_id", "AKID", "secret_access_key", "hush")
		f("they may expect TLS", "brokers", k.SASLSSL)
		f("expect", "brokers", k.SASLPlaintext)
		f("check security_protocol", "brokers", k.Plaintext, "security_protocol", "ssl", "tls_ca", k.CAFile)
		f("no login on this port", "brokers", k.Plaintext, "security_protocol", "sasl_plaintext",
			"sasl_username", services.KafkaPlainUser, "sasl_password", services.KafkaPlainPassword)
		f("give the authority's certificate", "brokers", k.SASLSSL, "security_protocol", "sasl_ssl",
			"sasl_username", services.KafkaPlainUser, "sasl_password", services.KafkaPlainPassword)
	})

	t.Run("Transactions", func(t *testing.T) {
		k.CreateTopic("tx", 1, nil)
		cl := k.Client(manual, kgo.TransactionalID("x"))
		end := func(commit kgo.TransactionEndTry, from, to int) {
			t.Helper()
			if err := cl.BeginTransaction(); err != nil {
				t.Fatal(err)
			}
			produce(t, cl, "tx", 0, from, to)
			if err := cl.EndTransaction(t.Context(), commit); err != nil {
				t.Fatal(err)
			}
		}
		end(kgo.TryAbort, 0, 100)
		end(kgo.TryCommit, 100, 200)
		end(kgo.TryAbort, 200, 300)
		for admin := kadm.NewClient(cl); ; { // the markers are written after the answer
			listed, err := admin.ListCommittedOffsets(t.Context(), "tx")
			if err != nil {
				t.Fatal(err)
			}
			if o, _ := listed.Lookup("tx", 0); o.Offset == 303 {
				break
			}
		}
		r := begin(t, "tx", nil, "stop", "latest")
		defer r.close()
		r.readAll()
		r.want("0", numbers(100, 200))
		live := begin(t, "tx", nil)
		defer live.close()
		live.flush()
		live.want("0", numbers(100, 200))
	})

	// Large answers with batches of all codecs, cut off where the broker's limit was, by
	// way of TLS, too.
	t.Run("LargeAnswers", func(t *testing.T) {
		k.CreateTopic("large", 1, nil)
		const each = 20_000
		n := 0
		for _, codec := range []kgo.CompressionCodec{kgo.NoCompression(), kgo.GzipCompression(), kgo.SnappyCompression(), kgo.Lz4Compression(), kgo.ZstdCompression(), kgo.NoCompression()} {
			cl := k.Client(manual, kgo.ProducerBatchCompression(codec))
			for range each {
				cl.Produce(t.Context(), &kgo.Record{Topic: "large", Value: []byte(strings.Repeat(strconv.Itoa(n)+" ", 30))}, nil)
				n++
			}
			if err := cl.Flush(t.Context()); err != nil {
				t.Fatal(err)
			}
		}
		for _, options := range [][]string{
			{"prefetch_bytes", "4MiB"},
			{"brokers", k.SASLSSL, "security_protocol", "sasl_ssl", "tls_ca", k.CAFile, "sasl_username", services.KafkaPlainUser, "sasl_password", services.KafkaPlainPassword},
		} {
			r := begin(t, "large", nil, append(options, "stop", "latest")...)
			r.readAll()
			r.close()
			if got := len(r.values["0"]); got != n {
				t.Errorf("%v: %d records, want %d", options, got, n)
			}
			for i, v := range r.values["0"] {
				if v != strings.Repeat(strconv.Itoa(i)+" ", 30) || r.offsets["0"][i] != int64(i) {
					t.Fatalf("%v: record %d at offset %d is %q", options, i, r.offsets["0"][i], v)
				}
			}
		}
	})

	t.Run("Compaction", func(t *testing.T) {
		k.CreateTopic("compacted", 1, map[string]string{
			"cleanup.policy": "compact", "segment.ms": "100", "min.cleanable.dirty.ratio": "0", "min.compaction.lag.ms": "0",
			"delete.retention.ms": "0", "max.compaction.lag.ms": "100",
		})
		cl := k.Client(manual)
		put := func(from, to int) {
			t.Helper()
			for i := from; i < to; i++ {
				err := cl.ProduceSync(t.Context(), &kgo.Record{Topic: "compacted", Key: []byte{byte(i % 2)}, Value: []byte(strconv.Itoa(i))}).FirstErr()
				if err != nil {
					t.Fatal(err)
				}
			}
		}
		put(0, 20)
		r := begin(t, "compacted", nil, "stop", "latest")
		known := r.src.Positions()
		r.close()
		deadline := time.Now().Add(time.Minute)
		tick := time.NewTicker(200 * time.Millisecond)
		defer tick.Stop()
		for n := 20; ; n += 2 { // each record may roll a segment, and let the cleaner at the last
			put(n, n+2)
			bounded := begin(t, "compacted", known, "stop", "latest")
			bounded.readAll()
			count := bounded.count()
			bounded.close()
			if got := offset(t, bounded.src.Positions()["0"]); got != 20 {
				t.Fatalf("offset %d, want 20", got)
			}
			if count == 0 {
				break // all up to the stop were taken away
			}
			if time.Now().After(deadline) {
				t.Logf("the cleaner left %d records", count)
				break
			}
			<-tick.C
		}
	})

	t.Run("RetentionAndRecreation", func(t *testing.T) {
		k.CreateTopic("again", 1, nil)
		cl := k.Client(manual)
		admin := kadm.NewClient(cl)
		produce(t, cl, "again", 0, 0, 100)
		running := begin(t, "again", nil, "on_data_loss", "skip", "fetch_max_wait", "10ms")
		defer running.close()
		running.read(100)
		known := running.src.Positions()
		at10 := connectors.Positions{"0": connectors.Position(strings.Replace(string(known["0"]), `"offset":100`, `"offset":10`, 1))}
		if _, err := admin.DeleteRecords(t.Context(), kadm.Offsets{"again": {0: {Topic: "again", Partition: 0, At: 60}}}); err != nil {
			t.Fatal(err)
		}
		skipping := begin(t, "again", at10, "on_data_loss", "skip")
		skipping.read(40)
		skipping.want("0", numbers(60, 100))
		if lost := skipping.lost(); len(lost) != 1 || lost[0].Records != 50 {
			t.Errorf("lost %+v", lost)
		}
		skipping.close()

		if _, err := admin.DeleteTopic(t.Context(), "again"); err != nil {
			t.Fatal(err)
		}
		create := func() (err error) {
			for range 100 { // deletion takes its time
				if _, err = admin.CreateTopic(t.Context(), 2, 1, nil, "again"); err == nil {
					return nil
				}
			}
			return err
		}
		if err := create(); err != nil {
			t.Fatal(err)
		}
		cl = k.Client(manual)
		produce(t, cl, "again", 0, 1000, 1150)
		failing := &reader{t: t, values: map[string][]string{}, offsets: map[string][]int64{}, cfg: running.cfg}
		failing.cfg.Options = kafka.Connector.Spec.MustOptions("brokers", k.Plaintext, "topic", "again")
		failing.reopen()
		if err := failing.discover(false, known); !sqlerror.HasCode(err, sqlerror.CodeDataLoss) {
			t.Errorf("err=%v", err)
		}
		failing.close()
		for {
			err := running.discover(false, running.src.Positions())
			if err == nil {
				break
			}
			if !sqlerror.IsRetryable(err) {
				t.Fatal(err)
			}
		}
		running.flush()
		running.want("0", append(numbers(0, 100), numbers(1000, 1150)...))
	})

	t.Run("KilledAndRestarted", func(t *testing.T) {
		k.CreateTopic("kill", 3, nil)
		cl := k.Client(manual)
		for p := range int32(3) {
			produce(t, cl, "kill", p, 0, 500)
		}
		r := begin(t, "kill", nil, "chunk_bytes", "1024", "connect_timeout", "2s")
		defer r.close()
		var c connectors.Chunk
		if err := r.poll(0, &c); err != nil {
			t.Fatal(err)
		}
		k.Kill()
		r.tellings(func(err error) bool { return err != nil })
		k.Restart()
		for p := range int32(3) {
			produce(t, cl, "kill", p, 500, 600)
		}
		for r.count() < 1800 {
			if err := r.poll(0, &c); err != nil && !sqlerror.IsRetryable(err) {
				t.Fatal(err)
			}
		}
		for p := range 3 {
			r.want(strconv.Itoa(p), numbers(0, 600))
		}
		r.tellings(func(err error) bool { return err == nil })
	})

	t.Run("Codecs", func(t *testing.T) {
		k.CreateTopic("codecs", 1, nil)
		for i, codec := range []kgo.CompressionCodec{kgo.NoCompression(), kgo.GzipCompression(), kgo.SnappyCompression(), kgo.Lz4Compression(), kgo.ZstdCompression()} {
			cl := k.Client(manual, kgo.ProducerBatchCompression(codec))
			produce(t, cl, "codecs", 0, 1000*i, 1000*i+300)
		}
		r := begin(t, "codecs", nil, "stop", "latest")
		defer r.close()
		if err := r.readUntilError(); !errors.Is(err, io.EOF) {
			t.Fatal(err)
		}
		var want []string
		for i := range 5 {
			want = append(want, numbers(1000*i, 1000*i+300)...)
		}
		r.want("0", want)
	})
}
