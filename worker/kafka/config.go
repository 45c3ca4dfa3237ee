package kafka

import (
	"cmp"
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"time"

	"github.com/segmentio/kafka-go/sasl"
)

// Config says which cluster, topics and group to use, and how. Zero durations mean the defaults.
type Config struct {
	Brokers         []string // host:port
	Topic           string   // where events come from
	Group           string
	DeadLetterTopic string
	ClientID        string // shown in the broker's logs and quotas; default consent-worker
	Start           Start  // where a group without any committed offset begins

	SessionTimeout    time.Duration // default 45s; how long the group waits for a silent member
	RebalanceTimeout  time.Duration // default SessionTimeout; how long the others wait for a member that drains
	HeartbeatInterval time.Duration // default 1s; also how long a rebalance takes
	Drain             time.Duration // default 15s; how long a life may take to end, at most

	// Dial opens connections; nil means a net.Dialer.
	Dial func(ctx context.Context, network, address string) (net.Conn, error)
	TLS  *tls.Config    // nil: plaintext
	SASL sasl.Mechanism // nil: no authentication

	Logger *slog.Logger // nil: silence
}

// Start is where a group without any committed offset begins. The zero value refuses to choose.
type Start struct {
	chosen bool
	at     int64 // as ListOffsets takes it: -2 the first offset, -1 the end, else milliseconds since 1970
}

// The timestamps that ListOffsets gives a meaning to.
const (
	atFirst int64 = -2
	atEnd   int64 = -1
)

// ParseStart reads "earliest", "latest" or a time as in RFC 3339. The empty string is no choice.
func ParseStart(s string) (Start, error) {
	switch s {
	case "":
		return Start{}, nil
	case "earliest":
		return Start{true, atFirst}, nil
	case "latest":
		return Start{true, atEnd}, nil
	}
	t, err := time.Parse(time.RFC3339, s)
	if err != nil || t.UnixMilli() < 0 {
		return Start{}, fmt.Errorf("start %q is neither earliest nor latest nor a time like 2026-11-22T20:00:00Z", s)
	}
	return Start{true, t.UnixMilli()}, nil
}

// String is the inverse of ParseStart.
func (s Start) String() string {
	switch {
	case !s.chosen:
		return ""
	case s.at == atFirst:
		return "earliest"
	case s.at == atEnd:
		return "latest"
	}
	return time.UnixMilli(s.at).UTC().Format(time.RFC3339Nano)
}

// complete fills in the defaults and returns everything that is wrong, joined.
func (c *Config) complete() error {
	c.ClientID = cmp.Or(c.ClientID, "consent-worker")
	c.SessionTimeout = cmp.Or(c.SessionTimeout, 45*time.Second)
	c.RebalanceTimeout = cmp.Or(c.RebalanceTimeout, c.SessionTimeout)
	c.HeartbeatInterval = cmp.Or(c.HeartbeatInterval, time.Second)
	c.Drain = cmp.Or(c.Drain, 15*time.Second)
	if c.Dial == nil {
		c.Dial = new(net.Dialer).DialContext
	}
	if c.Logger == nil {
		c.Logger = slog.New(slog.DiscardHandler)
	}

	var wrong []error
	bad := func(format string, args ...any) { wrong = append(wrong, fmt.Errorf(format, args...)) }
	if len(c.Brokers) == 0 {
		bad("no broker is named")
	}
	for _, b := range c.Brokers {
		if host, port, err := net.SplitHostPort(b); err != nil || host == "" || port == "" {
			bad("broker %q is not host:port", b)
		}
	}
	if c.Topic == "" {
		bad("no topic is named")
	}
	if c.DeadLetterTopic == "" {
		bad("no dead-letter topic is named")
	}
	if c.Topic != "" && c.Topic == c.DeadLetterTopic {
		bad("topic and dead-letter topic are the same: %s", c.Topic)
	}
	if c.Group == "" {
		bad("no group is named")
	}
	if min(c.SessionTimeout, c.RebalanceTimeout, c.HeartbeatInterval, c.Drain) < time.Millisecond {
		bad("a timeout is below a millisecond")
	}
	// A member may learn of a rebalance one heartbeat late and waits for that answer; only then does it drain. If the
	// session ended before, the partitions would have another owner while requests are still in flight.
	if need := c.HeartbeatInterval + c.timeout() + c.Drain; need >= c.SessionTimeout {
		bad("session timeout %v is too short: heartbeat interval, answer and drain may take %v", c.SessionTimeout, need)
	}
	if c.Drain >= c.RebalanceTimeout {
		bad("rebalance timeout %v is not longer than the drain, %v", c.RebalanceTimeout, c.Drain)
	}
	return errors.Join(wrong...)
}

// timeout bounds one request to a broker that does not wait for anything.
func (c *Config) timeout() time.Duration { return min(5*time.Second, c.SessionTimeout/4) }
