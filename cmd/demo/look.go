package main

import (
	"maps"
	"slices"
	"time"

	"consent-worker/worker"
)

// moment is all that the view shows.
type moment struct {
	elapsed, length time.Duration // length 0: until Ctrl-C
	mood            mood
	joined          bool // somebody has partitions
	stage           stage

	produced int
	rate     float64 // events a second, of the last two seconds
	lag      int64
	workers  []crewman
	requests int
	used     int // requests of the last rate interval
	written  int
	dead     map[worker.Reason]int
	optOuts  quantiles
	oldest   time.Duration // since the oldest opt-out that is owed was asked for; 0 when none is
}

// crewman is one worker at a moment.
type crewman struct {
	assigned []int32
	alive    bool // a life is under way
	draining bool
	inFlight int
	filled   float64 // of the windows, 0 to 1
	closed   worker.Closure
	opens    time.Duration // until the gate opens or probes
}

// quantiles of durations; n is of how many.
type quantiles struct {
	n        int
	p50, p99 time.Duration
}

func newQuantiles(all []time.Duration) quantiles {
	if len(all) == 0 {
		return quantiles{}
	}
	slices.Sort(all)
	return quantiles{len(all), all[len(all)/2], all[len(all)*99/100]}
}

// sample is what was counted at a time, for figures that are about the last seconds.
type sample struct {
	at                 time.Time
	produced, requests int
}

// look gathers the figures. One goroutine calls it.
func (d *demo) look(now time.Time) *moment {
	m := &moment{
		elapsed: now.Sub(d.began), length: d.length, mood: mood(d.producer.mood.Load()), stage: stage(d.stage.Load()),
		produced: int(d.producer.produced.Load()), requests: d.sim.Requests().Total, written: d.sim.Inputs(), dead: map[worker.Reason]int{},
	}
	m.rate, m.used = d.recent(sample{now, m.produced, m.requests})
	var optOuts []time.Duration
	for _, r := range d.replicas {
		f := r.tally.figures()
		m.add(now, f)
		optOuts = append(optOuts, f.propagated...)
	}
	m.optOuts = newQuantiles(optOuts)
	return m
}

// recent remembers the sample and returns what the last ones amount to.
func (d *demo) recent(s sample) (rate float64, used int) {
	d.samples = append(d.samples, s)
	for s.at.Sub(d.samples[0].at) > rateInterval {
		d.samples = d.samples[1:]
	}
	before := d.samples[0]
	for _, o := range d.samples {
		if s.at.Sub(o.at) <= 2*time.Second {
			before = o
			break
		}
	}
	if took := s.at.Sub(before.at); took > 0 {
		rate = float64(s.produced-before.produced) / took.Seconds()
	}
	return rate, s.requests - d.samples[0].requests
}

// add takes one worker into the moment.
func (m *moment) add(now time.Time, f figures) {
	for reason, n := range maps.All(f.dead) {
		m.dead[reason] += n
	}
	w := crewman{assigned: f.assigned}
	if s := f.snapshot; s != nil && !s.Over {
		w.alive, w.draining, w.inFlight, w.closed = true, s.Draining, s.InFlight, s.Gate.Closed
		w.opens = max(0, s.Gate.Until.Sub(now))
		for _, p := range s.Partitions {
			m.lag += p.Lag()
			w.filled += float64(p.Position-p.Mark) / window / float64(len(s.Partitions))
		}
		if at := s.Oldest[worker.Withdrawal]; !at.IsZero() {
			m.oldest = max(m.oldest, now.Sub(at))
		}
		m.joined = m.joined || len(s.Partitions) > 0
	}
	m.workers = append(m.workers, w)
}
