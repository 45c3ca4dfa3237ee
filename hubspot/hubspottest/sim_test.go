package hubspottest_test

import (
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"slices"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"consent-worker/hubspot"
	"consent-worker/hubspot/hubspottest"

	"github.com/google/go-cmp/cmp"
)

// client returns a client of ours that reaches the Sim without sockets.
func client(t testing.TB, sim *hubspottest.Sim, timeout time.Duration) *hubspot.Client {
	t.Helper()
	c, err := hubspot.New(hubspot.Config{
		BaseURL: "http://hubspot.test", Version: "2026-03", Tokens: hubspot.StaticToken("secret"),
		Timeout: timeout, Transport: sim.Transport(),
	})
	if err != nil {
		t.Fatal(err)
	}
	return c
}

func input(address string, st hubspot.Status) hubspot.Input {
	return hubspot.Input{SubscriberID: address, SubscriptionID: 7, Status: st, Channel: hubspot.Email}
}

func key(address string) hubspottest.Key {
	return hubspottest.Key{Address: address, SubscriptionID: 7, Channel: hubspot.Email}
}

// reports collects what a Sim reports.
type reports []string

func (r *reports) Errorf(format string, args ...any) { *r = append(*r, fmt.Sprintf(format, args...)) }

// violations compares the broken rules, and sees that no address is in them.
func violations(t testing.TB, sim *hubspottest.Sim, want ...string) {
	t.Helper()
	got := sim.Violations()
	if !slices.Equal(got, want) {
		t.Errorf("violations are %q, want %q", got, want)
	}
	if strings.Contains(strings.Join(got, ""), "@") {
		t.Errorf("violations show an address: %q", got)
	}
}

func TestSimHoldsWhatWasWritten(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		sim := hubspottest.New(hubspottest.Config{
			Token: "secret", KeepHistory: true, Latency: hubspottest.Latency(time.Second), Report: t,
		})
		defer sim.Close()
		c := client(t, sim, 0)
		start := time.Now()
		var reasons []string
		for _, st := range []hubspot.Status{
			hubspot.NotSpecified, hubspot.Subscribed, hubspot.Unsubscribed, hubspot.Unsubscribed, hubspot.Subscribed,
		} {
			r, err := c.WriteStatuses(t.Context(), []hubspot.Input{input("Ann@Example.com", st)})
			if err != nil || len(r.Results) != 1 {
				t.Fatalf("writing %s gives %+v, %v", st, r, err)
			}
			if got := r.Results[0]; got.Status != st || got.SubscriberID != "Ann@Example.com" || !got.Timestamp.Equal(time.Now()) {
				t.Errorf("writing %s gives %+v", st, got)
			}
			reasons = append(reasons, r.Results[0].Reason)
		}
		want := []string{
			"NO_STATUS_CHANGE", "REQUESTED_CHANGE_OCCURRED", "REQUESTED_CHANGE_OCCURRED", "NO_STATUS_CHANGE", "RESUBSCRIBE_OCCURRED",
		}
		if !slices.Equal(reasons, want) {
			t.Errorf("reasons are %q, want %q", reasons, want)
		}
		entry := hubspottest.Entry{Status: hubspot.Subscribed, Request: 5, Applied: start.Add(5 * time.Second), Writes: 5}
		if diff := cmp.Diff(map[hubspottest.Key]hubspottest.Entry{key("ann@example.com"): entry}, sim.State()); diff != "" {
			t.Errorf("state (-want +got):\n%s", diff)
		}
		history := sim.History(key("ann@example.com"))
		if len(history) != 5 {
			t.Fatalf("history is %+v, want 5 writes", history)
		}
		last := hubspottest.Write{
			Request: 5, Token: "secret", Received: start.Add(4 * time.Second), Applied: start.Add(5 * time.Second),
			Input: input("Ann@Example.com", hubspot.Subscribed), Previous: hubspot.Unsubscribed, Reason: "RESUBSCRIBE_OCCURRED",
		}
		if diff := cmp.Diff(last, history[4]); diff != "" {
			t.Errorf("last write (-want +got):\n%s", diff)
		}
		line := hubspottest.Request{
			Number: 5, Token: "secret", Received: start.Add(4 * time.Second), Answered: start.Add(5 * time.Second),
			Inputs: []hubspot.Input{input("Ann@Example.com", hubspot.Subscribed)}, Outcome: "200",
		}
		if log := sim.Log(); len(log) != 5 || !cmp.Equal(line, log[4]) {
			t.Errorf("log is %+v, want five with %+v", log, line)
		}
		if got := sim.Status(key("ann@example.com")); got != hubspot.Subscribed {
			t.Errorf("status is %s", got)
		}
		if got := sim.Status(key("bob@example.com")); got != hubspot.NotSpecified {
			t.Errorf("status of a key never written is %s", got)
		}
		if _, ok := sim.Entry(key("bob@example.com")); ok {
			t.Error("a key never written has an entry")
		}
	})
}

func TestSimWithoutHistoryKeepsStateAndCounts(t *testing.T) {
	sim := hubspottest.New(hubspottest.Config{Report: t})
	defer sim.Close()
	if _, err := client(t, sim, 0).WriteStatuses(t.Context(), inputs(0, 100)); err != nil {
		t.Fatal(err)
	}
	if len(sim.Log()) != 0 || len(sim.History(hubspottest.KeyOf(inputs(0, 1)[0]))) != 0 {
		t.Error("history is kept")
	}
	want := hubspottest.Requests{Total: 1, ByOutcome: map[hubspottest.Outcome]int{"200": 1}}
	if got := sim.Requests(); !cmp.Equal(got, want) || sim.Inputs() != 100 || len(sim.State()) != 100 {
		t.Errorf("requests %+v, inputs %d, keys %d", got, sim.Inputs(), len(sim.State()))
	}
}

func TestResetForgetsEverything(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var told reports
		sim := hubspottest.New(hubspottest.Config{Limit: 2, Daily: 2, KeepHistory: true, Report: &told})
		defer sim.Close()
		c := client(t, sim, 0)
		sim.Inject(hubspottest.Fault{Effect: hubspottest.Page(504), Late: time.Second, Times: 1})
		sim.Inject(hubspottest.Fault{Effect: hubspottest.Omit()})
		for range 3 {
			_, _ = c.WriteStatuses(t.Context(), inputs(0, 2))
		}
		sim.Reset()
		time.Sleep(2 * time.Second)
		if r := sim.Requests(); r.Total != 0 || len(r.ByOutcome) != 0 || sim.Inputs() != 0 || len(sim.State()) != 0 || len(sim.Log()) != 0 {
			t.Errorf("after Reset there are %+v, %d inputs, state %v", r, sim.Inputs(), sim.State())
		}
		violations(t, sim)
		r, err := c.WriteStatuses(t.Context(), inputs(0, 2))
		if err != nil || len(r.Results) != 2 || r.Limits.Remaining != 1 || r.Limits.DailyRemaining != 1 {
			t.Errorf("after Reset a request gives %+v, %v", r, err)
		}
	})
}

// post sends a body as it is, with the headers that the rules ask for.
func post(t testing.TB, sim *hubspottest.Sim, body string, change func(*http.Request)) *httptest.ResponseRecorder {
	t.Helper()
	r := httptest.NewRequestWithContext(t.Context(), http.MethodPost,
		"/communication-preferences/v4/statuses/batch/write", strings.NewReader(body))
	r.Header = http.Header{
		"Authorization": {"Bearer secret"}, "Content-Type": {"application/json; charset=utf-8"},
		"Accept": {"application/json"}, "User-Agent": {"test"},
	}
	if change != nil {
		change(r)
	}
	w := httptest.NewRecorder()
	sim.ServeHTTP(w, r)
	return w
}

const ann = `{"subscriberIdString":"ann@example.com","subscriptionId":7,"statusState":"SUBSCRIBED","channel":"EMAIL"}`

func TestSchemaIsEnforcedAsHubSpotWritesIt(t *testing.T) {
	for body, want := range map[string]string{
		`{"inputs":[` + ann + `]}`:                                                     "",
		`{"extra":[{}],"inputs":[{"new":1,` + ann[1:] + `]}`:                           "",
		`{"inputs":[{"legalBasis":null,"legalBasisExplanation":null,` + ann[1:] + `]}`: "",
		``:                                    "line 1, column 1: Unexpected character or end of input",
		`{`:                                   "line 1, column 2: Unexpected character or end of input",
		`[]`:                                  "line 1, column 1: Cannot deserialize value of type `BatchInputPublicStatusRequest` from Array value (token `JsonToken.START_ARRAY`)",
		`{}`:                                  "line 1, column 2: Cannot build BatchInputPublicStatusRequest, some of required attributes are not set [inputs]",
		`{"inputs":null}`:                     "line 1, column 14: Cannot deserialize value of type `java.util.List` from Null value (token `JsonToken.VALUE_NULL`)",
		`{"inputs":[` + ann + `]} x`:          "line 1, column 118: Unexpected content behind the end",
		"{\"inputs\":[\n  {},\n" + ann + `]}`: "line 2, column 4: Cannot build PublicStatusRequest, some of required attributes are not set [channel, statusState, subscriberIdString, subscriptionId]",
		`{"inputs":[7]}`:                      "line 1, column 12: Cannot deserialize value of type `PublicStatusRequest` from Number value (token `JsonToken.VALUE_NUMBER`)",
		`{"inputs":[{"subscriptionId":"7"}]}`: "line 1, column 30: Cannot deserialize value of type `long` from String value (token `JsonToken.VALUE_STRING`)",
		`{"inputs":[{"subscriptionId":7.5}]}`: "line 1, column 30: Numeric value out of range of long, or not a whole number",
		`{"inputs":[{"subscriptionId":9223372036854775808}]}`: "line 1, column 30: Numeric value out of range of long, or not a whole number",
		`{"inputs":[{"subscriberIdString":["a"]}]}`:           "line 1, column 34: Cannot deserialize value of type `java.lang.String` from Array value (token `JsonToken.START_ARRAY`)",
		`{"inputs":[{"statusState":"subscribed"}]}`:           "line 1, column 27: Cannot deserialize value of type `StatusState` from String \"subscribed\": not one of the values accepted for Enum class: [NOT_SPECIFIED SUBSCRIBED UNSUBSCRIBED]",
		`{"inputs":[{"channel":"SMS"}]}`:                      "line 1, column 23: Cannot deserialize value of type `Channel` from String \"SMS\": not one of the values accepted for Enum class: [EMAIL]",
		`{"inputs":[{"legalBasis":true}]}`:                    "line 1, column 26: Cannot deserialize value of type `LegalBasis` from Boolean value (token `JsonToken.VALUE_BOOLEAN`)",
		`{"inputs":[{"channel":"EMAIL","channel":"EMAIL"}]}`:  "line 1, column 31: Unexpected character or end of input",
		"{\"inputs\":[{\"subscriberIdString\":\"a\xff@b\"}]}": "line 1, column 36: Unexpected character or end of input",
	} {
		sim := hubspottest.New(hubspottest.Config{})
		w := post(t, sim, body, nil)
		if want == "" {
			if w.Code != 200 || sim.Inputs() != 1 {
				t.Errorf("%s gives %d %s", body, w.Code, w.Body)
			}
			violations(t, sim)
			continue
		}
		text := w.Body.String()
		wantPrefix := `{"status":"error","message":` + jsonText("Invalid input JSON on "+want) + `,"correlationId":"`
		if w.Code != 400 || !strings.HasPrefix(text, wantPrefix) || strings.Contains(text, `"category"`) || sim.Inputs() != 0 {
			t.Errorf("%s gives %d\n%s\nwant 400\n%s", body, w.Code, text, wantPrefix)
		}
		violations(t, sim, "request 1 does not follow the schema")
	}
}

func jsonText(s string) string {
	return `"` + strings.NewReplacer(`\`, `\\`, `"`, `\"`).Replace(s) + `"`
}

func TestRequestsThatHubSpotRefusesAreRefusedWhole(t *testing.T) {
	two := `{"inputs":[` + ann + `,` + strings.Replace(ann, "ann", "bob", 1) + `]}`
	for name, c := range map[string]struct {
		config    hubspottest.Config
		body      string
		change    func(*http.Request)
		status    int
		contains  string
		violation string
	}{
		"without token": {
			change: func(r *http.Request) { r.Header.Del("Authorization") },
			status: 401, contains: `"category":"INVALID_AUTHENTICATION"`, violation: "request 1 has no bearer token",
		},
		"with basic auth": {
			change: func(r *http.Request) { r.SetBasicAuth("a", "b") },
			status: 401, contains: `"category":"INVALID_AUTHENTICATION"`, violation: "request 1 has no bearer token",
		},
		"with another token": {
			config: hubspottest.Config{Token: "other"}, status: 401, contains: `"category":"INVALID_AUTHENTICATION"`,
		},
		"as text": {
			change: func(r *http.Request) { r.Header.Set("Content-Type", "text/plain") },
			status: 415, violation: "request 1 is not declared as JSON",
		},
		"too many inputs": {
			config: hubspottest.Config{BatchLimit: 1}, status: 400,
			contains: `"message":"The maximum number of inputs supported in a batch is 1. Please reduce the number of items and try again"`,
		},
		"too many bytes": {config: hubspottest.Config{BodyLimit: 100}, status: 413},
		"no inputs":      {body: `{"inputs":[]}`, status: 400, contains: `"category":"VALIDATION_ERROR"`},
		"a key twice": {
			body:   `{"inputs":[` + ann + `,` + strings.Replace(ann, "ann", "ANN", 1) + `]}`,
			status: 400, violation: "request 1 has a key twice",
			contains: `"message":"Duplicate IDs found in batch input: [ANN@example.com]. IDs must be unique"`,
		},
		"unknown address": {
			change: func(r *http.Request) { r.URL.Path = "/communication-preferences/v4/statuses/batch" }, status: 404,
		},
		"another method": {change: func(r *http.Request) { r.Method = http.MethodGet }, status: 404},
	} {
		t.Run(name, func(t *testing.T) {
			sim := hubspottest.New(c.config)
			defer sim.Close()
			if c.body == "" {
				c.body = two
			}
			w := post(t, sim, c.body, c.change)
			if w.Code != c.status || !strings.Contains(w.Body.String(), c.contains) {
				t.Errorf("answer is %d %s, want %d with %s", w.Code, w.Body, c.status, c.contains)
			}
			if w.Header().Get("X-HubSpot-Correlation-Id") == "" || !strings.Contains(w.Body.String(), w.Header().Get("X-HubSpot-Correlation-Id")) {
				t.Errorf("correlation id %q is not that of %s", w.Header().Get("X-HubSpot-Correlation-Id"), w.Body)
			}
			if sim.Inputs() != 0 {
				t.Errorf("%d inputs were written", sim.Inputs())
			}
			if c.violation == "" {
				violations(t, sim)
			} else {
				violations(t, sim, c.violation)
			}
		})
	}
}

func TestMissingHeadersAreReported(t *testing.T) {
	var told reports
	sim := hubspottest.New(hubspottest.Config{Report: &told})
	defer sim.Close()
	post(t, sim, `{"inputs":[`+ann+`]}`, func(r *http.Request) { r.Header.Del("Accept"); r.Header.Del("User-Agent") })
	violations(t, sim, "request 1 does not accept JSON", "request 1 does not say who sends it")
	want := reports{"hubspottest: request 1 does not accept JSON", "hubspottest: request 1 does not say who sends it"}
	if !slices.Equal(told, want) {
		t.Errorf("reports are %q, want %q", told, want)
	}
}

func TestTokensCanBeChanged(t *testing.T) {
	sim := hubspottest.New(hubspottest.Config{Token: "old"})
	defer sim.Close()
	for _, c := range []struct {
		tokens []string
		status int
	}{{[]string{"new"}, 401}, {[]string{"new", "secret"}, 200}, {nil, 200}} {
		sim.Accept(c.tokens...)
		if w := post(t, sim, `{"inputs":[`+ann+`]}`, nil); w.Code != c.status {
			t.Errorf("with tokens %q the answer is %d, want %d", c.tokens, w.Code, c.status)
		}
	}
}

func TestAnyVersionIsServed(t *testing.T) {
	sim := hubspottest.New(hubspottest.Config{})
	defer sim.Close()
	for _, version := range []string{"v3", "v4", "2026-03", "2026-09"} {
		w := post(t, sim, `{"inputs":[`+ann+`]}`, func(r *http.Request) {
			r.URL.Path = "/communication-preferences/" + version + "/statuses/batch/write"
		})
		if w.Code != 200 {
			t.Errorf("version %s gives %d %s", version, w.Code, w.Body)
		}
	}
}

func TestDefinitionsAreListed(t *testing.T) {
	sim := hubspottest.New(hubspottest.Config{Token: "secret", Definitions: []hubspottest.Definition{{ID: 7, Name: "News"}}, Limit: 1})
	defer sim.Close()
	get := func(token string) *httptest.ResponseRecorder {
		r := httptest.NewRequestWithContext(t.Context(), http.MethodGet, "/communication-preferences/v4/definitions", http.NoBody)
		r.Header.Set("Authorization", "Bearer "+token)
		w := httptest.NewRecorder()
		sim.ServeHTTP(w, r)
		return w
	}
	if w := get("wrong"); w.Code != 401 {
		t.Errorf("a wrong token gives %d", w.Code)
	}
	if w := get("secret"); w.Code != 200 || !strings.Contains(w.Body.String(), `"id":"7","name":"News"`) {
		t.Errorf("definitions are %d %s", w.Code, w.Body)
	}
	if w := get("secret"); w.Code != 429 {
		t.Errorf("over the limit, definitions give %d", w.Code)
	}
	if n := sim.Requests().Total; n != 0 {
		t.Errorf("%d writes are counted, want 0", n)
	}
}

func TestClosedSimCutsConnections(t *testing.T) {
	sim := hubspottest.New(hubspottest.Config{})
	sim.Close()
	sim.Close()
	_, err := client(t, sim, 0).WriteStatuses(t.Context(), inputs(0, 1))
	if _, ok := errors.AsType[*hubspot.Error](err); !ok {
		t.Errorf("a closed Sim gives %v", err)
	}
	server := httptest.NewServer(sim)
	defer server.Close()
	r, err := http.NewRequestWithContext(t.Context(), http.MethodPost,
		server.URL+"/communication-preferences/v4/statuses/batch/write", strings.NewReader(`{"inputs":[`+ann+`]}`))
	if err != nil {
		t.Fatal(err)
	}
	r.Header.Set("Authorization", "Bearer secret")
	r.Header.Set("Content-Type", "application/json")
	if _, err := server.Client().Do(r); !errors.Is(err, io.EOF) {
		t.Errorf("a closed Sim gives %v over a port, want EOF", err)
	}
	if len(sim.State()) != 0 {
		t.Error("a closed Sim was written to")
	}
}
