package hubspottest

import (
	"net/http"
	"strconv"
	"time"
)

// rolling allows a number of requests in every window of an interval, wherever it begins: it remembers when each was.
type rolling struct {
	limit    int // 0: none
	interval time.Duration
	times    []time.Time // of the requests that still count, oldest first from head
	head     int
}

// take reports whether a request may pass at now, and counts it if so. One that was exactly an interval ago counts no more.
func (r *rolling) take(now time.Time) bool {
	if r.limit == 0 {
		return true
	}
	if r.left(now) == 0 {
		return false
	}
	if r.head > len(r.times)/2 {
		r.times = r.times[:copy(r.times, r.times[r.head:])]
		r.head = 0
	}
	r.times = append(r.times, now)
	return true
}

func (r *rolling) left(now time.Time) int {
	for r.head < len(r.times) && now.Sub(r.times[r.head]) >= r.interval {
		r.head++
	}
	return r.limit - (len(r.times) - r.head)
}

// daily allows a number of requests from midnight to midnight. HubSpot takes the account's zone, the Sim's account is in UTC.
type daily struct {
	limit int // 0: none
	day   time.Time
	used  int
}

// take counts a request; with nothing left there is nothing to count.
func (d *daily) take(now time.Time) {
	if d.left(now) > 0 {
		d.used++
	}
}

// spent reports whether no request may pass at now.
func (d *daily) spent(now time.Time) bool { return d.limit > 0 && d.left(now) == 0 }

func (d *daily) left(now time.Time) int {
	if day := now.UTC().Truncate(24 * time.Hour); !day.Equal(d.day) {
		d.day, d.used = day, 0
	}
	return d.limit - d.used
}

// limitHeaders writes what HubSpot's usage guidelines say about the limits. The caller holds mu.
func (s *Sim) limitHeaders(h http.Header, now time.Time) {
	if s.rolling.limit > 0 {
		h["X-Hubspot-Ratelimit-Max"] = []string{strconv.Itoa(s.rolling.limit)}
		h["X-Hubspot-Ratelimit-Remaining"] = []string{strconv.Itoa(s.rolling.left(now))}
		h["X-Hubspot-Ratelimit-Interval-Milliseconds"] = []string{strconv.FormatInt(s.rolling.interval.Milliseconds(), 10)}
	}
	if s.daily.limit > 0 {
		h["X-Hubspot-Ratelimit-Daily"] = []string{strconv.Itoa(s.daily.limit)}
		h["X-Hubspot-Ratelimit-Daily-Remaining"] = []string{strconv.Itoa(s.daily.left(now))}
	}
}
