// Package catalog knows what exists: the definitions of sources, sinks,
// streams, views and users, which survive a restart in an SQLite file of the
// data directory (Store), and the contract by which lake tables are read
// (Lake, Table). The tables themselves are in catalog/iceberg.
package catalog
