package hubspot_test

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"net/http/httptrace"
	"strconv"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"consent-worker/hubspot"
	"consent-worker/hubspot/hubspottest"

	"github.com/google/go-cmp/cmp"
)

const token = hubspot.Secret("secret-1")

var ann = hubspot.Input{SubscriberID: "ann@example.com", SubscriptionID: 7, Status: hubspot.Unsubscribed, Channel: hubspot.Email}

func newClient(t testing.TB, c hubspot.Config) *hubspot.Client {
	t.Helper()
	if c.BaseURL == "" {
		c.BaseURL = "http://hubspot.test"
	}
	if c.Tokens == nil {
		c.Tokens = hubspot.StaticToken(token)
	}
	c.Version = "v4"
	client, err := hubspot.New(c)
	if err != nil {
		t.Fatal(err)
	}
	return client
}

// answering returns a client whose requests are answered by h.
func answering(t testing.TB, h http.HandlerFunc) *hubspot.Client {
	server := httptest.NewServer(h)
	t.Cleanup(server.Close)
	return newClient(t, hubspot.Config{BaseURL: server.URL + "/"})
}

// refusal returns the typed error that every outcome but a 2xx must be.
func refusal(t testing.TB, err error) *hubspot.Error {
	t.Helper()
	e, ok := errors.AsType[*hubspot.Error](err)
	if !ok {
		t.Fatalf("error is %v, want a *hubspot.Error", err)
	}
	if text := err.Error(); strings.Contains(text, "@") || strings.Contains(text, token.Reveal()) {
		t.Errorf("the error shows an address or the token: %s", text)
	}
	return e
}

func TestEveryMistakeInAConfigIsReportedAtOnce(t *testing.T) {
	_, err := hubspot.New(hubspot.Config{BaseURL: "api.hubapi.com", Version: "4", Timeout: -1, UserAgent: "a\nb"})
	want := "hubspot: the base URL is not absolute, with http or https\n" +
		"hubspot: the version \"4\" is neither like v4 nor like 2026-03\n" +
		"hubspot: no token source\n" +
		"hubspot: the timeout -1ns is negative\n" +
		"hubspot: the user agent is not plain text"
	if err == nil || err.Error() != want {
		t.Errorf("New says\n%v\nwant\n%s", err, want)
	}
}

func TestConfigTakesTheseURLsAndVersionsAndNoOthers(t *testing.T) {
	for _, c := range []struct {
		url, version string
		ok           bool
	}{
		{"https://api.hubapi.com", "v4", true},
		{"https://api-eu1.hubapi.com/", "2026-03", true},
		{"http://127.0.0.1:8080/prefix", "v10", true},
		{"", "v4", false},
		{"ftp://api.hubapi.com", "v4", false},
		{"https://", "v4", false},
		{"//api.hubapi.com", "v4", false},
		{"https://user:password@api.hubapi.com", "v4", false},
		{"https://api.hubapi.com?a=b", "v4", false},
		{"https://api.hubapi.com#a", "v4", false},
		{"https://api.hubapi.com\x7f", "v4", false},
		{"https://api.hubapi.com", "", false},
		{"https://api.hubapi.com", "v4/..", false},
		{"https://api.hubapi.com", "2026-3", false},
		{"https://api.hubapi.com", "v4\n", false},
	} {
		_, err := hubspot.New(hubspot.Config{BaseURL: c.url, Version: c.version, Tokens: hubspot.StaticToken(token)})
		if (err == nil) != c.ok {
			t.Errorf("URL %q and version %q: %v, want accepted %v", c.url, c.version, err, c.ok)
		}
		if err != nil && strings.Contains(err.Error(), "password") {
			t.Errorf("the error shows a password: %v", err)
		}
	}
}

func TestRequestIsExactlyWhatHubSpotExpects(t *testing.T) {
	var got *http.Request
	var body []byte
	client := answering(t, func(w http.ResponseWriter, r *http.Request) {
		got = r
		body, _ = io.ReadAll(r.Body)
		_, _ = io.WriteString(w, `{"results":[]}`)
	})
	if _, err := client.WriteStatuses(t.Context(), []hubspot.Input{ann}); err != nil {
		t.Fatal(err)
	}
	if want := "/communication-preferences/v4/statuses/batch/write"; got.Method != http.MethodPost || got.RequestURI != want {
		t.Errorf("request is %s %s, want POST %s", got.Method, got.RequestURI, want)
	}
	const wantBody = `{"inputs":[{"subscriberIdString":"ann@example.com","subscriptionId":7,` +
		`"statusState":"UNSUBSCRIBED","channel":"EMAIL"}]}`
	if string(body) != wantBody {
		t.Errorf("body is\n%s\nwant\n%s", body, wantBody)
	}
	want := http.Header{
		"Accept": {"application/json"}, "Authorization": {"Bearer secret-1"}, "Content-Type": {"application/json"},
		"User-Agent": {"consent-worker"}, "Content-Length": {strconv.Itoa(len(wantBody))},
	}
	if diff := cmp.Diff(want, got.Header); diff != "" {
		t.Errorf("header (-want +got):\n%s", diff)
	}
}

func TestInvalidInputsAreNotSent(t *testing.T) {
	sim := hubspottest.New(hubspottest.Config{Report: t})
	defer sim.Close()
	client := newClient(t, hubspot.Config{Transport: sim.Transport()})
	for _, inputs := range [][]hubspot.Input{nil, {ann, {}}} {
		_, err := client.WriteStatuses(t.Context(), inputs)
		if _, typed := errors.AsType[*hubspot.Error](err); err == nil || typed {
			t.Errorf("%d inputs give %v, want a plain error", len(inputs), err)
		}
	}
	if n := sim.Requests().Total; n != 0 {
		t.Errorf("%d requests were sent, want 0", n)
	}
}

func TestEvery2xxIsAResponse(t *testing.T) {
	for _, status := range []int{200, 201, 202, 207, 299} {
		for body, malformed := range map[string]bool{
			`{"status":"COMPLETE"}`: false, "": true, "<html></html>": true, `{"status":"COMP`: true,
		} {
			client := answering(t, func(w http.ResponseWriter, _ *http.Request) {
				w.Header().Set("Content-Type", "text/plain")
				w.Header().Set("X-HubSpot-Correlation-Id", "c-1")
				w.Header().Set("X-HubSpot-RateLimit-Max", "190")
				w.Header().Set("X-HubSpot-RateLimit-Remaining", "189")
				w.WriteHeader(status)
				_, _ = io.WriteString(w, body)
			})
			got, err := client.WriteStatuses(t.Context(), []hubspot.Input{ann})
			if err != nil {
				t.Fatalf("status %d: %v", status, err)
			}
			if got.StatusCode != status || got.Malformed != malformed || got.CorrelationID != "c-1" || !got.Limits.Known {
				t.Errorf("status %d with %q gives %+v, want malformed %v", status, body, got, malformed)
			}
		}
	}
}

func TestBodiesAreBounded(t *testing.T) {
	const size = 9 << 20
	for status, body := range map[int]string{
		200: `{"status":"COMPLETE"}` + strings.Repeat(" ", size), // whole as far as it is read
		500: `{"message":"` + strings.Repeat("a", size) + `"}`,
	} {
		client := answering(t, func(w http.ResponseWriter, _ *http.Request) {
			w.WriteHeader(status)
			_, _ = io.WriteString(w, body)
		})
		got, err := client.WriteStatuses(t.Context(), []hubspot.Input{ann})
		switch {
		case status == 200 && (err != nil || !got.Malformed):
			t.Errorf("a 200 of %d bytes gives %v, malformed %v, want malformed", size, err, got.Malformed)
		case status == 500:
			if e := refusal(t, err); e.StatusCode != http.StatusInternalServerError || e.Message != "" || e.Unanswered {
				t.Errorf("a 500 of %d bytes gives %v with a message of %d bytes", size, e, len(e.Message))
			}
		}
	}
}

func TestRedirectsAreNotFollowed(t *testing.T) {
	var requests atomic.Int32
	for _, status := range []int{301, 302, 303, 307, 308} {
		for _, location := range []string{"/elsewhere", "", "http://[bad"} {
			requests.Store(0)
			client := answering(t, func(w http.ResponseWriter, _ *http.Request) {
				requests.Add(1)
				w.Header().Set("Location", location)
				w.WriteHeader(status)
			})
			_, err := client.WriteStatuses(t.Context(), []hubspot.Input{ann})
			if e := refusal(t, err); e.StatusCode != status || e.Unanswered || requests.Load() != 1 {
				t.Errorf("a %d to %q gives %v after %d requests", status, location, e, requests.Load())
			}
		}
	}
}

func TestRefusalCarriesWhatHubSpotSaid(t *testing.T) {
	client := answering(t, func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("Retry-After", "7")
		w.Header().Set("X-HubSpot-Correlation-Id", "of the header")
		w.Header().Set("X-HubSpot-RateLimit-Daily", "100")
		w.Header().Set("X-HubSpot-RateLimit-Daily-Remaining", "0")
		w.WriteHeader(http.StatusTooManyRequests)
		_, _ = io.WriteString(w, `{"message":"for ann@example.com","errorType":"RATE_LIMIT","policyName":"DAILY","correlationId":"c-1"}`)
	})
	_, err := client.WriteStatuses(t.Context(), []hubspot.Input{ann})
	want := &hubspot.Error{
		StatusCode: 429, Category: "RATE_LIMIT", Message: "for ann@example.com", CorrelationID: "c-1", PolicyName: "DAILY",
		RetryAfter: 7 * time.Second, Limits: hubspot.Limits{Daily: 100, DailyKnown: true},
	}
	e := refusal(t, err)
	if diff := cmp.Diff(want, e); diff != "" {
		t.Errorf("error (-want +got):\n%s", diff)
	}
	if !e.Daily() {
		t.Error("the error is not about the day")
	}
}

type failingTokens struct {
	token hubspot.Secret
	err   error
}

func (f failingTokens) Token(context.Context) (hubspot.Secret, error) { return f.token, f.err }

func TestMissingTokenSendsNothing(t *testing.T) {
	cause := errors.New("no credentials")
	for name, tokens := range map[string]failingTokens{
		"error": {"", cause}, "empty": {"", nil}, "control character": {"secret-1\n", nil},
	} {
		t.Run(name, func(t *testing.T) {
			server := httptest.NewServer(http.HandlerFunc(func(http.ResponseWriter, *http.Request) { t.Error("a request was sent") }))
			defer server.Close()
			_, err := newClient(t, hubspot.Config{BaseURL: server.URL, Tokens: tokens}).WriteStatuses(t.Context(), []hubspot.Input{ann})
			e := refusal(t, err)
			if e.StatusCode != 0 || e.Unanswered || e.Err == nil {
				t.Errorf("got %+v, want nothing unanswered", e)
			}
			if tokens.err != nil && !errors.Is(err, cause) {
				t.Errorf("error is %v, want it to wrap %v", err, cause)
			}
		})
	}
}

func TestConnectionsAreUsedAgain(t *testing.T) {
	sim := hubspottest.New(hubspottest.Config{Report: t})
	defer sim.Close()
	server := httptest.NewServer(sim)
	defer server.Close()
	client := newClient(t, hubspot.Config{BaseURL: server.URL})
	fresh := 0
	ctx := httptrace.WithClientTrace(t.Context(), &httptrace.ClientTrace{GotConn: func(i httptrace.GotConnInfo) {
		if !i.Reused {
			fresh++
		}
	}})
	for i := range 10 {
		if i == 5 {
			sim.Inject(hubspottest.Fault{Effect: hubspottest.Refuse(500, "INTERNAL_ERROR", "internal error"), Times: 1})
		}
		_, err := client.WriteStatuses(ctx, []hubspot.Input{ann})
		if (err != nil) != (i == 5) {
			t.Errorf("request %d: %v", i, err)
		}
	}
	if fresh != 1 {
		t.Errorf("%d connections were opened, want 1", fresh)
	}
}

func TestClientServesManyGoroutinesAtOnce(t *testing.T) {
	sim := hubspottest.New(hubspottest.Config{Report: t})
	defer sim.Close()
	server := httptest.NewServer(sim)
	defer server.Close()
	client := newClient(t, hubspot.Config{BaseURL: server.URL})
	errs := make(chan error, 20)
	for g := range cap(errs) {
		go func() {
			in := ann
			in.SubscriberID = fmt.Sprintf("person-%d@example.com", g)
			for range 20 {
				r, err := client.WriteStatuses(t.Context(), []hubspot.Input{in})
				if err == nil && (len(r.Results) != 1 || r.Results[0].SubscriberID != in.SubscriberID) {
					err = fmt.Errorf("goroutine %d got %+v", g, r.Results)
				}
				if err != nil {
					errs <- err
					return
				}
			}
			errs <- nil
		}()
	}
	for range cap(errs) {
		if err := <-errs; err != nil {
			t.Error(err)
		}
	}
	if got := sim.Inputs(); got != 400 {
		t.Errorf("%d inputs were written, want 400", got)
	}
}
