// Command consent-worker carries consent changes from a Kafka topic to HubSpot.
//
// Exit status: 0 stopped as asked, 1 failed, 2 wrong usage or configuration.
package main

import (
	"context"
	"fmt"
	"io"
	"os"
	"os/signal"
	"runtime/debug"
	"syscall"

	"github.com/alecthomas/kong"
)

// version is stamped in by the build; without that the module's own is used.
var version string

type cli struct {
	Run     settings `cmd:"" help:"Carry consent changes from Kafka to HubSpot until told to stop."`
	Version struct{} `cmd:"" help:"Print the version."`
}

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), syscall.SIGTERM, os.Interrupt)
	context.AfterFunc(ctx, stop) // a second signal ends the process at once
	os.Exit(command(ctx, os.Args[1:], os.Stdout, os.Stderr))
}

// command runs one command line and returns the exit status.
func command(ctx context.Context, args []string, stdout, stderr io.Writer) int {
	var c cli
	exited := -1
	parser, err := kong.New(&c,
		kong.Name("consent-worker"),
		kong.Description("Carries consent changes from a Kafka topic to HubSpot: in batches, inside the rate limit, opt-outs first."),
		kong.ExplicitGroups(groups), kong.Writers(stdout, stderr), kong.Exit(func(code int) { exited = code }),
		kong.ConfigureHelp(kong.HelpOptions{Compact: true, WrapUpperBound: 110}),
	)
	if err != nil {
		fmt.Fprintln(stderr, "consent-worker:", err)
		return 1
	}
	parsed, err := parser.Parse(args)
	switch {
	case exited >= 0: // help was asked for
		return exited
	case err != nil:
		fmt.Fprintf(stderr, "consent-worker: %v\nTry consent-worker --help.\n", err)
		return 2
	}
	if parsed.Command() == "version" {
		fmt.Fprintln(stdout, "consent-worker", currentVersion())
		return 0
	}
	cfg, err := c.Run.check()
	if err != nil {
		fmt.Fprintf(stderr, "consent-worker: the configuration cannot be used:\n%v\nTry consent-worker run --help.\n", err)
		return 2
	}
	if err := run(ctx, cfg, stderr); err != nil {
		fmt.Fprintln(stderr, "consent-worker:", err)
		return 1
	}
	return 0
}

func currentVersion() string {
	if version != "" {
		return version
	}
	if info, ok := debug.ReadBuildInfo(); ok && info.Main.Version != "" {
		return info.Main.Version
	}
	return "(unknown)"
}
