package hubspot

import (
	"cmp"
	"net/http"
	"strconv"
	"strings"
	"time"
)

// The keys are written as net/http stores them, so that no look-up has to convert them.
const (
	headerMax            = "X-Hubspot-Ratelimit-Max"
	headerRemaining      = "X-Hubspot-Ratelimit-Remaining"
	headerInterval       = "X-Hubspot-Ratelimit-Interval-Milliseconds"
	headerDaily          = "X-Hubspot-Ratelimit-Daily"
	headerDailyRemaining = "X-Hubspot-Ratelimit-Daily-Remaining"
	headerCorrelationID  = "X-Hubspot-Correlation-Id"
)

// maxRetryAfter bounds Retry-After: HubSpot names 24 h as the longest time a migration (477) takes.
const maxRetryAfter = 24 * time.Hour

// limits reads the rate limit headers of HubSpot's usage guidelines.
func limits(h http.Header) Limits {
	var l Limits
	var maxKnown, remainingKnown, dailyKnown, dailyRemainingKnown bool
	l.Max, maxKnown = count(h, headerMax)
	l.Remaining, remainingKnown = count(h, headerRemaining)
	l.Daily, dailyKnown = count(h, headerDaily)
	l.DailyRemaining, dailyRemainingKnown = count(h, headerDailyRemaining)
	l.Known = maxKnown && remainingKnown
	l.DailyKnown = dailyKnown && dailyRemainingKnown
	if ms, ok := count(h, headerInterval); ok {
		l.Interval = time.Duration(min(int64(ms), maxRetryAfter.Milliseconds())) * time.Millisecond
	}
	return l
}

// count reads a header that is a number of at least zero.
func count(h http.Header, key string) (int, bool) {
	n, err := strconv.Atoi(strings.TrimSpace(first(h, key)))
	if err != nil || n < 0 {
		return 0, false
	}
	return n, true
}

func first(h http.Header, key string) string {
	if v := h[key]; len(v) > 0 {
		return v[0]
	}
	return ""
}

// retryAfter reads Retry-After in both forms of RFC 9110: seconds, or a date seen from now.
func retryAfter(h http.Header, now time.Time) time.Duration {
	text := strings.TrimSpace(first(h, "Retry-After"))
	if seconds, err := strconv.ParseFloat(text, 64); err == nil {
		if !(seconds > 0) { // also true of NaN
			return 0
		}
		return time.Duration(min(seconds, maxRetryAfter.Seconds()) * float64(time.Second))
	}
	at, err := http.ParseTime(text)
	if err != nil {
		return 0
	}
	return max(0, min(at.Sub(now), maxRetryAfter))
}

// correlationID prefers the body's, which HubSpot's support asks for.
func correlationID(body string, h http.Header) string {
	return cmp.Or(body, first(h, headerCorrelationID))
}
