package kafkatest

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"maps"
	"slices"

	"github.com/twmb/franz-go/pkg/kerr"
	"github.com/twmb/franz-go/pkg/kgo"
	"github.com/twmb/franz-go/pkg/kmsg"
)

// Keyed is the partition of a record that its key shall choose, as Kafka's own producers do.
const Keyed = -1

// Record makes a record for Produce whose key chooses the partition.
func Record(topic, key, value string) *kgo.Record {
	return &kgo.Record{Topic: topic, Partition: Keyed, Key: []byte(key), Value: []byte(value)}
}

// Produce appends records and returns when all in-sync replicas have them. A record goes to the partition it names,
// or where its key leads when that is Keyed.
func (b *Broker) Produce(ctx context.Context, records ...*kgo.Record) error {
	return b.client.ProduceSync(ctx, records...).FirstErr()
}

// Transact appends records in one transaction of the producer id and commits it, or aborts it.
func (b *Broker) Transact(ctx context.Context, id string, commit bool, records ...*kgo.Record) error {
	client, err := b.Client(kgo.RecordPartitioner(partitioner{}), kgo.TransactionalID(id))
	if err != nil {
		return err
	}
	defer client.Close()
	if err := client.BeginTransaction(); err != nil {
		return err
	}
	if err := client.ProduceSync(ctx, records...).FirstErr(); err != nil {
		return err
	}
	return client.EndTransaction(ctx, kgo.TransactionEndTry(commit))
}

// partitioner leaves the choice to records that name a partition.
type partitioner struct{}

func (partitioner) ForTopic(topic string) kgo.TopicPartitioner {
	return chooser{kgo.StickyKeyPartitioner(nil).ForTopic(topic)}
}

type chooser struct{ byKey kgo.TopicPartitioner }

func (chooser) RequiresConsistency(*kgo.Record) bool { return true }

func (c chooser) Partition(r *kgo.Record, n int) int {
	if r.Partition == Keyed {
		return c.byKey.Partition(r, n)
	}
	return int(r.Partition)
}

// Records reads what a consumer of committed records finds in the topic now, by partition and offset.
func (b *Broker) Records(ctx context.Context, topic string) ([]*kgo.Record, error) {
	leaders, err := b.leaders(ctx, topic)
	if err != nil {
		return nil, err
	}
	var all []*kgo.Record
	for _, p := range slices.Sorted(maps.Keys(leaders)) {
		ends, err := b.offsets(ctx, topic, -1)
		if err != nil {
			return nil, err
		}
		starts, err := b.offsets(ctx, topic, -2)
		if err != nil {
			return nil, err
		}
		for at := starts[p]; at < ends[p]; {
			records, next, err := b.fetch(ctx, leaders[p], topic, p, at)
			if err != nil {
				return nil, err
			}
			all, at = append(all, records...), next
		}
	}
	return all, nil
}

func (b *Broker) fetch(ctx context.Context, leader int32, topic string, partition int32, offset int64) ([]*kgo.Record, int64, error) {
	p := kmsg.NewFetchRequestTopicPartition()
	p.Partition, p.FetchOffset, p.PartitionMaxBytes = partition, offset, 8<<20
	t := kmsg.NewFetchRequestTopic()
	t.Topic, t.Partitions = topic, append(t.Partitions, p)
	req := kmsg.NewPtrFetchRequest()
	req.MaxWaitMillis, req.MinBytes, req.MaxBytes, req.IsolationLevel, req.SessionEpoch = 500, 1, 8<<20, 1, -1
	req.Topics = append(req.Topics, t)
	answer, err := b.client.Broker(int(leader)).RetriableRequest(ctx, &fetchByName{req})
	if err != nil {
		return nil, 0, err
	}
	res, ok := answer.(*kmsg.FetchResponse)
	if !ok || len(res.Topics) != 1 || len(res.Topics[0].Partitions) != 1 {
		return nil, 0, fmt.Errorf("fetch of %s/%d: an answer about something else", topic, partition)
	}
	opts := kgo.ProcessFetchPartitionOpts{Offset: offset, IsolationLevel: kgo.ReadCommitted(), Topic: topic, Partition: partition}
	got, next := kgo.ProcessFetchPartition(opts, &res.Topics[0].Partitions[0], kgo.DefaultDecompressor(), nil)
	return got.Records, next, got.Err
}

// fetchByName keeps to the versions of Fetch that name topics, not their ids.
type fetchByName struct{ *kmsg.FetchRequest }

func (*fetchByName) MaxVersion() int16 { return 11 }

// offsets lists one offset of each of the topic's partitions: -2 asks for the first, -1 for the last stable one.
func (b *Broker) offsets(ctx context.Context, topic string, at int64) (map[int32]int64, error) {
	leaders, err := b.leaders(ctx, topic)
	if err != nil {
		return nil, err
	}
	offsets := map[int32]int64{}
	req := kmsg.NewPtrListOffsetsRequest()
	req.ReplicaID, req.IsolationLevel = -1, 1
	t := kmsg.NewListOffsetsRequestTopic()
	t.Topic = topic
	for p := range leaders {
		ask := kmsg.NewListOffsetsRequestTopicPartition()
		ask.Partition, ask.Timestamp = p, at
		t.Partitions = append(t.Partitions, ask)
	}
	req.Topics = append(req.Topics, t)
	for _, shard := range b.client.RequestSharded(ctx, req) {
		if shard.Err != nil {
			return nil, shard.Err
		}
		for _, t := range shard.Resp.(*kmsg.ListOffsetsResponse).Topics {
			for _, p := range t.Partitions {
				if err := kerr.ErrorForCode(p.ErrorCode); err != nil {
					return nil, fmt.Errorf("offsets of %s/%d: %w", topic, p.Partition, err)
				}
				offsets[p.Partition] = p.Offset
			}
		}
	}
	return offsets, nil
}

// Ends lists the ends of the topic's partitions: the offset after the last committed record or marker.
func (b *Broker) Ends(ctx context.Context, topic string) (map[int32]int64, error) {
	return b.offsets(ctx, topic, -1)
}

// Committed is what a group has stored for one partition.
type Committed struct {
	Offset   int64
	Metadata string
}

// Committed lists the group's commits on the topic; partitions without one are left out.
func (b *Broker) Committed(ctx context.Context, group, topic string) (map[int32]Committed, error) {
	leaders, err := b.leaders(ctx, topic)
	if err != nil {
		return nil, err
	}
	t := kmsg.NewOffsetFetchRequestTopic()
	t.Topic, t.Partitions = topic, slices.SortedFunc(maps.Keys(leaders), cmp.Compare[int32])
	req := kmsg.NewOffsetFetchRequest()
	req.Group, req.Topics = group, append(req.Topics, t)
	res, err := req.RequestWith(ctx, b.client)
	if err != nil {
		return nil, err
	}
	if err := kerr.ErrorForCode(res.ErrorCode); errors.Is(err, kerr.GroupIDNotFound) {
		return nil, nil
	} else if err != nil {
		return nil, err
	}
	commits := map[int32]Committed{}
	for _, t := range res.Topics {
		for _, p := range t.Partitions {
			if err := kerr.ErrorForCode(p.ErrorCode); err != nil {
				return nil, err
			}
			if p.Offset >= 0 {
				c := Committed{Offset: p.Offset}
				if p.Metadata != nil {
					c.Metadata = *p.Metadata
				}
				commits[p.Partition] = c
			}
		}
	}
	return commits, nil
}

// Commit stores offsets for a group that has no members, as an operator's tools do.
func (b *Broker) Commit(ctx context.Context, group, topic string, commits map[int32]Committed) error {
	t := kmsg.NewOffsetCommitRequestTopic()
	t.Topic = topic
	for id, c := range commits {
		p := kmsg.NewOffsetCommitRequestTopicPartition()
		p.Partition, p.Offset, p.Metadata = id, c.Offset, new(c.Metadata)
		t.Partitions = append(t.Partitions, p)
	}
	req := kmsg.NewOffsetCommitRequest()
	req.Group, req.Generation, req.Topics = group, -1, append(req.Topics, t)
	res, err := req.RequestWith(ctx, b.client)
	if err != nil {
		return err
	}
	for _, t := range res.Topics {
		for _, p := range t.Partitions {
			if err := kerr.ErrorForCode(p.ErrorCode); err != nil {
				return fmt.Errorf("commit of %s/%d: %w", topic, p.Partition, err)
			}
		}
	}
	return nil
}
