package iceberg

import (
	"context"

	gluecatalog "github.com/apache/iceberg-go/catalog/glue"
	"github.com/apache/iceberg-go/table"
)

// openGlue is the AWS Glue Data Catalog. A commit replaces the version of the
// table that it was made from, and no other; the requirements are compared in
// this process, with the metadata that this version names.
func openGlue(opts Options, storeID string) (*backend, error) {
	cat, err := gluecatalog.NewCatalog(gluecatalog.WithAwsConfig(*opts.Glue), gluecatalog.WithAwsProperties(gluecatalog.AwsProperties{storeProperty: storeID}))
	if err != nil {
		return nil, catalogError("open the Glue Data Catalog", err)
	}
	return &backend{
		Catalog:            cat,
		comparesProperties: true,
		folds:              true,
		register: func(ctx context.Context, ident table.Identifier, metadataLocation string) error {
			_, err := cat.RegisterTable(ctx, ident, metadataLocation)
			return err
		},
		check: func(ctx context.Context) error {
			if _, err := cat.CheckNamespaceExists(ctx, table.Identifier{opts.Namespace}); err != nil {
				return catalogError("ask the Glue Data Catalog", err)
			}
			return nil
		},
		close: cat.Close,
	}, nil
}
