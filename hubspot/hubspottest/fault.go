package hubspottest

import (
	"context"
	"slices"
	"time"

	"consent-worker/hubspot"
)

// Fault is something that goes wrong with requests. A request that HubSpot's rules refuse anyway meets no fault.
//
// Faults come in pairs. By itself a fault keeps the inputs it hits from being written; with Applied they are written and it
// only looks as if they were not; with Late they are written that long after the fault has struck. An effect on whole
// requests hits all inputs of the request, whatever Inputs says.
type Fault struct {
	Effect  Effect
	Inputs  func(hubspot.Input) bool // which inputs; a request without any is spared; nil: all. It must be quick.
	Times   int                      // how many requests it strikes; 0: until it is removed
	Chance  float64                  // that it strikes a request; 0: always
	Share   float64                  // of the inputs it hits, each by its own lot; 0: all
	Applied bool
	Late    time.Duration
}

// Injected is a fault in place.
type Injected struct {
	sim     *Sim
	fault   Fault
	struck  int
	removed bool
}

// Inject puts a fault in place. Faults are looked at in the order in which they were injected, and several may strike one
// request; of those on whole requests only the first does.
func (s *Sim) Inject(f Fault) *Injected {
	s.mu.Lock()
	defer s.mu.Unlock()
	in := &Injected{sim: s, fault: f}
	s.faults = append(s.faults, in)
	return in
}

// Heal removes all faults. Requests that were struck already are not helped.
func (s *Sim) Heal() {
	s.mu.Lock()
	defer s.mu.Unlock()
	for _, f := range s.faults {
		f.removed = true
	}
	s.faults = nil
}

// Remove takes the fault away. To do it again does nothing.
func (f *Injected) Remove() {
	f.sim.mu.Lock()
	defer f.sim.mu.Unlock()
	f.sim.remove(f)
}

// Struck returns how many requests the fault has struck.
func (f *Injected) Struck() int {
	f.sim.mu.Lock()
	defer f.sim.mu.Unlock()
	return f.struck
}

func (s *Sim) remove(f *Injected) {
	f.removed = true
	s.faults = slices.DeleteFunc(s.faults, func(other *Injected) bool { return other == f })
}

// exchange is one request to the batch write and what is made of it. It belongs to the goroutine that serves it, but for
// what a comment says.
type exchange struct {
	ctx        context.Context // ends when the caller has given up
	number     int
	generation int
	token      string
	received   time.Time
	body       []byte
	inputs     []input
	overlaps   int // keys that a later request took meanwhile; guarded by Sim.mu

	// What the faults make of it.
	whole  bool // the answer is decided by a fault on the whole request
	ending ending
	answer *Answer // instead of a batch response
	batch  batch
}

// ending is what happens where the answer would be.
type ending int

const (
	answers ending = iota
	hangs          // until the caller gives up
	cuts           // the connection, before the answer
	halves         // the connection, amid the answer
)

// fate is what becomes of one input.
type fate struct {
	apply    when
	late     time.Duration
	reason   string // once it is applied
	omitted  bool   // from the results
	failed   bool   // named, or not, in the errors
	naming   Naming
	answered hubspot.Status // in the result, if not what was asked
}

type when int

const (
	atOnce when = iota
	never
	later
)

// strike lets the faults shape x. The caller holds mu.
func (s *Sim) strike(x *exchange) {
	for _, f := range slices.Clone(s.faults) {
		if f.fault.Effect.whole && x.whole {
			continue
		}
		hits := s.hits(&f.fault, x)
		if len(hits) == 0 {
			continue
		}
		f.struck++
		if f.struck == f.fault.Times {
			s.remove(f)
		}
		x.whole = x.whole || f.fault.Effect.whole
		f.fault.keep(x, hits)
		f.fault.Effect.strike(s, x, hits)
	}
}

// hits returns the inputs that the fault hits this time.
func (s *Sim) hits(f *Fault, x *exchange) []*input {
	if f.Chance > 0 && s.random.Float64() >= f.Chance {
		return nil
	}
	var hits []*input
	for i := range x.inputs {
		in := &x.inputs[i]
		if (f.Inputs == nil || f.Inputs(in.Input)) && (f.Share == 0 || s.random.Float64() < f.Share) {
			hits = append(hits, in)
		}
	}
	return hits
}

// keep decides when the inputs are written. An effect that is no failure leaves that alone.
func (f *Fault) keep(x *exchange, hits []*input) {
	if f.Effect.harmless || f.Applied {
		return
	}
	fail := func(in *input) {
		in.fate.apply, in.fate.late = never, f.Late
		if f.Late > 0 {
			in.fate.apply = later
		}
	}
	if !f.Effect.whole {
		for _, in := range hits {
			fail(in)
		}
		return
	}
	for i := range x.inputs {
		fail(&x.inputs[i])
	}
}
