package main

import (
	"fmt"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"consent-worker/hubspot"
	"consent-worker/hubspot/hubspottest"
	"consent-worker/worker"
)

// In these histories each event is one word: its status, then what became of it.
//
//	s subscribed, u unsubscribed, t tombstone, x no event; a poisoned one is in upper case
//	w written, d dead letter, i dead letter as invalid, - nothing, o nothing and not committed
//
// The writes come in the order of the digits that may follow.
var histories = []struct {
	name   string
	events string
	want   string // produced, written, superseded, dead, tombstones, owed, lost, wrong
}{
	{"nothing", "", "0 0 0 0 0 0 lost 0 wrong 0"},
	{"all written", "sw1 uw2", "2 2 0 0 0 0 lost 0 wrong 0"},
	{"older ones superseded", "s- u- sw1 u- uw2", "5 2 3 0 0 0 lost 0 wrong 0"},
	{"tombstones and invalid events", "t- xi sw1", "3 1 0 1 1 0 lost 0 wrong 0"},
	{"newest lost", "sw1 u-", "2 1 0 0 0 0 lost 1 wrong 1"},
	{"invalid event lost", "x- sw1", "2 1 0 0 0 0 lost 1 wrong 0"},
	{"not committed", "sw1 uo", "2 1 0 0 0 1 lost 0 wrong 1"},
	{"older grant applied last", "sw2 uw1", "2 2 0 0 0 0 lost 0 wrong 1"},
	{"refused opt-in leaves the opt-out", "uw1 Sd", "2 1 0 1 0 0 lost 0 wrong 0"},
	{"refused opt-out takes the grant along", "s- Ud", "2 0 1 1 0 0 lost 0 wrong 0"},
	{"refused opt-out over a written grant", "sw1 Ud", "2 1 0 1 0 0 lost 0 wrong 0"},
	{"refused opt-out leaves the older opt-out", "u- Ud", "2 0 0 1 0 0 lost 1 wrong 1"},
	{"refused opt-in takes nothing along", "s- Sd", "2 0 0 1 0 0 lost 1 wrong 1"},
	{"dead letter without fault", "sd", "1 0 0 1 0 0 lost 0 wrong 1"},
	{"valid event called invalid", "Si", "1 0 0 1 0 0 lost 0 wrong 1"},
	{"dead letter of what was written", "Uw1d", "1 0 0 1 0 0 lost 0 wrong 2"},
}

func TestAuditFindsWhatIsLostAndWrong(t *testing.T) {
	for _, h := range histories {
		t.Run(h.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				b := enact(t, h.events)
				got := fmt.Sprintf("%d %d %d %d %d %d lost %d wrong %d", b.produced, b.written, b.superseded, b.deadTotal(), b.tombstones,
					b.owed, len(b.lost), len(b.wrong))
				if got != h.want {
					t.Errorf("got  %s\nwant %s\nlost %q\nwrong %q", got, h.want, b.lost, b.wrong)
				}
				if whole := strings.Contains(h.want, " 0 lost 0 wrong 0"); b.whole() != whole {
					t.Errorf("whole is %v", b.whole())
				}
				if text := fmt.Sprint(b.lost, b.wrong); strings.ContainsRune(text, '@') {
					t.Errorf("an address is in %s", text)
				}
			})
		})
	}
}

// enact makes a history of one key come true.
func enact(t *testing.T, history string) *books {
	sim := hubspottest.New(hubspottest.Config{Report: t, KeepHistory: true})
	defer sim.Close()
	client, err := hubspot.New(hubspot.Config{BaseURL: "http://hubspot.invalid", Version: "v4", Tokens: hubspot.StaticToken("t"), Transport: sim.Transport()})
	if err != nil {
		t.Fatal(err)
	}
	var all []worker.Event
	buried := map[place]worker.Reason{}
	marks := map[int32]int64{}
	writes := map[byte]hubspot.Input{}
	for i, word := range strings.Fields(history) {
		e := worker.Decode(worker.Record{Offset: int64(i), Time: time.Now(), Value: value(word, i)})
		all = append(all, e)
		if !strings.Contains(word, "o") {
			marks[0] = int64(i) + 1
		}
		if _, digit, ok := strings.Cut(word, "w"); ok {
			writes[digit[0]] = e.Input
		}
		switch {
		case strings.Contains(word, "d"):
			buried[placeOf(&e)] = worker.ReasonRejected
		case strings.Contains(word, "i"):
			buried[placeOf(&e)] = worker.ReasonInvalidEvent
		}
	}
	for n := byte('1'); n <= '9'; n++ {
		if in, ok := writes[n]; ok {
			if _, err := client.WriteStatuses(t.Context(), []hubspot.Input{in}); err != nil {
				t.Fatal(err)
			}
		}
	}
	return audit(all, buried, marks, sim)
}

func value(word string, number int) []byte {
	switch word[0] {
	case 't':
		return nil
	case 'x':
		return []byte("{")
	}
	e := event{Address: "a@example.com", Type: discontinued, Status: "SUBSCRIBED", Explanation: fmt.Sprint("visit ", number)}
	if word[0]|' ' == 'u' {
		e.Status = "UNSUBSCRIBED"
	}
	if !strings.ContainsAny(word[:1], "SU") && !strings.Contains(word, "d") {
		return e.value()
	}
	if strings.ContainsAny(word[:1], "su") {
		e.Type = newsletter
	}
	return e.value()
}

func TestSummaryIsLoudAboutFindings(t *testing.T) {
	b := &books{produced: 1200, written: 1187, dead: map[worker.Reason]int{}, owed: 1, broken: []string{"request 7 met the limit"}}
	for i := range 12 {
		b.lost = append(b.lost, fmt.Sprintf("partition 1 offset %d, UNSUBSCRIBED of type 2", i))
	}
	golden(t, "summary-findings", painter{}.paint(summary(b, 7), 100))
}

func TestSummaryIsCalmWhenAllIsWell(t *testing.T) {
	b := &books{
		produced: 15230, written: 12980, superseded: 2011, tombstones: 76, again: 31,
		dead:    map[worker.Reason]int{worker.ReasonInvalidEvent: 121, worker.ReasonRejected: 42},
		optOuts: quantiles{6000, 105 * time.Millisecond, 2100 * time.Millisecond},
	}
	golden(t, "summary", painter{}.paint(summary(b, 7), 100))
	golden(t, "summary-colour", painter{colour: true}.paint(summary(b, 7), 100))
}
