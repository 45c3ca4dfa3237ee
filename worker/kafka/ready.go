package kafka

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net"
	"os"
	"strconv"
	"time"

	"github.com/segmentio/kafka-go"
)

// headerRoom is how much larger than its event a dead letter may be: our headers, the cause among them.
const headerRoom = 4 << 10

// WaitReady returns nil when the source topic and the dead-letter topic exist and each of their partitions has a
// leader. Until then it logs what is missing, once for each reason, and asks again every second. When ctx ends it
// returns the last reason and ctx's cause.
func (c *Cluster) WaitReady(ctx context.Context) error {
	var told said
	for {
		err := c.missing(ctx)
		if err == nil {
			c.compareSizes(ctx)
			return nil
		}
		if ctx.Err() != nil {
			if told.last == "" {
				return context.Cause(ctx)
			}
			return fmt.Errorf("%s: %w", told.last, context.Cause(ctx))
		}
		if why := because(err); told.changed(why) {
			c.log.Warn("waiting for Kafka", slog.String("reason", why))
		}
		pause(ctx, time.Second)
	}
}

// missing says what keeps the worker from starting.
func (c *Cluster) missing(ctx context.Context) error {
	topics, err := c.look(ctx, c.cfg.Topic, c.cfg.DeadLetterTopic)
	if err != nil {
		return err
	}
	var wrong []error
	for _, t := range []struct{ kind, name string }{{"topic", c.cfg.Topic}, {"dead-letter topic", c.cfg.DeadLetterTopic}} {
		switch err := topics[t.name].err; {
		case err == nil:
		case errors.Is(err, kafka.UnknownTopicOrPartition):
			wrong = append(wrong, fmt.Errorf("the %s %s does not exist", t.kind, t.name))
		case errors.Is(err, kafka.LeaderNotAvailable):
			wrong = append(wrong, fmt.Errorf("the %s %s has a partition without a leader", t.kind, t.name))
		default:
			wrong = append(wrong, fmt.Errorf("the %s %s cannot be used: %s", t.kind, t.name, because(err)))
		}
	}
	if len(wrong) == 2 {
		return fmt.Errorf("%w, and %w", wrong[0], wrong[1])
	}
	return errors.Join(wrong...)
}

// compareSizes warns when the dead-letter topic takes smaller records than the source topic, because then some dead
// letters will have to leave their value behind. It is advice: who may not see the configuration gets none.
func (c *Cluster) compareSizes(ctx context.Context) {
	const name = "max.message.bytes"
	ask := func(topic string) kafka.DescribeConfigRequestResource {
		return kafka.DescribeConfigRequestResource{ResourceType: kafka.ResourceTypeTopic, ResourceName: topic, ConfigNames: []string{name}}
	}
	res, err := c.client.DescribeConfigs(ctx, &kafka.DescribeConfigsRequest{
		Resources: []kafka.DescribeConfigRequestResource{ask(c.cfg.Topic), ask(c.cfg.DeadLetterTopic)},
	})
	if err != nil {
		c.log.Debug("sizes of the topics not compared", slog.String("reason", because(err)))
		return
	}
	size := map[string]int{}
	for _, r := range res.Resources {
		for _, e := range r.ConfigEntries {
			if n, err := strconv.Atoi(e.ConfigValue); err == nil && e.ConfigName == name {
				size[r.ResourceName] = n
			}
		}
	}
	events, letters := size[c.cfg.Topic], size[c.cfg.DeadLetterTopic]
	if events > 0 && letters > 0 && letters < events+headerRoom {
		c.log.Warn("the dead-letter topic takes smaller records than an event with its headers may need; larger ones will go without their value",
			slog.String("topic", c.cfg.DeadLetterTopic), slog.Int("max_message_bytes", letters), slog.Int("wanted", events+headerRoom))
	}
}

// because says in one sentence what an error of Kafka or of the network means. It leaves out what changes from attempt
// to attempt, like local ports, so that equal reasons read equal.
func because(err error) string {
	if errors.Is(err, kafka.SASLAuthenticationFailed) {
		return "Kafka refuses the user name or the password"
	}
	if e, ok := errors.AsType[x509.UnknownAuthorityError](err); ok {
		return "the broker's certificate is not trusted: " + e.Error()
	}
	if e, ok := errors.AsType[x509.HostnameError](err); ok {
		return "the broker's certificate is for another host: " + e.Error()
	}
	if e, ok := errors.AsType[x509.CertificateInvalidError](err); ok {
		return "the broker's certificate is not valid: " + e.Error()
	}
	if _, ok := errors.AsType[tls.RecordHeaderError](err); ok {
		return "the broker does not speak TLS on this port"
	}
	if e, ok := errors.AsType[*net.DNSError](err); ok {
		return "no address for broker " + e.Name
	}
	if errors.Is(err, context.DeadlineExceeded) || errors.Is(err, os.ErrDeadlineExceeded) {
		return "no answer in time"
	}
	if e, ok := errors.AsType[*net.OpError](err); ok && e.Op == "dial" {
		return fmt.Sprintf("broker %v cannot be reached: %v", e.Addr, e.Err)
	} else if ok {
		return fmt.Sprintf("the connection to broker %v broke: %v", e.Addr, e.Err)
	}
	if errors.Is(err, io.EOF) || errors.Is(err, io.ErrUnexpectedEOF) {
		return "the broker closed the connection: perhaps this port wants TLS or SASL, or wants it not, or the password is wrong"
	}
	if e, ok := errors.AsType[kafka.Error](err); ok && e.Title() != "" {
		return fmt.Sprintf("Kafka says: %s (code %d)", e.Title(), int(e))
	}
	return err.Error()
}
