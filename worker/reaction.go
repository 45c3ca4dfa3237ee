package worker

import (
	"context"
	"errors"
	"strings"
	"time"

	"consent-worker/hubspot"
)

// Reaction is what a request's end means for us: the one place where HubSpot's answers are sorted.
type Reaction string

// The reactions, as the label outcome spells them.
const (
	ReactionAccepted     Reaction = "accepted"     // every input was written
	ReactionPartial      Reaction = "partial"      // some were
	ReactionUnaccounted  Reaction = "unaccounted"  // a 2xx that tells of no input
	ReactionRefused      Reaction = "refused"      // 400, 413, 415, 422: the request's content
	ReactionTooMany      Reaction = "too_many"     // 400: more inputs than HubSpot takes
	ReactionTooLarge     Reaction = "too_large"    // 413
	ReactionUnauthorized Reaction = "unauthorized" // 401
	ReactionForbidden    Reaction = "forbidden"    // 403
	ReactionMisdirected  Reaction = "misdirected"  // 404, 405, 488 and redirects: wrong base URL or version
	ReactionLocked       Reaction = "locked"       // 423
	ReactionRateLimited  Reaction = "rate_limited" // 429, ten seconds
	ReactionDailyLimited Reaction = "daily_limit"  // 429, daily
	ReactionMigrating    Reaction = "migrating"    // 477
	ReactionUnavailable  Reaction = "unavailable"  // 5xx and what nobody has seen yet
	ReactionUnanswered   Reaction = "unanswered"   // timeout, cut connection, 502, 504, 52x: it may still be applied
	ReactionUnreachable  Reaction = "unreachable"  // nothing was sent
	ReactionLetGo        Reaction = "let_go"       // we gave it up ourselves at the end of a drain
)

// Reactions lists every reaction.
func Reactions() []Reaction {
	return []Reaction{ReactionAccepted, ReactionPartial, ReactionUnaccounted, ReactionRefused, ReactionTooMany,
		ReactionTooLarge, ReactionUnauthorized, ReactionForbidden, ReactionMisdirected, ReactionLocked, ReactionRateLimited,
		ReactionDailyLimited, ReactionMigrating, ReactionUnavailable, ReactionUnanswered, ReactionUnreachable, ReactionLetGo}
}

// react sorts the error of a request. Statuses and their meanings: HubSpot's page on error handling; 488 is seen in the
// field only.
func react(err error) Reaction {
	e, ok := errors.AsType[*hubspot.Error](err)
	if !ok {
		return ReactionUnreachable // the client refused to send it, or had no token to send it with
	}
	switch e.StatusCode {
	case 0:
		switch {
		case errors.Is(err, context.Canceled):
			return ReactionLetGo
		case e.Unanswered:
			return ReactionUnanswered
		}
		return ReactionUnreachable
	case 400:
		if strings.Contains(strings.ToLower(e.Message), "maximum number of inputs") {
			return ReactionTooMany
		}
		return ReactionRefused
	case 413:
		return ReactionTooLarge
	case 415, 422, 409:
		return ReactionRefused
	case 401:
		return ReactionUnauthorized
	case 403:
		return ReactionForbidden
	case 404, 405, 488:
		return ReactionMisdirected
	case 423:
		return ReactionLocked
	case 429:
		if e.Daily() {
			return ReactionDailyLimited
		}
		return ReactionRateLimited
	case 477:
		return ReactionMigrating
	}
	switch {
	case e.Unanswered:
		return ReactionUnanswered
	case e.StatusCode >= 300 && e.StatusCode < 400:
		return ReactionMisdirected
	}
	return ReactionUnavailable
}

// health is what an answer says about HubSpot, for the breaker.
type health int8

const (
	neutral health = iota
	well
	ill
)

func (j *Judgement) health() health {
	if j.Reaction == ReactionUnaccounted && len(j.Verdicts) == 1 {
		return neutral // alone: as likely the input's fault, against which it counts
	}
	switch j.Reaction {
	case ReactionAccepted, ReactionPartial:
		return well
	case ReactionUnaccounted, ReactionUnavailable, ReactionUnanswered, ReactionUnreachable:
		return ill
	}
	return neutral
}

// closure says which hold an answer asks for and how long it lasts where HubSpot names no time; zero: as growing says.
func (r Reaction) closure() (Closure, time.Duration) {
	switch r {
	case ReactionUnauthorized:
		return ClosedUnauthorized, 0
	case ReactionForbidden:
		return ClosedForbidden, 0
	case ReactionMisdirected:
		return ClosedMisdirected, 0
	case ReactionLocked:
		return ClosedLocked, 2 * time.Second
	case ReactionRateLimited:
		return ClosedRateLimited, 10 * time.Second
	case ReactionDailyLimited:
		return ClosedDaily, probe
	case ReactionMigrating:
		return ClosedMigrating, probe
	}
	return "", 0
}
