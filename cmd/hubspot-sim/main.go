// Command hubspot-sim serves the simulated HubSpot of package hubspottest on a port, for docker compose and for trying out.
// It logs each rule that a caller breaks, and when it stops, what it holds.
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
	"os/signal"
	"syscall"
	"time"

	"consent-worker/hubspot"
	"consent-worker/hubspot/hubspottest"

	"github.com/alecthomas/kong"
)

// config is the command line. Each flag is also an environment variable: --rate-limit is HUBSPOT_SIM_RATE_LIMIT.
type config struct {
	Listen       string         `default:":8080" help:"Address to listen on."`
	Token        hubspot.Secret `help:"Bearer token to accept. Without it any token is accepted."`
	RateLimit    int            `default:"190" help:"Requests in any rolling interval; 0 for no limit."`
	RateInterval time.Duration  `default:"10s" help:"The rolling interval."`
	DailyLimit   int            `default:"1000000" help:"Requests from midnight to midnight, UTC; 0 for no limit."`
	BatchLimit   int            `default:"100" help:"Inputs of a request."`
	Latency      time.Duration  `default:"150ms" help:"Time that a request takes."`
	FaultRate    float64        `default:"0" help:"Share of inputs that fail alone, from 0 to 1."`
	Seed         uint64         `default:"1" help:"Seed of everything random."`
}

// Validate says everything that is wrong with c. Kong calls it.
func (c *config) Validate() error {
	var all []error
	for _, rule := range []struct {
		kept bool
		text string
	}{
		{c.RateLimit >= 0, "--rate-limit must not be negative"},
		{c.RateInterval > 0, "--rate-interval must be positive"},
		{c.DailyLimit >= 0, "--daily-limit must not be negative"},
		{c.BatchLimit > 0, "--batch-limit must be positive"},
		{c.Latency >= 0, "--latency must not be negative"},
		{c.FaultRate >= 0 && c.FaultRate <= 1, "--fault-rate must be from 0 to 1"},
	} {
		if !rule.kept {
			all = append(all, errors.New(rule.text))
		}
	}
	return errors.Join(all...)
}

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	code := run(ctx, os.Args[1:], os.Stdout, os.Stderr)
	stop()
	os.Exit(code)
}

// run returns the exit status: 0 stopped as asked, 1 failed, 2 wrong usage. It ends when ctx does.
func run(ctx context.Context, args []string, stdout, stderr io.Writer) int {
	var c config
	exit := -1
	parser, err := kong.New(&c,
		kong.Name("hubspot-sim"), kong.Description("A simulated HubSpot: the batch write of subscription statuses."),
		kong.DefaultEnvars("HUBSPOT_SIM"), kong.Writers(stdout, stderr), kong.Exit(func(code int) { exit = code }))
	if err != nil {
		_, _ = fmt.Fprintln(stderr, err)
		return 1
	}
	_, err = parser.Parse(args)
	switch {
	case exit >= 0: // help was asked for and is printed
		return exit
	case err != nil:
		_, _ = fmt.Fprintf(stderr, "hubspot-sim: %v\n", err)
		return 2
	}
	log := slog.New(slog.NewTextHandler(stdout, nil))
	if err := serve(ctx, &c, log); err != nil {
		log.Error("stopped", slog.Any("error", err))
		return 1
	}
	return 0
}

// serve listens until ctx ends, then lets the requests on their way finish.
func serve(ctx context.Context, c *config, log *slog.Logger) error {
	listener, err := (&net.ListenConfig{}).Listen(ctx, "tcp", c.Listen)
	if err != nil {
		return err
	}
	sim := newSim(c, log)
	server := &http.Server{
		Handler: sim, ReadHeaderTimeout: 10 * time.Second, IdleTimeout: 2 * time.Minute,
		ErrorLog: slog.NewLogLogger(log.Handler(), slog.LevelWarn),
	}
	log.Info("listening", slog.String("address", listener.Addr().String()), slog.Int("rate_limit", c.RateLimit),
		slog.Duration("rate_interval", c.RateInterval), slog.Int("daily_limit", c.DailyLimit), slog.Int("batch_limit", c.BatchLimit),
		slog.Duration("latency", c.Latency), slog.Float64("fault_rate", c.FaultRate))

	ended := make(chan error, 1) // the one error of Serve, also when nobody asks for it any more
	go func() { ended <- server.Serve(listener) }()
	select {
	case err := <-ended:
		sim.Close()
		return err
	case <-ctx.Done():
	}
	grace, cancel := context.WithTimeout(context.WithoutCancel(ctx), c.Latency+5*time.Second)
	defer cancel()
	err = server.Shutdown(grace)
	sim.Close()
	requests := sim.Requests()
	log.Info("stopped", slog.Int("requests", requests.Total), slog.Any("outcomes", requests.ByOutcome),
		slog.Int("inputs", sim.Inputs()), slog.Int("keys", len(sim.State())))
	return err
}

func newSim(c *config, log *slog.Logger) *hubspottest.Sim {
	sim := hubspottest.New(hubspottest.Config{
		Token: c.Token.Reveal(), Limit: c.RateLimit, Interval: c.RateInterval, Daily: c.DailyLimit, BatchLimit: c.BatchLimit,
		Latency: hubspottest.Latency(c.Latency), Seed: c.Seed, Report: reporter{log},
	})
	if c.FaultRate > 0 {
		sim.Inject(hubspottest.Fault{Effect: hubspottest.PartialErrors(http.StatusOK, hubspottest.ByContext), Share: c.FaultRate})
	}
	return sim
}

// reporter logs broken rules.
type reporter struct{ log *slog.Logger }

// Errorf logs one.
func (r reporter) Errorf(format string, args ...any) {
	r.log.Warn("rule broken", slog.String("rule", fmt.Sprintf(format, args...)))
}
