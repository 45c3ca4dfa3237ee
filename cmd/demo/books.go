package main

import (
	"cmp"
	"fmt"
	"maps"
	"slices"
	"strconv"
	"time"

	"github.com/twmb/franz-go/pkg/kgo"

	"consent-worker/hubspot/hubspottest"
	"consent-worker/worker"
)

// place is where an event lies in the topic.
type place struct {
	partition int32
	offset    int64
}

func placeOf(e *worker.Event) place { return place{e.Partition, e.Offset} }

// books is what became of every event, as Kafka and HubSpot have it. Nothing of it comes from the workers.
type books struct {
	produced   int
	written    int
	superseded int
	dead       map[worker.Reason]int
	tombstones int
	owed       int      // not committed, so Kafka gives it again: the wait for the end was too short
	lost       []string // events that ended nowhere
	wrong      []string // keys of which HubSpot holds something else than it should

	again   int // writes of what HubSpot held already
	optOuts quantiles
	broken  []string // HubSpot's rules
}

// whole reports whether all is well.
func (b *books) whole() bool { return b.owed == 0 && len(b.lost) == 0 && len(b.wrong) == 0 }

// readLetters returns for each event that has a dead letter why.
func readLetters(letters []*kgo.Record) (map[place]worker.Reason, error) {
	buried := map[place]worker.Reason{}
	for _, r := range letters {
		head := map[string]string{}
		for _, h := range r.Headers {
			head[h.Key] = string(h.Value)
		}
		partition, err := strconv.ParseInt(head["dead-letter-partition"], 10, 32)
		if err != nil {
			return nil, fmt.Errorf("dead letter %d of partition %d: %w", r.Offset, r.Partition, err)
		}
		offset, err := strconv.ParseInt(head["dead-letter-offset"], 10, 64)
		if err != nil {
			return nil, fmt.Errorf("dead letter %d of partition %d: %w", r.Offset, r.Partition, err)
		}
		buried[place{int32(partition), offset}] = worker.Reason(head["dead-letter-reason"])
	}
	return buried, nil
}

// audit compares all events of the topic, in order, with the dead letters, the committed offsets and HubSpot. Events are
// told apart by their explanation, which is another one for each.
func audit(all []worker.Event, buried map[place]worker.Reason, marks map[int32]int64, sim *hubspottest.Sim) *books {
	b := &books{produced: len(all), dead: map[worker.Reason]int{}, broken: sim.Violations()}
	keys := map[worker.Key][]*worker.Event{}
	for i := range all {
		e := &all[i]
		reason, dead := buried[placeOf(e)]
		switch {
		case dead:
			b.dead[reason]++
			if !deserved(e, reason) {
				b.wrong = append(b.wrong, describe(e)+": a dead letter without fault of its own")
			}
		case e.Tombstone():
			b.tombstones++
		case e.Cause != "":
			b.missing(e, marks)
		}
		if e.Cause == "" && !e.Tombstone() {
			keys[e.Key] = append(keys[e.Key], e)
		}
	}
	var optOuts []time.Duration
	for _, of := range keys {
		optOuts = b.key(of, buried, marks, sim, optOuts)
	}
	b.optOuts = newQuantiles(optOuts)
	slices.Sort(b.lost)
	slices.Sort(b.wrong)
	return b
}

// deserved reports whether a dead letter is for a fault of the event itself.
func deserved(e *worker.Event, reason worker.Reason) bool {
	if reason == worker.ReasonInvalidEvent {
		return e.Cause != ""
	}
	return reason == worker.ReasonRejected && (badAddress(e.Input) || badType(e.Input))
}

// missing enters an event that ended nowhere.
func (b *books) missing(e *worker.Event, marks map[int32]int64) {
	if e.Offset >= marks[e.Partition] {
		b.owed++
		return
	}
	b.lost = append(b.lost, describe(e))
}

// key enters the events of one key, which come oldest first. It appends how long opt-outs took.
func (b *books) key(of []*worker.Event, buried map[place]worker.Reason, marks map[int32]int64, sim *hubspottest.Sim, optOuts []time.Duration) []time.Duration {
	writes := map[string][]hubspottest.Write{} // by explanation
	for _, w := range sim.History(hubspottest.KeyOf(of[0].Input)) {
		writes[w.Input.LegalBasisExplanation] = append(writes[w.Input.LegalBasisExplanation], w)
	}
	held, holds := sim.Entry(hubspottest.KeyOf(of[0].Input))
	newerWritten, newerRefused := false, false // a newer event was written; a newer withdrawal was refused
	judged := false                            // what HubSpot should hold has been found
	for _, e := range slices.Backward(of) {
		_, dead := buried[placeOf(e)]
		ws := writes[e.Input.LegalBasisExplanation]
		is := holds && held.Status == e.Input.Status && held.LegalBasisExplanation == e.Input.LegalBasisExplanation
		// A refused "no" takes older grants along: HubSpot may or may not have them.
		spared := newerRefused && e.Class() == worker.Grant
		if !judged && !dead && (is || !spared) {
			judged = true
			if !is {
				b.wrong = append(b.wrong, describe(e)+", but HubSpot holds "+cmp.Or(string(held.Status), "nothing"))
			}
		}
		switch {
		case dead && len(ws) > 0:
			b.wrong = append(b.wrong, describe(e)+": written, and a dead letter too")
		case dead:
			newerRefused = newerRefused || e.Class() == worker.Withdrawal
		case len(ws) > 0:
			b.written++
			b.again += len(ws) - 1
			if e.Class() == worker.Withdrawal {
				optOuts = append(optOuts, ws[0].Applied.Sub(e.Occurred))
			}
			newerWritten = true
		case newerWritten || spared:
			b.superseded++
		default:
			b.missing(e, marks)
		}
	}
	if !judged && holds {
		b.wrong = append(b.wrong, fmt.Sprintf("a key of partition %d: nothing was to be written, but HubSpot holds %s", of[0].Partition, held.Status))
	}
	return optOuts
}

// describe names an event without its address.
func describe(e *worker.Event) string {
	text := fmt.Sprintf("partition %d offset %d", e.Partition, e.Offset)
	if e.Cause != "" {
		return text + ", which is no event"
	}
	return fmt.Sprintf("%s, %s of type %d", text, e.Input.Status, e.Input.SubscriptionID)
}

// deadTotal is how many events became dead letters.
func (b *books) deadTotal() int {
	n := 0
	for v := range maps.Values(b.dead) {
		n += v
	}
	return n
}
