package kafkatest

import (
	"context"
	"errors"
	"fmt"
	"net"
	"time"

	"github.com/twmb/franz-go/pkg/kerr"
	"github.com/twmb/franz-go/pkg/kfake"
	"github.com/twmb/franz-go/pkg/kgo"
	"github.com/twmb/franz-go/pkg/kmsg"
	"github.com/twmb/franz-go/pkg/kversion"
)

// Broker is one Kafka cluster, embedded or real, and a client for it. Its methods may be called from any goroutine.
type Broker struct {
	// Fake is the embedded cluster, for faults and for looking inside; nil when the cluster is a real one.
	Fake *kfake.Cluster
	// Dial opens connections to the cluster; nil means plain TCP.
	Dial func(ctx context.Context, network, address string) (net.Conn, error)

	addrs  []string
	client *kgo.Client
}

// Embedded starts a cluster inside this process, listening on loopback unless the options say otherwise.
func Embedded(opts ...kfake.Opt) (*Broker, error) {
	fake, err := kfake.NewCluster(opts...)
	if err != nil {
		return nil, err
	}
	b, err := connect(fake.ListenAddrs(), nil)
	if err != nil {
		fake.Close()
		return nil, err
	}
	b.Fake = fake
	return b, nil
}

// Connect uses the cluster that listens on addrs.
func Connect(addrs ...string) (*Broker, error) { return connect(addrs, nil) }

func connect(addrs []string, dial func(context.Context, string, string) (net.Conn, error)) (*Broker, error) {
	b := &Broker{Dial: dial, addrs: addrs}
	var err error
	// Later versions of some requests name topics by their ids only.
	b.client, err = b.Client(kgo.RecordPartitioner(partitioner{}), kgo.ProducerLinger(0), kgo.MaxVersions(kversion.V3_7_0()))
	return b, err
}

// Close ends the client, and the cluster if it is an embedded one.
func (b *Broker) Close() {
	b.client.Close()
	if b.Fake != nil {
		b.Fake.Close()
	}
}

// Addrs lists the addresses to bootstrap from.
func (b *Broker) Addrs() []string { return b.addrs }

// Client returns a new franz-go client of the cluster; the caller closes it.
func (b *Broker) Client(opts ...kgo.Opt) (*kgo.Client, error) {
	base := []kgo.Opt{kgo.SeedBrokers(b.addrs...), kgo.MetadataMinAge(50 * time.Millisecond), kgo.WithContext(context.Background())}
	if b.Dial != nil {
		base = append(base, kgo.Dialer(b.Dial))
	}
	return kgo.NewClient(append(base, opts...)...)
}

// CreateTopic makes a topic and returns when every partition has a leader. Its configuration may be nil.
func (b *Broker) CreateTopic(ctx context.Context, topic string, partitions int, config map[string]string) error {
	t := kmsg.NewCreateTopicsRequestTopic()
	t.Topic, t.NumPartitions, t.ReplicationFactor = topic, int32(partitions), 1
	for name, value := range config {
		c := kmsg.NewCreateTopicsRequestTopicConfig()
		c.Name, c.Value = name, new(value)
		t.Configs = append(t.Configs, c)
	}
	req := kmsg.NewCreateTopicsRequest()
	req.Topics, req.TimeoutMillis = append(req.Topics, t), 15_000
	res, err := req.RequestWith(ctx, b.client)
	if err != nil {
		return err
	}
	for _, t := range res.Topics {
		if err := kerr.ErrorForCode(t.ErrorCode); err != nil {
			return fmt.Errorf("create topic %s: %w", topic, err)
		}
	}
	return until(ctx, func() (bool, error) {
		leaders, err := b.leaders(ctx, topic)
		return len(leaders) == partitions, passing(err)
	})
}

// DeleteTopic deletes a topic and returns when the cluster does not know it any more.
func (b *Broker) DeleteTopic(ctx context.Context, topic string) error {
	req := kmsg.NewDeleteTopicsRequest()
	t := kmsg.NewDeleteTopicsRequestTopic()
	t.Topic = new(topic)
	req.Topics, req.TopicNames, req.TimeoutMillis = append(req.Topics, t), []string{topic}, 15_000
	res, err := req.RequestWith(ctx, b.client)
	if err != nil {
		return err
	}
	for _, t := range res.Topics {
		if err := kerr.ErrorForCode(t.ErrorCode); err != nil {
			return fmt.Errorf("delete topic %s: %w", topic, err)
		}
	}
	return until(ctx, func() (bool, error) {
		_, err := b.leaders(ctx, topic)
		return errors.Is(err, kerr.UnknownTopicOrPartition), passing(err)
	})
}

// AddPartitions raises the topic's number of partitions to total.
func (b *Broker) AddPartitions(ctx context.Context, topic string, total int) error {
	t := kmsg.NewCreatePartitionsRequestTopic()
	t.Topic, t.Count = topic, int32(total)
	req := kmsg.NewCreatePartitionsRequest()
	req.Topics, req.TimeoutMillis = append(req.Topics, t), 15_000
	res, err := req.RequestWith(ctx, b.client)
	if err != nil {
		return err
	}
	for _, t := range res.Topics {
		if err := kerr.ErrorForCode(t.ErrorCode); err != nil {
			return fmt.Errorf("add partitions to %s: %w", topic, err)
		}
	}
	return until(ctx, func() (bool, error) {
		leaders, err := b.leaders(ctx, topic)
		return len(leaders) == total, passing(err)
	})
}

// DeleteRecords moves the start of a partition's log to offset, as retention does.
func (b *Broker) DeleteRecords(ctx context.Context, topic string, partition int32, offset int64) error {
	p := kmsg.NewDeleteRecordsRequestTopicPartition()
	p.Partition, p.Offset = partition, offset
	t := kmsg.NewDeleteRecordsRequestTopic()
	t.Topic, t.Partitions = topic, append(t.Partitions, p)
	req := kmsg.NewDeleteRecordsRequest()
	req.Topics, req.TimeoutMillis = append(req.Topics, t), 15_000
	res, err := req.RequestWith(ctx, b.client)
	if err != nil {
		return err
	}
	for _, t := range res.Topics {
		for _, p := range t.Partitions {
			if err := kerr.ErrorForCode(p.ErrorCode); err != nil {
				return fmt.Errorf("delete records of %s/%d: %w", topic, partition, err)
			}
		}
	}
	return nil
}

// leaders tells who leads each of the topic's partitions; partitions without a leader are left out.
func (b *Broker) leaders(ctx context.Context, topic string) (map[int32]int32, error) {
	t := kmsg.NewMetadataRequestTopic()
	t.Topic = new(topic)
	req := kmsg.NewMetadataRequest()
	req.Topics = append(req.Topics, t)
	res, err := req.RequestWith(ctx, b.client)
	if err != nil {
		return nil, err
	}
	leaders := map[int32]int32{}
	for _, t := range res.Topics {
		if err := kerr.ErrorForCode(t.ErrorCode); err != nil {
			return nil, err
		}
		for _, p := range t.Partitions {
			if p.ErrorCode == 0 && p.Leader >= 0 {
				leaders[p.Partition] = p.Leader
			}
		}
	}
	return leaders, nil
}

// passing keeps only errors that waiting does not mend.
func passing(err error) error {
	if e, ok := errors.AsType[*kerr.Error](err); ok && e.Retriable {
		return nil
	}
	return err
}

// until asks again and again until done says so or ctx ends.
func until(ctx context.Context, done func() (bool, error)) error {
	for {
		if ok, err := done(); ok || err != nil {
			return err
		}
		select {
		case <-ctx.Done():
			return context.Cause(ctx)
		case <-time.After(20 * time.Millisecond):
		}
	}
}
