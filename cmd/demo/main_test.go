package main

import (
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/alecthomas/kong"
)

func TestFlagsTakeOneDashOrTwo(t *testing.T) {
	for _, args := range []string{"-for 30s -seed 7 -no-outage", "--for 30s --seed 7 --no-outage", "-for=30s --seed=7 -no-outage"} {
		var f flags
		parser, err := kong.New(&f)
		if err != nil {
			t.Fatal(err)
		}
		if _, err := parser.Parse(twoDashes(strings.Fields(args))); err != nil {
			t.Errorf("%s: %v", args, err)
		}
		if want := (flags{For: 30 * time.Second, Rate: 500, Seed: 7, NoOutage: true}); f != want {
			t.Errorf("%s: got %+v, want %+v", args, f, want)
		}
	}
	if got := twoDashes([]string{"-h", "-", "--", "7"}); !slices.Equal(got, []string{"-h", "-", "--", "7"}) {
		t.Errorf("got %q", got)
	}
}

func TestFlagsNameEveryMistake(t *testing.T) {
	err := (&flags{For: -1, Rate: 0}).Validate()
	if err == nil || !strings.Contains(err.Error(), "--for") || !strings.Contains(err.Error(), "--rate") {
		t.Errorf("got %v", err)
	}
}
