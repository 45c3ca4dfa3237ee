package hubspottest

import (
	"cmp"
	"fmt"
	"math/rand/v2"
	"net/http"
	"slices"
	"sync"
	"time"
)

// Reporter is told each broken rule. A testing.TB is one.
type Reporter interface {
	Errorf(format string, args ...any)
}

// Config describes the simulated account. The zero value accepts any token and has no limits but the size of a batch.
type Config struct {
	Token      string        // the bearer token that is accepted; "": any
	Limit      int           // requests in any rolling Interval; 0: no limit, and no headers about it
	Interval   time.Duration // 0: 10 s
	Daily      int           // requests from midnight to midnight, UTC; 0: no limit, and no headers, as for OAuth apps
	BatchLimit int           // inputs of a request; 0: 100
	BodyLimit  int           // bytes of a request, more is a 413; 0: 8 MiB

	// Latency says how long a request takes, from its receipt to the moment at which it is applied and answered. It is asked
	// once for each request, by one goroutine at a time. Nil: no time at all. Like HubSpot, the Sim goes on with a request
	// whose caller has given up.
	Latency func() time.Duration

	Seed        uint64       // of correlation ids, chances and shares
	KeepHistory bool         // for History and Log; without it memory grows with the keys only
	LimitIsMet  bool         // meeting the rolling limit breaks no rule
	Report      Reporter     // may be nil; must take calls until Close has returned
	Definitions []Definition // nil: a few
}

// Definition is a type of subscription.
type Definition struct {
	ID   int64
	Name string
}

// Latency returns the same duration each time, for [Config].
func Latency(d time.Duration) func() time.Duration { return func() time.Duration { return d } }

// LatencyBetween returns durations spread evenly from low to high, the same ones for the same seed, for [Config].
func LatencyBetween(low, high time.Duration, seed uint64) func() time.Duration {
	r := rand.New(rand.NewPCG(seed, seed))
	return func() time.Duration { return low + time.Duration(r.Int64N(int64(high-low)+1)) }
}

// Sim is a simulated HubSpot. All its methods may be called by many goroutines at once.
type Sim struct {
	config Config
	names  map[int64]string // of subscriptions; read only
	mux    *http.ServeMux

	done     chan struct{}  // closed by Close; ends whoever waits for time to pass
	handlers sync.WaitGroup // requests through Transport

	mu         sync.Mutex // guards all below; held while a request is checked or applied, never while it waits
	closed     bool
	generation int // counts calls of Reset: a request of an earlier one writes nothing
	random     *rand.Rand
	tokens     []string
	entries    map[Key]*entry
	faults     []*Injected
	late       map[*time.Timer]struct{}
	rolling    rolling
	daily      daily
	received   int // requests, and the number of the last
	outcomes   map[Outcome]int
	inputs     int
	log        []Request
	violations []string
}

// New returns a Sim that holds nothing.
func New(c Config) *Sim {
	c.Interval = cmp.Or(c.Interval, 10*time.Second)
	c.BatchLimit = cmp.Or(c.BatchLimit, 100)
	c.BodyLimit = cmp.Or(c.BodyLimit, 8<<20)
	if c.Definitions == nil {
		c.Definitions = []Definition{{1, "Newsletter"}, {2, "Product news"}, {3, "Customer Service Communication"}}
	}
	s := &Sim{config: c, names: make(map[int64]string), mux: http.NewServeMux(), done: make(chan struct{})}
	for _, d := range c.Definitions {
		s.names[d.ID] = d.Name
	}
	if c.Token != "" {
		s.tokens = []string{c.Token}
	}
	s.reset()
	s.mux.HandleFunc("POST /communication-preferences/{version}/statuses/batch/write", s.write)
	s.mux.HandleFunc("GET /communication-preferences/{version}/definitions", s.definitions)
	s.mux.HandleFunc("/", s.nowhere)
	return s
}

// ServeHTTP answers a request.
func (s *Sim) ServeHTTP(w http.ResponseWriter, r *http.Request) { s.mux.ServeHTTP(w, r) }

// Close ends every request that waits, with nothing more written, and returns when those of [Sim.Transport] have ended.
// Afterwards connections are cut. What was written can still be read.
func (s *Sim) Close() {
	s.mu.Lock()
	if !s.closed {
		s.closed = true
		close(s.done)
		s.stopLate()
	}
	s.mu.Unlock()
	s.handlers.Wait()
}

// Reset forgets what was written, counted, reported and injected, and gives all limits back. Requests on their way are
// answered, but write nothing.
func (s *Sim) Reset() {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.reset()
}

func (s *Sim) reset() {
	s.generation++
	s.random = rand.New(rand.NewPCG(s.config.Seed, 0))
	s.entries = make(map[Key]*entry)
	s.faults = nil
	s.stopLate()
	s.late = make(map[*time.Timer]struct{})
	s.rolling = rolling{limit: s.config.Limit, interval: s.config.Interval}
	s.daily = daily{limit: s.config.Daily}
	s.received, s.inputs = 0, 0
	s.outcomes = make(map[Outcome]int)
	s.log, s.violations = nil, nil
}

func (s *Sim) stopLate() {
	for t := range s.late {
		t.Stop()
	}
	clear(s.late)
}

// Accept replaces the bearer tokens that are accepted. With none, any token is.
func (s *Sim) Accept(tokens ...string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.tokens = slices.Clone(tokens)
}

// Spend takes n requests from both limits, as another app of the account would that shares them.
func (s *Sim) Spend(n int) {
	s.mu.Lock()
	defer s.mu.Unlock()
	now := time.Now()
	for range n {
		s.rolling.take(now)
		s.daily.take(now)
	}
}

// maxViolations bounds what a Sim remembers. All of them are reported.
const maxViolations = 1000

// Violations returns the rules that callers broke, in the order in which they did: the first thousand. No address is in them.
func (s *Sim) Violations() []string {
	s.mu.Lock()
	defer s.mu.Unlock()
	return slices.Clone(s.violations)
}

// violate reports a broken rule. The caller holds mu; a Reporter must not call back.
func (s *Sim) violate(format string, args ...any) {
	text := fmt.Sprintf(format, args...)
	if len(s.violations) < maxViolations {
		s.violations = append(s.violations, text)
	}
	if s.config.Report != nil && !s.closed {
		s.config.Report.Errorf("hubspottest: %s", text)
	}
}

// wait lets time pass. It reports false when the Sim was closed meanwhile.
func (s *Sim) wait(d time.Duration) bool {
	if d <= 0 {
		return true
	}
	timer := time.NewTimer(d)
	defer timer.Stop()
	select {
	case <-timer.C:
		return true
	case <-s.done:
		return false
	}
}
