package main

import (
	"context"
	"time"

	"consent-worker/hubspot"
	"consent-worker/hubspot/hubspottest"
	"consent-worker/worker"
	"consent-worker/worker/kafka"
)

const (
	window   = 2000 // events read past the mark, each partition
	inFlight = 8
	timeout  = 1500 * time.Millisecond // of a request
)

// replica is one worker as it would run in a container: its own Kafka clients, HubSpot client and gate. Only its times are
// shorter than in production, so that a fault has played out while one watches.
type replica struct {
	cluster *kafka.Cluster
	config  worker.Config
	tally   *tally
}

func openReplica(c config, sim *hubspottest.Sim) (*replica, error) {
	start, err := kafka.ParseStart("earliest")
	if err != nil {
		return nil, err
	}
	client, err := hubspot.New(hubspot.Config{
		BaseURL: "http://hubspot.invalid", Version: "v4", Tokens: hubspot.StaticToken(token), Timeout: timeout, Transport: sim.Transport(),
	})
	if err != nil {
		return nil, err
	}
	gate, err := worker.NewGate(worker.GateConfig{Limit: rateLimit, Interval: rateInterval, Failures: 5, Open: 2 * time.Second})
	if err != nil {
		return nil, err
	}
	const drain = 3 * time.Second
	cluster, err := kafka.Open(kafka.Config{
		Brokers: c.broker.Addrs(), Dial: c.broker.Dial, Topic: topic, Group: group, DeadLetterTopic: deadTopic, Start: start,
		SessionTimeout: 10 * time.Second, HeartbeatInterval: 100 * time.Millisecond, Drain: drain, Logger: c.log,
	})
	if err != nil {
		return nil, err
	}
	t := newTally()
	return &replica{cluster: cluster, tally: t, config: worker.Config{
		Limits: worker.Limits{
			BatchSize: 100, Linger: 500 * time.Millisecond, Window: window, WindowBytes: 8 << 20, MaxAttempts: 5, Afterlife: 3 * time.Second,
		},
		InFlight: inFlight, Drain: drain, CommitEvery: 500 * time.Millisecond, CommitTimeout: 5 * time.Second,
		HubSpot: client, DeadLetters: cluster, Gate: gate, Observer: t, Logger: c.log,
	}}, nil
}

// run is a member of the group until ctx ends. An error is one that another generation would not mend.
func (r *replica) run(ctx context.Context) error {
	return r.cluster.Run(ctx, func(ctx context.Context, gen worker.Generation) error {
		r.tally.begin(gen)
		return worker.Run(ctx, r.config, gen)
	})
}
