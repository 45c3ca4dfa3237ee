package hubspot

import (
	"bytes"
	"math"
)

// decodeResponse reads the body of a 2xx. The inputs are what was sent: most results echo the address of the input at their
// place, and its string is used again. It is a saving only; nothing is matched by it.
func decodeResponse(body []byte, inputs []Input) Response {
	c, ok := object(body)
	if !ok {
		return Response{Malformed: true}
	}
	r := Response{Results: make([]Result, 0, len(inputs))}
	for ok := c.enter(); ok; ok = c.more() {
		switch string(c.name()) {
		case "status":
			r.Status = c.text("COMPLETE")
		case "results":
			if k := c.kind(); k != '[' && k != 'n' {
				return Response{Malformed: true}
			}
			r.Results = c.results(r.Results, inputs)
		case "errors":
			r.Errors = append(r.Errors, c.itemErrors()...)
		case "numErrors":
			r.NumErrors = int(max(math.MinInt32, min(c.int(), math.MaxInt32)))
		case "startedAt":
			r.StartedAt = c.time()
		case "completedAt":
			r.CompletedAt = c.time()
		case "correlationId":
			r.CorrelationID = c.text("")
		default:
			c.raw()
		}
	}
	return r
}

// decodeError reads the body of any other answer. One that is no JSON object, such as an edge's page, says nothing.
func decodeError(body []byte) *Error {
	e := new(Error)
	c, ok := object(body)
	if !ok {
		return e
	}
	var errorType string
	for ok := c.enter(); ok; ok = c.more() {
		switch string(c.name()) {
		case "category":
			e.Category = c.text("")
		case "errorType":
			errorType = c.text("")
		case "subCategory":
			e.SubCategory = c.text("")
		case "message":
			e.Message = c.text("")
		case "correlationId":
			e.CorrelationID = c.text("")
		case "policyName":
			e.PolicyName = c.text("")
		case "context":
			e.Context = c.context()
		case "errors":
			e.Details = c.details()
		default:
			c.raw()
		}
	}
	if e.Category == "" {
		e.Category = errorType // HubSpot's 429s have this instead
	}
	return e
}

// object returns a cursor before a JSON object that is the whole body.
func object(body []byte) (cursor, bool) {
	body = bytes.TrimPrefix(body, []byte("\xef\xbb\xbf"))
	c := cursor{b: body}
	if !wellFormed(body) {
		return c, false
	}
	return c, c.kind() == '{'
}

// results appends the elements of a list to all. Elements that are no objects are left out.
func (c *cursor) results(all []Result, inputs []Input) []Result {
	if c.kind() == 'n' {
		c.raw()
		return all
	}
	var like Result // what the next one's texts will most likely be
	for ok := c.enter(); ok; ok = c.more() {
		if c.kind() != '{' {
			c.raw()
			continue
		}
		at := len(all)
		if at > 0 {
			like = all[at-1]
		}
		if at < len(inputs) {
			like.SubscriberID = inputs[at].SubscriberID
		}
		all = append(all, Result{})
		c.result(&all[at], &like)
	}
	return all
}

// result reads one element into r. A text that is the same as in like shares its string.
func (c *cursor) result(r, like *Result) {
	for ok := c.enter(); ok; ok = c.more() {
		switch string(c.name()) {
		case "subscriberIdString":
			r.SubscriberID = c.text(like.SubscriberID)
		case "subscriptionId":
			r.SubscriptionID = c.int()
		case "channel":
			r.Channel = Channel(c.text(string(Email)))
		case "status":
			r.Status = c.status()
		case "setStatusSuccessReason":
			r.Reason = c.text(like.Reason)
		case "source":
			r.Source = c.text(like.Source)
		case "timestamp":
			r.Timestamp = c.time()
		case "businessUnitId":
			r.BusinessUnitID = c.int()
		case "legalBasis":
			r.LegalBasis = LegalBasis(c.text(string(like.LegalBasis)))
		case "legalBasisExplanation":
			r.LegalBasisExplanation = c.text(like.LegalBasisExplanation)
		case "subscriptionName":
			r.SubscriptionName = c.text(like.SubscriptionName)
		default:
			c.raw()
		}
	}
}

// status reads a status; the known ones cost no copy.
func (c *cursor) status() Status {
	text := c.bytes()
	for _, known := range [...]Status{Unsubscribed, Subscribed, NotSpecified} {
		if string(text) == string(known) {
			return known
		}
	}
	return Status(bytes.ToValidUTF8(text, []byte("\uFFFD")))
}

// itemErrors reads the list of errors of a 2xx. A bare object is a list of one, a bare text an error of that message.
func (c *cursor) itemErrors() []ItemError {
	var all []ItemError
	c.each(func() {
		var e ItemError
		if c.kind() != '{' {
			e.Message = c.text("")
			all = append(all, e)
			return
		}
		for ok := c.enter(); ok; ok = c.more() {
			switch string(c.name()) {
			case "status":
				e.Status = c.text("error")
			case "category":
				e.Category = c.text("")
			case "subCategory":
				e.SubCategory = c.text("")
			case "message":
				e.Message = c.text("")
			case "id":
				e.ID = c.text("")
			case "context":
				e.Context = c.context()
			case "errors":
				e.Details = c.details()
			default:
				c.raw()
			}
		}
		all = append(all, e)
	})
	return all
}

// details reads the list of errors inside an error, as forgiving as itemErrors.
func (c *cursor) details() []Detail {
	var all []Detail
	c.each(func() {
		var d Detail
		if c.kind() != '{' {
			d.Message = c.text("")
			all = append(all, d)
			return
		}
		for ok := c.enter(); ok; ok = c.more() {
			switch string(c.name()) {
			case "message":
				d.Message = c.text("")
			case "code":
				d.Code = c.text("")
			case "in":
				d.In = c.text("")
			case "subCategory":
				d.SubCategory = c.text("")
			case "context":
				d.Context = c.context()
			default:
				c.raw()
			}
		}
		all = append(all, d)
	})
	return all
}

// each calls f at every element of a list, at a bare value as if it were a list of one, and never for null. F reads the
// element.
func (c *cursor) each(f func()) {
	switch c.kind() {
	case 'n':
		c.raw()
	case '[':
		for ok := c.enter(); ok; ok = c.more() {
			f()
		}
	default:
		f()
	}
}
