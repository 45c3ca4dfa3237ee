package worker

import (
	"errors"
	"math/rand/v2"
	"slices"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"consent-worker/hubspot"
	"consent-worker/hubspot/hubspottest"
)

// bubble runs f in a bubble with a world of so many partitions.
func bubble(t *testing.T, partitions int, sim hubspottest.Config, f func(t *testing.T, w *world)) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t, partitions, sim)
		defer w.sim.Close()
		f(t, w)
	})
}

// settle lets time pass until everything is committed.
func (w *world) settle(within time.Duration) {
	w.t.Helper()
	for end := time.Now().Add(within); !w.atRest(); time.Sleep(100 * time.Millisecond) {
		if time.Now().After(end) {
			w.t.Fatalf("not at rest after %v: marks %v, %+v", within, w.marks(), w.facts.last)
		}
	}
}

func poisoned(in hubspot.Input) bool { return strings.HasPrefix(in.SubscriberID, "poison") }

func isPoisoned(e *Event) bool { return poisoned(e.Input) }

func TestRunCarriesASteadyFlow(t *testing.T) {
	bubble(t, 3, hubspottest.Config{Limit: 190, Latency: hubspottest.Latency(150 * time.Millisecond)}, func(t *testing.T, w *world) {
		stop := w.live()
		w.crowd(rand.New(rand.NewPCG(1, 1)), 5000, 1000)
		w.produce(0, nil, nil)
		w.settle(time.Minute)
		if err := stop(); err != nil {
			t.Fatal(err)
		}
		w.judge(nil)
		w.sums()
		if n := w.undone(); n != 0 {
			t.Errorf("%d older grants after newer withdrawals", n)
		}
		if w.facts.ended[Tombstone] != 2 || w.facts.ended[Superseded] == 0 || len(w.letters) != 0 {
			t.Errorf("ended %v, %d dead letters", w.facts.ended, len(w.letters))
		}
	})
}

func TestRunBuriesWhatCannotBeAnInput(t *testing.T) {
	bad := map[string]string{
		"broken JSON":         `{"subscriberIdString":`,
		"duplicate names":     `{"subscriberIdString":"a@b.c","subscriberIdString":"a@b.d","subscriptionId":1,"statusState":"SUBSCRIBED"}`,
		"missing field":       `{"subscriptionId":1,"statusState":"SUBSCRIBED"}`,
		"wrong type":          `{"subscriberIdString":7,"subscriptionId":1,"statusState":"SUBSCRIBED"}`,
		"unknown enum":        `{"subscriberIdString":"a@b.c","subscriptionId":1,"statusState":"MAYBE"}`,
		"bad address":         `{"subscriberIdString":"a@b@c","subscriptionId":1,"statusState":"SUBSCRIBED"}`,
		"id out of range":     `{"subscriberIdString":"a@b.c","subscriptionId":99999999999999999999,"statusState":"SUBSCRIBED"}`,
		"bad UTF-8":           "{\"subscriberIdString\":\"a\xff@b.c\",\"subscriptionId\":1,\"statusState\":\"SUBSCRIBED\"}",
		"a value of 1 MB":     `{"subscriberIdString":"a@b.c","legalBasisExplanation":"` + strings.Repeat("x", 1<<20) + `","subscriptionId":1,"statusState":"SUBSCRIBED"}`,
		"null":                `null`,
		"an array":            `[]`,
		"no bytes":            ``,
		"unknown channel":     `{"subscriberIdString":"a@b.c","subscriptionId":1,"statusState":"SUBSCRIBED","channel":"PIGEON"}`,
		"unknown legal basis": `{"subscriberIdString":"a@b.c","subscriptionId":1,"statusState":"SUBSCRIBED","legalBasis":"WHY_NOT"}`,
	}
	bubble(t, 1, hubspottest.Config{}, func(t *testing.T, w *world) {
		for _, name := range sorted(bad) {
			w.say(0, "before@example.com", hubspot.Subscribed)
			w.produce(0, []byte(bad[name]))
			w.say(0, "after@example.com", hubspot.Unsubscribed)
		}
		stop := w.live()
		w.settle(time.Minute)
		if err := stop(); err != nil {
			t.Fatal(err)
		}
		w.judge(nil)
		w.sums()
		if len(w.letters) != len(bad) || w.facts.buried[ReasonInvalidEvent] != len(bad) {
			t.Fatalf("%d dead letters, want %d", len(w.letters), len(bad))
		}
		for _, d := range w.letters {
			if d.Reason != ReasonInvalidEvent || d.Cause == "" || strings.Contains(d.Cause, "b.c") ||
				string(d.Record.Value) != string(w.log[0][d.Record.Offset].Value) {
				t.Errorf("dead letter %d: %s, %q", d.Record.Offset, d.Reason, d.Cause)
			}
		}
	})
}

func TestRunSortsOutPartialErrors(t *testing.T) {
	for _, naming := range []hubspottest.Naming{hubspottest.ByContext, hubspottest.ByMessage, hubspottest.ByNothing} {
		for _, status := range []int{200, 207} {
			bubble(t, 2, hubspottest.Config{Limit: 190}, func(t *testing.T, w *world) {
				w.sim.Inject(hubspottest.Fault{Effect: hubspottest.PartialErrors(status, naming), Inputs: poisoned})
				w.crowd(rand.New(rand.NewPCG(2, 2)), 300, 100)
				w.say(0, "poison-a@example.com", hubspot.Unsubscribed)
				w.say(1, "poison-b@example.com", hubspot.Subscribed)
				stop := w.live()
				time.Sleep(10 * time.Second)
				w.crowd(rand.New(rand.NewPCG(3, 3)), 300, 100) // life goes on: the proof
				w.settle(5 * time.Minute)
				if err := stop(); err != nil {
					t.Fatal(err)
				}
				w.judge(isPoisoned)
				w.sums()
				if len(w.letters) != 2 || w.facts.buried[ReasonRejected] != 2 {
					t.Errorf("%d %v: dead letters %v", status, naming, w.facts.buried)
				}
			})
		}
	}
}

func TestRunFindsThePoisonOfARefusedRequest(t *testing.T) {
	for _, naming := range []hubspottest.Naming{hubspottest.ByContext, hubspottest.ByMessage, hubspottest.ByNothing} {
		bubble(t, 2, hubspottest.Config{Limit: 190}, func(t *testing.T, w *world) {
			w.sim.Inject(hubspottest.Fault{Effect: hubspottest.Poison(naming), Inputs: poisoned})
			w.crowd(rand.New(rand.NewPCG(2, 2)), 250, 1000)
			w.say(0, "poison-a@example.com", hubspot.Unsubscribed)
			w.crowd(rand.New(rand.NewPCG(4, 2)), 250, 1000)
			w.say(1, "poison-b@example.com", hubspot.Subscribed)
			stop := w.live()
			time.Sleep(10 * time.Second)
			w.crowd(rand.New(rand.NewPCG(5, 2)), 50, 1000) // life goes on: the proof for the last suspect
			w.settle(5 * time.Minute)
			if err := stop(); err != nil {
				t.Fatal(err)
			}
			w.judge(isPoisoned)
			w.sums()
			if len(w.letters) != 2 || w.facts.buried[ReasonRejected] != 2 {
				t.Errorf("naming %v: dead letters %v", naming, w.facts.buried)
			}
			if n := w.facts.reactions[ReactionRefused]; n > 25 {
				t.Errorf("naming %v: %d requests were refused for two culprits", naming, n)
			}
		})
	}
}

func TestRunBuriesNobodyWhenEverythingIsRefused(t *testing.T) {
	bubble(t, 1, hubspottest.Config{}, func(t *testing.T, w *world) {
		storm := w.sim.Inject(hubspottest.Fault{Effect: hubspottest.Refuse(400, "VALIDATION_ERROR", "no")})
		w.crowd(rand.New(rand.NewPCG(2, 2)), 300, 100)
		stop := w.live()
		time.Sleep(time.Hour)
		if n := storm.Struck(); n > 260 {
			t.Errorf("%d requests in an hour of refusals", n)
		}
		storm.Remove()
		w.settle(10 * time.Minute)
		if err := stop(); err != nil {
			t.Fatal(err)
		}
		w.judge(nil)
		w.sums()
		if len(w.letters) != 0 || w.facts.closed[ClosedLifeless] < 30*time.Minute {
			t.Errorf("%d dead letters, closed %v", len(w.letters), w.facts.closed)
		}
	})
}

func TestRunWaitsOutAnOutage(t *testing.T) {
	for name, f := range map[string]hubspottest.Fault{
		"503":             {Effect: hubspottest.Page(503)},
		"503, applied":    {Effect: hubspottest.Page(503), Applied: true},
		"504":             {Effect: hubspottest.Page(504)},
		"504, applied":    {Effect: hubspottest.Page(504), Applied: true},
		"cut":             {Effect: hubspottest.Cut()},
		"cut, applied":    {Effect: hubspottest.Cut(), Applied: true},
		"answer cut":      {Effect: hubspottest.CutAnswer(), Applied: true},
		"hang":            {Effect: hubspottest.Hang()},
		"unauthorized":    {Effect: hubspottest.Unauthorized()},
		"forbidden":       {Effect: hubspottest.Forbidden("communication_preferences.statuses.batch.write")},
		"not found":       {Effect: hubspottest.NotFound()},
		"locked":          {Effect: hubspottest.Locked()},
		"daily":           {Effect: hubspottest.Daily()},
		"ten seconds":     {Effect: hubspottest.TenSecondly()},
		"migrating":       {Effect: hubspottest.Migrating(30 * time.Second)},
		"wrong hublet":    {Effect: hubspottest.WrongHublet("eu1")},
		"empty 200":       {Effect: hubspottest.Empty(200)},
		"empty, applied":  {Effect: hubspottest.Empty(204), Applied: true},
		"results missing": {Effect: hubspottest.Omit(), Applied: true},
		"truncated":       {Effect: hubspottest.Truncate(), Applied: true},
		"HTML under 200":  {Effect: hubspottest.Page(200)},
	} {
		t.Run(name, func(t *testing.T) {
			bubble(t, 2, hubspottest.Config{Limit: 190, LimitIsMet: true}, func(t *testing.T, w *world) {
				r := rand.New(rand.NewPCG(5, 5))
				stop := w.live()
				w.crowd(r, 500, 200)
				w.settle(time.Minute)
				outage := w.sim.Inject(f)
				w.crowd(r, 500, 200)
				time.Sleep(time.Minute)
				w.crowd(r, 500, 200)
				outage.Remove()
				w.settle(10 * time.Minute)
				if err := stop(); err != nil {
					t.Fatal(err)
				}
				w.judge(nil)
				w.sums()
				if len(w.letters) != 0 {
					t.Errorf("%d dead letters for the system's fault", len(w.letters))
				}
				if n := outage.Struck(); n == 0 || n > 60 {
					t.Errorf("%d requests in a minute of outage", n)
				}
			})
		})
	}
}

func TestRunHoldsMarksBehindUnacknowledgedDeadLetters(t *testing.T) {
	bubble(t, 1, hubspottest.Config{}, func(t *testing.T, w *world) {
		down := true
		w.buryFault = func() error {
			if down {
				return errors.New("no leader")
			}
			return nil
		}
		w.say(0, "a@example.com", hubspot.Subscribed)
		w.produce(0, []byte("rubbish"))
		w.say(0, "b@example.com", hubspot.Unsubscribed)
		stop := w.live()
		time.Sleep(time.Minute)
		if m := w.marks()[0]; m != 1 {
			t.Errorf("mark %d while the dead letter at 1 is not acknowledged", m)
		}
		if n := len(w.sim.State()); n != 2 {
			t.Errorf("HubSpot holds %d keys, want 2: neighbours flow on", n)
		}
		w.mu.Lock()
		down = false
		w.mu.Unlock()
		w.settle(time.Minute)
		if err := stop(); err != nil {
			t.Fatal(err)
		}
		w.judge(nil)
		w.sums()
	})
}

func TestRunSendsFreshWithdrawalsBeforeABacklogOfGrants(t *testing.T) {
	bubble(t, 1, hubspottest.Config{Limit: 10, Interval: time.Second, Latency: hubspottest.Latency(50 * time.Millisecond)}, func(t *testing.T, w *world) {
		w.gate(GateConfig{Limit: 10, Interval: time.Second, Failures: 5, Open: 10 * time.Second})
		w.cfg.Window = 200_000
		w.cfg.WindowBytes = 1 << 30
		for i := range 100_000 {
			w.say(0, "g"+time.Duration(i).String()+"@example.com", hubspot.Subscribed)
		}
		stop := w.live()
		time.Sleep(10 * time.Second) // read
		before := w.sim.Inputs()
		for i := range 100 {
			w.say(0, "w"+time.Duration(i).String()+"@example.com", hubspot.Unsubscribed)
			time.Sleep(100 * time.Millisecond)
		}
		time.Sleep(time.Second)
		took := w.facts.took[Withdrawal]
		slices.Sort(took)
		if len(took) != 100 || took[98] > time.Second {
			t.Errorf("%d withdrawals propagated, p99 %v", len(took), took[len(took)-1])
		}
		if grants := w.sim.Inputs() - before - 100; grants < 900 {
			t.Errorf("%d grants beside them", grants)
		}
		if err := stop(); err != nil {
			t.Fatal(err)
		}
		w.judge(nil)
	})
}
