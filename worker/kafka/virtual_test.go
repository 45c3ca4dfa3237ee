package kafka

import (
	"context"
	"errors"
	"log/slog"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/twmb/franz-go/pkg/kerr"
	"github.com/twmb/franz-go/pkg/kfake"
	"github.com/twmb/franz-go/pkg/kmsg"

	"consent-worker/worker"
	"consent-worker/worker/kafka/kafkatest"
)

// In these tests time is fake: what takes minutes is over at once, and durations are exact.

// virtual gives a test a cluster in memory, and a config as in production.
func virtual(t *testing.T, partitions int) (*kafkatest.Cluster, Config) {
	k := kafkatest.Virtual(t)
	if partitions > 0 {
		k.NewTopic("events", partitions)
	}
	k.NewTopic("letters", 1)
	return k, Config{
		Brokers: k.Addrs(), Topic: "events", DeadLetterTopic: "letters", Group: "g", Start: Start{true, atFirst}, Dial: k.Dial,
		Logger: slog.New(slog.NewTextHandler(t.Output(), nil)),
	}
}

func TestRunLivesOnInOneGenerationForAnHour(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		_, cfg := virtual(t, 2)
		wire := newTap(cfg.Dial)
		cfg.Dial = wire.dial
		m := run(t, open(t, cfg))
		l := m.next()
		time.Sleep(time.Hour)
		if l.ctx.Err() != nil || wire.count(kmsg.JoinGroup) != 1 {
			t.Errorf("after an hour: %v, %d joins; want one life and one join", context.Cause(l.ctx), wire.count(kmsg.JoinGroup))
		}
		if n := wire.count(kmsg.Heartbeat); n < 3500 {
			t.Errorf("%d heartbeats in an hour", n)
		}
	})
}

// A member that joins for the first time does not know its name yet, and cannot leave while the others let it wait.
func TestRunReturnsThoughItsFirstJoinGroupIsNotAnswered(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		_, cfg := virtual(t, 2)
		first := run(t, open(t, cfg))
		busy := first.next()
		second := run(t, open(t, cfg))
		<-busy.ctx.Done() // and it drains for ever
		second.stop()
		began := time.Now()
		if err := second.ended(); err != nil {
			t.Errorf("Run: %v", err)
		}
		if took, want := time.Since(began), 15*time.Second+closeGrace; took != want {
			t.Errorf("Run returned after %v, want %v", took, want)
		}
	})
}

func TestRunEndsAGenerationInWhichNobodyGotTheTopic(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		k, cfg := virtual(t, 2)
		// The group's leader sees no partitions when it assigns; the watcher's first count comes after they are there.
		blind := k.Fake.Fault(kfake.Fault{Keys: []kmsg.Key{kmsg.JoinGroup}, Observe: true, Count: -1})
		k.Fake.ControlKey(int16(kmsg.Metadata), func(r kmsg.Request) (kmsg.Response, error, bool) {
			k.Fake.KeepControl()
			req := r.(*kmsg.MetadataRequest)
			if blind.Hits() == 0 || req.Version != 6 && req.Version != 1 { // what kafka-go's group asks with
				return nil, nil, false
			}
			k.Fake.DropControl()
			res := req.ResponseKind().(*kmsg.MetadataResponse)
			topic := kmsg.NewMetadataResponseTopic()
			topic.Topic, topic.ErrorCode = new("events"), 3
			res.Topics = append(res.Topics, topic)
			return res, nil, true
		})
		m := run(t, open(t, cfg))
		began := time.Now()
		empty := m.next()
		if n := len(empty.gen.Assignments()); n != 0 {
			t.Fatalf("%d partitions assigned, the test wants none at first", n)
		}
		<-empty.ctx.Done()
		empty.finish(nil)
		if l := m.next(); len(l.gen.Assignments()) != 2 {
			t.Errorf("%d partitions in the second generation, want 2", len(l.gen.Assignments()))
		}
		if took := time.Since(began).Round(time.Second); took != idleLook {
			t.Errorf("it took %v, want %v", took, idleLook)
		}
	})
}

func TestRunDoesNotStormWhileATopicIsGone(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		k, cfg := virtual(t, 1)
		wire := newTap(cfg.Dial)
		cfg.Dial = wire.dial
		m := run(t, open(t, cfg))
		l := m.next()
		began := time.Now()
		k.Drop("events")
		m.obedient()
		<-l.ctx.Done()
		l.finish(nil)
		err := m.ended()
		if !errors.Is(err, worker.ErrTopicGone) {
			t.Errorf("Run: %v, want %v", err, worker.ErrTopicGone)
		}
		if n := wire.count(kmsg.JoinGroup); n > 5 {
			t.Errorf("%d joins in %v", n, time.Since(began))
		}
	})
}

func TestRunTellsOnceWhyItCannotJoin(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		k, cfg := virtual(t, 1)
		log := new(record)
		cfg.Logger = logger(log)
		refused := k.Fake.Fault(kfake.Fault{Keys: []kmsg.Key{kmsg.JoinGroup}, Err: nil, Count: 30})
		m := run(t, open(t, cfg))
		m.next()
		if n := strings.Count(log.String(), "joining the group"); n != 1 || refused.Hits() != 30 {
			t.Errorf("told %d times of %d refusals, want once of 30:\n%s", n, refused.Hits(), log)
		}
	})
}

// kafka-go gives up its name when a coordinator refuses its JoinGroup. The group would wait for that name.
func TestRunSaysGoodbyeForNamesThatKafkaGoForgot(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		k, cfg := virtual(t, 1)
		m := run(t, open(t, cfg))
		l := m.next()
		k.Fake.Fault(kfake.Fault{Keys: []kmsg.Key{kmsg.JoinGroup}, Err: kerr.NotCoordinator})
		k.Fake.Fault(kfake.Fault{Keys: []kmsg.Key{kmsg.LeaveGroup}, Err: kerr.NotCoordinator, TopLevel: true, Count: 3})
		began := time.Now()
		l.finish(nil)
		if l := m.next(); len(l.gen.Assignments()) != 1 {
			t.Errorf("assigned %v", l.gen.Assignments())
		}
		if took := time.Since(began); took > 5*time.Second {
			t.Errorf("it took %v, want much less than the session timeout", took)
		}
	})
}
