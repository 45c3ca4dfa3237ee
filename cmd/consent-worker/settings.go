package main

import (
	"fmt"
	"log/slog"
	"strconv"
	"strings"
	"time"

	"github.com/alecthomas/kong"
)

// groups are the headings of the help.
var groups = []kong.Group{
	{Key: "kafka", Title: "Kafka:"},
	{Key: "hubspot", Title: "HubSpot:"},
	{Key: "worker", Title: "Batches and order:"},
	{Key: "breaker", Title: "Circuit breaker:"},
	{Key: "admin", Title: "Admin server and log:"},
}

// settings is the face: every flag and environment variable. Values that do not parse are kept with their mistake, so that
// check can list all mistakes at once.
type settings struct {
	KafkaBrokers          []string `group:"kafka" env:"KAFKA_BROKERS" placeholder:"HOST:PORT" help:"Where to find the cluster. Required."`
	KafkaTopic            string   `group:"kafka" env:"KAFKA_TOPIC" default:"consent-changes" help:"Topic of the consent changes."`
	KafkaGroup            string   `group:"kafka" env:"KAFKA_GROUP" default:"hubspot-consent-worker" help:"Consumer group; all replicas share it."`
	KafkaSessionTimeout   duration `group:"kafka" env:"KAFKA_SESSION_TIMEOUT" default:"45s" help:"How long the group waits for a silent replica."`
	KafkaStart            string   `group:"kafka" env:"KAFKA_START" placeholder:"earliest|latest|TIME" help:"Where a group without committed offsets begins; without it such a group is refused."`
	KafkaDeadLetterTopic  string   `group:"kafka" env:"KAFKA_DEAD_LETTER_TOPIC" placeholder:"TOPIC" help:"Topic for what HubSpot refuses; must exist. Default: the topic's name with .dead-letter."`
	KafkaTLS              bool     `group:"kafka" env:"KAFKA_TLS" name:"kafka-tls" help:"Encrypt connections to Kafka."`
	KafkaTLSCAFile        string   `group:"kafka" env:"KAFKA_TLS_CA_FILE" name:"kafka-tls-ca-file" placeholder:"FILE" help:"Certificates to trust instead of the system's, PEM."`
	KafkaTLSCertFile      string   `group:"kafka" env:"KAFKA_TLS_CERT_FILE" name:"kafka-tls-cert-file" placeholder:"FILE" help:"Our certificate, PEM."`
	KafkaTLSKeyFile       string   `group:"kafka" env:"KAFKA_TLS_KEY_FILE" name:"kafka-tls-key-file" placeholder:"FILE" help:"Its key, PEM."`
	KafkaSASLMechanism    string   `group:"kafka" env:"KAFKA_SASL_MECHANISM" name:"kafka-sasl-mechanism" placeholder:"NAME" help:"PLAIN, SCRAM-SHA-256 or SCRAM-SHA-512."`
	KafkaSASLUsername     string   `group:"kafka" env:"KAFKA_SASL_USERNAME" name:"kafka-sasl-username" placeholder:"NAME" help:"User of the mechanism."`
	KafkaSASLPassword     string   `group:"kafka" env:"KAFKA_SASL_PASSWORD" name:"kafka-sasl-password" placeholder:"SECRET" help:"Password; better in a file."`
	KafkaSASLPasswordFile string   `group:"kafka" env:"KAFKA_SASL_PASSWORD_FILE" name:"kafka-sasl-password-file" placeholder:"FILE" help:"File with the password."`

	HubspotBaseURL      string   `group:"hubspot" env:"HUBSPOT_BASE_URL" name:"hubspot-base-url" default:"https://api.hubapi.com" help:"Address of the API; an EU account may need https://api-eu1.hubapi.com."`
	HubspotAPIVersion   string   `group:"hubspot" env:"HUBSPOT_API_VERSION" name:"hubspot-api-version" default:"v4" help:"v4, 2026-03 or 2026-09."`
	HubspotToken        string   `group:"hubspot" env:"HUBSPOT_TOKEN" placeholder:"SECRET" help:"Token of a private app or service key; better in a file."`
	HubspotTokenFile    string   `group:"hubspot" env:"HUBSPOT_TOKEN_FILE" placeholder:"FILE" help:"File with the token. One of the two is required."`
	HubspotTimeout      duration `group:"hubspot" env:"HUBSPOT_TIMEOUT" default:"10s" help:"How long one request may take."`
	HubspotAfterlife    duration `group:"hubspot" env:"HUBSPOT_AFTERLIFE" default:"100s" help:"How long HubSpot may still apply a request after we gave it up."`
	HubspotRateLimit    number   `group:"hubspot" env:"HUBSPOT_RATE_LIMIT" default:"190" help:"Requests in any rolling interval, of all replicas together."`
	HubspotRateInterval duration `group:"hubspot" env:"HUBSPOT_RATE_INTERVAL" default:"10s" help:"The interval of that limit."`

	WorkerBatchSize    number   `group:"worker" env:"WORKER_BATCH_SIZE" default:"100" help:"Inputs of one request, at most."`
	WorkerLinger       duration `group:"worker" env:"WORKER_LINGER" default:"500ms" help:"How long an opt-in waits for company; an opt-out waits a tenth of it."`
	WorkerInFlight     number   `group:"worker" env:"WORKER_IN_FLIGHT" default:"8" help:"Requests at once."`
	WorkerWindow       number   `group:"worker" env:"WORKER_WINDOW" default:"20000" help:"Events read past the committed offset, each partition (and 8 MiB)."`
	WorkerMaxAttempts  number   `group:"worker" env:"WORKER_MAX_ATTEMPTS" default:"5" help:"Answers that do not account for an input, before it is given up."`
	WorkerDrainTimeout duration `group:"worker" env:"WORKER_DRAIN_TIMEOUT" default:"15s" help:"How long a stop or a rebalance waits for requests in flight."`

	BreakerFailures number   `group:"breaker" env:"BREAKER_FAILURES" default:"5" help:"Failures in a row that open it."`
	BreakerOpen     duration `group:"breaker" env:"BREAKER_OPEN" default:"10s" help:"How long it stays open before one request tries."`

	AdminAddr string `group:"admin" env:"ADMIN_ADDR" default:":9090" help:"Where /metrics, /healthz and /readyz are served."`
	LogLevel  level  `group:"admin" env:"LOG_LEVEL" default:"info" help:"debug, info, warn or error."`
	LogFormat string `group:"admin" env:"LOG_FORMAT" default:"json" help:"json or text."`
}

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

// level is a log level of the command line.
type level struct {
	slog.Level
	mistake string
}

// UnmarshalText never fails: see settings.
func (l *level) UnmarshalText(text []byte) error {
	if err := l.Level.UnmarshalText(text); err != nil {
		l.mistake = fmt.Sprintf("%q is not one of debug, info, warn, error", text)
	}
	return nil
}
