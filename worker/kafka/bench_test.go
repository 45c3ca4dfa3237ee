package kafka

import (
	"syscall"
	"testing"
	"time"

	"github.com/twmb/franz-go/pkg/kfake"
	"github.com/twmb/franz-go/pkg/kmsg"

	"consent-worker/worker/kafka/kafkatest"
)

// canned is a megabyte of records of 300 bytes that the embedded cluster serves from any offset.
var canned = kfake.SyntheticFetch(kfake.SyntheticBatch{RecordBytes: 300, RandomFrac: 0.5})

// BenchmarkFetch is one fetch over loopback, the broker's share of the CPU included.
func BenchmarkFetch(b *testing.B) {
	k := kafkatest.Fake(b, canned)
	c := setup(b, k, 1)
	g := reader(c)
	readOnce := func(offset int64) (int, int64) {
		got, err := g.Fetch(b.Context(), 0, offset)
		if err != nil {
			b.Fatal(err)
		}
		return len(got.Records), got.Next
	}
	for end := time.Now().Add(patience); ; { // until the leader is known
		if _, err := g.Fetch(b.Context(), 0, 0); err == nil || time.Now().After(end) {
			break
		}
	}
	b.ReportAllocs()
	records, offset, before := 0, int64(0), cpu()
	for b.Loop() {
		var n int
		n, offset = readOnce(offset)
		records += n
	}
	report(b, records, cpu()-before)
}

// BenchmarkDecode is our part of it alone.
func BenchmarkDecode(b *testing.B) {
	k := kafkatest.Fake(b, canned)
	c := setup(b, k, 1)
	var res *kmsg.FetchResponse
	for end := time.Now().Add(patience); ; {
		var err error
		if res, err = exchange[*kmsg.FetchResponse](b.Context(), c, c.fetchRequest(0, 0), leader(c.cfg.Topic, 0)); err == nil {
			break
		} else if time.Now().After(end) {
			b.Fatal(err)
		}
	}
	b.ReportAllocs()
	records, before := 0, cpu()
	for b.Loop() {
		got, err := decode(&res.Topics[0].Partitions[0], 0, 0)
		if err != nil {
			b.Fatal(err)
		}
		records += len(got.Records)
	}
	report(b, records, cpu()-before)
}

func report(b *testing.B, records int, spent time.Duration) {
	b.ReportMetric(float64(spent.Nanoseconds())/float64(records), "cpu-ns/record")
	b.ReportMetric(float64(records)/b.Elapsed().Seconds(), "records/s")
	b.ReportMetric(float64(records)/float64(b.N), "records/op")
	b.ReportMetric(0, "ns/op")
}

// cpu is what this process has used so far.
func cpu() time.Duration {
	var u syscall.Rusage
	if err := syscall.Getrusage(syscall.RUSAGE_SELF, &u); err != nil {
		panic(err)
	}
	return time.Duration(u.Utime.Nano() + u.Stime.Nano())
}
