package main

import (
	"cmp"
	"context"
	"fmt"
	"io"
	"log/slog"
	"os"
	"os/signal"
	"runtime/debug"
	"strings"
	"syscall"

	"github.com/alecthomas/kong"

	"consent-worker/hubspot"
)

// version is stamped in by the build (-ldflags "-X main.version=1.2.3"); without that the module's own is used.
var version string

type cli struct {
	Run     settings `cmd:"" help:"Carry consent changes from Kafka to HubSpot until told to stop."`
	Version struct{} `cmd:"" help:"Print the version."`
}

func main() {
	if os.Getenv("GOGC") == "" {
		// What is alive is bounded by the windows and mostly small, and 100,000 events a second leave much garbage:
		// collecting it a quarter as often buys time with memory. GOMEMLIMIT holds all the same.
		debug.SetGCPercent(400)
	}
	ctx, stop := context.WithCancel(context.Background())
	signals := make(chan os.Signal, 2) // room for both signals: Notify drops what nobody takes
	signal.Notify(signals, syscall.SIGTERM, os.Interrupt)
	go func() { // owns the signals; ends with the process
		<-signals
		stop()
		<-signals
		// Not left to the system: process 1 of a container outlives a signal that nobody handles.
		say(os.Stderr, "consent-worker: a second signal: ended without draining\n")
		os.Exit(1)
	}()
	os.Exit(run(ctx, os.Args[1:], os.Getenv, os.Stdout, os.Stderr))
}

// run runs one command line in an environment until it is done or ctx ends, and returns the exit status.
func run(ctx context.Context, args []string, env func(string) string, stdout, stderr io.Writer) int {
	var c cli
	exited := -1
	parser, err := kong.New(&c,
		kong.Name("consent-worker"),
		kong.Description("Carries consent changes from a Kafka topic to HubSpot: in batches, inside the rate limit, opt-outs first."),
		kong.ExplicitGroups(groups), kong.Writers(stdout, stderr), kong.Exit(func(code int) { exited = code }),
		kong.ConfigureHelp(kong.HelpOptions{Compact: true, WrapUpperBound: 110}),
		kong.ValueFormatter(describe), kong.Resolvers(environment(env)),
	)
	if err != nil {
		say(stderr, "consent-worker: %v\n", err)
		return 1
	}
	parsed, err := parser.Parse(args)
	switch {
	case exited >= 0: // help was asked for
		return exited
	case err != nil:
		say(stderr, "consent-worker: %s\nTry consent-worker --help.\n", withoutValues(err, args))
		return 2
	}
	if parsed.Command() == "version" {
		say(stdout, "consent-worker %s\n", currentVersion())
		return 0
	}
	cfg, err := c.Run.check()
	if err != nil {
		say(stderr, "consent-worker: the configuration cannot be used:\n%v\nTry consent-worker run --help.\n", err)
		return 2
	}
	log := logger(cfg, stderr)
	if err := carry(ctx, cfg, log); err != nil {
		log.LogAttrs(context.WithoutCancel(ctx), slog.LevelError, "failed", slog.Any("error", err))
		return 1
	}
	log.Info("stopped as asked")
	return 0
}

// say writes to people. Where that fails there is nobody left to tell.
func say(w io.Writer, format string, args ...any) { _, _ = fmt.Fprintf(w, format, args...) }

// withoutValues is the text of a usage error. Such texts quote the command line, and a word of it may be a secret that
// strayed; what is too short for one stays readable.
func withoutValues(err error, args []string) string {
	const tooShort = 8
	text := err.Error()
	for _, arg := range args {
		if strings.HasPrefix(arg, "-") {
			_, arg, _ = strings.Cut(arg, "=")
		}
		if len(arg) >= tooShort {
			text = strings.ReplaceAll(text, arg, hubspot.Secret(arg).String())
		}
	}
	return text
}

func currentVersion() string {
	var module string
	if info, ok := debug.ReadBuildInfo(); ok {
		module = info.Main.Version
	}
	return cmp.Or(version, module, "(unknown)")
}
