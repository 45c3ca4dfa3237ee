// Package metrics shows the pipeline to people and machines: Prometheus series, and the admin server with health,
// readiness and metrics.
//
// Metrics is a worker.Observer: counters and histograms are told as things happen, gauges are read from the latest
// worker.Snapshot when Prometheus asks. All label values come from the typed lists of package worker and exist from the
// start, so that a rate over them never begins in the middle.
package metrics
