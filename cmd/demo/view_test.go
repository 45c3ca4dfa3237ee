package main

import (
	"bytes"
	"flag"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"
	"unicode/utf8"

	"github.com/google/go-cmp/cmp"

	"consent-worker/worker"
)

var update = flag.Bool("update", false, "write the golden files")

// golden compares lines with a file. Escapes are shown as the sign for them.
func golden(t *testing.T, name string, lines []string) {
	t.Helper()
	got := strings.NewReplacer("\x1b", "␛", "\r", "␍").Replace(strings.Join(lines, "\n")) + "\n"
	file := filepath.Join("testdata", name+".golden")
	if *update {
		if err := os.WriteFile(file, []byte(got), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	want, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(string(want), got); diff != "" {
		t.Errorf("%s (-want +got):\n%s", file, diff)
	}
}

// moments are the stations of a demo.
var moments = []struct {
	name string
	at   moment
}{
	{"start", moment{length: 30 * time.Second, workers: make([]crewman, 2)}},
	{"flow", moment{
		elapsed: 3200 * time.Millisecond, length: 30 * time.Second, joined: true, produced: 1475, rate: 499.6, lag: 73, requests: 48, used: 48,
		written: 1392, dead: map[worker.Reason]int{worker.ReasonInvalidEvent: 9, worker.ReasonRejected: 2},
		optOuts: quantiles{480, 169 * time.Millisecond, 309 * time.Millisecond},
		workers: []crewman{
			{assigned: []int32{0, 1, 2}, alive: true, inFlight: 1, filled: 0.004},
			{assigned: []int32{3, 4, 5}, alive: true, inFlight: 2, filled: 0.012},
		},
	}},
	{"outage", moment{
		elapsed: 72 * time.Second, joined: true, mood: outage, produced: 1040176, rate: 2013, lag: 15085, requests: 15801, used: 188,
		written: 1016441, oldest: 4200 * time.Millisecond,
		dead:    map[worker.Reason]int{worker.ReasonInvalidEvent: 5651, worker.ReasonRejected: 213, worker.ReasonUnaccounted: 1},
		optOuts: quantiles{1000, 1400 * time.Millisecond, 13900 * time.Millisecond},
		workers: []crewman{
			{assigned: []int32{0, 1, 2, 4}, alive: true, inFlight: 8, filled: 0.61, closed: worker.ClosedBreaker, opens: 1230 * time.Millisecond},
			{assigned: []int32{3, 5}, alive: true, closed: worker.ClosedBackoff, filled: 1},
		},
	}},
	{"end", moment{
		elapsed: 31 * time.Second, length: 30 * time.Second, stage: settling, mood: outage, joined: true, produced: 19950, requests: 473, used: 171,
		written: 18133, dead: map[worker.Reason]int{worker.ReasonInvalidEvent: 126},
		optOuts: quantiles{1000, 225 * time.Millisecond, 3600 * time.Millisecond},
		workers: []crewman{{assigned: []int32{3}, alive: true, draining: true}, {alive: true}},
	}},
	{"over", moment{elapsed: 32 * time.Second, stage: leaving, joined: true, produced: 19950, workers: make([]crewman, 2)}},
}

func TestViewShowsTheMoment(t *testing.T) {
	for _, m := range moments {
		t.Run(m.name, func(t *testing.T) {
			golden(t, "view-"+m.name, painter{}.paint(m.at.page(), 79))
			golden(t, "view-"+m.name+"-colour", painter{colour: true}.paint(m.at.page(), 79))
			golden(t, "view-"+m.name+"-narrow", painter{}.paint(m.at.page(), 40))
		})
	}
}

func TestViewNeverExceedsTheWidth(t *testing.T) {
	for _, m := range moments {
		for width := range 130 {
			for _, l := range (painter{}).paint(m.at.page(), width) {
				if n := utf8.RuneCountInString(l); n > width {
					t.Fatalf("%s: %d columns of %d: %q", m.name, n, width, l)
				}
			}
		}
	}
}

func TestPlainSpeaksEveryFewSecondsAndWhenTheStoryChanges(t *testing.T) {
	var out bytes.Buffer
	p := &plain{out: &out}
	for _, m := range moments {
		for _, later := range []time.Duration{0, 200 * time.Millisecond, plainEvery} {
			at := m.at
			at.elapsed += later
			p.draw(&at)
		}
	}
	p.end()
	golden(t, "plain", strings.Split(out.String(), "\n"))
}

func TestScreenRedrawsInPlaceThoughTheTerminalChanges(t *testing.T) {
	var out bytes.Buffer
	width, height := 80, 24
	s := &screen{out: &out, size: func() (int, int, error) { return width, height, nil }}
	s.draw(&moments[1].at)
	s.draw(&moments[1].at)
	width = 50 // four lines of the frame take two rows now
	s.draw(&moments[1].at)
	height = 5 // four lines fit
	s.draw(&moments[1].at)
	s.draw(&moments[1].at)
	s.end()
	golden(t, "screen", strings.Split(out.String(), "\n"))
}
