package kafka

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/segmentio/kafka-go"
	"github.com/twmb/franz-go/pkg/kerr"
	"github.com/twmb/franz-go/pkg/kgo"
	"github.com/twmb/franz-go/pkg/kmsg"

	"consent-worker/worker"
)

// fetchLimits bounds one fetch. A record batch larger than maxBytes still comes, alone (KIP-74).
type fetchLimits struct {
	maxBytes int32
	maxWait  time.Duration
}

var defaultFetchLimits = fetchLimits{maxBytes: 1 << 20, maxWait: 500 * time.Millisecond}

// fetchGrace is how long a broker may be late with the answer to a fetch.
const fetchGrace = 10 * time.Second

var decompressor = kgo.DefaultDecompressor()

// Fetch implements worker.Generation. Errors that pass are returned as they are: the caller asks again a little later.
func (g *generation) Fetch(ctx context.Context, partition int32, offset int64) (worker.Fetched, error) {
	got, err := g.c.read(ctx, partition, offset)
	if err == nil || ctx.Err() != nil {
		return got, err
	}
	switch {
	case errors.Is(err, kafka.OffsetOutOfRange):
		err = g.c.outOfRange(ctx, partition, offset)
	case errors.Is(err, kafka.UnknownTopicOrPartition):
		// Often only the Transport's or the broker's view is old, or there is no view at all: look for ourselves.
		if look := g.c.deleted(ctx); look != nil {
			err = look
		}
	}
	return worker.Fetched{Next: offset, End: -1}, fmt.Errorf("fetch of partition %d: %w", partition, err)
}

// read asks the partition's leader once.
func (c *Cluster) read(ctx context.Context, partition int32, offset int64) (worker.Fetched, error) {
	ctx, cancel := context.WithTimeout(ctx, c.fetch.maxWait+fetchGrace)
	defer cancel()
	res, err := exchange[*kmsg.FetchResponse](ctx, c, c.fetchRequest(partition, offset), leader(c.cfg.Topic, partition))
	switch {
	case err != nil:
		return worker.Fetched{}, err
	case res.ErrorCode != 0:
		return worker.Fetched{}, kafka.Error(res.ErrorCode)
	case len(res.Topics) != 1 || len(res.Topics[0].Partitions) != 1:
		return worker.Fetched{}, errors.New("the answer is about another partition")
	}
	return decode(&res.Topics[0].Partitions[0], partition, offset)
}

func (c *Cluster) fetchRequest(partition int32, offset int64) *kmsg.FetchRequest {
	p := kmsg.NewFetchRequestTopicPartition()
	p.Partition, p.FetchOffset, p.PartitionMaxBytes = partition, offset, c.fetch.maxBytes
	t := kmsg.NewFetchRequestTopic()
	t.Topic, t.Partitions = c.cfg.Topic, []kmsg.FetchRequestTopicPartition{p}
	req := kmsg.NewPtrFetchRequest()
	req.MaxWaitMillis, req.MinBytes, req.MaxBytes = int32(c.fetch.maxWait.Milliseconds()), 1, c.fetch.maxBytes
	req.IsolationLevel = 1 // committed records only
	req.SessionEpoch = -1  // no fetch session
	req.Topics = []kmsg.FetchRequestTopic{t}
	return req
}

// decode turns what a leader sent for one partition into records. What is readable before a fault is returned without
// an error; the next fetch begins at the fault and returns it. The records share the answer's memory.
func decode(res *kmsg.FetchResponseTopicPartition, partition int32, offset int64) (worker.Fetched, error) {
	opts := kgo.ProcessFetchPartitionOpts{Offset: offset, IsolationLevel: kgo.ReadCommitted(), Partition: partition}
	got, next := kgo.ProcessFetchPartition(opts, res, decompressor, nil)
	if e, ok := errors.AsType[*kerr.Error](got.Err); ok {
		return worker.Fetched{}, kafka.Error(e.Code)
	}
	if n := len(got.Records); n > 0 && got.Err != nil {
		next = got.Records[n-1].Offset + 1 // not past the fault, whatever the decoder skipped
	} else if got.Err != nil {
		return worker.Fetched{}, got.Err
	}
	if next <= offset && len(res.RecordBatches) > 0 {
		// Neither a record nor a step on: asking again at once would turn in circles.
		return worker.Fetched{}, fmt.Errorf("nothing can be read of the %d bytes at offset %d", len(res.RecordBatches), offset)
	}
	return worker.Fetched{Records: records(got.Records, partition), Next: max(offset, next), End: res.LastStableOffset}, nil
}

// records copies the decoder's records into the worker's with two allocations at most.
func records(in []*kgo.Record, partition int32) []worker.Record {
	if len(in) == 0 {
		return nil
	}
	n := 0
	for _, r := range in {
		n += len(r.Headers)
	}
	headers := make([]worker.Header, 0, n)
	out := make([]worker.Record, len(in))
	for i, r := range in {
		from := len(headers)
		for _, h := range r.Headers {
			headers = append(headers, worker.Header{Key: h.Key, Value: h.Value})
		}
		out[i] = worker.Record{Partition: partition, Offset: r.Offset, Time: r.Timestamp, Key: r.Key, Value: r.Value}
		if len(r.Headers) > 0 {
			out[i].Headers = headers[from:len(headers):len(headers)]
		}
	}
	return out
}

// outOfRange finds out what the log holds: brokers leave that open when they refuse an offset.
func (c *Cluster) outOfRange(ctx context.Context, partition int32, offset int64) error {
	topics, err := c.look(ctx, c.cfg.Topic)
	if err != nil {
		return err
	}
	if err := topics[c.cfg.Topic].err; err != nil {
		return err
	}
	start, err := c.offsets(ctx, topics[c.cfg.Topic].leaders, []int32{partition}, atFirst)
	if err != nil {
		return err
	}
	end, err := c.offsets(ctx, topics[c.cfg.Topic].leaders, []int32{partition}, atEnd)
	if err != nil {
		return err
	}
	if start[partition] <= offset && offset <= end[partition] {
		return kafka.OffsetOutOfRange // it was, but is no more: a new leader catching up
	}
	return &worker.OutOfRangeError{Partition: partition, Offset: offset, Start: start[partition], End: end[partition]}
}
