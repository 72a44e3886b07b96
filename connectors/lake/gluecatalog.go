package lake

import (
	"context"
	"errors"
	"sync"

	"github.com/aws/aws-sdk-go-v2/aws"

	"github.com/leatdb/leat/catalog"
	"github.com/leatdb/leat/catalog/glue"
	"github.com/leatdb/leat/catalog/hive"
	"github.com/leatdb/leat/catalog/iceberg"
	"github.com/leatdb/leat/connectors"
	"github.com/leatdb/leat/internal/objectstore"
	"github.com/leatdb/leat/sql/sqlerror"
)

// glueSpec are the options of catalog = 'glue' alone.
var glueSpec = connectors.Spec{
	{Name: "catalog_endpoint", Doc: "URL of a Glue Data Catalog that is not AWS's own."},
	{Name: "catalog_region", Doc: "Region of the Glue Data Catalog; default is region, then the environment's."},
}

// checkGlue refuses options of the Glue catalog that are given with another.
func checkGlue(o connectors.Options) error {
	if o.String("catalog") != catalogGlue {
		for i := range glueSpec {
			if name := glueSpec[i].Name; o.Has(name) {
				return sqlerror.Userf(sqlerror.CodeBadOption, "option %s is for catalog = 'glue'", name).
					WithHint("leave it out, or write catalog = 'glue'")
			}
		}
		return nil
	}
	for _, name := range []string{"catalog_uri", "catalog_name"} {
		if o.Has(name) {
			return sqlerror.Userf(sqlerror.CodeBadOption, "option %s is not for catalog = 'glue'", name).
				WithHint("leave it out; the database of the Glue Data Catalog is the sink's name in lower case")
		}
	}
	return nil
}

// glueCatalog reads the options of catalog = 'glue'. The credentials are those of
// the bucket.
func glueCatalog(ctx context.Context, o connectors.Options) (*aws.Config, error) {
	c := glue.Config{
		Endpoint: o.String("catalog_endpoint"), Region: o.String("catalog_region"),
		AccessKeyID: o.String("access_key_id"), SecretAccessKey: o.String("secret_access_key"), SessionToken: o.String("session_token"),
	}
	if c.Region == "" {
		c.Region = o.String("region")
	}
	sdk, err := c.Load(ctx)
	return &sdk, err
}

// glueTables are those of a sink in the Glue Data Catalog, and what others have
// put into its database.
type glueTables struct {
	glue.Lake
	own tables

	mu      sync.Mutex
	iceberg *iceberg.Lake // for tables of others; nil before the first one
}

// openGlue opens the tables of a sink in the Glue Data Catalog.
func openGlue(ctx context.Context, cfg Config) (tables, error) {
	c := glue.New(*cfg.Glue, cfg.Name, cfg.Store.URI(""))
	t := &glueTables{Lake: glue.Lake{Catalog: c, Store: cfg.Store}}
	openIceberg := func(ctx context.Context) (*iceberg.Lake, error) {
		return iceberg.Open(ctx, iceberg.Options{
			Namespace: glue.DatabaseName(cfg.Name), Store: cfg.Store, Glue: cfg.Glue, Wrap: cfg.WrapCatalog, Scheduler: cfg.Scheduler,
		})
	}
	if cfg.TableFormat != formatHive {
		l, err := openIceberg(ctx)
		if err != nil {
			return nil, err
		}
		t.own, t.OwnIceberg = icebergTables{l}, true
		t.Own = t.own
		return t, nil
	}
	stager, ok := cfg.Store.(objectstore.Stager)
	if !ok {
		return nil, errNoStager
	}
	l, err := hive.Open(hive.Options{Namespace: cfg.Name, Store: stager, Scheduler: cfg.Scheduler, KeepEntries: cfg.KeepEntries, Registry: c})
	if err != nil {
		return nil, err
	}
	t.own, t.Own = l, l
	t.Iceberg = func(ctx context.Context) (catalog.Lake, error) {
		t.mu.Lock()
		defer t.mu.Unlock()
		if t.iceberg == nil {
			l, err := openIceberg(ctx)
			if err != nil {
				return nil, err
			}
			t.iceberg = l
		}
		return t.iceberg, nil
	}
	return t, nil
}

// Define implements tables.
func (t *glueTables) Define(ctx context.Context, d catalog.Definition) (*catalog.Target, error) {
	if t.OwnIceberg {
		if err := t.Catalog.CheckIceberg(ctx, d.Name, t.Store.URI(d.Name)); err != nil {
			return nil, err
		}
	}
	return t.own.Define(ctx, d)
}

// Check implements tables.
func (t *glueTables) Check(ctx context.Context) error {
	if err := t.own.Check(ctx); err != nil {
		return err
	}
	return t.Catalog.Check(ctx)
}

// Close implements tables.
func (t *glueTables) Close() error {
	t.mu.Lock()
	defer t.mu.Unlock()
	err := t.own.Close()
	if t.iceberg != nil {
		err = errors.Join(err, t.iceberg.Close())
	}
	return err
}
