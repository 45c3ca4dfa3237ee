package kafka

import (
	"bytes"
	"crypto/rand"
	"errors"
	"fmt"
	"reflect"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/twmb/franz-go/pkg/kgo"
	"github.com/twmb/franz-go/pkg/kmsg"

	"consent-worker/worker"
	"consent-worker/worker/kafka/kafkatest"
)

// reader fetches without being in a group.
func reader(c *Cluster) *generation { return &generation{c: c, cancel: func(error) {}} }

// readAll fetches partition 0 from offset on, up to the end as it is at the first fetch that succeeds.
func readAll(t testing.TB, c *Cluster, offset int64) []worker.Record {
	t.Helper()
	var all []worker.Record
	deadline := time.Now().Add(patience)
	for end := int64(-1); end < 0 || offset < end; {
		got, err := reader(c).Fetch(t.Context(), 0, offset)
		if err != nil { // the leader is not known yet
			if time.Now().After(deadline) || !pause(t.Context(), 50*time.Millisecond) {
				t.Fatal(err)
			}
			continue
		}
		if got.Next < offset {
			t.Fatalf("asked for %d, next is %d", offset, got.Next)
		}
		if end < 0 {
			end = got.End
		}
		all, offset = append(all, got.Records...), got.Next
	}
	return all
}

// same compares records with what franz-go's consumer-side code found.
func same(t testing.TB, got []worker.Record, want []*kgo.Record) {
	t.Helper()
	var conv []worker.Record
	for _, r := range want {
		w := worker.Record{Partition: r.Partition, Offset: r.Offset, Time: r.Timestamp, Key: r.Key, Value: r.Value}
		for _, h := range r.Headers {
			w.Headers = append(w.Headers, worker.Header{Key: h.Key, Value: h.Value})
		}
		conv = append(conv, w)
	}
	if !reflect.DeepEqual(conv, got) { // cmp needs a minute for megabytes
		t.Fatalf("%d records, want %d; they differ (-want +got):\n%.4000s", len(got), len(conv), cmp.Diff(conv, got))
	}
}

func TestIntegrationFetchReturnsRecordsByteForByte(t *testing.T) {
	k := kafkatest.Start(t)
	at := time.UnixMilli(1_700_000_000_123)
	shapes := []kgo.Record{
		{Key: []byte("k"), Value: []byte("v")},
		{Key: nil, Value: []byte("no key")},
		{Key: []byte{}, Value: []byte("empty key")},
		{Key: []byte("tombstone"), Value: nil},
		{Key: []byte("empty value"), Value: []byte{}},
		{Key: []byte{0xff, 0}, Value: []byte{0xfe, 0, 1}, Headers: []kgo.RecordHeader{
			{Key: "a", Value: []byte("1")}, {Key: "a", Value: nil}, {Key: "", Value: []byte{}}, {Key: "\xff", Value: []byte{0}},
		}},
		{Key: []byte("long"), Value: bytes.Repeat([]byte("abcdefgh"), 10_000)},
	}
	codecs := map[string]kgo.CompressionCodec{
		"none": kgo.NoCompression(), "gzip": kgo.GzipCompression(), "snappy": kgo.SnappyCompression(),
		"lz4": kgo.Lz4Compression(), "zstd": kgo.ZstdCompression(),
	}
	for name, codec := range codecs {
		t.Run(name, func(t *testing.T) {
			c := setup(t, k, 1)
			client, err := k.Client(kgo.ProducerBatchCompression(codec))
			if err != nil {
				t.Fatal(err)
			}
			defer client.Close()
			var sent []*kgo.Record
			for i := range 50 {
				r := shapes[i%len(shapes)]
				r.Topic, r.Timestamp = c.cfg.Topic, at.Add(time.Duration(i)*time.Millisecond)
				sent = append(sent, &r)
			}
			if err := client.ProduceSync(t.Context(), sent...).FirstErr(); err != nil {
				t.Fatal(err)
			}
			same(t, readAll(t, c, 0), sent)
			same(t, readAll(t, c, 13), sent[13:]) // in the middle of a batch
		})
	}
}

func TestIntegrationFetchLeavesOutAbortedTransactions(t *testing.T) {
	k := kafkatest.Start(t)
	c := setup(t, k, 1)
	const producers = 4
	clients := make([]*kgo.Client, producers)
	for i := range clients {
		var err error
		if clients[i], err = k.Client(kgo.TransactionalID(k.Name("producer")), kgo.ProducerLinger(0)); err != nil {
			t.Fatal(err)
		}
		t.Cleanup(clients[i].Close)
	}
	committed := map[string]bool{}
	write := func(i int, value string) {
		t.Helper()
		r := &kgo.Record{Topic: c.cfg.Topic, Key: fmt.Append(nil, i), Value: []byte(value)}
		if err := clients[i].ProduceSync(t.Context(), r).FirstErr(); err != nil {
			t.Fatal(err)
		}
	}
	// Transactions overlap, begin in one order and end in another, some committed and some not; plain records between.
	for round := range 6 {
		for i, client := range clients {
			if err := client.BeginTransaction(); err != nil {
				t.Fatal(err)
			}
			write(i, fmt.Sprintf("%d/%d/first", round, i))
		}
		plain := fmt.Sprintf("%d/plain", round)
		k.Write(kafkatest.Record(c.cfg.Topic, "plain", plain))
		committed[plain] = true
		for n := range clients {
			i := (n*3 + round) % producers
			write(i, fmt.Sprintf("%d/%d/second", round, i))
			commit := kgo.TransactionEndTry((round+i)%2 == 0)
			if err := clients[i].EndTransaction(t.Context(), commit); err != nil {
				t.Fatal(err)
			}
			if commit {
				committed[fmt.Sprintf("%d/%d/first", round, i)] = true
				committed[fmt.Sprintf("%d/%d/second", round, i)] = true
			}
		}
	}
	k.WaitRead(c.cfg.Topic, len(committed)) // the last markers may come after EndTransaction's answer
	all := readAll(t, c, 0)
	got := map[string]bool{}
	for _, r := range all {
		got[string(r.Value)] = true
	}
	if diff := cmp.Diff(committed, got); diff != "" || len(all) != len(committed) {
		t.Fatalf("%d records for %d committed ones (-want +got):\n%s", len(all), len(committed), diff)
	}
	want := k.Read(c.cfg.Topic)
	for from := range all[len(all)-1].Offset {
		for len(want) > 0 && want[0].Offset < from {
			want = want[1:]
		}
		same(t, readAll(t, c, from), want)
	}
}

func TestIntegrationFetchStopsAtAnOpenTransaction(t *testing.T) {
	k := kafkatest.Start(t)
	c := setup(t, k, 1)
	k.Write(kafkatest.Record(c.cfg.Topic, "a", "1"))
	client, err := k.Client(kgo.TransactionalID(k.Name("producer")))
	if err != nil {
		t.Fatal(err)
	}
	defer client.Close()
	if err := client.BeginTransaction(); err != nil {
		t.Fatal(err)
	}
	if err := client.ProduceSync(t.Context(), &kgo.Record{Topic: c.cfg.Topic, Value: []byte("open")}).FirstErr(); err != nil {
		t.Fatal(err)
	}
	k.Write(kafkatest.Record(c.cfg.Topic, "a", "2"))
	if got := readAll(t, c, 0); len(got) != 1 {
		t.Fatalf("%d records before the transaction ended, want 1", len(got))
	}
	got, err := reader(c).Fetch(t.Context(), 0, 1)
	if err != nil || len(got.Records) != 0 || got.Next != 1 || got.End != 1 {
		t.Fatalf("fetch at the open transaction: %+v, %v; want nothing, next 1, end 1", got, err)
	}
	if err := client.EndTransaction(t.Context(), kgo.TryCommit); err != nil {
		t.Fatal(err)
	}
	k.WaitRead(c.cfg.Topic, 3)
	if got := readAll(t, c, 0); len(got) != 3 {
		t.Fatalf("%d records after the transaction ended, want 3", len(got))
	}
}

func TestIntegrationFetchReadsACompactedTopic(t *testing.T) {
	k := kafkatest.Start(t)
	topic := k.Topic("compacted", 1, map[string]string{
		"cleanup.policy": "compact", "segment.ms": "100", "min.cleanable.dirty.ratio": "0.001", "min.compaction.lag.ms": "0",
		"max.compaction.lag.ms": "100", "delete.retention.ms": "100",
	})
	c := open(t, config(k, topic, k.Topic("letters", 1)))
	// Idempotent producers that write one key: the cleaner empties their batches, but keeps the batches.
	for i := range 5 {
		client, err := k.Client()
		if err != nil {
			t.Fatal(err)
		}
		for n := range 10 {
			r := &kgo.Record{Topic: topic, Key: []byte("k"), Value: fmt.Appendf(nil, "%d/%d", i, n)}
			if err := client.ProduceSync(t.Context(), r).FirstErr(); err != nil {
				t.Fatal(err)
			}
		}
		client.Close()
	}
	deadline := time.Now().Add(patience)
	for len(k.Read(topic)) > 15 {
		if k.Fake != nil {
			k.Fake.Compact()
		}
		if time.Now().After(deadline) || !pause(t.Context(), 200*time.Millisecond) {
			t.Fatal("the topic was not compacted in time")
		}
		k.Write(kafkatest.Record(topic, "roll", "a new segment"))
	}
	topics, err := c.look(t.Context(), topic)
	if err != nil {
		t.Fatal(err)
	}
	first, err := c.offsets(t.Context(), topics[topic].leaders, []int32{0}, atFirst) // the fake cleaner moves the log's start
	if err != nil {
		t.Fatal(err)
	}
	want := k.Read(topic)
	got := readAll(t, c, first[0])
	if len(got) > len(want) { // cleaned between the two readings
		got = got[len(got)-len(want):]
	}
	if last := got[len(got)-1]; last.Offset != want[len(want)-1].Offset {
		t.Fatalf("last record is at %d, want %d", last.Offset, want[len(want)-1].Offset)
	}
}

func TestIntegrationFetchReturnsAGiantRecord(t *testing.T) {
	k := kafkatest.Start(t)
	topic := k.Topic("giant", 1, map[string]string{"max.message.bytes": "8388608"})
	c := open(t, config(k, topic, k.Topic("letters", 1)))
	client, err := k.Client(kgo.ProducerBatchMaxBytes(8<<20), kgo.ProducerBatchCompression(kgo.NoCompression()))
	if err != nil {
		t.Fatal(err)
	}
	defer client.Close()
	giant := make([]byte, 5<<20)
	_, _ = rand.Read(giant)
	sent := []*kgo.Record{
		{Topic: topic, Value: []byte("before")}, {Topic: topic, Value: giant}, {Topic: topic, Value: []byte("after")},
	}
	for _, r := range sent {
		if err := client.ProduceSync(t.Context(), r).FirstErr(); err != nil {
			t.Fatal(err)
		}
	}
	same(t, readAll(t, c, 0), sent)
}

func TestIntegrationFetchTellsWhatTheLogHolds(t *testing.T) {
	k := kafkatest.Start(t)
	c := setup(t, k, 1)
	for i := range 20 {
		k.Write(kafkatest.Record(c.cfg.Topic, "k", fmt.Sprint(i)))
	}
	readAll(t, c, 0)
	if err := k.DeleteRecords(t.Context(), c.cfg.Topic, 0, 7); err != nil {
		t.Fatal(err)
	}
	for _, offset := range []int64{3, 500} {
		_, err := reader(c).Fetch(t.Context(), 0, offset)
		got, ok := errors.AsType[*worker.OutOfRangeError](err)
		if want := (worker.OutOfRangeError{Offset: offset, Start: 7, End: 20}); !ok || *got != want {
			t.Errorf("fetch at %d: %v, want %v", offset, err, &want)
		}
	}
	if got := readAll(t, c, 7); len(got) != 13 {
		t.Errorf("%d records from the log's start on, want 13", len(got))
	}
}

func TestIntegrationFetchKnowsADeletedTopicFromAnUnknownOne(t *testing.T) {
	k := kafkatest.Start(t)
	c := open(t, config(k, k.Name("late"), k.Topic("letters", 1)))
	if _, err := reader(c).Fetch(t.Context(), 0, 0); !errors.Is(err, worker.ErrTopicGone) {
		t.Errorf("fetch before the topic exists: %v, want %v", err, worker.ErrTopicGone)
	}
	k.NewTopic(c.cfg.Topic, 1)
	// The Transport does not know the topic yet.
	if _, err := reader(c).Fetch(t.Context(), 0, 0); errors.Is(err, worker.ErrTopicGone) {
		t.Errorf("fetch right after the topic was made: %v", err)
	}
	readAll(t, c, 0)
	k.Drop(c.cfg.Topic)
	for {
		_, err := reader(c).Fetch(t.Context(), 0, 0)
		if errors.Is(err, worker.ErrTopicGone) {
			break
		}
		if !pause(t.Context(), 50*time.Millisecond) {
			t.Fatal(err)
		}
	}
}

// answer fetches raw what decode gets: batches of one record each.
func answer(t testing.TB, records int) kmsg.FetchResponseTopicPartition {
	t.Helper()
	k := kafkatest.Fake(t)
	c := setup(t, k, 1)
	for i := range records {
		k.Write(kafkatest.Record(c.cfg.Topic, "key", fmt.Sprintf("value %d", i)))
	}
	readAll(t, c, 0)
	res, err := exchange[*kmsg.FetchResponse](t.Context(), c, c.fetchRequest(0, 0), leader(c.cfg.Topic, 0))
	if err != nil {
		t.Fatal(err)
	}
	return res.Topics[0].Partitions[0]
}

func TestDecodeReturnsWhatIsReadableBeforeAFault(t *testing.T) {
	res := answer(t, 3)
	last := bytes.LastIndex(res.RecordBatches, []byte("value 2"))
	res.RecordBatches[last]++ // the checksum of the third batch is wrong now
	got, err := decode(&res, 0, 0)
	if err != nil || len(got.Records) != 2 || got.Next != 2 {
		t.Fatalf("decode from 0: %d records, next %d, %v; want 2, next 2, no error", len(got.Records), got.Next, err)
	}
	got, err = decode(&res, 0, 2)
	if err == nil || len(got.Records) != 0 {
		t.Fatalf("decode from 2: %d records, %v; want an error alone", len(got.Records), err)
	}
}

func TestDecodeDoesNotTurnInCircles(t *testing.T) {
	res := answer(t, 1)
	res.RecordBatches = res.RecordBatches[:len(res.RecordBatches)-1]
	if got, err := decode(&res, 0, 0); err == nil {
		t.Fatalf("decode of half a batch: %+v without an error", got)
	}
}

func FuzzDecode(f *testing.F) {
	res := answer(f, 2)
	f.Add(res.RecordBatches, int64(0))
	f.Add(res.RecordBatches[:40], int64(1))
	f.Fuzz(func(t *testing.T, batches []byte, offset int64) {
		offset = max(0, offset)
		p := kmsg.NewFetchResponseTopicPartition()
		p.RecordBatches = batches
		got, err := decode(&p, 0, offset)
		if err != nil {
			return
		}
		if got.Next < offset {
			t.Fatalf("next %d is before %d", got.Next, offset)
		}
		for _, r := range got.Records {
			if r.Offset < offset || r.Offset >= got.Next {
				t.Fatalf("record %d outside of %d to %d", r.Offset, offset, got.Next)
			}
		}
	})
}
