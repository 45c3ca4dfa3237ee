package kafka

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/twmb/franz-go/pkg/kmsg"

	"consent-worker/worker"
	"consent-worker/worker/kafka/kafkatest"
)

// second opens another member of c's group.
func second(t *testing.T, c *Cluster, change ...func(*Config)) *Cluster {
	cfg := c.cfg
	for _, f := range change {
		f(&cfg)
	}
	return open(t, cfg)
}

func TestIntegrationRunDrainsBeforeItGivesPartitionsAway(t *testing.T) {
	k := kafkatest.Start(t)
	a := setup(t, k, 4, func(cfg *Config) { cfg.Drain = 3 * time.Second })
	ma := run(t, a)
	la := ma.settled(4)

	mb := run(t, second(t, a)) // joins: a must give two partitions away
	receive(t, la.ctx.Done(), "end of a's intake")
	if cause := context.Cause(la.ctx); !errors.Is(cause, ErrRebalance) {
		t.Errorf("a's intake ended with %v, want %v", cause, ErrRebalance)
	}
	for i := range 5 { // a drains, and commits meanwhile
		select {
		case <-mb.lives:
			t.Fatal("b got its partitions while a was draining")
		case <-time.After(100 * time.Millisecond):
		}
		if err := la.gen.Commit(t.Context(), map[int32]worker.Commit{0: {Offset: int64(i)}}); err != nil {
			t.Fatalf("commit %d while draining: %v", i, err)
		}
	}
	la.finish(nil)
	la, lb := ma.settled(2), mb.settled(2)
	if all := slices.Sorted(slices.Values(append(la.partitions(), lb.partitions()...))); !slices.Equal(all, []int32{0, 1, 2, 3}) {
		t.Errorf("a has %v and b has %v", la.partitions(), lb.partitions())
	}

	mb.stop() // leaves: a gets everything back
	lb.finish(nil)
	if err := mb.ended(); err != nil {
		t.Errorf("b's Run: %v", err)
	}
	receive(t, la.ctx.Done(), "end of a's intake")
	la.finish(nil)
	ma.settled(4)
}

func TestIntegrationRunStopsWithoutJoiningAgain(t *testing.T) {
	for _, during := range []string{"a life", "a rebalance"} {
		t.Run("in "+during, func(t *testing.T) {
			k := kafkatest.Start(t)
			wire := newTap(k.Dial)
			c := setup(t, k, 2, func(cfg *Config) { cfg.Dial = wire.dial })
			m := run(t, c)
			l := m.settled(2)
			var other *member
			if during == "a rebalance" {
				other = run(t, second(t, c, func(cfg *Config) { cfg.Dial = k.Dial }))
				receive(t, l.ctx.Done(), "end of the intake")
			}
			joins := wire.count(kmsg.JoinGroup)
			m.stop()
			receive(t, l.ctx.Done(), "end of the intake")
			if err := l.gen.Commit(t.Context(), map[int32]worker.Commit{0: {Offset: 3}}); err != nil {
				t.Errorf("last commit: %v", err)
			}
			l.finish(nil)
			began := time.Now()
			if err := m.ended(); err != nil {
				t.Errorf("Run: %v", err)
			}
			if took := time.Since(began); took > 2*time.Second {
				t.Errorf("leaving took %v", took)
			}
			if j, l := wire.count(kmsg.JoinGroup)-joins, wire.count(kmsg.LeaveGroup); j != 0 || l != 1 {
				t.Errorf("%d joins and %d leaves after the stop, want 0 and 1", j, l)
			}
			if other != nil {
				if l := other.settled(2); l.gen.Assignments()[0].Start != 3 {
					t.Errorf("the other begins with %+v, want the last commit", l.gen.Assignments())
				}
			}
		})
	}
}

func TestIntegrationRunStopsWhileTheOthersKeepItWaiting(t *testing.T) {
	k := kafkatest.Start(t)
	wire := newTap(k.Dial)
	a := setup(t, k, 2, func(cfg *Config) {
		cfg.Dial = wire.dial
		cfg.SessionTimeout = 20 * time.Second
		cfg.Drain = 8 * time.Second
	})
	ma, mb := run(t, a), run(t, second(t, a, func(cfg *Config) { cfg.Dial = k.Dial }))
	la := ma.settled(1)
	lb := mb.settled(1)
	mc := run(t, second(t, a, func(cfg *Config) { cfg.Dial = k.Dial })) // makes both drain; b does not finish
	mc.obedient()
	receive(t, la.ctx.Done(), "end of a's intake")
	receive(t, lb.ctx.Done(), "end of b's intake")
	joins := wire.count(kmsg.JoinGroup)
	la.finish(nil)
	for wire.count(kmsg.JoinGroup) == joins {
		pause(t.Context(), time.Millisecond)
	}
	ma.stop()
	began := time.Now()
	if err := ma.ended(); err != nil {
		t.Errorf("Run: %v", err)
	}
	if took := time.Since(began); took > 3*time.Second {
		t.Errorf("leaving took %v while a JoinGroup was parked", took)
	}
	if n := wire.count(kmsg.LeaveGroup); n != 1 {
		t.Errorf("%d leaves, want 1", n)
	}
	lb.finish(nil) // so that the others can leave in peace
	mb.obedient()
}

func TestIntegrationRunWaitsForTopicsThatComeLater(t *testing.T) {
	k := kafkatest.Start(t)
	log := new(record)
	cfg := config(k, k.Name("late"), k.Name("late-letters"))
	cfg.Logger = logger(log)
	m := run(t, open(t, cfg))
	expect(t, log, "does not exist")
	k.NewTopic(cfg.Topic, 2)
	expect(t, log, `"the dead-letter topic `+cfg.DeadLetterTopic+` does not exist"`)
	k.NewTopic(cfg.DeadLetterTopic, 1)
	m.settled(2)
	if n := strings.Count(log.String(), "waiting for Kafka"); n != 2 {
		t.Errorf("told %d times, want 2:\n%s", n, log)
	}
}

func TestIntegrationRunEndsWhenTheTopicIsDeleted(t *testing.T) {
	k := kafkatest.Start(t)
	c := setup(t, k, 1)
	m := run(t, c)
	m.obedient() // a worker that does not even fetch
	k.WaitMarks(c.cfg.Group, c.cfg.Topic, func(marks map[int32]int64) bool { return len(marks) == 1 })
	k.Drop(c.cfg.Topic)
	if err := m.ended(); !errors.Is(err, worker.ErrTopicGone) || !strings.Contains(err.Error(), c.cfg.Topic) {
		t.Errorf("Run: %v, want %v", err, worker.ErrTopicGone)
	}
}

func TestIntegrationRunGivesAddedPartitionsFromTheirBeginning(t *testing.T) {
	k := kafkatest.Start(t)
	c := setup(t, k, 1, func(cfg *Config) { cfg.Start = Start{true, atEnd} })
	m := run(t, c)
	l := m.settled(1)
	if err := k.AddPartitions(t.Context(), c.cfg.Topic, 2); err != nil {
		t.Fatal(err)
	}
	r := kafkatest.Record(c.cfg.Topic, "k", "v")
	r.Partition = 1
	k.Write(r)
	receive(t, l.ctx.Done(), "end of the intake")
	l.finish(nil)
	l = m.settled(2)
	if got, want := l.gen.Assignments()[1], (worker.Assignment{Partition: 1, First: true, End: 1}); got != want {
		t.Errorf("the added partition: %+v, want %+v", got, want)
	}
}

func TestIntegrationRunEndsWithTheErrorOfALife(t *testing.T) {
	k := kafkatest.Start(t)
	broken := errors.New("broken")
	c := setup(t, k, 1)
	m := run(t, c)
	m.settled(1).finish(fmt.Errorf("it is: %w", broken))
	if err := m.ended(); !errors.Is(err, broken) {
		t.Errorf("Run: %v, want %v", err, broken)
	}
	m = run(t, c)
	m.settled(1).finish(fmt.Errorf("late: %w", worker.ErrFenced))
	m.settled(1) // another generation follows
}
