package main

import (
	"reflect"
	"testing"
	"time"

	"consent-worker/worker"
)

func TestTrafficIsTheSameForTheSameSeed(t *testing.T) {
	a, b, other := newTraffic(5), newTraffic(5), newTraffic(6)
	now := time.Unix(1_800_000_000, 0)
	same := true
	for range 1000 {
		r := a.next(now, false)
		if got := b.next(now, false); !reflect.DeepEqual(r, got) {
			t.Fatalf("%s and %s", r.Value, got.Value)
		}
		same = same && reflect.DeepEqual(r, other.next(now, false))
	}
	if same {
		t.Error("another seed gives the same traffic")
	}
}

func TestTrafficHasAllKinds(t *testing.T) {
	seen := map[string]int{}
	keys := map[worker.Key]string{} // to the record's key
	mind := map[worker.Key]int{}    // changes of it
	tr := newTraffic(1)
	for range 30_000 {
		r := tr.next(time.Now(), false)
		e := worker.Decode(worker.Record{Key: r.Key, Value: r.Value})
		switch {
		case e.Tombstone():
			seen["tombstone"]++
			continue
		case e.Cause != "":
			seen["invalid"]++
			continue
		case badAddress(e.Input), badType(e.Input):
			seen["refused"]++
		}
		seen[e.Class().String()]++
		mind[e.Key]++
		if was, ok := keys[e.Key]; ok && was != string(r.Key) {
			t.Fatal("one key on two partitions")
		}
		keys[e.Key] = string(r.Key)
	}
	for _, kind := range []string{"tombstone", "invalid", "refused", "grant", "withdrawal"} {
		if seen[kind] < 30 {
			t.Errorf("%d of kind %s", seen[kind], kind)
		}
	}
	restless := 0
	for _, n := range mind {
		if n > 10 {
			restless++
		}
	}
	if restless < 40 {
		t.Errorf("%d keys changed more than ten times", restless)
	}
}

func TestTrafficIsMostlyNoAfterAMailing(t *testing.T) {
	tr := newTraffic(1)
	no := 0
	for range 1000 {
		r := tr.next(time.Now(), true)
		if e := worker.Decode(worker.Record{Value: r.Value}); e.Class() == worker.Withdrawal {
			no++
		}
	}
	if no < 700 {
		t.Errorf("%d of 1000", no)
	}
}

func TestSeasonsComeAndGo(t *testing.T) {
	p := newProducer(config{seed: 1, outages: true}, nil)
	for name, s := range map[string]*season{"mailings": &p.mailings, "failures": &p.failures} {
		on, changes, was := 0, 0, false
		for at := time.Duration(0); at < 10*time.Minute; at += 100 * time.Millisecond {
			is := s.at(at)
			if is {
				on++
			}
			if is != was {
				changes++
			}
			was = is
		}
		if on < 300 || on > 2000 || changes < 30 || changes > 90 {
			t.Errorf("%s: on for %d tenths of seconds in ten minutes, %d changes", name, on, changes)
		}
	}
}
