package hubspottest

import (
	"net/http"
	"slices"
	"strconv"
	"strings"
	"time"

	"consent-worker/hubspot"

	"github.com/go-json-experiment/json/jsontext"
)

// batch is how the answer to a request departs from what happened.
type batch struct {
	code      int    // 0: 200
	status    string // "": COMPLETE
	numErrors *int
	extra     int
	twice     bool
	reversed  bool
	upper     bool
	truncated bool
}

// timeForm is HubSpot's: milliseconds, always three digits, always UTC.
const timeForm = "2006-01-02T15:04:05.000Z"

// appendBatch writes BatchResponsePublicStatus of HubSpot's OpenAPI file. Fields and their order are those of the samples in
// HubSpot's guide: no errors and no count of them where there are none.
func (s *Sim) appendBatch(b []byte, x *exchange, completed time.Time) []byte {
	at := completed.UTC().AppendFormat(nil, timeForm)
	b = append(b, `{"status":"`...)
	if x.batch.status != "" {
		b = append(b, x.batch.status...)
	} else {
		b = append(b, "COMPLETE"...)
	}
	b = append(b, `","results":[`...)
	start := len(b)
	if x.batch.reversed {
		slices.Reverse(x.inputs)
	}
	failed := 0
	for i := range x.inputs {
		in := &x.inputs[i]
		if in.fate.failed {
			failed++
			continue
		}
		if in.fate.omitted {
			continue
		}
		b = s.appendResult(b, &x.batch, in, at)
		if x.batch.twice {
			b = s.appendResult(b, &x.batch, in, at)
		}
	}
	for i := range x.batch.extra {
		stranger := input{Input: hubspot.Input{
			SubscriberID: "stranger-" + strconv.Itoa(i+1) + "@example.net", SubscriptionID: 1,
			Status: hubspot.Unsubscribed, Channel: hubspot.Email,
		}}
		stranger.fate.reason = changed
		b = s.appendResult(b, &x.batch, &stranger, at)
	}
	if len(b) > start {
		b = b[:len(b)-1] // the last comma
	}
	b = append(b, ']')
	if failed > 0 {
		b = append(b, `,"errors":[`...)
		for i := range x.inputs {
			if x.inputs[i].fate.failed {
				b = append(appendItemError(b, &x.inputs[i]), ',')
			}
		}
		b[len(b)-1] = ']'
	}
	if n := failed; n > 0 || x.batch.numErrors != nil {
		if x.batch.numErrors != nil {
			n = *x.batch.numErrors
		}
		b = strconv.AppendInt(append(b, `,"numErrors":`...), int64(n), 10)
	}
	b = x.received.UTC().AppendFormat(append(b, `,"startedAt":"`...), timeForm)
	b = append(append(b, `","completedAt":"`...), at...)
	b = append(b, `"}`...)
	if x.batch.truncated {
		b = b[:len(b)*2/3]
	}
	return b
}

// appendResult writes PublicStatus of HubSpot's OpenAPI file and a comma. Legal basis and explanation are null when there are
// none, against that file, as in HubSpot's guide.
func (s *Sim) appendResult(b []byte, how *batch, in *input, at []byte) []byte {
	address, status := in.SubscriberID, in.Status
	if how.upper {
		address = strings.ToUpper(address)
	}
	if in.fate.answered != "" {
		status = in.fate.answered
	}
	b = append(append(append(b, `{"businessUnitId":0,"channel":"`...), in.Channel...), `","subscriberIdString":`...)
	b = append(appendQuoted(b, address), `,"subscriptionId":`...)
	b = strconv.AppendInt(b, in.SubscriptionID, 10)
	if name, ok := s.names[in.SubscriptionID]; ok {
		b = appendQuoted(append(b, `,"subscriptionName":`...), name)
	}
	b = append(append(append(b, `,"status":"`...), status...), `","source":"Public status API","legalBasis":`...)
	b = appendOrNull(b, string(in.LegalBasis))
	b = appendOrNull(append(b, `,"legalBasisExplanation":`...), in.LegalBasisExplanation)
	b = append(append(append(b, `,"setStatusSuccessReason":"`...), in.fate.reason...), `","timestamp":"`...)
	return append(append(b, at...), `"},`...)
}

// appendItemError writes StandardError of HubSpot's OpenAPI file.
func appendItemError(b []byte, in *input) []byte {
	message, context := in.fate.naming.words(in)
	b = append(b, `{"status":"error","category":"VALIDATION_ERROR","message":`...)
	b = append(appendQuoted(b, message), `,"context":{`...)
	for _, name := range []string{"subscriberIdString", "subscriptionId"} {
		if values := context[name]; len(values) > 0 {
			b = append(append(append(b, '"'), name...), `":[`...)
			b = append(appendQuoted(b, values[0]), `],`...)
		}
	}
	if b[len(b)-1] == ',' {
		b = b[:len(b)-1]
	}
	return append(b, `},"errors":[],"links":{}}`...)
}

func appendOrNull(b []byte, s string) []byte {
	if s == "" {
		return append(b, "null"...)
	}
	return appendQuoted(b, s)
}

func appendQuoted(b []byte, s string) []byte {
	b, _ = jsontext.AppendQuote(b, s) // what came in as JSON is UTF-8
	return b
}

// codeOf returns the status of a batch response.
func (b *batch) codeOf() int {
	if b.code != 0 {
		return b.code
	}
	return http.StatusOK
}
