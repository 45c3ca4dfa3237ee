package hubspottest

import (
	"fmt"
	"net/http"
	"strconv"
	"time"

	"consent-worker/hubspot"
)

// Effect is a way of going wrong. It is made by one of the functions below; [All] joins several.
type Effect struct {
	whole    bool // decides the answer to the whole request
	harmless bool // spoils the answer only: all inputs are written
	strike   func(s *Sim, x *exchange, hits []*input)
}

// All returns an effect that is several at once. Of those on whole requests the last decides.
func All(effects ...Effect) Effect {
	joined := Effect{harmless: true}
	for _, e := range effects {
		joined.whole = joined.whole || e.whole
		joined.harmless = joined.harmless && e.harmless
	}
	joined.strike = func(s *Sim, x *exchange, hits []*input) {
		for _, e := range effects {
			e.strike(s, x, hits)
		}
	}
	return joined
}

// Respond answers the whole request with a. Length and, if there is none, type of the content are filled in.
func Respond(a Answer) Effect {
	return Effect{whole: true, strike: func(_ *Sim, x *exchange, _ []*input) { x.answer = &a }}
}

// Refuse answers the whole request with a status and an error body as HubSpot writes it: 500 and 503 of its own, and all that
// has no function of its own here.
func Refuse(status int, category, message string) Effect {
	return refuse(status, problem{Category: category, Message: message}, nil)
}

func refuse(status int, p problem, h http.Header) Effect {
	return Effect{whole: true, strike: func(s *Sim, x *exchange, _ []*input) { x.answer = s.refusal(status, p, h) }}
}

// Unauthorized is a 401: the token has expired.
func Unauthorized() Effect { return refuse(http.StatusUnauthorized, expired, nil) }

// Forbidden is a 403: the app lacks scopes, of which any one would do.
func Forbidden(scopes ...string) Effect { return refuse(http.StatusForbidden, lacking(scopes), nil) }

// NotFound is a 404, as for a version of the API that is no more.
func NotFound() Effect {
	return refuse(http.StatusNotFound, problem{Message: "resource not found"}, nil)
}

// TooLarge is a 413.
func TooLarge() Effect { return refuse(http.StatusRequestEntityTooLarge, tooLarge, nil) }

// Locked is a 423: HubSpot asks for at least two seconds of rest.
func Locked() Effect {
	return Refuse(http.StatusLocked, "LOCKED", "The resource is locked by a large sync, try again after two seconds")
}

// TenSecondly is a 429 for the rolling limit, without having met it.
func TenSecondly() Effect { return refuse(http.StatusTooManyRequests, tenSecondly, nil) }

// Daily is a 429 for the daily allowance, without having met it.
func Daily() Effect { return refuse(http.StatusTooManyRequests, dailyLimit, nil) }

// Migrating is a 477: the account moves to another data centre, for so long.
func Migrating(retryAfter time.Duration) Effect {
	seconds := strconv.FormatInt(int64(retryAfter/time.Second), 10)
	return refuse(477, problem{Message: "This account is being migrated"}, http.Header{"Retry-After": {seconds}})
}

// WrongHublet is a 488: the account lives in another data centre, such as eu1.
func WrongHublet(hublet string) Effect {
	return refuse(488, problem{Message: "This account belongs to hublet " + hublet}, nil)
}

// Page answers the whole request with a page of HTML, as an edge or a proxy would: 502, 503, 504, 520 to 527, or a 200.
func Page(status int) Effect {
	return Respond(Answer{
		Status: status,
		Header: http.Header{"Content-Type": {"text/html; charset=UTF-8"}, "Server": {"cloudflare"}, "Cf-Ray": {"8f0000000000-FRA"}},
		Body:   fmt.Sprintf("<!DOCTYPE html>\n<html><head><title>%d</title></head><body><h1>Error %[1]d</h1></body></html>\n", status),
	})
}

// Empty answers the whole request with a status and no body: 200, 202, 204.
func Empty(status int) Effect { return Respond(Answer{Status: status}) }

// Hang gives no answer until the caller gives up or the Sim is closed.
func Hang() Effect { return end(hangs) }

// Cut ends the connection instead of an answer.
func Cut() Effect { return end(cuts) }

// CutAnswer ends the connection amid the answer, so that the caller sees its status and half of its body.
func CutAnswer() Effect { return end(halves) }

func end(how ending) Effect {
	return Effect{whole: true, strike: func(_ *Sim, x *exchange, _ []*input) { x.ending = how }}
}

// Naming is how an error tells which input it means.
type Naming int

// The ways of naming an input. What HubSpot does at this endpoint is not documented, so a client must stand all of them.
const (
	ByNothing      Naming = iota
	ByContext             // the context has address and subscription id
	ByAddress             // the context has the address
	BySubscription        // the context has the subscription id
	ByMessage             // the message has address and subscription id
	ByColumn              // the message has line and column; for Poison alone
)

// Poison refuses the whole request with a 400 because of the first input that it hits.
func Poison(n Naming) Effect {
	return Effect{whole: true, strike: func(s *Sim, x *exchange, hits []*input) {
		if n == ByColumn {
			e := &schemaError{hits[0].end - 1, "Cannot build PublicStatusRequest"}
			x.answer = s.refusal(http.StatusBadRequest, problem{Message: e.at(x.body)}, nil)
			return
		}
		p := problem{Category: "VALIDATION_ERROR"}
		p.Message, p.Context = n.words(hits[0])
		x.answer = s.refusal(http.StatusBadRequest, p, nil)
	}}
}

// PartialErrors puts the inputs it hits into the errors of the answer instead of the results. The status is 200 or 207.
func PartialErrors(status int, n Naming) Effect {
	return Effect{strike: func(_ *Sim, x *exchange, hits []*input) {
		x.batch.code = status
		for _, in := range hits {
			in.fate.failed, in.fate.naming = true, n
		}
	}}
}

// Omit leaves the inputs it hits out of the answer.
func Omit() Effect {
	return Effect{strike: func(_ *Sim, _ *exchange, hits []*input) {
		for _, in := range hits {
			in.fate.omitted = true
		}
	}}
}

// OtherStatus gives results with a status that nobody asked for.
func OtherStatus(st hubspot.Status) Effect {
	return Effect{strike: func(_ *Sim, _ *exchange, hits []*input) {
		for _, in := range hits {
			in.fate.answered = st
		}
	}}
}

// Twice gives every result twice.
func Twice() Effect { return spoil(func(b *batch) { b.twice = true }) }

// Extra adds n results for addresses that nobody sent.
func Extra(n int) Effect { return spoil(func(b *batch) { b.extra = n }) }

// Reversed gives the results in another order.
func Reversed() Effect { return spoil(func(b *batch) { b.reversed = true }) }

// UpperCase echoes addresses in upper case.
func UpperCase() Effect { return spoil(func(b *batch) { b.upper = true }) }

// NumErrors says that there were n errors, whatever there were.
func NumErrors(n int) Effect { return spoil(func(b *batch) { b.numErrors = &n }) }

// BatchStatus says PENDING, PROCESSING, CANCELED or anything else instead of COMPLETE. Join it with [Omit] to leave results
// out as well.
func BatchStatus(word string) Effect { return spoil(func(b *batch) { b.status = word }) }

func spoil(how func(*batch)) Effect {
	return Effect{harmless: true, strike: func(_ *Sim, x *exchange, _ []*input) { how(&x.batch) }}
}

// Truncate ends the body amid the JSON, in an answer that is otherwise complete.
func Truncate() Effect {
	return Effect{whole: true, strike: func(_ *Sim, x *exchange, _ []*input) { x.batch.truncated = true }}
}
