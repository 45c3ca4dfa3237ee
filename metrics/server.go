package metrics

import (
	"fmt"
	"io"
	"net/http"
	"time"

	"github.com/prometheus/client_golang/prometheus/promhttp"
)

const (
	// stale is how old the latest snapshot of a life may be: the loop makes one each second.
	stale = 30 * time.Second
	// between is how long a process may be without a life: it waits for topics, for the coordinator, for its turn.
	between = 5 * time.Minute
)

// Healthy says why the process should be started anew; nil while it makes progress or has nothing to do.
func (m *Metrics) Healthy(now time.Time) error {
	s := m.Last()
	switch {
	case s == nil && now.Sub(m.began) > between:
		return fmt.Errorf("not a member of the group since the start %v ago", now.Sub(m.began).Round(time.Second))
	case s == nil:
		return nil // it waits for its topics or the group, and says so in the log
	case s.Over && now.Sub(s.At) > between:
		return fmt.Errorf("not a member of the group for %v", now.Sub(s.At).Round(time.Second))
	case !s.Over && now.Sub(s.At) > stale:
		return fmt.Errorf("the loop has not moved for %v", now.Sub(s.At).Round(time.Second))
	}
	return nil
}

// Ready says why the process does no work; nil when it is a member of the group.
func (m *Metrics) Ready(time.Time) error {
	s := m.Last()
	if s == nil || s.Over {
		return fmt.Errorf("not a member of the group")
	}
	return nil
}

// Server returns the admin server for an address; the caller listens and shuts it down. Everything in it is bounded.
func (m *Metrics) Server(addr string) *http.Server {
	mux := http.NewServeMux()
	mux.Handle("GET /metrics", promhttp.HandlerFor(m.registry, promhttp.HandlerOpts{MaxRequestsInFlight: 4, Timeout: 10 * time.Second}))
	mux.HandleFunc("GET /healthz", state(m.Healthy))
	mux.HandleFunc("GET /readyz", state(m.Ready))
	mux.HandleFunc("GET /{$}", func(w http.ResponseWriter, _ *http.Request) {
		say(w, http.StatusOK, "consent-worker\n\n/metrics  Prometheus series\n/healthz  does it make progress\n/readyz   is it a member of the group")
	})
	return &http.Server{
		Addr: addr, Handler: mux, ReadHeaderTimeout: 5 * time.Second, ReadTimeout: 10 * time.Second,
		WriteTimeout: 30 * time.Second, IdleTimeout: 2 * time.Minute, MaxHeaderBytes: 16 << 10,
	}
}

func state(check func(time.Time) error) http.HandlerFunc {
	return func(w http.ResponseWriter, _ *http.Request) {
		if err := check(time.Now()); err != nil {
			say(w, http.StatusServiceUnavailable, err.Error())
			return
		}
		say(w, http.StatusOK, "ok")
	}
}

func say(w http.ResponseWriter, code int, text string) {
	w.Header().Set("Content-Type", "text/plain; charset=utf-8")
	w.WriteHeader(code)
	_, _ = io.WriteString(w, text+"\n") // a caller that is gone needs no answer
}
