package main

import (
	"bytes"
	"fmt"
	"log/slog"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"consent-worker/worker"
	"consent-worker/worker/kafka/kafkatest"
)

// both is a terminal and a file at once.
type both []show

func (b both) draw(m *moment) {
	for _, s := range b {
		s.draw(m)
	}
}

func (b both) end() {
	for _, s := range b {
		s.end()
	}
}

func TestDemoLosesNothingThroughMailingsAndAnOutage(t *testing.T) {
	for _, seed := range []uint64{1, 2, 3} {
		t.Run(fmt.Sprint("seed ", seed), func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				b := perform(t, config{rate: 150, seed: seed, length: 20 * time.Second, outages: true})
				for _, reason := range []worker.Reason{worker.ReasonInvalidEvent, worker.ReasonRejected} {
					if b.dead[reason] == 0 {
						t.Errorf("nothing was a dead letter for %s", reason)
					}
				}
				if b.superseded == 0 || b.tombstones == 0 || b.again == 0 || b.optOuts.n == 0 {
					t.Errorf("the run lacks something: %+v", b)
				}
			})
		})
	}
}

func TestDemoEndsWithinSecondsWithoutOutages(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		began := time.Now()
		b := perform(t, config{rate: 150, seed: 4, length: 5 * time.Second})
		if took := time.Since(began); took > 15*time.Second {
			t.Errorf("took %v", took)
		}
		if b.again > 0 {
			t.Errorf("%d writes were repeated though HubSpot never failed", b.again)
		}
	})
}

// perform runs a demo in a bubble and checks its end.
func perform(t *testing.T, c config) *books {
	t.Helper()
	c.broker, c.log = kafkatest.Virtual(t).Broker, slog.New(slog.DiscardHandler)
	d, err := open(t.Context(), c)
	if err != nil {
		t.Fatal(err)
	}
	defer func() {
		if err := d.close(); err != nil {
			t.Error(err)
		}
	}()
	var seen bytes.Buffer
	size := func() (int, int, error) { return 80, 24, nil }
	b, err := d.perform(t.Context(), t.Context(), both{&plain{out: &seen}, &screen{out: &seen, size: size}})
	if err != nil {
		t.Fatal(err)
	}
	text := strings.Join(painter{}.paint(summary(b, c.seed), 100), "\n")
	t.Log("\n" + text)
	if !b.whole() || !strings.Contains(text, "lost 0, wrong 0") {
		t.Error("not whole")
	}
	if sum := b.written + b.superseded + b.deadTotal() + b.tombstones; sum != b.produced || b.produced < int(d.producer.produced.Load()) {
		t.Errorf("%d events ended, %d are in the topic, %d were produced", sum, b.produced, d.producer.produced.Load())
	}
	for _, broken := range b.broken {
		t.Errorf("rule of HubSpot broken: %s", broken)
	}
	if bytes.ContainsRune(seen.Bytes(), '@') || strings.ContainsRune(text, '@') {
		t.Error("an address was shown")
	}
	return b
}
