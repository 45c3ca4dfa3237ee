package metrics

import (
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"consent-worker/hubspot"
	"consent-worker/worker"
)

func scrape(t *testing.T, m *Metrics, path string) (int, string) {
	t.Helper()
	w := httptest.NewRecorder()
	m.Server("").Handler.ServeHTTP(w, httptest.NewRequestWithContext(t.Context(), http.MethodGet, path, nil))
	body, err := io.ReadAll(w.Result().Body)
	if err != nil {
		t.Fatal(err)
	}
	return w.Code, string(body)
}

func TestGaugesFollowTheSnapshot(t *testing.T) {
	m := New("dev")
	s := &worker.Snapshot{
		At: time.Now(), Generation: 7, InFlight: 3, Unsettled: [2]int{worker.Withdrawal: 2, worker.Grant: 5},
		Partitions: []worker.PartitionSnapshot{{Partition: 4, Mark: 10, End: 25, Stopped: "offset_out_of_range"}},
		Gate:       worker.GateSnapshot{Closed: worker.ClosedUnauthorized, Breaker: "half-open", Limit: 95, Limits: hubspot.Limits{Known: true, Remaining: 12}},
	}
	s.Oldest[worker.Withdrawal] = time.Unix(1000, 0)
	m.Snapshot(s)
	m.Ended(worker.Written, 3)
	m.Propagated(worker.Withdrawal, time.Second)
	_, body := scrape(t, m, "/metrics")
	for _, want := range []string{
		`lag_records{partition="4"} 15`, "partitions_stopped 1", `inputs_unsettled{class="withdrawal"} 2`, `inputs_unsettled{class="grant"} 5`,
		`oldest_unsettled_timestamp_seconds{class="withdrawal"} 1000`, `breaker_state{state="half-open"} 1`, `breaker_state{state="open"} 0`,
		`gate_held{reason="unauthorized"} 1`, "rate_limit_requests 95", "rate_limit_remaining 12", "generation 7", "assigned_partitions 1",
		"in_flight_requests 3", `events_total{outcome="written"} 3`, `propagation_seconds_count{class="withdrawal"} 1`,
	} {
		if !strings.Contains(body, prefix+want+"\n") {
			t.Errorf("no %s", want)
		}
	}
	s.Partitions = []worker.PartitionSnapshot{{Partition: 5}}
	m.Snapshot(s)
	if _, body := scrape(t, m, "/metrics"); strings.Contains(body, `partition="4"`) || !strings.Contains(body, `lag_records{partition="5"} 0`) {
		t.Error("the partitions are not those of the latest snapshot")
	}
	over := *s
	over.Over = true
	m.Snapshot(&over)
	_, body = scrape(t, m, "/metrics")
	for _, want := range []string{
		"assigned_partitions 0", `inputs_unsettled{class="grant"} 0`, `oldest_unsettled_timestamp_seconds{class="withdrawal"} 0`,
		"in_flight_requests 0", "partitions_stopped 0", "generation 7", `breaker_state{state="half-open"} 1`,
	} {
		if !strings.Contains(body, prefix+want+"\n") {
			t.Errorf("after the life: no %s", want)
		}
	}
	if strings.Contains(body, "partition=") {
		t.Error("a partition that was given away is still shown")
	}
}

func TestCountersAddUp(t *testing.T) {
	m := New("dev")
	m.Fetched(40)
	m.Fetched(2)
	m.DeadLettered(worker.ReasonRejected, 2)
	m.Answered(worker.ReactionPartial, 100, 250*time.Millisecond)
	m.Closed(worker.ClosedPace, 1500*time.Millisecond)
	m.Committed(worker.CommitAcknowledged)
	m.Missing(3, 17)
	m.Foreign(3)
	m.OrderViolated()
	_, body := scrape(t, m, "/metrics")
	for _, want := range []string{
		"events_fetched_total 42", `dead_letters_total{reason="rejected"} 2`, `requests_total{outcome="partial"} 1`,
		"request_duration_seconds_sum 0.25", `request_duration_seconds_bucket{le="0.2"} 0`, `request_duration_seconds_bucket{le="0.3"} 1`,
		"batch_inputs_sum 100", `gate_closed_seconds_total{reason="pace"} 1.5`, `commits_total{outcome="acknowledged"} 1`,
		"missing_records_total 17", "foreign_metadata_total 1", "order_violations_total 1",
	} {
		if !strings.Contains(body, prefix+want+"\n") {
			t.Errorf("no %s", want)
		}
	}
}

func TestEveryListedValueHasItsCounter(*testing.T) { // an unlisted one would panic
	m := New("dev")
	for _, o := range worker.Outcomes() {
		m.Ended(o, 1)
	}
	for _, r := range worker.Reasons() {
		m.DeadLettered(r, 1)
	}
	for _, r := range worker.Reactions() {
		m.Answered(r, 1, time.Millisecond)
	}
	for _, c := range worker.Closures() {
		m.Closed(c, time.Second)
	}
	for _, c := range worker.CommitOutcomes() {
		m.Committed(c)
	}
	for _, c := range worker.Classes() {
		m.Propagated(c, time.Second)
	}
}

func TestServerKnowsItsPathsOnly(t *testing.T) {
	m := New("dev")
	for path, want := range map[string]int{"/": 200, "/metrics": 200, "/healthz": 200, "/readyz": 503, "/elsewhere": 404, "/metrics/more": 404, "/debug/pprof/": 404} {
		if code, _ := scrape(t, m, path); code != want {
			t.Errorf("GET %s: %d, want %d", path, code, want)
		}
	}
	if s := m.Server(""); s.ReadHeaderTimeout <= 0 || s.ReadTimeout <= 0 || s.WriteTimeout <= 0 || s.IdleTimeout <= 0 || s.MaxHeaderBytes <= 0 {
		t.Error("the server waits or reads without bounds")
	}
}

func TestHealthAndReadiness(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		m := New("dev")
		check := func(what string, healthy, ready int) {
			t.Helper()
			if code, body := scrape(t, m, "/healthz"); code != healthy {
				t.Errorf("%s: healthz %d %s", what, code, body)
			}
			if code, body := scrape(t, m, "/readyz"); code != ready {
				t.Errorf("%s: readyz %d %s", what, code, body)
			}
		}
		check("before the first life", 200, 503)
		time.Sleep(5*time.Minute + time.Second)
		check("for minutes without a first life", 503, 503)
		m.Snapshot(&worker.Snapshot{At: time.Now()})
		check("in a life", 200, 200)
		time.Sleep(31 * time.Second)
		check("the loop is stuck", 503, 200)
		m.Snapshot(&worker.Snapshot{At: time.Now(), Over: true})
		check("between two lives", 200, 503)
		time.Sleep(6 * time.Minute)
		check("for minutes between two lives", 503, 503)
	})
}

func TestHealthTellsWhyInOneSentence(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		m := New("dev")
		tell := func(path, want string) {
			t.Helper()
			if _, body := scrape(t, m, path); body != want+"\n" {
				t.Errorf("GET %s says %q, want %q", path, body, want)
			}
		}
		tell("/healthz", "ok")
		tell("/readyz", "not a member of the group")
		time.Sleep(6 * time.Minute)
		tell("/healthz", "not a member of the group since the start 6m0s ago")
		m.Snapshot(&worker.Snapshot{At: time.Now()})
		tell("/readyz", "ok")
		time.Sleep(time.Minute)
		tell("/healthz", "the loop has not moved for 1m0s")
		m.Snapshot(&worker.Snapshot{At: time.Now(), Over: true})
		time.Sleep(6 * time.Minute)
		tell("/healthz", "not a member of the group for 6m0s")
	})
}

func BenchmarkPropagated(b *testing.B) {
	m := New("dev")
	b.ReportAllocs()
	for b.Loop() {
		m.Propagated(worker.Withdrawal, 300*time.Millisecond)
	}
}
