// Package substrait makes the command start sooner: Iceberg's library reads, at
// the start of every process that links it, the definitions of all functions of
// Substrait, of which Leat calls none. It is not for the packages that programs
// import, which may want them.
package substrait

import (
	_ "unsafe" // for linkname

	_ "github.com/substrait-io/substrait-go/v8/extensions" // is initialised before
)

// unsupported are names of files that the library's collection leaves out. A
// version without it does not link.
//
//go:linkname unsupported github.com/substrait-io/substrait-go/v8/extensions.unsupportedExtensions
var unsupported map[string]bool

// Packages that are ready are initialised in the order of their paths: this one
// before those of Substrait, and so before what imports them.
func init() {
	for _, kind := range []string{
		"aggregate_approx", "aggregate_decimal_output", "aggregate_generic", "arithmetic", "arithmetic_decimal", "boolean", "comparison",
		"datetime", "geometry", "list", "logarithmic", "rounding", "rounding_decimal", "set", "string",
	} {
		unsupported["functions_"+kind+".yaml"] = true
	}
}
