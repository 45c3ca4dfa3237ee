package worker

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"math/rand/v2"
	"testing"
	"testing/synctest"
	"time"

	"consent-worker/hubspot"
	"consent-worker/hubspot/hubspottest"
)

var (
	simSeeds = flag.Int("seeds", 150, "how many seeds the simulation runs")
	simSeed  = flag.Uint64("seed", 0, "run the simulation with this seed alone")
)

// TestSimulation lets seeds pick everything that can go wrong, and judges the whole history at the end.
func TestSimulation(t *testing.T) {
	if *simSeed != 0 {
		simulate(t, *simSeed)
		return
	}
	for seed := range uint64(*simSeeds) {
		simulate(t, seed+1)
	}
}

// silent is an Observer that hears nothing: several lives may talk at once.
type silent struct{ t *testing.T }

func (silent) Fetched(int)                           {}
func (silent) Ended(Outcome, int)                    {}
func (silent) Propagated(Class, time.Duration)       {}
func (silent) DeadLettered(Reason, int)              {}
func (silent) Answered(Reaction, int, time.Duration) {}
func (silent) Closed(Closure, time.Duration)         {}
func (silent) Committed(CommitOutcome)               {}
func (silent) Missing(int32, int64)                  {}
func (silent) Foreign(int32)                         {}
func (s silent) OrderViolated()                      { s.t.Error("the ledger stopped itself from breaking invariant 3") }
func (silent) Snapshot(*Snapshot)                    {}

// replica is one life that can also end without a word.
type replica struct {
	HubSpot
	DeadLetters
	Generation
	stop context.CancelFunc // as SIGTERM or a rebalance would
	dead context.Context    // ends when it crashes: nothing leaves it any more
	kill context.CancelFunc
	done chan error
}

func (r *replica) WriteStatuses(ctx context.Context, in []hubspot.Input) (hubspot.Response, error) {
	if r.dead.Err() != nil {
		return hubspot.Response{}, r.dead.Err()
	}
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	defer context.AfterFunc(r.dead, cancel)()
	return r.HubSpot.WriteStatuses(ctx, in)
}

func (r *replica) Bury(ctx context.Context, letters []DeadLetter) error {
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	defer context.AfterFunc(r.dead, cancel)()
	return r.DeadLetters.Bury(ctx, letters)
}

func (r *replica) Commit(ctx context.Context, c map[int32]Commit) error {
	if r.dead.Err() != nil {
		return fmt.Errorf("crashed: %w", ErrFenced)
	}
	return r.Generation.Commit(ctx, c)
}

func (w *world) start(cfg Config) *replica {
	r := &replica{HubSpot: cfg.HubSpot, DeadLetters: w, Generation: w.join(), done: make(chan error, 1)}
	var ctx context.Context
	ctx, r.stop = context.WithCancel(w.t.Context())
	r.dead, r.kill = context.WithCancel(w.t.Context())
	cfg.HubSpot, cfg.DeadLetters = r, r
	gate, err := NewGate(GateConfig{Limit: 100, Interval: time.Second, Failures: 5, Open: time.Second})
	if err != nil {
		w.t.Fatal(err)
	}
	cfg.Gate = gate
	go func() { r.done <- Run(ctx, cfg, r) }()
	return r
}

func simulate(t *testing.T, seed uint64) {
	synctest.Test(t, func(t *testing.T) {
		r := rand.New(rand.NewPCG(seed, 2))
		w := newWorld(t, 1+r.IntN(2), hubspottest.Config{
			Seed: seed, Latency: hubspottest.LatencyBetween(0, 300*time.Millisecond, seed), Report: brokenRules{t, seed},
		})
		defer func() {
			w.sim.Close()
			if t.Failed() {
				t.Logf("run it alone: go test ./worker -run TestSimulation -seed %d", seed)
			}
		}()
		client, err := hubspot.New(hubspot.Config{
			BaseURL: "http://hubspot.test", Version: "v4", Tokens: hubspot.StaticToken("secret"), Timeout: time.Second, Transport: w.sim.Transport(),
		})
		if err != nil {
			t.Fatal(err)
		}
		w.cfg.HubSpot, w.cfg.Observer = client, silent{t}
		w.cfg.Afterlife, w.cfg.Drain, w.cfg.CommitEvery, w.cfg.CommitTimeout = 5*time.Second, 2*time.Second, 200*time.Millisecond, time.Second
		s := &simulation{world: w, r: r, addresses: 2 + r.IntN(8), poison: r.IntN(2) == 0}
		s.taint()
		s.life()
		for range 30 + r.IntN(40) {
			s.step()
			time.Sleep(time.Duration(r.IntN(1500)) * time.Millisecond)
		}
		s.end()
	})
}

// brokenRules reports what the simulated HubSpot complains of. Requests that overlap are excused: a crash or a late
// application makes them, and the history shows whether that did harm.
type brokenRules struct {
	t    *testing.T
	seed uint64
}

func (b brokenRules) Errorf(format string, args ...any) {
	if s := fmt.Sprintf(format, args...); !hasOverlap(s) {
		b.t.Errorf("seed %d: %s", b.seed, s)
	}
}

// simulation is one seed's run.
type simulation struct {
	*world
	r         *rand.Rand
	now       *replica
	zombies   []*replica
	addresses int
	poison    bool
	faults    []*hubspottest.Injected
	stormed   bool
	last      bool // everything is healed
}

// life starts a replica with numbers of its own: lives differ in their windows and batches.
func (s *simulation) life() {
	cfg := s.cfg
	cfg.Window = 3 + s.r.IntN(40)
	if s.last { // a window full of poison and nothing else would wait for ever, and rightly
		cfg.Window = 1000
	}
	cfg.BatchSize = 1 + s.r.IntN(12)
	cfg.InFlight = 1 + s.r.IntN(4)
	cfg.Linger = time.Duration(s.r.IntN(300)) * time.Millisecond
	s.now = s.start(cfg)
}

// step does one thing to the world.
func (s *simulation) step() {
	switch n := s.r.IntN(20); {
	case n < 9:
		for range 1 + s.r.IntN(12) {
			s.event()
		}
	case n < 11: // HubSpot fails in some way for some requests, and they may be applied nevertheless, or later
		f := hubspottest.Fault{Effect: s.effect(), Times: 1 + s.r.IntN(4), Applied: s.r.IntN(2) == 0}
		if s.r.IntN(3) == 0 {
			unanswered := []hubspottest.Effect{hubspottest.Page(502), hubspottest.Page(504), hubspottest.Page(524), hubspottest.Hang(), hubspottest.Cut(), hubspottest.CutAnswer()}
			f.Effect, f.Applied, f.Late = unanswered[s.r.IntN(len(unanswered))], false, time.Duration(s.r.IntN(4000))*time.Millisecond
		}
		s.faults = append(s.faults, s.sim.Inject(f))
	case n < 12:
		s.heal()
	case n < 14: // an orderly end, as of a rebalance
		s.now.stop()
		s.join(s.now)
		s.life()
	case n < 16: // a crash
		s.now.kill()
		s.zombies = append(s.zombies, s.now)
		s.life()
	case n < 17: // an eviction: the old life does not know yet
		s.zombies = append(s.zombies, s.now)
		time.Sleep(s.cfg.Drain) // the session outlives the drain and the timeout of a request
		s.now.kill()
		s.life()
	case n < 18:
		s.faultCommits()
	case n < 19:
		s.faultBurials()
	default:
		s.mu.Lock()
		s.commitFault, s.buryFault = nil, nil
		s.mu.Unlock()
	}
	if len(s.now.done) > 0 { // it ended by itself, on a commit without an answer
		s.join(s.now)
		s.life()
	}
}

func (s *simulation) event() {
	a := s.r.IntN(s.addresses)
	p := int32(a % len(s.log))
	switch s.r.IntN(30) {
	case 0:
		s.produce(p, nil)
	case 1:
		s.produce(p, []byte("{"))
	default:
		name := fmt.Sprintf("a%d@example.com", a)
		if s.poison && s.r.IntN(6) == 0 {
			s.mu.Lock()
			at := len(s.log[p])
			s.mu.Unlock() // a poisoned input among others of the same key: told by its legal basis
			s.produce(p, poisonous(name, s.status(), fmt.Sprintf("%d/%d", p, at)))
			return
		}
		s.say(p, name, s.status())
	}
}

func (s *simulation) status() hubspot.Status {
	return []hubspot.Status{hubspot.Subscribed, hubspot.Unsubscribed, hubspot.NotSpecified}[s.r.IntN(3)]
}

func poisonous(name string, status hubspot.Status, explanation string) []byte {
	return fmt.Appendf(nil, `{"subscriberIdString":%q,"subscriptionId":1,"statusState":%q,"legalBasis":"NON_GDPR","legalBasisExplanation":%q}`,
		name, status, explanation)
}

func isPoisonous(in hubspot.Input) bool { return in.LegalBasis == hubspot.NonGDPR }

// taint makes HubSpot refuse poisonous inputs, from the beginning and for ever: what it took once it would not refuse later.
func (s *simulation) taint() {
	if s.poison {
		s.sim.Inject(hubspottest.Fault{Effect: hubspottest.Poison(hubspottest.Naming(s.r.IntN(3))), Inputs: isPoisonous})
	}
}

func (s *simulation) heal() {
	for _, f := range s.faults {
		f.Remove()
	}
	s.faults = nil
}

func (s *simulation) effect() hubspottest.Effect {
	effects := []hubspottest.Effect{
		hubspottest.Page(503), hubspottest.Page(504), hubspottest.Page(524), hubspottest.Hang(), hubspottest.Cut(), hubspottest.CutAnswer(),
		hubspottest.Unauthorized(), hubspottest.TenSecondly(), hubspottest.Locked(), hubspottest.Empty(200), hubspottest.Omit(),
		hubspottest.Truncate(), hubspottest.UpperCase(), hubspottest.Reversed(), hubspottest.Twice(),
		hubspottest.OtherStatus("PAUSED"),
	}
	if !s.stormed && s.r.IntN(len(effects)) == 0 {
		// Something that refuses everything, once: one that comes and goes cannot be told from HubSpot's own refusal, twice.
		s.stormed = true
		return hubspottest.Refuse(400, "VALIDATION_ERROR", "no")
	}
	return effects[s.r.IntN(len(effects))]
}

func (s *simulation) faultCommits() {
	late, times := s.r.IntN(2) == 0, 1+s.r.IntN(2)
	s.mu.Lock()
	defer s.mu.Unlock()
	s.commitFault = func() error {
		if times--; times < 0 {
			return nil
		}
		if late {
			return errLate
		}
		return errors.New("no answer")
	}
}

func (s *simulation) faultBurials() {
	late, times := s.r.IntN(2) == 0, 1+s.r.IntN(30)
	s.mu.Lock()
	defer s.mu.Unlock()
	s.buryFault = func() error {
		if times--; times < 0 {
			return nil
		}
		if late {
			return errLate
		}
		return errors.New("not enough replicas")
	}
}

func (s *simulation) join(r *replica) {
	if err := <-r.done; err != nil {
		s.t.Errorf("a life ended with %v", err)
	}
}

// end heals everything, lets a last life finish, and judges.
func (s *simulation) end() {
	s.mu.Lock()
	s.commitFault, s.buryFault = nil, nil
	s.mu.Unlock()
	s.heal()
	s.now.stop()
	s.join(s.now)
	s.last = true
	s.life()
	for until := time.Now().Add(20 * time.Minute); !s.atRest(); time.Sleep(time.Second) {
		if len(s.now.done) > 0 {
			s.join(s.now)
			s.life()
		}
		if time.Now().After(until) {
			s.t.Errorf("not at rest: marks %v", s.marks())
			break
		}
		s.say(0, "life@example.com", hubspot.Subscribed) // life goes on: the proof for the poisoned
		time.Sleep(2 * time.Second)
	}
	s.now.stop()
	s.join(s.now)
	for _, z := range s.zombies {
		z.stop() // an idle one has had nothing to commit, and so has not seen that it is fenced
		s.join(z)
	}
	time.Sleep(10 * time.Second) // whatever is late
	s.judge(func(e *Event) bool { return isPoisonous(e.Input) })
	if n := s.overtaken(); n > 0 {
		s.t.Errorf("invariant 3: %d older grants applied after the mark had passed a withdrawal", n)
	}
}
