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

// ours keeps the lines of the worker's own series.
func ours(body string) (lines []string) {
	for line := range strings.Lines(body) {
		if strings.HasPrefix(line, prefix) {
			lines = append(lines, strings.TrimSpace(line))
		}
	}
	return lines
}

func TestEverySeriesExistsFromTheStart(t *testing.T) {
	_, body := scrape(t, New("1.2.3"), "/metrics")
	for _, want := range []string{
		`events_total{outcome="superseded"} 0`, `events_total{outcome="tombstone"} 0`, "events_fetched_total 0", `dead_letters_total{reason="stale_redrive"} 0`,
		`requests_total{outcome="unanswered"} 0`, "request_duration_seconds_count 0", "batch_inputs_count 0", `inputs_unsettled{class="withdrawal"} 0`,
		`oldest_unsettled_timestamp_seconds{class="grant"} 0`, `propagation_seconds_count{class="withdrawal"} 0`, `breaker_state{state="closed"} 1`,
		`gate_closed_seconds_total{reason="unauthorized"} 0`, "rate_limit_requests 0", "rate_limit_remaining -1", "daily_remaining -1",
		`commits_total{outcome="fenced"} 0`, "generation 0", "assigned_partitions 0", "order_violations_total 0", `build_info{go="`, "missing_records_total 0",
	} {
		if !strings.Contains(body, prefix+want) {
			t.Errorf("no %s", want)
		}
	}
	if n := len(ours(body)); n > 250 {
		t.Errorf("%d series of our own", n)
	}
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
		`lag_records{partition="4"} 15`, `partition_stopped{partition="4"} 1`, `inputs_unsettled{class="withdrawal"} 2`, `inputs_unsettled{class="grant"} 5`,
		`oldest_unsettled_timestamp_seconds{class="withdrawal"} 1000`, `breaker_state{state="half-open"} 1`, `breaker_state{state="open"} 0`,
		`gate_held{reason="unauthorized"} 1`, "rate_limit_requests 95", "rate_limit_remaining 12", "generation 7", "assigned_partitions 1",
		"requests_in_flight 3", `events_total{outcome="written"} 3`, `propagation_seconds_count{class="withdrawal"} 1`,
	} {
		if !strings.Contains(body, prefix+want+"\n") {
			t.Errorf("no %s", want)
		}
	}
	m.Snapshot(&worker.Snapshot{At: time.Now(), Over: true, Partitions: s.Partitions})
	if _, body := scrape(t, m, "/metrics"); strings.Contains(body, `partition="4"`) {
		t.Error("a partition that was given away is still shown")
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
