package hubspottest_test

import (
	"errors"
	"math/rand/v2"
	"net/http"
	"testing"
	"testing/synctest"
	"time"

	"consent-worker/hubspot"
	"consent-worker/hubspot/hubspottest"
)

// limited sends one request and returns its limits and whether it was a 429 of which kind.
func limited(t *testing.T, c *hubspot.Client) (l hubspot.Limits, rolling, daily bool) {
	t.Helper()
	r, err := c.WriteStatuses(t.Context(), []hubspot.Input{input("ann@example.com", hubspot.Subscribed)})
	if err == nil {
		return r.Limits, false, false
	}
	e, ok := errors.AsType[*hubspot.Error](err)
	if !ok || e.StatusCode != http.StatusTooManyRequests || e.Category != "RATE_LIMIT" {
		t.Fatalf("got %v, want a 429", err)
	}
	return e.Limits, e.TenSecondly(), e.Daily()
}

func TestRollingLimitIsExactToTheInstant(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		sim := hubspottest.New(hubspottest.Config{Limit: 2})
		defer sim.Close()
		c := client(t, sim, 0)
		for _, step := range []struct {
			wait      time.Duration
			limited   bool
			remaining int
		}{
			{0, false, 1}, {3 * time.Second, false, 0}, {time.Second, true, 0},
			{6*time.Second - 1, true, 0}, {1, false, 0}, // ten seconds after the first
			{0, true, 0}, {3*time.Second - 1, true, 0}, {1, false, 0}, // ten seconds after the second
			{10 * time.Second, false, 1},
		} {
			time.Sleep(step.wait)
			l, rolling, _ := limited(t, c)
			if want := (hubspot.Limits{Max: 2, Remaining: step.remaining, Interval: 10 * time.Second, Known: true}); rolling != step.limited || l != want {
				t.Errorf("after %v: limited %v with %+v, want %v with %+v", step.wait, rolling, l, step.limited, want)
			}
		}
		violations(t, sim,
			"request 3 met the limit of 2 requests in 10s", "request 4 met the limit of 2 requests in 10s",
			"request 6 met the limit of 2 requests in 10s", "request 7 met the limit of 2 requests in 10s")
		if got := sim.Requests().ByOutcome; got["429 TEN_SECONDLY_ROLLING"] != 4 || got["200"] != 5 {
			t.Errorf("outcomes are %v", got)
		}
	})
}

func TestNoWindowEverHoldsMoreThanTheRollingLimit(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		const limit = 5
		sim := hubspottest.New(hubspottest.Config{Limit: limit, LimitIsMet: true, KeepHistory: true})
		defer sim.Close()
		c := client(t, sim, 0)
		r := rand.New(rand.NewPCG(1, 1))
		for range 2000 {
			time.Sleep(time.Duration(r.Int64N(int64(3 * time.Second))))
			limited(t, c)
		}
		var passed []time.Time
		for _, line := range sim.Log() {
			if line.Outcome == "200" {
				passed = append(passed, line.Received)
			}
		}
		if len(passed) < 1000 {
			t.Errorf("only %d requests passed", len(passed))
		}
		for i := limit; i < len(passed); i++ {
			if d := passed[i].Sub(passed[i-limit]); d < 10*time.Second {
				t.Fatalf("%d requests passed within %v", limit+1, d)
			}
		}
		violations(t, sim)
	})
}

func TestDailyAllowanceReturnsAtMidnight(t *testing.T) {
	synctest.Test(t, func(t *testing.T) { // a bubble's clock begins at midnight, UTC
		sim := hubspottest.New(hubspottest.Config{Daily: 2, Report: t})
		defer sim.Close()
		c := client(t, sim, 0)
		for _, step := range []struct {
			wait    time.Duration
			limited bool
			left    int
		}{
			{0, false, 1}, {23 * time.Hour, false, 0}, {time.Hour - 1, true, 0}, {1, false, 1},
		} {
			time.Sleep(step.wait)
			l, _, daily := limited(t, c)
			if want := (hubspot.Limits{Daily: 2, DailyRemaining: step.left, DailyKnown: true}); daily != step.limited || l != want {
				t.Errorf("after %v: limited %v with %+v, want %v with %+v", step.wait, daily, l, step.limited, want)
			}
		}
	})
}

func TestOtherAppsSpendFromTheSameLimits(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		sim := hubspottest.New(hubspottest.Config{Limit: 10, Daily: 20, LimitIsMet: true, Report: t})
		defer sim.Close()
		c := client(t, sim, 0)
		sim.Spend(8)
		if l, _, _ := limited(t, c); l.Remaining != 1 || l.DailyRemaining != 11 {
			t.Errorf("limits are %+v, want 1 and 11 left", l)
		}
		sim.Spend(5)
		if l, rolling, _ := limited(t, c); !rolling || l.Remaining != 0 {
			t.Errorf("limits are %+v, limited %v, want none left", l, rolling)
		}
	})
}

func TestWithoutLimitsThereAreNoHeadersAboutThem(t *testing.T) {
	sim := hubspottest.New(hubspottest.Config{Report: t})
	defer sim.Close()
	if l, _, _ := limited(t, client(t, sim, 0)); l != (hubspot.Limits{}) {
		t.Errorf("limits are %+v", l)
	}
}
