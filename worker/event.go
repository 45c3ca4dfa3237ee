package worker

import (
	"errors"
	"fmt"
	"strings"
	"time"
	"unicode/utf8"

	"consent-worker/hubspot"

	"github.com/go-json-experiment/json"
	"github.com/go-json-experiment/json/jsontext"
	"golang.org/x/net/idna"
)

// Bounds of what can be an event.
const (
	// maxValue is the longest value that is read as an event, in bytes. All fields but legalBasisExplanation are short;
	// HubSpot's documentation gives that one no length.
	maxValue = 64 << 10
	// maxAddress is the longest address, in bytes (RFC 5321 section 4.5.3.1.3 less the angle brackets).
	maxAddress = 254
)

// Key is what order is kept for. It holds an address: its String hides it (invariant 8).
type Key struct {
	Address      string // normalised, see Normalise
	Subscription int64
	Channel      hubspot.Channel
}

// String never shows the address.
func (k Key) String() string { return "[key]" }

// Event is a record that has been read: an input owed to HubSpot, a tombstone, or invalid.
type Event struct {
	Record
	Input    hubspot.Input
	Key      Key
	Occurred time.Time // occurredAt, else the record's time
	Cause    string    // why it cannot be an input; empty when it can. No address in it
}

// Tombstone reports whether nothing is owed because the record's value is null.
func (e *Event) Tombstone() bool { return e.Value == nil }

// Class of the event's input.
func (e *Event) Class() Class {
	if e.Input.Status == hubspot.Unsubscribed {
		return Withdrawal
	}
	return Grant
}

// fields is the event as JSON: HubSpot's own names and occurredAt. Unknown names are ignored; null is absent.
type fields struct {
	OccurredAt            time.Time          `json:"occurredAt"`
	SubscriberID          string             `json:"subscriberIdString"`
	SubscriptionID        int64              `json:"subscriptionId"`
	Status                hubspot.Status     `json:"statusState"`
	Channel               hubspot.Channel    `json:"channel"`
	LegalBasis            hubspot.LegalBasis `json:"legalBasis"`
	LegalBasisExplanation string             `json:"legalBasisExplanation"`
	envelope
}

// Decode reads a record. It never fails: what cannot be an input is an Event with a Cause.
func Decode(r Record) Event {
	e := Event{Record: r, Occurred: r.Time}
	if r.Value == nil {
		return e
	}
	if len(r.Value) > maxValue {
		e.Cause = fmt.Sprintf("the value has %d bytes, more than %d", len(r.Value), maxValue)
		return e
	}
	var f fields
	if e.Cause = f.read(r.Value); e.Cause != "" {
		return e
	}
	e.Cause = f.unwrap(&e)
	if e.Cause != "" {
		return e
	}
	address := strings.TrimSpace(f.SubscriberID)
	if f.Channel == "" {
		f.Channel = hubspot.Email
	}
	e.Cause = f.mistakes(address)
	if e.Cause != "" {
		return e
	}
	if !f.OccurredAt.IsZero() {
		e.Occurred = f.OccurredAt
	}
	e.Input = hubspot.Input{
		SubscriberID: address, SubscriptionID: f.SubscriptionID, Status: f.Status, Channel: f.Channel,
		LegalBasis: f.LegalBasis, LegalBasisExplanation: f.LegalBasisExplanation,
	}
	e.Key = KeyOf(address, f.SubscriptionID, f.Channel)
	return e
}

// read decodes one JSON object; it returns what is wrong with it.
func (f *fields) read(value []byte) (cause string) {
	if err := json.Unmarshal(value, f); err != nil {
		return describe(err)
	}
	if kind := jsontext.Value(value).Kind(); kind != '{' {
		return "the value is not a JSON object"
	}
	return ""
}

// KeyOf returns the key of an address as it came.
func KeyOf(address string, subscription int64, channel hubspot.Channel) Key {
	return Key{Address: Normalise(address), Subscription: subscription, Channel: channel}
}

// mistakes lists everything wrong with the fields in one line; empty when nothing is.
func (f *fields) mistakes(address string) string {
	var wrong []string
	if m := mistake(address); m != "" {
		wrong = append(wrong, "subscriberIdString "+m)
	}
	if f.SubscriptionID <= 0 {
		wrong = append(wrong, "subscriptionId is missing or not positive")
	}
	switch {
	case f.Status == "":
		wrong = append(wrong, "statusState is missing")
	case !f.Status.Valid():
		wrong = append(wrong, "statusState is not one of SUBSCRIBED, UNSUBSCRIBED, NOT_SPECIFIED")
	}
	if !f.Channel.Valid() {
		wrong = append(wrong, "channel is not EMAIL")
	}
	if f.LegalBasis != "" && !f.LegalBasis.Valid() {
		wrong = append(wrong, "legalBasis is not one that HubSpot knows")
	}
	return strings.Join(wrong, "; ")
}

// mistake says what is wrong with an address; empty when nothing is.
func mistake(address string) string {
	if address == "" {
		return "is missing"
	}
	if len(address) > maxAddress {
		return fmt.Sprintf("has %d bytes, more than %d", len(address), maxAddress)
	}
	for _, r := range address {
		if r <= ' ' || r == 0x7f || r == utf8.RuneError || (r > 0x7f && (r < 0xa0 || isSpace(r))) {
			return "holds a space or a control character"
		}
	}
	local, domain, ok := strings.Cut(address, "@")
	if !ok || local == "" || domain == "" || strings.Contains(domain, "@") {
		return "is not of the form local@domain"
	}
	return ""
}

// isSpace knows the spaces beyond ASCII and the invisible characters that are not part of any address.
func isSpace(r rune) bool {
	switch r {
	case 0xa0, 0x1680, 0x2028, 0x2029, 0x202f, 0x205f, 0x3000, 0xfeff:
		return true
	}
	return r >= 0x2000 && r <= 0x200f
}

// Normalise returns the form of an address that keys are made of: trimmed, lower case, the domain in ASCII (IDNA).
// Nothing clever: dots, plus tags and aliases stay, for HubSpot keeps them apart. What is sent is what came, trimmed.
func Normalise(address string) string {
	address = strings.TrimSpace(address)
	plain := true
	for i := range len(address) {
		if c := address[i]; c >= utf8.RuneSelf || 'A' <= c && c <= 'Z' {
			plain = false
			break
		}
	}
	if plain {
		return address
	}
	address = strings.ToLower(address)
	if at := strings.LastIndexByte(address, '@'); at >= 0 {
		if ascii, err := idna.Lookup.ToASCII(address[at+1:]); err == nil {
			address = address[:at+1] + ascii
		}
	}
	return address
}

// describe says what is wrong with a value without quoting any of it: it may hold an address anywhere.
func describe(err error) string {
	if errors.Is(err, jsontext.ErrDuplicateName) {
		return "not valid JSON: a name stands twice in one object"
	}
	if e, ok := errors.AsType[*jsontext.SyntacticError](err); ok {
		return fmt.Sprintf("not valid JSON at byte %d", e.ByteOffset)
	}
	if e, ok := errors.AsType[*json.SemanticError](err); ok {
		if e.JSONPointer == "" {
			return "the value is not a JSON object"
		}
		return fmt.Sprintf("%s has the wrong type or range", e.JSONPointer.LastToken()) // one of fields: others are skipped
	}
	return "not valid JSON"
}

// LegalBasisPolicy says which inputs must name a legal basis and explain it. HubSpot asks for both where data privacy is
// switched on, but has been seen to take inputs without them.
type LegalBasisPolicy string

// The policies.
const (
	LegalBasisOff    LegalBasisPolicy = "off"
	LegalBasisGrants LegalBasisPolicy = "grants"
	LegalBasisAll    LegalBasisPolicy = "all"
)

// apply refuses an input that the policy does not allow.
func (p LegalBasisPolicy) apply(e *Event) {
	if e.Cause != "" || e.Tombstone() || p == "" || p == LegalBasisOff || p == LegalBasisGrants && e.Class() == Withdrawal {
		return
	}
	if e.Input.LegalBasis == "" || e.Input.LegalBasisExplanation == "" {
		e.Cause = "legalBasis or legalBasisExplanation is missing, which WORKER_REQUIRE_LEGAL_BASIS asks for"
	}
}
