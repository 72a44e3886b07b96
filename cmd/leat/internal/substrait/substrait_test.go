package substrait_test

import (
	"testing"

	_ "github.com/apache/iceberg-go/table" // reads the collection when it is initialised
	"github.com/substrait-io/substrait-go/v8/extensions"

	_ "github.com/leatdb/leat/cmd/leat/internal/substrait"
)

// TestFunctionsAreLeftOut fails when the package is initialised after Iceberg's.
func TestFunctionsAreLeftOut(t *testing.T) {
	for _, id := range []extensions.ID{
		{URN: extensions.SubstraitDefaultURNPrefix + "functions_arithmetic", Name: "add:i32_i32"},
		{URN: extensions.SubstraitDefaultURNPrefix + "functions_comparison", Name: "equal:any_any"},
	} {
		if _, ok := extensions.GetDefaultCollectionWithNoError().GetScalarFunc(id); ok {
			t.Errorf("%s was read", id.Name)
		}
	}
}
