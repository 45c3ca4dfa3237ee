package kafka

import (
	"context"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"math/big"
	"net"
	"strings"
	"testing"
	"time"

	"github.com/segmentio/kafka-go/sasl/plain"
	"github.com/twmb/franz-go/pkg/kfake"

	"consent-worker/worker/kafka/kafkatest"
)

func TestOpenTellsEverythingThatIsWrongAtOnce(t *testing.T) {
	_, err := Open(Config{Brokers: []string{"nowhere"}, Topic: "same", DeadLetterTopic: "same", SessionTimeout: 10 * time.Second})
	if err == nil {
		t.Fatal("no error")
	}
	for _, want := range []string{`"nowhere"`, "same", "group", "session timeout 10s", "rebalance timeout 10s"} {
		if !strings.Contains(err.Error(), want) {
			t.Errorf("the error does not say %q:\n%v", want, err)
		}
	}
}

// reasonOf lets WaitReady run until it has told why it waits.
func reasonOf(t *testing.T, cfg Config) string {
	t.Helper()
	log := new(record)
	cfg.Logger = logger(log)
	c, err := Open(cfg)
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = c.Close() }()
	ctx, cancel := context.WithCancelCause(t.Context())
	enough := errors.New("enough")
	over := make(chan error, 1)
	go func() { over <- c.WaitReady(ctx) }()
	expect(t, log, "waiting for Kafka")
	cancel(enough)
	err = receive(t, over, "return of WaitReady")
	if !errors.Is(err, enough) {
		t.Errorf("WaitReady: %v, want %v", err, enough)
	}
	return err.Error()
}

func TestIntegrationReadyTellsWhichTopicIsMissing(t *testing.T) {
	k := kafkatest.Start(t)
	cfg := config(k, k.Name("no-events"), k.Name("no-letters"))
	want := "the topic " + cfg.Topic + " does not exist, and the dead-letter topic " + cfg.DeadLetterTopic + " does not exist"
	if got := reasonOf(t, cfg); !strings.HasPrefix(got, want) {
		t.Errorf("reason %q, want %q", got, want)
	}
}

func TestIntegrationReadyWarnsOfSmallDeadLetterTopics(t *testing.T) {
	k := kafkatest.Start(t)
	events := k.Topic("events", 1, map[string]string{"max.message.bytes": "100000"})
	for size, warns := range map[string]bool{"100000": true, "104096": false} {
		log := new(record)
		cfg := config(k, events, k.Topic("letters", 1, map[string]string{"max.message.bytes": size}))
		cfg.Logger = logger(log)
		if err := open(t, cfg).WaitReady(t.Context()); err != nil {
			t.Fatal(err)
		}
		if strings.Contains(log.String(), "smaller records") != warns {
			t.Errorf("dead-letter topic of %s bytes, warning wanted: %v; log:\n%s", size, warns, log)
		}
	}
}

func TestReadyTellsWhyNoBrokerCanBeUsed(t *testing.T) {
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	nobody := listener.Addr().String()
	_ = listener.Close()

	certificate := selfSigned(t)
	secure := kafkatest.Fake(t, kfake.EnableSASL(), kfake.Superuser("PLAIN", "app", "right"))
	encrypted := func() []string {
		fake, err := kfake.NewCluster(kfake.NumBrokers(1), kfake.TLS(&tls.Config{Certificates: []tls.Certificate{certificate}}))
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(fake.Close)
		return fake.ListenAddrs()
	}()
	for name, it := range map[string]struct {
		brokers []string
		change  func(*Config)
		want    string
	}{
		"nobody listens":    {[]string{nobody}, func(*Config) {}, "broker " + nobody + " cannot be reached: connect: connection refused"},
		"wrong password":    {secure.Addrs(), func(c *Config) { c.SASL = plain.Mechanism{Username: "app", Password: "wrong"} }, "the broker closed the connection"}, // a real one says why
		"no password":       {secure.Addrs(), func(*Config) {}, "the broker closed the connection"},
		"unknown authority": {encrypted, func(c *Config) { c.TLS = &tls.Config{MinVersion: tls.VersionTLS12} }, "the broker's certificate is not trusted"},
		"TLS expected":      {encrypted, func(*Config) {}, "the broker closed the connection"},
	} {
		t.Run(name, func(t *testing.T) {
			cfg := Config{Brokers: it.brokers, Topic: "t", DeadLetterTopic: "d", Group: "g"}
			it.change(&cfg)
			if got := reasonOf(t, cfg); !strings.HasPrefix(got, it.want) {
				t.Errorf("reason %q, want %q", got, it.want)
			}
		})
	}
}

func selfSigned(t *testing.T) tls.Certificate {
	t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	template := &x509.Certificate{SerialNumber: big.NewInt(1), IPAddresses: []net.IP{net.IPv4(127, 0, 0, 1)}, NotAfter: time.Now().Add(time.Hour)}
	der, err := x509.CreateCertificate(rand.Reader, template, template, key.Public(), key)
	if err != nil {
		t.Fatal(err)
	}
	return tls.Certificate{Certificate: [][]byte{der}, PrivateKey: key}
}

func TestRunOverTLSWithAPassword(t *testing.T) {
	certificate := selfSigned(t)
	leaf, err := x509.ParseCertificate(certificate.Certificate[0])
	if err != nil {
		t.Fatal(err)
	}
	pool := x509.NewCertPool()
	pool.AddCert(leaf)
	fake, err := kfake.NewCluster(kfake.NumBrokers(1), kfake.TLS(&tls.Config{Certificates: []tls.Certificate{certificate}}),
		kfake.EnableSASL(), kfake.Superuser("PLAIN", "app", "right"), kfake.SeedTopics(2, "events", "letters"))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(fake.Close)
	c := open(t, Config{
		Brokers: fake.ListenAddrs(), Topic: "events", DeadLetterTopic: "letters", Group: "g", Start: Start{true, atFirst},
		TLS: &tls.Config{RootCAs: pool, MinVersion: tls.VersionTLS12}, SASL: plain.Mechanism{Username: "app", Password: "right"},
	})
	l := run(t, c).settled(2)
	if _, err := l.gen.Fetch(t.Context(), 0, 0); err != nil {
		t.Error(err)
	}
	if err := l.gen.Commit(t.Context(), nil); err != nil {
		t.Error(err)
	}
}
