package main

import (
	"cmp"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"log/slog"
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

// check returns the configuration, or an error that lists every mistake in it, a line each. No secret is in it.
func (s *settings) check() (config, error) {
	var m mistakes
	c := config{
		kafka: s.kafka(&m), hubspot: s.hubspot(&m), gate: s.gate(&m), worker: s.worker(&m),
		admin: s.admin(&m), level: s.LogLevel.Level, json: s.LogFormat == "json",
	}
	s.together(&m)
	return c, errors.Join(m...)
}

// together checks what must hold between values.
func (s *settings) together(m *mistakes) {
	timeout, drain, session := s.HubspotTimeout.Duration, s.WorkerDrainTimeout.Duration, s.KafkaSessionTimeout.Duration
	if timeout > 0 && drain > 0 && timeout >= drain {
		m.add("WORKER_DRAIN_TIMEOUT", "%v must be above HUBSPOT_TIMEOUT (%v), or a stop gives up requests that are still answered", drain, timeout)
	}
	if drain > 0 && session > 0 && drain > session/2 {
		m.add("WORKER_DRAIN_TIMEOUT", "%v must not be above half of KAFKA_SESSION_TIMEOUT (%v), or the group gives the partitions away in mid-drain", drain, session)
	}
}

// kafka checks and types everything about the cluster.
func (s *settings) kafka(m *mistakes) kafka.Config {
	c := kafka.Config{
		Topic: s.KafkaTopic, Group: s.KafkaGroup, ClientID: "consent-worker",
		DeadLetterTopic: cmp.Or(s.KafkaDeadLetterTopic, s.KafkaTopic+".dead-letter"),
		SessionTimeout:  s.KafkaSessionTimeout.Duration, Drain: s.WorkerDrainTimeout.Duration,
	}
	if len(s.KafkaBrokers) == 0 {
		m.add("KAFKA_BROKERS", "is missing")
	}
	for i, b := range s.KafkaBrokers {
		b = strings.TrimSpace(b)
		if !isAddr(b, 1) || strings.HasPrefix(b, ":") {
			m.add("KAFKA_BROKERS", "entry %d is not of the form host:port", i+1) // not quoted: some write a password into it
		}
		c.Brokers = append(c.Brokers, b)
	}
	m.topic("KAFKA_TOPIC", c.Topic)
	if c.Topic != "" { // else the name derived from it would be called a mistake, too
		m.topic("KAFKA_DEAD_LETTER_TOPIC", c.DeadLetterTopic)
	}
	if c.DeadLetterTopic == c.Topic {
		m.add("KAFKA_DEAD_LETTER_TOPIC", "must not be the topic of the events")
	}
	if c.Group == "" {
		m.add("KAFKA_GROUP", "is empty")
	}
	m.positive("KAFKA_SESSION_TIMEOUT", s.KafkaSessionTimeout)
	if d := s.KafkaSessionTimeout.Duration; d > 0 && d < lowestSession {
		m.add("KAFKA_SESSION_TIMEOUT", "%v is below %v, which brokers refuse", d, lowestSession)
	}
	var err error
	if c.Start, err = kafka.ParseStart(s.KafkaStart); err != nil {
		m.add("KAFKA_START", "%q is neither earliest nor latest nor a time like 2026-11-22T20:00:00Z", s.KafkaStart)
	}
	c.TLS = s.tls(m)
	s.sasl(m, &c)
	return c
}

// tls reads the files; nil without TLS.
func (s *settings) tls(m *mistakes) *tls.Config {
	if s.KafkaTLS.mistake != "" {
		m.add("KAFKA_TLS", "%s", s.KafkaTLS.mistake)
		s.KafkaTLS.on = true // so that mistakes in the files show as well
	}
	if !s.KafkaTLS.on {
		if s.KafkaTLSCAFile != "" || s.KafkaTLSCertFile != "" || s.KafkaTLSKeyFile != "" {
			m.add("KAFKA_TLS", "is off, though TLS files are given")
		}
		return nil
	}
	c := &tls.Config{MinVersion: tls.VersionTLS12}
	if s.KafkaTLSCAFile != "" {
		c.RootCAs = x509.NewCertPool()
		if pem := m.file("KAFKA_TLS_CA_FILE", s.KafkaTLSCAFile); pem != nil && !c.RootCAs.AppendCertsFromPEM(pem) {
			m.add("KAFKA_TLS_CA_FILE", "holds no certificate")
		}
	}
	if (s.KafkaTLSCertFile == "") != (s.KafkaTLSKeyFile == "") {
		m.add("KAFKA_TLS_CERT_FILE", "and KAFKA_TLS_KEY_FILE need each other")
	}
	cert, key := m.file("KAFKA_TLS_CERT_FILE", s.KafkaTLSCertFile), m.file("KAFKA_TLS_KEY_FILE", s.KafkaTLSKeyFile)
	if cert != nil && key != nil {
		pair, err := tls.X509KeyPair(cert, key)
		if err != nil {
			m.add("KAFKA_TLS_CERT_FILE", "and KAFKA_TLS_KEY_FILE are no pair: %v", err)
		}
		c.Certificates = []tls.Certificate{pair}
	}
	return c
}

func (s *settings) sasl(m *mistakes, c *kafka.Config) {
	password, given := m.secret("KAFKA_SASL_PASSWORD", s.KafkaSASLPassword, s.KafkaSASLPasswordFile)
	switch {
	case s.KafkaSASLMechanism == "" && (s.KafkaSASLUsername != "" || given):
		m.add("KAFKA_SASL_MECHANISM", "is missing, though a user or password is given")
	case s.KafkaSASLMechanism != "":
		if s.KafkaSASLUsername == "" {
			m.add("KAFKA_SASL_USERNAME", "is missing; KAFKA_SASL_MECHANISM needs it")
		}
		if !given {
			m.add("KAFKA_SASL_PASSWORD", "is missing; set it or KAFKA_SASL_PASSWORD_FILE")
		}
		var err error
		if c.SASL, err = kafka.SASL(s.KafkaSASLMechanism, s.KafkaSASLUsername, password.Reveal()); err != nil {
			m.add("KAFKA_SASL_MECHANISM", "%v", err)
		}
	}
}

// hubspot checks and types everything about the API.
func (s *settings) hubspot(m *mistakes) hubspot.Config {
	token, given := m.secret("HUBSPOT_TOKEN", s.HubspotToken, s.HubspotTokenFile)
	switch {
	case !given:
		m.add("HUBSPOT_TOKEN", "is missing; set it or HUBSPOT_TOKEN_FILE")
	case strings.ContainsFunc(token.Reveal(), func(r rune) bool { return r <= ' ' || r > '~' }):
		m.add("HUBSPOT_TOKEN", "holds a character that no token has, such as a space or a line break")
	}
	c := hubspot.Config{
		BaseURL: s.HubspotBaseURL, Version: s.HubspotAPIVersion, Tokens: hubspot.StaticToken(token),
		Timeout: s.HubspotTimeout.Duration, UserAgent: "consent-worker/" + currentVersion(),
	}
	if s.HubspotTokenFile != "" {
		c.Tokens = hubspot.FileToken(s.HubspotTokenFile)
	}
	// The client's own check of one value beside a sound one, so that each mistake stands beside its variable.
	_, err := hubspot.New(hubspot.Config{BaseURL: c.BaseURL, Version: "v4", Tokens: c.Tokens})
	m.client("HUBSPOT_BASE_URL", err)
	_, err = hubspot.New(hubspot.Config{BaseURL: "https://api.hubapi.com", Version: c.Version, Tokens: c.Tokens})
	m.client("HUBSPOT_API_VERSION", err)
	m.positive("HUBSPOT_TIMEOUT", s.HubspotTimeout)
	return c
}

// gate checks and types the pace and the breaker.
func (s *settings) gate(m *mistakes) worker.GateConfig {
	m.within("HUBSPOT_RATE_LIMIT", s.HubspotRateLimit, 1, 1_000_000)
	m.positive("HUBSPOT_RATE_INTERVAL", s.HubspotRateInterval)
	m.within("BREAKER_FAILURES", s.BreakerFailures, 1, 1000)
	m.positive("BREAKER_OPEN", s.BreakerOpen)
	return worker.GateConfig{
		Limit: s.HubspotRateLimit.n, Interval: s.HubspotRateInterval.Duration,
		Failures: s.BreakerFailures.n, Open: s.BreakerOpen.Duration,
	}
}

// worker checks and types the numbers of a life.
func (s *settings) worker(m *mistakes) worker.Config {
	m.positive("HUBSPOT_AFTERLIFE", s.HubspotAfterlife)
	m.within("WORKER_BATCH_SIZE", s.WorkerBatchSize, 1, maxBatch)
	m.positive("WORKER_LINGER", s.WorkerLinger)
	m.within("WORKER_IN_FLIGHT", s.WorkerInFlight, 1, maxInFlight)
	m.within("WORKER_WINDOW", s.WorkerWindow, 100, maxWindow)
	m.within("WORKER_MAX_ATTEMPTS", s.WorkerMaxAttempts, 1, 100)
	m.positive("WORKER_DRAIN_TIMEOUT", s.WorkerDrainTimeout)
	policy := worker.LegalBasisPolicy(s.WorkerRequireLegalBasis)
	switch policy {
	case worker.LegalBasisOff, worker.LegalBasisGrants, worker.LegalBasisAll:
	default:
		m.add("WORKER_REQUIRE_LEGAL_BASIS", "%q is not one of off, grants, all", s.WorkerRequireLegalBasis)
	}
	return worker.Config{
		LegalBasis: policy,
		Limits: worker.Limits{
			BatchSize: s.WorkerBatchSize.n, Linger: s.WorkerLinger.Duration, Window: s.WorkerWindow.n, WindowBytes: windowBytes,
			MaxAttempts: s.WorkerMaxAttempts.n, Afterlife: s.HubspotAfterlife.Duration,
		},
		InFlight: s.WorkerInFlight.n, Drain: s.WorkerDrainTimeout.Duration, CommitEvery: commitEvery,
		// Well below a third of the session: commits are what keeps a member alive while it drains.
		CommitTimeout: min(10*time.Second, s.KafkaSessionTimeout.Duration/4),
	}
}

// admin checks everything about what is shown, and returns the admin server's address.
func (s *settings) admin(m *mistakes) string {
	addr := strings.TrimSpace(s.AdminAddr)
	if !isAddr(addr, 0) {
		m.add("ADMIN_ADDR", "%q is not of the form :port or host:port", s.AdminAddr)
	}
	if s.LogLevel.mistake != "" {
		m.add("LOG_LEVEL", "%s", s.LogLevel.mistake)
	}
	if s.LogFormat != "json" && s.LogFormat != "text" {
		m.add("LOG_FORMAT", "%q is neither json nor text", s.LogFormat)
	}
	return addr
}
