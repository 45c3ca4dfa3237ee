package main

import (
	"encoding"
	"fmt"
	"log/slog"
	"strconv"
	"strings"
	"time"

	"github.com/alecthomas/kong"

	"consent-worker/hubspot"
)

// groups are the headings of the help.
var groups = []kong.Group{
	{Key: "kafka", Title: "Kafka:"},
	{Key: "hubspot", Title: "HubSpot:"},
	{Key: "worker", Title: "Batches and order:"},
	{Key: "breaker", Title: "Circuit breaker:"},
	{Key: "admin", Title: "Admin server and log:"},
}

// settings is the face: every flag, and with it every environment variable. Values that do not parse are kept with their
// mistake, so that check can list all mistakes at once.
type settings struct {
	KafkaBrokers          []string       `group:"kafka" placeholder:"HOST:PORT" help:"Where to find the cluster. Required."`
	KafkaTopic            string         `group:"kafka" default:"consent-changes" help:"Topic of the consent changes."`
	KafkaGroup            string         `group:"kafka" default:"hubspot-consent-worker" help:"Consumer group; all replicas share it."`
	KafkaSessionTimeout   duration       `group:"kafka" default:"45s" help:"How long the group waits for a silent replica."`
	KafkaStart            string         `group:"kafka" placeholder:"earliest|latest|TIME" help:"Where a group without committed offsets begins; without it such a group is refused."`
	KafkaDeadLetterTopic  string         `group:"kafka" placeholder:"TOPIC" help:"Topic for what HubSpot refuses; must exist. Default: the topic's name with .dead-letter."`
	KafkaTLS              toggle         `group:"kafka" name:"kafka-tls" help:"Encrypt connections to Kafka."`
	KafkaTLSCAFile        string         `group:"kafka" name:"kafka-tls-ca-file" placeholder:"FILE" help:"Certificates to trust instead of the system's, PEM."`
	KafkaTLSCertFile      string         `group:"kafka" name:"kafka-tls-cert-file" placeholder:"FILE" help:"Our certificate, PEM."`
	KafkaTLSKeyFile       string         `group:"kafka" name:"kafka-tls-key-file" placeholder:"FILE" help:"Its key, PEM."`
	KafkaSASLMechanism    string         `group:"kafka" name:"kafka-sasl-mechanism" placeholder:"NAME" help:"PLAIN, SCRAM-SHA-256 or SCRAM-SHA-512."`
	KafkaSASLUsername     string         `group:"kafka" name:"kafka-sasl-username" placeholder:"NAME" help:"User of the mechanism."`
	KafkaSASLPassword     hubspot.Secret `group:"kafka" name:"kafka-sasl-password" placeholder:"SECRET" help:"Password; better in a file."`
	KafkaSASLPasswordFile string         `group:"kafka" name:"kafka-sasl-password-file" placeholder:"FILE" help:"File with the password."`

	HubspotBaseURL      string         `group:"hubspot" name:"hubspot-base-url" default:"https://api.hubapi.com" help:"Address of the API; an EU account may need https://api-eu1.hubapi.com."`
	HubspotAPIVersion   string         `group:"hubspot" name:"hubspot-api-version" default:"v4" help:"v4, 2026-03 or 2026-09."`
	HubspotToken        hubspot.Secret `group:"hubspot" placeholder:"SECRET" help:"Token of a private app or service key; better in a file."`
	HubspotTokenFile    string         `group:"hubspot" placeholder:"FILE" help:"File with the token; a changed file is taken up at once. One of the two is required."`
	HubspotTimeout      duration       `group:"hubspot" default:"10s" help:"How long one request may take."`
	HubspotAfterlife    duration       `group:"hubspot" default:"100s" help:"How long HubSpot may still apply a request after we gave it up."`
	HubspotRateLimit    number         `group:"hubspot" default:"190" help:"Requests in any rolling interval, of all replicas together."`
	HubspotRateInterval duration       `group:"hubspot" default:"10s" help:"The interval of that limit."`

	WorkerBatchSize         number   `group:"worker" default:"100" help:"Inputs of one request, at most."`
	WorkerLinger            duration `group:"worker" default:"500ms" help:"How long an opt-in waits for company; an opt-out waits a tenth of it."`
	WorkerInFlight          number   `group:"worker" default:"8" help:"Requests at once."`
	WorkerWindow            number   `group:"worker" default:"20000" help:"Events read past the committed offset, each partition (and 8 MiB)."`
	WorkerMaxAttempts       number   `group:"worker" default:"5" help:"Answers that do not account for an input, before it is given up."`
	WorkerRequireLegalBasis string   `group:"worker" default:"off" help:"Which inputs must have legalBasis and legalBasisExplanation: off, grants or all."`
	WorkerDrainTimeout      duration `group:"worker" default:"15s" help:"How long a stop or a rebalance waits for requests in flight."`

	BreakerFailures number   `group:"breaker" default:"5" help:"Failures in a row that open it."`
	BreakerOpen     duration `group:"breaker" default:"10s" help:"How long it stays open before one request tries."`

	AdminAddr string `group:"admin" default:":9090" help:"Where /metrics, /healthz and /readyz are served."`
	LogLevel  level  `group:"admin" default:"info" help:"debug, info, warn or error."`
	LogFormat string `group:"admin" default:"json" help:"json or text."`
}

// variable is the environment variable of a flag; empty when it has none.
func variable(flag *kong.Flag) string {
	if flag.Group == nil { // --help
		return ""
	}
	return strings.ToUpper(strings.ReplaceAll(flag.Name, "-", "_"))
}

// environment gives flags that are not on the command line their values. It stands in for kong's own way, which knows
// the process's environment only, and takes an empty variable for a value.
func environment(env func(string) string) kong.ResolverFunc {
	return func(_ *kong.Context, _ *kong.Path, flag *kong.Flag) (any, error) {
		name := variable(flag)
		if name == "" || env(name) == "" {
			return nil, nil
		}
		return env(name), nil
	}
}

// describe is the help of a value: its variable follows the words.
func describe(v *kong.Value) string {
	if v.Flag == nil || variable(v.Flag) == "" {
		return v.Help
	}
	return fmt.Sprintf("%s ($%s).", strings.TrimSuffix(v.Help, "."), variable(v.Flag))
}

var (
	_ encoding.TextUnmarshaler = (*duration)(nil)
	_ encoding.TextUnmarshaler = (*number)(nil)
	_ kong.BoolMapperValue     = (*toggle)(nil)
	_ encoding.TextUnmarshaler = (*level)(nil)
)

// duration is a time.Duration of the command line.
type duration struct {
	time.Duration
	mistake string
}

// UnmarshalText never fails: see settings.
func (d *duration) UnmarshalText(text []byte) (err error) {
	if d.Duration, err = time.ParseDuration(strings.TrimSpace(string(text))); err != nil {
		d.mistake = fmt.Sprintf("%q is not a duration such as 500ms, 10s or 2m", text)
	}
	return nil
}

// number is a whole number of the command line.
type number struct {
	n       int
	mistake string
}

// UnmarshalText never fails: see settings.
func (n *number) UnmarshalText(text []byte) (err error) {
	if n.n, err = strconv.Atoi(strings.TrimSpace(string(text))); err != nil {
		n.mistake = fmt.Sprintf("%q is not a whole number", text)
	}
	return nil
}

// toggle is a yes or no of the command line.
type toggle struct {
	on      bool
	mistake string
}

// IsBool lets the flag stand without a value.
func (*toggle) IsBool() bool { return true }

// Decode never fails: see settings.
func (t *toggle) Decode(c *kong.DecodeContext) error {
	if c.Scan.Peek().Type != kong.FlagValueToken { // the flag alone
		t.on = true
		return nil
	}
	text := c.Scan.Pop().String()
	switch strings.ToLower(strings.TrimSpace(text)) {
	case "true", "yes", "on", "1":
		t.on = true
	case "false", "no", "off", "0":
	default:
		t.mistake = fmt.Sprintf("%q is neither true nor false", text)
	}
	return nil
}

// level is a log level of the command line.
type level struct {
	slog.Level
	mistake string
}

// UnmarshalText never fails: see settings.
func (l *level) UnmarshalText(text []byte) error {
	switch strings.ToLower(strings.TrimSpace(string(text))) {
	case "debug":
		l.Level = slog.LevelDebug
	case "info":
		l.Level = slog.LevelInfo
	case "warn":
		l.Level = slog.LevelWarn
	case "error":
		l.Level = slog.LevelError
	default:
		l.mistake = fmt.Sprintf("%q is not one of debug, info, warn, error", text)
	}
	return nil
}
