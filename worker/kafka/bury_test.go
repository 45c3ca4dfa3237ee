package kafka

import (
	"bytes"
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"reflect"
	"slices"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/twmb/franz-go/pkg/kerr"
	"github.com/twmb/franz-go/pkg/kfake"
	"github.com/twmb/franz-go/pkg/kgo"
	"github.com/twmb/franz-go/pkg/kmsg"

	"consent-worker/worker"
	"consent-worker/worker/kafka/kafkatest"
)

var (
	eventAt = time.UnixMilli(time.Now().UnixMilli() - 60_000) // young enough for any topic's limits
	deadAt  = time.Date(2026, 11, 22, 20, 0, 1, 500, time.FixedZone("", 3600))
)

func dead(r worker.Record) worker.DeadLetter {
	if r.Time.IsZero() {
		r.Time = eventAt
	}
	return worker.DeadLetter{Record: r, Reason: worker.ReasonRejected, Cause: "subscription unknown", Attempts: 2, At: deadAt}
}

// ours are the headers that dead gives to the topic's record.
func ours(topic string, partition int32, offset int64, redrives int) []kgo.RecordHeader {
	return []kgo.RecordHeader{
		{Key: "dead-letter-reason", Value: []byte("rejected")},
		{Key: "dead-letter-cause", Value: []byte("subscription unknown")},
		{Key: "dead-letter-topic", Value: []byte(topic)},
		{Key: "dead-letter-partition", Value: fmt.Append(nil, partition)},
		{Key: "dead-letter-offset", Value: fmt.Append(nil, offset)},
		{Key: "dead-letter-attempts", Value: []byte("2")},
		{Key: "dead-letter-at", Value: []byte("2026-11-22T19:00:01.0000005Z")},
		{Key: "dead-letter-redrives", Value: fmt.Append(nil, redrives)},
	}
}

func TestIntegrationBuryKeepsTheEventByteForByte(t *testing.T) {
	k := kafkatest.Start(t)
	c := setup(t, k, 1)
	user := []worker.Header{{Key: "a", Value: []byte{0xff}}, {Key: "a", Value: nil}, {Key: "", Value: []byte{}}, {Key: "dead-letter-note", Value: []byte("the user's")}}
	earlier := []worker.Header{{Key: "dead-letter-reason", Value: []byte("invalid_event")}, {Key: "dead-letter-redrives", Value: []byte("3")}, {Key: "dead-letter-truncated", Value: []byte("value")}}
	records := []worker.Record{
		{Offset: 0, Key: []byte("k"), Value: []byte("v")},
		{Offset: 1, Key: nil, Value: []byte("nil key")},
		{Offset: 2, Key: []byte{}, Value: []byte("empty key")},
		{Offset: 3, Key: []byte("nil value"), Value: nil},
		{Offset: 4, Key: []byte("empty value"), Value: []byte{}},
		{Offset: 5, Partition: 2, Key: []byte{0, 0xff}, Value: []byte("\xff\x00"), Headers: slices.Concat(user[:2], earlier, user[2:])},
		{Offset: 6, Key: []byte("k"), Value: []byte("v"), Headers: []worker.Header{{Key: "dead-letter-redrives", Value: []byte("many")}}},
	}
	var letters []worker.DeadLetter
	want := map[string]*kgo.Record{}
	for _, r := range records {
		letters = append(letters, dead(r))
		w := &kgo.Record{Key: r.Key, Value: r.Value, Headers: ours(c.cfg.Topic, r.Partition, r.Offset, 0)}
		if r.Offset == 5 {
			w.Headers = nil
			for _, h := range user {
				w.Headers = append(w.Headers, kgo.RecordHeader{Key: h.Key, Value: h.Value})
			}
			w.Headers = append(w.Headers, ours(c.cfg.Topic, 2, 5, 3)...)
		}
		want[fmt.Sprint(r.Offset)] = w
	}
	letters[0].Category, letters[0].CorrelationID = "VALIDATION_ERROR", "c-1"
	first := want["0"].Headers
	want["0"].Headers = slices.Concat(first[:6], []kgo.RecordHeader{
		{Key: "dead-letter-category", Value: []byte("VALIDATION_ERROR")}, {Key: "dead-letter-correlation-id", Value: []byte("c-1")},
	}, first[6:])

	if err := c.Bury(t.Context(), letters); err != nil {
		t.Fatal(err)
	}
	got := k.Read(c.cfg.DeadLetterTopic)
	if len(got) != len(letters) {
		t.Fatalf("%d dead letters, want %d", len(got), len(letters))
	}
	byKey := kgo.StickyKeyPartitioner(nil).ForTopic("")
	for _, r := range got {
		w := want[header(r, "dead-letter-offset")]
		if !reflect.DeepEqual([][]byte{r.Key, r.Value}, [][]byte{w.Key, w.Value}) || !r.Timestamp.Equal(eventAt) {
			t.Errorf("dead letter %q = %q at %v, want %q = %q at %v", r.Key, r.Value, r.Timestamp, w.Key, w.Value, eventAt)
		}
		if diff := cmp.Diff(w.Headers, r.Headers); diff != "" {
			t.Errorf("headers of %q (-want +got):\n%s", r.Key, diff)
		}
		if r.Key != nil && int(r.Partition) != byKey.Partition(r, 2) {
			t.Errorf("dead letter %q is on partition %d, not where its key leads", r.Key, r.Partition)
		}
	}
}

func header(r *kgo.Record, key string) string {
	for _, h := range r.Headers {
		if h.Key == key {
			return string(h.Value)
		}
	}
	return ""
}

func TestIntegrationBuryShortensOnlyWhatIsTooLarge(t *testing.T) {
	k := kafkatest.Start(t)
	topic := k.Topic("small-letters", 1, map[string]string{"max.message.bytes": "10000"})
	c := open(t, config(k, k.Topic("events", 1), topic))
	noise := func(n int) []byte {
		b := make([]byte, n)
		_, _ = rand.Read(b)
		return b
	}
	heavy := []worker.Header{{Key: "heavy", Value: noise(20_000)}}
	light := []worker.Header{{Key: "light", Value: []byte("x")}}
	var letters []worker.DeadLetter
	for i := range 40 { // together they are too large for one batch
		letters = append(letters, dead(worker.Record{Offset: int64(i), Key: fmt.Append(nil, "small ", i), Value: noise(1000)}))
	}
	letters = append(letters,
		dead(worker.Record{Offset: 40, Key: []byte("value"), Value: noise(20_000), Headers: light}),
		dead(worker.Record{Offset: 41, Key: []byte("giant"), Value: noise(2 << 20), Headers: light}),
		dead(worker.Record{Offset: 42, Key: []byte("headers"), Value: noise(10), Headers: heavy}),
		dead(worker.Record{Offset: 43, Key: []byte("tombstone"), Headers: heavy}),
	)
	if err := c.Bury(t.Context(), letters); err != nil {
		t.Fatal(err)
	}
	truncated := map[string]string{"40": "value", "41": "value", "42": "value,headers", "43": "value,headers"}
	got := k.Read(topic)
	if len(got) != len(letters) {
		t.Errorf("%d dead letters, want %d", len(got), len(letters))
	}
	for _, r := range got {
		offset := header(r, "dead-letter-offset")
		var l worker.DeadLetter
		for _, l = range letters {
			if fmt.Sprint(l.Record.Offset) == offset {
				break
			}
		}
		want := truncated[offset]
		if header(r, "dead-letter-truncated") != want || !bytes.Equal(r.Key, l.Record.Key) {
			t.Errorf("dead letter %s (%q) is truncated: %q, want %q", offset, r.Key, header(r, "dead-letter-truncated"), want)
		}
		if want == "" && !bytes.Equal(r.Value, l.Record.Value) || want != "" && r.Value != nil {
			t.Errorf("dead letter %s has a value of %d bytes", offset, len(r.Value))
		}
		if want == "value" && header(r, "light") != "x" {
			t.Errorf("dead letter %s lost its headers", offset)
		}
	}
}

func TestBuryKeepsTryingWhileTheTopicRefuses(t *testing.T) {
	for _, code := range []*kerr.Error{kerr.NotEnoughReplicas, kerr.NotLeaderForPartition, kerr.UnknownTopicOrPartition, kerr.RequestTimedOut} {
		t.Run(code.Message, func(t *testing.T) {
			k := kafkatest.Fake(t)
			log := new(record)
			c := setup(t, k, 1, func(cfg *Config) { cfg.Logger = logger(log) })
			faults := k.Fake.Fault(kfake.Fault{Keys: []kmsg.Key{kmsg.Produce}, Topic: c.cfg.DeadLetterTopic, Err: code, Count: 4,
				When: func(r kmsg.Request) bool {
					if acks := r.(*kmsg.ProduceRequest).Acks; acks != -1 {
						t.Errorf("acks %d asked for, want all", acks)
					}
					return true
				}})
			if err := c.Bury(t.Context(), []worker.DeadLetter{dead(worker.Record{Key: []byte("k")})}); err != nil {
				t.Fatal(err)
			}
			if n := len(k.Read(c.cfg.DeadLetterTopic)); faults.Hits() != 4 || n == 0 {
				t.Errorf("%d dead letters after %d refusals", n, faults.Hits())
			}
			if n := bytes.Count([]byte(log.String()), []byte("dead letters wait")); n != 1 {
				t.Errorf("told %d times, want once:\n%s", n, log)
			}
		})
	}
}

func TestBuryResendsOnlyWhatFailed(t *testing.T) {
	k := kafkatest.Fake(t)
	c := setup(t, k, 1)
	k.Fake.Fault(kfake.Fault{Keys: []kmsg.Key{kmsg.Produce}, Topic: c.cfg.DeadLetterTopic, Partitions: []int32{1}, Err: kerr.NotEnoughReplicas, Count: 2})
	var letters []worker.DeadLetter
	for i := range 50 {
		letters = append(letters, dead(worker.Record{Offset: int64(i), Key: fmt.Append(nil, i)}))
	}
	if err := c.Bury(t.Context(), letters); err != nil {
		t.Fatal(err)
	}
	if got := k.Read(c.cfg.DeadLetterTopic); len(got) != len(letters) {
		t.Errorf("%d dead letters, want %d", len(got), len(letters))
	}
}

func TestBuryEndsWithItsContext(t *testing.T) {
	k := kafkatest.Fake(t)
	c := setup(t, k, 1)
	k.Fake.Fault(kfake.Fault{Keys: []kmsg.Key{kmsg.Produce}, Err: kerr.NotEnoughReplicas, Count: -1})
	why := errors.New("no more time")
	ctx, cancel := context.WithTimeoutCause(t.Context(), 200*time.Millisecond, why)
	defer cancel()
	err := c.Bury(ctx, []worker.DeadLetter{dead(worker.Record{Key: []byte("somebody@example.com"), Value: []byte("v")})})
	if !errors.Is(err, why) || bytes.Contains([]byte(err.Error()), []byte("@")) {
		t.Errorf("Bury: %v, want %v and no address", err, why)
	}
}
