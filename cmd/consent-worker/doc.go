// Command consent-worker carries consent changes from a Kafka topic to HubSpot.
//
//	consent-worker run      until SIGTERM or SIGINT, which drain; a second signal ends it at once
//	consent-worker version
//
// Every setting is a flag and an environment variable of the same name (--kafka-topic is KAFKA_TOPIC); the flag wins, and
// an empty variable counts as not set. `consent-worker run --help` is the manual.
//
// Exit status: 0 stopped as asked, 1 failed, 2 wrong usage or configuration; then every mistake is listed at once.
//
// The way of a start: main (main.go) takes the signals, run parses the command line and the environment into settings
// (settings.go), check turns those into typed configuration (check.go), and carry (run.go) puts the parts together.
package main
