// Package acceptance holds tests that use leat as a user does: the binary as a
// process, a real Apache Kafka and a real S3 server, the stock mariadb client,
// and readers that know nothing of leat. They need the build tag "services".
package acceptance
