package main

import (
	"cmp"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"log/slog"
	"os"
	"strings"
	"time"

	"consent-worker/hubspot"
	"consent-worker/worker"
	"consent-worker/worker/kafka"
)

const (
	windowBytes   = 8 << 20 // each partition, beside WORKER_WINDOW
	commitEvery   = time.Second
	maxBatch      = 1000 // HubSpot documents no limit for this endpoint; none of its batches takes more
	maxInFlight   = 256
	maxWindow     = 1_000_000
	lowestSession = 6 * time.Second // brokers refuse less by default (group.min.session.timeout.ms)
)

// config is settings, checked and typed.
type config struct {
	kafka   kafka.Config
	hubspot hubspot.Config
	gate    worker.GateConfig
	worker  worker.Config
	admin   string
	level   slog.Level
	json    bool
}

// mistakes gathers what is wrong.
type mistakes []error

func (m *mistakes) add(name, format string, args ...any) {
	*m = append(*m, fmt.Errorf("  %s: "+format, append([]any{name}, args...)...))
}

// positive notes a duration that does not parse or is not above zero.
func (m *mistakes) positive(name string, d duration) {
	switch {
	case d.mistake != "":
		m.add(name, "%s", d.mistake)
	case d.Duration <= 0:
		m.add(name, "%v is not above zero", d.Duration)
	}
}

// within notes a number that does not parse or is out of its range.
func (m *mistakes) within(name string, n number, low, high int) {
	switch {
	case n.mistake != "":
		m.add(name, "%s", n.mistake)
	case n.n < low || n.n > high:
		m.add(name, "%d is not from %d to %d", n.n, low, high)
	}
}

// check returns the configuration, or an error that lists every mistake in it, a line each. No secret is in it.
func (s *settings) check() (config, error) {
	var m mistakes
	s.numbers(&m)
	c := config{
		admin: s.AdminAddr, level: s.LogLevel.Level, json: s.LogFormat == "json",
		gate: worker.GateConfig{Limit: s.HubspotRateLimit.n, Interval: s.HubspotRateInterval.Duration, Failures: s.BreakerFailures.n, Open: s.BreakerOpen.Duration},
		worker: worker.Config{
			Limits: worker.Limits{
				BatchSize: s.WorkerBatchSize.n, Linger: s.WorkerLinger.Duration, Window: s.WorkerWindow.n, WindowBytes: windowBytes,
				MaxAttempts: s.WorkerMaxAttempts.n, Afterlife: s.HubspotAfterlife.Duration,
			},
			InFlight: s.WorkerInFlight.n, Drain: s.WorkerDrainTimeout.Duration, CommitEvery: commitEvery,
			CommitTimeout: min(10*time.Second, s.KafkaSessionTimeout.Duration/4),
		},
	}
	c.kafka = s.kafka(&m)
	token := m.secret("HUBSPOT_TOKEN", s.HubspotToken, s.HubspotTokenFile)
	if token == "" && s.HubspotToken == "" && s.HubspotTokenFile == "" {
		m.add("HUBSPOT_TOKEN", "is missing; set it or HUBSPOT_TOKEN_FILE")
	}
	c.hubspot = hubspot.Config{
		BaseURL: s.HubspotBaseURL, Version: s.HubspotAPIVersion, Tokens: hubspot.StaticToken(hubspot.Secret(cmp.Or(token, "missing"))),
		Timeout: s.HubspotTimeout.Duration, UserAgent: "consent-worker/" + currentVersion(),
	}
	if s.HubspotTimeout.Duration > 0 {
		if _, err := hubspot.New(c.hubspot); err != nil {
			m.add("HUBSPOT", "%v", err)
		}
	}
	return c, errors.Join(m...)
}

// numbers checks what must hold of single values and between them.
func (s *settings) numbers(m *mistakes) {
	m.positive("KAFKA_SESSION_TIMEOUT", s.KafkaSessionTimeout)
	m.positive("HUBSPOT_TIMEOUT", s.HubspotTimeout)
	m.positive("HUBSPOT_AFTERLIFE", s.HubspotAfterlife)
	m.positive("HUBSPOT_RATE_INTERVAL", s.HubspotRateInterval)
	m.positive("WORKER_LINGER", s.WorkerLinger)
	m.positive("WORKER_DRAIN_TIMEOUT", s.WorkerDrainTimeout)
	m.positive("BREAKER_OPEN", s.BreakerOpen)
	m.within("HUBSPOT_RATE_LIMIT", s.HubspotRateLimit, 1, 1_000_000)
	m.within("WORKER_BATCH_SIZE", s.WorkerBatchSize, 1, maxBatch)
	m.within("WORKER_IN_FLIGHT", s.WorkerInFlight, 1, maxInFlight)
	m.within("WORKER_WINDOW", s.WorkerWindow, 100, maxWindow)
	m.within("WORKER_MAX_ATTEMPTS", s.WorkerMaxAttempts, 1, 100)
	m.within("BREAKER_FAILURES", s.BreakerFailures, 1, 1000)
	if d := s.KafkaSessionTimeout; d.Duration > 0 && d.Duration < lowestSession {
		m.add("KAFKA_SESSION_TIMEOUT", "%v is below %v, which brokers refuse", d.Duration, lowestSession)
	}
	timeout, drain, session := s.HubspotTimeout.Duration, s.WorkerDrainTimeout.Duration, s.KafkaSessionTimeout.Duration
	if timeout > 0 && drain > 0 && timeout >= drain {
		m.add("WORKER_DRAIN_TIMEOUT", "%v must be above HUBSPOT_TIMEOUT (%v), or a stop gives up requests that are still answered", drain, timeout)
	}
	if drain > 0 && session > 0 && drain > session/2 {
		m.add("WORKER_DRAIN_TIMEOUT", "%v must not be above half of KAFKA_SESSION_TIMEOUT (%v), or the group gives the partitions away in mid-drain", drain, session)
	}
	if s.LogLevel.mistake != "" {
		m.add("LOG_LEVEL", "%s", s.LogLevel.mistake)
	}
	if s.LogFormat != "json" && s.LogFormat != "text" {
		m.add("LOG_FORMAT", "%q is neither json nor text", s.LogFormat)
	}
}

// kafka checks and types everything about the cluster.
func (s *settings) kafka(m *mistakes) kafka.Config {
	c := kafka.Config{
		Brokers: s.KafkaBrokers, Topic: s.KafkaTopic, Group: s.KafkaGroup, ClientID: "consent-worker",
		DeadLetterTopic: cmp.Or(s.KafkaDeadLetterTopic, s.KafkaTopic+".dead-letter"),
		SessionTimeout:  s.KafkaSessionTimeout.Duration, Drain: s.WorkerDrainTimeout.Duration,
	}
	if len(s.KafkaBrokers) == 0 {
		m.add("KAFKA_BROKERS", "is missing")
	}
	for _, b := range s.KafkaBrokers {
		if host, port, ok := strings.Cut(b, ":"); !ok || host == "" || port == "" {
			m.add("KAFKA_BROKERS", "%q is not of the form host:port", b)
		}
	}
	if c.DeadLetterTopic == s.KafkaTopic {
		m.add("KAFKA_DEAD_LETTER_TOPIC", "must not be the topic of the events")
	}
	var err error
	if c.Start, err = kafka.ParseStart(s.KafkaStart); err != nil {
		m.add("KAFKA_START", "%v", err)
	}
	c.TLS = s.tls(m)
	password := m.secret("KAFKA_SASL_PASSWORD", s.KafkaSASLPassword, s.KafkaSASLPasswordFile)
	switch {
	case s.KafkaSASLMechanism != "":
		if s.KafkaSASLUsername == "" || password == "" {
			m.add("KAFKA_SASL_MECHANISM", "needs KAFKA_SASL_USERNAME and KAFKA_SASL_PASSWORD or KAFKA_SASL_PASSWORD_FILE")
		}
		if c.SASL, err = kafka.SASL(s.KafkaSASLMechanism, s.KafkaSASLUsername, password); err != nil {
			m.add("KAFKA_SASL_MECHANISM", "%v", err)
		}
	case s.KafkaSASLUsername != "" || password != "":
		m.add("KAFKA_SASL_MECHANISM", "is missing, though a user or password is given")
	}
	return c
}

// tls reads the files; nil without TLS.
func (s *settings) tls(m *mistakes) *tls.Config {
	files := s.KafkaTLSCAFile != "" || s.KafkaTLSCertFile != "" || s.KafkaTLSKeyFile != ""
	if !s.KafkaTLS {
		if files {
			m.add("KAFKA_TLS", "is off, though TLS files are given")
		}
		return nil
	}
	c := &tls.Config{MinVersion: tls.VersionTLS12}
	if s.KafkaTLSCAFile != "" {
		pem, err := os.ReadFile(s.KafkaTLSCAFile)
		c.RootCAs = x509.NewCertPool()
		if err != nil {
			m.add("KAFKA_TLS_CA_FILE", "%v", err)
		} else if !c.RootCAs.AppendCertsFromPEM(pem) {
			m.add("KAFKA_TLS_CA_FILE", "%s holds no certificate", s.KafkaTLSCAFile)
		}
	}
	switch {
	case (s.KafkaTLSCertFile == "") != (s.KafkaTLSKeyFile == ""):
		m.add("KAFKA_TLS_CERT_FILE", "needs KAFKA_TLS_KEY_FILE, and the other way round")
	case s.KafkaTLSCertFile != "":
		pair, err := tls.LoadX509KeyPair(s.KafkaTLSCertFile, s.KafkaTLSKeyFile)
		if err != nil {
			m.add("KAFKA_TLS_CERT_FILE", "%v", err)
		}
		c.Certificates = []tls.Certificate{pair}
	}
	return c
}

// secret returns a secret from a variable or a file, of which one at most may be given.
func (m *mistakes) secret(name, value, file string) string {
	if file == "" {
		return strings.TrimSpace(value)
	}
	if value != "" {
		m.add(name, "is given twice, as itself and as %s_FILE", name)
	}
	content, err := os.ReadFile(file)
	if err != nil {
		m.add(name+"_FILE", "%v", err)
		return ""
	}
	secret := strings.TrimSpace(string(content))
	if secret == "" {
		m.add(name+"_FILE", "%s is empty", file)
	}
	return secret
}
