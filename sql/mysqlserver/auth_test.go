package mysqlserver_test

import (
	"bytes"
	"crypto/tls"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"net"
	"slices"
	"strings"
	"testing"

	"github.com/go-sql-driver/mysql"

	"github.com/leatdb/leat/sql/mysqlserver"
)

func as(user, password string) func(*mysql.Config) {
	return func(cfg *mysql.Config) { cfg.User, cfg.Passwd = user, password }
}

func TestServer_Login(t *testing.T) {
	cert, roots := certificate(t)
	db := open(t)
	s := serve(t, db, mysqlserver.Config{TLS: &tls.Config{Certificates: []tls.Certificate{cert}}})
	root := connect(t, s)
	for _, text := range []string{
		"CREATE USER native@'%' IDENTIFIED WITH mysql_native_password BY 'pässword'",
		"CREATE USER sha2@'%' IDENTIFIED WITH caching_sha2_password BY 'pässword'",
		"CREATE USER secured@'%' IDENTIFIED BY 'pässword' REQUIRE SSL",
		"GRANT SELECT ON *.* TO native@'%'", "GRANT SELECT ON *.* TO sha2@'%'", "GRANT SELECT ON *.* TO secured@'%'",
	} {
		exec(t, root, text)
	}
	withTLS := func(cfg *mysql.Config) { cfg.TLS = &tls.Config{RootCAs: roots, ServerName: "127.0.0.1"} }
	f := func(ok bool, change ...func(*mysql.Config)) {
		t.Helper()
		c, err := dial(t, s, change...)
		if ok != (err == nil) {
			t.Errorf("error = %v, want success to be %t", err, ok)
			return
		}
		var e *mysql.MySQLError
		if !ok && (!errors.As(err, &e) || e.Number != 1045) {
			t.Errorf("error = %v, want 1045", err)
		}
		if ok {
			wantRows(t, query(t, c, "SELECT 1"), "1")
		}
	}
	f(true, as("root", ""))
	f(true, as("root", ""), withTLS)
	f(false, as("root", "wrong"))
	f(false, as("nobody", ""))
	f(false, as("nobody", "x"), withTLS)
	f(true, as("native", "pässword"))
	f(true, as("native", "pässword"), withTLS)
	f(false, as("native", "password"))
	f(false, as("native", ""))
	f(true, as("sha2", "pässword"), withTLS)
	f(false, as("sha2", "password"), withTLS)
	f(false, as("sha2", ""), withTLS)
	f(false, as("sha2", "pässword")) // the password would travel in full
	f(true, as("secured", "pässword"), withTLS)
	f(false, as("secured", "pässword"))
	f(false, as("leat-internal", ""))

	reader := connect(t, s, as("native", "pässword"))
	if e := failure(t, reader, "CREATE SOURCE s (id INT) WITH (connector = 'push', format = 'json')"); e.Number != 1045 {
		t.Errorf("error of a user without CREATE = %v, want 1045", e)
	}
	if err := db.SetPassword(t.Context(), "root", "it's new\\"); err != nil {
		t.Fatal(err)
	}
	f(false, as("root", ""))
	f(true, as("root", "it's new\\"))
	if n := s.Metrics().LoginErrors.Load(); n == 0 {
		t.Error("no login error was counted")
	}
}

// Accounts are made and changed by SQL, in the words of MySQL 8 and before.
func TestServer_Accounts(t *testing.T) {
	db := open(t)
	s := serve(t, db, mysqlserver.Config{})
	root := connect(t, s)
	enters := func(user, password string, want bool) {
		t.Helper()
		if _, err := dial(t, s, as(user, password)); (err == nil) != want {
			t.Errorf("login of %s with %q: %v, want success to be %t", user, password, err, want)
		}
	}
	exec(t, root, "CREATE USER ann@'%' IDENTIFIED BY 'one'")
	exec(t, root, "GRANT SELECT ON lake.* TO ann@'%'")
	enters("ann", "one", true)
	exec(t, root, "ALTER USER ann@'%' IDENTIFIED BY 'two'")
	enters("ann", "one", false)
	enters("ann", "two", true)
	exec(t, root, "SET PASSWORD FOR 'ann'@'%' = 'three'")
	enters("ann", "two", false)
	enters("ann", "three", true)
	ann := connect(t, s, as("ann", "three"))
	wantRows(t, query(t, ann, "SELECT CURRENT_USER()"), "ann@%")
	if e := failure(t, ann, "SET PASSWORD FOR root@localhost = 'mine'"); e.Number != 1227 && e.Number != 1105 {
		t.Errorf("error = %v, want one of missing privileges", e)
	}
	enters("root", "", true)
	exec(t, root, "DROP USER ann@'%'")
	enters("ann", "three", false)
	exec(t, root, "SET PASSWORD = 'mine'")
	enters("root", "", false)
	enters("root", "mine", true)
}

// A user of one database does not change what others see, and does not define
// sources, which read whatever the process can: for that it takes global privileges.
func TestServer_PrivilegesOfOneDatabase(t *testing.T) {
	db := open(t)
	s := serve(t, db, mysqlserver.Config{})
	root := connect(t, s)
	exec(t, root, "CREATE USER owner@'%' IDENTIFIED BY 'p'")
	exec(t, root, "GRANT ALL ON lake.* TO owner@'%'")
	owner := connect(t, s, as("owner", "p"))
	f := func(number uint16, statement string) {
		t.Helper()
		if e := failure(t, owner, statement); e.Number != number {
			t.Errorf("%s: error = %v, want %d", statement, e, number)
		}
	}
	refused := failure(t, owner, "SELECT COUNT(*) FROM leat.streams").Number
	f(refused, "EXPLAIN SELECT COUNT(*) FROM leat.streams")
	f(refused, "EXPLAIN ANALYZE SELECT COUNT(*) FROM leat.streams")
	f(refused, "EXPLAIN FORMAT=JSON (SELECT COUNT(*) FROM leat.streams)")
	f(refused, "SHOW STREAMS WHERE state = 'FAILED'")
	f(1045, "CREATE SOURCE s (id INT) WITH (connector = 'push', format = 'json')")
	f(1045, "CREATE SINK k WITH (connector = 'blackhole')")
	f(1045, "DROP SOURCE IF EXISTS s")
	f(1227, "SET GLOBAL sql_mode = 'ANSI_QUOTES'")
	f(1227, "SET @@global.time_zone = '+05:00'")
	f(1227, "SET sql_mode = '', GLOBAL sql_mode = ''")
	f(1227, "SET PERSIST max_connections = 3")
	f(1227, "SET @@persist.max_connections = 3")
	f(1227, "SET GLOBAL TRANSACTION ISOLATION LEVEL READ COMMITTED")
	exec(t, owner, "SET sql_mode = 'ANSI_QUOTES', time_zone = '+05:00', @a = 1, SESSION wait_timeout = 100")
	wantRows(t, query(t, root, `SELECT "x", @@time_zone`), "x|SYSTEM")
	exec(t, root, "SET GLOBAL max_connections = 200")
	exec(t, root, "CREATE USER admin@'%' IDENTIFIED BY 'p'")
	exec(t, root, "GRANT CREATE, DROP, SUPER ON *.* TO admin@'%'")
	admin := connect(t, s, as("admin", "p"))
	exec(t, admin, "SET GLOBAL max_connections = 201")
	exec(t, admin, "CREATE SOURCE s (id INT) WITH (connector = 'push', format = 'json')")
	exec(t, admin, "DROP SOURCE s")
}

func TestServer_RequireTLS(t *testing.T) {
	cert, roots := certificate(t)
	s := serve(t, open(t), mysqlserver.Config{TLS: &tls.Config{Certificates: []tls.Certificate{cert}}, RequireTLS: true})
	if _, err := dial(t, s); err == nil {
		t.Error("a client without TLS was let in")
	}
	connect(t, s, func(cfg *mysql.Config) { cfg.TLS = &tls.Config{RootCAs: roots, ServerName: "127.0.0.1"} })
	// A client that goes on although it was told to use TLS.
	c := greet(t, s, "root", "caching_sha2_password", nil)
	c.respond(1)
	for i := 0; ; i++ {
		packet, err := c.read()
		if err != nil {
			break
		}
		if len(packet) > 0 && packet[0] == 0 {
			t.Fatal("a client without TLS was let in")
		}
		if i > 4 {
			t.Fatal("the server goes on and on")
		}
		if packet[0] == 0xfe {
			c.write([]byte{0})
		}
	}
}

// The clients of MySQL 9 know caching_sha2_password only.
func TestServer_ClientWithCachingSHA2Only(t *testing.T) {
	cert, roots := certificate(t)
	s := serve(t, open(t), mysqlserver.Config{TLS: &tls.Config{Certificates: []tls.Certificate{cert}}})
	root := connect(t, s)
	exec(t, root, "CREATE USER native@'%' IDENTIFIED WITH mysql_native_password BY 'secret'")
	exec(t, root, "CREATE USER empty2@'%' IDENTIFIED WITH caching_sha2_password BY ''")
	scramble := bytes.Repeat([]byte{7}, 32) // the server asks for the password whatever it is
	f := func(user, password string, over *tls.Config, ok bool) {
		t.Helper()
		c := greet(t, s, user, "caching_sha2_password", over)
		if password == "" {
			c.auth = nil
		} else {
			c.auth = scramble
		}
		c.respond(c.next)
		for {
			packet, err := c.read()
			if err != nil || len(packet) == 0 {
				t.Fatalf("%s: %v", user, err)
			}
			switch {
			case packet[0] == 0xfe: // switch to what the client has said already
				if !bytes.HasPrefix(packet[1:], []byte("caching_sha2_password\x00")) {
					t.Fatalf("%s: the server asks for %q", user, packet[1:])
				}
				if password == "" {
					c.write([]byte{0})
				} else {
					c.write(scramble)
				}
			case slices.Equal(packet, []byte{1, 4}): // the password in full
				c.write(append([]byte(password), 0))
			case packet[0] == 0 || packet[0] == 0xff:
				if (packet[0] == 0) != ok {
					t.Errorf("%s with %q: answer %q, want success to be %t", user, password, packet, ok)
				}
				return
			default:
				t.Fatalf("%s: unexpected packet %x", user, packet)
			}
		}
	}
	secure := &tls.Config{RootCAs: roots, ServerName: "127.0.0.1"}
	f("root", "", nil, true)
	f("root", "", secure, true)
	f("root", "wrong", secure, false)
	f("empty2", "", nil, true)
	f("empty2", "wrong", secure, false)
	f("native", "secret", secure, true)
	f("native", "wrong", secure, false)
	f("native", "", secure, false)
}

// A stranger cannot make the server read without end.
func TestServer_BytesBeforeLogin(t *testing.T) {
	s := serve(t, open(t), mysqlserver.Config{})
	c, err := net.Dial("tcp", s.Addr())
	if err != nil {
		t.Fatal(err)
	}
	defer c.Close()
	header := []byte{0xff, 0xff, 0xff, 1} // a packet of 16 MB
	if _, err := c.Write(header); err != nil {
		t.Fatal(err)
	}
	go func() { // until the server closes the connection
		junk := make([]byte, 64<<10)
		for {
			if _, err := c.Write(junk); err != nil {
				return
			}
		}
	}()
	if _, err := io.Copy(io.Discard, c); err != nil && !strings.Contains(err.Error(), "reset") {
		t.Error(err)
	}
}

// rawClient speaks the protocol's first packets by hand:
// https://dev.mysql.com/doc/dev/mysql-server/latest/page_protocol_connection_phase.html
type rawClient struct {
	t            *testing.T
	conn         net.Conn
	next         byte // sequence number of the next packet
	user, plugin string
	auth         []byte
}

const (
	longPassword, protocol41, useSSL, secureConnection, pluginAuth = 1, 1 << 9, 1 << 11, 1 << 15, 1 << 19
)

// greet connects, reads the greeting and goes over to TLS if there is a config.
func greet(t *testing.T, s *mysqlserver.Server, user, plugin string, over *tls.Config) *rawClient {
	t.Helper()
	conn, err := net.Dial("tcp", s.Addr())
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = conn.Close() })
	c := &rawClient{t: t, conn: conn, user: user, plugin: plugin}
	greeting, err := c.read()
	if err != nil || !bytes.Contains(greeting, []byte(mysqlserver.Version+"\x00")) {
		t.Fatalf("greeting %q, %v", greeting, err)
	}
	if over != nil {
		c.write(c.flags(useSSL))
		c.conn = tls.Client(conn, over)
	}
	return c
}

func (c *rawClient) flags(more uint32) []byte {
	b := binary.LittleEndian.AppendUint32(nil, longPassword|protocol41|secureConnection|pluginAuth|more)
	b = binary.LittleEndian.AppendUint32(b, 1<<24)
	return append(append(b, 255), make([]byte, 23)...)
}

// respond sends who wants to log in.
func (c *rawClient) respond(sequence byte) {
	c.next = sequence
	b := c.flags(0)
	b = append(append(b, c.user...), 0)
	b = append(append(b, byte(len(c.auth))), c.auth...)
	c.write(append(append(b, c.plugin...), 0))
}

func (c *rawClient) write(payload []byte) {
	c.t.Helper()
	header := []byte{byte(len(payload)), byte(len(payload) >> 8), 0, c.next}
	c.next++
	if _, err := c.conn.Write(append(header, payload...)); err != nil && c.t.Context().Err() == nil {
		c.t.Logf("write: %v", err)
	}
}

func (c *rawClient) read() ([]byte, error) {
	header := make([]byte, 4)
	if _, err := io.ReadFull(c.conn, header); err != nil {
		return nil, err
	}
	payload := make([]byte, int(header[0])|int(header[1])<<8|int(header[2])<<16)
	_, err := io.ReadFull(c.conn, payload)
	c.next = header[3] + 1
	return payload, err
}

// An error behind the first rows of a result reaches the client, with TLS and
// without, though the connection ends with it.
func TestServer_ErrorBehindRows(t *testing.T) {
	cert, _ := certificate(t)
	s := serve(t, open(t), mysqlserver.Config{TLS: &tls.Config{Certificates: []tls.Certificate{cert}}})
	for _, tls := range []string{"false", "skip-verify"} {
		c := connect(t, s, func(cfg *mysql.Config) { cfg.TLSConfig = tls })
		e := failure(t, c, `WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < 300)
			SELECT (SELECT 1 FROM n m WHERE m.i = n.i OR n.i = 290 AND m.i = 1) FROM n`)
		if e.Number != 1242 {
			t.Errorf("TLS %s: %v, want error 1242", tls, e)
		}
	}
}

// Everybody may read the variables and the status that MySQL lets everybody read; that
// is granted to nobody, and opens nothing beside them.
func TestServer_ReadableByAll(t *testing.T) {
	s := serve(t, open(t), mysqlserver.Config{})
	root := connect(t, s)
	exec(t, root, "CREATE USER ann@'%' IDENTIFIED BY 'p'")
	exec(t, root, "GRANT SELECT ON lake.* TO ann@'%'")
	ann := connect(t, s, as("ann", "p"))
	for _, table := range []string{"global_variables", "session_variables"} {
		wantRows(t, query(t, ann, "SELECT variable_value FROM performance_schema."+table+" WHERE variable_name = 'autocommit'"), "ON")
	}
	for _, table := range []string{"global_status", "session_status"} {
		wantRows(t, query(t, ann, "SELECT COUNT(*) > 0 FROM performance_schema."+table), "1")
	}
	wantRows(t, query(t, ann, "SELECT sys_version FROM sys.version"), "2.1.2")
	exec(t, root, "GRANT SELECT ON leat.commits TO ann@'%'") // privileges are read anew
	exec(t, ann, "USE performance_schema")
	wantRows(t, query(t, ann, "SELECT COUNT(*) FROM session_variables WHERE variable_name = 'version'"), "1")
	for _, statement := range []string{"SELECT COUNT(*) FROM threads", "SELECT COUNT(*) FROM sys.sys_config", "SELECT COUNT(*) FROM leat.streams"} {
		if e := failure(t, ann, statement); !strings.Contains(e.Message, "Access denied") {
			t.Errorf("%s: error = %v, want one of missing privileges", statement, e)
		}
	}
	if grants := fmt.Sprint(query(t, root, "SHOW GRANTS FOR ann@'%'")); strings.Contains(grants, "performance_schema") || strings.Contains(grants, "sys") {
		t.Errorf("grants %s", grants)
	}
}
