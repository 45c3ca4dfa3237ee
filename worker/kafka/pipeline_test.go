package kafka_test

import (
	"bytes"
	"context"
	"fmt"
	"log/slog"
	"math/rand/v2"
	"os"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/twmb/franz-go/pkg/kerr"
	"github.com/twmb/franz-go/pkg/kfake"
	"github.com/twmb/franz-go/pkg/kgo"
	"github.com/twmb/franz-go/pkg/kmsg"

	"consent-worker/hubspot"
	"consent-worker/hubspot/hubspottest"
	"consent-worker/worker"
	"consent-worker/worker/kafka"
	"consent-worker/worker/kafka/kafkatest"
)

// The whole pipeline, topic to simulated HubSpot: on a real broker in real time where one is named, else on the embedded one
// in a bubble, where a minute of outage takes no time.
func pipeline(t *testing.T, partitions int, test func(t *testing.T, p *pipe)) {
	if os.Getenv(kafkatest.BrokersVar) != "" {
		t.Parallel()
		test(t, newPipe(t, kafkatest.Start(t), partitions))
		return
	}
	synctest.Test(t, func(t *testing.T) { test(t, newPipe(t, kafkatest.Virtual(t), partitions)) })
}

// pipe is one topic with everything behind it.
type pipe struct {
	t       *testing.T
	k       *kafkatest.Cluster
	sim     *hubspottest.Sim
	topic   string
	letters string
	group   string
	window  int

	mu    sync.Mutex
	ended map[worker.Outcome]int
}

func newPipe(t *testing.T, k *kafkatest.Cluster, partitions int, config ...map[string]string) *pipe {
	t.Helper()
	p := &pipe{t: t, k: k, topic: k.Topic("events", partitions, config...), letters: k.Topic("letters", 2), group: k.Name("group"), window: 20000}
	p.ended = map[worker.Outcome]int{}
	p.sim = hubspottest.New(hubspottest.Config{KeepHistory: true, Latency: hubspottest.Latency(20 * time.Millisecond)})
	t.Cleanup(p.sim.Close)
	return p
}

// member is one replica.
type member struct {
	p    *pipe
	stop context.CancelFunc
	done chan error
}

// start runs a replica until the test ends or stops it.
func (p *pipe) start() *member {
	p.t.Helper()
	start, err := kafka.ParseStart("earliest")
	if err != nil {
		p.t.Fatal(err)
	}
	log := slog.New(slog.DiscardHandler)
	cluster, err := kafka.Open(kafka.Config{
		Brokers: p.k.Addrs(), Topic: p.topic, Group: p.group, DeadLetterTopic: p.letters, Start: start, Dial: p.k.Dial,
		SessionTimeout: 10 * time.Second, HeartbeatInterval: 200 * time.Millisecond, Drain: 3 * time.Second, Logger: log,
	})
	if err != nil {
		p.t.Fatal(err)
	}
	client, err := hubspot.New(hubspot.Config{
		BaseURL: "http://hubspot.test", Version: "v4", Tokens: hubspot.StaticToken("secret"), Timeout: 2 * time.Second, Transport: p.sim.Transport(),
	})
	if err != nil {
		p.t.Fatal(err)
	}
	gate, err := worker.NewGate(worker.GateConfig{Limit: 200, Interval: time.Second, Failures: 5, Open: 2 * time.Second})
	if err != nil {
		p.t.Fatal(err)
	}
	cfg := worker.Config{
		Limits:   worker.Limits{BatchSize: 100, Linger: 100 * time.Millisecond, Window: p.window, WindowBytes: 8 << 20, MaxAttempts: 5, Afterlife: 3 * time.Second},
		InFlight: 4, Drain: 3 * time.Second, CommitEvery: 500 * time.Millisecond, CommitTimeout: 3 * time.Second,
		HubSpot: client, DeadLetters: cluster, Gate: gate, Observer: p, Logger: log,
	}
	ctx, stop := context.WithCancel(context.Background())
	m := &member{p: p, stop: stop, done: make(chan error, 1)}
	ended := make(chan struct{})
	go func() {
		defer close(ended)
		m.done <- cluster.Run(ctx, func(ctx context.Context, gen worker.Generation) error { return worker.Run(ctx, cfg, gen) })
	}()
	p.t.Cleanup(func() {
		stop()
		<-ended
		if err := cluster.Close(); err != nil {
			p.t.Errorf("Close: %v", err)
		}
	})
	return m
}

// leave stops the replica as SIGTERM would, and waits for it.
func (m *member) leave() {
	m.p.t.Helper()
	m.stop()
	if err := <-m.done; err != nil {
		m.p.t.Errorf("Run: %v", err)
	}
}

func (p *pipe) Fetched(int)                                  {}
func (p *pipe) Propagated(worker.Class, time.Duration)       {}
func (p *pipe) DeadLettered(worker.Reason, int)              {}
func (p *pipe) Committed(worker.CommitOutcome)               {}
func (p *pipe) Missing(int32, int64)                         { p.t.Error("records are missing") }
func (p *pipe) Foreign(int32)                                { p.t.Error("foreign metadata") }
func (p *pipe) OrderViolated()                               { p.t.Error("invariant 3") }
func (p *pipe) Answered(worker.Reaction, int, time.Duration) {}
func (p *pipe) Closed(worker.Closure, time.Duration)         {}
func (p *pipe) Snapshot(*worker.Snapshot)                    {}
func (p *pipe) Ended(o worker.Outcome, n int) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.ended[o] += n
}

// crowd makes n changes of a few hundred people who change their minds, and some records that are no changes.
func (p *pipe) crowd(seed uint64, n int) (records []*kgo.Record) {
	r := rand.New(rand.NewPCG(seed, 7))
	for i := range n {
		address := fmt.Sprintf("a%d@example.com", r.IntN(300))
		if r.IntN(100) == 0 {
			address = fmt.Sprintf("poison%d@example.com", r.IntN(3))
		}
		status := []hubspot.Status{hubspot.Subscribed, hubspot.Unsubscribed, hubspot.NotSpecified}[r.IntN(3)]
		value := fmt.Sprintf(`{"subscriberIdString":%q,"subscriptionId":%d,"statusState":%q,"legalBasisExplanation":"%d-%d"}`, address, 1+r.IntN(2), status, seed, i)
		record := kafkatest.Record(p.topic, address, value)
		switch r.IntN(60) {
		case 0:
			record.Value = nil
		case 1:
			record.Value = []byte(`{"subscriberIdString":`)
			record.Headers = []kgo.RecordHeader{{Key: "trace", Value: []byte{0xff, 0}}}
		}
		records = append(records, record)
	}
	return records
}

// write appends records.
func (p *pipe) write(records []*kgo.Record) {
	p.t.Helper()
	p.k.Write(records...)
}

// rest waits until the whole topic is settled and committed.
func (p *pipe) rest() map[int32]int64 {
	p.t.Helper()
	ends, err := p.k.Ends(p.t.Context(), p.topic)
	if err != nil {
		p.t.Fatal(err)
	}
	p.k.WaitMarks(p.group, p.topic, func(marks map[int32]int64) bool {
		for partition, end := range ends {
			if end > 0 && marks[partition] < end {
				return false
			}
		}
		return true
	})
	return ends
}

func guilty(in hubspot.Input) bool { return strings.HasPrefix(in.SubscriberID, "poison") }

// judge compares the topic, the dead letters, the marks and what HubSpot holds. once says that nothing was settled twice.
func (p *pipe) judge(once bool) {
	p.t.Helper()
	compacted := strings.HasPrefix(p.topic, "compacted")
	marks := p.k.Marks(p.group, p.topic)
	dead := map[string]*kgo.Record{}
	for _, d := range p.k.Read(p.letters) {
		at := header(d, "dead-letter-partition") + "/" + header(d, "dead-letter-offset")
		if dead[at] != nil && once {
			p.t.Errorf("two dead letters of %s", at)
		}
		dead[at] = d
	}
	type words struct{ all, loud *worker.Event }
	newest := map[worker.Key]*words{}
	total := 0
	for _, r := range p.k.Read(p.topic) {
		if r.Offset >= marks[r.Partition] {
			p.t.Errorf("%d/%d is not committed", r.Partition, r.Offset)
		}
		total++
		e := worker.Decode(worker.Record{Partition: r.Partition, Offset: r.Offset, Time: r.Timestamp, Key: r.Key, Value: r.Value})
		at := fmt.Sprintf("%d/%d", r.Partition, r.Offset)
		d := dead[at]
		delete(dead, at)
		if d != nil {
			if !bytes.Equal(d.Key, r.Key) || !bytes.Equal(d.Value, r.Value) || (d.Value == nil) != (r.Value == nil) || len(d.Headers) < len(r.Headers) {
				p.t.Errorf("the dead letter of %s is not the record, byte for byte", at)
			}
			if e.Cause == "" && !guilty(e.Input) {
				p.t.Errorf("invariant 4: innocent dead letter %s: %s", at, header(d, "dead-letter-cause"))
			}
			if e.Cause != "" && header(d, "dead-letter-reason") != "invalid_event" {
				p.t.Errorf("dead letter %s for %s, want invalid_event", at, header(d, "dead-letter-reason"))
			}
		}
		if newest[e.Key] == nil {
			newest[e.Key] = &words{}
		}
		switch v := newest[e.Key]; {
		case e.Tombstone():
		case e.Cause != "":
			if d == nil {
				p.t.Errorf("invariant 5: the invalid event %s ended nowhere", at)
			}
		case d == nil:
			v.all, v.loud = &e, &e
		case e.Class() == worker.Withdrawal && v.loud != nil && v.loud.Class() == worker.Grant:
			v.loud = nil
		}
	}
	for at := range dead {
		if compacted {
			break // the record may be gone
		}
		p.t.Errorf("a dead letter of %s, which is no record", at)
	}
	for key, v := range newest {
		if v.all == nil || v.loud != v.all {
			continue
		}
		got := p.sim.Status(hubspottest.Key{Address: key.Address, SubscriptionID: key.Subscription, Channel: key.Channel})
		if got != v.all.Input.Status {
			p.t.Errorf("invariant 5: a key is %s, its newest word %d/%d says %s", got, v.all.Partition, v.all.Offset, v.all.Input.Status)
		}
	}
	p.mu.Lock()
	defer p.mu.Unlock()
	sum := 0
	for _, n := range p.ended {
		sum += n
	}
	if sum < total || once && sum != total {
		p.t.Errorf("%d records ended as %v", total, p.ended)
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

func TestIntegrationPipelineCarriesASteadyFlow(t *testing.T) {
	pipeline(t, 3, func(_ *testing.T, p *pipe) {
		m := p.start()
		for i := range 5 {
			p.write(p.crowd(uint64(i), 400))
		}
		p.rest()
		m.leave()
		p.judge(true)
	})
}

func TestIntegrationPipelineBuriesPartialErrors(t *testing.T) {
	pipeline(t, 3, func(t *testing.T, p *pipe) {
		p.sim.Inject(hubspottest.Fault{Effect: hubspottest.PartialErrors(207, hubspottest.ByContext), Inputs: guilty})
		m := p.start()
		p.write(p.crowd(1, 1500))
		p.rest()
		m.leave()
		p.judge(true)
		if n := p.ended[worker.Buried]; n < 20 {
			t.Errorf("%d dead letters", n)
		}
	})
}

func TestIntegrationPipelineFindsPoison(t *testing.T) {
	pipeline(t, 3, func(_ *testing.T, p *pipe) {
		p.sim.Inject(hubspottest.Fault{Effect: hubspottest.Poison(hubspottest.ByNothing), Inputs: guilty})
		m := p.start()
		p.write(p.crowd(1, 1500))
		for i := range 3 { // life goes on: what HubSpot accepts now shows that it does not refuse everything
			<-time.After(time.Second)
			p.write(p.crowd(uint64(2+i), 20))
		}
		p.rest()
		m.leave()
		p.judge(true)
	})
}

func TestIntegrationPipelineWaitsOutAMinuteOfOutage(t *testing.T) {
	pipeline(t, 3, func(t *testing.T, p *pipe) {
		m := p.start()
		p.write(p.crowd(1, 500))
		p.rest()
		outage := p.sim.Inject(hubspottest.Fault{Effect: hubspottest.Page(503)})
		p.write(p.crowd(2, 500))
		before := len(p.k.Read(p.letters))
		<-time.After(time.Minute)
		refused := outage.Struck()
		invalid := 0
		for _, r := range p.k.Read(p.letters)[before:] {
			if header(r, "dead-letter-reason") == "invalid_event" {
				invalid++
			}
		}
		if after := len(p.k.Read(p.letters)); after != before+invalid || refused == 0 || refused > 60 {
			t.Errorf("%d dead letters for an outage, %d requests in it", after-before-invalid, refused)
		}
		outage.Remove()
		p.rest()
		m.leave()
		p.judge(true)
	})
}

func TestIntegrationPipelineLosesNothingWhileReplicasComeAndGo(t *testing.T) {
	pipeline(t, 6, func(t *testing.T, p *pipe) {
		p.sim.Inject(hubspottest.Fault{Effect: hubspottest.PartialErrors(200, hubspottest.ByMessage), Inputs: guilty})
		first := p.start()
		produced := make(chan error, 1)
		go func() { // the producer; ends when all is written
			for i := range 40 {
				if err := p.k.Produce(t.Context(), p.crowd(uint64(i), 100)...); err != nil {
					produced <- err
					return
				}
				<-time.After(100 * time.Millisecond)
			}
			produced <- nil
		}()
		for range 2 {
			second := p.start()
			<-time.After(1500 * time.Millisecond)
			first.leave()
			<-time.After(500 * time.Millisecond)
			first = p.start()
			<-time.After(time.Second)
			second.leave()
		}
		if err := <-produced; err != nil {
			t.Fatal(err)
		}
		p.rest()
		first.leave()
		p.judge(true) // a drain settles and commits everything it has in flight, so nothing is done twice
	})
}

func TestIntegrationPipelineReadsTransactionsAndCompactedTopics(t *testing.T) {
	pipeline(t, 3, func(t *testing.T, p *pipe) {
		p.topic = p.k.Topic("compacted", 3, map[string]string{"cleanup.policy": "compact", "segment.ms": "1000", "min.cleanable.dirty.ratio": "0.01"})
		m := p.start()
		for i := range 6 {
			if err := p.k.Transact(t.Context(), fmt.Sprintf("%s-%d", p.topic, i%2), i%3 != 2, p.crowd(uint64(i), 150)...); err != nil {
				t.Fatal(err)
			}
		}
		if p.k.Fake != nil {
			p.k.Fake.Compact()
		}
		p.write(p.crowd(9, 50))
		p.rest()
		m.leave()
		p.judge(false) // a record that was compacted away after it was read ended too, but the judge cannot see it
	})
}

func TestIntegrationPipelineHoldsWhileDeadLettersAreRefused(t *testing.T) {
	synctest.Test(t, func(t *testing.T) { // the refusal is the embedded broker's
		k := kafkatest.Virtual(t)
		p := newPipe(t, k, 1)
		refuse := k.Fake.Fault(kfake.Fault{Keys: []kmsg.Key{kmsg.Produce}, Topic: p.letters, Err: kerr.NotEnoughReplicas, Count: -1})
		m := p.start()
		good := kafkatest.Record(p.topic, "k", `{"subscriberIdString":"a@example.com","subscriptionId":1,"statusState":"UNSUBSCRIBED"}`)
		bad := kafkatest.Record(p.topic, "k", `{`)
		p.write([]*kgo.Record{good, bad, good})
		time.Sleep(time.Minute)
		if got := k.Marks(p.group, p.topic)[0]; got != 1 {
			t.Errorf("mark %d though the dead letter of 1 is not acknowledged", got)
		}
		refuse.Remove()
		p.rest()
		m.leave()
		p.judge(true)
	})
}
