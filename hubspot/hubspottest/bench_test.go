package hubspottest_test

import (
	"fmt"
	"net/http/httptest"
	"testing"

	"consent-worker/hubspot"
	"consent-worker/hubspot/hubspottest"
)

// The in-memory figure is the Sim and the client together; over a port, net/http of both sides comes on top.
func BenchmarkWriteStatuses(b *testing.B) {
	b.Run("memory", func(b *testing.B) {
		sim := hubspottest.New(hubspottest.Config{Report: b})
		defer sim.Close()
		benchmark(b, sim, hubspot.Config{BaseURL: "http://hubspot.test", Transport: sim.Transport()})
	})
	b.Run("port", func(b *testing.B) {
		sim := hubspottest.New(hubspottest.Config{Report: b})
		defer sim.Close()
		server := httptest.NewServer(sim)
		defer server.Close()
		benchmark(b, sim, hubspot.Config{BaseURL: server.URL})
	})
	b.Run("HTTP2", func(b *testing.B) {
		sim := hubspottest.New(hubspottest.Config{Report: b})
		defer sim.Close()
		server := httptest.NewUnstartedServer(sim)
		server.EnableHTTP2 = true
		server.StartTLS()
		defer server.Close()
		benchmark(b, sim, hubspot.Config{BaseURL: server.URL, Transport: server.Client().Transport})
	})
}

func benchmark(b *testing.B, sim *hubspottest.Sim, c hubspot.Config) {
	c.Version, c.Tokens = "v4", hubspot.StaticToken("secret")
	client, err := hubspot.New(c)
	if err != nil {
		b.Fatal(err)
	}
	batches := make([][]hubspot.Input, 100)
	for i := range batches {
		batches[i] = inputs(100*i, 100)
	}
	b.ReportAllocs()
	n := 0
	for b.Loop() {
		r, err := client.WriteStatuses(b.Context(), batches[n%len(batches)])
		if err != nil || len(r.Results) != 100 {
			b.Fatalf("%d results, %v", len(r.Results), err)
		}
		n++
	}
	b.ReportMetric(float64(b.Elapsed().Nanoseconds())/float64(n*100), "ns/input")
	if sim.Inputs() != n*100 {
		b.Errorf("%d inputs written, want %d", sim.Inputs(), n*100)
	}
}

// inputs returns n inputs from the one numbered first on.
func inputs(first, n int) []hubspot.Input {
	all := make([]hubspot.Input, n)
	for i := range all {
		all[i] = hubspot.Input{
			SubscriberID:   fmt.Sprintf("person-%d@example.com", first+i),
			SubscriptionID: 7, Status: hubspot.Unsubscribed, Channel: hubspot.Email,
		}
	}
	return all
}
