// Command demo shows the whole system in one process, with nothing installed: an embedded Kafka, a simulated HubSpot, a
// producer of believable traffic and two workers of one group. On a terminal it draws what happens; elsewhere it says so in
// lines. At the end it compares what is in Kafka with what HubSpot holds, and exits with 1 if anything is lost or wrong.
//
//	go run ./cmd/demo
//	go run ./cmd/demo -for 30s -seed 7
//
// The way through the files:
//
//	main.go     flags and signals
//	demo.go     the story: produce, settle, stop, compare
//	replica.go  one worker, put together as in production but for shorter times
//	traffic.go  what people do, as records
//	producer.go when they do it: quiet times, bursts, outages of HubSpot
//	faults.go   what goes wrong at HubSpot
//	tally.go    the figures of one worker
//	look.go     all figures at one moment
//	view.go     the moment as lines; paint.go gives them width and colour
//	show.go     the lines on a terminal, redrawn in place, or one after the other
//	books.go    the comparison at the end; summary.go puts it in words
package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"math/rand/v2"
	"os"
	"os/signal"
	"strings"
	"sync"
	"syscall"
	"time"

	"github.com/alecthomas/kong"
	"golang.org/x/term"

	"consent-worker/worker/kafka/kafkatest"
)

type flags struct {
	For      time.Duration `help:"End after so long. Without it the demo goes on until Ctrl-C." placeholder:"30s"`
	Rate     int           `help:"Events a second in quiet times." default:"500"`
	Seed     uint64        `help:"What the traffic and the faults are drawn from. Without it each run is another one." placeholder:"N"`
	NoOutage bool          `help:"HubSpot never fails."`
	Plain    bool          `help:"Lines instead of a live view, on a terminal too."`
	Verbose  bool          `help:"Show the logs of the workers on standard error. Implies --plain."`
}

// Validate is called by kong.
func (f *flags) Validate() error {
	var wrong []error
	if f.For < 0 {
		wrong = append(wrong, errors.New("--for is negative"))
	}
	if f.Rate < 1 || f.Rate > 5000 {
		wrong = append(wrong, errors.New("--rate is not between 1 and 5000"))
	}
	return errors.Join(wrong...)
}

func main() {
	var f flags
	parser := kong.Must(&f, kong.Name("demo"), kong.Description("Consent changes on their way from Kafka to HubSpot, all in this process."))
	_, err := parser.Parse(twoDashes(os.Args[1:]))
	if err != nil {
		fmt.Fprintf(os.Stderr, "demo: %v\n", err)
		os.Exit(2)
	}
	whole, err := run(&f)
	if err != nil {
		fmt.Fprintf(os.Stderr, "demo: %v\n", err)
	}
	if err != nil || !whole {
		os.Exit(1)
	}
}

// twoDashes lets flags be written with one dash as well, as the Go tools take them. There are no flags of one letter but -h.
func twoDashes(args []string) []string {
	all := make([]string, len(args))
	for i, a := range args {
		if len(a) > 2 && a[0] == '-' && a[1] != '-' {
			a = "-" + a
		}
		all[i] = a
	}
	return all
}

// run reports whether nothing was lost or wrong.
func run(f *flags) (whole bool, err error) {
	work, intake, end := untilInterrupted()
	defer end()
	broker, err := kafkatest.Embedded(brokerOptions()...)
	if err != nil {
		return false, err
	}
	defer broker.Close()
	c := config{rate: f.Rate, seed: f.Seed, length: f.For, outages: !f.NoOutage, broker: broker, log: slog.New(slog.DiscardHandler)}
	if c.seed == 0 {
		c.seed = 1 + rand.Uint64N(9999)
	}
	if f.Verbose {
		c.log = slog.New(slog.NewTextHandler(os.Stderr, nil))
	}
	d, err := open(work, c)
	if err != nil {
		return false, err
	}
	defer func() { err = errors.Join(err, d.close()) }()

	var s show = &plain{out: os.Stdout}
	p := painter{}
	if fd := int(os.Stdout.Fd()); term.IsTerminal(fd) {
		p.colour = os.Getenv("NO_COLOR") == "" && os.Getenv("TERM") != "dumb"
		if !f.Plain && !f.Verbose && os.Getenv("TERM") != "dumb" {
			s = &screen{out: os.Stdout, painter: p, size: func() (int, int, error) { return term.GetSize(fd) }}
		}
	}
	b, err := d.perform(work, intake, s)
	if err != nil {
		return false, err
	}
	_, err = io.WriteString(os.Stdout, strings.Join(p.paint(summary(b, c.seed), 100), "\n")+"\n")
	return b.whole(), err
}

// untilInterrupted returns two contexts: the first signal ends intake, and the second ends work too, for who will not wait.
func untilInterrupted() (work, intake context.Context, end func()) {
	work, stopWork := context.WithCancelCause(context.Background())
	intake, stopIntake := context.WithCancel(work)
	signals := make(chan os.Signal, 2) // one for each
	signal.Notify(signals, os.Interrupt, syscall.SIGTERM)
	var listener sync.WaitGroup
	listener.Go(func() { // ends with work or the second signal
		for _, stop := range []func(){stopIntake, func() { stopWork(errInterrupted) }} {
			select {
			case <-signals:
				stop()
			case <-work.Done():
				return
			}
		}
	})
	return work, intake, func() {
		signal.Stop(signals)
		stopWork(nil)
		listener.Wait()
	}
}

// errInterrupted is why work ends with the second signal.
var errInterrupted = errors.New("interrupted before everything was settled; nothing was compared")
