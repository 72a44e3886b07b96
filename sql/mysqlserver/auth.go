//go:build gms_pure_go && duckdb_arrow

package mysqlserver

import (
	"crypto/sha1"
	"crypto/subtle"
	"encoding/hex"
	"net"
	"strings"

	gms "github.com/dolthub/go-mysql-server/sql"
	"github.com/dolthub/go-mysql-server/sql/mysql_db"
	"github.com/dolthub/vitess/go/mysql"
)

// logins widens what the library offers for logging in. Clients of MySQL 9 know
// caching_sha2_password only; the library takes it for accounts that were made
// with it, and over TLS. Here an account of mysql_native_password can also be used
// with it over TLS, where the password arrives in full and can be compared with
// either kind of hash, and an account without a password always.
type logins struct {
	mysql.AuthServer
	methods []mysql.AuthMethod
}

func newLogins(users *mysql_db.MySQLDb) *logins {
	l := &logins{AuthServer: users}
	for _, m := range users.AuthMethods() {
		if m.Name() == mysql.CachingSha2Password {
			accounts := nativeAccounts{users}
			m = &sha2Login{AuthMethod: m, accounts: accounts, native: mysql.NewSha2CachingAuthMethod(accounts, accounts, accounts)}
		}
		l.methods = append(l.methods, m)
	}
	return l
}

// AuthMethods implements mysql.AuthServer.
func (l *logins) AuthMethods() []mysql.AuthMethod { return l.methods }

// sha2Login is caching_sha2_password for every account: those that were made with
// it are the library's, the others ours.
type sha2Login struct {
	mysql.AuthMethod
	accounts nativeAccounts
	native   mysql.AuthMethod
}

// HandleUser implements mysql.AuthMethod.
func (l *sha2Login) HandleUser(c *mysql.Conn, user string) bool {
	if account := l.accounts.find(user, c.RemoteAddr()); account != nil {
		return account.AuthString == "" || c.TLSEnabled()
	}
	return l.AuthMethod.HandleUser(c, user)
}

// HandleAuthPluginData implements mysql.AuthMethod.
func (l *sha2Login) HandleAuthPluginData(c *mysql.Conn, user string, server, client []byte, from net.Addr) (mysql.Getter, error) {
	if l.accounts.find(user, from) != nil {
		return l.native.HandleAuthPluginData(c, user, server, client, from)
	}
	return l.AuthMethod.HandleAuthPluginData(c, user, server, client, from)
}

// nativeAccounts are the accounts that the library would not let log in with
// caching_sha2_password: those of mysql_native_password, and without TLS those
// that have no password. It is all that the library's method asks for.
type nativeAccounts struct{ users *mysql_db.MySQLDb }

// find is the account of a user from an address, or nil where there is none, or
// none that is to be treated here. Accounts that ask for a certificate or cipher
// stay the library's.
func (a nativeAccounts) find(user string, from net.Addr) *mysql_db.User {
	host, _, err := net.SplitHostPort(from.String())
	if err != nil {
		return nil
	}
	reader := a.users.Reader()
	defer reader.Close()
	account := a.users.GetUser(reader, user, host, false)
	if account == nil || account.Locked || account.SslType != "" {
		return nil
	}
	if account.Plugin != string(mysql.MysqlNativePassword) && account.AuthString != "" {
		return nil
	}
	return account
}

// HandleUser implements mysql.UserValidator.
func (a nativeAccounts) HandleUser(user string, from net.Addr) bool {
	return a.find(user, from) != nil
}

// UserEntryWithCacheHash implements mysql.CachingStorage. Nothing is cached: a
// client with a password always has to send it.
func (a nativeAccounts) UserEntryWithCacheHash(_ *mysql.Conn, _ []byte, user string, response []byte, from net.Addr) (mysql.Getter, mysql.CacheState, error) {
	account := a.find(user, from)
	withPassword := strings.Trim(string(response), "\x00") != ""
	switch {
	case account == nil, withPassword != (account.AuthString != ""):
		return nil, mysql.AuthRejected, nil
	case withPassword:
		return nil, mysql.AuthNeedMoreData, nil
	}
	return gms.MysqlConnectionUser{User: account.User, Host: account.Host}, mysql.AuthAccepted, nil
}

// UserEntryWithPassword implements mysql.PlainTextStorage. The hash of
// mysql_native_password is '*' and SHA1(SHA1(password)) in hex.
func (a nativeAccounts) UserEntryWithPassword(_ *mysql.Conn, user, password string, from net.Addr) (mysql.Getter, error) {
	account := a.find(user, from)
	if account != nil {
		once := sha1.Sum([]byte(password))
		twice := sha1.Sum(once[:])
		hash := "*" + strings.ToUpper(hex.EncodeToString(twice[:]))
		if subtle.ConstantTimeCompare([]byte(hash), []byte(strings.ToUpper(account.AuthString))) == 1 {
			return gms.MysqlConnectionUser{User: account.User, Host: account.Host}, nil
		}
	}
	return nil, accessDenied(user)
}

func accessDenied(user string) error {
	return mysql.NewSQLError(mysql.ERAccessDeniedError, mysql.SSAccessDeniedError, "Access denied for user '%s'", user)
}
