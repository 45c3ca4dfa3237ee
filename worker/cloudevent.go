package worker

import (
	"encoding/base64"
	"mime"
	"strings"
	"time"

	"github.com/go-json-experiment/json"
	"github.com/go-json-experiment/json/jsontext"
)

// envelope is what a structured CloudEvent has around its data (CloudEvents 1.0.2, JSON event format). An event without an
// envelope may have members of the same names, which mean nothing to us; so they are looked at only in one that has.
type envelope struct {
	SpecVersion jsontext.Value `json:"specversion"`
	Time        jsontext.Value `json:"time"`
	Data        jsontext.Value `json:"data"`
	DataBase64  jsontext.Value `json:"data_base64"`
}

// unwrap takes the fields of a structured CloudEvent out of its data, and the time of either mode of the Kafka binding for
// the event's where occurredAt does not say it. It returns what is wrong with the envelope.
func (f *fields) unwrap(e *Event) (cause string) {
	structured := len(f.SpecVersion) > 0 && f.SpecVersion.Kind() != 'n'
	for _, h := range e.Headers {
		switch {
		case strings.EqualFold(h.Key, "content-type"):
			kind, _, err := mime.ParseMediaType(string(h.Value))
			structured = structured || err == nil && kind == "application/cloudevents+json"
		case h.Key == "ce_time":
			if at, err := time.Parse(time.RFC3339, string(h.Value)); err == nil {
				e.Occurred = at
			}
		}
	}
	if !structured {
		return ""
	}
	env := f.envelope
	if string(env.SpecVersion) != `"1.0"` {
		return "specversion of the CloudEvent is not 1.0"
	}
	if len(env.Time) > 0 {
		if err := json.Unmarshal(env.Time, &e.Occurred); err != nil {
			return "time of the CloudEvent is not as RFC 3339 has it"
		}
	}
	data := []byte(env.Data)
	if len(env.DataBase64) > 0 {
		var text string
		if err := json.Unmarshal(env.DataBase64, &text); err != nil {
			return "data_base64 of the CloudEvent is not a string"
		}
		var err error
		if data, err = base64.StdEncoding.DecodeString(text); err != nil {
			return "data_base64 of the CloudEvent is not base64"
		}
	}
	if len(data) == 0 {
		return "the CloudEvent has no data"
	}
	*f = fields{}
	return f.read(data)
}
