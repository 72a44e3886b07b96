//go:build services

package acceptance_test

import (
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"github.com/leatdb/leat/internal/services"
)

// testLogins reads through every listener that asks for a login.
func (e *environment) testLogins(t *testing.T) {
	e.kafka.CreateTopic("logins", 1, nil)
	produce(t, e.kafka.Client(manual()), "logins", 0, 0, 100)
	l := services.StartLeat(t, e.binary)
	for i, s := range []struct{ brokers, protocol, mechanism, user, password string }{
		{e.kafka.SASLPlaintext, "sasl_plaintext", "PLAIN", services.KafkaPlainUser, services.KafkaPlainPassword},
		{e.kafka.SASLPlaintext, "sasl_plaintext", "SCRAM-SHA-256", services.KafkaScramUser, services.KafkaScramPassword},
		{e.kafka.SASLSSL, "sasl_ssl", "PLAIN", services.KafkaPlainUser, services.KafkaPlainPassword},
		{e.kafka.SASLSSL, "sasl_ssl", "SCRAM-SHA-512", services.KafkaScramUser, services.KafkaScramPassword},
	} {
		options := fmt.Sprintf("connector = 'kafka', topic = 'logins', brokers = '%s', security_protocol = '%s', sasl_mechanism = '%s', sasl_username = '%s'",
			s.brokers, s.protocol, s.mechanism, s.user)
		if s.protocol == "sasl_ssl" {
			options += ", tls_ca = '" + e.kafka.CAFile + "'"
		}
		typed(t, l, fmt.Sprintf(`CREATE SOURCE in%d (id BIGINT) WITH (%s, sasl_password = '%s');
			CREATE STREAM s%d AS SELECT id FROM in%d; FLUSH STREAM s%d;`, i, options, s.password, i, i, i))
		want(t, l, total(fmt.Sprintf("lake.s%d", i)), totalOf(0, 100))
		if got := typed(t, l, fmt.Sprintf("SHOW CREATE SOURCE in%d", i)); strings.Contains(got, s.password) {
			t.Errorf("the password is shown: %s", got)
		}
		_, err := l.Client(fmt.Sprintf("CREATE SOURCE wrong (id BIGINT) WITH (%s, sasl_password = 'nonsense'); CREATE STREAM w AS SELECT id FROM wrong;", options))
		if err == nil || !strings.Contains(err.Error(), "check sasl_username, sasl_password") {
			t.Errorf("%s %s with a wrong password: %v", s.protocol, s.mechanism, err)
		}
		if _, err := l.Client("DROP SOURCE IF EXISTS wrong"); err != nil {
			t.Error(err)
		}
	}
}

// testWrongCredentials takes the password away from a stream that has worked.
func (e *environment) testWrongCredentials(t *testing.T) {
	e.kafka.CreateTopic("credentials", 1, nil)
	client := e.kafka.Client(manual())
	produce(t, client, "credentials", 0, 0, 100)
	password := write(t, "password", services.KafkaScramPassword)
	l := services.StartLeat(t, e.binary)
	typed(t, l, fmt.Sprintf(`CREATE SOURCE c_in (id BIGINT) WITH (connector = 'kafka', topic = 'credentials', brokers = '%s',
		security_protocol = 'sasl_plaintext', sasl_mechanism = 'SCRAM-SHA-256', sasl_username = '%s', sasl_password = '${file:%s}');
		CREATE STREAM c AS SELECT id FROM c_in; FLUSH STREAM c;`, e.kafka.SASLPlaintext, services.KafkaScramUser, password))
	want(t, l, total("lake.c"), totalOf(0, 100))
	l.Kill()
	if err := os.WriteFile(password, []byte("nonsense"), 0o600); err != nil {
		t.Fatal(err)
	}

	doctor := func() (report string, code int) {
		cmd := exec.CommandContext(t.Context(), e.binary, "doctor", "--data", l.Data, "--mysql", l.MySQL, "--http", l.HTTP)
		out, err := cmd.CombinedOutput()
		if cmd.ProcessState == nil {
			t.Fatal(err)
		}
		return string(out), cmd.ProcessState.ExitCode()
	}
	report, code := doctor()
	if code != 1 || !strings.Contains(report, "check sasl_username, sasl_password") || strings.Contains(report, "nonsense") {
		t.Errorf("leat doctor ends with %d:\n%s", code, report)
	}
	l.Restart()
	eventuallyHas(t, l, state("c"), func(got string) bool {
		return strings.HasPrefix(got, "RETRYING\t") && strings.Contains(got, "check sasl_username, sasl_password") && !strings.Contains(got, "nonsense")
	}, "RETRYING and what to check")
	l.Stop()
	if err := os.WriteFile(password, []byte(services.KafkaScramPassword), 0o600); err != nil {
		t.Fatal(err)
	}
	if report, code := doctor(); code != 0 {
		t.Errorf("leat doctor ends with %d:\n%s", code, report)
	}
	l.Restart()
	produce(t, client, "credentials", 0, 100, 200)
	eventually(t, l, total("lake.c"), totalOf(0, 200))
	if log, err := os.ReadFile(l.LogPath()); err != nil || strings.Contains(string(log), services.KafkaScramPassword) || strings.Contains(string(log), "nonsense") {
		t.Errorf("the log tells a password (%v)", err)
	}
	if _, err := os.Stat(filepath.Join(l.Data, "leat.db")); err != nil {
		t.Error(err)
	}
}
