package main

import (
	"bytes"
	"encoding/json"
	"fmt"
	"math/rand/v2"
	"strings"
	"time"

	"github.com/twmb/franz-go/pkg/kgo"

	"consent-worker/hubspot"
	"consent-worker/hubspot/hubspottest"
	"consent-worker/worker/kafka/kafkatest"
)

// The types of subscription. HubSpot does not know the last one any more, and refuses every request that names it.
const (
	newsletter int64 = 1 + iota
	productNews
	events
	discontinued
)

func definitions() []hubspottest.Definition {
	return []hubspottest.Definition{{ID: newsletter, Name: "Newsletter"}, {ID: productNews, Name: "Product news"}, {ID: events, Name: "Invitations"}}
}

// refusedDomain ends addresses that HubSpot does not take.
const refusedDomain = ".invalid"

var (
	firstNames = strings.Fields(`ada aiko amina anders bea bruno carla chloe dario diego elena emil fatima felix freya gita
		hana henrik ines isak jan jonas kaya kofi lea liam lucia mads maja mateo mila nils noor olga oscar paula petra quinn rosa
		ruben sara selma sven tariq tessa uma vera viktor wanda yusuf zoe`)
	lastNames = strings.Fields(`abara aziz bauer berg blanc costa cruz dahl diaz duarte eriksen fischer fontana garcia haas
		hansen ito jensen kaya keller kim klein kovac larsen lopez marino meyer mori moreau nagy nielsen novak okafor olsen park
		peeters petrov ricci rossi santos sato silva smit sorensen tanaka vogel weber wolff yilmaz zeman`)
	domains = strings.Fields("example.com example.org example.net post.example mail.example")
)

// traffic draws what people do. One goroutine uses it.
type traffic struct {
	r      *rand.Rand
	holds  map[string]hubspot.Status // by address and type: what a person last asked for
	visits int                       // so far; each has its number, which the books tell events by
}

func newTraffic(seed uint64) *traffic {
	return &traffic{r: rand.New(rand.NewPCG(seed, 1)), holds: map[string]hubspot.Status{}}
}

// event is what a record's value says.
type event struct {
	EventID     string             `json:"eventId"`
	OccurredAt  time.Time          `json:"occurredAt"`
	Address     string             `json:"subscriberIdString"`
	Type        int64              `json:"subscriptionId"`
	Status      string             `json:"statusState"`
	Channel     string             `json:"channel,omitempty"`
	Basis       hubspot.LegalBasis `json:"legalBasis,omitempty"`
	Explanation string             `json:"legalBasisExplanation,omitempty"`
}

// next draws one record. After a mailing most people say no.
func (t *traffic) next(now time.Time, mailing bool) *kgo.Record {
	address := t.person()
	e := t.visit(now, address, mailing)
	switch lot := t.r.IntN(6000); {
	case lot < 18: // the upstream system forgets a person
		return &kgo.Record{Topic: topic, Partition: kafkatest.Keyed, Key: []byte(address)}
	case lot < 30:
		return record(address, e.cutOff())
	case lot < 42:
		e.Address = strings.Replace(address, "@", " at ", 1)
	case lot < 54:
		e.Status = "OPTED_OUT"
	case lot < 66:
		e.Address = address + refusedDomain
	case lot < 67:
		e.Type = discontinued
	default:
		t.holds[fmt.Sprint(address, e.Type)] = hubspot.Status(e.Status)
	}
	return record(address, e.value())
}

// ordinary draws a record with nothing wrong about it.
func (t *traffic) ordinary(now time.Time) *kgo.Record {
	address := t.person()
	return record(address, t.visit(now, address, false).value())
}

// record keys a value by the person, whatever the value says, as producers shall.
func record(address string, value []byte) *kgo.Record {
	return &kgo.Record{Topic: topic, Partition: kafkatest.Keyed, Key: []byte(address), Value: value}
}

// person draws an address. A few of the people cannot make up their minds.
func (t *traffic) person() string {
	n := t.r.IntN(len(firstNames) * len(lastNames) * len(domains))
	if t.r.IntN(4) == 0 {
		n = t.r.IntN(40) * 97
	}
	first := firstNames[n%len(firstNames)]
	n /= len(firstNames)
	return first + "." + lastNames[n%len(lastNames)] + "@" + domains[n/len(lastNames)%len(domains)]
}

// visit draws what a person asks for: usually the opposite of the last time.
func (t *traffic) visit(now time.Time, address string, mailing bool) *event {
	t.visits++
	e := &event{
		EventID: fmt.Sprintf("visit-%d", t.visits), OccurredAt: now.UTC(), Address: address, Type: newsletter + int64(t.r.IntN(3)),
		Status: string(hubspot.Subscribed), Basis: hubspot.ConsentWithNotice, Explanation: fmt.Sprintf("Preference page, visit %d", t.visits),
	}
	if t.holds[fmt.Sprint(address, e.Type)] == hubspot.Subscribed || mailing && t.r.IntN(5) > 0 {
		e.Status = string(hubspot.Unsubscribed)
	}
	if t.r.IntN(10) == 0 { // not every form sends addresses the same way
		e.Address = strings.ToUpper(address[:1]) + address[1:]
	}
	if t.r.IntN(2) == 0 {
		e.Channel = string(hubspot.Email)
	}
	return e
}

func (e *event) value() []byte {
	b, err := json.Marshal(e)
	if err != nil {
		panic(err) // strings and numbers
	}
	return b
}

func (e *event) cutOff() []byte {
	b := e.value()
	return bytes.Clone(b[:len(b)*2/3])
}
