package worker

import (
	"context"
	"errors"
	"log/slog"
	"sync"
	"time"

	"consent-worker/hubspot"
)

// HubSpot is the one call that the pipeline makes.
type HubSpot interface {
	// WriteStatuses sends one request. It returns a Response for every 2xx, and otherwise an error: an *hubspot.Error when
	// it was sent or tried.
	WriteStatuses(ctx context.Context, inputs []hubspot.Input) (hubspot.Response, error)
}

// Config is what a life is run with.
type Config struct {
	Limits
	InFlight      int           // requests at once
	Drain         time.Duration // how long the end of a life waits for requests in flight
	CommitEvery   time.Duration
	LegalBasis    LegalBasisPolicy // which inputs must have one
	CommitTimeout time.Duration    // a commit without an answer for so long ends the life
	HubSpot       HubSpot
	DeadLetters   DeadLetters
	Gate          *Gate
	Observer      Observer
	Logger        *slog.Logger
}

// life is one generation's run: the ledger, and what is under way. The loop in Run owns all of it.
type life struct {
	Config
	gen    Generation
	ledger *Ledger
	began  time.Time

	readers map[int32]*reader
	read    chan chunk     // from the readers
	answers chan answer    // from the requests
	buried  chan burial    // from the dead letters
	commits chan commit    // from the commits
	tasks   sync.WaitGroup // everything that sends on these channels

	intake     context.Context // ends first: no more reading
	stopIntake context.CancelCauseFunc
	work       context.Context // ends last: requests, dead letters and commits are given up
	stopWork   context.CancelFunc

	draining   bool
	deadline   time.Time // of the drain
	fatal      error
	noCommit   bool // a commit is unanswered or the group has moved on: none may follow
	committing bool
	burying    bool
	inFlight   int
	commitAt   time.Time // of the last acknowledged commit
	nextCommit time.Time
	nextReport time.Time
	bare       map[int32]bool // partitions whose gaps the broker finds too large
	closed     Closure        // why nothing goes out though a batch is due
	closedAt   time.Time
	holdLogged Closure
}

// answer is the end of one request.
type answer struct {
	batch *Batch
	pass  *Pass
	took  time.Duration
	res   hubspot.Response
	err   error
}

type burial struct {
	of  []*entry
	err error
}

// Run carries the events of one generation to HubSpot until ctx ends, which is the end of the generation or of the
// process: then it reads nothing more, sends nothing more, waits for the requests in flight for at most the drain timeout
// while it goes on committing, commits once more and lets go of the rest. Memory holds nothing that Kafka cannot give
// again.
//
// It returns nil after that, and also when a commit got no answer or was fenced: the next generation begins anew. Any
// other error means that nobody can go on: see ErrTopicGone.
func Run(ctx context.Context, cfg Config, gen Generation) error {
	l := begin(ctx, cfg, gen)
	defer l.tasks.Wait()
	defer l.stopWork()
	defer l.stopIntake(nil)
	wake := time.NewTimer(0)
	defer wake.Stop()
	for {
		if l.intake.Err() != nil {
			l.drain()
		}
		now := time.Now()
		l.readOn()          // every partition whose window has room
		l.bury(now)         // a crash after this and before the commit buries the same event twice: at least once
		next := l.send(now) // a crash after this sends the batch again: HubSpot takes a repeat for no change
		l.commit(now)       // marks pass only what is settled, so a crash on either side of this loses nothing
		l.report(now)
		if l.over(now) {
			return l.end()
		}
		wake.Reset(time.Until(l.sooner(next)))
		select {
		case c := <-l.read:
			l.admit(c)
		case a := <-l.answers:
			l.settle(a)
		case b := <-l.buried:
			l.rest(b)
		case c := <-l.commits:
			l.committed(c)
		case <-wake.C:
		case <-l.intake.Done():
			l.drain()
		}
	}
}

func begin(ctx context.Context, cfg Config, gen Generation) *life {
	now := time.Now()
	assigned := gen.Assignments()
	l := &life{
		Config: cfg, gen: gen, began: now, ledger: NewLedger(cfg.Limits, now, assigned),
		readers: map[int32]*reader{}, read: make(chan chunk), answers: make(chan answer), buried: make(chan burial),
		commits: make(chan commit), nextCommit: now.Add(cfg.CommitEvery), bare: map[int32]bool{},
	}
	l.intake, l.stopIntake = context.WithCancelCause(ctx)
	l.work, l.stopWork = context.WithCancel(context.WithoutCancel(ctx))
	l.Gate.Begin(now, float64(len(assigned))/float64(max(1, gen.Partitions(), len(assigned))))
	for _, a := range assigned {
		intake := l.intake
		r := &reader{gen: gen, partition: a.Partition, position: a.Start, orders: make(chan int64, 1), policy: cfg.LegalBasis, log: cfg.Logger}
		l.readers[a.Partition] = r
		l.tasks.Go(func() { r.run(intake, l.read) })
	}
	return l
}

// readOn tells every idle reader how far it may read.
func (l *life) readOn() {
	if l.draining {
		return
	}
	for id, r := range l.readers {
		if limit, ok := l.ledger.Limit(id); ok && !r.busy {
			r.busy = true
			r.orders <- limit // has room for one, and the reader is idle
		}
	}
}

// admit hands what a reader found to the ledger.
func (l *life) admit(c chunk) {
	if l.draining || l.intake.Err() != nil {
		return // fetched in vain; the next life reads it again
	}
	now := time.Now()
	l.readers[c.partition].busy = false
	if len(c.events) > 0 || c.next > 0 {
		l.ledger.Admit(now, c.partition, c.events, c.next, c.end)
		l.Observer.Fetched(len(c.events))
	}
	if c.err == nil {
		return
	}
	if gone, ok := errors.AsType[*OutOfRangeError](c.err); ok {
		l.ledger.Stop(c.partition, "offset_out_of_range")
		l.Observer.Missing(c.partition, max(0, gone.Start-gone.Offset))
		l.Logger.Error("partition stopped: the log does not hold its next offset; set the group's offset to go on",
			slog.Int("partition", int(c.partition)), slog.Int64("offset", gone.Offset), slog.Int64("log_start", gone.Start), slog.Int64("log_end", gone.End))
		return
	}
	l.fatal = c.err
	l.drain()
}

// send cuts batches while one is due, the gate is open and a request is free. It returns when to look again.
func (l *life) send(now time.Time) time.Time {
	for !l.draining {
		due := l.ledger.Due(now)
		if due.IsZero() || due.After(now) || l.inFlight >= l.InFlight {
			l.close(now, "")
			if l.inFlight >= l.InFlight {
				return time.Time{}
			}
			return due
		}
		pass, why, at := l.Gate.Try(now, l.BatchSize)
		if pass == nil {
			l.close(now, why)
			return at
		}
		b := l.ledger.Cut(now, pass.Inputs)
		if b == nil {
			l.Gate.Return(pass)
			return time.Time{}
		}
		l.close(now, "")
		l.inFlight++
		l.tasks.Go(func() { // one request; ends with its answer, at the latest with the client's timeout
			began := time.Now()
			res, err := l.HubSpot.WriteStatuses(l.work, b.Inputs)
			l.answers <- answer{b, pass, time.Since(began), res, err}
		})
	}
	return time.Time{}
}

// close keeps account of how long the gate kept a due batch from going.
func (l *life) close(now time.Time, why Closure) {
	if l.closed != "" {
		l.Observer.Closed(l.closed, now.Sub(l.closedAt))
	}
	l.closed, l.closedAt = why, now
}

// settle takes the end of a request.
func (l *life) settle(a answer) {
	now := time.Now()
	l.inFlight--
	j := Judge(a.batch, a.res, a.err)
	l.Gate.Report(now, a.pass, j)
	if j.MaxInputs > 0 && j.MaxInputs < l.BatchSize {
		l.BatchSize = j.MaxInputs
		l.ledger.Adopt(j.MaxInputs)
		l.Logger.Warn("HubSpot takes fewer inputs in one request than configured", slog.Int("max_inputs", j.MaxInputs))
	}
	l.ledger.Settle(now, a.batch, j)
	l.Observer.Answered(j.Reaction, len(a.batch.Inputs), a.took)
	l.tell(j)
	l.count(now)
}

// tell logs the beginning and the end of a hold, once each.
func (l *life) tell(j *Judgement) {
	s := l.Gate.Snapshot()
	if s.Closed == l.holdLogged {
		return
	}
	l.holdLogged = s.Closed
	if s.Closed == "" {
		l.Logger.Info("HubSpot takes requests again")
		return
	}
	l.Logger.Warn("requests are held", slog.String("reason", string(s.Closed)), slog.Time("until", s.Until), slog.String("outcome", string(j.Reaction)), slog.String("cause", j.Cause))
}

// count passes on what the ledger has to tell.
func (l *life) count(now time.Time) {
	r := l.ledger.Report()
	for o, n := range r.Ended {
		if n > 0 {
			l.Observer.Ended(Outcome(o), n)
		}
	}
	for _, a := range r.Accepted {
		l.Observer.Propagated(a.Class, max(0, now.Sub(a.Occurred)))
	}
	for _, reason := range r.Reasons {
		l.Observer.DeadLettered(reason, 1)
	}
	for range r.Violations {
		l.Observer.OrderViolated()
		l.Logger.Error("an older grant was about to be sent after a settled withdrawal; it was not")
	}
	for _, p := range r.Foreign {
		l.Observer.Foreign(p)
		l.Logger.Warn("the committed offset carries metadata that this program did not write; an unclean end is assumed", slog.Int("partition", int(p)))
	}
}

// bury hands refused events to the dead-letter topic, one call at a time.
func (l *life) bury(now time.Time) {
	if l.burying || l.work.Err() != nil {
		return
	}
	letters, of := l.ledger.Dead(now)
	if of == nil {
		return
	}
	l.burying = true
	l.tasks.Go(func() { // one call; ends when Kafka has acknowledged all letters, or with the life
		l.buried <- burial{of, l.DeadLetters.Bury(l.work, letters)}
	})
}

// rest takes the end of a burial. Without an acknowledgement nothing is settled.
func (l *life) rest(b burial) {
	l.burying = false
	if b.err == nil {
		l.ledger.Buried(time.Now(), b.of)
		return
	}
	l.ledger.Unburied(b.of)
	if l.work.Err() == nil {
		l.Logger.Error("dead letters are not acknowledged; trying again", slog.Any("error", b.err))
	}
}

// drain begins the end of the life.
func (l *life) drain() {
	if l.draining {
		return
	}
	l.draining = true
	l.deadline = time.Now().Add(l.Drain)
	l.stopIntake(nil)
	l.intake = context.WithoutCancel(l.intake) // its end has been seen
	l.close(time.Now(), "")
}

// over reports whether the drain has come to its end; at its deadline it gives up what is in flight.
func (l *life) over(now time.Time) bool {
	if !l.draining {
		return false
	}
	if !now.Before(l.deadline) {
		l.stopWork() // ends every request and burial soon: their answers come through the loop
	}
	return l.inFlight == 0 && !l.burying && !l.committing
}

// end commits the last marks and returns why the life ended, if that concerns anybody.
func (l *life) end() error {
	now := time.Now()
	if !l.noCommit && len(l.readers) > 0 {
		l.startCommit(l.ledger.Marks(now, true))
		for l.committing {
			l.committed(<-l.commits)
		}
	}
	l.count(now)
	l.Observer.Snapshot(l.snapshot(now, true))
	return l.fatal
}

// report tells the observer the state, once a second.
func (l *life) report(now time.Time) {
	l.count(now)
	if now.Before(l.nextReport) {
		return
	}
	l.nextReport = now.Add(time.Second)
	l.close(now, l.closed)
	l.Observer.Snapshot(l.snapshot(now, false))
}

func (l *life) snapshot(now time.Time, over bool) *Snapshot {
	s := &Snapshot{At: now, Generation: l.gen.ID(), Began: l.began, Draining: l.draining, Over: over, CommitAt: l.commitAt, Gate: l.Gate.Snapshot()}
	l.ledger.describe(s)
	return s
}

// sooner is when the loop must look again though nothing happens: at next if that is set, else on the next tick.
func (l *life) sooner(next time.Time) time.Time {
	at := l.nextReport
	if !l.committing && !l.noCommit && len(l.readers) > 0 && l.nextCommit.Before(at) {
		at = l.nextCommit
	}
	if !next.IsZero() && next.Before(at) {
		at = next
	}
	if l.draining && l.work.Err() == nil && l.deadline.Before(at) {
		at = l.deadline
	}
	return at
}
