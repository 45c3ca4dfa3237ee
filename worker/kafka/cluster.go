package kafka

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"time"

	"github.com/segmentio/kafka-go"
	"github.com/twmb/franz-go/pkg/kmsg"

	"consent-worker/worker"
)

// Cluster is the Kafka of one worker: the source topic, the group and the dead-letter topic.
type Cluster struct {
	cfg       Config
	log       *slog.Logger
	addr      net.Addr
	conns     *connections // of transport; the group has its own
	transport *kafka.Transport
	client    *kafka.Client
	letters   *kafka.Writer // ordinary dead letters, in batches
	alone     *kafka.Writer // large ones, each in a batch of its own
	fetch     fetchLimits
}

var _ worker.DeadLetters = (*Cluster)(nil)

// Open checks the configuration, and returns everything that is wrong with it at once. It does not connect.
func Open(cfg Config) (*Cluster, error) {
	if err := cfg.complete(); err != nil {
		return nil, err
	}
	c := &Cluster{cfg: cfg, log: cfg.Logger, addr: kafka.TCP(cfg.Brokers...), conns: newConnections(cfg.Dial), fetch: defaultFetchLimits}
	c.transport = &kafka.Transport{
		Dial: c.conns.dial, DialTimeout: cfg.timeout(), ClientID: cfg.ClientID, TLS: cfg.TLS, SASL: cfg.SASL,
		// Leaders that moved are found by the next refresh only, so it comes often and asks for two topics only.
		MetadataTTL: time.Second, MetadataTopics: []string{cfg.Topic, cfg.DeadLetterTopic},
	}
	c.client = &kafka.Client{Addr: c.addr, Transport: c.transport, Timeout: cfg.timeout()}
	c.letters = c.writer(500, 5*time.Millisecond, maxTogether)
	c.alone = c.writer(1, time.Millisecond, 1<<30)
	return c, nil
}

// Close ends the connections. Nothing may be under way any more but calls whose context has ended; it returns within
// seconds even when the brokers do not answer.
func (c *Cluster) Close() error {
	late := time.AfterFunc(c.cfg.timeout(), c.conns.cut)
	defer late.Stop()
	err := errors.Join(c.letters.Close(), c.alone.Close()) // each waits for the batches it still has
	c.transport.CloseIdleConnections()
	c.conns.cut()
	return err
}

// topic is what the brokers know of a topic now.
type topic struct {
	leaders []int32 // of each partition, by its number
	err     error   // why it cannot be used: a kafka.Error
}

// look asks a broker for topics as they are. (Client.Metadata answers from the Transport's memory.)
func (c *Cluster) look(ctx context.Context, names ...string) (map[string]topic, error) {
	ctx, cancel := context.WithTimeout(ctx, c.cfg.timeout())
	defer cancel()
	req := kmsg.NewPtrMetadataRequest()
	req.AllowAutoTopicCreation = false
	for _, name := range names {
		t := kmsg.NewMetadataRequestTopic()
		t.Topic = new(name)
		req.Topics = append(req.Topics, t)
	}
	res, err := exchange[*kmsg.MetadataResponse](ctx, c, req, anyBroker)
	if err != nil {
		return nil, err
	}
	topics := map[string]topic{}
	for _, t := range res.Topics {
		if t.Topic != nil {
			topics[*t.Topic] = describe(t)
		}
	}
	for _, name := range names {
		if _, ok := topics[name]; !ok {
			return nil, fmt.Errorf("the broker does not say anything about topic %s", name)
		}
	}
	return topics, nil
}

func describe(t kmsg.MetadataResponseTopic) topic {
	if t.ErrorCode != 0 {
		return topic{err: kafka.Error(t.ErrorCode)}
	}
	leaders := make([]int32, len(t.Partitions))
	for _, p := range t.Partitions {
		if int(p.Partition) >= len(leaders) || p.Leader < 0 {
			return topic{err: kafka.LeaderNotAvailable}
		}
		leaders[p.Partition] = p.Leader
	}
	if len(leaders) == 0 {
		return topic{err: kafka.LeaderNotAvailable}
	}
	return topic{leaders: leaders}
}

// deleted returns nil unless the source topic does not exist, and is sure of that: a broker that has just started may
// not know its topics yet. An error that is not worker.ErrTopicGone says why nobody could tell.
func (c *Cluster) deleted(ctx context.Context) error {
	for ask := range 3 {
		if ask > 0 && !pause(ctx, time.Second) {
			return context.Cause(ctx)
		}
		topics, err := c.look(ctx, c.cfg.Topic)
		if err != nil {
			return err
		}
		if !errors.Is(topics[c.cfg.Topic].err, kafka.UnknownTopicOrPartition) {
			return nil
		}
	}
	return fmt.Errorf("topic %s: %w", c.cfg.Topic, worker.ErrTopicGone)
}

// offsets lists an offset of each of the partitions: of the first record not older than the time, or what atFirst and
// atEnd stand for. The end is the last stable offset: further no consumer of committed records can read. It is -1
// where no record is that young.
func (c *Cluster) offsets(ctx context.Context, leaders []int32, partitions []int32, at int64) (map[int32]int64, error) {
	ctx, cancel := context.WithTimeout(ctx, c.cfg.timeout())
	defer cancel()
	byLeader := map[int32][]int32{}
	for _, p := range partitions {
		if int(p) >= len(leaders) {
			return nil, fmt.Errorf("partition %d: %w", p, kafka.UnknownTopicOrPartition)
		}
		byLeader[leaders[p]] = append(byLeader[leaders[p]], p)
	}
	found := make(map[int32]int64, len(partitions))
	for leader, ps := range byLeader {
		req := kmsg.NewPtrListOffsetsRequest()
		req.ReplicaID, req.IsolationLevel = -1, 1
		t := kmsg.NewListOffsetsRequestTopic()
		t.Topic = c.cfg.Topic
		for _, p := range ps {
			ask := kmsg.NewListOffsetsRequestTopicPartition()
			ask.Partition, ask.Timestamp = p, at
			t.Partitions = append(t.Partitions, ask)
		}
		req.Topics = append(req.Topics, t)
		res, err := exchange[*kmsg.ListOffsetsResponse](ctx, c, req, broker(leader))
		if err != nil {
			return nil, err
		}
		for _, t := range res.Topics {
			for _, p := range t.Partitions {
				if p.ErrorCode != 0 {
					return nil, fmt.Errorf("offsets of partition %d: %w", p.Partition, kafka.Error(p.ErrorCode))
				}
				found[p.Partition] = p.Offset
			}
		}
	}
	if len(found) != len(partitions) {
		return nil, fmt.Errorf("offsets of %d partitions asked, of %d told", len(partitions), len(found))
	}
	return found, nil
}

// pause waits and reports whether the context is still alive.
func pause(ctx context.Context, d time.Duration) bool {
	t := time.NewTimer(d)
	defer t.Stop()
	select {
	case <-ctx.Done():
		return false
	case <-t.C:
		return true
	}
}

// said passes on a text only when it is another than the last one.
type said struct{ last string }

func (s *said) changed(text string) bool {
	if text == s.last {
		return false
	}
	s.last = text
	return true
}
