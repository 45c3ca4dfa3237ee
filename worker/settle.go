package worker

import (
	"cmp"
	"slices"
	"time"
)

// Settle takes the judgement on a batch: every input of it is settled, on its way to the dead letters, or owed again.
func (l *Ledger) Settle(now time.Time, b *Batch, j *Judgement) {
	l.inFlight--
	for _, e := range b.entries {
		e.state, e.chain.busy = waiting, false
		if j.Unanswered {
			e.chain.shade(e, now, now.Add(l.limits.Afterlife))
		}
	}
	switch {
	case j.Refused:
		l.refused(now, b, j)
	case j.Verdicts != nil:
		l.judged(now, b, j)
	}
	for _, e := range b.entries {
		if e.state == waiting && e.event.Class() == Grant && e.seq < e.chain.silenced {
			l.settle(e, Superseded) // a withdrawal that an earlier life settled was read while it was in flight
		}
		l.put(now, e.chain)
	}
}

// judged settles the inputs of a batch one by one.
func (l *Ledger) judged(now time.Time, b *Batch, j *Judgement) {
	for i, e := range b.entries {
		switch v := j.Verdicts[i]; v {
		case VerdictWritten:
			l.written(now, e)
		case VerdictRejected:
			l.condemn(now, e, j.Refusals[i])
		case VerdictRefused:
			l.refusedAlone(now, b, e, j.Refusals[i])
		case VerdictUnknown:
			l.unknown(now, b, e, j.Refusals[i])
		case VerdictRetry:
		}
	}
	if j.Accepted {
		l.prove(now, b)
	}
}

// written settles an input that HubSpot accepted, and every older one of its key with it. A withdrawal that an older
// request may still undo is owed until that cannot happen any more: then it goes again.
func (l *Ledger) written(now time.Time, e *entry) {
	if !e.accepted {
		l.report.Accepted = append(l.report.Accepted, Acceptance{e.event.Class(), e.event.Occurred})
	}
	e.alone, e.refused, e.faults, e.notYet = false, 0, 0, time.Time{}
	if e.event.Class() == Withdrawal {
		if until := e.chain.shadow(e, now); !until.IsZero() {
			e.accepted, e.notYet = true, until
			return
		}
		e.chain.silenced = max(e.chain.silenced, e.seq)
	}
	older := e.older
	l.settle(e, Written)
	l.supersede(older, false)
}

// supersede settles e and all inputs under it but the one in flight, if there is one; with grantsOnly the withdrawals
// among them stay owed.
func (l *Ledger) supersede(e *entry, grantsOnly bool) {
	for e != nil {
		older := e.older
		if e.state == waiting && (!grantsOnly || e.event.Class() == Grant) {
			l.settle(e, Superseded)
		}
		e = older
	}
}

// settle ends an input.
func (l *Ledger) settle(e *entry, outcome Outcome) {
	e.state = settled
	if e.chain != nil {
		e.chain.remove(e)
	}
	e.part.unsettled--
	e.part.advance()
	l.report.Ended[outcome]++
}

// condemn gives an input up. One that HubSpot accepted before, and that only goes again because an older request may undo
// it, is not given up (invariant 4).
func (l *Ledger) condemn(now time.Time, e *entry, why Refusal) {
	if e.accepted {
		e.alone, e.notYet = true, now.Add(time.Minute)
		return
	}
	e.refusal = why
	l.bury(e)
}

// bury sends an event on its way to the dead letters. Its key waits until the letter is acknowledged.
func (l *Ledger) bury(e *entry) {
	e.state = burying
	if e.chain != nil {
		e.chain.busy = true
	}
	l.burying++
	l.dead = append(l.dead, e)
}

// maxLetters is how many dead letters are handed out at once; the dead-letter topic gets them as one or a few batches.
const maxLetters = 500

// Dead hands out what is to be buried next; nil when nothing is.
func (l *Ledger) Dead(now time.Time) (letters []DeadLetter, of []*entry) {
	of = l.dead[:min(len(l.dead), maxLetters)]
	if len(of) == 0 {
		return nil, nil
	}
	l.dead = l.dead[len(of):]
	letters = make([]DeadLetter, len(of))
	for i, e := range of {
		letters[i] = DeadLetter{
			Record: e.event.Record, Reason: e.refusal.Reason, Cause: e.refusal.Cause, Attempts: e.sent,
			Category: e.refusal.Category, CorrelationID: e.refusal.CorrelationID, At: now,
		}
	}
	return letters, of
}

// Buried settles events whose dead letters are acknowledged. A refused withdrawal takes the older grants of its key along:
// they must not be applied over a "no" that was meant later. Older withdrawals are owed again.
func (l *Ledger) Buried(now time.Time, of []*entry) {
	for _, e := range of {
		l.burying--
		older := e.older
		l.settle(e, Buried)
		l.report.Reasons = append(l.report.Reasons, e.refusal.Reason)
		c := e.chain
		if c == nil {
			continue
		}
		c.busy = false
		if e.event.Class() == Withdrawal {
			c.silenced = max(c.silenced, e.seq)
			l.supersede(older, true)
		}
		l.put(now, c)
	}
}

// refused isolates the culprit of a request that was refused as a whole. If the answer named exactly one input, that one
// is taken out and the rest go again; otherwise halves go, in order, until the culprits stand alone.
func (l *Ledger) refused(now time.Time, b *Batch, j *Judgement) {
	n := len(b.entries)
	switch {
	case n == 1:
		l.refusedAlone(now, b, b.entries[0], j.Refusals[0])
	case j.Culprit >= 0:
		l.refusedAlone(now, b, b.entries[j.Culprit], j.Refusals[j.Culprit])
		rest := make([]*entry, 0, n-1)
		for i, o := range b.entries {
			if i != j.Culprit {
				rest = append(rest, o)
			}
		}
		l.regroup(b, rest)
	default:
		l.regroup(b, b.entries[:n/2:n/2], b.entries[n/2:])
	}
}

// regroup queues parts of b behind the parts of requests that were refused before its origin, and before all others.
func (l *Ledger) regroup(b *Batch, parts ...[]*entry) {
	origin := cmp.Or(b.origin, b.Number)
	at := slices.IndexFunc(l.groups, func(g group) bool { return g.origin >= origin })
	if at < 0 {
		at = len(l.groups)
	}
	for i, entries := range parts {
		for _, e := range entries {
			e.grouped = true
		}
		l.groups = slices.Insert(l.groups, at+i, group{entries, origin})
	}
}

// refusedAlone notes that e was refused in a request of its own. It is at fault for good only when it is refused again by
// a request cut after another one, sent since the first refusal, was accepted: something that refuses everything
// condemns nobody (invariant 4). Until then it goes again alone, more and more seldom, or as soon as there is proof.
func (l *Ledger) refusedAlone(now time.Time, b *Batch, e *entry, why Refusal) {
	if e.proven > 0 && b.Number > e.proven {
		l.condemn(now, e, why)
		return
	}
	e.alone = true
	if e.refused == 0 {
		l.suspects = append(l.suspects, e)
	}
	e.refused, e.proven = l.requests, 0
	e.notYet = now.Add(delay(e.sent))
}

// unknown notes that an answer did not account for e. It goes again alone; when that has been so too often it is treated
// as refused alone.
func (l *Ledger) unknown(now time.Time, b *Batch, e *entry, why Refusal) {
	e.faults++
	e.alone = true
	if e.faults < l.limits.MaxAttempts {
		if len(b.entries) == 1 {
			e.notYet = now.Add(delay(e.faults))
		}
		return
	}
	l.refusedAlone(now, b, e, why)
}

// delay is how long an input that was refused or not accounted for, alone, waits before it goes again: 0.5 s, doubling,
// up to a minute.
func delay(times int) time.Duration {
	return min(time.Minute, 250*time.Millisecond<<min(times, 10))
}

// prove tells the suspects that HubSpot accepted an input of b: they go again now, and a second refusal is final.
func (l *Ledger) prove(now time.Time, b *Batch) {
	if len(l.suspects) == 0 {
		return
	}
	kept := l.suspects[:0]
	for _, e := range l.suspects {
		if e.state != waiting && e.state != flying || e.refused == 0 {
			continue
		}
		if b.Number <= e.refused || e.proven > 0 {
			kept = append(kept, e)
			continue
		}
		e.proven, e.notYet = l.requests, time.Time{}
		l.put(now, e.chain)
		kept = append(kept, e)
	}
	clear(l.suspects[len(kept):])
	l.suspects = kept
}

// Unburied takes back events whose dead letters were not acknowledged: they are handed out again.
func (l *Ledger) Unburied(of []*entry) {
	l.dead = append(append([]*entry(nil), of...), l.dead...)
}

// Adopt takes over how many inputs HubSpot takes in one request. Groups that are larger are sent in parts.
func (l *Ledger) Adopt(n int) {
	l.limits.BatchSize = n
	var groups []group
	for _, g := range l.groups {
		for part := range slices.Chunk(g.entries, n) {
			groups = append(groups, group{part, g.origin})
		}
	}
	l.groups = groups
}
