// Package hubspot speaks to one endpoint of HubSpot: the batch write of subscription statuses,
// POST /communication-preferences/{version}/statuses/batch/write.
//
// [Client.WriteStatuses] is one HTTP request and its outcome: a [Response] when the answer was a 2xx, else an [*Error].
// It never sleeps, retries or logs, and it decides nothing. What an answer means for an input is for the caller to say.
//
// A call goes this way, one file for each step:
//
//	input.go     what may be sent, and the check that nothing else is
//	encode.go    inputs -> JSON, in a buffer that knows whether the transport took it
//	client.go    the round trip
//	decode.go    JSON -> Response or Error, field by field
//	cursor.go    the walk over JSON, forgiving about types
//	header.go    rate limits, Retry-After, correlation id
//	error.go     everything that is not a 2xx
//
// It is strict in what it sends and forgiving in what it reads, because real answers differ from HubSpot's OpenAPI file:
// null and missing fields, numbers as strings, one shape of context or sub-category here and another there. A field that
// cannot be read becomes its zero value and takes nothing else along. Two things are never guessed: a 2xx whose body is not
// whole JSON yields no result at all ([Response.Malformed]), and a request that may have been applied although no answer of
// HubSpot's was read says so ([Error.Unanswered]).
//
// Addresses of people occur in HubSpot's messages. They stay in the fields called Message, Context and Details; no error
// text of this package holds an address or a token.
package hubspot
