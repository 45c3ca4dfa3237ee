package hubspot

import (
	"fmt"
	"testing"
)

// hundred returns a full batch and the answer that HubSpot's guide shows for such inputs.
func hundred() ([]Input, []byte) {
	body := []byte(`{"status":"COMPLETE","results":[`)
	inputs := make([]Input, 100)
	for i := range inputs {
		inputs[i] = Input{
			SubscriberID: fmt.Sprintf("person-%05d@example.com", i), SubscriptionID: 530858989, Status: Unsubscribed,
			Channel: Email, LegalBasis: LegitimateInterestPQL, LegalBasisExplanation: "asked by the preference page",
		}
		if i > 0 {
			body = append(body, ',')
		}
		body = fmt.Appendf(body, `{"businessUnitId":0,"channel":"EMAIL","subscriberIdString":%q,"subscriptionId":530858989,`+
			`"subscriptionName":"Customer Service Communication","status":"UNSUBSCRIBED",`+
			`"source":"Public status API, App ID:5848098","legalBasis":"LEGITIMATE_INTEREST_PQL",`+
			`"legalBasisExplanation":"asked by the preference page","setStatusSuccessReason":"REQUESTED_CHANGE_OCCURRED",`+
			`"timestamp":"2026-01-08T06:34:39.478Z"}`, inputs[i].SubscriberID)
	}
	body = append(body, `],"startedAt":"2026-01-08T06:34:39.389Z","completedAt":"2026-01-08T06:34:39.598Z"}`...)
	return inputs, body
}

func BenchmarkEncode(b *testing.B) {
	inputs, _ := hundred()
	b.ReportAllocs()
	for b.Loop() {
		encode(inputs).seal()
	}
	perInput(b, len(inputs))
}

func BenchmarkDecodeResponse(b *testing.B) {
	inputs, body := hundred()
	b.ReportAllocs()
	b.SetBytes(int64(len(body)))
	for b.Loop() {
		if r := decodeResponse(body, inputs); len(r.Results) != len(inputs) {
			b.Fatalf("%d results, want %d", len(r.Results), len(inputs))
		}
	}
	perInput(b, len(inputs))
}

func BenchmarkWellFormed(b *testing.B) {
	inputs, body := hundred()
	for b.Loop() {
		wellFormed(body)
	}
	perInput(b, len(inputs))
}

func perInput(b *testing.B, inputs int) {
	b.ReportMetric(float64(b.Elapsed().Nanoseconds())/float64(b.N*inputs), "ns/input")
}
