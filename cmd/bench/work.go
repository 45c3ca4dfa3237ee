package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"os"
	"runtime"
	"runtime/debug"
	"runtime/pprof"
	"syscall"
	"time"

	"consent-worker/hubspot"
	"consent-worker/worker"
	"consent-worker/worker/kafka"
)

// figures is what the worker measured of itself.
type figures struct {
	Seconds  float64 // from the first event to the last that ended
	CPU      float64 // seconds, user and system
	PeakMiB  float64
	Ended    int
	Requests int
	Inputs   int
}

func (f figures) print(c *cli, received int) {
	fmt.Printf("\n%d cores, %s, worker in a process of its own; embedded Kafka and simulated HubSpot on the same cores\n", runtime.NumCPU(), runtime.Version())
	fmt.Printf("  events/s            %10.0f\n", float64(f.Ended)/f.Seconds)
	fmt.Printf("  CPU per event       %10.2f µs\n", f.CPU/float64(f.Ended)*1e6)
	fmt.Printf("  peak memory         %10.0f MiB\n", f.PeakMiB)
	fmt.Printf("  requests            %10d (%d received)\n", f.Requests, received)
	fmt.Printf("  inputs per request  %10.1f\n", float64(f.Inputs)/float64(max(1, f.Requests)))
	fmt.Printf("  requests per event  %10.4f\n", float64(f.Requests)/float64(c.Events))
}

// counter is an Observer that counts, and ends the run when every event has ended.
type counter struct {
	figures
	events int
	began  time.Time
	done   context.CancelFunc
}

func (c *counter) Fetched(n int) {
	if c.began.IsZero() && n > 0 {
		c.began = time.Now()
	}
}

func (c *counter) Ended(_ worker.Outcome, n int) {
	if c.figures.Ended += n; c.figures.Ended >= c.events {
		c.Seconds = time.Since(c.began).Seconds()
		c.done()
	}
}

func (c *counter) Answered(_ worker.Reaction, n int, _ time.Duration) {
	c.Requests++
	c.Inputs += n
}
func (*counter) Propagated(worker.Class, time.Duration) {}
func (*counter) DeadLettered(worker.Reason, int)        {}
func (*counter) Closed(worker.Closure, time.Duration)   {}
func (*counter) Committed(worker.CommitOutcome)         {}
func (*counter) Missing(int32, int64)                   {}
func (*counter) Foreign(int32)                          {}
func (*counter) OrderViolated()                         {}
func (*counter) Snapshot(*worker.Snapshot)              {}

// work is the worker's process: as consent-worker run has it, but for a limit that is never met.
func (c *cli) work(ctx context.Context) error {
	debug.SetGCPercent(400)
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	if c.Profile != "" {
		f, err := os.Create(c.Profile)
		if err != nil {
			return err
		}
		if err := pprof.StartCPUProfile(f); err != nil {
			return err
		}
		defer pprof.StopCPUProfile()
	}
	start, err := kafka.ParseStart("earliest")
	if err != nil {
		return err
	}
	log := slog.New(slog.NewTextHandler(os.Stderr, &slog.HandlerOptions{Level: slog.LevelWarn}))
	cluster, err := kafka.Open(kafka.Config{Brokers: c.Broker, Topic: topic, Group: "bench", DeadLetterTopic: letters, Start: start, Logger: log})
	if err != nil {
		return err
	}
	client, err := hubspot.New(hubspot.Config{BaseURL: c.Hubspot, Version: "v4", Tokens: hubspot.StaticToken(token), Timeout: 10 * time.Second})
	if err != nil {
		return err
	}
	gate, err := worker.NewGate(worker.GateConfig{Limit: 1_000_000_000, Interval: 10 * time.Second, Failures: 5, Open: 10 * time.Second})
	if err != nil {
		return err
	}
	count := &counter{events: c.Events, done: cancel}
	cfg := worker.Config{
		Limits: worker.Limits{
			BatchSize: c.Batch, Linger: 500 * time.Millisecond, Window: 20000, WindowBytes: 8 << 20, MaxAttempts: 5, Afterlife: 100 * time.Second,
		},
		InFlight: c.InFlight, Drain: 15 * time.Second, CommitEvery: time.Second, CommitTimeout: 10 * time.Second,
		HubSpot: client, DeadLetters: cluster, Gate: gate, Observer: count, Logger: log,
	}
	err = cluster.Run(ctx, func(ctx context.Context, gen worker.Generation) error { return worker.Run(ctx, cfg, gen) })
	if err := errors.Join(err, cluster.Close()); err != nil {
		return err
	}
	var used syscall.Rusage
	if err := syscall.Getrusage(syscall.RUSAGE_SELF, &used); err != nil {
		return err
	}
	count.CPU = time.Duration(used.Utime.Nano() + used.Stime.Nano()).Seconds()
	count.PeakMiB = float64(used.Maxrss) / 1024
	return json.NewEncoder(os.Stdout).Encode(count.figures)
}
