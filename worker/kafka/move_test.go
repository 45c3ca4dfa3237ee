package kafka

import (
	"context"
	"testing"
	"time"

	"github.com/twmb/franz-go/pkg/kgo"

	"consent-worker/worker"
	"consent-worker/worker/kafka/kafkatest"
)

func TestFetchFollowsALeaderThatMoves(t *testing.T) {
	k := kafkatest.Fake(t)
	c := setup(t, k, 1)
	k.Write(&kgo.Record{Topic: c.cfg.Topic, Value: []byte("before")})
	readAll(t, c, 0)
	for node := range int32(3) {
		if err := k.Fake.MoveTopicPartition(c.cfg.Topic, 0, node); err != nil {
			t.Fatal(err)
		}
		k.Write(&kgo.Record{Topic: c.cfg.Topic, Value: []byte("after")})
		if got := readAll(t, c, 0); len(got) != int(node)+2 {
			t.Errorf("%d records after %d moves, want %d", len(got), node+1, node+2)
		}
	}
}

func TestRunGoesOnWithACoordinatorThatMoved(t *testing.T) {
	k := kafkatest.Fake(t)
	c := setup(t, k, 1)
	m := run(t, c)
	l := m.settled(1)
	for offset := range int64(3) {
		k.Fake.RehashCoordinators()
		for {
			err := l.gen.Commit(t.Context(), map[int32]worker.Commit{0: {Offset: offset}})
			if err == nil {
				break
			}
			l.finish(nil)
			l = m.settled(1)
		}
	}
	if got := k.Marks(c.cfg.Group, c.cfg.Topic); got[0] != 2 {
		t.Errorf("committed offset %d, want 2", got[0])
	}
}

func TestFetchHonoursItsContext(t *testing.T) {
	k := kafkatest.Fake(t)
	c := setup(t, k, 1)
	readAll(t, c, 0)
	c.fetch.maxWait = 30 * time.Second
	ctx, cancel := context.WithTimeout(t.Context(), 50*time.Millisecond)
	defer cancel()
	began := time.Now()
	if _, err := reader(c).Fetch(ctx, 0, 0); err == nil || time.Since(began) > 5*time.Second {
		t.Errorf("fetch returned %v after %v", err, time.Since(began))
	}
}
