package main

import (
	"maps"
	"slices"
	"sync"
	"time"

	"consent-worker/worker"
)

// recently is how many of the latest opt-outs the live figures are about.
const recently = 500

// tally is what one worker tells. The worker's loop writes it, the view reads it.
type tally struct {
	mu         sync.Mutex // guards all below
	snapshot   *worker.Snapshot
	assigned   []int32
	dead       map[worker.Reason]int
	propagated []time.Duration // of the latest withdrawals, a ring
	next       int             // place in the ring
}

var _ worker.Observer = (*tally)(nil)

func newTally() *tally { return &tally{dead: map[worker.Reason]int{}} }

// begin notes a new life: its partitions are known before its first snapshot.
func (t *tally) begin(gen worker.Generation) {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.assigned = nil
	for _, a := range gen.Assignments() {
		t.assigned = append(t.assigned, a.Partition)
	}
	slices.Sort(t.assigned)
}

// Snapshot implements worker.Observer.
func (t *tally) Snapshot(s *worker.Snapshot) {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.snapshot = s
}

// DeadLettered implements worker.Observer.
func (t *tally) DeadLettered(reason worker.Reason, events int) {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.dead[reason] += events
}

// Propagated implements worker.Observer.
func (t *tally) Propagated(class worker.Class, took time.Duration) {
	if class != worker.Withdrawal {
		return
	}
	t.mu.Lock()
	defer t.mu.Unlock()
	if len(t.propagated) < recently {
		t.propagated = append(t.propagated, took)
		return
	}
	t.propagated[t.next] = took
	t.next = (t.next + 1) % recently
}

// figures is a copy of a tally.
type figures struct {
	snapshot   *worker.Snapshot // nil before the first; not changed any more
	assigned   []int32
	dead       map[worker.Reason]int
	propagated []time.Duration
}

func (t *tally) figures() figures {
	t.mu.Lock()
	defer t.mu.Unlock()
	return figures{t.snapshot, t.assigned, maps.Clone(t.dead), slices.Clone(t.propagated)}
}

// What the demo counts at HubSpot and in Kafka itself, it does not take from the workers.

// Fetched implements worker.Observer.
func (*tally) Fetched(int) {}

// Ended implements worker.Observer.
func (*tally) Ended(worker.Outcome, int) {}

// Answered implements worker.Observer.
func (*tally) Answered(worker.Reaction, int, time.Duration) {}

// Closed implements worker.Observer.
func (*tally) Closed(worker.Closure, time.Duration) {}

// Committed implements worker.Observer.
func (*tally) Committed(worker.CommitOutcome) {}

// Missing implements worker.Observer.
func (*tally) Missing(int32, int64) {}

// Foreign implements worker.Observer.
func (*tally) Foreign(int32) {}

// OrderViolated implements worker.Observer.
func (*tally) OrderViolated() {}
