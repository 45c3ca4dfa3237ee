package kafka

import (
	"context"
	"errors"
	"maps"
	"os"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/twmb/franz-go/pkg/kerr"
	"github.com/twmb/franz-go/pkg/kfake"
	"github.com/twmb/franz-go/pkg/kmsg"

	"consent-worker/worker"
	"consent-worker/worker/kafka/kafkatest"
)

func TestIntegrationCommitComesBackWithItsMetadata(t *testing.T) {
	k := kafkatest.Start(t)
	c := setup(t, k, 3)
	m := run(t, c)
	l := m.settled(3)
	for _, a := range l.gen.Assignments() {
		if want := (worker.Assignment{Partition: a.Partition, First: true}); a != want {
			t.Errorf("first assignment %+v, want %+v", a, want)
		}
	}
	if l.gen.Partitions() != 3 {
		t.Errorf("the topic has %d partitions, want 3", l.gen.Partitions())
	}
	for range 3 { // a commit may go back and forth as the worker likes
		if err := l.gen.Commit(t.Context(), map[int32]worker.Commit{0: {Offset: 5, Metadata: "m0"}, 2: {Offset: 7, Metadata: strings.Repeat("x", 4096)}}); err != nil {
			t.Fatal(err)
		}
	}
	m.stop()
	l.finish(nil)
	if err := m.ended(); err != nil {
		t.Fatalf("Run: %v", err)
	}
	m = run(t, c)
	l = m.settled(3)
	want := []worker.Assignment{
		{Partition: 0, Start: 5, Metadata: "m0"},
		{Partition: 1, First: true}, // its commit is still the one that no life made
		{Partition: 2, Start: 7, Metadata: strings.Repeat("x", 4096)},
	}
	if diff := cmp.Diff(want, l.gen.Assignments()); diff != "" {
		t.Errorf("assignments after a restart (-want +got):\n%s", diff)
	}
}

func TestIntegrationCommitOfAnotherGenerationIsFenced(t *testing.T) {
	k := kafkatest.Start(t)
	c := setup(t, k, 1)
	l := run(t, c).settled(1)
	real := l.gen.(*generation)
	for name, other := range map[string]*generation{
		"older generation": {c: c, id: real.id - 1, member: real.member},
		"newer generation": {c: c, id: real.id + 1, member: real.member},
		"unknown member":   {c: c, id: real.id, member: "somebody"},
	} {
		var cause error
		other.cancel = func(err error) { cause = err }
		err := other.Commit(t.Context(), map[int32]worker.Commit{0: {Offset: 9}})
		if !errors.Is(err, worker.ErrFenced) || !errors.Is(cause, worker.ErrFenced) {
			t.Errorf("%s: commit returned %v and ended the intake with %v, want %v", name, err, cause, worker.ErrFenced)
		}
	}
	if got := k.Marks(c.cfg.Group, c.cfg.Topic); got[0] != 0 {
		t.Errorf("committed offset is %d, want 0", got[0])
	}
	if err := real.Commit(t.Context(), map[int32]worker.Commit{0: {Offset: 1}}); err != nil {
		t.Errorf("commit of the member itself: %v", err)
	}
}

func TestIntegrationCommitWithTooMuchMetadataStoresTheOthers(t *testing.T) {
	k := kafkatest.Start(t)
	c := setup(t, k, 3)
	if k.Fake != nil { // which has no limit
		k.Fake.Fault(kfake.Fault{Keys: []kmsg.Key{kmsg.OffsetCommit}, Partitions: []int32{1}, Err: kerr.OffsetMetadataTooLarge, Count: -1,
			When: func(r kmsg.Request) bool { return metadata(r, 1) > 4096 }})
	}
	l := run(t, c).settled(3)
	err := l.gen.Commit(t.Context(), map[int32]worker.Commit{0: {Offset: 1}, 1: {Offset: 2, Metadata: strings.Repeat("x", 4097)}, 2: {Offset: 3}})
	if large, ok := errors.AsType[*worker.MetadataTooLargeError](err); !ok || !slices.Equal(large.Partitions, []int32{1}) {
		t.Fatalf("commit: %v, want metadata too large for partition 1", err)
	}
	if got, want := k.Marks(c.cfg.Group, c.cfg.Topic), (map[int32]int64{0: 1, 1: 0, 2: 3}); !maps.Equal(got, want) {
		t.Errorf("committed offsets %v, want %v", got, want)
	}
	if l.ctx.Err() != nil {
		t.Errorf("the life was ended: %v", context.Cause(l.ctx))
	}
}

// metadata is how much of it a request commits for a partition.
func metadata(r kmsg.Request, partition int32) int {
	for _, t := range r.(*kmsg.OffsetCommitRequest).Topics {
		for _, p := range t.Partitions {
			if p.Partition == partition && p.Metadata != nil {
				return len(*p.Metadata)
			}
		}
	}
	return 0
}

func TestCommitTriesAgainWhatWasRefusedForTheMoment(t *testing.T) {
	for _, code := range []*kerr.Error{kerr.NotCoordinator, kerr.CoordinatorLoadInProgress, kerr.CoordinatorNotAvailable, kerr.RebalanceInProgress} {
		t.Run(code.Message, func(t *testing.T) {
			k := kafkatest.Fake(t)
			c := setup(t, k, 2)
			l := run(t, c).settled(2)
			faults := k.Fake.Fault(kfake.Fault{Keys: []kmsg.Key{kmsg.OffsetCommit}, Partitions: []int32{1}, Err: code, Count: 3})
			if err := l.gen.Commit(t.Context(), map[int32]worker.Commit{0: {Offset: 1}, 1: {Offset: 2}}); err != nil {
				t.Fatal(err)
			}
			if got, want := k.Marks(c.cfg.Group, c.cfg.Topic), (map[int32]int64{0: 1, 1: 2}); !maps.Equal(got, want) || faults.Hits() != 3 {
				t.Errorf("committed offsets %v after %d refusals, want %v after 3", got, faults.Hits(), want)
			}
			if rebalance := errors.Is(code, kerr.RebalanceInProgress); errors.Is(context.Cause(l.ctx), ErrRebalance) != rebalance {
				t.Errorf("the life's cause is %v", context.Cause(l.ctx))
			}
		})
	}
}

func TestCommitThatStaysRefusedEndsTheLifeUnfenced(t *testing.T) {
	k := kafkatest.Fake(t)
	c := setup(t, k, 1)
	l := run(t, c).settled(1)
	k.Fake.Fault(kfake.Fault{Keys: []kmsg.Key{kmsg.OffsetCommit}, Err: kerr.CoordinatorNotAvailable, Count: -1})
	err := l.gen.Commit(t.Context(), map[int32]worker.Commit{0: {Offset: 1}})
	if err == nil || errors.Is(err, worker.ErrFenced) || l.gen.(*generation).unanswered.Load() {
		t.Errorf("commit: %v, want an error that leaves nothing open", err)
	}
}

// A follower that merely joined again would keep its generation and its member id, and the commit that is still on its
// way would be accepted.
func TestCommitWithoutAnAnswerLeadsToAnotherMember(t *testing.T) {
	for name, applied := range map[string]bool{"failed": false, "failed but applied": true} {
		t.Run(name, func(t *testing.T) {
			k := kafkatest.Fake(t)
			c := setup(t, k, 1)
			m := run(t, c)
			before := m.settled(1)
			if applied {
				k.Fake.Fault(kfake.Fault{Keys: []kmsg.Key{kmsg.OffsetCommit}, Err: kerr.RequestTimedOut})
			} else {
				k.Fake.ControlKey(int16(kmsg.OffsetCommit), func(kmsg.Request) (kmsg.Response, error, bool) { return nil, nil, true })
			}
			err := before.gen.Commit(t.Context(), map[int32]worker.Commit{0: {Offset: 4}})
			if err == nil || errors.Is(err, worker.ErrFenced) {
				t.Fatalf("commit: %v, want an error that is not about fencing", err)
			}
			before.finish(nil)
			after := m.settled(1)
			if was, is := before.gen.(*generation).member, after.gen.(*generation).member; was == is {
				t.Errorf("the member is still %s", is)
			}
			late := before.gen.Commit(t.Context(), map[int32]worker.Commit{0: {Offset: 4}})
			if !errors.Is(late, worker.ErrFenced) {
				t.Errorf("the late commit: %v, want %v", late, worker.ErrFenced)
			}
			if err := after.gen.Commit(t.Context(), map[int32]worker.Commit{0: {Offset: 5}}); err != nil {
				t.Error(err)
			}
		})
	}
}

func TestCommitHonoursItsContext(t *testing.T) {
	k := kafkatest.Fake(t)
	c := setup(t, k, 1)
	l := run(t, c).settled(1)
	k.Fake.ControlKey(int16(kmsg.OffsetCommit), func(kmsg.Request) (kmsg.Response, error, bool) { return nil, nil, true })
	ctx, cancel := context.WithTimeout(t.Context(), 50*time.Millisecond)
	defer cancel()
	began := time.Now()
	err := l.gen.Commit(ctx, map[int32]worker.Commit{0: {Offset: 1}})
	timedOut := errors.Is(err, context.DeadlineExceeded) || errors.Is(err, os.ErrDeadlineExceeded) // of ctx or of the connection
	if !timedOut || time.Since(began) > time.Second {
		t.Errorf("commit returned %v after %v", err, time.Since(began))
	}
}
