// Package mysqljson gives JSON text the meaning that MySQL 8 gives it, working
// on byte slices: paths, extraction, the normal form in which MySQL prints a
// document, and the conversion of values to SQL types.
//
// Where the JSON standard leaves a choice, MySQL's holds: the last of duplicate
// keys wins, integers beyond 64 bits and numbers with a fraction or an exponent
// are doubles, a surrogate without its partner is not valid text. One limit
// differs on purpose: documents may nest MaxDepth levels deep, not 100.
//
// No function keeps its arguments, panics on bad input or uses memory in
// proportion to the nesting of a document beyond MaxDepth.
package mysqljson

// MaxDepth is how deep arrays and objects may nest.
const MaxDepth = 10_000
