package kafkatest

import (
	"context"
	"crypto/rand"
	"maps"
	"os"
	"strings"
	"testing"
	"time"

	"github.com/twmb/franz-go/pkg/kfake"
	"github.com/twmb/franz-go/pkg/kgo"
)

// BrokersVar names the environment variable with the addresses of a real broker for the tests.
const BrokersVar = "CONSENT_WORKER_TEST_BROKERS"

// Cluster is a Broker of one test. Its own methods end the test when something goes wrong, so they belong on the
// test's goroutine; those of Broker return errors and may be called from any.
type Cluster struct {
	*Broker
	tb testing.TB
}

// Start returns the real broker that BrokersVar names, else a new embedded cluster of three brokers with the options
// on top. The test closes it when it ends.
func Start(tb testing.TB, opts ...kfake.Opt) *Cluster {
	tb.Helper()
	if addrs := os.Getenv(BrokersVar); addrs != "" {
		b, err := Connect(strings.Split(addrs, ",")...)
		return start(tb, b, err)
	}
	return Fake(tb, opts...)
}

// Fake is Start for tests that need the embedded cluster whatever BrokersVar says.
func Fake(tb testing.TB, opts ...kfake.Opt) *Cluster {
	tb.Helper()
	base := []kfake.Opt{kfake.NumBrokers(3), kfake.GroupMinSessionTimeout(time.Second)}
	b, err := Embedded(append(base, opts...)...)
	return start(tb, b, err)
}

// Virtual is Fake on a network in memory, for tests inside a synctest bubble: time stands still while nobody waits.
func Virtual(tb testing.TB, opts ...kfake.Opt) *Cluster {
	tb.Helper()
	network := new(kfake.VirtualNetwork)
	base := []kfake.Opt{
		kfake.NumBrokers(3), kfake.Ports(9092, 9093, 9094), kfake.ListenFn(network.Listen),
		kfake.GroupMinSessionTimeout(time.Second),
	}
	fake, err := kfake.NewCluster(append(base, opts...)...)
	if err != nil {
		tb.Fatal(err)
	}
	b, err := connect(fake.ListenAddrs(), network.DialContext)
	if err != nil {
		fake.Close()
		tb.Fatal(err)
	}
	b.Fake = fake
	return start(tb, b, nil)
}

func start(tb testing.TB, b *Broker, err error) *Cluster {
	tb.Helper()
	if err != nil {
		tb.Fatal(err)
	}
	tb.Cleanup(b.Close)
	return &Cluster{Broker: b, tb: tb}
}

// Name returns a name that nobody else has, for a topic or a group.
func (c *Cluster) Name(what string) string {
	return what + "-" + strings.ToLower(rand.Text()[:12])
}

// Topic makes a topic with a name of its own. The configuration may be left out.
func (c *Cluster) Topic(what string, partitions int, config ...map[string]string) string {
	c.tb.Helper()
	name := c.Name(what)
	c.NewTopic(name, partitions, config...)
	return name
}

// NewTopic makes the topic.
func (c *Cluster) NewTopic(name string, partitions int, config ...map[string]string) {
	c.tb.Helper()
	all := map[string]string{}
	for _, m := range config {
		maps.Copy(all, m)
	}
	c.must(c.CreateTopic(c.tb.Context(), name, partitions, all))
}

// Drop deletes a topic that the test made.
func (c *Cluster) Drop(topic string) {
	c.tb.Helper()
	c.must(c.DeleteTopic(c.tb.Context(), topic))
}

// Write appends records: see Broker.Produce.
func (c *Cluster) Write(records ...*kgo.Record) {
	c.tb.Helper()
	c.must(c.Produce(c.tb.Context(), records...))
}

// Read returns all committed records of the topic: see Broker.Records.
func (c *Cluster) Read(topic string) []*kgo.Record {
	c.tb.Helper()
	records, err := c.Records(c.tb.Context(), topic)
	c.must(err)
	return records
}

// Marks lists the group's committed offsets on the topic.
func (c *Cluster) Marks(group, topic string) map[int32]int64 {
	c.tb.Helper()
	commits, err := c.Committed(c.tb.Context(), group, topic)
	c.must(err)
	marks := make(map[int32]int64, len(commits))
	for p, commit := range commits {
		marks[p] = commit.Offset
	}
	return marks
}

// WaitRead reads the topic until it holds at least n records, and returns them. It fails the test after a minute.
func (c *Cluster) WaitRead(topic string, n int) []*kgo.Record {
	c.tb.Helper()
	ctx, cancel := context.WithTimeout(c.tb.Context(), time.Minute)
	defer cancel()
	var records []*kgo.Record
	c.must(until(ctx, func() (bool, error) {
		var err error
		records, err = c.Records(ctx, topic)
		return len(records) >= n, passing(err)
	}))
	return records
}

// WaitMarks waits until done accepts the group's committed offsets. It fails the test after a minute.
func (c *Cluster) WaitMarks(group, topic string, done func(marks map[int32]int64) bool) {
	c.tb.Helper()
	ctx, cancel := context.WithTimeout(c.tb.Context(), time.Minute)
	defer cancel()
	var marks map[int32]int64
	err := until(ctx, func() (bool, error) {
		commits, err := c.Committed(ctx, group, topic)
		marks = map[int32]int64{}
		for p, commit := range commits {
			marks[p] = commit.Offset
		}
		return err == nil && done(marks), passing(err)
	})
	if err != nil {
		c.tb.Fatalf("committed offsets of %s on %s are %v: %v", group, topic, marks, err)
	}
}

func (c *Cluster) must(err error) {
	c.tb.Helper()
	if err != nil {
		c.tb.Fatal(err)
	}
}
