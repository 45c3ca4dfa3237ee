package hubspottest

import (
	"cmp"
	"maps"
	"slices"
	"strings"
	"time"

	"consent-worker/hubspot"
)

// Key is what a status belongs to. The address is in lower case.
type Key struct {
	Address        string
	SubscriptionID int64
	Channel        hubspot.Channel
}

// KeyOf returns the key that an input writes to.
func KeyOf(in hubspot.Input) Key {
	return Key{strings.ToLower(in.SubscriberID), in.SubscriptionID, in.Channel}
}

// Entry is what HubSpot holds of a key that was written at least once.
type Entry struct {
	Status                hubspot.Status
	LegalBasis            hubspot.LegalBasis
	LegalBasisExplanation string
	Request               int       // the number of the request that wrote last
	Applied               time.Time // when it did
	Writes                int       // how often the key was written, changed or not
}

// Write is one application of an input.
type Write struct {
	Request  int       // its number: 1 for the first that was received
	Token    string    // the bearer token it came with
	Received time.Time // the request
	Applied  time.Time // the input; a late request applies long after it was received
	Input    hubspot.Input
	Previous hubspot.Status // NOT_SPECIFIED before the first write
	Reason   string         // NO_STATUS_CHANGE, REQUESTED_CHANGE_OCCURRED or RESUBSCRIBE_OCCURRED
}

// The reasons of HubSpot's OpenAPI file that a write of one status can have.
const (
	noChange    = "NO_STATUS_CHANGE"
	changed     = "REQUESTED_CHANGE_OCCURRED"
	resubscribe = "RESUBSCRIBE_OCCURRED"
)

// entry is the state of a key, or only the mark that a request with it is on its way.
type entry struct {
	Entry
	history []Write
	open    *exchange // the latest request that holds the key and is not answered
}

// Request is one line of the [Sim.Log].
type Request struct {
	Number   int
	Token    string
	Received time.Time
	Answered time.Time
	Inputs   []hubspot.Input // nil when the request was refused before it was read
	Outcome  Outcome
}

// Outcome is how a request ended: its status code, for 429 with the policy ("429 DAILY"), or "cut" or "hang". A cut that
// came within the answer is "200 cut".
type Outcome string

// Requests counts requests to the batch write.
type Requests struct {
	Total     int // received, answered or not
	ByOutcome map[Outcome]int
}

// State returns all that HubSpot holds.
func (s *Sim) State() map[Key]Entry {
	s.mu.Lock()
	defer s.mu.Unlock()
	all := make(map[Key]Entry, len(s.entries))
	for k, e := range s.entries {
		if e.Writes > 0 {
			all[k] = e.Entry
		}
	}
	return all
}

// Entry returns what HubSpot holds of a key, and whether it was ever written.
func (s *Sim) Entry(k Key) (Entry, bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if e := s.entries[k]; e != nil && e.Writes > 0 {
		return e.Entry, true
	}
	return Entry{}, false
}

// Status returns the status of a key, NOT_SPECIFIED if it was never written.
func (s *Sim) Status(k Key) hubspot.Status {
	e, _ := s.Entry(k)
	return cmp.Or(e.Status, hubspot.NotSpecified)
}

// History returns the writes to a key in the order in which they were applied. It is empty without [Config.KeepHistory].
func (s *Sim) History(k Key) []Write {
	s.mu.Lock()
	defer s.mu.Unlock()
	if e := s.entries[k]; e != nil {
		return slices.Clone(e.history)
	}
	return nil
}

// Log returns the requests that have ended, in that order. It is empty without [Config.KeepHistory].
func (s *Sim) Log() []Request {
	s.mu.Lock()
	defer s.mu.Unlock()
	return slices.Clone(s.log)
}

// Requests counts the requests until now.
func (s *Sim) Requests() Requests {
	s.mu.Lock()
	defer s.mu.Unlock()
	return Requests{Total: s.received, ByOutcome: maps.Clone(s.outcomes)}
}

// Inputs returns how many inputs were applied until now, whether they changed anything or not.
func (s *Sim) Inputs() int {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.inputs
}

// entry returns the entry of a key, a new one if need be. The caller holds mu.
func (s *Sim) entry(in *hubspot.Input) *entry {
	k := KeyOf(*in)
	e := s.entries[k]
	if e == nil {
		e = new(entry)
		s.entries[k] = e
	}
	return e
}

// apply writes one input and returns the reason. The caller holds mu.
func (s *Sim) apply(x *exchange, in *input, now time.Time) string {
	e := in.entry
	previous := cmp.Or(e.Status, hubspot.NotSpecified)
	reason := changed
	switch {
	case previous == in.Status:
		reason = noChange
	case previous == hubspot.Unsubscribed && in.Status == hubspot.Subscribed:
		reason = resubscribe
	}
	e.Entry = Entry{in.Status, in.LegalBasis, in.LegalBasisExplanation, x.number, now, e.Writes + 1}
	s.inputs++
	if s.config.KeepHistory {
		e.history = append(e.history, Write{x.number, x.token, x.received, now, in.Input, previous, reason})
	}
	return reason
}
