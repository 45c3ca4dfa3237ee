package worker

import (
	"fmt"
	"testing"
	"time"

	"consent-worker/hubspot"
)

func benchRecord(i int) Record {
	return Record{Offset: int64(i), Time: time.Unix(1_700_000_000, 0), Key: []byte("key"), Value: fmt.Appendf(nil,
		`{"eventId":"%016x","occurredAt":"2026-11-22T20:00:00Z","subscriberIdString":"person.%d@customers.example.com","subscriptionId":%d,"statusState":"%s","channel":"EMAIL","legalBasis":"CONSENT_WITH_NOTICE","legalBasisExplanation":"preference centre"}`,
		i, i, 1+i%3, []string{"UNSUBSCRIBED", "UNSUBSCRIBED", "SUBSCRIBED"}[i%3])}
}

func BenchmarkDecode(b *testing.B) {
	r := benchRecord(1)
	b.ReportAllocs()
	for b.Loop() {
		if e := Decode(r); e.Cause != "" {
			b.Fatal(e.Cause)
		}
	}
}

// BenchmarkLedger is the whole way of an input through the ledger: admitted, cut, settled, committed.
func BenchmarkLedger(b *testing.B) {
	now := time.Unix(1_700_000_000, 0)
	events := make([]Event, 2000)
	for i := range events {
		events[i] = Decode(benchRecord(i))
	}
	l := NewLedger(Limits{BatchSize: 100, Linger: time.Second, Window: 20000, WindowBytes: 8 << 20, MaxAttempts: 5, Afterlife: time.Minute}, now,
		[]Assignment{{Partition: 0, First: true}})
	l.Committed(l.Marks(now, false))
	j := &Judgement{Reaction: ReactionAccepted, Accepted: true, Culprit: -1, Verdicts: make([]Verdict, 100)}
	for i := range j.Verdicts {
		j.Verdicts[i] = VerdictWritten
	}
	offset := int64(0)
	b.ReportAllocs()
	for b.Loop() {
		chunk := make([]Event, len(events))
		copy(chunk, events)
		for i := range chunk {
			chunk[i].Offset = offset
			offset++
		}
		l.Admit(now, 0, chunk, offset, offset)
		for batch := l.Cut(now, 100); batch != nil; batch = l.Cut(now, 100) {
			l.Settle(now, batch, j)
		}
		l.Committed(l.Marks(now, false))
		l.Report()
	}
	b.ReportMetric(float64(b.Elapsed().Nanoseconds())/float64(offset), "ns/event")
}

func BenchmarkJudge(b *testing.B) {
	batch, res := &Batch{}, hubspot.Response{StatusCode: 200}
	for i := range 100 {
		e := Decode(benchRecord(i))
		batch.Inputs, batch.Keys = append(batch.Inputs, e.Input), append(batch.Keys, e.Key)
		res.Results = append(res.Results, hubspot.Result{SubscriberID: e.Input.SubscriberID, SubscriptionID: e.Input.SubscriptionID, Channel: hubspot.Email, Status: e.Input.Status})
	}
	shuffled := res
	shuffled.Results = append(append([]hubspot.Result(nil), res.Results[50:]...), res.Results[:50]...)
	for name, r := range map[string]hubspot.Response{"in order": res, "shuffled": shuffled} {
		b.Run(name, func(b *testing.B) {
			b.ReportAllocs()
			for b.Loop() {
				if j := Judge(batch, r, nil); j.Reaction != ReactionAccepted {
					b.Fatal(j.Reaction)
				}
			}
		})
	}
}
