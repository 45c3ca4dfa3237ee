package worker

import (
	"encoding/base64"
	"strings"
	"testing"
	"time"

	"consent-worker/hubspot"
)

func TestDecodeReadsAnEvent(t *testing.T) {
	at := time.Date(2026, 11, 22, 20, 0, 0, 0, time.UTC)
	recorded := at.Add(time.Minute)
	for name, tt := range map[string]struct {
		value string
		want  Event
	}{
		"every field": {
			`{"eventId":"x","occurredAt":"2026-11-22T20:00:00Z","subscriberIdString":" A@Example.COM ","subscriptionId":7,"statusState":"UNSUBSCRIBED","channel":"EMAIL","legalBasis":"NON_GDPR","legalBasisExplanation":"why","more":[1]}`,
			Event{Occurred: at, Key: Key{"a@example.com", 7, hubspot.Email}, Input: hubspot.Input{
				SubscriberID: "A@Example.COM", SubscriptionID: 7, Status: hubspot.Unsubscribed, Channel: hubspot.Email, LegalBasis: hubspot.NonGDPR, LegalBasisExplanation: "why"}},
		},
		"null is absent": {
			`{"occurredAt":null,"subscriberIdString":"a@b.c","subscriptionId":7,"statusState":"SUBSCRIBED","channel":null,"legalBasis":null}`,
			Event{Occurred: recorded, Key: Key{"a@b.c", 7, hubspot.Email}, Input: hubspot.Input{SubscriberID: "a@b.c", SubscriptionID: 7, Status: hubspot.Subscribed, Channel: hubspot.Email}},
		},
		"a domain in its own script": {
			`{"subscriberIdString":"Jörg@BÜCHER.example","subscriptionId":7,"statusState":"NOT_SPECIFIED"}`,
			Event{Occurred: recorded, Key: Key{"jörg@xn--bcher-kva.example", 7, hubspot.Email}, Input: hubspot.Input{SubscriberID: "Jörg@BÜCHER.example", SubscriptionID: 7, Status: hubspot.NotSpecified, Channel: hubspot.Email}},
		},
	} {
		got := Decode(Record{Time: recorded, Value: []byte(tt.value)})
		if got.Cause != "" || got.Input != tt.want.Input || got.Key != tt.want.Key || !got.Occurred.Equal(tt.want.Occurred) {
			t.Errorf("%s: %+v %q, want %+v", name, got.Input, got.Cause, tt.want.Input)
		}
	}
}

func TestDecodeTellsEveryMistakeWithoutTheAddress(t *testing.T) {
	for value, want := range map[string]string{
		`{"subscriberIdString":"secret@x@y","subscriptionId":0,"statusState":"MAYBE","channel":"SMS","legalBasis":"?"}`: "subscriberIdString is not of the form local@domain; subscriptionId is missing or not positive; statusState is not one of SUBSCRIBED, UNSUBSCRIBED, NOT_SPECIFIED; channel is not EMAIL; legalBasis is not one that HubSpot knows",
		`{"subscriberIdString":"se cret@x.y","subscriptionId":1,"statusState":"SUBSCRIBED"}`:                            "subscriberIdString holds a space or a control character",
		`{"subscriberIdString":"` + strings.Repeat("s", 250) + `@x.yz","subscriptionId":1,"statusState":"SUBSCRIBED"}`:  "subscriberIdString has 255 bytes, more than 254",
		`{"subscriberIdString":"secret@x.y","subscriptionId":"1","statusState":"SUBSCRIBED"}`:                           "subscriptionId has the wrong type or range",
		`{"subscriberIdString":"secret@x.y","subscriptionId":1.5,"statusState":"SUBSCRIBED"}`:                           "subscriptionId has the wrong type or range",
		`{"subscriberIdString":"secret@x.y","occurredAt":"yesterday","subscriptionId":1,"statusState":"SUBSCRIBED"}`:    "occurredAt has the wrong type or range",
		`{"secret@x.y":1,"secret@x.y":2}`: "not valid JSON: a name stands twice in one object",
		`{"subscriberIdString":"secret@`:  "not valid JSON at byte",
		`"secret@x.y"`:                    "the value is not a JSON object",
		`{} {}`:                           "not valid JSON at byte",
	} {
		e := Decode(Record{Value: []byte(value)})
		if !strings.HasPrefix(e.Cause, want) || strings.Contains(e.Cause, "secret") {
			t.Errorf("%s: %q, want %q", value, e.Cause, want)
		}
	}
}

func TestDecodeUnderstandsCloudEvents(t *testing.T) {
	const data = `{"subscriberIdString":"a@b.c","subscriptionId":7,"statusState":"UNSUBSCRIBED"}`
	at := time.Date(2026, 11, 22, 20, 0, 0, 0, time.UTC)
	for name, tt := range map[string]struct {
		value   string
		headers []Header
		cause   string
		at      time.Time
	}{
		"binary mode":                 {data, []Header{{"ce_specversion", []byte("1.0")}, {"ce_time", []byte("2026-11-22T20:00:00Z")}}, "", at},
		"structured, by specversion":  {`{"specversion":"1.0","id":"1","time":"2026-11-22T20:00:00Z","data":` + data + `}`, nil, "", at},
		"structured, by content type": {`{"specversion":"1.0","data":` + data + `}`, []Header{{"Content-Type", []byte("application/cloudevents+json; charset=UTF-8")}}, "", time.Time{}},
		"structured, base64":          {`{"specversion":"1.0","data_base64":"` + base64.StdEncoding.EncodeToString([]byte(data)) + `"}`, nil, "", time.Time{}},
		"occurredAt wins":             {`{"specversion":"1.0","time":"2020-01-01T00:00:00Z","data":` + data[:len(data)-1] + `,"occurredAt":"2026-11-22T20:00:00Z"}}`, nil, "", at},
		"no envelope":                 {data[:len(data)-1] + `,"data":7,"time":"noon","data_base64":[]}`, nil, "", time.Time{}},
		"another version":             {`{"specversion":"2.0","data":` + data + `}`, nil, "specversion of the CloudEvent is not 1.0", time.Time{}},
		"no data":                     {`{"specversion":"1.0"}`, nil, "the CloudEvent has no data", time.Time{}},
		"data that is no object":      {`{"specversion":"1.0","data":[1]}`, nil, "the value is not a JSON object", time.Time{}},
		"broken base64":               {`{"specversion":"1.0","data_base64":"?"}`, nil, "data_base64 of the CloudEvent is not base64", time.Time{}},
		"content type without it":     {data, []Header{{"content-type", []byte("application/cloudevents+json")}}, "specversion of the CloudEvent is not 1.0", time.Time{}},
	} {
		e := Decode(Record{Value: []byte(tt.value), Headers: tt.headers})
		if e.Cause != tt.cause || !e.Occurred.Equal(tt.at) || tt.cause == "" && e.Key.Address != "a@b.c" {
			t.Errorf("%s: %q at %v, want %q at %v", name, e.Cause, e.Occurred, tt.cause, tt.at)
		}
	}
}

func TestLegalBasisIsAskedForByPolicy(t *testing.T) {
	with := `{"subscriberIdString":"a@b.c","subscriptionId":7,"statusState":"SUBSCRIBED","legalBasis":"NON_GDPR","legalBasisExplanation":"x"}`
	without := `{"subscriberIdString":"a@b.c","subscriptionId":7,"statusState":"SUBSCRIBED","legalBasis":"NON_GDPR"}`
	withdrawal := `{"subscriberIdString":"a@b.c","subscriptionId":7,"statusState":"UNSUBSCRIBED"}`
	for _, tt := range []struct {
		policy LegalBasisPolicy
		value  string
		ok     bool
	}{
		{"", without, true}, {LegalBasisOff, without, true}, {LegalBasisGrants, without, false}, {LegalBasisGrants, with, true},
		{LegalBasisGrants, withdrawal, true}, {LegalBasisAll, withdrawal, false}, {LegalBasisAll, with, true},
	} {
		e := Decode(Record{Value: []byte(tt.value)})
		if tt.policy.apply(&e); (e.Cause == "") != tt.ok {
			t.Errorf("%s: %s: %q", tt.policy, tt.value, e.Cause)
		}
	}
}

func FuzzDecode(f *testing.F) {
	f.Add([]byte(`{"subscriberIdString":"a@b.c","subscriptionId":1,"statusState":"SUBSCRIBED","occurredAt":"2026-11-22T20:00:00Z"}`))
	f.Add([]byte(`{"subscriberIdString":"a@b.c","subscriptionId":1e3,"statusState":"UNSUBSCRIBED","legalBasis":null}`))
	f.Add([]byte(`null`))
	f.Fuzz(func(t *testing.T, value []byte) {
		e := Decode(Record{Value: value})
		switch {
		case value == nil:
			if !e.Tombstone() || e.Cause != "" {
				t.Errorf("a nil value is %+v", e)
			}
		case e.Cause == "":
			if !e.Input.Status.Valid() || !e.Input.Channel.Valid() || e.Input.SubscriptionID <= 0 || strings.Count(e.Input.SubscriberID, "@") != 1 ||
				Normalise(e.Key.Address) != e.Key.Address {
				t.Errorf("%q became %+v with key %q", value, e.Input, e.Key.Address)
			}
		}
	})
}

func TestScrubHidesEveryAddress(t *testing.T) {
	for text, want := range map[string]string{
		`Subscription 1 for a.b+c@example.com cannot be updated`: "Subscription 1 for [address] cannot be updated",
		`{"email":"x@y.z"}`:          `{"email":"[address]"}`,
		"GET /statuses/a%40b.c HTTP": "GET [address] HTTP",
		"no address":                 "no address",
	} {
		if got := Scrub(text); got != want {
			t.Errorf("Scrub(%q) = %q, want %q", text, got, want)
		}
	}
	if got := Scrub(strings.Repeat("é", 1000)); len(got) > maxCause+4 {
		t.Errorf("%d bytes", len(got))
	}
}
