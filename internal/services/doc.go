// Package services installs and starts the real servers and clients that tests
// run against: Apache Kafka, S3 servers, independent readers in Python, Apache
// Spark, the mariadb client, the leat binary itself, and what the benchmarks
// compare it with.
// Only tests, the installer command and bench import it.
//
// Installing and starting are apart. The command internal/services/install
// fetches pinned versions into a cache folder (see Dir); Start functions only
// start what is there, and fail the test when it is missing. Tests that use a
// service carry the build tag "services", so that a plain go test needs none
// of them.
//
// Everything listens on 127.0.0.1, on free ports, with its data in the test's
// temporary folder, and ends with the test.
//
// To add a service, write one file: a register call that says how it is
// fetched (fetch.go has the ways: Maven, go install, a Python environment,
// Debian packages), and a Start function that fills in a command for start
// (process.go). Linux and other Unix systems only.
package services
