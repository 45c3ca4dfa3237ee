// Package kafkatest gives tests and the demo a Kafka to talk to, and a second, independent client to look at it with.
//
// Start is for tests: the embedded kfake, or the real broker that CONSENT_WORKER_TEST_BROKERS names (comma-separated
// addresses). Topics and groups get unique names from Cluster.Name, so that tests may run again and again on one
// broker; nothing of others is touched. Virtual is for tests inside a synctest bubble. Embedded and Connect are for
// programs: they return errors instead of ending a test.
//
// What is read and written here goes through franz-go, not through the client under test.
package kafkatest
