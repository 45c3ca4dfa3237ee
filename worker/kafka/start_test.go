package kafka

import (
	"maps"
	"strings"
	"testing"
	"time"

	"github.com/twmb/franz-go/pkg/kgo"

	"consent-worker/worker/kafka/kafkatest"
)

func TestParseStart(t *testing.T) {
	for in, want := range map[string]Start{
		"": {}, "earliest": {true, -2}, "latest": {true, -1}, "2026-11-22T20:00:00Z": {true, 1795377600000},
		"2026-11-22T21:00:00.5+01:00": {true, 1795377600500},
	} {
		got, err := ParseStart(in)
		if err != nil || got != want {
			t.Errorf("ParseStart(%q) = %v, %v; want %v", in, got, err, want)
		}
		if again, err := ParseStart(got.String()); err != nil || again != got {
			t.Errorf("ParseStart(%q) = %v, %v; want %v", got, again, err, got)
		}
	}
	for _, in := range []string{"Earliest", "now", "2026-11-22", "1969-01-01T00:00:00Z"} {
		if got, err := ParseStart(in); err == nil {
			t.Errorf("ParseStart(%q) = %v, want an error", in, got)
		}
	}
}

func TestIntegrationStartRefusesToGuess(t *testing.T) {
	k := kafkatest.Start(t)
	c := setup(t, k, 1, func(cfg *Config) { cfg.Start = Start{} })
	err := run(t, c).ended()
	if err == nil || !strings.Contains(err.Error(), "KAFKA_START") || !strings.Contains(err.Error(), c.cfg.Group) {
		t.Errorf("Run: %v, want an error that names KAFKA_START and the group", err)
	}
}

func TestIntegrationStartIsAsked(t *testing.T) {
	k := kafkatest.Start(t)
	base := time.UnixMilli(1_700_000_000_000)
	for name, want := range map[string]int64{"earliest": 0, "latest": 10, "2023-11-14T22:13:24.5Z": 5, "2030-01-01T00:00:00Z": 10} {
		t.Run(name, func(t *testing.T) {
			start, err := ParseStart(name)
			if err != nil {
				t.Fatal(err)
			}
			c := setup(t, k, 2, func(cfg *Config) { cfg.Start = start })
			for p := range int32(2) {
				for i := range 10 {
					k.Write(&kgo.Record{Topic: c.cfg.Topic, Partition: p, Timestamp: base.Add(time.Duration(i) * time.Second)})
				}
			}
			l := run(t, c).settled(2)
			for _, a := range l.gen.Assignments() {
				if a.Start != want || a.End != 10 || !a.First || a.Metadata != "" {
					t.Errorf("assignment %+v, want start %d", a, want)
				}
			}
		})
	}
}

func TestIntegrationStartIsIgnoredOnceSomethingIsCommitted(t *testing.T) {
	k := kafkatest.Start(t)
	c := setup(t, k, 2, func(cfg *Config) { cfg.Start = Start{} })
	for p := range int32(2) {
		for range 5 {
			k.Write(&kgo.Record{Topic: c.cfg.Topic, Partition: p})
		}
	}
	if err := k.Commit(t.Context(), c.cfg.Group, c.cfg.Topic, map[int32]kafkatest.Committed{1: {Offset: 3}}); err != nil {
		t.Fatal(err)
	}
	l := run(t, c).settled(2)
	if got := l.gen.Assignments()[0]; got.Start != 0 || !got.First {
		t.Errorf("the partition without a commit: %+v, want it from the beginning", got)
	}
	if got := l.gen.Assignments()[1]; got.Start != 3 || got.First {
		t.Errorf("the partition with a commit: %+v, want it from 3", got)
	}
}

// Members that begin together must not take each other's first commits for a reason to start at the beginning.
func TestIntegrationStartIsOneDecisionForAllMembers(t *testing.T) {
	k := kafkatest.Start(t)
	a := setup(t, k, 4, func(cfg *Config) { cfg.Start = Start{true, atEnd} })
	want := map[int32]int64{}
	for p := range int32(4) {
		for range 5 {
			k.Write(&kgo.Record{Topic: a.cfg.Topic, Partition: p})
		}
		want[p] = 5
	}
	ma, mb := run(t, a), run(t, second(t, a))
	got := map[int32]int64{}
	for len(got) < 4 {
		var l *life
		select {
		case l = <-ma.lives:
		case l = <-mb.lives:
		case <-time.After(patience):
			t.Fatal("no life began")
		}
		for _, asg := range l.gen.Assignments() {
			got[asg.Partition] = asg.Start
		}
		go func() { <-l.ctx.Done(); l.finish(nil) }()
	}
	if !maps.Equal(got, want) {
		t.Errorf("started at %v, want %v", got, want)
	}
}
