// Package planner turns SQL into plans. The MySQL engine (go-mysql-server,
// "GMS" below) parses and binds a SELECT over our relations; Lower makes our
// typed logical plan of the bound tree; rules rewrite it; BindStream refuses
// what a continuous query cannot do and splits the rest into what the source's
// decoder builds, and the filter, project and flatten steps of a lane.
//
// No GMS type leaves this package: an expression that has no kernel becomes a
// logical.RowFunc that calls GMS's evaluator row by row.
package planner
