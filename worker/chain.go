package worker

import "time"

// state is where an input stands on its way.
type state int8

const (
	waiting state = iota // owed; may be in a queue, in a group or held for a time
	flying               // in a request whose answer is not known
	burying              // refused for good; its dead letter is not acknowledged yet
	settled              // nothing is owed any more
)

// entry is one event in the ledger.
type entry struct {
	event    *Event
	part     *partition
	chain    *chain // nil when no input is owed: tombstones and invalid events
	older    *entry // unsettled neighbours of the key, in topic order
	newer    *entry
	seq      int64 // order of admission
	admitted time.Time
	state    state
	alone    bool // goes in a request of its own
	grouped  bool // a member of a group that isolates a culprit
	accepted bool // HubSpot accepted it, in shadow: it goes again and then settles
	sent     int  // requests that carried it
	faults   int  // answers that did not account for it
	refused  int64
	proven   int64     // the newest request when one sent after refused was accepted
	notYet   time.Time // not to be sent before
	refusal  Refusal
}

// chain is the unsettled inputs of one key in topic order. At most one of them is in a request or on its way to the
// dead letters at any time (invariant 2).
type chain struct {
	key      Key
	newest   *entry
	oldest   *entry
	opt      *entry // the newest unsettled withdrawal
	busy     bool   // one of them is flying or burying
	place    place
	at       time.Time // until when, inTime
	version  int32     // of place: an older mention of the chain in a queue is void
	silenced int64     // seq of the newest withdrawal that was settled while the chain lived
	shades   []shade
}

// shade says that a request that carried the input seq may still be applied until then.
type shade struct {
	seq   int64
	until time.Time
}

// place is where a chain's next input waits.
type place int8

const (
	nowhere     place = iota // in flight, or nothing is owed
	inGrants                 // ready
	inOpts                   // ready, a withdrawal
	inAlone                  // ready, goes alone
	inGroup                  // a group of the isolation brings it
	inTime                   // not before a time
	inPartition              // not before its partition has been read ahead
)

// append adds the newest input of the key.
func (c *chain) append(e *entry) {
	e.older = c.newest
	if c.newest != nil {
		c.newest.newer = e
	} else {
		c.oldest = e
	}
	c.newest = e
	if e.event.Class() == Withdrawal {
		c.opt = e
	}
}

// remove takes a settled input out.
func (c *chain) remove(e *entry) {
	if e.older != nil {
		e.older.newer = e.newer
	} else {
		c.oldest = e.newer
	}
	if e.newer != nil {
		e.newer.older = e.older
	} else {
		c.newest = e.older
	}
	if c.opt == e {
		c.opt = previousWithdrawal(e.older)
	}
	e.older, e.newer = nil, nil
}

func previousWithdrawal(e *entry) *entry {
	for e != nil && e.event.Class() != Withdrawal {
		e = e.older
	}
	return e
}

// next is the one input of the key that may be sent next: its newest withdrawal, else its newest input. One that was
// refused alone and is not proven at fault yields to those under it, withdrawals only to withdrawals.
func (c *chain) next() *entry {
	first := c.opt
	step := func(e *entry) *entry { return previousWithdrawal(e.older) }
	if first == nil {
		first = c.newest
		step = func(e *entry) *entry { return e.older }
	}
	for e := first; e != nil; e = step(e) {
		if !e.suspect() {
			return e
		}
	}
	return first
}

// suspect reports whether e was refused alone and nothing has shown since that HubSpot accepts anything.
func (e *entry) suspect() bool { return e.refused > 0 && e.proven == 0 }

// shadow returns until when an older request of the key may still be applied over e; zero when none may.
func (c *chain) shadow(e *entry, now time.Time) time.Time {
	var until time.Time
	if e.part.shadow.After(now) {
		until = e.part.shadow
	}
	for _, s := range c.shades {
		if s.seq < e.seq && s.until.After(now) && s.until.After(until) {
			until = s.until
		}
	}
	return until
}

// shade notes that the request which carried e may be applied until then.
func (c *chain) shade(e *entry, now, until time.Time) {
	c.lift(now)
	for i := range c.shades {
		if c.shades[i].seq == e.seq {
			c.shades[i].until = until
			return
		}
	}
	c.shades = append(c.shades, shade{e.seq, until})
}

// lift forgets shades that are over and returns the end of the last that is not; zero when none is left.
func (c *chain) lift(now time.Time) time.Time {
	var last time.Time
	kept := c.shades[:0]
	for _, s := range c.shades {
		if s.until.After(now) {
			kept = append(kept, s)
			if s.until.After(last) {
				last = s.until
			}
		}
	}
	c.shades = kept
	return last
}
