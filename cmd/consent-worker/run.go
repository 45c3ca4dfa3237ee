package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net"
	"net/http"
	"os"
	"runtime/debug"
	"time"

	"consent-worker/hubspot"
	"consent-worker/metrics"
	"consent-worker/worker"
	"consent-worker/worker/kafka"
)

// run carries events until ctx ends.
func run(ctx context.Context, cfg config, stderr io.Writer) error {
	log := logger(cfg, stderr)
	if _, set := os.LookupEnv("GOGC"); !set {
		debug.SetGCPercent(400) // the heap is bounded by the windows; collecting it less often costs memory, not time
	}
	m := metrics.New(currentVersion())
	stopAdmin, err := serve(ctx, m, cfg.admin, log)
	if err != nil {
		return err
	}
	defer stopAdmin()
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
	life := cfg.worker
	life.HubSpot, life.DeadLetters, life.Gate, life.Observer, life.Logger = client, cluster, gate, m, log
	log.LogAttrs(ctx, slog.LevelInfo, "starting", slog.String("version", currentVersion()), slog.Any("brokers", cfg.kafka.Brokers),
		slog.String("topic", cfg.kafka.Topic), slog.String("dead_letter_topic", cfg.kafka.DeadLetterTopic), slog.String("group", cfg.kafka.Group),
		slog.String("hubspot", cfg.hubspot.BaseURL), slog.String("api_version", cfg.hubspot.Version),
		slog.Int("rate_limit", cfg.gate.Limit), slog.Duration("rate_interval", cfg.gate.Interval))
	if cfg.hubspot.Version == "v4" {
		log.LogAttrs(ctx, slog.LevelWarn, "HubSpot supports v4 until 30 March 2027; HUBSPOT_API_VERSION=2026-09 has the same requests and answers")
	}
	err = cluster.Run(ctx, func(ctx context.Context, gen worker.Generation) error { return worker.Run(ctx, life, gen) })
	if err = errors.Join(err, cluster.Close()); err != nil {
		return err
	}
	log.LogAttrs(context.WithoutCancel(ctx), slog.LevelInfo, "stopped as asked")
	return nil
}

func logger(cfg config, w io.Writer) *slog.Logger {
	options := &slog.HandlerOptions{Level: cfg.level}
	if cfg.json {
		return slog.New(slog.NewJSONHandler(w, options))
	}
	return slog.New(slog.NewTextHandler(w, options))
}

// serve starts the admin server. The function it returns ends it.
func serve(ctx context.Context, m *metrics.Metrics, addr string, log *slog.Logger) (stop func(), err error) {
	listener, err := new(net.ListenConfig).Listen(ctx, "tcp", addr)
	if err != nil {
		return nil, fmt.Errorf("the admin server cannot listen: %w", err)
	}
	log.LogAttrs(ctx, slog.LevelInfo, "admin server listens", slog.String("address", listener.Addr().String()))
	server := m.Server(addr)
	done := make(chan struct{})
	go func() { // the admin server; ends with Shutdown
		defer close(done)
		if err := server.Serve(listener); !errors.Is(err, http.ErrServerClosed) {
			log.LogAttrs(ctx, slog.LevelError, "admin server failed", slog.Any("error", err))
		}
	}()
	return func() {
		ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), 2*time.Second)
		defer cancel()
		if err := server.Shutdown(ctx); err != nil {
			log.LogAttrs(ctx, slog.LevelWarn, "admin server did not end in time", slog.Any("error", err))
		}
		<-done
	}, nil
}
