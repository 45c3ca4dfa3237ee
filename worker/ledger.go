package worker

import (
	"cmp"
	"time"

	"consent-worker/hubspot"
)

// Limits are the ledger's numbers; the design's table of the environment says where each comes from.
type Limits struct {
	BatchSize   int           // inputs of one request, at most
	Linger      time.Duration // how long a grant waits for company; a withdrawal waits a tenth of that
	Window      int           // offsets read past the mark, each partition
	WindowBytes int           // bytes held of them, each partition
	MaxAttempts int           // answers that do not account for an input, before it is given up
	Afterlife   time.Duration // how long a request that got no answer may still be applied
}

// earlyWithdrawal is how long withdrawals wait for the read-ahead at most. It only spares requests: a newer word of the
// same key may be on its way.
const earlyWithdrawal = 3 * time.Second

// Ledger holds all inputs owed in one life and decides what is sent next, what is settled and what may be committed. It
// has no goroutine, no lock, no clock and no I/O: one goroutine owns it and tells it the time.
type Ledger struct {
	limits     Limits
	born       time.Time
	early      bool // the time is over for which withdrawals wait for the read-ahead
	open       bool // a first commit of this life is acknowledged: something may be sent
	partitions []*partition
	byID       map[int32]*partition
	chains     map[Key]*chain
	seq        int64 // admissions so far
	requests   int64 // requests cut so far
	inFlight   int

	grants, opts queue    // ready chains, the longest waiting first
	single       queue    // ready chains whose input goes alone
	timed        queue    // chains that wait for a time
	ready        [2]int   // chains in opts and grants: stale mentions in the queues not counted
	groups       []group  // isolation: parts of refused requests, those of the oldest request first
	suspects     []*entry // refused alone, not proven at fault
	lone         bool     // the last cut was for the isolation
	singly       bool     // the last cut of the isolation was for an input that goes alone
	tenths       int      // batches of one since the last that went to a grant
	dead         []*entry // to be handed to the dead letters
	burying      int      // state burying, handed out or not
	report       Report
}

// group is inputs that are sent together and without others.
type group struct {
	entries []*entry
	origin  int64 // number of the request whose culprit is sought
}

// Report is what happened since the last one.
type Report struct {
	Ended      [outcomes]int
	Accepted   []Acceptance
	Violations int      // attempts of the ledger itself against invariant 3, each refused
	Foreign    []int32  // partitions whose metadata no life of this program wrote
	Reasons    []Reason // of the dead letters that were acknowledged
}

// Acceptance is an input that HubSpot accepted for the first time in this life.
type Acceptance struct {
	Class    Class
	Occurred time.Time
}

// NewLedger returns the ledger of a life that begins now with the partitions assigned to it.
func NewLedger(limits Limits, now time.Time, assigned []Assignment) *Ledger {
	l := &Ledger{limits: limits, born: now, byID: map[int32]*partition{}, chains: map[Key]*chain{}}
	for _, a := range assigned {
		p := &partition{id: a.Partition, mark: a.Start, next: a.Start, acked: a.Start, end: a.End, reach: a.Start}
		if !a.First {
			l.inherit(p, a, now)
		}
		p.need = min(p.need, a.End)
		p.ahead = p.next >= p.need
		l.partitions = append(l.partitions, p)
		l.byID[p.id] = p
	}
	return l
}

// inherit takes over what the life before left with the mark. Whatever any earlier life sent lies below its reach; what
// left no readable word is taken for a crash with our own window.
func (l *Ledger) inherit(p *partition, a Assignment, now time.Time) {
	was, err := decodeProgress(a.Metadata, a.Start)
	if err != nil {
		if a.Metadata != "" {
			l.report.Foreign = append(l.report.Foreign, a.Partition)
		}
		was = Progress{Reach: a.Start + int64(l.limits.Window)}
	} else {
		p.reach = was.Reach // acknowledged, by whoever wrote it
	}
	p.need, p.gaps = was.Reach, was.Gaps
	if !was.Clean {
		p.shadow = now.Add(l.limits.Afterlife)
	}
}

// Limit returns the offset up to which the partition may be read now; ok is false while its window is full.
func (l *Ledger) Limit(id int32) (offset int64, ok bool) {
	p := l.byID[id]
	// Until the partition is read ahead its bytes are bounded by the reach of the life before: grants, and so the mark,
	// cannot move before that.
	full := p.ahead && p.bytes >= l.limits.WindowBytes
	return p.reach, p.next < p.reach && !full && p.stopped == ""
}

// Stop gives the partition up for this life; what it holds already goes on.
func (l *Ledger) Stop(id int32, why string) { l.byID[id].stopped = why }

// Admit takes the partition's next events, in offset order, and the position after them: offsets between that are not
// among the events hold nothing that is owed. end is the end of the log, or -1.
func (l *Ledger) Admit(now time.Time, id int32, events []Event, next, end int64) {
	p := l.byID[id]
	entries := make([]entry, len(events))
	for i := range events {
		l.seq++
		e := &entries[i]
		*e = entry{event: &events[i], part: p, seq: l.seq, admitted: now}
		p.entries = append(p.entries, e)
		p.bytes += e.event.size()
		l.admit(now, e)
	}
	p.next = max(p.next, next)
	p.end = max(p.end, end, p.next)
	p.advance()
	if !p.ahead && p.next >= p.need {
		p.ahead = true
		l.release(now, p)
	}
}

func (l *Ledger) admit(now time.Time, e *entry) {
	switch inherited := e.part.inherited(e.event.Offset); {
	case inherited:
		e.state = settled
		if e.event.Cause == "" && !e.event.Tombstone() {
			l.silence(now, e)
		}
	case e.event.Tombstone():
		e.state = settled
		l.report.Ended[Tombstone]++
	case e.event.Cause != "":
		e.part.unsettled++
		e.refusal = Refusal{Reason: ReasonInvalidEvent, Cause: e.event.Cause}
		l.bury(e)
	default:
		e.part.unsettled++
		c := l.chains[e.event.Key]
		if c == nil {
			c = &chain{key: e.event.Key}
			l.chains[c.key] = c
		}
		e.chain = c
		c.append(e)
		l.put(now, c)
	}
}

// silence lets a withdrawal that an earlier life settled have its say over older grants of its key: they may be owed
// only because the life before ended between the two. A settled grant silences nothing.
func (l *Ledger) silence(now time.Time, e *entry) {
	c := l.chains[e.event.Key]
	if c == nil || e.event.Class() != Withdrawal {
		return
	}
	c.silenced = e.seq
	l.supersede(c.newest, true)
	l.put(now, c)
}

// release puts the chains that waited for the partition to be read ahead where they belong now.
func (l *Ledger) release(now time.Time, p *partition) {
	held := p.held
	p.held = nil
	for _, c := range held {
		if c.place == inPartition {
			c.place = nowhere
			l.put(now, c)
		}
	}
}

// mark is what is to be committed of a partition.
type mark struct {
	offset int64
	Progress
}

// window is how many offsets the partition may be read past its mark: fewer when the records are large.
func (l *Ledger) window(p *partition) int64 {
	w := l.limits.Window
	if n := len(p.entries) - p.head; n > 0 {
		w = min(w, max(16, l.limits.WindowBytes/max(1, p.bytes/n)))
	}
	return int64(w)
}

// Marks returns what is to be committed now. The reach is never lower than it was in this life, and clean only where
// the caller says that the life has nothing in flight and the ledger knows of no shadow.
func (l *Ledger) Marks(now time.Time, last bool) map[int32]mark {
	clean := last && l.Clean(now)
	marks := make(map[int32]mark, len(l.partitions))
	for _, p := range l.partitions {
		marks[p.id] = mark{p.mark, Progress{
			Reach: max(p.reach, p.mark+l.window(p)),
			Clean: clean && !p.shadow.After(now),
			Gaps:  p.settledSpans(),
		}}
	}
	return marks
}

// Clean reports whether no request of this life is unanswered or may still be applied.
func (l *Ledger) Clean(now time.Time) bool {
	if l.inFlight > 0 {
		return false
	}
	for _, c := range l.chains {
		if !c.lift(now).IsZero() {
			return false
		}
	}
	return true
}

// Urgent reports whether a commit is due before its time: nothing may be sent before the first, and a window of which
// half is used up must not come to its end.
func (l *Ledger) Urgent() bool {
	if !l.open {
		return true
	}
	for _, p := range l.partitions {
		if w := l.window(p); p.mark+w-p.reach >= (w+1)/2 {
			return true
		}
	}
	return false
}

// Changed reports whether a commit would say anything new.
func (l *Ledger) Changed() bool {
	for _, p := range l.partitions {
		if p.mark != p.acked || p.head < len(p.entries) {
			return true
		}
	}
	return false
}

// Committed notes that the coordinator has acknowledged the marks.
func (l *Ledger) Committed(marks map[int32]mark) {
	for id, m := range marks {
		p := l.byID[id]
		p.acked, p.reach = m.offset, max(p.reach, m.Reach)
	}
	l.open = true
}

// Unsettled is how many events are owed.
func (l *Ledger) Unsettled() int {
	n := 0
	for _, p := range l.partitions {
		n += p.unsettled
	}
	return n
}

// Report returns what happened since the last call.
func (l *Ledger) Report() Report {
	r := l.report
	l.report = Report{}
	return r
}

// describe fills the ledger's part of a snapshot.
func (l *Ledger) describe(s *Snapshot) {
	s.InFlight, s.Burying = l.inFlight, l.burying
	for _, p := range l.partitions {
		s.Partitions = append(s.Partitions, PartitionSnapshot{
			Partition: p.id, Acked: p.acked, Mark: p.mark, Position: p.next, Reach: p.reach, End: p.end,
			Unsettled: p.unsettled, Bytes: p.bytes, Stopped: p.stopped,
		})
		for _, e := range p.entries[p.head:] {
			if e.state == settled || e.chain == nil {
				continue
			}
			class := e.event.Class()
			s.Unsettled[class]++
			if at := e.event.Occurred; s.Oldest[class].IsZero() || at.Before(s.Oldest[class]) {
				s.Oldest[class] = at
			}
		}
	}
}

// inputSize bounds what an input takes of a request's body, in bytes: escaping can make six of one (RFC 8259 section 7).
func inputSize(in *hubspot.Input) int {
	return 200 + len(in.SubscriberID) + 6*len(in.LegalBasisExplanation)
}

// queue is a heap of mentions, the lowest rank first.
type queue []mention

// mention says that a chain waits; it is void when the chain has moved since.
type mention struct {
	rank    int64 // seq of the chain's oldest input, or a time in nanoseconds
	chain   *chain
	version int32
}

func (m mention) void() bool { return m.version != m.chain.version }

func (q *queue) push(m mention) {
	h := append(*q, m)
	i := len(h) - 1
	for i > 0 {
		up := (i - 1) / 2
		if cmp.Compare(h[up].rank, m.rank) <= 0 {
			break
		}
		h[i], i = h[up], up
	}
	h[i] = m
	*q = h
}

// pop takes the first mention off; the queue is not empty.
func (q *queue) pop() mention {
	h := *q
	first, last := h[0], h[len(h)-1]
	h[len(h)-1] = mention{}
	h = h[:len(h)-1]
	for i := 0; len(h) > 0; {
		down := 2*i + 1
		if down >= len(h) {
			h[i] = last
			break
		}
		if down+1 < len(h) && h[down+1].rank < h[down].rank {
			down++
		}
		if last.rank <= h[down].rank {
			h[i] = last
			break
		}
		h[i], i = h[down], down
	}
	*q = h
	return first
}

// first returns the first chain that still waits here, nil when none does.
func (q *queue) first() *chain {
	for len(*q) > 0 {
		if m := (*q)[0]; !m.void() {
			return m.chain
		}
		q.pop()
	}
	return nil
}
