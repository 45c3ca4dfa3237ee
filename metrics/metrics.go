package metrics

import (
	"runtime"
	"sync/atomic"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/collectors"

	"consent-worker/worker"
)

const prefix = "consent_worker_"

// Metrics is what one process tells about its lives. It implements worker.Observer.
type Metrics struct {
	registry *prometheus.Registry
	began    time.Time
	last     atomic.Pointer[worker.Snapshot] // written by the loop, read by scrapes and health checks

	events      map[worker.Outcome]prometheus.Counter
	fetched     prometheus.Counter
	letters     map[worker.Reason]prometheus.Counter
	requests    map[worker.Reaction]prometheus.Counter
	duration    prometheus.Histogram
	batch       prometheus.Histogram
	propagation [2]prometheus.Observer // by worker.Class
	closed      map[worker.Closure]prometheus.Counter
	commits     map[worker.CommitOutcome]prometheus.Counter
	missing     prometheus.Counter
	foreign     prometheus.Counter
	violations  prometheus.Counter
}

// New returns metrics in a registry of their own, with those of the Go runtime and the process beside them.
func New(version string) *Metrics {
	m := &Metrics{registry: prometheus.NewRegistry(), began: time.Now()}
	m.registry.MustRegister(collectors.NewGoCollector(), collectors.NewProcessCollector(collectors.ProcessCollectorOpts{}), gauges{m})
	m.events = counters(m, "events_total", "Events that ended, by how.", "outcome", worker.Outcomes(), worker.Outcome.String)
	m.letters = counters(m, "dead_letters_total", "Dead letters that Kafka acknowledged, by reason.", "reason", worker.Reasons(), text)
	m.requests = counters(m, "requests_total", "Requests to HubSpot, by what their end means.", "outcome", worker.Reactions(), text)
	m.closed = counters(m, "gate_closed_seconds_total", "Seconds in which a batch was due and did not go, by cause.", "reason", worker.Closures(), text)
	m.commits = counters(m, "commits_total", "Commits of offsets, by outcome.", "outcome", worker.CommitOutcomes(), text)
	m.fetched = m.counter("events_fetched_total", "Events read from the source topic, those read again included.")
	m.missing = m.counter("missing_records_total", "Offsets below the start of the log that were owed and cannot be read any more.")
	m.foreign = m.counter("foreign_metadata_total", "Partitions whose committed offset carried metadata that this program did not write.")
	m.violations = m.counter("order_violations_total", "Older grants that were about to go after a settled withdrawal, and did not. Must stay 0.")
	m.duration = m.histogram("request_duration_seconds", "Time from sending a request to HubSpot to its answer.",
		0.05, 0.1, 0.15, 0.2, 0.3, 0.5, 0.75, 1, 2, 5, 10)
	m.batch = m.histogram("batch_inputs", "Inputs of a request.", 1, 2, 5, 10, 25, 50, 75, 99, 100, 200, 500, 1000)
	propagation := prometheus.NewHistogramVec(prometheus.HistogramOpts{
		Name: prefix + "propagation_seconds", Help: "Time from occurredAt, else the record's time, to HubSpot's acceptance, by class.",
		Buckets: []float64{0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30, 60, 300, 900, 3600, 14400, 86400},
	}, []string{"class"})
	m.registry.MustRegister(propagation)
	for _, c := range worker.Classes() {
		m.propagation[c] = propagation.WithLabelValues(c.String())
	}
	build := prometheus.NewGaugeVec(prometheus.GaugeOpts{Name: prefix + "build_info", Help: "Always 1; the labels say what runs."}, []string{"version", "go"})
	build.WithLabelValues(version, runtime.Version()).Set(1)
	m.registry.MustRegister(build)
	return m
}

func text[T ~string](v T) string { return string(v) }

// counters registers a counter for each value of a typed list.
func counters[T comparable](m *Metrics, name, help, label string, values []T, text func(T) string) map[T]prometheus.Counter {
	vec := prometheus.NewCounterVec(prometheus.CounterOpts{Name: prefix + name, Help: help}, []string{label})
	m.registry.MustRegister(vec)
	all := make(map[T]prometheus.Counter, len(values))
	for _, v := range values {
		all[v] = vec.WithLabelValues(text(v))
	}
	return all
}

func (m *Metrics) counter(name, help string) prometheus.Counter {
	c := prometheus.NewCounter(prometheus.CounterOpts{Name: prefix + name, Help: help})
	m.registry.MustRegister(c)
	return c
}

func (m *Metrics) histogram(name, help string, buckets ...float64) prometheus.Histogram {
	h := prometheus.NewHistogram(prometheus.HistogramOpts{Name: prefix + name, Help: help, Buckets: buckets})
	m.registry.MustRegister(h)
	return h
}

// Fetched counts events that were read.
func (m *Metrics) Fetched(events int) { m.fetched.Add(float64(events)) }

// Ended counts events that ended.
func (m *Metrics) Ended(o worker.Outcome, events int) { m.events[o].Add(float64(events)) }

// Propagated observes how long an input took to reach HubSpot.
func (m *Metrics) Propagated(c worker.Class, took time.Duration) {
	m.propagation[c].Observe(took.Seconds())
}

// DeadLettered counts dead letters.
func (m *Metrics) DeadLettered(r worker.Reason, events int) { m.letters[r].Add(float64(events)) }

// Answered observes the end of a request.
func (m *Metrics) Answered(r worker.Reaction, inputs int, took time.Duration) {
	m.requests[r].Inc()
	m.duration.Observe(took.Seconds())
	m.batch.Observe(float64(inputs))
}

// Closed counts the time in which a due batch did not go.
func (m *Metrics) Closed(why worker.Closure, d time.Duration) { m.closed[why].Add(d.Seconds()) }

// Committed counts commits.
func (m *Metrics) Committed(o worker.CommitOutcome) { m.commits[o].Inc() }

// Missing counts offsets that the log does not hold any more.
func (m *Metrics) Missing(_ int32, records int64) { m.missing.Add(float64(records)) }

// Foreign counts commits of somebody else.
func (m *Metrics) Foreign(int32) { m.foreign.Inc() }

// OrderViolated counts what must not be.
func (m *Metrics) OrderViolated() { m.violations.Inc() }

// Snapshot keeps s for the gauges.
func (m *Metrics) Snapshot(s *worker.Snapshot) { m.last.Store(s) }

// Last returns the latest snapshot, nil before the first.
func (m *Metrics) Last() *worker.Snapshot { return m.last.Load() }
