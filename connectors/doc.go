// Package connectors holds the contracts between Leat and the systems around
// it: Source, Chunk and Decoder on the way in, Delta, Sink and LaneWriter on
// the way out, the option specifications that SQL is checked against, and the
// registry by which a connector is found.
//
// A connector is a leaf package that imports this one and its own client
// library. To add one like Kafka, read source.go, write a package with a
// Register call in its init, and import it in connectors/all.
package connectors
