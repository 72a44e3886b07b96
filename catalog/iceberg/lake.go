// Package iceberg keeps the tables of a lake as Apache Iceberg tables
// (https://iceberg.apache.org/spec/, format version 2): it creates and evolves
// them, commits files together with properties in one act, and plans reads of
// tables whoever wrote them.
//
// The library underneath is iceberg-go. What this package adds to it is what
// exactly-once needs: durable metadata files, commits that are pinned to the
// snapshot and the property they were built on, and metadata that stays small.
package iceberg

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"path"
	"slices"
	"strings"
	"sync"

	"github.com/apache/iceberg-go"
	icebergcatalog "github.com/apache/iceberg-go/catalog"
	"github.com/apache/iceberg-go/table"

	"github.com/aws/aws-sdk-go-v2/aws"
	gluesdk "github.com/aws/aws-sdk-go-v2/service/glue"
	"github.com/aws/smithy-go"

	"github.com/leatdb/leat/catalog"
	"github.com/leatdb/leat/catalog/glue"
	"github.com/leatdb/leat/internal/objectstore"
	"github.com/leatdb/leat/internal/sched"
	"github.com/leatdb/leat/sql/sqlerror"
)

// Options say where a lake is and which catalog knows its tables.
type Options struct {
	// Namespace holds the tables, the name of the sink.
	Namespace string
	// Store is rooted at the lake's folder; a table lies in the folder of its
	// name below. It stays open when the lake is closed.
	Store objectstore.Store
	// CatalogPath is the file of a catalog in SQLite, shared by any number of
	// processes.
	CatalogPath string
	// CatalogName is the catalog's name within the file, default "leat".
	CatalogName string
	// REST is a catalog service that is used instead of CatalogPath; nil for none.
	REST *REST
	// Glue is the AWS Glue Data Catalog that is used instead of CatalogPath; nil
	// for not. Namespace is in lower case then.
	Glue *aws.Config
	// Wrap puts something between the lake and its catalog, such as a simulation
	// that loses answers; nil for nothing.
	Wrap func(icebergcatalog.Catalog) icebergcatalog.Catalog
	// Catalog is used instead of CatalogPath's; closing it is left to the caller.
	// ComparesProperties says that it validates any requirement itself.
	Catalog            icebergcatalog.Catalog
	ComparesProperties bool
	// Scheduler is nil for the system's.
	Scheduler sched.Scheduler
}

// Lake is the tables of one namespace. It is safe for concurrent use.
type Lake struct {
	opts    Options
	backend backend
	files   *fileCache
	mu      sync.Mutex
	tables  map[string]*shared // by name
}

// backend is a catalog: a file or a service.
type backend struct {
	icebergcatalog.Catalog
	// register makes metadata that exists known as a table.
	register func(ctx context.Context, ident table.Identifier, metadataLocation string) error
	// comparesProperties says that the catalog validates any requirement itself,
	// since it runs in this process.
	comparesProperties bool
	// remote says that the metadata files are written by the catalog's server, to
	// a place of its choice.
	remote bool
	// folds says that the catalog keeps names in lower case.
	folds bool
	check func(ctx context.Context) error
	close func() error
}

// shared is what the committers of one table in this process share: only one
// of them commits at a time, on the version that the one before left.
type shared struct {
	m      sched.Monitor // guards busy
	busy   bool          // a committer is at work; the rest is its own then
	newest *table.Table  // nil: load it
	failed *attempt      // a commit whose outcome was not known
}

// Open opens the catalog, which is made if there is none, and the namespace.
func Open(ctx context.Context, opts Options) (*Lake, error) {
	if opts.CatalogName == "" {
		opts.CatalogName = "leat"
	}
	if opts.Namespace == "" {
		return nil, errors.New("open lake: no namespace")
	}
	l := &Lake{opts: opts, files: newFileCache(), tables: map[string]*shared{}}
	if l.opts.Scheduler == nil {
		l.opts.Scheduler = sched.System{}
	}
	if opts.Catalog != nil {
		l.backend = backend{
			Catalog: opts.Catalog, comparesProperties: opts.ComparesProperties,
			check: func(context.Context) error { return nil }, close: func() error { return nil },
			register: func(ctx context.Context, ident table.Identifier, _ string) error {
				return sqlerror.Userf(sqlerror.CodeUnsupported, "the catalog cannot register table %s", ident[len(ident)-1])
			},
		}
		return l, nil
	}
	id, release := registerStore(opts.Store, l.files)
	var b *backend
	var err error
	switch {
	case opts.REST != nil:
		b, err = openREST(ctx, opts)
	case opts.Glue != nil:
		b, err = openGlue(opts, id)
	default:
		b, err = openSQLite(ctx, opts, iceberg.Properties{storeProperty: id})
	}
	if err != nil {
		release()
		return nil, err
	}
	closeBackend := b.close
	b.close = func() error {
		release()
		return closeBackend()
	}
	if opts.Wrap != nil {
		b.Catalog = opts.Wrap(b.Catalog)
	}
	l.backend = *b
	return l, nil
}

// Close ends the use of the catalog.
func (l *Lake) Close() error { return l.backend.close() }

// Check verifies that the catalog answers and makes the namespace.
func (l *Lake) Check(ctx context.Context) error {
	if err := l.backend.check(ctx); err != nil {
		return err
	}
	return l.createNamespace(ctx)
}

func (l *Lake) createNamespace(ctx context.Context) error {
	ident := table.Identifier{l.opts.Namespace}
	exists, err := l.backend.CheckNamespaceExists(ctx, ident)
	if err == nil && !exists {
		err = l.backend.CreateNamespace(ctx, ident, iceberg.Properties{"location": l.opts.Store.URI("")})
		if errors.Is(err, icebergcatalog.ErrNamespaceAlreadyExists) {
			err = nil
		}
	}
	if err != nil {
		return catalogError("make namespace "+l.opts.Namespace, err)
	}
	return nil
}

func (l *Lake) ident(name string) table.Identifier {
	if l.backend.folds {
		name = strings.ToLower(name)
	}
	return table.Identifier{l.opts.Namespace, name}
}

// Tables implements catalog.Lake.
func (l *Lake) Tables(ctx context.Context) ([]string, error) {
	var names []string
	for ident, err := range l.backend.ListTables(ctx, table.Identifier{l.opts.Namespace}) {
		if errors.Is(err, icebergcatalog.ErrNoSuchNamespace) {
			return nil, nil
		}
		if err != nil {
			return nil, catalogError("list tables of "+l.opts.Namespace, err)
		}
		names = append(names, ident[len(ident)-1])
	}
	slices.Sort(names)
	return names, nil
}

// Table implements catalog.Lake.
func (l *Lake) Table(ctx context.Context, name string) (catalog.Table, error) {
	t, err := l.load(ctx, name)
	if err != nil {
		return nil, err
	}
	return newTable(l, t)
}

// load reads the newest version of a table. Without a table of that very name
// one that differs in case is taken.
func (l *Lake) load(ctx context.Context, name string) (*table.Table, error) {
	t, err := l.lookUp(ctx, l.ident(name))
	if isNoTable(err) {
		names, listErr := l.Tables(ctx)
		if listErr != nil {
			return nil, listErr
		}
		i := slices.IndexFunc(names, func(s string) bool { return s != name && strings.EqualFold(s, name) })
		if i < 0 {
			return nil, sqlerror.Userf(sqlerror.CodeUnknownObject, "there is no table %s.%s", l.opts.Namespace, name)
		}
		name = names[i]
		t, err = l.lookUp(ctx, l.ident(name))
	}
	if err != nil {
		return nil, catalogError(fmt.Sprintf("load table %s.%s", l.opts.Namespace, name), err)
	}
	return l.bind(t), nil
}

// lookUp asks the catalog for a table and reads the metadata file that it names.
// Who is slow there finds that others have committed meanwhile and deleted the
// file; the catalog names another one then.
func (l *Lake) lookUp(ctx context.Context, ident table.Identifier) (*table.Table, error) {
	const tries = 5 // a file that is missing for good is missing each time
	for try := 1; ; try++ {
		t, err := l.backend.LoadTable(ctx, ident)
		if try == tries || !errors.Is(err, fs.ErrNotExist) {
			return t, err
		}
	}
}

// bind makes a table read and write its metadata through the lake's store.
func (l *Lake) bind(t *table.Table) *table.Table {
	return table.New(t.Identifier(), t.Metadata(), t.MetadataLocation(), l.fileIO, l.backend)
}

func isNoTable(err error) bool {
	return errors.Is(err, icebergcatalog.ErrNoSuchTable) || errors.Is(err, icebergcatalog.ErrNoSuchNamespace)
}

// DropTable implements catalog.Lake. Files of a table that does not lie in the
// lake's folder are left where they are.
func (l *Lake) DropTable(ctx context.Context, name string) error {
	t, err := l.load(ctx, name)
	if err != nil {
		return err
	}
	s := l.shared(t.Identifier()[1])
	if err := s.acquire(ctx); err != nil {
		return err
	}
	defer s.release()
	s.newest, s.failed = nil, nil
	if err := l.backend.DropTable(ctx, t.Identifier()); err != nil && !isNoTable(err) {
		// The answer may have been lost on its way.
		if _, loadErr := l.backend.LoadTable(ctx, t.Identifier()); !isNoTable(loadErr) {
			return catalogError("drop table "+name, err)
		}
	}
	folder, err := l.opts.Store.Key(t.Location())
	if err != nil || folder == "" {
		return nil
	}
	return l.deleteBelow(ctx, folder+"/")
}

func (l *Lake) deleteBelow(ctx context.Context, prefix string) error {
	for {
		infos, more, err := l.opts.Store.List(ctx, prefix, "", 0)
		if err != nil {
			return err
		}
		keys := make([]string, len(infos))
		for i, info := range infos {
			keys[i] = info.Key
		}
		if len(keys) > 0 {
			if err := l.opts.Store.Delete(ctx, keys...); err != nil {
				return err
			}
		}
		if !more {
			return nil
		}
	}
}

func (l *Lake) shared(name string) *shared {
	l.mu.Lock()
	defer l.mu.Unlock()
	s := l.tables[name]
	if s == nil {
		s = &shared{m: l.opts.Scheduler.NewMonitor()}
		l.tables[name] = s
	}
	return s
}

func (s *shared) acquire(ctx context.Context) error {
	defer s.m.BroadcastAfter(ctx)()
	s.m.Lock()
	defer s.m.Unlock()
	for s.busy && ctx.Err() == nil {
		s.m.Wait()
	}
	if ctx.Err() != nil {
		return context.Cause(ctx)
	}
	s.busy = true
	return nil
}

func (s *shared) release() {
	s.m.Lock()
	s.busy = false
	s.m.Broadcast()
	s.m.Unlock()
}

// location is where a table of the lake lies.
func (l *Lake) location(name string) string { return l.opts.Store.URI(name) }

// checkTableName refuses names that cannot be a folder of their own.
func checkTableName(name string) error {
	if err := objectstore.CheckKey(name); err != nil || path.Base(name) != name || strings.ContainsAny(name, "%?#") {
		return sqlerror.Userf(sqlerror.CodeBadOption, "table name %q cannot be a folder's name", name).
			WithHint("leave out / \\ %% ? # and names of dots alone")
	}
	return nil
}

// catalogError makes an error of the catalog or its store one that can be
// shown; those of the store already are.
func catalogError(op string, err error) error {
	if errors.Is(err, context.Canceled) || errors.Is(err, context.DeadlineExceeded) {
		return fmt.Errorf("%s: %w", op, err)
	}
	if e := sqlerror.As(err); e != nil {
		return fmt.Errorf("%s: %w", op, err)
	}
	if o, ok := errors.AsType[*smithy.OperationError](err); ok && o.Service() == gluesdk.ServiceID {
		return glue.Error(op, err)
	}
	if e := restError(op, err); e != nil {
		return e
	}
	return sqliteError(op, err)
}
