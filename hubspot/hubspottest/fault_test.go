package hubspottest_test

import (
	"context"
	"errors"
	"net/http"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"consent-worker/hubspot"
	"consent-worker/hubspot/hubspottest"

	"github.com/google/go-cmp/cmp"
)

// Every effect on a whole request, each in its three kinds: failed, failed but applied, failed and applied late.
func TestFaultsOnWholeRequestsComeFailedAppliedAndLate(t *testing.T) {
	for name, c := range map[string]struct {
		effect     hubspottest.Effect
		status     int // of the error; -1: a Response, malformed
		unanswered bool
		check      func(*hubspot.Error) bool
		outcome    hubspottest.Outcome
	}{
		"unauthorized": {hubspottest.Unauthorized(), 401, false, func(e *hubspot.Error) bool { return e.Category == "EXPIRED_AUTHENTICATION" }, "401"},
		"forbidden": {hubspottest.Forbidden("a.write", "b.write"), 403, false, func(e *hubspot.Error) bool {
			return e.Category == "MISSING_SCOPES" && len(e.Details) == 1 && len(e.Details[0].Context["requiredGranularScopes"]) == 2
		}, "403"},
		"not found":    {hubspottest.NotFound(), 404, false, nil, "404"},
		"too large":    {hubspottest.TooLarge(), 413, false, nil, "413"},
		"locked":       {hubspottest.Locked(), 423, false, nil, "423"},
		"ten-secondly": {hubspottest.TenSecondly(), 429, false, (*hubspot.Error).TenSecondly, "429 TEN_SECONDLY_ROLLING"},
		"daily":        {hubspottest.Daily(), 429, false, (*hubspot.Error).Daily, "429 DAILY"},
		"migrating":    {hubspottest.Migrating(5 * time.Hour), 477, false, func(e *hubspot.Error) bool { return e.RetryAfter == 5*time.Hour }, "477"},
		"wrong hublet": {hubspottest.WrongHublet("eu1"), 488, false, func(e *hubspot.Error) bool { return strings.Contains(e.Message, "eu1") }, "488"},
		"failing": {hubspottest.Refuse(500, "INTERNAL_ERROR", "internal error"), 500, false, func(e *hubspot.Error) bool {
			return e.Category == "INTERNAL_ERROR" && e.CorrelationID != ""
		}, "500"},
		"unavailable page": {hubspottest.Page(503), 503, false, func(e *hubspot.Error) bool { return e.CorrelationID == "" }, "503"},
		"bad gateway":      {hubspottest.Page(502), 502, true, nil, "502"},
		"gateway timeout":  {hubspottest.Page(504), 504, true, nil, "504"},
		"edge timeout":     {hubspottest.Page(524), 524, true, nil, "524"},
		"own answer":       {hubspottest.Respond(hubspottest.Answer{Status: 418, Body: `{"category":"TEAPOT"}`}), 418, false, func(e *hubspot.Error) bool { return e.Category == "TEAPOT" }, "418"},
		"poison":           {hubspottest.Poison(hubspottest.ByNothing), 400, false, func(e *hubspot.Error) bool { return e.Category == "VALIDATION_ERROR" }, "400"},
		"hang":             {hubspottest.Hang(), 0, true, func(e *hubspot.Error) bool { return errors.Is(e, context.DeadlineExceeded) }, "hang"},
		"cut":              {hubspottest.Cut(), 0, true, nil, "cut"},
		"cut amid answer":  {hubspottest.CutAnswer(), 200, true, nil, "200 cut"},
		"page under 200":   {hubspottest.Page(200), -1, false, nil, "200"},
		"empty 200":        {hubspottest.Empty(200), -1, false, nil, "200"},
		"empty 202":        {hubspottest.Empty(202), -1, false, nil, "202"},
		"empty 204":        {hubspottest.Empty(204), -1, false, nil, "204"},
		"truncated":        {hubspottest.Truncate(), -1, false, nil, "200"},
	} {
		for kind, fault := range map[string]hubspottest.Fault{
			"failed": {}, "applied": {Applied: true}, "late": {Late: time.Minute},
		} {
			t.Run(name+" "+kind, func(t *testing.T) {
				synctest.Test(t, func(t *testing.T) {
					sim := hubspottest.New(hubspottest.Config{Report: t})
					defer sim.Close()
					fault.Effect, fault.Times = c.effect, 1
					sim.Inject(fault)
					our := client(t, sim, 5*time.Second)
					r, err := our.WriteStatuses(t.Context(), inputs(0, 3))
					e, _ := errors.AsType[*hubspot.Error](err)
					switch {
					case c.status < 0 && (err != nil || !r.Malformed):
						t.Errorf("got %+v, %v, want a malformed response", r, err)
					case c.status >= 0 && (e == nil || e.StatusCode != c.status || e.Unanswered != c.unanswered):
						t.Errorf("got %v, want status %d, unanswered %v", err, c.status, c.unanswered)
					case c.check != nil && !c.check(e):
						t.Errorf("the error is %#v", e)
					}
					want := 0
					if fault.Applied {
						want = 3
					}
					if n := len(sim.State()); n != want {
						t.Errorf("%d inputs are written, want %d", n, want)
					}
					if fault.Late > 0 {
						time.Sleep(time.Minute)
						want = 3
					}
					synctest.Wait() // the Sim may notice later than the caller that the caller gave up
					if n := len(sim.State()); n != want {
						t.Errorf("in the end %d inputs are written, want %d", n, want)
					}
					if got := sim.Requests().ByOutcome[c.outcome]; got != 1 {
						t.Errorf("outcomes are %v, want one %q", sim.Requests().ByOutcome, c.outcome)
					}
					if r, err := our.WriteStatuses(t.Context(), inputs(0, 3)); err != nil || len(r.Results) != 3 {
						t.Errorf("the next request gives %+v, %v", r, err)
					}
				})
			})
		}
	}
}

func named(address string) func(hubspot.Input) bool {
	return func(in hubspot.Input) bool { return in.SubscriberID == address }
}

// Every effect on single inputs, on the middle one of three, failed and failed but applied.
func TestFaultsOnInputsLeaveTheirNeighboursAlone(t *testing.T) {
	const bad = "person-1@example.com"
	for name, c := range map[string]struct {
		effect hubspottest.Effect
		want   func(hubspot.Response) bool
		status int
	}{
		"named by context": {hubspottest.PartialErrors(200, hubspottest.ByContext), func(r hubspot.Response) bool {
			return len(r.Results) == 2 && len(r.Errors) == 1 && r.NumErrors == 1 &&
				cmp.Equal(r.Errors[0].Context, map[string][]string{"subscriberIdString": {bad}, "subscriptionId": {"7"}})
		}, 200},
		"named by address": {hubspottest.PartialErrors(207, hubspottest.ByAddress), func(r hubspot.Response) bool {
			return len(r.Errors) == 1 && cmp.Equal(r.Errors[0].Context, map[string][]string{"subscriberIdString": {bad}})
		}, 207},
		"named by subscription": {hubspottest.PartialErrors(207, hubspottest.BySubscription), func(r hubspot.Response) bool {
			return len(r.Errors) == 1 && cmp.Equal(r.Errors[0].Context, map[string][]string{"subscriptionId": {"7"}})
		}, 207},
		"named by message": {hubspottest.PartialErrors(200, hubspottest.ByMessage), func(r hubspot.Response) bool {
			return len(r.Errors) == 1 && len(r.Errors[0].Context) == 0 && strings.Contains(r.Errors[0].Message, bad)
		}, 200},
		"named by nothing": {hubspottest.PartialErrors(200, hubspottest.ByNothing), func(r hubspot.Response) bool {
			return len(r.Errors) == 1 && len(r.Errors[0].Context) == 0 && !strings.Contains(r.Errors[0].Message, bad)
		}, 200},
		"omitted": {hubspottest.Omit(), func(r hubspot.Response) bool {
			return len(r.Results) == 2 && r.Results[0].SubscriberID != bad && r.Results[1].SubscriberID != bad && len(r.Errors) == 0
		}, 200},
		"another status": {hubspottest.OtherStatus(hubspot.Subscribed), func(r hubspot.Response) bool {
			return len(r.Results) == 3 && r.Results[1].SubscriberID == bad && r.Results[1].Status == hubspot.Subscribed &&
				r.Results[0].Status == hubspot.Unsubscribed
		}, 200},
		"pending": {
			hubspottest.All(hubspottest.Omit(), hubspottest.BatchStatus("PENDING")),
			func(r hubspot.Response) bool { return len(r.Results) == 2 && r.Status == "PENDING" }, 200,
		},
	} {
		for _, applied := range []bool{false, true} {
			t.Run(name, func(t *testing.T) {
				sim := hubspottest.New(hubspottest.Config{Report: t})
				defer sim.Close()
				sim.Inject(hubspottest.Fault{Effect: c.effect, Inputs: named(bad), Applied: applied})
				r, err := client(t, sim, 0).WriteStatuses(t.Context(), inputs(0, 3))
				if err != nil || r.Malformed || r.StatusCode != c.status || !c.want(r) {
					t.Errorf("got %+v, %v", r, err)
				}
				if _, written := sim.Entry(key(bad)); written != applied || sim.Inputs() < 2 {
					t.Errorf("written is %v, want %v, and %d in all", written, applied, sim.Inputs())
				}
			})
		}
	}
}

// Every effect that fails nothing and only spoils the answer.
func TestSpoiledAnswersAreWrittenAllTheSame(t *testing.T) {
	for name, c := range map[string]struct {
		effect hubspottest.Effect
		want   func(hubspot.Response) bool
	}{
		"twice": {hubspottest.Twice(), func(r hubspot.Response) bool {
			return len(r.Results) == 6 && r.Results[0] == r.Results[1]
		}},
		"extra": {hubspottest.Extra(2), func(r hubspot.Response) bool {
			return len(r.Results) == 5 && r.Results[4].SubscriberID == "stranger-2@example.net"
		}},
		"reversed":   {hubspottest.Reversed(), func(r hubspot.Response) bool { return r.Results[0].SubscriberID == "person-2@example.com" }},
		"upper case": {hubspottest.UpperCase(), func(r hubspot.Response) bool { return r.Results[0].SubscriberID == "PERSON-0@EXAMPLE.COM" }},
		"count":      {hubspottest.NumErrors(9), func(r hubspot.Response) bool { return r.NumErrors == 9 && len(r.Errors) == 0 && len(r.Results) == 3 }},
		"canceled":   {hubspottest.BatchStatus("CANCELED"), func(r hubspot.Response) bool { return r.Status == "CANCELED" && len(r.Results) == 3 }},
	} {
		t.Run(name, func(t *testing.T) {
			sim := hubspottest.New(hubspottest.Config{Report: t})
			defer sim.Close()
			sim.Inject(hubspottest.Fault{Effect: c.effect})
			r, err := client(t, sim, 0).WriteStatuses(t.Context(), inputs(0, 3))
			if err != nil || r.Malformed || !c.want(r) || sim.Inputs() != 3 {
				t.Errorf("got %+v, %v, with %d written", r, err, sim.Inputs())
			}
		})
	}
}

func TestPoisonSparesRequestsWithoutIt(t *testing.T) {
	const bad = "person-1@example.com"
	for naming, want := range map[hubspottest.Naming]func(*hubspot.Error) bool{
		hubspottest.ByNothing: func(e *hubspot.Error) bool { return len(e.Context) == 0 && !strings.Contains(e.Message, bad) },
		hubspottest.ByContext: func(e *hubspot.Error) bool { return e.Context["subscriberIdString"][0] == bad },
		hubspottest.ByMessage: func(e *hubspot.Error) bool { return strings.Contains(e.Message, bad) },
		hubspottest.ByColumn: func(e *hubspot.Error) bool {
			// 11 bytes before the inputs, two inputs of 111 and the comma between them: the second ends at column 234.
			return e.Category == "" && strings.HasPrefix(e.Message, "Invalid input JSON on line 1, column 234: ")
		},
	} {
		sim := hubspottest.New(hubspottest.Config{Report: t})
		fault := sim.Inject(hubspottest.Fault{Effect: hubspottest.Poison(naming), Inputs: named(bad)})
		c := client(t, sim, 0)
		_, err := c.WriteStatuses(t.Context(), inputs(0, 3))
		if e, ok := errors.AsType[*hubspot.Error](err); !ok || e.StatusCode != http.StatusBadRequest || !want(e) {
			t.Errorf("naming %d gives %#v", naming, err)
		}
		if r, err := c.WriteStatuses(t.Context(), inputs(2, 3)); err != nil || len(r.Results) != 3 {
			t.Errorf("without poison: %+v, %v", r, err)
		}
		if fault.Struck() != 1 || sim.Inputs() != 3 {
			t.Errorf("struck %d, written %d", fault.Struck(), sim.Inputs())
		}
		sim.Close()
	}
}

func TestFaultEndsAfterItsTimesOrWhenRemoved(t *testing.T) {
	sim := hubspottest.New(hubspottest.Config{Report: t})
	defer sim.Close()
	c := client(t, sim, 0)
	failed := func(requests int) (n int) {
		for range requests {
			if _, err := c.WriteStatuses(t.Context(), inputs(0, 1)); err != nil {
				n++
			}
		}
		return n
	}
	twice := sim.Inject(hubspottest.Fault{Effect: hubspottest.Locked(), Times: 2})
	if n := failed(3); n != 2 || twice.Struck() != 2 {
		t.Errorf("a fault of two times struck %d, and %d requests failed", twice.Struck(), n)
	}
	lasting := sim.Inject(hubspottest.Fault{Effect: hubspottest.Locked()})
	if n := failed(5); n != 5 {
		t.Errorf("a lasting fault failed %d of 5 requests", n)
	}
	lasting.Remove()
	lasting.Remove()
	if n := failed(1); n != 0 || lasting.Struck() != 5 {
		t.Errorf("a removed fault struck %d, and %d requests failed", lasting.Struck(), n)
	}
	sim.Inject(hubspottest.Fault{Effect: hubspottest.Locked()})
	sim.Inject(hubspottest.Fault{Effect: hubspottest.NotFound()})
	sim.Heal()
	if failed(1) != 0 {
		t.Error("a fault outlived Heal")
	}
}

func TestFaultsJoinAndTheFirstOnTheWholeRequestWins(t *testing.T) {
	sim := hubspottest.New(hubspottest.Config{Report: t})
	defer sim.Close()
	c := client(t, sim, 0)
	sim.Inject(hubspottest.Fault{Effect: hubspottest.Omit(), Inputs: named("person-0@example.com")})
	sim.Inject(hubspottest.Fault{Effect: hubspottest.PartialErrors(207, hubspottest.ByContext), Inputs: named("person-1@example.com")})
	if r, err := c.WriteStatuses(t.Context(), inputs(0, 3)); err != nil || len(r.Results) != 1 || len(r.Errors) != 1 || sim.Inputs() != 1 {
		t.Errorf("two faults give %+v, %v", r, err)
	}
	first := sim.Inject(hubspottest.Fault{Effect: hubspottest.Locked()})
	second := sim.Inject(hubspottest.Fault{Effect: hubspottest.NotFound()})
	_, err := c.WriteStatuses(t.Context(), inputs(0, 3))
	if e, ok := errors.AsType[*hubspot.Error](err); !ok || e.StatusCode != http.StatusLocked || first.Struck() != 1 || second.Struck() != 0 {
		t.Errorf("two faults give %v, struck %d and %d", err, first.Struck(), second.Struck())
	}
}

func TestChanceAndShareFollowTheSeed(t *testing.T) {
	run := func(seed uint64) (struck, missing int) {
		sim := hubspottest.New(hubspottest.Config{Seed: seed, Report: t})
		defer sim.Close()
		c := client(t, sim, 0)
		chance := sim.Inject(hubspottest.Fault{Effect: hubspottest.Locked(), Chance: 0.25})
		sim.Inject(hubspottest.Fault{Effect: hubspottest.Omit(), Share: 0.1})
		for range 400 {
			if r, err := c.WriteStatuses(t.Context(), inputs(0, 100)); err == nil {
				missing += 100 - len(r.Results)
			}
		}
		return chance.Struck(), missing
	}
	struck, missing := run(1)
	if struck < 70 || struck > 130 || missing < 2600 || missing > 3400 {
		t.Errorf("a quarter of 400 requests is %d, a tenth of the rest's inputs is %d", struck, missing)
	}
	if s, m := run(1); s != struck || m != missing {
		t.Errorf("the same seed gives %d, %d, then %d, %d", struck, missing, s, m)
	}
	if s, m := run(2); s == struck && m == missing {
		t.Error("another seed gives the same")
	}
}

func TestSimGoesOnWithARequestWhoseCallerGaveUp(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		sim := hubspottest.New(hubspottest.Config{Report: t, KeepHistory: true, Latency: hubspottest.Latency(time.Minute)})
		defer sim.Close()
		start := time.Now()
		if _, err := client(t, sim, time.Second).WriteStatuses(t.Context(), inputs(0, 1)); err == nil {
			t.Error("no timeout")
		}
		if len(sim.State()) != 0 {
			t.Error("it was written at once")
		}
		time.Sleep(time.Minute)
		synctest.Wait()
		history := sim.History(key("person-0@example.com"))
		if len(history) != 1 || !history[0].Applied.Equal(start.Add(time.Minute)) {
			t.Errorf("history is %+v, want one write after a minute", history)
		}
	})
}

func TestKeyInTwoRequestsAtOnceIsReported(t *testing.T) {
	for name, c := range map[string]struct {
		timeout, second time.Duration // of the first request; when the second goes out
		want            []string
	}{
		"while the first waits":         {time.Minute, time.Second, []string{"2 keys of request 1 came again before it was answered"}},
		"after the first was answered":  {time.Minute, 2 * time.Second, nil},
		"after the first was given up":  {time.Second, 1500 * time.Millisecond, nil},
		"just before it was given up":   {1500 * time.Millisecond, time.Second, nil}, // a caller that gives up was not answered
		"long after it was all settled": {time.Minute, time.Hour, nil},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				sim := hubspottest.New(hubspottest.Config{Latency: hubspottest.Latency(2 * time.Second)})
				defer sim.Close()
				done := make(chan struct{})
				go func() {
					defer close(done)
					_, _ = client(t, sim, c.timeout).WriteStatuses(t.Context(), inputs(0, 3))
				}()
				time.Sleep(c.second)
				synctest.Wait()
				if _, err := client(t, sim, 0).WriteStatuses(t.Context(), inputs(1, 3)); err != nil {
					t.Error(err)
				}
				<-done
				violations(t, sim, c.want...)
			})
		})
	}
}

func TestCloseEndsWhateverWaits(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		sim := hubspottest.New(hubspottest.Config{})
		sim.Inject(hubspottest.Fault{Effect: hubspottest.Hang(), Times: 1})
		sim.Inject(hubspottest.Fault{Effect: hubspottest.Page(504), Late: time.Minute, Times: 1})
		c := client(t, sim, time.Hour)
		errs := make(chan error)
		for i := range 2 {
			go func() {
				_, err := c.WriteStatuses(t.Context(), inputs(10*i, 2))
				errs <- err
			}()
		}
		synctest.Wait()
		if err := <-errs; err == nil {
			t.Error("no 504")
		}
		sim.Close()
		if err := <-errs; err == nil {
			t.Error("no cut connection")
		}
		time.Sleep(time.Hour)
		if len(sim.State()) != 0 {
			t.Errorf("after Close there was written %v", sim.State())
		}
	})
}
