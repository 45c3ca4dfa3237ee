package hubspottest_test

import (
	"context"
	"errors"
	"io"
	"net/http"
	"net/http/httptest"
	"testing"
	"time"

	"consent-worker/hubspot"
	"consent-worker/hubspot/hubspottest"

	"github.com/google/go-cmp/cmp"
)

// wires are the ways to reach a Sim, which must not differ in what a client sees.
var wires = map[string]func(testing.TB, *hubspottest.Sim) (baseURL string, transport http.RoundTripper){
	"memory": func(_ testing.TB, sim *hubspottest.Sim) (string, http.RoundTripper) {
		return "http://hubspot.test", sim.Transport()
	},
	"HTTP1": func(t testing.TB, sim *hubspottest.Sim) (string, http.RoundTripper) {
		server := httptest.NewServer(sim)
		t.Cleanup(server.Close)
		return server.URL, nil
	},
	"HTTP2": func(t testing.TB, sim *hubspottest.Sim) (string, http.RoundTripper) {
		server := httptest.NewUnstartedServer(sim)
		server.EnableHTTP2 = true
		server.StartTLS()
		t.Cleanup(server.Close)
		return server.URL, server.Client().Transport
	},
}

func TestAllWiresShowTheSame(t *testing.T) {
	type outcome struct {
		Status     int
		Unanswered bool
		Failed     bool
		Malformed  bool
		Results    int
		Limits     hubspot.Limits
		Written    int
	}
	limits := func(left int) hubspot.Limits {
		return hubspot.Limits{Max: 9, Remaining: left, Interval: time.Hour, Known: true}
	}
	for name, c := range map[string]struct {
		fault hubspottest.Fault
		want  outcome
	}{
		"an answer":         {hubspottest.Fault{Effect: hubspottest.Twice()}, outcome{200, false, false, false, 4, limits(8), 2}},
		"a refusal":         {hubspottest.Fault{Effect: hubspottest.Locked()}, outcome{423, false, true, false, 0, limits(8), 0}},
		"a page":            {hubspottest.Fault{Effect: hubspottest.Page(502), Applied: true}, outcome{502, true, true, false, 0, hubspot.Limits{}, 2}},
		"nothing":           {hubspottest.Fault{Effect: hubspottest.Empty(204)}, outcome{204, false, false, true, 0, hubspot.Limits{}, 0}},
		"a cut":             {hubspottest.Fault{Effect: hubspottest.Cut()}, outcome{0, true, true, false, 0, hubspot.Limits{}, 0}},
		"a cut, applied":    {hubspottest.Fault{Effect: hubspottest.Cut(), Applied: true}, outcome{0, true, true, false, 0, hubspot.Limits{}, 2}},
		"half an answer":    {hubspottest.Fault{Effect: hubspottest.CutAnswer(), Applied: true}, outcome{200, true, true, false, 0, limits(8), 2}},
		"truncated content": {hubspottest.Fault{Effect: hubspottest.Truncate()}, outcome{200, false, false, true, 0, limits(8), 0}},
	} {
		for wire, open := range wires {
			t.Run(name+" over "+wire, func(t *testing.T) {
				sim := hubspottest.New(hubspottest.Config{Limit: 9, Interval: time.Hour, Report: t})
				defer sim.Close()
				sim.Inject(c.fault)
				baseURL, transport := open(t, sim)
				our, err := hubspot.New(hubspot.Config{
					BaseURL: baseURL, Version: "v4", Tokens: hubspot.StaticToken("secret"), Transport: transport,
				})
				if err != nil {
					t.Fatal(err)
				}
				r, err := our.WriteStatuses(t.Context(), inputs(0, 2))
				got := outcome{r.StatusCode, false, false, r.Malformed, len(r.Results), r.Limits, len(sim.State())}
				if e, ok := errors.AsType[*hubspot.Error](err); ok {
					got.Status, got.Unanswered, got.Failed, got.Limits = e.StatusCode, e.Unanswered, true, e.Limits
				}
				if diff := cmp.Diff(c.want, got); diff != "" {
					t.Errorf("outcome (-want +got):\n%s\n%v", diff, err)
				}
			})
		}
	}
}

func TestHangEndsOverEveryWireWhenTheCallerGivesUp(t *testing.T) {
	for wire, open := range wires {
		t.Run(wire, func(t *testing.T) {
			sim := hubspottest.New(hubspottest.Config{Report: t})
			ctx, cancel := context.WithCancel(t.Context())
			defer cancel()
			sim.Inject(hubspottest.Fault{Effect: hubspottest.Hang(), Inputs: func(hubspot.Input) bool {
				cancel() // the request has arrived
				return true
			}})
			baseURL, transport := open(t, sim)
			our, err := hubspot.New(hubspot.Config{
				BaseURL: baseURL, Version: "v4", Tokens: hubspot.StaticToken("secret"), Transport: transport,
			})
			if err != nil {
				t.Fatal(err)
			}
			_, err = our.WriteStatuses(ctx, inputs(0, 1))
			if e, ok := errors.AsType[*hubspot.Error](err); !ok || !e.Unanswered || !errors.Is(err, context.Canceled) {
				t.Errorf("got %v, want unanswered, canceled", err)
			}
			sim.Close()
		})
	}
}

func TestTransportObeysItsContract(t *testing.T) {
	sim := hubspottest.New(hubspottest.Config{Report: t})
	defer sim.Close()
	body := &watched{}
	ctx, cancel := context.WithCancelCause(t.Context())
	r, err := http.NewRequestWithContext(ctx, http.MethodPost, "http://hubspot.test/", body)
	if err != nil {
		t.Fatal(err)
	}
	resp, err := sim.Transport().RoundTrip(r)
	if err != nil || resp.StatusCode != http.StatusNotFound || !body.closed {
		t.Fatalf("answer is %v, %v, body closed %v", resp, err, body.closed)
	}
	cause := errors.New("had enough")
	cancel(cause)
	if _, err := io.ReadAll(resp.Body); !errors.Is(err, cause) {
		t.Errorf("reading on gives %v, want %v", err, cause)
	}
	body.closed = false
	if _, err := sim.Transport().RoundTrip(r); !errors.Is(err, cause) || !body.closed {
		t.Errorf("a second try gives %v, body closed %v, want %v", err, body.closed, cause)
	}
}

// watched is an empty body that knows whether it was closed.
type watched struct{ closed bool }

func (*watched) Read([]byte) (int, error) { return 0, io.EOF }

func (w *watched) Close() error { w.closed = true; return nil }
