package main

import (
	"bufio"
	"bytes"
	"context"
	"io"
	"net"
	"regexp"
	"strings"
	"testing"

	"consent-worker/hubspot"
)

var address = regexp.MustCompile(`msg=listening address=(\S+)`)

// start runs the command and returns where it listens, and what to call to stop it: that gives its status and its output.
func start(t *testing.T, args ...string) (addr string, stop func() (int, string)) {
	t.Helper()
	ctx, cancel := context.WithCancel(t.Context())
	out, in := io.Pipe()
	code := make(chan int, 1)
	go func() {
		defer in.Close() //nolint:errcheck // a pipe cannot fail to close
		code <- run(ctx, append([]string{"--listen=127.0.0.1:0"}, args...), in, in)
	}()
	lines := bufio.NewReader(out)
	first, err := lines.ReadString('\n')
	if err != nil {
		t.Fatalf("it said %q, %v", first, err)
	}
	found := address.FindStringSubmatch(first)
	if found == nil {
		t.Fatalf("it said %q, want where it listens", first)
	}
	return found[1], func() (int, string) {
		cancel()
		rest, err := io.ReadAll(lines)
		if err != nil {
			t.Error(err)
		}
		return <-code, first + string(rest)
	}
}

func TestItServesUntilAskedToStop(t *testing.T) {
	addr, stop := start(t, "--token=secret-1", "--latency=0s", "--fault-rate=1", "--rate-limit=7")
	client, err := hubspot.New(hubspot.Config{BaseURL: "http://" + addr, Version: "v4", Tokens: hubspot.StaticToken("secret-1")})
	if err != nil {
		t.Fatal(err)
	}
	r, err := client.WriteStatuses(t.Context(), []hubspot.Input{
		{SubscriberID: "ann@example.com", SubscriptionID: 7, Status: hubspot.Unsubscribed, Channel: hubspot.Email},
	})
	if err != nil || len(r.Errors) != 1 || r.Limits.Max != 7 || r.Limits.Daily != 1_000_000 {
		t.Errorf("got %+v, %v, want one error", r, err)
	}
	code, out := stop()
	if code != 0 || !strings.Contains(out, "msg=stopped requests=1 outcomes=map[200:1] inputs=0 keys=0") {
		t.Errorf("status %d, output\n%s", code, out)
	}
	if strings.Contains(out, "secret-1") || strings.Contains(out, "ann@") {
		t.Errorf("the output shows a token or an address:\n%s", out)
	}
}

func TestEveryMistakeOfTheCommandLineIsToldAtOnce(t *testing.T) {
	var out, errs bytes.Buffer
	code := run(t.Context(), []string{"--rate-limit=-1", "--fault-rate=2", "--batch-limit=0"}, &out, &errs)
	for _, want := range []string{"--rate-limit", "--fault-rate", "--batch-limit"} {
		if !strings.Contains(errs.String(), want) {
			t.Errorf("it says %q, nothing of %s", &errs, want)
		}
	}
	if code != 2 || out.Len() > 0 {
		t.Errorf("status %d with output %q, want 2 with none", code, &out)
	}
}

func TestHelpIsNoMistake(t *testing.T) {
	var out, errs bytes.Buffer
	if code := run(t.Context(), []string{"--help"}, &out, &errs); code != 0 || errs.Len() > 0 {
		t.Errorf("status %d with errors %q", code, &errs)
	}
	if !strings.Contains(out.String(), "$HUBSPOT_SIM_RATE_LIMIT") {
		t.Errorf("help does not name the variables:\n%s", &out)
	}
}

func TestPortInUseIsAFailure(t *testing.T) {
	l, err := (&net.ListenConfig{}).Listen(t.Context(), "tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	var out, errs bytes.Buffer
	if code := run(t.Context(), []string{"--listen=" + l.Addr().String()}, &out, &errs); code != 1 {
		t.Errorf("status %d, want 1: %s", code, &out)
	}
}
