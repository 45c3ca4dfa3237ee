package hubspot_test

import (
	"context"
	"errors"
	"io"
	"log/slog"
	"net"
	"net/http"
	"net/http/httptest"
	"testing"
	"testing/synctest"
	"time"

	"consent-worker/hubspot"
	"consent-worker/hubspot/hubspottest"
)

func TestRefusedDialIsKnownNotToHaveBeenSent(t *testing.T) {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	l.Close()
	client := newClient(t, hubspot.Config{BaseURL: "http://" + l.Addr().String()})
	_, err = client.WriteStatuses(t.Context(), []hubspot.Input{ann})
	if e := refusal(t, err); e.StatusCode != 0 || e.Unanswered || e.Err == nil {
		t.Errorf("a refused dial gives %+v, want nothing unanswered", e)
	}
}

func TestFailedTLSHandshakeIsKnownNotToHaveBeenSent(t *testing.T) {
	server := httptest.NewUnstartedServer(http.NotFoundHandler())
	server.Config.ErrorLog = slog.NewLogLogger(slog.DiscardHandler, slog.LevelError)
	server.StartTLS()
	defer server.Close()
	client := newClient(t, hubspot.Config{BaseURL: server.URL}) // trusts no certificate of a test
	_, err := client.WriteStatuses(t.Context(), []hubspot.Input{ann})
	if e := refusal(t, err); e.StatusCode != 0 || e.Unanswered {
		t.Errorf("an unknown certificate gives %+v, want nothing unanswered", e)
	}
}

func TestConnectionCutAnywhereAfterTheRequestIsUnanswered(t *testing.T) {
	for name, c := range map[string]struct {
		answer string
		status int
	}{
		"before the answer":         {"", 0},
		"amid the header":           {"HTTP/1.1 200 OK\r\nContent-Le", 0},
		"amid the body":             {"HTTP/1.1 200 OK\r\nContent-Length: 100\r\n\r\n{\"results\":[]", 200},
		"amid a chunk":              {"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n20\r\n{\"resu", 200},
		"amid the body of an error": {"HTTP/1.1 503 Busy\r\nContent-Length: 100\r\n\r\n{", 503},
		"after something else":      {"ann@example.com secret-1\r\n\r\n", 0},
	} {
		t.Run(name, func(t *testing.T) {
			client := answering(t, func(w http.ResponseWriter, r *http.Request) {
				_, _ = io.Copy(io.Discard, r.Body)
				conn, _, err := http.NewResponseController(w).Hijack()
				if err != nil {
					t.Error(err)
					return
				}
				_, _ = io.WriteString(conn, c.answer)
				conn.Close()
			})
			_, err := client.WriteStatuses(t.Context(), []hubspot.Input{ann})
			if e := refusal(t, err); e.StatusCode != c.status || !e.Unanswered || e.Err == nil {
				t.Errorf("cut %s gives %+v, want status %d, unanswered", name, e, c.status)
			}
		})
	}
}

func TestTimeoutIsUnansweredAndTakesAsLongAsItSays(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		sim := hubspottest.New(hubspottest.Config{Report: t, Latency: hubspottest.Latency(time.Minute)})
		defer sim.Close()
		client := newClient(t, hubspot.Config{Transport: sim.Transport(), Timeout: 3 * time.Second})
		start := time.Now()
		_, err := client.WriteStatuses(t.Context(), []hubspot.Input{ann})
		if e := refusal(t, err); !e.Unanswered || !errors.Is(e, context.DeadlineExceeded) {
			t.Errorf("a timeout gives %+v, want unanswered, deadline exceeded", e)
		}
		if took := time.Since(start); took != 3*time.Second {
			t.Errorf("it took %v, want 3s", took)
		}
	})
}

func TestTimeoutIsTenSecondsUnlessSaid(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		sim := hubspottest.New(hubspottest.Config{Report: t, Latency: hubspottest.Latency(time.Minute)})
		defer sim.Close()
		client := newClient(t, hubspot.Config{Transport: sim.Transport()})
		start := time.Now()
		if _, err := client.WriteStatuses(t.Context(), []hubspot.Input{ann}); err == nil {
			t.Error("no timeout")
		}
		if took := time.Since(start); took != 10*time.Second {
			t.Errorf("it took %v, want 10s", took)
		}
	})
}

func TestContextEndedBeforehandSendsNothing(t *testing.T) {
	sim := hubspottest.New(hubspottest.Config{Report: t})
	defer sim.Close()
	server := httptest.NewServer(sim)
	defer server.Close()
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	for _, client := range []*hubspot.Client{
		newClient(t, hubspot.Config{Transport: sim.Transport()}), newClient(t, hubspot.Config{BaseURL: server.URL}),
	} {
		_, err := client.WriteStatuses(ctx, []hubspot.Input{ann})
		if e := refusal(t, err); e.Unanswered || !errors.Is(e, context.Canceled) {
			t.Errorf("a cancelled context gives %+v, want canceled, nothing unanswered", e)
		}
	}
	if n := sim.Requests().Total; n != 0 {
		t.Errorf("%d requests were sent, want 0", n)
	}
}
