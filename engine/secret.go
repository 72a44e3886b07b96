//go:build gms_pure_go && duckdb_arrow

package engine

import (
	"context"
	"crypto/aes"
	"crypto/cipher"
	"crypto/rand"
	"encoding/base64"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"

	"github.com/leatdb/leat/catalog"
	"github.com/leatdb/leat/connectors"
	"github.com/leatdb/leat/engine/dataflow"
	"github.com/leatdb/leat/sql"
	"github.com/leatdb/leat/sql/sqlerror"
)

// The places of the key that secrets are encrypted with, the first one that is
// there counts.
const (
	secretKeyVariable     = "LEAT_SECRET_KEY"      // the key itself
	secretKeyFileVariable = "LEAT_SECRET_KEY_FILE" // a file that holds it
	secretKeyFile         = "secret.key"           // in the data directory
)

// secretKeyBytes is the length of a key: AES-256.
const secretKeyBytes = 32

// secretKey finds the key and says where it is from. With create a key is made
// in the data directory when there is none anywhere.
func (db *DB) secretKey(create bool) (key []byte, from string, err error) {
	if text, ok := os.LookupEnv(secretKeyVariable); ok {
		key, err = parseSecretKey(text)
		return key, "environment variable " + secretKeyVariable, about(err, "environment variable "+secretKeyVariable, sqlerror.Position{})
	}
	path, named := os.LookupEnv(secretKeyFileVariable)
	if !named {
		path = filepath.Join(db.dir, secretKeyFile)
	}
	text, err := os.ReadFile(path)
	switch {
	case errors.Is(err, fs.ErrNotExist) && !named && create:
		key = make([]byte, secretKeyBytes)
		if _, err := rand.Read(key); err != nil {
			return nil, "", fmt.Errorf("make a key for secrets: %w", err)
		}
		return key, path, writePrivate(path, base64.StdEncoding.EncodeToString(key)+"\n")
	case err != nil:
		return nil, path, sqlerror.Userf(sqlerror.CodeAuth, "read the key of secrets: %w", err).
			WithHint("set %s or %s to the key that they were made with, or restore the file", secretKeyVariable, secretKeyFileVariable)
	}
	key, err = parseSecretKey(string(text))
	return key, "file " + path, about(err, "file "+path, sqlerror.Position{})
}

// parseSecretKey reads 32 bytes in base64 or hexadecimal. The text is not
// repeated in an error.
func parseSecretKey(text string) ([]byte, error) {
	text = strings.TrimSpace(text)
	for _, decode := range []func(string) ([]byte, error){
		base64.StdEncoding.DecodeString, base64.RawStdEncoding.DecodeString, base64.URLEncoding.DecodeString, base64.RawURLEncoding.DecodeString, hex.DecodeString,
	} {
		if key, err := decode(text); err == nil && len(key) == secretKeyBytes {
			return key, nil
		}
	}
	return nil, sqlerror.Userf(sqlerror.CodeBadOption, "it holds no key for secrets").
		WithHint("a key is %d random bytes in base64 or hexadecimal, as openssl rand -base64 %[1]d makes them", secretKeyBytes)
}

// writePrivate makes a file that only its owner reads, durably. One that is
// there is not replaced.
func writePrivate(path, text string) error {
	f, err := os.OpenFile(path, os.O_WRONLY|os.O_CREATE|os.O_EXCL, 0o600)
	if err != nil {
		return fmt.Errorf("make the key of secrets: %w", err)
	}
	_, err = f.WriteString(text)
	if err = errors.Join(err, f.Sync(), f.Close()); err != nil {
		return fmt.Errorf("make the key of secrets: %w", err)
	}
	dir, err := os.Open(filepath.Dir(path))
	if err != nil {
		return fmt.Errorf("make the key of secrets: %w", err)
	}
	defer dir.Close()
	return dir.Sync()
}

func newAEAD(key []byte) (cipher.AEAD, error) {
	block, err := aes.NewCipher(key)
	if err != nil {
		return nil, fmt.Errorf("use the key of secrets: %w", err)
	}
	return cipher.NewGCM(block)
}

// sealedVersion begins what is stored of a secret: AES-256-GCM, 12 bytes of
// nonce, then the options as JSON, bound to the secret's name.
const sealedVersion = 1

func sealSecret(key []byte, name string, options []sql.Option) ([]byte, error) {
	aead, err := newAEAD(key)
	if err != nil {
		return nil, err
	}
	pairs := make([][2]string, len(options))
	for i, o := range options {
		pairs[i] = [2]string{o.Name, o.Value}
	}
	plain, err := json.Marshal(pairs)
	if err != nil {
		return nil, fmt.Errorf("encode secret %s: %w", name, err)
	}
	nonce := make([]byte, aead.NonceSize())
	if _, err := rand.Read(nonce); err != nil {
		return nil, fmt.Errorf("encrypt secret %s: %w", name, err)
	}
	sealed := append([]byte{sealedVersion}, nonce...)
	return aead.Seal(sealed, nonce, plain, []byte(strings.ToLower(name))), nil
}

// openSecret decrypts a stored secret.
func (db *DB) openSecret(s *catalog.Secret) ([]sql.Option, error) {
	key, from, err := db.secretKey(false)
	if err != nil {
		return nil, err
	}
	aead, err := newAEAD(key)
	if err != nil {
		return nil, err
	}
	if len(s.Sealed) < 1+aead.NonceSize() || s.Sealed[0] != sealedVersion {
		return nil, sqlerror.Userf(sqlerror.CodeUnsupported, "secret %s is stored in a form that this program does not know", s.Name).
			WithHint("a newer leat has written it; run that or a newer one")
	}
	nonce, text := s.Sealed[1:1+aead.NonceSize()], s.Sealed[1+aead.NonceSize():]
	plain, err := aead.Open(nil, nonce, text, []byte(strings.ToLower(s.Name)))
	if err != nil {
		return nil, sqlerror.Userf(sqlerror.CodeAuth, "secret %s cannot be decrypted with the key of %s", s.Name, from).
			WithHint("give the key that it was made with, or CREATE OR REPLACE SECRET %s", s.Name)
	}
	var pairs [][2]string
	if err := json.Unmarshal(plain, &pairs); err != nil {
		return nil, fmt.Errorf("read secret %s: it holds no options", s.Name)
	}
	options := make([]sql.Option, len(pairs))
	for i, p := range pairs {
		options[i] = sql.Option{Name: p[0], Value: p[1]}
	}
	return options, nil
}

// secretOption is the option by which sources and sinks take a secret.
const secretOption = "secret"

var secretSpec = connectors.Spec{
	{Name: secretOption, Doc: "Name of a secret (CREATE SECRET) whose options are taken, too; none of them may be given beside it."},
}

// plainOptions are options as they were written.
func plainOptions(options []sql.Option) []connectors.RawOption {
	raw := make([]connectors.RawOption, len(options))
	for i, o := range options {
		raw[i] = connectors.RawOption{Name: o.Name, Value: o.Value, NamePos: o.NamePos, Pos: o.Pos}
	}
	return raw
}

// rawOptions are the options of a definition and those of the secret that it
// names. An option that both have is refused: which one counts would be a guess.
func (db *DB) rawOptions(options []sql.Option) ([]connectors.RawOption, error) {
	raw := plainOptions(options)
	named, ok := optionValue(options, secretOption)
	if !ok {
		return raw, nil
	}
	name, secret, err := db.secretOptions(named.Value)
	if err != nil {
		if e := outermost(err); e != nil {
			return nil, e.At(named.Pos)
		}
		return nil, err
	}
	for _, o := range secret {
		if i := slices.IndexFunc(options, func(given sql.Option) bool { return strings.EqualFold(given.Name, o.Name) }); i >= 0 {
			return nil, sqlerror.Userf(sqlerror.CodeBadOption, "option %q is given, and secret %s has it, too", o.Name, name).
				At(options[i].NamePos).WithHint("leave it out here, or take another secret")
		}
		raw = append(raw, connectors.RawOption{Name: o.Name, Value: o.Value, NamePos: named.Pos, Pos: named.Pos, Secret: name})
	}
	return raw, nil
}

// secretOptions reads a secret: the one of a file that is checked, else the
// stored one.
func (db *DB) secretOptions(name string) (string, []sql.Option, error) {
	for _, s := range db.unstored {
		if strings.EqualFold(s.Name.Name, name) {
			return s.Name.Name, s.Options, nil
		}
	}
	store, closeStore, err := db.definitions()
	if err != nil {
		return name, nil, err
	}
	defer closeStore()
	s, err := store.Secret(db.ctx, name)
	if sqlerror.HasCode(err, sqlerror.CodeUnknownObject) {
		return name, nil, db.unknown(sql.KindSecret, name, sqlerror.Position{})
	}
	if err != nil {
		return name, nil, err
	}
	options, err := db.openSecret(s)
	return s.Name, options, err
}

// definitions is the store. Where definitions are only checked it is opened for
// the moment.
func (db *DB) definitions() (store *catalog.Store, done func(), err error) {
	if db.store != nil {
		return db.store, func() {}, nil
	}
	path := filepath.Join(db.dir, "leat.db")
	if _, err := os.Stat(path); err != nil {
		return nil, nil, sqlerror.Userf(sqlerror.CodeUnknownObject, "there are no secrets in %s", db.dir)
	}
	if store, err = catalog.Open(path); err != nil {
		return nil, nil, err
	}
	return store, func() { _ = store.Close() }, nil // it was read only
}

// createSecret stores a secret. What it holds is checked as far as it can be
// without knowing what it is for.
func (db *DB) createSecret(ctx context.Context, stmt *sql.CreateSecret, script bool) (*result, error) {
	db.ddl.Lock()
	defer db.ddl.Unlock()
	r, name := &result{}, stmt.Name.Name
	if err := checkSecretOptions(stmt); err != nil {
		return nil, err
	}
	old, err := db.store.Secret(ctx, name)
	if err != nil && !sqlerror.HasCode(err, sqlerror.CodeUnknownObject) {
		return nil, fmt.Errorf("look up secret %s: %w", name, err)
	}
	if err == nil {
		options, unreadable := db.openSecret(old)
		same := unreadable == nil && (&sql.CreateSecret{Name: stmt.Name, Options: options}).Normal() == stmt.Normal()
		switch {
		case same && (script || stmt.OrReplace):
			r.note("secret %s is already defined like this", name)
			return r, nil
		case stmt.IfNotExists:
			r.note("secret %s exists", name)
			return r, nil
		case stmt.OrReplace:
		case script && unreadable != nil:
			return nil, about(unreadable, "secret "+name, stmt.Name.Pos)
		case script:
			return nil, sqlerror.Userf(sqlerror.CodeConflict, "secret %s is defined differently", name).At(stmt.Name.Pos).
				WithHint("write CREATE OR REPLACE SECRET to change it")
		default:
			return nil, sqlerror.Userf(sqlerror.CodeExists, "secret %s exists", name).At(stmt.Name.Pos).
				WithHint("write CREATE OR REPLACE SECRET to change it, or IF NOT EXISTS")
		}
	}
	key, _, err := db.secretKey(true)
	if err != nil {
		return nil, err
	}
	sealed, err := sealSecret(key, name, stmt.Options)
	if err != nil {
		return nil, err
	}
	if err := db.store.PutSecret(ctx, &catalog.Secret{Name: name, Sealed: sealed}); err != nil {
		return nil, fmt.Errorf("store secret %s: %w", name, err)
	}
	return r, db.rebindSecret(ctx, name, r)
}

// checkSecretOptions refuses names that no source or sink has.
func checkSecretOptions(stmt *sql.CreateSecret) error {
	var known connectors.Spec
	for _, c := range connectors.Sources() {
		known = known.With(c.Spec)
	}
	for _, f := range connectors.Formats() {
		known = known.With(f.Spec)
	}
	for _, c := range connectors.Sinks() {
		known = known.With(c.Spec)
	}
	for _, o := range stmt.Options {
		if o.Name == secretOption || o.Name == "connector" || o.Name == "format" {
			return sqlerror.Userf(sqlerror.CodeBadOption, "option %q cannot be in a secret", o.Name).At(o.NamePos).About("secret " + stmt.Name.Name).
				WithHint("write it where the secret is used")
		}
		if known.Find(o.Name) == nil {
			e := sqlerror.Userf(sqlerror.CodeUnknownOption, "no source and no sink has an option %q", o.Name).At(o.NamePos).About("secret " + stmt.Name.Name)
			if near := sqlerror.Nearest(o.Name, known.Names()); near != "" {
				return e.WithHint("did you mean %q?", near)
			}
			return e
		}
	}
	return nil
}

// secretUsers names the objects that use a secret.
func (db *DB) secretUsers(name string) []string {
	db.mu.RLock()
	defer db.mu.RUnlock()
	uses := func(options []sql.Option) bool {
		o, ok := optionValue(options, secretOption)
		return ok && strings.EqualFold(o.Value, name)
	}
	var users []string
	for _, s := range db.sources {
		if s.def != nil && uses(s.def.Options) {
			users = append(users, "source "+s.name)
		}
	}
	for _, s := range db.sinks {
		if s.def != nil && uses(s.def.Options) {
			users = append(users, "sink "+s.name)
		}
	}
	slices.Sort(users)
	return users
}

// rebindSecret gives the definitions that use a secret its new content, and
// starts the streams anew that read or write by them. Where the secret says that
// other records are read, or that tables are at another place, they go on as they
// are until they are started by hand.
func (db *DB) rebindSecret(ctx context.Context, name string, r *result) error {
	var (
		errs    []error
		sources []*source
		sinks   []*sink
		again   []*stream
	)
	take := func(list []*stream) {
		for _, s := range list {
			if state := s.status().State; s.shallRun() && state != dataflow.Finished && state != dataflow.Fenced && !slices.Contains(again, s) {
				again = append(again, s)
			}
		}
	}
	for _, user := range db.secretUsers(name) {
		kind, object, _ := strings.Cut(user, " ")
		if sql.Kind(kind) == sql.KindSource {
			old := db.source(object)
			s, err := db.newSource(old.def)
			if err != nil {
				errs = append(errs, err)
				continue
			}
			if len(s.schema) == 0 {
				s.schema, s.inferred = old.schema, old.inferred
			}
			sources = append(sources, s)
			switch readers := db.readers(object); {
			case len(readers) == 0:
			case old.err == nil && sameIdentity(old, s) != nil:
				r.note("the secret says that source %s has other records: its streams go on with those that they read until they are started the next time", object)
			default:
				take(readers)
			}
			continue
		}
		old := db.sink(object)
		s, err := db.newSink(old.def)
		if err != nil {
			errs = append(errs, err)
			continue
		}
		writers := slices.DeleteFunc(db.allStreams(), func(s *stream) bool { return !strings.EqualFold(s.sink, object) })
		if len(writers) > 0 && old.err == nil && !samePlace(old, s) {
			r.note("the secret says that sink %s is at another place: it takes that when leat starts the next time, since it is used by %s", object, strings.Join(db.streamsInto(object), ", "))
			continue
		}
		take(writers)
		sinks = append(sinks, s)
	}
	var wait sync.WaitGroup
	stopped := make([]error, len(again))
	for i, s := range again {
		wait.Go(func() { stopped[i] = s.stop(ctx) })
	}
	wait.Wait()
	errs = append(errs, stopped...)
	var before []*sink
	db.mu.Lock()
	for _, s := range sources {
		db.sources[strings.ToLower(s.name)] = s
	}
	for _, s := range sinks {
		before = append(before, db.sinks[strings.ToLower(s.name)])
		db.sinks[strings.ToLower(s.name)] = s
	}
	db.mu.Unlock()
	for _, s := range before {
		errs = append(errs, s.retire(r))
	}
	for _, s := range again {
		db.restart(ctx, s)
		s.settle(ctx, r)
		r.note("stream %s was started again with the secret", s.name)
	}
	return errors.Join(errs...)
}

// samePlace reports whether a sink keeps its tables and positions where the other
// one does.
func samePlace(a, b *sink) bool {
	for _, o := range a.connector.Spec {
		if o.Identity && a.options.String(o.Name) != b.options.String(o.Name) {
			return false
		}
	}
	return a.connector == b.connector
}

// dropSecret removes a secret that nothing uses.
func (db *DB) dropSecret(ctx context.Context, stmt *sql.Drop) (*result, error) {
	r, name := &result{}, stmt.Name.Name
	if _, err := db.store.Secret(ctx, name); err != nil {
		if !sqlerror.HasCode(err, sqlerror.CodeUnknownObject) {
			return nil, err
		}
		if stmt.IfExists {
			r.note("there is no secret %s", name)
			return r, nil
		}
		return nil, db.unknown(sql.KindSecret, name, stmt.Name.Pos)
	}
	if users := db.secretUsers(name); len(users) > 0 {
		return nil, sqlerror.Userf(sqlerror.CodeInUse, "secret %s is used by %s", name, strings.Join(users, ", ")).At(stmt.Name.Pos).
			WithHint("drop these first, or CREATE OR REPLACE them without it")
	}
	if err := db.store.DeleteSecret(ctx, name); err != nil {
		return nil, fmt.Errorf("drop secret %s: %w", name, err)
	}
	return r, nil
}

// secretNames lists the stored secrets.
func (db *DB) secretNames() []string {
	store, done, err := db.definitions()
	if err != nil {
		return nil
	}
	defer done()
	list, err := store.Secrets(db.ctx)
	if err != nil {
		return nil
	}
	names := make([]string, len(list))
	for i, s := range list {
		names[i] = s.Name
	}
	return names
}
