package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net"
	"net/http"
	"time"

	"consent-worker/hubspot"
	"consent-worker/metrics"
	"consent-worker/worker"
	"consent-worker/worker/kafka"
)

// carry carries events until ctx ends, and returns nil when it has let go of everything then.
func carry(ctx context.Context, cfg config, log *slog.Logger) error {
	client, err := hubspot.New(cfg.hubspot)
	if err != nil {
		return err
	}
	gate, err := worker.NewGate(cfg.gate)
	if err != nil {
		return err
	}
	cfg.kafka.Logger = log
	cluster, err := kafka.Open(cfg.kafka)
	if err != nil {
		return err
	}
	m := metrics.New(currentVersion())
	admin, stopAdmin, err := serve(ctx, m, cfg.admin, log)
	if err != nil {
		return errors.Join(err, cluster.Close())
	}
	defer stopAdmin() // last: whoever watches sees the drain
	tellStart(ctx, cfg, admin, log)
	defer tellStop(ctx, cfg.worker.Drain, log)()

	life := cfg.worker
	life.HubSpot, life.DeadLetters, life.Gate, life.Observer, life.Logger = client, cluster, gate, m, log
	err = cluster.Run(ctx, func(ctx context.Context, gen worker.Generation) error { return worker.Run(ctx, life, gen) })
	return errors.Join(err, cluster.Close())
}

// tellStart logs the settings that matter when somebody asks later what ran here. No secret is among them.
func tellStart(ctx context.Context, cfg config, admin net.Addr, log *slog.Logger) {
	mechanism := "none"
	if cfg.kafka.SASL != nil {
		mechanism = cfg.kafka.SASL.Name()
	}
	log.LogAttrs(ctx, slog.LevelInfo, "starting", slog.String("version", currentVersion()),
		slog.Any("brokers", cfg.kafka.Brokers), slog.Bool("tls", cfg.kafka.TLS != nil), slog.String("sasl", mechanism),
		slog.String("topic", cfg.kafka.Topic), slog.String("dead_letter_topic", cfg.kafka.DeadLetterTopic),
		slog.String("group", cfg.kafka.Group), slog.String("start", cfg.kafka.Start.String()), slog.Duration("session_timeout", cfg.kafka.SessionTimeout),
		slog.String("hubspot", cfg.hubspot.BaseURL), slog.String("api_version", cfg.hubspot.Version), slog.Duration("timeout", cfg.hubspot.Timeout),
		slog.Int("rate_limit", cfg.gate.Limit), slog.Duration("rate_interval", cfg.gate.Interval),
		slog.Int("batch_size", cfg.worker.BatchSize), slog.Duration("linger", cfg.worker.Linger), slog.Int("in_flight", cfg.worker.InFlight),
		slog.Int("window", cfg.worker.Window), slog.Duration("drain_timeout", cfg.worker.Drain), slog.String("admin", admin.String()))
	if cfg.hubspot.Version == "v4" {
		log.LogAttrs(ctx, slog.LevelWarn, "HubSpot supports v4 until 30 March 2027; HUBSPOT_API_VERSION=2026-09 has the same requests and answers")
	}
}

// tellStop logs that ctx has ended, when it does. The function it returns ends that, and waits for a line under way.
func tellStop(ctx context.Context, drain time.Duration, log *slog.Logger) (end func()) {
	told := make(chan struct{})
	cancel := context.AfterFunc(ctx, func() {
		defer close(told)
		log.LogAttrs(context.WithoutCancel(ctx), slog.LevelInfo, "asked to stop; draining", slog.Duration("at_most", drain))
	})
	return func() {
		if !cancel() {
			<-told
		}
	}
}

// logger returns the process's logger. Durations are words for people (10s), not nanoseconds.
func logger(cfg config, w io.Writer) *slog.Logger {
	options := &slog.HandlerOptions{Level: cfg.level, ReplaceAttr: func(_ []string, a slog.Attr) slog.Attr {
		if a.Value.Kind() == slog.KindDuration {
			a.Value = slog.StringValue(a.Value.Duration().String())
		}
		return a
	}}
	if cfg.json {
		return slog.New(slog.NewJSONHandler(w, options))
	}
	return slog.New(slog.NewTextHandler(w, options))
}

// serve starts the admin server and returns where it listens. The function it returns ends it.
func serve(ctx context.Context, m *metrics.Metrics, addr string, log *slog.Logger) (at net.Addr, stop func(), err error) {
	listener, err := new(net.ListenConfig).Listen(ctx, "tcp", addr)
	if err != nil {
		return nil, nil, fmt.Errorf("the admin server cannot listen at ADMIN_ADDR: %w", err)
	}
	server := m.Server(addr)
	done := make(chan struct{})
	go func() { // the admin server; ends with Shutdown
		defer close(done)
		if err := server.Serve(listener); !errors.Is(err, http.ErrServerClosed) {
			log.LogAttrs(ctx, slog.LevelError, "admin server failed", slog.Any("error", err))
		}
	}()
	return listener.Addr(), func() {
		ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), 2*time.Second)
		defer cancel()
		if err := server.Shutdown(ctx); err != nil {
			log.LogAttrs(ctx, slog.LevelWarn, "admin server did not end in time", slog.Any("error", err))
			_ = server.Close()
		}
		<-done
	}, nil
}
