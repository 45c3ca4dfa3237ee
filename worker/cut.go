package worker

import (
	"slices"
	"time"

	"consent-worker/hubspot"
)

// Batch is the inputs of one request. A key stands in it once, and in no other batch in flight.
type Batch struct {
	Number  int64 // of the request in this life, from 1
	Inputs  []hubspot.Input
	Keys    []Key
	Suspect bool // one of few inputs that were refused alone, to see whether it still is
	entries []*entry
	origin  int64 // of the group that it is; 0 when it is none
}

// maxBody bounds the inputs of one request, in bytes. HubSpot documents no limit; a hundred ordinary inputs take 20 kB.
const maxBody = 1 << 20

// put finds the place where the chain's next input waits. It is called whenever something about the chain has changed.
func (l *Ledger) put(now time.Time, c *chain) {
	e := c.next()
	where, at := nowhere, time.Time{}
	switch {
	case e == nil:
		if at = c.lift(now); !at.IsZero() {
			where = inTime // the next input of the key must know of the shadow
		} else if !c.busy {
			delete(l.chains, c.key)
		}
	case c.busy:
	case e.grouped:
		where = inGroup
	case !e.part.ahead && (e.event.Class() == Grant || now.Before(l.born.Add(earlyWithdrawal))):
		where = inPartition
	default:
		if at = e.notYet; e.event.Class() == Grant {
			if until := c.shadow(e, now); until.After(at) {
				at = until
			}
		}
		switch {
		case at.After(now):
			where = inTime
		case e.alone:
			where = inAlone
		case e.event.Class() == Withdrawal:
			where = inOpts
		default:
			where = inGrants
		}
	}
	if where == c.place && (where != inTime || at.Equal(c.at)) {
		return
	}
	l.leave(c)
	c.place, c.at = where, at
	switch where {
	case inGrants:
		l.ready[Grant]++
		l.grants.push(mention{c.oldest.seq, c, c.version})
	case inOpts:
		l.ready[Withdrawal]++
		l.opts.push(mention{c.oldest.seq, c, c.version})
	case inAlone:
		rank := e.seq
		if e.event.Class() == Grant {
			rank += 1 << 62 // withdrawals first
		}
		l.single.push(mention{rank, c, c.version})
	case inTime:
		l.timed.push(mention{l.since(at), c, c.version})
	case inPartition:
		e.part.held = append(e.part.held, c)
	}
}

// leave makes every mention of the chain void.
func (l *Ledger) leave(c *chain) {
	switch c.place {
	case inGrants:
		l.ready[Grant]--
	case inOpts:
		l.ready[Withdrawal]--
	}
	c.version++
	c.place = nowhere
}

// wake puts the chains whose time has come where they belong now.
func (l *Ledger) wake(now time.Time) {
	for l.timed.first() != nil && l.timed[0].rank <= l.since(now) {
		c := l.timed.pop().chain
		c.place = nowhere
		l.put(now, c)
	}
	if l.early || now.Before(l.born.Add(earlyWithdrawal)) {
		return
	}
	l.early = true // from now on no withdrawal is held by its partition
	for _, p := range l.partitions {
		l.release(now, p)
	}
}

// since is a time on the one clock of the ledger: the monotonic one, which no correction of the wall clock moves.
func (l *Ledger) since(t time.Time) int64 { return int64(t.Sub(l.born)) }

// Due returns when the next batch is due: now or earlier when it is; the zero time when nothing waits for company or
// for a time.
func (l *Ledger) Due(now time.Time) time.Time {
	l.wake(now)
	if !l.open {
		return time.Time{}
	}
	if len(l.groups) > 0 || l.single.first() != nil || l.ready[Withdrawal]+l.ready[Grant] >= l.limits.BatchSize {
		return now
	}
	var due time.Time
	sooner := func(t time.Time) {
		if due.IsZero() || t.Before(due) {
			due = t
		}
	}
	if c := l.opts.first(); c != nil {
		sooner(c.oldest.admitted.Add(l.limits.Linger / 10))
	}
	if c := l.grants.first(); c != nil {
		sooner(c.oldest.admitted.Add(l.limits.Linger))
	}
	if l.timed.first() != nil {
		sooner(l.born.Add(time.Duration(l.timed[0].rank)))
	}
	if early := l.born.Add(earlyWithdrawal); !l.early {
		for _, p := range l.partitions {
			if len(p.held) > 0 {
				sooner(early)
			}
		}
	}
	return due
}

// Cut takes the next batch of at most n inputs; nil when there is nothing to send. Parts of a refused request and
// inputs that go alone take turns with fresh inputs, so that no poison keeps an opt-out waiting.
func (l *Ledger) Cut(now time.Time, n int) *Batch {
	l.wake(now)
	if !l.open {
		return nil
	}
	var chosen []*entry
	var origin int64
	fresh := l.ready[Withdrawal]+l.ready[Grant] > 0
	l.lone = !l.lone || !fresh
	if n < l.limits.BatchSize && l.ready[Withdrawal] > 0 {
		l.lone = false // a small batch is a probe: an opt-out if there is one
	}
	if l.lone {
		chosen, origin = l.isolated(now, n)
	}
	if len(chosen) == 0 {
		chosen = l.fill(now, min(n, l.limits.BatchSize))
	}
	if len(chosen) == 0 {
		chosen, origin = l.isolated(now, n)
	}
	if len(chosen) == 0 {
		return nil
	}
	l.requests++
	l.inFlight++
	b := &Batch{Number: l.requests, origin: origin, entries: chosen, Inputs: make([]hubspot.Input, len(chosen)), Keys: make([]Key, len(chosen))}
	b.Suspect = len(chosen) == 1 && chosen[0].refused > 0 && len(l.suspects) < lifeless
	for i, e := range chosen {
		e.state, e.grouped = flying, false
		e.sent++
		e.chain.busy = true
		l.leave(e.chain)
		b.Inputs[i], b.Keys[i] = e.event.Input, e.event.Key
	}
	return b
}

// isolated takes up to n of the next part of a refused request or, in turns, an input that goes alone; nil when there is
// neither.
func (l *Ledger) isolated(now time.Time, n int) (chosen []*entry, origin int64) {
	c := l.single.first()
	l.singly = c != nil && (!l.singly || len(l.groups) == 0)
	if l.singly {
		return []*entry{c.next()}, 0
	}
	for len(l.groups) > 0 {
		g := l.groups[0]
		l.groups = l.groups[1:]
		for i, e := range g.entries {
			if e.state != waiting || !e.grouped {
				continue
			}
			if len(chosen) == n {
				l.groups = slices.Insert(l.groups, 0, group{g.entries[i:], g.origin})
				break
			}
			if c := e.chain; c.busy || c.next() != e {
				e.grouped = false // a newer word of the key goes instead
				l.put(now, c)
				continue
			}
			chosen = append(chosen, e)
		}
		if len(chosen) > 0 {
			return chosen, g.origin
		}
	}
	if c = l.single.first(); c != nil {
		return []*entry{c.next()}, 0
	}
	return nil, 0
}

// fill takes up to n ready inputs: withdrawals, then grants, each longest waiting first. While grants wait they keep a
// tenth of the places, in batches of one every tenth batch.
func (l *Ledger) fill(now time.Time, n int) []*entry {
	if l.ready[Withdrawal]+l.ready[Grant] == 0 {
		return nil
	}
	kept := 0
	if l.ready[Grant] > 0 && l.ready[Withdrawal] > 0 {
		kept = min(l.ready[Grant], max(1, n/10))
		if n == 1 {
			if l.tenths++; l.tenths < 10 {
				kept = 0
			} else {
				l.tenths = 0
			}
		}
	}
	chosen := make([]*entry, 0, min(n, l.ready[Withdrawal]+l.ready[Grant]))
	bytes := 0
	take := func(q *queue, upTo int) {
		for len(chosen) < upTo {
			c := q.first()
			if c == nil {
				return
			}
			e := c.next()
			if bytes += inputSize(&e.event.Input); bytes > maxBody && len(chosen) > 0 {
				return
			}
			q.pop()
			l.leave(c)
			if e.event.Class() == Grant && e.seq < c.silenced {
				l.report.Violations++ // cannot be; if it is, the opt-out stands
				l.supersede(e, false)
				l.put(now, c)
				continue
			}
			chosen = append(chosen, e)
		}
	}
	take(&l.opts, n-kept)
	take(&l.grants, n)
	return slices.Clip(chosen)
}
