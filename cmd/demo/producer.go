package main

import (
	"context"
	"math/rand/v2"
	"sync/atomic"
	"time"

	"github.com/twmb/franz-go/pkg/kgo"
)

// A mailing makes this many times as many people act.
const burst = 4

// mood is what the world is like at a moment.
type mood int32

const (
	quiet mood = iota
	mailing
	outage
	recovery
)

// producer writes the traffic, and tells the faults when to strike. One goroutine runs it; the view reads what is atomic.
type producer struct {
	config
	traffic  *traffic
	faults   *faults
	mailings season
	failures season
	failed   time.Duration // when HubSpot failed last, since the beginning

	produced atomic.Int64
	mood     atomic.Int32
}

func newProducer(c config, f *faults) *producer {
	draw := func(n uint64) *rand.Rand { return rand.New(rand.NewPCG(c.seed, n)) }
	return &producer{
		config: c, traffic: newTraffic(c.seed), faults: f,
		mailings: season{r: draw(2), pause: span{10 * time.Second, 20 * time.Second}, length: span{time.Second, 2500 * time.Millisecond},
			now: span{4 * time.Second, 6 * time.Second}},
		failures: season{r: draw(3), pause: span{18 * time.Second, 30 * time.Second}, length: span{3 * time.Second, 5 * time.Second},
			now: span{10 * time.Second, 14 * time.Second}},
	}
}

// run produces until intake ends. When it returns, HubSpot is well.
func (p *producer) run(work, intake context.Context) error {
	defer p.faults.stop()
	tick := time.NewTicker(50 * time.Millisecond)
	defer tick.Stop()
	began := time.Now()
	last, due := began, 0.0
	for intake.Err() == nil {
		now := time.Now()
		rate := float64(p.rate)
		if p.feel(now.Sub(began)) == mailing {
			rate *= burst
		}
		due = min(due+rate*now.Sub(last).Seconds(), rate) // a machine that slept does not catch up
		last = now
		records := make([]*kgo.Record, int(due))
		for i := range records {
			records[i] = p.traffic.next(now, rate > float64(p.rate))
		}
		due -= float64(len(records))
		if err := p.produce(work, records); err != nil {
			return err
		}
		select {
		case <-tick.C:
		case <-intake.Done():
		}
	}
	return nil
}

func (p *producer) produce(work context.Context, records []*kgo.Record) error {
	if err := p.broker.Produce(work, records...); err != nil {
		if work.Err() != nil {
			return context.Cause(work)
		}
		return err
	}
	p.produced.Add(int64(len(records)))
	return nil
}

// nudge lets a few people change their minds, enough of them to meet every partition.
func (p *producer) nudge(work context.Context) error {
	records := make([]*kgo.Record, 4*partitions)
	for i := range records {
		records[i] = p.traffic.ordinary(time.Now())
	}
	return p.produce(work, records)
}

// feel says what the world is like, and makes it so.
func (p *producer) feel(at time.Duration) mood {
	const after = 4 * time.Second // what an outage left behind takes about so long
	m := quiet
	switch {
	case p.outages && p.failures.at(at):
		m, p.failed = outage, at
		p.faults.start()
	case p.failed > 0 && at-p.failed < after:
		m = recovery
		p.faults.stop()
	case p.mailings.at(at):
		m = mailing
	}
	p.mood.Store(int32(m))
	return m
}

// span is a stretch of time, or of lengths of time.
type span struct{ from, to time.Duration }

func (s span) draw(r *rand.Rand) time.Duration {
	return s.from + time.Duration(r.Int64N(int64(s.to-s.from)+1))
}

// season is something that comes and goes.
type season struct {
	r             *rand.Rand
	pause, length span
	now           span // the present time of it, or the next
}

// at reports whether it is there. Times must not go back.
func (s *season) at(t time.Duration) bool {
	for t >= s.now.to {
		from := s.now.to + s.pause.draw(s.r)
		s.now = span{from, from + s.length.draw(s.r)}
	}
	return t >= s.now.from
}
