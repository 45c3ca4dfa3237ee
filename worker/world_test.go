package worker

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"maps"
	"math/rand/v2"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"consent-worker/hubspot"
	"consent-worker/hubspot/hubspottest"
)

// world is a topic, a coordinator and a dead-letter topic in memory, with a simulated HubSpot, for tests in a bubble.
type world struct {
	t   *testing.T
	sim *hubspottest.Sim
	cfg Config

	mu         sync.Mutex
	log        [][]Record
	committed  map[int32]Commit
	passed     []passing // every commit that was stored
	generation int32
	letters    []DeadLetter
	facts      facts

	commitFault func() error  // before a commit is stored; errLate: stored, but not answered
	buryFault   func() error  // before letters are stored; errLate: stored, but not answered
	grown       chan struct{} // closed when a partition grows
}

var errLate = errors.New("stored, and then the connection was cut")

// passing is a mark that the coordinator stored.
type passing struct {
	at   time.Time
	p    int32
	mark int64
}

// facts is what an Observer is told, summed up.
type facts struct {
	ended      [outcomes]int
	fetched    int
	buried     map[Reason]int
	reactions  map[Reaction]int
	closed     map[Closure]time.Duration
	commits    map[CommitOutcome]int
	missing    int64
	foreign    int
	violations int
	took       [classes][]time.Duration
	last       *Snapshot
}

func newWorld(t *testing.T, partitions int, sim hubspottest.Config) *world {
	t.Helper()
	sim.KeepHistory = true
	if sim.Report == nil {
		sim.Report = t
	}
	w := &world{t: t, sim: hubspottest.New(sim), log: make([][]Record, partitions), committed: map[int32]Commit{}, grown: make(chan struct{})}
	w.facts = facts{buried: map[Reason]int{}, reactions: map[Reaction]int{}, closed: map[Closure]time.Duration{}, commits: map[CommitOutcome]int{}}
	client, err := hubspot.New(hubspot.Config{
		BaseURL: "http://hubspot.test", Version: "v4", Tokens: hubspot.StaticToken("secret"), Timeout: 10 * time.Second, Transport: w.sim.Transport(),
	})
	if err != nil {
		t.Fatal(err)
	}
	w.cfg = Config{
		Limits:   Limits{BatchSize: 100, Linger: 500 * time.Millisecond, Window: 20000, WindowBytes: 8 << 20, MaxAttempts: 5, Afterlife: 100 * time.Second},
		InFlight: 8, Drain: 15 * time.Second, CommitEvery: time.Second, CommitTimeout: 10 * time.Second,
		HubSpot: client, DeadLetters: w, Observer: w, Logger: slog.New(slog.DiscardHandler),
	}
	w.gate(GateConfig{Limit: 190, Interval: 10 * time.Second, Failures: 5, Open: 10 * time.Second})
	return w
}

func (w *world) gate(cfg GateConfig) {
	w.t.Helper()
	g, err := NewGate(cfg)
	if err != nil {
		w.t.Fatal(err)
	}
	w.cfg.Gate = g
}

// produce appends records to a partition; each value as it is, nil for a tombstone.
func (w *world) produce(p int32, values ...[]byte) {
	w.mu.Lock()
	defer w.mu.Unlock()
	for _, v := range values {
		w.log[p] = append(w.log[p], Record{Partition: p, Offset: int64(len(w.log[p])), Time: time.Now(), Key: []byte("k"), Value: v})
	}
	close(w.grown)
	w.grown = make(chan struct{})
}

// change is a consent change as JSON. The explanation carries which event it is, so that a judge can tell.
func change(address string, subscription int, status hubspot.Status, explanation string) []byte {
	return fmt.Appendf(nil, `{"subscriberIdString":%q,"subscriptionId":%d,"statusState":%q,"legalBasis":"CONSENT_WITH_NOTICE","legalBasisExplanation":%q}`,
		address, subscription, status, explanation)
}

// say appends one change whose explanation is its partition and offset.
func (w *world) say(p int32, address string, status hubspot.Status) {
	w.mu.Lock()
	at := len(w.log[p])
	w.mu.Unlock()
	w.produce(p, change(address, 1, status, fmt.Sprintf("%d/%d", p, at)))
}

// live runs one life with all partitions until stop is called; stop waits for its end and returns what Run returned.
func (w *world) live() (stop func() error) {
	ctx, cancel := context.WithCancel(w.t.Context())
	gen := w.join()
	done := make(chan error, 1)
	go func() { done <- Run(ctx, w.cfg, gen) }()
	return func() error {
		cancel()
		return <-done
	}
}

// join begins a new generation of one member; all earlier ones are fenced from now on.
func (w *world) join() *generation {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.generation++
	g := &generation{w: w, id: w.generation}
	for p := range w.log {
		c, ok := w.committed[int32(p)]
		g.assigned = append(g.assigned, Assignment{Partition: int32(p), Start: c.Offset, Metadata: c.Metadata, First: !ok, End: int64(len(w.log[p]))})
	}
	return g
}

// generation is a Generation of the world.
type generation struct {
	w        *world
	id       int32
	assigned []Assignment
}

func (g *generation) ID() int32                 { return g.id }
func (g *generation) Assignments() []Assignment { return g.assigned }
func (g *generation) Partitions() int           { return len(g.w.log) }

func (g *generation) Fetch(ctx context.Context, p int32, offset int64) (Fetched, error) {
	wait := time.NewTimer(500 * time.Millisecond)
	defer wait.Stop()
	for {
		g.w.mu.Lock()
		log, grown := g.w.log[p], g.w.grown
		g.w.mu.Unlock()
		if end := int64(len(log)); offset < end {
			to := min(end, offset+500)
			return Fetched{Records: slices.Clone(log[offset:to]), Next: to, End: end}, nil
		}
		select {
		case <-grown:
		case <-wait.C:
			return Fetched{Next: offset, End: int64(len(log))}, nil
		case <-ctx.Done():
			return Fetched{}, ctx.Err()
		}
	}
}

func (g *generation) Commit(_ context.Context, commits map[int32]Commit) error {
	g.w.mu.Lock()
	defer g.w.mu.Unlock()
	if g.id != g.w.generation {
		return fmt.Errorf("generation %d: %w", g.id, ErrFenced)
	}
	var late error
	if g.w.commitFault != nil {
		if err := g.w.commitFault(); errors.Is(err, errLate) {
			late = err
		} else if err != nil {
			return err
		}
	}
	for p, c := range commits {
		if len(c.Metadata) > maxMetadata {
			g.w.t.Errorf("metadata of %d bytes", len(c.Metadata))
		}
		if c.Offset < g.w.committed[p].Offset {
			g.w.t.Errorf("invariant 1: the mark of partition %d went back from %d to %d", p, g.w.committed[p].Offset, c.Offset)
		}
		g.w.committed[p] = c
		g.w.passed = append(g.w.passed, passing{time.Now(), p, c.Offset})
	}
	return late
}

// Bury makes the world the dead-letter topic.
func (w *world) Bury(ctx context.Context, letters []DeadLetter) error {
	for {
		w.mu.Lock()
		var err error
		if w.buryFault != nil {
			err = w.buryFault()
		}
		if err == nil || errors.Is(err, errLate) {
			w.letters = append(w.letters, letters...)
		}
		w.mu.Unlock()
		if err == nil {
			return nil
		}
		if !pause(ctx, 100*time.Millisecond) {
			return ctx.Err()
		}
	}
}

func (w *world) Fetched(n int)                               { w.facts.fetched += n }
func (w *world) Ended(o Outcome, n int)                      { w.facts.ended[o] += n }
func (w *world) Propagated(c Class, d time.Duration)         { w.facts.took[c] = append(w.facts.took[c], d) }
func (w *world) DeadLettered(r Reason, n int)                { w.facts.buried[r] += n }
func (w *world) Answered(r Reaction, _ int, _ time.Duration) { w.facts.reactions[r]++ }
func (w *world) Closed(c Closure, d time.Duration)           { w.facts.closed[c] += d }
func (w *world) Committed(c CommitOutcome)                   { w.facts.commits[c]++ }
func (w *world) Missing(_ int32, n int64)                    { w.facts.missing += n }
func (w *world) Foreign(int32)                               { w.facts.foreign++ }
func (w *world) OrderViolated()                              { w.facts.violations++ }
func (w *world) Snapshot(s *Snapshot)                        { w.facts.last = s }

// atRest reports whether every offset is committed.
func (w *world) atRest() bool {
	w.mu.Lock()
	defer w.mu.Unlock()
	for p, log := range w.log {
		if w.committed[int32(p)].Offset != int64(len(log)) {
			return false
		}
	}
	return true
}

func (w *world) marks() map[int32]int64 {
	w.mu.Lock()
	defer w.mu.Unlock()
	m := map[int32]int64{}
	for p, c := range w.committed {
		m[p] = c.Offset
	}
	return m
}

// judge compares the topic with HubSpot and the dead letters: every committed event ended, nothing innocent is dead, the
// newest word of every key that was not dead-lettered stands, and no withdrawal was undone by an older event.
func (w *world) judge(guilty func(*Event) bool) {
	w.t.Helper()
	dead := map[string]bool{}
	for _, d := range w.letters {
		e := Decode(d.Record)
		dead[fmt.Sprintf("%d/%d", d.Record.Partition, d.Record.Offset)] = true
		if e.Cause == "" && (guilty == nil || !guilty(&e)) {
			w.t.Errorf("invariant 4: innocent dead letter %d/%d (%s, %s)", d.Record.Partition, d.Record.Offset, d.Reason, d.Cause)
		}
	}
	type words struct {
		all, loud *Event // the newest that is not dead, with and without the grants that a dead withdrawal silenced
	}
	newest := map[hubspottest.Key]*words{}
	for p, log := range w.log {
		for _, r := range log[:w.marks()[int32(p)]] {
			e := Decode(r)
			k := hubspottest.Key{Address: e.Key.Address, SubscriptionID: e.Key.Subscription, Channel: e.Key.Channel}
			isDead := dead[fmt.Sprintf("%d/%d", p, r.Offset)]
			if newest[k] == nil {
				newest[k] = &words{}
			}
			switch v := newest[k]; {
			case e.Tombstone():
			case e.Cause != "":
				if !isDead {
					w.t.Errorf("invariant 5: invalid event %d/%d ended nowhere", p, r.Offset)
				}
			case !isDead:
				v.all, v.loud = &e, &e
			case e.Class() == Withdrawal && v.loud != nil && v.loud.Class() == Grant:
				v.loud = nil
			}
		}
	}
	for k, v := range newest {
		got := w.sim.Status(k)
		if v.all == nil || got == v.all.Input.Status || v.loud != v.all {
			continue
		}
		var applied []string
		for _, h := range w.sim.History(k) {
			applied = append(applied, h.Input.LegalBasisExplanation+" "+string(h.Input.Status)[:2])
		}
		w.t.Errorf("invariant 5: a key is %s, its newest word %d/%d says %s; applied %v", got, v.all.Partition, v.all.Offset, v.all.Input.Status, applied)
	}
}

// undone reports each older grant that was applied after a newer withdrawal of its key. With late requests some may be,
// if the withdrawal comes again.
func (w *world) undone() (n int) {
	for k := range w.sim.State() {
		newest := int64(-1)
		for _, h := range w.sim.History(k) {
			_, o := origin(h.Input)
			if h.Input.Status == hubspot.Unsubscribed {
				newest = max(newest, o)
			} else if o < newest {
				n++
			}
		}
	}
	return n
}

// overtaken reports each older grant that was applied after the mark had passed a newer withdrawal of its key.
func (w *world) overtaken() (n int) {
	for k := range w.sim.State() {
		history := w.sim.History(k)
		for i, h := range history {
			if h.Input.Status == hubspot.Unsubscribed {
				continue
			}
			p, o := origin(h.Input)
			for _, earlier := range history[:i] {
				q, at := origin(earlier.Input)
				if earlier.Input.Status == hubspot.Unsubscribed && q == p && at > o && w.markAt(h.Applied, p) > at {
					n++

					break
				}
			}
		}
	}
	return n
}

// markAt returns the mark as the coordinator held it at a time.
func (w *world) markAt(at time.Time, p int32) (mark int64) {
	for _, c := range w.passed {
		if c.p == p && !c.at.After(at) {
			mark = c.mark
		}
	}
	return mark
}

// origin reads partition and offset from the explanation that say wrote.
func origin(in hubspot.Input) (p int32, offset int64) {
	if _, err := fmt.Sscanf(in.LegalBasisExplanation, "%d/%d", &p, &offset); err != nil {
		return -1, -1
	}
	return p, offset
}

// sums checks that the outcomes of one life add up to what it fetched.
func (w *world) sums() {
	w.t.Helper()
	total := 0
	for _, n := range w.facts.ended {
		total += n
	}
	events := 0
	for _, log := range w.log {
		events += len(log)
	}
	if total != events || w.facts.violations != 0 {
		w.t.Errorf("%d events ended as %v, want %d; %d violations", total, w.facts.ended, events, w.facts.violations)
	}
}

// crowd produces n believable changes from a seed: many addresses, some of which change their mind again and again.
func (w *world) crowd(r *rand.Rand, n, addresses int) {
	states := []hubspot.Status{hubspot.Subscribed, hubspot.Unsubscribed, hubspot.Unsubscribed, hubspot.NotSpecified}
	for range n {
		a := r.IntN(addresses)
		w.say(int32(a%len(w.log)), fmt.Sprintf("a%d@example.com", a), states[r.IntN(len(states))])
	}
}

// sorted returns the keys of a map in order.
func sorted[K ~string, V any](m map[K]V) []K { return slices.Sorted(maps.Keys(m)) }

// hasOverlap knows the complaint of the simulated HubSpot about a key in two requests at once.
func hasOverlap(s string) bool {
	return strings.Contains(s, "came again before it was answered")
}
