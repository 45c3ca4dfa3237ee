package main

import (
	"bytes"
	"context"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/x509"
	"encoding/pem"
	"flag"
	"fmt"
	"log/slog"
	"math/big"
	"net"
	"os"
	"path/filepath"
	"reflect"
	"strings"
	"testing"
	"time"

	"github.com/alecthomas/kong"

	"consent-worker/hubspot"
	"consent-worker/worker"
	"consent-worker/worker/kafka"
)

var update = flag.Bool("update", false, "write the golden files")

const (
	token    = "pat-na1-very-secret-token"
	password = "very-secret-password"
)

// sound is an environment that is right.
func sound() map[string]string {
	return map[string]string{"KAFKA_BROKERS": "kafka-1:9092, [::1]:9093", "HUBSPOT_TOKEN": token}
}

// settle parses a command line in an environment as run does.
func settle(t *testing.T, env map[string]string, args ...string) (config, error) {
	t.Helper()
	var c cli
	parser, err := kong.New(&c, kong.ExplicitGroups(groups), kong.Resolvers(environment(func(name string) string { return env[name] })))
	if err != nil {
		t.Fatal(err)
	}
	if _, err := parser.Parse(append([]string{"run"}, args...)); err != nil {
		t.Fatal(err)
	}
	return c.Run.check()
}

// file writes a file and returns its path.
func file(t *testing.T, content string) string {
	t.Helper()
	path := filepath.Join(t.TempDir(), "file")
	if err := os.WriteFile(path, []byte(content), 0o600); err != nil {
		t.Fatal(err)
	}
	return path
}

// pair writes a certificate and its key.
func pair(t *testing.T) (cert, key string) {
	t.Helper()
	k, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	der, err := x509.CreateCertificate(rand.Reader, &x509.Certificate{SerialNumber: big.NewInt(1)}, &x509.Certificate{}, &k.PublicKey, k)
	if err != nil {
		t.Fatal(err)
	}
	secret, err := x509.MarshalPKCS8PrivateKey(k)
	if err != nil {
		t.Fatal(err)
	}
	return file(t, string(pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: der}))),
		file(t, string(pem.EncodeToMemory(&pem.Block{Type: "PRIVATE KEY", Bytes: secret})))
}

func TestEachMistakeIsToldBesideItsVariable(t *testing.T) {
	cert, key := pair(t)
	otherCert, _ := pair(t)
	blank, none := file(t, " \n"), filepath.Join(t.TempDir(), "none")
	for name, test := range map[string]struct {
		env  string // one assignment a line
		want string // one mistake a line
	}{
		"no brokers":                {"KAFKA_BROKERS=", "KAFKA_BROKERS: is missing"},
		"broker without port":       {"KAFKA_BROKERS=a:1,b", "KAFKA_BROKERS: entry 2 is not of the form host:port"},
		"broker without host":       {"KAFKA_BROKERS=:9092", "KAFKA_BROKERS: entry 1 is not of the form host:port"},
		"broker with a password":    {"KAFKA_BROKERS=me:" + password + "@a:1", "KAFKA_BROKERS: entry 1 is not of the form host:port"},
		"broker's port too high":    {"KAFKA_BROKERS=a:65536", "KAFKA_BROKERS: entry 1 is not of the form host:port"},
		"topic":                     {"KAFKA_TOPIC=a b", `KAFKA_TOPIC: "a b" is no name of a topic` + "\n" + `KAFKA_DEAD_LETTER_TOPIC: "a b.dead-letter" is no name of a topic`},
		"dead-letter topic":         {"KAFKA_DEAD_LETTER_TOPIC=..", `KAFKA_DEAD_LETTER_TOPIC: ".." is no name of a topic`},
		"one topic for both":        {"KAFKA_DEAD_LETTER_TOPIC=consent-changes", "KAFKA_DEAD_LETTER_TOPIC: must not be the topic of the events"},
		"start":                     {"KAFKA_START=soon", `KAFKA_START: "soon" is neither earliest nor latest nor a time like 2026-11-22T20:00:00Z`},
		"session too short":         {"KAFKA_SESSION_TIMEOUT=5s\nHUBSPOT_TIMEOUT=1s\nWORKER_DRAIN_TIMEOUT=2s", "KAFKA_SESSION_TIMEOUT: 5s is below 6s, which brokers refuse"},
		"session no duration":       {"KAFKA_SESSION_TIMEOUT=45", `KAFKA_SESSION_TIMEOUT: "45" is not a duration such as 500ms, 10s or 2m`},
		"TLS neither on nor off":    {"KAFKA_TLS=maybe", `KAFKA_TLS: "maybe" is neither true nor false`},
		"TLS files without TLS":     {"KAFKA_TLS_CA_FILE=" + cert, "KAFKA_TLS: is off, though TLS files are given"},
		"CA file is not there":      {"KAFKA_TLS=true\nKAFKA_TLS_CA_FILE=" + none, "KAFKA_TLS_CA_FILE: the file cannot be read: no such file or directory"},
		"CA file holds none":        {"KAFKA_TLS=true\nKAFKA_TLS_CA_FILE=" + blank, "KAFKA_TLS_CA_FILE: holds no certificate"},
		"certificate without key":   {"KAFKA_TLS=true\nKAFKA_TLS_CERT_FILE=" + cert, "KAFKA_TLS_CERT_FILE: and KAFKA_TLS_KEY_FILE need each other"},
		"key is not there":          {"KAFKA_TLS=true\nKAFKA_TLS_CERT_FILE=" + cert + "\nKAFKA_TLS_KEY_FILE=" + none, "KAFKA_TLS_KEY_FILE: the file cannot be read: no such file or directory"},
		"key of another":            {"KAFKA_TLS=true\nKAFKA_TLS_CERT_FILE=" + otherCert + "\nKAFKA_TLS_KEY_FILE=" + key, "KAFKA_TLS_CERT_FILE: and KAFKA_TLS_KEY_FILE are no pair: tls: private key does not match public key"},
		"user without mechanism":    {"KAFKA_SASL_USERNAME=me", "KAFKA_SASL_MECHANISM: is missing, though a user or password is given"},
		"mechanism alone":           {"KAFKA_SASL_MECHANISM=PLAIN", "KAFKA_SASL_USERNAME: is missing; KAFKA_SASL_MECHANISM needs it\nKAFKA_SASL_PASSWORD: is missing; set it or KAFKA_SASL_PASSWORD_FILE"},
		"unknown mechanism":         {"KAFKA_SASL_MECHANISM=GUESS\nKAFKA_SASL_USERNAME=me\nKAFKA_SASL_PASSWORD=" + password, `KAFKA_SASL_MECHANISM: "GUESS" is not one of PLAIN, SCRAM-SHA-256, SCRAM-SHA-512`},
		"password twice":            {"KAFKA_SASL_MECHANISM=PLAIN\nKAFKA_SASL_USERNAME=me\nKAFKA_SASL_PASSWORD=" + password + "\nKAFKA_SASL_PASSWORD_FILE=" + cert, "KAFKA_SASL_PASSWORD: is given twice, as itself and as KAFKA_SASL_PASSWORD_FILE"},
		"base URL":                  {"HUBSPOT_BASE_URL=api.hubapi.com", "HUBSPOT_BASE_URL: the base URL is not absolute, with http or https"},
		"base URL with a password":  {"HUBSPOT_BASE_URL=https://me:" + password + "@h", "HUBSPOT_BASE_URL: the base URL has a user, query or fragment"},
		"API version":               {"HUBSPOT_API_VERSION=latest", `HUBSPOT_API_VERSION: the version "latest" is neither like v4 nor like 2026-03`},
		"no token":                  {"HUBSPOT_TOKEN=", "HUBSPOT_TOKEN: is missing; set it or HUBSPOT_TOKEN_FILE"},
		"token twice":               {"HUBSPOT_TOKEN_FILE=" + cert, "HUBSPOT_TOKEN: is given twice, as itself and as HUBSPOT_TOKEN_FILE\nHUBSPOT_TOKEN: holds a character that no token has, such as a space or a line break"},
		"blank token":               {"HUBSPOT_TOKEN= ", "HUBSPOT_TOKEN: holds nothing but blanks"},
		"token of two lines":        {"HUBSPOT_TOKEN=" + token + "\r" + token, "HUBSPOT_TOKEN: holds a character that no token has, such as a space or a line break"},
		"blank token file":          {"HUBSPOT_TOKEN=\nHUBSPOT_TOKEN_FILE=" + blank, "HUBSPOT_TOKEN_FILE: holds nothing but blanks"},
		"token for its file":        {"HUBSPOT_TOKEN=\nHUBSPOT_TOKEN_FILE=" + token, "HUBSPOT_TOKEN_FILE: the file cannot be read: no such file or directory"},
		"timeout not below drain":   {"HUBSPOT_TIMEOUT=15s", "WORKER_DRAIN_TIMEOUT: 15s must be above HUBSPOT_TIMEOUT (15s), or a stop gives up requests that are still answered"},
		"drain above half session":  {"WORKER_DRAIN_TIMEOUT=23s", "WORKER_DRAIN_TIMEOUT: 23s must not be above half of KAFKA_SESSION_TIMEOUT (45s), or the group gives the partitions away in mid-drain"},
		"timeout":                   {"HUBSPOT_TIMEOUT=0s", "HUBSPOT_TIMEOUT: 0s is not above zero"},
		"afterlife":                 {"HUBSPOT_AFTERLIFE=-1s", "HUBSPOT_AFTERLIFE: -1s is not above zero"},
		"rate limit":                {"HUBSPOT_RATE_LIMIT=0", "HUBSPOT_RATE_LIMIT: 0 is not from 1 to 1000000"},
		"rate interval":             {"HUBSPOT_RATE_INTERVAL=0s", "HUBSPOT_RATE_INTERVAL: 0s is not above zero"},
		"batch too large":           {"WORKER_BATCH_SIZE=1001", "WORKER_BATCH_SIZE: 1001 is not from 1 to 1000"},
		"batch no number":           {"WORKER_BATCH_SIZE=1e2", `WORKER_BATCH_SIZE: "1e2" is not a whole number`},
		"linger":                    {"WORKER_LINGER=soon", `WORKER_LINGER: "soon" is not a duration such as 500ms, 10s or 2m`},
		"in flight":                 {"WORKER_IN_FLIGHT=-3", "WORKER_IN_FLIGHT: -3 is not from 1 to 256"},
		"window":                    {"WORKER_WINDOW=10", "WORKER_WINDOW: 10 is not from 100 to 1000000"},
		"attempts":                  {"WORKER_MAX_ATTEMPTS=0", "WORKER_MAX_ATTEMPTS: 0 is not from 1 to 100"},
		"drain":                     {"WORKER_DRAIN_TIMEOUT=0s", "WORKER_DRAIN_TIMEOUT: 0s is not above zero"},
		"breaker failures":          {"BREAKER_FAILURES=0", "BREAKER_FAILURES: 0 is not from 1 to 1000"},
		"breaker open":              {"BREAKER_OPEN=0s", "BREAKER_OPEN: 0s is not above zero"},
		"admin address":             {"ADMIN_ADDR=9090", `ADMIN_ADDR: "9090" is not of the form :port or host:port`},
		"log level":                 {"LOG_LEVEL=loud", `LOG_LEVEL: "loud" is not one of debug, info, warn, error`},
		"log format":                {"LOG_FORMAT=verse", `LOG_FORMAT: "verse" is neither json nor text`},
		"several that do not parse": {"KAFKA_TLS=perhaps\nWORKER_BATCH_SIZE=many\nBREAKER_OPEN=long", `KAFKA_TLS: "perhaps" is neither true nor false` + "\n" + `BREAKER_OPEN: "long" is not a duration such as 500ms, 10s or 2m` + "\n" + `WORKER_BATCH_SIZE: "many" is not a whole number`},
	} {
		t.Run(name, func(t *testing.T) {
			env := sound()
			for line := range strings.SplitSeq(test.env, "\n") {
				variable, value, _ := strings.Cut(line, "=")
				env[variable] = value
			}
			code, out, errs := runs(t, env, "run")
			if want := "  " + strings.ReplaceAll(test.want, "\n", "\n  ") + "\n"; code != 2 || out != "" || !strings.HasSuffix(strings.TrimSuffix(errs, "Try consent-worker run --help.\n"), "used:\n"+want) {
				t.Errorf("exit status %d\n%s%s\nwant 2 and\n%s", code, out, errs, want)
			}
		})
	}
}

// runs is run in an environment after somebody has asked it to stop, and sees that no secret is shown.
func runs(t *testing.T, env map[string]string, args ...string) (code int, stdout, stderr string) {
	t.Helper()
	ctx, stop := context.WithCancel(t.Context())
	stop() // so that a mistake nobody notices does not run for ever
	var out, errs bytes.Buffer
	code = run(ctx, args, func(name string) string { return env[name] }, &out, &errs)
	for _, secret := range []string{token, password} {
		if strings.Contains(out.String()+errs.String(), secret) {
			t.Errorf("%v shows a secret", args)
		}
	}
	return code, out.String(), errs.String()
}

func TestEveryMistakeIsListedAtOnce(t *testing.T) {
	wrong := map[string]string{
		"KAFKA_BROKERS": "b", "KAFKA_TOPIC": "?", "KAFKA_SESSION_TIMEOUT": "?", "KAFKA_START": "?", "KAFKA_DEAD_LETTER_TOPIC": "?", "KAFKA_TLS": "?",
		"KAFKA_TLS_CA_FILE": "/?", "KAFKA_TLS_CERT_FILE": "/?", "KAFKA_TLS_KEY_FILE": "/?", "KAFKA_SASL_MECHANISM": "?", "KAFKA_SASL_PASSWORD": " ",
		"HUBSPOT_BASE_URL": "?", "HUBSPOT_API_VERSION": "?", "HUBSPOT_TOKEN": token, "HUBSPOT_TOKEN_FILE": "/?", "HUBSPOT_TIMEOUT": "?",
		"HUBSPOT_AFTERLIFE": "?", "HUBSPOT_RATE_LIMIT": "?", "HUBSPOT_RATE_INTERVAL": "?", "WORKER_BATCH_SIZE": "?", "WORKER_LINGER": "?",
		"WORKER_IN_FLIGHT": "?", "WORKER_WINDOW": "?", "WORKER_MAX_ATTEMPTS": "?", "WORKER_DRAIN_TIMEOUT": "?", "BREAKER_FAILURES": "?",
		"BREAKER_OPEN": "?", "ADMIN_ADDR": "?", "LOG_LEVEL": "?", "LOG_FORMAT": "?",
	}
	code, _, errs := runs(t, wrong, "run")
	if code != 2 {
		t.Errorf("exit status %d, want 2", code)
	}
	for name := range wrong {
		if !strings.Contains(errs, "\n  "+name+": ") {
			t.Errorf("%s is not told of", name)
		}
	}
	if t.Failed() {
		t.Log(errs)
	}
}

func TestSettingsArriveWhereTheyBelong(t *testing.T) {
	cert, key := pair(t)
	env := map[string]string{
		"KAFKA_BROKERS": "a:1, [::1]:2", "KAFKA_TOPIC": "t", "KAFKA_GROUP": "g", "KAFKA_SESSION_TIMEOUT": "20s", "KAFKA_START": "latest",
		"KAFKA_DEAD_LETTER_TOPIC": "d", "KAFKA_TLS": "Yes", "KAFKA_TLS_CA_FILE": cert, "KAFKA_TLS_CERT_FILE": cert, "KAFKA_TLS_KEY_FILE": key,
		"KAFKA_SASL_MECHANISM": "SCRAM-SHA-512", "KAFKA_SASL_USERNAME": "me", "KAFKA_SASL_PASSWORD_FILE": file(t, password+"\n"),
		"HUBSPOT_BASE_URL": "http://h:8080", "HUBSPOT_API_VERSION": "2026-09", "HUBSPOT_TOKEN_FILE": file(t, " "+token+"\r\n"), "HUBSPOT_TIMEOUT": "3s",
		"HUBSPOT_AFTERLIFE": "50s", "HUBSPOT_RATE_LIMIT": "100", "HUBSPOT_RATE_INTERVAL": "5s", "WORKER_BATCH_SIZE": "50", "WORKER_LINGER": "1s",
		"WORKER_IN_FLIGHT": "4", "WORKER_WINDOW": "1000", "WORKER_MAX_ATTEMPTS": "3", "WORKER_DRAIN_TIMEOUT": "9s", "BREAKER_FAILURES": "7",
		"WORKER_REQUIRE_LEGAL_BASIS": "grants",
		"BREAKER_OPEN":               "30s", "ADMIN_ADDR": "127.0.0.1:0", "LOG_LEVEL": "Debug", "LOG_FORMAT": "text",
	}
	c, err := settle(t, env, "--worker-batch-size=60")
	if err != nil {
		t.Fatal(err)
	}
	if len(c.kafka.TLS.Certificates) != 1 || c.kafka.TLS.RootCAs == nil || c.kafka.SASL.Name() != "SCRAM-SHA-512" || c.kafka.Start.String() != "latest" {
		t.Errorf("TLS, SASL or start: %v certificates, %s, %s", len(c.kafka.TLS.Certificates), c.kafka.SASL.Name(), c.kafka.Start)
	}
	if got, err := c.hubspot.Tokens.Token(t.Context()); err != nil || got.Reveal() != token {
		t.Errorf("the token of the file did not arrive: %v", err)
	}
	c.kafka.TLS, c.kafka.SASL, c.kafka.Start, c.hubspot.Tokens = nil, nil, kafka.Start{}, nil // seen above
	want := config{
		kafka: kafka.Config{
			Brokers: []string{"a:1", "[::1]:2"}, Topic: "t", Group: "g", DeadLetterTopic: "d", ClientID: "consent-worker",
			SessionTimeout: 20 * time.Second, Drain: 9 * time.Second,
		},
		hubspot: hubspot.Config{BaseURL: "http://h:8080", Version: "2026-09", Timeout: 3 * time.Second, UserAgent: "consent-worker/" + currentVersion()},
		gate:    worker.GateConfig{Limit: 100, Interval: 5 * time.Second, Failures: 7, Open: 30 * time.Second},
		worker: worker.Config{
			Limits:   worker.Limits{BatchSize: 60, Linger: time.Second, Window: 1000, WindowBytes: 8 << 20, MaxAttempts: 3, Afterlife: 50 * time.Second},
			InFlight: 4, Drain: 9 * time.Second, CommitEvery: time.Second, CommitTimeout: 5 * time.Second, LegalBasis: worker.LegalBasisGrants,
		},
		admin: "127.0.0.1:0", level: slog.LevelDebug,
	}
	if !reflect.DeepEqual(c, want) {
		t.Errorf("got\n%+v\nwant\n%+v", c, want)
	}
}

func TestEmptyVariablesCountAsNotSet(t *testing.T) {
	env := sound()
	env["KAFKA_TLS"], env["KAFKA_TOPIC"], env["WORKER_LINGER"], env["HUBSPOT_TOKEN_FILE"] = "", "", "", ""
	c, err := settle(t, env)
	if err != nil || c.kafka.Topic != "consent-changes" || c.worker.Linger != 500*time.Millisecond || c.kafka.TLS != nil {
		t.Errorf("topic %q, linger %v: %v", c.kafka.Topic, c.worker.Linger, err)
	}
	for _, args := range [][]string{{"--kafka-tls"}, {"--kafka-tls=true"}} {
		if c, err := settle(t, sound(), args...); err != nil || c.kafka.TLS == nil {
			t.Errorf("%v: TLS %v, %v", args, c.kafka.TLS != nil, err)
		}
	}
}

func TestUsageMistakesShowNoSecret(t *testing.T) {
	for _, args := range [][]string{{}, {"dance"}, {"run", token}, {"run", "--hubspot-tokn=" + token}, {"run", "--hubspot-token", token, password}, {"version", token}} {
		if code, out, errs := runs(t, sound(), args...); code != 2 || out != "" || !strings.HasPrefix(errs, "consent-worker: ") {
			t.Errorf("%v: exit status %d\n%s%s", args, code, out, errs)
		}
	}
	s := settings{HubspotToken: token, KafkaSASLPassword: password}
	if text := fmt.Sprintf("%v %+v %#v", s, s, s); strings.Contains(text, token) || strings.Contains(text, password) {
		t.Error("printing the settings shows a secret")
	}
}

func TestHelpIsTheGoldenOne(t *testing.T) {
	t.Setenv("COLUMNS", "100")
	env := sound()
	env["KAFKA_SASL_PASSWORD"] = password
	code, got, errs := runs(t, env, "run", "--help")
	if code != 0 || errs != "" {
		t.Fatalf("exit status %d, %s", code, errs)
	}
	golden := filepath.Join("testdata", "help.golden")
	if *update {
		if err := os.MkdirAll("testdata", 0o750); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(golden, []byte(got), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	want, err := os.ReadFile(golden)
	if err != nil {
		t.Fatal(err)
	}
	if got != string(want) {
		t.Errorf("the help differs from %s (run with -update if that is meant); got\n%s", golden, got)
	}
}

func TestCommandTellsItsVersion(t *testing.T) {
	if code, out, errs := runs(t, nil, "version"); code != 0 || out != "consent-worker "+currentVersion()+"\n" || errs != "" {
		t.Errorf("exit status %d, %q, %q", code, out, errs)
	}
	if code, out, _ := runs(t, nil, "--help"); code != 0 || !strings.Contains(out, "opt-outs first") {
		t.Errorf("exit status %d, %q", code, out)
	}
}

func TestRunFailsWhenItsAdminAddressIsTaken(t *testing.T) {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	env := sound()
	env["ADMIN_ADDR"], env["LOG_FORMAT"] = l.Addr().String(), "text"
	if code, _, errs := runs(t, env, "run"); code != 1 || !strings.Contains(errs, "the admin server cannot listen at ADMIN_ADDR") || !strings.Contains(errs, "address already in use") {
		t.Errorf("exit status %d\n%s", code, errs)
	}
}

func TestRunThatIsAskedToStopEndsWell(t *testing.T) {
	env := sound()
	env["ADMIN_ADDR"] = "127.0.0.1:0"
	env["KAFKA_SASL_MECHANISM"], env["KAFKA_SASL_USERNAME"], env["KAFKA_SASL_PASSWORD"] = "PLAIN", "me", password
	code, _, errs := runs(t, env, "run")
	if code != 0 || !strings.Contains(errs, `"stopped as asked"`) || strings.Count(errs, `"starting"`) != 1 || !strings.Contains(errs, `"rate_interval":"10s"`) {
		t.Errorf("exit status %d\n%s", code, errs)
	}
}
