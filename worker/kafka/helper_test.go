package kafka

import (
	"bytes"
	"context"
	"encoding/binary"
	"log/slog"
	"net"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/twmb/franz-go/pkg/kmsg"

	"consent-worker/worker"
	"consent-worker/worker/kafka/kafkatest"
)

// config is for quick tests: rebalances take a tenth of a second, drains a second at most.
func config(k *kafkatest.Cluster, topic, letters string) Config {
	return Config{
		Brokers: k.Addrs(), Topic: topic, DeadLetterTopic: letters, Group: k.Name("group"), ClientID: "test",
		Start: Start{true, atFirst}, SessionTimeout: 6 * time.Second, HeartbeatInterval: 100 * time.Millisecond, Drain: time.Second,
		Dial: k.Dial,
	}
}

func open(t testing.TB, cfg Config) *Cluster {
	t.Helper()
	if cfg.Logger == nil {
		cfg.Logger = slog.New(slog.NewTextHandler(t.Output(), nil))
	}
	c, err := Open(cfg)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := c.Close(); err != nil {
			t.Errorf("Close: %v", err)
		}
	})
	return c
}

// setup makes a topic and its dead-letter topic, and opens a cluster for them.
func setup(t testing.TB, k *kafkatest.Cluster, partitions int, change ...func(*Config)) *Cluster {
	t.Helper()
	cfg := config(k, k.Topic("events", partitions), k.Topic("letters", 2))
	for _, f := range change {
		f(&cfg)
	}
	return open(t, cfg)
}

// life is one call of the live function; the test ends it.
type life struct {
	ctx context.Context
	gen worker.Generation
	end chan error // what live returns
}

// member is a cluster whose Run is under way.
type member struct {
	t     testing.TB
	stop  context.CancelFunc
	lives chan *life
	over  chan error // what Run returned
}

func run(t testing.TB, c *Cluster) *member {
	t.Helper()
	ctx, stop := context.WithCancel(t.Context())
	m := &member{t: t, stop: stop, lives: make(chan *life), over: make(chan error, 1)}
	var wg sync.WaitGroup
	wg.Go(func() {
		m.over <- c.Run(ctx, func(ctx context.Context, gen worker.Generation) error {
			l := &life{ctx: ctx, gen: gen, end: make(chan error, 1)}
			select {
			case m.lives <- l:
				return <-l.end
			case <-ctx.Done(): // the test does not look at this one
				return nil
			}
		})
	})
	t.Cleanup(func() { stop(); wg.Wait() })
	return m
}

// patience bounds every wait of a test.
const patience = 60 * time.Second

func receive[T any](t testing.TB, from <-chan T, what string) T {
	t.Helper()
	select {
	case v := <-from:
		return v
	case <-time.After(patience):
		t.Fatalf("no %s", what)
		panic("unreachable")
	}
}

// next waits for the next life.
func (m *member) next() *life {
	m.t.Helper()
	select {
	case err := <-m.over:
		m.over <- err
		m.t.Fatalf("Run returned %v before another life began", err)
	case l := <-m.lives:
		m.t.Cleanup(func() { l.finish(nil) }) // in case the test has failed
		return l
	case <-time.After(patience):
		m.t.Fatal("no life began")
	}
	return nil
}

// settled waits for a life with n partitions, ending those before as their generations end.
func (m *member) settled(n int) *life {
	m.t.Helper()
	for {
		l := m.next()
		if len(l.gen.Assignments()) == n {
			return l
		}
		receive(m.t, l.ctx.Done(), "end of a life with another assignment")
		l.finish(nil)
	}
}

// obedient ends the lives that come as soon as they shall, until the test is over.
func (m *member) obedient() {
	m.t.Helper()
	go func() {
		for {
			select {
			case l := <-m.lives:
				<-l.ctx.Done()
				l.finish(nil)
			case <-m.t.Context().Done():
				return
			}
		}
	}()
}

func (l *life) finish(err error) {
	select {
	case l.end <- err:
	default: // finished before
	}
}

// partitions lists the assigned partitions.
func (l *life) partitions() []int32 {
	var ps []int32
	for _, a := range l.gen.Assignments() {
		ps = append(ps, a.Partition)
	}
	return ps
}

// ended waits for Run to return.
func (m *member) ended() error {
	m.t.Helper()
	return receive(m.t, m.over, "return of Run")
}

// tap counts the requests that leave through its Dial, by key.
type tap struct {
	via func(context.Context, string, string) (net.Conn, error)

	mu   sync.Mutex
	keys map[kmsg.Key]int
}

func newTap(via func(context.Context, string, string) (net.Conn, error)) *tap {
	if via == nil {
		via = new(net.Dialer).DialContext
	}
	return &tap{via: via, keys: map[kmsg.Key]int{}}
}

func (tp *tap) dial(ctx context.Context, network, address string) (net.Conn, error) {
	c, err := tp.via(ctx, network, address)
	if err != nil {
		return nil, err
	}
	return &tapped{Conn: c, tap: tp}, nil
}

func (tp *tap) count(k kmsg.Key) int {
	tp.mu.Lock()
	defer tp.mu.Unlock()
	return tp.keys[k]
}

// tapped follows the frames of what is written: a length of four bytes, then the request's key.
type tapped struct {
	net.Conn
	tap  *tap
	head []byte // of the next frame, as far as it came
	rest int    // of the current frame
}

func (c *tapped) Write(b []byte) (int, error) {
	for in := b; len(in) > 0; {
		if c.rest > 0 {
			n := min(c.rest, len(in))
			in, c.rest = in[n:], c.rest-n
			continue
		}
		n := min(6-len(c.head), len(in))
		c.head, in = append(c.head, in[:n]...), in[n:]
		if len(c.head) == 6 {
			c.tap.mu.Lock()
			c.tap.keys[kmsg.Key(binary.BigEndian.Uint16(c.head[4:]))]++
			c.tap.mu.Unlock()
			c.rest, c.head = int(binary.BigEndian.Uint32(c.head))-2, c.head[:0]
		}
	}
	return c.Conn.Write(b)
}

// record is a log that a test reads while others write it.
type record struct {
	mu  sync.Mutex
	buf bytes.Buffer
}

func (r *record) Write(b []byte) (int, error) {
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.buf.Write(b)
}

func (r *record) String() string {
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.buf.String()
}

func logger(r *record) *slog.Logger { return slog.New(slog.NewTextHandler(r, nil)) }

// expect waits for a text in the log.
func expect(t testing.TB, log *record, text string) {
	t.Helper()
	for end := time.Now().Add(patience); !strings.Contains(log.String(), text); pause(t.Context(), 10*time.Millisecond) {
		if time.Now().After(end) {
			t.Fatalf("the log does not say %q:\n%s", text, log)
		}
	}
}
