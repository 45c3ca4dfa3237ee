// Command bench measures the worker end to end on this machine: an embedded Kafka filled beforehand and a simulated HubSpot in
// this process, the worker in another, whose CPU time and memory are its own.
package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"math/rand/v2"
	"net"
	"net/http"
	"os"
	"os/exec"
	"runtime"
	"strings"
	"time"

	"github.com/alecthomas/kong"
	"github.com/twmb/franz-go/pkg/kgo"

	"consent-worker/hubspot/hubspottest"
	"consent-worker/worker/kafka/kafkatest"
)

type cli struct {
	Events     int           `default:"1000000" help:"Events on the topic."`
	People     int           `default:"1000000" help:"Addresses among which they are spread."`
	Partitions int           `default:"6" help:"Partitions of the topic."`
	Batch      int           `default:"100" help:"Inputs of a request, at most."`
	InFlight   int           `default:"8" help:"Requests at once."`
	Latency    time.Duration `default:"0s" help:"How long the simulated HubSpot takes."`
	Profile    string        `placeholder:"FILE" help:"Write a CPU profile of the worker."`
	Worker     bool          `hidden:"" help:"Be the worker."`
	Broker     []string      `hidden:"" help:"Where Kafka is."`
	Hubspot    string        `hidden:"" help:"Where HubSpot is."`
}

const (
	topic   = "consent-changes"
	letters = "consent-changes.dead-letter"
	token   = "bench"
)

func main() {
	var c cli
	kong.Parse(&c, kong.Description("Measures the worker end to end on this machine."))
	f := c.run
	if c.Worker {
		f = c.work
	}
	if err := f(context.Background()); err != nil {
		fmt.Fprintln(os.Stderr, "bench:", err)
		os.Exit(1)
	}
}

// run fills the topic, lets a worker carry it, and prints what that took.
func (c *cli) run(ctx context.Context) error {
	kafka, err := kafkatest.Embedded()
	if err != nil {
		return err
	}
	defer kafka.Close()
	if err := errors.Join(kafka.CreateTopic(ctx, topic, c.Partitions, nil), kafka.CreateTopic(ctx, letters, 1, nil)); err != nil {
		return err
	}
	fmt.Printf("filling %d partitions with %d events of %d people ...\n", c.Partitions, c.Events, c.People)
	if err := c.fill(ctx, kafka); err != nil {
		return err
	}
	runtime.GC()
	sim := hubspottest.New(hubspottest.Config{Token: token, BatchLimit: c.Batch, Latency: hubspottest.Latency(c.Latency)})
	defer sim.Close()
	listener, err := new(net.ListenConfig).Listen(ctx, "tcp", "127.0.0.1:0")
	if err != nil {
		return err
	}
	server := &http.Server{Handler: sim, ReadHeaderTimeout: 10 * time.Second}
	go func() { _ = server.Serve(listener) }() // ends with Close
	defer func() { _ = server.Close() }()      // the figures are in; what it could say is of no interest

	self, err := os.Executable()
	if err != nil {
		return err
	}
	args := []string{
		"--worker", fmt.Sprint("--events=", c.Events), fmt.Sprint("--batch=", c.Batch), fmt.Sprint("--in-flight=", c.InFlight),
		"--hubspot=http://" + listener.Addr().String(), "--broker=" + strings.Join(kafka.Addrs(), ","), "--profile=" + c.Profile,
	}
	child := exec.CommandContext(ctx, self, args...)
	child.Stderr = os.Stderr
	out, err := child.Output()
	if err != nil {
		return fmt.Errorf("the worker: %w", err)
	}
	var f figures
	if err := json.Unmarshal(out, &f); err != nil {
		return err
	}
	f.print(c, sim.Requests().Total)
	if f.Ended != c.Events || len(sim.Violations()) > 0 {
		return fmt.Errorf("%d of %d events ended, broken rules: %v", f.Ended, c.Events, sim.Violations())
	}
	return nil
}

// fill produces believable events: two thirds opt-outs, of 250 to 300 bytes.
func (c *cli) fill(ctx context.Context, kafka *kafkatest.Broker) error {
	r := rand.New(rand.NewPCG(1, 1))
	const at = 2000
	records := make([]*kgo.Record, 0, at)
	for i := range c.Events {
		address := fmt.Sprintf("person.%d@customers.example.com", r.IntN(c.People))
		status := []string{"UNSUBSCRIBED", "UNSUBSCRIBED", "SUBSCRIBED"}[r.IntN(3)]
		records = append(records, kafkatest.Record(topic, address, fmt.Sprintf(
			`{"eventId":"%016x","occurredAt":%q,"subscriberIdString":%q,"subscriptionId":%d,"statusState":%q,"channel":"EMAIL","legalBasis":"CONSENT_WITH_NOTICE","legalBasisExplanation":"preference centre"}`,
			r.Uint64(), time.Now().UTC().Format(time.RFC3339), address, 1+r.IntN(3), status)))
		if len(records) == at || i == c.Events-1 {
			if err := kafka.Produce(ctx, records...); err != nil {
				return err
			}
			records = records[:0]
		}
	}
	return nil
}
