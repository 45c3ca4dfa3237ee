package worker

import (
	"fmt"
	"testing"
	"testing/synctest"
	"time"

	"consent-worker/hubspot"
)

// answers makes judgements of one reaction.
func ofReaction(r Reaction) *Judgement { return &Judgement{Reaction: r, Culprit: -1} }

func testGate(t *testing.T, limit int) *Gate {
	t.Helper()
	g, err := NewGate(GateConfig{Limit: limit, Interval: 10 * time.Second, Failures: 5, Open: 10 * time.Second})
	if err != nil {
		t.Fatal(err)
	}
	return g
}

func TestGateNeverPassesMoreThanTheLimitInAnyRollingInterval(t *testing.T) {
	for _, limit := range []int{1, 2, 5, 10, 100, 190, 1000} {
		for _, shares := range [][]float64{{1}, {0.5}, {1, 0.5, 1}, {0.25, 1, 0.25}} {
			synctest.Test(t, func(t *testing.T) {
				g := testGate(t, limit)
				var sent []time.Time
				for i := range 3 {
					g.Begin(time.Now(), shares[i%len(shares)])
					for end := time.Now().Add(35 * time.Second); time.Now().Before(end); {
						p, _, at := g.Try(time.Now(), 100)
						if p == nil {
							time.Sleep(time.Until(at))
							continue
						}
						sent = append(sent, time.Now())
						g.Report(time.Now(), p, ofReaction(ReactionAccepted))
					}
				}
				for i := range sent {
					if i+limit < len(sent) && sent[i+limit].Sub(sent[i]) < 10*time.Second {
						t.Fatalf("limit %d, shares %v: %d requests within %v", limit, shares, limit+1, sent[i+limit].Sub(sent[i]))
					}
				}
				if len(shares) == 1 && shares[0] == 1 && limit >= 100 && float64(len(sent)) < 0.98*float64(limit)*10.5 {
					t.Errorf("limit %d: only %d requests in 105 s", limit, len(sent))
				}
			})
		}
	}
}

func TestGateHoldsAsEachAnswerAsks(t *testing.T) {
	for _, tt := range []struct {
		j     *Judgement
		after int // so many of them
		why   Closure
		hold  time.Duration
	}{
		{ofReaction(ReactionLocked), 1, ClosedLocked, 2 * time.Second},
		{ofReaction(ReactionRateLimited), 1, ClosedRateLimited, 10 * time.Second},
		{&Judgement{Reaction: ReactionRateLimited, RetryAfter: 3 * time.Second}, 1, ClosedRateLimited, 3 * time.Second},
		{ofReaction(ReactionDailyLimited), 1, ClosedDaily, time.Minute},
		{ofReaction(ReactionDailyLimited), 4, ClosedDaily, time.Minute},
		{&Judgement{Reaction: ReactionMigrating, RetryAfter: 20 * time.Hour}, 1, ClosedMigrating, 20 * time.Hour},
		{&Judgement{Reaction: ReactionMigrating, RetryAfter: 48 * time.Hour}, 1, ClosedMigrating, 24 * time.Hour},
		{ofReaction(ReactionUnauthorized), 1, ClosedUnauthorized, time.Second},
		{ofReaction(ReactionUnauthorized), 9, ClosedUnauthorized, time.Minute},
		{ofReaction(ReactionForbidden), 3, ClosedForbidden, 4 * time.Second},
		{ofReaction(ReactionMisdirected), 1, ClosedMisdirected, time.Second},
		{ofReaction(ReactionRefused), lifeless, ClosedLifeless, time.Second},
	} {
		t.Run(fmt.Sprint(tt.j.Reaction, tt.after), func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				g := testGate(t, 1000)
				g.Begin(time.Now(), 1)
				for range tt.after {
					p := next(g)
					g.Report(time.Now(), p, tt.j)
				}
				began := time.Now()
				p, why, at := g.Try(began, 100)
				if p != nil || why != tt.why || at.Sub(began) != tt.hold {
					t.Fatalf("held for %v until %v, want %v for %v", why, at.Sub(began), tt.why, tt.hold)
				}
				time.Sleep(tt.hold)
				probing := next(g)
				if probing.Inputs != smallBatch {
					t.Errorf("the probe takes %d inputs", probing.Inputs)
				}
				if second, why, _ := g.Try(time.Now(), 100); second != nil || why != tt.why {
					t.Error("a second request goes out while the first still shows whether the cause is gone")
				}
				g.Report(time.Now(), probing, ofReaction(ReactionAccepted))
				if p := next(g); p.Inputs != 100 || g.Snapshot().Closed != "" {
					t.Errorf("after the hold: %d inputs, %v", p.Inputs, g.Snapshot().Closed)
				}
			})
		})
	}
}

// next waits for a pass.
func next(g *Gate) *Pass {
	for {
		p, _, at := g.Try(time.Now(), 100)
		if p != nil {
			return p
		}
		time.Sleep(time.Until(at))
	}
}

func TestGateOpensTheBreakerAndProbesWithOneSmallRequest(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		g := testGate(t, 1000)
		g.Begin(time.Now(), 1)
		for range 5 {
			p := next(g)
			g.Report(time.Now(), p, ofReaction(ReactionUnavailable))
		}
		began := time.Now()
		if s := g.Snapshot(); s.Breaker != "open" {
			t.Fatalf("breaker %s after five failures", s.Breaker)
		}
		p := next(g)
		if waited := time.Since(began); waited < 10*time.Second || waited > 11*time.Second || p.Inputs != smallBatch {
			t.Errorf("the probe goes after %v with %d inputs", waited, p.Inputs)
		}
		if second, _, _ := g.Try(time.Now(), 100); second != nil {
			t.Error("half-open lets two through")
		}
		g.Report(time.Now(), p, ofReaction(ReactionAccepted))
		if s := g.Snapshot(); s.Breaker != "closed" || s.Closed != "" {
			t.Errorf("after the probe: %+v", s)
		}
	})
}

func TestGateIsNotOpenedByWhatWasSentBeforeTheHold(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		g := testGate(t, 1000)
		g.Begin(time.Now(), 1)
		before, other := next(g), next(g)
		time.Sleep(time.Second)
		g.Report(time.Now(), other, ofReaction(ReactionUnauthorized))
		g.Report(time.Now(), before, ofReaction(ReactionAccepted))
		if p, why, _ := g.Try(time.Now(), 100); p != nil || why != ClosedUnauthorized {
			t.Errorf("%v, %v", p, why)
		}
	})
}

func TestGateReportsEveryMistakeOfItsConfiguration(t *testing.T) {
	if _, err := NewGate(GateConfig{}); err == nil || len(fmt.Sprint(err)) < 100 {
		t.Errorf("%v", err)
	}
	if testGate(t, 5).Snapshot().Limits != (hubspot.Limits{}) {
		t.Error("limits of which nobody has heard")
	}
}

func TestGateTakesABurstOfEqualAnswersForOne(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		g := testGate(t, 1000)
		g.Begin(time.Now(), 1)
		passes := make([]*Pass, 8)
		for i := range passes {
			passes[i] = next(g)
		}
		time.Sleep(time.Second)
		for _, p := range passes {
			g.Report(time.Now(), p, ofReaction(ReactionUnauthorized))
		}
		if _, _, at := g.Try(time.Now(), 100); time.Until(at) != time.Second {
			t.Errorf("eight answers of one moment hold for %v, want 1s", time.Until(at))
		}
	})
}
