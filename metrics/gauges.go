package metrics

import (
	"strconv"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"consent-worker/worker"
)

// gauges reads the latest snapshot when Prometheus asks, so that a partition that is given away is gone from the answer.
type gauges struct{ m *Metrics }

func desc(name, help string, labels ...string) *prometheus.Desc {
	return prometheus.NewDesc(prefix+name, help, labels, nil)
}

var (
	descUnsettled  = desc("inputs_unsettled", "Inputs that are owed to HubSpot, by class.", "class")
	descOldest     = desc("oldest_unsettled_timestamp_seconds", "When the oldest unsettled input occurred, by class; 0 when nothing is owed.", "class")
	descLag        = desc("lag_records", "Offsets of the partition that are not known to be settled.", "partition")
	descStopped    = desc("partitions_stopped", "Assigned partitions that are not read any more because the log does not hold their next offset.")
	descBreaker    = desc("breaker_state", "1 for the state that the circuit breaker is in.", "state")
	descHeld       = desc("gate_held", "1 for the cause for which requests are held just now.", "reason")
	descLimit      = desc("rate_limit_requests", "Requests that this replica may send in one interval.")
	descRemaining  = desc("rate_limit_remaining", "Requests left in the interval, as HubSpot said last; -1 when it did not.")
	descDaily      = desc("daily_remaining", "Requests left of the daily allowance, as HubSpot said last; -1 when it did not.")
	descGeneration = desc("generation", "The generation of the group that this replica lives in.")
	descAssigned   = desc("assigned_partitions", "Partitions that are assigned to this replica.")
	descFlight     = desc("in_flight_requests", "Requests whose answers are awaited.")
	descBurying    = desc("events_burying", "Events whose dead letters are not acknowledged yet.")
	descCommit     = desc("last_commit_timestamp_seconds", "When the coordinator last acknowledged a commit; 0 before the first.")

	allDescs = []*prometheus.Desc{descUnsettled, descOldest, descLag, descStopped, descBreaker, descHeld, descLimit, descRemaining, descDaily,
		descGeneration, descAssigned, descFlight, descBurying, descCommit}
)

// breakerStates are the words of worker.GateSnapshot; the first is that of a breaker without a history.
var breakerStates = []string{"closed", "half-open", "open"}

// Describe implements prometheus.Collector.
func (gauges) Describe(ch chan<- *prometheus.Desc) {
	for _, d := range allDescs {
		ch <- d
	}
}

// Collect implements prometheus.Collector.
func (g gauges) Collect(ch chan<- prometheus.Metric) {
	s := g.m.Last()
	switch {
	case s == nil:
		s = &worker.Snapshot{Gate: worker.GateSnapshot{Breaker: breakerStates[0]}}
	case s.Over: // what the life held was let go
		s = &worker.Snapshot{Generation: s.Generation, Gate: s.Gate, CommitAt: s.CommitAt}
	}
	send := func(d *prometheus.Desc, v float64, labels ...string) {
		ch <- prometheus.MustNewConstMetric(d, prometheus.GaugeValue, v, labels...)
	}
	for _, c := range worker.Classes() {
		send(descUnsettled, float64(s.Unsettled[c]), c.String())
		send(descOldest, seconds(s.Oldest[c]), c.String())
	}
	stopped := 0
	for _, p := range s.Partitions {
		send(descLag, float64(p.Lag()), strconv.Itoa(int(p.Partition)))
		if p.Stopped != "" {
			stopped++
		}
	}
	for _, state := range breakerStates {
		send(descBreaker, one(s.Gate.Breaker == state), state)
	}
	for _, why := range worker.Closures() {
		send(descHeld, one(s.Gate.Closed == why), string(why))
	}
	remaining, daily := -1, -1
	if s.Gate.Limits.Known {
		remaining = s.Gate.Limits.Remaining
	}
	if s.Gate.Limits.DailyKnown {
		daily = s.Gate.Limits.DailyRemaining
	}
	send(descLimit, s.Gate.Limit)
	send(descRemaining, float64(remaining))
	send(descDaily, float64(daily))
	send(descGeneration, float64(s.Generation))
	send(descAssigned, float64(len(s.Partitions)))
	send(descStopped, float64(stopped))
	send(descFlight, float64(s.InFlight))
	send(descBurying, float64(s.Burying))
	send(descCommit, seconds(s.CommitAt))
}

func one(b bool) float64 {
	if b {
		return 1
	}
	return 0
}

// seconds is a time since 1970, 0 for the zero time.
func seconds(t time.Time) float64 {
	if t.IsZero() {
		return 0
	}
	return float64(t.UnixMilli()) / 1000
}
