// Package hubspottest is a simulated HubSpot: the batch write of subscription statuses as an [http.Handler] that keeps what
// is written, holds its callers to HubSpot's rules, and fails in all the ways that HubSpot does.
//
// It is no script of expected calls. A test lets its code run against a [Sim] and then asks what HubSpot holds:
//
//	sim := hubspottest.New(hubspottest.Config{Token: "secret", Limit: 190, Report: t})
//	defer sim.Close()
//	... // use sim.Transport(), httptest.NewServer(sim), or any other server
//	entry, ok := sim.Entry(hubspottest.Key{Address: "a@example.com", SubscriptionID: 7, Channel: hubspot.Email})
//
// The way of a request, one file for each step:
//
//	serve.go     the whole way: credentials, limits, schema, faults, latency, writing, answer
//	limit.go     the rolling limit and the daily allowance
//	request.go   the request as strictly as HubSpot's OpenAPI file has it
//	fault.go     what shall go wrong, and for which requests
//	effect.go    the ways of going wrong
//	state.go     what HubSpot holds, and how it came to
//	answer.go    bodies and headers of refusals
//	results.go   the body of a 200
//	transport.go requests without sockets, for testing/synctest
//
// A rule that the caller must keep on its side is reported when it is broken: to [Config.Report], which a *testing.T is, and in
// [Sim.Violations]. Those rules are: the rolling limit is not met, no key is in two requests at once or twice in one, the
// headers are right, the body follows the schema.
//
// In a bubble of testing/synctest make the Sim inside, use its Transport, and Close it before the bubble ends.
package hubspottest
