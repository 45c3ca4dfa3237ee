package worker

import (
	"errors"
	"fmt"
	"math/rand/v2"
	"time"

	"consent-worker/hubspot"

	"github.com/sony/gobreaker/v2"
	"golang.org/x/time/rate"
)

// Closure says why the gate is closed.
type Closure string

// The closures, as the label reason spells them.
const (
	ClosedPace         Closure = "pace"          // the next request is due later
	ClosedBreaker      Closure = "breaker"       // HubSpot has failed too often in a row
	ClosedBackoff      Closure = "backoff"       // HubSpot has just failed
	ClosedLocked       Closure = "locked"        // 423
	ClosedRateLimited  Closure = "rate_limited"  // 429 of the ten-second limit
	ClosedDaily        Closure = "daily_limit"   // 429 of the daily limit
	ClosedMigrating    Closure = "migrating"     // 477: the account moves to another data centre
	ClosedUnauthorized Closure = "unauthorized"  // 401
	ClosedForbidden    Closure = "forbidden"     // 403
	ClosedMisdirected  Closure = "misdirected"   // 404, 488, redirects: wrong base URL or version
	ClosedLifeless     Closure = "no_acceptance" // everything is refused: that cannot be the inputs' fault
)

// Closures lists every closure.
func Closures() []Closure {
	return []Closure{ClosedPace, ClosedBreaker, ClosedBackoff, ClosedLocked, ClosedRateLimited, ClosedDaily, ClosedMigrating,
		ClosedUnauthorized, ClosedForbidden, ClosedMisdirected, ClosedLifeless}
}

// GateConfig is the gate's numbers.
type GateConfig struct {
	Limit    int           // requests in any rolling interval, of the whole group
	Interval time.Duration // of the limit
	Failures int           // consecutive failures that open the breaker
	Open     time.Duration // how long it stays open
}

const (
	// lifeless is how many requests in a row may be refused as a whole before that is taken for a fault of the system:
	// more than it takes to find one culprit among a hundred by halves (seven, and the first).
	lifeless = 10
	// lifelessHold bounds how long such a hold lasts: the next opt-out may be the input that shows that all is well.
	lifelessHold = 15 * time.Second
	// probe bounds how seldom a gate that is held looks whether the cause is gone.
	probe = time.Minute
	// smallBatch is how many inputs a request carries while it is not known whether HubSpot is well.
	smallBatch = 10
	// maxHold bounds a hold that HubSpot named: 477 promises at most a day.
	maxHold = 24 * time.Hour
)

// errFault is what the breaker is told of a failure, errNeutral of an answer that says nothing about HubSpot's health.
var errFault, errNeutral = errors.New("fault"), errors.New("neutral")

// Gate says whether a request may go out now, and if not, when. It joins the pace, the breaker and the holds, and lives
// as long as the process. One goroutine at a time uses it.
type Gate struct {
	cfg      GateConfig
	pace     *rate.Limiter
	share    float64
	breaker  *gobreaker.TwoStepCircuitBreaker[struct{}]
	opened   time.Time // when the breaker opened
	until    time.Time // the hold's end
	held     time.Time // when the hold began
	why      Closure   // the hold's cause; empty when there was none, or it is over and a request has shown it
	trials   int       // failures and holds in a row, for their growing length
	refusals int       // whole requests refused in a row
	inFlight int
	limits   hubspot.Limits
}

// GateSnapshot is the gate in a Snapshot.
type GateSnapshot struct {
	Closed  Closure   // empty when open; pace counts as open
	Until   time.Time // when it opens or probes next
	Breaker string    // closed, half-open, open
	Limit   float64   // requests an interval, this replica's share
	Limits  hubspot.Limits
}

// NewGate returns an open gate, or an error that lists every number that cannot be.
func NewGate(cfg GateConfig) (*Gate, error) {
	var errs []error
	if cfg.Limit < 1 {
		errs = append(errs, fmt.Errorf("rate limit %d: must be at least 1", cfg.Limit))
	}
	if cfg.Interval <= 0 {
		errs = append(errs, fmt.Errorf("rate interval %v: must be positive", cfg.Interval))
	}
	if cfg.Failures < 1 {
		errs = append(errs, fmt.Errorf("breaker failures %d: must be at least 1", cfg.Failures))
	}
	if cfg.Open <= 0 {
		errs = append(errs, fmt.Errorf("breaker open %v: must be positive", cfg.Open))
	}
	if err := errors.Join(errs...); err != nil {
		return nil, err
	}
	g := &Gate{cfg: cfg, share: 1}
	g.breaker = gobreaker.NewTwoStepCircuitBreaker[struct{}](gobreaker.Settings{
		MaxRequests: 1,
		Timeout:     cfg.Open,
		ReadyToTrip: func(c gobreaker.Counts) bool { return int(c.ConsecutiveFailures) >= cfg.Failures },
		OnStateChange: func(_ string, _, to gobreaker.State) {
			if to == gobreaker.StateOpen {
				g.opened = time.Now()
			}
		},
		IsExcluded: func(err error) bool { return errors.Is(err, errNeutral) },
	})
	return g, nil
}

// Begin starts a life with a share of the limit between 0 and 1. Its bucket is empty, so that the sum over the group holds
// across a rebalance (invariant 6).
//
// A bucket of b tokens that fills at r a second lets b + r×interval requests through a rolling interval; so r is
// (limit - b) / interval.
func (g *Gate) Begin(now time.Time, share float64) {
	g.share, g.inFlight = share, 0
	limit := float64(g.cfg.Limit) * share
	burst := max(1, int(limit/100))
	per := max(limit-float64(burst), limit/2) / g.cfg.Interval.Seconds() // a share of less than two requests keeps half
	g.pace = rate.NewLimiter(rate.Limit(per), burst)
	g.pace.AllowN(now, burst)
}

// Pass is the permission for one request. Report gives it back.
type Pass struct {
	Inputs int // the request may carry so many at most
	at     time.Time
	done   func(error)
}

// Try asks for a pass. Without one it says why, and when to ask again.
func (g *Gate) Try(now time.Time, batchSize int) (*Pass, Closure, time.Time) {
	if at := g.opened.Add(g.cfg.Open + time.Millisecond); g.breaker.State() == gobreaker.StateOpen {
		if g.until.After(at) {
			at = g.until
		}
		return nil, ClosedBreaker, at
	}
	if now.Before(g.until) {
		return nil, g.why, g.until
	}
	if g.why != "" && g.inFlight > 0 { // one probe at a time shows whether the cause of a hold is gone
		return nil, g.why, now.Add(probe)
	}
	if g.pace.TokensAt(now) < 1 {
		missing := 1 - g.pace.TokensAt(now)
		wait := time.Duration(missing / float64(g.pace.Limit()) * float64(time.Second))
		return nil, ClosedPace, now.Add(max(wait, time.Microsecond))
	}
	done, err := g.breaker.Allow()
	if err != nil { // half-open: the probe's answer closes it or not
		return nil, ClosedBreaker, now.Add(probe)
	}
	g.pace.AllowN(now, 1)
	g.inFlight++
	p := &Pass{Inputs: batchSize, at: now, done: done}
	if g.why != "" || g.breaker.State() == gobreaker.StateHalfOpen {
		p.Inputs = min(batchSize, smallBatch)
	}
	return p, "", time.Time{}
}

// Return gives back a pass for which there was nothing to send.
func (g *Gate) Return(p *Pass) {
	g.inFlight--
	p.done(errNeutral)
}

// Report tells the gate what became of a request.
func (g *Gate) Report(now time.Time, p *Pass, j *Judgement) {
	g.inFlight--
	// What was sent before the hold is no news about it: a burst of equal answers is one failure, not many in a row.
	news := !p.at.Before(g.held)
	nth := g.trials
	if !news {
		nth = max(0, nth-1)
	}
	hold := func(why Closure, d time.Duration) { g.hold(now, why, d, nth+1) }
	if j.Limits.Known || j.Limits.DailyKnown {
		g.limits = j.Limits
	}
	switch j.health() {
	case well:
		p.done(nil)
		g.refusals = 0
		if news {
			g.until, g.why, g.trials = time.Time{}, "", 0
		}
	case ill:
		p.done(errFault)
		hold(ClosedBackoff, fullJitter(min(g.cfg.Open, 100*time.Millisecond<<min(nth, 10))))
	default:
		p.done(errNeutral)
	}
	if j.Reaction == ReactionRefused && !j.Suspect { // a known suspect that is refused again is no news
		if g.refusals++; g.refusals >= lifeless {
			hold(ClosedLifeless, min(lifelessHold, growing(nth)))
		}
	}
	if why, d := j.Reaction.closure(); why != "" {
		switch {
		case j.RetryAfter > 0:
			d = min(j.RetryAfter, maxHold)
		case d == 0:
			d = growing(nth)
		}
		hold(why, d)
	}
}

// hold closes the gate for d, or longer if it is closed longer already.
func (g *Gate) hold(now time.Time, why Closure, d time.Duration, trials int) {
	g.held, g.trials = now, max(g.trials, trials)
	if until := now.Add(d); until.After(g.until) {
		g.until, g.why = until, why
	}
}

// growing is the length of the hold number n (from 0) whose end nobody named: 1 s, doubling, up to a minute.
func growing(n int) time.Duration { return min(probe, time.Second<<min(n, 6)) }

// fullJitter spreads the retries of many replicas over all of d.
func fullJitter(d time.Duration) time.Duration { return rand.N(d + 1) }

// Snapshot describes the gate.
func (g *Gate) Snapshot() GateSnapshot {
	s := GateSnapshot{Breaker: g.breaker.State().String(), Limits: g.limits, Limit: float64(g.cfg.Limit) * g.share}
	switch {
	case g.breaker.State() == gobreaker.StateOpen:
		s.Closed, s.Until = ClosedBreaker, g.opened.Add(g.cfg.Open)
	case g.why != "":
		s.Closed, s.Until = g.why, g.until
	}
	return s
}
